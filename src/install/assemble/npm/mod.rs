//! A `node_modules`: the tarballs of a plan, into one tree or, in place, one tree for each
//! `node_modules` of the project.

mod commits;
pub mod current;
mod links;
mod place;
pub mod prepare;
pub mod scripts;
mod trees;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::sync::{Mutex, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use commits::of_commits;
pub use commits::{fetch_commit, revision};
use links::{Unstartable, link_folders, link_programs, unstartable};
use place::Placer;
use prepare::PrepareError;
use trees::{HIDDEN, MODULES, Trees};

use crate::core::foreign::Folder;
use crate::core::io_error::{IoError, cannot};
use crate::core::locks;
use crate::core::progress::Progress;
use crate::decide::lock::LockError;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::plan::npm::{NpmPlan, NpmSource, PlannedNpm};
use crate::files::archive::Limits;
use crate::files::tree::{
    LinkMode, Listing, PathError, Precious, Replaced, Tree, TreeError, TreePath,
};
use crate::install::build::Anew;
use crate::install::build::scripts::{OwnNode, ScriptError};
use crate::install::npm::hidden_lockfile;
use crate::install::npm::package::{Form, PackageError};
use crate::obtain::fetch::{self, DownloadRequest, FetchError};
use crate::obtain::source::GitError;
use crate::obtain::store::{Blob, Store};

/// Where packages are placed.
#[derive(Clone, Copy)]
pub enum Destination<'a> {
    /// Beside the package.json files, one tree for each `node_modules` of the project.
    InPlace,
    /// All of them in one tree, at this path.
    Folder(&'a Utf8Path),
    /// In a tree that somebody else is making, below this folder of it.
    Tree(&'a Tree, Option<&'a TreePath>),
}

/// Everything that assembling needs to know.
pub struct Request<'a> {
    /// What is placed.
    pub plan: &'a NpmPlan,
    /// The lock that it was made from.
    pub lock: &'a NpmLock,
    /// Where artifacts are kept.
    pub store: &'a Store,
    /// How they are obtained.
    pub fetch: &'a fetch::FetchOptions,
    /// Limits on archives.
    pub limits: Limits,
    /// Where everything is placed.
    pub to: Destination<'a>,
    /// Whether an environment that is there may be replaced, whoever made it.
    pub clear: bool,
    /// What no tree may replace.
    pub precious: &'a Precious,
    /// Whether npm's own record is written.
    pub hidden_lockfile: bool,
    /// How files come from the store.
    pub link: LinkMode,
    /// Git dependencies that are prepared again, by name.
    pub anew: &'a Anew,
    /// Packages whose scripts are run, by name; the project itself is [`scripts::OWN`].
    pub scripts: &'a [String],
    /// What runs them; the Node on PATH where it is not said.
    pub node: Option<&'a OwnNode>,
    /// Where packages come from whose place a lock does not say.
    pub npmrc: &'a Npmrc,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Assembled {
    /// Where the tarballs came from.
    pub fetched: fetch::Summary,
    /// How many files were written.
    pub files: u64,
    /// And bytes.
    pub bytes: u64,
    /// The folders that were made.
    pub folders: Vec<Utf8PathBuf>,
    /// What is in them, one by one, as far as no script was at work there.
    pub listings: Vec<Listing>,
    /// Git dependencies whose `prepare` scripts were not run.
    pub unprepared: Vec<String>,
    /// Packages whose install scripts were run.
    pub scripts_run: Vec<String>,
    /// What was replaced with leave.
    pub replaced: Vec<(Utf8PathBuf, Replaced)>,
}

/// An optional package whose scripts failed, and which npm leaves out then.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Its place.
    pub location: String,
    /// What its script said.
    pub why: String,
}

/// Why a `node_modules` could not be assembled.
#[derive(Debug, thiserror::Error)]
pub enum NpmAssembleError {
    /// A tarball could not be obtained.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A commit could not be obtained.
    #[error("{package}: {why}")]
    Git {
        /// The package.
        package: String,
        /// Why.
        why: GitError,
    },
    /// A link leads to a folder beside the project.
    #[error(
        "the link {0} leads to a folder outside of the project, and what is collected elsewhere would \
         not find it: leave --out out, or move that folder into the project"
    )]
    Beside(String),
    /// A script failed.
    #[error(transparent)]
    Script(#[from] ScriptError),
    /// Scripts of optional packages failed. They can be left out, by a plan made anew.
    #[error("optional packages cannot be installed: {}", .0.iter().map(|left| left.why.as_str()).collect::<Vec<_>>().join("; "))]
    Optional(Vec<LeftOut>),
    /// A git dependency was not made ready.
    #[error(
        "{package} of {url}#{commit} cannot be prepared: {why}\nleave {package} out of \
         --allow-scripts to have the commit's files as they are; or depend on a tarball that `npm \
         pack` makes of it"
    )]
    Prepare {
        /// The package.
        package: String,
        /// The repository.
        url: String,
        /// The commit.
        commit: String,
        /// Why.
        why: Box<PrepareError>,
    },
    /// A package.json cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A package could not be placed.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// The tree could not be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A path leads elsewhere.
    #[error(transparent)]
    Path(#[from] PathError),
    /// It is in a folder of somebody else's.
    #[error(
        "{0} lies outside of the project, which a link leads to: nothing is placed there; remove the link, or take \
         its workspace out of the lock"
    )]
    Outside(Utf8PathBuf),
    /// Somebody has linked it.
    #[error(
        "{0} is a link: remove it, or have what it leads to replaced with --clear, which cannot be where \
         a script of the project's own is run"
    )]
    Linked(Utf8PathBuf),
    /// A program of a workspace that is no file of the project.
    #[error(
        "{0} is a program that cannot be started as it is, and leads out of the project: make it \
         executable, with a first line that ends in LF alone, or take it out of the workspace's `bin`"
    )]
    Program(Utf8PathBuf),
    /// Something else the system says.
    #[error(transparent)]
    Io(#[from] IoError),
}

impl NpmAssembleError {
    /// Whether it is a script that failed, not that scripts cannot be run.
    pub(super) fn is_script(&self) -> bool {
        match self {
            Self::Script(why) => matches!(why, ScriptError::Failed { .. }),
            Self::Prepare { why, .. } => match &**why {
                PrepareError::Assemble(why) => why.is_script(),
                _ => false,
            },
            _ => false,
        }
    }
}

/// Fetches and places a plan.
///
/// # Errors
/// The first, in the plan's order, of what went wrong; nothing is changed then.
pub fn assemble(request: &Request<'_>) -> Result<Assembled, NpmAssembleError> {
    let plan = request.plan;
    if matches!(request.to, Destination::InPlace) {
        // What is not the project's is told before anything is done.
        unstartable(request.lock, plan)?;
    }
    let prepared = prepare::prepare(request)?;
    let trees = Trees::stage(request)?;
    let programs: BTreeSet<&str> = plan.bins.iter().map(|bin| bin.file.as_str()).collect();
    let mut bundles: HashMap<&str, Vec<&PlannedNpm>> = HashMap::new();
    for package in &plan.packages {
        if let NpmSource::Bundle(bundler) = &package.source {
            bundles.entry(bundler.as_str()).or_default().push(package);
        }
    }
    // One tarball may go to several places; it is fetched and unpacked once.
    let mut groups: Vec<Vec<&PlannedNpm>> = Vec::new();
    let mut wants: Vec<DownloadRequest<'_>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (_, package, artifact) in plan.tarballs() {
        let key = match &artifact.digest {
            Some(digest) => format!("{digest} {} {:?}", package.name, package.version),
            None => format!("{:?}", artifact.location),
        };
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            wants.push(DownloadRequest {
                package: package.name.clone(),
                artifact,
            });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.push(package);
        }
    }
    let commits = of_commits(plan);
    // A script sees its neighbours too, and may write to them: they must not be the store's files.
    let link = match (request.link, request.scripts) {
        (LinkMode::Hardlink, [_, ..]) => LinkMode::Copy,
        (link, _) => link,
    };
    let placer = Placer {
        trees: &trees,
        programs: &programs,
        bundles: &bundles,
        limits: request.limits,
        store: request.store,
        link,
        prepared: &prepared,
        unprepared: Mutex::default(),
    };
    let placing = Progress::items("Placing", (wants.len() + commits.len()) as u64);
    let fetching = Progress::bytes("Fetching", 0);
    let failures: Mutex<Vec<(usize, NpmAssembleError)>> = Mutex::default();
    let fail = |index: usize, error: NpmAssembleError| {
        let mut failures = locks::held(&failures);
        failures.push((index, error));
    };
    let commits = &commits;
    let hidden = OnceLock::new();
    let has_hidden = request.hidden_lockfile && !plan.packages.is_empty();
    let fetched = rayon::in_place_scope(|scope| {
        if has_hidden {
            // It follows from the lock alone, so nothing waits for it.
            scope.spawn(|_| {
                let _ = hidden.set(hidden_lockfile::lockfile(request.lock, plan));
            });
        }
        let on_ready = |index: usize, blob: Blob| {
            let (Some(group), Some(want)) = (groups.get(index), wants.get(index)) else {
                return;
            };
            let (placer, placing, fail) = (&placer, &placing, &fail);
            scope.spawn(move |_| {
                placing.working_on(want.package.clone());
                let name = &want.artifact.file_name;
                if let Err(error) = placer.place(&blob, name, Form::Tarball, group) {
                    fail(index, error.into());
                }
                placing.advance(1);
            });
        };
        for (index, (commit, group)) in commits.iter().enumerate() {
            let (placer, placing, fail) = (&placer, &placing, &fail);
            scope.spawn(move |_| {
                if let Err(error) = placer.place_commit(request, commit, group) {
                    fail(usize::MAX - commits.len() + index, error);
                }
                placing.advance(1);
            });
        }
        fetch::fetch(request.store, &wants, request.fetch, &fetching, &on_ready)
    });
    placing.done();
    fetching.done();
    let fetched = fetched?;
    let mut failures = locks::unlocked(failures);
    failures.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    if let Some((_, error)) = failures.pop() {
        return Err(error);
    }
    let mut unprepared = locks::unlocked(placer.unprepared);
    unprepared.sort();
    link_folders(request, &trees)?;
    link_programs(request, &trees)?;
    if let Some(text) = hidden.get() {
        let (tree, path) = trees.find(&format!("{MODULES}{HIDDEN}"))?;
        let owner = tree.owner("lockwright", u64::MAX);
        tree.file(owner, &path, 0o644, text.as_bytes())?;
    }
    // Scripts of the project's own may start what those before them have made.
    let link_made = || {
        link_programs(request, &trees)?;
        fix_programs(request)
    };
    let scripts_run = scripts::run(request, &trees, &link_made)?;
    let mut done = commit(request, trees, fetched, !scripts_run.is_empty())?;
    done.unprepared = unprepared;
    done.scripts_run = scripts_run;
    Ok(done)
}

/// Makes the project's own programs ones that can be started, as npm does.
fn fix_programs(request: &Request<'_>) -> Result<(), NpmAssembleError> {
    let mut found = unstartable(request.lock, request.plan)?.into_iter();
    found.try_for_each(Unstartable::fix)
}

fn commit(
    request: &Request<'_>,
    trees: Trees<'_>,
    fetched: fetch::Summary,
    changed: bool,
) -> Result<Assembled, NpmAssembleError> {
    let mut done = Assembled {
        fetched,
        ..Assembled::default()
    };
    let in_place = !trees.collected;
    let kept: HashSet<String> = trees.trees.keys().cloned().collect();
    // The project's own last: its record must not be older than any of the folders it speaks of.
    let (own, others): (Vec<_>, Vec<_>) = trees
        .trees
        .into_iter()
        .partition(|(prefix, _)| prefix.is_empty() || prefix == MODULES);
    for (_, tree) in others.into_iter().chain(own) {
        let (files, bytes) = tree.written();
        done.files += files;
        done.bytes += bytes;
        let replaced = tree.replaced().cloned();
        let owner = changed.then(|| tree.owner("install scripts", u64::MAX));
        let staged = tree.finish();
        match owner {
            Some(owner) if !in_place => staged.rescan(owner)?,
            Some(_) => staged.inspect()?,
            None => {}
        }
        done.listings.push(staged.listing());
        let folder = staged.commit()?;
        done.replaced
            .extend(replaced.map(|replaced| (folder.clone(), replaced)));
        done.folders.push(folder);
    }
    if !in_place {
        return Ok(done);
    }
    let folder = request.lock.folder();
    // From here on it is the project's folder itself, where its scripts may have left links.
    for package in &request.plan.packages {
        let modules = format!("{}/{MODULES}", package.location);
        if matches!(package.source, NpmSource::Folder)
            && !kept.contains(&modules)
            && let Ok(open) = Folder::open(folder).and_then(|top| top.folder(&modules))
        {
            open.empty();
            let path = folder.join(modules.trim_end_matches('/'));
            fs::remove_dir(&path).map_err(cannot("remove", &path))?;
        }
    }
    fix_programs(request)?;
    // npm believes its record while it is the newest of all.
    let record = Folder::open(folder).and_then(|top| top.file(&format!("{MODULES}{HIDDEN}")));
    if let Ok(record) = record {
        let _ = record.set_modified(std::time::SystemTime::now());
    }
    Ok(done)
}
