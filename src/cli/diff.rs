//! `lockwright diff`: what a bump changed.

use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use pep440_rs::Version;

use super::diff_contents::{self, Side};
use super::diff_input::{Given, Lock, What};
use super::network_args::NetworkArgs;
use super::node_args::NodeArgs;
use super::python_args::{SelectionArgs, TargetArgs};
use super::{Failure, Outcome, outputs, print};
use crate::core::progress::count;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::UvLock;
use crate::decide::plan::{PythonPlan, Selection};
use crate::decide::target::find::satisfies;
use crate::decide::target::node::NodeTarget;
use crate::decide::target::{Platform, PythonTarget};
use crate::inspect::diff::compare::compare;
use crate::inspect::diff::facts::LockFacts;
use crate::inspect::diff::model::{LockDiff, Severity};
use crate::inspect::diff::report::{html, json, markdown, text};
use crate::inspect::diff::{npm, python, targets, tree};

/// Say what a lock bump changed: versions, sources, files, and what should not have changed
///
/// Two folders without a lock are compared as trees: which package's files differ, and why. Exit
/// code 0, whatever changed between locks, unless --fail-on says otherwise; 1 when trees differ.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The old lock and the new one: each a file, a folder that has one, or a git revision's as
    /// REV:path
    #[arg(value_name = "OLD NEW", required_unless_present = "schema", num_args = 1..=9)]
    locks: Vec<String>,
    /// How it is reported
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
    out: Option<Utf8PathBuf>,
    /// Exit with 1 when there is an alarm; a warning or an alarm; any change
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// What changes on this target: a platform as for --python-platform, before it a Python if
    /// wanted, as 3.14@aarch64-manylinux_2_28; of an npm lock, linux-x64, darwin-arm64 or
    /// linux-x64-musl. Repeatable: each change then says where it applies
    #[arg(long, value_name = "TARGET", value_delimiter = ',')]
    target: Vec<String>,
    /// Fetch what is behind the changes, and look into it: files, modules, entry points, compiled
    /// code, install hooks, METADATA. Of a uv.lock for one target, this machine's by default
    #[arg(long)]
    contents: bool,
    /// Compare two trees, even where they hold locks
    #[arg(long)]
    tree: bool,
    /// Print the schema of --format json: of two locks, or with --tree of two trees
    #[arg(long, conflicts_with = "locks")]
    schema: bool,
    /// Print one lock as lines, a package each: for git config diff.lockwright.textconv
    #[arg(long, conflicts_with_all = ["format", "json", "fail_on", "git"])]
    textconv: bool,
    /// Take the arguments that git gives: for git config diff.lockwright.command
    #[arg(long)]
    git: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    python: TargetArgs,
    #[command(flatten)]
    node: NodeArgs,
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
    };
    write(args, &outputs::files(&args.locks), &report)?;
    let fails = match args.fail_on {
        None => false,
        Some(FailOn::Alarm) => diff.of_severity(Severity::Alarm).next().is_some(),
        Some(FailOn::Warning) => diff.summary.alarms + diff.summary.warnings > 0,
        Some(FailOn::Change) => !diff.changes.is_empty() || !diff.findings.is_empty(),
    };
    Ok(ExitCode::from(u8::from(fails)))
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
    };
    write(args, &[old.as_str(), new.as_str()], &report)?;
    Ok(ExitCode::from(u8::from(!diff.is_same())))
}

fn usage(message: &str) -> ExitCode {
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

/// Prints the report, or writes it to a file; `read` is what it is about.
fn write(args: &DiffArgs, read: &[&str], report: &str) -> Result<(), Failure> {
    match &args.out {
        None => Ok(print(report)?),
        Some(out) => outputs::write_report(out, read, |to| to.write_all(report.as_bytes())),
    }
}

fn compare_locks(args: &DiffArgs, old: &Lock, new: &Lock) -> Result<LockDiff, Failure> {
    if old.what.ecosystem() != new.what.ecosystem() {
        return Err(format!(
            "{} and {} are locks of different tools, and cannot be compared",
            old.label, new.label
        )
        .into());
    }
    let targets = Targets::meant(args, old, new)?;
    let one = |target: &Target| -> Result<LockDiff, Failure> {
        let (old, new) = rayon::join(|| facts(old, target), || facts(new, target));
        Ok(compare(&old?, &new?))
    };
    match &targets {
        Targets::All => {
            let (before, after) = rayon::join(|| whole(old), || whole(new));
            look_into(args, old, new, &before, &after)
        }
        Targets::These(targets) => match &targets[..] {
            [target] if args.contents => {
                let (before, after) = (facts(old, target)?, facts(new, target)?);
                let diff = look_into(args, old, new, &before, &after)?;
                targets::merge(vec![(target.label.clone(), diff)])
            }
            _ if args.contents => {
                return Err("--contents looks into one file a package: name one target".into());
            }
            targets => {
                let diffs = (targets.iter())
                    .map(|target| Ok((target.label.clone(), one(target)?)))
                    .collect::<Result<Vec<_>, Failure>>()?;
                targets::merge(diffs)
            }
        }
        .ok_or_else(|| "no target is named".into()),
    }
}

/// The diff of two locks' facts, and of the files behind it if that is wanted.
fn look_into(
    args: &DiffArgs,
    old: &Lock,
    new: &Lock,
    before: &LockFacts,
    after: &LockFacts,
) -> Result<LockDiff, Failure> {
    let mut diff = compare(before, after);
    if args.contents {
        let indexes = match &new.what {
            What::Python(_, settings) => &settings.indexes[..],
            What::Npm(_) => &[],
        };
        let sides = [(before, old), (after, new)].map(|(facts, lock)| Side {
            facts,
            folder: lock.what.folder(),
        });
        let [old, new] = &sides;
        diff_contents::add(&mut diff, old, new, &args.network, indexes)?;
    }
    Ok(diff)
}

fn whole(lock: &Lock) -> LockFacts {
    match &lock.what {
        What::Python(uv, _) => python::of_lock(uv, &lock.label),
        What::Npm(npm) => npm::of_lock(npm, &lock.label),
    }
}

fn facts(lock: &Lock, target: &Target) -> Result<LockFacts, Failure> {
    match (&lock.what, &target.machine) {
        (What::Python(uv, settings), Machine::Python(python, selection)) => {
            of_plan(uv, settings, python, selection, &lock.label)
        }
        (What::Npm(npm), Machine::Node(node, omit)) => {
            Ok(npm::of_target(npm, node, omit, &lock.label)?)
        }
        _ => Err(format!("{} cannot be compared for {}", lock.label, target.label).into()),
    }
}

fn of_plan(
    lock: &UvLock,
    settings: &ProjectSettings,
    target: &PythonOf,
    selection: &Selection,
    label: &str,
) -> Result<LockFacts, Failure> {
    let target = match target {
        PythonOf::This(target) => target.as_ref().clone(),
        PythonOf::Named(version, platform) => {
            let version = match version {
                Some(version) => version.clone(),
                None => lowest_python(lock).ok_or_else(|| {
                    format!("{label} asks for no Python that is known here: name one with --target 3.14@PLATFORM")
                })?,
            };
            PythonTarget::named(&version, *platform)?
        }
    };
    let plan = PythonPlan::new(lock, &target, selection, settings)?;
    Ok(python::of_plan(lock, &plan, label))
}

/// The lowest Python that a lock was made for.
fn lowest_python(lock: &UvLock) -> Option<String> {
    let fits = |minor: u64| {
        let version = Version::new([3, minor, 0]);
        (lock.requires_python.as_ref()).is_none_or(|wanted| satisfies(wanted, &version))
    };
    (8..=20)
        .find(|&minor| fits(minor))
        .map(|minor| format!("3.{minor}"))
}

/// What is compared.
enum Targets {
    /// The whole locks.
    All,
    /// What is chosen for these.
    These(Vec<Target>),
}

struct Target {
    label: String,
    machine: Machine,
}

enum Machine {
    Python(PythonOf, Selection),
    Node(
        NodeTarget,
        std::collections::BTreeSet<crate::decide::plan::npm::Omit>,
    ),
}

enum PythonOf {
    This(Box<PythonTarget>),
    /// A version, or the lowest of each lock.
    Named(Option<String>, Platform),
}

impl Targets {
    /// What the command line means: the whole locks where it names neither target nor selection.
    fn meant(args: &DiffArgs, old: &Lock, new: &Lock) -> Result<Self, Failure> {
        let target = |label: &str, machine| Target {
            label: label.to_owned(),
            machine,
        };
        match (&old.what, &new.what) {
            (What::Npm(_), _) => {
                let omit = args.node.omit();
                if args.target.is_empty() && !args.node.is_given() {
                    return Ok(Self::All);
                }
                if args.target.is_empty() {
                    let node = args.node.target();
                    let label = node.to_string();
                    return Ok(Self::These(vec![target(&label, Machine::Node(node, omit))]));
                }
                let all = args.target.iter().map(|spec| {
                    let node = node_target(spec, &args.node)?;
                    Ok(target(spec, Machine::Node(node, omit.clone())))
                });
                all.collect::<Result<_, Failure>>().map(Self::These)
            }
            (What::Python(..), what) => {
                let selection = args.selection.selection();
                if !args.target.is_empty() {
                    let all = args.target.iter().map(|spec| {
                        let python = python_target(spec, args.python.version())?;
                        Ok(target(spec, Machine::Python(python, selection.clone())))
                    });
                    return all.collect::<Result<_, Failure>>().map(Self::These);
                }
                if !args.python.is_given() && selection == Selection::default() && !args.contents {
                    return Ok(Self::All);
                }
                let What::Python(lock, _) = what else {
                    return Ok(Self::All);
                };
                let cache = crate::obtain::store::Store::default_root().ok();
                let cache = cache.map(|root| root.join("interpreters"));
                let chosen = args.python.choose(lock, cache.as_deref())?;
                let label = chosen.target.to_string();
                let python = PythonOf::This(Box::new(chosen.target));
                Ok(Self::These(vec![target(
                    &label,
                    Machine::Python(python, selection),
                )]))
            }
        }
    }
}

fn python_target(spec: &str, version: Option<&str>) -> Result<PythonOf, Failure> {
    let (version, platform) = match spec.split_once('@') {
        Some((version, platform)) => (Some(version), platform),
        None => (version, spec),
    };
    Ok(PythonOf::Named(
        version.map(str::to_owned),
        platform.parse()?,
    ))
}

fn node_target(spec: &str, node: &NodeArgs) -> Result<NodeTarget, Failure> {
    let parts: Vec<&str> = spec.split('-').collect();
    let (os, cpu, libc) = match parts[..] {
        [os, cpu] => (os, cpu, (os == "linux").then_some("glibc")),
        [os, cpu, libc @ ("glibc" | "musl")] => (os, cpu, Some(libc)),
        _ => {
            return Err(format!(
                "`{spec}` is no target of an npm lock: give os and cpu as npm names them, as in \
                 linux-x64, darwin-arm64, win32-x64 or linux-x64-musl"
            )
            .into());
        }
    };
    Ok(NodeTarget {
        os: os.to_owned(),
        cpu: cpu.to_owned(),
        libc: libc.map(str::to_owned),
        // Not the Node on PATH: a report must not depend on it.
        node: node.is_given().then(|| node.target().node).flatten(),
    })
}
