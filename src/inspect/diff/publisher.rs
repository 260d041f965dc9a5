//! Who published a package, as its index says: the workflow of a repository, or an account.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

/// Who published a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Publisher {
    /// Where the workflow ran: `GitHub`, `GitLab`, `Google`, or another name or host.
    pub kind: String,
    /// The repository as `owner/name`, or the account.
    pub repository: String,
    /// The workflow's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The environment that the workflow ran in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// What was built, where that is said: `refs/tags/v1.0.0`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl Publisher {
    /// Whether both are of one repository or account, whichever workflow it was. Code hosts take
    /// names in any case.
    pub fn is_of_same(&self, other: &Self) -> bool {
        self.kind.eq_ignore_ascii_case(&other.kind)
            && self.repository.eq_ignore_ascii_case(&other.repository)
    }

    /// Whether the workflow and its environment are the same too.
    pub fn is_same_workflow(&self, other: &Self) -> bool {
        let file = |one: &Self| {
            let path = one.workflow.clone().unwrap_or_default();
            path.rsplit('/').next().unwrap_or_default().to_owned()
        };
        file(self) == file(other) && self.environment == other.environment
    }

    /// The repository's page on a code host that is known.
    pub fn page(&self) -> Option<String> {
        let host = match self.kind.as_str() {
            "GitHub" => "github.com",
            "GitLab" => "gitlab.com",
            _ => return None,
        };
        Some(format!("https://{host}/{}", self.repository))
    }
}

impl fmt::Display for Publisher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.kind, self.repository)?;
        if let Some(workflow) = &self.workflow {
            write!(out, ", {workflow}")?;
        }
        if let Some(environment) = &self.environment {
            write!(out, " in {environment}")?;
        }
        Ok(())
    }
}
