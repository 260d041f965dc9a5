//! The recorded terminal of the README shows what the program says.

use crate::common::{self, Run as _, Temp};

/// The lines of text of a picture that scripts/terminal-svg made.
fn lines(svg: &str) -> Vec<String> {
    let rows = svg.split("<text ").skip(1);
    let rows = rows.filter_map(|row| row.split_once('>')?.1.split("</text>").next());
    rows.map(|row| {
        let parts = row.split('<').enumerate();
        let text: String = parts
            .map(|(at, part)| match at {
                0 => part,
                _ => part.split_once('>').map_or("", |(_, text)| text),
            })
            .collect();
        text.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
            .trim_end()
            .to_owned()
    })
    .collect()
}

#[test]
fn the_recorded_review_is_what_diff_says() {
    let svg = common::project().join("docs/terminal.svg");
    let recorded = lines(&std::fs::read_to_string(svg).unwrap());
    let typed = recorded.iter().position(|line| {
        line.starts_with("$ lockwright diff lockfile-fixtures/bump/old lockfile-fixtures/bump/new")
    });
    let temp = Temp::new();
    let ran = common::lockwright(&temp)
        .arg("diff")
        .arg(common::fixture("bump/old"))
        .arg(common::fixture("bump/new"))
        .run()
        .ok();
    let shown = &recorded[typed.unwrap() + 1..];
    assert!(shown.len() > 10, "{recorded:#?}");
    for line in shown {
        // The head of it; folders are named as they were typed.
        let is_said = line == "…"
            || line.contains("lockfile-fixtures/bump")
            || ran.stdout.lines().any(|said| said.trim_end() == line);
        assert!(is_said, "{line}\n{ran}");
    }
}
