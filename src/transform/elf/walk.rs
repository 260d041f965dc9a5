//! Finding the ELF files of a folder: most of a tree is something else, so what there is to do for
//! each entry is kept little. Folders are listed in parallel, each opened from the one it is in, and
//! a file is opened unless its extension rules out ELF.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use rustix::io::{Errno, pread};

use super::ElfError;
use super::tables::MAGIC;
use crate::core::io_error::cannot;

/// What was found: absolute paths, in no order.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files that begin as ELF files do, and what makes two names of one file the same.
    pub(super) files: Vec<(Utf8PathBuf, Id)>,
    /// Symbolic links, wherever they lead.
    pub(super) symlinks: Vec<Utf8PathBuf>,
}

/// Device and inode.
pub(super) type Id = (u64, u64);

/// Names that text, bytecode, pictures and compressed files have, of which a tree has tens of
/// thousands: opening each to find no magic there would be most of the work. No loader takes an
/// object by such a name, and a file that is named on the command line is read whatever its name.
const SUFFIXES: [&str; 34] = [
    "c", "cjs", "cpp", "css", "gif", "gz", "h", "hpp", "html", "jpg", "js", "json", "map", "md",
    "mjs", "mo", "pem", "png", "po", "proto", "pxd", "pxi", "py", "pyc", "pyi", "pyx", "rst",
    "svg", "ts", "txt", "typed", "xml", "yaml", "yml",
];
const NAMES: [&str; 6] = [
    "INSTALLER",
    "LICENSE",
    "METADATA",
    "RECORD",
    "REQUESTED",
    "WHEEL",
];

fn is_other(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, suffix)) => SUFFIXES.binary_search(&suffix).is_ok(),
        None => NAMES.binary_search(&name).is_ok(),
    }
}

/// Looks through a folder, and all in it. Links are not followed.
///
/// # Errors
/// Folders and files that cannot be read, and names that are not UTF-8.
pub(super) fn walk(folder: &Utf8Path) -> Result<Found, ElfError> {
    let failed = cannot("read", folder);
    let opened = openat(CWD, folder.as_str(), FOLDER, Mode::empty()).map_err(failed)?;
    inside(&opened, folder)
}

/// The file, if it begins like an ELF file.
///
/// # Errors
/// When it cannot be read.
pub(super) fn file(path: &Utf8Path) -> Result<Option<Id>, ElfError> {
    Ok(look(CWD, path.as_str(), OFlags::empty()).map_err(cannot("read", path))?)
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

fn look(
    folder: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
    more: OFlags,
) -> Result<Option<Id>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | more;
    let file = openat(folder, name, flags, Mode::empty())?;
    let mut magic = [0; MAGIC.len()];
    if pread(&file, &mut magic, 0)? < magic.len() || magic != MAGIC {
        return Ok(None);
    }
    let metadata = fstat(&file)?;
    Ok(Some((metadata.st_dev, metadata.st_ino)))
}

fn inside(folder: &OwnedFd, path: &Utf8Path) -> Result<Found, ElfError> {
    let mut found = Found::default();
    let mut folders = Vec::new();
    // Not on the stack: this function calls itself.
    let mut buffer: Vec<u8> = Vec::with_capacity(1 << 13);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.map_err(cannot("read", path))?;
        let name = utf8(entry.file_name(), path)?;
        let failed = |error: Errno| cannot("read", &path.join(name))(error);
        let kind = match entry.file_type() {
            // Some file systems do not say it here.
            FileType::Unknown => {
                let metadata = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                FileType::from_raw_mode(metadata.st_mode)
            }
            kind => kind,
        };
        match kind {
            FileType::Directory if !matches!(name, "." | "..") => folders.push(name.to_owned()),
            FileType::Symlink => found.symlinks.push(path.join(name)),
            FileType::RegularFile if !is_other(name) => {
                let id = look(folder.as_fd(), name, OFlags::NOFOLLOW).map_err(failed)?;
                found.files.extend(id.map(|id| (path.join(name), id)));
            }
            _ => {}
        }
    }
    let inner = folders.into_par_iter().map(|name| {
        let path = path.join(&name);
        let opened = openat(folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())
            .map_err(cannot("read", &path))?;
        inside(&opened, &path)
    });
    let merge = |mut one: Found, mut other: Found| {
        one.files.append(&mut other.files);
        one.symlinks.append(&mut other.symlinks);
        Ok(one)
    };
    found = merge(found, inner.try_reduce(Found::default, merge)?)?;
    Ok(found)
}

fn utf8<'n>(name: &'n CStr, folder: &Utf8Path) -> Result<&'n str, ElfError> {
    name.to_str().map_err(|_| {
        let name = folder.join(name.to_string_lossy().as_ref());
        let source = io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8");
        cannot("read", &name)(source).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_passed_over_is_looked_up_in_sorted_lists() {
        assert!(SUFFIXES.is_sorted() && NAMES.is_sorted());
        for name in ["a.py", "x.cpython-314.pyc", "RECORD", "django.mo"] {
            assert!(is_other(name), "{name}");
        }
        for name in ["libz.so", "libz.so.1.2", "dumb-init", "a.node", "py", "x."] {
            assert!(!is_other(name), "{name}");
        }
    }
}
