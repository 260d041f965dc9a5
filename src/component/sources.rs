//! Sources: brought once a run, whoever asks first, and kept unpacked in the store's `sources/`.
//!
//! A source with a hash is found there by it, without asking anyone; one without is found by what
//! it came as, and its hash is said so that it can be written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use super::Settings;
use super::error::{Cause, ComponentError};
use crate::core::artifact::{Artifact, Location};
use crate::core::digest::Digest;
use crate::core::progress::Progress;
use crate::core::scratch::Beside;
use crate::decide::manifest::{Origin, Source, nearest};
use crate::files::archive::Limits;
use crate::obtain::fetch::{self, DownloadRequest};
use crate::obtain::source::{self, Revision, Shape, Unpacked};
use crate::obtain::store::Blob;
use crate::transform::nix::nar;

/// How folders are called in which sources are unpacked.
const STAGED: &str = ".lockwright-source-";

/// The folders of a run's sources.
pub struct Sources<'a> {
    settings: &'a Settings<'a>,
    folders: BTreeMap<&'a str, Mutex<Option<Utf8PathBuf>>>,
    digests: Mutex<HashMap<Utf8PathBuf, String>>,
}

impl<'a> Sources<'a> {
    /// None of them is brought yet.
    ///
    /// # Errors
    /// When `--source` names one that the manifest does not have, or no folder.
    pub fn new(settings: &'a Settings<'a>) -> Result<Self, ComponentError> {
        let known = &settings.document.manifest.sources;
        for (name, path) in &settings.sources {
            if !known.contains_key(name) {
                return Err(no_such(settings, "source", name, known.keys()));
            }
            if !path.is_dir() {
                let what = format!("--source {name}={path}: there is no such folder");
                return Err(Cause::Said(what).into());
            }
        }
        let folders = known.keys().map(|name| (name.as_str(), Mutex::default()));
        Ok(Self {
            settings,
            folders: folders.collect(),
            digests: Mutex::default(),
        })
    }

    /// The folder of a source, which is brought if it is not there.
    ///
    /// # Errors
    /// When it cannot be had, or is another than its hash says.
    pub fn folder(&self, name: &str) -> Result<Utf8PathBuf, ComponentError> {
        let known = self.settings.document.manifest.sources.get_key_value(name);
        let (Some((name, source)), Some(folder)) = (known, self.folders.get(name)) else {
            let known = self.settings.document.manifest.sources.keys();
            return Err(no_such(self.settings, "source", name, known));
        };
        let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*folder {
            return Ok(folder.clone());
        }
        let brought = self.bring(name, source)?;
        *folder = Some(brought.clone());
        Ok(brought)
    }

    /// Whether something that is named by a file stays in the source that the file is in, links
    /// followed, where that source is a stranger's: one that was fetched.
    pub fn keeps(&self, named_by: &Utf8Path, path: &Utf8Path) -> bool {
        let known = &self.settings.document.manifest.sources;
        let is_fetched = |name: &str| {
            let source = known.get(name);
            source.is_some_and(|source| !matches!(source.origin, Origin::Path { .. }))
                && !self.settings.sources.contains_key(name)
        };
        let fetched = self.folders.iter().filter(|(name, _)| is_fetched(name));
        // What is just being brought is nowhere yet.
        let mut tops = fetched.filter_map(|(_, folder)| folder.try_lock().ok()?.clone());
        let Some(top) = tops.find(|top| named_by.starts_with(top)) else {
            return true;
        };
        match (top.canonicalize_utf8(), path.canonicalize_utf8()) {
            (Ok(top), Ok(real)) => real.starts_with(top),
            // What is not there is missed by whoever reads it.
            _ => true,
        }
    }

    /// The NAR hash of something in a source, or beside the manifest.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, path: &Utf8Path) -> Result<String, Cause> {
        let digests = || self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = digests().get(path) {
            return Ok(known.clone());
        }
        let digest = nar::hash_path(path)?.sri();
        digests().insert(path.to_owned(), digest.clone());
        Ok(digest)
    }

    fn bring(&self, name: &str, source: &Source) -> Result<Utf8PathBuf, ComponentError> {
        if let Some(folder) = self.settings.sources.get(name) {
            return Ok(folder.clone());
        }
        let failed = |cause: Cause| ComponentError::Source {
            name: name.to_owned(),
            source: Box::new(cause),
        };
        let by_hash = source.hash.as_ref().map(|hash| self.place(name, hash));
        let (blob, shape) = match (&source.origin, by_hash.filter(|place| place.is_dir())) {
            (Origin::Path { path }, _) => return self.local(name, path, source.hash.as_ref()),
            (_, Some(place)) => return Ok(place),
            (
                Origin::Git {
                    git,
                    rev,
                    submodules,
                },
                None,
            ) => {
                let wanted = Revision {
                    url: git.clone(),
                    rev: rev.clone(),
                    submodules: *submodules,
                };
                let tree = source::git::fetch(self.settings.store, &wanted, self.settings.fetch)
                    .map_err(|error| failed(error.into()))?;
                (tree.archive, Shape::Packed)
            }
            (Origin::Archive { url }, None) => {
                let blob = self.download(name, url).map_err(failed)?;
                (blob, Shape::Sdist)
            }
        };
        let place = self.place(name, source.hash.as_ref().unwrap_or(&blob.digest));
        if place.is_dir() {
            return Ok(place);
        }
        let beside = make(place.parent().unwrap_or(&place)).map_err(failed)?;
        let staged = Beside::new(beside, STAGED)
            .map_err(|error| failed(Cause::io("make a folder beside", &place)(error)))?;
        let tree = staged.path().join("tree");
        let unpacked = source::unpack(&blob, name, shape, &tree, &Limits::default())
            .map_err(|error| failed(error.into()))?;
        warn(name, &unpacked);
        match &source.hash {
            Some(expected) => self.check(name, &tree, expected)?,
            None => {
                let hash = nar::hash_path(&tree).map_err(|error| failed(error.into()))?;
                eprintln!(
                    "note: source `{name}` has no hash in the manifest; hash = \"{}\" holds it to \
                     what was brought now",
                    hash.sri()
                );
            }
        }
        match std::fs::rename(&tree, &place) {
            // Another process was faster, with the same bytes.
            Err(_) if place.is_dir() => {}
            other => other.map_err(|error| failed(Cause::io("make", &place)(error)))?,
        }
        Ok(place)
    }

    /// A folder of this machine, which is used where it is.
    fn local(
        &self,
        name: &str,
        path: &Utf8Path,
        hash: Option<&Digest>,
    ) -> Result<Utf8PathBuf, ComponentError> {
        let folder: Utf8PathBuf = self
            .settings
            .document
            .folder()
            .join(path)
            .components()
            .collect();
        if !folder.is_dir() {
            let file = &self.settings.document.file;
            let what = format!("there is no folder {folder}; paths are relative to {file}");
            return Err(ComponentError::Source {
                name: name.to_owned(),
                source: Box::new(Cause::Said(what)),
            });
        }
        if let Some(expected) = hash {
            self.check(name, &folder, expected)?;
        }
        Ok(folder)
    }

    fn check(
        &self,
        name: &str,
        folder: &Utf8Path,
        expected: &Digest,
    ) -> Result<(), ComponentError> {
        let got = nar::hash_path(folder).map_err(|error| ComponentError::Source {
            name: name.to_owned(),
            source: Box::new(error.into()),
        })?;
        if got == *expected {
            return Ok(());
        }
        Err(ComponentError::Hash {
            name: name.to_owned(),
            expected: expected.sri(),
            got: got.sri(),
            file: self.settings.document.file.clone(),
        })
    }

    fn place(&self, name: &str, digest: &Digest) -> Utf8PathBuf {
        let hex = digest.hex();
        let short = hex.get(..32).unwrap_or(&hex);
        let folder = self.settings.store.root().join("sources");
        folder.join(format!("{name}-{short}"))
    }

    /// An archive is held against the tree's hash, not its own.
    fn download(&self, name: &str, url: &url::Url) -> Result<Blob, Cause> {
        let last = url.path_segments().and_then(|mut parts| parts.next_back());
        let artifact = Artifact {
            file_name: last.filter(|last| !last.is_empty()).unwrap_or(name).into(),
            location: Location::Url(url.clone()),
            digest: None,
            size: None,
        };
        let mut options = self.settings.fetch.clone();
        options.allow_unhashed.insert(name.to_owned());
        let wants = [DownloadRequest {
            package: name.to_owned(),
            artifact: &artifact,
        }];
        let found: Mutex<Option<Blob>> = Mutex::default();
        let progress = Progress::bytes("Fetching", 0);
        fetch::fetch(
            self.settings.store,
            &wants,
            &options,
            &progress,
            &|_, blob| *found.lock().unwrap_or_else(PoisonError::into_inner) = Some(blob),
        )?;
        progress.done();
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.ok_or_else(|| Cause::Said(format!("{url} was not fetched")))
    }
}

fn make(folder: &Utf8Path) -> Result<&Utf8Path, Cause> {
    std::fs::create_dir_all(folder).map_err(Cause::io("make the folder", folder))?;
    Ok(folder)
}

fn warn(name: &str, unpacked: &Unpacked) {
    if let Some(first) = unpacked.lfs_pointers.first() {
        let more = match unpacked.lfs_pointers.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more files"),
        };
        eprintln!("warning: {first}{more} of source `{name}` are in Git LFS, and left as pointers");
    }
}

/// The refusal of a name that the manifest does not have.
pub(super) fn no_such<'n>(
    settings: &Settings<'_>,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'n String> + Clone,
) -> ComponentError {
    let hint = match nearest(name, known.clone().map(String::as_str)) {
        Some(meant) => format!("; did you mean `{meant}`?"),
        None => {
            let all: Vec<String> = known.map(|name| format!("`{name}`")).collect();
            match all.is_empty() {
                true => String::new(),
                false => format!(": there are {}", all.join(", ")),
            }
        }
    };
    ComponentError::NoSuch {
        file: settings.document.file.clone(),
        what,
        name: name.to_owned(),
        hint,
    }
}
