//! What is wanted of a lock: the flags' values, and the packages they come to.
//!
//! Flags have uv's names and meanings. Where a question has an answer only in uv's code, the rule
//! is noted where it is followed: `uv-resolver/src/lock/installable.rs` for the walk,
//! `uv/src/commands/project/install_target.rs` for roots and groups,
//! `uv-configuration/src/install_options.rs` for what is left out.

use super::pylock;
use super::roots::{Groups, Roots, check_names};
use super::selection::{SelectError, Selection};
use super::walk::Walk;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::{PackageSource, UvLock};
use crate::decide::target::PythonTarget;

/// A package that is wanted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectedPackage {
    /// Index into the lock's packages.
    pub package: usize,
    /// The shortest path of requirements that leads to it, the root first, itself last:
    /// `authentik`, `psycopg[pool]`, `psycopg-pool`.
    pub path: Vec<String>,
    /// Whether it is to be put in place, or only walked through.
    pub install: bool,
}

/// Walks the graph, or asks the markers of a `pylock.toml`; the result is in the lock's order, by name.
///
/// # Errors
/// When a flag names what is not there, or two that conflict are chosen.
pub fn select(
    lock: &UvLock,
    target: &PythonTarget,
    selection: &Selection,
    settings: &ProjectSettings,
) -> Result<Vec<SelectedPackage>, SelectError> {
    if let Some(of) = &lock.pylock {
        let chosen = pylock::choose(lock, of, target, selection)?;
        let project = lock.root();
        let all = chosen.into_iter().filter_map(|package| {
            Some(SelectedPackage {
                package,
                path: vec![lock.packages.get(package)?.name.to_string()],
                install: is_included(lock, package, project, selection),
            })
        });
        return Ok(all.collect());
    }
    let roots = Roots::of(lock, selection)?;
    let groups = Groups::new(lock, &roots, selection, &settings.default_groups);
    check_names(lock, &roots, selection)?;
    let walked = Walk::new(lock, target, selection, &roots, &groups).run()?;
    Ok(walked
        .reached()
        .map(|package| SelectedPackage {
            package,
            path: walked.path(package),
            install: walked.is_wanted(package)
                && is_included(lock, package, roots.project(), selection),
        })
        .collect())
}

/// The rules of `--no-install-*` and `--only-install-*`; the first that says something decides.
pub(super) fn is_included(
    lock: &UvLock,
    index: usize,
    project: Option<usize>,
    selection: &Selection,
) -> bool {
    let Some(package) = lock.packages.get(index) else {
        return false;
    };
    let is_project = project == Some(index);
    let in_workspace = is_project || lock.manifest.members.contains(&package.name);
    if matches!(package.source, PackageSource::Virtual(_)) {
        return false;
    }
    if !selection.only_install_packages.is_empty() {
        return selection.only_install_packages.contains(&package.name);
    }
    if selection.only_install_local {
        return package.source.is_local();
    }
    if selection.only_install_workspace {
        return in_workspace;
    }
    if selection.only_install_project {
        return is_project;
    }
    !(selection.no_install_project && is_project
        || selection.no_install_workspace && in_workspace
        || selection.no_install_local && package.source.is_local()
        || selection.no_install_packages.contains(&package.name))
}
