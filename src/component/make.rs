//! Making a component: the phases, in their order, into a staged tree.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use camino::Utf8Path;

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::prepare::{Prepared, nix_store};
use super::record::Record;
use super::{
    base, copy, elf, go, image, keep, links, node, patch, placing, python, run, shared, shebangs,
    smoke, workspace, wrap,
};
use crate::core::progress::warn;
use crate::decide::manifest;
use crate::files::tree::{Staged, Tree, TreeError};
use crate::install::python::installed::{self, Line};
use crate::transform::nix::reference::Search;
use crate::transform::nix::seal::fixed_output;

/// Makes the component at `out`, where nothing is changed unless all of it succeeds.
///
/// # Errors
/// With the phase that failed, and where the manifest asks for it.
pub fn make(
    context: &Context<'_>,
    prepared: &Prepared,
    out: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<Record, ComponentError> {
    let component = context.component;
    let tree =
        Tree::stage(out, placing::options(context)).map_err(context.failed("", "staging"))?;
    let replaced = tree.replaced().cloned();
    let mut changed: BTreeSet<PathBuf> = BTreeSet::new();
    let tree = base::place(context, tree, prefix, &mut changed)?;
    if let Some(prepared) = &prepared.python {
        python::place(context, prepared, &tree, prefix)?;
    }
    if let Some(prepared) = &prepared.node {
        node::place(context, prepared, &tree)?;
    }
    if let Some(prepared) = &prepared.go {
        go::place(context, prepared, &tree)?;
    }
    workspace::place(context, &prepared.workspace, &tree, prefix)?;
    copy::place(context, &tree, &mut changed)?;
    links::place(context, &tree, prefix)?;
    let collisions = tree.settle(false).map_err(context.failed("", "copy"))?;
    for collision in &collisions {
        warn(&format!("{}: {collision}", context.name));
        changed.insert(collision.path.as_str().into());
    }

    let staged = tree.finish();
    let root = staged.root();
    changed.extend(patch::make(context, &staged, prefix)?);
    run::make(context, &root, prefix)?;
    image::make(
        context,
        prepared.image.as_ref(),
        &root,
        staged.destination(),
    )?;
    if component.has_commands() {
        staged.inspect().map_err(context.failed("run", "run"))?;
    }
    keep::make(context, &root)?;
    wrap::make(context, &staged, prefix)?;
    changed.extend(shebangs::make(context, &root, prefix)?);
    changed.extend(elf::make(context, &root, prefix)?);
    links::check(context, &root)?;
    let sealing = |error: TreeError| context.failed("", "seal")(error);
    let owner = staged.owner(&format!("component {}", context.name));
    if component.has_commands() || component.image.is_some() || !component.keep.is_empty() {
        staged.rescan(owner).map_err(sealing)?;
    } else {
        let changed: Vec<&PathBuf> = changed.iter().collect();
        staged.rescan_at(owner, &changed).map_err(sealing)?;
    }
    let records = keep_records_true(&staged, &changed).map_err(context.failed("", "patch"))?;
    staged.rescan_at(owner, &records).map_err(sealing)?;
    if component.seal == manifest::Seal::FixedOutput {
        let search = Search::every(&nix_store(), &[]);
        let touched = fixed_output(root.as_std_path(), &staged.walked(), &search)
            .map_err(context.failed("seal", "seal"))?;
        staged.rescan_at(owner, &touched).map_err(sealing)?;
    }
    let tree = placing::set_metadata(context, &staged)?;
    smoke::check(context, &root, prefix)?;
    shared::give(context, &prepared.ingredients.key(), &staged);
    placing::put(context, prepared, staged, &tree, replaced)
}

/// Brings the RECORDs of packages whose files were changed up to date, and returns which were not.
fn keep_records_true(staged: &Staged, changed: &BTreeSet<PathBuf>) -> Result<Vec<PathBuf>, Cause> {
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let tree = staged.walked();
    let decide = |path: &Path| match (changed.contains(path), staged.facts(path)) {
        (false, _) => Line::Keep,
        (true, Some(facts)) => Line::Is(facts),
        (true, None) => Line::Drop,
    };
    let (root, records) = (staged.root(), installed::records(&tree));
    Ok(installed::update(
        root.as_std_path(),
        &records,
        decide,
        &BTreeMap::new(),
    )?)
}
