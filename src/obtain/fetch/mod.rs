//! Fetching: the only room that touches the network.
//!
//! [`fetch`] brings artifacts into the store and says of each when it is there, so that placing
//! can begin while the rest is still on its way. An artifact is looked for in the store, in the
//! `--find-links` folders, on this machine if the lock or a mirror says so, and then on the network,
//! at the URL that the lock names or a mirror's. With `--offline` no socket is ever opened.
//!
//! Whatever goes wrong with single artifacts is reported at the end, all of it: a mirror that lacks
//! twenty files says so once. Only when a server cannot be reached, or the store not written to, no
//! further download is begun.

mod built;
mod client;
pub mod credentials;
pub mod document;
mod download;
pub mod error;
mod headers;
pub mod keys;
mod local;
pub mod mirrors;
pub(crate) mod netrc;
mod npm_settings;
mod objects;
pub mod remote;
pub mod retry;
mod sink;
pub mod vendor;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use camino::Utf8PathBuf;
use futures_util::StreamExt as _;
use rayon::prelude::*;
use reqwest::header::HeaderValue;
use url::Url;

use crate::core::artifact::{Artifact, Location};
use crate::core::digest::Digest;
use crate::core::locks;
use crate::core::progress::Progress;
use crate::obtain::store::{Blob, Origin, Store};
use credentials::Credentials;
pub use error::FetchError;
use error::{Failure, Named, Problem};
use local::Found;
use mirrors::Mirrors;
use remote::Remote;
pub use retry::RetryPolicy;

/// How things are fetched.
#[derive(Debug, Clone)]
pub struct FetchOptions {
    /// Open no socket.
    pub offline: bool,
    /// What is asked instead.
    pub mirrors: Mirrors,
    /// Folders that are looked through before the network, and single artifacts.
    pub find_links: Vec<Utf8PathBuf>,
    /// How many downloads run at once.
    pub concurrency: usize,
    /// Packages whose artifacts may lack a digest in the lock, as the user spells them. Such an
    /// artifact is fetched anew each time, and never resumed.
    pub allow_unhashed: BTreeSet<String>,
    /// Whether md5 and sha1 are taken for digests.
    pub allow_weak: bool,
    /// Who we say we are.
    pub credentials: Credentials,
    /// Retry and timeout limits.
    pub retry: RetryPolicy,
    /// How connections are made.
    pub route: Route,
    /// A store that machines share, asked before the network.
    pub shared: Option<Arc<Remote>>,
}

/// How connections are made, where that is said otherwise than by the usual variables.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// The certificate authorities that alone are trusted, as PEM.
    pub authorities: Option<String>,
    /// The proxy that all connections go through.
    pub proxy: Option<String>,
    /// The hosts, separated by commas, to which they do not.
    pub direct: Option<String>,
    /// The address of this machine that they come from.
    pub address: Option<IpAddr>,
    /// What each request says of who we are, unless it says otherwise.
    pub login: Option<HeaderValue>,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            offline: false,
            mirrors: Mirrors::default(),
            find_links: Vec::new(),
            concurrency: 32,
            allow_unhashed: BTreeSet::new(),
            allow_weak: false,
            credentials: Credentials::default(),
            retry: RetryPolicy::default(),
            route: Route::default(),
            shared: None,
        }
    }
}

/// An artifact and whose it is.
#[derive(Debug, Clone)]
pub struct DownloadRequest<'a> {
    /// The package's name, for messages and for `allow_unhashed`.
    pub package: String,
    /// What is wanted.
    pub artifact: &'a Artifact,
}

/// Where everything came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Artifacts that were in the store.
    pub from_store: usize,
    /// Artifacts from this machine: `--find-links`, paths in the lock, `file:` mirrors.
    pub from_disk: usize,
    /// Artifacts from a store that machines share.
    pub from_shared: usize,
    /// Artifacts from the network.
    pub from_network: usize,
    /// Bytes from the network, and from a shared store.
    pub bytes: u64,
}

impl Summary {
    /// Counts another one's in.
    pub fn add(&mut self, other: &Self) {
        self.from_store += other.from_store;
        self.from_disk += other.from_disk;
        self.from_shared += other.from_shared;
        self.from_network += other.from_network;
        self.bytes += other.bytes;
    }
}

/// Requests that one file satisfies.
struct Job<'a> {
    /// Their indexes in what was asked for.
    requests: Vec<usize>,
    /// The first of them.
    request: &'a DownloadRequest<'a>,
    /// What would be asked, mirrors applied; `None` for a path.
    url: Option<Url>,
    /// What was found in its place on this machine, in words.
    note: String,
}

/// As [`fetch`], and keeps what arrives, by the request's index: of what failed there is nothing.
pub fn fetch_all(
    store: &Store,
    requests: &[DownloadRequest<'_>],
    options: &FetchOptions,
) -> (Result<Summary, FetchError>, Vec<Option<Blob>>) {
    let blobs = Mutex::new(vec![None; requests.len()]);
    let progress = Progress::bytes("Fetching", 0);
    let summary = fetch(store, requests, options, &progress, &|index, blob| {
        if let Some(place) = locks::held(&blobs).get_mut(index) {
            *place = Some(blob);
        }
    });
    progress.done();
    (summary, locks::unlocked(blobs))
}

/// Brings everything into the store. `on_ready` hears of each request (by its index) as soon as its
/// bytes are there and verified, from whatever thread, in no particular order; it should hand the
/// work on rather than do it. Wants of one digest are fetched once.
///
/// # Errors
/// All that went wrong; offline, all that is missing. What has arrived by then stays in the store.
pub fn fetch(
    store: &Store,
    requests: &[DownloadRequest<'_>],
    options: &FetchOptions,
    progress: &Progress,
    on_ready: &(dyn Fn(usize, Blob) + Sync),
) -> Result<Summary, FetchError> {
    check_digests(requests, options)?;
    local::check_folders(&options.find_links)?;
    let mut summary = Summary::default();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut by_digest: HashMap<&Digest, usize> = HashMap::new();
    for (index, request) in requests.iter().enumerate() {
        let digest = request.artifact.digest.as_ref();
        let known = digest.and_then(|digest| by_digest.get(digest));
        if let Some(job) = known.and_then(|&job| jobs.get_mut(job)) {
            job.requests.push(index);
        } else if let Some(blob) = digest.and_then(|digest| store.get(digest)) {
            summary.from_store += 1;
            on_ready(index, blob);
        } else {
            if let Some(digest) = digest {
                by_digest.insert(digest, jobs.len());
            }
            jobs.push(Job {
                requests: vec![index],
                request,
                url: match &request.artifact.location {
                    Location::Path(_) => None,
                    Location::Url(url) => Some(options.mirrors.apply(url)?),
                },
                note: String::new(),
            });
        }
    }
    let ready = |job: &Job<'_>, blob: &Blob| {
        for &index in &job.requests {
            on_ready(index, blob.clone());
        }
    };

    // Everything that is on this machine, on all its cores.
    let found: Vec<(Job<'_>, Found)> = jobs
        .into_par_iter()
        .map(|job| {
            let found = local::find(store, job.request, &options.find_links, job.url.as_ref());
            if let Found::Here(blob) = &found {
                ready(&job, blob);
            }
            (job, found)
        })
        .collect();
    let (mut failed, mut missing, mut remote) = (Vec::new(), Vec::new(), Vec::new());
    for (job, found) in found {
        match (found, &job.url) {
            (Found::Here(_), _) => summary.from_disk += job.requests.len(),
            (Found::Failed { source, problem }, _) => {
                failed.push(failure(&job, source, problem));
            }
            (Found::Nowhere { note }, _) => remote.push(Job { note, ..job }),
        }
    }
    if !failed.is_empty() {
        let untried = remote.len();
        return Err(FetchError::Failed { failed, untried });
    }
    from_shared(store, &mut remote, options, &ready, &mut summary);
    if options.offline {
        let asked = remote.extract_if(.., |job| job.url.is_some());
        missing.extend(asked.map(|job| Named {
            package: job.request.package.clone(),
            file_name: job.request.artifact.file_name.clone(),
            note: match (job.note, &job.url) {
                (note, Some(url)) if note.is_empty() => format!("from {}", download::shown(url)),
                (note, _) => note,
            },
        }));
    }
    if !missing.is_empty() {
        return Err(FetchError::Offline(missing));
    }
    if !remote.is_empty() {
        let done = from_network(store, &remote, options, progress, &ready, &mut summary);
        progress.done();
        done?;
    }
    Ok(summary)
}

fn failure(job: &Job<'_>, source: String, problem: Problem) -> Failure {
    Failure {
        package: job.request.package.clone(),
        source,
        problem,
    }
}

/// What the lock must give for every artifact, unless the user allows otherwise.
fn check_digests(
    requests: &[DownloadRequest<'_>],
    options: &FetchOptions,
) -> Result<(), FetchError> {
    let allowed: BTreeSet<String> = options
        .allow_unhashed
        .iter()
        .map(|name| normalised(name))
        .collect();
    let (mut unhashed, mut weak) = (Vec::new(), Vec::new());
    for DownloadRequest { package, artifact } in requests {
        let algorithm = artifact.digest.as_ref().map(Digest::algorithm);
        let named = || Named::algorithm(package, &artifact.file_name, algorithm);
        match algorithm {
            None if !allowed.contains("all") && !allowed.contains(&normalised(package)) => {
                unhashed.push(named());
            }
            Some(algorithm) if algorithm.is_weak() && !options.allow_weak => weak.push(named()),
            _ => {}
        }
    }
    match (unhashed.is_empty(), weak.is_empty()) {
        (false, _) => Err(FetchError::Unhashed(unhashed)),
        (true, false) => Err(FetchError::Weak(weak)),
        (true, true) => Ok(()),
    }
}

/// A package's name as all its spellings have it (PEP 503; npm's names only ever change less).
fn normalised(name: &str) -> String {
    let parts: Vec<&str> = name
        .split(['-', '_', '.'])
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("-").to_lowercase()
}

/// What a shared store has; the rest stays among the jobs.
fn from_shared(
    store: &Store,
    jobs: &mut Vec<Job<'_>>,
    options: &FetchOptions,
    ready: &dyn Fn(&Job<'_>, &Blob),
    summary: &mut Summary,
) {
    let Some(shared) = &options.shared else {
        return;
    };
    let known = jobs.iter().enumerate().filter_map(|(index, job)| {
        let artifact = job.request.artifact;
        let origin = Origin {
            file_name: artifact.file_name.clone(),
            source: job.url.as_ref().map_or_else(String::new, download::shown),
        };
        Some((index, (artifact.digest.as_ref()?, origin)))
    });
    let (indexes, wanted): (Vec<usize>, Vec<_>) = known.unzip();
    let mut had: BTreeSet<usize> = BTreeSet::new();
    shared.bring(store, &wanted, &mut |place, blob| {
        let found = indexes.get(place);
        if let Some((index, job)) = found.and_then(|index| Some((index, jobs.get(*index)?))) {
            had.insert(*index);
            summary.from_shared += job.requests.len();
            summary.bytes += blob.size;
            ready(job, &blob);
        }
    });
    let mut index = 0;
    jobs.retain(|_| {
        index += 1;
        !had.contains(&(index - 1))
    });
}

/// The rest: one thread for the network, many downloads.
fn from_network(
    store: &Store,
    jobs: &[Job<'_>],
    options: &FetchOptions,
    progress: &Progress,
    ready: &dyn Fn(&Job<'_>, &Blob),
    summary: &mut Summary,
) -> Result<(), FetchError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| FetchError::Client(error.to_string()))?;
    progress.grow(
        jobs.iter()
            .filter_map(|job| job.request.artifact.size)
            .sum(),
    );
    let downloader = download::Downloader {
        client: client::Client::new(&options.retry, &options.route)?,
        store,
        credentials: &options.credentials,
        retry: options.retry,
        gates: retry::Gates::default(),
        progress,
    };
    // Set when there is no point in beginning another download.
    let is_over = Cell::new(false);
    let (downloader, is_over) = (&downloader, &is_over);
    let downloads = jobs.iter().filter_map(|job| {
        let url = job.url.as_ref()?;
        Some(async move {
            if is_over.get() {
                return (job, None);
            }
            progress.working_on(job.request.artifact.file_name.clone());
            let outcome = downloader.download(job.request.artifact, url).await;
            if let Err(Problem::Unreachable { .. } | Problem::Store(_)) = &outcome {
                is_over.set(true);
            }
            (job, Some(outcome.map_err(|problem| (url, problem))))
        })
    });
    let (mut failed, mut untried) = (Vec::new(), 0);
    let mut new = Vec::new();
    runtime.block_on(async {
        let mut done = futures_util::stream::iter(downloads)
            .buffer_unordered(options.concurrency.clamp(1, 256));
        while let Some((job, outcome)) = done.next().await {
            match outcome {
                None => untried += 1,
                Some(Ok(blob)) => {
                    summary.from_network += job.requests.len();
                    summary.bytes += blob.size;
                    ready(job, &blob);
                    new.extend(job.request.artifact.digest.is_some().then_some(blob));
                }
                Some(Err((url, problem))) => {
                    failed.push(failure(job, download::shown(url), problem));
                }
            }
        }
    });
    if let Some(shared) = &options.shared {
        shared.give(&new);
    }
    if failed.is_empty() {
        return Ok(());
    }
    // In the order of the lock, not of events.
    failed.sort_by(|one, other| (&one.package, &one.source).cmp(&(&other.package, &other.source)));
    Err(FetchError::Failed { failed, untried })
}
