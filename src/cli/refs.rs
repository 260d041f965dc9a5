//! `lockwright refs`: which files refer to the Nix store, and making them forget it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, Outcome, print};
use crate::core::progress::count;
use crate::install::owners::Owners;
use crate::transform::nix::reference::{Search, StoreHash};
use crate::transform::nix::refs::{self, Hit, Opaque, Place, Scan};
use crate::transform::nix::strip::{Stripped, strip};
use crate::transform::records::{Amended, amend};

/// Find references to the Nix store in a tree, or overwrite them
#[derive(Debug, Args)]
pub struct RefsArgs {
    #[command(subcommand)]
    command: RefsCommand,
}

#[derive(Debug, Subcommand)]
enum RefsCommand {
    /// List which file of which package refers to what; change nothing
    Scan(ScanArgs),
    /// Overwrite the hash of each reference with `e`s; lengths stay
    Strip(StripArgs),
}

#[derive(Debug, Args)]
struct ScanArgs {
    #[command(flatten)]
    what: What,
    /// Fail if any is found
    #[arg(long)]
    deny: bool,
}

#[derive(Debug, Args)]
struct StripArgs {
    #[command(flatten)]
    what: What,
}

#[derive(Debug, Args)]
struct What {
    /// A tree, or a file
    path: PathBuf,
    /// Where the store is
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/nix/store",
        env = "NIX_STORE_DIR"
    )]
    store_dir: String,
    /// Ignore references to this store path (repeatable)
    #[arg(long, value_name = "STORE PATH")]
    keep: Vec<StoreHash>,
    /// Look only for this store path, also for its hash without the store's folder (repeatable)
    #[arg(long, value_name = "STORE PATH", conflicts_with = "keep")]
    only: Vec<StoreHash>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl What {
    fn search(&self) -> Result<Search, Failure> {
        Ok(if self.only.is_empty() {
            Search::every(&self.store_dir, &self.keep)
        } else {
            Search::only(&self.only)?
        })
    }
}

/// Runs the command.
pub fn run(args: &RefsArgs) -> Outcome {
    match &args.command {
        RefsCommand::Scan(args) => run_scan(args),
        RefsCommand::Strip(args) => run_strip(args),
    }
}

fn run_scan(args: &ScanArgs) -> Outcome {
    let root = &args.what.path;
    let scan = refs::scan(root, &args.what.search()?)?;
    let owners = owners(root, &scan);
    if args.what.json {
        let report = json!({
            "references": references(&scan.hits, &owners),
            "opaque": opaque_values(&scan.opaque, &owners),
            "files": scan.files,
            "bytes": scan.bytes,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        let mut text = listing(&scan.hits, &owners, &scan, |_| None);
        if scan.hits.is_empty() {
            let _ = writeln!(text, "no reference in {} files", scan.files);
        } else {
            let _ = writeln!(text, "{}", totals(&scan.hits));
        }
        text.push_str(&hidden(&scan.opaque, &owners));
        print(&text)?;
    }
    Ok(if args.deny && !scan.hits.is_empty() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn owners(root: &Path, scan: &Scan) -> Owners {
    let hits = scan.hits.iter().map(|hit| hit.path.as_path());
    Owners::of_paths(
        root,
        hits.chain(scan.opaque.iter().map(|one| one.path.as_path())),
    )
}

fn run_strip(args: &StripArgs) -> Outcome {
    let root = &args.what.path;
    let search = args.what.search()?;
    let scan = refs::scan(root, &search)?;
    // Before RECORDs change.
    let owners = owners(root, &scan);
    let mut done = strip(root, &scan, &search);
    let amended = amend(done.changed.iter().map(|path| refs::join(root, path)))?;
    if let Some(error) = done.failed.pop() {
        return Err(error.into());
    }
    print(&if args.what.json {
        let left = done.left.iter().map(|(hit, why)| {
            let mut value = one(hit, &owners);
            if let Some(value) = value.as_object_mut() {
                value.insert("why".into(), json!(why));
            }
            value
        });
        let report = json!({
            "stripped": references(&done.hits, &owners),
            "left": left.collect::<Vec<_>>(),
            "amended": amended,
            "opaque": opaque_values(&scan.opaque, &owners),
        });
        format!("{}\n", serde_json::to_string_pretty(&report)?)
    } else {
        told(&done, &amended, &scan, &owners)
    })?;
    Ok(if done.left.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn told(done: &Stripped, amended: &Amended, scan: &Scan, owners: &Owners) -> String {
    let mut text = listing(&done.hits, owners, scan, |_| None);
    if done.hits.is_empty() {
        text.push_str("nothing to strip\n");
    } else {
        let _ = writeln!(text, "stripped {}", totals(&done.hits));
    }
    if !amended.is_empty() {
        let _ = writeln!(text, "{amended}");
    }
    if !done.left.is_empty() {
        let left: Vec<Hit> = done.left.iter().map(|(hit, _)| hit.clone()).collect();
        text.push_str("\nstill there:\n");
        text.push_str(&listing(&left, owners, scan, |hit| {
            done.left
                .iter()
                .find(|(other, _)| other == hit)
                .map(|(_, why)| *why)
        }));
    }
    text.push_str(&hidden(&scan.opaque, owners));
    text
}

/// The references by package and file, each named once per file, with how often and where first.
fn listing<'a>(
    hits: &[Hit],
    owners: &Owners,
    scan: &Scan,
    why: impl Fn(&Hit) -> Option<&'a str>,
) -> String {
    let mut packages: BTreeMap<&str, Vec<(&Hit, usize)>> = BTreeMap::new();
    for hit in hits {
        let package = owners.of(&hit.path).unwrap_or("of no package");
        let lines = packages.entry(package).or_default();
        let same = |line: &&mut (&Hit, usize)| {
            line.0.path == hit.path
                && line.0.reference == hit.reference
                && matches!(
                    (&line.0.place, &hit.place),
                    (Place::Contents(_), Place::Contents(_))
                )
        };
        match lines.iter_mut().rev().find(same) {
            Some((_, times)) => *times += 1,
            None => lines.push((hit, 1)),
        }
    }
    let mut text = String::new();
    for (package, lines) in packages {
        let _ = writeln!(text, "{package}");
        let mut last = None;
        for (hit, times) in lines {
            if last != Some(&hit.path) {
                let others = match scan.names.get(&hit.path).map_or(0, Vec::len) {
                    0 => String::new(),
                    others => format!(" (and {})", count(others, "other name")),
                };
                let _ = writeln!(text, "  {}{others}", shown(&hit.path));
                last = Some(&hit.path);
            }
            let place = match (&hit.place, times) {
                (Place::Contents(at), 1) => format!("at byte {at}"),
                (Place::Contents(at), times) => format!("{times} times, first at byte {at}"),
                (Place::Target, _) => "what the link leads to".into(),
                (Place::Name, _) => "its own name".into(),
            };
            let why = why(hit).map_or(String::new(), |why| format!(": {why}"));
            let _ = writeln!(text, "    {}  {place}{why}", hit.reference);
        }
    }
    text
}

fn totals(hits: &[Hit]) -> String {
    let files: BTreeSet<_> = hits.iter().map(|hit| &hit.path).collect();
    let paths: BTreeSet<_> = hits.iter().map(|hit| hit.reference.hash).collect();
    format!(
        "{} to {} in {}",
        count(hits.len(), "reference"),
        count(paths.len(), "store path"),
        count(files.len(), "file")
    )
}

/// What was not looked into, a few of each kind.
fn hidden(opaque: &[Opaque], owners: &Owners) -> String {
    const SHOWN: usize = 5;
    let mut kinds: BTreeMap<&str, Vec<&Path>> = BTreeMap::new();
    for Opaque { kind, path } in opaque {
        kinds.entry(kind).or_default().push(path);
    }
    let mut text = String::new();
    if !kinds.is_empty() {
        let files = count(opaque.len(), "file");
        let _ = writeln!(
            text,
            "\n{files} may hide references, being compressed or compiled:"
        );
    }
    for (kind, paths) in kinds {
        let _ = writeln!(text, "  {kind}: {}", paths.len());
        for path in paths.iter().take(SHOWN) {
            let package = owners
                .of(path)
                .map_or(String::new(), |name| format!(" ({name})"));
            let _ = writeln!(text, "    {}{package}", shown(path));
        }
        if let Some(more) = paths.len().checked_sub(SHOWN + 1) {
            let _ = writeln!(text, "    and {} more (--json names them all)", more + 1);
        }
    }
    text
}

fn references(hits: &[Hit], owners: &Owners) -> Vec<Value> {
    hits.iter().map(|hit| one(hit, owners)).collect()
}

fn one(hit: &Hit, owners: &Owners) -> Value {
    let (place, offset) = match hit.place {
        Place::Contents(at) => ("contents", Some(at)),
        Place::Target => ("link", None),
        Place::Name => ("name", None),
    };
    json!({
        "path": hit.path.to_string_lossy(),
        "package": owners.of(&hit.path),
        "place": place,
        "offset": offset,
        "hash": hit.reference.hash.to_string(),
        "name": hit.reference.name,
    })
}

fn opaque_values(opaque: &[Opaque], owners: &Owners) -> Vec<Value> {
    let value = |Opaque { kind, path }: &Opaque| json!({ "path": path.to_string_lossy(), "package": owners.of(path), "kind": kind });
    opaque.iter().map(value).collect()
}

fn shown(path: &Path) -> String {
    match path.to_string_lossy() {
        path if path.is_empty() => ".".into(),
        path => path.into_owned(),
    }
}
