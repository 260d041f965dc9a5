//! Fetching: the only room that touches the network.
//!
//! [`fetch`] brings artifacts into the store and says of each when it is there, so that placing
//! can begin while the rest is still on its way. An artifact is looked for in the store, in the
//! `--find-links` folders, on this machine if the lock says so, and then on the network, at the
//! URL that the lock names or a mirror's. With `--offline` no socket is ever opened.

mod client;
pub mod credentials;
mod download;
pub mod mirrors;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt as _;
use url::Url;

use crate::artifact::{Artifact, Location};
use crate::digest::Digest;
use crate::store::{Blob, Store, StoreError};
use crate::ui::Progress;
use credentials::Credentials;
use mirrors::{MirrorError, Mirrors};

/// How things are fetched.
#[derive(Debug, Clone)]
pub struct Options {
    /// Open no socket.
    pub offline: bool,
    /// What is asked instead.
    pub mirrors: Mirrors,
    /// Folders that are looked through before the network.
    pub find_links: Vec<Utf8PathBuf>,
    /// How many downloads run at once.
    pub concurrency: usize,
    /// Packages whose artifacts may lack a digest in the lock.
    pub allow_unhashed: BTreeSet<String>,
    /// Whether md5 and sha1 are taken for digests.
    pub allow_weak: bool,
    /// Who we say we are.
    pub credentials: Credentials,
    /// How long a server is borne with.
    pub patience: Patience,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offline: false,
            mirrors: Mirrors::default(),
            find_links: Vec::new(),
            concurrency: 50,
            allow_unhashed: BTreeSet::new(),
            allow_weak: false,
            credentials: Credentials::default(),
            patience: Patience::default(),
        }
    }
}

/// How long a server is borne with.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// How often a download is tried again without having got any further.
    pub retries: u32,
    /// The pause before the first retry; it doubles with each.
    pub first_pause: Duration,
    /// No pause is longer, whatever `Retry-After` says.
    pub longest: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            retries: 5,
            first_pause: Duration::from_millis(300),
            longest: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// The pause before a retry, a little different for each URL so that they do not come at once.
    fn pause(&self, attempt: u32, url: &Url) -> Duration {
        let doubled = self.first_pause * 2u32.saturating_pow(attempt.saturating_sub(1)).min(64);
        let spread = url.as_str().bytes().fold(7u32, |sum, byte| {
            sum.wrapping_mul(31)
                .wrapping_add(u32::from(byte))
                .wrapping_add(attempt)
        }) % 500;
        doubled + doubled * spread / 1000
    }
}

/// An artifact and whose it is.
#[derive(Debug, Clone)]
pub struct Want<'a> {
    /// The package, for messages and for `allow_unhashed`.
    pub package: String,
    /// What is wanted.
    pub artifact: &'a Artifact,
}

/// Where everything came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Artifacts that were in the store.
    pub from_store: usize,
    /// Artifacts from this machine: `--find-links`, paths in the lock.
    pub from_disk: usize,
    /// Artifacts from the network.
    pub from_network: usize,
    /// Bytes from the network.
    pub bytes: u64,
}

/// Why not everything is here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store cannot be used, or an artifact is not what the lock names.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mirror leads nowhere.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// No digest, and not allowed.
    #[error(
        "the lock gives no digest for {} of {package}, so it cannot be verified; lock again with an \
         index that has digests, or allow it with --allow-unhashed {package}", .file
    )]
    Unhashed {
        /// Whose.
        package: String,
        /// The file.
        file: String,
    },
    /// A digest that proves nothing.
    #[error(
        "the lock names {file} of {package} by {algorithm} alone, which can be forged; lock again, \
         or allow it with --allow-weak-integrity"
    )]
    Weak {
        /// Whose.
        package: String,
        /// The file.
        file: String,
        /// Which.
        algorithm: String,
    },
    /// Offline, and not everything is in the store.
    #[error(
        "{} of the artifacts are not in the store, and --offline is set:{}\nfetch them where there \
         is a network with `lockwright fetch`, or give a folder that has them with --find-links",
        .0.len(), list(.0)
    )]
    Offline(Vec<String>),
    /// A file of this machine is not there.
    #[error("{package} is to be had from {path}, which is not there")]
    NoFile {
        /// Whose.
        package: String,
        /// The file.
        path: Utf8PathBuf,
    },
    /// No client can be made.
    #[error("no connection can be made: {0}")]
    Client(String),
    /// The request cannot be made at all.
    #[error("{url} cannot be asked: {why}")]
    Request {
        /// What.
        url: String,
        /// Why.
        why: String,
    },
    /// The server says no.
    #[error("{url}: the server answered {status}{via}{hint}")]
    Refused {
        /// What was asked.
        url: String,
        /// The answer.
        status: String,
        /// Where it came from, if from elsewhere.
        via: String,
        /// What to do.
        hint: &'static str,
    },
    /// Tried too often.
    #[error("{url} could not be fetched in {attempts} attempts: {why}{}", hint(.url))]
    GaveUp {
        /// What.
        url: String,
        /// How often.
        attempts: u32,
        /// What happened the last time.
        why: String,
    },
    /// More bytes than the lock says.
    #[error("{url} is longer than the {size} bytes that the lock says; nothing was kept")]
    TooLong {
        /// What.
        url: String,
        /// What the lock says.
        size: u64,
    },
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  {name}")).collect()
}

/// Reserved names are in locks whose registry was taken out; the user must say what stands for it.
fn hint(url: &str) -> String {
    let host = Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    match host {
        Some(host) if host.ends_with(".example") || host.ends_with(".invalid") => {
            format!(
                "; {host} is a reserved name: say what stands for it with --mirror https://{host}/=URL"
            )
        }
        _ => String::new(),
    }
}

/// Brings everything into the store. `on_ready` hears of each want (by its index) as soon as its
/// bytes are there and verified, from whatever thread; wants of one digest are fetched once.
///
/// # Errors
/// The first thing that went wrong; offline, everything that is missing. What has arrived by then
/// stays in the store.
pub fn fetch(
    store: &Store,
    wants: &[Want<'_>],
    options: &Options,
    progress: &Progress,
    on_ready: &(dyn Fn(usize, Blob) + Sync),
) -> Result<Summary, FetchError> {
    let mut summary = Summary::default();
    let mut missing: Vec<Vec<usize>> = Vec::new();
    let mut by_digest: HashMap<&Digest, usize> = HashMap::new();
    for (index, want) in wants.iter().enumerate() {
        check_digest(want, options)?;
        let digest = want.artifact.digest.as_ref();
        if let Some(blob) = digest.and_then(|digest| store.get(digest)) {
            summary.from_store += 1;
            on_ready(index, blob);
        } else if let Some(&group) = digest.and_then(|digest| by_digest.get(digest)) {
            if let Some(group) = missing.get_mut(group) {
                group.push(index);
            }
        } else {
            if let Some(digest) = digest {
                by_digest.insert(digest, missing.len());
            }
            missing.push(vec![index]);
        }
    }
    let mut folders = Folders {
        links: &options.find_links,
        listed: None,
    };
    let mut remote: Vec<(Vec<usize>, &Artifact, Url)> = Vec::new();
    let mut absent = Vec::new();
    for group in missing {
        let Some(want) = group.first().and_then(|&first| wants.get(first)) else {
            continue;
        };
        if let Some(blob) = on_disk(store, want, options, &mut folders)? {
            summary.from_disk += group.len();
            group
                .iter()
                .for_each(|&index| on_ready(index, blob.clone()));
            continue;
        }
        match &want.artifact.location {
            Location::Path(path) => {
                return Err(FetchError::NoFile {
                    package: want.package.clone(),
                    path: path.clone(),
                });
            }
            Location::Url(url) if options.offline => {
                absent.push(format!(
                    "{} ({})",
                    want.artifact.file_name,
                    download::shown(url)
                ));
            }
            Location::Url(url) => remote.push((group, want.artifact, options.mirrors.apply(url)?)),
        }
    }
    if !absent.is_empty() {
        return Err(FetchError::Offline(absent));
    }
    if !remote.is_empty() {
        summary.from_network = remote.iter().map(|(group, ..)| group.len()).sum();
        summary.bytes = from_network(store, remote, options, progress, on_ready)?;
    }
    progress.done();
    Ok(summary)
}

fn check_digest(want: &Want<'_>, options: &Options) -> Result<(), FetchError> {
    let (package, file) = (want.package.clone(), want.artifact.file_name.clone());
    match &want.artifact.digest {
        None if !options.allow_unhashed.contains(&package) => {
            Err(FetchError::Unhashed { package, file })
        }
        Some(digest) if digest.algorithm().is_weak() && !options.allow_weak => {
            Err(FetchError::Weak {
                package,
                file,
                algorithm: digest.algorithm().to_string(),
            })
        }
        _ => Ok(()),
    }
}

/// The `--find-links` folders, listed when they are first needed.
struct Folders<'a> {
    links: &'a [Utf8PathBuf],
    listed: Option<BTreeMap<String, Utf8PathBuf>>,
}

impl Folders<'_> {
    fn find(&mut self, file_name: &str) -> Option<&Utf8Path> {
        let links = self.links;
        let listed = self.listed.get_or_insert_with(|| {
            let mut listed = BTreeMap::new();
            for folder in links {
                match folder.read_dir_utf8() {
                    Ok(entries) => {
                        for entry in entries.flatten() {
                            listed
                                .entry(entry.file_name().to_owned())
                                .or_insert_with(|| entry.path().to_owned());
                        }
                    }
                    Err(error) => tracing::warn!("--find-links {folder} cannot be read: {error}"),
                }
            }
            listed
        });
        listed.get(file_name).map(Utf8PathBuf::as_path)
    }
}

/// What this machine has of an artifact outside the store, taken into it.
fn on_disk(
    store: &Store,
    want: &Want<'_>,
    options: &Options,
    folders: &mut Folders<'_>,
) -> Result<Option<Blob>, FetchError> {
    let artifact = want.artifact;
    let take = |path: &Utf8Path| match &artifact.digest {
        Some(digest) => store.insert_file(path, digest),
        None => store.insert_unhashed_file(path),
    };
    let mirrored = match &artifact.location {
        Location::Path(path) => Some(path.clone()),
        Location::Url(url) => options
            .mirrors
            .apply(url)?
            .to_file_path()
            .ok()
            .and_then(|path| Utf8PathBuf::try_from(path).ok()),
    };
    if let Some(path) = folders.find(&artifact.file_name) {
        match take(path) {
            Ok(blob) => return Ok(Some(blob)),
            // Another file of that name is no reason to fail while there are other places.
            Err(error @ StoreError::Mismatch { .. }) => tracing::warn!("{error}"),
            Err(error) => return Err(error.into()),
        }
    }
    match mirrored {
        Some(path) if path.is_file() => Ok(Some(take(&path)?)),
        Some(path) if matches!(artifact.location, Location::Url(_)) => Err(FetchError::NoFile {
            package: want.package.clone(),
            path,
        }),
        _ => Ok(None),
    }
}

/// The rest: a few threads, many downloads.
fn from_network(
    store: &Store,
    remote: Vec<(Vec<usize>, &Artifact, Url)>,
    options: &Options,
    progress: &Progress,
    on_ready: &(dyn Fn(usize, Blob) + Sync),
) -> Result<u64, FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FetchError::Client(error.to_string()))?;
    let total: u64 = remote
        .iter()
        .filter_map(|(_, artifact, _)| artifact.size)
        .sum();
    progress.grow(total);
    let downloader = download::Downloader {
        client: client::client()?,
        store,
        credentials: &options.credentials,
        patience: options.patience,
        progress,
    };
    runtime.block_on(async {
        let downloader = &downloader;
        let downloads = remote.into_iter().map(|(group, artifact, url)| async move {
            progress.working_on(artifact.file_name.clone());
            let blob = downloader.download(artifact, &url).await?;
            Ok::<_, FetchError>((group, blob))
        });
        let mut done =
            futures_util::stream::iter(downloads).buffer_unordered(options.concurrency.max(1));
        let mut bytes = 0;
        while let Some(result) = done.next().await {
            let (group, blob) = result?;
            bytes += blob.size;
            group
                .iter()
                .for_each(|&index| on_ready(index, blob.clone()));
        }
        Ok(bytes)
    })
}
