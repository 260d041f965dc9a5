//! Nix's base-32: its own alphabet, least significant bits first, written back to front.
//!
//! Store paths hold it (`/nix/store/<32 characters>-name`), and so do older `outputHash`es.

/// The 32 characters, in order of their value. `e`, `o`, `u` and `t` are left out, so that no hash
/// can spell an offensive word; that is also why a string of `e` marks a stripped reference.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Whether Nix could have written this character in a hash.
pub fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_lowercase() && !matches!(byte, b'e' | b'o' | b'u' | b't')
}

/// Encodes bytes as Nix prints hashes: 32 bytes become 52 characters, 20 become 32.
pub fn encode(bytes: &[u8]) -> String {
    let digits = (bytes.len() * 8).div_ceil(5);
    let bit = |at: usize| {
        let byte = bytes.get(at / 8).copied().unwrap_or(0);
        usize::from(byte >> (at % 8) & 1)
    };
    (0..digits)
        .rev()
        .map(|digit| {
            let value = (0..5).fold(0, |sum, n| sum | bit(digit * 5 + n) << n);
            char::from(ALPHABET.get(value).copied().unwrap_or(b'0'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `nix-hash --type sha256 --to-base32` of sha256("abc"), and of one byte less than nothing.
    #[test]
    fn hashes_are_written_as_nix_writes_them() {
        let abc = crate::core::digest::Digest::of(crate::core::digest::Algorithm::Sha256, b"abc");
        assert_eq!(
            encode(abc.bytes()),
            "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
        );
        assert_eq!(encode(&[]), "");
    }

    #[test]
    fn the_alphabet_and_its_test_agree() {
        for byte in 0..=u8::MAX {
            assert_eq!(is_digit(byte), ALPHABET.contains(&byte), "{byte}");
        }
    }
}
