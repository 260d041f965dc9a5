//! Containing a command: no network, no credentials, nothing of the machine but its system folders,
//! which cannot be written to.
//!
//! Linux namespaces, by the kernel alone. This program runs itself twice (`lockwright __sandbox`):
//! the first time to leave the user, mount, process and network namespaces, the second time, as
//! process 1 of the new ones, to put together a root of its own and let go of every capability.
//! The build's folder is always called [`INSIDE`] there, so that paths that end up in what is built
//! are the same on every machine. When process 1 is killed, all that the build started is.
//!
//! Each line of defence stands by itself:
//!
//! - the stages inherit nothing of the caller: no variable, no open file but 0, 1 and 2, no terminal;
//! - they run from a copy of this program in memory that nobody can write to, and process 1 lets nobody look
//!   into it, so that `/proc/1` leads to no file, no memory and no variable of this machine;
//! - whatever is shown of the machine is read-only, devices and the kernel's own files in `/proc` among
//!   it, but for the folders that the job may write to;
//! - the command is not root in its namespaces, has no capability, and can get none;
//! - what it says goes through a pipe, and is kept up to a size ([`Said`]).

mod root;
mod run;

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::FdFlags;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{CpuSet, UnshareFlags};
use serde::{Deserialize, Serialize};

pub use run::{Ended, How, Ran, Said, watch};

/// Where a contained build finds its folder.
pub const INSIDE: &str = "/build";

/// The exit code of a stage whose command could not be started.
pub const NOT_RUN: i32 = 125;

/// How the message of a command begins that does not get as far as running.
const NOT_STARTED: &str = "the command cannot be started: ";

/// Whether builds are contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Where the kernel allows; otherwise it is said.
    #[default]
    Auto,
    /// Always, or nothing is built.
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
        let stage = if how.contain { "outer" } else { "plain" };
        let job = serde_json::to_vec(self)?;
        let mut command = run::itself(how.this);
        command.args(["__sandbox", stage]).env_clear();
        watch(command, Some(&job), how.limit, how.stop)
    }
}

/// Whether builds can be contained here; if not, why.
///
/// # Errors
/// With what the system says.
pub fn is_possible(this: &Utf8Path) -> Result<(), String> {
    let run = || -> io::Result<Ran> {
        let temporary = tempfile::tempdir()?;
        let folder = Utf8PathBuf::from(temporary.path().to_string_lossy().into_owned());
        fs::create_dir(folder.join("root"))?;
        fs::create_dir(folder.join("tmp"))?;
        let job = Job {
            folder,
            readable: Vec::new(),
            writable: Vec::new(),
            shown: Vec::new(),
            command: vec!["/bin/true".into()],
            current: "/".into(),
            environment: Vec::new(),
            cores: None,
        };
        job.run(&How {
            contain: true,
            this,
            limit: Duration::from_secs(60),
            stop: &AtomicBool::new(false),
        })
    };
    match run() {
        Ok(ran) if ran.ended.is_well() => Ok(()),
        Ok(ran) => {
            let said = ran.said.text();
            let said = said.trim();
            Err(said.strip_prefix(NOT_STARTED).unwrap_or(said).to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// `lockwright __sandbox outer|inner`, with the job on standard input: the two stages; `plain`:
/// neither, only what holds for every build.
pub fn stage(name: &str) -> ExitCode {
    let run = || -> io::Result<u8> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let mut job = Vec::new();
        io::stdin().read_to_end(&mut job)?;
        if name != "inner" {
            // A session without a terminal, and a process group of its own, by which it is ended.
            rustix::process::setsid()?;
            close_inherited()?;
        }
        match name {
            "outer" => outer(&job),
            "inner" => root::inner(&serde_json::from_slice(&job)?),
            _ => {
                use std::os::unix::process::CommandExt as _;
                let job: Job = serde_json::from_slice(&job)?;
                rustix::thread::set_no_new_privs(true)?;
                job.take_cores()?;
                Err(job.program().exec())
            }
        }
    };
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{NOT_STARTED}{error}");
            ExitCode::from(NOT_RUN as u8)
        }
    }
}

/// Has every open file but 0, 1 and 2 closed when the next program is started: our caller's
/// caller may have left us some.
fn close_inherited() -> io::Result<()> {
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number: Option<i32> = name.to_str().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|number| *number > 2) {
            // Sound: it is used for this alone, and what is not open any more is an error.
            #[allow(unsafe_code)]
            let file = unsafe { BorrowedFd::borrow_raw(number) };
            let _ = rustix::io::fcntl_setfd(file, FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

fn outer(job: &[u8]) -> io::Result<u8> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let namespaces = UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    match unshare(namespaces | UnshareFlags::NEWUSER) {
        Ok(()) => map(0, user.as_raw(), 0, group.as_raw())?,
        // In a chroot, say: whoever is root needs no user namespace.
        Err(_) if user.is_root() => unshare(namespaces).map_err(said("unshare"))?,
        Err(error) => {
            let hint = match error {
                rustix::io::Errno::NOSPC => " (sysctl user.max_user_namespaces)",
                rustix::io::Errno::PERM => {
                    " (sysctl kernel.unprivileged_userns_clone, or AppArmor or a container forbids it)"
                }
                _ => "",
            };
            return Err(io::Error::other(format!(
                "the kernel gives out no namespaces{hint}: {}",
                io::Error::from(error)
            )));
        }
    }
    // Its own copy in memory, which has no name.
    let mut inner = Command::new("/proc/self/exe")
        .args(["__sandbox", "inner"])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = inner.stdin.take() {
        stdin.write_all(job)?;
    }
    Ok(code(inner.wait()?))
}

fn unshare(namespaces: UnshareFlags) -> rustix::io::Result<()> {
    // Sound: no file descriptors are unshared, and no other thread runs.
    #[allow(unsafe_code)]
    unsafe {
        rustix::thread::unshare_unsafe(namespaces)
    }
}

/// Says who the one user and the one group of a new user namespace are outside of it.
fn map(user: u32, outer_user: u32, group: u32, outer_group: u32) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{user} {outer_user} 1"))?;
    fs::write("/proc/self/gid_map", format!("{group} {outer_group} 1"))
}

/// How a process ended, as the exit code of the stage that waited for it.
fn code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(126)
}

fn said(doing: &'static str) -> impl Fn(rustix::io::Errno) -> io::Error {
    move |errno| io::Error::other(format!("cannot {doing}: {}", io::Error::from(errno)))
}
