//! What is in the store, and whether it still is what it was.

use std::fs;
use std::io;
use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;
use rayon::prelude::*;

use super::writer::BUFFER;
use super::{Blob, Origin, Store, StoreError};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;
use crate::core::progress::Progress;

/// One artifact, with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The artifact.
    pub blob: Blob,
    /// What it is called and where it came from; `None` where nobody knows any more.
    pub origin: Option<Origin>,
    /// When it was last used, to the day.
    pub last_used: SystemTime,
}

/// An entry that is no longer what its name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The entry.
    pub entry: Entry,
    /// What it hashes to now; `None`: it cannot be read.
    pub got: Option<Digest>,
}

impl Entry {
    /// Its file name, or a stand-in.
    pub fn file_name(&self) -> &str {
        (self.origin.as_ref()).map_or("(unknown)", |origin| &origin.file_name)
    }
}

impl Store {
    /// All artifacts, by file name and then by digest.
    ///
    /// # Errors
    /// When a folder of the store cannot be read.
    pub fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for algorithm in Algorithm::ALL {
            for shard in names(&self.layout.join("files").join(algorithm.name()))? {
                for path in names(&shard)? {
                    if let Some(entry) = self.entry(algorithm, path) {
                        entries.push(entry);
                    }
                }
            }
        }
        entries.sort_by(|one, other| {
            (one.file_name(), &one.blob.digest).cmp(&(other.file_name(), &other.blob.digest))
        });
        Ok(entries)
    }

    /// `None` for whatever is no artifact: it is not ours to speak of.
    pub(super) fn entry(&self, algorithm: Algorithm, path: Utf8PathBuf) -> Option<Entry> {
        let bytes = HEXLOWER.decode(path.file_name()?.as_bytes()).ok()?;
        let digest = Digest::new(algorithm, &bytes).ok()?;
        let metadata = fs::symlink_metadata(&path).ok();
        let metadata = metadata.filter(fs::Metadata::is_file)?;
        Some(Entry {
            origin: self.origin(&digest),
            last_used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
            blob: Blob {
                path,
                size: metadata.len(),
                digest,
                is_new: false,
            },
        })
    }

    /// Hashes every entry again, on all cores, and returns those that are not what they should be.
    pub fn verify(&self, entries: &[Entry], progress: &Progress) -> Vec<Damaged> {
        entries
            .par_iter()
            .filter_map(|entry| {
                let got = hash(&entry.blob);
                progress.advance(entry.blob.size);
                (got.as_ref() != Some(&entry.blob.digest)).then(|| Damaged {
                    entry: entry.clone(),
                    got,
                })
            })
            .collect()
    }

    /// Takes an entry out, so that it is fetched again when it is wanted.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, blob: &Blob) -> Result<(), StoreError> {
        remove(&blob.path)?;
        remove(&blob.path.with_extension("json"))
    }
}

pub(super) fn hash(blob: &Blob) -> Option<Digest> {
    let file = foreign::open(&blob.path).ok()?;
    let mut hasher = Hasher::new(blob.digest.algorithm());
    io::copy(&mut io::BufReader::with_capacity(BUFFER, file), &mut hasher).ok()?;
    Some(hasher.finish())
}

/// Removes a file; that it is gone already is as good.
pub(super) fn remove(path: &Utf8Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// What is in a folder, in order; nothing if there is no such folder.
pub(super) fn names(folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, StoreError> {
    let listed = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listed => listed.and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.path().to_owned()))
                .collect::<io::Result<Vec<_>>>()
        }),
    };
    let mut paths = listed.map_err(StoreError::io("list", folder))?;
    paths.sort_unstable();
    Ok(paths)
}
