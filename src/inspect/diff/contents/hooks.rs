//! What runs without being called, and what in it reaches out.

use std::collections::BTreeSet;

/// Words by which a script opens connections or starts programs, each with what is said of it.
const REACHES: [(&str, &str); 30] = [
    ("http://", "a URL"),
    ("https://", "a URL"),
    ("fetch(", "fetch"),
    ("axios", "axios"),
    ("XMLHttpRequest", "XMLHttpRequest"),
    ("node:http", "http"),
    ("'http'", "http"),
    ("\"http\"", "http"),
    ("'https'", "http"),
    ("\"https\"", "http"),
    ("node:net", "sockets"),
    ("'net'", "sockets"),
    ("\"net\"", "sockets"),
    ("urllib", "urllib"),
    ("requests.", "requests"),
    ("import requests", "requests"),
    ("socket.", "sockets"),
    ("import socket", "sockets"),
    ("curl ", "curl"),
    ("wget ", "wget"),
    ("child_process", "child_process"),
    ("execSync", "child_process"),
    ("spawn", "child_process"),
    ("subprocess", "subprocess"),
    ("os.system", "os.system"),
    ("os.popen", "os.popen"),
    ("Popen", "subprocess"),
    ("powershell", "powershell"),
    ("bash -c", "a shell"),
    ("eval(", "eval"),
];

/// What of that is in a text.
pub(super) fn reaches(text: &str) -> BTreeSet<String> {
    let found = REACHES.iter().filter(|(word, _)| text.contains(word));
    found.map(|(_, says)| (*says).to_owned()).collect()
}

/// The files that a command of a package.json names.
pub(super) fn files_of(command: &str) -> impl Iterator<Item = String> {
    let is_script = |word: &str| {
        [".js", ".cjs", ".mjs", ".sh", ".py", ".ts"]
            .iter()
            .any(|end| word.ends_with(end))
    };
    let words =
        command.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ';' | '&' | '|'));
    let mut names: Vec<String> = Vec::new();
    for word in words.filter(|word| !word.is_empty() && !word.starts_with('-')) {
        let word = word.trim_start_matches("./");
        names.push(word.to_owned());
        if !is_script(word) {
            // node adds the ending, or looks into the folder.
            names.push(format!("{word}.js"));
            names.push(format!("{}/index.js", word.trim_end_matches('/')));
        }
    }
    names.into_iter()
}
