//! What a module cache is made of (<https://go.dev/ref/mod#module-cache>): the files of modules, and what
//! the go command looks for beside them, so that it asks nobody.
//!
//! ```text
//! example.com/!upper@v1.2.3/…                        a module's files, its path escaped
//! cache/download/example.com/!upper/@v/v1.2.3.mod       its go.mod
//! cache/download/example.com/!upper/@v/v1.2.3.ziphash   the digest over its files, which go holds against go.sum
//! ```

use sha2::{Digest as _, Sha256};

use crate::core::files_digest::FilesDigest;
use crate::decide::lock::go::GoModule;
use crate::files::contents::{Contents, From, Member, PlaceError, PlacedFile, Placement};
use crate::files::tree::{PathError, TreePath};

/// What the store calls the files of a module's archive.
pub const FORM: &str = "go";

/// Why an archive is no module.
#[derive(Debug, thiserror::Error)]
pub enum ModuleError {
    /// What stands in it has another name.
    #[error(
        "{module} has {path}, and all of a module's files belong below {module}/: it is not an archive of it"
    )]
    Outside {
        /// The module.
        module: GoModule,
        /// What is in its archive.
        path: String,
    },
    /// A path cannot be placed.
    #[error(transparent)]
    Path(#[from] PathError),
}

/// An archive's files, each with its SHA-256.
///
/// # Errors
/// When one cannot be read.
pub fn hashed(contents: &dyn Contents) -> Result<Vec<Member>, PlaceError> {
    let mut members = contents.members().to_vec();
    for (number, member) in members.iter_mut().enumerate() {
        if member.is_folder || member.sha256.is_some() {
            continue;
        }
        let mut hasher = Sha256::new();
        contents.read(number, &mut |piece| {
            hasher.update(piece);
            Ok(())
        })?;
        member.sha256 = Some(hasher.finalize().into());
    }
    Ok(members)
}

/// The digest over an archive's files, all of which were hashed.
pub fn digest(members: &[Member]) -> FilesDigest {
    let empty: [u8; 32] = Sha256::digest(b"").into();
    FilesDigest::of(members.iter().map(|member| match member.is_folder {
        // As it is called in the archive.
        true => (format!("{}/", member.path), empty),
        false => (member.path.clone(), member.sha256.unwrap_or_default()),
    }))
}

/// Holds the names in an archive against the module that it is of.
///
/// # Errors
/// When one is not below it.
pub fn check_names(module: &GoModule, members: &[Member]) -> Result<(), ModuleError> {
    let top = format!("{module}/");
    let odd = members.iter().find(|member| {
        let is_above = member.is_folder && top.starts_with(&format!("{}/", member.path));
        !member.path.starts_with(&top) && !is_above
    });
    match odd {
        None => Ok(()),
        Some(member) => Err(ModuleError::Outside {
            module: module.clone(),
            path: member.path.escape_debug().to_string(),
        }),
    }
}

/// Where the files of an archive go in a module cache. As go unpacks them, none may be run.
///
/// # Errors
/// As [`check_names`], and when a path cannot be placed.
pub fn arrange(
    module: &GoModule,
    members: &[Member],
    below: Option<&TreePath>,
) -> Result<Placement, ModuleError> {
    check_names(module, members)?;
    let top = format!("{module}/");
    let folder = folder(module, below)?;
    let mut placement = Placement::default();
    for (number, member) in members.iter().enumerate() {
        let rest = member.path.strip_prefix(&top).unwrap_or_default();
        if member.is_folder || rest.is_empty() {
            continue;
        }
        placement.files.push(PlacedFile {
            path: folder.join(rest)?,
            mode: 0o644,
            from: From::Member(number),
            expected: None,
        });
    }
    Ok(placement)
}

/// The folder of a module's files in a module cache.
///
/// # Errors
/// When it cannot be a path of a tree.
pub fn folder(module: &GoModule, below: Option<&TreePath>) -> Result<TreePath, PathError> {
    let (path, version) = (module.escaped_path(), module.escaped_version());
    inside(below, format!("{path}@{version}"))
}

/// What the go command looks for beside the files: `mod`, `ziphash`.
///
/// # Errors
/// When it cannot be a path of a tree.
pub fn beside(
    module: &GoModule,
    kind: &str,
    below: Option<&TreePath>,
) -> Result<TreePath, PathError> {
    let (path, version) = (module.escaped_path(), module.escaped_version());
    inside(below, format!("cache/download/{path}/@v/{version}.{kind}"))
}

fn inside(below: Option<&TreePath>, path: String) -> Result<TreePath, PathError> {
    match below {
        Some(below) => below.join(&path),
        None => TreePath::new(path),
    }
}
