//! Whether a package is there for development, optionally, or as a peer alone: arborist's
//! `calcDepFlags`.

use std::collections::{BTreeSet, HashSet};

use super::Omit;
use super::graph::{Flags, Graph, Id, Kind, Node, ROOT};
use super::location::{above, is_package};

impl Graph<'_> {
    /// `calcDepFlags`: outward from the project, flags fall where a way without them leads.
    pub(super) fn find_flags(&mut self) {
        self.nodes[ROOT].flags = Flags::all(false);
        let mut seen = HashSet::new();
        let mut queue = vec![ROOT];
        while let Some(index) = queue.pop() {
            seen.insert(index);
            if !self.nodes[index].flags.extraneous {
                let mut location = self.nodes[index].location;
                while !location.is_empty() {
                    location = above(location);
                    if let Some(&parent) = self.at.get(location) {
                        if !self.nodes[parent].flags.extraneous {
                            break;
                        }
                        self.nodes[parent].flags.extraneous = false;
                    }
                }
            }
            if let Some(target) = self.nodes[index].target {
                let changed = self.lower(index, target, Kind::Workspace);
                if changed || !seen.contains(&target) {
                    queue.push(target);
                }
                continue;
            }
            let edges = self.nodes[index].edges.iter();
            let edges: Vec<_> = edges
                .filter_map(|edge| Some((edge.to?, edge.kind)))
                .collect();
            for (to, kind) in edges {
                if self.lower(index, to, kind) {
                    queue.push(to);
                }
            }
        }
        for index in seen {
            let flags = &mut self.nodes[index].flags;
            if flags.dev || flags.optional {
                flags.dev_optional = false;
            }
        }
    }

    fn lower(&mut self, from: Id, to: Id, kind: Kind) -> bool {
        let Flags {
            extraneous,
            dev,
            optional,
            dev_optional,
            peer,
        } = self.nodes[from].flags;
        let is_link = self.nodes[from].target == Some(to);
        let flags = &mut self.nodes[to].flags;
        let mut changed = false;
        let mut fall = |flag: &mut bool, falls: bool| {
            if *flag && falls {
                *flag = false;
                changed = true;
            }
        };
        fall(
            &mut flags.extraneous,
            !extraneous && kind != Kind::PeerOptional,
        );
        fall(&mut flags.dev, !dev && kind != Kind::Dev);
        fall(&mut flags.optional, !optional && !kind.is_optional());
        fall(
            &mut flags.dev_optional,
            !dev_optional
                && (is_link || (!dev && !optional && kind != Kind::Dev && !kind.is_optional())),
        );
        fall(&mut flags.peer, !peer && !kind.is_peer());
        changed
    }
}

impl Node<'_> {
    pub(super) fn is_omitted(&self, omit: &BTreeSet<Omit>) -> bool {
        let has = |kind| omit.contains(&kind);
        let flags = &self.flags;
        is_package(self.location)
            && (flags.peer && has(Omit::Peer)
                || flags.dev && has(Omit::Dev)
                || flags.optional && has(Omit::Optional)
                || flags.dev_optional && has(Omit::Optional) && has(Omit::Dev))
    }
}
