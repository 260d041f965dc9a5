//! What can be typed. Arguments are parsed here (as typed), turned into the rooms' own values (as
//! meant), and nothing reads the command line after that. One file a command.

use std::error::Error;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// What a command ends with: an exit code, or an error that [`main`] prints.
///
/// 0 is done, 1 failed (or differences found), 2 a usage error, which clap reports itself.
pub type Outcome = Result<ExitCode, Box<dyn Error + Send + Sync>>;

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
    /// Say more: -v what is decided, -vv everything. RUST_LOG overrides it
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {}

/// Parses the process's arguments, runs the command and prints its error.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli.global);
    let outcome: Outcome = match cli.command {};
    #[allow(unreachable_code)]
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{}", sentences(error.as_ref()));
            ExitCode::from(1)
        }
    }
}

/// `error: …` and, indented below it, what caused it.
fn sentences(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("\n  caused by: {error}"));
        cause = error.source();
    }
    text
}

fn start_log(global: &Global) {
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
        .try_init();
}
