//! Packages, out of their tarballs or commits and into their places.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Mutex;

use super::commits::fetch_commit;
use super::prepare::Prepared;
use super::trees::Trees;
use super::{NpmAssembleError, Request};
use crate::core::locks;
use crate::decide::plan::npm::{GitPackage, PlannedNpm};
use crate::files::archive::{Limits, tarball};
use crate::files::contents::{self, Contents, Digests, Member};
use crate::files::tree::{LinkMode, Owner, Tree};
use crate::install::assemble::kept::Artifact;
use crate::install::npm::package::{
    ABOUT, Expected, FORM, Form, Package, PackageError, arrange, check_bundled,
};
use crate::obtain::store::{Blob, Store};

/// Places packages, from whatever thread.
pub(super) struct Placer<'a> {
    pub(super) trees: &'a Trees<'a>,
    pub(super) programs: &'a BTreeSet<&'a str>,
    pub(super) bundles: &'a HashMap<&'a str, Vec<&'a PlannedNpm>>,
    pub(super) limits: Limits,
    pub(super) store: &'a Store,
    pub(super) link: LinkMode,
    pub(super) prepared: &'a Prepared<'a>,
    pub(super) unprepared: Mutex<Vec<String>>,
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

    /// The files of a package at a place that programs link to.
    fn programs_of(&self, place: &str) -> Vec<&str> {
        let folder = format!("{place}/");
        let programs = self
            .programs
            .range::<str, _>((Bound::Excluded(folder.as_str()), Bound::Unbounded));
        programs
            .map_while(|file| file.strip_prefix(&folder))
            .collect()
    }

    /// Places a package wherever it goes.
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
        let read = |known: Option<Vec<Member>>, place: &Place<'_>| {
            let packed = blob.map()?;
            tarball::unpack(&packed, file_name, &self.limits, |bytes| {
                let package = Package::read(bytes, form, &self.limits, file_name)?.knowing(known);
                if package.has_prepare {
                    let mut all = locks::held(&self.unprepared);
                    all.extend(group.iter().map(|planned| planned.location.to_string()));
                }
                place(&package)
            })
        };
        // What is packed of a commit depends on its folder, and a digest that can be forged may
        // be another artifact's in another project.
        let link = match (form, blob.digest.algorithm().is_weak()) {
            (Form::Tarball, false) => self.link,
            _ => LinkMode::Copy,
        };
        let place = |contents: &dyn Contents| {
            expected.check(contents, ABOUT)?;
            let mut digests = Vec::new();
            for planned in group {
                digests = self.place_at(contents, file_name, planned, link)?;
            }
            Ok(((), digests))
        };
        match form {
            Form::Tarball => Artifact {
                store: self.store,
                blob,
                form: FORM,
                link,
                limits: &self.limits,
            }
            .place(&place, read),
            Form::Checkout(_) => read(None, &|contents| place(contents).map(|_| ())),
        }
    }

    /// Places a package at one of its places, with the others that it bundles.
    fn place_at(
        &self,
        contents: &dyn Contents,
        file_name: &str,
        planned: &PlannedNpm,
        link: LinkMode,
    ) -> Result<Digests, PackageError> {
        let place = planned.location.as_str();
        for bundled in self.bundles.get(place).into_iter().flatten() {
            let inner = bundled.location.as_str().get(place.len() + 1..);
            let expected = Expected {
                archive: file_name,
                name: &bundled.name,
                version: bundled.version.as_deref(),
            };
            check_bundled(contents, inner.unwrap_or_default(), &expected)?;
        }
        let (tree, at) = self.trees.find(place)?;
        let placement = arrange(contents, &at, &self.programs_of(place))?;
        let owner = owner(tree, planned);
        Ok(contents::place(tree, owner, contents, &placement, link)?)
    }
}

/// Places an artifact's files.
type Place<'a> = dyn Fn(&dyn Contents) -> Result<(), PackageError> + 'a;

/// What is deeper wins: a package of the lock over what another one's tarball brings for its place.
pub(super) fn owner(tree: &Tree, package: &PlannedNpm) -> Owner {
    let version = package.version.as_deref().unwrap_or_default();
    let depth = package.location.as_str().matches('/').count();
    let label = format!("{} {version} ({})", package.name, package.location);
    tree.owner(&label, depth as u64)
}
