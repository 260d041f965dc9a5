//! `lockwright plan` of a package-lock.json.

use std::fmt::Write as _;
use std::process::ExitCode;

use camino::Utf8Path;

use super::node_args::NodeArgs;
use super::table::{self, columns, without_digest};
use super::{Outcome, print};
use crate::core::progress::count;
use crate::decide::plan::npm::{NpmPlan, NpmSource, PlannedNpm};

/// Runs the command.
pub fn run(lock: &Utf8Path, node: &NodeArgs, json: bool) -> Outcome {
    let plan = node.open(lock)?.plan;
    let text = match json {
        true => format!("{}\n", serde_json::to_string_pretty(&plan)?),
        false => table(&plan),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(plan: &NpmPlan) -> String {
    let rows: Vec<[String; 4]> = plan.packages.iter().map(row).collect();
    let mut text = table::shown(columns(&rows, None));
    for warning in &plan.warnings {
        let _ = writeln!(text, "note: {warning}");
    }
    let unhashed = plan
        .tarballs()
        .filter(|(_, _, artifact)| artifact.digest.is_none());
    let unhashed: Vec<String> = unhashed
        .map(|(_, package, _)| package.location.to_string())
        .collect();
    text.push_str(&without_digest(&unhashed));
    let _ = writeln!(
        text,
        "{} and {} for {}",
        count(plan.packages.len(), "package"),
        count(plan.bins.len(), "program"),
        plan.target,
    );
    text
}

fn row(package: &PlannedNpm) -> [String; 4] {
    let version = package.version.clone().unwrap_or_default();
    let (source, digest) = match &package.source {
        NpmSource::Tarball(artifact) => (
            artifact.location.to_string(),
            artifact.digest.as_ref().map(ToString::to_string),
        ),
        NpmSource::Git(git) => (format!("{}#{}", git.url, git.commit), None),
        NpmSource::Bundle(bundler) => (format!("bundled in {bundler}"), None),
        NpmSource::Link(folder) if folder.is_empty() => ("link to the project".to_owned(), None),
        NpmSource::Link(folder) => (format!("link to {folder}"), None),
        NpmSource::Folder => ("a folder of the project".to_owned(), None),
    };
    let place = package.location.to_string();
    [place, version, source, digest.unwrap_or_default()]
}
