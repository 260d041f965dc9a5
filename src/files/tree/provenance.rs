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
//! One line per entry, sorted by path; owners sorted by name; digests are SHA-256 in unpadded
//! URL-safe base64, as RECORD has them. Nothing in it depends on when or where the tree was made.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display};
use std::io::{self, Write};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64URL_NOPAD;
use rayon::prelude::*;
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};

use super::claims::{Owner, PathClaims};
use super::{Content, FileFacts, TreeError, TreePath};
use crate::core::foreign;
use crate::core::temp_file;

// What stands before, between and behind the entries.
const HEAD_END: &str = "\"entries\": [\n";
const SEPARATOR: &str = ",\n";
const TAIL: &str = "\n]}";

/// How many entries one thread formats at a time.
const PIECE: usize = 1024;

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

impl Entry {
    fn write(&self, to: &mut Vec<u8>) -> io::Result<()> {
        let owner = self.owner;
        to.push(b'[');
        serde_json::to_writer(&mut *to, self.path.as_str())?;
        match &self.content {
            Content::File(facts) => write!(to, ", {owner}, {}", InLine(facts)),
            Content::Link(target) => {
                write!(to, ", {owner}, \"link\", ")?;
                serde_json::to_writer(&mut *to, target)?;
                to.write_all(b"]")
            }
        }
    }
}

#[derive(serde::Deserialize)]
struct Raw {
    version: u32,
    owners: Vec<String>,
    entries: Vec<RawEntry>,
}

enum RawEntry {
    File(String, usize, String, u64, String),
    Link(String, usize, String),
}

impl<'de> Deserialize<'de> for RawEntry {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_seq(EntryVisitor)
    }
}

/// By the third of its parts, what an entry is: tens of thousands are read, each once.
struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = RawEntry;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(
            "a file: path, owner, mode, length, digest; or a link: path, owner, \"link\", target",
        )
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<RawEntry, A::Error> {
        fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(
            parts: &mut A,
            number: usize,
        ) -> Result<T, A::Error> {
            let part = parts.next_element()?;
            part.ok_or_else(|| de::Error::invalid_length(number, &EntryVisitor))
        }
        let (path, owner) = (next(&mut parts, 0)?, next(&mut parts, 1)?);
        let mode: String = next(&mut parts, 2)?;
        Ok(match &*mode {
            "link" => RawEntry::Link(path, owner, next(&mut parts, 3)?),
            _ => RawEntry::File(
                path,
                owner,
                mode,
                next(&mut parts, 3)?,
                next(&mut parts, 4)?,
            ),
        })
    }
}

impl Provenance {
    pub(super) fn of(claims: &PathClaims) -> Self {
        let nodes = claims.entries();
        let held: HashSet<Owner> = nodes.iter().map(|(_, node)| node.owner).collect();
        let mut owners: Vec<String> = held.iter().map(|owner| claims.name(*owner)).collect();
        owners.sort_unstable();
        owners.dedup();
        let number = |owner: Owner| {
            owners
                .binary_search(&claims.name(owner))
                .unwrap_or_default()
        };
        let number: HashMap<Owner, usize> = held
            .into_iter()
            .map(|owner| (owner, number(owner)))
            .collect();
        let entries = nodes
            .into_iter()
            .map(|(path, node)| Entry {
                path,
                owner: number.get(&node.owner).copied().unwrap_or_default(),
                content: node.content,
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
        write!(to, "{{\n\"version\": 1,\n\"owners\": {owners},\n{HEAD_END}")?;
        let pieces = self.entries.par_chunks(PIECE).map(|entries| {
            let mut lines = Vec::with_capacity(PIECE * 160);
            for (index, entry) in entries.iter().enumerate() {
                if index > 0 {
                    lines.extend_from_slice(SEPARATOR.as_bytes());
                }
                entry.write(&mut lines)?;
            }
            Ok(lines)
        });
        let pieces: Vec<Vec<u8>> = pieces.collect::<io::Result<_>>()?;
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                to.write_all(SEPARATOR.as_bytes())?;
            }
            to.write_all(piece)?;
        }
        writeln!(to, "{TAIL}")?;
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
        let bytes = foreign::read(&path, foreign::WHOLE)
            .map_err(|error| TreeError::io("read", &path, error))?;
        Self::parse(&path, &bytes).map(Some)
    }

    /// Where the record of a tree is, if it has one.
    pub fn place(tree: &Utf8Path) -> Option<Utf8PathBuf> {
        let places = [tree.join(INSIDE), format!("{tree}{BESIDE}").into()];
        places.into_iter().find(|path| path.is_file())
    }

    /// Makes the record of a tree say what some of its files are now; those that are no more lose
    /// their lines. Where the record is, if it had to be replaced, in one step.
    ///
    /// # Errors
    /// When it cannot be read or replaced.
    pub fn amend(
        tree: &Utf8Path,
        now: &HashMap<&str, Option<FileFacts>>,
    ) -> Result<Option<Utf8PathBuf>, TreeError> {
        let Some(place) = Self::place(tree) else {
            return Ok(None);
        };
        let old = foreign::read(&place, foreign::WHOLE).and_then(foreign::utf8);
        let old = old.map_err(|error| TreeError::io("read", &place, error))?;
        let Some(new) = amended(&old, now) else {
            return Ok(None);
        };
        temp_file::rewrite(&place, new.as_bytes())
            .map_err(|error| TreeError::io("replace", &place, error))?;
        Ok(Some(place))
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
                RawEntry::Link(path, owner, target) => (path, owner, Content::Link(target.into())),
                RawEntry::File(path, owner, mode, size, digest) => {
                    let sha256 = BASE64URL_NOPAD
                        .decode(digest.as_bytes())
                        .ok()
                        .and_then(|bytes| bytes.try_into().ok());
                    let is_right = digest.is_empty() || sha256.is_some();
                    let (Ok(mode), true) = (u16::from_str_radix(&mode, 8), is_right) else {
                        return Err(bad(format!("the mode or digest of {path} is malformed")));
                    };
                    (path, owner, Content::File(FileFacts { mode, size, sha256 }))
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

/// What a file's line says behind its path and owner.
struct InLine<'a>(&'a FileFacts);

impl Display for InLine<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileFacts { mode, size, sha256 } = self.0;
        let mut digest = [0; 43];
        let digest = sha256.map_or("", |sha256| {
            BASE64URL_NOPAD.encode_mut(&sha256, &mut digest);
            std::str::from_utf8(&digest).unwrap_or_default()
        });
        write!(to, "\"{mode:o}\", {size}, \"{digest}\"]")
    }
}

/// The record with the lines of some files as they are now; nothing if no line is another. All other
/// lines stay as they are: there are tens of thousands, and they need not be understood.
fn amended(record: &str, now: &HashMap<&str, Option<FileFacts>>) -> Option<String> {
    let now: HashMap<String, &Option<FileFacts>> = now
        .iter()
        .filter_map(|(path, facts)| Some((serde_json::to_string(path).ok()?, facts)))
        .collect();
    let (head, rest) = record.split_once(HEAD_END)?;
    let (body, tail) = rest.rsplit_once(TAIL)?;
    let mut new = String::with_capacity(record.len());
    new.push_str(head);
    new.push_str(HEAD_END);
    let start = new.len();
    for old in body.split(SEPARATOR) {
        let entry = old.strip_prefix('[').and_then(|rest| {
            let (path, rest) = rest.split_at_checked(string_end(rest)?)?;
            Some((path, rest.strip_prefix(", ")?.split_once(',')?.0))
        });
        let known = entry.and_then(|(path, owner)| Some((path, owner, now.get(path)?)));
        let kept = match known {
            None => Cow::Borrowed(old),
            Some((path, owner, Some(facts))) => {
                Cow::Owned(format!("[{path}, {owner}, {}", InLine(facts)))
            }
            Some((.., None)) => continue,
        };
        if new.len() > start {
            new.push_str(SEPARATOR);
        }
        new.push_str(&kept);
    }
    new.push_str(TAIL);
    new.push_str(tail);
    (new != record).then_some(new)
}

/// Where the JSON string that a text begins with ends.
fn string_end(text: &str) -> Option<usize> {
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return Some(index + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn provenance(files: &[(&str, u64)]) -> Provenance {
        let file = |(path, size): &(&str, u64)| Entry {
            path: TreePath::new(*path).unwrap(),
            owner: 0,
            content: Content::File(facts(*size)),
        };
        Provenance {
            owners: vec!["a 1".to_owned()],
            entries: files.iter().map(file).collect(),
        }
    }

    fn facts(size: u64) -> FileFacts {
        FileFacts {
            mode: 0o644,
            size,
            sha256: Some([7; 32]),
        }
    }

    fn text(provenance: &Provenance) -> String {
        let mut bytes = Vec::new();
        provenance.write(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_amended_record_is_what_would_have_been_written() {
        let before = [("a", 1), ("b\", 0, c", 2), ("d/ä", 3), ("e", 4)];
        for (now, after) in [
            (
                vec![("a", Some(9))],
                vec![("a", 9), before[1], before[2], before[3]],
            ),
            (
                vec![("b\", 0, c", Some(9)), ("e", None)],
                vec![before[0], ("b\", 0, c", 9), before[2]],
            ),
            (
                vec![("a", None), ("d/ä", Some(9))],
                vec![before[1], ("d/ä", 9), before[3]],
            ),
            (
                vec![("a", None), ("b\", 0, c", None), ("d/ä", None)],
                vec![before[3]],
            ),
        ] {
            let now = now.into_iter().map(|(path, size)| (path, size.map(facts)));
            let amended = amended(&text(&provenance(&before)), &now.collect());
            assert_eq!(amended.unwrap(), text(&provenance(&after)));
        }
        let same = HashMap::from([("a", Some(facts(1))), ("z", Some(facts(1))), ("y", None)]);
        assert_eq!(amended(&text(&provenance(&before)), &same), None);
    }
}
