//! Go's modules: brought from proxies, checked against go.sum, laid out as a module cache.
//!
//! A proxy (<https://go.dev/ref/mod#goproxy-protocol>) is asked for the archive and the go.mod of a version by
//! its name. Nobody knows the digest of their bytes, only that over their files: so they are brought as what has
//! no digest is, and nothing of them is used before that holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rayon::prelude::*;
use url::Url;

use super::kept;
use crate::core::artifact::{Artifact, Location};
use crate::core::files_digest::FilesDigest;
use crate::core::progress::Progress;
use crate::decide::lock::go::{GoHashes, GoLock, GoModule};
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;
use crate::files::contents::{self, Contents, PlaceError, Zipped};
use crate::files::tree::{LinkMode, Owner, PathError, Tree, TreeError, TreePath};
use crate::install::go::{self, FORM, ModuleError};
use crate::obtain::fetch::error::Problem;
use crate::obtain::fetch::{self, DownloadRequest, FetchError, FetchOptions, Summary};
use crate::obtain::store::{Blob, Store, StoreError};

/// What is asked where nobody says what to ask: it stands for no server, and `--mirror` says what does.
pub const PROXY: &str = "https://goproxy.example/";

/// No go.mod is larger, in bytes (golang.org/x/mod/zip, `MaxGoMod`).
const LARGEST_MOD: u64 = 16 << 20;

/// What modules come from, and of which lock.
pub struct Request<'a> {
    /// The lock.
    pub lock: &'a GoLock,
    /// The proxies: each that follows is asked for what those before it do not have.
    pub proxies: &'a [Proxy],
    /// What would come after them and is not done.
    pub left: Option<&'static str>,
    /// Where artifacts are kept.
    pub store: &'a Store,
    /// How they are obtained.
    pub fetch: &'a FetchOptions,
    /// Limits on archives.
    pub limits: Limits,
}

/// A server of modules, or a folder in its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: Url,
    /// Whether the next is asked whatever is wrong with it, not only for what it does not have.
    pub is_optional: bool,
}

impl From<Url> for Proxy {
    fn from(url: Url) -> Self {
        Self {
            url,
            is_optional: false,
        }
    }
}

/// What of a module is obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All its files.
    Files,
    /// Its go.mod alone.
    GoMod,
}

/// A part of a module, in the store and verified.
#[derive(Debug, Clone)]
pub struct Obtained<'a> {
    /// The module.
    pub module: &'a GoModule,
    /// Which part.
    pub part: Part,
    /// The artifact, with the digest of its bytes.
    pub artifact: Artifact,
    /// Its bytes.
    pub blob: Blob,
    /// The digest over its files.
    hash: &'a FilesDigest,
}

/// A part that is not what a go.sum names.
#[derive(Debug, thiserror::Error)]
#[error(
    "{part} {module} from {from} is not what go.sum names: expected {expected}, got {got}; nothing of it is \
     used\nhint: what is served is not what was locked: do not trust it before you know why"
)]
pub struct OtherHash {
    /// The module.
    pub module: GoModule,
    /// Which part.
    pub part: Part,
    /// What go.sum says.
    pub expected: FilesDigest,
    /// What it is.
    pub got: FilesDigest,
    /// Where it came from.
    pub from: String,
}

/// Why modules could not be obtained or placed.
#[derive(Debug, thiserror::Error)]
pub enum GoError {
    /// A part could not be brought.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// Nor is anybody else asked.
    #[error("{error}\nhint: {left}")]
    Left {
        /// What the last proxy lacks.
        error: FetchError,
        /// What is not done.
        left: &'static str,
    },
    /// Nobody is asked at all.
    #[error("{module} is not in the store, and no proxy is asked for it: {left}")]
    Nobody {
        /// The first of those.
        module: GoModule,
        /// What is not done.
        left: &'static str,
    },
    /// It is something else.
    #[error(transparent)]
    Hash(Box<OtherHash>),
    /// It is no archive of a module.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// A file cannot be read or placed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The store does not have it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tree does not take it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A path cannot be one of a tree.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A go.mod that is none.
    #[error("the go.mod of {0} has more than {LARGEST_MOD} bytes, which go does not read")]
    Large(GoModule),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "what was brought for",
            Self::GoMod => "the go.mod that was brought for",
        })
    }
}

/// A part that is wanted.
struct Wanted<'a> {
    module: &'a GoModule,
    part: Part,
    hash: &'a FilesDigest,
}

impl<'a> Wanted<'a> {
    fn all(lock: &'a GoLock) -> Vec<Self> {
        let of = |(module, hashes): (&'a GoModule, &'a GoHashes)| {
            let parts = [(Part::Files, &hashes.files), (Part::GoMod, &hashes.go_mod)];
            parts.into_iter().filter_map(move |(part, hash)| {
                Some(Wanted {
                    module,
                    part,
                    hash: hash.as_ref()?,
                })
            })
        };
        lock.modules.iter().flat_map(of).collect()
    }

    /// What a proxy calls it.
    fn artifact(&self, proxy: &Url) -> Artifact {
        let (path, version) = (self.module.escaped_path(), self.module.escaped_version());
        let end = match self.part {
            Part::Files => "zip",
            Part::GoMod => "mod",
        };
        let mut url = proxy.clone();
        let base = proxy.path().trim_end_matches('/');
        url.set_path(&format!("{base}/{path}/@v/{version}.{end}"));
        Artifact {
            // No module's path has a plus.
            file_name: format!("{}@{version}.{end}", path.replace('/', "+")),
            location: Location::Url(url),
            digest: None,
            size: None,
        }
    }

    /// Holds bytes against go.sum. What is in an archive is known from then on.
    fn verify(&self, request: &Request<'_>, name: &str, blob: &Blob) -> Result<(), GoError> {
        let store = request.store;
        let (got, members) = match self.part {
            Part::GoMod if blob.size > LARGEST_MOD => {
                return Err(GoError::Large(self.module.clone()));
            }
            Part::GoMod => (FilesDigest::of_go_mod(&blob.verified()?), Vec::new()),
            Part::Files => {
                let members = match store.index(&blob.digest, FORM) {
                    Some(index) => index.members().to_vec(),
                    None => {
                        let packed = blob.map()?;
                        let zip = Zip::new(&packed, name, &request.limits);
                        let zip = zip.map_err(PlaceError::from)?;
                        let members = go::hashed(&Zipped::new(&zip, None))?;
                        store.keep_index(&blob.digest, FORM, &members);
                        members
                    }
                };
                (go::digest(&members), members)
            }
        };
        if got != *self.hash {
            let origin = store.origin(&blob.digest);
            return Err(GoError::Hash(Box::new(OtherHash {
                module: self.module.clone(),
                part: self.part,
                expected: self.hash.clone(),
                got,
                from: origin.map_or_else(|| "the store".into(), |origin| origin.source),
            })));
        }
        Ok(go::check_names(self.module, &members)?)
    }
}

/// Brings all that a lock names into the store, and verifies it.
///
/// # Errors
/// When something cannot be taken from any proxy, or is not what go.sum names.
pub fn obtain<'a>(request: &Request<'a>) -> Result<(Summary, Vec<Obtained<'a>>), GoError> {
    let wanted = Wanted::all(request.lock);
    let mut summary = Summary::default();
    let mut proxies = request.proxies.to_vec();
    if proxies.is_empty() && request.left.is_none() {
        proxies.extend(Url::parse(PROXY).ok().map(Proxy::from));
    }
    let unnamed = Url::parse(PROXY).ok();
    let first = proxies.first().map(|proxy| &proxy.url);
    let artifacts: Vec<Artifact> = first
        .or(unnamed.as_ref())
        .iter()
        .flat_map(|proxy| wanted.iter().map(|one| one.artifact(proxy)))
        .collect();
    // What was noted of the store's is a hint.
    let kept = wanted.par_iter().zip(&artifacts).map(|(one, artifact)| {
        let blob = request.store.of_files(one.hash)?;
        let is_it = one.verify(request, &artifact.file_name, &blob).is_ok();
        is_it.then_some(blob)
    });
    let mut blobs: Vec<Option<Blob>> = kept.collect();
    summary.from_store = blobs.iter().flatten().count();

    let missing = |blobs: &[Option<Blob>]| -> Vec<usize> {
        let all = blobs.iter().enumerate();
        all.filter_map(|(at, blob)| blob.is_none().then_some(at))
            .collect()
    };
    let mut failed: Option<FetchError> = None;
    for proxy in &proxies {
        let missing = missing(&blobs);
        if missing.is_empty() {
            break;
        }
        let (done, error) = ask(request, &wanted, &missing, &proxy.url, &mut blobs)?;
        summary.add(&done);
        match error {
            None => failed = None,
            Some(error) if proxy.is_optional || is_absence(&error) => failed = Some(error),
            Some(error) => return Err(error.into()),
        }
    }
    let first = missing(&blobs).first().and_then(|at| wanted.get(*at));
    match (failed, request.left, first) {
        (Some(error), None, _) => return Err(error.into()),
        (Some(error), Some(left), _) => return Err(GoError::Left { error, left }),
        (None, Some(left), Some(first)) => {
            let module = first.module.clone();
            return Err(GoError::Nobody { module, left });
        }
        (None, ..) => {}
    }
    let all = wanted.iter().zip(artifacts).zip(blobs);
    let all = all.filter_map(|((one, artifact), blob)| {
        let blob = blob?;
        Some(Obtained {
            module: one.module,
            part: one.part,
            artifact: Artifact {
                digest: Some(blob.digest.clone()),
                size: Some(blob.size),
                ..artifact
            },
            blob,
            hash: one.hash,
        })
    });
    Ok((summary, all.collect()))
}

/// Asks one proxy for what is missing. What it has is verified and noted; why it has not all comes with it.
fn ask(
    request: &Request<'_>,
    wanted: &[Wanted<'_>],
    missing: &[usize],
    proxy: &Url,
    blobs: &mut [Option<Blob>],
) -> Result<(Summary, Option<FetchError>), GoError> {
    let missing: Vec<(usize, &Wanted<'_>)> = missing
        .iter()
        .filter_map(|index| Some((*index, wanted.get(*index)?)))
        .collect();
    let artifacts: Vec<Artifact> = missing.iter().map(|(_, one)| one.artifact(proxy)).collect();
    let requests: Vec<DownloadRequest<'_>> = missing
        .iter()
        .zip(&artifacts)
        .map(|((_, one), artifact)| DownloadRequest {
            package: one.module.to_string(),
            artifact,
        })
        .collect();
    let mut options = request.fetch.clone();
    let names = requests.iter().map(|request| request.package.clone());
    options.allow_unhashed.extend(names);
    let (done, here) = fetch::fetch_all(request.store, &requests, &options);
    // All of them: what is said to be wrong is the first in the lock's order.
    let verified: Vec<Result<Option<(usize, Blob)>, GoError>> = here
        .into_par_iter()
        .zip(&missing)
        .zip(&artifacts)
        .map(|((blob, (at, one)), artifact)| {
            let Some(blob) = blob else {
                return Ok(None);
            };
            let name = &artifact.file_name;
            one.verify(request, name, &blob)?;
            request.store.note_files(one.hash, name, &blob)?;
            Ok(Some((*at, blob)))
        })
        .collect();
    let (mut from_disk, mut bytes) = (0, 0);
    for verified in verified {
        if let Some((at, blob)) = verified? {
            from_disk += 1;
            bytes += blob.size;
            if let Some(place) = blobs.get_mut(at) {
                *place = Some(blob);
            }
        }
    }
    Ok(match done {
        Ok(summary) => (summary, None),
        // What came before something was missing.
        Err(error) => {
            let summary = match proxy.scheme() {
                "file" => Summary {
                    from_disk,
                    ..Summary::default()
                },
                _ => Summary {
                    from_network: from_disk,
                    bytes,
                    ..Summary::default()
                },
            };
            (summary, Some(error))
        }
    })
}

/// Whether a proxy has said that it does not have something, and nothing else was wrong: then the next is
/// asked. Offline, one that is a folder may have it.
fn is_absence(error: &FetchError) -> bool {
    match error {
        FetchError::Offline(_) => true,
        FetchError::Failed { failed, .. } => failed.iter().all(|one| match &one.problem {
            Problem::Absent => true,
            Problem::Status { status, .. } => matches!(status.as_u16(), 404 | 410),
            _ => false,
        }),
        _ => false,
    }
}

/// Places what was obtained as a module cache, below a folder of a tree. Of modules that are `replaced` the
/// files are left out: whoever replaces them puts others there.
///
/// # Errors
/// When something cannot be placed.
pub fn place(
    request: &Request<'_>,
    obtained: &[Obtained<'_>],
    tree: &Tree,
    below: Option<&TreePath>,
    replaced: &BTreeSet<&str>,
) -> Result<(), GoError> {
    let placing = Progress::items("Placing", obtained.len() as u64);
    let owners: BTreeMap<&GoModule, _> = obtained
        .iter()
        .map(|one| (one.module, tree.owner(&one.module.to_string(), 0)))
        .collect();
    let results: Vec<Result<(), GoError>> = obtained
        .par_iter()
        .map(|one| {
            placing.working_on(one.module.to_string());
            let Some(&owner) = owners.get(one.module) else {
                return Ok(());
            };
            match one.part {
                Part::GoMod => {
                    let bytes = one.blob.verified()?;
                    tree.file(owner, &go::beside(one.module, "mod", below)?, 0o644, &bytes)?;
                }
                Part::Files => {
                    if !replaced.contains(one.module.path.as_str()) {
                        files(request, one, tree, owner, below)?;
                    }
                    let path = go::beside(one.module, "ziphash", below)?;
                    tree.file(owner, &path, 0o644, one.hash.to_string().as_bytes())?;
                }
            }
            placing.advance(1);
            Ok(())
        })
        .collect();
    placing.done();
    results.into_iter().collect()
}

/// Places a module's files, as the store keeps them or out of the archive.
fn files(
    request: &Request<'_>,
    one: &Obtained<'_>,
    tree: &Tree,
    owner: Owner,
    below: Option<&TreePath>,
) -> Result<(), GoError> {
    let how = LinkMode::Copy;
    let artifact = kept::Artifact {
        store: request.store,
        blob: &one.blob,
        form: FORM,
        link: how,
        limits: &request.limits,
    };
    let place = |contents: &dyn Contents| {
        let placement = go::arrange(one.module, contents.members(), below)?;
        let new = contents::place(tree, owner, contents, &placement, how)?;
        Ok::<_, GoError>(((), new))
    };
    artifact.place(&place, |known, place| {
        let packed = one.blob.map()?;
        let zip = Zip::new(&packed, &one.artifact.file_name, &request.limits);
        let zip = zip.map_err(PlaceError::from)?;
        place(&Zipped::new(&zip, known))
    })
}
