//! `pylock.toml` (PEP 751, <https://packaging.python.org/en/latest/specifications/pylock-toml/>).

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{facts, origin, package};
use crate::core::digest::Digest;
use crate::decide::lock::wheel_name::WheelName;
use crate::inspect::diff::facts::{Ecosystem, File, FileKind, LockFacts, Origin, OriginKind};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Raw {
    lock_version: String,
    requires_python: Option<String>,
    created_by: Option<String>,
    #[serde(default)]
    packages: Vec<RawPackage>,
}

#[derive(Deserialize)]
struct RawPackage {
    name: String,
    version: Option<String>,
    index: Option<String>,
    vcs: Option<Vcs>,
    directory: Option<Directory>,
    archive: Option<RawFile>,
    sdist: Option<RawFile>,
    #[serde(default)]
    wheels: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Vcs {
    url: Option<String>,
    path: Option<String>,
    requested_revision: Option<String>,
    commit_id: String,
}

#[derive(Deserialize)]
struct Directory {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawFile {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    upload_time: Option<toml::Value>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

pub(super) fn read(text: &str) -> Result<LockFacts, String> {
    let raw: Raw = toml::from_str(text).map_err(|error| error.to_string())?;
    if !raw.lock_version.starts_with("1.") {
        return Err(format!(
            "it is of lock-version {}, and 1.0 is known here",
            raw.lock_version
        ));
    }
    let mut all = facts(Ecosystem::Python);
    for (name, value) in [
        ("lock-version", Some(raw.lock_version)),
        ("requires-python", raw.requires_python),
        ("created-by", raw.created_by),
    ] {
        all.settings
            .extend(value.map(|value| (name.to_owned(), value)));
    }
    for one in raw.packages {
        let from = match (&one.vcs, &one.directory, &one.archive) {
            (Some(vcs), ..) => Origin {
                commit: Some(vcs.commit_id.clone()),
                reference: vcs.requested_revision.clone(),
                ..origin(
                    OriginKind::Git,
                    vcs.url
                        .as_deref()
                        .or(vcs.path.as_deref())
                        .unwrap_or_default(),
                )
            },
            (_, Some(directory), _) => origin(OriginKind::Local, &directory.path),
            (.., Some(archive)) => match &archive.url {
                Some(url) => origin(OriginKind::Url, url),
                None => origin(
                    OriginKind::Local,
                    archive.path.as_deref().unwrap_or_default(),
                ),
            },
            _ => origin(
                OriginKind::Registry,
                one.index.as_deref().unwrap_or_default(),
            ),
        };
        let mut package = package(Ecosystem::Python, one.version.as_deref(), from);
        let sources = one.sdist.iter().chain(&one.archive);
        package.files = sources.map(|raw| file(raw, FileKind::Sdist)).collect();
        package
            .files
            .extend(one.wheels.iter().map(|raw| file(raw, FileKind::Wheel)));
        let wheels = package
            .files
            .iter()
            .filter(|one| one.kind == FileKind::Wheel);
        let tags: Vec<&str> = wheels.filter_map(|one| one.tags.as_deref()).collect();
        package.native = !tags.is_empty() && tags.iter().all(|tags| !tags.ends_with("-any"));
        all.insert(one.name, package);
    }
    Ok(all)
}

fn file(raw: &RawFile, kind: FileKind) -> File {
    let place = raw
        .url
        .as_deref()
        .or(raw.path.as_deref())
        .unwrap_or_default();
    let last = place.split(['?', '#']).next().unwrap_or_default();
    let last = last.rsplit('/').next().unwrap_or_default();
    let name = raw.name.clone().unwrap_or_else(|| last.to_owned());
    let digests = raw.hashes.iter();
    let digests = digests.filter_map(|(kind, hex)| format!("{kind}:{hex}").parse().ok());
    let tags = match kind {
        FileKind::Wheel => name.parse::<WheelName>().ok().map(|name| name.tags()),
        _ => None,
    };
    File {
        kind,
        tags,
        location: place.to_owned(),
        digest: digests.max_by_key(Digest::algorithm),
        size: raw.size,
        uploaded: raw.upload_time.as_ref().map(|time| match time {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
        name,
    }
}
