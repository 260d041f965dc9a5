//! What was found, for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{ProblemKind, Report};
use crate::core::progress::count;
use crate::inspect::diff::report::clean;

/// How many problems of a package are listed before it says how many more there are.
const FEW: usize = 20;

/// Writes the report; `detail` leaves nothing out.
pub fn render(report: &Report, tree: &str, detail: bool) -> String {
    let mut text = String::new();
    let mut by_package: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for problem in &report.problems {
        let package = problem.package.as_deref().unwrap_or("(no package)");
        by_package.entry(package).or_default().push(problem);
    }
    for (package, problems) in by_package {
        let _ = writeln!(text, "{} ({})", clean(package), problems.len());
        let limit = if detail { usize::MAX } else { FEW };
        for problem in problems.iter().take(limit) {
            let word = match problem.kind {
                ProblemKind::Missing => "missing",
                ProblemKind::Altered => "altered",
                ProblemKind::Mode => "mode",
                ProblemKind::Extra => "extra",
                ProblemKind::Record => "RECORD",
            };
            let (path, says) = (clean(&problem.path), clean(&problem.says));
            let _ = writeln!(text, "  {word:<8} {path}: {says}");
        }
        let more = problems.len().saturating_sub(limit);
        if more > 0 {
            let _ = writeln!(text, "  … and {more} more (--detail)");
        }
    }
    for mismatch in &report.mismatches {
        let _ = writeln!(
            text,
            "mismatch {} {}",
            clean(&mismatch.package),
            clean(&mismatch.says())
        );
    }
    let mut besides = Vec::new();
    for (count, word) in [
        (report.bytecode, "bytecode files"),
        (report.caches, "files of caches"),
    ] {
        if count > 0 {
            besides.push(format!("{count} {word}"));
        }
    }
    let besides = match besides.is_empty() {
        true => String::new(),
        false => format!("; besides {}", besides.join(" and ")),
    };
    let verdict = match (report.problems.len(), report.mismatches.len()) {
        (0, 0) => String::from("as it should be"),
        (problems, 0) => count(problems, "problem"),
        (0, others) => not_the_locks(others),
        (problems, others) => {
            format!(
                "{}, and {}",
                count(problems, "problem"),
                not_the_locks(others)
            )
        }
    };
    let by = report.by.join(" and ");
    let tree = clean(tree);
    let _ = writeln!(
        text,
        "{tree}: {verdict}; {} checked by {by}{besides}",
        report.checked
    );
    text
}

fn not_the_locks(packages: usize) -> String {
    match packages {
        1 => "1 package does not match the lock".to_owned(),
        packages => format!("{packages} packages do not match the lock"),
    }
}
