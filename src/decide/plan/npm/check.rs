//! Whether a lock is in step with the package.json files, and fits the machine.

use std::collections::BTreeSet;

use super::graph::{Graph, Kind, ROOT};
use super::location::is_top;
use super::{NpmPlanError, Omit};
use crate::decide::target::node::{NodeTarget, satisfies};

impl Graph<'_> {
    /// Whether all that is asked for is in the lock, and fits.
    pub(super) fn check(
        &self,
        target: &NodeTarget,
        omit: &BTreeSet<Omit>,
        is_strict: bool,
    ) -> Result<Vec<String>, NpmPlanError> {
        let drift = |first: String| NpmPlanError::Drift {
            lock: self.lock.file.clone(),
            first,
        };
        let overrides = &self.nodes[ROOT].about.overrides;
        let mut warnings = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            if node.flags.extraneous || (node.flags.optional && index != ROOT) {
                continue;
            }
            let own = is_top(node.location);
            let who = match node.location {
                "" => "the project",
                location => location,
            };
            for edge in &node.edges {
                let Some(to) = edge.to else {
                    match edge.kind {
                        Kind::Optional if !own => {}
                        Kind::PeerOptional => {}
                        Kind::Peer => warnings.push(format!(
                            "{who} wants {} {} beside it, and the lock has none",
                            edge.name, edge.range
                        )),
                        _ => {
                            return Err(drift(format!(
                                "{who} needs {} {}, and the lock has none",
                                edge.name, edge.range
                            )));
                        }
                    }
                    continue;
                };
                let found = &self.nodes[self.nodes[to].target.unwrap_or(to)];
                let version = found.about.version.as_deref();
                if own
                    && !overrides.contains_key(&edge.name)
                    && let Some(version) = version
                    && edge.range.parse::<node_semver::Range>().is_ok()
                    && !satisfies(version, &edge.range)
                {
                    let first = format!(
                        "{who} needs {} {}, and the lock has {version}",
                        edge.name, edge.range
                    );
                    if edge.kind.is_peer() {
                        warnings.push(first);
                    } else {
                        return Err(drift(first));
                    }
                }
            }
            if !own {
                for name in &node.about.bundle {
                    if self.resolve(node.location, name).is_none() {
                        return Err(drift(format!(
                            "{who} bundles {name}, which the lock does not list"
                        )));
                    }
                }
            }
            let about = &node.about;
            if !node.is_omitted(omit) {
                let package = who.to_owned();
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
}
