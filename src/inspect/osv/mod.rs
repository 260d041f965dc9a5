//! Known vulnerabilities, from advisories in the OSV format (<https://ossf.github.io/osv-schema/>) that
//! the user names: a folder or a zip archive of them, as databases are dumped, or a server that speaks
//! OSV's API. Nobody else is asked.

mod api;
mod files;
mod record;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::inspect::diff::facts::{Ecosystem, LockFacts};
use crate::inspect::diff::found::{Found, label};
use crate::inspect::diff::model::{Change, FindingKind, LockDiff, Severity};
use crate::inspect::policy::Policy;
pub use files::OsvError;
use record::Record;

/// A vulnerability that is known of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Advisory {
    /// The package, as `name version`.
    pub package: String,
    /// Its identifier.
    pub id: String,
    /// Its other identifiers.
    pub aliases: Vec<String>,
    /// What it is about, in a sentence.
    pub summary: String,
    /// How bad it is, as its database says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// The versions that it is fixed in.
    pub fixed_in: Vec<String>,
    /// Where there is more about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Why it is ignored, where the project says that it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<String>,
}

/// Advisories about the packages of some locks.
#[derive(Debug, Default)]
pub struct Advisories {
    by_name: BTreeMap<String, Vec<Record>>,
}

/// A package in a version.
pub type Named = (String, String);

/// The packages that may be known to a database: those that an index has.
pub fn packages<'a>(locks: impl IntoIterator<Item = &'a LockFacts>) -> BTreeSet<Named> {
    let all = locks.into_iter().flat_map(LockFacts::each);
    all.filter_map(|(name, package)| Some((name.to_owned(), package.version.clone()?)))
        .collect()
}

fn name_of(ecosystem: Ecosystem) -> &'static str {
    match ecosystem {
        Ecosystem::Python => "PyPI",
        Ecosystem::Npm => "npm",
    }
}

impl Advisories {
    fn of(records: impl IntoIterator<Item = Record>, ecosystem: Ecosystem) -> Self {
        let mut by_name: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for record in records
            .into_iter()
            .filter(|record| record.withdrawn.is_none())
        {
            for name in record.names(ecosystem) {
                by_name.entry(name).or_default().push(record.clone());
            }
        }
        for all in by_name.values_mut() {
            all.sort_by(|one, other| one.id.cmp(&other.id));
            all.dedup_by(|one, other| one.id == other.id);
        }
        Self { by_name }
    }

    /// What is known of a package in a version; one that several databases have is told once.
    fn about(&self, ecosystem: Ecosystem, name: &str, version: &str) -> Vec<Advisory> {
        let all = self.by_name.get(name).into_iter().flatten();
        let mut found: Vec<Advisory> = Vec::new();
        for record in all.filter(|record| record.affects(ecosystem, name, version)) {
            let ids: BTreeSet<&String> = record.aliases.iter().chain([&record.id]).collect();
            let same = found.iter_mut().find(|known| {
                ids.contains(&known.id) || known.aliases.iter().any(|alias| ids.contains(alias))
            });
            match same {
                Some(known) => {
                    let more = ids.into_iter().filter(|id| **id != known.id);
                    let all: BTreeSet<String> =
                        known.aliases.drain(..).chain(more.cloned()).collect();
                    known.aliases = all.into_iter().collect();
                }
                None => found.push(Advisory {
                    package: label(name, Some(version)),
                    id: record.id.clone(),
                    aliases: record.aliases.clone(),
                    summary: record.about(),
                    severity: record.severity(),
                    fixed_in: record.fixes(ecosystem, name, version),
                    link: record.link(),
                    ignored: None,
                }),
            }
        }
        found
    }

    /// What is known of everything that a lock has, what the project ignores included.
    pub fn of_lock(&self, facts: &LockFacts, policy: &Policy, found: &mut Found) -> Vec<Advisory> {
        let mut all = Vec::new();
        for (name, package) in facts.each() {
            let version = package.version.as_deref().unwrap_or_default();
            for mut advisory in self.about(facts.ecosystem, name, version) {
                advisory.ignored = policy.ignores(name, advisory.ids(), found);
                if advisory.ignored.is_none() {
                    let says = advisory.says("has a known vulnerability");
                    let severity = advisory.gravity();
                    let kind = FindingKind::Vulnerable;
                    found.say(
                        &advisory.package,
                        severity,
                        kind,
                        &says,
                        (None, advisory.fix()),
                    );
                }
                all.push(advisory);
            }
        }
        all
    }

    /// What a bump fixes, and what it brings.
    pub fn of_bump(&self, diff: &LockDiff, policy: &Policy, found: &mut Found) {
        for change in &diff.changes {
            let [old, new] = self.sides(diff.ecosystem, change);
            let known = |all: &[Advisory], one: &Advisory| {
                all.iter()
                    .any(|other| other.ids().any(|id| one.ids().any(|own| own == id)))
            };
            for gone in old.iter().filter(|one| !known(&new, one)) {
                let says = gone.says("fixes a known vulnerability");
                let kind = FindingKind::Fixes;
                found.say(&change.label(), Severity::Note, kind, &says, (None, None));
            }
            for come in new.iter().filter(|one| !known(&old, one)) {
                if policy.ignores(&change.name, come.ids(), found).is_none() {
                    let says = come.says("introduces a known vulnerability");
                    let kind = FindingKind::Introduces;
                    let label = change.label();
                    found.say(&label, come.gravity(), kind, &says, (None, come.fix()));
                }
            }
        }
    }

    fn sides(&self, ecosystem: Ecosystem, change: &Change) -> [Vec<Advisory>; 2] {
        let (old, new) = change.versions();
        [old, new].map(|version| match version {
            Some(version) => self.about(ecosystem, &change.name, version),
            None => Vec::new(),
        })
    }
}

impl Advisory {
    fn ids(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(self.id.as_str()).chain(self.aliases.iter().map(String::as_str))
    }

    /// What is made to do harm is no flaw.
    fn gravity(&self) -> Severity {
        match self.ids().any(|id| id.starts_with("MAL-")) {
            true => Severity::Alarm,
            false => Severity::Warning,
        }
    }

    fn says(&self, what: &str) -> String {
        let what = match self.gravity() {
            Severity::Alarm => what.replace("a known vulnerability", "known malice"),
            _ => what.to_owned(),
        };
        let severity = match &self.severity {
            Some(severity) => format!(" ({})", severity.to_lowercase()),
            None => String::new(),
        };
        format!("{what}: {}{severity}: {}", self.id, self.summary)
    }

    fn fix(&self) -> Option<String> {
        let versions = &self.fixed_in;
        (!versions.is_empty()).then(|| format!("fixed in {}", versions.join(", ")))
    }
}

#[cfg(test)]
mod tests;
