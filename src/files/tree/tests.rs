//! What a tree promises, tried on a disk.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use proptest::prelude::*;

use std::os::fd::AsFd as _;

use super::*;

struct Place {
    _folder: tempfile::TempDir,
    dest: Utf8PathBuf,
}

fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let dest = Utf8Path::from_path(folder.path()).unwrap().join("out");
    Place {
        _folder: folder,
        dest,
    }
}

fn path(path: &str) -> TreePath {
    TreePath::new(path).unwrap()
}

fn beside(dest: &Utf8Path) -> Vec<String> {
    let mut names: Vec<String> = dest
        .parent()
        .unwrap()
        .read_dir_utf8()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    names.sort();
    names
}

fn mode(path: &Utf8Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn nothing_is_at_the_destination_before_it_is_all_there() {
    let place = place();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1", 0);
    tree.file(owner, &path("x/y.py"), 0o644, b"y").unwrap();
    tree.file(owner, &path("bin/run"), 0o4755, b"#!").unwrap();
    tree.file(owner, &path("secret"), 0o600, b"s").unwrap();
    tree.file(owner, &path("open"), 0o666, b"s").unwrap();
    tree.symlink(owner, &path("x/link"), "y.py").unwrap();
    tree.folder(owner, &path("empty/folder")).unwrap();
    assert!(!place.dest.exists());
    let staged = tree.finish();
    assert!(!place.dest.exists());
    assert_eq!(staged.commit().unwrap(), place.dest);
    assert_eq!(beside(&place.dest), ["out"]);
    assert_eq!(std::fs::read(place.dest.join("x/link")).unwrap(), b"y");
    let modes = [
        "",
        "x",
        "empty/folder",
        "x/y.py",
        "bin/run",
        "secret",
        "open",
    ]
    .map(|path| mode(&place.dest.join(path)));
    assert_eq!(modes, [0o755, 0o755, 0o755, 0o644, 0o755, 0o600, 0o666]);
}

#[test]
fn the_old_tree_is_replaced_if_it_is_ours_alone() {
    let place = place();
    let make = |replace| {
        let options = TreeOptions {
            replace,
            ..TreeOptions::default()
        };
        let tree = Tree::stage(&place.dest, options)?;
        let owner = tree.owner("a 1", 0);
        tree.file(owner, &path("new"), 0o644, b"")?;
        tree.finish().commit()
    };
    // An empty folder is nobody's.
    std::fs::create_dir(&place.dest).unwrap();
    make(Replace::Ours).unwrap();
    make(Replace::Ours).unwrap();
    assert!(matches!(make(Replace::Nothing), Err(TreeError::NotOurs(_))));

    std::fs::remove_dir_all(&place.dest).unwrap();
    std::fs::create_dir(&place.dest).unwrap();
    std::fs::write(place.dest.join("thesis.txt"), "years of work").unwrap();
    let error = make(Replace::Ours).unwrap_err().to_string();
    assert!(error.contains("out is already there"), "{error}");
    assert!(error.contains("--clear"), "{error}");
    assert_eq!(beside(&place.dest), ["out"]);
    assert!(place.dest.join("thesis.txt").exists());
    make(Replace::Environments).unwrap_err();
    std::fs::write(place.dest.join("pyvenv.cfg"), "").unwrap();
    make(Replace::Environments).unwrap();
    assert!(!place.dest.join("thesis.txt").exists());
    assert_eq!(beside(&place.dest), ["out"]);
}

#[test]
fn a_tree_that_is_given_up_leaves_the_old_one_and_nothing_else() {
    let place = place();
    for round in 0..2 {
        let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
        let owner = tree.owner("a 1", 0);
        tree.file(owner, &path(&format!("{round}")), 0o644, b"")
            .unwrap();
        if round == 0 {
            tree.finish().commit().unwrap();
        } else {
            drop(tree);
        }
    }
    assert!(place.dest.join("0").exists() && !place.dest.join("1").exists());
    assert_eq!(beside(&place.dest), ["out"]);
}

#[test]
fn what_a_dead_run_left_is_swept_and_a_live_one_is_not() {
    let place = place();
    let live = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let dead = place.dest.with_file_name(".lockwright-staged-out-abcd1234");
    std::fs::create_dir_all(dead.join("tree/deep/er")).unwrap();
    std::fs::write(dead.join("tree/deep/er/file"), "").unwrap();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    assert!(!dead.exists());
    assert!(live.root().exists());
    drop((live, tree));
    assert!(beside(&place.dest).is_empty());
}

#[test]
fn a_destination_that_is_a_link_stays_one() {
    let place = place();
    let real = place.dest.with_file_name("real");
    std::fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink("real", &place.dest).unwrap();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1", 0);
    tree.file(owner, &path("new"), 0o644, b"").unwrap();
    tree.finish().commit().unwrap();
    assert_eq!(beside(&place.dest), ["out", "real"]);
    assert!(place.dest.is_symlink() && real.join("new").exists());
}

#[test]
fn the_higher_rank_wins_whoever_comes_first() {
    let bring: [(&str, u64, &[u8]); 4] = [
        ("a 1", 0, b"one"),
        ("b 1", 1, b"two"),
        ("c 1", 1, b"one"),
        ("d 1", 1, b"two"),
    ];
    for turn in 0..24 {
        let mut order = bring.to_vec();
        for (i, step) in [4, 3, 2].into_iter().enumerate() {
            let pick = i + (turn / [6, 2, 1][i]) % step;
            order.swap(i, pick);
        }
        let place = place();
        let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
        for (name, rank, bytes) in order {
            let owner = tree.owner(name, rank);
            tree.file(owner, &path("docs/Makefile"), 0o644, bytes)
                .unwrap();
            tree.file(owner, &path("docs/__init__.py"), 0o644, b"")
                .unwrap();
        }
        let told: Vec<String> = tree
            .settle(false)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            told,
            ["docs/Makefile is brought by a 1, c 1 and by d 1 with different bytes; d 1's is kept"]
        );
        let staged = tree.finish();
        assert_eq!(staged.provenance().owners, ["d 1"]);
        assert_eq!(
            std::fs::read(staged.root().join("docs/Makefile")).unwrap(),
            b"two"
        );
    }
}

#[test]
fn collisions_are_errors_where_that_is_asked() {
    let place = place();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let (a, b) = (tree.owner("a 1", 0), tree.owner("b 1", 0));
    for (owner, bytes) in [(a, b"1"), (b, b"2")] {
        tree.file(owner, &path("x"), 0o644, bytes).unwrap();
    }
    insta::assert_snapshot!(tree.settle(true).unwrap_err(), @r"
    packages bring different bytes for the same paths, which --strict refuses:
      x is brought by a 1 and by b 1 with different bytes; b 1's is kept
    ");
    drop(tree);
    assert!(beside(&place.dest).is_empty());
}

#[test]
fn what_cannot_stand_at_one_path_is_an_error() {
    let place = place();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let (a, b) = (tree.owner("a 1", 0), tree.owner("b 1", 0));
    tree.file(a, &path("x/file"), 0o644, b"1").unwrap();
    tree.symlink(a, &path("out"), "x").unwrap();
    let errors = [
        tree.file(a, &path("x/file"), 0o644, b"2").unwrap_err(),
        tree.file(b, &path("x"), 0o644, b"").unwrap_err(),
        tree.file(b, &path("x/file/below"), 0o644, b"").unwrap_err(),
        tree.file(b, &path("out/through-the-link"), 0o644, b"")
            .unwrap_err(),
        tree.symlink(b, &path("far"), "../../etc/passwd")
            .unwrap_err(),
        tree.symlink(b, &path(".lockwright"), "x").unwrap_err(),
        tree.file(b, &path(INSIDE), 0o644, b"").unwrap_err(),
    ];
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(errors.join("\n"), @r"
    a 1 brings x/file twice, with different contents: its archive is broken
    x is a folder of a 1 and a file of b 1: they cannot be installed together, leave one of them out
    x/file is a folder of b 1 and a file of a 1: they cannot be installed together, leave one of them out
    out is a folder of b 1 and a file of a 1: they cannot be installed together, leave one of them out
    the link far of b 1 leads out of the tree, to `../../etc/passwd`: it is refused
    .lockwright is a folder of lockwright and a file of b 1: they cannot be installed together, leave one of them out
    `.lockwright/provenance.json` is not a path inside a tree: it is where lockwright's own record goes
    ");
    // The same again is nothing new.
    tree.file(a, &path("x/file"), 0o644, b"1").unwrap();
}

#[test]
fn the_record_says_whose_everything_is_and_can_be_read_back() {
    let place = place();
    for record in [Record::Inside, Record::Beside] {
        let options = TreeOptions {
            record,
            replace: Replace::Environments,
            ..TreeOptions::default()
        };
        let tree = Tree::stage(&place.dest, options).unwrap();
        let (b, a) = (tree.owner("b 1", 0), tree.owner("a \"1\"", 1));
        tree.file(b, &path("x/y"), 0o755, b"abc").unwrap();
        tree.file(a, &path("x-y"), 0o644, b"").unwrap();
        tree.symlink(a, &path("x/l"), "y").unwrap();
        let staged = tree.finish();
        let told = staged.provenance();
        staged.commit().unwrap();
        let at = match record {
            Record::Inside => place.dest.join(INSIDE),
            _ => format!("{}{BESIDE}", place.dest).into(),
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(std::fs::read_to_string(&at).unwrap(), @r#"
            {
            "version": 1,
            "owners": ["a \"1\"","b 1"],
            "entries": [
            ["x-y", 0, "644", 0, "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"],
            ["x/l", 0, "link", "y"],
            ["x/y", 1, "755", 3, "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"]
            ]}
            "#);
        }
        assert_eq!(Provenance::of_tree(&place.dest).unwrap(), Some(told));
    }
    let error = |text: &str| {
        Provenance::parse("p".into(), text.as_bytes())
            .unwrap_err()
            .to_string()
    };
    assert!(error(r#"{"version":2,"owners":[],"entries":[]}"#).contains("version is 2"));
    assert!(error(r#"{"version":1,"owners":[],"entries":[["a",0,"link","b"]]}"#).contains("owner"));
    assert!(
        error(r#"{"version":1,"owners":["a"],"entries":[["../a",0,"link","b"]]}"#).contains("..")
    );
}

#[test]
fn files_of_this_machine_are_copied_or_shared() {
    let place = place();
    let source = place.dest.with_file_name("source");
    std::fs::write(&source, vec![7; 5 << 20]).unwrap();
    std::fs::set_permissions(&source, std::fs::Permissions::from_mode(0o640)).unwrap();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1", 0);
    let facts = tree.copy(owner, &path("copy"), None, &source).unwrap();
    assert_eq!((facts.mode, facts.size), (0o640, 5 << 20));
    tree.copy(owner, &path("run"), Some(0o755), &source)
        .unwrap();
    let folder = std::fs::File::open(source.parent().unwrap()).unwrap();
    let shared = Shared {
        folder: folder.as_fd(),
        modified: 0,
    };
    for (name, how) in [("hard", LinkMode::Hardlink), ("cow", LinkMode::Reflink)] {
        let mut inside = tree.inside(owner, "").unwrap();
        inside.share(name, facts, (shared, "source"), how).unwrap();
    }
    let staged = tree.finish();
    let inode = |name: &str| std::fs::metadata(staged.root().join(name)).unwrap().ino();
    let source_inode = std::fs::metadata(&source).unwrap().ino();
    assert_eq!(inode("hard"), source_inode);
    assert_ne!(inode("cow"), source_inode);
    for name in ["copy", "run", "hard", "cow"] {
        assert_eq!(
            std::fs::read(staged.root().join(name)).unwrap().len(),
            5 << 20
        );
    }
    assert_eq!(mode(&staged.root().join("run")), 0o755);
    // Editing parts the shared file from its source.
    staged.edit(&path("hard"), b"new").unwrap();
    assert_eq!(std::fs::metadata(&source).unwrap().len(), 5 << 20);
    assert_eq!(mode(&staged.root().join("hard")), 0o640);
}

#[test]
fn what_a_command_left_is_found_however_deep_it_lies() {
    let place = place();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1", 0);
    tree.file(owner, &path("a/kept"), 0o644, b"old").unwrap();
    let staged = tree.finish();
    // Deeper than folders are kept open, with something beside each step.
    let mut made = vec![String::from("a/kept")];
    for folder in ["a", "a-b", "b"] {
        let mut below = String::from(folder);
        for _ in 0..100 {
            made.extend([format!("{below}/d/x"), format!("{below}/z/y")]);
            below.push_str("/d");
        }
    }
    for file in made.iter().skip(1) {
        let file = staged.root().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "new").unwrap();
    }
    staged.rescan(staged.owner("npm run build")).unwrap();
    made.sort();
    let found = staged.provenance().entries.into_iter();
    let found: Vec<_> = found.map(|entry| entry.path.to_string()).collect();
    assert_eq!(found, made);
}

#[test]
fn a_staged_tree_can_be_worked_on_and_the_record_follows() {
    let place = place();
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let owner = tree.owner("a 1", 0);
    for name in [
        "edited",
        "removed",
        "run/over",
        "run/gone",
        "run/was-file",
        "run/was-folder/x",
    ] {
        tree.file(owner, &path(name), 0o644, b"old").unwrap();
    }
    let staged = tree.finish();
    staged.edit(&path("edited"), b"edited").unwrap();
    staged.remove(&path("removed")).unwrap();
    staged
        .put(staged.owner("patch"), &path("fresh/file"), 0o755, b"fresh")
        .unwrap();
    assert!(staged.edit(&path("removed"), b"").is_err());
    std::fs::write(staged.root().join("run/over"), "new").unwrap();
    std::fs::write(staged.root().join("run/made"), "new").unwrap();
    for name in ["run/gone", "run/was-file"] {
        std::fs::remove_file(staged.root().join(name)).unwrap();
    }
    std::fs::remove_dir_all(staged.root().join("run/was-folder")).unwrap();
    std::fs::write(staged.root().join("run/was-folder"), "new").unwrap();
    std::fs::create_dir(staged.root().join("run/was-file")).unwrap();
    std::fs::write(staged.root().join("run/was-file/x"), "new").unwrap();
    staged.rescan(staged.owner("npm run build")).unwrap();
    let record = staged.provenance();
    let told: Vec<String> = record
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.path, record.owners[entry.owner]))
        .collect();
    assert_eq!(
        told,
        [
            "edited a 1",
            "fresh/file patch",
            "run/made npm run build",
            "run/over npm run build",
            "run/was-file/x npm run build",
            "run/was-folder npm run build"
        ]
    );
    staged.commit().unwrap();
    assert_eq!(std::fs::read(place.dest.join("edited")).unwrap(), b"edited");
}

#[test]
fn folders_in_one_another_are_forgotten_side_by_side() {
    for _ in 0..10 {
        let place = place();
        let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
        let owner = tree.owner("a 1", 0);
        for number in 0..20 {
            let file = format!("a/b/c/d{number}/e/f");
            tree.file(owner, &path(&file), 0o644, b"x").unwrap();
        }
        tree.file(owner, &path("kept"), 0o644, b"x").unwrap();
        let staged = tree.finish();
        std::fs::remove_dir_all(staged.root().join("a")).unwrap();
        let mut gone = vec!["a".to_owned(), "a/b".to_owned(), "a/b/c".to_owned()];
        gone.extend((0..20).map(|number| format!("a/b/c/d{number}")));
        staged.rescan_at(staged.owner("b 1"), &gone).unwrap();
        let left = staged.provenance().entries;
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

/// Everything under a folder: path, mode, and bytes or target.
fn listing(root: &Utf8Path) -> Vec<(String, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let at = entry.unwrap().into_path();
            let meta = std::fs::symlink_metadata(&at).unwrap();
            let bytes = if meta.is_dir() {
                folders.push(at.clone());
                Vec::new()
            } else if meta.is_symlink() {
                at.read_link_utf8().unwrap().into_string().into_bytes()
            } else {
                std::fs::read(&at).unwrap()
            };
            found.push((at.strip_prefix(root).unwrap().to_string(), mode(&at), bytes));
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// The same writes, in any order, from any number of threads, small and streamed ones: the
    /// same tree, the same record, the same collisions.
    #[test]
    fn no_order_and_no_number_of_threads_shows(
        writes in prop::collection::vec((0u64..4, "[ab]{1,2}/[cd]", 0u8..3, any::<bool>()), 1..30),
        seed in any::<u64>(),
        threads in 1usize..5,
    ) {
        // One owner brings a path once.
        let mut writes = writes;
        writes.sort();
        writes.dedup_by(|a, b| a.0 == b.0 && a.1 == b.1);
        let mut shuffled = writes.clone();
        let mut state = seed | 1;
        for i in (1..shuffled.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(i, (state >> 33) as usize % (i + 1));
        }
        let mut outcomes = Vec::new();
        for (writes, threads) in [(writes, 1), (shuffled, threads)] {
            let place = place();
            let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
            std::thread::scope(|scope| {
                for part in writes.chunks(writes.len().div_ceil(threads)) {
                    let tree = &tree;
                    scope.spawn(move || {
                        for (rank, at, byte, streamed) in part {
                            let owner = tree.owner(&format!("p{rank}"), *rank);
                            let bytes = [*byte; 9];
                            if *streamed {
                                let reader = &mut &bytes[..];
                                tree.file_from_reader(owner, &path(at), 0o644, reader).unwrap();
                            } else {
                                tree.file(owner, &path(at), 0o644, &bytes).unwrap();
                            }
                        }
                    });
                }
            });
            let collisions = tree.settle(false).unwrap();
            tree.finish().commit().unwrap();
            outcomes.push((collisions, listing(&place.dest)));
        }
        prop_assert_eq!(&outcomes[0], &outcomes[1]);
    }

    /// Whatever a stranger asks for, nothing outside the tree is touched.
    #[test]
    fn nothing_outside_is_touched(
        asks in prop::collection::vec(("[a./\\\\]{0,6}", "[a./]{0,6}", 0u8..3), 1..20),
    ) {
        let place = place();
        let outside = place.dest.with_file_name("a");
        std::fs::write(&outside, "mine").unwrap();
        let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
        let owner = tree.owner("stranger", 0);
        for (at, target, kind) in asks {
            let Ok(at) = TreePath::new(&at) else { continue };
            let _ = match kind {
                0 => tree.file(owner, &at, 0o644, b"theirs").map(drop),
                1 => tree.symlink(owner, &at, &target),
                _ => tree.file_from_reader(owner, &at, 0o644, &mut &b"theirs"[..]).map(drop),
            };
        }
        tree.finish().commit().unwrap();
        prop_assert_eq!(beside(&place.dest), ["a", "out"]);
        prop_assert_eq!(std::fs::read(&outside).unwrap(), b"mine");
        let top = place.dest.canonicalize_utf8().unwrap();
        for (at, ..) in listing(&place.dest) {
            if let Ok(real) = place.dest.join(at).canonicalize_utf8() {
                prop_assert!(real.starts_with(&top), "{}", real);
            }
        }
    }
}

#[test]
fn what_its_writer_lists_is_what_is_on_the_disk() {
    let place = place();
    let source = place.dest.with_file_name("source");
    std::fs::write(&source, "same").unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(9);
    let file = std::fs::File::options().write(true).open(&source).unwrap();
    file.set_modified(time).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let shared = Shared {
        folder: CWD,
        modified: 9,
    };
    let tree = Tree::stage(&place.dest, TreeOptions::default()).unwrap();
    let (one, other) = (tree.owner("a 1", 0), tree.owner("b 1", 1));
    let facts = |sha256| FileFacts {
        mode: 0o644,
        size: 4,
        sha256,
    };
    for (owner, digest) in [(one, Some([1; 32])), (other, Some([2; 32]))] {
        let mut inside = tree.inside(owner, "a-b").unwrap();
        for name in ["both.py", "__pycache__/both.cpython-314.pyc", "a/x"] {
            let from = (shared, source.as_str());
            inside
                .share(name, facts(digest), from, LinkMode::Hardlink)
                .unwrap();
        }
    }
    let mut inside = tree.inside(one, "a").unwrap();
    for name in ["linked", "again"] {
        let from = (shared, source.as_str());
        inside
            .share(name, facts(None), from, LinkMode::Hardlink)
            .unwrap();
    }
    drop(inside);
    tree.file(one, &path("a/__pycache__/gone.pyc"), 0o644, b"4")
        .unwrap();
    tree.file(one, &path("a.b/z"), 0o600, b"4").unwrap();
    tree.symlink(one, &path("a/link"), "z").unwrap();
    tree.folder(one, &path("empty/folder")).unwrap();
    let staged = tree.finish();
    staged.edit(&path("a/again"), b"new").unwrap();
    staged.remove(&path("a.b/z")).unwrap();
    let listing = staged.listing();
    let dest = staged.commit().unwrap();
    let stamp = Stamp::settled(&dest, Some(&listing)).unwrap();
    assert!(stamp == Stamp::of(&dest).unwrap());
    assert!(stamp.holds(&dest).unwrap());
    std::fs::write(dest.join("a.b/new"), "").unwrap();
    assert!(!stamp.holds(&dest).unwrap());
}
