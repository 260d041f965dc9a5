//! `lockwright audit` against indexes of the tests' own, with everything wrong that an index can be.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;
mod complete;
mod policy;
mod publishers;
mod registry;
mod vulnerabilities;

use camino::Utf8PathBuf;
use common::{Ran, Run, Server, Temp};
use data_encoding::BASE64;
use lockwright::core::digest::{Algorithm, Digest};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};

const DAY: &str = "2026-11-30T12:00:00Z";

fn audit(temp: &Temp, lock: &Utf8PathBuf, more: &[&str]) -> Ran {
    common::lockwright(temp)
        .args(["audit", lock.as_str(), "--as-of", DAY, "--retries", "0"])
        .args(more)
        .run()
}

/// What was found, as `severity kind package`.
fn found(ran: &Ran) -> Vec<String> {
    let json = ran.json();
    let findings = json["findings"].as_array().unwrap().clone();
    findings
        .iter()
        .flat_map(|one| {
            let packages = one["packages"].as_array().unwrap();
            let label = |package: &str| {
                let (severity, kind) = (&one["severity"], &one["kind"]);
                format!(
                    "{} {} {package}",
                    severity.as_str().unwrap(),
                    kind.as_str().unwrap()
                )
            };
            match packages.is_empty() {
                true => vec![label("-")],
                false => packages
                    .iter()
                    .map(|one| label(one.as_str().unwrap()))
                    .collect(),
            }
        })
        .collect()
}

fn sha(text: &str) -> String {
    Digest::of(Algorithm::Sha256, text.as_bytes()).hex()
}

/// A file as the simple API lists it.
fn listed(name: &str) -> Value {
    json!({
        "filename": name, "url": format!("../../files/{name}"), "hashes": {"sha256": sha(name)},
        "size": name.len(), "upload-time": "2026-01-02T03:04:05.678Z", "yanked": false,
    })
}

fn page(server: &Server, project: &str, files: &[Value], more: &[(&str, Value)]) {
    let mut page = json!({"meta": {"api-version": "1.4"}, "name": project, "files": files});
    for (key, value) in more {
        page[*key] = value.clone();
    }
    server.put(&format!("/simple/{project}/"), page.to_string());
}

/// A package of a uv.lock with one wheel, as an index of a name has it.
fn entry(name: &str, more: &str) -> String {
    let wheel = format!("{name}-1.0-py3-none-any.whl");
    format!(
        "\n[[package]]\nname = \"{name}\"\nversion = \"1.0\"\n\
         source = {{ registry = \"https://pypi.example/simple\" }}\n\
         wheels = [{{ url = \"https://pypi.example/files/{wheel}\", hash = \"sha256:{}\", size = {}, \
         upload-time = \"2026-01-02T03:04:05Z\"{more} }}]\n",
        sha(&wheel),
        wheel.len()
    )
}

fn wheel(name: &str) -> Value {
    listed(&format!("{name}-1.0-py3-none-any.whl"))
}

fn with(mut value: Value, key: &str, to: Value) -> Value {
    value[key] = to;
    value
}

/// Who publishes honest files: the owner of a repository, and its workflow.
const OWN: (&str, &str) = ("o/r", "release.yml");

/// PEP 740's statements about a file.
fn attest(server: &Server, path: &str, (repository, workflow): (&str, &str), digest: &str) {
    let statement = json!({"subject": [{"name": "x", "digest": {"sha256": digest}}]}).to_string();
    let bundle = json!({
        "publisher": {"kind": "GitHub", "repository": repository, "workflow": workflow},
        "attestations": [{"envelope": {"statement": BASE64.encode(statement.as_bytes())}}],
    });
    let provenance = json!({"version": 1, "attestation_bundles": [bundle]});
    server.put(path, provenance.to_string());
}

const HEAD: &str = "version = 1\nrevision = 3\nrequires-python = \">=3.12\"\n";

#[test]
fn a_lock_of_python_s_is_held_against_everything_that_an_index_can_say() {
    let temp = Temp::new();
    let server = Server::new();
    let names = [
        "honest",
        "digest",
        "size",
        "time",
        "yanked",
        "gone",
        "unknown",
        "host",
        "held",
        "asleep",
        "broken",
        "html",
        "unhashed",
        "attested",
        "misattested",
        "plain",
        "plainswapped",
    ];
    let mut lock: String = names.iter().map(|name| entry(name, "")).collect();
    lock = lock.replace(
        "https://pypi.example/files/host-",
        "https://files.evil.example/files/host-",
    );
    let digest = format!(
        "hash = \"sha256:{}\", ",
        sha("unhashed-1.0-py3-none-any.whl")
    );
    lock = lock.replace(&digest, "");
    let lock = temp.write("uv.lock", format!("{HEAD}{lock}"));
    for name in ["honest", "host", "unhashed"] {
        page(&server, name, &[wheel(name)], &[]);
    }
    page(
        &server,
        "digest",
        &[with(
            wheel("digest"),
            "hashes",
            json!({"sha256": sha("other")}),
        )],
        &[],
    );
    page(
        &server,
        "size",
        &[with(wheel("size"), "size", json!(7))],
        &[],
    );
    page(
        &server,
        "time",
        &[with(
            wheel("time"),
            "upload-time",
            json!("2026-11-29T00:00:00Z"),
        )],
        &[],
    );
    page(
        &server,
        "yanked",
        &[with(wheel("yanked"), "yanked", json!("broken \u{1b}[2J"))],
        &[],
    );
    page(&server, "gone", &[listed("gone-0.9-py3-none-any.whl")], &[]);
    let status = json!({"status": "quarantined", "reason": "malware"});
    page(
        &server,
        "held",
        &[wheel("held")],
        &[("project-status", status)],
    );
    page(
        &server,
        "asleep",
        &[wheel("asleep")],
        &[("project-status", json!({"status": "archived"}))],
    );
    server.put("/simple/broken/", "{");
    server.put("/simple/html/", "<!doctype html><a href=x>x</a>");
    for (name, of) in [("attested", "attested"), ("misattested", "other")] {
        let url = server.url(&format!("/integrity/{name}"));
        page(
            &server,
            name,
            &[with(wheel(name), "provenance", json!(url))],
            &[],
        );
        let digest = sha(&format!("{of}-1.0-py3-none-any.whl"));
        attest(&server, &format!("/integrity/{name}"), OWN, &digest);
    }
    // HTML alone is read as well, as far as it says something.
    for (name, of) in [("plain", "plain"), ("plainswapped", "other")] {
        let wheel = format!("{name}-1.0-py3-none-any.whl");
        let digest = sha(&format!("{of}-1.0-py3-none-any.whl"));
        let page = format!(
            "<!doctype html><a href=\"../../files/{wheel}#sha256={digest}\" data-yanked=\"&lt;b&gt;\">{wheel}</a>"
        );
        server.put(&format!("/simple/{name}/"), page);
    }
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let args = ["--json", "--mirror", &mirror];
    let ran = audit(&temp, &lock, &args).exit(1);
    let expected = [
        "alarm digest-changed digest 1.0",
        "alarm not-on-index gone 1.0",
        "alarm not-on-index unknown 1.0",
        "alarm size-changed size 1.0",
        "alarm upload-time time 1.0",
        "alarm quarantined held 1.0",
        "alarm attestation misattested 1.0",
        "warning digest-removed unhashed 1.0",
        "warning deprecated asleep 1.0",
        "warning yanked yanked 1.0",
        "alarm digest-changed plainswapped 1.0",
        "warning yanked plain 1.0",
        "warning yanked plainswapped 1.0",
        "warning not-held html 1.0",
        "warning not-held broken 1.0",
    ];
    let mut seen = found(&ran);
    seen.sort();
    let mut expected = expected.map(str::to_owned);
    expected.sort();
    assert_eq!(seen, expected, "{ran}");
    let json = ran.json();
    assert_eq!(
        json["identities"][0]["publisher"],
        "GitHub o/r, release.yml"
    );
    assert_eq!(json["identities"][0]["verified"], false);
    assert_eq!(json["summary"]["files"], names.len());
    let text = audit(&temp, &lock, &["--mirror", &mirror]).exit(1).stdout;
    assert!(
        text.starts_with("ALARM   ") && !text.contains('\u{1b}'),
        "{text}"
    );
    assert!(text.contains("(unverified)"), "{text}");
    audit(
        &temp,
        &lock,
        &[
            "--mirror",
            &mirror,
            "--fail-on",
            "never",
            "--format",
            "markdown",
        ],
    )
    .ok();
    let sarif = audit(
        &temp,
        &lock,
        &[
            "--mirror",
            &mirror,
            "--fail-on",
            "never",
            "--format",
            "sarif",
        ],
    )
    .ok()
    .json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let digest = results
        .iter()
        .find(|one| one["ruleId"] == "digest-changed")
        .unwrap();
    assert_eq!(digest["level"], "error");
    let line = &digest["locations"][0]["physicalLocation"]["region"]["startLine"];
    let text = std::fs::read_to_string(&lock).unwrap();
    let at = text
        .lines()
        .position(|line| line == "name = \"digest\"")
        .unwrap()
        + 1;
    assert_eq!(*line, at);
}

#[test]
fn a_host_that_is_not_the_index_s_is_an_alarm_and_logins_and_snapshots_are_used() {
    let temp = Temp::new();
    let server = Server::new();
    server.require_auth("me", "secret");
    page(&server, "honest", &[wheel("honest")], &[]);
    page(&server, "host", &[wheel("host")], &[]);
    let index = server.url_with_credentials("me", "secret", "/simple");
    let (plain, files) = (server.url("/simple"), server.url("/files/"));
    let lock = format!("{HEAD}{}{}", entry("honest", ""), entry("host", ""))
        .replace(
            "https://pypi.example/files/host-",
            "https://files.evil.example/files/host-",
        )
        .replace("https://pypi.example/files/", &files)
        .replace("https://pypi.example/simple", &plain);
    let lock = temp.write("uv.lock", lock);
    let snapshot = temp.join("snapshot");
    let run = |more: &[&str]| {
        common::lockwright(&temp)
            .args(["audit", lock.as_str(), "--json", "--retries", "0"])
            .args(["--snapshot", snapshot.as_str()])
            .args(more)
            .env("UV_INDEX_URL", &index)
            .run()
    };
    let online = run(&[]).exit(1);
    assert_eq!(found(&online), ["alarm host-changed host 1.0"], "{online}");
    let asked = server.requests().len();
    let offline = run(&["--offline"]).exit(1);
    assert_eq!(online.stdout, offline.stdout);
    assert_eq!(server.requests().len(), asked, "no socket is opened");
    // Without it nothing is known, and that is said.
    std::fs::remove_dir_all(&snapshot).unwrap();
    let without = run(&["--offline", "--fail-on", "warning"]).exit(1);
    assert_eq!(
        found(&without),
        ["warning not-held honest 1.0", "warning not-held host 1.0"],
        "{without}"
    );
}
