//! What a plan says of one package.

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::Version;
use pep508_rs::PackageName;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::core::artifact::{Artifact, Location};
use crate::core::paths::{normal, way};
use crate::decide::lock::is_file_name;
use crate::decide::lock::uv::GitSource;

/// One package and how it is obtained.
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
    /// digest comes from.
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
                    "{} comes as `{name}`, which is not a file name",
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

/// How a package is obtained.
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
    pub(super) url: String,
    #[serde(flatten)]
    pub(super) info: DirectInfo,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subdirectory: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DirectInfo {
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

pub(super) fn file_url(path: &Utf8Path) -> String {
    Url::from_file_path(path).map_or_else(|()| format!("file://{path}"), String::from)
}
