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
    for (at, lock) in locks.iter().enumerate() {
        let bill = || {
            common::lockwright(&temp)
                .args(["export", "sbom", lock.as_str()])
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
