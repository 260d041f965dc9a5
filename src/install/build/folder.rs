//! Folders of this machine as sources: what of them counts, whether it has changed, and a copy.
//!
//! Left out is what no build needs and tools leave behind: version control, `node_modules`,
//! bytecode, virtual environments, `*.egg-info`, and folders that call themselves a cache
//! (`CACHEDIR.TAG`, <https://bford.info/cachedir/>).

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use camino::Utf8Path;
use rayon::prelude::*;

use super::project::Project;
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;
use crate::files::tree::{Record, Replace, Tree, TreeError, TreeOptions, TreePath};

/// Back ends whose editable wheels follow from what is at a project's top and from the names of its
/// folders, as long as nothing in it is dynamic.
const PLAIN: [&str; 3] = ["hatchling.build", "flit_core.buildapi", "uv_build"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File { is_executable: bool },
    Folder,
    Link,
}

/// A digest of all that a folder's wheel can follow from.
///
/// An editable wheel leads to the folder, so that most changes are not its business: where its back
/// end is known to be plain, files below the top count by their folders' names alone.
pub(super) fn digest(folder: &Utf8Path, is_editable: bool) -> io::Result<Digest> {
    // What is no project is not walked through, were it the whole disk.
    let project = Project::read(folder, Utf8Path::new("/")).map_err(io::Error::other)?;
    let is_plain = is_editable && PLAIN.contains(&project.backend.as_str()) && project.is_static;
    contents(folder, is_plain)
}

/// A digest of what counts in a folder: with `is_plain`, files below the top by their folders' names
/// alone.
fn contents(folder: &Utf8Path, is_plain: bool) -> io::Result<Digest> {
    let mut found = list(folder.as_std_path())?;
    if is_plain {
        found.retain(|(path, kind)| *kind == Kind::Folder || path.components().count() == 1);
    }
    let entries: Vec<Vec<u8>> = found
        .par_iter()
        .map(|(path, kind)| entry(&folder.as_std_path().join(path), path, *kind))
        .collect::<io::Result<_>>()?;
    Ok(Digest::of(Algorithm::Sha256, &entries.concat()))
}

/// A digest of a file, or of all that counts of a folder.
pub(super) fn digest_of(path: &Utf8Path) -> io::Result<Digest> {
    if path.is_dir() {
        return contents(path, false);
    }
    let is_executable = fs::metadata(path)?.permissions().mode() & 0o100 != 0;
    let entry = entry(
        path.as_std_path(),
        Path::new(""),
        Kind::File { is_executable },
    )?;
    Ok(Digest::of(Algorithm::Sha256, &entry))
}

/// One entry, so that no two folders come to the same list.
fn entry(real: &Path, path: &Path, kind: Kind) -> io::Result<Vec<u8>> {
    let (sign, content) = match kind {
        Kind::Folder => ("d", Vec::new()),
        Kind::Link => ("l", fs::read_link(real)?.as_os_str().as_bytes().to_vec()),
        Kind::File { is_executable } => {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let mut piece = vec![0; 1 << 16];
            let mut file = foreign::open(real)?;
            loop {
                match io::Read::read(&mut file, &mut piece)? {
                    0 => break,
                    read => hasher.update(piece.get(..read).unwrap_or_default()),
                }
            }
            let sign = if is_executable { "x" } else { "f" };
            (sign, hasher.finish().bytes().to_vec())
        }
    };
    let name = path.as_os_str().as_bytes();
    let mut line = format!("{sign}{}:{}:", name.len(), content.len()).into_bytes();
    line.extend_from_slice(name);
    line.extend(content);
    Ok(line)
}

/// Everything that counts in a folder, sorted; links are not followed.
fn list(top: &Path) -> io::Result<Vec<(PathBuf, Kind)>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top.join(&folder))? {
            let entry = entry?;
            let kind = entry.file_type()?;
            let path = folder.join(entry.file_name());
            if is_left_out(&entry.file_name()) {
                continue;
            }
            if kind.is_symlink() {
                found.push((path, Kind::Link));
            } else if kind.is_dir() {
                if !is_aside(&entry.path()) {
                    folders.push(path.clone());
                    found.push((path, Kind::Folder));
                }
            } else if kind.is_file() {
                let is_executable = entry.metadata()?.permissions().mode() & 0o100 != 0;
                found.push((path, Kind::File { is_executable }));
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_left_out(name: &OsStr) -> bool {
    let name = name.as_bytes();
    matches!(
        name,
        b".git" | b".hg" | b".svn" | b".jj" | b"node_modules" | b"__pycache__" | b".venv"
    ) || name.ends_with(b".egg-info")
}

/// A virtual environment, or a tool's cache.
fn is_aside(folder: &Path) -> bool {
    folder.join("pyvenv.cfg").is_file() || folder.join("CACHEDIR.TAG").is_file()
}

/// Copies what counts of a folder.
pub(super) fn copy(from: &Utf8Path, into: &Utf8Path) -> Result<(), TreeError> {
    let options = TreeOptions {
        replace: Replace::Nothing,
        record: Record::Nowhere,
        ..TreeOptions::default()
    };
    let failed = |source| TreeError::Io {
        doing: "read",
        path: from.to_owned(),
        source,
    };
    let tree = Tree::stage(into, options)?;
    let owner = tree.owner("the source", 0);
    for (path, kind) in list(from.as_std_path()).map_err(failed)? {
        let name = path.to_string_lossy();
        let inside = TreePath::new(name.as_ref())?;
        let real = from.join(name.as_ref());
        match kind {
            Kind::Folder => tree.folder(owner, &inside)?,
            Kind::File { is_executable } => {
                let mode = if is_executable { 0o755 } else { 0o644 };
                tree.copy(owner, &inside, Some(mode), &real)?;
            }
            Kind::Link => {
                let target = real.read_link_utf8().map_err(failed)?;
                tree.link_anywhere(owner, &inside, target.as_str())?;
            }
        }
    }
    tree.finish().commit()?;
    Ok(())
}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Paths are never equal, so that kinds need no order of their own.
impl Ord for Kind {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, camino::Utf8PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(folder.path()).unwrap().to_owned();
        fs::create_dir_all(path.join("pkg/deep")).unwrap();
        fs::write(
            path.join("pyproject.toml"),
            "[build-system]\nrequires = []\n",
        )
        .unwrap();
        fs::write(path.join("pkg/a.py"), "a").unwrap();
        (folder, path)
    }

    #[test]
    fn what_tools_leave_behind_does_not_count() {
        let (_folder, path) = folder();
        let before = digest(&path, false).unwrap();
        for name in [
            ".git",
            "pkg/__pycache__",
            "x.egg-info",
            ".mypy_cache",
            "env",
        ] {
            fs::create_dir(path.join(name)).unwrap();
            fs::write(path.join(name).join("file"), "x").unwrap();
        }
        fs::write(path.join(".mypy_cache/CACHEDIR.TAG"), "").unwrap();
        fs::write(path.join("env/pyvenv.cfg"), "").unwrap();
        assert_eq!(digest(&path, false).unwrap(), before);
        copy(&path, &path.join("../copy-of-it")).map_or_else(
            |error| panic!("{error}"),
            |()| fs::remove_dir_all(path.join("../copy-of-it")).unwrap(),
        );
    }

    #[test]
    fn every_change_counts() {
        let (_folder, path) = folder();
        let mut seen = vec![digest(&path, false).unwrap()];
        let mut changed = || {
            let now = digest(&path, false).unwrap();
            assert!(!seen.contains(&now));
            seen.push(now);
        };
        fs::write(path.join("pkg/a.py"), "b").unwrap();
        changed();
        fs::set_permissions(path.join("pkg/a.py"), fs::Permissions::from_mode(0o755)).unwrap();
        changed();
        fs::create_dir(path.join("pkg/empty")).unwrap();
        changed();
        std::os::unix::fs::symlink("a.py", path.join("pkg/link")).unwrap();
        changed();
        fs::rename(path.join("pkg/a.py"), path.join("pkg/b.py")).unwrap();
        changed();
    }

    #[test]
    fn editing_a_module_is_no_business_of_a_plain_editable_wheel() {
        let (_folder, path) = folder();
        let project = |dynamic: &str| {
            let text = format!(
                "[project]\nname = 'x'\n{dynamic}\n[build-system]\nrequires = ['hatchling']\n\
                 build-backend = 'hatchling.build'\n"
            );
            fs::write(path.join("pyproject.toml"), text).unwrap();
        };
        project("version = '1'");
        let before = digest(&path, true).unwrap();
        fs::write(path.join("pkg/a.py"), "changed").unwrap();
        assert_eq!(digest(&path, true).unwrap(), before);
        fs::create_dir(path.join("other")).unwrap();
        assert_ne!(digest(&path, true).unwrap(), before);

        project("dynamic = ['version']");
        let before = digest(&path, true).unwrap();
        fs::write(path.join("pkg/a.py"), "changed again").unwrap();
        assert_ne!(digest(&path, true).unwrap(), before);
    }
}
