//! `lockwright export pylock` and `lockwright export requirements`: a Python lock in other forms.

use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::python_args::SelectionArgs;
use super::{Failure, Outcome, outputs, print};
use crate::decide::lock::is_pylock;
use crate::decide::plan::universal::universal;
use crate::inspect::convert::Chosen;

/// Which lock, and which of its packages.
#[derive(Debug, Args)]
pub struct LockArgs {
    /// A project's folder, or its lock
    #[arg(default_value = ".")]
    path: Utf8PathBuf,
    /// Write it to a file; its paths are relative to that file's folder, or else to the lock's
    #[arg(long, short, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    selection: SelectionArgs,
}

/// Runs `export pylock`.
pub fn pylock(args: &LockArgs) -> Outcome {
    let name = args.out.as_ref().and_then(|out| out.file_name());
    if let Some(name) = name.filter(|name| !is_pylock(name)) {
        let why = "a PEP 751 lock is called pylock.toml or pylock.NAME.toml";
        return Err(format!("{name} is not written: {why}").into());
    }
    convert(args, "pylock.toml", |chosen| Ok(chosen.pylock()?))
}

/// Runs `export requirements`.
pub fn requirements(args: &LockArgs) -> Outcome {
    convert(args, "requirements.txt", |chosen| {
        let (text, without) = chosen.requirements()?;
        if !without.is_empty() {
            let names: Vec<&str> = without.iter().map(AsRef::as_ref).collect();
            eprintln!(
                "note: with --require-hashes pip refuses these, which have no digest: {}",
                names.join(", ")
            );
        }
        Ok(text)
    })
}

fn convert(
    args: &LockArgs,
    own: &str,
    write: impl Fn(&Chosen<'_>) -> Result<String, Failure>,
) -> Outcome {
    if let Some(lock) = super::find_npm_lock(&args.path)? {
        return Err(format!("{lock} is npm's, and {own} is Python's").into());
    }
    let project = args.selection.open(&args.path)?;
    let (lock, selection) = (&project.lock, &project.selection);
    let packages = universal(lock, selection, &project.settings)?;
    let out = args.out.as_deref().map(super::absolute).transpose()?;
    let folder = out.as_ref().and_then(|out| out.parent());
    let text = write(&Chosen {
        lock,
        packages: &packages,
        selection,
        folder: folder.unwrap_or(lock.folder()),
    })?;
    match &out {
        None => print(&text)?,
        Some(out) => outputs::write_in_place(out, &[lock.file.as_str()], own, |to| {
            to.write_all(text.as_bytes())
        })?,
    }
    Ok(ExitCode::SUCCESS)
}
