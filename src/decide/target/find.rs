//! Finding the interpreter that is meant.
//!
//! In uv's order: what `--python` says (a path, a command or a version); the project's
//! `.python-version`; the environment that is already there; then the PATH, newest first, taking
//! the first that satisfies the lock's `requires-python`.

use camino::{Utf8Path, Utf8PathBuf};
use pep440_rs::VersionSpecifiers;

use super::probe::{Interpreter, ProbeError};
use super::python::satisfies;
use crate::core::foreign;

/// Why no interpreter was found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// One was named and cannot be used.
    #[error(transparent)]
    Probe(#[from] ProbeError),
    /// One was named and is not there.
    #[error(
        "there is no Python `{0}` here: give --python a path, or a version that is on the PATH"
    )]
    NotFound(String),
    /// None on the PATH fits.
    #[error(
        "no Python on the PATH satisfies requires-python {wanted}{seen}; give one with --python, or \
         say what to install for with --python-version and --python-platform"
    )]
    NoneFits {
        /// What the lock asks for.
        wanted: String,
        /// What was found instead.
        seen: String,
    },
    /// One was named and does not fit.
    #[error(
        "{path} is Python {version}, and the lock requires {wanted}; give another with --python"
    )]
    TooOld {
        /// Which.
        path: Utf8PathBuf,
        /// Its version.
        version: String,
        /// What the lock asks for.
        wanted: String,
    },
}

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Search<'a> {
    /// `--python`: a path, a command or a version.
    pub request: Option<&'a str>,
    /// The project's folder, with `.python-version` and `.venv`.
    pub project: Option<&'a Utf8Path>,
    /// The lock's `requires-python`.
    pub requires_python: Option<&'a VersionSpecifiers>,
    /// Where answers of interpreters are kept.
    pub cache: Option<&'a Utf8Path>,
}

impl Search<'_> {
    /// Finds the interpreter.
    ///
    /// # Errors
    /// When the one that is named is not there or does not fit, or none fits.
    pub fn find(&self) -> Result<Interpreter, FindError> {
        if let Some(request) = self.request {
            return self.named(request);
        }
        let pinned = self
            .project
            .and_then(|project| foreign::text(project.join(".python-version")).ok());
        let pinned = pinned
            .as_deref()
            .map(str::trim)
            .filter(|pin| !pin.is_empty());
        if let Some(found) = pinned.and_then(|pin| self.named(pin).ok()) {
            return Ok(found);
        }
        let own = self.project.map(|project| project.join(".venv/bin/python"));
        let candidates = own
            .into_iter()
            .filter(|path| path.exists())
            .chain(on_path(&names(None)));
        let mut seen = Vec::new();
        for path in candidates {
            match Interpreter::probe(&path, self.cache) {
                Ok(found) if self.fits(&found) => return Ok(found),
                Ok(found) => seen.push(found.about.version),
                Err(error) => tracing::info!("passed over: {error}"),
            }
        }
        seen.sort();
        seen.dedup();
        let seen = if seen.is_empty() {
            String::new()
        } else {
            format!(" (there are {})", seen.join(", "))
        };
        Err(FindError::NoneFits {
            wanted: self.wanted(),
            seen,
        })
    }

    fn named(&self, request: &str) -> Result<Interpreter, FindError> {
        let not_found = || FindError::NotFound(request.to_owned());
        let path = if request.contains('/') {
            let path = Utf8PathBuf::from(request);
            // A virtual environment or an installation prefix stands for its interpreter.
            if path.is_dir() {
                path.join("bin/python")
            } else {
                path
            }
        } else if request.starts_with(|c: char| c.is_ascii_digit()) {
            return self.version(request);
        } else {
            on_path(&[request.to_owned()])
                .next()
                .ok_or_else(not_found)?
        };
        if !path.exists() {
            return Err(not_found());
        }
        let found = Interpreter::probe(&path, self.cache)?;
        if self.fits(&found) {
            Ok(found)
        } else {
            let (version, wanted) = (found.about.version, self.wanted());
            Err(FindError::TooOld {
                path,
                version,
                wanted,
            })
        }
    }

    fn version(&self, request: &str) -> Result<Interpreter, FindError> {
        let numbers = request.trim_end_matches('t');
        for path in on_path(&names(Some(request))) {
            let Ok(found) = Interpreter::probe(&path, self.cache) else {
                continue;
            };
            let version = &found.about.version;
            let rest = version.strip_prefix(numbers);
            let same = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if same && request.ends_with('t') == found.about.free_threaded && self.fits(&found) {
                return Ok(found);
            }
        }
        Err(FindError::NotFound(request.to_owned()))
    }

    fn fits(&self, found: &Interpreter) -> bool {
        self.requires_python.is_none_or(|wanted| {
            satisfies(wanted, &found.target.markers.python_full_version().version)
        })
    }

    fn wanted(&self) -> String {
        self.requires_python
            .map_or_else(|| String::from("any"), ToString::to_string)
    }
}

fn names(version: Option<&str>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    if let Some(version) = version {
        let minor: Vec<&str> = version
            .trim_end_matches('t')
            .splitn(3, '.')
            .take(2)
            .collect();
        let suffix = if version.ends_with('t') { "t" } else { "" };
        names.push(format!("python{}{suffix}", minor.join(".")));
    }
    names.extend(["python3".into(), "python".into()]);
    if version.is_none() {
        names.extend((8..=20).rev().map(|minor| format!("python3.{minor}")));
    }
    names
}

/// Files of the given names in the PATH's folders: all of the first name, then of the second.
fn on_path(names: &[String]) -> std::vec::IntoIter<Utf8PathBuf> {
    let folders: Vec<Utf8PathBuf> = std::env::var_os("PATH")
        .map(|path| {
            std::env::split_paths(&path)
                .filter_map(|p| p.try_into().ok())
                .collect()
        })
        .unwrap_or_default();
    let all: Vec<Utf8PathBuf> = names
        .iter()
        .flat_map(|name| {
            folders
                .iter()
                .map(move |folder: &Utf8PathBuf| folder.join(name))
        })
        .filter(|path| path.is_file())
        .collect();
    all.into_iter()
}
