//! Why a git tree cannot be obtained.

use super::packed::PackError;
use crate::obtain::store::StoreError;

/// Why a git tree cannot be obtained.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// There is no git program.
    #[error(
        "the git program cannot be run ({0}): install git, or bring the tree into the store on a machine that has it"
    )]
    Program(std::io::Error),
    /// It failed.
    #[error("git {doing} failed: {said}")]
    Failed {
        /// Which command.
        doing: &'static str,
        /// What it said.
        said: String,
    },
    /// The commit cannot be taken from there.
    #[error("{rev} of {url} cannot be fetched{via}: {said}")]
    Fetch {
        /// What.
        rev: String,
        /// From which repository, as the lock names it.
        url: String,
        /// Which mirror was asked, if one was.
        via: String,
        /// What git said.
        said: String,
    },
    /// It is not here, and no socket may be opened.
    #[error(
        "{rev} of {url} is not in the store, and this run is offline: run once with the network, \
         or name a clone or bundle of it on this machine, as in --mirror {url}=/path/to/clone"
    )]
    Offline {
        /// What.
        rev: String,
        /// Of which repository.
        url: String,
    },
    /// The URL or revision could make git do something else.
    #[error("{what} `{text}` is refused: {why}")]
    Refused {
        /// `the repository` or `the revision`.
        what: &'static str,
        /// It.
        text: String,
        /// Why.
        why: &'static str,
    },
    /// One name stands for two things: no checkout could have both.
    #[error(
        "{rev} of {url} is refused: its tree has {path} twice, which git would never have made"
    )]
    Twice {
        /// What.
        rev: String,
        /// Of which repository.
        url: String,
        /// The name.
        path: String,
    },
    /// It would fill a disk.
    #[error(
        "{rev} of {url} is refused: its tree repeats the same files until they come to more than \
         any project has"
    )]
    Bomb {
        /// What.
        rev: String,
        /// Of which repository.
        url: String,
    },
    /// A submodule cannot be obtained.
    #[error("submodule {path} of {url}: {why}")]
    Submodule {
        /// Where it belongs.
        path: String,
        /// Whose.
        url: String,
        /// What is wrong.
        why: String,
    },
    /// The tree cannot be kept.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The disk does not take it.
    #[error("cannot make a folder to check {url} out in: {source}")]
    Disk {
        /// What was wanted.
        url: String,
        /// What the system says.
        source: std::io::Error,
    },
}
