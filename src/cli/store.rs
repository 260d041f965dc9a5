//! `lockwright store`: what is in the store, and keeping it in order.

use std::collections::{BTreeSet, HashSet};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use serde_json::json;

use super::network_args::StoreArgs;
use super::units::{DAY, duration, size};
use super::{Failure, Global, Outcome, print};
use crate::component::kept;
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::{Progress, bytes, count};
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::uv::{PackageSource, UvLock};
use crate::obtain::fetch::keys::SecretKey;
use crate::obtain::store::{Blob, Collected, Entry, Keep, Store};

/// List, check, clean and copy the store of verified artifacts
#[derive(Debug, Args)]
pub struct StoreCommand {
    #[command(flatten)]
    store: StoreArgs,
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List what is in it
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Hash everything again; exit code 1 if anything is damaged
    Verify {
        /// Remove damaged files, so that they are fetched again, and those put aside before
        #[arg(long)]
        remove: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove what has not been used for a long time, and what killed processes left
    Gc {
        /// Remove what was last used longer ago than this: 90d, 12h, 2w [default: 90d, unless
        /// --max-size]
        #[arg(long, value_name = "TIME", value_parser = duration)]
        older_than: Option<Duration>,
        /// Keep at most this much, the most recently used first: 20G, 500M
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Say what would be removed, without removing it
        #[arg(long)]
        dry_run: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Copy artifacts to another folder, itself a store for --store or `store import`
    Export {
        /// The other store
        out: Utf8PathBuf,
        /// Only what these locks name, for any platform [default: everything]
        locks: Vec<Utf8PathBuf>,
    },
    /// Add artifacts from another store, from a folder of plain files, or single files
    Import {
        /// Stores, folders or files
        #[arg(required = true)]
        from: Vec<Utf8PathBuf>,
    },
    /// Print a CI cache key for the store: the same as long as these locks name the same artifacts
    Key {
        /// Locks, or folders that have one
        #[arg(default_value = ".")]
        locks: Vec<Utf8PathBuf>,
    },
    /// Make a key that signs built wheels, for --remote-key, and print its public key, for
    /// --remote-trust
    Keygen {
        /// What the key is called: a machine or a team, and a number
        name: String,
        /// The file for the secret key
        #[arg(long, value_name = "FILE")]
        out: Utf8PathBuf,
    },
    /// Print where the store is, or where it has an artifact
    Path {
        /// An artifact's digest: sha256:<hex> or sha512-<base64>
        digest: Option<Digest>,
    },
}

/// Runs the command.
pub fn run(args: &StoreCommand, global: &Global) -> Outcome {
    let store = args.store.open()?;
    match &args.command {
        Action::List { json } => list(&store, *json),
        Action::Verify { remove, json } => verify(&store, *remove, *json, global),
        Action::Gc {
            older_than,
            max_size,
            dry_run,
            json,
        } => {
            let keep = Keep {
                used_within: older_than.or(match max_size {
                    None => Some(Duration::from_secs(90 * DAY)),
                    Some(_) => None,
                }),
                bytes: *max_size,
            };
            gc(&store, keep, *dry_run, *json, global)
        }
        Action::Export { out, locks } => export(&store, out, locks, global),
        Action::Import { from } => import(&store, from, global),
        Action::Key { locks } => key(locks),
        Action::Keygen { name, out } => keygen(name, out),
        Action::Path { digest } => path(&store, digest.as_ref()),
    }
}

fn list(store: &Store, json: bool) -> Outcome {
    let entries = store.entries()?;
    let total: u64 = entries.iter().map(|entry| entry.blob.size).sum();
    let contents = store.contents_size()?;
    if json {
        let entries: Vec<serde_json::Value> = entries.iter().map(in_json).collect();
        let report = json!({
            "store": store.root(),
            "artifacts": entries,
            "bytes": total,
            "contents_bytes": contents,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemTime::now();
    let lines: String = entries.iter().map(|entry| line(entry, now)).collect();
    let beside = match contents {
        0 => String::new(),
        contents => format!(
            "; and {} of what is in them, ready to be placed",
            bytes(contents)
        ),
    };
    let lines = super::table::shown(lines);
    print(&format!(
        "{lines}{}, {}{beside}, in {}\n",
        artifacts(entries.len()),
        bytes(total),
        store.root()
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn line(entry: &Entry, now: SystemTime) -> String {
    let days = now
        .duration_since(entry.last_used)
        .unwrap_or_default()
        .as_secs()
        / DAY;
    let used = match days {
        0 => "today".to_owned(),
        days => format!("{days} d ago"),
    };
    format!(
        "{:>11}  {used:>9}  {}  {}\n",
        bytes(entry.blob.size),
        entry.file_name(),
        entry.blob.digest
    )
}

fn in_json(entry: &Entry) -> serde_json::Value {
    let origin = entry.origin.as_ref();
    let last_used = entry.last_used.duration_since(SystemTime::UNIX_EPOCH);
    json!({
        "file_name": origin.map(|origin| &origin.file_name),
        "source": origin.map(|origin| &origin.source),
        "digest": entry.blob.digest,
        "size": entry.blob.size,
        "last_used": last_used.unwrap_or_default().as_secs(),
        "path": entry.blob.path,
    })
}

fn verify(store: &Store, remove: bool, json: bool, global: &Global) -> Outcome {
    let entries = store.entries()?;
    let total = entries.iter().map(|entry| entry.blob.size).sum();
    let progress = Progress::bytes("Verifying", total);
    let damaged = store.verify(&entries, &progress);
    progress.done();
    let aside = store.aside()?;
    let contents = store.verify_contents(remove)?;
    if remove {
        for damaged in &damaged {
            store.remove(&damaged.entry.blob)?;
        }
        for aside in &aside {
            store.remove_aside(aside)?;
        }
    }
    if json {
        let found: Vec<serde_json::Value> = damaged
            .iter()
            .map(|damaged| json!({ "entry": in_json(&damaged.entry), "got": damaged.got }))
            .collect();
        let report = json!({
            "store": store.root(),
            "artifacts": entries.len(),
            "bytes": total,
            "damaged": found,
            "contents_damaged": contents,
            "aside": aside.iter().map(|aside| &aside.path).collect::<Vec<_>>(),
            "removed": remove,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        for damaged in &damaged {
            let is_now = match &damaged.got {
                Some(got) => format!("is now {got}"),
                None => "cannot be read".to_owned(),
            };
            let entry = &damaged.entry;
            print(&format!(
                "{} of {} {is_now}\n",
                entry.blob.digest,
                entry.file_name()
            ))?;
        }
        for path in &contents {
            print(&format!("{path} was changed\n"))?;
        }
        for aside in &aside {
            let path = &aside.path;
            print(&format!("{path} was damaged, and put aside before\n"))?;
        }
        if !global.quiet {
            eprintln!(
                "{}, {}: {}",
                artifacts(entries.len()),
                bytes(total),
                match (damaged.len() + contents.len() + aside.len(), remove) {
                    (0, _) => "all as they should be".to_owned(),
                    (count, true) => format!("{count} damaged and removed"),
                    (count, false) => format!("{count} damaged; --remove has them fetched again"),
                }
            );
        }
    }
    let is_whole = damaged.is_empty() && contents.is_empty() && aside.is_empty();
    Ok(match is_whole {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn gc(store: &Store, keep: Keep, dry_run: bool, json: bool, global: &Global) -> Outcome {
    let trees = || kept::trees(store);
    let collected = store.gc(keep, &trees, SystemTime::now(), dry_run, || {
        if !global.quiet {
            eprintln!("Waiting for other lockwright processes that use the store…");
        }
    })?;
    if json {
        let removed: Vec<serde_json::Value> = collected.removed.iter().map(in_json).collect();
        let leftovers: Vec<&Utf8PathBuf> =
            collected.leftovers.iter().map(|left| &left.path).collect();
        let report = json!({
            "store": store.root(),
            "dry_run": dry_run,
            "removed": removed,
            "trees": collected.trees.iter().map(|tree| &tree.path).collect::<Vec<_>>(),
            "leftovers": leftovers,
            "freed": collected.bytes(),
            "kept": collected.kept,
            "kept_bytes": collected.kept_bytes,
        });
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
        return Ok(ExitCode::SUCCESS);
    }
    let now = SystemTime::now();
    let lines: String = collected
        .removed
        .iter()
        .map(|entry| line(entry, now))
        .collect();
    let trees: String = (collected.trees.iter())
        .map(|tree| format!("{:>11}  {}\n", bytes(tree.size), tree.path))
        .collect();
    print(&format!("{lines}{trees}"))?;
    if !global.quiet {
        eprintln!("{}", said(&collected, dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

fn said(collected: &Collected, dry_run: bool) -> String {
    let mut leftovers = match collected.trees.len() {
        0 => String::new(),
        number => format!(", {}", count(number, "tree")),
    };
    if !collected.leftovers.is_empty() {
        leftovers.push_str(&format!(
            " and {}",
            count(collected.leftovers.len(), "leftover")
        ));
    }
    format!(
        "{} {}{leftovers} ({}); {} ({}) kept",
        if dry_run { "Would remove" } else { "Removed" },
        artifacts(collected.removed.len()),
        bytes(collected.bytes()),
        artifacts(collected.kept),
        bytes(collected.kept_bytes),
    )
}

fn export(store: &Store, out: &Utf8PathBuf, locks: &[Utf8PathBuf], global: &Global) -> Outcome {
    let mut entries = store.entries()?;
    if !locks.is_empty() {
        let mut named = HashSet::new();
        for lock in locks {
            named.extend(digests(lock)?);
        }
        entries.retain(|entry| named.contains(&entry.blob.digest));
    }
    let is_taken = out.symlink_metadata().is_ok()
        && !(out.read_dir_utf8()).is_ok_and(|mut entries| entries.next().is_none());
    if is_taken && !Store::is_at(out) {
        return Err(format!(
            "{out} holds something else, and a store has a folder to itself: choose a new folder, \
             or an older store"
        )
        .into());
    }
    let other = Store::open(out)?;
    let copied = copy(&other, &entries, "Exporting")?;
    said_copied(&copied, entries.len(), &other, global);
    Ok(ExitCode::SUCCESS)
}

/// Every digest that a lock names, for whatever platform.
fn digests(lock: &Utf8PathBuf) -> Result<Vec<Digest>, Failure> {
    let lock = UvLock::load(&super::find_lock(lock)?)?;
    let files = lock.packages.into_iter().flat_map(|package| {
        let wheels = package.wheels.into_iter().map(|wheel| wheel.file);
        wheels.chain(package.sdist)
    });
    Ok(files.filter_map(|file| file.digest).collect())
}

fn import(store: &Store, from: &[Utf8PathBuf], global: &Global) -> Outcome {
    let (mut copied, mut seen) = (Vec::new(), 0);
    for path in from {
        if Store::is_at(path) {
            let entries = Store::open(path)?.entries()?;
            seen += entries.len();
            copied.extend(copy(store, &entries, "Importing")?);
            continue;
        }
        let mut files = vec![path.clone()];
        if path.is_dir() {
            let entries = path.read_dir_utf8()?.collect::<Result<Vec<_>, _>>()?;
            files = entries
                .iter()
                .map(|entry| entry.path().to_owned())
                .collect();
            files.retain(|file| file.is_file());
            files.sort_unstable();
        }
        seen += files.len();
        for file in files {
            copied.push(store.import_file(&file)?);
        }
    }
    said_copied(&copied, seen, store, global);
    Ok(ExitCode::SUCCESS)
}

fn copy(to: &Store, entries: &[Entry], verb: &'static str) -> Result<Vec<Blob>, Failure> {
    let total = entries.iter().map(|entry| entry.blob.size).sum();
    let progress = Progress::bytes(verb, total);
    let copied = to.import(entries, &progress);
    progress.done();
    Ok(copied?)
}

fn said_copied(copied: &[Blob], of: usize, to: &Store, global: &Global) {
    if !global.quiet {
        let size = copied.iter().map(|blob| blob.size).sum();
        eprintln!(
            "{} of {} ({}) new in {}",
            copied.len(),
            artifacts(of),
            bytes(size),
            to.root()
        );
    }
}

/// A digest of all that the locks name, for whatever platform: an edit that changes nothing of that
/// changes no key, nor do the locks' places.
fn key(locks: &[Utf8PathBuf]) -> Outcome {
    let mut named: BTreeSet<String> = BTreeSet::new();
    for lock in locks {
        if let Some(file) = super::find_npm_lock(lock)? {
            let lock = NpmLock::load(&file)?;
            for entry in lock.entries.values() {
                let digest = entry.integrity.as_ref().map(ToString::to_string);
                named.extend(digest.or_else(|| entry.resolved.clone()));
            }
            continue;
        }
        let file = super::find_lock(lock)?;
        named.extend(digests(&file)?.iter().map(ToString::to_string));
        let lock = UvLock::load(&file)?;
        for package in &lock.packages {
            if let PackageSource::Git(git) = &package.source {
                named.insert(format!("git {}", git.commit));
            }
        }
    }
    let text: Vec<String> = named.into_iter().collect();
    let digest = Digest::of(Algorithm::Sha256, text.join("\n").as_bytes());
    let short: String = digest.hex().chars().take(32).collect();
    print(&format!("lockwright-v1-{short}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn keygen(name: &str, out: &Utf8PathBuf) -> Outcome {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    if name.is_empty() || name.contains([':', ' ', '\n']) {
        return Err(format!("`{name}` cannot be a key's name: leave out colons and spaces").into());
    }
    let (secret, public) = SecretKey::generate(name)
        .map_err(|_| "the system has no randomness to make a key of".to_owned())?;
    let mut options = std::fs::OpenOptions::new();
    // One that is there signs something already.
    options.write(true).create_new(true).mode(0o600);
    let written = options
        .open(out)
        .and_then(|mut file| writeln!(file, "{secret}"));
    written.map_err(|error| format!("cannot write the key {out}: {error}"))?;
    print(&format!("{public}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn path(store: &Store, digest: Option<&Digest>) -> Outcome {
    let path = match digest {
        None => store.root().to_owned(),
        Some(digest) => match store.get(digest) {
            Some(blob) => blob.path,
            None => return Err(format!("{digest} is not in the store {}", store.root()).into()),
        },
    };
    print(&format!("{path}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn artifacts(number: usize) -> String {
    count(number, "artifact")
}
