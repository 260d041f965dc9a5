//! What a component starts from: another one's tree, imported file by file. An environment in its
//! fixed-output form is restored for the place where it will live; any other is brought into that
//! form first, since its scripts name the place where the other one lives.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::context::Context;
use super::copy::Filter;
use super::error::{Cause, ComponentError};
use crate::core::io_error::cannot;
use crate::core::walk::{Node, walk};
use crate::files::tree::{
    Content, FileFacts, LinkMode, Precious, Provenance, Record, Replace, Tree, TreeOptions,
    TreePath,
};
use crate::transform::nix::reference::Search;
use crate::transform::nix::restore::restore;
use crate::transform::nix::seal::{PLACEHOLDER, fixed_output};

const PHASE: &str = "base";

/// Puts the base in the tree, ready to be used at `prefix`. What was left out of it is added to `changed`.
///
/// # Errors
/// When it is no tree, or cannot be restored.
pub fn place(
    context: &Context<'_>,
    tree: Tree,
    prefix: &Utf8Path,
    changed: &mut BTreeSet<PathBuf>,
) -> Result<Tree, ComponentError> {
    let Some(base) = &context.component.base else {
        return Ok(tree);
    };
    let said = base.from.as_written();
    let from = context.reading(&base.from, None)?;
    if !from.is_dir() {
        return Err(context.refuse(said, format!("there is no folder {from} to start from")));
    }
    let filter = Filter::without(&base.exclude);
    let left = import(&tree, &from, said, &filter).map_err(context.failed(said, PHASE))?;
    if let Some(unused) = filter.unused(&left) {
        let what = format!("nothing in {said} is called `{unused}`, to be left out");
        return Err(context.refuse(unused, what));
    }
    changed.extend(left.into_iter().map(PathBuf::from));
    let config = tree.root().join("pyvenv.cfg");
    let text = match std::fs::read_to_string(&config) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(tree),
        Err(error) => {
            return Err(context.failed(said, PHASE)(cannot("read", &config)(error)));
        }
    };
    let root = tree.root();
    if !text.contains(PLACEHOLDER) {
        // No store has this name, so nothing is stripped.
        let none = Search::every("/.lockwright-no-store", &[]);
        fixed_output(root.as_std_path(), &none).map_err(context.failed(said, PHASE))?;
    }
    let python = context.python()?.path();
    let made = restore(root.as_std_path(), &python, prefix);
    let made = made.map_err(context.failed(said, PHASE))?;
    tracing::info!("{}: restored, with {} scripts", context.name, made.len());
    let staged = tree.finish();
    let owner = staged.owner("lockwright");
    staged.rescan(owner).map_err(context.failed(said, PHASE))?;
    Ok(staged.reopen())
}

/// Copies all of a tree into another. Who brought which file is taken from its record where it has
/// one; else it is `owner`. Returns what the filter has left out.
///
/// # Errors
/// When a file cannot be read or placed.
fn import(
    tree: &Tree,
    from: &Utf8Path,
    owner: &str,
    filter: &Filter,
) -> Result<Vec<String>, Cause> {
    let known = Provenance::of_tree(from)?;
    let mut facts: HashMap<&str, (FileFacts, usize)> = HashMap::new();
    for entry in known.iter().flat_map(|known| &known.entries) {
        if let Content::File(file) = &entry.content {
            facts.insert(entry.path.as_str(), (*file, entry.owner));
        }
    }
    let owners: Vec<_> = known.iter().flat_map(|known| &known.owners).collect();
    let owners: Vec<_> = owners.iter().map(|name| tree.owner(name, 0)).collect();
    let other = tree.owner(owner, 0);
    let mut entries: Vec<(String, &Node)> = Vec::new();
    let (mut left, mut unnamed) = (Vec::new(), None);
    let walked = walk(from.as_std_path())?;
    walked.each(&mut |path: &Path, node| match path.to_str() {
        Some("") => {}
        Some(path) if filter.excludes(path) => left.push(path.to_owned()),
        Some(path) => entries.push((path.to_owned(), node)),
        None => unnamed = Some(path.to_owned()),
    });
    if let Some(path) = unnamed {
        let path = from.as_std_path().join(path);
        return Err(Cause::Said(format!(
            "{} has a name that is not UTF-8",
            path.display()
        )));
    }
    entries.par_iter().try_for_each(|(inside, node)| {
        let path = TreePath::new(inside)?;
        let source: Utf8PathBuf = from.join(inside);
        match node {
            Node::Folder(inside) if inside.is_empty() => tree.folder(other, &path)?,
            Node::Folder(_) => {}
            Node::Link(target) => {
                let target = target.to_string_lossy();
                tree.link_anywhere(other, &path, &target)?;
            }
            Node::File(file) => {
                let mode = if file.is_executable() { 0o755 } else { 0o644 };
                let recorded = facts.get(inside.as_str());
                match recorded.filter(|(facts, _)| facts.size == file.size) {
                    Some((facts, by)) => {
                        let owner = owners.get(*by).copied().unwrap_or(other);
                        let facts = FileFacts { mode, ..*facts };
                        tree.link(owner, &path, facts, &source, LinkMode::Reflink)?;
                    }
                    None => {
                        tree.copy(other, &path, Some(mode.into()), &source)?;
                    }
                }
            }
        }
        Ok::<_, Cause>(())
    })?;
    Ok(left)
}

/// How a component's tree is staged.
pub fn options(clear: bool, record: Record, precious: Precious) -> TreeOptions {
    TreeOptions {
        replace: Replace::cleared(clear),
        record,
        precious,
    }
}
