//! Arguments that say what an archive may amount to.

use clap::Args;

use super::units::size;
use crate::files::archive::Limits;

/// What is taken for a bomb.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits on archives")]
pub struct LimitArgs {
    /// The most that an archive may unpack to, such as 16G; all archives of a run together may
    /// unpack to four times that [default: 16G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    max_unpacked: Option<u64>,
    /// How many times its own size an archive may unpack to, beyond 64 MiB [default: 200]
    #[arg(long, value_name = "N")]
    max_ratio: Option<u64>,
}

impl LimitArgs {
    /// The limits.
    pub fn limits(&self) -> Limits {
        let usual = Limits::default();
        let total = self.max_unpacked.unwrap_or(usual.total);
        Limits {
            total,
            run: total.saturating_mul(4),
            member: usual.member.max(total / 2),
            ratio: self.max_ratio.unwrap_or(usual.ratio),
            ..usual
        }
    }
}
