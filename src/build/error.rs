//! Why a wheel could not be built.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use crate::fetch::FetchError;
use crate::lock::LockError;
use crate::plan::PlanError;
use crate::python::WheelError;
use crate::source::{ArchiveError, GitError};
use crate::store::StoreError;
use crate::tree::TreeError;

/// How many lines of a log are shown.
const LAST: usize = 15;

/// What a build misses, as its log has it, and the Debian package that brings it.
const MISSING: [(&str, &str); 12] = [
    ("command 'gcc' failed: No such file", "gcc"),
    ("command 'cc' failed: No such file", "gcc"),
    ("x86_64-linux-gnu-gcc' failed: No such file", "gcc"),
    ("unable to execute 'gcc'", "gcc"),
    ("command 'g++' failed: No such file", "g++"),
    ("krb5-config", "libkrb5-dev"),
    ("pg_config", "libpq-dev"),
    ("xslt-config", "libxslt1-dev"),
    ("xml2-config", "libxml2-dev"),
    ("xmlsec1", "libxmlsec1-dev"),
    ("Python.h: No such file", "python3-dev"),
    ("pkg-config", "pkg-config"),
];

/// Why a wheel could not be built.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum BuildError {
    #[error(
        "{package} must be built, and nothing says with what: name a lock of build requirements \
         with --build-lock FILE, or as `lock` in [build] of the lockwright.toml beside the lock"
    )]
    NoLock { package: String },
    #[error(
        "the build requirements of {package} cannot be had from {lock}: they are its dependency group of the package's name; add what is missing there and lock again"
    )]
    Group {
        package: String,
        lock: Utf8PathBuf,
        source: Box<PlanError>,
    },
    #[error(
        "{package} needs {wrong}: add it to the group `{group}` of the project of {lock}, and run \
         `uv lock` there"
    )]
    Requirement {
        package: String,
        group: String,
        lock: Utf8PathBuf,
        wrong: String,
    },
    #[error("{0}: a build requirement needs itself; lock a version of one that has a wheel")]
    Circle(String),
    #[error("{package} cannot be built: {reason}")]
    Project { package: String, reason: String },
    #[error("builds must be contained (--sandbox=require), and cannot be here: {0}")]
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
    Tree(#[from] TreeError),
    #[error(transparent)]
    Wheel(#[from] WheelError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl BuildError {
    /// What a build left in its log; `limit` when it was ended for taking too long.
    pub(super) fn failed(package: &str, log: &Utf8Path, limit: Option<Duration>) -> Self {
        let text = std::fs::read(log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = lines
            .get(lines.len().saturating_sub(LAST)..)
            .unwrap_or_default();
        let missing = MISSING.iter().find(|(sign, _)| {
            last.iter().any(|line| {
                line.contains(sign)
                    && ["not found", "No such file", "Error", "error", "failed"]
                        .iter()
                        .any(|word| line.contains(word))
            })
        });
        Self::Failed {
            package: package.to_owned(),
            why: limit.map_or_else(String::new, |limit| {
                format!(": it took longer than {} s and was ended", limit.as_secs())
            }),
            log: log.to_owned(),
            last: last.iter().map(|line| format!("\n  {line}")).collect(),
            hint: missing.map_or_else(String::new, |(_, package)| {
                format!("\nsomething is missing on this machine; on Debian it may be in {package}")
            }),
        }
    }
}
