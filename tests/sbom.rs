//! `lockwright export sbom` against CycloneDX's own validator.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{Run, Temp};
use serde_json::Value;

/// Prints what is wrong with a bill, by the strict JSON schema of CycloneDX 1.6.
const VALIDATOR: &str = "\
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
for path in sys.argv[1:]:
    error = validator.validate_str(open(path).read())
    if error: sys.exit(f'{path}: {error}')
";

#[test]
fn every_bill_is_valid_and_the_same_each_time() {
    let temp = Temp::new();
    // The validator takes a second for a hundred files.
    let locks = ["default", "sources", "npm-v2", "npm-workspaces"].map(common::fixture);
    let mut args = vec!["-c".to_owned(), VALIDATOR.to_owned()];
    for (at, (lock, all)) in (locks.iter())
        .flat_map(|lock| [(lock, "--all"), (lock, "--format=cyclonedx")])
        .enumerate()
    {
        let bill = || {
            common::lockwright(&temp)
                .args(["export", "sbom", lock.as_str(), all])
                .run()
                .ok()
                .stdout
        };
        let (one, other) = (bill(), bill());
        assert!(one == other, "{lock}");
        check_references(&serde_json::from_str(&one).unwrap());
        args.push(temp.write(&format!("{at}.json"), one).into_string());
    }
    // The validator refuses what is none.
    let broken = temp.write(
        "broken.json",
        "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"components\": [{}]}",
    );
    common::run(common::validators(), args);
    let refused = std::process::Command::new(common::validators())
        .args(["-c", VALIDATOR, broken.as_str()])
        .run();
    assert_ne!(refused.code, 0, "{refused}");
}

/// Every reference leads to a component, and every component has its place among the dependencies.
fn check_references(bill: &Value) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let components = bill["components"].as_array().unwrap();
    let mut known: BTreeSet<String> = components.iter().map(|one| text(&one["bom-ref"])).collect();
    assert_eq!(known.len(), components.len());
    known.insert(text(&bill["metadata"]["component"]["bom-ref"]));
    let dependencies = bill["dependencies"].as_array().unwrap();
    let from: BTreeSet<String> = dependencies.iter().map(|one| text(&one["ref"])).collect();
    assert_eq!(from, known);
    for to in dependencies
        .iter()
        .flat_map(|one| one["dependsOn"].as_array().unwrap())
    {
        assert!(known.contains(&text(to)), "{to}");
    }
}

#[test]
fn a_bill_has_digests_licences_and_edges() {
    let temp = Temp::new();
    let bill = common::lockwright(&temp)
        .args(["export", "sbom", common::fixture("bump-npm/new").as_str()])
        .run()
        .ok()
        .json();
    let express = (bill["components"].as_array().unwrap().iter())
        .find(|component| component["name"] == "express")
        .unwrap();
    assert_eq!(
        express["licenses"],
        serde_json::json!([{"expression": "MIT"}])
    );
    assert_eq!(express["hashes"][0]["alg"], "SHA-512");
    let edges = |of: &str| -> Vec<String> {
        let all = bill["dependencies"].as_array().unwrap();
        let one = all.iter().find(|one| one["ref"] == of).unwrap();
        one["dependsOn"]
            .as_array()
            .unwrap()
            .iter()
            .map(|to| to.as_str().unwrap().to_owned())
            .collect()
    };
    let root = bill["metadata"]["component"]["bom-ref"].as_str().unwrap();
    assert!(
        edges(root)
            .iter()
            .any(|to| to.starts_with("pkg:npm/express@5"))
    );
    assert!(
        edges(express["purl"].as_str().unwrap())
            .iter()
            .any(|to| to.starts_with("pkg:npm/accepts@2"))
    );

    // Of wheels that are in the store, what they state.
    let lock = common::fixture("default");
    let before = common::lockwright(&temp)
        .args(["export", "sbom", lock.as_str()])
        .run()
        .ok()
        .json();
    assert!(
        before["components"][0]["purl"]
            .as_str()
            .unwrap()
            .starts_with("pkg:pypi/greeting")
    );
    let production = common::lockwright(&temp)
        .args([
            "export",
            "sbom",
            lock.as_str(),
            "--no-dev",
            "--python-version",
            "3.14",
            "--python-platform",
            "linux",
        ])
        .run()
        .ok()
        .json();
    let count = |bill: &Value| bill["components"].as_array().unwrap().len();
    assert!(count(&production) < count(&before));
}

#[test]
fn a_bill_for_a_target_needs_no_interpreter() {
    let temp = Temp::new();
    let lock = common::fixture("bump/new");
    let bill = |more: &[&str]| {
        common::lockwright(&temp)
            .args(["export", "sbom", lock.as_str()])
            .args(more)
            .env("PATH", "")
            .run()
    };
    let has = |bill: &Value, name: &str| {
        let all = bill["components"].as_array().unwrap();
        all.iter().any(|component| component["name"] == name)
    };
    let linux = bill(&["--target", "3.13@x86_64-manylinux_2_28"])
        .ok()
        .json();
    let windows = bill(&["--target", "3.13@windows", "--no-dev"]).ok().json();
    assert!(has(&linux, "uvloop") && has(&linux, "pytest"));
    assert!(!has(&windows, "uvloop") && !has(&windows, "pytest"));
    // Neither does a selection alone.
    assert!(!has(&bill(&["--no-dev"]).ok().json(), "pytest"));
    let said = bill(&["--target", "windows,linux"]).exit(1).stderr;
    assert!(said.contains("for one target"), "{said}");
}

#[test]
fn a_component_lists_the_file_that_is_chosen_and_who_has_it() {
    let temp = Temp::new();
    let bill = |lock: &str, more: &[&str]| {
        common::lockwright(&temp)
            .args(["export", "sbom", common::fixture(lock).as_str()])
            .args(more)
            .run()
            .ok()
    };
    let component = |bill: &Value, name: &str| {
        let all = bill["components"].as_array().unwrap();
        all.iter().find(|one| one["name"] == name).unwrap().clone()
    };
    let files = |component: &Value| component["externalReferences"].as_array().unwrap().len();
    let target = ["--target", "3.13@x86_64-manylinux_2_28"];
    let (one, all) = (bill("bump/new", &target), bill("bump/new", &["--all"]));
    assert!(one.stdout.len() * 3 < all.stdout.len());
    let (one, all) = (one.json(), all.json());
    assert_eq!(files(&component(&one, "cryptography")), 1);
    assert!(files(&component(&all, "cryptography")) > 10);
    assert_eq!(
        component(&one, "cryptography")["hashes"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(component(&one, "pytest")["scope"], "excluded");
    assert_eq!(component(&one, "cryptography")["scope"], "required");
    assert_eq!(one["metadata"]["properties"][0]["value"], target[1]);
    let npm = bill("bump-npm/new", &["--target", "linux-x64"]).json();
    assert_eq!(component(&npm, "eslint")["scope"], "excluded");
    assert_eq!(component(&npm, "express")["scope"], "required");
    assert_eq!(component(&npm, "linux-x64")["scope"], "optional");

    let spdx = bill(
        "bump-npm/new",
        &["--format", "spdx", "--target", "linux-x64"],
    )
    .json();
    assert_eq!(spdx["spdxVersion"], "SPDX-2.3");
    assert_eq!(spdx["creationInfo"]["created"], "1970-01-01T00:00:00Z");
    let packages = spdx["packages"].as_array().unwrap();
    let express = packages
        .iter()
        .find(|one| one["name"] == "express")
        .unwrap();
    assert_eq!(express["licenseDeclared"], "MIT");
    assert_eq!(express["checksums"][0]["algorithm"], "SHA512");
    let ids: BTreeSet<&str> = packages
        .iter()
        .map(|one| one["SPDXID"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), packages.len());
    let relationships = spdx["relationships"].as_array().unwrap();
    assert!(relationships.len() >= packages.len(), "{relationships:?}");
    for one in relationships {
        for side in ["spdxElementId", "relatedSpdxElement"] {
            let id = one[side].as_str().unwrap();
            assert!(ids.contains(id) || id == "SPDXRef-DOCUMENT", "{id}");
        }
    }
}
