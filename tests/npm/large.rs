//! Locks of a few megabytes that are made to exhaust a machine: a plan costs what its lock does.

use std::process::Command;

use camino::Utf8Path;
use serde_json::{Map, Value, json};

use crate::common::{Run as _, Temp};

/// `lockwright plan` with no more than 1 GiB of addresses and a minute of a processor's time.
fn plan(folder: &Utf8Path) -> crate::common::Ran {
    let bounds = [
        "--as=1073741824",
        "--cpu=60",
        env!("CARGO_BIN_EXE_lockwright"),
    ];
    Command::new("prlimit")
        .args(bounds)
        .args([
            "plan",
            folder.as_str(),
            "--json",
            "--os",
            "linux",
            "--cpu",
            "x64",
            "--libc",
            "glibc",
        ])
        .env("HOME", folder)
        .run()
}

fn write(temp: &Temp, root: &Value, packages: Map<String, Value>) {
    let mut all = Map::from_iter([(String::new(), root.clone())]);
    all.extend(packages);
    let lock = json!({ "name": "p", "lockfileVersion": 3, "requires": true, "packages": all });
    temp.write("p/package.json", root.to_string());
    temp.write("p/package-lock.json", lock.to_string());
}

#[test]
fn chains_and_crowds_that_need_each_other() {
    let count = 10_000;
    for (more, kept) in [
        (json!({}), true),
        (json!({ "optional": true, "os": ["plan9"] }), false),
    ] {
        let temp = Temp::new();
        let mut packages = Map::new();
        for number in 0..count {
            let next = format!("p{}", number + 1);
            let mut entry = json!({ "version": "1.0.0", "integrity": format!("sha512-{}==", "A".repeat(86)),
                "resolved": format!("https://registry.npm.example/p/-/p-{number}.tgz") });
            if number + 1 < count {
                // Each needs the next, and all need the last.
                entry["dependencies"] =
                    json!({ next: "1.0.0", format!("p{}", count - 1): "1.0.0" });
            }
            crate::registry::merge(&mut entry, &more);
            packages.insert(format!("node_modules/p{number}"), entry);
        }
        let kind = if kept {
            "dependencies"
        } else {
            "optionalDependencies"
        };
        let root = json!({ "name": "p", "version": "1.0.0", kind: { "p0": "1.0.0" } });
        write(&temp, &root, packages);
        let said = plan(&temp.join("p")).ok().json();
        let found = said["packages"].as_array().unwrap().len();
        assert_eq!(found, if kept { count } else { 0 });
    }
}

#[test]
fn places_and_values_as_deep_as_can_be() {
    let temp = Temp::new();
    let mut packages = Map::new();
    let mut place = String::new();
    for number in 0..150 {
        place = format!(
            "{place}{}node_modules/d",
            if place.is_empty() { "" } else { "/" }
        );
        let needs = if number + 1 < 150 {
            json!({ "d": "1.0.0", "absent": "1" })
        } else {
            json!({})
        };
        packages.insert(
            place.clone(),
            json!({ "version": "1.0.0", "dependencies": needs }),
        );
    }
    let root = json!({ "name": "p", "version": "1.0.0", "dependencies": { "d": "1.0.0" } });
    write(&temp, &root, packages);
    let said = plan(&temp.join("p")).exit(1).stderr;
    assert!(
        said.contains("needs absent 1, and the lock has none"),
        "{}",
        said.get(..500).unwrap_or(&said)
    );
    assert!(said.len() < 100_000, "{}", said.len());

    let deep = format!(
        "{{ \"a\": {}{} }}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    temp.write("p/package-lock.json", deep);
    let said = plan(&temp.join("p")).exit(1).stderr;
    assert!(
        said.contains("package-lock.json:1"),
        "{}",
        said.get(..500).unwrap_or(&said)
    );
}
