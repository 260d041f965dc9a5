//! Arguments that say what a project asks of its locks, and who knows of vulnerabilities.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use jiff::Timestamp;
use url::Url;

use super::Failure;
use super::diff_input::{Lock, What};
use super::lock_targets::LockTargetArgs;
use super::network_args::NetworkArgs;
use crate::core::foreign;
use crate::core::progress::Progress;
use crate::decide::manifest::{Age, Manifest, Review};
use crate::inspect::diff::facts::{Ecosystem, LockFacts, OriginKind};
use crate::inspect::diff::npm;
use crate::inspect::osv::{self, Advisories};
use crate::inspect::policy::Policy;
use crate::obtain::fetch::FetchOptions;
use crate::obtain::fetch::document::Library;
use crate::obtain::source::show::show;

/// Rules for a lock.
#[derive(Debug, Args)]
#[command(next_help_heading = "Rules for a lock")]
pub struct ReviewArgs {
    /// Raise an alarm for files published less than this long ago: 7d, 36h; for one package, NAME=3d
    /// (repeatable)
    #[arg(long, value_name = "[NAME=]SPAN", value_delimiter = ',')]
    min_age: Vec<String>,
    /// The lockwright.toml whose table `review` has the rules, or REV:path for one of a git revision
    /// [default: the one beside the lock, or above it]
    #[arg(long, value_name = "FILE")]
    policy: Option<String>,
    /// Known vulnerabilities in the OSV format: a folder or zip archive of JSON files, or the URL of a
    /// server that speaks OSV's API
    #[arg(long, value_name = "PLACE")]
    osv: Option<String>,
    /// Keep what indexes answer in this folder; with --offline, take it from there
    #[arg(long, value_name = "DIR")]
    snapshot: Option<Utf8PathBuf>,
    /// The index for Python packages whose index the lock does not name
    #[arg(
        long,
        value_name = "URL",
        env = "UV_DEFAULT_INDEX",
        hide_env_values = true
    )]
    default_index: Option<String>,
    /// The time that ages are computed for [default: now]
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
}

impl ReviewArgs {
    /// What is asked of this lock.
    ///
    /// # Errors
    /// When a file cannot be read, or says what cannot be followed.
    pub fn policy(&self, lock: &Lock) -> Result<Policy, Failure> {
        let (mut review, said) = match &self.policy {
            Some(named) => (of_file(named)?, named.clone()),
            None => match beside(lock) {
                Some(file) => (of_file(file.as_str())?, file.into_string()),
                None => (Review::default(), String::new()),
            },
        };
        for word in &self.min_age {
            match word.split_once('=') {
                Some((name, age)) => {
                    review.min_age_of.insert(name.to_owned(), age.parse()?);
                }
                None => review.min_age = Some(word.parse::<Age>()?),
            }
        }
        let now = match &self.as_of {
            None => Timestamp::now(),
            Some(text) => moment(text)?,
        };
        Policy::new(review, now).map_err(|why| format!("{said}: {why}").into())
    }

    /// How the artifacts and pages of a lock's packages are obtained. What the lock does not say of where
    /// they are is put in: the index, or the registry that npm would ask.
    ///
    /// # Errors
    /// When npm's settings cannot be read.
    pub fn locate(
        &self,
        lock: &Lock,
        facts: &mut LockFacts,
        (target, network): (&LockTargetArgs, &NetworkArgs),
    ) -> Result<FetchOptions, Failure> {
        if facts.ecosystem == Ecosystem::Npm {
            let npmrc = target.npmrc(lock)?;
            npm::locate(facts, &npmrc);
            return Ok(network.options(&[]).with_npmrc(&npmrc)?);
        }
        if let Some(index) = &self.default_index {
            // An index may be given as NAME=URL.
            let named = index.split_once('=');
            let url = named.filter(|(name, _)| !name.contains("://"));
            let url = url.map_or(index.as_str(), |(_, url)| url);
            let packages = facts.packages.values_mut().flatten();
            for package in packages.filter(|one| one.origin.kind == OriginKind::Registry) {
                if package.origin.place.is_empty() {
                    url.trim_end_matches('/')
                        .clone_into(&mut package.origin.place);
                }
            }
        }
        Ok(match &lock.what {
            What::Python(_, settings) => network.options(&settings.indexes),
            What::Npm(_) | What::Other(..) => network.options(&[]),
        })
    }

    /// What indexes are asked by.
    pub fn library<'a>(&'a self, options: &'a FetchOptions) -> Library<'a> {
        Library {
            options,
            snapshot: self.snapshot.as_deref(),
        }
    }

    /// Whether somebody is to be asked about packages.
    pub fn needs_packages(&self) -> bool {
        self.osv.is_some()
    }

    /// What is known of the packages of these locks; nothing where nobody was named.
    ///
    /// # Errors
    /// When it cannot be read or asked for.
    pub fn advisories(
        &self,
        ecosystem: Ecosystem,
        locks: &[&LockFacts],
        library: &Library<'_>,
        progress: &Progress,
    ) -> Result<Option<Advisories>, Failure> {
        let Some(place) = &self.osv else {
            return Ok(None);
        };
        let packages = osv::packages(locks.iter().copied());
        let url = Url::parse(place).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https"));
        Ok(Some(match url {
            Some(url) => Advisories::ask(&url, ecosystem, &packages, library, progress)?,
            None => Advisories::read(Utf8Path::new(place), ecosystem, &packages)?,
        }))
    }
}

/// A time, or a day's beginning.
fn moment(text: &str) -> Result<Timestamp, Failure> {
    let whole = text.parse::<Timestamp>();
    let parsed = whole.or_else(|_| format!("{text}T00:00:00Z").parse());
    parsed.map_err(|_| {
        format!("--as-of {text} is not a time: write it as 2026-11-30 or 2026-11-30T12:00:00Z")
            .into()
    })
}

/// The lockwright.toml of the lock's folder, or of one above it in the same repository.
fn beside(lock: &Lock) -> Option<Utf8PathBuf> {
    let folder = camino::absolute_utf8(lock.what.folder()).ok()?;
    let folder = match folder.is_dir() {
        true => folder,
        // A revision's has no folder.
        false => camino::absolute_utf8(".").ok()?,
    };
    for folder in folder.ancestors() {
        let file = folder.join("lockwright.toml");
        if file.is_file() {
            return Some(file);
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

fn of_file(named: &str) -> Result<Review, Failure> {
    let file = Utf8Path::new(named);
    let text = match (file.exists(), named.contains(':')) {
        (false, true) => {
            String::from_utf8(show(named)?).map_err(|_| format!("{named} is not UTF-8"))?
        }
        _ => foreign::named(file)
            .and_then(foreign::utf8)
            .map_err(|error| format!("cannot read {named}: {error}"))?,
    };
    Ok(Manifest::parse(&text, file)?.review)
}
