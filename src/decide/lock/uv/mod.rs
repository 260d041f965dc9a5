//! `uv.lock`: the model of a Python lock that the rest of lockwright uses.
//!
//! [`UvLock::parse`] reads version 1 in all its revisions. Dependencies are turned into indices
//! into [`UvLock::packages`] while reading, so that walking the graph cannot miss. A `pylock.toml`
//! (PEP 751) is read into the same model; its packages are chosen by their markers alone
//! ([`Pylock`]), and all else is the same.

mod pylock;
mod raw;
mod read;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;
use url::Url;

use super::LockError;
use super::marker::Marker;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::place::Place;
use read::Reader;

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
    pub resolution_markers: Vec<Marker>,
    /// The only environments it was resolved for (`tool.uv.environments`); any where empty.
    pub supported_markers: Vec<Marker>,
    /// Environments that must have a wheel (`tool.uv.required-environments`).
    pub required_markers: Vec<Marker>,
    /// Sets of extras and groups of which only one may be chosen.
    pub conflicts: Vec<Vec<ConflictItem>>,
    /// How it was resolved, as uv words it.
    pub options: ResolverOptions,
    /// What was locked: the workspace.
    pub manifest: Manifest,
    /// Every package, in the lock's order (by name, then version).
    pub packages: Vec<Package>,
    /// What it says where it is a `pylock.toml`.
    pub pylock: Option<Pylock>,
    /// Where those of a name are.
    by_name: HashMap<PackageName, Vec<usize>>,
}

/// What a `pylock.toml` has in the place of a graph (PEP 751,
/// <https://packaging.python.org/en/latest/specifications/pylock-toml/>): a package is installed where
/// its marker, in [`Package::resolution_markers`], holds.
#[derive(Debug, Default)]
pub struct Pylock {
    /// Its version, as `1.0`.
    pub version: String,
    /// Who says to have made it.
    pub created_by: Option<String>,
    /// The extras that may be chosen.
    pub extras: Vec<ExtraName>,
    /// The dependency groups that may be chosen.
    pub groups: Vec<GroupName>,
    /// Those that are chosen where nothing is said.
    pub default_groups: Vec<GroupName>,
    /// The Python versions that single packages are for, by their index.
    pub requires_python: BTreeMap<usize, VersionSpecifiers>,
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
pub struct ResolverOptions {
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
    /// Which versions, or where from.
    pub what: Constraint,
    /// Where it applies.
    pub marker: Marker,
}

/// What a requirement asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// Any version.
    Any,
    /// One of these versions.
    Versions(VersionSpecifiers),
    /// What comes from a place, e.g. `git = "https://…"`.
    From {
        /// The lock's key: `url`, `git`, `path`, `directory`, `editable` or `virtual`.
        kind: &'static str,
        /// Its value.
        place: String,
    },
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::Versions(versions) => write!(f, "{versions}"),
            Self::From { kind, place } => write!(f, "{kind} = {place}"),
        }
    }
}

/// One locked package.
#[derive(Debug)]
pub struct Package {
    /// Its name.
    pub name: PackageName,
    /// Absent for source trees whose version is only known once built.
    pub version: Option<Version>,
    /// Where it comes from.
    pub source: PackageSource,
    /// Where this one of several versions applies; anywhere where empty. Of a `pylock.toml`: where it
    /// is installed.
    pub resolution_markers: Vec<Marker>,
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
    pub marker: Marker,
}

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageSource {
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct GitSource {
    /// The repository's URL, without query and fragment.
    pub url: Url,
    /// The full commit.
    pub commit: String,
    /// What was asked for: `rev`, `tag` or `branch`, and its value.
    pub reference: Option<(String, String)>,
    /// The package's folder in it.
    pub subdirectory: Option<String>,
    /// The wheel or source archive in it that is the package, if it is not a source tree.
    pub path: Option<String>,
    /// Whether LFS objects were asked for.
    pub lfs: bool,
}

impl PackageSource {
    /// Whether it is a source tree on this machine: the project, a member or a path dependency.
    pub fn is_local(&self) -> bool {
        matches!(
            self,
            Self::Path(_) | Self::Directory(_) | Self::Editable(_) | Self::Virtual(_)
        )
    }
}

impl fmt::Display for PackageSource {
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

/// Where one file comes from.
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
    /// Where it comes from.
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
        let text = foreign::text(file).map_err(|source| LockError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(&text, file)
    }

    /// Reads a lock, of uv's or by PEP 751; `file` is for messages, and its folder is what relative paths refer to.
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
        let table = DeTable::parse(text).map_err(|error| syntax(&error))?;
        if table.get_ref().contains_key("lock-version") {
            return Reader { text, file }.pylock(table);
        }
        // The version first, so that a newer lock is refused by its number, whatever else it holds.
        let version = table.get_ref().get("version");
        match version.map(|version| (version.get_ref().as_integer(), version.span())) {
            Some((Some(number), _)) if number.as_str() == "1" => {}
            Some((Some(number), _)) => {
                return Err(LockError::Version {
                    file: file.to_owned(),
                    found: number.as_str().to_owned(),
                    known: "1",
                });
            }
            Some((None, span)) => {
                return Err(LockError::Syntax {
                    place: Place::of_span(file, text, Some(span)),
                    message: String::from("`version` is a number"),
                });
            }
            None => {
                return Err(LockError::Syntax {
                    place: Place::of_span(file, text, None),
                    message: String::from(
                        "there is neither a `version` nor a `lock-version`, so this is neither a \
                         uv.lock nor a pylock.toml; make one with `uv lock`",
                    ),
                });
            }
        }
        let mut unknown = BTreeSet::new();
        let lock: raw::Lock = serde_ignored::deserialize(toml::Deserializer::from(table), |path| {
            // Where in a list it stands does not matter: `package.wheels.colour`.
            let named: Vec<String> = path
                .to_string()
                .split('.')
                .filter(|part| !part.bytes().all(|byte| byte.is_ascii_digit()))
                .map(str::to_owned)
                .collect();
            if unknown.len() < 20 {
                unknown.insert(named.join("."));
            }
        })
        .map_err(|error| syntax(&error))?;
        for key in unknown {
            tracing::info!("{file}: key `{key}` is not known to this lockwright and was ignored");
        }
        Reader { text, file }.lock(lock)
    }

    /// The lock's folder.
    pub fn folder(&self) -> &Utf8Path {
        self.file.parent().unwrap_or(Utf8Path::new(""))
    }

    /// What is said where the lock itself is at fault.
    pub fn again(&self) -> &'static str {
        match self.pylock {
            None => "regenerate the lock with `uv lock`",
            Some(_) => "regenerate it with the tool that wrote it",
        }
    }

    /// Every package of a name (several where resolution forked).
    pub fn named<'a>(
        &'a self,
        name: &'a PackageName,
    ) -> impl Iterator<Item = (usize, &'a Package)> + 'a {
        let indexes = self.by_name.get(name).into_iter().flatten();
        indexes.filter_map(|&index| Some((index, self.packages.get(index)?)))
    }

    /// The project whose folder is the lock's own: the root, where it is a project at all.
    pub fn root(&self) -> Option<usize> {
        self.packages.iter().position(|package| {
            let place = match &package.source {
                PackageSource::Editable(path) | PackageSource::Virtual(path) => path,
                PackageSource::Directory(path) if self.pylock.is_some() => path,
                _ => return false,
            };
            place == "." || place == ""
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

#[cfg(test)]
mod tests;
