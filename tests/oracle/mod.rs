//! uv as an oracle: which packages does it install from a lock, and which file of each?
//!
//! Nothing of what uv prints names the file it takes. So a lock's URLs are pointed at a server on
//! loopback that makes a tiny wheel for whatever name it is asked for and notes the name; the lock's
//! digests are those of these wheels. uv then runs in earnest, in a fraction of a second, for
//! interpreters that do not exist: a shell script answers its questions with whatever Python,
//! platform and machine the test wants.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod interpreter;
pub mod random;
mod server;

pub use interpreter::Python;
pub use server::Server;

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output};

use camino::{Utf8Path, Utf8PathBuf};

/// A project in a folder of its own: what both tools are asked about.
pub struct Project {
    folder: tempfile::TempDir,
    pub server: Server,
}

/// What a tool would install.
pub type Choice = Result<BTreeSet<String>, String>;

impl Project {
    /// A project of a pyproject.toml and a lock, whose URLs are pointed at the loopback server.
    pub fn new(pyproject: &str, lock: &str) -> Self {
        let server = Server::start();
        let lock = server.rewrite(lock);
        Self::with_server(server, pyproject, &lock)
    }

    /// A project whose lock has the server's URLs already.
    pub fn with_server(server: Server, pyproject: &str, lock: &str) -> Self {
        let project = Self {
            folder: tempfile::tempdir().unwrap(),
            server,
        };
        project.write("pyproject.toml", pyproject);
        project.write("uv.lock", lock);
        project
    }

    /// A project from a folder of fixtures: its lock, and every pyproject.toml and Python file.
    pub fn from_folder(source: &Utf8Path) -> Self {
        let read = |name: &str| fs::read_to_string(source.join(name)).unwrap();
        let project = Self::new(&read("pyproject.toml"), &read("uv.lock"));
        copy_sources(source, &project.path());
        project
    }

    pub fn path(&self) -> Utf8PathBuf {
        Utf8PathBuf::try_from(self.folder.path().to_owned())
            .unwrap()
            .join("project")
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn uv(&self, python: &Python, args: &[&str], also: &[&str]) -> Output {
        let _ = fs::remove_dir_all(self.path().join(".venv"));
        let sync = ["sync", "--frozen", "--quiet"];
        self.uv_for(python, &[&sync, args, also].concat())
    }

    /// uv, told of a Python that does not exist.
    fn uv_for(&self, python: &Python, args: &[&str]) -> Output {
        let home = Utf8Path::from_path(self.folder.path()).unwrap();
        let interpreter = python.install(&home.join("pythons"));
        let mut command = Command::new(uv());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UV_")) {
            command.env_remove(name);
        }
        command
            .args(args)
            .args(["--python", interpreter.as_str()])
            .current_dir(self.path())
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_CONFIG_DIRS", home)
            .env("UV_CACHE_DIR", home.join("cache"))
            .env("UV_PYTHON_DOWNLOADS", "never")
            .env("UV_OFFLINE", "false")
            .env("UV_LINK_MODE", "copy")
            .env("NO_COLOR", "1")
            .output()
            .expect("uv can be started")
    }

    /// Has uv write the project's lock as a pylock.toml.
    pub fn pylock_by_uv(&self, python: &Python, args: &[&str], name: &str) -> Result<(), String> {
        let export = [
            "export",
            "--frozen",
            "--quiet",
            "--format",
            "pylock.toml",
            "-o",
            name,
        ];
        finish(&self.uv_for(python, &[&export, args].concat())).map(drop)
    }

    /// Has lockwright write it.
    pub fn pylock_by_us(&self, args: &[&str], name: &str) -> Result<(), String> {
        finish(&self.lockwright(&[&["export", "pylock", "--out", name], args].concat())).map(drop)
    }

    /// The files that uv fetches for a pylock.toml.
    pub fn files_of_pylock_by_uv(&self, python: &Python, name: &str) -> Choice {
        let _ = fs::remove_dir_all(self.folder.path().join("cache"));
        let target = self.folder.path().join("target");
        let _ = fs::remove_dir_all(&target);
        self.server.forget();
        let target = target.to_str().unwrap();
        let args = ["pip", "sync", "--quiet", "--target", target, name];
        finish(&self.uv_for(python, &args)).map(|_| self.server.asked())
    }

    /// The files that uv fetches: it installs from the lock in earnest.
    pub fn files_by_uv(&self, python: &Python, args: &[&str]) -> Choice {
        // Each question needs its own cache, or uv would not ask for what it had before.
        let _ = fs::remove_dir_all(self.folder.path().join("cache"));
        self.server.forget();
        let output = self.uv(python, args, &[]);
        finish(&output).map(|_| self.server.asked())
    }

    /// The packages that uv would install, as `name version`.
    pub fn packages_by_uv(&self, python: &Python, args: &[&str]) -> Choice {
        let also = ["--dry-run", "--output-format", "json", "--preview"];
        let text = finish(&self.uv(python, args, &also))?;
        let report: serde_json::Value = serde_json::from_str(&text).unwrap();
        let changes = report["sync"]["changes"].as_array().unwrap();
        Ok(changes.iter().map(name_and_version).collect())
    }

    fn plan(&self, args: &[&str]) -> Result<serde_json::Value, String> {
        let output = self.lockwright(&[&["plan", "--json"], args].concat());
        Ok(serde_json::from_str(&finish(&output)?).unwrap())
    }

    fn lockwright(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockwright"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("UV_")) {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.path())
            .env("LOCKWRIGHT_STORE", self.folder.path().join("store"))
            .output()
            .unwrap()
    }

    /// The files that lockwright would fetch.
    pub fn files_by_us(&self, args: &[&str]) -> Choice {
        let plan = self.plan(args)?;
        Ok(packages(&plan)
            .filter_map(|package| package["install"]["artifact"]["file_name"].as_str())
            .map(str::to_owned)
            .collect())
    }

    /// The packages that lockwright would install, as `name version`.
    pub fn packages_by_us(&self, args: &[&str]) -> Choice {
        let plan = self.plan(args)?;
        Ok(packages(&plan).map(name_and_version).collect())
    }

    /// Asks both for the files they would take, for a Python that both are told of.
    #[track_caller]
    pub fn same_files(&self, python: &Python, args: &[&str]) -> BTreeSet<String> {
        let theirs = self.files_by_uv(python, args);
        let ours = self.files_by_us(&[args, &python.args()].concat());
        same(theirs, ours, &format!("{python:?} {args:?}"))
    }

    /// Asks both for the packages they would install.
    #[track_caller]
    pub fn same_packages(&self, python: &Python, args: &[&str]) -> BTreeSet<String> {
        let theirs = self.packages_by_uv(python, args);
        let ours = self.packages_by_us(&[args, &python.args()].concat());
        same(theirs, ours, &format!("{python:?} {args:?}"))
    }

    /// Asks both; they may also both refuse. Whether they installed something.
    #[track_caller]
    pub fn agree(&self, python: &Python, args: &[&str]) -> bool {
        let theirs = self.packages_by_uv(python, args);
        let ours = self.packages_by_us(&[args, &python.args()].concat());
        match (theirs, ours) {
            (Err(_), Err(_)) => false,
            (theirs, ours) => !same(theirs, ours, &format!("{python:?} {args:?}")).is_empty(),
        }
    }

    /// Both must refuse; ours is returned.
    #[track_caller]
    pub fn both_refuse(&self, python: &Python, args: &[&str]) -> String {
        let theirs = self.packages_by_uv(python, args);
        let ours = self.packages_by_us(&[args, &python.args()].concat());
        match (theirs, ours) {
            (Err(_), Err(ours)) => ours,
            (theirs, ours) => panic!("{args:?}: uv {theirs:?}, lockwright {ours:?}"),
        }
    }
}

/// Holds two choices against each other; both must be made.
#[track_caller]
pub fn same(theirs: Choice, ours: Choice, question: &str) -> BTreeSet<String> {
    match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => {
            let missing: Vec<_> = theirs.difference(&ours).collect();
            let surplus: Vec<_> = ours.difference(&theirs).collect();
            assert!(
                missing.is_empty() && surplus.is_empty(),
                "{question}\n  uv alone: {missing:#?}\n  lockwright alone: {surplus:#?}"
            );
            ours
        }
        (Err(theirs), Err(ours)) => panic!("{question}: neither\n{theirs}\n{ours}"),
        (theirs, ours) => panic!("{question}\nuv: {theirs:#?}\nlockwright: {ours:#?}"),
    }
}

fn finish(output: &Output) -> Result<String, String> {
    if output.status.success() {
        Ok(String::from_utf8(output.stdout.clone()).unwrap())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

fn packages(plan: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    plan["packages"].as_array().unwrap().iter()
}

fn name_and_version(package: &serde_json::Value) -> String {
    let name = package["name"].as_str().unwrap();
    // uv does not say the version of a source tree.
    let is_tree = package["install"]["kind"] == "directory";
    match package["version"].as_str().filter(|_| !is_tree) {
        Some(version) => format!("{name} {version}"),
        None => name.to_owned(),
    }
}

fn copy_sources(from: &Utf8Path, to: &Utf8Path) {
    for entry in from.read_dir_utf8().unwrap() {
        let entry = entry.unwrap();
        let (name, path) = (entry.file_name().to_owned(), entry.path());
        if name.starts_with('.') || name == "node_modules" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            copy_sources(path, &to.join(name));
        } else if !to.join(&name).exists()
            && (name.ends_with(".toml") || name.ends_with(".py") || name.ends_with(".whl"))
        {
            fs::create_dir_all(to).unwrap();
            fs::copy(path, to.join(name)).unwrap();
        }
    }
}

/// uv, as scripts/test-env has put it.
fn uv() -> Utf8PathBuf {
    let root = std::env::var("LOCKWRIGHT_TEST_ENV").unwrap_or_else(|_| {
        let cache = std::env::var("XDG_CACHE_HOME")
            .unwrap_or_else(|_| format!("{}/.cache", std::env::var("HOME").unwrap()));
        format!("{cache}/lockwright-test")
    });
    let uv = Utf8PathBuf::from(root).join("py/bin/uv");
    assert!(
        uv.is_file(),
        "{uv} is not there: prepare the peers with scripts/test-env"
    );
    uv
}
