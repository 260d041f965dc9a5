//! `lockwright plan`: what would be placed, from where, how big, and why this file.

use std::fmt::Write as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::node_args::NodeArgs;
use super::python_args::{ElsewhereArgs, SelectionArgs, TargetArgs};
use super::table::{self, columns, without_digest};
use super::{Outcome, print};
use crate::core::digest::Digest;
use crate::core::foreign::{self, shown};
use crate::core::progress::count;
use crate::decide::plan::{Install, PlannedPackage, PythonPlan};
use crate::files::archive::Limits;
use crate::files::archive::zip::Zip;
use crate::install::python::is_run_at_start;
use crate::obtain::store::Store;

/// Say what `sync` would place: each package's version, size, who asks for it, file and digest
///
/// A terminal shows what fits of each row; a file, a pipe and --json get all of it.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A project's folder, or its lock
    #[arg(default_value = ".")]
    path: Utf8PathBuf,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
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
pub fn run(args: &PlanArgs) -> Outcome {
    let path = args.elsewhere.path(&args.path);
    if let Some(lock) = super::find_npm_lock(path)? {
        return super::plan_node::run(&lock, &args.node, args.json);
    }
    args.node.refuse(path)?;
    let project = args.selection.open(path)?;
    let cache = Store::default_root()
        .map(|root| root.join("interpreters"))
        .ok();
    let chosen = args.target.choose(&project.lock, cache.as_deref())?;
    let plan = PythonPlan::new(
        &project.lock,
        &chosen.target,
        &project.selection,
        &project.settings,
    )?;
    let text = if args.json {
        format!("{}\n", serde_json::to_string_pretty(&plan)?)
    } else {
        let artifacts = plan.artifacts();
        let unhashed = artifacts.filter(|(_, artifact)| artifact.digest.is_none());
        let unhashed: Vec<String> = unhashed.map(|(name, _)| name.to_string()).collect();
        table(&plan) + &without_digest(&unhashed) + &at_start(&plan)
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn table(plan: &PythonPlan) -> String {
    let rows: Vec<[String; 6]> = plan.packages.iter().map(row).collect();
    let mut text = table::shown(columns(&rows, Some(2)));
    let bytes: u64 = plan
        .artifacts()
        .filter_map(|(_, artifact)| artifact.size)
        .sum();
    let built = plan
        .packages
        .iter()
        .filter(|p| !matches!(p.install, Install::Wheel { .. }))
        .count();
    // Of files beside the lock it does not say how large they are.
    let size = match bytes {
        0 => String::new(),
        bytes => format!("; {} in all", crate::core::progress::bytes(bytes)),
    };
    let _ = writeln!(
        text,
        "{} for {}: {}, {built} built{size}",
        count(plan.packages.len(), "package"),
        plan.target,
        count(plan.packages.len() - built, "wheel"),
    );
    text
}

/// Which packages bring code that Python runs whenever it starts, asked for or not: of those whose contents the
/// store knows, since a lock says nothing of them.
fn at_start(plan: &PythonPlan) -> String {
    let root = match std::env::var("LOCKWRIGHT_STORE") {
        Ok(root) if !root.is_empty() => Some(Utf8PathBuf::from(root)),
        _ => Store::default_root().ok(),
    };
    // Nothing is made for a plan.
    let store = root.filter(|root| root.join("v1").is_dir());
    let Some(store) = store.and_then(|root| Store::open(&root).ok()) else {
        return String::new();
    };
    let mut text = String::new();
    for (name, artifact) in plan.artifacts() {
        let Some(digest) = &artifact.digest else {
            continue;
        };
        let found = members(&store, digest, &artifact.file_name).unwrap_or_default();
        let found: Vec<String> = found
            .iter()
            .filter(|path| is_run_at_start(path))
            .map(|path| shown(path))
            .collect();
        if !found.is_empty() {
            let files = found.join(", ");
            let _ = writeln!(text, "Python runs {files} of {name} whenever it starts");
        }
    }
    text
}

/// What is in a wheel that the store has, as its index says, or the wheel itself where that was not placed yet.
fn members(store: &Store, digest: &Digest, file_name: &str) -> Option<Vec<String>> {
    if let Some(known) = store.index(digest, crate::install::python::FORM) {
        let members = known.members().iter();
        return Some(members.map(|member| member.path.clone()).collect());
    }
    let blob = store.get(digest)?;
    let bytes = foreign::map(&foreign::open(&blob.path).ok()?, u64::MAX).ok()?;
    let zip = Zip::new(&bytes, file_name, &Limits::default()).ok()?;
    let members = zip.members().iter().filter(|member| !member.is_folder);
    Some(members.map(|member| member.path.to_string()).collect())
}

fn row(package: &PlannedPackage) -> [String; 6] {
    let (file, size, digest) = match &package.install {
        Install::Wheel { artifact } | Install::Sdist { artifact, .. } => (
            artifact.file_name.clone(),
            artifact
                .size
                .map(crate::core::progress::bytes)
                .unwrap_or_default(),
            artifact
                .digest
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
        ),
        Install::Git { source } => (
            format!("{}#{}", source.url, source.commit),
            String::new(),
            String::new(),
        ),
        Install::Directory { path, .. } => (path.to_string(), String::new(), String::new()),
    };
    let version = package
        .version
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let why = format!("{}; {}", package.required_by.join(" → "), package.reason);
    [package.name.to_string(), version, size, why, file, digest]
}
