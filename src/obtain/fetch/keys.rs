//! Whose signature is trusted for what cannot be checked: a wheel that was built elsewhere has no
//! digest that a lock knows. Ed25519, in the form of Nix's binary caches: `NAME:BASE64`, the name
//! being the key's; a secret key has its seed and the public key behind that (64 bytes), a public key
//! 32 bytes.

use std::str::FromStr;

use camino::Utf8Path;
use data_encoding::BASE64;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use crate::core::foreign;

/// A key that says whom to believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    name: String,
    bytes: [u8; 32],
}

/// A key that signs.
pub struct SecretKey {
    name: String,
    pair: Ed25519KeyPair,
}

/// A text that is no key.
#[derive(Debug, Clone, thiserror::Error)]
#[error(
    "it is not a {0} key: a key has the form NAME:BASE64, as `lockwright store keygen NAME` or `nix key` writes it"
)]
pub struct KeyError(&'static str);

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parts(text).ok_or(KeyError("public"))?;
        let bytes = bytes.try_into().map_err(|_| KeyError("public"))?;
        Ok(Self { name, bytes })
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.name, BASE64.encode(&self.bytes))
    }
}

impl PublicKey {
    /// Whether this key made a signature (`NAME:BASE64`) of a text.
    pub fn made(&self, signature: &str, text: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, &self.bytes);
        parts(signature).is_some_and(|(name, signature)| {
            name == self.name && key.verify(text.as_bytes(), &signature).is_ok()
        })
    }
}

impl SecretKey {
    /// A new one, as text, with its public key.
    ///
    /// # Errors
    /// When the system has no randomness to give.
    pub fn generate(name: &str) -> Result<(String, String), ring::error::Unspecified> {
        let mut seed = [0; 32];
        SystemRandom::new().fill(&mut seed)?;
        let pair =
            Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| ring::error::Unspecified)?;
        let public = pair.public_key().as_ref();
        let secret = [&seed, public].concat();
        let text = |bytes: &[u8]| format!("{name}:{}", BASE64.encode(bytes));
        Ok((text(&secret), text(public)))
    }

    /// Reads one from a file.
    ///
    /// # Errors
    /// With a sentence, when it cannot be read or is none.
    pub fn load(file: &Utf8Path) -> Result<Self, String> {
        let no = |why: String| format!("the key {file} cannot be used: {why}");
        let bytes = foreign::read(file, 1 << 16).map_err(|error| no(error.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let error = || no(KeyError("secret").to_string());
        let (name, bytes) = parts(text.trim()).ok_or_else(error)?;
        let (seed, public) = bytes.split_at_checked(32).ok_or_else(error)?;
        let pair = Ed25519KeyPair::from_seed_and_public_key(seed, public);
        let pair = pair.map_err(|_| error())?;
        Ok(Self { name, pair })
    }

    /// Signs a text.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.pair.sign(text.as_bytes());
        format!("{}:{}", self.name, BASE64.encode(signature.as_ref()))
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

fn parts(text: &str) -> Option<(String, Vec<u8>)> {
    let (name, bytes) = text.trim().split_once(':')?;
    let bytes = BASE64.decode(bytes.as_bytes()).ok()?;
    (!name.is_empty()).then(|| (name.to_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_text_and_key_alone() {
        let (secret, public) = SecretKey::generate("ci").unwrap();
        let held = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(held.path(), &secret).unwrap();
        let secret = SecretKey::load(Utf8Path::from_path(held.path()).unwrap()).unwrap();
        let public: PublicKey = public.parse().unwrap();
        let signature = secret.sign("text");
        assert!(public.made(&signature, "text"));
        assert!(!public.made(&signature, "texts"));
        let (_, other) = SecretKey::generate("ci").unwrap();
        assert!(!other.parse::<PublicKey>().unwrap().made(&signature, "text"));
        for text in ["", "ci", "ci:", "ci:AAAA", ":AAAA"] {
            assert!(text.parse::<PublicKey>().is_err(), "{text}");
        }
    }
}
