//! The store: verified artifacts, named by their digests.
//!
//! ```text
//! <root>/v1/artifacts/<algorithm>/<first two hex digits>/<hex>   one file each, compressed as it came
//! <root>/v1/built/<key>/<file name>                              wheels made here, under what made them
//! <root>/v1/tmp/                                                 what is being written
//! <root>/interpreters/                                           answers of interpreters
//! ```
//!
//! Nothing gets its name before its digest is right, and names are given by `rename`, so several
//! processes may share a store without locks: whoever comes second replaces a file by the same
//! bytes. What is in the store may be used offline.

use std::fs::File;
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use tempfile::NamedTempFile;

use crate::digest::{Algorithm, Digest, Hasher};

/// A store on this machine.
#[derive(Debug, Clone)]
pub struct Store {
    root: Utf8PathBuf,
}

/// An artifact in the store: its bytes have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// Why the store could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No folder for it can be told.
    #[error("there is no folder for the store: set LOCKWRIGHT_STORE, or HOME, or give --store")]
    NoRoot,
    /// The disk is full.
    #[error(
        "the disk of the store {root} is full; make room, or put the store elsewhere with --store"
    )]
    Full {
        /// The store.
        root: Utf8PathBuf,
    },
    /// Something else the system says.
    #[error("the store {root} cannot be used: {doing}: {source}")]
    Io {
        /// The store.
        root: Utf8PathBuf,
        /// What was being done.
        doing: String,
        /// What the system says.
        source: io::Error,
    },
    /// The bytes are not what the lock names.
    #[error("{what} is not what the lock names: expected {expected}, got {got}; nothing was kept")]
    Mismatch {
        /// What was being put in.
        what: String,
        /// The lock's digest.
        expected: Digest,
        /// The bytes' digest.
        got: Digest,
    },
}

impl Store {
    /// Opens a store, making its folders.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(root: &Utf8Path) -> Result<Self, StoreError> {
        let store = Self {
            root: root.to_owned(),
        };
        let tmp = store.root.join("v1/tmp");
        std::fs::create_dir_all(&tmp).map_err(|error| store.error("make its folders", error))?;
        Ok(store)
    }

    /// Where the store is when nobody says: `LOCKWRIGHT_STORE`, `$XDG_CACHE_HOME/lockwright`, or
    /// `~/.cache/lockwright`.
    ///
    /// # Errors
    /// When none of them is set.
    pub fn default_root() -> Result<Utf8PathBuf, StoreError> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        set("LOCKWRIGHT_STORE")
            .map(Utf8PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|cache| Utf8Path::new(&cache).join("lockwright")))
            .or_else(|| set("HOME").map(|home| Utf8Path::new(&home).join(".cache/lockwright")))
            .ok_or(StoreError::NoRoot)
    }

    /// The folder.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// Where an artifact is, or would be.
    pub fn path(&self, digest: &Digest) -> Utf8PathBuf {
        let hex = digest.hex();
        let first = hex.get(..2).unwrap_or(&hex).to_owned();
        self.root
            .join("v1/artifacts")
            .join(digest.algorithm().name())
            .join(first)
            .join(hex)
    }

    /// The artifact of a digest, if it is here.
    pub fn get(&self, digest: &Digest) -> Option<Blob> {
        let path = self.path(digest);
        let meta = std::fs::metadata(&path).ok()?;
        meta.is_file().then(|| Blob {
            size: meta.len(),
            path,
        })
    }

    /// Begins to take in an artifact.
    ///
    /// # Errors
    /// When no file can be made.
    pub fn writer(&self, expected: &Digest) -> Result<Writer<'_>, StoreError> {
        let file = NamedTempFile::new_in(self.root.join("v1/tmp"))
            .map_err(|error| self.error("make a file", error))?;
        let hasher = Hasher::new(expected.algorithm());
        Ok(Writer {
            store: self,
            file,
            hasher,
            expected: expected.clone(),
            size: 0,
        })
    }

    /// Takes in a file of this machine.
    ///
    /// # Errors
    /// When it cannot be read, or is not what is expected.
    pub fn insert_file(&self, path: &Utf8Path, expected: &Digest) -> Result<Blob, StoreError> {
        self.read_in(path, self.writer(expected)?)?
            .commit(path.as_str())
    }

    /// Takes in a file of this machine that the lock gives no digest for.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn insert_unhashed_file(&self, path: &Utf8Path) -> Result<Blob, StoreError> {
        let any = Digest::of(Algorithm::Sha256, b"");
        self.read_in(path, self.writer(&any)?)?.commit_unchecked()
    }

    fn read_in<'a>(
        &self,
        path: &Utf8Path,
        mut writer: Writer<'a>,
    ) -> Result<Writer<'a>, StoreError> {
        let reading = |error| self.error(&format!("read {path}"), error);
        let mut source = File::open(path).map_err(reading)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            match io::Read::read(&mut source, &mut buffer).map_err(reading)? {
                0 => return Ok(writer),
                read => writer.write(buffer.get(..read).unwrap_or_default())?,
            }
        }
    }

    fn error(&self, doing: &str, source: io::Error) -> StoreError {
        if source.kind() == io::ErrorKind::StorageFull {
            return StoreError::Full {
                root: self.root.clone(),
            };
        }
        StoreError::Io {
            root: self.root.clone(),
            doing: doing.to_owned(),
            source,
        }
    }
}

/// An artifact on its way into the store. Dropped before [`Self::commit`], it leaves nothing.
pub struct Writer<'a> {
    store: &'a Store,
    file: NamedTempFile,
    hasher: Hasher,
    expected: Digest,
    size: u64,
}

impl Writer<'_> {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written: the disk is full, say.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|error| self.store.error("write to it", error))
    }

    /// How many bytes have been added.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Starts again from nothing: what was added was not the right file's.
    ///
    /// # Errors
    /// When the file cannot be cut.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        let cut = |file: &mut File| {
            file.set_len(0)?;
            io::Seek::rewind(file)
        };
        cut(self.file.as_file_mut()).map_err(|error| self.store.error("cut a file", error))?;
        self.hasher = Hasher::new(self.expected.algorithm());
        self.size = 0;
        Ok(())
    }

    /// Gives the artifact its name, if it is the right one. `what` is for the message if not.
    ///
    /// # Errors
    /// When the digest is another; nothing is kept then.
    pub fn commit(self, what: &str) -> Result<Blob, StoreError> {
        let got = self.hasher.clone().finish();
        if got != self.expected {
            return Err(StoreError::Mismatch {
                what: what.to_owned(),
                expected: self.expected,
                got,
            });
        }
        self.place(&got)
    }

    /// Gives the artifact the name of whatever it hashes to: for those that the lock gives no
    /// digest for, and the user allows.
    ///
    /// # Errors
    /// When it cannot be named.
    pub fn commit_unchecked(self) -> Result<Blob, StoreError> {
        let got = self.hasher.clone().finish();
        self.place(&got)
    }

    /// Whether all that was added is the artifact that is expected.
    pub fn is_right(&self) -> bool {
        self.hasher.clone().finish() == self.expected
    }

    fn place(self, digest: &Digest) -> Result<Blob, StoreError> {
        let path = self.store.path(digest);
        let place = || -> io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
            self.file.as_file().set_permissions(mode)?;
            self.file.persist(&path)?;
            Ok(())
        };
        place().map_err(|error| self.store.error("name a file", error))?;
        Ok(Blob {
            path,
            size: self.size,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Utf8Path::from_path(folder.path()).unwrap()).unwrap();
        (folder, store)
    }

    #[test]
    fn only_the_right_bytes_get_a_name() {
        let (_folder, store) = store();
        let digest = Digest::of(Algorithm::Sha256, b"right");
        assert_eq!(store.get(&digest), None);

        let mut writer = store.writer(&digest).unwrap();
        writer.write(b"wrong").unwrap();
        let error = writer
            .commit("https://x.example/a.whl")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("https://x.example/a.whl is not what the lock names"),
            "{error}"
        );
        assert_eq!(store.get(&digest), None);
        assert_eq!(
            std::fs::read_dir(store.root().join("v1/tmp"))
                .unwrap()
                .count(),
            0
        );

        let mut writer = store.writer(&digest).unwrap();
        writer.write(b"wrong").unwrap();
        writer.restart().unwrap();
        writer.write(b"ri").unwrap();
        writer.write(b"ght").unwrap();
        let blob = writer.commit("a").unwrap();
        assert_eq!(store.get(&digest), Some(blob.clone()));
        assert_eq!(std::fs::read(blob.path).unwrap(), b"right");
    }
}
