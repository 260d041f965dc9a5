//! Writes patched files: all of them or none.

use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::core::scratch::Undisturbed;
use crate::core::temp_file::TempFile;

use crate::files::tree::TreePath;

/// A file as it shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// Which.
    pub path: TreePath,
    /// Its bytes; `None` where it is removed.
    pub bytes: Option<Vec<u8>>,
    /// Its executable bit; as it was, or as `from`'s, where nothing is said.
    pub executable: Option<bool>,
    /// The file whose mode it takes over.
    pub from: Option<TreePath>,
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// A folder on the way is a link, which may lead anywhere.
    #[error("{} is a link: nothing is written through it", .0.display())]
    Link(PathBuf),
    /// The file system refused. Every file is as it was.
    #[error("cannot {doing} {}; every file is as it was", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io {
        doing,
        path,
        source,
    }
}

/// A change that is ready: its new bytes lie beside their place.
struct Ready {
    place: PathBuf,
    staged: Option<TempFile>,
}

/// Writes the files below `root`. New ones are written beside their places first, and renamed there
/// when all could be; if a rename fails after all, those made before it are taken back.
///
/// # Errors
/// When a file cannot be written.
pub fn write(root: &Path, changes: &[FileChange]) -> Result<(), WriteError> {
    let mut ready = Vec::new();
    for change in changes {
        ready.push(stage(root, change)?);
    }
    let _undisturbed = Undisturbed::new();
    let mut undo: Vec<(PathBuf, Option<TempFile>)> = Vec::new();
    for Ready { place, staged } in ready {
        let result = replace(&place, staged, &mut undo);
        if let Err(error) = result {
            for (place, old) in undo.into_iter().rev() {
                // Best effort: what cannot be undone is told by the error that led here.
                let _ = match old {
                    Some(old) => old.persist(&place).map(drop),
                    None => fs::remove_file(&place),
                };
            }
            return Err(error);
        }
    }
    Ok(())
}

fn stage(root: &Path, change: &FileChange) -> Result<Ready, WriteError> {
    let place = root.join(change.path.as_str());
    let mut folder = root.to_owned();
    for part in change
        .path
        .parent()
        .into_iter()
        .flat_map(|parent| parent.split('/'))
    {
        folder.push(part);
        if fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_symlink()) {
            return Err(WriteError::Link(folder));
        }
    }
    if fs::symlink_metadata(&place).is_ok_and(|meta| meta.is_symlink()) {
        return Err(WriteError::Link(place));
    }
    let Some(bytes) = &change.bytes else {
        return Ok(Ready {
            place,
            staged: None,
        });
    };
    fs::create_dir_all(&folder).map_err(failed("make the folder", &folder))?;
    let model = change.from.as_ref().map(|from| root.join(from.as_str()));
    let mode = fs::metadata(model.as_ref().unwrap_or(&place))
        .map_or(0o644, |meta| meta.permissions().mode() & 0o777);
    let mode = match change.executable {
        Some(true) => mode | (mode & 0o444) >> 2,
        Some(false) => mode & !0o111,
        None => mode,
    };
    let mut staged = TempFile::beside(&place, None).map_err(failed("write", &place))?;
    staged
        .write_all(bytes)
        .and_then(|()| fs::set_permissions(staged.path(), Permissions::from_mode(mode)))
        .map_err(failed("write", &place))?;
    Ok(Ready {
        place,
        staged: Some(staged),
    })
}

fn replace(
    place: &Path,
    staged: Option<TempFile>,
    undo: &mut Vec<(PathBuf, Option<TempFile>)>,
) -> Result<(), WriteError> {
    let old = match fs::symlink_metadata(place) {
        Ok(_) => {
            let old = TempFile::beside(place, None).map_err(failed("keep", place))?;
            fs::copy(place, old.path()).map_err(failed("keep", place))?;
            Some(old)
        }
        Err(_) => None,
    };
    match staged {
        Some(staged) => {
            let renamed = staged.persist(place).map(drop);
            renamed.map_err(failed("replace", place))?;
        }
        None => fs::remove_file(place).map_err(failed("remove", place))?,
    }
    undo.push((place.to_owned(), old));
    Ok(())
}
