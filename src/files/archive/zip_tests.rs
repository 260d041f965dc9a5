#![allow(clippy::unwrap_used)]

use std::io::{Cursor, Write};

use ::zip::write::{SimpleFileOptions, ZipWriter};

use super::*;

/// An archive of members that each have a name, a mode and bytes.
fn archive(members: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, bytes) in members {
        let options = SimpleFileOptions::default().unix_permissions(*mode);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn refusal(bytes: &[u8]) -> String {
    match Zip::new(bytes, "a-1.whl", &Limits::default()) {
        Err(error) => error.to_string(),
        Ok(zip) => {
            let read: Result<Vec<_>, _> = zip.members().iter().map(|m| zip.read(m)).collect();
            read.unwrap_err().to_string()
        }
    }
}

fn assert_refused(bytes: &[u8], why: &str) {
    let said = refusal(bytes);
    assert!(said.contains(why), "{said}");
    assert!(said.starts_with("a-1.whl is refused"), "{said}");
}

/// Overwrites bytes at the `nth` occurrence of `find`, `skip` bytes on.
fn tamper(bytes: &mut [u8], find: &[u8], nth: usize, skip: usize, with: &[u8]) {
    let at = memchr::memmem::find_iter(bytes, find).nth(nth).unwrap() + skip;
    bytes[at..at + with.len()].copy_from_slice(with);
}

const LOCAL: &[u8] = b"PK\x03\x04";
const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

#[test]
fn honest_members_come_out() {
    let large = vec![7u8; (WHOLE + 100) as usize];
    let bytes = archive(&[
        ("d/a.py", 0o644, b"hello"),
        ("run", 0o755, b""),
        ("big", 0o644, &large),
    ]);
    let zip = Zip::new(&bytes, "a", &Limits::default()).unwrap();
    assert_eq!(zip.members().len(), 3);
    assert_eq!(zip.read(zip.find("d/a.py").unwrap()).unwrap(), b"hello");
    assert!(zip.find("run").unwrap().executable);
    assert_eq!(zip.read(zip.find("big").unwrap()).unwrap(), large);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for name in [
        "../x",
        "/etc/x",
        "a/../../x",
        "a\\b",
        "C:/x",
        "a//b",
        "./a",
        "a\u{1}b",
    ] {
        // Its writer normalises some names: write a harmless one and tamper with both copies.
        let stand_in: String = name.bytes().map(|_| 'q').collect();
        let mut bytes = archive(&[(&stand_in, 0o644, b"x")]);
        for nth in [0, 0] {
            tamper(&mut bytes, stand_in.as_bytes(), nth, 0, name.as_bytes());
        }
        assert_refused(&bytes, "is not a path inside a tree");
    }
}

#[test]
fn a_name_occurs_once_however_it_is_spelt() {
    for (one, other) in [
        ("a/B", "a/b"),
        ("stra\u{df}e", "STRA\u{df}E"),
        ("e\u{301}", "\u{e9}"),
    ] {
        let bytes = archive(&[(one, 0o644, b"1"), (other, 0o644, b"2")]);
        assert_refused(&bytes, "have the same name");
    }
    let mut bytes = archive(&[("a/x", 0o644, b"1"), ("a/y", 0o644, b"2")]);
    tamper(&mut bytes, b"a/y", 0, 0, b"a/x");
    tamper(&mut bytes, b"a/y", 0, 0, b"a/x");
    assert_refused(&bytes, "have the same name");
}

#[test]
fn links_and_devices_are_refused() {
    for (kind, why) in [
        (0o120_777, "symbolic link"),
        (0o020_666, "neither a file nor a folder"),
    ] {
        let mut bytes = archive(&[("l", 0o644, b"/etc/passwd")]);
        let attributes: u32 = kind << 16;
        tamper(&mut bytes, DIRECTORY, 0, 38, &attributes.to_le_bytes());
        assert_refused(&bytes, why);
    }
}

#[test]
fn the_two_halves_must_agree() {
    let honest = archive(&[("a", 0o644, b"hello hello hello hello"), ("b", 0o644, b"x")]);
    let mut bytes = honest.clone();
    tamper(&mut bytes, LOCAL, 0, 30, b"z");
    assert_refused(&bytes, "the name of member a differs");
    let mut bytes = honest.clone();
    tamper(&mut bytes, LOCAL, 0, 22, &9u32.to_le_bytes());
    assert_refused(&bytes, "the size of member a differs");
    let mut bytes = honest.clone();
    tamper(&mut bytes, LOCAL, 0, 14, &9u32.to_le_bytes());
    assert_refused(&bytes, "the checksum of member a differs");
    let mut bytes = honest.clone();
    tamper(&mut bytes, LOCAL, 0, 8, &0u16.to_le_bytes());
    assert_refused(&bytes, "the method of member a differs");
    let mut bytes = honest.clone();
    tamper(&mut bytes, LOCAL, 0, 6, &1u16.to_le_bytes());
    assert_refused(&bytes, "encrypted");
}

#[test]
fn a_wrong_checksum_and_cut_data_are_found() {
    let mut bytes = archive(&[("a", 0o644, b"hello")]);
    tamper(&mut bytes, LOCAL, 0, 14, &9u32.to_le_bytes());
    tamper(&mut bytes, DIRECTORY, 0, 16, &9u32.to_le_bytes());
    assert_refused(&bytes, "does not unpack to what its header says");
    let honest = archive(&[("a", 0o644, b"hello")]);
    for length in 0..honest.len() {
        assert!(
            Zip::new(&honest[..length], "a", &Limits::default()).is_err(),
            "cut at {length}"
        );
    }
}

#[test]
fn nothing_may_stand_around_or_between() {
    let honest = archive(&[("a", 0o644, b"hello")]);
    assert_refused(
        &[honest.clone(), b"more".to_vec()].concat(),
        "something follows its end",
    );
    assert_refused(&[honest.clone(), honest.clone()].concat(), "is refused");
    assert!(refusal(&[b"#!/bin/sh\n".to_vec(), honest.clone()].concat()).contains("refused"));
    // A member that the directory does not name: two members, and a directory of the first alone.
    let both = archive(&[("a", 0o644, b"hello"), ("b", 0o644, b"evil")]);
    let second = memchr::memmem::find_iter(&both, DIRECTORY).nth(1).unwrap();
    let end = memchr::memmem::find(&both, END).unwrap();
    let mut hidden = [&both[..second], &both[end..]].concat();
    let length = (second - memchr::memmem::find(&both, DIRECTORY).unwrap()) as u32;
    tamper(&mut hidden, END, 0, 8, &1u16.to_le_bytes());
    tamper(&mut hidden, END, 0, 10, &1u16.to_le_bytes());
    tamper(&mut hidden, END, 0, 12, &length.to_le_bytes());
    assert_refused(&hidden, "belong to no member");
}

#[test]
fn bombs_are_not_unpacked() {
    let zeros = vec![0u8; 80 << 20];
    assert_refused(
        &archive(&[("a", 0o644, &zeros)]),
        "more than --max-unpacked and --max-ratio allow",
    );
    let few = Limits {
        total: 8,
        ..Limits::default()
    };
    let bytes = archive(&[("a", 0o644, b"hello"), ("b", 0o644, b"hello")]);
    assert!(Zip::new(&bytes, "a", &few).is_err());
}

#[test]
fn members_that_are_small_each_are_no_bomb_together() {
    let zeros = vec![0u8; 1 << 20];
    let names: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    let members: Vec<_> = names.iter().map(|name| (&**name, 0o644, &*zeros)).collect();
    let bytes = archive(&members);
    let limits = Limits {
        ratio_from: 32 << 20,
        ..Limits::default()
    };
    let said = Zip::new(&bytes, "a", &limits)
        .err()
        .map(|error| error.to_string());
    let said = said.unwrap_or_default();
    assert!(said.contains("all members together"), "{said}");
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_fall(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let _ = Zip::new(&bytes, "a", &Limits::default());
    }

    #[test]
    fn no_flipped_byte_makes_the_reader_fall(at in 0usize..250, to in proptest::prelude::any::<u8>()) {
        let mut bytes = archive(&[("a/b", 0o644, b"hello hello hello"), ("c", 0o755, b"x")]);
        let at = at % bytes.len();
        bytes[at] = to;
        if let Ok(zip) = Zip::new(&bytes, "a", &Limits::default()) {
            for member in zip.members() {
                let _ = zip.read(member);
            }
        }
    }
}
