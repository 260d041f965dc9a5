//! Extracted artifacts: each file a file of its own, which trees share by hard links or reflinks.
//!
//! A hard link is the same file in both places, so whoever edits one in a tree edits the store's.
//! That is not forbidden (a tree's files must have the modes that they should have) but noticed:
//! every file here has one and the same modification time, which no edit leaves. A file with
//! another time, size or mode is never linked: each is looked at just before, and if one is not what
//! it was, the whole folder is extracted anew. Whoever edits one
//! and puts its time back is not noticed so: `ctime`, which nobody can put back, changes with every
//! link that is made or removed, and says nothing. `store verify` hashes them all, and so does a run
//! with `--verify-store`.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::Utf8Path;
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

use super::Store;
use super::contents::Index;
use crate::core::digest::Digest;
use crate::core::io_error::cannot;
use crate::core::scratch::Live;
use crate::files::contents::{Contents, Member, Near, PlaceError, Take, WHOLE};
use crate::files::tree::Shared;

/// The modification time of every file: 1980-01-01, the first that a zip can tell.
pub(super) const TIME: i64 = 315_532_800;

/// How often extracted files are tried to be put in their place, while other runs do the same.
const TRIES: usize = 100;

/// An artifact's files, each a file of the store's.
#[derive(Debug)]
pub struct Extracted {
    folder: OwnedFd,
    members: Arc<[Member]>,
    /// Whether one of them was found to be no longer as it was left.
    is_touched: AtomicBool,
}

impl Extracted {
    fn open(index: &Index) -> Option<Self> {
        Self::at(&index.folder.join("files"), index)
    }

    fn at(files: &Utf8Path, index: &Index) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = rustix::fs::openat(CWD, files.as_str(), flags, Mode::empty()).ok()?;
        Some(Self {
            folder,
            members: Arc::clone(&index.members),
            is_touched: AtomicBool::new(false),
        })
    }

    /// Whether one of its files was found to be no longer as it was left.
    pub fn is_touched(&self) -> bool {
        self.is_touched.load(Ordering::Relaxed)
    }

    /// Whether it is the folder that is there, not one that another run has put in its place.
    fn is_at(&self, files: &Utf8Path) -> bool {
        let there = rustix::fs::lstat(files.as_str());
        let own = rustix::fs::fstat(&self.folder);
        let which = |stat: Stat| (stat.st_dev, stat.st_ino);
        own.is_ok_and(|own| there.is_ok_and(|there| which(own) == which(there)))
    }

    fn member(&self, number: usize) -> Result<&Member, PlaceError> {
        self.members.get(number).ok_or(PlaceError::Absent(number))
    }

    fn files(&self) -> Shared<'_> {
        Shared {
            folder: self.folder.as_fd(),
            modified: TIME,
        }
    }

    fn touched(&self, member: &Member) -> PlaceError {
        self.is_touched.store(true, Ordering::Relaxed);
        PlaceError::Touched(member.path.clone())
    }

    fn bytes(&self, member: &Member) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, &member.path, flags, Mode::empty())?;
        if !is_as_left(&rustix::fs::fstat(&file)?, member) {
            return Ok(None);
        }
        let length = member.size.min(WHOLE);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
        File::from(file)
            .take(member.size + 1)
            .read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

/// Whether a file looks as it was left: its kind, length, mode and time.
fn is_as_left(stat: &Stat, member: &Member) -> bool {
    FileType::from_raw_mode(stat.st_mode).is_file()
        && stat.st_mode & 0o7777 == u32::from(member.mode)
        && u64::try_from(stat.st_size).is_ok_and(|size| size == member.size)
        && stat.st_mtime == TIME
        && stat.st_mtime_nsec == 0
}

impl Contents for Extracted {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        let member = self.member(number)?;
        match self.bytes(member) {
            Ok(Some(bytes)) => take(&bytes),
            Ok(None) => Err(self.touched(member)),
            // Somebody has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(self.touched(member)),
            Err(error) => Err(cannot("read", &member.path)(error).into()),
        }
    }

    fn shared<'a: 'n, 'n>(
        &'a self,
        number: usize,
        near: &'n mut Near<'a>,
    ) -> Result<Option<(Shared<'n>, &'a str)>, PlaceError> {
        let member = self.member(number)?;
        let (shared, path) = near.to(self.files(), &member.path);
        match rustix::fs::statat(shared.folder, path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_as_left(&stat, member) => Ok(Some((shared, path))),
            _ => Err(self.touched(member)),
        }
    }
}

impl Store {
    /// Hands over an artifact's files, each a file of its own, if they are here. Nothing comes of it where somebody has
    /// touched one of them, which is noticed when that one is asked for: all are to be extracted anew then.
    pub fn from_extracted<T>(
        &self,
        index: &Index,
        take: impl FnOnce(&Extracted) -> T,
    ) -> Option<T> {
        let found = Extracted::open(index)?;
        let taken = take(&found);
        if !found.is_touched() {
            return Some(taken);
        }
        let files = index.folder.join("files");
        if found.is_at(&files) {
            tracing::warn!("files of `{files}` were changed, and are extracted anew");
            self.discard(&files);
        }
        None
    }

    /// Extracts an artifact's files. Another process may be doing the same.
    ///
    /// # Errors
    /// When they cannot be read or written.
    pub fn extract(
        &self,
        digest: &Digest,
        form: &str,
        contents: &dyn Contents,
    ) -> Result<Extracted, PlaceError> {
        let top = &self.layout;
        let staged = self.temporary_folder();
        let staged = staged.map_err(cannot("make a folder in", top))?;
        let _live = Live::new(staged.as_std_path());
        let writing = cannot("extract into", &staged);
        let mut members = contents.members().to_vec();
        let mut folder = String::from("/");
        for (number, member) in members.iter_mut().enumerate() {
            let place = staged.join(&member.path);
            if member.is_folder {
                continue;
            }
            let parent = member
                .path
                .rsplit_once('/')
                .map_or("", |(parent, _)| parent);
            if parent != folder {
                fs::create_dir_all(staged.join(parent)).map_err(writing)?;
                parent.clone_into(&mut folder);
            }
            let mut file = File::create_new(&place).map_err(writing)?;
            let mut hasher = member.sha256.is_none().then(Sha256::new);
            contents.read(number, &mut |piece| {
                if let Some(hasher) = &mut hasher {
                    hasher.update(piece);
                }
                Ok(file.write_all(piece).map_err(writing)?)
            })?;
            if let Some(hasher) = hasher {
                member.sha256 = Some(hasher.finalize().into());
            }
            finish(&file, member.mode).map_err(writing)?;
        }
        let kept = self.keep_index(digest, form, &members).and_then(|index| {
            let own = Extracted::at(&staged, &index)?;
            // Whatever others do with it: this one is open.
            let place = || fs::rename(&staged, index.folder.join("files")).is_ok();
            // Somebody else may have been first, and somebody may take theirs away again.
            let theirs = (0..TRIES).find_map(|_| match place() {
                true => Some(None),
                false => Extracted::open(&index).map(Some),
            })?;
            if theirs.is_some() {
                let _ = fs::remove_dir_all(&staged);
            }
            Some(theirs.unwrap_or(own))
        });
        kept.ok_or_else(|| {
            let folder = self.contents_path(digest, form);
            cannot("make", &folder)(io::ErrorKind::PermissionDenied).into()
        })
    }
}

/// The mode and time that every file here has.
fn finish(file: &File, mode: u16) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode.into()))?;
    let time = Timespec {
        tv_sec: TIME,
        tv_nsec: 0,
    };
    rustix::fs::futimens(
        file,
        &Timestamps {
            last_access: time,
            last_modification: time,
        },
    )?;
    Ok(())
}

/// Whether an artifact's extracted form is not there, or every file is as it was made.
pub(super) fn is_true(index: &Index) -> bool {
    if fs::symlink_metadata(index.folder.join("files")).is_err() {
        return true;
    }
    let Some(found) = Extracted::open(index) else {
        return false;
    };
    let is_true = |member: &Member| {
        let digest = |bytes| <[u8; 32]>::from(Sha256::digest(bytes));
        let bytes = found.bytes(member).ok().flatten();
        member.is_folder || bytes.is_some_and(|bytes| member.sha256 == Some(digest(bytes)))
    };
    found.members.par_iter().all(is_true)
}
