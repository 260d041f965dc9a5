//! What a project does not take: files that are too young, licences; and the schema of the report.

use super::*;

#[test]
fn what_is_too_young_is_an_alarm_in_diff_and_audit() {
    let temp = Temp::new();
    let server = Server::new();
    let (old, new) = (
        entry("old", ""),
        entry("new", "").replace("2026-01-02T03:04:05Z", "2026-11-28T12:00:00Z"),
    );
    page(&server, "old", &[wheel("old")], &[]);
    page(
        &server,
        "new",
        &[with(
            wheel("new"),
            "upload-time",
            json!("2026-11-28T12:00:00Z"),
        )],
        &[],
    );
    let before = temp.write("before/uv.lock", format!("{HEAD}{old}"));
    let after = temp.write("after/uv.lock", format!("{HEAD}{old}{new}"));
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let args = ["--json", "--mirror", &mirror, "--min-age"];
    let of = |age: &str| audit(&temp, &after, &[&args[..], &[age]].concat());
    assert_eq!(found(&of("7d").exit(1)), ["alarm too-young new 1.0"]);
    assert_eq!(found(&of("2d").ok()), Vec::<String>::new());
    assert_eq!(found(&of("7d,new=1d").ok()), Vec::<String>::new());
    let diff = |more: &[&str]| {
        common::lockwright(&temp)
            .args([
                "diff",
                before.as_str(),
                after.as_str(),
                "--json",
                "--as-of",
                DAY,
            ])
            .args(more)
            .run()
    };
    assert_eq!(
        found(&diff(&["--min-age", "365d"]).ok()),
        ["alarm too-young new 1.0"]
    );
    diff(&["--min-age", "1d", "--fail-on", "warning"]).ok();
    // The project's own file says it as well.
    temp.write("after/lockwright.toml", "[review]\nmin-age = \"7d\"\n");
    diff(&["--fail-on", "alarm"]).exit(1);
    let said = diff(&["--min-age", "a while"]).exit(1).stderr;
    assert!(said.contains("not a length of time"), "{said}");
}

#[test]
fn licences_that_the_project_does_not_take_are_told() {
    let temp = Temp::new();
    let entry = |name: &str, license: &str| {
        let resolved = format!("https://registry.npm.example/{name}/-/{name}-1.0.0.tgz");
        let entry = json!({"version": "1.0.0", "resolved": resolved, "license": license,
            "integrity": Digest::of(Algorithm::Sha512, b"x").sri()});
        (format!("node_modules/{name}"), entry)
    };
    let lock = |entries: Vec<(String, Value)>| {
        let packages: serde_json::Map<String, Value> = entries.into_iter().collect();
        json!({"lockfileVersion": 3, "packages": packages}).to_string()
    };
    let before = temp.write(
        "old/package-lock.json",
        lock(vec![entry("was", "AGPL-3.0-only")]),
    );
    let after = vec![
        entry("was", "AGPL-3.0-only"),
        entry("fine", "(MIT OR GPL-3.0-only)"),
        entry("bad", "AGPL-3.0-only"),
        entry("odd", "see LICENSE"),
        entry("said", "see LICENSE"),
    ];
    let after = temp.write("new/package-lock.json", lock(after));
    temp.write(
        "new/lockwright.toml",
        "[review.licenses]\nallow = [\"MIT\", \"ISC\"]\n[review.licenses.packages]\nsaid = \"ISC\"\n",
    );
    let ran = common::lockwright(&temp)
        .args(["diff", before.as_str(), after.as_str(), "--json"])
        .run()
        .ok();
    let denied: Vec<String> = found(&ran)
        .into_iter()
        .filter(|line| line.contains("license-denied"))
        .collect();
    assert_eq!(
        denied,
        [
            "warning license-denied bad 1.0.0",
            "warning license-denied odd 1.0.0"
        ],
        "{ran}"
    );
}

#[test]
fn the_schema_is_the_one_that_is_published() {
    let temp = Temp::new();
    let printed = common::lockwright(&temp)
        .args(["audit", "--schema"])
        .run()
        .ok()
        .stdout;
    let published = common::project().join("docs/schema/audit.schema.json");
    assert_eq!(
        printed,
        std::fs::read_to_string(&published).unwrap(),
        "write it anew: lockwright audit --schema > {published}"
    );
}
