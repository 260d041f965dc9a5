//! Reports of a change model: for a terminal, for a pull request, for machines and for a browser.
//!
//! Whatever a lock says – names, versions, URLs – is a stranger's text: each report makes it
//! harmless in its own way, and none of them lets it pass as it is.

mod detail;
pub mod html;
pub mod json;
pub mod markdown;
pub mod picture;
mod rows;
pub mod sarif;
pub mod text;

use crate::core::foreign::is_unseen;
use crate::core::progress::count;

use super::model::{Change, ChangeKind, Finding, LockDiff};
use super::version::Step;
use rows::{Row, rows};

/// A text in which nothing can steer a terminal or turn the direction of reading.
pub(crate) fn clean(text: &str) -> String {
    let is_safe = |c: char| !c.is_control() && !is_unseen(c);
    if text.chars().all(is_safe) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| match is_safe(c) {
            true => vec![c],
            false => c.escape_unicode().collect(),
        })
        .collect()
}

/// A digest in short: enough to be told from another. Anything else as it is.
pub(crate) fn short(text: &str) -> String {
    match text.split_once(':') {
        Some((name, hex)) if hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{name}:{}…", hex.get(..12).unwrap_or(hex))
        }
        None if text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{}…", text.get(..12).unwrap_or(text))
        }
        _ => text.to_owned(),
    }
}

/// Which packages a finding is about, of many the first, and what it says of them: names and texts as a
/// report spells them.
fn subject(
    finding: &Finding,
    limit: usize,
    name: impl Fn(&str) -> String,
    plain: impl Fn(&str) -> String,
) -> String {
    let (shown, more) = some(&finding.packages, limit);
    let shown: Vec<String> = shown.iter().map(|package| name(package)).collect();
    let mut text = shown.join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    if !text.is_empty() {
        text.push_str(": ");
    }
    text + &plain(&finding.says)
}

/// What a finding holds against each other, if anything: before and now.
fn sides(finding: &Finding, value: impl Fn(&str) -> String) -> Option<String> {
    Some(match (&finding.old, &finding.new) {
        (Some(old), Some(new)) => format!("{} → {}", value(old), value(new)),
        (Some(one), None) => format!("was {}", value(one)),
        (None, Some(one)) => value(one),
        (None, None) => return None,
    })
}

/// `1.0 → 2.0`, `1.0` where both are the same, and what there is where one side is missing.
pub(crate) fn versions(change: &Change) -> String {
    let shown = match (change.versions(), &change.old, &change.new) {
        ((Some(old), Some(new)), ..) if old == new => old.to_owned(),
        ((Some(old), Some(new)), ..) if counts_as_major(change) => {
            format!("{old} → {new} (0.x)")
        }
        ((Some(old), Some(new)), ..) => format!("{old} → {new}"),
        ((old, new), Some(_), Some(_)) => {
            let word = |version: Option<&str>| version.unwrap_or("(no version)").to_owned();
            format!("{} → {}", word(old), word(new))
        }
        ((old, new), ..) => {
            let one = new.or(old).unwrap_or_default();
            match &change.beside[..] {
                [] => one.to_owned(),
                others => format!("{one} (beside {})", others.join(", ")),
            }
        }
    };
    clean(&shown)
}

/// Whether a step is a major one by the rule for versions below 1.0 alone.
fn counts_as_major(change: &Change) -> bool {
    let is_below_one = |version: &str| version.split(['.', '-', '+']).next() == Some("0");
    let (old, new) = change.versions();
    change.step == Some(Step::Major) && [old, new].into_iter().flatten().all(is_below_one)
}

/// `+3.1 kB`, where it is known by how much something grew.
fn signed(bytes: Option<i64>) -> String {
    match bytes {
        Some(0) | None => String::new(),
        Some(more) if more > 0 => format!("+{}", crate::core::progress::bytes(more.unsigned_abs())),
        Some(less) => format!("−{}", crate::core::progress::bytes(less.unsigned_abs())),
    }
}

/// The day of a moment.
pub(crate) fn date(moment: Option<&str>) -> String {
    let day = moment.and_then(|moment| moment.get(..10));
    clean(day.unwrap_or_default())
}

/// What changes are listed under, the gravest first.
pub(crate) const SECTIONS: [(&str, Section); 9] = [
    ("Down", Section::Of(ChangeKind::Down)),
    ("Added", Section::Of(ChangeKind::Added)),
    ("Removed", Section::Of(ChangeKind::Removed)),
    ("Up, major", Section::Up(Some(Step::Major))),
    ("Up, minor", Section::Up(Some(Step::Minor))),
    ("Up, patch", Section::Up(Some(Step::Patch))),
    ("Up, label alone", Section::Up(Some(Step::Label))),
    ("Moved", Section::Of(ChangeKind::Moved)),
    ("Same version, altered", Section::Of(ChangeKind::Altered)),
];

/// Which changes a section lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Of(ChangeKind),
    Up(Option<Step>),
}

impl Section {
    pub(crate) fn rows(self, diff: &LockDiff) -> Vec<Row<'_>> {
        let is_in = |change: &&Change| match self {
            Self::Of(kind) => change.kind == kind,
            Self::Up(step) => change.kind == ChangeKind::Up && change.step == step,
        };
        rows(diff.changes.iter().filter(is_in))
    }
}

/// The whole in a sentence.
pub(crate) fn headline(diff: &LockDiff) -> String {
    let sum = &diff.summary;
    let mut parts = Vec::new();
    for (count, word) in [(sum.added, "added"), (sum.removed, "removed")] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if sum.up > 0 {
        let steps: Vec<String> = [
            (sum.major, "major"),
            (sum.minor, "minor"),
            (sum.patch, "patch"),
            (sum.label, "label"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
        parts.push(format!("{} up ({})", sum.up, steps.join(", ")));
    }
    for (count, word) in [
        (sum.down, "down"),
        (sum.moved, "moved"),
        (sum.altered, "altered"),
        (sum.relocated, "relocated"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {word}"));
        }
    }
    if parts.is_empty() {
        return format!("no package changed, of {}", sum.unchanged);
    }
    format!("{}; {} unchanged", parts.join(", "), sum.unchanged)
}

/// `3 alarms, 1 warning`; nothing where there are neither.
pub(crate) fn gravity(diff: &LockDiff) -> String {
    gravity_of(diff.summary.alarms, diff.summary.warnings)
}

/// The same of any counts.
pub(crate) fn gravity_of(alarms: usize, warnings: usize) -> String {
    let some = |number, word| (number > 0).then(|| count(number, word));
    let all = [some(alarms, "alarm"), some(warnings, "warning")];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// What there is to say of packages that are the same at other places.
pub(crate) fn only_moved(relocated: usize) -> String {
    match relocated {
        1 => String::from("1 package only moved within node_modules"),
        many => format!("{many} packages only moved within node_modules"),
    }
}

/// Of a list, what is shown first, and how many more there are.
pub(crate) fn some<T>(all: &[T], limit: usize) -> (&[T], usize) {
    let shown = all.get(..limit).unwrap_or(all);
    (shown, all.len() - shown.len())
}
