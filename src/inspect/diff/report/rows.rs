//! What a list of changes shows in one line: a package, or a family of packages that differ in the
//! platform alone and moved together.

use std::collections::HashMap;

use super::{clean, signed, versions};
use crate::inspect::diff::model::{Change, ChangeKind, Severity};
use crate::inspect::diff::version::Step;

/// A line of a list.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    /// The change; of a family, the first by name.
    pub change: &'a Change,
    /// The others of a family.
    pub others: Vec<&'a Change>,
    /// What it is called: a name, or what the names of a family have in common.
    pub name: String,
}

/// A family has at least so many packages.
const FAMILY: usize = 3;

/// Brings changes into lines: what was found first, then the longest steps, then what grew most.
pub(crate) fn rows<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<Row<'a>> {
    let mut families: Vec<Vec<&Change>> = Vec::new();
    let mut known: HashMap<_, usize> = HashMap::new();
    for change in changes {
        if !is_native(change) || change.contents.is_some() {
            families.push(vec![change]);
            continue;
        }
        let (_, above) = change.why.split_last().unzip();
        let key = (
            change.kind,
            versions(change),
            change.worst,
            above,
            &change.targets,
        );
        match known.get(&key).and_then(|at| families.get_mut(*at)) {
            Some(family) => family.push(change),
            None => {
                known.insert(key, families.len());
                families.push(vec![change]);
            }
        }
    }
    let mut rows: Vec<Row<'_>> = families.into_iter().flat_map(of_family).collect();
    rows.sort_by_cached_key(|row| {
        let change = row.change;
        let growth = row.growth().unwrap_or(0).unsigned_abs();
        (
            change.worst.unwrap_or(Severity::Note),
            rank(change),
            std::cmp::Reverse(growth),
            row.name.clone(),
        )
    });
    rows
}

fn is_native(change: &Change) -> bool {
    let sides = [&change.old, &change.new].into_iter().flatten();
    sides.clone().next().is_some() && sides.into_iter().all(|side| side.native)
}

fn of_family(family: Vec<&Change>) -> Vec<Row<'_>> {
    let alone = |change| Row {
        change,
        others: Vec::new(),
        name: change.name.clone(),
    };
    match (&family[..], in_common(&family)) {
        ([first, others @ ..], Some(stem)) if family.len() >= FAMILY => vec![Row {
            change: first,
            others: others.to_vec(),
            name: format!("{stem}* ({} packages)", family.len()),
        }],
        _ => family.into_iter().map(alone).collect(),
    }
}

/// What all names begin with, up to a `-` or `/`.
fn in_common(family: &[&Change]) -> Option<String> {
    let mut names = family.iter().map(|change| change.name.as_str());
    let first = names.next()?;
    let shared = names.fold(first, |shared, name| {
        let same = shared.chars().zip(name.chars()).take_while(|(a, b)| a == b);
        let length = same.map(|(c, _)| c.len_utf8()).sum();
        shared.get(..length).unwrap_or_default()
    });
    let end = shared.rfind(['-', '/'])?;
    shared.get(..=end).map(str::to_owned)
}

/// How far it is from what was there.
fn rank(change: &Change) -> u8 {
    match (change.kind, change.step) {
        (ChangeKind::Down, _) => 0,
        (ChangeKind::Altered, _) => 1,
        (ChangeKind::Up, Some(Step::Major)) => 2,
        (ChangeKind::Added, _) => 3,
        (ChangeKind::Moved, _) => 4,
        (ChangeKind::Up, Some(Step::Minor)) => 5,
        (ChangeKind::Up, Some(Step::Patch)) => 6,
        (ChangeKind::Up, _) => 7,
        (ChangeKind::Removed, _) => 8,
        (ChangeKind::Relocated, _) => 9,
    }
}

impl<'a> Row<'a> {
    /// Every change that it stands for.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Change> {
        std::iter::once(self.change).chain(self.others.iter().copied())
    }

    /// By how many bytes all of it grew, where all sizes are known.
    pub(crate) fn growth(&self) -> Option<i64> {
        self.all().map(Change::growth).sum()
    }

    /// What pulls it in; a family, without the one package that it ends with.
    pub(crate) fn why(&self) -> String {
        let path = &self.change.why[..];
        match path.split_last() {
            Some((_, above)) if !self.others.is_empty() => clean(&above.join(" → ")),
            _ => clean(&path.join(" → ")),
        }
    }

    /// By how much it grew, as it is written.
    pub(crate) fn growth_text(&self) -> String {
        signed(self.growth())
    }
}
