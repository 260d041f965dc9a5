//! From the file's own words to the checked model: names of files, paths and digests are looked
//! through, and dependencies become indices.

use std::collections::{BTreeMap, HashMap, HashSet};

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::Version;
use pep508_rs::{ExtraName, PackageName};
use url::Url;

use super::super::{LockError, is_file_name};
use super::raw;
use super::{
    ConflictItem, ConflictKind, Constraint, Dependency, FileLocation, GitSource, GroupName,
    Manifest, Metadata, Package, PackageSource, Requirement, ResolverOptions, SourceFile, UvLock,
    WheelFile,
};
use crate::core::place::Place;

const AGAIN: &str = "regenerate the lock with `uv lock`";

/// Turns the raw model into the checked one.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a Utf8Path,
}

impl Reader<'_> {
    pub(super) fn refuse(&self, offset: usize, message: String) -> LockError {
        LockError::Reference {
            place: Place::at(self.file, self.text, offset),
            message,
        }
    }

    pub(super) fn lock(&self, lock: raw::Lock) -> Result<UvLock, LockError> {
        let mut packages = Vec::with_capacity(lock.packages.len());
        let mut pending = Vec::with_capacity(lock.packages.len());
        let mut by_name: HashMap<PackageName, Vec<usize>> = HashMap::new();
        let mut seen = HashSet::new();
        for package in lock.packages {
            let (package, edges) = self.package(package)?;
            let id = (
                package.name.clone(),
                package.version.clone(),
                package.source.clone(),
            );
            if !seen.insert(id) {
                return Err(self.refuse(
                    package.offset,
                    format!(
                        "package {} {} from {} appears twice; regenerate the lock with `uv lock`",
                        package.name,
                        shown(package.version.as_ref()),
                        package.source
                    ),
                ));
            }
            by_name
                .entry(package.name.clone())
                .or_default()
                .push(packages.len());
            packages.push(package);
            pending.push(edges);
        }
        for (index, edges) in pending.into_iter().enumerate() {
            let resolve = |edges: Vec<raw::Dependency>| {
                edges
                    .into_iter()
                    .map(|edge| self.edge(edge, &packages, &by_name))
                    .collect::<Result<Vec<_>, _>>()
            };
            let resolve_all = |map: BTreeMap<ExtraName, Vec<raw::Dependency>>| {
                map.into_iter()
                    .map(|(name, edges)| Ok((name, resolve(edges)?)))
                    .collect::<Result<BTreeMap<_, _>, LockError>>()
            };
            let dependencies = resolve(edges.dependencies)?;
            let extras = resolve_all(edges.extras)?;
            let groups = resolve_all(edges.groups)?;
            if let Some(package) = packages.get_mut(index) {
                package.dependencies = dependencies;
                package.extras = extras;
                package.groups = groups;
            }
        }
        Ok(UvLock {
            file: self.file.to_owned(),
            revision: lock.revision,
            requires_python: lock.requires_python,
            resolution_markers: lock.resolution_markers,
            supported_markers: lock.supported_markers,
            required_markers: lock.required_markers,
            conflicts: lock
                .conflicts
                .into_iter()
                .map(|set| set.into_iter().map(conflict).collect())
                .collect(),
            options: ResolverOptions {
                resolution_mode: lock.options.resolution_mode,
                prerelease_mode: lock.options.prerelease_mode,
                fork_strategy: lock.options.fork_strategy,
                exclude_newer: lock.options.exclude_newer.as_ref().map(plain),
            },
            manifest: Manifest {
                members: lock.manifest.members.into_iter().collect(),
                requirements: requirements(lock.manifest.requirements),
                constraints: requirements(lock.manifest.constraints),
                overrides: requirements(lock.manifest.overrides),
                build_constraints: requirements(lock.manifest.build_constraints),
                dependency_groups: groups(lock.manifest.dependency_groups),
            },
            packages,
            by_name,
            pylock: None,
        })
    }

    fn package(&self, package: raw::Package) -> Result<(Package, Edges), LockError> {
        let offset = package.name.span().start;
        let name = package.name.into_inner();
        if name.to_string().is_empty() {
            return Err(self.refuse(offset, String::from("a package without a name")));
        }
        let source = self.source(package.source, &name, offset)?;
        if package.version.is_none() && matches!(source, PackageSource::Registry(_)) {
            return Err(self.refuse(
                offset,
                format!("package {name} is from a registry and has no version"),
            ));
        }
        let file = |file, what| self.source_file(file, &source, &name, what, offset);
        let sdist = package
            .sdist
            .map(|sdist| file(sdist, "sdist"))
            .transpose()?;
        let wheels = package
            .wheels
            .into_iter()
            .map(|wheel| {
                let file = file(wheel, "wheel")?;
                let parsed = file
                    .file_name
                    .parse()
                    .map_err(|error| self.refuse(offset, format!("package {name}: {error}")))?;
                Ok(WheelFile { file, name: parsed })
            })
            .collect::<Result<Vec<WheelFile>, LockError>>()?;
        for wheel in &wheels {
            self.check_wheel(wheel, (&name, package.version.as_ref()), offset, AGAIN)?;
        }
        Ok((
            Package {
                name,
                version: package.version,
                source,
                resolution_markers: package.resolution_markers,
                dependencies: Vec::new(),
                extras: BTreeMap::new(),
                groups: BTreeMap::new(),
                sdist,
                wheels,
                metadata: Metadata {
                    requires_dist: requirements(package.metadata.requires_dist),
                    provides_extras: package.metadata.provides_extras,
                    requires_dev: groups(package.metadata.requires_dev),
                },
                offset,
            },
            Edges {
                dependencies: package.dependencies,
                extras: package.optional_dependencies,
                groups: package.dev_dependencies,
            },
        ))
    }

    /// A wheel under another package's name would be placed over that package.
    pub(super) fn check_wheel(
        &self,
        wheel: &WheelFile,
        (name, version): (&PackageName, Option<&Version>),
        offset: usize,
        again: &str,
    ) -> Result<(), LockError> {
        let own = &wheel.name.version;
        let same_version =
            version.is_none_or(|version| own == version || own.clone().without_local() == *version);
        if wheel.name.distribution == *name && same_version {
            return Ok(());
        }
        Err(self.refuse(
            offset,
            format!(
                "package {name} {} lists {}, a wheel of {} {own}; {again}",
                shown(version),
                wheel.file.file_name,
                wheel.name.distribution,
            ),
        ))
    }

    fn source(
        &self,
        source: raw::RawSource,
        name: &PackageName,
        offset: usize,
    ) -> Result<PackageSource, LockError> {
        let url = |text: &str| {
            Url::parse(text).map_err(|error| {
                self.refuse(
                    offset,
                    format!("package {name}: `{text}` is not a URL: {error}"),
                )
            })
        };
        let subdirectory = |sub: Option<String>| match sub {
            Some(sub) if !is_inner_path(&sub) => Err(self.refuse(
                offset,
                format!("package {name}: `{sub}` leads out of its source"),
            )),
            sub => Ok(sub),
        };
        match source {
            raw::RawSource {
                registry: Some(registry),
                ..
            } => Ok(PackageSource::Registry(registry)),
            raw::RawSource {
                url: Some(text),
                subdirectory: sub,
                ..
            } => Ok(PackageSource::Url {
                url: url(&text)?,
                subdirectory: subdirectory(sub)?,
            }),
            raw::RawSource {
                git: Some(text), ..
            } => {
                let mut git = url(&text)?;
                let commit = git.fragment().unwrap_or_default().to_owned();
                if !is_commit(&commit) {
                    return Err(self.refuse(
                        offset,
                        format!(
                            "package {name}: git source `{text}` is not pinned to a full commit; \
                             regenerate the lock with `uv lock`"
                        ),
                    ));
                }
                let (mut reference, mut sub, mut lfs, mut inner) = (None, None, false, None);
                for (key, value) in git.query_pairs() {
                    match &*key {
                        "rev" | "tag" | "branch" => {
                            reference = Some((key.into_owned(), value.into_owned()));
                        }
                        "subdirectory" => sub = Some(value.into_owned()),
                        "path" => inner = Some(value.into_owned()),
                        "lfs" => lfs = value.eq_ignore_ascii_case("true"),
                        _ => {}
                    }
                }
                if let Some((kind, rev)) = &reference
                    && kind == "rev"
                    && is_commit(rev)
                    && !rev.eq_ignore_ascii_case(&commit)
                {
                    return Err(self.refuse(
                        offset,
                        format!(
                            "package {name} asks for commit {rev} and is pinned to {commit}; regenerate \
                             the lock with `uv lock`"
                        ),
                    ));
                }
                git.set_fragment(None);
                git.set_query(None);
                let path = subdirectory(inner)?;
                let subdirectory = subdirectory(sub)?;
                Ok(PackageSource::Git(GitSource {
                    url: git,
                    commit,
                    reference,
                    subdirectory,
                    path,
                    lfs,
                }))
            }
            raw::RawSource {
                path: Some(path), ..
            } => Ok(PackageSource::Path(path.into())),
            raw::RawSource {
                directory: Some(path),
                ..
            } => Ok(PackageSource::Directory(path.into())),
            raw::RawSource {
                editable: Some(path),
                ..
            } => Ok(PackageSource::Editable(path.into())),
            raw::RawSource {
                r#virtual: Some(path),
                ..
            } => Ok(PackageSource::Virtual(path.into())),
            _ => Err(self.refuse(
                offset,
                format!(
                    "package {name} has a source of an unknown kind; the known ones are \
                     registry, url, git, path, directory, editable and virtual"
                ),
            )),
        }
    }

    fn source_file(
        &self,
        file: raw::File,
        source: &PackageSource,
        name: &PackageName,
        what: &str,
        offset: usize,
    ) -> Result<SourceFile, LockError> {
        let in_registry = |path: &str| match source {
            PackageSource::Registry(folder) if !folder.contains("://") => {
                Utf8Path::new(folder).join(path)
            }
            _ => Utf8PathBuf::from(path),
        };
        let from_path = |path: Utf8PathBuf| {
            let last = path.file_name().unwrap_or_default().to_owned();
            (FileLocation::Path(path), last)
        };
        let from_url = |url: Url| {
            let last = last_segment(&url);
            (FileLocation::Url(url), last)
        };
        let (location, last) = match (&file.url, &file.path, source) {
            (Some(text), _, _) => from_url(Url::parse(text).map_err(|error| {
                self.refuse(
                    offset,
                    format!("package {name}: `{text}` is not a URL: {error}"),
                )
            })?),
            (None, Some(path), _) => from_path(in_registry(path)),
            (None, None, PackageSource::Url { url, .. }) => from_url(url.clone()),
            (None, None, PackageSource::Path(path)) => from_path(path.clone()),
            (
                None,
                None,
                PackageSource::Git(GitSource {
                    path: Some(path), ..
                }),
            ) => from_path(path.clone().into()),
            _ => {
                return Err(self.refuse(
                    offset,
                    format!("package {name} has a {what} with neither `url` nor `path`"),
                ));
            }
        };
        let (file_name, at) = match file.filename {
            Some(spanned) => {
                let at = spanned.span().start;
                (spanned.into_inner(), at)
            }
            None => (last, offset),
        };
        if !is_file_name(&file_name) {
            return Err(self.refuse(
                at,
                format!("package {name}: `{file_name}` cannot be the name of a {what}"),
            ));
        }
        Ok(SourceFile {
            file_name,
            location,
            digest: file.hash,
            size: file.size,
            upload_time: file.upload_time.as_ref().map(plain),
        })
    }

    fn edge(
        &self,
        edge: raw::Dependency,
        packages: &[Package],
        by_name: &HashMap<PackageName, Vec<usize>>,
    ) -> Result<Dependency, LockError> {
        let offset = edge.name.span().start;
        let name = edge.name.into_inner();
        let source = edge
            .source
            .map(|source| self.source(source, &name, offset))
            .transpose()?;
        let fits = |index: &&usize| {
            packages.get(**index).is_some_and(|package| {
                (edge.version.is_none() || package.version == edge.version)
                    && source
                        .as_ref()
                        .is_none_or(|source| package.source == *source)
            })
        };
        let mut candidates = by_name.get(&name).into_iter().flatten().filter(fits);
        match (candidates.next(), candidates.next()) {
            (Some(&package), None) => {
                Ok(Dependency { package, extras: edge.extra, marker: edge.marker })
            }
            (None, _) => Err(self.refuse(
                offset,
                format!(
                    "a dependency on {name}{}, which is not in the lock; regenerate it with `uv lock`",
                    edge.version.map(|version| format!(" {version}")).unwrap_or_default()
                ),
            )),
            (Some(_), Some(_)) => Err(self.refuse(
                offset,
                format!(
                    "a dependency on {name} that could be several of the lock's packages; regenerate \
                     it with `uv lock`"
                ),
            )),
        }
    }
}

/// A package's edges, before they are turned into indices.
struct Edges {
    dependencies: Vec<raw::Dependency>,
    extras: BTreeMap<ExtraName, Vec<raw::Dependency>>,
    groups: BTreeMap<GroupName, Vec<raw::Dependency>>,
}

fn conflict(item: raw::Conflict) -> ConflictItem {
    let kind = match (item.extra, item.group) {
        (Some(extra), _) => ConflictKind::Extra(extra),
        (None, Some(group)) => ConflictKind::Group(group),
        (None, None) => ConflictKind::Project,
    };
    ConflictItem {
        package: item.package,
        kind,
    }
}

fn requirements(raw: Vec<raw::Requirement>) -> Vec<Requirement> {
    raw.into_iter()
        .map(|requirement| {
            let place = [
                ("url", requirement.url),
                ("git", requirement.git),
                ("path", requirement.path),
                ("directory", requirement.directory),
                ("editable", requirement.editable),
                ("virtual", requirement.r#virtual),
            ]
            .into_iter()
            .find_map(|(kind, value)| Some((kind, value?)));
            Requirement {
                name: requirement.name,
                extras: requirement.extras,
                what: match (place, requirement.specifier) {
                    (Some((kind, place)), _) => Constraint::From { kind, place },
                    (None, Some(versions)) => Constraint::Versions(versions),
                    (None, None) => Constraint::Any,
                },
                marker: requirement.marker,
            }
        })
        .collect()
}

/// Whether it is a full commit: SHA-1 or SHA-256, in hex.
pub(super) fn is_commit(text: &str) -> bool {
    (text.len() == 40 || text.len() == 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn groups(
    raw: BTreeMap<ExtraName, Vec<raw::Requirement>>,
) -> BTreeMap<GroupName, Vec<Requirement>> {
    raw.into_iter()
        .map(|(name, group)| (name, requirements(group)))
        .collect()
}

/// A TOML date or string, as text.
pub(super) fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| String::from("(version not known)"), Version::to_string)
}

/// A URL's last path segment, percent-decoded: the file's name.
pub(super) fn last_segment(url: &Url) -> String {
    let last = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    percent_encoding::percent_decode_str(last)
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether a path stays inside the folder it is relative to.
pub(super) fn is_inner_path(path: &str) -> bool {
    let path = Utf8Path::new(path);
    path.components().all(|part| {
        matches!(
            part,
            camino::Utf8Component::Normal(_) | camino::Utf8Component::CurDir
        )
    })
}
