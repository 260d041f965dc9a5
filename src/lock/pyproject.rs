//! What `pyproject.toml` beside a `uv.lock` decides about installing from it.
//!
//! The lock alone says what may be installed; which groups are installed by default, and which
//! packages must be built, stands in `[tool.uv]`. Everything else in the file is not read here.

use camino::Utf8Path;
use pep508_rs::PackageName;
use serde::Deserialize;
use url::Url;

use super::LockError;
use super::uv::GroupName;
use crate::place::Place;

/// `[tool.uv]`, as far as it decides about installing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectSettings {
    /// `default-groups`; `dev` where it is not said.
    pub default_groups: DefaultGroups,
    /// `no-binary`.
    pub no_binary: bool,
    /// `no-binary-package`.
    pub no_binary_package: Vec<PackageName>,
    /// `no-build`.
    pub no_build: bool,
    /// `no-build-package`.
    pub no_build_package: Vec<PackageName>,
    /// `[[tool.uv.index]]`: the names and URLs of those that have both. Their logins are given by
    /// name, in `UV_INDEX_<NAME>_USERNAME` and `_PASSWORD`.
    pub indexes: Vec<(String, Url)>,
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

#[derive(Deserialize, Default)]
struct Pyproject {
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize, Default)]
struct Tool {
    #[serde(default)]
    uv: Uv,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Uv {
    default_groups: Option<RawDefaultGroups>,
    #[serde(default)]
    index: Vec<Index>,
    #[serde(flatten)]
    build: Build,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Build {
    no_binary: Option<bool>,
    #[serde(default)]
    no_binary_package: Vec<PackageName>,
    no_build: Option<bool>,
    #[serde(default)]
    no_build_package: Vec<PackageName>,
}

#[derive(Deserialize)]
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

#[derive(Deserialize)]
#[serde(untagged)]
enum RawDefaultGroups {
    All(String),
    These(Vec<GroupName>),
}

impl ProjectSettings {
    /// Reads the file beside a lock; without one, uv's defaults hold.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn beside(lock: &Utf8Path) -> Result<Self, LockError> {
        let file = lock.with_file_name("pyproject.toml");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(&text, &file),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(LockError::Read { file, source }),
        }
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// With its place, when it is not TOML or a setting is of another kind.
    pub fn parse(text: &str, file: &Utf8Path) -> Result<Self, LockError> {
        let refuse = |span, message: &str| LockError::Syntax {
            place: Place::of_span(file, text, span),
            message: message.trim_end().to_owned(),
        };
        let project: Pyproject =
            toml::from_str(text).map_err(|error| refuse(error.span(), error.message()))?;
        let uv = project.tool.uv;
        let default_groups = match uv.default_groups {
            None => DefaultGroups::default(),
            Some(RawDefaultGroups::These(groups)) => DefaultGroups::These(groups),
            Some(RawDefaultGroups::All(word)) if word == "all" => DefaultGroups::All,
            Some(RawDefaultGroups::All(word)) => {
                let at = text.find("default-groups").unwrap_or(0);
                return Err(refuse(
                    Some(at..at),
                    &format!("default-groups is `{word}`; it is \"all\" or a list of groups"),
                ));
            }
        };
        Ok(Self {
            default_groups,
            no_binary: uv.build.no_binary.unwrap_or(false),
            no_binary_package: uv.build.no_binary_package,
            no_build: uv.build.no_build.unwrap_or(false),
            no_build_package: uv.build.no_build_package,
            indexes: uv.index.into_iter().filter_map(Index::named).collect(),
        })
    }
}
