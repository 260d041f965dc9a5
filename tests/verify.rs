//! `lockwright verify`, `diff` of trees and `repro`, on environments that lockwright and uv make.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run, Temp};

/// An environment of the lock that needs no network.
fn synced(temp: &Temp, out: &str, more: &[&str]) -> Utf8PathBuf {
    let out = temp.join(out);
    common::lockwright(temp)
        .args(["sync", common::fixture("default").as_str(), "--offline"])
        .args(["--python", common::python().as_str(), "--out", out.as_str()])
        .args(more)
        .run()
        .ok();
    out
}

fn verify(temp: &Temp, tree: &Utf8Path, more: &[&str]) -> Ran {
    common::lockwright(temp)
        .args(["verify", tree.as_str()])
        .args(more)
        .run()
}

fn site(venv: &Utf8Path) -> Utf8PathBuf {
    let lib = venv
        .join("lib")
        .read_dir_utf8()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    lib.path().join("site-packages")
}

#[test]
fn an_environment_whose_references_were_stripped_is_as_it_says() {
    let temp = Temp::new();
    let venv = synced(&temp, "env", &[]);
    let files: Vec<Utf8PathBuf> = site(&venv)
        .read_dir_utf8()
        .unwrap()
        .flatten()
        .map(|entry| entry.path().join("__init__.py"))
        .filter(|path| path.is_file())
        .collect();
    let text = "x = '/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2'\n";
    for file in &files {
        fs::write(file, text).unwrap();
    }
    verify(&temp, &venv, &[]).exit(1);
    let strip = common::lockwright(&temp)
        .args(["refs", "strip", venv.as_str()])
        .run()
        .ok();
    assert!(
        strip
            .stdout
            .contains("and the provenance record brought up to date"),
        "{strip}"
    );
    assert!(!files.is_empty());
    verify(&temp, &venv, &[]).ok();
}

#[test]
fn an_environment_is_as_it_was_made_until_someone_touches_it() {
    let temp = Temp::new();
    let venv = synced(&temp, "env", &[]);
    let lock = common::fixture("default");
    let against = [
        "--lock",
        lock.as_str(),
        "--python",
        common::python().as_str(),
    ]
    .map(str::to_owned);
    let against: Vec<&str> = against.iter().map(String::as_str).collect();
    let said = verify(&temp, &venv, &against).ok().stdout;
    assert!(
        said.contains("as it should be") && said.contains("provenance and RECORD"),
        "{said}"
    );

    let package = site(&venv).join("greeting");
    common::run(
        venv.join("bin/python"),
        ["-m", "compileall", "-q", package.as_str()],
    );
    let report = verify(&temp, &venv, &["--json"]).ok().json();
    assert!(report["bytecode"].as_u64().unwrap() > 0, "{report}");

    let module = site(&venv).join("greeting/__init__.py");
    let text = fs::read_to_string(&module).unwrap();
    fs::write(&module, format!("{text}\nimport os\n")).unwrap();
    fs::write(site(&venv).join("evil.pth"), "import os\n").unwrap();
    fs::set_permissions(venv.join("bin/greet"), fs::Permissions::from_mode(0o644)).unwrap();
    let words = site(&venv).join("greeting_words/__init__.py");
    fs::remove_file(&words).unwrap();
    let report = verify(&temp, &venv, &["--json"]).exit(1).json();
    let mut seen: Vec<(String, String, String)> = (report["problems"].as_array().unwrap().iter())
        .map(|problem| {
            let text = |key: &str| problem[key].as_str().unwrap_or("-").to_owned();
            let path = text("path");
            (
                text("kind"),
                path.rsplit('/').next().unwrap().to_owned(),
                text("package"),
            )
        })
        .collect();
    seen.sort();
    // Its bytecode, if it was made, has lost its source.
    seen.retain(|(_, path, _)| !path.ends_with(".pyc"));
    let expected = [
        ("altered", "__init__.py", "greeting 1.2.0"),
        ("extra", "evil.pth", "-"),
        ("missing", "__init__.py", "greeting-words 2.0.1"),
        ("mode", "greet", "greeting 1.2.0"),
    ];
    assert_eq!(
        seen,
        expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );

    let text = fs::read_to_string(lock.join("uv.lock")).unwrap();
    let newer = temp.write("newer/uv.lock", text.replace("2.0.1", "2.0.2"));
    let args = [
        "--json",
        "--lock",
        newer.as_str(),
        "--python",
        common::python().as_str(),
    ]
    .map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mismatch = verify(&temp, &venv, &args).exit(1).json()["mismatches"].clone();
    let expected =
        serde_json::json!([{"package": "greeting-words", "locked": "2.0.2", "found": "2.0.1"}]);
    assert_eq!(mismatch, expected);
}

#[test]
fn an_environment_of_uvs_is_held_against_its_records() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    std::process::Command::new(common::uv())
        .args([
            "sync",
            "--offline",
            "--frozen",
            "--no-config",
            "--python",
            common::python().as_str(),
        ])
        .args(["--cache-dir", temp.join("cache").as_str()])
        .current_dir(&project)
        .run()
        .ok();
    let venv = project.join(".venv");
    let said = verify(&temp, &venv, &[]).ok().stdout;
    assert!(said.contains("checked by RECORD"), "{said}");
    let module = site(&venv).join("greeting/__init__.py");
    fs::remove_file(&module).unwrap();
    fs::write(&module, "other").unwrap();
    let said = verify(&temp, &venv, &[]).exit(1).stdout;
    assert!(
        said.contains("greeting 1.2.0 (1)") && said.contains("altered"),
        "{said}"
    );
}

#[test]
fn a_node_modules_is_held_against_its_hidden_lockfile() {
    let temp = Temp::new();
    temp.write(
        "node_modules/a/package.json",
        r#"{"name": "a", "version": "1.0.0"}"#,
    );
    temp.write(
        "node_modules/@s/b/package.json",
        r#"{"name": "@s/b", "version": "2.0.0"}"#,
    );
    let entry = |version: &str| {
        format!(r#"{{"version": "{version}", "resolved": "https://registry.npm.example/x.tgz"}}"#)
    };
    let hidden = |a: &str| {
        format!(
            r#"{{"lockfileVersion": 3, "packages": {{"node_modules/a": {a}, "node_modules/@s/b": {}}}}}"#,
            entry("2.0.0")
        )
    };
    temp.write("node_modules/.package-lock.json", hidden(&entry("1.0.0")));
    let tree = temp.join("node_modules");
    let said = verify(&temp, &tree, &[]).ok().stdout;
    assert!(said.contains("2 checked by .package-lock.json"), "{said}");
    let lock = format!(
        r#"{{"lockfileVersion": 3, "packages": {{"": {{"dependencies": {{"a": "*"}}}}, "node_modules/a": {}}}}}"#,
        entry("1.1.0")
    );
    let lock = temp.write("lock/package-lock.json", lock);
    let said = verify(&temp, &tree, &["--lock", lock.as_str()])
        .exit(1)
        .stdout;
    assert!(
        said.contains("mismatch node_modules/a is 1.0.0, and the lock has 1.1.0"),
        "{said}"
    );
    assert!(
        said.contains("mismatch node_modules/@s/b is 2.0.0, and is not in the lock"),
        "{said}"
    );
    temp.write("node_modules/.package-lock.json", hidden(&entry("1.0.1")));
    let said = verify(&temp, &tree, &[]).exit(1).stdout;
    assert!(
        said.contains("altered  a: it is 1.0.0, not 1.0.1"),
        "{said}"
    );
    temp.write("node_modules/.package-lock.json", "{");
    let said = verify(&temp, &tree, &[]).exit(1).stderr;
    assert!(said.contains(".package-lock.json is damaged"), "{said}");
}

#[test]
fn of_a_project_its_environments_are_looked_at() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let sync = |lock: &str| {
        let mut sync = common::lockwright(&temp);
        sync.args(["sync", project.join(lock).as_str(), "--offline"])
            .run()
            .ok();
    };
    sync("uv.lock");
    let said = verify(&temp, &project, &[]).ok().stdout;
    assert!(
        said.contains("as it should be") && said.contains("provenance and RECORD"),
        "{said}"
    );
    // With a node_modules, a workspace's among them, beside it.
    let about = r#"{ "name": "p", "version": "1.0.0", "workspaces": ["packages/one"] }"#;
    temp.write("default/package.json", about);
    temp.write(
        "default/packages/one/package.json",
        r#"{ "name": "one", "version": "1.0.0" }"#,
    );
    temp.write("default/packages/one/index.js", "source");
    let hidden = r#"{ "lockfileVersion": 3, "packages": {
        "node_modules/one": { "resolved": "packages/one", "link": true },
        "node_modules/a": { "version": "1.0.0" },
        "packages/one": { "version": "1.0.0" },
        "packages/one/node_modules/a": { "version": "2.0.0" } } }"#;
    temp.write("default/node_modules/.package-lock.json", hidden);
    std::os::unix::fs::symlink("../packages/one", project.join("node_modules/one")).unwrap();
    temp.write(
        "default/node_modules/a/package.json",
        r#"{ "name": "a", "version": "1.0.0" }"#,
    );
    let inner = "default/packages/one/node_modules/a/package.json";
    temp.write(inner, r#"{ "name": "a", "version": "2.0.0" }"#);
    let asked =
        r#""packages": { "": { "workspaces": ["packages/one"], "dependencies": { "a": "*" } },"#;
    let lock = hidden.replace(r#""packages": {"#, asked).replace(
        r#""packages/one": {"#,
        r#""packages/one": { "dependencies": { "a": "*" },"#,
    );
    let lock = temp.write("default/package-lock.json", lock);
    let said = verify(&temp, &project, &[]).ok().stdout;
    assert!(
        said.contains("provenance and RECORD and .package-lock.json"),
        "{said}"
    );
    verify(&temp, &project, &["--lock", lock.as_str()]).ok();
    verify(
        &temp,
        &project.join("packages/one/node_modules"),
        &["--lock", lock.as_str()],
    )
    .ok();
    let interpreter = common::python();
    let python = [
        "--lock",
        "default/uv.lock",
        "--python",
        interpreter.as_str(),
    ];
    verify(&temp, &project, &python).ok();

    temp.write(inner, r#"{ "name": "a", "version": "2.0.1" }"#);
    fs::write(site(&project.join(".venv")).join("evil.pth"), "import os\n").unwrap();
    let report = verify(&temp, &project, &["--json"]).exit(1).json();
    let paths = report["problems"].as_array().unwrap().iter();
    let mut paths: Vec<&str> = paths
        .map(|problem| problem["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths.len(), 2, "{report}");
    assert!(
        paths[0].starts_with(".venv/lib/") && paths[0].ends_with("/evil.pth"),
        "{report}"
    );
    assert_eq!(paths[1], "packages/one/node_modules/a");
}

#[test]
fn what_nothing_speaks_of_cannot_be_verified() {
    let temp = Temp::new();
    temp.write("tree/file", "");
    let said = verify(&temp, &temp.join("tree"), &[]).exit(1).stderr;
    assert!(said.contains("nothing says what"), "{said}");
}

#[test]
fn two_trees_are_compared_down_to_package_and_line() {
    let temp = Temp::new();
    let diff = |old: &Utf8Path, new: &Utf8Path, more: &[&str]| {
        common::lockwright(&temp)
            .args(["diff", old.as_str(), new.as_str()])
            .args(more)
            .run()
    };
    let (one, same) = (synced(&temp, "one/env", &[]), synced(&temp, "two/env", &[]));
    let said = diff(&one, &one, &[]).ok().stdout;
    assert!(said.contains("the same: NAR hash sha256-"), "{said}");
    let said = diff(&one, &same, &["--detail"]).exit(1).stdout;
    for line in said.lines().filter(|line| line.starts_with("  ~")) {
        let own =
            line.contains("holds the path of its own tree") || line.contains("has another hash of");
        assert!(own || line.contains(".lockwright/"), "{said}");
    }
    let loud = synced(&temp, "loud/env", &["--extra", "loud"]);
    let json = diff(&one, &loud, &["--json"]).exit(1).json();
    let packages = json["packages"].as_array().unwrap();
    let shout = packages
        .iter()
        .find(|package| package["package"] == "greeting-shout 0.3.0")
        .unwrap();
    assert!(
        shout["added"].as_u64().unwrap() > 0 && shout["changed"] == 0,
        "{shout}"
    );

    let copy = temp.join("copy");
    common::copy_tree(&one, &copy);
    let module = site(&copy).join("greeting/__init__.py");
    let text = fs::read_to_string(&module).unwrap();
    fs::write(&module, text + "evil = 1\n").unwrap();
    let said = diff(&one, &copy, &[]).exit(1).stdout;
    assert!(said.contains("\ngreeting 1.2.0 (1)\n"), "{said}");
    assert!(said.contains("+evil = 1 (+1 −0 lines)"), "{said}");
    for format in ["markdown", "html"] {
        let said = diff(&one, &copy, &["--format", format]).exit(1).stdout;
        assert!(
            said.contains("greeting 1.2.0") && said.contains("evil = 1"),
            "{said}"
        );
    }
    let said = diff(&one, &common::fixture("default"), &[]).exit(1).stderr;
    assert!(
        said.contains("has no lock, and the other side has"),
        "{said}"
    );
    diff(
        &common::fixture("default"),
        &common::fixture("default"),
        &["--tree"],
    )
    .ok();
}

#[test]
fn an_environment_is_reproduced_whatever_the_conditions() {
    let temp = Temp::new();
    let python = common::python();
    for more in [
        &[][..],
        &["--compile-bytecode"],
        &["--relocatable", "--extra", "loud"],
    ] {
        let said = common::lockwright(&temp)
            .args([
                "repro",
                common::fixture("default").as_str(),
                "--",
                "--offline",
            ])
            .args(["--python", python.as_str()])
            .args(more)
            .run()
            .ok()
            .stdout;
        assert!(said.contains("the same"), "{said}");
    }
    let said = common::lockwright(&temp)
        .args([
            "repro",
            common::fixture("default").as_str(),
            "--",
            "--offline",
            "--python",
            "nowhere",
        ])
        .run()
        .exit(1)
        .stderr;
    assert!(said.contains("the first run of sync failed"), "{said}");
}
