//! What the peers say of ELF files: which there are, and what is wrong with them.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Ran, Run as _, on_path};

/// Where Debian has its libraries.
pub const SYSTEM: &str = "/usr/lib/x86_64-linux-gnu";

/// The ELF files below a folder, sorted; links are not followed.
pub fn elf_files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.into_path());
            } else if kind.is_file() && is_elf(entry.path()) {
                found.push(entry.into_path());
            }
        }
    }
    found.sort();
    found
}

/// Whether a file begins like one.
pub fn is_elf(path: &Utf8Path) -> bool {
    let mut magic = [0; 4];
    let file = fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    file.is_ok() && magic == *b"\x7fELF"
}

/// What readelf and eu-elflint find wrong with a file, without words that hold numbers.
pub fn faults(path: &Utf8Path) -> BTreeSet<String> {
    let lint = Command::new(on_path("eu-elflint"))
        .args(["--gnu-ld", path.as_str()])
        .run();
    let read = Command::new(on_path("readelf"))
        .args(["-aW", path.as_str()])
        .run();
    said(&lint)
        .into_iter()
        .chain(said(&read))
        .filter(|line| line != "No errors")
        .collect()
}

/// What a checker says, without words that hold numbers.
fn said(ran: &Ran) -> BTreeSet<String> {
    let lines = ran.stderr.lines().chain(
        ran.stdout
            .lines()
            .filter(|_| ran.command.contains("elflint")),
    );
    lines
        .map(|line| {
            let words = line.split_whitespace();
            let plain = words.filter(|word| !word.chars().any(|c| c.is_ascii_digit() || c == '/'));
            plain.collect::<Vec<_>>().join(" ")
        })
        .collect()
}
