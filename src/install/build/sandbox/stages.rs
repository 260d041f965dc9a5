//! The stages by which this program becomes what runs a command.
//!
//! `outer` leaves the namespaces, `inner` is process 1 of the new ones ([`super::root`]). Where there are
//! none, `guard` stands by, and `guarded` is what becomes the command; so they do with a command that
//! is not to be contained, whose second stage is `open`.

use std::fs;
use std::io::{self, BufRead as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::Mode;
use rustix::io::FdFlags;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, kill_process, pidfd_open, set_child_subreaper,
    set_parent_process_death_signal,
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
const LAST: Duration = Duration::from_secs(5);

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
    end_children();
    outcome
}

/// Ends every child of ours, those among them that have become ours because their parents have ended.
fn end_children() {
    let until = Instant::now() + LAST;
    let own = format!("/proc/self/task/{}/children", std::process::id());
    while Instant::now() < until {
        let children = fs::read_to_string(&own).unwrap_or_default();
        let children: Vec<Pid> = children
            .split_whitespace()
            .filter_map(|id| Pid::from_raw(id.parse().ok()?))
            .collect();
        if children.is_empty() {
            return;
        }
        for child in children {
            let _ = kill_process(child, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
        }
    }
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
