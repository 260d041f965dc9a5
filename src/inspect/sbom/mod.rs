//! What a lock names, as a bill of materials: [CycloneDX 1.6](cyclonedx) or [SPDX 2.3](spdx).
//!
//! It is made of the lock alone, so the same lock gives the same bytes: there is no time in it, and
//! its serial number is made of its contents. Components carry package URLs, the digests of their
//! files and their licences where they are known; dependencies are the lock's own edges.

pub mod cyclonedx;
pub mod spdx;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use pep508_rs::MarkerEnvironment;

use crate::decide::lock::npm::{NpmLock, name_of};
use crate::decide::lock::uv::UvLock;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, Package};
use crate::inspect::diff::{npm, python};
use crate::inspect::licence::Licence;

/// A package: its name and version.
pub type Key = (String, String);

/// What needs what.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// What the bill is of.
    root: Key,
    edges: BTreeSet<(Key, Key)>,
}

impl Graph {
    /// The edges of a `uv.lock`; with markers, those that apply where these hold.
    pub fn python(lock: &UvLock, markers: Option<&MarkerEnvironment>) -> Self {
        let key = |index: usize| {
            let package = lock.packages.get(index)?;
            let version = package.version.as_ref().map(ToString::to_string);
            Some((package.name.to_string(), version.unwrap_or_default()))
        };
        let root = lock
            .root()
            .or_else(|| (0..lock.packages.len()).find(|&at| lock.is_member(at)));
        let edges = python::edges(lock, markers);
        Self {
            root: root.and_then(key).unwrap_or_else(|| unnamed("")),
            edges: edges
                .into_iter()
                .filter_map(|(from, to)| Some((key(from)?, key(to)?)))
                .collect(),
        }
    }

    /// The edges of a `package-lock.json`.
    pub fn npm(lock: &NpmLock) -> Self {
        let root = unnamed(lock.root.name.as_deref().unwrap_or_default());
        let root = (root.0, lock.root.version.clone().unwrap_or_default());
        let key = |place: &str| {
            let Some(entry) = lock.entries.get(place) else {
                return Some(root.clone());
            };
            let name = entry.about.name.as_deref().or(name_of(place))?;
            Some((
                name.to_owned(),
                entry.about.version.clone().unwrap_or_default(),
            ))
        };
        let edges = npm::edges(lock);
        Self {
            edges: edges
                .into_iter()
                .filter_map(|(from, to)| Some((key(from)?, key(to)?)))
                .collect(),
            root,
        }
    }
}

fn unnamed(name: &str) -> Key {
    let name = if name.is_empty() { "project" } else { name };
    (name.to_owned(), String::new())
}

/// What a bill says, in whatever form.
pub struct Bill<'a> {
    ecosystem: Ecosystem,
    /// What it is of.
    root: &'a Key,
    /// For which machine; nothing where it is for all.
    target: Option<&'a str>,
    /// By package URL.
    components: BTreeMap<String, Component<'a>>,
    /// Which component needs which, by package URL; the root is the empty one.
    needs: BTreeMap<String, BTreeSet<String>>,
}

struct Component<'a> {
    key: Key,
    package: &'a Package,
    licence: Option<Licence>,
}

impl<'a> Bill<'a> {
    /// The bill of what a lock names. `licenses` are those that the lock does not say, by package and
    /// version.
    pub fn new(
        facts: &'a LockFacts,
        graph: &'a Graph,
        licenses: &BTreeMap<Key, String>,
        target: Option<&'a str>,
    ) -> Self {
        let reference = |key: &Key| match *key == graph.root {
            true => String::new(),
            false => purl(facts.ecosystem, &key.0, &key.1),
        };
        let mut components = BTreeMap::new();
        for (name, package) in facts.each() {
            let key = (name.to_owned(), package.version.clone().unwrap_or_default());
            if key != graph.root {
                let stated = package.license.as_ref().or(licenses.get(&key));
                let component = Component {
                    package,
                    licence: stated.map(|stated| Licence::read(stated)),
                    key,
                };
                components
                    .entry(reference(&component.key))
                    .or_insert(component);
            }
        }
        let ids = components.keys().cloned().chain([String::new()]);
        let mut needs: BTreeMap<String, BTreeSet<String>> =
            ids.map(|id| (id, BTreeSet::new())).collect();
        for (from, to) in &graph.edges {
            let (from, to) = (reference(from), reference(to));
            // What a target leaves out has no component, and nothing leads to it or from it.
            if components.contains_key(&to)
                && from != to
                && let Some(all) = needs.get_mut(&from)
            {
                all.insert(to);
            }
        }
        Self {
            ecosystem: facts.ecosystem,
            root: &graph.root,
            target,
            components,
            needs,
        }
    }
}

/// A package URL (<https://github.com/package-url/purl-spec>).
pub fn purl(ecosystem: Ecosystem, name: &str, version: &str) -> String {
    let kind = match ecosystem {
        Ecosystem::Python => "pypi",
        Ecosystem::Npm => "npm",
    };
    let name: Vec<String> = name.split('/').map(encoded).collect();
    let version = match version {
        "" => String::new(),
        version => format!("@{}", encoded(version)),
    };
    format!("pkg:{kind}/{}{version}", name.join("/"))
}

fn encoded(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
        .remove(b'.')
        .remove(b'-')
        .remove(b'_')
        .remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}
