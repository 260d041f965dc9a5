#![allow(clippy::unwrap_used)]

use super::*;

fn parse(text: &str) -> Result<NpmLock, LockError> {
    NpmLock::parse("package-lock.json".into(), text)
}

fn lock(packages: &str) -> String {
    format!("{{\n  \"lockfileVersion\": 3,\n  \"packages\": {{\n{packages}\n  }}\n}}\n")
}

#[test]
fn a_lock_is_read() {
    let text = lock(
        r#"    "": {"dependencies": {"a": "^1"}},
    "node_modules/a": {"version": "1.0.0", "bin": "./x/../cli.js", "os": "linux",
      "engines": {"node": ">=18"}, "peerDependencies": {"p": "*"},
      "peerDependenciesMeta": {"p": {"optional": true}}},
    "node_modules/@s/w": {"resolved": "packages/w", "link": true},
    "packages/w": {"bin": {"../w": "../../w.js", "..": "x", "e": ""}}"#,
    );
    let lock = parse(&text).unwrap();
    assert_eq!(lock.indent, "  ");
    assert_eq!(lock.root.dependencies["a"], "^1");
    let a = &lock.entries["node_modules/a"];
    assert_eq!(a.about.bin, [("a".to_owned(), "cli.js".to_owned())]);
    assert_eq!(a.about.os, ["linux"]);
    assert_eq!(a.about.node.as_deref(), Some(">=18"));
    assert!(a.about.peer_optional.contains("p"));
    let w = &lock.entries["packages/w"];
    assert_eq!(w.about.bin, [("w".to_owned(), "w.js".to_owned())]);
    assert_eq!(
        lock.entries["node_modules/@s/w"].link.as_deref(),
        Some("packages/w")
    );
}

#[test]
fn what_npm_lets_pass_is_refused_with_its_line() {
    let twice = lock("    \"node_modules/a\": {},\n    \"node_modules/a\": {}");
    let marks = "{\n<<<<<<< HEAD\n}\n";
    let nested = lock("    \"node_modules/a\": {\"version\": \"1\",\n      \"version\": \"2\"}");
    for (text, why) in [
        (twice.as_str(), "package-lock.json:5:"),
        (nested.as_str(), "`version` appears twice"),
        (
            marks,
            "package-lock.json:2:1: the file has merge conflict markers",
        ),
        ("\u{feff}{}", "byte-order mark"),
        ("{\"lockfileVersion\": 1}", "version 1"),
        ("{}", "version 1"),
        ("{\"lockfileVersion\": 4}", "lock version 4"),
        (&lock("\"../out\": {}"), "not a path inside"),
        (&lock("\"/etc\": {}"), "not a path inside"),
        (&lock("\"node_modules/a\\\\b\": {}"), "not a path inside"),
        (&lock("\"node_modules/a\\u0007\": {}"), "not a path inside"),
        (&lock("\"node_modules/.bin/x\": {}"), "a package's name"),
        (&lock("\"node_modules/@x\": {}"), "a scope and a name"),
        (
            &lock("\"node_modules/a\": {\"link\": true, \"resolved\": \"../x\"}"),
            "which the lock lacks",
        ),
        (
            &lock("\"node_modules/a\": {\"link\": true, \"resolved\": \"x/../y\"}"),
            "not a folder in the project or beside it",
        ),
        (
            &lock("\"node_modules/a\": {\"link\": true, \"resolved\": \"/etc\"}"),
            "not a folder in the project or beside it",
        ),
        (
            &lock("\"node_modules/a\": {\"link\": true, \"resolved\": \"x\"}"),
            "which the lock lacks",
        ),
        (
            &lock("\"node_modules/a\": {\"integrity\": \"sha512-x\"}"),
            "must be 64 bytes",
        ),
        ("[]", "a lock is an object"),
    ] {
        let said = parse(text).unwrap_err().to_string();
        assert!(said.contains(why), "{text}: {said}");
    }
}

#[test]
fn the_format_of_a_lock_is_kept() {
    assert_eq!(format_of("{\r\n\t\"a\": 1}"), ("\t".into(), "\r\n"));
    assert_eq!(format_of("{\n    \"a\": 1}"), ("    ".into(), "\n"));
    assert_eq!(format_of("{}"), (String::new(), "\n"));
    assert_eq!(
        format_of("{ \"a\": {\r\n \"b\": 1}}"),
        (String::new(), "\n")
    );
}
