//! `yarn.lock`, of Yarn 1 and of later ones: blocks of `key value` or `key: value` below the
//! descriptors that they answer.

use super::{facts, origin, origin_of_url, package, split_name, tarball};
use crate::core::digest::Digest;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, Origin, OriginKind};

#[derive(Default)]
struct Entry {
    line: usize,
    name: String,
    version: String,
    resolved: String,
    resolution: String,
    integrity: String,
    checksum: String,
    conditions: String,
}

pub(super) fn read(text: &str) -> Result<LockFacts, String> {
    let mut all = facts(Ecosystem::Npm);
    let mut entries: Vec<Entry> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        let bare = line.trim();
        if depth == 0 {
            let first = bare
                .trim_end_matches(':')
                .split(", ")
                .next()
                .unwrap_or_default();
            let first = first.trim_matches('"');
            let (name, range) = split_name(first).unwrap_or((first, ""));
            // An alias answers for another package: `NAME@npm:OTHER@RANGE`.
            let other = range.strip_prefix("npm:").and_then(split_name);
            let name = other.map_or(name, |(other, _)| other);
            entries.push(Entry {
                line: at + 1,
                name: name.to_owned(),
                ..Entry::default()
            });
            continue;
        }
        // What is deeper are its dependencies.
        let (Some(entry), 2) = (entries.last_mut(), depth) else {
            continue;
        };
        let Some((key, value)) = bare.split_once([' ', ':']) else {
            continue;
        };
        let value = value
            .trim_start_matches(':')
            .trim()
            .trim_matches('"')
            .to_owned();
        match key.trim_end_matches(':').trim_matches('"') {
            "version" => entry.version = value,
            "resolved" => entry.resolved = value,
            "resolution" => entry.resolution = value,
            "integrity" => entry.integrity = value,
            "checksum" => entry.checksum = value,
            "conditions" => entry.conditions = value,
            _ => {}
        }
    }
    for entry in entries {
        if entry.name == "__metadata" {
            all.settings.insert("lockfileVersion".into(), entry.version);
            continue;
        }
        if entry.version.is_empty() {
            return Err(format!(
                "line {}: {} has no version",
                entry.line, entry.name
            ));
        }
        let name = match split_name(&entry.resolution) {
            Some((name, _)) => name.to_owned(),
            None => entry.name.clone(),
        };
        let (url, fragment) = entry
            .resolved
            .split_once('#')
            .unwrap_or((&entry.resolved, ""));
        let from = place(&entry, &name, url);
        let digest = match entry.integrity.as_str() {
            "" => format!("sha1:{fragment}").parse().ok(),
            integrity => Some(
                Digest::strongest(integrity)
                    .map_err(|error| format!("line {}: {error}", entry.line))?,
            ),
        };
        let is_fetched = matches!(from.kind, OriginKind::Registry | OriginKind::Url);
        let mut package = package(Ecosystem::Npm, Some(&entry.version), from);
        if is_fetched {
            package
                .files
                .push(tarball(&name, &entry.version, url, digest));
        }
        package.checksum = Some(entry.checksum).filter(|text| !text.is_empty());
        package.native = !entry.conditions.is_empty();
        let known = all.packages.get(&name).into_iter().flatten();
        let is_known =
            |one: &super::Package| one.number == package.number && one.files == package.files;
        if !known.into_iter().any(is_known) {
            all.insert(name, package);
        }
    }
    Ok(all)
}

fn place(entry: &Entry, name: &str, url: &str) -> Origin {
    let (_, reference) = split_name(&entry.resolution).unwrap_or_default();
    match () {
        () if reference.starts_with("workspace:") => origin(
            OriginKind::Local,
            reference.trim_start_matches("workspace:"),
        ),
        () if reference.contains("#commit=") => {
            let (url, commit) = reference.split_once("#commit=").unwrap_or_default();
            Origin {
                commit: Some(commit.to_owned()),
                ..origin(OriginKind::Git, url)
            }
        }
        () if url.is_empty() => origin(OriginKind::Registry, ""),
        () if url.starts_with("git") => origin(OriginKind::Git, &entry.resolved),
        () => origin_of_url(url, name),
    }
}
