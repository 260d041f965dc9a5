//! What is in an artifact: its files, known once and kept beside it.
//!
//! ```text
//! <root>/v1/contents/sha256-3fc9…-wheel/     one artifact, read in one form
//!     index                                  a line for each file: mode, length, SHA-256, path
//!     bytes                                  all of them uncompressed, one after another; see `uncompressed`
//!     files/                                 each a file of its own, for links; see `extracted`
//! ```
//!
//! A form is how an ecosystem reads an archive: which of its members are files, under which path.
//! Under one digest it comes out the same each time, so it is done once. All of it is worth no
//! more than the time that takes: what is damaged is made anew, and cleaning removes it with its
//! artifact, or as soon as space is wanted.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::HEXLOWER;

use super::entries::names;
use super::gc::Leftover;
use super::{Store, StoreError, touch};
use crate::core::digest::{Digest, crc32};
use crate::core::foreign;
use crate::core::scratch::Live;
use crate::core::temp_file::TempFile;
use crate::files::contents::Member;

/// What stands in front of a folder's path.
const FOLDER: &str = "folder";

/// An artifact's files, as they were found the first time.
#[derive(Debug)]
pub struct Index {
    /// Where all that is known of the artifact lies.
    pub(super) folder: Utf8PathBuf,
    pub(super) members: Arc<[Member]>,
}

impl Index {
    /// The index in a folder, if it is whole.
    pub(super) fn open(folder: Utf8PathBuf) -> Option<Self> {
        let members = parse(&read(&folder)?)?.into();
        Some(Self { folder, members })
    }

    /// Its files and folders, each file with its digest, in the artifact's order.
    pub fn members(&self) -> &[Member] {
        &self.members
    }
}

impl Store {
    /// What is in an artifact, if that is known in this form.
    pub fn index(&self, digest: &Digest, form: &str) -> Option<Index> {
        let folder = self.contents_path(digest, form);
        let path = folder.join("index");
        let metadata = fs::symlink_metadata(&path).ok()?;
        if self.verifies && !self.is_sound(&folder) {
            return None;
        }
        let Some(index) = Index::open(folder.clone()) else {
            tracing::warn!("`{path}` has changed, and is made again");
            self.discard(&folder);
            return None;
        };
        touch(&path, &metadata);
        Some(index)
    }

    /// Keeps what is in an artifact, once every file's digest is known. Where the store cannot be
    /// written to it is found out again the next time.
    pub fn keep_index(&self, digest: &Digest, form: &str, members: &[Member]) -> Option<Index> {
        let folder = self.contents_path(digest, form);
        let text = text(members)?;
        let written = || -> io::Result<()> {
            fs::create_dir_all(&folder)?;
            let mut file = self.temporary_file()?;
            file.write_all(text.as_bytes())?;
            file.persist(folder.join("index"))?;
            Ok(())
        };
        written().ok()?;
        let members = members.into();
        Some(Index { folder, members })
    }

    /// A file in `tmp/`, which is gone when it is dropped and which `gc` sweeps.
    pub(super) fn temporary_file(&self) -> io::Result<TempFile> {
        let top = self.layout.join("tmp");
        fs::create_dir_all(&top)?;
        TempFile::new_in(top, Some(0o444))
    }

    /// An empty folder in `tmp/`, which `gc` sweeps.
    pub(super) fn temporary_folder(&self) -> io::Result<Utf8PathBuf> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let top = self.layout.join("tmp");
        fs::create_dir_all(&top)?;
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let (pid, start) = (std::process::id(), start.unwrap_or(Duration::ZERO));
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = top.join(format!("{pid}-{}-{count}", start.as_nanos()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|()| path),
            }
        }
    }

    /// Moves a file or folder out of the way at once, and then removes it. Trees that are linked to
    /// its files keep what they have.
    pub(super) fn discard(&self, path: &Utf8Path) {
        let gone = self.temporary_folder().and_then(|aside| {
            let _live = Live::new(aside.as_std_path());
            fs::rename(path, aside.join("gone"))?;
            fs::remove_dir_all(&aside)
        });
        if let Err(error) = gone {
            tracing::warn!("`{path}` in the store cannot be removed: {error}");
        }
    }

    /// What is kept of artifacts and is not to be: not used for so long, without its artifact, or
    /// all of it where `space` is wanted.
    pub(super) fn stale_contents(
        &self,
        is_old: impl Fn(SystemTime) -> bool,
        space: bool,
    ) -> Result<Vec<Leftover>, StoreError> {
        let mut stale = Vec::new();
        for path in names(&self.layout.join("contents"))? {
            let used = fs::symlink_metadata(path.join("index")).and_then(|meta| meta.modified());
            let artifact = artifact_of(&path);
            let has_artifact = artifact.is_some_and(|digest| self.file_path(&digest).is_file());
            let is_kept = has_artifact && used.is_ok_and(|used| !is_old(used));
            if space || !is_kept {
                let size = size_of_folder(&path);
                stale.push(Leftover { path, size });
            }
        }
        Ok(stale)
    }

    /// How many bytes are kept of artifacts beside them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn contents_size(&self) -> Result<u64, StoreError> {
        let folders = names(&self.layout.join("contents"))?;
        Ok(folders.iter().map(|folder| size_of_folder(folder)).sum())
    }

    pub(super) fn contents_path(&self, digest: &Digest, form: &str) -> Utf8PathBuf {
        let name = format!("{}-{}-{form}", digest.algorithm(), digest.hex());
        self.layout.join("contents").join(name)
    }
}

/// The artifact that a folder's name tells.
pub(super) fn artifact_of(folder: &Utf8Path) -> Option<Digest> {
    let (algorithm, rest) = folder.file_name()?.split_once('-')?;
    let hex = rest.split('-').next()?;
    format!("{algorithm}:{hex}").parse().ok()
}

/// A folder's index, as text.
fn read(folder: &Utf8Path) -> Option<String> {
    let text = foreign::read(folder.join("index"), foreign::TEXT).ok()?;
    String::from_utf8(text).ok()
}

/// The bytes of an artifact's files, in each of the forms in which they are there.
fn size_of_folder(folder: &Utf8Path) -> u64 {
    let bytes = fs::symlink_metadata(folder.join("bytes")).map_or(0, |meta| meta.len());
    let text = read(folder).unwrap_or_default();
    let has_files = fs::symlink_metadata(folder.join("files")).is_ok();
    let members = parse(&text).filter(|_| has_files).unwrap_or_default();
    bytes + text.len() as u64 + members.iter().map(|member| member.size).sum::<u64>()
}

/// The index, its last line the CRC-32 of the others; nothing while a digest is not known.
fn text(members: &[Member]) -> Option<String> {
    let mut text = String::new();
    for member in members {
        let Member {
            path, mode, size, ..
        } = member;
        if member.is_folder {
            let _ = writeln!(text, "{FOLDER} {path}");
        } else {
            let sha256 = HEXLOWER.encode(&member.sha256?);
            let _ = writeln!(text, "{mode:o} {size} {sha256} {path}");
        }
    }
    let checksum = crc32(text.as_bytes());
    let _ = writeln!(text, "{checksum:08x}");
    Some(text)
}

fn parse(text: &str) -> Option<Vec<Member>> {
    let body = text.len().checked_sub("00000000\n".len())?;
    let (body, checksum) = text.split_at_checked(body)?;
    let is_true = checksum == format!("{:08x}\n", crc32(body.as_bytes()));
    let mut members = Vec::with_capacity(body.lines().count());
    for line in body.lines().filter(|_| is_true) {
        members.push(member(line)?);
    }
    is_true.then_some(members)
}

fn member(line: &str) -> Option<Member> {
    let mut words = line.splitn(4, ' ');
    let first = words.next()?;
    if first == FOLDER {
        return Some(Member {
            path: line.get(FOLDER.len() + 1..)?.to_owned(),
            mode: 0o755,
            size: 0,
            sha256: None,
            is_folder: true,
        });
    }
    let mode = u16::from_str_radix(first, 8).ok()?;
    let size = words.next()?.parse().ok()?;
    let sha256 = words.next()?.as_bytes();
    let mut digest = [0; 32];
    let is_whole = sha256.len() == 2 * digest.len();
    is_whole
        .then(|| HEXLOWER.decode_mut(sha256, &mut digest))?
        .ok()?;
    Some(Member {
        path: words.next()?.to_owned(),
        mode,
        size,
        sha256: Some(digest),
        is_folder: false,
    })
}

#[cfg(test)]
#[path = "contents_tests.rs"]
mod tests;
