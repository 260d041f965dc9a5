//! Inflating in one go, all or nothing.
//!
//! A packed stream says itself where it ends, and whoever packed it may have put something behind that end: bytes that
//! this reader passes over and another one takes for members. So every packed byte has to be used.

#![allow(unsafe_code)]

use std::alloc::{Layout, handle_alloc_error};
use std::ffi::{c_int, c_void};
use std::ptr::NonNull;

use libdeflate_sys as sys;

/// A decompressor, to be used again and again.
pub(super) struct Inflate(NonNull<sys::libdeflate_decompressor>);

/// One of libdeflate's formats: decompressor, from, its length, into, its length, used, written.
type Format = unsafe extern "C" fn(
    *mut sys::libdeflate_decompressor,
    *const c_void,
    usize,
    *mut c_void,
    usize,
    *mut usize,
    *mut usize,
) -> sys::libdeflate_result;

impl Inflate {
    pub(super) fn new() -> Self {
        // Sound: it takes nothing, and what it gives is checked.
        let made = NonNull::new(unsafe { sys::libdeflate_alloc_decompressor() });
        Self(made.unwrap_or_else(|| handle_alloc_error(Layout::new::<c_int>())))
    }

    /// Inflates a raw stream (RFC 1951) and says how many bytes came out; `None` when it is
    /// damaged, does not fit, or ends before the packed bytes do.
    pub(super) fn raw(&mut self, packed: &[u8], into: &mut [u8]) -> Option<usize> {
        self.run(sys::libdeflate_deflate_decompress_ex, packed, into)
    }

    /// As [`Self::raw`], for one member of gzip (RFC 1952), with its checksum.
    pub(super) fn gzip(&mut self, packed: &[u8], into: &mut [u8]) -> Option<usize> {
        self.run(sys::libdeflate_gzip_decompress_ex, packed, into)
    }

    fn run(&mut self, format: Format, packed: &[u8], into: &mut [u8]) -> Option<usize> {
        let (mut used, mut written) = (0, 0);
        // Sound: the decompressor is ours alone, and both slices are as long as is said of them.
        let result = unsafe {
            format(
                self.0.as_ptr(),
                packed.as_ptr().cast(),
                packed.len(),
                into.as_mut_ptr().cast(),
                into.len(),
                &raw mut used,
                &raw mut written,
            )
        };
        let is_whole = result == sys::libdeflate_result_LIBDEFLATE_SUCCESS && used == packed.len();
        is_whole.then_some(written)
    }
}

impl Drop for Inflate {
    fn drop(&mut self) {
        // Sound: it was made by its counterpart, and is dropped once.
        unsafe { sys::libdeflate_free_decompressor(self.0.as_ptr()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder};

    use super::*;

    #[test]
    fn every_packed_byte_is_used() {
        let mut inflate = Inflate::new();
        let mut into = [0; 64];
        let text = b"hello hello hello hello";
        let mut raw = DeflateEncoder::new(Vec::new(), Compression::best());
        raw.write_all(text).unwrap();
        let mut raw = raw.finish().unwrap();
        assert_eq!(inflate.raw(&raw, &mut into), Some(text.len()));
        assert_eq!(&into[..text.len()], text);
        assert_eq!(inflate.raw(&raw, &mut into[..5]), None);
        assert_eq!(inflate.raw(&raw[..raw.len() - 1], &mut into), None);
        raw.push(0);
        assert_eq!(inflate.raw(&raw, &mut into), None);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(text).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(inflate.gzip(&gzip, &mut into), Some(text.len()));
        let twice = [gzip.clone(), gzip].concat();
        assert_eq!(inflate.gzip(&twice, &mut into), None);
    }
}
