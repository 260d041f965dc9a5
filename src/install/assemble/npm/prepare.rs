//! Git dependencies that are made ready before they are packed, as npm does it: what their own lock
//! names is assembled in a checkout of the commit, their scripts are run there, contained, and then
//! the folder is packed.
//!
//! npm installs there whatever it finds; here a lock has to say what. The tarball is kept in the
//! store under a key of all that shaped it.

use std::collections::HashMap;
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::commits::{fetch_commit, of_commits};
use super::scripts::OWN;
use super::{Destination, LeftOut, NpmAssembleError, Request, assemble};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::progress::Progress;
use crate::core::scratch::Scratch;
use crate::decide::lock::LockError;
use crate::decide::lock::is_file_name;
use crate::decide::lock::npm::scripts::is_made;
use crate::decide::lock::npm::{Manifest, NpmLock};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::plan::npm::{GitPackage, NpmPlan, NpmPlanError, NpmSelection, NpmSource};
use crate::decide::target::node::NodeTarget;
use crate::files::archive::Limits;
use crate::files::tree::LinkMode;
use crate::install::npm::pack::{self, FolderError};
use crate::obtain::source::{self, ArchiveError, Shape};
use crate::obtain::store::{Blob, StoreError};

/// The tarballs that were made, by commit.
pub type Prepared<'a> = HashMap<&'a GitPackage, Blob>;

/// Why a git dependency was not made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// Nothing says what it needs.
    #[error(
        "its scripts need what its package.json asks for, and it has no package-lock.json that says \
         what that is"
    )]
    NoLock,
    /// Its lock cannot be read.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Its lock cannot be planned.
    #[error(transparent)]
    Plan(#[from] NpmPlanError),
    /// Its commit cannot be unpacked.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// Something in it leads to what is not its.
    #[error("its file {0} is a link that leads out of it")]
    Link(Utf8PathBuf),
    /// What it needs cannot be assembled, or a script failed.
    #[error(transparent)]
    Assemble(#[from] NpmAssembleError),
    /// It cannot be packed.
    #[error(transparent)]
    Pack(#[from] FolderError),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the system says.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Makes ready what `--allow-scripts` names and has to be.
///
/// # Errors
/// With the first that cannot be, or with all that are optional.
pub fn prepare<'a>(request: &Request<'a>) -> Result<Prepared<'a>, NpmAssembleError> {
    let mut prepared = Prepared::new();
    let mut failed = Vec::new();
    let commits = of_commits(request.plan);
    let named = commits.iter().filter(|(_, group)| {
        let mut group = group.iter();
        group.any(|package| request.scripts.contains(&package.name))
    });
    let named: Vec<_> = named.collect();
    let progress = Progress::items("Preparing", named.len() as u64);
    for (commit, group) in named {
        let Some(first) = group.first() else { continue };
        progress.working_on(first.name.clone());
        let tree = fetch_commit(request.store, &first.name, commit, request.fetch)?;
        let is_anew = group
            .iter()
            .any(|package| request.anew.includes(&package.name));
        match made(request, commit, &tree.archive, is_anew) {
            Ok(Some(tarball)) => {
                prepared.insert(*commit, tarball);
            }
            Ok(None) => {}
            Err(why) => {
                let error = self::failed(&first.name, commit, why);
                // What fails but for a script is wrong with the lock or this machine.
                if !error.is_script() || group.iter().any(|package| !package.is_optional) {
                    return Err(error);
                }
                let why = error.to_string();
                failed.extend(group.iter().map(|package| LeftOut {
                    location: package.location.to_string(),
                    why: why.clone(),
                }));
            }
        }
        progress.advance(1);
    }
    progress.done();
    match failed.is_empty() {
        true => Ok(prepared),
        false => Err(NpmAssembleError::Optional(failed)),
    }
}

/// The tarball of a commit's package; nothing, where it is packed as it is.
fn made(
    request: &Request<'_>,
    commit: &GitPackage,
    tree: &Blob,
    is_anew: bool,
) -> Result<Option<Blob>, PrepareError> {
    let host = NodeTarget::host();
    let key = key(request, commit, &host);
    if is_anew {
        request.store.forget_built(&key);
    } else if let Some((_, tarball)) = request.fetch.built(request.store, &key) {
        return Ok(Some(tarball));
    }
    let Some(checkout) = Checkout::new(commit, tree)? else {
        return Ok(None);
    };
    assemble_in(request, &checkout, &host)?;
    let tarball = checkout.temporary().join("package.tgz");
    let file = fs::File::create_new(&tarball).map_err(cannot("write", &tarball))?;
    // A script of its own may have put a link in the place of a folder.
    foreign::Folder::open(&checkout.root)
        .and_then(|root| root.folder(&commit.folder))
        .map_err(cannot("open", &checkout.folder))?;
    pack::pack(&checkout.folder, std::io::BufWriter::new(file))?;
    let about = &checkout.about;
    let last = about.name.as_deref().unwrap_or("package");
    let last = last.rsplit('/').next().unwrap_or(last);
    let file_name = format!("{last}-{}.tgz", about.version.as_deref().unwrap_or("0"));
    // Name and version are a stranger's.
    let file_name = match is_file_name(&file_name) {
        true => file_name,
        false => format!("{}.tgz", commit.commit),
    };
    let made_by = format!("prepared from git {}#{}", commit.url, commit.commit);
    let built = request
        .fetch
        .keep_built(request.store, &key, &file_name, &tarball, &made_by);
    Ok(Some(built?.1))
}

/// What preparing a commit's package would need besides: the plan of its own lock.
///
/// # Errors
/// When its lock cannot be read or planned.
pub fn needs(
    package: &str,
    commit: &GitPackage,
    tree: &Blob,
    npmrc: &Npmrc,
) -> Result<Option<NpmPlan>, NpmAssembleError> {
    let plan = |checkout: &Checkout| {
        let (lock, wanted) = (checkout.lock()?, NpmSelection::default());
        Ok(NpmPlan::new(&lock, &NodeTarget::host(), &wanted, npmrc)?)
    };
    let checkout = Checkout::new(commit, tree);
    checkout
        .and_then(|checkout| checkout.as_ref().map(plan).transpose())
        .map_err(|why| failed(package, commit, why))
}

fn failed(package: &str, commit: &GitPackage, why: PrepareError) -> NpmAssembleError {
    NpmAssembleError::Prepare {
        package: package.to_owned(),
        url: commit.url.clone(),
        commit: commit.commit.clone(),
        why: Box::new(why),
    }
}

/// A commit's files, unpacked, of a package that has to be prepared.
struct Checkout {
    held: Scratch,
    /// Where the commit's files are.
    root: Utf8PathBuf,
    /// Where the package is.
    folder: Utf8PathBuf,
    about: Manifest,
    has_workspaces: bool,
}

impl Checkout {
    fn new(commit: &GitPackage, tree: &Blob) -> Result<Option<Self>, PrepareError> {
        let held = Scratch::new("prepare").map_err(cannot("make a folder in", "/tmp"))?;
        let root = held.path().join("checkout");
        let name = format!("{}#{}", commit.url, commit.commit);
        let limits = Limits::default();
        source::unpack(tree, &name, Shape::Packed, &root, &limits)?;
        stays_inside(&root)?;
        let folder = root.join(&commit.folder);
        let Some((about, recorded)) = Manifest::beside(&folder)? else {
            return Ok(None);
        };
        let has_workspaces = recorded.contains_key("workspaces");
        let checkout = Self {
            held,
            root,
            folder,
            about,
            has_workspaces,
        };
        Ok((has_workspaces || is_made(&checkout.about.scripts)).then_some(checkout))
    }

    fn temporary(&self) -> Utf8PathBuf {
        self.held.path().to_owned()
    }

    /// Its lock; an empty one, where it has none and needs none.
    fn lock(&self) -> Result<NpmLock, PrepareError> {
        let names = ["npm-shrinkwrap.json", "package-lock.json"];
        let files = names.map(|name| self.folder.join(name));
        if let Some(file) = files.iter().find(|file| file.is_file()) {
            return Ok(NpmLock::load(file)?);
        }
        let about = &self.about;
        let asked = [
            &about.dependencies,
            &about.optional,
            &about.dev,
            &about.peer,
        ];
        if self.has_workspaces || asked.iter().any(|asked| !asked.is_empty()) {
            return Err(PrepareError::NoLock);
        }
        let empty = "{ \"lockfileVersion\": 3, \"packages\": {} }";
        Ok(NpmLock::parse(
            &self.folder.join("package-lock.json"),
            empty,
        )?)
    }
}

/// All that shapes a prepared package.
fn key(request: &Request<'_>, commit: &GitPackage, host: &NodeTarget) -> Digest {
    let mut names: Vec<&str> = request.scripts.iter().map(String::as_str).collect();
    names.sort_unstable();
    let node = request.node.map_or("", |node| &node.id);
    let text = format!(
        "npm prepare 1\n{}\n{}\n{}\n{host}\n{}\n{node}",
        env!("CARGO_PKG_VERSION"),
        commit.commit,
        commit.folder,
        names.join("\n"),
    );
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

/// A sync of the checkout, with its own scripts allowed.
fn assemble_in(
    request: &Request<'_>,
    checkout: &Checkout,
    host: &NodeTarget,
) -> Result<(), PrepareError> {
    let lock = checkout.lock()?;
    // Its .npmrc is a stranger's: it might send our passwords to its own registry.
    let mut wanted = NpmSelection::default();
    let mut plan = NpmPlan::new(&lock, host, &wanted, request.npmrc)?;
    let mut scripts = vec![OWN.to_owned()];
    let folders = plan.packages.iter();
    let folders = folders.filter(|package| matches!(package.source, NpmSource::Folder));
    scripts.extend(folders.map(|package| package.name.clone()));
    scripts.extend(request.scripts.iter().filter(|name| *name != OWN).cloned());
    loop {
        let done = assemble(&Request {
            plan: &plan,
            lock: &lock,
            to: Destination::InPlace,
            clear: false,
            hidden_lockfile: true,
            link: LinkMode::Copy,
            scripts: &scripts,
            ..*request
        });
        match done {
            Err(NpmAssembleError::Optional(failed)) => {
                let places = failed.into_iter().map(|failed| failed.location);
                wanted.failed.extend(places);
                plan = NpmPlan::new(&lock, host, &wanted, request.npmrc)?;
            }
            done => return done.map(drop).map_err(PrepareError::from),
        }
    }
}

/// Refuses links that lead out of a checkout, which would be read and written through.
fn stays_inside(checkout: &Utf8Path) -> Result<(), PrepareError> {
    let root = fs::canonicalize(checkout).map_err(cannot("read", checkout))?;
    let tree = crate::core::walk::walk(&root).map_err(FolderError::from)?;
    let mut outside = None;
    tree.each(&mut |path, node| {
        if let crate::core::walk::Node::Link(target) = node {
            let leads = fs::canonicalize(root.join(path));
            let is_inside = match leads {
                Ok(leads) => leads.starts_with(&root),
                Err(_) => !std::path::Path::new(target).is_absolute(),
            };
            if !is_inside {
                outside.get_or_insert_with(|| path.to_string_lossy().into_owned());
            }
        }
    });
    match outside {
        Some(path) => Err(PrepareError::Link(path.into())),
        None => Ok(()),
    }
}
