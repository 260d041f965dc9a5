//! What can be typed. Arguments are parsed here (as typed), turned into the rooms' own values (as
//! meant), and nothing reads the command line after that. One file per command.

mod audit;
mod build;
mod build_args;
mod build_lock;
mod built_wheel;
mod complete;
mod completions;
mod diff;
mod diff_comment;
mod diff_contents;
mod diff_index;
mod diff_input;
mod dry_run;
mod elf;
mod export;
mod export_lock;
mod export_nix;
mod fetch;
mod hash;
mod healing;
mod help;
mod image;
mod image_args;
mod image_lock;
mod init;
mod limit_args;
mod lock_targets;
mod man;
mod network_args;
mod node_args;
mod npm_flags;
mod outputs;
mod patch;
mod plan;
mod plan_node;
mod python_args;
mod refs;
mod repro;
mod restore;
mod review_args;
mod sandbox;
mod seal;
mod settings;
mod signals;
mod store;
mod sync;
mod sync_args;
mod sync_node;
mod sync_place;
mod sync_plan;
mod table;
mod units;
mod unknown;
mod vendored;
mod verify;
mod wheel;
mod words;

pub use help::command;

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

use clap::{Args, FromArgMatches as _, Parser, Subcommand};

use crate::core::{foreign, progress, scratch};
use crate::decide::lock::is_pylock;
use crate::obtain::store::Store;

/// What a command ends with: an exit code, or an error that [`main`] prints.
///
/// 0 is done, 1 failed (or differences found), 2 a usage error, which clap reports itself.
pub type Outcome = Result<ExitCode, Failure>;

/// What went wrong: any room's error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Assembles environments straight from lockfiles, the same to the byte each time.
#[derive(Debug, Parser)]
#[command(name = "lockwright", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Say more: -v for decisions, -vv for everything. RUST_LOG overrides it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Change to this folder first
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "UV_WORKING_DIR",
        hide_env_values = true
    )]
    directory: Option<Utf8PathBuf>,
    /// Draw no progress bars
    #[arg(long, global = true, hide = true, env = "UV_NO_PROGRESS",
          value_parser = clap::builder::FalseyValueParser::new())]
    no_progress: bool,
    /// Colours: auto, always or never
    #[arg(long, global = true, hide = true, value_name = "WHEN")]
    color: Option<clap::ColorChoice>,
}

impl Global {
    /// Sets what the whole run goes by.
    fn begin(&self) -> Result<(), Failure> {
        if let Some(folder) = &self.directory {
            let moved = std::env::set_current_dir(folder);
            moved.map_err(|error| format!("cannot go to {folder} (--directory): {error}"))?;
        }
        if self.no_progress {
            progress::be_quiet();
        }
        match self.color {
            Some(clap::ColorChoice::Always) => anstream::ColorChoice::Always.write_global(),
            Some(clap::ColorChoice::Never) => anstream::ColorChoice::Never.write_global(),
            Some(clap::ColorChoice::Auto) | None => {}
        }
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Sync(sync_args::SyncArgs),
    BuildLock(build_lock::BuildLockArgs),
    Build(build::ComponentArgs),
    Fetch(fetch::FetchArgs),
    Hash(hash::HashArgs),
    Image(Box<image::ImageArgs>),
    Init(init::InitArgs),
    Plan(plan::PlanArgs),
    Diff(Box<diff::DiffArgs>),
    Audit(Box<audit::AuditArgs>),
    Complete(Box<complete::CompleteArgs>),
    Verify(Box<verify::VerifyArgs>),
    Repro(repro::ReproArgs),
    Export(Box<export::ExportCommand>),
    Refs(refs::RefsArgs),
    Patch(patch::PatchArgs),
    Seal(seal::SealArgs),
    Restore(restore::RestoreArgs),
    Elf(elf::ElfArgs),
    Store(store::StoreCommand),
    Wheel(Box<wheel::WheelArgs>),
    Config(settings::ConfigArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
    Sandbox(sandbox::SandboxArgs),
    #[command(name = "__sandbox", hide = true)]
    Stage {
        stage: String,
    },
    #[command(name = "__sweep", hide = true)]
    Sweep,
}

/// Parses the process's arguments, runs the command and prints its error.
pub fn main() -> ExitCode {
    // Where a shell asks what may come next, this answers and ends.
    clap_complete::CompleteEnv::with_factory(help::command)
        .var(completions::VARIABLE)
        .complete();
    // A terminal that nobody sees, as in CI, ends up in a log: colours go there by force alone.
    let is_forced = std::env::var_os("CLICOLOR_FORCE").is_some_and(|said| said != "0");
    if !progress::is_watched() && !is_forced {
        anstream::ColorChoice::Never.write_global();
    }
    // What this program starts of itself has its arguments from it alone.
    let is_own = std::env::args_os()
        .nth(1)
        .is_some_and(|word| word.as_encoded_bytes().starts_with(b"__"));
    let settings = match is_own {
        true => Ok(settings::Settings::new()),
        false => settings::read(),
    };
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => {
            say(error.as_ref());
            return ExitCode::from(1);
        }
    };
    let matches = match settings::apply(help::command(), &settings).try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return words::refuse(error),
    };
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if let Err(error) = cli.global.begin() {
        say(error.as_ref());
        return ExitCode::from(1);
    }
    start_log(&cli.global);
    if !matches!(cli.command, Command::Stage { .. } | Command::Sweep) {
        signals::heed();
    }
    let outcome = healing::healing(|| run(&cli), || cli.command.store());
    match outcome {
        Ok(code) => code,
        Err(error) => {
            say(error.as_ref());
            ExitCode::from(1)
        }
    }
}

fn run(cli: &Cli) -> Outcome {
    match &cli.command {
        Command::Sync(args) => match &args.plan {
            Some(plan) => sync_plan::run(args, plan, &cli.global),
            None => sync::run(args, &cli.global),
        },
        Command::BuildLock(args) => build_lock::run(args, &cli.global),
        Command::Build(args) => build::run(args, &cli.global),
        Command::Fetch(args) => fetch::run(args, &cli.global),
        Command::Hash(args) => hash::run(args),
        Command::Image(args) => image::run(args, &cli.global),
        Command::Init(args) => init::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Diff(args) if args.comment => diff_comment::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Complete(args) => complete::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Repro(args) => repro::run(args),
        Command::Export(args) => export::run(args),
        Command::Refs(args) => refs::run(args),
        Command::Patch(args) => patch::run(args),
        Command::Seal(args) => seal::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Elf(args) => elf::run(args),
        Command::Store(args) => store::run(args, &cli.global),
        Command::Wheel(args) => wheel::run(args, &cli.global),
        Command::Config(args) => settings::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::Sandbox(args) => sandbox::run(args),
        Command::Sweep => Ok(scratch::sweep_named().map(|()| ExitCode::SUCCESS)?),
        Command::Stage { stage } => Ok(crate::install::build::sandbox::stage(stage)),
    }
}

impl Command {
    /// The store that the command has opened to take artifacts from.
    fn store(&self) -> Option<Store> {
        let network = match self {
            Self::Sync(args) => &args.network,
            Self::BuildLock(args) => &args.network,
            Self::Build(args) => &args.network,
            Self::Fetch(args) => &args.network,
            Self::Image(args) => &args.lock.network,
            Self::Wheel(args) => &args.network,
            Self::Export(args) => args.network()?,
            Self::Diff(args) => &args.network,
            _ => return None,
        };
        network.opened()
    }
}

/// Prints a result on standard output. A reader that has gone away is no error.
fn print(text: &str) -> std::io::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// A path from the root, with no `..` in it: those are followed now, as the kernel does.
fn absolute(path: &Utf8Path) -> std::io::Result<Utf8PathBuf> {
    let absolute = camino::absolute_utf8(path)?;
    let parts: Vec<Utf8Component<'_>> = absolute.components().collect();
    let last = parts
        .iter()
        .rposition(|part| *part == Utf8Component::ParentDir);
    let Some((above, below)) = last.and_then(|last| parts.split_at_checked(last + 1)) else {
        return Ok(absolute);
    };
    let above: Utf8PathBuf = above.iter().collect();
    // What is not there has a path all the same, for errors to name.
    Ok(match above.canonicalize_utf8() {
        Ok(above) => above.join(below.iter().collect::<Utf8PathBuf>()),
        Err(_) => absolute,
    })
}

/// Locks of other tools: what they are, and how what they lock is obtained here.
const OTHERS: [(&str, &str, &str); 8] = [
    ("yarn.lock", "is Yarn's", NPM),
    ("pnpm-lock.yaml", "is pnpm's", NPM),
    ("bun.lock", "is Bun's", NPM),
    ("bun.lockb", "is Bun's", NPM),
    (
        "poetry.lock",
        "is Poetry's",
        "pylock.toml is, which `poetry export --format pylock.toml --output pylock.toml` makes (with \
         poetry-plugin-export), and uv.lock: `uvx migrate-to-uv` takes a project over",
    ),
    (
        "pdm.lock",
        "is PDM's",
        "pylock.toml is, which `pdm export --format pylock --output pylock.toml` makes, and \
         uv.lock: make it with `uv lock`",
    ),
    (
        "Pipfile.lock",
        "is Pipenv's",
        "uv.lock is: `uvx migrate-to-uv` takes a project over",
    ),
    (
        "requirements.txt",
        "is a list of requirements",
        "pylock.toml is: `uv pip compile requirements.txt --universal --output-file pylock.toml` \
         makes it",
    ),
];

const NPM: &str = "npm's package-lock.json is: make it with `npm install --package-lock-only`";

/// What is said of another tool's lock.
fn other_lock(file: &Utf8Path) -> Option<String> {
    let name = file.file_name().unwrap_or_default();
    let is_list = name.ends_with(".txt") && name.contains("requirements");
    let known = match name {
        _ if is_list => "requirements.txt",
        name => name,
    };
    let found = OTHERS.iter().find(|(other, ..)| *other == known);
    found.map(|(_, what, remedy)| format!("{file} {what} and is not read; {remedy}"))
}

/// The same of a folder's, in brackets; nothing where it has none.
fn other_in(folder: &Utf8Path) -> String {
    let files = OTHERS.iter().map(|(name, ..)| folder.join(name));
    let mut files = files.filter(|file| file.is_file());
    let other = files.find_map(|file| other_lock(&file));
    other.map_or_else(String::new, |other| format!(" ({other})"))
}

/// The lock that is meant by a folder or a lock's own path.
fn find_lock(path: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let absolute = absolute(path)?;
    if absolute.is_file() {
        if let Some(other) = other_lock(&absolute) {
            return Err(other.into());
        }
        return match absolute.extension() {
            Some("py") => lock_of_script(&absolute),
            _ => Ok(absolute),
        };
    }
    let locks = ["uv.lock", "pylock.toml"].map(|name| absolute.join(name));
    if let Some(lock) = locks.into_iter().find(|lock| lock.is_file()) {
        return Ok(lock);
    }
    let project = absolute.join("pyproject.toml").is_file();
    let other = other_in(&absolute);
    Err(if !absolute.exists() {
        format!(
            "there is no {path}: give a project's folder, its uv.lock, pylock.toml or \
             package-lock.json"
        )
        .into()
    } else if project {
        format!("{absolute} has a pyproject.toml and no uv.lock: make it with `uv lock`{other}")
            .into()
    } else if absolute.join("package.json").is_file() {
        format!(
            "{absolute} has a package.json and no package-lock.json: make it with `npm install \
             --package-lock-only`{other}"
        )
        .into()
    } else {
        format!(
            "{absolute} has none of uv.lock, pylock.toml and package-lock.json: give a project's \
             folder, or its lock{other}"
        )
        .into()
    })
}

/// The lock of a script that says itself what it needs (PEP 723), as uv has it beside the script.
fn lock_of_script(script: &Utf8Path) -> Result<Utf8PathBuf, Failure> {
    let lock = Utf8PathBuf::from(format!("{script}.lock"));
    match lock.is_file() {
        true => Ok(lock),
        false => {
            Err(format!("{script} has no lock: make it with `uv lock --script {script}`").into())
        }
    }
}

/// Says which of two locks of one folder is taken, and how the other is.
fn say_of_both(path: &Utf8Path) -> std::io::Result<()> {
    let folder = absolute(path)?;
    let other = ["npm-shrinkwrap.json", "package-lock.json"].map(|name| folder.join(name));
    let Some(npm) = other.iter().find(|lock| lock.is_file()) else {
        return Ok(());
    };
    let pylock = folder.join("pylock.toml");
    let (taken, other) = match folder.join("uv.lock").is_file() {
        true => ("uv.lock", npm),
        false if pylock.is_file() => (npm.file_name().unwrap_or_default(), &pylock),
        false => return Ok(()),
    };
    eprintln!(
        "This folder has two locks, and {taken} is used; for the other, give its path: {other}"
    );
    Ok(())
}

/// Whether a path is meant as a lockwright.toml, whatever it is called, and not as a project or a lock.
fn is_manifest(path: &Utf8Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    path.extension() == Some("toml") && name != "pyproject.toml" && !is_pylock(name)
}

/// An npm lock that is meant by its own path, or by a folder that has no uv.lock.
fn find_npm_lock(path: &Utf8Path) -> Result<Option<Utf8PathBuf>, Failure> {
    let absolute = absolute(path)?;
    if absolute.is_file() {
        return Ok((absolute.extension() == Some("json")).then_some(absolute));
    }
    if absolute.join("uv.lock").is_file() {
        return Ok(None);
    }
    // npm prefers the one that is published.
    let locks = ["npm-shrinkwrap.json", "package-lock.json"].map(|name| absolute.join(name));
    Ok(locks.into_iter().find(|lock| lock.is_file()))
}

/// Says why the run failed; where nobody can be told, its exit code says that it did.
fn say(error: &(dyn Error + 'static)) {
    let _ = writeln!(anstream::stderr(), "{}", sentences(error));
}

/// `error: …` and, indented below it, what caused it. Only the first word is coloured, and only
/// where the screen can.
fn sentences(error: &(dyn Error + 'static)) -> String {
    let style = clap::builder::styling::Styles::styled();
    let red = style.get_error();
    // A lock or a log may hold what turns a terminal upside down.
    let error_text = foreign::shown_lines(&error.to_string());
    let mut text = format!("{red}error:{red:#} {error_text}");
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = foreign::shown_lines(&error.to_string());
        // Some say their cause themselves.
        if !text.ends_with(&said) {
            text.push_str(&format!("\n  caused by: {said}"));
        }
        cause = error.source();
    }
    text
}

/// Whether standard error takes colours: it is a terminal that can, and `NO_COLOR`, `CLICOLOR` and
/// `CLICOLOR_FORCE` say nothing else.
fn may_color() -> bool {
    let stderr = std::io::stderr();
    anstream::AutoStream::choice(&stderr) != anstream::ColorChoice::Never
}

fn start_log(global: &Global) {
    if global.quiet {
        progress::be_quiet();
    }
    let default = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "lockwright=info",
        (_, 2) => "lockwright=debug",
        _ => "trace",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    // A second subscriber can only be there in tests; theirs stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(may_color())
        .try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_no_dots_in_it_and_goes_where_the_kernel_does() {
        let temp = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(temp.path())
            .unwrap()
            .canonicalize_utf8()
            .unwrap();
        std::fs::create_dir_all(root.join("far/away")).unwrap();
        std::os::unix::fs::symlink("far/away", root.join("link")).unwrap();
        let of = |path: &str| absolute(&root.join(path)).unwrap();
        assert_eq!(of("far/../new/uv.lock"), root.join("new/uv.lock"));
        assert_eq!(of("link/../uv.lock"), root.join("far/uv.lock"));
        assert_eq!(of("nowhere/../uv.lock"), root.join("nowhere/../uv.lock"));
    }
}
