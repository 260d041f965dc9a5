//! From store to store: how artifacts are carried to a machine that has no network.
//!
//! A store is a plain folder, so the one that [`Store::import`] fills can be put on a disk, used
//! where it is with `--store`, or imported into another one. Every byte is hashed on the way.

use camino::Utf8Path;
use rayon::prelude::*;

use super::entries::Entry;
use super::{Blob, LAYOUT, Origin, Store, StoreError};
use crate::core::digest::Algorithm;
use crate::core::progress::Progress;

impl Store {
    /// Whether a folder is a store's root.
    pub fn is_at(root: &Utf8Path) -> bool {
        root.join(LAYOUT).join("files").is_dir()
    }

    /// Copies entries of another store into this one, and returns those that were not here yet.
    ///
    /// # Errors
    /// When one is not what its name says, cannot be read, or cannot be written.
    pub fn import(&self, entries: &[Entry], progress: &Progress) -> Result<Vec<Blob>, StoreError> {
        let take = |entry: &Entry| {
            let blob = if self.get(&entry.blob.digest).is_some() {
                None
            } else {
                let origin = entry.origin.clone().unwrap_or_else(|| Origin {
                    file_name: "(unknown)".to_owned(),
                    source: entry.blob.path.to_string(),
                });
                Some(self.take_entry(entry, &origin)?)
            };
            progress.advance(entry.blob.size);
            Ok(blob)
        };
        let taken: Result<Vec<Option<Blob>>, StoreError> = entries.par_iter().map(take).collect();
        Ok(taken?.into_iter().flatten().collect())
    }

    /// What another store has let rot is that store's.
    fn take_entry(&self, entry: &Entry, origin: &Origin) -> Result<Blob, StoreError> {
        let Blob { path, digest, .. } = &entry.blob;
        self.take(path, digest, origin)
            .map_err(|error| match error {
                StoreError::Mismatch { expected, got, .. } => StoreError::Changed {
                    path: path.clone(),
                    expected,
                    got,
                },
                other => other,
            })
    }

    /// Takes a plain file under the digest that locks of its kind use: SHA-512 for an npm tarball
    /// (`.tgz`), SHA-256 for anything else.
    ///
    /// # Errors
    /// When it cannot be read or the store cannot be written to.
    pub fn import_file(&self, path: &Utf8Path) -> Result<Blob, StoreError> {
        let algorithm = match path.extension() {
            Some("tgz") => Algorithm::Sha512,
            _ => Algorithm::Sha256,
        };
        let origin = Origin {
            file_name: path.file_name().unwrap_or_default().to_owned(),
            source: path.to_string(),
        };
        self.take_as(algorithm, path, &origin)
    }
}
