//! What a `uv.lock` or a `pylock.toml` says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use pep508_rs::MarkerEnvironment;

use super::facts::{Ecosystem, File, FileKind, LockFacts, Origin, OriginKind, Package, Scope};
use super::version::Number;
use crate::core::artifact::{Artifact, Location};
use crate::decide::lock::marker::EFFORT;
use crate::decide::lock::uv::{
    self, FileLocation, GroupName, PackageSource, Pylock, Requirement, SourceFile, UvLock,
};
use crate::decide::plan::paths::Paths;
use crate::decide::plan::{Install, PythonPlan};

/// The whole lock: every package with every file.
pub fn of_lock(lock: &UvLock, label: &str) -> LockFacts {
    let mut facts = empty(lock, label);
    let paths = paths(lock);
    let scopes = scopes(lock);
    for (index, package) in lock.packages.iter().enumerate() {
        let files = files(package);
        let why = paths.to(index);
        let scope = scopes.get(index).copied().unwrap_or_default();
        facts.insert(
            package.name.to_string(),
            of_package(package, files, why, scope),
        );
    }
    facts
}

/// What a plan chooses: its packages, each with the one file that is used.
pub fn of_plan(lock: &UvLock, plan: &PythonPlan, label: &str) -> LockFacts {
    let mut facts = empty(lock, label);
    let scopes = scopes(lock);
    for planned in &plan.packages {
        let Some((index, package)) = lock
            .named(&planned.name)
            .find(|(_, package)| package.version == planned.version)
        else {
            continue;
        };
        let used = match &planned.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => Some(artifact),
            Install::Git { .. } | Install::Directory { .. } => None,
        };
        let files = (files(package).into_iter())
            .filter(|file| used.is_some_and(|used| is_same(file, used)))
            .collect();
        let why = planned.required_by.clone();
        let scope = scopes.get(index).copied().unwrap_or_default();
        facts.insert(
            planned.name.to_string(),
            of_package(package, files, why, scope),
        );
    }
    facts
}

fn is_same(file: &File, artifact: &Artifact) -> bool {
    file.name == artifact.file_name
        && match &artifact.location {
            Location::Url(url) => file.location == url.as_str(),
            Location::Path(path) => path
                .as_str()
                .ends_with(file.location.trim_start_matches("./")),
        }
}

fn empty(lock: &UvLock, label: &str) -> LockFacts {
    LockFacts {
        ecosystem: Ecosystem::Python,
        label: label.to_owned(),
        settings: settings(lock),
        requirements: requirements(lock),
        states_scripts: false,
        packages: BTreeMap::new(),
    }
}

fn of_package(package: &uv::Package, files: Vec<File>, why: Vec<String>, scope: Scope) -> Package {
    let version = package.version.as_ref().map(ToString::to_string);
    Package {
        number: Number::python(version.as_deref()),
        version,
        origin: origin(&package.source),
        // A wheel for one platform alone; what is built may have compiled code, which nobody knows.
        native: !files.is_empty()
            && files.iter().any(|file| file.kind == FileKind::Wheel)
            && (files.iter())
                .filter(|file| file.kind == FileKind::Wheel)
                .all(|file| !file.tags.as_deref().unwrap_or_default().ends_with("-any")),
        files,
        checksum: None,
        why,
        license: None,
        install_script: false,
        deprecated: None,
        engines: None,
        scope,
        places: BTreeSet::new(),
        doubts: BTreeSet::new(),
    }
}

fn origin(source: &PackageSource) -> Origin {
    let plain = |kind, place: String| Origin {
        kind,
        place,
        commit: None,
        reference: None,
    };
    match source {
        // A pylock.toml need not say which index.
        PackageSource::Registry(index) if index.is_empty() || index.contains("://") => {
            plain(OriginKind::Registry, index.trim_end_matches('/').to_owned())
        }
        PackageSource::Registry(folder) => plain(OriginKind::Local, folder.clone()),
        PackageSource::Url { url, .. } => plain(OriginKind::Url, url.to_string()),
        PackageSource::Git(git) => Origin {
            kind: OriginKind::Git,
            place: git.url.to_string(),
            commit: Some(git.commit.clone()),
            reference: (git.reference.as_ref()).map(|(kind, value)| format!("{kind} {value}")),
        },
        PackageSource::Path(path)
        | PackageSource::Directory(path)
        | PackageSource::Editable(path)
        | PackageSource::Virtual(path) => plain(OriginKind::Local, path.to_string()),
    }
}

fn files(package: &uv::Package) -> Vec<File> {
    let file = |file: &SourceFile, kind, tags| File {
        name: file.file_name.clone(),
        kind,
        tags,
        location: match &file.location {
            FileLocation::Url(url) => url.to_string(),
            FileLocation::Path(path) => path.to_string(),
        },
        digest: file.digest.clone(),
        size: file.size,
        uploaded: file.upload_time.clone(),
    };
    let sdist = (package.sdist.iter()).map(|sdist| file(sdist, FileKind::Sdist, None));
    let wheels = (package.wheels.iter())
        .map(|wheel| file(&wheel.file, FileKind::Wheel, Some(wheel.name.tags())));
    sdist.chain(wheels).collect()
}

fn settings(lock: &UvLock) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            all.insert(name.to_owned(), value);
        }
    };
    let options = &lock.options;
    let wanted = |all: &[Requirement]| {
        let all: Vec<String> = all
            .iter()
            .map(|one| format!("{} {}", one.name, one.what))
            .collect();
        Some(all.join(", "))
    };
    match &lock.pylock {
        None => put("revision", Some(lock.revision.to_string())),
        Some(pylock) => {
            let names = |names: &[GroupName]| {
                let names: Vec<_> = names.iter().map(ToString::to_string).collect();
                Some(names.join(", "))
            };
            put("lock-version", Some(pylock.version.clone()));
            put("created-by", pylock.created_by.clone());
            put("extras", names(&pylock.extras));
            put("dependency-groups", names(&pylock.groups));
            put("default-groups", names(&pylock.default_groups));
        }
    }
    put(
        "requires-python",
        lock.requires_python.as_ref().map(ToString::to_string),
    );
    put("resolution-mode", options.resolution_mode.clone());
    put("prerelease-mode", options.prerelease_mode.clone());
    put("fork-strategy", options.fork_strategy.clone());
    put("exclude-newer", options.exclude_newer.clone());
    put("constraints", wanted(&lock.manifest.constraints));
    put("overrides", wanted(&lock.manifest.overrides));
    put(
        "build-constraints",
        wanted(&lock.manifest.build_constraints),
    );
    let members: Vec<_> = lock
        .manifest
        .members
        .iter()
        .map(ToString::to_string)
        .collect();
    put("members", Some(members.join(", ")));
    all
}

fn requirements(lock: &UvLock) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    let mut effort = EFFORT;
    let mut put = |project: &str, group: Option<String>, requirement: &Requirement| {
        let mut name = requirement.name.to_string();
        if !requirement.extras.is_empty() {
            let extras: Vec<_> = requirement.extras.iter().map(ToString::to_string).collect();
            name.push_str(&format!("[{}]", extras.join(",")));
        }
        let normal = requirement.marker.normal(&mut effort);
        match normal.map(|marker| marker.contents()) {
            Some(Some(marker)) => name.push_str(&format!(" ; {marker}")),
            Some(None) => {}
            None => name.push_str(&format!(" ; {}", requirement.marker.as_written())),
        }
        if let Some(group) = group {
            name.push_str(&format!(" (group {group})"));
        }
        let what = match requirement.what.to_string() {
            any if any.is_empty() => String::from("any"),
            what => what,
        };
        all.insert((project.to_owned(), name), what);
    };
    for requirement in &lock.manifest.requirements {
        put("", None, requirement);
    }
    for (group, of) in &lock.manifest.dependency_groups {
        for one in of {
            put("", Some(group.to_string()), one);
        }
    }
    for package in &lock.packages {
        let project = package.name.to_string();
        for one in &package.metadata.requires_dist {
            put(&project, None, one);
        }
        for (group, of) in &package.metadata.requires_dev {
            for one in of {
                put(&project, Some(group.to_string()), one);
            }
        }
    }
    all
}

/// Which package needs which, by their indices; with a target, as far as it applies there.
pub fn edges(lock: &UvLock, markers: Option<&MarkerEnvironment>) -> BTreeSet<(usize, usize)> {
    let mut all = BTreeSet::new();
    for (from, package) in lock.packages.iter().enumerate() {
        let extras = package.extras.values().flatten();
        let groups = package.groups.values().flatten();
        for edge in package.dependencies.iter().chain(extras).chain(groups) {
            if markers.is_none_or(|markers| edge.marker.evaluate(markers, &[])) {
                all.insert((from, edge.package));
            }
        }
    }
    all
}

/// Who has each package: what only groups lead to is for development, what only extras of the project
/// lead to is for those who ask for one.
fn scopes(lock: &UvLock) -> Vec<Scope> {
    if let Some(pylock) = &lock.pylock {
        let packages = lock.packages.iter();
        return packages.map(|one| scope_in(pylock, one)).collect();
    }
    let mut scopes = vec![Scope::Development; lock.packages.len()];
    let is_root = |index: usize| lock.is_member(index) || lock.root() == Some(index);
    let asked = lock.manifest.requirements.iter();
    let asked = asked.flat_map(|one| lock.named(&one.name).map(|(index, _)| index));
    let asked: Vec<usize> = asked.collect();
    for scope in [Scope::Optional, Scope::Required] {
        let mut seen = BTreeSet::new();
        let roots = (0..lock.packages.len()).filter(|&index| is_root(index));
        let mut queue: Vec<usize> = roots.chain(asked.iter().copied()).collect();
        while let Some(at) = queue.pop() {
            if !seen.insert(at) {
                continue;
            }
            if let Some(place) = scopes.get_mut(at) {
                *place = scope;
            }
            let Some(package) = lock.packages.get(at) else {
                continue;
            };
            // Of another package the lock has the extras that somebody asks for.
            let with_extras = scope == Scope::Optional || !is_root(at);
            let extras = package.extras.values().flatten().filter(|_| with_extras);
            let edges = package.dependencies.iter().chain(extras);
            queue.extend(edges.map(|edge| edge.package));
        }
    }
    scopes
}

/// Whether a package of a `pylock.toml` is there without being asked for, or for an extra, or for a group.
fn scope_in(pylock: &Pylock, package: &uv::Package) -> Scope {
    let holds = |extras: &[GroupName], groups: &[GroupName]| {
        let mut markers = package.resolution_markers.iter();
        markers.all(|marker| marker.holds(None, extras, groups))
    };
    match () {
        () if holds(&[], &pylock.default_groups) => Scope::Required,
        () if holds(&pylock.extras, &pylock.default_groups) => Scope::Optional,
        () => Scope::Development,
    }
}

/// The shortest path of requirements that leads to each package, whatever the target.
fn paths(lock: &UvLock) -> Paths<usize> {
    let mut paths = Paths::default();
    let mut queue = VecDeque::new();
    let name = |index: usize| {
        let package = lock.packages.get(index);
        package.map(|one| one.name.to_string()).unwrap_or_default()
    };
    let members = (0..lock.packages.len()).filter(|&index| lock.is_member(index));
    let asked = (lock.manifest.requirements.iter())
        .chain(lock.manifest.dependency_groups.values().flatten());
    let asked = asked.flat_map(|requirement| lock.named(&requirement.name));
    let roots = lock.root().into_iter().chain(members);
    // Of a pylock.toml what nothing is said to need.
    let needed: BTreeSet<usize> = match lock.pylock {
        None => (0..lock.packages.len()).collect(),
        Some(_) => edges(lock, None).into_iter().map(|(_, to)| to).collect(),
    };
    let unneeded = (0..lock.packages.len()).filter(|index| !needed.contains(index));
    let asked = asked.map(|(index, _)| index);
    for index in roots.chain(asked).chain(unneeded) {
        if paths.enter(index, None, || name(index)) {
            queue.push_back(index);
        }
    }
    while let Some(at) = queue.pop_front() {
        let Some(package) = lock.packages.get(at) else {
            continue;
        };
        let plain = (package.dependencies.iter()).map(|edge| (edge, String::new()));
        let extras = (package.extras.iter())
            .flat_map(|(extra, of)| of.iter().map(move |e| (e, format!(" (extra {extra})"))));
        let groups = (package.groups.iter())
            .flat_map(|(group, of)| of.iter().map(move |e| (e, format!(" (group {group})"))));
        for (edge, how) in plain.chain(extras).chain(groups) {
            let shown = || {
                let extras: Vec<_> = edge.extras.iter().map(ToString::to_string).collect();
                let name = name(edge.package);
                match extras[..] {
                    [] => format!("{name}{how}"),
                    _ => format!("{name}[{}]{how}", extras.join(",")),
                }
            };
            if paths.enter(edge.package, Some(at), shown) {
                queue.push_back(edge.package);
            }
        }
    }
    paths
}
