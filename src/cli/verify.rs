//! `lockwright verify`: a tree checked against its records and a lock.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use super::diff_input::{Given, What};
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use super::{Failure, Outcome, print};
use crate::core::walk::{Node, walk};
use crate::decide::plan::PythonPlan;
use crate::decide::plan::npm::NpmPlan;
use crate::files::tree::Provenance;
use crate::inspect::verify::{self, mismatch};

/// Check a tree by its provenance record, its RECORDs and, with --lock, a lock
///
/// For a project, this checks its .venv and its node_modules, also those of its workspaces. Exit
/// code 1 if something is not as it should be.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// An environment, a node_modules or a project with one, or anything lockwright made
    tree: Utf8PathBuf,
    /// Also list packages that are not this lock's; the flags below select from it, as for sync
    #[arg(long, value_name = "LOCK")]
    lock: Option<String>,
    /// Show everything
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
    let root = super::absolute(&args.tree)?;
    let lock = match &args.lock {
        None => None,
        Some(lock) => match Given::open(lock, false)? {
            Given::Lock(given) => Some(given.what),
            Given::Tree(_) => return Err(format!("{lock} has no lock").into()),
        },
    };
    let mut report = verify::Report::default();
    for inside in trees(&root) {
        let at = root.join(&inside);
        let tree = walk(at.as_std_path())?;
        let provenance = Provenance::of_tree(&at)?;
        let mut found = verify::verify(at.as_std_path(), &tree, provenance.as_ref())?;
        // Of a project, each lock speaks of its own trees.
        let is_modules = at.file_name() == Some("node_modules");
        let is_its = |lock: &&What| matches!(lock, What::Npm(_)) == is_modules;
        if let Some(lock) = lock.as_ref().filter(|lock| inside == "" || is_its(lock)) {
            found.mismatches = mismatches_from(args, lock, at.as_std_path(), &tree)?;
        }
        report.absorb(inside.as_std_path(), found);
    }
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        verify::report::render(&report, args.tree.as_str(), args.detail)
    };
    print(&text)?;
    Ok(ExitCode::from(u8::from(!report.is_fine())))
}

/// What is looked at, relative to what was named: of a project its environments, of anything else all
/// that is in it.
fn trees(root: &Utf8Path) -> Vec<Utf8PathBuf> {
    let whole = vec![Utf8PathBuf::new()];
    let is_packages = |folder: &Utf8Path| folder.join("site-packages").is_dir();
    let lib = root
        .join("lib")
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .flatten();
    let is_tree = Provenance::place(root).is_some()
        || root.join("pyvenv.cfg").is_file()
        || root.file_name() == Some("node_modules")
        || lib.into_iter().any(|entry| is_packages(entry.path()));
    if is_tree {
        return whole;
    }
    let mut inside = Vec::new();
    if root.join(".venv/pyvenv.cfg").is_file() {
        inside.push(".venv".into());
    }
    let modules = mismatch::modules_of(root.as_std_path()).into_iter();
    let modules = modules.filter_map(|path| Utf8PathBuf::try_from(path).ok());
    inside.extend(modules.filter(|path| root.join(path).is_dir()));
    match inside.is_empty() {
        true => whole,
        false => inside,
    }
}

fn mismatches_from(
    args: &VerifyArgs,
    lock: &What,
    root: &Path,
    tree: &Node,
) -> Result<Vec<mismatch::Mismatch>, Failure> {
    match lock {
        What::Other(..) => {
            Err("a tree is compared with a uv.lock, a pylock.toml or a package-lock.json".into())
        }
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
            let mut found = mismatch::python_packages(tree);
            for (name, version) in &locked {
                // A source tree's version is known only once it is built; and 1.0 is 1.0.0.
                if let Some(there) = found.get_mut(name)
                    && (version.is_empty() || is_same(version, there))
                {
                    there.clone_from(version);
                }
            }
            Ok(mismatch::between(&locked, &found))
        }
        What::Npm(lock) => {
            let places = NpmPlan::places(lock, &args.node.target(), &args.node.omit())?;
            let found = mismatch::npm_packages(root, tree);
            let prefix = mismatch::prefix_of(root);
            let locked: BTreeMap<String, String> = (places.into_iter())
                .filter_map(|place| {
                    let entry = lock
                        .entries
                        .get(place)
                        .filter(|entry| entry.link.is_none())?;
                    let inside = place.starts_with(&*prefix) && place.contains("node_modules/");
                    inside.then(|| {
                        (
                            place.to_owned(),
                            entry.about.version.clone().unwrap_or_default(),
                        )
                    })
                })
                .collect();
            // Packages inside of packages that bring a package.json of their own are no mismatch.
            let found = (found.into_iter())
                .filter(|(place, _)| {
                    locked.contains_key(place) || place.matches("node_modules/").count() == 1
                })
                .collect();
            Ok(mismatch::between(&locked, &found))
        }
    }
}

fn is_same(one: &str, other: &str) -> bool {
    let parse = |text: &str| text.parse::<pep440_rs::Version>().ok();
    parse(one).is_some() && parse(one) == parse(other)
}
