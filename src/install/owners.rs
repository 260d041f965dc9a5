//! Which package a file of an installed tree belongs to.
//!
//! A tree tells it itself: each `.dist-info` folder holds a RECORD that lists its package's files
//! (<https://packaging.python.org/en/latest/specifications/recording-installed-packages/>), and a
//! `node_modules` folder holds one folder per package. Nothing else is trusted or needed, so this
//! works on trees that other tools made.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::core::foreign;
use crate::core::walk::{Node, WalkError, walk};
use crate::install::python::record;

/// The packages of a tree, and what is theirs.
#[derive(Debug, Default)]
pub struct Owners {
    root: PathBuf,
    packages: Vec<String>,
    /// Paths in the tree, and whose they are. A folder's stands for all that is in it.
    paths: HashMap<PathBuf, usize>,
}

/// A package as its folder shows it, and the other paths that are its own.
struct Found {
    label: String,
    paths: Vec<PathBuf>,
}

impl Owners {
    /// Finds the packages of the tree at `root`.
    ///
    /// # Errors
    /// When the tree cannot be read. A RECORD or package.json that is damaged is not an error: its
    /// package then owns its own folder alone.
    pub fn of_tree(root: impl AsRef<Path>) -> Result<Self, WalkError> {
        let root = root.as_ref();
        Ok(Self::of_walked(root, &walk(root)?))
    }

    /// As [`of_tree`](Self::of_tree), of a tree that has been walked already.
    pub fn of_walked(root: &Path, tree: &Node) -> Self {
        let mut folders = Vec::new();
        tree.each(&mut |path, node| {
            if matches!(node, Node::Folder(_))
                && let Some(kind) = Kind::of(path)
            {
                folders.push((path.to_owned(), kind));
            }
        });
        Self::of_folders(root, folders, |_| true)
    }

    /// The packages that these paths of the tree at `root` may belong to: those whose folders lie on
    /// the way to them. Of all others [`of`](Self::of) knows nothing. Reads far less than
    /// [`of_tree`](Self::of_tree) does when the paths are few.
    pub fn of_paths<'p>(root: &Path, paths: impl IntoIterator<Item = &'p Path>) -> Self {
        let mut wanted: HashSet<PathBuf> = HashSet::new();
        let mut ways: HashSet<&Path> = HashSet::new();
        for path in paths {
            ways.extend(path.ancestors());
            wanted.extend(source_of(path).into_iter().chain([path.to_owned()]));
        }
        let libraries = ways.iter().flat_map(|way| {
            let libraries = folders_in(root, &way.join("lib"));
            libraries.into_iter().map(|path| path.join("site-packages"))
        });
        let libraries: Vec<PathBuf> = libraries.collect();
        let sites: HashSet<&Path> = ways
            .iter()
            .copied()
            .chain(libraries.iter().map(PathBuf::as_path))
            .collect();
        let sites: Vec<&Path> = sites.into_iter().collect();
        let folders = sites.into_par_iter().flat_map_iter(|site| {
            let infos = folders_in(root, site).into_iter();
            let infos = infos.filter(|path| path.extension().is_some_and(|end| end == "dist-info"));
            let npm = Kind::of(site).filter(|kind| matches!(kind, Kind::Npm { .. }));
            infos
                .filter_map(|path| Kind::of(&path).map(|kind| (path, kind)))
                .chain(npm.map(|kind| (site.to_owned(), kind)))
        });
        let mut folders: Vec<_> = folders.collect();
        folders.sort_by(|(one, _), (other, _)| one.cmp(other));
        let names: HashSet<&OsStr> = wanted.iter().filter_map(|path| path.file_name()).collect();
        Self::of_folders(root, folders, |name| names.contains(name))
    }

    /// `is_wanted` is asked of the last part of what a RECORD lists.
    fn of_folders(
        root: &Path,
        folders: Vec<(PathBuf, Kind)>,
        is_wanted: impl Fn(&OsStr) -> bool + Sync,
    ) -> Self {
        let found: Vec<Found> = folders
            .into_par_iter()
            .map(|(path, kind)| match kind {
                Kind::DistInfo { name, version } => {
                    dist_info(root, path, &name, &version, &is_wanted)
                }
                Kind::Npm { name } => npm(root, path, &name),
            })
            .collect();
        let mut owners = Self {
            root: root.to_owned(),
            ..Self::default()
        };
        for Found { label, paths } in found {
            for path in paths {
                owners.paths.insert(path, owners.packages.len());
            }
            owners.packages.push(label);
        }
        owners
    }

    /// The package, as `name version`, that a file, link or folder belongs to. The path is relative
    /// to the tree, or begins with the path the tree was found at.
    pub fn of(&self, path: impl AsRef<Path>) -> Option<&str> {
        let path = path.as_ref();
        let path = path.strip_prefix(&self.root).unwrap_or(path);
        let package = path
            .ancestors()
            .find_map(|path| self.paths.get(path))
            .or_else(|| self.paths.get(&source_of(path)?))?;
        self.packages.get(*package).map(String::as_str)
    }
}

/// A folder that a package is known by.
enum Kind {
    DistInfo { name: String, version: String },
    Npm { name: String },
}

impl Kind {
    fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        if let Some(stem) = name.strip_suffix(".dist-info") {
            let (name, version) = stem.split_once('-')?;
            return Some(Self::DistInfo {
                name: normalized(name),
                version: version.to_owned(),
            });
        }
        let parent = path.parent()?;
        let above = parent.file_name()?.to_str()?;
        if above == "node_modules" && !name.starts_with(['.', '@']) {
            return Some(Self::Npm {
                name: name.to_owned(),
            });
        }
        let is_scoped = above.starts_with('@')
            && parent.parent()?.file_name() == Some(OsStr::new("node_modules"));
        is_scoped.then(|| Self::Npm {
            name: format!("{above}/{name}"),
        })
    }
}

/// PEP 503: lower case, and one `-` for every run of `-`, `_` and `.`.
fn normalized(name: &str) -> String {
    name.to_ascii_lowercase()
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// The folders in a folder, if it can be read.
fn folders_in(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root.join(folder))
        .into_iter()
        .flatten()
        .flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries
        .filter(is_folder)
        .map(|entry| folder.join(entry.file_name()))
        .collect()
}

fn dist_info(
    root: &Path,
    folder: PathBuf,
    name: &str,
    version: &str,
    is_wanted: &impl Fn(&OsStr) -> bool,
) -> Found {
    let site = folder.parent().unwrap_or(Path::new("")).to_owned();
    let record =
        foreign::read(root.join(&folder).join("RECORD"), foreign::TEXT).unwrap_or_default();
    let mut paths: Vec<PathBuf> = String::from_utf8_lossy(&record)
        .lines()
        .filter_map(|line| {
            let path = record::path_of(line)?;
            let name = Path::new(&*path).file_name()?;
            is_wanted(name).then(|| record::within(root, &site, &path))?
        })
        .collect();
    paths.push(folder);
    Found {
        label: format!("{name} {version}"),
        paths,
    }
}

fn npm(root: &Path, folder: PathBuf, name: &str) -> Found {
    let version = foreign::read(root.join(&folder).join("package.json"), foreign::TEXT)
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|package| Some(package.get("version")?.as_str()?.to_owned()));
    Found {
        label: match version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        },
        paths: vec![folder],
    }
}

/// `pkg/module.py`, for `pkg/__pycache__/module.cpython-314.opt-1.pyc`.
fn source_of(path: &Path) -> Option<PathBuf> {
    let cache = path.parent()?;
    if cache.file_name()? != "__pycache__" || path.extension()? != "pyc" {
        return None;
    }
    let module = path.file_name()?.to_str()?.split('.').next()?;
    Some(cache.parent()?.join(format!("{module}.py")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn files_belong_to_the_package_whose_record_lists_them() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let site = "lib/python3.14/site-packages";
        write(
            root,
            &format!("{site}/Foo_Bar-1.0.dist-info/RECORD"),
            "foo/__init__.py,sha256=x,1\n\"foo/a,\"\"b\"\".py\",,\n../../../bin/foo,,\n\
             ../../../../../etc/passwd,,\n../../..,,\n/nowhere/x,,\nfoo.libs/libz.so,,\n\
             \"foo/c, d.py\",\"sha256=x\",\"1\"\n",
        );
        write(root, &format!("{site}/foo/__init__.py"), "");
        let owners = Owners::of_tree(root).unwrap();
        let foo = Some("foo-bar 1.0");
        let owners_of = |path: &Path| {
            let few = Owners::of_paths(root, [path]);
            assert_eq!(few.of(path), owners.of(path), "{}", path.display());
            owners.of(path).map(str::to_owned)
        };
        for (path, owner) in [
            ("foo/__init__.py", foo),
            ("foo/a,\"b\".py", foo),
            ("foo/c, d.py", foo),
            ("foo/__pycache__/__init__.cpython-314.opt-1.pyc", foo),
            ("foo/__pycache__/other.cpython-314.pyc", None),
            ("foo.libs/libz.so", foo),
            ("Foo_Bar-1.0.dist-info/RECORD", foo),
            ("foo/other.py", None),
        ] {
            let path = Path::new(site).join(path);
            assert_eq!(owners_of(&path).as_deref(), owner, "{}", path.display());
        }
        owners_of(Path::new("bin/foo"));
        assert_eq!(owners.of("bin/foo"), foo);
        assert_eq!(owners.of(root.join("bin/foo")), foo);
        assert_eq!(owners.of("etc/passwd"), None);
        assert_eq!(owners.of(""), None);
    }

    #[test]
    fn files_belong_to_the_innermost_package_folder_of_node_modules() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        write(
            root,
            "node_modules/a/package.json",
            r#"{"version": "1.2.3"}"#,
        );
        write(
            root,
            "node_modules/a/node_modules/@s/b/package.json",
            "damaged",
        );
        write(root, "node_modules/.bin/a", "");
        let owners = Owners::of_tree(root).unwrap();
        let deep = Path::new("node_modules/a/node_modules/@s/b/x.node");
        for path in [
            deep,
            Path::new("node_modules/a/lib/x.js"),
            Path::new("node_modules/.bin/a"),
        ] {
            assert_eq!(Owners::of_paths(root, [path]).of(path), owners.of(path));
        }
        assert_eq!(owners.of("node_modules/a/lib/x.js"), Some("a 1.2.3"));
        assert_eq!(
            owners.of("node_modules/a/node_modules/@s/b/x.node"),
            Some("@s/b")
        );
        assert_eq!(owners.of("node_modules/.bin/a"), None);
    }
}
