//! The `lockwright` program: parse the arguments, run one command, print its error.

use std::process::ExitCode;

fn main() -> ExitCode {
    lockwright::cli::main()
}
