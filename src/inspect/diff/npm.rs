//! What a `package-lock.json` says.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use indexmap::IndexMap;
use serde_json::Value;
use url::Url;

use super::facts::{
    Doubt, Ecosystem, File, FileKind, LockFacts, Origin, OriginKind, Package, Scope, host,
};
use super::version::Number;
use crate::decide::lock::npm::{Entry, Manifest, NpmLock, is_in_modules, name_of};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::plan::npm::{NpmPlan, NpmPlanError, Omit};
use crate::decide::plan::paths::Paths;
use crate::decide::target::node::NodeTarget;

/// The whole lock.
pub fn of_lock(lock: &NpmLock, label: &str) -> LockFacts {
    of_entries(lock, label, |_| true)
}

/// What is put into place on one machine.
///
/// # Errors
/// Those of [`NpmPlan::places`].
pub fn of_target(
    lock: &NpmLock,
    target: &NodeTarget,
    omit: &BTreeSet<Omit>,
    label: &str,
) -> Result<LockFacts, NpmPlanError> {
    let places: HashSet<&str> = NpmPlan::places(lock, target, omit)?.into_iter().collect();
    Ok(of_entries(lock, label, |place| places.contains(place)))
}

/// Puts the registry that npm's settings name where the lock names none, as npm does.
pub fn locate(facts: &mut LockFacts, npmrc: &Npmrc) {
    for (name, packages) in &mut facts.packages {
        for package in packages {
            if package.origin.kind != OriginKind::Registry || !package.origin.place.is_empty() {
                continue;
            }
            let version = package.version.as_deref().unwrap_or_default();
            let Some(url) = npmrc.tarball(name, version) else {
                continue;
            };
            npmrc
                .registry(name)
                .unwrap_or_default()
                .clone_into(&mut package.origin.place);
            for file in &mut package.files {
                if file.location.is_empty() {
                    file.location = url.to_string();
                }
            }
        }
    }
}

fn of_entries(lock: &NpmLock, label: &str, is_wanted: impl Fn(&str) -> bool) -> LockFacts {
    let mut facts = LockFacts {
        ecosystem: Ecosystem::Npm,
        label: label.to_owned(),
        settings: settings(lock),
        requirements: requirements(lock),
        states_scripts: true,
        packages: BTreeMap::new(),
    };
    let paths = paths(lock);
    let mut known: HashMap<(&str, &str), Package> = HashMap::new();
    for (place, entry) in &lock.entries {
        // A link stands for the folder that it leads to, which is an entry itself.
        if entry.link.is_some() || !is_wanted(place) {
            continue;
        }
        let asked = name_of(place).unwrap_or(place);
        let name = entry.about.name.as_deref().unwrap_or(asked);
        let version = entry.about.version.as_deref().unwrap_or_default();
        let found = of_entry(place, entry, name);
        match known.entry((name, version)) {
            std::collections::hash_map::Entry::Vacant(new) => {
                let mut package = found;
                package.why = paths.to(place);
                new.insert(package);
            }
            std::collections::hash_map::Entry::Occupied(mut old) => {
                merge(old.get_mut(), found, place);
            }
        }
    }
    let known: BTreeMap<_, _> = known.into_iter().collect();
    for ((name, _), package) in known {
        facts.insert(name.to_owned(), package);
    }
    facts
}

/// Adds what another place of the tree says of the same version.
fn merge(package: &mut Package, other: Package, place: &str) {
    for file in other.files {
        if package.files.contains(&file) {
            continue;
        }
        let digests = |one: &File| match (&one.digest, &file.digest) {
            (Some(one), Some(other)) => one.algorithm() == other.algorithm() && one != other,
            _ => false,
        };
        if package.files.iter().any(digests) {
            let first = package.places.first().cloned().unwrap_or_default();
            package
                .doubts
                .insert(Doubt::TwoDigests(first, place.to_owned()));
        }
        package.files.push(file);
        package.files.sort_by(|one, other| {
            let key = |file: &File| {
                (
                    file.name.clone(),
                    file.location.clone(),
                    file.digest.clone(),
                )
            };
            key(one).cmp(&key(other))
        });
    }
    package.places.extend(other.places);
    package.install_script |= other.install_script;
    package.scope = package.scope.min(other.scope);
    package.doubts.extend(other.doubts);
}

fn of_entry(place: &str, entry: &Entry, name: &str) -> Package {
    let about = &entry.about;
    let text = |key: &str| match entry.raw.get(key) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Object(of)) => of.get("type").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    let (origin, mismatch) = origin(place, entry, name);
    let url = entry.resolved.as_deref().filter(|url| url.contains("://"));
    let file = url
        .or(entry.integrity.as_ref().map(|_| ""))
        .filter(|_| matches!(origin.kind, OriginKind::Registry | OriginKind::Url));
    let version = about.version.clone();
    Package {
        number: Number::npm(version.as_deref()),
        files: (file.iter())
            .map(|url| File {
                name: file_name(url, name, version.as_deref()),
                kind: FileKind::Tarball,
                tags: None,
                location: (*url).to_owned(),
                digest: entry.integrity.clone(),
                size: None,
                uploaded: None,
            })
            .collect(),
        version,
        origin,
        checksum: None,
        why: Vec::new(),
        license: text("license"),
        native: [&about.os, &about.cpu, &about.libc]
            .iter()
            .any(|list| !list.is_empty()),
        install_script: about.has_install_script,
        deprecated: match entry.raw.get("deprecated") {
            Some(Value::Bool(true)) => Some(String::from("deprecated")),
            _ => text("deprecated"),
        },
        engines: about.node.clone(),
        scope: scope(entry),
        places: BTreeSet::from([place.to_owned()]),
        doubts: mismatch.map(Doubt::AnotherName).into_iter().collect(),
    }
}

/// npm's own marks: `devOptional` is what development has, and what else may be left out.
fn scope(entry: &Entry) -> Scope {
    let is = |key: &str| entry.raw.get(key).and_then(Value::as_bool) == Some(true);
    match () {
        () if is("dev") => Scope::Development,
        () if is("optional") || is("devOptional") => Scope::Optional,
        () => Scope::Required,
    }
}

fn file_name(url: &str, name: &str, version: Option<&str>) -> String {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    match path.rsplit('/').next().filter(|last| last.contains('.')) {
        Some(last) => last.to_owned(),
        None => {
            let base = name.rsplit('/').next().unwrap_or(name);
            format!("{base}-{}.tgz", version.unwrap_or("0"))
        }
    }
}

/// Where an entry comes from, and its URL if that names another package.
fn origin(place: &str, entry: &Entry, name: &str) -> (Origin, Option<String>) {
    let plain = |kind, place: &str| Origin {
        kind,
        place: place.to_owned(),
        commit: None,
        reference: None,
    };
    let in_modules = is_in_modules(place);
    let resolved = entry.resolved.as_deref();
    match resolved {
        _ if entry.in_bundle => (plain(OriginKind::Bundle, ""), None),
        None if !in_modules => (plain(OriginKind::Local, place), None),
        None => (plain(OriginKind::Registry, ""), None),
        Some(path) if path.starts_with("file:") => (plain(OriginKind::Local, path), None),
        Some(git) if git.starts_with("git") => {
            let (place, commit) = git.split_once('#').unwrap_or((git, ""));
            let origin = Origin {
                commit: (!commit.is_empty()).then(|| commit.to_owned()),
                ..plain(OriginKind::Git, place)
            };
            (origin, None)
        }
        Some(text) => match registry_of(text, name) {
            Ok(registry) => (plain(OriginKind::Registry, &registry), None),
            Err(true) => {
                let host = host(text).unwrap_or_default();
                (plain(OriginKind::Registry, &host), Some(text.to_owned()))
            }
            Err(false) => (plain(OriginKind::Url, text), None),
        },
    }
}

/// The registry whose URL of a tarball it is: `<registry>/<name>/-/<file>`. Otherwise, whether it is
/// one of another package.
///
/// # Errors
/// Where it is none of this package.
pub fn registry_of(text: &str, name: &str) -> Result<String, bool> {
    let url = Url::parse(text).map_err(|_| false)?;
    let path = url
        .path()
        .replace("%2f", "/")
        .replace("%2F", "/")
        .replace("%40", "@");
    let (before, _) = path.split_once("/-/").ok_or(false)?;
    let prefix = before
        .strip_suffix(name)
        .and_then(|prefix| prefix.strip_suffix('/'));
    let prefix = prefix.ok_or(true)?;
    Ok(format!("{}{prefix}", host(text).unwrap_or_default()))
}

fn settings(lock: &NpmLock) -> BTreeMap<String, String> {
    let version = lock.header.get("lockfileVersion").map(ToString::to_string);
    let all = [
        ("lockfileVersion", version),
        ("engines.node", lock.root.node.clone()),
        ("engines.npm", lock.root.npm.clone()),
        ("name", lock.root.name.clone()),
        ("version", lock.root.version.clone()),
    ];
    (all.into_iter())
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn requirements(lock: &NpmLock) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    let mut put = |project: &str, about: &Manifest| {
        let kinds: [(&IndexMap<String, String>, &str); 4] = [
            (&about.dependencies, ""),
            (&about.dev, " (dev)"),
            (&about.optional, " (optional)"),
            (&about.peer, " (peer)"),
        ];
        for (of, kind) in kinds {
            for (name, range) in of {
                // An optional dependency stands among the others too.
                if kind.is_empty() && about.optional.contains_key(name) {
                    continue;
                }
                all.insert((project.to_owned(), format!("{name}{kind}")), range.clone());
            }
        }
    };
    put(lock.root.name.as_deref().unwrap_or_default(), &lock.root);
    for (place, entry) in &lock.entries {
        if entry.link.is_none() && !is_in_modules(place) {
            put(entry.about.name.as_deref().unwrap_or(place), &entry.about);
        }
    }
    all
}

/// The shortest path of requirements that leads to each place.
fn paths(lock: &NpmLock) -> Paths<&str> {
    let mut paths = Paths::default();
    let mut queue = VecDeque::new();
    let project = lock.root.name.as_deref().unwrap_or("(project)");
    paths.enter("", None, || project.to_owned());
    queue.push_back("");
    let workspaces = (lock.entries.values()).filter_map(|entry| entry.link.as_deref());
    for place in workspaces.collect::<BTreeSet<_>>() {
        let about = lock.entries.get(place).map(|entry| &entry.about);
        let name = about.and_then(|about| about.name.as_deref());
        if paths.enter(place, None, || name.unwrap_or(place).to_owned()) {
            queue.push_back(place);
        }
    }
    while let Some(at) = queue.pop_front() {
        let about = match lock.entries.get(at) {
            Some(entry) => &entry.about,
            None => &lock.root,
        };
        let is_project = !is_in_modules(at);
        let dev = about.dev.keys().filter(|_| is_project);
        let asked = (about.dependencies.keys().map(|name| (name, "")))
            .chain(about.optional.keys().map(|name| (name, "")))
            .chain(about.peer.keys().map(|name| (name, " (peer)")))
            .chain(dev.map(|name| (name, " (dev)")));
        for (name, how) in asked {
            if let Some(place) = answer(lock, at, name)
                && paths.enter(place, Some(at), || format!("{name}{how}"))
            {
                queue.push_back(place);
            }
        }
    }
    paths
}

/// Which place needs which; the project itself is the empty one.
pub fn edges(lock: &NpmLock) -> BTreeSet<(&str, &str)> {
    let mut all = BTreeSet::new();
    let own = std::iter::once(("", &lock.root));
    let entries = (lock.entries.iter()).filter(|(_, entry)| entry.link.is_none());
    for (from, about) in own.chain(entries.map(|(place, entry)| (place.as_str(), &entry.about))) {
        let is_project = !is_in_modules(from);
        let dev = about.dev.keys().filter(|_| is_project);
        let asked = [&about.dependencies, &about.optional, &about.peer];
        for name in asked.into_iter().flat_map(IndexMap::keys).chain(dev) {
            if let Some(to) = answer(lock, from, name) {
                all.insert((from, to));
            }
        }
    }
    all
}

/// The place that a name leads to from another place, as Node looks it up.
fn answer<'a>(lock: &'a NpmLock, from: &str, name: &str) -> Option<&'a str> {
    let mut base = from;
    loop {
        let wanted = match base {
            "" => format!("node_modules/{name}"),
            base => format!("{base}/node_modules/{name}"),
        };
        if let Some((place, entry)) = lock.entries.get_key_value(&wanted) {
            return Some(entry.link.as_deref().unwrap_or(place));
        }
        if base.is_empty() {
            return None;
        }
        base = base.rsplit_once('/').map_or("", |(above, _)| above);
        base = base.strip_suffix("/node_modules").unwrap_or(base);
        base = if base == "node_modules" { "" } else { base };
    }
}
