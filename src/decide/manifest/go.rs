//! The modules of a Go program.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::template::{Parsed, PathTemplate};

/// A module cache, from which the go command builds without a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Go {
    /// The `go.sum`, with its go.mod beside it.
    pub lock: PathTemplate,
    /// The folder of the tree that is the cache; the tree itself where it is not said.
    pub to: Option<String>,
    /// Proxies: each that follows is asked for what those before it do not have. As GOPROXY says where it
    /// is not said.
    #[serde(default)]
    pub proxy: Vec<Url>,
    /// What takes the place of a module's files, once these were verified: the module's path = a component,
    /// or a folder of a source.
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
