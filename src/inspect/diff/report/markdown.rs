//! The report for a pull request's comment, in GitHub's Markdown: what matters open, the rest folded
//! away, and never longer than a comment may be.

use std::fmt::Write as _;

use super::rows::Row;
use super::{
    SECTIONS, clean, date, gravity, headline, only_moved, short, sides, some, subject, versions,
};
use crate::inspect::diff::contents::ContentsDiff;
use crate::inspect::diff::model::{Change, ChangeKind, Finding, LockDiff, Severity};

/// GitHub takes 65,536 characters; what follows the tables needs some of them.
pub const ROOM: usize = 60_000;

/// Writes the report.
pub fn render(diff: &LockDiff) -> String {
    render_in(diff, ROOM)
}

/// Writes the report in about so many bytes: alarms are never left out.
pub fn render_in(diff: &LockDiff, room: usize) -> String {
    let mut text = String::new();
    let (old, new) = (code(&diff.old.label), code(&diff.new.label));
    let gravity = gravity(diff);
    let title = match diff.summary.alarms {
        0 => "Lock bump",
        _ => "🚨 Lock bump with alarms",
    };
    let _ = writeln!(text, "### {title}\n");
    write_findings(&mut text, diff, Severity::Alarm);
    let _ = writeln!(text, "{old} → {new}: **{}**\n", headline(diff));
    if !diff.targets.is_empty() {
        let targets: Vec<String> = diff.targets.iter().map(|target| code(target)).collect();
        let _ = writeln!(text, "For {}.\n", targets.join(", "));
    }
    if !gravity.is_empty() {
        let _ = writeln!(text, "{gravity}.\n");
    }
    write_findings(&mut text, diff, Severity::Warning);
    for setting in &diff.settings {
        let side = |side: &Option<String>| code(side.as_deref().unwrap_or("(none)"));
        let name = escape(&setting.name);
        let _ = writeln!(
            text,
            "- {name}: {} → {}",
            side(&setting.old),
            side(&setting.new)
        );
    }
    if !diff.settings.is_empty() {
        text.push('\n');
    }
    write_requirements(&mut text, diff);
    for (title, section) in SECTIONS {
        let rows = section.rows(diff);
        if !rows.is_empty() {
            write_section(&mut text, title, &rows, room);
        }
    }
    write_contents(&mut text, diff, room);
    if diff.summary.relocated > 0 {
        let _ = writeln!(text, "{}.\n", escape(&only_moved(diff.summary.relocated)));
    }
    write_links(&mut text, diff, room);
    write_notes(&mut text, diff, room);
    text
}

/// Where one reads on, and who published it. Where a link leads is seen: it is a stranger's word.
fn write_links(text: &mut String, diff: &LockDiff, room: usize) {
    let line = |change: &Change| {
        let links: Vec<String> = (change.links.iter())
            .map(|(kind, url)| format!("{} <{}>", escape(kind), link(url)))
            .collect();
        let new = change.new.as_ref();
        let publisher = new.and_then(|new| new.publisher.as_ref());
        let publisher = publisher.map(|one| format!("by {}", escape(&one.to_string())));
        let day = date(new.and_then(|new| new.published.as_deref()));
        let day = (!day.is_empty()).then(|| format!("published {}", escape(&day)));
        let parts: Vec<String> = day.into_iter().chain(publisher).chain(links).collect();
        let name = format!("{} {}", code(&change.name), escape(&versions(change)));
        (!parts.is_empty()).then(|| format!("- {name}: {}\n", parts.join(", ")))
    };
    let shown = (diff.changes.iter()).filter(|one| one.kind != ChangeKind::Relocated);
    fold(
        text,
        "Dates and links",
        shown.filter_map(line).collect(),
        room,
    );
}

fn write_findings(text: &mut String, diff: &LockDiff, severity: Severity) {
    let findings: Vec<&Finding> = diff.of_severity(severity).collect();
    let limit = if severity == Severity::Alarm { 100 } else { 40 };
    let (shown, more) = some(&findings, limit);
    for finding in shown {
        write_finding(text, finding);
    }
    if more > 0 {
        let _ = writeln!(text, "- … and {more} more {}s", severity.word());
    }
    if !findings.is_empty() {
        text.push('\n');
    }
}

pub(crate) fn write_finding(text: &mut String, finding: &Finding) {
    let sign = match finding.severity {
        Severity::Alarm => "🚨 **ALARM** ",
        Severity::Warning => "⚠️ ",
        Severity::Note => "",
    };
    let subject = subject(finding, 8, code, escape);
    let _ = write!(text, "- {sign}{subject}");
    if let Some(sides) = sides(finding, |side| code(&short(side))) {
        let _ = write!(text, " ({sides})");
    }
    if !finding.targets.is_empty() {
        let _ = write!(text, " on {}", escape(&finding.targets.join(", ")));
    }
    text.push('\n');
}

fn write_requirements(text: &mut String, diff: &LockDiff) {
    if diff.requirements.is_empty() {
        return;
    }
    let (shown, more) = some(&diff.requirements, 60);
    let count = diff.requirements.len();
    let _ = writeln!(
        text,
        "<details><summary>Asked for directly ({count})</summary>\n"
    );
    let _ = writeln!(
        text,
        "| project | asks for | before | now |\n| --- | --- | --- | --- |"
    );
    for one in shown {
        let side = |side: &Option<String>| side.as_deref().map(code).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} |",
            escape(&one.project),
            code(&one.name),
            side(&one.old),
            side(&one.new)
        );
    }
    write_more(text, more);
    let _ = writeln!(text, "\n</details>\n");
}

fn write_section(text: &mut String, title: &str, rows: &[Row<'_>], room: usize) {
    let count = rows.iter().flat_map(Row::all).count();
    let _ = writeln!(text, "<details><summary>{title} ({count})</summary>\n");
    let _ = writeln!(
        text,
        "| package | version | size | pulled in by |\n| --- | --- | ---: | --- |"
    );
    let mut left = count;
    for row in rows {
        let line = row_line(row);
        // Each section keeps room for the ones behind it to say at least their title.
        if text.len() + line.len() + 500 > room {
            break;
        }
        text.push_str(&line);
        left -= row.all().count();
    }
    write_more(text, left);
    let _ = writeln!(text, "\n</details>\n");
}

fn write_contents(text: &mut String, diff: &LockDiff, room: usize) {
    let looked: Vec<&Change> = diff
        .changes
        .iter()
        .filter(|c| c.contents.is_some())
        .collect();
    if looked.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "<details><summary>In the files ({})</summary>\n",
        looked.len()
    );
    let mut left = looked.len();
    for change in looked {
        let mut part = format!("- {} {}\n", code(&change.name), escape(&versions(change)));
        for line in change.contents.iter().flat_map(ContentsDiff::lines) {
            let _ = writeln!(part, "  - {}", escape(&line));
        }
        if text.len() + part.len() + 500 > room {
            break;
        }
        text.push_str(&part);
        left -= 1;
    }
    if left > 0 {
        let _ = writeln!(text, "- … and {left} more");
    }
    let _ = writeln!(text, "\n</details>\n");
}

fn row_line(row: &Row<'_>) -> String {
    let change = row.change;
    let sign = match change.worst {
        Some(Severity::Alarm) => "🚨 ",
        Some(Severity::Warning) => "⚠️ ",
        _ => "",
    };
    let only = match change.targets.is_empty() {
        true => String::new(),
        false => format!(" _only on {}_", escape(&change.targets.join(", "))),
    };
    format!(
        "| {sign}{} | {} | {} | {}{only} |\n",
        code(&row.name),
        escape(&versions(change)),
        row.growth_text(),
        escape(&row.why()),
    )
}

fn write_more(text: &mut String, more: usize) {
    if more > 0 {
        let _ = writeln!(text, "| … and {more} more | | | |");
    }
}

fn write_notes(text: &mut String, diff: &LockDiff, room: usize) {
    let notes = diff.of_severity(Severity::Note).map(|note| {
        let mut line = String::new();
        write_finding(&mut line, note);
        line
    });
    fold(text, "Notes", notes.collect(), room);
}

/// Lines under a title that opens them, as many as there is room for; nothing where there are none.
pub(crate) fn fold(text: &mut String, title: &str, lines: Vec<String>, room: usize) {
    if lines.is_empty() {
        return;
    }
    let mut left = lines.len();
    let _ = writeln!(text, "<details><summary>{title} ({left})</summary>\n");
    for line in lines {
        if text.len() + line.len() > room {
            break;
        }
        text.push_str(&line);
        left -= 1;
    }
    if left > 0 {
        let _ = writeln!(text, "- … and {left} more");
    }
    let _ = writeln!(text, "\n</details>");
}

/// Text in which nothing is Markdown, HTML, a mention or a table's border.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // An entity: neither a mention nor a link is made of it.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // `https://…` would become a link by itself.
    out.replace("://", ":&#47;&#47;")
}

/// A URL that nothing in it can end.
fn link(url: &str) -> String {
    clean(url)
        .replace('<', "%3C")
        .replace('>', "%3E")
        .replace(' ', "%20")
        .replace('@', "%40")
}

/// Text as code, which no Markdown can leave.
pub(crate) fn code(text: &str) -> String {
    let text = clean(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match longest {
        0 => format!("{fence}{text}{fence}"),
        _ => format!("{fence} {text} {fence}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_text_stays_text() {
        assert_eq!(
            escape("<img src=x>|@all](https://evil.example)"),
            "&lt;img src=x&gt;\\|&#64;all\\](https:&#47;&#47;evil.example)"
        );
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
        assert_eq!(code("a|b\nc"), "`a\\|b\\u{a}c`");
    }
}
