//! The lines of defence that this machine gives, each said by the stage that took it.

use std::io;

use serde::{Deserialize, Serialize};

/// How far commands are contained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// In namespaces, with a root of their own: no network, nothing of anybody's home to read, nothing
    /// of the machine to write to.
    Whole,
    /// Where they are, by Landlock and seccomp: no network, nothing else to read, nothing else to
    /// write to. The modes and times of the user's files can be changed.
    Guarded,
    /// Not at all.
    Open,
}

impl Level {
    /// Whether commands have a root of their own, in which their folder is [`super::INSIDE`].
    pub fn is_whole(self) -> bool {
        self == Self::Whole
    }
}

/// One line of defence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// What it is called.
    pub name: String,
    /// Whether this machine gives it.
    pub holds: bool,
    /// What it gives, or why it does not.
    pub about: String,
}

impl Line {
    /// A line that was tried.
    pub(super) fn new(name: &str, tried: Result<String, String>) -> Self {
        let holds = tried.is_ok();
        let (Ok(about) | Err(about)) = tried;
        Self {
            name: name.to_owned(),
            holds,
            about,
        }
    }
}

/// What was found out.
#[derive(Debug, Clone, Serialize)]
pub struct Found {
    /// How far commands are contained.
    pub level: Level,
    /// Why not further.
    pub why: Option<String>,
    /// By what.
    pub lines: Vec<Line>,
}

impl Found {
    /// What `auto` says when something is run that is less than wholly contained; `what` are things
    /// that are run.
    pub fn warning(&self, what: &str) -> Option<String> {
        let why = self.why.as_deref().unwrap_or_default();
        match self.level {
            Level::Whole => None,
            Level::Guarded => Some(format!(
                "{what} are contained by Landlock and seccomp alone here, so that they can change modes and \
                 times of your files, but neither read nor write to them: {why}"
            )),
            Level::Open => Some(format!("{what} are not contained here: {why}")),
        }
    }
}

/// Says what was taken, instead of running anything.
pub(super) fn report(lines: &[Line]) -> io::Result<u8> {
    println!("{}", serde_json::to_string(lines)?);
    Ok(0)
}
