//! `lockwright diff --contents`: fetches the artifacts behind the changes, and looks into them.

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;
use url::Url;

use super::Failure;
use super::healing::put_aside;
use crate::core::artifact::{Artifact, Location};
use crate::core::progress::warn;
use crate::inspect::diff::contents::{Contents, Seen, compare, findings, read};
use crate::inspect::diff::facts::{File, FileKind, LockFacts, OriginKind, Package};
use crate::inspect::diff::model::{ChangeKind, Finding, FindingKind, LockDiff, Locked, Severity};
use crate::obtain::fetch::{DownloadRequest, FetchOptions, fetch_all};
use crate::obtain::store::{Blob, Store};

/// One lock: what it says, and the folder that paths in it are relative to.
pub struct Side<'a> {
    pub facts: &'a LockFacts,
    pub folder: Utf8PathBuf,
}

/// How artifacts are obtained.
pub struct How<'a> {
    pub store: &'a Store,
    pub options: &'a FetchOptions,
    /// The glibc that there is wherever the packages are used.
    pub glibc: Option<(u16, u16)>,
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
/// When the store cannot be opened. An artifact that cannot be obtained or read is a finding.
pub fn add(
    diff: &mut LockDiff,
    old: &Side<'_>,
    new: &Side<'_>,
    how: &How<'_>,
) -> Result<(), Failure> {
    let looked = wanted(diff, old, new);
    let mut contents = look(&looked, how);
    if contents.iter().any(Result::is_err) && !put_aside(how.store)?.is_empty() {
        contents = look(&looked, how);
    }
    let mut sides: Vec<[Option<Contents>; 2]> = vec![[None, None]; diff.changes.len()];
    for (one, contents) in looked.iter().zip(contents) {
        let found = contents.unwrap_or_else(|error| {
            warn(&format!("{} is not looked into: {error}", one.package));
            None
        });
        let Some((contents, size)) = found else {
            continue;
        };
        if let Some(change) = diff.changes.get_mut(one.change) {
            let side = if one.is_new {
                &mut change.new
            } else {
                &mut change.old
            };
            // npm's locks do not say it.
            if let Some(locked) = side {
                locked.size.get_or_insert(size);
            }
        }
        if let Some(place) = sides
            .get_mut(one.change)
            .and_then(|s| s.get_mut(usize::from(one.is_new)))
        {
            *place = Some(contents);
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
        let stated = after.as_ref().or(before.as_ref());
        change.links = stated.map(|one| one.links.clone()).unwrap_or_default();
        if change.new.is_some() {
            let seen = Seen {
                is_new: before.is_none(),
                same_version: change.kind == ChangeKind::Altered,
                glibc: how.glibc,
            };
            diff.findings
                .extend(findings(&change.label(), &inside, seen));
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
    let mut all_wanted = Vec::new();
    for (index, change) in diff.changes.iter().enumerate() {
        if change.kind == ChangeKind::Relocated {
            continue;
        }
        for (side, is_new) in [(old, false), (new, true)] {
            let all = side.facts.packages.get(&change.name).into_iter().flatten();
            let locked = if is_new { &change.new } else { &change.old };
            let package = match locked {
                Some(locked) => all.rev().find(|package| package.version == locked.version),
                // One more version of what is there is checked against the highest of them.
                None if !is_new => all.last(),
                None => None,
            };
            let Some(file) = package.and_then(only_file) else {
                continue;
            };
            let Some(artifact) = artifact(file, &side.folder) else {
                warn(&format!(
                    "{} is not looked into: neither the lock nor .npmrc says which \
                     registry has it; name one with --registry",
                    change.label()
                ));
                continue;
            };
            all_wanted.push(Looked {
                change: index,
                is_new,
                package: change.name.clone(),
                kind: file.kind,
                artifact,
            });
        }
    }
    all_wanted
}

fn only_file(package: &Package) -> Option<&File> {
    match &package.files[..] {
        [file] => Some(file),
        // Of one npm version all tarballs are one, or it is an alarm already.
        [file, ..] if file.kind == FileKind::Tarball => Some(file),
        _ => None,
    }
}

/// Where it comes from; nothing where nobody says that.
fn artifact(file: &File, folder: &Utf8Path) -> Option<Artifact> {
    let location = match Url::parse(&file.location) {
        Ok(url) => Location::Url(url),
        Err(_) if file.location.is_empty() => return None,
        Err(_) => Location::Path(folder.join(&file.location)),
    };
    Some(Artifact {
        file_name: file.name.clone(),
        location,
        digest: file.digest.clone(),
        size: file.size,
    })
}

/// Fetches artifacts and looks into them. An old release may be gone; what is there is looked into all
/// the same, and what is not is told.
fn look(looked: &[Looked], how: &How<'_>) -> Vec<Result<Option<(Contents, u64)>, String>> {
    let wants = looked.iter().map(|one| DownloadRequest {
        package: one.package.clone(),
        artifact: &one.artifact,
    });
    let wants: Vec<DownloadRequest<'_>> = wants.collect();
    let (fetched, blobs) = fetch_all(how.store, &wants, how.options);
    if let Err(error) = fetched {
        warn(&error.to_string());
    }
    let contents = |(one, blob): (&Looked, Option<Blob>)| {
        let Some(blob) = blob else { return Ok(None) };
        let bytes = blob.map().map_err(|error| error.to_string())?;
        let found = read(&one.artifact.file_name, one.kind, &bytes);
        let size = blob.size;
        found
            .map(|contents| Some((contents, size)))
            .map_err(|error| error.to_string())
    };
    looked.par_iter().zip(blobs).map(contents).collect()
}
