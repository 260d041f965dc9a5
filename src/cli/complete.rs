//! `lockwright complete`: what a lock lacks of its artifacts, put into it.

use std::fs::{self, Permissions};
use std::io::Write as _;
use std::process::ExitCode;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;
use url::Url;

use super::network_args::NetworkArgs;
use super::{Failure, Outcome, outputs, print};
use crate::core::foreign;
use crate::core::progress::{Progress, count, few};
use crate::core::temp_file::TempFile;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npmrc::Npmrc;
use crate::decide::lock::pyproject::ProjectSettings;
use crate::decide::lock::uv::UvLock;
use crate::decide::target::registry;
use crate::inspect::complete::{Added, Completed, Gaps, Left, complete, npm, python};
use crate::inspect::diff::facts::Ecosystem;
use crate::obtain::fetch::FetchOptions;
use crate::obtain::fetch::document::Library;

/// Add to a lock what it lacks: `resolved` and `integrity` in a package-lock.json, `hash` and
/// `size` in a uv.lock
///
/// Nothing is resolved: the index is asked for the versions that the lock names. Nothing else in
/// the lock changes, and digests that it has already are compared with the same answer. From then
/// on every file is verified. Exit code 1 if something is still missing.
#[derive(Debug, Args)]
pub struct CompleteArgs {
    /// A lock, or a folder that has one
    #[arg(default_value = ".")]
    lock: Utf8PathBuf,
    /// Write the completed lock to this file, and leave the lock as it is
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// The registry for npm packages whose URL the lock does not have [default: .npmrc's, or npm's
    /// own]
    #[arg(long, value_name = "URL")]
    registry: Option<Url>,
    /// Print what was added, and what is still missing, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    network: NetworkArgs,
}

/// What `--json` reports.
#[derive(Serialize)]
struct Report<'a> {
    lock: &'a Utf8Path,
    added: &'a [Added],
    left: &'a [Left],
}

/// What is asked, and how.
struct Asked {
    file: Utf8PathBuf,
    text: String,
    ecosystem: Ecosystem,
    gaps: Gaps,
    options: FetchOptions,
}

/// Runs the command.
pub fn run(args: &CompleteArgs) -> Outcome {
    let asked = match super::find_npm_lock(&args.lock)? {
        Some(file) => of_npm(args, file)?,
        None => of_uv(args, super::find_lock(&args.lock)?)?,
    };
    let library = Library {
        options: &asked.options,
        snapshot: None,
    };
    let progress = Progress::items("Asking", 0);
    let done = complete(
        &asked.text,
        asked.ecosystem,
        asked.gaps,
        &library,
        &progress,
    );
    progress.done();
    let done = done?;
    let place = args.out.as_deref().unwrap_or(&asked.file);
    match &args.out {
        Some(out) => outputs::write_report(out, &[asked.file.as_str()], |to| {
            to.write_all(done.text.as_bytes())
        })?,
        None if done.text != asked.text => replace(&asked.file, &done.text)?,
        None => {}
    }
    if args.json {
        let report = Report {
            lock: place,
            added: &done.added,
            left: &done.left,
        };
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    }
    eprintln!("{}", said(&asked.file, &done));
    Ok(ExitCode::from(u8::from(!done.left.is_empty())))
}

fn of_npm(args: &CompleteArgs, file: Utf8PathBuf) -> Result<Asked, Failure> {
    let text = read(&file)?;
    let lock = NpmLock::parse(&file, &text)?;
    let npmrc = Npmrc::read(lock.folder())?.with_registry(args.registry.as_ref());
    let npmrc = registry::with_npms_own(npmrc, &lock);
    let gaps = npm::gaps(&text, &lock, &npmrc);
    let lost = gaps.all.iter().filter(|gap| gap.index.is_empty());
    let lost: Vec<&str> = lost.map(|gap| gap.label.as_str()).collect();
    if !lost.is_empty() {
        return Err(format!(
            "{file} does not say which registry has {}, and none is known: say it with `--registry URL`, \
             npm_config_registry, or a line `registry=URL` in .npmrc",
            few(&lost)
        )
        .into());
    }
    Ok(Asked {
        gaps,
        options: args.network.options(&[]).with_npmrc(&npmrc)?,
        ecosystem: Ecosystem::Npm,
        text,
        file,
    })
}

fn of_uv(args: &CompleteArgs, file: Utf8PathBuf) -> Result<Asked, Failure> {
    if args.registry.is_some() {
        let why = format!("--registry is for a package-lock.json, and {file} is not one");
        return Err(why.into());
    }
    if file.file_name() != Some("uv.lock") && file.extension() == Some("toml") {
        let why =
            format!("{file} is a PEP 751 lock, which cannot be completed: lock again instead");
        return Err(why.into());
    }
    let text = read(&file)?;
    let lock = UvLock::parse(&text, &file)?;
    let settings = ProjectSettings::beside(&file)?;
    Ok(Asked {
        gaps: python::gaps(&text, &lock),
        options: args.network.options(&settings.indexes),
        ecosystem: Ecosystem::Python,
        text,
        file,
    })
}

fn read(file: &Utf8Path) -> Result<String, Failure> {
    let text = foreign::text(file);
    text.map_err(|error| format!("cannot read the lock {file}: {error}").into())
}

/// Puts a text in the place of a file's, all of it or nothing, with the file's mode; a link stays one.
fn replace(file: &Utf8Path, text: &str) -> Result<(), Failure> {
    let failed = |error| format!("cannot write {file}: {error}");
    let place = file.canonicalize_utf8().map_err(failed)?;
    let folder = place.parent().unwrap_or(Utf8Path::new("/"));
    let mode: Permissions = fs::metadata(&place).map_err(failed)?.permissions();
    let mut staged = TempFile::new_in(folder, None).map_err(failed)?;
    staged.write_all(text.as_bytes()).map_err(failed)?;
    staged.as_file().set_permissions(mode).map_err(failed)?;
    staged.persist(&place).map_err(failed)?;
    Ok(())
}

/// What was done, in a sentence or two.
fn said(file: &Utf8Path, done: &Completed) -> String {
    let mut text = match done.added.as_slice() {
        [] if done.left.is_empty() => format!("{file} lacks nothing"),
        [] => format!("{file}: nothing could be added"),
        added => {
            let fields = ["resolved", "integrity", "hash", "size"].into_iter();
            let fields = fields.filter_map(|field| {
                let having = added.iter().filter(|one| one.fields.contains(field));
                let having = having.count();
                (having > 0).then(|| format!("`{field}` of {having}"))
            });
            let fields: Vec<String> = fields.collect();
            let names: Vec<&str> = added.iter().map(|one| one.artifact.as_str()).collect();
            let (fields, names) = (fields.join(" and "), few(&names));
            format!("{file}: added {fields}: {names}")
        }
    };
    let left = &done.left;
    if !left.is_empty() {
        let lines = left.iter().take(3).map(|left| {
            let Left { artifact, why } = left;
            format!("\n  {artifact}: {why}")
        });
        text.push_str(&format!(
            "\n{} still lacking:",
            count(left.len(), "artifact")
        ));
        text.push_str(&lines.collect::<String>());
        if left.len() > 3 {
            text.push_str(&format!(
                "\n  … and {} more (--json lists all)",
                left.len() - 3
            ));
        }
    }
    crate::core::foreign::shown_lines(&text)
}
