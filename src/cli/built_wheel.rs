//! Wheels that were built before, as `lockwright wheel` leaves them, and `--built` takes them.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::decide::lock::is_file_name;
use crate::obtain::store::Store;

/// What stands beside a wheel, so that it is found again by what it was made of.
pub const BESIDE: &str = "built.json";

/// A wheel that was built, and what it was made of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BuiltWheel {
    /// The package, as its plan names it: `gssapi 1.9.0`.
    pub package: String,
    /// The key of its recipe.
    pub key: Digest,
    /// What the wheel is called.
    pub file_name: String,
    /// Its bytes.
    pub digest: Digest,
    /// The folder that it is in.
    #[serde(skip)]
    pub folder: Utf8PathBuf,
}

impl BuiltWheel {
    /// What a folder of `--built` has.
    ///
    /// # Errors
    /// When it has none.
    pub fn read(folder: &Utf8Path) -> Result<Self, Failure> {
        let file = folder.join(BESIDE);
        let no = |why: String| {
            format!(
                "{file} does not say which wheel was built: {why}; `lockwright wheel` writes such a folder"
            )
        };
        let bytes = foreign::read(&file, foreign::TEXT).map_err(|error| no(error.to_string()))?;
        let mut given: Self =
            serde_json::from_slice(&bytes).map_err(|error| no(error.to_string()))?;
        if !is_file_name(&given.file_name) {
            return Err(no("it has an invalid file name".into()).into());
        }
        folder.clone_into(&mut given.folder);
        Ok(given)
    }

    /// Puts it in the store, under what it was made of.
    ///
    /// # Errors
    /// When it is not what it is said to be, or cannot be kept.
    pub fn keep(&self, store: &Store) -> Result<(), Failure> {
        let wheel = self.path();
        let made_by = format!("{} of {}", self.package, self.folder);
        let (_, blob) = store.insert_built(&self.key, &self.file_name, &wheel, &made_by)?;
        match blob.digest == self.digest {
            true => Ok(()),
            false => {
                store.forget_built(&self.key);
                Err(
                    format!("{wheel} is not the wheel that was built: its digest is another")
                        .into(),
                )
            }
        }
    }

    /// The wheel.
    pub fn path(&self) -> Utf8PathBuf {
        self.folder.join(&self.file_name)
    }
}
