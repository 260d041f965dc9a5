//! A package out of its tarball, by the rules of pacote and node-tar: the first part of every name
//! is left out, whatever it is; folders, links and devices are dropped; of members that are there twice the
//! last one's bytes count and the first one's mode; `.gitignore` becomes `.npmignore`.
//!
//! npm warns and goes on where a member cannot be placed, and never looks whether a tarball is the
//! package that the lock names. Here both are refused.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexMap;
use serde_json::Value;

use super::packlist::{self, PackError};

use crate::decide::lock::npm::scripts::is_made;
use crate::files::archive::Limits;
use crate::files::archive::tar::{Kind, Tar, TarError};
use crate::files::tree::{Facts, LinkMode, Owner, Tree, TreeError, TreePath};
use crate::obtain::store::{StoreError, Unpacked};

/// A tarball's contents, ready to be placed any number of times.
pub struct Package<'a> {
    files: IndexMap<String, File<'a>>,
    /// Whether it has scripts that npm would run on a git dependency before it packs it.
    pub has_prepare: bool,
}

/// What an archive holds.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// A package, below a folder of whatever name.
    Tarball,
    /// The files of a commit, of which those below this folder that `npm pack` takes are a package.
    Checkout(&'a str),
}

struct File<'a> {
    mode: u32,
    bytes: &'a [u8],
}

/// What the lock says that a tarball is.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The archive, in messages.
    pub archive: &'a str,
    /// The package's own name.
    pub name: &'a str,
    /// Its version, where the lock knows it.
    pub version: Option<&'a str>,
}

impl Expected<'_> {
    /// A package.json of the archive against the lock.
    fn check(&self, about: Option<&Value>) -> Result<(), PackageError> {
        let said = |key: &str| Some(about?.get(key)?.as_str()?.trim().to_owned());
        let (name, version) = (said("name"), said("version"));
        let bare = |version: &str| {
            let version = version.trim().trim_start_matches(['v', '=', ' ']);
            version.split('+').next().unwrap_or_default().to_owned()
        };
        let same_version = match (self.version, &version) {
            (Some(expected), Some(found)) => bare(expected) == bare(found),
            (None, _) => true,
            (Some(_), None) => false,
        };
        if name.as_deref() == Some(self.name) && same_version {
            return Ok(());
        }
        Err(PackageError::Other {
            archive: self.archive.to_owned(),
            found: match name {
                Some(name) => format!("{name} {}", version.unwrap_or_default()),
                None => String::from("a package without a name"),
            },
            expected: format!("{} {}", self.name, self.version.unwrap_or_default()),
        })
    }
}

/// Why a package is not placed.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The archive is refused.
    #[error(transparent)]
    Tar(#[from] TarError),
    /// The tree does not take it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: camino::Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is another package than the lock says.
    #[error(
        "{archive} is {found}, and the lock says {expected}: let npm make the lock again, and see who changed it"
    )]
    Other {
        /// The archive.
        archive: String,
        /// What it says of itself.
        found: String,
        /// What the lock says.
        expected: String,
    },
    /// A git dependency cannot be packed.
    #[error("{archive} cannot be packed as npm packs it: {why}")]
    Pack {
        /// The archive.
        archive: String,
        /// Why.
        why: PackError,
    },
    /// What it should hold is not in it.
    #[error("{archive} should bundle {missing}, as the lock says, and does not")]
    Bundle {
        /// The archive.
        archive: String,
        /// The place.
        missing: String,
    },
}

impl<'a> Package<'a> {
    /// Reads an unpacked archive.
    ///
    /// # Errors
    /// When its members cannot all be placed, or it is not what is expected.
    pub fn read(
        bytes: &'a [u8],
        form: Form<'_>,
        expected: &Expected<'_>,
        limits: &Limits,
    ) -> Result<Self, PackageError> {
        let archive = expected.archive;
        let members = match form {
            Form::Tarball => members(bytes, archive, limits)?,
            Form::Checkout(folder) => packed(bytes, folder, archive, limits)?,
        };
        let mut files: IndexMap<String, File<'a>> = IndexMap::new();
        let mut ignores = HashSet::new();
        for (place, mode, bytes) in members {
            let mut path = place.as_str().to_owned();
            match place.file_name() {
                ".npmignore" => {
                    ignores.insert(path.clone());
                }
                ".gitignore" => {
                    path.truncate(path.len() - ".gitignore".len());
                    path.push_str(".npmignore");
                    if ignores.contains(&path) {
                        continue;
                    }
                }
                _ => {}
            }
            // Bits pass one by one, all that umask 022 leaves; no set-user-id.
            let mode = ((mode | 0o666) & !0o022 & 0o777) | 0o600;
            files
                .entry(path)
                .and_modify(|file| file.bytes = bytes)
                .or_insert(File { mode, bytes });
        }
        for path in files.keys() {
            let mut above = path.as_str();
            while let Some((folder, _)) = above.rsplit_once('/') {
                if files.contains_key(folder) {
                    let why = "it is a file, and others are in it";
                    return Err(TarError::member(archive, folder, why).into());
                }
                above = folder;
            }
        }
        let mut package = Self {
            files,
            has_prepare: false,
        };
        package.check("package.json", expected)?;
        if let Form::Checkout(_) = form {
            let about = package.about("package.json");
            let scripts = about
                .as_ref()
                .and_then(|about| about.get("scripts")?.as_object());
            let names = scripts.into_iter().flat_map(|all| all.keys().cloned());
            package.has_prepare = is_made(&names.collect());
        }
        Ok(package)
    }

    /// Its files: their paths, modes and bytes.
    pub fn files(&self) -> impl Iterator<Item = (&str, u32, &'a [u8])> {
        let files = self.files.iter();
        files.map(|(path, file)| (path.as_str(), file.mode, file.bytes))
    }

    fn about(&self, file: &str) -> Option<Value> {
        read_json(self.files.get(file)?.bytes)
    }

    fn check(&self, file: &str, expected: &Expected<'_>) -> Result<(), PackageError> {
        expected.check(self.about(file).as_ref())
    }

    /// Places it below `at`. `programs` are the paths in it of the files that programs link to.
    ///
    /// # Errors
    /// When the tree does not take it.
    pub fn place(
        &self,
        tree: &Tree,
        owner: Owner,
        at: &TreePath,
        programs: &[&str],
    ) -> Result<(), PackageError> {
        let mut inside = tree.inside(owner, at)?;
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by_cached_key(|(path, _)| folder(path));
        for (path, file) in files {
            if programs.contains(&path.as_str()) {
                let plain = without_cr(file.bytes);
                inside.file(path, 0o755, plain.as_deref().unwrap_or(file.bytes))?;
            } else {
                inside.file(path, file.mode, file.bytes)?;
            }
        }
        Ok(())
    }

    /// Whether it brings a package at a place in itself.
    ///
    /// # Errors
    /// When nothing is there, or another package than the lock says.
    pub fn bundles(&self, place: &str, expected: &Expected<'_>) -> Result<(), PackageError> {
        let file = format!("{place}/package.json");
        if !self.files.contains_key(&file) {
            return Err(PackageError::Bundle {
                archive: expected.archive.to_owned(),
                missing: place.to_owned(),
            });
        }
        self.check(&file, expected)
    }
}

/// A tarball's contents as they lie unpacked in the store, to be shared with trees.
pub struct Shared(Unpacked);

impl Shared {
    /// What the store calls this form: the files of [`Package::files`].
    pub const FORM: &str = "npm";

    /// Takes it for what is expected.
    ///
    /// # Errors
    /// When it is something else.
    pub fn check(unpacked: Unpacked, expected: &Expected<'_>) -> Result<Self, PackageError> {
        let shared = Self(unpacked);
        expected.check(shared.about("package.json").as_ref())?;
        Ok(shared)
    }

    fn about(&self, file: &str) -> Option<Value> {
        read_json(&self.0.read(file).ok()?)
    }

    /// As [`Package::bundles`].
    ///
    /// # Errors
    /// As there.
    pub fn bundles(&self, place: &str, expected: &Expected<'_>) -> Result<(), PackageError> {
        let file = format!("{place}/package.json");
        if !self.0.members().iter().any(|member| member.path == file) {
            return Err(PackageError::Bundle {
                archive: expected.archive.to_owned(),
                missing: place.to_owned(),
            });
        }
        expected.check(self.about(&file).as_ref())
    }

    /// As [`Package::place`], but that all but programs is shared.
    ///
    /// # Errors
    /// When the tree does not take it.
    pub fn place(
        &self,
        tree: &Tree,
        owner: Owner,
        at: &TreePath,
        programs: &[&str],
        how: LinkMode,
    ) -> Result<(), PackageError> {
        let mut inside = tree.inside(owner, at)?;
        let mut members: Vec<_> = self.0.members().iter().collect();
        members.sort_by_cached_key(|member| folder(&member.path));
        for member in members {
            let path = member.path.as_str();
            if programs.contains(&path) {
                let bytes = self.0.read(path).map_err(|source| PackageError::Read {
                    path: path.into(),
                    source,
                })?;
                let plain = without_cr(&bytes);
                inside.file(path, 0o755, plain.as_deref().unwrap_or(&bytes))?;
                continue;
            }
            let facts = Facts {
                mode: member.mode,
                size: member.size,
                sha256: member.sha256,
            };
            inside.share(path, facts, (self.0.folder(), path), how)?;
        }
        Ok(())
    }
}

/// The folder that a file is in: tarballs are often sorted by other things, and a tree takes a
/// folder's files best one after another.
fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A file to be: its place, mode and bytes.
type Placed<'a> = (TreePath, u32, &'a [u8]);

/// The files of a tarball, in its order.
fn members<'a>(
    bytes: &'a [u8],
    archive: &str,
    limits: &Limits,
) -> Result<Vec<Placed<'a>>, TarError> {
    let mut files = Vec::new();
    for member in Tar::new(bytes, archive, limits) {
        let member = member?;
        let place = member.place(1);
        let place =
            place.map_err(|error| TarError::member(archive, &member.path, error.to_string()))?;
        if let (Kind::File, Some(place)) = (&member.kind, place) {
            files.push((place, member.mode, member.bytes));
        }
    }
    Ok(files)
}

/// The files of a commit that `npm pack` would take, in its order.
fn packed<'a>(
    bytes: &'a [u8],
    folder: &str,
    archive: &str,
    limits: &Limits,
) -> Result<Vec<Placed<'a>>, PackageError> {
    let mut entries = BTreeMap::new();
    let mut files: HashMap<String, Placed<'a>> = HashMap::new();
    for member in Tar::new(bytes, archive, limits) {
        let member = member?;
        let refuse = |why: String| TarError::member(archive, &member.path, why);
        let place = member.place(0).map_err(|error| refuse(error.to_string()))?;
        let Some(place) = place else { continue };
        let inside = match folder {
            "" => Some(place.as_str()),
            folder => place
                .as_str()
                .strip_prefix(folder)
                .and_then(|rest| rest.strip_prefix('/')),
        };
        let Some(inside) = inside.map(str::to_owned) else {
            continue;
        };
        let kind = match member.kind {
            Kind::File => packlist::Kind::File,
            Kind::Folder => packlist::Kind::Folder,
            _ => packlist::Kind::Other,
        };
        if kind == packlist::Kind::File {
            let place = TreePath::new(inside.as_str()).map_err(TreeError::from)?;
            files.insert(inside.clone(), (place, member.mode, member.bytes));
        }
        // git knows no folders without files.
        if kind != packlist::Kind::Folder {
            entries.insert(inside, kind);
        }
    }
    let about = files
        .get("package.json")
        .and_then(|(_, _, text)| read_json(text))
        .unwrap_or_default();
    let programs: Vec<String> = about
        .as_object()
        .map(crate::decide::lock::npm::programs)
        .unwrap_or_default();
    let source = packlist::Source {
        entries,
        read: &|path| files.get(path).map(|(_, _, bytes)| *bytes),
        about: &about,
        programs: programs.clone(),
    };
    let selected = packlist::select(&source).map_err(|why| PackageError::Pack {
        archive: archive.to_owned(),
        why,
    })?;
    let mut placed = Vec::with_capacity(selected.len());
    for path in selected {
        if let Some((place, mode, bytes)) = files.remove(&path) {
            let executable = match packlist::is_program(&programs, &path) {
                true => 0o111,
                false => 0,
            };
            placed.push((place, mode | executable, bytes));
        }
    }
    Ok(placed)
}

fn read_json(text: &[u8]) -> Option<Value> {
    serde_json::from_slice(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)).ok()
}

/// The bytes without the CR at the end of their `#!` line, which no kernel understands.
fn without_cr(bytes: &[u8]) -> Option<Vec<u8>> {
    let end = bytes.iter().take(2048).position(|byte| *byte == b'\n')?;
    let line = bytes.get(..end)?;
    if !line.starts_with(b"#!") || line.len() < 4 {
        return None;
    }
    let line = line.strip_suffix(b"\r")?;
    Some([line, bytes.get(end..)?].concat())
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
