//! ELF files: one that is sound, with a number or two that lie.

use lockwright::transform::elf::ElfFacts;

use super::Row;

const INTERPRETER: usize = 0x200;
const DYNAMIC: usize = 0x240;
const STRINGS: usize = 0x2c0;

fn put(bytes: &mut [u8], at: usize, number: u64, width: usize) {
    bytes[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
}

/// Where the names of its sections are, and what tells of these.
const NAMES: usize = 0x300;
const SECTIONS: usize = 0x340;

/// A program for x86-64 with an interpreter, one library, and the sections that others look for.
fn program() -> Vec<u8> {
    let mut bytes = vec![0; SECTIONS + 5 * 64];
    bytes[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for (at, number, width) in [
        (16, 3, 2),
        (18, 62, 2),
        (20, 1, 4),
        (32, 64, 8),
        (52, 64, 2),
        (54, 56, 2),
        (56, 3, 2),
        (40, SECTIONS as u64, 8),
        (58, 64, 2),
        (60, 5, 2),
        (62, 4, 2),
    ] {
        put(&mut bytes, at, number, width);
    }
    let names = b"\0.interp\0.dynamic\0.dynstr\0.shstrtab\0";
    bytes[NAMES..NAMES + names.len()].copy_from_slice(names);
    // Name, kind, flags, address, offset, size, link, alignment, size of an entry.
    for (index, section) in [
        [1, 1, 2, INTERPRETER, INTERPRETER, 0x1c, 0, 1, 0],
        [9, 6, 3, DYNAMIC, DYNAMIC, 0x60, 3, 8, 16],
        [18, 3, 2, STRINGS, STRINGS, 0x20, 0, 1, 0],
        [26, 3, 0, 0, NAMES, names.len(), 0, 1, 0],
    ]
    .into_iter()
    .enumerate()
    {
        let at = SECTIONS + (index + 1) * 64;
        let places = [
            (0, 4),
            (4, 4),
            (8, 8),
            (16, 8),
            (24, 8),
            (32, 8),
            (40, 4),
            (48, 8),
            (56, 8),
        ];
        for ((place, width), number) in places.into_iter().zip(section) {
            put(&mut bytes, at + place, number as u64, width);
        }
    }
    // Kind, rights, offset, address, address, size in the file and in memory, alignment.
    for (index, (kind, offset, size)) in [
        (1, 0, 0x300),
        (3, INTERPRETER as u64, 0x1c),
        (2, DYNAMIC as u64, 0x60),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 64 + index * 56;
        put(&mut bytes, at, kind, 4);
        put(&mut bytes, at + 4, 6, 4);
        for (place, number) in [
            (8, offset),
            (16, offset),
            (24, offset),
            (32, size),
            (40, size),
            (48, 8),
        ] {
            put(&mut bytes, at + place, number, 8);
        }
    }
    bytes[INTERPRETER..INTERPRETER + 27].copy_from_slice(b"/lib64/ld-linux-x86-64.so.2");
    // DT_STRTAB, DT_STRSZ, DT_NEEDED, DT_NULL.
    for (index, (tag, value)) in [(5, STRINGS as u64), (10, 0x20), (1, 1), (0, 0)]
        .into_iter()
        .enumerate()
    {
        put(&mut bytes, DYNAMIC + index * 16, tag, 8);
        put(&mut bytes, DYNAMIC + index * 16 + 8, value, 8);
    }
    bytes[STRINGS + 1..STRINGS + 10].copy_from_slice(b"libc.so.6");
    bytes
}

pub fn rows() -> Vec<Row> {
    let facts = ElfFacts::read(&program()).unwrap();
    assert_eq!(facts.needed, ["libc.so.6"]);
    let mut rows = Vec::new();
    let mut row = |case: &str, known, bytes: &[u8]| {
        rows.push(Row {
            format: "ELF",
            case: case.to_owned(),
            known,
            said: ElfFacts::read(bytes)
                .map(|_| "read".to_owned())
                .map_err(|error| error.to_string()),
            files: vec![("program".to_owned(), bytes.to_vec())],
        });
    };
    let number = |at, number, width| {
        let mut bytes = program();
        put(&mut bytes, at, number, width);
        bytes
    };
    let (interpreter, dynamic) = (64 + 56, 64 + 2 * 56);
    row("nothing wrong with it", "", &program());
    row("nothing but its magic", "", b"\x7fELF");
    row("cut off in its header", "", &program()[..40]);
    row("a class that is none", "", &number(4, 9, 1));
    row("an order of bytes that is none", "", &number(5, 9, 1));
    row(
        "program headers beyond its end",
        "CVE-2022-44940",
        &number(32, 0xffff_ffff_ffff_ff00, 8),
    );
    row("program headers of another size", "", &number(54, 7, 2));
    row(
        "60000 program headers",
        "CVE-2022-44940",
        &number(56, 60000, 2),
    );
    row("section headers beyond its end", "CVE-2022-44940", &{
        let mut bytes = number(40, 0x7fff_ffff_ffff, 8);
        put(&mut bytes, 60, 3, 2);
        bytes
    });
    row("section headers of another size", "", &{
        let mut bytes = number(58, 3, 2);
        put(&mut bytes, 60, 1, 2);
        bytes
    });
    row(
        "a segment beyond its end",
        "CVE-2022-44940",
        &number(64 + 32, 0xffff_ffff, 8),
    );
    row(
        "a segment that is larger in the file than in memory",
        "",
        &number(64 + 40, 1, 8),
    );
    row(
        "an interpreter beyond its end",
        "",
        &number(interpreter + 8, 0xffff_0000, 8),
    );
    row(
        "an interpreter of no length",
        "",
        &number(interpreter + 32, 0, 8),
    );
    row(
        "an interpreter that does not end",
        "",
        &number(interpreter + 32, 5, 8),
    );
    row(
        "an interpreter that is not UTF-8",
        "",
        &number(INTERPRETER + 3, 0xff, 1),
    );
    row(
        "a dynamic section beyond its end",
        "CVE-2022-44940",
        &number(dynamic + 8, 0xffff_0000, 8),
    );
    row(
        "a dynamic section that does not end",
        "",
        &number(dynamic + 32, 0x30, 8),
    );
    row(
        "strings at no address",
        "",
        &number(DYNAMIC + 8, 0x9999_9999, 8),
    );
    row(
        "strings longer than the file",
        "CVE-2022-44940",
        &number(DYNAMIC + 16 + 8, 0xffff_ffff, 8),
    );
    row(
        "a library's name beyond the strings",
        "CVE-2022-44940",
        &number(DYNAMIC + 32 + 8, 0x1000, 8),
    );
    row(
        "a library's name that is not UTF-8",
        "",
        &number(STRINGS + 2, 0xff, 1),
    );
    row(
        "a section beyond its end",
        "CVE-2022-44940",
        &number(SECTIONS + 2 * 64 + 32, 0xffff_ffff, 8),
    );
    row(
        "a section whose name is beyond the names",
        "CVE-2022-44940",
        &number(SECTIONS + 2 * 64, 0xffff_ffff, 4),
    );
    row(
        "names of sections in a section that is not there",
        "CVE-2022-44940",
        &number(62, 99, 2),
    );
    row(
        "strings in a section that is not there",
        "CVE-2022-44940",
        &number(SECTIONS + 2 * 64 + 40, 99, 4),
    );
    row("60000 sections", "CVE-2022-44940", &number(60, 60000, 2));
    row("two dynamic sections", "", &number(interpreter, 2, 4));
    rows
}
