//! Room for one more program header, behind the table: over padding, by moving up what stands there, or by having it go
//! to the annex. `layout` has the order of preference.

use std::collections::BTreeSet;

use goblin::elf::section_header::{SHT_NOBITS, SHT_NULL};

use super::ElfError;
use super::codec::align_up;
use super::parts::{Part, What};
use super::read::Elf;
use super::versions;

/// Where the room comes from.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// From nowhere: the table itself goes to the annex.
    pub(super) headers_move: bool,
    /// The parts that move up where they are, and by how much.
    pub(super) shifted: Vec<usize>,
    pub(super) shift: u64,
}

/// Where the program header table ends if it has `more` entries than now.
pub(super) fn headers_end(elf: &Elf, more: u64) -> u64 {
    elf.header.e_phoff + (elf.segments.len() as u64 + more) * elf.codec.segment_size()
}

/// Dynamic tags whose value is an address.
pub(super) const POINTERS: [u64; 20] = {
    use goblin::elf::dynamic as d;
    [
        d::DT_PLTGOT,
        d::DT_HASH,
        d::DT_STRTAB,
        d::DT_SYMTAB,
        d::DT_RELA,
        d::DT_INIT,
        d::DT_FINI,
        d::DT_REL,
        d::DT_JMPREL,
        d::DT_INIT_ARRAY,
        d::DT_FINI_ARRAY,
        d::DT_PREINIT_ARRAY,
        d::DT_GNU_HASH,
        d::DT_VERSYM,
        d::DT_VERDEF,
        d::DT_VERNEED,
        d::DT_TLSDESC_PLT,
        d::DT_TLSDESC_GOT,
        36, /* DT_RELR */
        34, /* DT_SYMTAB_SHNDX */
    ]
};

/// Something behind the program header table.
struct Thing {
    offset: u64,
    part: Option<usize>,
}

/// Makes room for one more program header; what has to move for it is added to what moves anyway.
pub(super) fn make(
    elf: &Elf,
    parts: &[Part],
    moved: &mut BTreeSet<usize>,
) -> Result<Room, ElfError> {
    if elf.segments.len() + 1 >= usize::from(u16::MAX) {
        return Err(ElfError::lie(
            "the ELF header",
            elf.codec.header_fields().1,
            "no room for another program header",
        ));
    }
    let need = headers_end(elf, 1);
    let things = things_behind_headers(elf, parts)?;
    let stays = |moved: &BTreeSet<usize>, thing: &Thing| {
        thing.part.is_none_or(|part| !moved.contains(&part))
    };
    // Without sections nobody knows what lies there.
    if !elf.sections.is_empty() && is_padding(elf, parts, headers_end(elf, 0)..need) {
        if things
            .iter()
            .find(|thing| stays(moved, thing))
            .is_none_or(|thing| thing.offset >= need)
        {
            return Ok(Room::default());
        }
        let strings = parts.iter().position(|part| part.what == What::Strings);
        let with_strings: BTreeSet<usize> = moved.iter().copied().chain(strings).collect();
        for candidate in [moved.clone(), with_strings] {
            if let Some((shifted, shift)) = shift_up(elf, parts, &things, &candidate, need) {
                *moved = candidate;
                return Ok(Room {
                    headers_move: false,
                    shifted,
                    shift,
                });
            }
        }
        let in_the_way: Option<Vec<usize>> = things
            .iter()
            .take_while(|thing| thing.offset < need)
            .map(|thing| thing.part)
            .collect();
        if let Some(in_the_way) = in_the_way {
            moved.extend(in_the_way);
            return Ok(Room::default());
        }
    }
    Ok(Room {
        headers_move: true,
        ..Room::default()
    })
}

/// Zeros, or what patchelf writes over that which it moved away.
pub(super) fn is_filler(byte: u8) -> bool {
    matches!(byte, 0 | b'X' | b'Z')
}

/// Whether what no part covers of this stretch is filler.
fn is_padding(elf: &Elf, parts: &[Part], stretch: std::ops::Range<u64>) -> bool {
    stretch.into_iter().all(|at| {
        parts
            .iter()
            .any(|part| (part.offset..part.end()).contains(&at))
            || elf
                .bytes
                .get(at as usize)
                .is_some_and(|byte| is_filler(*byte))
    })
}

/// What stands behind the program header table, up to the end of its segment.
fn things_behind_headers(elf: &Elf, parts: &[Part]) -> Result<Vec<Thing>, ElfError> {
    let end = headers_end(elf, 0);
    let mut things: Vec<Thing> = Vec::new();
    let part_of = |index: usize| parts.iter().position(|part| part.sections.contains(&index));
    for (index, section) in elf.sections.iter().enumerate() {
        let empty = matches!(section.sh_type, SHT_NULL | SHT_NOBITS) || section.sh_size == 0;
        if !empty && section.sh_offset + section.sh_size > end {
            things.push(Thing {
                offset: section.sh_offset,
                part: part_of(index),
            });
        }
    }
    // What a segment alone tells of is there all the same.
    let untold = parts.iter().enumerate();
    let untold = untold.filter(|(_, part)| part.sections.is_empty() && part.end() > end);
    things.extend(untold.map(|(index, part)| Thing {
        offset: part.offset,
        part: Some(index),
    }));
    // So is what the dynamic section alone does.
    let entries = elf.dynamic.iter().flat_map(|dynamic| &dynamic.entries);
    let pointers = entries.filter(|(tag, _)| POINTERS.contains(tag));
    let pointed = pointers.filter_map(|(_, address)| elf.offset_of(*address, 1));
    let records = versions::records(elf)?.into_iter().map(|one| one.start);
    let is_known = |at: &u64| {
        parts
            .iter()
            .any(|part| (part.offset..part.end()).contains(at))
    };
    let unknown = pointed
        .chain(records)
        .filter(|at| *at >= end && !is_known(at));
    things.extend(unknown.map(|offset| Thing { offset, part: None }));
    let segment_ends = elf.loads().map(|load| load.p_offset + load.p_filesz);
    let segment_starts = elf.loads().map(|load| load.p_offset);
    let others = segment_ends
        .chain(segment_starts)
        .chain([elf.header.e_shoff, elf.bytes.len() as u64])
        .filter(|offset| *offset >= end);
    things.extend(others.map(|offset| Thing { offset, part: None }));
    things.sort_by_key(|thing| (thing.offset, thing.part));
    Ok(things)
}

/// The parts between the headers and the first room that a moved part leaves, and by how much they
/// can move up into it.
fn shift_up(
    elf: &Elf,
    parts: &[Part],
    things: &[Thing],
    moved: &BTreeSet<usize>,
    need: u64,
) -> Option<(Vec<usize>, u64)> {
    let in_moved = |thing: &Thing| thing.part.is_some_and(|part| moved.contains(&part));
    let mut shifted: Vec<usize> = Vec::new();
    for thing in things.iter().take_while(|thing| !in_moved(thing)) {
        let part = thing.part?;
        if !shifted.contains(&part) {
            shifted.push(part);
        }
    }
    let hole_end = things
        .iter()
        .skip_while(|thing| !in_moved(thing))
        .find(|thing| !in_moved(thing))?
        .offset;
    let (first, last) = (parts.get(*shifted.first()?)?, parts.get(*shifted.last()?)?);
    let all = shifted.iter().filter_map(|part| parts.get(*part));
    let align = all.map(|part| part.align).max()?;
    let shift = align_up(need.checked_sub(first.offset)?, align)?;
    // One segment loads the headers, the parts and the room.
    let one = elf.loads().any(|load| {
        load.p_offset <= elf.header.e_phoff && hole_end <= load.p_offset + load.p_filesz
    });
    let fits = last.end().checked_add(shift)? <= hole_end;
    (one && fits).then_some((shifted, shift))
}
