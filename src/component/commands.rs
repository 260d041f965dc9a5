//! Commands that run in the tree while it is made: contained as builds are, without network, and
//! with the tree where it will live, so that what they write down is true later, or, where nothing of
//! that shows, in one place on every machine.
//!
//! Where commands cannot be contained, or the place where the tree will live cannot be made, they
//! see the tree where it is; scripts that name the other place are then started by its interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read as _;
use std::num::NonZeroUsize;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};

use super::containment::source_inside;
use super::context::Context;
use super::error::{Cause, CommandFailure, ComponentError};
use super::inputs::parts;
use super::places::uses_python;
use super::toolbox::{self, Toolbox};
use super::{Made, kept};
use crate::core::foreign;
use crate::core::io_error::cannot;
use crate::core::scratch::Scratch;
use crate::decide::manifest::Placeholder;
use crate::install::build::advice;
use crate::install::build::sandbox::{Ended, How, INSIDE, Job, Level, NOT_RUN, Ran, Said, Shown};

/// How many lines of what a command said last are shown.
const LAST: usize = 30;
/// How long a command may take that has no limit of its own.
const LIMIT: Duration = Duration::from_secs(600);
/// The time that commands believe it is, as builds do.
const EPOCH: &str = "315532800";

/// Where commands see things.
pub struct Stage<'a> {
    context: &'a Context<'a>,
    /// The tree, where it is.
    root: &'a Utf8Path,
    /// Where it will live.
    prefix: &'a Utf8Path,
    level: Level,
    /// Where commands see it.
    pub mount: Utf8PathBuf,
    tools: Toolbox,
}

/// A command.
pub struct Ask<'a> {
    /// What it is called in messages.
    pub what: String,
    /// The manifest's text that asks for it.
    pub said: &'a str,
    /// The program and its arguments.
    pub words: Vec<String>,
    /// Variables, over the usual ones.
    pub environment: BTreeMap<String, String>,
    /// Where it runs.
    pub current: Utf8PathBuf,
    /// What else it may read, at its own place.
    pub readable: Vec<Utf8PathBuf>,
    /// What else it may read, at others.
    pub shown: Vec<Shown>,
    /// Whether it may write to the tree.
    pub writes: bool,
    /// How long it may take.
    pub limit: Duration,
    /// How many cores it may use; all where it is not said.
    pub cores: Option<NonZeroUsize>,
    /// Folders that stay from one run to the next: variable and name.
    pub caches: Vec<(String, String)>,
}

impl<'a> Ask<'a> {
    /// A command that only reads the tree, in it.
    pub fn reading(what: String, said: &'a str, words: Vec<String>, stage: &Stage<'_>) -> Self {
        Self {
            what,
            said,
            words,
            environment: BTreeMap::new(),
            current: stage.mount.clone(),
            readable: Vec::new(),
            shown: Vec::new(),
            writes: false,
            limit: LIMIT,
            cores: None,
            caches: Vec::new(),
        }
    }
}

impl<'a> Stage<'a> {
    /// Finds out how commands are run. They see the tree where it will live, if that is said of
    /// them; else in one place, wherever that will be.
    ///
    /// # Errors
    /// When they must be contained, and cannot be.
    pub fn new(
        context: &'a Context<'a>,
        root: &'a Utf8Path,
        prefix: &'a Utf8Path,
        is_at_home: bool,
    ) -> Result<Self, ComponentError> {
        let level = context.containment.now()?;
        // In the system's folders, which are shown as they are, no place can be made.
        let system = [
            "/usr",
            "/bin",
            "/sbin",
            "/lib",
            "/lib64",
            "/nix/store",
            "/gnu/store",
        ];
        let can_be_made = prefix.is_dir() || !system.iter().any(|top| prefix.starts_with(top));
        let mount = match (level.is_whole(), is_at_home && can_be_made) {
            (true, true) => prefix.to_owned(),
            (true, false) => Utf8Path::new(INSIDE).join("tree"),
            (false, _) => root.to_owned(),
        };
        Ok(Self {
            context,
            root,
            prefix,
            level,
            mount,
            tools: Toolbox::default(),
        })
    }

    /// With the component's tools at hand.
    ///
    /// # Errors
    /// When one is not there.
    pub fn with_tools(mut self) -> Result<Self, ComponentError> {
        self.tools = Toolbox::open(self.context, &|template| self.fill(template))?;
        toolbox::check_versions(self.context, |name, words| {
            let what = format!("`{}`", words.join(" "));
            self.run(&Ask::reading(what, name, words, &self))
        })?;
        Ok(self)
    }

    /// A text of the manifest, as commands see it.
    ///
    /// # Errors
    /// When a source cannot be obtained.
    pub fn fill(
        &self,
        template: &crate::decide::manifest::Parsed,
    ) -> Result<String, ComponentError> {
        let context = self.context;
        let said = template.as_written();
        template.fill(|hole| match hole {
            Placeholder::Source(name) => {
                let folder = context.sources.folder(name)?;
                Ok(match self.level.is_whole() {
                    true => source_inside(name),
                    false => folder.into_string(),
                })
            }
            Placeholder::Component(name) => {
                let made = context.made(name, said)?;
                Ok(match self.level.is_whole() {
                    true => made.prefix.to_string(),
                    false => made.path.to_string(),
                })
            }
            Placeholder::Out | Placeholder::Prefix => Ok(self.mount.to_string()),
            Placeholder::Site => Ok(self.mount.join(context.site()?).into_string()),
            Placeholder::Python => Ok(context.python()?.path().into_string()),
        })
    }

    /// Runs a command to its successful end.
    ///
    /// # Errors
    /// When its program is missing, or it fails, with what it said last.
    pub fn run(&self, ask: &Ask<'_>) -> Result<Said, ComponentError> {
        let disk = |error| {
            let cause: Cause = cannot("prepare the run of", &ask.what)(error).into();
            ComponentError::from(cause)
        };
        let held = Scratch::new("run").map_err(disk)?;
        let folder = held.path().to_owned();
        for name in ["root", "tmp", "home"] {
            fs::create_dir(folder.join(name)).map_err(disk)?;
        }
        self.tools.write(&folder).map_err(disk)?;
        let work = match self.level.is_whole() {
            true => Utf8Path::new(INSIDE),
            false => &folder,
        };
        self.check_program(ask)?;
        let caches = self.caches(ask).map_err(disk)?;
        let job = Job {
            folder: folder.clone(),
            readable: self.readable(ask),
            writable: Vec::new(),
            shown: self.shown(ask, &caches)?,
            command: self.command(&ask.words),
            current: ask.current.clone(),
            environment: self.environment(ask, work, &caches)?,
            cores: ask.cores,
        };
        let ran = job.run(&How {
            level: self.level,
            this: &self.context.settings.build.this,
            limit: ask.limit,
            stop: &AtomicBool::new(false),
        });
        let Ran { ended, said } = ran.map_err(disk)?;
        let log = match ended.is_well() && !ask.writes {
            true => None,
            false => self.keep(ask, &said).ok(),
        };
        if ended.is_well() {
            if let Some(log) = log {
                let (name, last) = (self.context.name, said.last(usize::MAX));
                tracing::info!("{name}: {} was run; its log is in {log}{last}", ask.what);
            }
            return Ok(said);
        }
        Err(self.failure(ask, ended, &said, log))
    }

    /// Forgets what commands of the component said in former runs.
    pub fn forget(&self) {
        // Where there is none, or it stays, what is said now is added.
        let _ = fs::remove_file(self.log());
    }

    /// Where what the component's commands say is kept.
    fn log(&self) -> Utf8PathBuf {
        let logs = self.context.settings.store.root().join("logs");
        logs.join(format!("component-{}.log", self.context.name))
    }

    /// Keeps what a command said, behind what those before it did.
    fn keep(&self, ask: &Ask<'_>, said: &Said) -> std::io::Result<Utf8PathBuf> {
        let log = self.log();
        fs::create_dir_all(log.with_file_name(""))?;
        let mut file = fs::File::options().create(true).append(true).open(&log)?;
        let text = [format!("$ {}\n", ask.what).as_bytes(), &said.bytes()].concat();
        std::io::Write::write_all(&mut file, &text)?;
        Ok(log)
    }

    /// A program that is only named must be somewhere.
    fn check_program(&self, ask: &Ask<'_>) -> Result<(), ComponentError> {
        let Some(program) = ask.words.first().filter(|word| !word.contains('/')) else {
            return Ok(());
        };
        // Where the manifest says its own, it knows better.
        let is_told = ask.environment.contains_key("PATH");
        let path = self.context.containment.path()?;
        let mut folders = path.split(':').map(Utf8Path::new);
        if is_told
            || self.root.join("bin").join(program).exists()
            || self.tools.has(program)
            || folders.any(|folder| folder.is_absolute() && folder.join(program).is_file())
        {
            return Ok(());
        }
        let what = toolbox::missing(self.context, program);
        Err(self.context.refuse(ask.said, what))
    }

    /// Folders of the store that stay from one run to the next, by the variables that name them.
    fn caches(&self, ask: &Ask<'_>) -> std::io::Result<Vec<(String, Shown)>> {
        let all = self.context.settings.store.root().join("caches");
        let made = ask.caches.iter().map(|(variable, name)| {
            let from = all.join(name);
            fs::create_dir_all(&from)?;
            kept::used(&from);
            let to = match self.level.is_whole() {
                true => format!("{INSIDE}/cache/{name}").into(),
                false => from.clone(),
            };
            let shown = Shown {
                from,
                to,
                writable: true,
            };
            Ok((variable.clone(), shown))
        });
        made.collect()
    }

    /// What a command said last, and where all of it is kept.
    fn failure(
        &self,
        ask: &Ask<'_>,
        ended: Ended,
        said: &Said,
        log: Option<Utf8PathBuf>,
    ) -> ComponentError {
        ComponentError::Command(Box::new(CommandFailure {
            place: self.context.place(ask.said),
            what: ask.what.clone(),
            ended: match ended {
                // What the sandbox says when there is no such program.
                Ended::Itself(status) if status.code() == Some(NOT_RUN) => {
                    "cannot be started".into()
                }
                ended => ended.told(ask.limit),
            },
            log: log.map_or_else(String::new, |log| format!("; its log is {log}")),
            last: said.last(LAST),
            hint: advice::of_command(&said.text())
                .map_or_else(String::new, |hint| format!("\nhint: {hint}")),
        }))
    }

    /// Folders of this machine that a command sees at their own places.
    fn readable(&self, ask: &Ask<'_>) -> Vec<Utf8PathBuf> {
        let mut all: BTreeSet<Utf8PathBuf> = ask.readable.iter().cloned().collect();
        all.extend(self.tools.readable.iter().cloned());
        if uses_python(self.context).is_ok_and(|uses| uses)
            && let Ok(chosen) = self.context.pythons.get()
            && let Some(found) = &chosen.interpreter
        {
            all.extend([found.about.base_prefix.clone(), found.about.stdlib.clone()]);
        }
        if let Some(elf) = &self.context.component.elf {
            let search = elf.search.iter();
            all.extend(
                search
                    .filter_map(|template| self.context.runtime_path(template, self.prefix).ok())
                    .map(Utf8PathBuf::from),
            );
        }
        let mut all: Vec<_> = all.into_iter().collect();
        all.retain(|path| path.is_absolute() && !path.starts_with("/usr") && path.exists());
        all
    }

    /// The tree, the sources and the components that the component speaks of, where a contained
    /// command finds them.
    fn shown(
        &self,
        ask: &Ask<'_>,
        caches: &[(String, Shown)],
    ) -> Result<Vec<Shown>, ComponentError> {
        let mut shown: Vec<Shown> = caches.iter().map(|(_, cache)| cache.clone()).collect();
        shown.extend(self.tools.shown.iter().cloned());
        let own = self.context.component.named_components();
        let is_told = |name: &String| !self.tools.is_empty() || own.contains(name.as_str());
        // What it starts from may live where the tree itself does.
        let is_elsewhere = |made: &Made| made.prefix != self.mount;
        let named = self.context.made.iter();
        for (name, made) in named.filter(|(name, made)| is_told(name) && is_elsewhere(made)) {
            tracing::debug!("{}: component {name} is shown", self.context.name);
            shown.push(Shown {
                from: made.path.clone(),
                to: made.prefix.clone(),
                writable: false,
            });
        }
        if ask.writes {
            let runs = self.context.component.run.iter();
            let told = runs.flat_map(|run| {
                let words = run.command.iter().chain(&run.inputs);
                words.chain(run.env.values()).map(|template| &**template)
            });
            shown.extend(parts(self.context, told)?.into_iter().map(|part| Shown {
                from: part.from,
                to: part.to,
                writable: false,
            }));
        }
        shown.push(Shown {
            from: self.root.to_owned(),
            to: self.mount.clone(),
            writable: ask.writes,
        });
        shown.extend(ask.shown.iter().cloned());
        // What is inside another is shown after it.
        shown.sort_by(|one, other| one.to.cmp(&other.to));
        shown.dedup_by(|one, other| one.to == other.to);
        Ok(shown)
    }

    /// The command, with its program found: one of the tree's where it is only named, and through
    /// the tree's interpreter where its first line leads to where the tree is not yet.
    fn command(&self, words: &[String]) -> Vec<String> {
        let mut words = words.to_vec();
        let Some(program) = words.first_mut() else {
            return words;
        };
        let own = self.root.join("bin").join(&*program);
        if !program.contains('/') && own.exists() {
            *program = self.mount.join("bin").join(&*program).into_string();
        }
        let Some(inside) = super::below(Utf8Path::new(program), &self.mount) else {
            return words;
        };
        let mut head = Vec::new();
        if let Ok(file) = foreign::open_inside(self.root, inside) {
            let _ = file.take(1024).read_to_end(&mut head);
        }
        let head = String::from_utf8_lossy(&head);
        let is_python = head
            .lines()
            .take(2)
            .any(|line| line.contains("bin/python") && line.contains(self.prefix.as_str()));
        if self.mount != self.prefix && head.starts_with("#!") && is_python {
            words.insert(0, self.mount.join("bin/python").into_string());
        }
        words
    }

    fn environment(
        &self,
        ask: &Ask<'_>,
        work: &Utf8Path,
        caches: &[(String, Shown)],
    ) -> Result<Vec<(String, String)>, ComponentError> {
        let tools = self.tools.path(work);
        let path = self.context.containment.path()?;
        let usual = [
            ("PATH", format!("{}/bin:{tools}{path}", self.mount)),
            ("HOME", work.join("home").into_string()),
            ("TMPDIR", work.join("tmp").into_string()),
            ("LANG", "C.UTF-8".into()),
            ("LC_ALL", "C.UTF-8".into()),
            ("TZ", "UTC".into()),
            ("SOURCE_DATE_EPOCH", EPOCH.into()),
            ("PYTHONHASHSEED", "0".into()),
            ("PYTHONDONTWRITEBYTECODE", "1".into()),
            ("PYTHONNOUSERSITE", "1".into()),
        ];
        let mut all: BTreeMap<String, String> = usual
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let caches = caches.iter();
        all.extend(caches.map(|(variable, cache)| (variable.clone(), cache.to.to_string())));
        all.extend(ask.environment.clone());
        Ok(all.into_iter().collect())
    }
}
