//! What can be wrong with an ELF file, or with patching one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::machine::Machine;
use super::report::Missing;
use crate::core::io_error::IoError;

/// Why an ELF file was not read or not patched. Nothing was written to it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// The bytes do not begin with the ELF magic.
    #[error("not an ELF file: it does not begin with 7f 45 4c 46")]
    NotElf,
    /// A record would reach past the end of the file.
    #[error(
        "{what} at offset {offset:#x} needs {need} bytes, but the file ends at {end:#x}: it is \
         truncated, fetch it again"
    )]
    Truncated {
        /// The record.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// How long it is.
        need: u64,
        /// How long the file is.
        end: u64,
    },
    /// A header names bytes that are not in the file.
    #[error(
        "the {what} at offset {at:#x} claims {size} bytes at {offset:#x}, but the file ends at \
         {end:#x}: it is truncated or corrupt"
    )]
    Outside {
        /// Section header or program header.
        what: &'static str,
        /// Where that header stands.
        at: u64,
        /// What it claims: where,
        offset: u64,
        /// and how much.
        size: u64,
        /// How long the file is.
        end: u64,
    },
    /// A header contradicts the bytes or another header.
    #[error("{what} at offset {offset:#x} is wrong: it has {claim}")]
    Lie {
        /// The record.
        what: &'static str,
        /// Where it begins.
        offset: u64,
        /// What it claims, or lacks.
        claim: String,
    },
    /// Bytes that no header describes stand at the end of the file.
    #[error(
        "{size} bytes from offset {offset:#x} to the end of the file belong to no section or \
         segment: whoever put them there finds them by the file's end, so nothing can be appended; \
         choose a shorter path, or leave this file out"
    )]
    Payload {
        /// Where they begin.
        offset: u64,
        /// How many there are.
        size: u64,
    },
    /// The room knows too little of the machine to lay out a file of it anew.
    #[error("files of {0} can be read, but not laid out anew: its page size is not known here")]
    Machine(Machine),
    /// No addresses are left above the file's own.
    #[error("no address is free above {top:#x} for what no longer fits in place")]
    AddressSpace {
        /// The end of the last segment.
        top: u64,
    },
    /// A part that has to grow cannot be moved.
    #[error("{what} has no room to grow and cannot be moved: another header also claims its bytes")]
    Immovable {
        /// The part.
        what: &'static str,
    },
    /// What was patched could not be read, since parts of the file share bytes.
    #[error(
        "it cannot be patched, for parts of it lie in each other: with the change, {0}; fetch it again, or leave it out"
    )]
    Overlapping(Box<ElfError>),
    /// An edit of something that the file does not have.
    #[error("{what} cannot be set: the file has no {lacks}")]
    Lacks {
        /// What was to be set.
        what: &'static str,
        /// What it would be part of.
        lacks: &'static str,
    },
    /// A string that cannot stand in an ELF file.
    #[error("{text:?} holds a NUL: no path or name in an ELF file can")]
    Nul {
        /// The string.
        text: String,
    },
    /// A file or folder could not be worked with.
    #[error(transparent)]
    Io(#[from] IoError),
    /// NEEDED entries that nothing meets.
    #[error(
        "libraries are missing:{}\nname the folders that have them with --search, or let them be \
         missing with --ignore-missing; nothing was patched",
        by_library(.0)
    )]
    Unsatisfied(Vec<Missing>),
    /// What is wrong with one file.
    #[error("{path} cannot be used, and was not changed")]
    In {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<ElfError>,
    },
}

impl ElfError {
    /// The same, with the file it is about.
    pub(super) fn of(self, path: &Utf8Path) -> Self {
        match self {
            error @ (Self::Io(_) | Self::In { .. }) => error,
            error => Self::In {
                path: path.to_owned(),
                source: Box::new(error),
            },
        }
    }

    pub(super) fn truncated(bytes: &[u8], what: &'static str, offset: u64, need: u64) -> Self {
        Self::Truncated {
            what,
            offset,
            need,
            end: bytes.len() as u64,
        }
    }

    pub(super) fn lie(what: &'static str, offset: u64, claim: impl Into<String>) -> Self {
        Self::Lie {
            what,
            offset,
            claim: claim.into(),
        }
    }
}

/// What is missing, each library once, with those who need it.
fn by_library(missing: &[Missing]) -> String {
    let mut needed_by: BTreeMap<(&str, &str), Vec<&Missing>> = BTreeMap::new();
    for entry in missing {
        needed_by
            .entry((&entry.library, &entry.reason))
            .or_default()
            .push(entry);
    }
    let mut text = String::new();
    for ((library, reason), entries) in needed_by {
        let _ = write!(text, "\n  {library}: {reason}; needed by");
        for entry in entries {
            let _ = write!(text, "\n    {}", entry.file);
            if let Some(package) = &entry.package {
                let _ = write!(text, " ({package})");
            }
        }
    }
    text
}
