//! What can go wrong in the store.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::digest::Digest;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No variable says where the store is.
    #[error(
        "there is no place for the store: name one with --store, or set LOCKWRIGHT_STORE or HOME"
    )]
    NoRoot,
    /// The folder cannot be made.
    #[error("the store `{root}` cannot be made: choose another folder with --store")]
    Root {
        /// The folder.
        root: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No space or quota left.
    #[error(
        "the disk is full, and nothing of `{path}` was kept: free some space (`lockwright store gc` \
         removes what is no longer used), or choose a store on another disk with --store"
    )]
    Full {
        /// What was being written.
        path: Utf8PathBuf,
    },
    /// Any other failure of the filesystem.
    #[error("cannot {doing} `{path}`")]
    Io {
        /// A verb: `write`, `rename`…
        doing: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in a store is no longer what its name says.
    #[error(
        "`{path}` in the store has changed: it should be {expected}, and is {got}: remove it with \
         `lockwright store verify --remove`, and have it fetched again"
    )]
    Changed {
        /// The file.
        path: Utf8PathBuf,
        /// What it should hash to.
        expected: Digest,
        /// What it hashes to.
        got: Digest,
    },
    /// It is not, and stays in the way.
    #[error(
        "{file_name} in the store has changed ({why}), and cannot be put aside: `lockwright store \
         verify --remove` removes it, run by somebody who may write to the store"
    )]
    Stuck {
        /// What.
        file_name: String,
        /// How that was seen.
        why: String,
        /// Why it stays.
        source: Box<StoreError>,
    },
    /// The bytes are not the expected ones; nothing of them was kept.
    #[error("expected {expected}, got {got} ({size} bytes)")]
    Mismatch {
        /// What they should hash to.
        expected: Digest,
        /// What they hash to.
        got: Digest,
        /// How many they are.
        size: u64,
    },
}

impl StoreError {
    /// For `map_err`: says what was being done and to what, and tells a full disk from the rest.
    pub(super) fn io(doing: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full {
                path: path.to_owned(),
            },
            _ => Self::Io {
                doing,
                path: path.to_owned(),
                source,
            },
        }
    }
}
