//! What a source says of how it is built (PEP 517, PEP 518).

use camino::Utf8Path;
use serde::Deserialize;

use crate::core::foreign;

/// The back end of projects that name none (PEP 517, "Source trees").
const LEGACY: &str = "setuptools.build_meta:__legacy__";

/// `[build-system]`, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) requires: Vec<String>,
    pub(super) backend: String,
    pub(super) backend_path: Vec<String>,
    /// Whether all that it says of itself stands in its pyproject.toml.
    pub(super) is_static: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    build_system: Option<BuildSystem>,
    project: Option<Metadata>,
}

/// `[project]`.
#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    dynamic: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct BuildSystem {
    requires: Vec<String>,
    build_backend: Option<String>,
    #[serde(default)]
    backend_path: Vec<String>,
}

impl Project {
    /// Reads it from a source's folder. Links may lead to it as long as they stay in `top`: a
    /// stranger's may lead anywhere else.
    pub(super) fn read(folder: &Utf8Path, top: &Utf8Path) -> Result<Self, String> {
        let file = folder.join("pyproject.toml");
        if file.symlink_metadata().is_err() {
            if folder.join("setup.py").is_file() || folder.join("setup.cfg").is_file() {
                return Ok(Self::legacy(vec!["setuptools >= 40.8.0".into()]));
            }
            return Err("it has neither a pyproject.toml nor a setup.py".into());
        }
        let failed =
            |error: &dyn std::fmt::Display| format!("its pyproject.toml cannot be read: {error}");
        let text =
            foreign::read_inside(top, &file, foreign::TEXT).map_err(|error| failed(&error))?;
        Self::parse(&String::from_utf8(text).map_err(|error| failed(&error))?)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let project: Pyproject = toml::from_str(text)
            .map_err(|error| format!("its pyproject.toml cannot be read: {}", error.message()))?;
        // Hooks of hatchling's, say, are code of the project's own.
        let is_static =
            project.project.is_some_and(|own| own.dynamic.is_empty()) && !text.contains("hooks");
        Ok(match project.build_system {
            None => Self::legacy(vec!["setuptools >= 40.8.0".into()]),
            Some(system) => match system.build_backend {
                None => Self::legacy(system.requires),
                Some(backend) => Self {
                    requires: system.requires,
                    backend,
                    backend_path: system.backend_path,
                    is_static,
                },
            },
        })
    }

    fn legacy(requires: Vec<String>) -> Self {
        Self {
            requires,
            backend: LEGACY.into(),
            backend_path: Vec::new(),
            is_static: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_without_a_back_end_is_setuptools_of_old() {
        let legacy = Project::parse("[project]\nname = 'x'\n").unwrap();
        assert_eq!(legacy.backend, LEGACY);
        assert_eq!(legacy.requires, ["setuptools >= 40.8.0"]);
        let requires = Project::parse("[build-system]\nrequires = ['Cython']\n").unwrap();
        assert_eq!(
            (requires.backend.as_str(), requires.requires.len()),
            (LEGACY, 1)
        );
        let own = "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n";
        let own = Project::parse(own).unwrap();
        assert_eq!((own.backend.as_str(), own.backend_path.len()), ("own", 1));
        assert!(Project::parse("[build-system]\n").is_err());
    }
}
