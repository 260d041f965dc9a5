//! Files whose bytes come piece by piece: written aside, and given their name at the end.

use std::fs::File;
use std::io::{Read, Write as _};

use sha2::{Digest as _, Sha256};

use super::claims::Claim;
use super::{Content, FileFacts, Owner, Tree, TreeError, TreePath};

impl Tree {
    /// Begins a file whose bytes come piece by piece: for those too large to be held. A digest that
    /// is known is not computed again. The file is there when [`Open::finish`] has been called, and
    /// never if not.
    ///
    /// # Errors
    /// When no file can be made.
    pub fn open(
        &self,
        owner: Owner,
        path: &TreePath,
        mode: u32,
        sha256: Option<[u8; 32]>,
    ) -> Result<Open<'_>, TreeError> {
        let mode = (mode & 0o777) as u16;
        let (temporary, file) = self.temporary(mode)?;
        Ok(Open {
            tree: self,
            owner,
            path: path.clone(),
            temporary,
            file: File::from(file),
            hashing: match sha256 {
                Some(sha256) => Hashing::Known(sha256),
                None => Hashing::Running(Sha256::new()),
            },
            mode,
            size: 0,
        })
    }

    /// Puts a file there whose bytes are read piece by piece.
    ///
    /// # Errors
    /// As [`Self::file`]; and when it cannot be read, which leaves nothing of it.
    pub fn file_from_reader(
        &self,
        owner: Owner,
        path: &TreePath,
        mode: u32,
        reader: &mut dyn Read,
    ) -> Result<FileFacts, TreeError> {
        let mut open = self.open(owner, path, mode, None)?;
        let mut buffer = vec![0; 1 << 17];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return open.finish(),
                Ok(read) => open.write(buffer.get(..read).unwrap_or_default())?,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.io("read what is to be", path, error)),
            }
        }
    }
}

/// Where a file's digest comes from.
#[derive(Debug)]
enum Hashing {
    Running(Sha256),
    Known([u8; 32]),
}

/// A file on its way into a tree. Dropped before [`Self::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Open<'a> {
    tree: &'a Tree,
    owner: Owner,
    path: TreePath,
    temporary: String,
    file: File,
    hashing: Hashing,
    mode: u16,
    size: u64,
}

impl Open<'_> {
    /// Adds bytes.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), TreeError> {
        if let Hashing::Running(hasher) = &mut self.hashing {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        self.file
            .write_all(bytes)
            .map_err(|error| self.tree.io("write", &self.path, error))
    }

    /// Gives the file its name, unless someone of higher rank has it.
    ///
    /// # Errors
    /// As [`Tree::file`].
    pub fn finish(self) -> Result<FileFacts, TreeError> {
        let facts = FileFacts {
            mode: self.mode,
            size: self.size,
            sha256: Some(match self.hashing {
                Hashing::Running(hasher) => hasher.finalize().into(),
                Hashing::Known(sha256) => sha256,
            }),
        };
        let content = Content::File(facts);
        let folder = self.tree.claims.enter(self.owner, self.path.folder())?;
        let slot = self.tree.slot(&folder, &self.path);
        match self.tree.claim(self.owner, &slot, &content, None)? {
            Claim::Nothing => self.tree.discard(&self.temporary),
            Claim::First | Claim::Replace => {
                self.tree
                    .publish(&self.temporary, &slot, self.owner, &content)?;
            }
        }
        Ok(facts)
    }
}
