//! The Nix archive (NAR) of a tree, and its hash.
//!
//! A NAR is what Nix hashes when it says what a folder *is*: contents, names, links and the
//! executable bit, in one order, and nothing else (Dolstra, *The Purely Functional Software
//! Deployment Model*, section 5.2; `nix-archive-1`). Every string is its length in eight bytes,
//! little endian, then itself, then zeros up to a multiple of eight.
//!
//! SHA-256 cannot be split over threads, so everything else is: once the tree has been walked, the
//! layout of the whole archive is known. It is cut into pieces of about [`PIECE`] bytes that any
//! thread can fill, and that are taken in order. The thread that takes them fills some itself
//! rather than wait, so both the disk and the hash are kept busy, in bounded memory.

use std::ffi::OsStr;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::{fs, thread};

use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::walk::{Node, WalkError, walk};

/// How long a piece grows, in bytes. Small enough to stay in a core's cache.
const PIECE: usize = 256 * 1024;

/// How many pieces may be waiting to be taken.
const AHEAD: usize = 32;

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum NarError {
    /// The tree could not be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file could not be read.
    #[error("cannot read {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file grew or shrank between being listed and being read.
    #[error("{} changed while it was read: try again when nothing writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
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

/// A tree whose archive's layout is known, and whose contents are still to be read.
#[derive(Debug)]
pub struct Archive {
    pieces: Vec<Piece>,
    files: Vec<PathBuf>,
    size: u64,
}

/// What is in one stretch of the archive.
#[derive(Debug, Default)]
struct Piece {
    parts: Vec<Part>,
    length: usize,
}

#[derive(Debug)]
enum Part {
    /// Names, links and punctuation.
    Frame(Vec<u8>),
    /// A part of a file: which, and where in it.
    Contents {
        file: usize,
        offset: u64,
        length: usize,
        /// Nothing may follow.
        last: bool,
    },
}

impl Archive {
    /// Walks the tree at `path`: a folder, a file or a link.
    ///
    /// # Errors
    /// When something in it cannot be read, or is neither file, folder nor link.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, NarError> {
        let path = path.as_ref();
        let mut layout = Layout::default();
        layout.string(b"nix-archive-1");
        layout.node(&walk(path)?, &mut path.to_owned());
        Ok(layout.finish())
    }

    /// The archive's length in bytes (`narSize`).
    pub fn size(&self) -> u64 {
        self.size
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
        self.in_order(|bytes| {
            hasher.update(bytes);
            out.write_all(bytes).map_err(NarError::Write)
        })?;
        out.flush().map_err(NarError::Write)?;
        Ok(hasher.finish())
    }

    /// Fills the pieces on every core, and hands them to `take` one after the other.
    fn in_order(
        &self,
        mut take: impl FnMut(&[u8]) -> Result<(), NarError>,
    ) -> Result<(), NarError> {
        let queue = Queue::new(self.pieces.len());
        let others = thread::available_parallelism()
            .map_or(1, usize::from)
            .max(2)
            - 1;
        thread::scope(|scope| {
            for _ in 0..others.min(self.pieces.len().saturating_sub(1)) {
                scope.spawn(|| {
                    while let Some((at, buffer)) = queue.claim() {
                        queue.put(at, self.fill(at, buffer));
                    }
                });
            }
            // However this ends, the others must not go on waiting.
            let _stop = StopOnDrop(&queue);
            while let Some(turn) = queue.turn() {
                match turn {
                    Turn::Take(piece) => {
                        let bytes = piece?;
                        take(&bytes)?;
                        queue.recycle(bytes);
                    }
                    Turn::Fill(at, buffer) => queue.put(at, self.fill(at, buffer)),
                }
            }
            Ok(())
        })
    }

    fn fill(&self, at: usize, mut bytes: Vec<u8>) -> Result<Vec<u8>, NarError> {
        bytes.clear();
        let Some(piece) = self.pieces.get(at) else {
            return Ok(bytes);
        };
        bytes.reserve(piece.length + 1);
        for part in &piece.parts {
            match *part {
                Part::Frame(ref frame) => bytes.extend_from_slice(frame),
                Part::Contents {
                    file,
                    offset,
                    length,
                    last,
                } => {
                    let path = self.files.get(file).map_or(Path::new(""), PathBuf::as_path);
                    let wanted = bytes.len() + length;
                    // One byte more than there should be tells a file that has grown.
                    read(path, offset, length as u64 + u64::from(last), &mut bytes).map_err(
                        |source| NarError::Read {
                            path: path.to_owned(),
                            source,
                        },
                    )?;
                    if bytes.len() != wanted {
                        return Err(NarError::Changed {
                            path: path.to_owned(),
                        });
                    }
                }
            }
        }
        Ok(bytes)
    }
}

fn read(path: &Path, offset: u64, length: u64, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut file = fs::File::open(path)?;
    if offset > 0 {
        file.seek(io::SeekFrom::Start(offset))?;
    }
    file.take(length).read_to_end(bytes)?;
    Ok(())
}

/// An archive being laid out.
#[derive(Default)]
struct Layout {
    pieces: Vec<Piece>,
    files: Vec<PathBuf>,
    size: u64,
    piece: Piece,
    frame: Vec<u8>,
}

impl Layout {
    fn node(&mut self, node: &Node, path: &mut PathBuf) {
        self.strings(&[b"(", b"type"]);
        match node {
            Node::File(file) => {
                self.string(b"regular");
                if file.is_executable() {
                    self.strings(&[b"executable", b""]);
                }
                self.string(b"contents");
                self.contents(path, file.size);
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
        self.frame
            .extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.frame.extend_from_slice(bytes);
        self.pad(bytes.len() as u64);
    }

    fn pad(&mut self, length: u64) {
        let zeros = length.wrapping_neg() % 8;
        self.frame.resize(self.frame.len() + zeros as usize, 0);
    }

    fn contents(&mut self, path: &Path, size: u64) {
        self.frame.extend_from_slice(&size.to_le_bytes());
        self.end_frame();
        let file = self.files.len();
        self.files.push(path.to_owned());
        let mut offset = 0;
        loop {
            let room = PIECE.saturating_sub(self.piece.length) as u64;
            let length = room.min(size - offset);
            let last = offset + length == size;
            self.piece.length += length as usize;
            self.piece.parts.push(Part::Contents {
                file,
                offset,
                length: length as usize,
                last,
            });
            offset += length;
            if self.piece.length >= PIECE {
                self.end_piece();
            }
            if last {
                break;
            }
        }
        self.pad(size);
    }

    fn end_frame(&mut self) {
        if !self.frame.is_empty() {
            self.piece.length += self.frame.len();
            let frame = std::mem::take(&mut self.frame);
            self.piece.parts.push(Part::Frame(frame));
        }
        if self.piece.length >= PIECE {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        self.size += self.piece.length as u64;
        self.pieces.push(std::mem::take(&mut self.piece));
    }

    fn finish(mut self) -> Archive {
        self.end_frame();
        self.end_piece();
        Archive {
            pieces: self.pieces,
            files: self.files,
            size: self.size,
        }
    }
}

/// Pieces between the threads that fill them and the one that takes them in order.
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    /// Number of pieces in all.
    total: usize,
    /// The next piece that nobody fills yet.
    unclaimed: usize,
    /// The next piece to be taken.
    next: usize,
    /// Filled pieces from `next` on, at their number modulo [`AHEAD`].
    filled: [Option<Result<Vec<u8>, NarError>>; AHEAD],
    /// Buffers to be used again.
    spare: Vec<Vec<u8>>,
    stopped: bool,
}

/// What the taking thread should do next.
enum Turn {
    Take(Result<Vec<u8>, NarError>),
    Fill(usize, Vec<u8>),
}

impl Queue {
    fn new(total: usize) -> Self {
        let state = State {
            total,
            unclaimed: 0,
            next: 0,
            filled: [const { None }; AHEAD],
            spare: Vec::new(),
            stopped: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A piece to fill, as soon as there is room for one; nothing when all are claimed.
    fn claim(&self) -> Option<(usize, Vec<u8>)> {
        let mut state = self.locked();
        loop {
            if state.stopped || state.unclaimed == state.total {
                return None;
            }
            if let Some(claimed) = state.claim() {
                return Some(claimed);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, at: usize, piece: Result<Vec<u8>, NarError>) {
        if let Some(slot) = self.locked().filled.get_mut(at % AHEAD) {
            *slot = Some(piece);
        }
        self.changed.notify_all();
    }

    /// The next piece if it is there, else one to fill meanwhile, else waits.
    fn turn(&self) -> Option<Turn> {
        let mut state = self.locked();
        loop {
            if state.next == state.total {
                return None;
            }
            let slot = state.next % AHEAD;
            if let Some(piece) = state.filled.get_mut(slot).and_then(Option::take) {
                state.next += 1;
                drop(state);
                self.changed.notify_all();
                return Some(Turn::Take(piece));
            }
            if let Some((at, buffer)) = state.claim() {
                return Some(Turn::Fill(at, buffer));
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn recycle(&self, buffer: Vec<u8>) {
        self.locked().spare.push(buffer);
    }
}

impl State {
    fn claim(&mut self) -> Option<(usize, Vec<u8>)> {
        let at = self.unclaimed;
        if at == self.total || at >= self.next + AHEAD {
            return None;
        }
        self.unclaimed += 1;
        Some((at, self.spare.pop().unwrap_or_default()))
    }
}

/// Tells the filling threads to end, also when the taking thread returns early.
struct StopOnDrop<'a>(&'a Queue);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.locked().stopped = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
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
                Err(NarError::Changed { path }) => assert_eq!(path, dir.path().join("a")),
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
            Err(NarError::Read { .. } | NarError::Write(_))
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
