//! What npm lets pass, and lockwright does not: each case beside what npm makes of it.

use std::fs;
use std::io::Write as _;

use lockwright::core::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use crate::common::Fault;
use crate::registry::{Member, Project, about, file, member, merge, tarball};

fn project() -> Project {
    Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "a": "^1.0.0" },
    }))
}

fn named(name: &str, version: &str) -> Member {
    about(&json!({ "name": name, "version": version }))
}

/// npm comes to an end that it calls good; lockwright says why not, and has changed nothing.
#[track_caller]
fn npm_lets_it_pass(project: &Project, why: &[&str]) {
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    project.npm(&theirs, &[]).ok();
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    for why in why {
        assert!(said.contains(why), "no `{why}` in: {said}");
    }
    assert!(!ours.join("node_modules").exists(), "something was left");
}

#[test]
fn a_member_that_leads_outside() {
    for (name, why) in [
        ("package/../../outside", "package/../../outside"),
        ("package//etc/passwd", "package//etc/passwd"),
    ] {
        let mut project = project();
        project.package(
            "a",
            &[named("a", "1.0.0"), file(name, 0o644, "x")],
            json!({}),
        );
        npm_lets_it_pass(&project, &["a-1.0.0.tgz", why]);
    }
}

#[test]
fn a_file_where_a_folder_must_be() {
    let mut project = project();
    let members = [
        named("a", "1.0.0"),
        file("package/lib", 0o644, "a file"),
        file("package/lib/index.js", 0o644, "in a folder"),
    ];
    project.package("a", &members, json!({}));
    npm_lets_it_pass(&project, &["a-1.0.0.tgz", "member lib", "others are in it"]);
}

#[test]
fn an_optional_package_that_is_not_what_the_lock_says_or_not_there() {
    let optional = || {
        let mut project = Project::new(json!({
            "name": "project", "version": "1.0.0", "optionalDependencies": { "a": "^1.0.0" },
        }));
        project.simple("a", json!({ "optional": true }));
        project
    };
    let mut forged = optional();
    let other = Digest::of(Algorithm::Sha512, b"other").sri();
    forged.packages["node_modules/a"]["integrity"] = other.into();
    npm_lets_it_pass(
        &forged,
        &["its bytes are not what the lock names", "a-1.0.0.tgz"],
    );

    let mut gone = optional();
    let url = "https://registry.npm.example/a/-/gone-1.0.0.tgz";
    gone.packages["node_modules/a"]["resolved"] = url.into();
    npm_lets_it_pass(&gone, &["404"]);

    // Where the platform rules it out, nobody asks for it.
    gone.packages["node_modules/a"]["os"] = json!(["plan9"]);
    let folder = gone.write("ruled-out");
    gone.lockwright(&folder, &[]).ok();
}

#[test]
fn no_digest_or_one_that_can_be_forged() {
    let mut project = project();
    project.simple("a", json!({}));
    let path = "/a/-/a-1.0.0.tgz";
    let bytes = tarball(&[named("a", "1.0.0")]);
    project.server.put(path, bytes.clone());
    for algorithm in [Algorithm::Sha1, Algorithm::Md5] {
        let weak = Digest::of(algorithm, &bytes).sri();
        project.packages["node_modules/a"]["integrity"] = weak.into();
        npm_lets_it_pass(
            &project,
            &["a digest that can be forged", "--allow-weak-integrity"],
        );
        let folder = project.write("allowed");
        let args = ["--allow-weak-integrity", "--clear"];
        let said = project.lockwright(&folder, &args).ok().stderr;
        let why = format!("node_modules/a ({algorithm})");
        assert!(said.contains(&why), "{said}");
    }

    merge(
        &mut project.packages["node_modules/a"],
        &json!({ "integrity": null }),
    );
    npm_lets_it_pass(
        &project,
        &["the lock gives no digest", "--allow-unhashed a"],
    );
    let folder = project.write("unhashed");
    let said = project
        .lockwright(&folder, &["--allow-unhashed", "a"])
        .ok()
        .stderr;
    assert!(said.contains("node_modules/a (no digest)"), "{said}");
}

#[test]
fn a_lock_that_two_readers_could_understand_differently() {
    let mut project = project();
    project.simple("a", json!({}));
    let lock = project.lock();
    let line = lock.lines().position(|line| {
        line.contains("\"version\": \"1.0.0\",\n") || line.contains("node_modules/a")
    });
    let line = line.unwrap() + 1;
    let twice = lock.replace(
        "    \"node_modules/a\": {\n",
        "    \"node_modules/a\": {\n      \"version\": \"1.0.0\",\n",
    );
    let merge = format!("<<<<<<< HEAD\n{lock}=======\n{lock}>>>>>>> other\n");
    let newer = lock.replace("\"lockfileVersion\": 3", "\"lockfileVersion\": 4");
    for (text, why, npm_takes_it) in [
        (twice, format!("package-lock.json:{}:", line + 2), true),
        (
            merge,
            "package-lock.json:1:1: the file has merge conflict markers".to_owned(),
            false,
        ),
        (newer, "lock version 4".to_owned(), true),
        (
            format!("\u{feff}{lock}"),
            "byte-order mark".to_owned(),
            true,
        ),
    ] {
        let (ours, theirs) = (
            project.write_with("ours", &text),
            project.write_with("theirs", &text),
        );
        if npm_takes_it {
            project.npm(&theirs, &[]).ok();
        }
        let said = project.lockwright(&ours, &[]).exit(1).stderr;
        assert!(said.contains(&why), "no `{why}` in: {said}");
        assert!(!ours.join("node_modules").exists());
    }
}

#[test]
fn a_bundled_package_that_the_lock_does_not_list() {
    let mut project = project();
    let about = about(
        &json!({ "name": "a", "version": "1.0.0", "bundleDependencies": ["b"],
        "dependencies": { "b": "^1.0.0" } }),
    );
    project.package("a", &[about], json!({ "bundleDependencies": ["b"] }));
    let ours = project.write("ours");
    let said = project.lockwright(&ours, &[]).exit(1).stderr;
    assert!(
        said.contains("node_modules/a bundles b, which the lock does not list"),
        "{said}"
    );
    let asked = project.server.requests_of("/b");
    assert!(
        asked.is_empty(),
        "nothing is asked for that the lock does not list"
    );
}

#[test]
fn a_bundled_package_that_the_tarball_lacks_or_has_another_version_of() {
    for (inner, why) in [
        (None, "should bundle node_modules/b"),
        (Some("1.0.1"), "is b 1.0.1, and the lock says b 1.0.0"),
    ] {
        let mut project = project();
        let mut members = vec![about(&json!({ "name": "a", "version": "1.0.0",
            "bundleDependencies": ["b"], "dependencies": { "b": "^1.0.0" } }))];
        if let Some(version) = inner {
            let text = json!({ "name": "b", "version": version }).to_string();
            members.push(file("package/node_modules/b/package.json", 0o644, text));
        }
        let more = json!({ "bundleDependencies": ["b"], "dependencies": { "b": "^1.0.0" } });
        project.package("a", &members, more).entry(
            "node_modules/a/node_modules/b",
            json!({ "version": "1.0.0", "inBundle": true }),
        );
        let said = project
            .lockwright(&project.write("ours"), &[])
            .exit(1)
            .stderr;
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn names_that_differ_in_case_alone_are_two() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "jsonstream": "^1.0.0", "JSONStream": "^1.0.0" },
    }));
    project
        .simple("jsonstream", json!({}))
        .simple("JSONStream", json!({}));
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    for name in ["jsonstream", "JSONStream"] {
        let text = std::fs::read_to_string(ours.join(format!("node_modules/{name}/index.js")));
        assert_eq!(text.unwrap(), name);
    }
}

#[test]
fn another_package_than_the_lock_says() {
    for (name, version, why) in [
        ("b", "1.0.0", "is b 1.0.0, and the lock says a 1.0.0"),
        ("a", "1.0.1", "is a 1.0.1, and the lock says a 1.0.0"),
    ] {
        let mut project = project();
        project.package("a", &[named(name, version)], json!({}));
        npm_lets_it_pass(&project, &[why]);
    }
}

#[test]
fn a_place_or_link_outside_of_the_project() {
    let refused = |entries: &[(&str, Value)], why: &str| {
        let mut project = project();
        project.simple("a", json!({}));
        for (place, entry) in entries {
            project.entry(place, entry.clone());
        }
        let ours = project.write("ours");
        let said = project.lockwright(&ours, &[]).exit(1).stderr;
        assert!(said.contains(why), "{said}");
        assert!(!ours.join("node_modules").exists());
    };
    refused(
        &[("../out", json!({ "version": "1.0.0" }))],
        "not a path inside",
    );
    refused(
        &[("/etc/out", json!({ "version": "1.0.0" }))],
        "not a path inside",
    );
    refused(
        &[("node_modules/x/../../../out", json!({ "version": "1.0.0" }))],
        "not a path inside",
    );
    // A folder beside the project may be linked, and no other.
    let link = json!({ "resolved": "../out", "link": true });
    refused(&[("../out", json!({}))], "not a path inside");
    refused(&[("node_modules/x", link)], "which the lock lacks");
    for out in ["/out", "x/../../out", "../x/../../out", "..", "../."] {
        let link = json!({ "resolved": out, "link": true });
        refused(
            &[(out, json!({})), ("node_modules/x", link)],
            "not a path inside",
        );
    }
}

#[test]
fn far_more_than_its_size_promises() {
    let mut project = project();
    let zeros = vec![0; 80 << 20];
    let members = [named("a", "1.0.0"), file("package/zeros", 0o644, zeros)];
    project.package("a", &members, json!({}));
    npm_lets_it_pass(
        &project,
        &[
            "a-1.0.0.tgz",
            "more than --max-unpacked and --max-ratio allow",
        ],
    );
    let folder = project.write("allowed");
    project.lockwright(&folder, &["--max-ratio", "2000"]).ok();
    let folder = project.write("small");
    let small = ["--max-ratio", "2000", "--max-unpacked", "10M"];
    let said = project.lockwright(&folder, &small).exit(1).stderr;
    assert!(
        said.contains("more than --max-unpacked and --max-ratio allow"),
        "{said}"
    );
}

#[test]
fn each_within_its_limit_and_all_together_far_beyond() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let needs: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), "^1.0.0".into()))
        .collect();
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": needs,
    }));
    for name in names {
        let members = [
            named(name, "1.0.0"),
            file("package/zeros", 0o644, vec![0; 800_000]),
        ];
        project.package(name, &members, json!({}));
    }
    // The store knows what is in them the second time, and extracted or uncompressed the third.
    for how in [
        "--link-mode=copy",
        "--link-mode=hardlink",
        "--link-mode=copy",
    ] {
        let folder = project.write("ours");
        let small = ["--max-unpacked", "1M", how];
        let said = project.lockwright(&folder, &small).exit(1).stderr;
        assert!(
            said.contains("more than four times --max-unpacked"),
            "{said}"
        );
        assert!(!folder.join("node_modules").exists());
        project
            .lockwright(&folder, &["--max-unpacked", "2M", how])
            .ok();
        fs::remove_dir_all(folder).unwrap();
    }
}

#[test]
fn control_characters_and_backslashes_in_names() {
    for (name, why) in [
        ("package/a\\b", "backslash"),
        ("package/a\u{7}b", "control"),
        ("package/a\nb", "control"),
    ] {
        let mut project = project();
        project.package(
            "a",
            &[named("a", "1.0.0"), file(name, 0o644, "x")],
            json!({}),
        );
        npm_lets_it_pass(&project, &["a-1.0.0.tgz", why]);
    }
}

#[test]
fn set_user_id_is_never_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut project = project();
    project.package(
        "a",
        &[named("a", "1.0.0"), file("package/x", 0o4755, "x")],
        json!({}),
    );
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    let mode = std::fs::metadata(ours.join("node_modules/a/x"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o755);
}

#[test]
fn something_behind_the_end_of_a_tarball() {
    let mut project = project();
    let inner = tarball(&[named("a", "1.0.0")]);
    let mut gzip = flate2::write::GzEncoder::new(inner.clone(), flate2::Compression::default());
    gzip.write_all(&[1; 512]).unwrap();
    project.publish("a", "a", &gzip.finish().unwrap(), json!({}));
    let said = project
        .lockwright(&project.write("ours"), &[])
        .exit(1)
        .stderr;
    assert!(said.contains("something follows its end"), "{said}");
}

#[test]
fn a_failure_leaves_the_old_tree() {
    let mut project = project();
    project.simple("a", json!({}));
    let ours = project.write("ours");
    project.lockwright(&ours, &[]).ok();
    std::fs::remove_dir_all(project.temp.join("store")).unwrap();
    project
        .server
        .fault("/a/-/a-1.0.0.tgz", Fault::Status(404, Vec::new()));
    project.lockwright(&ours, &["--clear"]).exit(1);
    assert!(ours.join("node_modules/a/index.js").is_file());
    let left: Vec<_> = ours
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    assert!(
        left.iter().all(|name| !name.starts_with(".lockwright")),
        "{left:?}"
    );
}

#[test]
fn members_of_kinds_that_nobody_knows() {
    let mut project = project();
    project.package(
        "a",
        &[named("a", "1.0.0"), member("package/x", b'Z', 0o644, "x")],
        json!({}),
    );
    let said = project
        .lockwright(&project.write("ours"), &[])
        .exit(1)
        .stderr;
    assert!(said.contains("is of type"), "{said}");
}
