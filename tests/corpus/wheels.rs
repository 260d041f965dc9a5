//! Wheels: archives that are sound, and lie in what they say of themselves.

use camino::Utf8Path;
use lockwright::files::archive::Limits;
use lockwright::files::archive::zip::Zip;
use lockwright::files::contents::Zipped;
use lockwright::files::tree::{LinkMode, Tree, TreeOptions};
use lockwright::install::python::{Layout, WheelSource, place_wheel};

use super::Row;
use super::zips::{Member, file, zip};

const FILE_NAME: &str = "x-1.0-py3-none-any.whl";
const INFO: &str = "x-1.0.dist-info";

/// A wheel with these members besides what every wheel has; `record` is what its RECORD says of all.
fn wheel(more: &[(&str, &str)], record: impl Fn(&str, usize) -> Option<String>) -> Vec<u8> {
    let mut files = vec![
        ("x.py".to_owned(), "x = 1\n".to_owned()),
        (
            format!("{INFO}/METADATA"),
            "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n".to_owned(),
        ),
        (
            format!("{INFO}/WHEEL"),
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
        ),
    ];
    for (path, text) in more {
        files.retain(|(other, _)| other != path);
        files.push(((*path).to_owned(), (*text).to_owned()));
    }
    let lines = files
        .iter()
        .filter_map(|(path, text)| record(path, text.len()));
    let lines: String = lines.map(|line| line + "\n").collect();
    files.push((
        format!("{INFO}/RECORD"),
        format!("{lines}{INFO}/RECORD,,\n"),
    ));
    files.retain(|(_, text)| text != "GONE");
    let members: Vec<Member> = files
        .iter()
        .map(|(path, text)| file(path, text.as_bytes()))
        .collect();
    zip(&members)
}

/// A line of RECORD, as [`wheel`] asks for one.
#[allow(clippy::unnecessary_wraps)]
fn plain(path: &str, size: usize) -> Option<String> {
    Some(format!("\"{path}\",,{size}"))
}

fn judged(bytes: &[u8]) -> Result<String, String> {
    let held = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(held.path()).unwrap().join("venv");
    let tree = Tree::stage(&root, TreeOptions::default()).unwrap();
    let layout = Layout {
        prefix: "/v".into(),
        site: "lib/python3.14/site-packages".into(),
        scripts: "bin".into(),
        headers: "include/site/python3.14".into(),
        relocatable: false,
        windows: None,
    };
    let (name, version) = ("x".parse().unwrap(), "1.0".parse().unwrap());
    let source = WheelSource {
        file_name: FILE_NAME,
        name: &name,
        version: Some(&version),
        direct_url: None,
    };
    let zip = Zip::new(bytes, FILE_NAME, &Limits::default()).map_err(|error| error.to_string())?;
    let owner = tree.owner("x 1.0", 0);
    let placed = place_wheel(
        &tree,
        &layout,
        owner,
        &Zipped::new(&zip, None),
        &source,
        LinkMode::Copy,
    );
    placed.map_err(|error| error.to_string())?;
    tree.finish().commit().map_err(|error| error.to_string())?;
    Ok("placed".into())
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |case: &str, known, bytes: Vec<u8>| {
        rows.push(Row {
            format: "wheel",
            case: case.to_owned(),
            known,
            said: judged(&bytes),
            files: vec![(FILE_NAME.to_owned(), bytes)],
        });
    };
    let with = |path: &str, text: &str| wheel(&[(path, text)], plain);
    let info = |name: &str, text: &str| with(&format!("{INFO}/{name}"), text);
    row("no METADATA", "", info("METADATA", "GONE"));
    row(
        "another package's METADATA",
        "",
        info("METADATA", "Metadata-Version: 2.1\nName: y\nVersion: 1.0\n"),
    );
    row(
        "another version's METADATA",
        "",
        info("METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 2.0\n"),
    );
    row(
        "METADATA without a version",
        "",
        info("METADATA", "Metadata-Version: 2.1\nName: x\n"),
    );
    row("no WHEEL", "", info("WHEEL", "GONE"));
    row(
        "a format of the future",
        "",
        info("WHEEL", "Wheel-Version: 2.0\nTag: py3-none-any\n"),
    );
    row(
        "two .dist-info folders",
        "CVE-2025-54368",
        with("y-1.0.dist-info/METADATA", "Name: y\n"),
    );
    let record = |line: &'static str| wheel(&[], move |_, _| Some(line.to_owned()));
    row(
        "a RECORD that names no file",
        "CVE-2025-54368",
        wheel(&[], |_, _| None),
    );
    row("a RECORD that is no table", "", record("x.py"));
    row(
        "a RECORD that names a file twice",
        "",
        wheel(&[], |path, size| {
            Some(format!("{path},,{size}\n{path},,{size}"))
        }),
    );
    row(
        "a RECORD that names what is not there",
        "",
        wheel(&[], |path, size| {
            Some(format!("{path},,{size}\nabsent-{},,1", path.len()))
        }),
    );
    row(
        "a RECORD that names what is outside",
        "GHSA-pjjw-68hj-v9mw",
        wheel(&[], |path, size| {
            Some(format!(
                "{path},,{size}\n../../../../planted-{},,1",
                path.len()
            ))
        }),
    );
    row(
        "a RECORD that names an absolute path",
        "GHSA-pjjw-68hj-v9mw",
        wheel(&[], |path, size| {
            Some(format!("{path},,{size}\n/planted-{},,1", path.len()))
        }),
    );
    row(
        "a wrong length in RECORD",
        "",
        wheel(&[], |path, _| Some(format!("{path},,99999"))),
    );
    row(
        "a wrong digest in RECORD",
        "",
        wheel(&[], |path, size| {
            Some(format!(
                "{path},sha256=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA,{size}"
            ))
        }),
    );
    row(
        "a digest of md5 in RECORD",
        "",
        wheel(&[], |path, size| {
            Some(format!("{path},md5=AAAAAAAAAAAAAAAAAAAAAA,{size}"))
        }),
    );
    let script = |line: &str| info("entry_points.txt", &format!("[console_scripts]\n{line}\n"));
    for (line, case, known) in [
        (
            "../planted = x:main",
            "an entry point whose name is a path",
            "GHSA-4gg8-gxpx-9rph, CVE-2026-23890",
        ),
        (
            "/planted = x:main",
            "one whose name is absolute",
            "GHSA-4gg8-gxpx-9rph",
        ),
        (".hidden = x:main", "one whose name is hidden", ""),
        (".. = x:main", "one whose name is the folder above", ""),
        ("-rf = x:main", "one whose name is an option", ""),
        (
            "a\\b = x:main",
            "one whose name has a backslash",
            "CVE-2026-23889",
        ),
        (
            "a\u{1b}[2Jb = x:main",
            "one whose name has an escape sequence",
            "",
        ),
        (
            "a b; $(c) = x:main",
            "one whose name is no identifier, and words to a shell",
            "",
        ),
        (
            "PYTHON3 = x:main",
            "one that would be the interpreter where case does not count",
            "",
        ),
        ("python = x:main", "one that would be the interpreter", ""),
        (
            "python3.14 = x:main",
            "one that would be the interpreter's other name",
            "",
        ),
        (
            "activate = x:main",
            "one that would be what activates the environment",
            "",
        ),
        ("run = x; import os:main", "one whose module is code", ""),
        ("run = x:main() or exit", "one whose function is code", ""),
        ("run = import:main", "one whose module is a keyword", ""),
        ("run = x:1main", "one whose function is no name", ""),
        ("run", "one that calls nothing", ""),
    ] {
        row(case, known, script(line));
    }
    for (path, case) in [
        (
            "x-1.0.data/scripts/python3",
            "a script that would be the interpreter",
        ),
        (
            "x-1.0.data/scripts/activate",
            "a script that would be what activates the environment",
        ),
        (
            "x-1.0.data/data/pyvenv.cfg",
            "a .data that brings pyvenv.cfg",
        ),
        (
            "x-1.0.data/data/bin/python",
            "one that brings the interpreter",
        ),
        (
            "x-1.0.data/data/.lockwright/provenance.json",
            "one that brings our own record",
        ),
        (
            "x-1.0.data/data/lib64",
            "one that takes the place of a link",
        ),
        ("x-1.0.data/other/x", "a scheme that nobody knows"),
        ("x-1.0.data/purelib/x.py", "a file in two ways"),
    ] {
        row(case, "", with(path, "x"));
    }
    rows
}
