//! First lines of scripts, made to name interpreters that the finished tree will find.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};

use super::context::Context;
use super::copy::Filter;
use super::error::{Cause, ComponentError};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::walk::{Node, walk};
use crate::decide::manifest::{Parsed, Placeholder};
use crate::files::tree::TreePath;
use crate::transform::patch::shebang::{Decision, Rewritten, rewrite};
use crate::transform::patch::{FileChange, write};

const PHASE: &str = "shebangs";

/// How many files are named in a note.
const NAMED: usize = 3;

/// A folder that interpreters are looked for in.
struct Folder {
    /// Where it will be found.
    lives: String,
    /// Where it is.
    real: Utf8PathBuf,
}

/// Rewrites the first lines of the tree's executable files, and returns which it changed. What could
/// not be is told.
///
/// # Errors
/// When a file cannot be read or written.
pub fn make(
    context: &Context<'_>,
    root: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<BTreeSet<PathBuf>, ComponentError> {
    let Some(shebangs) = &context.component.shebangs else {
        return Ok(BTreeSet::new());
    };
    let folder = |template: &Parsed| {
        Ok(Folder {
            lives: context.runtime_path(template, prefix)?,
            real: real(context, template, root)?,
        })
    };
    let search = shebangs.search.iter().map(|template| folder(template));
    let search: Vec<Folder> = search.collect::<Result<_, ComponentError>>()?;
    let decide = |program: &str| decide(context, &search, root, prefix, program);
    let filter = Filter::without(&shebangs.exclude);
    let failed = |cause: Cause| context.failed(PHASE, PHASE)(cause);
    let tree = walk(root.as_std_path()).map_err(|error| failed(error.into()))?;
    let mut scripts: Vec<String> = Vec::new();
    tree.each(&mut |path: &Path, node| {
        if let (Node::File(file), Some(path)) = (node, path.to_str())
            && file.is_executable()
            && !filter.excludes(path)
        {
            scripts.push(path.to_owned());
        }
    });
    let mut changes = Vec::new();
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in scripts {
        let Some(bytes) = script(root, &path)
            .map_err(|error| failed(cannot("read", &root.join(&path))(error).into()))?
        else {
            continue;
        };
        match rewrite(&bytes, &decide) {
            Rewritten::Not => {}
            Rewritten::To(bytes) => changes.push(FileChange {
                path: TreePath::new(&path).map_err(|error| failed(error.into()))?,
                bytes: Some(bytes),
                executable: None,
                from: None,
            }),
            Rewritten::Nowhere(program) => {
                let program = foreign::shown(&program);
                let why = format!("`{program}`, which `search` of shebangs does not have");
                told.entry(format!("started by {why}"))
                    .or_default()
                    .push(path);
            }
            Rewritten::Odd(why) => told.entry(why.to_owned()).or_default().push(path),
        }
    }
    for (why, paths) in told {
        eprintln!(
            "note: {}: left as it was, {why}: {}",
            context.name,
            listed(&paths)
        );
    }
    write(root.as_std_path(), &changes)
        .map_err(|error| failed(Cause::Said(Context::plain(&error, root))))?;
    let changed = changes
        .into_iter()
        .map(|change| change.path.as_str().into());
    Ok(changed.collect())
}

/// Where a folder that interpreters are looked for in is now.
fn real(
    context: &Context<'_>,
    template: &Parsed,
    root: &Utf8Path,
) -> Result<Utf8PathBuf, ComponentError> {
    let mut holes = template.placeholders();
    let is_own = |hole| {
        matches!(
            hole,
            &Placeholder::Out | &Placeholder::Prefix | &Placeholder::Site
        )
    };
    match holes.any(is_own) {
        true => Ok(match context.in_tree(template)? {
            Some(path) => root.join(path.as_str()),
            None => root.to_owned(),
        }),
        false => context.reading(template, None),
    }
}

/// What becomes of an interpreter, named by its path or its name.
fn decide(
    context: &Context<'_>,
    search: &[Folder],
    root: &Utf8Path,
    prefix: &Utf8Path,
    program: &str,
) -> Decision {
    let path = Utf8Path::new(program);
    if let Ok(inside) = path.strip_prefix(prefix)
        && root.join(inside).exists()
    {
        return Decision::Keep;
    }
    let mut made = context.made.values();
    if made.any(|made| {
        path.strip_prefix(&made.prefix)
            .is_ok_and(|inside| made.path.join(inside).exists())
    }) {
        return Decision::Keep;
    }
    let Some(name) = path.file_name() else {
        return Decision::Nowhere;
    };
    let is_there = |folder: &&Folder| folder.real.join(name).exists();
    let mut there = search.iter().filter(is_there);
    let said = path.parent().map_or("", Utf8Path::as_str);
    if program.contains('/')
        && there
            .clone()
            .any(|folder| folder.lives.trim_end_matches('/') == said)
    {
        return Decision::Keep;
    }
    match there.next() {
        Some(folder) => Decision::Use(format!("{}/{name}", folder.lives.trim_end_matches('/'))),
        None => Decision::Nowhere,
    }
}

/// A file's bytes, where it begins as a script does.
fn script(root: &Utf8Path, path: &str) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = foreign::open_inside(root, path)?;
    let mut bytes = vec![0; 2];
    if file.read_exact(&mut bytes).is_err() || bytes != *b"#!" {
        return Ok(None);
    }
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

fn listed(paths: &[String]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(NAMED)
        .map(|path| foreign::shown(path))
        .collect();
    match paths.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
