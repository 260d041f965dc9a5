//! `uv.lock` as it is written: one struct per table, nothing interpreted.
//!
//! Versions: `version = 1`, with `revision` 0 (no key) to 5. Every revision is read by the same
//! model, since each only added keys or made some optional: 1 `provides-extras`, 2 `upload-time`,
//! 4 package metadata may be absent, 5 `size` may be absent. Unknown keys are tolerated, which is
//! uv's own promise for revisions (<https://docs.astral.sh/uv/concepts/resolution/#lockfile-versioning>).

use std::collections::BTreeMap;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;
use toml::Spanned;

use crate::core::digest::Digest;
use crate::decide::lock::marker::Marker;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Lock {
    #[serde(rename = "version")]
    pub(super) _version: i64,
    #[serde(default)]
    pub(super) revision: u32,
    pub(super) requires_python: Option<VersionSpecifiers>,
    #[serde(default)]
    pub(super) resolution_markers: Vec<Marker>,
    #[serde(default)]
    pub(super) supported_markers: Vec<Marker>,
    #[serde(default)]
    pub(super) required_markers: Vec<Marker>,
    #[serde(default)]
    pub(super) conflicts: Vec<Vec<Conflict>>,
    #[serde(default)]
    pub(super) options: RawOptions,
    #[serde(default)]
    pub(super) manifest: Manifest,
    #[serde(default, rename = "package", alias = "distribution")]
    pub(super) packages: Vec<Package>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Conflict {
    pub(super) package: PackageName,
    pub(super) extra: Option<ExtraName>,
    pub(super) group: Option<ExtraName>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct RawOptions {
    pub(super) resolution_mode: Option<String>,
    pub(super) prerelease_mode: Option<String>,
    pub(super) fork_strategy: Option<String>,
    pub(super) exclude_newer: Option<toml::Value>,
    #[serde(rename = "exclude-newer-span")]
    pub(super) _exclude_newer_span: Option<toml::Value>,
    #[serde(rename = "exclude-newer-package")]
    pub(super) _exclude_newer_package: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Manifest {
    #[serde(default)]
    pub(super) members: Vec<PackageName>,
    #[serde(default)]
    pub(super) requirements: Vec<Requirement>,
    #[serde(default)]
    pub(super) constraints: Vec<Requirement>,
    #[serde(default)]
    pub(super) overrides: Vec<Requirement>,
    #[serde(rename = "excludes")]
    pub(super) _excludes: Option<toml::Value>,
    #[serde(default)]
    pub(super) build_constraints: Vec<Requirement>,
    #[serde(default)]
    pub(super) dependency_groups: BTreeMap<ExtraName, Vec<Requirement>>,
    #[serde(rename = "dependency-metadata")]
    pub(super) _dependency_metadata: Option<toml::Value>,
}

/// A requirement as a project states it, in the lock's own spelling.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Requirement {
    pub(super) name: PackageName,
    #[serde(default)]
    pub(super) extras: Vec<ExtraName>,
    pub(super) specifier: Option<VersionSpecifiers>,
    #[serde(default)]
    pub(super) marker: Marker,
    pub(super) url: Option<String>,
    pub(super) git: Option<String>,
    pub(super) path: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) editable: Option<String>,
    pub(super) r#virtual: Option<String>,
    #[serde(rename = "index")]
    pub(super) _index: Option<String>,
    #[serde(rename = "subdirectory")]
    pub(super) _subdirectory: Option<String>,
    #[serde(rename = "conflict")]
    pub(super) _conflict: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Package {
    pub(super) name: Spanned<PackageName>,
    pub(super) version: Option<Version>,
    pub(super) source: RawSource,
    #[serde(default)]
    pub(super) resolution_markers: Vec<Marker>,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(super) optional_dependencies: BTreeMap<ExtraName, Vec<Dependency>>,
    #[serde(default, alias = "dependency-groups")]
    pub(super) dev_dependencies: BTreeMap<ExtraName, Vec<Dependency>>,
    pub(super) sdist: Option<File>,
    #[serde(default)]
    pub(super) wheels: Vec<File>,
    #[serde(default)]
    pub(super) metadata: Metadata,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawSource {
    pub(super) registry: Option<String>,
    pub(super) url: Option<String>,
    pub(super) git: Option<String>,
    pub(super) path: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) editable: Option<String>,
    pub(super) r#virtual: Option<String>,
    pub(super) subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: Spanned<PackageName>,
    pub(super) version: Option<Version>,
    pub(super) source: Option<RawSource>,
    #[serde(default)]
    pub(super) extra: Vec<ExtraName>,
    #[serde(default)]
    pub(super) marker: Marker,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) filename: Option<Spanned<String>>,
    pub(super) hash: Option<Digest>,
    pub(super) size: Option<u64>,
    #[serde(alias = "upload_time")]
    pub(super) upload_time: Option<toml::Value>,
    #[serde(rename = "zstd")]
    pub(super) _zstd: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) requires_dist: Vec<Requirement>,
    #[serde(default)]
    pub(super) provides_extras: Vec<ExtraName>,
    #[serde(default, alias = "dependency-groups")]
    pub(super) requires_dev: BTreeMap<ExtraName, Vec<Requirement>>,
}
