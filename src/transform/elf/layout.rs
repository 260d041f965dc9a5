//! Where things go when they no longer fit where they are. It is decided here, and in `room` for the headers.
//!
//! What grew moves to a segment of its own, the *annex*, at the end of the file and above all
//! other addresses: nothing that code may refer to ever moves. A PT_LOAD for the annex needs room in
//! the program header table; in order of preference
//!
//! 1. the table grows over padding,
//! 2. the tables behind it move up, into the room that the string table left (the usual case: it
//!    keeps the notes in the first page, where debuggers and core dumps look for them),
//! 3. the parts in its way go to the annex as well,
//! 4. the table itself does.
//!
//! A file that has an annex keeps the one it has: it is taken off, and made anew at the same place.
//! So a file does not grow with each edit, and the order of edits does not show.

use std::collections::BTreeSet;

use goblin::elf::header::ET_EXEC;
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_LOAD, PT_PHDR, ProgramHeader};
use goblin::elf::section_header::{SHT_DYNSYM, SHT_NOBITS, SHT_NULL};

use super::ElfError;
use super::codec::align_up;
use super::parts::{Part, What};
use super::read::Elf;
use super::room::{self, POINTERS, headers_end, is_filler};

/// The annex begins at a multiple of this in the file.
const ANNEX_ALIGN: u64 = 16;

/// Zeros at the beginning of the annex. llvm-strip takes the first of two segments that begin
/// together for the one that holds the other, so none may begin where the annex does.
pub(super) const ANNEX_LEAD: u64 = 16;

/// Kernels before 5.18 take a program header table that moved to be as far from the file's start in
/// memory as it is in the file. For a program, zeros up to this many bytes are put in to make it so.
const HOLE: u64 = 1 << 20;

/// Where everything goes.
#[derive(Debug)]
pub(super) struct Layout {
    /// The program headers as they will be; the annex's is in its place, its size not yet known.
    pub(super) segments: Vec<ProgramHeader>,
    /// Index of the annex among them.
    pub(super) annex: usize,
    /// The parts that go into it, in their order.
    pub(super) moved: Vec<usize>,
    /// Whether the program header table goes into it, at its beginning.
    pub(super) headers_move: bool,
    /// The parts that move up where they are, and by how much.
    pub(super) shifted: Vec<usize>,
    pub(super) shift: u64,
    /// Stretches of the file that nothing uses any more.
    pub(super) vacated: Vec<(u64, u64)>,
    /// Length of the file before the annex is put to it.
    pub(super) base_len: u64,
}

impl Layout {
    /// Where the annex begins, in the file and in memory.
    pub(super) fn annex_start(&self) -> (u64, u64) {
        let annex = self.segments.get(self.annex);
        annex.map_or((0, 0), |annex| (annex.p_offset, annex.p_vaddr))
    }
}

/// Decides on a layout in which the `growing` parts (indices into `parts`) have all the room they
/// want.
pub(super) fn decide(elf: &Elf, parts: &[Part], growing: &[usize]) -> Result<Layout, ElfError> {
    let mut moved: BTreeSet<usize> = growing.iter().copied().collect();
    let mut layout = Layout {
        segments: elf.segments.clone(),
        annex: 0,
        moved: Vec::new(),
        headers_move: false,
        shifted: Vec::new(),
        shift: 0,
        vacated: Vec::new(),
        base_len: elf.bytes.len() as u64,
    };
    if let Some(annex) = find_annex(elf, parts) {
        moved.extend(&annex.parts);
        layout.annex = annex.segment;
        layout.headers_move = annex.has_headers;
        if annex.end == layout.base_len {
            layout.base_len = annex.start;
        } else {
            layout.vacated.push((annex.start, annex.end));
        }
    } else {
        refuse_payload(elf)?;
        let last = elf
            .segments
            .iter()
            .rposition(|segment| segment.p_type == PT_LOAD);
        layout.annex = last.map_or(0, |last| last + 1);
        layout.segments.insert(layout.annex, ProgramHeader::new());
        let room = room::make(elf, parts, &mut moved)?;
        layout.headers_move = room.headers_move;
        (layout.shifted, layout.shift) = (room.shifted, room.shift);
        if layout.headers_move {
            let headers = (elf.header.e_phoff, headers_end(elf, 0));
            layout.vacated.push(headers);
        }
    }
    let gone = moved
        .iter()
        .chain(&layout.shifted)
        .filter_map(|part| parts.get(*part));
    layout
        .vacated
        .extend(gone.map(|part| (part.offset, part.end())));
    layout.moved = moved.into_iter().collect();
    // The order of the section headers, so that tools that go by it find addresses ascending.
    layout.moved.sort_by_key(|part| {
        let part = parts.get(*part);
        part.map(|part| (part.sections.first().copied(), part.offset))
    });
    place_annex(elf, parts, &mut layout)?;
    Ok(layout)
}

struct Annex {
    segment: usize,
    start: u64,
    end: u64,
    parts: Vec<usize>,
    has_headers: bool,
}

/// The last segment, if it is made of movable parts and nothing else: then this program, or another
/// of its kind, put it there. To leave such a segment empty would be worse than not tidy: GNU strip
/// gives one without a section an offset that ld.so refuses.
fn find_annex(elf: &Elf, parts: &[Part]) -> Option<Annex> {
    let index = elf
        .segments
        .iter()
        .rposition(|segment| segment.p_type == PT_LOAD)?;
    let segment = elf.segments.get(index)?;
    let first = elf.loads().next()?;
    let (start, end) = (segment.p_offset, segment.p_offset + segment.p_filesz);
    // patchelf has the section headers loaded before all that it moves. They stay where they are, and
    // need not be loaded.
    let sections_end = elf.header.e_shoff + elf.sections.len() as u64 * elf.codec.section_size();
    let start = match elf.header.e_shoff == start && sections_end <= end {
        true => sections_end,
        false => start,
    };
    let inside = |at: u64| (start..end).contains(&at);
    let address = |at: u64| (segment.p_vaddr..segment.p_vaddr + segment.p_memsz).contains(&at);
    if segment.p_filesz != segment.p_memsz
        || start == end
        || first.p_vaddr == segment.p_vaddr
        || segment.p_flags & PF_X != 0
        || address(elf.header.e_entry)
    {
        return None;
    }
    let (indices, members): (Vec<usize>, Vec<&Part>) = parts
        .iter()
        .enumerate()
        .filter(|(_, part)| inside(part.offset))
        .unzip();
    let mut covered: Vec<(u64, u64)> = members
        .iter()
        .map(|part| (part.offset, part.end()))
        .collect();
    let headers = (elf.header.e_phoff, headers_end(elf, 0));
    let has_headers = inside(headers.0);
    if has_headers {
        covered.push(headers);
    }
    covered.sort_unstable();

    // Nothing else is in it: neither bytes, nor sections, nor segments, nor what pointers mean.
    let mut at = start;
    for (from, to) in covered.into_iter().chain([(end, end)]) {
        let gap = elf.bytes.get(at as usize..from.max(at) as usize)?;
        if from < at || gap.len() as u64 > 4 * ANNEX_ALIGN || !gap.iter().copied().all(is_filler) {
            return None;
        }
        at = to;
    }
    let owned_section = |index: &usize| members.iter().any(|part| part.sections.contains(index));
    let owned_segment = |index: &usize| members.iter().any(|part| part.segments.contains(index));
    let sections = elf.sections.iter().enumerate().all(|(index, section)| {
        matches!(section.sh_type, SHT_NULL | SHT_NOBITS)
            || section.sh_size == 0
            || !inside(section.sh_offset)
            || owned_section(&index)
    });
    let segments = elf.segments.iter().enumerate().all(|(other, segment)| {
        let clear = !address(segment.p_vaddr) || segment.p_memsz == 0;
        other == index || clear || segment.p_type == PT_PHDR || owned_segment(&other)
    });
    let pointers = elf
        .dynamic
        .iter()
        .flat_map(|dynamic| &dynamic.entries)
        .all(|(tag, value)| {
            let table = |part: &&Part| match part.what {
                What::Strings => *tag == goblin::elf::dynamic::DT_STRTAB,
                What::Table(own) => own == *tag,
                _ => false,
            };
            !POINTERS.contains(tag) || !address(*value) || members.iter().any(table)
        });
    (sections && segments && pointers).then_some(Annex {
        segment: index,
        start,
        end,
        parts: indices,
        has_headers,
    })
}

/// Bytes behind everything that a header describes are someone's payload, found from the file's
/// end: it must stay there.
fn refuse_payload(elf: &Elf) -> Result<(), ElfError> {
    let sections = elf
        .sections
        .iter()
        .filter(|section| !matches!(section.sh_type, SHT_NULL | SHT_NOBITS))
        .map(|section| section.sh_offset + section.sh_size);
    let section_headers = elf.header.e_shoff + elf.sections.len() as u64 * elf.codec.section_size();
    let segments = elf
        .segments
        .iter()
        .map(|segment| segment.p_offset + segment.p_filesz);
    let described = sections
        .chain(segments)
        .chain([section_headers, headers_end(elf, 0)])
        .max()
        .unwrap_or_default();
    match elf.bytes.get(described as usize..) {
        Some(rest) if rest.iter().any(|byte| *byte != 0) => Err(ElfError::Payload {
            offset: described,
            size: rest.len() as u64,
        }),
        _ => Ok(()),
    }
}

/// Gives the annex its offset, its address and its flags.
fn place_annex(elf: &Elf, parts: &[Part], layout: &mut Layout) -> Result<(), ElfError> {
    let page = elf
        .abi
        .machine
        .max_page()
        .ok_or(ElfError::Machine(elf.abi.machine))?;
    let others = elf.loads().filter(|load| {
        layout
            .segments
            .get(layout.annex)
            .is_none_or(|annex| *annex != **load)
    });
    let top = others
        .map(|load| load.p_vaddr + load.p_memsz)
        .chain([elf.unloaded_end()])
        .max()
        .unwrap_or_default();
    let no_room = || ElfError::AddressSpace { top };
    let clear = top.checked_add(keep_clear(elf)?);
    let top = clear
        .and_then(|top| align_up(top, page))
        .ok_or_else(no_room)?;
    let mut offset = align_up(layout.base_len, ANNEX_ALIGN).ok_or_else(no_room)?;
    // As far into its page in memory as it is in the file, so that one maps to the other.
    let mut address = top.checked_add(offset % page).ok_or_else(no_room)?;
    let program = elf.interpreter.is_some() || elf.header.e_type == ET_EXEC;
    if layout.headers_move
        && program
        && let Some(first) = elf.loads().next()
        && let Some(base) = first.p_vaddr.checked_sub(first.p_offset)
        && let Some(apart) = top.checked_sub(base)
        && apart.saturating_sub(offset) <= HOLE
    {
        offset = offset.max(apart);
        address = base.checked_add(offset).ok_or_else(no_room)?;
    }
    // ld.so writes into the dynamic section.
    let mut moved = layout.moved.iter().filter_map(|part| parts.get(*part));
    let writable = moved.any(|part| part.what == What::Dynamic);
    let annex = layout.segments.get_mut(layout.annex);
    *annex.ok_or_else(no_room)? = ProgramHeader {
        p_type: PT_LOAD,
        p_flags: if writable { PF_R | PF_W } else { PF_R },
        p_offset: offset,
        p_vaddr: address,
        p_paddr: address,
        p_filesz: 0,
        p_memsz: 0,
        p_align: page,
    };
    Ok(())
}

/// How far above the other segments the annex must be: the size of the largest symbol. eu-elflint
/// takes a relocation to modify everything between its place and that plus the size of its symbol,
/// and so would find the annex to be read-only and relocated.
fn keep_clear(elf: &Elf) -> Result<u64, ElfError> {
    const MOST: u64 = 1 << 24;
    let size = elf.codec.symbol_size();
    let mut largest = 0;
    for table in elf
        .sections
        .iter()
        .filter(|table| table.sh_type == SHT_DYNSYM)
    {
        for index in 0..table.sh_size / size {
            let at = table.sh_offset + index * size + elf.codec.symbol_size_field();
            largest = largest.max(elf.codec.address(elf.bytes, at, "a dynamic symbol")?);
        }
    }
    Ok(largest.min(MOST))
}
