//! What was done to each file of a tree, for people and for machines.

use std::fmt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::files::ElfFile;
use super::machine::Abi;
use super::resolve::Resolved;
use super::write::How;

/// What was done to a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum Action {
    /// It says now what it should.
    Patched {
        /// In place, or with a segment appended.
        how: How,
    },
    /// It said so already.
    Unchanged,
    /// It is not one of those that are patched.
    LeftAlone {
        /// Why not.
        reason: String,
    },
    /// It could not be read.
    Refused {
        /// What is wrong, and at which offset.
        reason: String,
    },
}

/// A file and what was done to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The file.
    pub path: Utf8PathBuf,
    /// Its other names in the tree, which were kept together.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<Utf8PathBuf>,
    /// What it runs on; `None` when it could not be read.
    pub abi: Option<Abi>,
    /// What was done.
    #[serde(flatten)]
    pub action: Action,
    /// RUNPATH, or RPATH, before.
    pub path_before: Option<String>,
    /// RUNPATH, or RPATH, now.
    pub path_after: Option<String>,
    /// The interpreter it was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// How its NEEDED entries are met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needed: Vec<Resolved>,
}

impl Outcome {
    pub(super) fn new(file: &ElfFile, action: Action) -> Self {
        let facts = file.facts.as_ref().ok();
        let path = facts.and_then(|facts| facts.runpath.clone().or_else(|| facts.rpath.clone()));
        Self {
            path: file.path.clone(),
            links: file.links.clone(),
            abi: facts.map(|facts| facts.abi),
            action,
            path_before: path.clone(),
            path_after: path,
            interpreter: None,
            needed: Vec::new(),
        }
    }
}

/// A NEEDED entry that nothing meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The file that has it.
    pub file: Utf8PathBuf,
    /// The package it came from, by the RECORD of its wheel.
    pub package: Option<String>,
    /// The library.
    pub library: String,
    /// Why it is not met.
    pub reason: String,
    /// Whether it may be missing.
    pub ignored: bool,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, needed by {}", self.library, self.file)?;
        if let Some(package) = &self.package {
            write!(f, " ({package})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// What was done to a tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Every ELF file, by path.
    pub files: Vec<Outcome>,
    /// What is missing and may be.
    pub missing: Vec<Missing>,
    /// What will not work for a reason outside the tree.
    pub notes: Vec<String>,
}

impl Report {
    /// How many files were patched.
    pub fn patched(&self) -> usize {
        self.count(|action| matches!(action, Action::Patched { .. }))
    }

    /// The paths of the files that were patched, each by all of its names.
    pub fn changed(&self) -> impl Iterator<Item = &Utf8Path> {
        self.files
            .iter()
            .filter(|file| matches!(file.action, Action::Patched { .. }))
            .flat_map(|file| std::iter::once(&file.path).chain(&file.links))
            .map(Utf8PathBuf::as_path)
    }

    /// How many files fulfil a condition.
    pub fn count(&self, condition: impl Fn(&Action) -> bool) -> usize {
        self.files
            .iter()
            .filter(|file| condition(&file.action))
            .count()
    }
}
