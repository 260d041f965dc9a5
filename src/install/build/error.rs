//! Why a wheel could not be built.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::advice;
use super::sandbox::Said;
use crate::decide::lock::LockError;
use crate::decide::plan::PlanError;
use crate::files::archive::zip::ZipError;
use crate::files::tree::TreeError;
use crate::install::python::WheelError;
use crate::obtain::fetch::FetchError;
use crate::obtain::source::view::ViewError;
use crate::obtain::source::{ArchiveError, GitError};
use crate::obtain::store::StoreError;

/// How many lines of a log are shown.
const LAST: usize = 15;

/// Why a wheel could not be built.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum BuildError {
    #[error(
        "the build requirements of {package} cannot be taken from {lock}: they are its dependency \
         group of the package's name; add what is missing there and lock again"
    )]
    Group {
        package: String,
        lock: Utf8PathBuf,
        source: Box<PlanError>,
    },
    #[error("{package} is built with {wrong}: {remedy}")]
    Requirement {
        package: String,
        wrong: String,
        remedy: String,
    },
    /// Nothing says what it is built with.
    #[error(
        "{package} is built with {wrong}. What sources are built with is locked too, once, with uv on \
         the PATH:\n  lockwright build-lock{from} --out {out}\n  uv lock --project {out}\nA lock in \
         another place is named with --build-lock FILE, or as `lock` in [build] of the \
         lockwright.toml beside the lock"
    )]
    NoBuildLock {
        package: String,
        wrong: String,
        from: String,
        out: Utf8PathBuf,
    },
    #[error("{0}: a build requirement needs itself; lock a version of one that has a wheel")]
    Circle(String),
    #[error("{package} cannot be built: {reason}")]
    Project { package: String, reason: String },
    #[error("--sandbox=require asks for more than there is here: {0}")]
    Sandbox(String),
    #[error("{package} could not be built{why}; its log is {log}:{last}{hint}")]
    Failed {
        package: String,
        why: String,
        log: Utf8PathBuf,
        last: String,
        hint: String,
    },
    #[error("cannot prepare the build of {package}: {source}")]
    Disk {
        package: String,
        source: std::io::Error,
    },
    #[error(
        "{0} must be built, and there is no interpreter of the target here: give one with --python"
    )]
    NoInterpreter(String),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Git(#[from] GitError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(transparent)]
    Zip(#[from] ZipError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error(transparent)]
    Wheel(#[from] WheelError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildError {
    /// What a build said, which was kept as `kept`; `limit` when it was ended for taking
    /// too long.
    pub(super) fn failed(
        package: &str,
        said: &Said,
        kept: &Utf8Path,
        limit: Option<Duration>,
    ) -> Self {
        Self::Failed {
            package: package.to_owned(),
            why: limit.map_or_else(String::new, |limit| {
                format!(
                    ": it took longer than {} s and was ended (--build-timeout)",
                    limit.as_secs()
                )
            }),
            log: kept.to_owned(),
            last: said.last(LAST),
            hint: advice::missing(package, &said.text())
                .map_or_else(String::new, |hint| format!("\n{hint}")),
        }
    }
}
