//! Checked members of an untrusted zip archive: a wheel, or an sdist of that kind.
//!
//! A zip archive says everything twice: in a central directory at its end, and in a header before
//! each member. Readers that trust different halves see different files, which has been used to
//! show one wheel to a scanner and another to an installer (GHSA-8qf3-x8v5-2pj8). So here both
//! halves must agree, every byte belongs to one member or to the directory and its end, a member
//! uses all bytes that it is packed into, and a name occurs once – also when case or Unicode forms
//! are folded.
//!
//! Only what wheels are made of is read: stored and deflated members, with or without zip64 and
//! data descriptors. How the records are found and read is told in `zip_records`.

use std::collections::HashMap;
use std::io::Read;

use super::Limits;
use super::inflate::Inflate;
pub use super::zip_records::Reason;
use super::zip_records::{Directory, Entry, Local, STREAMED, UNREADABLE, UTF8, is_descriptor};
use crate::core::digest::crc32;
use crate::core::foreign;
use crate::core::tree_path::{TreePath, fold};

/// Members above this size are unpacked piece by piece.
pub(crate) const WHOLE: u64 = 16 << 20;

/// A zip archive whose members have been checked.
pub struct Zip<'a> {
    bytes: &'a [u8],
    name: &'a str,
    members: Vec<ZipMember>,
}

/// One member.
#[derive(Debug, Clone)]
pub struct ZipMember {
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
    "{archive} is refused: {reason}; it is damaged or malicious: get it from somewhere else, or leave it out"
)]
pub struct ZipError {
    archive: String,
    reason: Reason,
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
    pub fn members(&self) -> &[ZipMember] {
        &self.members
    }

    /// The member of a name.
    pub fn find(&self, path: &str) -> Option<&ZipMember> {
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
        member: &ZipMember,
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
            let mut inflate = flate2::bufread::DeflateDecoder::new(packed);
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
            let is_used = inflate.total_in() == packed.len() as u64;
            return if is_used && left == 0 && crc.sum() == member.crc {
                Ok(())
            } else {
                Err(damaged())
            };
        }
        thread_local! {
            static SCRATCH: std::cell::RefCell<(Inflate, Vec<u8>)> =
                std::cell::RefCell::new((Inflate::new(), Vec::new()));
        }
        SCRATCH.with_borrow_mut(|(inflate, buffer)| {
            let size = usize::try_from(member.size).map_err(|_| damaged())?;
            // Never made smaller: making it larger again would write zeros over all of it.
            if buffer.len() < size {
                buffer.resize(size, 0);
            }
            let whole = buffer.get_mut(..size).ok_or_else(damaged)?;
            let written = inflate.raw(packed, whole);
            if written != Some(size) || crc32(whole) != member.crc {
                return Err(damaged());
            }
            take(whole)
        })
    }

    /// A member's bytes, whole: for the small ones that say what an archive is.
    ///
    /// # Errors
    /// As [`Self::unpack`].
    pub fn read(&self, member: &ZipMember) -> Result<Vec<u8>, ZipError> {
        let mut bytes = Vec::new();
        self.unpack(member, &mut |piece| -> Result<(), ZipError> {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    fn packed(&self, member: &ZipMember) -> Option<&'a [u8]> {
        let start = usize::try_from(member.start).ok()?;
        let end = start.checked_add(usize::try_from(member.packed).ok()?)?;
        self.bytes.get(start..end)
    }
}

/// A member, and where it stands with its header.
struct Extent {
    start: u64,
    end: u64,
    index: usize,
    /// Whether its sizes are said once more behind it.
    streamed: bool,
}

fn check(bytes: &[u8], limits: &Limits) -> Result<Vec<ZipMember>, Reason> {
    let packed = bytes.len() as u64;
    let found = Directory::find(bytes)?;
    if found.members > limits.members as u64 {
        return Err(Reason::TooMany(found.members, limits.members));
    }
    let directory = bytes.get(..found.end).unwrap_or_default();
    let (mut members, mut extents) = (Vec::new(), Vec::new());
    let mut folded: HashMap<String, usize> = HashMap::new();
    let mut total: u64 = 0;
    let mut at = found.start;
    while at < found.end {
        let (entry, next) = Entry::read(directory, at).ok_or(Reason::Directory(at))?;
        at = next;
        let index = members.len();
        let (member, streamed) = member(bytes, &entry, limits)?;
        if let Some(other) = folded.insert(fold(&member.path), index) {
            return Err(Reason::Twice(called(&members, other), shown(entry.name)));
        }
        total = total.saturating_add(member.size);
        if limits.is_bomb(total, packed) {
            return Err(Reason::Big(total, packed));
        }
        extents.push(Extent {
            start: entry.start,
            end: member.start.saturating_add(member.packed),
            index,
            streamed,
        });
        members.push(member);
        if members.len() as u64 > found.members {
            break;
        }
    }
    if members.len() as u64 != found.members {
        return Err(Reason::Count(members.len(), found.members));
    }
    check_extents(bytes, extents, &members, found.start as u64)?;
    Ok(members)
}

/// One member, its two halves compared with each other, and whether it was streamed.
fn member(bytes: &[u8], entry: &Entry<'_>, limits: &Limits) -> Result<(ZipMember, bool), Reason> {
    let shown = || shown(entry.name);
    let differs = |what| Err(Reason::Differs(what, shown()));
    let local =
        Local::read(bytes, entry.start).ok_or_else(|| Reason::Header(shown(), entry.start))?;
    if local.name != entry.name {
        return differs("the name");
    }
    let name = std::str::from_utf8(entry.name).map_err(|_| Reason::Name(shown()))?;
    // Without the mark it is read as code page 437, and so as another one.
    if !name.is_ascii() && entry.flags & local.flags & UTF8 == 0 {
        return Err(Reason::Name(shown()));
    }
    if (entry.flags | local.flags) & UNREADABLE != 0 {
        return Err(Reason::Encrypted(shown()));
    }
    if local.method != entry.method {
        return differs("the method");
    }
    if !matches!(entry.method, 0 | 8) {
        return Err(Reason::Method(shown(), entry.method));
    }
    let (packed, size) = (entry.packed, entry.size);
    // What was streamed may leave sizes and checksum at zero, or state them.
    let streamed = local.flags & STREAMED != 0;
    let says = |found: u64, should: u64| found == should || (streamed && found == 0);
    if !says(local.packed, packed) || !says(local.size, size) {
        return differs("the size");
    }
    if !says(local.crc, entry.crc) {
        return differs("the checksum");
    }
    if entry.method == 0 && packed != size {
        return differs("the size");
    }
    if size > limits.member || limits.is_bomb(size, packed) {
        return Err(Reason::Bomb(shown(), size));
    }
    let is_folder = name.ends_with('/');
    if is_folder && size != 0 {
        return Err(Reason::Folder(shown()));
    }
    // Made by DOS, it has attributes instead (4.4.2, 4.4.15).
    let mode = match entry.made_by >> 8 {
        0 => 0,
        _ => entry.attributes >> 16,
    };
    match mode & 0o170_000 {
        0 | 0o100_000 | 0o040_000 => {}
        0o120_000 => return Err(Reason::Link(shown())),
        _ => return Err(Reason::Special(shown(), mode)),
    }
    let path = TreePath::new(name.strip_suffix('/').unwrap_or(name))
        .map_err(|error| Reason::Path(shown(), error))?;
    let member = ZipMember {
        is_folder,
        path,
        executable: mode & 0o111 != 0,
        size,
        packed,
        start: local.data,
        crc: u32::try_from(entry.crc).unwrap_or_default(),
        deflated: entry.method == 8,
    };
    Ok((member, streamed))
}

/// A name as it may be shown.
fn shown(name: &[u8]) -> String {
    foreign::shown(&foreign::brief(&String::from_utf8_lossy(name)))
}

/// What a member is called in messages.
fn called(members: &[ZipMember], index: usize) -> String {
    let path = members.get(index).map(|member| member.path.as_str());
    shown(path.unwrap_or_default().as_bytes())
}

/// Members stand back to back from the first byte to the directory.
fn check_extents(
    bytes: &[u8],
    mut extents: Vec<Extent>,
    members: &[ZipMember],
    directory: u64,
) -> Result<(), Reason> {
    extents.sort_unstable_by_key(|extent| (extent.start, extent.end));
    let starts = extents.iter().map(|extent| extent.start);
    let nexts: Vec<u64> = starts.chain([directory]).collect();
    let first = nexts.first().copied().unwrap_or_default();
    if first != 0 {
        return Err(Reason::Hidden(0, first));
    }
    for (extent, &next) in extents.iter().zip(nexts.get(1..).unwrap_or_default()) {
        let end = extent.end;
        if end > next {
            return Err(Reason::Overlap(called(members, extent.index)));
        }
        let range = usize::try_from(end).ok().zip(usize::try_from(next).ok());
        let gap = range.and_then(|(end, next)| bytes.get(end..next));
        let gap = gap.unwrap_or_default();
        match members.get(extent.index).filter(|_| extent.streamed) {
            Some(member) => {
                let crc = u64::from(member.crc);
                if !is_descriptor(gap, crc, member.packed, member.size) {
                    return Err(Reason::Descriptor(called(members, extent.index)));
                }
            }
            None if !gap.is_empty() => return Err(Reason::Hidden(end, next)),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "zip_tests.rs"]
mod tests;
