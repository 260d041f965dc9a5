//! Patterns of `files` in a package.json, by which a package of a git repository is packed.

use std::thread;
use std::time::{Duration, Instant};

use lockwright::install::npm::glob::Pattern;
use serde_json::json;

use super::Row;

fn judged(pattern: &str) -> Result<String, String> {
    let pattern = pattern.to_owned();
    let start = Instant::now();
    let said = thread::spawn(move || {
        let read = Pattern::new(&pattern);
        let paths = ["a".repeat(200), "a/".repeat(60)];
        read.map(|read| paths.iter().any(|path| read.matches(path, false)))
            .map_err(str::to_owned)
    });
    let said = said.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
    said.map(|matches| {
        let what = if matches {
            "it matches"
        } else {
            "it matches nothing"
        };
        what.to_owned()
    })
}

pub fn rows() -> Vec<Row> {
    [
        (
            "a range of 100 million numbers",
            "CVE-2026-25547, CVE-2026-45149",
            "{1..100000000}".to_owned(),
        ),
        ("30 choices of two", "CVE-2026-14257", "{a,b}".repeat(30)),
        (
            "choices in choices, 2000 deep",
            "CVE-2026-102278",
            "{a,".repeat(2000) + &"}".repeat(2000),
        ),
        ("2000 braces that are not closed", "", "{".repeat(2000)),
        (
            "40 stars and a letter that is not there",
            "CVE-2026-26996",
            "a*".repeat(40) + "b",
        ),
        (
            "25 folders of any depth",
            "CVE-2026-27903",
            "**/a/".repeat(25) + "b",
        ),
        ("a pattern of a megabyte", "", "a?".repeat(500_000)),
        ("one that leads up", "", "../../../../../etc/**".into()),
        ("an absolute one", "", "/etc/**".into()),
        ("a class that is not closed", "", "[[[[".into()),
    ]
    .map(|(case, known, pattern)| Row {
        format: "files of package.json",
        case: case.to_owned(),
        known,
        said: judged(&pattern),
        files: vec![(
            "package.json".to_owned(),
            json!({"name": "x", "version": "1.0.0", "files": [pattern]})
                .to_string()
                .into_bytes(),
        )],
    })
    .into()
}
