//! `lockwright sync` and `plan` as a stranger types them, on the lock that needs no network.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use camino::Utf8Path;

/// A folder of this test's own, with a copy of the default fixture in it.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("lockfile-fixtures/default");
        let copied = Command::new("cp")
            .arg("-r")
            .arg(fixture)
            .arg(folder.path().join("p"))
            .status();
        assert!(copied.unwrap().success());
        Self { folder }
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("p")
    }

    fn venv(&self) -> PathBuf {
        self.project().join(".venv")
    }

    fn run(&self, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_lockwright"))
            .args(args)
            .current_dir(self.project())
            .env("LOCKWRIGHT_STORE", self.folder.path().join("store"))
            .env("HOME", self.folder.path())
            .env_remove("UV_PROJECT_ENVIRONMENT")
            .env_remove("UV_PYTHON")
            .output()
            .unwrap()
    }

    /// Runs a command that must succeed; standard output and error.
    fn ok(&self, args: &[&str]) -> (String, String) {
        let output = self.run(args);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{args:?}: {err}");
        (out, err)
    }

    /// Runs a command that must fail with exit code 1; its standard error, with this machine's
    /// paths taken out.
    fn fails(&self, args: &[&str]) -> String {
        let output = self.run(args);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{args:?}: {}",
            text(&output.stderr)
        );
        assert_eq!(
            text(&output.stdout),
            "",
            "a refusal belongs on standard error"
        );
        text(&output.stderr).replace(self.folder.path().to_str().unwrap(), "[tmp]")
    }

    fn edit_lock(&self, from: &str, to: &str) {
        let lock = self.project().join("uv.lock");
        let text = std::fs::read_to_string(&lock).unwrap();
        assert!(text.contains(from), "{from} is not in the lock");
        std::fs::write(lock, text.replace(from, to)).unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Every path below a folder with what is there, in order.
fn listing(folder: &Path) -> Vec<(String, String)> {
    fn walk(top: &Path, folder: &Path, all: &mut Vec<(String, String)>) {
        use std::os::unix::fs::PermissionsExt;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(top).unwrap().to_str().unwrap().to_owned();
            let mode = meta.permissions().mode() & 0o7777;
            let what = if meta.is_symlink() {
                format!("-> {}", std::fs::read_link(&path).unwrap().display())
            } else if meta.is_dir() {
                walk(top, &path, all);
                format!("{mode:o}/")
            } else {
                format!("{mode:o} {}", text(&std::fs::read(&path).unwrap()))
            };
            all.push((name, what));
        }
    }
    let mut all = Vec::new();
    walk(folder, folder, &mut all);
    all.sort();
    all
}

const FOREIGN: [&str; 4] = [
    "--python-version",
    "3.14",
    "--python-platform",
    "aarch64-unknown-linux-gnu",
];

#[test]
fn a_lock_becomes_an_environment_that_works() {
    let scratch = Scratch::new();
    let (_, said) = scratch.ok(&["sync", "--offline", "--extra", "loud"]);
    assert!(said.contains("Placed 4 packages"), "{said}");
    let greet = Command::new(scratch.venv().join("bin/greet"))
        .output()
        .unwrap();
    assert!(greet.status.success(), "{}", text(&greet.stderr));
    let imported = Command::new(scratch.venv().join("bin/python"))
        .args([
            "-c",
            "import greeting, sys; print(sys.prefix != sys.base_prefix)",
        ])
        .output()
        .unwrap();
    assert_eq!(
        text(&imported.stdout),
        "True\n",
        "{}",
        text(&imported.stderr)
    );
}

#[test]
fn nothing_is_done_twice_and_damage_is_mended() {
    let scratch = Scratch::new();
    scratch.ok(&["sync", "--offline"]);
    let before = listing(&scratch.venv());
    let (_, said) = scratch.ok(&["sync", "--offline"]);
    assert!(said.contains("is up to date"), "{said}");

    let site = std::fs::read_dir(scratch.venv().join("lib"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let dist_info = site.path().join("site-packages/greeting-1.2.0.dist-info");
    std::fs::remove_dir_all(dist_info).unwrap();
    scratch.ok(&["sync", "--offline"]);
    assert_eq!(listing(&scratch.venv()), before);

    // Another selection is another environment: what it does not name is gone.
    let (_, said) = scratch.ok(&["sync", "--offline", "--no-dev"]);
    assert!(said.contains("Placed 2 packages"), "{said}");
}

#[test]
fn from_the_second_time_on_wheels_come_from_what_was_kept_uncompressed() {
    let scratch = Scratch::new();
    let contents = scratch.folder.path().join("store/v1/contents");
    let files = || {
        let folders = std::fs::read_dir(&contents).into_iter().flatten();
        let files = folders.map(|folder| folder.unwrap().path().join("bytes"));
        files.filter(|file| file.exists()).collect::<Vec<_>>()
    };
    let kept = || files().len();
    scratch.ok(&["sync", "--offline"]);
    let before = listing(&scratch.venv());
    assert_eq!(kept(), 0, "what is used once is kept as it came");
    let again = || {
        std::fs::remove_dir_all(scratch.venv()).unwrap();
        let (_, said) = scratch.ok(&["sync", "--offline"]);
        assert_eq!(listing(&scratch.venv()), before);
        said
    };
    again();
    let count = kept();
    assert!(count > 0);
    again();
    for file in files() {
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[100] ^= 1;
        std::fs::remove_file(&file).unwrap();
        std::fs::write(&file, bytes).unwrap();
    }
    let said = again();
    assert_eq!(kept(), count);
    assert!(said.contains("made again"), "{said}");
}

#[test]
fn wheels_are_shared_with_the_store_and_an_edit_is_noticed() {
    use std::os::unix::fs::MetadataExt as _;
    let scratch = Scratch::new();
    scratch.ok(&["sync", "--offline"]);
    let copied = listing(&scratch.venv());
    for mode in ["auto", "hardlink", "reflink"] {
        let sync = || {
            std::fs::remove_dir_all(scratch.venv()).unwrap();
            scratch.ok(&["sync", "--offline", "--link-mode", mode]);
            assert_eq!(listing(&scratch.venv()), copied, "{mode}");
        };
        // Once while they are extracted, once from what is.
        sync();
        sync();
        let lib = scratch.venv().join("lib").read_dir().unwrap().next();
        let site = lib.unwrap().unwrap().path().join("site-packages");
        let module = site.join("greeting/__init__.py");
        let links = std::fs::metadata(&module).unwrap().nlink();
        assert_eq!(links, if mode == "hardlink" { 2 } else { 1 });
        let record = site.join("greeting-1.2.0.dist-info/RECORD");
        assert_eq!(std::fs::metadata(record).unwrap().nlink(), 1);
        // It is the store's file, too; the next environment does not have the edit, whichever file it was: some are placed
        // before it is noticed.
        for (path, _) in copied.iter().filter(|_| mode == "hardlink") {
            let path = scratch.venv().join(path);
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_file() && meta.nlink() > 1 {
                std::fs::write(&path, "edited").unwrap();
                sync();
            }
        }
        std::fs::write(&module, "edited").unwrap();
        sync();
    }
    // Nor is one missed that somebody has taken from the store.
    let kept = scratch.folder.path().join("store/v1/contents");
    let files = listing(&kept).into_iter().map(|(path, _)| kept.join(path));
    let files = files.filter(|path| path.to_str().unwrap().contains("/files/") && path.is_file());
    for file in files.collect::<Vec<_>>() {
        std::fs::remove_file(&file).unwrap();
        std::fs::remove_dir_all(scratch.venv()).unwrap();
        scratch.ok(&["sync", "--offline", "--link-mode", "hardlink"]);
        assert_eq!(listing(&scratch.venv()), copied, "{}", file.display());
    }
}

#[test]
fn what_disks_can_share_is_what_cp_can() {
    use lockwright::files::tree::LinkMode;
    let folder = tempfile::tempdir().unwrap();
    let from = Utf8Path::from_path(folder.path()).unwrap();
    std::fs::write(from.join("file"), "bytes").unwrap();
    for to in [from, Utf8Path::new("/dev/shm"), Utf8Path::new("/proc")] {
        let place = to.join(format!("lockwright-test-clone-{}", std::process::id()));
        let cp = Command::new("cp")
            .args([
                "--reflink=always",
                from.join("file").as_str(),
                place.as_str(),
            ])
            .output();
        let _ = std::fs::remove_file(&place);
        let expected = if cp.unwrap().status.success() {
            LinkMode::Reflink
        } else {
            LinkMode::Copy
        };
        // A folder that is not there yet will be on the disk of the one above.
        assert_eq!(LinkMode::by_disks(from, &to.join("a/b")), expected, "{to}");
    }
}

#[test]
fn the_same_bytes_come_out_whatever_the_conditions() {
    let (one, other) = (Scratch::new(), Scratch::new());
    let args = |scratch: &Scratch| -> Vec<String> {
        let mut args: Vec<String> = ["sync", "--offline", "--relocatable", "--out", "o"]
            .map(String::from)
            .into();
        args.extend(FOREIGN.map(String::from));
        args[4] = scratch.folder.path().join("o").to_str().unwrap().to_owned();
        args
    };
    let run = |scratch: &Scratch, threads: &str, umask: &str| {
        let words: Vec<String> = args(scratch)
            .iter()
            .map(|word| format!("'{word}'"))
            .collect();
        let status = Command::new("sh")
            .arg("-c")
            .arg(format!(
                "umask {umask}; exec '{}' {}",
                env!("CARGO_BIN_EXE_lockwright"),
                words.join(" ")
            ))
            .current_dir(scratch.project())
            .env("LOCKWRIGHT_STORE", scratch.folder.path().join("store"))
            .env("RAYON_NUM_THREADS", threads)
            .env("LC_ALL", if threads == "1" { "C" } else { "tr_TR.UTF-8" })
            .status()
            .unwrap();
        assert!(status.success());
        let mut all = listing(&scratch.folder.path().join("o"));
        // What records the folder itself is not part of the comparison.
        all.retain(|(name, _)| !name.starts_with(".lockwright"));
        all
    };
    assert_eq!(run(&one, "1", "077"), run(&other, "8", "000"));
}

#[test]
fn a_target_without_an_interpreter_gets_its_own_wheels() {
    let scratch = Scratch::new();
    let (out, _) = scratch.ok(&[&["plan", "--json", "--extra", "loud"], &FOREIGN[..]].concat());
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    let files: Vec<&str> = plan["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|package| package["install"]["artifact"]["file_name"].as_str())
        .collect();
    assert!(
        files.contains(&"greeting_shout-0.3.0-py3-none-manylinux_2_28_aarch64.whl"),
        "{files:?}"
    );
    let (_, said) = scratch.ok(&[&["sync", "--offline", "--extra", "loud"], &FOREIGN[..]].concat());
    assert!(said.contains("Placed 4 packages"), "{said}");
    let link = std::fs::read_link(scratch.venv().join("bin/python")).unwrap();
    assert_eq!(link, Path::new("/usr/bin/python3.14"));
}

/// On Windows each script is a program, which Python on Linux runs as well: what is behind it is a zip archive.
#[test]
fn an_environment_for_windows_has_a_program_for_each_script() {
    let scratch = Scratch::new();
    let target = ["--python-version", "3.14.2", "--python-platform", "windows"];
    let sync = [&["sync", "--offline", "--extra", "loud"], &target[..]].concat();
    assert!(scratch.fails(&sync).contains("--interpreter 'C:"));
    let there = ["--interpreter", r"C:\Python 314\python.exe"];
    let sync = [&sync[..], &there].concat();
    scratch.ok(&sync);
    let (venv, scripts) = (scratch.venv(), scratch.venv().join("Scripts"));
    let mut names: Vec<String> = std::fs::read_dir(&scripts)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let own = [
        "activate",
        "activate.bat",
        "activate.ps1",
        "activate_this.py",
        "deactivate.bat",
    ];
    let programs = [
        "greet.exe",
        "greeting-words.exe",
        "python.exe",
        "pythonw.exe",
    ];
    assert_eq!(names, [&own[..], &programs].concat());
    let config = std::fs::read_to_string(venv.join("pyvenv.cfg")).unwrap();
    assert!(config.contains("home = C:\\Python 314\n"), "{config}");
    let launcher = std::fs::read(scripts.join("python.exe")).unwrap();
    let greet = std::fs::read(scripts.join("greet.exe")).unwrap();
    assert!(launcher.starts_with(b"MZ") && greet.starts_with(&launcher));
    let run = |script: &str| {
        let mut command = Command::new(common::python());
        let code = "import runpy, sys; sys.prefix = sys.argv.pop(1); runpy.run_path(sys.argv[1], run_name='__main__')";
        command
            .args(["-c", code])
            .arg(&venv)
            .arg(scripts.join(script));
        command.env("PYTHONPATH", venv.join("Lib/site-packages"));
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{}", text(&ran.stderr));
        text(&ran.stdout)
    };
    let said = run("greet.exe");
    run("greeting-words.exe");
    scratch.ok(&[
        &["verify", ".venv", "--lock", ".", "--extra", "loud"],
        &target[..],
    ]
    .concat());
    let (_, again) = scratch.ok(&sync);
    assert!(again.contains("is up to date"), "{again}");
    let here = ["sync", "--offline", "--extra", "loud", "--clear"];
    scratch.ok(&here);
    let greet = Command::new(scratch.venv().join("bin/greet")).output();
    assert_eq!(text(&greet.unwrap().stdout), said);
}

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

#[test]
fn store_list_counts_what_is_kept_beside_artifacts() {
    let scratch = Scratch::new();
    for _ in 0..2 {
        let _ = std::fs::remove_dir_all(scratch.venv());
        scratch.ok(&["sync", "--offline", "--link-mode", "hardlink"]);
    }
    let list = String::from_utf8(scratch.run(&["store", "list", "--json"]).stdout).unwrap();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let said = list["contents_bytes"].as_u64().unwrap();
    let found = Command::new("find")
        .arg(scratch.folder.path().join("store/v1/contents"))
        .args(["-type", "f", "-printf", "%s\\n"])
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    let found: u64 = found.lines().map(|size| size.parse::<u64>().unwrap()).sum();
    assert_eq!(said, found);
    assert!(said > 0);
    let text = String::from_utf8(scratch.run(&["store", "list"]).stdout).unwrap();
    assert!(
        text.contains("of what is in them, ready to be placed, in"),
        "{text}"
    );
}

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
    let temp = common::Temp::new();
    let help = |program: camino::Utf8PathBuf, args: [&str; 2]| {
        let output = Command::new(program)
            .args(args)
            .env("HOME", temp.path())
            .output();
        text(&output.unwrap().stdout)
    };
    let uv = help(common::uv(), ["sync", "--help"]);
    let npm = help(common::npm(), ["ci", "--help"]);
    let docs = std::fs::read_to_string(common::project().join("docs/words.md")).unwrap();
    for (help, at_least) in [(&uv, 90), (&npm, 20)] {
        let words = words_of(help);
        assert!(words.len() >= at_least, "{words:?}");
        for (word, takes_a_value) in words {
            if ["--help", "-h", "--version", "-V"].contains(&word.as_str()) {
                continue;
            }
            let mut ours = common::lockwright(&temp);
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
    use common::{Run as _, Temp, lockwright};
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
