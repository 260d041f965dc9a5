//! The image that is in the place of the one being made: which layers it has, and which of them need
//! not be compressed again.
//!
//! A layer is taken over when it says that this version of lockwright compressed it in the same way, so
//! it is what would come out. That its blob unpacks to what its configuration says is not looked at
//! again: who can write to that place can also write to what comes out.

use std::collections::{HashMap, HashSet};

use camino::Utf8Path;

use super::base::{Image, is_image};
use super::hashing::Hashing;
use super::settings::CREATED_BY;
use super::spec::Descriptor;
use crate::core::digest::Digest;

/// An image and its layers.
#[derive(Debug)]
pub struct Earlier {
    /// The image.
    pub image: Image,
    layers: HashSet<Digest>,
    /// Those that were made here, by the digests of what is in them.
    own: HashMap<Digest, Descriptor>,
}

impl Earlier {
    /// The image at a path, if there is one.
    pub fn at(path: &Utf8Path) -> Option<Self> {
        if !path.exists() || !is_image(path) {
            return None;
        }
        let image = Image::open(path, None, None).ok()?;
        let layers = &image.manifest.layers;
        let diff_ids = &image.config.rootfs.diff_ids;
        let history = image.config.history.iter();
        let history: Vec<_> = history.filter(|entry| !entry.empty_layer).collect();
        let mut own = HashMap::new();
        if history.len() == layers.len() {
            for ((entry, diff_id), layer) in history.iter().zip(diff_ids).zip(layers) {
                let by = entry.created_by.as_deref().unwrap_or_default();
                if by.starts_with(CREATED_BY) {
                    own.insert(diff_id.clone(), layer.clone());
                }
            }
        }
        Some(Self {
            layers: layers.iter().map(|layer| layer.digest.clone()).collect(),
            own,
            image,
        })
    }

    /// Whether it has a layer.
    pub fn has(&self, layer: &Digest) -> bool {
        self.layers.contains(layer)
    }

    /// Whether any of its layers may be taken over.
    pub fn is_own(&self) -> bool {
        !self.own.is_empty()
    }

    /// The layer with these contents in this form, if its blob is whole.
    pub fn layer(&self, diff_id: &Digest, media_type: &str) -> Option<&Descriptor> {
        let layer = self.own.get(diff_id)?;
        let blob = self.image.blob(&layer.digest).ok()?;
        let found = Hashing::new(blob, layer.digest.algorithm()).rest().ok()?;
        (layer.media_type == media_type && found == layer.digest).then_some(layer)
    }
}
