//! An artifact's files for a placement: as the store keeps them, or else out of its archive.

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
        let counted = |contents: &dyn Contents| {
            self.count(contents)?;
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
            self.count(archive)?;
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
