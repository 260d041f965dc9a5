//! Arguments that say how sources are built.

use std::collections::BTreeMap;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::{Args, ValueEnum};
use pep508_rs::PackageName;

use super::Failure;
use super::built_wheel::BuiltWheel;
use crate::decide::lock::build_settings::{BuildSettings, ConfigValue};
use crate::decide::manifest::Manifest;
use crate::install::build::sandbox::Mode;
use crate::install::build::{Anew, BuildOptions, lock_project};
use crate::obtain::store::Store;

/// The folder of a project's build lock, beside its lock, where nothing else is said.
pub const FOLDER: &str = "build";

/// How sources are built.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "How sources are built")]
pub struct BuildArgs {
    /// The uv.lock with the build requirements, a dependency group for each package [default:
    /// `lock` in `[build]` of the lockwright.toml beside the lock, or else build/uv.lock there]
    #[arg(long, value_name = "FILE")]
    build_lock: Option<Utf8PathBuf>,
    /// An environment variable for the build of a package (repeatable)
    #[arg(long, value_name = "NAME:VAR=VALUE")]
    build_env: Vec<Variable>,
    /// Whether builds are contained: no network, and only system folders in sight
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    sandbox: When,
    /// How many seconds a build may take
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    build_timeout: u64,
    /// A command that builds instead of the PEP 517 front end: it gets the source's folder, the
    /// folder for the wheel and a JSON file with the request. It is not contained
    #[arg(long, value_name = "CMD")]
    build_hook: Option<String>,
    /// A config setting for all build back ends (repeatable)
    #[arg(long, short = 'C', value_name = "KEY=VALUE", alias = "config-settings")]
    config_setting: Vec<Setting>,
    /// A config setting for the build back end of one package (repeatable)
    #[arg(long, value_name = "NAME:KEY=VALUE", alias = "config-setting-package")]
    config_settings_package: Vec<Variable>,
    /// Build in the project's own environment
    #[arg(long, env = "UV_NO_BUILD_ISOLATION",
          value_parser = clap::builder::FalseyValueParser::new())]
    no_build_isolation: bool,
    /// Build this package in the project's own environment (repeatable)
    #[arg(long, value_name = "NAME")]
    no_build_isolation_package: Vec<PackageName>,
    /// A folder with a wheel that `lockwright wheel` built, used instead of building the same
    /// (repeatable)
    #[arg(long, value_name = "DIR")]
    built: Vec<Utf8PathBuf>,
    /// Keep the folder of a build that failed
    #[arg(long)]
    keep_failed: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum When {
    /// Always, or fail
    Require,
    /// If the kernel allows it, with a warning if not
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

/// `KEY=VALUE`.
#[derive(Debug, Clone)]
struct Setting {
    key: String,
    value: String,
}

impl std::str::FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok(Self {
                key: key.into(),
                value: value.into(),
            }),
            _ => Err("it is not of the form KEY=VALUE, as in editable_mode=compat".into()),
        }
    }
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
    pub fn options(&self, lock: &Utf8Path) -> Result<BuildOptions, Failure> {
        let beside = lock.with_file_name("lockwright.toml");
        let said = if beside.is_file() {
            Manifest::load(&beside)?.build
        } else {
            crate::decide::manifest::BuildDefaults::default()
        };
        let mut options = self.own()?;
        options.root = beside.with_file_name("");
        for (name, build) in said.packages {
            let name: PackageName = name
                .parse()
                .map_err(|_| format!("{beside}: [build.{name}] is not named after a package"))?;
            let mut values = build.env.values();
            let refers = values.any(|value| value.placeholders().next().is_some());
            if refers || !build.patch.is_empty() || !build.inputs.is_empty() {
                return Err(format!(
                    "{beside}: `patch`, `inputs` and placeholders of [build.{name}] are for components, \
                     which `lockwright build` makes"
                )
                .into());
            }
            let own = options.environment.entry(name).or_default();
            for (variable, value) in build.env {
                own.entry(variable).or_insert(value.into());
            }
        }
        if options.lock.is_none() {
            options.lock = said.lock.map(|file| beside.with_file_name("").join(file));
        }
        let folder = beside.with_file_name(FOLDER);
        if options.lock.is_none() && lock_project::is_ours(&folder) {
            options.lock = Some(folder.join("uv.lock")).filter(|lock| lock.is_file());
        }
        Ok(options)
    }

    /// The wheels that were built before.
    ///
    /// # Errors
    /// When a folder has none.
    pub fn built(&self) -> Result<Vec<BuiltWheel>, Failure> {
        self.built
            .iter()
            .map(|folder| BuiltWheel::read(folder))
            .collect()
    }

    /// Puts the wheels that were built before in the store, where builds find them.
    ///
    /// # Errors
    /// When a folder has none, or it cannot be kept.
    pub fn take(&self, store: &Store) -> Result<(), Failure> {
        self.built()?.iter().try_for_each(|given| given.keep(store))
    }

    /// What they mean by themselves, whatever a lockwright.toml says.
    ///
    /// # Errors
    /// When the current folder, or this program, cannot be found.
    pub fn own(&self) -> Result<BuildOptions, Failure> {
        let mut environment: BTreeMap<PackageName, BTreeMap<String, String>> = BTreeMap::new();
        for variable in self.build_env.iter().cloned() {
            let own = environment.entry(variable.package).or_default();
            own.insert(variable.name, variable.value);
        }
        let lock = self.build_lock.as_deref().map(super::absolute);
        let mut settings = BuildSettings {
            no_build_isolation: self.no_build_isolation.then_some(true),
            no_build_isolation_package: self.no_build_isolation_package.clone(),
            ..BuildSettings::default()
        };
        for Setting { key, value } in &self.config_setting {
            let value = ConfigValue::One(value.clone());
            settings.config_settings.add(key, value);
        }
        for variable in &self.config_settings_package {
            let package = variable.package.clone();
            let own = settings.config_settings_package.entry(package).or_default();
            own.add(&variable.name, ConfigValue::One(variable.value.clone()));
        }
        Ok(BuildOptions {
            root: Utf8PathBuf::new(),
            lock: lock.transpose()?,
            answers: None,
            environment,
            changes: BTreeMap::new(),
            settings,
            hook: self.build_hook.clone(),
            sandbox: match self.sandbox {
                When::Require => Mode::Require,
                When::Auto => Mode::Auto,
                When::Off => Mode::Off,
            },
            limit: Duration::from_secs(self.build_timeout),
            keep_failed: self.keep_failed,
            anew: Anew::Nothing,
            quiet: false,
            this: Utf8PathBuf::try_from(std::env::current_exe()?)?,
        })
    }
}
