//! Files of the store, in memory as they lie on the disk.

use std::fs::File;
use std::io;
use std::ops::Deref;

use super::{Blob, StoreError};
use crate::core::foreign;

/// A file of the store, in memory as it lies on the disk.
#[derive(Debug)]
pub struct Mapped {
    map: memmap2::Mmap,
}

impl Mapped {
    pub(super) fn new(file: &File) -> io::Result<Self> {
        // Sound as far as mappings can be: the store's files are never written to again, only
        // replaced by renaming. All of it is read, so all of it is asked for at once.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::MmapOptions::new().populate().map(file) }?;
        Ok(Self { map })
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Blob {
    /// Its bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn map(&self) -> Result<Mapped, StoreError> {
        let mapped = foreign::open(&self.path).and_then(|file| Mapped::new(&file));
        mapped.map_err(StoreError::io("read", &self.path))
    }
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
