//! What `-h` shows: the options that matter most days. `--help` has all of them.

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

/// The commands whose options are more than a screen holds.
const LONG: [&str; 5] = ["sync", "plan", "fetch", "build", "build-lock"];

/// Of their options, those that `-h` shows.
const SHORT: [&str; 27] = [
    "allow_scripts",
    "clear",
    "compile_bytecode",
    "explain",
    "extra",
    "file",
    "find_links",
    "group",
    "json",
    "link_mode",
    "locked",
    "mirror",
    "no_binary_package",
    "no_dev",
    "no_install_project",
    "offline",
    "omit",
    "out",
    "package",
    "prefix",
    "python",
    "python_platform",
    "python_version",
    "quiet",
    "store",
    "vendor",
    "verbose",
];

/// The command line as it is parsed, completed and documented.
pub fn command() -> Command {
    let mut all = Cli::command();
    for name in LONG {
        all = all.mut_subcommand(name, |command| command.mut_args(shown));
    }
    all
}

fn shown(arg: Arg) -> Arg {
    let is_short = arg.is_positional() || SHORT.contains(&arg.get_id().as_str());
    arg.hide_short_help(!is_short)
}
