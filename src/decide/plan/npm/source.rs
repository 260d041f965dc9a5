//! Where a package comes from.

use serde::Serialize;
use url::Url;

use super::graph::{Graph, Node};
use super::location::{above, is_package};
use super::{NpmPlanError, NpmSource};
use crate::core::artifact::{Artifact, Location};
use crate::core::tree_path::TreePath;
use crate::decide::lock::npm::{Entry, name_of};
use crate::decide::lock::npmrc::Npmrc;

/// A commit that a package is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct GitPackage {
    /// The repository.
    pub url: String,
    /// The commit, in full.
    pub commit: String,
    /// The folder in it that the package is; empty for all of it.
    pub folder: String,
}

impl GitPackage {
    /// Reads `git+ssh://git@forge.example/a/b.git#COMMIT`. What a well-known forge has is obtained over
    /// https, as npm tries first: ssh would ask for a key that nobody needs.
    pub(super) fn read(resolved: &str) -> Option<Self> {
        let url = resolved.strip_prefix("git+").unwrap_or(resolved);
        let is_git = resolved.starts_with("git+") || resolved.starts_with("git:");
        let (url, fragment) = url.split_once('#').filter(|_| is_git)?;
        let (mut commit, mut folder) = ("", "");
        for part in fragment.split("::") {
            match part.strip_prefix("path:") {
                Some(path) => folder = path.trim_matches('/'),
                None => commit = part,
            }
        }
        let is_full =
            matches!(commit.len(), 40 | 64) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let known = ["github.com", "gitlab.com", "bitbucket.org", "git.sr.ht"];
        let over_https = url
            .strip_prefix("ssh://git@")
            .filter(|rest| {
                known
                    .iter()
                    .any(|host| rest.starts_with(&format!("{host}/")))
            })
            .map(|rest| format!("https://{rest}"));
        is_full.then(|| Self {
            url: over_https.unwrap_or_else(|| url.to_owned()),
            commit: commit.to_ascii_lowercase(),
            folder: folder.to_owned(),
        })
    }
}

impl Graph<'_> {
    pub(super) fn source(
        &self,
        node: &Node<'_>,
        entry: &Entry,
        npmrc: &Npmrc,
    ) -> Result<NpmSource, NpmPlanError> {
        if let Some(link) = &entry.link {
            return Ok(NpmSource::Link(link.clone()));
        }
        if !is_package(node.location) {
            return Ok(NpmSource::Folder);
        }
        if entry.in_bundle {
            let mut bundler = above(node.location);
            while self
                .at
                .get(bundler)
                .and_then(|at| self.nodes[*at].entry)
                .is_some_and(|entry| entry.in_bundle)
            {
                bundler = above(bundler);
            }
            if is_package(bundler) {
                return Ok(NpmSource::Bundle(TreePath::new(bundler)?));
            }
        }
        let asked = name_of(node.location).unwrap_or_default();
        let name = entry.about.name.as_deref().unwrap_or(asked);
        let version = entry.about.version.as_deref();
        let label = format!("{name} {}", version.unwrap_or_default());
        let location = match entry.resolved.as_deref() {
            Some(path) if path.starts_with("file:") => {
                let path = path.trim_start_matches("file:").trim_start_matches("./");
                let path = TreePath::new(path)?;
                Location::Path(self.lock.folder().join(path.as_str()))
            }
            Some(url) if url.starts_with("http:") || url.starts_with("https:") => {
                let url = Url::parse(url).map_err(|_| NpmPlanError::Source {
                    package: label.clone(),
                    from: url.to_owned(),
                    why: "which is not a URL",
                })?;
                Location::Url(npmrc.replaced(url))
            }
            Some(other) => {
                return match GitPackage::read(other) {
                    Some(git) => Ok(NpmSource::Git(git)),
                    None => Err(NpmPlanError::Source {
                        package: label,
                        from: other.to_owned(),
                        why: "which is neither a tarball nor a git repository with a full commit: \
                              have npm regenerate the lock",
                    }),
                };
            }
            None => Location::Url(
                version
                    .and_then(|version| npmrc.tarball(name, version))
                    .ok_or_else(|| NpmPlanError::NoRegistry(vec![label.clone()]))?,
            ),
        };
        let last = name.rsplit('/').next().unwrap_or(name);
        Ok(NpmSource::Tarball(Artifact {
            file_name: format!("{last}-{}.tgz", version.unwrap_or("0")),
            location,
            digest: entry.integrity.clone(),
            size: None,
        }))
    }
}
