//! What of a lock is wanted: some workspaces, and not what is omitted.

use std::collections::{BTreeSet, HashSet};

use super::graph::{Graph, Id, Kind, ROOT};
use super::location::{above, is_package, is_top};
use super::{NpmPlanError, NpmSelection, Omit};
use crate::core::nearest::instead;

impl Graph<'_> {
    /// What is neither left out nor inside of what is.
    pub(super) fn kept(&self, omit: &BTreeSet<Omit>, chosen: Option<&HashSet<Id>>) -> Vec<Id> {
        let mut placed: HashSet<&str> = HashSet::new();
        let mut kept = Vec::new();
        for (index, node) in self.nodes.each() {
            let left_out = node.flags.extraneous
                || node.inert
                || node.is_omitted(omit)
                || chosen.is_some_and(|chosen| !chosen.contains(&index));
            let parent = above(node.location);
            let homeless = !is_top(node.location)
                && is_package(parent)
                && self.at.contains_key(parent)
                && !placed.contains(parent);
            if node.entry.is_some() && !left_out && !homeless {
                placed.insert(node.location);
                kept.push(index);
            }
        }
        kept
    }

    /// What the wanted workspaces reach; `None` where all is wanted.
    pub(super) fn choose(
        &self,
        wanted: &NpmSelection,
    ) -> Result<Option<HashSet<Id>>, NpmPlanError> {
        if wanted.workspaces.is_empty() {
            return Ok(None);
        }
        let edges = &self.nodes[ROOT].edges;
        let all: Vec<(Id, &str, &str)> = edges
            .iter()
            .filter(|edge| edge.kind == Kind::Workspace)
            .filter_map(|edge| Some((edge.to?, edge.name.as_str(), edge.range.as_str())))
            .collect();
        let mut chosen = Vec::new();
        for asked in &wanted.workspaces {
            let path = asked.trim_start_matches("./").trim_end_matches('/');
            let before = chosen.len();
            chosen.extend(all.iter().filter_map(|(to, name, folder)| {
                let is_below = folder
                    .strip_prefix(path)
                    .is_some_and(|rest| rest.starts_with('/'));
                (name == asked || *folder == path || is_below).then_some(*to)
            }));
            if chosen.len() == before {
                let known = all.iter().map(|(_, name, _)| *name);
                return Err(NpmPlanError::Workspace {
                    lock: self.lock.file.clone(),
                    name: asked.clone(),
                    hint: instead(asked, known),
                });
            }
        }
        if wanted.workspace_root {
            let own = edges.iter().filter(|edge| edge.kind != Kind::Workspace);
            chosen.extend(own.filter_map(|edge| edge.to));
        }
        let mut reached: HashSet<Id> = HashSet::new();
        while let Some(index) = chosen.pop() {
            if reached.insert(index) {
                let node = &self.nodes[index];
                chosen.extend(node.target);
                chosen.extend(node.edges.iter().filter_map(|edge| edge.to));
            }
        }
        Ok(Some(reached))
    }
}
