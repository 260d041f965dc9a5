//! Checked members of an untrusted zip archive: a wheel, or an sdist of that kind.
//!
//! A zip archive says everything twice: in a central directory at its end, and in a header before
//! each member. Readers that trust different halves see different files, which has been used to
//! show one wheel to a scanner and another to an installer (GHSA-8qf3-x8v5-2pj8). So here both
//! halves must agree, members may not overlap or hide between others, nothing may follow the end,
//! and a name may occur once – also when case or Unicode forms are folded.
//!
//! Format: PKWARE's APPNOTE 6.3.10. Only what wheels are made of is read: stored and deflated
//! members, with or without zip64 and data descriptors.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use super::Limits;
use crate::core::digest::crc32;
use crate::core::tree_path::{PathError, TreePath, fold};

/// Members above this size are unpacked piece by piece.
pub(crate) const WHOLE: u64 = 16 << 20;

/// A zip archive whose members have been checked.
pub struct Zip<'a> {
    bytes: &'a [u8],
    name: &'a str,
    members: Vec<Member>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where it wants to be.
    pub path: TreePath,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Whether it wants to be executable.
    pub executable: bool,
    /// Bytes, unpacked.
    pub size: u64,
    packed: u64,
    start: u64,
    crc: u32,
    deflated: bool,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
#[error(
    "{archive} is refused: {reason}; it is damaged, or made to deceive: get it from another place, or leave it out"
)]
pub struct ZipError {
    archive: String,
    reason: Reason,
}

/// What is wrong with an archive.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)] // the messages say it
pub enum Reason {
    #[error("it is no zip archive ({0})")]
    NotZip(String),
    #[error("{0} bytes come before its first member")]
    Prefix(u64),
    #[error("something follows its end")]
    Trailing,
    #[error("it has {0} members, more than {1}")]
    TooMany(usize, usize),
    #[error("member {0}: {1}")]
    Path(String, PathError),
    #[error("member {0} is encrypted")]
    Encrypted(String),
    #[error("member {0} is packed by method {1}, and wheels use only 0 (stored) and 8 (deflated)")]
    Method(String, u16),
    #[error("member {0} is a symbolic link")]
    Link(String),
    #[error("member {0} is neither a file nor a folder (mode {1:o})")]
    Special(String, u32),
    #[error("the name of member {0} is not UTF-8")]
    Name(String),
    #[error("members {0} and {1} have the same name, but for case or Unicode form")]
    Twice(String, String),
    #[error("{0} of member {1} differs between the directory at its end and the header before it")]
    Differs(&'static str, String),
    #[error("the header of member {0}, at byte {1}, is not there")]
    Header(String, u64),
    #[error("member {0} overlaps another")]
    Overlap(String),
    #[error("between its members, at byte {0}, another one is hidden")]
    Hidden(u64),
    #[error("member {0} would unpack to {1} bytes, more than is believed")]
    Bomb(String, u64),
    #[error("all members together would unpack to {0} bytes, more than is believed")]
    Big(u64),
    #[error("member {0} does not unpack to what its header says")]
    Damaged(String),
}

impl<'a> Zip<'a> {
    /// Reads and checks the directory. `name` is what the archive is called in messages.
    ///
    /// # Errors
    /// With the member, when anything in it is not as it should be.
    pub fn new(bytes: &'a [u8], name: &'a str, limits: &Limits) -> Result<Self, ZipError> {
        check(bytes, limits)
            .map(|members| Self {
                bytes,
                name,
                members,
            })
            .map_err(|reason| ZipError {
                archive: name.to_owned(),
                reason,
            })
    }

    /// The members, in the directory's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member of a name.
    pub fn find(&self, path: &str) -> Option<&Member> {
        self.members
            .iter()
            .find(|member| member.path.as_str() == path)
    }

    /// A member's bytes, in pieces: one, unless it is large. The checksum is checked at the end,
    /// so what was taken in must be dropped on an error.
    ///
    /// # Errors
    /// When it does not unpack to what its header says, or `take` fails.
    pub fn unpack<E: From<ZipError>>(
        &self,
        member: &Member,
        take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let damaged = || {
            E::from(ZipError {
                archive: self.name.to_owned(),
                reason: Reason::Damaged(member.path.to_string()),
            })
        };
        let packed = self.packed(member).ok_or_else(damaged)?;
        if !member.deflated {
            if crc32(packed) != member.crc {
                return Err(damaged());
            }
            return take(packed);
        }
        if member.size > WHOLE {
            let mut crc = libdeflater::Crc::new();
            let mut left = member.size;
            let mut inflate = flate2::read::DeflateDecoder::new(packed);
            let mut buffer = vec![0; 1 << 20];
            loop {
                let read = inflate.read(&mut buffer).map_err(|_| damaged())?;
                let piece = buffer.get(..read).unwrap_or_default();
                left = left.checked_sub(piece.len() as u64).ok_or_else(damaged)?;
                if piece.is_empty() {
                    break;
                }
                crc.update(piece);
                take(piece)?;
            }
            return if left == 0 && crc.sum() == member.crc {
                Ok(())
            } else {
                Err(damaged())
            };
        }
        thread_local! {
            static SCRATCH: std::cell::RefCell<(libdeflater::Decompressor, Vec<u8>)> =
                std::cell::RefCell::new((libdeflater::Decompressor::new(), Vec::new()));
        }
        SCRATCH.with_borrow_mut(|(inflate, buffer)| {
            let size = usize::try_from(member.size).map_err(|_| damaged())?;
            // Never made smaller: making it larger again would write zeros over all of it.
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let whole = buffer.get_mut(..size).ok_or_else(damaged)?;
            let written = inflate
                .deflate_decompress(packed, whole)
                .map_err(|_| damaged())?;
            if written != size || crc32(whole) != member.crc {
                return Err(damaged());
            }
            take(whole)
        })
    }

    /// A member's bytes, whole: for the small ones that say what an archive is.
    ///
    /// # Errors
    /// As [`Self::unpack`].
    pub fn read(&self, member: &Member) -> Result<Vec<u8>, ZipError> {
        let mut bytes = Vec::new();
        self.unpack(member, &mut |piece| -> Result<(), ZipError> {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn packed(&self, member: &Member) -> Option<&'a [u8]> {
        let start = usize::try_from(member.start).ok()?;
        let end = start.checked_add(usize::try_from(member.packed).ok()?)?;
        self.bytes.get(start..end)
    }
}

const LOCAL: &[u8] = b"PK\x03\x04";
const END: &[u8] = b"PK\x05\x06";

fn check(bytes: &[u8], limits: &Limits) -> Result<Vec<Member>, Reason> {
    check_end(bytes)?;
    let mut archive = ::zip::ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| Reason::NotZip(error.to_string()))?;
    if archive.offset() != 0 {
        return Err(Reason::Prefix(archive.offset()));
    }
    if archive.len() > limits.members {
        return Err(Reason::TooMany(archive.len(), limits.members));
    }
    let directory = archive.central_directory_start();
    let mut members = Vec::with_capacity(archive.len());
    let mut extents: Vec<(u64, u64, usize)> = Vec::with_capacity(archive.len());
    let mut folded: HashMap<String, usize> = HashMap::with_capacity(archive.len());
    let mut total: u64 = 0;
    for index in 0..archive.len() {
        let file = archive
            .by_index_raw(index)
            .map_err(|error| Reason::NotZip(error.to_string()))?;
        let raw = file.name_raw();
        let name = std::str::from_utf8(raw)
            .map_err(|_| Reason::Name(String::from_utf8_lossy(raw).escape_debug().to_string()))?;
        let shown = || name.escape_debug().to_string();
        if file.encrypted() {
            return Err(Reason::Encrypted(shown()));
        }
        let local = Local::read(bytes, file.header_start())
            .ok_or_else(|| Reason::Header(shown(), file.header_start()))?;
        if local.name != raw {
            return Err(Reason::Differs("the name", shown()));
        }
        let method = match file.compression() {
            ::zip::CompressionMethod::Stored => 0,
            ::zip::CompressionMethod::Deflated => 8,
            _ => return Err(Reason::Method(shown(), local.method)),
        };
        if local.method != method {
            return Err(Reason::Differs("the method", shown()));
        }
        let (packed, size, crc) = (file.compressed_size(), file.size(), file.crc32());
        if local.flags & 1 != 0 {
            return Err(Reason::Encrypted(shown()));
        }
        // With a data descriptor the header may leave size and checksum at zero, or state them.
        let streamed = local.flags & 8 != 0;
        let says = |found: u64, should: u64| found == should || (streamed && found == 0);
        if !says(local.packed, packed) || !says(local.size, size) {
            return Err(Reason::Differs("the size", shown()));
        }
        if !says(u64::from(local.crc), u64::from(crc)) {
            return Err(Reason::Differs("the checksum", shown()));
        }
        if method == 0 && packed != size {
            return Err(Reason::Differs("the size", shown()));
        }
        if size > limits.member || (size > limits.ratio_from && size / packed.max(1) > limits.ratio)
        {
            return Err(Reason::Bomb(shown(), size));
        }
        total = total.saturating_add(size);
        if total > limits.total {
            return Err(Reason::Big(total));
        }
        let mode = file.unix_mode().unwrap_or(0);
        match mode & 0o170_000 {
            0 | 0o100_000 | 0o040_000 => {}
            0o120_000 => return Err(Reason::Link(shown())),
            _ => return Err(Reason::Special(shown(), mode)),
        }
        let path = TreePath::new(name.trim_end_matches('/'))
            .map_err(|error| Reason::Path(shown(), error))?;
        if let Some(other) = folded.insert(fold(&path), index) {
            return Err(Reason::Twice(called(&members, other), shown()));
        }
        let end = local
            .data
            .checked_add(packed)
            .ok_or_else(|| Reason::Overlap(shown()))?;
        extents.push((file.header_start(), end, index));
        members.push(Member {
            is_folder: name.ends_with('/'),
            path,
            executable: mode & 0o111 != 0,
            size,
            packed,
            start: local.data,
            crc,
            deflated: method == 8,
        });
    }
    check_extents(bytes, extents, &members, directory)?;
    Ok(members)
}

/// What a member is called in messages.
fn called(members: &[Member], index: usize) -> String {
    let path = members.get(index).map(|member| member.path.as_str());
    path.unwrap_or_default().escape_debug().to_string()
}

/// The end must be the end: one end-of-directory record, its comment the archive's last bytes.
fn check_end(bytes: &[u8]) -> Result<(), Reason> {
    // A comment is at most 65,535 bytes long; nothing before that can be the end.
    let from = bytes.len().saturating_sub(22 + 65_535);
    let tail = bytes.get(from..).unwrap_or_default();
    let mut ends = memchr::memmem::find_iter(tail, END).filter(|&at| {
        let comment = tail
            .get(at + 20..at + 22)
            .and_then(|two| two.try_into().ok());
        comment.is_some_and(|two| at + 22 + usize::from(u16::from_le_bytes(two)) <= tail.len())
    });
    let Some(first) = ends.next() else {
        return Err(Reason::NotZip(String::from("it has no end")));
    };
    let comment = tail
        .get(first + 20..first + 22)
        .and_then(|two| two.try_into().ok());
    let comment = usize::from(comment.map_or(0, u16::from_le_bytes));
    let rest = tail.get(first + 22..).unwrap_or_default();
    // A second record, within a comment, is what another reader would take for the end.
    if rest.len() != comment || memchr::memmem::find(rest, END).is_some() {
        return Err(Reason::Trailing);
    }
    Ok(())
}

/// Members follow each other without overlap, and what lies between is no member.
fn check_extents(
    bytes: &[u8],
    mut extents: Vec<(u64, u64, usize)>,
    members: &[Member],
    directory: u64,
) -> Result<(), Reason> {
    extents.sort_unstable();
    let mut at = 0;
    for (start, end, index) in extents {
        if start < at || end > directory {
            return Err(Reason::Overlap(called(members, index)));
        }
        check_gap(bytes, at, start)?;
        at = end;
    }
    check_gap(bytes, at, directory)
}

fn check_gap(bytes: &[u8], from: u64, to: u64) -> Result<(), Reason> {
    let range = usize::try_from(from).unwrap_or(usize::MAX)..usize::try_from(to).unwrap_or(0);
    let gap = bytes.get(range).unwrap_or_default();
    if gap.is_empty() {
        return Ok(());
    }
    match memchr::memmem::find(gap, LOCAL) {
        Some(at) => Err(Reason::Hidden(from + at as u64)),
        // At the very start nothing may stand but a member.
        None if from == 0 => Err(Reason::Prefix(to)),
        None => Ok(()),
    }
}

/// The header before a member (APPNOTE 4.3.7), with its zip64 sizes (4.5.3).
struct Local<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    name: &'a [u8],
    data: u64,
}

impl<'a> Local<'a> {
    fn read(bytes: &'a [u8], start: u64) -> Option<Self> {
        let header = bytes.get(usize::try_from(start).ok()?..)?;
        let two = |at: usize| Some(u16::from_le_bytes(header.get(at..at + 2)?.try_into().ok()?));
        let four = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
        if header.get(..4)? != LOCAL {
            return None;
        }
        let (name_len, extra_len) = (usize::from(two(26)?), usize::from(two(28)?));
        let name = header.get(30..30 + name_len)?;
        let mut extra = header.get(30 + name_len..30 + name_len + extra_len)?;
        let (mut packed, mut size) = (u64::from(four(18)?), u64::from(four(22)?));
        while let Some((head, rest)) = extra.split_at_checked(4) {
            let id = u16::from_le_bytes(head.get(..2)?.try_into().ok()?);
            let len = usize::from(u16::from_le_bytes(head.get(2..)?.try_into().ok()?));
            let (field, rest) = rest.split_at_checked(len)?;
            if id == 1 {
                let mut eights = field.chunks_exact(8).map(|eight| {
                    eight
                        .iter()
                        .rev()
                        .fold(0u64, |value, byte| value << 8 | u64::from(*byte))
                });
                if size == u64::from(u32::MAX) {
                    size = eights.next()?;
                }
                if packed == u64::from(u32::MAX) {
                    packed = eights.next()?;
                }
            }
            extra = rest;
        }
        Some(Self {
            flags: two(6)?,
            method: two(8)?,
            crc: four(14)?,
            packed,
            size,
            name,
            data: start + 30 + name_len as u64 + extra_len as u64,
        })
    }
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
