//! `lockwright.toml` as typed values: what may stand in it, and nothing else.
//!
//! Phases are data in a fixed order, whatever their order in the file: inputs (`python`, `node`, `go`,
//! `base`) → `workspace` → `copy` → `link` → `patch` → `run` → `keep` → `wrap` → `shebangs` → `elf` →
//! `seal` → `smoke`; or `image` alone. There are no conditionals and no loops.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use camino::Utf8PathBuf;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::go::Go;
use super::image::Image;
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
    /// What the components are made for; the machine at hand where it says nothing.
    #[serde(default)]
    pub target: Target,
    /// URL prefixes and what is asked instead; the longest that fits wins.
    #[serde(default)]
    pub mirrors: IndexMap<String, String>,
    /// Trees and files that come from outside.
    #[serde(default)]
    pub sources: IndexMap<String, Source>,
    /// Programs that commands may use.
    #[serde(default)]
    pub tools: IndexMap<String, Tool>,
    /// How sdists and source trees are built, for `sync` beside a lock as well.
    #[serde(default)]
    pub build: BuildDefaults,
    /// What is asked of the project's locks when they are reviewed.
    #[serde(default)]
    pub review: Review,
    /// What is made.
    #[serde(default)]
    pub component: IndexMap<String, Component>,
}

/// The machine that the components are for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Target {
    /// A Python version, as `3.14`.
    pub python: Option<String>,
    /// A platform, as `x86_64-linux-gnu` or any name that `--python-platform` takes.
    pub platform: Option<String>,
    /// A Node version, as `24.11.0`.
    pub node: Option<String>,
}

/// How sources are built into wheels.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BuildDefaults {
    /// The lock with the build requirements, relative to the manifest.
    #[schemars(with = "Option<String>")]
    pub lock: Option<Utf8PathBuf>,
    /// A command that builds in the place of the PEP 517 front end; a shell reads it.
    pub hook: Option<String>,
    /// Per package; `[build.NAME]`.
    #[serde(flatten)]
    pub packages: IndexMap<String, PackageBuild>,
}

/// How one package is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PackageBuild {
    /// Environment variables.
    #[serde(default)]
    pub env: BTreeMap<String, TextTemplate>,
    /// Edits of its source before it is built; paths are the source's.
    #[serde(default)]
    pub patch: Vec<Patch>,
    /// Components, sources, and folders and files of this machine that the build may read.
    #[serde(default)]
    pub inputs: Vec<PathTemplate>,
}

/// One tree and how it comes about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Component {
    /// A component whose output this one starts from; a fixed-output one is restored.
    pub base: Option<Base>,
    /// A Python environment from a `uv.lock`.
    pub python: Option<Python>,
    /// A `node_modules` from a `package-lock.json`.
    pub node: Option<Node>,
    /// Go's modules from a `go.sum`.
    pub go: Option<Go>,
    /// A container image, and nothing else.
    pub image: Option<Image>,
    /// Workspace members of `python.lock` (or of `base`'s) whose packages are copied into
    /// `{site}`, as their own build configuration maps them.
    #[serde(default)]
    pub workspace: Vec<String>,
    /// Folders and files copied in, in this order.
    #[serde(default)]
    pub copy: Vec<Copy>,
    /// Symbolic links: path in the tree = what it points to.
    #[serde(default)]
    pub link: IndexMap<String, PathTemplate>,
    /// Edits that fail loudly.
    #[serde(default)]
    pub patch: Vec<Patch>,
    /// The tools that the commands see, in the order in which they look for programs.
    #[serde(default)]
    pub tools: Vec<String>,
    /// Commands run in the tree, contained as build hooks are.
    #[serde(default)]
    pub run: Vec<Run>,
    /// After the commands, only these paths are kept; all where it is empty.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// Launchers in `bin/`.
    #[serde(default)]
    pub wrap: IndexMap<String, Wrap>,
    /// Scripts' first lines, made to name what the finished tree will find.
    pub shebangs: Option<Shebangs>,
    /// ELF patching of the whole tree.
    pub elf: Option<Elf>,
    /// How the tree's metadata is made canonical at the end.
    #[serde(default)]
    pub seal: Seal,
    /// What must work in the finished tree.
    #[serde(default)]
    pub smoke: Smoke,
    /// How sources are built for this component; over the manifest's own `[build]`.
    #[serde(default)]
    pub build: BuildDefaults,
}

/// What a component starts from: a component, or with what is left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawBase", rename_all = "kebab-case")]
pub struct Base {
    /// The component's tree.
    pub from: PathTemplate,
    /// Globs of paths in it, or of names, that are left out.
    pub exclude: Vec<String>,
}

/// A component's tree: `"{component:NAME}"`, or a table with `from` and `exclude`.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a component, or a table with `from` and `exclude`"
)]
#[schemars(rename = "Base")]
enum RawBase {
    /// All of it.
    All(#[schemars(with = "PathTemplate")] String),
    /// Without what the globs mean.
    Without {
        /// The component's tree.
        #[schemars(with = "PathTemplate")]
        from: String,
        /// Globs of paths in it, or of names, that are left out.
        #[serde(default)]
        exclude: Vec<String>,
    },
}

impl TryFrom<RawBase> for Base {
    type Error = String;

    // What is wrong with a template is said here: an untagged choice would say what there is to choose.
    fn try_from(raw: RawBase) -> Result<Self, String> {
        let (from, exclude) = match raw {
            RawBase::All(from) => (from, Vec::new()),
            RawBase::Without { from, exclude } => (from, exclude),
        };
        let from = PathTemplate::try_from(from)?;
        Ok(Self { from, exclude })
    }
}

impl JsonSchema for Base {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawBase::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawBase::json_schema(generator)
    }
}

/// What is kept, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "RawKeep", rename_all = "kebab-case")]
pub struct Keep {
    /// A path or glob of the tree.
    pub from: String,
    /// Where it goes; `.` is the tree itself. Where it is if nothing is said.
    pub to: Option<String>,
}

/// A path or glob of the tree; or a path, and where it goes: `{ from = "web/dist", to = "dist" }`.
#[derive(Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "a path or glob, or a table with `from` and `to`"
)]
#[schemars(rename = "Keep")]
enum RawKeep {
    /// It stays where it is.
    Here(String),
    /// It goes elsewhere.
    Moved {
        /// A path of the tree.
        from: String,
        /// Where it goes; `.` is the tree itself.
        to: String,
    },
}

impl From<RawKeep> for Keep {
    fn from(raw: RawKeep) -> Self {
        match raw {
            RawKeep::Here(from) => Self { from, to: None },
            RawKeep::Moved { from, to } => Self { from, to: Some(to) },
        }
    }
}

impl JsonSchema for Keep {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawKeep::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawKeep::json_schema(generator)
    }
}

/// A Python environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Python {
    /// The `uv.lock`.
    pub lock: PathTemplate,
    /// The dependency groups; uv's default groups where it is not said.
    pub groups: Option<Vec<String>>,
    /// The extras.
    #[serde(default)]
    pub extras: Vec<String>,
    /// What of the lock is installed.
    #[serde(default)]
    pub install: Install,
    /// Packages that are left out, with all that only they need kept in.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Packages that are built although the lock has a wheel.
    #[serde(default)]
    pub no_binary: Vec<String>,
}

/// What of a lock is installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Install {
    /// Everything, the project and its workspace included.
    #[default]
    All,
    /// What the project and its workspace need, without themselves.
    Dependencies,
}

/// A `node_modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// The `package-lock.json`.
    pub lock: PathTemplate,
    /// The folder of the tree that the lock's folder stands for, `.` where it is not said:
    /// `node_modules` lie below it as they would beside the lock.
    pub collect: Option<String>,
    /// Dependency types left out: `dev`, `optional`, `peer`; as the `.npmrc` beside the lock says where
    /// it is not said.
    pub omit: Option<Vec<String>>,
    /// Dependency types that stay, whatever else leaves them out.
    #[serde(default)]
    pub include: Vec<String>,
    /// Packages that are left out by their names, with what is in their folders; what only they need
    /// stays.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Packages whose install scripts are run, contained, by the tool `node`.
    #[serde(default)]
    pub allow_scripts: Vec<String>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Copy {
    /// A file, or a folder whose contents are meant.
    pub from: PathTemplate,
    /// Where it is called so in the tree; `.` is the tree itself.
    pub to: PathTemplate,
    /// Globs, relative to `from`, of what is left out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Globs of what is made executable.
    #[serde(default)]
    pub executable: Vec<String>,
    /// Whether it takes the place of what is at `to`, of which nothing stays. It must be there.
    #[serde(default)]
    pub replace: bool,
}

/// One edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPatch", untagged)]
pub enum Patch {
    /// Text for text; an error when it is not there.
    Substitute(Substitute),
    /// A dependency of a Django migration.
    Migration(Migration),
    /// A unified diff.
    Diff(Diff),
}

/// One edit: `file`, `replace` and `with`; or `migration` and `depends-on`; or `diff`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Patch")]
struct RawPatch {
    /// The file in the tree where `replace` stands.
    file: Option<PathTemplate>,
    /// What stands there.
    replace: Option<TextTemplate>,
    /// What shall stand there.
    with: Option<TextTemplate>,
    /// How often it must occur; at least once where it is not said.
    count: Option<usize>,
    /// A Django migration's file in the tree.
    migration: Option<PathTemplate>,
    /// What it shall depend on: `[app label, migration name]`.
    depends_on: Option<(String, String)>,
    /// A file with a unified diff.
    diff: Option<PathTemplate>,
    /// The folder the diff's paths are relative to; the tree itself where it is not said.
    root: Option<PathTemplate>,
    /// How many leading parts are taken off its paths (`patch -p`); 1 where it is not said.
    strip: Option<usize>,
    /// How many context lines may differ; none where it is not said.
    fuzz: Option<usize>,
}

impl TryFrom<RawPatch> for Patch {
    type Error = &'static str;

    fn try_from(raw: RawPatch) -> Result<Self, Self::Error> {
        match raw {
            RawPatch {
                file: Some(file),
                replace: Some(replace),
                with: Some(with),
                count,
                migration: None,
                depends_on: None,
                diff: None,
                root: None,
                strip: None,
                fuzz: None,
            } => Ok(Self::Substitute(Substitute {
                file,
                replace,
                with,
                count,
            })),
            RawPatch {
                file: None,
                replace: None,
                with: None,
                count: None,
                migration: Some(migration),
                depends_on: Some(depends_on),
                diff: None,
                root: None,
                strip: None,
                fuzz: None,
            } => Ok(Self::Migration(Migration {
                migration,
                depends_on,
            })),
            RawPatch {
                file: None,
                replace: None,
                with: None,
                count: None,
                migration: None,
                depends_on: None,
                diff: Some(diff),
                root,
                strip,
                fuzz,
            } => Ok(Self::Diff(Diff {
                diff,
                root,
                strip,
                fuzz: fuzz.unwrap_or(0),
            })),
            _ => Err(
                "a patch has `file`, `replace` and `with` (and `count`), or `migration` and \
                      `depends-on`, or `diff` (and `root`, `strip`, `fuzz`); nothing of another kind",
            ),
        }
    }
}

impl JsonSchema for Patch {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawPatch::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawPatch::json_schema(generator)
    }
}

/// `substituteInPlace --replace-fail`, with a sentence when it fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Substitute {
    /// The file in the tree.
    pub file: PathTemplate,
    /// What stands there.
    pub replace: TextTemplate,
    /// What shall stand there.
    pub with: TextTemplate,
    /// How often it must occur; at least once where it is not said.
    pub count: Option<usize>,
}

/// Adds a dependency to a Django migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Migration {
    /// The migration's file in the tree.
    pub migration: PathTemplate,
    /// `[app label, migration name]`.
    pub depends_on: (String, String),
}

/// Applies a unified diff.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Diff {
    /// The patch file.
    pub diff: PathTemplate,
    /// The folder its paths are relative to; the tree itself where it is not said.
    pub root: Option<PathTemplate>,
    /// How many leading parts are taken off its paths (`patch -p`); 1 where it is not said.
    pub strip: Option<usize>,
    /// How many context lines may differ; none where it is not said.
    pub fuzz: usize,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// The program and its arguments; no shell is involved.
    pub command: Vec<PathTemplate>,
    /// Environment variables; none of this machine's is passed on.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
    /// The folder it is run in, relative to the tree.
    pub cwd: Option<PathTemplate>,
    /// Folders and files outside the tree that it may read.
    #[serde(default)]
    pub inputs: Vec<PathTemplate>,
    /// Seconds it may take; 3600 where it is not said.
    #[serde(skip_serializing)]
    pub timeout: Option<u64>,
    /// How many of the machine's cores it may use; all where it is not said.
    pub cores: Option<NonZeroUsize>,
    /// Folders that stay from one run to the next: variable = name. What is in them is no input and
    /// is never in the tree.
    #[serde(default, skip_serializing)]
    pub cache: BTreeMap<String, String>,
}

/// A launcher in `bin/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Wrap {
    /// What it starts, with arguments that come before the user's.
    pub exec: Vec<PathTemplate>,
    /// Variables it sets.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
    /// Folders it puts before the PATH.
    #[serde(default)]
    pub path: Vec<PathTemplate>,
    /// The folder it changes to.
    pub cwd: Option<PathTemplate>,
    /// The shell that runs it; `/bin/sh` where it is not said.
    pub shell: Option<PathTemplate>,
}

/// Scripts' first lines: `#!/usr/bin/env X` and absolute paths become the paths of what is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shebangs {
    /// Folders in which interpreters are looked for, in this order; `{out}/bin`, `/usr/bin` and `/bin`
    /// where it is not said.
    #[serde(default = "interpreters")]
    pub search: Vec<PathTemplate>,
    /// Globs of scripts that are left as they are.
    #[serde(default)]
    pub exclude: Vec<String>,
}

fn interpreters() -> Vec<PathTemplate> {
    let folders = ["{out}/bin", "/usr/bin", "/bin"].map(str::to_owned);
    let all = folders.into_iter().map(PathTemplate::try_from);
    all.filter_map(Result::ok).collect()
}

/// ELF patching: see `lockwright elf patch --help`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Elf {
    /// Folders with libraries that the tree does not bundle.
    #[serde(default)]
    pub search: Vec<PathTemplate>,
    /// Globs of libraries that may be missing.
    #[serde(default)]
    pub ignore_missing: Vec<String>,
    /// The interpreter that executables are given; theirs is kept where it is not said.
    pub interpreter: Option<PathTemplate>,
    /// RUNPATH entries added by hand: glob of files = folders; for what is opened by name at run
    /// time, which no NEEDED shows.
    #[serde(default)]
    pub add_rpath: IndexMap<String, Vec<PathTemplate>>,
}

/// What is done to a finished tree's metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Modes 0644/0755 and one time for all: the same bytes and metadata everywhere.
    #[default]
    Canonical,
    /// Modes 0444/0555, as in a Nix store.
    ReadOnly,
    /// What Nix takes as a fixed-output derivation: no `bin/`, no bytecode, no store reference.
    FixedOutput,
    /// Left as it is.
    None,
}

/// What must work in the finished tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Smoke {
    /// Modules that must import, each alone.
    #[serde(default)]
    pub imports: Vec<String>,
    /// Commands that must succeed.
    #[serde(default)]
    pub commands: Vec<Vec<PathTemplate>>,
    /// Environment variables for both.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
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
