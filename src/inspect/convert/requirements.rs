//! `requirements.txt` with digests, as pip takes it with `--require-hashes`
//! (<https://pip.pypa.io/en/stable/topics/secure-installs/>).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use pep508_rs::{MarkerTree, PackageName};

use super::{Chosen, ConvertError, files};
use crate::decide::lock::marker::{EFFORT, both, either};
use crate::decide::lock::uv::{Package, PackageSource};

pub(super) fn write(chosen: &Chosen<'_>) -> Result<(String, Vec<PackageName>), ConvertError> {
    let mut text = String::new();
    let mut without = Vec::new();
    let supported = supported(chosen);
    for (package, marker) in chosen.each() {
        let supported = supported.clone();
        let marker = supported.and_then(|supported| both(marker.clone(), supported));
        let Some(marker) = marker else {
            return Err(chosen.refuse(package, "has a larger marker than uv ever writes"));
        };
        let (stated, is_hashed) = stated(chosen, package)?;
        // A line of this file is a line.
        if stated.contains(['\n', '\r']) {
            return Err(chosen.refuse(package, "comes from a place with a line's end in it"));
        }
        text.push_str(&stated);
        if let Some(marker) = marker.try_to_string() {
            let _ = write!(text, " ; {marker}");
        }
        if !is_hashed {
            without.push(package.name.clone());
            text.push('\n');
            continue;
        }
        let mut digests = BTreeSet::new();
        for file in files(package) {
            digests.insert(chosen.digest(package, file)?.to_string());
        }
        if digests.is_empty() {
            return Err(chosen.refuse(package, "has no file in the lock"));
        }
        for digest in digests {
            let _ = write!(text, " \\\n    --hash={digest}");
        }
        text.push('\n');
    }
    Ok((text, without))
}

/// The environments that the lock is for, which such a file has no other word for: elsewhere nothing of it
/// is installed, as of uv's. None where that is larger than any that uv writes.
fn supported(chosen: &Chosen<'_>) -> Option<MarkerTree> {
    let all = &chosen.lock.supported_markers;
    if all.is_empty() {
        return Some(MarkerTree::TRUE);
    }
    let mut effort = EFFORT;
    all.iter().try_fold(MarkerTree::FALSE, |any, marker| {
        either(any, marker.normal(&mut effort)?)
    })
}

/// A package as it is asked for, and whether it is a file, which has a digest.
fn stated(chosen: &Chosen<'_>, package: &Package) -> Result<(String, bool), ConvertError> {
    let name = &package.name;
    if let Some(git) = chosen.git(package)? {
        let inner = git.subdirectory.as_ref();
        let inner = inner.map_or_else(String::new, |inner| format!("#subdirectory={inner}"));
        let stated = format!("{name} @ git+{}@{}{inner}", git.url, git.commit);
        return Ok((stated, false));
    }
    // A path must look like one.
    let path = |path| match chosen.path(path).into_string() {
        path if path.starts_with(['.', '/']) => path,
        path => format!("./{path}"),
    };
    Ok(match &package.source {
        PackageSource::Directory(folder)
        | PackageSource::Editable(folder)
        | PackageSource::Virtual(folder) => {
            let editable = if chosen.is_editable(package) {
                "-e "
            } else {
                ""
            };
            (format!("{editable}{}", path(folder)), false)
        }
        PackageSource::Path(archive) => (path(archive), true),
        PackageSource::Url { url, subdirectory } => {
            let inner = subdirectory.as_ref();
            let inner = inner.map_or_else(String::new, |inner| format!("#subdirectory={inner}"));
            (format!("{name} @ {url}{inner}"), true)
        }
        PackageSource::Registry(_) | PackageSource::Git(_) => {
            let Some(version) = &package.version else {
                return Err(chosen.refuse(package, "has no version in the lock"));
            };
            (format!("{name}=={version}"), true)
        }
    })
}
