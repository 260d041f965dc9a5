//! Whether a lock is in step with the package.json files, and fits the machine.

use std::collections::BTreeSet;

use super::graph::{Graph, Kind, Node, ROOT};
use super::location::is_top;
use super::{NpmPlanError, Omit};
use crate::decide::lock::npm::is_outside;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::target::node::{NodeTarget, satisfies};

impl Graph<'_> {
    /// Whether all that is asked for is in the lock, and fits.
    pub(super) fn check(
        &self,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
        npmrc: &Npmrc,
    ) -> Result<Vec<String>, NpmPlanError> {
        self.check_settings(npmrc)?;
        let is_strict = npmrc.is_set("engine-strict");
        let mut warnings = Vec::new();
        let (mut differences, mut conflicts) = (Vec::new(), Vec::new());
        for node in self.nodes.iter().filter(|node| !node.flags.extraneous) {
            self.compare(node, &mut differences, &mut conflicts, &mut warnings);
        }
        if !differences.is_empty() {
            return Err(NpmPlanError::Mismatch {
                lock: self.lock.file.clone(),
                differences,
            });
        }
        if let Some(first) = conflicts.into_iter().next()
            && npmrc.is_set("strict-peer-deps")
        {
            return Err(NpmPlanError::Peer(first));
        }
        for (index, node) in self.nodes.each() {
            if node.flags.extraneous || (node.flags.optional && index != ROOT) {
                continue;
            }
            let about = &node.about;
            if !node.is_omitted(omit) {
                let package = who(node).to_owned();
                if let Some(why) = target.rules_out(&about.os, &about.cpu, &about.libc) {
                    return Err(NpmPlanError::Platform { package, why });
                }
                let engines = (about.node.as_deref(), about.npm.as_deref());
                match target.engines_fail(engines.0, engines.1) {
                    Some(_) if index == ROOT && about.dev_engines => {}
                    Some(why) if is_strict => return Err(NpmPlanError::Engine { package, why }),
                    Some(why) => warnings.push(format!("{package} {why}")),
                    None => {}
                }
            }
        }
        Ok(warnings)
    }

    /// Settings that make another tree than we do.
    fn check_settings(&self, npmrc: &Npmrc) -> Result<(), NpmPlanError> {
        let refuse = |setting: &str, why| {
            let setting = setting.to_owned();
            Err(NpmPlanError::Setting { setting, why })
        };
        if npmrc.value("install-strategy") == Some("linked") {
            let why =
                "makes a tree that lockwright does not make: remove it, or let npm install it";
            return refuse("install-strategy=linked", why);
        }
        let is_copied = |node: &Node<'_>| {
            let mut kinds = node.into.iter().map(|edge| self.nodes[*edge].kind);
            node.target.is_some() && !kinds.any(|kind| kind == Kind::Workspace)
        };
        if npmrc.is_set("install-links") && self.nodes.iter().any(is_copied) {
            let why = "asks for copies of folders, which are linked here: remove it, or let npm install it";
            return refuse("install-links=true", why);
        }
        Ok(())
    }

    /// Whether a package is nested under a workspace that asks for another version of it, and nothing
    /// above stands in the way of that: npm keeps what the lock has there.
    fn is_pinned(&self, node: &Node<'_>, to: &Node<'_>, name: &str, range: &str) -> bool {
        let nested = to.location.strip_prefix(node.location);
        let nested = nested.and_then(|rest| rest.strip_prefix("/node_modules/"));
        if node.location.is_empty() || nested != Some(name) {
            return false;
        }
        let above = self.resolve("", name).map(|index| &self.nodes[index]);
        let version = above.and_then(|node| node.about.version.as_deref());
        above.is_none() || version.is_some_and(|version| satisfies(version, range))
    }

    /// Holds what a package asks for against what the lock has. npm takes a lock for incomplete whatever lacks,
    /// be it optional or of another machine (<https://github.com/npm/cli/issues/4828>): only a peer that is
    /// optional may be missing, and what comes out of the package's own tarball.
    fn compare(
        &self,
        node: &Node<'_>,
        differences: &mut Vec<String>,
        conflicts: &mut Vec<String>,
        warnings: &mut Vec<String>,
    ) {
        if is_outside(node.location) {
            return;
        }
        let own = is_top(node.location);
        let who = who(node);
        let overrides = &self.nodes[ROOT].about.overrides;
        for edge in &node.edges {
            let is_bundled = !own && node.about.bundle.contains(&edge.name);
            let Some(to) = edge.to else {
                if edge.kind == Kind::Workspace {
                    differences.push(format!(
                        "{} is a workspace, {}, which the lock does not have",
                        edge.range, edge.name
                    ));
                } else if edge.kind != Kind::PeerOptional && !is_bundled {
                    differences.push(format!(
                        "{who} needs {} {}, and the lock has none",
                        edge.name, edge.range
                    ));
                }
                continue;
            };
            let to = &self.nodes[to];
            if edge.kind == Kind::Workspace {
                if to.entry.and_then(|entry| entry.link.as_ref()) != Some(&edge.range) {
                    differences.push(format!(
                        "{} is a workspace, {}, and the lock has another package of that name",
                        edge.range, edge.name
                    ));
                }
                continue;
            }
            let found = to.target.map_or(to, |target| &self.nodes[target]);
            let version = found.about.version.as_deref();
            let is_peer = edge.kind.is_peer();
            if (own || is_peer)
                && !overrides.contains_key(&edge.name)
                && let Some(version) = version
                && edge.range.parse::<node_semver::Range>().is_ok()
                && !satisfies(version, &edge.range)
                && !self.is_pinned(node, to, &edge.name, &edge.range)
            {
                let difference = format!(
                    "{who} needs {} {}, and the lock has {version}",
                    edge.name, edge.range
                );
                match is_peer {
                    false => differences.push(difference),
                    true => {
                        warnings.extend(own.then(|| difference.clone()));
                        conflicts.extend((edge.kind == Kind::Peer).then_some(difference));
                    }
                }
            }
        }
        if !own && !node.flags.optional {
            for name in &node.about.bundle {
                if self.resolve(node.location, name).is_none() {
                    differences.push(format!(
                        "{who} bundles {name}, which the lock does not list"
                    ));
                }
            }
        }
    }
}

/// A package, in messages.
fn who<'a>(node: &Node<'a>) -> &'a str {
    match node.location {
        "" => "the project",
        location => location,
    }
}
