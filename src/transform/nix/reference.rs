//! Store references in bytes: `/nix/store/<32 characters>-name`, and how they are found.
//!
//! Nix knows a reference by the 32 characters alone. Without the list of paths that it has, which
//! those are can only be told by the store's folder in front of them; given a list, they are found
//! anywhere, as Nix and nixpkgs' `remove-references-to` find them.

use std::fmt;
use std::str::FromStr;

use aho_corasick::AhoCorasick;
use memchr::memmem;

use super::base32;

/// How many characters of a store path's name are its hash.
pub const HASH: usize = 32;

/// How long Nix lets a name be.
const NAME: usize = 211;

/// What stands in place of a hash that was stripped: `e` is no digit of Nix's base-32, so nothing
/// can be called that.
pub const STRIPPED: [u8; HASH] = [b'e'; HASH];

/// The hash part of a store path.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreHash([u8; HASH]);

/// A text that names no store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a store path: give one like /nix/store/<32 characters>-name, or its 32 characters"
)]
pub struct NotAStorePath(String);

impl StoreHash {
    fn of(bytes: &[u8]) -> Option<Self> {
        let hash = bytes.first_chunk::<HASH>()?;
        hash.iter()
            .all(|&byte| base32::is_digit(byte))
            .then_some(Self(*hash))
    }

    /// Its characters, in ASCII.
    pub fn bytes(&self) -> &[u8; HASH] {
        &self.0
    }
}

/// A store path, the last part of one, or the hash alone. What lies below it does not matter.
impl FromStr for StoreHash {
    type Err = NotAStorePath;

    fn from_str(text: &str) -> Result<Self, NotAStorePath> {
        let wrong = || NotAStorePath(text.to_owned());
        text.split('/')
            .find_map(|part| {
                let ends = matches!(part.as_bytes().get(HASH), None | Some(b'-'));
                Self::of(part.as_bytes()).filter(|_| ends)
            })
            .ok_or_else(wrong)
    }
}

impl fmt::Display for StoreHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for StoreHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A reference that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// What Nix knows it by.
    pub hash: StoreHash,
    /// What follows the hash and a `-`; empty where nothing does.
    pub name: String,
}

/// `<hash>-<name>`.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.as_str() {
            "" => self.hash.fmt(f),
            name => write!(f, "{}-{name}", self.hash),
        }
    }
}

/// What is looked for.
#[derive(Debug, Clone)]
pub struct Search {
    pattern: Pattern,
    keep: Vec<StoreHash>,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Any hash after the store's folder.
    Folder(Box<memmem::Finder<'static>>),
    /// These hashes, wherever they stand.
    These(AhoCorasick),
}

impl Search {
    /// Every path of the store at `folder` (`/nix/store`), but those to be kept.
    pub fn every(folder: &str, keep: &[StoreHash]) -> Self {
        let before = format!("{}/", folder.trim_end_matches('/'));
        Self {
            pattern: Pattern::Folder(Box::new(memmem::Finder::new(&before).into_owned())),
            keep: keep.to_vec(),
        }
    }

    /// These paths alone, also where their hash stands without the store's folder.
    ///
    /// # Errors
    /// When there are too many of them to search for.
    pub fn only(hashes: &[StoreHash]) -> Result<Self, aho_corasick::BuildError> {
        Ok(Self {
            pattern: Pattern::These(AhoCorasick::new(hashes.iter().map(StoreHash::bytes))?),
            keep: Vec::new(),
        })
    }

    /// How many bytes a reference may take up: what two pieces of a file must have in common for
    /// none to be missed.
    pub fn longest(&self) -> usize {
        self.before() + HASH + 1 + NAME
    }

    /// How many bytes of a reference stand before its hash.
    pub fn before(&self) -> usize {
        match &self.pattern {
            Pattern::Folder(folder) => folder.needle().len(),
            Pattern::These(_) => 0,
        }
    }

    /// Calls `found` for each reference, with the offset of its hash.
    pub fn each(&self, bytes: &[u8], mut found: impl FnMut(usize, Reference)) {
        let mut at = |offset: usize| {
            let rest = bytes.get(offset..).unwrap_or_default();
            if let Some(hash) = StoreHash::of(rest)
                && !self.keep.contains(&hash)
            {
                let name = name(rest.get(HASH..).unwrap_or_default());
                found(offset, Reference { hash, name });
            }
        };
        match &self.pattern {
            Pattern::Folder(folder) => {
                let starts = folder.find_iter(bytes);
                starts.for_each(|start| at(start + self.before()));
            }
            Pattern::These(hashes) => hashes.find_iter(bytes).for_each(|found| at(found.start())),
        }
    }
}

/// `-name`, as far as it can be one.
fn name(bytes: &[u8]) -> String {
    let Some((b'-', rest)) = bytes.split_first() else {
        return String::new();
    };
    rest.iter()
        .take(NAME)
        .map(|&byte| char::from(byte))
        .take_while(|c| c.is_ascii_alphanumeric() || "+-._?=".contains(*c))
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const GLIBC: &str = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-glibc-2.34";

    fn found(search: &Search, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        search.each(text.as_bytes(), |at, reference| {
            all.push(format!("{at} {reference}"));
        });
        all
    }

    #[test]
    fn references_are_found_wherever_they_stand() {
        let every = Search::every("/nix/store", &[]);
        let glibc = GLIBC.trim_start_matches("/nix/store/");
        assert_eq!(
            found(&every, &format!("{GLIBC}/lib:{GLIBC}\0{GLIBC}")),
            [
                format!("11 {glibc}"),
                format!("70 {glibc}"),
                format!("125 {glibc}")
            ]
        );
        // Not a digit of base-32, too short, another store, stripped.
        for text in [
            "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fhe-glibc",
            "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh",
            "/gnu/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-glibc",
            "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-glibc",
            "/nix/store",
        ] {
            assert_eq!(found(&every, text), [""; 0], "{text}");
        }
        // Nix looks at the hash alone, so a missing name changes nothing.
        let bare = GLIBC.strip_suffix("-glibc-2.34").unwrap();
        assert_eq!(found(&every, bare), ["11 0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4"]);
        assert_eq!(found(&Search::every("/gnu/store/", &[]), GLIBC), [""; 0]);
    }

    #[test]
    fn given_hashes_are_found_without_the_folder_and_kept_ones_are_not() {
        let hash: StoreHash = GLIBC.parse().unwrap();
        let only = Search::only(&[hash]).unwrap();
        assert_eq!(
            found(&only, "x0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4"),
            ["1 0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4"]
        );
        assert_eq!(found(&Search::every("/nix/store", &[hash]), GLIBC), [""; 0]);
    }

    #[test]
    fn a_store_path_is_named_by_itself_or_its_hash() {
        let hash: StoreHash = "0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4".parse().unwrap();
        for text in [
            GLIBC,
            &format!("{GLIBC}/bin/x"),
            "0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-x",
        ] {
            assert_eq!(text.parse::<StoreHash>().unwrap(), hash);
        }
        for text in [
            "",
            "/nix/store",
            "0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4x",
            "bash",
        ] {
            assert!(text.parse::<StoreHash>().is_err(), "{text}");
        }
    }
}
