//! What trees say of themselves, kept true: whoever changes files of a tree that is in its place
//! tells it here, and the RECORDs of Python packages and the provenance records that speak of those
//! files follow. Everything else in them stays as it was.
//!
//! They are looked for from the files upwards, so that it does not matter which part of a tree was
//! worked on: a RECORD lies in a `.dist-info` folder beside the files it lists, or in the
//! `site-packages` of the environment whose scripts it lists; a provenance record in `.lockwright`
//! at the top of a tree, or beside that.
//!
//! What a component is made of follows by [`installed::update`] alone: its provenance record is
//! written when all phases are done.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use crate::core::foreign;
use crate::core::io_error::IoError;
use crate::files::tree::{FileFacts, Provenance, TreeError};
use crate::install::python::installed::{self, Line};

/// What was brought up to date: absolute paths, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Amended {
    /// RECORDs of Python packages.
    pub records: Vec<PathBuf>,
    /// Provenance records.
    pub provenance: Vec<PathBuf>,
}

/// Why what a tree says of itself is no longer true. Its files were changed before.
#[derive(Debug, thiserror::Error)]
pub enum AmendError {
    /// A RECORD could not be.
    #[error("files were changed, and a RECORD that lists them could not be updated")]
    Record(#[from] IoError),
    /// A provenance record could not be.
    #[error("files were changed, and the provenance record could not be updated")]
    Provenance(#[from] TreeError),
    /// A changed file cannot be read.
    #[error("cannot read {}, which was changed, to record its hash", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What the files are now; nothing for those that are no more.
type Now = BTreeMap<PathBuf, Option<FileFacts>>;

/// Brings RECORDs and provenance records up to date after files were rewritten or removed. Who put a
/// file there stays who it was; files that no record names are not added to one.
///
/// # Errors
/// When a changed file cannot be read, or a record not be read or replaced.
pub fn amend(changed: impl IntoIterator<Item = PathBuf>) -> Result<Amended, AmendError> {
    let changed = real(changed)?;
    let folders: BTreeSet<&Path> = changed
        .iter()
        .flat_map(|path| path.ancestors().skip(1))
        .collect();
    let trees: Vec<Utf8PathBuf> = folders.iter().copied().filter_map(tree).collect();
    let records = records_of(&changed, &folders, &trees);
    if trees.is_empty() && records.is_empty() {
        return Ok(Amended::default());
    }
    let mut now = facts_of(&changed)?;
    let records = amend_records(&records, &now)?;
    now.append(&mut facts_of(&records)?);
    let provenance = trees.par_iter().map(|tree| amend_tree(tree, &now));
    let provenance: Vec<_> = provenance.collect::<Result<_, _>>()?;
    Ok(Amended {
        records: records.into_iter().collect(),
        provenance: provenance.into_iter().flatten().collect(),
    })
}

/// The paths as the trees know them: absolute, without links on the way to the file.
fn real(paths: impl IntoIterator<Item = PathBuf>) -> Result<BTreeSet<PathBuf>, AmendError> {
    let mut folders: HashMap<PathBuf, PathBuf> = HashMap::new();
    let mut found = BTreeSet::new();
    for path in paths {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            continue;
        };
        let parent = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        if !folders.contains_key(parent) {
            let real = parent.canonicalize().map_err(|source| AmendError::Read {
                path: parent.to_owned(),
                source,
            })?;
            folders.insert(parent.to_owned(), real);
        }
        found.extend(folders.get(parent).map(|folder| folder.join(name)));
    }
    Ok(found)
}

/// The files as they are. The largest first, so that no core is left alone with one in the end.
fn facts_of(paths: &BTreeSet<PathBuf>) -> Result<Now, AmendError> {
    let mut paths: Vec<&PathBuf> = paths.iter().collect();
    let size = |path: &&PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
    paths.sort_by_cached_key(|path| std::cmp::Reverse(size(path)));
    let facts = |path: &PathBuf| match FileFacts::of_file(path) {
        Ok(facts) => Ok((path.clone(), Some(facts))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((path.clone(), None)),
        Err(source) => Err(AmendError::Read {
            path: path.clone(),
            source,
        }),
    };
    paths.into_iter().par_bridge().map(facts).collect()
}

/// The folder, if it is the top of a tree with a provenance record.
fn tree(folder: &Path) -> Option<Utf8PathBuf> {
    let folder = Utf8Path::from_path(folder)?;
    Provenance::place(folder).map(|_| folder.to_owned())
}

/// The RECORDs that may list the files: those beside a folder that they are in, and those of
/// environments, whose scripts lie elsewhere.
fn records_of(
    changed: &BTreeSet<PathBuf>,
    folders: &BTreeSet<&Path>,
    trees: &[Utf8PathBuf],
) -> Vec<PathBuf> {
    let is_environment = |folder: &&Path| {
        trees.iter().any(|tree| tree == *folder) || folder.join("pyvenv.cfg").is_file()
    };
    let environments = folders.iter().copied().filter(is_environment);
    let mut sites: BTreeSet<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    for environment in environments {
        let libraries = entries(&environment.join("lib"));
        sites.extend(libraries.map(|library| library.join("site-packages")));
    }
    let records: Vec<PathBuf> = sites
        .iter()
        .flat_map(|site| entries(site))
        .filter(|path| path.extension().is_some_and(|name| name == "dist-info"))
        .map(|info| info.join("RECORD"))
        .collect();
    let names: HashSet<&[u8]> = changed
        .iter()
        .filter_map(|path| Some(path.file_name()?.as_encoded_bytes()))
        .collect();
    let records = installed::without_vendored(records).into_par_iter();
    records.filter(|record| may_list(record, &names)).collect()
}

/// Returns those that were replaced.
fn amend_records(records: &[PathBuf], now: &Now) -> Result<BTreeSet<PathBuf>, IoError> {
    // Their paths are taken from the root, as a script's leads out of what was changed.
    let root = Path::new("/");
    let decide = |path: &Path| match now.get(&root.join(path)) {
        None => Line::Keep,
        Some(None) => Line::Drop,
        Some(Some(facts)) => Line::Is(*facts),
    };
    let relative: Vec<PathBuf> = records
        .iter()
        .filter_map(|record| record.strip_prefix(root).ok().map(Path::to_owned))
        .collect();
    let replaced = installed::update(root, &relative, decide, &BTreeMap::new())?;
    Ok(replaced.into_iter().map(|path| root.join(path)).collect())
}

/// Whether a RECORD has a line for a file of one of these names, as far as can be told without
/// reading each line for what it is: of a hundred packages few have a file that was changed.
fn may_list(record: &Path, names: &HashSet<&[u8]>) -> bool {
    let Ok(text) = foreign::read(record, foreign::TEXT) else {
        return record.exists();
    };
    text.split(|byte| *byte == b'\n').any(|line| {
        let path = line.split(|byte| *byte == b',').next().unwrap_or(line);
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        line.starts_with(b"\"") || names.contains(name)
    })
}

/// What is in a folder. One that cannot be read has no record that we could replace.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path())
}

/// Returns the record's place if it was replaced.
fn amend_tree(tree: &Utf8Path, now: &Now) -> Result<Option<PathBuf>, TreeError> {
    let inside = now
        .iter()
        .filter_map(|(path, facts)| Some((path.strip_prefix(tree).ok()?.to_str()?, *facts)));
    Ok(Provenance::amend(tree, &inside.collect())?.map(Into::into))
}

impl Amended {
    /// Whether no record spoke of the files.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.provenance.is_empty()
    }
}

/// As a sentence's subject and verb: `hashes in 2 RECORDs and the provenance record brought up to
/// date`.
impl fmt::Display for Amended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = match self.records.len() {
            0 => None,
            1 => Some("1 RECORD".to_owned()),
            more => Some(format!("{more} RECORDs")),
        };
        let provenance = match self.provenance.len() {
            0 => None,
            1 => Some("the provenance record".to_owned()),
            more => Some(format!("{more} provenance records")),
        };
        let both: Vec<String> = records.into_iter().chain(provenance).collect();
        write!(f, "hashes in {} brought up to date", both.join(" and "))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::core::walk::walk;
    use crate::files::tree::{Record, Tree, TreeOptions, TreePath};
    use crate::inspect::verify::verify;

    /// An environment of one package, with a script, and a record inside or beside it.
    fn environment(at: &Path, record: Record) {
        let at = Utf8Path::from_path(at).unwrap();
        let options = TreeOptions {
            record,
            ..TreeOptions::default()
        };
        let tree = Tree::stage(at, options).unwrap();
        let owner = tree.owner("foo 1", 1);
        let site = "lib/python3.14/site-packages";
        let hash = |bytes: &[u8]| {
            use sha2::Digest as _;
            data_encoding::BASE64URL_NOPAD.encode(&sha2::Sha256::digest(bytes))
        };
        let lines = format!(
            "foo/a.so,sha256={},1\nfoo/b.so,sha256={},1\n../../../bin/foo,sha256={},1\n\
             foo-1.dist-info/RECORD,,\n",
            hash(b"a"),
            hash(b"b"),
            hash(b"x"),
        );
        for (path, bytes) in [
            (format!("{site}/foo/a.so"), "a"),
            (format!("{site}/foo/b.so"), "b"),
            ("bin/foo".to_owned(), "x"),
            (format!("{site}/foo-1.dist-info/RECORD"), &lines),
        ] {
            let path = TreePath::new(path).unwrap();
            tree.file(owner, &path, 0o644, bytes.as_bytes()).unwrap();
        }
        tree.settle(true).unwrap();
        tree.finish().commit().unwrap();
    }

    fn problems(root: &Path) -> usize {
        let provenance = Provenance::of_tree(Utf8Path::from_path(root).unwrap()).unwrap();
        let report = verify(root, &walk(root).unwrap(), provenance.as_ref()).unwrap();
        assert_eq!(report.by, ["provenance", "RECORD"]);
        report.problems.len()
    }

    #[test]
    fn a_tree_whose_files_were_changed_is_what_it_says_again() {
        for record in [Record::Inside, Record::Beside] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path().canonicalize().unwrap().join("env");
            environment(&root, record);
            assert_eq!(problems(&root), 0);
            let site = root.join("lib/python3.14/site-packages");
            let changed = [site.join("foo/a.so"), root.join("bin/foo")];
            for file in &changed {
                fs::write(file, "another").unwrap();
            }
            fs::remove_file(site.join("foo/b.so")).unwrap();
            assert_eq!(problems(&root), 3);
            // By another way than the tree's own.
            let link = root.with_file_name("link");
            std::os::unix::fs::symlink(&root, &link).unwrap();
            let by_link = |path: &PathBuf| link.join(path.strip_prefix(&root).unwrap());
            let all = changed.iter().map(by_link).chain([site.join("foo/b.so")]);
            let amended = amend(all).unwrap();
            assert_eq!(amended.records, [site.join("foo-1.dist-info/RECORD")]);
            assert_eq!(
                amended.to_string(),
                "hashes in 1 RECORD and the provenance record brought up to date"
            );
            assert_eq!(problems(&root), 0);
            // Nothing is left to say.
            assert!(amend(changed).unwrap().is_empty());
        }
    }

    #[test]
    fn a_folder_of_packages_needs_no_environment_around_it() {
        let dir = tempfile::tempdir().unwrap();
        let site = dir.path().canonicalize().unwrap();
        fs::create_dir_all(site.join("foo/deep")).unwrap();
        fs::create_dir(site.join("foo-1.dist-info")).unwrap();
        fs::write(site.join("foo/deep/a.so"), "new").unwrap();
        let record = site.join("foo-1.dist-info/RECORD");
        fs::write(&record, "foo/deep/a.so,sha256=x,1\nfoo/b.py,sha256=y,1\n").unwrap();
        let amended = amend([site.join("foo/deep/a.so")]).unwrap();
        assert_eq!(amended.records, [record.as_path()]);
        assert_eq!(
            fs::read_to_string(&record).unwrap(),
            "foo/deep/a.so,sha256=EVB6Di9eadXfpApiob17buV-a82FxnybhDGzb_8hxDc,3\n\
             foo/b.py,sha256=y,1\n"
        );
    }
}
