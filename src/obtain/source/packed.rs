//! Trees as the store keeps them: a `.tar.gz` whose bytes follow from the tree alone.
//!
//! Members are sorted, and hold what Nix keeps of a file: its bytes, its name, whether its owner may
//! run it. So the archive of a tree is the same on every machine, and unpacked it has the same NAR
//! hash.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use camino::Utf8Path;
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::walk::{Node, WalkError, walk};
use crate::files::archive::tar::NOTE;

/// Why a tree cannot be packed or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
}

/// Writes the archive of a tree, with a note at its beginning that readers pass over.
///
/// # Errors
/// When the tree cannot be read, or the archive not written.
pub fn pack(tree: &Utf8Path, archive: &Utf8Path, note: Option<&str>) -> Result<(), PackError> {
    let failed = cannot("write", archive);
    let root = walk(tree.as_std_path())?;
    let file = File::create_new(archive).map_err(failed)?;
    let mut tar = Builder::new(GzEncoder::new(BufWriter::new(file), Compression::default()));
    if let Some(note) = note {
        append_note(&mut tar, note).map_err(failed)?;
    }
    let mut outcome = Ok(());
    root.each(&mut |path, node| {
        if outcome.is_ok() && !path.as_os_str().is_empty() {
            let real = tree.as_std_path().join(path);
            outcome = append(&mut tar, path, node, &real).map_err(cannot("pack", &real));
        }
    });
    outcome?;
    let finish = || tar.into_inner()?.finish()?.flush();
    Ok(finish().map_err(failed)?)
}

/// A record that holds for the whole archive (POSIX.1-2024, `pax`), as git's own archives have one.
fn append_note(tar: &mut Builder<impl io::Write>, note: &str) -> io::Result<()> {
    let rest = format!(" {NOTE}={note}\n");
    // The length counts its own digits.
    let mut length = rest.len();
    while length != rest.len() + length.to_string().len() {
        length = rest.len() + length.to_string().len();
    }
    let record = format!("{length}{rest}");
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XGlobalHeader);
    header.set_path("pax_global_header")?;
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(record.len() as u64);
    header.set_cksum();
    tar.append(&header, record.as_bytes())
}

fn append(
    tar: &mut Builder<impl io::Write>,
    path: &Path,
    node: &Node,
    real: &Path,
) -> io::Result<()> {
    if std::str::from_utf8(path.as_os_str().as_bytes()).is_err() {
        return Err(io::Error::other("its name is not UTF-8"));
    }
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header.set_mode(0o755);
    match node {
        Node::Folder(_) => {
            header.set_entry_type(EntryType::Directory);
            tar.append_data(&mut header, path, io::empty())
        }
        Node::Link(target) => {
            header.set_entry_type(EntryType::Symlink);
            tar.append_link(&mut header, path, target)
        }
        Node::File(file) => {
            header.set_entry_type(EntryType::Regular);
            header.set_mode(if file.is_executable() { 0o755 } else { 0o644 });
            header.set_size(file.size);
            tar.append_data(&mut header, path, foreign::open(real)?)
        }
    }
}
