#![allow(clippy::unwrap_used)]

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;

use super::super::tests::with_artifact;
use super::super::{Extracted, Keep, Uncompressed};
use super::*;
use crate::files::contents::{Contents, Near, PlaceError, Take};

const FORM: &str = "npm";

const FILES: [(&str, u16, &[u8]); 3] = [
    ("a", 0o644, b"1"),
    ("b/c d", 0o755, b"22"),
    ("b/e", 0o644, b""),
];

struct Archive(Vec<Member>);

impl Archive {
    fn new() -> Self {
        let members = FILES.iter().map(|(path, mode, bytes)| Member {
            path: (*path).to_owned(),
            mode: *mode,
            size: bytes.len() as u64,
            sha256: None,
            is_folder: false,
        });
        Self(members.collect())
    }
}

impl Contents for Archive {
    fn members(&self) -> &[Member] {
        &self.0
    }

    fn read(&self, number: usize, take: &mut Take<'_>) -> Result<(), PlaceError> {
        take(FILES[number].2)
    }
}

fn extract(store: &Store, digest: &Digest) -> Extracted {
    store.extract(digest, FORM, &Archive::new()).unwrap()
}

/// The bytes of each file, and that each could be linked.
fn extracted(store: &Store, digest: &Digest) -> Option<Vec<Vec<u8>>> {
    store.from_extracted(&store.index(digest, FORM)?, |kept| {
        let bytes = (0..FILES.len()).map(|number| kept.whole(number));
        let bytes: Result<Vec<_>, _> = bytes.collect();
        let mut near = Near::of_many(FILES.len());
        let shared = (0..FILES.len()).map(|number| kept.shared(number, &mut near).map(drop));
        assert_eq!(bytes.is_ok(), shared.collect::<Result<Vec<_>, _>>().is_ok());
        bytes.unwrap_or_default()
    })
}

fn keep(store: &Store, digest: &Digest) -> Option<Uncompressed> {
    let kept = store.keep_uncompressed(digest, FORM, &Archive::new());
    kept.unwrap()
}

fn uncompressed(store: &Store, digest: &Digest) -> Option<Uncompressed> {
    store.uncompressed(&store.index(digest, FORM)?)
}

fn all(contents: &dyn Contents) -> Vec<Vec<u8>> {
    let numbers = 0..contents.members().len();
    numbers
        .map(|number| contents.whole(number).unwrap())
        .collect()
}

#[test]
fn both_forms_have_the_artifact_s_files() {
    let (_held, store, digest) = with_artifact();
    assert!(store.index(&digest, FORM).is_none());
    let bytes: Vec<Vec<u8>> = FILES.iter().map(|(_, _, bytes)| bytes.to_vec()).collect();
    assert_eq!(all(&extract(&store, &digest)), bytes);
    assert_eq!(all(&keep(&store, &digest).unwrap()), bytes);
    let index = store.index(&digest, FORM).unwrap();
    for (member, (path, mode, bytes)) in index.members().iter().zip(FILES) {
        assert_eq!((&*member.path, member.mode), (path, mode));
        let sha256 = crate::core::digest::Digest::of(crate::core::digest::Algorithm::Sha256, bytes);
        assert_eq!(member.sha256.unwrap(), sha256.bytes());
    }
    assert_eq!(extracted(&store, &digest).unwrap(), bytes);
    assert_eq!(all(&uncompressed(&store, &digest).unwrap()), bytes);
    assert!(store.index(&digest, "wheel").is_none());
    assert!(store.verify_contents(false).unwrap().is_empty());
}

#[test]
fn an_edit_is_noticed_and_the_files_made_anew() {
    let (_held, store, digest) = with_artifact();
    extract(&store, &digest);
    // The second to extract finds the first one's.
    extract(&store, &digest);
    let file = store.contents_path(&digest, FORM).join("files/b/c d");
    fs::write(&file, "23").unwrap();
    assert!(extracted(&store, &digest).is_none());
    assert!(!file.exists());
    extract(&store, &digest);
    assert_eq!(fs::read(&file).unwrap(), b"22");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(extracted(&store, &digest).is_none());
}

#[test]
fn what_another_run_has_extracted_anew_stays() {
    let (_held, store, digest) = with_artifact();
    extract(&store, &digest);
    let index = store.index(&digest, FORM).unwrap();
    let taken = store.from_extracted(&index, |kept| {
        fs::remove_dir_all(index.folder.join("files")).unwrap();
        extract(&store, &digest);
        assert!(kept.shared(0, &mut Near::of_many(1)).is_err());
        assert!(kept.whole(0).is_err());
    });
    assert!(taken.is_none());
    assert!(extracted(&store, &digest).is_some(), "the other run's");
}

#[test]
fn verify_finds_what_looks_right_and_is_not() {
    let (_held, store, digest) = with_artifact();
    extract(&store, &digest);
    let file = store.contents_path(&digest, FORM).join("files/a");
    fs::write(&file, "2").unwrap();
    let time =
        SystemTime::UNIX_EPOCH + Duration::from_secs(super::super::extracted::TIME.unsigned_abs());
    let opened = File::options().write(true).open(&file).unwrap();
    opened.set_modified(time).unwrap();
    assert!(extracted(&store, &digest).is_some(), "nothing to be seen");
    assert_eq!(store.verify_contents(true).unwrap().len(), 1);
    assert!(extracted(&store, &digest).is_none());
    assert!(store.index(&digest, FORM).is_some());
}

#[test]
fn what_is_damaged_is_made_anew() {
    let (_held, store, digest) = with_artifact();
    keep(&store, &digest).unwrap();
    let path = store.contents_path(&digest, FORM).join("bytes");
    for damage in [b"123\0\0\0\0".as_slice(), b"1", b"", b"122\0\0\0\0more"] {
        fs::remove_file(&path).unwrap();
        fs::write(&path, damage).unwrap();
        assert_eq!(
            store.verify_contents(false).unwrap(),
            std::slice::from_ref(&path)
        );
        assert!(uncompressed(&store, &digest).is_none());
        assert!(!path.exists());
        keep(&store, &digest).unwrap();
    }
    let path = store.contents_path(&digest, FORM).join("index");
    let text = fs::read_to_string(&path).unwrap();
    for damage in ["", "x", &text.replace("b/e", "b/f"), text.trim_end()] {
        fs::remove_file(&path).unwrap();
        fs::write(&path, damage).unwrap();
        assert_eq!(store.verify_contents(false).unwrap().len(), 1);
        assert!(store.index(&digest, FORM).is_none(), "{damage}");
        keep(&store, &digest).unwrap();
    }
}

#[test]
fn a_packed_store_keeps_none() {
    let (_held, store, digest) = with_artifact();
    let store = store.packed();
    assert!(keep(&store, &digest).is_none());
    assert!(uncompressed(&store, &digest).is_none());
}

#[test]
fn what_cannot_be_read_leaves_nothing() {
    struct Damaged(Archive);
    impl Contents for Damaged {
        fn members(&self) -> &[Member] {
            self.0.members()
        }
        fn read(&self, number: usize, _: &mut Take<'_>) -> Result<(), PlaceError> {
            Err(PlaceError::Absent(number))
        }
    }
    let (_held, store, digest) = with_artifact();
    let damaged = Damaged(Archive::new());
    assert!(store.keep_uncompressed(&digest, FORM, &damaged).is_err());
    assert!(store.index(&digest, FORM).is_none());
    assert!(names(&store.layout.join("tmp")).unwrap().is_empty());
}

#[test]
fn cleaning_removes_them_with_their_artifact_or_for_space() {
    let (_held, store, digest) = with_artifact();
    let clean = |keep| {
        store
            .gc(keep, &Vec::new, SystemTime::now(), false, || {})
            .unwrap()
    };
    extract(&store, &digest);
    keep(&store, &digest).unwrap();
    assert!(clean(Keep::default()).leftovers.is_empty());
    let space = Keep {
        bytes: Some(1 << 20),
        ..Keep::default()
    };
    assert_eq!(clean(space).leftovers.len(), 1);
    assert!(store.get(&digest).is_some() && store.index(&digest, FORM).is_none());
    extract(&store, &digest);
    store.remove(&store.get(&digest).unwrap()).unwrap();
    assert_eq!(clean(Keep::default()).leftovers.len(), 1);
    assert!(store.index(&digest, FORM).is_none());
}
