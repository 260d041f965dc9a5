//! A component that is a container image.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{Parsed, PathTemplate, Placeholder};
use crate::core::digest::Digest;

/// A container image: an OCI layout. What it does not say is the base's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Image {
    /// What it stands on: an OCI image (a layout's folder or its `.tar`), or a root file system.
    pub base: Option<PathTemplate>,
    /// The digest of the base's manifest, where the base is an image.
    #[schemars(with = "Option<String>")]
    pub base_digest: Option<Digest>,
    /// Paths in the image, and the trees that go there. A component that is put somewhere lives there.
    #[serde(default)]
    pub tree: IndexMap<String, PathTemplate>,
    /// What it starts.
    pub entrypoint: Option<Vec<PathTemplate>>,
    /// What the entry point is given, or what is started where there is none.
    pub cmd: Option<Vec<PathTemplate>>,
    /// Variables.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
    /// Folders of programs that come before those of the PATH.
    #[serde(default)]
    pub path: Vec<PathTemplate>,
    /// Whom it runs as: `USER` or `USER:GROUP`, by name or number.
    pub user: Option<String>,
    /// Ports that it listens to: `8000` or `8000/udp`.
    #[serde(default)]
    pub expose: Vec<String>,
    /// The folder that it starts in.
    pub workdir: Option<PathTemplate>,
    /// What is said of it in its configuration.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What is said of it in its manifest: `org.opencontainers.image.source`, say.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// What it is called; the manifest's name and version where it is not said.
    pub name: Option<String>,
    /// How layers are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// How many layers there may be beside the base's; 32 where it is not said.
    pub max_layers: Option<u16>,
    /// What may be missing, or may lack what it needs: names or paths, with `*` and `?`.
    #[serde(default)]
    pub allow_missing: Vec<String>,
    /// Whether a bill of materials is attached, of what the locks of its components name; `true` where it is
    /// not said.
    pub sbom: Option<bool>,
    /// The name of one archive, `….tar`, in the place of the layout's files.
    pub archive: Option<String>,
}

/// How the layers of an image are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Compression {
    /// What every runtime takes.
    #[default]
    Gzip,
    /// Smaller and faster; Docker 23, podman 3 and containerd 1.5 take it.
    Zstd,
    /// Not at all.
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
