//! A `package-lock.json` for one machine: what goes where, and what stays out.
//!
//! npm decides in this order, and so do we (arborist 9.8): what the project and its workspaces ask
//! for comes from their package.json files on disk, all else from the lock; every package learns
//! whether it is there for development, optionally, or as a peer alone; what nothing reaches goes;
//! and an optional package that the machine rules out goes with everything that is there only
//! because of it.

use std::collections::{BTreeSet, HashMap, HashSet};

use indexmap::IndexMap;
use serde::Serialize;
use url::Url;

use crate::artifact::{Artifact, Location};
use crate::lock::LockError;
use crate::lock::npm::{Entry, Manifest, NpmLock, name_of};
use crate::lock::npm_order as order;
use crate::lock::npmrc::Npmrc;
use crate::target::node::{NodeTarget, satisfies};
use crate::tree::TreePath;

/// Kinds of dependencies that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Omit {
    /// What only development needs.
    Dev,
    /// What may be missing.
    Optional,
    /// What is there as a peer only.
    Peer,
}

/// What goes where.
#[derive(Debug, Clone, Serialize)]
pub struct NpmPlan {
    /// The machine.
    pub target: String,
    /// The packages, in the lock's order.
    pub packages: Vec<PlannedNpm>,
    /// The programs, the first that claims a name having it.
    pub bins: Vec<PlannedBin>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One package.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedNpm {
    /// Where it goes, from the project's folder.
    pub location: TreePath,
    /// Its own name, whatever it is asked for by.
    pub name: String,
    /// Its version, where the lock knows it.
    pub version: Option<String>,
    /// How it gets there.
    pub source: NpmSource,
    /// Whether it has scripts that npm would run.
    pub has_install_script: bool,
    /// Those that it needs, by their indexes in the plan.
    #[serde(skip)]
    pub needs: Vec<usize>,
    /// What is said of it in `.package-lock.json`.
    #[serde(skip)]
    pub recorded: serde_json::Map<String, serde_json::Value>,
}

/// How a package gets to its place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NpmSource {
    /// Out of a tarball.
    Tarball(Artifact),
    /// Out of a git repository, packed as `npm pack` does.
    Git(GitPackage),
    /// Out of the tarball of the package at this place.
    Bundle(TreePath),
    /// As a link to this folder of the project.
    Link(TreePath),
    /// It is a folder of the project.
    Folder,
}

/// A commit that a package is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct GitPackage {
    /// The repository.
    pub url: String,
    /// The commit, in full.
    pub commit: String,
    /// The folder in it that the package is; empty for all of it.
    pub folder: String,
}

/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedBin {
    /// The link, from the project's folder.
    pub link: TreePath,
    /// The file that it leads to, from there too; below a link if its package is one.
    pub file: TreePath,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NpmPlanError {
    /// A package.json cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock is not one of these package.json files.
    #[error(
        "{lock} is not in step with the package.json files: {first}; let npm make it again with `npm install --package-lock-only`"
    )]
    Drift {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// The first difference.
        first: String,
    },
    /// The machine rules a package out that cannot be left out.
    #[error("{package} {why}; choose another machine with --os, --cpu and --libc")]
    Platform {
        /// The package.
        package: String,
        /// Why.
        why: String,
    },
    /// There is no such workspace.
    #[error("{lock} has no workspace `{name}`; it has {known}")]
    Workspace {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A tarball whose URL nobody says.
    #[error(
        "the lock does not say where {0} is had from, and no registry is known: set `registry` in .npmrc, npm_config_registry or --registry"
    )]
    NoRegistry(String),
    /// It cannot be told where a package comes from.
    #[error("{package} comes from {from}, {why}")]
    Source {
        /// The package.
        package: String,
        /// What the lock says.
        from: String,
        /// Why it is not had.
        why: &'static str,
    },
    /// A path of the lock leads elsewhere.
    #[error(transparent)]
    Path(#[from] crate::tree::PathError),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Prod,
    Dev,
    Optional,
    Peer,
    PeerOptional,
    Workspace,
}

impl Kind {
    fn is_optional(self) -> bool {
        matches!(self, Self::Optional | Self::PeerOptional)
    }
    fn is_peer(self) -> bool {
        matches!(self, Self::Peer | Self::PeerOptional)
    }
}

struct Edge {
    name: String,
    range: String,
    kind: Kind,
    to: Option<usize>,
}

struct Flags {
    extraneous: bool,
    dev: bool,
    optional: bool,
    dev_optional: bool,
    peer: bool,
}

impl Flags {
    fn all(on: bool) -> Self {
        Self {
            extraneous: on,
            dev: on,
            optional: on,
            dev_optional: on,
            peer: on,
        }
    }
}

struct Node<'a> {
    location: &'a str,
    entry: Option<&'a Entry>,
    about: Manifest,
    /// What its package.json on disk says, in a lock's words, if it is a folder of the project.
    recorded: Option<serde_json::Map<String, serde_json::Value>>,
    /// Of a link, what it leads to.
    target: Option<usize>,
    edges: Vec<Edge>,
    into: Vec<(usize, usize)>,
    flags: Flags,
    inert: bool,
}

/// The project is the first node.
const ROOT: usize = 0;

struct Graph<'a> {
    lock: &'a NpmLock,
    nodes: Vec<Node<'a>>,
    at: HashMap<&'a str, usize>,
}

impl GitPackage {
    /// Reads `git+ssh://git@forge.example/a/b.git#COMMIT`. What a well-known forge has is had over
    /// https, as npm tries first: ssh would ask for a key that nobody needs.
    fn read(resolved: &str) -> Option<Self> {
        let url = resolved.strip_prefix("git+").unwrap_or(resolved);
        let is_git = resolved.starts_with("git+") || resolved.starts_with("git:");
        let (url, fragment) = url.split_once('#').filter(|_| is_git)?;
        let (mut commit, mut folder) = ("", "");
        for part in fragment.split("::") {
            match part.strip_prefix("path:") {
                Some(path) => folder = path.trim_matches('/'),
                None => commit = part,
            }
        }
        let is_full =
            matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let known = ["github.com", "gitlab.com", "bitbucket.org", "git.sr.ht"];
        let over_https = url
            .strip_prefix("ssh://git@")
            .filter(|rest| {
                known
                    .iter()
                    .any(|host| rest.starts_with(&format!("{host}/")))
            })
            .map(|rest| format!("https://{rest}"));
        is_full.then(|| Self {
            url: over_https.unwrap_or_else(|| url.to_owned()),
            commit: commit.to_ascii_lowercase(),
            folder: folder.to_owned(),
        })
    }
}

/// Which part of a lock is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What is left out.
    pub omit: BTreeSet<Omit>,
    /// The workspaces, by name or folder, that alone are wanted; none: all of it.
    pub workspaces: Vec<String>,
    /// Whether what the project itself needs is wanted beside them.
    pub workspace_root: bool,
}

impl NpmPlan {
    /// Plans a lock for a machine.
    ///
    /// # Errors
    /// When the lock and the package.json files disagree, the machine rules out what is needed, or
    /// something cannot be had.
    pub fn new(
        lock: &NpmLock,
        target: &NodeTarget,
        wanted: &Wanted,
        npmrc: &Npmrc,
    ) -> Result<Self, NpmPlanError> {
        let mut graph = Graph::new(lock, true)?;
        graph.find_flags();
        let warnings = graph.check(target, &wanted.omit)?;
        graph.rule_out(target);
        let chosen = graph.choose(wanted)?;
        graph.plan(target, &wanted.omit, chosen.as_ref(), npmrc, warnings)
    }

    /// The places that a lock alone fills on a machine, whatever the package.json files beside it
    /// say: what two locks are compared by.
    ///
    /// # Errors
    /// Never, in fact: nothing is read.
    pub fn places<'a>(
        lock: &'a NpmLock,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
    ) -> Result<Vec<&'a str>, NpmPlanError> {
        let mut graph = Graph::new(lock, false)?;
        graph.find_flags();
        graph.rule_out(target);
        let kept = graph.kept(omit, None);
        Ok(kept
            .iter()
            .map(|index| graph.nodes[*index].location)
            .collect())
    }

    /// All packages, each after those that it needs as far as they do not need each other.
    pub fn needed_first(&self) -> Vec<&PlannedNpm> {
        let mut seen = vec![false; self.packages.len()];
        let mut order = Vec::with_capacity(self.packages.len());
        for start in 0..self.packages.len() {
            // Each with how many of its needs have been gone into.
            let mut way = vec![(start, 0)];
            while let Some((index, done)) = way.pop() {
                let Some(package) = self.packages.get(index) else {
                    continue;
                };
                if let Some(is_seen) = seen.get_mut(index) {
                    if *is_seen && done == 0 {
                        continue;
                    }
                    *is_seen = true;
                }
                match package.needs.get(done) {
                    Some(next) => way.extend([(index, done + 1), (*next, 0)]),
                    None => order.push(package),
                }
            }
        }
        order
    }

    /// The tarballs, each with the index of its package.
    pub fn tarballs(&self) -> impl Iterator<Item = (usize, &PlannedNpm, &Artifact)> {
        let packages = self.packages.iter().enumerate();
        packages.filter_map(|(index, package)| match &package.source {
            NpmSource::Tarball(artifact) => Some((index, package, artifact)),
            _ => None,
        })
    }
}

impl<'a> Graph<'a> {
    /// `on_disk`: what the project and its workspaces ask for is read from their package.json files.
    fn new(lock: &'a NpmLock, on_disk: bool) -> Result<Self, NpmPlanError> {
        let folder = lock.folder();
        let beside = |folder: &camino::Utf8Path| match on_disk {
            true => Manifest::beside(folder),
            false => Ok(None),
        };
        let root = beside(folder)?.map_or_else(|| lock.root.clone(), |(root, _)| root);
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
        let mut nodes = vec![node("", None, root, None)];
        let mut at = HashMap::from([("", ROOT)]);
        let links: HashSet<&str> = lock
            .entries
            .values()
            .filter_map(|entry| entry.link.as_deref())
            .collect();
        for (location, entry) in &lock.entries {
            let is_own = links.contains(location.as_str()) && !location.contains("node_modules/");
            // The project's own folders may have changed since.
            let on_disk = match is_own {
                true => beside(&folder.join(location))?,
                false => None,
            };
            let (about, recorded) = match on_disk {
                Some((about, recorded)) => (about, Some(recorded)),
                None => (entry.about.clone(), None),
            };
            at.insert(location.as_str(), nodes.len());
            nodes.push(node(location.as_str(), Some(entry), about, recorded));
        }
        let mut graph = Self { lock, nodes, at };
        for index in 0..graph.nodes.len() {
            let node = &graph.nodes[index];
            if let Some(link) = node.entry.and_then(|entry| entry.link.as_deref()) {
                let target = graph.at.get(link).copied();
                graph.nodes[index].target = target;
                continue;
            }
            let edges = graph.edges(index);
            graph.nodes[index].edges = edges;
        }
        for from in 0..graph.nodes.len() {
            for edge in 0..graph.nodes[from].edges.len() {
                if let Some(to) = graph.nodes[from].edges[edge].to {
                    graph.nodes[to].into.push((from, edge));
                }
            }
        }
        Ok(graph)
    }

    /// What a package asks for, in npm's order, and what answers.
    fn edges(&self, index: usize) -> Vec<Edge> {
        let node = &self.nodes[index];
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
        all.sort_by_key(|(_, _, kind)| *kind == Kind::PeerOptional);
        all.extend(put(&about.dependencies, &|_| Kind::Prod));
        all.extend(put(&about.optional, &|_| Kind::Optional));
        if is_top(node.location) {
            all.extend(put(&about.dev, &|_| Kind::Dev));
        }
        if index == ROOT {
            // A workspace is a link at the top to a folder of the project.
            let own: Vec<_> = self
                .lock
                .entries
                .iter()
                .filter(|(location, entry)| {
                    entry.link.is_some() && is_direct(location) && self.is_workspace(entry)
                })
                .filter_map(|(location, entry)| {
                    let name = name_of(location)?.to_owned();
                    Some((name, entry.link.clone()?, Kind::Workspace))
                })
                .collect();
            all.extend(own);
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
            .collect()
    }

    /// Whether a link's folder matches the project's `workspaces`, as the lock tells them: what a
    /// `file:` dependency names is asked for by that.
    fn is_workspace(&self, entry: &Entry) -> bool {
        let root = &self.nodes[ROOT].about;
        let link = entry.link.as_deref().unwrap_or_default();
        let named = |all: &IndexMap<String, String>| {
            all.values().any(|range| {
                range
                    .strip_prefix("file:")
                    .is_some_and(|path| path.trim_start_matches("./").trim_end_matches('/') == link)
            })
        };
        ![&root.dependencies, &root.optional, &root.dev]
            .into_iter()
            .any(named)
    }

    /// What `name` means to whoever is at a place: the nearest `node_modules` upwards that has it.
    fn resolve(&self, location: &str, name: &str) -> Option<usize> {
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
        }
    }

    /// `calcDepFlags`: outward from the project, flags fall where a way without them leads.
    fn find_flags(&mut self) {
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
            for edge in 0..self.nodes[index].edges.len() {
                let Edge { kind, to, .. } = self.nodes[index].edges[edge];
                if let Some(to) = to
                    && self.lower(index, to, kind)
                {
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

    fn lower(&mut self, from: usize, to: usize, kind: Kind) -> bool {
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

    /// Whether all that is asked for is in the lock, and fits.
    fn check(
        &self,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
    ) -> Result<Vec<String>, NpmPlanError> {
        let drift = |first: String| NpmPlanError::Drift {
            lock: self.lock.file.clone(),
            first,
        };
        let overrides = &self.nodes[ROOT].about.overrides;
        let mut warnings = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if node.flags.extraneous || (node.flags.optional && index != ROOT) {
                continue;
            }
            let own = is_top(node.location);
            let who = match node.location {
                "" => "the project",
                location => location,
            };
            for edge in &node.edges {
                let Some(to) = edge.to else {
                    match edge.kind {
                        Kind::Optional if !own => {}
                        Kind::PeerOptional => {}
                        Kind::Peer => warnings.push(format!(
                            "{who} wants {} {} beside it, and the lock has none",
                            edge.name, edge.range
                        )),
                        _ => {
                            return Err(drift(format!(
                                "{who} needs {} {}, and the lock has none",
                                edge.name, edge.range
                            )));
                        }
                    }
                    continue;
                };
                let found = &self.nodes[self.nodes[to].target.unwrap_or(to)];
                let version = found.about.version.as_deref();
                if own
                    && !overrides.contains_key(&edge.name)
                    && let Some(version) = version
                    && edge.range.parse::<node_semver::Range>().is_ok()
                    && !satisfies(version, &edge.range)
                {
                    let first = format!(
                        "{who} needs {} {}, and the lock has {version}",
                        edge.name, edge.range
                    );
                    if edge.kind.is_peer() {
                        warnings.push(first);
                    } else {
                        return Err(drift(first));
                    }
                }
            }
            if !own {
                for name in &node.about.bundle {
                    if self.resolve(node.location, name).is_none() {
                        return Err(drift(format!(
                            "{who} bundles {name}, which the lock does not list"
                        )));
                    }
                }
            }
            let about = &node.about;
            if index != ROOT && !node.is_omitted(omit) {
                if let Some(why) = target.rules_out(&about.os, &about.cpu, &about.libc) {
                    let package = node.location.to_owned();
                    return Err(NpmPlanError::Platform { package, why });
                }
                if let Some(why) = target.engines_fail(about.node.as_deref(), about.npm.as_deref())
                {
                    warnings.push(format!("{} {why}", node.location));
                }
            }
        }
        Ok(warnings)
    }

    /// Optional packages that the machine rules out go, each with its whole optional set.
    fn rule_out(&mut self, target: &NodeTarget) {
        for index in 0..self.nodes.len() {
            let node = &self.nodes[index];
            let about = &node.about;
            if !node.flags.optional || node.flags.extraneous || node.inert {
                continue;
            }
            let fits = target
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
    fn optional_set(&self, start: usize) -> Vec<usize> {
        let mut set = vec![start];
        let mut next = 0;
        while let Some(&index) = set.get(next) {
            for &(from, edge) in &self.nodes[index].into {
                if !self.nodes[from].edges[edge].kind.is_optional() && !set.contains(&from) {
                    set.push(from);
                }
            }
            next += 1;
        }
        let core: HashSet<usize> = set.iter().copied().collect();
        let counts = |from: usize, to: usize| !core.contains(&to) && !self.nodes[from].inert;
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
        loop {
            let before = members.len();
            for &index in &all {
                let needed = self.nodes[index]
                    .into
                    .iter()
                    .any(|&(from, _)| !members.contains(&from) && counts(from, index));
                if needed {
                    members.remove(&index);
                }
            }
            if members.len() == before {
                break;
            }
        }
        all.retain(|index| members.contains(index));
        all
    }

    /// What is neither left out nor inside of what is.
    fn kept(&self, omit: &BTreeSet<Omit>, chosen: Option<&HashSet<usize>>) -> Vec<usize> {
        let mut placed: HashSet<&str> = HashSet::new();
        let mut kept = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
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
    fn choose(&self, wanted: &Wanted) -> Result<Option<HashSet<usize>>, NpmPlanError> {
        if wanted.workspaces.is_empty() {
            return Ok(None);
        }
        let edges = &self.nodes[ROOT].edges;
        let all: Vec<(usize, &str, &str)> = edges
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
                let known: Vec<&str> = all.iter().map(|(_, name, _)| *name).collect();
                return Err(NpmPlanError::Workspace {
                    lock: self.lock.file.clone(),
                    name: asked.clone(),
                    known: match known.is_empty() {
                        true => "none".to_owned(),
                        false => known.join(", "),
                    },
                });
            }
        }
        if wanted.workspace_root {
            let own = edges.iter().filter(|edge| edge.kind != Kind::Workspace);
            chosen.extend(own.filter_map(|edge| edge.to));
        }
        let mut reached: HashSet<usize> = HashSet::new();
        while let Some(index) = chosen.pop() {
            if reached.insert(index) {
                let node = &self.nodes[index];
                chosen.extend(node.target);
                chosen.extend(node.edges.iter().filter_map(|edge| edge.to));
            }
        }
        Ok(Some(reached))
    }

    fn plan(
        &self,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
        chosen: Option<&HashSet<usize>>,
        npmrc: &Npmrc,
        warnings: Vec<String>,
    ) -> Result<NpmPlan, NpmPlanError> {
        let mut packages = Vec::new();
        let indexes = self.kept(omit, chosen);
        for index in &indexes {
            let node = &self.nodes[*index];
            let Some(entry) = node.entry else { continue };
            packages.push(PlannedNpm {
                location: TreePath::new(node.location)?,
                name: node
                    .about
                    .name
                    .clone()
                    .or_else(|| name_of(node.location).map(str::to_owned))
                    .unwrap_or_default(),
                version: node.about.version.clone(),
                source: self.source(node, entry, npmrc)?,
                has_install_script: node.about.has_install_script,
                needs: Vec::new(),
                recorded: self.recorded(node, entry, npmrc),
            });
        }
        let of_node: HashMap<usize, usize> = indexes.iter().copied().zip(0..).collect();
        for (package, index) in packages.iter_mut().zip(&indexes) {
            let node = &self.nodes[*index];
            let edges = node.edges.iter().filter_map(|edge| edge.to);
            let needed = edges.chain(node.target);
            package.needs = needed.filter_map(|to| of_node.get(&to).copied()).collect();
        }
        Ok(NpmPlan {
            target: target.to_string(),
            bins: self.bins(indexes)?,
            packages,
            warnings,
        })
    }

    fn source(
        &self,
        node: &Node<'_>,
        entry: &Entry,
        npmrc: &Npmrc,
    ) -> Result<NpmSource, NpmPlanError> {
        if let Some(link) = &entry.link {
            return Ok(NpmSource::Link(TreePath::new(link.as_str())?));
        }
        if !is_package(node.location) {
            return Ok(NpmSource::Folder);
        }
        if entry.in_bundle {
            let mut bundler = above(node.location);
            while self
                .at
                .get(bundler)
                .and_then(|at| self.nodes[*at].entry)
                .is_some_and(|entry| entry.in_bundle)
            {
                bundler = above(bundler);
            }
            if is_package(bundler) {
                return Ok(NpmSource::Bundle(TreePath::new(bundler)?));
            }
        }
        let asked = name_of(node.location).unwrap_or_default();
        let name = entry.about.name.as_deref().unwrap_or(asked);
        let version = entry.about.version.as_deref();
        let label = format!("{name} {}", version.unwrap_or_default());
        let location = match entry.resolved.as_deref() {
            Some(path) if path.starts_with("file:") => {
                let path = path.trim_start_matches("file:").trim_start_matches("./");
                let path = TreePath::new(path)?;
                Location::Path(self.lock.folder().join(path.as_str()))
            }
            Some(url) if url.starts_with("http:") || url.starts_with("https:") => {
                Location::Url(Url::parse(url).map_err(|_| NpmPlanError::Source {
                    package: label.clone(),
                    from: url.to_owned(),
                    why: "which is no URL",
                })?)
            }
            Some(other) => {
                return match GitPackage::read(other) {
                    Some(git) => Ok(NpmSource::Git(git)),
                    None => Err(NpmPlanError::Source {
                        package: label,
                        from: other.to_owned(),
                        why: "which is neither a tarball nor a git repository with a full commit: \
                              let npm make the lock again",
                    }),
                };
            }
            None => Location::Url(
                version
                    .and_then(|version| npmrc.tarball(name, version))
                    .ok_or_else(|| NpmPlanError::NoRegistry(label.clone()))?,
            ),
        };
        let last = name.rsplit('/').next().unwrap_or(name);
        Ok(NpmSource::Tarball(Artifact {
            file_name: format!("{last}-{}.tgz", version.unwrap_or("0")),
            location,
            digest: entry.integrity.clone(),
            size: None,
        }))
    }

    /// What npm writes of it into `.package-lock.json`: the lock's own words, the flags anew.
    fn recorded(
        &self,
        node: &Node<'_>,
        entry: &Entry,
        npmrc: &Npmrc,
    ) -> serde_json::Map<String, serde_json::Value> {
        if entry.link.is_some() {
            return entry.raw.clone();
        }
        let called = name_of(node.location).unwrap_or_default();
        let from_lock = || entry.about.recorded(&entry.raw, called);
        let mut all = node.recorded.clone().unwrap_or_else(from_lock);
        let omits = npmrc.is_set("omit-lockfile-registry-resolved") && self.is_of_registry(node);
        for key in ["resolved", "integrity", "inBundle", "hasShrinkwrap"] {
            if let Some(value) = entry.raw.get(key)
                && !(key == "resolved" && omits)
                && *value != serde_json::Value::Bool(false)
            {
                all.insert(key.to_owned(), value.clone());
            }
        }
        let flags = &node.flags;
        for (key, on) in [
            ("peer", flags.peer),
            ("dev", flags.dev),
            ("optional", flags.optional),
            (
                "devOptional",
                flags.dev_optional && !flags.dev && !flags.optional,
            ),
        ] {
            if on {
                all.insert(key.to_owned(), true.into());
            }
        }
        all
    }

    /// Whether all who need a package ask for it by a version, a range or a tag.
    fn is_of_registry(&self, node: &Node<'_>) -> bool {
        let mut asked = node
            .into
            .iter()
            .map(|&(from, edge)| (&self.nodes[from], edge))
            .filter(|(from, _)| !from.flags.extraneous)
            .map(|(from, edge)| from.edges[edge].range.as_str())
            .peekable();
        // Which of the overrides of a name counts where is not asked: seldom does any lead elsewhere.
        let name = name_of(node.location).unwrap_or_default();
        let overrides = &self.nodes[ROOT].about.overrides;
        let mut instead = overrides.get(name).into_iter().flatten();
        asked.peek().is_some()
            && asked.all(is_of_registry)
            && instead.all(|range| is_of_registry(range))
    }

    /// Dependencies first and links second, each by depth and then by path: the first to claim a
    /// name has it, even if its file turns out not to be there.
    fn bins(&self, mut indexes: Vec<usize>) -> Result<Vec<PlannedBin>, NpmPlanError> {
        indexes.retain(|index| is_package(self.nodes[*index].location));
        indexes.sort_by(|one, other| {
            let key = |index: &usize| {
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
            let entry = self.nodes[node.target.unwrap_or(index)].entry;
            for (bin, file) in entry.into_iter().flat_map(|entry| &entry.about.bin) {
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

impl Node<'_> {
    fn is_omitted(&self, omit: &BTreeSet<Omit>) -> bool {
        let has = |kind| omit.contains(&kind);
        let flags = &self.flags;
        is_package(self.location)
            && (flags.peer && has(Omit::Peer)
                || flags.dev && has(Omit::Dev)
                || flags.optional && has(Omit::Optional)
                || flags.dev_optional && has(Omit::Optional) && has(Omit::Dev))
    }
}

/// Whether what is asked for is a version, a range or a tag, by whatever name: no URL, path or file
/// (npm-package-arg).
fn is_of_registry(range: &str) -> bool {
    let is_archive = [".tgz", ".tar.gz", ".tar"]
        .iter()
        .any(|end| range.to_ascii_lowercase().ends_with(end));
    range.starts_with("npm:") || !(range.contains([':', '/']) || is_archive)
}

/// Whether a place is one in a `node_modules`.
fn is_package(location: &str) -> bool {
    let name = name_of(location).unwrap_or_default();
    location
        .strip_suffix(name)
        .is_some_and(|modules| modules == "node_modules/" || modules.ends_with("/node_modules/"))
}

/// Whether a place is the project's, a workspace's or another folder's own.
fn is_top(location: &str) -> bool {
    !is_package(location)
}

/// Whether a place is in the project's own `node_modules`.
fn is_direct(location: &str) -> bool {
    is_package(location) && above(location).is_empty()
}

/// The place that has the `node_modules` a package is in, or the folder that a folder is in.
fn above(location: &str) -> &str {
    if is_package(location) {
        let name = name_of(location).unwrap_or_default();
        let modules = location.strip_suffix(name).unwrap_or_default();
        let base = modules.strip_suffix("node_modules/").unwrap_or_default();
        base.trim_end_matches('/')
    } else {
        location.rsplit_once('/').map_or("", |(above, _)| above)
    }
}

/// How many `node_modules` a package is in.
fn depth(location: &str) -> usize {
    location
        .split('/')
        .filter(|part| *part == "node_modules")
        .count()
}

#[cfg(test)]
#[path = "npm_tests.rs"]
mod tests;
