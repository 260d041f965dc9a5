//! `lockwright completions`: what a shell needs to complete lockwright's arguments; and the names
//! that it is then offered, read from the files of the current folder.

use std::collections::BTreeSet;
use std::process::ExitCode;

use camino::Utf8Path;
use clap::{Args, ValueEnum};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, CompletionCandidate};

use super::{Outcome, find_lock, find_npm_lock, print};
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npm::name_of;
use crate::decide::lock::uv::{Package, PackageSource, UvLock};
use crate::decide::manifest::{Document, FILE_NAME};

/// Set by the printed script, which asks lockwright itself for what may come next.
pub const VARIABLE: &str = "LOCKWRIGHT_COMPLETE";

/// Print the script that makes a shell complete lockwright's arguments
///
/// The names of packages, extras, groups, workspaces and components are those of the current folder.
///
/// bash:  echo 'source <(lockwright completions bash)' >> ~/.bashrc
/// zsh:   echo 'source <(lockwright completions zsh)' >> ~/.zshrc
/// fish:  echo 'lockwright completions fish | source' >> ~/.config/fish/config.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// Runs the command.
pub fn run(args: &CompletionsArgs) -> Outcome {
    let value = args.shell.to_possible_value();
    let name = value.as_ref().map_or("", |value| value.get_name());
    let shells = Shells::builtins();
    let shell = shells
        .completer(name)
        .ok_or_else(|| format!("{name} is not known to lockwright"))?;
    let mut script = Vec::new();
    shell.write_registration(
        VARIABLE,
        "lockwright",
        "lockwright",
        "lockwright",
        &mut script,
    )?;
    print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// The components of the lockwright.toml here.
pub fn components() -> ArgValueCandidates {
    offer(|| {
        let document = Document::open(Utf8Path::new(FILE_NAME)).ok()?;
        Some(document.manifest.component.keys().cloned().collect())
    })
}

/// The packages of the uv.lock here.
pub fn packages() -> ArgValueCandidates {
    of_lock(|lock| names(lock.packages.iter().map(|package| &package.name)))
}

/// The members of the workspace of the uv.lock here.
pub fn members() -> ArgValueCandidates {
    of_lock(|lock| {
        let here = lock.packages.iter().filter(|package| is_here(package));
        names(here.map(|package| &package.name))
    })
}

/// The extras of the workspace of the uv.lock here, or of the pylock.toml.
pub fn extras() -> ArgValueCandidates {
    of_lock(|lock| {
        let here = lock.packages.iter().filter(|package| is_here(package));
        let own = lock.pylock.iter().flat_map(|pylock| &pylock.extras);
        names(here.flat_map(|package| package.extras.keys()).chain(own))
    })
}

/// The dependency groups of the workspace of the uv.lock here, or of the pylock.toml.
pub fn groups() -> ArgValueCandidates {
    of_lock(|lock| {
        let all = lock.packages.iter().flat_map(|one| one.groups.keys());
        let own = lock.pylock.iter().flat_map(|pylock| &pylock.groups);
        names(all.chain(own))
    })
}

/// The workspaces of the package-lock.json here.
pub fn workspaces() -> ArgValueCandidates {
    offer(|| {
        let places = npm_lock()?.entries.into_keys();
        let own = places.filter(|place| !place.is_empty() && !place.contains("node_modules/"));
        Some(own.collect())
    })
}

/// The packages of the package-lock.json here that have scripts.
pub fn scripted() -> ArgValueCandidates {
    offer(|| {
        let entries = npm_lock()?.entries.into_iter();
        let having = entries.filter(|(_, entry)| entry.about.has_install_script);
        Some(
            having
                .filter_map(|(place, _)| Some(name_of(&place)?.to_owned()))
                .collect(),
        )
    })
}

fn names<T: ToString>(all: impl Iterator<Item = T>) -> Vec<String> {
    all.map(|name| name.to_string()).collect()
}

fn is_here(package: &Package) -> bool {
    let source = &package.source;
    matches!(
        source,
        PackageSource::Editable(_) | PackageSource::Virtual(_) | PackageSource::Directory(_)
    )
}

fn npm_lock() -> Option<NpmLock> {
    NpmLock::load(&find_npm_lock(Utf8Path::new(".")).ok()??).ok()
}

fn of_lock(names: fn(&UvLock) -> Vec<String>) -> ArgValueCandidates {
    offer(move || {
        let lock = UvLock::load(&find_lock(Utf8Path::new(".")).ok()?).ok()?;
        Some(names(&lock).into_iter().collect())
    })
}

/// Offers names, each once; nothing where there is no such file, or it cannot be read.
fn offer(all: impl Fn() -> Option<BTreeSet<String>> + Send + Sync + 'static) -> ArgValueCandidates {
    ArgValueCandidates::new(move || {
        let all = all().unwrap_or_default().into_iter();
        all.map(CompletionCandidate::new).collect()
    })
}
