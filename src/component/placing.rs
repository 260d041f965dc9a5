//! How a component's tree is begun, sealed and put in its place, whoever made it.

use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;

use super::base;
use super::context::Context;
use super::error::ComponentError;
use super::prepare::Prepared;
use super::record::{self, Record};
use crate::core::walk::Node;
use crate::decide::manifest;
use crate::files::tree::{Record as Noted, Replaced, Staged, TreeOptions};
use crate::transform::nix::nar;
use crate::transform::nix::seal::{Seal, seal};

/// The time of every sealed file, as in a Nix store.
const SEALED: i64 = 1;

/// One that is only needed is found again by what is noted of it.
fn noted(context: &Context<'_>) -> Noted {
    let settings = context.settings;
    let wanted = settings.wanted(context.name);
    wanted.map_or(Noted::Beside, |_| settings.record)
}

/// How a component's tree is staged.
pub(super) fn options(context: &Context<'_>) -> TreeOptions {
    let settings = context.settings;
    base::options(settings.clear, noted(context), settings.precious.clone())
}

/// Puts a tree that is all made and sealed in its place, and notes what it was made from. `tree` is what is in it.
///
/// # Errors
/// When it cannot be read, or its place not be written to.
pub(super) fn put(
    context: &Context<'_>,
    prepared: &Prepared,
    staged: Staged,
    tree: &Node,
    replaced: Option<Replaced>,
) -> Result<Record, ComponentError> {
    let root = staged.root();
    let hash = nar::hash_walked(&root, tree).map_err(context.failed("", "seal"))?;
    debug_assert_eq!(
        nar::hash_path(&root).ok().as_ref(),
        Some(&hash),
        "{root} is what is known of it"
    );
    let (files, bytes) = record::count(tree);
    let record = Record {
        component: context.name.to_owned(),
        key: prepared.ingredients.key(),
        hash: hash.sri(),
        files,
        bytes,
        ingredients: prepared.ingredients.clone(),
    };
    // A folder that may not be written to cannot be renamed by its owner.
    let mode = mode_of(&root);
    set_mode(&root, 0o755);
    let listing = staged.listing();
    let placed = staged.commit().map_err(context.failed("", "placing"))?;
    if let Some(replaced) = replaced {
        eprintln!("{}: {placed} is new, and replaces {replaced}", context.name);
    }
    set_mode(&placed, mode);
    if noted(context) == Noted::Beside {
        record.write(&placed)?;
        (context.settings.store).stamp(&placed, &record.key, Some(&listing));
    }
    Ok(record)
}

fn mode_of(folder: &Utf8Path) -> u32 {
    let meta = std::fs::metadata(folder);
    meta.map_or(0o755, |meta| meta.permissions().mode() & 0o777)
}

/// Best effort: a mode that cannot be set shows when the folder is used.
fn set_mode(folder: &Utf8Path, mode: u32) {
    let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(mode));
}

/// Sets modes and times, as the seal has them, and returns what is in the tree.
///
/// # Errors
/// When something in it cannot be changed.
pub(super) fn set_metadata(context: &Context<'_>, staged: &Staged) -> Result<Node, ComponentError> {
    let tree = staged.walked();
    let how = context.component.seal;
    if how == manifest::Seal::None {
        return Ok(tree);
    }
    let how = Seal {
        writable: how != manifest::Seal::ReadOnly,
        mtime: SEALED,
    };
    seal(staged.root().as_std_path(), &tree, &how).map_err(context.failed("seal", "seal"))?;
    staged.note_sealed(|is_executable| how.mode(is_executable));
    Ok(tree)
}
