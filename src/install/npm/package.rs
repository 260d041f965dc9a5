//! A package out of its tarball, by the rules of pacote and node-tar: the first part of every name
//! is left out, whatever it is; folders, links and devices are dropped; of members that are there twice the
//! last one's bytes count and the first one's mode; `.gitignore` becomes `.npmignore`.
//!
//! npm warns and goes on where a member cannot be placed, and never looks whether a tarball is the
//! package that the lock names. Here both are refused.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::packlist::{self, PackError};

use crate::decide::lock::npm::scripts::is_made;
use crate::files::archive::Limits;
use crate::files::archive::tar::{Kind, Tar, TarError};
use crate::files::contents::{Contents, From, Member, PlaceError, PlacedFile, Placement, Take};
use crate::files::tree::{TreeError, TreePath};
use crate::obtain::store::StoreError;

/// What the store calls a tarball's files.
pub const FORM: &str = "npm";

/// A tarball's files.
pub struct Package<'a> {
    members: Vec<Member>,
    bytes: Vec<&'a [u8]>,
    /// Whether it has scripts that npm would run on a git dependency before it packs it.
    pub has_prepare: bool,
}

impl Contents for Package<'_> {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        take(self.bytes.get(number).ok_or(PlaceError::Absent(number))?)
    }
}

/// What an archive holds.
#[derive(Debug, Clone, Copy)]
pub enum Form<'a> {
    /// A package, below a folder of whatever name.
    Tarball,
    /// The files of a commit, of which those below this folder that `npm pack` takes are a package.
    Checkout(&'a str),
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
    /// Holds a package.json of the archive against the lock.
    ///
    /// # Errors
    /// When it is another package's.
    pub fn check(&self, contents: &dyn Contents, file: &str) -> Result<(), PackageError> {
        let text = text_of(contents, file)?;
        let Said { name, version } = text.as_deref().map(Said::read).unwrap_or_default();
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
    /// A file cannot be read or written.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The store does not have it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nothing is made that it could be in.
    #[error(
        "{0} is in no node_modules that is made: this is a bug in lockwright, please report it"
    )]
    Nowhere(String),
    /// It is another package than the lock says.
    #[error(
        "{archive} is {found}, and the lock says {expected}: have npm regenerate the lock, and see who changed it"
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
    /// Reads an unpacked archive, which is called `archive` in messages.
    ///
    /// # Errors
    /// When its members cannot all be placed.
    pub fn read(
        bytes: &'a [u8],
        form: Form<'_>,
        limits: &Limits,
        archive: &str,
    ) -> Result<Self, PackageError> {
        let members = match form {
            Form::Tarball => members(bytes, archive, limits)?,
            Form::Checkout(folder) => packed(bytes, folder, archive, limits)?,
        };
        let mut files: IndexMap<String, (u32, &'a [u8])> = IndexMap::new();
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
                .and_modify(|(_, last)| *last = bytes)
                .or_insert((mode, bytes));
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
        let bytes = files.values().map(|(_, bytes)| *bytes).collect();
        let members = files.into_iter().map(|(path, (mode, bytes))| Member {
            path,
            mode: mode as u16,
            size: bytes.len() as u64,
            sha256: None,
            is_folder: false,
        });
        let mut package = Self {
            members: members.collect(),
            bytes,
            has_prepare: false,
        };
        if let Form::Checkout(_) = form {
            let about = text_of(&package, ABOUT)?;
            let about = about.as_deref().and_then(read_json);
            let scripts = about
                .as_ref()
                .and_then(|about| about.get("scripts")?.as_object());
            let names = scripts.into_iter().flat_map(|all| all.keys().cloned());
            package.has_prepare = is_made(&names.collect());
        }
        Ok(package)
    }

    /// The same with the digests of its files, as they were the last time.
    #[must_use]
    pub fn knowing(mut self, known: Option<Vec<Member>>) -> Self {
        let fits = |known: &Vec<Member>| known.len() == self.members.len();
        if let Some(known) = known.filter(fits) {
            self.members = known;
        }
        self
    }
}

/// The file that says what a package is.
pub const ABOUT: &str = "package.json";

/// Decides where a package's files go: below `at`. `programs` are the paths in it of the files
/// that programs link to.
///
/// # Errors
/// When a file has no place in a tree, or cannot be read.
pub fn arrange(
    contents: &dyn Contents,
    at: &TreePath,
    programs: &[&str],
) -> Result<Placement, PackageError> {
    let members = contents.members();
    let mut placement = Placement {
        files: Vec::with_capacity(members.len()),
        folders: Vec::new(),
    };
    for (number, member) in members.iter().enumerate() {
        let path = member.path.as_str();
        let (mut mode, mut from) = (member.mode, From::Member(number));
        if programs.contains(&path) {
            mode = 0o755;
            if let Some(plain) = without_cr(&contents.whole(number)?) {
                from = From::Bytes(plain);
            }
        }
        placement.files.push(PlacedFile {
            path: at.join(path).map_err(TreeError::from)?,
            mode,
            from,
            expected: None,
        });
    }
    Ok(placement)
}

/// Checks that a package brings another one at a place in itself.
///
/// # Errors
/// When nothing is there, or another package than the lock says.
pub fn check_bundled(
    contents: &dyn Contents,
    place: &str,
    expected: &Expected<'_>,
) -> Result<(), PackageError> {
    let file = format!("{place}/{ABOUT}");
    let mut members = contents.members().iter();
    if !members.any(|member| member.path == file) {
        return Err(PackageError::Bundle {
            archive: expected.archive.to_owned(),
            missing: place.to_owned(),
        });
    }
    expected.check(contents, &file)
}

/// The bytes of a file, if it is there.
fn text_of(contents: &dyn Contents, file: &str) -> Result<Option<Vec<u8>>, PlaceError> {
    let mut members = contents.members().iter();
    let number = members.position(|member| member.path == file);
    number.map(|number| contents.whole(number)).transpose()
}

/// What a package.json says that its package is: of each the last, where it is a text. All else is passed over, since
/// a tree may have thousands of them.
#[derive(Default)]
struct Said {
    name: Option<String>,
    version: Option<String>,
}

impl Said {
    /// Nothing of what cannot be read.
    fn read(text: &[u8]) -> Self {
        serde_json::from_slice(without_mark(text)).unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Said {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Said;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Said, A::Error> {
                let mut said = Said::default();
                while let Some(key) = fields.next_key::<Cow<'_, str>>()? {
                    let of = match &*key {
                        "name" => &mut said.name,
                        "version" => &mut said.version,
                        _ => {
                            fields.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    let value: Value = fields.next_value()?;
                    *of = value.as_str().map(|text| text.trim().to_owned());
                }
                Ok(said)
            }
        }
        from.deserialize_map(Fields)
    }
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
    let source = packlist::PackSource {
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
    package_json(text).ok()
}

/// A package.json, which may begin with a byte-order mark.
///
/// # Errors
/// When it is no JSON.
pub fn package_json(text: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(without_mark(text))
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text)
}

/// The bytes without the CR at the end of their `#!` line, which no kernel understands.
pub fn without_cr(bytes: &[u8]) -> Option<Vec<u8>> {
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
