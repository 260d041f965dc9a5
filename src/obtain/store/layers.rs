//! Layers of images that were made here: found again by the key of what is in them, so that nothing of it
//! is read or compressed again.
//!
//! The blob is an ordinary entry under its own digest. What is added is one small file that leads from
//! the key to it, and says how the blob looked when it was last held against that.

use std::fs;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};

use super::writer::make_dir;
use super::{Blob, Store, StoreError};
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::walk::File;

/// What a key leads to; the cleaning of the store reads the first two, as of all that leads to an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Layer {
    file_name: String,
    digest: Digest,
    diff_id: Digest,
    #[serde(default)]
    look: String,
}

/// A layer that was made before.
#[derive(Debug)]
pub struct KeptLayer {
    /// The digest of its archive before it was compressed.
    pub diff_id: Digest,
    /// Its bytes.
    pub blob: Blob,
    look: String,
}

impl KeptLayer {
    /// Whether a file is the blob, and nobody has written to it since it was held against its digest.
    pub fn is_true(&self, file: &fs::Metadata) -> bool {
        File::of(file).look() == self.look
    }
}

impl Store {
    /// The layer that was made under this key, if it is here.
    pub fn layer(&self, key: &Digest) -> Option<KeptLayer> {
        let text = foreign::read(self.layer_path(key), foreign::TEXT).ok()?;
        let layer: Layer = serde_json::from_slice(&text).ok()?;
        Some(KeptLayer {
            blob: self.get(&layer.digest)?,
            diff_id: layer.diff_id,
            look: layer.look,
        })
    }

    /// Notes which layer was made under this key, whose blob was just held against its digest.
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
        let meta = fs::symlink_metadata(&blob.path);
        let meta = meta.map_err(StoreError::io("read", &blob.path))?;
        let layer = Layer {
            file_name: file_name.to_owned(),
            digest: blob.digest.clone(),
            diff_id: diff_id.clone(),
            look: File::of(&meta).look(),
        };
        self.write_json(&path, &layer)
    }

    fn layer_path(&self, key: &Digest) -> Utf8PathBuf {
        let name = format!("{}-{}.json", key.algorithm(), key.hex());
        self.layout.join("layers").join(name)
    }
}
