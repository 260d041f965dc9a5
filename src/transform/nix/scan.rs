//! A tree's folders and files, read once on every core for what [`refs`](super::refs) looks for.
//!
//! A tree of packages is tens of thousands of small files, so what counts is how often the system is
//! asked: a file is opened by its name in the open folder, read into a buffer that is there already,
//! and closed. Its length is not asked for: a read that comes back short is the end of it. Only the
//! few that are huge are read by several threads.

use std::cell::RefCell;
use std::ffi::{CStr, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{CWD, FileType, Mode, OFlags, RawDir};
use rustix::io::Errno;

use super::hit::{Hit, Opaque, Place, RefsError, join};
use super::reference::Search;
use crate::core::io_error::cannot;
use crate::core::walk::WalkError;

/// How much of a file is in memory at a time: it should stay near the core.
pub(super) const WINDOW: usize = 256 << 10;

/// From which length on a file is shared among threads, in stretches of this length.
pub(super) const HUGE: u64 = 8 << 20;

/// How many files of a folder one thread takes.
const FILES: usize = 64;

/// What a part of a tree holds.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub hits: Vec<Hit>,
    pub opaque: Vec<Opaque>,
    pub files: usize,
    pub bytes: u64,
}

impl Seen {
    fn and(mut self, other: Self) -> Self {
        self.hits.extend(other.hits);
        self.opaque.extend(other.opaque);
        self.files += other.files;
        self.bytes += other.bytes;
        self
    }
}

/// The names in a folder, one after the other, each with its NUL.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    fn push(&mut self, name: &CStr) {
        self.bytes.extend_from_slice(name.to_bytes_with_nul());
        self.ends.push(self.bytes.len());
    }

    /// Some of them, from one index to another.
    fn range(&self, from: usize, to: usize) -> impl Iterator<Item = &CStr> {
        let start = from.checked_sub(1).and_then(|last| self.ends.get(last));
        let mut start = start.copied().unwrap_or(0);
        let ends = self.ends.get(from..to).unwrap_or_default();
        ends.iter().filter_map(move |&end| {
            let name = self.bytes.get(start..end)?;
            start = end;
            CStr::from_bytes_with_nul(name).ok()
        })
    }
}

thread_local! {
    /// Never held while other tasks may run on the same thread.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; WINDOW]);
}

/// Reads the tree at `root`.
pub(super) fn scan_tree(root: &Path, search: &Search) -> Result<Seen, RefsError> {
    let scan = Scan { root, search };
    let meta = std::fs::symlink_metadata(root).map_err(scan.failed(Path::new("")))?;
    if meta.is_dir() {
        return scan.folder(Path::new(""));
    }
    let mut seen = Seen::default();
    let kind = FileType::from_raw_mode(std::os::unix::fs::MetadataExt::mode(&meta));
    if scan.other(Path::new(""), kind, &mut seen)? {
        return Ok(seen);
    }
    let top = || PathBuf::new();
    let file = rustix::fs::open(root, FILE, Mode::empty());
    let file = file.map_err(|error| scan.failed(&top())(error.into()))?;
    Ok(match scan.file(&file, b"", &top, &mut seen)? {
        Some(length) => seen.and(scan.huge(&file, &top(), length)?),
        None => seen,
    })
}

/// How a file is opened: one that became a link or a pipe meanwhile is neither followed nor waited for.
const FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::CLOEXEC);

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

struct Scan<'a> {
    root: &'a Path,
    search: &'a Search,
}

impl Scan<'_> {
    fn failed(&self, path: &Path) -> impl FnOnce(io::Error) -> RefsError + use<> {
        let path = join(self.root, path);
        move |error| cannot("read", &path)(error).into()
    }

    /// A folder and all below it. It is closed before those in it are opened, so that not many are open.
    fn folder(&self, path: &Path) -> Result<Seen, RefsError> {
        let failed = |error: Errno| self.failed(path)(error.into());
        let place = join(self.root, path);
        // The tree itself may be named by a link that ends in a slash.
        let folder = rustix::fs::openat(CWD, &place, FOLDER, Mode::empty()).map_err(failed)?;
        let (mut files, mut folders) = (Names::default(), Vec::new());
        let mut seen = Seen::default();
        self.list(&folder, path, &mut seen, |kind, name| match kind {
            FileType::Directory => folders.push(path.join(os(name))),
            _ => files.push(name),
        })?;
        let chunks = files.ends.len().div_ceil(FILES);
        let look = |chunk: usize| {
            let names = files.range(chunk * FILES, ((chunk + 1) * FILES).min(files.ends.len()));
            self.files(&folder, path, names)
        };
        seen = match chunks {
            0 => seen,
            1 => seen.and(look(0)?),
            _ => (0..chunks)
                .into_par_iter()
                .map(look)
                .try_reduce(Seen::default, |one, other| Ok(one.and(other)))?
                .and(seen),
        };
        drop(folder);
        let inside = folders
            .par_iter()
            .with_max_len(1)
            .map(|folder| self.folder(folder))
            .try_reduce(Seen::default, |one, other| Ok(one.and(other)))?;
        Ok(seen.and(inside))
    }

    /// Lists a folder: files and folders go to `found`, all else is looked at.
    fn list(
        &self,
        folder: &OwnedFd,
        path: &Path,
        seen: &mut Seen,
        mut found: impl FnMut(FileType, &CStr),
    ) -> Result<(), RefsError> {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut entries = RawDir::new(folder, &mut buffer);
        // What a store path's name is looked for in: the tree's top counts as `/`.
        let mut named = vec![b'/'];
        named.extend_from_slice(path.as_os_str().as_bytes());
        if named.len() > 1 {
            named.push(b'/');
        }
        let above = named.len();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|error| self.failed(path)(error.into()))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            named.truncate(above);
            named.extend_from_slice(name.to_bytes());
            self.search.each(&named, |at, reference| {
                // A folder that holds a copy of the store would be one by its name.
                if at >= above {
                    seen.hits.push(Hit {
                        path: path.join(os(name)),
                        place: Place::Name,
                        reference,
                    });
                }
            });
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    let flags = rustix::fs::AtFlags::SYMLINK_NOFOLLOW;
                    let stat = rustix::fs::statat(folder, name, flags);
                    let stat =
                        stat.map_err(|error| self.failed(&path.join(os(name)))(error.into()))?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            match kind {
                FileType::RegularFile | FileType::Directory => found(kind, name),
                _ => {
                    self.other(&path.join(os(name)), kind, seen)?;
                }
            }
        }
        Ok(())
    }

    /// Looks at what is no folder, and returns whether it was no file either.
    fn other(&self, path: &Path, kind: FileType, seen: &mut Seen) -> Result<bool, RefsError> {
        let place = join(self.root, path);
        let kind = match kind {
            FileType::RegularFile => return Ok(false),
            FileType::Symlink => {
                let target = std::fs::read_link(&place).map_err(self.failed(path))?;
                let target = target.as_os_str().as_bytes();
                self.search.each(target, |_, reference| {
                    seen.hits.push(Hit {
                        path: path.to_owned(),
                        place: Place::Target,
                        reference,
                    });
                });
                return Ok(true);
            }
            FileType::Fifo => "named pipe",
            FileType::Socket => "socket",
            _ => "device",
        };
        Err(WalkError::Kind { path: place, kind }.into())
    }

    fn files<'n>(
        &self,
        folder: &OwnedFd,
        path: &Path,
        names: impl Iterator<Item = &'n CStr>,
    ) -> Result<Seen, RefsError> {
        let mut seen = Seen::default();
        let mut huge = Vec::new();
        for name in names {
            let path = || path.join(os(name));
            let file = rustix::fs::openat(folder, name, FILE, Mode::empty())
                .map_err(|error| self.failed(&path())(error.into()))?;
            if let Some(length) = self.file(&file, name.to_bytes(), &path, &mut seen)? {
                huge.push((path(), file, length));
            }
        }
        for (path, file, length) in huge {
            seen = seen.and(self.huge(&file, &path, length)?);
        }
        Ok(seen)
    }

    /// Looks through a file, unless it is huge: then its length is returned. The path is made when
    /// there is something to say of it.
    fn file(
        &self,
        file: &OwnedFd,
        name: &[u8],
        path: &dyn Fn() -> PathBuf,
        seen: &mut Seen,
    ) -> Result<Option<u64>, RefsError> {
        seen.files += 1;
        BUFFER.with_borrow_mut(|buffer| {
            let failed = |error: Errno| self.failed(&path())(error.into());
            let filled = fill(file, 0, buffer).map_err(failed)?;
            let head = buffer.get(..filled).unwrap_or_default();
            if let Some(kind) = opaque(name, head) {
                let path = path();
                seen.opaque.push(Opaque { kind, path });
            }
            if filled == buffer.len() {
                let length = rustix::fs::fstat(file).map_err(failed)?.st_size;
                let length = u64::try_from(length).unwrap_or(0);
                if length >= HUGE {
                    return Ok(Some(length));
                }
            }
            self.stretch(file, 0..u64::MAX, path, buffer, filled, seen)?;
            Ok(None)
        })
    }

    /// A huge file, on every core.
    fn huge(&self, file: &OwnedFd, path: &Path, length: u64) -> Result<Seen, RefsError> {
        let stretches = length.div_ceil(HUGE);
        (0..stretches)
            .into_par_iter()
            .map(|n| {
                let mut seen = Seen::default();
                let end = if n + 1 == stretches {
                    u64::MAX
                } else {
                    (n + 1) * HUGE
                };
                BUFFER.with_borrow_mut(|buffer| {
                    let filled = fill(file, n * HUGE, buffer)
                        .map_err(|error| self.failed(path)(error.into()))?;
                    let path = || path.to_owned();
                    self.stretch(file, n * HUGE..end, &path, buffer, filled, &mut seen)
                })?;
                Ok(seen)
            })
            .try_reduce(Seen::default, |one, other| Ok(one.and(other)))
    }

    /// Finds what begins in a stretch of a file, whose first `filled` bytes have been read.
    fn stretch(
        &self,
        file: &OwnedFd,
        stretch: Range<u64>,
        path: &dyn Fn() -> PathBuf,
        buffer: &mut [u8],
        mut filled: usize,
        seen: &mut Seen,
    ) -> Result<(), RefsError> {
        let mut start = stretch.start;
        loop {
            let is_end = filled < buffer.len();
            // What begins after this may not be here as a whole.
            let whole = match is_end {
                true => filled,
                false => filled - self.search.longest(),
            };
            let end = stretch.end.min(start + whole as u64);
            let bytes = buffer.get(..filled).unwrap_or_default();
            self.search.each(bytes, |at, reference| {
                let at = start + at as u64;
                if at - (self.search.before() as u64) < end {
                    seen.hits.push(Hit {
                        path: path(),
                        place: Place::Contents(at),
                        reference,
                    });
                }
            });
            seen.bytes += end - start;
            if is_end || end == stretch.end {
                return Ok(());
            }
            start = end;
            buffer.copy_within(whole..filled, 0);
            let there = filled - whole;
            let rest = buffer.get_mut(there..).unwrap_or_default();
            let more = fill(file, start + there as u64, rest);
            filled = there + more.map_err(|error| self.failed(&path())(error.into()))?;
        }
    }
}

/// Reads from an offset on until the buffer is full or the file ends.
fn fill(file: &OwnedFd, start: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, start + filled as u64) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn os(name: &CStr) -> &OsStr {
    OsStr::from_bytes(name.to_bytes())
}

/// What a file is whose bytes do not show what it holds.
fn opaque(name: &[u8], head: &[u8]) -> Option<&'static str> {
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
    if name.ends_with(b".pyc") {
        return Some("bytecode");
    }
    if name.ends_with(b".br") {
        return Some("brotli");
    }
    let (_, kind) = MAGIC.iter().find(|(magic, _)| head.starts_with(magic))?;
    Some(kind)
}
