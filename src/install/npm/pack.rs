//! `npm pack` of a folder: what a git dependency is after its scripts have prepared it.
//!
//! The tarball's bytes follow from the files that are packed: no times, no owners.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use camino::Utf8Path;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use super::package::package_json;
use super::packlist::{self, Kind, PackError, PackSource};
use crate::core::foreign::{Folder, TEXT};
use crate::core::io_error::{IoError, cannot};
use crate::core::walk::{Node, WalkError, walk};
use crate::decide::lock::npm::programs;

/// Why a folder cannot be packed.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A name that npm could not have made.
    #[error("{0} has a name that is not UTF-8")]
    Name(String),
    /// Which files are packed cannot be told.
    #[error(transparent)]
    Pack(#[from] PackError),
}

/// Writes the tarball of a folder, in which scripts may have left what they like.
///
/// # Errors
/// When a file cannot be read, or a pattern of `files` or an ignore file is not understood.
pub fn pack(folder: &Utf8Path, into: impl Write) -> Result<(), FolderError> {
    let failed = |path: &str| {
        let path = folder.join(path);
        move |error: io::Error| cannot("read", &path)(error)
    };
    let open = Folder::open(folder).map_err(failed(""))?;
    let read = |path: &str| open.read(path, TEXT).map_err(failed(path));
    let modes = files(folder)?;
    let about = package_json(&read("package.json")?);
    let about = about.map_err(|error| failed("package.json")(error.into()))?;
    let programs = about.as_object().map(programs).unwrap_or_default();
    let mut ignores: HashMap<&str, Vec<u8>> = HashMap::new();
    for (path, mode) in &modes {
        let name = path.rsplit('/').next().unwrap_or(path);
        if mode.is_some() && matches!(name, ".npmignore" | ".gitignore") {
            ignores.insert(path, read(path)?);
        }
    }
    let kind = |mode: &Option<u32>| match mode {
        Some(_) => Kind::File,
        None => Kind::Other,
    };
    let selected = packlist::select(&PackSource {
        entries: modes
            .iter()
            .map(|(path, mode)| (path.clone(), kind(mode)))
            .collect(),
        read: &|path| ignores.get(path).map(Vec::as_slice),
        about: &about,
        programs: programs.clone(),
    })?;
    let mut tar = Builder::new(GzEncoder::new(into, Compression::default()));
    for path in selected {
        let file = open.file(&path).map_err(failed(&path))?;
        let size = file.metadata().map_err(failed(&path))?.len();
        let executable = match packlist::is_program(&programs, &path) {
            true => 0o111,
            false => 0,
        };
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mode(modes.get(&path).copied().flatten().unwrap_or(0o644) | executable);
        header.set_size(size);
        tar.append_data(&mut header, format!("package/{path}"), file.take(size))
            .map_err(failed(&path))?;
    }
    let finish = || tar.into_inner()?.finish()?.flush();
    Ok(finish().map_err(failed(""))?)
}

/// Every file below a folder with its mode, and what is none without; but for what is installed there.
fn files(folder: &Utf8Path) -> Result<BTreeMap<String, Option<u32>>, FolderError> {
    let failed = cannot("read", folder);
    let mut all = BTreeMap::new();
    let mut bad = None;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name == "node_modules" || name == ".git" {
            continue;
        }
        let tree = walk(&folder.as_std_path().join(&name))?;
        tree.each(&mut |rest, node| {
            let path = match rest.as_os_str().is_empty() {
                true => Path::new(&name).to_owned(),
                false => Path::new(&name).join(rest),
            };
            let mode = match node {
                Node::File(file) => Some(file.mode & 0o777),
                Node::Link(_) => None,
                Node::Folder(_) => return,
            };
            match std::str::from_utf8(path.as_os_str().as_bytes()) {
                Ok(path) => {
                    all.insert(path.to_owned(), mode);
                }
                Err(_) => bad = Some(path.display().to_string()),
            }
        });
    }
    match bad {
        Some(path) => Err(FolderError::Name(path)),
        None => Ok(all),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_package_json_that_is_broken_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(dir.path()).unwrap();
        fs::write(folder.join("secret"), "").unwrap();
        fs::write(folder.join("package.json"), "{ \"files\": [\"a\"], }").unwrap();
        let mut packed = Vec::new();
        let said = pack(folder, &mut packed).unwrap_err().to_string();
        assert!(said.contains("package.json"), "{said}");
        fs::write(
            folder.join("package.json"),
            "\u{feff}{ \"files\": [\"a\"] }",
        )
        .unwrap();
        pack(folder, &mut packed).unwrap();
    }
}
