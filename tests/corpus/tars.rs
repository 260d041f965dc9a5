//! Tar archives, written byte by byte: as a source archive, and as a package of npm.

use std::io::Write as _;

use camino::Utf8Path;
use flate2::Compression;
use flate2::write::GzEncoder;
use lockwright::core::digest::{Algorithm, Digest};
use lockwright::files::archive::{Limits, tarball};
use lockwright::files::contents::Contents as _;
use lockwright::install::npm::package::{Form, Package, PackageError};
use lockwright::obtain::source::{self, Shape};
use lockwright::obtain::store::Blob;

use super::Row;

/// A member.
#[derive(Clone)]
struct Member {
    name: Vec<u8>,
    kind: u8,
    link: Vec<u8>,
    bytes: Vec<u8>,
    /// What stands in the header for its size.
    size: Option<Vec<u8>>,
    sum: Option<Vec<u8>>,
}

fn member(
    name: impl AsRef<[u8]>,
    kind: u8,
    link: impl AsRef<[u8]>,
    bytes: impl AsRef<[u8]>,
) -> Member {
    Member {
        name: name.as_ref().to_vec(),
        kind,
        link: link.as_ref().to_vec(),
        bytes: bytes.as_ref().to_vec(),
        size: None,
        sum: None,
    }
}

fn file(name: impl AsRef<[u8]>) -> Member {
    member(name, b'0', "", "x")
}

/// Extended headers for what follows (pax): `key=value`.
fn pax(records: &[(&str, &str)]) -> Member {
    let mut text = String::new();
    for (key, value) in records {
        let rest = format!(" {key}={value}\n");
        let mut length = rest.len();
        while format!("{length}{rest}").len() != length {
            length = format!("{length}{rest}").len();
        }
        text.push_str(&format!("{length}{rest}"));
    }
    member("pax", b'x', "", text)
}

fn packed(members: &[Member]) -> Vec<u8> {
    let mut out = Vec::new();
    for member in members {
        let mut header = [0_u8; 512];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &member.name[..member.name.len().min(100)]);
        put(100, b"0000644\0");
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        let size = format!("{:011o}\0", member.bytes.len());
        put(124, member.size.as_deref().unwrap_or(size.as_bytes()));
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[member.kind]);
        put(157, &member.link);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        let sum = format!("{sum:06o}\0 ");
        let sum = member.sum.as_deref().unwrap_or(sum.as_bytes());
        header[148..148 + sum.len()].copy_from_slice(sum);
        out.extend(header);
        out.extend(&member.bytes);
        out.resize(out.len().next_multiple_of(512), 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// What makes a package of npm's, and a source that a wheel is built of, of whatever stands beside it: the first
/// members of every archive here, so that others read on, too.
pub const PROJECT: [(&str, &str); 3] = [
    (
        "backend.py",
        r#"
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "x-1.0-py3-none-any.whl"
    info = "x-1.0.dist-info/"
    with zipfile.ZipFile(folder + "/" + name, "w") as out:
        out.writestr("x.py", "")
        out.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
        out.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        out.writestr(info + "RECORD", "".join(n + ",,\n" for n in ("x.py", info + "METADATA", info + "WHEEL", info + "RECORD")))
    return name
"#,
    ),
    ("package.json", r#"{"name": "x", "version": "1.0.0"}"#),
    (
        "pyproject.toml",
        "[project]\nname = \"x\"\nversion = \"1.0\"\n[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n",
    ),
];

fn about() -> [Member; 3] {
    PROJECT.map(|(name, text)| member(format!("x-1.0/{name}"), b'0', "", text))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

/// Says of an archive what was read, or why it is refused.
type Judge = fn(&[u8]) -> Result<String, String>;

fn as_source(bytes: &[u8]) -> Result<String, String> {
    let held = tempfile::tempdir().unwrap();
    let top = Utf8Path::from_path(held.path()).unwrap();
    std::fs::write(top.join("x.tar.gz"), bytes).unwrap();
    let blob = Blob {
        path: top.join("x.tar.gz"),
        size: bytes.len() as u64,
        digest: Digest::of(Algorithm::Sha256, bytes),
        is_new: true,
    };
    let into = top.join("into");
    let unpacked = source::unpack(&blob, "x.tar.gz", Shape::Sdist, &into, &Limits::default());
    unpacked.map_err(|error| error.to_string())?;
    let names = into.read_dir_utf8().unwrap().flatten();
    let mut names: Vec<String> = names.map(|entry| entry.file_name().to_owned()).collect();
    names.sort();
    Ok(names.join(", "))
}

fn as_package(bytes: &[u8]) -> Result<String, String> {
    let limits = Limits::default();
    let names = tarball::unpack::<_, PackageError>(bytes, "x.tgz", &limits, |bytes| {
        let package = Package::read(bytes, Form::Tarball, &limits, "x.tgz")?;
        let names = package.members().iter().map(|member| member.path.clone());
        Ok(names.collect::<Vec<_>>().join(", "))
    });
    let names = names.map_err(|error| error.to_string())?;
    Ok(if names.is_empty() {
        "nothing of it".into()
    } else {
        names
    })
}

pub fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut row = |case: &str, known: &'static str, bytes: &[u8]| {
        let judges: [(_, _, Judge); 2] = [
            ("source archive", "x-1.0.tar.gz", as_source),
            ("npm package", "x-1.0.0.tgz", as_package),
        ];
        for (format, name, judged) in judges {
            rows.push(Row {
                format,
                case: case.to_owned(),
                known,
                said: judged(bytes),
                files: vec![(name.to_owned(), bytes.to_vec())],
            });
        }
    };
    let archive = |members: &[Member]| gzip(&packed(&[&about()[..], members].concat()));
    let plain = packed(&[&about()[..], &[file("x-1.0/a")]].concat());
    row("text", "", b"not an archive at all");
    row(
        "a header whose checksum is wrong",
        "",
        &archive(&[Member {
            sum: Some(b"000001\0 ".to_vec()),
            ..file("x-1.0/a")
        }]),
    );
    row("cut off in a body", "", &gzip(&plain[..512]));
    row(
        "bytes behind the end",
        "",
        &gzip(&[&plain[..], &plain[..512]].concat()),
    );
    row(
        "a zip archive behind the end",
        "CVE-2026-3219",
        &[&gzip(&plain)[..], &super::zips::plain()].concat(),
    );
    row(
        "a second gzip member with another archive",
        "",
        &[gzip(&plain), gzip(&packed(&[file("x-1.0/b")]))].concat(),
    );
    row("256 MiB of zeros in 256 KiB", "CVE-2026-59873", &{
        let zeros = vec![0; 256 << 20];
        archive(&[member("x-1.0/zeros", b'0', "", zeros)])
    });
    row(
        "gzip that breaks off",
        "",
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff],
    );
    for (name, case, known) in super::zips::NAMES {
        if name.contains(&0) {
            continue;
        }
        let name = [&b"x-1.0/"[..], name].concat();
        row(
            &format!("{case}, below the top"),
            known,
            &archive(&[file("x-1.0/a"), file(&name)]),
        );
    }
    row(
        "an absolute name",
        "CVE-2021-32804, CVE-2026-44029",
        &archive(&[file("/planted")]),
    );
    row(
        "the folder above as the top",
        "CVE-2007-4559",
        &archive(&[file("../planted")]),
    );
    let size = |text: &[u8]| {
        archive(&[Member {
            size: Some(text.to_vec()),
            ..file("x-1.0/a")
        }])
    };
    row("a size that is no number", "", &size(b"zzzzzzzzzzz\0"));
    row(
        "a size below zero",
        "CVE-2025-8194, CVE-2026-59874",
        &size(&[0xff; 12]),
    );
    row("a size beyond the archive", "", &size(b"77777777777\0"));
    row(
        "two sizes, in the header and before it",
        "CVE-2025-62518, CVE-2026-33055",
        &archive(&[pax(&[("size", "512")]), file("x-1.0/a")]),
    );
    row(
        "another name by an extension, which leads up",
        "",
        &archive(&[pax(&[("path", "../../planted")]), file("x-1.0/a")]),
    );
    row(
        "a size before it, and a long name of GNU's between",
        "CVE-2026-53655, RUSTSEC-2026-0145",
        &archive(&[
            pax(&[("size", "512")]),
            member("././@LongLink", b'L', "", "x-1.0/a\0"),
            file("x-1.0/a"),
        ]),
    );
    row(
        "a size before it that is none",
        "CVE-2026-32766",
        &archive(&[pax(&[("size", "one")]), file("x-1.0/a")]),
    );
    row(
        "an extension that is none",
        "CVE-2026-32766",
        &archive(&[member("pax", b'x', "", "99999 path=x\n"), file("x-1.0/a")]),
    );
    row(
        "an extension at the very end",
        "",
        &archive(&[pax(&[("path", "x-1.0/a")])]),
    );
    row(
        "a long name of GNU's that leads up",
        "",
        &archive(&[
            member("././@LongLink", b'L', "", "x-1.0/../../planted\0"),
            file("x-1.0/a"),
        ]),
    );
    let link =
        |kind, target: &str| archive(&[file("x-1.0/a"), member("x-1.0/link", kind, target, "")]);
    row(
        "a link that leads up",
        "CVE-2025-4330, CVE-2025-8869, CVE-2026-23745",
        &link(b'2', "../../planted"),
    );
    row(
        "a link to an absolute path",
        "CVE-2025-4138, CVE-2025-48387, CVE-2026-23745",
        &link(b'2', "/etc/passwd"),
    );
    row("a link to nothing", "", &link(b'2', ""));
    row(
        "a link relative to a drive",
        "CVE-2026-31802",
        &link(b'2', "C:../planted"),
    );
    row(
        "a second name relative to a drive",
        "CVE-2026-29786",
        &link(b'1', "C:../planted"),
    );
    row(
        "a folder in the place of a link",
        "CVE-2026-33056",
        &archive(&[
            file("x-1.0/a"),
            member("x-1.0/in", b'2', "/tmp", ""),
            member("x-1.0/in", b'5', "", ""),
        ]),
    );
    row(
        "a second name of a file outside",
        "CVE-2026-24842, CVE-2026-26960, CVE-2024-12905",
        &link(b'1', "../../../etc/passwd"),
    );
    row(
        "a second name of an absolute path",
        "CVE-2026-23745",
        &link(b'1', "/etc/passwd"),
    );
    row(
        "a second name of what is not there",
        "",
        &link(b'1', "x-1.0/absent"),
    );
    row(
        "a file through a link",
        "CVE-2025-59343, CVE-2025-59825, CVE-2026-5223",
        &archive(&[member("x-1.0/in", b'2', "..", ""), file("x-1.0/in/planted")]),
    );
    row(
        "a link in the place of a folder",
        "CVE-2021-32803, CVE-2021-37701",
        &archive(&[file("x-1.0/in/a"), member("x-1.0/in", b'2', "/tmp", "")]),
    );
    for (kind, case) in [
        (b'3', "a device"),
        (b'4', "a block device"),
        (b'6', "a named pipe"),
        (b'S', "a file with holes"),
        (b'Z', "a kind that nobody knows"),
    ] {
        row(
            case,
            "",
            &archive(&[file("x-1.0/a"), member("x-1.0/b", kind, "", "")]),
        );
    }
    row(
        "a file in which others are",
        "",
        &archive(&[file("x-1.0/a"), file("x-1.0/a/b")]),
    );
    row(
        "a name twice",
        "CVE-2024-45593",
        &archive(&[file("x-1.0/a"), member("x-1.0/a", b'0', "", "other")]),
    );
    row(
        "names that differ by case",
        "CVE-2021-37701, CVE-2026-23950",
        &archive(&[file("x-1.0/a"), file("x-1.0/A")]),
    );
    row(
        "a folder of 4000 steps",
        "CVE-2024-28863, GHSA-r292-9mhp-454m",
        &archive(&[
            pax(&[("path", &format!("x-1.0/{}", "a/".repeat(4000)))]),
            file("x-1.0/a"),
        ]),
    );
    row("nothing in it", "", &gzip(&packed(&[])));
    row(
        "two tops",
        "",
        &archive(&[file("x-1.0/a"), file("y-1.0/a")]),
    );
    rows
}
