//! A reader that hashes what passes.

use std::io::{self, Read};

use crate::core::digest::{Algorithm, Digest, Hasher};

/// A reader that hashes what it reads.
pub struct Hashing<R> {
    from: R,
    hasher: Hasher,
}

impl<R: Read> Hashing<R> {
    /// Nothing has been read yet.
    pub fn new(from: R, algorithm: Algorithm) -> Self {
        Self {
            from,
            hasher: Hasher::new(algorithm),
        }
    }

    /// Reads what is left: the digest of all.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn rest(mut self) -> io::Result<Digest> {
        io::copy(&mut self, &mut io::sink())?;
        Ok(self.hasher.finish())
    }
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(to)?;
        self.hasher.update(to.get(..read).unwrap_or_default());
        Ok(read)
    }
}
