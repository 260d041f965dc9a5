//! npm's settings as flags: each stands above what `.npmrc` and the environment say.

use clap::Args;

/// npm's settings, as its command line takes them.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Of a package-lock.json")]
pub struct NpmFlags {
    /// Ignore peer dependencies, as npm 6 did
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    legacy_peer_deps: Option<bool>,
    /// Refuse packages whose peer dependencies do not fit
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    strict_peer_deps: Option<bool>,
    /// Refuse packages that are for another Node version
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    engine_strict: Option<bool>,
    /// Make no links to programs in node_modules/.bin
    #[arg(long)]
    no_bin_links: bool,
    /// Which packages may come from git: all, none, or only those that the project asks for (root)
    #[arg(long, value_name = "WHOSE")]
    allow_git: Option<String>,
    /// Which packages may come from a URL outside the registry
    #[arg(long, value_name = "WHOSE")]
    allow_remote: Option<String>,
    /// Which packages may come from a local file
    #[arg(long, value_name = "WHOSE")]
    allow_file: Option<String>,
    /// Which packages may come from a local folder
    #[arg(long, value_name = "WHOSE")]
    allow_directory: Option<String>,
    #[arg(long, hide = true)]
    production: bool,
    #[arg(long, hide = true)]
    no_optional: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    bin_links: Option<bool>,
    // Nothing is asked of the registry, and nothing is said that these could still.
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    audit: Option<bool>,
    #[arg(long, hide = true)]
    no_audit: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    fund: Option<bool>,
    #[arg(long, hide = true)]
    no_fund: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    foreground_scripts: Option<bool>,
}

impl NpmFlags {
    /// What they set.
    pub fn settings(&self) -> Vec<(&'static str, String)> {
        let switches = [
            ("legacy-peer-deps", self.legacy_peer_deps),
            ("strict-peer-deps", self.strict_peer_deps),
            ("engine-strict", self.engine_strict),
            ("bin-links", self.bin_links),
            ("bin-links", self.no_bin_links.then_some(false)),
            ("production", self.production.then_some(true)),
            ("optional", self.no_optional.then_some(false)),
        ];
        let words = [
            ("allow-git", &self.allow_git),
            ("allow-remote", &self.allow_remote),
            ("allow-file", &self.allow_file),
            ("allow-directory", &self.allow_directory),
        ];
        let switches = switches
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?.to_string())));
        let words = words
            .into_iter()
            .filter_map(|(key, value)| Some((key, value.clone()?)));
        switches.chain(words).collect()
    }
}
