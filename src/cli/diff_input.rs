//! What `lockwright diff` is given: a lock, a folder that has one, a revision's, or a tree.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::Failure;
use crate::core::foreign;
use crate::decide::lock::is_pylock;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::pyproject::{ProjectSettings, Pyproject};
use crate::decide::lock::uv::UvLock;
use crate::inspect::diff::facts::{Ecosystem, LockFacts};
use crate::inspect::diff::others;
use crate::obtain::source::show::show;

/// One side of a diff.
pub enum Given {
    /// A lock.
    Lock(Box<Lock>),
    /// A folder without one.
    Tree(Utf8PathBuf),
}

/// A lock, as it is called and as it is.
pub struct Lock {
    /// As it was given.
    pub label: String,
    /// What stands in it.
    pub what: What,
    /// The same, as it is written.
    text: String,
    /// Where its project is.
    project: ProjectOf,
}

/// Where what stands beside a lock is read from.
enum ProjectOf {
    /// A folder.
    Folder(Utf8PathBuf),
    /// A revision, and the folder in it, as `REV:` or `REV:path/`.
    Revision(String),
}

impl Lock {
    /// A file beside the lock, and what it is called; nothing where there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn beside(&self, name: &str) -> Result<Option<(String, Utf8PathBuf)>, Failure> {
        match &self.project {
            ProjectOf::Folder(folder) => {
                let file = folder.join(name);
                match foreign::text(&file) {
                    Ok(text) => Ok(Some((text, file))),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(format!("cannot read {file}: {error}").into()),
                }
            }
            ProjectOf::Revision(folder) => {
                let object = format!("{folder}{name}");
                let Ok(bytes) = show(&object) else {
                    return Ok(None);
                };
                let text = String::from_utf8(bytes);
                let text = text.map_err(|_| format!("{object} is not UTF-8"))?;
                Ok(Some((text, object.into())))
            }
        }
    }
}

/// A lock of either kind.
pub enum What {
    /// A `uv.lock` or a `pylock.toml`, and what the pyproject.toml beside it says.
    Python(Box<UvLock>, Box<ProjectSettings>),
    /// A `package-lock.json`.
    Npm(Box<NpmLock>),
    /// Another tool's, of which the facts alone are read, and its folder.
    Other(Box<LockFacts>, Utf8PathBuf),
}

impl Lock {
    /// Where in it each package begins: the line, from 1.
    pub fn lines(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (at, line) in self.text.lines().enumerate() {
            let line = line.trim();
            let name = match &self.what {
                What::Python(..) => line
                    .strip_prefix("name = \"")
                    .and_then(|rest| rest.strip_suffix('"')),
                What::Other(..) => None,
                What::Npm(_) => line
                    .strip_suffix("\": {")
                    .and_then(|rest| rest.rsplit_once("node_modules/"))
                    .map(|(_, name)| name),
            };
            if let Some(name) = name {
                all.entry(name.to_owned()).or_insert(at + 1);
            }
        }
        all
    }
}

impl What {
    /// The lock's folder.
    pub fn folder(&self) -> &Utf8Path {
        match self {
            Self::Python(lock, _) => lock.folder(),
            Self::Npm(lock) => lock.folder(),
            Self::Other(_, folder) => folder,
        }
    }

    /// Of which kind.
    pub fn ecosystem(&self) -> Ecosystem {
        match self {
            Self::Python(..) => Ecosystem::Python,
            Self::Npm(_) => Ecosystem::Npm,
            Self::Other(facts, _) => facts.ecosystem,
        }
    }
}

/// The names of locks, in the order they are looked for in a folder.
const NAMES: [&str; 4] = [
    "uv.lock",
    "npm-shrinkwrap.json",
    "package-lock.json",
    "pylock.toml",
];

/// Those, and the names of other tools' locks.
fn names() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().chain(others::names())
}

/// Whether a file of this name is a lock.
pub(super) fn is_lock(name: &str) -> bool {
    is_pylock(name) || names().any(|own| own == name)
}

impl Given {
    /// Reads what is meant by an argument.
    ///
    /// # Errors
    /// When there is nothing of that name, or it is no lock.
    pub fn open(argument: &str, as_tree: bool) -> Result<Self, Failure> {
        let path = Utf8Path::new(argument);
        if !path.exists() {
            return match argument.split_once(':') {
                Some((revision, path)) if !as_tree && !revision.is_empty() => {
                    at_revision(argument, revision, path)
                }
                _ => Err(format!(
                    "there is no {argument}: give a lock, a folder that has one, a revision and a \
                     path as REV:path, or two trees"
                )
                .into()),
            };
        }
        let absolute = super::absolute(path)?;
        if absolute.is_dir() {
            let lock = names()
                .map(|name| absolute.join(name))
                .find(|lock| lock.is_file());
            return match lock {
                Some(lock) if !as_tree => {
                    if lock.file_name() == Some("uv.lock")
                        && absolute.join("package-lock.json").is_file()
                    {
                        eprintln!(
                            "note: {path} has a package-lock.json too, which is not compared; give \
                             it by its own path"
                        );
                    }
                    of_file(
                        path.join(lock.file_name().unwrap_or_default()).as_str(),
                        &lock,
                    )
                }
                _ => Ok(Self::Tree(path.to_owned())),
            };
        }
        if as_tree {
            return Ok(Self::Tree(path.to_owned()));
        }
        of_file(argument, &absolute)
    }
}

fn of_file(label: &str, file: &Utf8Path) -> Result<Given, Failure> {
    let text = foreign::named(file).and_then(foreign::utf8);
    let text = text.map_err(|error| format!("cannot read the lock {file}: {error}"))?;
    let what = parse(&text, file, || {
        Ok(Pyproject::beside(file)?.unwrap_or_default().settings)
    })?;
    Ok(Given::Lock(Box::new(Lock {
        label: label.to_owned(),
        what,
        text,
        project: ProjectOf::Folder(file.parent().unwrap_or(Utf8Path::new(".")).to_owned()),
    })))
}

fn at_revision(argument: &str, revision: &str, path: &str) -> Result<Given, Failure> {
    let folder = path.trim_end_matches('/');
    let inside = |name: &str| match folder {
        "" => format!("{revision}:{name}"),
        folder => format!("{revision}:{folder}/{name}"),
    };
    let (label, bytes) = match show(argument) {
        Ok(bytes) if !path.is_empty() => (argument.to_owned(), bytes),
        first => {
            let found = names().find_map(|name| {
                let object = inside(name);
                show(&object).ok().map(|bytes| (object, bytes))
            });
            match (found, first) {
                (Some(found), _) => found,
                (None, Err(error)) => return Err(error.into()),
                (None, Ok(_)) => return Err(format!("there is no lock at {argument}").into()),
            }
        }
    };
    let text = String::from_utf8(bytes).map_err(|_| format!("{label} is not UTF-8"))?;
    let end = label.rfind(['/', ':']).map_or(0, |at| at + 1);
    let folder = label.get(..end).unwrap_or_default().to_owned();
    let what = parse(&text, Utf8Path::new(&label), || {
        let object = format!("{folder}pyproject.toml");
        let Ok(bytes) = show(&object) else {
            return Ok(ProjectSettings::default());
        };
        let text = String::from_utf8(bytes).map_err(|_| format!("{object} is not UTF-8"))?;
        Ok(Pyproject::parse(&text, Utf8Path::new(&object))?.settings)
    })?;
    let project = ProjectOf::Revision(folder);
    Ok(Given::Lock(Box::new(Lock {
        label,
        what,
        text,
        project,
    })))
}

/// Reads a lock of any kind: other tools' are told by their names, and else JSON begins with a brace, whatever the file is called.
fn parse(
    text: &str,
    file: &Utf8Path,
    settings: impl FnOnce() -> Result<ProjectSettings, Failure>,
) -> Result<What, Failure> {
    if let Some(facts) = others::read(text, file) {
        let folder = file.parent().unwrap_or(Utf8Path::new("")).to_owned();
        return Ok(What::Other(Box::new(facts?), folder));
    }
    if text.trim_start().starts_with('{') {
        Ok(What::Npm(Box::new(NpmLock::parse(file, text)?)))
    } else {
        let lock = UvLock::parse(text, file)?;
        Ok(What::Python(Box::new(lock), Box::new(settings()?)))
    }
}
