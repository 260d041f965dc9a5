//! Which wheels were found to be what they say: an empty file for each.
//!
//! A wheel's RECORD has a hash for each member. Holding them all against each other takes as long
//! as unpacking does, and under one digest it comes out the same each time, so it is done once.

use std::fs::{self, File};

use camino::Utf8PathBuf;

use super::Store;
use super::writer::make_dir;
use crate::core::digest::Digest;

impl Store {
    /// Whether the wheel of this digest was checked before.
    pub fn is_checked(&self, digest: &Digest) -> bool {
        self.checked_path(digest).exists()
    }

    /// Notes that the wheel of this digest has been checked. Where the store cannot be written to,
    /// it is checked again the next time.
    pub fn mark_checked(&self, digest: &Digest) {
        let path = self.checked_path(digest);
        if path.parent().is_some_and(|folder| make_dir(folder).is_ok()) {
            let _ = File::create(path);
        }
    }

    /// Forgets that it was.
    pub(super) fn forget_checked(&self, digest: &Digest) {
        let _ = fs::remove_file(self.checked_path(digest));
    }

    fn checked_path(&self, digest: &Digest) -> Utf8PathBuf {
        let name = format!("{}-{}", digest.algorithm(), digest.hex());
        self.layout.join("checked/wheel").join(name)
    }
}
