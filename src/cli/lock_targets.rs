//! Arguments that say which part of a lock a report is about, and for which machine.
//!
//! Nothing is made here, so no interpreter is asked unless one is named: a report must not depend on
//! what happens to be on the PATH.

use std::collections::BTreeSet;

use clap::Args;
use pep440_rs::Version;

use super::Failure;
use super::diff_input::{Lock, What};
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::lock::uv::UvLock;
use crate::decide::plan::npm::Omit;
use crate::decide::plan::{PythonPlan, Selection};
use crate::decide::target::node::NodeTarget;
use crate::decide::target::python::satisfies;
use crate::decide::target::{Os, Platform, PythonTarget};
use crate::inspect::diff::facts::LockFacts;
use crate::inspect::diff::{npm, python};
use crate::obtain::store::Store;

/// Which part of a lock, and for which machine.
#[derive(Debug, Args)]
pub struct LockTargetArgs {
    /// For this target only: a platform as for --python-platform, with a Python version before it if
    /// wanted, as in 3.14@aarch64-manylinux_2_28; for an npm lock, linux-x64, darwin-arm64 or
    /// linux-x64-musl. Repeatable where several are compared
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    target: Vec<String>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    python: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// What is looked at.
pub enum Targets {
    /// The whole lock.
    All,
    /// What is chosen for these.
    These(Vec<Target>),
}

/// A machine, and what is wanted of a lock there.
pub struct Target {
    /// As it is called in reports.
    pub label: String,
    machine: Machine,
}

enum Machine {
    Python(PythonOf, Selection),
    Node(NodeTarget, BTreeSet<Omit>),
}

enum PythonOf {
    This(Box<PythonTarget>),
    /// A version, or the lowest of each lock.
    Named(Option<String>, Platform),
}

impl LockTargetArgs {
    /// What the command line means: the whole lock where it names neither target nor selection.
    /// `one_each`: one file of each package is asked for, so a target must be obtained.
    ///
    /// # Errors
    /// When a target is none, or an interpreter that was named cannot be obtained.
    pub fn meant(&self, lock: &Lock, one_each: bool) -> Result<Targets, Failure> {
        let all = match &lock.what {
            What::Npm(_) => self.node_targets(one_each)?,
            What::Python(lock, _) => self.python_targets(lock, one_each)?,
            What::Other(..) if self.target.is_empty() => Vec::new(),
            What::Other(..) => {
                let label = &lock.label;
                let why = format!(
                    "{label} can only be read as a whole: nothing can be selected from it for a target"
                );
                return Err(why.into());
            }
        };
        Ok(match all.is_empty() {
            true => Targets::All,
            false => Targets::These(all),
        })
    }

    /// npm's settings: the user's, the lock's folder's, and what the command line says.
    ///
    /// # Errors
    /// When a file is there and cannot be read.
    pub fn npmrc(&self, lock: &Lock) -> Result<Npmrc, Failure> {
        let npmrc = Npmrc::read(lock.what.folder())?;
        Ok(npmrc.with_registry(self.node.registry()))
    }

    fn node_targets(&self, one_each: bool) -> Result<Vec<Target>, Failure> {
        let omit = self.node.omit();
        let target = |label: &str, node| Target {
            label: label.to_owned(),
            machine: Machine::Node(node, omit.clone()),
        };
        if self.target.is_empty() {
            let node = match (self.node.is_given(), one_each) {
                (true, _) => self.node.target(),
                // Not the Node on PATH: a report must not depend on it.
                (false, true) => NodeTarget {
                    node: None,
                    ..NodeTarget::host()
                },
                (false, false) => return Ok(Vec::new()),
            };
            return Ok(vec![target(&node.to_string(), node)]);
        }
        let all = self.target.iter();
        all.map(|spec| Ok(target(spec, self.node_target(spec)?)))
            .collect()
    }

    fn python_targets(&self, lock: &UvLock, one_each: bool) -> Result<Vec<Target>, Failure> {
        let selection = self.selection.selection();
        let target = |label: String, python| Target {
            label,
            machine: Machine::Python(python, selection.clone()),
        };
        if !self.target.is_empty() {
            let all = self.target.iter().map(|spec| {
                let python = python_target(spec, self.python.version())?;
                Ok(target(spec.clone(), python))
            });
            return all.collect();
        }
        if self.python.is_given() {
            let cache = Store::default_root().ok();
            let cache = cache.map(|root| root.join("interpreters"));
            let chosen = self.python.choose(lock, cache.as_deref())?.target;
            let label = chosen.to_string();
            return Ok(vec![target(label, PythonOf::This(Box::new(chosen)))]);
        }
        if !one_each && selection == Selection::default() {
            return Ok(Vec::new());
        }
        let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH).parse()?;
        let version = lowest_python(lock).unwrap_or_default();
        let label = format!("{version}@{platform}");
        let label = label.trim_start_matches('@').to_owned();
        Ok(vec![target(label, PythonOf::Named(None, platform))])
    }

    fn node_target(&self, spec: &str) -> Result<NodeTarget, Failure> {
        let parts: Vec<&str> = spec.split('-').collect();
        let (os, cpu, libc) = match parts[..] {
            [os, cpu] => (os, cpu, (os == "linux").then_some("glibc")),
            [os, cpu, libc @ ("glibc" | "musl")] => (os, cpu, Some(libc)),
            _ => {
                return Err(format!(
                    "`{spec}` is not a target of an npm lock: give os and cpu as npm names them, as in \
                     linux-x64, darwin-arm64, win32-x64 or linux-x64-musl"
                )
                .into());
            }
        };
        Ok(NodeTarget {
            os: os.to_owned(),
            cpu: cpu.to_owned(),
            libc: libc.map(str::to_owned),
            // Not the Node on PATH: a report must not depend on it.
            node: self
                .node
                .is_given()
                .then(|| self.node.target().node)
                .flatten(),
        })
    }
}

impl Target {
    /// What a lock has for it, one file per package.
    ///
    /// # Errors
    /// When nothing can be planned for it.
    pub fn facts(&self, lock: &Lock) -> Result<LockFacts, Failure> {
        match (&lock.what, &self.machine) {
            (What::Python(uv, settings), Machine::Python(python, selection)) => {
                let target = python.target(uv, &lock.label)?;
                let plan = PythonPlan::new(uv, &target, selection, settings)?;
                Ok(python::of_plan(uv, &plan, &lock.label))
            }
            (What::Npm(npm), Machine::Node(node, omit)) => {
                Ok(npm::of_target(npm, node, omit, &lock.label)?)
            }
            _ => Err(format!("{} has nothing for {}", lock.label, self.label).into()),
        }
    }

    /// The Python that it comes to with a lock; nothing for npm.
    ///
    /// # Errors
    /// When the lock asks for a Python that is not known here.
    pub fn python(&self, lock: &UvLock) -> Result<Option<PythonTarget>, Failure> {
        match &self.machine {
            Machine::Python(python, _) => python.target(lock, &self.label).map(Some),
            Machine::Node(..) => Ok(None),
        }
    }

    /// The oldest glibc that there may be.
    pub fn glibc(&self) -> Option<(u16, u16)> {
        let platform = match &self.machine {
            Machine::Python(PythonOf::This(target), _) => target.platform,
            Machine::Python(PythonOf::Named(_, platform), _) => *platform,
            Machine::Node(..) => return Some(NODE_GLIBC),
        };
        match platform.os {
            Os::Manylinux(major, minor) => Some((major, minor)),
            _ => None,
        }
    }
}

/// What every Node from 18 on needs itself.
pub const NODE_GLIBC: (u16, u16) = (2, 28);

/// All that a lock says, for whatever machine.
pub fn whole(lock: &Lock) -> LockFacts {
    match &lock.what {
        What::Python(uv, _) => python::of_lock(uv, &lock.label),
        What::Npm(npm) => npm::of_lock(npm, &lock.label),
        What::Other(facts, _) => LockFacts {
            label: lock.label.clone(),
            ..facts.as_ref().clone()
        },
    }
}

impl PythonOf {
    fn target(&self, lock: &UvLock, label: &str) -> Result<PythonTarget, Failure> {
        match self {
            Self::This(target) => Ok(target.as_ref().clone()),
            Self::Named(version, platform) => {
                let version = version.clone().or_else(|| lowest_python(lock));
                let version = version.ok_or_else(|| {
                    format!(
                        "{label} requires a Python that is not known here: name one with --target \
                         3.14@PLATFORM"
                    )
                })?;
                Ok(PythonTarget::named(&version, *platform)?)
            }
        }
    }
}

fn python_target(spec: &str, version: Option<&str>) -> Result<PythonOf, Failure> {
    let (version, platform) = match spec.split_once('@') {
        Some((version, platform)) => (Some(version), platform),
        None => (version, spec),
    };
    Ok(PythonOf::Named(
        version.map(str::to_owned),
        platform.parse()?,
    ))
}

/// The lowest Python that a lock was made for.
fn lowest_python(lock: &UvLock) -> Option<String> {
    let fits = |minor: u64| {
        let version = Version::new([3, minor, 0]);
        (lock.requires_python.as_ref()).is_none_or(|wanted| satisfies(wanted, &version))
    };
    (8..=20)
        .find(|&minor| fits(minor))
        .map(|minor| format!("3.{minor}"))
}
