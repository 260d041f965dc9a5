//! The Nix archive (NAR) of a tree, and its hash.
//!
//! A NAR is what Nix hashes when it says what a folder *is*: contents, names, links and the
//! executable bit, in one order, and nothing else (Dolstra, *The Purely Functional Software
//! Deployment Model*, section 5.2; `nix-archive-1`). Every string is its length in eight bytes,
//! little endian, then itself, then zeros up to a multiple of eight.
//!
//! SHA-256 cannot be split over threads, so everything else is: see [`pieces`](crate::core::pieces).

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::pieces::{Layout, PieceError, Pieces};
use crate::core::walk::{Node, WalkError, walk};

/// How long a piece grows, in bytes. Small enough to stay in a core's cache.
const PIECE: usize = 256 * 1024;

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The tree could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read, or changed meanwhile.
    #[error(transparent)]
    Piece(#[from] PieceError),
    /// The archive could not be written.
    #[error("cannot write the archive")]
    Write(#[source] io::Error),
}

/// The hash of a tree as Nix names it: SHA-256 over its archive.
///
/// # Errors
/// When something in it cannot be read, changes meanwhile, or is neither file, folder nor link.
pub fn hash_path(path: impl AsRef<Path>) -> Result<Digest, NarError> {
    Archive::of(path)?.hash()
}

/// The same of a tree that was walked.
///
/// # Errors
/// When a file cannot be read, or has changed since the walk.
pub fn hash_walked(path: impl AsRef<Path>, node: &Node) -> Result<Digest, NarError> {
    Archive::of_walked(path.as_ref(), node).hash()
}

/// A tree whose archive's layout is known, and whose contents are still to be read.
#[derive(Debug)]
pub struct Archive(Pieces);

impl Archive {
    /// Walks the tree at `path`: a folder, a file or a link.
    ///
    /// # Errors
    /// When something in it cannot be read, or is neither file, folder nor link.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, NarError> {
        let path = path.as_ref();
        Ok(Self::of_walked(path, &walk(path)?))
    }

    fn of_walked(path: &Path, node: &Node) -> Self {
        let mut frames = Frames(Layout::new(PIECE));
        frames.string(b"nix-archive-1");
        frames.node(node, &mut path.to_owned());
        Self(frames.0.finish())
    }

    /// The archive's length in bytes (`narSize`).
    pub fn size(&self) -> u64 {
        self.0.size()
    }

    /// Reads the tree and hashes its archive.
    ///
    /// # Errors
    /// When a file cannot be read, or has changed since the walk.
    pub fn hash(&self) -> Result<Digest, NarError> {
        self.write(io::sink())
    }

    /// Writes the archive, and returns its hash.
    ///
    /// # Errors
    /// As [`hash`](Self::hash), and when `out` cannot be written.
    pub fn write(&self, mut out: impl io::Write) -> Result<Digest, NarError> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        self.0.in_order(
            |at, bytes: &mut Vec<u8>| Ok(self.0.fill(at, bytes)?),
            |bytes| {
                hasher.update(bytes);
                out.write_all(bytes).map_err(NarError::Write)
            },
        )?;
        out.flush().map_err(NarError::Write)?;
        Ok(hasher.finish())
    }
}

/// An archive being laid out.
struct Frames(Layout);

impl Frames {
    fn node(&mut self, node: &Node, path: &mut PathBuf) {
        self.strings(&[b"(", b"type"]);
        match node {
            Node::File(file) => {
                self.string(b"regular");
                if file.is_executable() {
                    self.strings(&[b"executable", b""]);
                }
                self.string(b"contents");
                self.0.bytes(&file.size.to_le_bytes());
                self.0.contents(path, file.size);
                self.0.pad(file.size, 8);
            }
            Node::Link(target) => self.strings(&[b"symlink", b"target", target.as_bytes()]),
            Node::Folder(entries) => {
                self.string(b"directory");
                for (name, node) in entries {
                    self.entry(name, node, path);
                }
            }
        }
        self.string(b")");
    }

    fn entry(&mut self, name: &OsStr, node: &Node, path: &mut PathBuf) {
        self.strings(&[b"entry", b"(", b"name", name.as_bytes(), b"node"]);
        path.push(name);
        self.node(node, path);
        path.pop();
        self.string(b")");
    }

    fn strings(&mut self, strings: &[&[u8]]) {
        for string in strings {
            self.string(string);
        }
    }

    fn string(&mut self, bytes: &[u8]) {
        self.0.bytes(&(bytes.len() as u64).to_le_bytes());
        self.0.bytes(bytes);
        self.0.pad(bytes.len() as u64, 8);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("empty")).unwrap();
        fs::write(dir.path().join("a"), b"abc").unwrap();
        fs::write(dir.path().join("big"), vec![7; 3 * PIECE + 5]).unwrap();
        symlink("../nowhere", dir.path().join("link")).unwrap();
        dir
    }

    #[test]
    fn the_archive_is_as_long_as_it_says_and_hashes_to_what_is_written() {
        let dir = tree();
        let archive = Archive::of(dir.path()).unwrap();
        let mut bytes = Vec::new();
        let digest = archive.write(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, archive.size());
        assert_eq!(digest, Digest::of(Algorithm::Sha256, &bytes));
        assert_eq!(digest, hash_path(dir.path()).unwrap());
    }

    /// The archive of one file, byte by byte.
    #[test]
    fn a_file_is_framed_as_nix_frames_it() {
        let dir = tree();
        let mut bytes = Vec::new();
        Archive::of(dir.path().join("a"))
            .unwrap()
            .write(&mut bytes)
            .unwrap();
        let string = |text: &str| {
            let mut framed = (text.len() as u64).to_le_bytes().to_vec();
            framed.extend_from_slice(text.as_bytes());
            framed.resize(framed.len().next_multiple_of(8), 0);
            framed
        };
        let wanted: Vec<u8> = [
            "nix-archive-1",
            "(",
            "type",
            "regular",
            "contents",
            "abc",
            ")",
        ]
        .into_iter()
        .flat_map(string)
        .collect();
        assert_eq!(bytes, wanted);
    }

    #[test]
    fn a_file_that_grew_or_shrank_since_the_walk_is_refused() {
        for length in [0, 2, 4] {
            let dir = tree();
            let archive = Archive::of(dir.path()).unwrap();
            fs::write(dir.path().join("a"), vec![0; length]).unwrap();
            match archive.hash() {
                Err(NarError::Piece(PieceError::Changed { path })) => {
                    assert_eq!(path, dir.path().join("a"));
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_writer_that_fails_ends_the_work() {
        struct Full(usize);
        impl io::Write for Full {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0 = self
                    .0
                    .checked_sub(bytes.len())
                    .ok_or(io::ErrorKind::StorageFull)?;
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let archive = Archive::of(tree().path()).unwrap();
        assert!(matches!(
            archive.write(Full(PIECE)),
            Err(NarError::Piece(_) | NarError::Write(_))
        ));
        let dir = tree();
        let archive = Archive::of(dir.path()).unwrap();
        assert!(matches!(
            archive.write(Full(PIECE)),
            Err(NarError::Write(_))
        ));
    }

    #[test]
    fn pipes_are_refused_by_name() {
        let dir = tree();
        let pipe = dir.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let message = hash_path(dir.path()).unwrap_err().to_string();
        assert!(message.contains("is a named pipe"), "{message}");
    }
}
