//! What `lockwright sync` is told.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::build_args::BuildArgs;
use super::dry_run::DryRun;
use super::limit_args::LimitArgs;
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{ElsewhereArgs, SelectionArgs, TargetArgs};

/// Assemble the environment that a lock names: uv.lock or pylock.toml becomes .venv,
/// package-lock.json becomes node_modules
///
/// Where the environment was made from the same, and no file in it has been changed, added or removed
/// since, nothing is done. Not looked at for that: bytecode beside its source, and the contents of a
/// file that is a hard link of others and has kept its size and time.
#[derive(Debug, Args)]
pub struct SyncArgs {
    /// A project's folder, its lock, or a script that has one (SCRIPT.py, with SCRIPT.py.lock beside
    /// it); of a folder that has several, its uv.lock, then its package-lock.json, then its pylock.toml
    #[arg(default_value = ".")]
    pub(super) path: Utf8PathBuf,
    #[command(flatten)]
    pub(super) elsewhere: ElsewhereArgs,
    /// Where the environment goes [default: .venv beside the lock, SCRIPT.venv beside a script; env:
    /// UV_PROJECT_ENVIRONMENT, relative to the lock's folder]
    #[arg(long, short, value_name = "DIR")]
    pub(super) out: Option<Utf8PathBuf>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do nothing, and fail where something would have to be done
    #[arg(long)]
    pub(super) check: bool,
    /// Replace an environment that is there, whoever made it, and say what it was
    #[arg(long)]
    pub(super) clear: bool,
    /// Make it anew, builds included, though nothing has changed
    #[arg(long, aliases = ["force-reinstall", "refresh"])]
    pub(super) reinstall: bool,
    /// Make it anew, and build this package again (repeatable, several at once with commas)
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
    /// Where the interpreter is found where the environment will run, when it is for another
    /// machine than this one
    #[arg(long, value_name = "PATH")]
    pub(super) interpreter: Option<Utf8PathBuf>,
    /// Print a JSON report
    #[arg(long)]
    pub(super) json: bool,
    /// Place what a plan says, in the place of a lock: the JSON of `lockwright plan --json`, or of
    /// `export nix`. Wheels that it has no artifact of come by --built
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
