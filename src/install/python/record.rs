//! RECORD: what a wheel says it holds, and what an installation says it put where
//! (<https://packaging.python.org/en/latest/specifications/recording-installed-packages/#the-record-file>).

use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};

use crate::core::digest::{Algorithm, Digest};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry<'a> {
    /// The path, relative to site-packages.
    pub(crate) path: Cow<'a, str>,
    /// As written: `sha256=<base64>`, or nothing.
    pub(crate) hash: Cow<'a, str>,
    /// Bytes, as written, or nothing.
    pub(crate) size: Cow<'a, str>,
}

/// The hash of bytes, as RECORD spells it.
pub(super) fn hash(bytes: &[u8]) -> String {
    spell(&Digest::of(Algorithm::Sha256, bytes))
}

/// A digest, as RECORD spells it: base64 for URLs, without padding (PEP 427).
pub(super) fn spell(digest: &Digest) -> String {
    format!(
        "{}={}",
        digest.algorithm(),
        BASE64URL_NOPAD.encode(digest.bytes())
    )
}

/// Whether a hash as written is this digest's. Some wheels have hexadecimal ones (geoip2), which
/// are as good.
pub(super) fn is_hash(written: &str, digest: &Digest) -> bool {
    let Some((algorithm, value)) = written.split_once('=') else {
        return false;
    };
    algorithm == digest.algorithm().name()
        && (value.trim_end_matches('=') == BASE64URL_NOPAD.encode(digest.bytes())
            || value.eq_ignore_ascii_case(&HEXLOWER.encode(digest.bytes())))
}

/// The digest that a hash as written states; nothing where it is none, or of an algorithm that is
/// not known.
///
/// # Errors
/// When it cannot be the digest of anything.
pub(super) fn digest(written: &str) -> Result<Option<Digest>, ()> {
    let Some((algorithm, (_, value))) = algorithm(written).zip(written.split_once('=')) else {
        return Ok(None);
    };
    let bytes = if value.len() == 2 * algorithm.len() {
        HEXLOWER_PERMISSIVE.decode(value.as_bytes())
    } else {
        BASE64URL_NOPAD.decode(value.trim_end_matches('=').as_bytes())
    };
    let bytes = bytes.map_err(|_| ())?;
    Digest::new(algorithm, &bytes).map(Some).map_err(|_| ())
}

/// The algorithm that a hash as written names.
pub(super) fn algorithm(written: &str) -> Option<Algorithm> {
    let name = written.split_once('=')?.0;
    Algorithm::ALL
        .into_iter()
        .find(|algorithm| algorithm.name() == name)
}

impl Entry<'_> {
    /// A line for a file with these bytes.
    pub(crate) fn of(path: impl Into<String>, bytes: &[u8]) -> Self {
        Self {
            path: path.into().into(),
            hash: hash(bytes).into(),
            size: bytes.len().to_string().into(),
        }
    }

    /// A line for a file whose SHA-256 and size are known.
    pub(super) fn stated(path: impl Into<String>, sha256: &[u8; 32], size: u64) -> Self {
        Self {
            path: path.into().into(),
            hash: format!("sha256={}", BASE64URL_NOPAD.encode(sha256)).into(),
            size: size.to_string().into(),
        }
    }
}

/// Reads the lines: CSV, fields perhaps in double quotes.
///
/// # Errors
/// With the line's number, when it does not have three fields, or ends in its middle for other readers.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry<'_>>, usize> {
    let mut entries = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if line.contains('\r') {
            return Err(number + 1);
        }
        let mut rest = Some(line);
        let mut next = || field(rest.take()?, &mut rest);
        let fields = (next(), next(), next());
        match (fields, rest) {
            ((Some(path), Some(hash), Some(size)), None) if !path.is_empty() => {
                entries.push(Entry { path, hash, size });
            }
            _ => return Err(number + 1),
        }
    }
    Ok(entries)
}

/// The path of a line, whatever else is in it: of a RECORD that another tool wrote, what can be told
/// is told.
pub(crate) fn path_of(line: &str) -> Option<Cow<'_, str>> {
    field(line, &mut None).filter(|path| !path.is_empty())
}

/// The first field of a line, if its quotes end; what follows its comma becomes the rest. Quotes are
/// what Python's csv takes for quotes: those that a field begins with.
fn field<'a>(line: &'a str, rest: &mut Option<&'a str>) -> Option<Cow<'a, str>> {
    let mut cut = |text: &'a str| match text.split_once(',') {
        Some((field, more)) => {
            *rest = Some(more);
            field
        }
        None => text,
    };
    let Some(quoted) = line.strip_prefix('"') else {
        return Some(cut(line).into());
    };
    let mut field = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' if chars.as_str().starts_with('"') => {
                chars.next();
                field.push('"');
            }
            '"' => break,
            c => field.push(c),
        }
    }
    field.push_str(cut(chars.as_str()));
    Some(field.into())
}

/// Where a recorded path is in the tree: it is relative to site-packages, with `..` for scripts and
/// data, or absolute. `None` when it leads out.
pub(crate) fn within(root: &Path, site: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let (mut place, path) = match path.is_absolute() {
        true => (PathBuf::new(), path.strip_prefix(root).ok()?),
        false => (site.to_owned(), path),
    };
    for part in path.components() {
        match part {
            Component::Normal(name) => place.push(name),
            Component::CurDir => {}
            Component::ParentDir if place.pop() => {}
            _ => return None,
        }
    }
    // The tree's top is nobody's.
    (!place.as_os_str().is_empty()).then_some(place)
}

/// Writes the lines, sorted, fields in quotes only where they must be.
pub(crate) fn write(mut entries: Vec<Entry<'_>>) -> String {
    entries.sort();
    let mut text = String::new();
    for Entry { path, hash, size } in entries {
        for (field, end) in [(path, ','), (hash, ','), (size, '\n')] {
            if field.contains(['"', ',', '\n', '\r']) {
                let _ = write!(text, "\"{}\"", field.replace('"', "\"\""));
            } else {
                text.push_str(&field);
            }
            text.push(end);
        }
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_as_good_as_base64() {
        let digest = Digest::of(Algorithm::Sha256, b"x");
        assert!(is_hash(&spell(&digest), &digest));
        assert!(is_hash(&format!("sha256={}", digest.hex()), &digest));
        assert!(!is_hash(&hash(b"y"), &digest));
        assert!(!is_hash("sha256", &digest));
    }

    #[test]
    fn a_line_has_three_fields() {
        assert_eq!(parse("a,,\n\nb,sha256=x\n"), Err(3));
        assert_eq!(parse("a,b,c,d"), Err(1));
        assert_eq!(parse("a,b,c,\"d"), Err(1));
    }

    /// Found by fuzzing: the rest of the line was taken for a size, and written without its quotes.
    #[test]
    fn quotes_end_and_every_field_may_have_them() {
        assert_eq!(parse("a,b,c\"d,e\n"), Err(1));
        let odd = "a,\"b,\"\"c\",\"1,2\"\n";
        assert_eq!(write(parse(odd).unwrap()), odd);
    }

    /// As Python's csv writes when it is told to quote everything.
    #[test]
    fn every_field_may_stand_in_quotes() {
        let line = "\"a, \"\"b\"\".py\",\"sha256=x\",\"12\"";
        assert_eq!(path_of(line).unwrap(), "a, \"b\".py");
        assert_eq!(path_of("\"a,b\"").unwrap(), "a,b");
        assert_eq!(path_of("\"a,b"), None);
        assert_eq!(path_of(",x,"), None);
    }

    #[test]
    fn lines_are_read_as_python_reads_them() {
        use proptest::prelude::Rng as _;
        use proptest::test_runner::{RngAlgorithm, TestRng};
        let mut rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let letters = ['a', 'b', ',', ',', '"', '"', ' ', '\'', '=', 'é'];
        let line = |rng: &mut TestRng| -> String {
            let length = 3 + rng.next_u32() % 12;
            (0..length)
                .map(|_| letters[rng.next_u32() as usize % letters.len()])
                .collect()
        };
        let lines: Vec<String> = (0..3000).map(|_| line(&mut rng)).collect();
        let script = "import csv, json, sys\n\
                      for line in json.load(sys.stdin): print(json.dumps(next(csv.reader([line]))))";
        let mut python = std::process::Command::new("python3")
            .args(["-c", script])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        serde_json::to_writer(python.stdin.take().unwrap(), &lines).unwrap();
        let said = python.wait_with_output().unwrap().stdout;
        let rows = String::from_utf8(said).unwrap();
        let mut taken = 0;
        for (line, row) in lines.iter().zip(rows.lines()) {
            let row: Vec<String> = serde_json::from_str(row).unwrap();
            if let Some(path) = path_of(line) {
                assert_eq!(path, row[0], "{line}");
            }
            if let Ok(entries) = parse(line)
                && let [entry] = &entries[..]
            {
                assert_eq!(
                    [&entry.path, &entry.hash, &entry.size],
                    [&row[0], &row[1], &row[2]],
                    "{line}"
                );
                assert_eq!(row.len(), 3, "{line}");
                taken += 1;
            }
        }
        assert!(
            taken > 300 && rows.lines().count() == lines.len(),
            "{taken}"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_line_leads_out_of_the_tree(line in "\\PC{0,40}", dots in "(\\.\\./){0,5}[a-z/.]{0,9}") {
            for line in [line, dots] {
                if let Some(path) = path_of(&line)
                    && let Some(place) = within(Path::new("/r"), Path::new("a/b"), &path)
                {
                    proptest::prop_assert!(place.is_relative());
                    proptest::prop_assert!(!place.components().any(|c| c == Component::ParentDir));
                }
            }
        }

        #[test]
        fn what_is_written_is_read_back(paths in proptest::collection::btree_set("[^\r\n]{1,12}", 0..8)) {
            let entries: Vec<Entry<'_>> = paths
                .into_iter()
                .filter(|path| !path.trim().is_empty())
                .map(|path| Entry::of(path, b"x"))
                .collect();
            let text = write(entries.clone());
            proptest::prop_assert_eq!(parse(&text).unwrap(), entries);
        }
    }
}
