//! Which artifact of a package is used, or that it is built.
//!
//! The choice follows `uv-resolver/src/lock/mod.rs` (`Package::to_dist`, `find_best_wheel`): the
//! compatible wheel of the best tag, the higher build tag among equals, the first in the lock among
//! those; a source where there is none or wheels are not allowed.

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::Version;
use pep508_rs::PackageName;

use super::planned::{BuildReason, DirectInfo, DirectUrl, Install, file_url};
use super::selection::Selection;
use crate::core::artifact::{Artifact, Location};
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::{
    FileLocation, Package, PackageSource, SourceFile, UvLock, WheelFile,
};
use crate::decide::target::PythonTarget;

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
                "allow it again: --{what} and --no-{what}-package NAME are on the command line, \
                 no-{what} and no-{what}-package are in [tool.uv]"
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

/// One package of the lock, and what decides about it.
pub(super) struct Chooser<'a> {
    pub(super) lock: &'a UvLock,
    pub(super) target: &'a PythonTarget,
    pub(super) selection: &'a Selection,
    pub(super) settings: &'a ProjectSettings,
    pub(super) package: &'a Package,
    /// Whether it is the project or of its workspace: those are built whatever `no-build` says.
    pub(super) is_member: bool,
}

impl Chooser<'_> {
    /// What is done to have it, and why that. `path` says who asked for it.
    pub(super) fn choose(&self, path: &[String]) -> Result<(Install, String), Box<NoArtifact>> {
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
            source => Err(Box::new(NoArtifact {
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
            })),
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

    /// What `direct_url.json` says of it.
    pub(super) fn direct_url(&self, install: &Install) -> Option<DirectUrl> {
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

/// A version, in messages.
pub(super) fn shown(version: Option<&Version>) -> String {
    version.map_or_else(|| String::from("(version not known)"), Version::to_string)
}
