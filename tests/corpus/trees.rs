//! Trees on the disk, as `hash` and whoever else reads one finds them. No NAR is read anywhere: this is what is written
//! into one.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use lockwright::transform::nix::nar;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;

use super::Row;

/// What is made: its kind, its name, what belongs to it. Names are Latin-1, a byte a letter.
type Made = (&'static str, String, String);

fn bytes(name: &str) -> Vec<u8> {
    name.chars().map(|letter| letter as u8).collect()
}

fn make(top: &Path, all: &[Made]) {
    let mut here = top.to_owned();
    for (kind, name, more) in all {
        let (name, more) = (bytes(name), bytes(more));
        let place = here.join(std::ffi::OsStr::from_bytes(&name));
        match *kind {
            "file" => fs::write(place, more).unwrap(),
            "in" => {
                fs::create_dir(&place).unwrap();
                here = place;
            }
            "link" => symlink(std::ffi::OsStr::from_bytes(&more), place).unwrap(),
            "second" => {
                fs::hard_link(here.join(std::ffi::OsStr::from_bytes(&more)), place).unwrap();
            }
            "set-id" => {
                fs::write(&place, more).unwrap();
                fs::set_permissions(place, fs::Permissions::from_mode(0o6755)).unwrap();
            }
            "pipe" => mknodat(CWD, &place, FileType::Fifo, Mode::RUSR, 0).unwrap(),
            "socket" => mknodat(CWD, &place, FileType::Socket, Mode::RUSR, 0).unwrap(),
            kind => unreachable!("{kind}"),
        }
    }
}

/// A sentence without the path, of which as much is shown as there is room for.
pub fn without_depth(said: &str) -> String {
    match said.split_once(" is more than") {
        Some((_, rest)) => format!("a/a/a… is more than{rest}"),
        None => said.to_owned(),
    }
}

fn judged(all: &[Made]) -> Result<String, String> {
    let held = tempfile::tempdir().unwrap();
    let top = held.path().join("tree");
    fs::create_dir(&top).unwrap();
    make(&top, all);
    let hash = nar::hash_path(&top);
    let said = |error: nar::NarError| {
        let said = error.to_string();
        without_depth(&said.replace(held.path().to_str().unwrap(), ""))
    };
    hash.map(|hash| format!("its hash is {}", hash.sri()))
        .map_err(said)
}

pub fn rows() -> Vec<Row> {
    let one = |kind, name: &str, more: &str| vec![(kind, name.to_owned(), more.to_owned())];
    let deep = |steps| -> Vec<Made> { (0..steps).flat_map(|_| one("in", "a", "")).collect() };
    [
        ("a named pipe", "", one("pipe", "a", "")),
        ("a socket", "", one("socket", "a", "")),
        ("a set-user-ID program", "", one("set-id", "a", "x")),
        (
            "a link out of it",
            "CVE-2024-45593",
            one("link", "a", "/etc/passwd"),
        ),
        (
            "a link to what is not there",
            "",
            one("link", "a", "../../absent"),
        ),
        ("a name that is not UTF-8", "", one("file", "a\u{ff}b", "x")),
        ("a name with a line end", "", one("file", "a\nb", "x")),
        (
            "a name with an escape sequence",
            "",
            one("file", "a\u{1b}[2Jb", "x"),
        ),
        (
            "names that differ by case",
            "CVE-2024-45593",
            [one("file", "a", "x"), one("file", "A", "y")].concat(),
        ),
        (
            "a name as Nix writes it for those",
            "",
            one("file", "a~nix~case~hack~1", "x"),
        ),
        (
            "two names of one file",
            "",
            [one("file", "a", "x"), one("second", "b", "a")].concat(),
        ),
        ("a folder of 100 steps", "CVE-2026-44028", deep(100)),
        ("a folder of 1000 steps", "CVE-2026-44028", deep(1000)),
        (
            "a name of 255 bytes",
            "",
            one("file", &"a".repeat(255), "x"),
        ),
    ]
    .map(|(case, known, all)| Row {
        format: "tree",
        case: case.to_owned(),
        known,
        said: judged(&all),
        files: vec![("tree.json".to_owned(), json!(all).to_string().into_bytes())],
    })
    .into()
}
