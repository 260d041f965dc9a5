//! `lockwright restore`: what `seal --fixed-output` took away, for a given interpreter.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::{Outcome, outputs};
use crate::core::walk::walk;
use crate::transform::nix::restore::restore;

/// Make a sealed Python environment usable again: bin, scripts and pyvenv.cfg for an interpreter
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The environment, sealed with --fixed-output
    tree: Utf8PathBuf,
    /// The interpreter's path where the environment will be used
    #[arg(long, value_name = "PATH")]
    python: Utf8PathBuf,
    /// Where the environment will live [default: where it is]
    #[arg(long, value_name = "DIR")]
    prefix: Option<Utf8PathBuf>,
}

/// Runs the command.
pub fn run(args: &RestoreArgs) -> Outcome {
    outputs::check_tree(&args.tree)?;
    let prefix = match &args.prefix {
        Some(prefix) => prefix.clone(),
        None => super::absolute(&args.tree)?,
    };
    let tree = args.tree.as_std_path();
    let made = restore(tree, &walk(tree)?, &args.python, &prefix)?;
    let count = made.scripts.len();
    eprintln!("{}: restored, with {count} scripts", args.tree);
    Ok(ExitCode::SUCCESS)
}
