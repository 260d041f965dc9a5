//! `lockwright sync` and `plan` as a stranger types them, on the lock that needs no network.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod refusals;
mod store;
mod targets;
mod words;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of this test's own, with a copy of the default fixture in it.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("lockfile-fixtures/default");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(fixture)
            .arg(folder.path().join("p"))
            .status();
        assert!(copied.unwrap().success());
        Self { folder }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("p")
    }

    fn venv(&self) -> PathBuf {
        self.project().join(".venv")
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockwright"))
            .args(args)
            .current_dir(self.project())
            .env("LOCKWRIGHT_STORE", self.folder.path().join("store"))
            .env("HOME", self.folder.path())
            .env_remove("UV_PROJECT_ENVIRONMENT")
            .env_remove("UV_PYTHON")
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed; standard output and error.
    fn ok(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {err}");
        (out, err)
    }

    /// Runs a command that must fail with exit code 1; its standard error, with this machine's
    /// paths taken out.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert_eq!(
            text(&output.stdout),
            "",
            "a refusal belongs on standard error"
        );
        text(&output.stderr).replace(self.folder.path().to_str().unwrap(), "[tmp]")
    }

    fn edit_lock(&self, from: &str, to: &str) {
        let lock = self.project().join("uv.lock");
        let text = std::fs::read_to_string(&lock).unwrap();
        assert!(text.contains(from), "{from} is not in the lock");
        std::fs::write(lock, text.replace(from, to)).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every path below a folder with what is there, in order.
fn listing(folder: &Path) -> Vec<(String, String)> {
    fn walk(top: &Path, folder: &Path, all: &mut Vec<(String, String)>) {
        use std::os::unix::fs::PermissionsExt;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let mode = meta.permissions().mode() & 0o7777;
            let what = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                walk(top, &path, all);
                format!("{mode:o}/")
            } else {
                format!("{mode:o} {}", text(&std::fs::read(&path).unwrap()))
            };
            all.push((name, what));
        }
    }
    let mut all = Vec::new();
    walk(folder, folder, &mut all);
    all.sort();
    all
}

const FOREIGN: [&str; 4] = [
    "--python-version",
    "3.14",
    "--python-platform",
    "aarch64-unknown-linux-gnu",
];

#[test]
fn a_lock_becomes_an_environment_that_works() {
    let scratch = Scratch::new();
    let (_, said) = scratch.ok(&["sync", "--offline", "--extra", "loud"]);
    assert!(said.contains("Placed 4 packages"), "{said}");
    let greet = Command::new(scratch.venv().join("bin/greet"))
        .output()
        .unwrap();
    assert!(greet.status.success(), "{}", text(&greet.stderr));
    let imported = Command::new(scratch.venv().join("bin/python"))
        .args([
            "-c",
            "import greeting, sys; print(sys.prefix != sys.base_prefix)",
        ])
        .output()
        .unwrap();
    assert_eq!(
        text(&imported.stdout),
        "True\n",
        "{}",
        text(&imported.stderr)
    );
}

#[test]
fn nothing_is_done_twice_and_damage_is_mended() {
    let scratch = Scratch::new();
    scratch.ok(&["sync", "--offline"]);
    let before = listing(&scratch.venv());
    let (_, said) = scratch.ok(&["sync", "--offline"]);
    assert!(said.contains("is up to date"), "{said}");

    let site = std::fs::read_dir(scratch.venv().join("lib"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let dist_info = site.path().join("site-packages/greeting-1.2.0.dist-info");
    std::fs::remove_dir_all(dist_info).unwrap();
    scratch.ok(&["sync", "--offline"]);
    assert_eq!(listing(&scratch.venv()), before);

    // Another selection is another environment: what it does not name is gone.
    let (_, said) = scratch.ok(&["sync", "--offline", "--no-dev"]);
    assert!(said.contains("Placed 2 packages"), "{said}");
}

#[test]
fn the_same_bytes_come_out_whatever_the_conditions() {
    let (one, other) = (Scratch::new(), Scratch::new());
    let args = |scratch: &Scratch| -> Vec<String> {
        let mut args: Vec<String> = ["sync", "--offline", "--relocatable", "--out", "o"]
            .map(String::from)
            .into();
        args.extend(FOREIGN.map(String::from));
        args[4] = scratch.folder.path().join("o").to_str().unwrap().to_owned();
        args
    };
    let run = |scratch: &Scratch, threads: &str, umask: &str| {
        let words: Vec<String> = args(scratch)
            .iter()
            .map(|word| format!("'{word}'"))
            .collect();
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "umask {umask}; exec '{}' {}",
                env!("CARGO_BIN_EXE_lockwright"),
                words.join(" ")
            ))
            .current_dir(scratch.project())
            .env("LOCKWRIGHT_STORE", scratch.folder.path().join("store"))
            .env("RAYON_NUM_THREADS", threads)
            .env("LC_ALL", if threads == "1" { "C" } else { "tr_TR.UTF-8" })
            .status()
            .unwrap();
        assert!(status.success());
        let mut all = listing(&scratch.folder.path().join("o"));
        // What records the folder itself is not part of the comparison.
        all.retain(|(name, _)| !name.starts_with(".lockwright"));
        all
    };
    assert_eq!(run(&one, "1", "077"), run(&other, "8", "000"));
}
