//! The two header tables, told of what moved.

use goblin::elf::program_header::{PT_LOAD, PT_PHDR, ProgramHeader};
use goblin::elf::section_header::SectionHeader;

use super::ElfError;
use super::draft::Draft;
use super::parts::Part;
use super::read::Elf;

/// A part, and where it goes.
pub(super) struct Move<'p> {
    pub(super) part: &'p Part,
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

/// The two header tables being rewritten.
pub(super) struct Headers<'e, 'a> {
    pub(super) elf: &'e Elf<'a>,
    pub(super) segments: Vec<ProgramHeader>,
    pub(super) sections: Vec<SectionHeader>,
    /// Where a program header was put in.
    pub(super) inserted: Option<usize>,
}

impl Headers<'_, '_> {
    /// Tells the headers of a part where it is now.
    pub(super) fn tell(&mut self, step: &Move) {
        let part = step.part;
        for index in &part.sections {
            if let Some(section) = self.sections.get_mut(*index) {
                section.sh_offset = section.sh_offset - part.offset + step.offset;
                section.sh_addr = section.sh_addr - part.address + step.address;
                if step.size != part.size {
                    section.sh_size = step.size;
                }
            }
        }
        for index in &part.segments {
            let shifted = self.inserted.is_some_and(|inserted| *index >= inserted);
            if let Some(segment) = self.segments.get_mut(index + usize::from(shifted)) {
                segment.p_offset = segment.p_offset - part.offset + step.offset;
                segment.p_vaddr = segment.p_vaddr - part.address + step.address;
                segment.p_paddr = segment.p_vaddr;
                if step.size != part.size {
                    segment.p_filesz = step.size;
                    segment.p_memsz = step.size;
                }
            }
        }
    }

    /// Gives the annex its size, and PT_PHDR the table's new place and size.
    pub(super) fn finish_annex(
        &mut self,
        annex: usize,
        size: u64,
        table_at: u64,
        table_size: u64,
    ) -> Result<(), ElfError> {
        let loaded_at = self.elf.codec.max_address();
        let Some(annex) = self.segments.get_mut(annex) else {
            return Ok(());
        };
        annex.p_filesz = size;
        annex.p_memsz = size;
        if annex
            .p_vaddr
            .checked_add(size)
            .is_none_or(|end| end > loaded_at)
        {
            return Err(ElfError::AddressSpace { top: annex.p_vaddr });
        }
        let address = self.segments.iter().find_map(|load| {
            let within = table_at.checked_sub(load.p_offset)?;
            (load.p_type == PT_LOAD && within < load.p_filesz).then(|| load.p_vaddr + within)
        });
        for segment in self
            .segments
            .iter_mut()
            .filter(|segment| segment.p_type == PT_PHDR)
        {
            segment.p_offset = table_at;
            segment.p_vaddr = address.unwrap_or(segment.p_vaddr);
            segment.p_paddr = segment.p_vaddr;
            segment.p_filesz = table_size;
            segment.p_memsz = table_size;
        }
        Ok(())
    }

    /// Puts down both tables, the one of program headers at `table_at`.
    pub(super) fn write(&self, draft: &mut Draft, table_at: u64) {
        let codec = self.elf.codec;
        let table: Vec<u8> = self
            .segments
            .iter()
            .flat_map(|segment| codec.segment(segment))
            .collect();
        draft.put(table_at, table);
        let (offset_field, count_field) = codec.header_fields();
        draft.put(offset_field, codec.bytes_address(table_at));
        draft.put(count_field, codec.bytes16(self.segments.len() as u16));
        for (index, (new, old)) in self.sections.iter().zip(&self.elf.sections).enumerate() {
            if new != old {
                let at = self.elf.header.e_shoff + index as u64 * codec.section_size();
                draft.put(at, codec.section(new));
            }
        }
    }
}
