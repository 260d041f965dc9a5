//! An ELF file as a checked model. goblin decodes the records; here every offset, size and string
//! that a header claims is checked against the bytes that are there and against the other headers. A
//! claim that is not true is an [`ElfError`] that names the record and its offset: a file that gets
//! past [`Elf::parse`] can be read and laid out anew without looking back.

use std::ops::Range;

use goblin::elf::dynamic::{
    self, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH, DT_SONAME, DT_STRSZ, DT_STRTAB,
};
use goblin::elf::header::{self, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{
    SHF_ALLOC, SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_GNU_VERSYM, SHT_HASH,
    SHT_NOBITS, SHT_NULL, SHT_STRTAB, SectionHeader,
};

use super::ElfError;
use super::codec::{Codec, c_string, slice};
use super::machine::{Abi, Machine};
use super::tables;

const DT_AUXILIARY: u64 = 0x7fff_fffd;
const DT_FILTER: u64 = 0x7fff_ffff;
const DT_CONFIG: u64 = 0x6fff_fefa;
const DT_DEPAUDIT: u64 = 0x6fff_fefb;
const DT_AUDIT: u64 = 0x6fff_fefc;

/// The dynamic tags whose value is an offset into the string table.
pub(super) const STRING_TAGS: [u64; 9] = [
    DT_NEEDED,
    DT_SONAME,
    DT_RPATH,
    DT_RUNPATH,
    DT_AUXILIARY,
    DT_FILTER,
    DT_CONFIG,
    DT_DEPAUDIT,
    DT_AUDIT,
];

/// A whole ELF file, checked.
pub(super) struct Elf<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) codec: Codec,
    pub(super) header: Header,
    pub(super) abi: Abi,
    pub(super) segments: Vec<ProgramHeader>,
    /// Empty when the file has no section header table.
    pub(super) sections: Vec<SectionHeader>,
    pub(super) section_names: Vec<&'a [u8]>,
    /// Where the interpreter's path stands, NUL and padding included.
    pub(super) interpreter: Option<Range<u64>>,
    pub(super) dynamic: Option<Dynamic>,
    /// Made by `--only-keep-debug`: headers of the real file over sections that are not here.
    pub(super) debug_only: bool,
}

/// The dynamic section, and the string table it names.
#[derive(Debug, Clone)]
pub(super) struct Dynamic {
    pub(super) offset: u64,
    pub(super) address: u64,
    /// How many entries there is room for, the final DT_NULL included.
    pub(super) capacity: u64,
    /// Tag and value, up to the DT_NULL that ends them.
    pub(super) entries: Vec<(u64, u64)>,
    /// File offset, address and size of the string table.
    pub(super) strings: Table,
}

/// A stretch of the file that is loaded somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) offset: u64,
    pub(super) address: u64,
    pub(super) size: u64,
}

impl Dynamic {
    pub(super) fn value(&self, tag: u64) -> Option<u64> {
        self.entries
            .iter()
            .find(|entry| entry.0 == tag)
            .map(|entry| entry.1)
    }
}

impl<'a> Elf<'a> {
    /// Reads and checks a whole file.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ElfError> {
        let (header, codec) = tables::header(bytes)?;
        let abi = Abi::new(
            codec.class,
            codec.endian,
            Machine(header.e_machine),
            header.e_ident[header::EI_OSABI],
            header.e_flags,
        );
        let (sections, section_names) = tables::sections(bytes, codec, &header)?;
        let segments = tables::segments(bytes, codec, &header)?;
        let mut elf = Self {
            bytes,
            codec,
            header,
            abi,
            segments,
            sections,
            section_names,
            interpreter: None,
            dynamic: None,
            debug_only: false,
        };
        elf.debug_only = elf.is_debug_only();
        if !elf.debug_only {
            elf.check_sections()?;
            elf.check_segments()?;
            elf.check_places()?;
            elf.interpreter = elf.parse_interpreter()?;
            elf.dynamic = elf.parse_dynamic()?;
        }
        Ok(elf)
    }

    pub(super) fn loads(&self) -> impl DoubleEndedIterator<Item = &ProgramHeader> {
        self.segments.iter().filter(|s| s.p_type == PT_LOAD)
    }

    pub(super) fn segment(&self, kind: u32) -> Option<&ProgramHeader> {
        self.segments.iter().find(|s| s.p_type == kind)
    }

    /// Where in the file the bytes loaded at `address` come from. Only if `size` bytes from there
    /// on come from one segment of the file.
    pub(super) fn offset_of(&self, address: u64, size: u64) -> Option<u64> {
        self.loads().find_map(|load| {
            let within = address.checked_sub(load.p_vaddr)?;
            let end = within.checked_add(size)?;
            (end <= load.p_filesz).then(|| load.p_offset + within)
        })
    }

    /// The string at `offset` of the dynamic string table.
    pub(super) fn string(&self, offset: u64) -> Result<&'a [u8], ElfError> {
        let strings = self.dynamic.as_ref().map(|d| d.strings);
        let Some(strings) = strings.filter(|s| offset < s.size) else {
            return Err(ElfError::lie(
                "a string of the dynamic section",
                offset,
                "an offset past the end of the dynamic string table",
            ));
        };
        let table = slice(self.bytes, strings.offset, strings.size, "the string table")?;
        c_string(table, offset, "a string of the dynamic string table")
    }

    /// The name of a section; empty when it has none.
    pub(super) fn section_name(&self, index: usize) -> &'a [u8] {
        self.section_names.get(index).copied().unwrap_or_default()
    }

    /// Headers of a file whose contents were left behind: `.text` or `.dynamic` without bytes.
    fn is_debug_only(&self) -> bool {
        self.sections.iter().enumerate().any(|(index, section)| {
            section.sh_type == SHT_NOBITS
                && section.sh_flags & u64::from(SHF_ALLOC) != 0
                && matches!(
                    self.section_name(index),
                    b".text" | b".dynamic" | b".interp"
                )
        })
    }

    fn check_sections(&self) -> Result<(), ElfError> {
        let entry = self.codec.section_size();
        for (index, section) in self.sections.iter().enumerate() {
            if matches!(section.sh_type, SHT_NULL | SHT_NOBITS) {
                continue;
            }
            let at = self.header.e_shoff + index as u64 * entry;
            let end = section.sh_offset.checked_add(section.sh_size);
            if end.is_none_or(|end| end > self.bytes.len() as u64) {
                return Err(ElfError::Outside {
                    what: "section header",
                    at,
                    offset: section.sh_offset,
                    size: section.sh_size,
                    end: self.bytes.len() as u64,
                });
            }
            if section.sh_link as usize >= self.sections.len() {
                return Err(ElfError::lie(
                    "section header",
                    at,
                    "a link to a section that does not exist",
                ));
            }
        }
        Ok(())
    }

    fn check_segments(&self) -> Result<(), ElfError> {
        let entry = self.codec.segment_size();
        let mut previous_end = 0;
        for (index, segment) in self.segments.iter().enumerate() {
            let at = self.header.e_phoff + index as u64 * entry;
            let end = segment.p_offset.checked_add(segment.p_filesz);
            if end.is_none_or(|end| segment.p_filesz > 0 && end > self.bytes.len() as u64) {
                return Err(ElfError::Outside {
                    what: "program header",
                    at,
                    offset: segment.p_offset,
                    size: segment.p_filesz,
                    end: self.bytes.len() as u64,
                });
            }
            if segment.p_type != PT_LOAD {
                continue;
            }
            let lie = |claim| Err(ElfError::lie("program header", at, claim));
            if segment.p_filesz > segment.p_memsz {
                return lie("a segment larger in the file than in memory");
            }
            if segment.p_vaddr < previous_end {
                return lie("a segment that is loaded over, or below, the one before it");
            }
            match segment.p_vaddr.checked_add(segment.p_memsz) {
                Some(end) if end <= self.codec.max_address() => previous_end = end,
                _ => return lie("a segment that ends past the end of the address space"),
            }
        }
        Ok(())
    }

    /// What is loaded of the sections that speak of names and versions must be, by its section
    /// header, where its address says: tools go by the one, the loader by the other.
    fn check_places(&self) -> Result<(), ElfError> {
        let entry = self.codec.section_size();
        for (index, section) in self.asked() {
            let place = self.offset_of(section.sh_addr, section.sh_size);
            if place.is_some_and(|place| place != section.sh_offset) {
                let at = self.header.e_shoff + index as u64 * entry;
                let claim = "another place in the file than its address has";
                return Err(ElfError::lie("section header", at, claim));
            }
        }
        Ok(())
    }

    /// The sections that speak of names and versions and say that they are loaded.
    fn asked(&self) -> impl Iterator<Item = (usize, &SectionHeader)> {
        const ASKED: [u32; 7] = [
            SHT_DYNAMIC,
            SHT_DYNSYM,
            SHT_GNU_VERDEF,
            SHT_GNU_VERNEED,
            SHT_GNU_VERSYM,
            SHT_HASH,
            SHT_STRTAB,
        ];
        self.sections.iter().enumerate().filter(|(_, section)| {
            section.sh_flags & u64::from(SHF_ALLOC) != 0 && ASKED.contains(&section.sh_type)
        })
    }

    /// Where the addresses end that such sections claim and no segment has. No linker makes such a file; but what comes
    /// to have these addresses would be taken for those sections.
    pub(super) fn unloaded_end(&self) -> u64 {
        let all = self.asked().map(|(_, section)| section);
        let unloaded =
            all.filter(|section| self.offset_of(section.sh_addr, section.sh_size).is_none());
        let ends = unloaded.map(|section| section.sh_addr.saturating_add(section.sh_size));
        ends.max().unwrap_or_default()
    }

    fn parse_interpreter(&self) -> Result<Option<Range<u64>>, ElfError> {
        let Some(segment) = self.segment(PT_INTERP) else {
            return Ok(None);
        };
        if self.offset_of(segment.p_vaddr, segment.p_filesz) != Some(segment.p_offset) {
            return Err(ElfError::lie(
                "PT_INTERP",
                segment.p_offset,
                "an address that no loaded segment brings from there",
            ));
        }
        let path = slice(
            self.bytes,
            segment.p_offset,
            segment.p_filesz,
            "the interpreter",
        )?;
        let lie = |what| ElfError::lie("PT_INTERP", segment.p_offset, what);
        let path = c_string(path, 0, "the interpreter's path")
            .map_err(|_| lie("a path without its final NUL"))?;
        str::from_utf8(path).map_err(|_| lie("a path that is not UTF-8"))?;
        Ok(Some(segment.p_offset..segment.p_offset + segment.p_filesz))
    }

    fn parse_dynamic(&self) -> Result<Option<Dynamic>, ElfError> {
        let Some(segment) = self.segment(PT_DYNAMIC) else {
            return Ok(None);
        };
        let offset = segment.p_offset;
        if self.offset_of(segment.p_vaddr, segment.p_filesz) != Some(offset) {
            return Err(ElfError::lie(
                "PT_DYNAMIC",
                offset,
                "an address that no loaded segment brings from there",
            ));
        }
        let parsed = dynamic::Dynamic::parse(
            self.bytes,
            std::slice::from_ref(segment),
            self.codec.goblin(),
        )
        .map_err(|error| ElfError::lie("PT_DYNAMIC", offset, error.to_string()))?;
        let mut entries: Vec<(u64, u64)> = parsed
            .map(|parsed| parsed.dyns.iter().map(|d| (d.d_tag, d.d_val)).collect())
            .unwrap_or_default();
        if entries.pop().is_none_or(|last| last.0 != DT_NULL) {
            return Err(ElfError::lie("PT_DYNAMIC", offset, "no DT_NULL at its end"));
        }
        let mut dynamic = Dynamic {
            offset,
            address: segment.p_vaddr,
            capacity: segment.p_filesz / self.codec.dynamic_size(),
            entries,
            strings: Table {
                offset: 0,
                address: 0,
                size: 0,
            },
        };
        dynamic.strings = self.parse_strings(&dynamic)?;
        Ok(Some(dynamic))
    }

    /// The string table, and that every string the dynamic section names is in it.
    fn parse_strings(&self, dynamic: &Dynamic) -> Result<Table, ElfError> {
        let lie = |claim: &str| ElfError::lie("the dynamic section", dynamic.offset, claim);
        let found = dynamic.value(DT_STRTAB).zip(dynamic.value(DT_STRSZ));
        let (address, size) = found.ok_or_else(|| lie("no DT_STRTAB with a DT_STRSZ"))?;
        let offset = self
            .offset_of(address, size)
            .ok_or_else(|| lie("a DT_STRTAB that no segment loads in full"))?;
        let table = slice(self.bytes, offset, size, "the dynamic string table")?;
        let programs = self.header.e_phoff;
        let programs_end = programs + self.segments.len() as u64 * self.codec.segment_size();
        if offset < self.codec.header_size() || offset < programs_end && programs < offset + size {
            return Err(lie("a DT_STRTAB that leads into the file's headers"));
        }
        if table.last().is_some_and(|last| *last != 0) {
            return Err(ElfError::lie(
                "the dynamic string table",
                offset,
                "no NUL at its end",
            ));
        }
        for (index, (tag, value)) in dynamic.entries.iter().enumerate() {
            if STRING_TAGS.contains(tag) && *value >= size {
                return Err(ElfError::lie(
                    "a dynamic entry",
                    dynamic.offset + index as u64 * self.codec.dynamic_size(),
                    "a string past the end of the string table",
                ));
            }
        }
        Ok(Table {
            offset,
            address,
            size,
        })
    }
}
