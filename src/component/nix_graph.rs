//! What Nix makes of a lock or a manifest, as data: every artifact a fixed output, every call of
//! lockwright a step. `nix/graph.nix` reads it, without nixpkgs and without building anything first.
//!
//! ```text
//! artifacts, commits ──▶ wheels ──▶ environment, node_modules, components
//! fixed outputs          steps      steps
//! ```
//!
//! A step says all that it reads by name: artifacts, commits, wheels, components, folders of the
//! project. What is not named cannot change it, so that a bump rebuilds what needs the package alone.
//! Nothing in here tells where on this machine it was made.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use serde::Serialize;

use crate::core::artifact::{Artifact, Location};
use crate::core::digest::{Algorithm, Digest};
use crate::core::paths::{normal, way};
use crate::decide::plan::{Install, PlannedPackage};
use crate::install::build::order::Order;
use crate::obtain::fetch::vendor::nix_name;
use crate::obtain::source::Revision;

/// Raised when the interpreter of an older version would misread it.
const FORMAT: u32 = 1;

/// What cannot be said to Nix.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// Nothing tells the artifact from another.
    #[error(
        "the lock has no digest for `{file_name}` of {package}, and Nix takes nothing without one: \
         lock it again from an index that gives digests"
    )]
    NoDigest {
        /// The package.
        package: String,
        /// Its artifact.
        file_name: String,
    },
    /// What tells it from another can be forged.
    #[error(
        "the lock knows `{file_name}` of {package} by its {algorithm} alone, which can be forged: \
         lock it again, or allow it with --allow-weak-integrity"
    )]
    Weak {
        /// The package.
        package: String,
        /// Its artifact.
        file_name: String,
        /// Which digest.
        algorithm: Algorithm,
    },
    /// A secret would stand in the export.
    #[error(
        "the lock has a password in the address of `{file_name}` of {package}, which would stand in \
         the export and in every Nix store: take it out, and give it to Nix's netrc-file"
    )]
    Secret {
        /// The package.
        package: String,
        /// Its artifact.
        file_name: String,
    },
    /// A folder of a source that was fetched, which no derivation can be given by itself.
    #[error(
        "{package} is built from {folder}, which is in a source that is fetched, and cannot be \
         exported as a wheel: leave it out with `install = \"dependencies\"`, and install it with \
         `workspace`"
    )]
    Fetched {
        /// The package.
        package: String,
        /// Its folder.
        folder: Utf8PathBuf,
    },
}

/// All of it, for every system that was asked for.
#[derive(Debug, Default, Serialize)]
pub struct Graph {
    format: u32,
    lockwright: &'static str,
    /// The folder that paths are relative to, from where the graph is.
    root: String,
    /// What is asked in the place of addresses that begin so.
    pub mirrors: BTreeMap<String, String>,
    artifacts: BTreeMap<String, Entry>,
    commits: BTreeMap<String, Commit>,
    /// The NAR hash of all artifacts and commits in one folder, where that is one fixed output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendored: Option<String>,
    systems: BTreeMap<String, System>,
}

/// An artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Entry {
    /// What a Nix store calls it.
    name: String,
    /// What it is called, where that is something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Utf8PathBuf>,
    hash: String,
    /// As `fetch --list` reads it.
    #[serde(skip)]
    artifact: Option<Artifact>,
}

/// A commit's files, in a folder as `fetch --vendor` writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Commit {
    url: String,
    commit: String,
    submodules: bool,
    hash: String,
}

#[derive(Debug, Default, Serialize)]
struct System {
    wheels: BTreeMap<String, Step>,
    outputs: BTreeMap<String, Step>,
}

/// One call of lockwright.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// What the derivation is called.
    pub name: String,
    /// The command and its first arguments.
    pub command: Vec<String>,
    /// A text that it reads, and by which flag; by none where it is an argument itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    /// A folder that is its argument, or the value of a flag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<Folder>,
    /// Whether it is told where it will live.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub prefix: bool,
    /// Whether it needs the interpreter.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub python: bool,
    /// The artifacts that it takes, by identity.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub artifacts: BTreeSet<String>,
    /// The commits.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub commits: BTreeSet<String>,
    /// The wheels that are built for it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub wheels: BTreeSet<String>,
    /// Other outputs, as components.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub components: BTreeSet<String>,
    /// Folders in the place of sources.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<String, Folder>,
}

/// A text that a step reads.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct File {
    /// The flag that it is the value of.
    pub flag: Option<&'static str>,
    /// What it is called.
    pub name: &'static str,
    /// It.
    pub text: String,
}

/// A folder of the project.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// What of it is read; all of it, where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<BTreeSet<Utf8PathBuf>>,
    /// Whether it is a package: what no build reads is left out, as from its digest.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub package: bool,
}

/// A graph that is being put together. Paths are absolute until it is done.
pub struct Drawing<'a> {
    graph: Graph,
    /// The folder that texts are seen from.
    base: &'a Utf8Path,
    allow_weak: bool,
    /// Brings a commit, and says the hash of the folder that it is vendored in.
    bring: Bring<'a>,
}

/// How a commit is brought: its hash comes of it.
pub type Bring<'a> = Box<dyn FnMut(&Revision) -> Result<String, Failure> + 'a>;

/// What goes wrong while a graph is drawn.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

impl<'a> Drawing<'a> {
    /// Nothing is drawn yet.
    pub fn new(base: &'a Utf8Path, allow_weak: bool, bring: Bring<'a>) -> Self {
        Self {
            graph: Graph {
                format: FORMAT,
                lockwright: env!("CARGO_PKG_VERSION"),
                ..Graph::default()
            },
            base,
            allow_weak,
            bring,
        }
    }

    /// A step takes an artifact.
    ///
    /// # Errors
    /// When its digest is missing, or says too little.
    pub fn artifact(
        &mut self,
        step: &mut Step,
        package: &str,
        artifact: &Artifact,
    ) -> Result<(), Failure> {
        let (package, file_name) = (package.to_owned(), artifact.file_name.clone());
        let Some(digest) = &artifact.digest else {
            return Err(GraphError::NoDigest { package, file_name }.into());
        };
        if digest.algorithm().is_weak() && !self.allow_weak {
            let algorithm = digest.algorithm();
            return Err(GraphError::Weak {
                package,
                file_name,
                algorithm,
            }
            .into());
        }
        let (url, path) = match &artifact.location {
            Location::Url(url) if url.password().is_some() => {
                return Err(GraphError::Secret { package, file_name }.into());
            }
            Location::Url(url) => (Some(url.to_string()), None),
            Location::Path(path) => (None, Some(normal(path))),
        };
        let name = nix_name(&file_name);
        let id = format!("{}-{name}", short(digest));
        let mut kept = artifact.clone();
        if let Location::Path(path) = &mut kept.location {
            *path = normal(path);
        }
        let entry = Entry {
            file: (name != file_name).then_some(file_name),
            name,
            url,
            path,
            hash: digest.sri(),
            artifact: Some(kept),
        };
        self.graph.artifacts.entry(id.clone()).or_insert(entry);
        step.artifacts.insert(id);
        Ok(())
    }

    /// A step takes a commit.
    ///
    /// # Errors
    /// When it cannot be brought.
    pub fn commit(&mut self, step: &mut Step, revision: &Revision) -> Result<(), Failure> {
        let suffix = if revision.submodules {
            "-submodules"
        } else {
            ""
        };
        let id = format!("git-{}{suffix}", revision.rev);
        if !self.graph.commits.contains_key(&id) {
            let hash = (self.bring)(revision)?;
            self.graph.commits.insert(
                id.clone(),
                Commit {
                    url: revision.url.clone(),
                    commit: revision.rev.clone(),
                    submodules: revision.submodules,
                    hash,
                },
            );
        }
        step.commits.insert(id);
        Ok(())
    }

    /// A step takes the packages of an environment: their artifacts, and the wheels that are ordered. Those
    /// that are `inside` it builds itself, and what is built with them.
    ///
    /// # Errors
    /// As [`Self::artifact`] and [`Self::commit`].
    pub fn environment(
        &mut self,
        system: &str,
        step: &mut Step,
        packages: &[PlannedPackage],
        orders: &[Order],
        inside: &BTreeSet<PackageName>,
    ) -> Result<(), Failure> {
        let mut ids: BTreeMap<String, String> = BTreeMap::new();
        for order in orders {
            if inside.iter().any(|name| order.answers.contains_key(name)) {
                self.source(step, &order.package)?;
                self.packages(step, order.needs(), &ids)?;
                continue;
            }
            let id = self.wheel(system, order, &ids)?;
            ids.insert(identity(&order.package), id);
        }
        self.packages(step, packages, &ids)
    }

    fn packages(
        &mut self,
        step: &mut Step,
        packages: &[PlannedPackage],
        ids: &BTreeMap<String, String>,
    ) -> Result<(), Failure> {
        for package in packages {
            match &package.install {
                Install::Wheel { artifact } => self.artifact(step, &package.label(), artifact)?,
                // Ordered before whatever needs it.
                _ => step.wheels.extend(ids.get(&identity(package)).cloned()),
            }
        }
        Ok(())
    }

    /// A step takes what a package is built from.
    fn source(&mut self, step: &mut Step, package: &PlannedPackage) -> Result<(), Failure> {
        match &package.install {
            Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
                self.artifact(step, &package.label(), artifact)
            }
            Install::Git { source } => {
                let revision = Revision {
                    url: source.url.to_string(),
                    rev: source.commit.clone(),
                    submodules: true,
                };
                self.commit(step, &revision)
            }
            // It comes as a source.
            Install::Directory { .. } => Ok(()),
        }
    }

    /// The step that builds a wheel.
    fn wheel(
        &mut self,
        system: &str,
        order: &Order,
        ids: &BTreeMap<String, String>,
    ) -> Result<String, Failure> {
        let label = order.package.label();
        let mut command = vec!["wheel".to_owned()];
        command
            .extend((order.hook.iter()).flat_map(|hook| ["--build-hook".to_owned(), hook.clone()]));
        let mut step = Step {
            name: nix_name(&format!("{}-wheel", label.replace(' ', "-"))),
            command,
            python: true,
            ..Step::default()
        };
        self.source(&mut step, &order.package)?;
        self.packages(&mut step, order.needs(), ids)?;
        let mut order = order.clone();
        let base = self.base;
        order.displace(base, &mut |name, path| {
            let folder = Folder {
                path: normal(path),
                only: None,
                package: true,
            };
            step.sources.insert(name.to_string(), folder);
        });
        let text = serde_json::to_string(&order)?;
        let told = Digest::of(Algorithm::Sha256, text.as_bytes());
        let id = format!("{}-{}", step.name, short(&told));
        step.file = Some(File {
            flag: None,
            name: "order.json",
            text,
        });
        let wheels = &mut self
            .graph
            .systems
            .entry(system.to_owned())
            .or_default()
            .wheels;
        wheels.insert(id.clone(), step);
        Ok(id)
    }

    /// A step is an output of a system.
    pub fn output(&mut self, system: &str, name: &str, step: Step) {
        let system = self.graph.systems.entry(system.to_owned()).or_default();
        system.outputs.insert(name.to_owned(), step);
    }

    /// The mirrors that the manifest names.
    pub fn mirrors(&mut self, mirrors: impl IntoIterator<Item = (String, String)>) {
        self.graph.mirrors.extend(mirrors);
    }

    /// Everything that is fetched, for `fetch --list`: what the project has is not.
    pub fn list(&self) -> List {
        let commits = self.graph.commits.values();
        List {
            artifacts: (self.graph.artifacts.values())
                .filter(|entry| entry.url.is_some())
                .filter_map(|entry| entry.artifact.clone())
                .collect(),
            commits: commits
                .map(|commit| Listed {
                    url: commit.url.clone(),
                    commit: commit.commit.clone(),
                    submodules: commit.submodules,
                })
                .collect(),
        }
    }

    /// The graph, for a file in `out`: paths are relative to the folder that all of them are in.
    pub fn done(mut self, out: &Utf8Path) -> Graph {
        let mut all: Vec<&mut Utf8PathBuf> = Vec::new();
        for entry in self.graph.artifacts.values_mut() {
            all.extend(&mut entry.path);
        }
        for system in self.graph.systems.values_mut() {
            for step in system
                .wheels
                .values_mut()
                .chain(system.outputs.values_mut())
            {
                let folders = step.sources.values_mut().chain(&mut step.folder);
                all.extend(folders.map(|folder| &mut folder.path));
            }
        }
        let mut root = self.base.to_owned();
        for path in &all {
            while !path.starts_with(&root) && root.pop() {}
        }
        for path in all {
            *path = match path.strip_prefix(&root) {
                Ok(rest) if !rest.as_str().is_empty() => rest.to_owned(),
                _ => ".".into(),
            };
        }
        self.graph.root = match way(out, &root) {
            way if way.as_str().is_empty() => ".".to_owned(),
            way => way.into_string(),
        };
        self.graph
    }
}

impl Graph {
    /// How many artifacts and commits it names.
    pub fn count(&self) -> usize {
        self.artifacts.len() + self.commits.len()
    }

    /// The systems that it is for.
    pub fn systems(&self) -> impl Iterator<Item = &str> {
        self.systems.keys().map(String::as_str)
    }
}

/// What is fetched, as `fetch --list` reads it.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
pub struct List {
    /// Files.
    #[serde(default)]
    pub artifacts: Vec<Artifact>,
    /// Commits.
    #[serde(default)]
    pub commits: Vec<Listed>,
}

/// A commit that is fetched.
#[derive(Debug, Serialize, serde::Deserialize)]
pub struct Listed {
    /// The repository.
    pub url: String,
    /// The commit, in full.
    pub commit: String,
    /// Whether submodules are wanted.
    pub submodules: bool,
}

/// What tells a package from another of its name.
fn identity(package: &PlannedPackage) -> String {
    format!("{}\n{:?}", package.label(), package.install)
}

fn short(digest: &Digest) -> String {
    digest.hex().chars().take(12).collect()
}
