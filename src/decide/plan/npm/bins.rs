//! Which package has which program.

use std::collections::HashSet;

use super::graph::{Graph, Id, ROOT};
use super::location::{depth, is_package};
use super::{NpmPlanError, PlannedBin};
use crate::core::tree_path::TreePath;
use crate::decide::lock::npm::name_of;
use crate::decide::lock::npm_order as order;

impl Graph<'_> {
    /// Dependencies first and links second, each by depth and then by path: the first to claim a
    /// name has it, even if its file turns out not to be there.
    pub(super) fn bins(&self, mut indexes: Vec<Id>) -> Result<Vec<PlannedBin>, NpmPlanError> {
        indexes.retain(|index| is_package(self.nodes[*index].location));
        indexes.sort_by(|one, other| {
            let key = |index: &Id| {
                let node = &self.nodes[*index];
                (node.target.is_some(), depth(node.location), node.location)
            };
            let (a, b) = (key(one), key(other));
            (a.0, a.1)
                .cmp(&(b.0, b.1))
                .then_with(|| order::compare(a.2, b.2))
        });
        let mut taken = HashSet::new();
        let mut bins = Vec::new();
        for index in indexes {
            let node = &self.nodes[index];
            let name = name_of(node.location).unwrap_or_default();
            let modules = node.location.trim_end_matches(name);
            // A workspace's as the lock has them, even where its package.json has changed.
            let about = match node.target {
                Some(ROOT) => Some(&self.lock.root),
                target => {
                    let entry = self.nodes[target.unwrap_or(index)].entry;
                    entry.map(|entry| &entry.about)
                }
            };
            for (bin, file) in about.into_iter().flat_map(|about| &about.bin) {
                let link = TreePath::new(format!("{modules}.bin/{bin}"))?;
                if taken.insert(link.clone()) {
                    bins.push(PlannedBin {
                        link,
                        file: TreePath::new(format!("{}/{file}", node.location))?,
                    });
                }
            }
        }
        Ok(bins)
    }
}
