//! Environments for CPython 3.14, as `lockwright sync` makes them in the forky root.

use camino::{Utf8Path, Utf8PathBuf};

use super::Run as _;
use super::{Temp, flagship_locks, lockwright_in_forky, mirrors, project, shared_store};

/// Where the forky root's interpreter is.
pub const PYTHON: &str = "/usr/bin/python3.14";

/// An environment of a project's lock.
pub fn sync(temp: &Temp, project: &Utf8Path, more: &[&str]) -> Utf8PathBuf {
    let venv = temp.join("venv");
    let (project, out) = (project.as_str(), venv.as_str());
    lockwright_in_forky(temp)
        .args(["sync", project, "--out", out, "--python", PYTHON])
        .args(["--store", shared_store().as_str()])
        .args(mirrors())
        .args(more)
        .run()
        .ok();
    venv
}

/// The flagship's, where its lock is; if not, that is said. The first time lxml, xmlsec, psycopg-c and
/// gssapi are built, for some minutes; later they are found in the store.
pub fn flagship(temp: &Temp) -> Option<Utf8PathBuf> {
    let locks = flagship_locks()?;
    let lock = project().join("examples/authentik/build/uv.lock");
    let selection = [
        "--no-dev",
        "--no-install-project",
        "--no-install-workspace",
        // A git dependency of Python files alone.
        "--no-install-package=opencontainers",
        "--build-lock",
        lock.as_str(),
    ];
    Some(sync(temp, &locks.join("2026.2.0"), &selection))
}
