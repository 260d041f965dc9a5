//! The image that is in the place of the one being made: which layers it has.

use std::collections::HashSet;

use camino::Utf8Path;

use super::base::{Image, is_image};
use crate::core::digest::Digest;

/// The layers of an image.
#[derive(Debug)]
pub struct Earlier(HashSet<Digest>);

impl Earlier {
    /// The image at a path, if there is one.
    pub fn at(path: &Utf8Path) -> Option<Self> {
        if !path.exists() || !is_image(path) {
            return None;
        }
        let image = Image::open(path, None, None).ok()?;
        let layers = image.manifest.layers.iter();
        Some(Self(layers.map(|layer| layer.digest.clone()).collect()))
    }

    /// Whether it has a layer.
    pub fn has(&self, layer: &Digest) -> bool {
        self.0.contains(layer)
    }
}
