//! A component that is a container image.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{Parsed, PathTemplate, Placeholder};
use crate::core::digest::Digest;

/// A container image: an OCI layout. Settings that are left out are the base's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// The base: an OCI image (a layout's folder or its `.tar`), or a root file system.
    pub base: Option<PathTemplate>,
    /// The digest of the base's manifest, where the base is an image.
    #[schemars(with = "Option<String>")]
    pub base_digest: Option<Digest>,
    /// Paths in the image, and the trees that go there. A component is made for the path at which
    /// an image puts it.
    #[serde(default)]
    pub tree: IndexMap<String, PathTemplate>,
    /// The entry point.
    pub entrypoint: Option<Vec<PathTemplate>>,
    /// The entry point's arguments or, without one, the command.
    pub cmd: Option<Vec<PathTemplate>>,
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
    /// Folders to put first on the PATH.
    #[serde(default)]
    pub path: Vec<PathTemplate>,
    /// The user it runs as: `USER` or `USER:GROUP`, by name or number.
    pub user: Option<String>,
    /// Ports that it listens on: `8000` or `8000/udp`.
    #[serde(default)]
    pub expose: Vec<String>,
    /// The working directory.
    pub workdir: Option<PathTemplate>,
    /// Labels of its configuration.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations of its manifest, such as `org.opencontainers.image.source`.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The image's name; by default the manifest's name and version.
    pub name: Option<String>,
    /// How layers are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// The most layers on top of the base's; 32 by default.
    pub max_layers: Option<u16>,
    /// Names or paths, with `*` and `?`, that may be missing, or files that may lack what they
    /// need.
    #[serde(default)]
    pub allow_missing: Vec<String>,
    /// Whether to attach a bill of materials of what the components' locks name; `true` by default.
    pub sbom: Option<bool>,
    /// The name of one archive, `….tar`, to write instead of a layout's folder.
    pub archive: Option<String>,
}

/// How the layers of an image are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// Every runtime takes it.
    #[default]
    Gzip,
    /// Smaller and faster, for Docker 23, podman 3, containerd 1.5 and later.
    Zstd,
    /// Not compressed.
    None,
}

impl Image {
    /// Every template in it.
    pub fn templates(&self) -> impl Iterator<Item = &Parsed> {
        let words = self.entrypoint.iter().chain(&self.cmd).flatten();
        let all = self.base.iter().chain(self.tree.values()).chain(words);
        let all = all.chain(self.env.values()).chain(&self.path);
        all.chain(&self.workdir).map(|template| &**template)
    }

    /// Whether it has a bill of materials.
    pub fn has_bill(&self) -> bool {
        self.sbom.unwrap_or(true)
    }

    /// Where it has a component's tree.
    pub fn place_of(&self, component: &str) -> Option<&str> {
        let whole = Placeholder::Component(component.to_owned()).to_string();
        let mut trees = self.tree.iter();
        let found = trees.find(|(_, tree)| tree.as_written() == whole);
        found.map(|(place, _)| place.as_str())
    }
}
