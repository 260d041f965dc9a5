//! Lockfiles as typed models. Pure: text in, checked values out.
//!
//! What comes out of here cannot be wrong in its form: names, versions, digests, URLs and file
//! names have been parsed, references between packages lead somewhere, and a file name cannot
//! leave the folder it is put in. Anything else is refused with its place in the file.

pub mod build_settings;
pub mod go;
pub mod marker;
pub mod npm;
pub mod npm_order;
pub mod npmrc;
pub mod pyproject;
pub mod requirement;
pub mod staleness;
pub mod uv;
pub mod wheel_name;

use crate::core::place::Place;

/// Why a lockfile could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be read.
    #[error("cannot read {file}: {source}")]
    Read {
        /// Which.
        file: camino::Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Not the syntax, or a value that is not what its key takes.
    #[error("{place}: {message}\n{}", .place.snippet())]
    Syntax {
        /// Where.
        place: Place,
        /// What is wrong and what to do.
        message: String,
    },
    /// Two workspaces of one name.
    #[error(
        "the workspaces {one} and {other} are both called {name}: give one of them another name"
    )]
    Workspaces {
        /// The name.
        name: String,
        /// A folder.
        one: String,
        /// Another.
        other: String,
    },
    /// Written by a newer tool, in a format whose rules are not known here.
    #[error(
        "{file} has lock version {found}, and this lockwright reads version {known}: \
         use a lockwright that knows version {found}, or regenerate the lock with a tool that \
         writes version {known}"
    )]
    Version {
        /// Which.
        file: camino::Utf8PathBuf,
        /// Its version.
        found: String,
        /// What can be read.
        known: &'static str,
    },
    /// Two entries that cannot be told apart, or a reference that leads nowhere.
    #[error("{place}: {message}\n{}", .place.snippet())]
    Reference {
        /// Where the entry begins.
        place: Place,
        /// What is wrong and what to do.
        message: String,
    },
}

/// Whether a file of this name is a lock by PEP 751: `pylock.toml` or `pylock.NAME.toml`.
pub fn is_pylock(name: &str) -> bool {
    let inner = name
        .strip_prefix("pylock.")
        .and_then(|name| name.strip_suffix("toml"));
    inner.is_some_and(|inner| match inner.strip_suffix('.') {
        Some(name) => !name.is_empty() && !name.contains('.'),
        None => inner.is_empty(),
    })
}

/// Whether a string can be a file's name and nothing else: not empty, no separator, no `.` or
/// `..`, no control character.
pub fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}
