//! What `pyproject.toml` beside a `uv.lock` decides about installing from it.
//!
//! The lock alone says what may be installed; which groups are installed by default, and which
//! packages must be built, stands in `[tool.uv]` of `pyproject.toml` (or, for the latter, in a
//! `uv.toml` beside it, which then counts alone). What the project states of its dependencies is
//! read too, to tell whether the lock still [fits](super::staleness) it.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::{ExtraName, PackageName};
use serde::Deserialize;
use serde::de::IgnoredAny;
use url::Url;

use super::LockError;
use super::build_settings::BuildSettings;
use super::uv::GroupName;
use crate::core::foreign;
use crate::core::place::Place;

/// `[tool.uv]`, as far as it decides about installing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectSettings {
    /// `default-groups`; `dev` where it is not said.
    pub default_groups: DefaultGroups,
    /// `no-binary`.
    pub no_binary: Option<bool>,
    /// `no-binary-package`.
    pub no_binary_package: Vec<PackageName>,
    /// `no-build`.
    pub no_build: Option<bool>,
    /// `no-build-package`.
    pub no_build_package: Vec<PackageName>,
    /// `[[tool.uv.index]]`: the names and URLs of those that have both. Their logins are given by
    /// name, in `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`.
    pub indexes: Vec<(String, Url)>,
    /// How sources are built.
    pub build: BuildSettings,
}

/// The groups that are installed where the command line does not say otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultGroups {
    /// `default-groups = "all"`.
    All,
    /// These.
    These(Vec<GroupName>),
}

impl Default for DefaultGroups {
    fn default() -> Self {
        Self::These("dev".parse().into_iter().collect())
    }
}

/// A `pyproject.toml`.
#[derive(Debug, Default)]
pub struct Pyproject {
    /// `[tool.uv]`.
    pub settings: ProjectSettings,
    /// What it states of itself.
    pub(super) stated: Stated,
}

/// A project's own statements, in its own words.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Stated {
    pub(super) project: Option<Project>,
    #[serde(default)]
    pub(super) dependency_groups: BTreeMap<GroupName, Vec<GroupEntry>>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Project {
    pub(super) requires_python: Option<String>,
    #[serde(default)]
    pub(super) dependencies: Vec<String>,
    #[serde(default)]
    pub(super) optional_dependencies: BTreeMap<ExtraName, Vec<String>>,
    #[serde(default)]
    pub(super) dynamic: Vec<String>,
}

/// An entry of a dependency group (PEP 735).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum GroupEntry {
    Requirement(String),
    Include {
        #[serde(rename = "include-group")]
        group: GroupName,
    },
    Other(IgnoredAny),
}

#[derive(Debug, Deserialize, Default)]
struct Tool {
    #[serde(default)]
    uv: Uv,
}

// Of some tables only the names are asked for.
#[allow(clippy::zero_sized_map_values)]
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Uv {
    default_groups: Option<RawDefaultGroups>,
    dev_dependencies: Option<Vec<String>>,
    #[serde(default)]
    sources: BTreeMap<PackageName, IgnoredAny>,
    #[serde(default)]
    dependency_groups: BTreeMap<GroupName, GroupSettings>,
    #[serde(flatten)]
    settings: Settings,
}

#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct GroupSettings {
    requires_python: Option<String>,
}

/// What may also stand in `uv.toml`.
#[derive(Debug, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    #[serde(default)]
    index: Vec<Index>,
    no_binary: Option<bool>,
    #[serde(default)]
    no_binary_package: Vec<PackageName>,
    no_build: Option<bool>,
    #[serde(default)]
    no_build_package: Vec<PackageName>,
    #[serde(flatten)]
    build: BuildSettings,
}

#[derive(Debug, Deserialize)]
struct Index {
    name: Option<String>,
    url: Option<String>,
}

impl Index {
    /// `None` for one that nothing is known about: uv may take more for a URL than we do.
    fn named(self) -> Option<(String, Url)> {
        Some((self.name?, Url::parse(&self.url?).ok()?))
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RawDefaultGroups {
    All(String),
    These(Vec<GroupName>),
}

impl Stated {
    /// `tool.uv.dev-dependencies`, which older projects have in the group `dev`'s place.
    pub(super) fn dev_dependencies(&self) -> Option<&[String]> {
        self.tool.uv.dev_dependencies.as_deref()
    }

    /// Whether a package of this name does not come from an index, or from a certain one.
    pub(super) fn has_source(&self, name: &PackageName) -> bool {
        self.tool.uv.sources.contains_key(name)
    }

    /// `tool.uv.dependency-groups.NAME.requires-python`.
    pub(super) fn group_requires_python(&self) -> impl Iterator<Item = (&GroupName, &str)> {
        let groups = self.tool.uv.dependency_groups.iter();
        groups.filter_map(|(name, group)| Some((name, group.requires_python.as_deref()?)))
    }
}

impl ProjectSettings {
    /// Reads the files beside a lock; without any, uv's defaults hold.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn beside(lock: &Utf8Path) -> Result<Self, LockError> {
        Ok(Pyproject::beside(lock)?.unwrap_or_default().settings)
    }
}

impl Pyproject {
    /// Reads the file beside a lock, and the `uv.toml` beside it; `None` where there is none.
    ///
    /// # Errors
    /// When one is there and cannot be read.
    pub fn beside(lock: &Utf8Path) -> Result<Option<Self>, LockError> {
        if let Some(script) = script_of(lock) {
            return match read(&script)? {
                Some(text) => Self::parse(&inline(&text), &script).map(Some),
                None => Ok(None),
            };
        }
        let file = lock.with_file_name("pyproject.toml");
        let mut project = match read(&file)? {
            Some(text) => Some(Self::parse(&text, &file)?),
            None => None,
        };
        let file = lock.with_file_name("uv.toml");
        if let Some(text) = read(&file)? {
            let settings: Settings =
                toml::from_str(&text).map_err(|error| refuse(&file, &text, &error))?;
            let project = project.get_or_insert_default();
            project.settings.set(settings);
        }
        Ok(project)
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// With its place, when it is not TOML or a setting is of another kind.
    pub fn parse(text: &str, file: &Utf8Path) -> Result<Self, LockError> {
        let mut stated: Stated =
            toml::from_str(text).map_err(|error| refuse(file, text, &error))?;
        let at = |message: String| {
            let at = text.find("default-groups").unwrap_or(0);
            let place = Place::at(file, text, at);
            LockError::Syntax { place, message }
        };
        let uv = &mut stated.tool.uv;
        let default_groups = match uv.default_groups.take() {
            None => DefaultGroups::default(),
            Some(RawDefaultGroups::These(groups)) => DefaultGroups::These(groups),
            Some(RawDefaultGroups::All(word)) if word == "all" => DefaultGroups::All,
            Some(RawDefaultGroups::All(word)) => {
                return Err(at(format!(
                    "default-groups is `{word}`; it is \"all\" or a list of groups"
                )));
            }
        };
        let mut settings = ProjectSettings {
            default_groups,
            ..ProjectSettings::default()
        };
        settings.set(std::mem::take(&mut uv.settings));
        if let DefaultGroups::These(groups) = &settings.default_groups {
            let is_legacy = |group: &GroupName| {
                group.as_ref() == "dev" // which need not be there, and may be of an older kind
            };
            let known = |group: &&GroupName| {
                is_legacy(group) || stated.dependency_groups.contains_key(*group)
            };
            if let Some(group) = groups.iter().find(|group| !known(group)) {
                return Err(at(format!(
                    "tool.uv.default-groups names `{group}`, which [dependency-groups] does not define"
                )));
            }
        }
        Ok(Self { settings, stated })
    }
}

impl ProjectSettings {
    fn set(&mut self, settings: Settings) {
        self.no_binary = settings.no_binary;
        self.no_binary_package = settings.no_binary_package;
        self.no_build = settings.no_build;
        self.no_build_package = settings.no_build_package;
        self.indexes = (settings.index.into_iter())
            .filter_map(Index::named)
            .collect();
        self.build = settings.build;
    }
}

/// The script that a lock is of (uv calls it `SCRIPT.py.lock`).
fn script_of(lock: &Utf8Path) -> Option<Utf8PathBuf> {
    let script = lock.file_name()?.strip_suffix(".lock")?;
    script.ends_with(".py").then(|| lock.with_file_name(script))
}

/// What a script says of itself (PEP 723): the comments of its block `script`, as TOML. Lines before it
/// are empty, so that errors have the right place.
fn inline(text: &str) -> String {
    let mut is_inside = false;
    let mut is_over = false;
    let mut found = String::new();
    for line in text.lines() {
        match line.strip_prefix('#') {
            _ if is_over => break,
            Some(" /// script") if !is_inside => is_inside = true,
            Some(" ///") if is_inside => is_over = true,
            Some(rest) if is_inside => found.push_str(rest.strip_prefix(' ').unwrap_or(rest)),
            None if is_inside => break,
            _ => {}
        }
        found.push('\n');
    }
    found
}

fn read(file: &Utf8Path) -> Result<Option<String>, LockError> {
    match foreign::text(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LockError::Read {
            file: file.to_owned(),
            source,
        }),
    }
}

fn refuse(file: &Utf8Path, text: &str, error: &toml::de::Error) -> LockError {
    LockError::Syntax {
        place: Place::of_span(file, text, error.span()),
        message: error.message().trim_end().to_owned(),
    }
}
