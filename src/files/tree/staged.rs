//! A tree that has all its files, and is not in its place yet: where later phases work.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::AtFlags;
use sha2::{Digest as _, Sha256};

use super::write::fill;
use super::{Content, Facts, INSIDE, Owner, Provenance, Record, Tree, TreeError, TreePath};

/// A tree that has all its files, and is not in its place yet. Dropped, it is gone.
#[derive(Debug)]
pub struct Staged {
    tree: Tree,
}

impl Staged {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
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
        Provenance::of(&self.tree.table)
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
        let known = match self.tree.table.get(path) {
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
        let facts = Facts {
            mode: (mode & 0o777) as u16,
            size: bytes.len() as u64,
            sha256: Sha256::digest(bytes).into(),
        };
        let folder = self.tree.table.enter(owner, path.folder())?;
        self.tree.make(&folder)?;
        let (temporary, file) = self.tree.temporary(facts.mode)?;
        fill(file, bytes).map_err(|error| self.tree.io("write", path, error))?;
        self.tree.rename(&temporary, path)?;
        self.tree.table.put(owner, path, &Content::File(facts));
        Ok(())
    }

    /// Takes a file or link away.
    ///
    /// # Errors
    /// When it is not there, or cannot be removed.
    pub fn remove(&self, path: &TreePath) -> Result<(), TreeError> {
        if !self.tree.table.remove(path) {
            return Err(TreeError::Absent(path.clone()));
        }
        rustix::fs::unlinkat(&self.tree.stage.tree, path.as_str(), AtFlags::empty())
            .map_err(|error| self.tree.io("remove", path, error.into()))
    }

    /// Finds what was changed by other means, a build step say: what is new or different becomes
    /// the owner's, what is gone is forgotten. Reads every file.
    ///
    /// # Errors
    /// When a file cannot be read, or has a name that cannot be in a tree.
    pub fn rescan(&self, owner: Owner) -> Result<(), TreeError> {
        let root = self.root();
        let mut seen = BTreeSet::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            let reading = |error| TreeError::io("read", &folder, error);
            for entry in folder.read_dir_utf8().map_err(reading)? {
                let entry = entry.map_err(reading)?;
                let at = entry.path();
                let reading = |error| TreeError::io("read", at, error);
                let kind = entry.file_type().map_err(reading)?;
                let inside = at.strip_prefix(&root).map_or("", Utf8Path::as_str);
                let path = TreePath::new(inside)?;
                if kind.is_dir() {
                    self.tree.table.enter(owner, &path)?;
                    folders.push(at.to_owned());
                    continue;
                }
                let content = if kind.is_symlink() {
                    Content::Link(at.read_link_utf8().map_err(reading)?.as_str().into())
                } else {
                    Content::File(Facts::of_file(at.as_std_path()).map_err(reading)?)
                };
                let table = &self.tree.table;
                if table.get(&path).is_none_or(|node| node.content != content) {
                    table.put(owner, &path, &content);
                }
                seen.insert(path);
            }
        }
        let table = &self.tree.table;
        let gone: Vec<_> = table
            .entries()
            .into_iter()
            .map(|(path, _)| path)
            .filter(|path| !seen.contains(path))
            .collect();
        for path in gone {
            table.remove(&path);
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
            let from = &tree.stage.tmp;
            rustix::fs::renameat(from, &temporary, rustix::fs::CWD, at.as_str())
                .map_err(|error| TreeError::io("write", &at, error.into()))?;
        }
        Ok(destination)
    }
}
