//! `package-lock.json` and `npm-shrinkwrap.json`, versions 2 and 3
//! (<https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json>).
//!
//! A lock is a map from places in the tree (`node_modules/a/node_modules/@b/c`, `packages/core`) to
//! what is there. npm reads leniently; here, what two readers could understand differently is
//! refused with its line: a key that is there twice, the marks of a merge, a byte-order mark.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::LockError;
use crate::digest::Digest;
use crate::place::Place;
use crate::tree::TreePath;

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
    /// The folder that it is a link to, from the project's.
    pub link: Option<String>,
    /// Where it is had from, as it stands there.
    pub resolved: Option<String>,
    /// What its bytes must hash to.
    pub integrity: Option<Digest>,
    /// Whether it comes out of the tarball of the package that it is in.
    pub in_bundle: bool,
}

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
    /// `os`.
    pub os: Vec<String>,
    /// `cpu`.
    pub cpu: Vec<String>,
    /// `libc`.
    pub libc: Vec<String>,
    /// Names that `overrides` speaks of, and what it puts in the place of their ranges.
    pub overrides: BTreeMap<String, Vec<String>>,
    /// Whether it has scripts that npm would run on installing it.
    pub has_install_script: bool,
}

impl NpmLock {
    /// Reads a lock.
    ///
    /// # Errors
    /// When it cannot be read, and as [`Self::parse`].
    pub fn load(file: &Utf8Path) -> Result<Self, LockError> {
        let text = std::fs::read_to_string(file).map_err(|source| LockError::Read {
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
                           depend on: make it anew with `npm install --package-lock-only` of npm 7 \
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
            TreePath::new(location.as_str()).map_err(|error| at(error.to_string()))?;
            check_name(&location).map_err(|why| at(why.into()))?;
            let text_of = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
            let is = |key: &str| raw.get(key).and_then(Value::as_bool).unwrap_or(false);
            let link = if is("link") {
                let target = text_of("resolved").ok_or_else(|| {
                    at(format!("the link `{location}` does not say where it leads"))
                })?;
                TreePath::new(target.as_str()).map_err(|_| {
                    at(format!(
                        "the link `{location}` leads to `{}`, outside of the project: move that \
                         folder into it",
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
                .filter(|link| !entries.contains_key(*link))
            {
                let at = text.find(&format!("\"{location}\"")).unwrap_or(0);
                let why = format!("`{location}` is a link to `{target}`, which the lock lacks");
                return Err(refuse(file, text, at, why));
            }
        }
        // npm writes as the project's package.json is written.
        let beside = file.with_file_name("package.json");
        let (indent, newline) = match std::fs::read_to_string(beside) {
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

    /// The project's folder.
    pub fn folder(&self) -> &Utf8Path {
        self.file.parent().unwrap_or(Utf8Path::new("/"))
    }
}

impl Manifest {
    /// Reads the package.json of a folder, and what a lock would say of it; `None` where there is
    /// none.
    ///
    /// # Errors
    /// When it is not JSON, or says something twice.
    pub fn beside(folder: &Utf8Path) -> Result<Option<(Self, Recorded)>, LockError> {
        let file = folder.join("package.json");
        match std::fs::read_to_string(&file) {
            Ok(text) => match json(&file, &text)? {
                Value::Object(raw) => {
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
    fn of(raw: &Map<String, Value>, called: Option<&str>) -> Self {
        let text = |key: &str| raw.get(key).and_then(Value::as_str).map(str::to_owned);
        let engine = |key: &str| raw.get("engines")?.get(key)?.as_str().map(str::to_owned);
        let scripts = ["preinstall", "install", "postinstall"]
            .iter()
            .any(|name| raw.get("scripts").and_then(|all| all.get(*name)).is_some());
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
            os: list(raw.get("os")),
            cpu: list(raw.get("cpu")),
            libc: list(raw.get("libc")),
            overrides: {
                let mut all = BTreeMap::new();
                overrides(raw.get("overrides"), &mut all);
                all
            },
            has_install_script: scripts
                || raw.get("hasInstallScript").and_then(Value::as_bool) == Some(true),
            name,
        }
    }
}

/// The name by which what is at a place is asked for: its last `node_modules/NAME`.
pub fn name_of(location: &str) -> Option<&str> {
    match location.rfind("node_modules/") {
        Some(at) => location.get(at + "node_modules/".len()..),
        None => location.rsplit('/').next(),
    }
}

fn check_name(location: &str) -> Result<(), &'static str> {
    for part in location.split("node_modules/").skip(1) {
        let name = part.trim_end_matches('/');
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

/// The indentation and line end that npm infers from a file (json-parse-even-better-errors).
fn format_of(text: &str) -> (String, &'static str) {
    let newline = match text.find('\n') {
        Some(at) if text.get(..at).is_some_and(|line| line.ends_with('\r')) => "\r\n",
        _ => "\n",
    };
    let indent = text
        .split_once('\n')
        .map(|(_, rest)| rest.trim_start_matches(['\r', '\n']))
        .map(|rest| {
            rest.chars()
                .take_while(|c| matches!(c, ' ' | '\t'))
                .collect()
        })
        .unwrap_or_default();
    (indent, newline)
}

fn refuse(file: &Utf8Path, text: &str, at: usize, message: String) -> LockError {
    LockError::Syntax {
        place: Place::at(file, text, at),
        message,
    }
}

/// Reads JSON in which no key is there twice.
fn json(file: &Utf8Path, text: &str) -> Result<Value, LockError> {
    if text.starts_with('\u{feff}') {
        let why = "the file begins with a byte-order mark: save it without";
        return Err(refuse(file, text, 0, why.into()));
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if ["<<<<<<< ", "=======\n", ">>>>>>> "]
            .iter()
            .any(|mark| line.starts_with(mark))
        {
            let why = "the marks of an unfinished merge are in the file: finish it, and let npm \
                       make the lock again";
            return Err(refuse(file, text, at, why.into()));
        }
        at += line.len();
    }
    serde_json::from_str::<Unique>(text)
        .map(|unique| unique.0)
        .map_err(|error| {
            let line_start: usize = text
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1))
                .map(str::len)
                .sum();
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let at = line_start + error.column().saturating_sub(1);
            refuse(file, text, at, message.to_owned())
        })
}

/// A value in which no object has a key twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut all = Vec::new();
                while let Some(Unique(value)) = seq.next_element()? {
                    all.push(value);
                }
                Ok(Value::Array(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut all = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "`{}` is there twice: let npm make the file again",
                            key.escape_debug()
                        )));
                    }
                    let Unique(value) = map.next_value()?;
                    all.insert(key, value);
                }
                Ok(Value::Object(all))
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}

#[cfg(test)]
#[path = "npm_tests.rs"]
mod tests;
