//! Who has what where: every path of a tree, decided before anything is written.
//!
//! Threads claim paths in any order, so everything here is made not to depend on it: what wins is
//! the highest rank (then name) among those that brought the path, and what is reported is told
//! from all of them, at the end.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rayon::slice::ParallelSliceMut as _;
use sha2::{Digest as _, Sha256};

use super::TreeError;
use super::path::{TreePath, fold};

/// Someone who puts files into a tree, by the number the tree gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub(super) u32);

/// What a file is, besides its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Permission bits, `0o777` at most.
    pub mode: u16,
    /// Length in bytes.
    pub size: u64,
    /// Of the bytes.
    pub sha256: [u8; 32],
}

impl Facts {
    /// Reads a file for what it is. A link is followed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut file = fs::File::open(path)?;
        let mode = file.metadata()?.permissions().mode();
        let mut hasher = Sha256::new();
        let mut size = 0;
        let mut piece = vec![0; 1 << 17];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(piece.get(..read).unwrap_or_default());
                    size += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            mode: (mode & 0o777) as u16,
            size,
            sha256: hasher.finalize().into(),
        })
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file.
    File(Facts),
    /// A symbolic link, and where it leads.
    Link(Box<str>),
}

/// One path that several owners brought with different contents.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Collision {
    /// Where.
    pub path: TreePath,
    /// Whose file is there.
    pub winner: String,
    /// Whose is not, lowest rank first.
    pub losers: Vec<String>,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let losers = self.losers.join(", ");
        let (path, winner) = (&self.path, &self.winner);
        write!(
            f,
            "{path} is brought by {losers} and by {winner} with different bytes; {winner}'s is kept"
        )
    }
}

/// What is to be done after a claim.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nobody has been here: create it.
    First,
    /// Someone of lower rank has, or may be writing just now: put it in their place.
    Replace,
    /// It is there already, or something of higher rank is.
    Nothing,
}

#[derive(Debug)]
struct Named {
    name: String,
    rank: u64,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) owner: Owner,
    pub(super) content: Content,
}

/// A folder: its own entries but not its folders, which have entries of their own in the table.
#[derive(Debug)]
struct Folder {
    made: bool,
    owner: Owner,
    entries: BTreeMap<Box<str>, Node>,
}

/// Every path of a tree.
#[derive(Debug)]
pub(super) struct Table {
    owners: Vec<Named>,
    folders: HashMap<Box<str>, Folder>,
    /// Everyone who brought a path that more than one brought.
    contested: HashMap<TreePath, Vec<(Owner, Content)>>,
    /// On a disk that folds names: the folded ones, and what they were first.
    folded: Option<HashMap<String, Box<str>>>,
}

impl Table {
    pub(super) fn new(disk_folds: bool) -> Self {
        let top = Folder {
            made: true,
            owner: Owner(0),
            entries: BTreeMap::new(),
        };
        Self {
            owners: Vec::new(),
            folders: HashMap::from([("".into(), top)]),
            contested: HashMap::new(),
            folded: disk_folds.then(HashMap::new),
        }
    }

    pub(super) fn owner(&mut self, name: &str, rank: u64) -> Owner {
        let known = self
            .owners
            .iter()
            .position(|owner| owner.rank == rank && owner.name == name);
        let number = known.unwrap_or_else(|| {
            self.owners.push(Named {
                name: name.to_owned(),
                rank,
            });
            self.owners.len() - 1
        });
        Owner(number as u32)
    }

    pub(super) fn name(&self, owner: Owner) -> &str {
        self.owners
            .get(owner.0 as usize)
            .map_or("?", |owner| &owner.name)
    }

    fn standing(&self, owner: Owner) -> (u64, &str) {
        self.owners
            .get(owner.0 as usize)
            .map_or((0, "?"), |owner| (owner.rank, &owner.name))
    }

    /// Claims a path for a file or link, and says which of its folders are still to be made.
    pub(super) fn claim(
        &mut self,
        owner: Owner,
        path: &TreePath,
        content: &Content,
    ) -> Result<Claim, TreeError> {
        self.enter(owner, path.folder())?;
        if let Some(folder) = self.folders.get(path.as_str()) {
            return Err(TreeError::FileAndFolder {
                path: path.as_str().into(),
                folder_of: self.name(folder.owner).to_owned(),
                file_of: self.name(owner).to_owned(),
            });
        }
        let held = self
            .folders
            .get(path.folder())
            .and_then(|folder| folder.entries.get(path.file_name()));
        let Some(held) = held else {
            self.spell(owner, path)?;
            self.put(owner, path, content);
            return Ok(Claim::First);
        };
        let (holder, same) = (held.owner, held.content == *content);
        if holder == owner {
            return if same {
                Ok(Claim::Nothing)
            } else {
                Err(TreeError::Twice {
                    path: path.clone(),
                    owner: self.name(owner).to_owned(),
                })
            };
        }
        let first = (holder, held.content.clone());
        let contenders = self
            .contested
            .entry(path.clone())
            .or_insert_with(|| vec![first]);
        if contenders
            .iter()
            .any(|(other, had)| *other == owner && had != content)
        {
            return Err(TreeError::Twice {
                path: path.clone(),
                owner: self.name(owner).to_owned(),
            });
        }
        contenders.push((owner, content.clone()));
        if self.standing(owner) < self.standing(holder) {
            return Ok(Claim::Nothing);
        }
        self.put(owner, path, content);
        Ok(if same { Claim::Nothing } else { Claim::Replace })
    }

    /// Claims a folder and those above it.
    pub(super) fn enter(&mut self, owner: Owner, path: &str) -> Result<(), TreeError> {
        if self.folders.contains_key(path) {
            return Ok(());
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        self.enter(owner, parent)?;
        let held = self
            .folders
            .get(parent)
            .and_then(|folder| folder.entries.get(name));
        if let Some(held) = held {
            return Err(TreeError::FileAndFolder {
                path: path.into(),
                folder_of: self.name(owner).to_owned(),
                file_of: self.name(held.owner).to_owned(),
            });
        }
        self.spell(owner, path)?;
        let folder = Folder {
            made: false,
            owner,
            entries: BTreeMap::new(),
        };
        self.folders.insert(path.into(), folder);
        Ok(())
    }

    /// The folders on the way to `path`, and itself, that are not on the disk yet, from the top.
    pub(super) fn unmade(&self, path: &str) -> Vec<Box<str>> {
        let mut unmade = Vec::new();
        let mut at = path;
        while self.folders.get(at).is_some_and(|folder| !folder.made) {
            unmade.push(at.into());
            at = at.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        unmade.reverse();
        unmade
    }

    pub(super) fn made(&mut self, folders: &[Box<str>]) {
        for path in folders {
            if let Some(folder) = self.folders.get_mut(path) {
                folder.made = true;
            }
        }
    }

    /// What stands at a path.
    pub(super) fn get(&self, path: &TreePath) -> Option<&Node> {
        self.folders
            .get(path.folder())?
            .entries
            .get(path.file_name())
    }

    /// Whether others claimed this path too.
    pub(super) fn is_contested(&self, path: &TreePath) -> bool {
        self.contested.contains_key(path)
    }

    pub(super) fn put(&mut self, owner: Owner, path: &TreePath, content: &Content) {
        if let Some(folder) = self.folders.get_mut(path.folder()) {
            let node = Node {
                owner,
                content: content.clone(),
            };
            folder.entries.insert(path.file_name().into(), node);
        }
    }

    pub(super) fn remove(&mut self, path: &TreePath) -> Option<Node> {
        self.folders
            .get_mut(path.folder())?
            .entries
            .remove(path.file_name())
    }

    /// On a disk that folds names, refuses a second spelling.
    fn spell(&mut self, owner: Owner, path: &str) -> Result<(), TreeError> {
        let Some(folded) = &mut self.folded else {
            return Ok(());
        };
        match folded.insert(fold(path), path.into()) {
            Some(other) if *other != *path => Err(TreeError::SameOnDisk {
                path: path.into(),
                owner: self.name(owner).to_owned(),
                other,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn written(&self) -> (u64, u64) {
        let nodes = self
            .folders
            .values()
            .flat_map(|folder| folder.entries.values());
        nodes.fold((0, 0), |(files, bytes), node| match &node.content {
            Content::File(facts) => (files + 1, bytes + facts.size),
            Content::Link(_) => (files, bytes),
        })
    }

    /// Every collision, sorted by path.
    pub(super) fn collisions(&self) -> Vec<Collision> {
        let mut collisions = Vec::new();
        for (path, contenders) in &self.contested {
            let Some(node) = self.get(path) else { continue };
            let mut losers: Vec<Owner> = contenders
                .iter()
                .filter(|(_, content)| *content != node.content)
                .map(|(owner, _)| *owner)
                .collect();
            losers.sort_by(|a, b| self.standing(*a).cmp(&self.standing(*b)));
            losers.dedup();
            if !losers.is_empty() {
                collisions.push(Collision {
                    path: path.clone(),
                    winner: self.name(node.owner).to_owned(),
                    losers: losers
                        .iter()
                        .map(|owner| self.name(*owner).to_owned())
                        .collect(),
                });
            }
        }
        collisions.sort_by(|a, b| a.path.cmp(&b.path));
        collisions
    }

    /// Every file and link, sorted by the bytes of its whole path.
    pub(super) fn entries(&self) -> Vec<(TreePath, &Node)> {
        let mut entries: Vec<_> = self
            .folders
            .iter()
            .flat_map(|(folder, held)| {
                held.entries
                    .iter()
                    .map(move |(name, node)| (TreePath::within(folder, name), node))
            })
            .collect();
        entries.par_sort_unstable_by(|a, b| a.0.cmp(&b.0));
        entries
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_folds_names_gets_no_two_spellings_of_one() {
        let link = Content::Link("x".into());
        let claim = |table: &mut Table, path: &str| {
            let owner = table.owner("a 1.0.0 (node_modules/a)", 0);
            let path = TreePath::new(path).unwrap();
            table.claim(owner, &path, &link).map(drop)
        };
        for (first, second) in [
            ("node_modules/jsonstream/x", "node_modules/JSONStream/y"),
            ("a/README", "a/readme"),
            ("a/caf\u{e9}", "a/cafe\u{301}"),
        ] {
            let mut folding = Table::new(true);
            claim(&mut folding, first).unwrap();
            let said = claim(&mut folding, second).unwrap_err();
            assert!(matches!(said, TreeError::SameOnDisk { .. }), "{said}");
            let mut plain = Table::new(false);
            claim(&mut plain, first).unwrap();
            claim(&mut plain, second).unwrap();
        }
    }
}
