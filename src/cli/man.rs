//! `lockwright man`: the manual pages, made from what `--help` says.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::{Outcome, help};

/// Write the manual pages, one for each command, into a folder such as share/man/man1
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder, which is made if needed
    #[arg(long, short, value_name = "DIR")]
    out: Utf8PathBuf,
}

/// Runs the command.
pub fn run(args: &ManArgs) -> Outcome {
    let failed =
        |error: std::io::Error| format!("cannot write manual pages to {}: {error}", args.out);
    std::fs::create_dir_all(&args.out).map_err(failed)?;
    clap_mangen::generate_to(help::command(), &args.out).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}
