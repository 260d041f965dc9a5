//! An image on its way to its place: a layout's folder, or one tar archive of it. Digests are taken
//! while blobs are written, so a blob gets its name when it is whole.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tar::EntryType;

use super::OciError;
use super::base::{blob_name, is_image};
use super::earlier::Earlier;
use super::tar::header;
use crate::core::digest::{Algorithm, Digest, Hasher};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::scratch::Beside;
use crate::core::temp_file::TempFile;
use crate::files::tree::Precious;
use crate::obtain::store::KeptLayer;

const BLOCK: u64 = 512;

/// How much is copied at once, in bytes.
const COPY: usize = 1 << 20;

/// What is in a layout's folder, and nothing else.
const LAYOUT: [&str; 3] = ["blobs", "index.json", "oci-layout"];

/// A blob of a folder that is not whole yet.
const PARTIAL: &str = "blobs/.partial";

/// An image in the making. Dropped, it is gone.
#[derive(Debug)]
pub struct Output {
    path: Utf8PathBuf,
    form: Form,
    known: HashSet<String>,
    /// The image that is in its place.
    earlier: Option<Earlier>,
}

#[derive(Debug)]
enum Form {
    /// A folder that becomes the layout.
    Staged(Beside),
    /// The layout's own.
    Folder(PathBuf),
    /// The archive, and how long it is.
    Tar(TempFile, u64),
}

/// A blob in the making.
pub struct Blob {
    hasher: Hasher,
    size: u64,
    /// In a folder: its file.
    file: Option<File>,
}

/// Whether an image goes into one file; else it is a folder.
pub fn is_archive(path: &Utf8Path) -> bool {
    path.extension() == Some("tar")
}

impl Output {
    /// Begins an image at `path`, where only another image may be.
    ///
    /// # Errors
    /// When something else is there, or nothing can be written beside it.
    pub fn begin(path: &Utf8Path, precious: &Precious) -> Result<Self, OciError> {
        precious.check(path)?;
        let earlier = Earlier::at(path);
        if let Ok(meta) = fs::symlink_metadata(path) {
            let may_go = match meta.is_dir() {
                true => !is_archive(path) && is_layout(path),
                false => is_archive(path) && meta.is_file() && earlier.is_some(),
            };
            if !may_go {
                return Err(OciError::Occupied(path.to_owned()));
            }
        }
        let failed = cannot("write", path);
        let parent = match path.parent() {
            Some(parent) if !parent.as_str().is_empty() => parent,
            _ => Utf8Path::new("."),
        };
        fs::create_dir_all(parent).map_err(failed)?;
        let name = path.file_name().unwrap_or_default();
        let prefix = format!(".lockwright-staged-{name}-");
        let form = if is_archive(path) {
            Form::Tar(TempFile::new_in(parent, Some(0o666)).map_err(failed)?, 0)
        } else {
            Form::Staged(Beside::new(parent, &prefix).map_err(failed)?)
        };
        let mut output = Self {
            path: path.to_owned(),
            form,
            known: HashSet::new(),
            earlier,
        };
        if let Some(folder) = output.folder() {
            fs::create_dir_all(folder.join("blobs/sha256")).map_err(failed)?;
        }
        if let Form::Tar(..) = output.form {
            for folder in ["blobs/", "blobs/sha256/"] {
                let header = header(("", folder), EntryType::Directory, 0o755, 0, "");
                output.append(header.as_bytes())?;
            }
        }
        Ok(output)
    }

    /// Begins a layout in a folder that is there and empty, whose own place is elsewhere: whoever
    /// made the folder puts it there.
    ///
    /// # Errors
    /// When nothing can be written to it.
    pub fn inside(folder: &Utf8Path, place: &Utf8Path) -> Result<Self, OciError> {
        let output = Self {
            path: folder.to_owned(),
            form: Form::Folder(folder.as_std_path().to_owned()),
            known: HashSet::new(),
            earlier: Earlier::at(place),
        };
        let made = fs::create_dir_all(folder.join("blobs/sha256"));
        made.map_err(cannot("write", &output.path))?;
        Ok(output)
    }

    /// The same in the place of an image that is elsewhere.
    #[must_use]
    pub fn after(mut self, image: &Utf8Path) -> Self {
        self.earlier = Earlier::at(image);
        self
    }

    /// Where it goes.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// The image in its place, if there is one.
    pub fn earlier(&self) -> Option<&Earlier> {
        self.earlier.as_ref()
    }

    fn folder(&self) -> Option<&Path> {
        match &self.form {
            Form::Staged(folder) => Some(folder.path().as_std_path()),
            Form::Folder(folder) => Some(folder),
            Form::Tar(..) => None,
        }
    }

    /// Begins a blob.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn blob(&mut self) -> Result<Blob, OciError> {
        let partial = self.folder().map(|folder| folder.join(PARTIAL));
        let file = partial.map(File::create).transpose();
        let file = file.map_err(cannot("write", &self.path))?;
        if let Form::Tar(_, end) = &mut self.form {
            // Its header is written last, when its name is known.
            *end += BLOCK;
        }
        Ok(Blob {
            hasher: Hasher::new(Algorithm::Sha256),
            size: 0,
            file,
        })
    }

    /// More of a blob.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, blob: &mut Blob, bytes: &[u8]) -> Result<(), OciError> {
        blob.hasher.update(bytes);
        match &blob.file {
            Some(file) => {
                let written = file.write_all_at(bytes, blob.size);
                written.map_err(cannot("write", &self.path))?;
            }
            None => self.append(bytes)?,
        }
        blob.size += bytes.len() as u64;
        Ok(())
    }

    /// Ends a blob: its digest and size. One that is there already is not kept twice.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(&mut self, blob: Blob) -> Result<(Digest, u64), OciError> {
        let (digest, size) = (blob.hasher.finish(), blob.size);
        self.end_as(&digest, size)?;
        Ok((digest, size))
    }

    fn end_as(&mut self, digest: &Digest, size: u64) -> Result<(), OciError> {
        let name = blob_name(digest);
        let is_new = self.known.insert(name.clone());
        let failed = cannot("write", &self.path);
        match &mut self.form {
            Form::Staged(_) | Form::Folder(_) => {
                if let Some(folder) = self.folder() {
                    fs::rename(folder.join(PARTIAL), folder.join(name)).map_err(failed)?;
                }
            }
            Form::Tar(file, end) => {
                let start = *end - size - BLOCK;
                if is_new {
                    let header = header(("", &name), EntryType::Regular, 0o644, size, "");
                    let written = file.as_file().write_all_at(header.as_bytes(), start);
                    written.map_err(failed)?;
                    let zeros = vec![0; (size.wrapping_neg() % BLOCK) as usize];
                    self.append(&zeros)?;
                } else {
                    *end = start;
                    file.as_file().set_len(start).map_err(failed)?;
                }
            }
        }
        Ok(())
    }

    /// The blob of a layer of the store: its digest and size, and whether it was checked against that because
    /// somebody may have written to it.
    ///
    /// # Errors
    /// When it cannot be read or written, or is no longer what it was.
    pub fn take(&mut self, layer: &KeptLayer) -> Result<(Digest, u64, bool), OciError> {
        let from = &layer.blob;
        let read = cannot("read", &from.path);
        let mut file = foreign::open(&from.path).map_err(read)?;
        let mut blob = self.blob()?;
        if file.metadata().is_ok_and(|meta| layer.is_true(&meta)) {
            let copied = match (&blob.file, &self.form) {
                (Some(to), _) => copy(&file, to, 0, from.size),
                (None, Form::Tar(to, end)) => copy(&file, to.as_file(), *end, from.size),
                (None, _) => Ok(0),
            };
            if copied.map_err(cannot("write", &self.path))? != from.size {
                return Err(read(io::Error::from(io::ErrorKind::UnexpectedEof)).into());
            }
            if let Form::Tar(_, end) = &mut self.form {
                *end += from.size;
            }
            self.end_as(&from.digest, from.size)?;
            return Ok((from.digest.clone(), from.size, false));
        }
        let mut bytes = vec![0; COPY];
        loop {
            let read = file.read(&mut bytes).map_err(cannot("read", &from.path))?;
            match bytes.get(..read).filter(|bytes| !bytes.is_empty()) {
                Some(bytes) => self.write(&mut blob, bytes)?,
                None => break,
            }
        }
        let (digest, size) = self.end(blob)?;
        match digest == from.digest {
            true => Ok((digest, size, true)),
            false => Err(OciError::Digest {
                path: from.path.clone(),
                wanted: from.digest.clone(),
                found: digest,
            }),
        }
    }

    /// A blob whose bytes are at hand.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn small_blob(&mut self, bytes: &[u8]) -> Result<(Digest, u64), OciError> {
        let mut blob = self.blob()?;
        self.write(&mut blob, bytes)?;
        self.end(blob)
    }

    /// A file of the layout's own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> Result<(), OciError> {
        let size = bytes.len() as u64;
        match self.folder() {
            Some(folder) => {
                let written = fs::write(folder.join(name), bytes);
                Ok(written.map_err(cannot("write", &self.path))?)
            }
            None => {
                let header = header(("", name), EntryType::Regular, 0o644, size, "");
                self.append(header.as_bytes())?;
                self.append(bytes)?;
                self.append(&vec![0; (size.wrapping_neg() % BLOCK) as usize])
            }
        }
    }

    /// Whether it is one file.
    pub fn is_archive(&self) -> bool {
        matches!(self.form, Form::Tar(..))
    }

    /// Puts it into its place.
    ///
    /// # Errors
    /// When it cannot be; what was there is there then.
    pub fn commit(mut self) -> Result<(), OciError> {
        if self.is_archive() {
            self.append(&[0; 2 * BLOCK as usize])?;
        }
        let path = self.path;
        let failed = cannot("write", &path);
        match self.form {
            Form::Tar(file, _) => {
                file.persist(&path).map_err(failed)?;
            }
            Form::Folder(_) => {}
            Form::Staged(folder) => {
                let open = fs::Permissions::from_mode(0o755);
                fs::set_permissions(folder.path(), open).map_err(failed)?;
                if fs::symlink_metadata(&path).is_err() {
                    return Ok(fs::rename(folder.path(), &path).map_err(failed)?);
                }
                let staged = folder.path().as_std_path();
                let place = path.as_std_path();
                match renameat_with(CWD, staged, CWD, place, RenameFlags::EXCHANGE) {
                    // What was there goes with the staging folder.
                    Ok(()) => {}
                    // Not every file system exchanges.
                    Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
                        let old = staged.with_extension("old");
                        fs::rename(place, &old).map_err(failed)?;
                        if let Err(error) = fs::rename(staged, place) {
                            let _ = fs::rename(&old, place);
                            return Err(failed(error).into());
                        }
                        fs::rename(&old, staged).map_err(failed)?;
                    }
                    Err(error) => return Err(failed(error.into()).into()),
                }
            }
        }
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), OciError> {
        let written = match &mut self.form {
            Form::Tar(file, end) => {
                let written = file.as_file().write_all_at(bytes, *end);
                *end += bytes.len() as u64;
                written
            }
            Form::Staged(_) | Form::Folder(_) => Ok(()),
        };
        Ok(written.map_err(cannot("write", &self.path))?)
    }
}

/// Copies a file to a place in another, within the kernel: how many bytes were copied, at most `size`.
fn copy(from: &File, mut to: &File, at: u64, size: u64) -> io::Result<u64> {
    to.seek(SeekFrom::Start(at))?;
    io::copy(&mut from.take(size), &mut to)
}

/// Whether a folder is a layout and nothing else, or empty.
fn is_layout(path: &Utf8Path) -> bool {
    let Ok(entries) = path.read_dir_utf8() else {
        return false;
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name().to_owned()),
            Err(_) => return false,
        }
    }
    names.is_empty() || (is_image(path) && names.iter().all(|name| LAYOUT.contains(&name.as_str())))
}
