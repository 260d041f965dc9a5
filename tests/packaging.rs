//! What people install lockwright by: scripts/release around the program just built, npm's package, completions, manual
//! pages, and what runs in others' CI. Compiling a release is not tried here: it takes minutes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Run, Temp};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Stands for the program, which is large: archives of it take long.
fn program(temp: &Temp, name: &str, text: &str) -> Utf8PathBuf {
    let path = temp.write(name, text);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn triple() -> String {
    format!("{}-unknown-linux-musl", std::env::consts::ARCH)
}

/// What scripts/release makes of the program in `out`.
fn release(temp: &Temp, out: &Utf8Path) {
    let lockwright = env!("CARGO_BIN_EXE_lockwright");
    let program = program(
        temp,
        "program",
        &format!("#!/bin/sh\nexec {lockwright} \"$@\"\n"),
    );
    Command::new(common::project().join("scripts/release"))
        .args(["--out", out.as_str()])
        .arg(format!("--program={}={program}", triple()))
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .run()
        .ok();
}

#[test]
fn a_release_has_everything_and_the_same_bytes_each_time() {
    let temp = Temp::new();
    let (one, other) = (temp.join("one"), temp.join("other"));
    release(&temp, &one);
    release(&temp, &other);
    let sums = fs::read_to_string(one.join("SHA256SUMS")).unwrap();
    assert_eq!(sums, fs::read_to_string(other.join("SHA256SUMS")).unwrap());
    Command::new("sha256sum")
        .args(["--check", "--strict", "SHA256SUMS"])
        .current_dir(&one)
        .run()
        .ok();

    let folder = format!("lockwright-{VERSION}-{}", triple());
    let archive = one.join(format!("{folder}.tar.gz"));
    common::run(
        "tar",
        ["-xzf", archive.as_str(), "-C", temp.path().as_str()],
    );
    let unpacked = temp.join(&folder);
    let program = unpacked.join("lockwright");
    assert_eq!(
        common::run(&program, ["--version"]),
        format!("lockwright {VERSION}\n")
    );
    for file in [
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "README.md",
        "man/man1/lockwright.1",
        "completions/lockwright.bash",
        "completions/_lockwright",
        "completions/lockwright.fish",
    ] {
        assert!(unpacked.join(file).is_file(), "{file}");
    }
    // CycloneDX's own validator, and what it cannot know: what is in Cargo.lock, and nothing that only tests need.
    let bill = unpacked.join("sbom.cdx.json");
    let validate = "import sys\n\
        from cyclonedx.schema import SchemaVersion\n\
        from cyclonedx.validation.json import JsonStrictValidator\n\
        sys.exit(str(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()) or '') or None)";
    common::run(common::validators(), ["-c", validate, bill.as_str()]);
    let bill = fs::read_to_string(bill).unwrap();
    assert!(bill.contains("\"pkg:cargo/rustls@"));
    assert!(!bill.contains("\"pkg:cargo/proptest@") && !bill.contains(common::project().as_str()));

    // Nothing is made over what is there.
    let again = Command::new(common::project().join("scripts/release"))
        .args(["--out", one.as_str(), "--program=x=/bin/true"])
        .run();
    assert!(again.exit(1).stderr.contains("is there already"));
}

#[test]
fn npx_runs_the_program_of_this_machine_and_says_when_there_is_none() {
    let temp = Temp::new();
    let out = temp.join("out");
    release(&temp, &out);
    let cpu = match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let own = out.join(format!("npm/lockwright-linux-{cpu}-{VERSION}.tgz"));
    let chooser = out.join(format!("npm/lockwright-{VERSION}.tgz"));
    temp.write("project/package.json", "{}");
    let npm = |args: &[&str]| {
        Command::new(common::npm())
            .args(args)
            .args(["--offline", "--no-audit", "--no-fund", "--ignore-scripts"])
            .env("HOME", temp.join("home"))
            .current_dir(temp.join("project"))
            .run()
    };
    npm(&["install", own.as_str(), chooser.as_str()]).ok();
    let npx = |args: &[&str]| {
        Command::new(common::npx())
            .args(["--offline", "--no-install", "lockwright"])
            .args(args)
            .env("HOME", temp.join("home"))
            .current_dir(temp.join("project"))
            .run()
    };
    assert_eq!(
        npx(&["--version"]).ok().stdout,
        format!("lockwright {VERSION}\n")
    );
    // Its exit code is the program's.
    npx(&["plan", "nowhere"]).exit(1);
    npx(&["--no-such-flag"]).exit(2);

    fs::remove_dir_all(temp.join("project/node_modules/@lockwright")).unwrap();
    let said = npx(&["--version"]).exit(1).stderr;
    assert!(
        said.contains(&format!("@lockwright/linux-{cpu} is not installed")),
        "{said}"
    );
}

#[test]
fn bash_completes_commands_options_and_names() {
    let temp = Temp::new();
    let script = common::lockwright(&temp)
        .args(["completions", "bash"])
        .run()
        .ok()
        .stdout;
    temp.write("script", script);
    // The name in the script is found on the PATH.
    fs::create_dir(temp.join("bin")).unwrap();
    let link = temp.join("bin/lockwright");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lockwright"), link).unwrap();
    let complete = |folder: &str, words: &[&str]| {
        let ask = "source \"$0\"; COMP_WORDS=(lockwright \"$@\"); COMP_CWORD=$#; COMP_TYPE=9\n\
            _clap_complete_lockwright lockwright \"${COMP_WORDS[-1]}\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let ran = Command::new("bash")
            .args(["-c", ask, temp.join("script").as_str()])
            .args(words)
            .env("PATH", format!("{}:/usr/bin:/bin", temp.join("bin")))
            .current_dir(common::fixture(folder))
            .run()
            .ok();
        let lines = ran.stdout.lines().map(|line| line.trim().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert!(complete("default", &["sy"]).contains(&"sync".to_owned()));
    assert!(complete("default", &["sync", "--no-d"]).contains(&"--no-dev".to_owned()));
    assert_eq!(complete("default", &["sync", "--extra", ""]), ["loud"]);
    assert!(complete("default", &["sync", "--group", ""]).contains(&"dev".to_owned()));
    assert_eq!(complete("standin", &["build", "de"]), ["deps"]);
    // A folder without a lock has no names, and that is no error.
    assert_eq!(complete("standin/assets", &["sync", "--extra", ""]), [""]);
}

#[test]
fn every_command_has_a_manual_page() {
    let temp = Temp::new();
    common::lockwright(&temp)
        .args(["man", "--out", "man"])
        .run()
        .ok();
    let help = common::lockwright(&temp).arg("--help").run().ok().stdout;
    let listed = help
        .split("Commands:")
        .nth(1)
        .unwrap()
        .split("Options:")
        .next()
        .unwrap();
    let names = listed
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<&str> = names
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(
        names.contains(&"sync") && !names.contains(&"__sandbox"),
        "{names:?}"
    );
    for name in names.into_iter().filter(|name| *name != "help") {
        let page = fs::read_to_string(temp.join(format!("man/lockwright-{name}.1"))).unwrap();
        assert!(
            page.contains(".TH") && page.contains(".SH OPTIONS"),
            "{name}"
        );
        assert!(!page.contains(temp.path().as_str()), "{name}");
    }
    assert!(!temp.join("man/lockwright-__sandbox.1").exists());
    // groff has nothing to say against one.
    let page = temp.join("man/lockwright-sync.1");
    let ran = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-z", page.as_str()])
        .run()
        .ok();
    assert_eq!(ran.stderr, "");
}

#[test]
fn short_help_fits_a_screen_and_long_help_has_all() {
    let temp = Temp::new();
    let help = |flag: &str| {
        common::lockwright(&temp)
            .args(["sync", flag])
            .run()
            .ok()
            .stdout
    };
    let (short, long) = (help("-h"), help("--help"));
    let options = |text: &str| {
        text.lines()
            .filter(|line| line.trim_start().starts_with('-'))
            .count()
    };
    assert!((15..=26).contains(&options(&short)), "{short}");
    assert!(
        short.lines().count() <= 70,
        "{} lines:\n{short}",
        short.lines().count()
    );
    assert!(short.contains("see more with '--help'"), "{short}");
    assert!(
        options(&long) > 60 && long.contains("--no-install-package"),
        "{long}"
    );
}

#[test]
fn a_log_has_no_colours_but_on_a_screen_or_by_force() {
    let temp = Temp::new();
    let said = |force: bool| {
        let mut fetch = common::lockwright(&temp);
        fetch
            .args(["fetch", "-vv", "--retries", "0"])
            .args([
                "--mirror",
                "https://files.pypi.example/=http://127.0.0.1:1/",
            ])
            .arg(common::fixture("bump").join("new"))
            .env("CURL_CA_BUNDLE", "/nowhere")
            .env_remove("NO_COLOR");
        if force {
            fetch.env("CLICOLOR_FORCE", "1");
        }
        let said = fetch.run().exit(1).stderr;
        let log = said
            .lines()
            .find(|line| line.contains("certificate authorities:"));
        let error = said.lines().find(|line| line.contains("error:"));
        [log.unwrap().to_owned(), error.unwrap().to_owned()]
    };
    assert!(
        said(false).iter().all(|line| !line.contains('\u{1b}')),
        "{:?}",
        said(false)
    );
    assert!(
        said(true).iter().all(|line| line.contains("\u{1b}[")),
        "{:?}",
        said(true)
    );
}

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

fn path_with_lockwright() -> String {
    let own = Utf8Path::new(env!("CARGO_BIN_EXE_lockwright"))
        .parent()
        .unwrap();
    format!("{own}:{}", std::env::var("PATH").unwrap())
}

#[test]
fn the_hook_for_pre_commit_stops_an_alarm() {
    let temp = Temp::new();
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    let hook = || {
        Command::new(common::project().join("packaging/pre-commit"))
            .args(["uv.lock", "new/uv.lock"])
            .env("PATH", path_with_lockwright())
            .current_dir(&repo)
            .run()
    };
    assert!(hook().exit(1).stdout.contains("alarm"));
    fs::copy(&old, repo.join("uv.lock")).unwrap();
    hook().ok();
}

/// The shell blocks of a composite action, by the names of their steps.
fn steps(action: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for step in action.split("\n    - name: ").skip(1) {
        let name = step.lines().next().unwrap().to_owned();
        if let Some((_, block)) = step.split_once("      run: |\n") {
            let lines = block
                .lines()
                .map(|line| line.strip_prefix("        ").unwrap_or(line));
            all.push((name, lines.collect::<Vec<_>>().join("\n")));
        }
    }
    all
}

#[test]
fn the_github_action_reviews_a_pull_request() {
    let temp = Temp::new();
    let action = common::project().join("packaging/github-action/action.yml");
    let steps = steps(&fs::read_to_string(action).unwrap());
    let names: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Install lockwright", "Assemble", "Review"]);
    for (name, script) in &steps {
        let file = temp.write("step", script);
        let ran = Command::new("bash").args(["-n", file.as_str()]).run();
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{name}");
    }
    let script = &steps[2].1;
    // GitHub's own program, which writes down what it is asked.
    let gh = "#!/bin/sh\nfor arg; do case $arg in body=@*) cp \"${arg#body=@}\" \"$SAID\";; esac; done\necho \"$@\" >> \"$SAID.args\"\n";
    program(&temp, "bin/gh", gh);
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    let review = |fail_on: &str| {
        Command::new("bash")
            .args(["-eo", "pipefail", "-c", script])
            .env(
                "PATH",
                format!("{}:{}", temp.join("bin"), path_with_lockwright()),
            )
            .envs([
                ("REVIEW", "uv.lock"),
                ("ARGUMENTS", "--as-of 2026-11-30"),
                ("BASE", "HEAD"),
                ("FAIL_ON", fail_on),
                ("NUMBER", "7"),
            ])
            .env("GITHUB_REPOSITORY", "owner/name")
            .env("REPORT", temp.join("report.md"))
            .env("GITHUB_OUTPUT", temp.join("output"))
            .env("GITHUB_STEP_SUMMARY", temp.join("summary"))
            .env("SAID", temp.join("said"))
            .current_dir(&repo)
            .run()
    };
    review("alarm").exit(1);
    let said = fs::read_to_string(temp.join("said")).unwrap();
    assert!(said.starts_with("<!-- lockwright -->\n"), "{said}");
    assert!(said.contains("alarm"), "{said}");
    let asked = fs::read_to_string(temp.join("said.args")).unwrap();
    assert!(
        asked.contains("repos/owner/name/issues/7/comments"),
        "{asked}"
    );
    review("none").ok();
    assert!(
        fs::read_to_string(temp.join("output"))
            .unwrap()
            .contains("changed=true")
    );

    fs::copy(&old, repo.join("uv.lock")).unwrap();
    review("alarm").ok();
    let output = fs::read_to_string(temp.join("output")).unwrap();
    assert!(output.ends_with("changed=false\n"), "{output}");
}

#[test]
fn the_gitlab_template_keeps_one_note_on_a_merge_request() {
    let temp = Temp::new();
    let template = common::project().join("packaging/gitlab/lockwright.yml");
    let template = fs::read_to_string(template).unwrap();
    let template: serde_json::Value = serde_saphyr::from_str(&template).unwrap();
    let job = &template[".lockwright-review"];
    let lines = job["script"].as_array().unwrap().iter();
    let script: Vec<&str> = lines.map(|line| line.as_str().unwrap()).collect();
    let script = script.join("\n");
    // What asks GitLab: it has a note already, and writes down what else it is asked.
    let curl =
        "#!/bin/sh\necho \"$@\" >> \"$SAID\"\ncase $* in *--output*) ;; *) cat \"$NOTES\";; esac\n";
    program(&temp, "bin/curl", curl);
    let notes = r#"[{"id": 4, "body": "fine"}, {"id": 5, "body": "<!-- lockwright -->\nold"}]"#;
    let [old, new] = forged(&temp);
    let repo = bumped(&temp, &old, &new);
    let review = |notes: &str| {
        let path = format!("{}:{}", temp.join("bin"), path_with_lockwright());
        let ran = Command::new("bash")
            .args(["-eo", "pipefail", "-c", &script])
            .envs([
                ("PATH", path.as_str()),
                ("HOME", temp.path().as_str()),
                ("SAID", temp.join("said").as_str()),
                ("NOTES", temp.write("notes", notes).as_str()),
                ("CI_PROJECT_DIR", repo.as_str()),
                ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "HEAD"),
                ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
                ("CI_PROJECT_ID", "1"),
                ("CI_MERGE_REQUEST_IID", "7"),
                ("LOCKWRIGHT_GITLAB_TOKEN", "token"),
                ("LOCKWRIGHT_REVIEW", "."),
                ("LOCKWRIGHT_FAIL_ON", "alarm"),
                ("LOCKWRIGHT_REVIEW_ARGUMENTS", "--as-of 2026-11-30"),
            ])
            .current_dir(&repo)
            .run();
        let said = fs::read_to_string(temp.join("said")).unwrap();
        fs::remove_file(temp.join("said")).unwrap();
        (ran.exit(1), said)
    };
    let (ran, said) = review(notes);
    assert!(
        said.ends_with(
            "--request PUT https://gitlab.example/api/v4/projects/1/merge_requests/7/notes/5\n"
        ),
        "{ran}{said}"
    );
    let report = fs::read_to_string(repo.join("lockwright-review.md")).unwrap();
    assert!(report.starts_with("<!-- lockwright -->\n"), "{report}");
    let (ran, said) = review("[]");
    assert!(
        said.ends_with(
            "--request POST https://gitlab.example/api/v4/projects/1/merge_requests/7/notes\n"
        ),
        "{ran}{said}"
    );
}
