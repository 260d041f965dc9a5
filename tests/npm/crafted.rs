//! Crafted packages and locks: each rule of how npm makes a `node_modules`, checked against npm itself.

use std::fs;

use serde_json::json;

use crate::common::{self, Run as _};
use crate::registry::{Project, about, file, member};

#[test]
fn members_of_a_tarball() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0", "b": "^1.0.0", "@s/c": "^1.0.0" },
    }));
    let named = |name: &str| json!({ "name": name, "version": "1.0.0" }).to_string();
    project
        .package(
            "a",
            &[
                file("package/package.json", 0o600, named("a")),
                file("single", 0o644, "of one part: dropped"),
                file("package/cli.js", 0o644, "#!/usr/bin/env node\r\nconsole.log(1)\r\n"),
                file("package/other-cli.js", 0o600, "#!/usr/bin/env node\nconsole.log(2)\n"),
                file("package/run.sh", 0o755, "#!/bin/sh\n"),
                file("package/only-owner", 0o744, ""),
                file("package/no-mode", 0, ""),
                file("package/twice", 0o755, "the first"),
                file("package/twice", 0o644, "the last, and longer"),
                file("package/./dotted/./name", 0o644, "."),
                file("package/.gitignore", 0o644, "ignored"),
                file("package/both/.npmignore", 0o644, "npm"),
                file("package/both/.gitignore", 0o644, "git"),
                file("package/late/.gitignore", 0o644, "git"),
                file("package/late/.npmignore", 0o644, "npm"),
                file("package/.npmrc", 0o644, "x=1"),
                file("package/.git/config", 0o644, "[core]"),
                file("package/node_modules/stray/index.js", 0o644, "stray"),
                member("package/empty/", b'5', 0o777, ""),
                member("package/locked/", b'5', 0o500, ""),
                member("package/link", b'2', 0o777, "cli.js"),
                member("package/hard", b'1', 0o644, "package/cli.js"),
                member("package/pipe", b'6', 0o644, ""),
                member("package/contiguous", b'7', 0o644, "seven"),
            ],
            json!({ "bin": { "a": "cli.js", "../../up": "./x/../other-cli.js", "none": "absent.js" } }),
        )
        .package(
            "b",
            &[
                // A name of its own for the folder that everything is in.
                file("b-1.0.0/package.json", 0o644, named("b")),
                file("b-1.0.0/lib/b.js", 0o644, "b"),
                file("elsewhere/c.js", 0o755, "c"),
            ],
            json!({ "bin": "lib/b.js" }),
        )
        .package(
            "@s/c",
            &[
                file("package/package.json", 0o644, named("@s/c")),
                file("package/bin/x", 0o644, "x"),
                file("package/bin/y", 0o644, "y"),
            ],
            json!({ "bin": { "a": "bin/x", "c": "bin/y" } }),
        );
    project.is_as_npm_has_it(&[]);
}

#[test]
fn a_tarball_in_several_places_and_names_of_its_own() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0", "other": "npm:a@^1.0.0", "@x/y": "npm:a@^1.0.0" },
    }));
    project.simple("a", json!({ "bin": { "a": "index.js" } }));
    let first = project.packages["node_modules/a"].clone();
    for place in ["other", "@x/y"] {
        let mut entry = first.clone();
        entry["name"] = "a".into();
        project.entry(&format!("node_modules/{place}"), entry);
    }
    let ours = project.is_as_npm_has_it(&[]);
    assert!(ours.join("node_modules/@x/y/index.js").is_file());
    fs::remove_dir_all(project.temp.join("store")).unwrap();
    let requests = || project.server.requests_of("/a/-/a-1.0.0.tgz").len();
    let before = requests();
    project.lockwright(&ours, &["--clear"]).ok();
    assert_eq!(requests() - before, 1, "fetched once for three places");
}

#[test]
fn a_workspace_in_a_folder_whose_name_ends_like_that_of_packages() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["old_node_modules/*", "a/b_node_modules/c/*"],
        "dependencies": { "a": "^1.0.0" },
    }));
    project
        .simple("a", json!({}))
        .simple("nested", json!({ "bin": { "nested": "index.js" } }));
    let nested = project
        .packages
        .shift_remove("node_modules/nested")
        .unwrap();
    for (name, folder) in [
        ("one", "old_node_modules/one"),
        ("two", "a/b_node_modules/c/two"),
    ] {
        let about =
            json!({ "name": name, "version": "1.0.0", "dependencies": { "nested": "^1.0.0" } });
        project
            .file(&format!("{folder}/package.json"), &about.to_string())
            .entry(
                &format!("node_modules/{name}"),
                json!({ "resolved": folder, "link": true }),
            )
            .entry(
                folder,
                json!({ "version": "1.0.0", "dependencies": { "nested": "^1.0.0" } }),
            )
            .entry(&format!("{folder}/node_modules/nested"), nested.clone());
    }
    let ours = project.is_as_npm_has_it(&[]);
    assert!(
        ours.join("old_node_modules/one/node_modules/.bin/nested")
            .is_symlink()
    );
    assert!(
        ours.join("a/b_node_modules/c/two/node_modules/nested/index.js")
            .is_file()
    );
}

#[test]
fn kinds_of_dependencies_and_what_is_left_out() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0" },
        "devDependencies": { "d": "^1.0.0" },
        "optionalDependencies": { "o": "^1.0.0", "mac": "^1.0.0", "old": "^1.0.0" },
    }));
    project
        .simple("a", json!({ "dependencies": { "shared": "^1.0.0" }, "peerDependencies": { "p": "^1.0.0", "q": "*" },
            "peerDependenciesMeta": { "q": { "optional": true } } }))
        .simple("d", json!({ "dev": true, "dependencies": { "shared": "^1.0.0", "d-only": "^1.0.0", "do": "^1.0.0" } }))
        .simple("d-only", json!({ "dev": true }))
        .simple("do", json!({ "devOptional": true }))
        .simple("o", json!({ "optional": true, "dependencies": { "o-only": "^1.0.0", "do": "^1.0.0" } }))
        .simple("o-only", json!({ "optional": true }))
        .simple("mac", json!({ "optional": true, "os": ["darwin"], "dependencies": { "mac-only": "^1.0.0", "shared": "^1.0.0" } }))
        .simple("mac-only", json!({ "optional": true }))
        .simple("old", json!({ "optional": true, "engines": { "node": "<4" }, "dependencies": { "old-only": "^1.0.0" } }))
        .simple("old-only", json!({ "optional": true }))
        .simple("p", json!({ "peer": true }))
        .simple("shared", json!({}))
        .simple("stray", json!({ "extraneous": true }));
    for args in [
        &[][..],
        &["--omit", "dev"],
        &["--omit", "optional"],
        &["--omit", "peer"],
        &["--omit", "dev", "--omit", "optional"],
        &["--omit", "dev", "--include", "dev"],
        &["--os", "darwin", "--cpu", "arm64"],
        &["--os", "win32", "--cpu", "x64"],
    ] {
        project.is_as_npm_has_it(args);
        fs::remove_dir_all(project.temp.join("ours")).unwrap();
        fs::remove_dir_all(project.temp.join("theirs")).unwrap();
    }
}

#[test]
fn bundled_packages_come_out_of_their_parents() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    let named = |name: &str, version: &str| json!({ "name": name, "version": version }).to_string();
    project
        .package(
            "a",
            &[
                about(&json!({ "name": "a", "version": "1.0.0", "dependencies": { "b": "^1.0.0" },
                    "bundleDependencies": ["b"] })),
                file("package/node_modules/b/package.json", 0o644, json!({ "name": "b", "version": "1.0.0",
                    "bin": { "b": "cli.js" }, "dependencies": { "c": "^2.0.0" } }).to_string()),
                file("package/node_modules/b/cli.js", 0o644, "#!/usr/bin/env node\n"),
                file("package/node_modules/b/node_modules/c/package.json", 0o644, named("c", "2.0.0")),
            ],
            json!({ "dependencies": { "b": "^1.0.0" }, "bundleDependencies": ["b"] }),
        )
        .entry(
            "node_modules/a/node_modules/b",
            json!({ "version": "1.0.0", "inBundle": true, "bin": { "b": "cli.js" }, "dependencies": { "c": "^2.0.0" } }),
        )
        .entry("node_modules/a/node_modules/b/node_modules/c", json!({ "version": "2.0.0", "inBundle": true }));
    project.is_as_npm_has_it(&[]);
}

#[test]
fn workspaces_their_programs_and_folders_that_changed_since() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "workspaces": ["packages/*"], "dependencies": { "a": "^1.0.0", "local": "file:tools/local" },
    }));
    project
        .file("packages/one/package.json", &json!({
            "name": "@w/one", "version": "1.0.0", "license": { "type": "MIT" }, "funding": "https://x.example",
            "bin": { "one": "cli.js", "a": "cli.js" }, "dependencies": { "a": "^1.0.0", "@w/two": "^2.0.0" },
            "devDependencies": { "b": "^1.0.0" }, "scripts": { "postinstall": "exit 1" },
        }).to_string())
        .file("packages/one/cli.js", "#!/usr/bin/env node\r\n")
        .file("packages/two/package.json", &json!({
            "name": "@w/two", "version": "2.0.0", "bin": "two.js", "engines": { "node": ">=18" },
        }).to_string())
        .file("packages/two/two.js", "#!/usr/bin/env node\n")
        .file("tools/local/package.json", &json!({ "name": "local", "version": "0.1.0" }).to_string())
        .simple("a", json!({ "bin": { "a": "index.js" } }))
        .entry("node_modules/@w/one", json!({ "resolved": "packages/one", "link": true }))
        .entry("node_modules/@w/two", json!({ "resolved": "packages/two", "link": true }))
        .entry("node_modules/local", json!({ "resolved": "tools/local", "link": true }))
        // The lock says less than the folder does.
        .entry("packages/one", json!({ "name": "@w/one", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "@w/two": "^2.0.0" },
            "devDependencies": { "b": "^1.0.0" } }))
        .entry("packages/two", json!({ "name": "@w/two", "version": "2.0.0", "bin": { "two": "two.js" } }))
        .entry("tools/local", json!({ "version": "0.1.0" }))
        .simple("b", json!({ "dev": true, "dependencies": { "a": "^1.0.0" } }))
        .simple("b/node_modules/a", json!({ "dev": true }));
    project.is_as_npm_has_it(&[]);
}

#[test]
fn a_workspace_whose_folder_is_not_there_is_what_the_lock_says_of_it() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"],
        "dependencies": { "a": "^1.0.0", "one": "^1.0.0" },
    }));
    project
        .simple("a", json!({}))
        .entry(
            "node_modules/one",
            json!({ "resolved": "packages/one", "link": true }),
        )
        .entry(
            "packages/one",
            json!({ "version": "1.0.0", "license": "MIT", "devDependencies": { "a": "^1.0.0" } }),
        );
    project.is_as_npm_has_it(&[]);
}

#[test]
fn programs_of_workspaces_are_made_ones_that_can_be_started() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": { "a": "^1.0.0" },
    }));
    let bin = json!({ "dos": "dos.js", "bom": "bom.js", "unix": "unix.js", "none": "none.js" });
    let one = json!({ "name": "one", "version": "1.0.0", "bin": bin });
    project
        .file("packages/one/package.json", &one.to_string())
        .file(
            "packages/one/dos.js",
            "#!/usr/bin/env node\r\nconsole.log('dos')\r\n",
        )
        .file("packages/one/bom.js", "\u{feff}#!/usr/bin/env node\r\n")
        .file(
            "packages/one/unix.js",
            "#!/usr/bin/env node\nconsole.log('unix')\r\n",
        )
        .simple("a", json!({}))
        .entry(
            "node_modules/one",
            json!({ "resolved": "packages/one", "link": true }),
        )
        .entry("packages/one", json!({ "version": "1.0.0", "bin": bin }));
    let ours = project.is_as_npm_has_it(&[]);
    let dos = ours.join("packages/one/dos.js");
    assert_eq!(
        common::run(ours.join("node_modules/.bin/dos"), [""; 0]),
        "dos\n"
    );
    let changed = || project.lockwright(&ours, &["--json"]).ok().json()["changed"].clone();
    assert_eq!(changed(), false);
    fs::write(&dos, "#!/usr/bin/env node\r\nconsole.log('again')").unwrap();
    assert_eq!(changed(), true);
    assert_eq!(common::run(&dos, [""; 0]), "again\n");

    // What a link leads to outside of the project is not ours to change.
    let outside = project.temp.join("outside.js");
    fs::write(&outside, "#!/usr/bin/env node\r\n").unwrap();
    fs::remove_file(&dos).unwrap();
    std::os::unix::fs::symlink(&outside, &dos).unwrap();
    let said = project.lockwright(&ours, &["--clear"]).exit(1).stderr;
    assert!(
        said.contains("dos.js") && said.contains("leads out of the project"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(&outside).unwrap(),
        "#!/usr/bin/env node\r\n"
    );
}

#[test]
fn a_project_that_is_linked_into_its_own_node_modules() {
    for (needs, name) in [
        (
            json!({ "devDependencies": { "@s/own": "file:." } }),
            "@s/own",
        ),
        (
            json!({ "dependencies": { "own": "file:./", "a": "^1.0.0" } }),
            "own",
        ),
    ] {
        let mut root = json!({ "name": name, "version": "1.0.0", "bin": { "own": "cli.js" } });
        crate::registry::merge(&mut root, &needs);
        let mut project = Project::new(root);
        project
            .file("cli.js", "#!/usr/bin/env node\n")
            .entry(
                &format!("node_modules/{name}"),
                json!({ "resolved": "", "link": true }),
            )
            .simple("a", json!({}));
        let ours = project.is_as_npm_has_it(&[]);
        assert!(ours.join("node_modules/.bin/own").is_symlink());
        let again = project.lockwright(&ours, &["--json"]).ok().json();
        assert_eq!(again["changed"], false);
    }
}

#[test]
fn npm_shrinkwrap_comes_first_and_the_format_is_kept() {
    for (indent, newline) in [("\t", "\n"), ("    ", "\n"), ("  ", "\r\n"), ("   ", "\n")] {
        let mut project = Project::new(json!({
            "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
        }));
        project.simple(
            "a",
            json!({ "license": "MIT", "engines": { "node": ">=18", "npm": ">=8" } }),
        );
        // Of the lock and the package.json, the latter's counts.
        let text = project.lock();
        let [ours, theirs] = ["ours", "theirs"].map(|name| {
            let folder = project.write_with(name, &text);
            fs::rename(
                folder.join("package-lock.json"),
                folder.join("npm-shrinkwrap.json"),
            )
            .unwrap();
            fs::write(folder.join("package-lock.json"), "{}").unwrap();
            let about = serde_json::to_string_pretty(&project.root).unwrap();
            let mut about = about.replace("  ", indent).replace('\n', newline);
            if indent == "   " {
                // Its first line says nothing of how the others are indented.
                about = about.replacen("{\n   ", "{ ", 1);
            }
            fs::write(folder.join("package.json"), about).unwrap();
            folder
        });
        project.npm(&theirs, &[]).ok();
        project.lockwright(&ours, &[]).ok();
        crate::registry::assert_same(&project.temp, &ours, &theirs);
    }
}

#[test]
fn tarballs_beside_the_lock_and_urls_that_follow_from_the_registry() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0", "local": "file:vendor/local.tgz" },
    }));
    project.simple("a", json!({}));
    let bytes = crate::registry::tarball(&[about(&json!({ "name": "local", "version": "1.0.0" }))]);
    project.publish(
        "local",
        "local",
        &bytes,
        json!({ "resolved": "file:vendor/local.tgz" }),
    );
    // npm asks the registry what there is of it first.
    let a = project.packages["node_modules/a"].as_object_mut().unwrap();
    a.shift_remove("resolved");
    let integrity = a["integrity"].clone();
    let document = json!({
        "name": "a", "dist-tags": { "latest": "1.0.0" },
        "versions": { "1.0.0": { "name": "a", "version": "1.0.0",
            "dist": { "tarball": project.server.url("/a/-/a-1.0.0.tgz"), "integrity": integrity } } },
    });
    project.server.put("/a", document.to_string());
    let registry = project.server.url("/");
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        let folder = project.write(name);
        fs::create_dir(folder.join("vendor")).unwrap();
        fs::write(folder.join("vendor/local.tgz"), &bytes).unwrap();
        folder
    });
    project
        .npm(&theirs, &["--replace-registry-host", "never"])
        .ok();
    let said = common::lockwright(&project.temp)
        .args(["sync", ours.as_str()])
        .env("PATH", "/nowhere")
        .run()
        .exit(1)
        .stderr;
    assert!(said.contains("no registry is known"), "{said}");
    project.lockwright(&ours, &["--registry", &registry]).ok();
    crate::registry::assert_same(&project.temp, &ours, &theirs);
}

/// A workspace that asks for another version than is nested under it: npm looks whether what it asks for
/// could lie above, and keeps the lock's if nothing stands in the way.
#[test]
fn a_version_that_is_nested_under_a_workspace_stays() {
    for (above, is_taken) in [(None, true), (Some("1.0.0"), true), (Some("2.0.0"), false)] {
        let mut project = Project::new(json!({
            "name": "project", "version": "1.0.0", "workspaces": ["packages/*"],
        }));
        let workspace = json!({ "version": "1.0.0", "dependencies": { "dep": "1.0.0" } });
        project.entry("packages/a", workspace.clone()).entry(
            "node_modules/a",
            json!({ "resolved": "packages/a", "link": true }),
        );
        let mut package = workspace;
        package["name"] = "a".into();
        project.file("packages/a/package.json", &package.to_string());
        // As the registry has it, whatever the lock says.
        project.simple("dep", json!({})).lose("node_modules/dep");
        let newer = json!({ "name": "dep", "version": "1.1.0" });
        project.package(
            "a-dep/node_modules/dep",
            &[about(&newer)],
            json!({ "version": "1.1.0" }),
        );
        let nested = project
            .packages
            .shift_remove("node_modules/a-dep/node_modules/dep");
        project.entry("packages/a/node_modules/dep", nested.unwrap());
        if let Some(version) = above {
            let said = json!({ "name": "dep", "version": version });
            project.package(
                "above/node_modules/dep",
                &[about(&said)],
                json!({ "version": version }),
            );
            let entry = project
                .packages
                .shift_remove("node_modules/above/node_modules/dep");
            project.entry("node_modules/dep", entry.unwrap());
        }
        if is_taken {
            let ours = project.is_as_npm_has_it(&[]);
            assert!(
                ours.join("packages/a/node_modules/dep/package.json")
                    .exists()
            );
        } else {
            let (ours, theirs) = (project.write("ours"), project.write("theirs"));
            assert_ne!(project.npm(&theirs, &[]).code, 0);
            let said = project.lockwright(&ours, &[]).exit(1).stderr;
            assert!(said.contains("packages/a needs dep 1.0.0"), "{said}");
        }
    }
}

/// A folder beside the project is linked, with its programs; all that is written there is a mode.
#[test]
fn a_folder_beside_the_project_is_linked() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "sib": "file:../sib" },
    }));
    project
        .entry(
            "../sib",
            json!({
                "version": "2.0.0", "bin": { "sib": "cli.js" },
                "dependencies": { "absent": "^1.0.0" }, "devDependencies": { "other": "1" },
            }),
        )
        .entry(
            "../sib/node_modules/absent",
            json!({ "version": "1.0.0", "extraneous": true }),
        )
        .entry(
            "node_modules/sib",
            json!({ "resolved": "../sib", "link": true }),
        );
    let sibling = |name: &str| {
        let about = json!({
            "name": "sib", "version": "2.0.0", "bin": { "sib": "cli.js" },
            "dependencies": { "absent": "^1.0.0" }, "devDependencies": { "other": "1" },
        });
        project
            .temp
            .write(&format!("{name}/sib/package.json"), about.to_string());
        project
            .temp
            .write(&format!("{name}/sib/cli.js"), "#!/usr/bin/env node\n");
    };
    sibling("ours");
    sibling("theirs");
    let ours = project.is_as_npm_has_it(&[]);
    let folder = |name: &str| crate::registry::entries(&project.temp.join(name).join("sib"));
    assert_eq!(folder("ours"), folder("theirs"));
    assert!(ours.join("node_modules/.bin/sib").exists());
    let said = project
        .lockwright(&ours, &["--out", "elsewhere"])
        .exit(1)
        .stderr;
    assert!(said.contains("outside of the project"), "{said}");

    // Not there at all: a link to nowhere, as npm leaves it.
    for name in ["ours", "theirs"] {
        fs::remove_dir_all(project.temp.join(name)).unwrap();
    }
    project.is_as_npm_has_it(&[]);
}
