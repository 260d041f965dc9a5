//! A corpus of hostile cases, each made here: what is said of it, what others do with the same bytes
//! (`peers.json`, by `scripts/corpus-peers`), and the tables of both in docs/security.md.
//!
//! After a change of a sentence: `UPDATE_DOCS=1 cargo test --test corpus`. After a change of a case:
//! `scripts/corpus-peers` before. `LOCKWRIGHT_CORPUS=DIR` has the bytes of all cases written to a folder.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;
mod diffs;
mod elfs;
mod gits;
mod globs;
mod npmrcs;
mod servers;
mod tars;
mod texts;
mod trees;
mod wheels;
mod zips;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use lockwright::core::foreign::shown_lines;
use serde::Deserialize;

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
    /// The same for others: files by their paths.
    pub files: Vec<(String, Vec<u8>)>,
}

/// What others do.
#[derive(Deserialize)]
struct Peers {
    /// Their names and versions.
    versions: BTreeMap<String, String>,
    /// Who is asked, by what is read.
    asked: BTreeMap<String, Vec<String>>,
    /// By what is read, the case and the peer: a word, and the last line that was said.
    done: BTreeMap<String, BTreeMap<String, ByPeer>>,
}

type ByPeer = BTreeMap<String, (String, String)>;

impl Peers {
    fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/peers.json");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    fn of(&self, format: &str) -> &[String] {
        self.asked.get(format).map_or(&[], Vec::as_slice)
    }

    /// Every row was shown to everybody who reads the like, and nothing else was.
    fn match_rows(&self, rows: &[Row]) {
        let mut cases: BTreeSet<(&str, &str, &str)> = BTreeSet::new();
        for row in rows {
            for peer in self.of(row.format) {
                let is_new = cases.insert((row.format, &row.case, peer));
                assert!(is_new, "{}, {}: there are two", row.format, row.case);
            }
        }
        let mut shown = BTreeSet::new();
        for (format, cases) in &self.done {
            for (case, peers) in cases {
                shown.extend(peers.keys().map(|peer| (&**format, &**case, &**peer)));
            }
        }
        let differ: Vec<_> = cases.symmetric_difference(&shown).take(5).collect();
        assert!(differ.is_empty(), "run scripts/corpus-peers: {differ:?}");
    }

    fn word(&self, row: &Row, peer: &str) -> &str {
        &self.done[row.format][&row.case][peer].0
    }
}

/// Writes all cases to a folder, with a list of them.
fn write_out(rows: &[Row], top: &Path) {
    let mut list = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let folder = top.join(number.to_string());
        for (name, bytes) in &row.files {
            let file = folder.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        list.push((number, row.format, &row.case));
    }
    fs::write(
        top.join("list.json"),
        serde_json::to_vec_pretty(&list).unwrap(),
    )
    .unwrap();
}

/// What stands around every reason in a refusal, and says nothing about the case.
const AROUND: [&str; 6] = [
    "; it is damaged or malicious: get it from somewhere else, or leave it out",
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

/// A table of each kind of what is read.
fn tables(rows: &[Row], peers: &Peers) -> String {
    let mut text = String::new();
    let mut format = "";
    for row in rows {
        let asked = peers.of(row.format);
        if row.format != format {
            format = row.format;
            let names: String = asked.iter().map(|peer| format!(" {peer} |")).collect();
            let lines = " --- |".repeat(asked.len());
            write!(
                text,
                "\n## {format}\n\n| the case | advisories | lockwright |{names}\n| --- | --- | --- |{lines}\n"
            )
            .unwrap();
        }
        let said = match &row.said {
            Ok(taken) => format!("taken: {}", cell(taken)),
            Err(said) => cell(said),
        };
        let words = asked.iter().map(|peer| peers.word(row, peer));
        let words: String = words.map(|word| format!(" {word} |")).collect();
        writeln!(
            text,
            "| {} | {} | {said} |{words}",
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
    rows.extend(npmrcs::rows());
    rows.extend(globs::rows());
    rows.extend(diffs::rows());
    rows.extend(elfs::rows());
    rows.extend(trees::rows());
    rows.extend(gits::rows());
    rows.extend(servers::rows());
    // What is read of one kind stands together.
    let mut formats: Vec<&str> = Vec::new();
    for row in &rows {
        if !formats.contains(&row.format) {
            formats.push(row.format);
        }
    }
    rows.sort_by_key(|row| formats.iter().position(|format| *format == row.format));

    // As the command line prints it.
    let printed = |said: &String| shown_lines(said);
    for row in &mut rows {
        row.said = row.said.as_ref().map(printed).map_err(printed);
    }

    if let Some(folder) = std::env::var_os("LOCKWRIGHT_CORPUS") {
        return write_out(&rows, Path::new(&folder));
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
    let peers = Peers::read();
    peers.match_rows(&rows);
    let versions = peers.versions.iter();
    let versions: Vec<String> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let made = format!(
        "\n{} cases, {refused} of them refused. The others are {}.\n{}\n",
        rows.len(),
        versions.join(", "),
        tables(&rows, &peers)
    );
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
