//! Makes a tree the same bytes wherever and whenever it was made, and fit for a fixed-output
//! derivation where that is asked for.
//!
//! [`seal`] sets modes and times. [`fixed_output`] does first what Nix packagers do by hand to a
//! virtual environment, so that nothing in it depends on its interpreter or refers to the store:
//!
//! - `bin` goes: [`restore`](super::restore) makes it anew. Scripts that no entry point can bring back
//!   (a wheel's own, like dumb-init, which is a program) are kept in [`KEPT`];
//! - bytecode goes;
//! - in `pyvenv.cfg` the interpreter's folder becomes [`PLACEHOLDER`];
//! - lockwright's own record goes: it tells of what is no longer there;
//! - store references are stripped, and RECORDs brought up to date with all of this;
//! - where something was stripped, everything is looked through once more.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::reference::Search;
use super::refs::{self, Hit, RefsError};
use super::strip::strip;
use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::temp_file::{self, TempFile};
use crate::core::walk::{Node, WalkError};
use crate::install::python::installed::{self, Line};

/// Where the interpreter's prefix was.
pub const PLACEHOLDER: &str = "@python@";

/// Where scripts are kept that cannot be made anew.
pub const KEPT: &str = "share/lockwright/scripts";

/// How a sealed tree's metadata are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    /// 0644 and 0755 rather than 0444 and 0555.
    pub writable: bool,
    /// Seconds since 1970. Nix has 1.
    pub mtime: i64,
}

impl Seal {
    /// The mode of a file that can be run or not; that of a folder is that of one that can be.
    pub fn mode(&self, is_executable: bool) -> u32 {
        match (self.writable, is_executable) {
            (true, true) => 0o755,
            (true, false) => 0o644,
            (false, true) => 0o555,
            (false, false) => 0o444,
        }
    }
}

/// Why a tree could not be sealed or restored.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// References could not be stripped.
    #[error(transparent)]
    Refs(#[from] RefsError),
    /// Something in it could not be read or changed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// It is no virtual environment.
    #[error("{} has no pyvenv.cfg: the fixed-output form is for Python environments; seal it without --fixed-output", .0.display())]
    NoEnvironment(PathBuf),
    /// It says nothing of its interpreter.
    #[error("{} has no `home`: it is not an environment's", .0.display())]
    NoHome(PathBuf),
    /// Something refers to the store all the same.
    #[error("{} still refers to {}{}: Nix would refuse the tree", .hit.path.display(), .hit.reference, and_more(*.others))]
    Reference {
        /// The first reference.
        hit: Hit,
        /// How many more there are.
        others: usize,
    },
    /// It is not in its fixed-output form.
    #[error("{} is not sealed: its pyvenv.cfg has no {PLACEHOLDER}", .0.display())]
    NotSealed(PathBuf),
    /// An entry point that is not an entry point.
    #[error("{}: `{line}` is not an entry point", .path.display())]
    EntryPoint {
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// The interpreter cannot be linked to.
    #[error("{0} is not the path of an interpreter: give one like /usr/bin/python3.14")]
    Interpreter(String),
}

fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    }
}

/// Sets every mode and time of the tree at `root`, in which is what `tree` says.
///
/// # Errors
/// When something in it cannot be changed.
pub fn seal(root: &Path, tree: &Node, how: &Seal) -> Result<(), SealError> {
    let mut entries = Vec::new();
    tree.each(&mut |path, node| entries.push((refs::join(root, path), node)));
    entries.par_iter().try_for_each(|(path, node)| {
        match node {
            Node::Folder(_) => set_mode(path, how.mode(true))?,
            Node::Link(_) => {}
            Node::File(file) => {
                if file.links > 1 {
                    own(path)?;
                }
                let mode = how.mode(file.is_executable());
                if file.links > 1 || file.mode != mode {
                    set_mode(path, mode)?;
                }
            }
        }
        Ok(set_time(path, how)?)
    })
}

/// Gives a file of several names, in a cache say, bytes of its own, so that the others stay as they are.
fn own(path: &Path) -> Result<(), IoError> {
    let copy = TempFile::beside(path, None).map_err(cannot("copy", path))?;
    fs::copy(path, copy.path()).map_err(cannot("copy", path))?;
    let replaced = copy.persist(path).map(drop);
    replaced.map_err(cannot("replace", path))
}

fn set_mode(path: &Path, mode: u32) -> Result<(), IoError> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(cannot("set the mode of", path))
}

fn set_time(path: &Path, how: &Seal) -> Result<(), IoError> {
    let time = Timespec {
        tv_sec: how.mtime,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(cannot("set the time of", path))
}

/// Brings the environment at `root`, in which is what `tree` says, into its fixed-output form; [`seal`] it
/// afterwards. Doing it twice is doing it once. Returns the paths, from the root, of what was changed, made or
/// removed, be it a folder with all in it.
///
/// # Errors
/// When it is no environment, something in it cannot be changed, or something still refers to the
/// store at the end.
pub fn fixed_output(root: &Path, tree: &Node, search: &Search) -> Result<Vec<PathBuf>, SealError> {
    let config = root.join("pyvenv.cfg");
    let text = foreign::read(&config, foreign::TEXT).and_then(foreign::utf8);
    let text = text.map_err(|_| SealError::NoEnvironment(root.to_owned()))?;
    let (sealed, python) =
        without_interpreter(&text).ok_or_else(|| SealError::NoHome(config.clone()))?;
    writable(root, tree)?;
    let kept = keep_scripts(root, tree, &python)?;
    let own = ["bin", ".lockwright"].map(PathBuf::from);
    let mut gone: Vec<PathBuf> = own
        .into_iter()
        .filter(|path| tree.at(path).is_some())
        .collect();
    tree.each(&mut |path, node| {
        let is_cache = path.file_name().is_some_and(|name| name == "__pycache__");
        let is_compiled = path.extension().is_some_and(|ending| ending == "pyc");
        if is_cache && matches!(node, Node::Folder(_))
            || is_compiled && matches!(node, Node::File(_))
        {
            gone.push(path.to_owned());
        }
    });
    gone.iter().try_for_each(|path| remove(&root.join(path)))?;
    replace(&config, sealed.as_bytes())?;

    let scan = refs::scan(root, search)?;
    let mut stripped = strip(root, &scan, search);
    if let Some(error) = stripped.failed.pop() {
        return Err(error.into());
    }
    let changed: BTreeSet<&Path> = stripped.changed.iter().map(PathBuf::as_path).collect();
    let decide = |path: &Path| {
        if changed.contains(path) {
            Line::Rehash
        } else if is_gone(tree, path)
            // A RECORD may name a file by way of a link to a folder.
            && fs::symlink_metadata(root.join(path)).is_err()
        {
            Line::Drop
        } else {
            Line::Keep
        }
    };
    let mut records = installed::records(tree);
    records.retain(|record| fs::symlink_metadata(root.join(record)).is_ok());
    let mut touched = installed::update(root, &records, decide, &kept)?;
    // Where nothing was found there was nothing to strip, and RECORDs say no more than they did.
    let left = match scan.hits[..] {
        [] => Vec::new(),
        _ => refs::scan(root, search)?.hits,
    };
    match left.split_first() {
        None => {
            touched.extend(stripped.changed);
            touched.extend(gone);
            touched.extend(["pyvenv.cfg", KEPT].map(PathBuf::from));
            Ok(touched)
        }
        Some((hit, others)) => Err(SealError::Reference {
            hit: hit.clone(),
            others: others.len(),
        }),
    }
}

/// Whether a file is not where it was, or has never been there, as far as the tree before tells.
fn is_gone(tree: &Node, path: &Path) -> bool {
    let folders = path.ancestors().filter_map(Path::file_name);
    let is_bytecode = path.extension().is_some_and(|ending| ending == "pyc")
        || folders.skip(1).any(|name| name == "__pycache__");
    let is_removed = is_bytecode || path.starts_with("bin") || path.starts_with(".lockwright");
    is_removed || tree.at(path).is_none()
}

/// `pyvenv.cfg` without its interpreter, and the prefix that was in it: the folder above `home`
/// where that is a `bin`, else `home` itself. Lines that only tell how it was made go.
fn without_interpreter(text: &str) -> Option<(String, String)> {
    let home = value(text, "home")?;
    let prefix = home.strip_suffix("/bin").unwrap_or(home);
    if prefix.is_empty() {
        return None;
    }
    let mut sealed = String::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once('=') else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if key == "command" {
            continue;
        }
        let value = match value.strip_prefix(prefix) {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => {
                format!("{PLACEHOLDER}{rest}")
            }
            _ => value.to_owned(),
        };
        sealed.push_str(&format!("{key} = {value}\n"));
    }
    Some((sealed, prefix.to_owned()))
}

pub(super) fn value<'a>(config: &'a str, key: &str) -> Option<&'a str> {
    config.lines().find_map(|line| {
        let (name, value) = line.split_once('=')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// Puts scripts aside that a RECORD names and no entry point makes. Returns, for each RECORD, the
/// files it gets instead.
fn keep_scripts(
    root: &Path,
    tree: &Node,
    python: &str,
) -> Result<BTreeMap<PathBuf, Vec<PathBuf>>, SealError> {
    let mut kept: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for record in installed::records(tree) {
        let made = installed::launcher_names(root, &record)
            .map_err(|(path, line)| SealError::EntryPoint { path, line })?;
        for script in installed::recorded(root, &record)? {
            let Some(name) = script
                .strip_prefix("bin")
                .ok()
                .filter(|name| name.components().count() == 1)
            else {
                continue;
            };
            let from = root.join(&script);
            let is_file = fs::symlink_metadata(&from).is_ok_and(|meta| meta.is_file());
            if !is_file || name.to_str().is_some_and(|name| made.contains(name)) {
                continue;
            }
            let place = Path::new(KEPT).join(name);
            let to = root.join(&place);
            fs::create_dir_all(root.join(KEPT)).map_err(cannot("make the folder", &to))?;
            let bytes = foreign::read(&from, foreign::WHOLE).map_err(cannot("read", &from))?;
            let bytes = without_shebang(bytes, root, python);
            fs::write(&to, bytes)
                .and_then(|()| fs::set_permissions(&to, fs::Permissions::from_mode(0o755)))
                .map_err(cannot("write", &to))?;
            kept.entry(record.clone()).or_default().push(place);
        }
    }
    Ok(kept)
}

/// A script whose first line names the environment's interpreter gets the placeholder instead.
fn without_shebang(bytes: Vec<u8>, root: &Path, python: &str) -> Vec<u8> {
    let end = bytes
        .iter()
        .position(|&byte| byte == b'\n')
        .unwrap_or(bytes.len());
    let (first, rest) = bytes.split_at(end);
    let Some(interpreter) = first.strip_prefix(b"#!") else {
        return bytes;
    };
    // A path too long for a first line: `/bin/sh` hands over in the next two.
    let (interpreter, rest) = match rest.strip_prefix(b"\n'''exec' ") {
        Some(more) => {
            let mut lines = more.splitn(3, |&byte| byte == b'\n');
            let exec = lines.next().unwrap_or_default();
            let after = lines.nth(1).unwrap_or_default();
            (exec, [b"\n", after].concat())
        }
        None => {
            let end = interpreter.iter().position(u8::is_ascii_whitespace);
            let (path, options) = interpreter.split_at(end.unwrap_or(interpreter.len()));
            (path, [options, rest].concat())
        }
    };
    let named = String::from_utf8_lossy(interpreter);
    let own = root.join("bin").display().to_string();
    let is_python = [own.as_str(), python, "/bin/python", "'python'"]
        .into_iter()
        .any(|part| named.contains(part));
    if is_python && named.contains("python") {
        [b"#!", PLACEHOLDER.as_bytes(), &rest].concat()
    } else {
        bytes
    }
}

/// Lets every folder of a tree be written to.
pub(super) fn writable(root: &Path, tree: &Node) -> Result<(), SealError> {
    let mut folders = Vec::new();
    tree.each(&mut |path, node| {
        if matches!(node, Node::Folder(_)) {
            folders.push(refs::join(root, path));
        }
    });
    folders.par_iter().try_for_each(|folder| {
        let meta = fs::metadata(folder).map_err(cannot("read", folder))?;
        match meta.mode() & 0o200 {
            0 => set_mode(folder, meta.mode() & 0o7777 | 0o200),
            _ => Ok(()),
        }
    })?;
    Ok(())
}

pub(super) fn remove(path: &Path) -> Result<(), IoError> {
    let result = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(_) => Ok(()),
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(cannot("remove", path)),
    }
}

/// Replaces a file in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), IoError> {
    temp_file::write(path, Some(0o644), bytes).map_err(cannot("replace", path))
}

#[cfg(test)]
#[path = "seal_tests.rs"]
#[allow(clippy::unwrap_used)]
mod tests;
