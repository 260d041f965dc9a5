//! Paths inside an output.

use std::fmt;

/// A path relative to an output's top, checked once when it is made: parts separated by `/`, none
/// of them empty, `.` or `..`, none with a backslash, a colon that would name a drive, a NUL or
/// another control character.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TreePath(Box<str>);

/// Why a path cannot stand in an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a path that can be placed: {reason}", .path.escape_debug())]
pub struct PathError {
    path: String,
    reason: &'static str,
}

impl TreePath {
    /// Checks a path.
    ///
    /// # Errors
    /// With the reason, when it could lead outside or be read differently elsewhere.
    pub fn new(path: impl Into<String>) -> Result<Self, PathError> {
        let path = path.into();
        match problem(&path) {
            None => Ok(Self(path.into_boxed_str())),
            Some(reason) => Err(PathError { path, reason }),
        }
    }

    /// A path below this one.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::new(format!("{}/{below}", self.0))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder it is in; nothing at the top.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// Its last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }
}

fn problem(path: &str) -> Option<&'static str> {
    if path.is_empty() {
        return Some("it is empty");
    }
    if path.starts_with('/') {
        return Some("it is absolute");
    }
    if path.len() > 4000 {
        return Some("it is too long");
    }
    if path.contains('\\') {
        return Some("it has a backslash");
    }
    if path.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    path.split('/').find_map(|part| match part {
        "" => Some("a part of it is empty"),
        "." => Some("it has a `.` part"),
        ".." => Some("it leads outside"),
        part if part.len() > 255 => Some("a part of it is too long"),
        part if part.as_bytes().get(1) == Some(&b':') && part.len() == 2 => {
            Some("it names a drive")
        }
        _ => None,
    })
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_are_taken() {
        for path in ["a", "a/b.py", ".hidden/x", "...", "a b/é"] {
            assert!(TreePath::new(path).is_ok(), "{path}");
        }
        for path in [
            "", "/a", "a//b", "a/", "./a", "a/..", "../a", "a\\b", "C:/x", "a\0", "a\nb",
        ] {
            assert!(TreePath::new(path).is_err(), "{path:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_taken_never_leads_outside(path in ".*") {
            if let Ok(path) = TreePath::new(path) {
                let joined = camino::Utf8Path::new("/stage").join(path.as_str());
                proptest::prop_assert!(joined.starts_with("/stage"));
                proptest::prop_assert!(!joined.components().any(|part| part.as_str() == ".."));
            }
        }
    }
}
