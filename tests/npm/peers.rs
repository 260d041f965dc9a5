//! The fixtures' locks, which the real npm made, with the real packages.

use std::fs;

use camino::Utf8Path;

use crate::common::{self, Temp};
use crate::registry::{REGISTRY, assert_same, lockwright, npm};

/// The registry of this machine, behind the fixtures' reserved name.
pub fn real_registry() -> String {
    let mirrors = common::mirrors();
    let pair = mirrors.iter().find_map(|pair| pair.strip_prefix(REGISTRY));
    let to = pair.and_then(|rest| rest.strip_prefix('='));
    to.expect("scripts/test-env writes the npm registry into `mirrors`")
        .to_owned()
}

#[track_caller]
fn same(fixture: &str, targets: &[&[&str]]) {
    same_of(&common::fixture(fixture), targets);
}

#[track_caller]
fn same_of(project: &Utf8Path, targets: &[&[&str]]) {
    let temp = Temp::new();
    let registry = real_registry();
    for (number, args) in targets.iter().enumerate() {
        let (ours, theirs) = (format!("{number}/ours"), format!("{number}/theirs"));
        let copy = |to: &str| {
            let to = temp.join(to);
            common::copy_tree(project, &to);
            to
        };
        let (ours, theirs) = (copy(&ours), copy(&theirs));
        npm(&temp, &theirs, &registry, args).ok();
        lockwright(&temp, &ours, &registry, args).ok();
        assert_same(&temp, &ours, &theirs);
    }
}

const MUSL: &[&str] = &["--os", "linux", "--cpu", "arm64", "--libc", "musl"];
const MAC: &[&str] = &["--os", "darwin", "--cpu", "arm64"];

#[test]
fn nested_versions_and_programs() {
    same("npm-basic", &[&[], &["--omit", "dev"]]);
}

#[test]
fn a_lock_of_version_2() {
    same("npm-v2", &[&[]]);
}

#[test]
fn aliases_bundled_packages_peers_and_other_machines() {
    same(
        "npm-aliases-bundled",
        &[&[], MUSL, MAC, &["--omit", "optional"]],
    );
}

#[test]
fn workspaces() {
    same("npm-workspaces", &[&[], MAC]);
}

/// A project of 400 packages and three workspaces. Larger ones are for `scripts/npm-parity`.
#[test]
fn workspaces_of_the_flagship() {
    let Some(locks) = common::flagship_locks() else {
        // Ours has workspaces, too.
        return same("npm-workspaces", &[&[]]);
    };
    let temp = Temp::new();
    let (from, project) = (locks.join("2026.2.0"), temp.join("project"));
    fs::create_dir(&project).unwrap();
    // Its uv.lock would be taken first.
    for file in ["package.json", "package-lock.json"] {
        fs::copy(from.join(file), project.join(file)).unwrap();
    }
    common::copy_tree(&from.join("packages"), &project.join("packages"));
    same_of(&project, &[&[]]);
}

#[test]
fn a_lock_of_version_1_is_refused_with_the_remedy() {
    let temp = Temp::new();
    let folder = temp.copy_of_fixture("npm-v1");
    let said = lockwright(&temp, &folder, "https://registry.npm.example/", &[])
        .exit(1)
        .stderr;
    assert!(said.contains("npm install --package-lock-only"), "{said}");
    assert!(!folder.join("node_modules").exists());
}

#[test]
fn npm_finds_no_fault_with_the_tree_and_runs_its_programs() {
    let temp = Temp::new();
    let folder = temp.copy_of_fixture("npm-workspaces");
    lockwright(&temp, &folder, &real_registry(), &[]).ok();
    let run = |program: &str, args: &[&str]| {
        use common::Run as _;
        std::process::Command::new(program)
            .args(args)
            .current_dir(&folder)
            .env("HOME", temp.path())
            .run()
            .ok()
            .stdout
    };
    run(common::npm().as_str(), &["ls", "--all"]);
    let semver = fs::canonicalize(folder.join("node_modules/.bin/semver")).unwrap();
    let said = run(
        common::node().as_str(),
        &[semver.to_str().unwrap(), "1.2.3", "-i", "minor"],
    );
    assert_eq!(said, "1.3.0\n");
}
