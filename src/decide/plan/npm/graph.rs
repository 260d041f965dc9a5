//! The lock as a graph: who asks for what, and which place answers, found as Node finds it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::{Index, IndexMut};

use indexmap::IndexMap;

use super::NpmPlanError;
use super::location::{above, is_direct, is_top};
use crate::decide::lock::npm::{
    Entry, Manifest, NpmLock, is_in_modules, is_outside, name_of, workspaces,
};
use crate::decide::lock::npmrc::Npmrc;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Prod,
    Dev,
    Optional,
    Peer,
    PeerOptional,
    Workspace,
}

impl Kind {
    pub(super) fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::PeerOptional)
    }
    pub(super) fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::PeerOptional)
    }
}

pub(super) struct Edge {
    pub(super) name: String,
    pub(super) range: String,
    pub(super) kind: Kind,
    pub(super) to: Option<Id>,
}

pub(super) struct Node<'a> {
    pub(super) location: &'a str,
    pub(super) entry: Option<&'a Entry>,
    pub(super) about: Manifest,
    /// What its package.json on disk says, in a lock's words, if it is a folder of the project.
    pub(super) recorded: Option<serde_json::Map<String, serde_json::Value>>,
    /// Of a link, what it leads to.
    pub(super) target: Option<Id>,
    pub(super) edges: Vec<Edge>,
    pub(super) into: Vec<EdgeId>,
    pub(super) flags: Flags,
    pub(super) inert: bool,
}

/// Why a package is there: arborist's flags.
pub(super) struct Flags {
    pub(super) extraneous: bool,
    pub(super) dev: bool,
    pub(super) optional: bool,
    pub(super) dev_optional: bool,
    pub(super) peer: bool,
}

impl Flags {
    pub(super) fn all(on: bool) -> Self {
        Self {
            extraneous: on,
            dev: on,
            optional: on,
            dev_optional: on,
            peer: on,
        }
    }
}

/// The number of a node, which only a graph gives out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Id(usize);

/// The project is the first node.
pub(super) const ROOT: Id = Id(0);

/// An edge, by where it comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct EdgeId {
    pub(super) from: Id,
    number: usize,
}

/// The nodes of a graph. None is ever taken away, so an [`Id`] or [`EdgeId`] always leads to something.
pub(super) struct Nodes<'a>(Vec<Node<'a>>);

impl<'a> Nodes<'a> {
    /// The project alone.
    fn new(root: Node<'a>) -> Self {
        Self(vec![root])
    }

    fn push(&mut self, node: Node<'a>) -> Id {
        self.0.push(node);
        Id(self.0.len() - 1)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        (0..self.0.len()).map(Id)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Node<'a>> {
        self.0.iter()
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (Id, &Node<'a>)> {
        self.ids().zip(self.iter())
    }
}

#[allow(clippy::indexing_slicing, reason = "only what is there has a number")]
impl<'a> Index<Id> for Nodes<'a> {
    type Output = Node<'a>;

    fn index(&self, id: Id) -> &Node<'a> {
        &self.0[id.0]
    }
}

#[allow(clippy::indexing_slicing, reason = "only what is there has a number")]
impl IndexMut<Id> for Nodes<'_> {
    fn index_mut(&mut self, id: Id) -> &mut Self::Output {
        &mut self.0[id.0]
    }
}

#[allow(clippy::indexing_slicing, reason = "only what is there has a number")]
impl Index<EdgeId> for Nodes<'_> {
    type Output = Edge;

    fn index(&self, id: EdgeId) -> &Edge {
        &self[id.from].edges[id.number]
    }
}

pub(super) struct Graph<'a> {
    pub(super) lock: &'a NpmLock,
    pub(super) nodes: Nodes<'a>,
    pub(super) at: HashMap<&'a str, Id>,
    /// The workspaces, by name, where the project's package.json tells them.
    workspaces: Option<BTreeMap<String, String>>,
    /// Whether peers are not installed for being asked for (`legacy-peer-deps`).
    without_peers: bool,
}

impl<'a> Graph<'a> {
    /// `on_disk`: what the project and its workspaces ask for is read from their package.json files.
    pub(super) fn new(
        lock: &'a NpmLock,
        on_disk: bool,
        npmrc: &Npmrc,
    ) -> Result<Self, NpmPlanError> {
        let folder = lock.folder();
        let beside = |folder: &camino::Utf8Path| match on_disk {
            true => Manifest::beside(folder),
            false => Ok(None),
        };
        let root = beside(folder)?.map(|(root, _)| root);
        let workspaces = root
            .as_ref()
            .map(|root| workspaces::find(folder, &root.workspaces))
            .transpose()?;
        let root = root.unwrap_or_else(|| lock.root.clone());
        let node = |location, entry, about, recorded| Node {
            location,
            entry,
            about,
            recorded,
            target: None,
            edges: Vec::new(),
            into: Vec::new(),
            flags: Flags::all(true),
            inert: false,
        };
        let mut nodes = Nodes::new(node("", None, root, None));
        let mut at = HashMap::from([("", ROOT)]);
        let links: HashSet<&str> = lock
            .entries
            .values()
            .filter_map(|entry| entry.link.as_deref())
            .collect();
        for (location, entry) in &lock.entries {
            let is_own = links.contains(location.as_str()) && !is_in_modules(location);
            // The project's own folders may have changed since.
            let on_disk = match is_own {
                true => beside(&folder.join(location))?,
                false => None,
            };
            let (about, recorded) = match on_disk {
                Some((about, recorded)) => (about, Some(recorded)),
                None => (entry.about.clone(), None),
            };
            let id = nodes.push(node(location.as_str(), Some(entry), about, recorded));
            at.insert(location.as_str(), id);
        }
        let mut graph = Self {
            lock,
            nodes,
            at,
            workspaces,
            without_peers: npmrc.is_set("legacy-peer-deps"),
        };
        for id in graph.nodes.ids() {
            let entry = graph.nodes[id].entry;
            if let Some(link) = entry.and_then(|entry| entry.link.as_deref()) {
                graph.nodes[id].target = graph.at.get(link).copied();
                continue;
            }
            graph.nodes[id].edges = graph.edges(id);
        }
        for from in graph.nodes.ids() {
            let edges = graph.nodes[from].edges.iter().map(|edge| edge.to);
            for (number, to) in edges.collect::<Vec<_>>().into_iter().enumerate() {
                if let Some(to) = to {
                    graph.nodes[to].into.push(EdgeId { from, number });
                }
            }
        }
        Ok(graph)
    }

    /// What a package asks for, in npm's order, and what answers.
    fn edges(&self, id: Id) -> Vec<Edge> {
        let node = &self.nodes[id];
        let about = &node.about;
        let mut wanted: IndexMap<&str, (&str, Kind)> = IndexMap::new();
        let put = |all: &IndexMap<String, String>, kind: &dyn Fn(&str) -> Kind| {
            all.iter()
                .map(|(name, range)| (name.clone(), range.clone(), kind(name)))
                .collect::<Vec<_>>()
        };
        let optional = |name: &str| about.peer_optional.contains(name);
        let mut all: Vec<(String, String, Kind)> = put(&about.peer, &|name| {
            if optional(name) {
                Kind::PeerOptional
            } else {
                Kind::Peer
            }
        });
        all.retain(|_| !self.without_peers);
        all.sort_by_key(|(_, _, kind)| *kind == Kind::PeerOptional);
        all.extend(put(&about.dependencies, &|_| Kind::Prod));
        all.extend(put(&about.optional, &|_| Kind::Optional));
        if is_top(node.location) {
            all.extend(put(&about.dev, &|_| Kind::Dev));
        }
        if id == ROOT {
            let own = match &self.workspaces {
                Some(found) => found.clone(),
                None => self.linked(),
            };
            let own = own.into_iter();
            all.extend(own.map(|(name, folder)| (name, folder, Kind::Workspace)));
        }
        for (name, range, kind) in &all {
            let taken = wanted.get(name.as_str());
            if taken.is_none_or(|(_, kind)| *kind != Kind::Workspace) {
                wanted.shift_remove(name.as_str());
                wanted.insert(name, (range, *kind));
            }
        }
        wanted
            .into_iter()
            .map(|(name, (range, kind))| Edge {
                name: name.to_owned(),
                range: range.to_owned(),
                kind,
                to: self.resolve(node.location, name),
            })
            // What a folder beside the project needs is not had for it: it has it, or not.
            .filter(|edge| edge.to.is_some() || !is_outside(node.location))
            .collect()
    }

    /// The workspaces as the lock tells them: links at the top to folders of the project.
    fn linked(&self) -> BTreeMap<String, String> {
        let entries = self.lock.entries.iter().filter(|(location, entry)| {
            entry.link.is_some() && is_direct(location) && self.is_workspace(entry)
        });
        let named = entries.filter_map(|(location, entry)| {
            Some((name_of(location)?.to_owned(), entry.link.clone()?))
        });
        named.collect()
    }

    /// Whether a link's folder is a workspace's: what a `file:` dependency names is asked for by that.
    fn is_workspace(&self, entry: &Entry) -> bool {
        let root = &self.nodes[ROOT].about;
        let link = entry.link.as_deref().unwrap_or_default();
        let named = |all: &IndexMap<String, String>| {
            all.values().any(|range| {
                let path = range.strip_prefix("file:");
                let path = path.map(|path| path.trim_start_matches("./").trim_end_matches('/'));
                path.is_some_and(|path| path == link || path == "." && link.is_empty())
            })
        };
        ![&root.dependencies, &root.optional, &root.dev]
            .into_iter()
            .any(named)
    }

    /// What `name` means to whoever is at a place: the nearest `node_modules` upwards that has it.
    pub(super) fn resolve(&self, location: &str, name: &str) -> Option<Id> {
        let mut base = location;
        loop {
            let key = match base {
                "" => format!("node_modules/{name}"),
                base => format!("{base}/node_modules/{name}"),
            };
            if let Some(found) = self.at.get(key.as_str()) {
                return Some(*found);
            }
            if base.is_empty() {
                return None;
            }
            base = above(base);
            // From beside the project the way up does not lead into it.
            if is_outside(location) && !is_outside(base) {
                return None;
            }
        }
    }
}
