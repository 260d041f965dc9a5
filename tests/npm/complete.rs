//! `lockwright complete`: what npm wrote and then lost comes back, to the byte.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use lockwright::core::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::common::{self, Ran, Run as _, Temp};
use crate::peers::real_registry;
use crate::registry::{Project, REGISTRY, npm};

fn complete(temp: &Temp, lock: &Utf8Path, registry: &str, args: &[&str]) -> Ran {
    let mirror = format!("{REGISTRY}={registry}");
    common::lockwright(temp)
        .args([
            "complete",
            lock.as_str(),
            "--mirror",
            &mirror,
            "--retries",
            "0",
        ])
        .args(args)
        .env("PATH", "/nowhere")
        .run()
}

/// A lock's text without some of what it says of packages: `is_lost(field, how many of it came before)`.
fn without(text: &str, is_lost: impl Fn(&str, usize) -> bool) -> String {
    let (mut seen, mut lost) = ([0, 0], 0);
    let mut lines: Vec<&str> = Vec::new();
    for line in text.split_inclusive('\n') {
        let field = ["resolved", "integrity"];
        let found = field
            .iter()
            .position(|field| line.trim().starts_with(&format!("\"{field}\": ")));
        // What leads to a folder does not come from a registry, nor is what a tarball brings.
        if let Some(which) = found.filter(|_| line.contains(REGISTRY) || line.contains("sha512-")) {
            seen[which] += 1;
            if is_lost(field[which], seen[which]) {
                lost += 1;
                // JSON has no comma behind the last member.
                if !line.trim_end().ends_with(',')
                    && let Some(last) = lines.last_mut()
                {
                    *last = last.trim_end_matches([',', '\n']);
                    lines.push("\n");
                }
                continue;
            }
        }
        lines.push(line);
    }
    assert!(lost > 0);
    lines.concat()
}

#[test]
fn what_npm_wrote_comes_back_to_the_byte() {
    for (fixture, half) in [
        ("npm-v2", false),
        ("npm-workspaces", false),
        ("npm-aliases-bundled", true),
    ] {
        let temp = Temp::new();
        let file = common::fixture(fixture).join("package-lock.json");
        let text = fs::read_to_string(file).unwrap();
        let lost = without(&text, |field, count| match (half, field) {
            (false, _) => true,
            (true, "resolved") => count % 2 == 0,
            (true, _) => count % 3 == 0,
        });
        let lock = temp.write("project/package-lock.json", &lost);
        temp.write("project/.npmrc", format!("registry={REGISTRY}\n"));
        let ran = complete(&temp, &lock, &real_registry(), &[]).ok();
        assert_eq!(
            fs::read_to_string(&lock).unwrap(),
            text,
            "{fixture}: {}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("added `resolved` of "),
            "{}",
            ran.stderr
        );
        let again = complete(&temp, &lock, &real_registry(), &[]).ok();
        assert!(again.stderr.contains("lacks nothing"), "{}", again.stderr);
    }
}

/// A registry's document of a package whose tarball the lock names.
fn document(project: &Project, place: &str, change: impl FnOnce(&mut Value)) -> Value {
    let entry = &project.packages[place];
    let tarball = entry["resolved"].as_str().unwrap();
    let tarball = tarball.replace(REGISTRY, &project.server.url("/"));
    let mut dist = json!({ "tarball": tarball, "integrity": entry["integrity"] });
    change(&mut dist);
    json!({ "name": "x", "versions": { "1.0.0": { "version": "1.0.0", "dist": dist } } })
}

/// Two packages of a registry that knows them.
fn project() -> Project {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0", "b": "^1.0.0" },
    }));
    project.simple("a", json!({})).simple("b", json!({}));
    for name in ["a", "b"] {
        let document = document(&project, &format!("node_modules/{name}"), |_| {});
        project
            .server
            .put(&format!("/{name}"), document.to_string());
    }
    project
}

#[test]
fn a_mirror_s_own_name_stays_out_and_the_file_keeps_its_form() {
    let project = project();
    let path = "@s/b/-/b-1.0.0.tgz";
    let integrity = Digest::of(Algorithm::Sha512, b"b").sri();
    let mut dist =
        json!({ "tarball": project.server.url(&format!("/{path}")), "integrity": integrity });
    let answer = json!({ "versions": { "1.0.0": { "dist": dist } } });
    project.server.put("/@s%2fb", answer.to_string());
    dist["resolved"] = format!("{REGISTRY}{path}").into();
    let (integrity, resolved) = (&dist["integrity"], &dist["resolved"]);
    let registry = project.server.url("/");
    let named = ["--registry", REGISTRY];
    for (lacking, whole) in [
        (
            r#"{"lockfileVersion":3,"packages":{"node_modules/@s/b":{"version":"1.0.0","dev":true}}}"#.to_owned(),
            format!(
                r#"{{"lockfileVersion":3,"packages":{{"node_modules/@s/b":{{"version":"1.0.0","resolved":{resolved},"integrity":{integrity},"dev":true}}}}}}"#
            ),
        ),
        (
            "{\r\n\t\"lockfileVersion\" : 3,\r\n\t\"packages\" : {\r\n\t\t\"node_modules/@s/b\" : {\r\n\t\t\t\"version\" : \"1.0.0\"\r\n\t\t}\r\n\t}\r\n}".to_owned(),
            format!(
                "{{\r\n\t\"lockfileVersion\" : 3,\r\n\t\"packages\" : {{\r\n\t\t\"node_modules/@s/b\" : {{\r\n\t\t\t\"version\" : \"1.0.0\",\r\n\t\t\t\"resolved\" : {resolved},\r\n\t\t\t\"integrity\" : {integrity}\r\n\t\t}}\r\n\t}}\r\n}}"
            ),
        ),
    ] {
        let lock = project.temp.write("form/package-lock.json", lacking.as_bytes());
        fs::set_permissions(&lock, fs::Permissions::from_mode(0o640)).unwrap();
        complete(&project.temp, &lock, &registry, &named).ok();
        assert_eq!(fs::read_to_string(&lock).unwrap(), whole);
        assert_eq!(fs::metadata(&lock).unwrap().permissions().mode() & 0o777, 0o640);
        // Where no `resolved` is wanted, none is put in.
        project.temp.write("form/.npmrc", "omit-lockfile-registry-resolved");
        fs::write(&lock, &lacking).unwrap();
        complete(&project.temp, &lock, &registry, &named).ok();
        let text = fs::read_to_string(&lock).unwrap();
        assert!(!text.contains("resolved") && text.contains("integrity"), "{text}");
        fs::remove_file(project.temp.join("form/.npmrc")).unwrap();
    }
}

#[test]
fn from_then_on_all_is_verified_and_npm_takes_it() {
    let mut project = project();
    project.packages["node_modules/a"]
        .as_object_mut()
        .unwrap()
        .shift_remove("integrity");
    let b = project.packages["node_modules/b"].as_object_mut().unwrap();
    b.shift_remove("integrity");
    b.shift_remove("resolved");
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    let registry = project.server.url("/");
    let said = project
        .lockwright(&ours, &["--registry", REGISTRY])
        .exit(1)
        .stderr;
    let expected = [
        "2 artifacts cannot be verified",
        "a-1.0.0.tgz (",
        "lockwright complete LOCK",
    ];
    assert!(expected.iter().all(|one| said.contains(one)), "{said}");
    for folder in [&ours, &theirs] {
        // The registry names itself here, as one that is no mirror does.
        let args = ["--registry", &registry, "--json"];
        let ran = complete(&project.temp, folder, &registry, &args).ok();
        let added = &ran.json()["added"];
        assert_eq!(
            added[0],
            json!({ "artifact": "node_modules/a", "fields": ["integrity"] })
        );
        assert_eq!(added[1]["fields"], json!(["integrity", "resolved"]));
    }
    npm(&project.temp, &theirs, &registry, &[]).ok();
    project.lockwright(&ours, &[]).ok();
    crate::registry::assert_same(&project.temp, &ours, &theirs);
}

#[test]
fn what_cannot_be_had_is_told_and_a_lie_is_refused() {
    let mut project = project();
    for name in ["gone", "old", "lost", "remote"] {
        project.simple(name, json!({ "integrity": null }));
    }
    let remote = "https://elsewhere.example/remote.tgz";
    project.packages["node_modules/remote"]["resolved"] = remote.into();
    project.packages["node_modules/lost"]
        .as_object_mut()
        .unwrap()
        .shift_remove("version");
    project
        .server
        .put("/gone", json!({ "versions": {} }).to_string());
    // Older than `integrity`: SHA-1, as npm takes it.
    let sha1 = Digest::of(Algorithm::Sha1, b"x");
    let old = document(&project, "node_modules/old", |dist| {
        *dist = json!({ "shasum": sha1.hex() });
    });
    project.server.put("/old", old.to_string());
    let lock = project.write("lock").join("package-lock.json");
    let before = fs::read_to_string(&lock).unwrap();
    let registry = project.server.url("/");
    let out = project.temp.join("completed.json");
    let ran = complete(
        &project.temp,
        &lock,
        &registry,
        &["--json", "--out", out.as_str()],
    )
    .exit(1);
    let said = ran.json();
    assert_eq!(said["added"][0]["artifact"], "node_modules/old");
    let left = said["left"].to_string();
    for why in [
        "does not have version 1.0.0",
        "does not say its version",
        "no registry says what is there",
    ] {
        assert!(left.contains(why), "{left}");
    }
    assert_eq!(fs::read_to_string(&lock).unwrap(), before);
    assert!(fs::read_to_string(&out).unwrap().contains(&sha1.sri()));
    assert!(
        ran.stderr.contains("3 artifacts still lacking"),
        "{}",
        ran.stderr
    );

    // The lock has a digest, and its registry another.
    let mut project = crate::complete::project();
    project.packages["node_modules/a"]
        .as_object_mut()
        .unwrap()
        .shift_remove("resolved");
    project.packages["node_modules/a"]["integrity"] =
        Digest::of(Algorithm::Sha512, b"other").sri().into();
    let lock = project.write("lie").join("package-lock.json");
    let before = fs::read_to_string(&lock).unwrap();
    let registry = project.server.url("/");
    let said = complete(&project.temp, &lock, &registry, &["--registry", REGISTRY])
        .exit(1)
        .stderr;
    assert!(
        said.contains("other digests than the index does: node_modules/a"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&lock).unwrap(), before);
    // Nobody knows a registry, and the error has the line to type.
    let said = complete(&project.temp, &lock, &registry, &[])
        .exit(1)
        .stderr;
    assert!(
        said.contains("node_modules/a") && said.contains("`--registry URL`"),
        "{said}"
    );
}

/// The registry that npm knows is asked for, once, where the lock and all settings are silent.
#[test]
fn the_npm_on_the_path_knows_a_registry() {
    let mut project = project();
    for place in ["node_modules/a", "node_modules/b"] {
        project.packages[place]
            .as_object_mut()
            .unwrap()
            .shift_remove("resolved");
    }
    let ours = project.write("ours");
    let registry = project.server.url("/");
    let temp = &project.temp;
    let sync = |path: &str| {
        let mut sync = common::lockwright(temp);
        sync.args(["sync", ours.as_str(), "--clear"])
            .env("PATH", path)
            .run()
    };
    let said = sync("/nowhere").exit(1).stderr;
    assert!(
        said.contains("b 1.0.0 come from") && said.contains("--registry URL"),
        "{said}"
    );
    let text = format!(
        "#!/bin/sh\n[ \"$*\" = 'config get registry' ] || exit 1\necho x >>{temp}/asked\necho {registry}\n",
        temp = temp.path()
    );
    let fake = temp.write("bin/npm", text);
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", temp.join("bin"));
    let said = sync(&path).ok().stderr;
    assert!(
        said.contains("2 packages come from") && said.contains(&registry),
        "{said}"
    );
    assert_eq!(fs::read_to_string(temp.join("asked")).unwrap(), "x\n");
    // The real one is asked in the same words.
    let real = std::process::Command::new(common::npm())
        .args(["config", "get", "registry"])
        .current_dir("/")
        .env("PATH", crate::registry::path())
        .env("npm_config_registry", &registry)
        .run()
        .ok();
    assert_eq!(real.stdout.trim(), registry);
}
