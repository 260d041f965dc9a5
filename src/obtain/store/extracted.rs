//! Extracted artifacts: each file a file of its own, which trees share by hard links or reflinks.
//!
//! A hard link is the same file in both places, so whoever edits one in a tree edits the store's.
//! That is not forbidden (a tree's files must have the modes that they should have) but noticed:
//! every file here has one and the same modification time, which no edit leaves. A file with
//! another time, size or mode is never linked; the whole folder is extracted anew. Whoever edits one
//! and puts its time back is not noticed so: `ctime`, which nobody can put back, changes with every
//! link that is made or removed, and says nothing. `store verify` hashes them all, and so does a run
//! with `--verify-store`.

use std::fs::{self, File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, Timespec, Timestamps};
use sha2::{Digest as _, Sha256};

use super::Store;
use super::contents::Index;
use crate::core::digest::Digest;
use crate::core::io_error::cannot;
use crate::core::scratch::Live;
use crate::files::contents::{Contents, Member, Near, PlaceError, Take};
use crate::files::tree::Shared;

/// The modification time of every file: 1980-01-01, the first that a zip can tell.
pub(super) const TIME: i64 = 315_532_800;

/// An artifact's files, each a file of the store's.
#[derive(Debug)]
pub struct Extracted {
    folder: OwnedFd,
    members: Vec<Member>,
}

impl Extracted {
    fn open(folder: &Utf8Path, members: Vec<Member>) -> Option<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let files = folder.join("files");
        let folder = rustix::fs::openat(CWD, files.as_str(), flags, Mode::empty()).ok()?;
        Some(Self { folder, members })
    }

    /// Whether a file looks as it was left: its kind, length, mode and time.
    fn is_as_left<'a>(&'a self, member: &'a Member, near: &mut Near<'a>) -> bool {
        let Some(shared) = self.folder().filter(|_| !member.is_folder) else {
            return true;
        };
        let (shared, path) = near.to(shared, &member.path);
        rustix::fs::statat(shared.folder, path, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
            kind.is_file()
                && stat.st_mode & 0o7777 == u32::from(member.mode)
                && u64::try_from(stat.st_size).is_ok_and(|size| size == member.size)
                && stat.st_mtime == TIME
                && stat.st_mtime_nsec == 0
        })
    }

    fn are_as_left(&self) -> bool {
        // An archive's order need not be one of folders.
        let mut members: Vec<&Member> = self.members.iter().collect();
        members.sort_by(|one, other| one.folder().cmp(other.folder()));
        let folders: Vec<&[&Member]> = members
            .chunk_by(|one, other| one.folder() == other.folder())
            .collect();
        folders.par_iter().with_min_len(16).all(|members| {
            let mut near = Near::of_many(members.len());
            let mut members = members.iter();
            members.all(|member| self.is_as_left(member, &mut near))
        })
    }

    fn bytes(&self, member: &Member) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.folder, &member.path, flags, Mode::empty())?;
        let mut bytes = Vec::new();
        File::from(file)
            .take(member.size + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl Contents for Extracted {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        let member = self.members.get(number);
        let member = member.ok_or(PlaceError::Absent(number))?;
        let bytes = self.bytes(member).map_err(cannot("read", &member.path))?;
        take(&bytes)
    }

    fn folder(&self) -> Option<Shared<'_>> {
        Some(Shared {
            folder: self.folder.as_fd(),
            modified: TIME,
        })
    }
}

impl Store {
    /// An artifact's files, each a file of its own, if they are here and nobody has touched them.
    pub fn extracted(&self, index: &Index) -> Option<Extracted> {
        let found = Extracted::open(&index.folder, index.members().to_vec())?;
        if found.are_as_left() {
            return Some(found);
        }
        let files = index.folder.join("files");
        tracing::warn!("files of `{files}` were changed, and are extracted anew");
        self.discard(&files);
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
        let index = self.keep_index(digest, form, &members);
        let kept = index.as_ref().and_then(|index| {
            if fs::rename(&staged, index.folder.join("files")).is_err() {
                // Somebody else was first.
                let _ = fs::remove_dir_all(&staged);
            }
            Extracted::open(&index.folder, members)
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
    Extracted::open(&index.folder, index.members().to_vec()).is_some_and(|found| {
        found.members.par_iter().all(|member| {
            member.is_folder
                || found.is_as_left(member, &mut Near::of_many(1))
                    && found.bytes(member).is_ok_and(|bytes| {
                        member.sha256 == Some(<[u8; 32]>::from(Sha256::digest(bytes)))
                    })
        })
    })
}
