//! What else can be typed: workspaces, logins, `plan` and `fetch`.

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::common::{self, Run as _};
use crate::registry::{Project, REGISTRY, assert_same, file};

fn with_workspaces() -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "workspaces": ["packages/*"], "dependencies": { "own": "^1.0.0" },
    }));
    project
        .file(
            "packages/one/package.json",
            &json!({ "name": "one", "version": "1.0.0",
            "dependencies": { "a": "^1.0.0", "two": "^1.0.0" } })
            .to_string(),
        )
        .file(
            "packages/two/package.json",
            &json!({ "name": "two", "version": "1.0.0",
            "dependencies": { "b": "^1.0.0" } })
            .to_string(),
        )
        .file(
            "packages/three/package.json",
            &json!({ "name": "three", "version": "1.0.0",
            "dependencies": { "c": "^1.0.0" } })
            .to_string(),
        );
    for (name, needs) in [
        ("one", json!({ "a": "^1.0.0", "two": "^1.0.0" })),
        ("two", json!({ "b": "^1.0.0" })),
        ("three", json!({ "c": "^1.0.0" })),
    ] {
        let folder = format!("packages/{name}");
        project.entry(
            &format!("node_modules/{name}"),
            json!({ "resolved": folder, "link": true }),
        );
        project.entry(
            &folder,
            json!({ "version": "1.0.0", "dependencies": needs }),
        );
    }
    project
        .simple("a", json!({ "bin": { "a": "index.js" } }))
        .simple("b", json!({ "dependencies": { "d": "^1.0.0" } }))
        .simple("c", json!({}))
        .simple("d", json!({}))
        .simple("own", json!({}));
    project
}

#[test]
fn workspaces_alone() {
    let project = with_workspaces();
    for args in [
        &["--workspace", "two"][..],
        &["-w", "one"],
        &["--workspace", "packages/three"],
        &["--workspace", "two", "--include-workspace-root"],
    ] {
        project.is_as_npm_has_it(args);
        fs::remove_dir_all(project.temp.join("ours")).unwrap();
        fs::remove_dir_all(project.temp.join("theirs")).unwrap();
    }
    let said = project
        .lockwright(&project.write("ours"), &["-w", "four"])
        .exit(1)
        .stderr;
    assert!(
        said.contains("no workspace `four`; there are `one`, `three`, `two`"),
        "{said}"
    );
}

#[test]
fn registries_and_logins_of_npmrc() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "@s/a": "^1.0.0" },
    }));
    project.simple("@s/a", json!({ "resolved": null }));
    let path = "/@s/a/-/a-1.0.0.tgz";
    let old = "/@s/a/-/@s-a-1.0.0.tgz";
    let bytes = ureq_like(&project, old);
    project.server.put(path, bytes);
    project.server.require_auth("me", "secret");
    let ours = project.write("ours");
    let run = |lines: &str| {
        let base = project.server.url("/");
        let place = base.trim_start_matches("http:");
        fs::write(
            ours.join(".npmrc"),
            format!("@s:registry={base}\n{}", lines.replace("HERE", place)),
        )
        .unwrap();
        fs::remove_dir_all(project.temp.join("store")).ok();
        fs::remove_dir_all(ours.join("node_modules")).ok();
        common::lockwright(&project.temp)
            .args(["sync", ours.as_str()])
            .env("PASS", "c2VjcmV0")
            .run()
    };
    let said = run("").exit(1).stderr;
    assert!(said.contains("401"), "{said}");
    run("HERE:_auth=bWU6c2VjcmV0\n").ok();
    run("HERE:username=me\nHERE:_password=${PASS}\n").ok();
    run("HERE:_authToken=wrong\nHERE:_auth=bWU6c2VjcmV0\n").exit(1);
    let asked = project.server.requests_of(path);
    assert_eq!(
        asked.last().unwrap().headers["authorization"],
        "Bearer wrong"
    );
}

/// The bytes that the project's server has at a path.
fn ureq_like(project: &Project, path: &str) -> Vec<u8> {
    use std::io::{Read as _, Write as _};
    let mut stream =
        std::net::TcpStream::connect((project.server.host(), project.server.port())).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let head = all.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    all.split_off(head + 4)
}

#[test]
fn plan_says_what_would_be_placed_and_fetch_brings_it_in() {
    let mut project = with_workspaces();
    project.simple("mac", json!({ "optional": true, "os": ["darwin"] }));
    project.root["optionalDependencies"] = json!({ "mac": "*" });
    let folder = project.write("ours");
    let run = |args: &[&str]| {
        let mirror = format!("{REGISTRY}={}", project.server.url("/"));
        let mut command = common::lockwright(&project.temp);
        command.args(args).arg(&folder);
        if args[0] != "plan" {
            command.args(["--mirror", &mirror]);
        }
        command.run()
    };
    let text = run(&[
        "plan",
        "--os",
        "linux",
        "--cpu",
        "x64",
        "--libc",
        "glibc",
        "--node-version",
        "24.1.0",
    ])
    .ok()
    .stdout;
    assert!(
        text.ends_with("11 packages and 1 program for linux-x64-glibc, node 24.1.0\n"),
        "{text}"
    );
    assert!(
        text.contains("node_modules/one           link to packages/one"),
        "{text}"
    );
    let plan = run(&["plan", "--json", "--os", "darwin"]).ok().json();
    let places: Vec<_> = plan["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["location"].as_str().unwrap())
        .collect();
    assert!(places.contains(&"node_modules/mac"), "{places:?}");
    assert!(!folder.join("node_modules").exists());

    let said = run(&["fetch"]).ok().stderr;
    assert!(
        said.starts_with("Fetched 5 artifacts: 5 from the network"),
        "{said}"
    );
    run(&["sync", "--offline"]).ok();
    let vendor = project.temp.join("vendor");
    run(&["fetch", "--vendor", vendor.as_str()]).ok();
    fs::remove_dir_all(project.temp.join("store")).unwrap();
    fs::remove_dir_all(folder.join("node_modules")).unwrap();
    run(&["sync", "--offline", "--find-links", vendor.as_str()]).ok();
    assert!(folder.join("node_modules/a/index.js").is_file());
}

#[test]
fn files_are_shared_with_the_store_and_an_edit_is_noticed() {
    use std::os::unix::fs::MetadataExt as _;
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "b": "npm:a@^1.0.0" },
    }));
    let about = file(
        "package/package.json",
        0o644,
        r#"{ "name": "a", "version": "1.0.0" }"#,
    );
    let members = [
        about,
        file("package/cli.js", 0o644, "#!/usr/bin/env node\r\n"),
        file("package/lib/x.js", 0o755, "x"),
        file("package/lib/.gitignore", 0o644, "y"),
    ];
    project.package("a", &members, json!({ "bin": { "a": "cli.js" } }));
    let mut b = project.packages["node_modules/a"].clone();
    b["name"] = "a".into();
    project.entry("node_modules/b", b);
    let theirs = project.write("theirs");
    project.npm(&theirs, &[]).ok();
    for mode in ["hardlink", "reflink"] {
        let ours = project.write(mode);
        let sync = || {
            fs::remove_dir_all(ours.join("node_modules")).ok();
            project.lockwright(&ours, &["--link-mode", mode]).ok();
            assert_same(&project.temp, &ours, &theirs);
        };
        // Once while it is unpacked, once from what is.
        sync();
        sync();
        let links = |path: &str| fs::metadata(ours.join(path)).unwrap().nlink();
        let shared = if mode == "hardlink" { 3 } else { 1 };
        assert_eq!(
            links("node_modules/a/lib/x.js"),
            shared,
            "the store's, a's and b's"
        );
        assert_eq!(
            links("node_modules/a/cli.js"),
            1,
            "a program is its tree's own"
        );
        for file in ["package.json", "lib/.npmignore", "lib/x.js"] {
            fs::write(ours.join("node_modules/a").join(file), "edited").unwrap();
            sync();
        }
    }
    // What is copied comes, from the second time on, from what was kept uncompressed.
    fs::remove_dir_all(project.temp.join("store")).unwrap();
    let ours = project.write("copy");
    let contents = project.temp.join("store/v1/contents");
    let sync = |args: &[&str]| {
        fs::remove_dir_all(ours.join("node_modules")).ok();
        project.lockwright(&ours, args).ok();
        assert_same(&project.temp, &ours, &theirs);
        kept_bytes(&contents).len()
    };
    assert_eq!(sync(&[]), 0);
    assert_eq!(sync(&["--store-packed"]), 0);
    assert_eq!((sync(&[]), sync(&[])), (1, 1));
    let kept = kept_bytes(&contents).remove(0);
    fs::remove_file(&kept).unwrap();
    fs::write(&kept, "damaged").unwrap();
    assert_eq!(sync(&[]), 1);
    assert!(fs::read(&kept).unwrap() != b"damaged", "it was made anew");
}

/// The artifacts that are kept uncompressed.
fn kept_bytes(contents: &Utf8Path) -> Vec<Utf8PathBuf> {
    let folders = contents.read_dir_utf8().into_iter().flatten();
    let files = folders.map(|folder| folder.unwrap().into_path().join("bytes"));
    files.filter(|file| file.exists()).collect()
}

#[test]
fn rotten_tarballs_commits_and_unpacked_files_are_had_again() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "a": "^1.0.0", "g": "git+https://forge.example/g.git" },
    }));
    project.simple("a", json!({}));
    let about = json!({ "name": "g", "version": "1.0.0" }).to_string();
    let files = [("package.json", 0o644, &*about), ("main.js", 0o644, "main")];
    let (g, commit) = super::git::repository(&project.temp, "g.git", &files);
    let resolved = format!("git+https://forge.example/g.git#{commit}");
    project.entry(
        "node_modules/g",
        json!({ "version": "1.0.0", "resolved": resolved }),
    );
    let mirror = format!("https://forge.example/g.git={g}");
    let (first, ours) = (project.write("first"), project.write("ours"));
    let sync = |folder: &Utf8Path, mode: &str| {
        fs::remove_dir_all(folder.join("node_modules")).ok();
        let args = ["--mirror", &mirror, "--link-mode", mode];
        project.lockwright(folder, &args).ok().stderr
    };
    sync(&first, "copy");
    let store = project.temp.join("store");
    let contents = store.join("v1/contents");
    for mode in ["copy", "hardlink"] {
        assert_eq!(common::rot(&store), 2);
        let said = sync(&ours, mode);
        assert_eq!(
            said.matches("in the store has changed (").count(),
            2,
            "{said}"
        );
        assert_same(&project.temp, &ours, &first);
        fs::remove_dir_all(&contents).ok();
    }
    sync(&ours, "hardlink");
    // What a file system's own rot changes keeps its time.
    let folders = contents.read_dir_utf8().unwrap();
    let files = folders.map(|folder| folder.unwrap().into_path().join("files"));
    let files: Vec<_> = files.filter(|files| files.is_dir()).collect();
    let [files] = &files[..] else {
        panic!("one is extracted: {files:?}");
    };
    let verify = |args: &[&str]| {
        let mut verify = common::lockwright(&project.temp);
        verify.args(["store", "verify"]).args(args).run()
    };
    verify(&["--remove"]).exit(1);
    verify(&[]).ok();
    let change = |name: &str, from: &str, to: &str| {
        let path = files.join(name);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(time).unwrap();
    };
    change("index.js", "a", "b");
    assert!(verify(&[]).exit(1).stdout.contains("/files was changed"));
    verify(&["--remove"]).exit(1);
    sync(&ours, "hardlink");
    assert_same(&project.temp, &ours, &first);
    change("package.json", "\"a\"", "\"b\"");
    let said = sync(&ours, "hardlink");
    assert!(said.contains("it was changed"), "{said}");
    assert_same(&project.temp, &ours, &first);
}

#[test]
fn a_second_sync_has_nothing_to_do_until_something_changes() {
    let project = with_workspaces();
    let ours = project.write("ours");
    let sync = |args: &[&str]| {
        project
            .lockwright(&ours, &[&["--json"], args].concat())
            .ok()
            .json()
    };
    let changed = |args: &[&str]| sync(args)["changed"].as_bool().unwrap();
    assert!(changed(&[]));
    assert!(!changed(&[]) && !changed(&[]));
    fs::remove_file(ours.join("node_modules/.bin/a")).unwrap();
    assert!(changed(&[]) && !changed(&[]));
    fs::remove_dir_all(ours.join("node_modules/b")).unwrap();
    assert!(changed(&[]) && !changed(&[]));
    std::thread::sleep(std::time::Duration::from_millis(20));
    fs::create_dir(ours.join("node_modules/stray")).unwrap();
    assert!(changed(&[]) && !changed(&[]));
    fs::create_dir(ours.join("packages/one/node_modules")).unwrap();
    assert!(changed(&[]) && !changed(&[]));
    assert!(changed(&["-w", "two"]) && !changed(&["-w", "two"]));
    assert!(changed(&["--clear"]) && changed(&["--clear"]));
    assert!(changed(&["--reinstall"]) && changed(&["--reinstall-package", "a"]));
}

/// A change in the project's folder.
type Change = fn(&camino::Utf8Path);

#[test]
fn whatever_is_changed_inside_of_a_package_is_noticed_and_mended() {
    let project = with_workspaces();
    let [ours, theirs] = ["ours", "theirs"].map(|name| project.write(name));
    project.npm(&theirs, &[]).ok();
    let changed = || {
        let ran = project.lockwright(&ours, &["--json"]).ok();
        ran.json()["changed"].as_bool().unwrap()
    };
    assert!(changed());
    let changes: [(&str, Change); 7] = [
        ("as long and as old", |ours| {
            let path = ours.join("node_modules/b/index.js");
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            fs::write(&path, bytes).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(modified).unwrap();
        }),
        ("removed", |ours| {
            fs::remove_file(ours.join("node_modules/b/index.js")).unwrap();
        }),
        ("added", |ours| {
            fs::write(ours.join("node_modules/b/new.js"), "").unwrap();
        }),
        ("an empty folder", |ours| {
            fs::create_dir(ours.join("node_modules/b/new")).unwrap();
        }),
        ("another mode", |ours| {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(ours.join("node_modules/b/index.js"), mode).unwrap();
        }),
        ("npm's own record", |ours| {
            fs::write(ours.join("node_modules/.package-lock.json"), "{}").unwrap();
        }),
        ("a link that leads elsewhere", |ours| {
            fs::remove_file(ours.join("node_modules/one")).unwrap();
            std::os::unix::fs::symlink("../packages/two", ours.join("node_modules/one")).unwrap();
        }),
    ];
    for (what, change) in changes {
        assert!(!changed(), "before: {what}");
        change(&ours);
        assert!(changed(), "{what}");
        assert_same(&project.temp, &ours, &theirs);
    }
    // What tools keep in there is theirs.
    fs::create_dir_all(ours.join("node_modules/.cache/babel")).unwrap();
    fs::write(ours.join("node_modules/.cache/babel/x.json"), "{}").unwrap();
    assert!(!changed());
    // Without a stamp nothing vouches for the tree.
    fs::remove_dir_all(project.temp.join("store/v1/stamps")).unwrap();
    assert!(changed() && !changed());
}
