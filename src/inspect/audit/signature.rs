//! A registry's signatures (<https://docs.npmjs.com/about-registry-signatures>): ECDSA over P-256 with
//! SHA-256, of `NAME@VERSION:INTEGRITY`.

use data_encoding::BASE64;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde::Deserialize;

use super::packument::Signature;

/// A registry's keys, as `/-/npm/v1/keys` has them.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Keys {
    keys: Vec<Key>,
}

#[derive(Debug, Clone, Deserialize)]
struct Key {
    keyid: String,
    /// The public key, as base64 of its SubjectPublicKeyInfo.
    key: String,
    /// Until when it is good; nothing where it still is.
    expires: Option<String>,
}

/// What a signature comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the registry's.
    Good,
    /// It is of no key that is known.
    UnknownKey,
    /// Its key was no longer good when this was published.
    Expired,
    /// It is not of these words.
    Wrong,
}

/// What stands before the point in the SubjectPublicKeyInfo of a P-256 key (RFC 5480, section 2).
const HEADER: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

impl Keys {
    /// Reads a registry's answer.
    ///
    /// # Errors
    /// With the reason, where it is no list of keys.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("its keys cannot be read: {error}"))
    }

    /// Holds a signature against what it should be of. `published` is when that was, in RFC 3339.
    pub fn verdict(&self, said: &str, signature: &Signature, published: Option<&str>) -> Verdict {
        let Some(key) = self.keys.iter().find(|key| key.keyid == signature.keyid) else {
            return Verdict::UnknownKey;
        };
        let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
        if let (Some(expires), Some(published)) = (
            key.expires.as_deref().and_then(moment),
            published.and_then(moment),
        ) && published >= expires
        {
            return Verdict::Expired;
        }
        let decoded = |text: &str| BASE64.decode(text.as_bytes()).ok();
        let good = decoded(&key.key).zip(decoded(&signature.sig)).is_some_and(
            |(key, signature)| match key.strip_prefix(&HEADER) {
                Some(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                    .verify(said.as_bytes(), &signature)
                    .is_ok(),
                None => false,
            },
        );
        if good { Verdict::Good } else { Verdict::Wrong }
    }
}
