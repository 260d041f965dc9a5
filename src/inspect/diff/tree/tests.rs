#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

/// Two folders with the same file, then one change.
fn pair(path: &str, old: &[u8], new: &[u8]) -> Vec<(CauseKind, String)> {
    let folder = tempfile::tempdir().unwrap();
    let roots = ["first", "other"].map(|name| folder.path().join(name));
    for (root, bytes) in roots.iter().zip([old, new]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let diff = compare(&roots[0], &roots[1], Expect::default()).unwrap();
    let files = diff.files.into_iter().flat_map(|file| file.causes);
    files.map(|cause| (cause.kind, cause.says)).collect()
}

fn zipped(members: &[(&str, &str)], year: u16) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let time = zip::DateTime::from_date_and_time(year, 1, 1, 0, 0, 0).unwrap();
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .last_modified_time(time);
    for (name, text) in members {
        zip.start_file(*name, options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn causes_are_told_down_to_line_member_and_field() {
    use CauseKind::*;
    let record = "x-1.dist-info/RECORD";
    let pyc = |time: u8, code: &[u8]| {
        [
            &b"\x2b\x0e\x0d\x0a\0\0\0\0"[..],
            &[time, 0, 0, 0, 9, 0, 0, 0],
            code,
        ]
        .concat()
    };
    let ab = [("a", "1"), ("b", "2")];
    for (path, old, new, kind, says) in [
        (
            "t.txt",
            b"a\nb\n".to_vec(),
            b"a\nc\n".to_vec(),
            Line,
            "line 2: −b (+1 −1 lines)",
        ),
        (
            "t.txt",
            b"a\n".to_vec(),
            b"a\r\n".to_vec(),
            LineEnd,
            "only in how its lines end",
        ),
        (
            record,
            b"a,,\nb,,\n".to_vec(),
            b"b,,\na,,\n".to_vec(),
            RecordOrder,
            "the same lines in another order",
        ),
        (
            record,
            b"a,h,1\n".to_vec(),
            b"a,i,1\n".to_vec(),
            Record,
            "has another hash of a",
        ),
        (
            "m.pyc",
            pyc(1, b"x"),
            pyc(2, b"x"),
            PycTime,
            "its source's time is 1, then 2",
        ),
        (
            "m.pyc",
            pyc(1, b"xy"),
            pyc(1, b"xz"),
            PycCode,
            "its code differs, first at byte 17",
        ),
        (
            "a.zip",
            zipped(&ab, 2000),
            zipped(&ab, 2001),
            ZipTime,
            "2 members have other times, as a",
        ),
        (
            "a.zip",
            zipped(&ab, 2000),
            zipped(&[ab[1], ab[0]], 2000),
            ZipOrder,
            "its members are in another order",
        ),
        (
            "a.zip",
            zipped(&ab, 2000),
            zipped(&[("a", "1"), ("b", "3")], 2000),
            ZipMember,
            "member b has other bytes",
        ),
        (
            "a.gz",
            b"\x1f\x8b\x08\0\x01\0\0\0rest".to_vec(),
            b"\x1f\x8b\x08\0\x02\0\0\0rest".to_vec(),
            GzipTime,
            "the time in its header",
        ),
        (
            "x.bin",
            b"\0a\0b".to_vec(),
            b"\0a\0c".to_vec(),
            Bytes,
            "1 of 4 bytes, first at 3",
        ),
    ] {
        assert_eq!(pair(path, &old, &new), [(kind, says.to_owned())]);
    }
}

#[test]
fn an_elf_file_is_told_down_to_its_sections() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let sections = crate::transform::elf::sections(&bytes).unwrap();
    for (name, kind) in [
        (".note.gnu.build-id", CauseKind::BuildId),
        (".rodata", CauseKind::Section),
    ] {
        let Some(content) = sections.get(name) else {
            continue;
        };
        let at = memchr::memmem::find(&bytes, content).unwrap();
        let mut other = bytes.clone();
        let last = at + content.len() - 1;
        other[last] ^= 1;
        let causes = pair("x.so", &bytes, &other);
        assert_eq!(causes.len(), 1, "{causes:?}");
        assert_eq!(causes[0].0, kind);
    }
}

#[test]
fn the_trees_own_paths_are_expected_where_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let roots = ["first", "other"].map(|name| folder.path().join(name));
    for root in &roots {
        fs::create_dir_all(root.join("lib/x-1.dist-info")).unwrap();
        let script = format!("#!{}/bin/python\n", root.display());
        fs::write(root.join("run"), &script).unwrap();
        symlink(root.join("run"), root.join("link")).unwrap();
        let hash = crate::core::digest::Digest::of(
            crate::core::digest::Algorithm::Sha256,
            script.as_bytes(),
        )
        .hex();
        fs::write(
            root.join("lib/x-1.dist-info/RECORD"),
            format!("../run,sha256={hash},1\n"),
        )
        .unwrap();
    }
    let plain = compare(&roots[0], &roots[1], Expect::default()).unwrap();
    assert_eq!(plain.files.len(), 3, "{plain:?}");
    let expecting = compare(&roots[0], &roots[1], Expect { own_paths: true }).unwrap();
    assert!(expecting.is_same(), "{expecting:?}");
    assert_eq!(expecting.expected, 3);
}

#[test]
fn equal_trees_are_told_at_once_and_modes_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let roots = ["first", "other"].map(|name| folder.path().join(name));
    for root in &roots {
        fs::create_dir_all(root).unwrap();
        fs::write(root.join("a"), "a").unwrap();
    }
    fs::set_permissions(roots[1].join("a"), fs::Permissions::from_mode(0o600)).unwrap();
    let diff = compare(&roots[0], &roots[1], Expect::default()).unwrap();
    assert!(diff.same_nar && diff.is_same());
    assert_eq!(diff.modes, 1);
    assert!(report::text(&diff, false).contains("the same: NAR hash sha256-"));
    fs::set_permissions(roots[1].join("a"), fs::Permissions::from_mode(0o755)).unwrap();
    let diff = compare(&roots[0], &roots[1], Expect::default()).unwrap();
    assert_eq!(diff.files[0].causes[0].kind, CauseKind::Mode);
}
