//! The stages by which this program becomes what runs a command.
//!
//! `outer` leaves the namespaces, `inner` is process 1 of the new ones ([`super::root`]). Where there are
//! none, `guard` stands by, and `guarded` is what becomes the command; so they do with a command that
//! is not to be contained, whose second stage is `open`.

use std::collections::HashMap;
use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::FdFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, pidfd_send_signal,
    set_child_subreaper, set_parent_process_death_signal,
};
use rustix::thread::UnshareFlags;

use camino::Utf8PathBuf;

use super::lines::{Line, report};
use super::namespaces::{itself, leave, map, unshare};
use super::run::code;
use super::{Job, NOT_RUN, NOT_STARTED, Order, Shown, limits, root, rules};

/// What programs ask a machine about its users and names.
const ABOUT: [&str; 6] = [
    "/etc/passwd",
    "/etc/group",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/ssl/certs",
];

/// How long those that a command left behind are looked for.
const LAST: Duration = Duration::from_secs(20);

/// `lockwright __sandbox STAGE`, with the job as the first line of standard input. As long as that is
/// open, somebody wants the command's result.
pub fn stage(name: &str) -> ExitCode {
    let run = || -> io::Result<u8> {
        let is_first = matches!(name, "outer" | "guard" | "open-guard");
        // Whoever stands by ends by its input's end, so that it can end others.
        if !name.ends_with("guard") {
            set_parent_process_death_signal(Some(Signal::KILL))?;
        }
        rustix::process::umask(Mode::from_raw_mode(0o022));
        let mut text = String::new();
        io::stdin().lock().read_line(&mut text)?;
        let order: Order = serde_json::from_str(&text)?;
        if is_first {
            // A session without a terminal, and a process group of its own, by which it is ended.
            rustix::process::setsid()?;
            close_inherited()?;
            if let Some(group) = &order.group {
                // Where that is refused, all else holds.
                let _ = limits::join_group(group.as_std_path());
            }
        }
        match name {
            "outer" => {
                leave()?;
                attend(&mut start("inner", &text)?)
            }
            "inner" => root::inner(&order),
            "guard" => guard("guarded", &text),
            "open-guard" => guard("open", &text),
            "guarded" => guarded(&order),
            _ => {
                rustix::thread::set_no_new_privs(true)?;
                order.job.take_cores()?;
                Err(order.job.program().exec())
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

/// Starts the next stage, this program's own copy in memory, which has no name.
fn start(stage: &str, job: &str) -> io::Result<Child> {
    let mut child = Command::new("/proc/self/exe")
        .args(["__sandbox", stage])
        .stdin(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(job.as_bytes())?;
    }
    Ok(child)
}

/// Waits for the next stage, and ends it when nobody wants its result any more.
fn attend(child: &mut Child) -> io::Result<u8> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let end = pidfd_open(id.ok_or(io::ErrorKind::NotFound)?, PidfdFlags::empty());
    // Before Linux 5.3 there is no such thing, and whoever starts us ends us.
    let Ok(end) = end else {
        return Ok(code(child.wait()?));
    };
    let input = io::stdin();
    loop {
        let mut awaited = [
            PollFd::new(&end, PollFlags::IN),
            PollFd::from_borrowed_fd(input.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut awaited, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(status) = child.try_wait()? {
            return Ok(code(status));
        }
        if awaited
            .iter()
            .any(|one| one.revents().contains(PollFlags::HUP))
        {
            child.kill()?;
        }
    }
}

/// Stands by a command without a process namespace: what it leaves behind becomes ours, and is ended.
fn guard(next: &str, job: &str) -> io::Result<u8> {
    set_child_subreaper(Some(rustix::process::getpid()))?;
    let mut child = start(next, job)?;
    let outcome = attend(&mut child);
    match end_children() {
        true => outcome,
        false => Err(io::Error::other(
            "processes that it left behind fork faster than they can be ended: end them, and do not trust what it made",
        )),
    }
}

/// Ends every process that comes from us, those among them that have become ours because their parents have ended.
/// Whether none is left.
///
/// All are stopped before any is killed: those that fork and end, faster than they are told from each other, keep the
/// number of processes that they may have, until nothing of theirs can fork any more.
fn end_children() -> bool {
    let until = Instant::now() + LAST;
    while Instant::now() < until {
        let mut stopped = HashMap::new();
        let mut quiet = 0;
        while quiet < 2 && Instant::now() < until {
            let is_quiet = stop_all(&mut stopped);
            quiet = if is_quiet { quiet + 1 } else { 0 };
        }
        for (number, process) in &stopped {
            let _ = match process {
                Some(process) => pidfd_send_signal(process, Signal::KILL),
                None => kill_process(*number, Signal::KILL),
            };
        }
        // As they end, what they had started becomes ours: all of it known, or there is more to be done.
        while Instant::now() < until {
            while let Ok(Some(_)) = rustix::process::wait(WaitOptions::NOHANG) {}
            let children = children_of(own());
            if children.is_empty() {
                return true;
            }
            if children.iter().any(|child| !stopped.contains_key(child)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    false
}

fn own() -> Pid {
    rustix::process::getpid()
}

/// Stops all that come from us and were not stopped before. Whether there was none. Those that have ended are not waited
/// for yet: they count among the processes that theirs may have.
fn stop_all(stopped: &mut HashMap<Pid, Option<OwnedFd>>) -> bool {
    let mut is_quiet = true;
    let mut pending = vec![own()];
    while let Some(parent) = pending.pop() {
        for child in children_of(parent) {
            if !lives_below(child, parent) {
                continue;
            }
            pending.push(child);
            if stopped.contains_key(&child) {
                continue;
            }
            // Another process may have the number by now: who has it is asked after it is held. Our own children keep
            // theirs until we wait for them, if there is no such hold, or none left.
            let process = pidfd_open(child, PidfdFlags::empty()).ok();
            let done = match &process {
                Some(process) if lives_below(child, parent) => {
                    pidfd_send_signal(process, Signal::STOP)
                }
                None if parent == own() => kill_process(child, Signal::STOP),
                _ => continue,
            };
            if done.is_ok() {
                is_quiet = false;
                stopped.insert(child, process);
            }
        }
    }
    is_quiet
}

/// Whether a process is a child of another, and has not ended.
fn lives_below(child: Pid, parent: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.as_raw_pid()));
    let stat = stat.unwrap_or_default();
    // The state, and the parent, behind a name in parentheses that may have any character.
    let mut fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let lives = fields
        .next()
        .is_some_and(|state| !matches!(state, "Z" | "X"));
    lives && fields.next().and_then(|id| id.parse().ok()) == Some(parent.as_raw_pid())
}

/// The children of all threads of a process.
fn children_of(process: Pid) -> Vec<Pid> {
    let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_pid()));
    let lists = threads.into_iter().flatten().flatten();
    let lists = lists.filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let ids = |list: String| -> Vec<Pid> {
        let ids = list.split_whitespace();
        ids.filter_map(|id| Pid::from_raw(id.parse().ok()?))
            .collect()
    };
    lists.flat_map(ids).collect()
}

/// Gives up what can be given up without a root of one's own, and becomes the command.
fn guarded(order: &Order) -> io::Result<u8> {
    let user = rustix::process::geteuid().as_raw();
    let group = rustix::process::getegid().as_raw();
    let wanted = UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    let namespaces = match unshare(wanted | UnshareFlags::NEWUSER) {
        Ok(()) => itself()
            .and_then(|itself| map(&itself, (user, user), (group, group)))
            .map_err(|error| error.to_string()),
        Err(_) => unshare(wanted).map_err(|error| io::Error::from(error).to_string()),
    };
    let mut lines = vec![Line::new(
        "namespaces",
        namespaces.map(|()| "network, IPC, host name".into()),
    )];
    lines.extend(order.limits.hold(None));
    // Root without a right is like anybody else, but for what belongs to it.
    let _ = root::drop_capabilities();
    let (readable, writable) = reach(&order.job);
    lines.extend(rules::give_up(&readable, &writable, true));
    let holds = |name: &str| lines.iter().any(|line| line.name == name && line.holds);
    if !(holds("Landlock") && holds("seccomp")) {
        let why = lines.iter().filter(|line| !line.holds);
        let why: Vec<String> = why
            .map(|line| format!("{}: {}", line.name, line.about))
            .collect();
        return Err(io::Error::other(why.join("; ")));
    }
    match order.report {
        true => report(&lines),
        false => {
            order.job.take_cores()?;
            Err(order.job.program().exec())
        }
    }
}

/// What a command without a root of its own may read, and what it may write to: what it would see in one.
fn reach(job: &Job) -> (Vec<String>, Vec<String>) {
    let text = |path: &Utf8PathBuf| path.to_string();
    let (to_write, to_read): (Vec<&Shown>, Vec<&Shown>) =
        job.shown.iter().partition(|shown| shown.writable);
    let known = root::SYSTEM
        .iter()
        .chain(&ABOUT)
        .chain(&rules::ABOUT_MACHINE);
    let readable = known.map(|path| (*path).to_owned());
    let readable = readable
        .chain(job.readable.iter().map(text))
        .chain(to_read.iter().map(|shown| text(&shown.from)));
    let devices = root::DEVICES.iter().map(|name| format!("/dev/{name}"));
    let writable = devices
        .chain([text(&job.folder)])
        .chain(job.writable.iter().map(text))
        .chain(to_write.iter().map(|shown| text(&shown.from)));
    (readable.collect(), writable.collect())
}
