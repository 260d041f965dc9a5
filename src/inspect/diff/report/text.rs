//! The report for a terminal: what matters first, in few lines; everything on request.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::detail::{facts, lists};
use super::rows::Row;
use super::{
    SECTIONS, Section, clean, gravity, headline, only_moved, short, sides, some, subject, versions,
};
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::count;
use crate::inspect::diff::contents::ContentsDiff;
use crate::inspect::diff::facts::{LockFacts, without_password};
use crate::inspect::diff::model::{Change, Finding, LockDiff, Severity};
use crate::inspect::diff::version::Step;

/// How many lines a list has before it says how many more there are.
const FEW: usize = 30;

/// Writes the report; `detail` leaves nothing out.
pub fn render(diff: &LockDiff, detail: bool) -> String {
    let mut text = String::new();
    for severity in [Severity::Alarm, Severity::Warning, Severity::Note] {
        for finding in diff.of_severity(severity) {
            if severity != Severity::Note || detail || finding.packages.is_empty() {
                write_finding(&mut text, finding, detail);
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    let (old, new) = (clean(&diff.old.label), clean(&diff.new.label));
    let _ = writeln!(text, "{old} → {new}\n{}", headline(diff));
    let gravity = gravity(diff);
    if !gravity.is_empty() {
        let _ = writeln!(text, "{gravity}");
    }
    if !diff.targets.is_empty() {
        let _ = writeln!(text, "for {}", clean(&diff.targets.join(", ")));
    }
    for setting in &diff.settings {
        let side = |side: &Option<String>| clean(side.as_deref().unwrap_or("(none)"));
        let name = clean(&setting.name);
        let _ = writeln!(
            text,
            "{name}: {} → {}",
            side(&setting.old),
            side(&setting.new)
        );
    }
    let limit = if detail { usize::MAX } else { FEW };
    write_requirements(&mut text, diff, limit);
    for (title, section) in SECTIONS {
        let rows = section.rows(diff);
        if rows.is_empty() {
            continue;
        }
        let count = rows.iter().flat_map(Row::all).count();
        let _ = writeln!(text, "\n{title} ({count})");
        let is_brief = matches!(
            section,
            Section::Up(Some(Step::Minor | Step::Patch | Step::Label))
        );
        if is_brief && !detail {
            write_brief(&mut text, &rows);
        } else {
            write_changes(&mut text, &rows, limit, detail);
        }
    }
    write_contents(&mut text, diff, limit);
    let relocated = diff.summary.relocated;
    if relocated > 0 {
        let _ = writeln!(text, "\n{}", only_moved(relocated));
    }
    let notes = diff.of_severity(Severity::Note).count();
    if !detail && !diff.changes.is_empty() {
        let notes = match notes {
            0 => String::new(),
            notes => format!(", and {}", count(notes, "note")),
        };
        let _ = writeln!(text, "\n--detail shows files and tags{notes}");
    }
    text
}

/// One lock as lines, a package each, in which a line-by-line comparison shows what matters: the
/// version, where it comes from, and a digest over the digests of its files.
pub fn lines(facts: &LockFacts) -> String {
    let mut text = String::new();
    for (name, value) in &facts.settings {
        let _ = writeln!(text, "{} = {}", clean(name), clean(value));
    }
    for ((project, name), what) in &facts.requirements {
        let _ = writeln!(
            text,
            "{} asks for {} {}",
            clean(project),
            clean(name),
            clean(what)
        );
    }
    for (name, package) in facts.each() {
        let version = package.version.as_deref().unwrap_or("(no version)");
        let mut line = format!(
            "{name} {version} from {}",
            without_password(&package.origin.place)
        );
        if let Some(commit) = &package.origin.commit {
            let _ = write!(line, "#{commit}");
        }
        if !package.files.is_empty() {
            let files: BTreeSet<String> = (package.files.iter())
                .map(|file| format!("{} {} {:?}\n", file.name, file.location, file.digest))
                .collect();
            let all: String = files.into_iter().collect();
            let digest = Digest::of(Algorithm::Sha256, all.as_bytes()).hex();
            let _ = write!(
                line,
                " ({}, {})",
                count(package.files.len(), "file"),
                digest.get(..16).unwrap_or_default()
            );
        }
        if package.install_script {
            line.push_str(" with an install script");
        }
        let _ = writeln!(text, "{}", clean(&line));
    }
    text
}

pub(crate) fn write_finding(text: &mut String, finding: &Finding, detail: bool) {
    let word = match finding.severity {
        Severity::Alarm => "ALARM   ",
        Severity::Warning => "warning ",
        Severity::Note => "note    ",
    };
    let limit = if detail { usize::MAX } else { 5 };
    let subject = subject(finding, limit, clean, clean);
    let _ = write!(text, "{word}{subject}");
    if !finding.targets.is_empty() {
        let _ = write!(text, " (on {})", clean(&finding.targets.join(", ")));
    }
    text.push('\n');
    let side = |side: &str| clean(&if detail { side.to_owned() } else { short(side) });
    if let Some(sides) = sides(finding, side) {
        let _ = writeln!(text, "          {sides}");
    }
}

/// A requirement's versions behind its name; any is not worth saying.
fn version(asked: &str) -> String {
    match asked {
        "any" => String::new(),
        asked => format!(" {}", clean(asked)),
    }
}

fn write_requirements(text: &mut String, diff: &LockDiff, limit: usize) {
    if diff.requirements.is_empty() {
        return;
    }
    let _ = writeln!(text, "\nDirect requirements ({})", diff.requirements.len());
    let (shown, more) = some(&diff.requirements, limit);
    for one in shown {
        let (project, name) = (clean(&one.project), clean(&one.name));
        let _ = match (&one.old, &one.new) {
            (None, Some(new)) => writeln!(text, "  {project} requires {name}{}, new", version(new)),
            (Some(old), None) => {
                writeln!(
                    text,
                    "  {project} no longer requires {name}{}",
                    version(old)
                )
            }
            (old, new) => {
                let side = |side: &Option<String>| clean(side.as_deref().unwrap_or_default());
                writeln!(
                    text,
                    "  {project} requires {name}: {} → {}",
                    side(old),
                    side(new)
                )
            }
        };
    }
    write_more(text, more);
}

/// What is in the files behind the changes, the packages with findings first.
fn write_contents(text: &mut String, diff: &LockDiff, limit: usize) {
    let mut looked: Vec<(&Change, &ContentsDiff)> = (diff.changes.iter())
        .filter_map(|change| Some((change, change.contents.as_ref()?)))
        .collect();
    if looked.is_empty() {
        return;
    }
    looked.sort_by_key(|(change, _)| change.worst.map_or(3, |worst| worst as u8));
    let _ = writeln!(text, "\nIn the files ({})", looked.len());
    let (shown, more) = some(&looked, limit);
    for (change, contents) in shown {
        let _ = writeln!(text, "  {} {}", clean(&change.name), versions(change));
        for line in contents.lines() {
            let _ = writeln!(text, "      {}", clean(&line));
        }
        write_links(text, change);
        let files = [
            ("+", &contents.files_added),
            ("−", &contents.files_removed),
            ("~", &contents.files_changed),
        ];
        for (sign, file) in files
            .into_iter()
            .flat_map(|(s, all)| all.iter().map(move |f| (s, f)))
        {
            if limit == usize::MAX {
                let _ = writeln!(text, "        {sign} {}", clean(file));
            }
        }
    }
    write_more(text, more);
}

fn write_links(text: &mut String, change: &Change) {
    for (kind, url) in &change.links {
        let _ = writeln!(text, "      {}: {}", clean(kind), clean(url));
    }
}

fn write_more(text: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more (--detail)");
    }
}

/// Names and versions alone, as a paragraph.
fn write_brief(text: &mut String, rows: &[Row<'_>]) {
    let (shown, more) = some(rows, 4 * FEW);
    let mut line = String::from(" ");
    let mut width = 1;
    for (at, row) in shown.iter().enumerate() {
        let change = row.change;
        let comma = if at + 1 < shown.len() { "," } else { "" };
        let only = match &change.targets[..] {
            [] => String::new(),
            targets => format!(" (only on {})", clean(&targets.join(", "))),
        };
        let item = format!(" {} {}{only}{comma}", clean(&row.name), versions(change));
        let length = item.chars().count();
        if width + length > 100 {
            let _ = writeln!(text, "{line}");
            line = String::from(" ");
            width = 1;
        }
        line.push_str(&item);
        width += length;
    }
    let _ = writeln!(text, "{line}");
    write_more(text, more);
}

fn write_changes(text: &mut String, rows: &[Row<'_>], limit: usize, detail: bool) {
    let (shown, more) = some(rows, limit);
    let cells: Vec<[String; 4]> = shown
        .iter()
        .map(|row| {
            let change = row.change;
            let mark = match change.worst {
                Some(Severity::Alarm) => "!! ",
                Some(Severity::Warning) => "! ",
                _ => "",
            };
            let name = format!("{mark}{}", clean(&row.name));
            let mut about = row.why();
            if !change.targets.is_empty() {
                let _ = write!(about, "  only on {}", clean(&change.targets.join(", ")));
            }
            [name, versions(change), row.growth_text(), about]
        })
        .collect();
    let mut widths = [0; 4];
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count()).min(44);
        }
    }
    let [name_width, version_width, growth_width, _] = widths;
    for ([name, version, growth, about], row) in cells.iter().zip(shown) {
        let line = format!(
            "  {name:<name_width$}  {version:<version_width$}  {growth:>growth_width$}  {about}"
        );
        let _ = writeln!(text, "{}", line.trim_end());
        for change in row.all().filter(|_| detail) {
            if !row.others.is_empty() {
                let _ = writeln!(text, "    {}", clean(&change.name));
            }
            write_detail(text, change);
        }
    }
    write_more(text, more);
}

fn write_detail(text: &mut String, change: &Change) {
    let both = change.old.is_some() && change.new.is_some();
    for fact in facts(change)
        .into_iter()
        .filter(|fact| both && fact.old != fact.new)
    {
        let said = fact.text().unwrap_or_default();
        let _ = writeln!(text, "      {} {}", fact.name, clean(&said));
    }
    if change.contents.is_none() {
        write_links(text, change);
    }
    for (name, value) in lists(change) {
        let _ = writeln!(text, "      {name} {}", clean(&value));
    }
}
