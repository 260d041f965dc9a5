//! The provenance record: which package put which file where.
//!
//! ```json
//! {
//! "version": 1,
//! "owners": ["django 5.2.10", "lockwright"],
//! "entries": [
//! ["bin/python", 1, "link", "/usr/bin/python3.14"],
//! ["lib/python3.14/site-packages/django/__init__.py", 0, "644", 799, "a2ciJGq2…"]
//! ]}
//! ```
//!
//! One line an entry, sorted by path; owners sorted by name; digests are SHA-256 in unpadded
//! URL-safe base64, as RECORD has them. Nothing in it depends on when or where the tree was made.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;

use super::table::{Owner, Table};
use super::{Content, Facts, TreeError, TreePath};

/// Where it is inside a tree.
pub const INSIDE: &str = ".lockwright/provenance.json";
/// What is added to the tree's name where it stands beside the tree.
pub const BESIDE: &str = ".provenance.json";

/// A tree's files, as they were when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// Who put files there, by number.
    pub owners: Vec<String>,
    /// The files and links, sorted by path.
    pub entries: Vec<Entry>,
}

/// A file or link of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where.
    pub path: TreePath,
    /// Whose: an index into the owners.
    pub owner: usize,
    /// What.
    pub content: Content,
}

#[derive(Deserialize)]
struct Raw {
    version: u32,
    owners: Vec<String>,
    entries: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawEntry {
    File(String, usize, String, u64, String),
    Link(String, usize, String, String),
}

impl Provenance {
    pub(super) fn of(table: &Table) -> Self {
        let nodes = table.entries();
        let held: BTreeSet<Owner> = nodes.iter().map(|(_, node)| node.owner).collect();
        let names: BTreeSet<&str> = held.iter().map(|owner| table.name(*owner)).collect();
        let number: HashMap<Owner, usize> = held
            .iter()
            .map(|owner| (*owner, names.range(..table.name(*owner)).count()))
            .collect();
        let owners = names.into_iter().map(str::to_owned).collect();
        let entries = nodes
            .into_iter()
            .map(|(path, node)| Entry {
                path,
                owner: number.get(&node.owner).copied().unwrap_or_default(),
                content: node.content.clone(),
            })
            .collect();
        Self { owners, entries }
    }

    /// Writes the record.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        let mut to = io::BufWriter::with_capacity(1 << 18, to);
        let owners = serde_json::to_string(&self.owners)?;
        write!(
            to,
            "{{\n\"version\": 1,\n\"owners\": {owners},\n\"entries\": ["
        )?;
        let mut separator = "\n";
        for entry in &self.entries {
            to.write_all(separator.as_bytes())?;
            separator = ",\n";
            let path = serde_json::to_string(entry.path.as_str())?;
            let owner = entry.owner;
            match &entry.content {
                Content::File(facts) => {
                    let digest = BASE64URL_NOPAD.encode(&facts.sha256);
                    let (mode, size) = (facts.mode, facts.size);
                    write!(to, "[{path}, {owner}, \"{mode:o}\", {size}, \"{digest}\"]")?;
                }
                Content::Link(target) => {
                    let target = serde_json::to_string(target)?;
                    write!(to, "[{path}, {owner}, \"link\", {target}]")?;
                }
            }
        }
        to.write_all(b"\n]}\n")?;
        to.flush()
    }

    /// Reads the record of a tree, if it has one: inside it, or beside it.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn of_tree(tree: &Utf8Path) -> Result<Option<Self>, TreeError> {
        let Some(path) = Self::place(tree) else {
            return Ok(None);
        };
        let bytes = fs::read(&path).map_err(|error| TreeError::io("read", &path, error))?;
        Self::parse(&path, &bytes).map(Some)
    }

    /// Where the record of a tree is, if it has one.
    pub fn place(tree: &Utf8Path) -> Option<Utf8PathBuf> {
        let places = [tree.join(INSIDE), format!("{tree}{BESIDE}").into()];
        places.into_iter().find(|path| path.is_file())
    }

    /// Puts this in place of the record that a tree has, in one step, and returns where that is.
    ///
    /// # Errors
    /// When it has none, or that cannot be replaced.
    pub fn replace(&self, tree: &Utf8Path) -> Result<Utf8PathBuf, TreeError> {
        let place = Self::place(tree).unwrap_or_else(|| tree.join(INSIDE));
        let write = || {
            let permissions = fs::metadata(&place)?.permissions();
            let folder = place.parent().unwrap_or(tree);
            let mut staged = tempfile::Builder::new()
                .prefix(".lockwright-")
                .tempfile_in(folder)?;
            self.write(&mut staged)?;
            fs::set_permissions(staged.path(), permissions)?;
            staged.persist(&place).map_err(|error| error.error)
        };
        write().map_err(|error| TreeError::io("replace", &place, error))?;
        Ok(place)
    }

    /// Reads a record. `path` is for messages.
    ///
    /// # Errors
    /// When it is not one, or of a version that is not known.
    pub fn parse(path: &Utf8Path, bytes: &[u8]) -> Result<Self, TreeError> {
        let bad = |why: String| TreeError::Provenance {
            path: path.to_owned(),
            why,
        };
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| bad(error.to_string()))?;
        if raw.version != 1 {
            return Err(bad(format!("its version is {}, not 1", raw.version)));
        }
        let count = raw.owners.len();
        let entry = |raw: RawEntry| {
            let (path, owner, content) = match raw {
                RawEntry::Link(path, owner, kind, target) => {
                    if kind != "link" {
                        return Err(bad(format!("{path} is a `{kind}`, which is not known")));
                    }
                    (path, owner, Content::Link(target.into()))
                }
                RawEntry::File(path, owner, mode, size, digest) => {
                    let sha256 = BASE64URL_NOPAD
                        .decode(digest.as_bytes())
                        .ok()
                        .and_then(|bytes| bytes.try_into().ok());
                    let (Ok(mode), Some(sha256)) = (u16::from_str_radix(&mode, 8), sha256) else {
                        return Err(bad(format!("the mode or digest of {path} is malformed")));
                    };
                    (path, owner, Content::File(Facts { mode, size, sha256 }))
                }
            };
            if owner >= count {
                return Err(bad(format!("{path} has an owner that is not listed")));
            }
            let path = TreePath::new(path)?;
            Ok(Entry {
                path,
                owner,
                content,
            })
        };
        Ok(Self {
            owners: raw.owners,
            entries: raw
                .entries
                .into_iter()
                .map(entry)
                .collect::<Result<_, _>>()?,
        })
    }
}
