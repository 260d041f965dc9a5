//! Unified diffs, as `diff -u` and git write them
//! (<https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html>).
//!
//! Lines must match to the byte. Where a hunk's place has moved it is found again and that is told;
//! only with fuzz, which must be asked for, may outer lines of its context differ.

use std::collections::BTreeMap;
use std::fmt;

pub use super::unified_parse::{FilePatch, UnifiedError, parse};
use super::unified_parse::{Hunk, Kind, Side};
use crate::files::tree::TreePath;

/// A file as the patch leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub path: TreePath,
    /// Its bytes; `None` where it is removed.
    pub bytes: Option<Vec<u8>>,
    /// Its executable bit, where the patch says.
    pub executable: Option<bool>,
    /// The file whose mode it has, where it was renamed or copied.
    pub from: Option<TreePath>,
    /// What a person should know of how it was applied.
    pub notes: Vec<Note>,
}

/// A hunk that did not stand where the patch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// Which, from 1.
    pub hunk: usize,
    /// By how many lines it had moved, down.
    pub moved: isize,
    /// How many lines of context were left out of account.
    pub fuzz: usize,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hunk {}", self.hunk)?;
        let lines = self.moved.unsigned_abs();
        let word = if lines == 1 { "line" } else { "lines" };
        match self.moved {
            0 => write!(f, " applied in its place")?,
            1.. => write!(f, " applied {lines} {word} further down")?,
            _ => write!(f, " applied {lines} {word} further up")?,
        }
        match self.fuzz {
            0 => Ok(()),
            fuzz => write!(f, ", with fuzz {fuzz}"),
        }
    }
}

/// Works out what a patch makes of files, which `read` gives by path (`None` where there is none).
/// Nothing is written. A file that a patch names twice is patched twice.
///
/// # Errors
/// When any part of it does not apply.
pub fn apply(
    patches: &[FilePatch],
    fuzz: usize,
    read: impl Fn(&TreePath) -> std::io::Result<Option<Vec<u8>>>,
) -> Result<Vec<Change>, UnifiedError> {
    let mut changes: BTreeMap<TreePath, Change> = BTreeMap::new();
    for patch in patches {
        let now = |changes: &BTreeMap<TreePath, Change>, path: &TreePath| {
            if let Some(change) = changes.get(path) {
                return Ok(change.bytes.clone());
            }
            read(path).map_err(|error| UnifiedError::Read {
                path: path.clone(),
                reason: error.to_string(),
            })
        };
        let (mut old, mut new) = (patch.old.clone(), patch.new.clone());
        // `diff -u x.orig x`: which of the two is meant is the one that is there.
        if patch.kind == Kind::Edit
            && let (Some(one), Some(other)) = (&old, &new)
            && one != other
        {
            let meant = if now(&changes, other)?.is_some() {
                other
            } else {
                one
            }
            .clone();
            (old, new) = (Some(meant.clone()), Some(meant));
        }
        let before = match &old {
            Some(path) => {
                now(&changes, path)?.ok_or_else(|| UnifiedError::Missing(path.clone()))?
            }
            None => Vec::new(),
        };
        if let Some(path) = new.as_ref().filter(|path| old.as_ref() != Some(*path))
            && now(&changes, path)?.is_some()
        {
            return Err(UnifiedError::There(path.clone()));
        }
        let Some(path) = new.as_ref().or(old.as_ref()) else {
            continue;
        };
        let (bytes, notes) = patched(&before, path, &patch.hunks, fuzz)?;
        let mut put = |path: &TreePath, bytes: Option<Vec<u8>>, notes: Vec<Note>| {
            let earlier = changes.remove(path);
            let (earlier, from) = earlier.map_or((Vec::new(), None), |one| (one.notes, one.from));
            let change = Change {
                path: path.clone(),
                bytes,
                executable: patch.executable,
                from: match patch.kind {
                    Kind::Edit => from,
                    Kind::Rename | Kind::Copy => old.clone(),
                },
                notes: earlier.into_iter().chain(notes).collect(),
            };
            changes.insert(path.clone(), change);
        };
        match (&old, &new) {
            (Some(old), None) => {
                if !bytes.is_empty() {
                    return Err(UnifiedError::NotEmpty(old.clone()));
                }
                put(old, None, notes);
            }
            (old, Some(new)) => {
                put(new, Some(bytes), notes);
                if let Some(old) = old.as_ref().filter(|_| patch.kind == Kind::Rename) {
                    put(old, None, Vec::new());
                }
            }
            (None, None) => {}
        }
    }
    Ok(changes.into_values().collect())
}

fn patched(
    old: &[u8],
    path: &TreePath,
    hunks: &[Hunk],
    fuzz: usize,
) -> Result<(Vec<u8>, Vec<Note>), UnifiedError> {
    let lines: Vec<&[u8]> = old.split_inclusive(|&byte| byte == b'\n').collect();
    let mut new = Vec::with_capacity(old.len());
    let mut notes = Vec::new();
    // Lines before this one are done.
    let mut done = 0;
    let mut moved = 0isize;
    let mut effort = EFFORT;
    for (number, hunk) in hunks.iter().enumerate() {
        let wanted = hunk.start.saturating_add_signed(moved).max(done);
        let found = (0..=fuzz.min(hunk.lines.len())).find_map(|fuzz| {
            let (top, bottom) = hunk.dropped(fuzz);
            let old: Vec<&[u8]> = hunk.old(top, bottom);
            let at = place(&lines, &old, wanted.saturating_add(top), done, &mut effort)?;
            Some((at, top, bottom, fuzz))
        });
        let Some((at, top, bottom, fuzz)) = found else {
            return Err(UnifiedError::Hunk {
                path: path.clone(),
                hunk: number + 1,
                line: hunk.at + 1,
                hint: match effort {
                    0 => ": too many hunks stand too far from where they should".into(),
                    _ => hint(&lines, hunk, wanted),
                },
            });
        };
        for line in lines.get(done..at).unwrap_or_default() {
            new.extend_from_slice(line);
        }
        let inner = hunk
            .lines
            .get(top..hunk.lines.len() - bottom)
            .unwrap_or_default();
        let mut here = at;
        for (side, text) in inner {
            match side {
                Side::New => new.extend_from_slice(text),
                Side::Old => here += 1,
                Side::Both => {
                    new.extend_from_slice(lines.get(here).copied().unwrap_or_default());
                    here += 1;
                }
            }
        }
        done = here;
        let place = at.cast_signed() - top.cast_signed();
        moved = place - hunk.start.cast_signed();
        if moved != 0 || fuzz > 0 {
            notes.push(Note {
                hunk: number + 1,
                moved,
                fuzz,
            });
        }
    }
    for line in lines.get(done..).unwrap_or_default() {
        new.extend_from_slice(line);
    }
    Ok((new, notes))
}

impl Hunk {
    /// The old lines, without some of the first and last.
    fn old(&self, top: usize, bottom: usize) -> Vec<&[u8]> {
        let end = self.lines.len().saturating_sub(bottom);
        let lines = self.lines.get(top..end).unwrap_or_default().iter();
        lines
            .filter(|(side, _)| *side != Side::New)
            .map(|(_, text)| text.as_slice())
            .collect()
    }

    /// How many lines of context fuzz leaves out at the top and the bottom, as GNU patch does: of
    /// the longer of the two first.
    fn dropped(&self, fuzz: usize) -> (usize, usize) {
        let context = |line: &&(Side, Vec<u8>)| line.0 == Side::Both;
        let top = self.lines.iter().take_while(context).count();
        let bottom = self.lines.iter().rev().take_while(context).count();
        let longer = top.max(bottom);
        let some = |own: usize| (fuzz + own).saturating_sub(longer).min(own);
        if top == self.lines.len() {
            return (0, 0);
        }
        (some(top), some(bottom))
    }
}

/// How many lines may be looked at to find the hunks of one file that are not where they should be: some seconds.
const EFFORT: usize = 1 << 28;

/// Where lines stand, as near to `wanted` as they do and not before `from`. Takes from `effort` what it had to look
/// at, and finds nothing without.
fn place(
    lines: &[&[u8]],
    old: &[&[u8]],
    wanted: usize,
    from: usize,
    effort: &mut usize,
) -> Option<usize> {
    let last = lines.len().checked_sub(old.len())?;
    if wanted >= from && wanted <= last && lines.get(wanted..wanted + old.len()) == Some(old) {
        return Some(wanted);
    }
    let from = from.min(lines.len());
    *effort = effort.saturating_sub(lines.len() - from + old.len());
    if *effort == 0 {
        return None;
    }
    occurrences(lines.get(from..).unwrap_or_default(), old)
        .map(|at| from + at)
        .min_by_key(|at| (at.abs_diff(wanted), *at < wanted))
}

/// Where some lines stand in others, each place once. Knuth, Morris and Pratt's way (1977): a line is looked at no more
/// than twice, however alike they are.
fn occurrences<'a, T: PartialEq>(all: &'a [T], some: &'a [T]) -> impl Iterator<Item = usize> + 'a {
    // After so many that were as they should be and one that was not: how many still are.
    let mut still = vec![0; some.len()];
    let mut length = 0;
    for at in 1..some.len() {
        while length > 0 && some.get(at) != some.get(length) {
            length = still.get(length - 1).copied().unwrap_or_default();
        }
        length += usize::from(some.get(at) == some.get(length));
        if let Some(still) = still.get_mut(at) {
            *still = length;
        }
    }
    let mut length = 0;
    all.iter().enumerate().filter_map(move |(at, line)| {
        while length > 0 && some.get(length) != Some(line) {
            length = still.get(length - 1).copied().unwrap_or_default();
        }
        length += usize::from(some.get(length) == Some(line));
        (length == some.len() && length > 0).then(|| at + 1 - length)
    })
}

/// What may be the matter with a hunk that applies nowhere.
fn hint(lines: &[&[u8]], hunk: &Hunk, wanted: usize) -> String {
    let new: Vec<&[u8]> = hunk
        .lines
        .iter()
        .filter(|(side, _)| *side != Side::Old)
        .map(|(_, text)| text.as_slice())
        .collect();
    if place(lines, &new, hunk.start, 0, &mut { EFFORT }).is_some() && !new.is_empty() {
        return ": what it makes is there already; it may have been applied".into();
    }
    let bare = |line: &[u8]| -> Vec<u8> { line.trim_ascii_end().to_vec() };
    let old: Vec<Vec<u8>> = hunk.old(0, 0).into_iter().map(bare).collect();
    let all: Vec<Vec<u8>> = lines.iter().map(|line| bare(line)).collect();
    if !old.is_empty() && occurrences(&all, &old).next().is_some() {
        return ": the lines are there with other line ends or trailing blanks".into();
    }
    let here = all.get(wanted..).unwrap_or_default();
    match old.iter().zip(here).find(|(one, other)| one != other) {
        Some((one, other)) => format!(
            ": there should be `{}`, and there is `{}`",
            String::from_utf8_lossy(one),
            String::from_utf8_lossy(other)
        ),
        None => ": the file ends before it".into(),
    }
}

#[cfg(test)]
#[path = "unified_tests.rs"]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
