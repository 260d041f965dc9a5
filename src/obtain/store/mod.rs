//! The store: compressed, verified artifacts under the name of their digest, shared by every
//! project and every lockwright process of a machine.
//!
//! ```text
//! <root>/v1/
//!   files/sha256/3f/3fc9…        the bytes, read-only; the path is the digest
//!   files/sha256/3f/3fc9….json   what they were called and where they came from, for `store list`
//!   built/sha256-77ab….json      a wheel made here: key of all that shaped it → file name and digest
//!   modules/h1-5c1e….json        a digest over files (Go's `h1:`) → the file name and digest of what has it
//!   layers/sha256-9e02….json     a layer of an image made here: key of what is in it → its blob's digest
//!   contents/sha256-3fc9…-wheel/ what is in an artifact: an index of its files, perhaps their bytes
//!                                uncompressed, perhaps the files themselves; see [`contents`]
//!   damaged/files-sha256-3f-3f…  what was no longer what it was, put aside; see [`heal`]
//!   stamps/77ab….stamp           what a tree was when it was made, by its path; see [`stamps`]
//!   hashes/77ab….json            what a part of a source or a tool was, by its path; see [`hashes`]
//!   partial/sha256-3fc9…         a download under way or broken off, claimed by a file lock
//!   tmp/1234-0                   anything else in the making
//!   lock                         held shared while a store is open, exclusively while it is cleaned
//! ```
//!
//! Three rules make it safe without a server and without waiting:
//!
//! 1. **Nothing enters before its digest is right.** A [`Writer`] hashes what goes through it, and
//!    only [`Writer::commit`] renames it into `files/`, if the digest is the expected one.
//! 2. **A name never changes its meaning**, so two processes that insert one artifact at the same
//!    time both succeed, and whichever renames last replaces a file by an equal one.
//! 3. **Locks are the kernel's** (`flock`): a killed process holds nothing, and what it left in
//!    `partial/` is resumed, in `tmp/` swept by [`Store::gc`].
//!
//! The time a file was last used is its modification time, refreshed at most once a day; nothing
//! else in here depends on a clock.

mod built;
mod check;
mod contents;
mod entries;
mod error;
mod extracted;
mod gc;
mod hashes;
mod heal;
mod layers;
mod mapped;
mod modules;
mod stamps;
#[cfg(test)]
mod tests;
mod transfer;
mod uncompressed;
mod writer;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, OFlags};
use serde::{Deserialize, Serialize};

pub use contents::Index;
pub use entries::{Damaged, Entry};
pub use error::StoreError;
pub use extracted::Extracted;
pub use gc::{Collected, Keep, KeptTree, Leftover};
pub use heal::Rotten;
pub use layers::KeptLayer;
pub use mapped::Mapped;
pub use stamps::Look;
pub use uncompressed::Uncompressed;
pub use writer::{Claim, Writer};

use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::locks;

/// The layout this version reads and writes. Another layout lives beside it, untouched.
const LAYOUT: &str = "v1";

/// How stale the time of last use may be, so that reading seldom writes.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// An open store. Cheap to clone; any number of threads and processes may use one at once.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder the user named.
    root: Utf8PathBuf,
    /// Its `v1`.
    layout: Utf8PathBuf,
    /// Held shared for as long as any clone lives, so that nobody cleans up underneath it.
    /// `None` in a store that cannot be written to.
    lock: Option<Arc<File>>,
    /// Whether artifacts are kept uncompressed too.
    keeps_uncompressed: bool,
    /// Whether what is taken is hashed before.
    verifies: bool,
    /// What was taken from it so far, by this clone or another.
    taken: Arc<Mutex<BTreeSet<Digest>>>,
}

/// An artifact in the store, already verified.
#[derive(Debug, Clone)]
pub struct Blob {
    /// Where its bytes are. Read-only: never write to it, never link an output to it (what outputs
    /// share is [`Extracted`]).
    pub path: Utf8PathBuf,
    /// Its length in bytes.
    pub size: u64,
    /// What it was verified against, and its name in the store.
    pub digest: Digest,
    /// Whether it came into the store just now: what is seldom used is kept as it came.
    pub is_new: bool,
}

/// Whether it is the same file, however long it has been there.
impl PartialEq for Blob {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, self.size, &self.digest) == (&other.path, other.size, &other.digest)
    }
}

impl Eq for Blob {}

/// What an artifact is called and where it came from. Only ever shown, never relied on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The artifact's file name.
    pub file_name: String,
    /// A URL without credentials, a path, or what made it.
    pub source: String,
}

impl Store {
    /// Opens the store at `root`, making it where it is missing. A store that cannot be written to
    /// can still be read.
    ///
    /// # Errors
    /// When the folder neither exists nor can be made.
    pub fn open(root: &Utf8Path) -> Result<Self, StoreError> {
        let root = camino::absolute_utf8(root)
            .map_err(StoreError::io("find the current directory for", root))?;
        let layout = root.join(LAYOUT);
        if let Err(error) = fs::create_dir_all(&layout)
            && !layout.is_dir()
        {
            return Err(StoreError::Root {
                root,
                source: error,
            });
        }
        let lock = plain()
            .create(true)
            .append(true)
            .open(layout.join("lock"))
            .ok();
        if let Some(lock) = &lock {
            // Waits only while another process cleans up. Where the filesystem has no locks, two
            // processes are still safe from each other; only `gc` beside them is not.
            if let Err(error) = rustix::fs::flock(lock, FlockOperation::LockShared) {
                tracing::debug!("the store `{root}` cannot be locked: {error}");
            }
        }
        Ok(Self {
            root,
            layout,
            lock: lock.map(Arc::new),
            keeps_uncompressed: true,
            verifies: false,
            taken: Arc::default(),
        })
    }

    /// Keeps no artifact [`Uncompressed`] that is not so already.
    #[must_use]
    pub fn packed(self) -> Self {
        Self {
            keeps_uncompressed: false,
            ..self
        }
    }

    /// Hashes what it hands out, once in a run, as `store verify` does; what is not what it was is as good as missing.
    #[must_use]
    pub fn verifying(self) -> Self {
        Self {
            verifies: true,
            ..self
        }
    }

    /// Whether it keeps artifacts compressed alone.
    pub fn is_packed(&self) -> bool {
        !self.keeps_uncompressed
    }

    /// Where the store is when nobody says: `$LOCKWRIGHT_STORE`; in a Nix build, that build's own
    /// folder; `$XDG_CACHE_HOME/lockwright` or `~/.cache/lockwright`. Variables that are empty, and an XDG folder that is not absolute,
    /// count as unset.
    ///
    /// # Errors
    /// When none of them, nor `HOME`, is set.
    pub fn default_root() -> Result<Utf8PathBuf, StoreError> {
        root_from(|name| std::env::var(name).ok())
    }

    /// The folder that was opened.
    pub fn root(&self) -> &Utf8Path {
        &self.root
    }

    /// The artifact with this digest, if it is here. Its time of last use is refreshed.
    pub fn get(&self, digest: &Digest) -> Option<Blob> {
        let path = self.file_path(digest);
        let metadata = fs::symlink_metadata(&path).ok();
        let metadata = metadata.filter(fs::Metadata::is_file)?;
        if metadata.len() == 0 && *digest != Digest::of(digest.algorithm(), b"") {
            // What some filesystems leave of a file that was renamed just before the power went.
            tracing::warn!("`{path}` in the store is empty, and fetched again");
            return None;
        }
        touch(&path, &metadata);
        let is_known = locks::held(&self.taken).contains(digest);
        if self.verifies && !is_known && self.is_rotten(digest) {
            return None;
        }
        locks::held(&self.taken).insert(digest.clone());
        Some(Blob {
            path,
            size: metadata.len(),
            digest: digest.clone(),
            is_new: false,
        })
    }

    /// What the artifact was called and where it came from, if that is known.
    pub fn origin(&self, digest: &Digest) -> Option<Origin> {
        let path = self.file_path(digest).with_extension("json");
        let text = foreign::read(path, foreign::TEXT).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn file_path(&self, digest: &Digest) -> Utf8PathBuf {
        let hex = digest.hex();
        let shard = hex.get(..2).unwrap_or_default();
        self.layout
            .join("files")
            .join(digest.algorithm().name())
            .join(shard)
            .join(&hex)
    }

    fn partial_path(&self, digest: &Digest) -> Utf8PathBuf {
        self.layout
            .join("partial")
            .join(format!("{}-{}", digest.algorithm(), digest.hex()))
    }
}

/// Options for a file of the store that is written to: it is really there, and no link.
fn plain() -> OpenOptions {
    let mut options = File::options();
    options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    options
}

/// Refreshes the time of last use, once a day.
fn touch(path: &Utf8Path, metadata: &fs::Metadata) {
    let modified = metadata.modified().ok();
    let age = modified.and_then(|time| time.elapsed().ok());
    if age.is_some_and(|age| age > TOUCH_AFTER)
        && let Ok(file) = foreign::open(path)
    {
        // Of no consequence where it is not allowed: a read-only store is not cleaned either.
        let _ = file.set_modified(SystemTime::now());
    }
}

fn root_from(variable: impl Fn(&str) -> Option<String>) -> Result<Utf8PathBuf, StoreError> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(root) = set("LOCKWRIGHT_STORE") {
        return Ok(root.into());
    }
    // A Nix build has a folder of its own, and no home; a shell in the like has one.
    if let (Some(top), None) = (set("NIX_BUILD_TOP"), set("IN_NIX_SHELL")) {
        return Ok(Utf8PathBuf::from(top).join("lockwright"));
    }
    if let Some(cache) = set("XDG_CACHE_HOME").map(Utf8PathBuf::from)
        && cache.is_absolute()
    {
        return Ok(cache.join("lockwright"));
    }
    match set("HOME") {
        Some(home) => Ok(Utf8PathBuf::from(home).join(".cache/lockwright")),
        None => Err(StoreError::NoRoot),
    }
}
