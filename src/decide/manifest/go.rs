//! The modules of a Go program.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{Parsed, PathTemplate};

/// A module cache, from which the go command builds without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Go {
    /// The `go.sum`, with its go.mod beside it.
    pub lock: PathTemplate,
    /// The folder of the tree that becomes the cache; by default the tree itself.
    pub to: Option<String>,
    /// Proxies, each asked for what those before it lack; `off` may end them; by default those of GOPROXY.
    #[serde(default)]
    pub proxy: Vec<String>,
    /// Replacements for modules' files, which are verified first: module path = a component, or a
    /// folder of a source.
    #[serde(default)]
    pub replace: IndexMap<String, PathTemplate>,
}

impl Go {
    /// Every template in it that may hold a placeholder.
    pub fn templates(&self) -> impl Iterator<Item = &Parsed> {
        let replace = self.replace.values().map(|to| &**to);
        [&*self.lock].into_iter().chain(replace)
    }
}
