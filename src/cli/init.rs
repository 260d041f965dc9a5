//! `lockwright init`: a first lockwright.toml.

use std::io::Write as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;

use super::{Failure, Outcome, print};
use crate::component::{DraftError, draft};
use crate::core::temp_file::TempFile;
use crate::decide::manifest::{FILE_NAME, Manifest};

/// Write a first lockwright.toml for a project, from its locks and its workspace members' build
/// configurations
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The project's folder
    #[arg(default_value = ".")]
    folder: Utf8PathBuf,
    /// Print it instead of writing the file
    #[arg(long)]
    print: bool,
    /// Print the JSON schema of lockwright.toml, for editors
    #[arg(long, conflicts_with = "print")]
    schema: bool,
}

/// Runs the command.
pub fn run(args: &InitArgs) -> Outcome {
    if args.schema {
        let text = serde_json::to_string_pretty(&Manifest::schema())?;
        print(&format!("{text}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let folder = super::absolute(&args.folder)?;
    let text = draft(&folder).map_err(|error| -> Failure {
        match error {
            DraftError::Nothing(_) => format!("{error}{}", super::other_in(&folder)).into(),
            error @ DraftError::Lock(_) => error.into(),
        }
    })?;
    if args.print {
        print(&text)?;
        return Ok(ExitCode::SUCCESS);
    }
    let file = folder.join(FILE_NAME);
    if file.exists() {
        return Err(format!("{file} is there already: remove it first, or look at --print").into());
    }
    let mut staged = TempFile::beside(&file, Some(0o644))?;
    staged.write_all(text.as_bytes())?;
    staged.persist_noclobber(&file)?;
    eprintln!("{file}: drafted; see what it would make with `lockwright build --explain`");
    Ok(ExitCode::SUCCESS)
}
