//! What a wheel puts where, and what is refused of it: one small wheel, made and unmade here.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::*;
use crate::core::digest::Algorithm;
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;
use crate::files::contents::Zipped;
use crate::files::tree::TreeOptions;
use sha2::Digest as _;

const FILE_NAME: &str = "some_thing-1.0-py3-none-any.whl";
const SITE: &str = "lib/python3.14/site-packages";
const INFO: &str = "some_thing-1.0.dist-info";

/// A wheel's members, with a RECORD made of them unless it says otherwise.
struct Made {
    members: Vec<(String, u32, Vec<u8>)>,
    record: Option<String>,
}

impl Made {
    fn new() -> Self {
        let made = Self {
            members: Vec::new(),
            record: None,
        };
        made.with("thing/__init__.py", 0o644, "x = 1\n")
            .info(
                "METADATA",
                "Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.0\n",
            )
            .info("WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    }

    fn with(mut self, path: &str, mode: u32, text: &str) -> Self {
        self.members.retain(|(other, ..)| other != path);
        self.members.push((path.into(), mode, text.into()));
        self
    }

    fn info(self, name: &str, text: &str) -> Self {
        self.with(&format!("{INFO}/{name}"), 0o644, text)
    }

    fn recorded(record: String) -> Self {
        Self {
            record: Some(record),
            ..Self::new()
        }
    }

    fn lines(&self) -> String {
        let entries = self.members.iter();
        let entries = entries.map(|(path, _, bytes)| Entry::of(path.clone(), bytes));
        record::write(entries.collect()) + &format!("{INFO}/RECORD,,\n")
    }

    fn bytes(&self) -> Vec<u8> {
        let mut zip = ::zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let lines = self.record.clone().unwrap_or_else(|| self.lines());
        let record = (format!("{INFO}/RECORD"), 0o644, lines.into_bytes());
        for (path, mode, bytes) in self.members.iter().chain([&record]) {
            let options = ::zip::write::SimpleFileOptions::default()
                .compression_method(::zip::CompressionMethod::Deflated)
                .unix_permissions(*mode);
            zip.start_file(path.as_str(), options).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn place(&self, checked: bool) -> Placed {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap().to_owned();
        let path = root.join(FILE_NAME);
        std::fs::write(&path, self.bytes()).unwrap();
        let tree = Tree::stage(&root.join("venv"), TreeOptions::default()).unwrap();
        let layout = Layout {
            prefix: "/v".into(),
            site: SITE.into(),
            scripts: "bin".into(),
            headers: "include/site/python3.14".into(),
            relocatable: false,
            windows: None,
        };
        let bytes = std::fs::read(&path).unwrap();
        let source = WheelSource {
            file_name: FILE_NAME,
            name: &"some-thing".parse().unwrap(),
            version: Some(&"1.0".parse().unwrap()),
            direct_url: None,
        };
        let owner = tree.owner("some-thing 1.0", 0);
        let result = Zip::new(&bytes, FILE_NAME, &Limits::default())
            .map_err(|error| PlaceError::from(error).into())
            .and_then(|zip| {
                let mut contents = Zipped::new(&zip, None);
                if checked {
                    let mut known = contents.members().to_vec();
                    for (number, member) in known.iter_mut().enumerate() {
                        let bytes = contents.whole(number).unwrap();
                        member.sha256 = Some(sha2::Sha256::digest(bytes).into());
                    }
                    contents = Zipped::new(&zip, Some(known));
                }
                place_wheel(&tree, &layout, owner, &contents, &source, LinkMode::Copy)
            })
            .map(drop);
        if result.is_ok() {
            tree.finish().commit().unwrap();
        }
        Placed {
            root: root.join("venv"),
            _folder: folder,
            result,
        }
    }

    fn assert_refused(&self, why: &str) {
        let placed = self.place(false);
        let said = placed.result.as_ref().unwrap_err().to_string();
        assert!(said.contains(why) && said.contains(FILE_NAME), "{said}");
        assert!(!placed.root.exists());
    }
}

struct Placed {
    _folder: tempfile::TempDir,
    root: Utf8PathBuf,
    result: Result<(), WheelError>,
}

impl Placed {
    fn text(&self, path: &str) -> String {
        std::fs::read_to_string(self.root.join(path)).unwrap()
    }

    fn mode(&self, path: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        let meta = self.root.join(path).metadata().unwrap();
        meta.permissions().mode() & 0o777
    }
}

#[test]
fn every_scheme_has_its_place_and_record_says_so() {
    let data = |path: &str| format!("some_thing-1.0.data/{path}");
    let made = Made::new()
        .with(&data("purelib/pure.py"), 0o644, "p")
        .with(&data("platlib/plat.py"), 0o755, "q")
        .with(&data("scripts/tool"), 0o644, "#!python -u\nprint()\n")
        .with(&data("scripts/other"), 0o644, "#!/bin/sh\n")
        .with(&data("headers/a.h"), 0o644, "h")
        .with(&data("data/share/doc.txt"), 0o600, "d")
        .info(
            "entry_points.txt",
            "[console_scripts]\nrun = thing:main\n[gui_scripts]\nshow = thing.ui:show.it\n",
        );
    let placed = made.place(false);
    placed.result.as_ref().unwrap();
    assert_eq!(placed.text(&format!("{SITE}/pure.py")), "p");
    assert_eq!(placed.mode(&format!("{SITE}/plat.py")), 0o755);
    assert_eq!(placed.text("bin/tool"), "#!/v/bin/python -u\nprint()\n");
    assert_eq!(placed.text("bin/other"), "#!/bin/sh\n");
    assert_eq!(placed.mode("bin/tool"), 0o755);
    assert_eq!(placed.mode("bin/other"), 0o755);
    assert_eq!(placed.text("include/site/python3.14/some-thing/a.h"), "h");
    assert_eq!(placed.text("share/doc.txt"), "d");
    assert_eq!(placed.mode("share/doc.txt"), 0o644);
    let show = placed.text("bin/show");
    assert!(show.contains("from thing.ui import show\n"), "{show}");
    assert!(show.contains("sys.exit(show.it())"), "{show}");
    assert_eq!(placed.mode("bin/run"), 0o755);

    // RECORD is true of every file, and names each.
    let text = placed.text(&format!("{SITE}/{INFO}/RECORD"));
    let listed = record::parse(&text).unwrap();
    assert!(listed.is_sorted());
    for entry in &listed {
        let bytes = std::fs::read(placed.root.join(SITE).join(&*entry.path)).unwrap();
        if !entry.path.ends_with("/RECORD") {
            let digest = Digest::of(Algorithm::Sha256, &bytes);
            assert!(record::is_hash(&entry.hash, &digest), "{}", entry.path);
            assert_eq!(entry.size, bytes.len().to_string(), "{}", entry.path);
        }
    }
    // The module, six of .data, two launchers, and what is in .dist-info.
    assert_eq!(listed.len(), 1 + 6 + 2 + 6, "{text}");
    assert_eq!(
        placed.text(&format!("{SITE}/{INFO}/INSTALLER")),
        "lockwright"
    );
    assert_eq!(placed.text(&format!("{SITE}/{INFO}/REQUESTED")), "");
}

#[test]
fn a_record_that_does_not_hold_is_refused() {
    let honest = Made::new().lines();
    let other = record::hash(b"other");
    let (first, rest) = honest.split_once('\n').unwrap();
    let (path, _) = first.split_once(',').unwrap();
    for (record, why) in [
        (format!("{path},{other},\n{rest}"), "another hash for"),
        (format!("{path},sha512=AAAA,\n{rest}"), "another hash for"),
        (format!("{path},sha256=AAAA,\n{rest}"), "another hash for"),
        (format!("{path},,7777\n{rest}"), "7777 bytes"),
        (rest.to_owned(), "which its RECORD does not name"),
        (format!("{first}\n{honest}"), "twice"),
        (format!("absent.py,,\n{honest}"), "names absent.py"),
        (format!("three\n{honest}"), "line 1"),
    ] {
        Made::recorded(record).assert_refused(why);
    }
    // A line without a hash is no lie.
    let bare = Made::recorded(format!("{path},,\n{rest}"));
    bare.place(false).result.unwrap();
}

#[test]
fn what_was_checked_before_is_taken_at_its_word() {
    let made = Made::new().with("thing/more.py", 0o644, "more");
    let (first, again) = (made.place(false), made.place(true));
    assert_eq!(first.result.as_ref().ok(), again.result.as_ref().ok());
    for path in [&format!("{SITE}/{INFO}/RECORD"), crate::files::tree::INSIDE] {
        assert_eq!(first.text(path), again.text(path));
    }
}

#[test]
fn it_must_be_the_package_that_was_asked_for() {
    let other = Made::new().info("METADATA", "Name: other\nVersion: 1.0\n");
    other.assert_refused("METADATA says it is other");
    let newer = Made::new().info("METADATA", "Name: some-thing\nVersion: 2\n");
    newer.assert_refused("version 2");
    let format = Made::new().info("WHEEL", "Wheel-Version: 2.0\n");
    format.assert_refused("wheel format `2.0`");
    let two = Made::new().with("other-1.0.dist-info/METADATA", 0o644, "x");
    two.assert_refused("two .dist-info folders");
}

#[test]
fn scripts_stay_in_their_folder_and_leave_the_environment_s_own_alone() {
    for point in [
        "../../evil = thing:main",
        "evil = thing:main; import os",
        "python = thing:main",
    ] {
        let points = format!("[console_scripts]\n{point}\n");
        let made = Made::new().info("entry_points.txt", &points);
        made.assert_refused("cannot be made a script");
    }
    let activate = "some_thing-1.0.data/scripts/activate";
    Made::new()
        .with(activate, 0o755, "#!/bin/sh\n")
        .assert_refused("would replace the environment's own");
    Made::new()
        .with("some_thing-1.0.data/elsewhere/x", 0o644, "x")
        .assert_refused("a scheme `elsewhere`");
}
