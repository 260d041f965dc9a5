//! Components: what a `lockwright.toml` describes, made.
//!
//! ```text
//! manifest ─▶ order ─▶ sources ─▶ prepare ─▶ key ─▶ make ─▶ seal ─▶ smoke ─▶ rename
//!                                 plans      unchanged?     one file a phase
//! ```
//!
//! A component is *prepared* first: its sources are brought, its locks planned, and everything that
//! will shape it is written down ([`Ingredients`]). Their digest is its key: where a tree of that key
//! is at its place already, nothing is done; where another is, the ingredients tell what changed.
//! Else it is made, phase by phase, into a staged tree, and renamed into its place when all that the
//! manifest asks of it has been seen to work.
//!
//! Components that do not need each other are made side by side ([`schedule`]). One that is needed
//! and was not asked for lies in the store's `components/`, under its key.

mod base;
mod bill;
mod changes;
mod commands;
mod containment;
mod context;
mod copy;
mod draft;
mod draft_app;
mod edits;
mod elf;
mod error;
pub mod export;
pub mod go;
mod image;
mod ingredients;
mod inputs;
mod keep;
pub mod kept;
mod links;
mod make;
mod mapping;
pub mod nix_graph;
mod node;
mod outcome;
mod patch;
mod places;
mod placing;
mod prepare;
mod project;
mod python;
mod record;
mod run;
pub mod schedule;
mod setuptools;
mod shared;
mod shebangs;
mod smoke;
mod sources;
mod toolbox;
mod tools;
pub mod vendor;
mod workspace;
mod wrap;

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};

use crate::decide::manifest::Document;
use crate::files::tree::{self, Precious};
use crate::install::build;
use crate::obtain::fetch;
use crate::obtain::store::Store;

pub use draft::{DraftError, draft};
pub use error::{Cause, ComponentError};
pub use ingredients::{Change, Ingredients};
pub use mapping::{Piece, mapping};
pub use outcome::{Outcome, Verdict};
pub use places::in_image;
pub use record::Record;
pub use schedule::{explain, make};

/// What a run goes by.
pub struct Settings<'a> {
    /// The manifest.
    pub document: &'a Document,
    /// Where artifacts, unpacked sources and components in between are kept.
    pub store: &'a Store,
    /// How things are fetched.
    pub fetch: &'a fetch::FetchOptions,
    /// `--python`: the interpreter, over the target's version.
    pub python: Option<&'a str>,
    /// `--source NAME=PATH`: folders in the place of sources.
    pub sources: BTreeMap<String, Utf8PathBuf>,
    /// `--component NAME=PATH`: trees that are there already, in the place of components.
    pub given: BTreeMap<String, Utf8PathBuf>,
    /// How sources are built and commands contained; a component's own `build` comes over it.
    pub build: build::BuildOptions,
    /// The components that were asked for, and where each is put; none: all there are.
    pub wanted: Vec<RequestedComponent>,
    /// Replace an environment at a place, whoever made it.
    pub clear: bool,
    /// Where what is noted of a tree that was asked for is kept.
    pub record: tree::Record,
    /// What no component may replace.
    pub precious: Precious,
}

/// A component that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedComponent {
    /// Its name.
    pub name: String,
    /// Where it is put, absolute.
    pub out: Utf8PathBuf,
    /// Where it will live, absolute; where it is put, mostly.
    pub prefix: Utf8PathBuf,
}

impl Settings<'_> {
    fn wanted(&self, name: &str) -> Option<&RequestedComponent> {
        self.wanted.iter().find(|wanted| wanted.name == name)
    }

    /// Where components lie that were not asked for.
    fn kept(&self) -> Utf8PathBuf {
        self.store.root().join("components")
    }
}

/// A component that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where its tree is.
    pub path: Utf8PathBuf,
    /// Where it will live.
    pub prefix: Utf8PathBuf,
    /// What names its bytes: the NAR hash.
    pub hash: String,
}

/// The part of a path below a folder, when it is there.
fn below<'a>(path: &'a Utf8Path, folder: &Utf8Path) -> Option<&'a str> {
    path.strip_prefix(folder).ok().map(Utf8Path::as_str)
}
