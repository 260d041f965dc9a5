//! An image that is there: a layout (`image-layout.md`), as a folder or in a tar archive. Nothing in
//! it is believed but for its digest, and that of its manifest can be demanded.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;

use super::OciError;
use super::hashing::Hashing;
use super::root::Root;
use super::settings::variables;
use super::spec::{
    Config, DOCKER_INDEX, DOCKER_LAYER, DOCKER_MANIFEST, INDEX, Index, LAYER, MANIFEST, Manifest,
};
use crate::core::digest::Digest;
use crate::core::foreign::{self, Folder};

/// What a manifest or a configuration may have, in bytes.
const TEXT: u64 = 16 << 20;

/// How deep an index may name another.
const DEEPEST: usize = 3;

/// What all layers may amount to, in bytes: a bomb is larger.
const LARGEST: u64 = 256 << 30;

/// An image that can be read.
#[derive(Debug)]
pub struct Image {
    path: Utf8PathBuf,
    source: Source,
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: Config,
}

#[derive(Debug)]
enum Source {
    Folder(Folder),
    Tar {
        file: File,
        /// Where each member's bytes are: from where, and how many.
        members: HashMap<String, (u64, u64)>,
    },
}

impl Source {
    fn open(path: &Utf8Path) -> io::Result<Self> {
        if path.is_dir() {
            return Folder::open(path.canonicalize_utf8()?).map(Self::Folder);
        }
        let file = foreign::open_through_links(path)?;
        let mut members = HashMap::new();
        let mut archive = tar::Archive::new(&file);
        for entry in archive.entries_with_seek()? {
            let entry = entry?;
            if entry.header().entry_type().is_file()
                && let Ok(name) = std::str::from_utf8(&entry.path_bytes())
            {
                let name = name.strip_prefix("./").unwrap_or(name).to_owned();
                members.insert(name, (entry.raw_file_position(), entry.size()));
            }
        }
        Ok(Self::Tar { file, members })
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read + '_>> {
        match self {
            Self::Folder(folder) => Ok(Box::new(folder.file(name)?)),
            Self::Tar { file, members } => {
                let &(at, left) = members.get(name).ok_or(io::ErrorKind::NotFound)?;
                Ok(Box::new(Region { file, at, left }))
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        match self {
            Self::Folder(folder) => folder.has(name),
            Self::Tar { members, .. } => members.contains_key(name),
        }
    }
}

/// A part of a file.
struct Region<'a> {
    file: &'a File,
    at: u64,
    left: u64,
}

impl Read for Region<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = to.len().min(self.left.try_into().unwrap_or(usize::MAX));
        let read = match to.get_mut(..length) {
            Some(to) => self.file.read_at(to, self.at)?,
            None => 0,
        };
        self.at += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Whether a layout is there: what tells a base that is an image from one that is a tree.
pub fn is_image(path: &Utf8Path) -> bool {
    !path.is_dir() || path.join("oci-layout").is_file()
}

impl Image {
    /// Opens an image. `machine` is what it must run on, by its name there (`arm64`); without one it
    /// is this machine's, or whichever there is. `wanted` is what its manifest must hash to.
    ///
    /// # Errors
    /// When there is none, none for that machine, or a digest does not hold.
    pub fn open(
        path: &Utf8Path,
        machine: Option<&str>,
        wanted: Option<&Digest>,
    ) -> Result<Self, OciError> {
        let bad = |why: String| OciError::Base {
            path: path.to_owned(),
            why,
        };
        let source = Source::open(path).map_err(|error| bad(error.to_string()))?;
        if !source.has("index.json") {
            return Err(bad(match source.has("manifest.json") {
                true => "it is only a Docker archive, without an OCI layout; make one with \
                         `skopeo copy docker-archive:FILE oci-archive:OTHER`"
                    .to_owned(),
                false => "it has no index.json, so it is not an OCI image".to_owned(),
            }));
        }
        let text = read(source.read("index.json")).map_err(|error| bad(error.to_string()))?;
        let index: Index = parse(&text).map_err(|why| bad(format!("index.json: {why}")))?;
        let mut image = Found {
            path,
            source: &source,
            manifests: Vec::new(),
        };
        image.look(&index, DEEPEST)?;
        let found = choose(path, image.manifests, machine, wanted)?;
        let Candidate {
            digest,
            manifest,
            config,
        } = found;
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return Err(bad(format!(
                "its manifest has {} layers and its configuration {}",
                manifest.layers.len(),
                config.rootfs.diff_ids.len()
            )));
        }
        Ok(Self {
            path: path.to_owned(),
            source,
            digest,
            manifest,
            config,
        })
    }

    /// The bytes of one of its blobs, which are still to be checked against the digest.
    ///
    /// # Errors
    /// When it is not there.
    pub fn blob(&self, digest: &Digest) -> Result<impl Read + '_, OciError> {
        let name = blob_name(digest);
        self.source.read(&name).map_err(|error| self.bad(&error))
    }

    /// Reads all layers, holds them against their digests before anything in them is looked at, and
    /// puts them on top of one another.
    ///
    /// # Errors
    /// When a digest does not hold, or a layer cannot be read.
    pub fn unfold(&self) -> Result<Root, OciError> {
        let mut root = Root::default();
        let layers = self.manifest.layers.iter();
        for (layer, diff_id) in layers.zip(&self.config.rootfs.diff_ids) {
            let bad = |error| self.bad(&error);
            let packed = Hashing::new(self.blob(&layer.digest)?, layer.digest.algorithm());
            self.hold(&layer.digest, &packed.rest().map_err(bad)?)?;
            let packed = self.blob(&layer.digest)?;
            let plain: Box<dyn Read + '_> = match compression(&layer.media_type) {
                "gzip" => Box::new(flate2::read::MultiGzDecoder::new(packed)),
                "zstd" => Box::new(zstd::Decoder::new(packed).map_err(bad)?),
                "" => Box::new(packed),
                other => {
                    let why = format!("a layer is compressed by {}", foreign::shown(other));
                    return Err(self.bad(&io::Error::other(why)));
                }
            };
            let mut plain = Hashing::new(plain.take(LARGEST), diff_id.algorithm());
            root.add_layer(&mut plain).map_err(bad)?;
            self.hold(diff_id, &plain.rest().map_err(bad)?)?;
        }
        Ok(root)
    }

    /// The folders on its PATH.
    pub fn search_path(&self) -> Vec<String> {
        let path = variables(&self.config).remove("PATH").unwrap_or_default();
        path.split(':').map(str::to_owned).collect()
    }

    /// # Errors
    /// When two digests are not the same.
    pub fn hold(&self, wanted: &Digest, found: &Digest) -> Result<(), OciError> {
        hold(&self.path, wanted, found)
    }

    fn bad(&self, error: &io::Error) -> OciError {
        OciError::Base {
            path: self.path.clone(),
            why: error.to_string(),
        }
    }
}

/// What a layer is compressed by, as its media type says.
fn compression(media_type: &str) -> &str {
    let end = media_type
        .strip_prefix(LAYER)
        .or_else(|| media_type.strip_prefix(DOCKER_LAYER))
        .unwrap_or(media_type);
    end.trim_start_matches(['+', '.'])
}

fn hold(path: &Utf8Path, wanted: &Digest, found: &Digest) -> Result<(), OciError> {
    match wanted == found {
        true => Ok(()),
        false => Err(OciError::Digest {
            path: path.to_owned(),
            wanted: wanted.clone(),
            found: found.clone(),
        }),
    }
}

/// Where a blob lies in a layout.
pub fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// A manifest, and the configuration that it names.
struct Candidate {
    digest: Digest,
    manifest: Manifest,
    config: Config,
}

/// The images of a layout.
struct Found<'a> {
    path: &'a Utf8Path,
    source: &'a Source,
    manifests: Vec<Candidate>,
}

impl Found<'_> {
    fn look(&mut self, index: &Index, depth: usize) -> Result<(), OciError> {
        for entry in &index.manifests {
            match &*entry.media_type {
                INDEX | DOCKER_INDEX if depth > 0 => {
                    let inner: Index = self.json(&entry.digest)?;
                    self.look(&inner, depth - 1)?;
                }
                MANIFEST | DOCKER_MANIFEST if entry.artifact_type.is_none() => {
                    // Builders say of an image what it was made of in manifests for no machine.
                    let is_said = |platform: &super::spec::Platform| platform.os == "unknown";
                    if entry.platform.as_ref().is_some_and(is_said) {
                        continue;
                    }
                    let mut manifest: Manifest = self.json(&entry.digest)?;
                    if manifest.artifact_type.is_some() || manifest.subject.is_some() {
                        continue;
                    }
                    for layer in &mut manifest.layers {
                        if layer.media_type.starts_with(DOCKER_LAYER) {
                            let end = match compression(&layer.media_type) {
                                "" => String::new(),
                                end => format!("+{end}"),
                            };
                            layer.media_type = format!("{LAYER}{end}");
                        }
                    }
                    self.manifests.push(Candidate {
                        config: self.json(&manifest.config.digest)?,
                        digest: entry.digest.clone(),
                        manifest,
                    });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A blob of JSON, checked against its digest.
    fn json<T: DeserializeOwned>(&self, digest: &Digest) -> Result<T, OciError> {
        let bad = |why: String| OciError::Base {
            path: self.path.to_owned(),
            why,
        };
        let name = blob_name(digest);
        let text =
            read(self.source.read(&name)).map_err(|error| bad(format!("{name}: {error}")))?;
        hold(self.path, digest, &Digest::of(digest.algorithm(), &text))?;
        parse(&text).map_err(|why| bad(format!("{name}: {why}")))
    }
}

fn choose(
    path: &Utf8Path,
    found: Vec<Candidate>,
    machine: Option<&str>,
    wanted: Option<&Digest>,
) -> Result<Candidate, OciError> {
    let bad = |why: &str| OciError::Base {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    let mut candidates = found;
    if let Some(wanted) = wanted {
        let others = candidates.first().map(|found| found.digest.clone());
        candidates.retain(|found| found.digest == *wanted);
        if let (true, Some(found)) = (candidates.is_empty(), others) {
            hold(path, wanted, &found)?;
        }
    }
    let others = candidates
        .first()
        .map(|found| format!("{}/{}", found.config.os, found.config.architecture));
    let others = others.ok_or_else(|| bad("there is no image in it"))?;
    candidates.retain(|found| {
        found.config.os == "linux"
            && machine.is_none_or(|machine| found.config.architecture == machine)
    });
    let mut candidates = candidates.into_iter();
    match (candidates.next(), candidates.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(bad(
            "there is more than one image for that machine in it: say which by its digest, as in \
             PATH@sha256:…",
        )),
        (None, _) => Err(OciError::Machine {
            path: path.to_owned(),
            found: foreign::shown(&others),
            wanted: machine.unwrap_or("linux").to_owned(),
        }),
    }
}

fn read(from: io::Result<Box<dyn Read + '_>>) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from?.take(TEXT + 1).read_to_end(&mut text)?;
    match text.len() as u64 > TEXT {
        true => Err(io::Error::other(format!("it has more than {TEXT} bytes"))),
        false => Ok(text),
    }
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    serde_json::from_slice(text).map_err(|error| foreign::shown(&error.to_string()))
}
