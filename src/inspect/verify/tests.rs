#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8Path;

use super::*;
use crate::core::walk::walk;
use crate::files::tree::{Tree, TreeOptions, TreePath};

/// A small tree that was made here, and its record.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("t");
    let tree = Tree::stage(Utf8Path::from_path(&root).unwrap(), TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1.0", 0);
    let site = "lib/python3.14/site-packages";
    for (path, text) in [
        ("a/__init__.py", "x = 1\n"),
        ("a/data.txt", "data"),
        (
            "a-1.0.dist-info/RECORD",
            "a/__init__.py,,6\na/data.txt,,4\na-1.0.dist-info/RECORD,,\n",
        ),
    ] {
        let path = TreePath::new(format!("{site}/{path}")).unwrap();
        tree.file(owner, &path, 0o644, text.as_bytes()).unwrap();
    }
    tree.symlink(owner, &TreePath::new("link").unwrap(), "lib")
        .unwrap();
    tree.finish().commit().unwrap();
    (folder, root)
}

fn found(root: &Path) -> Vec<(ProblemKind, String)> {
    let provenance = Provenance::of_tree(Utf8Path::from_path(root).unwrap()).unwrap();
    let report = verify(root, &walk(root).unwrap(), provenance.as_ref()).unwrap();
    report
        .problems
        .into_iter()
        .map(|problem| (problem.kind, problem.path))
        .collect()
}

#[test]
fn what_was_not_touched_is_as_it_should_be() {
    let (_held, root) = tree();
    assert_eq!(found(&root), []);
}

type Change = fn(&Path);

#[test]
fn each_change_is_told_for_what_it_is() {
    let site = "lib/python3.14/site-packages";
    let data = format!("{site}/a/data.txt");
    let cases: [(Change, ProblemKind); 5] = [
        (|at| fs::remove_file(at).unwrap(), ProblemKind::Missing),
        (|at| fs::write(at, "DATA").unwrap(), ProblemKind::Altered),
        (
            |at| fs::write(at, "more data").unwrap(),
            ProblemKind::Altered,
        ),
        (
            |at| fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap(),
            ProblemKind::Mode,
        ),
        (
            |at| {
                fs::remove_file(at).unwrap();
                symlink("__init__.py", at).unwrap();
            },
            ProblemKind::Altered,
        ),
    ];
    for (change, kind) in cases {
        let (_held, root) = tree();
        change(&root.join(&data));
        assert_eq!(found(&root), [(kind, data.clone())]);
    }
    let (_held, root) = tree();
    fs::remove_file(root.join("link")).unwrap();
    symlink("elsewhere", root.join("link")).unwrap();
    fs::write(root.join("new"), "").unwrap();
    assert_eq!(
        found(&root),
        [
            (ProblemKind::Altered, "link".to_owned()),
            (ProblemKind::Extra, "new".to_owned())
        ]
    );
}

#[test]
fn bytecode_counts_only_beside_its_source() {
    let (_held, root) = tree();
    let cache = root.join("lib/python3.14/site-packages/a/__pycache__");
    fs::create_dir(&cache).unwrap();
    fs::write(cache.join("__init__.cpython-314.pyc"), "").unwrap();
    fs::create_dir_all(root.join(".pytest_cache/v")).unwrap();
    fs::write(root.join(".pytest_cache/v/x"), "").unwrap();
    assert_eq!(found(&root), []);
    fs::write(cache.join("gone.cpython-314.pyc"), "").unwrap();
    assert_eq!(found(&root).len(), 1);
}

#[test]
fn without_a_record_of_ours_the_installers_is_believed() {
    let (_held, root) = tree();
    fs::remove_dir_all(root.join(".lockwright")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    fs::write(root.join("pyvenv.cfg"), "").unwrap();
    assert_eq!(found(&root), []);
    let data = "lib/python3.14/site-packages/a/data.txt";
    fs::write(root.join(data), "longer").unwrap();
    assert_eq!(found(&root), [(ProblemKind::Altered, data.to_owned())]);
}

#[test]
fn one_of_the_packages_that_bring_a_path_is_right() {
    let (_held, root) = tree();
    let site = root.join("lib/python3.14/site-packages");
    let other = site.join("b-1.0.dist-info");
    fs::create_dir(&other).unwrap();
    fs::remove_dir_all(root.join(".lockwright")).unwrap();
    fs::remove_file(root.join("link")).unwrap();
    fs::write(root.join("pyvenv.cfg"), "").unwrap();
    let data = "lib/python3.14/site-packages/a/data.txt";
    fs::write(root.join(data), "another").unwrap();
    let hash = crate::core::digest::Digest::of(crate::core::digest::Algorithm::Sha256, b"another");
    let hash = data_encoding::BASE64URL_NOPAD.encode(hash.bytes());
    let lines = format!("a/data.txt,sha256={hash},7\nb-1.0.dist-info/RECORD,,\n");
    fs::write(other.join("RECORD"), lines).unwrap();
    assert_eq!(found(&root), []);
    fs::write(root.join(data), "a third").unwrap();
    assert_eq!(found(&root), [(ProblemKind::Altered, data.to_owned())]);
}

#[test]
fn a_recorded_link_to_what_is_no_file_is_a_finding() {
    let (_folder, root) = tree();
    let site = root.join("lib/python3.14/site-packages");
    let info = site.join("b-1.0.dist-info");
    fs::create_dir_all(&info).unwrap();
    symlink("/dev/zero", site.join("endless")).unwrap();
    symlink("nowhere", site.join("nothing")).unwrap();
    fs::write(info.join("METADATA"), "Name: b\nVersion: 1.0\n").unwrap();
    let lines = "endless,sha256=AAAA,4\nnothing,sha256=AAAA,4\nb-1.0.dist-info/METADATA,,\nb-1.0.dist-info/RECORD,,\n";
    fs::write(info.join("RECORD"), lines).unwrap();
    let report = verify(&root, &walk(&root).unwrap(), None).unwrap();
    let said = report.problems.iter().map(|problem| &*problem.says);
    let links = said.filter(|says| *says == "it is a link that leads to no file");
    assert_eq!(links.count(), 2, "{:#?}", report.problems);
}
