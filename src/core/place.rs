//! Places in a text: what an error shows of a lock or a manifest.

use std::fmt;
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};

/// A place in a file, with the line that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, for messages.
    pub file: Utf8PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    shown: String,
}

impl Place {
    /// The place that starts at a byte offset.
    pub fn at(file: &Utf8Path, text: &str, offset: usize) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let (before, after) = text.split_at(offset);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let head = before.get(line_start..).unwrap_or_default();
        let tail = after.lines().next().unwrap_or_default();
        // A lock's line can be very long; what matters stands around the place.
        let (skipped, head_shown) = match head.char_indices().rev().nth(60) {
            Some((at, _)) => ("…", head.get(at..).unwrap_or_default()),
            None => ("", head),
        };
        let tail_shown: String = tail.chars().take(60).collect();
        let cut = if tail_shown.len() < tail.len() {
            "…"
        } else {
            ""
        };
        let line = before.matches('\n').count() + 1;
        let gutter = " ".repeat(line.to_string().len());
        let mark = skipped.chars().count() + head_shown.chars().count() + 1;
        Self {
            file: file.to_owned(),
            line,
            column: head.chars().count() + 1,
            shown: format!(
                "  {line} | {skipped}{head_shown}{tail_shown}{cut}\n  {gutter} | {:>mark$}",
                '^'
            ),
        }
    }

    /// The place of a span that a parser reported; the file's start where it reported none.
    pub fn of_span(file: &Utf8Path, text: &str, span: Option<Range<usize>>) -> Self {
        Self::at(file, text, span.map_or(0, |span| span.start))
    }

    /// The line, with a mark below the place.
    pub fn snippet(&self) -> &str {
        &self.shown
    }
}

/// `file:line:column`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_shows_its_line_and_marks_it() {
        let place = Place::at("uv.lock".into(), "a = 1\nbé = 22\n", 12);
        assert_eq!(place.to_string(), "uv.lock:2:6");
        assert_eq!(place.snippet(), "  2 | bé = 22\n    |      ^");
    }

    proptest::proptest! {
        #[test]
        fn every_offset_has_a_place(text in ".*", offset in 0usize..400) {
            let place = Place::at("x".into(), &text, offset);
            proptest::prop_assert!(place.line >= 1 && place.column >= 1);
        }
    }
}
