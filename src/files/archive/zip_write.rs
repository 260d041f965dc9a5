//! Members of one zip archive, written into another: as a built wheel's canonical form, or loose; and
//! an archive of a few files in memory.

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
    let failed = |error: ::zip::result::ZipError| WriteError::Write(error.into());
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

/// Writes an archive of files in memory, by their paths.
///
/// # Errors
/// When `out` fails.
pub fn pack(files: &[(&str, &[u8])], out: impl Write + Seek) -> Result<(), Error> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut out = ZipWriter::new(out);
    for (path, bytes) in files {
        out.start_file(*path, options)?;
        out.write_all(bytes)?;
    }
    out.finish()?.flush()
}
