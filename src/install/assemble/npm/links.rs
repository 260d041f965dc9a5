//! Links: to workspaces and other folders of the project, and to programs.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::place::owner;
use super::trees::Trees;
use super::{NpmAssembleError, Request};
use crate::core::paths::way;
use crate::decide::plan::npm::NpmSource;

/// Links to workspaces and other folders of the project.
pub(super) fn link_folders(request: &Request<'_>, trees: &Trees) -> Result<(), NpmAssembleError> {
    for package in &request.plan.packages {
        if let NpmSource::Link(target) = &package.source {
            let (tree, path) = trees.find(package.location.as_str())?;
            let target = relative(package.location.as_str(), target.as_str());
            tree.link_anywhere(owner(tree, package), &path, &target)?;
        }
    }
    Ok(())
}

/// Links to the programs whose files are there.
pub(super) fn link_programs(request: &Request<'_>, trees: &Trees) -> Result<(), NpmAssembleError> {
    for bin in &request.plan.bins {
        let (tree, path) = trees.find(bin.link.as_str())?;
        let file = match real_file(request, bin.file.as_str()) {
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

/// The file of the project that a place below a workspace's link is.
pub(super) fn real_file(request: &Request<'_>, place: &str) -> Option<Utf8PathBuf> {
    request.plan.packages.iter().find_map(|package| {
        let NpmSource::Link(target) = &package.source else {
            return None;
        };
        let rest = place.strip_prefix(package.location.as_str())?;
        let rest = rest.strip_prefix('/')?;
        Some(request.lock.folder().join(target.as_str()).join(rest))
    })
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
