//! The file as it will be: the bytes there are, and what is written over or after them. The
//! original is never copied whole; a patched library of 100 MB is a handful of changes.

use std::borrow::Cow;

/// A file being rewritten. Of two changes to one byte the later wins.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    base: &'a [u8],
    changes: Vec<(u64, Vec<u8>)>,
    len: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(base: &'a [u8]) -> Self {
        Self {
            base,
            changes: Vec::new(),
            len: base.len() as u64,
        }
    }

    /// Cuts the file off, or fills it up with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        self.len = len;
    }

    /// Writes `bytes` at `at`; the file grows if they reach past its end.
    pub(super) fn put(&mut self, at: u64, bytes: impl Into<Vec<u8>>) {
        let mut bytes: Vec<u8> = bytes.into();
        let old = self.get(at, bytes.len() as u64);
        let differs = |(new, old): (&u8, &u8)| new != old;
        let Some(first) = bytes.iter().zip(old.iter()).position(differs) else {
            return;
        };
        let last = bytes
            .iter()
            .zip(old.iter())
            .rposition(differs)
            .unwrap_or(first);
        drop(old);
        bytes.truncate(last + 1);
        let bytes = bytes.split_off(first);
        self.changes.push((at + first as u64, bytes));
    }

    /// Writes zeros.
    pub(super) fn zero(&mut self, at: u64, len: u64) {
        self.put(at, vec![0; len as usize]);
    }

    /// `len` bytes at `at` as they are now. Past the end there are zeros.
    pub(super) fn get(&self, at: u64, len: u64) -> Cow<'a, [u8]> {
        let (start, end) = (at as usize, at.saturating_add(len) as usize);
        let touched =
            |change: &&(u64, Vec<u8>)| change.0 < at + len && at < change.0 + change.1.len() as u64;
        if let Some(bytes) = self.base.get(start..end)
            && !self.changes.iter().any(|change| touched(&change))
        {
            return Cow::Borrowed(bytes);
        }
        let mut out = vec![0; len as usize];
        overlay(&mut out, at, 0, self.base);
        for (offset, bytes) in self.changes.iter().filter(touched) {
            overlay(&mut out, at, *offset, bytes);
        }
        Cow::Owned(out)
    }

    /// The changes in the order in which they are to be written, and the length of the file.
    pub(super) fn finish(self) -> (Vec<(u64, Vec<u8>)>, u64) {
        let mut changes = self.changes;
        // What was cut off need not be written.
        changes.retain_mut(|(at, bytes)| {
            bytes.truncate(self.len.saturating_sub(*at) as usize);
            !bytes.is_empty()
        });
        (changes, self.len)
    }
}

/// Copies that part of `source`, which stands at `source_at`, that falls into `target`, which
/// stands at `target_at`.
fn overlay(target: &mut [u8], target_at: u64, source_at: u64, source: &[u8]) {
    let start = target_at.max(source_at);
    let end = (target_at + target.len() as u64).min(source_at + source.len() as u64);
    if start < end {
        let into = (start - target_at) as usize..(end - target_at) as usize;
        let from = (start - source_at) as usize..(end - source_at) as usize;
        if let (Some(into), Some(from)) = (target.get_mut(into), source.get(from)) {
            into.copy_from_slice(from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(draft: Draft) -> Vec<u8> {
        let base = draft.base;
        let (changes, len) = draft.finish();
        let mut out = base.to_vec();
        out.resize(len as usize, 0);
        for (at, bytes) in changes {
            out[at as usize..at as usize + bytes.len()].copy_from_slice(&bytes);
        }
        out
    }

    #[test]
    fn the_later_change_wins_and_what_is_the_same_is_none() {
        let mut draft = Draft::new(b"abcdef");
        draft.put(1, *b"XYZ");
        draft.zero(2, 1);
        draft.put(4, *b"ef");
        assert_eq!(&*draft.get(0, 6), b"aX\0Zef");
        assert_eq!(draft.changes.len(), 2);
        assert_eq!(applied(draft), b"aX\0Zef");
    }

    #[test]
    fn a_file_can_grow_and_be_cut() {
        let mut draft = Draft::new(b"abc");
        draft.set_len(5);
        draft.put(4, *b"e");
        assert_eq!(&*draft.get(2, 4), b"c\0e\0");
        assert_eq!(applied(draft), b"abc\0e");
        let mut draft = Draft::new(b"abcdef");
        draft.put(2, *b"XYZ");
        draft.set_len(3);
        assert_eq!(applied(draft), b"abX");
    }
}
