//! What the system says of files and folders.

use std::io;
use std::path::{Path, PathBuf};

/// Something could not be done with a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("cannot {doing} {}: {source}", .path.display())]
pub struct IoError {
    /// What: `read`.
    pub doing: &'static str,
    /// With what.
    pub path: PathBuf,
    /// What the system says.
    pub source: io::Error,
}

/// For `map_err`: `cannot("read", &path)`.
pub fn cannot<P: AsRef<Path> + ?Sized, E: Into<io::Error>>(
    doing: &'static str,
    path: &P,
) -> impl Fn(E) -> IoError + Copy {
    move |error| IoError {
        doing,
        path: path.as_ref().to_owned(),
        source: error.into(),
    }
}
