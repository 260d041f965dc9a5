//! `lockwright audit` against indexes of the tests' own, with everything wrong that an index can be.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

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
fn another_publisher_and_attestations_that_are_gone_are_alarms_in_diff_and_audit() {
    let temp = Temp::new();
    let server = Server::new();
    // Who published 0.9 and 1.0, where that is said.
    let both = [
        ("same", Some(OWN), Some(("O/R", "release.yml"))),
        ("taken", Some(OWN), Some(("evil/r", "release.yml"))),
        ("other", Some(OWN), Some(("o/r", "nightly.yml"))),
        ("bare", Some(OWN), None),
        ("late", None, Some(OWN)),
        ("never", None, None),
        ("lost", Some(OWN), Some(OWN)),
    ];
    let (mut old, mut new) = (String::from(HEAD), String::from(HEAD));
    for (name, before, now) in both {
        let mut files = Vec::new();
        // A pre-release of somebody else is not what came before.
        let early = ("1.0rc1", Some(("nobody/x", "x.yml")));
        for (version, publisher) in [("0.9", before), early, ("1.0", now)] {
            let file = format!("{name}-{version}-py3-none-any.whl");
            let at = format!("/integrity/{file}");
            files.push(match publisher {
                None => listed(&file),
                Some(publisher) => {
                    attest(&server, &at, publisher, &sha(&file));
                    with(listed(&file), "provenance", json!(server.url(&at)))
                }
            });
        }
        page(&server, name, &files, &[]);
        new.push_str(&entry(name, ""));
        old.push_str(&entry(name, "").replace("1.0", "0.9"));
    }
    server.put(
        "/integrity/lost-0.9-py3-none-any.whl",
        "{\"attestation_bundles\": []}",
    );
    let (old, new) = (
        temp.write("old/uv.lock", old),
        temp.write("new/uv.lock", new),
    );
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let diff = |more: &[&str]| {
        common::lockwright(&temp)
            .args([
                "diff",
                old.as_str(),
                new.as_str(),
                "--index",
                "--mirror",
                &mirror,
            ])
            .args(more)
            .run()
    };
    let expected = [
        "alarm attestation-gone bare 1.0",
        "alarm publisher-changed taken 1.0",
        "warning attestation lost 1.0",
        "warning publisher-changed other 1.0",
    ];
    let sorted = |ran: &Ran| {
        let mut all = found(ran);
        all.sort();
        all
    };
    let of_diff = diff(&["--json"]).ok();
    assert_eq!(sorted(&of_diff), expected, "{of_diff}");
    let json = of_diff.json();
    let changes = json["changes"].as_array().unwrap();
    let taken = changes.iter().find(|one| one["name"] == "taken").unwrap();
    assert_eq!(taken["old"]["publisher"]["repository"], "o/r", "{taken}");
    assert_eq!(taken["new"]["publisher"]["repository"], "evil/r", "{taken}");
    assert_eq!(
        taken["links"]["source"], "https://github.com/evil/r",
        "{taken}"
    );
    assert_eq!(
        taken["links"]["index"], "https://pypi.example/simple/taken/",
        "{taken}"
    );
    // An audit has no lock to compare with, and takes the release before on the index.
    let of_audit = audit(&temp, &new, &["--json", "--mirror", &mirror]).exit(1);
    assert_eq!(sorted(&of_audit), expected, "{of_audit}");
    let text = diff(&["--fail-on", "alarm"]).exit(1).stdout;
    assert!(
        text.starts_with("ALARM   bare 1.0: was attested before, and is not any more\n"),
        "{text}"
    );
    assert!(
        text.contains("GitHub o/r, release.yml → GitHub evil/r, release.yml"),
        "{text}"
    );
    for format in ["markdown", "html"] {
        let said = diff(&["--format", format]).ok().stdout;
        assert!(said.contains("GitHub evil/r, release"), "{said}");
    }
    // What was answered is asked again where there is no network.
    let snapshot = temp.join("snapshot");
    let kept = diff(&["--json", "--snapshot", snapshot.as_str()]).ok();
    let asked = server.requests().len();
    let again = diff(&["--json", "--snapshot", snapshot.as_str(), "--offline"]).ok();
    assert_eq!(kept.stdout, again.stdout);
    assert_eq!(server.requests().len(), asked, "no socket is opened");
}

#[test]
fn real_attestations_are_verified_and_forged_ones_are_alarms() {
    let temp = Temp::new();
    let server = Server::new();
    let folder = common::attested();
    let (own, mail) = (
        "pypi_attestations-0.0.19.tar.gz",
        "gcb_attestation_test-0.0.0.tar.gz",
    );
    let circle = "circleci_sign_publish_example-0.0.1.dev137-py3-none-any.whl";
    let provenance = |file: &str| -> Value {
        let text = std::fs::read_to_string(folder.join(format!("{file}.provenance"))).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let mut taken = provenance(own);
    taken["attestation_bundles"][0]["publisher"]["repository"] = json!("evil/r");
    let signature = "/attestation_bundles/0/attestations/0/envelope/signature";
    let mut forged = provenance(own);
    *forged.pointer_mut(signature).unwrap() = provenance(mail).pointer(signature).unwrap().clone();
    let mut torn = provenance(own);
    torn["attestation_bundles"][0]["attestations"][0]["verification_material"] = json!({});
    let mut lock = String::from(HEAD);
    for (name, file, said) in [
        ("own", own, provenance(own)),
        ("mail", mail, provenance(mail)),
        ("circleci-sign-publish-example", circle, provenance(circle)),
        ("taken", own, taken),
        ("forged", own, forged),
        ("torn", own, torn),
    ] {
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let digest = Digest::of(Algorithm::Sha256, &bytes).hex();
        let at = format!("/integrity/{name}");
        server.put(&at, said.to_string());
        let listed = json!({"filename": file, "url": format!("../../files/{file}"),
            "hashes": {"sha256": digest}, "provenance": server.url(&at)});
        page(&server, name, &[listed], &[]);
        let of = format!("url = \"https://pypi.example/files/{file}\", hash = \"sha256:{digest}\"");
        let (version, of) = match file.ends_with(".whl") {
            true => ("0.0.1.dev137", format!("wheels = [{{ {of} }}]")),
            false => ("1.0", format!("sdist = {{ {of} }}")),
        };
        lock.push_str(&format!(
            "\n[[package]]\nname = \"{name}\"\nversion = \"{version}\"\n\
             source = {{ registry = \"https://pypi.example/simple\" }}\n{of}\n"
        ));
    }
    let lock = temp.write("uv.lock", lock);
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let ran = audit(&temp, &lock, &["--json", "--mirror", &mirror]).exit(1);
    let expected = [
        "alarm attestation forged 1.0",
        "alarm attestation taken 1.0",
    ];
    let mut seen = found(&ran);
    seen.sort();
    assert_eq!(seen, expected, "{ran}");
    let json = ran.json();
    let verified: Vec<(&str, bool)> = (json["identities"].as_array().unwrap().iter())
        .map(|one| {
            (
                one["package"].as_str().unwrap(),
                one["verified"].as_bool().unwrap(),
            )
        })
        .collect();
    let expected = [
        ("circleci-sign-publish-example 0.0.1.dev137", true),
        ("forged 1.0", false),
        ("mail 1.0", true),
        ("own 1.0", true),
        ("taken 1.0", false),
        ("torn 1.0", false),
    ];
    assert_eq!(verified, expected, "{ran}");
    // The tag that was built is the certificate's word.
    let own = &json["identities"][3]["by"];
    assert_eq!(own["reference"], "refs/tags/v0.0.19", "{own}");
}

/// npm's list of attestations, the builder's among them.
fn provenance(repository: &str, reference: &str, digest: &str) -> String {
    let subject = json!([{"name": "pkg:npm/x", "digest": {"sha512": digest}}]);
    let workflow =
        json!({"repository": repository, "path": ".github/workflows/r.yml", "ref": reference});
    let predicate = json!({"buildDefinition": {"externalParameters": {"workflow": workflow}}});
    let said = json!({"subject": subject, "predicate": predicate}).to_string();
    let published = json!({"subject": subject, "predicate": {"registry": "x"}}).to_string();
    let bundle = |said: &str| json!({"bundle": {"dsseEnvelope": {"payload": BASE64.encode(said.as_bytes())}}});
    json!({"attestations": [bundle(&published), bundle(&said)]}).to_string()
}

#[test]
fn npm_s_provenance_is_held_against_the_digest_and_the_version_before() {
    let temp = Temp::new();
    let server = Server::new();
    let digest = |text: &str| Digest::of(Algorithm::Sha512, text.as_bytes());
    let mut locks = [serde_json::Map::new(), serde_json::Map::new()];
    for (name, source, of) in [
        ("same", "https://github.com/o/r", "same-1.1.0"),
        ("taken", "https://github.com/evil/r", "taken-1.1.0"),
        ("swapped", "https://github.com/o/r", "other"),
    ] {
        let mut versions = serde_json::Map::new();
        for (lock, version, source, of) in [
            (
                0,
                "1.0.0",
                "https://github.com/o/r",
                format!("{name}-1.0.0"),
            ),
            (1, "1.1.0", source, of.to_owned()),
        ] {
            let bytes = digest(&format!("{name}-{version}"));
            let tarball = format!("https://registry.npm.example/{name}/-/{name}-{version}.tgz");
            let at = format!("/-/npm/v1/attestations/{name}@{version}");
            let tag = format!("refs/tags/{name}@{version}");
            server.put(&at, provenance(source, &tag, &digest(&of).hex()));
            let dist = json!({"tarball": tarball, "integrity": bytes.sri(),
                "attestations": {"url": server.url(&at)}});
            versions.insert(version.to_owned(), json!({"dist": dist}));
            let entry = json!({"version": version, "resolved": tarball, "integrity": bytes.sri()});
            locks[lock].insert(format!("node_modules/{name}"), entry);
        }
        let time = json!({"1.1.0": "2026-11-29T00:00:00.000Z"});
        let document = json!({"name": name, "versions": versions, "time": time});
        server.put(&format!("/{name}"), document.to_string());
    }
    let [old, new] = locks.map(|packages| json!({"lockfileVersion": 3, "packages": packages}));
    let old = temp.write("old/package-lock.json", old.to_string());
    let new = temp.write("new/package-lock.json", new.to_string());
    let mirror = format!("https://registry.npm.example/={}", server.url("/"));
    let ran = common::lockwright(&temp)
        .args([
            "diff",
            old.as_str(),
            new.as_str(),
            "--index",
            "--json",
            "--mirror",
            &mirror,
        ])
        .run()
        .ok();
    let expected = [
        "alarm attestation swapped 1.1.0",
        "alarm publisher-changed taken 1.1.0",
    ];
    assert_eq!(found(&ran), expected, "{ran}");
    let json = ran.json();
    let same = &json["changes"][0];
    assert_eq!(same["new"]["publisher"]["kind"], "GitHub", "{same}");
    assert_eq!(
        same["new"]["published"], "2026-11-29T00:00:00.000Z",
        "{same}"
    );
    // The tags are those that were built.
    let compare = "https://github.com/o/r/compare/same@1.0.0...same@1.1.0";
    assert_eq!(same["links"]["compare"], compare, "{same}");
    let of_audit = audit(&temp, &new, &["--json", "--mirror", &mirror]).exit(1);
    assert_eq!(found(&of_audit), expected, "{of_audit}");
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
    assert!(said.contains("no span of time"), "{said}");
}

/// A registry's document of a package in one version, and its key.
fn packument(name: &str, key: &EcdsaKeyPair, more: &[(&str, Value)]) -> (Value, String) {
    let digest = Digest::of(Algorithm::Sha512, name.as_bytes()).sri();
    let random = ring::rand::SystemRandom::new();
    let said = format!("{name}@1.0.0:{digest}");
    let signature = key.sign(&random, said.as_bytes()).unwrap();
    let signature = json!({"keyid": "SHA256:k", "sig": BASE64.encode(signature.as_ref())});
    let mut version = json!({"dist": {
        "tarball": format!("https://registry.npm.example/{name}/-/{name}-1.0.0.tgz"),
        "integrity": digest, "signatures": [signature],
    }});
    for (pointer, value) in more {
        match version.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => version[pointer.trim_start_matches('/')] = value.clone(),
        }
    }
    let time = json!({"1.0.0": "2026-11-29T00:00:00.000Z"});
    (
        json!({"name": name, "versions": {"1.0.0": version}, "time": time}),
        digest,
    )
}

#[test]
fn a_lock_of_npm_s_is_held_against_its_registry_and_signatures_are_verified() {
    let temp = Temp::new();
    let server = Server::new();
    let random = ring::rand::SystemRandom::new();
    let key = || {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap()
    };
    let (own, other) = (key(), key());
    let header = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let mut spki = data_encoding::HEXLOWER.decode(header.as_bytes()).unwrap();
    spki.extend_from_slice(own.public_key().as_ref());
    let keys =
        json!({"keys": [{"keyid": "SHA256:k", "key": BASE64.encode(&spki), "expires": null}]});
    server.put("/-/npm/v1/keys", keys.to_string());
    let mut entries = vec![(
        String::new(),
        json!({"dependencies": {"honest": "^1", "missing": "^2"}}),
    )];
    let mut put = |name: &str, key: &EcdsaKeyPair, more: &[(&str, Value)]| {
        let (document, digest) = packument(name, key, more);
        server.put(&format!("/{name}"), document.to_string());
        let resolved = format!("https://registry.npm.example/{name}/-/{name}-1.0.0.tgz");
        let entry = json!({"version": "1.0.0", "resolved": resolved, "integrity": digest});
        entries.push((format!("node_modules/{name}"), entry));
    };
    put("honest", &own, &[]);
    put("forged", &other, &[]);
    put("unsigned", &own, &[("/dist/signatures", json!([]))]);
    let digest = Digest::of(Algorithm::Sha512, b"other").sri();
    put("digest", &own, &[("/dist/integrity", json!(digest))]);
    put("hooked", &own, &[("/hasInstallScript", json!(true))]);
    put("dropped", &own, &[("/deprecated", json!("use honest"))]);
    let gone = json!({"version": "3.0.0", "integrity": digest,
        "resolved": "https://registry.npm.example/honest/-/honest-3.0.0.tgz"});
    entries.push(("node_modules/x/node_modules/honest".into(), gone));
    let packages: serde_json::Map<String, Value> = entries.into_iter().collect();
    let lock = temp.write(
        "package-lock.json",
        json!({"lockfileVersion": 3, "packages": packages}).to_string(),
    );
    temp.write(
        "package.json",
        json!({"dependencies": {"honest": "^1", "missing": "^3"}}).to_string(),
    );
    let mirror = format!("https://registry.npm.example/={}", server.url("/"));
    let ran = audit(&temp, &lock, &["--json", "--mirror", &mirror]).exit(1);
    let mut seen = found(&ran);
    seen.sort();
    // What is signed for other bytes is of the digest's forger, too.
    let mut expected = [
        "alarm unfit -",
        "alarm signature forged 1.0.0",
        "alarm signature digest 1.0.0",
        "alarm digest-changed digest 1.0.0",
        "alarm install-script hooked 1.0.0",
        "alarm not-on-index honest 3.0.0",
        "warning signature unsigned 1.0.0",
        "warning deprecated dropped 1.0.0",
    ]
    .map(str::to_owned);
    expected.sort();
    assert_eq!(seen, expected, "{ran}");
    assert_eq!(ran.json()["summary"]["signed"], 3, "{ran}");
    // Ages are the registry's, which has the long document for that.
    let young = audit(
        &temp,
        &lock,
        &["--json", "--mirror", &mirror, "--min-age", "3d"],
    )
    .exit(1);
    assert!(
        found(&young).contains(&"alarm too-young honest 1.0.0".to_owned()),
        "{young}"
    );
    let asked = server.requests_of("/honest");
    assert_eq!(asked.last().unwrap().headers["accept"], "application/json");
}

#[test]
fn other_tools_locks_are_held_against_the_registry_as_far_as_they_say_something() {
    let temp = Temp::new();
    let server = Server::new();
    let digest = |text: &str| Digest::of(Algorithm::Sha512, text.as_bytes()).sri();
    for name in ["honest", "hooked", "swapped"] {
        let dist = json!({"integrity": digest(name),
            "tarball": server.url(&format!("/{name}/-/{name}-1.0.0.tgz"))});
        let version = json!({"dist": dist, "hasInstallScript": name == "hooked"});
        let document = json!({"name": name, "versions": {"1.0.0": version}});
        server.put(&format!("/{name}"), document.to_string());
    }
    let of = |name: &str| digest(if name == "swapped" { "other" } else { name });
    let each = |line: &dyn Fn(&str) -> String| -> String {
        ["honest", "hooked", "swapped"].map(line).concat()
    };
    let pnpm = each(&|name| {
        format!(
            "  {name}@1.0.0:\n    resolution: {{integrity: {}}}\n",
            of(name)
        )
    });
    let bun = each(&|name| {
        format!(
            "\"{name}\": [\"{name}@1.0.0\", \"\", {{}}, \"{}\"],\n",
            of(name)
        )
    });
    let yarn = each(&|name| {
        let url = server.url(&format!("/{name}/-/{name}-1.0.0.tgz"));
        format!(
            "{name}@^1:\n  version \"1.0.0\"\n  resolved \"{url}#0\"\n  integrity {}\n\n",
            of(name)
        )
    });
    let berry = each(&|name| {
        format!(
            "\"{name}@npm:^1\":\n  version: 1.0.0\n  resolution: \"{name}@npm:1.0.0\"\n  checksum: 10c0/a\n\n"
        )
    });
    let swapped = "alarm digest-changed swapped 1.0.0";
    let hooked = "note install-script hooked 1.0.0";
    let unknown = ["honest", "hooked", "swapped"].map(|name| format!("note not-held {name} 1.0.0"));
    for (file, text, expected) in [
        (
            "pnpm-lock.yaml",
            format!("lockfileVersion: '9.0'\npackages:\n{pnpm}"),
            vec![swapped, hooked],
        ),
        (
            "bun.lock",
            format!("{{\"lockfileVersion\": 1, \"packages\": {{{bun}}}}}"),
            vec![swapped, hooked],
        ),
        ("yarn.lock", yarn, vec![swapped, hooked]),
        (
            "berry/yarn.lock",
            format!("__metadata:\n  version: 8\n\n{berry}"),
            {
                let notes = unknown.iter().map(String::as_str);
                [hooked].into_iter().chain(notes).collect()
            },
        ),
    ] {
        let lock = temp.write(file, text);
        let ran = audit(
            &temp,
            &lock,
            &[
                "--json",
                "--fail-on",
                "never",
                "--registry",
                &server.url("/"),
            ],
        )
        .ok();
        assert_eq!(found(&ran), expected, "{file}: {ran}");
    }
    // Without a registry it is said what to do.
    let ran = audit(&temp, &temp.join("bun.lock"), &[]).ok();
    assert!(ran.stdout.contains("name it with --registry"), "{ran}");
}

/// An advisory in the OSV format.
fn advisory(id: &str, ecosystem: &str, name: &str, fixed: &str) -> String {
    json!({
        "id": id, "summary": format!("{name} does what it should not"), "aliases": [format!("CVE-{id}")],
        "affected": [{"package": {"ecosystem": ecosystem, "name": name}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0.5"}, {"fixed": fixed}]}]}],
        "database_specific": {"severity": "HIGH"}, "modified": "2026-01-01T00:00:00Z",
    })
    .to_string()
}

#[test]
fn known_vulnerabilities_come_from_a_folder_an_archive_or_a_server() {
    let temp = Temp::new();
    let server = Server::new();
    for name in ["a", "b"] {
        page(&server, name, &[wheel(name)], &[]);
    }
    let new = format!("{HEAD}{}{}", entry("a", ""), entry("b", ""));
    let old = new
        .replace("version = \"1.0\"", "version = \"0.4\"")
        .replace("-1.0-", "-0.4-");
    let (old, new) = (
        temp.write("old/uv.lock", old),
        temp.write("new/uv.lock", new),
    );
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (id, name, fixed) in [
        ("GHSA-1", "A", "1.1"),
        ("MAL-2", "b", "2.0"),
        ("GHSA-3", "c", "9"),
    ] {
        let text = advisory(id, "PyPI", name, fixed);
        temp.write(&format!("osv/PyPI/{id}.json"), &text);
        zip.start_file(
            format!("{id}.json"),
            zip::write::SimpleFileOptions::default(),
        )
        .unwrap();
        std::io::Write::write_all(&mut zip, text.as_bytes()).unwrap();
        server.put(
            &format!("/osv/v1/vulns/{}", id.replace('-', "%2D")),
            text.clone(),
        );
        server.put(&format!("/osv/v1/vulns/{id}"), text);
    }
    temp.write("osv/npm/GHSA-4.json", advisory("GHSA-4", "npm", "a", "9"));
    let archive = temp.write("all.zip", zip.finish().unwrap().into_inner());
    let batch = {
        let one = |id: &str| json!({"vulns": [{"id": id, "modified": "2026-01-01T00:00:00Z"}]});
        json!({"results": [one("GHSA-1"), one("MAL-2")]})
    };
    server.put("/osv/v1/querybatch", batch.to_string());
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    let (folder, api) = (temp.join("osv"), server.url("/osv"));
    // uv says the same of the same answers.
    let project = "[project]\nname = \"p\"\nversion = \"0\"\nrequires-python = \">=3.12\"\ndependencies = [\"a\", \"b\"]\n";
    temp.write("uv/pyproject.toml", project);
    let own = "\n[[package]]\nname = \"p\"\nversion = \"0\"\nsource = { virtual = \".\" }\n\
               dependencies = [{ name = \"a\" }, { name = \"b\" }]\n[package.metadata]\n\
               requires-dist = [{ name = \"a\" }, { name = \"b\" }]\n";
    temp.write("uv/uv.lock", std::fs::read_to_string(&new).unwrap() + own);
    let theirs = std::process::Command::new(common::uv())
        .args(["audit", "--frozen", "--output-format", "json"])
        .args(["--service-url", &format!("{api}/"), "--no-cache"])
        .current_dir(temp.join("uv"))
        .run()
        .json();
    let theirs: Vec<(&str, &str, &Value)> = (theirs["vulnerabilities"].as_array().unwrap().iter())
        .map(|one| {
            let name = one["dependency"]["name"].as_str().unwrap();
            (name, one["id"].as_str().unwrap(), &one["fix_versions"])
        })
        .collect();
    let fixed = [json!(["1.1"]), json!(["2.0"])];
    assert_eq!(
        theirs,
        [("a", "GHSA-1", &fixed[0]), ("b", "MAL-2", &fixed[1])]
    );
    for place in [folder.as_str(), archive.as_str(), &api] {
        let ran = audit(
            &temp,
            &new,
            &["--json", "--mirror", &mirror, "--osv", place],
        )
        .exit(1);
        assert_eq!(
            found(&ran),
            ["alarm vulnerable b 1.0", "warning vulnerable a 1.0"],
            "{ran}"
        );
        assert_eq!(
            ran.json()["advisories"][0]["fixed-in"],
            json!(["1.1"]),
            "{ran}"
        );
    }
    let diff = |old: &Utf8PathBuf, new: &Utf8PathBuf| {
        common::lockwright(&temp)
            .args([
                "diff",
                old.as_str(),
                new.as_str(),
                "--json",
                "--osv",
                folder.as_str(),
                "--as-of",
                DAY,
            ])
            .run()
            .ok()
    };
    let of_osv = |ran: &Ran| -> Vec<String> {
        let is = |line: &String| line.contains("introduces") || line.contains("fixes");
        found(ran).into_iter().filter(is).collect()
    };
    let bump = diff(&old, &new);
    assert_eq!(
        of_osv(&bump),
        ["alarm introduces b 1.0", "warning introduces a 1.0"],
        "{bump}"
    );
    let back = diff(&new, &old);
    assert_eq!(
        of_osv(&back),
        ["note fixes a 0.4", "note fixes b 0.4"],
        "{back}"
    );
    // What the project bears is listed, and no finding, until its day.
    let ignore = |until: &str| {
        temp.write(
            "new/lockwright.toml",
            format!("[[review.ignore]]\nid = \"CVE-GHSA-1\"\nreason = \"not reached\"\nuntil = \"{until}\"\n"),
        );
        audit(
            &temp,
            &new,
            &["--json", "--mirror", &mirror, "--osv", folder.as_str()],
        )
        .exit(1)
    };
    let borne = ignore("2026-12-31");
    assert_eq!(found(&borne), ["alarm vulnerable b 1.0"], "{borne}");
    assert_eq!(borne.json()["advisories"][0]["ignored"], "not reached");
    let over = ignore("2026-01-31");
    assert!(
        found(&over).contains(&"warning ignore-over a".to_owned()),
        "{over}"
    );
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

/// A text without some of the places where one part stands: up to another, which stays.
fn without(text: &str, from: &str, to: &str, is_lost: impl Fn(usize) -> bool) -> String {
    let mut parts = text.split(from);
    let mut done = parts.next().unwrap().to_owned();
    for (number, part) in parts.enumerate() {
        match part.split_once(to).filter(|_| is_lost(number)) {
            Some((_, rest)) => done.push_str(&format!("{to}{rest}")),
            None => done.push_str(&format!("{from}{part}")),
        }
    }
    done
}

/// `lockwright complete`: what uv wrote comes back to the byte, and with it what the index told nobody then.
#[test]
fn what_a_uv_lock_lacks_is_had_from_its_index() {
    let temp = Temp::new();
    let text = std::fs::read_to_string(common::fixture("forks").join("uv.lock")).unwrap();
    let lost = without(&text, ", hash = ", ", upload", |number| number % 3 == 1);
    assert_ne!(lost, text);
    let lock = temp.write("forks/uv.lock", &lost);
    let complete = || {
        let mut complete = common::lockwright(&temp);
        complete
            .args(["complete", lock.as_str()])
            .args(common::mirrors())
            .run()
    };
    let said = complete().ok().stderr;
    assert!(
        said.contains("added `hash` of ") && said.contains(" and `size` of "),
        "{said}"
    );
    let done = std::fs::read_to_string(&lock).unwrap();
    let sizes = done.matches(", size = ").count();
    assert_eq!(sizes, text.matches("hash = ").count());
    let unsized_text = done
        .split(", size = ")
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    assert_eq!(unsized_text.collect::<String>(), text);
    let again = complete().ok().stderr;
    assert!(again.contains("lacks nothing"), "{again}");
}

#[test]
fn what_an_index_does_not_say_is_told_and_what_it_says_otherwise_is_refused() {
    let temp = Temp::new();
    let server = Server::new();
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    for name in ["whole", "bare", "other"] {
        page(&server, name, &[wheel(name)], &[]);
    }
    let bare = with(wheel("bare"), "hashes", json!({}));
    page(&server, "bare", &[with(bare, "size", Value::Null)], &[]);
    let all = ["whole", "bare", "gone"]
        .map(|name| entry(name, ""))
        .concat();
    let whole = format!("{HEAD}{all}");
    let lost = without(&whole, ", hash = ", ", upload", |_| true);
    let lock = temp.write("uv.lock", &lost);
    let complete = |args: &[&str]| {
        common::lockwright(&temp)
            .args([
                "complete",
                lock.as_str(),
                "--mirror",
                &mirror,
                "--retries",
                "0",
            ])
            .args(args)
            .run()
    };
    let said = complete(&["--json"]).exit(1);
    assert_eq!(
        said.json()["added"][0]["fields"],
        json!(["hash", "size"]),
        "{said}"
    );
    let left = said.json()["left"].to_string();
    for why in [
        "does not say its hash",
        "does not say its size",
        "does not know it",
    ] {
        assert!(left.contains(why), "{left}");
    }
    let done = std::fs::read_to_string(&lock).unwrap();
    let expected = format!("{HEAD}{}", entry("whole", ""));
    assert!(done.starts_with(&expected), "{done}");
    // A lock may not say one thing and its index another.
    let lie = entry("other", "").replace(&sha("other-1.0-py3-none-any.whl"), &sha("x"));
    let lie = lie.replace(
        &format!(", size = {}", "other-1.0-py3-none-any.whl".len()),
        "",
    );
    let lie = temp.write("uv.lock", format!("{HEAD}{lie}"));
    let before = std::fs::read_to_string(&lie).unwrap();
    let said = complete(&[]).exit(1).stderr;
    assert!(
        said.contains("other digests than the index does: other-1.0"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&lie).unwrap(), before);
    let said = complete(&["--registry", "https://x.example/"])
        .exit(1)
        .stderr;
    assert!(
        said.contains("--registry says something of a package-lock.json"),
        "{said}"
    );
}
