//! The commits that packages of a plan come from.

use indexmap::IndexMap;

use super::NpmAssembleError;
use crate::decide::plan::npm::{GitPackage, NpmPlan, NpmSource, PlannedNpm};
use crate::obtain::fetch;
use crate::obtain::source::git::{self, GitTree, Revision};
use crate::obtain::store::Store;

/// The packages that come from git, by commit.
pub(super) fn of_commits(plan: &NpmPlan) -> Vec<(&GitPackage, Vec<&PlannedNpm>)> {
    let mut groups: IndexMap<(&GitPackage, &str), Vec<&PlannedNpm>> = IndexMap::new();
    for package in &plan.packages {
        if let NpmSource::Git(commit) = &package.source {
            let group = groups.entry((commit, package.name.as_str()));
            group.or_default().push(package);
        }
    }
    let groups = groups.into_iter();
    groups.map(|((commit, _), group)| (commit, group)).collect()
}

/// What is obtained of a commit.
pub fn revision(commit: &GitPackage) -> Revision {
    Revision {
        url: commit.url.clone(),
        rev: commit.commit.clone(),
        submodules: true,
    }
}

/// The files of a commit, in the store.
///
/// # Errors
/// When they cannot be obtained.
pub fn fetch_commit(
    store: &Store,
    package: &str,
    commit: &GitPackage,
    options: &fetch::FetchOptions,
) -> Result<GitTree, NpmAssembleError> {
    let revision = revision(commit);
    git::fetch(store, &revision, options).map_err(|why| NpmAssembleError::Git {
        package: package.to_owned(),
        why,
    })
}
