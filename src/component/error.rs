//! Why a component was not made.

use camino::Utf8PathBuf;

use crate::core::io_error::IoError;
use crate::core::place::Place;
use crate::core::walk::WalkError;
use crate::decide::lock::LockError;
use crate::decide::manifest::GraphError;
use crate::decide::plan::PlanError;
use crate::decide::plan::npm::NpmPlanError;
use crate::decide::target::find::FindError;
use crate::files::contents::PlaceError;
use crate::files::tree::{PathError, TreeError};
use crate::install::assemble::go::GoError;
use crate::install::assemble::npm::NpmAssembleError;
use crate::install::assemble::python::AssembleError;
use crate::install::build::BuildError;
use crate::obtain::fetch::FetchError;
use crate::obtain::source::{ArchiveError, GitError, PackError};
use crate::obtain::store::StoreError;
use crate::transform::elf::ElfError;
use crate::transform::nix::nar::NarError;
use crate::transform::nix::seal::SealError;
use crate::transform::oci::OciError;
use crate::transform::patch::migration::MigrationError;
use crate::transform::patch::substitute::SubstituteError;
use crate::transform::patch::unified::UnifiedError;

/// Why a component was not made. Nothing of it is at its destination then.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// What the manifest says cannot be done.
    #[error("{place}: {what}\n{}", .place.snippet())]
    Manifest {
        /// Where it says so.
        place: Box<Place>,
        /// Why not, and what to do.
        what: String,
    },
    /// The same, because another room refuses.
    #[error("{place}: component `{component}`, {phase}\n{}", .place.snippet())]
    Phase {
        /// Where the manifest asks for it.
        place: Box<Place>,
        /// Which component.
        component: String,
        /// In which phase.
        phase: &'static str,
        /// What is wrong.
        source: Box<Cause>,
    },
    /// A source cannot be obtained.
    #[error("source `{name}` cannot be obtained")]
    Source {
        /// Which.
        name: String,
        /// Why.
        source: Box<Cause>,
    },
    /// A source is another than the manifest says.
    #[error(
        "source `{name}` is not what its hash says\n  expected {expected}\n       got {got}\nif the \
         new one is meant, put its hash into {file}"
    )]
    Hash {
        /// Which.
        name: String,
        /// What the manifest says.
        expected: String,
        /// What it is.
        got: String,
        /// The manifest.
        file: Utf8PathBuf,
    },
    /// A name on the command line that the manifest does not have.
    #[error("{file} has no {what} `{name}`{hint}")]
    NoSuch {
        /// The manifest.
        file: Utf8PathBuf,
        /// `source` or `component`.
        what: &'static str,
        /// The name.
        name: String,
        /// What there is.
        hint: String,
    },
    /// A component that does not exist, or needs one.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A command failed.
    #[error(transparent)]
    Command(Box<CommandFailure>),
    /// Commands must be contained, and cannot be.
    #[error("--sandbox=require asks for more than there is here: {0}")]
    Sandbox(String),
    /// What is at a destination belongs to someone else, or another thing on a disk.
    #[error(transparent)]
    Cause(Box<Cause>),
}

impl From<Cause> for ComponentError {
    fn from(cause: Cause) -> Self {
        Self::Cause(Box::new(cause))
    }
}

/// A run step or a smoke test that failed.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {what} {ended}{log}{last}\n{}{hint}", .place.snippet())]
pub struct CommandFailure {
    /// Where the manifest says it.
    pub place: Place,
    /// The command, or the module that was imported.
    pub what: String,
    /// How it ended.
    pub ended: String,
    /// Where its log is.
    pub log: String,
    /// What it said last.
    pub last: String,
    /// What it lacks, where that is known.
    pub hint: String,
}

/// What another room says.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // they speak for themselves
pub enum Cause {
    #[error("{0}")]
    Said(String),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    GoAssemble(#[from] GoError),
    #[error(transparent)]
    NpmAssemble(#[from] NpmAssembleError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Elf(#[from] ElfError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Find(#[from] FindError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Migration(#[from] MigrationError),
    #[error(transparent)]
    Nar(#[from] NarError),
    #[error(transparent)]
    Image(#[from] OciError),
    #[error(transparent)]
    NpmPlan(#[from] NpmPlanError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Substitute(#[from] SubstituteError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Unified(#[from] UnifiedError),
    #[error(transparent)]
    Walk(#[from] WalkError),
    #[error(transparent)]
    Io(#[from] IoError),
}
