//! Zip archives as they are read here, checked against Python's `zipfile`: whatever is taken here has
//! the same members there, byte for byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::io::{Cursor, Write as _};

use common::{Run as _, Temp, lockwright, python, run};
use lockwright::core::digest::{Algorithm, Digest};
use lockwright::files::archive::Limits;
use lockwright::files::archive::zip::Zip;
use lockwright::files::archive::zip_write;
use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};
use zip::CompressionMethod::{self, Deflated, Stored};
use zip::write::SimpleFileOptions;

const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

/// What a reader sees: names and digests, in the directory's order.
type Seen = Vec<(String, String)>;

/// What is seen here; `Err` with the refusal.
fn ours(bytes: &[u8]) -> Result<Seen, String> {
    let zip = Zip::new(bytes, "a.zip", &Limits::default()).map_err(|error| error.to_string())?;
    let members = zip.members().iter().map(|member| {
        let read = zip.read(member).map_err(|error| error.to_string())?;
        let slash = if member.is_folder { "/" } else { "" };
        let digest = Digest::of(Algorithm::Sha256, &read).hex();
        Ok((format!("{}{slash}", member.path), digest))
    });
    members.collect()
}

/// What Python sees of each archive; `None` where it refuses one.
fn pythons(archives: &[Vec<u8>]) -> Vec<Option<Seen>> {
    const SCRIPT: &str = r#"
import hashlib, io, json, sys, zipfile
with open(sys.argv[1], "rb") as all:
    while length := all.read(8):
        data = all.read(int.from_bytes(length, "little"))
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
            seen = [(i.filename, hashlib.sha256(archive.read(i)).hexdigest()) for i in archive.infolist()]
        except Exception:
            seen = None
        print(json.dumps(seen))
"#;
    let temp = Temp::new();
    let framed: Vec<u8> = (archives.iter())
        .flat_map(|bytes| [&(bytes.len() as u64).to_le_bytes(), bytes.as_slice()].concat())
        .collect();
    let all = temp.write("all", framed);
    let said = run(python(), ["-c", SCRIPT, all.as_str()]);
    let seen: Vec<_> = (said.lines())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(seen.len(), archives.len());
    seen
}

/// An archive of members, packed by one method.
fn archive(method: CompressionMethod, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Where a signature stands for the last time.
fn last(bytes: &[u8], signature: &[u8]) -> usize {
    memchr::memmem::rfind(bytes, signature).unwrap()
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn get(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Adds bytes somewhere, and leaves the end's numbers as they are.
fn insert(bytes: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    [&bytes[..at], new, &bytes[at..]].concat()
}

/// The same archive with a comment.
fn commented(mut bytes: Vec<u8>, comment: &[u8]) -> Vec<u8> {
    let length = bytes.len();
    put(
        &mut bytes,
        length - 2,
        &(comment.len() as u16).to_le_bytes(),
    );
    [bytes, comment.to_vec()].concat()
}

/// The zip64 records of a directory.
fn zip64(at: usize, members: u64, size: u64, start: u64) -> Vec<u8> {
    let mut record = b"PK\x06\x06".to_vec();
    record.extend(44u64.to_le_bytes());
    record.extend([45, 3, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for number in [members, members, size, start] {
        record.extend(number.to_le_bytes());
    }
    record.extend(b"PK\x06\x07\0\0\0\0");
    record.extend((at as u64).to_le_bytes());
    record.extend(1u32.to_le_bytes());
    record
}

/// The same archive, without a comment, with zip64 records.
fn large(bytes: &[u8]) -> Vec<u8> {
    let end = bytes.len() - 22;
    let members = u16::from_le_bytes(bytes[end + 10..end + 12].try_into().unwrap());
    let (size, start) = (get(bytes, end + 12), get(bytes, end + 16));
    let records = zip64(end, members.into(), size.into(), start.into());
    insert(bytes, end, &records)
}

#[test]
fn archives_within_an_archive_are_members_at_every_distance_from_its_end() {
    let jar = archive(
        Deflated,
        &[("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n")],
    );
    let inner = [
        jar.clone(),
        commented(jar.clone(), b"a comment"),
        large(&jar),
        archive(Stored, &[("lib/inner.jar", &jar)]),
    ];
    // The outer directory and its end are some hundred bytes; a comment is at most 65,535.
    let edges = [
        0_usize, 20, 22, 42, 76, 98, 65_300, 65_535, 65_557, 65_600, 70_000,
    ];
    let distances = edges
        .iter()
        .flat_map(|edge| edge.saturating_sub(3)..=edge + 3);
    let pad = vec![b'.'; 70_003];
    let mut archives = Vec::new();
    for (turn, distance) in distances.enumerate() {
        let inner = &inner[turn % inner.len()];
        let method = if turn % 3 == 0 { Deflated } else { Stored };
        let outer = archive(method, &[("p/a.jar", inner), ("p/b.txt", &pad[..distance])]);
        // Directly before the directory, as well.
        let at_end = archive(method, &[("p/b.txt", &pad[..distance]), ("p/a.jar", inner)]);
        for bytes in [outer, at_end] {
            let mut large = large(&bytes);
            if turn % 2 == 0 {
                // Most writers say only there what is in both.
                let end = large.len() - 22;
                put(&mut large, end + 8, &[0xff; 12]);
            }
            archives.push(commented(bytes.clone(), &pad[..distance.min(65_535)]));
            archives.push(commented(large.clone(), &pad[..turn]));
            archives.extend([bytes, large]);
        }
    }
    let theirs = pythons(&archives);
    for (bytes, theirs) in archives.iter().zip(theirs) {
        let seen = ours(bytes).unwrap();
        assert_eq!(Some(&seen), theirs.as_ref());
        // As the store keeps it, where every inner archive is stored.
        let zip = Zip::new(bytes, "a.zip", &Limits::default()).unwrap();
        let mut loose = Cursor::new(Vec::new());
        zip_write::write(&zip, zip.members(), Stored, &mut loose).unwrap();
        assert_eq!(ours(&loose.into_inner()).unwrap(), seen);
    }
}

#[test]
fn what_python_writes_is_read() {
    const SCRIPT: &str = r#"
import io, sys, zipfile

class Stream(io.RawIOBase):
    def __init__(self): self.all = b""
    def writable(self): return True
    def write(self, data): self.all += bytes(data); return len(data)

def keep(data): sys.stdout.buffer.write(len(data).to_bytes(8, "little") + data)

for method in zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED:
    stream = Stream()
    with zipfile.ZipFile(stream, "w", method) as z:
        z.writestr("a", "streamed " * 9)
        z.writestr("d/", "")
        z.writestr("empty", "")
    keep(stream.all)
    stream = Stream()
    with zipfile.ZipFile(stream, "w", method) as z:
        with z.open("a", "w", force_zip64=True) as f: f.write(b"streamed and large " * 9)
    keep(stream.all)
    seekable = io.BytesIO()
    with zipfile.ZipFile(seekable, "w", method) as z:
        with z.open("a", "w", force_zip64=True) as f: f.write(b"large " * 9)
        z.writestr("gr\u00fc\u00dfe/\u4f60\u597d.txt", "named")
        z.comment = b"commented"
    keep(seekable.getvalue())
# As if there were more of them than 16 bits can count.
zipfile.ZIP_FILECOUNT_LIMIT = 2
many = io.BytesIO()
with zipfile.ZipFile(many, "w") as z:
    for i in range(9): z.writestr(f"m/{i}", "")
keep(many.getvalue())
"#;
    let output = std::process::Command::new(python())
        .args(["-c", SCRIPT])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut rest = output.stdout.as_slice();
    let mut archives = Vec::new();
    while let Some((length, more)) = rest.split_first_chunk() {
        let (bytes, more) = more.split_at(u64::from_le_bytes(*length) as usize);
        archives.push(bytes.to_vec());
        rest = more;
    }
    assert_eq!(archives.len(), 7);
    for (bytes, theirs) in archives.iter().zip(pythons(&archives)) {
        assert_eq!(Some(ours(bytes).unwrap()), theirs);
    }
}

/// Archives that some reader takes for another one than the next reader does, by what is said of them.
fn deceptions() -> Vec<(&'static str, Vec<u8>)> {
    let honest = archive(Stored, &[("a", b"hello"), ("b", b"world")]);
    let end = last(&honest, END);
    let other = archive(Stored, &[("evil", b"evil!")]);
    let other_end = last(&other, END);
    let mut all = Vec::new();

    // Two directories: the end's own, and the one that a zip64 locator leads to elsewhere.
    let start = get(&honest, end + 16) as usize;
    let directory = &other[get(&other, other_end + 16) as usize..other_end];
    let mut second = directory.to_vec();
    let moved = [&honest[..start], &other[..other_end - directory.len()]].concat();
    put(&mut second, 42, &(start as u32).to_le_bytes());
    let mut both = [&moved[..], &second].concat();
    let record = both.len();
    let records = zip64(record, 1, second.len() as u64, moved.len() as u64);
    both.extend(&records[..56]);
    let first = both.len();
    both.extend(&honest[start..end]);
    both.extend(&records[56..]);
    let own_end = both.len();
    both.extend(&honest[end..]);
    put(&mut both, own_end + 16, &(first as u32).to_le_bytes());
    all.push(("the records at its end contradict each other", both));

    let full = large(&honest);
    let (locator, short) = (full.len() - 42, full.len() - 22);
    for (at, new) in [
        (locator - 56, b"PX".as_slice()), // no record
        (locator - 52, &[45]),            // a longer record
        (locator + 8, &[1]),              // another place
        (locator + 4, &[1]),              // another part
        (locator + 16, &[2]),             // several parts
        (locator - 56 + 24, &[9]),        // another count, here
        (short + 10, &[9]),               // another count
        (short + 12, &[9]),               // another size
        (short + 16, &[9]),               // another start
    ] {
        let mut bytes = full.clone();
        put(&mut bytes, at, new);
        all.push(("the records at its end contradict each other", bytes));
    }
    all.push(("bytes come before", insert(&honest, end, b"between")));
    all.push((
        "contradict each other",
        insert(&full, locator - 56, b"between"),
    ));
    all.push(("bytes come before", insert(&honest, 0, b"#!/bin/sh\n")));
    all.push(("contradict each other", insert(&full, locator, b"between")));
    all.push(("bytes come before", insert(&full, short, b"between")));
    all.push(("bytes come before", [&honest[..], &honest].concat()));
    all.push(("something follows", [&honest[..], b"more"].concat()));
    all.push(("two end records", commented(honest.clone(), &other)));
    all.push(("two end records", commented(honest.clone(), END)));
    // An end within, whose comment is all that follows.
    let outer = archive(Stored, &[("a.zip", &other)]);
    let mut bytes = outer.clone();
    let inner = memchr::memmem::find(&bytes, END).unwrap();
    let length = bytes.len() - inner - 22;
    put(&mut bytes, inner + 20, &(length as u16).to_le_bytes());
    all.push(("two end records", bytes));

    for (count, said) in [
        (1u8, "it has 2 members, but says that it has 1"),
        (3, "says that it has 3"),
    ] {
        let mut bytes = honest.clone();
        put(&mut bytes, end + 8, &[count]);
        put(&mut bytes, end + 10, &[count]);
        all.push((said, bytes));
    }
    let mut bytes = honest.clone();
    put(&mut bytes, end + 4, &[1]);
    all.push(("in several parts", bytes));

    // One member's own bytes, then another one.
    let one = archive(Deflated, &[("a", b"hello hello hello")]);
    let one_end = last(&one, END);
    let start = get(&one, one_end + 16) as usize;
    let hidden = &other[..other_end - directory.len()];
    let mut bytes = insert(&one, start, hidden);
    let packed = get(&one, 18) + hidden.len() as u32;
    let entry = last(&bytes, ENTRY);
    put(&mut bytes, 18, &packed.to_le_bytes());
    put(&mut bytes, entry + 20, &packed.to_le_bytes());
    let moved = (start + hidden.len()) as u32;
    let end = last(&bytes, END);
    put(&mut bytes, end + 16, &moved.to_le_bytes());
    all.push(("member a does not unpack to what its header says", bytes));
    // The same, with the member's length as it is.
    let mut bytes = insert(&one, start, hidden);
    let end = last(&bytes, END);
    put(&mut bytes, end + 16, &moved.to_le_bytes());
    all.push(("belong to no member", bytes));

    let mut bytes = archive(Stored, &[("first", b"1"), ("other", b"2")]);
    for _ in 0..2 {
        let at = last(&bytes, b"other");
        put(&mut bytes, at, b"first");
    }
    all.push(("have the same name", bytes));

    // Streamed, without what should follow.
    let mut bytes = honest.clone();
    put(&mut bytes, 6, &[8]);
    all.push(("the checksum and sizes", bytes));
    // A name in Latin letters of another code page.
    let mut bytes = archive(Stored, &[("grün", b"x")]);
    let entry = last(&bytes, ENTRY);
    put(&mut bytes, entry + 8, &[0, 0]);
    all.push(("not marked as UTF-8", bytes));
    let mut bytes = archive(Stored, &[("dir_", b"x")]);
    for _ in 0..2 {
        let at = last(&bytes, b"dir_");
        put(&mut bytes, at, b"dir/");
    }
    all.push(("is a folder but has contents", bytes));
    all.push(("is broken at byte", renamed("evil")));
    all
}

/// A member with another name in an extra field, which newer readers take instead.
fn renamed(name: &str) -> Vec<u8> {
    let mut field = vec![0x75, 0x70, (name.len() + 5) as u8, 0, 1];
    let crc = lockwright::core::digest::crc32(b"a");
    field.extend(crc.to_le_bytes());
    field.extend(name.as_bytes());
    let mut bytes = archive(Stored, &[("a", b"hello")]);
    let entry = last(&bytes, ENTRY);
    put(&mut bytes, entry + 30, &(field.len() as u16).to_le_bytes());
    let mut bytes = insert(&bytes, entry + 47, &field);
    let end = last(&bytes, END);
    let size = get(&bytes, end + 12) + field.len() as u32;
    put(&mut bytes, end + 12, &size.to_le_bytes());
    bytes
}

#[test]
fn two_archives_in_one_are_refused() {
    for (why, bytes) in deceptions() {
        let said = ours(&bytes).unwrap_err();
        assert!(said.contains(why), "{why}: {said}");
        assert!(said.starts_with("a.zip is refused: "), "{said}");
    }
    assert_eq!(ours(&renamed("a")).unwrap().len(), 1);
}

#[test]
fn what_is_left_of_a_changed_archive_is_what_python_sees() {
    let jar = archive(Deflated, &[("x", b"inner inner inner")]);
    let mut honest = vec![
        archive(Deflated, &[("a/b.py", b"print() print()"), ("c.jar", &jar)]),
        archive(Stored, &[("a/b.py", b"print() print()"), ("c.jar", &jar)]),
    ];
    honest.push(large(&honest[0]));
    honest.push(commented(honest[1].clone(), b"a comment of some length"));
    let deceptions: Vec<_> = deceptions().into_iter().map(|(_, bytes)| bytes).collect();
    let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut taken = Vec::new();
    for turn in 0..40_000 {
        let seeds = if turn % 2 == 0 { &honest } else { &deceptions };
        let mut bytes = seeds[turn / 2 % seeds.len()].clone();
        for _ in 0..=rng.next_u32() % 2 {
            let at = rng.next_u64() as usize % bytes.len();
            match rng.next_u32() % 4 {
                0 => bytes[at] ^= 1 << (rng.next_u32() % 8),
                1 => bytes[at] = [0, 1, 2, 8, 0xff][rng.next_u32() as usize % 5],
                2 => drop(bytes.remove(at)),
                _ => {
                    let from = rng.next_u64() as usize % bytes.len();
                    let part = bytes[from..bytes.len().min(from + 30)].to_vec();
                    bytes = insert(&bytes, at, &part);
                }
            }
        }
        if let Ok(seen) = ours(&bytes) {
            taken.push((bytes, seen));
        }
    }
    let archives: Vec<_> = taken.iter().map(|(bytes, _)| bytes.clone()).collect();
    let mut both = 0;
    for ((bytes, seen), theirs) in taken.iter().zip(pythons(&archives)) {
        // It refuses more where nothing can be misread: versions that it does not know, say.
        if let Some(theirs) = theirs {
            assert_eq!(*seen, theirs, "{}", bytes.escape_ascii());
            both += 1;
        }
    }
    assert!(both > 1000, "{both} of {} were taken by both", taken.len());
}

/// Puts archives of several kinds into the fixture's wheel `greeting`, and its new digest into the lock.
const WITH_ARCHIVES: &str = r#"
import base64, hashlib, io, os, re, zipfile

def archive(comment=b"", **members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in members.items():
            with z.open(name, "w", force_zip64=True) as f: f.write(data)
        z.comment = comment
    return out.getvalue()

jar = archive(Main=b"class " * 99)
added = {
    "greeting/vendor/tool.jar": jar,
    "greeting/vendor/inner-1.0-py3-none-any.whl": archive(jar=jar, comment=b"a wheel"),
    "greeting/vendor/last.zip": archive(text=os.urandom(70000)),
}
path = "wheels/greeting-1.2.0-py3-none-any.whl"
with zipfile.ZipFile(path) as z:
    members = {i.filename: z.read(i) for i in z.infolist()}
record = "greeting-1.2.0.dist-info/RECORD"
lines = members.pop(record).decode()
for name, data in added.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    lines = f"{name},sha256={digest},{len(data)}\n" + lines
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
    for name, data in {**members, record: lines, **added}.items(): out.writestr(name, data)
digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
lock = open("uv.lock").read()
open("uv.lock", "w").write(re.sub(r'(greeting-1.2.0-py3-none-any.whl", hash = "sha256:)[0-9a-f]+', r"\g<1>" + digest, lock))
"#;

#[test]
fn a_wheel_with_archives_in_it_is_installed_once_and_again() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let made = std::process::Command::new(python())
        .args(["-c", WITH_ARCHIVES])
        .current_dir(&project)
        .run();
    made.ok();
    // The first time as it came, the second one into its loose form, the third one from that.
    for out in ["first", "second", "third"] {
        let out = temp.join(out);
        let python = python();
        lockwright(&temp)
            .args(["sync", "--offline", project.as_str(), "--out", out.as_str()])
            .args(["--python", python.as_str()])
            .run()
            .ok();
        lockwright(&temp).args(["verify", out.as_str()]).run().ok();
        let found = run("find", [out.as_str(), "-path", "*greeting/vendor/*"]);
        assert_eq!(found.lines().count(), 3, "{found}");
    }
}
