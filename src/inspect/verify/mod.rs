//! Whether a tree is as it was made.
//!
//! Three things may say what a tree should hold: its provenance record, written when it was
//! assembled (every file with mode, size and digest); the RECORDs of its Python packages, which other
//! installers write too; and npm's hidden lockfile, which names packages alone. Whatever is there is
//! checked against the disk, and what is on the disk besides is told apart: bytecode beside its source
//! and caches are known for what they are, everything else is extra. With a lock, [`mismatch`] says
//! which packages are not the ones it names.

mod known;
pub mod mismatch;
pub mod report;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;
use serde::Serialize;

use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::walk::Node;
use crate::files::tree::Provenance;
use crate::files::tree::{Content, FileFacts};
use crate::install::owners::Owners;
use crate::install::python::installed::{self, Recorded};
use known::{Known, known};

/// What was found out about a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// What said what it should hold: `provenance`, `RECORD`, `.package-lock.json`.
    pub by: Vec<&'static str>,
    /// How many files and links were checked against it.
    pub checked: usize,
    /// Bytecode beside its source, which Python writes by itself.
    pub bytecode: usize,
    /// Files in folders that tools keep their caches in.
    pub caches: usize,
    /// What is not as it was.
    pub problems: Vec<Problem>,
    /// What is not as a lock has it.
    pub mismatches: Vec<mismatch::Mismatch>,
}

impl Report {
    /// Whether everything is as it should be.
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty() && self.mismatches.is_empty()
    }

    /// Takes over what was found out about a tree that is in this one, at `place`.
    pub fn absorb(&mut self, place: &Path, other: Self) {
        for by in other.by {
            if !self.by.contains(&by) {
                self.by.push(by);
            }
        }
        self.checked += other.checked;
        self.bytecode += other.bytecode;
        self.caches += other.caches;
        self.mismatches.extend(other.mismatches);
        self.problems
            .extend(other.problems.into_iter().map(|problem| Problem {
                path: shown(&place.join(&problem.path)),
                ..problem
            }));
    }
}

/// Something that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Problem {
    /// Where, relative to the tree.
    pub path: String,
    /// What it is.
    pub kind: ProblemKind,
    /// Whose file it is, as `name version`.
    pub package: Option<String>,
    /// What is wrong, in words.
    pub says: String,
}

/// How something is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// It is not there.
    Missing,
    /// It has other bytes, leads elsewhere, or is of another kind.
    Altered,
    /// It has other permissions.
    Mode,
    /// Nothing says that it should be there.
    Extra,
    /// RECORD says something else of it than is there, and than was placed.
    Record,
}

/// Why a tree cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// Nothing says what should be there.
    #[error(
        "nothing says what {} should hold: it has no provenance record, no RECORD and no \
         node_modules/.package-lock.json; assemble it with `lockwright sync`", .0.display()
    )]
    Nothing(PathBuf),
    /// A file cannot be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file is not what its name says.
    #[error("{} is damaged: {why}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How.
        why: String,
    },
}

/// What is in a tree, folders aside, by its path: as bytes, which are compared far faster than paths are.
type Found<'a> = HashMap<OsString, &'a Node>;

/// What is said of one path.
#[derive(Default)]
struct Claim<'a> {
    placed: Option<&'a Content>,
    recorded: Vec<Recorded>,
}

/// Holds a tree, already walked, against everything that says what it should hold.
///
/// # Errors
/// When nothing does, or something cannot be read.
pub fn verify(
    root: &Path,
    tree: &Node,
    provenance: Option<&Provenance>,
) -> Result<Report, VerifyError> {
    let mut found = Found::new();
    tree.each(&mut |path, node| {
        if !matches!(node, Node::Folder(_)) {
            found.insert(path.as_os_str().to_owned(), node);
        }
    });
    let mut report = Report::default();
    let mut claims: HashMap<OsString, Claim<'_>> = HashMap::with_capacity(found.len());
    if let Some(provenance) = provenance {
        report.by.push("provenance");
        for entry in &provenance.entries {
            let path = OsString::from(entry.path.as_str());
            claims.entry(path).or_default().placed = Some(&entry.content);
        }
    }
    let records = installed::records(tree);
    if !records.is_empty() {
        report.by.push("RECORD");
    }
    let lines = records
        .par_iter()
        .map(|record| installed::lines(root, record));
    for line in lines.collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        claims
            .entry(line.file.clone().into_os_string())
            .or_default()
            .recorded
            .push(line);
    }
    let hidden = mismatch::hidden(root, &mut report)?;
    if report.by.is_empty() {
        return Err(VerifyError::Nothing(root.to_owned()));
    }
    let names = Names {
        root,
        tree,
        provenance,
        known: OnceLock::new(),
    };
    report.checked += claims.len();
    let problems = claims
        .par_iter()
        .map(|(path, claim)| {
            let node = found.get(path).copied();
            check(root, Path::new(path), claim, node, &names)
        })
        .collect::<Result<Vec<_>, VerifyError>>()?;
    report.problems.extend(problems.into_iter().flatten());
    let unclaimed = found.keys().filter(|path| !claims.contains_key(*path));
    let whole = provenance.is_some();
    for path in unclaimed.map(Path::new) {
        let is_owned = path.ancestors().any(|above| hidden.contains(above));
        match known(path, &found, whole) {
            Some(Known::Bytecode) => report.bytecode += 1,
            Some(Known::Cache) => report.caches += 1,
            Some(Known::Own) => {}
            // Of npm's own trees only the packages are known, not their files.
            None if is_owned && !whole => {}
            None => report.problems.push(Problem {
                kind: ProblemKind::Extra,
                package: None,
                says: String::from("nothing says that it should be here"),
                path: shown(path),
            }),
        }
    }
    report.problems.sort();
    Ok(report)
}

/// Whose a file is: by the provenance record, or else by the tree's own RECORDs. Found out when it is asked for.
struct Names<'a> {
    root: &'a Path,
    tree: &'a Node,
    provenance: Option<&'a Provenance>,
    known: OnceLock<(Owners, HashMap<&'a str, &'a str>)>,
}

impl Names<'_> {
    fn of(&self, path: &Path) -> Option<String> {
        let (owners, placed) = self.known.get_or_init(|| {
            let placed = self.provenance.into_iter().flat_map(|provenance| {
                let name = |owner: usize| provenance.owners.get(owner).map(String::as_str);
                (provenance.entries.iter())
                    .filter_map(move |entry| Some((entry.path.as_str(), name(entry.owner)?)))
            });
            let owners = Owners::of_walked(self.root, self.tree);
            (owners, placed.collect())
        });
        let placed = path.to_str().and_then(|path| placed.get(path).copied());
        placed.or_else(|| owners.of(path)).map(str::to_owned)
    }
}

/// All bytes of a file, or of what a link leads to, wherever that is: they are compared, and go nowhere else.
fn bytes_of(place: &Path, file: Option<&crate::core::walk::File>) -> io::Result<Vec<u8>> {
    let (file, size) = match file {
        Some(file) => (foreign::open(place)?, file.size),
        None => {
            let file = foreign::open_through_links(place)?;
            let size = file.metadata()?.len();
            (file, size)
        }
    };
    let mut bytes = vec![
        0;
        usize::try_from(size)
            .unwrap_or(usize::MAX)
            .saturating_add(1)
    ];
    let mut length = 0;
    // One that has become longer is another in any case.
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match (&file).read(room) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length as u64 == size {
            break;
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn check(
    root: &Path,
    path: &Path,
    claim: &Claim<'_>,
    node: Option<&Node>,
    names: &Names<'_>,
) -> Result<Option<Problem>, VerifyError> {
    let problem = |kind, says: String| {
        Ok(Some(Problem {
            kind,
            says,
            package: names.of(path),
            path: shown(path),
        }))
    };
    let Some(node) = node else {
        return problem(ProblemKind::Missing, String::from("it is not there"));
    };
    let (file, target) = match node {
        Node::File(file) => (Some(file), None),
        Node::Link(target) => (None, Some(target)),
        Node::Folder(_) => return problem(ProblemKind::Altered, String::from("it is a folder")),
    };
    match (claim.placed, target) {
        (Some(Content::Link(wanted)), Some(target)) => {
            return match target.to_str() == Some(wanted) {
                true => Ok(None),
                false => problem(
                    ProblemKind::Altered,
                    format!("it leads to {}, not to {wanted}", target.to_string_lossy()),
                ),
            };
        }
        (Some(Content::Link(wanted)), None) => {
            return problem(
                ProblemKind::Altered,
                format!("it is a file, not a link to {wanted}"),
            );
        }
        (Some(Content::File(_)), Some(target)) => {
            let target = target.to_string_lossy();
            return problem(
                ProblemKind::Altered,
                format!("it is a link to {target}, not a file"),
            );
        }
        // What a RECORD lists may be a link; what it leads to is hashed.
        (None, Some(_)) | (Some(Content::File(_)) | None, None) => {}
    }
    let needs_bytes = claim.placed.is_some()
        || claim
            .recorded
            .iter()
            .any(|r| !r.hash.is_empty() || r.size.is_some());
    if !needs_bytes {
        return Ok(None);
    }
    let place = root.join(path);
    let bytes = match bytes_of(&place, file) {
        Err(_) if file.is_none() => {
            return problem(
                ProblemKind::Altered,
                String::from("it is a link that leads to no file"),
            );
        }
        bytes => bytes.map_err(cannot("read", &place))?,
    };
    let mut digest = None;
    if let Some(Content::File(facts)) = claim.placed {
        let found = Digest::of(Algorithm::Sha256, &bytes);
        if let Some(says) = differs(facts, &bytes, &found) {
            return problem(ProblemKind::Altered, says);
        }
        digest = Some(found);
        let mode = file.map_or(0, |file| file.mode);
        if u32::from(facts.mode) != mode {
            let says = format!("its mode is {mode:o}, not {:o}", facts.mode);
            return problem(ProblemKind::Mode, says);
        }
    }
    // Of packages that bring one path with different bytes, one's are there; who says nothing of
    // its hash has no say.
    let (hashed, plain): (Vec<_>, Vec<_>) =
        (claim.recorded.iter()).partition(|line| !line.hash.is_empty());
    let lines = if hashed.is_empty() { plain } else { hashed };
    if lines.iter().any(|line| line.fits(&bytes, digest.as_ref())) {
        return Ok(None);
    }
    match lines.first() {
        None => Ok(None),
        Some(_) if claim.placed.is_some() => problem(
            ProblemKind::Record,
            String::from("it is as it was placed, and RECORD says otherwise"),
        ),
        Some(line) => {
            let says = match line.size {
                Some(size) if size != bytes.len() as u64 => {
                    format!("it has {} bytes, and RECORD says {size}", bytes.len())
                }
                _ => String::from("its bytes are not those that RECORD says"),
            };
            problem(ProblemKind::Altered, says)
        }
    }
}

fn differs(facts: &FileFacts, bytes: &[u8], digest: &Digest) -> Option<String> {
    if facts.size != bytes.len() as u64 {
        return Some(format!("it has {} bytes, not {}", bytes.len(), facts.size));
    }
    let is_same = facts.sha256.is_none_or(|sha256| digest.bytes() == sha256);
    (!is_same).then(|| String::from("its bytes are others, of the same length"))
}

/// A path as it is shown.
pub(crate) fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
