//! Damage in the store is reported as the store's, put aside, and fetched again.

#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use camino::Utf8Path;
use common::sources::{build_lock, lock_of_sdists, sdist};
use common::{Ran, Run as _, Temp, lockwright, lockwright_in_forky, python, rot, run};
use lockwright::core::digest::crc32;

const ASIDE: &str = "is put aside as";

/// How often something was told to be put aside.
fn put_aside(ran: &Ran) -> usize {
    ran.stderr.matches(ASIDE).count()
}

fn sync(temp: &Temp, project: &Utf8Path, out: &str, more: &[&str]) -> Ran {
    lockwright(temp)
        .args(["sync", project.as_str(), "--offline", "--out"])
        .args([temp.join(out).as_str(), "--python", python().as_str()])
        .args(more)
        .run()
}

#[test]
fn rotten_wheels_are_fetched_again_in_the_same_run() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    assert_eq!(put_aside(&sync(&temp, &project, "first", &[]).ok()), 0);
    assert_eq!(rot(&temp.join("store")), 3);
    let healed = sync(&temp, &project, "healed", &[]).ok();
    assert_eq!(put_aside(&healed), 3, "{healed}");
    for name in [
        "greeting-1.2.0",
        "greeting_words-2.0.1",
        "greeting_check-1.0.0",
    ] {
        let said = format!("warning: {name}-py3-none-any.whl in the store has changed (sha256:");
        assert!(healed.stderr.contains(&said), "{healed}");
    }
    assert!(!healed.stderr.contains("malicious"), "{healed}");
    assert_eq!(put_aside(&sync(&temp, &project, "again", &[]).ok()), 0);
    for out in ["healed", "again"] {
        let out = temp.join(out);
        lockwright(&temp).args(["verify", out.as_str()]).run().ok();
    }
    // What was put aside is kept until it is asked away.
    let store = |args: &[&str]| lockwright(&temp).arg("store").args(args).run();
    let said = store(&["verify"]).exit(1);
    assert_eq!(said.stdout.matches("put aside before").count(), 3, "{said}");
    store(&["verify", "--remove"]).exit(1);
    store(&["verify"]).ok();
}

#[test]
fn offline_it_is_said_how_what_is_rotten_is_had_again() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let lock = project.join("uv.lock");
    let text = fs::read_to_string(&lock).unwrap();
    let text = text.replace(
        "registry = \"wheels\"",
        "registry = \"https://pypi.example/simple\"",
    );
    let text = text.replace(
        "path = \"greeting",
        "url = \"https://files.pypi.example/greeting",
    );
    fs::write(&lock, text).unwrap();
    let wheels = project.join("wheels");
    let links = ["--find-links", wheels.as_str()];
    sync(&temp, &project, "first", &links).ok();
    rot(&temp.join("store"));
    let said = sync(&temp, &project, "second", &[]).exit(1);
    assert_eq!(put_aside(&said), 3, "{said}");
    for part in [
        "greeting-1.2.0-py3-none-any.whl, ",
        "damaged in the store",
        "`lockwright store verify --remove`",
        "--find-links",
    ] {
        assert!(said.stderr.contains(part), "{part}: {said}");
    }
    assert!(!said.stderr.contains("malicious"), "{said}");
    assert!(!temp.join("second").exists());
    sync(&temp, &project, "third", &links).ok();
}

#[test]
fn an_artifact_that_is_bad_from_its_source_is_not_the_store_s_fault() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let wheel = project.join("wheels/greeting-1.2.0-py3-none-any.whl");
    let mut bytes = fs::read(&wheel).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&wheel, &bytes).unwrap();
    let lock = project.join("uv.lock");
    let digest = "0b77b6de45293ae16f5955db8bd2d607662938b1b1bb5d9506d0a6090ed240d2";
    let sha256 = lockwright::core::digest::Algorithm::Sha256;
    let now = lockwright::core::digest::Digest::of(sha256, &bytes).hex();
    let text = fs::read_to_string(&lock).unwrap().replace(digest, &now);
    fs::write(&lock, text).unwrap();
    for _ in 0..2 {
        let said = sync(&temp, &project, "venv", &[]).exit(1);
        assert!(said.stderr.contains("malicious"), "{said}");
        assert_eq!(put_aside(&said), 0, "{said}");
    }
}

#[test]
fn a_vendored_folder_and_an_exported_store_hold_nothing_rotten() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    sync(&temp, &project, "first", &[]).ok();
    rot(&temp.join("store"));
    let other = temp.join("other");
    let said = lockwright(&temp)
        .args(["store", "export", other.as_str()])
        .run()
        .exit(1);
    assert!(said.stderr.contains("has changed"), "{said}");
    assert!(
        said.stderr.contains("`lockwright store verify --remove`"),
        "{said}"
    );
    let out = temp.join("vendored");
    let fetched = lockwright(&temp)
        .args(["fetch", project.as_str(), "--vendor", out.as_str()])
        .args(["--offline", "--python", python().as_str()])
        .run()
        .ok();
    assert!(put_aside(&fetched) > 0, "{fetched}");
    for entry in out.read_dir_utf8().unwrap() {
        let name = entry.unwrap().file_name().to_owned();
        let ours = fs::read(out.join(&name)).unwrap();
        assert_eq!(
            ours,
            fs::read(project.join("wheels").join(&name)).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn rotten_sources_build_requirements_and_built_wheels_are_had_again() {
    let temp = Temp::new();
    let files = [
        (
            "pyproject.toml",
            "[build-system]\nrequires = ['setuptools']\n",
        ),
        (
            "setup.py",
            "from setuptools import setup\nsetup(name='pure', version='1.0', py_modules=['pure'])\n",
        ),
        ("pure.py", "VALUE = 1\n"),
    ];
    sdist(&temp, "pure", "1.0", &files);
    lock_of_sdists(&temp, "app", &[("pure", "1.0")]);
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let build = |out: &str| {
        lockwright_in_forky(&temp)
            .args([
                "sync",
                "app",
                "--python",
                "/usr/bin/python3.14",
                "--out",
                out,
            ])
            .args(["--offline", "--build-lock", lock.as_str()])
            .run()
            .ok()
    };
    assert_eq!(put_aside(&build("first")), 0);
    assert!(rot(&temp.join("store")) >= 3);
    let healed = build("second");
    for name in [
        "pure-1.0-py3-none-any.whl",
        "pure-1.0.tar.gz",
        "setuptools-",
    ] {
        assert!(
            healed.stderr.contains(&format!("warning: {name}")),
            "{name}: {healed}"
        );
    }
    assert!(healed.stderr.contains("Built pure 1.0"), "{healed}");
    assert_eq!(put_aside(&build("third")), 0);
}

/// Changes a bit of everything that a store keeps of artifacts in one form; times and checksums are as they should be.
fn edit_unseen(store: &Utf8Path, name: &str) -> usize {
    let contents = store.join("v1/contents");
    let found = run("find", [contents.as_str(), "-type", "f", "-name", name]);
    for path in found.lines() {
        let meta = fs::metadata(path).unwrap();
        let mut bytes = fs::read(path).unwrap();
        bytes[0] ^= 4;
        if name == "bytes" {
            let end = bytes.len() - 4;
            let checksum = crc32(&bytes[..end]).to_le_bytes();
            bytes[end..].copy_from_slice(&checksum);
        }
        let writable = fs::Permissions::from_mode(0o644);
        fs::set_permissions(path, writable).unwrap();
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, meta.permissions()).unwrap();
        let file = fs::File::open(path).unwrap();
        file.set_modified(meta.modified().unwrap()).unwrap();
    }
    found.lines().count()
}

#[test]
fn an_edit_that_nothing_shows_is_found_where_the_store_is_verified() {
    for (mode, form) in [("copy", "bytes"), ("hardlink", "__init__.py")] {
        let temp = Temp::new();
        let project = temp.copy_of_fixture("default");
        let sync = |out: &str, more: &[&str]| {
            let more = [&["--link-mode", mode][..], more].concat();
            sync(&temp, &project, out, &more).ok()
        };
        let verify = |out: &str| {
            let out = temp.join(out);
            lockwright(&temp).args(["verify", out.as_str()]).run()
        };
        sync("first", &[]);
        sync("second", &["--verify-store"]);
        verify("second").ok();
        assert!(edit_unseen(&temp.join("store"), form) > 0, "{mode}");
        sync("believed", &[]);
        verify("believed").exit(1);
        lockwright(&temp).args(["store", "verify"]).run().exit(1);
        let checked = sync("checked", &["--verify-store"]);
        let said = "has changed, and is made again";
        assert!(checked.stderr.contains(said), "{checked}");
        verify("checked").ok();
        lockwright(&temp).args(["store", "verify"]).run().ok();

        assert_eq!(rot(&temp.join("store")), 3);
        let checked = sync("fetched", &["--verify-store"]);
        assert_eq!(put_aside(&checked), 0, "{checked}");
        let said = "has changed, and was moved to";
        assert_eq!(checked.stderr.matches(said).count(), 3, "{checked}");
        verify("fetched").ok();
    }
}
