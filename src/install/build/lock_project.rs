//! The project whose lock is a build lock: a dependency group for each source.
//!
//! uv resolves all groups of a project together, unless they are declared to conflict. Groups that
//! cannot agree, judged by what they say of one package, are; where that is not enough, because what
//! their requirements need in turn cannot agree, all of them can be.

use std::fmt::Write as _;
use std::process::Command;

use camino::Utf8Path;
use pep440_rs::{Version, VersionSpecifiers};
use pep508_rs::{PackageName, Requirement, VerbatimUrl, VersionOrUrl};

use super::ask::Asked;

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
    /// Lines of `[tool.uv]` that say which index is asked, as TOML.
    pub indexes: String,
    /// Whether all groups are declared to conflict.
    pub all_conflict: bool,
}

/// The text of the project's pyproject.toml.
pub fn text(asked: &[Asked], shape: &Shape) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
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
    out.push_str(&shape.indexes);
    out
}

/// The sources that cannot agree with some other on the version of a package.
fn conflicting(asked: &[Asked]) -> Vec<&PackageName> {
    let wanted: Vec<Vec<(PackageName, VersionSpecifiers)>> = asked
        .iter()
        .map(|one| {
            let requirements = one.requires.iter().filter_map(|text| text.parse().ok());
            requirements
                .filter_map(
                    |wanted: Requirement<VerbatimUrl>| match wanted.version_or_url {
                        Some(VersionOrUrl::VersionSpecifier(versions)) => {
                            Some((wanted.name, versions))
                        }
                        _ => None,
                    },
                )
                .collect()
        })
        .collect();
    let disagree = |one: usize, other: usize| {
        let (Some(one), Some(other)) = (wanted.get(one), wanted.get(other)) else {
            return false;
        };
        one.iter().any(|(name, versions)| {
            other
                .iter()
                .any(|(same, others)| same == name && !have_common(versions, others))
        })
    };
    let all = 0..asked.len();
    let found = asked.iter().enumerate().filter(|(index, _)| {
        all.clone()
            .any(|other| other != *index && disagree(*index, other))
    });
    found.map(|(_, one)| &one.name).collect()
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

/// The lines of a project's `[tool.uv]` that say which index is asked, for a project in another
/// folder: relative paths are made absolute.
pub fn indexes_of(pyproject: &str, folder: &Utf8Path) -> String {
    let Ok(table) = pyproject.parse::<toml::Table>() else {
        return String::new();
    };
    let uv = table.get("tool").and_then(|tool| tool.get("uv"));
    let mut kept = toml::Table::new();
    for key in [
        "index-url",
        "extra-index-url",
        "no-index",
        "find-links",
        "exclude-newer",
        "index-strategy",
        "index",
    ] {
        if let Some(value) = uv.and_then(|uv| uv.get(key)) {
            kept.insert(key.into(), absolute(value.clone(), folder, key));
        }
    }
    let mut whole = toml::Table::new();
    let mut tool = toml::Table::new();
    tool.insert("uv".into(), toml::Value::Table(kept));
    whole.insert("tool".into(), toml::Value::Table(tool));
    let text = whole.to_string();
    // The header of the table itself is there already.
    text.replacen("[tool.uv]\n", "", 1)
}

fn absolute(value: toml::Value, folder: &Utf8Path, key: &str) -> toml::Value {
    match value {
        toml::Value::Array(values) => {
            let values = values.into_iter();
            toml::Value::Array(values.map(|value| absolute(value, folder, key)).collect())
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter();
            let entries = entries.map(|(name, value)| {
                let value = match name.as_str() {
                    "url" => absolute(value, folder, "index-url"),
                    _ => value,
                };
                (name, value)
            });
            toml::Value::Table(entries.collect())
        }
        toml::Value::String(text)
            if matches!(key, "find-links" | "index-url" | "extra-index-url")
                && !text.contains("://")
                && !text.starts_with('/') =>
        {
            let path = folder.join(text.trim_start_matches("./"));
            toml::Value::String(path.into_string())
        }
        other => other,
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
    let mut uv = Command::new(std::env::var_os("UV").unwrap_or_else(|| "uv".into()));
    uv.args(["lock", "--quiet", "--python", interpreter.as_str()])
        .current_dir(folder)
        .env_remove("VIRTUAL_ENV")
        .env_remove("UV_FROZEN")
        .env_remove("UV_LOCKED");
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn asked(name: &str, requires: &[&str]) -> Asked {
        Asked {
            name: name.parse().unwrap(),
            package: format!("{name} 1.0"),
            requires: requires.iter().map(ToString::to_string).collect(),
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
                indexes: indexes_of(
                    "[tool.uv]\nfind-links = ['wheels', 'https://h.example/']\n[[tool.uv.index]]\nname = 'own'\nurl = 'https://i.example/simple'\n",
                    "/p".into()
                ),
                all_conflict: false,
            }
        ));
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
