//! RECORDs of environments that are there already, kept true when files in them are changed.
//!
//! Whoever rewrites, removes or makes files in an installed tree tells it here, so that RECORD does
//! not lie: a changed file gets its new hash and size, a removed one loses its line.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::{Layout, metadata, record, scripts};
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::temp_file;
use crate::core::walk::Node;
use crate::files::tree::FileFacts;

/// What becomes of a line of RECORD.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// It stays.
    Keep,
    /// The file was changed: its hash and size are taken anew.
    Rehash,
    /// The file was changed, and is this now.
    Is(FileFacts),
    /// The file is no more.
    Drop,
}

/// The RECORDs of a tree: paths relative to it, in order. What a package brings along in a folder of
/// its own (setuptools does) has RECORDs as well, of places where it no longer is: these are files
/// of that package like any other, and left out.
pub fn records(tree: &Node) -> Vec<PathBuf> {
    let mut records = Vec::new();
    tree.each(&mut |path, node| {
        let folder = path.parent().and_then(Path::extension);
        if path.ends_with("RECORD")
            && folder.is_some_and(|extension| extension == "dist-info")
            && matches!(node, Node::File(_))
        {
            records.push(path.to_owned());
        }
    });
    without_vendored(records)
}

/// Those whose folder of packages is not inside of another.
pub fn without_vendored(records: Vec<PathBuf>) -> Vec<PathBuf> {
    let sites: HashSet<PathBuf> = records
        .iter()
        .map(|path| site_of(path).to_owned())
        .collect();
    let is_vendored = |record: &Path| {
        let site = site_of(record);
        !site.ends_with("site-packages")
            && site.ancestors().skip(1).any(|above| sites.contains(above))
    };
    let mut records = records;
    records.retain(|record| !is_vendored(record));
    records
}

/// The files that a RECORD lists, relative to the tree. Those outside it are left out.
///
/// # Errors
/// When it cannot be read.
pub fn recorded(root: &Path, record: &Path) -> Result<Vec<PathBuf>, IoError> {
    let place = root.join(record);
    let bytes = foreign::read(&place, foreign::TEXT).map_err(cannot("read", &place))?;
    let site = site_of(record);
    Ok(String::from_utf8_lossy(&bytes)
        .lines()
        .filter_map(|line| record::within(root, site, &record::path_of(line)?))
        .collect())
}

/// What a line of RECORD says of a file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The file, relative to the tree.
    pub file: PathBuf,
    /// Its hash, as RECORD spells it; nothing for RECORD itself and for bytecode.
    pub hash: String,
    /// Its length in bytes, where it is said.
    pub size: Option<u64>,
}

impl Recorded {
    /// Whether it may be a file with these bytes. A line without a hash fits any. `known` is a digest
    /// of the bytes, where there is one already.
    pub fn fits(&self, bytes: &[u8], known: Option<&Digest>) -> bool {
        let size = self.size.is_none_or(|size| size == bytes.len() as u64);
        let hash = match record::algorithm(&self.hash) {
            _ if self.hash.is_empty() => true,
            Some(algorithm) => match known.filter(|known| known.algorithm() == algorithm) {
                Some(known) => record::is_hash(&self.hash, known),
                None => record::is_hash(&self.hash, &Digest::of(algorithm, bytes)),
            },
            None => false,
        };
        size && hash
    }
}

/// The lines of a RECORD that speak of the tree, with what they say.
///
/// # Errors
/// When it cannot be read, or is no RECORD.
pub fn lines(root: &Path, record: &Path) -> Result<Vec<Recorded>, IoError> {
    let place = root.join(record);
    let text = foreign::read(&place, foreign::TEXT).and_then(text);
    let text = text.map_err(cannot("read", &place))?;
    let site = site_of(record);
    let entries = record::parse(&text).map_err(|line| {
        let why = format!("line {line} does not have three fields");
        cannot("read", &place)(io::Error::new(io::ErrorKind::InvalidData, why))
    })?;
    let line = |entry: record::Entry| {
        Some(Recorded {
            file: record::within(root, site, &entry.path)?,
            hash: entry.hash.into_owned(),
            size: entry.size.parse().ok(),
        })
    };
    Ok(entries.into_iter().filter_map(line).collect())
}

/// The scripts of a package's entry points: name and text. The package is named by its RECORD.
///
/// # Errors
/// With the file and the line, when one is not an entry point.
pub fn launchers(
    root: &Path,
    record: &Path,
    layout: &Layout,
) -> Result<Vec<(String, String)>, (PathBuf, String)> {
    Ok(entry_points(root, record)?
        .into_iter()
        .map(|entry| {
            let text = scripts::launcher(layout, &entry);
            (entry.name, text)
        })
        .collect())
}

/// The names of those scripts.
///
/// # Errors
/// As [`launchers`].
pub fn launcher_names(root: &Path, record: &Path) -> Result<HashSet<String>, (PathBuf, String)> {
    let entries = entry_points(root, record)?.into_iter();
    Ok(entries.map(|entry| entry.name).collect())
}

/// A package's entry points; not every package has the file.
fn entry_points(
    root: &Path,
    record: &Path,
) -> Result<Vec<metadata::EntryPoint>, (PathBuf, String)> {
    let file = root.join(record).with_file_name("entry_points.txt");
    let text = match foreign::read(&file, foreign::TEXT).and_then(text) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err((file, error.to_string())),
    };
    metadata::scripts(&text).map_err(|line| (file, line))
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn site_of(record: &Path) -> &Path {
    let folder = record.parent().and_then(Path::parent);
    folder.unwrap_or(Path::new(""))
}

/// Goes through every line of these RECORDs of the tree at `root`, and does with it as `decide` says
/// of its path, which is relative to the tree. `more` are lines to be added: for a RECORD, the paths
/// of files that came to its package. Returns which RECORDs were replaced.
///
/// # Errors
/// When a RECORD or a file in it cannot be read, or a RECORD not be replaced.
pub fn update(
    root: &Path,
    records: &[PathBuf],
    decide: impl Fn(&Path) -> Line + Sync,
    more: &BTreeMap<PathBuf, Vec<PathBuf>>,
) -> Result<Vec<PathBuf>, IoError> {
    let changed = records.par_iter().map(|path| {
        let more = more.get(path).map_or(&[][..], Vec::as_slice);
        Ok(update_one(root, path, &decide, more)?.then(|| path.clone()))
    });
    let changed: Vec<_> = changed.collect::<Result<_, IoError>>()?;
    Ok(changed.into_iter().flatten().collect())
}

fn update_one(
    root: &Path,
    path: &Path,
    decide: &impl Fn(&Path) -> Line,
    more: &[PathBuf],
) -> Result<bool, IoError> {
    let place = root.join(path);
    let old = foreign::read(&place, foreign::TEXT).map_err(cannot("read", &place))?;
    let Ok(old) = String::from_utf8(old) else {
        return Ok(false);
    };
    let site = site_of(path);
    let mut new = String::with_capacity(old.len());
    for line in old.split_inclusive('\n') {
        let recorded = record::path_of(line.trim_end_matches(['\r', '\n']));
        let file = recorded
            .as_deref()
            .and_then(|recorded| record::within(root, site, recorded));
        match (file.as_deref().map_or(Line::Keep, decide), recorded, file) {
            (Line::Drop, ..) => {}
            (Line::Rehash, Some(recorded), Some(file)) => {
                new.push_str(&line_of(root, &recorded, &file)?);
            }
            (
                Line::Is(FileFacts {
                    sha256: Some(sha256),
                    size,
                    ..
                }),
                Some(recorded),
                _,
            ) => {
                let entry = record::Entry::stated(recorded.into_owned(), &sha256, size);
                new.push_str(&record::write(vec![entry]));
            }
            _ => new.push_str(line),
        }
    }
    if !more.is_empty() && !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    for file in more {
        new.push_str(&line_of(root, &relative(site, file), file)?);
    }
    if new == old {
        return Ok(false);
    }
    temp_file::rewrite(&place, new.as_bytes()).map_err(cannot("replace", &place))?;
    Ok(true)
}

fn line_of(root: &Path, recorded: &str, file: &Path) -> Result<String, IoError> {
    let file = root.join(file);
    let bytes = foreign::read(&file, foreign::WHOLE).map_err(cannot("read", &file))?;
    Ok(record::write(vec![record::Entry::of(recorded, &bytes)]))
}

/// How RECORD names a file of the tree: relative to site-packages.
fn relative(site: &Path, file: &Path) -> String {
    let common = site
        .components()
        .zip(file.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = site.components().skip(common).map(|_| "..");
    let down = file.components().skip(common);
    let parts: Vec<_> = up
        .map(std::borrow::Cow::Borrowed)
        .chain(down.map(|part| part.as_os_str().to_string_lossy().into_owned().into()))
        .collect();
    parts.join("/")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;
    use crate::core::walk::walk;

    #[test]
    fn what_a_package_brings_along_is_not_installed() {
        let all = [
            "site-packages/a-1.dist-info/RECORD",
            "site-packages/a/_vendor/b-1.dist-info/RECORD",
            "site-packages/venv/lib/python3.14/site-packages/c-1.dist-info/RECORD",
            "other/d-1.dist-info/RECORD",
        ]
        .map(PathBuf::from);
        let [a, _, c, d] = all.clone();
        assert_eq!(without_vendored(all.to_vec()), [a, c, d]);
    }

    #[test]
    fn entry_points_that_cannot_be_read_are_not_taken_for_none() {
        let dir = tempfile::tempdir().unwrap();
        let record = Path::new("a-1.dist-info/RECORD");
        let file = dir.path().join(record).with_file_name("entry_points.txt");
        fs::create_dir(file.parent().unwrap()).unwrap();
        assert!(launcher_names(dir.path(), record).unwrap().is_empty());
        fs::write(&file, b"[console_scripts]\n\xff = a:b\n").unwrap();
        let (said, _) = launcher_names(dir.path(), record).unwrap_err();
        assert_eq!(said, file);
    }

    #[test]
    fn changed_files_are_hashed_anew_removed_ones_dropped_and_new_ones_added() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        let site = root.join("lib/python3.14/site-packages");
        fs::create_dir_all(site.join("foo-1.dist-info")).unwrap();
        fs::create_dir_all(root.join("bin")).unwrap();
        for (path, text) in [("a, b.py", "new"), ("c.py", "c")] {
            fs::write(site.join(path), text).unwrap();
        }
        fs::write(root.join("bin/foo"), "#!x").unwrap();
        let record = site.join("foo-1.dist-info/RECORD");
        fs::write(
            &record,
            "\"a, b.py\",sha256=old,3\r\nc.py,sha256=c,1\r\n../../../bin/gone,sha256=x,1\r\n\
             ../../../../out,,\r\nfoo-1.dist-info/RECORD,,\r\n",
        )
        .unwrap();
        let tree = walk(root).unwrap();
        let at = PathBuf::from("lib/python3.14/site-packages/foo-1.dist-info/RECORD");
        let changed = update(
            root,
            &records(&tree),
            |path| match path.file_name().and_then(|name| name.to_str()) {
                Some("a, b.py") => Line::Rehash,
                Some("gone" | "out") => Line::Drop,
                _ => Line::Keep,
            },
            &BTreeMap::from([(at.clone(), vec![PathBuf::from("bin/foo")])]),
        );
        assert_eq!(changed.unwrap(), [at]);
        assert_eq!(
            fs::read_to_string(&record).unwrap(),
            format!(
                "\"a, b.py\",{},3\nc.py,sha256=c,1\r\n../../../../out,,\r\n\
                 foo-1.dist-info/RECORD,,\r\n../../../bin/foo,{},3\n",
                record::hash(b"new"),
                record::hash(b"#!x")
            )
        );
        let none = BTreeMap::new();
        assert_eq!(
            update(root, &records(&tree), |_| Line::Keep, &none).unwrap(),
            [""; 0].map(PathBuf::from)
        );
    }
}
