//! Editing an ELF file: bytes and an [`Edit`] in, a [`Patched`] out. What fits is written in place;
//! what does not goes where [`super::layout`] says. Pure: nothing here touches a disk.

use goblin::elf::dynamic::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB};
use goblin::elf::section_header::{SHN_ABS, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::STT_TLS;

use super::ElfError;
use super::codec::{align_up, c_string, slice};
use super::draft::Draft;
use super::facts::ElfFacts;
use super::headers::{Headers, Move};
use super::layout;
use super::overlap;
use super::parts::{self, What};
use super::read::{Elf, STRING_TAGS};
use super::strings::{self, Strings};
use super::versions;

/// What is to become of RPATH and RUNPATH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Rpath {
    /// Nothing.
    #[default]
    Keep,
    /// One RUNPATH with this value, and no RPATH. Its entries are separated by colons.
    Set(String),
    /// Neither.
    Remove,
}

/// What is to be changed in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    /// The search path for libraries.
    pub rpath: Rpath,
    /// The program that the kernel starts in the file's stead.
    pub interpreter: Option<String>,
    /// NEEDED entries to be given another name, also where versions are asked of them. Names that
    /// the file does not need are passed over.
    pub replace_needed: Vec<(String, String)>,
}

/// How a file was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It says already what was to be said.
    Unchanged,
    /// Everything fit where it was.
    InPlace,
    /// Something moved to the annex, a segment at the file's end.
    Moved,
}

/// A patched file, as its differences from the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// Offset and bytes, to be written in this order.
    pub changes: Vec<(u64, Vec<u8>)>,
    /// Length of the file; what is new and not written to is zeros.
    pub len: u64,
    /// How it was done.
    pub how: How,
}

impl Patched {
    /// The whole file, made of the one that was read.
    pub fn apply(&self, original: &[u8]) -> Vec<u8> {
        let mut file = original.to_vec();
        file.resize(self.len as usize, 0);
        for (at, bytes) in &self.changes {
            let at = *at as usize;
            let room = file
                .get_mut(at..)
                .and_then(|rest| rest.get_mut(..bytes.len()));
            if let Some(room) = room {
                room.copy_from_slice(bytes);
            }
        }
        file
    }
}

/// Applies an edit to a file.
///
/// # Errors
/// Headers that lie (see [`ElfError::Lie`] and its like), edits of what the file does not have, and
/// files that must not be made longer.
pub fn patch(bytes: &[u8], edit: &Edit) -> Result<Patched, ElfError> {
    let elf = Elf::parse(bytes)?;
    // A file whose strings lie is refused, and not only when the edit comes to them.
    ElfFacts::of(&elf)?;
    let mut work = Work {
        draft: Draft::new(bytes),
        growth: Vec::new(),
        entries: elf
            .dynamic
            .as_ref()
            .map(|dynamic| dynamic.entries.clone())
            .unwrap_or_default(),
        elf: &elf,
    };
    work.edit_interpreter(edit)?;
    work.edit_dynamic(edit)?;
    let patched = work.finish()?;
    // There a change of one changes the other: no file is given out that would be refused when it comes back.
    if patched.how != How::Unchanged && overlap::is_in(&elf)? {
        ElfFacts::read(&patched.apply(bytes))
            .map_err(|error| ElfError::Overlapping(Box::new(error)))?;
    }
    Ok(patched)
}

struct Work<'e, 'a> {
    elf: &'e Elf<'a>,
    draft: Draft<'a>,
    /// The parts that need more room, and their bytes. Those of the dynamic section are written
    /// last, when all addresses are known.
    growth: Vec<(What, Vec<u8>)>,
    /// The dynamic section as it will be, without the DT_NULL.
    entries: Vec<(u64, u64)>,
}

impl Work<'_, '_> {
    fn edit_interpreter(&mut self, edit: &Edit) -> Result<(), ElfError> {
        let Some(path) = &edit.interpreter else {
            return Ok(());
        };
        let Some(range) = &self.elf.interpreter else {
            return Err(ElfError::Lacks {
                what: "the interpreter",
                lacks: "PT_INTERP: it is a library or statically linked",
            });
        };
        let (room, mut bytes) = ((range.end - range.start) as usize, terminated(path)?);
        let old = slice(self.elf.bytes, range.start, room as u64, "the interpreter")?;
        if old.starts_with(&bytes) {
            return Ok(());
        }
        if bytes.len() <= room {
            bytes.resize(room, 0);
            self.draft.put(range.start, bytes);
        } else {
            self.growth.push((What::Interpreter, bytes));
        }
        Ok(())
    }

    fn edit_dynamic(&mut self, edit: &Edit) -> Result<(), ElfError> {
        let Some(dynamic) = &self.elf.dynamic else {
            return match edit.rpath {
                Rpath::Set(_) => Err(ElfError::Lacks {
                    what: "a RUNPATH",
                    lacks: "dynamic section: nothing looks up libraries for it",
                }),
                Rpath::Keep | Rpath::Remove => Ok(()),
            };
        };
        let wanted = wanted_entries(self.elf, edit)?;
        let mut renamed = Vec::new();
        let mut kept = Vec::new();
        let mut given_up = Vec::new();
        for need in versions::needs(self.elf)? {
            match renaming(self.elf, edit, need.file)? {
                Some(name) => {
                    renamed.push((need.file_field, name));
                    given_up.push(need.file);
                }
                None => kept.push(need.file),
            }
        }
        let same = wanted
            .iter()
            .map(|(tag, value)| Some((*tag, value.same()?)));
        if renamed.is_empty() && same.eq(self.entries.iter().copied().map(Some)) {
            return Ok(());
        }

        let table = dynamic.strings;
        let bytes = slice(
            self.elf.bytes,
            table.offset,
            table.size,
            "the dynamic string table",
        )?;
        let mut strings = Strings::new(bytes);
        kept.extend(
            wanted
                .iter()
                .filter_map(|(tag, value)| value.same().filter(|_| STRING_TAGS.contains(tag))),
        );
        given_up.extend(self.entries.iter().filter_map(|(tag, value)| {
            (STRING_TAGS.contains(tag) && !kept.contains(value)).then_some(*value)
        }));
        if !given_up.is_empty()
            && let Some(mut users) = strings::users(self.elf)?
        {
            users.extend(kept);
            strings.release(given_up, users);
        }
        for (field, name) in renamed {
            let at = strings.place(name);
            self.draft.put(field, self.elf.codec.bytes32(at as u32));
        }
        self.entries = wanted
            .into_iter()
            .map(|(tag, value)| match value {
                Value::Same(value) => (tag, value),
                Value::Text(text) => (tag, strings.place(text)),
            })
            .collect();

        if strings.has_grown() {
            self.growth.push((What::Strings, strings.into_bytes()));
        } else {
            self.draft.put(table.offset, strings.into_bytes());
        }
        if self.entries.len() as u64 >= dynamic.capacity {
            let size = (self.entries.len() as u64 + 1) * self.elf.codec.dynamic_size();
            self.growth.push((What::Dynamic, vec![0; size as usize]));
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Patched, ElfError> {
        let mut how = How::InPlace;
        let mut dynamic_at = self.elf.dynamic.as_ref().map(|dynamic| dynamic.offset);
        if !self.growth.is_empty() {
            how = How::Moved;
            self.place(&mut dynamic_at)?;
        }
        if let (Some(at), Some(dynamic)) = (dynamic_at, &self.elf.dynamic) {
            // What is left of the table is filled with DT_NULL.
            let room = dynamic.capacity.max(self.entries.len() as u64 + 1);
            let codec = self.elf.codec;
            let mut bytes = Vec::new();
            for (tag, value) in &self.entries {
                bytes.extend(codec.bytes_address(*tag));
                bytes.extend(codec.bytes_address(*value));
            }
            bytes.resize((room * codec.dynamic_size()) as usize, 0);
            self.draft.put(at, bytes);
        }
        let (changes, len) = self.draft.finish();
        if changes.is_empty() && len == self.elf.bytes.len() as u64 {
            how = How::Unchanged;
        }
        Ok(Patched { changes, len, how })
    }

    /// Lays the file out anew, with the parts that grew in the annex.
    fn place(&mut self, dynamic_at: &mut Option<u64>) -> Result<(), ElfError> {
        let elf = self.elf;
        let parts = parts::find(elf);
        let mut growing = Vec::new();
        for (what, _) in &self.growth {
            let part = parts.iter().position(|part| part.what == *what);
            growing.push(part.ok_or(ElfError::Immovable { what: what.name() })?);
        }
        let layout = layout::decide(elf, &parts, &growing)?;
        let mut headers = Headers {
            elf,
            segments: layout.segments.clone(),
            sections: elf.sections.clone(),
            inserted: (elf.segments.len() < layout.segments.len()).then_some(layout.annex),
        };

        // Everything that moves is taken up before anything is put down.
        let (annex_offset, annex_address) = layout.annex_start();
        let mut offset = annex_offset + layout::ANNEX_LEAD;
        let table_size = layout.segments.len() as u64 * elf.codec.segment_size();
        let headers_at = if layout.headers_move {
            offset += table_size;
            annex_offset + layout::ANNEX_LEAD
        } else {
            elf.header.e_phoff
        };
        let mut pieces: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut moves: Vec<Move> = Vec::new();
        for part in layout.shifted.iter().filter_map(|index| parts.get(*index)) {
            moves.push(Move {
                part,
                offset: part.offset + layout.shift,
                address: part.address + layout.shift,
                size: part.size,
            });
        }
        for part in layout.moved.iter().filter_map(|index| parts.get(*index)) {
            let grown = self.growth.iter().find(|(what, _)| *what == part.what);
            let size = grown.map_or(part.size, |(_, bytes)| bytes.len() as u64);
            offset = align_up(offset, part.align)
                .ok_or(ElfError::AddressSpace { top: annex_address })?;
            let address = annex_address + (offset - annex_offset);
            moves.push(Move {
                part,
                offset,
                address,
                size,
            });
            offset += size;
        }
        self.move_symbols(&moves)?;
        for step in &moves {
            let grown = self.growth.iter().find(|(what, _)| *what == step.part.what);
            let bytes = match grown {
                Some((_, bytes)) => bytes.clone(),
                None => self.draft.get(step.part.offset, step.size).into_owned(),
            };
            pieces.push((step.offset, bytes));
            if step.part.what == What::Dynamic {
                *dynamic_at = Some(step.offset);
            }
            headers.tell(step);
            self.tell_dynamic(step);
        }
        headers.finish_annex(layout.annex, offset - annex_offset, headers_at, table_size)?;

        for (from, to) in &layout.vacated {
            self.draft.zero(*from, to - from);
        }
        self.draft.set_len(layout.base_len.max(offset));
        for (at, bytes) in pieces {
            self.draft.put(at, bytes);
        }
        headers.write(&mut self.draft, headers_at);
        Ok(())
    }

    /// The addresses by which the dynamic section names what moved.
    fn tell_dynamic(&mut self, step: &Move) {
        let tag = match step.part.what {
            What::Strings => DT_STRTAB,
            What::Table(tag) => tag,
            What::Interpreter | What::Dynamic | What::Notes => return,
        };
        for (own, value) in &mut self.entries {
            if *own == tag {
                *value = step.address;
            } else if *own == DT_STRSZ && step.part.what == What::Strings {
                *value = step.size;
            }
        }
    }

    /// Symbols that stand in what moved, `_DYNAMIC` and section symbols for the most part.
    fn move_symbols(&mut self, moves: &[Move]) -> Result<(), ElfError> {
        let elf = self.elf;
        let (value_at, section_at) = elf.codec.symbol_fields();
        let info_at = section_at - 2;
        for table in &elf.sections {
            if !matches!(table.sh_type, SHT_SYMTAB | SHT_DYNSYM) {
                continue;
            }
            let size = elf.codec.symbol_size();
            let names = elf.sections.get(table.sh_link as usize);
            for index in 0..table.sh_size / size {
                let at = table.sh_offset + index * size;
                let section = elf.codec.u16(elf.bytes, at + section_at, "a symbol")?;
                let is_in = |step: &&Move| match (u32::from(section), step.part.what) {
                    (SHN_UNDEF, _) => false,
                    // Older linkers give `_DYNAMIC` no section.
                    (SHN_ABS, What::Dynamic) => self.is_named(names, at, b"_DYNAMIC"),
                    _ => step.part.sections.contains(&usize::from(section)),
                };
                let Some(step) = moves.iter().find(is_in) else {
                    continue;
                };
                let info = slice(elf.bytes, at + info_at, 1, "a symbol")?;
                let value = elf.codec.address(elf.bytes, at + value_at, "a symbol")?;
                let within = value.checked_sub(step.part.address);
                if let Some(within) = within.filter(|within| *within <= step.part.size)
                    && info.first().is_some_and(|info| info & 0xf != STT_TLS)
                {
                    let value = elf.codec.bytes_address(step.address + within);
                    self.draft.put(at + value_at, value);
                }
            }
        }
        Ok(())
    }

    fn is_named(&self, names: Option<&SectionHeader>, symbol: u64, wanted: &[u8]) -> bool {
        let bytes = self.elf.bytes;
        let offset = self.elf.codec.u32(bytes, symbol, "a symbol").map(u64::from);
        names.zip(offset.ok()).is_some_and(|(names, offset)| {
            c_string(
                bytes,
                names.sh_offset.saturating_add(offset),
                "a symbol's name",
            )
            .is_ok_and(|name| name == wanted)
        })
    }
}

/// The value of a dynamic entry.
enum Value<'t> {
    /// As it is.
    Same(u64),
    /// The offset of this string, once it has one.
    Text(&'t str),
}

impl Value<'_> {
    fn same(&self) -> Option<u64> {
        match self {
            Self::Same(value) => Some(*value),
            Self::Text(_) => None,
        }
    }
}

/// The dynamic section as it is to be.
fn wanted_entries<'t>(elf: &Elf, edit: &'t Edit) -> Result<Vec<(u64, Value<'t>)>, ElfError> {
    let entries = elf
        .dynamic
        .as_ref()
        .map(|dynamic| dynamic.entries.as_slice());
    let entries = entries.unwrap_or_default();
    let has_runpath = entries.iter().any(|(tag, _)| *tag == DT_RUNPATH);
    let mut wanted = Vec::with_capacity(entries.len() + 1);
    let mut to_set = match &edit.rpath {
        Rpath::Set(path) => Some(text(path)?),
        Rpath::Keep | Rpath::Remove => None,
    };
    for (tag, value) in entries {
        match (*tag, &edit.rpath) {
            (DT_RPATH | DT_RUNPATH, Rpath::Remove) => {}
            (DT_RPATH, Rpath::Set(_)) if has_runpath => {}
            (DT_RPATH | DT_RUNPATH, Rpath::Set(_)) => {
                if let Some(path) = to_set.take() {
                    let same = elf.string(*value)? == path.as_bytes();
                    wanted.push((
                        DT_RUNPATH,
                        if same {
                            Value::Same(*value)
                        } else {
                            Value::Text(path)
                        },
                    ));
                }
            }
            (DT_NEEDED, _) => wanted.push(match renaming(elf, edit, *value)? {
                Some(name) => (DT_NEEDED, Value::Text(name)),
                None => (DT_NEEDED, Value::Same(*value)),
            }),
            _ => wanted.push((*tag, Value::Same(*value))),
        }
    }
    wanted.extend(to_set.map(|path| (DT_RUNPATH, Value::Text(path))));
    Ok(wanted)
}

/// The new name of the library whose name is at this offset of the string table.
fn renaming<'t>(elf: &Elf, edit: &'t Edit, name: u64) -> Result<Option<&'t str>, ElfError> {
    if edit.replace_needed.is_empty() {
        return Ok(None);
    }
    let name = elf.string(name)?;
    let rename = edit
        .replace_needed
        .iter()
        .find(|(from, to)| from.as_bytes() == name && from != to);
    rename.map(|(_, to)| text(to)).transpose()
}

/// A string, if it can be one in C.
fn text(text: &str) -> Result<&str, ElfError> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(_) => Err(ElfError::Nul {
            text: text.to_owned(),
        }),
    }
}

fn terminated(path: &str) -> Result<Vec<u8>, ElfError> {
    let mut bytes = text(path)?.as_bytes().to_vec();
    bytes.push(0);
    Ok(bytes)
}
