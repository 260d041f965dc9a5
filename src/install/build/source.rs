//! A recipe's source, put where the build finds it.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};

use super::error::BuildError;
use super::folder;
use super::sandbox::{INSIDE, Shown};
use super::surroundings::Surroundings;
use crate::core::foreign;
use crate::core::progress::warn;
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
        around: Surroundings,
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
    /// What a contained build finds besides.
    pub(super) shown: Vec<Shown>,
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
                is_editable,
                around,
            } => {
                put_folder(path, *is_editable, around, folder, &seen).map_err(|error| match error {
                    Put::Disk(source) => BuildError::Disk {
                        package: package.to_owned(),
                        source,
                    },
                    Put::Tree(error) => error.into(),
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
                        shown: Vec::new(),
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
                        reason: format!("its subdirectory {below} is not a folder of {name}"),
                    });
                }
                Ok(Place {
                    seen: seen.join(below.as_str()),
                    real,
                    is_editable: false,
                    has_view,
                    shown: Vec::new(),
                })
            }
        }
    }
}

/// Why a folder is not put.
enum Put {
    Disk(io::Error),
    Tree(TreeError),
}

impl From<io::Error> for Put {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<TreeError> for Put {
    fn from(error: TreeError) -> Self {
        Self::Tree(error)
    }
}

/// Puts a folder of this machine, with what its build reads from around it: in place, or as a copy
/// below `folder/source`, which the build sees as `seen`.
fn put_folder(
    path: &Utf8Path,
    is_editable: bool,
    around: &Surroundings,
    folder: &Utf8Path,
    seen: &Utf8Path,
) -> Result<Place, Put> {
    let is_contained = seen.starts_with(INSIDE);
    let base = around.base(path);
    let into = folder.join("source");
    let below = |path: &Utf8Path| into.join(path.strip_prefix(base).unwrap_or(path));
    let mut place = Place {
        real: path.to_owned(),
        seen: path.to_owned(),
        is_editable,
        has_view: false,
        shown: Vec::new(),
    };
    let show = |from: Utf8PathBuf, to: Utf8PathBuf| Shown {
        from,
        to,
        writable: false,
    };
    if !is_editable {
        place.real = below(path);
        place.seen = seen.join(path.strip_prefix(base).unwrap_or(path));
        fs::create_dir_all(place.real.parent().unwrap_or(&into))?;
        folder::copy(path, &place.real)?;
    }
    for beside in around.beside.keys() {
        let to = below(beside);
        match (is_editable, beside.is_dir()) {
            (true, _) => place.shown.push(show(beside.clone(), beside.clone())),
            (false, true) => {
                fs::create_dir_all(to.parent().unwrap_or(&into))?;
                folder::copy(beside, &to)?;
            }
            (false, false) => {
                fs::create_dir_all(to.parent().unwrap_or(&into))?;
                io::copy(&mut foreign::open(beside)?, &mut fs::File::create_new(&to)?)?;
            }
        }
    }
    // Where it is not contained, a build in place sees what is there.
    let Some(checkout) = around
        .checkout
        .as_ref()
        .filter(|_| is_contained || !is_editable)
    else {
        return Ok(place);
    };
    let mut objects = checkout.objects().to_vec();
    if is_contained {
        for (number, path) in objects.iter_mut().enumerate() {
            let to = Utf8PathBuf::from(format!("/objects/{number}"));
            place.shown.push(show(path.clone(), to.clone()));
            *path = to;
        }
    }
    let git = checkout.top().join(".git");
    if is_editable {
        let view = folder.join("view");
        checkout.write(&view, &objects)?;
        let from = match git.is_file() {
            // Of a second working tree.
            true => {
                let link = folder.join("view.link");
                fs::write(&link, format!("gitdir: {INSIDE}/view\n"))?;
                link
            }
            false => view,
        };
        place.shown.push(show(from, git));
    } else {
        checkout.write(&below(&git), &objects)?;
    }
    // To git, its files may be another user's.
    fs::write(folder.join("home/.gitconfig"), "[safe]\n\tdirectory = *\n")?;
    Ok(place)
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
    warn(&format!(
        "{package} has files that are only pointers to what Git LFS keeps, and are built \
         as such: {shown}"
    ));
    Ok(())
}
