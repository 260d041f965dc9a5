//! The trees that are being made, and where in them a place of the project is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use super::{Destination, NpmAssembleError, Request};
pub(super) use crate::decide::lock::npm::MODULES;
use crate::decide::lock::npm::modules;
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::files::tree::{Record, Replace, Tree, TreeError, TreeOptions, TreePath};
use crate::install::npm::package::PackageError;

/// The name of npm's own record.
pub(super) const HIDDEN: &str = ".package-lock.json";

/// The trees that are being made, by what their paths lack of the project's.
pub(super) struct Trees<'a> {
    /// Those of our own. None where all goes into a tree that was given.
    pub(super) trees: BTreeMap<String, Tree>,
    /// That one, and the folder in it.
    given: Option<(&'a Tree, Option<&'a TreePath>)>,
    /// Whether all is in one tree, whatever `node_modules` it is of.
    pub(super) collected: bool,
}

impl<'a> Trees<'a> {
    pub(super) fn stage(request: &Request<'a>) -> Result<Self, NpmAssembleError> {
        let mut trees = BTreeMap::new();
        let out = match request.to {
            Destination::InPlace => None,
            Destination::Folder(out) => Some(out),
            Destination::Tree(tree, below) => {
                return Ok(Self {
                    trees,
                    given: Some((tree, below)),
                    collected: true,
                });
            }
        };
        if let Some(out) = out {
            let options = TreeOptions {
                replace: Replace::cleared(request.clear),
                record: Record::Beside,
                precious: request.precious.clone(),
            };
            trees.insert(String::new(), Tree::stage(out, options)?);
            return Ok(Self {
                trees,
                given: None,
                collected: true,
            });
        }
        let prefixes = prefixes(request.plan);
        // A workspace's node_modules that nothing is in has to go.
        for package in &request.plan.packages {
            let modules = format!("{}/{MODULES}", package.location);
            if matches!(package.source, NpmSource::Folder) && !prefixes.contains(&*modules) {
                let path = request.lock.folder().join(modules.trim_end_matches('/'));
                request.precious.check_foreign(&path)?;
            }
        }
        for prefix in prefixes {
            let dest = request.lock.folder().join(prefix.trim_end_matches('/'));
            stays_inside(request.lock.folder(), &dest)?;
            let linked = fs::symlink_metadata(&dest).is_ok_and(|meta| meta.is_symlink());
            if linked && !request.clear {
                return Err(NpmAssembleError::Linked(dest));
            }
            // A node_modules is npm's to replace, and so ours.
            let options = TreeOptions {
                replace: Replace::Environments,
                record: Record::Nowhere,
                precious: request.precious.clone(),
            };
            trees.insert(prefix.to_owned(), Tree::stage(&dest, options)?);
        }
        Ok(Self {
            trees,
            given: None,
            collected: false,
        })
    }

    /// Where each is being made, by what its paths lack of the project's.
    pub(super) fn staged(&self) -> Vec<(&str, Utf8PathBuf)> {
        let own = self.trees.iter();
        let own = own.map(|(prefix, tree)| (&**prefix, tree.root()));
        let given = self.given.map(|(tree, below)| match below {
            Some(below) => ("", tree.root().join(below.as_str())),
            None => ("", tree.root()),
        });
        own.chain(given).collect()
    }

    /// The tree that a place of the project is in, and the place there.
    ///
    /// # Errors
    /// When no such tree is made.
    pub(super) fn find(&self, place: &str) -> Result<(&Tree, TreePath), PackageError> {
        if let Some((tree, below)) = self.given {
            let path = match below {
                Some(below) => TreePath::new(format!("{below}/{place}")),
                None => TreePath::new(place),
            };
            return Ok((tree, path.map_err(TreeError::from)?));
        }
        let prefix = match self.collected {
            true => Some(""),
            false => modules_of(place),
        };
        let found = prefix.and_then(|prefix| Some((self.trees.get(prefix)?, prefix)));
        let found = found.and_then(|(tree, prefix)| Some((tree, place.strip_prefix(prefix)?)));
        let (tree, rest) = found.ok_or_else(|| PackageError::Nowhere(place.to_owned()))?;
        Ok((tree, TreePath::new(rest).map_err(TreeError::from)?))
    }
}

/// The project's folders that packages are in, `packages/a/node_modules/` say: each is a tree.
pub(super) fn prefixes(plan: &NpmPlan) -> BTreeSet<&str> {
    let packages = plan.packages.iter();
    let prefixes = packages.filter_map(|package| modules_of(package.location.as_str()));
    prefixes.chain([MODULES]).collect()
}

/// `packages/a/node_modules/`, of whatever is in there.
fn modules_of(place: &str) -> Option<&str> {
    let at = modules(place).next()?;
    place.get(..at + MODULES.len())
}

/// Says no where what a tree would be put in is reached by a link that leads out of the project: a checkout
/// may bring such links.
fn stays_inside(project: &Utf8Path, dest: &Utf8Path) -> Result<(), NpmAssembleError> {
    // What is not there yet leads nowhere.
    let above = dest.ancestors().skip(1).find(|above| above.exists());
    let (Some(above), Ok(project)) = (above, project.canonicalize_utf8()) else {
        return Ok(());
    };
    match above.canonicalize_utf8() {
        Ok(real) if !real.starts_with(&project) => Err(NpmAssembleError::Outside(dest.to_owned())),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outermost_node_modules_counts() {
        assert_eq!(
            modules_of("p/a/node_modules/b/node_modules/c"),
            Some("p/a/node_modules/")
        );
        assert_eq!(
            modules_of("old_node_modules/a/node_modules/b"),
            Some("old_node_modules/a/node_modules/")
        );
        assert_eq!(modules_of("packages/x"), None);
    }
}
