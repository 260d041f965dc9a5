//! What a person sees while long work runs: progress on standard error, and only on a terminal.
//!
//! Rooms that do long work take a [`Progress`] and tell it what happens; whether anything is drawn
//! is decided once, in `cli`. Results never go through here: they are printed to standard output.

use std::env;
use std::ffi::OsString;
use std::sync::{Arc, LazyLock, Once};
use std::time::Duration;

use super::foreign;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// The lines at the bottom of the terminal, which all bars share: several phases go on at once.
/// indicatif draws nothing by itself when standard error is not a terminal.
static SCREEN: LazyLock<MultiProgress> = LazyLock::new(|| {
    MultiProgress::with_draw_target(match is_watched() {
        true => ProgressDrawTarget::stderr_with_hz(10),
        false => ProgressDrawTarget::hidden(),
    })
});

/// Whether a person may be looking, by the environment's variables. CI and nix-build give their
/// commands a terminal that nobody sees; what is drawn there ends up in a log.
pub fn is_watched() -> bool {
    is_watched_by(|name| env::var_os(name))
}

fn is_watched_by(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let is_set = |name| variable(name).is_some_and(|value| !value.is_empty() && value != "false");
    let is_dumb = variable("TERM").is_some_and(|term| term == "dumb");
    !is_set("CI") && !is_set("NIX_BUILD_TOP") && !is_dumb
}

/// From now on nothing is drawn: for `--quiet`.
pub fn be_quiet() {
    SCREEN.set_draw_target(ProgressDrawTarget::hidden());
}

/// Prints `warning: …` on standard error, above what is drawn there. Control characters are shown as such, and the
/// first word alone is coloured, where that is seen.
pub fn warn(text: &str) {
    let yellow = anstyle::AnsiColor::Yellow.on_default().bold();
    let text = foreign::shown_lines(text);
    SCREEN.suspend(|| anstream::eprintln!("{yellow}warning:{yellow:#} {text}"));
}

/// A number of bytes as people read it: `12.3 MiB`.
pub fn bytes(count: u64) -> String {
    indicatif::BinaryBytes(count).to_string()
}

/// A number of things as people say it: `1 package`, `12 packages`.
pub fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// Some names as people say them: the first three, and how many more there are.
pub fn few<T: AsRef<str>>(names: &[T]) -> String {
    let shown: Vec<&str> = names.iter().take(3).map(AsRef::as_ref).collect();
    let shown = shown.join(", ");
    match names.len().saturating_sub(3) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// One phase of work with a known or growing total. Cheap to clone; every clone is the same bar.
#[derive(Clone)]
pub struct Progress {
    bar: Arc<ProgressBar>,
    /// Done when the bar is on the screen: one that counts nothing yet would only flicker.
    shown: Arc<Once>,
}

impl Progress {
    /// Draws nothing. For tests, `--quiet`, and output that is not a terminal (see [`Self::items`]).
    pub fn hidden() -> Self {
        let shown = Once::new();
        shown.call_once(|| {});
        Self {
            bar: Arc::new(ProgressBar::hidden()),
            shown: Arc::new(shown),
        }
    }

    /// Counts items: `Placing 12/170 numpy 2.1.0`.
    pub fn items(verb: &'static str, total: u64) -> Self {
        Self::styled(
            total,
            verb,
            "{prefix:>12.bold} {bar:24} {pos}/{len} {per_sec} {wide_msg}",
        )
    }

    /// Counts bytes: `Fetching 12 MiB/112 MiB 31 MiB/s cryptography-46…whl`.
    pub fn bytes(verb: &'static str, total: u64) -> Self {
        Self::styled(
            total,
            verb,
            "{prefix:>12.bold} {bar:24} {binary_bytes}/{binary_total_bytes} \
             {binary_bytes_per_sec} {wide_msg}",
        )
    }

    fn styled(total: u64, verb: &'static str, template: &str) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(template) {
            let rate = |state: &ProgressState, to: &mut dyn std::fmt::Write| {
                let _ = write!(to, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("per_sec", rate).progress_chars("━╸ "));
        }
        bar.set_prefix(verb);
        let progress = Self {
            bar: Arc::new(bar),
            shown: Arc::new(Once::new()),
        };
        if total > 0 {
            progress.show();
        }
        progress
    }

    /// `by` more are done.
    pub fn advance(&self, by: u64) {
        self.bar.inc(by);
    }

    /// `by` of what was done has to be done again.
    pub fn retreat(&self, by: u64) {
        self.bar.dec(by);
    }

    /// The total turned out larger.
    pub fn grow(&self, by: u64) {
        self.bar.inc_length(by);
        self.show();
    }

    fn show(&self) {
        self.shown.call_once(|| {
            let bar = SCREEN.add(self.bar.as_ref().clone());
            bar.enable_steady_tick(Duration::from_millis(250));
        });
    }

    /// What is being worked on.
    pub fn working_on(&self, what: impl Into<std::borrow::Cow<'static, str>>) {
        self.bar.set_message(what);
    }

    /// Prints a line above the bar, on standard error; control characters in it are shown as such.
    pub fn say(&self, line: &str) {
        let line = &foreign::shown_lines(line);
        SCREEN.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar off the screen.
    pub fn done(&self) {
        self.bar.finish_and_clear();
        SCREEN.remove(&self.bar);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_drawn_where_nobody_looks() {
        let with = |name: &'static str, value: &'static str| {
            is_watched_by(move |asked| (asked == name).then(|| value.into()))
        };
        assert!(with("TERM", "xterm") && with("CI", "") && with("CI", "false"));
        assert!(!with("CI", "true") && !with("NIX_BUILD_TOP", "/build") && !with("TERM", "dumb"));
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(count(1, "package"), "1 package");
        assert_eq!(count(0, "package"), "0 packages");
    }
}
