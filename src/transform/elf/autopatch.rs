//! A whole tree at once: what each file is to become is decided first, from what all of them are;
//! then every patch is made in memory; then, if nothing was wrong with any, they are written.

use camino::{Utf8Path, Utf8PathBuf};
use rayon::prelude::*;

use super::ElfError;
use super::facts::{ElfFacts, Kind};
use super::files::{self, ElfFile, Files};
use super::glob::Glob;
use super::libraries::Libraries;
use super::machine::Abi;
use super::paths::expand;
use super::report::{Action, Missing, Outcome, Report};
use super::resolve::{self, FoundLibrary};
use super::write::{Edit, How, Rpath, patch};

/// An entry that files are given whatever their NEEDED ask for, because they open libraries by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddRpath {
    /// The files: by their path below the root, or by their name. `None` for all.
    pub files: Option<Glob>,
    /// The entry, as it will be written.
    pub entry: String,
}

/// What [`autopatch`] goes by.
#[derive(Debug, Clone, Default)]
pub struct AutopatchOptions {
    /// Folders with the libraries that the tree does not bundle. Not searched recursively.
    pub search: Vec<Utf8PathBuf>,
    /// Libraries that may be missing.
    pub ignore_missing: Vec<Glob>,
    /// The interpreter for programs. Without it, the one in the folders to search that is called
    /// like theirs; without that, theirs.
    pub interpreter: Option<String>,
    /// Entries to add by hand.
    pub add_rpath: Vec<AddRpath>,
    /// NEEDED entries to rename first.
    pub replace_needed: Vec<(String, String)>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
}

/// What becomes of a search path that is edited by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PathEdit {
    /// It stays.
    #[default]
    Keep,
    /// It becomes this.
    Set(String),
    /// It goes.
    Remove,
    /// Folders go in which no library is that the file needs.
    Shrink,
}

/// Edits by hand, the same for each file.
#[derive(Debug, Clone, Default)]
pub struct ByHand {
    /// The search path, before entries are added.
    pub path: PathEdit,
    /// Entries to add.
    pub add_rpath: Vec<AddRpath>,
    /// The interpreter for programs.
    pub interpreter: Option<String>,
    /// NEEDED entries to rename.
    pub replace_needed: Vec<(String, String)>,
    /// Whether nothing is to be written.
    pub dry_run: bool,
}

/// Gives every file below the roots the RUNPATH that its NEEDED entries ask for, and programs their
/// interpreter, as nixpkgs' autoPatchelfHook does. Statically linked files, separate debug files and
/// files for other machines or another C library are left alone.
///
/// # Errors
/// [`ElfError::Unsatisfied`] when a NEEDED entry is met by nothing; or what is wrong with a file that
/// was named, or had to be changed. Nothing was written then.
pub fn autopatch(roots: &[Utf8PathBuf], options: &AutopatchOptions) -> Result<Report, ElfError> {
    let search = options.search.iter().map(|folder| files::absolute(folder));
    let search = search.collect::<Result<Vec<_>, _>>()?;
    let tree = Files::open(roots)?;
    let mut libraries = Libraries::new(&tree, &search);
    let targets = resolve::targets(&tree, &mut libraries);
    let libc = resolve::libc(&tree, &mut libraries, &targets);
    let mut missing = Vec::new();
    let mut planned = Vec::new();
    for (index, file) in tree.files.iter().enumerate() {
        let facts = workable(file, &targets).and_then(|facts| match (facts.libc(), libc) {
            (Some(own), Some(libc)) if own != libc => Err(Action::LeftAlone {
                reason: format!("for {own}, not {libc}"),
            }),
            _ => Ok(facts),
        });
        let facts = match facts {
            Ok(facts) => facts,
            Err(action) => {
                planned.push(Planned::left_alone(file, action));
                continue;
            }
        };
        let needed = renamed(&facts.needed, &options.replace_needed);
        let found = resolve::resolve(&tree, &mut libraries, index, file, facts, &needed);
        for entry in &found.needed {
            if let FoundLibrary::Nothing { reason } = &entry.source {
                missing.push(Missing {
                    file: file.path.clone(),
                    package: libraries.owner(index),
                    library: entry.library.clone(),
                    reason: reason.clone(),
                    ignored: options
                        .ignore_missing
                        .iter()
                        .any(|glob| glob.matches(&entry.library)),
                });
            }
        }
        let mut path = found.path;
        add_entries(&mut path, &options.add_rpath, &tree, file);
        let edit = Edit {
            rpath: rpath_edit(facts, &path),
            interpreter: interpreter(facts, options.interpreter.as_deref(), &mut libraries),
            replace_needed: options.replace_needed.clone(),
        };
        planned.push(Planned::new(file, facts, edit, found.needed));
    }
    let notes = resolve::unreachable(
        &mut libraries,
        planned.iter().flat_map(|plan| &plan.outcome.needed),
    );
    if missing.iter().any(|missing| !missing.ignored) {
        missing.retain(|missing| !missing.ignored);
        return Err(ElfError::Unsatisfied(missing));
    }
    let files = carry_out(planned, options.dry_run)?;
    Ok(Report {
        files,
        missing,
        notes,
    })
}

/// Edits every dynamically linked file below the roots in the same way.
///
/// # Errors
/// As [`autopatch`], but for what is missing: that is not looked for.
pub fn edit(roots: &[Utf8PathBuf], by_hand: &ByHand) -> Result<Report, ElfError> {
    let tree = Files::open(roots)?;
    let mut libraries = Libraries::new(&tree, &[]);
    let mut planned = Vec::new();
    for file in &tree.files {
        let facts = match workable(file, &[]) {
            Ok(facts) => facts,
            Err(action) => {
                planned.push(Planned::left_alone(file, action));
                continue;
            }
        };
        let mut path: Vec<String> = match &by_hand.path {
            PathEdit::Keep => facts.search_path().map(str::to_owned).collect(),
            PathEdit::Set(path) => vec![path.clone()],
            PathEdit::Remove => Vec::new(),
            PathEdit::Shrink => shrunk(file, facts, &mut libraries),
        };
        let added = add_entries(&mut path, &by_hand.add_rpath, &tree, file);
        let rpath = match (&by_hand.path, added) {
            (PathEdit::Keep, false) => Rpath::Keep,
            (PathEdit::Set(_), _) => Rpath::Set(path.join(":")),
            _ => rpath_edit(facts, &path),
        };
        let is_program = facts.interpreter.is_some();
        let edit = Edit {
            rpath,
            interpreter: by_hand.interpreter.clone().filter(|_| is_program),
            replace_needed: by_hand.replace_needed.clone(),
        };
        planned.push(Planned::new(file, facts, edit, Vec::new()));
    }
    Ok(Report {
        files: carry_out(planned, by_hand.dry_run)?,
        missing: Vec::new(),
        notes: Vec::new(),
    })
}

/// A file, and what is to be done to it.
struct Planned<'t> {
    file: &'t ElfFile,
    edit: Option<Edit>,
    outcome: Outcome,
}

impl<'t> Planned<'t> {
    fn left_alone(file: &'t ElfFile, action: Action) -> Self {
        Self {
            file,
            edit: None,
            outcome: Outcome::new(file, action),
        }
    }

    fn new(
        file: &'t ElfFile,
        facts: &ElfFacts,
        edit: Edit,
        needed: Vec<resolve::Resolved>,
    ) -> Self {
        let mut outcome = Outcome::new(file, Action::Unchanged);
        outcome.path_after = match &edit.rpath {
            Rpath::Keep => outcome.path_before.clone(),
            Rpath::Set(path) => Some(path.clone()),
            Rpath::Remove => None,
        };
        outcome.interpreter = edit
            .interpreter
            .clone()
            .filter(|new| facts.interpreter.as_ref() != Some(new));
        outcome.needed = needed;
        Self {
            file,
            edit: Some(edit),
            outcome,
        }
    }
}

/// Makes all patches, then writes them.
fn carry_out(planned: Vec<Planned>, dry_run: bool) -> Result<Vec<Outcome>, ElfError> {
    let made = planned.into_par_iter().map(|mut plan| {
        let Some(edit) = plan.edit.take().filter(|edit| *edit != Edit::default()) else {
            return Ok((plan, None));
        };
        let path = &plan.file.path;
        let patched = patch(&files::map(path)?, &edit).map_err(|error| error.of(path))?;
        plan.outcome.action = match patched.how {
            How::Unchanged => Action::Unchanged,
            how => Action::Patched { how },
        };
        Ok((plan, Some(patched)))
    });
    let made: Vec<_> = made.collect::<Result<_, ElfError>>()?;
    if !dry_run {
        let changes = made.iter();
        let mut changes: Vec<_> = changes
            .filter_map(|(plan, patched)| Some((plan.file, patched.as_ref()?)))
            .collect();
        // The largest first, one at a time, so that no core is left alone with one in the end.
        changes.sort_by_key(|(_, patched)| std::cmp::Reverse(patched.len));
        changes
            .into_iter()
            .par_bridge()
            .try_for_each(|(file, patched)| files::replace(file, patched))?;
    }
    Ok(made.into_iter().map(|(plan, _)| plan.outcome).collect())
}

/// The facts of a file that can be worked on, or why it is left alone.
fn workable<'t>(file: &'t ElfFile, targets: &[Abi]) -> Result<&'t ElfFacts, Action> {
    let facts = file.facts.as_ref().map_err(|error| Action::Refused {
        reason: error.to_string(),
    })?;
    let left_alone = |reason: &str| {
        Err(Action::LeftAlone {
            reason: reason.to_owned(),
        })
    };
    match facts.kind {
        Kind::Executable | Kind::Library => {}
        Kind::Static => return left_alone("statically linked"),
        Kind::Debug => return left_alone("separate debug file"),
        Kind::Object => return left_alone("object file, nothing loads it"),
        Kind::Other => return left_alone("neither program nor library"),
    }
    if !targets.is_empty() && !targets.iter().any(|target| target.takes(&facts.abi)) {
        let targets: Vec<String> = targets.iter().map(Abi::to_string).collect();
        return left_alone(&format!("for {}, not {}", facts.abi, targets.join(" or ")));
    }
    Ok(facts)
}

fn renamed(needed: &[String], renames: &[(String, String)]) -> Vec<String> {
    let rename = |name: &String| {
        let found = renames.iter().find(|(from, _)| from == name);
        found.map_or(name, |(_, to)| to).clone()
    };
    needed.iter().map(rename).collect()
}

/// Adds the entries that are meant for a file; whether there were any.
fn add_entries(
    path: &mut Vec<String>,
    additions: &[AddRpath],
    tree: &Files,
    file: &ElfFile,
) -> bool {
    let root = tree.roots.get(file.root);
    let relative = root
        .and_then(|root| file.path.strip_prefix(root).ok())
        .unwrap_or(&file.path);
    let name = file.path.file_name().unwrap_or_default();
    let is_meant = |addition: &&AddRpath| {
        let files = addition.files.as_ref();
        files.is_none_or(|glob| glob.matches(relative.as_str()) || glob.matches(name))
    };
    let before = path.len();
    for addition in additions.iter().filter(is_meant) {
        for entry in addition.entry.split(':') {
            if !path.iter().any(|known| known == entry) {
                path.push(entry.to_owned());
            }
        }
    }
    path.len() > before
}

/// The edit that makes `path` the search path. A path that is right already is not touched, be it an
/// RPATH or a RUNPATH.
fn rpath_edit(facts: &ElfFacts, path: &[String]) -> Rpath {
    let current = facts.runpath.as_ref().or(facts.rpath.as_ref());
    let wanted = path.join(":");
    match current {
        Some(current) if *current == wanted => Rpath::Keep,
        None if path.is_empty() => Rpath::Keep,
        _ if path.is_empty() => Rpath::Remove,
        _ => Rpath::Set(wanted),
    }
}

/// The interpreter that a program is to have, if it is another.
fn interpreter(
    facts: &ElfFacts,
    chosen: Option<&str>,
    libraries: &mut Libraries,
) -> Option<String> {
    let current = Utf8Path::new(facts.interpreter.as_deref()?);
    if let Some(chosen) = chosen {
        return Some(chosen.to_owned());
    }
    let name = current.file_name()?;
    let folders = libraries.search().to_vec();
    let folder = folders
        .iter()
        .find(|folder| libraries.outside(folder, name, &facts.abi).is_some())?;
    let found = folder.join(name);
    // By whatever name it goes, it is the same program.
    let same = current.canonicalize().ok().zip(found.canonicalize().ok());
    same.is_none_or(|(current, found)| current != found)
        .then(|| found.into_string())
}

/// The entries of the search path in which a needed library is found first.
fn shrunk(file: &ElfFile, facts: &ElfFacts, libraries: &mut Libraries) -> Vec<String> {
    let origin = file.path.parent().unwrap_or(&file.path);
    let mut wanted: Vec<&String> = facts.needed.iter().collect();
    let mut kept = Vec::new();
    for entry in facts.search_path() {
        let Some(folder) = expand(entry, origin) else {
            kept.push(entry.to_owned());
            continue;
        };
        let before = wanted.len();
        wanted.retain(|name| libraries.outside(&folder, name, &facts.abi).is_none());
        if wanted.len() < before {
            kept.push(entry.to_owned());
        }
    }
    kept
}
