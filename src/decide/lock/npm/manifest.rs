//! What a package says of itself, in a package.json and in a lock.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use indexmap::IndexMap;
use serde_json::{Map, Value};

use super::json::{json, refuse};
use super::scripts::INSTALL;
use crate::core::foreign;
use crate::decide::lock::LockError;

/// What a lock says of a package.
pub type Recorded = Map<String, Value>;

/// What a lock takes from a package.json.
const RECORDED: [&str; 16] = [
    "version",
    "dependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "optionalDependencies",
    "bundleDependencies",
    "acceptDependencies",
    "funding",
    "engines",
    "os",
    "cpu",
    "libc",
    "license",
    "bin",
    "deprecated",
    "workspaces",
];

/// What a package says of itself: the same in a lock and in a package.json.
#[derive(Debug, Clone, Default)]
pub struct Manifest {
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// `dependencies`.
    pub dependencies: IndexMap<String, String>,
    /// `optionalDependencies`.
    pub optional: IndexMap<String, String>,
    /// `peerDependencies`.
    pub peer: IndexMap<String, String>,
    /// Those of them that `peerDependenciesMeta` makes optional.
    pub peer_optional: BTreeSet<String>,
    /// `devDependencies`.
    pub dev: IndexMap<String, String>,
    /// `bundleDependencies`.
    pub bundle: Vec<String>,
    /// Programs: their names and files, as npm makes them safe.
    pub bin: Vec<(String, String)>,
    /// The versions of Node that it runs on.
    pub node: Option<String>,
    /// The versions of npm that it wants.
    pub npm: Option<String>,
    /// Whether it has `devEngines`, with which npm does not hold a project against `engines`.
    pub dev_engines: bool,
    /// `os`.
    pub os: Vec<String>,
    /// `cpu`.
    pub cpu: Vec<String>,
    /// `libc`.
    pub libc: Vec<String>,
    /// `workspaces`: patterns of folders.
    pub workspaces: Vec<String>,
    /// Names that `overrides` speaks of, and what it puts in the place of their ranges.
    pub overrides: BTreeMap<String, Vec<String>>,
    /// Whether it has scripts that npm would run on installing it.
    pub has_install_script: bool,
    /// The names of its scripts, which a package.json tells and a lock does not.
    pub scripts: BTreeSet<String>,
}

impl Manifest {
    /// Reads the package.json of a folder, and what a lock would say of it; `None` where there is
    /// none.
    ///
    /// # Errors
    /// When it is not JSON, or says something twice.
    pub fn beside(folder: &Utf8Path) -> Result<Option<(Self, Recorded)>, LockError> {
        let file = folder.join("package.json");
        match foreign::text(&file) {
            Ok(text) => match json(&file, &text)? {
                Value::Object(raw) => {
                    patterns(raw.get("workspaces")).map_err(|why| {
                        refuse(&file, &text, text.find("\"workspaces\"").unwrap_or(0), why)
                    })?;
                    let about = Self::of(&raw, folder.file_name());
                    let called = match folder.parent().and_then(Utf8Path::file_name) {
                        Some(scope) if scope.starts_with('@') => {
                            format!("{scope}/{}", folder.file_name().unwrap_or_default())
                        }
                        _ => folder.file_name().unwrap_or_default().to_owned(),
                    };
                    let mut recorded = about.recorded(&raw, &called);
                    if let Some(Value::String(url)) = recorded.get("funding") {
                        let url = serde_json::json!({ "url": url });
                        recorded.insert("funding".into(), url);
                    }
                    if let Some(dev) = raw.get("devDependencies").filter(|_| !about.dev.is_empty())
                    {
                        recorded.insert("devDependencies".into(), dev.clone());
                    }
                    Ok(Some((about, recorded)))
                }
                _ => Err(refuse(
                    &file,
                    &text,
                    0,
                    "a package.json is an object".into(),
                )),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(LockError::Read { file, source }),
        }
    }

    /// What npm's own record takes from a package.json or a lock (arborist's `metaFromNode`).
    /// `called` is the name that follows from where it is.
    pub fn recorded(&self, raw: &Map<String, Value>, called: &str) -> Map<String, Value> {
        let mut all = Map::new();
        for key in RECORDED {
            let value = match (key, raw.get(key)) {
                ("license", Some(Value::Object(license))) if license.contains_key("type") => {
                    license.get("type").cloned()
                }
                ("bundleDependencies", _) => Some(self.bundle.clone().into()),
                ("bin", _) => Some(
                    self.bin
                        .iter()
                        .map(|(name, file)| (name.clone(), Value::from(file.clone())))
                        .collect::<Map<_, _>>()
                        .into(),
                ),
                ("dependencies", Some(Value::Object(ranges))) => {
                    let mut ranges = ranges.clone();
                    ranges.retain(|name, _| !self.optional.contains_key(name));
                    Some(ranges.into())
                }
                (_, value) => value.cloned(),
            };
            let is_empty = match &value {
                None | Some(Value::Null | Value::Bool(false)) => true,
                Some(Value::Object(map)) => map.is_empty(),
                Some(Value::Array(list)) => list.is_empty(),
                Some(Value::String(text)) => text.is_empty(),
                Some(_) => false,
            };
            if let Some(value) = value.filter(|_| !is_empty) {
                all.insert(key.to_owned(), value);
            }
        }
        if self.has_install_script {
            all.insert("hasInstallScript".into(), true.into());
        }
        if let Some(name) = self.name.as_ref().filter(|name| *name != called) {
            all.insert("name".into(), name.clone().into());
        }
        all
    }

    /// `called` is the name of a package that does not say its own.
    pub(crate) fn of(raw: &Map<String, Value>, called: Option<&str>) -> Self {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
        let engine = |key: &str| raw.get("engines")?.get(key)?.as_str().map(str::to_owned);
        let scripts: BTreeSet<String> = raw
            .get("scripts")
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|all| all.keys().cloned())
            .collect();
        let name = text("name");
        let bin = bins(raw.get("bin"), name.as_deref().or(called));
        Self {
            version: text("version"),
            dependencies: ranges(raw, "dependencies"),
            optional: ranges(raw, "optionalDependencies"),
            peer: ranges(raw, "peerDependencies"),
            peer_optional: raw
                .get("peerDependenciesMeta")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter(|(_, meta)| meta.get("optional").and_then(Value::as_bool) == Some(true))
                .map(|(name, _)| name.clone())
                .collect(),
            dev: ranges(raw, "devDependencies"),
            bundle: match raw
                .get("bundleDependencies")
                .or(raw.get("bundledDependencies"))
            {
                Some(Value::Bool(true)) => ranges(raw, "dependencies").into_keys().collect(),
                other => list(other),
            },
            bin,
            node: engine("node"),
            npm: engine("npm"),
            dev_engines: raw.contains_key("devEngines"),
            os: list(raw.get("os")),
            cpu: list(raw.get("cpu")),
            libc: list(raw.get("libc")),
            workspaces: patterns(raw.get("workspaces")).unwrap_or_default(),
            overrides: {
                let mut all = BTreeMap::new();
                overrides(raw.get("overrides"), &mut all);
                all
            },
            has_install_script: INSTALL.iter().any(|event| scripts.contains(*event))
                || raw.get("hasInstallScript").and_then(Value::as_bool) == Some(true),
            scripts,
            name,
        }
    }
}

/// The files of a package.json's programs.
pub fn programs(about: &Map<String, Value>) -> Vec<String> {
    let name = about.get("name").and_then(Value::as_str);
    let bins = bins(about.get("bin"), name).into_iter();
    bins.map(|(_, file)| file).collect()
}

/// What npm-normalize-package-bin makes of it: names without folders, files that stay inside.
fn bins(bin: Option<&Value>, name: Option<&str>) -> Vec<(String, String)> {
    let base = |path: &str| {
        let path = path.replace(['\\', ':'], "/");
        let base = path.trim_end_matches('/').rsplit('/').next().unwrap_or("");
        match base {
            "." | ".." => String::new(),
            base => base.to_owned(),
        }
    };
    let inside = |path: &str| {
        let mut parts: Vec<&str> = Vec::new();
        let path = path.replace('\\', "/");
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        parts.join("/")
    };
    let all: Vec<(String, &Value)> = match bin {
        Some(value @ Value::String(_)) => name
            .map(|name| (name.to_owned(), value))
            .into_iter()
            .collect(),
        Some(Value::Array(values)) => values
            .iter()
            .filter_map(|value| Some((value.as_str()?.to_owned(), value)))
            .collect(),
        Some(Value::Object(map)) => map.iter().map(|(key, v)| (key.clone(), v)).collect(),
        _ => Vec::new(),
    };
    let mut found: IndexMap<String, String> = IndexMap::new();
    for (key, value) in all {
        let (key, file) = (base(&key), value.as_str().map(&inside).unwrap_or_default());
        if !key.is_empty() && !file.is_empty() {
            found.insert(key, file);
        }
    }
    found.into_iter().collect()
}

fn ranges(raw: &Map<String, Value>, key: &str) -> IndexMap<String, String> {
    raw.get(key)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, range)| Some((name.clone(), range.as_str()?.to_owned())))
        .collect()
}

fn list(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(|one| one.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Every name in `overrides`, at whatever depth, without its range.
fn overrides(value: Option<&Value>, all: &mut BTreeMap<String, Vec<String>>) {
    for (key, value) in value.and_then(Value::as_object).into_iter().flatten() {
        let end = key
            .get(1..)
            .and_then(|rest| rest.find('@'))
            .map_or(key.len(), |at| at + 1);
        let name = key.get(..end).unwrap_or(key);
        let ranges = all.entry(name.to_owned()).or_default();
        // `.` is the package itself, beside those that it needs.
        let own = value.get(".").unwrap_or(value);
        ranges.extend(own.as_str().map(str::to_owned));
        overrides(Some(value), all);
    }
}

/// The patterns of a package.json's `workspaces`.
///
/// # Errors
/// With what is not understood.
pub(super) fn patterns(said: Option<&Value>) -> Result<Vec<String>, String> {
    let all = match said {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(map)) => map.get("packages"),
        all => all,
    };
    let Some(Value::Array(all)) = all else {
        return Err("`workspaces` is a list of folders or of patterns of such".into());
    };
    let pattern = |said: &Value| {
        let text = said.as_str().unwrap_or_default();
        let body = text.trim_start_matches('!');
        let is_extended = ["?(", "*(", "+(", "@(", "!("]
            .iter()
            .any(|mark| body.contains(mark));
        match fast_glob::validate(body) {
            Ok(()) if !body.is_empty() && !is_extended => Ok(text.to_owned()),
            _ => Err(format!(
                "`{}` is not a pattern that lockwright understands: write the folders out",
                said.to_string().escape_debug()
            )),
        }
    };
    all.iter().map(pattern).collect()
}
