//! What a lock names, as a bill of materials: CycloneDX 1.6 JSON
//! (<https://cyclonedx.org/docs/1.6/json/>).
//!
//! It is made of the lock alone, so the same lock gives the same bytes: there is no time in it, and
//! its serial number is made of its contents. Components carry package URLs, the digests of their
//! files and their licences where they are known; dependencies are the lock's own edges.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::core::digest::{Algorithm, Digest};
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::uv::UvLock;
use crate::inspect::diff::facts::{
    Ecosystem, FileKind, LockFacts, OriginKind, Package, without_password,
};
use crate::inspect::diff::{npm, python};
use pep508_rs::MarkerEnvironment;

/// A package: its name and version.
type Key = (String, String);

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
            let name = entry
                .about
                .name
                .as_deref()
                .or(crate::decide::lock::npm::name_of(place))?;
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

/// The bill. `licenses` are those that the lock does not say, by package and version.
pub fn cyclonedx(facts: &LockFacts, graph: &Graph, licenses: &BTreeMap<Key, String>) -> Value {
    let reference = |(name, version): &Key| purl(facts.ecosystem, name, version);
    let root_ref = format!("root:{}", reference(&graph.root));
    let mut components = BTreeMap::new();
    for (name, package) in facts.each() {
        let key = (name.to_owned(), package.version.clone().unwrap_or_default());
        if key != graph.root {
            let license = package.license.as_ref().or(licenses.get(&key));
            let id = reference(&key);
            let component = component(&id, &key, package, license);
            components.entry(id).or_insert(component);
        }
    }
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    needs.entry(root_ref.clone()).or_default();
    for id in components.keys() {
        needs.entry(id.clone()).or_default();
    }
    for (from, to) in &graph.edges {
        let from = if *from == graph.root {
            root_ref.clone()
        } else {
            reference(from)
        };
        let to = reference(to);
        // What a target leaves out has no component, and nothing leads to it or from it.
        if components.contains_key(&to)
            && from != to
            && let Some(all) = needs.get_mut(&from)
        {
            all.insert(to);
        }
    }
    let (name, version) = &graph.root;
    let mut root = json!({"type": "application", "bom-ref": root_ref, "name": name});
    if !version.is_empty() {
        put(&mut root, "version", json!(version));
    }
    let dependencies: Vec<Value> = (needs.into_iter())
        .map(|(from, to)| json!({"ref": from, "dependsOn": to}))
        .collect();
    let components: Vec<Value> = components.into_values().collect();
    let digest = Digest::of(
        Algorithm::Sha256,
        format!("{root}\n{components:?}\n{dependencies:?}").as_bytes(),
    );
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&digest),
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "pre-build"}],
            "tools": {"components": [{
                "type": "application",
                "name": "lockwright",
                "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": root,
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn put(value: &mut Value, key: &str, what: Value) {
    if let Value::Object(map) = value {
        map.insert(key.to_owned(), what);
    }
}

/// A UUID made of a digest: version 8, which is for that (RFC 9562).
fn serial(digest: &Digest) -> String {
    let hex = digest.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

/// A package URL (<https://github.com/package-url/purl-spec>).
fn purl(ecosystem: Ecosystem, name: &str, version: &str) -> String {
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

fn component(
    id: &str,
    (name, version): &Key,
    package: &Package,
    license: Option<&String>,
) -> Value {
    let mut value = json!({"type": "library", "bom-ref": id});
    match name.strip_prefix('@').and_then(|name| name.split_once('/')) {
        Some((group, name)) => {
            put(&mut value, "group", json!(format!("@{group}")));
            put(&mut value, "name", json!(name));
        }
        None => put(&mut value, "name", json!(name)),
    }
    if !version.is_empty() {
        put(&mut value, "version", json!(version));
    }
    let files: Vec<_> = package
        .files
        .iter()
        .filter(|file| file.digest.is_some())
        .collect();
    // A component's own hashes are those of what is installed, where that is one file.
    if let [file] = &files[..] {
        put(&mut value, "hashes", hashes(file.digest.as_ref()));
    }
    if let Some(license) = license {
        let license = match is_expression(license) {
            true => json!([{"expression": license}]),
            false => json!([{"license": {"name": license}}]),
        };
        put(&mut value, "licenses", license);
    }
    put(&mut value, "purl", json!(id));
    let mut places: Vec<Value> = (package.files.iter())
        .filter(|file| file.location.contains("://"))
        .map(|file| {
            let mut place = json!({
                "type": if file.kind == FileKind::Sdist { "source-distribution" } else { "distribution" },
                "url": without_password(&file.location),
            });
            if file.digest.is_some() {
                put(&mut place, "hashes", hashes(file.digest.as_ref()));
            }
            place
        })
        .collect();
    if package.origin.kind == OriginKind::Git {
        let commit = package.origin.commit.as_deref().unwrap_or_default();
        let url = format!("{}#{commit}", without_password(&package.origin.place));
        places.push(json!({"type": "vcs", "url": url}));
    }
    if !places.is_empty() {
        put(&mut value, "externalReferences", Value::Array(places));
    }
    value
}

fn hashes(digest: Option<&Digest>) -> Value {
    let all = digest.into_iter().map(|digest| {
        let name = match digest.algorithm() {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha1 => "SHA-1",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha384 => "SHA-384",
            Algorithm::Sha512 => "SHA-512",
        };
        let mut map = Map::new();
        map.insert("alg".to_owned(), json!(name));
        map.insert("content".to_owned(), json!(digest.hex()));
        Value::Object(map)
    });
    Value::Array(all.collect())
}

/// Whether a text has the form of an SPDX expression: names, joined by AND, OR and WITH.
fn is_expression(text: &str) -> bool {
    let is_name = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.+:".contains(&b))
    };
    let bare = text.replace(['(', ')'], " ");
    let words: Vec<&str> = bare.split_whitespace().collect();
    let depth = text.chars().try_fold(0_i32, |depth, c| match c {
        '(' => Some(depth + 1),
        ')' => Some(depth - 1).filter(|depth| *depth >= 0),
        _ => Some(depth),
    });
    let joins = ["AND", "OR", "WITH"];
    let alternate = words.iter().enumerate().all(|(at, word)| match at % 2 {
        0 => is_name(word) && !joins.contains(word),
        _ => joins.contains(word),
    });
    alternate && words.len() % 2 == 1 && depth == Some(0)
}
