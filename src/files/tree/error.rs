//! Why a tree could not be written.

use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::tree_path::{PathError, TreePath};

/// Why a tree could not be written. Whatever it is, the destination is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A path that is not one inside a tree.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The destination has no name to rename to.
    #[error("{0} cannot be an output: give the path of a folder that can be made and replaced")]
    Destination(Utf8PathBuf),
    /// Something is there that was not made here.
    #[error(
        "{0} is already there and was not made by lockwright: choose another place, or give \
         --clear to have it replaced"
    )]
    NotOurs(Utf8PathBuf),
    /// Something is there that is not even an environment.
    #[error(
        "{0} is already there, was not made by lockwright, and is not an environment, which is all that \
         --clear replaces: choose another place, or remove it yourself"
    )]
    NoEnvironment(Utf8PathBuf),
    /// Something is there that must not be lost.
    #[error("{destination} is not replaced, whatever the flags: {lost}; choose another place")]
    Precious {
        /// What is there.
        destination: Utf8PathBuf,
        /// What would be lost, as a sentence.
        lost: String,
    },
    /// One owner brings a path twice.
    #[error("{owner} brings {path} twice, with different contents: its archive is broken")]
    Twice {
        /// Where.
        path: TreePath,
        /// Who.
        owner: String,
    },
    /// A file where a folder must be, or the other way round.
    #[error(
        "{path} is a folder of {folder_of} and a file of {file_of}: they cannot be installed \
         together, leave one of them out"
    )]
    FileAndFolder {
        /// Where.
        path: Box<str>,
        /// Who needs a folder there.
        folder_of: String,
        /// Who has a file there.
        file_of: String,
    },
    /// Two names that the destination's disk takes for one.
    #[error(
        "{path} (of {owner}) and {other} are one file on the disk of the destination, which does \
         not tell case or Unicode forms apart: write to another disk, or leave one of them out"
    )]
    SameOnDisk {
        /// The second to come.
        path: Box<str>,
        /// Who brings it.
        owner: String,
        /// The first.
        other: Box<str>,
    },
    /// A link that leads out of the tree.
    #[error("the link {path} of {owner} leads out of the tree, to `{target}`: it is refused")]
    LinkOut {
        /// The link.
        path: TreePath,
        /// Who brings it.
        owner: String,
        /// Where it leads.
        target: String,
    },
    /// Collisions, where they are not allowed.
    #[error(
        "packages bring different bytes for the same paths, which --strict refuses:{}",
        lines(.0)
    )]
    Collisions(Vec<super::Collision>),
    /// A path that is not in the tree.
    #[error("there is no file {0} in the tree")]
    Absent(TreePath),
    /// Neither file, folder nor link.
    #[error(
        "{path} is {what}, which a command or script has left in the tree: a tree may hold only files, \
         folders and links; remove it where it is made, or leave out what makes it"
    )]
    Foreign {
        /// Where.
        path: TreePath,
        /// What it is.
        what: &'static str,
    },
    /// The provenance of a tree cannot be read.
    #[error("{path} cannot be read as a provenance record: {why}; assemble the tree again")]
    Provenance {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The disk is full.
    #[error("the disk of {0} is full: make room, or write to another one; nothing was kept")]
    Full(Utf8PathBuf),
    /// Nothing may be written there.
    #[error(
        "cannot {doing} {path}: that is not permitted; make it, and the folder that it is in, writable \
         for you, or write elsewhere; what was there is as it was"
    )]
    Denied {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
    },
    /// Something else the system says.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: Utf8PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl TreeError {
    /// What the system says, as a sentence.
    pub(super) fn io(doing: &'static str, path: &Utf8Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full(path.to_owned())
            }
            _ => Self::Io {
                doing,
                path: path.to_owned(),
                source,
            },
        }
    }

    /// What the system says of the destination itself, as a sentence.
    pub(super) fn at_destination(doing: &'static str, path: &Utf8Path, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied {
                doing,
                path: path.to_owned(),
            },
            _ => Self::io(doing, path, source),
        }
    }
}

fn lines(collisions: &[super::Collision]) -> String {
    collisions
        .iter()
        .fold(String::new(), |mut lines, collision| {
            lines.push_str("\n  ");
            lines.push_str(&collision.to_string());
            lines
        })
}
