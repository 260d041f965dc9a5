//! An artifact: one file that a lockfile names, where it comes from and what its bytes must be.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::core::digest::Digest;

/// A wheel, sdist, npm tarball or other archive, as the lock names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Last part of its location: what it is called in messages and in a vendored folder.
    pub file_name: String,
    /// Where it comes from.
    pub location: Location,
    /// What its bytes must hash to. `None`: the lock gives no digest, and the artifact is refused
    /// unless the user allows it by name.
    pub digest: Option<Digest>,
    /// Length in bytes, where the lock gives it.
    pub size: Option<u64>,
}

/// Where an artifact comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// Over the network, mirrors applied when it is fetched.
    Url(Url),
    /// A file on this machine, already made absolute against the lock's folder.
    Path(Utf8PathBuf),
}

impl std::fmt::Display for Location {
    /// The URL without its password, or the path.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path.as_str()),
            Self::Url(url) if url.password().is_some() => {
                let mut shown = url.clone();
                // Fails only for URLs that cannot have a password, which have none.
                let _ = shown.set_password(Some("****"));
                write!(f, "{shown}")
            }
            Self::Url(url) => write!(f, "{url}"),
        }
    }
}
