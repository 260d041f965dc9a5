//! A digest over files, not over the bytes of an archive: what Go's `go.sum` names a module by.
//!
//! `h1:` is the SHA-256, in base64, of a text that has a line for each file: its own SHA-256 in hex, two
//! spaces, its name; sorted by the names (golang.org/x/mod/sumdb/dirhash, `Hash1`). Two archives that are
//! packed differently have one such digest, so nothing is stored under it: it only tells whether what was
//! brought is what was named.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use sha2::{Digest as _, Sha256};

/// What stands before the value.
const FORM: &str = "h1:";

/// The digest.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilesDigest([u8; 32]);

/// A text that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a hash of Go's: it has the form h1:<base64 of 32 bytes>", .0.escape_debug())]
pub struct FilesDigestError(String);

impl FilesDigest {
    /// Of files, by their names and the SHA-256 of each.
    pub fn of(files: impl IntoIterator<Item = (String, [u8; 32])>) -> Self {
        let files: BTreeMap<String, [u8; 32]> = files.into_iter().collect();
        let mut text = String::new();
        for (name, sha256) in files {
            let _ = writeln!(text, "{}  {name}", HEXLOWER.encode(&sha256));
        }
        Self(Sha256::digest(text).into())
    }

    /// Of a go.mod alone.
    pub fn of_go_mod(bytes: &[u8]) -> Self {
        Self::of([("go.mod".to_owned(), Sha256::digest(bytes).into())])
    }

    /// The value in lower-case hexadecimal.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.0)
    }
}

impl FromStr for FilesDigest {
    type Err = FilesDigestError;

    fn from_str(text: &str) -> Result<Self, FilesDigestError> {
        let wrong = || FilesDigestError(text.chars().take(80).collect());
        let value = text.strip_prefix(FORM).ok_or_else(wrong)?;
        let bytes = BASE64.decode(value.as_bytes()).map_err(|_| wrong())?;
        bytes.try_into().map(Self).map_err(|_| wrong())
    }
}

/// As go.sum has it.
impl fmt::Display for FilesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{FORM}{}", BASE64.encode(&self.0))
    }
}

impl fmt::Debug for FilesDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_files_does_not_count_and_their_names_do() {
        let file = |name: &str, text: &str| (name.to_owned(), Sha256::digest(text).into());
        let one = FilesDigest::of([file("a@v1/b", "x"), file("a@v1/B", "y")]);
        assert_eq!(
            one,
            FilesDigest::of([file("a@v1/B", "y"), file("a@v1/b", "x")])
        );
        assert_ne!(
            one,
            FilesDigest::of([file("a@v1/b", "y"), file("a@v1/B", "x")])
        );
        assert_eq!(one.to_string().parse::<FilesDigest>().unwrap(), one);
        for wrong in ["", "h1:", "h2:AAAA", "h1:AAAA", "h1:é", "sha256:00"] {
            let message = wrong.parse::<FilesDigest>().unwrap_err().to_string();
            assert!(message.contains("is not a hash of Go's"), "{message}");
        }
    }
}
