//! Arguments of `lockwright sync`.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::build_args::BuildArgs;
use super::dry_run::DryRun;
use super::limit_args::LimitArgs;
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{ElsewhereArgs, SelectionArgs, TargetArgs};

/// Assemble the environment of a lock: a uv.lock or pylock.toml becomes .venv, a package-lock.json
/// node_modules
///
/// Nothing is done if the environment was made from the same input and no file in it has been
/// changed, added or removed since. Bytecode is not looked at, nor are edits of hard links that
/// keep size and time.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// A project's folder, its lock, or a script with a lock (SCRIPT.py beside SCRIPT.py.lock). In
    /// a folder with several locks, uv.lock comes first, then package-lock.json, then pylock.toml
    #[arg(default_value = ".")]
    pub(super) path: Utf8PathBuf,
    #[command(flatten)]
    pub(super) elsewhere: ElsewhereArgs,
    /// Where the environment goes [default: .venv beside the lock, SCRIPT.venv beside a script; env:
    /// UV_PROJECT_ENVIRONMENT, relative to the lock's folder]
    #[arg(long, short, value_name = "DIR")]
    pub(super) out: Option<Utf8PathBuf>,
    /// Say what would be done, without doing it
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Fail if something would have to be done, without doing it
    #[arg(long)]
    pub(super) check: bool,
    /// Replace an existing environment, whatever tool made it, and say what it was
    #[arg(long)]
    pub(super) clear: bool,
    /// Assemble it from scratch, builds included, even if nothing has changed
    #[arg(long, aliases = ["force-reinstall", "refresh"])]
    pub(super) reinstall: bool,
    /// Assemble it from scratch, and rebuild this package (repeatable, or separated by commas)
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        alias = "refresh-package"
    )]
    pub(super) reinstall_package: Vec<String>,
    /// Refuse packages that bring different bytes for one path
    #[arg(long)]
    pub(super) strict: bool,
    /// Make an environment that can be moved: scripts find its interpreter beside themselves
    #[arg(long)]
    pub(super) relocatable: bool,
    /// What shells show while it is activated [default: the folder's name]
    #[arg(long, value_name = "TEXT")]
    pub(super) prompt: Option<String>,
    /// See the interpreter's own site-packages
    #[arg(long)]
    pub(super) system_site_packages: bool,
    /// Compile bytecode now rather than at the first import
    #[arg(long, env = "UV_COMPILE_BYTECODE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(super) compile_bytecode: bool,
    /// The interpreter's path on the machine where the environment will run, if that is not this
    /// one
    #[arg(long, value_name = "PATH")]
    pub(super) interpreter: Option<Utf8PathBuf>,
    /// Print a JSON report
    #[arg(long)]
    pub(super) json: bool,
    /// Place what this plan says, instead of a lock: the JSON of `lockwright plan --json` or of
    /// `export nix`. Give wheels that it has no artifact for with --built
    #[arg(long, value_name = "FILE", requires = "out", conflicts_with = "path")]
    pub(super) plan: Option<Utf8PathBuf>,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) target: TargetArgs,
    #[command(flatten)]
    pub(super) node: NodeArgs,
    #[command(flatten)]
    pub(super) limits: LimitArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) build: BuildArgs,
}

impl SyncArgs {
    /// What is meant: a project's folder, a lock or a script.
    pub(super) fn path(&self) -> &Utf8Path {
        self.elsewhere.path(&self.path)
    }

    pub(super) fn look(&self) -> Option<DryRun> {
        let said = self.dry_run.then_some(DryRun::Say);
        self.check.then_some(DryRun::Check).or(said)
    }
}
