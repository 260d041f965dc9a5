//! The ELF header and both header tables, as goblin decodes them: whole, of the sizes that they should have, and with a name for
//! each section.

use goblin::elf::header::{self, Header};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::section_header::{SHN_XINDEX, SHT_STRTAB, SectionHeader};

use super::ElfError;
use super::codec::{Class, Codec, Endian, c_string, slice};

/// The first four bytes of every ELF file.
pub const MAGIC: [u8; 4] = *b"\x7fELF";

pub(super) fn header(bytes: &[u8]) -> Result<(Header, Codec), ElfError> {
    let ident = slice(
        bytes,
        0,
        header::SIZEOF_IDENT as u64,
        "the ELF identification",
    )?;
    if !ident.starts_with(&MAGIC) {
        return Err(ElfError::NotElf);
    }
    let field = |index: usize| ident.get(index).copied().unwrap_or_default();
    let lie = |index: usize, claim: &str| ElfError::lie("the ELF header", index as u64, claim);
    let class = match field(header::EI_CLASS) {
        header::ELFCLASS32 => Class::Bits32,
        header::ELFCLASS64 => Class::Bits64,
        other => {
            return Err(lie(
                header::EI_CLASS,
                &format!("class {other}, which is neither 32 nor 64 bits"),
            ));
        }
    };
    let endian = match field(header::EI_DATA) {
        header::ELFDATA2LSB => Endian::Little,
        header::ELFDATA2MSB => Endian::Big,
        other => {
            return Err(lie(
                header::EI_DATA,
                &format!("byte order {other}, which is neither little nor big"),
            ));
        }
    };
    let codec = Codec { class, endian };
    slice(bytes, 0, codec.header_size(), "the ELF header")?;
    let header =
        goblin::elf::Elf::parse_header(bytes).map_err(|error| lie(0, &error.to_string()))?;
    Ok((header, codec))
}

pub(super) fn segments(
    bytes: &[u8],
    codec: Codec,
    header: &Header,
) -> Result<Vec<ProgramHeader>, ElfError> {
    let count = u64::from(header.e_phnum);
    if count == 0 {
        return Ok(Vec::new());
    }
    if u64::from(header.e_phentsize) != codec.segment_size() || header.e_phnum == u16::MAX {
        return Err(ElfError::lie(
            "the ELF header",
            codec.header_fields().1,
            format!("{count} program headers of {} bytes", header.e_phentsize),
        ));
    }
    slice(
        bytes,
        header.e_phoff,
        count * codec.segment_size(),
        "the program header table",
    )?;
    ProgramHeader::parse(
        bytes,
        header.e_phoff as usize,
        count as usize,
        codec.goblin(),
    )
    .map_err(|error| {
        ElfError::lie(
            "the program header table",
            header.e_phoff,
            error.to_string(),
        )
    })
}

/// The section headers and their names.
pub(super) fn sections<'a>(
    bytes: &'a [u8],
    codec: Codec,
    header: &Header,
) -> Result<(Vec<SectionHeader>, Vec<&'a [u8]>), ElfError> {
    let at = header.e_shoff;
    if at == 0 {
        return Ok((Vec::new(), Vec::new()));
    }
    let lie = |claim: String| ElfError::lie("the section header table", at, claim);
    if u64::from(header.e_shentsize) != codec.section_size() {
        return Err(lie(format!(
            "section headers of {} bytes",
            header.e_shentsize
        )));
    }
    let count = u64::from(header.e_shnum).max(1);
    slice(
        bytes,
        at,
        count * codec.section_size(),
        "the section header table",
    )?;
    let sections = SectionHeader::parse(
        bytes,
        at as usize,
        usize::from(header.e_shnum),
        codec.goblin(),
    )
    .map_err(|error| lie(error.to_string()))?;

    let names = match (header.e_shstrndx, sections.first()) {
        (0, _) | (_, None) => None,
        (index, Some(first)) if u32::from(index) == SHN_XINDEX => Some(first.sh_link),
        (index, _) => Some(u32::from(index)),
    };
    let Some(names) = names else {
        return Ok((sections, Vec::new()));
    };
    let names = sections
        .get(names as usize)
        .filter(|section| section.sh_type == SHT_STRTAB)
        .ok_or_else(|| {
            lie(format!(
                "section {names} for the names, which is not a string table"
            ))
        })?;
    let names = slice(bytes, names.sh_offset, names.sh_size, "the section names")?;
    let names = sections
        .iter()
        .map(|section| c_string(names, section.sh_name as u64, "a section's name"))
        .collect::<Result<_, _>>()?;
    Ok((sections, names))
}
