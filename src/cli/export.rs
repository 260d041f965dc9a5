//! `lockwright export`: what a lock names, in the words of other tools.

use std::collections::BTreeMap;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Args, Subcommand, ValueEnum};

use super::diff_input::{Given, What};
use super::export_lock::LockArgs;
use super::export_nix::NixArgs;
use super::lock_targets::{LockTargetArgs, Targets, whole};
use super::network_args::{NetworkArgs, StoreArgs};
use super::{Failure, Outcome, outputs};
use crate::inspect::diff::facts::LockFacts;
use crate::inspect::sbom::{Bill, Graph, cyclonedx, spdx};
use crate::install::python::wheel_license;
use crate::obtain::store::Store;

/// Export a lock for other tools: SBOM, Nix, pylock.toml, requirements.txt
#[derive(Debug, Args)]
pub struct ExportCommand {
    #[command(subcommand)]
    what: Export,
}

#[derive(Debug, Subcommand)]
enum Export {
    Nix(NixArgs),
    /// Print a pylock.toml (PEP 751), which installs what the lock does, on every target
    ///
    /// For the chosen extras and groups, like `uv export --format pylock.toml`: markers say which
    /// package is needed where.
    Pylock(LockArgs),
    /// Print a requirements.txt with digests, for `pip install --require-hashes -r requirements.txt`
    ///
    /// For the chosen extras and groups. Folders and commits have no digest, and pip refuses
    /// them with --require-hashes: leave them out with --no-install-local and --no-install-package.
    Requirements(LockArgs),
    Sbom(SbomArgs),
}

impl ExportCommand {
    /// Where it takes artifacts from, where it takes any.
    pub(super) fn network(&self) -> Option<&NetworkArgs> {
        match &self.what {
            Export::Nix(args) => Some(&args.network),
            _ => None,
        }
    }
}

/// Print a bill of materials, with digests, licences and dependencies
///
/// It covers what is chosen for one target: for a uv.lock the lowest Python that it allows, on
/// this machine's kind of Linux, or --target; for an npm lock this machine. With --all it covers the
/// whole lock, with every platform's files. Licences come from the lock (npm) or from wheels in the
/// store. The same lock gives the same bytes.
#[derive(Debug, Args)]
struct SbomArgs {
    /// A lock, a folder that has one, or REV:path for one of a git revision
    #[arg(default_value = ".")]
    lock: String,
    /// The format
    #[arg(long, value_enum, default_value_t = Form::Cyclonedx)]
    format: Form,
    /// Everything that the lock names, for all platforms
    #[arg(long, conflicts_with = "target")]
    all: bool,
    /// Write it to a file
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    target: LockTargetArgs,
    #[command(flatten)]
    store: StoreArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// CycloneDX 1.6, as JSON
    Cyclonedx,
    /// SPDX 2.3, as JSON
    Spdx,
}

/// Runs the command.
pub fn run(command: &ExportCommand) -> Outcome {
    match &command.what {
        Export::Nix(args) => super::export_nix::run(args),
        Export::Pylock(args) => super::export_lock::pylock(args),
        Export::Requirements(args) => super::export_lock::requirements(args),
        Export::Sbom(args) => sbom(args),
    }
}

fn sbom(args: &SbomArgs) -> Outcome {
    let Given::Lock(given) = Given::open(&args.lock, false)? else {
        return Err(format!("{} has no lock", args.lock).into());
    };
    let target = match args.target.meant(&given, !args.all)? {
        Targets::All => None,
        Targets::These(mut targets) if targets.len() == 1 => targets.pop(),
        Targets::These(_) => return Err("a bill is for one target: name one".into()),
    };
    let facts = match &target {
        None => whole(&given),
        Some(target) => target.facts(&given)?,
    };
    let graph = match &given.what {
        What::Python(lock, _) => {
            let python = target
                .as_ref()
                .map(|target| target.python(lock))
                .transpose()?;
            Graph::python(lock, python.flatten().map(|python| python.markers).as_ref())
        }
        What::Npm(lock) => Graph::npm(lock),
        What::Other(..) => Graph::default(),
    };
    let known = licenses(&facts, args.store.known()?.as_ref());
    let label = target.as_ref().map(|target| target.label.as_str());
    let bill = Bill::new(&facts, &graph, &known, label);
    let bill = match args.format {
        Form::Cyclonedx => cyclonedx::render(&bill),
        Form::Spdx => spdx::render(&bill, &moment()?),
    };
    let text = written(&bill)?;
    outputs::report(args.out.as_ref(), &outputs::files([&args.lock]), &text)?;
    Ok(ExitCode::SUCCESS)
}

/// When it was made, as SPDX asks for: what `SOURCE_DATE_EPOCH` says, or else the beginning of 1970, as
/// the clock must not get into it (<https://reproducible-builds.org/specs/source-date-epoch/>).
fn moment() -> Result<String, Failure> {
    let said = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_else(|_| "0".to_owned());
    let moment = said.parse().ok();
    let moment = moment.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    let moment = moment.ok_or_else(|| {
        format!("SOURCE_DATE_EPOCH is `{said}`, which is not a number of seconds since 1970")
    })?;
    Ok(moment.to_string())
}

fn written(bill: &serde_json::Value) -> serde_json::Result<String> {
    Ok(format!("{}\n", serde_json::to_string_pretty(bill)?))
}

/// The bill of facts, as CycloneDX has it.
///
/// # Errors
/// None that can be thought of.
pub(super) fn bill(
    facts: &LockFacts,
    graph: &Graph,
    store: Option<&Store>,
) -> serde_json::Result<String> {
    let known = licenses(facts, store);
    written(&cyclonedx::render(&Bill::new(facts, graph, &known, None)))
}

/// The licences that wheels in a store state; without one nothing is known.
pub(super) fn licenses(
    facts: &LockFacts,
    store: Option<&Store>,
) -> BTreeMap<(String, String), String> {
    let mut all = BTreeMap::new();
    let Some(store) = store else { return all };
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
