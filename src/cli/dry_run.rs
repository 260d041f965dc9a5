//! `--dry-run` and `--check`.

use std::process::ExitCode;

use super::Outcome;

/// What a run does that changes nothing.
#[derive(Debug, Clone, Copy)]
pub(super) enum DryRun {
    /// It says what would be done.
    Say,
    /// It fails besides.
    Check,
}

impl DryRun {
    /// Says what would be done.
    ///
    /// # Errors
    /// When nothing should have to be done.
    pub(super) fn say(self, what: &str) -> Outcome {
        match self {
            Self::Say => {
                eprintln!("Would {what}");
                Ok(ExitCode::SUCCESS)
            }
            Self::Check => Err(format!("it is not up to date: sync would {what}").into()),
        }
    }
}
