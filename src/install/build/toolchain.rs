//! Compilers that lie outside of the system's folders.
//!
//! A contained build finds the machine's C compiler, since `/usr` is shown to it, and that counts for
//! nothing, as it does for everyone who builds wheels. Rust is where rustup or its user put it. A build
//! whose requirements drive cargo is shown the toolchain of the `rustc` on the PATH, read-only, where it
//! is, and behind all else on its own PATH; which one it is, counts for the wheel.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

/// Build requirements that drive cargo.
const OF_RUST: [&str; 2] = ["maturin", "setuptools-rust"];

/// A toolchain that a build is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Toolchain {
    /// Its folder, all of it readable.
    pub(super) folder: Utf8PathBuf,
    /// What tells it from others: compiler, version, commit, host.
    pub(super) id: String,
}

impl Toolchain {
    /// Where its programs are.
    pub(super) fn programs(&self) -> Utf8PathBuf {
        self.folder.join("bin")
    }

    /// The one that a build with these requirements needs, where it would not see it anyway.
    pub(super) fn needed<'n>(mut needs: impl Iterator<Item = &'n str>) -> Option<&'static Self> {
        static RUST: OnceLock<Option<Toolchain>> = OnceLock::new();
        let is_needed = needs.any(|name| OF_RUST.contains(&name));
        is_needed.then(|| RUST.get_or_init(rust).as_ref()).flatten()
    }
}

fn rust() -> Option<Toolchain> {
    // rustup's programs stand for those of a toolchain; a folder with settings of its own, as a
    // stranger's source may be, is not asked for another.
    let ask = |words: &[&str]| {
        let mut rustc = Command::new("rustc");
        rustc.args(words).current_dir("/").stdin(Stdio::null());
        let said = rustc.output().ok().filter(|said| said.status.success())?;
        let text = String::from_utf8(said.stdout).ok()?;
        Some(text.trim().to_owned())
    };
    let folder = Utf8PathBuf::from(ask(&["--print", "sysroot"])?);
    let folder = folder.canonicalize_utf8().ok()?;
    let has = |name: &str| folder.join("bin").join(name).is_file();
    let is_shown = [Utf8Path::new("/usr"), Utf8Path::new("/")].contains(&folder.as_path());
    let id = ask(&["--version", "--verbose"])?;
    (!is_shown && has("rustc") && has("cargo")).then_some(Toolchain { folder, id })
}
