//! Who has what where: every path of a tree, decided before anything is written.
//!
//! Threads claim paths in any order, so everything here is made not to depend on it: what wins is
//! the highest rank (then name) among those that brought the path, and what is reported is told
//! from all of them, at the end. What becomes of a tree once it is written is told in `afterwards`.

mod afterwards;

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard};

use indexmap::IndexSet;
use rayon::prelude::*;

use super::TreeError;
use super::content::{Collision, Content};
use super::listing::{Listing, Names};
use super::look::facts_of_linked;
use crate::core::locks;
use crate::core::tree_path::{TreePath, fold};

/// Someone who puts files into a tree, by the number the tree gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub(super) u32);

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

#[derive(Debug, PartialEq, Eq, Hash)]
struct Named {
    name: String,
    rank: u64,
}

/// A file or link, and whose it is.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) owner: Owner,
    pub(super) content: Content,
    /// When its bytes last changed, in seconds since 1970, if it is a file that has another name elsewhere.
    linked: Option<i64>,
}

impl Node {
    fn new(owner: Owner, content: &Content) -> Self {
        Self {
            owner,
            content: content.clone(),
            linked: None,
        }
    }
}

/// What has a name in a folder.
#[derive(Debug)]
enum Entry {
    Node(Node),
    /// A folder, which has an entry of its own in the claims; who needed it first.
    Folder(Owner),
}

/// A folder and what is directly in it. Threads at work in different folders do not meet.
#[derive(Debug)]
pub(super) struct Folder {
    /// From the top, which is the empty string.
    pub(super) path: Box<str>,
    /// Whether it is on the disk.
    pub(super) made: AtomicBool,
    entries: Mutex<BTreeMap<Box<str>, Entry>>,
}

impl Folder {
    fn new(path: &str, made: bool) -> Arc<Self> {
        Arc::new(Self {
            path: path.into(),
            made: AtomicBool::new(made),
            entries: Mutex::default(),
        })
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Entry>> {
        locks::held(&self.entries)
    }

    /// Notes that an owner's file has no other name elsewhere, as its claim said.
    pub(super) fn note_copied(&self, name: &str, owner: Owner) {
        if let Some(Entry::Node(node)) = self.entries().get_mut(name)
            && node.owner == owner
        {
            node.linked = None;
        }
    }

    /// The names in it.
    fn names(&self) -> Names {
        let mut names = Names::default();
        for (name, entry) in self.entries().iter() {
            let to = match entry {
                Entry::Folder(_) => &mut names.folders,
                Entry::Node(node) => {
                    names.known.push(match (&node.content, node.linked) {
                        (Content::File(facts), Some(modified)) => {
                            Some(facts_of_linked(facts.mode, facts.size, modified))
                        }
                        _ => None,
                    });
                    &mut names.others
                }
            };
            to.extend(name.bytes().chain([0]));
        }
        names
    }

    /// Does something while nobody can claim what is here, if it is still this owner's, or another's
    /// with the same content, who leaves the writing to this one.
    pub(super) fn while_owned<T>(
        &self,
        name: &str,
        owner: Owner,
        content: &Content,
        act: impl FnOnce() -> T,
    ) -> Option<T> {
        let entries = self.entries();
        match entries.get(name) {
            Some(Entry::Node(node)) if node.owner == owner || node.content.is_same(content) => {
                Some(act())
            }
            _ => None,
        }
    }
}

/// Every path of a tree.
///
/// Locks are taken in this order: a folder's entries, then any one of the others.
#[derive(Debug)]
pub(super) struct PathClaims {
    owners: RwLock<IndexSet<Named>>,
    folders: RwLock<HashMap<Box<str>, Arc<Folder>>>,
    /// Everyone who brought a path that more than one brought.
    contested: Mutex<HashMap<TreePath, Vec<(Owner, Content)>>>,
    /// On a disk that folds names: the folded ones, and what they were first.
    folded: Option<Mutex<HashMap<String, Box<str>>>>,
}

impl PathClaims {
    pub(super) fn new(disk_folds: bool) -> Self {
        Self {
            owners: RwLock::default(),
            folders: RwLock::new(HashMap::from([("".into(), Folder::new("", true))])),
            contested: Mutex::default(),
            folded: disk_folds.then(Mutex::default),
        }
    }

    pub(super) fn owner(&self, name: &str, rank: u64) -> Owner {
        let named = Named {
            name: name.to_owned(),
            rank,
        };
        let mut owners = locks::write(&self.owners);
        Owner(owners.insert_full(named).0 as u32)
    }

    fn owners(&self) -> RwLockReadGuard<'_, IndexSet<Named>> {
        locks::read(&self.owners)
    }

    pub(super) fn name(&self, owner: Owner) -> String {
        let owners = self.owners();
        let named = owners.get_index(owner.0 as usize);
        named.map_or("?", |owner| &owner.name).to_owned()
    }

    /// Who stands where: the higher rank above, of equal ones the later name.
    fn compare(&self, one: Owner, other: Owner) -> Ordering {
        let owners = self.owners();
        let standing = |owner: Owner| {
            let named = owners.get_index(owner.0 as usize);
            named.map_or((0, "?"), |owner| (owner.rank, owner.name.as_str()))
        };
        standing(one).cmp(&standing(other))
    }

    /// Claims a name in a folder for a file or link; `linked` as [`Node`] has it, for whoever is first.
    pub(super) fn claim(
        &self,
        owner: Owner,
        folder: &Folder,
        name: &str,
        content: &Content,
        linked: Option<i64>,
    ) -> Result<Claim, TreeError> {
        let node = || Node::new(owner, content);
        let path = || TreePath::within(&folder.path, name);
        let twice = || TreeError::Twice {
            path: path(),
            owner: self.name(owner),
        };
        let mut entries = folder.entries();
        let held = match entries.get(name) {
            None => {
                self.spell(owner, folder, name)?;
                let node = Node { linked, ..node() };
                entries.insert(name.into(), Entry::Node(node));
                return Ok(Claim::First);
            }
            Some(Entry::Folder(other)) => {
                return Err(TreeError::FileAndFolder {
                    path: path().as_str().into(),
                    folder_of: self.name(*other),
                    file_of: self.name(owner),
                });
            }
            Some(Entry::Node(held)) => held,
        };
        let (holder, same) = (held.owner, held.content.is_same(content));
        if holder == owner {
            return if same {
                Ok(Claim::Nothing)
            } else {
                Err(twice())
            };
        }
        let mut contested = locks::held(&self.contested);
        let contenders = contested
            .entry(path())
            .or_insert_with(|| vec![(holder, held.content.clone())]);
        if contenders
            .iter()
            .any(|(other, had)| *other == owner && !had.is_same(content))
        {
            return Err(twice());
        }
        contenders.push((owner, content.clone()));
        if self.compare(owner, holder).is_lt() {
            return Ok(Claim::Nothing);
        }
        entries.insert(name.into(), Entry::Node(node()));
        Ok(if same { Claim::Nothing } else { Claim::Replace })
    }

    /// Claims a folder and those above it.
    pub(super) fn enter(&self, owner: Owner, path: &str) -> Result<Arc<Folder>, TreeError> {
        if let Some(folder) = self.folder(path) {
            return Ok(folder);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.enter(owner, parent)?;
        let mut entries = parent.entries();
        match entries.get(name) {
            Some(Entry::Node(held)) => {
                return Err(TreeError::FileAndFolder {
                    path: path.into(),
                    folder_of: self.name(owner),
                    file_of: self.name(held.owner),
                });
            }
            Some(Entry::Folder(_)) => {}
            None => {
                self.spell(owner, &parent, name)?;
                entries.insert(name.into(), Entry::Folder(owner));
            }
        }
        // Another thread may have come first, while this one waited for the entries.
        let mut folders = locks::write(&self.folders);
        let folder = folders
            .entry(path.into())
            .or_insert_with(|| Folder::new(path, false));
        Ok(Arc::clone(folder))
    }

    /// A folder that somebody has entered.
    pub(super) fn folder(&self, path: &str) -> Option<Arc<Folder>> {
        let folders = locks::read(&self.folders);
        folders.get(path).cloned()
    }

    /// All folders, in no order.
    fn folders(&self) -> Vec<Arc<Folder>> {
        let folders = locks::read(&self.folders);
        folders.values().cloned().collect()
    }

    /// What stands at a path.
    pub(super) fn get(&self, path: &TreePath) -> Option<Node> {
        match self
            .folder(path.folder())?
            .entries()
            .get(path.file_name())?
        {
            Entry::Node(node) => Some(node.clone()),
            Entry::Folder(_) => None,
        }
    }

    /// Whether others claimed this name too.
    pub(super) fn is_contested(&self, folder: &Folder, name: &str) -> bool {
        locks::held(&self.contested).contains_key(&TreePath::within(&folder.path, name))
    }

    /// On a disk that folds names, refuses a second spelling.
    fn spell(&self, owner: Owner, folder: &Folder, name: &str) -> Result<(), TreeError> {
        let Some(folded) = &self.folded else {
            return Ok(());
        };
        let path = TreePath::within(&folder.path, name);
        match locks::held(folded).insert(fold(&path), path.as_str().into()) {
            Some(other) if *other != *path => Err(TreeError::SameOnDisk {
                path: path.as_str().into(),
                owner: self.name(owner),
                other,
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn written(&self) -> (u64, u64) {
        let of_folder = |folder: &Arc<Folder>| {
            let entries = folder.entries();
            let sizes = entries.values().filter_map(|entry| match entry {
                Entry::Node(Node {
                    content: Content::File(facts),
                    ..
                }) => Some(facts.size),
                _ => None,
            });
            sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size))
        };
        let add = |one: (u64, u64), other: (u64, u64)| (one.0 + other.0, one.1 + other.1);
        self.folders()
            .par_iter()
            .map(of_folder)
            .reduce(|| (0, 0), add)
    }

    /// Every collision, sorted by path.
    pub(super) fn collisions(&self) -> Vec<Collision> {
        let contested = locks::held(&self.contested).clone();
        let mut collisions = Vec::new();
        for (path, contenders) in contested {
            let Some(node) = self.get(&path) else {
                continue;
            };
            let mut losers: Vec<Owner> = contenders
                .iter()
                .filter(|(owner, content)| *owner != node.owner && !content.is_same(&node.content))
                .map(|(owner, _)| *owner)
                .collect();
            losers.sort_by(|a, b| self.compare(*a, *b));
            losers.dedup();
            if !losers.is_empty() {
                collisions.push(Collision {
                    path,
                    winner: self.name(node.owner),
                    losers: losers.iter().map(|owner| self.name(*owner)).collect(),
                });
            }
        }
        collisions.sort_by(|a, b| a.path.cmp(&b.path));
        collisions
    }

    /// The names of all that is there.
    pub(super) fn listing(&self) -> Listing {
        let folders = self.folders();
        let made = folders
            .par_iter()
            .filter(|folder| folder.made.load(Relaxed));
        let named = made.map(|folder| (folder.path.as_bytes().into(), folder.names()));
        Listing::new(named.collect())
    }

    /// Every file and link, in the order of the bytes of its whole path.
    pub(super) fn entries(&self) -> Vec<(TreePath, Node)> {
        let mut entries = Vec::new();
        if let Some(top) = self.folder("") {
            self.add_entries(&top, &mut entries);
        }
        entries
    }

    fn add_entries(&self, folder: &Folder, to: &mut Vec<(TreePath, Node)>) {
        let entries = folder.entries();
        let names = entries.iter().map(|(name, entry)| (&**name, entry));
        let mut names: Vec<(&str, &Entry)> = names.collect();
        // What is in the folder `a` stands behind `a-b`. They are in order already but for that.
        names.sort_by(|one, other| in_path(*one).cmp(in_path(*other)));
        for (name, entry) in names {
            let path = TreePath::within(&folder.path, name);
            match entry {
                Entry::Node(node) => to.push((path, node.clone())),
                Entry::Folder(_) => {
                    if let Some(inside) = self.folder(&path) {
                        self.add_entries(&inside, to);
                    }
                }
            }
        }
    }
}

/// The bytes that a name brings into paths: of a folder, with what stands behind it.
fn in_path<'a>((name, entry): (&'a str, &'a Entry)) -> impl Iterator<Item = u8> + 'a {
    let slash = matches!(entry, Entry::Folder(_)).then_some(b'/');
    name.bytes().chain(slash)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_the_order_of_the_bytes_of_their_paths() {
        let claims = PathClaims::new(false);
        let owner = claims.owner("a 1.0.0", 0);
        let mut paths = [
            "a/b/c", "a-b/c", "a.js", "a/b-c", "a/b.js", "ab", "b", "a/b/d/e",
        ];
        for path in paths.map(|path| TreePath::new(path).unwrap()) {
            let folder = claims.enter(owner, path.folder()).unwrap();
            let link = Content::Link("x".into());
            claims
                .claim(owner, &folder, path.file_name(), &link, None)
                .unwrap();
        }
        let entries = claims.entries();
        paths.sort_unstable();
        assert!(entries.iter().map(|(path, _)| path.as_str()).eq(paths));
    }

    #[test]
    fn a_disk_that_folds_names_gets_no_two_spellings_of_one() {
        let link = Content::Link("x".into());
        let claim = |claims: &PathClaims, path: &str| {
            let owner = claims.owner("a 1.0.0 (node_modules/a)", 0);
            let path = TreePath::new(path).unwrap();
            let folder = claims.enter(owner, path.folder())?;
            claims
                .claim(owner, &folder, path.file_name(), &link, None)
                .map(drop)
        };
        for (first, second) in [
            ("node_modules/jsonstream/x", "node_modules/JSONStream/y"),
            ("a/README", "a/readme"),
            ("a/caf\u{e9}", "a/cafe\u{301}"),
        ] {
            let folding = PathClaims::new(true);
            claim(&folding, first).unwrap();
            let said = claim(&folding, second).unwrap_err();
            assert!(matches!(said, TreeError::SameOnDisk { .. }), "{said}");
            let plain = PathClaims::new(false);
            claim(&plain, first).unwrap();
            claim(&plain, second).unwrap();
        }
    }
}
