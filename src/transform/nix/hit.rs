//! A reference to the Nix store in a tree, and why there may be no telling.

use std::io;
use std::path::{Path, PathBuf};

use super::reference::Reference;
use crate::core::io_error::IoError;
use crate::core::walk::WalkError;

/// Why references could not be looked for, or not be stripped.
#[derive(Debug, thiserror::Error)]
pub enum RefsError {
    /// The tree could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file could not be replaced by its stripped form.
    #[error("cannot strip {}: it is as it was", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it was when it was scanned.
    #[error("{} changed while it was stripped, and is left alone: try again when nothing writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Where in a tree a reference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file, at this offset.
    Contents(u64),
    /// In what a link leads to.
    Target,
    /// In the path itself.
    Name,
}

/// A reference in a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Relative to the tree; of a file with several names, the first.
    pub path: PathBuf,
    /// Where there.
    pub place: Place,
    /// To what.
    pub reference: Reference,
}

/// A file that may hide references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opaque {
    /// What it is: `gzip`, `bytecode`.
    pub kind: &'static str,
    /// Relative to the tree.
    pub path: PathBuf,
}

/// The tree itself, when it is a single file, has an empty path in itself.
pub fn join(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(path)
    }
}
