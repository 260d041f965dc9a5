//! Sources that become wheels: `lockwright sync` on sdists, folders and commits.
//!
//! The back ends are the real ones, from the folder that `scripts/test-env` fills; the interpreter is
//! CPython 3.14 of the forky root, where a C compiler is.

#![allow(clippy::unwrap_used)]

#[path = "../common/mod.rs"]
mod common;
mod containment;
mod first;
mod folders;
mod hostile;
mod lock;
mod plain;
mod scm;
mod signals;

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::sources::{build_lock, is_empty, lock_of_sdists, sdist};
use common::{Ran, Run, Temp, in_forky, lockwright_in_forky};

/// A project with a module in C, on the plainest of all back ends.
const NATIVE: [(&str, &str); 3] = [
    (
        "pyproject.toml",
        "[build-system]\nrequires = ['setuptools>=80']\nbuild-backend = 'setuptools.build_meta'\n\
         [project]\nname = 'native'\nversion = '1.0'\n",
    ),
    (
        "setup.py",
        "from setuptools import Extension, setup\nsetup(ext_modules=[Extension('native', ['native.c'])])\n",
    ),
    (
        "native.c",
        "#include <Python.h>\n\
         #ifndef ANSWER\n#define ANSWER 42\n#endif\n\
         static PyObject *answer(PyObject *s, PyObject *a) { return PyLong_FromLong(ANSWER); }\n\
         static PyObject *where(PyObject *s, PyObject *a) { return PyUnicode_FromString(__FILE__); }\n\
         static PyMethodDef all[] = {{\"answer\", answer, METH_NOARGS, 0}, {\"where\", where, METH_NOARGS, 0}, {0}};\n\
         static struct PyModuleDef def = {PyModuleDef_HEAD_INIT, \"native\", 0, -1, all};\n\
         PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&def); }\n",
    ),
];

/// `lockwright sync` of `app`, with a `$TMPDIR` of its own.
fn sync(temp: &Temp, args: &[&str]) -> Ran {
    fs::create_dir_all(temp.join("tmp")).unwrap();
    lockwright_in_forky(temp)
        .args(["sync", "app", "--python", "/usr/bin/python3.14"])
        .args(args)
        .env("TMPDIR", temp.join("tmp"))
        .run()
}

/// Runs Python code in the environment that was made.
fn python(environment: &Utf8Path, code: &str) -> String {
    let ran = Command::new(in_forky())
        .arg(environment.join("bin/python"))
        .args(["-c", code])
        .run();
    ran.ok().stdout
}

/// `setup.py` of a pure project, which does something first.
fn pure(setup: &str) -> Vec<(&'static str, String)> {
    vec![
        (
            "pyproject.toml",
            "[build-system]\nrequires = ['setuptools']\n".into(),
        ),
        (
            "setup.py",
            format!(
                "{setup}\nfrom setuptools import setup\nsetup(name='pure', version='1.0', py_modules=['pure'])\n"
            ),
        ),
        ("pure.py", "VALUE = 1\n".into()),
    ]
}

fn pure_sdist(temp: &Temp, setup: &str) {
    let files = pure(setup);
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    sdist(temp, "pure", "1.0", &files);
    lock_of_sdists(temp, "app", &[("pure", "1.0")]);
}

fn built_wheels(temp: &Temp) -> Vec<(String, Vec<u8>)> {
    let listed = lockwright_in_forky(temp)
        .args(["store", "list", "--json"])
        .run()
        .ok();
    let mut found: Vec<(String, Vec<u8>)> = Vec::new();
    for entry in listed.json()["artifacts"].as_array().unwrap() {
        let source = entry["source"].as_str().unwrap_or_default();
        if source.starts_with("built from") {
            let hex = entry["digest"]
                .as_str()
                .unwrap()
                .trim_start_matches("sha256:");
            let path = temp.join("store/v1/files/sha256").join(&hex[..2]).join(hex);
            let name = entry["file_name"].as_str().unwrap().to_owned();
            found.push((name, fs::read(path).unwrap()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_wheel_is_built_once_and_found_again_without_anything_it_was_made_with() {
    let temp = Temp::new();
    sdist(&temp, "native", "1.0", &NATIVE);
    lock_of_sdists(&temp, "app", &[("native", "1.0")]);
    let lock = build_lock(&temp, "native = ['setuptools']", "");
    let builds = [
        "--build-lock",
        lock.as_str(),
        "--build-env",
        "native:CFLAGS=-DANSWER=43",
    ];
    let ran = sync(&temp, &[&builds[..], &["--sandbox=require"]].concat()).ok();
    assert!(ran.stderr.contains("Building native 1.0"), "{ran}");
    assert!(ran.stderr.contains("Built native 1.0 in"), "{ran}");
    assert!(
        ran.stderr.contains("Placed 1 package, 1 of them built") || ran.stderr.contains("1 built"),
        "{ran}"
    );
    let code = "import native; print(native.answer(), native.where())";
    // The path of the build is the same on every machine.
    assert_eq!(python(&temp.join("app/.venv"), code), "43 native.c\n");
    assert!(
        is_empty(&temp.join("tmp")),
        "something was left in the temporary folder"
    );

    let ran = sync(&temp, &builds).ok();
    assert!(ran.stderr.contains("is up to date"), "{ran}");
    for (again, is_built) in [
        ("--reinstall", true),
        ("--clear", true),
        ("--reinstall-package=Native", true),
        ("--reinstall-package=other", false),
    ] {
        let ran = sync(&temp, &[&builds[..], &[again]].concat()).ok();
        assert!(ran.stderr.contains("Placed 1 package"), "{ran}");
        assert_eq!(
            ran.stderr.contains("Building native 1.0"),
            is_built,
            "{ran}"
        );
    }

    // The store has the wheel: neither the sdist nor a build requirement nor a compiler is asked for.
    fs::remove_dir_all(temp.join("dist")).unwrap();
    let emptied = fs::read_to_string(&lock)
        .unwrap()
        .replace(common::backends().as_str(), "/nowhere");
    fs::write(&lock, emptied).unwrap();
    let digests = temp.join("store/v1/files/sha256");
    let wheels = common::backends().read_dir_utf8().unwrap();
    let wheels = wheels.map(|entry| entry.unwrap().into_path());
    for wheel in wheels.filter(|path| path.extension() == Some("whl")) {
        let bytes = fs::read(wheel).unwrap();
        let hex = lockwright::core::digest::Digest::of(
            lockwright::core::digest::Algorithm::Sha256,
            &bytes,
        )
        .hex();
        let _ = fs::remove_file(digests.join(&hex[..2]).join(&hex));
    }
    let again = [&builds[..], &["--offline", "--out", "other"]].concat();
    let ran = sync(&temp, &again).ok();
    assert!(ran.stderr.contains("1 from the store"), "{ran}");
    assert!(!ran.stderr.contains("Building"), "{ran}");
    assert_eq!(python(&temp.join("other"), code), "43 native.c\n");

    // Another environment is another wheel.
    let ran = sync(&temp, &["--build-lock", lock.as_str(), "--offline"]).exit(1);
    assert!(ran.stderr.contains("setuptools"), "{ran}");
}

#[test]
fn the_same_bytes_come_out_wherever_and_whenever() {
    let built = |prefix: &str, mode: &str, umask: &str, zone: &str| {
        let parent = Temp::new();
        let parent_of_it = parent.join(prefix);
        fs::create_dir_all(&parent_of_it).unwrap();
        let temp = Temp::below(&parent_of_it);
        sdist(&temp, "native", "1.0", &NATIVE);
        lock_of_sdists(&temp, "app", &[("native", "1.0")]);
        let lock = build_lock(&temp, "native = ['setuptools', 'wheel']", "");
        fs::create_dir_all(temp.join("tmp")).unwrap();
        let sync = format!(
            "umask {umask}; exec \"$@\" sync app --python /usr/bin/python3.14 --build-lock {lock} \
             --sandbox={mode}"
        );
        let program = lockwright_in_forky(&temp);
        let mut command = Command::new("sh");
        command
            .args(["-c", &sync, "sh"])
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
            .current_dir(temp.path())
            .env("TMPDIR", temp.join("tmp"))
            .env("TZ", zone)
            .env("SOURCE_DATE_EPOCH", "1")
            .run()
            .ok();
        built_wheels(&temp)
    };
    let one = built("a", "require", "022", "UTC");
    assert_eq!(one.len(), 1);
    assert_eq!(
        one,
        built("a-folder-of-a-longer-name", "require", "077", "Asia/Tokyo")
    );
    let free = built("b", "off", "022", "UTC");
    assert_eq!(
        free,
        built(
            "another-folder-of-a-longer-name",
            "off",
            "077",
            "America/Lima"
        )
    );
}

#[test]
fn a_build_sees_nothing_of_the_machine() {
    let temp = Temp::new();
    let secret = temp.write("home/.netrc", "machine x login y password z");
    pure_sdist(
        &temp,
        &format!(
            r#"
import json, os, socket, pathlib
seen = {{}}
def attempt(name, do):
    try:
        seen[name] = do() or "done"
    except OSError as error:
        seen[name] = "refused"
attempt("network", lambda: socket.socket().connect(("127.0.0.1", int(os.environ["PORT"]))))
attempt("interfaces", lambda: [name for _, name in socket.if_nameindex()])
attempt("secret", lambda: open("{secret}").read())
attempt("usr", lambda: open("/usr/planted", "w").write("x"))
attempt("root", lambda: sorted(set(os.listdir("/")) - {{"lib32", "libx32", "nix", "gnu"}}))
attempt("processes", lambda: sorted(int(p) for p in os.listdir("/proc") if p.isdigit())[0])
attempt("mount", lambda: os.chroot("/tmp"))
seen["environment"] = sorted(os.environ)
pathlib.Path("pure.py").write_text("SEEN = " + repr(seen))
"#
        ),
    );
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = format!("pure:PORT={}", listener.local_addr().unwrap().port());
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let ran = lockwright_in_forky(&temp)
        .args([
            "sync",
            "app",
            "--python",
            "/usr/bin/python3.14",
            "--sandbox=require",
        ])
        .args(["--build-lock", lock.as_str(), "--build-env", &port])
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .run();
    ran.ok();
    let seen = python(
        &temp.join("app/.venv"),
        "import json, pure; print(json.dumps(pure.SEEN, indent=1))",
    );
    insta::assert_snapshot!(seen);
    assert!(listener.set_nonblocking(true).is_ok() && listener.accept().is_err());
}

#[test]
fn where_the_kernel_gives_no_namespaces_it_is_said_or_refused() {
    let temp = Temp::new();
    pure_sdist(&temp, "");
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let sync = |mode: &str| {
        let mut command = Command::new(common::on_path("bwrap"));
        command
            .args([
                "--unshare-user",
                "--disable-userns",
                "--uid",
                "1000",
                "--gid",
                "1000",
            ])
            .args([
                "--cap-drop",
                "ALL",
                "--dev-bind",
                "/",
                "/",
                "--chdir",
                temp.path().as_str(),
            ])
            .arg(env!("CARGO_BIN_EXE_lockwright"))
            .args(["sync", "app", "--python", common::python().as_str(), mode])
            .args(["--build-lock", lock.as_str()])
            .args(["--store", temp.join("store").as_str()]);
        command.run()
    };
    let refused = sync("--sandbox=require").exit(1);
    for said in [
        "--sandbox=require asks for more than there is here: builds are contained by Landlock",
        "the kernel gives out no namespaces",
    ] {
        assert!(refused.stderr.contains(said), "{refused}");
    }
    let warned = sync("--sandbox=auto").ok();
    let said = "warning: builds are contained by Landlock and seccomp alone here";
    assert!(warned.stderr.contains(said), "{warned}");
    // The wheel is kept as what it is: not one that was contained.
    let contained = common::lockwright(&temp)
        .args(["sync", "app", "--python", common::python().as_str()])
        .args(["--build-lock", lock.as_str(), "--sandbox=require"])
        .run()
        .ok();
    assert!(
        contained.stderr.contains("Building pure 1.0"),
        "{contained}"
    );
}

#[test]
fn what_is_built_without_isolation_finds_the_environment() {
    let temp = Temp::new();
    pure_sdist(&temp, "import flit_core");
    temp.write(
        "app/pyproject.toml",
        "[project]\nname = 'app'\nversion = '0'\nrequires-python = '>=3.11'\n\
         dependencies = ['pure', 'setuptools==80.3.1', 'flit-core']\n\
         [tool.uv]\nno-build-isolation-package = ['pure']\n\
         [tool.uv.sources]\npure = { path = '../dist/pure-1.0.tar.gz' }\n",
    );
    fs::remove_file(temp.join("app/uv.lock")).unwrap();
    common::sources::uv_lock(&temp, &temp.join("app"));
    sync(&temp, &[]).ok();
    let made = "import importlib.metadata as m; print(m.distribution('pure').read_text('WHEEL').splitlines()[1])";
    let made = python(&temp.join("app/.venv"), made);
    assert_eq!(made, "Generator: setuptools (80.3.1)\n");

    let project = fs::read_to_string(temp.join("app/pyproject.toml")).unwrap();
    temp.write(
        "app/pyproject.toml",
        project.replace("'setuptools==80.3.1', ", ""),
    );
    common::sources::uv_lock(&temp, &temp.join("app"));
    let ran = sync(&temp, &[]).exit(1);
    let said = "`setuptools`, which is not there: it is built without isolation, so add that to what the project depends on";
    assert!(ran.stderr.contains(said), "{ran}");
}

#[test]
fn a_build_cannot_lead_us_elsewhere_by_links() {
    for also in ["", ", '/build/answer.json'"] {
        let temp = Temp::new();
        let secret = temp.write("secret", "what is nobody's business");
        pure_sdist(
            &temp,
            &format!(
                "import atexit, glob, os\n\
                 def swap():\n\
                 \x20   for name in glob.glob('/build/out/*.whl') + ['/build/log', '/build/canonical.whl'{also}]:\n\
                 \x20       if os.path.lexists(name): os.remove(name)\n\
                 \x20       os.symlink('{secret}', name)\n\
                 atexit.register(swap)\n"
            ),
        );
        let lock = build_lock(&temp, "pure = ['setuptools']", "");
        let args = ["--build-lock", lock.as_str(), "--sandbox=require"];
        let ran = sync(&temp, &args).exit(1);
        assert!(!ran.stderr.contains("business"), "{ran}");
        let kept = fs::read_to_string(secret).unwrap();
        assert_eq!(kept, "what is nobody's business");
        assert!(is_empty(&temp.join("tmp")));
    }
}

#[test]
fn what_fails_leaves_a_log_and_nothing_else() {
    let temp = Temp::new();
    pure_sdist(
        &temp,
        "print('about to look'); raise SystemExit('sh: 1: krb5-config: not found')",
    );
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    let log = temp.join("store/logs/pure-1.0.log");
    for words in [
        "pure 1.0 could not be built; its log is",
        log.as_str(),
        "about to look",
        "krb5-config is missing on this machine; on Debian it may be in libkrb5-dev",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {ran}");
    }
    assert!(fs::read_to_string(log).unwrap().contains("about to look"));
    assert!(is_empty(&temp.join("tmp")));
    assert!(!temp.join("app/.venv").exists());

    let ran = sync(&temp, &["--build-lock", lock.as_str(), "--keep-failed"]).exit(1);
    assert!(
        ran.stderr.contains("The folder of the build is kept: "),
        "{ran}"
    );
    assert!(!is_empty(&temp.join("tmp")));
}

#[test]
fn a_build_that_does_not_end_is_ended() {
    let temp = Temp::new();
    pure_sdist(
        &temp,
        "import subprocess, time; subprocess.Popen(['sleep', '98765']); time.sleep(98765)",
    );
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    for mode in ["--sandbox=require", "--sandbox=off"] {
        let args = ["--build-lock", lock.as_str(), "--build-timeout", "1", mode];
        let ran = sync(&temp, &args).exit(1);
        assert!(
            ran.stderr.contains("it took longer than 1 s and was ended"),
            "{ran}"
        );
        assert!(is_empty(&temp.join("tmp")));
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let command = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            assert!(!command.starts_with("sleep 98765"), "its child goes on");
        }
    }
}

#[test]
fn what_a_killed_run_left_is_swept_away_by_the_next() {
    let temp = Temp::new();
    pure_sdist(&temp, "import time; time.sleep(98764)");
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let args = ["--build-lock", lock.as_str(), "--build-timeout", "1"];
    fs::create_dir_all(temp.join("tmp")).unwrap();
    // Not through bwrap, which would be killed in its place.
    let mut killed = common::lockwright(&temp)
        .args(["sync", "app", "--python", common::python().as_str()])
        .args(["--build-lock", lock.as_str()])
        .env("TMPDIR", temp.join("tmp"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let is_at_work = || {
        let mut found = temp.join("tmp").read_dir_utf8().unwrap().flatten();
        found.any(|entry| entry.path().join("build/request.json").exists())
    };
    while !is_at_work() {
        assert!(killed.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!is_empty(&temp.join("tmp")));
    sync(&temp, &args).exit(1);
    assert!(is_empty(&temp.join("tmp")));
}

#[test]
fn what_is_missing_is_named_with_what_to_do() {
    let temp = Temp::new();
    sdist(&temp, "native", "1.0", &NATIVE);
    lock_of_sdists(&temp, "app", &[("native", "1.0")]);
    let said = |ran: Ran| ran.exit(1).redacted(&temp);
    insta::assert_snapshot!("no_lock", said(sync(&temp, &[])));
    let lock = build_lock(&temp, "native = ['wheel', 'setuptools==80.9.0']", "");
    let text = fs::read_to_string(&lock)
        .unwrap()
        .replace("80.9.0", "79.0.1");
    fs::write(&lock, text).unwrap();
    // Nothing of that version can be obtained, and nothing needs to be: it would not fit.
    let said_of_old = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    assert!(said_of_old.stderr.contains("setuptools"), "{said_of_old}");

    let lock = build_lock(&temp, "native = ['wheel']", "");
    insta::assert_snapshot!(
        "missing",
        said(sync(&temp, &["--build-lock", lock.as_str()]))
    );
    let lock = build_lock(&temp, "other = ['wheel']", "");
    insta::assert_snapshot!(
        "no_group",
        said(sync(&temp, &["--build-lock", lock.as_str()]))
    );
    assert!(is_empty(&temp.join("tmp")));
}

#[test]
fn groups_may_need_different_versions_and_a_lock_may_have_none() {
    let temp = Temp::new();
    let project = |name: &'static str, requires: &str| {
        let text = format!(
            "[build-system]\nrequires = [{requires}]\nbuild-backend = 'setuptools.build_meta'\n\
             [project]\nname = '{name}'\nversion = '1.0'\n[tool.setuptools]\npy-modules = []\n"
        );
        sdist(&temp, name, "1.0", &[("pyproject.toml", &text)]);
    };
    project("one", "'setuptools==80.3.1'");
    project("two", "'setuptools==80.9.0', 'wheel'");
    lock_of_sdists(&temp, "app", &[("one", "1.0"), ("two", "1.0")]);
    let lock = build_lock(
        &temp,
        "one = ['setuptools==80.3.1']\ntwo = ['setuptools==80.9.0', 'wheel']",
        "[{group='one'}, {group='two'}]",
    );
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).ok();
    assert!(ran.stderr.contains("2 of them built"), "{ran}");
    let made = "import importlib.metadata as m; print([m.distribution(n).read_text('WHEEL').splitlines()[1] for n in ('one', 'two')])";
    let made = python(&temp.join("app/.venv"), made);
    assert_eq!(
        made,
        "['Generator: setuptools (80.3.1)', 'Generator: setuptools (80.9.0)']\n"
    );

    // Any uv.lock will do: without a group of its name, a package has what the project depends on.
    let plain = "[project]\nname = 'p'\nversion = '0'\nrequires-python = '>=3.9'\ndependencies = ['setuptools==80.9.0', 'wheel']\n";
    let plain = temp.write("plain/pyproject.toml", plain);
    common::sources::uv_lock(&temp, plain.parent().unwrap());
    lock_of_sdists(&temp, "app", &[("two", "1.0")]);
    sync(&temp, &["--build-lock", "plain/uv.lock"]).ok();
}

#[test]
fn uvs_settings_are_honoured() {
    let temp = Temp::new();
    pure_sdist(
        &temp,
        "import sys, os, pathlib, json, editables\n\
         pathlib.Path('pure.py').write_text('SEEN = ' + repr((os.environ['EXTRA'], sys.argv[1:])))",
    );
    let lock = build_lock(&temp, "pure = ['setuptools', 'editables']", "");
    let settings = "\n[tool.uv]\nbuild-constraint-dependencies = ['setuptools<81']\n\
                    config-settings-package = { pure = { '--build-option' = '--verbose' } }\n\
                    [tool.uv.extra-build-dependencies]\npure = ['editables']\n\
                    [tool.uv.extra-build-variables]\npure = { EXTRA = 'said' }\n";
    let pyproject = fs::read_to_string(temp.join("app/pyproject.toml")).unwrap();
    let with = |more: &str| temp.write("app/pyproject.toml", format!("{pyproject}{more}"));
    with(settings);
    sync(&temp, &["--build-lock", lock.as_str()]).ok();
    let seen = python(&temp.join("app/.venv"), "import pure; print(pure.SEEN)");
    assert!(
        seen.contains("said") && seen.contains("--verbose"),
        "{seen}"
    );

    with(&settings.replace("['editables']", "['flit-core']"));
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    assert!(
        ran.stderr.contains("`flit-core`, which is not there"),
        "{ran}"
    );
    with(&settings.replace("setuptools<81", "setuptools<80.9"));
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    assert!(
        ran.stderr.contains("80.9.0 is there (a build constraint)"),
        "{ran}"
    );
}

#[test]
fn a_hook_of_ones_own_builds_instead() {
    let temp = Temp::new();
    pure_sdist(&temp, "");
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    // As a container would be told: the paths, and nothing else of this machine.
    let script = temp.write(
        "hook",
        r#"
import json, subprocess, sys, os
word, source, out, request = sys.argv[1:]
about = json.load(open(request))
assert word == "a word" and about["source"] == source and about["out"] == out
assert os.getcwd() == source and os.path.exists(source + "/pure.py")
env = dict(about["variables"], PATH="/usr/bin:/bin")
code = "import setuptools.build_meta as b; b.build_wheel(%r)" % out
subprocess.run([about["environment_folder"] + "/bin/python", "-c", code], cwd=source, env=env, check=True)
json.dump(about, open(os.environ["ASIDE"], "w"))
"#,
    );
    let hook = format!("/usr/bin/python3.14 {script} 'a word'");
    let mut command = lockwright_in_forky(&temp);
    command
        .args([
            "sync",
            "app",
            "--python",
            "/usr/bin/python3.14",
            "--build-lock",
            lock.as_str(),
        ])
        .args(["--build-hook", &hook])
        .env("ASIDE", temp.join("request.json"));
    command.run().ok();
    assert_eq!(
        python(&temp.join("app/.venv"), "import pure; print(pure.VALUE)"),
        "1\n"
    );
    let request: serde_json::Value =
        serde_json::from_slice(&fs::read(temp.join("request.json")).unwrap()).unwrap();
    let wheel = &request["wheels"][0];
    assert_eq!(
        (request["kind"].as_str(), wheel["name"].as_str()),
        (Some("wheel"), Some("setuptools"))
    );
    assert!(wheel["digest"].as_str().unwrap().starts_with("sha256:"));

    // The hook shapes the wheel: without it there is another.
    let ran = sync(&temp, &["--build-lock", lock.as_str(), "--out", "other"]).ok();
    assert!(ran.stderr.contains("Building pure"), "{ran}");
    let ran = sync(
        &temp,
        &[
            "--build-lock",
            lock.as_str(),
            "--out",
            "third",
            "--build-hook",
            "true",
        ],
    )
    .exit(1);
    assert!(
        ran.stderr.contains("the build hook left 0 wheels in"),
        "{ran}"
    );
}
