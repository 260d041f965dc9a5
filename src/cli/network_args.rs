//! Arguments that say where artifacts come from and are kept.

use camino::Utf8PathBuf;
use clap::Args;

use super::Failure;
use crate::fetch::credentials::Credentials;
use crate::fetch::mirrors::{Mirror, Mirrors};
use crate::fetch::{Options, Patience};
use crate::store::Store;

/// Where from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Where artifacts come from")]
pub struct NetworkArgs {
    /// The store of verified artifacts [default: ~/.cache/lockwright]
    #[arg(long, value_name = "DIR", env = "LOCKWRIGHT_STORE")]
    store: Option<Utf8PathBuf>,
    /// Open no socket: what is not in the store or a --find-links folder is an error
    #[arg(long, env = "UV_OFFLINE", value_parser = clap::builder::FalseyValueParser::new())]
    offline: bool,
    /// Ask TO for URLs that begin with FROM; the longest FROM wins (repeatable)
    #[arg(long, value_name = "FROM=TO")]
    mirror: Vec<Mirror>,
    /// A folder of artifacts that is looked through before the network (repeatable)
    #[arg(long, short = 'f', value_name = "DIR")]
    find_links: Vec<Utf8PathBuf>,
    /// How many downloads run at once
    #[arg(
        long,
        value_name = "N",
        default_value_t = 50,
        env = "UV_CONCURRENT_DOWNLOADS"
    )]
    concurrency: usize,
    /// Take this package's artifacts although the lock gives no digest for them (repeatable)
    #[arg(long, value_name = "NAME")]
    allow_unhashed: Vec<String>,
    /// Take md5 and sha1 for digests
    #[arg(long)]
    allow_weak_integrity: bool,
}

impl NetworkArgs {
    /// The store, opened.
    ///
    /// # Errors
    /// When its folder cannot be told or made.
    pub fn store(&self) -> Result<Store, Failure> {
        let root = match &self.store {
            Some(root) => camino::absolute_utf8(root)?,
            None => Store::default_root()?,
        };
        Ok(Store::open(&root)?)
    }

    /// How things are fetched.
    pub fn options(&self) -> Options {
        Options {
            offline: self.offline,
            mirrors: Mirrors::new(self.mirror.iter().cloned()),
            find_links: self.find_links.clone(),
            concurrency: self.concurrency,
            allow_unhashed: self.allow_unhashed.iter().cloned().collect(),
            allow_weak: self.allow_weak_integrity,
            credentials: Credentials::from_environment(&[]),
            patience: Patience::default(),
        }
    }
}
