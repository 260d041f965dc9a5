//! Files, links and folders, put into a tree by any thread.
//!
//! Whoever claims a path first creates it. Whoever takes it over from a lower rank, and whoever
//! knows its bytes only at the end, writes to `tmp/` and renames: so a slow writer that has lost
//! its path meanwhile can do no harm.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use camino::Utf8Path;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};

use super::claims::{Claim, Folder};
use super::stage::FOLDER_MODE;
use crate::core::foreign;

use super::{Content, FileFacts, INSIDE, LinkMode, Owner, PathError, Tree, TreeError, TreePath};

/// Files shorter than that are copied by way of memory.
const SMALL: usize = 256 << 10;

/// Files of this machine up to this size are read whole.
const WHOLE: u64 = 4 << 20;

const CREATE: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A name in a folder that was entered.
pub(super) struct Slot<'a> {
    pub(super) folder: &'a Folder,
    pub(super) name: &'a str,
    /// How the system is told of it: a folder, and the path from there.
    pub(super) dir: BorrowedFd<'a>,
    pub(super) at: &'a str,
}

/// A file of this machine that may be shared.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) folder: BorrowedFd<'a>,
    pub(super) path: &'a str,
    /// When its bytes last changed, in seconds since 1970, where that has been looked at.
    pub(super) modified: Option<i64>,
}

impl Slot<'_> {
    fn path(&self) -> TreePath {
        TreePath::within(&self.folder.path, self.name)
    }
}

impl Tree {
    /// Puts a file there. Of the mode, the permission bits count.
    ///
    /// # Errors
    /// When the path is a folder, or the owner brought it before with other bytes, or it cannot be
    /// written.
    pub fn file(
        &self,
        owner: Owner,
        path: &TreePath,
        mode: u32,
        bytes: &[u8],
    ) -> Result<FileFacts, TreeError> {
        let facts = FileFacts {
            mode: (mode & 0o777) as u16,
            size: bytes.len() as u64,
            sha256: Some(Sha256::digest(bytes).into()),
        };
        let folder = self.claims.enter(owner, path.folder())?;
        self.put_file(owner, &self.slot(&folder, path), facts, bytes)?;
        Ok(facts)
    }

    pub(super) fn put_file(
        &self,
        owner: Owner,
        slot: &Slot<'_>,
        facts: FileFacts,
        bytes: &[u8],
    ) -> Result<(), TreeError> {
        let content = Content::File(facts);
        let writing = |error| self.io("write", &slot.path(), error);
        match self.claim(owner, slot, &content, None)? {
            Claim::Nothing => Ok(()),
            Claim::First => match self.create(slot.dir, slot.at, facts.mode) {
                Ok(file) => fill(file, bytes).map_err(writing),
                Err(Errno::EXIST) if self.is_contested(slot) => Ok(()),
                Err(error) => Err(self.io("create", &slot.path(), error.into())),
            },
            Claim::Replace => {
                let (temporary, file) = self.temporary(facts.mode)?;
                fill(file, bytes).map_err(writing)?;
                self.publish(&temporary, slot, owner, &content)
            }
        }
    }

    /// Puts a file of this machine there, with its own permission bits or others.
    ///
    /// # Errors
    /// As [`Self::file`]; and when it cannot be read.
    pub fn copy(
        &self,
        owner: Owner,
        path: &TreePath,
        mode: Option<u32>,
        source: &Utf8Path,
    ) -> Result<FileFacts, TreeError> {
        let reading = |error| TreeError::io("read", source, error);
        let mut file = foreign::open_through_links(source).map_err(reading)?;
        let meta = file.metadata().map_err(reading)?;
        let own = std::os::unix::fs::PermissionsExt::mode(&meta.permissions());
        let mode = mode.unwrap_or(own);
        if meta.len() > WHOLE {
            return self.file_from_reader(owner, path, mode, &mut file);
        }
        let mut bytes = Vec::with_capacity(meta.len() as usize);
        file.read_to_end(&mut bytes).map_err(reading)?;
        self.file(owner, path, mode, &bytes)
    }

    pub(super) fn put_shared(
        &self,
        owner: Owner,
        slot: &Slot<'_>,
        facts: FileFacts,
        from: Source<'_>,
        how: LinkMode,
    ) -> Result<(), TreeError> {
        let content = Content::File(facts);
        // Whether it was linked.
        let put = |to: BorrowedFd<'_>, name: &str| {
            if how == LinkMode::Hardlink {
                match rustix::fs::linkat(from.folder, from.path, to, name, AtFlags::empty()) {
                    // Another disk, or more links than it counts: a copy does as well.
                    Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::OPNOTSUPP) => {}
                    linked => return linked.map(|()| true).map_err(std::io::Error::from),
                }
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let source = rustix::fs::openat(from.folder, from.path, flags, Mode::empty())?;
            let mut source = File::from(source);
            let mut file = File::from(self.create(to, name, facts.mode)?);
            #[cfg(target_os = "linux")]
            if how == LinkMode::Reflink && !self.cannot_clone.load(Ordering::Relaxed) {
                if rustix::fs::ioctl_ficlone(&file, &source).is_ok() {
                    return Ok(false);
                }
                // One try tells of the disk, unless nothing was in the file.
                if facts.size > 0 {
                    self.cannot_clone.store(true, Ordering::Relaxed);
                }
            }
            copy(&mut source, &mut file, facts.size).map(|()| false)
        };
        let failed = |error| self.io("share", &slot.path(), error);
        // That it will be linked: the claims are looked through once more only where it was not.
        let linked = from.modified.filter(|_| how == LinkMode::Hardlink);
        match self.claim(owner, slot, &content, linked)? {
            Claim::Nothing => Ok(()),
            Claim::First => match put(slot.dir, slot.at) {
                Ok(is_linked) => {
                    if linked.is_some() && !is_linked {
                        slot.folder.note_copied(slot.name, owner);
                    }
                    Ok(())
                }
                Err(error)
                    if error.kind() == std::io::ErrorKind::AlreadyExists
                        && self.is_contested(slot) =>
                {
                    Ok(())
                }
                Err(error) => Err(failed(error)),
            },
            Claim::Replace => {
                let temporary = self.temporary_name();
                put(self.stage.tmp.as_fd(), &temporary).map_err(failed)?;
                self.publish(&temporary, slot, owner, &content)
            }
        }
    }

    /// Puts a symbolic link there that stays inside the tree. The target is relative to the link's
    /// folder.
    ///
    /// # Errors
    /// When it would lead out of the tree; and as [`Self::file`].
    pub fn symlink(&self, owner: Owner, path: &TreePath, target: &str) -> Result<(), TreeError> {
        if stays_inside(path, target) {
            return self.link_anywhere(owner, path, target);
        }
        Err(TreeError::LinkOut {
            path: path.clone(),
            owner: self.claims.name(owner),
            target: target.to_owned(),
        })
    }

    /// Puts a symbolic link there that may lead out of the tree: to an interpreter or a workspace.
    /// For targets that were not read from an archive.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn link_anywhere(
        &self,
        owner: Owner,
        path: &TreePath,
        target: &str,
    ) -> Result<(), TreeError> {
        let content = Content::Link(target.into());
        let folder = self.claims.enter(owner, path.folder())?;
        self.make_again(&folder)?;
        // Programs are linked when scripts have run, too: what was a folder may be a link by now.
        let open = self.open_folder(path.folder())?;
        let slot = Slot {
            folder: &folder,
            name: path.file_name(),
            dir: open.as_fd(),
            at: path.file_name(),
        };
        let failed = |error: Errno| self.io("create the link", path, error.into());
        match self.claim(owner, &slot, &content, None)? {
            Claim::Nothing => Ok(()),
            Claim::First => match rustix::fs::symlinkat(target, slot.dir, slot.at) {
                Err(Errno::EXIST) if self.is_contested(&slot) => Ok(()),
                other => other.map_err(failed),
            },
            Claim::Replace => {
                let temporary = self.temporary_name();
                rustix::fs::symlinkat(target, &self.stage.tmp, &temporary).map_err(failed)?;
                self.publish(&temporary, &slot, owner, &content)
            }
        }
    }

    /// Takes away all that is at a path, a folder or not, as if it had never been there, and gives the
    /// files and links that were. Nobody may write there meanwhile.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn clear(&self, path: &TreePath) -> Result<Vec<TreePath>, TreeError> {
        let gone = self.claims.clear(path);
        let failed = |error: std::io::Error| self.io("remove", path, error);
        let Ok(parent) = self.open_folder(path.folder()) else {
            return Ok(gone);
        };
        let name = path.file_name();
        let unlink = |flags| rustix::fs::unlinkat(&parent, name, flags);
        match parent.folder(name) {
            Ok(folder) => {
                folder.empty();
                unlink(AtFlags::REMOVEDIR)
            }
            Err(_) => unlink(AtFlags::empty()),
        }
        .or_else(|error| match error {
            Errno::NOENT => Ok(()),
            error => Err(failed(error.into())),
        })?;
        Ok(gone)
    }

    /// Makes a folder, which may stay empty.
    ///
    /// # Errors
    /// When a file is there, or it cannot be made.
    pub fn folder(&self, owner: Owner, path: &TreePath) -> Result<(), TreeError> {
        let folder = self.claims.enter(owner, path)?;
        self.make(&folder)
    }

    /// A path whose folder was entered, named from the top.
    pub(super) fn slot<'a>(&'a self, folder: &'a Folder, path: &'a TreePath) -> Slot<'a> {
        Slot {
            folder,
            name: path.file_name(),
            dir: self.stage.tree.as_fd(),
            at: path.as_str(),
        }
    }

    /// Claims a name and makes its folders.
    pub(super) fn claim(
        &self,
        owner: Owner,
        slot: &Slot<'_>,
        content: &Content,
        linked: Option<i64>,
    ) -> Result<Claim, TreeError> {
        if INSIDE
            .strip_suffix(slot.name)
            .and_then(|folder| folder.strip_suffix('/'))
            == Some(&slot.folder.path)
        {
            return Err(TreeError::Path(PathError {
                path: slot.path().to_string(),
                why: "it is where lockwright's own record goes",
            }));
        }
        let claims = &self.claims;
        let claim = claims.claim(owner, slot.folder, slot.name, content, linked)?;
        if claim != Claim::Nothing {
            self.make(slot.folder)?;
        }
        Ok(claim)
    }

    fn is_contested(&self, slot: &Slot<'_>) -> bool {
        self.claims.is_contested(slot.folder, slot.name)
    }

    /// Makes a folder and those above it. Another thread may be making the same ones.
    pub(super) fn make(&self, folder: &Folder) -> Result<(), TreeError> {
        if folder.made.load(Ordering::Acquire) {
            return Ok(());
        }
        let path = &*folder.path;
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        if let Some(parent) = self.claims.folder(parent) {
            self.make(&parent)?;
        }
        let error =
            |error: Errno| TreeError::io("make the folder", &self.root().join(path), error.into());
        let mode = Mode::from_raw_mode(FOLDER_MODE);
        match rustix::fs::mkdirat(&self.stage.tree, path, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(problem) => return Err(error(problem)),
        }
        if self.stage.folders_differ {
            rustix::fs::chmodat(&self.stage.tree, path, mode, AtFlags::empty()).map_err(error)?;
        }
        folder.made.store(true, Ordering::Release);
        Ok(())
    }

    fn create(&self, folder: BorrowedFd<'_>, name: &str, mode: u16) -> Result<OwnedFd, Errno> {
        let mode = u32::from(mode);
        let file = rustix::fs::openat(folder, name, CREATE, Mode::from_raw_mode(mode))?;
        if mode & self.stage.file_mask != 0 {
            rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        Ok(file)
    }

    fn temporary_name(&self) -> String {
        self.temporary.fetch_add(1, Ordering::Relaxed).to_string()
    }

    /// A file in `tmp/`.
    pub(super) fn temporary(&self, mode: u16) -> Result<(String, OwnedFd), TreeError> {
        let name = self.temporary_name();
        match self.create(self.stage.tmp.as_fd(), &name, mode) {
            Ok(file) => Ok((name, file)),
            Err(error) => Err(TreeError::io(
                "create a file for",
                &self.root(),
                error.into(),
            )),
        }
    }

    /// Gives a file of `tmp/` its name, unless someone of higher rank has it meanwhile.
    pub(super) fn publish(
        &self,
        temporary: &str,
        slot: &Slot<'_>,
        owner: Owner,
        content: &Content,
    ) -> Result<(), TreeError> {
        let rename = || rustix::fs::renameat(&self.stage.tmp, temporary, slot.dir, slot.at);
        match slot.folder.while_owned(slot.name, owner, content, rename) {
            Some(renamed) => renamed.map_err(|error| self.io("write", &slot.path(), error.into())),
            None => {
                self.discard(temporary);
                Ok(())
            }
        }
    }

    /// A folder of the tree, every step of the way to which is a folder that is really there.
    pub(super) fn open_folder(&self, path: &str) -> Result<foreign::Folder, TreeError> {
        foreign::below(self.stage.tree.as_fd(), path)
            .map_err(|error| TreeError::io("open", &self.root().join(path), error))
    }

    /// Makes a folder where others may have been at work since it was made.
    pub(super) fn make_again(&self, folder: &Folder) -> Result<(), TreeError> {
        let mut here = self.open_folder("")?;
        for name in folder.path.split('/').filter(|name| !name.is_empty()) {
            let failed =
                |error| TreeError::io("make the folder", &self.root().join(&*folder.path), error);
            let mode = Mode::from_raw_mode(FOLDER_MODE);
            let is_new = match rustix::fs::mkdirat(&here, name, mode) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(error) => return Err(failed(error.into())),
            };
            here = here.folder(name).map_err(failed)?;
            if is_new && self.stage.folders_differ {
                rustix::fs::fchmod(&here, mode).map_err(|error| failed(error.into()))?;
            }
        }
        folder.made.store(true, Ordering::Release);
        Ok(())
    }

    pub(super) fn rename(&self, temporary: &str, path: &TreePath) -> Result<(), TreeError> {
        let folder = self.open_folder(path.folder())?;
        rustix::fs::renameat(&self.stage.tmp, temporary, &folder, path.file_name())
            .map_err(|error| self.io("write", path, error.into()))
    }

    /// Removes a file of `tmp/`; should that fail, it goes with the folder.
    pub(super) fn discard(&self, temporary: &str) {
        let _ = rustix::fs::unlinkat(&self.stage.tmp, temporary, AtFlags::empty());
    }

    pub(super) fn io(
        &self,
        doing: &'static str,
        path: &TreePath,
        error: std::io::Error,
    ) -> TreeError {
        TreeError::io(doing, &self.root().join(path.as_str()), error)
    }
}

thread_local! {
    /// Held by no other task of the thread.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SMALL]);
}

/// Copies a file that is so long. A small one is read and written at once: that spares what the kernel needs to copy
/// from file to file.
fn copy(from: &mut File, to: &mut File, size: u64) -> std::io::Result<()> {
    if size >= SMALL as u64 {
        return std::io::copy(from, to).map(drop);
    }
    BUFFER.with_borrow_mut(|buffer| {
        let mut read = 0;
        while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match from.read(rest) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if read as u64 == size {
                break;
            }
        }
        to.write_all(buffer.get(..read).unwrap_or_default())
    })
}

pub(super) fn fill(file: OwnedFd, bytes: &[u8]) -> std::io::Result<()> {
    File::from(file).write_all(bytes)
}

/// Whether a link's target stays inside the tree, wherever other links lead: it may go up at its
/// start alone, where the folders are real ones, and no further than to the top.
fn stays_inside(path: &TreePath, target: &str) -> bool {
    if target.is_empty()
        || target.starts_with('/')
        || target.contains('\\')
        || target.chars().any(char::is_control)
    {
        return false;
    }
    let mut depth = path.parts().count() - 1;
    let mut parts = target.split('/').peekable();
    while parts.next_if(|part| matches!(*part, "..")).is_some() {
        let Some(up) = depth.checked_sub(1) else {
            return false;
        };
        depth = up;
    }
    parts.all(|part| part != "..")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_go_up_at_its_start_and_no_further_than_the_top() {
        let inside = |path: &str, target| stays_inside(&TreePath::new(path).unwrap(), target);
        assert!(inside("a/b", "c"));
        assert!(inside("a/b", "../c"));
        assert!(inside("lib64", "lib"));
        assert!(inside("a/b", "./c/"));
        assert!(!inside("a/b", "../../c"));
        assert!(!inside("b", ".."));
        assert!(!inside("a/b", "/etc"));
        assert!(!inside("a/b/c", "d/../../x"), "d may be a link itself");
        assert!(!inside("a/b/c", "./../x"), "odd, and nobody's need");
    }
}
