//! What stands at a path of a tree, and what is told when several brought it.

use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::core::foreign;
use crate::core::tree_path::TreePath;

/// What a file is, besides its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Permission bits, `0o777` at most.
    pub mode: u16,
    /// Length in bytes.
    pub size: u64,
    /// Of the bytes, where it is known: a tree without a record needs none.
    pub sha256: Option<[u8; 32]>,
}

impl FileFacts {
    /// Reads a file for what it is.
    ///
    /// # Errors
    /// When there is no regular file, or it cannot be read.
    pub fn of_file(path: &Path) -> io::Result<Self> {
        Self::of(foreign::open(path)?)
    }

    /// Reads an open file for what it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(mut file: fs::File) -> io::Result<Self> {
        let meta = file.metadata()?;
        let mode = meta.permissions().mode();
        let mut hasher = Sha256::new();
        let mut size = 0;
        // Most files are small.
        let mut piece = vec![0; usize::try_from(meta.len()).unwrap_or(0).clamp(512, 1 << 17)];
        loop {
            match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(piece.get(..read).unwrap_or_default());
                    size += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            mode: (mode & 0o777) as u16,
            size,
            sha256: Some(hasher.finalize().into()),
        })
    }
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A file.
    File(FileFacts),
    /// A symbolic link, and where it leads.
    Link(Box<str>),
}

impl Content {
    /// Whether both are known to be the same; files without a digest are not.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match self {
            Self::File(facts) => facts.sha256.is_some() && self == other,
            Self::Link(_) => self == other,
        }
    }
}

/// One path that several owners brought with different contents.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Collision {
    /// Where.
    pub path: TreePath,
    /// Whose file is there.
    pub winner: String,
    /// Whose is not, lowest rank first.
    pub losers: Vec<String>,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let losers = self.losers.join(", ");
        let (path, winner) = (&self.path, &self.winner);
        write!(
            f,
            "{path} is brought by {losers} and by {winner} with different bytes; {winner}'s is kept"
        )
    }
}
