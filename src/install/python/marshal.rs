//! Making marshalled code canonical, so that a pyc depends on its source alone.
//!
//! CPython writes whether anything else in the process holds an object (`FLAG_REF`: it may be
//! referred to later) and whether a string happens to be interned, both of which depend on what was
//! compiled before. Here equal strings are written once, interned where they look like names, and
//! only what is referred to is marked, so that equal code gives equal bytes. Loading it gives the
//! same code: strings cannot be told apart but by identity, and names are interned on loading.
//!
//! The format is `Python/marshal.c`'s, versions 4 and 5; a code object's fields are those of
//! CPython 3.8 to 3.10 and of 3.11 to 3.14.

use std::collections::HashMap;

const FLAG_REF: u8 = 0x80;
/// Nesting beyond this is none that CPython itself would read (`MAX_MARSHAL_STACK_DEPTH`).
const DEEPEST: usize = 2000;

/// The same object, written canonically. `None`: the bytes are of a format that is not known here.
pub(crate) fn canonical(bytes: &[u8], python: (u8, u8)) -> Option<Vec<u8>> {
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
    let mut writer = Writer {
        bytes,
        at: 0,
        fields,
        out: Vec::with_capacity(bytes.len()),
        written: Vec::new(),
        marked: Vec::new(),
        strings: HashMap::new(),
        references: Vec::new(),
    };
    writer.object(0)?;
    if writer.at != bytes.len() {
        return None;
    }
    let Writer {
        mut out,
        written,
        references,
        ..
    } = writer;
    let mut used = vec![false; written.len()];
    for &(_, object) in &references {
        *used.get_mut(object)? = true;
    }
    let mut numbers = Vec::with_capacity(written.len());
    let mut next: u32 = 0;
    for (&offset, &used) in written.iter().zip(&used) {
        numbers.push(next);
        if used {
            next += 1;
            *out.get_mut(offset)? |= FLAG_REF;
        }
    }
    for (offset, object) in references {
        let number = numbers.get(object)?.to_le_bytes();
        out.get_mut(offset..offset + 4)?.copy_from_slice(&number);
    }
    Some(out)
}

/// A code object's layout: numbers, then objects (the line number is among what follows), then
/// objects again.
#[derive(Clone, Copy)]
struct Fields {
    head: usize,
    objects: usize,
    tail: usize,
}

struct Writer<'a> {
    bytes: &'a [u8],
    at: usize,
    fields: Fields,
    out: Vec<u8>,
    /// Where each object begins in `out`, in order.
    written: Vec<usize>,
    /// For each mark that was read, which object it is now.
    marked: Vec<usize>,
    /// Strings that have been written: whether ASCII, and the bytes.
    strings: HashMap<(bool, &'a [u8]), usize>,
    /// Where references' numbers stand in `out`, and to which object they are.
    references: Vec<(usize, usize)>,
}

impl<'a> Writer<'a> {
    fn object(&mut self, depth: usize) -> Option<u8> {
        if depth > DEEPEST {
            return None;
        }
        let byte = self.byte()?;
        let (kind, is_marked) = (byte & !FLAG_REF, byte & FLAG_REF != 0);
        match kind {
            b'r' => {
                let index = self.long()? as usize;
                let object = *self.marked.get(index)?;
                self.reference(object);
            }
            b'z' | b'Z' => {
                let length = usize::from(self.byte()?);
                self.string(true, length, is_marked)?;
            }
            b'a' | b'A' | b't' | b'u' => {
                let length = self.long()? as usize;
                self.string(matches!(kind, b'a' | b'A'), length, is_marked)?;
            }
            _ => {
                if is_marked {
                    self.marked.push(self.written.len());
                }
                self.written.push(self.out.len());
                self.out.push(kind);
                self.rest(kind, depth)?;
            }
        }
        Some(kind)
    }

    /// What follows a type byte that is neither a string's nor a reference's.
    fn rest(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            b'0' | b'N' | b'F' | b'T' | b'S' | b'.' => Some(()),
            b'i' => self.copy(4),
            b'I' | b'g' => self.copy(8),
            b'y' => self.copy(16),
            b'f' => self.counted(1, 1),
            b'x' => self.counted(1, 1).and_then(|()| self.counted(1, 1)),
            b'l' => self.counted(4, 2),
            b's' => self.counted(4, 1),
            b')' => {
                let count = self.byte()?;
                self.out.push(count);
                self.objects(usize::from(count), depth)
            }
            b'(' | b'[' | b'<' | b'>' => {
                let count = self.long()?;
                self.out.extend(count.to_le_bytes());
                self.objects(count as usize, depth)
            }
            b':' => self.objects(3, depth),
            b'{' => {
                while self.object(depth + 1)? != b'0' {
                    self.object(depth + 1)?;
                }
                Some(())
            }
            b'c' => {
                let Fields {
                    head,
                    objects,
                    tail,
                } = self.fields;
                self.copy(4 * head)?;
                self.objects(objects, depth)?;
                self.copy(4)?;
                self.objects(tail, depth)
            }
            _ => None,
        }
    }

    fn string(&mut self, is_ascii: bool, length: usize, is_marked: bool) -> Option<()> {
        let value = self.take(length)?;
        let known = self.strings.get(&(is_ascii, value)).copied();
        let object = known.unwrap_or(self.written.len());
        if is_marked {
            self.marked.push(object);
        }
        if known.is_some() {
            self.reference(object);
            return Some(());
        }
        self.strings.insert((is_ascii, value), object);
        self.written.push(self.out.len());
        // CPython's own rule for constants (`all_name_chars`, Objects/codeobject.c).
        let is_name = value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        match (is_ascii, u8::try_from(value.len())) {
            (true, Ok(short)) => self.out.extend([if is_name { b'Z' } else { b'z' }, short]),
            (true, Err(_)) => {
                self.out.push(if is_name { b'A' } else { b'a' });
                self.out
                    .extend(u32::try_from(value.len()).ok()?.to_le_bytes());
            }
            (false, _) => {
                self.out.push(b'u');
                self.out
                    .extend(u32::try_from(value.len()).ok()?.to_le_bytes());
            }
        }
        self.out.extend_from_slice(value);
        Some(())
    }

    fn reference(&mut self, object: usize) {
        self.out.push(b'r');
        self.references.push((self.out.len(), object));
        self.out.extend([0; 4]);
    }

    /// Copies a length of so many bytes, and so many bytes for each of it.
    fn counted(&mut self, width: usize, each: usize) -> Option<()> {
        let start = self.at;
        let count = match width {
            1 => usize::from(self.byte()?),
            // An integer's length is negative where the integer is.
            _ => self.long()?.cast_signed().unsigned_abs() as usize,
        };
        self.at = start;
        self.copy(width.checked_add(count.checked_mul(each)?)?)
    }

    fn copy(&mut self, count: usize) -> Option<()> {
        let piece = self.take(count)?;
        self.out.extend_from_slice(piece);
        Some(())
    }

    fn objects(&mut self, count: usize, depth: usize) -> Option<()> {
        for _ in 0..count {
            self.object(depth + 1)?;
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn long(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let piece = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(piece)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_referred_to_is_marked() {
        // ("a"!, "b"!, ref 2, None!), every object marked, the tuple too.
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
        let mut expected = vec![b')', 4, b'Z', 1, b'a', b'Z' | FLAG_REF, 1, b'b'];
        expected.extend([b'r', 0, 0, 0, 0, b'N']);
        assert_eq!(canonical(&bytes, (3, 14)).unwrap(), expected);
    }

    #[test]
    fn it_does_not_matter_what_was_interned_or_shared() {
        let shared = [b')', 2, b'Z' | FLAG_REF, 2, b'a', b'.', b'r', 0, 0, 0, 0];
        let apart = [b')', 2, b'z', 2, b'a', b'.', b'Z', 2, b'a', b'.'];
        let one = canonical(&shared, (3, 14)).unwrap();
        assert_eq!(Some(&one), canonical(&apart, (3, 14)).as_ref());
        assert_eq!(Some(&one), canonical(&one, (3, 14)).as_ref());
    }

    #[test]
    fn what_is_not_known_is_not_written() {
        let unknown = [
            &b"?"[..],
            b")\x02N",
            b"z\x05ab",
            b"NN",
            b"r\x00\x00\x00\x00",
            b"(\xff\xff\xff\xffN",
        ];
        for bytes in unknown {
            assert_eq!(canonical(bytes, (3, 14)), None, "{bytes:?}");
        }
        assert_eq!(canonical(b"N", (3, 7)), None);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_fall(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..100)) {
            if let Some(once) = canonical(&bytes, (3, 14)) {
                proptest::prop_assert_eq!(canonical(&once, (3, 14)), Some(once.clone()));
            }
        }
    }
}
