//! How much a command and all that it starts may use: of processes, memory, files.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::lines::Line;
use crate::core::mounts::mounts;
use crate::core::progress::bytes;

/// How many processes and threads there may be at once, besides those for each core.
const PROCESSES: u64 = 1024;

/// The same, for each core: what compiles starts some on each.
const PER_CORE: u64 = 64;

/// How long a file may be, in bytes.
const FILE: u64 = 16 << 30;

/// How many files a process may have open.
const OPEN: u64 = 1 << 16;

/// What may be used.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Limits {
    processes: u64,
    /// In bytes, for each process; for all together where there is a cgroup.
    memory: u64,
}

impl Limits {
    /// As much as this machine has.
    pub(super) fn of_machine() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let about = rustix::system::sysinfo();
        let memory = (about.totalram as u64).saturating_mul(u64::from(about.mem_unit));
        Self {
            processes: PROCESSES + cores * PER_CORE,
            memory,
        }
    }

    /// Holds this process, and what it starts, to them. `machine` is a `/proc` that may be written to,
    /// where this process is in a process namespace of its own.
    pub(super) fn hold(&self, machine: Option<&Path>) -> Vec<Line> {
        let set = |resource, limit| {
            let now = rustix::process::getrlimit(resource);
            let under = |now: Option<u64>| Some(now.map_or(limit, |now| now.min(limit)));
            let new = Rlimit {
                current: under(now.current),
                maximum: under(now.maximum),
            };
            setrlimit(resource, new).map_err(|error| io::Error::from(error).to_string())
        };
        let _ = set(Resource::Core, 0);
        vec![
            Line::new(
                "processes",
                self.hold_processes(machine, &set)
                    .map(|by| format!("at most {}, by {by}", self.processes)),
            ),
            Line::new(
                "memory",
                set(Resource::Data, self.memory)
                    .map(|()| format!("at most {} a process", bytes(self.memory))),
            ),
            Line::new(
                "files",
                set(Resource::Fsize, FILE)
                    .and_then(|()| set(Resource::Nofile, OPEN))
                    .map(|()| format!("at most {} each, {OPEN} open", bytes(FILE))),
            ),
        ]
    }

    /// By its namespace's highest number, and by the user's count of them: root's are not counted.
    fn hold_processes(
        &self,
        machine: Option<&Path>,
        set: &dyn Fn(Resource, u64) -> Result<(), String>,
    ) -> Result<String, String> {
        let mut by = Vec::new();
        // Before, the number was one for the whole machine.
        if let Some(machine) = machine.filter(|_| is_since(6, 14)) {
            let highest = machine.join("sys/kernel/pid_max");
            let wrote = write(&highest, self.processes);
            by.extend(wrote.ok().map(|()| "pid_max"));
        }
        // Before, those of the user outside of the namespace counted, too.
        if is_since(5, 14) && counts() {
            set(Resource::Nproc, self.processes)?;
            by.push("rlimit");
        }
        match by.is_empty() {
            false => Ok(by.join(" and ")),
            true => Err("this kernel does not count them, or not those of root".into()),
        }
    }
}

/// Whether the kernel counts the processes of this user at all: one more than none is refused then.
fn counts() -> bool {
    let now = rustix::process::getrlimit(Resource::Nproc);
    let none = Rlimit {
        current: Some(0),
        maximum: now.maximum,
    };
    if setrlimit(Resource::Nproc, none).is_err() {
        return false;
    }
    // What cannot be started costs the least.
    let started = std::process::Command::new("/").spawn();
    let _ = setrlimit(Resource::Nproc, now);
    started.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Whether this kernel is of that version or a later one.
fn is_since(major: u32, minor: u32) -> bool {
    let about = rustix::system::uname();
    let release = about.release().to_string_lossy().into_owned();
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// A cgroup of a command's own (<https://docs.kernel.org/admin-guide/cgroup-v2.html>), by which all that
/// it started is counted together and ended, however it went about leaving. It is ended and
/// removed when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    /// Whether it counts.
    counts: bool,
}

/// How the names of groups begin.
const PREFIX: &str = "lockwright-";

impl Group {
    /// One below the cgroup that we are in, or beside it: a group with processes in it has none below that
    /// count.
    pub(super) fn new(limits: &Limits) -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (top, own) = own_group().ok_or("there is no cgroup2 here")?;
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        let above = own.parent().filter(|above| above.starts_with(&top));
        let places = [Some(own.as_path()), above];
        let mut plain = Err("none is delegated to us".to_owned());
        for place in places.into_iter().flatten() {
            sweep(place);
            let folder = place.join(&name);
            match fs::create_dir(&folder) {
                Ok(()) => {}
                Err(error) if plain.is_err() => {
                    plain = Err(format!("none is delegated to us ({error})"));
                    continue;
                }
                Err(_) => continue,
            }
            let mut group = Self {
                folder,
                counts: false,
            };
            let set = |name: &str, value: u64| write(&group.folder.join(name), value);
            group.counts = set("memory.max", limits.memory).is_ok()
                && set("pids.max", limits.processes).is_ok();
            if group.counts {
                return Ok(group);
            }
            if plain.is_err() {
                plain = Ok(group);
            }
        }
        plain
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it gives.
    pub(super) fn about(&self) -> String {
        match self.counts {
            true => "counts memory and processes of all together, and ends all together".into(),
            false => "ends all together; memory and processes are not counted in it".into(),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + Duration::from_secs(2);
        // Since 5.14; before, nobody is there in most cases.
        let _ = write(&self.folder.join("cgroup.kill"), 1);
        while fs::remove_dir(&self.folder).is_err() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Removes the groups of runs that were killed. Those with somebody in them cannot be removed.
fn sweep(place: &Path) {
    let entries = fs::read_dir(place);
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let process = rest.and_then(|rest| rest.split('-').next());
        let lives = |process: &str| Path::new("/proc").join(process).exists();
        if process.is_some_and(|process| !lives(process)) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// Puts this process, and all that it will start, into a group.
pub(super) fn join_group(folder: &Path) -> io::Result<()> {
    write(&folder.join("cgroup.procs"), 0)
}

/// Writes to a file of the kernel's, which is there or is not.
fn write(file: &Path, value: u64) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(file)?;
    file.write_all(value.to_string().as_bytes())
}

/// The folder of all cgroups, and that of the one that this process is in.
fn own_group() -> Option<(PathBuf, PathBuf)> {
    let mut all = mounts().ok()?.into_iter();
    let mount = all.find(|mount| mount.kind == "cgroup2")?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let own = own.trim_start_matches('/');
    // One that lies outside of what is mounted here.
    let is_below = !own.split('/').any(|part| part == "..");
    let top = PathBuf::from(mount.point);
    is_below.then(|| (top.clone(), top.join(own)))
}
