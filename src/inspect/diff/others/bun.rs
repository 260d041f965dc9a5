//! `bun.lock` (<https://bun.com/docs/install/lockfile>): JSON with commas before closing brackets.
//! A package is `[NAME@VERSION, registry, about, integrity]`, or without the second where it is obtained
//! from elsewhere.

use serde_json::{Map, Value};

use super::{facts, origin, package, split_name, tarball};
use crate::core::digest::Digest;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, Origin, OriginKind};

pub(super) fn read(text: &str) -> Result<LockFacts, String> {
    let lock: Value = serde_json::from_str(&strict(text)).map_err(|error| error.to_string())?;
    let mut all = facts(Ecosystem::Npm);
    if let Some(version) = lock.get("lockfileVersion") {
        all.settings
            .insert("lockfileVersion".into(), version.to_string());
    }
    let workspaces = lock.get("workspaces").and_then(Value::as_object);
    for (folder, about) in workspaces.into_iter().flatten() {
        let project = about.get("name").and_then(Value::as_str).unwrap_or(folder);
        for (kind, mark) in [
            ("dependencies", ""),
            ("devDependencies", " (dev)"),
            ("optionalDependencies", " (optional)"),
            ("peerDependencies", " (peer)"),
        ] {
            let ranges = about.get(kind).and_then(Value::as_object);
            for (name, range) in ranges.into_iter().flatten() {
                let key = (project.to_owned(), format!("{name}{mark}"));
                let range = range.as_str().unwrap_or_default().to_owned();
                all.requirements.insert(key, range);
            }
        }
    }
    let packages = lock.get("packages").and_then(Value::as_object);
    let packages = packages.ok_or("it has no `packages`")?;
    for (place, entry) in packages {
        let parts = entry
            .as_array()
            .ok_or_else(|| format!("{place} is not a list"))?;
        let text = |at: usize| parts.get(at).and_then(Value::as_str);
        let (name, version) = text(0)
            .and_then(split_name)
            .ok_or_else(|| format!("{place} does not begin with NAME@VERSION"))?;
        let from = source(version, text(1).unwrap_or_default());
        let is_local = from.kind != OriginKind::Registry;
        let version = (!is_local).then_some(version);
        let mut one = package(Ecosystem::Npm, version, from);
        let about = parts.iter().find_map(Value::as_object);
        one.native = about.is_some_and(is_native);
        one.places.insert(place.clone());
        if let Some(version) = version {
            let integrity = parts.last().and_then(Value::as_str).unwrap_or_default();
            let digest = match integrity {
                "" => None,
                text => Some(Digest::strongest(text).map_err(|error| format!("{place}: {error}"))?),
            };
            let url = text(1)
                .filter(|url| url.ends_with(".tgz"))
                .unwrap_or_default();
            one.files.push(tarball(name, version, url, digest));
        }
        let known = all.packages.get_mut(name).into_iter().flatten();
        let mut same = known.filter(|known| known.number == one.number && known.files == one.files);
        match same.next() {
            Some(known) => known.places.extend(one.places),
            None => all.insert(name.to_owned(), one),
        }
    }
    Ok(all)
}

fn source(version: &str, registry: &str) -> Origin {
    let after = |start: &str| version.strip_prefix(start);
    match () {
        () if version.starts_with("git") || version.starts_with("github:") => {
            let (url, commit) = version.split_once('#').unwrap_or((version, ""));
            Origin {
                commit: Some(commit.to_owned()).filter(|commit| !commit.is_empty()),
                ..origin(OriginKind::Git, url)
            }
        }
        () if version.contains("://") => origin(OriginKind::Url, version),
        () => match after("workspace:").or(after("file:")).or(after("link:")) {
            Some(path) => origin(OriginKind::Local, path),
            None => origin(OriginKind::Registry, registry),
        },
    }
}

fn is_native(about: &Map<String, Value>) -> bool {
    ["os", "cpu", "libc"]
        .iter()
        .any(|key| about.contains_key(*key))
}

/// Without commas that nothing follows.
fn strict(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for c in text.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = c == '\\' && !escaped;
        } else if c == '"' {
            in_string = true;
        } else if matches!(c, '}' | ']') {
            let bare = out.trim_end();
            if bare.ends_with(',') {
                let end = bare.len() - 1;
                out.truncate(end);
            }
        }
        out.push(c);
    }
    out
}
