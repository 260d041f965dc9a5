//! A stream whose every byte is accounted for before one of them is read: an archive of a tree.
//!
//! Once a tree has been walked, all that an archive of it holds is known: what stands between the
//! files, and how long each of them is. So it is cut into pieces of about one size that any thread
//! can fill, and do more work on (compress, say), and that are taken in order. The thread that takes
//! them fills some itself rather than wait, so both the disk and whatever cannot be split, a hash,
//! are kept busy, in bounded memory. Where the cuts are depends on the tree alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::{fs, thread};

use rustix::buffer::spare_capacity;
use rustix::io::Errno;

use super::io_error::{IoError, cannot};
use super::locks;

/// How many pieces may be waiting to be taken.
const AHEAD: usize = 32;

/// Why a piece could not be filled.
#[derive(Debug, thiserror::Error)]
pub enum PieceError {
    /// A file could not be read.
    #[error(transparent)]
    Io(#[from] IoError),
    /// A file grew or shrank between being listed and being read.
    #[error("{} changed while it was read: try again when nothing writes to it", .path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
}

/// A stream being laid out.
#[derive(Debug)]
pub struct Layout {
    /// How long a piece grows, in bytes.
    limit: usize,
    done: Pieces,
    piece: Piece,
    frame: Vec<u8>,
}

/// A stream that is laid out.
#[derive(Debug, Default)]
pub struct Pieces {
    pieces: Vec<Piece>,
    files: Vec<PathBuf>,
    size: u64,
}

/// What is in one stretch of the stream.
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

impl Layout {
    /// An empty stream, in pieces of about `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            done: Pieces::default(),
            piece: Piece::default(),
            frame: Vec::new(),
        }
    }

    /// These bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.frame.extend_from_slice(bytes);
    }

    /// As many zeros as `length` bytes lack to a multiple of `unit`, a power of two.
    pub fn pad(&mut self, length: u64, unit: u64) {
        let zeros = length.wrapping_neg() % unit;
        self.frame.resize(self.frame.len() + zeros as usize, 0);
    }

    /// The contents of a file, which is so long.
    pub fn contents(&mut self, path: &Path, size: u64) {
        self.end_frame();
        let file = self.done.files.len();
        self.done.files.push(path.to_owned());
        let mut offset = 0;
        loop {
            let room = self.limit.saturating_sub(self.piece.length) as u64;
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
            if self.piece.length >= self.limit {
                self.end_piece();
            }
            if last {
                break;
            }
        }
    }

    /// The whole.
    pub fn finish(mut self) -> Pieces {
        self.end_frame();
        self.end_piece();
        self.done
    }

    fn end_frame(&mut self) {
        if !self.frame.is_empty() {
            self.piece.length += self.frame.len();
            let frame = std::mem::take(&mut self.frame);
            self.piece.parts.push(Part::Frame(frame));
        }
        if self.piece.length >= self.limit {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        self.done.size += self.piece.length as u64;
        self.done.pieces.push(std::mem::take(&mut self.piece));
    }
}

impl Pieces {
    /// The stream's length in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Makes something of each piece on every core, and hands what was made to `take`, in order.
    /// `make` is given a value that it may have made of another piece, to be used again, and fills
    /// it by [`fill`](Self::fill).
    ///
    /// # Errors
    /// The first of `make` or `take`.
    pub fn in_order<B: Default + Send, E: Send>(
        &self,
        make: impl Fn(usize, &mut B) -> Result<(), E> + Sync,
        mut take: impl FnMut(&B) -> Result<(), E>,
    ) -> Result<(), E> {
        let queue = Queue::new(self.pieces.len());
        let others = thread::available_parallelism()
            .map_or(1, usize::from)
            .max(2)
            - 1;
        let made = |at, mut value| make(at, &mut value).map(|()| value);
        thread::scope(|scope| {
            for _ in 0..others.min(self.pieces.len().saturating_sub(1)) {
                scope.spawn(|| {
                    while let Some((at, spare)) = queue.claim() {
                        queue.put(at, made(at, spare));
                    }
                });
            }
            // However this ends, the others must not go on waiting.
            let _stop = StopOnDrop(&queue);
            while let Some(turn) = queue.turn() {
                match turn {
                    Turn::Take(piece) => {
                        let piece = piece?;
                        take(&piece)?;
                        queue.recycle(piece);
                    }
                    Turn::Fill(at, spare) => queue.put(at, made(at, spare)),
                }
            }
            Ok(())
        })
    }

    /// The bytes of a piece, in the place of what was in `bytes`.
    ///
    /// # Errors
    /// When a file cannot be read, or is not as long as it was.
    pub fn fill(&self, at: usize, bytes: &mut Vec<u8>) -> Result<(), PieceError> {
        bytes.clear();
        let Some(piece) = self.pieces.get(at) else {
            return Ok(());
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
                    read(path, offset, wanted, bytes).map_err(cannot("read", path))?;
                    if !last {
                        bytes.truncate(wanted);
                    }
                    if bytes.len() != wanted {
                        return Err(PieceError::Changed {
                            path: path.to_owned(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Adds what is in a file from there on, until there are so many bytes in all, or fewer where it ends. Where it does
/// not end there, there are more.
fn read(path: &Path, mut offset: u64, wanted: usize, bytes: &mut Vec<u8>) -> io::Result<()> {
    let file = fs::File::open(path)?;
    loop {
        bytes.reserve((wanted + 1).saturating_sub(bytes.len()));
        let room = bytes.capacity() - bytes.len();
        let read = match rustix::io::pread(&file, spare_capacity(bytes), offset) {
            Err(Errno::INTR) => continue,
            read => read?,
        };
        offset += read as u64;
        // One that comes back short is at the end: that need not be asked for again.
        if read == 0 || bytes.len() > wanted || bytes.len() == wanted && read < room {
            return Ok(());
        }
    }
}

/// Pieces between the threads that fill them and the one that takes them in order.
struct Queue<B, E> {
    state: Mutex<State<B, E>>,
    changed: Condvar,
}

struct State<B, E> {
    /// Number of pieces in all.
    total: usize,
    /// The next piece that nobody fills yet.
    unclaimed: usize,
    /// The next piece to be taken.
    next: usize,
    /// Filled pieces from `next` on, at their number modulo [`AHEAD`].
    filled: [Option<Result<B, E>>; AHEAD],
    /// Values to be used again.
    spare: Vec<B>,
    stopped: bool,
}

/// What the taking thread should do next.
enum Turn<B, E> {
    Take(Result<B, E>),
    Fill(usize, B),
}

impl<B: Default, E> Queue<B, E> {
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

    fn locked(&self) -> MutexGuard<'_, State<B, E>> {
        locks::held(&self.state)
    }

    /// A piece to fill, as soon as there is room for one; nothing when all are claimed.
    fn claim(&self) -> Option<(usize, B)> {
        let mut state = self.locked();
        loop {
            if state.stopped || state.unclaimed == state.total {
                return None;
            }
            if let Some(claimed) = state.claim() {
                return Some(claimed);
            }
            state = locks::wait(&self.changed, state);
        }
    }

    fn put(&self, at: usize, piece: Result<B, E>) {
        if let Some(slot) = self.locked().filled.get_mut(at % AHEAD) {
            *slot = Some(piece);
        }
        self.changed.notify_all();
    }

    /// The next piece if it is there, else one to fill meanwhile, else waits.
    fn turn(&self) -> Option<Turn<B, E>> {
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
            if let Some((at, spare)) = state.claim() {
                return Some(Turn::Fill(at, spare));
            }
            state = locks::wait(&self.changed, state);
        }
    }

    fn recycle(&self, spare: B) {
        self.locked().spare.push(spare);
    }
}

impl<B: Default, E> State<B, E> {
    fn claim(&mut self) -> Option<(usize, B)> {
        let at = self.unclaimed;
        if at == self.total || at >= self.next + AHEAD {
            return None;
        }
        self.unclaimed += 1;
        Some((at, self.spare.pop().unwrap_or_default()))
    }
}

/// Tells the filling threads to end, also when the taking thread returns early.
struct StopOnDrop<'a, B: Default, E>(&'a Queue<B, E>);

impl<B: Default, E> Drop for StopOnDrop<'_, B, E> {
    fn drop(&mut self) {
        self.0.locked().stopped = true;
        self.0.changed.notify_all();
    }
}
