//! Staging: a tree is written beside its destination and renamed into place.

use std::fs;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags};

use super::TreeError;

/// What may be replaced.
pub enum Replace<'a> {
    /// Nothing: the destination must not be there, or be an empty folder.
    Nothing,
    /// Whatever is there.
    Anything,
    /// What this says is ours.
    Ours(&'a dyn Fn(&Utf8Path) -> bool),
}

/// The staging folder: `.NAME.lockwright-PID`, beside the destination and so on its disk. It holds
/// the tree and, aside, what is not yet settled. Dropped, it leaves nothing.
pub(super) struct Stage {
    dest: Utf8PathBuf,
    own: Utf8PathBuf,
    folder: Utf8PathBuf,
    aside: AtomicU32,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Stage {
    pub(super) fn beside(dest: &Utf8Path) -> Result<Self, TreeError> {
        let dest = camino::absolute_utf8(dest).map_err(|e| error(dest, "find", dest, e))?;
        let parent = dest.parent().unwrap_or(Utf8Path::new("/")).to_owned();
        let name = dest.file_name().unwrap_or("out");
        fs::create_dir_all(&parent).map_err(|e| error(&dest, "make the folder", &parent, e))?;
        sweep(&parent, name);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let own = parent.join(format!(".{name}.lockwright-{}-{count}", std::process::id()));
        let folder = own.join("tree");
        // A folder of this name can only be left from a run whose process number was ours.
        if own.exists() {
            fs::remove_dir_all(&own).map_err(|e| error(&dest, "remove", &own, e))?;
        }
        fs::create_dir_all(&folder).map_err(|e| error(&dest, "make the folder", &folder, e))?;
        Ok(Self {
            dest,
            own,
            folder,
            aside: AtomicU32::new(0),
        })
    }

    pub(super) fn folder(&self) -> &Utf8Path {
        &self.folder
    }

    pub(super) fn dest(&self) -> &Utf8Path {
        &self.dest
    }

    /// A fresh path outside the tree, on the same disk.
    pub(super) fn aside(&self) -> Result<Utf8PathBuf, TreeError> {
        let folder = self.own.join("aside");
        match fs::create_dir(&folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                return Err(error(&self.dest, "make the folder", &folder, e));
            }
            _ => {}
        }
        Ok(folder.join(self.aside.fetch_add(1, Ordering::Relaxed).to_string()))
    }

    pub(super) fn clear_aside(&self) {
        // What stays is removed with the staging folder.
        let _ = fs::remove_dir_all(self.own.join("aside"));
    }

    pub(super) fn commit(self, replace: &Replace<'_>) -> Result<(), TreeError> {
        let failed = |e| error(&self.dest, "put in place", &self.dest, e);
        let Ok(there) = fs::symlink_metadata(&self.dest) else {
            return fs::rename(&self.folder, &self.dest).map_err(failed);
        };
        let is_empty = there.is_dir()
            && fs::read_dir(&self.dest).is_ok_and(|mut entries| entries.next().is_none());
        let allowed = match replace {
            Replace::Anything => true,
            Replace::Nothing => is_empty,
            Replace::Ours(is_ours) => is_empty || is_ours(&self.dest),
        };
        if !allowed {
            return Err(TreeError::NotOurs {
                dest: self.dest.clone(),
                why: if there.is_dir() {
                    "was not made by lockwright"
                } else {
                    "is no folder"
                },
            });
        }
        // Both names always exist: whoever looks sees the old tree or the new one.
        match rustix::fs::renameat_with(
            CWD,
            self.folder.as_str(),
            CWD,
            self.dest.as_str(),
            RenameFlags::EXCHANGE,
        ) {
            Ok(()) => Ok(()),
            // A file system without exchange: the old tree is moved aside first.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                let old = self.own.join("old");
                fs::rename(&self.dest, &old).map_err(failed)?;
                fs::rename(&self.folder, &self.dest).map_err(|e| {
                    let _ = fs::rename(&old, &self.dest);
                    failed(e)
                })
            }
            Err(errno) => Err(failed(errno.into())),
        }
    }
}

impl Drop for Stage {
    /// Removes the staging folder, and in it whatever the tree replaced.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.own);
    }
}

/// Removes staging folders of runs that are no more.
fn sweep(parent: &Utf8Path, name: &str) {
    let prefix = format!(".{name}.lockwright-");
    for entry in parent.read_dir_utf8().into_iter().flatten().flatten() {
        let pid = entry
            .file_name()
            .strip_prefix(&prefix)
            .and_then(|rest| rest.split('-').next());
        let Some(pid) = pid.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit())) else {
            continue;
        };
        if !Utf8Path::new("/proc").join(pid).exists() && Utf8Path::new("/proc/self").exists() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

pub(super) fn error(
    dest: &Utf8Path,
    doing: &'static str,
    path: &Utf8Path,
    source: io::Error,
) -> TreeError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => TreeError::Full {
            dest: dest.to_owned(),
        },
        _ => TreeError::Io {
            doing,
            path: path.to_owned(),
            source,
        },
    }
}
