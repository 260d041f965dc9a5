//! Arguments of `lockwright image`.

use std::str::FromStr;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};

use super::build_args::BuildArgs;
use super::limit_args::LimitArgs;
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use crate::transform::oci::{Compression, Settings};

/// What the image is.
#[derive(Debug, Args)]
#[command(next_help_heading = "The image")]
pub struct OciArgs {
    /// The base: an OCI image (a layout's folder or its .tar, with @sha256:… to pin the manifest's
    /// digest), or a folder that is a root file system [default: none]
    #[arg(long, value_name = "IMAGE|DIR")]
    pub base: Option<String>,
    /// A finished tree and where it goes (repeatable)
    #[arg(long, value_name = "DIR=/PATH")]
    pub tree: Vec<TreeArg>,
    /// The environment's path in the image; for Node, the project folder's [default: /app/.venv or
    /// /app]
    #[arg(long, value_name = "/PATH")]
    pub prefix: Option<Utf8PathBuf>,
    /// The entry point: one word, or a JSON list as in a Dockerfile
    #[arg(long, value_name = "WORD|JSON")]
    entrypoint: Option<Words>,
    /// The command, or the entry point's arguments: one word, or a JSON list
    #[arg(long, value_name = "WORD|JSON")]
    cmd: Option<Words>,
    /// A variable (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<Pair>,
    /// The user it runs as, by name or number [default: the base's, or root]
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// A port that it listens on (repeatable)
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    expose: Vec<String>,
    /// The working directory [default: the folder of the environment, or else the base's]
    #[arg(long, value_name = "/PATH")]
    pub workdir: Option<String>,
    /// A label (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<Pair>,
    /// An annotation of its manifest, as in org.opencontainers.image.source=https://… (repeatable)
    #[arg(long, value_name = "NAME=VALUE")]
    annotation: Vec<Pair>,
    /// The image's name [default: the project's name, :latest]
    #[arg(long, value_name = "NAME[:TAG]")]
    pub name: Option<String>,
    /// The processor of an image of trees alone: amd64, arm64, … [default: the base's, or this
    /// machine's]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// How layers are compressed
    #[arg(long, value_enum, value_name = "HOW", default_value = "gzip")]
    pub compression: CompressionArg,
    /// The most layers on top of the base's
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=120))]
    pub max_layers: u16,
    /// A name or path that may be missing, or a file that may lack what it needs, with * and ?
    /// (repeatable)
    #[arg(long, value_name = "PATTERN")]
    pub allow_missing: Vec<String>,
    /// Attach no bill of materials
    #[arg(long)]
    pub no_sbom: bool,
}

/// What is assembled for it, as `sync` does.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// Compile bytecode now rather than at the first import
    #[arg(long, env = "UV_COMPILE_BYTECODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub compile_bytecode: bool,
    /// The interpreter's path in the image [default: found on the base's PATH]
    #[arg(long, value_name = "PATH")]
    pub interpreter: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub selection: SelectionArgs,
    #[command(flatten)]
    pub target: TargetArgs,
    #[command(flatten)]
    pub node: NodeArgs,
    #[command(flatten)]
    pub limits: LimitArgs,
    #[command(flatten)]
    pub network: NetworkArgs,
    #[command(flatten)]
    pub build: BuildArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum CompressionArg {
    /// Every runtime takes it
    Gzip,
    /// Smaller and faster, for Docker 23, podman 3, containerd 1.5 and later
    Zstd,
    None,
}

/// `DIR=/PATH`.
#[derive(Debug, Clone)]
pub struct TreeArg {
    /// The tree.
    pub from: Utf8PathBuf,
    /// Where it goes.
    pub at: Utf8PathBuf,
}

impl FromStr for TreeArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once('=') {
            Some((from, at)) if !from.is_empty() && at.starts_with('/') => Ok(Self {
                from: from.into(),
                at: at.into(),
            }),
            _ => Err("it is of the form DIR=/PATH, as in src=/app/src".to_owned()),
        }
    }
}

/// `NAME=VALUE`.
#[derive(Debug, Clone)]
struct Pair(String, String);

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok(Self(name.to_owned(), value.to_owned())),
            _ => Err("it is of the form NAME=VALUE".to_owned()),
        }
    }
}

/// One word, or a JSON list.
#[derive(Debug, Clone)]
struct Words(Vec<String>);

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('[') {
            return Ok(Self(vec![text.to_owned()]));
        }
        let words = serde_json::from_str(text);
        words.map(Self).map_err(|error| {
            format!(
                "it is not a JSON list of words, as in '[\"python\", \"-m\", \"app\"]': {error}"
            )
        })
    }
}

impl OciArgs {
    /// What they say of the image.
    pub fn settings(&self) -> Settings {
        let pairs = |all: &[Pair]| {
            let pairs = all
                .iter()
                .map(|Pair(name, value)| (name.clone(), value.clone()));
            pairs.collect::<Vec<_>>()
        };
        Settings {
            entrypoint: self.entrypoint.as_ref().map(|words| words.0.clone()),
            cmd: self.cmd.as_ref().map(|words| words.0.clone()),
            env: pairs(&self.env),
            path: Vec::new(),
            user: self.user.clone(),
            expose: self.expose.clone(),
            workdir: self.workdir.clone(),
            labels: pairs(&self.label).into_iter().collect(),
            annotations: pairs(&self.annotation).into_iter().collect(),
        }
    }
}

impl From<CompressionArg> for Compression {
    fn from(how: CompressionArg) -> Self {
        match how {
            CompressionArg::Gzip => Self::Gzip,
            CompressionArg::Zstd => Self::Zstd,
            CompressionArg::None => Self::None,
        }
    }
}
