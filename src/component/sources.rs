//! Sources: fetched once per run, for whoever asks first, and kept unpacked in the store's `sources/`.
//!
//! A source with a hash or a digest is found there by it, without asking anyone; one without is found
//! by what it came as, and what would hold it is said so that it can be written down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use camino::{Utf8Path, Utf8PathBuf};

use super::Settings;
use super::error::{Cause, ComponentError};
use super::kept;
use crate::core::artifact::{Artifact, Location};
use crate::core::digest::{Algorithm, Digest};
use crate::core::io_error::cannot;
use crate::core::locks;
use crate::core::nearest::instead;
use crate::core::progress;
use crate::core::scratch::Beside;
use crate::decide::manifest::{Form, Origin, Source, UrlSource};
use crate::files::archive::Limits;
use crate::obtain::fetch::{self, DownloadRequest};
use crate::obtain::source::{self, Revision, Shape, Unpacked};
use crate::obtain::store::Blob;
use crate::transform::nix::nar::{self, NarError};

/// How folders are called in which sources are unpacked.
const STAGED: &str = ".lockwright-source-";

/// The folders of a run's sources.
pub struct Sources<'a> {
    settings: &'a Settings<'a>,
    folders: BTreeMap<&'a str, Mutex<Option<Utf8PathBuf>>>,
    digests: Mutex<HashMap<Utf8PathBuf, Digest>>,
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
            if !path.exists() {
                let what = format!("--source {name}={path}: there is no such folder or file");
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

    /// The folder or file of a source, which is brought if it is not there.
    ///
    /// # Errors
    /// When it cannot be obtained, or is another than its hash says.
    pub fn folder(&self, name: &str) -> Result<Utf8PathBuf, ComponentError> {
        let known = self.settings.document.manifest.sources.get_key_value(name);
        let (Some((name, source)), Some(folder)) = (known, self.folders.get(name)) else {
            let known = self.settings.document.manifest.sources.keys();
            return Err(no_such(self.settings, "source", name, known));
        };
        let mut folder = locks::held(folder);
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

    /// The NAR hash of something in a source, beside the manifest, or of this machine. It is read once
    /// a run, and not again in later ones while nothing changes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, path: &Utf8Path) -> Result<String, Cause> {
        Ok(self.hash(path)?.sri())
    }

    fn hash(&self, path: &Utf8Path) -> Result<Digest, NarError> {
        let digests = || locks::held(&self.digests);
        if let Some(known) = digests().get(path) {
            return Ok(known.clone());
        }
        let store = self.settings.store;
        let digest = store.hash_of(path, |node| nar::hash_walked(path, node))?;
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
        let known = match (&source.hash, &source.origin) {
            (Some(hash), _) => Some(self.place(name, hash)),
            (None, Origin::Artifact(download)) => {
                let digest = download.digest.as_ref();
                digest.map(|digest| self.place(name, &identity(digest, download.form)))
            }
            _ => None,
        };
        let (blob, form) = match (&source.origin, known.filter(|place| place.exists())) {
            (Origin::Path { path }, _) => return self.local(name, path, source.hash.as_ref()),
            (_, Some(place)) => {
                kept::used(&place);
                return Ok(place);
            }
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
                (tree.archive, None)
            }
            (Origin::Artifact(download), None) => {
                let blob = self.download(name, download).map_err(failed)?;
                (blob, Some(download))
            }
        };
        let place = match (&source.hash, form) {
            (Some(hash), _) => self.place(name, hash),
            (None, Some(download)) => self.place(name, &identity(&blob.digest, download.form)),
            (None, None) => self.place(name, &blob.digest),
        };
        if place.exists() {
            return Ok(place);
        }
        let beside = make(place.parent().unwrap_or(&place)).map_err(failed)?;
        let staged = Beside::new(beside, STAGED)
            .map_err(|error| failed(cannot("make a folder beside", &place)(error).into()))?;
        let tree = staged.path().join("tree");
        let unpack = |shape| -> Result<(), ComponentError> {
            let unpacked = source::unpack(&blob, name, shape, &tree, &Limits::default());
            warn(name, &unpacked.map_err(|error| failed(error.into()))?);
            Ok(())
        };
        match form.map(|download| download.form) {
            None => unpack(Shape::Packed)?,
            Some(Form::Stripped) => unpack(Shape::Sdist)?,
            Some(Form::Whole) => unpack(Shape::Whole)?,
            Some(Form::File { executable }) => {
                put_file(&blob, executable, &tree).map_err(failed)?;
            }
        }
        if let Some(expected) = &source.hash {
            let got = nar::hash_path(&tree).map_err(|error| failed(error.into()))?;
            self.check(name, &got, expected)?;
        } else if let Some(download) = form {
            if download.digest.is_none() {
                say_what_holds(name, "digest", &blob.digest);
            }
        } else {
            let hash = nar::hash_path(&tree).map_err(|error| failed(error.into()))?;
            say_what_holds(name, "hash", &hash);
        }
        match std::fs::rename(&tree, &place) {
            // Another process was faster, with the same bytes.
            Err(_) if place.exists() => {}
            other => other.map_err(|error| failed(cannot("make", &place)(error).into()))?,
        }
        Ok(place)
    }

    /// A folder or file of this machine, which is used where it is.
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
        if !folder.exists() {
            let file = &self.settings.document.file;
            let what = format!("there is no {folder}; paths are relative to {file}");
            return Err(ComponentError::Source {
                name: name.to_owned(),
                source: Box::new(Cause::Said(what)),
            });
        }
        if let Some(expected) = hash {
            let got = self.hash(&folder).map_err(|error| ComponentError::Source {
                name: name.to_owned(),
                source: Box::new(error.into()),
            })?;
            self.check(name, &got, expected)?;
        }
        Ok(folder)
    }

    fn check(&self, name: &str, got: &Digest, expected: &Digest) -> Result<(), ComponentError> {
        if got == expected {
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

    /// What has no digest of its own is checked against the source's hash when it is unpacked.
    pub(super) fn download(&self, name: &str, download: &UrlSource) -> Result<Blob, Cause> {
        let artifact = artifact(name, download);
        let package = wanted_as(name);
        let mut options = self.settings.fetch.clone();
        options.allow_unhashed.insert(package.clone());
        let wants = [DownloadRequest {
            package,
            artifact: &artifact,
        }];
        let (fetched, mut found) = fetch::fetch_all(self.settings.store, &wants, &options);
        fetched?;
        let found = found.pop().flatten();
        found.ok_or_else(|| Cause::Said(format!("{} was not fetched", download.url)))
    }
}

/// What is downloaded for a source.
pub(super) fn artifact(name: &str, download: &UrlSource) -> Artifact {
    let url = &download.url;
    let last = url.path_segments().and_then(|mut parts| parts.next_back());
    Artifact {
        file_name: last.filter(|last| !last.is_empty()).unwrap_or(name).into(),
        location: Location::Url(url.clone()),
        digest: download.digest.clone(),
        size: None,
    }
}

/// What a source is called among what is downloaded; no package has a name like it.
pub(super) fn wanted_as(name: &str) -> String {
    format!("source {name}")
}

/// What tells the outcome of a download: its bytes, and what becomes of them.
fn identity(digest: &Digest, form: Form) -> Digest {
    Digest::of(Algorithm::Sha256, format!("{digest} {form:?}").as_bytes())
}

/// The file itself, as a source.
fn put_file(blob: &Blob, executable: bool, place: &Utf8Path) -> Result<(), Cause> {
    let mode = if executable { 0o755 } else { 0o644 };
    let write = || {
        std::fs::write(place, &*blob.verified().map_err(std::io::Error::other)?)?;
        std::fs::set_permissions(place, std::os::unix::fs::PermissionsExt::from_mode(mode))
    };
    Ok(write().map_err(cannot("write", place))?)
}

fn say_what_holds(name: &str, key: &str, digest: &Digest) {
    eprintln!(
        "note: source `{name}` has no {key} in the manifest; {key} = \"{}\" pins it to what was \
         fetched now",
        digest.sri()
    );
}

fn make(folder: &Utf8Path) -> Result<&Utf8Path, Cause> {
    std::fs::create_dir_all(folder).map_err(cannot("make the folder", folder))?;
    Ok(folder)
}

fn warn(name: &str, unpacked: &Unpacked) {
    if let Some(first) = unpacked.lfs_pointers.first() {
        let more = match unpacked.lfs_pointers.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more files"),
        };
        progress::warn(&format!(
            "{first}{more} of source `{name}` are in Git LFS, and left as pointers"
        ));
    }
}

/// The refusal of a name that the manifest does not have.
pub(super) fn no_such<'n>(
    settings: &Settings<'_>,
    what: &'static str,
    name: &str,
    known: impl Iterator<Item = &'n String>,
) -> ComponentError {
    ComponentError::NoSuch {
        file: settings.document.file.clone(),
        what,
        name: name.to_owned(),
        hint: instead(name, known),
    }
}
