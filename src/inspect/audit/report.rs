//! Reports of an audit: for a terminal and for a comment.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Audit;
use crate::core::progress::count;
use crate::inspect::diff::model::{Finding, Severity};
use crate::inspect::diff::report::{clean, gravity_of, markdown, some, text};

/// The report for a terminal; `detail` leaves nothing out.
pub fn text(audit: &Audit, detail: bool) -> String {
    let mut out = String::new();
    let mut notes = 0;
    for finding in &audit.findings {
        if finding.severity == Severity::Note && !detail {
            notes += 1;
        } else {
            text::write_finding(&mut out, finding, detail);
        }
    }
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "{}: {}", clean(&audit.lock), clean(&headline(audit)));
    if let Some(target) = &audit.target {
        let _ = writeln!(out, "for {}", clean(target));
    }
    for line in more(audit) {
        let _ = writeln!(out, "{}", clean(&line));
    }
    let publishers = publishers(audit);
    if !publishers.is_empty() {
        let _ = writeln!(out, "\nPublished by, as their indexes say");
        let limit = if detail { usize::MAX } else { 20 };
        let publishers: Vec<_> = publishers.into_iter().collect();
        let (shown, left) = some(&publishers, limit);
        for (publisher, packages) in shown {
            let names = clean(&packages.join(", "));
            let _ = writeln!(out, "  {}: {names}", clean(publisher));
        }
        if left > 0 {
            let _ = writeln!(out, "  … and {left} more (--detail)");
        }
    }
    if notes > 0 {
        let _ = writeln!(out, "\n--detail shows {}", count(notes, "note"));
    }
    out
}

/// The report for a pull request's comment.
pub fn markdown(audit: &Audit) -> String {
    let title = match audit.summary.alarms {
        0 => "Lock audit",
        _ => "🚨 Lock audit with alarms",
    };
    let mut out = format!("### {title}\n\n");
    for severity in [Severity::Alarm, Severity::Warning] {
        let all = audit.findings.iter();
        let all: Vec<&Finding> = all.filter(|one| one.severity == severity).collect();
        let (shown, left) = some(&all, 60);
        for finding in shown {
            markdown::write_finding(&mut out, finding);
        }
        if left > 0 {
            let _ = writeln!(out, "- … and {left} more {}s", severity.word());
        }
        if !all.is_empty() {
            out.push('\n');
        }
    }
    let lock = markdown::code(&audit.lock);
    let _ = writeln!(out, "{lock}: **{}**\n", markdown::escape(&headline(audit)));
    for line in more(audit) {
        let _ = writeln!(out, "{}.\n", markdown::escape(&line));
    }
    let notes: Vec<&Finding> = (audit.findings.iter())
        .filter(|one| one.severity == Severity::Note)
        .collect();
    let mut lines: Vec<String> = Vec::new();
    for note in notes {
        let mut line = String::new();
        markdown::write_finding(&mut line, note);
        lines.push(line);
    }
    markdown::fold(&mut out, "Notes", lines, markdown::ROOM);
    let published = publishers(audit).into_iter().map(|(publisher, packages)| {
        let packages: Vec<String> = packages.iter().map(|one| markdown::code(one)).collect();
        format!(
            "- {}: {}\n",
            markdown::escape(&publisher),
            packages.join(", ")
        )
    });
    let title = "Published by, as their indexes say";
    markdown::fold(&mut out, title, published.collect(), markdown::ROOM);
    out
}

fn headline(audit: &Audit) -> String {
    let gravity = gravity_of(audit.summary.alarms, audit.summary.warnings);
    match gravity.as_str() {
        "" => String::from("nothing to object to"),
        gravity => gravity.to_owned(),
    }
}

/// What was looked at, a sentence each.
fn more(audit: &Audit) -> Vec<String> {
    let sum = &audit.summary;
    let mut lines = vec![format!(
        "{} of {} compared with what their indexes say, of {}",
        sum.held,
        count(sum.files, "file"),
        count(sum.packages, "package")
    )];
    if sum.elsewhere > 0 {
        lines.push(format!(
            "{} from no index (git, URLs, folders), which nothing can be compared with",
            count(sum.elsewhere, "package")
        ));
    }
    if sum.signed > 0 {
        lines.push(format!(
            "{} verified with the keys of their registry",
            count(sum.signed, "signature")
        ));
    }
    let borne = audit.advisories.iter().filter(|one| one.ignored.is_some());
    let borne = borne.count();
    if borne > 0 {
        lines.push(format!(
            "{borne} known vulnerabilities that the project accepts"
        ));
    }
    lines
}

/// Publishers, and what each published.
fn publishers(audit: &Audit) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in &audit.identities {
        if let Some(publisher) = &one.publisher {
            let how = if one.verified {
                "verified"
            } else {
                "unverified"
            };
            let packages = all.entry(format!("{publisher} ({how})")).or_default();
            packages.push(one.package.clone());
        }
    }
    all
}
