//! What each Django migration needs before it, as Django's own loader puts it together
//! (`django.db.migrations.loader`): dependencies, `run_before`, `__first__`, and squashed migrations
//! with what they replace.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::migration::{Migration, Relations};

/// A database decides what a squashed migration is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Squashed {
    /// On a new one it stands for those that it replaces.
    Used,
    /// On one that has some of those already they are there, and it is not.
    Unused,
}

/// Which migrations need which, on one kind of database.
#[derive(Debug)]
pub struct Graph {
    squashed: Squashed,
    needs: HashMap<Migration, BTreeSet<Migration>>,
    /// What is there in place of migrations that are not.
    instead: HashMap<Migration, Vec<Migration>>,
}

impl Graph {
    /// The graph of all migrations there are.
    pub fn of(all: &BTreeMap<Migration, Relations>, squashed: Squashed) -> Self {
        let mut graph = Self {
            squashed,
            needs: HashMap::new(),
            instead: instead(all, squashed),
        };
        for (migration, relations) in all {
            for need in &relations.dependencies {
                // An app's own first migration is no need of its others.
                let is_own = need.app == migration.app && need.name == FIRST;
                if !is_own && let Some(need) = resolved(all, need) {
                    graph.add(migration, need);
                }
            }
            for later in &relations.run_before {
                if let Some(later) = resolved(all, later) {
                    graph.add(later, migration);
                }
            }
        }
        graph
    }

    fn add(&mut self, migration: &Migration, need: &Migration) {
        if self.is_inside(migration, need) {
            return;
        }
        for from in self.needing(migration) {
            let to = self.there(need);
            self.needs.entry(from).or_default().extend(to);
        }
    }

    /// Whether both are replaced by one: they need each other no more.
    fn is_inside(&self, migration: &Migration, need: &Migration) -> bool {
        let by = |one| self.instead.get(one);
        self.squashed == Squashed::Used && by(migration).is_some() && by(migration) == by(need)
    }

    /// What is there for those that need `migration`.
    fn there(&self, migration: &Migration) -> Vec<Migration> {
        let instead = self.instead.get(migration);
        instead.map_or_else(|| vec![migration.clone()], Clone::clone)
    }

    /// What has the needs of `migration`: none, when it is a squashed one that is not used.
    fn needing(&self, migration: &Migration) -> Vec<Migration> {
        match self.squashed {
            Squashed::Unused if self.instead.contains_key(migration) => Vec::new(),
            _ => self.there(migration),
        }
    }

    /// The circle that would be closed if `migration` needed `target`: from the first back to it.
    pub fn circle(&self, migration: &Migration, target: &Migration) -> Option<Vec<Migration>> {
        if migration != target && self.is_inside(migration, target) {
            return None;
        }
        let ends = self.needing(migration);
        let starts = self.there(target).into_iter();
        let mut ways: Vec<Vec<Migration>> = starts.map(|start| vec![start]).collect();
        let mut seen = BTreeSet::new();
        while let Some(mut way) = ways.pop() {
            let Some(last) = way.last() else { continue };
            if ends.contains(last) {
                way.insert(0, last.clone());
                return Some(way);
            }
            for need in self.needs.get(last).into_iter().flatten() {
                if seen.insert(need) {
                    ways.push(way.iter().chain([need]).cloned().collect());
                }
            }
        }
        None
    }
}

/// The name by which an app's first migration is needed, whatever it is called.
const FIRST: &str = "__first__";

fn instead(
    all: &BTreeMap<Migration, Relations>,
    squashed: Squashed,
) -> HashMap<Migration, Vec<Migration>> {
    let squashes = all.iter().filter(|(_, it)| !it.replaces.is_empty());
    match squashed {
        Squashed::Used => squashes
            .flat_map(|(squash, it)| it.replaces.iter().map(move |one| (one, squash)))
            .map(|(replaced, squash)| (replaced.clone(), vec![squash.clone()]))
            .collect(),
        Squashed::Unused => squashes
            .map(|(squash, it)| {
                let there = it.replaces.iter().filter(|one| all.contains_key(one));
                (squash.clone(), there.cloned().collect::<Vec<_>>())
            })
            // Without their files there is nothing but the squashed one.
            .filter(|(_, replaced)| !replaced.is_empty())
            .collect(),
    }
}

/// `__first__` and `__latest__` as what they name: the first without a need, and the first without a
/// dependent, in their own app.
fn resolved<'a>(
    all: &'a BTreeMap<Migration, Relations>,
    need: &'a Migration,
) -> Option<&'a Migration> {
    let own = || all.iter().filter(|(other, _)| other.app == need.app);
    let needs_own = |it: &Relations| {
        let mut needs = it.dependencies.iter();
        needs.any(|other| other.app == need.app && other.name != FIRST)
    };
    let is_needed = |one: &Migration| own().any(|(_, it)| it.dependencies.contains(one));
    match need.name.as_str() {
        FIRST => own().find(|(_, it)| !needs_own(it)),
        "__latest__" => own().find(|(one, _)| !is_needed(one)),
        _ => return Some(need),
    }
    .map(|(migration, _)| migration)
}
