//! The registry that the npm of this machine knows, for locks that do not say where packages are obtained
//! from: npm writes such, where `omit-lockfile-registry-resolved` is set and where it has lost them.

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use url::Url;

use crate::core::progress::count;
use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npmrc::Npmrc;

/// These settings; and where they do not name the registry of what the lock does not place, the one
/// that `npm config get registry` names. It is asked once, of the npm on the PATH, and that is said.
#[must_use]
pub fn with_npms_own(npmrc: Npmrc, lock: &NpmLock) -> Npmrc {
    let names = lock
        .placeless()
        .filter(|name| npmrc.registry(name).is_none());
    let lost = names.count();
    let known = (lost > 0).then(known).flatten();
    let Some(registry) = known else { return npmrc };
    let packages = count(lost, "package");
    tracing::warn!(
        "the lock does not say where {packages} come from: the npm on the PATH says {registry} \
         (npm config get registry)"
    );
    npmrc.with_registry(Some(&registry))
}

fn known() -> Option<Url> {
    static KNOWN: OnceLock<Option<Url>> = OnceLock::new();
    KNOWN.get_or_init(ask).clone()
}

fn ask() -> Option<Url> {
    // The project's own settings were read already, and name none.
    let said = Command::new("npm")
        .args(["config", "get", "registry"])
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    let url = Url::parse(text.trim()).ok()?;
    (said.status.success() && matches!(url.scheme(), "http" | "https")).then_some(url)
}
