//! Packages, out of their tarballs or commits and into their places.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use indexmap::IndexMap;

use super::prepare::Prepared;
use super::trees::Trees;
use super::{NpmAssembleError, Request};
use crate::decide::plan::npm::{GitPackage, NpmPlan, NpmSource, PlannedNpm};
use crate::files::archive::{Limits, tar};
use crate::files::tree::{LinkMode, Owner, Tree};
use crate::install::npm::package::{Expected, Form, Package, PackageError, Shared};
use crate::obtain::fetch;
use crate::obtain::source::git::{self, GitTree, Revision};
use crate::obtain::store::{Blob, Loose, Store};

/// Places packages, from whatever thread.
pub(super) struct Placer<'a> {
    pub(super) trees: &'a Trees,
    pub(super) programs: &'a HashSet<&'a str>,
    pub(super) bundles: &'a HashMap<&'a str, Vec<&'a PlannedNpm>>,
    pub(super) limits: Limits,
    pub(super) store: &'a Store,
    pub(super) link: LinkMode,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) unprepared: Mutex<Vec<String>>,
}

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

impl Placer<'_> {
    /// Brings a commit into the store, and places what npm would pack of it.
    pub(super) fn place_commit(
        &self,
        request: &Request<'_>,
        commit: &GitPackage,
        group: &[&PlannedNpm],
    ) -> Result<(), NpmAssembleError> {
        let name = group.first().map_or("", |package| &package.name);
        if let Some(tarball) = self.prepared.get(commit) {
            let label = format!("{name} prepared from {}#{}", commit.url, commit.commit);
            return Ok(self.place(tarball, &label, Form::Tarball, group)?);
        }
        let tree = fetch_commit(request.store, name, commit, request.fetch)?;
        let label = format!("{name} of {}#{}", commit.url, commit.commit);
        let form = Form::Checkout(&commit.folder);
        Ok(self.place(&tree.archive, &label, form, group)?)
    }

    /// Shares a tarball's files, unpacked in the store, with wherever it goes.
    pub(super) fn share(
        &self,
        blob: &Blob,
        file_name: &str,
        group: &[&PlannedNpm],
    ) -> Result<(), PackageError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let expected = Expected {
            archive: file_name,
            name: &first.name,
            version: first.version.as_deref(),
        };
        let shared = match self.store.unpacked(&blob.digest, Shared::FORM) {
            Some(unpacked) => Shared::check(unpacked, &expected)?,
            None => {
                let packed = blob.map()?;
                tar::unpack(&packed, file_name, &self.limits, |bytes| {
                    let package = Package::read(bytes, Form::Tarball, &expected, &self.limits)?;
                    let files = package.files();
                    let unpacked = self.store.unpack(&blob.digest, Shared::FORM, files)?;
                    Shared::check(unpacked, &expected)
                })?
            }
        };
        for planned in group {
            let place = planned.location.as_str();
            self.check_bundles(file_name, place, &|inner, expected| {
                shared.bundles(inner, expected)
            })?;
            let Some((tree, _, at)) = self.trees.find(place) else {
                continue;
            };
            let programs = self.programs_of(place);
            shared.place(tree, owner(tree, planned), &at, &programs, self.link)?;
        }
        Ok(())
    }

    /// The files of a package at a place that programs link to.
    fn programs_of(&self, place: &str) -> Vec<&str> {
        let programs = self.programs.iter();
        programs
            .filter_map(|file| file.strip_prefix(place)?.strip_prefix('/'))
            .collect()
    }

    /// Whether a package at a place brings the others that it bundles.
    fn check_bundles(
        &self,
        file_name: &str,
        place: &str,
        bundles: &dyn Fn(&str, &Expected<'_>) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        for bundled in self.bundles.get(place).into_iter().flatten() {
            let inner = bundled.location.as_str().get(place.len() + 1..);
            let expected = Expected {
                archive: file_name,
                name: &bundled.name,
                version: bundled.version.as_deref(),
            };
            bundles(inner.unwrap_or_default(), &expected)?;
        }
        Ok(())
    }

    /// Reads a tarball: its loose form, when it was in the store before.
    fn unpack(
        &self,
        blob: &Blob,
        file_name: &str,
        read: impl FnOnce(&[u8]) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        if !blob.is_new
            && let Some(loose) = self.store.loose(&blob.digest, Loose::Tar)
        {
            tar::check_size(loose.len() as u64, blob.size, file_name, &self.limits)?;
            return read(&loose);
        }
        let packed = blob.map()?;
        tar::unpack(&packed, file_name, &self.limits, |bytes| {
            if !blob.is_new && tar::is_packed(&packed) {
                // It costs time alone when it cannot be kept.
                let write = |file: &mut fs::File| file.write_all(bytes);
                let _ = self.store.keep_loose(&blob.digest, Loose::Tar, write);
            }
            read(bytes)
        })
    }

    /// Unpacks a tarball once, and places it wherever it goes.
    pub(super) fn place(
        &self,
        blob: &Blob,
        file_name: &str,
        form: Form<'_>,
        group: &[&PlannedNpm],
    ) -> Result<(), PackageError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let expected = Expected {
            archive: file_name,
            name: &first.name,
            version: first.version.as_deref(),
        };
        self.unpack(blob, file_name, |bytes| {
            let package = Package::read(bytes, form, &expected, &self.limits)?;
            if package.has_prepare {
                let mut all = self
                    .unprepared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                all.extend(group.iter().map(|planned| planned.location.to_string()));
            }
            for planned in group {
                let place = planned.location.as_str();
                self.check_bundles(file_name, place, &|inner, expected| {
                    package.bundles(inner, expected)
                })?;
                let Some((tree, _, at)) = self.trees.find(place) else {
                    continue;
                };
                let owner = owner(tree, planned);
                package.place(tree, owner, &at, &self.programs_of(place))?;
            }
            Ok(())
        })
    }
}

/// What is had of a commit.
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
/// When they cannot be had.
pub fn fetch_commit(
    store: &Store,
    package: &str,
    commit: &GitPackage,
    options: &fetch::Options,
) -> Result<GitTree, NpmAssembleError> {
    let revision = revision(commit);
    git::fetch(store, &revision, options).map_err(|why| NpmAssembleError::Git {
        package: package.to_owned(),
        why,
    })
}

/// What is deeper wins: a package of the lock over what another one's tarball brings for its place.
pub(super) fn owner(tree: &Tree, package: &PlannedNpm) -> Owner {
    let version = package.version.as_deref().unwrap_or_default();
    let depth = package.location.as_str().matches('/').count();
    let label = format!("{} {version} ({})", package.name, package.location);
    tree.owner(&label, depth as u64)
}
