//! `uv.lock`: the model that the rest of lockwright uses.
//!
//! [`UvLock::parse`] reads version 1 in all its revisions. Dependencies are turned into indices
//! into [`UvLock::packages`] while reading, so that walking the graph cannot miss.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, MarkerTree, PackageName};
use serde::Serialize;
use url::Url;

use super::uv_raw as raw;
use super::{LockError, is_file_name};
use crate::digest::Digest;
use crate::place::Place;

/// A dependency group's name; normalised as extras are (PEP 735 refers to PEP 685).
pub type GroupName = ExtraName;

/// A whole `uv.lock`.
#[derive(Debug)]
pub struct UvLock {
    /// The file, for messages; relative paths in it are relative to its folder.
    pub file: Utf8PathBuf,
    /// The format's revision, from 0.
    pub revision: u32,
    /// The Python versions it was resolved for.
    pub requires_python: Option<VersionSpecifiers>,
    /// The environments that the resolver told apart.
    pub resolution_markers: Vec<MarkerTree>,
    /// The only environments it was resolved for (`tool.uv.environments`); any where empty.
    pub supported_markers: Vec<MarkerTree>,
    /// Environments that must have a wheel (`tool.uv.required-environments`).
    pub required_markers: Vec<MarkerTree>,
    /// Sets of extras and groups of which only one may be chosen.
    pub conflicts: Vec<Vec<ConflictItem>>,
    /// How it was resolved, as uv words it.
    pub options: Options,
    /// What was locked: the workspace.
    pub manifest: Manifest,
    /// Every package, in the lock's order (by name, then version).
    pub packages: Vec<Package>,
}

/// One member of a conflict set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConflictItem {
    /// The package that has it.
    pub package: PackageName,
    /// Which of it.
    pub kind: ConflictKind,
}

/// What of a package conflicts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConflictKind {
    /// An extra.
    Extra(ExtraName),
    /// A dependency group.
    Group(GroupName),
    /// The package itself.
    Project,
}

impl ConflictItem {
    /// The name under which markers in the lock refer to it, e.g. `extra-7-project-cpu`.
    ///
    /// Follows `uv-resolver/src/universal_marker.rs`: kind, length of the package's name, package,
    /// name.
    pub fn marker_extra(&self) -> Option<ExtraName> {
        let package = self.package.to_string();
        let encoded = match &self.kind {
            ConflictKind::Extra(extra) => format!("extra-{}-{package}-{extra}", package.len()),
            ConflictKind::Group(group) => format!("group-{}-{package}-{group}", package.len()),
            ConflictKind::Project => format!("project-{}-{package}", package.len()),
        };
        ExtraName::new(encoded).ok()
    }
}

impl fmt::Display for ConflictItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ConflictKind::Extra(extra) => write!(f, "extra `{extra}` of {}", self.package),
            ConflictKind::Group(group) => write!(f, "group `{group}` of {}", self.package),
            ConflictKind::Project => write!(f, "package {}", self.package),
        }
    }
}

/// `[options]`: how the lock was resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `highest` where absent.
    pub resolution_mode: Option<String>,
    /// `if-necessary-or-explicit` where absent.
    pub prerelease_mode: Option<String>,
    /// `requires-python` where absent.
    pub fork_strategy: Option<String>,
    /// A time or a span, as written.
    pub exclude_newer: Option<String>,
}

/// `[manifest]`: what was locked.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The workspace's members; empty where the project is alone.
    pub members: BTreeSet<PackageName>,
    /// Requirements of a project without a package (a script, a virtual root's own).
    pub requirements: Vec<Requirement>,
    /// `tool.uv.constraint-dependencies`.
    pub constraints: Vec<Requirement>,
    /// `tool.uv.override-dependencies`.
    pub overrides: Vec<Requirement>,
    /// `tool.uv.build-constraint-dependencies`.
    pub build_constraints: Vec<Requirement>,
    /// Dependency groups of a workspace root that is no project.
    pub dependency_groups: BTreeMap<GroupName, Vec<Requirement>>,
}

/// A requirement as a project states it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Of what.
    pub name: PackageName,
    /// With which extras.
    pub extras: Vec<ExtraName>,
    /// Which versions, or where from (`url = …`, `git = …`), as the lock spells it.
    pub what: String,
    /// Where it applies.
    pub marker: MarkerTree,
}

/// One locked package.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Absent for source trees whose version is only known once built.
    pub version: Option<Version>,
    /// Where it is had from.
    pub source: Source,
    /// Where this one of several versions applies; anywhere where empty.
    pub resolution_markers: Vec<MarkerTree>,
    /// What it needs.
    pub dependencies: Vec<Dependency>,
    /// What its extras need besides.
    pub extras: BTreeMap<ExtraName, Vec<Dependency>>,
    /// What its dependency groups need.
    pub groups: BTreeMap<GroupName, Vec<Dependency>>,
    /// Its sdist, if it has one; for a direct URL or path to a source archive, that archive.
    pub sdist: Option<SourceFile>,
    /// Its wheels, in the lock's order.
    pub wheels: Vec<WheelFile>,
    /// Its own statements, for packages of the workspace.
    pub metadata: Metadata,
    /// Where it begins in the file, in bytes.
    pub offset: usize,
}

/// What a package of the workspace states in its pyproject.toml.
#[derive(Debug, Default)]
pub struct Metadata {
    /// `project.dependencies`.
    pub requires_dist: Vec<Requirement>,
    /// `project.optional-dependencies`' names.
    pub provides_extras: Vec<ExtraName>,
    /// `dependency-groups`.
    pub requires_dev: BTreeMap<GroupName, Vec<Requirement>>,
}

/// An edge of the graph.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// Index into [`UvLock::packages`].
    pub package: usize,
    /// The extras that are wanted of it.
    pub extras: Vec<ExtraName>,
    /// Where it applies.
    pub marker: MarkerTree,
}

/// Where a package is had from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// An index (its URL), or a folder of files (a path).
    Registry(String),
    /// One archive.
    Url {
        /// The archive.
        url: Url,
        /// The package's folder in it.
        subdirectory: Option<String>,
    },
    /// A git repository at one commit.
    Git(GitSource),
    /// One archive on this machine, relative to the lock's folder.
    Path(Utf8PathBuf),
    /// A source tree, relative to the lock's folder.
    Directory(Utf8PathBuf),
    /// A source tree that is used in place.
    Editable(Utf8PathBuf),
    /// A project that is no package: only what it needs is installed.
    Virtual(Utf8PathBuf),
}

/// A git repository at one commit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct GitSource {
    /// The repository's URL, without query and fragment.
    pub url: Url,
    /// The full commit.
    pub commit: String,
    /// What was asked for: `rev`, `tag` or `branch`, and its value.
    pub reference: Option<(String, String)>,
    /// The package's folder in it.
    pub subdirectory: Option<String>,
    /// Whether LFS objects were asked for.
    pub lfs: bool,
}

impl Source {
    /// Whether it is a source tree on this machine: the project, a member or a path dependency.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Path(_) | Self::Directory(_) | Self::Editable(_) | Self::Virtual(_)
        )
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registry(index) => write!(f, "registry {index}"),
            Self::Url { url, .. } => write!(f, "{url}"),
            Self::Git(git) => write!(f, "git {}#{}", git.url, git.commit),
            Self::Path(path) => write!(f, "path {path}"),
            Self::Directory(path) => write!(f, "directory {path}"),
            Self::Editable(path) => write!(f, "editable {path}"),
            Self::Virtual(path) => write!(f, "virtual {path}"),
        }
    }
}

/// Where one file is had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileLocation {
    /// A URL.
    Url(Url),
    /// A path, relative to the lock's folder.
    Path(Utf8PathBuf),
}

/// A source archive.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its name: checked to be one.
    pub file_name: String,
    /// Where it is had from.
    pub location: FileLocation,
    /// What it must hash to.
    pub digest: Option<Digest>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was uploaded, as written.
    pub upload_time: Option<String>,
}

/// A wheel.
#[derive(Debug, Clone)]
pub struct WheelFile {
    /// The file itself; its name parses as a wheel's.
    pub file: SourceFile,
    /// Its name, taken apart.
    pub name: super::wheel_name::WheelName,
}

impl UvLock {
    /// Reads a lock from a file.
    ///
    /// # Errors
    /// As [`Self::parse`], and when it cannot be read.
    pub fn load(file: &Utf8Path) -> Result<Self, LockError> {
        let text = std::fs::read_to_string(file).map_err(|source| LockError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Reads a lock; `file` is for messages, and its folder is what relative paths refer to.
    ///
    /// # Errors
    /// With file, line and column: bad TOML, a value that is not what its key takes, a version
    /// that is not 1, a file name or path that could lead elsewhere, a dependency on a package that
    /// is not in the lock or that could be several.
    pub fn parse(text: &str, file: &Utf8Path) -> Result<Self, LockError> {
        let syntax = |error: &toml::de::Error| LockError::Syntax {
            place: Place::of_span(file, text, error.span()),
            message: error.message().trim_end().to_owned(),
        };
        let header: raw::Header = toml::from_str(text).map_err(|error| syntax(&error))?;
        if header.version != 1 {
            return Err(LockError::Version {
                file: file.to_owned(),
                found: header.version,
                known: "1",
            });
        }
        let deserializer = toml::Deserializer::parse(text).map_err(|error| syntax(&error))?;
        let mut unknown = BTreeSet::new();
        let lock: raw::Lock = serde_ignored::deserialize(deserializer, |path| {
            if unknown.len() < 20 {
                unknown.insert(path.to_string());
            }
        })
        .map_err(|error| syntax(&error))?;
        unknown.remove("version");
        for key in unknown {
            tracing::info!(
                "{file}: key `{key}` is not known to this lockwright and was passed over"
            );
        }
        Reader { text, file }.lock(lock)
    }

    /// The lock's folder.
    pub fn folder(&self) -> &Utf8Path {
        self.file.parent().unwrap_or(Utf8Path::new(""))
    }

    /// Every package of a name (several where resolution forked).
    pub fn named<'a>(
        &'a self,
        name: &'a PackageName,
    ) -> impl Iterator<Item = (usize, &'a Package)> + 'a {
        self.packages
            .iter()
            .enumerate()
            .filter(move |(_, package)| package.name == *name)
    }

    /// The project whose folder is the lock's own: the root, where it is a project at all.
    pub fn root(&self) -> Option<usize> {
        self.packages
            .iter()
            .position(|package| match &package.source {
                Source::Editable(path) | Source::Virtual(path) | Source::Directory(path) => {
                    path == "." || path == ""
                }
                _ => false,
            })
    }

    /// Whether a package is a member of the workspace that was locked.
    pub fn is_member(&self, index: usize) -> bool {
        self.packages.get(index).is_some_and(|package| {
            if self.manifest.members.is_empty() {
                self.root() == Some(index)
            } else {
                package.source.is_local() && self.manifest.members.contains(&package.name)
            }
        })
    }
}

/// Turns the raw model into the checked one.
struct Reader<'a> {
    text: &'a str,
    file: &'a Utf8Path,
}

impl Reader<'_> {
    fn refuse(&self, offset: usize, message: String) -> LockError {
        LockError::Reference {
            place: Place::at(self.file, self.text, offset),
            message,
        }
    }

    fn lock(&self, lock: raw::Lock) -> Result<UvLock, LockError> {
        let mut packages = Vec::with_capacity(lock.packages.len());
        let mut pending = Vec::with_capacity(lock.packages.len());
        let mut by_name: HashMap<PackageName, Vec<usize>> = HashMap::new();
        for package in lock.packages {
            let (package, edges) = self.package(package)?;
            let same = by_name.entry(package.name.clone()).or_default();
            for &other in same.iter() {
                let other: &Package = &packages[other];
                if other.version == package.version && other.source == package.source {
                    return Err(self.refuse(
                        package.offset,
                        format!(
                            "package {} {} from {} is there twice; make the lock again with `uv lock`",
                            package.name,
                            shown(package.version.as_ref()),
                            package.source
                        ),
                    ));
                }
            }
            same.push(packages.len());
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
            options: Options {
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
        })
    }

    fn package(&self, package: raw::Package) -> Result<(Package, Edges), LockError> {
        let offset = package.name.span().start;
        let name = package.name.into_inner();
        if name.to_string().is_empty() {
            return Err(self.refuse(offset, String::from("a package without a name")));
        }
        let source = self.source(package.source, &name, offset)?;
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
            // A wheel under another package's name would be placed over that package.
            let same_version = package.version.as_ref().is_none_or(|version| {
                wheel.name.version == *version
                    || wheel.name.version.clone().without_local() == version.clone().without_local()
            });
            if wheel.name.distribution != name || !same_version {
                return Err(self.refuse(
                    offset,
                    format!(
                        "package {name} {} lists {}, a wheel of {} {}; make the lock again with `uv lock`",
                        shown(package.version.as_ref()),
                        wheel.file.file_name,
                        wheel.name.distribution,
                        wheel.name.version
                    ),
                ));
            }
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

    fn source(
        &self,
        source: raw::Source,
        name: &PackageName,
        offset: usize,
    ) -> Result<Source, LockError> {
        let url = |text: &str| {
            Url::parse(text).map_err(|error| {
                self.refuse(
                    offset,
                    format!("package {name}: `{text}` is no URL: {error}"),
                )
            })
        };
        let subdirectory = |sub: Option<String>| match sub {
            Some(sub) if !is_inner_path(&sub) => Err(self.refuse(
                offset,
                format!("package {name}: subdirectory `{sub}` leads out of its source"),
            )),
            sub => Ok(sub),
        };
        match source {
            raw::Source {
                registry: Some(registry),
                ..
            } => Ok(Source::Registry(registry)),
            raw::Source {
                url: Some(text),
                subdirectory: sub,
                ..
            } => Ok(Source::Url {
                url: url(&text)?,
                subdirectory: subdirectory(sub)?,
            }),
            raw::Source {
                git: Some(text), ..
            } => {
                let mut git = url(&text)?;
                let commit = git.fragment().unwrap_or_default().to_owned();
                if !(commit.len() == 40 || commit.len() == 64)
                    || !commit.bytes().all(|byte| byte.is_ascii_hexdigit())
                {
                    return Err(self.refuse(
                        offset,
                        format!(
                            "package {name}: git source `{text}` is not pinned to a full commit; \
                             make the lock again with `uv lock`"
                        ),
                    ));
                }
                let (mut reference, mut sub, mut lfs) = (None, None, false);
                for (key, value) in git.query_pairs() {
                    match &*key {
                        "rev" | "tag" | "branch" => {
                            reference = Some((key.into_owned(), value.into_owned()));
                        }
                        "subdirectory" => sub = Some(value.into_owned()),
                        "lfs" => lfs = value == "true",
                        _ => {}
                    }
                }
                git.set_fragment(None);
                git.set_query(None);
                let subdirectory = subdirectory(sub)?;
                Ok(Source::Git(GitSource {
                    url: git,
                    commit,
                    reference,
                    subdirectory,
                    lfs,
                }))
            }
            raw::Source {
                path: Some(path), ..
            } => Ok(Source::Path(path.into())),
            raw::Source {
                directory: Some(path),
                ..
            } => Ok(Source::Directory(path.into())),
            raw::Source {
                editable: Some(path),
                ..
            } => Ok(Source::Editable(path.into())),
            raw::Source {
                r#virtual: Some(path),
                ..
            } => Ok(Source::Virtual(path.into())),
            _ => Err(self.refuse(
                offset,
                format!(
                    "package {name} has a source of a kind that is not known here; known are \
                     registry, url, git, path, directory, editable and virtual"
                ),
            )),
        }
    }

    fn source_file(
        &self,
        file: raw::File,
        source: &Source,
        name: &PackageName,
        what: &str,
        offset: usize,
    ) -> Result<SourceFile, LockError> {
        let in_registry = |path: &str| match source {
            Source::Registry(folder) if !folder.contains("://") => Utf8Path::new(folder).join(path),
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
                    format!("package {name}: `{text}` is no URL: {error}"),
                )
            })?),
            (None, Some(path), _) => from_path(in_registry(path)),
            (None, None, Source::Url { url, .. }) => from_url(url.clone()),
            (None, None, Source::Path(path)) => from_path(path.clone()),
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
                    "a dependency on {name}{}, which is not in the lock; make it again with `uv lock`",
                    edge.version.map(|version| format!(" {version}")).unwrap_or_default()
                ),
            )),
            (Some(_), Some(_)) => Err(self.refuse(
                offset,
                format!(
                    "a dependency on {name} that could be several of the lock's packages; make it \
                     again with `uv lock`"
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
            let source = [
                ("url", requirement.url),
                ("git", requirement.git),
                ("path", requirement.path),
                ("directory", requirement.directory),
                ("editable", requirement.editable),
                ("virtual", requirement.r#virtual),
            ]
            .into_iter()
            .find_map(|(kind, value)| Some(format!("{kind} = {}", value?)));
            Requirement {
                name: requirement.name,
                extras: requirement.extras,
                what: source.or(requirement.specifier).unwrap_or_default(),
                marker: requirement.marker,
            }
        })
        .collect()
}

fn groups(
    raw: BTreeMap<ExtraName, Vec<raw::Requirement>>,
) -> BTreeMap<GroupName, Vec<Requirement>> {
    raw.into_iter()
        .map(|(name, group)| (name, requirements(group)))
        .collect()
}

/// A TOML date or string, as text.
fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| String::from("(version not known)"), Version::to_string)
}

/// A URL's last path segment, percent-decoded: the file's name.
fn last_segment(url: &Url) -> String {
    let last = url
        .path_segments()
        .and_then(|mut segments| segments.next_back())
        .unwrap_or_default();
    percent_encoding::percent_decode_str(last)
        .decode_utf8_lossy()
        .into_owned()
}

/// Whether a path stays inside the folder it is relative to.
fn is_inner_path(path: &str) -> bool {
    let path = Utf8Path::new(path);
    path.components().all(|part| {
        matches!(
            part,
            camino::Utf8Component::Normal(_) | camino::Utf8Component::CurDir
        )
    })
}

#[cfg(test)]
#[path = "uv_tests.rs"]
mod tests;
