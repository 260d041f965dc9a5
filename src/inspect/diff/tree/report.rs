//! Reports of two trees' differences.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::html;

use super::model::{FileDiff, FileKind, TreeDiff};
use crate::inspect::diff::report::html::page;
use crate::inspect::diff::report::{clean, markdown};

/// How many files of a package are listed before it says how many more there are.
const FEW: usize = 12;

/// The whole in a sentence.
fn headline(diff: &TreeDiff) -> String {
    let mut said = match diff.is_same() {
        true if diff.same_nar => format!("the same: NAR hash {}", diff.old.nar_hash),
        true => String::from("the same, but for each tree's own path"),
        false => {
            let of = |kind| diff.files.iter().filter(|file| file.kind == kind).count();
            format!(
                "{} changed, {} added, {} removed; {} unchanged",
                of(FileKind::Changed),
                of(FileKind::Added),
                of(FileKind::Removed),
                diff.unchanged
            )
        }
    };
    if diff.expected > 0 {
        let _ = write!(said, "; {} files hold their tree's own path", diff.expected);
    }
    if diff.modes > 0 {
        let _ = write!(
            said,
            "; {} files have other modes, which a NAR does not keep",
            diff.modes
        );
    }
    said
}

fn by_package(diff: &TreeDiff) -> BTreeMap<&str, Vec<&FileDiff>> {
    let mut all: BTreeMap<&str, Vec<&FileDiff>> = BTreeMap::new();
    for file in &diff.files {
        let name = file.package.as_deref().unwrap_or("(no package)");
        all.entry(name).or_default().push(file);
    }
    all
}

fn sign(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Added => "+",
        FileKind::Removed => "−",
        FileKind::Changed => "~",
    }
}

fn because(file: &FileDiff, limit: usize) -> String {
    let causes: Vec<&str> = file
        .causes
        .iter()
        .take(limit)
        .map(|cause| cause.says.as_str())
        .collect();
    let more = match file.causes.len().saturating_sub(limit) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    causes.join("; ") + &more
}

/// For a terminal; `detail` leaves nothing out.
pub fn text(diff: &TreeDiff, detail: bool) -> String {
    let mut text = format!(
        "{} → {}: {}\n",
        clean(&diff.old.label),
        clean(&diff.new.label),
        headline(diff)
    );
    if !diff.is_same() {
        let _ = writeln!(text, "{}\n{}", diff.old.nar_hash, diff.new.nar_hash);
    }
    let (files, causes) = if detail {
        (usize::MAX, usize::MAX)
    } else {
        (FEW, 3)
    };
    for (package, all) in by_package(diff) {
        let _ = writeln!(text, "\n{} ({})", clean(package), all.len());
        for file in all.iter().take(files) {
            let because = match file.causes.is_empty() {
                true => String::new(),
                false => format!(": {}", clean(&because(file, causes))),
            };
            let _ = writeln!(text, "  {} {}{because}", sign(file.kind), clean(&file.path));
        }
        let more = all.len().saturating_sub(files);
        if more > 0 {
            let _ = writeln!(text, "  … and {more} more (--detail)");
        }
    }
    text
}

/// For a pull request's comment.
pub fn markdown(diff: &TreeDiff) -> String {
    let (old, new) = (
        markdown::code(&diff.old.label),
        markdown::code(&diff.new.label),
    );
    let mut text = format!(
        "### Trees\n\n{old} → {new}: **{}**\n",
        markdown::escape(&headline(diff))
    );
    for (package, all) in by_package(diff) {
        let mut part = format!(
            "\n<details><summary>{} ({})</summary>\n\n",
            markdown::escape(package),
            all.len()
        );
        for file in all.iter().take(200) {
            let because = markdown::escape(&because(file, 3));
            let _ = writeln!(
                part,
                "- {} {} {because}",
                sign(file.kind),
                markdown::code(&file.path)
            );
        }
        if all.len() > 200 {
            let _ = writeln!(part, "- … and {} more", all.len() - 200);
        }
        part.push_str("\n</details>\n");
        if text.len() + part.len() > 60_000 {
            let _ = writeln!(
                text,
                "\n… and more packages, which a comment has no room for"
            );
            break;
        }
        text.push_str(&part);
    }
    text
}

/// As a page that needs nothing else.
pub fn html(diff: &TreeDiff) -> String {
    let title = clean(&format!("{} → {}", diff.old.label, diff.new.label));
    let body = html! {
        h1 { (title) } "\n"
        p { (headline(diff)) } "\n"
        dl {
            dt { "old" } dd { code { (clean(&diff.old.nar_hash)) } }
            dt { "new" } dd { code { (clean(&diff.new.nar_hash)) } }
        } "\n"
        @for (package, all) in by_package(diff) {
            details {
                summary { (clean(package)) " " span.quiet { (all.len()) } }
                dl {
                    @for file in all {
                        dt { (sign(file.kind)) }
                        dd { code { (clean(&file.path)) } " " (clean(&because(file, usize::MAX))) }
                    }
                }
            } "\n"
        }
    };
    page(&title, &body)
}
