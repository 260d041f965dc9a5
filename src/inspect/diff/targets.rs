//! Diffs for several targets as one: each change and each finding knows where it applies.

use std::collections::HashMap;

use super::model::{Change, Finding, LockDiff};

/// Brings the diffs of several targets together, each named. What is so for all of them names none.
/// One alone only names its target.
pub fn merge(diffs: Vec<(String, LockDiff)>) -> Option<LockDiff> {
    let count = diffs.len();
    let targets: Vec<String> = diffs.iter().map(|(target, _)| target.clone()).collect();
    let mut diffs = diffs.into_iter();
    let (first, mut whole) = diffs.next()?;
    let named = |target: &str| vec![target.to_owned()];
    whole
        .changes
        .iter_mut()
        .for_each(|change| change.targets = named(&first));
    whole
        .findings
        .iter_mut()
        .for_each(|finding| finding.targets = named(&first));
    for (target, diff) in diffs {
        whole.summary.unchanged = whole.summary.unchanged.max(diff.summary.unchanged);
        whole.old.packages = whole.old.packages.max(diff.old.packages);
        whole.new.packages = whole.new.packages.max(diff.new.packages);
        whole.old.bytes = whole.old.bytes.max(diff.old.bytes);
        whole.new.bytes = whole.new.bytes.max(diff.new.bytes);
        add_changes(&mut whole.changes, &target, diff.changes);
        add_findings(&mut whole.findings, &target, diff.findings);
    }
    for change in &mut whole.changes {
        if change.targets.len() == count {
            change.targets.clear();
        }
    }
    for finding in &mut whole.findings {
        if finding.targets.len() == count {
            finding.targets.clear();
        }
    }
    whole
        .changes
        .sort_by(|one, other| one.name.cmp(&other.name));
    whole.findings.sort_by(|one, other| {
        (one.severity, one.kind, &one.says).cmp(&(other.severity, other.kind, &other.says))
    });
    whole.targets = targets;
    whole.count();
    Some(whole)
}

fn add_changes(all: &mut Vec<Change>, target: &str, more: Vec<Change>) {
    let key = |change: &Change| {
        let (old, new) = change.versions();
        (
            change.name.clone(),
            change.kind,
            old.map(str::to_owned),
            new.map(str::to_owned),
        )
    };
    let known: HashMap<_, usize> = all
        .iter()
        .enumerate()
        .map(|(at, change)| (key(change), at))
        .collect();
    for mut change in more {
        match known.get(&key(&change)).and_then(|at| all.get_mut(*at)) {
            Some(same) => {
                same.targets.push(target.to_owned());
                for file in change.files {
                    if !same.files.contains(&file) {
                        same.files.push(file);
                    }
                }
            }
            None => {
                change.targets = vec![target.to_owned()];
                all.push(change);
            }
        }
    }
}

fn add_findings(all: &mut Vec<Finding>, target: &str, more: Vec<Finding>) {
    for mut finding in more {
        let is_same = |other: &&mut Finding| {
            (
                other.severity,
                other.kind,
                &other.says,
                &other.packages,
                &other.old,
                &other.new,
            ) == (
                finding.severity,
                finding.kind,
                &finding.says,
                &finding.packages,
                &finding.old,
                &finding.new,
            )
        };
        match all.iter_mut().find(is_same) {
            Some(same) => same.targets.push(target.to_owned()),
            None => {
                finding.targets = vec![target.to_owned()];
                all.push(finding);
            }
        }
    }
}
