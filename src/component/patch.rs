//! Edits of the tree, in the manifest's order. Each is made or refused; RECORDs of packages whose
//! files are edited stay true.

use std::collections::BTreeSet;
use std::path::PathBuf;

use camino::Utf8Path;

use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::decide::manifest::{Diff, Migration, Patch, Substitute};
use crate::files::tree::{Staged, TreePath};
use crate::transform::patch::apps::Apps;
use crate::transform::patch::migration::{self, Added, add_dependency};
use crate::transform::patch::substitute::substitute;
use crate::transform::patch::unified;

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
    for patch in &context.component.patch {
        match patch {
            Patch::Substitute(patch) => {
                let path = replace(context, staged, prefix, patch)?;
                changed.insert(path.as_str().into());
            }
            Patch::Migration(patch) => {
                let path = depend(context, staged, patch)?;
                changed.insert(path.as_str().into());
            }
            Patch::Diff(patch) => changed.extend(apply(context, staged, patch)?),
        }
    }
    Ok(changed)
}

/// A file of the tree that an edit names.
fn read(
    context: &Context<'_>,
    staged: &Staged,
    said: &str,
    path: &TreePath,
) -> Result<Vec<u8>, ComponentError> {
    let file = staged.root().join(path.as_str());
    let is_file = std::fs::symlink_metadata(&file).is_ok_and(|meta| meta.is_file());
    if !is_file {
        let what = match file.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => format!("{path} is a link: name the file itself"),
            Ok(_) => format!("{path} is no file"),
            Err(_) => format!("there is no {path} in the tree to be patched"),
        };
        return Err(context.refuse(said, what));
    }
    std::fs::read(&file)
        .map_err(|error| context.failed(said, PHASE)(Cause::io("read", &file)(error)))
}

fn replace(
    context: &Context<'_>,
    staged: &Staged,
    prefix: &Utf8Path,
    patch: &Substitute,
) -> Result<TreePath, ComponentError> {
    let said = patch.file.as_written();
    let path = context.file_in_tree(&patch.file)?;
    let text = read(context, staged, said, &path)?;
    let replace = context.runtime_path(&patch.replace, prefix)?;
    let with = context.runtime_path(&patch.with, prefix)?;
    // The text that is not found is what a person looks for in the manifest.
    let first = patch
        .replace
        .as_written()
        .lines()
        .next()
        .unwrap_or_default();
    let done = substitute(&text, replace.as_bytes(), with.as_bytes(), patch.count)
        .map_err(|error| context.refuse(first, format!("{path}: {error}")))?;
    staged
        .edit(&path, &done.bytes)
        .map_err(context.failed(said, PHASE))?;
    Ok(path)
}

fn depend(
    context: &Context<'_>,
    staged: &Staged,
    patch: &Migration,
) -> Result<TreePath, ComponentError> {
    let said = patch.migration.as_written();
    let path = context.file_in_tree(&patch.migration)?;
    let bytes = read(context, staged, said, &path)?;
    let on = migration::Migration {
        app: patch.depends_on.0.clone(),
        name: patch.depends_on.1.clone(),
    };
    let refuse = |why: String| context.refuse(said, format!("{path}: {why}"));
    let text = String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".into()))?;
    match add_dependency(&text, &on).map_err(|error| refuse(error.to_string()))? {
        Added::There(line) => {
            return Err(refuse(format!(
                "line {line} has {on} already: it has been fixed there; leave this patch out"
            )));
        }
        Added::Text(text) => {
            let file = staged.root().join(path.as_str()).into_std_path_buf();
            let apps = Apps::below(&[Apps::root_of(&file)]);
            let apps = apps.map_err(context.failed(said, PHASE))?;
            let checked = apps.check(&file, &on);
            checked.map_err(|error| refuse(Context::plain(&error, &staged.root())))?;
            let edited = staged.edit(&path, text.as_bytes());
            edited.map_err(context.failed(said, PHASE))?;
        }
    }
    Ok(path)
}

fn apply(
    context: &Context<'_>,
    staged: &Staged,
    patch: &Diff,
) -> Result<Vec<PathBuf>, ComponentError> {
    let said = patch.diff.as_written();
    let root = staged.root();
    let file = context.reading(&patch.diff, Some(&root))?;
    let text = std::fs::read(&file);
    let text =
        text.map_err(|error| context.failed(said, PHASE)(Cause::io("read", &file)(error)))?;
    let below = match &patch.root {
        Some(below) => context.in_tree(below)?,
        None => None,
    };
    let in_tree = |path: &TreePath| match &below {
        Some(below) => TreePath::new(format!("{below}/{path}")),
        None => Ok(path.clone()),
    };
    let refuse = |error: unified::UnifiedError| {
        context.refuse(said, format!("{file}: {}", Context::plain(&error, &root)))
    };
    let patches = unified::parse(&text, patch.strip.unwrap_or(1)).map_err(refuse)?;
    let read = |path: &TreePath| {
        let path = in_tree(path).map_err(std::io::Error::other)?;
        match std::fs::read(root.join(path.as_str())) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    };
    let changes = unified::apply(&patches, patch.fuzz, read).map_err(refuse)?;
    let mut changed = Vec::new();
    for change in &changes {
        for note in &change.notes {
            eprintln!("note: {file}: {}: {note}", change.path);
        }
        let path = in_tree(&change.path).map_err(context.failed(said, PHASE))?;
        let place = root.join(path.as_str());
        let done = match &change.bytes {
            None => staged.remove(&path),
            Some(bytes) => {
                let model = change.from.as_ref().unwrap_or(&change.path);
                let model = in_tree(model).map_err(context.failed(said, PHASE))?;
                let old = std::fs::metadata(root.join(model.as_str()));
                let was = old.is_ok_and(|meta| {
                    use std::os::unix::fs::PermissionsExt as _;
                    meta.permissions().mode() & 0o100 != 0
                });
                match place.symlink_metadata() {
                    Ok(_) if change.executable.is_none() => staged.edit(&path, bytes),
                    _ => {
                        let mode = match change.executable.unwrap_or(was) {
                            true => 0o755,
                            false => 0o644,
                        };
                        staged.put(staged.owner(said), &path, mode, bytes)
                    }
                }
            }
        };
        done.map_err(context.failed(said, PHASE))?;
        changed.push(path.as_str().into());
    }
    Ok(changed)
}
