//! `lockwright sync` where there is nothing to do, and where there only seems to be nothing: whatever is changed in an
//! environment is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run as _, Temp, lockwright};

struct Env {
    temp: Temp,
}

impl Env {
    fn new() -> Self {
        let temp = Temp::new();
        temp.copy_of_fixture("default");
        let env = Self { temp };
        assert!(env.is_made(&[]));
        env
    }

    fn venv(&self) -> Utf8PathBuf {
        self.temp.join("default/.venv")
    }

    /// A path in site-packages.
    fn site(&self, path: &str) -> Utf8PathBuf {
        let lib = self.venv().join("lib").read_dir_utf8().unwrap().next();
        lib.unwrap()
            .unwrap()
            .path()
            .join("site-packages")
            .join(path)
    }

    fn sync(&self, args: &[&str]) -> Ran {
        let mut sync = lockwright(&self.temp);
        sync.args(["sync", "default", "--offline", "--json"]);
        sync.args(args).run().ok()
    }

    /// Whether it is made anew.
    fn is_made(&self, args: &[&str]) -> bool {
        self.sync(args).json()["changed"].as_bool().unwrap()
    }

    fn hash(&self) -> String {
        let venv = self.venv();
        lockwright(&self.temp)
            .args(["hash", venv.as_str()])
            .run()
            .ok()
            .stdout
    }
}

/// Writes other bytes of the same length, and puts the time back.
fn edit_unseen(path: &Utf8Path) {
    let mut bytes = fs::read(path).unwrap();
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    bytes[0] ^= 1;
    fs::write(path, bytes).unwrap();
    fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(modified)
        .unwrap();
}

type Change = fn(&Env);

#[test]
fn whatever_is_changed_is_noticed_and_mended() {
    let env = Env::new();
    let whole = env.hash();
    let changes: [(&str, Change); 14] = [
        ("a module is gone", |env| {
            fs::remove_file(env.site("greeting/__init__.py")).unwrap();
        }),
        ("a module is longer", |env| {
            let path = env.site("greeting/__init__.py");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text + "# more\n").unwrap();
        }),
        ("a module is as long and as old", |env| {
            edit_unseen(&env.site("greeting/__init__.py"));
        }),
        ("a module was replaced by one as long and as old", |env| {
            let (path, other) = (env.site("greeting/__init__.py"), env.temp.join("other"));
            fs::copy(&path, &other).unwrap();
            let modified = fs::metadata(&path).unwrap().modified().unwrap();
            edit_unseen(&other);
            fs::File::options()
                .write(true)
                .open(&other)
                .unwrap()
                .set_modified(modified)
                .unwrap();
            fs::rename(other, path).unwrap();
        }),
        ("a .pth was added", |env| {
            fs::write(env.site("evil.pth"), "import evil\n").unwrap();
        }),
        ("a file was added to a package", |env| {
            fs::write(env.site("greeting/new.py"), "").unwrap();
        }),
        ("bytecode without a source", |env| {
            fs::create_dir(env.site("greeting/__pycache__")).unwrap();
            fs::write(env.site("greeting/__pycache__/evil.cpython-314.pyc"), "").unwrap();
        }),
        ("a module has another name", |env| {
            let path = env.site("greeting/__init__.py");
            fs::rename(&path, path.with_file_name("other.py")).unwrap();
        }),
        ("a package is a link to itself elsewhere", |env| {
            let (path, other) = (env.site("greeting"), env.temp.join("elsewhere"));
            fs::rename(&path, &other).unwrap();
            symlink(&other, &path).unwrap();
        }),
        ("a script may not be run", |env| {
            let path = env.venv().join("bin/greet");
            fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
        }),
        ("the interpreter is another", |env| {
            fs::remove_file(env.venv().join("bin/python")).unwrap();
            symlink("/bin/false", env.venv().join("bin/python")).unwrap();
        }),
        ("a RECORD is cut off", |env| {
            fs::write(env.site("greeting-1.2.0.dist-info/RECORD"), "\"").unwrap();
        }),
        ("the provenance is cut off", |env| {
            fs::write(env.venv().join(".lockwright/provenance.json"), "{").unwrap();
        }),
        ("a pipe was added", |env| {
            let status = Command::new("mkfifo").arg(env.site("pipe")).status();
            assert!(status.unwrap().success());
        }),
    ];
    for (what, change) in changes {
        assert!(!env.is_made(&[]), "before: {what}");
        change(&env);
        assert!(env.is_made(&[]), "{what}");
        assert_eq!(env.hash(), whole, "{what}");
    }
}

#[test]
fn what_was_changed_is_said() {
    let env = Env::new();
    fs::remove_file(env.site("greeting/__init__.py")).unwrap();
    let said = env.sync(&[]).stderr;
    assert!(
        said.contains("was changed, so it is made again: "),
        "{said}"
    );
    assert!(said.contains("greeting/__init__.py"), "{said}");
}

#[test]
fn what_python_leaves_behind_is_no_change() {
    let env = Env::new();
    let python = env.venv().join("bin/python");
    Command::new(&python)
        .args(["-c", "import greeting"])
        .env_remove("PYTHONDONTWRITEBYTECODE")
        .run()
        .ok();
    assert!(env.site("greeting/__pycache__").is_dir());
    assert!(!env.is_made(&[]));
    fs::remove_dir_all(env.site("greeting/__pycache__")).unwrap();
    assert!(!env.is_made(&[]));
}

#[test]
fn bytecode_that_lies_there_is_watched() {
    let env = Env::new();
    let compiled = &["--compile-bytecode"];
    env.is_made(compiled);
    assert!(!env.is_made(compiled));
    let kept = env.site("greeting/__pycache__");
    assert!(kept.is_dir());
    fs::write(kept.join("evil.cpython-311.pyc"), "").unwrap();
    assert!(env.is_made(compiled));
    // Another Python's of the same source is not.
    fs::write(kept.join("__init__.cpython-39.pyc"), "").unwrap();
    assert!(!env.is_made(compiled));
    // Nor is what is around it passed over.
    edit_unseen(&env.site("greeting/__init__.py"));
    assert!(env.is_made(compiled));
}

#[test]
fn a_stamp_that_is_cut_off_holds_for_nothing() {
    let env = Env::new();
    let stamps = env.temp.join("store/v1/stamps");
    let stamp = || stamps.read_dir_utf8().unwrap().next().unwrap().unwrap();
    let whole = fs::read(stamp().path()).unwrap();
    // Between two records, too.
    let record = whole
        .windows(5)
        .rposition(|bytes| bytes == b"bin\0\0")
        .unwrap();
    for length in [0, 10, whole.len() / 2, record, whole.len() - 1] {
        fs::write(stamp().path(), &whole[..length]).unwrap();
        // Held against its records, it is as it was; with a file changed unseen, it is not.
        assert!(!env.is_made(&[]));
        fs::write(stamp().path(), &whole[..length]).unwrap();
        edit_unseen(&env.site("greeting/__init__.py"));
        assert!(env.is_made(&[]), "{length}");
    }
}

#[test]
fn a_copy_is_held_against_its_records() {
    let env = Env::new();
    let copy = env.temp.join("copy");
    let replace = || {
        common::run("cp", ["-a", env.venv().as_str(), copy.as_str()]);
        fs::remove_dir_all(env.venv()).unwrap();
    };
    replace();
    fs::rename(&copy, env.venv()).unwrap();
    assert!(!env.is_made(&[]));
    replace();
    edit_unseen(&copy.join(env.site_in_copy()));
    fs::rename(&copy, env.venv()).unwrap();
    assert!(env.is_made(&[]));
    // So is one that another store's run has made.
    let other = env.temp.join("other-store");
    let args = ["--store", other.as_str()];
    assert!(!env.is_made(&args));
    edit_unseen(&env.site("greeting/__init__.py"));
    assert!(env.is_made(&["--store", env.temp.join("third-store").as_str()]));
}

impl Env {
    /// The module's place in a copy of the environment.
    fn site_in_copy(&self) -> Utf8PathBuf {
        let lib = self.temp.join("copy/lib").read_dir_utf8().unwrap().next();
        let version = lib.unwrap().unwrap().file_name().to_owned();
        format!("lib/{version}/site-packages/greeting/__init__.py").into()
    }
}

#[test]
fn it_is_made_anew_where_that_is_asked_for() {
    let env = Env::new();
    for args in [
        &["--clear"][..],
        &["--reinstall"],
        &["--reinstall-package", "greeting"],
        &["--reinstall-package", "Greeting,greeting-check"],
    ] {
        assert!(env.is_made(args), "{args:?}");
        assert!(!env.is_made(&[]));
    }
}

#[test]
fn stamps_of_trees_that_are_no_more_are_cleaned_up() {
    let env = Env::new();
    let stamps = env.temp.join("store/v1/stamps");
    let count = || stamps.read_dir_utf8().unwrap().count();
    let gc = || lockwright(&env.temp).args(["store", "gc"]).run().ok();
    gc();
    assert_eq!(count(), 1);
    fs::remove_dir_all(env.venv()).unwrap();
    gc();
    assert_eq!(count(), 0);
}

#[test]
fn what_a_killed_run_left_goes_though_there_is_nothing_else_to_do() {
    let env = Env::new();
    let name = env.venv().file_name().unwrap().to_owned();
    // Killed when the new tree was in its place, and the old one not yet gone.
    let left = env
        .venv()
        .with_file_name(format!(".lockwright-staged-{name}-abcdefgh"));
    fs::create_dir_all(left.join("tree/lib")).unwrap();
    fs::set_permissions(left.join("tree"), fs::Permissions::from_mode(0o0)).unwrap();
    assert!(!env.is_made(&[]));
    assert!(!left.exists());
}
