//! What no output may replace, and what stands at a destination: the one place where that is judged.
//!
//! A folder is *precious* when it is, or holds, something that a run was told of ([`Precious`]: the
//! lock, the project, its members, the store, …) or that every run knows: the root of the file
//! system, a mount point, a home, the current folder. No flag makes it replaceable. Nor may a folder
//! go that was not made here and holds version control: what is in there may exist nowhere else.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::stage::resolve;
use super::{Provenance, Replace, TreeError, TreeOptions};
use crate::core::mounts::mounts;

/// The names that version control has for its own.
const VERSION_CONTROL: [&str; 9] = [
    ".git", ".hg", ".svn", ".jj", ".bzr", ".pijul", ".sl", "_darcs", "CVS",
];

/// How the names of artifacts end.
const ARTIFACTS: [&str; 6] = [".whl", ".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar"];

/// Files and folders that no output of a run may replace, each with what it is.
#[derive(Debug, Clone, Default)]
pub struct Precious(Vec<(String, Utf8PathBuf)>);

impl Precious {
    /// These and one more; `what` is as messages name it: `the lock`.
    #[must_use]
    pub fn and(mut self, what: impl Into<String>, path: impl Into<Utf8PathBuf>) -> Self {
        self.add(what, path);
        self
    }

    /// One more.
    pub fn add(&mut self, what: impl Into<String>, path: impl Into<Utf8PathBuf>) {
        self.0.push((what.into(), path.into()));
    }

    /// Whether a folder or file may be replaced as far as these go, and what every run knows.
    ///
    /// # Errors
    /// With what would be lost.
    pub fn check(&self, destination: &Utf8Path) -> Result<(), TreeError> {
        let Ok(meta) = fs::metadata(destination) else {
            // Nothing is there, or a link that leads nowhere.
            return Ok(());
        };
        let real = destination
            .canonicalize_utf8()
            .map_err(|error| TreeError::io("find", destination, error))?;
        let refuse = |what: &str, path: &Utf8Path| TreeError::Precious {
            destination: real.clone(),
            lost: match path == real {
                true => format!("it is {what}"),
                false => format!("{what}, {path}, is in it and would be lost"),
            },
        };
        if real.parent().is_none() {
            return Err(refuse("the root of the file system", &real));
        }
        // Told apart by device and inode: a folder may have other names, by bind mounts or case.
        for (what, path) in self.0.iter().chain(&here()) {
            let Ok(path) = path.canonicalize_utf8() else {
                continue;
            };
            let is_it = |above: &Utf8Path| {
                let other = fs::metadata(above);
                other.is_ok_and(|other| (other.dev(), other.ino()) == (meta.dev(), meta.ino()))
            };
            if path.starts_with(&real) || path.ancestors().any(is_it) {
                return Err(refuse(what, &path));
            }
        }
        // Not looked at: a mount point or a home may be on a server that does not answer.
        for (what, path) in mount_points().into_iter().chain(homes()) {
            if path.starts_with(&real) {
                return Err(refuse(what, &path));
            }
        }
        Ok(())
    }

    /// Whether a folder that is not known to be ours may go.
    ///
    /// # Errors
    /// As [`Self::check`], and when it holds version control.
    pub fn check_foreign(&self, folder: &Utf8Path) -> Result<(), TreeError> {
        self.check(folder)?;
        Survey::of(folder.as_std_path()).refuse_history(folder)
    }
}

/// What a process knows of itself.
fn here() -> Vec<(String, Utf8PathBuf)> {
    let mut known = Vec::new();
    let folder = std::env::current_dir().ok();
    if let Some(folder) = folder.and_then(|folder| Utf8PathBuf::try_from(folder).ok()) {
        known.push(("the current folder".to_owned(), folder));
    }
    if let Ok(home) = std::env::var("HOME")
        && home.starts_with('/')
    {
        known.push(("your home".to_owned(), home.into()));
    }
    known
}

/// Whether a folder is a home, or has one in it: yours, or another user's of this machine.
pub fn holds_a_home(folder: &Utf8Path) -> bool {
    let own = std::env::var("HOME").ok().map(Utf8PathBuf::from);
    let own = own.map(|home| home.canonicalize_utf8().unwrap_or(home));
    let real = folder.canonicalize_utf8();
    let real = real.as_deref().unwrap_or(folder);
    let mut all = own
        .into_iter()
        .chain(homes().into_iter().map(|(_, home)| home));
    all.any(|home| home.starts_with(real))
}

/// The homes of this machine's users.
fn homes() -> Vec<(&'static str, Utf8PathBuf)> {
    let text = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let homes = text.lines().filter_map(|line| line.split(':').nth(5));
    let homes = homes.filter(|home| home.starts_with('/') && *home != "/");
    homes.map(|home| ("a home", home.into())).collect()
}

/// Where file systems are mounted: renaming a folder that holds one takes it along, and what is
/// removed then is what it holds.
fn mount_points() -> Vec<(&'static str, Utf8PathBuf)> {
    let mounts = mounts().unwrap_or_default();
    let points = mounts.into_iter().map(|mount| mount.point);
    points
        .map(|point| ("a mount point", point.into()))
        .collect()
}

/// What stands at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing, or an empty folder.
    Nothing,
    /// A tree that was made here.
    Ours,
    /// An environment of Python's, whoever made it.
    VirtualEnvironment,
    /// A `node_modules`, whoever made it.
    NodeModules,
    /// A folder of artifacts and nothing else.
    Artifacts,
    /// Anything else.
    Other,
}

impl Kind {
    /// `resolved` is what the destination leads to where it is a link.
    fn of(destination: &Utf8Path, resolved: &Utf8Path) -> Self {
        let Ok(meta) = fs::symlink_metadata(resolved) else {
            return Self::Nothing;
        };
        if !meta.is_dir() {
            return Self::Other;
        }
        let names: Option<Vec<(String, bool)>> = fs::read_dir(resolved).ok().map(|entries| {
            let entries = entries.map(|entry| match entry {
                Ok(entry) => (
                    entry.file_name().to_string_lossy().into_owned(),
                    entry.file_type().is_ok_and(|kind| kind.is_file()),
                ),
                // What cannot be told is no artifact.
                Err(_) => Default::default(),
            });
            entries.collect()
        });
        let is_artifact = |(name, is_file): &(String, bool)| {
            *is_file && ARTIFACTS.iter().any(|ending| name.ends_with(ending))
        };
        let is_modules = |path: &Utf8Path| path.file_name() == Some("node_modules");
        match names {
            Some(names) if names.is_empty() => Self::Nothing,
            _ if Provenance::place(resolved).is_some() => Self::Ours,
            _ if resolved.join("pyvenv.cfg").is_file() => Self::VirtualEnvironment,
            _ if is_modules(destination) || is_modules(resolved) => Self::NodeModules,
            Some(names) if names.iter().all(is_artifact) => Self::Artifacts,
            _ => Self::Other,
        }
    }
}

/// What was at a destination and is replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    kind: Kind,
    survey: Survey,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Ours => "what lockwright made there before",
            Kind::VirtualEnvironment => "a virtual environment",
            Kind::NodeModules => "a node_modules folder",
            Kind::Artifacts => "a folder of artifacts",
            Kind::Nothing | Kind::Other => "what was there",
        };
        let counted = |count: usize, one: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {one}s"),
        };
        let Survey {
            files, packages, ..
        } = self.survey;
        match packages {
            0 => write!(f, "{kind}: {}", counted(files, "file")),
            _ => write!(
                f,
                "{kind}: {}, {}",
                counted(packages, "package"),
                counted(files, "file")
            ),
        }
    }
}

/// Refuses a destination that may not be replaced, by what it is. `resolved` is what it leads to
/// where it is a link.
fn kind_of_replaceable(
    destination: &Utf8Path,
    resolved: &Utf8Path,
    options: &TreeOptions,
) -> Result<Kind, TreeError> {
    let kind = Kind::of(destination, resolved);
    let is_recorded = || {
        let record = options.record.path(resolved);
        record.is_some_and(|record| record.is_file())
    };
    let may_go = match (options.replace, kind) {
        (Replace::Nothing, _) => fs::symlink_metadata(resolved).is_err(),
        (_, Kind::Nothing) => true,
        (Replace::Ours, _) => is_recorded(),
        (Replace::Environments, kind) => kind != Kind::Other,
    };
    match (may_go, kind) {
        (true, _) => Ok(kind),
        (false, Kind::Other) => Err(TreeError::NoEnvironment(resolved.to_owned())),
        (false, _) => Err(TreeError::NotOurs(resolved.to_owned())),
    }
}

impl TreeOptions {
    /// Refuses a destination that may not be replaced, by its name and what that leads to.
    ///
    /// # Errors
    /// With what would be lost, or why it is not ours to replace.
    pub(super) fn check(
        &self,
        destination: &Utf8Path,
        resolved: &Utf8Path,
    ) -> Result<(), TreeError> {
        self.precious.check(resolved)?;
        kind_of_replaceable(destination, resolved, self).map(drop)
    }

    /// The same, looking through what is there: what it is, where it is replaced with leave.
    ///
    /// # Errors
    /// As [`Self::check`]; and when version control is in there that is not ours.
    pub(super) fn survey(&self, destination: &Utf8Path) -> Result<Option<Replaced>, TreeError> {
        self.precious.check(destination)?;
        let resolved = resolve(destination)?;
        let kind = kind_of_replaceable(destination, &resolved, self)?;
        if self.replace != Replace::Environments || kind == Kind::Nothing {
            return Ok(None);
        }
        let survey = Survey::of(resolved.as_std_path());
        if kind != Kind::Ours {
            survey.refuse_history(&resolved)?;
        }
        Ok(Some(Replaced { kind, survey }))
    }
}

/// What a walk through a folder counts. Links are not followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Survey {
    files: usize,
    packages: usize,
    /// Where version control is, the first by name.
    history: Option<String>,
}

impl Survey {
    fn of(folder: &Path) -> Self {
        let Ok(entries) = fs::read_dir(folder) else {
            return Self::default();
        };
        let entries: Vec<_> = entries.flatten().collect();
        let surveys = entries.par_iter().map(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            let mut survey = match is_folder {
                true => Self::of(&entry.path()),
                false => Self {
                    files: 1,
                    ..Self::default()
                },
            };
            if VERSION_CONTROL.contains(&&*name) {
                survey.history = Some(entry.path().to_string_lossy().into_owned());
            }
            if is_folder && (name.ends_with(".dist-info") || is_npm_package(folder, &name)) {
                survey.packages += 1;
            }
            survey
        });
        surveys.reduce(Self::default, |one, other| Self {
            files: one.files + other.files,
            packages: one.packages + other.packages,
            history: one.history.into_iter().chain(other.history).min(),
        })
    }

    fn refuse_history(&self, destination: &Utf8Path) -> Result<(), TreeError> {
        match &self.history {
            Some(history) => Err(TreeError::Precious {
                destination: destination.to_owned(),
                lost: format!(
                    "it was not made by lockwright, and the history in {history} would be lost"
                ),
            }),
            None => Ok(()),
        }
    }
}

/// Whether a folder of that name in `folder` is a package of a `node_modules`.
fn is_npm_package(folder: &Path, name: &str) -> bool {
    let is_modules = |folder: &Path| {
        folder
            .file_name()
            .is_some_and(|name| name == "node_modules")
    };
    let is_scope = folder
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('@'));
    !name.starts_with(['.', '@'])
        && (is_modules(folder) || is_scope && folder.parent().is_some_and(is_modules))
}
