//! A `package-lock.json` for one machine: what goes where, and what stays out.
//!
//! npm decides in this order, and so do we (arborist 9.8): what the project and its workspaces ask
//! for comes from their package.json files on disk, all else from the lock; every package learns
//! whether it is there for development, optionally, or as a peer alone; what nothing reaches goes;
//! and an optional package that the machine rules out goes with everything that is there only
//! because of it.
//!
//! `graph` is the lock as nodes and edges; `flags`, `check`, `incompatible` and `choose` are those steps;
//! `allow` is what npm's settings permit; `source`, `bins` and `record` say of what stays where it comes from, which programs it has and
//! what npm writes of it.

mod allow;
mod bins;
mod check;
mod choose;
mod exclude;
mod flags;
mod graph;
mod incompatible;
mod location;
mod omit;
mod record;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use crate::core::artifact::Artifact;
use crate::core::progress::few;
use crate::core::tree_path::TreePath;
use crate::decide::lock::LockError;
use crate::decide::lock::npm::{NpmLock, is_outside, name_of, scripts};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::target::node::NodeTarget;

pub use source::GitPackage;

use graph::{Graph, Id, ROOT};

/// Kinds of dependencies that can be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Omit {
    /// What only development needs.
    Dev,
    /// What may be missing.
    Optional,
    /// What is there as a peer only.
    Peer,
}

/// What goes where.
#[derive(Debug, Clone, Serialize)]
pub struct NpmPlan {
    /// The machine.
    pub target: String,
    /// The packages, in the lock's order.
    pub packages: Vec<PlannedNpm>,
    /// The programs, the first that claims a name having it.
    pub bins: Vec<PlannedBin>,
    /// The project's own scripts that npm would run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub own_scripts: Vec<&'static str>,
    /// Folders beside the project that links lead to, and what `.package-lock.json` says of them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outside: BTreeMap<String, serde_json::Map<String, serde_json::Value>>,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// One package.
#[derive(Debug, Clone, Serialize)]
pub struct PlannedNpm {
    /// Where it goes, from the project's folder.
    pub location: TreePath,
    /// Its own name, whatever it is asked for by.
    pub name: String,
    /// Its version, where the lock knows it.
    pub version: Option<String>,
    /// How it gets there.
    pub source: NpmSource,
    /// Whether it has scripts that npm would run.
    pub has_install_script: bool,
    /// Whether it may be left out where its scripts fail.
    #[serde(skip)]
    pub is_optional: bool,
    /// Those that it needs, by their indexes in the plan.
    #[serde(skip)]
    pub needs: Vec<usize>,
    /// What is said of it in `.package-lock.json`.
    #[serde(skip)]
    pub recorded: serde_json::Map<String, serde_json::Value>,
}

/// How a package gets to its place.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NpmSource {
    /// Out of a tarball.
    Tarball(Artifact),
    /// Out of a git repository, packed as `npm pack` does.
    Git(GitPackage),
    /// Out of the tarball of the package at this place.
    Bundle(TreePath),
    /// As a link to this folder of the project; empty for the project's own.
    Link(String),
    /// It is a folder of the project.
    Folder,
}
/// A program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedBin {
    /// The link, from the project's folder.
    pub link: TreePath,
    /// The file that it leads to, from there too; below a link if its package is one.
    pub file: TreePath,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum NpmPlanError {
    /// A package.json cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lock is not one of these package.json files.
    #[error(
        "{lock} does not match the package.json files: {}; regenerate it with `npm install --package-lock-only`",
        listed(.differences)
    )]
    Mismatch {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// All differences.
        differences: Vec<String>,
    },
    /// The machine rules a package out that cannot be left out.
    #[error("{package} {why}; choose another machine with --os, --cpu and --libc")]
    Platform {
        /// The package.
        package: String,
        /// Why.
        why: String,
    },
    /// A package does not want to run on the target's Node, and that counts.
    #[error(
        "{package} {why}, and engine-strict is set: use another Node, say which one it is for with \
         --node-version, or set engine-strict=false in .npmrc"
    )]
    Engine {
        /// The package.
        package: String,
        /// Why.
        why: String,
    },
    /// A peer that does not fit, and that counts.
    #[error(
        "{0}, and strict-peer-deps is set: have npm regenerate the lock, or set strict-peer-deps=false \
         in .npmrc"
    )]
    Peer(String),
    /// npm's settings forbid where a package comes from.
    #[error(
        "{package} comes from {from}, which {setting} forbids: get it from the registry, or allow it in .npmrc{hint}",
        hint = match setting.starts_with("allow-remote") {
            true => " (the registry itself is what `registry` says there, npm_config_registry or --registry)",
            false => "",
        }
    )]
    Forbidden {
        /// The package.
        package: String,
        /// Where it comes from.
        from: String,
        /// The setting.
        setting: String,
    },
    /// A setting of npm's that cannot be followed.
    #[error("{setting}, of .npmrc or npm_config_*, {why}")]
    Setting {
        /// The setting.
        setting: String,
        /// Why not.
        why: &'static str,
    },
    /// There is no such workspace.
    #[error("{lock} has no workspace `{name}`{hint}")]
    Workspace {
        /// The lock.
        lock: camino::Utf8PathBuf,
        /// What was asked for.
        name: String,
        /// What may have been meant, or those that there are.
        hint: String,
    },
    /// A tarball whose URL nobody says.
    #[error(
        "the lock does not say where {} from, and no registry is known: name one with `--registry \
         URL`, npm_config_registry, or a line `registry=URL` in .npmrc; an npm on the PATH is asked for \
         its registry, too",
        come(.0)
    )]
    NoRegistry(Vec<String>),
    /// It cannot be told where a package comes from.
    #[error("{package} comes from {from}, {why}")]
    Source {
        /// The package.
        package: String,
        /// What the lock says.
        from: String,
        /// Why it is not had.
        why: &'static str,
    },
    /// A path of the lock leads elsewhere.
    #[error(transparent)]
    Path(#[from] crate::core::tree_path::PathError),
}

/// Differences as a sentence, the first of them where there are many.
fn listed(all: &[String]) -> String {
    let shown = all.get(..all.len().min(30)).unwrap_or_default().join("; ");
    match all.len().checked_sub(30) {
        None | Some(0) => shown,
        Some(more) => format!("{shown}; and {more} more"),
    }
}

fn come(all: &[String]) -> String {
    let verb = if all.len() == 1 { "comes" } else { "come" };
    format!("{} {verb}", few(all))
}

/// Which part of a lock is wanted.
#[derive(Debug, Clone, Default)]
pub struct NpmSelection {
    /// What is left out.
    pub omit: BTreeSet<Omit>,
    /// The workspaces, by name or folder, that alone are wanted; none: all of it.
    pub workspaces: Vec<String>,
    /// Whether what the project itself needs is wanted beside them.
    pub workspace_root: bool,
    /// Optional packages, by place, that turned out not to be obtained here: they go as those do that the
    /// machine rules out.
    pub failed: BTreeSet<String>,
}

impl NpmPlan {
    /// Plans a lock for a machine.
    ///
    /// # Errors
    /// When the lock and the package.json files disagree, the machine rules out what is needed, or
    /// something cannot be obtained.
    pub fn new(
        lock: &NpmLock,
        target: &NodeTarget,
        wanted: &NpmSelection,
        npmrc: &Npmrc,
    ) -> Result<Self, NpmPlanError> {
        let mut graph = Graph::new(lock, true, npmrc)?;
        graph.find_flags();
        let mut warnings = graph.check(target, &wanted.omit, npmrc)?;
        let mut failed = wanted.failed.clone();
        let mut forbidden = HashMap::new();
        for (index, why) in graph.forbidden(npmrc)? {
            let node = &graph.nodes[index];
            if node.flags.optional {
                warnings.push(format!(
                    "{} is optional and is left out: {why}",
                    node.location
                ));
                failed.insert(node.location.to_owned());
            } else {
                forbidden.insert(index, why);
            }
        }
        graph.incompatible(target, &failed);
        let chosen = graph.choose(wanted)?;
        let kept = graph.kept(&wanted.omit, chosen.as_ref());
        match kept.iter().find_map(|index| forbidden.remove(index)) {
            Some(why) => Err(why),
            None => graph.plan(target, kept, npmrc, warnings),
        }
    }

    /// The places that a lock alone fills on a machine, whatever the package.json files beside it
    /// say: what two locks are compared by.
    ///
    /// # Errors
    /// Never, in fact: nothing is read.
    pub fn places<'a>(
        lock: &'a NpmLock,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
    ) -> Result<Vec<&'a str>, NpmPlanError> {
        let mut graph = Graph::new(lock, false, &Npmrc::default())?;
        graph.find_flags();
        graph.incompatible(target, &BTreeSet::new());
        let kept = graph.kept(omit, None);
        Ok(kept
            .iter()
            .map(|index| graph.nodes[*index].location)
            .collect())
    }

    /// All packages, each after those that it needs as far as they do not need each other.
    pub fn needed_first(&self) -> Vec<&PlannedNpm> {
        let mut seen = vec![false; self.packages.len()];
        let mut order = Vec::with_capacity(self.packages.len());
        for start in 0..self.packages.len() {
            // Each with how many of its needs have been gone into.
            let mut way = vec![(start, 0)];
            while let Some((index, done)) = way.pop() {
                let Some(package) = self.packages.get(index) else {
                    continue;
                };
                if let Some(is_seen) = seen.get_mut(index) {
                    if *is_seen && done == 0 {
                        continue;
                    }
                    *is_seen = true;
                }
                match package.needs.get(done) {
                    Some(next) => way.extend([(index, done + 1), (*next, 0)]),
                    None => order.push(package),
                }
            }
        }
        order
    }

    /// The tarballs, each with the index of its package.
    pub fn tarballs(&self) -> impl Iterator<Item = (usize, &PlannedNpm, &Artifact)> {
        let packages = self.packages.iter().enumerate();
        packages.filter_map(|(index, package)| match &package.source {
            NpmSource::Tarball(artifact) => Some((index, package, artifact)),
            _ => None,
        })
    }
}

impl Graph<'_> {
    fn plan(
        &self,
        target: &NodeTarget,
        indexes: Vec<Id>,
        npmrc: &Npmrc,
        warnings: Vec<String>,
    ) -> Result<NpmPlan, NpmPlanError> {
        let mut packages = Vec::new();
        let is_beside = |index: &Id| is_outside(self.nodes[*index].location);
        let (beside, indexes): (Vec<Id>, Vec<Id>) = indexes.into_iter().partition(is_beside);
        let recorded = beside.iter().filter_map(|index| {
            let node = &self.nodes[*index];
            let recorded = self.recorded(node, node.entry?, npmrc);
            Some((node.location.to_owned(), recorded))
        });
        let outside = recorded.collect();
        let mut placeless = Vec::new();
        for index in &indexes {
            let node = &self.nodes[*index];
            let Some(entry) = node.entry else { continue };
            let source = match self.source(node, entry, npmrc) {
                Err(NpmPlanError::NoRegistry(which)) => {
                    placeless.extend(which);
                    continue;
                }
                source => source?,
            };
            let prepares =
                matches!(source, NpmSource::Folder) && node.about.scripts.contains("prepare");
            packages.push(PlannedNpm {
                location: TreePath::new(node.location)?,
                name: node
                    .about
                    .name
                    .clone()
                    .or_else(|| name_of(node.location).map(str::to_owned))
                    .unwrap_or_default(),
                version: node.about.version.clone(),
                source,
                has_install_script: node.about.has_install_script || prepares,
                is_optional: node.flags.optional,
                needs: Vec::new(),
                recorded: self.recorded(node, entry, npmrc),
            });
        }
        if !placeless.is_empty() {
            return Err(NpmPlanError::NoRegistry(placeless));
        }
        let root = &self.nodes[ROOT].about;
        let of_node: HashMap<Id, usize> = indexes.iter().copied().zip(0..).collect();
        for (package, index) in packages.iter_mut().zip(&indexes) {
            let node = &self.nodes[*index];
            let edges = node.edges.iter().filter_map(|edge| edge.to);
            let needed = edges.chain(node.target);
            package.needs = needed.filter_map(|to| of_node.get(&to).copied()).collect();
        }
        Ok(NpmPlan {
            target: target.to_string(),
            bins: match npmrc.value("bin-links") {
                Some("false") => Vec::new(),
                _ => self.bins(indexes)?,
            },
            packages,
            own_scripts: scripts::PROJECT
                .iter()
                .copied()
                .filter(|event| root.scripts.contains(*event))
                .collect(),
            outside,
            warnings,
        })
    }
}

#[cfg(test)]
mod tests;
