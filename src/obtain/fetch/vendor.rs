//! The plain folder of artifacts that `fetch --vendor` writes and `--find-links` reads.
//!
//! Each artifact lies in it under its own file name. Where several artifacts of one lock share a
//! file name (`@a/util` and `@b/util` of npm do), each of those gets its digest's beginning before
//! the name, whichever came first.

use std::collections::BTreeMap;

use crate::core::artifact::Artifact;
use crate::core::digest::Digest;

/// What each of these artifacts is called in a vendored folder; an artifact that appears twice has
/// one name. `None` for one that cannot be put there: it has no digest and shares its name, or the
/// name is no plain file name.
pub fn names<'a>(artifacts: &[&'a Artifact]) -> Vec<Option<String>> {
    let mut by_name: BTreeMap<&str, Vec<Option<&'a Digest>>> = BTreeMap::new();
    for artifact in artifacts {
        let sharing = by_name.entry(&artifact.file_name).or_default();
        let digest = artifact.digest.as_ref();
        if digest.is_none() || !sharing.contains(&digest) {
            sharing.push(digest);
        }
    }
    let name = |artifact: &&Artifact| {
        let name = artifact.file_name.as_str();
        let is_shared = by_name.get(name).is_some_and(|sharing| sharing.len() > 1);
        match (&artifact.digest, is_shared) {
            _ if !is_plain(name) => None,
            (_, false) => Some(name.to_owned()),
            (Some(digest), true) => Some(long_name(digest, name)),
            (None, true) => None,
        }
    };
    artifacts.iter().map(name).collect()
}

/// The name of a file that shares its own with another.
pub(super) fn long_name(digest: &Digest, file_name: &str) -> String {
    let hex = digest.hex();
    format!("{}-{file_name}", hex.get(..16).unwrap_or(&hex))
}

/// What an artifact is called in a Nix store, behind the digest: of its own name, the characters that
/// may stand there.
pub fn nix_name(file_name: &str) -> String {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || "+-._?=".contains(c);
    let fit: Vec<char> = file_name
        .chars()
        .map(|c| if is_fit(c) { c } else { '-' })
        .collect();
    // Endings tell more than beginnings; 211 characters are allowed, the digest not counted.
    let name: String = fit.iter().skip(fit.len().saturating_sub(180)).collect();
    match name.starts_with('.') || name.is_empty() {
        true => format!("-{name}"),
        false => name,
    }
}

/// Whether a name from a lock is the name of a file in a folder, and nothing else.
pub(super) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::artifact::Location;
    use crate::core::digest::Algorithm;

    fn artifact(file_name: &str, bytes: Option<&[u8]>) -> Artifact {
        Artifact {
            file_name: file_name.to_owned(),
            location: Location::Path("/a".into()),
            digest: bytes.map(|bytes| Digest::of(Algorithm::Sha256, bytes)),
            size: None,
        }
    }

    #[test]
    fn only_those_that_share_a_name_get_a_longer_one_in_any_order() {
        let one = artifact("util-1.0.0.tgz", Some(b"a"));
        let same = artifact("util-1.0.0.tgz", Some(b"a"));
        let other = artifact("util-1.0.0.tgz", Some(b"b"));
        let alone = artifact("alone-1.0.0.tgz", Some(b"c"));
        let name = |names: Vec<Option<String>>| -> Vec<String> {
            names.into_iter().map(Option::unwrap_or_default).collect()
        };
        assert_eq!(
            name(names(&[&one, &same])),
            ["util-1.0.0.tgz", "util-1.0.0.tgz"]
        );
        let long = [
            "ca978112ca1bbdca-util-1.0.0.tgz",
            "3e23e8160039594a-util-1.0.0.tgz",
        ];
        assert_eq!(
            name(names(&[&one, &alone, &other])),
            [long[0], "alone-1.0.0.tgz", long[1]]
        );
        assert_eq!(
            name(names(&[&other, &same, &one])),
            [long[1], long[0], long[0]]
        );
    }

    #[test]
    fn what_has_no_name_of_its_own_cannot_be_put_there() {
        for name in ["", ".", "..", "../a.whl", "a/b.whl", "a\\b.whl"] {
            assert_eq!(names(&[&artifact(name, Some(b"a"))]), [None], "{name}");
        }
        let unhashed = artifact("a.whl", None);
        assert_eq!(names(&[&unhashed]), [Some("a.whl".to_owned())]);
        assert_eq!(names(&[&unhashed, &unhashed]), [None, None]);
    }
}
