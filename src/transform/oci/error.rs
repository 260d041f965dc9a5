//! Why there is no image.

use camino::Utf8PathBuf;

use super::missing::Missing;
use crate::core::digest::Digest;
use crate::core::foreign::shown;
use crate::core::io_error::IoError;
use crate::core::pieces::PieceError;
use crate::core::walk::WalkError;
use crate::files::tree::TreeError;
use crate::transform::elf::ElfError;

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A base that is none.
    #[error("{path} cannot be a base: {why}")]
    Base {
        /// The base.
        path: Utf8PathBuf,
        /// Why.
        why: String,
    },
    /// Something is not what its digest says.
    #[error(
        "{path} is not what it should be: a digest in it is {found}, and {wanted} was expected"
    )]
    Digest {
        /// The base.
        path: Utf8PathBuf,
        /// What it should be.
        wanted: Digest,
        /// What it is.
        found: Digest,
    },
    /// A base for another machine.
    #[error(
        "{path} is an image for {found}, and one for {wanted} is wanted: take another base, or another target"
    )]
    Machine {
        /// The base.
        path: Utf8PathBuf,
        /// What it runs on.
        found: String,
        /// What the image should run on.
        wanted: String,
    },
    /// A tree that cannot be put into the image.
    #[error("{0} cannot be put into the image: {1}")]
    Tree(Utf8PathBuf, String),
    /// Nothing is said to be started.
    #[error(
        "nothing says what the image starts: give it an entry point or a command{}",
        listed(.0)
    )]
    NoEntry(Vec<String>),
    /// What should be started is not there.
    #[error("the image would start {program}, {why}{}", listed(.programs))]
    Entry {
        /// What should be started.
        program: String,
        /// Why it cannot be.
        why: String,
        /// What could be.
        programs: Vec<String>,
    },
    /// A setting that is none.
    #[error("{what} `{}` is none: {why}", shown(.text))]
    Setting {
        /// Which.
        what: &'static str,
        /// As it was given.
        text: String,
        /// Why, or how it is written.
        why: String,
    },
    /// What the trees need is not in the image.
    #[error(
        "the image would be incomplete; none of its layers has\n{}take a base that has it, or add a \
         tree with it; what is never used can be left out by name: allow-missing",
        missing(.0)
    )]
    Missing(Vec<Missing>),
    /// Something at the destination that is not replaced.
    #[error("{0} exists and is not an image: choose another path, or remove it")]
    Occupied(Utf8PathBuf),
    /// The image could not be written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// What no output may replace.
    #[error(transparent)]
    Precious(#[from] TreeError),
    /// A tree could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// A file that should be looked through could not be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// What is written cannot be said in JSON.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

fn listed(all: &[String]) -> String {
    /// As many as fit a line or two.
    const SHOWN: usize = 12;
    if all.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    let more = match all.len() {
        count if count > SHOWN => format!(" and {} more", count - SHOWN),
        _ => String::new(),
    };
    format!("; in it are {}{more}", shown(&names.join(", ")))
}

fn missing(all: &[Missing]) -> String {
    all.iter().map(|one| format!("  {one}\n")).collect()
}
