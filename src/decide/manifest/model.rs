//! `lockwright.toml` as typed values: what may stand in it, and nothing else.
//!
//! Phases are data in a fixed order, whatever their order in the file: inputs (`python`, `node`, `go`,
//! `base`) → `workspace` → `copy` → `link` → `patch` → `run` → `keep` → `wrap` → `shebangs` → `elf` →
//! `seal` → `smoke`; or `image` alone. There are no conditionals and no loops.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::go::Go;
use super::image::Image;
use super::phases::{Base, Copy, Elf, Keep, Node, Patch, Python, Run, Seal, Shebangs, Smoke, Wrap};
use super::review::Review;
use super::source::Source;
use super::template::{PathTemplate, TextTemplate};
use super::tool::Tool;

/// A whole `lockwright.toml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manifest {
    /// The project's name, for messages and the SBOM.
    pub name: Option<String>,
    /// The project's version, likewise.
    pub version: Option<String>,
    /// Other manifests, or folders with one, whose sources, tools and components this one has too. Their target
    /// counts where this one says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>")]
    pub include: Vec<Utf8PathBuf>,
    /// The target of the components; by default this machine.
    #[serde(default)]
    pub target: Target,
    /// URL prefixes, and what is fetched instead; the longest that matches wins.
    #[serde(default)]
    pub mirrors: IndexMap<String, String>,
    /// Trees and files from outside.
    #[serde(default)]
    pub sources: IndexMap<String, Source>,
    /// Programs that commands may use.
    #[serde(default)]
    pub tools: IndexMap<String, Tool>,
    /// How sdists and source trees are built; `sync` uses it too, for the lock beside the manifest.
    #[serde(default)]
    pub build: BuildDefaults,
    /// The store that machines share; `sync` uses it too, for the lock beside the manifest.
    #[serde(default)]
    pub remote: Remote,
    /// The rules for reviews of the project's locks.
    #[serde(default)]
    pub review: Review,
    /// The components: what is made.
    #[serde(default)]
    pub component: IndexMap<String, Component>,
}

/// The target machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// A Python version, as `3.14`.
    #[serde(default, deserialize_with = "version")]
    pub python: Option<String>,
    /// A platform, as `x86_64-linux-gnu` or any name that `--python-platform` takes.
    pub platform: Option<String>,
    /// A Node version, as `24.11.0`.
    pub node: Option<String>,
}

/// A manifest does not say which program is run to be asked: that is `--python`'s.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_version = text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.');
    match is_version {
        true => Ok(Some(text)),
        false => Err(D::Error::custom(
            "this is not a Python version, as 3.14: where an interpreter is, only --python says",
        )),
    }
}

/// A store that machines share, where the command line and variables name none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Remote {
    /// Where it is, as `--remote` has it; a folder's path is relative to the manifest.
    pub url: Option<String>,
    /// Public keys, as `--remote-trust` has them: what they signed is not made again.
    pub trust: Vec<String>,
}

/// How sources are built into wheels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BuildDefaults {
    /// The lock with the build requirements, relative to the manifest.
    #[schemars(with = "Option<String>")]
    pub lock: Option<Utf8PathBuf>,
    /// Per package; `[build.NAME]`.
    #[serde(flatten)]
    pub packages: IndexMap<String, PackageBuild>,
}

/// How one package is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "kebab-case",
    deny_unknown_fields,
    expecting = "a package's own table, as [build.NAME] (a command that builds is for --build-hook to name)"
)]
pub struct PackageBuild {
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, TextTemplate>,
    /// Edits of the source before the build; paths are the source's.
    #[serde(default)]
    pub patch: Vec<Patch>,
    /// Components, sources, and folders and files of this machine that the build may read.
    #[serde(default)]
    pub inputs: Vec<PathTemplate>,
}

/// One tree, and how it is made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Component {
    /// A component whose tree this one starts from; a fixed-output tree is restored.
    pub base: Option<Base>,
    /// A Python environment from a `uv.lock`.
    pub python: Option<Python>,
    /// A `node_modules` from a `package-lock.json`.
    pub node: Option<Node>,
    /// Go's modules from a `go.sum`.
    pub go: Option<Go>,
    /// A container image; such a component has no other phase.
    pub image: Option<Image>,
    /// Workspace members of `python.lock` (or of `base`'s) whose packages are copied into `{site}`,
    /// as their build configuration maps them.
    #[serde(default)]
    pub workspace: Vec<String>,
    /// Folders and files copied in, in this order.
    #[serde(default)]
    pub copy: Vec<Copy>,
    /// Symbolic links: path in the tree = target.
    #[serde(default)]
    pub link: IndexMap<String, PathTemplate>,
    /// Edits; one that changes nothing is an error.
    #[serde(default)]
    pub patch: Vec<Patch>,
    /// The tools that the commands see, in the order of their PATH.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Commands run in the tree, contained as build hooks are.
    #[serde(default)]
    pub run: Vec<Run>,
    /// The paths that are kept after the commands; all if the list is empty.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// Launchers in `bin/`.
    #[serde(default)]
    pub wrap: IndexMap<String, Wrap>,
    /// Rewrites scripts' first lines to interpreters that the finished tree will find.
    pub shebangs: Option<Shebangs>,
    /// ELF patching of the whole tree.
    pub elf: Option<Elf>,
    /// The canonical form that the tree's metadata gets at the end.
    #[serde(default)]
    pub seal: Seal,
    /// What must work in the finished tree.
    #[serde(default)]
    pub smoke: Smoke,
    /// How sources are built for this component; overrides the manifest's `[build]`.
    #[serde(default)]
    pub build: BuildDefaults,
}

impl Manifest {
    /// Where a component lives when these are made, because an image among them has it there.
    pub fn place_in_image<'a>(
        &'a self,
        component: &str,
        made: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Option<&'a str> {
        let made = made.into_iter();
        let made = made.filter_map(|name| self.component.get(name.as_ref()));
        made.filter_map(|one| one.image.as_ref())
            .find_map(|image| image.place_of(component))
    }
}

impl Component {
    /// What it says besides being an image, by the phase's name.
    pub fn beside_image(&self) -> Option<&'static str> {
        let said = [
            (self.base.is_some(), "base"),
            (self.python.is_some(), "python"),
            (self.node.is_some(), "node"),
            (self.go.is_some(), "go"),
            (!self.workspace.is_empty(), "workspace"),
            (!self.copy.is_empty(), "copy"),
            (!self.link.is_empty(), "link"),
            (!self.patch.is_empty(), "patch"),
            (!self.tools.is_empty(), "tools"),
            (!self.run.is_empty(), "run"),
            (!self.keep.is_empty(), "keep"),
            (!self.wrap.is_empty(), "wrap"),
            (self.shebangs.is_some(), "shebangs"),
            (self.elf.is_some(), "elf"),
        ];
        said.iter()
            .find(|(is_said, _)| *is_said)
            .map(|(_, name)| *name)
    }
}
