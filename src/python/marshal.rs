//! Making marshalled code canonical, so that a pyc depends on its source alone.
//!
//! CPython marks an object as one that may be referred to later (`FLAG_REF`) whenever anything else
//! in the process holds it, which depends on what was compiled before. Here the marks that nothing
//! refers to are taken off, and the references numbered anew; the value stays the same.
//!
//! The format is `Python/marshal.c`'s, versions 4 and 5; a code object's fields are those of
//! CPython 3.8 to 3.10 and of 3.11 to 3.14.

const FLAG_REF: u8 = 0x80;
/// Nesting beyond this is none that CPython itself would read (`MAX_MARSHAL_STACK_DEPTH`).
const DEEPEST: usize = 2000;

/// Rewrites marshalled bytes in place. `None`, and nothing changed: they are of a format that is
/// not known here.
pub(super) fn canonicalise(bytes: &mut [u8], python: (u8, u8)) -> Option<()> {
    let fields = match python {
        (3, 8..=10) => Fields {
            head: 6,
            objects: 8,
            tail: 1,
        },
        (3, 11..=14) => Fields {
            head: 5,
            objects: 8,
            tail: 2,
        },
        _ => return None,
    };
    let mut walk = Walk {
        bytes,
        at: 0,
        fields,
        marks: Vec::new(),
        references: Vec::new(),
    };
    walk.object(0)?;
    if walk.at != walk.bytes.len() {
        return None;
    }
    let (marks, references) = (walk.marks, walk.references);
    let mut used = vec![false; marks.len()];
    for &(_, index) in &references {
        *used.get_mut(index)? = true;
    }
    let mut renumbered = Vec::with_capacity(marks.len());
    let mut next: u32 = 0;
    for (&offset, &used) in marks.iter().zip(&used) {
        renumbered.push(next);
        if used {
            next += 1;
        } else {
            *bytes.get_mut(offset)? &= !FLAG_REF;
        }
    }
    for (offset, index) in references {
        let number = renumbered.get(index)?.to_le_bytes();
        bytes.get_mut(offset..offset + 4)?.copy_from_slice(&number);
    }
    Some(())
}

/// A code object's layout: numbers, then objects (the line number is among what follows), then
/// objects again.
#[derive(Clone, Copy)]
struct Fields {
    head: usize,
    objects: usize,
    tail: usize,
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: Fields,
    /// Offsets of the type bytes that are marked, in the order of their numbers.
    marks: Vec<usize>,
    /// Offsets of references' numbers, and the numbers.
    references: Vec<(usize, usize)>,
}

impl Walk<'_> {
    fn object(&mut self, depth: usize) -> Option<u8> {
        if depth > DEEPEST {
            return None;
        }
        let offset = self.at;
        let kind = *self.bytes.get(offset)?;
        self.at += 1;
        if kind & FLAG_REF != 0 {
            self.marks.push(offset);
        }
        let kind = kind & !FLAG_REF;
        match kind {
            b'0' | b'N' | b'F' | b'T' | b'S' | b'.' => {}
            b'i' => self.skip(4)?,
            b'I' | b'g' => self.skip(8)?,
            b'y' => self.skip(16)?,
            b'f' => {
                let length = self.byte()?;
                self.skip(length)?;
            }
            b'x' => {
                for _ in 0..2 {
                    let length = self.byte()?;
                    self.skip(length)?;
                }
            }
            b'l' => {
                let digits = self.long()?.cast_signed().unsigned_abs() as usize;
                self.skip(digits.checked_mul(2)?)?;
            }
            b's' | b't' | b'u' | b'a' | b'A' => {
                let length = self.long()? as usize;
                self.skip(length)?;
            }
            b'z' | b'Z' => {
                let length = self.byte()?;
                self.skip(length)?;
            }
            b')' => {
                let count = self.byte()?;
                self.objects(count, depth)?;
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.long()? as usize;
                self.objects(count, depth)?;
            }
            b':' => self.objects(3, depth)?,
            b'{' => {
                while self.object(depth + 1)? != b'0' {
                    self.object(depth + 1)?;
                }
            }
            b'r' => {
                let place = self.at;
                let index = self.long()? as usize;
                self.references.push((place, index));
            }
            b'c' => {
                let Fields {
                    head,
                    objects,
                    tail,
                } = self.fields;
                self.skip(4 * head)?;
                self.objects(objects, depth)?;
                self.skip(4)?;
                self.objects(tail, depth)?;
            }
            _ => return None,
        }
        Some(kind)
    }

    fn objects(&mut self, count: usize, depth: usize) -> Option<()> {
        for _ in 0..count {
            self.object(depth + 1)?;
        }
        Some(())
    }

    fn byte(&mut self) -> Option<usize> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(usize::from(byte))
    }

    fn long(&mut self) -> Option<u32> {
        let four = self.bytes.get(self.at..self.at + 4)?.try_into().ok()?;
        self.at += 4;
        Some(u32::from_le_bytes(four))
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self
            .at
            .checked_add(count)
            .filter(|at| *at <= self.bytes.len())?;
        Some(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn marks_that_nothing_refers_to_go_and_references_are_numbered_anew() {
        // (a!, b!, ref 1, N!) with every object marked, and the tuple itself.
        let mut bytes = vec![
            b')' | FLAG_REF,
            4,
            b'z' | FLAG_REF,
            1,
            b'a',
            b'z' | FLAG_REF,
            1,
            b'b',
        ];
        bytes.extend([b'r', 2, 0, 0, 0, b'N' | FLAG_REF]);
        canonicalise(&mut bytes, (3, 14)).unwrap();
        let mut expected = vec![b')', 4, b'z', 1, b'a', b'z' | FLAG_REF, 1, b'b'];
        expected.extend([b'r', 0, 0, 0, 0, b'N']);
        assert_eq!(bytes, expected);
    }

    #[test]
    fn what_is_not_known_is_left() {
        for text in [
            &b"?"[..],
            b")\x02N",
            b"z\x05ab",
            b"NN",
            b"r\x00\x00\x00\x00",
            b"(\xff\xff\xff\xffN",
        ] {
            let mut bytes = text.to_vec();
            assert_eq!(canonicalise(&mut bytes, (3, 14)), None, "{text:?}");
            assert_eq!(bytes, text);
        }
        assert_eq!(canonicalise(&mut [b'N'], (3, 7)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_fall(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            let _ = canonicalise(&mut bytes, (3, 14));
        }
    }
}
