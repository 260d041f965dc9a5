//! A `node_modules`: the tarballs of a plan, into one tree or, in place, one tree for each
//! `node_modules` of the project.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};
use indexmap::IndexMap;
use serde::Serialize;

use super::npm_prepare::{self, PrepareError, Prepared};
use super::npm_scripts;
use crate::archive::{Limits, tar};
use crate::build::scripts::ScriptError;
use crate::fetch::{self, FetchError, Want};
use crate::lock::LockError;
use crate::lock::npm::NpmLock;
use crate::lock::npmrc::Npmrc;
use crate::npm::hidden;
use crate::npm::package::{Expected, Form, Package, PackageError, Shared};
use crate::plan::npm::{GitPackage, NpmPlan, NpmSource, PlannedNpm};
use crate::source::git::{self, GitError, GitTree, Revision};
use crate::store::{Blob, Loose, Store};
use crate::tree::{
    LinkMode, Options, Owner, PathError, Record, Replace, Tree, TreeError, TreePath,
};
use crate::ui::Progress;

/// The name of npm's own record.
pub(super) const HIDDEN: &str = ".package-lock.json";
pub(super) const MODULES: &str = "node_modules/";

/// Everything that assembling needs to know.
pub struct Request<'a> {
    /// What is placed.
    pub plan: &'a NpmPlan,
    /// The lock that it was made from.
    pub lock: &'a NpmLock,
    /// Where artifacts are kept.
    pub store: &'a Store,
    /// How they are had.
    pub fetch: &'a fetch::Options,
    /// What an archive may amount to.
    pub limits: Limits,
    /// Where everything is collected; `None`: in place, beside the package.json files.
    pub out: Option<&'a Utf8Path>,
    /// Whether what is there may be replaced whatever it is.
    pub clear: bool,
    /// Whether npm's own record is written.
    pub hidden_lockfile: bool,
    /// How files come from the store.
    pub link: LinkMode,
    /// Packages whose scripts are run, by name; the project itself is [`npm_scripts::OWN`].
    pub scripts: &'a [String],
    /// Where packages are had from whose place a lock does not say.
    pub npmrc: &'a Npmrc,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Assembled {
    /// Where the tarballs came from.
    pub fetched: fetch::Summary,
    /// How many files were written.
    pub files: u64,
    /// And bytes.
    pub bytes: u64,
    /// The folders that were made.
    pub folders: Vec<Utf8PathBuf>,
    /// Git dependencies whose `prepare` scripts were not run.
    pub unprepared: Vec<String>,
    /// Packages whose install scripts were run.
    pub scripts_run: Vec<String>,
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
    /// A tarball could not be had.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A commit could not be had.
    #[error("{package}: {why}")]
    Git {
        /// The package.
        package: String,
        /// Why.
        why: GitError,
    },
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
    /// Somebody has linked it.
    #[error(
        "{0} is a link: remove it, or have what it leads to replaced with --clear, which cannot be where \
         a script of the project's own is run"
    )]
    Linked(Utf8PathBuf),
    /// Something else the system says.
    #[error("cannot {doing} {path}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// With what.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
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

/// The trees that are being made, by what their paths lack of the project's.
pub(super) struct Trees {
    pub(super) trees: BTreeMap<String, Tree>,
    pub(super) collected: bool,
}

impl Trees {
    fn stage(request: &Request<'_>) -> Result<Self, NpmAssembleError> {
        let mut trees = BTreeMap::new();
        if let Some(out) = request.out {
            let options = Options {
                replace: if request.clear {
                    Replace::Anything
                } else {
                    Replace::Ours
                },
                record: Record::Beside,
            };
            trees.insert(String::new(), Tree::stage(out, options)?);
            return Ok(Self {
                trees,
                collected: true,
            });
        }
        let mut prefixes: HashSet<&str> = HashSet::from([MODULES]);
        for package in &request.plan.packages {
            prefixes.extend(modules_of(package.location.as_str()));
        }
        for prefix in prefixes {
            let dest = request.lock.folder().join(prefix.trim_end_matches('/'));
            let linked = fs::symlink_metadata(&dest).is_ok_and(|meta| meta.is_symlink());
            if linked && !request.clear {
                return Err(NpmAssembleError::Linked(dest));
            }
            // A node_modules is npm's to replace, and so ours.
            let options = Options {
                replace: Replace::Anything,
                record: Record::Nowhere,
            };
            trees.insert(prefix.to_owned(), Tree::stage(&dest, options)?);
        }
        Ok(Self {
            trees,
            collected: false,
        })
    }

    /// The tree that a place of the project is in, what its paths lack, and the place there.
    pub(super) fn find(&self, place: &str) -> Option<(&Tree, &str, TreePath)> {
        let prefix = match self.collected {
            true => "",
            false => modules_of(place)?,
        };
        let (prefix, tree) = self.trees.get_key_value(prefix)?;
        let rest = TreePath::new(place.strip_prefix(prefix.as_str())?).ok()?;
        Some((tree, prefix, rest))
    }
}

/// `packages/a/node_modules/`, of whatever is in there.
fn modules_of(place: &str) -> Option<&str> {
    let at = place.find(MODULES)?;
    (at == 0 || place.get(..at)?.ends_with('/')).then_some(())?;
    place.get(..at + MODULES.len())
}

/// Fetches and places a plan.
///
/// # Errors
/// The first, in the plan's order, of what went wrong; nothing is changed then.
pub fn assemble(request: &Request<'_>) -> Result<Assembled, NpmAssembleError> {
    let plan = request.plan;
    let prepared = npm_prepare::prepare(request)?;
    let trees = Trees::stage(request)?;
    let programs: HashSet<&str> = plan.bins.iter().map(|bin| bin.file.as_str()).collect();
    let mut bundles: HashMap<&str, Vec<&PlannedNpm>> = HashMap::new();
    for package in &plan.packages {
        if let NpmSource::Bundle(bundler) = &package.source {
            bundles.entry(bundler.as_str()).or_default().push(package);
        }
    }
    // One tarball may go to several places; it is fetched and unpacked once.
    let mut groups: Vec<Vec<&PlannedNpm>> = Vec::new();
    let mut wants: Vec<Want<'_>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    for (_, package, artifact) in plan.tarballs() {
        let key = match &artifact.digest {
            Some(digest) => format!("{digest} {} {:?}", package.name, package.version),
            None => format!("{:?}", artifact.location),
        };
        let group = *known.entry(key).or_insert_with(|| {
            groups.push(Vec::new());
            wants.push(Want {
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
    let placer = Placer {
        trees: &trees,
        programs: &programs,
        bundles: &bundles,
        limits: request.limits,
        store: request.store,
        link: request.link,
        prepared: &prepared,
        unprepared: Mutex::default(),
    };
    let placing = Progress::items("Placing", (wants.len() + commits.len()) as u64);
    let fetching = Progress::bytes("Fetching", 0);
    let failures: Mutex<Vec<(usize, NpmAssembleError)>> = Mutex::default();
    let fail = |index: usize, error: NpmAssembleError| {
        let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push((index, error));
    };
    let commits = &commits;
    let fetched = rayon::in_place_scope(|scope| {
        let on_ready = |index: usize, blob: Blob| {
            let (Some(group), Some(want)) = (groups.get(index), wants.get(index)) else {
                return;
            };
            let (placer, placing, fail) = (&placer, &placing, &fail);
            scope.spawn(move |_| {
                placing.working_on(want.package.clone());
                let name = &want.artifact.file_name;
                // A script may write into its package's files, which must not be the store's.
                let is_copied = placer.link == LinkMode::Copy
                    || blob.digest.algorithm().is_weak()
                    || request.scripts.contains(&want.package);
                let placed = match is_copied {
                    true => placer.place(&blob, name, Form::Tarball, group),
                    false => placer.share(&blob, name, group),
                };
                if let Err(error) = placed {
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
    let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    failures.sort_by_key(|(index, _)| std::cmp::Reverse(*index));
    if let Some((_, error)) = failures.pop() {
        return Err(error);
    }
    drop(failures);
    let unprepared = placer.unprepared.into_inner();
    let mut unprepared = unprepared.unwrap_or_else(PoisonError::into_inner);
    unprepared.sort();
    link_folders(request, &trees)?;
    link_programs(request, &trees)?;
    if request.hidden_lockfile
        && !plan.packages.is_empty()
        && let Some((tree, _, path)) = trees.find(&format!("{MODULES}{HIDDEN}"))
    {
        let text = hidden::lockfile(request.lock, plan);
        let owner = tree.owner("lockwright", u64::MAX);
        tree.file(owner, &path, 0o644, text.as_bytes())?;
    }
    let scripts_run = npm_scripts::run(request, &trees, &|| link_programs(request, &trees))?;
    let mut done = commit(request, trees, fetched, !scripts_run.is_empty())?;
    done.unprepared = unprepared;
    done.scripts_run = scripts_run;
    Ok(done)
}

struct Placer<'a> {
    trees: &'a Trees,
    programs: &'a HashSet<&'a str>,
    bundles: &'a HashMap<&'a str, Vec<&'a PlannedNpm>>,
    limits: Limits,
    store: &'a Store,
    link: LinkMode,
    prepared: &'a Prepared<'a>,
    unprepared: Mutex<Vec<String>>,
}

/// The packages that come from git, by commit.
pub(super) fn of_commits(plan: &NpmPlan) -> Vec<(&GitPackage, Vec<&PlannedNpm>)> {
    let mut groups: IndexMap<(&GitPackage, &str), Vec<&PlannedNpm>> = IndexMap::new();
    for package in &plan.packages {
        if let NpmSource::Git(commit) = &package.source {
            let group = groups.entry((commit, package.name.as_str()));
            group.or_default().push(package);
        }
    }
    let groups = groups.into_iter();
    groups.map(|((commit, _), group)| (commit, group)).collect()
}

impl Placer<'_> {
    /// Brings a commit into the store, and places what npm would pack of it.
    fn place_commit(
        &self,
        request: &Request<'_>,
        commit: &GitPackage,
        group: &[&PlannedNpm],
    ) -> Result<(), NpmAssembleError> {
        let name = group.first().map_or("", |package| &package.name);
        if let Some(tarball) = self.prepared.get(commit) {
            let label = format!("{name} prepared from {}#{}", commit.url, commit.commit);
            return Ok(self.place(tarball, &label, Form::Tarball, group)?);
        }
        let tree = fetch_commit(request.store, name, commit, request.fetch)?;
        let label = format!("{name} of {}#{}", commit.url, commit.commit);
        let form = Form::Checkout(&commit.folder);
        Ok(self.place(&tree.archive, &label, form, group)?)
    }

    /// Shares a tarball's files, unpacked in the store, with wherever it goes.
    fn share(
        &self,
        blob: &Blob,
        file_name: &str,
        group: &[&PlannedNpm],
    ) -> Result<(), PackageError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let expected = Expected {
            archive: file_name,
            name: &first.name,
            version: first.version.as_deref(),
        };
        let shared = match self.store.unpacked(&blob.digest, Shared::FORM) {
            Some(unpacked) => Shared::check(unpacked, &expected)?,
            None => {
                let packed = blob.map()?;
                tar::unpack(&packed, file_name, &self.limits, |bytes| {
                    let package = Package::read(bytes, Form::Tarball, &expected, &self.limits)?;
                    let files = package.files();
                    let unpacked = self.store.unpack(&blob.digest, Shared::FORM, files)?;
                    Shared::check(unpacked, &expected)
                })?
            }
        };
        for planned in group {
            let place = planned.location.as_str();
            self.check_bundles(file_name, place, &|inner, expected| {
                shared.bundles(inner, expected)
            })?;
            let Some((tree, _, at)) = self.trees.find(place) else {
                continue;
            };
            let programs = self.programs_of(place);
            shared.place(tree, owner(tree, planned), &at, &programs, self.link)?;
        }
        Ok(())
    }

    /// The files of a package at a place that programs link to.
    fn programs_of(&self, place: &str) -> Vec<&str> {
        let programs = self.programs.iter();
        programs
            .filter_map(|file| file.strip_prefix(place)?.strip_prefix('/'))
            .collect()
    }

    /// Whether a package at a place brings the others that it bundles.
    fn check_bundles(
        &self,
        file_name: &str,
        place: &str,
        bundles: &dyn Fn(&str, &Expected<'_>) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        for bundled in self.bundles.get(place).into_iter().flatten() {
            let inner = bundled.location.as_str().get(place.len() + 1..);
            let expected = Expected {
                archive: file_name,
                name: &bundled.name,
                version: bundled.version.as_deref(),
            };
            bundles(inner.unwrap_or_default(), &expected)?;
        }
        Ok(())
    }

    /// Reads a tarball: its loose form, when it was in the store before.
    fn unpack(
        &self,
        blob: &Blob,
        file_name: &str,
        read: impl FnOnce(&[u8]) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        if !blob.is_new
            && let Some(loose) = self.store.loose(&blob.digest, Loose::Tar)
        {
            tar::check_size(loose.len() as u64, blob.size, file_name, &self.limits)?;
            return read(&loose);
        }
        let packed = blob.map()?;
        tar::unpack(&packed, file_name, &self.limits, |bytes| {
            if !blob.is_new && tar::is_packed(&packed) {
                // It costs time alone when it cannot be kept.
                let write = |file: &mut fs::File| file.write_all(bytes);
                let _ = self.store.keep_loose(&blob.digest, Loose::Tar, write);
            }
            read(bytes)
        })
    }

    /// Unpacks a tarball once, and places it wherever it goes.
    fn place(
        &self,
        blob: &Blob,
        file_name: &str,
        form: Form<'_>,
        group: &[&PlannedNpm],
    ) -> Result<(), PackageError> {
        let Some(first) = group.first() else {
            return Ok(());
        };
        let expected = Expected {
            archive: file_name,
            name: &first.name,
            version: first.version.as_deref(),
        };
        self.unpack(blob, file_name, |bytes| {
            let package = Package::read(bytes, form, &expected, &self.limits)?;
            if package.has_prepare {
                let mut all = self
                    .unprepared
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                all.extend(group.iter().map(|planned| planned.location.to_string()));
            }
            for planned in group {
                let place = planned.location.as_str();
                self.check_bundles(file_name, place, &|inner, expected| {
                    package.bundles(inner, expected)
                })?;
                let Some((tree, _, at)) = self.trees.find(place) else {
                    continue;
                };
                let owner = owner(tree, planned);
                package.place(tree, owner, &at, &self.programs_of(place))?;
            }
            Ok(())
        })
    }
}

/// What is had of a commit.
pub fn revision(commit: &GitPackage) -> Revision {
    Revision {
        url: commit.url.clone(),
        rev: commit.commit.clone(),
        submodules: true,
    }
}

/// The files of a commit, in the store.
///
/// # Errors
/// When they cannot be had.
pub fn fetch_commit(
    store: &Store,
    package: &str,
    commit: &GitPackage,
    options: &fetch::Options,
) -> Result<GitTree, NpmAssembleError> {
    let revision = revision(commit);
    git::fetch(store, &revision, options).map_err(|why| NpmAssembleError::Git {
        package: package.to_owned(),
        why,
    })
}

/// What is deeper wins: a package of the lock over what another one's tarball brings for its place.
fn owner(tree: &Tree, package: &PlannedNpm) -> Owner {
    let version = package.version.as_deref().unwrap_or_default();
    let depth = package.location.as_str().matches('/').count();
    let label = format!("{} {version} ({})", package.name, package.location);
    tree.owner(&label, depth as u64)
}

/// Links to workspaces and other folders of the project.
fn link_folders(request: &Request<'_>, trees: &Trees) -> Result<(), NpmAssembleError> {
    for package in &request.plan.packages {
        if let NpmSource::Link(target) = &package.source
            && let Some((tree, _, path)) = trees.find(package.location.as_str())
        {
            let target = relative(package.location.as_str(), target.as_str());
            tree.link_anywhere(owner(tree, package), &path, &target)?;
        }
    }
    Ok(())
}

/// Links to the programs whose files are there.
fn link_programs(request: &Request<'_>, trees: &Trees) -> Result<(), NpmAssembleError> {
    for bin in &request.plan.bins {
        let Some((tree, _, path)) = trees.find(bin.link.as_str()) else {
            continue;
        };
        let file = match real_file(request, bin.file.as_str()) {
            Some(file) => file,
            None => match trees.find(bin.file.as_str()) {
                Some((tree, _, file)) => tree.root().join(file.as_str()),
                None => continue,
            },
        };
        if fs::symlink_metadata(&file).is_ok() {
            let owner = tree.owner("programs", u64::MAX);
            let target = relative(bin.link.as_str(), bin.file.as_str());
            tree.link_anywhere(owner, &path, &target)?;
        }
    }
    Ok(())
}

/// The file of the project that a place below a workspace's link is.
fn real_file(request: &Request<'_>, place: &str) -> Option<Utf8PathBuf> {
    request.plan.packages.iter().find_map(|package| {
        let NpmSource::Link(target) = &package.source else {
            return None;
        };
        let rest = place.strip_prefix(package.location.as_str())?;
        let rest = rest.strip_prefix('/')?;
        Some(request.lock.folder().join(target.as_str()).join(rest))
    })
}

fn commit(
    request: &Request<'_>,
    trees: Trees,
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
        let owner = changed.then(|| tree.owner("install scripts", u64::MAX));
        let staged = tree.finish();
        if let Some(owner) = owner.filter(|_| !in_place) {
            staged.rescan(owner)?;
        }
        done.folders.push(staged.commit()?);
    }
    if !in_place {
        return Ok(done);
    }
    let folder = request.lock.folder();
    for package in &request.plan.packages {
        let modules = format!("{}/{MODULES}", package.location);
        if matches!(package.source, NpmSource::Folder) && !kept.contains(&modules) {
            let path = folder.join(modules.trim_end_matches('/'));
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
                fs::remove_dir_all(&path).map_err(|source| NpmAssembleError::Io {
                    doing: "remove",
                    path,
                    source,
                })?;
            }
        }
    }
    for bin in &request.plan.bins {
        // A workspace's program must be executable to be one.
        let Some(file) = real_file(request, bin.file.as_str()) else {
            continue;
        };
        if let Ok(meta) = fs::metadata(&file).map(|meta| meta.permissions())
            && meta.mode() & 0o111 != 0o111
        {
            let wanted = fs::Permissions::from_mode(0o755);
            fs::set_permissions(&file, wanted).map_err(|source| NpmAssembleError::Io {
                doing: "make executable",
                path: file.clone(),
                source,
            })?;
        }
    }
    // npm believes its record while it is the newest of all.
    if let Ok(record) = fs::File::open(folder.join(MODULES).join(HIDDEN)) {
        let _ = record.set_modified(std::time::SystemTime::now());
    }
    Ok(done)
}

/// How `to` is reached from the folder that `from` is in; both from the project's folder.
pub(super) fn relative(from: &str, to: &str) -> String {
    let mut from: Vec<&str> = from.split('/').collect();
    from.pop();
    let to: Vec<&str> = to.split('/').filter(|part| !part.is_empty()).collect();
    let common = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let up = from.len().saturating_sub(common);
    let down = to.get(common..).unwrap_or_default();
    std::iter::repeat_n("..", up)
        .chain(down.iter().copied())
        .collect::<Vec<_>>()
        .join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_their_folder() {
        for (from, to, expected) in [
            (
                "node_modules/@g/core",
                "packages/core",
                "../../packages/core",
            ),
            (
                "node_modules/.bin/x",
                "node_modules/x/cli.js",
                "../x/cli.js",
            ),
            ("packages/a/node_modules/b", "packages/b", "../../b"),
            ("node_modules/@s/own", "", "../.."),
        ] {
            assert_eq!(relative(from, to), expected);
        }
        assert_eq!(
            modules_of("p/a/node_modules/b/node_modules/c"),
            Some("p/a/node_modules/")
        );
        assert_eq!(modules_of("packages/x"), None);
    }
}
