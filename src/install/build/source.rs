//! A recipe's source, put where the build finds it.

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use super::folder;
use crate::files::archive::Limits;
use crate::files::tree::{TreeError, TreePath};
use crate::obtain::source::{Shape, Unpacked, unpack};
use crate::obtain::store::Blob;

/// A source that is here.
pub(super) enum Ready {
    /// An archive in the store.
    Archive {
        blob: Blob,
        name: String,
        shape: Shape,
        subdirectory: Option<String>,
        /// Whether the lock asks for what Git LFS keeps.
        wants_lfs: bool,
    },
    /// A folder of this machine.
    Folder {
        path: Utf8PathBuf,
        is_editable: bool,
    },
}

/// Where it is put.
pub(super) struct Place {
    /// On this machine.
    pub(super) real: Utf8PathBuf,
    /// As the build sees it.
    pub(super) seen: Utf8PathBuf,
    /// Whether it is the user's own folder, to be written to.
    pub(super) is_editable: bool,
    /// Whether there is a repository of the commit that it is.
    pub(super) has_view: bool,
}

impl Ready {
    /// Puts it below the build's folder, which the build sees as `seen`. A commit comes with what a
    /// build may ask of version control; the lock's version is its tag.
    pub(super) fn put(
        &self,
        package: &str,
        version: Option<&str>,
        folder: &Utf8Path,
        seen: &Utf8Path,
    ) -> Result<Place, BuildError> {
        let (into, seen) = (folder.join("source"), seen.join("source"));
        match self {
            Self::Folder {
                path,
                is_editable: true,
            } => Ok(Place {
                real: path.clone(),
                seen: path.clone(),
                is_editable: true,
                has_view: false,
            }),
            Self::Folder { path, .. } => {
                folder::copy(path, &into)?;
                Ok(Place {
                    real: into,
                    seen,
                    is_editable: false,
                    has_view: false,
                })
            }
            Self::Archive {
                blob,
                name,
                shape,
                subdirectory,
                wants_lfs,
            } => {
                let unpacked = unpack(blob, name, *shape, &into, &Limits::default())?;
                report_lfs(package, &unpacked, *wants_lfs)?;
                let has_view = match &unpacked.commit {
                    Some(commit) => commit.write(&into, version).map(|()| true)?,
                    None => false,
                };
                let below = subdirectory.as_deref().unwrap_or_default();
                let below = below.trim_matches('/');
                if below.is_empty() || below == "." {
                    return Ok(Place {
                        real: into,
                        seen,
                        is_editable: false,
                        has_view,
                    });
                }
                let below = TreePath::new(below).map_err(TreeError::from)?;
                let real = into.join(below.as_str());
                // What is joined may lead anywhere through a link of the archive's.
                let is_inside = real.canonicalize_utf8().is_ok_and(|path| {
                    into.canonicalize_utf8()
                        .is_ok_and(|top| path.starts_with(top))
                });
                if !is_inside || !real.is_dir() {
                    return Err(BuildError::Project {
                        package: package.to_owned(),
                        reason: format!("its subdirectory {below} is no folder of {name}"),
                    });
                }
                Ok(Place {
                    seen: seen.join(below.as_str()),
                    real,
                    is_editable: false,
                    has_view,
                })
            }
        }
    }
}

/// Files that Git LFS keeps elsewhere are a few lines of text here: whoever packages them should
/// know.
fn report_lfs(package: &str, unpacked: &Unpacked, wants_lfs: bool) -> Result<(), BuildError> {
    let pointers = &unpacked.lfs_pointers;
    if pointers.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = pointers.iter().map(String::as_str).take(5).collect();
    let more = match pointers.len().saturating_sub(shown.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let shown = format!("{}{more}", shown.join(", "));
    if wants_lfs {
        return Err(BuildError::Project {
            package: package.to_owned(),
            reason: format!(
                "the lock asks for what Git LFS keeps of it (lfs = true), which lockwright does \
                 not fetch: {shown}"
            ),
        });
    }
    eprintln!(
        "warning: {package} has files that are only pointers to what Git LFS keeps, and are built \
         as such: {shown}"
    );
    Ok(())
}
