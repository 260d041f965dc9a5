//! `lockwright sandbox`.

use std::fmt::Write as _;
use std::process::ExitCode;

use camino::Utf8PathBuf;
use clap::Args;
use serde_json::json;

use super::{Outcome, print, table};
use crate::core::foreign;
use crate::install::build::sandbox::{self, Level};

/// Show how builds, scripts and commands are contained on this machine, and why not further
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tries every line of defence, and says which hold. It fails where `--sandbox=require` would.
pub fn run(args: &SandboxArgs) -> Outcome {
    let this = Utf8PathBuf::try_from(std::env::current_exe()?)?;
    let found = sandbox::find(&this);
    let (network, home, outside) = match found.level {
        Level::Whole => (true, true, true),
        Level::Guarded => (true, true, false),
        Level::Open => (false, false, false),
    };
    if args.json {
        let text = json!({
            "level": found.level,
            "why": found.why,
            "satisfies_require": found.level.is_whole(),
            "no_network": network,
            "nothing_of_home_readable": home,
            "nothing_outside_writable": outside,
            "lines": found.lines,
        });
        print(&format!("{text:#}\n"))?;
    } else {
        let mut text = found
            .warning("builds and commands")
            .unwrap_or_else(|| "builds, scripts and commands are contained here: no network, nothing of home to read, nothing outside to write to".into());
        text = foreign::shown(&text);
        text.push_str("\n\n");
        let rows = found.lines.iter().map(|line| {
            let holds = if line.holds { "yes" } else { "no" };
            [
                holds.to_owned(),
                line.name.clone(),
                foreign::shown(&line.about),
            ]
        });
        let rows: Vec<[String; 3]> = rows.collect();
        write!(text, "{}", table::columns(&rows, None))?;
        print(&text)?;
    }
    Ok(match found.level.is_whole() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(1),
    })
}
