//! `lockwright export`: what a lock names, in the words of other tools.

use std::collections::BTreeMap;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};

use super::diff_input::{Given, What};
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use super::{Outcome, outputs, print};
use crate::decide::plan::{PythonPlan, Selection};
use crate::inspect::diff::facts::LockFacts;
use crate::inspect::diff::{npm, python};
use crate::inspect::sbom::{Graph, cyclonedx};
use crate::install::python::wheel_license;
use crate::obtain::store::Store;

/// Say what a lock names in the words of other tools
#[derive(Debug, Args)]
pub struct ExportCommand {
    #[command(subcommand)]
    what: Export,
}

#[derive(Debug, Subcommand)]
enum Export {
    Sbom(SbomArgs),
}

/// Print a bill of materials: CycloneDX 1.6 JSON, with digests, licences and dependencies
///
/// Of the whole lock, or of what a selection or a target chooses of it. Licences are those that the
/// lock says (npm) or that the wheels in the store do. The same lock gives the same bytes.
#[derive(Debug, Args)]
struct SbomArgs {
    /// A lock, a folder that has one, or a git revision's as REV:path
    #[arg(default_value = ".")]
    lock: String,
    /// Write it to a file
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// Runs the command.
pub fn run(command: &ExportCommand) -> Outcome {
    let Export::Sbom(args) = &command.what;
    let Given::Lock(given) = Given::open(&args.lock, false)? else {
        return Err(format!("{} has no lock", args.lock).into());
    };
    let (facts, graph) = match &given.what {
        What::Python(lock, settings) => {
            let selection = args.selection.selection();
            if args.target.is_given() || selection != Selection::default() {
                let cache = Store::default_root()
                    .ok()
                    .map(|root| root.join("interpreters"));
                let chosen = args.target.choose(lock, cache.as_deref())?;
                let plan = PythonPlan::new(lock, &chosen.target, &selection, settings)?;
                let graph = Graph::python(lock, Some(&chosen.target.markers));
                (python::of_plan(lock, &plan, &given.label), graph)
            } else {
                (
                    python::of_lock(lock, &given.label),
                    Graph::python(lock, None),
                )
            }
        }
        What::Npm(lock) => {
            let facts = match args.node.is_given() {
                true => npm::of_target(lock, &args.node.target(), &args.node.omit(), &given.label)?,
                false => npm::of_lock(lock, &given.label),
            };
            (facts, Graph::npm(lock))
        }
    };
    // Without a store no licences are known.
    let store = Store::default_root().ok().filter(|root| root.is_dir());
    let store = store.and_then(|root| Store::open(&root).ok());
    let text = bill(&facts, &graph, store.as_ref())?;
    match &args.out {
        None => print(&text)?,
        Some(out) => {
            outputs::write_report(out, &outputs::files([&args.lock]), |to| {
                to.write_all(text.as_bytes())
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bill of facts, as it is written.
///
/// # Errors
/// None that can be thought of.
pub(super) fn bill(
    facts: &LockFacts,
    graph: &Graph,
    store: Option<&Store>,
) -> Result<String, serde_json::Error> {
    let licenses = store.map(|store| licenses(facts, store));
    let bill = cyclonedx(facts, graph, &licenses.unwrap_or_default());
    Ok(format!("{}\n", serde_json::to_string_pretty(&bill)?))
}

/// The licences that wheels in a store state.
fn licenses(facts: &LockFacts, store: &Store) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    for (name, package) in facts.each() {
        let mut blobs = package.files.iter().filter_map(|file| {
            let blob = store.get(file.digest.as_ref()?)?;
            Some((file.name.as_str(), blob.map().ok()?))
        });
        let license = blobs.find_map(|(name, bytes)| wheel_license(name, &bytes));
        if let Some(license) = license {
            let version = package.version.clone().unwrap_or_default();
            all.insert((name.to_owned(), version), license);
        }
    }
    all
}
