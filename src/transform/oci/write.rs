//! The blobs and the words of an image, written.

use std::io::Read as _;

use camino::Utf8PathBuf;
use serde_json::json;

use super::OciError;
use super::base::{Image, blob_name};
use super::compress::Packed;
use super::hashing::Hashing;
use super::image::{Planned, Request};
use super::known::{Known, key};
use super::output::Output;
use super::settings::platform;
use super::spec::{
    BASE_DIGEST, CONFIG, CYCLONEDX, Config, Descriptor, EMPTY, FULL_NAME, INDEX, Index, LAYER,
    MANIFEST, Manifest, Names, REF_NAME,
};
use super::tar::{Item, lay_out};
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::io_error::cannot;
use crate::core::progress::Progress;
use crate::obtain::store::{Blob, Origin, Store, Writer};

/// How much is copied at once, in bytes.
const COPY: usize = 1 << 20;

impl Request<'_> {
    /// The base's layers, as they are.
    pub(super) fn copy_base(
        &self,
        output: &mut Output,
        layers: &mut Vec<Descriptor>,
    ) -> Result<usize, OciError> {
        let Some(base) = self.base else {
            return Ok(0);
        };
        for layer in &base.manifest.layers {
            layers.push(copy(output, base, layer)?);
        }
        Ok(base.manifest.layers.len())
    }

    /// A layer: as the store has it, if it was made before; else read, compressed and hashed on every
    /// core, and kept in the store.
    pub(super) fn write_layer(
        &self,
        output: &mut Output,
        layer: &Planned,
        progress: &Progress,
    ) -> Result<Written, OciError> {
        let how = self.compression;
        let media_type = format!("{LAYER}{}", how.suffix());
        let name = format!("layer of {}", layer.contents);
        let key = match self.store {
            Some(_) => Some(key(&layer.items, how)?),
            None => None,
        };
        let store = self.store.zip(key);
        if let Some((store, key)) = &store
            && let Some(stored) = store.layer(key)
        {
            progress.advance(layer.items.values().map(Item::size).sum());
            let (digest, size, was_held) = output.take(&stored)?;
            let kept = was_held.then(|| Kept {
                key: key.clone(),
                name: name.clone(),
                blob: stored.blob,
            });
            return Ok(Written {
                descriptor: Descriptor::new(media_type, digest, size),
                diff_id: stored.diff_id,
                is_stored: true,
                kept,
            });
        }
        let pieces = lay_out(&layer.items);
        let mut copy = store.as_ref().and_then(|(store, _)| begin(store));
        let mut diff_id = Hasher::new(Algorithm::Sha256);
        let mut blob = output.blob()?;
        let path = output.path().to_owned();
        let failed = cannot("write", &path);
        pieces.in_order(
            |at, packed: &mut Packed| {
                pieces.fill(at, &mut packed.plain)?;
                Ok(packed.pack(how).map_err(failed)?)
            },
            |packed| {
                diff_id.update(&packed.plain);
                progress.advance(packed.plain.len() as u64);
                let bytes = packed.written(how);
                if let Some(writer) = &mut copy
                    && let Err(error) = writer.write(bytes)
                {
                    tracing::info!("a layer is not kept: {error}");
                    copy = None;
                }
                output.write(&mut blob, bytes)
            },
        )?;
        let (digest, size) = output.end(blob)?;
        let origin = Origin {
            file_name: name,
            source: "made by lockwright image".to_owned(),
        };
        let blob = copy.and_then(|writer| writer.commit(&digest, &origin).ok());
        let kept = store.zip(blob).map(|((_, key), blob)| Kept {
            key,
            name: origin.file_name,
            blob,
        });
        Ok(Written {
            descriptor: Descriptor::new(media_type, digest, size),
            diff_id: diff_id.finish(),
            is_stored: false,
            kept,
        })
    }

    /// Has the next image find the layers that were made, if their trees were not touched meanwhile.
    pub(super) fn note(&self, layers: &[(Kept, Digest)], trees: &[(Utf8PathBuf, Known)]) {
        let Some(store) = self.store.filter(|_| !layers.is_empty()) else {
            return;
        };
        if trees.iter().all(|(tree, known)| known.is_true(tree)) {
            for (layer, diff_id) in layers {
                let noted = store.note_layer(&layer.key, &layer.name, diff_id, &layer.blob);
                let _ = noted.inspect_err(|error| tracing::info!("{error}"));
            }
        }
    }

    /// The configuration, and the manifest that names all.
    pub(super) fn write_manifest(
        &self,
        output: &mut Output,
        config: &Config,
        layers: Vec<Descriptor>,
    ) -> Result<Descriptor, OciError> {
        let (digest, size) = output.small_blob(&serde_json::to_vec(config)?)?;
        let mut annotations = self.settings.annotations.clone();
        if let Some(base) = self.base {
            annotations.insert(BASE_DIGEST.to_owned(), base.digest.to_string());
        }
        if output.is_archive() {
            // What Docker's and podman's own archives have.
            let names: Vec<String> = layers
                .iter()
                .map(|layer| blob_name(&layer.digest))
                .collect();
            let docker = json!([{
                "Config": blob_name(&digest),
                "RepoTags": [self.name.full()],
                "Layers": names,
            }]);
            output.file("manifest.json", &serde_json::to_vec(&docker)?)?;
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config: Descriptor::new(CONFIG, digest, size),
            layers,
            subject: None,
            annotations,
        };
        let (digest, size) = output.small_blob(&serde_json::to_vec(&manifest)?)?;
        Ok(Descriptor::new(MANIFEST, digest, size))
    }

    /// The bill of materials, as a manifest that refers to the image's (`manifest.md`, “Guidelines for
    /// Artifact Usage”).
    pub(super) fn write_sbom(
        &self,
        output: &mut Output,
        image: &Descriptor,
    ) -> Result<Option<Descriptor>, OciError> {
        let Some(sbom) = self.sbom else {
            return Ok(None);
        };
        let (digest, size) = output.small_blob(sbom)?;
        let bill = Descriptor::new(CYCLONEDX, digest, size);
        let (digest, size) = output.small_blob(b"{}")?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: Some(CYCLONEDX.to_owned()),
            config: Descriptor::new(EMPTY, digest, size),
            layers: vec![bill],
            subject: Some(image.clone()),
            annotations: Names::new(),
        };
        let (digest, size) = output.small_blob(&serde_json::to_vec(&manifest)?)?;
        Ok(Some(Descriptor {
            artifact_type: Some(CYCLONEDX.to_owned()),
            ..Descriptor::new(MANIFEST, digest, size)
        }))
    }

    /// What a layout begins with.
    pub(super) fn write_index(
        &self,
        output: &mut Output,
        manifest: Descriptor,
        sbom: Option<Descriptor>,
    ) -> Result<(), OciError> {
        let annotations = Names::from([
            (REF_NAME.to_owned(), self.name.tag.clone()),
            (FULL_NAME.to_owned(), self.name.full()),
        ]);
        let image = Descriptor {
            platform: Some(platform(self.arch)),
            annotations,
            ..manifest
        };
        let index = Index {
            schema_version: 2,
            media_type: Some(INDEX.to_owned()),
            manifests: std::iter::once(image).chain(sbom).collect(),
        };
        output.file("index.json", &serde_json::to_vec(&index)?)?;
        output.file("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

/// A layer that was written.
pub(super) struct Written {
    pub(super) descriptor: Descriptor,
    /// The digest of its archive before that was compressed.
    pub(super) diff_id: Digest,
    /// Whether the store had it.
    pub(super) is_stored: bool,
    /// Where the next image finds it.
    pub(super) kept: Option<Kept>,
}

/// A layer that is in the store and is still to be found there.
pub(super) struct Kept {
    pub(super) key: Digest,
    pub(super) name: String,
    pub(super) blob: Blob,
}

/// Begins a copy in the store; without one, the next image is made without it.
fn begin(store: &Store) -> Option<Writer> {
    let writer = store.writer(Algorithm::Sha256);
    writer
        .inspect_err(|error| tracing::info!("layers are not kept: {error}"))
        .ok()
}

/// A layer of another image, as it is.
fn copy(output: &mut Output, from: &Image, layer: &Descriptor) -> Result<Descriptor, OciError> {
    let mut reader = Hashing::new(from.blob(&layer.digest)?, layer.digest.algorithm());
    let mut blob = output.blob()?;
    let mut bytes = vec![0; COPY];
    loop {
        let read = reader
            .read(&mut bytes)
            .map_err(cannot("write", output.path()))?;
        match bytes.get(..read).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => output.write(&mut blob, bytes)?,
            None => break,
        }
    }
    let (digest, size) = output.end(blob)?;
    from.hold(
        &layer.digest,
        &reader.rest().map_err(cannot("write", output.path()))?,
    )?;
    Ok(Descriptor {
        digest,
        size,
        ..layer.clone()
    })
}
