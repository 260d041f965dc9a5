//! `[tool.uv]`, as far as it decides how sources are built.
//!
//! The names and meanings are uv's (<https://docs.astral.sh/uv/reference/settings/>). Where settings
//! are said both of all packages and of one, both count, as `uv-configuration/src/config_settings.rs`
//! has it.

use std::collections::BTreeMap;

use pep508_rs::PackageName;
use serde::{Deserialize, Serialize};

/// How sources are built, by `[tool.uv]` or the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BuildSettings {
    /// `extra-build-dependencies`: what a package needs besides what it says.
    pub extra_build_dependencies: BTreeMap<PackageName, Vec<ExtraDependency>>,
    /// `extra-build-variables`: environment variables, by package.
    pub extra_build_variables: BTreeMap<PackageName, BTreeMap<String, String>>,
    /// `build-constraint-dependencies`: versions that build requirements must have where they are
    /// needed at all.
    pub build_constraint_dependencies: Vec<String>,
    /// `no-build-isolation`: everything is built in the project's own environment.
    pub no_build_isolation: Option<bool>,
    /// `no-build-isolation-package`: these are.
    pub no_build_isolation_package: Vec<PackageName>,
    /// `config-settings`: what every back end is told.
    pub config_settings: ConfigSettings,
    /// `config-settings-package`: what the back end of one package is told besides.
    pub config_settings_package: BTreeMap<PackageName, ConfigSettings>,
    /// `no-sources`: `[tool.uv.sources]` does not count.
    pub no_sources: Option<bool>,
    /// `no-sources-package`: not for these.
    pub no_sources_package: Vec<PackageName>,
}

/// An entry of `extra-build-dependencies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ExtraDependency {
    /// A requirement.
    Requirement(String),
    /// One whose version must be that of the environment itself.
    Matched {
        /// The requirement: a bare name, where it is matched.
        requirement: String,
        /// Whether it is.
        #[serde(default, rename = "match-runtime")]
        match_runtime: bool,
    },
}

impl ExtraDependency {
    /// The requirement, and whether its version is the environment's.
    pub fn parts(&self) -> (&str, bool) {
        match self {
            Self::Requirement(requirement) => (requirement, false),
            Self::Matched {
                requirement,
                match_runtime,
            } => (requirement, *match_runtime),
        }
    }
}

/// What a back end is told (PEP 517, "Config settings").
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigSettings(pub BTreeMap<String, ConfigValue>);

/// A setting's value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConfigValue {
    /// It was said once.
    One(String),
    /// It was said several times.
    Several(Vec<String>),
}

impl ConfigSettings {
    /// Adds a value: what was said before stays, and comes first.
    pub fn add(&mut self, key: &str, value: ConfigValue) {
        let value = match self.0.remove(key) {
            None => value,
            Some(before) => {
                let mut all = before.list();
                all.extend(value.list());
                ConfigValue::Several(all)
            }
        };
        self.0.insert(key.to_owned(), value);
    }

    /// Adds all of another's.
    pub fn extend(&mut self, other: &Self) {
        for (key, value) in &other.0 {
            self.add(key, value.clone());
        }
    }
}

impl ConfigValue {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(value) => vec![value],
            Self::Several(values) => values,
        }
    }
}

impl BuildSettings {
    /// These with others (the command line's) over them: lists and tables are joined, what is said
    /// once is replaced.
    #[must_use]
    pub fn under(mut self, over: &Self) -> Self {
        for (name, more) in &over.extra_build_dependencies {
            let own = self.extra_build_dependencies.entry(name.clone());
            own.or_default().extend(more.iter().cloned());
        }
        for (name, more) in &over.extra_build_variables {
            let own = self.extra_build_variables.entry(name.clone());
            own.or_default().extend(more.clone());
        }
        let constraints = over.build_constraint_dependencies.iter().cloned();
        self.build_constraint_dependencies.extend(constraints);
        self.no_build_isolation = over.no_build_isolation.or(self.no_build_isolation);
        let packages = over.no_build_isolation_package.iter().cloned();
        self.no_build_isolation_package.extend(packages);
        for (key, value) in &over.config_settings.0 {
            self.config_settings.0.insert(key.clone(), value.clone());
        }
        for (name, more) in &over.config_settings_package {
            let own = self.config_settings_package.entry(name.clone());
            own.or_default().0.extend(more.0.clone());
        }
        self
    }

    /// What the back end of a package is told: what is said of it, then what is said of all.
    pub fn config_settings(&self, package: &PackageName) -> ConfigSettings {
        let mut all = self
            .config_settings_package
            .get(package)
            .cloned()
            .unwrap_or_default();
        all.extend(&self.config_settings);
        all
    }

    /// Whether anything is said of how a package is built.
    pub fn says_of(&self, package: &PackageName) -> bool {
        let needs = self.extra_build_dependencies.get(package);
        let variables = self.extra_build_variables.get(package);
        needs.is_some_and(|needs| !needs.is_empty())
            || variables.is_some_and(|variables| !variables.is_empty())
            || !self.config_settings(package).0.is_empty()
    }

    /// Whether a package comes from where `[tool.uv.sources]` says, where it says so.
    pub fn has_sources(&self, package: &PackageName) -> bool {
        self.no_sources != Some(true) && !self.no_sources_package.contains(package)
    }

    /// Whether a package is built in an environment of its own.
    pub fn is_isolated(&self, package: &PackageName) -> bool {
        !(self.no_build_isolation == Some(true)
            || self.no_build_isolation_package.contains(package))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn all_of_uvs_settings_are_read() {
        let text = r#"
            build-constraint-dependencies = ["setuptools<81"]
            no-build-isolation-package = ["one"]
            config-settings = { all = "1", both = "2" }
            [extra-build-dependencies]
            one = ["numpy", { requirement = "torch", match-runtime = true }]
            [extra-build-variables]
            one = { MAX_JOBS = "1" }
            [config-settings-package]
            one = { both = ["3", "4"] }
        "#;
        let settings: BuildSettings = toml::from_str(text).unwrap();
        let one: PackageName = "one".parse().unwrap();
        let extra = &settings.extra_build_dependencies[&one];
        let parts: Vec<_> = extra.iter().map(ExtraDependency::parts).collect();
        assert_eq!(parts, [("numpy", false), ("torch", true)]);
        assert!(!settings.is_isolated(&one));
        assert!(settings.is_isolated(&"other".parse().unwrap()));
        let told = serde_json::to_string(&settings.config_settings(&one)).unwrap();
        assert_eq!(told, r#"{"all":"1","both":["3","4","2"]}"#);

        let mut over = BuildSettings::default();
        let two = ConfigValue::One("5".into());
        over.config_settings.0.insert("all".into(), two);
        over.no_build_isolation = Some(true);
        let both = settings.under(&over);
        let other: PackageName = "other".parse().unwrap();
        assert!(!both.is_isolated(&other));
        let told = serde_json::to_string(&both.config_settings(&other)).unwrap();
        assert_eq!(told, r#"{"all":"5","both":"2"}"#);
    }
}
