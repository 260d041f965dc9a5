//! A tree that has all its files, and is not in its place yet: where later phases work.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode};
use sha2::{Digest as _, Sha256};

use super::write::fill;
use super::{
    Content, FileFacts, INSIDE, Listing, Owner, Provenance, Record, Tree, TreeError, TreePath,
};
use crate::core::foreign::{Entry, Folder};

/// How many folders are open at a time while a tree is looked through.
const OPEN: usize = 64;

/// A tree that has all its files, and is not in its place yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    tree: Tree,
    /// When the last of its files was there: what has a later time of change was touched since.
    /// The least of all times where that cannot be told.
    finished: (i64, i64),
}

impl Staged {
    pub(super) fn new(tree: Tree) -> Self {
        // The file system's own clock, which may tick seldom.
        let probe = tree.temporary(0o600).ok().and_then(|(name, file)| {
            let stat = rustix::fs::fstat(&file).ok()?;
            tree.discard(&name);
            let nanoseconds = i64::try_from(stat.st_ctime_nsec).ok()?;
            Some((stat.st_ctime, nanoseconds))
        });
        Self {
            tree,
            finished: probe.unwrap_or((i64::MIN, 0)),
        }
    }

    /// Goes back to writing, under the tree's own rules of collision.
    pub fn reopen(self) -> Tree {
        self.tree
    }

    /// The folder. What is changed in it by other means than this value's methods is found by
    /// [`Self::rescan`].
    pub fn root(&self) -> Utf8PathBuf {
        self.tree.root()
    }

    /// Where the tree will be.
    pub fn destination(&self) -> &Utf8Path {
        self.tree.destination()
    }

    /// Every file and link with its owner.
    pub fn provenance(&self) -> Provenance {
        Provenance::of(&self.tree.claims)
    }

    /// The names of all that will be there: of a tree that nobody but this program has touched.
    pub fn listing(&self) -> Listing {
        let mut listing = self.tree.claims.listing();
        if self.tree.options.record == Record::Inside
            && let Some((folder, name)) = INSIDE.rsplit_once('/')
        {
            listing.add(folder, name);
        }
        listing
    }

    /// Someone who changes files from now on.
    pub fn owner(&self, name: &str) -> Owner {
        self.tree.owner(name, 0)
    }

    /// Gives a file other bytes; mode and owner stay. A file that is shared with others by a hard
    /// link is parted from them.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be written.
    pub fn edit(&self, path: &TreePath, bytes: &[u8]) -> Result<(), TreeError> {
        let known = match self.tree.claims.get(path) {
            Some(node) => match node.content {
                Content::File(facts) => Some((node.owner, facts.mode)),
                Content::Link(_) => None,
            },
            None => None,
        };
        let (owner, mode) = known.ok_or_else(|| TreeError::Absent(path.clone()))?;
        self.put(owner, path, mode.into(), bytes)
    }

    /// Puts a file there, whatever was there before.
    ///
    /// # Errors
    /// When a folder is there, or it cannot be written.
    pub fn put(
        &self,
        owner: Owner,
        path: &TreePath,
        mode: u32,
        bytes: &[u8],
    ) -> Result<(), TreeError> {
        let facts = FileFacts {
            mode: (mode & 0o777) as u16,
            size: bytes.len() as u64,
            sha256: Some(Sha256::digest(bytes).into()),
        };
        let folder = self.tree.claims.enter(owner, path.folder())?;
        self.tree.make_again(&folder)?;
        let (temporary, file) = self.tree.temporary(facts.mode)?;
        fill(file, bytes).map_err(|error| self.tree.io("write", path, error))?;
        self.tree.rename(&temporary, path)?;
        self.tree.claims.put(owner, path, &Content::File(facts));
        Ok(())
    }

    /// Takes a file or link away.
    ///
    /// # Errors
    /// When it is not there, or cannot be removed.
    pub fn remove(&self, path: &TreePath) -> Result<(), TreeError> {
        if !self.tree.claims.remove(path) {
            return Err(TreeError::Absent(path.clone()));
        }
        let folder = self.tree.open_folder(path.folder())?;
        rustix::fs::unlinkat(&folder, path.file_name(), AtFlags::empty())
            .map_err(|error| self.tree.io("remove", path, error.into()))
    }

    /// Looks through a tree in which a command or a script was at work: there must be nothing but
    /// files, folders and links, all with names that a tree can have. Of modes, the permission bits
    /// count, and no others stay.
    ///
    /// # Errors
    /// When something else is there, or a folder cannot be read.
    pub fn inspect(&self) -> Result<(), TreeError> {
        self.look_through(&mut |_, _, _| Ok(()))
    }

    /// Finds what was changed by other means, a build step say: what is new or different becomes
    /// the owner's, what is gone is forgotten. A file that nobody has touched since the tree was
    /// finished, and that has its length and mode, is what it was; all others are read, on every
    /// core.
    ///
    /// # Errors
    /// As [`Self::inspect`]; and when a file cannot be read.
    pub fn rescan(&self, owner: Owner) -> Result<(), TreeError> {
        let claims = &self.tree.claims;
        let mut seen = BTreeSet::new();
        let mut touched = Vec::new();
        self.look_through(&mut |folder, path, entry| {
            match entry.kind {
                FileType::Directory => return claims.enter(owner, path).map(drop),
                FileType::Symlink => {
                    let reading = |error: std::io::Error| self.tree.io("read", path, error);
                    let target = rustix::fs::readlinkat(folder, path.file_name(), Vec::new());
                    let target = target.map_err(|error| reading(error.into()))?;
                    let target = target.into_string().map_err(|_| {
                        reading(std::io::Error::other(
                            "it leads to a name that is not UTF-8",
                        ))
                    })?;
                    self.found(owner, path, &Content::Link(target.into()));
                }
                _ if self.is_untouched(path, entry) => {}
                _ => touched.push(path.clone()),
            }
            seen.insert(path.clone());
            Ok(())
        })?;
        let touched = touched.par_chunk_by(|one, other| one.folder() == other.folder());
        touched.try_for_each(|paths| {
            let Some(first) = paths.first() else {
                return Ok(());
            };
            let folder = self.tree.open_folder(first.folder())?;
            paths.par_iter().try_for_each(|path| {
                let reading = |error| self.tree.io("read", path, error);
                let file = folder.file(path.file_name()).map_err(reading)?;
                let facts = FileFacts::of(file).map_err(reading)?;
                self.found(owner, path, &Content::File(facts));
                Ok::<_, TreeError>(())
            })
        })?;
        let gone: Vec<_> = claims
            .entries()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !seen.contains(path))
            .collect();
        for path in gone {
            claims.remove(&path);
        }
        Ok(())
    }

    /// What is at a path is the owner's, unless it is what was known.
    fn found(&self, owner: Owner, path: &TreePath, content: &Content) {
        let claims = &self.tree.claims;
        if claims.get(path).is_none_or(|node| node.content != *content) {
            claims.put(owner, path, content);
        }
    }

    fn is_untouched(&self, path: &TreePath, entry: &Entry) -> bool {
        let Some(Content::File(facts)) = self.tree.claims.get(path).map(|node| node.content) else {
            return false;
        };
        entry.changed < self.finished
            && facts.size == entry.size
            && u32::from(facts.mode) == entry.mode
            && facts.sha256.is_some()
    }

    /// Takes the modes of all files for what they are now, after they alone were changed.
    ///
    /// # Errors
    /// As [`Self::inspect`].
    pub fn take_modes(&self) -> Result<(), TreeError> {
        let claims = &self.tree.claims;
        self.look_through(&mut |_, path, entry| {
            if let Some(node) = claims.get(path)
                && let Content::File(facts) = node.content
            {
                let mode = (entry.mode & 0o777) as u16;
                claims.put(
                    node.owner,
                    path,
                    &Content::File(FileFacts { mode, ..facts }),
                );
            }
            Ok(())
        })
    }

    /// Visits all that is in the tree, folders before what is in them.
    fn look_through(
        &self,
        visit: &mut dyn FnMut(&Folder, &TreePath, &Entry) -> Result<(), TreeError>,
    ) -> Result<(), TreeError> {
        let mut folders = vec![String::new()];
        // Those above the folder that is looked at: the way down from there is one step.
        let mut above: Vec<(String, Folder)> = Vec::new();
        while let Some(inside) = folders.pop() {
            let reading = |error| TreeError::io("read", &self.root().join(&inside), error);
            let parent = inside.rsplit_once('/').map_or("", |(parent, _)| parent);
            while above.pop_if(|(path, _)| path.as_str() != parent).is_some() {}
            let name = inside.strip_prefix(parent).unwrap_or_default();
            let folder = match above.last() {
                Some((_, parent)) if !inside.is_empty() => parent
                    .folder(name.trim_start_matches('/'))
                    .map_err(reading)?,
                _ => self.tree.open_folder(&inside)?,
            };
            for entry in folder.entries().map_err(reading)? {
                let (kind, mode) = (entry.kind, entry.mode);
                let name = entry.name.clone().into_string().map_err(|name| {
                    let name = name.display();
                    reading(std::io::Error::other(format!(
                        "it has the name {name}, which is not UTF-8"
                    )))
                })?;
                let path = match inside.is_empty() {
                    true => TreePath::new(name)?,
                    false => TreePath::new(format!("{inside}/{name}"))?,
                };
                let what = match kind {
                    FileType::RegularFile | FileType::Directory | FileType::Symlink => None,
                    FileType::Fifo => Some("a named pipe"),
                    FileType::Socket => Some("a socket"),
                    _ => Some("a device"),
                };
                if let Some(what) = what {
                    return Err(TreeError::Foreign { path, what });
                }
                if mode & !0o777 != 0 && kind != FileType::Symlink {
                    let mode = Mode::from_raw_mode(mode & 0o777);
                    rustix::fs::chmodat(&folder, path.file_name(), mode, AtFlags::empty())
                        .map_err(|error| self.tree.io("set the mode of", &path, error.into()))?;
                }
                visit(&folder, &path, &entry)?;
                if kind == FileType::Directory {
                    folders.push(path.as_str().to_owned());
                }
            }
            if above.len() < OPEN {
                above.push((inside, folder));
            }
        }
        Ok(())
    }

    /// Writes the provenance record and renames the tree into its place, at once where the file
    /// system can exchange two folders. What was there before is removed afterwards.
    ///
    /// # Errors
    /// When something is at the destination that may not be replaced, or the tree cannot be
    /// renamed; the destination is as it was before then.
    pub fn commit(self) -> Result<Utf8PathBuf, TreeError> {
        let tree = &self.tree;
        let destination = tree.destination().to_owned();
        let record = tree.options.record;
        tree.options.check(&tree.asked, &destination)?;
        let Some(at) = record.path(&destination) else {
            tree.stage.rename()?;
            return Ok(destination);
        };
        let (temporary, file) = tree.temporary(0o644)?;
        self.provenance()
            .write(std::fs::File::from(file))
            .map_err(|error| TreeError::io("write", &at, error))?;
        if record == Record::Inside {
            tree.rename(&temporary, &TreePath::new(INSIDE)?)?;
            tree.stage.rename()?;
        } else {
            tree.stage.rename()?;
            let (from, to) = (&tree.stage.tmp, &tree.stage.parent);
            let name = at.file_name().unwrap_or_default();
            rustix::fs::renameat(from, &temporary, to, name)
                .map_err(|error| TreeError::io("write", &at, error.into()))?;
        }
        Ok(destination)
    }
}
