//! Those parts of a file that can stand anywhere: the interpreter's path, the notes, and the tables
//! that only the dynamic section points to. Code never refers to them by address, so a part can be
//! moved as long as every header that names it is told. Everything else stays where it is.

use goblin::elf::dynamic::{
    DT_GNU_HASH, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_VERDEF, DT_VERNEED, DT_VERSYM,
};
use goblin::elf::program_header::{
    PT_DYNAMIC, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_INTERP, PT_LOAD, PT_NOTE, PT_PHDR, ProgramHeader,
};
use goblin::elf::section_header::{
    SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_HASH, SHT_GNU_VERDEF,
    SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_HASH, SHT_NOBITS, SHT_NOTE, SHT_NULL, SHT_STRTAB,
    SectionHeader,
};

use super::codec::Codec;
use super::read::Elf;

/// What a part is to those who look for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Found by PT_INTERP.
    Interpreter,
    /// The dynamic string table, found by DT_STRTAB.
    Strings,
    /// Found by PT_DYNAMIC; written to when it is loaded.
    Dynamic,
    /// Found by PT_NOTE and PT_GNU_PROPERTY.
    Notes,
    /// Found by this dynamic tag.
    Table(u64),
}

impl What {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Interpreter => "the interpreter's path",
            Self::Strings => "the dynamic string table",
            Self::Dynamic => "the dynamic section",
            Self::Notes => "the notes",
            Self::Table(_) => "a table of the dynamic section",
        }
    }
}

/// A movable part, as it stands in the file that was read.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) what: What,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
    pub(super) align: u64,
    /// The sections it is made of; none in a file without section headers.
    pub(super) sections: Vec<usize>,
    /// The segments that name it or a piece of it.
    pub(super) segments: Vec<usize>,
}

impl Part {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.size
    }
}

/// No part asks for more than this; who claims so is not believed.
const MOST_ALIGN: u64 = 0x1000;

/// The tables that the dynamic section points to: type of their section, tag.
const TABLES: [(u32, u64); 7] = [
    (SHT_STRTAB, DT_STRTAB),
    (SHT_DYNSYM, DT_SYMTAB),
    (SHT_HASH, DT_HASH),
    (SHT_GNU_HASH, DT_GNU_HASH),
    (SHT_GNU_VERSYM, DT_VERSYM),
    (SHT_GNU_VERNEED, DT_VERNEED),
    (SHT_GNU_VERDEF, DT_VERDEF),
];

/// All movable parts, in the order of their offsets.
pub(super) fn find(elf: &Elf) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (index, section) in elf.sections.iter().enumerate() {
        if let Some(what) = classify(elf, section) {
            parts.push(Part {
                what,
                offset: section.sh_offset,
                address: section.sh_addr,
                size: section.sh_size,
                align: section.sh_addralign.max(least_alignment(what, elf.codec)),
                sections: vec![index],
                segments: Vec::new(),
            });
        }
    }
    for part in without_sections(elf) {
        let known =
            |known: &Part| known.what == part.what || overlap(known, part.offset, part.end());
        if !parts.iter().any(known) {
            parts.push(part);
        }
    }
    parts.sort_by_key(|part| (part.offset, part.size));
    let mut parts = join_segments(elf, parts);
    parts.retain(|part| stands_alone(elf, part));
    parts
}

/// Whether no section but its own has bytes in the part.
fn stands_alone(elf: &Elf, part: &Part) -> bool {
    elf.sections.iter().enumerate().all(|(index, section)| {
        let (start, end) = (
            section.sh_offset,
            section.sh_offset.saturating_add(section.sh_size),
        );
        matches!(section.sh_type, SHT_NULL | SHT_NOBITS)
            || start == end
            || part.sections.contains(&index)
            || !overlap(part, start, end)
    })
}

/// Bytes that are in the file and take up memory.
pub(super) fn is_loaded(section: &SectionHeader) -> bool {
    section.sh_flags & u64::from(SHF_ALLOC) != 0
        && !matches!(section.sh_type, SHT_NULL | SHT_NOBITS)
}

fn classify(elf: &Elf, section: &SectionHeader) -> Option<What> {
    let fixed = u64::from(SHF_EXECINSTR) | u64::from(goblin::elf::section_header::SHF_TLS);
    if !is_loaded(section)
        || section.sh_size == 0
        || section.sh_addralign > MOST_ALIGN
        || section.sh_flags & fixed != 0
        || elf.offset_of(section.sh_addr, section.sh_size) != Some(section.sh_offset)
    {
        return None;
    }
    let dynamic = elf.dynamic.as_ref()?;
    let is_whole = |offset: u64, size: u64| section.sh_offset == offset && section.sh_size == size;
    if section.sh_type == SHT_DYNAMIC {
        let size = dynamic.capacity * elf.codec.dynamic_size();
        return is_whole(dynamic.offset, size).then_some(What::Dynamic);
    }
    if section.sh_flags & u64::from(SHF_WRITE) != 0 {
        return None;
    }
    if let Some(interpreter) = &elf.interpreter
        && is_whole(interpreter.start, interpreter.end - interpreter.start)
    {
        return Some(What::Interpreter);
    }
    if section.sh_type == SHT_NOTE {
        return Some(What::Notes);
    }
    let (_, tag) = *TABLES.iter().find(|(kind, _)| *kind == section.sh_type)?;
    if dynamic.value(tag) != Some(section.sh_addr) {
        return None;
    }
    if tag == DT_STRTAB {
        let strings = dynamic.strings;
        return is_whole(strings.offset, strings.size).then_some(What::Strings);
    }
    Some(What::Table(tag))
}

/// The parts whose place and size the program headers and the dynamic section alone tell.
fn without_sections(elf: &Elf) -> Vec<Part> {
    let part = |what, offset, address, size| Part {
        what,
        offset,
        address,
        size,
        align: least_alignment(what, elf.codec),
        sections: Vec::new(),
        segments: Vec::new(),
    };
    let mut parts = Vec::new();
    if let Some(segment) = elf.segment(PT_INTERP) {
        let (offset, size) = (segment.p_offset, segment.p_filesz);
        parts.push(part(What::Interpreter, offset, segment.p_vaddr, size));
    }
    if let Some(dynamic) = &elf.dynamic {
        let strings = dynamic.strings;
        parts.push(part(
            What::Strings,
            strings.offset,
            strings.address,
            strings.size,
        ));
        let size = dynamic.capacity * elf.codec.dynamic_size();
        parts.push(part(What::Dynamic, dynamic.offset, dynamic.address, size));
    }
    parts
}

fn least_alignment(what: What, codec: Codec) -> u64 {
    match what {
        What::Interpreter | What::Strings => 1,
        What::Notes => 4,
        What::Table(DT_VERSYM) => 2,
        What::Dynamic | What::Table(_) => codec.word(),
    }
}

fn overlap(part: &Part, start: u64, end: u64) -> bool {
    part.offset < end && start < part.end()
}

/// Tells each part the segments that name it, makes one part of notes that one segment names, and
/// drops those that a segment names which must not be told.
fn join_segments(elf: &Elf, mut parts: Vec<Part>) -> Vec<Part> {
    for (index, segment) in elf.segments.iter().enumerate() {
        let (start, end) = (segment.p_offset, segment.p_offset + segment.p_filesz);
        // RELRO only says what is protected after relocation: where it was, it may stay.
        if matches!(segment.p_type, PT_LOAD | PT_PHDR | PT_GNU_RELRO) || start == end {
            continue;
        }
        let Some(first) = parts.iter().position(|part| overlap(part, start, end)) else {
            continue;
        };
        let count = parts
            .iter()
            .skip(first)
            .take_while(|part| overlap(part, start, end))
            .count();
        let joined = join(parts.drain(first..first + count));
        if let Some(mut joined) = joined.filter(|part| names(segment, part)) {
            joined.segments.push(index);
            parts.insert(first, joined);
        }
    }
    parts
}

fn join(mut parts: impl Iterator<Item = Part>) -> Option<Part> {
    let mut joined = parts.next()?;
    for part in parts {
        let apart = part.address.checked_sub(joined.address);
        let together = apart.is_some() && apart == part.offset.checked_sub(joined.offset);
        if part.what != What::Notes || joined.what != What::Notes || !together {
            return None;
        }
        joined.size = joined.end().max(part.end()) - joined.offset;
        joined.align = joined.align.max(part.align);
        joined.sections.extend(part.sections);
        joined.segments.extend(part.segments);
    }
    Some(joined)
}

/// Whether the segment is how the part is found, and nothing else is found by it.
fn names(segment: &ProgramHeader, part: &Part) -> bool {
    let whole = segment.p_offset == part.offset && segment.p_filesz == part.size;
    let within = part.offset <= segment.p_offset
        && segment.p_offset + segment.p_filesz <= part.end()
        && segment.p_vaddr.checked_sub(part.address) == segment.p_offset.checked_sub(part.offset);
    match part.what {
        What::Interpreter => segment.p_type == PT_INTERP && whole && within,
        What::Dynamic => segment.p_type == PT_DYNAMIC && whole && within,
        What::Notes => matches!(segment.p_type, PT_NOTE | PT_GNU_PROPERTY) && within,
        What::Strings | What::Table(_) => false,
    }
}
