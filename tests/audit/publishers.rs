//! Who publishes a file: PEP 740's attestations and npm's provenance.

use super::*;

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
