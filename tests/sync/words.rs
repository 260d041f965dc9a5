//! Words of other tools, and what a command finds out for itself: scripts, places, other locks, settings.

use std::process::Command;

use super::{Scratch, text};

/// Arguments in a help text: their names, and whether they take a value.
fn words_of(help: &str) -> Vec<(String, bool)> {
    let is_end = |c: char| !(c.is_ascii_alphanumeric() || c == '-');
    let mut found = Vec::new();
    for line in help.lines() {
        // uv describes what is behind the name, npm what it is called alone.
        let line = line.split("  ").find(|part| !part.trim().is_empty());
        for part in line.unwrap_or_default().split(['[', ']', '|', ' ', ',']) {
            let name = part.trim_end_matches("...");
            let is_long = name.starts_with("--") && name.len() > 3;
            let is_short = name.len() == 2 && name.starts_with('-');
            if (is_long || is_short) && !name[2..].contains(is_end) {
                let takes = line.is_some_and(|line| line.contains(&format!("{name} <")));
                found.push((name.to_owned(), takes));
            }
        }
    }
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    found
}

#[test]
fn every_word_of_uv_sync_and_npm_ci_is_taken_or_answered() {
    let temp = crate::common::Temp::new();
    let help = |program: camino::Utf8PathBuf, args: [&str; 2]| {
        let output = Command::new(program)
            .args(args)
            .env("HOME", temp.path())
            .output();
        text(&output.unwrap().stdout)
    };
    let uv = help(crate::common::uv(), ["sync", "--help"]);
    let npm = help(crate::common::npm(), ["ci", "--help"]);
    let docs = std::fs::read_to_string(crate::common::project().join("docs/words.md")).unwrap();
    for (help, at_least) in [(&uv, 90), (&npm, 20)] {
        let words = words_of(help);
        assert!(words.len() >= at_least, "{words:?}");
        for (word, takes_a_value) in words {
            if ["--help", "-h", "--version", "-V"].contains(&word.as_str()) {
                continue;
            }
            let mut ours = crate::common::lockwright(&temp);
            ours.args(["sync", &word]);
            if takes_a_value {
                ours.arg("1");
            }
            let said = text(&ours.output().unwrap().stderr);
            assert!(
                said.starts_with("error: ") && !said.contains("unexpected argument"),
                "{word}: {said}"
            );
            assert!(!said.contains("tip: "), "{word}: {said}");
        }
    }
    let variables = uv.split("[env: ").skip(1);
    let variables: Vec<&str> = variables
        .map(|rest| rest.split(['=', ']']).next().unwrap().trim_matches('`'))
        .collect();
    assert!(variables.len() > 20, "{variables:?}");
    for variable in variables {
        assert!(docs.contains(&format!("`{variable}`")), "{variable}");
    }
}

#[test]
fn what_would_be_done_is_said_and_not_done() {
    let scratch = Scratch::new();
    let (_, said) = scratch.ok(&["sync", "--dry-run"]);
    assert!(said.contains("Would place"), "{said}");
    let said = scratch.fails(&["sync", "--check"]);
    assert!(said.contains("sync would place"), "{said}");
    assert!(!scratch.venv().exists());
    scratch.ok(&["sync", "--no-cache"]);
    let store = scratch.folder.path().join("store");
    assert!(!store.join("v1/files").exists());
    for again in ["--dry-run", "--check"] {
        let (_, said) = scratch.ok(&["sync", again]);
        assert!(said.contains("is up to date"), "{said}");
    }
}

#[test]
fn a_script_has_an_environment_of_its_own() {
    let scratch = Scratch::new();
    let project = scratch.project();
    let lock = std::fs::read_to_string(project.join("uv.lock")).unwrap();
    let package = |name: &str| {
        let start = lock
            .find(&format!("[[package]]\nname = \"{name}\""))
            .unwrap();
        let text = &lock[start..];
        let end = text[1..]
            .find("[[package]]")
            .map_or(text.len(), |end| end + 1);
        text[..end].to_owned()
    };
    let name = lock
        .split("[[package]]\nname = \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .find(|name| {
            let text = package(name);
            text.contains("wheels = [") && !text.contains("dependencies = [")
        })
        .unwrap();
    let text = format!(
        "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[manifest]\nrequirements = \
         [{{ name = \"{name}\" }}]\n\n{}",
        package(name)
    );
    std::fs::write(project.join("s.py.lock"), text).unwrap();
    let script = |settings: &str| {
        let text = format!(
            "#!/usr/bin/env python\n# /// script\n# dependencies = [\"{name}\"]\n{settings}# ///\nprint()\n"
        );
        std::fs::write(project.join("s.py"), text).unwrap();
    };
    script("");
    scratch.ok(&["sync", "s.py"]);
    assert!(project.join("s.venv/bin/python").exists());
    assert!(!scratch.venv().exists());
    let (_, said) = scratch.ok(&["sync", "--script", "s.py"]);
    assert!(said.contains("is up to date"), "{said}");
    script(&format!(
        "# [tool.uv]\n# no-binary-package = [\"{name}\"]\n"
    ));
    let said = scratch.fails(&["sync", "s.py"]);
    assert!(said.contains("no-binary"), "{said}");
    script("# [tool.uv]\n# no-binary = \n");
    let said = scratch.fails(&["plan", "s.py"]);
    assert!(said.contains("s.py:5"), "{said}");
    std::fs::remove_file(project.join("s.py.lock")).unwrap();
    let said = scratch.fails(&["sync", "s.py"]);
    assert!(said.contains("uv lock --script"), "{said}");
}

#[test]
fn where_the_environment_goes_is_said_from_the_lock_on() {
    let scratch = Scratch::new();
    let project = scratch.project();
    std::fs::create_dir(project.join("below")).unwrap();
    let ran = Command::new(env!("CARGO_BIN_EXE_lockwright"))
        .args(["sync", "--project", ".."])
        .current_dir(project.join("below"))
        .env("LOCKWRIGHT_STORE", scratch.folder.path().join("store"))
        .env("UV_PROJECT_ENVIRONMENT", "rel")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", text(&ran.stderr));
    assert!(project.join("rel/bin/python").exists());
    scratch.ok(&["--directory", "below", "sync", "..", "--out", "here"]);
    assert!(project.join("below/here/bin/python").exists());
}

#[test]
fn other_tools_locks_are_told_what_they_are() {
    let scratch = Scratch::new();
    let folder = scratch.folder.path().join("empty");
    std::fs::create_dir(&folder).unwrap();
    for (name, what, remedy) in [
        (
            "poetry.lock",
            "Poetry's",
            "poetry export --format pylock.toml",
        ),
        ("poetry.lock", "Poetry's", "migrate-to-uv"),
        ("pdm.lock", "PDM's", "pdm export --format pylock"),
        (
            "requirements.txt",
            "a list of requirements",
            "uv pip compile requirements.txt",
        ),
        (
            "dev-requirements.txt",
            "a list of requirements",
            "uv pip compile requirements.txt",
        ),
        ("pnpm-lock.yaml", "pnpm's", "--package-lock-only"),
        ("yarn.lock", "Yarn's", "--package-lock-only"),
    ] {
        let file = folder.join(name);
        std::fs::write(&file, "x").unwrap();
        for given in [&file, &folder] {
            let said = scratch.fails(&["sync", given.to_str().unwrap()]);
            if given == &file || !name.starts_with("dev") {
                assert!(
                    said.contains(what) && said.contains(remedy),
                    "{name}: {said}"
                );
            }
        }
        std::fs::remove_file(file).unwrap();
    }
    std::fs::write(scratch.project().join("package-lock.json"), "{}").unwrap();
    let (_, said) = scratch.ok(&["sync"]);
    assert!(said.contains("two locks, and uv.lock is used"), "{said}");
}

/// What a user's file and a project's say is what an argument would; the argument counts first.
#[test]
fn settings_stand_in_files() {
    use crate::common::{Run as _, Temp, lockwright};
    let temp = Temp::new();
    temp.copy_of_fixture("default");
    let users = temp.write("config.toml", "link-mode = \"reflink\"\nretries = 7\n");
    let pyproject = temp.join("default/pyproject.toml");
    let project = std::fs::read_to_string(&pyproject).unwrap();
    let say = |own: &str| {
        let text = format!("{project}\n[tool.lockwright]\n{own}\n");
        std::fs::write(&pyproject, text).unwrap();
    };
    let asked = |args: &[&str]| {
        let mut ask = lockwright(&temp);
        ask.current_dir(temp.join("default"))
            .env("LOCKWRIGHT_CONFIG", &users);
        ask.args(args).run()
    };
    say("link-mode = \"hardlink\"");
    let said = asked(&["config", "--json"]).ok().json();
    assert_eq!(said["link-mode"]["values"][0], "hardlink");
    assert_eq!(said["link-mode"]["from"], pyproject.as_str());
    assert_eq!(said["retries"]["values"][0], "7");
    assert_eq!(said["retries"]["from"], users.as_str());
    assert_eq!(said["offline"]["from"], "default");
    let links = |args: &[&str]| {
        let mut all = vec!["sync", "--offline", "--clear"];
        all.extend(args);
        asked(&all).ok();
        let lib = temp
            .join("default/.venv/lib")
            .read_dir_utf8()
            .unwrap()
            .next();
        let site = lib.unwrap().unwrap().path().join("site-packages");
        std::os::unix::fs::MetadataExt::nlink(
            &std::fs::metadata(site.join("greeting/__init__.py")).unwrap(),
        )
    };
    assert!(links(&[]) > 1);
    assert_eq!(links(&["--link-mode", "copy"]), 1);
    say("store = \"/elsewhere\"");
    let said = asked(&["sync", "--offline"]).exit(1).stderr;
    assert!(said.contains("`store` is the user's to set"), "{said}");
    // Another's, as one in /tmp may be, sets nothing; nor does what is no text.
    std::os::unix::fs::chown(&pyproject, Some(4321), None).unwrap();
    assert_eq!(
        asked(&["config", "--json"]).ok().json()["store"]["from"],
        "LOCKWRIGHT_STORE"
    );
    std::fs::write(&pyproject, b"\xff[tool.lockwright]").unwrap();
    asked(&["config"]).ok();
    std::fs::write(&users, "lnik-mode = \"copy\"").unwrap();
    let said = asked(&["sync", "--offline"]).exit(1).stderr;
    assert!(said.contains("there is no setting `lnik-mode`"), "{said}");
}
