//! A tree that has all its files, and is not in its place yet: where later phases work.

use std::os::fd::AsFd as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode};
use sha2::{Digest as _, Sha256};

use super::write::fill;
use super::{
    Content, FileFacts, INSIDE, Listing, Owner, Provenance, Record, Tree, TreeError, TreePath,
};
use crate::core::foreign::{self, Entry, Folder};
use crate::core::walk::Node;

/// How many folders stay open, while a tree is looked through, for the sake of those that are in them.
const OPEN: usize = 16;

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

    /// What is in the tree now, as a walk would find it: nothing is read. What others have changed is known once it was
    /// looked for.
    pub fn walked(&self) -> Node {
        self.tree.claims.walked("")
    }

    /// What is known of a file.
    pub fn facts(&self, path: &Path) -> Option<FileFacts> {
        match self.tree.claims.get(&TreePath::of(path).ok()?)?.content {
            Content::File(facts) => Some(facts),
            Content::Link(_) => None,
        }
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
        self.tree.claims.put(owner, path, Content::File(facts));
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
        self.look_through(&|_, _, _| Ok(()))
    }

    /// Finds what was changed by other means, a build step say: what is new or different becomes
    /// the owner's, what is gone is forgotten. A file that nobody has touched since the tree was
    /// finished, and that has its length and mode, is what it was; all others are read.
    ///
    /// # Errors
    /// As [`Self::inspect`]; and when a file cannot be read.
    pub fn rescan(&self, owner: Owner) -> Result<(), TreeError> {
        self.look_through(&|folder, inside, entries| self.find(owner, folder, inside, entries))
    }

    /// The same, where it is known what was changed: files and folders, with all that is in them. The paths are relative
    /// to the tree.
    ///
    /// # Errors
    /// As [`Self::rescan`].
    pub fn rescan_at<P: AsRef<Path> + Sync>(
        &self,
        owner: Owner,
        paths: &[P],
    ) -> Result<(), TreeError> {
        let look = |path: &P| self.look_at(owner, &TreePath::of(path.as_ref())?);
        first_error(paths.par_iter().map(look).collect())
    }

    fn look_at(&self, owner: Owner, path: &TreePath) -> Result<(), TreeError> {
        let reading = |error| self.tree.io("read", path, error);
        let look = || {
            let folder = foreign::below(self.tree.stage.tree.as_fd(), path.folder())?;
            let entry = folder.entry(path.file_name().into())?;
            Ok::<_, std::io::Error>((folder, [(path.clone(), entry)]))
        };
        let (folder, entries) = match look() {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.tree.claims.clear(path);
                return Ok(());
            }
            Err(error) => return Err(reading(error)),
        };
        let [(_, entry)] = &entries;
        self.allow(&folder, path, entry)?;
        self.tree.claims.enter_all_again(owner, path.folder())?;
        self.find_all(owner, &folder, &entries)?;
        if entry.kind != FileType::Directory {
            return Ok(());
        }
        let inside = folder.folder(path.file_name()).map_err(reading)?;
        let find = |folder: &Folder, inside: &str, entries: &[_]| {
            self.find(owner, folder, inside, entries)
        };
        self.look_into(inside, path, &find, &AtomicUsize::new(0))
    }

    /// Notes what is in a folder, and nothing else.
    fn find(
        &self,
        owner: Owner,
        folder: &Folder,
        inside: &str,
        entries: &[(TreePath, Entry)],
    ) -> Result<(), TreeError> {
        self.find_all(owner, folder, entries)?;
        let names = entries.iter().map(|(path, _)| path.file_name());
        self.tree.claims.keep_only(inside, &names.collect());
        Ok(())
    }

    fn find_all(
        &self,
        owner: Owner,
        folder: &Folder,
        entries: &[(TreePath, Entry)],
    ) -> Result<(), TreeError> {
        let claims = &self.tree.claims;
        let look = |(path, entry): &(TreePath, Entry)| {
            let reading = |error| self.tree.io("read", path, error);
            let content = match entry.kind {
                FileType::Directory => return claims.enter_again(owner, path),
                FileType::Symlink => Content::Link(target(folder, path).map_err(reading)?.into()),
                _ => match self.untouched(path, entry) {
                    Some(content) => content,
                    None => {
                        let file = folder.file(path.file_name()).map_err(reading)?;
                        Content::File(FileFacts::of(file).map_err(reading)?)
                    }
                },
            };
            let linked =
                (entry.kind == FileType::RegularFile && entry.links > 1).then_some(entry.modified);
            claims.note(owner, path, content, linked);
            Ok(())
        };
        first_error(entries.par_iter().with_min_len(16).map(look).collect())
    }

    /// What is known of a file, if that is still so.
    fn untouched(&self, path: &TreePath, entry: &Entry) -> Option<Content> {
        let node = self.tree.claims.get(path)?;
        let Content::File(facts) = &node.content else {
            return None;
        };
        let is_it = entry.changed < self.finished
            && facts.size == entry.size
            && u32::from(facts.mode) == entry.mode
            && facts.sha256.is_some();
        is_it.then_some(node.content)
    }

    /// Notes that all files were sealed: `mode` says which mode each has by whether it can be run, and none has another name
    /// elsewhere.
    pub fn note_sealed(&self, mode: impl Fn(bool) -> u32 + Sync) {
        let mode = |old| (mode(old & 0o100 != 0) & 0o777) as u16;
        self.tree.claims.note_sealed(mode);
    }

    /// Visits all folders of the tree, on every core, each before those that are in it: the folder, its path
    /// from the top, and what is in it, sorted by name.
    fn look_through(&self, visit: &Visit<'_>) -> Result<(), TreeError> {
        self.look_into(self.tree.open_folder("")?, "", visit, &AtomicUsize::new(0))
    }

    fn look_into(
        &self,
        folder: Folder,
        inside: &str,
        visit: &Visit<'_>,
        open: &AtomicUsize,
    ) -> Result<(), TreeError> {
        let reading = |error| TreeError::io("read", &self.root().join(inside), error);
        let mut entries = Vec::new();
        for entry in folder.entries().map_err(reading)? {
            let name = entry.name.clone().into_string().map_err(|name| {
                let name = name.display();
                let why = format!("it has the name {name}, which is not UTF-8");
                reading(std::io::Error::other(why))
            })?;
            let path = match inside {
                "" => TreePath::new(name)?,
                inside => TreePath::new(format!("{inside}/{name}"))?,
            };
            self.allow(&folder, &path, &entry)?;
            entries.push((path, entry));
        }
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        visit(&folder, inside, &entries)?;
        let folders = entries.iter().map(|(path, entry)| (path, entry.kind));
        let folders = folders.filter(|(_, kind)| *kind == FileType::Directory);
        let folders: Vec<&TreePath> = folders.map(|(path, _)| path).collect();
        if folders.is_empty() {
            return Ok(());
        }
        // The way down from a folder that is open is one step; but not all can be open.
        let near = Some(folder).filter(|_| open.fetch_add(1, Relaxed) < OPEN);
        let looks = folders.par_iter().with_max_len(1).map(|path| {
            let folder = match &near {
                Some(folder) => folder.folder(path.file_name()),
                None => foreign::below(self.tree.stage.tree.as_fd(), path),
            };
            let folder = folder.map_err(|error| self.tree.io("read", path, error))?;
            self.look_into(folder, path, visit, open)
        });
        let looked = first_error(looks.collect());
        open.fetch_sub(1, Relaxed);
        looked
    }

    /// Whether a tree may have such a thing, once its mode has none but the permission bits.
    fn allow(&self, folder: &Folder, path: &TreePath, entry: &Entry) -> Result<(), TreeError> {
        let what = match entry.kind {
            FileType::Symlink => return Ok(()),
            FileType::RegularFile | FileType::Directory if entry.mode & !0o777 == 0 => {
                return Ok(());
            }
            FileType::RegularFile | FileType::Directory => {
                let mode = Mode::from_raw_mode(entry.mode & 0o777);
                let set = rustix::fs::chmodat(folder, path.file_name(), mode, AtFlags::empty());
                return set.map_err(|error| self.tree.io("set the mode of", path, error.into()));
            }
            FileType::Fifo => "a named pipe",
            FileType::Socket => "a socket",
            _ => "a device",
        };
        let path = path.clone();
        Err(TreeError::Foreign { path, what })
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

/// Sees a folder that is open, its path, and what is in it.
type Visit<'a> = dyn Fn(&Folder, &str, &[(TreePath, Entry)]) -> Result<(), TreeError> + Sync + 'a;

/// Whatever thread was first: of several errors the one that comes first in order.
fn first_error(all: Vec<Result<(), TreeError>>) -> Result<(), TreeError> {
    all.into_iter().collect()
}

/// Where a link leads.
fn target(folder: &Folder, path: &TreePath) -> std::io::Result<String> {
    let target = rustix::fs::readlinkat(folder, path.file_name(), Vec::new())?;
    let odd = |_| std::io::Error::other("it leads to a name that is not UTF-8");
    target.into_string().map_err(odd)
}
