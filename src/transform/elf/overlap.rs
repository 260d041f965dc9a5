//! Whether parts of a file that are read lie in each other. No linker makes such a file; a liar does.

use std::ops::Range;

use goblin::elf::dynamic::{DT_SYMTAB, DT_VERDEF, DT_VERNEED};
use goblin::elf::section_header::{SHT_DYNSYM, SHT_SYMTAB};

use super::ElfError;
use super::parts::{self, What};
use super::read::Elf;
use super::room::headers_end;
use super::versions;

/// Whether two of the headers, names, tables and strings of a file, or what of it can be moved, share bytes.
///
/// # Errors
/// When a list of versions leads out of the file.
pub(super) fn is_in(elf: &Elf) -> Result<bool, ElfError> {
    let (header, codec) = (&elf.header, elf.codec);
    let sized = |start: u64, size: u64| start..start.saturating_add(size);
    let sections = elf.sections.len() as u64 * codec.section_size();
    let section = |index: usize| elf.sections.get(index);
    let names = section(usize::from(header.e_shstrndx)).into_iter();
    let symbols = elf.sections.iter();
    let symbols = symbols.filter(|one| matches!(one.sh_type, SHT_SYMTAB | SHT_DYNSYM));
    let mut kinds: Vec<Vec<Range<u64>>> = vec![
        vec![0..codec.header_size()],
        vec![header.e_phoff..headers_end(elf, 0)],
        vec![sized(header.e_shoff, sections)],
        names.map(|one| sized(one.sh_offset, one.sh_size)).collect(),
    ];
    let mut symbols: Vec<_> = symbols
        .map(|one| sized(one.sh_offset, one.sh_size))
        .collect();
    let mut versions = versions::records(elf)?;
    let mut interpreter: Vec<_> = elf.interpreter.iter().cloned().collect();
    let (mut entries, mut strings) = (Vec::new(), Vec::new());
    if let Some(dynamic) = &elf.dynamic {
        let size = dynamic.capacity.saturating_mul(codec.dynamic_size());
        entries.push(sized(dynamic.offset, size));
        strings.push(sized(dynamic.strings.offset, dynamic.strings.size));
    }
    // What may be moved, and be zeros where it was.
    for part in parts::find(elf) {
        let range = part.offset..part.end();
        match part.what {
            What::Interpreter => interpreter.push(range),
            What::Dynamic => entries.push(range),
            What::Strings => strings.push(range),
            What::Table(DT_VERNEED | DT_VERDEF) => versions.push(range),
            What::Table(DT_SYMTAB) => symbols.push(range),
            What::Table(_) | What::Notes => kinds.push(vec![range]),
        }
    }
    kinds.extend([symbols, versions, interpreter, entries, strings]);
    let kinds = kinds.into_iter().enumerate();
    let mut all: Vec<(usize, Range<u64>)> = kinds
        .flat_map(|(kind, ranges)| ranges.into_iter().map(move |range| (kind, range)))
        .filter(|(_, range)| !range.is_empty())
        .collect();
    all.sort_unstable_by_key(|(_, range)| range.start);
    // How far what begins earlier reaches: the kind that reaches farthest, and the farthest of all others.
    let (mut first, mut second) = ((usize::MAX, 0), 0);
    Ok(all.into_iter().any(|(kind, range)| {
        let others = if first.0 == kind { second } else { first.1 };
        match (first.0 == kind, range.end > first.1) {
            (true, _) => first.1 = first.1.max(range.end),
            (false, true) => (first, second) = ((kind, range.end), first.1),
            (false, false) => second = second.max(range.end),
        }
        range.start < others
    }))
}
