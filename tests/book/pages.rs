//! The pages, and the comparison of a generated one with its file.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};

use crate::common;

/// A text that people read.
pub struct Page {
    pub path: Utf8PathBuf,
    pub text: String,
}

/// A fenced or indented block of a page.
pub struct Block {
    /// What stands behind the fence's backticks; nothing for an indented block.
    pub info: String,
    pub text: String,
    /// The line of its fence, from 1.
    pub line: usize,
}

/// Every page: those at the top, and all of docs/.
pub fn all() -> Vec<Page> {
    let top = common::project();
    let mut paths: Vec<Utf8PathBuf> = [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
    ]
    .iter()
    .map(|name| top.join(name))
    .collect();
    paths.extend(below(&top.join("docs")));
    let pages = paths.into_iter().map(|path| Page {
        text: fs::read_to_string(&path).unwrap(),
        path,
    });
    pages.collect()
}

/// The Markdown files below a folder, sorted.
pub fn below(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if path.is_dir() {
            found.extend(below(&path));
        } else if path.extension() == Some("md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

impl Page {
    /// The page's path from the project's folder on.
    pub fn name(&self) -> &Utf8Path {
        self.path.strip_prefix(common::project()).unwrap()
    }

    /// The code blocks.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        let mut fence: Option<(usize, Block)> = None;
        let mut indented = false;
        for (number, line) in self.text.lines().enumerate() {
            let inner = line.trim_start();
            if let Some((indent, mut block)) = fence.take() {
                if inner.starts_with("```") {
                    blocks.push(block);
                } else {
                    block.text.push_str(line.get(indent..).unwrap_or(inner));
                    block.text.push('\n');
                    fence = Some((indent, block));
                }
            } else if let Some(info) = inner.strip_prefix("```") {
                let block = Block {
                    info: info.trim().to_owned(),
                    text: String::new(),
                    line: number + 1,
                };
                fence = Some((line.len() - inner.len(), block));
                indented = false;
            } else if let (Some(code), true) = (
                line.strip_prefix("    "),
                indented || self.blank_before(number),
            ) {
                if !indented {
                    blocks.push(Block {
                        info: String::new(),
                        text: String::new(),
                        line: number + 1,
                    });
                }
                let block = blocks.last_mut().unwrap();
                block.text.push_str(code);
                block.text.push('\n');
                indented = true;
            } else {
                indented = false;
            }
        }
        assert!(fence.is_none(), "{}: a fence is left open", self.name());
        blocks
    }

    fn blank_before(&self, number: usize) -> bool {
        number > 0 && self.text.lines().nth(number - 1) == Some("")
    }

    /// The text without its code blocks and code spans.
    pub fn prose(&self) -> String {
        let mut fenced = false;
        let mut prose = String::new();
        for line in self.text.lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            } else if !fenced {
                for (at, part) in line.split('`').enumerate() {
                    if at % 2 == 0 {
                        prose.push_str(part);
                    }
                }
                prose.push('\n');
            }
        }
        prose
    }
}

/// Holds a generated page against its file, or writes it.
pub fn is_written(name: &str, text: &str) {
    let path = common::project().join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        return;
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    let differs = text.lines().zip(found.lines()).find(|(is, was)| is != was);
    assert!(
        found == text,
        "{name} does not say what is so (UPDATE_DOCS=1 writes it): {differs:?}"
    );
}
