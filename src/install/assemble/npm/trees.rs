//! The trees that are being made, and where in them a place of the project is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use super::{NpmAssembleError, Request};
pub(super) use crate::decide::lock::npm::MODULES;
use crate::decide::lock::npm::modules;
use crate::decide::plan::npm::{NpmPlan, NpmSource};
use crate::files::tree::{Options, Record, Replace, Tree, TreeError, TreePath};
use crate::install::npm::package::PackageError;

/// The name of npm's own record.
pub(super) const HIDDEN: &str = ".package-lock.json";

/// The trees that are being made, by what their paths lack of the project's.
pub(super) struct Trees {
    pub(super) trees: BTreeMap<String, Tree>,
    pub(super) collected: bool,
}

impl Trees {
    pub(super) fn stage(request: &Request<'_>) -> Result<Self, NpmAssembleError> {
        let mut trees = BTreeMap::new();
        if let Some(out) = request.out {
            let options = Options {
                replace: Replace::cleared(request.clear),
                record: Record::Beside,
                precious: request.precious.clone(),
            };
            trees.insert(String::new(), Tree::stage(out, options)?);
            return Ok(Self {
                trees,
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
            let linked = fs::symlink_metadata(&dest).is_ok_and(|meta| meta.is_symlink());
            if linked && !request.clear {
                return Err(NpmAssembleError::Linked(dest));
            }
            // A node_modules is npm's to replace, and so ours.
            let options = Options {
                replace: Replace::Environments,
                record: Record::Nowhere,
                precious: request.precious.clone(),
            };
            trees.insert(prefix.to_owned(), Tree::stage(&dest, options)?);
        }
        Ok(Self {
            trees,
            collected: false,
        })
    }

    /// The tree that a place of the project is in, and the place there.
    ///
    /// # Errors
    /// When no such tree is made.
    pub(super) fn find(&self, place: &str) -> Result<(&Tree, TreePath), PackageError> {
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
