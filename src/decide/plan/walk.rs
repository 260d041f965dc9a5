//! The walk over a lock's graph: from the roots through dependencies, extras and groups whose
//! markers hold for the target.
//!
//! Where the lock has conflicting extras or groups, its markers also ask which of them are chosen.
//! An extra may be chosen by a dependency deep in the graph, so the walk is made twice: once to
//! learn which extras it activates, and once for good.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use pep508_rs::{ExtraName, PackageName};

use super::conditions::{ALWAYS, Condition, Conditions, NEVER, TooLarge};
use super::paths::Paths;
use super::roots::{Groups, Roots, chosen_extras, is_chosen_extra};
use super::selection::{SelectError, Selection};
use crate::decide::lock::marker::Marker;
use crate::decide::lock::uv::{ConflictItem, ConflictKind, Dependency, Requirement, UvLock};
use crate::decide::target::PythonTarget;

/// A node of the graph: a package, or one extra of it.
pub(super) type Node<'a> = (usize, Option<&'a ExtraName>);

/// What a walk begins with, and what it has found.
pub(super) struct Walk<'a> {
    lock: &'a UvLock,
    target: &'a PythonTarget,
    selection: &'a Selection,
    roots: &'a Roots,
    groups: &'a Groups<'a>,
    /// Every project, extra and group that is chosen, and the names by which markers ask for them.
    /// Empty where the lock has no conflicts: nothing asks then.
    active: BTreeSet<ConflictItem>,
    asked: Vec<ExtraName>,
    /// Where the walk begins, and under which condition that is.
    start: Vec<(Node<'a>, Option<&'a Marker>)>,
    /// Who first asked for a package, and with which extras: for the reason that is shown.
    paths: Paths<usize>,
    /// Packages to put in place, unless a flag leaves them out; others are only walked through.
    wanted: BTreeSet<usize>,
}

/// What was found.
pub(super) struct Walked {
    paths: Paths<usize>,
    wanted: BTreeSet<usize>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        lock: &'a UvLock,
        target: &'a PythonTarget,
        selection: &'a Selection,
        roots: &'a Roots,
        groups: &'a Groups<'a>,
    ) -> Self {
        Self {
            lock,
            target,
            selection,
            roots,
            groups,
            active: BTreeSet::new(),
            asked: Vec::new(),
            start: Vec::new(),
            paths: Paths::default(),
            wanted: BTreeSet::new(),
        }
    }

    pub(super) fn run(mut self) -> Result<Walked, SelectError> {
        let conflicts = !self.lock.conflicts.is_empty();
        if conflicts {
            self.check_choice()?;
            self.activate_choice();
        }
        self.start_at_roots();
        self.start_at_groups();
        self.start_at_manifest()?;
        if conflicts {
            self.learn_extras()?;
            self.check_extras()?;
        }
        self.walk();
        Ok(Walked {
            paths: self.paths,
            wanted: self.wanted,
        })
    }

    fn activate(&mut self, package: &PackageName, kind: ConflictKind) {
        let item = ConflictItem {
            package: package.clone(),
            kind,
        };
        if !self.active.contains(&item) {
            self.asked.extend(item.marker_extra());
            self.active.insert(item);
        }
    }

    /// What the command line activates.
    fn activate_choice(&mut self) {
        let (lock, groups) = (self.lock, self.groups);
        for package in (self.roots.packages().iter()).filter_map(|&root| lock.packages.get(root)) {
            if groups.production() {
                self.activate(&package.name, ConflictKind::Project);
                for extra in chosen_extras(package, self.selection) {
                    self.activate(&package.name, ConflictKind::Extra(extra.clone()));
                }
            }
        }
        for &root in self.roots.packages().iter().chain(&groups.root) {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            for group in package.groups.keys().filter(|g| groups.of(Some(root), g)) {
                self.activate(&package.name, ConflictKind::Group(group.clone()));
            }
        }
    }

    fn start_at_roots(&mut self) {
        for &root in self.roots.packages() {
            let Some(package) = self.lock.packages.get(root) else {
                continue;
            };
            self.paths.enter(root, None, || package.name.to_string());
            if self.groups.production() {
                self.wanted.insert(root);
                self.start.push(((root, None), None));
                for extra in chosen_extras(package, self.selection) {
                    self.start.push(((root, Some(extra)), None));
                }
            }
        }
    }

    fn start_at_groups(&mut self) {
        let (lock, groups) = (self.lock, self.groups);
        for &root in self.roots.packages().iter().chain(&groups.root) {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            self.paths.enter(root, None, || package.name.to_string());
            let chosen = (package.groups.iter()).filter(|(name, _)| groups.of(Some(root), name));
            for (name, edges) in chosen {
                for edge in edges {
                    // What the edge itself activates counts for its own marker.
                    if self.holds(&edge.marker, &self.own_extras(edge)) {
                        self.activate_extras(edge);
                        let from = Some(root);
                        self.enter(
                            edge.package,
                            &edge.extras,
                            from,
                            &format!(" (group {name})"),
                        );
                        self.start
                            .extend(nodes(edge).map(|node| (node, Some(&edge.marker))));
                    }
                }
            }
        }
    }

    /// Requirements of a workspace's root that is no package.
    fn start_at_manifest(&mut self) -> Result<(), SelectError> {
        let (lock, groups) = (self.lock, self.groups);
        let manifest = &lock.manifest;
        let own = (manifest.requirements.iter()).filter(|_| groups.production());
        let grouped = (manifest.dependency_groups.iter())
            .filter(|(name, _)| groups.of(None, name))
            .flat_map(|(name, of)| of.iter().map(move |one| (one, format!(" (group {name})"))));
        for (requirement, how) in own.map(|one| (one, String::new())).chain(grouped) {
            if !requirement.marker.evaluate(&self.target.markers, &[]) {
                continue;
            }
            let index = self.answer(requirement)?;
            let Some(package) = lock.packages.get(index) else {
                continue;
            };
            for extra in &requirement.extras {
                if !lock.conflicts.is_empty() {
                    self.activate(&package.name, ConflictKind::Extra(extra.clone()));
                }
            }
            self.enter(index, &requirement.extras, None, &how);
            let extras = requirement.extras.iter().map(Some);
            self.start.extend(
                std::iter::once(None)
                    .chain(extras)
                    .map(|extra| ((index, extra), None)),
            );
        }
        Ok(())
    }

    /// The package that answers a requirement for this target.
    fn answer(&self, requirement: &Requirement) -> Result<usize, SelectError> {
        let mut fits = self.lock.named(&requirement.name).filter(|(_, package)| {
            let markers = &package.resolution_markers;
            markers.is_empty()
                || markers
                    .iter()
                    .any(|m| m.evaluate(&self.target.markers, &[]))
        });
        match (fits.next(), fits.next()) {
            (Some((index, _)), None) => Ok(index),
            _ => Err(SelectError::NoPackage {
                lock: self.lock.file.clone(),
                name: requirement.name.clone(),
            }),
        }
    }

    fn holds(&self, marker: &Marker, also: &[ExtraName]) -> bool {
        if also.is_empty() {
            return marker.evaluate(&self.target.markers, &self.asked);
        }
        let asked: Vec<ExtraName> = self.asked.iter().chain(also).cloned().collect();
        marker.evaluate(&self.target.markers, &asked)
    }

    /// The names of the extras that an edge asks for, as markers ask for them.
    fn own_extras(&self, edge: &Dependency) -> Vec<ExtraName> {
        let package = self.lock.packages.get(edge.package);
        let Some(package) = package.filter(|_| !self.lock.conflicts.is_empty()) else {
            return Vec::new();
        };
        let extras = edge.extras.iter().filter_map(|extra| {
            ConflictItem {
                package: package.name.clone(),
                kind: ConflictKind::Extra(extra.clone()),
            }
            .marker_extra()
        });
        extras.collect()
    }

    fn activate_extras(&mut self, edge: &Dependency) {
        let lock = self.lock;
        let package = lock.packages.get(edge.package);
        if let Some(package) = package.filter(|_| !lock.conflicts.is_empty()) {
            for extra in &edge.extras {
                self.activate(&package.name, ConflictKind::Extra(extra.clone()));
            }
        }
    }

    /// Notes that a package is wanted, and who asked for it first.
    fn enter(&mut self, index: usize, extras: &[ExtraName], from: Option<usize>, how: &str) {
        self.wanted.insert(index);
        let Some(package) = self.lock.packages.get(index) else {
            return;
        };
        self.paths.enter(index, from, || {
            let name = &package.name;
            let extras: Vec<String> = extras.iter().map(ToString::to_string).collect();
            match extras[..] {
                [] => format!("{name}{how}"),
                _ => format!("{name}[{}]{how}", extras.join(",")),
            }
        });
    }

    fn edges(&self, node: Node) -> &'a [Dependency] {
        let lock = self.lock;
        let Some(package) = lock.packages.get(node.0) else {
            return &[];
        };
        match node.1 {
            None => &package.dependencies,
            Some(extra) => package.extras.get(extra).map_or(&[], Vec::as_slice),
        }
    }

    /// The first walk: which extras dependencies activate.
    ///
    /// A dependency's marker was simplified under the conditions that lead to its parent, so it is
    /// taken together with them; otherwise a package that is not reached in the end could activate
    /// an extra.
    fn learn_extras(&mut self) -> Result<(), SelectError> {
        let lock = self.lock;
        let mut conditions = Conditions::new(&self.target.markers);
        self.learn(&mut conditions)
            .map_err(|TooLarge| SelectError::Markers(lock.file.clone()))
    }

    fn learn(&mut self, conditions: &mut Conditions<'a>) -> Result<(), TooLarge> {
        let mut reached: HashMap<Node, Condition> = HashMap::new();
        let mut queue: VecDeque<Node> = VecDeque::new();
        for (node, marker) in self.start.clone() {
            let condition = marker.map_or(Ok(ALWAYS), |marker| conditions.of(marker))?;
            widen(conditions, &mut reached, &mut queue, node, condition)?;
        }
        while let Some(node) = queue.pop_front() {
            let parent = reached.get(&node).copied().unwrap_or(NEVER);
            for edge in self.edges(node) {
                let marker = conditions.of(&edge.marker)?;
                let both = conditions.all(marker, parent)?;
                let own = self.own_extras(edge);
                let is_chosen =
                    |extra: &ExtraName| self.asked.contains(extra) || own.contains(extra);
                if conditions.holds(both, is_chosen) {
                    self.activate_extras(edge);
                    for node in nodes(edge) {
                        widen(conditions, &mut reached, &mut queue, node, both)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The second walk: every package that is reached.
    fn walk(&mut self) {
        let mut queue: VecDeque<Node> = self.start.iter().map(|(node, _)| *node).collect();
        let mut seen: HashSet<Node> = queue.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            for edge in self.edges(node) {
                if self.holds(&edge.marker, &[]) {
                    self.enter(edge.package, &edge.extras, Some(node.0), "");
                    queue.extend(nodes(edge).filter(|node| seen.insert(*node)));
                }
            }
        }
    }

    /// Refuses a command line that chooses two that conflict.
    fn check_choice(&self) -> Result<(), SelectError> {
        let members = self.members_in_sight();
        let is_chosen = |item: &ConflictItem| {
            members.contains(&item.package)
                && match &item.kind {
                    ConflictKind::Project => self.groups.production(),
                    ConflictKind::Extra(extra) => is_chosen_extra(extra, self.selection),
                    ConflictKind::Group(group) => self.groups.contains(group),
                }
        };
        refuse_two(&self.lock.conflicts, is_chosen)
    }

    /// Refuses two extras that conflict, whoever asks for them.
    fn check_extras(&self) -> Result<(), SelectError> {
        refuse_two(&self.lock.conflicts, |item| {
            matches!(item.kind, ConflictKind::Extra(_)) && self.active.contains(item)
        })
    }

    /// The roots, and the members of the workspace that could be reached from them, whatever the
    /// target.
    fn members_in_sight(&self) -> BTreeSet<PackageName> {
        let (lock, groups) = (self.lock, self.groups);
        let mut queue: VecDeque<Node> = VecDeque::new();
        for &root in self.roots.packages().iter().chain(&groups.root) {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            if groups.production() && groups.root != Some(root) {
                queue.push_back((root, None));
                let extras = chosen_extras(package, self.selection);
                queue.extend(extras.map(|extra| (root, Some(extra))));
            }
            let chosen = (package.groups.iter()).filter(|(name, _)| groups.of(Some(root), name));
            queue.extend(chosen.flat_map(|(_, edges)| edges.iter().flat_map(nodes)));
        }
        let mut seen: HashSet<Node> = queue.iter().copied().collect();
        while let Some(node) = queue.pop_front() {
            for edge in self.edges(node) {
                queue.extend(nodes(edge).filter(|node| seen.insert(*node)));
            }
        }
        let reached = seen.into_iter().map(|(index, _)| index);
        let members = reached.filter(|&index| lock.is_member(index));
        members
            .chain(self.roots.packages().iter().copied())
            .filter_map(|index| Some(lock.packages.get(index)?.name.clone()))
            .collect()
    }
}

/// The nodes that an edge leads to.
pub(super) fn nodes(edge: &Dependency) -> impl Iterator<Item = Node<'_>> {
    std::iter::once(None)
        .chain(edge.extras.iter().map(Some))
        .map(|extra| (edge.package, extra))
}

/// Notes another condition under which a node is reached; queues it if that is news.
fn widen<'a>(
    conditions: &mut Conditions<'a>,
    reached: &mut HashMap<Node<'a>, Condition>,
    queue: &mut VecDeque<Node<'a>>,
    node: Node<'a>,
    with: Condition,
) -> Result<(), TooLarge> {
    let known = reached.entry(node).or_insert(NEVER);
    let wider = conditions.any(*known, with)?;
    if wider != *known {
        *known = wider;
        queue.push_back(node);
    }
    Ok(())
}

fn refuse_two(
    sets: &[Vec<ConflictItem>],
    is_chosen: impl Fn(&ConflictItem) -> bool,
) -> Result<(), SelectError> {
    for set in sets {
        let mut chosen = set.iter().filter(|item| is_chosen(item));
        if let (Some(one), Some(other)) = (chosen.next(), chosen.next()) {
            return Err(SelectError::Conflict(one.to_string(), other.to_string()));
        }
    }
    Ok(())
}

impl Walked {
    /// Every package that was seen, in the lock's order.
    pub(super) fn reached(&self) -> impl Iterator<Item = usize> {
        self.paths.all()
    }

    /// Whether something asked for a package, other than that it is a root.
    pub(super) fn is_wanted(&self, package: usize) -> bool {
        self.wanted.contains(&package)
    }

    /// The path of requirements that leads to a package, the root first.
    pub(super) fn path(&self, package: usize) -> Vec<String> {
        self.paths.to(package)
    }
}
