//! A store that machines share: a folder, an HTTP server that accepts PUT, or an S3-compatible bucket.
//!
//! ```text
//! v1/files/sha256/3f/3fc9…    an artifact, as in a store: believed for its digest
//! v1/built/sha256-77ab….json  what was built of this recipe (a wheel, a git package that was prepared, a
//!                             commit's files, a component): believed if signed
//! ```
//!
//! It is asked before the network, and gets what came from there if that is allowed. Whatever goes wrong
//! with it (it is down, slow or full, has half an upload, or lies) costs a warning, and the rest of
//! the run does without it.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use camino::Utf8PathBuf;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::download;
use super::keys::{PublicKey, SecretKey};
use super::objects::Objects;
pub use super::objects::Place;
use super::retry::RetryPolicy;
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::locks;
use crate::core::progress::warn;
use crate::decide::lock::is_file_name;
use crate::obtain::store::{Blob, Origin, Store};

/// How long it may say nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked again: a bucket may have to be asked more slowly.
const RETRIES: u32 = 2;
/// How many requests are under way at once.
const AT_ONCE: usize = 16;
/// The layout that is read and written.
const LAYOUT: &str = "v1";
/// What says what was built is not longer.
const LARGEST: usize = 1 << 16;

/// What is said of a remote.
#[derive(Debug, Clone)]
pub struct Said {
    /// Where it is.
    pub place: Place,
    /// Whether it is given what it does not have.
    pub push: bool,
    /// Whom to believe about what was built.
    pub trusted: Vec<PublicKey>,
    /// The file of the key that signs those that are built here.
    pub key: Option<Utf8PathBuf>,
    /// Whether nothing may be asked over a network.
    pub offline: bool,
    /// How long it is waited for, at most.
    pub retry: RetryPolicy,
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

/// What was built of a recipe.
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
            warn(&format!(
                "the shared store {place} is not used any more in this run: {why}"
            ));
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
        let mut take = |piece: &[u8]| match writer.size() > download::LARGEST {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => writer.write(piece).map_err(io::Error::other),
        };
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
                warn(&format!(
                    "the shared store {name} has something else in place of {}: {error}",
                    origin.file_name
                ));
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
            self.warn(&format!("it does not accept uploads: {why}"));
        }
    }

    /// What was built of a recipe, where somebody who is trusted says what that is.
    ///
    /// In the store it is kept under his key also: who does not trust him does not find it there.
    pub fn built(&self, store: &Store, key: &Digest) -> Option<(String, Blob)> {
        let mut known = self.said.trusted.iter();
        if let Some(known) = known.find_map(|by| store.built(&signed(key, by))) {
            return Some(known);
        }
        let is_new = locks::held(&self.asked).insert(key.clone());
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
        let shared = &self.said.place;
        let Ok(built) = serde_json::from_slice::<Built>(&bytes) else {
            warn(&format!(
                "the shared store {shared} has a {place} that says nothing of what was built"
            ));
            return None;
        };
        let text = built.text(key);
        let mut trusted = self.said.trusted.iter();
        let by = trusted.find(|by| by.made(&built.signature, &text));
        let Some(by) = by.filter(|_| is_file_name(&built.file_name)) else {
            warn(&format!(
                "the shared store {shared} has a built {} without a trusted signature, so it is built here",
                foreign::shown(&built.file_name)
            ));
            return None;
        };
        let origin = Origin {
            file_name: built.file_name.clone(),
            source: shared.to_string(),
        };
        let blob = opened
            .runtime
            .block_on(self.artifact(opened, store, &built.digest, &origin))?;
        let key = signed(key, by);
        store
            .insert_built(&key, &built.file_name, &blob.path, &origin.source)
            .ok()
    }

    /// Whether it is given what is built here.
    pub fn takes_built(&self) -> bool {
        self.signer().is_some()
    }

    fn signer(&self) -> Option<(&Opened, &SecretKey)> {
        let opened = self.opened().filter(|_| self.said.push)?;
        if opened.key.is_none() && !self.has_said_unsigned.swap(true, Ordering::Relaxed) {
            eprintln!(
                "note: what is built here is not uploaded to the shared store {}: without a signature \
                 nobody would accept them; --remote-key FILE signs them",
                self.said.place
            );
        }
        Some((opened, opened.key.as_ref()?))
    }

    /// Gives it what was built here, signed.
    pub fn give_built(&self, key: &Digest, file_name: &str, blob: &Blob) {
        let Some((opened, own)) = self.signer() else {
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

/// What is kept that somebody signed.
fn signed(key: &Digest, by: &PublicKey) -> Digest {
    let text = format!("signed by {by}\n{key}\n");
    Digest::of(Algorithm::Sha256, text.as_bytes())
}

/// Opens it; none where this run may ask nobody.
fn open(said: &Said) -> Result<Option<Opened>, String> {
    let is_folder = matches!(said.place, Place::Folder(_));
    if said.offline && !is_folder {
        return Ok(None);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let objects = match &said.place {
        Place::Folder(folder) => Objects::folder(folder, said.push)?,
        Place::Server(url) => {
            let retry = RetryPolicy {
                timeout: said.retry.timeout.min(PATIENCE),
                retries: said.retry.retries.min(RETRIES),
                ..said.retry
            };
            runtime.block_on(Objects::server(url, retry))?
        }
    };
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
