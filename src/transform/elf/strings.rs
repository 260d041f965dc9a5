//! The dynamic string table, edited with as little movement as can be: a string that is there
//! already is used again, one that nobody needs any more makes room for another, and only then
//! does the table grow.

use std::ops::Range;

use goblin::elf::dynamic::{DT_HASH, DT_SYMTAB};
use goblin::elf::section_header::{
    SHT_DYNAMIC, SHT_DYNSYM, SHT_GNU_VERDEF, SHT_GNU_VERNEED, SHT_STRTAB,
};

use super::ElfError;
use super::read::Elf;
use super::versions;

/// A string table being edited.
pub(super) struct Strings {
    bytes: Vec<u8>,
    before: usize,
    /// Stretches that held a string nobody needs now, zeroed.
    free: Vec<Range<usize>>,
}

impl Strings {
    pub(super) fn new(table: &[u8]) -> Self {
        Self {
            bytes: table.to_vec(),
            before: table.len(),
            free: Vec::new(),
        }
    }

    /// Whether the table is longer than it was.
    pub(super) fn has_grown(&self) -> bool {
        self.bytes.len() > self.before
    }

    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        // A table that was cut to append to it, and then needed less, keeps its size.
        let len = self.bytes.len().max(self.before);
        self.bytes.resize(len, 0);
        self.bytes
    }

    /// Gives up the strings at these offsets, as far as none of the other strings in use (`users`,
    /// their offsets) shares their bytes: linkers let one string be the tail of another.
    pub(super) fn release(&mut self, mut offsets: Vec<u64>, mut users: Vec<u64>) {
        users.sort_unstable();
        // A string before those that are its tail: they are free with it.
        offsets.sort_unstable();
        for offset in offsets {
            self.release_one(offset as usize, &users);
        }
    }

    fn release_one(&mut self, start: usize, users: &[u64]) {
        let Some(head) = self.bytes.get(..start) else {
            return;
        };
        if self.free.iter().any(|free| free.contains(&start)) {
            return;
        }
        let Some(len) = self
            .bytes
            .get(start..)
            .and_then(|rest| memchr::memchr(0, rest))
        else {
            return;
        };
        let before = memchr::memrchr(0, head).map_or(0, |nul| nul + 1);
        let mut sharing = users.iter().map(|user| *user as usize);
        // Someone's string ends with this one, or is this one.
        if sharing.any(|user| (before..=start).contains(&user)) {
            return;
        }
        let shared = users
            .iter()
            .map(|user| *user as usize)
            .find(|user| (start + 1..=start + len).contains(user));
        let end = shared.unwrap_or_else(|| {
            // Zeros behind it are what a shorter string left of a longer one.
            let behind = self.bytes.iter().enumerate().skip(start + len + 1);
            let is_left = |(at, byte): &(usize, &u8)| {
                **byte == 0 && users.binary_search(&(*at as u64)).is_err()
            };
            start + len + 1 + behind.take_while(is_left).count()
        });
        if let Some(bytes) = self.bytes.get_mut(start..end) {
            bytes.fill(0);
            self.free.push(start..end);
        }
    }

    /// The offset of `text`, wherever it is or can be put.
    pub(super) fn place(&mut self, text: &str) -> u64 {
        let mut wanted = text.as_bytes().to_vec();
        wanted.push(0);
        if let Some(found) = self.find(&wanted) {
            return found as u64;
        }
        if let Some(free) = self.free.iter_mut().find(|free| free.len() >= wanted.len()) {
            let at = free.start;
            free.start += wanted.len();
            if let Some(room) = self.bytes.get_mut(at..at + wanted.len()) {
                room.copy_from_slice(&wanted);
                return at as u64;
            }
        }
        // What is free at the end is grown over, so that a table does not grow with each edit.
        while let Some(index) = self
            .free
            .iter()
            .position(|free| free.end == self.bytes.len())
        {
            let free = self.free.swap_remove(index);
            self.bytes.truncate(free.start);
        }
        let at = self.bytes.len();
        self.bytes.extend(wanted);
        at as u64
    }

    fn find(&self, wanted: &[u8]) -> Option<usize> {
        memchr::memmem::find(&self.bytes, wanted)
    }
}

/// The offsets of all strings in use, but those that name libraries: in the dynamic section's own
/// entries, and in version needs. `None` where that cannot be known: then no string may be given up.
pub(super) fn users(elf: &Elf) -> Result<Option<Vec<u64>>, ElfError> {
    let Some(dynamic) = &elf.dynamic else {
        return Ok(None);
    };
    let is_table = |link: u32| {
        elf.sections.get(link as usize).is_some_and(|section| {
            section.sh_type == SHT_STRTAB && section.sh_addr == dynamic.strings.address
        })
    };
    let known = [SHT_DYNSYM, SHT_DYNAMIC, SHT_GNU_VERNEED, SHT_GNU_VERDEF];
    let stranger = elf
        .sections
        .iter()
        .any(|section| is_table(section.sh_link) && !known.contains(&section.sh_type));
    let Some(count) = symbol_count(elf)?.filter(|_| !stranger) else {
        return Ok(None);
    };
    let mut users = Vec::new();
    if let Some(address) = dynamic.value(DT_SYMTAB) {
        let size = elf.codec.symbol_size();
        let offset = count
            .checked_mul(size)
            .and_then(|len| elf.offset_of(address, len))
            .ok_or_else(|| {
                ElfError::lie(
                    "the dynamic section",
                    dynamic.offset,
                    "a symbol table that no segment loads in full",
                )
            })?;
        users.reserve(count as usize);
        for index in 0..count {
            let name = elf
                .codec
                .u32(elf.bytes, offset + index * size, "a dynamic symbol")?;
            users.push(u64::from(name));
        }
    }
    for need in versions::needs(elf)? {
        users.extend(need.versions.iter().map(|(name, _)| *name));
    }
    users.extend(versions::definitions(elf)?.into_iter().flatten());
    Ok(Some(users))
}

/// How many dynamic symbols there are. ld.so never needs to know; the section header says so, and
/// so does the old hash table.
fn symbol_count(elf: &Elf) -> Result<Option<u64>, ElfError> {
    let Some(dynamic) = &elf.dynamic else {
        return Ok(None);
    };
    let Some(symbols) = dynamic.value(DT_SYMTAB) else {
        return Ok(Some(0));
    };
    let section = elf
        .sections
        .iter()
        .find(|section| section.sh_type == SHT_DYNSYM && section.sh_addr == symbols)
        .map(|section| section.sh_size / elf.codec.symbol_size());
    if section.is_some() || elf.abi.machine.has_wide_hash() {
        return Ok(section);
    }
    match dynamic
        .value(DT_HASH)
        .and_then(|hash| elf.offset_of(hash, 8))
    {
        Some(hash) => Ok(Some(u64::from(elf.codec.u32(
            elf.bytes,
            hash + 4,
            "the hash table",
        )?))),
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"\0libc.so.6\0$ORIGIN/../lib\0main\0";

    #[test]
    fn a_string_that_is_there_is_used_again() {
        let mut strings = Strings::new(TABLE);
        assert_eq!(strings.place("libc.so.6"), 1);
        assert_eq!(strings.place("../lib"), 19);
        assert_eq!(strings.place(""), 0);
        assert!(!strings.has_grown());
    }

    #[test]
    fn a_released_string_makes_room() {
        let mut strings = Strings::new(TABLE);
        strings.release(vec![11], vec![1, 26]);
        assert_eq!(strings.place("/opt/lib"), 11);
        assert!(!strings.has_grown());
        assert_eq!(
            strings.into_bytes(),
            b"\0libc.so.6\0/opt/lib\0\0\0\0\0\0\0main\0"
        );
    }

    #[test]
    fn what_was_released_twice_is_free_once() {
        let mut strings = Strings::new(TABLE);
        // As a string of its own, and as the tail of one.
        strings.release(vec![19, 11, 19], vec![1]);
        assert_eq!(strings.place("/a/b/c"), 11);
        assert_eq!(strings.place("/d/e/f"), 18);
        assert_eq!(&strings.into_bytes()[11..25], b"/a/b/c\0/d/e/f\0");
    }

    #[test]
    fn shared_bytes_are_not_released() {
        // Another string is the tail of it: only the bytes before are free.
        let mut strings = Strings::new(TABLE);
        strings.release(vec![11], vec![19]);
        assert_eq!(strings.place("/a"), 11);
        assert_eq!(strings.place("/four"), TABLE.len() as u64);
        // It is the tail of another: nothing is.
        let mut strings = Strings::new(TABLE);
        strings.release(vec![19], vec![11]);
        assert_eq!(strings.into_bytes(), TABLE);
    }

    #[test]
    fn the_end_of_the_table_does_not_grow_with_each_edit() {
        let mut strings = Strings::new(TABLE);
        let first = strings.place("/a/rather/long/path");
        assert!(strings.has_grown());
        let mut strings = Strings::new(&strings.into_bytes());
        strings.release(vec![first], vec![1, 11, 26]);
        assert_eq!(strings.place("/a/path/that/is/longer"), first);
        assert!(strings.has_grown());
    }
}
