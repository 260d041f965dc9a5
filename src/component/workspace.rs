//! Workspace members, installed as their wheels would be: their packages where their own build
//! configuration maps them, a `.dist-info` of what they state of themselves, and their scripts.

use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use toml::{Table, Value};

use super::context::Context;
use super::copy::{self, Filter};
use super::error::{Cause, ComponentError};
use super::ingredients::Ingredients;
use super::mapping::{Piece, mapping};
use super::python::{self, layout};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::nearest::instead;
use crate::decide::lock::uv::{Package, PackageSource, UvLock};
use crate::files::tree::{Owner, Tree, TreePath};
use crate::install::python::record::Entry;
use crate::install::python::{installed, installer};

const PHASE: &str = "workspace";

/// A member that is installed.
#[derive(Debug)]
pub struct WorkspaceMember {
    name: String,
    version: String,
    pub(super) folder: Utf8PathBuf,
    pub(super) pieces: Vec<Piece>,
    project: Table,
}

/// Finds the component's members in its lock, and writes down what shapes them.
///
/// # Errors
/// When one is no member, or its configuration does not tell its packages.
pub fn prepare(
    context: &Context<'_>,
    all: &mut Ingredients,
) -> Result<Vec<WorkspaceMember>, ComponentError> {
    let mut members = Vec::new();
    let names = &context.component.workspace;
    let Some(first) = names.first() else {
        return Ok(members);
    };
    let Some(file) = python::lock_of(context)? else {
        let what = "there is no lock to find workspace members in: neither the component nor its \
                    base has `python`";
        return Err(context.refuse(first, what));
    };
    let lock = UvLock::load(&file).map_err(context.failed(first, PHASE))?;
    for name in names {
        let member = member(context, &lock, name)?;
        let failed = |cause: Cause| context.failed(name, PHASE)(cause);
        for piece in &member.pieces {
            let digest = context.sources.digest(&member.folder.join(&piece.from));
            all.add(
                format!("workspace {name}, {}", piece.from),
                format!(
                    "{} {:?} {}",
                    piece.to,
                    piece.exclude,
                    digest.map_err(failed)?
                ),
            );
        }
        let project = serde_json::to_string(&member.project).unwrap_or_default();
        all.add(
            format!("workspace {name}, its metadata"),
            format!("{} {project}", member.version),
        );
        members.push(member);
    }
    Ok(members)
}

fn member(
    context: &Context<'_>,
    lock: &UvLock,
    name: &str,
) -> Result<WorkspaceMember, ComponentError> {
    let local = |source: &PackageSource| match source {
        PackageSource::Editable(path)
        | PackageSource::Virtual(path)
        | PackageSource::Directory(path) => Some(path.clone()),
        _ => None,
    };
    let found = lock.packages.iter().find_map(|package| {
        let is_it = package.name.to_string() == name;
        is_it.then(|| Some((package, local(&package.source)?)))?
    });
    let Some((package, path)) = found else {
        let here = |package: &&Package| local(&package.source).is_some();
        let members = lock.packages.iter().filter(here);
        let what = format!(
            "`{name}` is not a member of the workspace of {}{}",
            lock.file,
            instead(name, members.map(|package| &package.name))
        );
        return Err(context.refuse(name, what));
    };
    let folder = lock.folder().join(path);
    // A stranger's lock and configuration may name whatever this machine has.
    let inside = |path: &Utf8Path| match context.sources.keeps(&lock.file, path) {
        true => Ok(()),
        false => {
            let what = format!(
                "`{name}` is made of {path}, which leads out of its source, and is refused"
            );
            Err(context.refuse(name, what))
        }
    };
    inside(&folder)?;
    inside(&folder.join("pyproject.toml"))?;
    inside(&folder.join("setup.cfg"))?;
    let pieces = mapping(&folder).map_err(|why| {
        context.refuse(
            name,
            format!("the packages of `{name}` cannot be determined: {why}"),
        )
    })?;
    for piece in &pieces {
        inside(&folder.join(&piece.from))?;
    }
    let text = foreign::text(folder.join("pyproject.toml")).unwrap_or_default();
    let table: Table = text.parse().unwrap_or_default();
    let project = table
        .get("project")
        .and_then(Value::as_table)
        .cloned()
        .unwrap_or_default();
    let stated = project
        .get("version")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let version = stated.or_else(|| package.version.as_ref().map(ToString::to_string));
    let Some(version) = version else {
        let what = format!(
            "the version of `{name}` is dynamic, and only its back end can tell it: install it \
             with `python`, not `workspace`"
        );
        return Err(context.refuse(name, what));
    };
    Ok(WorkspaceMember {
        name: name.to_owned(),
        version,
        folder,
        pieces,
        project,
    })
}

/// Installs the members.
///
/// # Errors
/// When a file cannot be placed.
pub fn place(
    context: &Context<'_>,
    members: &[WorkspaceMember],
    tree: &Tree,
    prefix: &Utf8Path,
) -> Result<(), ComponentError> {
    for (rank, member) in members.iter().enumerate() {
        let label = format!("{} {}", member.name, member.version);
        let owner = tree.owner(&label, 500 + rank as u64);
        let site = TreePath::new(context.site()?).map_err(context.failed(&member.name, PHASE))?;
        let layout = layout(context, prefix)?;
        let info = format!(
            "{}-{}.dist-info",
            member.name.replace('-', "_"),
            member.version
        );
        if tree.root().join(site.as_str()).join(&info).exists() {
            let what = format!("{label} is installed already, by `python` or the base");
            return Err(context.refuse(&member.name, what));
        }
        install(member, tree, owner, &site, &info, &layout)
            .map_err(context.failed(&member.name, PHASE))?;
    }
    Ok(())
}

fn install(
    member: &WorkspaceMember,
    tree: &Tree,
    owner: Owner,
    site: &TreePath,
    info: &str,
    layout: &crate::install::python::Layout,
) -> Result<(), Cause> {
    let mut placed: Vec<String> = Vec::new();
    for piece in &member.pieces {
        let from = member.folder.join(&piece.from);
        if !from.exists() {
            let what = format!("there is no {from}, which its configuration names");
            return Err(Cause::Said(what));
        }
        let to = TreePath::new(format!("{site}/{}", piece.to))?;
        let copied = copy::folder(
            tree,
            owner,
            &from,
            Some(&to),
            &Filter::without(&piece.exclude),
        )?;
        if from.is_file() {
            placed.push(to.to_string());
        } else {
            placed.extend(copied.into_iter().map(|path| format!("{to}/{path}")));
        }
    }
    let wheel = format!(
        "Wheel-Version: 1.0\nGenerator: lockwright {}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        env!("CARGO_PKG_VERSION")
    );
    let mut texts = vec![
        ("METADATA", metadata(member).into_bytes()),
        ("WHEEL", wheel.into_bytes()),
    ];
    let entries = entry_points(&member.project);
    if !entries.is_empty() {
        texts.push(("entry_points.txt", entries.into_bytes()));
    }
    texts.extend(installer::files(None));
    for (name, text) in texts {
        let path = TreePath::new(format!("{site}/{info}/{name}"))?;
        tree.file(owner, &path, 0o644, &text)?;
        placed.push(path.to_string());
    }
    let record = TreePath::new(format!("{site}/{info}/RECORD"))?;
    let scripts = installed::launchers(tree.root().as_std_path(), record.as_str().as_ref(), layout);
    let scripts = scripts.map_err(|(path, line)| {
        Cause::Said(format!(
            "{}: `{line}` is not an entry point",
            path.display()
        ))
    })?;
    for (name, text) in scripts {
        let path = TreePath::new(format!("bin/{name}"))?;
        tree.file(owner, &path, 0o755, text.as_bytes())?;
        placed.push(path.to_string());
    }
    let mut entries = Vec::new();
    for path in placed {
        let file = tree.root().join(&path);
        // Folders and links have no line.
        if !file.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            continue;
        }
        let bytes = foreign::read(&file, foreign::WHOLE).map_err(cannot("read", &file))?;
        let name = match path.strip_prefix(&format!("{site}/")) {
            Some(inside) => inside.to_owned(),
            None => format!("{}/{path}", layout.site_to_top()),
        };
        entries.push(Entry::of(name, &bytes));
    }
    let lines = installer::record(info, entries);
    tree.file(owner, &record, 0o644, lines.as_bytes())?;
    Ok(())
}

/// Core metadata, of what `[project]` states
/// (<https://packaging.python.org/en/latest/specifications/pyproject-toml/>).
fn metadata(member: &WorkspaceMember) -> String {
    let text = |key: &str| member.project.get(key).and_then(Value::as_str);
    let list = |value: Option<&Value>| -> Vec<String> {
        let all = value.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let mut lines = vec![
        String::from("Metadata-Version: 2.1"),
        format!("Name: {}", text("name").unwrap_or(&member.name)),
        format!("Version: {}", member.version),
    ];
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(summary) = text("description").filter(|text| !text.trim().is_empty()) {
        lines.push(format!("Summary: {}", one_line(summary)));
    }
    if let Some(python) = text("requires-python") {
        lines.push(format!("Requires-Python: {}", one_line(python)));
    }
    for need in list(member.project.get("dependencies")) {
        lines.push(format!("Requires-Dist: {}", one_line(&need)));
    }
    let extras = member
        .project
        .get("optional-dependencies")
        .and_then(Value::as_table);
    for (extra, needs) in extras.into_iter().flatten() {
        lines.push(format!("Provides-Extra: {extra}"));
        for need in list(Some(needs)) {
            let need = one_line(&need);
            lines.push(match need.split_once(';') {
                Some((what, marker)) => {
                    format!(
                        "Requires-Dist: {what}; ({}) and extra == '{extra}'",
                        marker.trim()
                    )
                }
                None => format!("Requires-Dist: {need} ; extra == '{extra}'"),
            });
        }
    }
    lines.join("\n") + "\n"
}

/// `entry_points.txt`
/// (<https://packaging.python.org/en/latest/specifications/entry-points/#file-format>).
fn entry_points(project: &Table) -> String {
    let mut groups: Vec<(String, &Table)> = Vec::new();
    for (key, group) in [
        ("scripts", "console_scripts"),
        ("gui-scripts", "gui_scripts"),
    ] {
        if let Some(table) = project.get(key).and_then(Value::as_table) {
            groups.push((group.to_owned(), table));
        }
    }
    let others = project.get("entry-points").and_then(Value::as_table);
    for (group, table) in others.into_iter().flatten() {
        if let Some(table) = table.as_table() {
            groups.push((group.clone(), table));
        }
    }
    let mut text = String::new();
    for (group, table) in groups.into_iter().filter(|(_, table)| !table.is_empty()) {
        // A string takes all.
        let _ = writeln!(text, "[{group}]");
        for (name, value) in table {
            let _ = writeln!(text, "{name} = {}", value.as_str().unwrap_or_default());
        }
    }
    text
}
