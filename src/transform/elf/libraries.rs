//! Where libraries are: in the tree, and in the folders that are searched besides.

use std::collections::{BTreeSet, HashMap};

use camino::{Utf8Path, Utf8PathBuf};

use super::facts::ElfFacts;
use super::files::{Files, read_facts};
use super::machine::Abi;
use super::paths::{distance, expand, origin_tail};
use crate::core::paths::normal;
use crate::install::owners::Owners;

/// The libraries that ld.so and libc bring along: ld.so finds them by itself, and those of another
/// libc would not work with it. They never need a RUNPATH.
const LIBC: [&str; 21] = [
    "libc.so.6",
    "libc.so",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libnsl.so.1",
    "libanl.so.1",
    "libmvec.so.1",
    "libthread_db.so.1",
    "libBrokenLocale.so.1",
    "libc_malloc_debug.so.0",
    "libnss_compat.so.2",
    "libnss_dns.so.2",
    "libnss_files.so.2",
    "libnss_hesiod.so.2",
    "ld.so.1",
    "ld64.so.1",
    "ld64.so.2",
];

/// Whether a library belongs to glibc or musl.
pub(super) fn is_libc(name: &str) -> bool {
    LIBC.contains(&name)
        || name.starts_with("ld-linux")
        || name.starts_with("ld-musl-")
        || name.starts_with("libc.musl-")
}

/// All libraries that can be chosen from.
pub(super) struct Libraries<'t> {
    tree: &'t Files,
    /// By folder, then by name.
    inside: HashMap<&'t Utf8Path, HashMap<&'t str, usize>>,
    /// By name: the folders that have it.
    by_name: HashMap<&'t str, Vec<&'t Utf8Path>>,
    search: Vec<Utf8PathBuf>,
    /// Folders that the RPATHs of libraries in `search` lead to; found when they are needed.
    beyond: Option<Vec<Utf8PathBuf>>,
    outside: HashMap<Utf8PathBuf, Option<ElfFacts>>,
    /// By root.
    owners: HashMap<usize, Owners>,
}

/// A library of the tree that fits a NEEDED entry.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inside<'t> {
    pub(super) folder: &'t Utf8Path,
    pub(super) file: usize,
}

impl<'t> Libraries<'t> {
    pub(super) fn new(tree: &'t Files, search: &[Utf8PathBuf]) -> Self {
        let mut libraries = Self {
            tree,
            inside: HashMap::new(),
            by_name: HashMap::new(),
            search: search.iter().map(|folder| normal(folder)).collect(),
            beyond: None,
            outside: HashMap::new(),
            owners: HashMap::new(),
        };
        for (path, file) in tree.names() {
            if let (Some(folder), Some(name)) = (path.parent(), path.file_name()) {
                libraries
                    .inside
                    .entry(folder)
                    .or_default()
                    .insert(name, file);
                libraries.by_name.entry(name).or_default().push(folder);
            }
        }
        libraries
    }

    /// Whether a library of the tree has this name, lies in this folder and can be loaded.
    pub(super) fn inside(&self, folder: &Utf8Path, name: &str, abi: &Abi) -> Option<Inside<'t>> {
        let (folder, names) = self.inside.get_key_value(folder)?;
        let file = *names.get(name)?;
        self.fits(file, abi).then_some(Inside { folder, file })
    }

    /// Whether an entry leads by `$ORIGIN` to a folder that is not looked through: part of the tree
    /// that the file lies in, if not of what was named.
    pub(super) fn is_beside(&self, entry: &str, folder: &Utf8Path) -> bool {
        let is_in = |root: &Utf8PathBuf| folder.starts_with(root);
        origin_tail(entry).is_some() && !self.tree.roots.iter().any(is_in)
    }

    /// Whether a folder of the tree holds any library that can be loaded.
    pub(super) fn has_libraries(&self, folder: &Utf8Path, abi: &Abi) -> bool {
        let names = self.inside.get(folder);
        names.is_some_and(|names| names.values().any(|file| self.fits(*file, abi)))
    }

    /// The library of the tree with this name that is nearest to `folder`.
    pub(super) fn nearest(&self, folder: &Utf8Path, name: &str, abi: &Abi) -> Option<Inside<'t>> {
        let folders = self.by_name.get(name)?;
        folders
            .iter()
            .filter_map(|candidate| self.inside(candidate, name, abi))
            .min_by_key(|found| (distance(folder, found.folder), found.folder))
    }

    fn fits(&self, file: usize, abi: &Abi) -> bool {
        let facts = self
            .tree
            .files
            .get(file)
            .and_then(|file| file.facts.as_ref().ok());
        facts.is_some_and(|facts| facts.kind.is_dynamic() && abi.takes(&facts.abi))
    }

    /// Whether two files of the tree came with one package. Where no package owns them, the whole
    /// tree is one.
    pub(super) fn same_package(&mut self, one: usize, other: usize) -> bool {
        self.owner(one) == self.owner(other)
    }

    /// The package that a file of the tree came from. Looked up when it is asked for first.
    pub(super) fn owner(&mut self, file: usize) -> Option<String> {
        let file = self.tree.files.get(file)?;
        let root = self.tree.roots.get(file.root)?;
        let owners = self.owners.entry(file.root).or_insert_with(|| {
            let folder = if root.is_dir() {
                Some(root.as_path())
            } else {
                root.parent()
            };
            folder
                .and_then(|folder| Owners::of_tree(folder).ok())
                .unwrap_or_default()
        });
        owners.of(&file.path).map(str::to_owned)
    }

    /// The facts of a library in a folder outside the tree, if it can be loaded.
    pub(super) fn outside(
        &mut self,
        folder: &Utf8Path,
        name: &str,
        abi: &Abi,
    ) -> Option<&ElfFacts> {
        let path = folder.join(name);
        let facts = self
            .outside
            .entry(path)
            .or_insert_with_key(|path| read_facts(path).ok());
        facts
            .as_ref()
            .filter(|facts| facts.kind.is_dynamic() && abi.takes(&facts.abi))
    }

    /// The facts of a library outside the tree that was looked at before.
    pub(super) fn known_outside(&self, path: &Utf8Path) -> Option<&ElfFacts> {
        self.outside.get(path)?.as_ref()
    }

    /// The folders to search, in their order.
    pub(super) fn search(&self) -> &[Utf8PathBuf] {
        &self.search
    }

    /// The first folder outside the tree that has the library: of those to be searched, or else of
    /// those that the libraries found there are told to look in.
    pub(super) fn find_outside(&mut self, name: &str, abi: &Abi) -> Option<Utf8PathBuf> {
        let found = |libraries: &mut Self, folders: Vec<Utf8PathBuf>| {
            let mut folders = folders.into_iter();
            folders.find(|folder| libraries.outside(folder, name, abi).is_some())
        };
        found(self, self.search.clone()).or_else(|| {
            let beyond = self.beyond().to_vec();
            found(self, beyond)
        })
    }

    fn beyond(&mut self) -> &[Utf8PathBuf] {
        let (search, outside) = (&self.search, &mut self.outside);
        self.beyond.get_or_insert_with(|| {
            let mut folders: Vec<Utf8PathBuf> = search.clone();
            let mut next = 0;
            while let Some(folder) = folders.get(next).cloned() {
                next += 1;
                for path in libraries_in(&folder) {
                    let facts = outside
                        .entry(path)
                        .or_insert_with_key(|path| read_facts(path).ok());
                    let entries = facts.iter().flat_map(ElfFacts::search_path);
                    for entry in entries.filter_map(|entry| expand(entry, &folder)) {
                        if !folders.contains(&entry) {
                            folders.push(entry);
                        }
                    }
                }
            }
            folders.split_off(search.len())
        })
    }
}

/// The files of a folder that are called like libraries, sorted.
fn libraries_in(folder: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().contains(".so"))
        .map(camino::Utf8DirEntry::into_path)
        .collect()
}
