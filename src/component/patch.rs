//! Edits of the tree, in the manifest's order. Each is made or refused; RECORDs of packages whose
//! files are edited stay true.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use camino::Utf8Path;

use super::context::Context;
use super::edits::Edit;
use super::error::{Cause, ComponentError};
use crate::files::tree::Staged;
use crate::transform::patch::FileChange;

const PHASE: &str = "patch";

/// Makes the component's edits, and returns which files they changed.
///
/// # Errors
/// When one cannot be made.
pub fn make(
    context: &Context<'_>,
    staged: &Staged,
    prefix: &Utf8Path,
) -> Result<BTreeSet<PathBuf>, ComponentError> {
    let mut changed = BTreeSet::new();
    let root = staged.root();
    for patch in &context.component.patch {
        let text = |template: &_| context.runtime_path(template, prefix);
        let edit = Edit::resolve(context, patch, Some(&root), &text)?;
        let changes = edit.changes(&root);
        let changes = changes.map_err(|why| context.refuse(&why.said, why.what))?;
        for change in changes {
            put(staged, &edit.said, &change).map_err(context.failed(&edit.said, PHASE))?;
            changed.insert(change.path.as_str().into());
        }
    }
    Ok(changed)
}

fn put(staged: &Staged, said: &str, change: &FileChange) -> Result<(), Cause> {
    let (root, path) = (staged.root(), &change.path);
    let Some(bytes) = &change.bytes else {
        return Ok(staged.remove(path)?);
    };
    let is_there = root.join(path.as_str()).symlink_metadata().is_ok();
    if is_there && change.executable.is_none() {
        return Ok(staged.edit(path, bytes)?);
    }
    let model = change.from.as_ref().unwrap_or(path);
    let old = std::fs::metadata(root.join(model.as_str()));
    let was = old.is_ok_and(|meta| meta.permissions().mode() & 0o100 != 0);
    let mode = match change.executable.unwrap_or(was) {
        true => 0o755,
        false => 0o644,
    };
    Ok(staged.put(staged.owner(said), path, mode, bytes)?)
}
