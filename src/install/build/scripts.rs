//! The scripts that npm runs when it installs, as npm runs them, but contained. They see what the
//! caller shows them of the project, Node and the machine's system folders; no network, no
//! credentials, nothing of anybody's home.

use std::fs;
use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::sandbox::{self, How, INSIDE, Job, Level, Mode, Ran, Shown};
use crate::core::foreign::{Folder, TEXT};
use crate::core::scratch::Scratch;

/// How long a script may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How many lines of a failed script's output are told.
const LAST: usize = 15;

/// Where scripts find the project.
pub const PROJECT: &str = "/build/project";

/// A package whose scripts are run.
#[derive(Debug, Clone)]
pub struct Scripts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its place, from the project's folder; empty for the project itself.
    pub location: &'a str,
    /// A folder of this machine that is ours, or the user's.
    pub top: Utf8PathBuf,
    /// Where the package is below it.
    pub below: &'a str,
    /// Which are run, in their order.
    pub events: &'a [&'static str],
}

impl Scripts<'_> {
    /// The package's folder, as it is by now.
    fn open(&self) -> io::Result<Folder> {
        Folder::open(&self.top)?.folder(self.below)
    }
}

/// What scripts run in.
#[derive(Debug)]
pub struct Room {
    /// This program.
    this: Utf8PathBuf,
    level: Level,
    /// Node's own folder, as scripts see it.
    node: Utf8PathBuf,
    /// Where that is.
    real: Utf8PathBuf,
    /// What they see of this machine.
    readable: Vec<Utf8PathBuf>,
    /// What is shown of the project: folders and files of this machine, and where they are there.
    shown: Vec<Shown>,
    /// What that is, in messages.
    seen: &'static str,
    agent: String,
}

/// A Node that is not this machine's own.
#[derive(Debug, Clone)]
pub struct OwnNode {
    /// What names its bytes.
    pub id: String,
    /// Its folder, which has `bin/node`, as scripts see it.
    pub folder: Utf8PathBuf,
    /// Where that is.
    pub real: Utf8PathBuf,
    /// What is shown for its sake.
    pub shown: Vec<Shown>,
    /// What they see of this machine for its sake.
    pub readable: Vec<Utf8PathBuf>,
}

/// Why a script did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// It failed.
    #[error(
        "the {event} script of {package} {ended}:{last}\nit ran without a network, and saw nothing but {seen}: provide \
         what else it needs beforehand, or leave the package out of --allow-scripts"
    )]
    Failed {
        /// Which.
        event: &'static str,
        /// Whose.
        package: String,
        /// How.
        ended: String,
        /// What it said last.
        last: String,
        /// What it could see.
        seen: &'static str,
    },
    /// This kernel does not let us contain anything.
    #[error(
        "scripts run fully contained or not at all: {0}; leave --allow-scripts out, and run \
         `npm rebuild NAME` yourself, or see `lockwright sandbox`"
    )]
    Uncontained(String),
    /// There is no node.
    #[error("scripts need Node, and there is no `node` on PATH")]
    NoNode,
    /// What the system says.
    #[error("the scripts of {package} cannot be run: {source}")]
    Io {
        /// Whose.
        package: String,
        /// Why.
        source: io::Error,
    },
}

impl Room {
    /// One in which `shown` is all that is seen of the project; `seen` is what that is called. Scripts are
    /// run by `node`, or else by the one on PATH.
    ///
    /// # Errors
    /// When there is no Node, or nothing can be contained here.
    pub fn new(
        mut shown: Vec<Shown>,
        seen: &'static str,
        target: &str,
        node: Option<&OwnNode>,
    ) -> Result<Self, ScriptError> {
        let this = std::env::current_exe().map_err(|source| ScriptError::Io {
            package: "packages".into(),
            source,
        })?;
        let this = Utf8PathBuf::from(this.to_string_lossy().into_owned());
        let whole = sandbox::choose(Mode::Require, &this, "scripts");
        let (level, _) = whole.map_err(ScriptError::Uncontained)?;
        let (node, real, readable) = match node {
            Some(own) => {
                shown.extend(own.shown.iter().cloned());
                (own.folder.clone(), own.real.clone(), own.readable.clone())
            }
            None => {
                let folder = on_path()?;
                (folder.clone(), folder.clone(), vec![folder])
            }
        };
        let is_shown = |path: &Utf8PathBuf| path.starts_with("/usr");
        Ok(Self {
            this,
            level,
            node,
            real,
            readable: readable
                .into_iter()
                .filter(|path| !is_shown(path))
                .collect(),
            shown,
            seen,
            agent: format!("npm/11.17.0 {target}"),
        })
    }

    /// Runs a package's scripts; how many it had.
    ///
    /// # Errors
    /// With what the first that fails said.
    pub fn run(&self, package: &Scripts<'_>) -> Result<usize, ScriptError> {
        let label = match format!("{} {}", package.name, package.version).trim() {
            "" => "the project".to_owned(),
            label => label.to_owned(),
        };
        let failed = |source| ScriptError::Io {
            package: label.clone(),
            source,
        };
        // Another package's script may have been there.
        let folder = package.open().map_err(failed)?;
        let text = folder.read("package.json", TEXT).map_err(failed)?;
        let about: Value = serde_json::from_slice(&text).unwrap_or_default();
        let script = |event: &str| about.get("scripts")?.get(event)?.as_str();
        // As npm has it: native code that says nothing of how it is built.
        let is_native = script("install").is_none()
            && script("preinstall").is_none()
            && about.get("gypfile") != Some(&Value::Bool(false))
            && folder.has("binding.gyp");
        let mut count = 0;
        for &event in package.events {
            let said = match event {
                "install" if is_native => Some("node-gyp rebuild"),
                event => script(event),
            };
            if let Some(said) = said.filter(|said| !said.trim().is_empty()) {
                self.one(package, &label, event, said, &about)?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn one(
        &self,
        package: &Scripts<'_>,
        label: &str,
        event: &'static str,
        said: &str,
        about: &Value,
    ) -> Result<(), ScriptError> {
        let failed = |source| ScriptError::Io {
            package: label.to_owned(),
            source,
        };
        let held = Scratch::new("scripts").map_err(failed)?;
        let folder = held.path().to_owned();
        for name in ["root", "tmp", "home"] {
            fs::create_dir(folder.join(name)).map_err(failed)?;
        }
        let job = Job {
            folder,
            readable: self.readable.clone(),
            writable: Vec::new(),
            shown: self.shown.clone(),
            command: ["/bin/sh", "-c", said].map(str::to_owned).to_vec(),
            current: inside(package.location),
            environment: self.environment(package, event, said, about),
            cores: None,
        };
        let ran = job.run(&How {
            level: self.level,
            this: &self.this,
            limit: LIMIT,
            stop: &AtomicBool::new(false),
        });
        let Ran { ended, said } = ran.map_err(failed)?;
        if ended.is_well() {
            return Ok(());
        }
        Err(ScriptError::Failed {
            event,
            package: label.to_owned(),
            ended: ended.told(LIMIT),
            last: said.last(LAST),
            seen: self.seen,
        })
    }

    /// What npm tells its scripts, as far as it does not depend on the machine.
    fn environment(
        &self,
        package: &Scripts<'_>,
        event: &str,
        said: &str,
        about: &Value,
    ) -> Vec<(String, String)> {
        let inside = inside(package.location);
        let mut path = String::new();
        let mut above = Some(inside.as_path());
        while let Some(folder) = above.filter(|folder| folder.starts_with(PROJECT)) {
            if folder.file_name() != Some("node_modules") {
                path.push_str(&format!("{folder}/node_modules/.bin:"));
            }
            above = folder.parent();
        }
        let below = "lib/node_modules/npm/node_modules";
        let npm = self.node.join(below);
        let gyp = npm.join("@npmcli/run-script/lib/node-gyp-bin");
        let node = self.node.join("bin");
        let own = npm.join("node-gyp/bin/node-gyp.js");
        let mut all = vec![
            (
                "PATH",
                format!("{path}{gyp}:{node}:/usr/local/bin:/usr/bin:/bin"),
            ),
            ("HOME", format!("{INSIDE}/home")),
            ("TMPDIR", "/tmp".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("TZ", "UTC".to_owned()),
            ("SOURCE_DATE_EPOCH", "315532800".to_owned()),
            ("INIT_CWD", PROJECT.to_owned()),
            ("NODE", format!("{node}/node")),
            ("npm_node_execpath", format!("{node}/node")),
            ("npm_command", "ci".to_owned()),
            ("npm_config_user_agent", self.agent.clone()),
            ("npm_lifecycle_event", event.to_owned()),
            ("npm_lifecycle_script", said.to_owned()),
            ("npm_package_name", package.name.to_owned()),
            ("npm_package_version", package.version.to_owned()),
            ("npm_package_json", format!("{inside}/package.json")),
        ];
        if self
            .real
            .join(below)
            .join("node-gyp/bin/node-gyp.js")
            .is_file()
        {
            all.push(("npm_config_node_gyp", own.to_string()));
        }
        // Headers of its own, where Node brings them: none can be downloaded.
        if self.real.join("include/node/node.h").is_file() {
            all.push(("npm_config_nodedir", self.node.to_string()));
        }
        let mut all: Vec<(String, String)> = all
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for key in ["config", "engines", "bin"] {
            if let Some(value) = about.get(key) {
                flatten(&format!("npm_package_{key}"), value, &mut all);
            }
        }
        // No system takes these.
        all.retain(|(name, value)| !name.contains(['=', '\0']) && !value.contains('\0'));
        all
    }
}

/// The folder of the Node on PATH.
fn on_path() -> Result<Utf8PathBuf, ScriptError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut places = path
        .split(':')
        .map(|folder| Utf8Path::new(folder).join("node"));
    let node = places.find_map(|node| node.canonicalize_utf8().ok());
    let node = node.ok_or(ScriptError::NoNode)?;
    let folder = node.parent().and_then(Utf8Path::parent);
    Ok(folder.unwrap_or(Utf8Path::new("/usr")).to_owned())
}

/// A place of the project, where scripts find it.
pub fn inside(place: &str) -> Utf8PathBuf {
    match place.trim_end_matches('/') {
        "" => PROJECT.into(),
        place => Utf8Path::new(PROJECT).join(place),
    }
}

/// A value of a package.json as variables, the way npm names them: `npm_package_config_port`.
fn flatten(name: &str, value: &Value, all: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                flatten(&format!("{name}_{key}"), value, all);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                flatten(&format!("{name}_{index}"), value, all);
            }
        }
        Value::Null | Value::Bool(false) => all.push((name.to_owned(), String::new())),
        Value::String(text) => all.push((name.to_owned(), text.clone())),
        other => all.push((name.to_owned(), other.to_string())),
    }
}
