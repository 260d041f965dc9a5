//! A folder of a tree, as one owner fills it.
//!
//! A package's files come folder by folder. What is in the folder that is open is put there by its
//! name alone: no look at the folders above it, neither in the claims nor by the system.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use super::claims::Folder;
use super::write::{Slot, Source};
use super::{FileFacts, LinkMode, Owner, Record, Tree, TreeError, TreePath};
use crate::core::tree_path::check_name;

/// A folder of this machine whose files may be shared.
#[derive(Debug, Clone, Copy)]
pub struct Shared<'a> {
    /// The folder.
    pub folder: BorrowedFd<'a>,
    /// When the bytes of every file in it last changed, in seconds since 1970: it has been looked at.
    pub modified: i64,
}

/// Where one owner puts files, in any order; fast when those of a folder follow each other.
#[derive(Debug)]
pub struct DirWriter<'a> {
    tree: &'a Tree,
    owner: Owner,
    top: Box<str>,
    open: Open,
}

/// The folder that is open.
#[derive(Debug)]
struct Open {
    /// From the top; the empty string is the top itself.
    below: String,
    folder: Arc<Folder>,
    dir: OwnedFd,
}

impl Open {
    fn new(tree: &Tree, owner: Owner, path: &str, below: &str) -> Result<Self, TreeError> {
        let folder = tree.claims.enter(owner, path)?;
        tree.make(&folder)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at = if path.is_empty() { "." } else { path };
        let dir =
            rustix::fs::openat(&tree.stage.tree, at, flags, Mode::empty()).map_err(|error| {
                TreeError::io("open the folder", &tree.root().join(path), error.into())
            })?;
        Ok(Self {
            below: below.to_owned(),
            folder,
            dir,
        })
    }
}

impl<'a> DirWriter<'a> {
    pub(super) fn new(tree: &'a Tree, owner: Owner, top: &str) -> Result<Self, TreeError> {
        let open = Open::new(tree, owner, top, "")?;
        Ok(Self {
            tree,
            owner,
            top: top.into(),
            open,
        })
    }

    /// Puts a file there, `path` being its path from the top folder. A digest that is not known
    /// is computed for a record alone: without one, equal bytes from two owners count as
    /// different.
    ///
    /// # Errors
    /// When the path leads elsewhere, and as [`Tree::file`].
    pub fn file(
        &mut self,
        path: &str,
        mode: u16,
        bytes: &[u8],
        sha256: Option<[u8; 32]>,
    ) -> Result<FileFacts, TreeError> {
        let (tree, owner) = (self.tree, self.owner);
        let is_needed = sha256.is_none() && tree.options.record != Record::Nowhere;
        let facts = FileFacts {
            mode: mode & 0o777,
            size: bytes.len() as u64,
            sha256: sha256.or_else(|| is_needed.then(|| Sha256::digest(bytes).into())),
        };
        tree.put_file(owner, &self.slot(path)?, facts, bytes)?;
        Ok(facts)
    }

    /// Puts a file there that is in a folder of this machine, sharing it as `how` says where the
    /// disk can, and copying it where not. What it is must be known already.
    ///
    /// # Errors
    /// As [`Self::file`]; and when it cannot be read.
    pub fn share(
        &mut self,
        path: &str,
        facts: FileFacts,
        (shared, name): (Shared<'_>, &str),
        how: LinkMode,
    ) -> Result<(), TreeError> {
        let (tree, owner) = (self.tree, self.owner);
        let from = Source {
            folder: shared.folder,
            path: name,
            modified: Some(shared.modified),
        };
        tree.put_shared(owner, &self.slot(path)?, facts, from, how)
    }

    fn slot<'s>(&'s mut self, path: &'s str) -> Result<Slot<'s>, TreeError> {
        let (below, name) = path.rsplit_once('/').unwrap_or(("", path));
        if below != self.open.below {
            let folder = match (&*self.top, below) {
                (top, "") => top.to_owned(),
                ("", below) => TreePath::new(below)?.to_string(),
                (top, below) => TreePath::new(format!("{top}/{below}"))?.to_string(),
            };
            self.open = Open::new(self.tree, self.owner, &folder, below)?;
        }
        check_name(&self.open.folder.path, name)?;
        Ok(Slot {
            folder: &self.open.folder,
            name,
            dir: self.open.dir.as_fd(),
            at: name,
        })
    }
}
