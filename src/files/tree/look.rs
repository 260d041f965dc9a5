//! What the system says of a file or folder without opening it.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType, StatxFlags};
use rustix::io::Errno;

pub(super) const TIMES: usize = 24;

/// When a folder's names and when anything else of it last changed.
pub(super) type Times = [u8; TIMES];

/// Whether the disk may keep whole seconds alone: then a folder that was changed can have the times that it had.
pub(super) fn are_coarse(times: Times) -> bool {
    times.ends_with(&[0; 4])
}

pub(super) fn times_of(at: &OwnedFd, path: &CStr) -> Result<Times, Errno> {
    let wanted = StatxFlags::TYPE | StatxFlags::MTIME | StatxFlags::CTIME;
    let stat = rustix::fs::statx(at, path, AtFlags::SYMLINK_NOFOLLOW, wanted)?;
    if FileType::from_raw_mode(stat.stx_mode.into()) != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    let mut times = [0; TIMES];
    fill(
        &mut times,
        &[
            &stat.stx_mtime.tv_sec.to_le_bytes(),
            &stat.stx_mtime.tv_nsec.to_le_bytes(),
            &stat.stx_ctime.tv_sec.to_le_bytes(),
            &stat.stx_ctime.tv_nsec.to_le_bytes(),
        ],
    );
    Ok(times)
}

/// Copies parts one after another.
fn fill(mut whole: &mut [u8], parts: &[&[u8]]) {
    for part in parts {
        let (place, after) = whole.split_at_mut(part.len());
        place.copy_from_slice(part);
        whole = after;
    }
}

pub(super) const FACTS: usize = 34;

/// What the system says of a file or link: its kind and mode, its size, and when its bytes and when anything else of
/// it last changed.
pub(super) type Facts = [u8; FACTS];

/// Of a file that has other names, what changed beside its bytes is not taken.
fn facts(mode: u16, size: u64, modified: (i64, u32), changed: Option<(i64, u32)>) -> Facts {
    let changed = changed.unwrap_or_default();
    let mut facts = [0; FACTS];
    fill(
        &mut facts,
        &[
            &mode.to_le_bytes(),
            &size.to_le_bytes(),
            &modified.0.to_le_bytes(),
            &modified.1.to_le_bytes(),
            &changed.0.to_le_bytes(),
            &changed.1.to_le_bytes(),
        ],
    );
    facts
}

/// Those of a file that has other names, of whose mode the permission bits are given, and a time in whole seconds.
pub(super) fn facts_of_linked(mode: u16, size: u64, modified: i64) -> Facts {
    const REGULAR: u16 = 0o10_0000;
    facts(REGULAR | mode, size, (modified, 0), None)
}

pub(super) fn facts_of(folder: &OwnedFd, path: &CStr) -> Result<Facts, Errno> {
    const WANTED: StatxFlags = StatxFlags::TYPE
        .union(StatxFlags::MODE)
        .union(StatxFlags::NLINK)
        .union(StatxFlags::SIZE)
        .union(StatxFlags::MTIME)
        .union(StatxFlags::CTIME);
    let stat = rustix::fs::statx(folder, path, AtFlags::SYMLINK_NOFOLLOW, WANTED)?;
    let changed = (stat.stx_ctime.tv_sec, stat.stx_ctime.tv_nsec);
    Ok(facts(
        stat.stx_mode,
        stat.stx_size,
        (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec),
        (stat.stx_nlink == 1).then_some(changed),
    ))
}
