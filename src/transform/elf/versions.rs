//! Symbol versions: what a file needs of which library (`.gnu.version_r`) and what it defines
//! (`.gnu.version_d`), after the Linux Standard Base's "Symbol Versioning". Both are lists of
//! records linked by byte distances; a list that leads out of the file, or back, is refused.

use std::cell::Cell;
use std::ops::Range;

use goblin::elf::dynamic::{DT_VERDEF, DT_VERDEFNUM, DT_VERNEED, DT_VERNEEDNUM};

use super::ElfError;
use super::read::Elf;

const VER_FLG_WEAK: u16 = 0x2;

/// One library of `.gnu.version_r`.
pub(super) struct Need {
    /// File offset of `vn_file`, the library's name as an offset into the string table,
    pub(super) file_field: u64,
    /// and its value.
    pub(super) file: u64,
    /// The versions' names, as offsets into the string table, and whether the file can do without.
    pub(super) versions: Vec<(u64, bool)>,
}

/// What the file needs, library by library.
pub(super) fn needs(elf: &Elf) -> Result<Vec<Need>, ElfError> {
    const WHAT: &str = "a version need";
    let Some((start, count)) = table(elf, DT_VERNEED, DT_VERNEEDNUM)? else {
        return Ok(Vec::new());
    };
    let room = room(elf);
    let mut needs = Vec::new();
    for at in chain(elf, &room, start, count, 12, WHAT) {
        let at = at?;
        let versions = u64::from(elf.codec.u16(elf.bytes, at + 2, WHAT)?);
        let first = u64::from(elf.codec.u32(elf.bytes, at + 8, WHAT)?);
        let versions = chain(elf, &room, at + first, versions, 12, "a needed version")
            .map(|aux| {
                let aux = aux?;
                let flags = elf.codec.u16(elf.bytes, aux + 4, WHAT)?;
                let name = elf.codec.u32(elf.bytes, aux + 8, WHAT)?;
                Ok((u64::from(name), flags & VER_FLG_WEAK != 0))
            })
            .collect::<Result<_, ElfError>>()?;
        needs.push(Need {
            file_field: at + 4,
            file: u64::from(elf.codec.u32(elf.bytes, at + 4, WHAT)?),
            versions,
        });
    }
    Ok(needs)
}

/// The names of the versions that the file defines, as offsets into the string table. Each
/// definition has its own name first, then those of the versions it stems from.
pub(super) fn definitions(elf: &Elf) -> Result<Vec<Vec<u64>>, ElfError> {
    const WHAT: &str = "a version definition";
    let Some((start, count)) = table(elf, DT_VERDEF, DT_VERDEFNUM)? else {
        return Ok(Vec::new());
    };
    let room = room(elf);
    chain(elf, &room, start, count, 16, WHAT)
        .map(|at| {
            let at = at?;
            let names = u64::from(elf.codec.u16(elf.bytes, at + 6, WHAT)?);
            let first = u64::from(elf.codec.u32(elf.bytes, at + 12, WHAT)?);
            chain(elf, &room, at + first, names, 4, "a version's name")
                .map(|aux| Ok(u64::from(elf.codec.u32(elf.bytes, aux?, WHAT)?)))
                .collect()
        })
        .collect()
}

/// Where the records of both lists stand.
pub(super) fn records(elf: &Elf) -> Result<Vec<Range<u64>>, ElfError> {
    const WHAT: &str = "a version";
    let mut records = Vec::new();
    // Of each list: its tags; of a record, where the next is, how many more hang on it, where, and its length; of these,
    // where the next is, and their length.
    for (tag, number, next, count, first, length, (next_inside, inside)) in [
        (DT_VERNEED, DT_VERNEEDNUM, 12, 2, 8, 16, (12, 16)),
        (DT_VERDEF, DT_VERDEFNUM, 16, 6, 12, 20, (4, 8)),
    ] {
        let Some((start, all)) = table(elf, tag, number)? else {
            continue;
        };
        let room = room(elf);
        for at in chain(elf, &room, start, all, next, WHAT) {
            let at = at?;
            records.push(at..at + length);
            let count = u64::from(elf.codec.u16(elf.bytes, at + count, WHAT)?);
            let first = at + u64::from(elf.codec.u32(elf.bytes, at + first, WHAT)?);
            for at in chain(elf, &room, first, count, next_inside, WHAT) {
                let at = at?;
                records.push(at..at + inside);
            }
        }
    }
    Ok(records)
}

/// File offset and number of records of one of the two tables.
fn table(elf: &Elf, table: u64, count: u64) -> Result<Option<(u64, u64)>, ElfError> {
    let Some(dynamic) = &elf.dynamic else {
        return Ok(None);
    };
    let Some((address, count)) = dynamic.value(table).zip(dynamic.value(count)) else {
        return Ok(None);
    };
    let offset = elf.offset_of(address, 1).ok_or_else(|| {
        ElfError::lie(
            "the dynamic section",
            dynamic.offset,
            format!("a version table at address {address:#x}, which no segment loads"),
        )
    })?;
    Ok(Some((offset, count)))
}

/// How many records a file has room for, the shortest having 8 bytes. Lists that share their records, a thousand times a
/// thousand of them, would take all memory.
fn room(elf: &Elf) -> Cell<u64> {
    Cell::new(elf.bytes.len() as u64 / 8)
}

/// The offsets of `count` records, each of which names the distance to the one after it in its
/// field at `next`.
fn chain<'e>(
    elf: &'e Elf<'_>,
    room: &'e Cell<u64>,
    start: u64,
    count: u64,
    next: u64,
    what: &'static str,
) -> impl Iterator<Item = Result<u64, ElfError>> + 'e {
    let mut at = Some(start);
    let mut left = count;
    std::iter::from_fn(move || {
        let here = at.take().filter(|_| left > 0)?;
        left -= 1;
        let Some(rest) = room.get().checked_sub(1) else {
            return Some(Err(ElfError::lie(
                what,
                here,
                "a list that shares its records with others",
            )));
        };
        room.set(rest);
        match elf.codec.u32(elf.bytes, here + next, what) {
            Ok(0) if left > 0 => {
                return Some(Err(ElfError::lie(
                    what,
                    here,
                    "no successor, though more were claimed",
                )));
            }
            // Distances are positive, so this ends at the file's end at the latest.
            Ok(distance) => at = Some(here + u64::from(distance)),
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(here))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use goblin::elf::dynamic::{DT_NEEDED, DT_STRSZ, DT_STRTAB, DT_SYMENT, DT_SYMTAB};

    use super::super::ElfFacts;
    use super::*;

    /// A library of one segment: names, a table, and a dynamic section that names both.
    fn library(names: &[u8], table: &[u8], entries: &[(u64, u64)]) -> Vec<u8> {
        let words = |all: &[u64]| {
            all.iter()
                .flat_map(|word| word.to_le_bytes())
                .collect::<Vec<u8>>()
        };
        let names_at = 64 + 2 * 56;
        let table_at = (names_at + names.len()).next_multiple_of(16);
        let dynamic_at = (table_at + table.len()).next_multiple_of(16);
        let mut dynamic = words(&[DT_STRTAB, names_at as u64, DT_STRSZ, names.len() as u64]);
        dynamic.extend(words(&[DT_SYMTAB, table_at as u64, DT_SYMENT, 24]));
        dynamic.extend(words(&[DT_VERNEED, table_at as u64]));
        for (tag, value) in entries {
            dynamic.extend(words(&[*tag, *value]));
        }
        dynamic.extend(words(&[0, 0]));
        let (dynamic_at, length) = (dynamic_at as u64, dynamic.len() as u64);
        let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0".to_vec();
        bytes.extend(words(&[0, 64, 0]));
        bytes.extend(b"\0\0\0\0\x40\0\x38\0\x02\0\x40\0\0\0\0\0");
        bytes.extend(words(&[
            0x6_0000_0001,
            0,
            0,
            0,
            dynamic_at + length,
            dynamic_at + length,
            4096,
        ]));
        let at = dynamic_at;
        bytes.extend(words(&[0x6_0000_0002, at, at, at, length, length, 8]));
        for (at, part) in [
            (names_at, names),
            (table_at, table),
            (dynamic_at as usize, &dynamic),
        ] {
            bytes.resize(at, 0);
            bytes.extend(part);
        }
        bytes
    }

    #[test]
    fn lists_that_share_their_records_and_names_their_letters_end() {
        // Each is a library's record, and one of the versions that hang on all before it.
        let all = 50_000_u32;
        let record = |left: u32| {
            let (hanging, next) = ((left - 1).min(0xffff) as u16, if left > 1 { 16 } else { 0 });
            let mut record = [1_u16.to_le_bytes(), hanging.to_le_bytes()].concat();
            record.extend(
                [1_u32, next, next]
                    .iter()
                    .flat_map(|word| word.to_le_bytes()),
            );
            record
        };
        let table: Vec<u8> = (1..=all).rev().flat_map(record).collect();
        let bytes = library(
            b"\0a\0",
            &table,
            &[(DT_NEEDED, 1), (DT_VERNEEDNUM, all.into())],
        );
        let error = ElfFacts::read(&bytes).unwrap_err().to_string();
        assert!(error.contains("shares its records"), "{error}");

        let names = [b"\0".as_slice(), "a".repeat(1_000_000).as_bytes(), b"\0"].concat();
        let needed: Vec<(u64, u64)> = (1..100_000).map(|at| (DT_NEEDED, at)).collect();
        let error = ElfFacts::read(&library(&names, &[0; 64], &needed)).unwrap_err();
        assert!(error.to_string().contains("share their letters"), "{error}");
        let few = library(b"\0ab\0", &[0; 64], &[(DT_NEEDED, 1), (DT_NEEDED, 2)]);
        assert_eq!(ElfFacts::read(&few).unwrap().needed, ["ab", "b"]);
    }
}
