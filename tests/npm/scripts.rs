//! Install scripts: off, and on for those that are named, contained.

use std::fs;

use serde_json::json;

use crate::registry::{Project, about, file};

/// `a` needs `b`; both write down what they see, and `c` is not allowed to run anything.
fn project() -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "c": "^1.0.0" },
    }));
    let with = |name: &str, scripts: serde_json::Value| {
        about(&json!({ "name": name, "version": "1.0.0", "scripts": scripts }))
    };
    let write = "const fs = require('fs'); let dep = null; try { dep = require('b').made } catch {}
fs.writeFileSync('seen.json', JSON.stringify({ dep, event: process.env.npm_lifecycle_event, cwd: process.cwd(),
  home: fs.existsSync(process.env.REAL_HOME || '/root/.cargo'), init: process.env.INIT_CWD, name: process.env.npm_package_name }));";
    project
        .package(
            "a",
            &[
                with("a", json!({ "postinstall": "node write.js && tool", "preinstall": "echo pre > order", "install": "echo in >> order" })),
                file("package/write.js", 0o644, write),
            ],
            json!({ "hasInstallScript": true, "dependencies": { "b": "^1.0.0" } }),
        )
        .package(
            "b",
            &[
                with("b", json!({ "install": "echo 'exports.made = 42' > index.js" })),
                file("package/index.js", 0o644, "exports.made = 0"),
                file("package/tool.js", 0o644, "#!/bin/sh\necho tool > ../a/tool-ran\n"),
            ],
            json!({ "hasInstallScript": true, "bin": { "tool": "tool.js" } }),
        )
        .package(
            "c",
            &[with("c", json!({ "install": "echo ran > ran" }))],
            json!({ "hasInstallScript": true }),
        );
    project
}

#[test]
fn those_that_are_named_are_run_after_what_they_need() {
    let project = project();
    for mode in ["copy", "hardlink"] {
        let ours = project.write(mode);
        let done = project
            .lockwright(
                &ours,
                &["--json", "--allow-scripts", "a,b", "--link-mode", mode],
            )
            .ok()
            .json();
        assert_eq!(
            done["scripts_run"],
            json!(["node_modules/b", "node_modules/a"])
        );
        assert_eq!(done["scripts_not_run"], json!(["node_modules/c"]));
        let read = |path: &str| fs::read_to_string(ours.join("node_modules").join(path)).unwrap();
        assert_eq!(read("a/order"), "pre\nin\n");
        assert_eq!(read("a/tool-ran"), "tool\n");
        let seen: serde_json::Value = serde_json::from_str(&read("a/seen.json")).unwrap();
        assert_eq!(
            seen,
            json!({ "dep": 42, "event": "postinstall", "cwd": "/build/project/node_modules/a",
                "home": false, "init": "/build/project", "name": "a" })
        );
        assert!(!ours.join("node_modules/c/ran").exists());
    }
    // What a script has written is not the store's.
    let plain = project.write("plain");
    project
        .lockwright(&plain, &["--link-mode", "hardlink"])
        .ok();
    let index = fs::read_to_string(plain.join("node_modules/b/index.js")).unwrap();
    assert_eq!(index, "exports.made = 0");
}

#[test]
fn one_that_fails_leaves_everything_as_it_was() {
    let mut project = project();
    let failing = about(&json!({ "name": "c", "version": "1.0.0",
        "scripts": { "install": "echo I want the network; exit 3" } }));
    project.package("c", &[failing], json!({ "hasInstallScript": true }));
    let ours = project.write("ours");
    let said = project
        .lockwright(&ours, &["--allow-scripts", "c"])
        .exit(1)
        .stderr;
    assert!(
        said.contains(
            "the install script of c 1.0.0 ended with exit code 3:\n  I want the network"
        ),
        "{said}"
    );
    assert!(!ours.join("node_modules").exists());
    let said = project
        .lockwright(&ours, &["--allow-scripts", "d"])
        .exit(1)
        .stderr;
    assert!(
        said.contains(
            "d, which is not among the packages; with install scripts there are: a, b, c"
        ),
        "{said}"
    );
}
