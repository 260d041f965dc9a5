#![allow(clippy::unwrap_used)]

use camino::Utf8Path;

use super::*;

fn target(os: &str) -> NodeTarget {
    NodeTarget {
        os: os.into(),
        cpu: "x64".into(),
        libc: (os == "linux").then(|| "glibc".into()),
        node: Some("24.1.0".into()),
    }
}

/// A plan of packages of a lock, its root's package.json being as `root`.
fn plan_for(
    root: &str,
    packages: &str,
    target: &NodeTarget,
    omit: &[Omit],
) -> Result<NpmPlan, NpmPlanError> {
    let folder = tempfile::tempdir().unwrap();
    let folder = Utf8Path::from_path(folder.path()).unwrap();
    std::fs::write(folder.join("package.json"), root).unwrap();
    if root.contains("packages/*") {
        std::fs::create_dir_all(folder.join("packages/w")).unwrap();
        let about = "{ \"name\": \"w\", \"devDependencies\": { \"x\": \"*\" } }";
        std::fs::write(folder.join("packages/w/package.json"), about).unwrap();
    }
    let text = format!("{{\"lockfileVersion\": 3, \"packages\": {{\"\": {root}{packages}}}}}");
    let lock = NpmLock::parse(&folder.join("package-lock.json"), &text).unwrap();
    let wanted = NpmSelection {
        omit: omit.iter().copied().collect(),
        ..NpmSelection::default()
    };
    NpmPlan::new(&lock, target, &wanted, &Npmrc::default())
}

fn places(plan: &NpmPlan) -> Vec<&str> {
    plan.packages.iter().map(|p| p.location.as_str()).collect()
}

const URL: &str = "\"resolved\": \"https://registry.npm.example/x.tgz\", \"version\": \"1.0.0\"";

fn entry(place: &str, more: &str) -> String {
    format!(", \"node_modules/{place}\": {{{URL}{more}}}")
}

#[test]
fn what_nothing_reaches_goes_and_what_is_for_development_can() {
    let root = r#"{"dependencies": {"a": "^1"}, "devDependencies": {"d": "*"}}"#;
    let packages = [
        entry("a", r#", "dependencies": {"b": "*"}"#),
        entry("b", ""),
        entry("d", r#", "dependencies": {"b": "*", "e": "*"}"#),
        entry("e", ""),
        entry("stray", ""),
    ]
    .concat();
    let plan = |omit: &[Omit]| plan_for(root, &packages, &target("linux"), omit).unwrap();
    let all = plan(&[]);
    assert_eq!(
        places(&all),
        [
            "node_modules/a",
            "node_modules/b",
            "node_modules/d",
            "node_modules/e"
        ]
    );
    assert_eq!(all.packages[3].recorded["dev"], true);
    assert!(!all.packages[1].recorded.contains_key("dev"));
    assert_eq!(
        places(&plan(&[Omit::Dev])),
        ["node_modules/a", "node_modules/b"]
    );
}

#[test]
fn an_optional_package_goes_with_its_whole_set() {
    let root = r#"{"optionalDependencies": {"mac": "*", "other": "*"}}"#;
    let packages = [
        entry(
            "mac",
            r#", "os": ["darwin"], "dependencies": {"only": "*", "both": "*"}"#,
        ),
        entry("only", ""),
        entry("both", ""),
        entry("other", r#", "dependencies": {"both": "*"}"#),
        entry("old", ""),
    ]
    .concat();
    let plan = |os| plan_for(root, &packages, &target(os), &[]).unwrap();
    assert_eq!(
        places(&plan("linux")),
        ["node_modules/both", "node_modules/other"]
    );
    assert_eq!(places(&plan("darwin")).len(), 4);
    let engines = entry("other", r#", "engines": {"node": "<18"}"#) + &entry("mac", "");
    let plan = plan_for(root, &engines, &target("linux"), &[]).unwrap();
    assert_eq!(places(&plan), ["node_modules/mac"]);
}

#[test]
fn a_package_that_is_needed_and_ruled_out_is_an_error() {
    let root = r#"{"dependencies": {"a": "*"}}"#;
    let packages = entry("a", r#", "cpu": ["arm64"]"#);
    let said = plan_for(root, &packages, &target("linux"), &[])
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("node_modules/a is for cpu arm64, not x64"),
        "{said}"
    );
}

#[test]
fn drift_is_told_with_its_first_difference() {
    for (root, packages, why) in [
        (
            r#"{"dependencies": {"a": "*"}}"#,
            String::new(),
            "the project needs a *, and the lock has none",
        ),
        (
            r#"{"dependencies": {"a": "^2"}}"#,
            entry("a", ""),
            "the project needs a ^2, and the lock has 1.0.0",
        ),
        (
            r#"{"dependencies": {"a": "*"}}"#,
            entry("a", r#", "dependencies": {"b": "*"}"#),
            "node_modules/a needs b *, and the lock has none",
        ),
        (
            r#"{"dependencies": {"a": "*"}}"#,
            entry("a", r#", "bundleDependencies": ["b"]"#),
            "node_modules/a bundles b, which the lock does not list",
        ),
    ] {
        let said = plan_for(root, &packages, &target("linux"), &[])
            .unwrap_err()
            .to_string();
        assert!(said.contains(why), "{said}");
        assert!(said.contains("npm install --package-lock-only"), "{said}");
    }
}

#[test]
fn the_first_to_claim_a_program_has_it() {
    let root = r#"{"dependencies": {"b": "*", "@z/a": "*"}}"#;
    let packages = [
        entry(
            "b",
            r#", "bin": {"run": "b.js"}, "dependencies": {"c": "*"}"#,
        ),
        entry("@z/a", r#", "bin": {"run": "a.js", "own": "../../x.js"}"#),
        entry("b/node_modules/c", r#", "bin": "c.js""#),
    ]
    .concat();
    let plan = plan_for(root, &packages, &target("linux"), &[]).unwrap();
    let bins: Vec<_> = plan
        .bins
        .iter()
        .map(|b| (b.link.as_str(), b.file.as_str()))
        .collect();
    assert_eq!(
        bins,
        [
            ("node_modules/.bin/run", "node_modules/@z/a/a.js"),
            ("node_modules/.bin/own", "node_modules/@z/a/x.js"),
            (
                "node_modules/b/node_modules/.bin/c",
                "node_modules/b/node_modules/c/c.js"
            ),
        ]
    );
}

#[test]
fn workspaces_are_links_and_their_programs_come_last() {
    let root = r#"{"workspaces": ["packages/*"], "dependencies": {"a": "*"}}"#;
    let packages = entry("a", r#", "bin": {"run": "a.js"}"#)
        + r#", "node_modules/w": {"resolved": "packages/w", "link": true},
             "packages/w": {"bin": {"run": "w.js", "w": "w.js"}, "devDependencies": {"x": "*"}},
             "packages/w/node_modules/x": {"version": "1.0.0",
                "resolved": "https://registry.npm.example/x.tgz"}"#;
    let plan = plan_for(root, &packages, &target("linux"), &[]).unwrap();
    assert_eq!(
        places(&plan),
        [
            "node_modules/a",
            "node_modules/w",
            "packages/w",
            "packages/w/node_modules/x"
        ]
    );
    let bins: Vec<_> = plan.bins.iter().map(|b| b.file.as_str()).collect();
    assert_eq!(bins, ["node_modules/a/a.js", "node_modules/w/w.js"]);
}

#[test]
fn what_is_bundled_comes_out_of_its_parent() {
    let root = r#"{"dependencies": {"a": "*"}}"#;
    let packages = entry(
        "a",
        r#", "bundleDependencies": ["b"], "dependencies": {"b": "*"}"#,
    ) + r#", "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": true}"#;
    let plan = plan_for(root, &packages, &target("linux"), &[]).unwrap();
    let NpmSource::Bundle(bundler) = &plan.packages[1].source else {
        panic!("{:?}", plan.packages[1].source);
    };
    assert_eq!(bundler.as_str(), "node_modules/a");
}

#[test]
fn git_packages_name_a_full_commit() {
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let read = |text: &str| GitPackage::read(&format!("{text}{commit}"));
    let found = read("git+ssh://git@github.com/a/b.git#").unwrap();
    assert_eq!(found.url, "https://github.com/a/b.git");
    let found = read("git+ssh://git@forge.example/a/b.git#path:x/y::").unwrap();
    assert_eq!(
        (found.url.as_str(), found.folder.as_str()),
        ("ssh://git@forge.example/a/b.git", "x/y")
    );
    assert_eq!(found.commit, commit);
    for odd in [
        "https://forge.example/a#",
        "git+https://forge.example/a#v1",
        "a/b#",
    ] {
        assert_eq!(read(odd), None, "{odd}");
    }
}

#[test]
fn a_tarball_that_nobody_can_place_is_an_error() {
    let root = r#"{"dependencies": {"a": "*"}}"#;
    for (entry, why) in [
        (
            r#", "node_modules/a": {"version": "1.0.0"}"#,
            "no registry is known",
        ),
        (
            r#", "node_modules/a": {"version": "1.0.0", "resolved": "git+ssh://git@forge.example/a.git#0"}"#,
            "with a full commit",
        ),
        (
            r#", "node_modules/a": {"version": "1.0.0", "resolved": "file:../a.tgz"}"#,
            "not a path inside",
        ),
    ] {
        let said = plan_for(root, entry, &target("linux"), &[])
            .unwrap_err()
            .to_string();
        assert!(said.contains(why), "{said}");
    }
}
