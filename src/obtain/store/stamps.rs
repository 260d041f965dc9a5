//! What trees were when they were made, outside of them: so that a run can tell at once that nothing
//! has touched one since ([`Stamp`]), and trees stay the same bytes each time. Each is a line of JSON,
//! which says of what tree it is, and the stamp.
//!
//! A stamp holds for one folder on one machine. Of a tree that was copied or moved there is none, nor
//! where the store is another or cannot be written to: then it is looked at some other way, or made
//! anew.

use std::fs;
use std::thread::{self, JoinHandle};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::entries::names;
use super::gc::Leftover;
use super::writer::make_dir;
use super::{Store, StoreError};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::files::tree::{Listing, Stamp};

/// A tree that was made.
#[derive(Debug, Serialize, Deserialize)]
struct Stamped {
    tree: Utf8PathBuf,
    made_from: Digest,
    /// Bytes of the stamp: one that was cut off, by a power failure say, is none.
    size: usize,
}

/// A look at a tree, under way.
#[derive(Debug)]
pub struct Look {
    stamped: Stamped,
    holds: JoinHandle<Option<Stamp>>,
}

impl Look {
    /// Whether the tree was made from this, and is as it was then.
    pub fn finds(self, made_from: &Digest) -> bool {
        self.stamped.made_from == *made_from && self.stamp().is_some()
    }

    /// The stamp, if the tree is as it was made, whatever from.
    pub fn stamp(self) -> Option<Stamp> {
        self.holds.join().unwrap_or_default()
    }
}

impl Store {
    /// Notes what a tree is that was just made from something. Where that cannot be noted, it is told
    /// to the log alone: the next run will have to look closer. Where who wrote it says what is in it, that is believed.
    pub fn stamp(&self, tree: &Utf8Path, made_from: &Digest, listing: Option<&Listing>) {
        let note = || -> Result<(), StoreError> {
            let stamp = Stamp::settled(tree, listing).map_err(StoreError::io("read", tree))?;
            let path = self.stamp_path(tree);
            make_dir(path.parent().unwrap_or(&path))?;
            let stamped = Stamped {
                tree: real(tree),
                made_from: made_from.clone(),
                size: stamp.as_bytes().len(),
            };
            let line = serde_json::to_vec(&stamped)
                .map_err(|error| StoreError::io("write", &path)(error.into()))?;
            let mut writer = self.writer(Algorithm::Sha256)?;
            for part in [&line, &b"\n"[..], stamp.as_bytes()] {
                writer.write(part)?;
            }
            let staged = writer.into_staged();
            fs::rename(&staged, &path).map_err(|error| {
                let _ = fs::remove_file(&staged);
                StoreError::io("rename into the store", &path)(error)
            })
        };
        if let Err(error) = note() {
            tracing::info!("what {tree} is cannot be noted: {error}");
        }
    }

    /// Begins to look whether a tree is as it was stamped, while the caller finds out what it should
    /// be made from. Nothing, where it has no stamp.
    pub fn look(&self, tree: &Utf8Path) -> Option<Look> {
        let text = foreign::read(self.stamp_path(tree), foreign::TEXT).ok()?;
        let (stamped, stamp) = read(&text)?;
        let (tree, stamp) = (tree.to_owned(), Stamp::from_bytes(stamp.to_vec()));
        let holds = move || stamp.holds(&tree).unwrap_or(false).then_some(stamp);
        let holds = thread::spawn(holds);
        Some(Look { stamped, holds })
    }

    /// Stamps of trees that are no more.
    pub(super) fn stale_stamps(&self) -> Result<Vec<Leftover>, StoreError> {
        let mut stale = Vec::new();
        for path in names(&self.layout.join("stamps"))? {
            let text = foreign::read(&path, foreign::TEXT).unwrap_or_default();
            if read(&text).is_none_or(|(stamped, _)| !stamped.tree.is_dir()) {
                let size = text.len() as u64;
                stale.push(Leftover { path, size });
            }
        }
        Ok(stale)
    }

    fn stamp_path(&self, tree: &Utf8Path) -> Utf8PathBuf {
        let name = Digest::of(Algorithm::Sha256, real(tree).as_str().as_bytes());
        let folder = self.layout.join("stamps");
        folder.join(format!("{}.stamp", name.hex()))
    }
}

fn read(text: &[u8]) -> Option<(Stamped, &[u8])> {
    let end = text.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = text.split_at_checked(end)?;
    let stamped: Stamped = serde_json::from_slice(line).ok()?;
    let stamp = rest.get(1..)?;
    (stamp.len() == stamped.size).then_some((stamped, stamp))
}

/// A tree's own path, links resolved.
fn real(tree: &Utf8Path) -> Utf8PathBuf {
    tree.canonicalize_utf8().unwrap_or_else(|_| tree.to_owned())
}
