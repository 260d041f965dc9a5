//! The names in a tree, folder by folder: what a stamp is taken of. Read from the disk, or told by who
//! wrote the tree, who knows them.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir};

use super::look::Facts;

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

/// How folders of bytecode are called, and folders of npm's packages.
pub(super) const BYTECODE: &[u8] = b"__pycache__";
pub(super) const MODULES: &[u8] = b"node_modules";

pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The names in a folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    /// Of folders, in byte order, a NUL after each.
    pub(super) folders: Vec<u8>,
    /// Of all else, likewise.
    pub(super) others: Vec<u8>,
    /// What is known of the others, one by one; empty where nothing is.
    pub(super) known: Vec<Option<Facts>>,
}

/// The names in every folder of a tree.
#[derive(Debug)]
pub struct Listing(Vec<(Box<[u8]>, Names)>);

impl Listing {
    /// Of folders, by their paths from the tree's top, which is empty.
    pub(super) fn new(mut folders: Vec<(Box<[u8]>, Names)>) -> Self {
        folders.par_sort_unstable_by(|one, other| one.0.cmp(&other.0));
        Self(folders)
    }

    /// Of a tree as it is on the disk, but for what is in caches. `name` is the tree's own.
    pub(super) fn read(top: &OwnedFd, name: &[u8]) -> io::Result<Self> {
        let mut folders = Vec::new();
        let names = Names::read(top)?;
        below(top, name, Vec::new(), names, &mut folders)?;
        Ok(Self::new(folders))
    }

    /// Adds a file.
    pub(super) fn add(&mut self, folder: &str, name: &str) {
        let place = self.position(folder.as_bytes());
        if let Some((_, names)) = place.and_then(|place| self.0.get_mut(place)) {
            let before = each(&names.others).take_while(|other| *other < name.as_bytes());
            let (number, length) = before.fold((0, 0), |(number, length), other| {
                (number + 1, length + other.len() + 1)
            });
            let added = name.bytes().chain([0]);
            names.others.splice(length..length, added);
            if !names.known.is_empty() {
                names.known.insert(number, None);
            }
        }
    }

    /// All folders, those above before those in them.
    pub(super) fn folders(&self) -> &[(Box<[u8]>, Names)] {
        &self.0
    }

    /// What is in a folder.
    pub(super) fn get(&self, path: &[u8]) -> Option<&Names> {
        let (_, names) = self.0.get(self.position(path)?)?;
        Some(names)
    }

    fn position(&self, path: &[u8]) -> Option<usize> {
        self.0
            .binary_search_by(|(folder, _)| (**folder).cmp(path))
            .ok()
    }
}

/// Adds a folder and those below it.
fn below(
    open: &OwnedFd,
    name: &[u8],
    path: Vec<u8>,
    names: Names,
    to: &mut Vec<(Box<[u8]>, Names)>,
) -> io::Result<()> {
    let folders: Vec<&[u8]> = each(&names.folders)
        .filter(|folder| !(name == MODULES && is_cache(folder)))
        .collect();
    let inside = |folder: &&[u8]| {
        let at = [*folder, &[0]].concat();
        let open = rustix::fs::openat(open, c_str(&at), FOLDER, Mode::empty())?;
        let names = Names::read(&open)?;
        let mut found = Vec::new();
        below(&open, folder, join(&path, folder), names, &mut found)?;
        Ok(found)
    };
    let found: io::Result<Vec<_>> = match &folders[..] {
        [only] => inside(only).map(|found| vec![found]),
        folders => folders.par_iter().map(inside).collect(),
    };
    let found = found?;
    to.push((path.into(), names));
    to.extend(found.into_iter().flatten());
    Ok(())
}

impl Names {
    /// Those on the disk.
    pub(super) fn read(open: &OwnedFd) -> io::Result<Self> {
        let (mut folders, mut others) = (Vec::new(), Vec::new());
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
            let names = match kind {
                FileType::Directory => &mut folders,
                _ => &mut others,
            };
            names.push(name.to_owned());
        }
        let joined = |names: &mut Vec<std::ffi::CString>| {
            names.sort_unstable();
            names
                .iter()
                .flat_map(|name| name.to_bytes_with_nul())
                .copied()
                .collect()
        };
        Ok(Self {
            folders: joined(&mut folders),
            others: joined(&mut others),
            known: Vec::new(),
        })
    }

    /// The folders that count, of a folder of that name: not what tools leave behind. `inside` are the names in one of
    /// them.
    pub(super) fn counted<N: std::borrow::Borrow<Self>>(
        &self,
        name: &[u8],
        inside: impl Fn(&[u8]) -> io::Result<N>,
    ) -> io::Result<Vec<u8>> {
        let mut counted = Vec::with_capacity(self.folders.len());
        for folder in each(&self.folders) {
            let is_left = match folder {
                BYTECODE => inside(folder)?.borrow().is_bytecode_of(self),
                _ => name == MODULES && is_cache(folder),
            };
            if !is_left {
                counted.extend_from_slice(folder);
                counted.push(0);
            }
        }
        Ok(counted)
    }

    /// Whether these are the bytecode of sources that are among others, and nothing else.
    pub(super) fn is_bytecode_of(&self, above: &Self) -> bool {
        self.folders.is_empty() && {
            let sources: Vec<&[u8]> = each(&above.others).collect();
            each(&self.others).all(|file| has_source(file, &sources))
        }
    }

    /// Takes away bytecode of sources that are in the folder above.
    pub(super) fn forget_bytecode_of(&mut self, above: &[u8]) {
        let sources: Vec<&[u8]> = each(above).collect();
        let is_kept: Vec<bool> = each(&self.others)
            .map(|file| !has_source(file, &sources))
            .collect();
        let kept = each(&self.others)
            .zip(&is_kept)
            .filter(|(_, is_kept)| **is_kept);
        let kept = kept.flat_map(|(name, _)| name.iter().copied().chain([0]));
        self.others = kept.collect();
        let mut is_kept = is_kept.into_iter();
        self.known.retain(|_| is_kept.next().unwrap_or(true));
    }
}

/// Names that stand one after another, each without its NUL.
pub(super) fn each(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    let names = names.split_inclusive(|byte| *byte == 0);
    names.filter_map(|name| Some(name.split_last()?.1))
}

/// The path of what is in a folder.
pub(super) fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    match folder {
        [] => name.to_vec(),
        folder => [folder, b"/", name].concat(),
    }
}

/// A path with a NUL behind it, for the system.
pub(super) fn c_str(path: &[u8]) -> &CStr {
    // Names have NULs nowhere else.
    CStr::from_bytes_until_nul(path).unwrap_or(c".")
}

/// Whether a file of a `__pycache__` is the bytecode of a source beside that folder, whose names are sorted.
fn has_source(bytecode: &[u8], beside: &[&[u8]]) -> bool {
    let module = std::str::from_utf8(bytecode)
        .ok()
        .and_then(module_of_bytecode);
    module.is_some_and(|module| {
        let source = format!("{module}.py");
        beside.binary_search(&source.as_bytes()).is_ok()
    })
}

fn is_cache(folder: &[u8]) -> bool {
    CACHES.iter().any(|cache| folder == cache.as_bytes())
}
