//! What all integration tests stand on: the peers' tools, a temporary folder, lockwright itself, an HTTP server that
//! misbehaves on demand.
//!
//! A test crate begins with `mod common;` and takes what it needs:
//!
//! ```ignore
//! let temp = common::Temp::new();
//! let ran = common::lockwright(&temp).args(["plan", "--json"]).arg(common::fixture("default")).run();
//! assert!(ran.ok().stdout.contains("greeting"));
//! ```
//!
//! The tools are found at fixed paths below `$LOCKWRIGHT_TEST_ENV`, where `scripts/test-env` puts them. One that is
//! missing is a failure that says so, never a skip.

// Each test crate uses a part of this one.
#![allow(dead_code, unused_imports)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

pub mod elf;
pub mod environments;
pub mod nix;
mod run;
mod server;
pub mod signals;
pub mod sources;
mod tools;

use std::fs;
use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};

pub use run::{Ran, Run, lockwright, lockwright_in_forky, run};
pub use server::{Fault, Request, Server};
pub use tools::{
    attested, backends, bun, compilers, django, env_dir, forky_root, go, in_forky, mdbook, mirrors,
    newer_nix, nix, nix_hash, node, npm, npx, on_path, packagers, packagers_wheels, patchelf, pnpm,
    postgres, python, python314, s3, shared_store, uv, validators, wheels,
};

/// The project's root.
pub fn project() -> &'static Utf8Path {
    Utf8Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder of `lockfile-fixtures/`.
pub fn fixture(name: &str) -> Utf8PathBuf {
    let path = project().join("lockfile-fixtures").join(name);
    assert!(path.exists(), "there is no {path}");
    path
}

/// The folder of the flagship's locks, one in each release, beside the project on machines that have it. A test looks
/// further with them, and proves the same of our own locks; it has `flagship` in its name, so that what is said here is
/// seen.
pub fn flagship_locks() -> Option<Utf8PathBuf> {
    let path = project().parent()?.join("shared/fixtures/authentik");
    if path.is_dir() {
        return Some(path);
    }
    // Not by eprintln!, which the test harness keeps to itself.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: the flagship's locks, for {path} is not there; the same was asked of our own"
    );
    None
}

/// A temporary folder with a canonical UTF-8 path, removed when dropped.
pub struct Temp {
    // Held for its drop.
    _held: tempfile::TempDir,
    path: Utf8PathBuf,
}

impl Temp {
    /// A new one, below `$TMPDIR`.
    pub fn new() -> Self {
        Self::of(
            tempfile::Builder::new()
                .prefix("lockwright-test-")
                .tempdir(),
        )
    }

    /// A new one below `parent`, for tests that need one on a certain disk.
    pub fn below(parent: &Utf8Path) -> Self {
        Self::of(
            tempfile::Builder::new()
                .prefix("lockwright-test-")
                .tempdir_in(parent),
        )
    }

    fn of(made: std::io::Result<tempfile::TempDir>) -> Self {
        let held = made.expect("a temporary folder can be made");
        let path = held.path().canonicalize().expect("it is there");
        let path = Utf8PathBuf::from_path_buf(path).expect("a UTF-8 $TMPDIR");
        Self { _held: held, path }
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// A path in it.
    pub fn join(&self, name: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        self.path.join(name)
    }

    /// Writes a file in it, with the folders above.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> Utf8PathBuf {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().expect("it is below")).expect("a folder can be made");
        fs::write(&path, bytes).expect("a file can be written");
        path
    }

    /// A copy of a fixture in it, to be changed or synced in place.
    pub fn copy_of_fixture(&self, name: &str) -> Utf8PathBuf {
        let to = self.path.join(name);
        copy_tree(&fixture(name), &to);
        to
    }
}

/// Flips a bit in the middle of every artifact of a store, as a disk does, and says how many there are.
pub fn rot(store: &Utf8Path) -> usize {
    use std::os::unix::fs::PermissionsExt as _;
    let found = run(
        "find",
        [
            store.join("v1/files").as_str(),
            "-type",
            "f",
            "!",
            "-name",
            "*.json",
        ],
    );
    for path in found.lines() {
        let mut bytes = fs::read(path).expect("an artifact can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::set_permissions(path, fs::Permissions::from_mode(0o644))
            .expect("its mode can be changed");
        fs::write(path, bytes).expect("it can be written");
    }
    found.lines().count()
}

/// Copies a tree: files with their modes, links as links.
pub fn copy_tree(from: &Utf8Path, to: &Utf8Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in from
        .read_dir_utf8()
        .unwrap_or_else(|e| panic!("{from}: {e}"))
    {
        let entry = entry.expect("an entry can be read");
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("an entry has a type");
        if kind.is_dir() {
            copy_tree(path, &place);
        } else if kind.is_symlink() {
            let target = fs::read_link(path).expect("a link can be read");
            std::os::unix::fs::symlink(target, &place).expect("a link can be made");
        } else {
            fs::copy(path, &place).unwrap_or_else(|e| panic!("{path} to {place}: {e}"));
        }
    }
}
