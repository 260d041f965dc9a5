//! How a layer is compressed: piece by piece, each for itself, so that all cores work on one layer and
//! its bytes do not depend on how many there are.
//!
//! Gzip members (RFC 1952, 2.2) and zstd frames (RFC 8878, 3) that follow one another are one stream
//! of each kind.

use libdeflater::{CompressionLvl, Compressor};

pub use crate::decide::manifest::Compression;

/// How long a piece is before it is compressed, in bytes.
pub const PIECE: usize = 1 << 20;

/// As gzip's and zstd's own default.
const GZIP_LEVEL: i32 = 6;
const ZSTD_LEVEL: i32 = 3;

impl Compression {
    /// What a layer's media type ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Gzip => "+gzip",
            Self::Zstd => "+zstd",
            Self::None => "",
        }
    }
}

/// A piece of a layer, as it is and compressed; with what compresses it, to be used again.
#[derive(Default)]
pub struct Packed {
    /// As it is.
    pub plain: Vec<u8>,
    packed: Vec<u8>,
    deflate: Option<Compressor>,
    zstd: Option<zstd::bulk::Compressor<'static>>,
}

impl Packed {
    /// As it is written.
    pub fn written(&self, how: Compression) -> &[u8] {
        match how {
            Compression::None => &self.plain,
            _ => &self.packed,
        }
    }

    /// Compresses what is in `plain`.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn pack(&mut self, how: Compression) -> std::io::Result<()> {
        let failed = || std::io::Error::other("the compressor failed");
        self.packed.clear();
        match how {
            Compression::None => {}
            Compression::Gzip => {
                let level = CompressionLvl::new(GZIP_LEVEL).map_err(|_| failed())?;
                let deflate = self.deflate.get_or_insert_with(|| Compressor::new(level));
                let bound = deflate.gzip_compress_bound(self.plain.len());
                self.packed.resize(bound, 0);
                let length = deflate.gzip_compress(&self.plain, &mut self.packed);
                self.packed.truncate(length.map_err(|_| failed())?);
            }
            Compression::Zstd => {
                let zstd = match self.zstd.take() {
                    Some(zstd) => zstd,
                    None => zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
                };
                let zstd = self.zstd.insert(zstd);
                self.packed
                    .reserve(zstd::zstd_safe::compress_bound(self.plain.len()));
                zstd.compress_to_buffer(&self.plain, &mut self.packed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn pieces_that_follow_one_another_are_one_stream() {
        let text: Vec<u8> = (0..PIECE as u32).flat_map(u32::to_le_bytes).collect();
        for how in [Compression::Gzip, Compression::Zstd, Compression::None] {
            let mut packed = Packed::default();
            let mut all = Vec::new();
            for piece in text.chunks(PIECE) {
                packed.plain = piece.to_vec();
                packed.pack(how).unwrap();
                all.extend_from_slice(packed.written(how));
            }
            let mut back = Vec::new();
            match how {
                Compression::Gzip => flate2::read::MultiGzDecoder::new(&*all)
                    .read_to_end(&mut back)
                    .unwrap(),
                Compression::Zstd => zstd::Decoder::new(&*all)
                    .unwrap()
                    .read_to_end(&mut back)
                    .unwrap(),
                Compression::None => (&*all).read_to_end(&mut back).unwrap(),
            };
            assert!(back == text);
        }
    }
}
