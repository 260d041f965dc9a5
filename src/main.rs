//! The `lockwright` program: parse the arguments, run one command, print its error.

use std::process::ExitCode;

#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    lockwright::cli::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> ExitCode {
    eprintln!(
        "error: lockwright runs on Linux, and this is {}: run it in a container, a virtual machine or WSL. From there it \
         makes environments for macOS and Windows, too (--python-platform macos or windows; --os darwin or win32).",
        std::env::consts::OS
    );
    ExitCode::FAILURE
}
