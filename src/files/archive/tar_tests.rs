#![allow(clippy::unwrap_used)]

use std::io::Write;

use ::tar::Builder;
use proptest::prelude::*;

use super::*;
use crate::files::archive::tarball::unpack;

/// An archive with one member of each name, mode and body.
fn archive(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (name, mode, bytes) in members {
        let mut header = Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        header.set_cksum();
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// One header and its body, however wrong.
fn raw(kind: u8, name: &[u8], body: &[u8], size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_entry_type(EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    if kind == b'2' || kind == b'1' {
        header.set_link_name_literal(b"elsewhere").unwrap();
    }
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn file(name: &str, body: &[u8]) -> Vec<u8> {
    raw(b'0', name.as_bytes(), body, body.len() as u64)
}

fn record(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let length = (1..).find(|n| n.to_string().len() + rest.len() == *n);
    format!("{}{rest}", length.unwrap()).into_bytes()
}

fn pax_header(kind: u8, records: &[(&str, &str)]) -> Vec<u8> {
    let body: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
    raw(kind, b"PaxHeader", &body, body.len() as u64)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn members(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>, TarError> {
    Tar::new(bytes, "a-1.tgz", &Limits::default())
        .map(|member| member.map(|m| (m.path.into_owned(), m.bytes.to_vec())))
        .collect()
}

#[track_caller]
fn assert_refused(bytes: &[u8], why: &str) {
    let said = members(bytes).unwrap_err().to_string();
    assert!(said.starts_with("a-1.tgz is refused: "), "{said}");
    assert!(said.contains(why), "{said}");
}

#[test]
fn honest_members_come_out() {
    let long = "d/".repeat(120) + "end";
    let bytes = archive(&[
        ("package/a.js", 0o644, b"hello"),
        ("package/bin", 0o755, b""),
        (&long, 0o600, &[7; 700]),
    ]);
    let all: Vec<_> = Tar::new(&bytes, "a", &Limits::default())
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(
        (&*all[0].path, all[0].bytes),
        ("package/a.js", &b"hello"[..])
    );
    assert_eq!(all[1].mode, 0o755);
    assert_eq!((&*all[2].path, all[2].bytes.len()), (&*long, 700));
}

#[test]
fn extensions_belong_to_the_member_that_follows() {
    let bytes = [
        pax_header(b'g', &[("comment", "0123abc")]),
        pax_header(b'x', &[("path", "long/é"), ("size", "3"), ("mtime", "1.5")]),
        file("short", b"one"),
        file("other", b"two"),
        raw(b'5', b"folder", b"", 4096),
        raw(b'0', b"old/", b"", 0),
        raw(b'2', b"link", b"", 0),
        vec![0; 1024],
    ]
    .concat();
    let all: Vec<_> = Tar::new(&bytes, "a", &Limits::default())
        .collect::<Result<_, _>>()
        .unwrap();
    let seen: Vec<_> = all.iter().map(|m| (&*m.path, &m.kind, m.bytes)).collect();
    assert_eq!(
        seen,
        [
            ("long/é", &Kind::File, &b"one"[..]),
            ("other", &Kind::File, b"two"),
            ("folder", &Kind::Folder, b""),
            ("old/", &Kind::Folder, b""),
            ("link", &Kind::Symlink("elsewhere".into()), b""),
        ]
    );
}

#[test]
fn what_readers_disagree_on_is_refused() {
    let end = vec![0; 1024];
    let hidden = file("hidden", b"");
    for (bytes, why) in [
        // GHSA-j5gw-2vrg-8fgx: the extension's size against the header's.
        (
            [
                pax_header(b'x', &[("size", "1024")]),
                raw(b'0', b"outer", &hidden, 512),
                end.clone(),
            ]
            .concat(),
            "member outer has two sizes, 512 in its header and 1024",
        ),
        (
            [pax_header(b'g', &[("size", "0")]), file("a", b"x")].concat(),
            "gives all members the same name",
        ),
        (
            [pax_header(b'x', &[("path", "a\0b")]), file("a", b"")].concat(),
            "NUL",
        ),
        (pax_header(b'x', &[("path", "a")]), "no member follows"),
        (
            [raw(b'x', b"x", b"99 path=a\n", 10), file("a", b"")].concat(),
            "not as long as it says",
        ),
        (
            [raw(b'x', b"x", b"path=a\n", 7), file("a", b"")].concat(),
            "no length",
        ),
        (raw(b'L', b"x", b"", (1 << 20) + 1), "longer than allowed"),
        (
            [
                pax_header(b'x', &[("GNU.sparse.major", "1")]),
                file("s", b"1\n0\n"),
            ]
            .concat(),
            "holes",
        ),
        (raw(b'S', b"s", b"", 0), "holes"),
        (raw(b'V', b"label", b"", 0), "type 'V'"),
        (raw(b'2', b"link", &hidden, 512), "but has contents"),
        (raw(b'1', b"link", &hidden, 512), "but has contents"),
        (raw(b'0', b"\xff", b"", 0), "not UTF-8"),
        (raw(b'0', b"", b"", 0), "no name"),
        (raw(b'0', b"a", b"", 4096), "longer than what is left"),
        (
            [file("a", b"x"), end.clone(), hidden].concat(),
            "follows its end",
        ),
        ([file("a", b"x"), vec![1; 100]].concat(), "follows its end"),
        (vec![1; 512], "checksum"),
    ] {
        assert_refused(&bytes, why);
    }
    let mut damaged = file("a", b"x");
    damaged[0] = b'b';
    assert_refused(&damaged, "checksum");
}

#[test]
fn members_are_counted() {
    let limits = Limits {
        members: 2,
        ..Limits::default()
    };
    let bytes = [file("a", b""), file("b", b"")].concat();
    assert!(Tar::new(&bytes, "a", &limits).all(|m| m.is_ok()));
    let bytes = [bytes, file("c", b"")].concat();
    let last = Tar::new(&bytes, "a", &limits).last().unwrap();
    assert!(
        last.unwrap_err()
            .to_string()
            .contains("more than 2 members")
    );
}

fn unpacked(packed: &[u8], limits: &Limits) -> Result<Vec<u8>, TarError> {
    unpack(packed, "a-1.tgz", limits, |bytes| Ok(bytes.to_vec()))
}

#[test]
fn gzip_is_undone_whole_in_parts_and_not_at_all() {
    let limits = Limits::default();
    let bytes = file("a", &[3; 5000]);
    assert_eq!(unpacked(&gzip(&bytes), &limits).unwrap(), bytes);
    assert_eq!(unpacked(&bytes, &limits).unwrap(), bytes);
    let (one, two) = bytes.split_at(600);
    let parts = [gzip(one), gzip(two)].concat();
    assert_eq!(unpacked(&parts, &limits).unwrap(), bytes);
    // Twice in a thread, the second shorter.
    assert_eq!(unpacked(&gzip(one), &limits).unwrap(), one);
    let mut damaged = gzip(&bytes);
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0xff;
    assert!(unpacked(&damaged, &limits).is_err());
    damaged.truncate(middle);
    assert!(unpacked(&damaged, &limits).is_err());
}

#[test]
fn a_small_archive_does_not_become_a_large_one() {
    let limits = Limits {
        ratio_from: 1 << 20,
        ..Limits::default()
    };
    let packed = gzip(&vec![0; 16 << 20]);
    let length = |packed: &[u8]| unpacked(packed, &limits).map(|bytes| bytes.len());
    let said = length(&packed).unwrap_err().to_string();
    assert!(
        said.contains("more than --max-unpacked and --max-ratio allow"),
        "{said}"
    );
    // What it says of its own length is not trusted.
    let mut lying = packed;
    let at = lying.len() - 4;
    lying[at..].copy_from_slice(&100_u32.to_le_bytes());
    assert!(length(&lying).is_err());
}

#[test]
fn members_are_placed_below_what_is_stripped() {
    let place = |path: &'static str, strip| {
        let member = TarMember {
            path: path.into(),
            kind: Kind::File,
            mode: 0,
            bytes: b"",
        };
        member
            .place(strip)
            .map(|place| place.map(|place| place.to_string()))
    };
    assert_eq!(place("package/a/b", 1).unwrap().as_deref(), Some("a/b"));
    assert_eq!(
        place("./package/a", 1).unwrap().as_deref(),
        Some("package/a")
    );
    assert_eq!(place("package/./a/.", 1).unwrap().as_deref(), Some("a"));
    assert_eq!(place("package/.", 1).unwrap(), None);
    assert_eq!(place("package/", 1).unwrap(), None);
    assert_eq!(place("package", 1).unwrap(), None);
    assert_eq!(place("a/d/", 0).unwrap().as_deref(), Some("a/d"));
    for bad in ["p/../x", "p//x", "p/a\\b", "p/a\nb"] {
        assert!(place(bad, 1).is_err(), "{bad}");
    }
    assert!(place("/etc/passwd", 0).is_err());
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        files in proptest::collection::vec(("[a-zé]{1,200}", proptest::collection::vec(any::<u8>(), 0..2000)), 0..8)
    ) {
        let all: Vec<_> = files.iter().map(|(n, b)| (n.as_str(), 0o644, b.as_slice())).collect();
        let packed = gzip(&archive(&all));
        let found = unpack(&packed, "a", &Limits::default(), members).unwrap();
        prop_assert_eq!(found, files);
    }

    #[test]
    fn no_bytes_make_it_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..3000),
        kind in any::<u8>(), size in any::<u32>(),
    ) {
        let _ = members(&bytes);
        let mut with = raw(kind, b"n", b"", u64::from(size));
        with.append(&mut bytes);
        let _ = members(&with);
    }
}
