//! Gzipped tar archives, unpacked whole: into memory that is used again, or into a file without a name.

use std::cell::Cell;
use std::io::{self, Read as _, Write as _};

use super::Limits;
use super::inflate::Inflate;
use super::tar::{Reason, TarError};

/// Archives that unpack to more than this are unpacked onto the disk, in bytes.
const LARGEST_SCRATCH: usize = 64 << 20;

/// Unpacks a `.tar.gz` whole (a plain tar is taken as it is) and hands its bytes to `read`.
///
/// # Errors
/// When it is damaged or too large, and whatever `read` fails with.
pub fn unpack<T, E: From<TarError>>(
    packed: &[u8],
    name: &str,
    limits: &Limits,
    read: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, E> {
    if !packed.starts_with(GZIP) {
        return read(packed);
    }
    let mut scratch = SCRATCH.take();
    if let Some(length) = scratch.inflate(packed, limits) {
        let outcome = read(scratch.buffer.get(..length).unwrap_or_default());
        SCRATCH.set(scratch);
        return outcome;
    }
    let refuse = |reason| TarError {
        archive: name.to_owned(),
        reason,
    };
    match inflate_aside(packed, limits).map_err(refuse)? {
        Some(bytes) => read(&bytes),
        None => read(&[]),
    }
}

/// What gzip's members begin with: its mark, and deflate (RFC 1952, 2.3).
const GZIP: &[u8] = b"\x1f\x8b\x08";

thread_local! {
    static SCRATCH: Cell<Box<Scratch>> = Cell::default();
}

/// Memory that one archive after another is unpacked into.
struct Scratch {
    inflate: Inflate,
    buffer: Vec<u8>,
}

impl Default for Box<Scratch> {
    fn default() -> Self {
        Self::new(Scratch {
            inflate: Inflate::new(),
            buffer: Vec::new(),
        })
    }
}

impl Scratch {
    /// Unpacks what is small and of one part, and says how long it has become; `None` for
    /// everything else.
    fn inflate(&mut self, packed: &[u8], limits: &Limits) -> Option<usize> {
        // Modulo 4 GiB, and not to be trusted (RFC 1952, ISIZE): if it is wrong this way fails.
        let said = u32::from_le_bytes(*packed.last_chunk::<4>()?) as usize;
        if said > LARGEST_SCRATCH || limits.is_bomb(said as u64, packed.len() as u64) {
            return None;
        }
        if self.buffer.len() < said {
            self.buffer.resize(said, 0);
        }
        let into = self.buffer.get_mut(..said)?;
        let length = self.inflate.gzip(packed, into)?;
        (length == said).then_some(length)
    }
}

/// Unpacks anything, into a file without a name. `None`: nothing came out.
fn inflate_aside(packed: &[u8], limits: &Limits) -> Result<Option<memmap2::Mmap>, Reason> {
    let failed = |error: io::Error| Reason::Gzip(error.to_string());
    let mut file = tempfile::tempfile().map_err(failed)?;
    let mut inflate = flate2::read::MultiGzDecoder::new(packed);
    let mut piece = vec![0; 1 << 20];
    let mut total = 0_u64;
    loop {
        let read = inflate.read(&mut piece).map_err(failed)?;
        let bytes = piece.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
        total += read as u64;
        if limits.is_bomb(total, packed.len() as u64) {
            return Err(Reason::Bomb(total, packed.len() as u64));
        }
        file.write_all(bytes).map_err(failed)?;
    }
    if total == 0 {
        return Ok(None);
    }
    // Sound: the file has no name, so nobody else can write to it.
    #[allow(unsafe_code)]
    let bytes = unsafe { memmap2::Mmap::map(&file) }.map_err(failed)?;
    Ok(Some(bytes))
}
