//! The project whose lock is a build lock: a dependency group for each source.
//!
//! uv resolves all groups of a project together, unless they are declared to conflict. Groups that
//! cannot agree, judged by what they say of one package, are; where that is not enough, because what
//! their requirements need in turn cannot agree, all of them can be.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use camino::Utf8Path;
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{PackageName, VersionOrUrl};
use toml::{Table, Value};

use super::ask::Asked;
use super::uv_sources::{SourceEntry, is_relative, moved};
use crate::core::foreign;
use crate::decide::lock::requirement::{Needed, requirement};

/// How the file begins, by which it is known as ours and may be replaced.
pub const FIRST_LINE: &str =
    "# Written by `lockwright build-lock`: what the sources of a lock are built with.";

/// What the project is like.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// `requires-python` of the lock.
    pub requires_python: Option<String>,
    /// uv's `build-constraint-dependencies`.
    pub constraints: Vec<String>,
    /// Keys of `[tool.uv]` that say which index is asked, and how.
    pub settings: Table,
    /// Whether all groups are declared to conflict.
    pub all_conflict: bool,
}

/// The text of the project's pyproject.toml.
///
/// # Errors
/// When two sources mean different indexes by one name.
pub fn text(asked: &[Asked], shape: &Shape) -> Result<String, String> {
    let quoted = |text: &str| Value::String(text.to_owned()).to_string();
    let mut out = format!(
        "{FIRST_LINE}\n# Lock it with `uv lock`, and name that lock with --build-lock, or as `lock` \
         in [build] of lockwright.toml.\n\n[project]\nname = \"build-requirements\"\nversion = \"0\"\n"
    );
    if let Some(wanted) = &shape.requires_python {
        let _ = writeln!(out, "requires-python = {}", quoted(wanted));
    }
    out.push_str("\n[dependency-groups]\n");
    for one in asked {
        let _ = writeln!(out, "# {}", one.package);
        if let Some(why) = &one.unasked {
            let why = why.lines().next().unwrap_or_default();
            let _ = writeln!(out, "# Its back end could not be asked for more: {why}");
        }
        let _ = writeln!(out, "{} = [", one.name);
        for requirement in &one.requires {
            let _ = writeln!(out, "    {},", quoted(requirement));
        }
        out.push_str("]\n");
    }
    out.push_str("\n[tool.uv]\npackage = false\ndefault-groups = []\n");
    let conflicts = match shape.all_conflict {
        true => asked.iter().map(|one| &one.name).collect(),
        false => conflicting(asked),
    };
    if conflicts.len() > 1 {
        out.push_str("conflicts = [\n    [\n");
        for name in conflicts {
            let _ = writeln!(out, "        {{ group = \"{name}\" }},");
        }
        out.push_str("    ],\n]\n");
    }
    if !shape.constraints.is_empty() {
        out.push_str("constraint-dependencies = [\n");
        for constraint in &shape.constraints {
            let _ = writeln!(out, "    {},", quoted(constraint));
        }
        out.push_str("]\n");
    }
    let mut settings = shape.settings.clone();
    name_indexes(asked, &mut settings)?;
    let text = table(["tool", "uv"], settings);
    match text.strip_prefix("[tool.uv]\n") {
        // The header of the table itself is there already.
        Some(keys) => out.push_str(keys),
        None if text.is_empty() => {}
        None => {
            let _ = write!(out, "\n{text}");
        }
    }
    let sources = sources_of(asked);
    if !sources.is_empty() {
        out.push_str("\n[tool.uv.sources]\n");
    }
    for (name, entries) in sources {
        let _ = writeln!(out, "{name} = [");
        for entry in entries {
            let _ = writeln!(out, "    {},", Value::Table(entry));
        }
        out.push_str("]\n");
    }
    Ok(out)
}

/// A table, with the tables around it.
fn table(around: [&str; 2], inner: Table) -> String {
    let wrap =
        |inner: Table, name: &str| Table::from_iter([(name.to_owned(), Value::Table(inner))]);
    around.into_iter().rev().fold(inner, wrap).to_string()
}

/// Entries of `[tool.uv.sources]`, each for the group of the source that says it.
fn sources_of(asked: &[Asked]) -> BTreeMap<&PackageName, Vec<Table>> {
    let mut all: BTreeMap<&PackageName, Vec<Table>> = BTreeMap::new();
    for one in asked {
        for (name, entries) in &one.sources {
            let own = entries.iter().map(|said| {
                let mut entry = said.entry.clone();
                entry.insert("group".into(), one.name.to_string().into());
                entry
            });
            all.entry(name).or_default().extend(own);
        }
    }
    all
}

/// Adds the indexes that sources name to those that are asked for all.
fn name_indexes(asked: &[Asked], settings: &mut Table) -> Result<(), String> {
    let wanted = asked.iter().flat_map(|one| one.sources.values().flatten());
    for index in wanted.filter_map(|said| said.index.as_ref()) {
        let all = settings
            .entry("index")
            .or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(all) = all else { continue };
        let name = index.get("name");
        match all.iter().find(|known| known.get("name") == name) {
            None => all.push(Value::Table(index.clone())),
            Some(known) if known.get("url") == index.get("url") => {}
            Some(known) => {
                let said = |index: Option<&Value>| index.map(Value::to_string).unwrap_or_default();
                return Err(format!(
                    "the index {} is {} for one source and {} for another: give them different \
                     names",
                    said(name),
                    said(known.get("url")),
                    said(index.get("url"))
                ));
            }
        }
    }
    Ok(())
}

/// The sources that cannot agree with some other on the version of a package, or on where it is obtained
/// from.
fn conflicting(asked: &[Asked]) -> Vec<&PackageName> {
    let wanted: Vec<Vec<AskedRequirement<'_>>> = asked.iter().map(AskedRequirement::all).collect();
    let disagree = |one: usize, other: usize| {
        let (Some(one), Some(other)) = (wanted.get(one), wanted.get(other)) else {
            return false;
        };
        one.iter()
            .any(|one| other.iter().any(|other| one.conflicts_with(other)))
    };
    let all = 0..asked.len();
    let found = asked.iter().enumerate().filter(|(index, _)| {
        all.clone()
            .any(|other| other != *index && disagree(*index, other))
    });
    found.map(|(_, one)| &one.name).collect()
}

/// A requirement of a source.
struct AskedRequirement<'a> {
    name: PackageName,
    versions: Option<VersionSpecifiers>,
    from: Option<&'a Vec<SourceEntry>>,
}

impl<'a> AskedRequirement<'a> {
    fn all(asked: &'a Asked) -> Vec<Self> {
        let requirements = asked.requires.iter().filter_map(|text| requirement(text));
        let read = |wanted: Needed| Self {
            from: asked.sources.get(&wanted.name),
            name: wanted.name,
            versions: match wanted.what {
                Some(VersionOrUrl::VersionSpecifier(versions)) => Some(versions),
                _ => None,
            },
        };
        requirements.map(read).collect()
    }

    fn conflicts_with(&self, other: &Self) -> bool {
        let have_common = match (&self.versions, &other.versions) {
            (Some(one), Some(other)) => have_common(one, other),
            _ => true,
        };
        self.name == other.name && (self.from != other.from || !have_common)
    }
}

/// Whether some version could satisfy both. Where specifiers change their minds is at the versions
/// they name, so only those, what is just above them, and the ends are tried.
fn have_common(one: &VersionSpecifiers, other: &VersionSpecifiers) -> bool {
    let both = || one.iter().chain(other.iter());
    let mut tried: Vec<Version> = vec![Version::new([0]), Version::new([99_999])];
    for specifier in both() {
        let version = specifier.version();
        let mut above = version.release().to_vec();
        above.extend([0, 0, 0, 1]);
        tried.extend([version.clone(), Version::new(above)]);
    }
    tried
        .iter()
        .any(|version| both().all(|specifier| specifier.contains(version)))
}

/// The settings of uv that say which index is asked, and how, for a project in the folder `out`:
/// those of `uv.toml` in `folder`, where there is one, else of the `[tool.uv]` beside it.
///
/// # Errors
/// When the file is not TOML.
pub fn settings_of(folder: &Utf8Path, out: &Utf8Path) -> Result<Table, String> {
    let read = |name: &str| {
        let file = folder.join(name);
        let Ok(text) = foreign::text(&file) else {
            return Ok(None);
        };
        let table = text.parse::<Table>();
        table
            .map(Some)
            .map_err(|error| format!("{file} cannot be read: {}", error.message()))
    };
    let own = match read("uv.toml")? {
        Some(own) => Some(Value::Table(own)),
        None => read("pyproject.toml")?
            .and_then(|mut project| project.remove("tool")?.get("uv").cloned()),
    };
    let mut kept = Table::new();
    for key in [
        "allow-insecure-host",
        "dependency-metadata",
        "exclude-newer",
        "exclude-newer-package",
        "extra-index-url",
        "find-links",
        "index",
        "index-strategy",
        "index-url",
        "keyring-provider",
        "native-tls",
        "no-index",
        "no-sources",
        "no-sources-package",
        "system-certs",
    ] {
        if let Some(value) = own.as_ref().and_then(|own| own.get(key)) {
            kept.insert(key.into(), adapted(value, key, folder, out));
        }
    }
    Ok(kept)
}

/// A setting's value for another folder.
fn adapted(value: &Value, key: &str, folder: &Utf8Path, out: &Utf8Path) -> Value {
    match value {
        Value::Array(values) => {
            let values = values.iter();
            Value::Array(
                values
                    .map(|value| adapted(value, key, folder, out))
                    .collect(),
            )
        }
        Value::Table(index) if key == "index" => {
            let entries = index.iter();
            let entry = |(name, value): (&String, &Value)| {
                (name.clone(), adapted(value, name, folder, out))
            };
            Value::Table(entries.map(entry).collect())
        }
        Value::String(text)
            if matches!(key, "find-links" | "index-url" | "extra-index-url" | "url")
                && is_relative(text) =>
        {
            moved(&folder.join(text), out).into_string().into()
        }
        other => other.clone(),
    }
}

/// Locks the project with uv. `Ok(None)`: there is no uv.
///
/// # Errors
/// With what uv said.
pub fn lock_with_uv(
    folder: &Utf8Path,
    interpreter: &Utf8Path,
    offline: bool,
) -> Result<Option<()>, String> {
    let mut uv = uv();
    uv.args(["lock", "--quiet", "--python", interpreter.as_str()])
        .current_dir(folder);
    // The project is the one in this folder, and what it says of sources counts.
    for name in [
        "VIRTUAL_ENV",
        "UV_FROZEN",
        "UV_LOCKED",
        "UV_NO_SOURCES",
        "UV_NO_SOURCES_PACKAGE",
        "UV_PROJECT",
        "UV_WORKING_DIR",
    ] {
        uv.env_remove(name);
    }
    if offline {
        uv.arg("--offline");
    }
    match uv.output() {
        Ok(output) if output.status.success() => Ok(Some(())),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

/// Whether there is a uv that can lock.
pub fn has_uv() -> bool {
    let version = uv().arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

fn uv() -> Command {
    Command::new(std::env::var_os("UV").unwrap_or_else(|| "uv".into()))
}

/// Whether a project's folder was written by `build-lock`.
pub fn is_ours(folder: &Utf8Path) -> bool {
    let text = foreign::text(folder.join("pyproject.toml"));
    text.is_ok_and(|text| text.starts_with(FIRST_LINE))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(name: &str, requires: &[&str]) -> Asked {
        Asked {
            name: name.parse().unwrap(),
            package: format!("{name} 1.0"),
            requires: requires.iter().map(ToString::to_string).collect(),
            sources: BTreeMap::new(),
            unasked: None,
        }
    }

    #[test]
    fn only_groups_that_cannot_agree_are_declared_to_conflict() {
        let all = [
            asked("gssapi", &["Cython == 3.2.4", "setuptools>=40.6.0"]),
            asked("lxml", &["Cython>=3.1.4", "setuptools"]),
            asked("psycopg-c", &["setuptools==80.3.1", "wheel>=0.37"]),
            asked("xmlsec", &["setuptools==80.9.0", "wheel"]),
        ];
        let names: Vec<String> = conflicting(&all).iter().map(ToString::to_string).collect();
        assert_eq!(names, ["psycopg-c", "xmlsec"]);
        insta::assert_snapshot!(text(
            &all,
            &Shape {
                requires_python: Some("==3.14.*".into()),
                constraints: vec!["setuptools<81".into()],
                settings: "find-links = ['../wheels']\n[[index]]\nname = 'own'\nurl = 'https://i.example/simple'\n"
                    .parse()
                    .unwrap(),
                all_conflict: false,
            }
        )
        .unwrap());
    }

    #[test]
    fn a_common_version_is_looked_for_where_specifiers_change_their_minds() {
        for (one, other, expected) in [
            (">=40", "<80", true),
            (">80", "<=80", false),
            (">70,<80", ">60,<75", true),
            ("==80.*", "~=80.3", true),
            ("==80.3.1", "!=80.3.1", false),
            ("<1", ">=1", false),
            ("==1.0", "==1.0.0", true),
            ("~=0.3", ">=0.4", true),
            ("~=0.3.0", ">=0.4", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(have_common(&one, &other), expected, "{one} and {other}");
        }
    }
}
