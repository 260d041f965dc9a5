//! Running lockwright, and anything else, and looking at what came of it.

use std::fmt;
use std::process::{Command, Output};

use super::{Temp, in_forky};

/// lockwright as it was just built, with a store and a home of its own in `temp`, and none of this machine's settings
/// for uv, pip or npm.
pub fn lockwright(temp: &Temp) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lockwright"));
    scrub(&mut command, temp);
    command
}

/// The same on Debian forky's /usr, where `/usr/bin/python3.14` is.
pub fn lockwright_in_forky(temp: &Temp) -> Command {
    let mut command = Command::new(in_forky());
    command.arg(env!("CARGO_BIN_EXE_lockwright"));
    scrub(&mut command, temp);
    command.env("PATH", "/usr/bin:/bin");
    command
}

fn scrub(command: &mut Command, temp: &Temp) {
    let settings = [
        "uv_",
        "pip_",
        "npm_config_",
        "goproxy",
        "lockwright_",
        "rust_log",
        "virtual_env",
        "python",
    ];
    for (name, _) in std::env::vars_os() {
        let lower = name.to_string_lossy().to_lowercase();
        if settings.iter().any(|prefix| lower.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", temp.join("home"))
        .env_remove("XDG_CACHE_HOME")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("NETRC")
        .env("LOCKWRIGHT_STORE", temp.join("store"))
        .current_dir(temp.path());
}

/// What a command did.
#[derive(Clone)]
pub struct Ran {
    /// The command, for messages.
    pub command: String,
    /// The exit code, or -1 after a signal.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Itself, if it came to exit code 0; a failure that shows everything otherwise.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exit(0)
    }

    /// Itself, if it came to this exit code.
    #[track_caller]
    pub fn exit(self, code: i32) -> Self {
        assert!(self.code == code, "expected exit code {code} of\n{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("not JSON: {e}, from\n{self}"))
    }

    /// Standard error with this run's folder, and amounts of time, replaced by words: for snapshots.
    pub fn redacted(&self, temp: &Temp) -> String {
        let text = self.stderr.replace(temp.path().as_str(), "[TEMP]");
        let mut out = String::new();
        for (i, word) in text.split(' ').enumerate() {
            if i > 0 {
                out.push(' ');
            }
            let digits =
                |w: &str| !w.is_empty() && w.chars().all(|c| c.is_ascii_digit() || c == '.');
            out.push_str(if word.contains('.') && digits(word) {
                "[TIME]"
            } else {
                word
            });
        }
        out
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            command,
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "{command}\nexit code {code}\nstdout:\n{stdout}\nstderr:\n{stderr}"
        )
    }
}

/// `command.run()`: the command's output, whatever its exit code.
pub trait Run {
    fn run(&mut self) -> Ran;
}

impl Run for Command {
    #[track_caller]
    fn run(&mut self) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = self
            .output()
            .unwrap_or_else(|e| panic!("{self:?} could not be started: {e}"));
        Ran {
            command: format!("{self:?}"),
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        }
    }
}

/// Runs a program to its successful end and gives its standard output.
#[track_caller]
pub fn run<I, S>(program: impl AsRef<std::ffi::OsStr>, args: I) -> String
where
    I: IntoIterator<Item = S>,
    S: AsRef<std::ffi::OsStr>,
{
    Command::new(program).args(args).run().ok().stdout
}
