//! Which files of a tree refer to the Nix store.
//!
//! One pass on every core: files are read in ranges that overlap by the length of the longest
//! reference, so none is missed between two. Links' targets and the paths themselves are looked at
//! too. What is compressed may hide references and is named instead of being passed over in
//! silence.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::reference::{Reference, Search};
use crate::walk::{Node, WalkError, walk};

/// How many bytes of a file one thread reads at a time.
const RANGE: u64 = 4 << 20;

/// Why references could not be looked for, or not be stripped.
#[derive(Debug, thiserror::Error)]
pub enum RefsError {
    /// The tree could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file could not be replaced by its stripped form.
    #[error("cannot strip {}: it is as it was", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is not what it was when it was scanned.
    #[error("{} changed while it was stripped, and is left alone: try again when nothing writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// Where in a tree a reference is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a file, at this offset.
    Contents(u64),
    /// In what a link leads to.
    Target,
    /// In the path itself.
    Name,
}

/// A reference in a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Relative to the tree; of a file with several names, the first.
    pub path: PathBuf,
    /// Where there.
    pub place: Place,
    /// To what.
    pub reference: Reference,
}

/// A file that may hide references.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opaque {
    /// What it is: `gzip`, `bytecode`.
    pub kind: &'static str,
    /// Relative to the tree.
    pub path: PathBuf,
}

/// What was found in a tree.
#[derive(Debug, Default)]
pub struct Scan {
    /// The references, in order of path and place.
    pub hits: Vec<Hit>,
    /// Files that may hide more, in order of kind and path.
    pub opaque: Vec<Opaque>,
    /// The other names in the tree of files that have several, by the first.
    pub names: HashMap<PathBuf, Vec<PathBuf>>,
    /// How many files were read.
    pub files: usize,
    /// How many bytes.
    pub bytes: u64,
}

/// A stretch of a file.
struct Range<'a> {
    path: &'a Path,
    start: u64,
    end: u64,
}

/// Looks through the tree at `root`: a folder, a file or a link.
///
/// # Errors
/// When something in it cannot be read.
pub fn scan(root: &Path, search: &Search) -> Result<Scan, RefsError> {
    scan_walked(root, &walk(root)?, search)
}

/// As [`scan`], of a tree that has been walked already.
///
/// # Errors
/// As [`scan`].
pub fn scan_walked(root: &Path, tree: &Node, search: &Search) -> Result<Scan, RefsError> {
    let mut scan = Scan::default();
    let mut files = Vec::new();
    let mut first_names: HashMap<(u64, u64), PathBuf> = HashMap::new();
    tree.each(&mut |path, node| {
        let hit = |place, reference| Hit {
            path: path.to_owned(),
            place,
            reference,
        };
        // A folder that holds a copy of the store would be one by its name.
        let named = absolute(path);
        search.each(&named, |at, reference| {
            if named.get(at..).is_some_and(|rest| !rest.contains(&b'/')) {
                scan.hits.push(hit(Place::Name, reference));
            }
        });
        match node {
            Node::Folder(_) => {}
            Node::Link(target) => search.each(target.as_bytes(), |_, reference| {
                scan.hits.push(hit(Place::Target, reference));
            }),
            Node::File(file) => {
                if file.links > 1 {
                    if let Some(first) = first_names.get(&file.id) {
                        let others = scan.names.entry(first.clone()).or_default();
                        others.push(path.to_owned());
                        return;
                    }
                    first_names.insert(file.id, path.to_owned());
                }
                scan.files += 1;
                scan.bytes += file.size;
                files.push((path.to_owned(), file.size));
            }
        }
    });
    let ranges = files.iter().flat_map(|(path, size)| {
        (0..size.div_ceil(RANGE)).map(move |n| Range {
            path,
            start: n * RANGE,
            end: (*size).min((n + 1) * RANGE),
        })
    });
    let ranges: Vec<Range<'_>> = ranges.collect();
    let found = ranges
        .par_iter()
        .map_init(Vec::new, |buffer, range| look(root, range, search, buffer))
        .collect::<Result<Vec<_>, _>>()?;
    for (hits, opaque) in found {
        scan.hits.extend(hits);
        scan.opaque.extend(opaque);
    }
    scan.hits.sort();
    scan.opaque.sort();
    Ok(scan)
}

fn absolute(path: &Path) -> Vec<u8> {
    let mut bytes = vec![b'/'];
    bytes.extend_from_slice(path.as_os_str().as_bytes());
    bytes
}

/// Reads one range, and as much beyond it as a reference that begins in it can be long.
fn look(
    root: &Path,
    range: &Range<'_>,
    search: &Search,
    buffer: &mut Vec<u8>,
) -> Result<(Vec<Hit>, Option<Opaque>), RefsError> {
    buffer.clear();
    let path = join(root, range.path);
    let length = range.end - range.start + search.longest() as u64;
    read(&path, range.start, length, buffer).map_err(|source| RefsError::Read { path, source })?;
    let mut hits = Vec::new();
    search.each(buffer, |at, reference| {
        let at = at as u64 + range.start;
        // One that begins beyond the range is the next one's.
        if at - (search.before() as u64) < range.end {
            hits.push(Hit {
                path: range.path.to_owned(),
                place: Place::Contents(at),
                reference,
            });
        }
    });
    let opaque = if range.start == 0 {
        opaque(range.path, buffer).map(|kind| Opaque {
            kind,
            path: range.path.to_owned(),
        })
    } else {
        None
    };
    Ok((hits, opaque))
}

/// The tree itself, when it is a single file, has an empty path in itself.
pub(super) fn join(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        root.to_owned()
    } else {
        root.join(path)
    }
}

fn read(path: &Path, start: u64, length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    if start > 0 {
        file.seek(io::SeekFrom::Start(start))?;
    }
    buffer.reserve(length as usize);
    file.take(length).read_to_end(buffer)?;
    Ok(())
}

/// What a file is whose bytes do not show what it holds.
fn opaque(path: &Path, head: &[u8]) -> Option<&'static str> {
    const MAGIC: [(&[u8], &str); 9] = [
        (b"\x1f\x8b", "gzip"),
        (b"PK\x03\x04", "zip"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
        (b"BZh", "bzip2"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x5d\0\0", "lzma"),
        (b"\x1f\x9d", "compress"),
    ];
    match path.extension().and_then(OsStr::to_str) {
        Some("pyc") => return Some("bytecode"),
        Some("br") => return Some("brotli"),
        _ => {}
    }
    let (_, kind) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic))?;
    Some(kind)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const BASH: &str = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2";

    #[test]
    fn a_reference_is_found_once_wherever_the_ranges_meet() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let every = Search::every("/nix/store", &[]);
        let hash: crate::nix::reference::StoreHash = BASH.parse().unwrap();
        let only = Search::only(&[hash]).unwrap();
        for back in 0..BASH.len() + 2 {
            let at = RANGE as usize - back;
            let mut bytes = vec![b'.'; RANGE as usize + 10];
            bytes.splice(at..at, BASH.bytes());
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
