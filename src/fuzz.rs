//! Every parser of bytes that come from others, by name, with what has to hold whatever the bytes are: it ends in a
//! result, and what it wrote it reads back.
//!
//! `fuzz/` feeds them for as long as one likes (`scripts/fuzz`); the test below feeds them seeds that were changed here
//! and there, in every run of the tests.

// What does not hold is told by a panic: that is what a fuzzer looks for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use camino::Utf8Path;
use serde_json::Value;

use crate::decide::lock::go::GoLock;
use crate::decide::lock::marker::Marker;
use crate::decide::lock::npm::{Manifest as NpmManifest, NpmLock, programs};
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::lock::pyproject::Pyproject;
use crate::decide::lock::uv::UvLock;
use crate::decide::lock::wheel_name::WheelName;
use crate::decide::manifest::Manifest;
use crate::files::archive::Limits;
use crate::files::archive::tar::{Tar, TarError};
use crate::files::archive::tarball;
use crate::files::archive::zip::{Zip, ZipError};
use crate::files::archive::zip_write::{self, CompressionMethod};
use crate::files::contents::{Contents as _, Member};
use crate::files::tree::Provenance;
use crate::inspect::audit::packument::Packument;
use crate::inspect::audit::simple;
use crate::inspect::diff::others;
use crate::inspect::diff::version::Number;
use crate::install::go;
use crate::install::npm::glob::Pattern;
use crate::install::npm::package::{Form, Package};
use crate::install::python::{about, marshal, metadata, record};
use crate::obtain::fetch::netrc::Netrc;
use crate::transform::elf::{Edit, ElfFacts, Rpath, patch};
use crate::transform::patch::migration::{Added, Migration, add_dependency, relations};
use crate::transform::patch::unified::{apply, parse};

/// A parser's name, what feeds it, and bytes that it takes.
pub struct Parser {
    pub name: &'static str,
    pub feed: fn(&[u8]),
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Makes sums right again in bytes that were changed, which would be refused for those alone.
    pub mend: fn(&mut [u8]),
}

impl Parser {
    /// What a fuzzer found interesting, kept in `fuzz/corpus`.
    ///
    /// # Panics
    /// When a file of it cannot be read.
    pub fn kept(&self) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let files = fs::read_dir(folder.join(self.name)).into_iter().flatten();
        let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
        files.sort();
        let read = |file| fs::read(file).expect("it can be read");
        files.iter().map(read).collect()
    }
}

/// All of them.
pub const PARSERS: &[Parser] = &[
    parser("elf", elf, elf_seeds),
    parser("entry-points", entry_points, || {
        texts(&["[console_scripts]\nx = a.b:c.d [e]\n[gui_scripts]\ny=z:w\n"])
    }),
    parser("glob", glob, || {
        texts(&[
            "**/{a,b}*.[!c-e]?\0a/b/cd.fxy",
            "/lib/*\0lib/index.js",
            "!!{a,{b,c}}/**\0c/d",
        ])
    }),
    parser("go-sum", go_sum, || {
        texts(&[
            "a.example/B v1.2.3 h1:ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n\
             a.example/B v1.2.3/go.mod h1:AAAWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=\n\0module m\n\
             require a.example/B v1.2.3 // c\nreplace (\n\tx.example/y v1.0.0 => ../y\n)\n",
        ])
    }),
    parser("index", index, || {
        texts(&[
            "{\"meta\": {\"api-version\": \"1.1\"}, \"name\": \"a\", \"files\": [{\"filename\": \"a-1.whl\", \"url\": \"../a-1.whl\", \
             \"hashes\": {\"sha256\": \"00\"}, \"size\": 1, \"yanked\": \"why\", \"upload-time\": \"2026-01-01T00:00:00Z\"}]}",
            "<!DOCTYPE html><base href='/f/'><a href='a-1.whl#sha256=00' data-yanked='&lt;'>a-1.whl</a>",
            "{\"name\": \"a\", \"time\": {\"1.0.0\": \"2026\"}, \"versions\": {\"1.0.0\": {\"dist\": {\"tarball\": \"https://r.example/a.tgz\", \
             \"signatures\": [{\"keyid\": \"k\", \"sig\": \"cw==\"}]}, \"deprecated\": true}}}",
        ])
    }),
    parser("lockwright-toml", lockwright_toml, || {
        fixtures(&["standin/lockwright.toml"])
    }),
    parser("marker", marker, || {
        texts(&["(sys_platform == 'linux' and extra != \"x\") or python_version not in '3.8, 3.9'"])
    }),
    parser("marshal", pyc, || vec![PYC.to_vec()]),
    parser("metadata", wheel_metadata, || {
        texts(&[
            "Metadata-Version: 2.4\nName: x\nVersion: 1\nLicense-Expression: MIT\nClassifier: License :: OSI\n\nText\n",
        ])
    }),
    parser("migration", migration, || {
        texts(&[
            "from django.db import migrations\nclass Migration(migrations.Migration):\n    dependencies = [\n        ('a', '0001'),  # x\n    ]\n",
        ])
    }),
    parser("netrc", netrc, || {
        texts(&["machine h login u password \"p\\\"q\"\nmacdef x\na\n\ndefault login v # c\n"])
    }),
    parser("npm-lock", npm_lock, || {
        fixtures(&[
            "npm-v2/package-lock.json",
            "npm-workspaces/package-lock.json",
            "standin/web/package-lock.json",
        ])
    }),
    mended("npm-package", npm_package, || vec![tarball()], tar_sums),
    parser("npmrc", npmrc, || {
        texts(&["registry=https://r.example/${X}\n//r.example/:_authToken=\"t\" ; c\nomit[]=dev\n"])
    }),
    parser("other-locks", other_locks, || {
        texts(&[
            "--index-url https://p.example/simple\na[x]==1.0 ; python_version > \"3\" \\\n  --hash=sha256:00\n-e .\n",
            "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {specifier: ^1, version: 1.0.0}\n\
             packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AA==}\nsnapshots:\n  a@1.0.0: {}\n",
            "# yarn lockfile v1\n\n\"@s/a@^1\", b@1:\n  version \"1.0.0\"\n  resolved \"https://r.example/a.tgz#00\"\n",
            "__metadata:\n  version: 8\n\n\"a@npm:^1\":\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n",
            "{\"lockfileVersion\": 1, \"workspaces\": {\"\": {\"name\": \"x\"}}, // c\n\"packages\": {\"a\": [\"a@1.0.0\", \"\", {}, \"sha512-AA==\"],}}",
        ])
    }),
    parser("package-json", package_json, || {
        fixtures(&["npm-workspaces/package.json", "bump-npm/new/package.json"])
    }),
    parser("provenance", provenance, || {
        texts(&[
            "{\n\"version\": 1,\n\"owners\": [\"a 1\"],\n\"entries\": [\n[\"b\", 0, \"link\", \"c\"],\n[\"d\", 0, \"644\", 1, \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"]\n]}\n",
        ])
    }),
    parser("pyproject", pyproject, || {
        fixtures(&[
            "sources/pyproject.toml",
            "conflicts/pyproject.toml",
            "forks/pyproject.toml",
        ])
    }),
    parser("record", wheel_record, || {
        texts(&["a/b.py,sha256=AAAA,12\n\"c,\"\"d\"\"\",,\nx.dist-info/RECORD,,\n"])
    }),
    mended("tar", tarred, || vec![tarball()], tar_sums),
    parser("unified", unified, || {
        texts(&[
            "--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n\\ No newline at end of file\n\0a\nb",
            "diff --git a/x b/y\nsimilarity index 90%\nrename from x\nrename to y\n--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n\0a\n",
        ])
    }),
    parser("uv-lock", uv_lock, || {
        fixtures(&[
            "default/uv.lock",
            "sources/uv.lock",
            "standin/uv.lock",
            "pylock/pylock.toml",
        ])
    }),
    parser("wheel-name", wheel_name, || {
        texts(&["a_b-1.0.post1-2x-cp39.cp310-abi3-manylinux_2_17_x86_64.musllinux_1_1_x86_64.whl"])
    }),
    mended("zip", zipped, zip_files, zip_sums),
];

const fn parser(name: &'static str, feed: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Parser {
    mended(name, feed, seeds, |_| {})
}

const fn mended(
    name: &'static str,
    feed: fn(&[u8]),
    seeds: fn() -> Vec<Vec<u8>>,
    mend: fn(&mut [u8]),
) -> Parser {
    Parser {
        name,
        feed,
        seeds,
        mend,
    }
}

/// Each block of a tar archive that calls itself a header has the sum of its bytes.
fn tar_sums(bytes: &mut [u8]) {
    for block in bytes.chunks_exact_mut(512) {
        if block.get(257..262) != Some(b"ustar") {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Members that are stored have the checksum of their bytes, in the directory and before them.
fn zip_sums(bytes: &mut [u8]) {
    let number = |bytes: &[u8], at: usize, width: usize| {
        let of = bytes.get(at..at + width)?;
        Some(
            of.iter()
                .rfold(0, |all, byte| all << 8 | usize::from(*byte)),
        )
    };
    let starts = 0..bytes.len().saturating_sub(46);
    for at in starts
        .filter(|at| bytes.get(*at..at + 4) == Some(b"PK\x01\x02"))
        .collect::<Vec<_>>()
    {
        let about =
            [(10, 2), (20, 4), (42, 4)].map(|(place, width)| number(bytes, at + place, width));
        let [Some(0), Some(size), Some(local)] = about else {
            continue;
        };
        let lengths = [26, 28].map(|place| number(bytes, local + place, 2));
        let [Some(name), Some(extra)] = lengths else {
            continue;
        };
        let start = local + 30 + name + extra;
        let Some(body) = bytes.get(start..start.saturating_add(size)) else {
            continue;
        };
        let sum = crate::core::digest::crc32(body).to_le_bytes();
        bytes[at + 16..at + 20].copy_from_slice(&sum);
        bytes[local + 14..local + 18].copy_from_slice(&sum);
    }
}

/// The parser of a name.
///
/// # Panics
/// When there is none; it names those there are.
pub fn named(name: &str) -> &'static Parser {
    let found = PARSERS.iter().find(|parser| parser.name == name);
    found.unwrap_or_else(|| {
        let names: Vec<_> = PARSERS.iter().map(|parser| parser.name).collect();
        panic!(
            "there is no parser {name:?}; there are {}",
            names.join(", ")
        )
    })
}

/// Small enough that no input takes long, large enough for what a mutation makes of a seed.
fn limits() -> Limits {
    Limits {
        total: 1 << 20,
        member: 1 << 20,
        ..Limits::default()
    }
}

fn text(bytes: &[u8], parse: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        parse(text);
    }
}

fn zipped(bytes: &[u8]) {
    let Ok(zip) = Zip::new(bytes, "x.whl", &limits()) else {
        return;
    };
    let mut paths: Vec<&str> = zip
        .members()
        .iter()
        .map(|member| member.path.as_str())
        .collect();
    paths.sort_unstable();
    assert!(
        paths.windows(2).all(|two| two[0] != two[1]),
        "a member appears twice"
    );
    for member in zip.members() {
        if let Ok(read) = zip.read(member) {
            assert_eq!(read.len() as u64, member.size);
            let mut pieces = 0;
            zip.unpack::<ZipError>(member, &mut |piece| {
                pieces += piece.len();
                Ok(())
            })
            .expect("what was read can be unpacked");
            assert_eq!(pieces, read.len());
        }
    }
    another_reader_agrees(bytes, &zip);
    // What the store keeps of it is read again.
    let mut loose = Cursor::new(Vec::new());
    if zip_write::write(&zip, zip.members(), CompressionMethod::Stored, &mut loose).is_ok() {
        let loose = loose.into_inner();
        let again = Zip::new(&loose, "x.whl", &limits()).expect("what was written can be read");
        let facts = |zip: &Zip<'_>| -> Vec<_> {
            let members = zip.members().iter();
            members
                .map(|one| (one.path.clone(), one.is_folder, one.size))
                .collect()
        };
        assert_eq!(facts(&again), facts(&zip));
    }
}

/// What the `zip` crate takes as well has the same members there.
fn another_reader_agrees(bytes: &[u8], zip: &Zip<'_>) {
    let Ok(mut theirs) = ::zip::ZipArchive::new(Cursor::new(bytes)) else {
        return;
    };
    assert_eq!(theirs.len(), zip.members().len());
    for (index, ours) in zip.members().iter().enumerate() {
        if let Ok(theirs) = theirs.by_index_raw(index) {
            let name = String::from_utf8_lossy(theirs.name_raw()).into_owned();
            assert_eq!(name.trim_end_matches('/'), ours.path.as_str());
            assert_eq!(
                (theirs.size(), theirs.is_dir()),
                (ours.size, ours.is_folder)
            );
        }
    }
}

fn tarred(bytes: &[u8]) {
    let _ = tarball::unpack::<_, TarError>(bytes, "x.tar.gz", &limits(), |bytes| {
        let mut members = 0;
        for member in Tar::new(bytes, "x.tar.gz", &limits()) {
            let member = member?;
            let _ = (member.place(0), member.place(1));
            members += 1;
        }
        assert!(members <= limits().members);
        Ok(())
    });
}

fn npm_package(bytes: &[u8]) {
    let _ = tarball::unpack::<_, TarError>(bytes, "x.tgz", &limits(), |bytes| {
        for form in [Form::Tarball, Form::Checkout(""), Form::Checkout("package")] {
            if let Ok(package) = Package::read(bytes, form, &limits(), "x.tgz") {
                for Member { path, mode, .. } in package.members() {
                    assert!(!path.is_empty() && !path.starts_with('/') && mode & 0o7000 == 0);
                    assert!(
                        !path.split('/').any(|part| part == ".."),
                        "{path:?} leads out"
                    );
                }
            }
        }
        Ok(())
    });
}

fn uv_lock(bytes: &[u8]) {
    text(bytes, |text| {
        drop(UvLock::parse(text, Utf8Path::new("uv.lock")));
    });
}

fn npm_lock(bytes: &[u8]) {
    text(bytes, |text| {
        drop(NpmLock::parse(Utf8Path::new("package-lock.json"), text));
    });
}

fn package_json(bytes: &[u8]) {
    if let Ok(Value::Object(raw)) = serde_json::from_slice(bytes) {
        let about = NpmManifest::of(&raw, Some("x"));
        let _ = (about.recorded(&raw, "x"), programs(&raw));
    }
}

fn pyproject(bytes: &[u8]) {
    text(bytes, |text| {
        drop(Pyproject::parse(text, Utf8Path::new("pyproject.toml")));
    });
}

fn index(bytes: &[u8]) {
    let url = "https://p.example/simple/a/".parse().expect("it is one");
    let _ = simple::Project::read(bytes, &url);
    if let Ok(said) = Packument::read(bytes) {
        said.below(&Number::npm(Some("2.0.0")));
        for version in said.versions.values() {
            let _ = (version.deprecated(), version.runs_script());
        }
    }
}

fn other_locks(bytes: &[u8]) {
    text(bytes, |text| {
        for name in others::names() {
            let _ = others::read(text, Utf8Path::new(name));
        }
    });
}

fn lockwright_toml(bytes: &[u8]) {
    text(bytes, |text| {
        drop(Manifest::parse(text, Utf8Path::new("lockwright.toml")));
    });
}

fn npmrc(bytes: &[u8]) {
    text(bytes, |text| {
        let mut npmrc = Npmrc::default();
        npmrc.add(text, |name| Some(name.to_owned()));
        let _ = (
            npmrc.logins(),
            npmrc.list("omit"),
            npmrc.tarball("@a/b", "1.0.0"),
        );
    });
}

fn go_sum(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (sum, go_mod) = text.split_once('\0').unwrap_or((&text, ""));
    let Ok(lock) = GoLock::parse("go.sum".into(), sum, "go.mod".into(), go_mod) else {
        return;
    };
    for module in lock.modules.keys() {
        // It has a place of its own, as far as names go on a disk.
        if let Err(error) = go::folder(module, None) {
            assert!(error.why.contains("longer"), "{error}");
        }
    }
}

fn netrc(bytes: &[u8]) {
    text(bytes, |text| {
        let netrc = Netrc::parse(text);
        let _ = (netrc.login("h", None), netrc.login("h", Some("u")));
    });
}

fn glob(bytes: &[u8]) {
    text(bytes, |text| {
        let (pattern, path) = text.split_once('\0').unwrap_or((text, "a/b/c.js"));
        if let Ok(glob) = Pattern::new(pattern) {
            let _ = (glob.matches(path, false), glob.matches(path, true));
        }
    });
}

/// A marker is taken where pep508_rs takes it, whose normal form of a short one is small.
fn marker(bytes: &[u8]) {
    text(bytes, |text| {
        let ours = text.parse::<Marker>();
        // PEP 751's own words are not its.
        let asks = ["extras", "dependency_groups"].map(|word| text.contains(word));
        if text.len() < 100 && asks == [false, false] {
            let theirs = text.parse::<pep508_rs::MarkerTree>();
            assert_eq!(ours.is_ok(), theirs.is_ok(), "{text}: {ours:?} {theirs:?}");
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                assert_eq!(ours.normal(&mut { u64::MAX }), Some(theirs), "{text}");
            }
        }
    });
}

fn wheel_name(bytes: &[u8]) {
    text(bytes, |text| {
        if let Ok(name) = text.parse::<WheelName>() {
            let _ = name.tags();
        }
    });
}

fn wheel_record(bytes: &[u8]) {
    text(bytes, |text| {
        if let Ok(mut entries) = record::parse(text) {
            let written = record::write(entries.clone());
            entries.sort();
            assert_eq!(record::parse(&written), Ok(entries));
        }
    });
}

fn entry_points(bytes: &[u8]) {
    text(bytes, |text| drop(metadata::scripts(text)));
}

fn wheel_metadata(bytes: &[u8]) {
    text(bytes, |text| {
        let _ = (metadata::field(text, "Name"), about::license(text));
    });
}

fn pyc(bytes: &[u8]) {
    for python in [(3, 10), (3, 14)] {
        if let Some(canonical) = marshal::canonical(bytes, python) {
            let again = marshal::canonical(&canonical, python);
            assert_eq!(again.as_ref(), Some(&canonical), "canonical is what stays");
        }
    }
}

fn provenance(bytes: &[u8]) {
    let place = Utf8Path::new("provenance.json");
    if let Ok(read) = Provenance::parse(place, bytes) {
        let mut written = Vec::new();
        read.write(&mut written).expect("memory can be written to");
        assert_eq!(
            Provenance::parse(place, &written).expect("it was written here"),
            read
        );
    }
}

fn elf(bytes: &[u8]) {
    let read = ElfFacts::read(bytes);
    let edit = Edit {
        rpath: Rpath::Set("$ORIGIN/../a/path/that/will/hardly/be/there".to_owned()),
        ..Edit::default()
    };
    if let Ok(patched) = patch(bytes, &edit)
        && patched.len < 1 << 24
    {
        if let Err(error) = read {
            panic!("what cannot be read was patched: {error}");
        }
        ElfFacts::read(&patched.apply(bytes)).expect("what was patched can be read");
    }
}

fn migration(bytes: &[u8]) {
    text(bytes, |text| {
        let on = Migration {
            app: "core".into(),
            name: "0001_initial".into(),
        };
        if let Ok(Added::Text(new)) = add_dependency(text, &on) {
            let found = relations(&new).expect("what was written is a migration");
            assert!(found.dependencies.contains(&on));
            assert!(matches!(add_dependency(&new, &on), Ok(Added::There(_))));
        }
    });
}

/// A patch, and after a NUL the file.
fn unified(bytes: &[u8]) {
    let at = bytes
        .iter()
        .rposition(|byte| *byte == 0)
        .unwrap_or(bytes.len());
    let (patch, file) = bytes.split_at(at);
    let file = file.get(1..).unwrap_or_default();
    for strip in [0, 1] {
        if let Ok(patches) = parse(patch, strip) {
            for fuzz in [0, 2] {
                let _ = apply(&patches, fuzz, |_| Ok(Some(file.to_vec())));
                let _ = apply(&patches, fuzz, |_| Ok(None));
            }
        }
    }
}

fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn fixtures(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lockfile-fixtures");
    let read = |name: &&str| fs::read(folder.join(name)).expect("the fixture is there");
    names.iter().map(read).collect()
}

fn elf_seeds() -> Vec<Vec<u8>> {
    crate::transform::elf::sample::machines()
        .iter()
        .map(crate::transform::elf::sample::Sample::build)
        .collect()
}

fn tarball() -> Vec<u8> {
    let mut tar = ::tar::Builder::new(Vec::new());
    let long = format!("package/{}/x.js", "long".repeat(30));
    for (path, bytes) in [
        ("package/package.json", r#"{"name": "x", "files": ["lib"]}"#),
        ("package/lib/a.js", "a"),
        (&long, "b"),
    ] {
        let mut header = ::tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, path, bytes.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// Two members each: plain, commented, with zip64 sizes, with zip64 records at the end, with another archive among
/// them.
fn zip_files() -> Vec<Vec<u8>> {
    let text = b"print('aaaaaaaaaaaaaaaaaaaaaaaaa')\n";
    let plain = zip_file(false, b"", text);
    let mut records = plain.clone();
    let end = records.split_off(plain.len() - 22);
    let at = records.len() as u64;
    let four = |from: usize| u64::from(u32::from_le_bytes(end[from..from + 4].try_into().unwrap()));
    records.extend(b"PK\x06\x06\x2c\0\0\0\0\0\0\0\x2d\x03\x2d\0\0\0\0\0\0\0\0\0");
    for number in [2, 2, four(12), four(16)] {
        records.extend(number.to_le_bytes());
    }
    records.extend(b"PK\x06\x07\0\0\0\0");
    records.extend(at.to_le_bytes());
    records.extend(1_u32.to_le_bytes());
    records.extend(end);
    vec![
        zip_file(false, b"a comment", text),
        zip_file(true, b"", text),
        zip_file(false, b"", &plain),
        plain,
        records,
    ]
}

fn zip_file(large: bool, comment: &[u8], bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut zip = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default()
        .last_modified_time(::zip::DateTime::default())
        .large_file(large);
    for (path, method) in [
        ("a/__init__.py", CompressionMethod::Stored),
        ("a/b.py", CompressionMethod::Deflated),
    ] {
        zip.start_file(path, options.compression_method(method))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.set_raw_comment(comment.into()).unwrap();
    zip.finish().unwrap().into_inner()
}

/// `def f(a, *, b=(1, "x")): return [a, {b: 2.5}, -10**30, b"z", frozenset({1, 2})]`, as CPython 3.14 writes it.
const PYC: &[u8] = b"\xe3\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\xf3\x14\x00\x00\x00\x80\x00\x52\x00\x52\x03\x2f\x01\x52\x01\x17\x00\x6c\x02\x74\x00\x52\x02\x23\x00\x29\x04\xda\x01\x62\x63\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00\xf3\x28\x00\x00\x00\x80\x00\x57\x01\x52\x00\x2f\x01\x52\x02\x52\x01\x5c\x01\x00\x00\x00\x00\x00\x00\x00\x00\x5e\x01\x5e\x02\x30\x02\x34\x01\x00\x00\x00\x00\x00\x00\x2e\x05\x23\x00\x29\x03\x67\x00\x00\x00\x00\x00\x00\x04\x40\xf3\x01\x00\x00\x00\x7a\x6c\xf9\xff\xff\xff\x00\x00\x00\x00\xa9\x37\xa7\x33\x04\x4d\x93\x65\x27\x03\x29\x01\xda\x09\x66\x72\x6f\x7a\x65\x6e\x73\x65\x74\x29\x02\xda\x01\x61\x72\x02\x00\x00\x00\x73\x02\x00\x00\x00\x26\x24\xda\x01\x6d\xda\x01\x66\x72\x08\x00\x00\x00\x01\x00\x00\x00\x73\x1e\x00\x00\x00\x80\x00\xd8\x0a\x0b\x90\x13\x88\x58\x90\x77\xa0\x04\xa4\x69\xb0\x11\xb0\x31\xb0\x05\xd3\x26\x36\xd0\x09\x37\xd0\x02\x37\xf3\x00\x00\x00\x00\x4e\x29\x02\xe9\x01\x00\x00\x00\xda\x01\x78\x29\x01\x72\x08\x00\x00\x00\xa9\x00\x72\x09\x00\x00\x00\x72\x07\x00\x00\x00\xda\x08\x3c\x6d\x6f\x64\x75\x6c\x65\x3e\x72\x0d\x00\x00\x00\x01\x00\x00\x00\x73\x11\x00\x00\x00\xf0\x03\x01\x01\x01\xf0\x02\x01\x01\x38\x88\x67\xf6\x00\x01\x01\x38\x72\x09\x00\x00\x00";

#[cfg(test)]
mod tests {
    use proptest::prelude::Rng as _;
    use proptest::test_runner::{RngAlgorithm, TestRng};

    use super::*;

    /// As a fuzzer changes a seed, without knowing what that reaches.
    fn changed(seed: &[u8], rng: &mut TestRng) -> Vec<u8> {
        let mut bytes = seed.to_vec();
        for _ in 0..=rng.next_u32() % 4 {
            let length = bytes.len().max(1);
            let mut at = || rng.next_u64() as usize % length;
            let (one, other) = (at(), at());
            let (from, to) = (one.min(other), one.max(other).min(bytes.len()));
            match rng.next_u32() % 7 {
                0 => bytes.truncate(from),
                1 => drop(bytes.drain(from..to.min(from + 40))),
                2 => {
                    let part = bytes
                        .get(from..to.min(from + 40))
                        .unwrap_or_default()
                        .to_vec();
                    let at = rng.next_u64() as usize % length.min(bytes.len() + 1);
                    drop(bytes.splice(at..at, part));
                }
                3 => {
                    let part = *b"\"[{('\\\n\0[[[[[[[[";
                    drop(bytes.splice(from..from.min(bytes.len()), part));
                }
                4 => {
                    let number = [0, 1, u64::MAX, 1 << 31, 1 << 63, 0x7fff][one % 6].to_le_bytes();
                    let end = bytes.len().min(from + [1, 2, 4, 8][other % 4]);
                    for (byte, new) in bytes.iter_mut().take(end).skip(from).zip(number) {
                        *byte = new;
                    }
                }
                5 => {
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte = rng.next_u32() as u8;
                    }
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(from) {
                        *byte ^= 1 << (rng.next_u32() % 8);
                    }
                }
            }
        }
        bytes
    }

    #[test]
    fn no_bytes_make_a_parser_stumble() {
        for parser in PARSERS {
            let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            let seeds = (parser.seeds)().into_iter().map(|seed| (seed, 500));
            let kept = parser.kept().into_iter().map(|kept| (kept, 20));
            for (seed, times) in seeds.chain(kept) {
                (parser.feed)(&seed);
                for time in 0..times {
                    let mut bytes = changed(&seed, &mut rng);
                    if time % 2 == 0 {
                        (parser.mend)(&mut bytes);
                    }
                    if std::panic::catch_unwind(|| (parser.feed)(&bytes)).is_err() {
                        let find = std::env::temp_dir().join(format!("find-{}", parser.name));
                        fs::write(&find, &bytes).unwrap();
                        panic!(
                            "the parser of {} stumbles over {}",
                            parser.name,
                            find.display()
                        );
                    }
                }
            }
        }
    }

    /// A seed that is refused leads nowhere.
    #[test]
    fn every_seed_is_taken() {
        let all = |name| (named(name).seeds)().into_iter();
        let as_text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        for bytes in all("zip") {
            assert_eq!(Zip::new(&bytes, "x", &limits()).unwrap().members().len(), 2);
        }
        for bytes in all("tar") {
            assert!(Tar::new(&bytes, "x", &limits()).all(|member| member.is_ok()));
        }
        for text in all("uv-lock").map(as_text) {
            UvLock::parse(&text, Utf8Path::new("uv.lock")).unwrap();
        }
        for text in all("npm-lock").map(as_text) {
            NpmLock::parse(Utf8Path::new("package-lock.json"), &text).unwrap();
        }
        for text in all("lockwright-toml").map(as_text) {
            Manifest::parse(&text, Utf8Path::new("lockwright.toml")).unwrap();
        }
        for text in all("pyproject").map(as_text) {
            Pyproject::parse(&text, Utf8Path::new("pyproject.toml")).unwrap();
        }
        for bytes in all("elf") {
            ElfFacts::read(&bytes).unwrap();
        }
        for bytes in all("marshal") {
            assert!(marshal::canonical(&bytes, (3, 14)).is_some());
        }
        for bytes in all("provenance") {
            Provenance::parse(Utf8Path::new("p"), &bytes).unwrap();
        }
        for text in all("wheel-name").map(as_text) {
            text.parse::<WheelName>().unwrap();
        }
        for text in all("entry-points").map(as_text) {
            assert_eq!(metadata::scripts(&text).unwrap().len(), 2);
        }
        for text in all("record").map(as_text) {
            assert_eq!(record::parse(&text).unwrap().len(), 3);
        }
    }
}
