//! What a command must not write over: gathered here from what it was given, judged by
//! [`Precious`]. And the one way of writing a report to a file.

use std::fs;
use std::io::{self, Write};

use anstyle::AnsiColor;
use camino::{Utf8Path, Utf8PathBuf};

use super::Failure;
use crate::component::Settings;
use crate::core::temp_file::TempFile;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::uv::{PackageSource, UvLock};
use crate::decide::manifest::{Document, Origin};
use crate::files::tree::{Precious, Provenance, Record, Replaced};
use crate::obtain::fetch;
use crate::obtain::store::Store;

/// Files that people and their tools write: no report takes their place.
const PROJECT_FILES: [&str; 16] = [
    "Cargo.lock",
    "Cargo.toml",
    "bun.lock",
    "flake.lock",
    "lockwright.toml",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "package.json",
    "pnpm-lock.yaml",
    "poetry.lock",
    "pylock.toml",
    "pyproject.toml",
    "requirements.txt",
    "setup.py",
    "uv.lock",
    "yarn.lock",
];

/// A uv.lock, its project, and every source of its that is on this machine.
pub fn of_uv(precious: &mut Precious, lock: &UvLock) {
    precious.add("the lock", &lock.file);
    precious.add("the project", lock.folder());
    for package in &lock.packages {
        let (what, path) = match &package.source {
            PackageSource::Editable(path)
            | PackageSource::Virtual(path)
            | PackageSource::Directory(path) => ("the source of", path),
            PackageSource::Path(path) => ("the archive of", path),
            _ => continue,
        };
        precious.add(format!("{what} {}", package.name), lock.folder().join(path));
    }
}

/// A package-lock.json, its project, workspaces and tarballs on this machine.
pub fn of_npm(precious: &mut Precious, lock: &NpmLock) {
    precious.add("the lock", &lock.file);
    precious.add("the project", lock.folder());
    for (place, entry) in &lock.entries {
        if !place.contains("node_modules/") {
            precious.add(format!("the workspace {place}"), lock.folder().join(place));
        }
        let file = entry.resolved.as_deref();
        if let Some(file) = file.and_then(|file| file.strip_prefix("file:")) {
            precious.add(format!("the tarball of {place}"), lock.folder().join(file));
        }
    }
}

/// A lockwright.toml, its folder, and its sources on this machine.
pub fn of_manifest(precious: &mut Precious, document: &Document) {
    precious.add("the manifest", &document.file);
    precious.add("the project", document.folder());
    for (name, source) in &document.manifest.sources {
        if let Origin::Path { path } = &source.origin {
            precious.add(format!("the source {name}"), document.folder().join(path));
        }
    }
}

/// What was given on the command line for the run of a manifest.
pub fn of_settings(settings: &mut Settings<'_>) {
    of_store(&mut settings.precious, settings.store, settings.fetch);
    of_manifest(&mut settings.precious, settings.document);
    let sources = settings
        .sources
        .iter()
        .map(|(name, path)| ("source", name, path));
    let given = settings
        .given
        .iter()
        .map(|(name, path)| ("component", name, path));
    for (what, name, path) in sources.chain(given) {
        settings.precious.add(format!("the {what} {name}"), path);
    }
}

/// Where what is noted of a tree is kept, of one whose every byte counts: beside it, but for what a Nix
/// build puts in its store, where nothing lies beside an output.
pub fn record_beside(out: &Utf8Path) -> Record {
    let is_set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (is_set("NIX_BUILD_TOP"), is_set("NIX_STORE")) {
        (Some(_), Some(store)) if out.starts_with(&store) => Record::Nowhere,
        _ => Record::Beside,
    }
}

/// Where artifacts come from on this machine.
pub fn of_store(precious: &mut Precious, store: &Store, fetch: &fetch::FetchOptions) {
    precious.add("the store", store.root());
    for folder in &fetch.find_links {
        precious.add("the --find-links folder", folder);
    }
}

/// Says what went with leave, on standard error.
pub fn say_replaced(folder: &Utf8Path, replaced: &Replaced) {
    eprintln!("{folder} is new, and replaces {replaced}");
}

/// Writes a report to a file: all of it or nothing, in the place of an older one. `read` is what the
/// report was made from, files and trees; `write` is given where the bytes go.
///
/// # Errors
/// When something is there that a report must not replace, or it cannot be written.
pub fn write_report<T, E: Into<Failure>>(
    file: &Utf8Path,
    read: &[&str],
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, Failure> {
    write_in_place(file, read, "", write)
}

/// Prints a report, or writes it to a file; `read` is what it is about.
///
/// # Errors
/// As [`write_report`].
pub fn report(out: Option<&Utf8PathBuf>, read: &[&str], text: &str) -> Result<(), Failure> {
    match out {
        None => Ok(super::print(&coloured(text))?),
        Some(out) => write_report(out, read, |to| to.write_all(text.as_bytes())),
    }
}

/// A report with the words that begin its findings in colour, where standard output takes colours.
fn coloured(text: &str) -> String {
    if anstream::AutoStream::choice(&io::stdout()) == anstream::ColorChoice::Never {
        return text.to_owned();
    }
    let words = [
        ("ALARM ", AnsiColor::Red.on_default().bold()),
        ("warning ", AnsiColor::Yellow.on_default().bold()),
        ("note ", AnsiColor::Cyan.on_default()),
    ];
    let lines = text.split_inclusive('\n').map(|line| {
        let found = words.iter().find(|(word, _)| line.starts_with(word));
        found.map_or_else(
            || line.to_owned(),
            |(word, style)| {
                let rest = line.strip_prefix(word).unwrap_or_default();
                format!("{style}{word}{style:#}{rest}")
            },
        )
    });
    lines.collect()
}

/// [`write_report`], for what is a project's own under one name, which may be there.
///
/// # Errors
/// As there.
pub fn write_in_place<T, E: Into<Failure>>(
    file: &Utf8Path,
    read: &[&str],
    own: &str,
    write: impl FnOnce(&mut dyn Write) -> Result<T, E>,
) -> Result<T, Failure> {
    let failed = |error: io::Error| format!("cannot write {file}: {error}");
    // A report goes where a link leads.
    let place = match file.canonicalize_utf8() {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        Err(error) => return Err(failed(error).into()),
    };
    if let Ok(meta) = fs::metadata(&place) {
        if meta.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()).into());
        }
        // A pipe or a terminal is written to, not replaced.
        if !meta.is_file() {
            let mut open = fs::OpenOptions::new()
                .write(true)
                .open(&place)
                .map_err(failed)?;
            return write(&mut open).map_err(E::into);
        }
        let is_read = read.iter().any(|read| {
            let read = Utf8Path::new(read).canonicalize_utf8();
            read.is_ok_and(|read| place.starts_with(read))
        });
        let name = place.file_name().unwrap_or_default();
        let why = match () {
            () if is_read => "it is what the report is about",
            () if name != own && PROJECT_FILES.contains(&name) || is_in_history(&place) => {
                "it belongs to a project, and is not a report"
            }
            () => "",
        };
        if !why.is_empty() {
            return Err(format!("{place} is not replaced: {why}; choose another place").into());
        }
    }
    let mut staged = TempFile::beside(&place, Some(0o666)).map_err(failed)?;
    let done = write(&mut staged).map_err(E::into)?;
    staged.persist(&place).map_err(failed)?;
    Ok(done)
}

/// Of a command's arguments, those that are files: a report replaces none of them.
pub fn files<'a>(arguments: impl IntoIterator<Item = &'a String>) -> Vec<&'a str> {
    let arguments = arguments.into_iter().map(String::as_str);
    arguments
        .filter(|argument| Utf8Path::new(argument).is_file())
        .collect()
}

/// Whether a file is one of version control's own.
fn is_in_history(file: &Utf8Path) -> bool {
    let mut parts = file.components();
    parts.any(|part| [".git", ".hg", ".svn", ".jj"].contains(&part.as_str()))
}

/// A tree that a command changes where it is.
///
/// # Errors
/// When it is, or holds, what no command may change.
pub fn check_tree(tree: &Utf8Path) -> Result<(), Failure> {
    let mut precious = Precious::default();
    let store = std::env::var("LOCKWRIGHT_STORE").map(Utf8PathBuf::from);
    if let Ok(store) = store.or_else(|_| Store::default_root()) {
        precious.add("the store", store);
    }
    match Provenance::place(tree) {
        Some(_) => precious.check(tree)?,
        None => precious.check_foreign(tree)?,
    }
    Ok(())
}

/// A path as clap has it, in UTF-8.
///
/// # Errors
/// When it is none.
pub fn utf8(path: &std::path::Path) -> Result<Utf8PathBuf, Failure> {
    let path = Utf8PathBuf::try_from(path.to_owned());
    Ok(path.map_err(|error| format!("{} is not UTF-8", error.as_path().display()))?)
}
