//! A store that machines share: what one has fetched or built, another takes; and whatever is wrong with it
//! costs a warning, never the run or its bytes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/scripted.rs"]
mod scripted;

mod made;
mod servers;

use std::fs;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Fault, Ran, Run as _, Server, Temp, lockwright, run};
use serde_json::Value;

/// A machine with an empty store.
fn machine(temp: &Temp, name: &str) -> std::process::Command {
    let mut command = lockwright(temp);
    command.env("LOCKWRIGHT_STORE", temp.join(name).join("store"));
    command
}

/// `node_modules` of a package-lock.json whose registry is `origin`.
fn modules(temp: &Temp, name: &str, origin: &str, args: &[&str]) -> Ran {
    let web = common::fixture("standin/web");
    machine(temp, name)
        .args(["sync", web.as_str(), "--retries", "0"])
        .args(["--out", temp.join(name).join("tree").as_str()])
        .args([
            "--mirror",
            &format!("https://registry.npm.example/={origin}"),
        ])
        .args(args)
        .run()
}

/// The default fixture's environment, one package of which is built.
fn environment(temp: &Temp, name: &str, args: &[&str]) -> (Value, String) {
    let ran = machine(temp, name)
        .args(["sync", common::fixture("default").as_str(), "--json"])
        .args([
            "--no-binary-package",
            "greeting-check",
            "--no-install-project",
        ])
        .args(["--python", common::python().as_str()])
        .args([
            "--relocatable",
            "--out",
            temp.join(name).join("tree").as_str(),
        ])
        .args(args)
        .run()
        .ok();
    (serde_json::from_str(&ran.stdout).unwrap(), ran.stderr)
}

fn hash(temp: &Temp, name: &str) -> String {
    let tree = temp.join(name).join("tree");
    run(env!("CARGO_BIN_EXE_lockwright"), ["hash", tree.as_str()])
}

/// A key that signs, and the public key that goes with it.
fn key(temp: &Temp, name: &str) -> (Utf8PathBuf, String) {
    let file = temp.join(format!("{name}.key"));
    let mut command = lockwright(temp);
    command.args(["store", "keygen", name, "--out", file.as_str()]);
    (file, command.run().ok().stdout.trim().to_owned())
}

/// Every file below a folder.
fn files(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files(entry.path())),
            false => found.push(entry.path().to_owned()),
        }
    }
    found
}

/// Where nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

#[test]
fn what_one_machine_fetched_another_has_from_the_shared_server() {
    let temp = Temp::new();
    let origin = Server::of_dir(&common::fixture("standin/registry"));
    let shared = Server::new();
    let remote = shared.url("/cache");
    let first = modules(
        &temp,
        "a",
        &origin.url("/"),
        &["--remote", &remote, "--remote-push"],
    );
    first.ok();
    let puts = shared
        .requests()
        .iter()
        .filter(|request| request.method == "PUT")
        .count();
    assert_eq!(puts, 1, "{:?}", shared.requests());
    let args = ["--remote", &remote, "--json"];
    let second = modules(&temp, "b", &nowhere(), &args).ok();
    let report: Value = serde_json::from_str(&second.stdout).unwrap();
    assert_eq!(report["from_shared"], 1, "{second}");
    assert_eq!(hash(&temp, "a"), hash(&temp, "b"));
    // Nothing is asked where no socket may be opened.
    let before = shared.requests().len();
    assert_eq!(
        modules(&temp, "c", &nowhere(), &["--remote", &remote, "--offline"]).code,
        1
    );
    assert_eq!(shared.requests().len(), before);
}

#[test]
fn what_one_machine_built_another_takes_if_it_trusts_the_key() {
    let temp = Temp::new();
    let (secret, public) = key(&temp, "ci-1");
    let remote = temp.join("shared");
    let remote = remote.as_str();
    let push = [
        "--remote",
        remote,
        "--remote-push",
        "--remote-key",
        secret.as_str(),
    ];
    let (report, _) = environment(&temp, "a", &push);
    assert_eq!(
        (&report["built"], &report["built_before"]),
        (&1.into(), &0.into())
    );
    let (report, said) = environment(&temp, "b", &["--remote", remote, "--remote-trust", &public]);
    assert_eq!(
        (&report["built"], &report["built_before"]),
        (&0.into(), &1.into()),
        "{said}"
    );

    // Nobody is trusted, another is, or somebody has written something else there.
    let (report, _) = environment(&temp, "c", &["--remote", remote]);
    assert_eq!(report["built"], 1);
    let (_, other) = key(&temp, "ci-2");
    let (report, said) = environment(&temp, "d", &["--remote", remote, "--remote-trust", &other]);
    assert_eq!(report["built"], 1);
    assert!(said.contains("without a trusted signature"), "{said}");
    let built = files(&temp.join("shared/v1/built")).pop().unwrap();
    let text = fs::read_to_string(&built).unwrap();
    fs::write(
        &built,
        text.replace("greeting_check-1.0.0", "greeting_check-6.6.6"),
    )
    .unwrap();
    let (report, said) = environment(&temp, "e", &["--remote", remote, "--remote-trust", &public]);
    assert_eq!(report["built"], 1);
    assert!(said.contains("without a trusted signature"), "{said}");
    let hashes = ["b", "c", "d", "e"].map(|name| hash(&temp, name));
    // What an environment was made from tells where it is: the same but for that.
    assert!(hashes.iter().all(|one| !one.is_empty()));
}

#[test]
fn a_wheel_is_not_given_without_a_key_and_a_key_is_made_once() {
    let temp = Temp::new();
    let remote = temp.join("shared");
    let (report, said) = environment(&temp, "a", &["--remote", remote.as_str(), "--remote-push"]);
    assert_eq!(report["built"], 1);
    assert!(
        said.contains("without a signature nobody would accept them"),
        "{said}"
    );
    assert!(files(&remote.join("v1/built")).is_empty());
    let (secret, _) = key(&temp, "ci-1");
    let mut again = lockwright(&temp);
    let again = again
        .args(["store", "keygen", "ci-1", "--out", secret.as_str()])
        .run();
    assert_eq!(again.code, 1, "{again}");
}

#[test]
fn a_shared_store_that_lies_or_fails_costs_a_warning() {
    let temp = Temp::new();
    let origin = Server::of_dir(&common::fixture("standin/registry"));
    let origin = origin.url("/");
    let warned = |name: &str, remote: &str, what: &str| {
        let ran = modules(&temp, name, &origin, &["--remote", remote, "--remote-push"]).ok();
        assert!(ran.stderr.contains(what), "{name}: {ran}");
        assert_eq!(ran.stderr.matches("warning").count(), 1, "{name}: {ran}");
    };
    modules(
        &temp,
        "a",
        &origin,
        &["--remote", temp.join("shared").as_str(), "--remote-push"],
    )
    .ok();
    let given = files(&temp.join("shared")).pop().unwrap();
    let whole = fs::read(&given).unwrap();
    // Half an upload, and something else of the same length.
    for (name, bytes) in [
        ("half", whole[..100].to_vec()),
        ("other", vec![7; whole.len()]),
    ] {
        fs::write(&given, bytes).unwrap();
        warned(
            name,
            temp.join("shared").as_str(),
            "something else in place of",
        );
        fs::write(&given, &whole).unwrap();
    }
    warned("down", &nowhere(), "is not used any more in this run");
    let path = given.strip_prefix(temp.join("shared")).unwrap();
    let broken = Server::new();
    for _ in 0..8 {
        broken.fault(&format!("/{path}"), Fault::Status(503, Vec::new()));
    }
    warned(
        "broken",
        &broken.url("/"),
        "is not used any more in this run",
    );
    let full = Server::new();
    let missing = Fault::Status(404, Vec::new());
    for fault in [missing.clone(), missing, Fault::Status(507, Vec::new())] {
        full.fault(&format!("/{path}"), fault);
    }
    warned("full", &full.url("/"), "does not accept uploads");
    for name in ["half", "other", "down", "broken", "full"] {
        assert_eq!(hash(&temp, name), hash(&temp, "a"), "{name}");
    }
}

/// A flag, a variable, the project's lockwright.toml, the user's settings: the first that names a store.
#[test]
fn the_project_says_where_the_store_is_unless_the_command_line_or_a_variable_does() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let (secret, public) = key(&temp, "ci-1");
    let manifest = format!("[remote]\nurl = 'of-the-project'\ntrust = ['{public}']\n");
    fs::write(project.join("lockwright.toml"), manifest).unwrap();
    let settings = temp.write("config.toml", "remote = 'of-the-user'\n");
    let places = [
        temp.join("of-the-flag"),
        temp.join("of-the-variable"),
        project.join("of-the-project"),
        temp.join("of-the-user"),
    ];
    let used = |name: &str, from: usize| {
        for place in &places {
            let _ = fs::remove_dir_all(place);
        }
        let mut command = machine(&temp, name);
        command
            .args(["sync", project.as_str(), "--offline", "--json"])
            .args(["--python", common::python().as_str()])
            .args(["--no-binary-package", "greeting-check"])
            .args(["--out", temp.join(name).join("tree").as_str()])
            .args(["--remote-push", "--remote-key", secret.as_str()])
            .env("LOCKWRIGHT_CONFIG", &settings);
        if from < 1 {
            command.args(["--remote", places[0].as_str()]);
        }
        if from < 2 {
            command.env("LOCKWRIGHT_REMOTE", &places[1]);
        }
        command.run().ok();
        let there = places.iter().map(|place| !files(place).is_empty());
        there.collect::<Vec<_>>()
    };
    assert_eq!(used("flag", 0), [true, false, false, false]);
    assert_eq!(used("variable", 1), [false, true, false, false]);
    assert_eq!(used("project", 2), [false, false, true, false]);
    // Whom the project trusts is trusted.
    let mut second = machine(&temp, "second");
    second
        .args(["sync", project.as_str(), "--offline", "--json"])
        .args(["--python", common::python().as_str()])
        .args(["--no-binary-package", "greeting-check"])
        .args(["--out", temp.join("second/tree").as_str()]);
    assert_eq!(second.run().ok().json()["built"], 0);
    fs::remove_file(project.join("lockwright.toml")).unwrap();
    assert_eq!(used("user", 3), [false, false, false, true]);

    let manifest = "[remote]\nurl = 'ftp://cache.example/'\n";
    fs::write(project.join("lockwright.toml"), manifest).unwrap();
    let mut wrong = machine(&temp, "wrong");
    wrong.args(["sync", project.as_str(), "--offline"]);
    let said = wrong.run().exit(1);
    assert!(said.stderr.contains("`url` of [remote]"), "{said}");
}

#[test]
fn the_key_of_a_cache_follows_from_what_locks_name() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    let of = |locks: &[&str]| {
        let mut command = lockwright(&temp);
        command.args(["store", "key"]).args(locks).run().ok().stdout
    };
    let one = of(&[project.as_str()]);
    assert!(one.starts_with("lockwright-v1-"), "{one}");
    let lock = project.join("uv.lock");
    let text = fs::read_to_string(&lock).unwrap();
    fs::write(&lock, format!("# A remark.\n{text}")).unwrap();
    assert_eq!(of(&[lock.as_str()]), one);
    let web = common::fixture("standin/web");
    let both = of(&[project.as_str(), web.as_str()]);
    assert_ne!(both, one);
    assert_eq!(of(&[web.as_str(), project.as_str()]), both);
    fs::write(
        &lock,
        text.replacen("hash = \"sha256:0", "hash = \"sha256:1", 1),
    )
    .unwrap();
    assert_ne!(of(&[project.as_str()]), one);
}

#[test]
fn components_and_sources_are_cleaned_away_unless_a_finished_tree_leads_there() {
    let temp = Temp::new();
    let store = temp.join("store");
    let tree = |path: &str| {
        fs::create_dir_all(store.join(path).join("inside")).unwrap();
        fs::write(store.join(path).join("inside/file"), "12345").unwrap();
        store.join(path)
    };
    let source = tree("sources/app-0123456789abcdef0123456789abcdef");
    let idle = tree("components/idle-0123456789abcdef");
    let needed = tree("components/needed-0123456789abcdef");
    let note = |finished: &Utf8Path| {
        let text = serde_json::json!({ "tree": finished, "components": [needed] });
        fs::create_dir_all(store.join("components/needed")).unwrap();
        fs::write(store.join("components/needed/a.json"), text.to_string()).unwrap();
    };
    note(temp.path());
    let gc = |args: &[&str]| {
        let mut command = lockwright(&temp);
        command
            .env("LOCKWRIGHT_STORE", &store)
            .args(["store", "gc"])
            .args(args);
        command.run().ok()
    };
    let said = gc(&["--older-than", "0s", "--dry-run"]);
    assert!(
        said.stderr.contains("Would remove 0 artifacts, 2 trees"),
        "{said}"
    );
    gc(&["--older-than", "1d"]);
    assert!(source.exists() && idle.exists());
    gc(&["--max-size", "7"]);
    assert!(!source.exists() && !idle.exists() && needed.exists());
    note(&temp.join("gone"));
    gc(&["--older-than", "0s"]);
    assert!(!needed.exists());
}
