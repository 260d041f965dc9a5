//! Which packages of a tree are not those that something names: a lock, or npm's hidden lockfile.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::{Problem, ProblemKind, Report, VerifyError};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::tree_path::TreePath;
use crate::core::walk::Node;

/// A package that is not as it is named.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Mismatch {
    /// Its name, or its place in `node_modules`.
    pub package: String,
    /// The version that the lock names; nothing where it names none of it.
    pub locked: Option<String>,
    /// The version that is there; nothing where none is.
    pub found: Option<String>,
}

impl Mismatch {
    /// In words.
    pub fn says(&self) -> String {
        match (&self.locked, &self.found) {
            (Some(locked), Some(found)) => format!("is {found}, and the lock has {locked}"),
            (Some(locked), None) => format!("is missing, and the lock has {locked}"),
            (None, Some(found)) => format!("is {found}, and is not in the lock"),
            (None, None) => String::from("is named without a version"),
        }
    }
}

/// What is named and what is there, by name, as mismatch.
pub fn between(
    locked: &BTreeMap<String, String>,
    found: &BTreeMap<String, String>,
) -> Vec<Mismatch> {
    let names: BTreeSet<&String> = locked.keys().chain(found.keys()).collect();
    names
        .into_iter()
        .filter(|name| locked.get(*name) != found.get(*name))
        .map(|name| Mismatch {
            package: name.clone(),
            locked: locked.get(name).cloned(),
            found: found.get(name).cloned(),
        })
        .collect()
}

/// The Python packages of a tree by their `.dist-info` folders: name and version.
pub fn python_packages(tree: &Node) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    tree.each(&mut |path, node| {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if matches!(node, Node::Folder(_))
            && let Some((name, version)) = name
                .strip_suffix(".dist-info")
                .and_then(|stem| stem.split_once('-'))
            && let Ok(name) = pep508_rs::PackageName::new(name.to_owned())
        {
            found.insert(name.to_string(), version.to_owned());
        }
    });
    found
}

/// The packages of a `node_modules` by their places, from the project's folder. `tree` is that folder
/// or the `node_modules` itself.
pub fn npm_packages(root: &Path, tree: &Node) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let prefix = prefix_of(root);
    tree.each(&mut |path, node| {
        let Some(path) = path.to_str() else { return };
        let place = format!("{prefix}{path}");
        let is_manifest = matches!(node, Node::File(_)) && place.ends_with("/package.json");
        let place = place.trim_end_matches("/package.json");
        if is_manifest && is_package(place) {
            let version = version_of(&root.join(path)).unwrap_or_default();
            found.insert(place.to_owned(), version);
        }
    });
    found
}

/// npm's hidden lockfile that names what is in a tree, whether it is there or not, and what the tree's
/// paths lack of the places in it: `packages/a/node_modules/` for a workspace's `node_modules`.
fn named_by(root: &Path) -> (PathBuf, String) {
    let hidden = |project: &Path| project.join("node_modules/.package-lock.json");
    if root.file_name().is_none_or(|name| name != "node_modules") {
        return (hidden(root), String::new());
    }
    let of = |project: &Path| {
        let inside = root.strip_prefix(project).ok()?.to_str()?;
        Some((hidden(project), format!("{inside}/")))
    };
    let mut above = root.ancestors().skip(1);
    let named = above.find(|project| hidden(project).is_file());
    let named = named.or(root.parent()).and_then(of);
    named.unwrap_or_else(|| (hidden(root), String::new()))
}

/// What the paths of a tree lack of places in a lock: `node_modules/` for a `node_modules`.
pub fn prefix_of(root: &Path) -> String {
    named_by(root).1
}

/// The trees of a `node_modules` that npm's hidden lockfile names, relative to the project: its own and
/// those of workspaces.
pub fn modules_of(project: &Path) -> BTreeSet<PathBuf> {
    let own = "node_modules";
    let mut all = BTreeSet::from([PathBuf::from(own)]);
    let hidden = project.join(own).join(".package-lock.json");
    let text = foreign::read(hidden, foreign::TEXT).unwrap_or_default();
    let value: Value = serde_json::from_slice(&text).unwrap_or_default();
    let places = value.get("packages").and_then(Value::as_object);
    for place in places.into_iter().flat_map(|places| places.keys()) {
        if let Some((workspace, _)) = place.split_once("/node_modules/")
            && !workspace.starts_with("node_modules/")
            && TreePath::new(workspace).is_ok()
        {
            all.insert(Path::new(workspace).join(own));
        }
    }
    all
}

/// Whether a place is a package's own in a `node_modules`.
fn is_package(place: &str) -> bool {
    let Some((_, name)) = place.rsplit_once("node_modules/") else {
        return false;
    };
    match name.strip_prefix('@') {
        Some(rest) => rest.matches('/').count() == 1,
        None => !name.is_empty() && !name.contains('/') && !name.starts_with('.'),
    }
}

fn version_of(manifest: &Path) -> Option<String> {
    let value: Value =
        serde_json::from_slice(&foreign::read(manifest, foreign::TEXT).ok()?).ok()?;
    Some(value.get("version")?.as_str()?.to_owned())
}

/// Holds npm's hidden lockfile, if there is one, against the packages on the disk, and says where the
/// packages are that it names, relative to the tree.
pub(super) fn hidden(root: &Path, report: &mut Report) -> Result<BTreeSet<PathBuf>, VerifyError> {
    let mut places = BTreeSet::new();
    let (path, prefix) = named_by(root);
    let bytes = match foreign::read(&path, foreign::TEXT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(places),
        Err(source) => return Err(cannot("read", &path)(source).into()),
    };
    let damaged = |why: String| VerifyError::Damaged {
        path: path.clone(),
        why,
    };
    let value: Value =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let packages = value.get("packages").and_then(Value::as_object);
    let packages = packages.ok_or_else(|| damaged("it has no `packages`".into()))?;
    report.by.push(".package-lock.json");
    for (place, entry) in packages {
        // Folders of the project are its own business.
        let Some(inside) = place.strip_prefix(&*prefix).filter(|_| is_package(place)) else {
            continue;
        };
        report.checked += 1;
        places.insert(PathBuf::from(inside));
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let at = root.join(inside);
        let says = match entry.get("link").and_then(Value::as_bool) {
            Some(true) => {
                (fs::symlink_metadata(&at).is_err()).then(|| "the link is not there".to_owned())
            }
            _ if !at.is_dir() => Some("the package is not there".to_owned()),
            _ => {
                let found = version_of(&at.join("package.json"));
                (text("version").is_some_and(|wanted| found.as_deref() != Some(wanted))).then(
                    || {
                        let found = found.unwrap_or_else(|| "without a version".to_owned());
                        format!("it is {found}, not {}", text("version").unwrap_or_default())
                    },
                )
            }
        };
        if let Some(says) = says {
            let kind = match at.exists() {
                true => ProblemKind::Altered,
                false => ProblemKind::Missing,
            };
            report.problems.push(Problem {
                path: inside.to_owned(),
                kind,
                package: crate::decide::lock::npm::name_of(place).map(str::to_owned),
                says,
            });
        }
    }
    Ok(places)
}
