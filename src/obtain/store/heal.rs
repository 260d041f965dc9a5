//! Artifacts that are no longer what they were: a disk or memory has changed them, or somebody.
//!
//! ```text
//! <root>/v1/damaged/files-sha256-3f-3fc9…   what was put aside, until `store verify --remove` or gc
//! ```
//!
//! Whoever takes an artifact from the store believes its digest, since hashing is most of what a
//! run would cost. Only when something has gone wrong is all that was taken hashed again
//! ([`Store::put_rotten_aside`]). What is rotten is then as good as missing: it is fetched again, or
//! made.

use std::fmt;
use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::entries::{hash, names, remove};
use super::gc::Leftover;
use super::writer::make_dir;
use super::{Blob, Damaged, Mapped, Store, StoreError};
use crate::core::digest::Digest;
use crate::core::locks;

/// Something of the store that was no longer what it should be, and was put aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotten {
    /// What: a file name.
    pub file_name: String,
    /// How that was seen.
    pub why: String,
    /// Where it is now.
    pub path: Utf8PathBuf,
}

impl fmt::Display for Rotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file_name,
            why,
            path,
        } = self;
        write!(
            f,
            "{file_name} in the store has changed ({why}), and is put aside as {path}"
        )
    }
}

impl Store {
    /// Hashes all artifacts again that were taken from the store since it was opened, and what is kept
    /// of them, and puts aside those that are not what they should be. Where most of them cannot be read at all, it is
    /// the disk that fails, and all stays where it is.
    ///
    /// # Errors
    /// When one of them cannot be put aside.
    pub fn put_rotten_aside(&self) -> Result<Vec<Rotten>, StoreError> {
        let taken = locks::held(&self.taken);
        let taken: Vec<Digest> = taken.iter().cloned().collect();
        let rotten = taken.par_iter().filter_map(|digest| self.rotten(digest));
        let rotten: Vec<Damaged> = rotten.collect();
        let unreadable = rotten.iter().filter(|one| one.got.is_none()).count();
        if taken.len() > 1 && unreadable > taken.len() / 2 {
            return Ok(Vec::new());
        }
        let mut all: Vec<(String, String, Utf8PathBuf)> = rotten
            .into_iter()
            .map(|Damaged { entry, got }| {
                let name = entry.file_name().to_owned();
                let why = match got {
                    Some(got) => format!("{} is now {got}", entry.blob.digest),
                    None => String::from("it cannot be read"),
                };
                (name, why, entry.blob.path)
            })
            .collect();
        for path in self.rotten_contents(&taken)? {
            let name = self.inside(&path).to_string();
            all.push((name, String::from("it was changed"), path));
        }
        all.into_iter()
            .map(|(file_name, why, path)| {
                let aside = self.put_aside(&path).map_err(|source| StoreError::Stuck {
                    file_name: file_name.clone(),
                    why: why.clone(),
                    source: Box::new(source),
                })?;
                Ok(Rotten {
                    file_name,
                    why,
                    path: aside,
                })
            })
            .collect()
    }

    /// What was put aside and is still there.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn aside(&self) -> Result<Vec<Leftover>, StoreError> {
        let paths = names(&self.layout.join("damaged"))?.into_iter();
        let size = |path: &Utf8Path| fs::symlink_metadata(path).map_or(0, |found| found.len());
        Ok(paths
            .map(|path| Leftover {
                size: size(&path),
                path,
            })
            .collect())
    }

    /// Removes something that was put aside.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove_aside(&self, aside: &Leftover) -> Result<(), StoreError> {
        if fs::symlink_metadata(&aside.path).is_ok_and(|found| found.is_dir()) {
            return fs::remove_dir_all(&aside.path).map_err(StoreError::io("remove", &aside.path));
        }
        remove(&aside.path)
    }

    /// Whether an artifact is no longer what it was: it is put aside then, which is told.
    pub(super) fn is_rotten(&self, digest: &Digest) -> bool {
        let Some(damaged) = self.rotten(digest) else {
            return false;
        };
        let path = damaged.entry.blob.path;
        match self.put_aside(&path) {
            Ok(aside) => tracing::warn!("`{path}` has changed, and was moved to `{aside}`"),
            Err(error) => tracing::warn!("`{path}` has changed, and is not used: {error}"),
        }
        true
    }

    fn rotten(&self, digest: &Digest) -> Option<Damaged> {
        let entry = self.entry(digest.algorithm(), self.file_path(digest))?;
        let got = hash(&entry.blob);
        (got.as_ref() != Some(digest)).then_some(Damaged { entry, got })
    }

    /// A path as it is from the layout's folder on.
    fn inside<'p>(&self, path: &'p Utf8Path) -> &'p Utf8Path {
        path.strip_prefix(&self.layout).unwrap_or(path)
    }

    /// Moves something away. Its name is free afterwards.
    fn put_aside(&self, path: &Utf8Path) -> Result<Utf8PathBuf, StoreError> {
        let top = self.layout.join("damaged");
        make_dir(&top)?;
        let name = self.inside(path).as_str().replace('/', "-");
        let numbered = (1..).map(|number| format!("{name}.{number}"));
        let aside = std::iter::once(name.clone())
            .chain(numbered)
            .map(|name| top.join(name))
            .find(|place| fs::symlink_metadata(place).is_err())
            .unwrap_or_else(|| top.join(&name));
        match fs::rename(path, &aside) {
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(aside),
            moved => moved.map(|()| aside).map_err(StoreError::io("move", path)),
        }
    }
}

impl Blob {
    /// Its bytes, hashed again: for copies that nobody holds against the digest.
    ///
    /// # Errors
    /// When they cannot be read, or are not what they were.
    pub fn verified(&self) -> Result<Mapped, StoreError> {
        let bytes = self.map()?;
        let got = Digest::of(self.digest.algorithm(), &bytes);
        if got == self.digest {
            return Ok(bytes);
        }
        Err(StoreError::Changed {
            path: self.path.clone(),
            expected: self.digest.clone(),
            got,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::obtain::store::tests::with_artifact;

    fn rot(path: &Utf8Path) {
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(path, "rotten").unwrap();
    }

    #[test]
    fn what_was_taken_and_is_rotten_is_put_aside() {
        let (_held, store, digest) = with_artifact();
        assert!(store.put_rotten_aside().unwrap().is_empty());
        let blob = store.get(&digest).unwrap();
        rot(&blob.path);
        assert!(matches!(blob.verified(), Err(StoreError::Changed { .. })));
        let [rotten] = &store.put_rotten_aside().unwrap()[..] else {
            panic!("one is rotten");
        };
        assert_eq!(rotten.file_name, "a.tgz");
        assert!(rotten.why.starts_with(&format!("{digest} is now ")));
        assert_eq!(fs::read(&rotten.path).unwrap(), b"rotten");
        assert!(store.get(&digest).is_none());
        assert_eq!(store.aside().unwrap().len(), 1);
        store.remove_aside(&store.aside().unwrap()[0]).unwrap();
        assert!(store.aside().unwrap().is_empty());
    }

    #[test]
    fn what_nobody_took_is_left_alone() {
        let (_held, store, digest) = with_artifact();
        let path = store.get(&digest).unwrap().path;
        rot(&path);
        let other = Store::open(store.root()).unwrap();
        assert!(other.put_rotten_aside().unwrap().is_empty());
        assert!(path.exists());
    }
}
