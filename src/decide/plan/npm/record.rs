//! What npm writes of a package into its own record, `node_modules/.package-lock.json`.

use super::graph::{Graph, Node, ROOT};
use super::location::is_top;
use crate::decide::lock::npm::{Entry, name_of};
use crate::decide::lock::npmrc::Npmrc;

impl Graph<'_> {
    /// What npm writes of it into `.package-lock.json`: the lock's own words, the flags anew.
    pub(super) fn recorded(
        &self,
        node: &Node<'_>,
        entry: &Entry,
        npmrc: &Npmrc,
    ) -> serde_json::Map<String, serde_json::Value> {
        if entry.link.is_some() {
            return entry.raw.clone();
        }
        let called = name_of(node.location).unwrap_or_default();
        let from_lock = || {
            let mut all = entry.about.recorded(&entry.raw, called);
            // A folder of the project's own that is not there is what the lock says of it.
            if let Some(dev) = entry.raw.get("devDependencies")
                && is_top(node.location)
                && !entry.about.dev.is_empty()
            {
                all.insert("devDependencies".to_owned(), dev.clone());
            }
            all
        };
        let mut all = node.recorded.clone().unwrap_or_else(from_lock);
        let omits = npmrc.is_set("omit-lockfile-registry-resolved") && self.is_of_registry(node);
        for key in ["resolved", "integrity", "inBundle", "hasShrinkwrap"] {
            if let Some(value) = entry.raw.get(key)
                && !(key == "resolved" && omits)
                && *value != serde_json::Value::Bool(false)
            {
                all.insert(key.to_owned(), value.clone());
            }
        }
        let flags = &node.flags;
        for (key, on) in [
            ("peer", flags.peer),
            ("dev", flags.dev),
            ("optional", flags.optional),
            (
                "devOptional",
                flags.dev_optional && !flags.dev && !flags.optional,
            ),
        ] {
            if on {
                all.insert(key.to_owned(), true.into());
            }
        }
        all
    }

    /// Whether all who need a package ask for it by a version, a range or a tag.
    pub(super) fn is_of_registry(&self, node: &Node<'_>) -> bool {
        let mut asked = node
            .into
            .iter()
            .filter(|edge| !self.nodes[edge.from].flags.extraneous)
            .map(|edge| self.nodes[*edge].range.as_str())
            .peekable();
        // Which of the overrides of a name counts where is not asked: seldom does any lead elsewhere.
        let name = name_of(node.location).unwrap_or_default();
        let overrides = &self.nodes[ROOT].about.overrides;
        let mut instead = overrides.get(name).into_iter().flatten();
        asked.peek().is_some()
            && asked.all(is_of_registry)
            && instead.all(|range| is_of_registry(range))
    }
}

/// Whether what is asked for is a version, a range or a tag, by whatever name: no URL, path or file
/// (npm-package-arg).
fn is_of_registry(range: &str) -> bool {
    let is_archive = [".tgz", ".tar.gz", ".tar"]
        .iter()
        .any(|end| range.to_ascii_lowercase().ends_with(end));
    range.starts_with("npm:") || !(range.contains([':', '/']) || is_archive)
}
