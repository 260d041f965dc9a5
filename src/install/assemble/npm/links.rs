//! Links: to workspaces and other folders of the project, and to programs.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use super::place::owner;
use super::trees::Trees;
use super::{Destination, NpmAssembleError, Request};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::paths::way;
use crate::core::temp_file::TempFile;
use crate::decide::lock::npm::{NpmLock, is_outside};
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::install::npm::package::without_cr;

/// Links to workspaces and other folders of the project.
pub(super) fn link_folders(
    request: &Request<'_>,
    trees: &Trees<'_>,
) -> Result<(), NpmAssembleError> {
    for package in &request.plan.packages {
        if let NpmSource::Link(target) = &package.source {
            if is_outside(target) && !matches!(request.to, Destination::InPlace) {
                return Err(NpmAssembleError::Beside(package.location.to_string()));
            }
            let (tree, path) = trees.find(package.location.as_str())?;
            let target = relative(package.location.as_str(), target.as_str());
            tree.link_anywhere(owner(tree, package), &path, &target)?;
        }
    }
    Ok(())
}

/// Links to the programs whose files are there.
pub(super) fn link_programs(
    request: &Request<'_>,
    trees: &Trees<'_>,
) -> Result<(), NpmAssembleError> {
    let linked = Linked::new(request.lock, request.plan);
    for bin in &request.plan.bins {
        let (tree, path) = trees.find(bin.link.as_str())?;
        let file = match linked.file(bin.file.as_str()) {
            Some(file) => file,
            None => {
                let (tree, file) = trees.find(bin.file.as_str())?;
                tree.root().join(file.as_str())
            }
        };
        if fs::symlink_metadata(&file).is_ok() {
            let owner = tree.owner("programs", u64::MAX);
            let target = relative(bin.link.as_str(), bin.file.as_str());
            tree.link_anywhere(owner, &path, &target)?;
        }
    }
    Ok(())
}

/// Where the places below a workspace's link really are.
struct Linked<'a> {
    project: &'a Utf8Path,
    targets: HashMap<&'a str, &'a str>,
}

impl<'a> Linked<'a> {
    fn new(lock: &'a NpmLock, plan: &'a NpmPlan) -> Self {
        let links = plan
            .packages
            .iter()
            .filter_map(|package| match &package.source {
                NpmSource::Link(target) => Some((package.location.as_str(), target.as_str())),
                _ => None,
            });
        Self {
            project: lock.folder(),
            targets: links.collect(),
        }
    }

    /// The file of the project that a place is.
    fn file(&self, place: &str) -> Option<Utf8PathBuf> {
        place.match_indices('/').find_map(|(at, _)| {
            let (link, rest) = (place.get(..at)?, place.get(at + 1..)?);
            Some(self.project.join(self.targets.get(link)?).join(rest))
        })
    }
}

/// Programs that are files of the project's own and cannot be started as they are: those that may
/// not be executed, or whose `#!` line ends as Windows has it, which no kernel understands.
///
/// # Errors
/// When one cannot be read, or is not in the project.
pub(super) fn unstartable(
    lock: &NpmLock,
    plan: &NpmPlan,
) -> Result<Vec<Unstartable>, NpmAssembleError> {
    let linked = Linked::new(lock, plan);
    let files = plan.bins.iter();
    let files = files.filter_map(|bin| linked.file(bin.file.as_str()));
    let mut all = Vec::new();
    for path in files {
        let failed = cannot("read", &path);
        if let Some(mut found) = Unstartable::look(&path).map_err(failed)? {
            let folder = lock.folder().canonicalize_utf8().map_err(failed)?;
            if !found.path.starts_with(&folder) {
                let beside = plan.outside.keys();
                let beside =
                    beside.filter_map(|at| lock.folder().join(at).canonicalize_utf8().ok());
                if !beside
                    .into_iter()
                    .any(|beside| found.path.starts_with(beside))
                {
                    return Err(NpmAssembleError::Program(path));
                }
                // Nothing is written there but a mode.
                found.bytes = None;
            }
            all.push(found);
        }
    }
    Ok(all)
}

/// A program that cannot be started as it is.
pub(super) struct Unstartable {
    /// Where it really is.
    path: Utf8PathBuf,
    file: fs::File,
    /// Its bytes, if they have to be others.
    bytes: Option<Vec<u8>>,
}

impl Unstartable {
    fn look(path: &Utf8Path) -> io::Result<Option<Self>> {
        let path = match path.canonicalize_utf8() {
            Ok(path) => path,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Scripts may have left a pipe or a folder there.
        let Ok(mut file) = foreign::open(&path) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        Read::by_ref(&mut file).take(2048).read_to_end(&mut bytes)?;
        let bytes = match without_cr(&bytes) {
            Some(_) => without_cr(&foreign::read(&path, foreign::TEXT)?),
            None => None,
        };
        let mode = file.metadata()?.permissions().mode();
        let can_be = mode & 0o111 == 0o111 && bytes.is_none();
        Ok((!can_be).then_some(Self { path, file, bytes }))
    }

    /// Makes it one that can.
    pub(super) fn fix(self) -> Result<(), NpmAssembleError> {
        let wanted = fs::Permissions::from_mode(0o755);
        let fix = || match &self.bytes {
            None => self.file.set_permissions(wanted),
            Some(bytes) => {
                let mut new = TempFile::beside(&self.path, None)?;
                new.write_all(bytes)?;
                new.as_file().set_permissions(wanted)?;
                new.persist(&self.path)?;
                Ok(())
            }
        };
        Ok(fix().map_err(cannot("make executable", &self.path))?)
    }
}

/// How `to` is reached from the folder that `from` is in; both from the project's folder.
pub(super) fn relative(from: &str, to: &str) -> String {
    let folder = Utf8Path::new(from).parent().unwrap_or(Utf8Path::new(""));
    way(folder, Utf8Path::new(to)).into_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_relative_to_their_folder() {
        for (from, to, expected) in [
            (
                "node_modules/@g/core",
                "packages/core",
                "../../packages/core",
            ),
            (
                "node_modules/.bin/x",
                "node_modules/x/cli.js",
                "../x/cli.js",
            ),
            ("packages/a/node_modules/b", "packages/b", "../../b"),
            ("node_modules/@s/own", "", "../.."),
        ] {
            assert_eq!(relative(from, to), expected);
        }
    }
}
