//! What a lock leads to whatever the target: each package that is wanted, and the marker under which it
//! is. For locks of other forms, which have a marker where this one has a graph.

use std::collections::{BTreeMap, HashMap, VecDeque};

use pep508_rs::{ExtraName, MarkerTree};

use super::pylock;
use super::roots::{Groups, Roots, check_names, chosen_extras};
use super::select::is_included;
use super::selection::{SelectError, Selection};
use super::walk::{Node, nodes};
use crate::decide::lock::marker::{Asked, Marker, both, either};
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::{ConflictItem, ConflictKind, Dependency, Pylock, UvLock};

/// How often what extras activate is learned anew before that is given up.
const ROUNDS: usize = 16;

/// Markers that are larger than any that uv writes.
struct TooLarge;

/// The packages that are wanted, by index, each with where it is.
///
/// # Errors
/// When a flag names what is not there, two that conflict are chosen, or markers are larger than any
/// that uv writes.
pub fn universal(
    lock: &UvLock,
    selection: &Selection,
    settings: &ProjectSettings,
) -> Result<BTreeMap<usize, MarkerTree>, SelectError> {
    let too_large = |TooLarge| SelectError::Large(lock.file.clone());
    if let Some(of) = &lock.pylock {
        return of_pylock(lock, of, selection)?.map_err(too_large);
    }
    let roots = Roots::of(lock, selection)?;
    let groups = Groups::new(lock, &roots, selection, &settings.default_groups);
    check_names(lock, &roots, selection)?;
    let mut active = chosen(lock, &roots, &groups, selection);
    let mut all = BTreeMap::new();
    for _ in 0..ROUNDS {
        let walk = Walk {
            lock,
            roots: &roots,
            groups: &groups,
            selection,
            active: &active,
            learned: active.clone(),
            reached: HashMap::new(),
            queue: VecDeque::new(),
        };
        let (learned, reached) = walk.run().map_err(too_large)?;
        all = reached;
        if learned == active {
            break;
        }
        active = learned;
    }
    refuse_conflicts(lock, &active)?;
    all.retain(|&index, marker| {
        !marker.is_false() && is_included(lock, index, roots.project(), selection)
    });
    Ok(all)
}

/// Where a conflicting extra, group or project is active.
type Active = BTreeMap<ConflictItem, MarkerTree>;

/// What the command line activates, everywhere.
fn chosen(lock: &UvLock, roots: &Roots, groups: &Groups<'_>, selection: &Selection) -> Active {
    let mut active = Active::new();
    if lock.conflicts.is_empty() {
        return active;
    }
    for &root in roots.packages().iter().chain(&groups.root) {
        let Some(package) = lock.packages.get(root) else {
            continue;
        };
        let mut kinds = Vec::new();
        if groups.production() && roots.packages().contains(&root) {
            kinds.push(ConflictKind::Project);
            let extras = chosen_extras(package, selection);
            kinds.extend(extras.map(|extra| ConflictKind::Extra(extra.clone())));
        }
        let named = package.groups.keys().filter(|g| groups.of(Some(root), g));
        kinds.extend(named.map(|group| ConflictKind::Group(group.clone())));
        for kind in kinds {
            let package = package.name.clone();
            active.insert(ConflictItem { package, kind }, MarkerTree::TRUE);
        }
    }
    active
}

fn refuse_conflicts(lock: &UvLock, active: &Active) -> Result<(), SelectError> {
    for set in &lock.conflicts {
        let there: Vec<_> = (set.iter())
            .filter_map(|item| Some((item, active.get(item)?)))
            .collect();
        for (at, (item, marker)) in there.iter().enumerate() {
            let mut others = there.iter().skip(at + 1);
            if let Some((other, _)) = others.find(|(_, other)| !marker.is_disjoint(other)) {
                return Err(SelectError::Conflict(item.to_string(), other.to_string()));
            }
        }
    }
    Ok(())
}

fn of_pylock(
    lock: &UvLock,
    of: &Pylock,
    selection: &Selection,
) -> Result<Result<BTreeMap<usize, MarkerTree>, TooLarge>, SelectError> {
    let (extras, groups) = pylock::asked(lock, of, selection)?;
    let constant = |is: bool| {
        Some(if is {
            MarkerTree::TRUE
        } else {
            MarkerTree::FALSE
        })
    };
    let answer = |asked: Asked<'_>| match asked {
        Asked::Extra(extra) => constant(extras.contains(extra)),
        Asked::Group(group) => constant(groups.contains(group)),
    };
    let mut all = BTreeMap::new();
    for (index, package) in lock.packages.iter().enumerate() {
        let mut markers = package.resolution_markers.iter();
        let marker = markers.try_fold(MarkerTree::TRUE, |known, one| {
            both(known, one.answered(&answer)?)
        });
        let Some(marker) = marker else {
            return Ok(Err(TooLarge));
        };
        if !marker.is_false() && is_included(lock, index, lock.root(), selection) {
            all.insert(index, marker);
        }
    }
    Ok(Ok(all))
}

struct Walk<'a> {
    lock: &'a UvLock,
    roots: &'a Roots,
    groups: &'a Groups<'a>,
    selection: &'a Selection,
    /// What is known to be active, by which markers are answered.
    active: &'a Active,
    /// The same, with what this walk activates.
    learned: Active,
    reached: HashMap<Node<'a>, MarkerTree>,
    queue: VecDeque<Node<'a>>,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<(Active, BTreeMap<usize, MarkerTree>), TooLarge> {
        let (lock, groups) = (self.lock, self.groups);
        for &root in self.roots.packages().iter().chain(&groups.root) {
            let Some(package) = lock.packages.get(root) else {
                continue;
            };
            if groups.production() && self.roots.packages().contains(&root) {
                self.widen((root, None), MarkerTree::TRUE)?;
                for extra in chosen_extras(package, self.selection) {
                    self.widen((root, Some(extra)), MarkerTree::TRUE)?;
                }
            }
            let named = (package.groups.iter()).filter(|(name, _)| groups.of(Some(root), name));
            for edge in named.flat_map(|(_, edges)| edges) {
                self.follow(edge, MarkerTree::TRUE)?;
            }
        }
        self.start_at_manifest()?;
        while let Some(node) = self.queue.pop_front() {
            let here = self.reached.get(&node).cloned();
            let package = lock.packages.get(node.0);
            let edges = package.and_then(|package| match node.1 {
                None => Some(&package.dependencies),
                Some(extra) => package.extras.get(extra),
            });
            for edge in edges.into_iter().flatten() {
                self.follow(edge, here.clone().unwrap_or(MarkerTree::FALSE))?;
            }
        }
        let all = self.reached.into_iter();
        let all = all.filter_map(|(node, marker)| node.1.is_none().then_some((node.0, marker)));
        Ok((self.learned, all.collect()))
    }

    /// Requirements of a workspace's root that is no package, or of a script.
    fn start_at_manifest(&mut self) -> Result<(), TooLarge> {
        let (lock, groups) = (self.lock, self.groups);
        let manifest = &lock.manifest;
        let own = (manifest.requirements.iter()).filter(|_| groups.production());
        let named = (manifest.dependency_groups.iter()).filter(|(name, _)| groups.of(None, name));
        for requirement in own.chain(named.flat_map(|(_, of)| of)) {
            let asked = self.answer(&requirement.marker, &[])?;
            for (index, package) in lock.named(&requirement.name) {
                let mut place = MarkerTree::FALSE;
                for marker in &package.resolution_markers {
                    place = either(place, self.answer(marker, &[])?).ok_or(TooLarge)?;
                }
                if package.resolution_markers.is_empty() {
                    place = MarkerTree::TRUE;
                }
                let place = both(place, asked.clone()).ok_or(TooLarge)?;
                let extras = requirement.extras.iter();
                for extra in extras.clone() {
                    self.activate(index, extra, &place)?;
                }
                for extra in std::iter::once(None).chain(extras.map(Some)) {
                    self.widen((index, extra), place.clone())?;
                }
            }
        }
        Ok(())
    }

    /// Goes along an edge from where its parent is.
    fn follow(&mut self, edge: &'a Dependency, from: MarkerTree) -> Result<(), TooLarge> {
        // What the edge itself activates counts for its own marker.
        let package = self.lock.packages.get(edge.package);
        let own = package.filter(|_| !self.lock.conflicts.is_empty());
        let own: Vec<ExtraName> = own
            .map(|package| {
                let items = edge.extras.iter().map(|extra| ConflictItem {
                    package: package.name.clone(),
                    kind: ConflictKind::Extra(extra.clone()),
                });
                items.filter_map(|item| item.marker_extra()).collect()
            })
            .unwrap_or_default();
        let there = both(from, self.answer(&edge.marker, &own)?).ok_or(TooLarge)?;
        if there.is_false() {
            return Ok(());
        }
        for extra in &edge.extras {
            self.activate(edge.package, extra, &there)?;
        }
        nodes(edge).try_for_each(|node| self.widen(node, there.clone()))
    }

    fn activate(
        &mut self,
        index: usize,
        extra: &ExtraName,
        place: &MarkerTree,
    ) -> Result<(), TooLarge> {
        let package = self.lock.packages.get(index);
        if let Some(package) = package.filter(|_| !self.lock.conflicts.is_empty()) {
            let item = ConflictItem {
                package: package.name.clone(),
                kind: ConflictKind::Extra(extra.clone()),
            };
            let known = self.learned.entry(item).or_insert(MarkerTree::FALSE);
            *known = either(known.clone(), place.clone()).ok_or(TooLarge)?;
        }
        Ok(())
    }

    /// A marker, where extras are chosen as far as is known.
    fn answer(&self, marker: &Marker, own: &[ExtraName]) -> Result<MarkerTree, TooLarge> {
        let answer = |asked: Asked<'_>| match asked {
            Asked::Extra(extra) if own.contains(extra) => Some(MarkerTree::TRUE),
            Asked::Extra(extra) => {
                let mut active = self.active.iter();
                let found = active.find(|(item, _)| item.marker_extra().as_ref() == Some(extra));
                Some(found.map_or(MarkerTree::FALSE, |(_, place)| place.clone()))
            }
            Asked::Group(_) => Some(MarkerTree::FALSE),
        };
        marker.answered(&answer).ok_or(TooLarge)
    }

    /// Notes that a node is reached here, too; queues it if that is news.
    fn widen(&mut self, node: Node<'a>, place: MarkerTree) -> Result<(), TooLarge> {
        let known = self.reached.entry(node).or_insert(MarkerTree::FALSE);
        let wider = either(known.clone(), place).ok_or(TooLarge)?;
        if wider != *known {
            *known = wider;
            self.queue.push_back(node);
        }
        Ok(())
    }
}
