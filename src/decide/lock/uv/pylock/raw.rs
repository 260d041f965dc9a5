//! `pylock.toml` as it is written: one struct per table, nothing interpreted. Unknown keys are
//! tolerated, as PEP 751 asks of readers of its first version.

use std::collections::BTreeMap;

use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;
use toml::Spanned;

use crate::decide::lock::marker::Marker;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Lock {
    pub(super) lock_version: Spanned<String>,
    #[serde(default)]
    pub(super) environments: Vec<Marker>,
    pub(super) requires_python: Option<VersionSpecifiers>,
    #[serde(default)]
    pub(super) extras: Vec<ExtraName>,
    #[serde(default)]
    pub(super) dependency_groups: Vec<ExtraName>,
    #[serde(default)]
    pub(super) default_groups: Vec<ExtraName>,
    pub(super) created_by: Option<String>,
    #[serde(default)]
    pub(super) packages: Vec<Package>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Package {
    pub(super) name: Spanned<PackageName>,
    pub(super) version: Option<Version>,
    pub(super) marker: Option<Marker>,
    pub(super) requires_python: Option<VersionSpecifiers>,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    pub(super) index: Option<String>,
    pub(super) vcs: Option<Vcs>,
    pub(super) directory: Option<Directory>,
    pub(super) archive: Option<File>,
    pub(super) sdist: Option<File>,
    #[serde(default)]
    pub(super) wheels: Vec<File>,
}

/// As much of the entry that is meant as tells it from the others.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: PackageName,
    pub(super) version: Option<Version>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Vcs {
    pub(super) r#type: String,
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) requested_revision: Option<String>,
    pub(super) commit_id: String,
    pub(super) subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Directory {
    pub(super) path: String,
    #[serde(default)]
    pub(super) editable: bool,
    pub(super) subdirectory: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct File {
    pub(super) name: Option<String>,
    pub(super) url: Option<String>,
    pub(super) path: Option<String>,
    pub(super) size: Option<u64>,
    pub(super) upload_time: Option<toml::Value>,
    #[serde(default)]
    pub(super) hashes: BTreeMap<String, String>,
    /// Of an archive alone.
    pub(super) subdirectory: Option<String>,
}
