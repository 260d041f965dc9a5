//! Wheels made on this machine: found again by the key of everything that shaped them.
//!
//! The wheel itself is an ordinary entry under its own digest. What is added is one small file
//! that leads from the key to it.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::writer::make_dir;
use super::{Blob, Origin, Store, StoreError};
use crate::core::digest::Digest;
use crate::core::foreign;

/// What a key leads to.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Built {
    pub(super) file_name: String,
    pub(super) digest: Digest,
}

impl Store {
    /// The file name and bytes of the wheel that was built under this key, if it is here.
    pub fn built(&self, key: &Digest) -> Option<(String, Blob)> {
        let text = foreign::read(self.built_path(key), foreign::TEXT).ok()?;
        let built: Built = serde_json::from_slice(&text).ok()?;
        let blob = self.get(&built.digest)?;
        Some((built.file_name, blob))
    }

    /// Takes a wheel that was just built under this key, and returns what is stored under it. When
    /// another process was faster, that is the other one's wheel: all users of a store see one.
    ///
    /// `made_by` is what `store list` shows as its source.
    ///
    /// # Errors
    /// When the wheel cannot be read or the store cannot be written to.
    pub fn insert_built(
        &self,
        key: &Digest,
        file_name: &str,
        wheel: &Utf8Path,
        made_by: &str,
    ) -> Result<(String, Blob), StoreError> {
        let origin = Origin {
            file_name: file_name.to_owned(),
            source: made_by.to_owned(),
        };
        let blob = self.take_as_is(wheel, &origin)?;
        let built = Built {
            file_name: file_name.to_owned(),
            digest: blob.digest.clone(),
        };
        let path = self.built_path(key);
        make_dir(path.parent().unwrap_or(&path))?;
        let staged = self.stage_json(&built)?;
        loop {
            match fs::hard_link(&staged, &path) {
                Ok(()) => break,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if let Some(theirs) = self.built(key) {
                        let _ = fs::remove_file(&staged);
                        return Ok(theirs);
                    }
                    // It leads nowhere any more: ours takes its place.
                    let _ = fs::remove_file(&path);
                }
                // No hard links here: the last one wins instead of the first.
                Err(_) => {
                    fs::rename(&staged, &path)
                        .map_err(StoreError::io("rename into the store", &path))?;
                    return Ok((built.file_name, blob));
                }
            }
        }
        let _ = fs::remove_file(&staged);
        Ok((built.file_name, blob))
    }

    /// Forgets what was built under this key. What it was stays, under its own digest.
    pub fn forget_built(&self, key: &Digest) {
        // Where it cannot be removed, what comes is the same again.
        let _ = fs::remove_file(self.built_path(key));
    }

    fn built_path(&self, key: &Digest) -> Utf8PathBuf {
        self.layout
            .join("built")
            .join(format!("{}-{}.json", key.algorithm(), key.hex()))
    }

    /// Writes a value as JSON to a file in `tmp/`, to be moved to its place.
    fn stage_json(&self, value: &impl Serialize) -> Result<Utf8PathBuf, StoreError> {
        let mut text = serde_json::to_vec(value)
            .map_err(|error| StoreError::io("write", &self.layout)(error.into()))?;
        text.push(b'\n');
        let mut writer = self.writer(crate::core::digest::Algorithm::Sha256)?;
        writer.write(&text)?;
        Ok(writer.into_staged())
    }

    /// Writes a value as JSON, whole or not at all.
    pub(super) fn write_json(
        &self,
        path: &Utf8Path,
        value: &impl Serialize,
    ) -> Result<(), StoreError> {
        let staged = self.stage_json(value)?;
        fs::rename(&staged, path).map_err(|error| {
            let _ = fs::remove_file(&staged);
            StoreError::io("rename into the store", path)(error)
        })
    }
}
