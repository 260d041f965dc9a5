//! What `-h` shows: the options that matter most days. `--help` has all of them.

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;

/// The commands whose options are more than a screen holds.
const LONG: [&str; 6] = ["sync", "image", "plan", "fetch", "build", "build-lock"];

/// Of their options, those that `-h` shows.
const SHORT: [&str; 36] = [
    "allow_scripts",
    "base",
    "clear",
    "cmd",
    "compile_bytecode",
    "entrypoint",
    "env",
    "explain",
    "expose",
    "extra",
    "file",
    "find_links",
    "group",
    "json",
    "link_mode",
    "locked",
    "mirror",
    "name",
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
    "tree",
    "user",
    "vendor",
    "verbose",
    "workdir",
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
