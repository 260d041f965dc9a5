//! Against Nix itself: hashes over generated trees, and what it accepts as a fixed output.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use common::nix::{build, newer_nix, nix};
use common::{Run as _, Temp, lockwright};
use lockwright::transform::nix::{base32, nar};
use proptest::prelude::*;

/// Something in a generated tree.
#[derive(Debug, Clone)]
enum Node {
    File(Vec<u8>, bool),
    Link(OsString),
    Folder(Vec<(OsString, Node)>),
}

/// Names as people and machines have them, and as only machines do.
fn name() -> impl Strategy<Value = OsString> {
    let bytes = prop_oneof![
        "[a-zA-Z0-9._+-]{1,8}".prop_map(String::into_bytes),
        "[é 😀\n\"'*]{1,4}".prop_map(String::into_bytes),
        proptest::collection::vec(prop_oneof![1u8..=46, 48u8..=255], 1..6),
    ];
    bytes
        .prop_map(OsString::from_vec)
        .prop_filter("is no name", |name| name != "." && name != "..")
}

fn node() -> impl Strategy<Value = Node> {
    let file = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..70),
        (0usize..600_000).prop_map(|length| vec![b'x'; length]),
    ];
    let leaf = prop_oneof![
        (file, any::<bool>()).prop_map(|(bytes, executable)| Node::File(bytes, executable)),
        name().prop_map(Node::Link),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        proptest::collection::vec((name(), inner), 0..6).prop_map(Node::Folder)
    })
}

fn make(path: &Path, node: &Node) {
    match node {
        Node::File(bytes, executable) => {
            fs::write(path, bytes).unwrap();
            let mode = if *executable { 0o755 } else { 0o644 };
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        Node::Link(target) => symlink(target, path).unwrap(),
        Node::Folder(entries) => {
            fs::create_dir(path).unwrap();
            for (name, node) in entries {
                let inner = path.join(name);
                if fs::symlink_metadata(&inner).is_err() {
                    make(&inner, node);
                }
            }
        }
    }
}

fn nix_hash(path: impl AsRef<OsStr>) -> String {
    let ran = Command::new(common::nix_hash())
        .args(["--type", "sha256", "--base32"])
        .arg(path)
        .run();
    ran.ok().stdout.trim().to_owned()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn hashes_are_nix_s_own(tree in node()) {
        let temp = Temp::new();
        let path = temp.path().as_std_path().join("tree");
        make(&path, &tree);
        let ours = nar::hash_path(&path).unwrap();
        prop_assert_eq!(base32::encode(ours.bytes()), nix_hash(&path));
    }
}

#[test]
fn the_command_prints_and_dumps_what_nix_does() {
    let temp = Temp::new();
    let tree = temp.join("tree");
    make(
        tree.as_std_path(),
        &Node::Folder(vec![
            (
                OsStr::from_bytes(b"\xff odd").into(),
                Node::File(b"x".into(), true),
            ),
            ("empty".into(), Node::Folder(vec![])),
            ("link".into(), Node::Link("nowhere".into())),
        ]),
    );
    let sri = lockwright(&temp).args(["hash", "tree"]).run().ok().stdout;
    let mut command = nix("nix", &temp);
    let theirs = command
        .args(["hash", "path", "--sri", tree.as_str()])
        .run()
        .ok()
        .stdout;
    assert_eq!(sri, theirs);
    let base32 = lockwright(&temp)
        .args(["hash", "--base32", "tree"])
        .run()
        .ok()
        .stdout;
    assert_eq!(base32.trim(), nix_hash(&tree));
    let dumped = lockwright(&temp)
        .args(["hash", "tree", "--dump", "out.nar"])
        .run()
        .ok()
        .stdout;
    assert_eq!(dumped, sri);
    let theirs = nix("nix-store", &temp)
        .args(["--dump", tree.as_str()])
        .output()
        .unwrap()
        .stdout;
    assert_eq!(fs::read(temp.join("out.nar")).unwrap(), theirs);
    let piped = lockwright(&temp)
        .args(["hash", "tree", "--dump", "-"])
        .output()
        .unwrap();
    assert_eq!(
        (piped.stdout, piped.stderr),
        (theirs, sri.clone().into_bytes())
    );
    let json = lockwright(&temp)
        .args(["hash", "--json", "tree"])
        .run()
        .ok()
        .json();
    assert_eq!(json["hash"], sri.trim());
}

#[test]
fn nix_accepts_the_hash_that_was_printed_before_it_saw_the_tree() {
    let temp = Temp::new();
    let tree = temp.join("tree");
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::write(tree.join("bin/x"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("bin/x"), fs::Permissions::from_mode(0o755)).unwrap();
    let hash = lockwright(&temp).args(["seal", "tree"]).run().ok().stdout;
    let built = build(nix("nix-build", &temp), &temp, &tree, &hash)
        .ok()
        .stdout;
    assert_eq!(
        lockwright(&temp)
            .args(["hash", built.trim()])
            .run()
            .ok()
            .stdout,
        hash
    );
}

#[test]
fn a_newer_nix_refuses_the_reference_that_a_scan_names_and_takes_the_stripped_tree() {
    let temp = Temp::new();
    let tree = temp.join("tree");
    let expression = r#"builtins.toFile "dep" "x""#;
    let dep = newer_nix("nix-instantiate", &temp)
        .args(["--eval", "-E", expression])
        .run()
        .ok()
        .stdout;
    let dep = dep.trim().trim_matches('"');
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("planted"), format!("before {dep} after")).unwrap();
    let store = temp.join("nix/store");
    let scan = [
        "refs",
        "scan",
        "tree",
        "--deny",
        "--store-dir",
        store.as_str(),
    ];
    let named = lockwright(&temp).args(scan).run().exit(1).stdout;
    assert!(
        named.contains("planted") && named.contains("-dep"),
        "{named}"
    );

    let hash = lockwright(&temp).args(["hash", "tree"]).run().ok().stdout;
    let refused = build(newer_nix("nix-build", &temp), &temp, &tree, &hash);
    assert!(
        refused.code != 0 && refused.stderr.contains("must not reference store paths"),
        "{refused}"
    );

    let strip = ["refs", "strip", "tree", "--store-dir", store.as_str()];
    lockwright(&temp).args(strip).run().ok();
    lockwright(&temp).args(scan).run().ok();
    let hash = lockwright(&temp).args(["hash", "tree"]).run().ok().stdout;
    build(newer_nix("nix-build", &temp), &temp, &tree, &hash).ok();
}

#[test]
fn references_are_told_by_package_and_stripping_keeps_record_true() {
    let temp = Temp::new();
    let site = temp.join("tree/lib/python3.14/site-packages");
    let bash = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2";
    fs::create_dir_all(site.join("foo-1.0.dist-info")).unwrap();
    fs::write(site.join("foo.py"), format!("{bash}/bin/bash {bash}")).unwrap();
    fs::write(site.join("data.gz"), b"\x1f\x8b...").unwrap();
    fs::write(
        site.join("foo-1.0.dist-info/RECORD"),
        "foo.py,sha256=x,1\ndata.gz,,\n",
    )
    .unwrap();
    symlink(format!("{bash}/bin/bash"), temp.join("tree/sh")).unwrap();
    let scan = lockwright(&temp)
        .args(["refs", "scan", "tree"])
        .run()
        .ok()
        .stdout;
    insta::assert_snapshot!("scan", scan);
    let strip = lockwright(&temp)
        .args(["refs", "strip", "tree"])
        .run()
        .exit(1)
        .stdout;
    insta::assert_snapshot!("strip", strip);
    let record = fs::read_to_string(site.join("foo-1.0.dist-info/RECORD")).unwrap();
    insta::assert_snapshot!("record", record);
}
