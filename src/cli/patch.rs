//! `lockwright patch`: edits that fail with a sentence rather than do nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Failure, Outcome};
use crate::core::foreign;
use crate::files::tree::TreePath;
use crate::transform::patch::apps::Apps;
use crate::transform::patch::migration::{Added, Migration, MigrationError, add_dependency};
use crate::transform::patch::substitute::substitute;
use crate::transform::patch::unified::{self, Change};
use crate::transform::patch::{FileChange, write};

/// Edit text files: substitute, apply a unified diff, add a Django migration's dependency
#[derive(Debug, Args)]
pub struct PatchArgs {
    #[command(subcommand)]
    command: PatchCommand,
}

#[derive(Debug, Subcommand)]
enum PatchCommand {
    /// Replace a text, which must be there
    Substitute(SubstituteArgs),
    /// Apply a unified diff, completely or not at all
    Apply(ApplyArgs),
    /// Make a Django migration depend on another
    Migration(MigrationArgs),
}

#[derive(Debug, Args)]
struct SubstituteArgs {
    /// The file
    file: PathBuf,
    /// The text that is there
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    replace: String,
    /// The text to put there
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    with: String,
    /// How many times it must occur [default: at least once]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
}

#[derive(Debug, Args)]
struct ApplyArgs {
    /// The unified diff; `-` is standard input
    patch: PathBuf,
    /// The folder that its paths are relative to
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,
    /// How many leading parts are removed from its paths
    #[arg(short = 'p', long, value_name = "N", default_value_t = 1)]
    strip: usize,
    /// How many outer lines of context may differ
    #[arg(long, value_name = "N", default_value_t = 0)]
    fuzz: usize,
}

#[derive(Debug, Args)]
struct MigrationArgs {
    /// The migration's file
    file: PathBuf,
    /// The new dependency: an app's label and a migration's name
    #[arg(long, value_names = ["APP", "NAME"], num_args = 2, required = true)]
    depends_on: Vec<String>,
    /// Where the tree's apps are [default: the folder that the migration's app is imported from]
    #[arg(long, value_name = "DIR")]
    apps: Vec<PathBuf>,
}

/// Runs the command.
pub fn run(args: &PatchArgs) -> Outcome {
    match &args.command {
        PatchCommand::Substitute(args) => run_substitute(args),
        PatchCommand::Apply(args) => run_apply(args),
        PatchCommand::Migration(args) => run_migration(args),
    }
}

fn run_substitute(args: &SubstituteArgs) -> Outcome {
    let text = read(&args.file)?;
    let done = substitute(
        &text,
        args.replace.as_bytes(),
        args.with.as_bytes(),
        args.count,
    )
    .map_err(|error| format!("{}: {error}", args.file.display()))?;
    put(&args.file, done.bytes)?;
    let times = if done.count == 1 {
        "once"
    } else {
        &format!("{} times", done.count)
    };
    eprintln!("{}: replaced {times}", args.file.display());
    Ok(ExitCode::SUCCESS)
}

fn run_apply(args: &ApplyArgs) -> Outcome {
    let patch = if args.patch == Path::new("-") {
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::stdin().lock(), &mut bytes)?;
        bytes
    } else {
        read(&args.patch)?
    };
    let named = |error: unified::UnifiedError| format!("{}: {error}", args.patch.display());
    let patches = unified::parse(&patch, args.strip).map_err(named)?;
    let read = |path: &TreePath| match foreign::bytes(args.root.join(path.as_str())) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let changes = unified::apply(&patches, args.fuzz, read).map_err(named)?;
    let files: Vec<FileChange> = changes.iter().map(file_change).collect();
    write(&args.root, &files)?;
    for change in changes {
        let done = if change.bytes.is_some() {
            "patched"
        } else {
            "removed"
        };
        eprintln!("{done} {}", change.path);
        for note in change.notes {
            eprintln!("  {note}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn file_change(change: &Change) -> FileChange {
    FileChange {
        path: change.path.clone(),
        bytes: change.bytes.clone(),
        executable: change.executable,
        from: change.from.clone(),
    }
}

fn run_migration(args: &MigrationArgs) -> Outcome {
    let [app, name] = args.depends_on.as_slice() else {
        return Err("--depends-on takes an app's label and a migration's name".into());
    };
    let on = Migration {
        app: app.clone(),
        name: name.clone(),
    };
    if !args.file.is_file() {
        return Err(MigrationError::NoFile(args.file.clone()).into());
    }
    let named = |error: MigrationError| format!("{}: {error}", args.file.display());
    let text = String::from_utf8(read(&args.file)?)
        .map_err(|_| format!("{}: it is not UTF-8", args.file.display()))?;
    match add_dependency(&text, &on).map_err(named)? {
        Added::There(line) => {
            let file = args.file.display();
            eprintln!("{file}: line {line} has {on} already; nothing to do");
        }
        Added::Text(text) => {
            let file = args.file.canonicalize()?;
            let roots = if args.apps.is_empty() {
                vec![Apps::root_of(&file)]
            } else {
                args.apps.clone()
            };
            Apps::below(&roots)?.check(&file, &on).map_err(named)?;
            put(&args.file, text.into_bytes())?;
            eprintln!("{}: depends on {on} now", args.file.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    foreign::named(path).map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

/// Replaces one file in one step.
fn put(path: &Path, bytes: Vec<u8>) -> Result<(), Failure> {
    let path = path.canonicalize()?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{} is not a file", path.display()).into());
    };
    let change = FileChange {
        path: TreePath::new(name.to_string_lossy())?,
        bytes: Some(bytes),
        executable: None,
        from: None,
    };
    Ok(write(folder, &[change])?)
}
