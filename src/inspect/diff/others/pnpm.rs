//! `pnpm-lock.yaml`, versions 6 to 9 (<https://github.com/pnpm/spec/tree/master/lockfile>).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{facts, origin, origin_of_url, package, split_name, tarball};
use crate::core::digest::Digest;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, Origin, OriginKind};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    lockfile_version: String,
    #[serde(default)]
    importers: BTreeMap<String, Importer>,
    #[serde(default)]
    packages: BTreeMap<String, RawPackage>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Importer {
    #[serde(default)]
    dependencies: BTreeMap<String, Asked>,
    #[serde(default)]
    dev_dependencies: BTreeMap<String, Asked>,
    #[serde(default)]
    optional_dependencies: BTreeMap<String, Asked>,
}

#[derive(Deserialize)]
struct Asked {
    specifier: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPackage {
    name: Option<String>,
    version: Option<String>,
    resolution: Resolution,
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    cpu: Vec<String>,
    #[serde(default)]
    libc: Vec<String>,
    #[serde(default)]
    requires_build: bool,
    deprecated: Option<String>,
}

#[derive(Deserialize)]
struct Resolution {
    integrity: Option<String>,
    tarball: Option<String>,
    repo: Option<String>,
    commit: Option<String>,
    directory: Option<String>,
}

pub(super) fn read(text: &str) -> Result<LockFacts, String> {
    let raw: Raw = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let major = raw.lockfile_version.split('.').next().unwrap_or_default();
    if !matches!(major, "6" | "7" | "8" | "9") {
        return Err(format!(
            "it is of lockfileVersion {}, and 6 to 9 are known here",
            raw.lockfile_version
        ));
    }
    let mut all = facts(Ecosystem::Npm);
    // Since version 9, pnpm looks for scripts when it installs.
    all.states_scripts = major != "9";
    for (folder, importer) in raw.importers {
        let kinds = [
            (importer.dependencies, ""),
            (importer.dev_dependencies, " (dev)"),
            (importer.optional_dependencies, " (optional)"),
        ];
        for (asked, mark) in kinds {
            for (name, asked) in asked {
                let key = (folder.clone(), format!("{name}{mark}"));
                all.requirements.insert(key, asked.specifier);
            }
        }
    }
    all.settings
        .insert("lockfileVersion".into(), raw.lockfile_version);
    for (key, one) in raw.packages {
        let key = key.strip_prefix('/').unwrap_or(&key);
        // `name@1.0.0(peer@2.0.0)` is name 1.0.0 beside a peer.
        let bare = key.split('(').next().unwrap_or(key);
        let (name, version) = split_name(bare)
            .ok_or_else(|| format!("the package `{key}` does not begin with NAME@VERSION"))?;
        let name = one.name.as_deref().unwrap_or(name).to_owned();
        let resolution = &one.resolution;
        let from = match resolution {
            Resolution {
                repo: Some(repo), ..
            } => Origin {
                commit: resolution.commit.clone(),
                ..origin(OriginKind::Git, repo)
            },
            Resolution {
                directory: Some(path),
                ..
            } => origin(OriginKind::Local, path),
            Resolution {
                tarball: Some(url), ..
            } => match url.strip_prefix("file:") {
                Some(path) => origin(OriginKind::Local, path),
                None => origin_of_url(url, &name),
            },
            _ => origin(OriginKind::Registry, ""),
        };
        let version = match (&one.version, from.kind) {
            (Some(version), _) => Some(version.clone()),
            (None, OriginKind::Registry) => Some(version.to_owned()),
            (None, _) => None,
        };
        let is_fetched = matches!(from.kind, OriginKind::Registry | OriginKind::Url);
        let mut package = package(Ecosystem::Npm, version.as_deref(), from);
        if is_fetched {
            let digest = resolution.integrity.as_deref().map(Digest::strongest);
            let digest = digest
                .transpose()
                .map_err(|error| format!("{key}: {error}"))?;
            let url = resolution.tarball.as_deref().unwrap_or_default();
            let version = version.as_deref().unwrap_or_default();
            package.files.push(tarball(&name, version, url, digest));
        }
        package.native = [&one.os, &one.cpu, &one.libc]
            .iter()
            .any(|all| !all.is_empty());
        package.install_script = one.requires_build;
        package.deprecated = one.deprecated;
        let known = all.packages.get(&name).into_iter().flatten();
        let is_known =
            |other: &super::Package| other.number == package.number && other.files == package.files;
        if !known.into_iter().any(is_known) {
            all.insert(name, package);
        }
    }
    Ok(all)
}
