//! Unpacked artifacts: the files that trees share with the store by hard links or reflinks.
//!
//! ```text
//! <root>/v1/unpacked/sha512-3fc9…-npm/     one artifact, unpacked in one form
//!     index                                a line for each file: mode, length, SHA-256, path
//!     files/                               the files, at their own paths
//! ```
//!
//! They are made at the first use, from a verified artifact, and are worth no more than the time
//! that takes: cleaning removes them with their artifact, or as soon as space is wanted.
//!
//! A hard link is the same file in both places, so whoever edits one in a tree edits the store's.
//! That is not forbidden (a tree's files must have the modes that they should have) but noticed:
//! every file here has one and the same modification time, which no edit leaves. A file with
//! another time, size or mode is never linked; its whole folder is unpacked anew. `store verify`
//! hashes them all.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use data_encoding::HEXLOWER;
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

use super::entries::names;
use super::gc::Leftover;
use super::{Store, StoreError, touch};
use crate::core::digest::Digest;

/// The modification time of every file: 1980-01-01, the first that a zip can tell.
const TIME: i64 = 315_532_800;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
    /// Length in bytes.
    pub size: u64,
    /// Of its bytes.
    pub sha256: [u8; 32],
}

/// An artifact's files, all as they were unpacked.
#[derive(Debug)]
pub struct Unpacked {
    folder: OwnedFd,
    members: Vec<Member>,
}

impl Unpacked {
    /// Its files, in the artifact's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The folder that they are in.
    pub fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, path, flags, Mode::empty())?;
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether a file looks as it was left: its kind, length, mode and time.
    fn is_as_left(&self, member: &Member) -> bool {
        rustix::fs::statat(&self.folder, &member.path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(
            |stat| {
                let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
                kind.is_file()
                    && stat.st_mode & 0o7777 == u32::from(member.mode)
                    && u64::try_from(stat.st_size).is_ok_and(|size| size == member.size)
                    && stat.st_mtime == TIME
                    && stat.st_mtime_nsec == 0
            },
        )
    }

    fn is_true(&self, member: &Member) -> bool {
        self.is_as_left(member)
            && self
                .read(&member.path)
                .is_ok_and(|bytes| <[u8; 32]>::from(Sha256::digest(bytes)) == member.sha256)
    }
}

impl Store {
    /// An artifact's files, if they are here in this form and nobody has touched them.
    pub fn unpacked(&self, digest: &Digest, form: &str) -> Option<Unpacked> {
        let folder = self.unpacked_path(digest, form);
        let found = open(&folder)?;
        if found.members.iter().all(|member| found.is_as_left(member)) {
            let index = folder.join("index");
            if let Ok(metadata) = fs::metadata(&index) {
                touch(&index, &metadata);
            }
            return Some(found);
        }
        tracing::warn!("files of `{folder}` were changed, and are unpacked anew");
        // Trees that are linked to them keep what they have.
        self.discard_unpacked(&folder);
        None
    }

    /// Unpacks an artifact's files, given in its order. Another process may be doing the same.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn unpack<'a>(
        &self,
        digest: &Digest,
        form: &str,
        files: impl IntoIterator<Item = (&'a str, u32, &'a [u8])>,
    ) -> Result<Unpacked, StoreError> {
        let staged = self.temporary_folder()?;
        let made = (|| -> io::Result<()> {
            let top = staged.join("files");
            fs::create_dir(&top)?;
            let mut index = String::new();
            let mut folder = String::new();
            for (path, mode, bytes) in files {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                if parent != folder {
                    fs::create_dir_all(top.join(parent))?;
                    parent.clone_into(&mut folder);
                }
                let place = top.join(path);
                let mut file = File::create_new(&place)?;
                file.write_all(bytes)?;
                file.set_permissions(Permissions::from_mode(mode & 0o777))?;
                let time = Timespec {
                    tv_sec: TIME,
                    tv_nsec: 0,
                };
                let times = Timestamps {
                    last_access: time,
                    last_modification: time,
                };
                rustix::fs::futimens(&file, &times)?;
                let sha256 = HEXLOWER.encode(&Sha256::digest(bytes));
                let size = bytes.len();
                index.push_str(&format!("{:o} {size} {sha256} {path}\n", mode & 0o777));
            }
            fs::write(staged.join("index"), index)
        })();
        made.map_err(StoreError::io("unpack into", &staged))?;
        let folder = self.unpacked_path(digest, form);
        let top = self.layout.join("unpacked");
        fs::create_dir_all(&top).map_err(StoreError::io("make", &top))?;
        let renamed = fs::rename(&staged, &folder);
        if renamed.is_err() {
            // Somebody else was first.
            let _ = fs::remove_dir_all(&staged);
        }
        match (open(&folder), renamed) {
            (Some(found), _) => Ok(found),
            (None, Err(error)) => Err(StoreError::io("make", &folder)(error)),
            (None, Ok(())) => Err(StoreError::io("read", &folder)(
                io::ErrorKind::InvalidData.into(),
            )),
        }
    }

    /// Hashes all unpacked files; the folders in which one is not what it was. With `remove` they go.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn verify_unpacked(&self, remove: bool) -> Result<Vec<Utf8PathBuf>, StoreError> {
        let folders = names(&self.layout.join("unpacked"))?;
        let damaged: Vec<Utf8PathBuf> = folders
            .into_par_iter()
            .filter(|folder| {
                !open(folder).is_some_and(|found| {
                    let mut members = found.members.iter();
                    members.all(|member| found.is_true(member))
                })
            })
            .collect();
        if remove {
            for folder in &damaged {
                self.discard_unpacked(folder);
            }
        }
        Ok(damaged)
    }

    /// Unpacked folders that are not to be kept: not used for so long, without their artifact, or
    /// all of them where `space` is wanted.
    pub(super) fn stale_unpacked(
        &self,
        is_old: impl Fn(SystemTime) -> bool,
        space: bool,
    ) -> Result<Vec<Leftover>, StoreError> {
        let mut stale = Vec::new();
        for path in names(&self.layout.join("unpacked"))? {
            let found = open(&path);
            let used = fs::metadata(path.join("index")).and_then(|meta| meta.modified());
            let has_artifact = path.file_name().and_then(|name| {
                let (algorithm, rest) = name.split_once('-')?;
                let hex = rest.split('-').next()?;
                let digest: Digest = format!("{algorithm}:{hex}").parse().ok()?;
                Some(self.file_path(&digest).is_file())
            });
            if space
                || found.is_none()
                || has_artifact != Some(true)
                || is_old(used.unwrap_or(SystemTime::UNIX_EPOCH))
            {
                let sizes = found.iter().flat_map(|found| &found.members);
                let size = sizes.map(|member| member.size).sum();
                stale.push(Leftover { path, size });
            }
        }
        Ok(stale)
    }

    /// Moves a folder out of the way at once, and then removes it.
    pub(super) fn discard_unpacked(&self, folder: &Utf8PathBuf) {
        let gone = self.temporary_folder().and_then(|aside| {
            let to = aside.join("gone");
            fs::rename(folder, to).map_err(StoreError::io("move", folder))?;
            fs::remove_dir_all(&aside).map_err(StoreError::io("remove", &aside))
        });
        if let Err(error) = gone {
            tracing::warn!("{error}");
        }
    }

    /// An empty folder in `tmp/`, which `gc` sweeps.
    fn temporary_folder(&self) -> Result<Utf8PathBuf, StoreError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let top = self.layout.join("tmp");
        fs::create_dir_all(&top).map_err(StoreError::io("make", &top))?;
        let (pid, start) = (std::process::id(), SystemTime::now());
        let start = start
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or(Duration::ZERO);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = top.join(format!("{pid}-{}-{count}", start.as_nanos()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::io("make", &path)(error)),
            }
        }
    }

    fn unpacked_path(&self, digest: &Digest, form: &str) -> Utf8PathBuf {
        let name = format!("{}-{}-{form}", digest.algorithm(), digest.hex());
        self.layout.join("unpacked").join(name)
    }
}

fn open(folder: &Utf8PathBuf) -> Option<Unpacked> {
    let text = fs::read_to_string(folder.join("index")).ok()?;
    let members = text.lines().map(member).collect::<Option<Vec<_>>>()?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let files = folder.join("files");
    let folder = rustix::fs::openat(CWD, files.as_str(), flags, Mode::empty()).ok()?;
    Some(Unpacked { folder, members })
}

fn member(line: &str) -> Option<Member> {
    let mut words = line.splitn(4, ' ');
    let mode = u16::from_str_radix(words.next()?, 8).ok()?;
    let size = words.next()?.parse().ok()?;
    let sha256 = HEXLOWER.decode(words.next()?.as_bytes()).ok()?;
    Some(Member {
        mode,
        size,
        sha256: sha256.try_into().ok()?,
        path: words.next()?.to_owned(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::obtain::store::tests::with_artifact;

    const FILES: [(&str, u32, &[u8]); 3] = [
        ("a", 0o644, b"1"),
        ("b/c d", 0o755, b"22"),
        ("b/e", 0o644, b""),
    ];

    #[test]
    fn an_edit_is_noticed_and_the_folder_made_anew() {
        let (_held, store, digest) = with_artifact();
        assert!(store.unpacked(&digest, "npm").is_none());
        let first = store.unpack(&digest, "npm", FILES).unwrap();
        let paths: Vec<_> = first.members().iter().map(|m| m.path.as_str()).collect();
        assert_eq!(paths, ["a", "b/c d", "b/e"]);
        assert_eq!(first.read("b/c d").unwrap(), b"22");
        assert!(store.unpacked(&digest, "npm").is_some());
        // The second to unpack finds the first one's.
        store.unpack(&digest, "npm", FILES).unwrap();
        let file = store.unpacked_path(&digest, "npm").join("files/b/c d");
        fs::write(&file, "23").unwrap();
        assert!(store.unpacked(&digest, "npm").is_none());
        assert!(!file.exists());
        let again = store.unpack(&digest, "npm", FILES).unwrap();
        assert_eq!(again.read("b/c d").unwrap(), b"22");
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        assert!(store.unpacked(&digest, "npm").is_none());
    }

    #[test]
    fn verify_finds_what_looks_right_and_is_not() {
        let (_held, store, digest) = with_artifact();
        store.unpack(&digest, "npm", FILES).unwrap();
        assert!(store.verify_unpacked(false).unwrap().is_empty());
        let file = store.unpacked_path(&digest, "npm").join("files/a");
        fs::write(&file, "2").unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(TIME.unsigned_abs());
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
        assert!(
            store.unpacked(&digest, "npm").is_some(),
            "nothing to be seen"
        );
        assert_eq!(store.verify_unpacked(true).unwrap().len(), 1);
        assert!(store.unpacked(&digest, "npm").is_none());
    }

    #[test]
    fn cleaning_removes_them_with_their_artifact_or_for_space() {
        let (_held, store, digest) = with_artifact();
        let clean = |keep| store.gc(keep, SystemTime::now(), false, || {}).unwrap();
        store.unpack(&digest, "npm", FILES).unwrap();
        assert!(
            clean(crate::obtain::store::Keep::default())
                .leftovers
                .is_empty()
        );
        let space = crate::obtain::store::Keep {
            bytes: Some(1 << 20),
            ..Default::default()
        };
        assert_eq!(clean(space).leftovers.len(), 1);
        assert!(store.get(&digest).is_some() && store.unpacked(&digest, "npm").is_none());
        store.unpack(&digest, "npm", FILES).unwrap();
        store.remove(&store.get(&digest).unwrap()).unwrap();
        assert_eq!(
            clean(crate::obtain::store::Keep::default()).leftovers.len(),
            1
        );
        assert!(store.unpacked(&digest, "npm").is_none());
    }
}
