//! Arguments that say where artifacts come from and are kept.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use clap::builder::FalseyValueParser;
use url::Url;

use super::Failure;
use super::python_args::is_true;
use crate::core::scratch::Scratch;
use crate::decide::manifest::{FILE_NAME, Manifest};
use crate::obtain::fetch::credentials::Credentials;
use crate::obtain::fetch::keys::{KeyError, PublicKey};
use crate::obtain::fetch::mirrors::{Mirror, Mirrors};
use crate::obtain::fetch::remote::{Place, Remote, Said};
use crate::obtain::fetch::{FetchOptions, RetryPolicy, Route};
use crate::obtain::store::Store;

/// Where artifacts are kept.
#[derive(Debug, Clone, Default, Args)]
pub struct StoreArgs {
    /// The store of verified artifacts [default: ~/.cache/lockwright]
    #[arg(
        long,
        value_name = "DIR",
        global = true,
        env = "LOCKWRIGHT_STORE",
        hide_env_values = true
    )]
    store: Option<Utf8PathBuf>,

    /// Keep artifacts in the store only as they came: a smaller store, slower to place from
    #[arg(long, global = true, env = "LOCKWRIGHT_STORE_PACKED", value_parser = FalseyValueParser::new())]
    store_packed: bool,

    /// Hash what is taken from the store each time, as `store verify` does: of files that are linked, an edit that kept
    /// its time is not seen otherwise
    #[arg(long, global = true, env = "LOCKWRIGHT_VERIFY_STORE", value_parser = FalseyValueParser::new())]
    verify_store: bool,

    /// The store, once it is open: one for the whole run.
    #[arg(skip)]
    opened: OnceLock<Store>,
    /// The folder of a store that is for this run alone.
    #[arg(skip)]
    held: OnceLock<Arc<Scratch>>,
}

impl StoreArgs {
    /// The store, opened.
    ///
    /// # Errors
    /// When its folder cannot be told or made.
    pub fn open(&self) -> Result<Store, Failure> {
        if let Some(store) = self.opened.get() {
            return Ok(store.clone());
        }
        let store = Store::open(&self.root()?)?;
        let store = match self.store_packed {
            true => store.packed(),
            false => store,
        };
        let store = match self.verify_store {
            true => store.verifying(),
            false => store,
        };
        Ok(self.opened.get_or_init(|| store).clone())
    }

    /// The store, if it is there: what can be known of artifacts is known from it.
    ///
    /// # Errors
    /// When its folder cannot be told or opened.
    pub fn known(&self) -> Result<Option<Store>, Failure> {
        match self.root()?.is_dir() {
            true => self.open().map(Some),
            false => Ok(None),
        }
    }

    fn root(&self) -> Result<Utf8PathBuf, Failure> {
        match self.store.as_ref().filter(|root| !root.as_str().is_empty()) {
            Some(root) => Ok(root.clone()),
            None => Ok(Store::default_root()?),
        }
    }

    /// A store that is gone when the run ends.
    ///
    /// # Errors
    /// When its folder cannot be made.
    fn open_for_now(&self) -> Result<Store, Failure> {
        if let Some(store) = self.opened.get() {
            return Ok(store.clone());
        }
        let folder = Scratch::new("store")?;
        let root = folder.path().to_owned();
        let store = Store::open(&root)?.packed();
        let _ = self.held.set(Arc::new(folder));
        Ok(self.opened.get_or_init(|| store).clone())
    }
}

/// Where from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Where artifacts come from")]
pub struct NetworkArgs {
    #[command(flatten)]
    store: StoreArgs,
    /// Use a temporary store: everything is fetched anew, and removed at the end [env: UV_NO_CACHE,
    /// if no store is named]
    #[arg(long, short = 'n')]
    no_cache: bool,
    /// Use no network: an artifact that is neither in the store nor in a --find-links folder is an
    /// error
    #[arg(long, env = "UV_OFFLINE", value_parser = FalseyValueParser::new())]
    offline: bool,
    /// Fetch URLs that begin with FROM from TO instead; the longest FROM wins (repeatable;
    /// separated by spaces in the variable). TO may be a folder
    #[arg(
        long,
        value_name = "FROM=TO",
        env = "LOCKWRIGHT_MIRROR",
        hide_env_values = true,
        value_delimiter = ' '
    )]
    mirror: Vec<Mirror>,
    /// A folder of artifacts to look in before the network, or one artifact (repeatable)
    #[arg(long, short = 'f', value_name = "PATH")]
    find_links: Vec<Utf8PathBuf>,
    /// How many downloads run at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = FetchOptions::default().concurrency,
        env = "UV_CONCURRENT_DOWNLOADS",
        hide_env_values = true
    )]
    concurrency: usize,
    /// Give up on a server that has been silent for this many seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = RetryPolicy::default().timeout.as_secs(),
        env = "UV_HTTP_TIMEOUT",
        hide_env_values = true
    )]
    timeout: u64,
    /// The minimum bytes per second that a server must send, over each --timeout; 0 for no limit
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = RetryPolicy::default().slowest,
        env = "LOCKWRIGHT_SPEED_LIMIT",
        hide_env_values = true
    )]
    speed_limit: u64,
    /// How often a download is retried without progress
    #[arg(
        long,
        value_name = "N",
        default_value_t = RetryPolicy::default().retries,
        env = "UV_HTTP_RETRIES",
        hide_env_values = true
    )]
    retries: u32,
    /// Take this package's artifacts even if the lock has no digest for them; `all` means every
    /// package (repeatable, or separated by commas)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    allow_unhashed: Vec<String>,
    /// Accept md5 and sha1 as digests
    #[arg(long)]
    allow_weak_integrity: bool,
    #[command(flatten)]
    shared: SharedArgs,
}

/// A store that machines share.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "A store that machines share")]
struct SharedArgs {
    /// Ask this shared store before the network: a folder, an HTTP server (with PUT, to write to
    /// it), or s3://BUCKET/PREFIX (with AWS_ACCESS_KEY_ID and its like). Artifacts from it are
    /// verified by their digests
    #[arg(
        long,
        value_name = "URL",
        env = "LOCKWRIGHT_REMOTE",
        hide_env_values = true
    )]
    remote: Option<Place>,
    /// What the user's settings say of it, after a lockwright.toml.
    #[arg(long, value_name = "URL", hide = true)]
    users_remote: Option<Place>,
    /// Upload the artifacts that it lacks
    #[arg(long, env = "LOCKWRIGHT_REMOTE_PUSH", value_parser = FalseyValueParser::new())]
    remote_push: bool,
    /// Accept what was built elsewhere if this key has signed it: NAME:BASE64 (repeatable; separated by
    /// spaces in the variable)
    #[arg(
        long,
        value_name = "KEY",
        env = "LOCKWRIGHT_REMOTE_TRUST",
        value_delimiter = ' '
    )]
    remote_trust: Vec<PublicKey>,
    /// Sign what is built here with the key in this file, made by `lockwright store keygen`
    #[arg(long, value_name = "FILE", env = "LOCKWRIGHT_REMOTE_KEY")]
    remote_key: Option<Utf8PathBuf>,
    /// What a lockwright.toml says of it.
    #[arg(skip)]
    said: OnceLock<(Place, Vec<PublicKey>)>,
    /// The store, once a run has asked for it.
    #[arg(skip)]
    opened: OnceLock<Arc<Remote>>,
}

impl SharedArgs {
    /// The store, one for the whole run.
    fn open(&self, offline: bool, retry: RetryPolicy) -> Option<Arc<Remote>> {
        let said = self.said.get();
        let place = (self.remote.as_ref())
            .or(said.map(|said| &said.0))
            .or(self.users_remote.as_ref())?
            .clone();
        let trusted = self.remote_trust.iter();
        let trusted = trusted.chain(said.iter().flat_map(|said| &said.1));
        let open = || {
            Arc::new(Remote::new(Said {
                place,
                push: self.remote_push,
                trusted: trusted.cloned().collect(),
                key: self.remote_key.clone(),
                offline,
                retry,
            }))
        };
        Some(Arc::clone(self.opened.get_or_init(open)))
    }
}

impl NetworkArgs {
    /// The store, opened.
    ///
    /// # Errors
    /// When its folder cannot be told or made.
    pub fn store(&self) -> Result<Store, Failure> {
        // A store that is named is meant, whatever a variable says to uv.
        let said = || std::env::var("UV_NO_CACHE").is_ok_and(|value| is_true(&value));
        match self.no_cache || (self.store.store.is_none() && said()) {
            true => self.store.open_for_now(),
            false => self.store.open(),
        }
    }

    /// The store, if it is there.
    ///
    /// # Errors
    /// When its folder cannot be told or opened.
    pub fn known_store(&self) -> Result<Option<Store>, Failure> {
        self.store.known()
    }

    /// The store, if it was opened.
    pub(super) fn opened(&self) -> Option<Store> {
        self.store.opened.get().cloned()
    }

    /// The mirrors, after some that are known already.
    pub fn mirrors(&self, known: Vec<Mirror>) -> Mirrors {
        Mirrors::new(known.into_iter().chain(self.mirror.iter().cloned()))
    }

    /// Takes what a manifest says of a store that machines share, for what the command line does not.
    ///
    /// # Errors
    /// When that is no place, or no key.
    pub fn of_manifest(&self, file: &Utf8Path, manifest: &Manifest) -> Result<(), Failure> {
        let said = &manifest.remote;
        let Some(url) = &said.url else { return Ok(()) };
        let beside = file.with_file_name("");
        let place: Result<Place, String> = match url.contains("://") {
            true => url.parse(),
            false => beside.join(url).as_str().parse(),
        };
        let place = place.map_err(|why: String| format!("{file}: `url` of [remote]: {why}"))?;
        let keys: Result<Vec<PublicKey>, KeyError> =
            said.trust.iter().map(|key| key.parse()).collect();
        let keys = keys.map_err(|why: KeyError| format!("{file}: `trust` of [remote]: {why}"))?;
        // A run has one manifest.
        let _ = self.shared.said.set((place, keys));
        Ok(())
    }

    /// The same, with the lockwright.toml beside a lock.
    ///
    /// # Errors
    /// When that is there and cannot be read, as well.
    pub fn beside(&self, lock: &Utf8Path) -> Result<(), Failure> {
        let file = lock.with_file_name(FILE_NAME);
        match file.is_file() {
            true => self.of_manifest(&file, &Manifest::load(&file)?),
            false => Ok(()),
        }
    }

    /// How things are fetched. `indexes` are the names and URLs of the indexes that the project
    /// knows: uv's variables give logins for them by name.
    pub fn options(&self, indexes: &[(String, Url)]) -> FetchOptions {
        let retry = RetryPolicy {
            retries: self.retries,
            timeout: Duration::from_secs(self.timeout.max(1)),
            slowest: self.speed_limit,
            ..RetryPolicy::default()
        };
        FetchOptions {
            offline: self.offline,
            mirrors: Mirrors::new(self.mirror.iter().cloned()),
            find_links: self.find_links.clone(),
            concurrency: self.concurrency,
            allow_unhashed: self.allow_unhashed.iter().cloned().collect(),
            allow_weak: self.allow_weak_integrity,
            credentials: Credentials::from_environment(indexes),
            retry,
            route: Route::default(),
            shared: self.shared.open(self.offline, retry),
        }
    }
}
