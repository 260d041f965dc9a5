//! Whether a tree is what it was, by what the system says of every file.
//!
//! Of each file and link counts its name, kind, mode, size, and when its bytes and when anything else
//! of it last changed (`mtime`, `ctime`), to the nanosecond; of each folder the names in it. No file
//! is opened, and no folder whose own times are what they were: whoever adds, removes or renames
//! something in a folder changes them. So a look is one `statx` a file or folder, on every core.
//! `ctime` cannot be set back, so no edit hides behind its size and an old time.
//!
//! What escapes: an edit within the tick of the clock in which the tree was stamped (which
//! [`Stamp::settled`] waits out); one made while the machine's clock was set back to that very tick; one
//! that is written to the disk itself, underneath the file system. And of a file that has other names
//! elsewhere (`--link-mode hardlink`) the `ctime` is not taken, for it changes with each of them: an
//! edit that keeps size and `mtime` escapes there.
//!
//! What tools leave behind is passed over: bytecode beside its source, and their caches at the top of
//! a `node_modules` ([`module_of_bytecode`], [`CACHES`]).

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::Duration;

use camino::Utf8Path;
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags};
use rustix::io::Errno;
use rustix::time::ClockId;
use sha2::{Digest as _, Sha256};

/// Folders that tools keep caches in.
pub const CACHES: [&str; 8] = [
    ".cache",
    ".mypy_cache",
    ".nyc_output",
    ".pytest_cache",
    ".ruff_cache",
    ".vite",
    ".vite-temp",
    ".vitest",
];

/// The module whose bytecode a file of a `__pycache__` is, by its name: `a` of `a.cpython-314.pyc`.
pub fn module_of_bytecode(name: &str) -> Option<&str> {
    let stem = name.strip_suffix(".pyc")?;
    Some(stem.split_once('.').map_or(stem, |(module, _)| module))
}

/// What a tree was: a record for each folder, those above before those in them.
///
/// A record is the folder's path and a NUL; a byte, 1 for a `__pycache__` that is passed over; the
/// folder's times; a digest over its files' facts; then twice, for its folders and for all else, the
/// length of the names (four bytes) and the sorted names, a NUL after each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<u8>);

impl Stamp {
    /// Of the tree as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(tree: &Utf8Path) -> io::Result<Self> {
        let open = open_top(tree)?;
        let names = Names::read(&open)?;
        let name = tree.file_name().unwrap_or_default();
        Ok(Self(names.record(&open, name.as_bytes(), &[])?))
    }

    /// The same of a tree that was written just now: whatever is done to it afterwards gets a later
    /// time than all that was done before.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn settled(tree: &Utf8Path) -> io::Result<Self> {
        let now = || rustix::time::clock_gettime(ClockId::RealtimeCoarse);
        let start = now();
        for _ in 0..100 {
            if now() != start {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Self::of(tree)
    }

    /// Whether a tree is still what it was.
    ///
    /// # Errors
    /// When it cannot be read: something in it is gone, say.
    pub fn holds(&self, tree: &Utf8Path) -> io::Result<bool> {
        let open = open_top(tree)?;
        let Some(records) = self.records() else {
            return Ok(false);
        };
        let name = tree.file_name().unwrap_or_default();
        let holds = |record: &Record<'_>| record.holds(&open, name.as_bytes(), &records);
        let failed = |held: &io::Result<bool>| !matches!(held, Ok(true));
        let looks = records.par_iter().with_min_len(64).map(holds);
        looks.find_any(failed).unwrap_or(Ok(true))
    }

    /// As it is kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As it was kept: whole, which the caller sees to.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    fn records(&self) -> Option<Vec<Record<'_>>> {
        let mut rest = &self.0[..];
        let mut records = Vec::new();
        while !rest.is_empty() {
            records.push(Record::read(&mut rest)?);
        }
        (!records.is_empty()).then_some(records)
    }
}

fn is_slash(byte: &u8) -> bool {
    *byte == b'/'
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn open_top(tree: &Utf8Path) -> io::Result<OwnedFd> {
    let flags = FOLDER & !OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(
        CWD,
        tree.as_str(),
        flags,
        Mode::empty(),
    )?)
}

/// A folder as it was.
#[derive(Clone, Copy)]
struct Record<'a> {
    /// From the tree's top; empty for the top itself.
    path: &'a [u8],
    is_passed_over: bool,
    times: Times,
    facts: [u8; 32],
    folders: &'a [u8],
    others: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        fn names<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
            let length = u32::from_le_bytes(*rest.split_off(..4)?.first_chunk()?);
            let names = rest.split_off(..usize::try_from(length).ok()?)?;
            (names.is_empty() || names.ends_with(&[0])).then_some(names)
        }
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(Self {
            path: rest.split_off(..=end)?.split_last()?.1,
            is_passed_over: *rest.split_off_first()? == 1,
            times: *rest.split_off(..TIMES)?.first_chunk()?,
            facts: *rest.split_off(..32)?.first_chunk()?,
            folders: names(rest)?,
            others: names(rest)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.path);
        out.extend([0, u8::from(self.is_passed_over)]);
        out.extend_from_slice(&self.times);
        out.extend_from_slice(&self.facts);
        for names in [self.folders, self.others] {
            // A folder with more names than that cannot be: a stamp of it holds for nothing.
            out.extend_from_slice(&u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(names);
        }
    }

    /// Whether the folder is still so. `top_name` is the tree's own; `all` are its records.
    fn holds(&self, top: &OwnedFd, top_name: &[u8], all: &[Self]) -> io::Result<bool> {
        let mut path = self.path.to_vec();
        let here = at(&mut path, &[]);
        let times = match times_of(top, here) {
            Err(Errno::NOENT) if self.is_passed_over => return Ok(true),
            times => times?,
        };
        if times != self.times || are_coarse(times) {
            let open = rustix::fs::openat(top, here, FOLDER, Mode::empty())?;
            let mut found = Names::read(&open)?;
            let slash = self.path.iter().rposition(is_slash).unwrap_or(0);
            let (above, name) = self.path.split_at(slash);
            let name = match name.strip_prefix(b"/").unwrap_or(name) {
                [] => top_name,
                name => name,
            };
            if name == b"__pycache__" && !self.path.is_empty() {
                let by_path =
                    |record: &Self| record.path.split(is_slash).cmp(above.split(is_slash));
                let found_at = all.binary_search_by(by_path).ok();
                let above = found_at.and_then(|number| all.get(number));
                let sources = above.map_or(&[][..], |record| record.others);
                let is_source =
                    |name: &[u8]| sources.split(|byte| *byte == 0).any(|one| one == name);
                found.others.retain(|file| !has_source(file, is_source));
            }
            let counted = found.counted(&open, name)?;
            if joined(&counted) != self.folders || joined(&found.others) != self.others {
                return Ok(false);
            }
        }
        let mut hasher = Sha256::new();
        for name in self.others.split_inclusive(|byte| *byte == 0) {
            let Some((_, name)) = name.split_last() else {
                continue;
            };
            path.truncate(self.path.len());
            add(&mut hasher, top.as_fd(), at(&mut path, name), name)?;
        }
        Ok(<[u8; 32]>::from(hasher.finalize()) == self.facts)
    }
}

/// What is called so in the folder whose path this is, or the folder itself.
fn at<'p>(path: &'p mut Vec<u8>, name: &[u8]) -> &'p CStr {
    if !path.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    if path.is_empty() {
        return c".";
    }
    path.push(0);
    // Names come from records, which have NULs nowhere else.
    CStr::from_bytes_until_nul(path).unwrap_or(c".")
}

/// The names in a folder, sorted.
#[derive(Default)]
struct Names {
    folders: Vec<Box<CStr>>,
    others: Vec<Box<CStr>>,
}

impl Names {
    fn read(open: &OwnedFd) -> io::Result<Self> {
        let mut names = Self::default();
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut entries = RawDir::new(open, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                // Some file systems do not say it with the name.
                FileType::Unknown => {
                    let stat = rustix::fs::statat(open, name, AtFlags::SYMLINK_NOFOLLOW)?;
                    FileType::from_raw_mode(stat.st_mode)
                }
                kind => kind,
            };
            match kind {
                FileType::Directory => names.folders.push(name.into()),
                _ => names.others.push(name.into()),
            }
        }
        names.folders.sort_unstable();
        names.others.sort_unstable();
        Ok(names)
    }

    /// The folders in this one, of that name, but for what tools leave behind.
    fn counted(&self, open: &OwnedFd, name: &[u8]) -> io::Result<Vec<&CStr>> {
        let mut counted = Vec::with_capacity(self.folders.len());
        for folder in &self.folders {
            let folder = &**folder;
            let is_cache = name == b"node_modules" && is_cache(folder);
            let is_bytecode = || -> io::Result<bool> {
                let open = rustix::fs::openat(open, folder, FOLDER, Mode::empty())?;
                let names = Self::read(&open)?;
                Ok(names.folders.is_empty()
                    && names.others.iter().all(|file| self.has_source_of(file)))
            };
            if is_cache || folder.to_bytes() == b"__pycache__" && is_bytecode()? {
                continue;
            }
            counted.push(folder);
        }
        Ok(counted)
    }

    fn has_source_of(&self, file: &CStr) -> bool {
        let is_source = |source: &[u8]| {
            let found = self
                .others
                .binary_search_by(|name| name.to_bytes().cmp(source));
            found.is_ok()
        };
        has_source(file, is_source)
    }

    /// The records of this folder and of all in it.
    fn record(&self, open: &OwnedFd, name: &[u8], path: &[u8]) -> io::Result<Vec<u8>> {
        let times = times_of(open, c".")?;
        let counted = self.counted(open, name)?;
        let mut hasher = Sha256::new();
        for file in &self.others {
            add(&mut hasher, open.as_fd(), file, file.to_bytes())?;
        }
        let mut record = Vec::new();
        let own = Record {
            path,
            is_passed_over: false,
            times,
            facts: hasher.finalize().into(),
            folders: &joined(&counted),
            others: &joined(&self.others),
        };
        own.write(&mut record);
        let inside = |folder: &CStr| -> io::Result<Vec<u8>> {
            let name = folder.to_bytes();
            let mut path = path.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let open = rustix::fs::openat(open, folder, FOLDER, Mode::empty())?;
            if counted.binary_search(&folder).is_ok() {
                let mut names = Self::read(&open)?;
                if name == b"__pycache__" {
                    names.others.retain(|file| !self.has_source_of(file));
                }
                return names.record(&open, name, &path);
            }
            let mut record = Vec::new();
            let passed_over = Record {
                path: &path,
                is_passed_over: true,
                times: times_of(&open, c".")?,
                facts: Sha256::digest([]).into(),
                folders: &[],
                others: &[],
            };
            passed_over.write(&mut record);
            Ok(record)
        };
        // Caches that are passed over are not watched, but bytecode is.
        let watched = |folder: &&CStr| {
            counted.binary_search(folder).is_ok() || folder.to_bytes() == b"__pycache__"
        };
        let watched: Vec<&CStr> = (self.folders.iter().map(|folder| &**folder))
            .filter(watched)
            .collect();
        let records: io::Result<Vec<_>> = match &watched[..] {
            [only] => inside(only).map(|record| vec![record]),
            folders => folders.par_iter().map(|folder| inside(folder)).collect(),
        };
        records?
            .iter()
            .for_each(|inside| record.extend_from_slice(inside));
        Ok(record)
    }
}

/// Names, a NUL after each.
fn joined<N: AsRef<CStr>>(names: &[N]) -> Vec<u8> {
    names
        .iter()
        .flat_map(|name| name.as_ref().to_bytes_with_nul())
        .copied()
        .collect()
}

/// Whether a file of a `__pycache__` is the bytecode of a source beside that folder.
fn has_source(bytecode: &CStr, is_source: impl Fn(&[u8]) -> bool) -> bool {
    let module = bytecode.to_str().ok().and_then(module_of_bytecode);
    module.is_some_and(|module| is_source(format!("{module}.py").as_bytes()))
}

fn is_cache(folder: &CStr) -> bool {
    CACHES
        .iter()
        .any(|cache| folder.to_bytes() == cache.as_bytes())
}

const TIMES: usize = 24;

/// When a folder's names and when anything else of it last changed.
type Times = [u8; TIMES];

/// Whether the disk may keep whole seconds alone: then a folder that was changed can have the times that it had.
fn are_coarse(times: Times) -> bool {
    times.ends_with(&[0; 4])
}

fn times_of(at: &OwnedFd, path: &CStr) -> Result<Times, Errno> {
    let wanted = StatxFlags::TYPE | StatxFlags::MTIME | StatxFlags::CTIME;
    let stat = rustix::fs::statx(at, path, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
    if FileType::from_raw_mode(stat.stx_mode.into()) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let mut times = [0; TIMES];
    fill(
        &mut times,
        &[
            &stat.stx_mtime.tv_sec.to_le_bytes(),
            &stat.stx_mtime.tv_nsec.to_le_bytes(),
            &stat.stx_ctime.tv_sec.to_le_bytes(),
            &stat.stx_ctime.tv_nsec.to_le_bytes(),
        ],
    );
    Ok(times)
}

/// Copies parts one after another.
fn fill(mut whole: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (place, after) = whole.split_at_mut(part.len());
        place.copy_from_slice(part);
        whole = after;
    }
}

/// What the system says of a file or link.
fn add(hasher: &mut Sha256, folder: BorrowedFd<'_>, path: &CStr, name: &[u8]) -> Result<(), Errno> {
    const WANTED: StatxFlags = StatxFlags::TYPE
        .union(StatxFlags::MODE)
        .union(StatxFlags::NLINK)
        .union(StatxFlags::SIZE)
        .union(StatxFlags::MTIME)
        .union(StatxFlags::CTIME);
    let stat = rustix::fs::statx(folder, path, AtFlags::SYMLINK_NOFOLLOW, WANTED)?;
    let mut facts = [0; 38];
    let changed = match stat.stx_nlink {
        1 => (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        _ => (0, 0),
    };
    fill(
        &mut facts,
        &[
            &stat.stx_mode.to_le_bytes(),
            &stat.stx_size.to_le_bytes(),
            &stat.stx_mtime.tv_sec.to_le_bytes(),
            &stat.stx_mtime.tv_nsec.to_le_bytes(),
            &changed.0.to_le_bytes(),
            &changed.1.to_le_bytes(),
        ],
    );
    hasher.update(name);
    hasher.update([0]);
    hasher.update(facts);
    Ok(())
}
