//! Files beside what they will become: locked and noted as folders are in [`super::scratch`].

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};
use tempfile::NamedTempFile;

use super::locks;
use super::scratch::{Live, dead, remove_dead};

/// How their names begin.
const FILE: &str = ".lockwright-tmp-";

/// A file beside what it will become. Dropped, it is gone.
#[derive(Debug)]
pub struct TempFile {
    file: NamedTempFile,
    _live: Live,
}

impl TempFile {
    /// Makes one in a folder, with a mode of its own if one is given (the umask applies). The first of a run in
    /// this folder removes what runs before it have left there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new_in(folder: impl AsRef<Path>, mode: Option<u32>) -> io::Result<Self> {
        let folder = match folder.as_ref() {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            folder => folder,
        };
        sweep_files(folder);
        loop {
            let mut builder = tempfile::Builder::new();
            builder.prefix(FILE);
            if let Some(mode) = mode {
                builder.permissions(fs::Permissions::from_mode(mode));
            }
            let file = builder.tempfile_in(folder)?;
            let live = Live::new(file.path());
            // Where the file system has no locks, nothing is swept away either.
            let _ = flock(file.as_file(), FlockOperation::NonBlockingLockExclusive);
            // A sweeping run may have taken it for a dead one's before it was locked.
            if file.as_file().metadata()?.nlink() > 0 {
                return Ok(Self { file, _live: live });
            }
        }
    }

    /// Makes one in the folder that something is in, and so on the same disk.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn beside(path: impl AsRef<Path>, mode: Option<u32>) -> io::Result<Self> {
        Self::new_in(path.as_ref().parent().unwrap_or(Path::new(".")), mode)
    }

    /// Gives it its name, in the place of what had it.
    ///
    /// # Errors
    /// When it cannot be renamed; it is gone then.
    pub fn persist(self, place: impl AsRef<Path>) -> io::Result<File> {
        self.file.persist(place).map_err(|error| error.error)
    }

    /// Gives it its name, if nobody has that.
    ///
    /// # Errors
    /// When it cannot be renamed; it is gone then.
    pub fn persist_noclobber(self, place: impl AsRef<Path>) -> io::Result<File> {
        let persisted = self.file.persist_noclobber(place);
        persisted.map_err(|error| error.error)
    }
}

impl Deref for TempFile {
    type Target = NamedTempFile;

    fn deref(&self) -> &NamedTempFile {
        &self.file
    }
}

impl DerefMut for TempFile {
    fn deref_mut(&mut self) -> &mut NamedTempFile {
        &mut self.file
    }
}

impl io::Write for TempFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a file in one step, in the place of what had its name; the mode is one for [`TempFile::new_in`].
///
/// # Errors
/// When it cannot be written; then nothing has changed.
pub fn write(path: impl AsRef<Path>, mode: Option<u32>, bytes: &[u8]) -> io::Result<()> {
    let mut file = TempFile::beside(&path, mode)?;
    file.write_all(bytes)?;
    file.persist(path).map(drop)
}

/// Writes a file that is there anew, in one step; its mode stays.
///
/// # Errors
/// When it cannot be written; then nothing has changed.
pub fn rewrite(path: impl AsRef<Path>, bytes: &[u8]) -> io::Result<()> {
    let mut file = TempFile::beside(&path, None)?;
    file.write_all(bytes)?;
    let mode = fs::metadata(&path)?.permissions();
    file.as_file().set_permissions(mode)?;
    file.persist(path).map(drop)
}

/// Makes `name` another name of the file that `existing` is one of, in one step, whatever had it before.
///
/// # Errors
/// When that cannot be done.
pub fn link_onto(existing: &Path, name: &Path) -> io::Result<()> {
    let folder = name.parent().unwrap_or(Path::new("."));
    // Its new name is not a dead run's as long as the file is locked: by this, or as it is if it is a
    // file that is being made here.
    let held = File::open(existing)?;
    let _ = flock(&held, FlockOperation::NonBlockingLockShared);
    let link = tempfile::Builder::new()
        .prefix(FILE)
        .make_in(folder, |path| fs::hard_link(existing, path))?;
    let _live = Live::new(link.path());
    link.persist(name).map_err(|error| error.error)?;
    Ok(())
}

/// Removes files that runs before this one have left in a folder, the first time that it is asked about.
fn sweep_files(folder: &Path) {
    static SWEPT: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let mut swept = locks::held(&SWEPT);
    if !swept.insert(folder.to_owned()) {
        return;
    }
    for path in dead(folder, |name| name.starts_with(FILE)) {
        if path.is_file() {
            remove_dead(&path);
        }
    }
}
