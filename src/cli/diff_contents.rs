//! `lockwright diff --contents`: has the artifacts behind the changes, and looks into them.

use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;
use rayon::prelude::*;
use url::Url;

use super::Failure;
use super::healing::put_aside;
use super::network_args::NetworkArgs;
use crate::core::artifact::{Artifact, Location};
use crate::core::progress::Progress;
use crate::inspect::diff::contents::{Contents, compare, findings, read};
use crate::inspect::diff::facts::{File, FileKind, LockFacts, OriginKind, Package};
use crate::inspect::diff::model::{ChangeKind, Finding, FindingKind, LockDiff, Locked, Severity};
use crate::obtain::fetch::{DownloadRequest, fetch};
use crate::obtain::store::{Blob, Store};

/// One lock: what it says, and the folder that paths in it are relative to.
pub struct Side<'a> {
    pub facts: &'a LockFacts,
    pub folder: &'a Utf8Path,
}

/// An artifact that is looked into.
struct Looked {
    /// Of which change.
    change: usize,
    /// Whether it is the new one.
    is_new: bool,
    package: String,
    kind: FileKind,
    artifact: Artifact,
}

/// Fetches what is behind the changes, and notes what differs.
///
/// # Errors
/// When the store cannot be opened. An artifact that cannot be had or read is a finding.
pub fn add(
    diff: &mut LockDiff,
    old: &Side<'_>,
    new: &Side<'_>,
    network: &NetworkArgs,
    indexes: &[(String, Url)],
) -> Result<(), Failure> {
    let looked = wanted(diff, old, new);
    let store = network.store()?;
    let mut contents = look(&looked, &store, network, indexes);
    if contents.iter().any(Result::is_err) && !put_aside(&store)?.is_empty() {
        contents = look(&looked, &store, network, indexes);
    }
    let mut sides: Vec<[Option<Contents>; 2]> = vec![[None, None]; diff.changes.len()];
    for (one, contents) in looked.iter().zip(contents) {
        if let Some(place) = sides
            .get_mut(one.change)
            .and_then(|s| s.get_mut(usize::from(one.is_new)))
        {
            *place = contents.unwrap_or_else(|error| {
                eprintln!("warning: {} is not looked into: {error}", one.package);
                None
            });
        }
    }
    let mut unknown = Vec::new();
    for (change, [before, after]) in diff.changes.iter_mut().zip(sides) {
        let missing =
            change.old.is_some() && before.is_none() || change.new.is_some() && after.is_none();
        let is_wanted = [&change.old, &change.new]
            .into_iter()
            .flatten()
            .any(has_file);
        if missing || change.kind == ChangeKind::Relocated {
            if is_wanted && change.kind != ChangeKind::Relocated {
                unknown.push(change.label());
            }
            continue;
        }
        let inside = compare(before.as_ref(), after.as_ref());
        if change.new.is_some() {
            let same_version = change.kind == ChangeKind::Altered;
            let (label, is_new) = (change.label(), change.old.is_none());
            diff.findings
                .extend(findings(&label, &inside, is_new, same_version));
        }
        change.contents = Some(inside);
    }
    if !unknown.is_empty() {
        diff.findings.push(not_looked_into(unknown));
    }
    diff.findings.sort_by(|one, other| {
        (one.severity, one.kind, &one.packages).cmp(&(other.severity, other.kind, &other.packages))
    });
    diff.count();
    Ok(())
}

fn has_file(locked: &Locked) -> bool {
    locked.wheels > 0
        || locked.sdist
        || matches!(locked.source.kind, OriginKind::Registry | OriginKind::Url)
}

fn not_looked_into(packages: Vec<String>) -> Finding {
    Finding {
        severity: Severity::Warning,
        kind: FindingKind::NotLookedInto,
        packages,
        says: String::from("could not be looked into: what is in its files is not known"),
        old: None,
        new: None,
        targets: Vec::new(),
    }
}

/// The artifacts of every change that has one file on each side where it has a side.
fn wanted(diff: &LockDiff, old: &Side<'_>, new: &Side<'_>) -> Vec<Looked> {
    let mut all = Vec::new();
    for (index, change) in diff.changes.iter().enumerate() {
        if change.kind == ChangeKind::Relocated {
            continue;
        }
        let sides = [(old, &change.old, false), (new, &change.new, true)];
        for (side, locked, is_new) in sides {
            let Some(locked) = locked else { continue };
            let package = (side.facts.packages.get(&change.name).into_iter().flatten())
                .find(|package| package.version == locked.version);
            let Some(file) = package.and_then(only_file) else {
                continue;
            };
            all.push(Looked {
                change: index,
                is_new,
                package: change.name.clone(),
                kind: file.kind,
                artifact: artifact(file, side.folder),
            });
        }
    }
    all
}

fn only_file(package: &Package) -> Option<&File> {
    match &package.files[..] {
        [file] => Some(file),
        // Of one npm version all tarballs are one, or it is an alarm already.
        [file, ..] if file.kind == FileKind::Tarball => Some(file),
        _ => None,
    }
}

fn artifact(file: &File, folder: &Utf8Path) -> Artifact {
    Artifact {
        file_name: file.name.clone(),
        location: match Url::parse(&file.location) {
            Ok(url) => Location::Url(url),
            Err(_) => Location::Path(folder.join(&file.location)),
        },
        digest: file.digest.clone(),
        size: file.size,
    }
}

/// Fetches artifacts and looks into them. An old release may be gone; what is there is looked into all
/// the same, and what is not is told.
fn look(
    looked: &[Looked],
    store: &Store,
    network: &NetworkArgs,
    indexes: &[(String, Url)],
) -> Vec<Result<Option<Contents>, String>> {
    let wants = looked.iter().map(|one| DownloadRequest {
        package: one.package.clone(),
        artifact: &one.artifact,
    });
    let wants: Vec<DownloadRequest<'_>> = wants.collect();
    let blobs: Mutex<Vec<Option<Blob>>> = Mutex::new(vec![None; wants.len()]);
    let progress = Progress::bytes("Fetching", 0);
    let options = network.options(indexes);
    let fetched = fetch(store, &wants, &options, &progress, &|index, blob| {
        let mut blobs = blobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = blobs.get_mut(index) {
            *place = Some(blob);
        }
    });
    progress.done();
    if let Err(error) = fetched {
        eprintln!("warning: {error}");
    }
    let blobs = blobs.into_inner().unwrap_or_else(PoisonError::into_inner);
    let contents = |(one, blob): (&Looked, Option<Blob>)| {
        let Some(blob) = blob else { return Ok(None) };
        let bytes = blob.map().map_err(|error| error.to_string())?;
        let found = read(&one.artifact.file_name, one.kind, &bytes);
        found.map(Some).map_err(|error| error.to_string())
    };
    looked.par_iter().zip(blobs).map(contents).collect()
}
