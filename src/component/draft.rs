//! A first manifest for a project, from what lies in its folder: locks, workspace members, and what
//! their build configurations say.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use toml::{Table, Value};

use super::draft_app::{application, quoted, web};
use super::mapping::mapping;
use crate::core::foreign;
use crate::decide::lock::LockError;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::pyproject::{ProjectSettings, Pyproject};
use crate::decide::lock::uv::{PackageSource, UvLock};

/// How deep below the project's folder locks are looked for.
const DEEPEST: usize = 3;

/// Drafts the manifest of the project in `folder`.
///
/// # Errors
/// When there is no lock in it, or one cannot be read.
pub fn draft(folder: &Utf8Path) -> Result<String, DraftError> {
    let mut locks = Vec::new();
    find(folder, folder, 0, &mut locks);
    locks.sort();
    if locks.is_empty() {
        return Err(DraftError::Nothing(folder.to_owned()));
    }
    let project = project_of(folder);
    let name = text(&project, "name").or_else(|| folder.file_name().map(str::to_owned));
    let mut out = String::from(
        "# Drafted by `lockwright init` from what it found; change it as you need.\n\n",
    );
    // A string takes all.
    let _ = writeln!(out, "name = {}", quoted(name.as_deref().unwrap_or("app")));
    if let Some(version) = text(&project, "version") {
        let _ = writeln!(out, "version = {}", quoted(&version));
    }
    let mut target = String::new();
    let mut components = String::new();
    let mut build = String::new();
    let mut tools = String::new();
    for lock in &locks {
        let below = lock.parent().unwrap_or(Utf8Path::new(""));
        let stem = below.as_str().replace('/', "-");
        let named = |what: &str| match stem.as_str() {
            "" => what.to_owned(),
            stem => format!("{stem}-{what}"),
        };
        let path = format!("{{source:app}}/{lock}");
        if matches!(lock.file_name(), Some("uv.lock" | "pylock.toml")) {
            let uv = UvLock::load(&folder.join(lock))?;
            if target.is_empty() {
                target = python_target(folder, &uv);
            }
            let source = format!("{{source:app}}/{below}");
            python(
                &mut components,
                &uv,
                &path,
                source.trim_end_matches('/'),
                &named,
            );
            build.push_str(&to_be_built(&uv)?);
            continue;
        }
        let (key, name) = match lock.file_name() {
            Some("go.sum") => ("go", named("go-modules")),
            _ => ("node", named("node-deps")),
        };
        let path = quoted(&path);
        let _ = write!(
            components,
            "\n[component.{name}]\n{key} = {{ lock = {path} }}\n"
        );
        if key == "node" {
            let npm = NpmLock::load(&folder.join(lock))?;
            let source = format!("{{source:app}}/{below}");
            let web = web(&npm, &source, &name, &named("ui"));
            if !web.is_empty() && tools.is_empty() {
                tools.push_str("\n[tools.node]\nfound = \"node\"\n");
            }
            components.push_str(&web);
        }
    }
    out.push_str(&target);
    out.push_str("\n[sources.app]\npath = \".\"\n");
    out.push_str(&build);
    out.push_str(&tools);
    out.push_str(&components);
    Ok(out)
}

/// Why nothing could be drafted.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// There is nothing to begin with.
    #[error(
        "{0} has no uv.lock, pylock.toml, package-lock.json or go.sum, in it or up to three folders down: \
             lock the project first, with `uv lock`, `npm install --package-lock-only` or `go mod tidy`"
    )]
    Nothing(Utf8PathBuf),
    /// A lock cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// Locks below a folder, relative to `top`.
fn find(top: &Utf8Path, folder: &Utf8Path, depth: usize, locks: &mut Vec<Utf8PathBuf>) {
    let Ok(entries) = folder.read_dir_utf8() else {
        return;
    };
    let mut is_npm = false;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_dir() {
            let is_made = matches!(
                name,
                "node_modules" | "target" | "dist" | "out" | "build" | "vendor"
            ) || name.starts_with('.')
                || entry.path().join("pyvenv.cfg").is_file();
            if depth < DEEPEST && !is_made {
                find(top, entry.path(), depth + 1, locks);
            }
            continue;
        }
        let is_lock = match name {
            "uv.lock" => true,
            // What it is the lock of stands beside it; a vendored module's is not the project's.
            "go.sum" => folder.join("go.mod").is_file(),
            "pylock.toml" => !folder.join("uv.lock").is_file(),
            // npm prefers the one that is published.
            "package-lock.json" | "npm-shrinkwrap.json" => !std::mem::replace(&mut is_npm, true),
            _ => false,
        };
        if is_lock && let Ok(inside) = entry.path().strip_prefix(top) {
            locks.push(inside.to_owned());
        }
    }
}

/// `[project]` of a folder's pyproject.toml.
fn project_of(folder: &Utf8Path) -> Table {
    let text = foreign::text(folder.join("pyproject.toml")).unwrap_or_default();
    let table: Table = text.parse().unwrap_or_default();
    let project = table.get("project").and_then(Value::as_table);
    project.cloned().unwrap_or_default()
}

fn text(table: &Table, key: &str) -> Option<String> {
    table.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// The Python that the project pins, or the lowest that its lock names; this machine's platform.
fn python_target(folder: &Utf8Path, lock: &UvLock) -> String {
    let pinned = foreign::text(folder.join(".python-version")).ok();
    let required = lock.requires_python.as_ref().map(ToString::to_string);
    let version = pinned.or(required).and_then(|text| minor(&text));
    let mut out = String::from("\n[target]\n");
    if let Some(version) = version {
        let _ = writeln!(out, "python = {}", quoted(&version));
    }
    let _ = writeln!(out, "platform = \"{}-linux-gnu\"", std::env::consts::ARCH);
    out
}

/// The first `3.x` in a text.
fn minor(text: &str) -> Option<String> {
    let at = text.find("3.")?;
    let rest = text.get(at + 2..)?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("3.{digits}"))
}

fn python(
    out: &mut String,
    lock: &UvLock,
    path: &str,
    source: &str,
    named: &dyn Fn(&str) -> String,
) {
    let (deps, env) = (named("python-deps"), named("python"));
    // In the default groups of a pylock.toml may be all that there is.
    let groups = match lock.pylock {
        None => "groups = [], ",
        Some(_) => "",
    };
    let _ = write!(
        out,
        "\n# What the project needs, without itself; sealed so that the same bytes come out everywhere.\n\
         [component.{deps}]\npython = {{ lock = {}, {groups}install = \"dependencies\" }}\n\
         seal = \"fixed-output\"\n",
        quoted(path)
    );
    let (mut members, mut modules, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let mut app = String::new();
    for package in &lock.packages {
        let (PackageSource::Editable(place)
        | PackageSource::Virtual(place)
        | PackageSource::Directory(place)) = &package.source
        else {
            continue;
        };
        let folder = lock.folder().join(place);
        if let PackageSource::Virtual(place) = &package.source {
            if *place == "." {
                app = application(lock.folder(), source, package.name.as_ref());
            }
            continue;
        }
        match mapping(&folder) {
            Ok(pieces) => {
                members.push(quoted(package.name.as_ref()));
                let first = pieces.first().map(|piece| piece.to.with_extension(""));
                modules.extend(first.map(|path| quoted(&path.as_str().replace('/', "."))));
            }
            Err(why) => refused.push(format!("# {} is left out: {why}.\n", package.name)),
        }
    }
    let _ = write!(
        out,
        "\n[component.{env}]\nbase = \"{{component:{deps}}}\"\n"
    );
    for why in refused {
        out.push_str(&why);
    }
    if !members.is_empty() {
        out.push_str("# Where their own build configuration puts them.\n");
        let _ = writeln!(out, "workspace = [{}]", members.join(", "));
        let _ = writeln!(out, "smoke = {{ imports = [{}] }}", modules.join(", "));
    }
    out.push_str(&app);
}

/// What is to be built, and what that needs.
fn to_be_built(lock: &UvLock) -> Result<String, LockError> {
    let settings: ProjectSettings = Pyproject::beside(&lock.file)?.unwrap_or_default().settings;
    let names: Vec<String> = lock
        .packages
        .iter()
        .filter(|package| {
            let by_wish = settings.no_binary_package.contains(&package.name);
            let is_source =
                matches!(package.source, PackageSource::Git(_)) || package.sdist.is_some();
            is_source && (package.wheels.is_empty() || by_wish)
        })
        .map(|package| package.name.to_string())
        .collect();
    if names.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(
        "\n# Built from source: {}.\n# [build] names a lock with what building them needs, a dependency \
         group for each.\n[build]\nlock = \"build/uv.lock\"\n",
        names.join(", ")
    ))
}
