//! What the components of a manifest need from outside, without making any: for fetching it all at
//! once, and for carrying it to where there is no network.

use std::collections::BTreeSet;

use pep508_rs::PackageName;

use super::context::Context;
use super::error::{Cause, ComponentError};
use super::go::PreparedGo;
use super::ingredients::Ingredients;
use super::python::PreparedPython;
use super::sources::{artifact, wanted_as};
use super::{Settings, go, node, python, schedule};
use crate::core::artifact::Artifact;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::UvLock;
use crate::decide::manifest::Origin;
use crate::decide::plan::npm::NpmSource;
use crate::decide::plan::{Install, PlannedPackage, PythonPlan, Selection};
use crate::obtain::source::Revision;

/// What is needed from outside.
#[derive(Debug, Default)]
pub struct Needs {
    /// Wheels, sdists and tarballs, those that builds need among them, and the files of sources.
    pub artifacts: Vec<Needed>,
    /// Those of the artifacts, by the package, that need no digest: a source's hash holds them, or
    /// the manifest says nothing of what they are.
    pub unhashed: BTreeSet<String>,
    /// Git trees.
    pub revisions: Vec<Revision>,
    /// Go's modules, lock by lock: of those nobody knows the digest before they are here.
    pub modules: Vec<PreparedGo>,
}

/// An artifact, and whose it is.
#[derive(Debug)]
pub struct Needed {
    /// The package.
    pub package: String,
    /// Its version.
    pub version: String,
    /// What is obtained of it.
    pub artifact: Artifact,
}

/// Plans every component that was asked for, and what it needs.
///
/// # Errors
/// When a source cannot be obtained, or a lock not be planned.
pub fn needs(settings: &Settings<'_>) -> Result<Needs, ComponentError> {
    let mut needs = Needs::default();
    schedule::each(settings, &mut |context| {
        for name in &context.needs().sources {
            if !settings.sources.contains_key(name) {
                of_source(context, name, &mut needs);
            }
        }
        let mut unused = Ingredients::default();
        if let Some(prepared) = python::prepare(context, &mut unused)? {
            of_python(context, &prepared, &mut needs)?;
        }
        if let Some(prepared) = node::prepare(context, &mut unused)? {
            for package in &prepared.plan.packages {
                match &package.source {
                    NpmSource::Tarball(artifact) => needs.artifacts.push(Needed {
                        package: package.name.clone(),
                        version: package.version.clone().unwrap_or_default(),
                        artifact: artifact.clone(),
                    }),
                    NpmSource::Git(commit) => needs.revisions.push(Revision {
                        url: commit.url.clone(),
                        rev: commit.commit.clone(),
                        submodules: true,
                    }),
                    _ => {}
                }
            }
        }
        let modules = go::prepare(context, &mut unused)?;
        let is_new = |one: &PreparedGo| !needs.modules.contains(one);
        needs.modules.extend(modules.filter(is_new));
        Ok(())
    })?;
    Ok(needs)
}

/// A file that is downloaded, or a commit. A tag or a branch is found by its name alone where there is
/// a network.
fn of_source(context: &Context<'_>, name: &str, needs: &mut Needs) {
    let source = context.settings.document.manifest.sources.get(name);
    match source.map(|source| &source.origin) {
        Some(Origin::Artifact(download)) => {
            let package = wanted_as(name);
            if download.digest.is_none() {
                needs.unhashed.insert(package.clone());
            }
            needs.artifacts.push(Needed {
                package,
                version: String::new(),
                artifact: artifact(name, download),
            });
        }
        Some(Origin::Git {
            git,
            rev,
            submodules,
        }) if is_commit(rev) => needs.revisions.push(Revision {
            url: git.clone(),
            rev: rev.clone(),
            submodules: *submodules,
        }),
        _ => {}
    }
}

fn is_commit(rev: &str) -> bool {
    matches!(rev.len(), 40 | 64) && rev.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn of_python(
    context: &Context<'_>,
    prepared: &PreparedPython,
    needs: &mut Needs,
) -> Result<(), ComponentError> {
    let said = context.component.python.as_ref();
    let said = said.map_or("", |python| python.lock.as_written());
    let failed = |cause: Cause| context.failed(said, "python")(cause);
    let mut to_build: Vec<PackageName> = Vec::new();
    for package in &prepared.plan.packages {
        if !matches!(package.install, Install::Wheel { .. }) {
            to_build.push(package.name.clone());
        }
        add(package, needs);
    }
    let Some(file) = prepared
        .building
        .lock
        .as_ref()
        .filter(|_| !to_build.is_empty())
    else {
        return Ok(());
    };
    let lock = UvLock::load(file).map_err(|error| failed(error.into()))?;
    let settings = ProjectSettings::beside(file).map_err(|error| failed(error.into()))?;
    let mut no_binary = prepared.selection.no_binary_packages.clone();
    no_binary.extend(prepared.settings.no_binary_package.iter().cloned());
    let chosen = context.python()?;
    let target = chosen
        .interpreter
        .as_ref()
        .map_or(&chosen.target, |found| &found.target);
    let mut seen: BTreeSet<PackageName> = BTreeSet::new();
    while let Some(name) = to_build.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let group = name.to_string().parse();
        let group = group.map_err(|_| failed(Cause::Said(format!("{name} names no group"))))?;
        let selection = Selection {
            only_groups: vec![group],
            no_default_groups: true,
            no_binary_packages: no_binary.clone(),
            ..Selection::default()
        };
        let plan = PythonPlan::new(&lock, target, &selection, &settings)
            .map_err(|error| failed(error.into()))?;
        for package in &plan.packages {
            if !matches!(package.install, Install::Wheel { .. }) {
                to_build.push(package.name.clone());
            }
            add(package, needs);
        }
    }
    Ok(())
}

fn add(package: &PlannedPackage, needs: &mut Needs) {
    match &package.install {
        Install::Wheel { artifact } | Install::Sdist { artifact, .. } => {
            let version = package.version.as_ref().map(ToString::to_string);
            needs.artifacts.push(Needed {
                package: package.name.to_string(),
                version: version.unwrap_or_default(),
                artifact: artifact.clone(),
            });
        }
        Install::Git { source } => needs.revisions.push(Revision {
            url: source.url.to_string(),
            rev: source.commit.clone(),
            submodules: true,
        }),
        Install::Directory { .. } => {}
    }
}
