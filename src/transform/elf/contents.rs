//! What is in an ELF file, for comparing two of them: its sections' bytes and the names it exports.

use std::collections::{BTreeMap, BTreeSet};

use goblin::elf::section_header::{SHT_NOBITS, SHT_NULL};
use goblin::elf::sym::{STB_GLOBAL, STB_WEAK, STV_DEFAULT, STV_PROTECTED};

use super::ElfError;
use super::read::Elf;

/// The bytes of each section by its name. Of several of one name, all are behind each other.
///
/// # Errors
/// When it is no ELF file, or its headers are not true.
pub fn sections(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, ElfError> {
    let elf = Elf::parse(bytes)?;
    let mut all: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (index, section) in elf.sections.iter().enumerate() {
        if matches!(section.sh_type, SHT_NULL | SHT_NOBITS) {
            continue;
        }
        let name = String::from_utf8_lossy(elf.section_name(index)).into_owned();
        let from = usize::try_from(section.sh_offset).unwrap_or(usize::MAX);
        let size = usize::try_from(section.sh_size).unwrap_or(usize::MAX);
        let part = bytes
            .get(from..from.saturating_add(size))
            .unwrap_or_default();
        all.entry(name).or_default().extend_from_slice(part);
    }
    Ok(all)
}

/// The names that other files may link to: defined, global or weak, and not hidden.
///
/// # Errors
/// When it is no ELF file, or its headers are not true.
pub fn exported(bytes: &[u8]) -> Result<BTreeSet<String>, ElfError> {
    // Our own reader first: it holds the headers against the file.
    Elf::parse(bytes)?;
    let elf = goblin::elf::Elf::parse(bytes)
        .map_err(|error| ElfError::lie("the dynamic symbol table", 0, error.to_string()))?;
    let names = elf.dynsyms.iter().filter(|symbol| {
        symbol.st_shndx != 0
            && matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK)
            && matches!(symbol.st_visibility(), STV_DEFAULT | STV_PROTECTED)
    });
    Ok(names
        .filter_map(|symbol| elf.dynstrtab.get_at(symbol.st_name))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect())
}
