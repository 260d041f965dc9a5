//! Whether what is kept of artifacts beside them is what it was.

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::contents::{Index, artifact_of};
use super::entries::names;
use super::{Store, StoreError, extracted, uncompressed};
use crate::core::digest::Digest;

impl Store {
    /// Reads all that is kept of artifacts beside them; what is not what it was. With `remove` it
    /// goes.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn verify_contents(&self, remove: bool) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let folders = names(&self.layout.join("contents"))?;
        let damaged: Vec<_> = folders.into_par_iter().flat_map_iter(damaged).collect();
        if remove {
            for path in &damaged {
                self.discard(path);
            }
        }
        Ok(damaged)
    }

    /// Whether what is kept of an artifact is what it was; what is not is told, and goes.
    pub(super) fn is_sound(&self, folder: &Utf8Path) -> bool {
        let damaged = damaged(folder.to_owned());
        for path in &damaged {
            tracing::warn!("`{path}` has changed, and is made again");
            self.discard(path);
        }
        damaged.is_empty()
    }

    /// What is kept of some artifacts, and is not what it was.
    pub(super) fn rotten_contents(&self, of: &[Digest]) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut folders = names(&self.layout.join("contents"))?;
        folders.retain(|folder| artifact_of(folder).is_some_and(|digest| of.contains(&digest)));
        Ok(folders.into_par_iter().flat_map_iter(damaged).collect())
    }
}

/// What is kept of one artifact, and is not what it was: its folder, or parts of that.
fn damaged(folder: Utf8PathBuf) -> Vec<Utf8PathBuf> {
    let Some(index) = Index::open(folder.clone()) else {
        return vec![folder];
    };
    let parts = [
        ("bytes", uncompressed::is_true(&index)),
        ("files", extracted::is_true(&index)),
    ];
    let damaged = parts.into_iter().filter(|(_, is_true)| !is_true);
    damaged.map(|(part, _)| index.folder.join(part)).collect()
}
