//! What a component starts from: another one's tree, imported file by file. An environment in its
//! fixed-output form is restored for the place where it will live; any other is brought into that
//! form first, since its scripts name the place where the other one lives.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use rayon::prelude::*;

use super::context::Context;
use super::copy::Filter;
use super::error::{Cause, ComponentError};
use crate::core::foreign;
use crate::core::foreign::Folder;
use crate::core::io_error::cannot;
use crate::core::walk::{Node, walk};
use crate::files::contents::{
    self, Contents, Member, Near, PlaceError, PlacedFile, Placement, Take, WHOLE,
};
use crate::files::tree::{
    Content, FileFacts, LinkMode, Owner, Precious, Provenance, Record, Replace, Shared, Tree,
    TreeOptions, TreePath,
};
use crate::transform::nix::reference::Search;
use crate::transform::nix::restore::restore;
use crate::transform::nix::seal::{PLACEHOLDER, fixed_output};

const PHASE: &str = "base";

/// How much of a very large file is in memory at a time, in bytes.
const PIECE: u64 = 1 << 20;

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
    let text = match foreign::read(&config, foreign::TEXT).and_then(foreign::utf8) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(tree),
        Err(error) => {
            return Err(context.failed(said, PHASE)(cannot("read", &config)(error)));
        }
    };
    let staged = tree.finish();
    let root = staged.root();
    let owner = staged.owner("lockwright");
    let root = root.as_std_path();
    if !text.contains(PLACEHOLDER) {
        // No store has this name, so nothing is stripped.
        let none = Search::every("/.lockwright-no-store", &[]);
        let touched = fixed_output(root, &staged.walked(), &none);
        let touched = touched.map_err(context.failed(said, PHASE))?;
        let found = staged.rescan_at(owner, &touched);
        found.map_err(context.failed(said, PHASE))?;
    }
    let python = context.python()?.path();
    let made = restore(root, &staged.walked(), &python, prefix);
    let made = made.map_err(context.failed(said, PHASE))?;
    let (name, count) = (context.name, made.scripts.len());
    tracing::info!("{name}: restored, with {count} scripts");
    let found = staged.rescan_at(owner, &made.touched);
    found.map_err(context.failed(said, PHASE))?;
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
    let mut recorded: HashMap<&str, (FileFacts, usize)> = HashMap::new();
    for entry in known.iter().flat_map(|known| &known.entries) {
        if let Content::File(file) = &entry.content {
            recorded.insert(entry.path.as_str(), (*file, entry.owner));
        }
    }
    let owners: Vec<_> = known.iter().flat_map(|known| &known.owners).collect();
    let owners: Vec<_> = owners.iter().map(|name| tree.owner(name, 0)).collect();
    let other = tree.owner(owner, 0);
    let mut left = Vec::new();
    let walked = walk(from.as_std_path())?;
    let mut entries = Vec::new();
    walked.each(&mut |path: &Path, node| entries.push((path.to_owned(), node)));
    let mut base = Base {
        top: Folder::open(from).map_err(cannot("open", from))?,
        members: Vec::new(),
    };
    // What its record knows need not be read for what it is.
    let mut placements: BTreeMap<(Owner, bool), Placement> = BTreeMap::new();
    for (path, node) in &entries {
        match path.to_str() {
            Some("") => continue,
            Some(path) if filter.excludes(path) => {
                left.push(path.to_owned());
                continue;
            }
            Some(_) => {}
            None => {
                let path = from.as_std_path().join(path);
                let why = format!("{} has a name that is not UTF-8", path.display());
                return Err(Cause::Said(why));
            }
        }
        let place = TreePath::of(path)?;
        match node {
            Node::Folder(inside) if inside.is_empty() => tree.folder(other, &place)?,
            Node::Folder(_) => {}
            Node::Link(target) => {
                tree.link_anywhere(other, &place, &target.to_string_lossy())?;
            }
            Node::File(file) => {
                let known = recorded.get(place.as_str());
                let known = known.filter(|(facts, _)| facts.size == file.size);
                let by = known.and_then(|(_, by)| owners.get(*by).copied());
                let sha256 = known.and_then(|(facts, _)| facts.sha256);
                let mode = if file.is_executable() { 0o755 } else { 0o644 };
                let key = (by.unwrap_or(other), sha256.is_some());
                let placement = placements.entry(key).or_default();
                placement.files.push(PlacedFile {
                    mode,
                    from: contents::From::Member(base.members.len()),
                    expected: None,
                    path: place,
                });
                base.members.push(Member {
                    path: path.to_string_lossy().into_owned(),
                    mode,
                    size: file.size,
                    sha256,
                    is_folder: false,
                });
            }
        }
    }
    let place = |((owner, is_known), placement): (&(Owner, bool), &Placement)| {
        let how = if *is_known {
            LinkMode::Reflink
        } else {
            LinkMode::Copy
        };
        contents::place(tree, *owner, &base, placement, how)
    };
    let placed: Vec<Result<_, PlaceError>> = placements.par_iter().map(place).collect();
    placed.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(left)
}

/// A tree's files, as they lie in its folder.
struct Base {
    top: Folder,
    members: Vec<Member>,
}

impl Contents for Base {
    fn members(&self) -> &[Member] {
        &self.members
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        let member = self.members.get(number);
        let member = member.ok_or(PlaceError::Absent(number))?;
        let reading = cannot("read", &member.path);
        let mut file = self.top.file(&member.path).map_err(reading)?;
        let is_whole = member.size <= WHOLE;
        let length = if is_whole { member.size + 1 } else { PIECE };
        let mut piece = Vec::new();
        loop {
            piece.clear();
            let read = (&mut file).take(length).read_to_end(&mut piece);
            let is_end = read.map_err(reading)? == 0;
            if is_whole || !is_end {
                take(&piece)?;
            }
            if is_whole || is_end {
                return Ok(());
            }
        }
    }

    fn shared<'a: 'n, 'n>(
        &'a self,
        number: usize,
        near: &'n mut Near<'a>,
    ) -> Result<Option<(Shared<'n>, &'a str)>, PlaceError> {
        let member = self.members.get(number);
        let member = member.ok_or(PlaceError::Absent(number))?;
        let folder = self.top.as_fd();
        let shared = Shared {
            folder,
            modified: 0,
        };
        Ok(Some(near.to(shared, &member.path)))
    }
}

/// How a component's tree is staged.
pub fn options(clear: bool, record: Record, precious: Precious) -> TreeOptions {
    TreeOptions {
        replace: Replace::cleared(clear),
        record,
        precious,
    }
}
