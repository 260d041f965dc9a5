#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt;

use super::*;

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dest = Utf8Path::from_path(folder.path()).unwrap().join("out");
    (folder, dest)
}

#[test]
fn files_folders_links_and_modes_are_as_asked() {
    let (_folder, dest) = scratch();
    let mut tree = Tree::stage(&dest).unwrap();
    let owner = tree.owner("a");
    tree.file(owner, &path("d/x"), true, b"x").unwrap();
    tree.file(owner, &path("d/y"), false, b"y").unwrap();
    tree.folder(owner, &path("empty/er")).unwrap();
    tree.symlink(owner, &path("d/l"), "../d/x").unwrap();
    assert!(!dest.exists());
    assert_eq!(tree.settle(true).unwrap(), []);
    tree.commit(&Replace::Nothing).unwrap();
    let mode = |name: &str| {
        std::fs::metadata(dest.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("d/x"), mode("d/y"), mode("empty/er")),
        (0o755, 0o644, 0o755)
    );
    assert_eq!(std::fs::read(dest.join("d/l")).unwrap(), b"x");
    // Nothing else is left beside it.
    assert_eq!(dest.parent().unwrap().read_dir().unwrap().count(), 1);
}

#[test]
fn the_later_owner_wins_whoever_comes_first() {
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let (_folder, dest) = scratch();
        let mut tree = Tree::stage(&dest).unwrap();
        let owners = [tree.owner("a"), tree.owner("b"), tree.owner("c")];
        for index in order {
            let bytes: &[u8] = if index == 2 { b"two" } else { b"one" };
            tree.file(owners[index], &path("same"), false, b"same")
                .unwrap();
            tree.file(owners[index], &path("docs/Makefile"), index == 2, bytes)
                .unwrap();
        }
        let collisions = tree.settle(false).unwrap();
        assert_eq!(
            collisions,
            [Collision {
                path: "docs/Makefile".into(),
                owners: ["a", "b", "c"].map(String::from).into()
            }]
        );
        assert_eq!(tree.provenance()["docs/Makefile"], "c");
        tree.commit(&Replace::Nothing).unwrap();
        assert_eq!(std::fs::read(dest.join("docs/Makefile")).unwrap(), b"two");
    }
}

#[test]
fn strict_refuses_different_bytes_alone() {
    let (_folder, dest) = scratch();
    let mut tree = Tree::stage(&dest).unwrap();
    let (a, b) = (tree.owner("a"), tree.owner("b"));
    tree.file(a, &path("x"), false, b"1").unwrap();
    tree.file(b, &path("x"), false, b"1").unwrap();
    assert_eq!(tree.settle(true).unwrap(), []);
    tree.file(b, &path("y"), false, b"1").unwrap();
    tree.file(a, &path("y"), false, b"2").unwrap();
    let error = tree.settle(true).unwrap_err().to_string();
    assert!(error.contains("y is brought by a and by b"), "{error}");
    drop(tree);
    assert_eq!(dest.parent().unwrap().read_dir().unwrap().count(), 0);
}

#[test]
fn nothing_is_written_through_a_link_or_out_of_the_tree() {
    let (_folder, dest) = scratch();
    let mut tree = Tree::stage(&dest).unwrap();
    let (a, b) = (tree.owner("a"), tree.owner("b"));
    for target in ["/etc", "..", "x/../../y", ""] {
        assert!(
            matches!(
                tree.symlink(a, &path("l"), target),
                Err(TreeError::Escape { .. })
            ),
            "{target}"
        );
    }
    tree.link_anywhere(a, &path("l"), "/etc").unwrap();
    assert!(matches!(
        tree.file(b, &path("l/passwd"), false, b""),
        Err(TreeError::Clash { .. })
    ));
    tree.file(a, &path("f"), false, b"").unwrap();
    assert!(matches!(
        tree.file(b, &path("f/g"), false, b""),
        Err(TreeError::Clash { .. })
    ));
    assert!(matches!(
        tree.file(a, &path("f"), false, b""),
        Err(TreeError::Twice { .. })
    ));
}

#[test]
fn only_what_is_ours_is_replaced() {
    let (_folder, dest) = scratch();
    let make = |bytes: &[u8], replace: &Replace<'_>| {
        let mut tree = Tree::stage(&dest).unwrap();
        let owner = tree.owner("a");
        tree.file(owner, &path("x"), false, bytes).unwrap();
        tree.commit(replace)
    };
    make(b"1", &Replace::Nothing).unwrap();
    assert!(matches!(
        make(b"2", &Replace::Nothing),
        Err(TreeError::NotOurs { .. })
    ));
    assert!(matches!(
        make(b"2", &Replace::Ours(&|_| false)),
        Err(TreeError::NotOurs { .. })
    ));
    assert_eq!(std::fs::read(dest.join("x")).unwrap(), b"1");
    make(b"3", &Replace::Ours(&|dest| dest.join("x").exists())).unwrap();
    assert_eq!(std::fs::read(dest.join("x")).unwrap(), b"3");
    make(b"4", &Replace::Anything).unwrap();
    assert_eq!(std::fs::read(dest.join("x")).unwrap(), b"4");
    assert_eq!(dest.parent().unwrap().read_dir().unwrap().count(), 1);
}

#[test]
fn what_a_killed_run_left_is_swept() {
    let (_folder, dest) = scratch();
    let left = dest.with_file_name(".out.lockwright-4194999-0");
    std::fs::create_dir_all(left.join("tree/x")).unwrap();
    drop(Tree::stage(&dest).unwrap());
    assert!(!left.exists());
}
