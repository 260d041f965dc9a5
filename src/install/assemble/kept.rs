//! An artifact's files for a placement: as the store keeps them, or else out of its archive.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::files::archive::Limits;
use crate::files::contents::{Contents, Digests, Member, PlaceError, Take};
use crate::files::tree::LinkMode;
use crate::obtain::store::{Blob, Store};

/// What placing hands back beside its result: the digests that it computed, by member.
pub(super) type Placed<T> = (T, Digests);

/// What places an artifact's files.
type Place<'a, T, E> = dyn Fn(&dyn Contents) -> Result<Placed<T>, E> + 'a;

/// An artifact, how it is read, and how it is placed.
pub(super) struct Artifact<'a> {
    pub(super) store: &'a Store,
    pub(super) blob: &'a Blob,
    /// What the store calls the form it is read in.
    pub(super) form: &'a str,
    pub(super) link: LinkMode,
    /// What it may amount to, however often it was placed before.
    pub(super) limits: &'a Limits,
}

/// An archive's files, with the digests that they turned out to have when they were extracted.
struct Copied<'a> {
    members: &'a [Member],
    archive: &'a dyn Contents,
}

impl Contents for Copied<'_> {
    fn members(&self) -> &[Member] {
        self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        self.archive.read(number, take)
    }
}

/// How many bytes were placed in this run.
static PLACED: AtomicU64 = AtomicU64::new(0);

impl Artifact<'_> {
    /// Each archive may be well within its limits, and all together still fill a disk.
    fn count(&self, contents: &dyn Contents) -> Result<(), PlaceError> {
        let own = contents.members().iter().map(|member| member.size);
        let own = own.fold(0, u64::saturating_add);
        let sum = PLACED.fetch_add(own, Ordering::Relaxed).saturating_add(own);
        match sum > self.limits.run {
            true => Err(PlaceError::TooMuch(sum)),
            false => Ok(()),
        }
    }

    /// Hands the artifact's files to `place`: those that the store keeps beside it, where it does.
    /// Otherwise `open` reads the archive, with what is known of its members, and passes it to the
    /// function that it is given.
    ///
    /// What is placed a second time is kept uncompressed; what was just fetched is not, since it
    /// may never be placed again.
    pub(super) fn place<T, E: From<PlaceError>>(
        &self,
        place: &Place<'_, T, E>,
        open: impl FnOnce(Option<Vec<Member>>, &dyn Fn(&dyn Contents) -> Result<T, E>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (store, digest, form) = (self.store, &self.blob.digest, self.form);
        let is_linked = self.link != LinkMode::Copy;
        let index = store.index(digest, form).filter(|index| {
            let total = index.members().iter().map(|member| member.size).sum();
            // Its archive is refused then.
            !self.limits.is_bomb(total, self.blob.size)
        });
        let is_counted = Cell::new(false);
        let count = |contents: &dyn Contents| match is_counted.replace(true) {
            // What was found touched half way, and is placed once more.
            true => Ok(()),
            false => self.count(contents),
        };
        let counted = |contents: &dyn Contents| {
            count(contents)?;
            place(contents).map(|(done, _)| done)
        };
        if let Some(index) = &index {
            if is_linked {
                if let Some(done) = store.from_extracted(index, |kept| counted(kept)) {
                    return done;
                }
            } else if let Some(kept) = store.uncompressed(index) {
                return counted(&kept);
            }
        }
        let is_known = index.is_some();
        let from_archive = |archive: &dyn Contents| {
            // Before any of it is in the store or the tree.
            count(archive)?;
            if is_linked {
                let kept = store.extract(digest, form, archive)?;
                let done = match place(&kept) {
                    // Another run has taken it away meanwhile: a copy does as well.
                    Err(_) if kept.is_touched() => place(&Copied {
                        members: kept.members(),
                        archive,
                    }),
                    done => done,
                };
                return done.map(|(done, _)| done);
            }
            if !self.blob.is_new
                && let Some(kept) = store.keep_uncompressed(digest, form, archive)?
            {
                return place(&kept).map(|(done, _)| done);
            }
            let (done, digests) = place(archive)?;
            if !is_known {
                let mut members = archive.members().to_vec();
                for (number, sha256) in digests {
                    if let Some(member) = members.get_mut(number) {
                        member.sha256 = Some(sha256);
                    }
                }
                // As long as a digest is missing there is no index.
                store.keep_index(digest, form, &members);
            }
            Ok(done)
        };
        open(index.map(|index| index.members().to_vec()), &from_archive)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use camino::Utf8PathBuf;

    use super::*;
    use crate::files::contents::Near;
    use crate::obtain::store::Origin;

    /// An archive of one file.
    struct Archive([Member; 1]);

    const BYTES: &[u8] = b"as it was packed";

    impl Contents for Archive {
        fn members(&self) -> &[Member] {
            &self.0
        }

        fn read(&self, _number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
            take(BYTES)
        }
    }

    /// Everything is touched as soon as it is asked for, so nothing can be linked; a copy of the archive is placed, and
    /// the run has placed its bytes once.
    #[test]
    fn what_others_take_away_all_the_time_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8PathBuf::try_from(dir.path().to_owned()).unwrap();
        let packed = root.join("a.tgz");
        fs::write(&packed, "packed").unwrap();
        let store = Store::open(&root.join("store")).unwrap();
        let origin = Origin {
            file_name: "a.tgz".to_owned(),
            source: packed.to_string(),
        };
        let blob = store.take_as_is(&packed, &origin).unwrap();
        let archive = Archive([Member {
            path: "a".to_owned(),
            mode: 0o644,
            size: BYTES.len() as u64,
            sha256: None,
            is_folder: false,
        }]);
        store.extract(&blob.digest, "npm", &archive).unwrap();
        let name = format!("store/v1/contents/sha256-{}-npm/files/a", blob.digest.hex());
        let kept = root.join(name);
        let artifact = Artifact {
            store: &store,
            blob: &blob,
            form: "npm",
            link: LinkMode::Hardlink,
            limits: &Limits {
                run: BYTES.len() as u64,
                ..Limits::default()
            },
        };
        let tried = Cell::new(0);
        let place = |contents: &dyn Contents| {
            tried.set(tried.get() + 1);
            let is_removed = fs::remove_file(&kept).is_ok();
            assert_eq!(is_removed, tried.get() < 3);
            let mut near = Near::of_many(1);
            let is_shared = contents.shared(0, &mut near)?.is_some();
            Ok::<_, PlaceError>(((contents.whole(0)?, is_shared), Digests::new()))
        };
        let done = artifact.place(&place, |_, from_archive| from_archive(&archive));
        let (bytes, is_shared) = done.unwrap();
        assert_eq!(bytes, BYTES);
        assert!(!is_shared, "it is linked");
        assert_eq!(tried.get(), 3, "as kept, as extracted anew, as a copy");
    }
}
