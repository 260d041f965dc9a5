//! ELF files made for tests: small, but with everything that a linker's output has and the writer
//! has to keep, for every class, byte order and machine, and what ld.so would say of a file.

#![allow(clippy::unwrap_used)]

use goblin::elf::dynamic as d;
use goblin::elf::header as h;
use goblin::elf::program_header::{self as p, ProgramHeader};
use goblin::elf::section_header::{self as s, SectionHeader};

use super::codec::{Class, Codec, Endian, align_up};
use super::read::Elf;

/// What a sample is to be like.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(super) class: Class,
    pub(super) endian: Endian,
    pub(super) machine: u16,
    pub(super) flags: u32,
    /// A program (with an interpreter) or a library.
    pub(super) interpreter: Option<&'static str>,
    /// Position-dependent programs are loaded here.
    pub(super) base: u64,
    pub(super) needed: Vec<&'static str>,
    pub(super) rpath: Option<&'static str>,
    pub(super) runpath: Option<&'static str>,
    /// Dynamic entries to spare, the final DT_NULL not counted.
    pub(super) spare: usize,
    /// `p_align` of the segments.
    pub(super) align: u64,
    pub(super) notes: bool,
    pub(super) sections: bool,
    /// Something that cannot be moved stands right behind the program headers.
    pub(super) blocked: bool,
    pub(super) bss: u64,
    /// A symbol of a section that does not exist.
    pub(super) stray_symbol: bool,
}

pub(super) const X86_64: Sample = Sample {
    class: Class::Bits64,
    endian: Endian::Little,
    machine: h::EM_X86_64,
    flags: 0,
    interpreter: None,
    base: 0,
    needed: Vec::new(),
    rpath: None,
    runpath: None,
    spare: 4,
    align: 0x1000,
    notes: true,
    sections: true,
    blocked: false,
    bss: 0x2345,
    stray_symbol: false,
};

/// One library for each machine that wheels are made for, with the page size linkers use there.
pub(crate) fn machines() -> Vec<Sample> {
    let of = |class, endian, machine, flags, align| Sample {
        class,
        endian,
        machine,
        flags,
        align,
        needed: vec!["libm.so.6", "libc.so.6"],
        ..X86_64
    };
    let (b32, b64) = (Class::Bits32, Class::Bits64);
    let (little, big) = (Endian::Little, Endian::Big);
    vec![
        of(b64, little, h::EM_X86_64, 0, 0x1000),
        of(b64, little, h::EM_AARCH64, 0, 0x1_0000),
        of(b32, little, h::EM_386, 0, 0x1000),
        of(b32, little, h::EM_ARM, 0x500_0400, 0x1_0000),
        of(b64, little, h::EM_PPC64, 2, 0x1_0000),
        of(b64, big, h::EM_S390, 0, 0x1000),
        of(b64, little, h::EM_RISCV, 5, 0x1000),
    ]
}

struct Builder {
    codec: Codec,
    out: Vec<u8>,
    names: Vec<u8>,
    sections: Vec<SectionHeader>,
    /// What is added to an offset to have the address.
    delta: u64,
}

impl Builder {
    fn put(&mut self, name: &str, kind: u32, flags: u32, align: u64, bytes: &[u8]) -> usize {
        let offset = align_up(self.out.len() as u64, align).unwrap();
        self.out.resize(offset as usize, 0);
        self.out.extend(bytes);
        let sh_name = self.names.len();
        self.names.extend(name.as_bytes());
        self.names.push(0);
        let alloc = flags & s::SHF_ALLOC != 0;
        self.sections.push(SectionHeader {
            sh_name,
            sh_type: kind,
            sh_flags: u64::from(flags),
            sh_addr: if alloc { offset + self.delta } else { 0 },
            sh_offset: offset,
            sh_size: bytes.len() as u64,
            sh_addralign: align,
            ..SectionHeader::default()
        });
        self.sections.len() - 1
    }

    fn symbol(&self, name: u32, value: u64, section: u16) -> Vec<u8> {
        let codec = self.codec;
        let mut out = codec.bytes32(name).to_vec();
        let info = [0x11, 0];
        if codec.class == Class::Bits64 {
            out.extend(info);
            out.extend(codec.bytes16(section));
        }
        out.extend(codec.bytes_address(value));
        out.extend(codec.bytes_address(16));
        if codec.class == Class::Bits32 {
            out.extend(info);
            out.extend(codec.bytes16(section));
        }
        out
    }
}

impl Sample {
    pub(crate) fn build(&self) -> Vec<u8> {
        let codec = Codec {
            class: self.class,
            endian: self.endian,
        };
        let word = codec.word();
        let mut strings = b"\0exported_name\0imported_name\0GLIBC_2.17\0libsample.so.1\0".to_vec();
        let mut string = |text: &str| {
            let at = strings.len() as u64;
            strings.extend(text.as_bytes());
            strings.push(0);
            at
        };
        let needed: Vec<u64> = self.needed.iter().map(|name| string(name)).collect();
        let rpath = self.rpath.map(&mut string);
        let runpath = self.runpath.map(&mut string);
        let program = self.interpreter.is_some();

        let count = 5 + u64::from(program) * 2 + u64::from(self.notes);
        let headers = codec.header_size() + count * codec.segment_size();
        let mut b = Builder {
            codec,
            out: vec![0; headers as usize],
            names: vec![0],
            sections: vec![SectionHeader::default()],
            delta: self.base,
        };
        let (alloc, write, exec) = (s::SHF_ALLOC, s::SHF_WRITE, s::SHF_EXECINSTR);
        if self.blocked {
            b.put(
                ".rodata",
                s::SHT_PROGBITS,
                alloc,
                1,
                b"code may refer to this",
            );
        }
        let interp = self.interpreter.map(|path| {
            b.put(
                ".interp",
                s::SHT_PROGBITS,
                alloc,
                1,
                format!("{path}\0").as_bytes(),
            )
        });
        let note = self.notes.then(|| {
            let mut note = [4, 20, 3].map(|field| codec.bytes32(field)).concat();
            note.extend(b"GNU\0");
            note.extend([0xb1; 20]);
            b.put(".note.gnu.build-id", s::SHT_NOTE, alloc, 4, &note)
        });
        let wide = if self.machine == h::EM_S390 { 8 } else { 4 };
        let hash: Vec<u8> = [1_u32, 3, 1, 0, 0, 0]
            .iter()
            .flat_map(|value| match wide {
                8 => codec.bytes_address(u64::from(*value)),
                _ => codec.bytes32(*value).to_vec(),
            })
            .collect();
        let hash = b.put(".hash", s::SHT_HASH, alloc, word, &hash);
        let symbols = [
            b.symbol(0, 0, 0),
            b.symbol(1, self.base + 0x800, 1),
            b.symbol(15, 0, 0),
        ];
        let symbols = b.put(".dynsym", s::SHT_DYNSYM, alloc, word, &symbols.concat());
        let dynstr = b.put(".dynstr", s::SHT_STRTAB, alloc, 1, &strings);
        let versions = [0, 1, 2].map(|version| codec.bytes16(version)).concat();
        let versions = b.put(".gnu.version", s::SHT_GNU_VERSYM, alloc, 2, &versions);
        // One library, one version.
        let mut need = [codec.bytes16(1), codec.bytes16(1)].concat();
        let file = needed.last().copied().unwrap_or(0) as u32;
        need.extend(
            [file, 16, 0, 0x0969_7197]
                .map(|field| codec.bytes32(field))
                .concat(),
        );
        need.extend([codec.bytes16(0), codec.bytes16(2)].concat());
        need.extend([29, 0].map(|field| codec.bytes32(field)).concat());
        let need = b.put(".gnu.version_r", s::SHT_GNU_VERNEED, alloc, word, &need);
        b.put(".text", s::SHT_PROGBITS, alloc | exec, 16, &[0xaa; 0x101]);
        let text_end = b.out.len() as u64;

        // The next segment begins in the next page of memory, and where this one ends in the file.
        let start = align_up(text_end, 16).unwrap();
        b.delta = self.base + self.align;
        b.out.resize(start as usize, 0);
        let (o, a) = (
            |b: &Builder, index: usize| b.sections[index].sh_offset,
            |b: &Builder, index: usize| b.sections[index].sh_addr,
        );
        let mut entries: Vec<(u64, u64)> = needed.iter().map(|at| (d::DT_NEEDED, *at)).collect();
        if !program {
            entries.push((d::DT_SONAME, 40));
        }
        entries.extend(rpath.map(|at| (d::DT_RPATH, at)));
        entries.extend(runpath.map(|at| (d::DT_RUNPATH, at)));
        entries.extend([
            (d::DT_HASH, a(&b, hash)),
            (d::DT_STRTAB, a(&b, dynstr)),
            (d::DT_SYMTAB, a(&b, symbols)),
            (d::DT_STRSZ, strings.len() as u64),
            (d::DT_SYMENT, codec.symbol_size()),
            (d::DT_VERSYM, a(&b, versions)),
        ]);
        if !needed.is_empty() {
            entries.extend([(d::DT_VERNEED, a(&b, need)), (d::DT_VERNEEDNUM, 1)]);
        }
        entries.resize(entries.len() + 1 + self.spare, (d::DT_NULL, 0));
        let table: Vec<u8> = entries
            .iter()
            .flat_map(|(tag, value)| {
                [codec.bytes_address(*tag), codec.bytes_address(*value)].concat()
            })
            .collect();
        let dynamic = b.put(".dynamic", s::SHT_DYNAMIC, alloc | write, word, &table);
        b.put(".data", s::SHT_PROGBITS, alloc | write, 16, &[0xdd; 40]);
        let data_end = b.out.len() as u64;
        let bss = b.put(".bss", s::SHT_NOBITS, alloc | write, 1, &[]);
        b.sections[bss].sh_size = self.bss;

        let mut locals = vec![
            b.symbol(0, 0, 0),
            b.symbol(1, a(&b, dynamic), dynamic as u16),
            b.symbol(0, a(&b, dynstr), dynstr as u16),
        ];
        if self.stray_symbol {
            locals.push(b.symbol(0, 0x1234, 0x777));
        }
        let symtab = b.put(".symtab", s::SHT_SYMTAB, 0, word, &locals.concat());
        let strtab = b.put(".strtab", s::SHT_STRTAB, 0, 1, b"\0_DYNAMIC\0");
        for (index, link, size) in [
            (hash, symbols, 4),
            (symbols, dynstr, codec.symbol_size()),
            (versions, symbols, 2),
            (need, dynstr, 0),
            (dynamic, dynstr, codec.dynamic_size()),
            (symtab, strtab, codec.symbol_size()),
        ] {
            b.sections[index].sh_link = link as u32;
            b.sections[index].sh_entsize = size;
        }
        b.sections[need].sh_info = 1;
        b.sections[symbols].sh_info = 1;

        let segment = |kind, flags, offset: u64, delta: u64, filesz, memsz, align| ProgramHeader {
            p_type: kind,
            p_flags: flags,
            p_offset: offset,
            p_vaddr: offset + delta,
            p_paddr: offset + delta,
            p_filesz: filesz,
            p_memsz: memsz,
            p_align: align,
        };
        let (low, high) = (self.base, self.base + self.align);
        let of = |b: &Builder, kind, flags, index: usize, delta, align| {
            let size = b.sections[index].sh_size;
            segment(kind, flags, o(b, index), delta, size, size, align)
        };
        let mut segments = Vec::new();
        if let Some(interp) = interp {
            let size = count * codec.segment_size();
            segments.push(segment(
                p::PT_PHDR,
                p::PF_R,
                codec.header_size(),
                low,
                size,
                size,
                word,
            ));
            segments.push(of(&b, p::PT_INTERP, p::PF_R, interp, low, 1));
        }
        segments.push(segment(
            p::PT_LOAD,
            p::PF_R | p::PF_X,
            0,
            low,
            text_end,
            text_end,
            self.align,
        ));
        let data = data_end - start;
        segments.push(segment(
            p::PT_LOAD,
            p::PF_R | p::PF_W,
            start,
            high,
            data,
            data + self.bss,
            self.align,
        ));
        segments.push(of(
            &b,
            p::PT_DYNAMIC,
            p::PF_R | p::PF_W,
            dynamic,
            high,
            word,
        ));
        segments.extend(note.map(|note| of(&b, p::PT_NOTE, p::PF_R, note, low, 4)));
        segments.push(segment(p::PT_GNU_STACK, p::PF_R | p::PF_W, 0, 0, 0, 0, 16));
        let relro = b.sections[dynamic].sh_size;
        segments.push(segment(
            p::PT_GNU_RELRO,
            p::PF_R,
            start,
            high,
            relro,
            relro,
            1,
        ));
        assert_eq!(segments.len() as u64, count);

        let names_at = b.names.len();
        b.names.extend(b".shstrtab\0");
        let names = b.names.clone();
        b.put("", s::SHT_STRTAB, 0, 1, &names);
        if let Some(last) = b.sections.last_mut() {
            last.sh_name = names_at;
        }
        let table_at = align_up(b.out.len() as u64, 8).unwrap();
        if self.sections {
            b.out.resize(table_at as usize, 0);
            let table: Vec<u8> = b
                .sections
                .iter()
                .flat_map(|section| codec.section(section))
                .collect();
            b.out.extend(table);
        } else {
            b.out.truncate(data_end as usize);
        }

        let mut header = b"\x7fELF".to_vec();
        header.push(if self.class == Class::Bits64 { 2 } else { 1 });
        header.push(if self.endian == Endian::Little { 1 } else { 2 });
        header.extend([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let kind = if self.base > 0 { h::ET_EXEC } else { h::ET_DYN };
        header.extend(codec.bytes16(kind));
        header.extend(codec.bytes16(self.machine));
        header.extend(codec.bytes32(1));
        header.extend(codec.bytes_address(self.base + 0x400));
        header.extend(codec.bytes_address(codec.header_size()));
        header.extend(codec.bytes_address(if self.sections { table_at } else { 0 }));
        header.extend(codec.bytes32(self.flags));
        let sections = if self.sections {
            b.sections.len() as u16
        } else {
            0
        };
        let sizes = [
            codec.header_size(),
            codec.segment_size(),
            count,
            codec.section_size(),
        ];
        header.extend(sizes.iter().flat_map(|size| codec.bytes16(*size as u16)));
        header.extend(codec.bytes16(sections));
        header.extend(codec.bytes16(sections.saturating_sub(1)));
        header.extend(segments.iter().flat_map(|segment| codec.segment(segment)));
        b.out[..header.len()].copy_from_slice(&header);
        b.out
    }
}

/// What the kernel and ld.so would find wrong with a file, and what tools would that go by the
/// section headers.
pub(super) fn faults(bytes: &[u8]) -> Vec<String> {
    let elf = match Elf::parse(bytes) {
        Ok(elf) => elf,
        Err(error) => return vec![error.to_string()],
    };
    let mut faults = Vec::new();
    let mut check = |fine: bool, what: String| {
        if !fine {
            faults.push(what);
        }
    };
    let page = elf.abi.machine.max_page().unwrap_or(0x1000);
    let mut mapped_to = 0;
    for load in elf.loads() {
        let align = load.p_align.max(page);
        check(
            load.p_vaddr % page == load.p_offset % page,
            format!("offset and address differ modulo {page:#x}: {load:?}"),
        );
        check(
            load.p_vaddr % load.p_align.max(1) == load.p_offset % load.p_align.max(1),
            format!("offset and address differ modulo p_align: {load:?}"),
        );
        check(
            load.p_align >= page.min(align),
            format!("too little p_align: {load:?}"),
        );
        check(
            load.p_vaddr / page * page >= mapped_to,
            format!("shares a page with the segment before it: {load:?}"),
        );
        mapped_to = (load.p_vaddr + load.p_memsz).next_multiple_of(page);
    }
    for segment in &elf.segments {
        let located = matches!(
            segment.p_type,
            p::PT_PHDR | p::PT_INTERP | p::PT_DYNAMIC | p::PT_NOTE | p::PT_GNU_RELRO
        );
        check(
            !located || elf.offset_of(segment.p_vaddr, segment.p_filesz) == Some(segment.p_offset),
            format!("not loaded from where it says: {segment:?}"),
        );
        if segment.p_type == p::PT_PHDR {
            check(
                segment.p_offset == elf.header.e_phoff
                    && segment.p_filesz == u64::from(elf.header.e_phnum) * elf.codec.segment_size(),
                format!("PT_PHDR is not the program header table: {segment:?}"),
            );
        }
    }
    if let Some(dynamic) = &elf.dynamic {
        let writable = elf.loads().any(|load| {
            load.p_flags & p::PF_W != 0
                && (load.p_vaddr..load.p_vaddr + load.p_memsz).contains(&dynamic.address)
        });
        check(writable, "the dynamic section is read-only".to_owned());
    }
    for (index, section) in elf.sections.iter().enumerate() {
        if super::parts::is_loaded(section) {
            let name = String::from_utf8_lossy(elf.section_name(index));
            check(
                elf.offset_of(section.sh_addr, section.sh_size) == Some(section.sh_offset),
                format!("section {name} is not loaded from where it says: {section:?}"),
            );
        }
    }
    let mut ends: Vec<(u64, u64, usize)> = Vec::new();
    for (index, section) in elf.sections.iter().enumerate() {
        if !matches!(section.sh_type, s::SHT_NULL | s::SHT_NOBITS) && section.sh_size > 0 {
            ends.push((
                section.sh_offset,
                section.sh_offset + section.sh_size,
                index,
            ));
        }
    }
    ends.sort_unstable();
    for pair in ends.windows(2) {
        check(
            pair[0].1 <= pair[1].0,
            format!("sections overlap: {pair:?}"),
        );
    }
    let headers = elf.header.e_phoff + u64::from(elf.header.e_phnum) * elf.codec.segment_size();
    for (start, end, index) in ends {
        check(
            end <= elf.header.e_phoff || start >= headers,
            format!("section {index} overlaps the program headers"),
        );
    }
    faults
}

/// Bytes by address; names.
type Essence = (Vec<(u64, Vec<u8>)>, Vec<Vec<u8>>);

/// What must not change, whatever is patched: every loaded byte but those of the parts that can be
/// moved, by address; and the names of the symbols.
pub(super) fn essence(bytes: &[u8]) -> Essence {
    let elf = Elf::parse(bytes).unwrap();
    let mut fixed = Vec::new();
    for (index, section) in elf.sections.iter().enumerate() {
        let name = elf.section_name(index);
        if super::parts::is_loaded(section) && matches!(name, b".text" | b".data" | b".rodata") {
            let (start, size) = (section.sh_offset as usize, section.sh_size as usize);
            fixed.push((section.sh_addr, bytes[start..start + size].to_vec()));
        }
    }
    let mut names = Vec::new();
    let dynamic = elf.dynamic.as_ref().unwrap();
    let symbols = elf
        .offset_of(dynamic.value(d::DT_SYMTAB).unwrap(), 1)
        .unwrap();
    for index in 0..3 {
        let at = symbols + index * elf.codec.symbol_size();
        let name = elf.codec.u32(bytes, at, "").unwrap();
        names.push(elf.string(u64::from(name)).unwrap().to_vec());
    }
    (fixed, names)
}
