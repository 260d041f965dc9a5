//! Zip archives that are written: members of another one, as a built wheel's canonical form or loose,
//! and files.

use std::io::{Error, Seek, Write};

use ::zip::write::SimpleFileOptions;
use ::zip::{DateTime, ZipWriter};

pub use ::zip::CompressionMethod;

use super::zip::{Zip, ZipError, ZipMember};

/// From this size on, a member is marked as one that may not fit in 32 bits.
const LARGE: u64 = u32::MAX as u64;

/// Why an archive is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The one that is read is refused.
    #[error(transparent)]
    Read(#[from] ZipError),
    /// The other one cannot be written.
    #[error(transparent)]
    Write(#[from] Error),
}

/// Writes members in the order given, with no more about them than readers here ask for: whether
/// they are executable.
///
/// # Errors
/// When a member is damaged, or `out` fails.
pub fn write<'a>(
    zip: &Zip<'_>,
    members: impl IntoIterator<Item = &'a ZipMember>,
    method: CompressionMethod,
    out: impl Write + Seek,
) -> Result<(), WriteError> {
    let failed = |error| WriteError::Write(plain(error));
    let mut out = ZipWriter::new(out);
    for member in members {
        let mode = if member.executable { 0o755 } else { 0o644 };
        let options = SimpleFileOptions::default()
            .compression_method(method)
            .last_modified_time(DateTime::default())
            .large_file(member.size >= LARGE)
            .unix_permissions(mode);
        let path = member.path.as_str();
        if member.is_folder {
            let options = options.unix_permissions(0o755);
            out.add_directory(path, options).map_err(failed)?;
            continue;
        }
        out.start_file(path, options).map_err(failed)?;
        zip.unpack(member, &mut |piece| {
            out.write_all(piece).map_err(WriteError::Write)
        })?;
    }
    out.finish().map_err(failed)?.flush()?;
    Ok(())
}

/// Writes files by their paths, in the order given.
///
/// # Errors
/// When one cannot be obtained, or `out` fails.
pub fn pack<P: AsRef<str>, B: AsRef<[u8]>>(
    files: impl IntoIterator<Item = Result<(P, B), Error>>,
    method: CompressionMethod,
    out: impl Write + Seek,
) -> Result<(), Error> {
    let options = SimpleFileOptions::default()
        .compression_method(method)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut out = ZipWriter::new(out);
    for file in files {
        let (path, bytes) = file?;
        out.start_file(path.as_ref(), options).map_err(plain)?;
        out.write_all(bytes.as_ref())?;
    }
    out.finish().map_err(plain)?.flush()
}

/// A disk that is full says so itself.
fn plain(error: ::zip::result::ZipError) -> Error {
    match error {
        ::zip::result::ZipError::Io(error) => error,
        other => other.into(),
    }
}
