//! What runs where others' code is kept: GitHub's action, GitLab's template, the hook for pre-commit.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::common::{self, Ran, Run as _, Temp};
use super::{program, wheel};

/// A repository whose last commit has one lock of `lockfile-fixtures/bump`, and whose work tree the other.
fn bumped(temp: &Temp, old: &Utf8Path, new: &Utf8Path) -> Utf8PathBuf {
    let repo = temp.join("repo");
    fs::create_dir(&repo).unwrap();
    let git = |args: &[&str]| {
        Command::new("git")
            .args(["-c", "user.name=T", "-c", "user.email=t@t.example"])
            .args(args)
            .current_dir(&repo)
            .run()
            .ok()
    };
    git(&["init", "-q"]);
    fs::copy(old, repo.join("uv.lock")).unwrap();
    git(&["add", "uv.lock"]);
    git(&["commit", "-q", "-m", "old"]);
    fs::copy(new, repo.join("uv.lock")).unwrap();
    repo
}

/// A lock, and the same with another digest for the same version: what no honest bump does.
fn forged(temp: &Temp) -> [Utf8PathBuf; 2] {
    let old = common::fixture("default").join("uv.lock");
    let text = fs::read_to_string(&old).unwrap();
    let (before, after) = text.split_once("sha256:").unwrap();
    let text = format!("{before}sha256:{}{}", "0".repeat(64), &after[64..]);
    [old, temp.write("forged.lock", text)]
}

/// A commit of all that is in a repository.
fn commit(repo: &Utf8Path) {
    for args in [
        &["init", "--quiet"][..],
        &["add", "."],
        &[
            "-c",
            "user.name=T",
            "-c",
            "user.email=t@t.example",
            "commit",
            "--quiet",
            "-m",
            "all",
        ],
    ] {
        Command::new("git").args(args).current_dir(repo).run().ok();
    }
}

/// `PATH` with these folders before it.
fn path_with(folders: &[&Utf8Path]) -> String {
    let path = std::env::var("PATH").unwrap();
    let folders: Vec<&str> = folders.iter().map(|folder| folder.as_str()).collect();
    [&folders[..], &[path.as_str()]].concat().join(":")
}

#[test]
fn pre_commit_runs_the_hook_and_stops_an_alarm() {
    let temp = Temp::new();
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    // What pre-commit reads of this repository, as a repository.
    let hooks = temp.join("hooks");
    fs::create_dir_all(hooks.join("packaging")).unwrap();
    for file in [".pre-commit-hooks.yaml", "packaging/pre-commit"] {
        fs::copy(common::project().join(file), hooks.join(file)).unwrap();
    }
    commit(&hooks);
    let head = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(&hooks)
        .run()
        .ok();
    let config = format!(
        "repos: [{{ repo: \"file://{hooks}\", rev: {}, hooks: [{{ id: lockwright-diff }}] }}]\n",
        head.stdout.trim()
    );
    fs::write(repo.join(".pre-commit-config.yaml"), config).unwrap();
    let hook = || {
        Command::new("git")
            .args(["add", "."])
            .current_dir(&repo)
            .run()
            .ok();
        let own = Utf8Path::new(env!("CARGO_BIN_EXE_lockwright"))
            .parent()
            .unwrap();
        let mut pre_commit = Command::new(common::on_path("bwrap"));
        pre_commit.args(["--dev-bind", "/", "/", "--unshare-net"]);
        pre_commit.args([common::packagers().as_str(), "-m", "pre_commit", "run"]);
        pre_commit
            .env("HOME", temp.join("home"))
            .env_remove("XDG_CACHE_HOME")
            .env("PATH", path_with(&[own]))
            .current_dir(&repo)
            .run()
    };
    let ran = hook().exit(1);
    assert!(ran.stdout.contains("ALARM   greeting"), "{ran}");
    fs::copy(&old, repo.join("uv.lock")).unwrap();
    let ran = hook().ok();
    assert!(ran.stdout.contains("no files to check"), "{ran}");
    // A lock that is new has none to be compared with.
    fs::create_dir(repo.join("new")).unwrap();
    fs::copy(&old, repo.join("new/uv.lock")).unwrap();
    let ran = hook().ok();
    assert!(ran.stdout.contains("Passed"), "{ran}");
}

/// A composite action as GitHub runs it, as far as this one needs: expressions, conditions, variables, files.
struct Action<'a> {
    temp: &'a Temp,
    repo: &'a Utf8Path,
    known: BTreeMap<String, String>,
    steps: Vec<Value>,
}

impl<'a> Action<'a> {
    fn new(temp: &'a Temp, repo: &'a Utf8Path, inputs: &[(&str, &str)]) -> Self {
        let text = fs::read_to_string(common::project().join("packaging/github-action/action.yml"));
        let action: Value = serde_saphyr::from_str(&text.unwrap()).unwrap();
        assert_eq!(action["runs"]["using"], "composite");
        let runner = temp.join("runner");
        fs::create_dir_all(&runner).unwrap();
        let mut known = BTreeMap::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = input["default"].as_str().unwrap();
            known.insert(format!("inputs.{name}"), default.to_owned());
        }
        for (name, value) in inputs {
            let before = known.insert(format!("inputs.{name}"), (*value).to_owned());
            assert!(before.is_some(), "there is no input {name}");
        }
        for (name, value) in [
            ("runner.temp", runner.as_str()),
            ("runner.os", "Linux"),
            ("runner.arch", "X64"),
            ("github.token", "token"),
            ("github.event_name", "pull_request"),
            ("github.event.pull_request.base.sha", "HEAD"),
            ("github.event.pull_request.number", "7"),
            ("hashFiles('**/uv.lock', '**/package-lock.json')", "0123"),
        ] {
            known.insert(name.to_owned(), value.to_owned());
        }
        let steps = action["runs"]["steps"].as_array().unwrap().clone();
        Self {
            temp,
            repo,
            known,
            steps,
        }
    }

    /// A text with its `${{ … }}` filled in.
    fn filled(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (name, rest) = part.split_once("}}").unwrap();
            out += self
                .known
                .get(name.trim())
                .unwrap_or_else(|| panic!("GitHub has no {name}"));
            out += rest;
        }
        out
    }

    /// A condition: `NAME == 'TEXT'` or `!=`, joined by `&&`.
    fn holds(&self, condition: &str) -> bool {
        condition.split("&&").all(|one| {
            let words: Vec<&str> = one.split_whitespace().collect();
            let equal = self.known[words[0]] == words[2].trim_matches('\'');
            (words[1] == "==") == equal
        })
    }

    /// Runs all steps from a number on, without a network, until one fails; the last one that ran.
    fn run(&self, first: usize) -> Ran {
        let file = |name: &str| self.temp.join("runner").join(name);
        let lines = |name: &str| fs::read_to_string(file(name)).unwrap_or_default();
        let mut last = None;
        for (number, step) in self.steps.iter().enumerate().skip(first) {
            if step["if"]
                .as_str()
                .is_some_and(|condition| !self.holds(condition))
            {
                continue;
            }
            let Some(script) = step["run"].as_str() else {
                // Another's action is not here; what it is told is.
                for value in step["with"].as_object().unwrap().values() {
                    assert!(!self.filled(value.as_str().unwrap()).contains("${{"));
                }
                continue;
            };
            assert_eq!(step["shell"], "bash");
            let script = self
                .temp
                .write(&format!("step-{number}.sh"), self.filled(script));
            let mut bash = Command::new(common::on_path("bwrap"));
            bash.args(["--dev-bind", "/", "/", "--unshare-net"]);
            bash.args([
                "bash",
                "--noprofile",
                "--norc",
                "-eo",
                "pipefail",
                script.as_str(),
            ]);
            for (name, value) in step["env"].as_object().into_iter().flatten() {
                bash.env(name, self.filled(value.as_str().unwrap()));
            }
            for (name, value) in lines("env").lines().filter_map(|line| line.split_once('=')) {
                bash.env(name, value);
            }
            let said = lines("path");
            let mut folders: Vec<&Utf8Path> = said.lines().map(Utf8Path::new).collect();
            let own = self.temp.join("bin");
            folders.push(&own);
            let ran = bash
                .env("HOME", self.temp.join("home"))
                .env("PATH", path_with(&folders))
                .env("RUNNER_TEMP", self.temp.join("runner"))
                .env("GITHUB_PATH", file("path"))
                .env("GITHUB_ENV", file("env"))
                .env("GITHUB_OUTPUT", file("output"))
                .env("GITHUB_STEP_SUMMARY", file("summary"))
                .env("GITHUB_REPOSITORY", "owner/name")
                .env("SAID", self.temp.join("said"))
                .current_dir(self.repo)
                .run();
            let code = ran.code;
            last = Some(ran);
            if code != 0 {
                break;
            }
        }
        last.unwrap()
    }
}

/// GitHub's own program, which writes down what it is asked.
fn gh(temp: &Temp) {
    let text = "#!/bin/sh\nfor arg; do case $arg in body=@*) cp \"${arg#body=@}\" \"$SAID\";; esac; done\n\
        echo \"$@\" >> \"$SAID.args\"\n";
    program(temp, "bin/gh", text);
}

#[test]
fn the_github_action_installs_assembles_and_reviews_a_pull_request() {
    let temp = Temp::new();
    gh(&temp);
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    common::copy_tree(&common::fixture("default"), &repo.join("project"));
    fs::copy(wheel(), repo.join(wheel().file_name().unwrap())).unwrap();
    let name = format!("./{}", wheel().file_name().unwrap());
    let action = |first: usize, fail_on: &str| {
        let inputs = [
            ("wheel", name.as_str()),
            ("sync", "project"),
            ("sync-arguments", "--offline --extra loud"),
            ("review", "uv.lock"),
            ("review-arguments", "--as-of 2026-11-30"),
            ("fail-on", fail_on),
        ];
        Action::new(&temp, &repo, &inputs).run(first)
    };
    let ran = action(0, "alarm").exit(1);
    assert!(repo.join("project/.venv/bin/greet").exists(), "{ran}");
    let said = fs::read_to_string(temp.join("said")).unwrap();
    assert!(said.starts_with("<!-- lockwright -->\n"), "{said}");
    assert!(said.contains("alarm"), "{said}");
    let asked = fs::read_to_string(temp.join("said.args")).unwrap();
    assert!(
        asked.contains("repos/owner/name/issues/7/comments"),
        "{asked}"
    );
    assert_eq!(
        fs::read_to_string(temp.join("runner/summary")).unwrap(),
        said
    );

    // Installed: the next push. It is as the base has it, and so there is nothing to say.
    fs::copy(&old, repo.join("uv.lock")).unwrap();
    fs::remove_file(temp.join("runner/output")).unwrap();
    action(1, "alarm").ok();
    let output = || fs::read_to_string(temp.join("runner/output")).unwrap();
    assert_eq!(output(), "changed=false\n");
    // Only told.
    fs::copy(&new, repo.join("uv.lock")).unwrap();
    fs::remove_file(temp.join("runner/output")).unwrap();
    action(1, "none").ok();
    assert_eq!(output(), "changed=true\n");
}

/// A job of the GitLab template, with what it extends.
fn job(name: &str) -> Value {
    let template = fs::read_to_string(common::project().join("packaging/gitlab/lockwright.yml"));
    let template: Value = serde_saphyr::from_str(&template.unwrap()).unwrap();
    let mut job = template[name].clone();
    let base = template[job["extends"].as_str().unwrap()]
        .as_object()
        .unwrap();
    for (key, value) in base {
        if job.get(key).is_none() {
            job[key] = value.clone();
        } else if let Some(more) = value.as_object() {
            for (name, value) in more {
                job[key]
                    .as_object_mut()
                    .unwrap()
                    .entry(name)
                    .or_insert(value.clone());
            }
        }
    }
    job
}

/// Runs it as a runner does, in a container of sorts and without a network. Where lockwright is installed by a run before,
/// it is not again.
fn run_job(temp: &Temp, repo: &Utf8Path, name: &str, more: &[(&str, &str)]) -> Ran {
    let job = job(name);
    let is_installed = temp.join("opt/lockwright").exists();
    let lines = ["before_script", "script"]
        .into_iter()
        .skip(usize::from(is_installed));
    let lines = lines.flat_map(|key| job[key].as_array().unwrap());
    let script: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
    for folder in ["home", "opt", "local-bin"] {
        fs::create_dir_all(temp.join(folder)).unwrap();
    }
    let mut bash = Command::new(common::on_path("bwrap"));
    bash.args(["--dev-bind", "/", "/", "--unshare-net"]);
    bash.args(["--bind", temp.join("opt").as_str(), "/opt"]);
    bash.args(["--bind", temp.join("local-bin").as_str(), "/usr/local/bin"]);
    bash.args(["bash", "-eo", "pipefail", "-c", &script.join("\n")]);
    let set = |bash: &mut Command, name: &str, value: &str| {
        bash.env(name, value.replace("$CI_PROJECT_DIR", repo.as_str()));
    };
    for (name, value) in job["variables"].as_object().unwrap() {
        set(&mut bash, name, value.as_str().unwrap());
    }
    for (name, value) in more {
        set(&mut bash, name, value);
    }
    bash.env("HOME", temp.join("home"))
        .env(
            "PATH",
            path_with(&[&temp.join("bin"), "/usr/local/bin".into()]),
        )
        .env("CI_PROJECT_DIR", repo)
        .current_dir(repo)
        .run()
}

#[test]
fn the_gitlab_template_assembles() {
    let temp = Temp::new();
    let repo = temp.join("repo");
    common::copy_tree(&common::fixture("default"), &repo);
    let wheel = wheel();
    let variables = [
        ("LOCKWRIGHT_WHEEL", wheel.as_str()),
        ("LOCKWRIGHT_SYNC_ARGUMENTS", "--offline --extra loud"),
    ];
    let ran = run_job(&temp, &repo, ".lockwright-sync", &variables).ok();
    assert!(repo.join(".venv/bin/greet").exists(), "{ran}");
    assert!(repo.join(".lockwright-store").is_dir());
}

#[test]
fn the_gitlab_template_keeps_one_note_on_a_merge_request() {
    let temp = Temp::new();
    // What asks GitLab: it has a note already, and writes down what else it is asked.
    let curl =
        "#!/bin/sh\necho \"$@\" >> \"$SAID\"\ncase $* in *--output*) ;; *) cat \"$NOTES\";; esac\n";
    program(&temp, "bin/curl", curl);
    let notes = r#"[{"id": 4, "body": "fine"}, {"id": 5, "body": "<!-- lockwright -->\nold"}]"#;
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    let (wheel, said) = (wheel(), temp.join("said"));
    let review = |notes: &str| {
        let notes = temp.write("notes", notes);
        let variables = [
            ("LOCKWRIGHT_WHEEL", wheel.as_str()),
            ("SAID", said.as_str()),
            ("NOTES", notes.as_str()),
            ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD"),
            ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
            ("CI_PROJECT_ID", "1"),
            ("CI_MERGE_REQUEST_IID", "7"),
            ("LOCKWRIGHT_GITLAB_TOKEN", "token"),
            ("LOCKWRIGHT_REVIEW_ARGUMENTS", "--as-of 2026-11-30"),
        ];
        let ran = run_job(&temp, &repo, ".lockwright-review", &variables).exit(1);
        let asked = fs::read_to_string(&said).unwrap();
        fs::remove_file(&said).unwrap();
        (ran, asked)
    };
    let notes_url = "https://gitlab.example/api/v4/projects/1/merge_requests/7/notes";
    let (ran, said) = review(notes);
    assert!(
        said.ends_with(&format!("--request PUT {notes_url}/5\n")),
        "{ran}{said}"
    );
    let report = fs::read_to_string(repo.join("lockwright-review.md")).unwrap();
    assert!(report.starts_with("<!-- lockwright -->\n"), "{report}");
    let (ran, said) = review("[]");
    assert!(
        said.ends_with(&format!("--request POST {notes_url}\n")),
        "{ran}{said}"
    );
}

#[test]
fn recipes_for_ci_are_well_formed() {
    let page = fs::read_to_string(common::project().join("docs/ci.md")).unwrap();
    let mut seen = BTreeMap::new();
    for block in page.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').unwrap();
        let kind = kind.split(' ').next().unwrap();
        match kind {
            "json" => drop(serde_json::from_str::<Value>(text).unwrap()),
            "yaml" => drop(serde_saphyr::from_str::<Value>(text).unwrap()),
            "sh" => drop(Command::new("bash").args(["-n", "-c", text]).run().ok()),
            _ => continue,
        }
        *seen.entry(kind.to_owned()).or_insert(0) += 1;
    }
    assert!(
        seen["yaml"] > 4 && seen["sh"] > 2 && seen["json"] > 0,
        "{seen:?}"
    );
}
