//! Uncompressed artifacts: the bytes of all files one after another, in the index's order, and
//! behind them 4 bytes: the CRC-32 of all before.
//!
//! Inflating is most of what placing costs the processors, and comes out the same each time. So an
//! artifact that is found in the store, which it was put into by a run before, is kept like this
//! from then on; one that was just fetched is not, as on a machine that makes one environment and
//! is thrown away.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::contents::Index;
use super::mapped::Mapped;
use super::{Store, touch};
use crate::core::digest::{Digest, crc32};
use crate::core::foreign;
use crate::files::contents::{Contents, Member, PlaceError, Take};

const CHECKSUM: usize = size_of::<u32>();

/// An artifact's files in memory, as they lie uncompressed in the store.
#[derive(Debug)]
pub struct Uncompressed {
    map: Mapped,
    members: Arc<[Member]>,
    /// Where each begins.
    starts: Vec<usize>,
}

impl Uncompressed {
    /// Nothing if the file is not as long as the members are together.
    fn new(file: &File, members: Arc<[Member]>) -> Option<Self> {
        let map = Mapped::new(file).ok()?;
        let mut end = 0_usize;
        let mut starts = Vec::with_capacity(members.len());
        for member in &*members {
            starts.push(end);
            end = end.checked_add(usize::try_from(member.size).ok()?)?;
        }
        (map.len() == end.checked_add(CHECKSUM)?).then_some(Self {
            map,
            members,
            starts,
        })
    }

    fn is_true(&self) -> bool {
        self.map
            .split_last_chunk::<CHECKSUM>()
            .is_some_and(|(bytes, checksum)| crc32(bytes) == u32::from_le_bytes(*checksum))
    }

    /// Whether each file has the digest that the index says: what a checksum does not show is somebody who made it anew.
    fn has_digests(&self) -> bool {
        self.members.par_iter().enumerate().all(|(number, member)| {
            let digest = || Some(<[u8; 32]>::from(Sha256::digest(self.bytes(number)?)));
            member.is_folder || member.sha256 == digest()
        })
    }

    fn bytes(&self, number: usize) -> Option<&[u8]> {
        let start = *self.starts.get(number)?;
        let size = usize::try_from(self.members.get(number)?.size).ok()?;
        self.map.get(start..start.checked_add(size)?)
    }
}

impl Contents for Uncompressed {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        take(self.bytes(number).ok_or(PlaceError::Absent(number))?)
    }
}

impl Store {
    /// An artifact's files uncompressed, if they were kept so and are sound.
    pub fn uncompressed(&self, index: &Index) -> Option<Uncompressed> {
        let path = index.folder.join("bytes");
        let file = foreign::open(&path).ok()?;
        let metadata = file.metadata().ok()?;
        let found = Uncompressed::new(&file, Arc::clone(&index.members));
        let Some(found) = found.filter(Uncompressed::is_true) else {
            tracing::warn!("`{path}` has changed, and is made again");
            self.discard(&path);
            return None;
        };
        touch(&path, &metadata);
        Some(found)
    }

    /// Keeps an artifact's files uncompressed. Where the store cannot be written to, or is to be
    /// small, there is nothing, which costs time alone.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn keep_uncompressed(
        &self,
        digest: &Digest,
        form: &str,
        contents: &dyn Contents,
    ) -> Result<Option<Uncompressed>, PlaceError> {
        if !self.keeps_uncompressed {
            return Ok(None);
        }
        let Ok(file) = self.temporary_file() else {
            return Ok(None);
        };
        let mut members = contents.members().to_vec();
        let mut out = BufWriter::with_capacity(1 << 18, file);
        let mut checksum = libdeflater::Crc::new();
        let mut failed = false;
        for (number, member) in members.iter_mut().enumerate() {
            if member.is_folder {
                continue;
            }
            let mut hasher = member.sha256.is_none().then(Sha256::new);
            contents.read(number, &mut |piece| {
                checksum.update(piece);
                if let Some(hasher) = &mut hasher {
                    hasher.update(piece);
                }
                failed |= out.write_all(piece).is_err();
                Ok(())
            })?;
            if let Some(hasher) = hasher {
                member.sha256 = Some(hasher.finalize().into());
            }
            if failed {
                return Ok(None);
            }
        }
        let finish = || -> io::Result<Option<Uncompressed>> {
            out.write_all(&checksum.sum().to_le_bytes())?;
            let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
            let Some(index) = self.keep_index(digest, form, &members) else {
                return Ok(None);
            };
            let kept = Uncompressed::new(file.as_file(), Arc::clone(&index.members));
            file.persist(index.folder.join("bytes"))?;
            Ok(kept)
        };
        Ok(finish().ok().flatten())
    }
}

/// Whether an artifact's uncompressed form is not there, or is as it was made.
pub(super) fn is_true(index: &Index) -> bool {
    let path = index.folder.join("bytes");
    if fs::symlink_metadata(&path).is_err() {
        return true;
    }
    foreign::open(&path)
        .ok()
        .and_then(|file| Uncompressed::new(&file, Arc::clone(&index.members)))
        .is_some_and(|found| found.is_true() && found.has_digests())
}
