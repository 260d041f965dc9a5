//! Files and folders that are made to go: in the temporary folder, or beside what they will become.
//!
//! Each is locked (`flock`) as long as its run lives. A run that a signal ends hands what it has to a process
//! that removes it ([`end`]); what a run that was killed has left, with nobody's lock on it, the next
//! one in the same place removes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::foreign::{self, Folder};
use super::locks;

/// How the names of folders in the temporary folder begin; what they are for follows.
const FOLDER: &str = "lockwright-";

/// What they are for. Others, `lockwright-kept-…` say, are the user's.
const KINDS: [&str; 10] = [
    "build", "git", "prepare", "probe", "repro", "run", "scripts", "share", "store", "vendor",
];

/// How long a signal waits for what must not be cut short.
const GRACE: Duration = Duration::from_millis(120);

/// How long what a run has left is waited for until it is nobody's.
const PATIENCE: Duration = Duration::from_secs(10);

/// What this run has.
static LIVE: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// Set when the run is about to end: nothing new is made any more.
static ENDING: AtomicBool = AtomicBool::new(false);

/// How many threads are at what must not be cut short.
static UNDISTURBED: AtomicUsize = AtomicUsize::new(0);

fn live() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    locks::held(&LIVE)
}

/// Something of ours, until it is dropped: to be removed when a signal ends this run.
#[derive(Debug)]
pub struct Live(PathBuf);

impl Live {
    /// Notes a path, before anything is made there.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let path = std::path::absolute(&path).unwrap_or(path);
        live().insert(path.clone());
        // The process that removes things has been told what there is, and this one has a moment to live.
        while ENDING.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_secs(1));
        }
        Self(path)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        live().remove(&self.0);
    }
}

/// A few steps that belong together: a signal waits for their end, for a moment.
#[derive(Debug)]
pub struct Undisturbed(());

impl Undisturbed {
    /// From now on.
    pub fn new() -> Self {
        UNDISTURBED.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Default for Undisturbed {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        UNDISTURBED.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A folder that was made, locked and noted.
#[derive(Debug)]
pub struct Claim {
    /// Where it is.
    pub path: Utf8PathBuf,
    /// The folder itself, open; its lock is held as long as it is.
    pub folder: Folder,
    _live: Live,
}

impl Claim {
    /// Makes a folder whose name begins with `prefix`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(parent: &Utf8Path, prefix: &str) -> io::Result<Self> {
        for _ in 0..100 {
            let made = tempfile::Builder::new()
                .prefix(prefix)
                .rand_bytes(8)
                .tempdir_in(parent)?;
            let path = Utf8PathBuf::try_from(made.keep());
            let path = path.map_err(camino::FromPathBufError::into_io_error)?;
            let live = Live::new(path.as_std_path());
            match lock(path.as_std_path()) {
                Ok(Some(folder)) => {
                    return Ok(Self {
                        path,
                        folder,
                        _live: live,
                    });
                }
                // A sweeping run took it for a dead one's before it was locked.
                Ok(None) => {}
                Err(problem) if problem.kind() == io::ErrorKind::NotFound => {}
                Err(problem) => return Err(problem),
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

/// Removes folders whose names begin with `prefix` and whose runs have died. What cannot be removed is
/// left for the next run.
pub fn sweep(parent: &Utf8Path, prefix: &str) {
    for path in dead(parent.as_std_path(), |name| name.starts_with(prefix)) {
        if path.is_dir() {
            remove_dead(&path);
        }
    }
}

/// What is in a folder under such a name, and is ours; links are not.
pub(super) fn dead(parent: &Path, is_meant: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| {
        let name = entry.file_name();
        name.to_str().is_some_and(&is_meant)
            && entry
                .metadata()
                .is_ok_and(|meta| meta.uid() == user && !meta.is_symlink())
    });
    ours.map(|entry| entry.path()).collect()
}

/// Removes a folder or a file, if nobody has its lock; whether it is gone.
pub(super) fn remove_dead(path: &Path) -> bool {
    let removed = match fs::symlink_metadata(path) {
        Err(error) => return error.kind() == io::ErrorKind::NotFound,
        Ok(meta) if meta.is_dir() => match lock(path) {
            Ok(Some(folder)) => {
                folder.empty();
                fs::remove_dir(path)
            }
            _ => return false,
        },
        Ok(meta) if meta.is_file() => match foreign::open(path) {
            Ok(file) if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() => {
                fs::remove_file(path)
            }
            _ => return false,
        },
        Ok(_) => return true,
    };
    match &removed {
        Ok(()) => tracing::info!("removed {}, left by an earlier run", path.display()),
        Err(error) => tracing::warn!("{} could not be removed: {error}", path.display()),
    }
    removed.is_ok()
}

/// Takes a folder's lock, if nobody has it and the folder still has its name.
///
/// # Errors
/// When it cannot be opened or locked.
pub fn lock(path: &Path) -> io::Result<Option<Folder>> {
    let open = Folder::open(path).or_else(|problem| {
        // A script may have taken every right from it.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let plain = rustix::fs::open(path, flags, Mode::empty())?;
        let name = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&plain));
        fs::set_permissions(name, fs::Permissions::from_mode(0o700)).map_err(|_| problem)?;
        Folder::open(path)
    })?;
    match flock(&open, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    let held = rustix::fs::fstat(&open)?;
    let named = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((held.st_ino == named.st_ino && held.st_dev == named.st_dev).then_some(open))
}

/// A folder beside what it will become, or become a part of. Dropped, what then has its name is gone.
#[derive(Debug)]
pub struct Beside(Claim);

impl Beside {
    /// Makes one; those of runs that have died, of the same prefix, are removed.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(parent: &Utf8Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        Claim::new(parent, prefix).map(Self)
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.0.path
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Another may have its name by now: what was in the place that it was given.
        if let Ok(folder) = Folder::open(self.path()) {
            let _ = rustix::fs::fchmod(&folder, Mode::RWXU);
            folder.empty();
            let _ = fs::remove_dir(self.path());
        }
    }
}

/// A folder in the temporary folder, for as long as this value lives.
#[derive(Debug)]
pub struct Scratch {
    claim: Claim,
    /// Where the user has it.
    kept: Option<Utf8PathBuf>,
}

impl Scratch {
    /// Makes one for what `kind` says, of those that are known; the first of a run removes what runs before it
    /// have left.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(kind: &str) -> io::Result<Self> {
        static SWEPT: Once = Once::new();
        let top = Utf8PathBuf::try_from(std::env::temp_dir());
        let top = top.map_err(camino::FromPathBufError::into_io_error)?;
        SWEPT.call_once(|| {
            for kind in KINDS {
                sweep(&top, &format!("{FOLDER}{kind}-"));
            }
        });
        debug_assert!(KINDS.contains(&kind.split('-').next().unwrap_or_default()));
        let claim = Claim::new(&top, &format!("{FOLDER}{kind}-"))?;
        Ok(Self { claim, kept: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Utf8Path {
        &self.claim.path
    }

    /// Leaves it to the user, under another name; where it is then.
    pub fn keep(&mut self) -> Utf8PathBuf {
        if let Some(kept) = &self.kept {
            return kept.clone();
        }
        let now = &self.claim.path;
        let name = now.file_name().unwrap_or_default();
        let name = name.strip_prefix(FOLDER).unwrap_or(name);
        let kept = now.with_file_name(format!("{FOLDER}kept-{name}"));
        let kept = match fs::rename(now, &kept) {
            Ok(()) => kept,
            Err(_) => now.clone(),
        };
        self.kept.insert(kept).clone()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.kept.is_none() {
            let _ = rustix::fs::fchmod(&self.claim.folder, Mode::RWXU);
            self.claim.folder.empty();
            let _ = fs::remove_dir(&self.claim.path);
        }
    }
}

/// Ends this process as a signal would, with the exit code that shells give to that; what it has is removed by a
/// process of its own, so that nobody waits for it.
pub fn end(signal: i32) -> ! {
    let until = Instant::now() + GRACE;
    while UNDISTURBED.load(Ordering::SeqCst) > 0 && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    ENDING.store(true, Ordering::SeqCst);
    let paths: Vec<u8> = live()
        .iter()
        .flat_map(|path| path.as_os_str().as_bytes().iter().copied().chain([0]))
        .collect();
    let mut sweeper = None;
    if !paths.is_empty() {
        let started = Command::new("/proc/self/exe")
            .arg("__sweep")
            .env_clear()
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        if let Ok(mut child) = started
            && let Some(mut stdin) = child.stdin.take()
        {
            let _ = stdin.write_all(&paths);
            sweeper = Some(child.id());
        }
    }
    end_children(sweeper);
    signal_hook::low_level::exit(128 + signal)
}

/// Asks what this process has started to end, but for one, and for those who have a session of their own and end
/// by themselves: they wait for us.
fn end_children(spared: Option<u32>) {
    let own = session("self");
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten();
    for task in tasks.flatten() {
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace() {
            let number: Option<i32> = child.parse().ok();
            let number = number.filter(|number| number.unsigned_abs() != spared.unwrap_or(0));
            if let Some(child) = number.and_then(Pid::from_raw)
                && session(child.as_raw_pid()) == own
            {
                let _ = kill_process(child, Signal::TERM);
            }
        }
    }
}

/// The session of a process, by proc_pid_stat(5). It is 0 where the session's leader is outside of this process
/// namespace, as in a container whose first process did not begin one.
fn session(process: impl std::fmt::Display) -> Option<u32> {
    let stat = fs::read(format!("/proc/{process}/stat")).ok()?;
    // The program's name may have spaces and brackets.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_whitespace().nth(3)?.parse().ok()
}

/// `lockwright __sweep`: removes what standard input names, each as soon as nobody has its lock.
///
/// # Errors
/// When standard input cannot be read.
pub fn sweep_named() -> io::Result<()> {
    let mut paths = Vec::new();
    io::stdin().read_to_end(&mut paths)?;
    let mut left: Vec<PathBuf> = paths
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| std::ffi::OsString::from_vec(path.to_vec()).into())
        .collect();
    let until = Instant::now() + PATIENCE;
    loop {
        left.retain(|path| !remove_dead(path));
        if left.is_empty() || Instant::now() > until {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
