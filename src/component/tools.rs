//! What commands are run with and no manifest pins: programs of the machine, and its system. They
//! count by what they are, not by where or when they came.

use std::collections::BTreeSet;
use std::fs;
use std::sync::OnceLock;

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::digest::{Algorithm, Digest};

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

/// The machine's system, looked at once per run.
#[derive(Default)]
pub struct Tools {
    system: OnceLock<String>,
}

/// The program that a name means; a path means itself. `None`: there is none.
pub fn program(name: &str, path: &str) -> Option<Utf8PathBuf> {
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    let mut places = folders.map(|folder| Utf8Path::new(folder).join(name));
    let found = match name.contains('/') {
        true => Some(Utf8PathBuf::from(name)),
        false => places.find(|place| place.is_file()),
    };
    found.filter(|found| found.is_file())
}

impl Tools {
    /// What the system is: its name, which versions of which packages are installed, which programs
    /// its folders have, whoever put them there, and what its compilers are, by `digest`.
    pub fn system(&self, digest: impl Fn(&Utf8Path) -> Option<String>) -> &str {
        self.system.get_or_init(|| {
            let installed = DATABASES.into_iter().filter_map(|path| read(path.into()));
            let installed: Vec<String> = installed.collect();
            let about = fs::read_to_string("/etc/os-release").unwrap_or_default();
            let name = about.lines().find_map(|line| {
                let name = line.strip_prefix("PRETTY_NAME=")?;
                Some(name.trim_matches('"').to_owned())
            });
            let all = about + &installed.concat() + &programs() + &compilers(digest);
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

/// What programs that make others are called, without a machine before their names and a version behind them. Commands
/// that start others (`make`, say) name them nowhere.
const COMPILERS: [&str; 24] = [
    "ar", "as", "c++", "cargo", "cc", "clang", "clang++", "cmake", "cpp", "g++", "gcc", "gfortran",
    "go", "java", "javac", "ld", "lld", "make", "ninja", "node", "perl", "python", "ranlib",
    "rustc",
];

/// Where gcc keeps what it starts, below a folder for the machine and one for the version, and how that is called.
const OF_GCC: [&str; 2] = ["/usr/lib/gcc", "/usr/libexec/gcc"];
const PARTS: [&str; 6] = ["cc1", "cc1plus", "collect2", "f951", "lto-wrapper", "lto1"];

/// The system's compilers, by their digests: one that was exchanged may be as long as it was.
fn compilers(digest: impl Fn(&Utf8Path) -> Option<String>) -> String {
    fn inside(folder: &Utf8Path) -> impl Iterator<Item = Utf8PathBuf> + use<> {
        let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
        entries.map(|entry| entry.path().to_owned())
    }
    let is_compiler = |path: &Utf8PathBuf| path.file_name().is_some_and(is_compiler);
    let named = PATH.split(':').map(Utf8Path::new).flat_map(inside);
    let versions = OF_GCC.map(Utf8Path::new).into_iter().flat_map(inside);
    let versions = versions.flat_map(|machine| inside(&machine));
    let parts = versions.flat_map(|version| PARTS.map(|part| version.join(part)));
    let all = named.filter(is_compiler).chain(parts);
    let real = all.filter_map(|path| path.canonicalize_utf8().ok());
    let real: BTreeSet<Utf8PathBuf> = real.filter(|path| path.is_file()).collect();
    let told = real.iter().map(|path| {
        let digest = digest(path).unwrap_or_default();
        format!("{path} {digest}\n")
    });
    told.collect()
}

/// `x86_64-linux-gnu-gcc-14`, `python3.11`: the word counts.
fn is_compiler(name: &str) -> bool {
    let words = name.split('-');
    let mut words =
        words.map(|word| word.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.'));
    words.any(|word| COMPILERS.contains(&word))
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
    fn a_program_is_the_first_of_its_name() {
        let held = tempfile::tempdir().unwrap();
        let top = Utf8Path::from_path(held.path()).unwrap();
        let [one, two] = ["one", "two"].map(|name| top.join(name));
        for folder in [&one, &two] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("tool"), "").unwrap();
        }
        let path = format!("relative:/nowhere:{two}:{one}");
        assert_eq!(program("tool", &path), Some(two.join("tool")));
        assert_eq!(
            program(one.join("tool").as_str(), &path),
            Some(one.join("tool"))
        );
        assert_eq!(program("nothing", &path), None);
    }

    #[test]
    fn compilers_are_known_by_a_word_of_their_names() {
        for name in [
            "cc",
            "x86_64-linux-gnu-gcc-14",
            "python3.11",
            "clang++-19",
            "gcc-ar",
        ] {
            assert!(is_compiler(name), "{name}");
        }
        for name in ["ccache", "sort", "git", "asdf", "node-gyp-build"] {
            assert_eq!(is_compiler(name), name == "node-gyp-build", "{name}");
        }
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
