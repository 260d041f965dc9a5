//! What is built has no digest in a lock: it is found by the key of all that shaped it, in the store
//! or in a shared store.

use camino::Utf8Path;

use super::FetchOptions;
use crate::core::digest::Digest;
use crate::obtain::store::{Blob, Store, StoreError};

impl FetchOptions {
    /// What was built of a recipe: here, or elsewhere by somebody who is trusted.
    pub fn built(&self, store: &Store, key: &Digest) -> Option<(String, Blob)> {
        let shared = || self.shared.as_ref()?.built(store, key);
        store.built(key).or_else(shared)
    }

    /// Takes what was just built here, as [`Store::insert_built`] does, and gives it to whoever shares.
    ///
    /// # Errors
    /// When it cannot be read or the store cannot be written to.
    pub fn keep_built(
        &self,
        store: &Store,
        key: &Digest,
        file_name: &str,
        file: &Utf8Path,
        made_by: &str,
    ) -> Result<(String, Blob), StoreError> {
        let (file_name, blob) = store.insert_built(key, file_name, file, made_by)?;
        if let Some(shared) = &self.shared {
            shared.give_built(key, &file_name, &blob);
        }
        Ok((file_name, blob))
    }
}
