//! A layer: a tar archive laid out from what is in it, before a file is read.
//!
//! In the form that POSIX calls ustar, with a pax header where that form cannot say a name, a link or
//! a size. Everything belongs to root, was last changed at one time, and has the mode that its tree
//! has. Names that are one file in a tree are files of their own here, as in a NAR: whether a tree
//! shares files is not what it is.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tar::{EntryType, Header};

use super::compress::PIECE;
use crate::core::pieces::{Layout, Pieces};

/// The time that everything in a layer was changed: 1 January 1980, the first that a zip archive can
/// hold, in seconds.
pub const TIME: u64 = 315_532_800;

/// The same as an image's own words have it (RFC 3339).
pub const TIME_TEXT: &str = "1980-01-01T00:00:00Z";

/// How long a name can be where ustar keeps it.
const NAME: usize = 100;
const PREFIX: usize = 155;
/// The largest size that ustar can say, in eleven octal digits.
const LARGEST: u64 = 0o777_7777_7777;
const BLOCK: u64 = 512;

/// Something in a layer.
#[derive(Debug, Clone)]
pub enum Item {
    /// A folder.
    Folder {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link and what it holds.
    Link(String),
    /// A regular file.
    File {
        /// Permission bits.
        mode: u32,
        /// In bytes.
        size: u64,
        /// Where it is now.
        from: PathBuf,
        /// The digest of its bytes, where that is known.
        sha256: Option<[u8; 32]>,
    },
}

impl Item {
    /// Whether it is a folder.
    pub fn is_folder(&self) -> bool {
        matches!(self, Self::Folder { .. })
    }

    /// How much it holds, in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::File { size, .. } => *size,
            _ => 0,
        }
    }
}

/// What is in a layer, by its path in the image, without the slash at the beginning.
pub type Items = BTreeMap<String, Item>;

/// Lays a layer out. A folder comes before what is in it, since its name is the beginning of theirs.
pub fn lay_out(items: &Items) -> Pieces {
    let mut layout = Layout::new(PIECE);
    for (path, item) in items {
        match item {
            Item::Folder { mode } => {
                let path = format!("{path}/");
                entry(&mut layout, &path, EntryType::Directory, *mode, 0, "");
            }
            Item::Link(target) => entry(&mut layout, path, EntryType::Symlink, 0o777, 0, target),
            Item::File {
                mode, size, from, ..
            } => {
                entry(&mut layout, path, EntryType::Regular, *mode, *size, "");
                layout.contents(from, *size);
                layout.pad(*size, BLOCK);
            }
        }
    }
    layout.bytes(&[0; 2 * BLOCK as usize]);
    layout.finish()
}

fn entry(layout: &mut Layout, path: &str, kind: EntryType, mode: u32, size: u64, link: &str) {
    let place = split(path);
    let mut records = Vec::new();
    if place.is_none() {
        record(&mut records, "path", path);
    }
    let says_link = link.len() <= NAME && link.is_ascii();
    if !says_link {
        record(&mut records, "linkpath", link);
    }
    if size > LARGEST {
        record(&mut records, "size", &size.to_string());
    }
    if !records.is_empty() {
        let length = records.len() as u64;
        let name = ("", "././@PaxHeader");
        layout.bytes(header(name, EntryType::XHeader, 0o644, length, "").as_bytes());
        layout.bytes(&records);
        layout.pad(length, BLOCK);
    }
    // Who does not read pax headers sees the beginning of a name.
    let place = place.unwrap_or(("", start(path)));
    let link = if says_link { link } else { start(link) };
    let size = if size > LARGEST { 0 } else { size };
    layout.bytes(header(place, kind, mode, size, link).as_bytes());
}

/// A header by itself.
pub fn header(
    (prefix, name): (&str, &str),
    kind: EntryType,
    mode: u32,
    size: u64,
    link: &str,
) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode & 0o7777);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(TIME);
    if let Some(ustar) = header.as_ustar_mut() {
        copy(&mut ustar.name, name);
        copy(&mut ustar.prefix, prefix);
        copy(&mut ustar.linkname, link);
    }
    header.set_cksum();
    header
}

fn copy(to: &mut [u8], from: &str) {
    for (to, from) in to.iter_mut().zip(from.as_bytes()) {
        *to = *from;
    }
}

/// How ustar keeps a path, if it can: its first part, and the rest.
fn split(path: &str) -> Option<(&str, &str)> {
    if !path.is_ascii() {
        return None;
    }
    if path.len() <= NAME {
        return Some(("", path));
    }
    // The earliest slash that leaves the rest short enough; a folder's own does not count.
    let from = path.len() - NAME - 1;
    let at = from + path.get(from..path.len() - 1)?.find('/')?;
    let (prefix, name) = (path.get(..at)?, path.get(at + 1..)?);
    (prefix.len() <= PREFIX && !prefix.is_empty()).then_some((prefix, name))
}

/// As much of a name as fits.
fn start(name: &str) -> &str {
    let mut end = name.len().min(NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

/// `length key=value\n`, where the length counts itself.
fn record(records: &mut Vec<u8>, key: &str, value: &str) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while rest + length.to_string().len() != length {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn every_name_comes_back_and_pax_is_used_only_where_it_must_be() {
        let dir = tempfile::tempdir().unwrap();
        let from = dir.path().join("file");
        std::fs::write(&from, "12345").unwrap();
        let file = || Item::File {
            mode: 0o755,
            size: 5,
            from: from.clone(),
            sha256: None,
        };
        let deep = vec!["folder"; 20].join("/");
        let long = "x".repeat(101);
        let mut items = Items::new();
        for (path, item) in [
            ("a".to_owned(), Item::Folder { mode: 0o755 }),
            ("a/file".to_owned(), file()),
            ("a/link".to_owned(), Item::Link("../b".to_owned())),
            (format!("{deep}/file"), file()),
            (deep.clone(), Item::Folder { mode: 0o700 }),
            (long.clone(), file()),
            ("d/é".to_owned(), file()),
            ("far".to_owned(), Item::Link(format!("/{long}"))),
        ] {
            items.insert(path, item);
        }
        let pieces = lay_out(&items);
        let mut bytes = Vec::new();
        let fill = |at: usize, piece: &mut Vec<u8>| pieces.fill(at, piece);
        let take = |piece: &Vec<u8>| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        pieces.in_order(fill, take).unwrap();
        assert_eq!(bytes.len() as u64, pieces.size());
        let mut archive = tar::Archive::new(&*bytes);
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let link = entry.link_name().unwrap();
            let link = link.map(|link| link.to_str().unwrap().to_owned());
            assert_eq!(entry.header().mtime().unwrap(), TIME);
            seen.push((path.trim_end_matches('/').to_owned(), text, link));
        }
        let wanted = items.iter().map(|(path, item)| {
            let (text, link) = match item {
                Item::Folder { .. } => ("", None),
                Item::Link(target) => ("", Some(target.clone())),
                Item::File { .. } => ("12345", None),
            };
            (path.clone(), text.to_owned(), link)
        });
        assert_eq!(seen, wanted.collect::<Vec<_>>());
        let pax = bytes
            .chunks(512)
            .filter(|block| block.starts_with(b"././@PaxHeader"));
        assert_eq!(pax.count(), 3);
    }
}
