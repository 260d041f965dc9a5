//! What this machine has of an artifact outside the store: `--find-links` folders and files, and files that
//! the lock or a `file:` mirror names. It is verified on its way into the store like anything else.

use camino::{Utf8Path, Utf8PathBuf};
use url::Url;

use super::error::Problem;
use super::{DownloadRequest, FetchError, vendor};
use crate::core::artifact::Location;
use crate::obtain::store::{Blob, Origin, Store, StoreError};

/// What was found.
pub(super) enum Found {
    /// The artifact, now in the store.
    Here(Blob),
    /// It must come over the network. `note` says what was found in its place.
    Nowhere { note: String },
    /// It should be here, and cannot be obtained.
    Failed { source: String, problem: Problem },
}

/// Fails where a folder is not there: what is missing from it would be told as missing otherwise.
pub(super) fn check_folders(folders: &[Utf8PathBuf]) -> Result<(), FetchError> {
    for folder in folders {
        let is_there = match folder.is_file() {
            true => Ok(()),
            false => std::fs::read_dir(folder).map(|_| ()),
        };
        is_there.map_err(|source| FetchError::FindLinks {
            folder: folder.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Looks for an artifact; `url` is what would be asked, mirrors applied.
pub(super) fn find(
    store: &Store,
    request: &DownloadRequest<'_>,
    folders: &[Utf8PathBuf],
    url: Option<&Url>,
) -> Found {
    let artifact = request.artifact;
    let mut note = String::new();
    for path in candidates(folders, request) {
        match take(store, request, &path) {
            Ok(blob) => return Found::Here(blob),
            // Another file of that name is no reason to fail while there are other places.
            Err(StoreError::Mismatch { got, .. }) => {
                note = format!("`{path}` has another digest, {got}");
                tracing::warn!("{note}, and is not used");
            }
            Err(error) => {
                return Found::Failed {
                    source: path.to_string(),
                    problem: Problem::Store(error),
                };
            }
        }
    }
    let path = match (&artifact.location, url) {
        (Location::Path(path), _) => path.clone(),
        (Location::Url(_), Some(url)) if url.scheme() == "file" => {
            match url.to_file_path().map(Utf8PathBuf::try_from) {
                Ok(Ok(path)) => path,
                _ => {
                    return Found::Failed {
                        source: url.to_string(),
                        problem: Problem::Request {
                            why: "it is not a path on this machine".to_owned(),
                        },
                    };
                }
            }
        }
        _ => return Found::Nowhere { note },
    };
    let problem = match take(store, request, &path) {
        Ok(blob) => return Found::Here(blob),
        Err(StoreError::Mismatch {
            expected,
            got,
            size,
        }) => Problem::Mismatch {
            expected,
            got,
            size,
            encoded: String::new(),
        },
        Err(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            Problem::Absent
        }
        Err(error) => Problem::Store(error),
    };
    Found::Failed {
        source: path.to_string(),
        problem,
    }
}

/// Files that may be the artifact. The name comes from a lock: only a plain one is looked for.
fn candidates(folders: &[Utf8PathBuf], request: &DownloadRequest<'_>) -> Vec<Utf8PathBuf> {
    let artifact = request.artifact;
    if !vendor::is_plain(&artifact.file_name) {
        return Vec::new();
    }
    let mut names = Vec::new();
    // The longer name is only written where the plain one stands for several files.
    names.extend(
        (artifact.digest.as_ref()).map(|digest| vendor::long_name(digest, &artifact.file_name)),
    );
    names.push(artifact.file_name.clone());
    let in_nix = format!("-{}", vendor::nix_name(&artifact.file_name));
    let candidates = folders.iter().flat_map(|place| {
        let last = place.file_name().unwrap_or_default();
        // One that is a file itself is called as the artifact is, or as a Nix store calls it.
        let is_it = last == artifact.file_name || last.ends_with(&in_nix);
        let inside = names.iter().map(|name| place.join(name));
        is_it.then(|| place.clone()).into_iter().chain(inside)
    });
    candidates.filter(|path| path.is_file()).collect()
}

fn take(store: &Store, request: &DownloadRequest<'_>, path: &Utf8Path) -> Result<Blob, StoreError> {
    let origin = Origin {
        file_name: request.artifact.file_name.clone(),
        source: path.to_string(),
    };
    match &request.artifact.digest {
        Some(digest) => store.take(path, digest, &origin),
        None => store.take_as_is(path, &origin),
    }
}
