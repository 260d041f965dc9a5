//! Links lead somewhere, the table of contents has every page, and mdBook makes the book.

use std::process::Command;

use camino::Utf8Path;

use crate::common::{self, Run as _};
use crate::pages::{self, Page};

/// The name by which a heading is linked to, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let text = heading.replace('`', "");
    let text = text.trim().to_lowercase();
    let kept = text.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
        _ => None,
    });
    kept.collect()
}

fn anchors(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut all: Vec<String> = Vec::new();
    for line in text.lines() {
        fenced ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if fenced || heading.len() == line.len() || !heading.starts_with(' ') {
            continue;
        }
        let name = anchor(heading);
        let again = all.iter().filter(|known| **known == name).count();
        all.push(match again {
            0 => name,
            again => format!("{name}-{again}"),
        });
    }
    all
}

/// What the links and pictures of a page lead to.
fn links(page: &Page) -> Vec<String> {
    let prose = page.prose();
    let parts = prose.split("](").skip(1);
    let links = parts.filter_map(|part| part.split([')', ' ']).next());
    links.map(str::to_owned).collect()
}

#[test]
fn links_lead_somewhere() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages::all() {
        for link in links(&page) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let (file, name) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.path.clone(),
                file => page.path.parent().unwrap().join(file),
            };
            let is_there = match (target.exists(), name) {
                (false, _) => false,
                (true, "") => true,
                (true, name) => {
                    let text = std::fs::read_to_string(&target).unwrap();
                    anchors(&text).iter().any(|known| known == name)
                }
            };
            if !is_there {
                wrong.push(format!("{}: {link}", page.name()));
            }
        }
    }
    assert!(seen > 100, "the links were not found: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_of_contents_has_every_page_once() {
    let docs = common::project().join("docs");
    let summary = docs.join("SUMMARY.md");
    let text = std::fs::read_to_string(&summary).unwrap();
    let contents = Page {
        path: summary.clone(),
        text,
    };
    let mut listed = links(&contents);
    listed.sort();
    let mut there: Vec<String> = pages::below(&docs)
        .iter()
        .filter(|page| **page != summary)
        .map(|page| page.strip_prefix(&docs).unwrap().to_string())
        .collect();
    there.sort();
    assert_eq!(listed, there);
}

#[test]
fn the_book_is_made_and_its_links_lead_somewhere() {
    let temp = common::Temp::new();
    let ran = Command::new(common::project().join("scripts/book"))
        .args(["--out", temp.join("book").as_str()])
        .env("MDBOOK", common::mdbook())
        .run()
        .ok();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");

    let top = temp.join("book/docs");
    let pages: Vec<_> = walk(&top).collect();
    assert!(pages.len() > 40, "{pages:?}");
    let mut wrong = Vec::new();
    for page in &pages {
        let html = std::fs::read_to_string(page).unwrap();
        // Of the text alone: what is around it is mdBook's.
        let (_, main) = html.split_once("<main>").unwrap_or_default();
        let (main, _) = main.split_once("</main>").unwrap_or_default();
        let targets = main.split(" href=\"").chain(main.split(" src=\""));
        for link in targets.filter_map(|part| part.split('"').next()) {
            if !link.contains(".html") && !link.contains(".md") || link.contains("://") {
                continue;
            }
            let file = link.split('#').next().unwrap_or_default();
            if !page.parent().unwrap().join(file).exists() {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn walk(folder: &Utf8Path) -> impl Iterator<Item = camino::Utf8PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            match path.is_dir() {
                true => folders.push(path),
                false if path.extension() == Some("html") => found.push(path),
                false => {}
            }
        }
    }
    found.into_iter()
}
