//! Advisories in a folder or a zip archive, as databases are dumped.

use std::collections::BTreeSet;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::record::Record;
use super::{Advisories, Named};
use crate::core::foreign;
use crate::files::archive::Limits;
use crate::files::archive::zip::{Zip, ZipError};
use crate::inspect::diff::facts::Ecosystem;
use crate::obtain::fetch::FetchError;

/// No advisory is larger, in bytes.
const LARGEST: u64 = 32 << 20;
/// No archive is larger, in bytes.
const LARGEST_ARCHIVE: u64 = 8 << 30;

/// Why advisories cannot be obtained.
#[derive(Debug, thiserror::Error)]
pub enum OsvError {
    /// They cannot be read.
    #[error("the advisories in {path} cannot be read: {source}")]
    Read {
        /// Where.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The archive is damaged.
    #[error("the advisories in {path} cannot be read: {source}")]
    Zip {
        /// Which.
        path: Utf8PathBuf,
        /// Why.
        source: ZipError,
    },
    /// One of them is none.
    #[error("{path} is not an advisory in the OSV format: {why}")]
    Record {
        /// Which.
        path: String,
        /// Why.
        why: String,
    },
    /// There are none.
    #[error("{0} holds no advisories: give a folder or a zip archive of OSV's JSON files")]
    Empty(Utf8PathBuf),
    /// The server cannot be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The server does not answer as OSV's API does.
    #[error("the advisories could not be requested: {0}")]
    Answer(String),
}

impl Advisories {
    /// Reads a dump, and keeps what is about the packages.
    ///
    /// # Errors
    /// When it cannot be read, or has none.
    pub fn read(
        path: &Utf8Path,
        ecosystem: Ecosystem,
        packages: &BTreeSet<Named>,
    ) -> Result<Self, OsvError> {
        let failed = |source| OsvError::Read {
            path: path.to_owned(),
            source,
        };
        let names: BTreeSet<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
        let is_wanted = |record: &Record| {
            let about = record.names(ecosystem);
            about.iter().any(|name| names.contains(name.as_str()))
        };
        let read = |path: &str, bytes: &[u8]| -> Result<Option<Record>, OsvError> {
            let record: Record =
                serde_json::from_slice(bytes).map_err(|error| OsvError::Record {
                    path: foreign::shown(path),
                    why: error.to_string(),
                })?;
            Ok(Some(record).filter(is_wanted))
        };
        let records: Vec<Option<Record>> = if path.is_dir() {
            let mut files = Vec::new();
            list(path, &mut files).map_err(failed)?;
            if files.is_empty() {
                return Err(OsvError::Empty(path.to_owned()));
            }
            files
                .par_iter()
                .map(|file| {
                    let bytes = foreign::read(Path::new(file), LARGEST).map_err(|source| {
                        OsvError::Read {
                            path: file.clone(),
                            source,
                        }
                    })?;
                    read(file.as_str(), &bytes)
                })
                .collect::<Result<_, _>>()?
        } else {
            let file = foreign::open(path).map_err(failed)?;
            let bytes = foreign::map(&file, LARGEST_ARCHIVE).map_err(failed)?;
            let broken = |source| OsvError::Zip {
                path: path.to_owned(),
                source,
            };
            let limits = Limits {
                members: 4_000_000,
                ..Limits::default()
            };
            let zip = Zip::new(&bytes, path.as_str(), &limits).map_err(broken)?;
            let members: Vec<_> = (zip.members().iter())
                .filter(|member| !member.is_folder && member.path.as_str().ends_with(".json"))
                .collect();
            if members.is_empty() {
                return Err(OsvError::Empty(path.to_owned()));
            }
            members
                .par_iter()
                .map(|member| {
                    let bytes = zip.read(member).map_err(broken)?;
                    read(member.path.as_str(), &bytes)
                })
                .collect::<Result<_, _>>()?
        };
        Ok(Self::of(records.into_iter().flatten(), ecosystem))
    }
}

/// The JSON files below a folder, in order.
fn list(folder: &Utf8Path, files: &mut Vec<Utf8PathBuf>) -> std::io::Result<()> {
    let mut entries: Vec<_> = folder.read_dir_utf8()?.collect::<Result<_, _>>()?;
    entries.sort_by(|one, other| one.path().cmp(other.path()));
    for entry in entries {
        // A link is not followed: it could lead round in a circle.
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(entry.path(), files)?;
        } else if kind.is_file() && entry.path().extension() == Some("json") {
            files.push(entry.into_path());
        }
    }
    Ok(())
}
