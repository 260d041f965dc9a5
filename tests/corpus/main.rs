//! A corpus of hostile cases, each made here: what is said of it, and the table of all in docs/security.md.
//!
//! After a change of a sentence or a case: `UPDATE_DOCS=1 cargo test --test corpus`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod diffs;
mod elfs;
mod tars;
mod texts;
mod wheels;
mod zips;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lockwright::core::foreign::shown_lines;

/// One case.
pub struct Row {
    /// What is read.
    pub format: &'static str,
    /// What is wrong with it.
    pub case: String,
    /// Advisories about others that took the like.
    pub known: &'static str,
    /// What is taken of it, or what is said of it.
    pub said: Result<String, String>,
}

/// What stands around every reason in a refusal, and says nothing about the case.
const AROUND: [&str; 6] = [
    "; it is damaged, or made to deceive: get it from another place, or leave it out",
    "x.whl is refused: ",
    "x-1.0-py3-none-any.whl is not a wheel that can be installed: ",
    "x-1.0-py3-none-any.whl is refused: ",
    "x.tar.gz is refused: ",
    "x.tgz is refused: ",
];

/// A sentence as a cell of a table: one line, no marks of Markdown.
fn cell(text: &str) -> String {
    let mut text = text.to_owned();
    for around in AROUND {
        text = text.replace(around, "");
    }
    let text: Vec<&str> = text.split_whitespace().collect();
    let mut text = text.join(" ");
    for mark in ['\\', '|', '*', '_', '<', '[', '`'] {
        text = text.replace(mark, &format!("\\{mark}"));
    }
    match text.char_indices().nth(220) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| read as | the case | advisories | what is said |\n| --- | --- | --- | --- |\n",
    );
    for row in rows {
        let said = match &row.said {
            Ok(taken) => format!("taken: {}", cell(taken)),
            Err(said) => cell(said),
        };
        writeln!(
            text,
            "| {} | {} | {} | {said} |",
            row.format,
            cell(&row.case),
            row.known
        )
        .unwrap();
    }
    text
}

#[test]
fn every_hostile_case_is_refused_with_its_sentence() {
    let mut rows = zips::rows();
    rows.extend(wheels::rows());
    rows.extend(tars::rows());
    rows.extend(texts::rows());
    rows.extend(diffs::rows());
    rows.extend(elfs::rows());

    // As the command line prints it.
    let printed = |said: &String| shown_lines(said);
    for row in &mut rows {
        row.said = row.said.as_ref().map(printed).map_err(printed);
    }

    let refused = rows.iter().filter(|row| row.said.is_err()).count();
    assert!(refused >= 150, "{refused} cases are refused");
    for row in &rows {
        let (Ok(said) | Err(said)) = &row.said;
        let about = format!("{}, {}: {said:?}", row.format, row.case);
        // Harmless on a terminal, and no longer than a person reads.
        let is_plain = !said.chars().any(|c| c.is_control() && c != '\n');
        assert!(!said.is_empty() && said.len() < 2000 && is_plain, "{about}");
    }

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/security.md");
    let text = fs::read_to_string(&file).unwrap();
    let (begin, end) = ("<!-- cases -->\n", "<!-- end of cases -->\n");
    let (before, rest) = text.split_once(begin).unwrap();
    let (now, after) = rest.split_once(end).unwrap();
    let made = format!("\n{refused} cases.\n\n{}\n", table(&rows));
    if now == made {
        return;
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, [before, begin, &made, end, after].concat()).unwrap();
        return;
    }
    let differs = now
        .lines()
        .zip(made.lines())
        .find(|(now, made)| now != made);
    panic!("docs/security.md does not say what is so (UPDATE_DOCS=1 writes it): {differs:?}");
}
