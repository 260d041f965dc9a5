//! `lockwright diff`: what a bump changed.

use std::collections::HashSet;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};

use super::diff_contents::{self, How, Side};
use super::diff_index;
use super::diff_input::{Given, Lock};
use super::lock_targets::{LockTargetArgs, NODE_GLIBC, Targets, whole};
use super::network_args::NetworkArgs;
use super::review_args::ReviewArgs;
use super::{Failure, Outcome, export, outputs, print};
use crate::core::progress::{Progress, count};
use crate::inspect::diff::compare::compare;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, Package};
use crate::inspect::diff::found::Found;
use crate::inspect::diff::model::{ChangeKind, LockDiff, Severity};
use crate::inspect::diff::report::{clean, html, json, markdown, sarif, text};
use crate::inspect::diff::{targets, tree};
use crate::inspect::osv::Advisories;
use crate::inspect::policy::Policy;

/// Review a lock bump: what changed, and what should not have changed
///
/// Two folders without a lock are compared as trees: which package's files differ, and why. Exit
/// code 0, whatever changed between locks, unless --fail-on says otherwise; 1 when trees differ.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The old lock and the new one: each a file, a folder that has one, or REV:path for one of
    /// a git revision
    #[arg(value_name = "OLD NEW", required_unless_present = "schema", num_args = 1..=9)]
    pub(super) locks: Vec<String>,
    /// The format of the report
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// As --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Leave nothing out of the text: files, tags, notes, every package
    #[arg(long)]
    detail: bool,
    /// Write the report to a file
    #[arg(long, short, value_name = "FILE")]
    pub(super) out: Option<Utf8PathBuf>,
    /// Exit with 1 when there is an alarm; a warning or an alarm; any change
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// Fetch the changed packages and look into them: files, modules, entry points, compiled code,
    /// install hooks, METADATA. Of a uv.lock, those of one target; by default the lowest Python that
    /// it allows, on this machine's kind of Linux
    #[arg(long)]
    contents: bool,
    /// Check what changed with the indexes, as audit does: whether it is what they have, who published
    /// it, and whether somebody else published the version before
    #[arg(long)]
    index: bool,
    /// Compare two trees, even where they hold locks
    #[arg(long)]
    tree: bool,
    /// Print the schema of --format json: of two locks, or with --tree of two trees
    #[arg(long, conflicts_with = "locks")]
    schema: bool,
    /// Print one lock as text, one line per package: for git config diff.lockwright.textconv
    #[arg(long, conflicts_with_all = ["format", "json", "fail_on", "git"])]
    textconv: bool,
    /// Print a comment for a pull request: what changed in each lock, here and below, since the revision
    /// OLD, within a comment's size limit, with a mark by which the next run finds it
    #[arg(long, conflicts_with_all = ["format", "json", "detail", "git", "textconv", "tree"])]
    pub(super) comment: bool,
    /// Take the arguments that git gives: for git config diff.lockwright.command
    #[arg(long)]
    git: bool,
    #[command(flatten)]
    review: ReviewArgs,
    #[command(flatten)]
    target: LockTargetArgs,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Text,
    /// For a pull request's comment
    Markdown,
    /// For machines
    Json,
    /// One page for a browser, which needs nothing else
    Html,
    /// The findings for code hosts: SARIF 2.1.0
    Sarif,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// What no honest bump does
    Alarm,
    /// What deserves a look
    Warning,
    /// Any change
    Change,
}

/// Runs the command.
pub fn run(args: &DiffArgs) -> Outcome {
    if args.schema {
        print(&if args.tree {
            json::tree_schema()?
        } else {
            json::schema()?
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let (old, new) = match &args.locks[..] {
        [lock] if args.textconv => return textconv(lock),
        // git: path, old file, its hash and mode, new file, its hash and mode; of a rename more.
        [path, old, _, _, new, _, _, ..] if args.git => {
            let Some(both) = of_git(path, old, new)? else {
                return Ok(ExitCode::SUCCESS);
            };
            // git shows several files one after another, and says nothing itself.
            if args.out.is_none() && args.format == Format::Text && !args.json {
                print(&format!("{}\n\n", clean(path)))?;
            }
            both
        }
        [old, new] if !args.textconv && !args.git => {
            let open = |side: &str| Given::open(side, args.tree);
            let (old, new) = rayon::join(|| open(old), || open(new));
            match (old?, new?) {
                (Given::Lock(old), Given::Lock(new)) => (old, new),
                (Given::Tree(old), Given::Tree(new)) => return trees(args, &old, &new),
                (Given::Tree(path), _) | (_, Given::Tree(path)) => {
                    return Err(format!(
                        "{path} has no lock, and the other side has: give two locks, or two trees \
                         with --tree"
                    )
                    .into());
                }
            }
        }
        _ if args.textconv => return Ok(usage("--textconv takes one lock")),
        _ if args.git => {
            return Ok(usage(
                "--git takes the arguments that git gives: let git run it",
            ));
        }
        _ => return Ok(usage("give an old lock and a new one")),
    };
    let diff = compare_locks(args, &old, &new)?;
    let report = match args.format {
        _ if args.json => json::render(&diff)?,
        Format::Text => text::render(&diff, args.detail),
        Format::Markdown => markdown::render(&diff),
        Format::Json => json::render(&diff)?,
        Format::Html => html::render(&diff),
        Format::Sarif => {
            let file = path_in_repository(&new.label);
            json::render(&sarif::render(&diff.findings, file, &new.lines()))?
        }
    };
    outputs::report(args.out.as_ref(), &outputs::files(&args.locks), &report)?;
    Ok(ExitCode::from(u8::from(fails(args, &diff))))
}

/// Whether the exit code says so.
pub(super) fn fails(args: &DiffArgs, diff: &LockDiff) -> bool {
    match args.fail_on {
        None => false,
        Some(FailOn::Alarm) => diff.of_severity(Severity::Alarm).next().is_some(),
        Some(FailOn::Warning) => diff.summary.alarms + diff.summary.warnings > 0,
        Some(FailOn::Change) => !diff.changes.is_empty() || !diff.findings.is_empty(),
    }
}

/// A lock's path, without the revision that it was taken from.
fn path_in_repository(label: &str) -> &str {
    label.split_once(':').map_or(label, |(_, path)| path)
}

/// Two trees: their differences are a failure, as those of files are to diff(1).
fn trees(args: &DiffArgs, old: &Utf8Path, new: &Utf8Path) -> Outcome {
    let diff = tree::compare(
        old.as_std_path(),
        new.as_std_path(),
        tree::Expect::default(),
    )?;
    let report = match args.format {
        _ if args.json => json::render(&diff)?,
        Format::Text => tree::report::text(&diff, args.detail),
        Format::Markdown => tree::report::markdown(&diff),
        Format::Json => json::render(&diff)?,
        Format::Html => tree::report::html(&diff),
        Format::Sarif => return Err("SARIF is for locks: trees have no lines".into()),
    };
    let read = [old.as_str(), new.as_str()];
    outputs::report(args.out.as_ref(), &read, &report)?;
    Ok(ExitCode::from(u8::from(!diff.is_same())))
}

pub(super) fn usage(message: &str) -> ExitCode {
    eprintln!("error: {message}; see lockwright diff --help");
    ExitCode::from(2)
}

/// A lock as git compares it line by line.
fn textconv(path: &str) -> Outcome {
    let Given::Lock(lock) = Given::open(path, false)? else {
        return Err(format!("{path} has no lock").into());
    };
    print(&text::lines(&whole(&lock)))?;
    Ok(ExitCode::SUCCESS)
}

type Both = (Box<Lock>, Box<Lock>);

/// The two files that git gives of one path; nothing where one of them is none.
fn of_git(path: &str, old: &str, new: &str) -> Result<Option<Both>, Failure> {
    let open = |file: &str| -> Result<Option<Box<Lock>>, Failure> {
        match file {
            "/dev/null" => Ok(None),
            file => match Given::open(file, false)? {
                Given::Lock(lock) => Ok(Some(lock)),
                Given::Tree(_) => Err(format!("{file} has no lock").into()),
            },
        }
    };
    match (open(old)?, open(new)?) {
        (Some(mut old), Some(mut new)) => {
            old.label = format!("a/{path}");
            new.label = format!("b/{path}");
            Ok(Some((old, new)))
        }
        (None, Some(new)) => {
            print(&format!(
                "{path} is new, with {}\n",
                count(whole(&new).each().count(), "package")
            ))?;
            Ok(None)
        }
        _ => {
            print(&format!("{path} is gone\n"))?;
            Ok(None)
        }
    }
}

pub(super) fn compare_locks(args: &DiffArgs, old: &Lock, new: &Lock) -> Result<LockDiff, Failure> {
    if old.what.ecosystem() != new.what.ecosystem() {
        return Err(format!(
            "{} and {} are locks of different tools, and cannot be compared",
            old.label, new.label
        )
        .into());
    }
    let asked = Asked::of(args, old, new)?;
    // Of a package of npm's there is one file, whatever the target.
    let one_each = args.contents && new.what.ecosystem() == Ecosystem::Python;
    let targets = match args.target.meant(new, one_each)? {
        Targets::All => {
            let (before, after) = rayon::join(|| whole(old), || whole(new));
            let glibc = (new.what.ecosystem() == Ecosystem::Npm).then_some(NODE_GLIBC);
            return look_into(args, &asked, [old, new], [before, after], glibc);
        }
        Targets::These(targets) if args.contents && targets.len() > 1 => {
            return Err("--contents looks into one file per package: name one target".into());
        }
        Targets::These(targets) => targets,
    };
    let diffs = targets.iter().map(|target| {
        let (before, after) = rayon::join(|| target.facts(old), || target.facts(new));
        let diff = look_into(args, &asked, [old, new], [before?, after?], target.glibc())?;
        Ok((target.label.clone(), diff))
    });
    targets::merge(diffs.collect::<Result<Vec<_>, Failure>>()?)
        .ok_or_else(|| "no target is named".into())
}

/// What the project asks of its locks, and what is known of their packages.
struct Asked {
    policy: Policy,
    advisories: Option<Advisories>,
}

impl Asked {
    fn of(args: &DiffArgs, old: &Lock, new: &Lock) -> Result<Self, Failure> {
        let options = args.network.options(&[]);
        let library = args.review.library(&options);
        let progress = Progress::items("Asking", 0);
        let ecosystem = new.what.ecosystem();
        let both = args
            .review
            .needs_packages()
            .then(|| [whole(old), whole(new)]);
        let both: Vec<&LockFacts> = both.iter().flatten().collect();
        let advisories = (args.review).advisories(ecosystem, &both, &library, &progress)?;
        progress.done();
        Ok(Self {
            policy: args.review.policy(new)?,
            advisories,
        })
    }

    /// Holds what changed against it.
    fn hold(
        &self,
        diff: &mut LockDiff,
        new: &LockFacts,
        network: &NetworkArgs,
    ) -> Result<(), Failure> {
        let mut found = Found::default();
        let mut changed: HashSet<(&str, &str)> = HashSet::new();
        for change in &diff.changes {
            if let (Some(locked), true) = (&change.new, change.kind != ChangeKind::Relocated) {
                let version = locked.version.as_deref().unwrap_or_default();
                changed.insert((&change.name, version));
            }
        }
        let is_changed = |name: &str, package: &Package| {
            let version = package.version.as_deref().unwrap_or_default();
            changed.contains(&(name, version))
        };
        self.policy.ages(new, &mut found, is_changed);
        if self.policy.has_licenses() {
            let stated = export::licenses(new, network.known_store()?.as_ref());
            self.policy.licenses(new, &stated, &mut found, is_changed);
        }
        if let Some(advisories) = &self.advisories {
            advisories.of_bump(diff, &self.policy, &mut found);
        }
        diff.add(found);
        Ok(())
    }
}

/// The diff of two locks' facts, and of the files behind it if that is wanted.
fn look_into(
    args: &DiffArgs,
    asked: &Asked,
    locks: [&Lock; 2],
    mut facts: [LockFacts; 2],
    glibc: Option<(u16, u16)>,
) -> Result<LockDiff, Failure> {
    let [old, new] = locks;
    let [before, after] = &mut facts;
    let mut diff = compare(before, after);
    let with = (&args.target, &args.network);
    if args.index || args.contents {
        args.review.locate(old, before, with)?;
    }
    if args.index {
        let options = args.review.locate(new, after, with)?;
        let library = args.review.library(&options);
        diff_index::add(&mut diff, before, after, &library)?;
    }
    asked.hold(&mut diff, after, &args.network)?;
    if args.contents {
        let options = args.review.locate(new, after, with)?;
        let side = |facts, lock: &'_ Lock| Side {
            facts,
            folder: lock.what.folder().to_owned(),
        };
        let how = How {
            store: &args.network.store()?,
            options: &options,
            glibc,
        };
        diff_contents::add(&mut diff, &side(before, old), &side(after, new), &how)?;
    }
    diff.link();
    Ok(diff)
}
