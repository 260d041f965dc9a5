//! What is named by a digest over files, not over bytes: Go's modules, and their go.mod alone.
//!
//! An archive is an ordinary entry under its own SHA-256, and so is a go.mod. What is added is one small file
//! that leads from the digest over the files to it. It is a hint and no proof: whoever follows it holds what
//! it leads to against the digest, by the files' own.

use camino::Utf8PathBuf;

use super::built::Built;
use super::writer::make_dir;
use super::{Blob, Store, StoreError};
use crate::core::files_digest::FilesDigest;
use crate::core::foreign;

impl Store {
    /// What was found to have this digest over its files.
    pub fn of_files(&self, digest: &FilesDigest) -> Option<Blob> {
        let text = foreign::read(self.files_path(digest), foreign::TEXT).ok()?;
        let known: Built = serde_json::from_slice(&text).ok()?;
        self.get(&known.digest)
    }

    /// Notes what an artifact's digest over its files is.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn note_files(
        &self,
        digest: &FilesDigest,
        file_name: &str,
        blob: &Blob,
    ) -> Result<(), StoreError> {
        let path = self.files_path(digest);
        make_dir(path.parent().unwrap_or(&path))?;
        let known = Built {
            file_name: file_name.to_owned(),
            digest: blob.digest.clone(),
        };
        self.write_json(&path, &known)
    }

    fn files_path(&self, digest: &FilesDigest) -> Utf8PathBuf {
        let name = format!("h1-{}.json", digest.hex());
        self.layout.join("modules").join(name)
    }
}
