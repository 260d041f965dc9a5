//! Cleaning up: what nobody has used for long, and what killed processes left.
//!
//! While it runs no other process has the store open, and those that want to wait for it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use rustix::fs::FlockOperation;

use super::built::Built;
use super::entries::{Entry, names};
use super::{Store, StoreError};
use crate::core::foreign;

/// What is to be kept. With neither, only leftovers go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// Keep what was used within this time.
    pub used_within: Option<Duration>,
    /// Keep no more than this many bytes, the latest used first.
    pub bytes: Option<u64>,
}

/// A tree in the store's own folder that is no artifact: a component that others need, a source that was
/// unpacked. Who puts it there knows what of it counts.
#[derive(Debug, Clone)]
pub struct KeptTree {
    /// The tree.
    pub path: Utf8PathBuf,
    /// Files beside it that go with it.
    pub beside: Vec<Utf8PathBuf>,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last used.
    pub last_used: SystemTime,
    /// Whether something finished leads to it: then it stays.
    pub is_needed: bool,
}

/// What was removed, or would be.
#[derive(Debug, Default)]
pub struct Collected {
    /// Artifacts, the longest unused first.
    pub removed: Vec<Entry>,
    /// Trees, the latest used first.
    pub trees: Vec<KeptTree>,
    /// Broken downloads and other files that nobody will go on with.
    pub leftovers: Vec<Leftover>,
    /// How many artifacts stay.
    pub kept: usize,
    /// Their bytes.
    pub kept_bytes: u64,
}

/// A file that is no artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

impl Collected {
    /// How many bytes were removed.
    pub fn bytes(&self) -> u64 {
        let artifacts = self.removed.iter().map(|entry| entry.blob.size);
        let leftovers = self.leftovers.iter().map(|leftover| leftover.size);
        let trees = self.trees.iter().map(|tree| tree.size);
        artifacts.chain(leftovers).chain(trees).sum()
    }
}

impl Store {
    /// Removes what is not to be kept; with `dry_run`, only tells what that would be. `on_wait` is
    /// called when other processes have to be waited for.
    ///
    /// # Errors
    /// When the store cannot be read or written to.
    pub fn gc(
        &self,
        keep: Keep,
        trees: &dyn Fn() -> Vec<KeptTree>,
        now: SystemTime,
        dry_run: bool,
        on_wait: impl FnOnce(),
    ) -> Result<Collected, StoreError> {
        if !dry_run {
            self.lock_alone(on_wait)?;
        }
        let collected = self.collect(keep, trees(), now, dry_run);
        if let Some(lock) = &self.lock {
            // Failing leaves a lock that the end of the process lifts.
            let _ = rustix::fs::flock(&**lock, FlockOperation::LockShared);
        }
        collected
    }

    fn lock_alone(&self, on_wait: impl FnOnce()) -> Result<(), StoreError> {
        let failed = StoreError::io("lock", &self.layout);
        let Some(lock) = &self.lock else {
            return Err(failed(std::io::ErrorKind::PermissionDenied.into()));
        };
        match rustix::fs::flock(&**lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => {
                on_wait();
                rustix::fs::flock(&**lock, FlockOperation::LockExclusive)
            }
            other => other,
        }
        .map_err(|error| failed(error.into()))
    }

    fn collect(
        &self,
        keep: Keep,
        trees: Vec<KeptTree>,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<Collected, StoreError> {
        let is_old = |time: SystemTime| {
            (keep.used_within)
                .is_some_and(|limit| now.duration_since(time).unwrap_or_default() >= limit)
        };
        let mut entries = self.entries()?;
        entries.sort_by(|one, other| {
            (other.last_used, &other.blob.digest).cmp(&(one.last_used, &one.blob.digest))
        });
        let mut collected = Collected::default();
        let (needed, mut trees): (Vec<KeptTree>, Vec<KeptTree>) =
            trees.into_iter().partition(|tree| tree.is_needed);
        collected.kept_bytes = needed.iter().map(|tree| tree.size).sum();
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.last_used));
        let mut trees = trees.into_iter().peekable();
        let mut see = |collected: &mut Collected, until: Option<SystemTime>| {
            let is_next = |tree: &KeptTree| until.is_none_or(|until| tree.last_used >= until);
            while let Some(tree) = trees.next_if(is_next) {
                let bytes = collected.kept_bytes + tree.size;
                if is_old(tree.last_used) || keep.bytes.is_some_and(|limit| bytes > limit) {
                    collected.trees.push(tree);
                } else {
                    collected.kept_bytes = bytes;
                }
            }
        };
        for entry in entries {
            see(&mut collected, Some(entry.last_used));
            let bytes = collected.kept_bytes + entry.blob.size;
            if is_old(entry.last_used) || keep.bytes.is_some_and(|limit| bytes > limit) {
                collected.removed.insert(0, entry);
            } else {
                collected.kept += 1;
                collected.kept_bytes = bytes;
            }
        }
        see(&mut collected, None);
        if !dry_run {
            for entry in &collected.removed {
                self.remove(&entry.blob)?;
            }
            for tree in &collected.trees {
                // What says that it is there goes first.
                for file in &tree.beside {
                    let _ = fs::remove_file(file);
                }
                let failed = StoreError::io("remove", &tree.path);
                // One that may not be written to cannot be emptied by its owner.
                let _ = fs::set_permissions(&tree.path, fs::Permissions::from_mode(0o755));
                let emptied = foreign::Folder::open(&tree.path).map(|folder| folder.empty());
                emptied
                    .and_then(|()| fs::remove_dir(&tree.path))
                    .map_err(failed)?;
            }
        }
        // A broken download is worth as much as an artifact: it may be gone on with.
        for path in names(&self.layout.join("partial"))? {
            let metadata = fs::symlink_metadata(&path).map_err(StoreError::io("read", &path))?;
            let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            if is_old(time) || keep.bytes.is_some() {
                collected.leftovers.push(Leftover {
                    path,
                    size: metadata.len(),
                });
            }
        }
        for path in names(&self.layout.join("tmp"))? {
            let size = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
            collected.leftovers.push(Leftover { path, size });
        }
        collected.leftovers.extend(self.stale_stamps()?);
        collected.leftovers.extend(self.stale_hashes()?);
        collected.leftovers.extend(self.aside()?);
        let contents = self.stale_contents(is_old, keep.bytes.is_some())?;
        let mut leading = Vec::new();
        for folder in ["built", "layers", "modules"] {
            leading.extend(names(&self.layout.join(folder))?);
        }
        for path in leading {
            let built = foreign::read(&path, foreign::TEXT).ok();
            let built: Option<Built> = built.and_then(|text| serde_json::from_slice(&text).ok());
            let is_gone = built.is_none_or(|built| {
                let removed = &collected.removed;
                removed
                    .iter()
                    .any(|entry| entry.blob.digest == built.digest)
                    || !self.file_path(&built.digest).is_file()
            });
            if is_gone {
                let size = fs::symlink_metadata(&path).map_or(0, |metadata| metadata.len());
                collected.leftovers.push(Leftover { path, size });
            }
        }
        if !dry_run {
            for leftover in &collected.leftovers {
                self.remove_aside(leftover)?;
            }
            for leftover in &contents {
                self.discard(&leftover.path);
            }
        }
        collected.leftovers.extend(contents);
        Ok(collected)
    }
}
