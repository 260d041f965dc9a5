//! Components that were made elsewhere, taken out of a store that machines share, and given to it.
//!
//! What is shared is the finished tree, packed, and the record of who put which file there. Each is found by
//! the component's key, and trusted as a built wheel is: if a trusted key has signed it. Only sealed
//! trees are shared: their modes and times follow from what is packed, so they come out the same.

use std::collections::HashMap;
use std::fs;

use camino::Utf8Path;

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::placing;
use super::prepare::Prepared;
use super::record::Record;
use crate::core::digest::{Algorithm, Digest};
use crate::core::io_error::cannot;
use crate::core::progress::warn;
use crate::core::scratch::Scratch;
use crate::decide::manifest::Seal;
use crate::files::archive::Limits;
use crate::files::tree::{Provenance, Staged, Tree, TreePath};
use crate::obtain::source::{self, Shape};
use crate::obtain::store::Blob;

/// Where the two parts of a component are found.
fn keys(component: &Digest) -> [Digest; 2] {
    ["tree", "provenance"].map(|part| {
        let text = format!("component {part}, form 1\n{component}\n");
        Digest::of(Algorithm::Sha256, text.as_bytes())
    })
}

/// Puts a component in its place as it was made elsewhere; none where it has to be made here.
///
/// # Errors
/// When its place cannot be written to.
pub fn take(
    context: &Context<'_>,
    prepared: &Prepared,
    out: &Utf8Path,
) -> Result<Option<Record>, ComponentError> {
    let settings = context.settings;
    if settings.fetch.shared.is_none() || context.component.seal == Seal::None {
        return Ok(None);
    }
    let built = |key: &Digest| Some(settings.fetch.built(settings.store, key)?.1);
    let [packed, noted] = keys(&prepared.ingredients.key());
    let Some((packed, noted)) = built(&packed).and_then(|packed| Some((packed, built(&noted)?)))
    else {
        return Ok(None);
    };
    let tree =
        Tree::stage(out, placing::options(context)).map_err(context.failed("", "staging"))?;
    let replaced = tree.replaced().cloned();
    if let Err(why) = fill(context, &tree, &packed, &noted) {
        let name = context.name;
        warn(&format!(
            "{name} as it was made elsewhere cannot be taken, and is made here: {why}"
        ));
        return Ok(None);
    }
    let staged = tree.finish();
    let tree = placing::set_metadata(context, &staged)?;
    placing::put(context, prepared, staged, &tree, replaced).map(Some)
}

/// All files of a component, with their owners.
fn fill(context: &Context<'_>, tree: &Tree, packed: &Blob, noted: &Blob) -> Result<(), Cause> {
    let provenance = Provenance::parse(&noted.path, &noted.verified()?)?;
    let names = provenance.owners.iter();
    let names: Vec<_> = names.map(|name| tree.owner(name, 0)).collect();
    let own = tree.owner(&format!("component {}", context.name), 0);
    let entries = provenance.entries.iter();
    let owners: HashMap<&str, _> = entries
        .filter_map(|entry| Some((entry.path.as_str(), *names.get(entry.owner)?)))
        .collect();
    let owner = |path: &TreePath| owners.get(path.as_str()).copied().unwrap_or(own);
    let limits = &Limits::default();
    source::unpack_into(packed, context.name, Shape::Packed, tree, &owner, limits)?;
    Ok(())
}

/// Gives a component that was made here to whoever shares. What goes wrong costs a warning.
pub fn give(context: &Context<'_>, key: &Digest, staged: &Staged) {
    let shared = &context.settings.fetch.shared;
    let takes = || shared.as_ref().is_some_and(|shared| shared.takes_built());
    if context.component.seal == Seal::None || !takes() {
        return;
    }
    if let Err(why) = pack(context, key, staged) {
        let name = context.name;
        warn(&format!(
            "{name} cannot be given to the shared store: {why}"
        ));
    }
}

fn pack(context: &Context<'_>, key: &Digest, staged: &Staged) -> Result<(), Cause> {
    let settings = context.settings;
    let name = context.name;
    let held = Scratch::new("share").map_err(cannot("make a folder in", "/tmp"))?;
    let [packed, noted] = keys(key);
    let made_by = format!("component {name}");
    let keep = |key: &Digest, file_name: &str| {
        let file = held.path().join(file_name);
        (settings.fetch).keep_built(settings.store, key, file_name, &file, &made_by)
    };
    let file_name = format!("{name}.provenance.json");
    let file = held.path().join(&file_name);
    let write = || staged.provenance().write(fs::File::create_new(&file)?);
    write().map_err(cannot("write", &file))?;
    keep(&noted, &file_name)?;
    let file_name = format!("{name}.tar.gz");
    source::pack(&staged.root(), &held.path().join(&file_name), None)?;
    keep(&packed, &file_name)?;
    Ok(())
}
