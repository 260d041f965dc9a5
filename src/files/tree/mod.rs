//! The one writer of outputs.
//!
//! Every file of a venv or a `node_modules` goes through a [`Tree`]: wheel members, npm members,
//! copies, scripts, links. It owns the rules, so that no other room can get them wrong:
//!
//! - **Staged and renamed.** [`Tree::stage`] makes a hidden folder beside the destination;
//!   [`Staged::commit`] renames it into place. A run that is killed leaves the old output or none.
//! - **Paths** are [`TreePath`]s, and nothing is ever written through a link.
//! - **Modes** are the ones asked for, whatever the umask.
//! - **Collisions**: when two owners bring one path, the higher rank wins, whatever the order of
//!   events; identical contents are no collision, a file where a folder must be is an error.
//! - **Guarded**: what must not be lost is not replaced, whatever is asked for ([`Precious`]).
//! - **Provenance**: which owner put which file there, with its digest ([`Provenance`]).
//!
//! ```
//! # use lockwright::files::tree::{TreeOptions, Tree, TreePath};
//! # let folder = tempfile::tempdir()?;
//! # let dest = camino::Utf8Path::from_path(folder.path()).unwrap().join("out");
//! let tree = Tree::stage(&dest, TreeOptions::default())?;
//! let django = tree.owner("django 5.2.10", 0);
//! tree.file(django, &TreePath::new("django/__init__.py")?, 0o644, b"VERSION = 5\n")?;
//! tree.finish().commit()?;
//! assert!(dest.join("django/__init__.py").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod claims;
mod content;
mod dir_writer;
mod error;
mod guard;
mod listing;
mod look;
mod open;
mod provenance;
mod stage;
mod staged;
mod stamp;
mod write;

use std::sync::atomic::{AtomicBool, AtomicU64};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, Mode, OFlags};

pub use crate::core::tree_path::{PathError, TreePath, fold};
pub use claims::Owner;
pub use content::{Collision, Content, FileFacts};
pub(super) use dir_writer::DirWriter;
pub use dir_writer::Shared;
pub use error::TreeError;
pub use guard::{Precious, Replaced, holds_a_home};
pub use listing::{CACHES, Listing, module_of_bytecode};
pub use open::Open;
pub use provenance::{BESIDE, Entry, INSIDE, Provenance};
pub use staged::Staged;
pub use stamp::Stamp;

use claims::PathClaims;
use stage::Stage;

/// An output in the making. Any number of threads may write to it at once.
#[derive(Debug)]
pub struct Tree {
    stage: Stage,
    claims: PathClaims,
    options: TreeOptions,
    /// The destination as it was named.
    asked: Utf8PathBuf,
    replaced: Option<Replaced>,
    temporary: AtomicU64,
    /// Whether this tree's disk cannot share bytes with those that files came from.
    cannot_clone: AtomicBool,
}

/// How a tree is made.
#[derive(Debug, Clone, Default)]
pub struct TreeOptions {
    /// What may be replaced.
    pub replace: Replace,
    /// Where the provenance record goes.
    pub record: Record,
    /// What may not be replaced, whatever is said.
    pub precious: Precious,
}

/// What may be at the destination, to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Replace {
    /// Nothing at all.
    Nothing,
    /// A tree that was made here, told by its provenance record, or an empty folder.
    #[default]
    Ours,
    /// Also an environment that another program made: a virtual environment, a `node_modules`, a
    /// folder of nothing but artifacts.
    Environments,
}

impl Replace {
    /// What `--clear` means.
    pub fn cleared(clear: bool) -> Self {
        match clear {
            true => Self::Environments,
            false => Self::Ours,
        }
    }
}

/// Where the provenance record goes. It is also what tells our trees from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Record {
    /// [`INSIDE`] the tree.
    #[default]
    Inside,
    /// Beside the tree, under its name and [`BESIDE`]: for trees whose every byte counts.
    Beside,
    /// Nowhere.
    Nowhere,
}

/// How a file of this machine is placed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkMode {
    /// Its bytes are copied.
    #[default]
    Copy,
    /// They are shared until one of the two is written to, where the file system can; else copied.
    Reflink,
    /// It is the same file; copied where that cannot be, across disks say.
    Hardlink,
}

impl LinkMode {
    /// [`Self::Reflink`] where the bytes of files in one folder can be shared with files in another, by their disks;
    /// else [`Self::Copy`]. Tried out with two files that have no name.
    pub fn by_disks(from: &Utf8Path, to: &Utf8Path) -> Self {
        let nameless = |folder: &Utf8Path| {
            // It may be made yet, on the disk of the folder above.
            let folder = folder.ancestors().find(|folder| folder.is_dir())?;
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            rustix::fs::openat(CWD, folder.as_str(), flags, Mode::RUSR | Mode::WUSR).ok()
        };
        let can_share = || {
            let source = nameless(from)?;
            rustix::io::write(&source, &[0; 4096]).ok()?;
            rustix::fs::ioctl_ficlone(nameless(to)?, source).ok()
        };
        can_share().map_or(Self::Copy, |()| Self::Reflink)
    }
}

impl Record {
    /// Where the record of a destination is.
    fn path(self, destination: &Utf8Path) -> Option<Utf8PathBuf> {
        match self {
            Self::Inside => Some(destination.join(INSIDE)),
            Self::Beside => Some(format!("{destination}{BESIDE}").into()),
            Self::Nowhere => None,
        }
    }
}

impl Tree {
    /// Sweeps away what is left beside an output of a run that was killed when it had put the new one in its place, and
    /// not yet removed the old one: who finds the output up to date begins none.
    pub fn sweep(destination: &Utf8Path) {
        stage::sweep(destination);
    }

    /// Begins an output: makes its staging folder, and sweeps away those that dead runs left.
    ///
    /// # Errors
    /// When something is at the destination that may not be replaced, or nothing can be made
    /// beside it.
    pub fn stage(destination: &Utf8Path, options: TreeOptions) -> Result<Self, TreeError> {
        let replaced = options.survey(destination)?;
        let stage = Stage::new(destination)?;
        let tree = Self {
            claims: PathClaims::new(stage.folds),
            stage,
            asked: destination.to_owned(),
            replaced,
            temporary: AtomicU64::new(0),
            cannot_clone: AtomicBool::new(false),
            options,
        };
        if tree.options.record == Record::Inside {
            // Taken first, so that no package can have a link in its place.
            let own = tree.owner("lockwright", u64::MAX);
            if let Some((folder, _)) = INSIDE.rsplit_once('/') {
                tree.folder(own, &TreePath::new(folder)?)?;
            }
        }
        Ok(tree)
    }

    /// Someone who will put files there: a package and its version, as messages and the provenance
    /// record name it. Of two who bring the same path the higher rank wins; of equal ranks, the
    /// later name.
    pub fn owner(&self, name: &str, rank: u64) -> Owner {
        self.claims.owner(name, rank)
    }

    /// Where an owner puts files into a folder and those below it, one after another. The folder
    /// is a [`TreePath`]'s, or the empty string for the top.
    ///
    /// # Errors
    /// When a file is there, or it cannot be made.
    pub(super) fn inside(&self, owner: Owner, folder: &str) -> Result<DirWriter<'_>, TreeError> {
        DirWriter::new(self, owner, folder)
    }

    /// The name of an owner.
    pub fn name(&self, owner: Owner) -> String {
        self.claims.name(owner)
    }

    /// Where the tree is while it is being made.
    pub fn root(&self) -> Utf8PathBuf {
        self.stage.root()
    }

    /// Where the tree will be.
    pub fn destination(&self) -> &Utf8Path {
        self.stage.destination()
    }

    /// What is there and goes with leave ([`Replace::Environments`]).
    pub fn replaced(&self) -> Option<&Replaced> {
        self.replaced.as_ref()
    }

    /// How many files and bytes are in it.
    pub fn written(&self) -> (u64, u64) {
        self.claims.written()
    }

    /// The files below a folder, sorted by path: who brought each, and its SHA-256 where it is known.
    pub fn files_below(&self, folder: &str) -> Vec<(Owner, TreePath, Option<[u8; 32]>)> {
        let entries = self.claims.entries().into_iter();
        let files = entries.filter_map(|(path, node)| match node.content {
            Content::File(facts) => Some((node.owner, path, facts.sha256)),
            Content::Link(_) => None,
        });
        files
            .filter(|(_, path, _)| {
                let rest = path.as_str().strip_prefix(folder);
                rest.is_some_and(|rest| rest.starts_with('/'))
            })
            .collect()
    }

    /// What collided so far, sorted by path.
    ///
    /// # Errors
    /// Where it is `strict`, when anything did.
    pub fn settle(&self, strict: bool) -> Result<Vec<Collision>, TreeError> {
        let collisions = self.claims.collisions();
        if strict && !collisions.is_empty() {
            return Err(TreeError::Collisions(collisions));
        }
        Ok(collisions)
    }

    /// Ends the writing.
    pub fn finish(self) -> Staged {
        Staged::new(self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
