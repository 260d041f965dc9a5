//! The files of an artifact, wherever their bytes are, and their way into a tree.
//!
//! Each ecosystem reads an artifact's [`Member`]s and decides what goes where: a [`Placement`].
//! [`place`] alone writes it: folder by folder, on every core, copied or linked.

use std::os::fd::{AsFd as _, OwnedFd};

use rayon::prelude::*;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

pub(crate) use super::archive::zip::WHOLE;
use super::archive::zip::{Zip, ZipError};
use super::tree::{FileFacts, LinkMode, Owner, Shared, Tree, TreeError, TreePath};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::io_error::IoError;
use crate::core::tree_path::split;

/// A file or folder of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its path in the artifact.
    pub path: String,
    /// Permission bits.
    pub mode: u16,
    /// Length in bytes.
    pub size: u64,
    /// Of its bytes, once they have been read.
    pub sha256: Option<[u8; 32]>,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Member {
    /// The folder it is in; the empty string at the top.
    pub fn folder(&self) -> &str {
        split(&self.path).0
    }
}

/// Takes a member's bytes, piece by piece.
pub type Take<'a> = dyn FnMut(&[u8]) -> Result<(), PlaceError> + 'a;

/// The SHA-256 that placing has computed, by member.
pub type Digests = Vec<(usize, [u8; 32])>;

/// An artifact's files: in an archive, or as the store keeps them.
pub trait Contents: Sync {
    /// Its files and folders, in its own order.
    fn members(&self) -> &[Member];

    /// Hands over a file's bytes, checked: in one piece, unless there are more than [`WHOLE`].
    ///
    /// # Errors
    /// When they cannot be read or are not what they should be, or `take` fails.
    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError>;

    /// Where a file lies, to be linked from; where it is a file of its own.
    ///
    /// # Errors
    /// When it is no longer what it should be.
    fn shared<'a: 'n, 'n>(
        &'a self,
        _number: usize,
        _near: &'n mut Near<'a>,
    ) -> Result<Option<(Shared<'n>, &'a str)>, PlaceError> {
        Ok(None)
    }

    /// A file's bytes, whole: for the small ones that say what an artifact is.
    ///
    /// # Errors
    /// As [`Self::read`].
    fn whole(&self, number: usize) -> Result<Vec<u8>, PlaceError> {
        let mut bytes = Vec::new();
        self.read(number, &mut |piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }
}

/// What goes where, decided before anything is written.
#[derive(Debug, Default)]
pub struct Placement {
    /// The files.
    pub files: Vec<PlacedFile>,
    /// Folders, which may stay empty.
    pub folders: Vec<TreePath>,
}

/// One file of a placement.
#[derive(Debug)]
pub struct PlacedFile {
    /// Its place in the tree.
    pub path: TreePath,
    /// Permission bits.
    pub mode: u16,
    /// Where its bytes are.
    pub from: From,
    /// The digest that they must have, where the artifact states one.
    pub expected: Option<Digest>,
}

/// Where the bytes of a placed file are.
#[derive(Debug)]
pub enum From {
    /// In the artifact: a member's number.
    Member(usize),
    /// Here: the installer's own files, and those that it changes.
    Bytes(Vec<u8>),
}

/// Why a placement could not be written.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// The archive is refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The tree does not take it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// All together are too much.
    #[error("with it, the run would unpack {0} bytes in all, more than four times --max-unpacked")]
    TooMuch(u64),
    /// The store's copy cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A member has other bytes than the artifact states.
    #[error("the bytes of {0} do not have the stated digest")]
    Mismatch(String),
    /// A file of the store's has changed.
    #[error("the store's copy of {0} was changed just now: run the same again")]
    Touched(String),
    /// There is no such member.
    #[error("there is no member {0}")]
    Absent(usize),
}

/// The members of a zip archive.
pub struct Zipped<'a> {
    zip: &'a Zip<'a>,
    members: Vec<Member>,
}

impl<'a> Zipped<'a> {
    /// Those of an archive. `known` are members as they were the last time, with their digests.
    pub fn new(zip: &'a Zip<'a>, known: Option<Vec<Member>>) -> Self {
        let members = zip.members().iter().map(|member| Member {
            path: member.path.to_string(),
            mode: if member.executable { 0o755 } else { 0o644 },
            size: member.size,
            sha256: None,
            is_folder: member.is_folder,
        });
        Self {
            zip,
            members: known.unwrap_or_else(|| members.collect()),
        }
    }
}

impl Contents for Zipped<'_> {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        let member = self.zip.members().get(number);
        let member = member.ok_or(PlaceError::Absent(number))?;
        self.zip.unpack(member, take)
    }
}

/// Writes a placement into a tree. Returns the digests that were computed on the way, by member.
///
/// # Errors
/// When a file cannot be read or written, or is not what it should be.
pub fn place(
    tree: &Tree,
    owner: Owner,
    contents: &dyn Contents,
    placement: &Placement,
    how: LinkMode,
) -> Result<Digests, PlaceError> {
    for folder in &placement.folders {
        tree.folder(owner, folder)?;
    }
    // A tree takes a folder's files best one after another, and archives are often sorted by
    // other things.
    let mut files: Vec<&PlacedFile> = placement.files.iter().collect();
    files.sort_by(|one, other| one.path.folder().cmp(other.path.folder()));
    let folders: Vec<&[&PlacedFile]> = files
        .chunk_by(|one, other| one.path.folder() == other.path.folder())
        .collect();
    let fill = |files: &&[&PlacedFile]| {
        let Some(first) = files.first() else {
            return Ok(Vec::new());
        };
        let mut inside = tree.inside(owner, first.path.folder())?;
        let mut near = Near::of_many(files.len());
        let digests = files.iter().filter_map(|file| {
            let name = file.path.file_name();
            match &file.from {
                From::Bytes(bytes) => {
                    // Known, so that they may be placed again, where a file of the store's turns out to be touched.
                    let known = Some(Sha256::digest(bytes).into());
                    match inside.file(name, file.mode, bytes, known) {
                        Ok(_) => None,
                        Err(error) => Some(Err(error.into())),
                    }
                }
                From::Member(number) => {
                    let put = Put {
                        tree,
                        owner,
                        contents,
                        file,
                        how,
                    };
                    put.member(*number, &mut inside, &mut near).transpose()
                }
            }
        });
        digests.collect::<Result<Vec<_>, PlaceError>>()
    };
    // All of them: whatever is said to be wrong is the first in the order of paths, not of threads.
    let digests: Vec<Result<Vec<_>, PlaceError>> = folders.par_iter().map(fill).collect();
    let digests: Vec<Vec<_>> = digests.into_iter().collect::<Result<_, PlaceError>>()?;
    Ok(digests.into_iter().flatten().collect())
}

/// One member on its way to its place.
struct Put<'a> {
    tree: &'a Tree,
    owner: Owner,
    contents: &'a dyn Contents,
    file: &'a PlacedFile,
    how: LinkMode,
}

impl<'a> Put<'a> {
    fn member(
        &self,
        number: usize,
        inside: &mut super::tree::DirWriter<'_>,
        near: &mut Near<'a>,
    ) -> Result<Option<(usize, [u8; 32])>, PlaceError> {
        let member = self.contents.members().get(number);
        let member = member.ok_or(PlaceError::Absent(number))?;
        let (name, mode) = (self.file.path.file_name(), self.file.mode);
        let mut check = Check::new(self.file.expected.as_ref(), member);
        if self.how != LinkMode::Copy
            && mode == member.mode
            && check.is_done()
            && let Some(shared) = self.contents.shared(number, near)?
        {
            let facts = FileFacts {
                mode,
                size: member.size,
                sha256: member.sha256,
            };
            check.finish(member)?;
            inside.share(name, facts, shared, self.how)?;
            return Ok(None);
        }
        let placed = if member.size <= WHOLE {
            let mut placed = None;
            self.contents.read(number, &mut |bytes| {
                let known = member.sha256.or_else(|| check.sha256(bytes));
                check.update(bytes);
                placed = inside.file(name, mode, bytes, known)?.sha256;
                Ok(())
            })?;
            placed
        } else {
            let (tree, path) = (self.tree, &self.file.path);
            let mut open = tree.open(self.owner, path, mode.into(), member.sha256)?;
            self.contents.read(number, &mut |piece| {
                check.update(piece);
                Ok(open.write(piece)?)
            })?;
            open.finish()?.sha256
        };
        check.sha256 = placed;
        check.finish(member)?;
        let is_new = member.sha256.is_none();
        Ok(placed.filter(|_| is_new).map(|sha256| (number, sha256)))
    }
}

/// The folder that the file before came from. Of many files most are neighbours, so the system is spared the way there.
#[derive(Debug)]
pub struct Near<'a> {
    is_of_many: bool,
    folder: &'a str,
    open: Option<OwnedFd>,
}

impl<'a> Near<'a> {
    /// For so many files of one folder.
    pub fn of_many(files: usize) -> Self {
        Self {
            is_of_many: files > 2,
            folder: "",
            open: None,
        }
    }

    /// Where a path leads from a shared folder, named from as near as can be.
    pub fn to<'s>(&'s mut self, shared: Shared<'s>, path: &'a str) -> (Shared<'s>, &'a str) {
        let (folder, name) = split(path);
        if !self.is_of_many || folder.is_empty() {
            return (shared, path);
        }
        if self.open.is_none() || folder != self.folder {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.open = rustix::fs::openat(shared.folder, folder, flags, Mode::empty()).ok();
            self.folder = folder;
        }
        match &self.open {
            Some(open) => {
                let folder = open.as_fd();
                (Shared { folder, ..shared }, name)
            }
            None => (shared, path),
        }
    }
}

/// Whether a member has the digest that is stated of it.
struct Check<'a> {
    expected: Option<&'a Digest>,
    sha256: Option<[u8; 32]>,
    /// For an algorithm that the tree does not compute anyway.
    hasher: Option<Hasher>,
}

impl<'a> Check<'a> {
    fn new(expected: Option<&'a Digest>, member: &Member) -> Self {
        let other = expected.map(Digest::algorithm);
        let other = other.filter(|algorithm| *algorithm != Algorithm::Sha256);
        Self {
            expected,
            sha256: member.sha256,
            hasher: other.map(Hasher::new),
        }
    }

    /// Whether nothing has to be read for it.
    fn is_done(&self) -> bool {
        self.hasher.is_none() && (self.expected.is_none() || self.sha256.is_some())
    }

    /// The digest, where it will be asked for.
    fn sha256(&self, bytes: &[u8]) -> Option<[u8; 32]> {
        let is_wanted = self.expected.is_some() && self.hasher.is_none();
        is_wanted.then(|| Sha256::digest(bytes).into())
    }

    fn update(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
    }

    fn finish(self, member: &Member) -> Result<(), PlaceError> {
        let Some(expected) = self.expected else {
            return Ok(());
        };
        let is_it = match self.hasher {
            Some(hasher) => hasher.finish() == *expected,
            None => self.sha256.is_some_and(|sha256| expected.bytes() == sha256),
        };
        match is_it {
            true => Ok(()),
            false => Err(PlaceError::Mismatch(member.path.clone())),
        }
    }
}
