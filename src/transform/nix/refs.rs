//! Which files of a tree refer to the Nix store.
//!
//! One pass on every core lists folders and reads their files as it comes to them, with as few system
//! calls as that takes; see [`scan`](super::scan). Links' targets and the paths themselves are
//! looked at too. What is compressed may hide references and is named instead of being passed over
//! in silence.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

pub use super::hit::{Hit, Opaque, Place, RefsError, join};
use super::reference::Search;
use super::scan::{Seen, scan_tree};
use crate::core::io_error::cannot;

/// What was found in a tree.
#[derive(Debug, Default)]
pub struct Scan {
    /// The references, in order of path and place.
    pub hits: Vec<Hit>,
    /// Files that may hide more, in order of kind and path.
    pub opaque: Vec<Opaque>,
    /// The other names in the tree of files that have several and hold references, by the first.
    pub names: HashMap<PathBuf, Vec<PathBuf>>,
    /// How many files were read, each by every name it has.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
}

/// Looks through the tree at `root`: a folder, a file or a link.
///
/// # Errors
/// When something in it cannot be read.
pub fn scan(root: &Path, search: &Search) -> Result<Scan, RefsError> {
    let Seen {
        hits,
        opaque,
        files,
        bytes,
    } = scan_tree(root, search)?;
    let mut scan = Scan {
        hits,
        opaque,
        files,
        bytes,
        ..Scan::default()
    };
    scan.hits.sort();
    scan.opaque.sort();
    scan.names = names(root, &mut scan.hits)?;
    Ok(scan)
}

/// Leaves the first name of each file with several, and returns the others.
fn names(root: &Path, hits: &mut Vec<Hit>) -> Result<HashMap<PathBuf, Vec<PathBuf>>, RefsError> {
    let mut first_names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    let mut names: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
    let paths = hits
        .iter()
        .filter(|hit| matches!(hit.place, Place::Contents(_)));
    let mut paths: Vec<PathBuf> = paths.map(|hit| hit.path.clone()).collect();
    paths.dedup();
    for path in paths {
        let place = join(root, &path);
        let meta = place.symlink_metadata().map_err(cannot("read", &place))?;
        if meta.nlink() < 2 {
            continue;
        }
        match first_names.get(&(meta.dev(), meta.ino())) {
            None => {
                first_names.insert((meta.dev(), meta.ino()), path);
            }
            Some(first) => {
                hits.retain(|hit| hit.path != path || !matches!(hit.place, Place::Contents(_)));
                names.entry(first.clone()).or_default().push(path);
            }
        }
    }
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::transform::nix::scan::{HUGE, WINDOW};

    const BASH: &str = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2";

    #[test]
    fn a_reference_is_found_once_wherever_the_ranges_meet() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let every = Search::every("/nix/store", &[]);
        let hash: crate::transform::nix::reference::StoreHash = BASH.parse().unwrap();
        let only = Search::only(&[hash]).unwrap();
        let window = WINDOW - every.longest();
        for meeting in [WINDOW, window + window, HUGE as usize, 2 * HUGE as usize] {
            for back in 0..BASH.len() + 2 {
                let at = meeting - back;
                let mut bytes = vec![b'.'; 2 * HUGE as usize + 60];
                bytes.splice(at..at + BASH.len(), BASH.bytes());
                // Small ones end where they meet, or soon after.
                if meeting < HUGE as usize {
                    bytes.truncate(meeting + 60);
                }
                fs::write(&file, &bytes).unwrap();
                for search in [&every, &only] {
                    let hits = scan(dir.path(), search).unwrap().hits;
                    let places: Vec<_> = hits.iter().map(|hit| hit.place.clone()).collect();
                    assert_eq!(places, [Place::Contents(at as u64 + 11)]);
                    assert!(hits[0].reference.name.starts_with("bash-5.2"));
                }
            }
        }
    }
}
