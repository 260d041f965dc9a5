//! Whether a `node_modules` is what a plan would make of it: each of its trees was made from the same
//! and has not been touched since, and what the project has besides would lead to no other tree.

use std::fs;
use std::io::BufWriter;

use camino::Utf8Path;

use super::links::unstartable;
use super::trees::{MODULES, prefixes};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::decide::lock::npm::NpmLock;
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::files::tree::Tree;
use crate::obtain::store::{Look, Store};

/// A digest of all that decides about a tree.
pub fn made_from(lock: &NpmLock, plan: &NpmPlan, hidden_lockfile: bool) -> Digest {
    // All that the hidden lockfile is made of, which itself takes longer.
    let recorded = || {
        let packages = plan.packages.iter().map(|package| &package.recorded);
        let packages: Vec<_> = packages.collect();
        (&lock.header, &lock.indent, lock.newline, packages)
    };
    let all = (
        env!("CARGO_PKG_VERSION"),
        plan,
        hidden_lockfile.then(recorded),
    );
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = BufWriter::new(&mut hasher);
    // Neither a plan nor a hasher fails; and a digest over less would be another.
    let _ = serde_json::to_writer(&mut buffer, &all);
    drop(buffer);
    hasher.finish()
}

/// A look at the tree that is there in any case, which begins before there is a plan: the project's own
/// `node_modules`, or where all is collected.
pub fn look(store: &Store, project: &Utf8Path, out: Option<&Utf8Path>) -> Option<Look> {
    let own = project.join(MODULES.trim_end_matches('/'));
    store.look(out.unwrap_or(&own))
}

/// Sweeps away what killed runs have left beside the trees, where there is nothing else to do; see [`Tree::sweep`].
pub fn sweep(plan: &NpmPlan, (root, collected): (&Utf8Path, bool)) {
    if collected {
        return Tree::sweep(root);
    }
    for prefix in prefixes(plan) {
        Tree::sweep(&root.join(prefix.trim_end_matches('/')));
    }
}

/// Whether there is nothing to do below a folder: the project's, or where all is collected. `looked` is
/// what [`look`] has begun.
pub fn is_current(
    store: &Store,
    looked: Option<Look>,
    made_from: &Digest,
    lock: &NpmLock,
    plan: &NpmPlan,
    (root, collected): (&Utf8Path, bool),
) -> bool {
    let is_as_it_was = |look: Option<Look>| look.is_some_and(|look| look.finds(made_from));
    if !is_as_it_was(looked) {
        return false;
    }
    if collected {
        return true;
    }
    let prefixes = prefixes(plan);
    let is_there = |path: &str| fs::symlink_metadata(root.join(path)).is_ok();
    // A workspace's node_modules that nothing is in has to go.
    let is_left = plan.packages.iter().any(|package| {
        let modules = format!("{}/{MODULES}", package.location);
        let is_folder = matches!(package.source, NpmSource::Folder);
        is_folder && !prefixes.contains(&*modules) && is_there(modules.trim_end_matches('/'))
    });
    // A workspace's program that was not there yet has no link.
    let mut bins = plan.bins.iter();
    let has_new = bins.any(|bin| !is_there(bin.link.as_str()) && is_there(bin.file.as_str()));
    let workspaces = prefixes.iter().filter(|prefix| **prefix != MODULES);
    let mut trees = workspaces.map(|prefix| root.join(prefix.trim_end_matches('/')));
    // npm makes the project's own programs ones that can be started.
    let can_start = || unstartable(lock, plan).is_ok_and(|all| all.is_empty());
    !is_left && !has_new && trees.all(|tree| is_as_it_was(store.look(&tree))) && can_start()
}
