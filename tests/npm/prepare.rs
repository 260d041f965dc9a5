//! Git dependencies that have to be prepared before they are packed: beside what npm makes of them.

use std::fs;

use camino::Utf8PathBuf;
use serde_json::{Value, json};

use crate::common::Run as _;
use crate::git::repository;
use crate::registry::{Project, about, assert_same, file, merge};

const URL: &str = "https://forge.example/g.git";

/// A project that needs `g` from git, which needs `tool` and `helper` for its scripts.
struct Case {
    project: Project,
    repository: Utf8PathBuf,
}

/// `change` is what is different about g's package.json; `lock`, whether g has a lock.
fn case(change: &Value, lock: bool, entry: &Value) -> Case {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "g": format!("git+{URL}") },
    }));
    let tool = "#!/usr/bin/env node
const fs = require('fs'); fs.mkdirSync('dist', { recursive: true });
fs.writeFileSync('dist/index.js', 'made with ' + require('helper') + ' by ' + process.env.npm_lifecycle_event
  + ' of ' + process.env.npm_package_name + ' ' + process.env.npm_package_config_colour);
fs.writeFileSync('dist/cli.js', '#!/usr/bin/env node\\n', { mode: 0o755 });
fs.symlinkSync('index.js', 'dist/link.js');
";
    project
        .package(
            "tool",
            &[
                about(&json!({ "name": "tool", "version": "1.0.0", "bin": "tool.js",
                    "dependencies": { "helper": "^1.0.0" } })),
                file("package/tool.js", 0o644, tool),
            ],
            json!({ "dev": true, "bin": { "tool": "tool.js" }, "dependencies": { "helper": "^1.0.0" } }),
        )
        .package(
            "helper",
            &[
                about(&json!({ "name": "helper", "version": "1.0.0" })),
                file("package/index.js", 0o644, "module.exports = 42"),
            ],
            json!({ "dev": true }),
        );
    let mut said = json!({
        "name": "g", "version": "1.0.0", "files": ["dist"], "bin": { "g": "dist/cli.js" },
        "config": { "colour": "blue" }, "devDependencies": { "tool": "^1.0.0" },
        "scripts": { "prepare": "rm -rf dist && tool" },
    });
    merge(&mut said, change);
    // The registry as it is: npm takes git's host for the registry's otherwise.
    let mut packages = project.packages.clone();
    for entry in packages.values_mut() {
        let path = entry["resolved"].as_str().unwrap();
        let path = path.trim_start_matches(crate::registry::REGISTRY);
        entry["resolved"] = project.server.url(&format!("/{path}")).into();
    }
    packages.insert(String::new(), said.clone());
    let inner = json!({ "name": "g", "lockfileVersion": 3, "packages": packages });
    let (said, inner) = (said.to_string(), inner.to_string());
    let mut files = vec![
        ("package.json", 0o644, said.as_str()),
        ("src/index.ts", 0o644, "source"),
        (".gitignore", 0o644, "dist\nnode_modules\n"),
    ];
    if lock {
        files.push(("package-lock.json", 0o644, inner.as_str()));
    }
    let (repository, commit) = repository(&project.temp, "g.git", &files);
    project.packages.clear();
    let mut placed = json!({
        "version": "1.0.0", "resolved": format!("git+{URL}#{commit}"), "bin": { "g": "dist/cli.js" },
    });
    merge(&mut placed, entry);
    project.entry("node_modules/g", placed);
    let config = format!("[safe]\n\tdirectory = *\n[url \"{repository}\"]\n\tinsteadOf = {URL}\n");
    project.temp.write("npm-home/.gitconfig", config);
    Case {
        project,
        repository,
    }
}

impl Case {
    fn sync(&self, name: &str, args: &[&str]) -> (Utf8PathBuf, crate::common::Ran) {
        let ours = self.project.write(name);
        let mirror = format!("{URL}={}", self.repository);
        let ran = self
            .project
            .lockwright(&ours, &[&["--mirror", &mirror], args].concat());
        (ours, ran)
    }

    fn npm(&self) -> Utf8PathBuf {
        let theirs = self.project.write("theirs");
        let args = ["--replace-registry-host", "never"];
        self.project.npm_with_scripts(&theirs, &args).ok();
        theirs
    }
}

#[test]
fn it_is_prepared_with_what_its_lock_names_as_npm_does_it() {
    let case = case(&json!({}), true, &json!({}));
    let theirs = case.npm();
    let (ours, ran) = case.sync("ours", &["--allow-scripts", "g"]);
    let ran = ran.ok();
    assert!(!ran.stderr.contains("from git, without"), "{}", ran.stderr);
    assert_same(&case.project.temp, &ours, &theirs);
    let made = fs::read_to_string(ours.join("node_modules/g/dist/index.js")).unwrap();
    assert_eq!(made, "made with 42 by prepare of g blue");

    // Once: then it is in the store, and neither git nor a registry is asked.
    fs::remove_dir_all(&case.repository).unwrap();
    let (again, ran) = case.sync("again", &["--allow-scripts", "g", "--offline"]);
    ran.ok();
    assert_same(&case.project.temp, &again, &theirs);
}

#[test]
fn what_one_machine_prepared_another_takes_if_it_trusts_the_key() {
    let case = case(&json!({}), true, &json!({}));
    let temp = &case.project.temp;
    let file = temp.join("ci.key");
    let mut keygen = crate::common::lockwright(temp);
    keygen.args(["store", "keygen", "ci", "--out", file.as_str()]);
    let public = keygen.run().ok().stdout.trim().to_owned();
    let remote = temp.join("shared");
    let shared = ["--allow-scripts", "g", "--remote", remote.as_str()];
    let sync = |name: &str, more: &[&str]| {
        let store = temp.join(format!("store-{name}"));
        case.sync(
            name,
            &[&shared[..], &["--store", store.as_str()], more].concat(),
        )
    };
    let (first, ran) = sync("first", &["--remote-push", "--remote-key", file.as_str()]);
    ran.ok();
    // There is nothing that could be cloned, and nothing to prepare it with.
    fs::remove_dir_all(&case.repository).unwrap();
    let (second, ran) = sync("second", &["--offline", "--remote-trust", &public]);
    let ran = ran.ok();
    assert!(!ran.stderr.contains("warning"), "{ran}");
    assert_same(temp, &second, &first);
    let (_, ran) = sync("third", &["--offline"]);
    assert!(ran.exit(1).stderr.contains("g.git"));
}

#[test]
fn all_scripts_of_its_folder_are_run_in_their_order() {
    let scripts = json!({
        "preinstall": "mkdir -p dist && echo preinstall > dist/order", "install": "echo install >> dist/order",
        "postinstall": "echo postinstall >> dist/order", "preprepare": "echo preprepare >> dist/order",
        "prepare": "grep -q ^prepare dist/order || echo prepare >> dist/order",
        "postprepare": "echo postprepare >> dist/order", "build": "exit 1", "prepack": "exit 1",
    });
    // Not run where it is placed as well, which would say the same once more.
    let change = json!({ "scripts": scripts, "devDependencies": null, "bin": null });
    let case = case(&change, false, &json!({ "bin": null }));
    let (ours, ran) = case.sync("ours", &["--allow-scripts", "g"]);
    ran.ok();
    let read = |root: &Utf8PathBuf| {
        let text = fs::read_to_string(root.join("node_modules/g/dist/order")).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(read(&ours), read(&case.npm()));
}

#[test]
fn what_is_not_allowed_is_told() {
    let case = case(&json!({}), true, &json!({}));
    let (ours, ran) = case.sync("ours", &[]);
    let said = ran.ok().stderr;
    assert!(
        said.contains(
            "git dependencies were not run: node_modules/g; --allow-scripts NAME runs them"
        ),
        "{said}"
    );
    assert!(!ours.join("node_modules/g/dist").exists());
}

#[test]
fn without_a_lock_nothing_says_what_it_needs() {
    let case = case(&json!({}), false, &json!({}));
    let (ours, ran) = case.sync("ours", &["--allow-scripts", "g"]);
    let said = ran.exit(1).stderr;
    for why in [
        "g of https://forge.example/g.git#",
        "it has no package-lock.json that says what that is",
        "leave g out of --allow-scripts",
        "npm pack",
    ] {
        assert!(said.contains(why), "no `{why}` in: {said}");
    }
    assert!(!ours.join("node_modules").exists());
}

#[test]
fn one_that_fails_says_what_its_script_said() {
    let change = json!({ "scripts": { "prepare": "echo no compiler here; exit 7" } });
    let case = case(&change, true, &json!({}));
    let (ours, ran) = case.sync("ours", &["--allow-scripts", "g"]);
    let said = ran.exit(1).stderr;
    assert!(
        said.contains("the prepare script of g 1.0.0 ended with exit code 7:\n  no compiler here"),
        "{said}"
    );
    assert!(!ours.join("node_modules").exists());
}

#[test]
fn one_that_is_optional_and_fails_is_left_out_as_npm_leaves_it_out() {
    let change = json!({ "scripts": { "prepare": "exit 7" } });
    let mut case = case(&change, true, &json!({ "optional": true }));
    let needs = case.project.root["dependencies"].take();
    case.project.root =
        json!({ "name": "project", "version": "1.0.0", "optionalDependencies": needs });
    let other = json!({ "name": "a", "version": "1.0.0" });
    case.project
        .file("tools/a/package.json", &other.to_string());
    case.project.root["dependencies"] = json!({ "a": "file:tools/a" });
    case.project
        .entry(
            "node_modules/a",
            json!({ "resolved": "tools/a", "link": true }),
        )
        .entry("tools/a", json!({ "version": "1.0.0" }));
    let theirs = case.npm();
    let (ours, ran) = case.sync("ours", &["--allow-scripts", "g"]);
    let said = ran.ok().stderr;
    assert!(
        said.contains("node_modules/g is optional and is left out: g of"),
        "{said}"
    );
    assert_same(&case.project.temp, &ours, &theirs);
}

#[test]
fn a_link_that_leads_out_of_the_commit_is_refused() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "g": format!("git+{URL}") },
    }));
    let folder = project.temp.join("forge/g.git/packages");
    fs::create_dir_all(&folder).unwrap();
    let outside = project.temp.join("outside");
    fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, folder.join("one")).unwrap();
    let said = json!({ "name": "g", "version": "1.0.0", "workspaces": ["packages/*"],
        "scripts": { "prepare": "true" } });
    let (repository, commit) = repository(
        &project.temp,
        "g.git",
        &[("package.json", 0o644, &said.to_string())],
    );
    project.entry(
        "node_modules/g",
        json!({ "version": "1.0.0", "resolved": format!("git+{URL}#{commit}") }),
    );
    let mirror = format!("{URL}={repository}");
    let args = ["--mirror", mirror.as_str(), "--allow-scripts", "g"];
    let said = project
        .lockwright(&project.write("ours"), &args)
        .exit(1)
        .stderr;
    assert!(
        said.contains("its file packages/one is a link that leads out of it"),
        "{said}"
    );
    assert_eq!(outside.read_dir_utf8().unwrap().count(), 0);
}

#[test]
fn what_it_needs_is_fetched_and_vendored_with_the_rest() {
    let case = case(&json!({}), true, &json!({}));
    let folder = case.project.write("ours");
    let vendor = case.project.temp.join("vendor");
    let mirror = format!("{URL}={}", case.repository);
    let fetch = crate::common::lockwright(&case.project.temp)
        .args([
            "fetch",
            folder.as_str(),
            "--mirror",
            &mirror,
            "--allow-scripts",
            "g",
        ])
        .args(["--vendor", vendor.as_str()])
        .run()
        .ok();
    assert!(
        fetch
            .stderr
            .contains("Fetched 2 artifacts: 2 from the network"),
        "{}",
        fetch.stderr
    );
    fs::remove_dir_all(&case.repository).unwrap();
    fs::remove_dir_all(case.project.temp.join("store")).unwrap();
    let args = [
        "--allow-scripts",
        "g",
        "--offline",
        "--find-links",
        vendor.as_str(),
    ];
    case.project.lockwright(&folder, &args).ok();
    assert!(folder.join("node_modules/g/dist/cli.js").is_file());
}
