//! What is known of a component that was made, in a file beside its tree: what it was made from,
//! and by which bytes it is known. `DIR.component.json`, for the tree `DIR`.

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::error::Cause;
use super::ingredients::Ingredients;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::temp_file;
use crate::core::walk::Node;
use crate::obtain::store::Store;
use crate::transform::nix::nar;

/// What is added to the tree's name.
pub const BESIDE: &str = ".component.json";

/// What a tree was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The component's name.
    pub component: String,
    /// The digest of its ingredients.
    pub key: Digest,
    /// The tree's NAR hash.
    pub hash: String,
    /// How many files and links it has.
    pub files: u64,
    /// How many bytes they hold.
    pub bytes: u64,
    /// What it was made from.
    pub ingredients: Ingredients,
}

impl Record {
    /// Where the record of a tree is.
    pub fn place(tree: &Utf8Path) -> Utf8PathBuf {
        format!("{tree}{BESIDE}").into()
    }

    /// The record of a tree, if there are both and it can be read. One that cannot is as good as
    /// none: the component is made again.
    pub fn of(tree: &Utf8Path) -> Option<Self> {
        let bytes = foreign::read(Self::place(tree), foreign::TEXT).ok()?;
        let record = serde_json::from_slice(&bytes).ok()?;
        tree.is_dir().then_some(record)
    }

    /// Whether the tree is still what was recorded: by its stamp in the store; else, as where it was
    /// copied or carried elsewhere, by its bytes, and then it is stamped.
    pub fn is_true(&self, tree: &Utf8Path, store: &Store) -> bool {
        let look = store.look(tree);
        if look.is_some_and(|look| look.finds(&self.key)) {
            return true;
        }
        let hash = nar::hash_path(tree);
        let is_same = hash.is_ok_and(|hash| hash.sri() == self.hash);
        if is_same {
            store.stamp(tree, &self.key, None);
        }
        is_same
    }

    /// Writes it, whole or not at all.
    pub(super) fn write(&self, tree: &Utf8Path) -> Result<(), Cause> {
        let place = Self::place(tree);
        let write = || -> std::io::Result<()> {
            let text = format!("{}\n", serde_json::to_string_pretty(self)?);
            temp_file::write(&place, Some(0o644), text.as_bytes())
        };
        Ok(write().map_err(cannot("write", &place))?)
    }
}

/// How many files and links there are, and how many bytes in them.
pub(super) fn count(node: &Node) -> (u64, u64) {
    let (mut files, mut bytes) = (0, 0);
    node.each(&mut |_, node| match node {
        Node::File(file) => {
            files += 1;
            bytes += file.size;
        }
        Node::Link(target) => {
            files += 1;
            bytes += target.len() as u64;
        }
        Node::Folder(_) => {}
    });
    (files, bytes)
}
