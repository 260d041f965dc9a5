//! A whole environment as what Nix calls a fixed output: sealed, promised by its hash, taken by Nix, restored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::environments::{PYTHON, flagship, sync};
use common::nix::{build, newer_nix, nix};
use common::{Run as _, Temp, fixture, in_forky, lockwright, lockwright_in_forky};

/// In memory where that can be: these are tens of thousands of files, written three times.
fn temp() -> Temp {
    let memory = Utf8Path::new("/dev/shm");
    match memory.is_dir() {
        true => Temp::below(memory),
        false => Temp::new(),
    }
}

/// Every entry of a tree: what it is, its mode, and a hash of its bytes or target. A RECORD's lines are a set.
fn entries(root: &Utf8Path) -> BTreeMap<String, (u32, u64)> {
    let mut entries = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir_utf8().unwrap() {
            let path = entry.unwrap().into_path();
            let meta = path.symlink_metadata().unwrap();
            let what = if meta.is_symlink() {
                (0, path.read_link_utf8().unwrap().into_string().into_bytes())
            } else if meta.is_dir() {
                folders.push(path.clone());
                (1, Vec::new())
            } else {
                let mut bytes = fs::read(&path).unwrap();
                if path.file_name() == Some("RECORD") {
                    let mut lines: Vec<_> = bytes.split(|byte| *byte == b'\n').collect();
                    lines.sort();
                    bytes = lines.join(&b'\n');
                }
                (meta.permissions().mode() & 0o100 | 2, bytes)
            };
            let mut hasher = DefaultHasher::new();
            what.1.hash(&mut hasher);
            let path = path.strip_prefix(root).unwrap().to_string();
            entries.insert(path, (what.0, hasher.finish()));
        }
    }
    entries
}

/// Seals the environment, and returns the hash that is promised: before Nix sees the tree, it says the same.
fn sealed(temp: &Temp, venv: &Utf8Path) -> String {
    let seal = ["seal", "--fixed-output", venv.as_str()];
    let hash = lockwright(temp).args(seal).run().ok().stdout;
    let theirs = nix("nix", temp).args(["hash", "path", venv.as_str()]).run();
    assert_eq!(theirs.ok().stdout, hash);
    hash
}

/// Has Nix take the tree; returns its path in the store.
fn taken(nix_build: Command, temp: &Temp, venv: &Utf8Path, hash: &str) -> Utf8PathBuf {
    let built = build(nix_build, temp, venv, hash).ok().stdout;
    let built = Utf8PathBuf::from(built.trim());
    assert!(built.starts_with(temp.join("nix/store")));
    built
}

/// A tree in which one file refers to a path of the store is named by a scan, and refused by Nix.
fn refused(temp: &Temp, venv: &Utf8Path) {
    let expression = r#"builtins.toFile "dep" "x""#;
    let dep = newer_nix("nix-instantiate", temp)
        .args(["--eval", "-E", expression])
        .run()
        .ok();
    let planted = venv.join("lib/python3.14/site-packages/planted.bin");
    let dep = dep.stdout.trim().trim_matches('"').to_owned();
    let folder = planted.parent().unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(
        &planted,
        [b"\0\xff".as_slice(), dep.as_bytes(), b"\0"].concat(),
    )
    .unwrap();
    let store = temp.join("nix/store");
    let scan = [
        "refs",
        "scan",
        venv.as_str(),
        "--deny",
        "--store-dir",
        store.as_str(),
    ];
    let named = lockwright(temp).args(scan).run().exit(1).stdout;
    assert!(
        named.contains("planted.bin") && named.contains("1 reference to 1 store path"),
        "{named}"
    );
    let hash = lockwright(temp)
        .args(["hash", venv.as_str()])
        .run()
        .ok()
        .stdout;
    let built = build(newer_nix("nix-build", temp), temp, venv, &hash);
    assert!(
        built.code != 0 && built.stderr.contains("must not reference store paths"),
        "{built}"
    );
    fs::remove_file(planted).unwrap();
    lockwright(temp).args(scan).run().ok();
}

/// Restores what Nix took, which then has to be what was made.
fn restored(
    temp: &Temp,
    venv: &Utf8Path,
    made: &BTreeMap<String, (u32, u64)>,
    output: &Utf8Path,
    imports: &str,
    scripts: &[&str],
) {
    fs::remove_dir_all(venv).unwrap();
    common::copy_tree(output, venv);
    lockwright_in_forky(temp)
        .args(["restore", venv.as_str(), "--python", PYTHON])
        .run()
        .ok();
    let now = entries(venv);
    let all: std::collections::BTreeSet<_> = made.keys().chain(now.keys()).collect();
    let other: Vec<_> = all
        .into_iter()
        .filter(|path| made.get(*path) != now.get(*path))
        .filter(|path| !path.starts_with(".lockwright"))
        .collect();
    assert!(other.is_empty(), "{other:#?}");

    let run = |program: &Utf8Path, args: &[&str]| {
        Command::new(in_forky()).arg(program).args(args).run().ok()
    };
    run(&venv.join("bin/python"), &["-c", imports]);
    for script in scripts {
        run(&venv.join("bin").join(script), &["--version"]);
    }
}

#[test]
fn nix_takes_an_environment_by_its_hash_and_what_is_restored_is_what_was_made() {
    let temp = temp();
    let venv = sync(&temp, &fixture("heavy"), &[]);
    let imports = "import numpy, scipy.linalg, lxml.etree, grpc, cryptography.fernet, PIL.Image, psycopg, uvloop";
    let made = entries(&venv);
    let hash = sealed(&temp, &venv);
    // Each has a store of its own: the one's database is too new for the other.
    let older = Temp::below(temp.path());
    taken(nix("nix-build", &older), &older, &venv, &hash);
    let output = taken(newer_nix("nix-build", &temp), &temp, &venv, &hash);
    refused(&temp, &venv);
    restored(
        &temp,
        &venv,
        &made,
        &output,
        imports,
        &["numpy-config", "normalizer"],
    );
}

/// The same for 170 packages. Those that are built are so once, and found in the tests' store after.
#[test]
fn nix_takes_the_flagship_by_its_hash_and_what_is_restored_is_what_was_made() {
    let temp = temp();
    let Some(venv) = flagship(&temp) else {
        return; // Said there, and the test above proves the same of a smaller lock.
    };
    let imports =
        "import django, lxml.etree, xmlsec, psycopg, gssapi, cryptography.fernet, uvloop, msgraph";
    let made = entries(&venv);
    let hash = sealed(&temp, &venv);
    let output = taken(newer_nix("nix-build", &temp), &temp, &venv, &hash);
    let scripts = [
        "gunicorn",
        "uvicorn",
        "dramatiq",
        "dumb-init",
        "django-admin",
    ];
    restored(&temp, &venv, &made, &output, imports, &scripts);
}
