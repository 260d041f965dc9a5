//! The report as one page that needs nothing else: no script, font or picture from anywhere. Its own
//! policy forbids it to load or send anything, and to run any script but the one that is in it.
//!
//! Every row stands in the page itself; the script only hides, sorts and shows.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::detail::{facts, lists};
use super::picture::{Item, svg};
use super::rows::{Row, rows};
use super::{clean, gravity, headline, sides, subject, versions};
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::count;
use crate::inspect::diff::contents::ContentsDiff;
use crate::inspect::diff::model::{Change, ChangeKind, Finding, LockDiff, Severity};
use crate::inspect::diff::version::Step;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page.
pub fn render(diff: &LockDiff) -> String {
    let title = clean(&format!("{} → {}", diff.old.label, diff.new.label));
    let gravity = gravity(diff);
    let worst = if diff.summary.alarms > 0 {
        "alarm"
    } else {
        "warning"
    };
    let body = html! {
        h1 { (title) } "\n"
        @if !gravity.is_empty() { p class={ "gravity " (worst) } { (gravity) } "\n" }
        p { (headline(diff)) } "\n"
        @if !diff.targets.is_empty() { p { "For " (clean(&diff.targets.join(", "))) } "\n" }
        (findings(diff)) (settings(diff)) (controls(diff)) (table(diff)) (picture(diff))
    };
    page(&title, &body)
}

/// A whole page.
pub(crate) fn page(title: &str, body: &Markup) -> String {
    let hash = |text: &str| Digest::of(Algorithm::Sha256, text.as_bytes()).sri();
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    let page = html! {
        (DOCTYPE) "\n"
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) } "\n"
                style { (PreEscaped(STYLE)) }
            } "\n"
            body { (body) script { (PreEscaped(SCRIPT)) } }
        } "\n"
    };
    page.into_string()
}

fn findings(diff: &LockDiff) -> Markup {
    let loud =
        |finding: &&Finding| finding.severity != Severity::Note || finding.packages.is_empty();
    let (loud, notes): (Vec<&Finding>, Vec<&Finding>) = diff.findings.iter().partition(loud);
    html! {
        @if !loud.is_empty() {
            ul.findings aria-label="findings" { @for one in loud { (finding(one)) } } "\n"
        }
        @if !notes.is_empty() {
            details {
                summary { (count(notes.len(), "note")) }
                ul.findings { @for note in notes { (finding(note)) } }
            } "\n"
        }
    }
}

fn finding(finding: &Finding) -> Markup {
    let word = finding.severity.word();
    let plain = |text: &str| html! { (clean(text)) }.into_string();
    let code = |text: &str| html! { code { (clean(text)) } }.into_string();
    html! {
        li class=(word) {
            b { (word) }
            (PreEscaped(subject(finding, 12, code, plain)))
            @if let Some(sides) = sides(finding, code) { br; (PreEscaped(sides)) }
            @if !finding.targets.is_empty() {
                br; "on " (clean(&finding.targets.join(", ")))
            }
        } "\n"
    }
}

fn settings(diff: &LockDiff) -> Markup {
    let side = |side: &Option<String>| clean(side.as_deref().unwrap_or("–"));
    html! {
        @if !diff.settings.is_empty() {
            dl {
                @for one in &diff.settings {
                    dt { (clean(&one.name)) } dd { (side(&one.old)) " → " (side(&one.new)) }
                }
            } "\n"
        }
        @if !diff.requirements.is_empty() {
            details {
                summary { "Asked for directly: " (count(diff.requirements.len(), "change")) }
                dl {
                    @for one in &diff.requirements {
                        dt { (clean(&one.project)) ": " (clean(&one.name)) }
                        dd { (side(&one.old)) " → " (side(&one.new)) }
                    }
                }
            } "\n"
        }
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

fn controls(diff: &LockDiff) -> Markup {
    let of = |kind: &str| diff.changes.iter().filter(|one| class(one) == kind).count();
    let kinds = KINDS.into_iter().map(|kind| (kind, of(kind)));
    html! {
        div.controls {
            input #search type="search" aria-label="search" placeholder="package, version, why…";
            select #gravity aria-label="findings" {
                option value="" { "all" }
                option value="warning" { "with findings" }
                option value="alarm" { "with alarms" }
            }
            @if diff.targets.len() > 1 {
                select #target aria-label="target" {
                    option value="" { "any target" }
                    @for target in &diff.targets {
                        option value=(clean(target)) { (clean(target)) }
                    }
                }
            }
            @for (kind, count) in kinds.filter(|(_, count)| *count > 0) {
                label {
                    input type="checkbox" name="kind" value=(kind) checked[kind != "relocated"];
                    " " span class={ "tag " (kind) } { (kind) } " " (count)
                } "\n"
            }
            span #shown.quiet {}
        } "\n"
    }
}

/// What grew and what shrank, where there is something to compare.
fn picture(diff: &LockDiff) -> Markup {
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
    html! {
        @if items.len() >= 3 {
            h2 { "What grew and what shrank" } "\n"
            p.quiet {
                "By bytes to fetch: blue grew, grey shrank; red has an alarm, orange a warning"
            } "\n"
            (svg(items))
        }
    }
}

/// An area; what is lost of a number above 2^53 nobody sees.
#[allow(clippy::cast_precision_loss)]
fn weight(size: u64) -> f64 {
    size as f64
}

fn table(diff: &LockDiff) -> Markup {
    html! {
        @if !diff.changes.is_empty() {
            h2 { "Packages" } "\n"
            table {
                thead {
                    tr {
                        @for column in ["package", "change", "version", "size", "pulled in by"] {
                            th scope="col" { button type="button" { (column) } }
                        }
                    }
                }
                tbody {
                    "\n"
                    @for (at, one) in rows(&diff.changes).iter().enumerate() { (row(at, one)) }
                }
            } "\n"
        }
    }
}

/// A row, and below it one as wide as the table with what there is to know besides.
fn row(at: usize, row: &Row<'_>) -> Markup {
    let change = row.change;
    let (class, name) = (class(change), clean(&row.name));
    let worst = match change.worst {
        Some(Severity::Note) | None => "",
        Some(severity) => severity.word(),
    };
    let (versions, why) = (versions(change), row.why());
    let names: Vec<&str> = row.all().map(|change| change.name.as_str()).collect();
    let text = format!("{} {versions} {why}", clean(&names.join(" "))).to_lowercase();
    let targets: Vec<String> = change.targets.iter().map(|target| clean(target)).collect();
    let detail = html! {
        @for change in row.all() {
            @if !row.others.is_empty() { dt { b { (clean(&change.name)) } } dd {} }
            (detail(change))
        }
    };
    let id = format!("d{at}");
    html! {
        tr class={ "row " (worst) } data-name=(name) data-kind=(class) data-worst=(worst)
            data-targets=(targets.join("\n")) data-text=(text) {
            td {
                @if !worst.is_empty() { b class={ "mark " (worst) } { (worst) } " " }
                @if detail.0.is_empty() {
                    span.mono { (name) }
                } @else {
                    button.open.mono type="button" aria-expanded="true" aria-controls=(id) { (name) }
                }
            }
            td { span class={ "tag " (class) } { (class) } }
            td.version {
                // A version may be put on a line of its own, not broken in two.
                @for (at, part) in versions.split(" → ").enumerate() {
                    @if at > 0 { " →" wbr; " " }
                    (part)
                }
            }
            td.size data-n=(row.growth().unwrap_or(0)) { (row.growth_text()) }
            td.quiet {
                (why)
                @if !targets.is_empty() { br; i { "only on " (targets.join(", ")) } }
            }
        } "\n"
        @if !detail.0.is_empty() {
            tr.detail id=(id) { td colspan="5" { dl { (detail) } } } "\n"
        }
    }
}

/// What is folded away.
fn detail(change: &Change) -> Markup {
    let facts = facts(change).into_iter();
    let facts = facts.filter_map(|fact| Some((fact.name, fact.text()?)));
    let inside = change.contents.iter().flat_map(ContentsDiff::lines);
    let all = facts.chain(inside.map(|line| ("inside", line)));
    html! {
        @for (name, value) in all.chain(lists(change)) { dt { (name) } dd { (clean(&value)) } }
        @for (kind, url) in &change.links {
            dt { (clean(kind)) }
            dd { a href=(clean(url)) rel="noreferrer noopener" { (clean(url)) } }
        }
    }
}
