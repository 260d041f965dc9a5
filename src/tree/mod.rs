//! The one writer of outputs. Every file of a tree that lockwright makes goes through here, from
//! whatever thread and in whatever order, and comes out the same.
//!
//! - A tree is *staged* in a hidden folder beside its destination and renamed into place at the
//!   end, so a killed run leaves the old tree or none; what a killed run left is swept by the next.
//! - Every file has an [`Owner`]. When two owners bring one path, identical bytes are fine; of
//!   different bytes the owner registered later wins, whoever came first in time, and the
//!   [`Collision`] is reported.
//! - Modes are 0644 and 0755 for files, 0755 for folders, whatever the umask.

mod path;
mod stage;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

pub use path::{PathError, TreePath};
pub use stage::Replace;
use stage::Stage;

/// Who brings a file: a package, mostly. Made by [`Tree::owner`]; of two, the later wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(u32);

/// Two or more owners that brought different bytes for one path.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Collision {
    /// The path in the tree.
    pub path: String,
    /// Who brought it, the winner last.
    pub owners: Vec<String>,
}

impl std::fmt::Display for Collision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (winner, others) = match self.owners.split_last() {
            Some((winner, others)) => (winner.as_str(), others.join(", ")),
            None => ("", String::new()),
        };
        write!(
            f,
            "{} is brought by {others} and by {winner} with different bytes; {winner}'s is kept",
            self.path
        )
    }
}

/// Why a tree could not be written.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A path that cannot stand in a tree.
    #[error("{owner}: {source}")]
    Path {
        /// Who brings it.
        owner: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// One owner brings a path twice.
    #[error("{owner} brings {path} twice")]
    Twice {
        /// Who.
        owner: String,
        /// What.
        path: String,
    },
    /// A file where another owner has a folder, or the reverse.
    #[error(
        "{owner} brings {path}, where there is a {there} already: one cannot be both; leave one of the packages out"
    )]
    Clash {
        /// Who.
        owner: String,
        /// What.
        path: String,
        /// What is there.
        there: &'static str,
    },
    /// A link that leads out of the tree.
    #[error("{owner} brings the link {path} to {target}, which leads out of the tree")]
    Escape {
        /// Who.
        owner: String,
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// Different bytes for one path, where that is not allowed.
    #[error("packages bring different bytes for the same paths (--strict):{}", .0.iter().map(|c| format!("\n  {c}")).collect::<String>())]
    Collisions(Vec<Collision>),
    /// The destination is there and is not ours.
    #[error("{dest} is there and {why}; choose another --out, or let it be replaced with --clear")]
    NotOurs {
        /// The destination.
        dest: Utf8PathBuf,
        /// What is known of it.
        why: &'static str,
    },
    /// The disk is full.
    #[error("the disk of {dest} is full; nothing there was changed")]
    Full {
        /// The destination.
        dest: Utf8PathBuf,
    },
    /// Something else the system says.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

const SHARDS: usize = 64;

/// A tree in the making.
pub struct Tree {
    stage: Stage,
    owners: Vec<String>,
    claims: Vec<Mutex<HashMap<Box<str>, Owner>>>,
    folders: Vec<Mutex<HashSet<Box<str>>>>,
    later: Mutex<Vec<Later>>,
    files: AtomicU64,
    bytes: AtomicU64,
}

/// A second file for a path that is taken: kept aside until all is there.
struct Later {
    path: TreePath,
    owner: Owner,
    aside: Utf8PathBuf,
}

/// A file that is being written, in pieces.
pub struct Open<'a> {
    tree: &'a Tree,
    file: File,
    path: Utf8PathBuf,
}

impl Tree {
    /// Stages a tree beside its destination. Nothing at the destination is touched before
    /// [`Self::commit`].
    ///
    /// # Errors
    /// When the staging folder cannot be made.
    pub fn stage(dest: &Utf8Path) -> Result<Self, TreeError> {
        // Modes are asked for at creation, and no umask may take from them.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        Ok(Self {
            stage: Stage::beside(dest)?,
            owners: Vec::new(),
            claims: (0..SHARDS).map(|_| Mutex::default()).collect(),
            folders: (0..SHARDS).map(|_| Mutex::default()).collect(),
            later: Mutex::default(),
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        })
    }

    /// Registers an owner. Owners are registered in order of rank: of two that bring one path, the
    /// one registered later wins.
    pub fn owner(&mut self, name: impl Into<String>) -> Owner {
        let owner = Owner(u32::try_from(self.owners.len()).unwrap_or(u32::MAX));
        self.owners.push(name.into());
        owner
    }

    /// The owner's name.
    pub fn name(&self, owner: Owner) -> &str {
        self.owners
            .get(owner.0 as usize)
            .map_or("?", String::as_str)
    }

    /// Where the tree is being written.
    pub fn root(&self) -> &Utf8Path {
        self.stage.folder()
    }

    /// Where it will be.
    pub fn dest(&self) -> &Utf8Path {
        self.stage.dest()
    }

    /// How many files and bytes have been written.
    pub fn written(&self) -> (u64, u64) {
        (
            self.files.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// Writes a file whose bytes are all here.
    ///
    /// # Errors
    /// When the path clashes with another, or the disk does not take it.
    pub fn file(
        &self,
        owner: Owner,
        path: &TreePath,
        executable: bool,
        bytes: &[u8],
    ) -> Result<(), TreeError> {
        self.create(owner, path, executable)?.write(bytes)
    }

    /// Writes a file piece by piece.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn create(
        &self,
        owner: Owner,
        path: &TreePath,
        executable: bool,
    ) -> Result<Open<'_>, TreeError> {
        let real = if self.claim(owner, path)? {
            self.make_parents(owner, path)?;
            self.root().join(path.as_str())
        } else {
            let aside = self.stage.aside()?;
            self.lock(&self.later).push(Later {
                path: path.clone(),
                owner,
                aside: aside.clone(),
            });
            aside
        };
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(if executable { 0o755 } else { 0o644 })
            .open(&real)
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => self.clash(owner, path.as_str()),
                _ => self.error("write", &real, error),
            })?;
        self.files.fetch_add(1, Ordering::Relaxed);
        Ok(Open {
            tree: self,
            file,
            path: real,
        })
    }

    /// Copies a file of this machine in, with its executable bit.
    ///
    /// # Errors
    /// As [`Self::file`], and when it cannot be read.
    pub fn copy(&self, owner: Owner, path: &TreePath, from: &Utf8Path) -> Result<(), TreeError> {
        use std::os::unix::fs::PermissionsExt;
        let reading = |error| self.error("read", from, error);
        let mut source = File::open(from).map_err(reading)?;
        let meta = source.metadata().map_err(reading)?;
        let mut open = self.create(owner, path, meta.permissions().mode() & 0o111 != 0)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match source.read(&mut buffer).map_err(reading)? {
                0 => return Ok(()),
                read => open.write(buffer.get(..read).unwrap_or_default())?,
            }
        }
    }

    /// Makes a link to somewhere inside the tree; `target` is relative to the link's folder.
    ///
    /// # Errors
    /// When it leads out of the tree, or its path is taken.
    pub fn symlink(&self, owner: Owner, path: &TreePath, target: &str) -> Result<(), TreeError> {
        let mut depth = path.as_str().matches('/').count();
        let stays = !target.is_empty()
            && !target.starts_with('/')
            && !target.contains('\0')
            && target.split('/').all(|part| match part {
                "" | "." => true,
                ".." => depth.checked_sub(1).map(|less| depth = less).is_some(),
                _ => {
                    depth += 1;
                    true
                }
            });
        if !stays {
            return Err(TreeError::Escape {
                owner: self.name(owner).to_owned(),
                path: path.to_string(),
                target: target.to_owned(),
            });
        }
        self.link_anywhere(owner, path, target)
    }

    /// Makes a link that may lead out of the tree: to an interpreter, say.
    ///
    /// # Errors
    /// When its path is taken.
    pub fn link_anywhere(
        &self,
        owner: Owner,
        path: &TreePath,
        target: &str,
    ) -> Result<(), TreeError> {
        if !self.claim(owner, path)? {
            return Err(self.clash(owner, path.as_str()));
        }
        self.make_parents(owner, path)?;
        let real = self.root().join(path.as_str());
        std::os::unix::fs::symlink(target, &real).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => self.clash(owner, path.as_str()),
            _ => self.error("make the link", &real, error),
        })
    }

    /// Makes a folder, which may stay empty.
    ///
    /// # Errors
    /// When there is something else.
    pub fn folder(&self, owner: Owner, path: &TreePath) -> Result<(), TreeError> {
        self.make_folder(owner, path.as_str())
    }

    /// Whether anybody has brought this path.
    pub fn has(&self, path: &TreePath) -> bool {
        self.lock(shard(&self.claims, path.as_str()))
            .contains_key(path.as_str())
    }

    /// Who put which file here, by path.
    pub fn provenance(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for shard in &self.claims {
            for (path, owner) in self.lock(shard).iter() {
                all.insert(path.to_string(), self.name(*owner).to_owned());
            }
        }
        all
    }

    /// Settles who wins where several brought one path, once all is written.
    ///
    /// # Errors
    /// With `strict`, when any of them differ.
    pub fn settle(&self, strict: bool) -> Result<Vec<Collision>, TreeError> {
        let later = std::mem::take(&mut *self.lock(&self.later));
        let mut paths: BTreeMap<TreePath, Vec<(Owner, Utf8PathBuf)>> = BTreeMap::new();
        for Later { path, owner, aside } in later {
            paths.entry(path).or_default().push((owner, aside));
        }
        let mut collisions = Vec::new();
        for (path, mut files) in paths {
            let real = self.root().join(path.as_str());
            let shard = shard(&self.claims, path.as_str());
            let Some(&first) = self.lock(shard).get(path.as_str()) else {
                continue;
            };
            files.push((first, real.clone()));
            files.sort();
            let Some((winner, kept)) = files.last().cloned() else {
                continue;
            };
            let mut differ = false;
            for (_, file) in &files {
                differ |= !self.same(file, &kept)?;
            }
            if differ {
                let owners = files
                    .iter()
                    .map(|(owner, _)| self.name(*owner).to_owned())
                    .collect();
                collisions.push(Collision {
                    path: path.to_string(),
                    owners,
                });
            }
            if kept != real {
                std::fs::rename(&kept, &real).map_err(|error| self.error("place", &real, error))?;
                self.lock(shard).insert(path.as_str().into(), winner);
            }
        }
        self.stage.clear_aside();
        if strict && !collisions.is_empty() {
            return Err(TreeError::Collisions(collisions));
        }
        Ok(collisions)
    }

    /// Renames the tree into place. What is there is replaced only as `replace` allows.
    ///
    /// # Errors
    /// When the destination is not ours, or cannot be renamed over. It is untouched then.
    pub fn commit(self, replace: &Replace<'_>) -> Result<(), TreeError> {
        self.stage.commit(replace)
    }

    /// Takes a path for an owner. `false`: another has it already.
    fn claim(&self, owner: Owner, path: &TreePath) -> Result<bool, TreeError> {
        let mut claims = self.lock(shard(&self.claims, path.as_str()));
        match claims.get(path.as_str()) {
            None => {
                claims.insert(path.as_str().into(), owner);
                Ok(true)
            }
            Some(other) if *other == owner => Err(TreeError::Twice {
                owner: self.name(owner).to_owned(),
                path: path.to_string(),
            }),
            Some(_) => Ok(false),
        }
    }

    fn make_parents(&self, owner: Owner, path: &TreePath) -> Result<(), TreeError> {
        path.parent()
            .map_or(Ok(()), |parent| self.make_folder(owner, parent))
    }

    fn make_folder(&self, owner: Owner, path: &str) -> Result<(), TreeError> {
        let shard = shard(&self.folders, path);
        if self.lock(shard).contains(path) {
            return Ok(());
        }
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.make_folder(owner, parent)?;
        }
        let real = self.root().join(path);
        match std::fs::create_dir(&real) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                // Another thread made it; or it is no folder, and above all no link to one.
                if !std::fs::symlink_metadata(&real).is_ok_and(|meta| meta.is_dir()) {
                    return Err(self.clash(owner, path));
                }
            }
            Err(error) => return Err(self.error("make the folder", &real, error)),
        }
        self.lock(shard).insert(path.into());
        Ok(())
    }

    fn clash(&self, owner: Owner, path: &str) -> TreeError {
        let there = match std::fs::symlink_metadata(self.root().join(path)) {
            Ok(meta) if meta.is_dir() => "folder",
            Ok(meta) if meta.is_symlink() => "link",
            _ => "file",
        };
        TreeError::Clash {
            owner: self.name(owner).to_owned(),
            path: path.to_owned(),
            there,
        }
    }

    fn same(&self, one: &Utf8Path, other: &Utf8Path) -> Result<bool, TreeError> {
        let read = |path| std::fs::read(path).map_err(|error| self.error("read", path, error));
        Ok(one == other || read(one)? == read(other)?)
    }

    fn error(&self, doing: &'static str, path: &Utf8Path, source: io::Error) -> TreeError {
        stage::error(self.stage.dest(), doing, path, source)
    }

    /// A lock is only ever poisoned by a panic, which is a bug that ends the run anyway.
    #[allow(clippy::unused_self)]
    fn lock<'a, T>(&self, mutex: &'a Mutex<T>) -> std::sync::MutexGuard<'a, T> {
        mutex
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Open<'_> {
    /// Adds bytes.
    ///
    /// # Errors
    /// When the disk does not take them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        self.tree
            .bytes
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        self.file
            .write_all(bytes)
            .map_err(|error| self.tree.error("write", &self.path, error))
    }
}

/// Paths are spread over the shards by their bytes (FNV-1a), so threads seldom meet.
fn shard<'a, T>(shards: &'a [Mutex<T>], path: &str) -> &'a Mutex<T> {
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    &shards[(hash >> 32) as usize % shards.len()]
}

#[cfg(test)]
mod tests;
