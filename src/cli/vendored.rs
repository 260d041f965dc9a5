//! Artifacts and commits in a plain folder, as `lockwright fetch --vendor` writes it.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::Failure;
use crate::component::nix_graph::List;
use crate::core::artifact::Artifact;
use crate::core::scratch::Scratch;
use crate::decide::lock::is_file_name;
use crate::files::tree::{Record, Replaced, Tree, TreeOptions, TreePath};
use crate::obtain::fetch::{self, DownloadRequest, FetchOptions, Summary, vendor};
use crate::obtain::source::Revision;
use crate::obtain::source::git::{self, GitTree};
use crate::obtain::store::{Blob, Store};
use crate::transform::nix::nar;

/// One artifact that is wanted, of one of the locks.
pub(super) struct Needed {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) artifact: Artifact,
}

/// Git trees that are in the store, and what was asked for.
pub(super) type Trees = Vec<(Revision, GitTree)>;

/// Artifacts with their bytes, and where these came from.
pub(super) type Brought<'n> = (Summary, Vec<(&'n Needed, Blob)>);

/// Fetches artifacts.
pub(super) fn bring<'n>(
    store: &Store,
    options: &FetchOptions,
    needed: &'n [Needed],
) -> Result<Brought<'n>, Failure> {
    let wants: Vec<DownloadRequest<'_>> = needed
        .iter()
        .map(|needed| DownloadRequest {
            package: needed.package.clone(),
            artifact: &needed.artifact,
        })
        .collect();
    let (summary, blobs) = fetch::fetch_all(store, &wants, options);
    let summary = summary?;
    let all = needed.iter().zip(blobs);
    let all = all.filter_map(|(needed, blob)| Some((needed, blob?)));
    Ok((summary, all.collect()))
}

/// What a list names: files to be fetched, and git trees, which are there.
pub(super) fn of_list(
    store: &Store,
    options: &FetchOptions,
    list: List,
) -> Result<(Vec<Needed>, Trees), Failure> {
    let mut needed = Vec::new();
    for artifact in list.artifacts {
        if !is_file_name(&artifact.file_name) {
            let name = artifact.file_name.escape_debug();
            return Err(format!("the list has `{name}`, which is not a file name").into());
        }
        needed.push(Needed {
            package: artifact.file_name.clone(),
            version: String::new(),
            artifact,
        });
    }
    let mut trees = Trees::new();
    for commit in list.commits {
        let revision = Revision {
            url: commit.url,
            rev: commit.commit,
            submodules: commit.submodules,
        };
        let tree = git::fetch(store, &revision, options)?;
        trees.push((revision, tree));
    }
    Ok((needed, trees))
}

/// The NAR hash of the folder that `--vendor` would write of a list.
///
/// # Errors
/// When something of it cannot be obtained.
pub fn vendored_hash(store: &Store, options: &FetchOptions, list: List) -> Result<String, Failure> {
    let (needed, trees) = of_list(store, options, list)?;
    let (_, all) = bring(store, options, &needed)?;
    let held = Scratch::new("vendor")?;
    let out = held.path().join("all");
    let how = TreeOptions {
        record: Record::Nowhere,
        ..TreeOptions::default()
    };
    Ok(write_vendor(&out, &all, &trees, how)?.0)
}

/// Writes the folder and returns its NAR hash. Its provenance goes beside it: the folder holds the
/// artifacts and nothing else.
pub(super) fn write_vendor(
    out: &Utf8Path,
    all: &[(&Needed, Blob)],
    trees: &Trees,
    options: TreeOptions,
) -> Result<(String, Option<Replaced>), Failure> {
    let artifacts: Vec<&Artifact> = all.iter().map(|(needed, _)| &needed.artifact).collect();
    let tree = Tree::stage(out, options)?;
    let replaced = tree.replaced().cloned();
    let mut written = BTreeSet::new();
    for ((needed, blob), name) in all.iter().zip(vendor::names(&artifacts)) {
        let name = name.ok_or_else(|| {
            format!(
                "`{}` of {} cannot be vendored: the name is another artifact's too, and the lock \
                 gives no digest to tell them apart",
                needed.artifact.file_name, needed.package
            )
        })?;
        if written.insert(name.clone()) {
            let owner = tree.owner(&format!("{} {}", needed.package, needed.version), 0);
            tree.file(owner, &TreePath::new(&name)?, 0o644, &blob.verified()?)?;
        }
    }
    for (revision, git_tree) in trees {
        let name = git::vendored_name(&git_tree.commit, revision.submodules);
        let owner = tree.owner(&format!("{} {}", revision.url, git_tree.commit), 0);
        let bytes = git_tree.archive.verified()?;
        tree.file(owner, &TreePath::new(&name)?, 0o644, &bytes)?;
    }
    let staged = tree.finish();
    let hash = nar::hash_path(staged.root())?;
    staged.commit()?;
    Ok((hash.sri(), replaced))
}
