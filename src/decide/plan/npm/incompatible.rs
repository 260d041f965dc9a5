//! What a machine rules out: optional packages, each with all that is there only because of it.

use std::collections::{BTreeSet, HashSet};

use super::graph::{Graph, Id};
use crate::decide::target::node::NodeTarget;

impl Graph<'_> {
    /// Optional packages that the machine rules out go, or that failed here, each with its whole
    /// optional set.
    pub(super) fn incompatible(&mut self, target: &NodeTarget, failed: &BTreeSet<String>) {
        for index in self.nodes.ids() {
            let node = &self.nodes[index];
            let about = &node.about;
            if !node.flags.optional || node.flags.extraneous || node.inert {
                continue;
            }
            let fits = !failed.contains(node.location)
                && target
                    .rules_out(&about.os, &about.cpu, &about.libc)
                    .is_none()
                && target
                    .engines_fail(about.node.as_deref(), about.npm.as_deref())
                    .is_none();
            if !fits {
                for member in self.optional_set(index) {
                    self.nodes[member].inert = true;
                }
            }
        }
    }

    /// `optionalSet`: up to where it became optional, and down to all that nothing else needs.
    fn optional_set(&self, start: Id) -> Vec<Id> {
        let mut set = vec![start];
        let mut core = HashSet::from([start]);
        let mut next = 0;
        while let Some(&index) = set.get(next) {
            for &edge in &self.nodes[index].into {
                if !self.nodes[edge].kind.is_optional() && core.insert(edge.from) {
                    set.push(edge.from);
                }
            }
            next += 1;
        }
        let counts = |from: Id, to: Id| !core.contains(&to) && !self.nodes[from].inert;
        let mut all = set;
        let mut members = core.clone();
        let mut next = 0;
        while let Some(&index) = all.get(next) {
            for edge in &self.nodes[index].edges {
                if let Some(to) = edge.to
                    && counts(index, to)
                    && members.insert(to)
                {
                    all.push(to);
                }
            }
            next += 1;
        }
        // What something else needs stays, and so does what that needs.
        let mut asked = all.clone();
        while let Some(index) = asked.pop() {
            let needed = members.contains(&index)
                && self.nodes[index]
                    .into
                    .iter()
                    .any(|edge| !members.contains(&edge.from) && counts(edge.from, index));
            if needed {
                members.remove(&index);
                asked.extend(self.nodes[index].edges.iter().filter_map(|edge| edge.to));
            }
        }
        all.retain(|index| members.contains(index));
        all
    }
}
