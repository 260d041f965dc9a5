//! Symbol versions: what a file needs of which library (`.gnu.version_r`) and what it defines
//! (`.gnu.version_d`), after the Linux Standard Base's "Symbol Versioning". Both are lists of
//! records linked by byte distances; a list that leads out of the file, or back, is refused.

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
    let mut needs = Vec::new();
    for at in chain(elf, start, count, 12, WHAT) {
        let at = at?;
        let versions = u64::from(elf.codec.u16(elf.bytes, at + 2, WHAT)?);
        let first = u64::from(elf.codec.u32(elf.bytes, at + 8, WHAT)?);
        let versions = chain(elf, at + first, versions, 12, "a needed version")
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
    chain(elf, start, count, 16, WHAT)
        .map(|at| {
            let at = at?;
            let names = u64::from(elf.codec.u16(elf.bytes, at + 6, WHAT)?);
            let first = u64::from(elf.codec.u32(elf.bytes, at + 12, WHAT)?);
            chain(elf, at + first, names, 4, "a version's name")
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
        for at in chain(elf, start, all, next, WHAT) {
            let at = at?;
            records.push(at..at + length);
            let count = u64::from(elf.codec.u16(elf.bytes, at + count, WHAT)?);
            let first = at + u64::from(elf.codec.u32(elf.bytes, at + first, WHAT)?);
            for at in chain(elf, first, count, next_inside, WHAT) {
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

/// The offsets of `count` records, each of which names the distance to the one after it in its
/// field at `next`.
fn chain<'e>(
    elf: &'e Elf<'_>,
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
