//! `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3
//! (<https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json>).
//!
//! A lock is a map from places in the tree (`node_modules/a/node_modules/@b/c`, `packages/core`) to
//! what is there. npm reads leniently; here, what two readers could understand differently is
//! refused with its line: a key that appears twice, merge conflict markers, a byte-order mark.

mod json;
mod manifest;
pub mod scripts;
pub mod workspaces;

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::LockError;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::tree_path::TreePath;
use json::{format_of, json, refuse};

pub use manifest::{Manifest, Recorded, programs};

/// A lock.
#[derive(Debug, Clone)]
pub struct NpmLock {
    /// Its file.
    pub file: Utf8PathBuf,
    /// What stands beside `packages`, but for the older form of it.
    pub header: Map<String, Value>,
    /// How deep the project's package.json is indented a level.
    pub indent: String,
    /// How its lines end.
    pub newline: &'static str,
    /// What it knows of the project itself.
    pub root: Manifest,
    /// What is where, in the lock's order.
    pub entries: IndexMap<String, Entry>,
}

/// What is at one place.
#[derive(Debug, Clone)]
pub struct Entry {
    /// All that the lock says of it.
    pub raw: Map<String, Value>,
    /// What counts of it.
    pub about: Manifest,
    /// The folder that it is a link to, from the project's; empty for that itself.
    pub link: Option<String>,
    /// Where it comes from, as it stands there.
    pub resolved: Option<String>,
    /// What its bytes must hash to.
    pub integrity: Option<Digest>,
    /// Whether it comes out of the tarball of the package that it is in.
    pub in_bundle: bool,
}

impl NpmLock {
    /// Reads a lock.
    ///
    /// # Errors
    /// When it cannot be read, and as [`Self::parse`].
    pub fn load(file: &Utf8Path) -> Result<Self, LockError> {
        let text = foreign::text(file).map_err(|source| LockError::Read {
            file: file.to_owned(),
            source,
        })?;
        Self::parse(file, &text)
    }

    /// Reads a lock's text.
    ///
    /// # Errors
    /// With the place, when it is not a lock of version 2 or 3, or says what cannot be.
    pub fn parse(file: &Utf8Path, text: &str) -> Result<Self, LockError> {
        let Value::Object(mut header) = json(file, text)? else {
            return Err(refuse(file, text, 0, "a lock is an object".into()));
        };
        let version = header.get("lockfileVersion").and_then(Value::as_i64);
        match version {
            Some(2 | 3) => {}
            Some(1) | None => {
                let why = "this is a lock of version 1, which does not say what the packages \
                           depend on: regenerate it with `npm install --package-lock-only` of npm 7 \
                           or later";
                let at = text.find("\"lockfileVersion\"").unwrap_or(0);
                return Err(refuse(file, text, at, why.into()));
            }
            Some(found) => {
                return Err(LockError::Version {
                    file: file.to_owned(),
                    found: found.to_string(),
                    known: "2 or 3",
                });
            }
        }
        let Some(Value::Object(packages)) = header.shift_remove("packages") else {
            return Err(refuse(file, text, 0, "the lock has no `packages`".into()));
        };
        header.shift_remove("dependencies");
        let mut root = Manifest::default();
        let mut entries = IndexMap::with_capacity(packages.len());
        for (location, value) in packages {
            let at = |why: String| {
                let key = Value::String(location.clone()).to_string();
                let at = text.find(&format!("{key}:")).or_else(|| text.find(&key));
                refuse(file, text, at.unwrap_or(0), why)
            };
            let Value::Object(raw) = value else {
                return Err(at(format!("what is at `{location}` must be an object")));
            };
            let about = Manifest::of(&raw, name_of(&location));
            if location.is_empty() {
                root = Manifest::of(&raw, None);
                continue;
            }
            if !is_outside(&location) {
                TreePath::new(location.as_str()).map_err(|error| at(error.to_string()))?;
            }
            check_name(&location).map_err(|why| at(why.into()))?;
            let text_of = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
            let is = |key: &str| raw.get(key).and_then(Value::as_bool).unwrap_or(false);
            let link = if is("link") {
                let target = text_of("resolved").ok_or_else(|| {
                    at(format!("the link `{location}` does not say where it leads"))
                })?;
                // A project may be linked into its own node_modules.
                let is_inside = target.is_empty() || TreePath::new(target.as_str()).is_ok();
                let is_known = is_inside || is_outside(&target);
                is_known.then_some(()).ok_or_else(|| {
                    at(format!(
                        "the link `{location}` leads to `{}`, which is not a folder in the project \
                         or beside it",
                        target.escape_debug()
                    ))
                })?;
                Some(target)
            } else {
                None
            };
            let integrity = text_of("integrity")
                .map(|text| Digest::strongest(&text))
                .transpose()
                .map_err(|error| at(error.to_string()))?;
            let entry = Entry {
                link,
                resolved: text_of("resolved"),
                integrity,
                in_bundle: is("inBundle"),
                about,
                raw,
            };
            entries.insert(location, entry);
        }
        for (location, entry) in &entries {
            if let Some(target) = entry
                .link
                .as_ref()
                .filter(|link| !link.is_empty() && !entries.contains_key(*link))
            {
                let at = text.find(&format!("\"{location}\"")).unwrap_or(0);
                let why = format!("`{location}` is a link to `{target}`, which the lock lacks");
                return Err(refuse(file, text, at, why));
            }
        }
        // What is in the node_modules of a folder beside the project is known, and its own business.
        let links: BTreeSet<String> = entries
            .values()
            .filter_map(|one| one.link.clone())
            .collect();
        let is_below = |location: &str| {
            let mut tops = location.match_indices("/node_modules/");
            tops.any(|(at, _)| location.get(..at).is_some_and(|top| links.contains(top)))
        };
        let is_led_to = |place: &String| links.contains(place) || is_below(place);
        let mut places = entries.keys();
        if let Some(alone) = places.find(|place| is_outside(place) && !is_led_to(place)) {
            let at = text.find(&format!("\"{alone}\"")).unwrap_or(0);
            let why =
                format!("`{alone}` is not a path inside of the project, and no link leads there");
            return Err(refuse(file, text, at, why));
        }
        // npm writes as the project's package.json is written.
        let beside = file.with_file_name("package.json");
        let (indent, newline) = match foreign::text(beside) {
            Ok(text) => format_of(&text),
            Err(_) => format_of(text),
        };
        Ok(Self {
            file: file.to_owned(),
            header,
            indent,
            newline,
            root,
            entries,
        })
    }

    /// The names of packages that come from a registry which it does not name.
    pub fn placeless(&self) -> impl Iterator<Item = &str> {
        let entries = self.entries.iter().filter(|(place, entry)| {
            let is_had = is_in_modules(place) && !is_outside(place);
            is_had && entry.resolved.is_none() && !entry.in_bundle
        });
        entries.filter_map(|(place, entry)| entry.about.name.as_deref().or(name_of(place)))
    }

    /// The project's folder.
    pub fn folder(&self) -> &Utf8Path {
        self.file.parent().unwrap_or(Utf8Path::new("/"))
    }
}

/// The name by which what is at a place is asked for: its last `node_modules/NAME`.
pub fn name_of(location: &str) -> Option<&str> {
    match modules(location).last() {
        Some(at) => location.get(at + MODULES.len()..),
        None => location.rsplit('/').next(),
    }
}

/// The folder that packages are in, as places name it.
pub const MODULES: &str = "node_modules/";

/// Where in a place each `node_modules/` begins: those folders alone that are called that in full.
pub fn modules(location: &str) -> impl Iterator<Item = usize> {
    let found = location.match_indices(MODULES).map(|(at, _)| at);
    found.filter(|&at| at == 0 || location.as_bytes().get(at - 1) == Some(&b'/'))
}

/// Whether a place is one in a `node_modules`, not a folder of the project's own.
pub fn is_in_modules(location: &str) -> bool {
    modules(location).next().is_some()
}

/// Whether a place is a folder beside the project, which its lock may link and nothing is placed in:
/// `../sibling`.
pub fn is_outside(location: &str) -> bool {
    let mut rest = location;
    while let Some(above) = rest.strip_prefix("../") {
        rest = above;
    }
    rest.len() < location.len() && TreePath::new(rest).is_ok()
}

fn check_name(location: &str) -> Result<(), &'static str> {
    let ends = modules(location).skip(1).chain([location.len()]);
    for (at, end) in modules(location).zip(ends) {
        let name = location.get(at + MODULES.len()..end).unwrap_or_default();
        let name = name.trim_end_matches('/');
        let scoped = name.strip_prefix('@').and_then(|rest| rest.split_once('/'));
        let last = match (name.starts_with('@'), scoped) {
            (true, Some((scope, last))) if !scope.is_empty() => last,
            (true, _) => return Err("a name that begins with @ has a scope and a name in it"),
            (false, _) => name,
        };
        if last.is_empty() || last.starts_with('.') || last.contains('/') {
            return Err("what follows node_modules/ must be a package's name");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
