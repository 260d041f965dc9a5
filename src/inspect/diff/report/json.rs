//! The change model as JSON, and the schema that it follows.

use schemars::schema_for;
use serde::Serialize;

use crate::inspect::diff::model::LockDiff;
use crate::inspect::diff::tree::TreeDiff;

/// The report.
///
/// # Errors
/// Never, in fact: the model has nothing that JSON has not.
pub fn render(report: &impl Serialize) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(report)?))
}

/// The schema of what [`render`] writes of two trees.
///
/// # Errors
/// As there.
pub fn tree_schema() -> serde_json::Result<String> {
    render(&schema_for!(TreeDiff))
}

/// The schema of what [`render`] writes of two locks.
///
/// # Errors
/// As there.
pub fn schema() -> serde_json::Result<String> {
    render(&schema_for!(LockDiff))
}
