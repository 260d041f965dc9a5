//! What is refused, with a sentence, and leaves nothing.

use std::process::Command;

use super::Scratch;

#[test]
fn what_is_not_ours_is_never_touched() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.venv()).unwrap();
    std::fs::write(scratch.venv().join("precious"), "x").unwrap();
    let refusal = "error: [tmp]/p/.venv is already there, was not made by lockwright, and is not an environment, which \
                   is all that --clear replaces: choose another place, or remove it yourself\n";
    assert_eq!(scratch.fails(&["sync", "--offline"]), refusal);
    assert_eq!(scratch.fails(&["sync", "--offline", "--clear"]), refusal);
    std::fs::write(scratch.venv().join("pyvenv.cfg"), "").unwrap();
    insta::assert_snapshot!(scratch.fails(&["sync", "--offline"]), @"error: [tmp]/p/.venv is already there and was not made by lockwright: choose another place, or give --clear to have it replaced");
    assert!(scratch.venv().join("precious").exists());
    scratch.ok(&["sync", "--offline", "--clear"]);
    assert!(!scratch.venv().join("precious").exists());
    let beside: Vec<_> = std::fs::read_dir(scratch.project())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("lockwright"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn refusals_are_sentences_and_leave_nothing() {
    let scratch = Scratch::new();
    let said = scratch.fails(&["sync", "/nowhere/at/all"]);
    assert!(
        said.contains("there is no /nowhere/at/all: give a project's folder"),
        "{said}"
    );

    let said = scratch.fails(&["sync", "--offline", "--extra", "quiet"]);
    assert!(
        said.contains("extra `quiet` is not defined by greeting-example; there is `loud`"),
        "{said}"
    );
    let said = scratch.fails(&["sync", "--offline", "--group", "docs"]);
    assert!(
        said.contains("group `docs` is not defined by greeting-example"),
        "{said}"
    );
    let said = scratch.fails(&[
        "sync",
        "--offline",
        "--python-version",
        "3.8",
        "--python-platform",
        "linux",
    ]);
    assert!(
        said.contains("requires Python >=3.9, and the target is CPython 3.8"),
        "{said}"
    );
    let said = scratch.fails(&[
        "plan",
        "--no-build-package",
        "greeting-check",
        "--no-binary-package",
        "greeting-check",
        "--python-version",
        "3.14",
    ]);
    assert!(
        said.contains("nothing of greeting-check 1.0.0 can be installed"),
        "{said}"
    );
    assert!(
        said.contains("wheels are not allowed (no-binary)"),
        "{said}"
    );

    // A wheel that is another than the lock says.
    let wheel = scratch
        .project()
        .join("wheels/greeting-1.2.0-py3-none-any.whl");
    let mut bytes = std::fs::read(&wheel).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&wheel, bytes).unwrap();
    let said = scratch.fails(&["sync", "--offline"]);
    assert!(
        said.contains("expected") && said.contains("sha256:0b77b6de"),
        "{said}"
    );
    assert!(!scratch.venv().exists());

    scratch.edit_lock("version = 1\nrevision", "version = 7\nrevision");
    let said = scratch.fails(&["sync"]);
    assert!(
        said.contains("lock version 7, and this lockwright reads version 1"),
        "{said}"
    );
    scratch.edit_lock("version = 7", "version = [");
    let said = scratch.fails(&["sync"]);
    assert!(said.contains("uv.lock:2:10"), "{said}");
    assert!(!scratch.venv().exists());
}

#[test]
fn offline_names_everything_that_is_missing_at_once() {
    let scratch = Scratch::new();
    scratch.edit_lock(
        "registry = \"wheels\"",
        "registry = \"https://pypi.example/simple\"",
    );
    scratch.edit_lock(
        "path = \"greeting",
        "url = \"https://files.pypi.example/greeting",
    );
    let said = scratch.fails(&["sync", "--offline"]);
    for name in [
        "greeting-1.2.0",
        "greeting_words-2.0.1",
        "greeting_check-1.0.0",
    ] {
        assert!(said.contains(name), "{said}");
    }
    assert!(
        said.contains("--offline") && said.contains("--find-links"),
        "{said}"
    );
    // The same lock, its files in a plain folder.
    let (_, said) = scratch.ok(&["sync", "--offline", "--find-links", "wheels"]);
    assert!(
        said.contains("Placed 3 packages (3 from this machine)"),
        "{said}"
    );
    // What only node_modules have is not passed over in silence.
    let said = scratch.fails(&["sync", "--omit", "dev"]);
    assert!(said.contains("--omit is for a package-lock.json"), "{said}");
    // And now they are in the store.
    let (_, said) = scratch.ok(&["sync", "--offline", "--out", "again"]);
    assert!(said.contains("3 from the store"), "{said}");
}

#[test]
fn a_wheel_that_lies_is_refused_by_name() {
    // A wheel whose METADATA says it is another package: the lock's digest is of that wheel.
    let scratch = Scratch::new();
    let python = r#"
import hashlib, re, sys, zipfile
old, new = "wheels/greeting-1.2.0-py3-none-any.whl", "wheels/new.whl"
with zipfile.ZipFile(old) as z, zipfile.ZipFile(new, "w") as out:
    for info in z.infolist():
        data = z.read(info)
        if info.filename.endswith("METADATA"):
            data = data.replace(b"Name: greeting\n", b"Name: gretting\n")
        out.writestr(info, data)
import os
os.replace(new, old)
digest = hashlib.sha256(open(old, "rb").read()).hexdigest()
lock = open("uv.lock").read()
open("uv.lock", "w").write(re.sub(r'(greeting-1.2.0-py3-none-any.whl", hash = "sha256:)[0-9a-f]+', r"\g<1>" + digest, lock))
"#;
    let status = Command::new("python3")
        .args(["-c", python])
        .current_dir(scratch.project())
        .status();
    assert!(status.unwrap().success());
    let said = scratch.fails(&["sync", "--offline"]);
    assert!(said.contains("greeting-1.2.0-py3-none-any.whl"), "{said}");
    assert!(said.contains("METADATA says it is gretting"), "{said}");
    assert!(!scratch.venv().exists());
}
