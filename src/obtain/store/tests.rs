//! The store's rules, one test each.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};

use super::*;
use crate::core::digest::Algorithm;
use crate::core::progress::Progress;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let root = Utf8Path::from_path(dir.path()).unwrap().join("store");
    let store = Store::open(&root).unwrap();
    (dir, store)
}

fn origin(file_name: &str) -> Origin {
    Origin {
        file_name: file_name.to_owned(),
        source: format!("https://files.example/{file_name}"),
    }
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::of(Algorithm::Sha256, bytes)
}

fn insert(store: &Store, file_name: &str, bytes: &[u8]) -> Blob {
    let mut writer = store.writer(Algorithm::Sha256).unwrap();
    writer.write(bytes).unwrap();
    writer.commit(&sha256(bytes), &origin(file_name)).unwrap()
}

/// A store with an artifact that it did not have before, which is not new any more.
pub(super) fn with_artifact() -> (tempfile::TempDir, Store, Digest) {
    let (dir, store) = store();
    let blob = insert(&store, "a.tgz", b"packed");
    assert!(blob.is_new);
    assert!(!store.get(&blob.digest).unwrap().is_new);
    (dir, store, blob.digest)
}

fn ours(claim: Claim) -> Writer {
    match claim {
        Claim::Ours(writer) => writer,
        Claim::Theirs(size) => panic!("another has claimed it, with {size} bytes"),
    }
}

/// Every file below the store's layout, except its lock.
fn files(store: &Store) -> Vec<String> {
    fn walk(dir: &Utf8Path, top: &Utf8Path, found: &mut Vec<String>) {
        for entry in dir.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                walk(entry.path(), top, found);
            } else if entry.file_name() != "lock" {
                found.push(entry.path().strip_prefix(top).unwrap().to_string());
            }
        }
    }
    let mut found = Vec::new();
    walk(&store.layout, &store.layout, &mut found);
    found.sort();
    found
}

fn age(blob: &Blob, days: u64) {
    let then = SystemTime::now() - Duration::from_secs(24 * 60 * 60 * days);
    File::open(&blob.path).unwrap().set_modified(then).unwrap();
}

#[test]
fn the_root_is_the_first_variable_that_says() {
    let root = |pairs: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        root_from(variable).map(Utf8PathBuf::into_string).ok()
    };
    let home = ("HOME", "/home/u");
    let xdg = ("XDG_CACHE_HOME", "/c");
    for (pairs, expected) in [
        (vec![home], Some("/home/u/.cache/lockwright")),
        (vec![home, xdg], Some("/c/lockwright")),
        (
            vec![home, ("XDG_CACHE_HOME", "relative")],
            Some("/home/u/.cache/lockwright"),
        ),
        (vec![home, xdg, ("LOCKWRIGHT_STORE", "/s")], Some("/s")),
        (vec![("HOME", "")], None),
    ] {
        assert_eq!(root(&pairs).as_deref(), expected, "{pairs:?}");
    }
}

#[test]
fn what_is_inserted_is_found_under_its_digest_alone() {
    let (_dir, store) = store();
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let digest = Digest::of(algorithm, b"bytes");
        assert_eq!(store.get(&digest), None);
        let mut writer = store.writer(algorithm).unwrap();
        writer.write(b"by").unwrap();
        writer.write(b"tes").unwrap();
        let blob = writer.commit(&digest, &origin("a.whl")).unwrap();
        assert_eq!(store.get(&digest), Some(blob.clone()));
        assert_eq!(fs::read(&blob.path).unwrap(), b"bytes");
        assert!(fs::metadata(&blob.path).unwrap().permissions().readonly());
        assert_eq!(store.origin(&digest), Some(origin("a.whl")));
    }
}

#[test]
fn nothing_is_kept_of_wrong_bytes() {
    let (dir, store) = store();
    let right = sha256(b"right");
    let file = Utf8Path::from_path(dir.path()).unwrap().join("wrong");
    fs::write(&file, b"wrong").unwrap();

    let error = store.take(&file, &right, &origin("a.whl")).unwrap_err();
    assert!(matches!(
        error,
        StoreError::Mismatch { expected, got, size: 5 } if expected == right && got == sha256(b"wrong")
    ));
    let mut writer = ours(store.resume(&right).unwrap());
    writer.write(b"wrong").unwrap();
    writer.commit(&right, &origin("a.whl")).unwrap_err();
    let mut writer = store.writer(Algorithm::Sha256).unwrap();
    writer.write(b"right").unwrap();
    drop(writer);
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn a_broken_download_is_gone_on_with_by_whoever_claims_it_next() {
    let (_dir, store) = store();
    let digest = sha256(b"first second");
    let mut writer = ours(store.resume(&digest).unwrap());
    writer.write(b"first ").unwrap();
    let other = Store::open(store.root()).unwrap();
    assert!(matches!(other.resume(&digest), Ok(Claim::Theirs(6))));
    drop(writer);

    let mut writer = ours(other.resume(&digest).unwrap());
    assert_eq!(writer.size(), 6);
    writer.write(b"second").unwrap();
    let blob = writer.commit(&digest, &origin("a.whl")).unwrap();
    assert_eq!(fs::read(blob.path).unwrap(), b"first second");
}

#[test]
fn starting_over_and_giving_up_leave_nothing_of_what_was_there() {
    let (_dir, store) = store();
    let digest = sha256(b"right");
    let mut writer = ours(store.resume(&digest).unwrap());
    writer.write(b"something longer").unwrap();
    writer.restart().unwrap();
    writer.write(b"right").unwrap();
    let blob = writer.commit(&digest, &origin("a.whl")).unwrap();
    assert_eq!(fs::read(blob.path).unwrap(), b"right");

    let mut writer = ours(store.resume(&sha256(b"other")).unwrap());
    writer.write(b"oth").unwrap();
    writer.discard();
    assert_eq!(files(&store).len(), 2);
}

#[test]
fn any_number_may_insert_one_artifact_at_once() {
    let (_dir, store) = store();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let digest = sha256(&bytes);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(store.root()).unwrap();
                for round in 0..20 {
                    let mut writer = match store.resume(&digest).unwrap() {
                        Claim::Ours(writer) => writer,
                        Claim::Theirs(_) => store.writer(Algorithm::Sha256).unwrap(),
                    };
                    let from = usize::try_from(writer.size()).unwrap();
                    for chunk in bytes[from..].chunks(64 * 1024) {
                        writer.write(chunk).unwrap();
                    }
                    // Some give up half way, and others go on.
                    if round % 3 == 0 {
                        drop(writer);
                    } else {
                        writer.commit(&digest, &origin("a.whl")).unwrap();
                    }
                    if let Some(blob) = store.get(&digest) {
                        assert_eq!(blob.size, bytes.len() as u64);
                    }
                }
            });
        }
    });
    let entries = store.entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(store.verify(&entries, &Progress::hidden()), []);
}

#[test]
fn the_first_wheel_built_under_a_key_is_everybody_s() {
    let (dir, store) = store();
    let dir = Utf8Path::from_path(dir.path()).unwrap();
    let key = sha256(b"everything that shaped it");
    let build = |bytes: &[u8]| {
        let wheel = dir.join("a-1-py3-none-any.whl");
        fs::write(&wheel, bytes).unwrap();
        let name = "a-1-py3-none-any.whl";
        let built = store.insert_built(&key, name, &wheel, "built from a-1.tar.gz");
        built.unwrap()
    };
    assert_eq!(store.built(&key), None);
    let first = build(b"first");
    assert_eq!(build(b"second"), first);
    assert_eq!(store.built(&key), Some(first.clone()));
    assert_eq!(first.0, "a-1-py3-none-any.whl");

    // Once it is gone, the key leads nowhere, and the next wheel takes its place.
    store.remove(&first.1).unwrap();
    assert_eq!(store.built(&key), None);
    let third = build(b"third");
    assert_eq!(store.built(&key), Some(third));
}

#[test]
fn an_entry_emptied_by_a_power_cut_is_not_there() {
    let (_dir, store) = store();
    let blob = insert(&store, "a.whl", b"bytes");
    fs::remove_file(&blob.path).unwrap();
    fs::write(&blob.path, b"").unwrap();
    assert_eq!(store.get(&blob.digest), None);
    let empty = insert(&store, "empty", b"");
    assert_eq!(store.get(&empty.digest), Some(empty));
}

#[test]
fn verify_names_what_changed_and_nothing_else() {
    let (_dir, store) = store();
    let good = insert(&store, "good.whl", b"good");
    let bad = insert(&store, "bad.whl", b"bad");
    fs::remove_file(&bad.path).unwrap();
    fs::write(&bad.path, b"bed").unwrap();
    let entries = store.entries().unwrap();
    let names: Vec<&str> = entries.iter().map(Entry::file_name).collect();
    assert_eq!(names, ["bad.whl", "good.whl"]);

    let damaged = store.verify(&entries, &Progress::hidden());
    assert_eq!(damaged.len(), 1);
    assert_eq!(damaged[0].entry.blob.digest, bad.digest);
    assert_eq!(damaged[0].got, Some(sha256(b"bed")));
    store.remove(&damaged[0].entry.blob).unwrap();
    assert_eq!(store.get(&bad.digest), None);
    assert_eq!(store.get(&good.digest), Some(good));
}

#[test]
fn reading_refreshes_the_time_of_last_use() {
    let (_dir, store) = store();
    let blob = insert(&store, "a.whl", b"bytes");
    age(&blob, 10);
    store.get(&blob.digest).unwrap();
    let time = fs::metadata(&blob.path).unwrap().modified().unwrap();
    assert!(time.elapsed().unwrap() < Duration::from_secs(24 * 60 * 60));
}

#[test]
fn gc_keeps_what_was_used_lately_and_no_more_than_it_may() {
    let day = Duration::from_secs(24 * 60 * 60);
    let names = |collected: &Collected| -> Vec<String> {
        let removed = collected.removed.iter();
        removed.map(|entry| entry.file_name().to_owned()).collect()
    };
    let (_dir, store) = store();
    let now = SystemTime::now();
    let gc = |keep, dry_run| {
        store.gc(keep, &Vec::new, now, dry_run, || {
            panic!("nobody else is here")
        })
    };
    for (name, days) in [("old", 100), ("older", 200), ("new", 1)] {
        age(&insert(&store, name, name.as_bytes()), days);
    }

    let by_age = Keep {
        used_within: Some(90 * day),
        bytes: None,
    };
    let told = gc(by_age, true).unwrap();
    assert_eq!(names(&told), ["older", "old"]);
    assert_eq!((told.kept, told.kept_bytes, told.bytes()), (1, 3, 8));
    assert_eq!(store.entries().unwrap().len(), 3);

    let by_size = Keep {
        used_within: None,
        bytes: Some(6),
    };
    assert_eq!(names(&gc(by_size, false).unwrap()), ["older"]);
    assert_eq!(names(&gc(by_age, false).unwrap()), ["old"]);
    assert_eq!(files(&store).len(), 2);
    assert_eq!(names(&gc(Keep::default(), false).unwrap()), [""; 0]);
}

#[test]
fn gc_sweeps_leftovers() {
    let (dir, store) = store();
    let wheel = Utf8Path::from_path(dir.path()).unwrap().join("a.whl");
    fs::write(&wheel, b"wheel").unwrap();
    let (_, built) = store
        .insert_built(&sha256(b"key"), "a.whl", &wheel, "here")
        .unwrap();
    // What a killed process leaves.
    fs::write(store.layout.join("tmp/1-0"), b"half").unwrap();
    let mut writer = ours(store.resume(&sha256(b"whole")).unwrap());
    writer.write(b"who").unwrap();
    drop(writer);

    let now = SystemTime::now();
    let swept = store
        .gc(Keep::default(), &Vec::new, now, false, || {})
        .unwrap();
    assert_eq!(swept.leftovers.len(), 1);
    assert!(store.built(&sha256(b"key")).is_some());

    store.remove(&built).unwrap();
    let everything = Keep {
        used_within: Some(Duration::ZERO),
        bytes: None,
    };
    let swept = store.gc(
        everything,
        &Vec::new,
        now + Duration::from_secs(1),
        false,
        || {},
    );
    assert_eq!(swept.unwrap().leftovers.len(), 2);
    assert_eq!(files(&store), Vec::<String>::new());
}

#[test]
fn gc_waits_for_those_who_use_the_store() {
    let (_dir, store) = store();
    let other = Store::open(store.root()).unwrap();
    insert(&other, "a.whl", b"bytes");
    let everything = Keep {
        used_within: Some(Duration::ZERO),
        bytes: None,
    };
    let later = SystemTime::now() + Duration::from_secs(1);
    let mut other = Some(other);
    let collected = store
        .gc(everything, &Vec::new, later, false, || drop(other.take()))
        .unwrap();
    assert_eq!(collected.removed.len(), 1);
    // And the store is open to others again.
    Store::open(store.root()).unwrap();
}

#[test]
fn entries_are_carried_from_store_to_store_and_checked() {
    let (_one, from) = store();
    let (dir, to) = store();
    insert(&from, "a.whl", b"a");
    let b = insert(&from, "b.whl", b"b");
    insert(&to, "a.whl", b"a");
    let entries = from.entries().unwrap();
    assert!(Store::is_at(from.root()));
    assert_eq!(
        to.import(&entries, &Progress::hidden())
            .unwrap()
            .iter()
            .map(|blob| &blob.digest)
            .collect::<Vec<_>>(),
        [&b.digest]
    );
    assert_eq!(to.origin(&b.digest), Some(origin("b.whl")));

    let c = insert(&from, "c.whl", b"c");
    fs::remove_file(&c.path).unwrap();
    fs::write(&c.path, b"C").unwrap();
    let error = to.import(&from.entries().unwrap(), &Progress::hidden());
    assert!(matches!(error, Err(StoreError::Changed { .. })));

    let tarball = Utf8Path::from_path(dir.path()).unwrap().join("p-1.tgz");
    fs::write(&tarball, b"tar").unwrap();
    let blob = to.import_file(&tarball).unwrap();
    assert_eq!(blob.digest, Digest::of(Algorithm::Sha512, b"tar"));
}

#[test]
fn a_full_disk_is_told_apart() {
    let error = StoreError::io("write", Utf8Path::new("/store/v1/tmp/1-0"))(
        std::io::ErrorKind::StorageFull.into(),
    );
    insta::assert_snapshot!(error, @"the disk is full, and nothing of `/store/v1/tmp/1-0` was kept: free some space (`lockwright store gc` removes what is no longer used), or choose a store on another disk with --store");
}
