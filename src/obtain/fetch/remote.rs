//! A store that machines share: a folder, or an HTTP server that takes PUT.
//!
//! ```text
//! v1/files/sha256/3f/3fc9…    an artifact, as in a store: believed for its digest
//! v1/built/sha256-77ab….json  what a wheel is that was built of this recipe: believed if signed
//! ```
//!
//! It is asked before the network, and given what came from there where that is allowed. Whatever goes
//! wrong with it costs a warning, and the rest of the run does without it: it is down, slow or full, it
//! has half an upload, or lies.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use camino::Utf8PathBuf;
use futures_util::StreamExt as _;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use url::Url;

use super::Route;
use super::client::Client;
use super::keys::{PublicKey, SecretKey};
use super::retry::RetryPolicy;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::scratch::TempFile;
use crate::decide::lock::is_file_name;
use crate::obtain::store::{Blob, Origin, Store};

/// How long it may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// The layout that is read and written.
const LAYOUT: &str = "v1";
/// What says which wheel was built is not longer.
const LARGEST: usize = 1 << 16;

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder, as of a network's file system.
    Folder(Utf8PathBuf),
    /// An HTTP server.
    Server(Url),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Ok(url) = text.parse::<Url>() else {
            return match camino::absolute_utf8(text) {
                Ok(path) if !text.is_empty() => Ok(Self::Folder(path)),
                _ => Err("it is neither a URL nor a folder".to_owned()),
            };
        };
        match url.scheme() {
            "file" => match url.to_file_path().map(Utf8PathBuf::try_from) {
                Ok(Ok(path)) => Ok(Self::Folder(path)),
                _ => Err("it is no path of this machine".to_owned()),
            },
            "http" | "https" => Ok(Self::Server(url)),
            other => Err(format!(
                "`{other}` is no kind of shared store: there are folders, http and https"
            )),
        }
    }
}

impl std::fmt::Display for Place {
    /// Without a login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{path}"),
            Self::Server(url) => {
                let mut url = url.clone();
                // Fails only for those that cannot have one.
                let _ = url.set_password(None);
                let _ = url.set_username("");
                write!(f, "{url}")
            }
        }
    }
}

/// What is said of a remote.
#[derive(Debug, Clone)]
pub struct Said {
    /// Where it is.
    pub place: Place,
    /// Whether it is given what it does not have.
    pub push: bool,
    /// Whom to believe about built wheels.
    pub trusted: Vec<PublicKey>,
    /// The file of the key that signs those that are built here.
    pub key: Option<Utf8PathBuf>,
    /// Whether nothing may be asked over a network.
    pub offline: bool,
}

/// A shared store, opened when it is first asked.
pub struct Remote {
    said: Said,
    opened: OnceLock<Option<Opened>>,
    /// Set when it does not answer: it is not asked again.
    is_down: AtomicBool,
    /// Recipes that it was asked about.
    asked: Mutex<BTreeSet<Digest>>,
    has_said_unsigned: AtomicBool,
}

struct Opened {
    objects: Objects,
    runtime: Runtime,
    key: Option<SecretKey>,
}

/// Which wheel was built of a recipe.
#[derive(Debug, Serialize, Deserialize)]
struct Built {
    file_name: String,
    digest: Digest,
    signature: String,
}

impl Built {
    /// What is signed of it.
    fn text(&self, key: &Digest) -> String {
        let Self {
            file_name, digest, ..
        } = self;
        format!("lockwright built 1\n{key}\n{file_name}\n{digest}\n")
    }
}

/// Where the bytes are.
enum Objects {
    Folder(Utf8PathBuf),
    Server(reqwest::Client, Url),
}

impl Objects {
    /// Hands on what is at a path, piece by piece; whether anything is there.
    async fn get(
        &self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, String> {
        match self {
            Self::Folder(folder) => {
                let opened = foreign::Folder::open(folder).and_then(|folder| folder.file(path));
                let mut file = match opened {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    other => other.map_err(|error| error.to_string())?,
                };
                let mut piece = vec![0; 1 << 18];
                loop {
                    match io::Read::read(&mut file, &mut piece) {
                        Ok(0) => return Ok(true),
                        Ok(read) => take(piece.get(..read).unwrap_or_default()),
                        Err(error) => Err(error),
                    }
                    .map_err(|error| error.to_string())?;
                }
            }
            Self::Server(http, base) => {
                let answer = http.get(at(base, path)).send().await;
                let mut answer = answer.map_err(|error| causes(&error))?;
                match answer.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(false),
                    status => return Err(format!("it answers {status}")),
                }
                while let Some(piece) = answer.chunk().await.map_err(|error| causes(&error))? {
                    take(&piece).map_err(|error| error.to_string())?;
                }
                Ok(true)
            }
        }
    }

    /// How long what is at a path is, if it is there.
    async fn size(&self, path: &str) -> Option<u64> {
        match self {
            Self::Folder(folder) => {
                let folder = foreign::Folder::open(folder).ok()?;
                Some(folder.file(path).ok()?.metadata().ok()?.len())
            }
            Self::Server(http, base) => {
                let answer = http.head(at(base, path)).send().await.ok()?;
                let length = answer.headers().get(reqwest::header::CONTENT_LENGTH);
                let is_there = answer.status() == StatusCode::OK;
                length.filter(|_| is_there)?.to_str().ok()?.parse().ok()
            }
        }
    }

    /// Puts bytes at a path, all of them or none where that can be had.
    async fn put(&self, path: &str, bytes: Bytes) -> Result<(), String> {
        match self {
            Self::Folder(folder) => {
                let place = folder.join(path);
                let parent = place.parent().unwrap_or(folder);
                let write = || {
                    std::fs::create_dir_all(parent)?;
                    let mut file = TempFile::new_in(parent, Some(0o644))?;
                    io::Write::write_all(&mut *file, &bytes)?;
                    file.persist(&place).map(|_| ())
                };
                write().map_err(|error: io::Error| error.to_string())
            }
            Self::Server(http, base) => {
                let answer = http.put(at(base, path)).body(bytes).send().await;
                match answer.map_err(|error| causes(&error))?.status() {
                    status if status.is_success() => Ok(()),
                    status => Err(format!("it answers {status}")),
                }
            }
        }
    }
}

/// A path below a server's own.
fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.said.place)
    }
}

impl Remote {
    /// Nothing is asked yet.
    pub fn new(said: Said) -> Self {
        Self {
            said,
            opened: OnceLock::new(),
            is_down: AtomicBool::new(false),
            asked: Mutex::default(),
            has_said_unsigned: AtomicBool::new(false),
        }
    }

    fn opened(&self) -> Option<&Opened> {
        if self.is_down.load(Ordering::Relaxed) {
            return None;
        }
        let opened = self.opened.get_or_init(|| match open(&self.said) {
            Ok(opened) => opened,
            Err(why) => {
                self.warn(&why);
                None
            }
        });
        opened.as_ref()
    }

    /// Says once what is wrong, and asks no more.
    fn warn(&self, why: &str) {
        if !self.is_down.swap(true, Ordering::Relaxed) {
            let place = &self.said.place;
            eprintln!("warning: the shared store {place} is not used any more in this run: {why}");
        }
    }

    /// Brings those of some artifacts that it has into the store; `hear` is told of each, by its index.
    pub fn bring(
        &self,
        store: &Store,
        wanted: &[(&Digest, Origin)],
        hear: &mut dyn FnMut(usize, Blob),
    ) {
        let Some(opened) = self.opened().filter(|_| !wanted.is_empty()) else {
            return;
        };
        let requests = wanted
            .iter()
            .enumerate()
            .map(|(index, (digest, origin))| async move {
                (index, self.artifact(opened, store, digest, origin).await)
            });
        opened.runtime.block_on(async {
            let mut done = futures_util::stream::iter(requests).buffer_unordered(AT_ONCE);
            while let Some((index, blob)) = done.next().await {
                if let Some(blob) = blob {
                    hear(index, blob);
                }
            }
        });
    }

    async fn artifact(
        &self,
        opened: &Opened,
        store: &Store,
        digest: &Digest,
        origin: &Origin,
    ) -> Option<Blob> {
        // Something that went wrong with another one is enough.
        if self.is_down.load(Ordering::Relaxed) || digest.algorithm().is_weak() {
            return None;
        }
        let mut writer = store.writer(digest.algorithm()).ok()?;
        let mut take = |piece: &[u8]| writer.write(piece).map_err(io::Error::other);
        match opened.objects.get(&file(digest), &mut take).await {
            Ok(true) => {}
            Ok(false) => return None,
            Err(why) => {
                self.warn(&why);
                return None;
            }
        }
        match writer.commit(digest, origin) {
            Ok(blob) => Some(blob),
            Err(error) => {
                let name = &self.said.place;
                eprintln!(
                    "warning: the shared store {name} has something else in the place of {}: {error}",
                    origin.file_name
                );
                None
            }
        }
    }

    /// Gives it artifacts that it does not have, where that is allowed.
    pub fn give(&self, blobs: &[Blob]) {
        let Some(opened) = self
            .opened()
            .filter(|_| self.said.push && !blobs.is_empty())
        else {
            return;
        };
        let uploads = blobs.iter().map(|blob| self.upload(opened, blob));
        opened.runtime.block_on(async {
            let mut done = futures_util::stream::iter(uploads).buffer_unordered(AT_ONCE);
            while done.next().await.is_some() {}
        });
    }

    async fn upload(&self, opened: &Opened, blob: &Blob) {
        if self.is_down.load(Ordering::Relaxed) {
            return;
        }
        let place = file(&blob.digest);
        if opened.objects.size(&place).await == Some(blob.size) {
            return;
        }
        let Ok(bytes) = blob.verified() else { return };
        self.put(opened, &place, Bytes::from_owner(bytes)).await;
    }

    async fn put(&self, opened: &Opened, place: &str, bytes: Bytes) {
        if let Err(why) = opened.objects.put(place, bytes).await {
            self.warn(&format!("it does not take what it is given: {why}"));
        }
    }

    /// The wheel that was built of a recipe, where somebody who is trusted says which that is.
    pub fn built(&self, store: &Store, key: &Digest) -> Option<(String, Blob)> {
        let is_new = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            asked.insert(key.clone())
        };
        let opened = self
            .opened()
            .filter(|_| is_new && !self.said.trusted.is_empty())?;
        let mut bytes = Vec::new();
        let mut take = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            match bytes.len() > LARGEST {
                true => Err(io::ErrorKind::FileTooLarge.into()),
                false => Ok(()),
            }
        };
        let place = built_of(key);
        let found = opened.objects.get(&place, &mut take);
        match opened.runtime.block_on(found) {
            Ok(true) => {}
            Ok(false) => return None,
            Err(why) => {
                self.warn(&why);
                return None;
            }
        }
        let built: Built = serde_json::from_slice(&bytes).ok()?;
        let text = built.text(key);
        let mut trusted = self.said.trusted.iter();
        let is_trusted = trusted.any(|one| one.made(&built.signature, &text));
        if !is_trusted || !is_file_name(&built.file_name) {
            eprintln!(
                "warning: the shared store {} has {} as built, which nobody signed who is trusted: it is \
                 built here",
                self.said.place,
                foreign::shown(&built.file_name)
            );
            return None;
        }
        let origin = Origin {
            file_name: built.file_name.clone(),
            source: self.said.place.to_string(),
        };
        let blob = opened
            .runtime
            .block_on(self.artifact(opened, store, &built.digest, &origin))?;
        store
            .insert_built(key, &built.file_name, &blob.path, &origin.source)
            .ok()
    }

    /// Gives it a wheel that was built here, signed.
    pub fn give_built(&self, key: &Digest, file_name: &str, blob: &Blob) {
        let Some(opened) = self.opened().filter(|_| self.said.push) else {
            return;
        };
        let Some(own) = &opened.key else {
            if !self.has_said_unsigned.swap(true, Ordering::Relaxed) {
                eprintln!(
                    "note: what is built here is not given to the shared store {}: nobody would believe \
                     it unsigned; --remote-key FILE signs it",
                    self.said.place
                );
            }
            return;
        };
        let mut built = Built {
            file_name: file_name.to_owned(),
            digest: blob.digest.clone(),
            signature: String::new(),
        };
        built.signature = own.sign(&built.text(key));
        let Ok(text) = serde_json::to_vec(&built) else {
            return;
        };
        opened.runtime.block_on(async {
            self.upload(opened, blob).await;
            // What leads to something is there after it.
            if !self.is_down.load(Ordering::Relaxed) {
                self.put(opened, &built_of(key), text.into()).await;
            }
        });
    }
}

/// Where an artifact is.
fn file(digest: &Digest) -> String {
    let hex = digest.hex();
    let short: String = hex.chars().take(2).collect();
    format!("{LAYOUT}/files/{}/{short}/{hex}", digest.algorithm())
}

/// Where it is said what was built of a recipe.
fn built_of(key: &Digest) -> String {
    format!("{LAYOUT}/built/{}-{}.json", key.algorithm(), key.hex())
}

/// Opens it; none where this run may ask nobody.
fn open(said: &Said) -> Result<Option<Opened>, String> {
    let is_folder = matches!(said.place, Place::Folder(_));
    if said.offline && !is_folder {
        return Ok(None);
    }
    let objects = match &said.place {
        Place::Folder(folder) => {
            if said.push {
                std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            }
            std::fs::read_dir(folder).map_err(|error| error.to_string())?;
            Objects::Folder(folder.clone())
        }
        Place::Server(url) => {
            let policy = RetryPolicy {
                timeout: PATIENCE,
                ..RetryPolicy::default()
            };
            let client = Client::new(&policy, &Route::default());
            Objects::Server(client.map_err(|error| error.to_string())?.http, url.clone())
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let key = match said.key.as_ref().filter(|_| said.push) {
        Some(file) => Some(SecretKey::load(file)?),
        None => None,
    };
    Ok(Some(Opened {
        objects,
        runtime,
        key,
    }))
}

/// An error with all that it says of what caused it, on one line and harmless to print.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(&format!(": {said}"));
        }
        cause = error.source();
    }
    let text: String = text.chars().take(500).collect();
    foreign::shown(&text)
}
