//! Bytes that each parser takes, to begin with; and sums put right again where a mutation made them wrong, so that it
//! gets further than to their check.

use std::fs;
use std::io::Cursor;
use std::path::Path;

use crate::files::archive::zip_write::CompressionMethod;

pub(super) fn texts(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

pub(super) fn fixtures(names: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lockfile-fixtures");
    let read = |name: &&str| fs::read(folder.join(name)).expect("the fixture is there");
    names.iter().map(read).collect()
}

pub(super) fn elf_seeds() -> Vec<Vec<u8>> {
    crate::transform::elf::sample::machines()
        .iter()
        .map(crate::transform::elf::sample::Sample::build)
        .collect()
}

pub(super) fn tarball() -> Vec<u8> {
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
pub(super) fn zip_files() -> Vec<Vec<u8>> {
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

pub(super) fn zip_file(large: bool, comment: &[u8], bytes: &[u8]) -> Vec<u8> {
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
pub(super) const PYC: &[u8] = b"\xe3\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\xf3\x14\x00\x00\x00\x80\x00\x52\x00\x52\x03\x2f\x01\x52\x01\x17\x00\x6c\x02\x74\x00\x52\x02\x23\x00\x29\x04\xda\x01\x62\x63\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x08\x00\x00\x00\x03\x00\x00\x00\xf3\x28\x00\x00\x00\x80\x00\x57\x01\x52\x00\x2f\x01\x52\x02\x52\x01\x5c\x01\x00\x00\x00\x00\x00\x00\x00\x00\x5e\x01\x5e\x02\x30\x02\x34\x01\x00\x00\x00\x00\x00\x00\x2e\x05\x23\x00\x29\x03\x67\x00\x00\x00\x00\x00\x00\x04\x40\xf3\x01\x00\x00\x00\x7a\x6c\xf9\xff\xff\xff\x00\x00\x00\x00\xa9\x37\xa7\x33\x04\x4d\x93\x65\x27\x03\x29\x01\xda\x09\x66\x72\x6f\x7a\x65\x6e\x73\x65\x74\x29\x02\xda\x01\x61\x72\x02\x00\x00\x00\x73\x02\x00\x00\x00\x26\x24\xda\x01\x6d\xda\x01\x66\x72\x08\x00\x00\x00\x01\x00\x00\x00\x73\x1e\x00\x00\x00\x80\x00\xd8\x0a\x0b\x90\x13\x88\x58\x90\x77\xa0\x04\xa4\x69\xb0\x11\xb0\x31\xb0\x05\xd3\x26\x36\xd0\x09\x37\xd0\x02\x37\xf3\x00\x00\x00\x00\x4e\x29\x02\xe9\x01\x00\x00\x00\xda\x01\x78\x29\x01\x72\x08\x00\x00\x00\xa9\x00\x72\x09\x00\x00\x00\x72\x07\x00\x00\x00\xda\x08\x3c\x6d\x6f\x64\x75\x6c\x65\x3e\x72\x0d\x00\x00\x00\x01\x00\x00\x00\x73\x11\x00\x00\x00\xf0\x03\x01\x01\x01\xf0\x02\x01\x01\x38\x88\x67\xf6\x00\x01\x01\x38\x72\x09\x00\x00\x00";

/// Each block of a tar archive that calls itself a header has the sum of its bytes.
pub(super) fn tar_sums(bytes: &mut [u8]) {
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
pub(super) fn zip_sums(bytes: &mut [u8]) {
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
