//! What a source says of how it is built (PEP 517, PEP 518), and whether that is there.

use camino::Utf8Path;
use pep508_rs::{MarkerEnvironment, Requirement, VerbatimUrl, VersionOrUrl};
use serde::Deserialize;

use crate::plan::PlannedPackage;
use crate::tree::{Options, Record, Replace, Tree, TreeError, TreePath};

/// The back end of projects that name none (PEP 517, "Source trees").
const LEGACY: &str = "setuptools.build_meta:__legacy__";

/// `[build-system]`, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Project {
    pub(super) requires: Vec<String>,
    pub(super) backend: String,
    pub(super) backend_path: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Pyproject {
    build_system: Option<BuildSystem>,
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
    /// Reads it from a source's folder.
    pub(super) fn read(folder: &Utf8Path) -> Result<Self, String> {
        let file = folder.join("pyproject.toml");
        if !file.is_file() {
            if folder.join("setup.py").is_file() || folder.join("setup.cfg").is_file() {
                return Ok(Self::legacy(vec!["setuptools >= 40.8.0".into()]));
            }
            return Err("it has neither a pyproject.toml nor a setup.py".into());
        }
        let text = std::fs::read_to_string(&file)
            .map_err(|error| format!("its pyproject.toml cannot be read: {error}"))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let project: Pyproject = toml::from_str(text)
            .map_err(|error| format!("its pyproject.toml cannot be read: {}", error.message()))?;
        Ok(match project.build_system {
            None => Self::legacy(vec!["setuptools >= 40.8.0".into()]),
            Some(system) => match system.build_backend {
                None => Self::legacy(system.requires),
                Some(backend) => Self {
                    requires: system.requires,
                    backend,
                    backend_path: system.backend_path,
                },
            },
        })
    }

    fn legacy(requires: Vec<String>) -> Self {
        Self {
            requires,
            backend: LEGACY.into(),
            backend_path: Vec::new(),
        }
    }
}

/// Whether every requirement that holds here is answered; the first that is not, as a sentence.
pub(super) fn check<'a>(
    requires: &[String],
    markers: &MarkerEnvironment,
    there: &(impl Iterator<Item = &'a PlannedPackage> + Clone),
) -> Result<(), String> {
    for text in requires {
        let requirement: Requirement<VerbatimUrl> = text
            .parse()
            .map_err(|_| format!("`{text}`, which is no requirement"))?;
        if !requirement.marker.evaluate(markers, &[]) {
            continue;
        }
        let found = there
            .clone()
            .find(|package| package.name == requirement.name);
        let Some(found) = found else {
            return Err(format!("`{text}`, which is not there"));
        };
        if let (Some(VersionOrUrl::VersionSpecifier(wanted)), Some(version)) =
            (&requirement.version_or_url, &found.version)
            && !wanted.contains(version)
        {
            return Err(format!("`{text}`, and {version} is there"));
        }
    }
    Ok(())
}

/// Copies a source tree of this machine, without what no build needs.
pub(super) fn copy(from: &Utf8Path, into: &Utf8Path) -> Result<(), TreeError> {
    let options = Options {
        replace: Replace::Nothing,
        record: Record::Nowhere,
    };
    let tree = Tree::stage(into, options)?;
    let owner = tree.owner("the source", 0);
    let mut folders = vec![from.to_owned()];
    while let Some(folder) = folders.pop() {
        let reading = |source| TreeError::Io {
            doing: "read",
            path: folder.clone(),
            source,
        };
        for entry in folder.read_dir_utf8().map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let kind = entry.file_type().map_err(reading)?;
            let name = entry.file_name();
            let is_left_out = matches!(
                name,
                ".git" | ".hg" | ".svn" | "node_modules" | "__pycache__" | ".venv"
            ) || entry.path().join("pyvenv.cfg").is_file();
            if kind.is_dir() && is_left_out {
                continue;
            }
            let inside = entry.path().strip_prefix(from).unwrap_or(entry.path());
            let path = TreePath::new(inside.as_str())?;
            if kind.is_dir() {
                tree.folder(owner, &path)?;
                folders.push(entry.into_path());
            } else if kind.is_symlink() {
                let target = entry.path().read_link_utf8().map_err(reading)?;
                tree.link_anywhere(owner, &path, target.as_str())?;
            } else if kind.is_file() {
                tree.copy(owner, &path, None, entry.path())?;
            }
        }
    }
    tree.finish().commit()?;
    Ok(())
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
