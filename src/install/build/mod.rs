//! Building: a source becomes a wheel, in a process of its own.
//!
//! ```text
//! plan ─▶ recipe ──key──▶ store? ─▶ inputs fetched ─▶ folder + environment ─▶ hook ─▶ wheel ─▶ store
//!         what it is made of          with all else      contained, no clock, no network
//! ```
//!
//! - A [`recipe`] says what a wheel is made of before anything of it is fetched: its source, its
//!   build requirements, the interpreter, the environment, the hook. Their digest is the wheel's key
//!   in the store, so that a second run fetches and builds nothing, and two machines agree.
//! - Build requirements come from the *build lock* ([`requirements`]): any `uv.lock`, with a
//!   dependency group per package where they differ. Nothing is resolved here; what the back end asks
//!   for is checked against what the lock has. [`Builder::ask`] and [`lock_project`] write its project.
//! - The default hook ([`hook`]) is a PEP 517 front end: `pyproject_hooks` drives the back end in
//!   the target's interpreter. Its wheel (MIT, <https://github.com/pypa/pyproject-hooks>) is part of
//!   this program, so that every build is driven by the same bytes and none needs it locked. It is
//!   contained ([`sandbox`]) and knows neither clock nor machine. Another hook is any command.
//! - The project's own folders that are used in place need no build, where they are [`plain`].
//! - [`Builder`] runs builds beside each other and beside the downloads, within the cores there are.

pub mod advice;
mod ask;
mod build_dir;
mod builder;
mod environment;
mod error;
mod folder;
mod hook;
mod inputs;
pub mod lock_project;
pub mod order;
mod plain;
mod project;
mod recipe;
mod request;
mod requirements;
mod resolver;
pub mod sandbox;
pub mod scripts;
mod source;
mod surroundings;
mod toolchain;
mod uv_sources;
mod wheel;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;

pub use advice::package_of;
pub use ask::{Asked, Carried};
pub use builder::Builder;
pub use error::BuildError;
pub use request::Request;
pub use uv_sources::{SourceEntry, workspace_around};

use crate::decide::lock::build_settings::BuildSettings;
use crate::obtain::store::Blob;

/// What is built again though the store has what was built before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Anew {
    /// Nothing.
    #[default]
    Nothing,
    /// These packages.
    Packages(BTreeSet<String>),
    /// Whatever is built.
    Everything,
}

impl Anew {
    /// Whether a package is built again.
    pub fn includes(&self, package: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Packages(packages) => packages.contains(package),
            Self::Everything => true,
        }
    }
}

/// What the build of a package is given beside its source.
#[derive(Clone)]
pub struct Change {
    /// What names all of it: the wheel is stored under this, too.
    pub id: String,
    /// Edits the source's folder, before anything there is read; or says why not.
    pub edit: Arc<Edit>,
    /// What the build may read.
    pub shown: Vec<sandbox::Shown>,
}

/// An edit of a folder.
pub type Edit = dyn Fn(&Utf8Path) -> Result<(), String> + Send + Sync;

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Change").field(&self.id).finish()
    }
}

/// How sources are built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// The folder of the environment's lock: its members may read what lies in it.
    pub root: Utf8PathBuf,
    /// The lock with the build requirements.
    pub lock: Option<Utf8PathBuf>,
    /// What the build lock was asked before, elsewhere: see [`order`].
    pub answers: Option<BTreeMap<PackageName, requirements::Answer>>,
    /// Environment variables, by package.
    pub environment: BTreeMap<PackageName, BTreeMap<String, String>>,
    /// What builds are given beside their sources, by package.
    pub changes: BTreeMap<PackageName, Change>,
    /// What the command line says of uv's settings, over the project's own.
    pub settings: BuildSettings,
    /// A command of the user's, in the place of the PEP 517 front end; a shell reads it.
    pub hook: Option<String>,
    /// Whether builds are contained.
    pub sandbox: sandbox::Mode,
    /// How long one may take.
    pub limit: Duration,
    /// Whether the folder of a build that failed is kept.
    pub keep_failed: bool,
    /// What is built again.
    pub anew: Anew,
    /// Whether nothing is said of builds that begin and end.
    pub quiet: bool,
    /// This program, which runs itself to contain a build.
    pub this: Utf8PathBuf,
}

/// How a wheel was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It was built just now.
    Now,
    /// It was built before, and the store had it.
    Before,
    /// It needed no build.
    Written,
}

/// A wheel that was built, in the store.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// What it is called.
    pub file_name: String,
    /// Its bytes.
    pub blob: Blob,
    /// How it was come by.
    pub made: Made,
}
