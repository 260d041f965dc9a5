//! Scripts: off, and on for those that are named, contained; beside what npm makes of them.

use std::fs;

use serde_json::json;

use crate::registry::{Project, about, assert_same, file};

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
fn one_that_writes_to_its_neighbour_writes_to_this_project_alone() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "x": "^1.0.0", "y": "^1.0.0" },
    }));
    let script = "cd ../y && touch -r index.js kept && echo evil > index.js && touch -r kept index.js && rm kept";
    let scripted = json!({ "name": "x", "version": "1.0.0", "scripts": { "install": script } });
    project
        .package(
            "x",
            &[about(&scripted)],
            json!({ "hasInstallScript": true }),
        )
        .simple("y", json!({}));
    let said = |name: &str, args: &[&str]| {
        let folder = project.write(name);
        let args = [&["--link-mode", "hardlink"], args].concat();
        project.lockwright(&folder, &args).ok();
        fs::read_to_string(folder.join("node_modules/y/index.js")).unwrap()
    };
    assert_eq!(said("before", &[]), "y");
    assert_eq!(said("scripted", &["--allow-scripts", "x"]), "evil\n");
    assert_eq!(said("after", &[]), "y");
    let before = project.temp.join("before/project/node_modules/y/index.js");
    assert_eq!(fs::read_to_string(before).unwrap(), "y");
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
            "d, and no placed package has that name; those with install scripts are a, b, c"
        ),
        "{said}"
    );
}

/// Two workspaces and a project, each of whose scripts writes down that it ran.
fn with_workspaces() -> Project {
    let all = [
        "preinstall",
        "install",
        "postinstall",
        "prepublish",
        "preprepare",
        "prepare",
        "postprepare",
        "predependencies",
        "dependencies",
        "postdependencies",
        "prepack",
        "build",
    ];
    let scripts = || {
        let said = all.map(|event| (event.to_owned(), format!("echo {event} >> order").into()));
        serde_json::Map::from_iter(said)
    };
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"],
        "dependencies": { "a": "^1.0.0" }, "scripts": scripts(),
    }));
    let mut one = scripts();
    // Made by its own script, after which it can be linked.
    one["prepare"] =
        "echo prepare >> order && a && node -e \"require('fs').writeFileSync('cli.js', '')\""
            .into();
    project
        .file("packages/one/package.json", &json!({ "name": "@w/one", "version": "1.0.0", "bin": { "one": "cli.js" },
            "dependencies": { "@w/two": "^1.0.0" }, "scripts": one }).to_string())
        .file("packages/two/package.json", &json!({ "name": "@w/two", "version": "1.0.0", "scripts": scripts() }).to_string())
        .entry("node_modules/@w/one", json!({ "resolved": "packages/one", "link": true }))
        .entry("node_modules/@w/two", json!({ "resolved": "packages/two", "link": true }))
        .entry("packages/one", json!({ "name": "@w/one", "version": "1.0.0", "bin": { "one": "cli.js" },
            "dependencies": { "@w/two": "^1.0.0" }, "hasInstallScript": true }))
        .entry("packages/two", json!({ "name": "@w/two", "version": "1.0.0", "hasInstallScript": true }))
        .package("a", &[
            about(&json!({ "name": "a", "version": "1.0.0", "bin": "a.js" })),
            file("package/a.js", 0o644, "#!/usr/bin/env node\nrequire('fs').writeFileSync('by-a', process.env.npm_package_name)"),
        ], json!({ "bin": { "a": "a.js" } }));
    project
}

#[test]
fn the_projects_own_scripts_and_its_workspaces_are_run_as_npm_runs_them() {
    let project = with_workspaces();
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    project.npm_with_scripts(&theirs, &[]).ok();
    let args = ["--json", "--allow-scripts", ".,@w/one,@w/two"];
    let done = project.lockwright(&ours, &args).ok().json();
    assert_eq!(
        done["scripts_run"],
        json!(["packages/two", "packages/one", "."])
    );
    assert_eq!(done["scripts_not_run"], json!([]));
    assert_same(&project.temp, &ours, &theirs);
    assert!(ours.join("node_modules/.bin/one").is_symlink());
    assert_eq!(
        fs::read_to_string(ours.join("packages/one/by-a")).unwrap(),
        "@w/one"
    );
}

#[test]
fn those_of_the_project_that_were_not_run_are_told() {
    let project = with_workspaces();
    let ours = project.write("ours");
    let said = project.lockwright(&ours, &[]).ok().stderr;
    assert!(
        said.contains(
            "--allow-scripts NAME runs those of: the project itself (`.`), packages/one, packages/two"
        ),
        "{said}"
    );
    assert!(!ours.join("order").exists() && !ours.join("packages/two/order").exists());
    let args = ["--allow-scripts", ".", "--out", "elsewhere"];
    let said = project.lockwright(&ours, &args).exit(1).stderr;
    assert!(
        said.contains("--out collects everything elsewhere"),
        "{said}"
    );
}

#[test]
fn one_of_the_projects_own_that_fails_leaves_the_old_tree() {
    let mut project = with_workspaces();
    project.root["scripts"] = json!({ "prepare": "ls node_modules; exit 3" });
    let ours = project.write("ours");
    let said = project
        .lockwright(&ours, &["--allow-scripts", "."])
        .exit(1)
        .stderr;
    assert!(
        said.contains(
            "the prepare script of project 1.0.0 ended with exit code 3:\n  @w\n  a\nit ran"
        ),
        "{said}"
    );
    assert!(!ours.join("node_modules").exists());
    fs::create_dir(ours.join("node_modules")).unwrap();
    fs::write(ours.join("node_modules/old"), "").unwrap();
    project.lockwright(&ours, &["--allow-scripts", "."]).exit(1);
    assert_eq!(fs::read_dir(ours.join("node_modules")).unwrap().count(), 1);
}

#[test]
fn an_optional_package_whose_script_fails_goes_with_its_whole_set() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0" }, "optionalDependencies": { "o": "^1.0.0", "p": "^1.0.0" },
    }));
    let fails = |name: &str, needs: serde_json::Value| {
        about(
            &json!({ "name": name, "version": "1.0.0", "dependencies": needs,
            "scripts": { "install": format!("echo no {name} here; exit 1") } }),
        )
    };
    let optional = |needs: serde_json::Value| json!({ "optional": true, "hasInstallScript": true, "bin": { "x": "x.js" }, "dependencies": needs });
    let bin = || file("package/x.js", 0o755, "#!/usr/bin/env node\n");
    let both = || json!({ "both": "^1.0.0", "a": "^1.0.0" });
    let deep = || json!({ "deep": "^1.0.0", "both": "^1.0.0" });
    project
        // With a program, or npm would leave an empty .bin.
        .simple("a", json!({ "bin": { "a": "index.js" } }))
        .simple("both", json!({ "optional": true }))
        .simple("o-only", json!({ "optional": true }))
        .package(
            "o",
            &[about(&json!({ "name": "o", "version": "1.0.0" })), bin()],
            json!({ "optional": true, "dependencies": { "deep": "^1.0.0", "o-only": "^1.0.0" } }),
        )
        .package(
            "deep",
            &[fails("deep", both())],
            json!({ "optional": true, "hasInstallScript": true, "dependencies": both() }),
        )
        .package(
            "p",
            &[fails("p", deep()), bin()],
            optional(json!({ "both": "^1.0.0" })),
        );
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    project.npm_with_scripts(&theirs, &[]).ok();
    let said = project
        .lockwright(&ours, &["--allow-scripts", "deep,p"])
        .ok()
        .stderr;
    for why in [
        "node_modules/deep is optional and is left out: the install script of deep 1.0.0 ended with exit code 1",
        "no p here",
    ] {
        assert!(said.contains(why), "no `{why}` in: {said}");
    }
    assert_same(&project.temp, &ours, &theirs);
    assert!(!ours.join("node_modules/both").exists());
}

/// A project of two packages, the first of which leaves something for the second.
fn hostile(script: &str) -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "b": "^1.0.0" },
    }));
    project
        .package(
            "a",
            &[about(
                &json!({ "name": "a", "version": "1.0.0", "scripts": { "install": script } }),
            )],
            json!({ "hasInstallScript": true }),
        )
        .package(
            "b",
            &[about(
                &json!({ "name": "b", "version": "1.0.0", "scripts": { "install": "true" } }),
            )],
            json!({ "hasInstallScript": true, "dependencies": { "a": "^1.0.0" } }),
        );
    project
}

#[test]
fn what_a_script_leaves_is_not_followed_nor_waited_for() {
    for (script, said) in [
        (
            "ln -sf TEMP/secret /build/log; echo said; exit 1",
            "exit code 1:\n  said\nit ran",
        ),
        (
            "rm ../b/package.json; ln -s TEMP/secret ../b/package.json",
            "package.json is a link",
        ),
        (
            "rm ../b/package.json; mkfifo ../b/package.json",
            "package.json is not a file",
        ),
        (
            "rm ../b/package.json; ln -s /dev/zero ../b/package.json",
            "package.json is a link",
        ),
        (
            "rm ../b/package.json; truncate -s 5G ../b/package.json",
            "has more than",
        ),
        (
            "rm -r ../b; ln -s TEMP ../b",
            "cannot be run: b is not a folder",
        ),
        (
            "mkfifo pipe",
            "is a named pipe, which a command or script has left in the tree",
        ),
        (
            "perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"s\"))'",
            "is a socket",
        ),
        ("touch \"$(printf 'a\\nb')\"", "it has a control character"),
    ] {
        let beside = crate::common::Temp::new();
        beside.write("secret", "SECRET OF THE MACHINE");
        let script = script.replace("TEMP", beside.path().as_str());
        let project = hostile(&script);
        let ours = project.write("ours");
        for out in [&[][..], &["--out", "elsewhere"]] {
            let args = [&["--allow-scripts", "a,b"], out].concat();
            let ran = project.lockwright(&ours, &args);
            assert!(!ran.stderr.contains("SECRET"), "{script}: {ran}");
            let ran = ran.exit(1);
            assert!(ran.stderr.contains(said), "{script}: {ran}");
            assert!(!ours.join("node_modules").exists(), "{script}");
        }
    }
}

#[test]
fn a_script_is_told_of_no_interface_but_its_own() {
    let asks = "node -e 'process.exit(Object.keys(os.networkInterfaces()).some(name => name !== \"lo\") ? 1 : 0)'";
    let project = hostile(asks);
    let ours = project.write("ours");
    project.lockwright(&ours, &["--allow-scripts", "a"]).ok();
}

#[test]
fn of_modes_that_a_script_sets_the_permission_bits_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = hostile("touch f && chmod 6755 f && mkdir d && chmod 3777 d");
    for out in [&[][..], &["--out", "elsewhere"]] {
        let ours = project.write("ours");
        let args = [&["--allow-scripts", "a"], out].concat();
        project.lockwright(&ours, &args).ok();
        let top = match out.is_empty() {
            true => ours.clone(),
            false => project.temp.join("elsewhere"),
        };
        let mode = |name: &str| {
            let meta = fs::metadata(top.join("node_modules/a").join(name)).unwrap();
            meta.permissions().mode() & 0o7777
        };
        assert_eq!((mode("f"), mode("d")), (0o755, 0o777));
    }
}

#[test]
fn a_script_of_the_projects_own_leads_nobody_out_of_the_project() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = crate::common::Temp::new();
    let victim = temp.join("victim");
    let state = || {
        let mut all: Vec<String> = Vec::new();
        for folder in [&victim, &victim.join("node_modules"), &victim.join("tree")] {
            for entry in folder.read_dir_utf8().unwrap() {
                let entry = entry.unwrap();
                let mode = entry.metadata().unwrap().permissions().mode();
                all.push(format!("{} {mode:o}", entry.path()));
            }
        }
        all.sort();
        all
    };
    for folder in ["node_modules", "tree"] {
        fs::create_dir_all(victim.join(folder)).unwrap();
        fs::write(victim.join(folder).join("file"), "mine").unwrap();
    }
    fs::write(victim.join("cli.js"), "mine").unwrap();
    let before = state();
    for script in [
        // The staging folder, which is emptied in the end.
        "cd ../..; for s in .lockwright-staged-*; do mv $s aside; ln -s VICTIM $s; done",
        "cd ../..; for s in .lockwright-staged-*; do mv $s/tree $s/aside; ln -s VICTIM $s/tree; done",
        // A workspace's folder, in which a node_modules is removed, and a program made executable.
        "rm cli.js; ln -s VICTIM/cli.js cli.js",
        "cd ..; mv one aside; ln -s VICTIM one",
        // Where programs are linked.
        "cd ../../node_modules; mv .bin aside 2>/dev/null; ln -s VICTIM .bin",
        "cd ../../node_modules; rm -f .package-lock.json; ln -s VICTIM/cli.js .package-lock.json",
    ] {
        let mut project = with_workspaces();
        let script = script.replace("VICTIM", victim.as_str());
        let mut said = json!({ "name": "@w/one", "version": "1.0.0", "bin": { "one": "cli.js" },
            "dependencies": { "@w/two": "^1.0.0" }, "scripts": {} });
        said["scripts"]["preinstall"] = format!("touch cli.js; {script}").into();
        project
            .files
            .retain(|(name, _)| name != "packages/one/package.json");
        project.file("packages/one/package.json", &said.to_string());
        let ours = project.write("ours");
        fs::create_dir_all(ours.join("packages/one/node_modules/old")).unwrap();
        // It may fail; what counts is what it did to what is not the project's.
        let ran = project.lockwright(&ours, &["--allow-scripts", "@w/one"]);
        assert!(ran.code == 0 || ran.code == 1, "{script}: {ran}");
        assert_eq!(state(), before, "{script}: {ran}");
    }
}
