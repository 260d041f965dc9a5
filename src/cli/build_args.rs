//! Arguments that say how sources are built.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use pep508_rs::PackageName;

use super::Failure;
use crate::build::Options;
use crate::build::sandbox::Mode;
use crate::manifest::Manifest;

/// How sources are built.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How sources are built")]
pub struct BuildArgs {
    /// The uv.lock with the build requirements, a dependency group for each package [default:
    /// `lock` in `[build]` of the lockwright.toml beside the lock]
    #[arg(long, value_name = "FILE")]
    build_lock: Option<Utf8PathBuf>,
    /// An environment variable for the build of a package (repeatable)
    #[arg(long, value_name = "NAME:VAR=VALUE")]
    build_env: Vec<Variable>,
    /// Whether builds are contained: without network and with system folders alone in sight
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    sandbox: When,
    /// How many seconds a build may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    build_timeout: u64,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum When {
    /// Always, or fail
    Require,
    /// Where the kernel allows it, and say where not
    #[default]
    Auto,
    /// Never
    Off,
}

/// `NAME:VAR=VALUE`.
#[derive(Debug, Clone)]
struct Variable {
    package: PackageName,
    name: String,
    value: String,
}

impl std::str::FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text
            .split_once(':')
            .and_then(|(package, rest)| Some((package.parse().ok()?, rest.split_once('=')?)));
        match parts {
            Some((package, (name, value))) if !name.is_empty() => Ok(Self {
                package,
                name: name.into(),
                value: value.into(),
            }),
            _ => Err("it is not of the form NAME:VAR=VALUE, as in gssapi:CFLAGS=-O1".into()),
        }
    }
}

impl BuildArgs {
    /// What they mean, with what the lockwright.toml beside a lock says.
    ///
    /// # Errors
    /// When that file is there and cannot be read.
    pub fn options(&self, lock: &Utf8Path) -> Result<Options, Failure> {
        let beside = lock.with_file_name("lockwright.toml");
        let said = if beside.is_file() {
            Manifest::load(&beside)?.build
        } else {
            crate::manifest::BuildDefaults::default()
        };
        let mut options = self.own()?;
        for (name, build) in said.packages {
            let name: PackageName = name
                .parse()
                .map_err(|_| format!("{beside}: [build.{name}] is not named after a package"))?;
            let own = options.environment.entry(name).or_default();
            for (variable, value) in build.env {
                own.entry(variable).or_insert(value);
            }
        }
        if options.lock.is_none() {
            options.lock = said.lock.map(|file| beside.with_file_name("").join(file));
        }
        Ok(options)
    }

    /// What they mean by themselves, whatever a lockwright.toml says.
    ///
    /// # Errors
    /// When the current folder, or this program, cannot be found.
    pub fn own(&self) -> Result<Options, Failure> {
        let mut environment: BTreeMap<PackageName, BTreeMap<String, String>> = BTreeMap::new();
        for variable in self.build_env.iter().cloned() {
            let own = environment.entry(variable.package).or_default();
            own.insert(variable.name, variable.value);
        }
        let lock = self.build_lock.as_deref().map(camino::absolute_utf8);
        Ok(Options {
            lock: lock.transpose()?,
            environment,
            sandbox: match self.sandbox {
                When::Require => Mode::Require,
                When::Auto => Mode::Auto,
                When::Off => Mode::Off,
            },
            limit: Duration::from_secs(self.build_timeout),
            this: Utf8PathBuf::try_from(std::env::current_exe()?)?,
        })
    }
}
