//! The phases of a component, each as it stands in the manifest.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{PathTemplate, TextTemplate};

/// What a component starts from: a component, or with what is left out of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawBase", rename_all = "kebab-case")]
pub struct Base {
    /// The component's tree.
    pub from: PathTemplate,
    /// Globs of paths in it, or of names, to leave out.
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
    /// Without the files that the globs match.
    Without {
        /// The component's tree.
        #[schemars(with = "PathTemplate")]
        from: String,
        /// Globs of paths in it, or of names, to leave out.
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

/// A path or glob of the tree; or a path, and where to move it: `{ from = "web/dist", to = "dist"
/// }`.
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
    /// It is moved.
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
    /// The dependency groups; uv's default groups by default.
    pub groups: Option<Vec<String>>,
    /// The extras.
    #[serde(default)]
    pub extras: Vec<String>,
    /// Which packages of the lock are installed.
    #[serde(default)]
    pub install: Install,
    /// Packages to leave out; their dependencies stay.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Packages to build even if the lock has a wheel.
    #[serde(default)]
    pub no_binary: Vec<String>,
}

/// Which packages of a lock are installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Install {
    /// Everything, the project and its workspace included.
    #[default]
    All,
    /// The dependencies of the project and its workspace, without these themselves.
    Dependencies,
}

/// A `node_modules`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Node {
    /// The `package-lock.json`.
    pub lock: PathTemplate,
    /// The folder of the tree that takes the place of the lock's folder, by default `.`:
    /// `node_modules` folders go below it as they would beside the lock.
    pub collect: Option<String>,
    /// Dependency types to leave out: `dev`, `optional`, `peer`; by default as the `.npmrc` beside
    /// the lock says.
    pub omit: Option<Vec<String>>,
    /// Dependency types to keep, even if something else leaves them out.
    #[serde(default)]
    pub include: Vec<String>,
    /// Packages to leave out by name, with everything in their folders; their dependencies stay.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Packages whose install scripts run, contained, with the tool `node`.
    #[serde(default)]
    pub allow_scripts: Vec<String>,
}

/// One copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Copy {
    /// A file, or a folder whose contents are copied.
    pub from: PathTemplate,
    /// Its path in the tree; `.` is the tree itself.
    pub to: PathTemplate,
    /// Globs, relative to `from`, of what to leave out.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Globs of files to make executable.
    #[serde(default)]
    pub executable: Vec<String>,
    /// Whether everything at `to`, which must exist, is removed first.
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
    /// The file in the tree that has the text.
    file: Option<PathTemplate>,
    /// The text that is there.
    replace: Option<TextTemplate>,
    /// The text to put there.
    with: Option<TextTemplate>,
    /// How many times it must occur; at least once by default.
    count: Option<usize>,
    /// A Django migration's file in the tree.
    migration: Option<PathTemplate>,
    /// The new dependency: `[app label, migration name]`.
    depends_on: Option<(String, String)>,
    /// A file with a unified diff.
    diff: Option<PathTemplate>,
    /// The folder that the diff's paths are relative to; by default the tree itself.
    root: Option<PathTemplate>,
    /// How many leading parts are removed from its paths (`patch -p`); 1 by default.
    strip: Option<usize>,
    /// How many context lines may differ; none by default.
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
    /// The text that is there.
    pub replace: TextTemplate,
    /// The text to put there.
    pub with: TextTemplate,
    /// How many times it must occur; at least once by default.
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
    /// How many leading parts are removed from its paths (`patch -p`); 1 by default.
    pub strip: Option<usize>,
    /// How many context lines may differ; none by default.
    pub fuzz: usize,
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Run {
    /// The program and its arguments; no shell is involved.
    pub command: Vec<PathTemplate>,
    /// Environment variables; none of this machine's are passed on.
    #[serde(default)]
    pub env: BTreeMap<String, PathTemplate>,
    /// The folder it is run in, relative to the tree.
    pub cwd: Option<PathTemplate>,
    /// Folders and files outside the tree that it may read.
    #[serde(default)]
    pub inputs: Vec<PathTemplate>,
    /// The seconds it may take; 3600 by default.
    #[serde(skip_serializing)]
    pub timeout: Option<u64>,
    /// How many of the machine's cores it may use; all by default.
    pub cores: Option<NonZeroUsize>,
    /// Folders that outlive a run: variable = name. Their contents are no input, and never in the
    /// tree.
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
    /// Folders to put first on the PATH.
    #[serde(default)]
    pub path: Vec<PathTemplate>,
    /// The folder it changes to.
    pub cwd: Option<PathTemplate>,
    /// The shell that runs it; `/bin/sh` by default.
    pub shell: Option<PathTemplate>,
}

/// Scripts' first lines: `#!/usr/bin/env X` and absolute paths become the paths of what is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Shebangs {
    /// The folders to search for interpreters, in this order; by default `{out}/bin`, `/usr/bin`
    /// and `/bin`.
    #[serde(default = "interpreters")]
    pub search: Vec<PathTemplate>,
    /// Globs of scripts to leave as they are.
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
    /// Folders with libraries that the tree does not have.
    #[serde(default)]
    pub search: Vec<PathTemplate>,
    /// Globs of libraries that may be missing.
    #[serde(default)]
    pub ignore_missing: Vec<String>,
    /// The interpreter for executables; by default they keep theirs.
    pub interpreter: Option<PathTemplate>,
    /// Additional RUNPATH entries: glob of files = folders, for libraries that are opened by name
    /// and have no NEEDED entry.
    #[serde(default)]
    pub add_rpath: IndexMap<String, Vec<PathTemplate>>,
}

/// The form of a finished tree's metadata.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// Modes 0644 and 0755, and one time for all files.
    #[default]
    Canonical,
    /// Modes 0444 and 0555, as in a Nix store.
    ReadOnly,
    /// For a fixed-output derivation of Nix: no `bin/`, no bytecode, no store references.
    FixedOutput,
    /// Unchanged.
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
