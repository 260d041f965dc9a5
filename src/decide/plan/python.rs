//! The plan of a Python environment: one artifact for each wanted package, and why this one.

use camino::Utf8PathBuf;
use pep508_rs::PackageName;
use serde::{Deserialize, Serialize};

use super::choose::{Chooser, NoArtifact, shown};
use super::planned::{Install, PlannedPackage};
use super::select::select;
use super::selection::{SelectError, Selection};
use crate::core::artifact::Artifact;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::UvLock;
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
    #[error("{lock} leads to both {both} for {target}; {again}")]
    Twice {
        /// The lock.
        lock: Utf8PathBuf,
        /// The two.
        both: String,
        /// The target.
        target: String,
        /// What to do.
        again: &'static str,
    },
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
                    both: format!(
                        "{name} {} and {name} {}",
                        shown(other.version.as_ref()),
                        shown(package.version.as_ref()),
                        name = package.name,
                    ),
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
            let chosen = chooser.choose(&wanted.path);
            let (install, reason) = chosen.map_err(PlanError::NoArtifact)?;
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
