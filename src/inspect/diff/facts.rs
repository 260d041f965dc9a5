//! What a lock says, in words that both ecosystems share.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use super::version::Number;
use crate::core::digest::Digest;

/// Whose lock it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ecosystem {
    /// `uv.lock`.
    Python,
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    Npm,
}

/// A lock, or what a plan chooses of it.
#[derive(Debug, Clone)]
pub struct LockFacts {
    /// Whose.
    pub ecosystem: Ecosystem,
    /// What it is called in reports.
    pub label: String,
    /// What it says of itself: `requires-python`, `revision`, …
    pub settings: BTreeMap<String, String>,
    /// What its projects ask for directly: (project, requirement's name) → versions.
    pub requirements: BTreeMap<(String, String), String>,
    /// Whether it would say that a package runs something when it is installed (npm's does).
    pub states_scripts: bool,
    /// The packages by name, each name's by version.
    pub packages: BTreeMap<String, Vec<Package>>,
}

/// A package in one version.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its version; some source trees have none.
    pub version: Option<String>,
    /// That, to be compared.
    pub number: Number,
    /// Where it comes from.
    pub origin: Origin,
    /// The files that may be used of it.
    pub files: Vec<File>,
    /// What Yarn has of it in place of a digest: its own form's number, and a checksum of the archive that
    /// it makes itself.
    pub checksum: Option<String>,
    /// The shortest path of requirements that leads to it.
    pub why: Vec<String>,
    /// Its licence, where the lock says it.
    pub license: Option<String>,
    /// Whether it brings compiled code, as far as the lock tells.
    pub native: bool,
    /// Whether it runs something when it is installed (npm).
    pub install_script: bool,
    /// What its maintainers say instead of maintaining it (npm).
    pub deprecated: Option<String>,
    /// What it needs of the interpreter (npm's `engines.node`).
    pub engines: Option<String>,
    /// Who has it.
    pub scope: Scope,
    /// Where it is in `node_modules`.
    pub places: BTreeSet<String>,
    /// What stands in the way of relying on what the lock says of it.
    pub doubts: BTreeSet<Doubt>,
}

/// Who has a package: whoever installs the project, or fewer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everybody.
    #[default]
    Required,
    /// Who asks for an extra; or whose machine can use it (npm).
    Optional,
    /// Who develops the project.
    Development,
}

/// Why what a lock says of a package cannot be relied on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Doubt {
    /// One version is in the lock with two digests: the places of both.
    TwoDigests(String, String),
    /// The URL names another package than the entry.
    AnotherName(String),
}

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OriginKind {
    /// An index or registry.
    Registry,
    /// An archive's URL.
    Url,
    /// A git repository.
    Git,
    /// A file or folder beside the lock.
    Local,
    /// The tarball of the package it is in (npm).
    Bundle,
}

/// Where a package comes from, and exactly what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// What kind of place.
    pub kind: OriginKind,
    /// The index's URL, the repository, the path.
    pub place: String,
    /// A git commit.
    pub commit: Option<String>,
    /// The branch or tag that was asked for.
    pub reference: Option<String>,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A wheel: unpacked, nothing is run.
    Wheel,
    /// Source that is built: its code runs while it is installed.
    Sdist,
    /// An npm tarball.
    Tarball,
}

/// A file that may be used of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: FileKind,
    /// A wheel's tags.
    pub tags: Option<String>,
    /// Where it comes from: a URL, or a path.
    pub location: String,
    /// What it must hash to.
    pub digest: Option<Digest>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was published.
    pub uploaded: Option<String>,
}

impl Package {
    /// The largest of its files: with a target it has one, and of a whole lock it is the best guess
    /// at what is fetched.
    pub fn size(&self) -> Option<u64> {
        let of = |kind| (self.files.iter().filter(move |file| file.kind == kind)).map(|f| f.size);
        let wheel = of(FileKind::Wheel).flatten().max();
        wheel.or_else(|| self.files.iter().filter_map(|file| file.size).max())
    }

    /// Whether one of its files is of this kind.
    pub fn has(&self, kind: FileKind) -> bool {
        self.files.iter().any(|file| file.kind == kind)
    }

    /// The hosts it comes from, with their schemes: `https://files.example`.
    pub fn hosts(&self) -> BTreeSet<String> {
        let own = matches!(
            self.origin.kind,
            OriginKind::Registry | OriginKind::Git | OriginKind::Url
        );
        let own = own.then_some(self.origin.place.as_str());
        let files = self.files.iter().map(|file| file.location.as_str());
        own.into_iter().chain(files).filter_map(host).collect()
    }
}

/// A URL's scheme, host and port.
pub fn host(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let port = url.port().map(|port| format!(":{port}"));
    Some(format!(
        "{}://{}{}",
        url.scheme(),
        url.host_str()?,
        port.unwrap_or_default()
    ))
}

/// A URL without its password.
pub fn without_password(text: &str) -> String {
    match Url::parse(text) {
        Ok(mut url) if url.password().is_some() => {
            // Fails only for URLs that cannot have a password, which have none.
            let _ = url.set_password(Some("****"));
            url.to_string()
        }
        _ => text.to_owned(),
    }
}

impl LockFacts {
    /// Adds a package, keeping each name's in order of version.
    pub fn insert(&mut self, name: String, package: Package) {
        let all = self.packages.entry(name).or_default();
        let at = all.partition_point(|other| other.number <= package.number);
        all.insert(at, package);
    }

    /// Every package with its name.
    pub fn each(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.packages
            .iter()
            .flat_map(|(name, all)| all.iter().map(move |package| (name.as_str(), package)))
    }
}
