//! The subprocess that turns a source into a wheel.
//!
//! The default hook drives the back end that the source names (PEP 517, PEP 660), contained. Any
//! other is a command of the user's, which a shell reads and which is given three more words: the
//! source's folder, the folder for the wheel, and a file with the request:
//!
//! ```json
//! {
//!   "version": 1,
//!   "package": "gssapi", "package_version": "1.11.1", "kind": "wheel",
//!   "source": "/tmp/…/source", "out": "/tmp/…/out", "temporary": "/tmp/…/tmp",
//!   "backend": "setuptools.build_meta", "backend_path": [], "config_settings": {},
//!   "requires": ["Cython == 3.2.4", "setuptools>=40.6.0"],
//!   "wheels": [{"name": "cython", "file_name": "…whl", "path": "/store/…", "digest": "sha256:…"}],
//!   "environment_folder": "/tmp/…/env", "variables": {"SOURCE_DATE_EPOCH": "315532800"},
//!   "interpreter": "/usr/bin/python3.14", "python": "3.14.8", "target": "CPython 3.14.8 on …"
//! }
//! ```
//!
//! It leaves one wheel in the folder for it, and is not contained: that is its own affair. It is
//! started in the source's folder with lockwright's own environment.

use std::fs;
use std::io;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::Utf8Path;
use serde::Deserialize;
use serde_json::{Value, json};

use super::environment::Wheelhouse;
use super::project::Project;
use super::recipe::{Recipe, RecipeSource};
use super::sandbox::{self, Ended, How, Job, Level, Ran, Said};
use super::source::Place;
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::decide::target::probe::Interpreter;

const HOOKS: &[u8] = include_bytes!("pyproject_hooks-1.3.3-py3-none-any.whl");
const DRIVER: &str = include_str!("hook.py");

/// What runs a build.
#[derive(Debug, Clone)]
pub(super) enum Hook {
    /// The PEP 517 front end.
    Pep517,
    /// A command.
    Command(String),
}

impl Hook {
    /// What of it shapes a wheel.
    pub(super) fn id(&self) -> Value {
        match self {
            Self::Pep517 => {
                let all = [HOOKS, DRIVER.as_bytes()].concat();
                json!(Digest::of(Algorithm::Sha256, &all).to_string())
            }
            Self::Command(command) => json!(["command", command]),
        }
    }
}

/// One build, all of it ready.
pub(super) struct HookEnvironment<'a> {
    /// What is built.
    pub(super) recipe: &'a Recipe,
    /// By which interpreter.
    pub(super) interpreter: &'a Interpreter,
    /// The build's folder on this machine.
    pub(super) folder: &'a Utf8Path,
    /// The folder as the build sees it.
    pub(super) seen: &'a Utf8Path,
    /// Where the source is.
    pub(super) place: &'a Place,
    /// How the source says it is built.
    pub(super) project: &'a Project,
    /// What it needs.
    pub(super) needs: &'a [Wheelhouse<'a>],
    /// Its variables.
    pub(super) variables: Vec<(String, String)>,
    /// Whether it is contained.
    pub(super) level: Level,
    /// How long it may take.
    pub(super) limit: Duration,
    /// This program.
    pub(super) this: &'a Utf8Path,
    /// Set when nobody wants the wheel any more.
    pub(super) stop: &'a AtomicBool,
}

/// What came of it.
pub(super) struct Outcome {
    /// What the back end requires besides, if it got as far as saying so.
    pub(super) requires: Vec<String>,
    /// The wheel's name, when all went well.
    pub(super) wheel: Option<String>,
    /// How the process ended.
    pub(super) ended: Ended,
    /// What it said.
    pub(super) said: Said,
}

/// What the driver answers.
#[derive(Debug, Deserialize)]
struct Answer {
    requires: Vec<String>,
    wheel: Option<String>,
}

impl HookEnvironment<'_> {
    /// Runs the hook; `only_ask` has the default one ask the back end what it requires, no more.
    pub(super) fn run(&self, hook: &Hook, only_ask: bool) -> io::Result<Outcome> {
        match hook {
            Hook::Pep517 => self.drive(only_ask),
            Hook::Command(command) => self.command(command),
        }
    }

    fn drive(&self, only_ask: bool) -> io::Result<Outcome> {
        let Self {
            folder,
            seen,
            place,
            project,
            ..
        } = self;
        let hooks = "pyproject_hooks.whl";
        fs::write(folder.join(hooks), HOOKS)?;
        fs::write(folder.join("hook.py"), DRIVER)?;
        // A lock is made for both ways in which a folder is installed.
        let is_folder = matches!(self.recipe.source, RecipeSource::Folder { .. });
        let asked = match only_ask && is_folder {
            true => vec!["wheel", "editable"],
            false => vec![self.recipe.kind()],
        };
        let request = json!({
            "hooks": seen.join(hooks),
            "source": place.seen,
            "backend": project.backend,
            "backend_path": project.backend_path,
            "config_settings": self.recipe.config_settings,
            "kind": self.recipe.kind(),
            "asked": asked,
            "only_ask": only_ask,
            "out": seen.join("out"),
            "answer": seen.join("answer.json"),
        });
        fs::write(folder.join("request.json"), request.to_string())?;
        let about = &self.interpreter.about;
        let executable = about.base_executable.parent().map(Utf8Path::to_owned);
        let job = Job {
            folder: folder.to_path_buf(),
            readable: [about.base_prefix.clone(), about.stdlib.clone()]
                .into_iter()
                .chain(executable)
                .chain(self.recipe.tools.map(|tools| tools.folder.clone()))
                .filter(|path| !path.starts_with("/usr"))
                .collect(),
            writable: match place.is_editable {
                true => vec![place.real.clone()],
                false => Vec::new(),
            },
            shown: (self.recipe.change.iter())
                .flat_map(|change| change.shown.iter())
                .chain(&place.shown)
                .cloned()
                .collect(),
            command: vec![
                seen.join("env/bin/python").into(),
                "-I".into(),
                seen.join("hook.py").into(),
                seen.join("request.json").into(),
            ],
            current: place.seen.clone(),
            environment: self.variables.clone(),
            cores: None,
        };
        let Ran { ended, said } = job.run(&How {
            level: self.level,
            this: self.this,
            limit: self.limit,
            stop: self.stop,
        })?;
        let answer: Option<Answer> = foreign::read(folder.join("answer.json"), 1 << 20)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let (requires, wheel) =
            answer.map_or_else(Default::default, |answer| (answer.requires, answer.wheel));
        Ok(Outcome {
            requires,
            wheel: wheel.filter(|name| ended.is_well() && crate::decide::lock::is_file_name(name)),
            ended,
            said,
        })
    }

    fn command(&self, command: &str) -> io::Result<Outcome> {
        use std::os::unix::process::CommandExt as _;
        let out = self.folder.join("out");
        let request = self.folder.join("request.json");
        fs::write(&request, self.request().to_string())?;
        let mut hook = Command::new("/bin/sh");
        hook.args(["-c", &format!("{command} \"$@\""), "build-hook"])
            .args([&self.place.real, &out, &request])
            .current_dir(&self.place.real)
            .process_group(0);
        let Ran { ended, mut said } = sandbox::watch(hook, None, self.limit, self.stop)?;
        let made = fs::read_dir(&out)?
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| name.ends_with(".whl"));
        let made: Vec<String> = made.collect();
        if ended.is_well() && made.len() != 1 {
            let count = made.len();
            said.add(&format!(
                "the build hook left {count} wheels in {out}, not one"
            ));
        }
        Ok(Outcome {
            requires: Vec::new(),
            wheel: made.into_iter().next().filter(|_| ended.is_well()),
            ended,
            said,
        })
    }

    /// What a command is told.
    fn request(&self) -> Value {
        let wheels: Vec<Value> = self
            .needs
            .iter()
            .map(|need| {
                json!({
                    "name": need.package.name,
                    "version": need.package.version,
                    "file_name": need.file_name,
                    "path": need.blob.path,
                    "digest": need.blob.digest.to_string(),
                })
            })
            .collect();
        let variables: serde_json::Map<String, Value> = self
            .variables
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "version": 1,
            "package": self.recipe.package.name,
            "package_version": self.recipe.package.version,
            "kind": self.recipe.kind(),
            "source": self.place.real,
            "out": self.folder.join("out"),
            "temporary": self.folder.join("tmp"),
            "backend": self.project.backend,
            "backend_path": self.project.backend_path,
            "config_settings": self.recipe.config_settings,
            "requires": self.project.requires,
            "wheels": wheels,
            "environment_folder": self.folder.join("env"),
            "variables": variables,
            "interpreter": self.interpreter.about.base_executable,
            "python": self.interpreter.about.version,
            "target": self.interpreter.target.to_string(),
        })
    }
}
