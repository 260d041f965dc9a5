//! The two classes and two byte orders of ELF: sizes of the records, reading a field out of bytes,
//! writing a record into bytes. Nothing else in this room knows how wide a field is.
//!
//! Record layouts are those of the System V gABI, chapters "ELF Header", "Sections" and "Program
//! Header", and of its "Dynamic Section".

use goblin::container::{Container, Ctx};
use goblin::elf::program_header::ProgramHeader;
use goblin::elf::section_header::SectionHeader;
use serde::Serialize;

use super::ElfError;

/// Width of addresses and offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// ELFCLASS32
    Bits32,
    /// ELFCLASS64
    Bits64,
}

impl Class {
    /// 32 or 64.
    pub fn bits(self) -> u8 {
        match self {
            Self::Bits32 => 32,
            Self::Bits64 => 64,
        }
    }
}

impl Serialize for Class {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.bits())
    }
}

/// Byte order of every multi-byte field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Endian {
    /// ELFDATA2LSB
    Little,
    /// ELFDATA2MSB
    Big,
}

/// Reads and writes records of one class and byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Codec {
    pub(super) class: Class,
    pub(super) endian: Endian,
}

impl Codec {
    pub(super) fn goblin(self) -> Ctx {
        let container = match self.class {
            Class::Bits32 => Container::Little,
            Class::Bits64 => Container::Big,
        };
        let endian = match self.endian {
            Endian::Little => goblin::container::Endian::Little,
            Endian::Big => goblin::container::Endian::Big,
        };
        Ctx::new(container, endian)
    }

    fn pick(self, bits32: u64, bits64: u64) -> u64 {
        match self.class {
            Class::Bits32 => bits32,
            Class::Bits64 => bits64,
        }
    }

    pub(super) fn header_size(self) -> u64 {
        self.pick(52, 64)
    }

    pub(super) fn segment_size(self) -> u64 {
        self.pick(32, 56)
    }

    pub(super) fn section_size(self) -> u64 {
        self.pick(40, 64)
    }

    pub(super) fn dynamic_size(self) -> u64 {
        self.pick(8, 16)
    }

    pub(super) fn symbol_size(self) -> u64 {
        self.pick(16, 24)
    }

    /// Size, and alignment, of an address.
    pub(super) fn word(self) -> u64 {
        self.pick(4, 8)
    }

    /// The largest address or offset that can be written.
    pub(super) fn max_address(self) -> u64 {
        self.pick(u64::from(u32::MAX), u64::MAX)
    }

    /// Where `e_phoff` and `e_phnum` stand in the ELF header.
    pub(super) fn header_fields(self) -> (u64, u64) {
        (self.pick(28, 32), self.pick(44, 56))
    }

    /// Where `st_size` stands in a symbol.
    pub(super) fn symbol_size_field(self) -> u64 {
        self.pick(8, 16)
    }

    /// Where `st_value` and `st_shndx` stand in a symbol. (`st_name` is first in both classes.)
    pub(super) fn symbol_fields(self) -> (u64, u64) {
        (self.pick(4, 8), self.pick(14, 6))
    }

    pub(super) fn u16(
        self,
        bytes: &[u8],
        offset: u64,
        what: &'static str,
    ) -> Result<u16, ElfError> {
        let raw = array(bytes, offset, what)?;
        Ok(match self.endian {
            Endian::Little => u16::from_le_bytes(raw),
            Endian::Big => u16::from_be_bytes(raw),
        })
    }

    pub(super) fn u32(
        self,
        bytes: &[u8],
        offset: u64,
        what: &'static str,
    ) -> Result<u32, ElfError> {
        let raw = array(bytes, offset, what)?;
        Ok(match self.endian {
            Endian::Little => u32::from_le_bytes(raw),
            Endian::Big => u32::from_be_bytes(raw),
        })
    }

    fn u64(self, bytes: &[u8], offset: u64, what: &'static str) -> Result<u64, ElfError> {
        let raw = array(bytes, offset, what)?;
        Ok(match self.endian {
            Endian::Little => u64::from_le_bytes(raw),
            Endian::Big => u64::from_be_bytes(raw),
        })
    }

    /// An address or offset: four bytes or eight.
    pub(super) fn address(
        self,
        bytes: &[u8],
        offset: u64,
        what: &'static str,
    ) -> Result<u64, ElfError> {
        match self.class {
            Class::Bits32 => self.u32(bytes, offset, what).map(u64::from),
            Class::Bits64 => self.u64(bytes, offset, what),
        }
    }

    pub(super) fn bytes16(self, value: u16) -> [u8; 2] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn bytes32(self, value: u32) -> [u8; 4] {
        match self.endian {
            Endian::Little => value.to_le_bytes(),
            Endian::Big => value.to_be_bytes(),
        }
    }

    /// An address or offset, as wide as the class has it. What does not fit was refused when the
    /// layout was made (see [`Self::max_address`]).
    pub(super) fn bytes_address(self, value: u64) -> Vec<u8> {
        match (self.class, self.endian) {
            (Class::Bits32, _) => self.bytes32(value as u32).to_vec(),
            (Class::Bits64, Endian::Little) => value.to_le_bytes().to_vec(),
            (Class::Bits64, Endian::Big) => value.to_be_bytes().to_vec(),
        }
    }

    pub(super) fn segment(self, segment: &ProgramHeader) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.segment_size() as usize);
        out.extend(self.bytes32(segment.p_type));
        if self.class == Class::Bits64 {
            out.extend(self.bytes32(segment.p_flags));
        }
        for value in [
            segment.p_offset,
            segment.p_vaddr,
            segment.p_paddr,
            segment.p_filesz,
            segment.p_memsz,
        ] {
            out.extend(self.bytes_address(value));
        }
        if self.class == Class::Bits32 {
            out.extend(self.bytes32(segment.p_flags));
        }
        out.extend(self.bytes_address(segment.p_align));
        out
    }

    pub(super) fn section(self, section: &SectionHeader) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.section_size() as usize);
        out.extend(self.bytes32(section.sh_name as u32));
        out.extend(self.bytes32(section.sh_type));
        for value in [
            section.sh_flags,
            section.sh_addr,
            section.sh_offset,
            section.sh_size,
        ] {
            out.extend(self.bytes_address(value));
        }
        out.extend(self.bytes32(section.sh_link));
        out.extend(self.bytes32(section.sh_info));
        out.extend(self.bytes_address(section.sh_addralign));
        out.extend(self.bytes_address(section.sh_entsize));
        out
    }
}

fn array<const N: usize>(
    bytes: &[u8],
    offset: u64,
    what: &'static str,
) -> Result<[u8; N], ElfError> {
    slice(bytes, offset, N as u64, what)?
        .try_into()
        .map_err(|_| ElfError::truncated(bytes, what, offset, N as u64))
}

/// `len` bytes at `offset`, or an error that says what should have been there.
pub(super) fn slice<'a>(
    bytes: &'a [u8],
    offset: u64,
    len: u64,
    what: &'static str,
) -> Result<&'a [u8], ElfError> {
    let range = usize::try_from(offset).ok().zip(
        offset
            .checked_add(len)
            .and_then(|end| usize::try_from(end).ok()),
    );
    range
        .and_then(|(start, end)| bytes.get(start..end))
        .ok_or_else(|| ElfError::truncated(bytes, what, offset, len))
}

/// The bytes of the NUL-terminated string at `offset`, without the NUL.
pub(super) fn c_string<'a>(
    bytes: &'a [u8],
    offset: u64,
    what: &'static str,
) -> Result<&'a [u8], ElfError> {
    let rest = usize::try_from(offset)
        .ok()
        .and_then(|start| bytes.get(start..))
        .ok_or_else(|| ElfError::truncated(bytes, what, offset, 1))?;
    let end = memchr::memchr(0, rest)
        .ok_or_else(|| ElfError::lie(what, offset, "a string without its final NUL"))?;
    rest.get(..end)
        .ok_or_else(|| ElfError::truncated(bytes, what, offset, end as u64))
}

/// `value` rounded up to a multiple of `align` (a power of two, or 0 and 1 for none).
pub(super) fn align_up(value: u64, align: u64) -> Option<u64> {
    match align {
        0 | 1 => Some(value),
        align => value.checked_next_multiple_of(align),
    }
}
