//! Source archives, unpacked: sdists, and trees as the store keeps them.
//!
//! An sdist is a stranger's. It has one folder at its top, which is left out; a member that leads
//! outside, a link that leads outside, a device, two members of one name are refused by name
//! (<https://packaging.python.org/en/latest/specifications/source-distribution-format/>).
//! Everything is written by [`Tree`], with its modes.

use std::collections::HashMap;

use camino::Utf8Path;

use super::view::About;
use crate::files::archive::Limits;
use crate::files::archive::tar::{Kind, Tar, TarError, TarMember};
use crate::files::archive::tarball;
use crate::files::archive::zip::{Zip, ZipError};
use crate::files::tree::{Owner, Record, Replace, Tree, TreeError, TreeOptions, TreePath};
use crate::obtain::store::{Blob, StoreError};

/// What a file is that was left in Git LFS.
const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

/// What kind of archive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A source distribution, from a stranger: one folder at the top, and links stay inside it.
    Sdist,
    /// From a stranger too, but with whatever is at its top.
    Whole,
    /// A tree that was packed here: no top folder, and links lead wherever they did.
    Packed,
}

/// What was unpacked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Files that are only pointers to what Git LFS keeps, by path.
    pub lfs_pointers: Vec<String>,
    /// The commit whose files these are, where they were packed here.
    pub commit: Option<About>,
}

/// Why an archive is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A tar archive is refused.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// A zip archive is refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// A member cannot be put in a tree.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is of a kind that cannot be unpacked.
    #[error(
        "{archive} is {what}, which lockwright does not unpack: sdists are .tar.gz or .zip; lock \
         another version of it, or one that has a wheel"
    )]
    Format {
        /// Which.
        archive: String,
        /// What it is.
        what: &'static str,
    },
    /// It has no folder at its top, or several.
    #[error(
        "{archive} has {found} at its top, and a source distribution has one folder there and \
         nothing else: it is not an sdist, or a broken one"
    )]
    Top {
        /// Which.
        archive: String,
        /// What is there.
        found: String,
    },
}

/// Unpacks an archive into a folder that is not there yet. `name` is what it is called in messages.
///
/// # Errors
/// When anything in it is not as it should be; then the folder is not there.
pub fn unpack(
    archive: &Blob,
    name: &str,
    shape: Shape,
    into: &Utf8Path,
    limits: &Limits,
) -> Result<Unpacked, ArchiveError> {
    let options = TreeOptions {
        replace: Replace::Nothing,
        record: Record::Nowhere,
        ..TreeOptions::default()
    };
    let tree = Tree::stage(into, options)?;
    let owner = tree.owner(name, 0);
    let done = unpack_into(archive, name, shape, &tree, &|_| owner, limits)?;
    tree.finish().commit()?;
    Ok(done)
}

/// Unpacks an archive into a tree that is being made; `owner` says whose each path is.
///
/// # Errors
/// When anything in it is not as it should be.
pub fn unpack_into(
    archive: &Blob,
    name: &str,
    shape: Shape,
    tree: &Tree,
    owner: &dyn Fn(&TreePath) -> Owner,
    limits: &Limits,
) -> Result<Unpacked, ArchiveError> {
    let bytes = archive.map()?;
    let mut unpacking = Unpacking {
        owner,
        tree,
        name,
        shape,
        top: None,
        done: Unpacked::default(),
    };
    match kind(&bytes) {
        Ok("zip") => unpacking.zip(&Zip::new(&bytes, name, limits)?)?,
        Ok(_) => tarball::unpack(&bytes, name, limits, |bytes| {
            unpacking.tar(Tar::new(bytes, name, limits))
        })?,
        Err(what) => {
            return Err(ArchiveError::Format {
                archive: name.to_owned(),
                what,
            });
        }
    }
    unpacking.finish()
}

/// What an archive is, by its first bytes: names lie.
fn kind(bytes: &[u8]) -> Result<&'static str, &'static str> {
    let tar = bytes.get(257..262) == Some(b"ustar");
    match bytes {
        [b'P', b'K', 3 | 5, ..] => Ok("zip"),
        [0x1f, 0x8b, ..] => Ok("gzip"),
        _ if tar => Ok("tar"),
        [b'B', b'Z', b'h', ..] => Err("packed by bzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Err("packed by xz"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Err("packed by Zstandard"),
        [0x1f, 0x9d, ..] => Err("packed by compress"),
        _ => Err("neither tar nor zip"),
    }
}

struct Unpacking<'a> {
    tree: &'a Tree,
    owner: &'a dyn Fn(&TreePath) -> Owner,
    name: &'a str,
    shape: Shape,
    /// The one folder at an sdist's top.
    top: Option<String>,
    done: Unpacked,
}

impl Unpacking<'_> {
    fn tar(&mut self, mut tar: Tar<'_>) -> Result<(), ArchiveError> {
        // For hard links, which name what came before them.
        let mut files: HashMap<String, (&[u8], u32)> = HashMap::new();
        for member in &mut tar {
            let member = member?;
            let Some(path) = self.place(&member)? else {
                continue;
            };
            let name = member.path.trim_end_matches('/');
            match &member.kind {
                Kind::Folder => self.tree.folder((self.owner)(&path), &path)?,
                Kind::File => {
                    self.file(&path, member.mode, member.bytes)?;
                    files.insert(name.to_owned(), (member.bytes, member.mode));
                }
                Kind::Hardlink(target) => {
                    let Some(&(bytes, mode)) = files.get(target.as_ref()) else {
                        let why =
                            format!("it is a hard link to {target}, which is not a file in it");
                        return Err(TarError::member(self.name, name, why).into());
                    };
                    self.file(&path, mode, bytes)?;
                }
                Kind::Symlink(target) => match self.shape {
                    Shape::Sdist | Shape::Whole => {
                        self.tree.symlink((self.owner)(&path), &path, target)?;
                    }
                    Shape::Packed => self
                        .tree
                        .link_anywhere((self.owner)(&path), &path, target)?,
                },
                Kind::Device => {
                    let why = "it is a device or a named pipe, which no source needs";
                    return Err(TarError::member(self.name, name, why).into());
                }
            }
        }
        if self.shape == Shape::Packed {
            let about = tar.note().map(serde_json::from_slice);
            self.done.commit = about.and_then(Result::ok);
        }
        Ok(())
    }

    fn zip(&mut self, zip: &Zip<'_>) -> Result<(), ArchiveError> {
        for member in zip.members() {
            let Some(path) = self.below_top(member.path.clone(), member.is_folder)? else {
                continue;
            };
            if member.is_folder {
                self.tree.folder((self.owner)(&path), &path)?;
            } else {
                let mode = if member.executable { 0o755 } else { 0o644 };
                self.file(&path, mode, &zip.read(member)?)?;
            }
        }
        Ok(())
    }

    /// Where a member goes; nothing for the top folder itself.
    fn place(&mut self, member: &TarMember<'_>) -> Result<Option<TreePath>, ArchiveError> {
        let refuse = |why: String| TarError::member(self.name, &member.path, why);
        if self.shape == Shape::Packed {
            return Ok(member.place(0).map_err(|error| refuse(error.why.into()))?);
        }
        // Some are packed as `./name-1.0/…`.
        let path = member.path.trim_start_matches("./").trim_end_matches('/');
        if path.is_empty() {
            return Ok(None);
        }
        let whole = TreePath::new(path).map_err(|error| refuse(error.why.into()))?;
        self.below_top(whole, member.kind == Kind::Folder)
    }

    /// Where something is below an sdist's one folder; nothing for the folder itself.
    fn below_top(
        &mut self,
        path: TreePath,
        is_folder: bool,
    ) -> Result<Option<TreePath>, ArchiveError> {
        if self.shape == Shape::Whole {
            return Ok(Some(path));
        }
        let (top, rest) = match path.split_once('/') {
            Some((top, rest)) => (top, Some(rest)),
            None => (path.as_str(), None),
        };
        self.take_top(top, rest.is_some() || is_folder)?;
        Ok(rest
            .map(TreePath::new)
            .transpose()
            .map_err(TreeError::from)?)
    }

    fn take_top(&mut self, top: &str, is_folder: bool) -> Result<(), ArchiveError> {
        let found = match &self.top {
            _ if !is_folder => format!("the file {top}"),
            Some(other) if other != top => format!("both {other} and {top}"),
            Some(_) => return Ok(()),
            None => {
                self.top = Some(top.to_owned());
                return Ok(());
            }
        };
        Err(ArchiveError::Top {
            archive: self.name.to_owned(),
            found,
        })
    }

    fn file(&mut self, path: &TreePath, mode: u32, bytes: &[u8]) -> Result<(), ArchiveError> {
        if bytes.starts_with(LFS) {
            self.done.lfs_pointers.push(path.to_string());
        }
        let mode = if mode & 0o111 == 0 { 0o644 } else { 0o755 };
        self.tree.file((self.owner)(path), path, mode, bytes)?;
        Ok(())
    }

    fn finish(self) -> Result<Unpacked, ArchiveError> {
        if self.shape == Shape::Sdist && self.top.is_none() {
            return Err(ArchiveError::Top {
                archive: self.name.to_owned(),
                found: "nothing".into(),
            });
        }
        Ok(self.done)
    }
}
