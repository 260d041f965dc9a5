//! `lockwright seal`: the same bytes wherever and whenever a tree was made.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{Outcome, outputs, print};
use crate::core::walk::walk;
use crate::transform::nix::nar;
use crate::transform::nix::reference::Search;
use crate::transform::nix::seal::{Seal, fixed_output, seal};

/// Give a tree canonical modes and times, and print its NAR hash
#[derive(Debug, Args)]
pub struct SealArgs {
    /// The tree
    tree: PathBuf,
    /// Convert a Python environment to a form that Nix accepts as a fixed output: no bin, no
    /// bytecode, @python@ for its interpreter, no store reference. `restore` undoes it
    #[arg(long)]
    fixed_output: bool,
    /// Modes 0644 and 0755 rather than 0444 and 0555
    #[arg(long)]
    writable: bool,
    /// The time of every file, in seconds since 1970
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 1,
        env = "SOURCE_DATE_EPOCH"
    )]
    mtime: i64,
    /// The store whose references are stripped
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/nix/store",
        env = "NIX_STORE_DIR"
    )]
    store_dir: String,
}

/// Runs the command.
pub fn run(args: &SealArgs) -> Outcome {
    outputs::check_tree(&outputs::utf8(&args.tree)?)?;
    if args.fixed_output {
        let search = Search::every(&args.store_dir, &[]);
        fixed_output(&args.tree, &walk(&args.tree)?, &search)?;
    }
    let how = Seal {
        writable: args.writable,
        mtime: args.mtime,
    };
    let tree = walk(&args.tree)?;
    seal(&args.tree, &tree, &how)?;
    print(&format!("{}\n", nar::hash_walked(&args.tree, &tree)?.sri()))?;
    Ok(ExitCode::SUCCESS)
}
