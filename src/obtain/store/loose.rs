//! Loose artifacts: the same archive with nothing in it compressed.
//!
//! ```text
//! <root>/v1/loose/sha512-3fc9….tar     the archive, then 4 bytes: the CRC-32 of all before them
//! ```
//!
//! Inflating is most of what placing costs the processors, and comes out the same each time. So an
//! artifact that is found in the store, which it was put into by a run before, is kept like this
//! from then on; one that was just fetched is not, as on a machine that makes one environment and
//! is thrown away. Whoever reads archives reads these as they read any other, with all checks.
//!
//! They are worth no more than the time that inflating takes: one whose checksum is wrong is made
//! anew, and cleaning removes them with their artifact, or as soon as space is wanted.

use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use camino::Utf8PathBuf;
use tempfile::NamedTempFile;

use super::entries::names;
use super::gc::Leftover;
use super::{Blob, Store, StoreError, touch};
use crate::core::digest::{Digest, crc32};

/// A file of the store, in memory as it lies on the disk.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::Mmap,
    length: usize,
}

impl Mapped {
    fn new(file: &File) -> io::Result<Self> {
        // Sound as far as mappings can be: the store's files are never written to again, only
        // replaced by renaming. All of it is read, so all of it is asked for at once.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::MmapOptions::new().populate().map(file) }?;
        let length = map.len();
        Ok(Self { map, length })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.get(..self.length).unwrap_or_default()
    }
}

impl Blob {
    /// Its bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn map(&self) -> Result<Mapped, StoreError> {
        let mapped = File::open(&self.path).and_then(|file| Mapped::new(&file));
        mapped.map_err(StoreError::io("read", &self.path))
    }
}

/// What a loose artifact is called beyond its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loose {
    /// A tar archive.
    Tar,
    /// A zip archive whose members are stored.
    Zip,
}

impl Store {
    /// An artifact's loose form, if it was made and is sound.
    pub fn loose(&self, digest: &Digest, form: Loose) -> Option<Mapped> {
        let path = self.loose_path(digest, form);
        let file = File::open(&path).ok()?;
        let found = file.metadata().ok().zip(read(&file));
        let Some((metadata, mapped)) = found else {
            tracing::warn!("`{path}` is not what it was, and made anew");
            let _ = fs::remove_file(&path);
            return None;
        };
        touch(&path, &metadata);
        Some(mapped)
    }

    /// Keeps an artifact's loose form, which `write` puts into an empty file. Where the store
    /// cannot be written to there is none, which costs time alone.
    ///
    /// # Errors
    /// Those of `write`.
    pub fn keep_loose<E>(
        &self,
        digest: &Digest,
        form: Loose,
        write: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<Option<Mapped>, E> {
        let path = self.loose_path(digest, form);
        let staged = self.keeps_loose.then(|| self.temporary_file());
        let Some(mut staged) = staged.flatten() else {
            return Ok(None);
        };
        write(staged.as_file_mut())?;
        let kept = || -> io::Result<Mapped> {
            let mapped = finish(staged.as_file_mut())?;
            if let Some(top) = path.parent() {
                fs::create_dir_all(top)?;
            }
            staged.persist(&path)?;
            Ok(mapped)
        };
        Ok(kept().ok())
    }

    /// A file in `tmp/`, which is gone when it is dropped and which `gc` sweeps.
    fn temporary_file(&self) -> Option<NamedTempFile> {
        let top = self.layout.join("tmp");
        fs::create_dir_all(&top).ok()?;
        let readable = Permissions::from_mode(0o444);
        let file = tempfile::Builder::new()
            .permissions(readable)
            .tempfile_in(top);
        file.ok()
    }

    /// Those that are not to be kept: not used for so long, without their artifact, or all of them
    /// where `space` is wanted.
    pub(super) fn stale_loose(
        &self,
        is_old: impl Fn(SystemTime) -> bool,
        space: bool,
    ) -> Result<Vec<Leftover>, StoreError> {
        let mut stale = Vec::new();
        for path in names(&self.layout.join("loose"))? {
            let metadata = fs::metadata(&path).map_err(StoreError::io("read", &path))?;
            let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let has_artifact = path.file_stem().and_then(|stem| {
                let digest: Digest = stem.replacen('-', ":", 1).parse().ok()?;
                Some(self.file_path(&digest).is_file())
            });
            if space || has_artifact != Some(true) || is_old(used) {
                let size = metadata.len();
                stale.push(Leftover { path, size });
            }
        }
        Ok(stale)
    }

    /// Reads all loose artifacts; those whose checksum is wrong. With `remove` they go.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn verify_loose(&self, remove: bool) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let mut damaged = names(&self.layout.join("loose"))?;
        damaged.retain(|path| File::open(path).ok().and_then(|file| read(&file)).is_none());
        if remove {
            for path in &damaged {
                fs::remove_file(path).map_err(StoreError::io("remove", path))?;
            }
        }
        Ok(damaged)
    }

    fn loose_path(&self, digest: &Digest, form: Loose) -> Utf8PathBuf {
        let ending = match form {
            Loose::Tar => "tar",
            Loose::Zip => "zip",
        };
        let name = format!("{}-{}.{ending}", digest.algorithm(), digest.hex());
        self.layout.join("loose").join(name)
    }
}

const CHECKSUM: usize = size_of::<u32>();

/// What is in a loose artifact's file, if its checksum is right.
fn read(file: &File) -> Option<Mapped> {
    let mut mapped = Mapped::new(file).ok()?;
    let said = u32::from_le_bytes(*mapped.last_chunk::<CHECKSUM>()?);
    mapped.length -= CHECKSUM;
    (crc32(&mapped) == said).then_some(mapped)
}

/// Adds the checksum.
fn finish(file: &mut File) -> io::Result<Mapped> {
    let mut mapped = Mapped::new(file)?;
    file.write_all(&crc32(&mapped).to_le_bytes())?;
    mapped.length = mapped.map.len();
    Ok(mapped)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::obtain::store::Keep;
    use crate::obtain::store::tests::with_artifact;

    fn keep(store: &Store, digest: &Digest) -> Option<Mapped> {
        let write = |file: &mut File| file.write_all(b"unpacked");
        store.keep_loose(digest, Loose::Tar, write).unwrap()
    }

    #[test]
    fn what_is_kept_is_there_until_it_is_damaged() {
        let (_held, store, digest) = with_artifact();
        assert!(store.loose(&digest, Loose::Tar).is_none());
        assert_eq!(&*keep(&store, &digest).unwrap(), b"unpacked");
        assert_eq!(&*store.loose(&digest, Loose::Tar).unwrap(), b"unpacked");
        assert!(store.loose(&digest, Loose::Zip).is_none());
        assert!(store.verify_loose(false).unwrap().is_empty());
        let path = store.loose_path(&digest, Loose::Tar);
        for damage in [b"unpackeD\0\0\0\0".as_slice(), b"u", b""] {
            fs::remove_file(&path).unwrap();
            fs::write(&path, damage).unwrap();
            assert_eq!(
                store.verify_loose(false).unwrap(),
                std::slice::from_ref(&path)
            );
            assert!(store.loose(&digest, Loose::Tar).is_none());
            assert!(!path.exists());
            keep(&store, &digest).unwrap();
        }
        fs::remove_file(&path).unwrap();
        fs::write(&path, "x").unwrap();
        assert_eq!(store.verify_loose(true).unwrap().len(), 1);
        assert!(!path.exists());
    }

    #[test]
    fn a_packed_store_keeps_none() {
        let (_held, store, digest) = with_artifact();
        let store = store.packed();
        assert!(keep(&store, &digest).is_none());
        assert!(store.loose(&digest, Loose::Tar).is_none());
    }

    #[test]
    fn what_cannot_be_written_leaves_nothing() {
        let (_held, store, digest) = with_artifact();
        let fail = |_: &mut File| Err(io::Error::other("damaged"));
        assert!(store.keep_loose(&digest, Loose::Zip, fail).is_err());
        assert!(store.loose(&digest, Loose::Zip).is_none());
        assert!(names(&store.layout.join("tmp")).unwrap().is_empty());
    }

    #[test]
    fn cleaning_removes_it_with_its_artifact_or_for_space() {
        let (_held, store, digest) = with_artifact();
        let clean = |keep| store.gc(keep, SystemTime::now(), false, || {}).unwrap();
        keep(&store, &digest).unwrap();
        assert!(clean(Keep::default()).leftovers.is_empty());
        let space = Keep {
            bytes: Some(1 << 20),
            ..Keep::default()
        };
        assert_eq!(clean(space).leftovers.len(), 1);
        assert!(store.get(&digest).is_some() && store.loose(&digest, Loose::Tar).is_none());
        keep(&store, &digest).unwrap();
        store.remove(&store.get(&digest).unwrap()).unwrap();
        assert_eq!(clean(Keep::default()).leftovers.len(), 1);
        assert!(store.loose(&digest, Loose::Tar).is_none());
    }
}
