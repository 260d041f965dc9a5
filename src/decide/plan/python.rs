//! The plan of a Python environment: one artifact for each wanted package, and why this one.
//!
//! The choice follows `uv-resolver/src/lock/mod.rs` (`Package::to_dist`, `find_best_wheel`): the
//! compatible wheel of the best tag, the higher build tag among equals, the first in the lock among
//! those; a source where there is none or wheels are not allowed.

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::Version;
use pep508_rs::PackageName;
use serde::{Deserialize, Serialize};
use url::Url;

use super::select::select;
use super::selection::{SelectError, Selection};
use crate::core::artifact::{Artifact, Location};
use crate::core::paths::{normal, way};
use crate::decide::lock::is_file_name;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::{
    FileLocation, GitSource, Package, PackageSource, SourceFile, UvLock, WheelFile,
};
use crate::decide::target::{PythonTarget, python::satisfies};

/// What is placed, in order of name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PythonPlan {
    /// The target, as `CPython 3.14.2 on x86_64-manylinux_2_28`.
    pub target: String,
    /// Site-packages, relative to the environment.
    pub site_packages: String,
    /// The packages.
    pub packages: Vec<PlannedPackage>,
}

/// One package and how it is had.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlannedPackage {
    /// Its name.
    pub name: PackageName,
    /// Its version; unknown for some source trees until they are built.
    pub version: Option<Version>,
    /// What is done to have it.
    pub install: Install,
    /// The path of requirements that pulls it in, the root first, itself last.
    pub required_by: Vec<String>,
    /// Why this file and no other.
    pub reason: String,
    /// What `direct_url.json` says of it (PEP 610); nothing for packages from an index.
    pub direct_url: Option<DirectUrl>,
}

impl PlannedPackage {
    /// Forgets what its bytes do not follow from: why it was chosen, and where an artifact that has a
    /// digest is had from.
    pub fn bare(&mut self) {
        self.required_by.clear();
        self.reason.clear();
        if let Install::Wheel { artifact } | Install::Sdist { artifact, .. } = &mut self.install
            && artifact.digest.is_some()
        {
            artifact.location = Location::Path(Utf8PathBuf::new());
        }
    }

    /// Forgets where on this machine it is: what is at a path is said to be there as seen from
    /// `folder`, and that folder to be `/build/project`.
    pub fn displace(&mut self, folder: &Utf8Path) {
        let path = match &mut self.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
                match &mut artifact.location {
                    Location::Path(path) => path,
                    Location::Url(_) => return,
                }
            }
            Install::Directory { path, .. } => path,
            Install::Git { .. } => return,
        };
        *path = match way(folder, path) {
            way if way.as_str().is_empty() => Utf8PathBuf::from("."),
            way => way,
        };
        if let Some(direct) = &mut self.direct_url {
            let seen = normal(&Utf8Path::new("/build/project").join(&*path));
            direct.url = file_url(&seen);
        }
    }

    /// What a lock's reader holds of each, of one that was read from elsewhere.
    ///
    /// # Errors
    /// When its artifact is named as no file is.
    pub fn check(&self) -> Result<(), String> {
        match &self.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. }
                if !is_file_name(&artifact.file_name) =>
            {
                let name = artifact.file_name.escape_debug();
                Err(format!(
                    "{} comes as `{name}`, which is no file's name",
                    self.label()
                ))
            }
            _ => Ok(()),
        }
    }

    /// Name and version, for messages.
    pub fn label(&self) -> String {
        match &self.version {
            Some(version) => format!("{} {version}", self.name),
            None => self.name.to_string(),
        }
    }
}

/// How a package is had.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Install {
    /// A wheel is fetched and unpacked.
    Wheel {
        /// The wheel.
        artifact: Artifact,
    },
    /// A source archive is fetched and built.
    Sdist {
        /// The archive.
        artifact: Artifact,
        /// The package's folder in it.
        subdirectory: Option<String>,
        /// Why it is built.
        because: BuildReason,
    },
    /// A git tree is fetched and built.
    Git {
        /// Where and which.
        source: GitSource,
    },
    /// A folder on this machine is built, or used in place.
    Directory {
        /// The folder, absolute.
        path: Utf8PathBuf,
        /// Whether it is used in place (PEP 660).
        editable: bool,
    },
}

/// Why a package is built although wheels are the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildReason {
    /// The lock has no wheel of it.
    NoWheel,
    /// None of its wheels fits the target.
    NoneFits,
    /// Wheels of it are not allowed (`no-binary`).
    NoBinary,
}

/// `direct_url.json` (PEP 610), as uv writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectUrl {
    url: String,
    #[serde(flatten)]
    info: DirectInfo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subdirectory: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum DirectInfo {
    #[serde(rename = "archive_info")]
    Archive {},
    #[serde(rename = "vcs_info")]
    Vcs {
        vcs: String,
        commit_id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        requested_revision: Option<String>,
    },
    #[serde(rename = "dir_info")]
    Dir {
        #[serde(default)]
        editable: bool,
    },
}

/// The file's text.
impl std::fmt::Display for DirectUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).unwrap_or_default())
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The selection cannot be made.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// The target's Python is not one the lock was made for.
    #[error(
        "{lock} requires Python {wanted}, and the target is {target}; choose another with --python or --python-version"
    )]
    RequiresPython {
        /// The lock.
        lock: Utf8PathBuf,
        /// What it requires.
        wanted: String,
        /// What there is.
        target: String,
    },
    /// The target is none of the environments the lock was resolved for.
    #[error(
        "{lock} was resolved for other environments than {target}: {supported} ({named}); add this one there and lock again"
    )]
    Environment {
        /// The lock.
        lock: Utf8PathBuf,
        /// The target.
        target: String,
        /// The environments.
        supported: String,
        /// Where they are named.
        named: &'static str,
    },
    /// Nothing of a package can be used.
    #[error("{0}")]
    NoArtifact(Box<NoArtifact>),
    /// Two packages of one name are wanted at once.
    #[error("{lock} leads to both {name} {one} and {name} {other} for {target}; {again}")]
    Twice {
        /// The lock.
        lock: Utf8PathBuf,
        /// The package.
        name: PackageName,
        /// A version.
        one: String,
        /// Another.
        other: String,
        /// The target.
        target: String,
        /// What to do.
        again: &'static str,
    },
}

/// A package of which nothing can be used, and all there is of it.
#[derive(Debug)]
pub struct NoArtifact {
    package: String,
    required_by: String,
    target: String,
    takes: String,
    /// Tags of the lock's wheels.
    has: Vec<String>,
    no_binary: bool,
    no_build: bool,
    has_source: bool,
}

impl std::fmt::Display for NoArtifact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "nothing of {} can be installed on {}",
            self.package, self.target
        )?;
        if self.no_binary && !self.has.is_empty() {
            write!(f, ": wheels are not allowed (no-binary)")?;
        } else if self.has.is_empty() {
            write!(f, ": the lock has no wheel of it")?;
        } else {
            write!(f, ": none of its {} wheels fits", self.has.len())?;
        }
        if self.has_source && self.no_build {
            write!(f, ", and building its source is not allowed (no-build)")?;
        } else if !self.has_source {
            write!(f, ", and the lock has no source of it")?;
        }
        write!(f, "\n  required by: {}", self.required_by)?;
        if !self.has.is_empty() {
            write!(f, "\n  the lock has: {}", self.has.join(", "))?;
        }
        write!(f, "\n  the target takes: {}", self.takes)?;
        let name = self.package.split(' ').next().unwrap_or_default();
        // Another platform helps only where its wheels are what is missing.
        let allow = |what: &str| {
            format!(
                "allow it again: --{what} and --no-{what}-package NAME are the command line's, \
                 no-{what} and no-{what}-package stand in [tool.uv]"
            )
        };
        if self.no_binary && !self.has.is_empty() && (self.no_build || !self.has_source) {
            write!(f, "\n  {}", allow("binary"))
        } else if self.no_build && self.has_source && self.has.is_empty() {
            write!(f, "\n  {}", allow("build"))
        } else {
            write!(
                f,
                "\n  choose another Python or platform, or lock a version of {name} that has a \
                 wheel for it"
            )
        }
    }
}

impl PythonPlan {
    /// Makes the plan.
    ///
    /// # Errors
    /// When the target does not satisfy the lock, the selection cannot be made, or nothing of a
    /// package can be used.
    pub fn new(
        lock: &UvLock,
        target: &PythonTarget,
        selection: &Selection,
        settings: &ProjectSettings,
    ) -> Result<Self, PlanError> {
        check_target(lock, target)?;
        let mut packages: Vec<PlannedPackage> = Vec::new();
        for wanted in select(lock, target, selection, settings)? {
            let Some(package) = lock.packages.get(wanted.package).filter(|_| wanted.install) else {
                continue;
            };
            if let Some(other) = packages.last().filter(|other| other.name == package.name) {
                return Err(PlanError::Twice {
                    lock: lock.file.clone(),
                    name: package.name.clone(),
                    one: shown(other.version.as_ref()),
                    other: shown(package.version.as_ref()),
                    target: target.to_string(),
                    again: lock.again(),
                });
            }
            let chooser = Chooser {
                lock,
                target,
                selection,
                settings,
                package,
                is_member: lock.is_member(wanted.package),
            };
            let (install, reason) = chooser.choose(&wanted.path)?;
            packages.push(PlannedPackage {
                name: package.name.clone(),
                version: package.version.clone(),
                direct_url: chooser.direct_url(&install),
                install,
                required_by: wanted.path,
                reason,
            });
        }
        Ok(Self {
            target: target.to_string(),
            site_packages: target.site_packages(),
            packages,
        })
    }

    /// Reads a plan that was written as JSON, by `lockwright plan --json` or `export nix`.
    ///
    /// # Errors
    /// When it is none, or names a file as no file is named.
    pub fn read(text: &[u8]) -> Result<Self, String> {
        let plan: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        plan.packages.iter().try_for_each(PlannedPackage::check)?;
        Ok(plan)
    }

    /// Every artifact that must be fetched, with its package's name.
    pub fn artifacts(&self) -> impl Iterator<Item = (&PackageName, &Artifact)> {
        self.packages
            .iter()
            .filter_map(|package| match &package.install {
                Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
                    Some((&package.name, artifact))
                }
                Install::Git { .. } | Install::Directory { .. } => None,
            })
    }
}

fn check_target(lock: &UvLock, target: &PythonTarget) -> Result<(), PlanError> {
    let version = &target.markers.python_full_version().version;
    if let Some(wanted) = lock
        .requires_python
        .as_ref()
        .filter(|wanted| !satisfies(wanted, version))
    {
        return Err(PlanError::RequiresPython {
            lock: lock.file.clone(),
            wanted: wanted.to_string(),
            target: target.to_string(),
        });
    }
    let supported = &lock.supported_markers;
    if !supported.is_empty() && !supported.iter().any(|m| m.evaluate(&target.markers, &[])) {
        let all: Vec<String> = supported
            .iter()
            .map(|marker| match marker.as_written() {
                "" => "any".to_owned(),
                text => text.to_owned(),
            })
            .collect();
        return Err(PlanError::Environment {
            lock: lock.file.clone(),
            target: target.to_string(),
            supported: all.join(" or "),
            named: match lock.pylock {
                None => "tool.uv.environments",
                Some(_) => "its `environments`",
            },
        });
    }
    Ok(())
}

fn file_url(path: &Utf8Path) -> String {
    Url::from_file_path(path).map_or_else(|()| format!("file://{path}"), String::from)
}

fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| String::from("(version not known)"), Version::to_string)
}

/// What `--no-binary` or `--no-build` comes to.
enum Ban<'a> {
    Nothing,
    Everything,
    These(Vec<&'a PackageName>),
}

impl<'a> Ban<'a> {
    fn new(all: Option<bool>, names: [&'a Vec<PackageName>; 2]) -> Self {
        match all {
            Some(true) => Self::Everything,
            Some(false) => Self::Nothing,
            None if names.iter().all(|names| names.is_empty()) => Self::Nothing,
            None => Self::These(names.into_iter().flatten().collect()),
        }
    }
}

struct Chooser<'a> {
    lock: &'a UvLock,
    target: &'a PythonTarget,
    selection: &'a Selection,
    settings: &'a ProjectSettings,
    package: &'a Package,
    /// Whether it is the project or of its workspace: those are built whatever `no-build` says.
    is_member: bool,
}

impl Chooser<'_> {
    fn choose(&self, path: &[String]) -> Result<(Install, String), PlanError> {
        let package = self.package;
        let (no_binary, no_build) = self.allowed();
        if !no_binary && let Some(wheel) = self.best_wheel() {
            let fitting = package
                .wheels
                .iter()
                .filter(|w| self.rank(w).is_some())
                .count();
            let reason = match (package.wheels.len(), fitting) {
                (1, _) => String::from("its only wheel"),
                (all, 1) => format!("the one of {all} wheels that fits"),
                (all, fitting) => format!("the best of {fitting} wheels that fit, of {all}"),
            };
            return Ok((
                Install::Wheel {
                    artifact: self.artifact(&wheel.file),
                },
                reason,
            ));
        }
        let because = if no_binary && !package.wheels.is_empty() {
            BuildReason::NoBinary
        } else if package.wheels.is_empty() {
            BuildReason::NoWheel
        } else {
            BuildReason::NoneFits
        };
        let source = self.source(because);
        match source {
            Some(source) if !no_build => {
                let reason = match (&source, because) {
                    (Install::Directory { editable: true, .. }, _) => "used in place (editable)",
                    (Install::Directory { .. }, _) => "built from its folder",
                    (Install::Git { .. }, _) => "built from its commit",
                    (_, BuildReason::NoWheel) => "built: the lock has no wheel of it",
                    (_, BuildReason::NoneFits) => "built: none of its wheels fits",
                    (_, BuildReason::NoBinary) => "built: wheels are not allowed (no-binary)",
                };
                Ok((source, reason.to_owned()))
            }
            source => Err(PlanError::NoArtifact(Box::new(NoArtifact {
                package: format!("{} {}", package.name, shown(package.version.as_ref())),
                required_by: path.join(" → "),
                target: self.target.to_string(),
                takes: self.target.tags.summary().to_owned(),
                has: package
                    .wheels
                    .iter()
                    .map(|wheel| wheel.name.tags())
                    .collect(),
                no_binary,
                no_build,
                has_source: source.is_some(),
            }))),
        }
    }

    /// Whether wheels and builds are disallowed for this package.
    ///
    /// Follows `uv-configuration/src/build_options.rs`: what is said of all wins over what is said
    /// of one, except that "build all but these" and "build none but these" can be said by giving
    /// both.
    fn allowed(&self) -> (bool, bool) {
        let name = &self.package.name;
        let (selection, settings) = (self.selection, self.settings);
        let (binary, build) = (&selection.no_binary_packages, &selection.no_build_packages);
        let no_binary = Ban::new(
            selection.no_binary.or(settings.no_binary),
            [binary, &settings.no_binary_package],
        );
        let no_build = Ban::new(
            selection.no_build.or(settings.no_build),
            [build, &settings.no_build_package],
        );
        let bans = |ban: &Ban, other: &Ban| match (ban, other) {
            (Ban::Nothing, _) => false,
            (Ban::Everything, Ban::These(others)) => !others.contains(&name),
            (Ban::Everything, _) => true,
            (Ban::These(names), _) => names.contains(&name),
        };
        let is_banned = !self.is_member && bans(&no_build, &no_binary);
        (bans(&no_binary, &no_build), is_banned)
    }

    fn rank(&self, wheel: &WheelFile) -> Option<crate::decide::target::tags::Rank> {
        self.target.tags.rank(&wheel.name)
    }

    fn best_wheel(&self) -> Option<&WheelFile> {
        // Of equals the first in the lock counts: `min_by` keeps it.
        self.package
            .wheels
            .iter()
            .filter_map(|wheel| Some((self.rank(wheel)?, wheel)))
            .min_by(|(rank, wheel), (other_rank, other)| {
                rank.cmp(other_rank)
                    .then_with(|| other.name.build.cmp(&wheel.name.build))
            })
            .map(|(_, wheel)| wheel)
    }

    fn source(&self, because: BuildReason) -> Option<Install> {
        let sdist = |subdirectory: Option<&String>| {
            self.package.sdist.as_ref().map(|file| Install::Sdist {
                artifact: self.artifact(file),
                subdirectory: subdirectory.cloned(),
                because,
            })
        };
        match &self.package.source {
            PackageSource::Registry(_) | PackageSource::Path(_) => sdist(None),
            PackageSource::Url { subdirectory, .. } => sdist(subdirectory.as_ref()),
            PackageSource::Git(source) => Some(Install::Git {
                source: source.clone(),
            }),
            PackageSource::Directory(path) | PackageSource::Virtual(path) => {
                Some(Install::Directory {
                    path: self.absolute(path),
                    editable: false,
                })
            }
            PackageSource::Editable(path) => Some(Install::Directory {
                path: self.absolute(path),
                editable: self.selection.is_editable(&self.package.name),
            }),
        }
    }

    fn artifact(&self, file: &SourceFile) -> Artifact {
        Artifact {
            file_name: file.file_name.clone(),
            location: match &file.location {
                FileLocation::Url(url) => Location::Url(url.clone()),
                FileLocation::Path(path) => Location::Path(self.absolute(path)),
            },
            digest: file.digest.clone(),
            size: file.size,
        }
    }

    /// A path of the lock, made absolute; `..` is resolved by name alone.
    fn absolute(&self, path: &Utf8Path) -> Utf8PathBuf {
        let mut absolute = Utf8PathBuf::new();
        for part in self.lock.folder().join(path).components() {
            match part {
                camino::Utf8Component::CurDir => {}
                camino::Utf8Component::ParentDir if absolute.file_name().is_some() => {
                    absolute.pop();
                }
                part => absolute.push(part),
            }
        }
        absolute
    }

    fn direct_url(&self, install: &Install) -> Option<DirectUrl> {
        match (&self.package.source, install) {
            (PackageSource::Registry(_), _) => None,
            (PackageSource::Url { url, subdirectory }, _) => Some(DirectUrl {
                url: url.to_string(),
                info: DirectInfo::Archive {},
                subdirectory: subdirectory.clone(),
            }),
            (PackageSource::Git(git), _) => Some(DirectUrl {
                url: git.url.to_string(),
                info: DirectInfo::Vcs {
                    vcs: "git".to_owned(),
                    commit_id: git.commit.clone(),
                    requested_revision: git.reference.as_ref().map(|(_, value)| value.clone()),
                },
                subdirectory: git.subdirectory.clone(),
            }),
            (PackageSource::Path(path), _) => Some(DirectUrl {
                url: file_url(&self.absolute(path)),
                info: DirectInfo::Archive {},
                subdirectory: None,
            }),
            (_, Install::Directory { path, editable }) => Some(DirectUrl {
                url: file_url(path),
                info: DirectInfo::Dir {
                    editable: *editable,
                },
                subdirectory: None,
            }),
            _ => None,
        }
    }
}
