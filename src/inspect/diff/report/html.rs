//! The report as one page that needs nothing else: no script, font or picture from anywhere. Its own
//! policy forbids it to load or send anything, and to run any script but the one that is in it.
//!
//! Every row stands in the page itself; the script only hides, sorts and shows.

use std::fmt::Write as _;

use super::picture::{Item, svg};
use super::rows::{Row, rows};
use super::{clean, date, gravity, headline, sides, subject, versions};
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::count;
use crate::inspect::diff::contents::ContentsDiff;
use crate::inspect::diff::model::{Change, ChangeKind, Finding, LockDiff, Locked, Severity};
use crate::inspect::diff::version::Step;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
pub fn render(diff: &LockDiff) -> String {
    let mut body = String::new();
    let (old, new) = (escape(&diff.old.label), escape(&diff.new.label));
    let _ = writeln!(body, "<h1>{old} → {new}</h1>");
    let sum = &diff.summary;
    let gravity = gravity(diff);
    if !gravity.is_empty() {
        let worst = if sum.alarms > 0 { "alarm" } else { "warning" };
        let _ = writeln!(
            body,
            "<p class=\"gravity {worst}\">{}</p>",
            escape(&gravity)
        );
    }
    let _ = writeln!(body, "<p>{}</p>", escape(&headline(diff)));
    if !diff.targets.is_empty() {
        let _ = writeln!(body, "<p>For {}</p>", escape(&diff.targets.join(", ")));
    }
    write_findings(&mut body, diff);
    write_facts(&mut body, diff);
    write_controls(&mut body, diff);
    write_table(&mut body, diff);
    write_picture(&mut body, diff);
    page(&format!("{old} → {new}"), &body)
}

/// A whole page. The title and body are HTML already.
pub(crate) fn page(title: &str, body: &str) -> String {
    let hash = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes()).sri();
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\
         <script>{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

/// Text that is no HTML, also in an attribute's value.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn write_findings(body: &mut String, diff: &LockDiff) {
    let loud =
        |finding: &&Finding| finding.severity != Severity::Note || finding.packages.is_empty();
    let (loud, notes): (Vec<&Finding>, Vec<&Finding>) = diff.findings.iter().partition(loud);
    if !loud.is_empty() {
        body.push_str("<ul class=\"findings\" aria-label=\"findings\">\n");
        for finding in loud {
            write_finding(body, finding);
        }
        body.push_str("</ul>\n");
    }
    if !notes.is_empty() {
        let said = count(notes.len(), "note");
        let _ = writeln!(body, "<details><summary>{said}</summary>");
        body.push_str("<ul class=\"findings\">\n");
        for finding in notes {
            write_finding(body, finding);
        }
        body.push_str("</ul></details>\n");
    }
}

fn write_finding(body: &mut String, finding: &Finding) {
    let word = finding.severity.word();
    let code = |text: &str| format!("<code>{}</code>", escape(text));
    let subject = subject(finding, 12, code, escape);
    let _ = write!(body, "<li class=\"{word}\"><b>{word}</b>{subject}");
    if let Some(sides) = sides(finding, code) {
        let _ = write!(body, "<br>{sides}");
    }
    if !finding.targets.is_empty() {
        let _ = write!(body, "<br>on {}", escape(&finding.targets.join(", ")));
    }
    body.push_str("</li>\n");
}

fn write_facts(body: &mut String, diff: &LockDiff) {
    let side = |side: &Option<String>| escape(side.as_deref().unwrap_or("–"));
    if !diff.settings.is_empty() {
        body.push_str("<dl>\n");
        for one in &diff.settings {
            let (old, new) = (side(&one.old), side(&one.new));
            let _ = writeln!(body, "<dt>{}</dt><dd>{old} → {new}</dd>", escape(&one.name));
        }
        body.push_str("</dl>\n");
    }
    if !diff.requirements.is_empty() {
        let _ = writeln!(
            body,
            "<details><summary>Asked for directly: {}</summary><dl>",
            count(diff.requirements.len(), "change")
        );
        for one in &diff.requirements {
            let (old, new) = (side(&one.old), side(&one.new));
            let (project, name) = (escape(&one.project), escape(&one.name));
            let _ = writeln!(body, "<dt>{project}: {name}</dt><dd>{old} → {new}</dd>");
        }
        body.push_str("</dl></details>\n");
    }
}

/// The classes of changes, in the order of the page's boxes.
const KINDS: [&str; 10] = [
    "added",
    "removed",
    "down",
    "major",
    "minor",
    "patch",
    "label",
    "moved",
    "altered",
    "relocated",
];

fn class(change: &Change) -> &'static str {
    match (change.kind, change.step) {
        (ChangeKind::Up, Some(Step::Major)) => "major",
        (ChangeKind::Up, Some(Step::Minor)) => "minor",
        (ChangeKind::Up, Some(Step::Patch)) => "patch",
        (ChangeKind::Up, _) => "label",
        (kind, _) => kind.word(),
    }
}

fn write_controls(body: &mut String, diff: &LockDiff) {
    body.push_str(
        "<div class=\"controls\"><input type=\"search\" id=\"search\" aria-label=\"search\" \
         placeholder=\"package, version, why…\">\n<select id=\"gravity\" aria-label=\"findings\">\
         <option value=\"\">all</option><option value=\"warning\">with findings</option>\
         <option value=\"alarm\">with alarms</option></select>\n",
    );
    if diff.targets.len() > 1 {
        body.push_str(
            "<select id=\"target\" aria-label=\"target\"><option value=\"\">any target</option>",
        );
        for target in &diff.targets {
            let target = escape(target);
            let _ = write!(body, "<option value=\"{target}\">{target}</option>");
        }
        body.push_str("</select>\n");
    }
    for kind in KINDS {
        let count = diff
            .changes
            .iter()
            .filter(|change| class(change) == kind)
            .count();
        if count > 0 {
            let checked = if kind == "relocated" { "" } else { " checked" };
            let _ = writeln!(
                body,
                "<label><input type=\"checkbox\" name=\"kind\" value=\"{kind}\"{checked}> \
                 <span class=\"tag {kind}\">{kind}</span> {count}</label>"
            );
        }
    }
    body.push_str("<span id=\"shown\" class=\"quiet\"></span></div>\n");
}

/// What grew and what shrank, where there is something to compare.
fn write_picture(body: &mut String, diff: &LockDiff) {
    let drawn = (diff.changes.iter()).filter(|one| one.kind != ChangeKind::Relocated);
    let items: Vec<Item> = rows(drawn)
        .iter()
        .filter_map(|row| {
            let growth = row.growth().filter(|growth| *growth != 0)?;
            let change = row.change;
            Some(Item {
                name: row.name.clone(),
                title: format!("{} {}, {}", row.name, versions(change), row.growth_text()),
                class: match change.worst {
                    Some(Severity::Alarm) => "risk-alarm",
                    Some(Severity::Warning) => "risk-warning",
                    _ if growth < 0 => "shrank",
                    _ => "grew",
                },
                weight: weight(growth.unsigned_abs()),
            })
        })
        .collect();
    if items.len() < 3 {
        return;
    }
    body.push_str(
        "<h2>What grew and what shrank</h2>\n<p class=\"quiet\">By bytes to fetch: blue grew, grey \
         shrank; red has an alarm, orange a warning</p>\n",
    );
    let _ = writeln!(body, "{}", svg(items, escape));
}

/// An area; what is lost of a number above 2^53 nobody sees.
#[allow(clippy::cast_precision_loss)]
fn weight(size: u64) -> f64 {
    size as f64
}

fn write_table(body: &mut String, diff: &LockDiff) {
    if diff.changes.is_empty() {
        return;
    }
    body.push_str("<h2>Packages</h2>\n<table><thead><tr>");
    for column in ["package", "change", "version", "size", "pulled in by"] {
        let _ = write!(
            body,
            "<th scope=\"col\"><button type=\"button\">{column}</button></th>"
        );
    }
    body.push_str("</tr></thead><tbody>\n");
    for (at, row) in rows(&diff.changes).iter().enumerate() {
        write_row(body, at, row);
    }
    body.push_str("</tbody></table>\n");
}

/// A row, and below it one as wide as the table with what there is to know besides.
fn write_row(body: &mut String, at: usize, row: &Row<'_>) {
    let change = row.change;
    let class = class(change);
    let name = escape(&row.name);
    let worst = match change.worst {
        Some(Severity::Note) | None => "",
        Some(severity) => severity.word(),
    };
    let (versions, why) = (escape(&versions(change)), escape(&row.why()));
    let targets = escape(&change.targets.join("\n")).replace("\\u{a}", "\n");
    let names: Vec<&str> = row.all().map(|change| change.name.as_str()).collect();
    let text = format!("{} {versions} {why}", escape(&names.join(" "))).to_lowercase();
    let _ = write!(
        body,
        "<tr class=\"row {worst}\" data-name=\"{name}\" data-kind=\"{class}\" data-worst=\"{worst}\" \
         data-targets=\"{targets}\" data-text=\"{text}\"><td>"
    );
    let mut detail = String::new();
    for change in row.all() {
        if !row.others.is_empty() {
            let _ = write!(detail, "<dt><b>{}</b></dt><dd></dd>", escape(&change.name));
        }
        write_detail(&mut detail, change);
    }
    let mark = match worst {
        "" => String::new(),
        worst => format!("<b class=\"mark {worst}\">{worst}</b> "),
    };
    let _ = if detail.is_empty() {
        write!(body, "{mark}<span class=\"mono\">{name}</span>")
    } else {
        write!(
            body,
            "{mark}<button type=\"button\" class=\"open mono\" aria-expanded=\"true\" \
             aria-controls=\"d{at}\">{name}</button>"
        )
    };
    let only = match change.targets.is_empty() {
        true => String::new(),
        false => format!("<br><i>only on {}</i>", escape(&change.targets.join(", "))),
    };
    let _ = writeln!(
        body,
        "</td><td><span class=\"tag {class}\">{class}</span></td><td class=\"version\">{}</td>\
         <td class=\"size\" data-n=\"{}\">{}</td><td class=\"quiet\">{why}{only}</td></tr>",
        // A version may be put on a line of its own, not broken in two.
        versions.replace(" → ", " →<wbr> "),
        row.growth().unwrap_or(0),
        row.growth_text()
    );
    if !detail.is_empty() {
        let _ = writeln!(
            body,
            "<tr class=\"detail\" id=\"d{at}\"><td colspan=\"5\"><dl>{detail}</dl></td></tr>"
        );
    }
}

/// What is folded away: pairs of `<dt>` and `<dd>`.
fn write_detail(text: &mut String, change: &Change) {
    let mut put = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = write!(text, "<dt>{name}</dt><dd>{}</dd>", escape(&value));
        }
    };
    let both = |of: &dyn Fn(&Locked) -> String| {
        let side = |side: &Option<Locked>| side.as_ref().map(of).unwrap_or_default();
        match (side(&change.old), side(&change.new)) {
            (old, new) if old == new => old,
            (old, new) if old.is_empty() || new.is_empty() && change.new.is_none() => old + &new,
            (old, new) => format!("{old} → {new}"),
        }
    };
    put(
        "source",
        both(&|one| match &one.source.commit {
            Some(commit) => format!("{}#{commit}", one.source.place),
            None => one.source.place.clone(),
        }),
    );
    put(
        "size",
        both(&|one| {
            one.size
                .map(crate::core::progress::bytes)
                .unwrap_or_default()
        }),
    );
    put("published", both(&|one| date(one.published.as_deref())));
    put(
        "licence",
        both(&|one| one.license.clone().unwrap_or_default()),
    );
    put(
        "wheels",
        both(&|one| match one.wheels {
            0 => String::new(),
            count => count.to_string(),
        }),
    );
    put("places", both(&|one| one.places.join(", ")));
    put("tags gone", change.tags_gone.join(", "));
    put("tags new", change.tags_new.join(", "));
    for line in change.contents.iter().flat_map(ContentsDiff::lines) {
        put("inside", line);
    }
    for file in &change.files {
        for (sign, side) in [("−", &file.old), ("+", &file.new)] {
            if let Some(side) = side {
                let digest = side.digest.as_deref().unwrap_or("no digest");
                put(sign, format!("{} {digest} {}", side.name, side.location));
            }
        }
    }
    for (kind, url) in change.contents.iter().flat_map(|inside| &inside.links) {
        let (kind, url) = (escape(kind), escape(url));
        let _ = write!(
            text,
            "<dt>{kind}</dt><dd><a href=\"{url}\" rel=\"noreferrer noopener\">{url}</a></dd>"
        );
    }
}
