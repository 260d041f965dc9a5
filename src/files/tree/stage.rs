//! The staging folder: beside the destination, on the same disk, and gone whatever happens.
//!
//! ```text
//! <parent>/.lockwright-staged-<name>-<random>/     locked (flock) as long as its run lives
//!     tree/                                        what becomes the destination
//!     tmp/                                         files on their way to their names
//! ```
//!
//! A run that is killed leaves this folder with nobody's lock on it, and the next run for the same
//! destination sweeps it away.
//!
//! Scripts of the project's own may write to the folder that this one is in. So both are opened before
//! any script runs, and the last steps go from there, by names alone: a link that took the place of
//! either of them leads nowhere.

use std::io;
use std::os::fd::OwnedFd;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, fstat, renameat, renameat_with, statat,
};
use rustix::io::Errno;

use super::TreeError;
use crate::core::foreign::Folder;
use crate::core::scratch::{self, Claim, Undisturbed};

const PREFIX: &str = ".lockwright-staged-";

/// Mode of every folder.
pub(super) const FOLDER_MODE: u32 = 0o755;

/// The staging folder of one run. Dropped, it is removed.
#[derive(Debug)]
pub(super) struct Stage {
    destination: Utf8PathBuf,
    /// The folder that the destination is in, open.
    pub(super) parent: Folder,
    /// The staging folder, open and locked.
    claim: Claim,
    /// `tree/`, open: everything inside is named relative to it.
    pub(super) tree: OwnedFd,
    /// `tmp/`, likewise.
    pub(super) tmp: OwnedFd,
    /// Permission bits that the system takes from a new file.
    pub(super) file_mask: u32,
    /// Whether a new folder has another mode than the one asked for.
    pub(super) folders_differ: bool,
    /// Whether the disk takes names for the same that differ by case or Unicode form.
    pub(super) folds: bool,
}

impl Stage {
    pub(super) fn new(destination: &Utf8Path) -> Result<Self, TreeError> {
        let destination = resolve(destination)?;
        let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
            return Err(TreeError::Destination(destination));
        };
        std::fs::create_dir_all(parent)
            .map_err(|error| TreeError::at_destination("make the folder", parent, error))?;
        let prefix = prefix(name);
        let real = parent.canonicalize_utf8().and_then(Folder::open);
        let open_parent =
            real.map_err(|error| TreeError::at_destination("open the folder", parent, error))?;
        scratch::sweep(parent, &prefix);
        let claim = Claim::new(parent, &prefix)
            .map_err(|error| TreeError::at_destination("make a folder in", parent, error))?;
        let (folder, open) = (&claim.path, &claim.folder);
        // From here on there is something to remove when a step fails.
        let guard = Removal(folder, &open_parent, open);
        let io = |doing, error: rustix::io::Errno| TreeError::io(doing, folder, error.into());

        let made = |name: &str| -> Result<OwnedFd, rustix::io::Errno> {
            rustix::fs::mkdirat(open, name, Mode::from_raw_mode(0o777))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(open, name, flags, Mode::empty())
        };
        let tree = made("tree").map_err(|error| io("make folders in", error))?;
        let tmp = made("tmp").map_err(|error| io("make folders in", error))?;
        let probed = probe(&tree, &tmp).map_err(|error| io("make a file in", error))?;
        std::mem::forget(guard);
        Ok(Self {
            destination,
            parent: open_parent,
            claim,
            tree,
            tmp,
            file_mask: probed.file_mask,
            folders_differ: probed.folders_differ,
            folds: probed.folds,
        })
    }

    /// Where the tree is while it is being made.
    pub(super) fn root(&self) -> Utf8PathBuf {
        self.claim.path.join("tree")
    }

    /// Where the tree will be: the destination, links resolved.
    pub(super) fn destination(&self) -> &Utf8Path {
        &self.destination
    }

    /// Gives the tree its name. What was there is removed afterwards.
    pub(super) fn rename(&self) -> Result<(), TreeError> {
        let doing = "put the new tree in the place of";
        let said = |error| TreeError::at_destination(doing, &self.destination, error);
        let failed = |error: Errno| said(error.into());
        let name = self.destination.file_name().unwrap_or_default();
        let (parent, open) = (&self.parent, &self.claim.folder);
        let _undisturbed = Undisturbed::new();
        self.is_where_it_was().map_err(said)?;
        if statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_err() {
            return renameat(open, "tree", parent, name).map_err(failed);
        }
        match renameat_with(open, "tree", parent, name, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(()),
            // Not every file system exchanges. Two renames leave a moment with neither tree in
            // place, and the old one safe in the staging folder.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                renameat(parent, name, open, "old").map_err(failed)?;
                renameat(open, "tree", parent, name).map_err(|problem| {
                    // Should this fail too, the sweep must not take the old tree with it.
                    if renameat(open, "old", parent, name).is_err() {
                        let _ = renameat(open, "old", parent, format!("{name}.old"));
                    }
                    failed(problem)
                })
            }
            Err(problem) => Err(failed(problem)),
        }
    }

    /// The folder that the destination is in still has its name, and the tree has its own: nothing
    /// has been put in the place of either.
    fn is_where_it_was(&self) -> io::Result<()> {
        let parent = self.destination.parent().unwrap_or(Utf8Path::new("/"));
        let (held, named) = (
            fstat(&self.parent)?,
            statat(CWD, parent.as_str(), AtFlags::empty())?,
        );
        let (tree, inside) = (
            fstat(&self.tree)?,
            statat(&self.claim.folder, "tree", AtFlags::SYMLINK_NOFOLLOW)?,
        );
        let is_same =
            |one: &Stat, other: &Stat| (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino);
        match is_same(&held, &named) && is_same(&tree, &inside) {
            true => Ok(()),
            false => Err(io::Error::other("it was moved while the tree was made")),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove(&self.claim.path, &self.parent, &self.claim.folder);
    }
}

struct Removal<'a>(&'a Utf8Path, &'a Folder, &'a Folder);

impl Drop for Removal<'_> {
    fn drop(&mut self) {
        remove(self.0, self.1, self.2);
    }
}

/// The destination, absolute; where it is a link, what it leads to.
pub(super) fn resolve(destination: &Utf8Path) -> Result<Utf8PathBuf, TreeError> {
    let error = |error| TreeError::io("find", destination, error);
    let absolute = camino::absolute_utf8(destination).map_err(error)?;
    match std::fs::symlink_metadata(&absolute) {
        Ok(meta) if meta.is_symlink() => absolute.canonicalize_utf8().map_err(error),
        _ => Ok(absolute),
    }
}

/// Removes the staging folders that dead runs have left beside a destination.
pub(super) fn sweep(destination: &Utf8Path) {
    if let Ok(place) = resolve(destination)
        && let (Some(parent), Some(name)) = (place.parent(), place.file_name())
    {
        scratch::sweep(parent, &prefix(name));
    }
}

fn prefix(name: &str) -> String {
    let mut end = name.len().min(180);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{PREFIX}{}-", name.get(..end).unwrap_or_default())
}

struct Probed {
    file_mask: u32,
    folders_differ: bool,
    folds: bool,
}

/// What the system makes of modes and names here: umask, default ACLs, inherited set-group bits,
/// folding of case and Unicode forms.
fn probe(tree: &OwnedFd, tmp: &OwnedFd) -> Result<Probed, rustix::io::Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let name = "Caf\u{e9}";
    let file = rustix::fs::openat(tmp, name, flags, Mode::from_raw_mode(0o777))?;
    let file_mode = rustix::fs::fstat(&file)?.st_mode & 0o7777;
    let folder_mode = rustix::fs::fstat(tree)?.st_mode & 0o7777;
    let folds = ["caf\u{e9}", "Cafe\u{301}"]
        .iter()
        .any(|name| rustix::fs::statat(tmp, *name, AtFlags::SYMLINK_NOFOLLOW).is_ok());
    rustix::fs::unlinkat(tmp, name, AtFlags::empty())?;
    rustix::fs::fchmod(tree, Mode::from_raw_mode(FOLDER_MODE))?;
    Ok(Probed {
        file_mask: 0o777 & !file_mode,
        folders_differ: folder_mode & !0o777 != 0 || FOLDER_MODE & !folder_mode != 0,
        folds,
    })
}

/// Removes a folder and all that is in it, as far as that can be done.
fn remove(folder: &Utf8Path, parent: &Folder, open: &Folder) {
    open.empty();
    let name = folder.file_name().unwrap_or_default();
    if let Err(error) = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        tracing::warn!("{folder} could not be removed: {error}");
    }
}
