//! Digests: the names under which everything is fetched, stored and compared.
//!
//! Two spellings are read and written: `sha256:<hex>`, as `uv.lock` has it, and Subresource
//! Integrity (`sha512-<base64>`), as `package-lock.json` and Nix have it
//! (<https://www.w3.org/TR/SRI/#integrity-metadata-description>).

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;

/// A hash algorithm that a lockfile may name, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// Broken; accepted only where the user allows it by name.
    Md5,
    /// Broken; accepted only where the user allows it by name.
    Sha1,
    /// What PyPI-style indexes and Nix use.
    Sha256,
    /// Seen in some Python locks.
    Sha384,
    /// What npm uses.
    Sha512,
}

impl Algorithm {
    /// Every algorithm, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name used before `:` or `-`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The digest's length in bytes.
    pub fn len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Whether a collision can be made at will, so that the digest proves nothing.
    pub fn is_weak(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// An algorithm and its value. Parsed once at the door, so a `Digest` is always well-formed.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

/// Why a digest could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Neither `name:hex` nor `name-base64`.
    #[error("`{0}` is not a digest: it has the form sha256:<hex> or sha256-<base64>")]
    Form(String),
    /// An algorithm that is not supported.
    #[error("`{0}` is not a hash algorithm that can be checked here: use sha256, sha384 or sha512")]
    Algorithm(String),
    /// The value does not decode to the algorithm's length.
    #[error("`{text}` is not a {algorithm} digest: the value must be {expected} bytes long", expected = .algorithm.len())]
    Value {
        /// As it was found.
        text: String,
        /// What it claims to be.
        algorithm: Algorithm,
    },
}

impl Digest {
    /// Wraps bytes that a [`Hasher`] or a decoder made.
    ///
    /// # Errors
    /// When their number is not the algorithm's.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, DigestError> {
        if bytes.len() == algorithm.len() {
            Ok(Self {
                algorithm,
                bytes: bytes.into(),
            })
        } else {
            Err(DigestError::Value {
                text: HEXLOWER.encode(bytes),
                algorithm,
            })
        }
    }

    /// Hashes a whole buffer.
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The raw value.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The value in lower-case hexadecimal, without the algorithm.
    pub fn hex(&self) -> String {
        HEXLOWER.encode(&self.bytes)
    }

    /// Subresource Integrity: `sha256-<base64>`.
    pub fn sri(&self) -> String {
        format!("{}-{}", self.algorithm, BASE64.encode(&self.bytes))
    }

    /// Reads an `integrity` value that may hold several digests separated by white space, and
    /// returns the strongest, as npm's `ssri` does. Options after `?` are dropped.
    ///
    /// # Errors
    /// When none of them can be read.
    pub fn strongest(integrity: &str) -> Result<Self, DigestError> {
        let mut problem = DigestError::Form(integrity.to_owned());
        let mut best: Option<Self> = None;
        for part in integrity.split_ascii_whitespace() {
            match part.split('?').next().unwrap_or(part).parse::<Self>() {
                Ok(found) if best.as_ref().is_none_or(|b| b.algorithm < found.algorithm) => {
                    best = Some(found);
                }
                Ok(_) => {}
                Err(error) => problem = error,
            }
        }
        best.ok_or(problem)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        let form = || DigestError::Form(text.to_owned());
        let at = text.find([':', '-']).ok_or_else(form)?;
        let (name, value) = text.split_at(at);
        let algorithm =
            Algorithm::by_name(name).ok_or_else(|| DigestError::Algorithm(name.to_owned()))?;
        let is_hex = value.starts_with(':');
        let value = value.get(1..).ok_or_else(form)?.as_bytes();
        let decoded = if is_hex {
            HEXLOWER_PERMISSIVE.decode(value)
        } else {
            BASE64.decode(value)
        };
        match decoded {
            Ok(bytes) if bytes.len() == algorithm.len() => Ok(Self {
                algorithm,
                bytes: bytes.into(),
            }),
            _ => Err(DigestError::Value {
                text: text.to_owned(),
                algorithm,
            }),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `sha256:<hex>`.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm, self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A digest in the making, fed piece by piece.
#[derive(Clone)]
pub enum Hasher {
    /// See [`Algorithm::Md5`].
    Md5(md5::Md5),
    /// See [`Algorithm::Sha1`].
    Sha1(sha1::Sha1),
    /// See [`Algorithm::Sha256`].
    Sha256(sha2::Sha256),
    /// See [`Algorithm::Sha384`].
    Sha384(sha2::Sha384),
    /// See [`Algorithm::Sha512`].
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// An empty one.
    pub fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Md5 => Self::Md5(md5::Md5::new()),
            Algorithm::Sha1 => Self::Sha1(sha1::Sha1::new()),
            Algorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
            Algorithm::Sha384 => Self::Sha384(sha2::Sha384::new()),
            Algorithm::Sha512 => Self::Sha512(sha2::Sha512::new()),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha384(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
        }
    }

    /// The digest of all that was added.
    pub fn finish(self) -> Digest {
        let (algorithm, bytes): (_, Box<[u8]>) = match self {
            Self::Md5(hasher) => (Algorithm::Md5, hasher.finalize().to_vec().into()),
            Self::Sha1(hasher) => (Algorithm::Sha1, hasher.finalize().to_vec().into()),
            Self::Sha256(hasher) => (Algorithm::Sha256, hasher.finalize().to_vec().into()),
            Self::Sha384(hasher) => (Algorithm::Sha384, hasher.finalize().to_vec().into()),
            Self::Sha512(hasher) => (Algorithm::Sha512, hasher.finalize().to_vec().into()),
        };
        Digest { algorithm, bytes }
    }
}

/// So that a hash can be taken of anything that can be copied to a writer.
impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The CRC-32 that gzip and zip use (RFC 1952, 8): against accidents, not against anybody.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = libdeflater::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_same_digest() {
        let hex: Digest = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            .parse()
            .unwrap();
        assert_eq!(hex, Digest::of(Algorithm::Sha256, b"abc"));
        assert_eq!(hex.sri().parse::<Digest>().unwrap(), hex);
        assert_eq!(hex.to_string().parse::<Digest>().unwrap(), hex);
        assert_eq!(
            hex.sri(),
            "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }

    #[test]
    fn the_strongest_of_several_is_taken() {
        let sha1 = Digest::of(Algorithm::Sha1, b"abc");
        let sha512 = Digest::of(Algorithm::Sha512, b"abc");
        let both = format!("{} {}?foo", sha1.sri(), sha512.sri());
        assert_eq!(Digest::strongest(&both).unwrap(), sha512);
    }

    #[test]
    fn malformed_digests_are_refused_with_a_reason() {
        for (text, part) in [
            ("", "is not a digest"),
            ("sha256", "is not a digest"),
            ("crc32:00", "not a hash algorithm"),
            ("sha256:00", "must be 32 bytes"),
            ("sha256-!!!!", "must be 32 bytes"),
            ("sha256:é", "must be 32 bytes"),
        ] {
            let message = text.parse::<Digest>().unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }
}
