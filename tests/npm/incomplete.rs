//! Locks that lack something: npm says what, and so does lockwright, whatever is left out or optional.

use serde_json::json;

use crate::common::{self, Run as _};
use crate::registry::Project;

/// npm names what is missing, and so do `sync` and `plan`; nothing is placed.
#[track_caller]
fn is_missing(project: &Project, name: &str) {
    for old in ["ours", "theirs"] {
        let _ = std::fs::remove_dir_all(project.temp.join(old));
    }
    for args in [&[][..], &["--omit", "optional"], &["--omit", "dev"]] {
        let (ours, theirs) = (project.write("ours"), project.write("theirs"));
        let said = project.npm(&theirs, args).exit(1).stderr;
        assert!(
            said.contains(&format!("Missing: {name}@1.0.0 from lock file")),
            "{said}"
        );
        let said = project.lockwright(&ours, args).exit(1).stderr;
        assert!(
            said.contains(name) && said.contains("npm install --package-lock-only"),
            "{said}"
        );
        assert!(!ours.join("node_modules").exists());
        let mut plan = common::lockwright(&project.temp);
        let said = plan
            .args(["plan", ours.as_str()])
            .args(args)
            .run()
            .exit(1)
            .stderr;
        assert!(said.contains(name), "{said}");
    }
}

#[test]
fn the_platform_packages_of_an_optional_dependency() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "tool": "^1.0.0" },
    }));
    project
        .simple(
            "tool",
            json!({ "optionalDependencies": { "@tool/linux": "1.0.0", "@tool/mac": "1.0.0" } }),
        )
        .simple("@tool/linux", json!({ "optional": true, "os": ["linux"] }))
        .simple("@tool/mac", json!({ "optional": true, "os": ["darwin"] }));
    project.is_as_npm_has_it(&[]);
    // npm asks for what another machine needs, too.
    project.lose("node_modules/@tool/mac");
    is_missing(&project, "@tool/mac");
    project.lose("node_modules/@tool/linux");
    is_missing(&project, "@tool/linux");
}

#[test]
fn what_only_optional_packages_need_and_those_of_the_project_itself() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "optionalDependencies": { "o": "^1.0.0", "mac": "^1.0.0", "own": "^1.0.0" },
    }));
    project
        .simple(
            "o",
            json!({ "optional": true, "dependencies": { "below": "^1.0.0" } }),
        )
        .simple("below", json!({ "optional": true }))
        .simple(
            "mac",
            json!({ "optional": true, "os": ["darwin"], "dependencies": { "deep": "^1.0.0" } }),
        )
        .simple("deep", json!({ "optional": true }))
        .simple("own", json!({ "optional": true }));
    let lost = |name: &str, project: &mut Project| {
        let place = format!("node_modules/{name}");
        let kept = project.packages[&place].clone();
        project.lose(&place);
        is_missing(project, name);
        project.entry(&place, kept);
    };
    for name in ["below", "deep", "own"] {
        lost(name, &mut project);
    }
}

#[test]
fn peers_unless_they_are_optional() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }));
    project
        .simple(
            "a",
            json!({ "peerDependencies": { "p": "^1.0.0", "q": "^1.0.0" },
            "peerDependenciesMeta": { "q": { "optional": true } } }),
        )
        .simple("p", json!({ "peer": true }))
        .simple("q", json!({ "peer": true }))
        .lose("node_modules/q");
    project.is_as_npm_has_it(&[]);
    project.lose("node_modules/p");
    is_missing(&project, "p");
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).exit(1);
    for folder in ["ours", "theirs"] {
        project
            .temp
            .write(&format!("{folder}/project/.npmrc"), "legacy-peer-deps=true");
    }
    project.is_as_npm_has_it(&[]);
}

#[test]
fn a_workspace_that_the_folder_has() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*", "!packages/not"],
        "dependencies": { "a": "^1.0.0" },
    }));
    let about = |name: &str| json!({ "name": name, "version": "1.0.0" }).to_string();
    project
        .simple("a", json!({}))
        .file("packages/one/package.json", &about("one"))
        .file("packages/not/package.json", &about("not"))
        .entry(
            "node_modules/one",
            json!({ "resolved": "packages/one", "link": true }),
        )
        .entry("packages/one", json!({ "version": "1.0.0" }));
    project.is_as_npm_has_it(&[]);
    project.file("packages/two/package.json", &about("two"));
    is_missing(&project, "two");
}

#[test]
fn a_workspace_that_the_folder_has_no_longer_goes() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["packages/*"], "dependencies": { "a": "^1.0.0" },
    }));
    let gone = json!({ "version": "1.0.0", "dependencies": { "b": "^1.0.0" } });
    project
        .simple("a", json!({}))
        .simple("b", json!({}))
        .entry(
            "node_modules/gone",
            json!({ "resolved": "packages/gone", "link": true }),
        )
        .entry("packages/gone", gone);
    let ours = project.is_as_npm_has_it(&[]);
    assert!(!ours.join("node_modules/b").exists() && !ours.join("node_modules/gone").is_symlink());
}

#[test]
fn workspaces_of_one_name_or_of_no_pattern() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "workspaces": ["x/*", "y/*"],
    }));
    let about = json!({ "name": "one", "version": "1.0.0" }).to_string();
    project
        .file("x/one/package.json", &about)
        .file("y/one/package.json", &about);
    project.npm(&project.write("theirs"), &[]).exit(1);
    let said = project
        .lockwright(&project.write("ours"), &[])
        .exit(1)
        .stderr;
    assert!(
        said.contains("x/one") && said.contains("y/one") && said.contains("both called one"),
        "{said}"
    );
    project.root["workspaces"] = "x/*".into();
    project.npm(&project.write("theirs"), &[]).exit(1);
    let said = project
        .lockwright(&project.write("ours"), &[])
        .exit(1)
        .stderr;
    assert!(
        said.contains("package.json:4") && said.contains("`workspaces` is a list"),
        "{said}"
    );
}
