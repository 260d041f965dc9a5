//! Asking an interpreter what it is: once, and then from a cache.
//!
//! Besides the build room this is the only place that starts a process. The answer is kept in the
//! store under the interpreter's path, size and modification time, so an upgraded interpreter is
//! asked again.

use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::implementation::Implementation;
use super::platform::{Os, Platform};
use super::python::PythonTarget;
use crate::core::digest::{Algorithm, Digest};
use crate::core::temp_file;

const SCRIPT: &str = include_str!("probe.py");

/// An interpreter on this machine, and the target that it stands for.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// What was asked: the path as given or found.
    pub path: Utf8PathBuf,
    /// What it says of itself.
    pub about: About,
    /// The target it stands for.
    pub target: PythonTarget,
}

/// What an interpreter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// `sys.executable`.
    pub executable: Utf8PathBuf,
    /// The interpreter below any virtual environment, links resolved.
    pub base_executable: Utf8PathBuf,
    /// `sys.prefix`.
    pub prefix: Utf8PathBuf,
    /// `sys.base_prefix`.
    pub base_prefix: Utf8PathBuf,
    /// `sysconfig.get_path("stdlib")`.
    pub stdlib: Utf8PathBuf,
    /// `sys.implementation.name`.
    pub implementation: String,
    /// `sys.implementation.version`, three numbers.
    pub implementation_version: String,
    /// `platform.python_version()`.
    pub version: String,
    /// Whether it was built without the GIL.
    pub free_threaded: bool,
    /// `sys.platform`.
    pub sys_platform: String,
    /// `platform.machine()`, of the Python rather than of the kernel.
    pub machine: String,
    /// `platform.release()`.
    pub release: String,
    /// `platform.version()`.
    pub platform_version: String,
    /// `glibc` or `musl`, and its version.
    pub libc: (String, String),
    /// `platform.mac_ver()[0]`.
    pub mac_ver: String,
    /// `sys.implementation.cache_tag`, as in `__pycache__/x.cpython-314.pyc`.
    pub cache_tag: Option<String>,
}

/// Why an interpreter could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It could not be started.
    #[error("cannot run the Python interpreter {path}: {source}")]
    Start {
        /// Which.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It ran and failed, or said something else than was asked.
    #[error("{path} does not answer as a Python interpreter does: {said}")]
    Answer {
        /// Which.
        path: Utf8PathBuf,
        /// What it said instead.
        said: String,
    },
    /// It is a Python that there are no wheels for.
    #[error("{path} is {what}, which lockwright does not install for")]
    Unsupported {
        /// Which.
        path: Utf8PathBuf,
        /// What it is.
        what: String,
    },
}

impl Interpreter {
    /// Asks an interpreter, or the cache (a folder) what it said when it was last asked.
    ///
    /// # Errors
    /// When it cannot be run, does not answer, or is of a kind that cannot be installed for.
    pub fn probe(path: &Utf8Path, cache: Option<&Utf8Path>) -> Result<Self, ProbeError> {
        let entry = cache.and_then(|cache| Some(cache.join(cache_key(path)?)));
        let known = entry
            .as_ref()
            .and_then(|entry| std::fs::read(entry).ok())
            .and_then(|bytes| serde_json::from_slice::<About>(&bytes).ok());
        let about = match known {
            Some(about) => about,
            None => {
                let about = ask(path)?;
                if let Some(entry) = entry {
                    remember(&entry, &about);
                }
                about
            }
        };
        let target = target(path, &about)?;
        Ok(Self {
            path: path.to_owned(),
            about,
            target,
        })
    }
}

/// The interpreter as it is now: where it is, how long and how old.
fn cache_key(path: &Utf8Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let real = path.canonicalize_utf8().ok()?;
    let meta = std::fs::metadata(&real).ok()?;
    // A link in a virtual environment is another interpreter than what it leads to.
    let name = format!(
        "{path}\0{real}\0{}\0{}.{}\0{SCRIPT}",
        meta.len(),
        meta.mtime(),
        meta.mtime_nsec()
    );
    Some(format!(
        "{}.json",
        Digest::of(Algorithm::Sha256, name.as_bytes()).hex()
    ))
}

/// Failing to remember costs the next run a few milliseconds, so it is no error.
fn remember(entry: &Utf8Path, about: &About) {
    let write = || -> std::io::Result<()> {
        let folder = entry.parent().ok_or(std::io::ErrorKind::NotFound)?;
        std::fs::create_dir_all(folder)?;
        temp_file::write(entry, None, &serde_json::to_vec(about)?)
    };
    if let Err(error) = write() {
        tracing::debug!("the answer of an interpreter was not kept in {entry}: {error}");
    }
}

fn ask(path: &Utf8Path) -> Result<About, ProbeError> {
    let output = Command::new(path)
        .args(["-I", "-S", "-c", SCRIPT])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| ProbeError::Start {
            path: path.to_owned(),
            source,
        })?;
    let said = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let last = text.trim().lines().last().unwrap_or("nothing").to_owned();
        ProbeError::Answer {
            path: path.to_owned(),
            said: last,
        }
    };
    if !output.status.success() {
        return Err(said(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).map_err(|_| said(&output.stdout))
}

fn target(path: &Utf8Path, about: &About) -> Result<PythonTarget, ProbeError> {
    let unsupported = |what: String| ProbeError::Unsupported {
        path: path.to_owned(),
        what,
    };
    let pair = |version: &str| {
        let mut numbers = version.split('.').map(|part| part.parse::<u16>().ok());
        Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    };
    let own = pair(&about.implementation_version).map(|(major, minor)| (major as u8, minor as u8));
    let implementation = match (about.implementation.as_str(), own) {
        ("cpython", _) => Implementation::CPython {
            free_threaded: about.free_threaded,
        },
        ("pypy", Some(version)) => Implementation::PyPy { version },
        ("graalpy", Some(version)) => Implementation::GraalPy { version },
        (other, _) => return Err(unsupported(format!("a {other}"))),
    };
    let (libc, libc_version) = &about.libc;
    let os = match (
        about.sys_platform.as_str(),
        libc.as_str(),
        pair(libc_version),
    ) {
        ("linux", "glibc", Some((major, minor))) => Os::Manylinux(major, minor),
        ("linux", "musl", Some((major, minor))) => Os::Musllinux(major, minor),
        ("darwin", ..) => match pair(&about.mac_ver) {
            Some((major, minor)) => Os::Macos(major, minor),
            None => return Err(unsupported(String::from("on a macOS of unknown version"))),
        },
        (system, ..) => return Err(unsupported(format!("on {system}"))),
    };
    let platform = Platform::from_parts(os, &about.machine)
        .map_err(|_| unsupported(format!("on a {} machine", about.machine)))?;
    PythonTarget::from_parts(
        implementation,
        &about.version,
        &about.implementation_version,
        platform,
        (&about.release, &about.platform_version),
    )
    .map_err(|error| unsupported(error.to_string()))
}
