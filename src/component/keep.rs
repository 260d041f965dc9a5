//! After the commands, only what is asked for is kept, where it is or elsewhere.

use std::fs;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};

use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::core::io_error::cannot;
use crate::core::walk::{Node, walk};
use crate::decide::manifest::Keep;
use crate::files::tree::TreePath;
use crate::transform::elf::Glob;

const PHASE: &str = "keep";

/// Removes everything from the tree that no entry of `keep` means, and moves what shall be elsewhere.
///
/// # Errors
/// When an entry means nothing that is there, or something cannot be removed or moved.
pub fn make(context: &Context<'_>, root: &Utf8Path) -> Result<(), ComponentError> {
    let keep = &context.component.keep;
    if keep.is_empty() {
        return Ok(());
    }
    let globs: Vec<Glob> = keep.iter().map(|one| Glob::new(plain(&one.from))).collect();
    let tree = walk(root.as_std_path()).map_err(context.failed("keep", PHASE))?;
    let mut used = vec![false; globs.len()];
    let removed = prune(root, Path::new(""), &tree, &globs, &mut used);
    removed.map_err(context.failed("keep", PHASE))?;
    if let Some((one, _)) = keep.iter().zip(used).find(|(_, used)| !used) {
        let what = format!("there is no {} in the tree to be kept", one.from);
        return Err(context.refuse(&one.from, what));
    }
    move_all(context, root, keep)
}

/// As globs have it.
fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

/// Moves what shall be elsewhere: all of it out of the tree first, so that none is in another's way.
fn move_all(context: &Context<'_>, root: &Utf8Path, keep: &[Keep]) -> Result<(), ComponentError> {
    let moved = keep
        .iter()
        .filter_map(|one| Some((one, one.to.as_deref()?)));
    let aside = root.with_file_name("moved");
    let mut waiting: Vec<(Utf8PathBuf, &Keep, &str)> = Vec::new();
    for (index, (one, to)) in moved.enumerate() {
        let from = TreePath::new(plain(&one.from)).map_err(context.failed(&one.from, PHASE))?;
        let place = root.join(from.as_str());
        if place.symlink_metadata().is_err() {
            let what = format!("{from} is not a path in the tree: a path can be moved, not a glob");
            return Err(context.refuse(&one.from, what));
        }
        let beside = aside.join(index.to_string());
        fs::create_dir_all(&aside)
            .and_then(|()| fs::rename(&place, &beside))
            .map_err(|error| context.failed(&one.from, PHASE)(cannot("move", &place)(error)))?;
        // Folders that have nothing in them any more go, too.
        let mut above = place.parent();
        while let Some(folder) = above.filter(|one| *one != root && fs::remove_dir(one).is_ok()) {
            above = folder.parent();
        }
        waiting.push((beside, one, to));
    }
    for (beside, one, to) in waiting {
        for (from, place) in places(context, root, beside, one, plain(to))? {
            if place.symlink_metadata().is_ok() {
                let what = format!("{} cannot go to {to}: something is there", one.from);
                return Err(context.refuse(&one.from, what));
            }
            fs::create_dir_all(place.parent().unwrap_or(root))
                .and_then(|()| fs::rename(&from, &place))
                .map_err(|error| context.failed(to, PHASE)(cannot("make", &place)(error)))?;
        }
    }
    // What is left are empty folders.
    let _ = fs::remove_dir_all(&aside);
    Ok(())
}

/// What is to be moved back into the tree, and where each goes.
fn places(
    context: &Context<'_>,
    root: &Utf8Path,
    beside: Utf8PathBuf,
    one: &Keep,
    to: &str,
) -> Result<Vec<(Utf8PathBuf, Utf8PathBuf)>, ComponentError> {
    if !matches!(to, "" | ".") {
        let to = TreePath::new(to).map_err(context.failed(to, PHASE))?;
        return Ok(vec![(beside, root.join(to.as_str()))]);
    }
    let entries = beside.read_dir_utf8().map_err(|_| {
        let what = format!(
            "{} is not a folder whose contents could become the tree",
            one.from
        );
        context.refuse(&one.from, what)
    })?;
    let place =
        |entry: camino::Utf8DirEntry| (entry.path().to_owned(), root.join(entry.file_name()));
    Ok(entries.flatten().map(place).collect())
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
    let failed = |error| cannot("remove", &root.join(text))(error);
    let Node::Folder(entries) = node else {
        return Ok(fs::remove_file(&place).map(|()| false).map_err(failed)?);
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
