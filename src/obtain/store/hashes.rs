//! Hashes of trees and files that are not the store's to vouch for: parts of sources, tools, interpreters. Each is kept with a
//! *look* at what was hashed, so that it is not read again until something of it changes.
//!
//! In a look counts of every file its name, mode, size, number on the disk, and when its bytes and when
//! anything else of it last changed (`mtime`, `ctime`); of links where they lead; of folders the names in them. Nothing
//! is passed over, and of linked files all counts. What escapes is what escapes a
//! [`Stamp`](crate::files::tree::Stamp): an edit while the clock was set back to the tick of the last one, one underneath the
//! file system.

use std::os::unix::ffi::OsStrExt as _;
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};

use super::entries::names;
use super::gc::Leftover;
use super::writer::make_dir;
use super::{Store, StoreError};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;
use crate::core::walk::{Node, WalkError, walk};

/// What something was when it was hashed.
#[derive(Debug, Serialize, Deserialize)]
struct Hashed {
    path: Utf8PathBuf,
    look: Digest,
    hash: Digest,
}

impl Store {
    /// The hash of what is at a path, as `hash` makes it of what was walked: the one that is known, where nothing has
    /// changed since. For one path it has to be the same hash each time.
    ///
    /// # Errors
    /// When it cannot be walked, and those of `hash`.
    pub fn hash_of<E: From<WalkError>>(
        &self,
        path: &Utf8Path,
        hash: impl FnOnce(&Node) -> Result<Digest, E>,
    ) -> Result<Digest, E> {
        let node = walk(path.as_std_path())?;
        let look = Look::at(&node);
        let place = self.hash_place(path);
        let known = read(&place).filter(|known| known.path == path && known.look == look.digest);
        if let Some(known) = known {
            return Ok(known.hash);
        }
        // Whatever is written from here on gets a later time, and so is seen by the next look.
        let is_settled = look.is_settled();
        let hash = hash(&node)?;
        if is_settled {
            let known = Hashed {
                path: path.to_owned(),
                look: look.digest,
                hash: hash.clone(),
            };
            let noted = make_dir(place.parent().unwrap_or(&place))
                .and_then(|()| self.write_json(&place, &known));
            let _ = noted.inspect_err(|error| tracing::info!("a hash is not kept: {error}"));
        }
        Ok(hash)
    }

    /// Hashes of what is no more.
    pub(super) fn stale_hashes(&self) -> Result<Vec<Leftover>, StoreError> {
        let mut stale = Vec::new();
        for path in names(&self.layout.join("hashes"))? {
            if read(&path).is_none_or(|known| known.path.symlink_metadata().is_err()) {
                let size = path.symlink_metadata().map_or(0, |meta| meta.len());
                stale.push(Leftover { path, size });
            }
        }
        Ok(stale)
    }

    fn hash_place(&self, path: &Utf8Path) -> Utf8PathBuf {
        let name = Digest::of(Algorithm::Sha256, path.as_str().as_bytes());
        let folder = self.layout.join("hashes");
        folder.join(format!("{}.json", name.hex()))
    }
}

fn read(place: &Utf8Path) -> Option<Hashed> {
    let text = foreign::read(place, foreign::TEXT).ok()?;
    serde_json::from_slice(&text).ok()
}

/// A look at a tree, none of whose files was opened.
struct Look {
    digest: Digest,
    /// When something of a file last changed, in seconds and nanoseconds.
    newest: (i64, i64),
    /// Whether the disk keeps whole seconds alone.
    is_coarse: bool,
}

impl Look {
    fn at(node: &Node) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let (mut newest, mut is_coarse) = ((0, 0), true);
        node.each(&mut |path, node| {
            let mut add = |bytes: &[u8]| {
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            };
            add(path.as_os_str().as_bytes());
            match node {
                Node::Folder(_) => add(b"folder"),
                Node::Link(target) => add(&[&b"link "[..], target.as_bytes()].concat()),
                Node::File(file) => {
                    newest = newest.max(file.changed);
                    is_coarse &= file.changed.1 == 0;
                    add(format!("file {}", file.look()).as_bytes());
                }
            }
        });
        Self {
            digest: hasher.finish(),
            newest,
            is_coarse,
        }
    }

    /// Whether whatever is written from now on gets a later time, for which the next tick of the clock is waited.
    fn is_settled(&self) -> bool {
        let now = || {
            let now = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
            (now.tv_sec, now.tv_nsec)
        };
        if self.is_coarse {
            return now().0 > self.newest.0 + 1;
        }
        for _ in 0..100 {
            if now() > self.newest {
                return true;
            }
            thread::sleep(Duration::from_micros(200));
        }
        false
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::cell::Cell;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_is_as_it_was_is_not_read_again_and_whatever_changes_is_seen() {
        let held = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(held.path()).unwrap();
        let (store, tree) = (Store::open(&top.join("store")).unwrap(), top.join("tree"));
        let file = tree.join("__pycache__/file");
        fs::create_dir_all(tree.join("__pycache__")).unwrap();
        fs::write(&file, "1").unwrap();
        let reads = Cell::new(0);
        let hash = |path: &Utf8Path| {
            let hash = |_: &Node| {
                reads.set(reads.get() + 1);
                let number: i32 = reads.get();
                Ok::<_, WalkError>(Digest::of(Algorithm::Sha256, &number.to_le_bytes()))
            };
            store.hash_of(path, hash).unwrap()
        };
        // On disks with whole seconds nothing is kept so soon.
        let is_coarse = Look::at(&walk(file.as_std_path()).unwrap()).is_coarse;
        let first = hash(&tree);
        assert!(is_coarse || (hash(&tree) == first && reads.get() == 1));
        let seen = |what: &str, path: &Utf8Path, change: &dyn Fn()| {
            let before = hash(path);
            change();
            assert_ne!(hash(path), before, "{what}");
        };
        let times = fs::metadata(&file).unwrap().modified().unwrap();
        let edited = || {
            fs::write(&file, "2").unwrap();
            let open = fs::File::options().write(true).open(&file).unwrap();
            open.set_modified(times).unwrap();
        };
        seen("an edit of the same length and time", &tree, &edited);
        seen("the same of a file by itself", &file, &edited);
        let run = fs::Permissions::from_mode(0o755);
        seen("a mode", &tree, &|| {
            fs::set_permissions(&file, run.clone()).unwrap();
        });
        seen("a folder", &tree, &|| {
            fs::create_dir(tree.join("new")).unwrap();
        });
        seen("a link", &tree, &|| {
            symlink("a", tree.join("link")).unwrap();
        });
        fs::hard_link(&file, top.join("other")).unwrap();
        seen("an edit through another name", &tree, &|| {
            fs::write(top.join("other"), "3").unwrap();
        });

        let gone = top.join("gone");
        fs::write(&gone, "").unwrap();
        hash(&gone);
        assert!(store.stale_hashes().unwrap().is_empty());
        fs::remove_file(&gone).unwrap();
        assert!(is_coarse || store.stale_hashes().unwrap().len() == 1);
        let later = SystemTime::now() + Duration::from_secs(60);
        let open = fs::File::options().write(true).open(&file).unwrap();
        open.set_modified(later).unwrap();
        assert_ne!(hash(&tree), first);
    }
}
