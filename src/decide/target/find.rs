//! Finding the interpreter that is meant.
//!
//! In uv's order: what `--python` says (a path, a command or a version); the project's
//! `.python-version`; the environment that is already there; then the PATH, newest first, taking
//! the first that satisfies the lock's `requires-python`.
//!
//! An interpreter is run to be asked, and no sandbox is around it. So no file of a checkout has it run what lies in the
//! checkout, or anything that is not called as an interpreter is: only what `--python` and the PATH say is the user's.

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
        if let Some(found) = pinned.and_then(|pin| self.pinned(pin)) {
            return Ok(found);
        }
        let own = self.outside(Utf8Path::new(".venv/bin/python"));
        let candidates = own.into_iter().chain(on_path(&names(None)));
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

    /// What `.python-version` says: a version, or where an interpreter is.
    fn pinned(&self, pin: &str) -> Option<Interpreter> {
        let is_version = pin.starts_with(|c: char| c.is_ascii_digit());
        if is_version && !pin.contains('/') {
            return self.version(pin).ok();
        }
        let named = match pin.contains('/') {
            true => self.outside(Utf8Path::new(pin))?.into_string(),
            false => Some(pin).filter(|pin| is_interpreter(pin))?.to_owned(),
        };
        self.named(&named).ok()
    }

    /// Where a path of the project leads: to an interpreter that is not in the project, or nowhere.
    fn outside(&self, path: &Utf8Path) -> Option<Utf8PathBuf> {
        let project = self.project?.canonicalize_utf8().ok()?;
        let mut path = project.join(path);
        for _ in 0..LINKS {
            let (folder, name) = (path.parent()?.canonicalize_utf8().ok()?, path.file_name()?);
            if !folder.starts_with(&project) {
                return (is_interpreter(name) && path.exists()).then_some(path);
            }
            let target = folder.join(name).read_link_utf8();
            if target.is_err() && path.exists() {
                tracing::info!("{path} is in the project itself: it is run only with --python");
            }
            path = folder.join(target.ok()?);
        }
        None
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

/// As many links as the system follows.
const LINKS: usize = 40;

/// Whether a program is called as an interpreter is: `python3.14t`, `pypy3`.
fn is_interpreter(name: &str) -> bool {
    let rest = ["python", "pypy", "graalpy"]
        .iter()
        .find_map(|kind| name.strip_prefix(kind));
    rest.is_some_and(|rest| {
        rest.trim_end_matches(['t', 'd'])
            .chars()
            .all(|c| c.is_ascii_digit() || c == '.')
    })
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
