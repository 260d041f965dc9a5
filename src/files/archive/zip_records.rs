//! The records of a zip archive as they stand in it; the numbers are sections of PKWARE's APPNOTE
//! 6.3.10.
//!
//! Where the directory of members is found is what readers disagree on most: some look for the end
//! from behind, some from the front, some follow a zip64 locator, some look where it should lead.
//! What is found here is what all of them find, or nothing: there is one end, the records that
//! make it up say the same, and they stand back to back.

use crate::core::tree_path::PathError;

const LOCAL: &[u8] = b"PK\x03\x04";
const ENTRY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const LOCATOR: &[u8] = b"PK\x06\x07";
const END64: &[u8] = b"PK\x06\x06";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// Lengths with their signatures and without a comment.
const END_LEN: usize = 22;
const LOCATOR_LEN: usize = 20;
const END64_LEN: usize = 56;

/// A comment at the end cannot be longer, in bytes.
const COMMENT: usize = u16::MAX as usize;

/// What stands for a number that does not fit, and is elsewhere.
const FULL16: u64 = u16::MAX as u64;
const FULL32: u64 = u32::MAX as u64;

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Reason {
    #[error("it is not a zip archive: it has no end record")]
    NotZip,
    #[error("something follows its end")]
    Trailing,
    #[error("it has two end records, and readers disagree on which one counts")]
    Ends,
    #[error("the records at its end contradict each other")]
    End,
    #[error("it is a part of an archive in several parts")]
    Parts,
    #[error("{0} bytes come before its first member, or between its directory and its end")]
    Apart(u64),
    #[error("its directory of members is broken at byte {0}")]
    Directory(usize),
    #[error("it has {0} members, but says that it has {1}")]
    Count(usize, u64),
    #[error("it has {0} members, more than {1}")]
    TooMany(u64, usize),
    #[error("member {0}: {1}")]
    Path(String, PathError),
    #[error("member {0} is encrypted")]
    Encrypted(String),
    #[error(
        "member {0} is compressed by method {1}, and wheels use only 0 (stored) and 8 (deflated)"
    )]
    Method(String, u64),
    #[error("member {0} is a symbolic link")]
    Link(String),
    #[error("member {0} is neither a file nor a folder (mode {1:o})")]
    Special(String, u64),
    #[error("member {0} is a folder but has contents")]
    Folder(String),
    #[error("the name of member {0} is not UTF-8, or not marked as UTF-8")]
    Name(String),
    #[error("members {0} and {1} have the same name except for case or Unicode form")]
    Twice(String, String),
    #[error("{0} of member {1} differs between the directory at its end and the header before it")]
    Differs(&'static str, String),
    #[error("the header of member {0}, at byte {1}, is broken, or not there")]
    Header(String, u64),
    #[error("member {0} overlaps another")]
    Overlap(String),
    #[error("the bytes from {0} to {1} belong to no member: something may be hidden there")]
    Hidden(u64, u64),
    #[error("what follows member {0} is not the checksum and sizes that its header promises")]
    Descriptor(String),
    #[error("member {0} would unpack to {1} bytes, more than --max-unpacked and --max-ratio allow")]
    Bomb(String, u64),
    #[error(
        "all members together would unpack to {0} bytes from {1}, more than --max-unpacked and --max-ratio allow"
    )]
    Big(u64, u64),
    #[error("member {0} does not unpack to what its header says")]
    Damaged(String),
}

/// The header's sizes and checksum may be zero: they follow the member's bytes (4.4.4, bit 3).
pub(super) const STREAMED: u64 = 1 << 3;
/// Encrypted, a patch, strongly encrypted, with a masked header.
pub(super) const UNREADABLE: u64 = 1 | 1 << 5 | 1 << 6 | 1 << 13;
/// The name is UTF-8.
pub(super) const UTF8: u64 = 1 << 11;

/// Numbers of so many bytes each, one after the other, least byte first.
fn numbers<const N: usize>(mut bytes: &[u8], widths: [usize; N]) -> Option<[u64; N]> {
    let mut numbers = [0; N];
    for (number, width) in numbers.iter_mut().zip(widths) {
        let (here, rest) = bytes.split_at_checked(width)?;
        let low_to_high = here.iter().rev();
        *number = low_to_high.fold(0, |all, byte| all << 8 | u64::from(*byte));
        bytes = rest;
    }
    Some(numbers)
}

/// The numbers behind a signature.
fn record<const N: usize>(
    bytes: &[u8],
    at: usize,
    signature: &[u8],
    widths: [usize; N],
) -> Option<[u64; N]> {
    numbers(bytes.get(at..)?.strip_prefix(signature)?, widths)
}

/// Where the directory is, and how many members it is said to have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) members: u64,
}

impl Directory {
    /// Finds it by the end record (4.3.16), and by the zip64 records (4.3.14, 4.3.15) where a
    /// locator stands before that.
    pub(super) fn find(bytes: &[u8]) -> Result<Self, Reason> {
        let at = find_end(bytes)?;
        let short = record(bytes, at, END, [2, 2, 2, 2, 4, 4]).ok_or(Reason::End)?;
        let (end, said) = match before(bytes, at)? {
            None => (at, short),
            Some((end, long)) => {
                let full = [FULL16, FULL16, FULL16, FULL16, FULL32, FULL32];
                let mut all = short.iter().zip(full).zip(long);
                if !all.all(|((short, full), long)| *short == long || *short == full) {
                    return Err(Reason::End);
                }
                // A number of the longer record may look like an end to who searches from behind.
                let between = bytes.get(end..at).unwrap_or_default();
                if memchr::memmem::find(between, END).is_some() {
                    return Err(Reason::Ends);
                }
                (end, long)
            }
        };
        // Also where the longer record says so: an end that leaves a part to it is none to some, who then take another.
        let is_one = |[part, part_of_directory, here, members, ..]: [u64; 6]| {
            part == 0 && part_of_directory == 0 && here == members
        };
        if !is_one(said) || !is_one(short) {
            return Err(Reason::Parts);
        }
        let [.., members, size, start] = said;
        let said_end = start.checked_add(size).ok_or(Reason::End)?;
        match (end as u64).checked_sub(said_end) {
            Some(0) => {}
            Some(apart) => return Err(Reason::Apart(apart)),
            None => return Err(Reason::End),
        }
        Ok(Self {
            start: usize::try_from(start).map_err(|_| Reason::End)?,
            end,
            members,
        })
    }
}

/// The one end record whose comment ends where the file does. An archive that is stored within
/// this one has an end as well, which is none of this one's: its comment ends elsewhere.
fn find_end(bytes: &[u8]) -> Result<usize, Reason> {
    let from = bytes.len().saturating_sub(END_LEN + COMMENT);
    let tail = bytes.get(from..).unwrap_or_default();
    let (mut found, mut several, mut last) = (None, false, None);
    for at in memchr::memmem::find_iter(tail, END) {
        last = Some(at);
        let comment = tail.get(at + END_LEN - 2..);
        let comment = comment.and_then(|rest| numbers(rest, [2]));
        if comment.is_some_and(|[length]| (at + END_LEN) as u64 + length == tail.len() as u64) {
            several |= found.replace(at).is_some();
        }
    }
    match found {
        // One within the comment is what readers take who do not ask where a comment ends.
        Some(at) if !several && last == Some(at) => Ok(from + at),
        Some(_) => Err(Reason::Ends),
        None if last.is_some() => Err(Reason::Trailing),
        None => Err(Reason::NotZip),
    }
}

/// Where the zip64 record begins that stands before the end record, and what it says.
fn before(bytes: &[u8], at: usize) -> Result<Option<(usize, [u64; 6])>, Reason> {
    let place = at.checked_sub(LOCATOR_LEN);
    let located = place.and_then(|at| Some((at, record(bytes, at, LOCATOR, [4, 8, 4])?)));
    let Some((locator, [part, start, parts])) = located else {
        return Ok(None);
    };
    let end = locator.checked_sub(END64_LEN).ok_or(Reason::End)?;
    let long = record(bytes, end, END64, [8, 2, 2, 4, 4, 8, 8, 8, 8]).ok_or(Reason::End)?;
    let [length, _, _, numbers @ ..] = long;
    // The length is that of what follows it, and nothing else may: no extensible data.
    if part != 0 || parts != 1 || start != end as u64 || length != END64_LEN as u64 - 12 {
        return Err(Reason::End);
    }
    Ok(Some((end, numbers)))
}

/// A member in the directory (4.3.12).
pub(super) struct Entry<'a> {
    pub(super) name: &'a [u8],
    pub(super) made_by: u64,
    pub(super) flags: u64,
    pub(super) method: u64,
    pub(super) crc: u64,
    pub(super) packed: u64,
    pub(super) size: u64,
    pub(super) attributes: u64,
    /// Where its own header is.
    pub(super) start: u64,
}

impl<'a> Entry<'a> {
    /// Reads one, and says where the next begins; `None` when it is broken.
    pub(super) fn read(directory: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let widths = [2, 2, 2, 2, 2, 2, 4, 4, 4, 2, 2, 2, 2, 2, 4, 4];
        let [
            made_by,
            _needs,
            flags,
            method,
            _time,
            _date,
            crc,
            packed,
            size,
            name,
            extra,
            comment,
            part,
            _internal,
            attributes,
            start,
        ] = record(directory, at, ENTRY, widths)?;
        let rest = directory.get(at + 46..)?;
        let (name, rest) = rest.split_at_checked(usize::try_from(name).ok()?)?;
        let (extra, rest) = rest.split_at_checked(usize::try_from(extra).ok()?)?;
        let (_, rest) = rest.split_at_checked(usize::try_from(comment).ok()?)?;
        let [size, packed, start, part] = whole(extra, name, [size, packed, start, part])?;
        let entry = Self {
            name,
            made_by,
            flags,
            method,
            crc,
            packed,
            size,
            attributes,
            start,
        };
        (part == 0).then_some((entry, directory.len() - rest.len()))
    }
}

/// The header before a member (4.3.7).
pub(super) struct Local<'a> {
    pub(super) name: &'a [u8],
    pub(super) flags: u64,
    pub(super) method: u64,
    pub(super) crc: u64,
    pub(super) packed: u64,
    pub(super) size: u64,
    /// Where the member's bytes begin.
    pub(super) data: u64,
}

impl<'a> Local<'a> {
    /// Reads one; `None` when there is none or it is broken.
    pub(super) fn read(bytes: &'a [u8], start: u64) -> Option<Self> {
        let at = usize::try_from(start).ok()?;
        let widths = [2, 2, 2, 2, 2, 4, 4, 4, 2, 2];
        let [
            _needs,
            flags,
            method,
            _time,
            _date,
            crc,
            packed,
            size,
            name,
            extra,
        ] = record(bytes, at, LOCAL, widths)?;
        let rest = bytes.get(at + 30..)?;
        let (name, rest) = rest.split_at_checked(usize::try_from(name).ok()?)?;
        let (extra, rest) = rest.split_at_checked(usize::try_from(extra).ok()?)?;
        let [size, packed] = whole(extra, name, [size, packed])?;
        Some(Self {
            name,
            flags,
            method,
            crc,
            packed,
            size,
            data: (bytes.len() - rest.len()) as u64,
        })
    }
}

/// A header's numbers (size, packed size, start, part), those that did not fit taken from its zip64
/// field (4.5.3). `None` when its extra fields are broken, or give it another name (4.6.9).
fn whole<const N: usize>(mut extra: &[u8], name: &[u8], said: [u64; N]) -> Option<[u64; N]> {
    let mut wholes: Option<[u64; N]> = None;
    // Fewer than four bytes are no field; some writers pad with them.
    while let Some(([id, length], rest)) = numbers(extra, [2, 2]).zip(extra.get(4..)) {
        let (field, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        match id {
            0x0001 if wholes.is_some() => return None,
            0x0001 => wholes = Some(zip64(field, said)?),
            0x7075 if field.get(5..)? != name => return None,
            _ => {}
        }
        extra = rest;
    }
    Some(wholes.unwrap_or(said))
}

/// A zip64 field has a number for each that did not fit, in their order. Some writers add those
/// that did, which then have to say the same at their places.
fn zip64<const N: usize>(field: &[u8], said: [u64; N]) -> Option<[u64; N]> {
    const WIDTHS: [usize; 4] = [8, 8, 8, 4];
    let mut wholes = said;
    let mut rest = field;
    for (index, (whole, width)) in wholes.iter_mut().zip(WIDTHS).enumerate() {
        if *whole == if index < 3 { FULL32 } else { FULL16 } {
            [*whole] = numbers(rest, [width])?;
            rest = rest.get(width..)?;
        }
    }
    if rest.is_empty() {
        return Some(wholes);
    }
    let mut rest = field;
    for (whole, width) in wholes.iter().zip(WIDTHS) {
        if rest.is_empty() {
            break;
        }
        let [number] = numbers(rest, [width])?;
        rest = rest.get(width..)?;
        if number != *whole {
            return None;
        }
    }
    rest.is_empty().then_some(wholes)
}

/// Whether these bytes are what follows the bytes of a member whose header says no sizes (4.3.9),
/// and nothing else: checksum and sizes, with or without a signature, in 32 or 64 bits.
pub(super) fn is_descriptor(bytes: &[u8], crc: u64, packed: u64, size: u64) -> bool {
    let said = match bytes.len() {
        12 => numbers(bytes, [4, 4, 4]),
        16 => record(bytes, 0, DESCRIPTOR, [4, 4, 4]),
        20 => numbers(bytes, [4, 8, 8]),
        24 => record(bytes, 0, DESCRIPTOR, [4, 8, 8]),
        _ => None,
    };
    said == Some([crc, packed, size])
}
