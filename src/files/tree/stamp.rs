//! Whether a tree is what it was: one digest over what the system says of every file.
//!
//! Of each file and link counts its name, kind, mode, size, and when its bytes and when anything else
//! of it last changed (`mtime`, `ctime`), to the nanosecond; of each folder the names in it. No file
//! is opened: one `statx` a file, in the folder that is open, on every core. Whatever is edited,
//! replaced, added, removed or renamed changes the digest; `ctime` cannot be set back, so no edit
//! hides behind its size and an old time.
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
use data_encoding::BASE64URL_NOPAD;
use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, StatxFlags};
use rustix::io::Errno;
use rustix::time::ClockId;
use serde::{Deserialize, Serialize};
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

/// What a tree was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp(String);

impl Stamp {
    /// Of the tree as it is now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(tree: &Utf8Path) -> io::Result<Self> {
        let flags = FOLDER & !OFlags::NOFOLLOW;
        let open = rustix::fs::openat(CWD, tree.as_str(), flags, Mode::empty())?;
        let name = tree.file_name().unwrap_or_default();
        let digest = Folder::read(&open)?.digest(&open, name.as_bytes())?;
        Ok(Self(BASE64URL_NOPAD.encode(&digest.unwrap_or_default())))
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
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The names in a folder, sorted.
#[derive(Default)]
struct Folder {
    folders: Vec<Box<CStr>>,
    others: Vec<Box<CStr>>,
}

impl Folder {
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

    /// What the folder of that name holds; nothing, where it is what tools leave behind.
    fn digest(&self, open: &OwnedFd, name: &[u8]) -> io::Result<Option<[u8; 32]>> {
        let mut hasher = Sha256::new();
        for file in &self.others {
            add(&mut hasher, open.as_fd(), file)?;
        }
        let inside = |folder: &CStr| -> io::Result<Option<[u8; 32]>> {
            if name == b"node_modules" && is_cache(folder) {
                return Ok(None);
            }
            let open = rustix::fs::openat(open, folder, FOLDER, Mode::empty())?;
            let mut names = Self::read(&open)?;
            if folder.to_bytes() == b"__pycache__" {
                names.others.retain(|file| !self.has_source_of(file));
                if names.others.is_empty() && names.folders.is_empty() {
                    return Ok(None);
                }
            }
            names.digest(&open, folder.to_bytes())
        };
        let digests: io::Result<Vec<_>> = match &self.folders[..] {
            [only] => inside(only).map(|digest| vec![digest]),
            folders => folders.par_iter().map(|folder| inside(folder)).collect(),
        };
        for (folder, digest) in self.folders.iter().zip(digests?) {
            if let Some(digest) = digest {
                hasher.update(folder.to_bytes_with_nul());
                hasher.update(digest);
            }
        }
        Ok(Some(hasher.finalize().into()))
    }

    fn has_source_of(&self, bytecode: &CStr) -> bool {
        let module = bytecode.to_str().ok().and_then(module_of_bytecode);
        module.is_some_and(|module| {
            let source = format!("{module}.py");
            let found = self
                .others
                .binary_search_by(|name| name.to_bytes().cmp(source.as_bytes()));
            found.is_ok()
        })
    }
}

fn is_cache(folder: &CStr) -> bool {
    CACHES
        .iter()
        .any(|cache| folder.to_bytes() == cache.as_bytes())
}

/// What the system says of a file or link.
fn add(hasher: &mut Sha256, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    const WANTED: StatxFlags = StatxFlags::TYPE
        .union(StatxFlags::MODE)
        .union(StatxFlags::NLINK)
        .union(StatxFlags::SIZE)
        .union(StatxFlags::MTIME)
        .union(StatxFlags::CTIME);
    let stat = rustix::fs::statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, WANTED)?;
    let mut facts = [0; 38];
    let changed = match stat.stx_nlink {
        1 => (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec),
        _ => (0, 0),
    };
    let parts: [&[u8]; 6] = [
        &stat.stx_mode.to_le_bytes(),
        &stat.stx_size.to_le_bytes(),
        &stat.stx_mtime.tv_sec.to_le_bytes(),
        &stat.stx_mtime.tv_nsec.to_le_bytes(),
        &changed.0.to_le_bytes(),
        &changed.1.to_le_bytes(),
    ];
    let mut rest = &mut facts[..];
    for part in parts {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    hasher.update(name.to_bytes_with_nul());
    hasher.update(facts);
    Ok(())
}
