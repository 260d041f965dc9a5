//! After the commands, only what is asked for is kept.

use std::fs;
use std::path::Path;

use camino::Utf8Path;

use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::core::walk::{Node, walk};
use crate::transform::elf::Glob;

const PHASE: &str = "keep";

/// Removes everything from the tree that no entry of `keep` means.
///
/// # Errors
/// When an entry means nothing that is there, or something cannot be removed.
pub fn make(context: &Context<'_>, root: &Utf8Path) -> Result<(), ComponentError> {
    let keep = &context.component.keep;
    if keep.is_empty() {
        return Ok(());
    }
    let globs: Vec<Glob> = keep
        .iter()
        .map(|text| Glob::new(text.trim_start_matches("./").trim_end_matches('/')))
        .collect();
    let tree = walk(root.as_std_path()).map_err(context.failed("keep", PHASE))?;
    let mut used = vec![false; globs.len()];
    let removed = prune(root, Path::new(""), &tree, &globs, &mut used);
    removed.map_err(context.failed("keep", PHASE))?;
    match keep.iter().zip(used).find(|(_, used)| !used) {
        Some((text, _)) => {
            let what = format!("there is no {text} in the tree to be kept");
            Err(context.refuse(text, what))
        }
        None => Ok(()),
    }
}

/// Removes what is not kept below a folder; whether anything is left of it.
fn prune(
    root: &Utf8Path,
    path: &Path,
    node: &Node,
    globs: &[Glob],
    used: &mut [bool],
) -> Result<bool, Cause> {
    let text = path.to_str().unwrap_or_default();
    let meant = globs.iter().position(|glob| glob.matches(text));
    if let Some(used) = meant.and_then(|index| used.get_mut(index)) {
        *used = true;
        return Ok(true);
    }
    let place = root.as_std_path().join(path);
    let failed = |error| Cause::io("remove", &root.join(text))(error);
    let Node::Folder(entries) = node else {
        return fs::remove_file(&place).map(|()| false).map_err(failed);
    };
    let mut is_left = false;
    for (name, inside) in entries {
        is_left |= prune(root, &path.join(name), inside, globs, used)?;
    }
    if !is_left && !text.is_empty() {
        fs::remove_dir(&place).map_err(failed)?;
    }
    Ok(is_left)
}
