//! What belongs together of two locks.

use std::collections::BTreeSet;

use super::facts::{LockFacts, Package};

/// What belongs together of two locks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) name: &'a str,
    pub(super) old: Option<&'a Package>,
    pub(super) new: Option<&'a Package>,
}

/// Pairs the packages of two locks, by name.
pub(super) fn pairs<'a>(old: &'a LockFacts, new: &'a LockFacts) -> Vec<Pair<'a>> {
    let names: BTreeSet<&str> = (old.packages.keys().chain(new.packages.keys()))
        .map(String::as_str)
        .collect();
    let mut pairs = Vec::with_capacity(names.len());
    for name in names {
        let of = |facts: &'a LockFacts| facts.packages.get(name).map_or(&[][..], Vec::as_slice);
        pair(name, of(old), of(new), &mut pairs);
    }
    pairs
}

/// Pairs the versions of one name: equal ones first, of those one source first; then what has one
/// major version; then the rest. The highest versions first.
fn pair<'a>(name: &'a str, old: &'a [Package], new: &'a [Package], pairs: &mut Vec<Pair<'a>>) {
    let mut old: Vec<&Package> = old.iter().rev().collect();
    let mut new: Vec<&Package> = new.iter().rev().collect();
    let rules: [fn(&Package, &Package) -> bool; 4] = [
        |one, other| one.number == other.number && one.origin == other.origin,
        |one, other| one.number == other.number,
        |one, other| one.number.major() == other.number.major(),
        |_, _| true,
    ];
    for belongs in rules {
        old.retain(|one| {
            let Some(at) = new.iter().position(|other| belongs(one, other)) else {
                return true;
            };
            pairs.push(Pair {
                name,
                old: Some(one),
                new: Some(new.remove(at)),
            });
            false
        });
    }
    pairs.extend(old.into_iter().map(|one| Pair {
        name,
        old: Some(one),
        new: None,
    }));
    pairs.extend(new.into_iter().map(|one| Pair {
        name,
        old: None,
        new: Some(one),
    }));
}
