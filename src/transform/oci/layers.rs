//! Which package goes into which layer, so that a bump of one changes few.
//!
//! What is decided for a package follows from its own name and size as far as can be, and not from the
//! others: a large one has a layer of its own, the small ones share layers by a hash of their names.
//! Sizes are looked at in powers of two, so they must change a lot to change anything. What no package
//! owns (the environment itself, the project, the tree's own record), and whatever is said to change
//! often, comes last.

use crate::core::digest::{Algorithm, Digest};

/// The least that is worth a layer of its own, in bytes: what is smaller costs more in requests than
/// it saves.
const OWN: u64 = 4 << 20;

/// A package of a tree: all files that are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name, without a version; `None` for what goes with the rest.
    pub package: Option<String>,
    /// The tree, by its number.
    pub tree: usize,
    /// How much it is, in bytes.
    pub size: u64,
}

/// Puts units into at most `limit` layers (at least one), each a list of units by their number, the
/// one that changes least first. The rests of all trees come last, in the order of the trees.
pub fn group(units: &[Unit], limit: usize) -> Vec<Vec<usize>> {
    let rests = count_rests(units);
    // Some room must be left for packages.
    if limit <= rests {
        return match units.is_empty() {
            true => Vec::new(),
            false => vec![(0..units.len()).collect()],
        };
    }
    let room = limit - rests;
    let packages = || units.iter().filter(|unit| unit.package.is_some());
    let large = |least: u64| packages().filter(|unit| unit.size >= least).count();
    let mut least = OWN;
    // One layer is kept for the small ones.
    while large(least) > room.saturating_sub(1) && least < u64::MAX / 2 {
        least *= 2;
    }
    let small: u64 = packages()
        .map(|unit| unit.size)
        .filter(|size| *size < least)
        .sum();
    let buckets = power_of_two((small / OWN).clamp(1, (room - large(least)).max(1) as u64));

    let mut own = Vec::new();
    let mut shared = vec![Vec::new(); buckets as usize];
    let mut rest: Vec<Vec<usize>> = Vec::new();
    for (number, unit) in units.iter().enumerate() {
        match &unit.package {
            Some(_) if unit.size >= least => own.push(number),
            Some(name) => {
                let bucket = hash(name) & (buckets - 1);
                if let Some(layer) = shared.get_mut(bucket as usize) {
                    layer.push(number);
                }
            }
            None => {
                let is_same = |layer: &Vec<usize>| {
                    let first = layer.first().and_then(|first| units.get(*first));
                    first.is_some_and(|first| first.tree == unit.tree)
                };
                match rest.iter_mut().find(|layer| is_same(layer)) {
                    Some(layer) => layer.push(number),
                    None => rest.push(vec![number]),
                }
            }
        }
    }
    let own = own.into_iter().map(|number| vec![number]);
    let all = own.chain(shared).chain(rest);
    all.filter(|layer| !layer.is_empty()).collect()
}

fn count_rests(units: &[Unit]) -> usize {
    let rests = units.iter().filter(|unit| unit.package.is_none());
    let mut trees: Vec<usize> = rests.map(|unit| unit.tree).collect();
    trees.sort_unstable();
    trees.dedup();
    trees.len()
}

/// The largest power of two that is not larger.
fn power_of_two(number: u64) -> u64 {
    1 << number.max(1).ilog2()
}

fn hash(name: &str) -> u64 {
    let digest = Digest::of(Algorithm::Sha256, name.as_bytes());
    let bytes = digest.bytes().iter().take(8);
    bytes.fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units(sizes: &[(&str, u64)]) -> Vec<Unit> {
        let unit = |(name, size): &(&str, u64)| Unit {
            package: (!name.is_empty()).then(|| (*name).to_owned()),
            tree: 0,
            size: *size,
        };
        sizes.iter().map(unit).collect()
    }

    #[test]
    fn large_ones_are_alone_small_ones_together_and_the_rest_is_last() {
        let all = units(&[("a", 5 << 20), ("b", 1), ("", 9), ("c", 2), ("d", 9 << 20)]);
        assert_eq!(group(&all, 32), [vec![0], vec![4], vec![1, 3], vec![2]]);
        // With less room only the largest are alone.
        assert_eq!(group(&all, 3), [vec![4], vec![0, 1, 3], vec![2]]);
        assert_eq!(group(&all, 2), [vec![0, 1, 3, 4], vec![2]]);
        assert_eq!(group(&all, 1), [vec![0, 1, 2, 3, 4]]);
        assert_eq!(group(&[], 1), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn there_are_never_more_than_may_be_and_each_unit_is_in_one() {
        for count in [0_u64, 1, 7, 200] {
            let names: Vec<String> = (0..count).map(|number| format!("p{number}")).collect();
            let sized = |(name, size): (&String, u64)| (name.clone(), (size * size) << 14);
            let sized: Vec<(String, u64)> = names.iter().zip(0..).map(sized).collect();
            let mut all: Vec<(&str, u64)> = sized.iter().map(|(n, s)| (n.as_str(), *s)).collect();
            all.push(("", 5));
            let all = units(&all);
            for limit in 1..40 {
                let layers = group(&all, limit);
                assert!(layers.len() <= limit, "{count} {limit}: {}", layers.len());
                let mut numbers: Vec<usize> = layers.concat();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..all.len()).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_bump_of_one_package_changes_one_layer() {
        let sizes: Vec<(String, u64)> =
            (0..300).map(|n| (format!("p{n}"), 1 << (n % 24))).collect();
        let all = |bumped: Option<usize>| {
            let sizes = sizes.iter().enumerate().map(|(number, (name, size))| {
                let more = if bumped == Some(number) { size / 10 } else { 0 };
                (name.as_str(), size + more)
            });
            units(&sizes.collect::<Vec<_>>())
        };
        let before = group(&all(None), 32);
        for bumped in 0..300 {
            assert_eq!(group(&all(Some(bumped)), 32), before, "{bumped}");
        }
    }
}
