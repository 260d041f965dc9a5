//! Paths inside an output, and what a disk may take for the same name.

use std::fmt;
use std::ops::Deref;
use std::path::Path;

use unicode_normalization::UnicodeNormalization as _;

use super::foreign;

/// A path inside an output: relative, `/`-separated UTF-8, with no empty, `.` or `..` part, no
/// backslash, no NUL and no other control character. Checked when it is made and never again.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct TreePath(Box<str>);

/// Longest path that is taken, in bytes: what Linux takes, less room for the folder it goes to.
const LONGEST: usize = 3072;
/// Longest part, in bytes: what the file systems in use take.
const LONGEST_PART: usize = 255;

/// Why a path cannot be one inside an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path inside a tree: {why}", foreign::brief(.path).escape_debug())]
pub struct PathError {
    /// As it was found.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl TreePath {
    /// Checks a path.
    ///
    /// # Errors
    /// When it is not one that stays inside a tree, on every system.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        match flaw(&path) {
            None => Ok(Self(path.into_boxed_str())),
            Some(why) => Err(PathError { path, why }),
        }
    }

    /// The same of a path as the system has it.
    ///
    /// # Errors
    /// As [`Self::new`]; and when it is not UTF-8.
    pub fn of(path: &Path) -> Result<Self, PathError> {
        match path.to_str() {
            Some(path) => Self::new(path),
            None => Err(PathError {
                path: path.display().to_string(),
                why: "it is not UTF-8",
            }),
        }
    }

    /// What stands in a folder, of two parts that were checked.
    pub(crate) fn within(folder: &str, name: &str) -> Self {
        let slash = if folder.is_empty() { "" } else { "/" };
        Self([folder, slash, name].concat().into_boxed_str())
    }

    /// A path below this one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::new(format!("{self}/{below}"))
    }

    /// As a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder it is in; nothing at the top.
    pub fn parent(&self) -> Option<&str> {
        Some(self.folder()).filter(|folder| !folder.is_empty())
    }

    /// The folder it is in; the empty string at the top.
    pub(crate) fn folder(&self) -> &str {
        split(&self.0).0
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        split(&self.0).1
    }

    /// The parts, from the top.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl Deref for TreePath {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for TreePath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl std::str::FromStr for TreePath {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl TryFrom<&str> for TreePath {
    type Error = PathError;

    fn try_from(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

/// The folder that a path is in, the empty string at the top, and its last part.
pub(crate) fn split(path: &str) -> (&str, &str) {
    let Some(slash) = memchr::memrchr(b'/', path.as_bytes()) else {
        return ("", path);
    };
    let (folder, name) = path.split_at(slash);
    (folder, name.strip_prefix('/').unwrap_or(name))
}

/// Checks the name of something in a folder whose path was checked.
pub(crate) fn check_name(folder: &str, name: &str) -> Result<(), PathError> {
    match flaw_anywhere(name) {
        None => Ok(()),
        Some(why) => Err(PathError {
            path: format!("{folder}/{name}"),
            why,
        }),
    }
}

/// What keeps a path from being one inside a tree.
fn flaw(path: &str) -> Option<&'static str> {
    // `C:` and `C:/x` are absolute on Windows.
    let mut start = path.bytes();
    if start.next().is_some_and(|b| b.is_ascii_alphabetic()) && start.next() == Some(b':') {
        return Some("it begins with a drive letter, which is absolute on Windows");
    }
    flaw_anywhere(path)
}

/// What keeps a path from being a part of one.
fn flaw_anywhere(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.len() > LONGEST {
        return Some("it is longer than 3072 bytes");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    for part in path.split('/') {
        match part {
            "" => return Some("it has an empty part"),
            "." => return Some("it has a part `.`"),
            ".." => return Some("it leads outside, by a part `..`"),
            _ if part.len() > LONGEST_PART => return Some("it has a part longer than 255 bytes"),
            _ => {}
        }
    }
    if path.contains('\\') {
        return Some("it has a backslash, which separates folders on Windows");
    }
    // Beyond ASCII, the control characters are U+0080 to U+009F: 0xC2 and one more byte.
    if path.bytes().any(|b| b < 0x20 || b == 0x7f || b == 0xc2) && path.contains(char::is_control) {
        return Some("it has a control character");
    }
    None
}

/// The name that a disk which folds case and Unicode forms would take a path for: two paths that
/// fold alike are one file there.
pub fn fold(path: &str) -> String {
    if path.is_ascii() {
        return path.to_ascii_lowercase();
    }
    // Decomposed first, so that a letter and its accent change case apart; upper before lower, so
    // that `ß` meets `SS` and the long s meets `s`.
    let apart: String = path.nfd().collect();
    apart.to_uppercase().to_lowercase().nfc().collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_inside_is_taken() {
        for path in [
            "a",
            "a/b.py",
            "...",
            "a/..b/c..",
            " ",
            "é/ß",
            ".hidden",
            "ab:c",
        ] {
            assert_eq!(TreePath::new(path).unwrap().as_str(), path);
        }
        let path = TreePath::new("a/b/c").unwrap();
        assert_eq!((path.parent(), path.file_name()), (Some("a/b"), "c"));
        assert_eq!(path.join("d/e").unwrap().as_str(), "a/b/c/d/e");
        assert_eq!(TreePath::new("a").unwrap().parent(), None);
    }

    #[test]
    fn what_leads_out_or_means_something_else_elsewhere_is_refused() {
        for path in [
            "", "/", "/a", "a//b", "a/", "./a", "a/.", "..", "../a", "a/../b", "a\\b", "a\0b",
            "a\nb", "a\u{7f}", "C:", "c:/x", "\u{85}",
        ] {
            assert!(TreePath::new(path).is_err(), "{path:?}");
        }
        assert!(TreePath::new("a".repeat(256)).is_err());
        assert!(TreePath::new("a/".repeat(1600)).is_err());
        assert!(TreePath::new("a").unwrap().join("../b").is_err());
    }

    #[test]
    fn names_that_a_folding_disk_confuses_fold_alike() {
        for (a, b) in [
            ("README", "readme"),
            ("caf\u{e9}", "cafe\u{301}"),
            ("CAFE\u{301}", "caf\u{e9}"),
            ("straße", "STRASSE"),
            ("\u{212a}elvin", "kelvin"),
            ("\u{17f}", "S"),
        ] {
            assert_eq!(fold(a), fold(b), "{a} {b}");
        }
        assert_ne!(fold("a"), fold("b"));
    }
}
