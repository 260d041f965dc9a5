//! What a folder, a lock or a run may be like besides: what is collected elsewhere, odd names, links, a run that is
//! interrupted, settings of npm.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::Duration;

use serde_json::json;

use crate::common::{self, Fault, Run as _};
use crate::registry::{Project, REGISTRY, about, assert_same, entries, file, tarball};

fn project() -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    project.simple("a", json!({ "bin": { "a": "index.js" } }));
    project
}

/// One with a workspace that has a `node_modules` of its own.
fn with_nested() -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": { "a": "^1.0.0" },
    }));
    let one = json!({ "name": "one", "version": "1.0.0", "dependencies": { "a": "^1.0.0" } });
    project
        .file("packages/one/package.json", &one.to_string())
        .simple("a", json!({}))
        .entry(
            "node_modules/one",
            json!({ "resolved": "packages/one", "link": true }),
        )
        .entry(
            "packages/one",
            json!({ "version": "1.0.0", "dependencies": { "a": "^1.0.0" } }),
        )
        .simple("b", json!({ "bin": { "b": "index.js" } }));
    let nested = project.packages.shift_remove("node_modules/b").unwrap();
    project.entry("packages/one/node_modules/b", nested);
    let one = json!({ "name": "one", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "b": "^1.0.0" } });
    project.files.clear();
    project.file("packages/one/package.json", &one.to_string());
    project.packages["packages/one"]["dependencies"] = one["dependencies"].clone();
    project
}

#[test]
fn a_workspace_that_is_a_link_out_of_the_project_is_left_alone() {
    let project = with_nested();
    let ours = project.write("ours");
    let outside = project.temp.join("outside");
    fs::rename(ours.join("packages/one"), &outside).unwrap();
    let mine = project.temp.write("outside/node_modules/mine/file", "mine");
    symlink(&outside, ours.join("packages/one")).unwrap();
    for more in [&[][..], &["--clear"]] {
        let said = project.lockwright(&ours, more).exit(1).stderr;
        assert!(said.contains("lies outside of the project"), "{said}");
    }
    assert!(mine.exists() && !outside.join("node_modules/b").exists());
    assert!(!ours.join("node_modules").exists());
}

#[test]
fn everything_is_collected_elsewhere() {
    let project = with_nested();
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    let out = project.temp.join("collected");
    project.lockwright(&ours, &["--out", out.as_str()]).ok();
    assert!(
        !ours.join("node_modules").exists() && !ours.join("packages/one/node_modules").exists()
    );
    project.npm(&theirs, &[]).ok();
    fs::remove_file(theirs.join("package.json")).unwrap();
    fs::remove_file(theirs.join("package-lock.json")).unwrap();
    fs::remove_file(theirs.join("packages/one/package.json")).unwrap();
    assert_eq!(entries(&out), entries(&theirs));

    let args = ["--out", out.as_str(), "--no-hidden-lockfile"];
    project.lockwright(&ours, &args).ok();
    assert!(!out.join("node_modules/.package-lock.json").exists());
    assert!(out.join("packages/one/node_modules/.bin/b").is_symlink());

    // What is not ours is not replaced, unless that is said.
    let other = project.temp.join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "").unwrap();
    let said = project
        .lockwright(&ours, &["--out", other.as_str()])
        .exit(1)
        .stderr;
    assert!(said.contains("--clear"), "{said}");
    assert!(other.join("precious").exists());
}

#[test]
fn folders_with_odd_names_and_locks_with_windows_line_ends() {
    let project = project();
    let lock = project.lock().replace('\n', "\r\n");
    let [ours, theirs] =
        ["our ö 日本 'q\" $x", "their ö 日本 'q\" $x"].map(|name| project.write_with(name, &lock));
    project.npm(&theirs, &[]).ok();
    project.lockwright(&ours, &[]).ok();
    assert_same(&project.temp, &ours, &theirs);
    let said = project.lockwright(&ours, &["--json"]).ok().json();
    assert_eq!(said["changed"], false);
}

#[test]
fn a_node_modules_that_is_a_link_or_cannot_be_written() {
    let project = project();
    let ours = project.write("ours");
    let elsewhere = project.temp.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("old"), "").unwrap();
    symlink(&elsewhere, ours.join("node_modules")).unwrap();
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    assert!(
        said.contains("node_modules is a link: remove it, or"),
        "{said}"
    );
    project.lockwright(&ours, &["--clear"]).ok();
    assert!(ours.join("node_modules").is_symlink());
    assert!(elsewhere.join("a/index.js").exists() && !elsewhere.join("old").exists());
    fs::remove_file(ours.join("node_modules")).unwrap();
    project.lockwright(&ours, &[]).ok();

    // A folder that was made read-only is npm's to replace as well.
    let folder = ours.join("node_modules/a");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(ours.join("node_modules"), fs::Permissions::from_mode(0o555)).unwrap();
    project.lockwright(&ours, &["--clear"]).ok();
    let mode = fs::metadata(ours.join("node_modules"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn an_interrupted_run_leaves_the_old_tree_and_nothing_for_the_next_to_clean() {
    let mut project = project();
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    let before = entries(&ours);
    project.simple("b", json!({}));
    project.root["dependencies"]["b"] = "^1.0.0".into();
    project
        .server
        .fault("/b/-/b-1.0.0.tgz", Fault::Delay(Duration::from_secs(60)));
    let root = serde_json::to_string_pretty(&project.root).unwrap();
    fs::write(ours.join("package.json"), root).unwrap();
    fs::write(ours.join("package-lock.json"), project.lock()).unwrap();
    let mirror = format!("{REGISTRY}={}", project.server.url("/"));
    let mut child = common::lockwright(&project.temp)
        .args(["sync", ours.as_str(), "--mirror", &mirror])
        .spawn()
        .unwrap();
    let staged = || {
        let names = ours.read_dir_utf8().unwrap();
        let mut names = names.map(|entry| entry.unwrap().file_name().to_owned());
        names.any(|name| name.starts_with(".lockwright-staged-"))
    };
    while project.server.requests_of("/b/-/b-1.0.0.tgz").is_empty() || !staged() {
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::yield_now();
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    assert!(!child.wait().unwrap().success());
    let mut after = entries(&ours);
    after.retain(|path, _| path.starts_with("node_modules"));
    let mut old = before;
    old.retain(|path, _| path.starts_with("node_modules"));
    assert_eq!(after, old);

    project
        .server
        .fault("/b/-/b-1.0.0.tgz", Fault::Delay(Duration::ZERO));
    project.lockwright(&ours, &[]).ok();
    assert!(ours.join("node_modules/b/index.js").is_file());
    assert!(!staged(), "what the killed run left is swept away");
}

#[test]
fn drift_is_told_with_its_first_difference_and_the_remedy() {
    let project = project();
    let ours = project.write("ours");
    let tell = |root: serde_json::Value| {
        fs::write(ours.join("package.json"), root.to_string()).unwrap();
        let said = project.lockwright(&ours, &[]).exit(1).stderr;
        assert!(said.contains("npm install --package-lock-only"), "{said}");
        said
    };
    let said = tell(json!({ "dependencies": { "a": "^2.0.0" } }));
    assert!(
        said.contains("the project needs a ^2.0.0, and the lock has 1.0.0"),
        "{said}"
    );
    let said =
        tell(json!({ "dependencies": { "a": "^1.0.0" }, "devDependencies": { "c": "~3.1.0" } }));
    assert!(
        said.contains("the project needs c ~3.1.0, and the lock has none"),
        "{said}"
    );
}

#[test]
fn overrides_and_files_beside_the_lock() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0", "folder": "file:./tools/folder", "packed": "file:vendor/packed-1.0.0.tgz" },
        "overrides": { "deep": "2.0.0", "a": { "other": "npm:deep@2.0.0" } },
    }));
    let deep = [about(&json!({ "name": "deep", "version": "2.0.0" }))];
    project
        .simple(
            "a",
            json!({ "dependencies": { "deep": "^1.0.0", "other": "^1.0.0" } }),
        )
        .package("deep", &deep, json!({ "version": "2.0.0" }))
        .file(
            "tools/folder/package.json",
            &json!({ "name": "folder", "version": "1.0.0",
            "dependencies": { "deep": "^1.0.0" } })
            .to_string(),
        )
        .entry(
            "node_modules/folder",
            json!({ "resolved": "tools/folder", "link": true }),
        )
        .entry(
            "tools/folder",
            json!({ "version": "1.0.0", "dependencies": { "deep": "^1.0.0" } }),
        );
    let mut other = project.packages["node_modules/deep"].clone();
    other["name"] = "deep".into();
    project.entry("node_modules/other", other);
    let bytes = tarball(&[
        about(&json!({ "name": "packed", "version": "1.0.0" })),
        file("package/x", 0o755, "x"),
    ]);
    project.publish(
        "packed",
        "packed",
        &bytes,
        json!({ "resolved": "file:vendor/packed-1.0.0.tgz" }),
    );
    let [ours, theirs] = ["ours", "theirs"].map(|name| {
        // npm takes the registry's host for a file's, too, where it replaces any.
        let lock = project.lock().replace(REGISTRY, &project.server.url("/"));
        let folder = project.write_with(name, &lock);
        fs::create_dir(folder.join("vendor")).unwrap();
        fs::write(folder.join("vendor/packed-1.0.0.tgz"), &bytes).unwrap();
        folder
    });
    project
        .npm(&theirs, &["--replace-registry-host", "never"])
        .ok();
    project.lockwright(&ours, &[]).ok();
    assert_same(&project.temp, &ours, &theirs);

    fs::remove_file(ours.join("vendor/packed-1.0.0.tgz")).unwrap();
    fs::remove_dir_all(project.temp.join("store")).unwrap();
    let said = project.lockwright(&ours, &["--clear"]).exit(1).stderr;
    assert!(said.contains("vendor/packed-1.0.0.tgz"), "{said}");
}

#[test]
fn settings_are_read_where_npm_reads_them() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "@s/a": "^1.0.0" },
    }));
    project.simple("@s/a", json!({ "resolved": null }));
    let bytes = tarball(&[
        about(&json!({ "name": "@s/a", "version": "1.0.0" })),
        file("package/index.js", 0o644, "@s/a"),
    ]);
    project.server.put("/npm/@s/a/-/a-1.0.0.tgz", bytes.clone());
    let digest =
        lockwright::core::digest::Digest::of(lockwright::core::digest::Algorithm::Sha512, &bytes);
    project.packages["node_modules/@s/a"]["integrity"] = digest.sri().into();
    project.server.require_auth("me", "secret");
    let base = project.server.url("/npm/");
    let place = base.trim_start_matches("http:").to_owned();
    let node = project.temp.join("node");
    fs::create_dir_all(node.join("bin")).unwrap();
    fs::create_dir_all(node.join("etc")).unwrap();
    fs::copy(common::node(), node.join("bin/node")).unwrap();
    let home = project.temp.join("home");
    let registry = format!("@s:registry={base}\n");
    let login = format!("{place}:_auth=${{LOGIN}}\n");
    let sync = |name: &str, files: &[(&str, &str)], variables: &[(&str, &str)]| {
        let ours = project.write(name);
        let places = [
            ("global", node.join("etc/npmrc")),
            ("user", home.join(".npmrc")),
            ("project", ours.join(".npmrc")),
        ];
        for (whose, path) in places {
            let text = files
                .iter()
                .find(|(own, _)| *own == whose)
                .map_or("", |(_, text)| text);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::remove_dir_all(project.temp.join("store")).ok();
        common::lockwright(&project.temp)
            .args(["sync", ours.as_str()])
            .env("HOME", &home)
            .env("PATH", format!("{}:/usr/bin:/bin", node.join("bin")))
            .env("LOGIN", "bWU6c2VjcmV0")
            .envs(variables.iter().copied())
            .run()
    };
    sync("one", &[("user", &login), ("project", &registry)], &[]).ok();
    sync("two", &[("global", &format!("{registry}{login}"))], &[]).ok();
    let key = format!("npm_config_{place}:_auth");
    sync(
        "three",
        &[("project", &registry)],
        &[(&key, "bWU6c2VjcmV0")],
    )
    .ok();
    let wrong = format!("@s:registry=http://wrong.example/\n{login}");
    sync(
        "four",
        &[("user", &wrong)],
        &[("npm_config_@s:registry", &base)],
    )
    .ok();
    // No npm is there that could be asked.
    let said = sync("five", &[("user", &login)], &[("PATH", "/nowhere")]);
    let said = said.exit(1).stderr;
    assert!(
        said.contains("@s/a 1.0.0") && said.contains("no registry is known"),
        "{said}"
    );
    let said = sync("six", &[("project", &registry)], &[]).exit(1).stderr;
    assert!(
        said.contains("401") && said.contains("for npm's in .npmrc"),
        "{said}"
    );
}

#[test]
fn settings_decide_what_is_left_out_as_with_npm() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
        "devDependencies": { "d": "^1.0.0" }, "optionalDependencies": { "o": "^1.0.0", "mac": "^1.0.0" },
    }));
    project
        .simple(
            "a",
            json!({ "peerDependencies": { "p": "^1.0.0" }, "bin": { "a": "index.js" } }),
        )
        .simple(
            "d",
            json!({ "dev": true, "dependencies": { "p": "^1.0.0" } }),
        )
        .simple("o", json!({ "optional": true }))
        .simple("mac", json!({ "optional": true, "os": ["darwin"] }))
        .simple("p", json!({}));
    // Ours stays from one to the next: a tree of other settings is not what these ask for.
    let ours = project.write("ours");
    for (settings, args) in [
        ("omit=dev", &[][..]),
        ("omit[]=dev\nomit[]=optional\n", &[]),
        ("omit=dev\ninclude=dev", &[]),
        ("production=true", &[]),
        ("omit=dev", &["--omit", "optional"]),
        ("legacy-peer-deps=true", &["--omit", "dev"]),
        ("os=darwin\ncpu=arm64", &[]),
        ("", &[]),
        ("bin-links=false", &[]),
    ] {
        let theirs = project.write("theirs");
        for folder in [&ours, &theirs] {
            fs::write(folder.join(".npmrc"), settings).unwrap();
        }
        project.npm(&theirs, args).ok();
        project.lockwright(&ours, args).ok();
        assert_same(&project.temp, &ours, &theirs);
        fs::remove_dir_all(theirs).unwrap();
    }
}

#[test]
fn engines_count_where_engine_strict_is_set() {
    let mut project = project();
    project.root["engines"] = json!({ "node": "<4" });
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    fs::write(ours.join(".npmrc"), "engine-strict=true\n").unwrap();
    project.npm(&ours, &[]).exit(1);
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    assert!(
        said.contains("the project ") && said.contains("engine-strict is set"),
        "{said}"
    );
    project.lockwright(&ours, &["--node-version", "3.0.0"]).ok();
}

#[test]
fn a_folder_without_a_lock_that_is_read_says_how_to_make_one() {
    let temp = common::Temp::new();
    let folder = temp.join("p");
    fs::create_dir(&folder).unwrap();
    let sync = |path: &str| {
        common::lockwright(&temp)
            .args(["sync", path])
            .run()
            .exit(1)
            .stderr
    };
    let said = sync(folder.as_str());
    assert!(
        said.contains("has none of uv.lock, pylock.toml and package-lock.json"),
        "{said}"
    );
    fs::write(folder.join("package.json"), "{}").unwrap();
    fs::write(folder.join("yarn.lock"), "").unwrap();
    for path in [folder.as_str(), folder.join("yarn.lock").as_str()] {
        let said = sync(path);
        assert!(
            said.contains("yarn.lock") && said.contains("is not read"),
            "{said}"
        );
        assert!(said.contains("npm install --package-lock-only"), "{said}");
    }
}
