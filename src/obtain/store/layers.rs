//! Layers of images that were made here: found again by the key of what is in them, so that nothing of it
//! is read or compressed again.
//!
//! The blob is an ordinary entry under its own digest. What is added is one small file that leads from
//! the key to it.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::writer::make_dir;
use super::{Blob, Store, StoreError};
use crate::core::digest::Digest;
use crate::core::foreign;

/// What a key leads to; the cleaning of the store reads the first two, as of all that leads to an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Layer {
    file_name: String,
    digest: Digest,
    diff_id: Digest,
}

impl Store {
    /// The layer that was made under this key, if it is here: the digest of its archive before it was
    /// compressed, and its blob.
    pub fn layer(&self, key: &Digest) -> Option<(Digest, Blob)> {
        let text = foreign::read(self.layer_path(key), foreign::TEXT).ok()?;
        let layer: Layer = serde_json::from_slice(&text).ok()?;
        let blob = self.get(&layer.digest)?;
        Some((layer.diff_id, blob))
    }

    /// Notes which layer was made under this key.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn note_layer(
        &self,
        key: &Digest,
        file_name: &str,
        diff_id: &Digest,
        blob: &Blob,
    ) -> Result<(), StoreError> {
        let path = self.layer_path(key);
        make_dir(path.parent().unwrap_or(&path))?;
        let layer = Layer {
            file_name: file_name.to_owned(),
            digest: blob.digest.clone(),
            diff_id: diff_id.clone(),
        };
        self.write_json(&path, &layer)
    }

    fn layer_path(&self, key: &Digest) -> Utf8PathBuf {
        let name = format!("{}-{}.json", key.algorithm(), key.hex());
        self.layout.join("layers").join(name)
    }
}
