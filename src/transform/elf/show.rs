//! What each ELF file of a tree is, and where ld.so would find what it needs, as things are.

use std::collections::HashSet;

use camino::Utf8PathBuf;
use serde::Serialize;

use super::ElfError;
use super::facts::{ElfFacts, Kind};
use super::files::{ElfFile, Files, absolute};
use super::libraries::{Libraries, is_libc};
use super::paths::expand;

/// Where a NEEDED entry leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "found")]
pub enum Lookup {
    /// To a library of libc's, which ld.so finds by itself.
    Libc,
    /// To this file, by the file's own RPATH or RUNPATH, or because it is a path.
    Here {
        /// The library.
        path: Utf8PathBuf,
    },
    /// Nowhere by itself; but this file has the name, in the tree or in a folder to search.
    Unreached {
        /// The library.
        path: Utf8PathBuf,
    },
    /// Nowhere, as far as can be seen: ld.so's own folders may have it.
    Nowhere,
}

/// A NEEDED entry and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Need {
    /// The name in the entry.
    pub library: String,
    /// Where it leads.
    #[serde(flatten)]
    pub lookup: Lookup,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its other names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Utf8PathBuf>,
    /// What it is; or what is wrong with it, and at which offset.
    #[serde(flatten)]
    pub what: What,
}

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum What {
    /// A file that could be read.
    File {
        /// 32 or 64 bits.
        class: super::Class,
        /// Byte order.
        endian: super::Endian,
        /// Its headers.
        #[serde(flatten)]
        facts: Box<ElfFacts>,
        /// The lowest glibc that has every version it needs.
        glibc_floor: Option<String>,
        /// Where its NEEDED entries lead.
        lookups: Vec<Need>,
    },
    /// A file that could not.
    Refused {
        /// Why.
        refused: String,
    },
}

/// Looks at every ELF file below the roots.
///
/// # Errors
/// Roots that cannot be walked, and named files that cannot be read.
pub fn show(roots: &[Utf8PathBuf], search: &[Utf8PathBuf]) -> Result<Vec<Shown>, ElfError> {
    let search = search.iter().map(|folder| absolute(folder));
    let search = search.collect::<Result<Vec<_>, _>>()?;
    let tree = Files::open(roots)?;
    let mut libraries = Libraries::new(&tree, &search);
    let shown = tree.files.iter().map(|file| Shown {
        path: file.path.clone(),
        links: file.links.clone(),
        what: match &file.facts {
            Err(error) => What::Refused {
                refused: error.to_string(),
            },
            Ok(facts) => What::File {
                class: facts.abi.class,
                endian: facts.abi.endian,
                glibc_floor: facts.glibc_floor(),
                lookups: lookups(&tree, &mut libraries, file, facts),
                facts: Box::new(facts.clone()),
            },
        },
    });
    Ok(shown.collect())
}

fn lookups(tree: &Files, libraries: &mut Libraries, file: &ElfFile, facts: &ElfFacts) -> Vec<Need> {
    if !matches!(facts.kind, Kind::Executable | Kind::Library) {
        return Vec::new();
    }
    let origin = file.path.parent().unwrap_or(&file.path);
    // Each folder once, and only those that there are: a file may name thousands.
    let mut seen = HashSet::new();
    let folders: Vec<Utf8PathBuf> = facts
        .search_path()
        .filter_map(|entry| expand(entry, origin))
        .filter(|folder| seen.insert(folder.clone()) && folder.is_dir())
        .collect();
    let mut needs = Vec::new();
    for library in &facts.needed {
        let by_path = library
            .contains('/')
            .then(|| expand(library, origin))
            .flatten();
        let by_folder = folders
            .iter()
            .find(|folder| libraries.outside(folder, library, &facts.abi).is_some())
            .map(|folder| folder.join(library));
        let lookup = if let Some(path) = by_path.filter(|path| path.is_file()).or(by_folder) {
            Lookup::Here { path }
        } else if is_libc(library) {
            Lookup::Libc
        } else if let Some(found) = libraries.nearest(origin, library, &facts.abi) {
            let path = tree.files.get(found.file).map(|file| file.path.clone());
            path.map_or(Lookup::Nowhere, |path| Lookup::Unreached { path })
        } else if let Some(folder) = libraries.find_outside(library, &facts.abi) {
            Lookup::Unreached {
                path: folder.join(library),
            }
        } else {
            Lookup::Nowhere
        };
        needs.push(Need {
            library: library.clone(),
            lookup,
        });
    }
    needs
}
