//! `lockwright build-lock`: the project whose lock builds are made with.

use std::fs;

use super::*;

fn build_lock_of(temp: &Temp, args: &[&str]) -> Ran {
    fs::create_dir_all(temp.join("tmp")).unwrap();
    lockwright_in_forky(temp)
        .args([
            "build-lock",
            "app",
            "--out",
            "made",
            "--python",
            "/usr/bin/python3.14",
        ])
        .args(args)
        .env("TMPDIR", temp.join("tmp"))
        .env("UV", common::uv())
        .env("UV_OFFLINE", "1")
        .env("UV_DEFAULT_INDEX", common::backends().join("simple"))
        .env("UV_CACHE_DIR", temp.join("uv-cache"))
        .run()
}

fn sources(temp: &Temp) {
    let system = |requires: &str| format!("[build-system]\nrequires = [{requires}]\n");
    let setup = |name: &str, more: &str| {
        format!(
            "from setuptools import setup\nsetup(name='{name}', version='1.0', py_modules=[]{more})\n"
        )
    };
    let put = |name: &'static str, requires: &str, more: &str| {
        let (system, setup) = (system(requires), setup(name, more));
        sdist(
            temp,
            name,
            "1.0",
            &[("pyproject.toml", &system), ("setup.py", &setup)],
        );
    };
    put("one", "'setuptools==80.3.1'", "");
    // What only its back end says.
    put(
        "two",
        "'setuptools == 80.9.0', 'wheel; python_version > \"3\"'",
        ", setup_requires=['flit-core>=3']",
    );
    sdist(temp, "three", "1.0", &[("setup.py", &setup("three", ""))]);
    lock_of_sdists(
        temp,
        "app",
        &[("one", "1.0"), ("three", "1.0"), ("two", "1.0")],
    );
}

#[test]
fn the_project_is_written_from_the_sources_and_locked() {
    let temp = Temp::new();
    sources(&temp);
    let ran = build_lock_of(&temp, &[]).ok();
    assert!(
        ran.stderr
            .contains("what 3 sources are built with, locked by uv"),
        "{ran}"
    );
    insta::assert_snapshot!(
        "project",
        fs::read_to_string(temp.join("made/pyproject.toml")).unwrap()
    );
    let lock = fs::read(temp.join("made/uv.lock")).unwrap();
    sync(&temp, &["--build-lock", "made/uv.lock"]).ok();
    assert!(is_empty(&temp.join("tmp")));

    // The same again.
    let project = fs::read(temp.join("made/pyproject.toml")).unwrap();
    build_lock_of(&temp, &[]).ok();
    assert_eq!(fs::read(temp.join("made/pyproject.toml")).unwrap(), project);
    assert_eq!(fs::read(temp.join("made/uv.lock")).unwrap(), lock);

    // Named beside the lock, it is found.
    temp.write(
        "app/lockwright.toml",
        "[build]\nlock = \"../made/uv.lock\"\n[build.one]\nenv = { ONE = \"1\" }\n",
    );
    sync(&temp, &["--out", "other"]).ok();
}

#[test]
fn without_uv_it_is_written_in_two_steps() {
    let temp = Temp::new();
    sources(&temp);
    let ran = build_lock_of(&temp, &["--no-lock"]).ok();
    insta::assert_snapshot!("first_step", ran.redacted(&temp));
    common::sources::uv_lock(&temp, &temp.join("made"));
    let ran = build_lock_of(&temp, &["--no-lock"]).ok();
    assert!(
        ran.stderr.ends_with("Next: uv lock --project made\n"),
        "{ran}"
    );
    let text = fs::read_to_string(temp.join("made/pyproject.toml")).unwrap();
    assert!(text.contains("flit-core>=3"), "{text}");
}

#[test]
fn a_project_written_by_hand_is_left_alone() {
    let temp = Temp::new();
    sources(&temp);
    temp.write("made/pyproject.toml", "[project]\n");
    let ran = build_lock_of(&temp, &[]).exit(1);
    assert!(
        ran.stderr
            .contains("was not written by lockwright build-lock"),
        "{ran}"
    );
}
