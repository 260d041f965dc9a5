//! The index of errors quotes sentences that the program has.

use camino::Utf8Path;

use crate::common;

/// All string literals of the program in one text: what a line's end breaks up is put together again.
fn sources(folder: &Utf8Path, all: &mut String) {
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension() == Some("rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut lines = text.split("\\\n");
            all.push_str(lines.next().unwrap_or_default());
            for line in lines {
                all.push_str(line.trim_start());
            }
        }
    }
}

#[test]
fn the_index_quotes_what_the_program_says() {
    let page = std::fs::read_to_string(common::project().join("docs/errors.md")).unwrap();
    let mut all = String::new();
    sources(&common::project().join("src"), &mut all);
    let (mut seen, mut wrong) = (0, Vec::new());
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cell = row.trim_start_matches("| ").split(" | ").next().unwrap();
        let quoted: Vec<&str> = cell.split('“').skip(1).collect();
        for said in quoted.iter().filter_map(|part| part.split('”').next()) {
            seen += 1;
            // What differs from run to run is written `…`.
            for part in said
                .split('…')
                .map(str::trim)
                .filter(|part| !part.is_empty())
            {
                if !all.contains(part) {
                    wrong.push(format!("“{said}”: {part}"));
                }
            }
        }
    }
    assert!(seen > 40, "the sentences were not found: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
