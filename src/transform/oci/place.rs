//! Trees put where they will be in an image, and told apart by package.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use super::OciError;
use super::known::Known;
use super::layers::Unit;
use super::root::{Bytes, Held, Node, Root};
use super::tar::{Item, Items};
use crate::core::foreign::shown;
use crate::core::walk::{self, walk};
use crate::install::owners::Owners;
use crate::obtain::store::Store;

/// A tree that goes into an image.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Where it is now: a folder.
    pub from: Utf8PathBuf,
    /// Where it will be, from the image's root.
    pub at: Utf8PathBuf,
    /// Packages that change more often than the rest, a project's own: they come last.
    pub changing: Vec<String>,
    /// Whether it was made by this run, where nobody else writes.
    pub is_new: bool,
}

/// A tree in its place.
#[derive(Debug)]
pub struct Placed {
    /// Where it is now.
    pub from: Utf8PathBuf,
    /// Where it is in the image, without the first slash.
    pub at: String,
    /// Files in it that may be run, by their paths in the image.
    pub programs: Vec<String>,
    /// Its links and what they hold.
    pub links: Vec<(String, String)>,
    /// Its packages and what is in each.
    pub units: Vec<(Unit, Items)>,
    /// What is known of its files.
    pub known: Known,
}

impl Placed {
    /// The path in the image of a file of the tree.
    pub fn in_image(&self, path: &Utf8Path) -> Option<String> {
        let path = path.strip_prefix(&self.from).ok()?;
        Some(join(&self.at, path.as_str()))
    }
}

/// Puts trees into an image's file system.
#[derive(Debug)]
pub struct Placing<'a> {
    /// The file system.
    pub root: &'a mut Root,
    /// Where layers are kept.
    store: Option<&'a Store>,
    /// Folders that the base has not, and their modes.
    folders: BTreeMap<String, u32>,
    /// Which tree has brought what.
    taken: HashMap<String, usize>,
    trees: Vec<Utf8PathBuf>,
}

impl<'a> Placing<'a> {
    /// On top of what is there.
    pub fn on(root: &'a mut Root, store: Option<&'a Store>) -> Self {
        Self {
            root,
            store,
            folders: BTreeMap::new(),
            taken: HashMap::new(),
            trees: Vec::new(),
        }
    }

    /// What was placed so far is the base: others may take the place of its files.
    pub fn forget(&mut self) {
        self.taken.clear();
        self.trees.clear();
    }

    /// Puts a tree in its place.
    ///
    /// # Errors
    /// When it cannot be read, or something that is no folder is in the place of one.
    pub fn place(&mut self, tree: &Tree) -> Result<Placed, OciError> {
        let number = self.trees.len();
        self.trees.push(tree.from.clone());
        let read = |error: std::io::Error| OciError::Tree(tree.from.clone(), error.to_string());
        let from = tree.from.canonicalize_utf8().map_err(read)?;
        let known = self
            .store
            .map(|store| Known::of(&tree.from, tree.is_new, store));
        let walked = walk(from.as_std_path())?;
        if !matches!(walked, walk::Node::Folder(_)) {
            let why = "it is not a folder".to_owned();
            return Err(OciError::Tree(tree.from.clone(), why));
        }
        let at = (tree.at.is_absolute()).then(|| self.root.real(&tree.at));
        let at = at.flatten().ok_or_else(|| {
            let why = format!("{} is not a path in an image: one begins with /", tree.at);
            OciError::Tree(tree.from.clone(), why)
        })?;
        let mut parent = String::new();
        for part in at.split('/').filter(|part| !part.is_empty()) {
            parent = join(&parent, part);
            self.folder(tree, &parent, 0o755)?;
        }
        let owners = Owners::of_walked(from.as_std_path(), &walked);
        let changing: HashSet<&str> = tree.changing.iter().map(String::as_str).collect();
        let mut placed = Placed {
            from,
            at,
            programs: Vec::new(),
            links: Vec::new(),
            units: Vec::new(),
            known: known.unwrap_or_default(),
        };
        let mut by_name: HashMap<Option<String>, usize> = HashMap::new();
        let mut entries = Vec::new();
        walked.each(&mut |path, node| entries.push((path.to_owned(), node)));
        for (path, node) in entries {
            let inside = Self::inside(tree, &path)?;
            let image = join(&placed.at, inside);
            if image.is_empty() {
                continue;
            }
            let Some((item, size)) = self.item(tree, number, &image, &path, node, &mut placed)?
            else {
                continue;
            };
            let package = owners
                .of(&path)
                .map(|label| label.rsplit_once(' ').map_or(label, |(name, _)| name))
                .filter(|name| !changing.contains(name))
                .map(str::to_owned);
            let at = *by_name.entry(package.clone()).or_insert_with(|| {
                let unit = Unit {
                    package,
                    tree: number,
                    size: 0,
                };
                placed.units.push((unit, Items::new()));
                placed.units.len() - 1
            });
            if let Some((unit, items)) = placed.units.get_mut(at) {
                unit.size += size;
                items.insert(image, item);
            }
        }
        placed
            .units
            .sort_by(|(one, _), (other, _)| one.package.cmp(&other.package));
        Ok(placed)
    }

    /// A tree's path, as it can be in an image.
    fn inside<'p>(tree: &Tree, path: &'p Path) -> Result<&'p str, OciError> {
        path.to_str().ok_or_else(|| {
            let name = shown(&path.to_string_lossy());
            OciError::Tree(
                tree.from.clone(),
                format!("{name} has a name that is not UTF-8"),
            )
        })
    }

    /// What goes into a layer for an entry, and its size; nothing for a folder that has something in
    /// it, or that the base has.
    fn item(
        &mut self,
        tree: &Tree,
        number: usize,
        image: &str,
        path: &Path,
        node: &walk::Node,
        placed: &mut Placed,
    ) -> Result<Option<(Item, u64)>, OciError> {
        let here = placed.from.as_std_path().join(path);
        let held = match node {
            walk::Node::Folder(entries) => {
                let meta = std::fs::symlink_metadata(&here);
                let meta =
                    meta.map_err(|error| OciError::Tree(tree.from.clone(), error.to_string()))?;
                let mode = meta.mode() & 0o7777;
                let is_new = self.folder(tree, image, mode)?;
                let item = (Item::Folder { mode }, 0);
                return Ok((is_new && entries.is_empty()).then_some(item));
            }
            walk::Node::Link(target) => {
                let target = Self::inside(tree, Path::new(target))?.to_owned();
                placed.links.push((image.to_owned(), target.clone()));
                (Node::Link(target.clone()), Item::Link(target), 0)
            }
            walk::Node::File(file) => {
                if file.mode & 0o111 != 0 {
                    placed.programs.push(image.to_owned());
                }
                let path = path.to_str().unwrap_or_default();
                let item = Item::File {
                    mode: file.mode,
                    size: file.size,
                    from: here,
                    sha256: placed.known.sha256(path, file.mode, file.size),
                };
                let held = Held {
                    mode: file.mode,
                    bytes: Bytes::Here(placed.from.join(path)),
                };
                (Node::File(held), item, file.size)
            }
        };
        if let Some(other) = self.taken.insert(image.to_owned(), number) {
            let other = self.trees.get(other).map_or("", |tree| tree.as_str());
            let why = format!("/{} comes from {other}, too", shown(image));
            return Err(OciError::Tree(tree.from.clone(), why));
        }
        if matches!(self.root.get(image), Some(Node::Folder)) {
            let why = format!("/{} is a folder in the image, and none in it", shown(image));
            return Err(OciError::Tree(tree.from.clone(), why));
        }
        let (node, item, size) = held;
        self.root.put(image, node);
        Ok(Some((item, size)))
    }

    /// Makes sure that a folder is there: whether it is new.
    fn folder(&mut self, tree: &Tree, image: &str, mode: u32) -> Result<bool, OciError> {
        match self.root.get(image) {
            Some(Node::Folder) => Ok(self.folders.contains_key(image)),
            None => {
                self.root.put(image, Node::Folder);
                self.folders.insert(image.to_owned(), mode);
                Ok(true)
            }
            Some(there) => {
                let what = match there {
                    Node::Link(target) => format!("a link to {}", shown(target)),
                    _ => "no folder".to_owned(),
                };
                let why = format!(
                    "/{} is a folder in it, and {what} in the image: put it elsewhere",
                    shown(image)
                );
                Err(OciError::Tree(tree.from.clone(), why))
            }
        }
    }

    /// Items with the folders that they are in, as far as the base has not got these.
    pub fn with_folders(&self, mut items: Items) -> Items {
        let mut needed = HashMap::new();
        for path in items.keys() {
            let mut path = path.as_str();
            while let Some((folder, _)) = path.rsplit_once('/') {
                if needed.contains_key(folder) {
                    break;
                }
                needed.insert(folder, self.folders.get(folder));
                path = folder;
            }
        }
        let needed = needed.into_iter();
        let folders = needed.filter_map(|(path, mode)| Some((path.to_owned(), *mode?)));
        for (path, mode) in folders.collect::<Vec<_>>() {
            items.entry(path).or_insert(Item::Folder { mode });
        }
        items
    }
}

/// A path below another; both may be empty.
fn join(above: &str, below: &str) -> String {
    match (above, below) {
        ("", path) | (path, "") => path.to_owned(),
        (above, below) => format!("{above}/{below}"),
    }
}
