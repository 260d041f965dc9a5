//! What the pages have to be typed: each command parses, and each block of shell runs, unless its fence says why it
//! cannot: `sh no-run (needs a registry)`.
//!
//! A block runs in a folder with `lockfile-fixtures`; one with `in=NAME` in a copy of that fixture, which is a git
//! repository with everything on `main`. `in=bump` has the old lock there, and the new one in its work tree.

use std::process::Command;

use camino::Utf8PathBuf;

use crate::common::{self, Run as _, Temp};
use crate::pages::{self, Block, Page};

/// The simple commands of a shell script, in words; quotes are taken off, variables stay as they are written.
fn commands(script: &str) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut chars = script.chars().peekable();
    let end = |word: &mut Option<String>, all: &mut Vec<Vec<String>>| {
        if let Some(word) = word.take() {
            all.last_mut().unwrap().push(word);
        }
    };
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.peek() == Some(&'\n') => {
                chars.next();
            }
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                for inner in chars.by_ref().take_while(|inner| *inner != c) {
                    word.push(inner);
                }
            }
            '#' if word.is_none() => while chars.next_if(|next| *next != '\n').is_some() {},
            '$' if chars.peek() == Some(&'(') => {
                chars.next();
                end(&mut word, &mut all);
                all.push(Vec::new());
            }
            '\n' | ';' | '|' | '&' | '(' | ')' => {
                end(&mut word, &mut all);
                all.push(Vec::new());
            }
            // A redirection belongs to no command's words.
            '<' | '>' => {
                end(&mut word, &mut all);
                while chars.next_if(|next| " <>&".contains(*next)).is_some() {}
                while chars.next_if(|next| !" \n;|&)".contains(*next)).is_some() {}
            }
            c if c.is_whitespace() => end(&mut word, &mut all),
            c => word.get_or_insert_default().push(c),
        }
    }
    end(&mut word, &mut all);
    all.retain(|words| !words.is_empty());
    all
}

/// Our own command lines in a block. A transcript's begin with `$`.
fn ours(block: &Block) -> Vec<Vec<String>> {
    let script = match block.text.starts_with("$ ") {
        true => block
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("$ "))
            .collect::<Vec<_>>()
            .join("\n"),
        false => block.text.clone(),
    };
    let all = commands(&script).into_iter().filter_map(|words| {
        let at = words.iter().position(|word| word == "lockwright")?;
        // `RUN lockwright …`, `NAME=value lockwright …`.
        let before = words.get(..at)?;
        let is_first = before
            .iter()
            .all(|word| word.contains('=') || ["RUN", "-", "run:"].contains(&word.as_str()));
        is_first.then(|| words[at..].to_vec())
    });
    all.collect()
}

fn is_shell(block: &Block) -> bool {
    block.info.split([' ', ',']).next() == Some("sh")
}

#[test]
fn commands_in_blocks_parse() {
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages::all() {
        for block in page.blocks() {
            let kind = block.info.split([' ', ',']).next().unwrap_or_default();
            if !["sh", "", "dockerfile", "console"].contains(&kind) {
                continue;
            }
            for words in ours(&block) {
                seen += 1;
                if let Err(error) = lockwright::cli::command().try_get_matches_from(&words) {
                    wrong.push(format!(
                        "{}:{}: {}\n{error}",
                        page.name(),
                        block.line,
                        words.join(" ")
                    ));
                }
            }
        }
    }
    assert!(seen > 60, "the commands were not found: {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn commands_and_flags_in_the_text_are_there() {
    let mut all = lockwright::cli::command();
    all.build();
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages::all() {
        for said in page.text.split("`lockwright ").skip(1) {
            let Some((said, _)) = said.split_once('`') else {
                continue;
            };
            let said = said.split(" -- ").next().unwrap_or_default();
            let words = said.split_whitespace();
            let mut command = &all;
            for word in words.clone() {
                match command.find_subcommand(word) {
                    Some(sub) => command = sub,
                    None => break,
                }
            }
            let is_name = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            let first = words.clone().next().unwrap_or_default();
            if is_name(first) && !first.starts_with('-') && all.find_subcommand(first).is_none() {
                wrong.push(format!("{}: there is no `lockwright {first}`", page.name()));
            }
            for word in words.filter(|word| word.trim_start_matches('[').starts_with("--")) {
                let flag = word.trim_start_matches(['[', '-']);
                let flag = flag
                    .split(|c: char| !c.is_ascii_lowercase() && c != '-')
                    .next()
                    .unwrap_or_default();
                seen += 1;
                let is_there = ["help", "version"].contains(&flag)
                    || command.get_arguments().any(|arg| {
                        arg.get_long() == Some(flag)
                            || arg
                                .get_all_aliases()
                                .is_some_and(|names| names.contains(&flag))
                    });
                if !is_there {
                    wrong.push(format!(
                        "{}: `lockwright {said}`: there is no --{flag}",
                        page.name()
                    ));
                }
            }
        }
    }
    assert!(seen > 40, "the flags were not found: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A folder for the blocks of one page; those of one fixture share a copy of it.
struct Ground {
    temp: Temp,
}

impl Ground {
    fn new() -> Self {
        let temp = Temp::new();
        let fixtures = common::project().join("lockfile-fixtures");
        std::os::unix::fs::symlink(fixtures, temp.join("lockfile-fixtures")).unwrap();
        Self { temp }
    }

    fn folder(&self, info: &str) -> Utf8PathBuf {
        let name = info
            .split_whitespace()
            .find_map(|word| word.strip_prefix("in="));
        let Some(name) = name else {
            return self.temp.path().to_owned();
        };
        let folder = self.temp.join("projects").join(name);
        if folder.exists() {
            return folder;
        }
        std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
        let git = |args: &[&str]| {
            Command::new("git")
                .args(["-c", "user.name=T", "-c", "user.email=t@t.example"])
                .args(args)
                .current_dir(&folder)
                .run()
                .ok()
        };
        let copy = |from: &str| {
            let from = common::fixture(from).join(".");
            common::run("cp", ["-rT", from.as_str(), folder.as_str()]);
        };
        copy(match name {
            "bump" => "bump/old",
            name => name,
        });
        git(&["init", "-q", "-b", "main"]);
        git(&["add", "-A"]);
        git(&["commit", "-q", "-m", "as it was"]);
        if name == "bump" {
            copy("bump/new");
        }
        folder
    }

    fn run(&self, block: &Block) -> common::Ran {
        let program = Utf8PathBuf::from(env!("CARGO_BIN_EXE_lockwright"));
        let [python, node] = [common::python(), common::node()];
        let path = format!(
            "{}:{}:{}:/usr/bin:/bin",
            program.parent().unwrap(),
            python.parent().unwrap(),
            node.parent().unwrap()
        );
        let folder = self.folder(&block.info);
        Command::new("bash")
            .args(["-euo", "pipefail", "-c", &block.text])
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.temp.join("home"))
            .env("LANG", "C.UTF-8")
            .current_dir(folder)
            .run()
    }
}

#[test]
fn shell_runs_or_says_why_it_cannot() {
    let pages = pages::all();
    let (mut ran, mut wrong) = (0, Vec::new());
    std::thread::scope(|scope| {
        let started = pages.iter().map(|page| scope.spawn(|| run_all(page)));
        for page in started.collect::<Vec<_>>() {
            let (count, failed) = page.join().unwrap();
            ran += count;
            wrong.extend(failed);
        }
    });
    assert!(ran > 10, "only {ran} blocks were run");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Runs a page's blocks one after the other: how many there were, and what went wrong.
fn run_all(page: &Page) -> (usize, Vec<String>) {
    let (mut ran, mut wrong) = (0, Vec::new());
    let ground = Ground::new();
    for block in page.blocks().iter().filter(|block| is_shell(block)) {
        let place = format!("{}:{}", page.name(), block.line);
        let parsed = Command::new("bash").args(["-n", "-c", &block.text]).run();
        if parsed.code != 0 {
            wrong.push(format!("{place}: {}", parsed.stderr));
        }
        if let Some((_, reason)) = block.info.split_once("no-run") {
            let reason = reason.trim();
            if !reason.starts_with('(') || !reason.ends_with(')') || reason.len() < 10 {
                wrong.push(format!("{place}: no-run without a reason in brackets"));
            }
            continue;
        }
        ran += 1;
        let done = ground.run(block);
        if done.code != 0 {
            wrong.push(format!("{place}: {done}"));
        }
    }
    (ran, wrong)
}

#[test]
fn a_script_is_split_as_a_shell_does() {
    let words = |script: &str| commands(script);
    assert_eq!(
        words("a 'b c' | d > e --f # g\nh \\\n  i && \"j k\""),
        [
            vec!["a", "b c"],
            vec!["d", "--f"],
            vec!["h", "i"],
            vec!["j k"]
        ]
    );
    assert_eq!(
        words("key=$(lockwright store key . web)"),
        [vec!["key="], vec!["lockwright", "store", "key", ".", "web"]]
    );
}
