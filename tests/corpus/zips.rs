//! Zip archives, written byte by byte.

use std::io::Write as _;

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use lockwright::files::archive::Limits;
use lockwright::files::archive::zip::Zip;

use super::Row;

/// A member, as both of its headers tell it.
#[derive(Clone)]
pub struct Member {
    pub name: Vec<u8>,
    pub packed: Vec<u8>,
    pub size: u32,
    pub crc: u32,
    pub method: u16,
    pub flags: u16,
    /// As `stat` has it, with the kind.
    pub mode: u32,
    /// What the header before the bytes says instead.
    pub local: Local,
}

/// Where the header before a member's bytes differs.
#[derive(Clone, Default)]
pub struct Local {
    pub name: Option<Vec<u8>>,
    pub size: Option<u32>,
    pub crc: Option<u32>,
    pub method: Option<u16>,
}

pub fn crc(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

pub fn file(name: impl AsRef<[u8]>, bytes: &[u8]) -> Member {
    Member {
        name: name.as_ref().to_vec(),
        packed: bytes.to_vec(),
        size: bytes.len() as u32,
        crc: crc(bytes),
        method: 0,
        flags: 0x800,
        mode: 0o100_644,
        local: Local::default(),
    }
}

pub fn deflated(name: &str, bytes: &[u8]) -> Member {
    let mut out = DeflateEncoder::new(Vec::new(), Compression::best());
    out.write_all(bytes).unwrap();
    Member {
        packed: out.finish().unwrap(),
        method: 8,
        ..file(name, bytes)
    }
}

fn words(out: &mut Vec<u8>, numbers: &[u16]) {
    for number in numbers {
        out.extend(number.to_le_bytes());
    }
}

fn longs(out: &mut Vec<u8>, numbers: &[u32]) {
    for number in numbers {
        out.extend(number.to_le_bytes());
    }
}

/// The members' headers and bytes, and where each begins.
fn bodies(members: &[Member]) -> (Vec<u8>, Vec<u32>) {
    let (mut out, mut starts) = (Vec::new(), Vec::new());
    for member in members {
        starts.push(out.len() as u32);
        let local = &member.local;
        let name = local.name.as_ref().unwrap_or(&member.name);
        out.extend(b"PK\x03\x04");
        let method = local.method.unwrap_or(member.method);
        words(&mut out, &[20, member.flags, method, 0, 0x21]);
        let crc = local.crc.unwrap_or(member.crc);
        let size = local.size.unwrap_or(member.size);
        longs(&mut out, &[crc, member.packed.len() as u32, size]);
        words(&mut out, &[name.len() as u16, 0]);
        out.extend(name);
        out.extend(&member.packed);
    }
    (out, starts)
}

/// The directory, and the end.
fn end(mut out: Vec<u8>, members: &[Member], starts: &[u32], count: u16) -> Vec<u8> {
    let at = out.len() as u32;
    for (member, start) in members.iter().zip(starts) {
        out.extend(b"PK\x01\x02");
        words(&mut out, &[0x314, 20, member.flags, member.method, 0, 0x21]);
        longs(
            &mut out,
            &[member.crc, member.packed.len() as u32, member.size],
        );
        words(&mut out, &[member.name.len() as u16, 0, 0, 0, 0]);
        longs(&mut out, &[member.mode << 16, *start]);
        out.extend(&member.name);
    }
    let size = out.len() as u32 - at;
    out.extend(b"PK\x05\x06");
    words(&mut out, &[0, 0, count, count]);
    longs(&mut out, &[size, at]);
    words(&mut out, &[0]);
    out
}

/// These members, and what makes a wheel of them that other installers read: a METADATA, a WHEEL, a RECORD of all.
fn with_metadata(members: &[Member]) -> Vec<Member> {
    let info = "x-1.0.dist-info";
    let mut all = members.to_vec();
    for (name, text) in [
        ("METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n"),
        (
            "WHEEL",
            "Wheel-Version: 1.0\nGenerator: corpus\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        ),
    ] {
        all.push(file(format!("{info}/{name}"), text.as_bytes()));
    }
    let names = all
        .iter()
        .map(|member| String::from_utf8_lossy(&member.name));
    let lines: String = names.map(|name| format!("\"{name}\",,\n")).collect();
    let record = format!("{lines}{info}/RECORD,,\n");
    all.push(file(format!("{info}/RECORD"), record.as_bytes()));
    all
}

/// A wheel of these members, as [`with_metadata`] has it.
fn wheel(members: &[Member]) -> Vec<u8> {
    zip(&with_metadata(members))
}

pub fn zip(members: &[Member]) -> Vec<u8> {
    let (out, starts) = bodies(members);
    end(out, members, &starts, members.len() as u16)
}

/// One that nothing is wrong with.
pub fn plain() -> Vec<u8> {
    wheel(&[file("a.py", b"hello")])
}

/// What is read of an archive: its members' names, or why not.
fn judged(bytes: &[u8]) -> Result<String, String> {
    let zip = Zip::new(bytes, "x.whl", &Limits::default()).map_err(|error| error.to_string())?;
    let mut names = Vec::new();
    for member in zip.members() {
        zip.read(member).map_err(|error| error.to_string())?;
        names.push(member.path.as_str());
    }
    Ok(names.join(", "))
}

/// Names that are no paths in a tree, and the advisories about those who took them for some.
pub const NAMES: [(&[u8], &str, &str); 15] = [
    (
        b"../planted",
        "a name that leads up",
        "CVE-2007-4559, CVE-2018-1002200, CVE-2026-1703",
    ),
    (
        b"a/../../planted",
        "one that leads up later",
        "CVE-2026-23888",
    ),
    (b"/planted", "an absolute name", "CVE-2021-32804"),
    (
        b"..\\planted",
        "one that leads up by backslashes",
        "CVE-2026-23889",
    ),
    (b"C:/planted", "one with a drive", "CVE-2021-37713"),
    (b"C:planted", "one relative to a drive", "CVE-2021-37713"),
    (b"a/./b", "a part that says nothing", ""),
    (b"a//b", "an empty part", ""),
    (b"", "an empty name", ""),
    (b".", "the folder itself", ""),
    (b"..", "the folder above", ""),
    (b"a\nb", "a line end in a name", ""),
    (b"a\x1b[2Jb", "an escape sequence in a name", ""),
    (b"a\x00b", "a NUL in a name", ""),
    (b"a\xffb", "a name that is not UTF-8", ""),
];

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |case: &str, known, bytes: &[u8]| {
        rows.push(Row {
            format: "zip",
            case: case.to_owned(),
            known,
            said: judged(bytes),
            files: vec![("x-1.0-py3-none-any.whl".to_owned(), bytes.to_vec())],
        });
    };
    let hello = || file("a.py", b"hello");
    let plain = plain();
    let payload = "CVE-2025-54368";

    row("nothing at all", "", b"");
    row("text", "", b"#!/bin/sh\nexit 0\n");
    row("the end is cut off", "", &plain[..plain.len() - 10]);
    row(
        "bytes behind the end",
        payload,
        &[&plain[..], b"more"].concat(),
    );
    row(
        "bytes before the first member",
        "CVE-2025-54368, CVE-2026-3219",
        &[&b"#!/bin/sh\n"[..], &plain[..]].concat(),
    );
    row(
        "two archives, one behind the other",
        payload,
        &[&plain[..], &plain[..]].concat(),
    );
    let mut comment = plain.clone();
    let length = comment.len();
    comment[length - 2..].copy_from_slice(&(plain.len() as u16).to_le_bytes());
    row(
        "another archive in the comment",
        payload,
        &[&comment[..], &plain[..]].concat(),
    );
    let whole = with_metadata(&[hello()]);
    let (out, starts) = bodies(&whole);
    row(
        "more members than it says",
        payload,
        &end(out.clone(), &whole, &starts, 3),
    );
    row(
        "fewer members than it says",
        "",
        &end(out.clone(), &whole, &starts, 5),
    );
    row("a member that the directory does not name", payload, &{
        let all = [&whole[..], &[file("b.py", b"hidden")]].concat();
        let (out, starts) = bodies(&all);
        end(out, &whole, &starts[..4], 4)
    });
    row("a directory that begins elsewhere", "", &{
        let mut bytes = plain.clone();
        bytes[length - 6] ^= 1;
        bytes
    });
    row("an archive in several parts", "", &{
        let mut bytes = plain.clone();
        bytes[length - 18] = 1;
        bytes
    });
    row("64-bit numbers that nothing gives", "", &{
        let mut bytes = plain.clone();
        bytes[length - 6..length - 2].fill(0xff);
        bytes
    });
    row("64-bit numbers that lie elsewhere", "CVE-2025-8291", &{
        let (mut bytes, end) = (plain[..length - 22].to_vec(), &plain[length - 22..]);
        let long = |at: usize| u64::from(u32::from_le_bytes(end[at..at + 4].try_into().unwrap()));
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes());
        words(&mut bytes, &[45, 45]);
        longs(&mut bytes, &[0, 0]);
        let members = u64::from(end[8]);
        for number in [members, members, long(12), long(16)] {
            bytes.extend(number.to_le_bytes());
        }
        // Their record is right here, and what should lead to it leads to the archive's beginning.
        bytes.extend(b"PK\x06\x07");
        longs(&mut bytes, &[0, 0, 0, 1]);
        bytes.extend(&end[..8]);
        bytes.extend([0xff; 12]);
        words(&mut bytes, &[0]);
        bytes
    });
    for (name, case, known) in NAMES {
        row(case, known, &wheel(&[file(name, b"x")]));
    }
    row(
        "a name of 4000 bytes",
        "",
        &wheel(&[file("a/".repeat(2000), b"")]),
    );
    row(
        "a part of 300 bytes",
        "",
        &wheel(&[file("a".repeat(300), b"x")]),
    );
    row(
        "two members of one name",
        payload,
        &wheel(&[hello(), file("a.py", b"other")]),
    );
    row(
        "names that differ by case",
        "CVE-2021-37701",
        &wheel(&[hello(), file("A.py", b"x")]),
    );
    row(
        "names that differ by Unicode form",
        "CVE-2021-37712, CVE-2026-23950",
        &wheel(&[file("\u{e9}", b"x"), file("e\u{301}", b"y")]),
    );
    for (mode, case, known) in [
        (
            0o120_777,
            "a symbolic link",
            "CVE-2025-4517, CVE-2026-23745",
        ),
        (0o010_644, "a named pipe", ""),
        (0o020_644, "a device", ""),
        (0o140_644, "a socket", ""),
    ] {
        row(case, known, &wheel(&[Member { mode, ..hello() }]));
    }
    row(
        "an encrypted member",
        "",
        &wheel(&[Member {
            flags: 0x801,
            ..hello()
        }]),
    );
    for (method, name) in [(12, "bzip2"), (14, "LZMA"), (93, "Zstandard"), (99, "AES")] {
        let member = Member { method, ..hello() };
        row(
            &format!("packed by {name}"),
            "CVE-2025-54368",
            &wheel(&[member]),
        );
    }
    let differs = |local: Local| wheel(&[Member { local, ..hello() }]);
    row(
        "another name before the bytes",
        payload,
        &differs(Local {
            name: Some(b"b.py".to_vec()),
            ..Local::default()
        }),
    );
    row(
        "another size before the bytes",
        payload,
        &differs(Local {
            size: Some(4),
            ..Local::default()
        }),
    );
    row(
        "another checksum before the bytes",
        payload,
        &differs(Local {
            crc: Some(1),
            ..Local::default()
        }),
    );
    row(
        "another method before the bytes",
        payload,
        &differs(Local {
            method: Some(8),
            ..Local::default()
        }),
    );
    row(
        "a wrong checksum",
        "",
        &wheel(&[Member { crc: 1, ..hello() }]),
    );
    row(
        "fewer bytes than it says",
        "",
        &wheel(&[Member {
            size: 50,
            ..deflated("a.py", b"hello")
        }]),
    );
    row(
        "more bytes than it says",
        "",
        &wheel(&[Member {
            size: 2,
            ..deflated("a.py", b"hello")
        }]),
    );
    row(
        "bytes that are not deflated",
        "",
        &wheel(&[Member {
            method: 8,
            ..file("a.py", b"\xff\xff\xff\xff")
        }]),
    );
    row("a folder with bytes", "", &wheel(&[file("a/", b"x")]));
    row(
        "members that share their bytes",
        "CVE-2019-13232, CVE-2024-0450",
        &{
            let mut all = with_metadata(&[hello(), file("b.py", b"hello")]);
            let other = all.remove(1);
            let (out, mut starts) = bodies(&all);
            all.push(other);
            starts.push(0);
            end(out, &all, &starts, 5)
        },
    );
    row("bytes between members", payload, &{
        let (mut out, starts) = bodies(&whole);
        out.extend(b"hidden");
        end(out, &whole, &starts, 4)
    });
    row(
        "80 MiB of zeros in 80 KiB",
        "",
        &wheel(&[deflated("zeros", &vec![0; 80 << 20])]),
    );
    row(
        "a member that says it is 4 GiB",
        "",
        &wheel(&[Member {
            size: u32::MAX - 1,
            ..deflated("a", b"x")
        }]),
    );
    rows
}
