//! Locks of other tools, as far as they state facts: names, versions, digests, sources. They are read
//! to be compared and checked against their indexes; nothing is assembled from them.

mod bun;
mod pnpm;
mod requirements;
mod yarn;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;

use super::facts::{Ecosystem, File, FileKind, LockFacts, Origin, OriginKind, Package, Scope};
use super::version::Number;
use crate::core::digest::Digest;
use crate::core::foreign;

/// Why such a lock cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file} cannot be read: {why}")]
pub struct OtherLockError {
    /// The file.
    pub file: String,
    /// Why, with the place.
    pub why: String,
}

type Reader = fn(&str) -> Result<LockFacts, String>;

/// The names of such locks, and what reads each.
const READERS: [(&str, Reader); 4] = [
    ("requirements.txt", requirements::read),
    ("pnpm-lock.yaml", pnpm::read),
    ("yarn.lock", yarn::read),
    ("bun.lock", bun::read),
];

/// The names of such locks, in the order they are looked for in a folder.
pub fn names() -> impl Iterator<Item = &'static str> {
    READERS.iter().map(|(name, _)| *name)
}

/// Reads a lock of another tool, told by its file's name; nothing where it is none.
///
/// # Errors
/// When it is damaged, or of a form that is not known.
pub fn read(text: &str, file: &Utf8Path) -> Option<Result<LockFacts, OtherLockError>> {
    let name = file.as_str().rsplit(['/', ':']).next()?;
    let is_named = |own: &str| match own {
        // Requirements have many names.
        "requirements.txt" => name.contains("requirements") && name.ends_with(".txt"),
        own => name == own,
    };
    let (_, reader) = READERS.iter().find(|(own, _)| is_named(own))?;
    Some(reader(text).map_err(|why| OtherLockError {
        file: foreign::shown(file.as_str()),
        why,
    }))
}

fn facts(ecosystem: Ecosystem) -> LockFacts {
    LockFacts {
        ecosystem,
        label: String::new(),
        settings: BTreeMap::new(),
        requirements: BTreeMap::new(),
        states_scripts: false,
        packages: BTreeMap::new(),
    }
}

/// A package of which nothing is known yet but its name and version.
fn package(ecosystem: Ecosystem, version: Option<&str>, origin: Origin) -> Package {
    Package {
        number: match ecosystem {
            Ecosystem::Python => Number::python(version),
            Ecosystem::Npm => Number::npm(version),
        },
        version: version.map(str::to_owned),
        origin,
        files: Vec::new(),
        checksum: None,
        why: Vec::new(),
        license: None,
        native: false,
        install_script: false,
        deprecated: None,
        engines: None,
        scope: Scope::Required,
        places: BTreeSet::new(),
        doubts: BTreeSet::new(),
    }
}

fn origin(kind: OriginKind, place: &str) -> Origin {
    Origin {
        kind,
        place: place.trim_end_matches('/').to_owned(),
        commit: None,
        reference: None,
    }
}

/// An npm tarball; without a URL it is the registry's.
fn tarball(name: &str, version: &str, url: &str, digest: Option<Digest>) -> File {
    let base = name.rsplit('/').next().unwrap_or(name);
    File {
        name: format!("{base}-{version}.tgz"),
        kind: FileKind::Tarball,
        tags: None,
        location: url.to_owned(),
        digest,
        size: None,
        uploaded: None,
    }
}

/// `@scope/name@1.0.0` and `name@npm:1.0.0` as a name and what follows it.
fn split_name(text: &str) -> Option<(&str, &str)> {
    let at = text.get(1..)?.find('@')? + 1;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// The registry of a tarball's URL, or the URL itself.
fn origin_of_url(url: &str, name: &str) -> Origin {
    match super::npm::registry_of(url, name) {
        Ok(registry) => origin(OriginKind::Registry, &registry),
        Err(_) => origin(OriginKind::Url, url),
    }
}

#[cfg(test)]
mod tests;
