//! `lockwright audit`: whether a lock is honest.

use std::collections::BTreeMap;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::{Args, ValueEnum};
use serde_json::Value;

use super::diff_input::{Given, Lock, What};
use super::lock_targets::{LockTargetArgs, Targets, whole};
use super::network_args::NetworkArgs;
use super::review_args::ReviewArgs;
use super::{Failure, Outcome, export, outputs, print};
use crate::core::progress::Progress;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::pyproject::Pyproject;
use crate::inspect::audit::{self, Ask, Audit, Summary, VERSION, report};
use crate::inspect::diff::model::{FindingKind, Severity};
use crate::inspect::diff::report::{json, sarif};

/// Compare a lock with what its indexes say today: digests, sizes, times, hosts, publishers
///
/// Each file that the lock names is looked up on its index (the simple API's JSON of PEP 691, or a
/// registry's packument), through mirrors and with logins as for sync; nothing is downloaded. It also
/// reports yanked and deprecated packages, whether the lock fits the pyproject.toml or package.json
/// beside it and, with --osv, known vulnerabilities. The exit code is 1 when there is an alarm, or
/// what --fail-on names.
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// A lock, a folder that has one, or REV:path for one of a git revision
    #[arg(default_value = ".")]
    lock: String,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// As --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Leave nothing out of the text: notes, whole digests, every publisher
    #[arg(long)]
    detail: bool,
    /// Write the report to a file
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// Exit with 1 when there is an alarm; a warning or an alarm; never
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = FailOn::Alarm)]
    fail_on: FailOn,
    /// Print the schema of --format json
    #[arg(long)]
    schema: bool,
    #[command(flatten)]
    review: ReviewArgs,
    #[command(flatten)]
    target: LockTargetArgs,
    #[command(flatten)]
    network: NetworkArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// For a pull request's comment
    Markdown,
    /// For machines
    Json,
    /// For code hosts: SARIF 2.1.0
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// What no honest lock has
    Alarm,
    /// What deserves a look
    Warning,
    /// Nothing
    Never,
}

/// Runs the command.
pub fn run(args: &AuditArgs) -> Outcome {
    if args.schema {
        print(&json::render(&schemars::schema_for!(Audit))?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let Given::Lock(lock) = Given::open(&args.lock, false)? else {
        return Err(format!("{} has no lock", args.lock).into());
    };
    let audit = audit(args, &lock)?;
    let report = match args.format {
        _ if args.json => json::render(&audit)?,
        Format::Text => report::text(&audit, args.detail),
        Format::Markdown => report::markdown(&audit),
        Format::Json => json::render(&audit)?,
        Format::Sarif => json::render(&sarif::render(&audit.findings, &lock.label, &lock.lines()))?,
    };
    outputs::report(args.out.as_ref(), &outputs::files([&args.lock]), &report)?;
    let fails = match args.fail_on {
        FailOn::Alarm => audit.summary.alarms > 0,
        FailOn::Warning => audit.summary.alarms + audit.summary.warnings > 0,
        FailOn::Never => false,
    };
    Ok(ExitCode::from(u8::from(fails)))
}

fn audit(args: &AuditArgs, lock: &Lock) -> Result<Audit, Failure> {
    let target = match args.target.meant(lock, false)? {
        Targets::All => None,
        Targets::These(mut targets) if targets.len() == 1 => targets.pop(),
        Targets::These(_) => return Err("an audit is for one target: name one".into()),
    };
    let mut facts = match &target {
        None => whole(lock),
        Some(target) => target.facts(lock)?,
    };
    let policy = args.review.policy(lock)?;
    let with = (&args.target, &args.network);
    let options = args.review.locate(lock, &mut facts, with)?;
    let library = args.review.library(&options);
    let progress = Progress::items("Asking", 0);
    let ask = Ask {
        times: policy.has_ages(),
        bump: None,
    };
    let (mut found, summary, identities) = audit::audit(&mut facts, &library, ask, &progress)?;
    let ecosystem = facts.ecosystem;
    let known = args
        .review
        .advisories(ecosystem, &[&facts], &library, &progress)?;
    progress.done();
    for says in differences(lock)? {
        found.say("", Severity::Alarm, FindingKind::Unfit, &says, (None, None));
    }
    policy.ages(&facts, &mut found, |_, _| true);
    if policy.has_licenses() {
        let stated = export::licenses(&facts, args.network.known_store()?.as_ref());
        policy.licenses(&facts, &stated, &mut found, |_, _| true);
    }
    let advisories =
        known.map_or_else(Vec::new, |known| known.of_lock(&facts, &policy, &mut found));
    let findings = found.into_findings();
    let count = |severity| {
        findings
            .iter()
            .filter(|one| one.severity == severity)
            .count()
    };
    Ok(Audit {
        version: VERSION,
        ecosystem,
        lock: lock.label.clone(),
        target: target.map(|target| target.label),
        summary: Summary {
            alarms: count(Severity::Alarm),
            warnings: count(Severity::Warning),
            notes: count(Severity::Note),
            ..summary
        },
        findings,
        advisories,
        identities,
    })
}

/// Where the lock does not fit what the project asks for, a sentence each.
fn differences(lock: &Lock) -> Result<Vec<String>, Failure> {
    let name = match &lock.what {
        What::Python(..) => "pyproject.toml",
        What::Npm(_) => "package.json",
        What::Other(..) => return Ok(Vec::new()),
    };
    let Some((text, file)) = lock.beside(name)? else {
        return Ok(Vec::new());
    };
    Ok(match &lock.what {
        What::Python(uv, _) => uv.differences(&Pyproject::parse(&text, &file)?),
        What::Npm(npm) => of_package_json(npm, &text, &file)?,
        What::Other(..) => Vec::new(),
    })
}

fn of_package_json(
    lock: &NpmLock,
    text: &str,
    file: &camino::Utf8Path,
) -> Result<Vec<String>, Failure> {
    let text = text.trim_start_matches('\u{feff}');
    let about: Value = serde_json::from_str(text).map_err(|error| format!("{file}: {error}"))?;
    let kinds = [
        ("dependencies", &lock.root.dependencies),
        ("devDependencies", &lock.root.dev),
        ("optionalDependencies", &lock.root.optional),
        ("peerDependencies", &lock.root.peer),
    ];
    let mut all = Vec::new();
    let optional = about.get("optionalDependencies").and_then(Value::as_object);
    for (kind, locked) in kinds {
        let stated: BTreeMap<&str, &str> = about
            .get(kind)
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter_map(|(name, range)| Some((name.as_str(), range.as_str()?)))
            .collect();
        // What is optional stands among the others too, in one of the two or in both.
        let counts = |name: &str| {
            let is_optional = lock.root.optional.contains_key(name)
                || optional.is_some_and(|all| all.contains_key(name));
            kind != "dependencies" || !is_optional
        };
        for (name, range) in &stated {
            match locked.get(*name).map(String::as_str) {
                _ if !counts(name) => {}
                None => all.push(format!(
                    "the project requires {name} {range} ({kind}), and the lock does not know of it"
                )),
                Some(own) if own != *range => all.push(format!(
                    "the project requires {name} {range} ({kind}), and the lock was made for {own}"
                )),
                Some(_) => {}
            }
        }
        for name in locked.keys() {
            if counts(name) && !stated.contains_key(name.as_str()) {
                all.push(format!(
                    "the lock was made with {name} ({kind}), which the project does not require"
                ));
            }
        }
    }
    Ok(all)
}
