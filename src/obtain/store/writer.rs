//! How bytes enter the store: through a [`Writer`], which hashes them on their way.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use super::{Blob, Origin, Store, StoreError, plain};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;

/// How much is read at once where files are copied or hashed.
pub(super) const BUFFER: usize = 256 * 1024;

/// An entry in the making. Dropped without [`commit`](Writer::commit), it leaves nothing behind,
/// except that a resumable one keeps what it has for the next attempt.
pub struct Writer {
    store: Store,
    file: File,
    path: Utf8PathBuf,
    hasher: Hasher,
    algorithm: Algorithm,
    size: u64,
    /// Whether the bytes may serve another attempt when this one ends early.
    resumable: bool,
    /// The file has gone to its place.
    committed: bool,
}

/// What [`Store::resume`] found.
#[allow(clippy::large_enum_variant, reason = "one of them lives at a time")]
pub enum Claim {
    /// The download is ours to go on with, from [`Writer::size`].
    Ours(Writer),
    /// Another process is at it; this many bytes are there so far.
    Theirs(u64),
}

impl Store {
    /// A writer whose bytes are kept only once they are committed.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn writer(&self, algorithm: Algorithm) -> Result<Writer, StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let dir = self.layout.join("tmp");
        let pid = std::process::id();
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{pid}-{count}"));
            match File::create_new(&path) {
                Ok(file) => return Ok(self.start(file, path, algorithm, false)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => make_dir(&dir)?,
                // Left by a killed process, or of a container that shares the store.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("write", &path)(error)),
            }
        }
    }

    /// Claims the download of one artifact for this process, with what an earlier attempt left.
    ///
    /// # Errors
    /// When the store cannot be written to.
    pub fn resume(&self, digest: &Digest) -> Result<Claim, StoreError> {
        let path = self.partial_path(digest);
        loop {
            let opened = plain()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path);
            let file = match opened {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    make_dir(&self.layout.join("partial"))?;
                    continue;
                }
                Err(error) => return Err(StoreError::io("write", &path)(error)),
            };
            let metadata = file.metadata().map_err(StoreError::io("read", &path))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Claim::Theirs(metadata.len())),
                // A filesystem without locks: work on a file of our own instead.
                Err(_) => return self.writer(digest.algorithm()).map(Claim::Ours),
            }
            // Between opening and locking, its former owner may have renamed it into `files/`:
            // what is locked now must still be what the path names, or it is not ours to write.
            let still_there = fs::symlink_metadata(&path)
                .is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()));
            if still_there {
                let mut writer = self.start(file, path, digest.algorithm(), true);
                writer.catch_up()?;
                return Ok(Claim::Ours(writer));
            }
        }
    }

    /// Copies a file into the store, if it is what it should be.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when it is not, others when it cannot be read or copied.
    pub fn take(
        &self,
        path: &Utf8Path,
        expected: &Digest,
        origin: &Origin,
    ) -> Result<Blob, StoreError> {
        let mut writer = self.writer(expected.algorithm())?;
        writer.copy_from(path)?;
        writer.commit(expected, origin)
    }

    /// Copies a file into the store under its SHA-256, whatever that is.
    ///
    /// # Errors
    /// When it cannot be read or copied.
    pub fn take_as_is(&self, path: &Utf8Path, origin: &Origin) -> Result<Blob, StoreError> {
        self.take_as(Algorithm::Sha256, path, origin)
    }

    pub(super) fn take_as(
        &self,
        algorithm: Algorithm,
        path: &Utf8Path,
        origin: &Origin,
    ) -> Result<Blob, StoreError> {
        let mut writer = self.writer(algorithm)?;
        writer.copy_from(path)?;
        let digest = writer.digest();
        writer.commit(&digest, origin)
    }

    fn start(
        &self,
        file: File,
        path: Utf8PathBuf,
        algorithm: Algorithm,
        resumable: bool,
    ) -> Writer {
        Writer {
            store: self.clone(),
            file,
            path,
            hasher: Hasher::new(algorithm),
            algorithm,
            size: 0,
            resumable,
            committed: false,
        }
    }
}

impl Writer {
    /// How many bytes it holds.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest of the bytes so far.
    pub fn digest(&self) -> Digest {
        self.hasher.clone().finish()
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When they cannot be written; a full disk is told apart.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file
            .write_all(bytes)
            .map_err(StoreError::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what was written and starts over.
    ///
    /// # Errors
    /// When the file cannot be emptied.
    pub fn restart(&mut self) -> Result<(), StoreError> {
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .map_err(StoreError::io("empty", &self.path))?;
        self.hasher = Hasher::new(self.algorithm);
        self.size = 0;
        Ok(())
    }

    /// Gives up, keeping nothing even if another attempt could go on from here.
    pub fn discard(mut self) {
        self.resumable = false;
    }

    /// Moves the bytes to their place in the store, if they are the expected ones.
    ///
    /// # Errors
    /// [`StoreError::Mismatch`] when they are not; then, and after any other failure, nothing of
    /// them is kept.
    pub fn commit(mut self, expected: &Digest, origin: &Origin) -> Result<Blob, StoreError> {
        self.resumable = false;
        let got = self.digest();
        if got != *expected {
            return Err(StoreError::Mismatch {
                expected: expected.clone(),
                got,
                size: self.size,
            });
        }
        self.file
            .set_permissions(Permissions::from_mode(0o444))
            .map_err(StoreError::io("make read-only", &self.path))?;
        let place = self.store.file_path(expected);
        let parent = place.parent().unwrap_or(&place);
        // The origin goes first, so that whoever sees the bytes can see what they are.
        let describe = || self.store.write_json(&place.with_extension("json"), origin);
        match describe() {
            Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                make_dir(parent)?;
                describe()?;
            }
            other => other?,
        }
        fs::rename(&self.path, &place).map_err(StoreError::io("rename into the store", &place))?;
        self.committed = true;
        Ok(Blob {
            path: place,
            size: self.size,
            digest: got,
            is_new: true,
        })
    }

    /// Leaves the file where it is, for the store's own small files.
    pub(super) fn into_staged(mut self) -> Utf8PathBuf {
        self.committed = true;
        self.path.clone()
    }

    fn copy_from(&mut self, path: &Utf8Path) -> Result<(), StoreError> {
        let mut from = foreign::open_through_links(path).map_err(StoreError::io("read", path))?;
        let mut buffer = vec![0; BUFFER];
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => self.write(buffer.get(..count).unwrap_or_default())?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StoreError::io("read", path)(error)),
            }
        }
    }

    /// Hashes what an earlier attempt left, so that writing goes on behind it.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        let mut hasher = Hasher::new(self.algorithm);
        self.size = io::copy(
            &mut io::BufReader::with_capacity(BUFFER, &self.file),
            &mut hasher,
        )
        .and_then(|size| self.file.seek(SeekFrom::Start(size)))
        .map_err(StoreError::io("read", &self.path))?;
        self.hasher = hasher;
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let is_of_use = self.committed || (self.resumable && self.size > 0);
        if !is_of_use {
            // It is garbage either way; `gc` sweeps what cannot be removed now.
            let _ = fs::remove_file(&self.path);
        }
    }
}

pub(super) fn make_dir(path: &Utf8Path) -> Result<(), StoreError> {
    fs::create_dir_all(path).map_err(StoreError::io("make the folder", path))
}
