//! What commands are run with and no manifest pins: programs of the machine, and its system. They
//! count by what they are, not by where or when they came.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::{Mutex, OnceLock};

use camino::{Utf8Path, Utf8PathBuf};

use super::error::Cause;
use crate::core::digest::{Algorithm, Digest};
use crate::core::io_error::cannot;
use crate::core::locks;

/// Where contained commands look for programs, behind the tree's own: the system's folders.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What package managers keep of what they have installed: files, or folders that name it.
const DATABASES: [&str; 6] = [
    "/var/lib/dpkg/status",
    "/lib/apk/db/installed",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/var/lib/rpm/rpmdb.sqlite",
    "/var/lib/rpm/Packages",
    "/var/lib/pacman/local",
];

/// The machine's programs, looked at once per run.
#[derive(Default)]
pub struct Tools {
    known: Mutex<BTreeMap<Utf8PathBuf, Digest>>,
    system: OnceLock<String>,
}

impl Tools {
    /// The program that a name means, and what it is; a path means itself. `None`: there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn program(&self, name: &str, path: &str) -> Result<Option<String>, Cause> {
        let folders = path.split(':').filter(|folder| folder.starts_with('/'));
        let mut places = folders.map(|folder| Utf8Path::new(folder).join(name));
        let found = match name.contains('/') {
            true => Some(Utf8PathBuf::from(name)),
            false => places.find(|place| place.is_file()),
        };
        let Some(found) = found.filter(|found| found.is_file()) else {
            return Ok(None);
        };
        let digest = self.digest(&found)?;
        Ok(Some(format!("{found} {digest}")))
    }

    /// The digest of a program's file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, program: &Utf8Path) -> Result<Digest, Cause> {
        // What a name stands for today may be another file tomorrow.
        let real = program
            .canonicalize_utf8()
            .map_err(cannot("find", program))?;
        let known = || locks::held(&self.known);
        if let Some(digest) = known().get(&real) {
            return Ok(digest.clone());
        }
        let bytes = fs::read(&real).map_err(cannot("read", &real))?;
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        known().insert(real, digest.clone());
        Ok(digest)
    }

    /// What the system is: its name, which versions of which packages are installed, and which programs
    /// its folders have, whoever put them there.
    pub fn system(&self) -> &str {
        self.system.get_or_init(|| {
            let installed = DATABASES.into_iter().filter_map(|path| read(path.into()));
            let installed: Vec<String> = installed.collect();
            let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
            let name = about.lines().find_map(|line| {
                let name = line.strip_prefix("PRETTY_NAME=")?;
                Some(name.trim_matches('"').to_owned())
            });
            let all = about + &installed.concat() + &programs();
            let digest = Digest::of(Algorithm::Sha256, all.as_bytes());
            format!("{} {digest}", name.unwrap_or_else(|| "unknown".into()))
        })
    }
}

/// The programs that commands find in the system's folders, by name and size: what was exchanged there
/// by hand shows in no package manager's database.
fn programs() -> String {
    let mut all: BTreeSet<String> = BTreeSet::new();
    for folder in PATH.split(':').map(Utf8Path::new) {
        // Of folders that are links to each other one is enough.
        let is_link = folder
            .symlink_metadata()
            .is_ok_and(|meta| meta.is_symlink());
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        for entry in entries.filter(|_| !is_link) {
            let size = fs::metadata(entry.path()).map_or(0, |meta| meta.len());
            all.insert(format!("{} {size}\n", entry.path()));
        }
    }
    all.into_iter().collect()
}

/// What a package manager's file or folder says is installed.
fn read(path: &Utf8Path) -> Option<String> {
    if path.is_dir() {
        let names = path.read_dir_utf8().ok()?.flatten();
        let names: BTreeSet<String> = names.map(|entry| entry.file_name().to_owned()).collect();
        return Some(names.into_iter().collect::<Vec<_>>().join("\n"));
    }
    let bytes = fs::read(path).ok()?;
    Some(match path.ends_with("dpkg/status") {
        true => of_dpkg(&String::from_utf8_lossy(&bytes)),
        false => Digest::of(Algorithm::Sha256, &bytes).to_string(),
    })
}

/// The packages of dpkg's status, each with its version and architecture: what else it says of them
/// changes without any of their files.
fn of_dpkg(status: &str) -> String {
    let said = |entry: &str, key: &str| {
        let mut lines = entry.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        value.unwrap_or_default().to_owned()
    };
    let installed = status
        .split("\n\n")
        .filter(|entry| said(entry, "Status").ends_with(" installed"));
    let keys = ["Package", "Architecture", "Version"];
    let named: BTreeSet<String> = installed
        .map(|entry| keys.map(|key| said(entry, key)).join(" "))
        .collect();
    named.into_iter().collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_what_its_name_leads_to() {
        let held = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(held.path()).unwrap();
        fs::write(top.join("tool-1"), "one").unwrap();
        fs::write(top.join("tool-2"), "two").unwrap();
        let link = top.join("tool");
        let of = |target: &str| {
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(target, &link).unwrap();
            let path = format!("relative:/nowhere:{top}");
            Tools::default().program("tool", &path).unwrap()
        };
        let (one, two) = (of("tool-1").unwrap(), of("tool-2").unwrap());
        assert!(one.starts_with(&format!("{link} sha256")), "{one}");
        assert_ne!(one, two);
        assert_eq!(of("nothing"), None);
    }

    #[test]
    fn of_the_system_what_is_installed_counts() {
        let entry = |name: &str, version: &str, status: &str| {
            format!(
                "Package: {name}\nStatus: install ok {status}\nArchitecture: amd64\n\
                 Version: {version}\nDescription: x\n\n"
            )
        };
        let both = entry("gcc", "15.1", "installed") + &entry("bc", "1", "installed");
        assert_eq!(of_dpkg(&both), "bc amd64 1\ngcc amd64 15.1");
        let half = entry("gcc", "15.1", "half-configured") + &entry("bc", "1", "installed");
        assert_eq!(of_dpkg(&half), "bc amd64 1");
    }
}
