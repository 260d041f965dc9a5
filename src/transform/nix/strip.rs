//! Makes a tree forget the store: the hash of each reference is overwritten with `e`s.
//!
//! As nixpkgs' `remove-references-to` does it, so lengths stay and binaries stay whole; unlike it,
//! each file is replaced in one step, keeps its mode and times, keeps its other names, and is looked
//! at again before it counts as stripped. Links, and archives whose checksums would no longer be
//! right, are left alone and said to be.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::reference::{HASH, STRIPPED, Search};
use super::refs::{self, Hit, Place, RefsError, Scan};
use crate::core::temp_file::{TempFile, link_onto};

/// What was done.
#[derive(Debug, Default)]
pub struct Stripped {
    /// References that are no more, in order of path and place.
    pub hits: Vec<Hit>,
    /// References that are still there, and why.
    pub left: Vec<(Hit, &'static str)>,
    /// The files that were replaced: all their names, in order.
    pub changed: Vec<PathBuf>,
    /// Files that could not be replaced or are not what was scanned. Each is as it was.
    pub failed: Vec<RefsError>,
}

/// Strips what a scan of the same tree found: each file wholly, or not at all.
pub fn strip(root: &Path, scan: &Scan, search: &Search) -> Stripped {
    let mut done = Stripped::default();
    let archives: HashSet<&Path> = scan
        .opaque
        .iter()
        .filter(|opaque| opaque.kind != "bytecode")
        .map(|opaque| opaque.path.as_path())
        .collect();
    let mut files: BTreeMap<&Path, Vec<(u64, &Hit)>> = BTreeMap::new();
    for hit in &scan.hits {
        match hit.place {
            Place::Target => done.left.push((hit.clone(), "links are not rewritten")),
            Place::Name => done.left.push((hit.clone(), "nothing is renamed")),
            Place::Contents(_) if archives.contains(hit.path.as_path()) => {
                let why = "a checksum inside the archive would no longer be right";
                done.left.push((hit.clone(), why));
            }
            Place::Contents(at) => files.entry(&hit.path).or_default().push((at, hit)),
        }
    }
    let files: Vec<_> = files.into_iter().collect();
    let results = files.par_iter().map(|(path, hits)| {
        let others = scan.names.get(*path).map_or(&[][..], Vec::as_slice);
        (others, file(root, path, others, hits, search))
    });
    let results: Vec<_> = results.collect();
    for ((path, hits), (others, result)) in files.into_iter().zip(results) {
        if let Err(error) = result {
            done.failed.push(error);
            continue;
        }
        done.hits
            .extend(hits.into_iter().map(|(_, hit)| hit.clone()));
        done.changed.push(path.to_owned());
        done.changed.extend(others.iter().cloned());
    }
    done.changed.sort();
    done
}

fn file(
    root: &Path,
    path: &Path,
    others: &[PathBuf],
    hits: &[(u64, &Hit)],
    search: &Search,
) -> Result<(), RefsError> {
    let path = refs::join(root, path);
    let write = |source| RefsError::Write {
        path: path.clone(),
        source,
    };
    let stripped = TempFile::beside(&path, None).map_err(write)?;
    fs::copy(&path, stripped.path()).map_err(write)?;
    for (at, hit) in hits {
        let mut found = [0; HASH];
        let there = stripped.as_file().read_exact_at(&mut found, *at);
        if there.is_err() || found != *hit.reference.hash.bytes() {
            return Err(RefsError::Changed { path });
        }
        let file = stripped.as_file();
        file.write_all_at(&STRIPPED, *at).map_err(write)?;
    }
    if !refs::scan(stripped.path(), search)?.hits.is_empty() {
        return Err(RefsError::Changed { path });
    }
    let meta = fs::metadata(&path).map_err(write)?;
    let times = fs::FileTimes::new().set_modified(meta.modified().map_err(write)?);
    stripped.as_file().set_times(times).map_err(write)?;
    // The other names first: until its own is replaced, the file counts as not stripped.
    for other in others {
        let other = refs::join(root, other);
        link_onto(stripped.path(), &other).map_err(|source| RefsError::Write {
            path: other.clone(),
            source,
        })?;
    }
    stripped.persist(&path).map_err(write)?;
    Ok(())
}

#[cfg(test)]
#[path = "strip_tests.rs"]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
