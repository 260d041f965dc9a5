//! npm's settings that guard something: they are followed as npm follows them, or refused.

use std::fs;

use serde_json::json;

use crate::common::{self, Run as _};
use crate::git::repository;
use crate::registry::{Project, REGISTRY, assert_same, tarball};

/// Under each of these settings both end as npm does: with its exit code, and with the same tree if that is 0.
#[track_caller]
fn under(project: &Project, settings: &[&str], more: &[&str]) {
    let lock = project.lock().replace(REGISTRY, &project.server.url("/"));
    let registry = project.server.url("/");
    for setting in settings {
        let (ours, theirs) = (
            project.write_with("ours", &lock),
            project.write_with("theirs", &lock),
        );
        for folder in [&ours, &theirs] {
            fs::write(folder.join(".npmrc"), setting).unwrap();
        }
        let npm = project.npm(&theirs, &["--replace-registry-host", "never"]);
        let args = [&["--registry", registry.as_str()], more].concat();
        let own = project.lockwright(&ours, &args);
        assert_eq!(own.code, npm.code, "{setting}:\n{npm}\n{own}");
        match npm.code {
            0 => assert_same(&project.temp, &ours, &theirs),
            _ => {
                assert!(npm.stderr.contains("EALLOW"), "{npm}");
                assert!(
                    own.stderr.contains(setting) && own.stderr.contains("forbids"),
                    "{own}"
                );
                assert!(!ours.join("node_modules").exists());
            }
        }
        fs::remove_dir_all(project.temp.join("ours")).unwrap();
        fs::remove_dir_all(project.temp.join("theirs")).unwrap();
    }
}

const REMOTE: [&str; 3] = ["allow-remote=none", "allow-remote=root", "allow-remote=all"];

/// A package that the lock has from elsewhere than its registry, asked for by its URL.
fn elsewhere(project: &mut Project, name: &str, more: serde_json::Value) -> String {
    project.simple(name, more);
    let url = project.server.url(&format!("/{name}/-/{name}-1.0.0.tgz"));
    project.packages[&format!("node_modules/{name}")]["resolved"] = url.clone().into();
    url
}

#[test]
fn tarballs_of_no_registry() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    project.simple("a", json!({}));
    // A registry's own are allowed whatever is set.
    under(&project, &REMOTE, &[]);
    let url = elsewhere(&mut project, "u", json!({}));
    project.root["dependencies"]["u"] = url.into();
    under(&project, &REMOTE, &[]);
    let url = elsewhere(&mut project, "deep", json!({}));
    project.simple("a", json!({ "dependencies": { "deep": url } }));
    under(&project, &REMOTE, &[]);
}

#[test]
fn what_is_asked_of_the_registry_and_comes_from_another_host() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    project
        .simple("a", json!({ "dependencies": { "b": "^1.0.0" } }))
        .simple("b", json!({}));
    let url = project
        .server
        .url("/b/-/b-1.0.0.tgz")
        .replace("127.0.0.1", "localhost");
    project.packages["node_modules/b"]["resolved"] = url.into();
    under(&project, &REMOTE, &[]);
}

#[test]
fn an_optional_package_that_is_forbidden_is_left_out_and_told() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    let url = elsewhere(
        &mut project,
        "o",
        json!({ "optional": true, "dependencies": { "below": "^1.0.0" } }),
    );
    project
        .simple("a", json!({ "optionalDependencies": { "o": url } }))
        .simple("below", json!({ "optional": true }));
    under(&project, &REMOTE, &[]);
    let ours = project.write_with(
        "told",
        &project.lock().replace(REGISTRY, &project.server.url("/")),
    );
    fs::write(ours.join(".npmrc"), "allow-remote=none").unwrap();
    let args = ["--registry", &project.server.url("/"), "--json"];
    let said = project.lockwright(&ours, &args).ok().json();
    let said = said["warnings"].to_string();
    assert!(
        said.contains("node_modules/o is optional and is left out")
            && said.contains("allow-remote=none"),
        "{said}"
    );
}

#[test]
fn tarballs_beside_the_lock_and_folders() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"],
        "dependencies": { "packed": "file:packed-1.0.0.tgz", "local": "file:tools/local" },
    }));
    let about = |name: &str| json!({ "name": name, "version": "1.0.0" });
    let bytes = tarball(&[crate::registry::about(&about("packed"))]);
    project
        .publish(
            "packed",
            "packed",
            &bytes,
            json!({ "resolved": "file:packed-1.0.0.tgz" }),
        )
        .file("tools/local/package.json", &about("local").to_string())
        .file("packages/one/package.json", &about("one").to_string())
        .entry(
            "node_modules/local",
            json!({ "resolved": "tools/local", "link": true }),
        )
        .entry("tools/local", json!({ "version": "1.0.0" }))
        .entry(
            "node_modules/one",
            json!({ "resolved": "packages/one", "link": true }),
        )
        .entry("packages/one", json!({ "version": "1.0.0" }));
    let held = project.temp.join("packed-1.0.0.tgz");
    fs::write(&held, bytes).unwrap();
    for setting in ["none", "root", "all"] {
        let (ours, theirs) = (project.write("ours"), project.write("theirs"));
        for folder in [&ours, &theirs] {
            fs::copy(&held, folder.join("packed-1.0.0.tgz")).unwrap();
            fs::write(
                folder.join(".npmrc"),
                format!("allow-file={setting}\nallow-directory={setting}"),
            )
            .unwrap();
        }
        let npm = project.npm(&theirs, &["--replace-registry-host", "never"]);
        let own = project.lockwright(&ours, &[]);
        assert_eq!(
            (own.code, own.stderr.contains("allow-file=none forbids")),
            (npm.code, setting == "none")
        );
        if npm.code == 0 {
            assert_same(&project.temp, &ours, &theirs);
        }
        fs::remove_dir_all(project.temp.join("ours")).unwrap();
        fs::remove_dir_all(project.temp.join("theirs")).unwrap();
    }
}

#[test]
fn commits() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    let text = json!({ "name": "g", "version": "1.0.0" }).to_string();
    let (g, commit) = repository(&project.temp, "g.git", &[("package.json", 0o644, &text)]);
    let asked = "git+https://forge.example/t/g.git";
    let config = format!(
        "[safe]\n\tdirectory = *\n[url \"{g}\"]\n\tinsteadOf = https://forge.example/t/g.git\n"
    );
    project.temp.write("npm-home/.gitconfig", config);
    let mirror = format!("https://forge.example/t/g.git={g}");
    project
        .simple("a", json!({ "dependencies": { "g": asked } }))
        .entry(
            "node_modules/g",
            json!({ "version": "1.0.0", "resolved": format!("{asked}#{commit}") }),
        );
    let settings = ["allow-git=none", "allow-git=root", "allow-git=all"];
    under(&project, &settings, &["--mirror", &mirror]);
    project.root["dependencies"]["g"] = asked.into();
    under(&project, &settings, &["--mirror", &mirror]);
}

#[test]
fn what_cannot_be_followed_is_refused() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "local": "file:tools/local" },
    }));
    project
        .simple("a", json!({}))
        .file(
            "tools/local/package.json",
            &json!({ "name": "local", "version": "1.0.0" }).to_string(),
        )
        .entry(
            "node_modules/local",
            json!({ "resolved": "tools/local", "link": true }),
        )
        .entry("tools/local", json!({ "version": "1.0.0" }));
    let ours = project.write("ours");
    let said = |setting: &str, args: &[&str]| {
        fs::write(ours.join(".npmrc"), setting).unwrap();
        let said = project.lockwright(&ours, args).exit(1).stderr;
        assert!(!ours.join("node_modules").exists());
        said
    };
    for (setting, args, why) in [
        (
            "allow-git=nobody",
            &[][..],
            "allow-git=nobody, of .npmrc or npm_config_*, must be all, root or none",
        ),
        (
            "install-strategy=linked",
            &[],
            "install-strategy=linked, of .npmrc",
        ),
        ("install-links=true", &[], "install-links=true, of .npmrc"),
        ("dry-run=true", &[], "dry-run=true is set"),
        ("local-address=here", &[], "local-address=here, of .npmrc"),
        (
            "ignore-scripts=true",
            &["--allow-scripts", "a"],
            "ignore-scripts=true is set",
        ),
        ("offline=true", &[], "--offline"),
        (
            "proxy=http://127.0.0.1:1/",
            &["--retries", "0"],
            "a-1.0.0.tgz",
        ),
    ] {
        let said = said(setting, args);
        assert!(said.contains(why), "{setting}: {said}");
    }
    fs::write(ours.join(".npmrc"), b"registry=\xff").unwrap();
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    assert!(
        said.contains("cannot read") && said.contains(".npmrc"),
        "{said}"
    );
    fs::write(ours.join(".npmrc"), "").unwrap();
    let mirror = format!("{REGISTRY}={}", project.server.url("/"));
    let said = common::lockwright(&project.temp)
        .args(["sync", ours.as_str(), "--mirror", &mirror])
        .env("npm_config_allow_file", "nobody")
        .run();
    assert!(said.exit(1).stderr.contains("allow-file=nobody"));
}

#[test]
fn peers_that_do_not_fit_where_that_counts() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "b": "^1.0.0" },
    }));
    project
        .simple("a", json!({ "peerDependencies": { "b": "^2.0.0" } }))
        .simple("b", json!({}));
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    fs::write(ours.join(".npmrc"), "strict-peer-deps=true").unwrap();
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    assert!(
        said.contains(
            "node_modules/a needs b ^2.0.0, and the lock has 1.0.0, and strict-peer-deps"
        ),
        "{said}"
    );
    project.packages["node_modules/a"]["peerDependencies"]["b"] = "^1.0.0".into();
    let strict = project.write("strict");
    fs::write(strict.join(".npmrc"), "strict-peer-deps=true").unwrap();
    project
        .npm(&project.write("theirs"), &["--strict-peer-deps"])
        .ok();
    project.lockwright(&strict, &[]).ok();
}

/// Every setting that npm knows is one that the documentation says something of.
#[test]
fn every_setting_of_npms_is_decided() {
    let node = common::node();
    let module = node.parent().unwrap().parent().unwrap();
    let module = module.join("lib/node_modules/npm/node_modules/@npmcli/config/lib/definitions");
    let script = format!("console.log(Object.keys(require('{module}').definitions).join(' '))");
    let known = common::run(&node, ["-e", &script]);
    let text = fs::read_to_string(common::project().join("docs/npm-settings.md")).unwrap();
    let told = text.split('`').skip(1).step_by(2);
    let told: Vec<&str> = told.filter_map(|said| said.split('=').next()).collect();
    let silent: Vec<&str> = known
        .split_whitespace()
        .filter(|key| !told.contains(key))
        .collect();
    assert!(
        known.split_whitespace().count() > 100 && silent.is_empty(),
        "not told: {silent:?}"
    );
}
