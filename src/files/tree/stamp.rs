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
//! a `node_modules` ([`super::module_of_bytecode`], [`super::CACHES`]).

use std::ffi::CStr;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use camino::Utf8Path;
use rayon::prelude::*;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::time::ClockId;

use super::listing::{BYTECODE, FOLDER, Listing, Names, c_str, each, join};
use super::look::{FACTS, TIMES, Times, are_coarse, facts_of, times_of};

/// How many folders are looked at together, from the folder that all of them are in.
const TOGETHER: usize = 64;

/// What a tree was: a record for each folder, in the byte order of their paths, so those above before those in them.
///
/// A record is the folder's path and a NUL; a byte, 1 for a `__pycache__` that is passed over; the
/// folder's times; then twice, for its folders and for all else, the length of the names (four bytes) and
/// the sorted names, a NUL after each; then what is known of all else, one by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp(Vec<u8>);

impl Stamp {
    /// Of the tree as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(tree: &Utf8Path) -> io::Result<Self> {
        let top = open_top(tree)?;
        let listing = Listing::read(&top, name_of(tree))?;
        Self::of_listing(tree, &top, &listing)
    }

    fn of_listing(tree: &Utf8Path, top: &OwnedFd, listing: &Listing) -> io::Result<Self> {
        let records = listing.folders().par_chunks(TOGETHER).map(|folders| {
            let base = Base::of(top, folders, |(path, _)| path)?;
            let mut records = Vec::new();
            for (path, names) in folders {
                write_record(path, names, listing, name_of(tree), &base, &mut records)?;
            }
            Ok(records)
        });
        let records: io::Result<Vec<Vec<u8>>> = records.collect();
        Ok(Self(records?.concat()))
    }

    /// Of a tree that was written just now: whatever is done to it afterwards gets a later
    /// time than all that was done before. Where its writer says what is in it, that is believed.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub fn settled(tree: &Utf8Path, listing: Option<&Listing>) -> io::Result<Self> {
        let now = || rustix::time::clock_gettime(ClockId::RealtimeCoarse);
        let start = now();
        for _ in 0..100 {
            if now() != start {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        let Some(listing) = listing else {
            return Self::of(tree);
        };
        Self::of_listing(tree, &open_top(tree)?, listing)
    }

    /// Whether a tree is still what it was.
    ///
    /// # Errors
    /// When it cannot be read: something in it is gone, say.
    pub fn holds(&self, tree: &Utf8Path) -> io::Result<bool> {
        let top = open_top(tree)?;
        let Some(records) = self.records() else {
            return Ok(false);
        };
        let looks = records.par_chunks(TOGETHER).map(|together| {
            let base = Base::of(&top, together, |record| record.path)?;
            for record in together {
                if !record.holds(&base, name_of(tree), &records)? {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        let failed = |held: &io::Result<bool>| !matches!(held, Ok(true));
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

fn name_of(tree: &Utf8Path) -> &[u8] {
    tree.file_name().unwrap_or_default().as_bytes()
}

fn open_top(tree: &Utf8Path) -> io::Result<OwnedFd> {
    let flags = FOLDER & !OFlags::NOFOLLOW;
    Ok(rustix::fs::openat(
        CWD,
        tree.as_str(),
        flags,
        Mode::empty(),
    )?)
}

/// A folder that others are in, from which the way to them is short.
struct Base<'a> {
    top: &'a OwnedFd,
    open: Option<OwnedFd>,
    /// How much of their paths it is.
    length: usize,
}

impl<'a> Base<'a> {
    /// For folders in the order of their paths: the one that all of them are in.
    fn of<T>(top: &'a OwnedFd, folders: &[T], path: impl Fn(&T) -> &[u8]) -> io::Result<Self> {
        let (first, last) = (folders.first().map(&path), folders.last().map(&path));
        let (first, last) = (first.unwrap_or_default(), last.unwrap_or_default());
        let common = first
            .iter()
            .zip(last)
            .take_while(|(one, other)| one == other);
        let common = first.get(..common.count()).unwrap_or_default();
        let base = common.iter().rposition(|byte| *byte == b'/');
        let base = base.and_then(|end| first.get(..end)).unwrap_or_default();
        if base.is_empty() {
            return Ok(Self {
                top,
                open: None,
                length: 0,
            });
        }
        let flags = FOLDER.union(OFlags::PATH);
        let open = rustix::fs::openat(top, c_str(&[base, &[0]].concat()), flags, Mode::empty())?;
        Ok(Self {
            top,
            open: Some(open),
            length: base.len() + 1,
        })
    }

    fn folder(&self) -> &OwnedFd {
        self.open.as_ref().unwrap_or(self.top)
    }

    /// What is called so in a folder, or the folder itself, from here. `buffer` has the folder's path at its start, or
    /// nothing.
    fn at<'p>(&self, folder: &[u8], name: &[u8], buffer: &'p mut Vec<u8>) -> &'p CStr {
        let folder = folder.get(self.length..).unwrap_or_default();
        if buffer.is_empty() {
            buffer.extend_from_slice(folder);
        }
        buffer.truncate(folder.len());
        if !folder.is_empty() && !name.is_empty() {
            buffer.push(b'/');
        }
        buffer.extend_from_slice(name);
        if buffer.is_empty() {
            return c".";
        }
        buffer.push(0);
        c_str(buffer)
    }
}

/// Adds the record of a folder, unless it is of no interest.
fn write_record(
    path: &[u8],
    names: &Names,
    listing: &Listing,
    top_name: &[u8],
    base: &Base<'_>,
    to: &mut Vec<u8>,
) -> io::Result<()> {
    let mut buffer = Vec::new();
    let times = times_of(base.folder(), base.at(path, b"", &mut buffer))?;
    let (above, name) = split(path, top_name);
    let mut names = std::borrow::Cow::Borrowed(names);
    if name == BYTECODE
        && !path.is_empty()
        && let Some(above) = listing.get(above)
    {
        if names.is_bytecode_of(above) {
            let passed_over = Record {
                path,
                is_passed_over: true,
                times,
                folders: &[],
                others: &[],
                facts: &[],
            };
            passed_over.write(to);
            return Ok(());
        }
        names.to_mut().forget_bytecode_of(&above.others);
    }
    let inside = |folder: &[u8]| {
        let names = listing.get(&join(path, folder));
        names.ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    let mut facts = Vec::new();
    for (number, name) in each(&names.others).enumerate() {
        facts.extend_from_slice(&match names.known.get(number) {
            Some(Some(known)) => *known,
            _ => facts_of(base.folder(), base.at(path, name, &mut buffer))?,
        });
    }
    let record = Record {
        path,
        is_passed_over: false,
        times,
        folders: &names.counted(name, inside)?,
        others: &names.others,
        facts: &facts,
    };
    record.write(to);
    Ok(())
}

/// The folder that a folder is in, and its name.
fn split<'a>(path: &'a [u8], top_name: &'a [u8]) -> (&'a [u8], &'a [u8]) {
    let slash = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let (above, name) = path.split_at(slash);
    match name.strip_prefix(b"/").unwrap_or(name) {
        [] => (above, top_name),
        name => (above, name),
    }
}

/// A folder as it was.
#[derive(Clone, Copy)]
struct Record<'a> {
    /// From the tree's top; empty for the top itself.
    path: &'a [u8],
    is_passed_over: bool,
    times: Times,
    folders: &'a [u8],
    others: &'a [u8],
    facts: &'a [u8],
}

impl<'a> Record<'a> {
    fn read(rest: &mut &'a [u8]) -> Option<Self> {
        fn names<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
            let length = u32::from_le_bytes(*rest.split_off(..4)?.first_chunk()?);
            let names = rest.split_off(..usize::try_from(length).ok()?)?;
            (names.is_empty() || names.ends_with(&[0])).then_some(names)
        }
        let end = rest.iter().position(|byte| *byte == 0)?;
        let path = rest.split_off(..=end)?.split_last()?.1;
        let is_passed_over = *rest.split_off_first()? == 1;
        let times = *rest.split_off(..TIMES)?.first_chunk()?;
        let (folders, others) = (names(rest)?, names(rest)?);
        let facts = each(others).count().checked_mul(FACTS)?;
        Some(Self {
            path,
            is_passed_over,
            times,
            folders,
            others,
            facts: rest.split_off(..facts)?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.path);
        out.extend([0, u8::from(self.is_passed_over)]);
        out.extend_from_slice(&self.times);
        for names in [self.folders, self.others] {
            // A folder with more names than that cannot be: a stamp of it holds for nothing.
            out.extend_from_slice(&u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes());
            out.extend_from_slice(names);
        }
        out.extend_from_slice(self.facts);
    }

    /// Whether the folder is still so. `top_name` is the tree's own; `all` are its records.
    fn holds(&self, base: &Base<'_>, top_name: &[u8], all: &[Self]) -> io::Result<bool> {
        let mut buffer = Vec::new();
        let here = base.at(self.path, b"", &mut buffer);
        let times = match times_of(base.folder(), here) {
            Err(Errno::NOENT) if self.is_passed_over => return Ok(true),
            times => times?,
        };
        if times != self.times || are_coarse(times) {
            let open = rustix::fs::openat(base.folder(), here, FOLDER, Mode::empty())?;
            let mut found = Names::read(&open)?;
            let (above, name) = split(self.path, top_name);
            if name == BYTECODE && !self.path.is_empty() {
                let above = all.binary_search_by(|record| record.path.cmp(above)).ok();
                let above = above.and_then(|number| all.get(number));
                found.forget_bytecode_of(above.map_or(&[][..], |record| record.others));
            }
            let inside = |folder: &[u8]| {
                let folder = [folder, &[0]].concat();
                let open = rustix::fs::openat(&open, c_str(&folder), FOLDER, Mode::empty())?;
                Names::read(&open)
            };
            if found.counted(name, inside)? != self.folders || found.others != self.others {
                return Ok(false);
            }
        }
        for (name, was) in each(self.others).zip(self.facts.chunks_exact(FACTS)) {
            let at = base.at(self.path, name, &mut buffer);
            if facts_of(base.folder(), at)? != was {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
