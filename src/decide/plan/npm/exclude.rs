//! Packages that are left out by name, whatever needs them.

use std::collections::BTreeSet;

use super::NpmPlan;
use crate::core::tree_path::TreePath;

impl NpmPlan {
    /// Leaves out packages by their names, or the names of their folders, with what is in their folders
    /// and the programs that are theirs. What only they need stays.
    ///
    /// # Errors
    /// The first name that no package has.
    pub fn exclude(&mut self, names: &[String]) -> Result<(), String> {
        let is_named = |package: &super::PlannedNpm, name: &str| {
            package.name == name || package.location.ends_with(&format!("node_modules/{name}"))
        };
        let mut places: Vec<TreePath> = Vec::new();
        for name in names {
            let named = self.packages.iter().filter(|one| is_named(one, name));
            let before = places.len();
            places.extend(named.map(|package| package.location.clone()));
            if places.len() == before {
                return Err(name.clone());
            }
        }
        let is_gone = |path: &TreePath| {
            let is_below = |place: &TreePath| {
                let rest = path.strip_prefix(place.as_str());
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            places.iter().any(is_below)
        };
        let gone: BTreeSet<usize> = (0..)
            .zip(&self.packages)
            .filter(|(_, package)| is_gone(&package.location))
            .map(|(index, _)| index)
            .collect();
        let mut index = 0;
        self.packages.retain_mut(|package| {
            let kept = package.needs.iter().filter(|need| !gone.contains(need));
            package.needs = kept.map(|need| need - gone.range(..need).count()).collect();
            index += 1;
            !gone.contains(&(index - 1))
        });
        self.bins
            .retain(|bin| !is_gone(&bin.file) && !is_gone(&bin.link));
        Ok(())
    }
}
