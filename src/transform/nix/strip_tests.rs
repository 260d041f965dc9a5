use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

use proptest::prelude::*;

use super::*;
use crate::transform::nix::reference::StoreHash;

const BASH: &str = "/nix/store/0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4-bash-5.2";
const GONE: &str = "/nix/store/eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee-bash-5.2";

fn every() -> Search {
    Search::every("/nix/store", &[])
}

fn run(root: &Path, search: &Search) -> Result<Stripped, RefsError> {
    let done = strip(root, &refs::scan(root, search)?, search);
    assert!(done.failed.is_empty(), "{:?}", done.failed);
    Ok(done)
}

#[test]
fn modes_times_and_other_names_stay() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let (one, two, out) = (
        root.join("tree/a"),
        root.join("tree/b/c"),
        root.join("outside"),
    );
    fs::create_dir_all(root.join("tree/b")).unwrap();
    fs::write(&one, format!("x {BASH} y {BASH}")).unwrap();
    fs::set_permissions(&one, fs::Permissions::from_mode(0o555)).unwrap();
    fs::hard_link(&one, &two).unwrap();
    fs::hard_link(&one, &out).unwrap();
    let before = fs::metadata(&one).unwrap();
    let done = run(&root.join("tree"), &every()).unwrap();
    assert_eq!(done.hits.len(), 2);
    assert_eq!(done.changed, ["a", "b/c"].map(PathBuf::from));
    let after = fs::metadata(&one).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    assert_eq!(after.ino(), fs::metadata(&two).unwrap().ino());
    assert_eq!(after.nlink(), 2);
    assert_eq!(
        fs::read_to_string(&two).unwrap(),
        format!("x {GONE} y {GONE}")
    );
    // Another's name for the file, in a cache say, is none of ours.
    assert_eq!(
        fs::read_to_string(&out).unwrap(),
        format!("x {BASH} y {BASH}")
    );
    let names: Vec<_> = fs::read_dir(root.join("tree")).unwrap().collect();
    assert_eq!(names.len(), 2, "nothing is left over");
}

#[test]
fn links_names_and_archives_are_left_and_said_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    symlink(format!("{BASH}/bin/bash"), root.join("link")).unwrap();
    fs::create_dir_all(root.join(BASH.trim_start_matches('/')).join("bin")).unwrap();
    fs::write(root.join("x.zip"), format!("PK\x03\x04 {BASH}")).unwrap();
    fs::write(root.join("x.pyc"), format!("\x0b\x0e\r\n{BASH}")).unwrap();
    let done = run(root, &every()).unwrap();
    let left: Vec<_> = done
        .left
        .iter()
        .map(|(hit, why)| (hit.path.to_str().unwrap(), *why))
        .collect();
    assert_eq!(
        left,
        [
            ("link", "links are not rewritten"),
            (&BASH[1..], "nothing is renamed"),
            (
                "x.zip",
                "a checksum inside the archive would no longer be right"
            ),
        ]
    );
    assert_eq!(done.changed, [PathBuf::from("x.pyc")]);
}

#[test]
fn a_single_file_is_a_tree_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, BASH).unwrap();
    assert_eq!(run(&file, &every()).unwrap().hits.len(), 1);
    assert_eq!(fs::read_to_string(&file).unwrap(), GONE);
}

#[test]
fn a_file_that_changed_since_the_scan_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    for later in [" ".to_owned() + BASH, "short".into()] {
        fs::write(&file, BASH).unwrap();
        let scan = refs::scan(dir.path(), &every()).unwrap();
        fs::write(&file, &later).unwrap();
        let done = strip(dir.path(), &scan, &every());
        let error = &done.failed[0];
        assert!(done.changed.is_empty() && done.hits.is_empty());
        assert!(matches!(error, RefsError::Changed { .. }), "{error}");
        assert_eq!(fs::read_to_string(&file).unwrap(), later);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

proptest! {
    /// As `sed "s|$hash|eeee…|g"` does it, for each hash that is not to be kept.
    #[test]
    fn only_hashes_are_overwritten(
        parts in proptest::collection::vec(
            prop_oneof![
                Just(BASH.as_bytes().to_vec()),
                Just(b"/nix/store/1vv4hna9zmbbgfjs5c1wc5vjmmpjv9ik-gcc".to_vec()),
                Just(GONE.as_bytes().to_vec()),
                proptest::collection::vec(any::<u8>(), 0..40),
            ],
            0..12,
        ),
        keep in any::<bool>(),
    ) {
        let bytes = parts.concat();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, &bytes).unwrap();
        let bash: StoreHash = BASH.parse().unwrap();
        let kept = if keep { vec![bash] } else { Vec::new() };
        let search = Search::every("/nix/store", &kept);
        let done = run(dir.path(), &search).unwrap();
        prop_assume!(done.left.is_empty());
        let stripped = fs::read(&file).unwrap();
        prop_assert_eq!(stripped.len(), bytes.len());
        let mut wanted = bytes.clone();
        for hash in ["0c0dznr1wkzbnyz8nhx1bmnlxxq93fh4", "1vv4hna9zmbbgfjs5c1wc5vjmmpjv9ik"] {
            if keep && hash.starts_with("0c") {
                continue;
            }
            let at: Vec<usize> = memchr::memmem::find_iter(&bytes, hash).collect();
            for at in at {
                wanted[at..at + HASH].copy_from_slice(&STRIPPED);
            }
        }
        prop_assert_eq!(stripped, wanted);
        prop_assert_eq!(refs::scan(dir.path(), &search).unwrap().hits, []);
    }
}
