//! Containing a command: no network, no credentials, nothing of the machine but its system folders,
//! which cannot be written to.
//!
//! By the Linux kernel alone. This program runs itself twice (`lockwright __sandbox`): the first time to leave
//! the user, mount, process and network namespaces, the second time, as process 1 of the new ones, to
//! put together a root of its own and let go of every capability. The build's folder is always called
//! [`INSIDE`] there, so that paths that end up in what is built are the same on every machine. When
//! process 1 is killed, all that the build started is.
//!
//! Each line of defence stands by itself, and is taken where the kernel gives it ([`Level`]):
//!
//! - the stages inherit nothing of the caller: no variable, no open file but 0, 1 and 2, no terminal;
//! - they run from a copy of this program in memory that nobody can write to, and process 1 lets nobody look
//!   into it, so that `/proc/1` leads to no file, no memory and no variable of this machine;
//! - whatever is shown of the machine is read-only, devices and the kernel's own files in `/proc` among
//!   it, but for the folders that the job may write to; where no `/proc` of its own can be mounted, the
//!   machine's is shown, read-only;
//! - the command is not root in its namespaces, has no capability, and can get none;
//! - Landlock says the same of files once more, and holds without any namespace;
//! - seccomp leaves no sockets but UNIX's and netlink's for routes, no tracing, no mounts and nothing else of what it denies;
//! - processes, memory, and files are counted, in a cgroup where one is delegated;
//! - what a command leaves behind is ended with it, also where there is no process namespace;
//! - what it says goes through a pipe, and is kept up to a size ([`Said`]).

mod limits;
mod lines;
mod namespaces;
mod prefix;
mod root;
mod rules;
mod run;
mod stages;

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::core::scratch::Scratch;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::thread::CpuSet;
use serde::{Deserialize, Serialize};

pub use lines::{Found, Level, Line};
pub use run::{Ended, How, Ran, Said, watch};
pub use stages::stage;

/// Where a contained build finds its folder.
pub const INSIDE: &str = "/build";

/// The exit code of a stage whose command could not be started.
pub const NOT_RUN: i32 = 125;

/// How the message of a command begins that does not get as far as running.
const NOT_STARTED: &str = "the command cannot be started: ";

/// Whether builds are contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As far as the kernel allows; where that is less than [`Level::Whole`], it is said.
    #[default]
    Auto,
    /// Wholly, or nothing is built.
    Require,
    /// Never.
    Off,
}

/// A command, and what it may see.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// The build's folder on this machine. It has an empty folder `root`, and one called `tmp`.
    pub folder: Utf8PathBuf,
    /// Folders that it may read, at their own paths.
    pub readable: Vec<Utf8PathBuf>,
    /// Folders that it may write to, at their own paths.
    pub writable: Vec<Utf8PathBuf>,
    /// Folders and files that it finds at other paths than their own.
    pub shown: Vec<Shown>,
    /// The command.
    pub command: Vec<String>,
    /// Where it is run.
    pub current: Utf8PathBuf,
    /// Its whole environment.
    pub environment: Vec<(String, String)>,
    /// How many of the machine's cores it may use; all where it is not said.
    pub cores: Option<NonZeroUsize>,
}

/// Something of this machine that a contained command finds elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Shown {
    /// What it is here.
    pub from: Utf8PathBuf,
    /// Where it is there.
    pub to: Utf8PathBuf,
    /// Whether it may be written to.
    pub writable: bool,
}

impl Job {
    /// Leaves this process, and those that it starts, no more cores than the job may use.
    fn take_cores(&self) -> io::Result<()> {
        let Some(wanted) = self.cores else {
            return Ok(());
        };
        let there = rustix::thread::sched_getaffinity(None)?;
        let mut given = CpuSet::new();
        let usable = (0..CpuSet::MAX_CPU).filter(|core| there.is_set(*core));
        for core in usable.take(wanted.get()) {
            given.set(core);
        }
        Ok(rustix::thread::sched_setaffinity(None, &given)?)
    }

    fn program(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command
            .args(words)
            .current_dir(&self.current)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs it to its end, contained or not.
    ///
    /// # Errors
    /// When it cannot be started or waited for.
    pub fn run(&self, how: &How<'_>) -> io::Result<Ran> {
        let (_group, order) = self.order(how.level, false);
        order.run(how)
    }

    fn order(&self, level: Level, report: bool) -> (Result<limits::Group, String>, Order) {
        let limits = limits::Limits::of_machine();
        let group = match level {
            Level::Open => Err("nothing is contained".into()),
            _ => limits::Group::new(&limits),
        };
        let folder = group.as_ref().map(|group| group.folder().to_owned());
        let order = Order {
            job: Self {
                readable: prefix::without_homes(&self.readable),
                ..self.clone()
            },
            limits,
            group: folder.ok().and_then(|path| path.try_into().ok()),
            report,
        };
        (group, order)
    }
}

/// A job with all that its stages are told.
#[derive(Debug, Serialize, Deserialize)]
struct Order {
    job: Job,
    limits: limits::Limits,
    /// The folder of the cgroup that it is to be in.
    group: Option<Utf8PathBuf>,
    /// Whether the lines of defence are told, and nothing run.
    report: bool,
}

impl Order {
    fn run(&self, how: &How<'_>) -> io::Result<Ran> {
        let stage = match how.level {
            Level::Whole => "outer",
            Level::Guarded => "guard",
            Level::Open => "open-guard",
        };
        let mut order = serde_json::to_vec(self)?;
        order.push(b'\n');
        let mut command = run::itself(how.this);
        command.args(["__sandbox", stage]).env_clear();
        watch(command, Some(&order), how.limit, how.stop)
    }
}

/// How far commands can be contained here, and by what: tried once.
pub fn find(this: &Utf8Path) -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let whole = attempt(this, Level::Whole);
        let guarded = || attempt(this, Level::Guarded);
        match whole {
            Ok(lines) => Found {
                level: Level::Whole,
                why: None,
                lines,
            },
            Err(why) => match guarded() {
                Ok(lines) => Found {
                    level: Level::Guarded,
                    why: Some(why),
                    lines,
                },
                Err(other) => Found {
                    level: Level::Open,
                    why: Some(format!("{why}; nor without namespaces: {other}")),
                    lines: Vec::new(),
                },
            },
        }
    })
}

/// How far commands are contained by what was asked for, and what is said of it where that is not wholly;
/// `what` are things that are run.
///
/// # Errors
/// When they have to be, and cannot be.
pub fn choose(mode: Mode, this: &Utf8Path, what: &str) -> Result<(Level, Option<String>), String> {
    if mode == Mode::Off {
        return Ok((Level::Open, None));
    }
    let found = find(this);
    match found.warning(what) {
        Some(why) if mode == Mode::Require => Err(why),
        warning => Ok((found.level, warning)),
    }
}

/// Tries whether a command could be contained so far; the lines of defence that it would have.
fn attempt(this: &Utf8Path, level: Level) -> Result<Vec<Line>, String> {
    let run = || -> io::Result<(Ran, Line)> {
        let held = Scratch::new("probe")?;
        let folder = held.path().to_owned();
        fs::create_dir(folder.join("root"))?;
        fs::create_dir(folder.join("tmp"))?;
        let job = Job {
            folder,
            readable: Vec::new(),
            writable: Vec::new(),
            shown: Vec::new(),
            command: Vec::new(),
            current: "/".into(),
            environment: Vec::new(),
            cores: None,
        };
        let (group, order) = job.order(level, true);
        let ran = order.run(&How {
            level,
            this,
            limit: Duration::from_secs(60),
            stop: &AtomicBool::new(false),
        })?;
        Ok((ran, Line::new("cgroup", group.map(|group| group.about()))))
    };
    let (ran, group) = run().map_err(|error| error.to_string())?;
    let said = ran.said.text();
    let said = said.trim();
    if !ran.ended.is_well() {
        return Err(said.strip_prefix(NOT_STARTED).unwrap_or(said).to_owned());
    }
    let lines: Result<Vec<Line>, _> = serde_json::from_str(said);
    let mut lines = lines.map_err(|error| format!("a stage said {said:?}: {error}"))?;
    lines.push(group);
    Ok(lines)
}
