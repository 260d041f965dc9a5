//! The ELF files of a tree: each read once whatever number of names it has, and rewritten in one
//! piece or not at all. With `walk`, the only file of this room that touches a disk.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use indexmap::map::Entry;
use memmap2::Mmap;
use rayon::prelude::*;

use super::ElfError;
use super::facts::ElfFacts;
use super::walk::{self, Id};
use super::write::{How, Patched};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::temp_file::{TempFile, link_onto};

/// An ELF file, under all the names it has below the roots.
#[derive(Debug)]
pub struct ElfFile {
    /// Its first name, in the order of paths.
    pub path: Utf8PathBuf,
    /// Its other names: hard links.
    pub links: Vec<Utf8PathBuf>,
    /// Which of the roots it was found under, as an index.
    pub root: usize,
    /// What it is, or why that could not be read.
    pub facts: Result<ElfFacts, ElfError>,
}

/// The ELF files below some roots.
#[derive(Debug, Default)]
pub struct Files {
    /// Absolute paths, as they were given.
    pub roots: Vec<Utf8PathBuf>,
    /// Sorted by path.
    pub files: Vec<ElfFile>,
    /// Symbolic links to files, and to which (an index into `files`).
    pub symlinks: BTreeMap<Utf8PathBuf, usize>,
}

impl Files {
    /// Walks the roots, folders or files. Symbolic links are not followed, but remembered as names.
    ///
    /// # Errors
    /// Roots that are not there, folders that cannot be read, names that are not UTF-8, and named
    /// files that cannot be read as ELF. One found in a folder that cannot is no error here: see
    /// [`ElfFile::facts`].
    pub fn open(roots: &[Utf8PathBuf]) -> Result<Self, ElfError> {
        let roots: Vec<Utf8PathBuf> = roots
            .iter()
            .map(|root| absolute(root))
            .collect::<Result<_, _>>()?;
        let mut found = BTreeMap::new();
        let mut symlinks = Vec::new();
        for (index, root) in roots.iter().enumerate() {
            let metadata = fs::metadata(root).map_err(cannot("read", root))?;
            if metadata.is_dir() {
                let mut inside = walk::walk(root)?;
                symlinks.append(&mut inside.symlinks);
                for (path, id) in inside.files {
                    found.entry(path).or_insert((id, index));
                }
            } else if let Some(id) = walk::file(root)? {
                found.entry(root.clone()).or_insert((id, index));
            }
        }
        let mut tree = Self {
            roots,
            ..Self::default()
        };
        let mut known: IndexMap<Id, ElfFile> = IndexMap::new();
        for (path, (id, root)) in found {
            match known.entry(id) {
                Entry::Occupied(file) => file.into_mut().links.push(path),
                Entry::Vacant(place) => {
                    place.insert(ElfFile {
                        path,
                        links: Vec::new(),
                        root,
                        facts: Err(ElfError::NotElf),
                    });
                }
            }
        }
        let symlinks = symlinks.into_par_iter().filter_map(|link| {
            let metadata = fs::metadata(&link).ok()?;
            Some((link, known.get_index_of(&(metadata.dev(), metadata.ino()))?))
        });
        tree.symlinks = symlinks.collect::<Vec<_>>().into_iter().collect();
        tree.files = known.into_values().collect();
        tree.files
            .par_iter_mut()
            .for_each(|file| file.facts = read_facts(&file.path));
        tree.check_named()?;
        Ok(tree)
    }

    /// Files that were named, not found in a folder, must be such as can be read.
    fn check_named(&mut self) -> Result<(), ElfError> {
        for root in self.roots.iter().filter(|root| !root.is_dir()) {
            let is_it = |file: &ElfFile| file.path == *root || file.links.contains(root);
            let mut files = self.files.iter().enumerate();
            let Some((index, file)) = files.find(|(_, file)| is_it(file)) else {
                return Err(ElfError::NotElf.of(root));
            };
            if file.facts.is_err() {
                let file = self.files.swap_remove(index);
                file.facts.map_err(|error| error.of(root))?;
            }
        }
        Ok(())
    }

    /// Every name that leads to a file: its path, its hard links, symbolic links.
    pub fn names(&self) -> impl Iterator<Item = (&Utf8Path, usize)> {
        let own = self.files.iter().enumerate().flat_map(|(index, file)| {
            std::iter::once(&file.path)
                .chain(&file.links)
                .map(move |path| (path.as_path(), index))
        });
        let links = self
            .symlinks
            .iter()
            .map(|(path, index)| (path.as_path(), *index));
        own.chain(links)
    }
}

/// Reads the facts of one file.
pub(super) fn read_facts(path: &Utf8Path) -> Result<ElfFacts, ElfError> {
    ElfFacts::read(&map(path)?)
}

/// The bytes of a file, without reading those that are not looked at.
#[allow(unsafe_code)]
pub(super) fn map(path: &Utf8Path) -> Result<Mmap, ElfError> {
    let file = foreign::open_through_links(path).map_err(cannot("open", path))?;
    // SAFETY: the bytes are only read, and checked as they are read, so what they say does not
    // matter. Nothing of ours writes to a mapped file: files are replaced by renaming.
    let map = unsafe { Mmap::map(&file) };
    Ok(map.map_err(cannot("read", path))?)
}

/// Puts a patched file in place of the one it was made of: all of its names in the tree, at once
/// for each, with its mode and owner. Names outside the tree keep the file as it was.
pub(super) fn replace(file: &ElfFile, patched: &Patched) -> Result<(), ElfError> {
    if patched.how == How::Unchanged {
        return Ok(());
    }
    let path = &file.path;
    let failed = cannot("rewrite", path);
    let original = foreign::open(path).map_err(failed)?;
    let metadata = original.metadata().map_err(failed)?;
    let mut staged = TempFile::beside(path, None).map_err(failed)?;
    // The blocks are shared where the file system can. Elsewhere one write of all that is mapped
    // takes half as long as to let the kernel copy from file to file.
    if rustix::fs::ioctl_ficlone(staged.as_file(), &original).is_err() {
        staged
            .as_file_mut()
            .write_all(&map(path)?)
            .map_err(failed)?;
    }
    staged.as_file().set_len(patched.len).map_err(failed)?;
    for (offset, bytes) in &patched.changes {
        staged
            .as_file()
            .write_all_at(bytes, *offset)
            .map_err(failed)?;
    }
    // Who may not give files away keeps them.
    let _ = std::os::unix::fs::fchown(staged.as_file(), Some(metadata.uid()), Some(metadata.gid()));
    staged
        .as_file()
        .set_permissions(metadata.permissions())
        .map_err(failed)?;
    staged.persist(path).map_err(failed)?;
    for link in &file.links {
        link_onto(path.as_std_path(), link.as_std_path()).map_err(cannot("rewrite", link))?;
    }
    Ok(())
}

/// The path from the root of the file system, without `.` and `..`.
pub(super) fn absolute(path: &Utf8Path) -> Result<Utf8PathBuf, ElfError> {
    let path = camino::absolute_utf8(path).map_err(cannot("find", path))?;
    Ok(crate::core::paths::normal(&path))
}
