//! `lockwright verify`: a tree against what says what it should hold.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::diff_input::{Given, What};
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use super::{Failure, Outcome, print};
use crate::core::walk::{Node, walk};
use crate::decide::plan::PythonPlan;
use crate::decide::plan::npm::NpmPlan;
use crate::files::tree::Provenance;
use crate::inspect::verify::{self, drift};

/// Hold a tree against its provenance record, its RECORDs and, if wanted, a lock
///
/// Exit code 0 when everything is as it should be, 1 when something is not.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// An environment, a node_modules or a project with one, or anything lockwright made
    tree: Utf8PathBuf,
    /// Also say which packages are not those that this lock names; the flags below choose of it, as
    /// for sync
    #[arg(long, value_name = "LOCK")]
    lock: Option<String>,
    /// Leave nothing out
    #[arg(long)]
    detail: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
}

/// Runs the command.
pub fn run(args: &VerifyArgs) -> Outcome {
    let root = camino::absolute_utf8(&args.tree)?;
    let tree = walk(root.as_std_path())?;
    let provenance = Provenance::of_tree(&root)?;
    let mut report = verify::verify(root.as_std_path(), &tree, provenance.as_ref())?;
    if let Some(lock) = &args.lock {
        report.drift = drift_from(args, lock, root.as_std_path(), &tree)?;
    }
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        verify::report::render(&report, args.tree.as_str(), args.detail)
    };
    print(&text)?;
    Ok(ExitCode::from(u8::from(!report.is_fine())))
}

fn drift_from(
    args: &VerifyArgs,
    lock: &str,
    root: &Path,
    tree: &Node,
) -> Result<Vec<drift::Drift>, Failure> {
    let Given::Lock(given) = Given::open(lock, false)? else {
        return Err(format!("{lock} has no lock").into());
    };
    match &given.what {
        What::Python(lock, settings) => {
            let cache = crate::obtain::store::Store::default_root().ok();
            let cache = cache.map(|root| root.join("interpreters"));
            let chosen = args.target.choose(lock, cache.as_deref())?;
            let plan =
                PythonPlan::new(lock, &chosen.target, &args.selection.selection(), settings)?;
            let locked: BTreeMap<String, String> = (plan.packages.iter())
                .map(|package| {
                    let version = package.version.as_ref().map(ToString::to_string);
                    (package.name.to_string(), version.unwrap_or_default())
                })
                .collect();
            let mut found = drift::python_packages(tree);
            for (name, version) in &locked {
                // A source tree's version is known only once it is built; and 1.0 is 1.0.0.
                if let Some(there) = found.get_mut(name)
                    && (version.is_empty() || is_same(version, there))
                {
                    there.clone_from(version);
                }
            }
            Ok(drift::between(&locked, &found))
        }
        What::Npm(lock) => {
            let places = NpmPlan::places(lock, &args.node.target(), &args.node.omit())?;
            let found = drift::npm_packages(root, tree);
            let locked: BTreeMap<String, String> = (places.into_iter())
                .filter_map(|place| {
                    let entry = lock
                        .entries
                        .get(place)
                        .filter(|entry| entry.link.is_none())?;
                    let inside = place.starts_with("node_modules/");
                    inside.then(|| {
                        (
                            place.to_owned(),
                            entry.about.version.clone().unwrap_or_default(),
                        )
                    })
                })
                .collect();
            // Packages inside of packages that bring a package.json of their own are no drift.
            let found = (found.into_iter())
                .filter(|(place, _)| {
                    locked.contains_key(place) || place.matches("node_modules/").count() == 1
                })
                .collect();
            Ok(drift::between(&locked, &found))
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let parse = |text: &str| text.parse::<pep440_rs::Version>().ok();
    parse(one).is_some() && parse(one) == parse(other)
}
