//! `lockwright elf patch` on whole environments, used in a root that has nothing but glibc: every other library was
//! moved to a private folder, which only RUNPATHs lead to. CPython itself is patched as well, or it would not start.
//!
//! The environments are that of `lockfile-fixtures/heavy` and, where its lock is there, the flagship's.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::elf::{SYSTEM, elf_files, faults, is_elf};
use common::environments::{flagship, sync};
use common::{Ran, Run as _, Temp, copy_tree, fixture, forky_root, lockwright, patchelf};

/// Loads every library below a folder, each in a process of its own, since what one has loaded another finds; then
/// imports every extension module, as its package has it. Prints those that fail (one needs tkinter).
const LOAD: &str = r#"
import ctypes, importlib, os, pathlib, re, sys
site = pathlib.Path(sys.argv[1])
loaded = imported = 0
for path in sorted(site.rglob("*.so*")):
    if path.read_bytes()[:4] != b"\x7fELF":
        continue
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(str(path), os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError as error:
            print("FAILED load", path.relative_to(site), str(error).replace(str(path) + ": ", ""), flush=True)
            os._exit(1)
        os._exit(0)
    loaded += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
for package in "psycopg", "scipy.linalg":
    try:
        importlib.import_module(package)  # before its parts
    except ImportError:
        pass
for path in sorted(site.rglob("*.so")):
    name = re.fullmatch(r"(\w+)(\.cpython-314-\S+|\.abi3)?\.so", path.name)
    parts = path.parent.relative_to(site).parts
    if not name or any("." in part for part in parts):
        continue
    try:
        importlib.import_module(".".join(parts + (name[1],)))
        imported += 1
    except Exception as error:
        print("FAILED import", path.relative_to(site), type(error).__name__, error)
print("LOADED", loaded)
print("IMPORTED", imported)
"#;

/// A root with CPython and glibc, and the libraries that are not in it.
struct BareRoot<'t> {
    temp: &'t Temp,
    /// What the root has in place of forky's own: what is there, and where it is to be.
    parts: Vec<(Utf8PathBuf, String)>,
    libraries: Utf8PathBuf,
}

impl<'t> BareRoot<'t> {
    fn new(temp: &'t Temp) -> Self {
        let forky = forky_root();
        let system = forky.join(&SYSTEM[1..]);
        let listed = fs::read_to_string(forky.join("var/lib/dpkg/info/libc6:amd64.list")).unwrap();
        let of_libc: BTreeSet<&str> = listed.lines().collect();
        let (glibc, libraries) = (temp.join("glibc"), temp.join("private/lib"));
        for folder in [&glibc, &libraries] {
            fs::create_dir_all(folder).unwrap();
        }
        for entry in system.read_dir_utf8().unwrap().flatten() {
            let name = entry.file_name();
            let to = if of_libc.contains(format!("{SYSTEM}/{name}").as_str()) {
                &glibc
            } else {
                &libraries
            };
            if !name.contains(".so") || !is_elf(entry.path()) {
                continue;
            }
            match fs::read_link(entry.path()) {
                Ok(target) if target.components().count() == 1 => {
                    std::os::unix::fs::symlink(target, to.join(name)).unwrap();
                }
                _ => {
                    fs::copy(entry.path(), to.join(name)).unwrap();
                }
            }
        }
        let (program, modules) = (
            temp.join("python/python3.14"),
            temp.join("python/lib-dynload"),
        );
        copy_tree(&forky.join("usr/lib/python3.14/lib-dynload"), &modules);
        fs::copy(forky.join("usr/bin/python3.14"), &program).unwrap();
        let parts = vec![
            (forky.join("etc"), "/etc".to_owned()),
            (forky.join("usr/share"), "/usr/share".to_owned()),
            (forky.join("usr/lib/python3"), "/usr/lib/python3".to_owned()),
            (
                forky.join("usr/lib/python3.14"),
                "/usr/lib/python3.14".to_owned(),
            ),
            (
                modules.clone(),
                "/usr/lib/python3.14/lib-dynload".to_owned(),
            ),
            (program.clone(), "/usr/bin/python3.14".to_owned()),
            (glibc, SYSTEM.to_owned()),
        ];
        let root = Self {
            temp,
            parts,
            libraries,
        };
        assert_ne!(
            root.run(&["/usr/bin/python3.14", "-V"]).code,
            0,
            "CPython was not deprived of anything"
        );
        // What is searched is to find its own kin as well.
        root.patch(std::slice::from_ref(&root.libraries)).ok();
        root.patch(&[program, modules]).ok();
        root.run(&["/usr/bin/python3.14", "-V"]).ok();
        root
    }

    fn patch(&self, paths: &[Utf8PathBuf]) -> Ran {
        let mut patch = lockwright(self.temp);
        patch.args([
            "elf",
            "patch",
            "--json",
            "--search",
            self.libraries.as_str(),
        ]);
        // Opens libkadm5clnt_mit.so by name.
        patch.args(["--add-rpath", &format!("*/kadmin/*.so={}", self.libraries)]);
        patch.args(paths).run()
    }

    fn run(&self, command: &[&str]) -> Ran {
        let mut bwrap = Command::new(common::on_path("bwrap"));
        bwrap.args([
            "--die-with-parent",
            "--unshare-net",
            "--dev",
            "/dev",
            "--proc",
            "/proc",
            "--tmpfs",
            "/tmp",
        ]);
        for (from, to) in &self.parts {
            bwrap.args(["--ro-bind", from.as_str(), to]);
        }
        let loader = format!("{SYSTEM}/ld-linux-x86-64.so.2");
        bwrap.args(["--symlink", &loader, "/lib64/ld-linux-x86-64.so.2"]);
        bwrap.args([
            "--ro-bind",
            self.temp.path().as_str(),
            self.temp.path().as_str(),
            "--",
        ]);
        bwrap
            .args(command)
            .env_clear()
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .run()
    }
}

fn failed(ran: &Ran) -> BTreeSet<&str> {
    ran.stdout
        .lines()
        .filter(|line| line.starts_with("FAILED"))
        .collect()
}

fn count(ran: &Ran, what: &str) -> u32 {
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix(what));
    line.unwrap_or_else(|| panic!("no {what} in {ran}"))
        .trim()
        .parse()
        .unwrap()
}

/// Patches an environment and holds it against everything that can be asked of it.
fn prove(temp: &Temp, venv: &Utf8Path) -> (u32, u32) {
    let root = BareRoot::new(temp);
    let original = temp.join("original");
    for file in elf_files(venv) {
        let copy = original.join(file.strip_prefix(venv).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(&file, &copy).unwrap();
    }
    let script = temp.write("load.py", LOAD);
    let site = venv.join("lib/python3.14/site-packages");
    let python = venv.join("bin/python");
    let load = [python.as_str(), script.as_str(), site.as_str()];
    let before = Command::new(common::in_forky()).args(load).run().ok();
    let deprived = root.run(&load).ok();
    assert!(
        failed(&deprived).len() > failed(&before).len() + 5,
        "the libraries are still there: {deprived}"
    );

    let report = root.patch(&[venv.to_owned()]).ok().json();
    assert_eq!(report["notes"], serde_json::json!([]));
    let after = root.run(&load).ok();
    // What was bundled could not be loaded without the module that needs it; now each finds what it needs by itself.
    let fewer = |ran: &Ran| -> Vec<String> {
        let failed = failed(ran)
            .into_iter()
            .filter(|line| !line.starts_with("FAILED load"));
        failed.map(str::to_owned).collect()
    };
    assert_eq!(
        failed(&after).into_iter().collect::<Vec<_>>(),
        fewer(&before)
    );
    assert_eq!(count(&after, "IMPORTED"), count(&before, "IMPORTED"));
    let again = root.patch(&[venv.to_owned()]).ok().json();
    let actions = again["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| &file["action"]);
    assert_eq!(actions.filter(|action| *action == "patched").count(), 0);
    lockwright(temp).args(["verify", venv.as_str()]).run().ok();

    let files = report["files"].as_array().unwrap();
    for file in files.iter().filter(|file| file["action"] == "patched") {
        let path = Utf8Path::new(file["path"].as_str().unwrap());
        let old = original.join(path.strip_prefix(venv).unwrap());
        let new: Vec<String> = faults(path).difference(&faults(&old)).cloned().collect();
        assert!(new.is_empty(), "{path}: {new:?}");
    }
    compare(&root, venv, &original, files);
    (count(&after, "LOADED"), count(&after, "IMPORTED"))
}

/// RUNPATHs, case by case, beside what patchelf leaves of a path of all folders that have libraries: those where a needed
/// library is found first. Ours may have more where the file had it before: what it opens by name relies on it.
fn compare(root: &BareRoot<'_>, venv: &Utf8Path, original: &Utf8Path, files: &[serde_json::Value]) {
    let mut folders: Vec<Utf8PathBuf> = elf_files(original)
        .iter()
        .map(|file| file.parent().unwrap().to_owned())
        .collect();
    folders.dedup();
    let print = |path: &Utf8Path| {
        let ran = Command::new(patchelf())
            .args(["--print-rpath", path.as_str()])
            .run()
            .ok();
        ran.stdout.trim_end().to_owned()
    };
    let absolute = |path: &str, file: &Utf8Path| -> BTreeSet<Utf8PathBuf> {
        let folder = file.parent().unwrap().as_str();
        let entries = path.split(':').filter(|entry| !entry.is_empty());
        entries
            .map(|entry| normal(&entry.replace("$ORIGIN", folder)))
            .collect()
    };
    for file in files
        .iter()
        .filter(|file| !file["path_after"].is_null() || file["action"] == "patched")
    {
        let path = Utf8Path::new(file["path"].as_str().unwrap());
        let old = original.join(path.strip_prefix(venv).unwrap());
        let ours = print(path);
        assert_eq!(
            ours,
            file["path_after"].as_str().unwrap_or_default(),
            "{path}"
        );
        for entry in ours.split(':').filter(|entry| !entry.is_empty()) {
            assert!(
                entry.starts_with("$ORIGIN") || *entry == root.libraries,
                "{path}: {ours}"
            );
        }
        let had = absolute(&print(&old), &old);
        // Of libraries with one name in two packages a file's own is the one.
        let own = old.parent().unwrap().to_owned();
        let all = had
            .iter()
            .chain([&own])
            .chain(&folders)
            .chain([&root.libraries]);
        let all: Vec<&str> = all.map(|folder| folder.as_str()).collect();
        let copy = root.temp.join("copy.so");
        fs::copy(&old, &copy).unwrap();
        let by_patchelf = |args: &[&str]| Command::new(patchelf()).args(args).arg(&copy).run().ok();
        by_patchelf(&["--set-rpath", &all.join(":")]);
        by_patchelf(&["--shrink-rpath"]);
        let theirs = absolute(&print(&copy), &old);
        let ours: BTreeSet<Utf8PathBuf> = absolute(&ours, path)
            .into_iter()
            .map(|folder| {
                folder
                    .strip_prefix(venv)
                    .map(|inside| original.join(inside))
                    .unwrap_or(folder.clone())
            })
            .collect();
        let kadmin = path.as_str().contains("/kadmin/");
        let more: Vec<_> = ours
            .difference(&theirs)
            .filter(|folder| !had.contains(*folder) && !kadmin)
            .collect();
        let less: Vec<_> = theirs.difference(&ours).collect();
        assert!(
            more.is_empty() && less.is_empty(),
            "{path}: we have {more:?} besides, and not {less:?}"
        );
    }
}

fn normal(path: &str) -> Utf8PathBuf {
    let mut normal = Utf8PathBuf::new();
    for part in Utf8Path::new(path).components() {
        match part.as_str() {
            ".." => assert!(normal.pop()),
            part => normal.push(part),
        }
    }
    normal
}

#[test]
fn heavyweights_work_where_nothing_but_glibc_is() {
    let temp = Temp::new();
    let venv = sync(&temp, &fixture("heavy"), &[]);
    let (loaded, imported) = prove(&temp, &venv);
    assert!(loaded > 150 && imported > 130, "{loaded} {imported}");
}

#[test]
fn the_flagship_works_where_nothing_but_glibc_is() {
    let temp = Temp::new();
    let Some(venv) = flagship(&temp) else {
        return; // Said there, and the test above proves the same of a smaller lock.
    };
    let (loaded, imported) = prove(&temp, &venv);
    assert!(loaded > 80 && imported > 80, "{loaded} {imported}");
}
