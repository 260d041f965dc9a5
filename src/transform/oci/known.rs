//! What is in a layer, told as far as can be without reading it, so that a layer that was made before is
//! taken from the store as it is.
//!
//! A tree of lockwright's has a record of its files' digests. It is believed where the tree was made just
//! now, or nothing has touched it since ([`Stamp`]). Files of other trees are read; so is bytecode, which
//! stamps pass over. What was made of a tree that was touched meanwhile is not noted.

use std::collections::HashMap;

use camino::Utf8Path;
use rayon::prelude::*;

use super::compress::Compression;
use super::settings::CREATED_BY;
use super::tar::{Item, Items};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::io_error::{IoError, cannot};
use crate::files::tree::{CACHES, Content, FileFacts, Provenance, Stamp};
use crate::obtain::store::{Look, Store};

/// What is known of a tree's files.
#[derive(Debug, Default)]
pub struct Known {
    /// What the tree was before anything of it was looked at.
    stamp: Option<Stamp>,
    /// Whether nobody else can touch it.
    is_own: bool,
    files: HashMap<String, FileFacts>,
}

impl Known {
    /// Of a tree that is about to be put into an image.
    pub fn of(tree: &Utf8Path, is_new: bool, store: &Store) -> Self {
        let stamp = match is_new {
            true => None,
            false => store.look(tree).and_then(Look::stamp),
        };
        let is_recorded = is_new || stamp.is_some();
        let record = is_recorded.then(|| Provenance::of_tree(tree).ok().flatten());
        let entries = record
            .flatten()
            .map_or_else(Vec::new, |record| record.entries);
        let files = entries.into_iter().filter_map(|entry| match entry.content {
            Content::File(facts) if !is_passed_over(entry.path.as_str()) => {
                Some((entry.path.as_str().to_owned(), facts))
            }
            _ => None,
        });
        Self {
            files: files.collect(),
            is_own: is_new,
            stamp: match is_recorded {
                true => stamp,
                false => Stamp::settled(tree, None).ok(),
            },
        }
    }

    /// The digest of a file of the tree, if it is known.
    pub fn sha256(&self, path: &str, mode: u32, size: u64) -> Option<[u8; 32]> {
        let facts = self.files.get(path)?;
        let is_same = facts.size == size && u32::from(facts.mode) == mode;
        facts.sha256.filter(|_| is_same)
    }

    /// Whether the tree is still what it was.
    pub fn is_true(&self, tree: &Utf8Path) -> bool {
        let stamp = self.stamp.as_ref();
        self.is_own || stamp.is_some_and(|stamp| stamp.holds(tree).unwrap_or(false))
    }
}

/// Whether stamps do not see what becomes of a file.
fn is_passed_over(path: &str) -> bool {
    let mut folders = path.split('/');
    folders.any(|folder| folder == "__pycache__" || CACHES.contains(&folder))
}

/// The key of a layer: of all that its bytes follow from.
///
/// # Errors
/// When a file whose digest is not known cannot be read.
pub fn key(items: &Items, how: Compression) -> Result<Digest, IoError> {
    let parts: Vec<_> = items.par_iter().map(|(_, item)| part(item)).collect();
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(CREATED_BY.as_bytes());
    add(how.suffix().as_bytes());
    for (path, part) in items.keys().zip(parts) {
        add(path.as_bytes());
        add(&part?);
    }
    Ok(hasher.finish())
}

/// What is at a path.
fn part(item: &Item) -> Result<Vec<u8>, IoError> {
    let (mode, size, from, sha256) = match item {
        Item::Folder { mode } => return Ok(format!("folder {mode:o}").into_bytes()),
        Item::Link(target) => return Ok(format!("link {target}").into_bytes()),
        Item::File {
            mode,
            size,
            from,
            sha256,
        } => (mode, size, from, *sha256),
    };
    let read = || FileFacts::of_file(from).map(|facts| facts.sha256);
    let sha256 = match sha256 {
        None => read().map_err(cannot("read", from))?,
        known => known,
    };
    let head = format!("file {mode:o} {size} ");
    Ok([head.as_bytes(), &sha256.unwrap_or_default()].concat())
}
