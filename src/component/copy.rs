//! Copies: files and folders of sources, components and the manifest's folder, into the tree.
//!
//! What is copied later wins over what was there, and it is told. Of a mode the executable bit is
//! kept. Links are kept too, and must stay in the tree. Version control and bytecode of a source are
//! never copied: they are not part of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::context::Context;
use super::error::{Cause, ComponentError};
use crate::core::walk::{Node, walk};
use crate::decide::manifest::Copy;
use crate::files::tree::{Owner, Tree, TreePath};
use crate::transform::elf::Glob;

const PHASE: &str = "copy";

/// What of a folder is copied, and how.
#[derive(Debug, Default)]
pub struct Filter {
    exclude: Vec<(String, Glob)>,
    executable: Vec<Glob>,
}

/// Makes the component's copies, in the manifest's order. What they replace is added to `changed`.
///
/// # Errors
/// When something to be copied is not there, or cannot be placed.
pub fn place(
    context: &Context<'_>,
    tree: &Tree,
    changed: &mut BTreeSet<PathBuf>,
) -> Result<(), ComponentError> {
    for (index, copy) in context.component.copy.iter().enumerate() {
        let said = copy.from.as_written();
        let from = context.reading(&copy.from, None)?;
        let to = context.in_tree(&copy.to)?;
        if !from.exists() {
            return Err(context.refuse(said, format!("there is no {from} to copy")));
        }
        if from.is_file() && to.is_none() {
            let what = "it is a file, and `to` is the tree itself: say what it is called there";
            return Err(context.refuse(said, what));
        }
        if copy.replace {
            let there = match &to {
                Some(to) => tree.clear(to).map_err(context.failed(said, PHASE))?,
                None => Vec::new(),
            };
            if there.is_empty() {
                let to = copy.to.as_written();
                let what = format!("there is nothing at {to} whose place it could take: `replace`");
                return Err(context.refuse(to, what));
            }
            changed.extend(there.iter().map(|path| PathBuf::from(path.as_str())));
        }
        let filter = Filter::of(copy);
        let owner = tree.owner(said, 1000 + index as u64);
        let copied = folder(tree, owner, &from, to.as_ref(), &filter)
            .map_err(context.failed(said, PHASE))?;
        for glob in &copy.executable {
            let pattern = Glob::new(glob);
            if !copied.iter().any(|path| means(&pattern, path)) {
                let what = format!("nothing in {said} is called `{glob}`, to be made executable");
                return Err(context.refuse(glob, what));
            }
        }
    }
    Ok(())
}

impl Filter {
    /// All but what these globs mean.
    pub fn without(exclude: &[String]) -> Self {
        Self {
            exclude: exclude
                .iter()
                .map(|text| (text.clone(), Glob::new(text)))
                .collect(),
            executable: Vec::new(),
        }
    }

    fn of(copy: &Copy) -> Self {
        Self {
            executable: copy.executable.iter().map(|text| Glob::new(text)).collect(),
            ..Self::without(&copy.exclude)
        }
    }

    /// Whether a glob means a path or a folder that it is in.
    pub fn excludes(&self, path: &str) -> bool {
        let ends = path.match_indices('/').map(|(end, _)| end);
        let mut folders = ends.chain([path.len()]).filter_map(|end| path.get(..end));
        folders.any(|path| self.exclude.iter().any(|(_, glob)| means(glob, path)))
    }

    /// A glob that means none of the paths, nor a folder that they are in.
    pub fn unused(&self, paths: &[String]) -> Option<&str> {
        let is_used = |glob: &Glob| paths.iter().any(|path| means(glob, path));
        let mut unused = self.exclude.iter().filter(|(_, glob)| !is_used(glob));
        unused.next().map(|(text, _)| text.as_str())
    }

    fn leaves_out(&self, path: &str, node: &Node) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let is_of_no_source = match node {
            Node::Folder(_) => matches!(name, ".git" | ".hg" | ".svn" | "__pycache__"),
            _ => name == ".git" || name.ends_with(".pyc"),
        };
        is_of_no_source || self.exclude.iter().any(|(_, glob)| means(glob, path))
    }

    fn mode(&self, path: &str, is_executable: bool) -> u32 {
        match is_executable || self.executable.iter().any(|glob| means(glob, path)) {
            true => 0o755,
            false => 0o644,
        }
    }
}

/// Whether a pattern means a path: all of it, or its last part.
fn means(glob: &Glob, path: &str) -> bool {
    glob.matches(path) || glob.matches(path.rsplit('/').next().unwrap_or(path))
}

/// Copies a file, or what is in a folder. Returns the paths that were copied, relative to `from`; a
/// file's is its name.
///
/// # Errors
/// When something cannot be read or placed.
pub fn folder(
    tree: &Tree,
    owner: Owner,
    from: &Utf8Path,
    to: Option<&TreePath>,
    filter: &Filter,
) -> Result<Vec<String>, Cause> {
    let walked = walk(from.as_std_path())?;
    let name = from.file_name().unwrap_or_default();
    let mut entries: Vec<(String, &Node)> = Vec::new();
    let mut left_out: Option<String> = None;
    let mut odd = None;
    walked.each(&mut |path: &Path, node| {
        let Some(path) = path.to_str() else {
            odd = Some(path.to_owned());
            return;
        };
        let below_left_out = left_out.as_ref().is_some_and(|folder| {
            let rest = path.strip_prefix(folder.as_str());
            rest.is_some_and(|rest| rest.starts_with('/'))
        });
        if below_left_out || (path.is_empty() && matches!(node, Node::Folder(_))) {
            return;
        }
        if !path.is_empty() && filter.leaves_out(path, node) {
            left_out = Some(path.to_owned());
            return;
        }
        entries.push((path.to_owned(), node));
    });
    if let Some(path) = odd {
        let what = format!("{from}: the name {} is not UTF-8", path.display());
        return Err(Cause::Said(what));
    }
    entries.par_iter().try_for_each(|(inside, node)| {
        let path = match (to, inside.as_str()) {
            (Some(to), "") => to.clone(),
            (Some(to), inside) => TreePath::new(format!("{to}/{inside}"))?,
            (None, inside) => TreePath::new(inside)?,
        };
        let source: Utf8PathBuf = match inside.as_str() {
            "" => from.to_owned(),
            inside => from.join(inside),
        };
        match node {
            Node::Folder(_) => tree.folder(owner, &path)?,
            Node::Link(target) => tree.symlink(owner, &path, &target.to_string_lossy())?,
            Node::File(file) => {
                let known_as = if inside.is_empty() { name } else { inside };
                let mode = filter.mode(known_as, file.is_executable());
                tree.copy(owner, &path, Some(mode), &source)?;
            }
        }
        Ok::<(), Cause>(())
    })?;
    let copied = entries.into_iter().map(|(path, _)| match path.is_empty() {
        true => name.to_owned(),
        false => path,
    });
    Ok(copied.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::component::base::options;
    use crate::files::tree::{Precious, Record};

    #[test]
    fn what_no_source_has_stays_out_and_modes_are_the_same_everywhere() {
        let held = tempfile::tempdir().unwrap();
        let from = Utf8Path::from_path(held.path()).unwrap().join("from");
        for (path, text) in [
            ("a.py", "x"),
            ("tests/t.py", "x"),
            ("run", "#!/bin/sh\n"),
            ("__pycache__/a.pyc", "x"),
            (".git/config", "x"),
        ] {
            std::fs::create_dir_all(from.join(path).parent().unwrap()).unwrap();
            std::fs::write(from.join(path), text).unwrap();
        }
        let filter = Filter {
            executable: vec![Glob::new("run")],
            ..Filter::without(&["tests".to_owned()])
        };
        let tree = Tree::stage(
            &from.with_file_name("out"),
            options(false, Record::Beside, Precious::default()),
        )
        .unwrap();
        let owner = tree.owner("x", 1);
        let copied = folder(&tree, owner, &from, None, &filter).unwrap();
        assert_eq!(copied, ["a.py", "run"]);
        let out = tree.finish().commit().unwrap();
        let mode = |name: &str| {
            std::fs::metadata(out.join(name))
                .unwrap()
                .permissions()
                .mode()
        };
        assert_eq!((mode("a.py") & 0o777, mode("run") & 0o777), (0o644, 0o755));
        assert!(!out.join("tests").exists());
    }

    #[test]
    fn a_link_that_leads_out_is_refused() {
        let held = tempfile::tempdir().unwrap();
        let from = Utf8Path::from_path(held.path()).unwrap().join("from");
        std::fs::create_dir(&from).unwrap();
        std::os::unix::fs::symlink("../../etc/passwd", from.join("x")).unwrap();
        let tree = Tree::stage(
            &from.with_file_name("out"),
            options(false, Record::Beside, Precious::default()),
        )
        .unwrap();
        let owner = tree.owner("x", 1);
        let error = folder(&tree, owner, &from, None, &Filter::default()).unwrap_err();
        assert!(
            error.to_string().contains("leads out of the tree"),
            "{error}"
        );
    }
}
