//! What npm's `allow-git`, `allow-remote` and `allow-file` permit, asked as npm asks when it is about to unpack a
//! package (pacote's `canUse`). A registry's tarballs are no remote ones. `allow-directory` holds for folders that are
//! copied; those of a lock are linked, and npm lets them pass.

use std::collections::HashSet;

use url::Url;

use super::graph::{Graph, Id, Kind, Node, ROOT};
use super::{NpmPlanError, NpmSource};
use crate::core::artifact::Location;
use crate::decide::lock::npm::name_of;
use crate::decide::lock::npmrc::Npmrc;

/// The settings, each of which is `all`, `root` or `none`.
const SETTINGS: [&str; 4] = ["allow-directory", "allow-file", "allow-git", "allow-remote"];

impl Graph<'_> {
    /// Why each package that may not be obtained may not, by its index.
    ///
    /// # Errors
    /// When a setting says what is none of its words.
    pub(super) fn forbidden(&self, npmrc: &Npmrc) -> Result<Vec<(Id, NpmPlanError)>, NpmPlanError> {
        for setting in SETTINGS {
            match npmrc.value(setting) {
                None | Some("all" | "root" | "none") => {}
                Some(other) => {
                    return Err(NpmPlanError::Setting {
                        setting: format!("{setting}={other}"),
                        why: "must be all, root or none",
                    });
                }
            }
        }
        if SETTINGS
            .iter()
            .all(|setting| matches!(npmrc.value(setting), None | Some("all")))
        {
            return Ok(Vec::new());
        }
        let edges = self.nodes[ROOT].edges.iter();
        let workspaces = edges.filter(|edge| edge.kind == Kind::Workspace);
        let own: HashSet<Id> = workspaces
            .filter_map(|edge| self.nodes[edge.to?].target)
            .chain([ROOT])
            .collect();
        let nodes = self.nodes.each();
        let nodes = nodes.filter(|(_, node)| !node.flags.extraneous);
        Ok(nodes
            .filter_map(|(index, node)| {
                let (setting, from) = self.guarded(node, npmrc)?;
                let value = npmrc.value(setting).unwrap_or("all");
                let is_asked_by_own = || node.into.iter().any(|edge| own.contains(&edge.from));
                let is_allowed = value == "all" || value == "root" && is_asked_by_own();
                let package = node.location.to_owned();
                let setting = format!("{setting}={value}");
                (!is_allowed).then_some((
                    index,
                    NpmPlanError::Forbidden {
                        package,
                        from,
                        setting,
                    },
                ))
            })
            .collect())
    }

    /// The setting that a package's source falls under, and that source.
    fn guarded(&self, node: &Node<'_>, npmrc: &Npmrc) -> Option<(&'static str, String)> {
        let entry = node.entry?;
        // What cannot be told is told where the package is planned.
        match self.source(node, entry, npmrc).ok()? {
            NpmSource::Git(git) => Some(("allow-git", git.url)),
            NpmSource::Tarball(artifact) => match artifact.location {
                Location::Path(path) => Some(("allow-file", path.into_string())),
                Location::Url(url) => {
                    let is_registrys = entry.resolved.is_none()
                        || self.is_of_registry(node)
                            && is_below(&url, npmrc.registry(name_of(node.location)?));
                    (!is_registrys).then(|| ("allow-remote", url.into()))
                }
            },
            NpmSource::Bundle(_) | NpmSource::Link(_) | NpmSource::Folder => None,
        }
    }
}

/// Whether a URL is one of a registry's.
fn is_below(url: &Url, registry: Option<&str>) -> bool {
    let registry = registry.and_then(|registry| Url::parse(registry).ok());
    registry.is_some_and(|registry| {
        let folder = format!("{}/", registry.path().trim_end_matches('/'));
        url.origin() == registry.origin() && url.path().starts_with(&folder)
    })
}
