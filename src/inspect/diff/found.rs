//! Findings in the making.

use std::collections::BTreeMap;

use super::model::{Finding, FindingKind, LockDiff, Severity};

/// What was there before, and what is there now.
pub type FromTo = (Option<String>, Option<String>);

/// What was there before and is now, where that is not said.
pub const NOTHING: FromTo = (None, None);

/// Findings in the making, those of the same words together.
#[derive(Debug, Default)]
pub struct Found {
    all: BTreeMap<(Severity, FindingKind, String, FromTo), Vec<String>>,
}

impl Found {
    /// Says something of a package, or with an empty label of the lock.
    pub fn say(
        &mut self,
        label: &str,
        severity: Severity,
        kind: FindingKind,
        says: &str,
        from_to: FromTo,
    ) {
        let key = (severity, kind, says.to_owned(), from_to);
        let packages = self.all.entry(key).or_default();
        if !label.is_empty() {
            packages.push(label.to_owned());
        }
    }

    /// The findings, the gravest first.
    pub fn into_findings(self) -> Vec<Finding> {
        let finding = |((severity, kind, says, (old, new)), mut packages): (_, Vec<String>)| {
            packages.sort();
            packages.dedup();
            Finding {
                severity,
                kind,
                packages,
                says,
                old,
                new,
                targets: Vec::new(),
            }
        };
        self.all.into_iter().map(finding).collect()
    }
}

impl LockDiff {
    /// Adds findings, and counts anew.
    pub fn add(&mut self, found: Found) {
        self.findings.extend(found.into_findings());
        self.sort();
    }

    /// Brings the findings into their order, and counts anew.
    pub fn sort(&mut self) {
        self.findings.sort_by(|one, other| {
            (one.severity, one.kind, &one.packages, &one.says).cmp(&(
                other.severity,
                other.kind,
                &other.packages,
                &other.says,
            ))
        });
        self.count();
    }
}

/// A package, as findings name it: `name version`.
pub fn label(name: &str, version: Option<&str>) -> String {
    match version {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}
