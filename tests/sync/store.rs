//! What the store keeps of wheels, and environments share with it.

use std::process::Command;

use camino::Utf8Path;

use super::{Scratch, listing};

#[test]
fn from_the_second_time_on_wheels_come_from_what_was_kept_uncompressed() {
    let scratch = Scratch::new();
    let contents = scratch.folder.path().join("store/v1/contents");
    let files = || {
        let folders = std::fs::read_dir(&contents).into_iter().flatten();
        let files = folders.map(|folder| folder.unwrap().path().join("bytes"));
        files.filter(|file| file.exists()).collect::<Vec<_>>()
    };
    let kept = || files().len();
    scratch.ok(&["sync", "--offline"]);
    let before = listing(&scratch.venv());
    assert_eq!(kept(), 0, "what is used once is kept as it came");
    let again = || {
        std::fs::remove_dir_all(scratch.venv()).unwrap();
        let (_, said) = scratch.ok(&["sync", "--offline"]);
        assert_eq!(listing(&scratch.venv()), before);
        said
    };
    again();
    let count = kept();
    assert!(count > 0);
    again();
    for file in files() {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[100] ^= 1;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
    }
    let said = again();
    assert_eq!(kept(), count);
    assert!(said.contains("made again"), "{said}");
}

#[test]
fn wheels_are_shared_with_the_store_and_an_edit_is_noticed() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = Scratch::new();
    scratch.ok(&["sync", "--offline"]);
    let copied = listing(&scratch.venv());
    for mode in ["auto", "hardlink", "reflink"] {
        let sync = || {
            std::fs::remove_dir_all(scratch.venv()).unwrap();
            scratch.ok(&["sync", "--offline", "--link-mode", mode]);
            assert_eq!(listing(&scratch.venv()), copied, "{mode}");
        };
        // Once while they are extracted, once from what is.
        sync();
        sync();
        let lib = scratch.venv().join("lib").read_dir().unwrap().next();
        let site = lib.unwrap().unwrap().path().join("site-packages");
        let module = site.join("greeting/__init__.py");
        let links = std::fs::metadata(&module).unwrap().nlink();
        assert_eq!(links, if mode == "hardlink" { 2 } else { 1 });
        let record = site.join("greeting-1.2.0.dist-info/RECORD");
        assert_eq!(std::fs::metadata(record).unwrap().nlink(), 1);
        // It is the store's file, too; the next environment does not have the edit, whichever file it was: some are placed
        // before it is noticed.
        for (path, _) in copied.iter().filter(|_| mode == "hardlink") {
            let path = scratch.venv().join(path);
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_file() && meta.nlink() > 1 {
                std::fs::write(&path, "edited").unwrap();
                sync();
            }
        }
        std::fs::write(&module, "edited").unwrap();
        sync();
    }
    // Nor is one missed that somebody has taken from the store.
    let kept = scratch.folder.path().join("store/v1/contents");
    let files = listing(&kept).into_iter().map(|(path, _)| kept.join(path));
    let files = files.filter(|path| path.to_str().unwrap().contains("/files/") && path.is_file());
    for file in files.collect::<Vec<_>>() {
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_dir_all(scratch.venv()).unwrap();
        scratch.ok(&["sync", "--offline", "--link-mode", "hardlink"]);
        assert_eq!(listing(&scratch.venv()), copied, "{}", file.display());
    }
}

#[test]
fn what_disks_can_share_is_what_cp_can() {
    use lockwright::files::tree::LinkMode;
    let folder = tempfile::tempdir().unwrap();
    let from = Utf8Path::from_path(folder.path()).unwrap();
    std::fs::write(from.join("file"), "bytes").unwrap();
    for to in [from, Utf8Path::new("/dev/shm"), Utf8Path::new("/proc")] {
        let place = to.join(format!("lockwright-test-clone-{}", std::process::id()));
        let cp = Command::new("cp")
            .args([
                "--reflink=always",
                from.join("file").as_str(),
                place.as_str(),
            ])
            .output();
        let _ = std::fs::remove_file(&place);
        let expected = if cp.unwrap().status.success() {
            LinkMode::Reflink
        } else {
            LinkMode::Copy
        };
        // A folder that is not there yet will be on the disk of the one above.
        assert_eq!(LinkMode::by_disks(from, &to.join("a/b")), expected, "{to}");
    }
}

#[test]
fn store_list_counts_what_is_kept_beside_artifacts() {
    let scratch = Scratch::new();
    for _ in 0..2 {
        let _ = std::fs::remove_dir_all(scratch.venv());
        scratch.ok(&["sync", "--offline", "--link-mode", "hardlink"]);
    }
    let list = String::from_utf8(scratch.run(&["store", "list", "--json"]).stdout).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let said = list["contents_bytes"].as_u64().unwrap();
    let found = Command::new("find")
        .arg(scratch.folder.path().join("store/v1/contents"))
        .args(["-type", "f", "-printf", "%s\\n"])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let found: u64 = found.lines().map(|size| size.parse::<u64>().unwrap()).sum();
    assert_eq!(said, found);
    assert!(said > 0);
    let text = String::from_utf8(scratch.run(&["store", "list"]).stdout).unwrap();
    assert!(
        text.contains("of what is in them, ready to be placed, in"),
        "{text}"
    );
}
