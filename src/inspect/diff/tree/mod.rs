//! Two trees: whether they are the same, and if not, which package's files differ, and why.
//!
//! Equal NAR hashes are the end of it: Nix would see no difference. Otherwise every file that
//! differs is attributed to its package – by the provenance record, or else by the tree's own
//! RECORDs and `node_modules` – and [`cause`] looks for the reason as far down as it can be told:
//! the section of an ELF file, the member of an archive, the line of a text.

mod cause;
mod model;
pub mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use rayon::prelude::*;

pub use model::{Cause, CauseKind, FileDiff, FileKind, PackageDiff, TreeDiff, TreeSide, VERSION};

use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::walk::{Node, WalkError, walk};
use crate::files::tree::Provenance;
use crate::install::owners::Owners;
use crate::transform::nix::nar::{NarError, hash_path};
use cause::Sides;

/// What may differ without being a difference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expect {
    /// Each tree's own path, where a file holds it, and what follows from that in RECORD.
    pub own_paths: bool,
}

/// Why two trees cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum TreeDiffError {
    /// A tree cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A tree cannot be hashed.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// Its provenance record is damaged.
    #[error(transparent)]
    Provenance(#[from] crate::files::tree::TreeError),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Compares the trees at two paths.
///
/// # Errors
/// When one of them cannot be read.
pub fn compare(old: &Path, new: &Path, expect: Expect) -> Result<TreeDiff, TreeDiffError> {
    let (old_hash, new_hash) = rayon::join(|| hash_path(old), || hash_path(new));
    let (old_hash, new_hash) = (old_hash?, new_hash?);
    let (old_tree, new_tree) = rayon::join(|| walk(old), || walk(new));
    let (old_tree, new_tree) = (old_tree?, new_tree?);
    let (before, after) = (flat(&old_tree), flat(&new_tree));
    let side = |path: &Path, hash: &crate::core::digest::Digest, all: &BTreeMap<PathBuf, &Node>| {
        TreeSide {
            label: path.display().to_string(),
            nar_hash: hash.sri(),
            entries: all.len(),
        }
    };
    let mut diff = TreeDiff {
        version: VERSION,
        old: side(old, &old_hash, &before),
        new: side(new, &new_hash, &after),
        same_nar: old_hash == new_hash,
        unchanged: 0,
        expected: 0,
        modes: 0,
        packages: Vec::new(),
        files: Vec::new(),
    };
    if diff.same_nar {
        diff.unchanged = before.len();
        diff.modes = modes(&before, &after);
        return Ok(diff);
    }
    let names = [Names::of(old, &old_tree)?, Names::of(new, &new_tree)?];
    let paths: BTreeSet<&PathBuf> = before.keys().chain(after.keys()).collect();
    let paths: Vec<&PathBuf> = paths.into_iter().collect();
    let found = paths
        .par_iter()
        .map(|path| {
            let sides = Sides {
                roots: [old, new],
                path,
            };
            let nodes = (before.get(*path).copied(), after.get(*path).copied());
            let Some((kind, causes)) = differs(&sides, nodes)? else {
                return Ok(None);
            };
            let package = names.iter().rev().find_map(|names| names.name(path));
            Ok(Some(FileDiff {
                path: path.display().to_string(),
                kind,
                package,
                causes,
            }))
        })
        .collect::<Result<Vec<_>, TreeDiffError>>()?;
    diff.files = found.into_iter().flatten().collect();
    diff.unchanged = paths.len() - diff.files.len();
    if expect.own_paths {
        let count = diff.files.len();
        // Our own record of a tree tells where it is, and so does not count either.
        let is_expected = |file: &FileDiff| {
            let own = !file.causes.is_empty() && file.causes.iter().all(Cause::is_own_path);
            own || file.path.starts_with(".lockwright/")
        };
        diff.files.retain(|file| !is_expected(file));
        diff.expected = count - diff.files.len();
    }
    diff.packages = by_package(&diff.files);
    diff.modes = modes(&before, &after);
    Ok(diff)
}

/// Everything in a tree by its path.
fn flat(tree: &Node) -> BTreeMap<PathBuf, &Node> {
    let mut all = BTreeMap::new();
    tree.each(&mut |path, node| {
        all.insert(path.to_owned(), node);
    });
    all
}

/// How many files have modes that differ in what Nix does not keep.
fn modes(before: &BTreeMap<PathBuf, &Node>, after: &BTreeMap<PathBuf, &Node>) -> usize {
    let differ = |(path, node): &(&PathBuf, &&Node)| match (node, after.get(*path)) {
        (Node::File(one), Some(Node::File(other))) => {
            one.mode != other.mode && one.is_executable() == other.is_executable()
        }
        _ => false,
    };
    before.iter().filter(differ).count()
}

type Found = Option<(FileKind, Vec<Cause>)>;

fn differs(
    sides: &Sides<'_>,
    nodes: (Option<&Node>, Option<&Node>),
) -> Result<Found, TreeDiffError> {
    let word = |node: &Node| match node {
        Node::File(_) => "a file",
        Node::Link(_) => "a link",
        Node::Folder(_) => "a folder",
    };
    Ok(match nodes {
        // What is in a folder is told; the folder itself only when it is empty.
        (Some(Node::Folder(inside)), None) if !inside.is_empty() => None,
        (None, Some(Node::Folder(inside))) if !inside.is_empty() => None,
        (Some(_), None) => Some((FileKind::Removed, Vec::new())),
        (None, Some(_)) => Some((FileKind::Added, Vec::new())),
        (None, None) | (Some(Node::Folder(_)), Some(Node::Folder(_))) => None,
        (Some(Node::Link(one)), Some(Node::Link(other))) => (one != other).then(|| {
            let (one, other) = (one.to_string_lossy(), other.to_string_lossy());
            let own = sides.same_but_roots(one.as_bytes(), other.as_bytes());
            let kind = if own {
                CauseKind::OwnPath
            } else {
                CauseKind::Link
            };
            let cause = Cause::new(kind, format!("leads to {one}, then to {other}"));
            (FileKind::Changed, vec![cause])
        }),
        (Some(Node::File(one)), Some(Node::File(other))) => {
            let mut causes = Vec::new();
            if one.is_executable() != other.is_executable() {
                let says = format!("{:o}, then {:o}", one.mode, other.mode);
                causes.push(Cause::new(CauseKind::Mode, says));
            }
            let [before, after] = [read(sides, 0)?, read(sides, 1)?];
            if before != after {
                causes.extend(cause::find(sides, &before, &after));
            }
            (!causes.is_empty()).then_some((FileKind::Changed, causes))
        }
        (Some(one), Some(other)) => {
            let says = format!("{}, then {}", word(one), word(other));
            Some((FileKind::Changed, vec![Cause::new(CauseKind::Kind, says)]))
        }
    })
}

fn read(sides: &Sides<'_>, side: usize) -> Result<Vec<u8>, TreeDiffError> {
    let root = sides.roots.get(side).copied().unwrap_or(Path::new(""));
    // A tree may be a single file.
    let path = match sides.path.as_os_str().is_empty() {
        true => root.to_owned(),
        false => root.join(sides.path),
    };
    let bytes = foreign::read(&path, foreign::WHOLE);
    Ok(bytes.map_err(cannot("read", &path))?)
}

fn by_package(files: &[FileDiff]) -> Vec<PackageDiff> {
    let mut all: BTreeMap<String, PackageDiff> = BTreeMap::new();
    for file in files {
        let name = file.package.clone().unwrap_or_default();
        let package = all.entry(name.clone()).or_insert_with(|| PackageDiff {
            package: name,
            added: 0,
            removed: 0,
            changed: 0,
        });
        match file.kind {
            FileKind::Added => package.added += 1,
            FileKind::Removed => package.removed += 1,
            FileKind::Changed => package.changed += 1,
        }
    }
    all.into_values().collect()
}

/// Whose the files of a tree are.
struct Names {
    placed: BTreeMap<String, String>,
    owners: Owners,
}

impl Names {
    fn of(root: &Path, tree: &Node) -> Result<Self, TreeDiffError> {
        let provenance = match Utf8Path::from_path(root) {
            Some(root) => Provenance::of_tree(root)?,
            None => None,
        };
        let placed = provenance.iter().flat_map(|provenance| {
            let name = |owner: usize| provenance.owners.get(owner).cloned();
            (provenance.entries.iter())
                .filter_map(move |entry| Some((entry.path.as_str().to_owned(), name(entry.owner)?)))
        });
        Ok(Self {
            placed: placed.collect(),
            owners: Owners::of_walked(root, tree),
        })
    }

    fn name(&self, path: &Path) -> Option<String> {
        let placed = path.to_str().and_then(|path| self.placed.get(path));
        placed
            .cloned()
            .or_else(|| self.owners.of(path).map(str::to_owned))
    }
}
