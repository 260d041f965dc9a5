//! Tools: the programs that commands may use, by name.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{Parsed, PathTemplate, Placeholder};

/// A program that commands find by its name, and what it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawTool", rename_all = "kebab-case")]
pub struct Tool {
    /// Where it comes from.
    #[serde(flatten)]
    pub kind: ToolKind,
    /// The version that it must say it is, or the beginning of it: `24` is also 24.19.0.
    pub version: Option<String>,
    /// The arguments with which it is asked for its version.
    pub ask: Vec<String>,
}

/// Where a tool comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum ToolKind {
    /// A command line that its name stands for.
    Exec {
        /// The program, a path or another tool, and the arguments before the caller's.
        exec: Vec<PathTemplate>,
    },
    /// A folder of programs, of which it is one.
    Path {
        /// The folder.
        path: PathTemplate,
    },
    /// A program of this machine.
    Found {
        /// Its name on the PATH of whoever builds, or its path.
        found: String,
        /// What else of this machine it needs: folders and files.
        inputs: Vec<Utf8PathBuf>,
    },
}

/// A program that commands find by its name: exactly one of `exec`, `path` and `found`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Tool")]
struct RawTool {
    /// The command line that the name stands for: a program of a source or component, or another
    /// tool, and arguments that come before the caller's.
    exec: Option<Vec<PathTemplate>>,
    /// A folder of a source or component that has the program, perhaps among others.
    path: Option<PathTemplate>,
    /// A program of this machine: its name, for a search of your PATH, or its path.
    found: Option<String>,
    /// Other folders and files of this machine that `found` needs, by their own paths.
    #[schemars(with = "Option<Vec<String>>")]
    inputs: Option<Vec<Utf8PathBuf>>,
    /// The version that the program must print, or its beginning.
    version: Option<String>,
    /// The arguments that make it print its version; `--version` by default.
    ask: Option<Vec<String>>,
}

impl TryFrom<RawTool> for Tool {
    type Error = String;

    fn try_from(raw: RawTool) -> Result<Self, Self::Error> {
        let inputs = raw.inputs.unwrap_or_default();
        let kind = match (raw.exec, raw.path, raw.found) {
            (Some(exec), None, None) if inputs.is_empty() => ToolKind::Exec { exec },
            (None, Some(path), None) if inputs.is_empty() => ToolKind::Path { path },
            (None, None, Some(found)) => ToolKind::Found { found, inputs },
            (None, None, None) | (.., Some(_)) | (Some(_), Some(_), None) => {
                return Err("a tool has exactly one of `exec`, `path` and `found`".into());
            }
            _ => {
                return Err(
                    "`inputs` of a tool are for one that is `found` on this machine".into(),
                );
            }
        };
        let tool = Self {
            kind,
            version: raw.version,
            ask: raw.ask.unwrap_or_else(|| vec!["--version".into()]),
        };
        if matches!(&tool.kind, ToolKind::Exec { exec } if exec.is_empty()) {
            return Err("a tool's `exec` is empty: name its program".into());
        }
        for template in tool.templates() {
            let is_of_outside = |hole: &Placeholder| {
                matches!(hole, Placeholder::Source(_) | Placeholder::Component(_))
            };
            if let Some(hole) = template.placeholders().find(|hole| !is_of_outside(hole)) {
                return Err(format!(
                    "{hole} has a meaning only in a component: a tool comes from a source or a component"
                ));
            }
        }
        if let ToolKind::Path { path } = &tool.kind
            && path.placeholders().next().is_none()
        {
            return Err(
                "a tool's `path` is a folder of a source or a component: {source:…} or \
                        {component:…}; one of this machine is `found`"
                    .into(),
            );
        }
        Ok(tool)
    }
}

impl JsonSchema for Tool {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawTool::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawTool::json_schema(generator)
    }
}

impl Tool {
    /// Every template in it that may hold a placeholder.
    pub fn templates(&self) -> Vec<&Parsed> {
        match &self.kind {
            ToolKind::Exec { exec } => exec.iter().map(|word| &**word).collect(),
            ToolKind::Path { path } => vec![path],
            ToolKind::Found { .. } => Vec::new(),
        }
    }

    /// The tool that it is started by, where its program is only named.
    pub fn started_by(&self) -> Option<&str> {
        let ToolKind::Exec { exec } = &self.kind else {
            return None;
        };
        let first = exec.first()?;
        let is_name = first.placeholders().next().is_none() && !first.as_written().contains('/');
        is_name.then(|| first.as_written())
    }
}
