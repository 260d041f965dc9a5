//! What people install lockwright by: all that scripts/release makes, around the program just built, by the tools that
//! people have; completions, manual pages, what runs in others' CI. Compiling a release is not tried here: it
//! takes minutes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod forges;
mod installers;
mod node;
mod release;
mod shell;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run as _, Temp};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An executable file.
fn program(temp: &Temp, name: &str, bytes: impl AsRef<[u8]>) -> Utf8PathBuf {
    let path = temp.write(name, bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// Stands for the program: small, and nothing but a start of the one just built.
fn stand_in(temp: &Temp, name: &str, flags: &[&str]) -> Utf8PathBuf {
    let start = format!(
        "#include <unistd.h>\nint main(int n, char **words) {{ execv(\"{}\", words); return 127; }}\n",
        env!("CARGO_BIN_EXE_lockwright")
    );
    let source = temp.write("start.c", start);
    let made = temp.join(name);
    let common = ["-Os", "-o", made.as_str(), source.as_str()];
    common::run(common::on_path("cc"), [flags, &common].concat());
    made
}

/// scripts/release around programs, each with its target.
fn release_of(out: &Utf8Path, programs: &[(String, Utf8PathBuf)]) -> Ran {
    let mut release = Command::new(common::project().join("scripts/release"));
    release.args(["--out", out.as_str()]);
    for (target, program) in programs {
        release.arg(format!("--program={target}={program}"));
    }
    release.env("SOURCE_DATE_EPOCH", "1700000000").run().ok()
}

/// The same around static programs, as the released ones are, for both machines.
fn release(temp: &Temp, out: &Utf8Path) {
    let own = stand_in(temp, "own", &["-static"]);
    // The same, but for what its ELF header says of the machine.
    let mut bytes = fs::read(&own).unwrap();
    let (machine, number) = other_machine();
    bytes[18..20].copy_from_slice(&number);
    let other = program(temp, "other", bytes);
    let of = |machine: &str, program| (format!("{machine}-unknown-linux-musl"), program);
    release_of(out, &[of(std::env::consts::ARCH, own), of(machine, other)]);
}

/// The machine that this one is not, and its number in ELF files (`e_machine`).
fn other_machine() -> (&'static str, [u8; 2]) {
    match std::env::consts::ARCH {
        "aarch64" => ("x86_64", [62, 0]),
        _ => ("aarch64", [183, 0]),
    }
}

/// What [`release`] makes, once for all tests.
fn released() -> &'static Utf8Path {
    static MADE: OnceLock<(Temp, Utf8PathBuf)> = OnceLock::new();
    let (_, out) = MADE.get_or_init(|| {
        let temp = Temp::new();
        let out = temp.join("out");
        release(&temp, &out);
        (temp, out)
    });
    out
}

/// The one released file whose name begins and ends so.
fn file(begin: &str, end: &str) -> Utf8PathBuf {
    let names = released().read_dir_utf8().unwrap();
    let paths = names.map(|entry| entry.unwrap().into_path());
    let mut found: Vec<_> = paths
        .filter(|path| {
            let name = path.file_name().unwrap();
            name.starts_with(begin) && name.ends_with(end)
        })
        .collect();
    assert_eq!(found.len(), 1, "{begin}…{end}: {found:?}");
    found.remove(0)
}

/// The wheel of this machine.
fn wheel() -> Utf8PathBuf {
    file(
        &format!("lockwright-{VERSION}-py3-none-manylinux"),
        &format!("{}.whl", std::env::consts::ARCH),
    )
}

fn said_version() -> String {
    format!("lockwright {VERSION}\n")
}
