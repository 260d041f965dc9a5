//! A tree read into memory: what every entry is, not what is in it.
//!
//! Names are bytes (`OsStr`), sorted as bytes, so that a tree that came from anywhere can be
//! hashed and sealed; links are never followed. Folders are listed in parallel.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::io_error::{IoError, cannot};

/// Something in a tree.
#[derive(Debug)]
pub enum Node {
    /// A regular file.
    File(File),
    /// A symbolic link and what it holds.
    Link(OsString),
    /// A folder and what is in it, sorted by name.
    Folder(Vec<(OsString, Node)>),
}

/// What is known of a regular file without opening it. Where whoever wrote a tree says what is in it, nothing is
/// known of numbers and times: they are 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct File {
    /// Length in bytes.
    pub size: u64,
    /// Permission bits.
    pub mode: u32,
    /// How many names the file has.
    pub links: u64,
    /// Its number on the disk.
    pub inode: u64,
    /// When its bytes last changed (`mtime`), in seconds and nanoseconds.
    pub modified: (i64, i64),
    /// When anything of it last changed (`ctime`), likewise. Nobody can set that back.
    pub changed: (i64, i64),
}

impl File {
    /// What is known of a file by what the system says of it.
    pub fn of(meta: &fs::Metadata) -> Self {
        Self {
            size: meta.size(),
            mode: meta.mode() & 0o7777,
            links: meta.nlink(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }

    /// All of it but for the names, as a text that is another as soon as somebody has written to the file, or
    /// put another in its place.
    pub fn look(&self) -> String {
        let (modified, changed) = (self.modified, self.changed);
        format!(
            "{:o} {} {} {}.{:09} {}.{:09}",
            self.mode, self.size, self.inode, modified.0, modified.1, changed.0, changed.1
        )
    }

    /// Whether its owner may run it, which is all that Nix keeps of a mode.
    pub fn is_executable(&self) -> bool {
        self.mode & 0o100 != 0
    }
}

/// Why a tree could not be read.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The operating system refused.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Folders in folders without end.
    #[error(
        "{} is more than {DEEPEST} folders deep, which no tree needs: remove it",
        super::foreign::brief(&.0.to_string_lossy())
    )]
    Deep(PathBuf),
    /// Neither file, folder nor link.
    #[error("{} is a {kind}: a sealed tree may hold only files, folders and symbolic links", .path.display())]
    Kind {
        /// Where it is.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
}

/// How deep folders may lie: every step down is one on the stack of whoever reads the tree.
const DEEPEST: u32 = 128;

/// Reads the tree at `path`, which may also be a single file or a link.
///
/// # Errors
/// When something cannot be read, is neither file, folder nor link, or lies deeper than anything real.
pub fn walk(path: &Path) -> Result<Node, WalkError> {
    let meta = fs::symlink_metadata(path).map_err(cannot("read", path))?;
    node(path, &meta, DEEPEST)
}

fn node(path: &Path, meta: &fs::Metadata, deep: u32) -> Result<Node, WalkError> {
    let kind = meta.file_type();
    if kind.is_file() {
        Ok(Node::File(File::of(meta)))
    } else if kind.is_symlink() {
        let target = fs::read_link(path).map_err(cannot("read", path))?;
        Ok(Node::Link(target.into_os_string()))
    } else if kind.is_dir() {
        folder(path, deep).map(Node::Folder)
    } else {
        Err(WalkError::Kind {
            path: path.to_owned(),
            kind: match () {
                () if kind.is_fifo() => "named pipe",
                () if kind.is_socket() => "socket",
                () => "device",
            },
        })
    }
}

fn folder(path: &Path, deep: u32) -> Result<Vec<(OsString, Node)>, WalkError> {
    let Some(deep) = deep.checked_sub(1) else {
        return Err(WalkError::Deep(path.to_owned()));
    };
    let mut entries = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).map_err(cannot("read", path))? {
        let entry = entry.map_err(cannot("read", path))?;
        let kind = entry.file_type().map_err(cannot("read", path))?;
        if kind.is_dir() {
            folders.push(entry.file_name());
        } else {
            let path = entry.path();
            let meta = entry.metadata().map_err(cannot("read", &path))?;
            entries.push((entry.file_name(), node(&path, &meta, deep)?));
        }
    }
    let folders = folders.into_par_iter().map(|name| {
        let inside = folder(&path.join(&name), deep)?;
        Ok((name, Node::Folder(inside)))
    });
    entries.par_extend(folders.collect::<Result<Vec<_>, WalkError>>()?);
    entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    Ok(entries)
}

impl Node {
    /// Visits every entry, parents before children, in order of name. Paths are relative to the
    /// tree, that of the tree itself is empty.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&Path, &'a Node)) {
        self.visit(&mut PathBuf::new(), visit);
    }

    fn visit<'a>(&'a self, path: &mut PathBuf, visit: &mut impl FnMut(&Path, &'a Node)) {
        visit(path, self);
        if let Self::Folder(entries) = self {
            for (name, node) in entries {
                path.push(name);
                node.visit(path, visit);
                path.pop();
            }
        }
    }

    /// What is at a path from here, when every part of it but the last is a folder.
    pub fn at(&self, path: &Path) -> Option<&Self> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The entry of that name, when this is a folder that has it.
    pub fn get(&self, name: impl AsRef<OsStr>) -> Option<&Self> {
        let Self::Folder(entries) = self else {
            return None;
        };
        let at = entries
            .binary_search_by(|(other, _)| other.as_os_str().cmp(name.as_ref()))
            .ok()?;
        entries.get(at).map(|(_, node)| node)
    }
}
