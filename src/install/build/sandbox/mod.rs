//! Containing a build: no network, no credentials, nothing of the machine but its system folders,
//! which cannot be written to.
//!
//! Linux namespaces, by the kernel alone. This program runs itself twice (`lockwright __sandbox`):
//! the first time to leave the user, mount, process and network namespaces, the second time, as
//! process 1 of the new ones, to put together a root of its own and let go of every capability.
//! The build's folder is always called [`INSIDE`] there, so that paths that end up in what is built
//! are the same on every machine. When process 1 is killed, all that the build started is.

use std::fs;
use std::io;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::StatVfsMountFlags;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};
use rustix::process::{Signal, chroot, pivot_root, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};
use serde::{Deserialize, Serialize};

/// Where a contained build finds its folder.
pub const INSIDE: &str = "/build";

/// How the message of a command begins that does not get as far as running.
const NOT_STARTED: &str = "the command cannot be started: ";

/// System folders that are shown, where they are there.
const SYSTEM: [&str; 14] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/ssl/openssl.cnf",
];

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
    /// The build's folder on this machine. It has an empty folder `root`.
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
    fn program(&self) -> Command {
        let mut words = self.command.iter();
        let mut command = Command::new(words.next().map_or("", String::as_str));
        command
            .args(words)
            .current_dir(&self.current)
            .env_clear()
            .envs(self.environment.iter().map(|(key, value)| (key, value)));
        command
    }

    /// Starts it, contained or not, with what it says going to a file. `this` is this program.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        &self,
        contain: bool,
        this: &Utf8Path,
        stdin: fs::File,
        log: &fs::File,
    ) -> io::Result<Child> {
        use std::os::unix::process::CommandExt as _;
        let about = self.folder.join("job.json");
        fs::write(&about, serde_json::to_vec(self)?)?;
        let stage = if contain { "outer" } else { "plain" };
        Command::new(this)
            .args(["__sandbox", stage, about.as_str()])
            .stdin(stdin)
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .process_group(0)
            .spawn()
    }
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Itself(ExitStatus),
    /// It took too long, and was killed.
    TooLate,
    /// It was killed because nobody wants its result any more.
    Stopped,
}

impl Ended {
    /// Whether it succeeded.
    pub fn is_well(self) -> bool {
        matches!(self, Self::Itself(status) if status.success())
    }
}

/// Waits for a process, but no longer than `limit`: then all of its group is killed. `None`: it was.
///
/// # Errors
/// When it cannot be waited for.
pub fn wait(child: &mut Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    Ok(
        match wait_while_wanted(child, limit, &AtomicBool::new(false))? {
            Ended::Itself(status) => Some(status),
            Ended::TooLate | Ended::Stopped => None,
        },
    )
}

/// [`wait`], but no longer than until `stop` is set either.
///
/// # Errors
/// When it cannot be waited for.
pub fn wait_while_wanted(
    child: &mut Child,
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<Ended> {
    let start = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ended::Itself(status));
        }
        if stop.load(Ordering::Relaxed) {
            break Ended::Stopped;
        }
        if start.elapsed() > limit {
            break Ended::TooLate;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    let group = i32::try_from(child.id()).ok();
    if let Some(group) = group.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
    }
    child.wait()?;
    Ok(ended)
}

/// Whether builds can be contained here; if not, why.
///
/// # Errors
/// With what the system says.
pub fn is_possible(this: &Utf8Path) -> Result<(), String> {
    let run = || -> io::Result<std::process::Output> {
        let temporary = tempfile::tempdir()?;
        let folder = Utf8PathBuf::from(temporary.path().to_string_lossy().into_owned());
        fs::create_dir(folder.join("root"))?;
        fs::create_dir(folder.join("tmp"))?;
        let job = Job {
            folder: folder.clone(),
            readable: Vec::new(),
            writable: Vec::new(),
            shown: Vec::new(),
            command: vec!["/bin/true".into()],
            current: "/".into(),
            environment: Vec::new(),
        };
        let about = folder.join("job.json");
        fs::write(&about, serde_json::to_vec(&job)?)?;
        Command::new(this)
            .args(["__sandbox", "outer", about.as_str()])
            .stdin(Stdio::null())
            .output()
    };
    match run() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.trim();
            Err(said.strip_prefix(NOT_STARTED).unwrap_or(said).to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// `lockwright __sandbox outer|inner FILE`: the two stages; `plain`: neither, only what holds for
/// every build.
pub fn stage(name: &str, about: &Utf8Path) -> ExitCode {
    let run = || -> io::Result<u8> {
        let job: Job = serde_json::from_slice(&fs::read(about)?)?;
        set_parent_process_death_signal(Some(Signal::KILL))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        match name {
            "outer" => outer(about),
            "inner" => inner(&job),
            _ => {
                use std::os::unix::process::CommandExt as _;
                Err(job.program().exec())
            }
        }
    };
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{NOT_STARTED}{error}");
            ExitCode::from(125)
        }
    }
}

fn outer(about: &Utf8Path) -> io::Result<u8> {
    let (user, group) = (rustix::process::geteuid(), rustix::process::getegid());
    let namespaces =
        UnshareFlags::NEWNS | UnshareFlags::NEWPID | UnshareFlags::NEWNET | UnshareFlags::NEWIPC;
    // Sound: no file descriptors are unshared, and no other thread runs.
    #[allow(unsafe_code)]
    let unshare = |flags| unsafe { rustix::thread::unshare_unsafe(flags) };
    match unshare(namespaces | UnshareFlags::NEWUSER) {
        Ok(()) => {
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw()))?;
            fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw()))?;
        }
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
    let status = Command::new(std::env::current_exe()?)
        .args(["__sandbox", "inner", about.as_str()])
        .status()?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(126))
}

fn inner(job: &Job) -> io::Result<u8> {
    mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
    .map_err(said("make mounts private"))?;
    // As mountinfo will have it.
    let root = job.folder.join("root").canonicalize_utf8()?;
    let plain = MountFlags::NOSUID | MountFlags::NODEV;
    mount("tmpfs", root.as_str(), "tmpfs", plain, c"mode=0755").map_err(said("mount a root"))?;
    let inside = |path: &str| format!("{root}{path}");
    for folder in ["/proc", "/dev", "/dev/shm", "/tmp", "/etc", INSIDE] {
        fs::create_dir_all(inside(folder))?;
    }
    mount_bind(job.folder.join("tmp").as_str(), inside("/tmp")).map_err(said("bind /tmp"))?;
    mount_bind(job.folder.as_str(), inside(INSIDE)).map_err(said("bind the build's folder"))?;
    let system = SYSTEM.iter().map(Utf8Path::new);
    let readable = system.chain(job.readable.iter().map(AsRef::as_ref));
    let writable = job.writable.iter().map(|path| (path.as_path(), false));
    let mut shown: Vec<(&Utf8Path, bool)> = readable.map(|path| (path, true)).collect();
    shown.extend(writable);
    // Folders before what is in them, which may be writable in one that is not.
    shown.sort();
    for (path, is_read_only) in shown {
        show(&root, path, is_read_only)?;
    }
    for shown in &job.shown {
        let place = Utf8PathBuf::from(inside(shown.to.as_str()));
        show_at(&shown.from, &place, !shown.writable)?;
    }
    fs::write(
        inside("/etc/passwd"),
        "root:x:0:0:build:/build/home:/bin/sh\n",
    )?;
    fs::write(inside("/etc/group"), "root:x:0:\n")?;
    fs::write(inside("/etc/hosts"), "127.0.0.1 localhost\n")?;
    for device in ["null", "zero", "full", "random", "urandom"] {
        let path = format!("/dev/{device}");
        fs::write(inside(&path), "")?;
        mount_bind(path.as_str(), inside(&path)).map_err(said("bind a device"))?;
    }
    for (link, target) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
    ] {
        std::os::unix::fs::symlink(target, inside(&format!("/dev/{link}")))?;
    }
    let none = plain | MountFlags::NOEXEC;
    mount("proc", inside("/proc"), "proc", none, None).map_err(said("mount /proc"))?;
    read_only(inside("/proc/sys").as_str())?;

    std::env::set_current_dir(&root)?;
    match pivot_root(".", ".") {
        Ok(()) => unmount(".", UnmountFlags::DETACH).map_err(said("leave the old root"))?,
        // In a chroot that is no mount point. Without capabilities there is no way back either.
        Err(_) => chroot(".").map_err(said("chroot"))?,
    }
    let mut command = job.program();
    rustix::thread::set_no_new_privs(true)?;
    for capability in CapabilitySet::all().iter() {
        // Kernels differ in how many there are.
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    for number in 0..64 {
        let _ = rustix::thread::remove_capability_from_bounding_set(
            CapabilitySet::from_bits_retain(1 << number),
        );
    }
    let nothing = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, nothing).map_err(said("drop capabilities"))?;
    let status = command.status()?;
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(126))
}

/// Shows a path of this machine in the new root, at its own place; links are shown as links.
fn show(root: &Utf8Path, path: &Utf8Path, is_read_only: bool) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let place = Utf8PathBuf::from(format!("{root}{path}"));
    if let Some(parent) = place.parent() {
        fs::create_dir_all(parent)?;
    }
    if meta.is_symlink() {
        return match place.symlink_metadata() {
            Ok(_) => Ok(()),
            Err(_) => std::os::unix::fs::symlink(fs::read_link(path)?, &place),
        };
    }
    show_at(path, &place, is_read_only)
}

/// Shows something at a place of the new root, whose path is `place` for now.
fn show_at(from: &Utf8Path, place: &Utf8Path, is_read_only: bool) -> io::Result<()> {
    if from.is_dir() {
        fs::create_dir_all(place)?;
    } else if place.symlink_metadata().is_err() {
        fs::create_dir_all(place.parent().unwrap_or(place))?;
        fs::write(place, "")?;
    }
    mount_bind_recursive(from.as_str(), place.as_str()).map_err(said("bind"))?;
    if !is_read_only {
        return Ok(());
    }
    // What is mounted below it as well: a mount of its own keeps its own flags.
    remount(place)?;
    let below = format!("{place}/");
    for mount in mounts()? {
        if mount.as_str().starts_with(&below) {
            remount(&mount)?;
        }
    }
    Ok(())
}

/// Where anything is mounted.
fn mounts() -> io::Result<Vec<Utf8PathBuf>> {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    let point = |line: &str| Some(Utf8PathBuf::from(unescaped(line.split(' ').nth(4)?)));
    Ok(text.lines().filter_map(point).collect())
}

/// A path of mountinfo, in which spaces and the like are written as `\040` (proc(5)).
fn unescaped(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                plain.push(char::from(code));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(part);
            }
        }
    }
    plain
}

fn read_only(path: &str) -> io::Result<()> {
    mount_bind(path, path).map_err(said("bind"))?;
    remount(Utf8Path::new(path))
}

fn remount(path: &Utf8Path) -> io::Result<()> {
    // What the mount forbids already must stay forbidden, or the kernel refuses.
    let now = rustix::fs::statvfs(path.as_str())?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY;
    for (have, keep) in [
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ] {
        if now.contains(have) {
            flags |= keep;
        }
    }
    mount_remount(path.as_str(), flags, "").map_err(said("make read-only"))
}

fn said(doing: &'static str) -> impl Fn(rustix::io::Errno) -> io::Error {
    move |errno| io::Error::other(format!("cannot {doing}: {}", io::Error::from(errno)))
}
