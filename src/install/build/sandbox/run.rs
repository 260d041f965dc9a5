//! A process run to its end: how long it may take, and what it said.

use std::fs::File;
use std::io::{self, PipeReader, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, OFlags, SealFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::lines::Level;
use crate::core::foreign;

/// How much is kept of the beginning of what a command says, and of its end.
const KEPT: usize = 2 << 20;

/// How long a line of it is that is shown, in characters.
const LONGEST: usize = 400;

/// How often it is asked whether anybody still wants the result.
const TURN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

/// How long stages may take to end what they have started: longer than they try.
const PATIENCE: Timespec = Timespec {
    tv_sec: 25,
    tv_nsec: 0,
};

/// How a job is run.
#[derive(Debug, Clone, Copy)]
pub struct How<'a> {
    /// How far it is contained.
    pub level: Level,
    /// This program, which runs itself to contain it.
    pub this: &'a Utf8Path,
    /// How long it may take.
    pub limit: Duration,
    /// Set when nobody wants its result any more.
    pub stop: &'a AtomicBool,
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

    /// How it ended, as the rest of a sentence; `limit` is how long it was given.
    pub fn told(self, limit: Duration) -> String {
        match self {
            Self::Itself(status) => match status.code() {
                Some(code) => format!("ended with exit code {code}"),
                None => format!("was ended ({status})"),
            },
            Self::TooLate => format!("took longer than {} s and was ended", limit.as_secs()),
            Self::Stopped => "was ended".to_owned(),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub ended: Ended,
    /// What it said.
    pub said: Said,
}

/// What a command said: all of it, or its beginning and its end.
#[derive(Debug, Default)]
pub struct Said {
    head: Vec<u8>,
    tail: Vec<u8>,
    left_out: u64,
}

impl Said {
    fn take(&mut self, bytes: &[u8]) {
        let room = KEPT.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        if self.tail.len() > 2 * KEPT {
            let surplus = self.tail.len() - KEPT;
            self.tail.drain(..surplus);
            self.left_out += surplus as u64;
        }
    }

    /// Something to add, in our own words.
    pub fn add(&mut self, line: &str) {
        self.take(format!("{line}\n").as_bytes());
    }

    /// All that is kept of it.
    pub fn bytes(&self) -> Vec<u8> {
        let gap = match self.left_out {
            0 => String::new(),
            left_out => format!("\n… {left_out} bytes are left out here …\n"),
        };
        [&*self.head, gap.as_bytes(), &*self.tail].concat()
    }

    /// The same as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Its last lines, each on a new line and set in: harmless on a terminal, and not too long.
    pub fn last(&self, lines: usize) -> String {
        let text = self.text();
        let all: Vec<&str> = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let last = all.get(all.len().saturating_sub(lines)..);
        let last = last.unwrap_or_default().iter();
        last.map(|line| format!("\n  {}", shown(line))).collect()
    }
}

/// A line as a terminal may have it: what was written over is left out, and so are colours.
fn shown(line: &str) -> String {
    let line = line.trim_end_matches('\r').rsplit('\r').next();
    let mut plain = String::new();
    let mut parts = line.unwrap_or_default().split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let end = part.find(|c: char| c.is_ascii_alphabetic());
        plain.push_str(end.and_then(|end| part.get(end + 1..)).unwrap_or_default());
    }
    let plain = foreign::shown(&plain.replace('\t', "    "));
    match plain.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", plain.get(..end).unwrap_or_default()),
        None => plain,
    }
}

/// This program, as a command. It is run from a copy in memory that nobody can change, where the
/// kernel gives one: a path that leads to it leads to no file of this machine.
pub(super) fn itself(this: &Utf8Path) -> Command {
    static COPY: OnceLock<Option<(Utf8PathBuf, OwnedFd)>> = OnceLock::new();
    let copy = COPY.get_or_init(|| Some((this.to_owned(), sealed(this).ok()?)));
    match copy {
        Some((of, copy)) if of == this => {
            Command::new(format!("/proc/self/fd/{}", copy.as_raw_fd()))
        }
        _ => Command::new(this),
    }
}

fn sealed(program: &Utf8Path) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let make = |flags| rustix::fs::memfd_create("lockwright", flags);
    // Kernels before 6.3 do not know the word, and have every such file executable.
    let copy = make(flags | MemfdFlags::EXEC).or_else(|_| make(flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut File::open(program)?, &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals | SealFlags::EXEC)
        .or_else(|_| rustix::fs::fcntl_add_seals(&copy, seals))?;
    // A file that is open for writing is not run.
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    Ok(File::open(path)?.into())
}

/// Runs a command to its end, but no longer than `limit`, or until `stop` is set: then it and its
/// process group are killed. `input` is what it finds on standard input, whose end it sees when its result
/// is not wanted any more.
///
/// # Errors
/// When it cannot be started or waited for.
pub fn watch(
    mut command: Command,
    input: Option<&[u8]>,
    limit: Duration,
    stop: &AtomicBool,
) -> io::Result<Ran> {
    let (mut pipe, writer) = io::pipe()?;
    rustix::fs::fcntl_setfl(&pipe, OFlags::NONBLOCK)?;
    command
        .stdin(input.map_or_else(Stdio::null, |_| Stdio::piped()))
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let start = Instant::now();
    let mut child = command.spawn()?;
    // With our own ends of the pipe, which would never come to an end otherwise.
    drop(command);
    // Held as long as its result is wanted: by its end the stages know that nobody is here any more.
    let mut held = child.stdin.take();
    if let (Some(stdin), Some(input)) = (&mut held, input) {
        // When it does not read all, it says why.
        let _ = stdin.write_all(input);
    }
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let end = id.and_then(|id| pidfd_open(id, PidfdFlags::empty()).ok());
    let mut said = Said::default();
    let mut is_open = true;
    let ended = loop {
        let mut awaited = Vec::new();
        awaited.extend(is_open.then(|| PollFd::new(&pipe, PollFlags::IN)));
        awaited.extend(end.iter().map(|end| PollFd::new(end, PollFlags::IN)));
        let _ = poll(&mut awaited, Some(&TURN));
        is_open = is_open && hear(&mut pipe, &mut said)?;
        if let Some(status) = child.try_wait()? {
            // What it left behind may go on speaking; that is not waited for.
            hear(&mut pipe, &mut said)?;
            return Ok(Ran {
                ended: Ended::Itself(status),
                said,
            });
        }
        if stop.load(Ordering::Relaxed) {
            break Ended::Stopped;
        }
        if start.elapsed() > limit {
            break Ended::TooLate;
        }
    };
    // The stages end what they have started, wherever that has gone; whoever does not, is ended.
    if held.take().is_some()
        && let Some(end) = &end
    {
        let _ = poll(&mut [PollFd::new(end, PollFlags::IN)], Some(&PATIENCE));
    }
    if let Some(group) = id {
        let _ = kill_process_group(group, Signal::KILL);
    }
    child.kill()?;
    child.wait()?;
    hear(&mut pipe, &mut said)?;
    Ok(Ran { ended, said })
}

/// Takes what is in a pipe, a mebibyte at most; whether there may be more.
fn hear(pipe: &mut PipeReader, said: &mut Said) -> io::Result<bool> {
    let mut piece = vec![0; 1 << 16];
    for _ in 0..16 {
        match pipe.read(&mut piece) {
            Ok(0) => return Ok(false),
            Ok(read) => said.take(piece.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// How a process ended, as the exit code of the stage that waited for it.
pub(super) fn code(status: std::process::ExitStatus) -> u8 {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.unwrap_or(126)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn run(script: &str, limit: u64) -> Ran {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let never = AtomicBool::new(false);
        watch(command, None, Duration::from_secs(limit), &never).unwrap()
    }

    #[test]
    fn of_endless_words_the_first_and_the_last_are_kept() {
        let ran = run(
            "echo first; head -c 50000000 /dev/zero | tr '\\0' 'x'; echo; echo last >&2",
            60,
        );
        let bytes = ran.said.bytes();
        assert!(ran.ended.is_well() && bytes.len() <= 3 * KEPT + 100);
        assert!(bytes.starts_with(b"first\n") && bytes.ends_with(b"\nlast\n"));
        let last = ran.said.last(2);
        assert!(last.len() < 1000 && last.ends_with("\n  last"), "{last}");
        let kept = ran.said.head.len() + ran.said.tail.len();
        assert_eq!(kept as u64 + ran.said.left_out, 50_000_000 + 12);
    }

    #[test]
    fn what_is_left_behind_is_not_waited_for_and_what_takes_too_long_is_ended() {
        let start = Instant::now();
        assert!(run("sleep 60 & echo done", 30).ended.is_well());
        assert_eq!(run("sleep 60", 0).ended, Ended::TooLate);
        let ran = run("exec >&- 2>&-; sleep 0.3; exit 3", 30);
        assert_eq!(ran.ended.told(Duration::ZERO), "ended with exit code 3");
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn lines_are_harmless_on_a_terminal() {
        assert_eq!(shown("\u{1b}[31mred\u{1b}[0m\tx"), "red    x");
        assert_eq!(shown("10 %\r100 %\r"), "100 %");
        assert_eq!(
            shown("\u{1b}]0;title\u{7}\u{202e}x"),
            "\\u{1b}]0;title\\u{7}\\u{202e}x"
        );
        assert_eq!(shown(&"é".repeat(500)).chars().count(), LONGEST + 1);
    }
}
