//! One advisory, and whether it is about a version.

use serde::Deserialize;
use serde_json::Value;

use super::name_of;
use crate::inspect::diff::facts::Ecosystem;
use crate::inspect::diff::version::Number;

/// An advisory, as far as it is used.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Record {
    pub id: String,
    #[serde(default)]
    pub aliases: Vec<String>,
    pub withdrawn: Option<String>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    references: Vec<Reference>,
    database_specific: Option<Value>,
}

#[derive(Debug, Clone, Deserialize)]
struct Affected {
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Range>,
    #[serde(default)]
    versions: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Package {
    ecosystem: String,
    name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Range {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    events: Vec<Event>,
}

#[derive(Debug, Clone, Deserialize)]
struct Event {
    introduced: Option<String>,
    fixed: Option<String>,
    last_affected: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Reference {
    #[serde(rename = "type", default)]
    kind: String,
    url: String,
}

/// As the lock names it: Python's names have many spellings (PEP 503).
fn normal(ecosystem: Ecosystem, name: &str) -> String {
    match ecosystem {
        Ecosystem::Npm => name.to_owned(),
        Ecosystem::Python => {
            let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join("-").to_lowercase()
        }
    }
}

fn number(ecosystem: Ecosystem, version: &str) -> Number {
    match ecosystem {
        Ecosystem::Python => Number::python(Some(version)),
        Ecosystem::Npm => Number::npm(Some(version)),
    }
}

impl Record {
    /// The packages that it is about.
    pub fn names(&self, ecosystem: Ecosystem) -> Vec<String> {
        let all = self.affected.iter().filter_map(|one| one.package.as_ref());
        let mut names: Vec<String> = all
            .filter(|package| package.ecosystem.split(':').next() == Some(name_of(ecosystem)))
            .map(|package| normal(ecosystem, &package.name))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn of(&self, ecosystem: Ecosystem, name: &str) -> impl Iterator<Item = &Affected> {
        self.affected.iter().filter(move |one| {
            one.package.as_ref().is_some_and(|package| {
                package.ecosystem.split(':').next() == Some(name_of(ecosystem))
                    && normal(ecosystem, &package.name) == name
            })
        })
    }

    /// Whether a version has it.
    pub fn affects(&self, ecosystem: Ecosystem, name: &str, version: &str) -> bool {
        let wanted = number(ecosystem, version);
        self.of(ecosystem, name).any(|one| {
            let listed = one.versions.iter();
            listed
                .clone()
                .any(|listed| number(ecosystem, listed) == wanted)
                || one
                    .ranges
                    .iter()
                    .any(|range| range.holds(ecosystem, &wanted))
        })
    }

    /// The lowest version above it that has it no more, of each range.
    pub fn fixes(&self, ecosystem: Ecosystem, name: &str, version: &str) -> Vec<String> {
        let wanted = number(ecosystem, version);
        let mut all = Vec::new();
        for range in self.of(ecosystem, name).flat_map(|one| &one.ranges) {
            if range.is_of_commits() || !range.holds(ecosystem, &wanted) {
                continue;
            }
            let fixes = range.events.iter().filter_map(|event| event.fixed.as_ref());
            let next = fixes
                .filter(|fixed| number(ecosystem, fixed) > wanted)
                .min_by_key(|fixed| number(ecosystem, fixed));
            all.extend(next.filter(|fixed| !all.contains(*fixed)).cloned());
        }
        all
    }

    /// What it is about, in a sentence.
    pub fn about(&self) -> String {
        let text = match self.summary.trim() {
            "" => self.details.trim(),
            summary => summary,
        };
        let line = text.lines().next().unwrap_or_default();
        match line {
            "" => String::from("no summary is given"),
            line => line.chars().take(200).collect(),
        }
    }

    /// A word of its database.
    pub fn severity(&self) -> Option<String> {
        let own = self.database_specific.as_ref()?;
        own.get("severity")?.as_str().map(str::to_owned)
    }

    /// Where there is more about it.
    pub fn link(&self) -> Option<String> {
        let of = |kind| self.references.iter().find(move |one| one.kind == kind);
        let one = of("ADVISORY").or(of("WEB")).or(self.references.first());
        one.map(|one| one.url.clone())
            .filter(|url| url.starts_with("https://"))
    }
}

impl Range {
    fn is_of_commits(&self) -> bool {
        self.kind == "GIT"
    }

    /// By the evaluation that the schema gives: events in the order of versions, the last one counts.
    fn holds(&self, ecosystem: Ecosystem, wanted: &Number) -> bool {
        if self.is_of_commits() {
            return false;
        }
        let at_or_below = |text: &String| text == "0" || number(ecosystem, text) <= *wanted;
        let mut events: Vec<(Option<Number>, u8, &Event)> = (self.events.iter())
            .filter_map(|event| {
                let (text, order) = match event {
                    Event {
                        introduced: Some(text),
                        ..
                    } => (text, 1),
                    Event {
                        fixed: Some(text), ..
                    } => (text, 0),
                    Event {
                        last_affected: Some(text),
                        ..
                    } => (text, 2),
                    _ => return None,
                };
                Some(((text != "0").then(|| number(ecosystem, text)), order, event))
            })
            .collect();
        events.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        let mut holds = false;
        for (_, _, event) in events {
            if event.introduced.as_ref().is_some_and(at_or_below) {
                holds = true;
            }
            if event.fixed.as_ref().is_some_and(at_or_below) {
                holds = false;
            }
            let ended = |last: &String| number(ecosystem, last) < *wanted;
            if event.last_affected.as_ref().is_some_and(ended) {
                holds = false;
            }
        }
        holds
    }
}
