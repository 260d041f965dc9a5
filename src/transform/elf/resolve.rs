//! Where each NEEDED entry is found, and the shortest search path that leads there.
//!
//! For every file on its own, in this order:
//!
//! 1. libc and its kin are ld.so's business (see [`super::libraries`]);
//! 2. an entry of the file's own RPATH or RUNPATH that leads to the library within the tree is
//!    kept as it is written: what auditwheel bundled goes on working, also when the bundle lies
//!    beside the part of a tree that is looked through;
//! 3. the tree's own library nearest to the file, if it came with the same package;
//! 4. the folders to search, in their order;
//! 5. a library that another package of the tree brought.
//!
//! Folders of the tree are named from `$ORIGIN`, so that the tree can be moved; those outside by
//! their absolute path. Entries of the old path that lead to libraries of the tree stay even if no
//! NEEDED asks for them, because what opens libraries by name relies on them. All others go.

use camino::Utf8PathBuf;
use serde::Serialize;

use super::facts::ElfFacts;
use super::files::{ElfFile, Files};
use super::libraries::{Libraries, is_libc};
use super::machine::{Abi, Libc};
use super::paths::{expand, from_origin, origin_tail};

/// How a NEEDED entry is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
pub enum FoundLibrary {
    /// By ld.so itself.
    Libc,
    /// By a library of the tree.
    Tree {
        /// Its path.
        path: Utf8PathBuf,
        /// The entry of the search path that leads there.
        entry: String,
    },
    /// By a library in one of the folders to search.
    Search {
        /// Its path.
        path: Utf8PathBuf,
    },
    /// By the path that the entry itself is.
    Path {
        /// That path.
        path: Utf8PathBuf,
    },
    /// By nothing.
    Nothing {
        /// Why not, for messages.
        reason: String,
    },
}

/// A NEEDED entry and how it is met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// The name in the entry.
    pub library: String,
    /// How it is met.
    #[serde(flatten)]
    pub source: FoundLibrary,
}

/// What was found for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolution {
    pub(super) needed: Vec<Resolved>,
    /// The entries of the search path that it should have.
    pub(super) path: Vec<String>,
}

/// Resolves the NEEDED entries of one file of the tree, by their new names.
pub(super) fn resolve(
    tree: &Files,
    libraries: &mut Libraries,
    index: usize,
    file: &ElfFile,
    facts: &ElfFacts,
    needed: &[String],
) -> Resolution {
    let origin = file.path.parent().unwrap_or(&file.path).to_owned();
    let old: Vec<(&str, Option<Utf8PathBuf>)> = facts
        .search_path()
        .map(|entry| (entry, expand(entry, &origin)))
        .collect();
    let mut used: Vec<Option<String>> = vec![None; old.len()];
    let mut added: Vec<String> = Vec::new();
    let mut resolved = Vec::new();
    for library in needed {
        let mut finder = Finder {
            tree,
            libraries: &mut *libraries,
            index,
            file,
            facts,
            old: &old,
            used: &mut used,
            added: &mut added,
        };
        let source = finder.find(library);
        resolved.push(Resolved {
            library: library.clone(),
            source,
        });
    }
    let kept = old.iter().zip(used).filter_map(|((entry, folder), used)| {
        let leads_to_libraries = || {
            let folder = folder.as_ref()?;
            let has = libraries.has_libraries(folder, &facts.abi)
                || libraries.is_beside(entry, folder) && folder.is_dir();
            has.then(|| in_tree(entry, &origin, folder))
        };
        used.or_else(leads_to_libraries)
    });
    let mut path: Vec<String> = Vec::new();
    for entry in kept.chain(added) {
        if !path.contains(&entry) {
            path.push(entry);
        }
    }
    Resolution {
        needed: resolved,
        path,
    }
}

/// An old entry that leads into the tree, made to begin with `$ORIGIN` if it does not.
fn in_tree(entry: &str, origin: &camino::Utf8Path, folder: &camino::Utf8Path) -> String {
    match origin_tail(entry) {
        Some(_) => entry.to_owned(),
        None => from_origin(origin, folder),
    }
}

struct Finder<'f, 't> {
    tree: &'f Files,
    libraries: &'f mut Libraries<'t>,
    index: usize,
    file: &'f ElfFile,
    facts: &'f ElfFacts,
    old: &'f [(&'f str, Option<Utf8PathBuf>)],
    used: &'f mut [Option<String>],
    added: &'f mut Vec<String>,
}

impl Finder<'_, '_> {
    fn find(&mut self, library: &str) -> FoundLibrary {
        let abi = self.facts.abi;
        if library.contains('/') {
            return self.by_path(library);
        }
        if is_libc(library) && !self.facts.no_default_folders {
            let folders = self.libraries.search().to_vec();
            let folder = folders
                .iter()
                .find(|folder| self.libraries.outside(folder, library, &abi).is_some());
            return match folder.and_then(|folder| self.lacks(folder, library)) {
                Some(reason) => FoundLibrary::Nothing { reason },
                None => FoundLibrary::Libc,
            };
        }
        let origin = self
            .file
            .path
            .parent()
            .unwrap_or(&self.file.path)
            .to_owned();
        for (position, (entry, folder)) in self.old.iter().enumerate() {
            let Some(folder) = folder else {
                continue;
            };
            if let Some(found) = self.libraries.inside(folder, library, &abi) {
                let entry = in_tree(entry, &origin, found.folder);
                self.use_old(position, &entry);
                return self.taken_from_tree(found.file, found.folder.join(library), entry);
            }
            if self.libraries.is_beside(entry, folder)
                && self.libraries.outside(folder, library, &abi).is_some()
            {
                let (path, entry) = (folder.join(library), (*entry).to_owned());
                self.use_old(position, &entry);
                return match self.lacks(folder, library) {
                    Some(reason) => FoundLibrary::Nothing { reason },
                    None => FoundLibrary::Tree { path, entry },
                };
            }
        }
        let nearest = self.libraries.nearest(&origin, library, &abi);
        let outside = self.libraries.find_outside(library, &abi);
        let nearest = nearest.filter(|nearest| {
            outside.is_none() || self.libraries.same_package(self.index, nearest.file)
        });
        if let Some(found) = nearest {
            let entry = from_origin(&origin, found.folder);
            self.add(&entry);
            return self.taken_from_tree(found.file, found.folder.join(library), entry);
        }
        let Some(folder) = outside else {
            return FoundLibrary::Nothing {
                reason: self.why_not(library),
            };
        };
        if let Some(reason) = self.lacks(&folder, library) {
            return FoundLibrary::Nothing { reason };
        }
        self.add(folder.as_str());
        FoundLibrary::Search {
            path: folder.join(library),
        }
    }

    fn use_old(&mut self, position: usize, entry: &str) {
        if let Some(used) = self.used.get_mut(position) {
            *used = Some(entry.to_owned());
        }
    }

    fn add(&mut self, entry: &str) {
        // An old entry that says the same keeps its place.
        match self.old.iter().position(|(old, _)| *old == entry) {
            Some(position) => self.use_old(position, entry),
            None => self.added.push(entry.to_owned()),
        }
    }

    fn taken_from_tree(&self, file: usize, path: Utf8PathBuf, entry: String) -> FoundLibrary {
        let facts = self
            .tree
            .files
            .get(file)
            .and_then(|file| file.facts.as_ref().ok());
        let library = path.file_name().unwrap_or_default();
        match facts.and_then(|facts| missing_versions(self.facts, library, facts)) {
            Some(versions) => FoundLibrary::Nothing {
                reason: format!("{path} lacks {versions}"),
            },
            None => FoundLibrary::Tree { path, entry },
        }
    }

    /// An entry with a slash is a path, and not looked up anywhere.
    fn by_path(&self, library: &str) -> FoundLibrary {
        let origin = self.file.path.parent().unwrap_or(&self.file.path);
        match expand(library, origin) {
            Some(path) if path.is_file() => FoundLibrary::Path { path },
            Some(path) => FoundLibrary::Nothing {
                reason: format!("{path} does not exist; give it a name with --replace-needed"),
            },
            None => FoundLibrary::Nothing {
                reason: "a relative path depends on the folder a program is started in; give it a \
                         name with --replace-needed"
                    .to_owned(),
            },
        }
    }

    /// The versions that the library outside the tree does not have.
    fn lacks(&mut self, folder: &camino::Utf8Path, library: &str) -> Option<String> {
        let own = self.facts;
        let facts = self.libraries.outside(folder, library, &own.abi)?;
        let versions = missing_versions(own, library, facts)?;
        Some(format!("{} lacks {versions}", folder.join(library)))
    }

    fn why_not(&mut self, library: &str) -> String {
        let searched = self.libraries.search();
        let other = searched
            .iter()
            .find(|folder| folder.join(library).exists())
            .cloned();
        let by_soname = self.tree.files.iter().find(|file| {
            let facts = file.facts.as_ref().ok();
            facts.is_some_and(|facts| {
                facts.soname.as_deref() == Some(library) && self.facts.abi.takes(&facts.abi)
            })
        });
        match (other, by_soname) {
            (Some(folder), _) => format!("{} is not for {}", folder.join(library), self.facts.abi),
            (None, Some(file)) => {
                format!("{} has that SONAME, but not that name", file.path)
            }
            (None, None) => "no folder has it".to_owned(),
        }
    }
}

/// The versions that `own` needs of a library and the library does not define. A library without
/// versions meets every need, as it does for ld.so.
fn missing_versions(own: &ElfFacts, name: &str, library: &ElfFacts) -> Option<String> {
    if library.version_definitions.is_empty() {
        return None;
    }
    let needs = own.version_needs.iter().filter(|need| need.library == name);
    let missing: Vec<&str> = needs
        .flat_map(|need| &need.versions)
        .filter(|version| !library.version_definitions.contains(version))
        .map(String::as_str)
        .collect();
    (!missing.is_empty()).then(|| missing.join(", "))
}

/// The ABIs that are worked for: those of the libc in the folders to search, or else the one that
/// most of the tree is made for.
pub(super) fn targets(tree: &Files, libraries: &mut Libraries) -> Vec<Abi> {
    let mut counts: Vec<(Abi, usize)> = Vec::new();
    for facts in tree
        .files
        .iter()
        .filter_map(|file| file.facts.as_ref().ok())
    {
        if !facts.kind.is_dynamic() {
            continue;
        }
        match counts.iter_mut().find(|(abi, _)| abi.takes(&facts.abi)) {
            Some((_, count)) => *count += 1,
            None => counts.push((facts.abi, 1)),
        }
    }
    let mut served: Vec<Abi> = Vec::new();
    for (abi, _) in &counts {
        let has_libc = libraries.search().to_vec().iter().any(|folder| {
            let names = ["libc.so.6", "libc.so"];
            names
                .iter()
                .any(|name| libraries.outside(folder, name, abi).is_some())
        });
        if has_libc {
            served.push(*abi);
        }
    }
    if served.is_empty() {
        // The first of the most frequent, by path.
        let most = counts.iter().map(|(_, count)| *count).max();
        let first = counts.iter().find(|(_, count)| Some(*count) == most);
        served.extend(first.map(|(abi, _)| *abi));
    }
    served
}

/// The C library that is worked for: that in the folders to search, or else the one that most of the
/// tree was linked with. `None` where both are to be found, or neither is needed.
pub(super) fn libc(tree: &Files, libraries: &mut Libraries, targets: &[Abi]) -> Option<Libc> {
    let folders = libraries.search().to_vec();
    let mut has = |abi: &Abi, names: &[String]| {
        folders.iter().any(|folder| {
            let mut names = names.iter();
            names.any(|name| libraries.outside(folder, name, abi).is_some())
        })
    };
    let (mut glibc, mut musl) = (false, false);
    for abi in targets {
        let machine = abi.machine;
        glibc |= has(abi, &["libc.so.6".to_owned()]);
        let names = [
            "libc.so".to_owned(),
            format!("libc.musl-{machine}.so.1"),
            format!("ld-musl-{machine}.so.1"),
        ];
        musl |= has(abi, &names);
    }
    match (glibc, musl) {
        (true, false) => return Some(Libc::Glibc),
        (false, true) => return Some(Libc::Musl),
        (true, true) => return None,
        (false, false) => {}
    }
    let files = tree
        .files
        .iter()
        .filter_map(|file| file.facts.as_ref().ok());
    let (mut glibc, mut musl) = (0, 0);
    for facts in files.filter(|facts| targets.iter().any(|abi| abi.takes(&facts.abi))) {
        match facts.libc() {
            Some(Libc::Glibc) => glibc += 1,
            Some(Libc::Musl) => musl += 1,
            None => {}
        }
    }
    match (glibc, musl) {
        (0, 0) => None,
        (glibc, musl) if musl > glibc => Some(Libc::Musl),
        _ => Some(Libc::Glibc),
    }
}

/// Sentences about libraries outside the tree whose own needs nothing meets: a RUNPATH is not passed
/// on, so the tree's files cannot meet them.
pub(super) fn unreachable<'r>(
    libraries: &mut Libraries,
    resolved: impl Iterator<Item = &'r Resolved>,
) -> Vec<String> {
    let mut paths: Vec<Utf8PathBuf> = resolved
        .filter_map(|entry| match &entry.source {
            FoundLibrary::Search { path } => Some(path.clone()),
            _ => None,
        })
        .collect();
    paths.sort();
    paths.dedup();
    let mut notes = Vec::new();
    let mut to_patch: Vec<Utf8PathBuf> = Vec::new();
    let mut next = 0;
    while let Some(path) = paths.get(next).cloned() {
        next += 1;
        let Some(facts) = libraries.known_outside(&path).cloned() else {
            continue;
        };
        let folder = path.parent().unwrap_or(&path);
        let mut folders: Vec<Utf8PathBuf> = facts
            .search_path()
            .filter_map(|entry| expand(entry, folder))
            .collect();
        // Where libc is, ld.so looks by itself.
        if libraries.outside(folder, "libc.so.6", &facts.abi).is_some() {
            folders.push(folder.to_owned());
        }
        let mut unmet: Vec<&str> = Vec::new();
        for name in facts
            .needed
            .iter()
            .filter(|name| !is_libc(name) && !name.contains('/'))
        {
            let found = folders
                .iter()
                .find(|folder| libraries.outside(folder, name, &facts.abi).is_some());
            match found.map(|folder| folder.join(name)) {
                Some(found) if paths.contains(&found) => {}
                Some(found) => paths.push(found),
                None => unmet.push(name),
            }
        }
        if !unmet.is_empty() {
            let names = listed(&unmet);
            notes.push(format!(
                "{path} needs {names}, and no RUNPATH of its own leads there"
            ));
            if !to_patch.iter().any(|known| known == folder) {
                to_patch.push(folder.to_owned());
            }
        }
    }
    notes.extend(to_patch.iter().map(|folder| {
        format!(
            "only ld.so's default folders can meet these needs; otherwise patch {folder} as well, \
             with a --search of its own"
        )
    }));
    notes
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
