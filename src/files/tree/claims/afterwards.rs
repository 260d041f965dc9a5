//! What is known of a tree that is written, kept true while it is worked on: what was found there, put there or
//! taken away.

use std::collections::HashSet;
use std::ffi::OsString;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use super::{Entry, Folder, Node, Owner, PathClaims};
use crate::core::locks;
use crate::core::tree_path::TreePath;
use crate::core::walk;
use crate::files::tree::{Content, TreeError};

impl Folder {
    /// Notes what is at a name: what is known already stays its owner's, all else becomes this one's. `linked` is as in a
    /// [`Node`]. Whether a folder was there.
    pub(in crate::files::tree) fn note(
        &self,
        owner: Owner,
        name: &str,
        content: Content,
        linked: Option<i64>,
    ) -> bool {
        let mut entries = self.entries();
        let before = entries.get(name);
        let owner = match before {
            Some(Entry::Node(node)) if node.content == content => node.owner,
            _ => owner,
        };
        let was_folder = matches!(before, Some(Entry::Folder(_)));
        let node = Node {
            owner,
            content,
            linked,
        };
        entries.insert(name.into(), Entry::Node(node));
        was_folder
    }
}

impl PathClaims {
    /// Puts a file or link there, whatever is there.
    pub(in crate::files::tree) fn put(&self, owner: Owner, path: &TreePath, content: Content) {
        self.remove(path);
        self.note(owner, path, content, None);
    }

    /// As [`Folder::note`].
    pub(in crate::files::tree) fn note(
        &self,
        owner: Owner,
        path: &TreePath,
        content: Content,
        linked: Option<i64>,
    ) {
        if let Some(folder) = self.folder(path.folder())
            && folder.note(owner, path.file_name(), content, linked)
        {
            self.forget_below(path);
        }
    }

    /// Forgets a file or link, and says whether there was one.
    pub(in crate::files::tree) fn remove(&self, path: &TreePath) -> bool {
        let Some(folder) = self.folder(path.folder()) else {
            return false;
        };
        let mut entries = folder.entries();
        let is_node = matches!(entries.get(path.file_name()), Some(Entry::Node(_)));
        is_node && entries.remove(path.file_name()).is_some()
    }

    /// A folder is there, whatever was known to be.
    pub(in crate::files::tree) fn enter_again(
        &self,
        owner: Owner,
        path: &TreePath,
    ) -> Result<(), TreeError> {
        self.remove(path);
        let folder = self.enter(owner, path)?;
        folder.made.store(true, Relaxed);
        Ok(())
    }

    /// The folders on the way to one are there, and that one, too.
    pub(in crate::files::tree) fn enter_all_again(
        &self,
        owner: Owner,
        folder: &str,
    ) -> Result<(), TreeError> {
        let ends = folder.match_indices('/').map(|(end, _)| end);
        let mut folders = ends
            .chain([folder.len()])
            .filter_map(|end| folder.get(..end));
        folders.try_for_each(|folder| match folder {
            "" => Ok(()),
            folder => self.enter_again(owner, &TreePath::new(folder)?),
        })
    }

    /// Forgets all in a folder that is not called so.
    pub(in crate::files::tree) fn keep_only(&self, folder: &str, names: &HashSet<&str>) {
        let Some(known) = self.folder(folder) else {
            return;
        };
        let known_names: Vec<Box<str>> = known.entries().keys().cloned().collect();
        for name in known_names {
            if !names.contains(&*name) {
                self.clear(&TreePath::within(folder, &name));
            }
        }
    }

    /// Notes that every file has another mode, by the one that it had, and no name elsewhere any more.
    pub(in crate::files::tree) fn note_sealed(&self, mode: impl Fn(u16) -> u16 + Sync) {
        self.folders().par_iter().for_each(|folder| {
            for entry in folder.entries().values_mut() {
                if let Entry::Node(node) = entry
                    && let Content::File(facts) = &mut node.content
                {
                    facts.mode = mode(facts.mode);
                    node.linked = None;
                }
            }
        });
    }

    /// All that is in a folder and those below it, as if it had been walked.
    pub(in crate::files::tree) fn walked(&self, folder: &str) -> walk::Node {
        let Some(folder) = self.folder(folder) else {
            return walk::Node::Folder(Vec::new());
        };
        let mut folders = Vec::new();
        let mut inside: Vec<(OsString, walk::Node)> = Vec::new();
        for (name, entry) in folder.entries().iter() {
            let node = match entry {
                Entry::Folder(_) => {
                    let path = TreePath::within(&folder.path, name);
                    // Who lost all that it brought may have named a folder that nobody made.
                    if self
                        .folder(&path)
                        .is_some_and(|folder| folder.made.load(Relaxed))
                    {
                        folders.push((inside.len(), path));
                        inside.push(((&**name).into(), walk::Node::Folder(Vec::new())));
                    }
                    continue;
                }
                Entry::Node(node) => match &node.content {
                    Content::Link(target) => walk::Node::Link((&**target).into()),
                    Content::File(facts) => walk::Node::File(walk::File {
                        size: facts.size,
                        mode: facts.mode.into(),
                        links: if node.linked.is_some() { 2 } else { 1 },
                        ..walk::File::default()
                    }),
                },
            };
            inside.push(((&**name).into(), node));
        }
        let below = folders
            .into_par_iter()
            .map(|(number, path)| (number, self.walked(&path)));
        for (number, node) in below.collect::<Vec<_>>() {
            if let Some((_, place)) = inside.get_mut(number) {
                *place = node;
            }
        }
        walk::Node::Folder(inside)
    }

    /// Forgets all that is at a path, a folder or not, and gives the files and links that were there.
    pub(in crate::files::tree) fn clear(&self, path: &TreePath) -> Vec<TreePath> {
        let Some(parent) = self.folder(path.folder()) else {
            return Vec::new();
        };
        let held = parent.entries().remove(path.file_name());
        let gone = match held {
            None => return Vec::new(),
            Some(Entry::Node(_)) => vec![path.clone()],
            Some(Entry::Folder(_)) => self.forget_below(path),
        };
        let is_gone = |one: &str| gone.iter().any(|path| path.as_str() == one);
        locks::held(&self.contested).retain(|path, _| !is_gone(path));
        if let Some(folded) = &self.folded {
            let below = format!("{path}/");
            let is_gone = |one: &str| one == path.as_str() || one.starts_with(&below);
            locks::held(folded).retain(|_, spelt| !is_gone(spelt));
        }
        gone
    }

    /// Forgets a folder and those in it, and gives the files and links that were there.
    fn forget_below(&self, path: &TreePath) -> Vec<TreePath> {
        let below = format!("{path}/");
        let is_gone = |folder: &str| folder == path.as_str() || folder.starts_with(&below);
        let mut folders = locks::write(&self.folders);
        let gone: Vec<_> = folders.extract_if(|folder, _| is_gone(folder)).collect();
        // Who holds a folder's entries may be waiting for the folders.
        drop(folders);
        let mut gone: Vec<TreePath> = gone
            .into_iter()
            .flat_map(|(_, folder)| {
                let entries = folder.entries();
                let nodes = entries
                    .iter()
                    .filter(|(_, one)| matches!(one, Entry::Node(_)));
                let nodes = nodes.map(|(name, _)| TreePath::within(&folder.path, name));
                nodes.collect::<Vec<_>>()
            })
            .collect();
        gone.sort();
        gone
    }
}
