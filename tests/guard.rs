//! No output replaces what must not be lost: every command that writes, at every destination that would be a disaster.
//!
//! Each destination is dressed up as an environment, and as one that lockwright made, so that nothing but the guard
//! stands before it. The tests run as root, whom no permission stops.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Run as _, Temp, lockwright};

const FOREIGN: [&str; 4] = ["--python-version", "3.14", "--python-platform", "linux"];

/// A project with both kinds of locks, a manifest and a member, and what lies around it.
struct World {
    temp: Temp,
}

impl World {
    fn new() -> Self {
        let temp = Temp::new();
        let p = temp.join("world/p");
        common::copy_tree(&common::fixture("default"), &p);
        let lock = fs::read_to_string(p.join("uv.lock")).unwrap();
        let member = "\n[[package]]\nname = \"core\"\nversion = \"1.0.0\"\nsource = { editable = \"packages/core\" }\n";
        temp.write("world/p/uv.lock", format!("{lock}{member}"));
        let about = r#"{ "name": "p", "version": "1.0.0", "workspaces": ["packages/core"] }"#;
        temp.write("world/p/package.json", about);
        let lock = r#"{ "name": "p", "version": "1.0.0", "lockfileVersion": 3, "packages": {
            "": { "name": "p", "version": "1.0.0", "workspaces": ["packages/core"] },
            "node_modules/core": { "resolved": "packages/core", "link": true },
            "packages/core": { "version": "1.0.0" } } }"#;
        temp.write("world/p/package-lock.json", lock);
        let about = r#"{ "name": "core", "version": "1.0.0" }"#;
        temp.write("world/p/packages/core/package.json", about);
        temp.write("world/p/packages/core/core.py", "years of work\n");
        let manifest = "name = \"p\"\nversion = \"1.0.0\"\n[sources.core]\npath = \"packages/core\"\n\
                        [component.c]\ncopy = [{ from = \"{source:core}\", to = \"core\" }]\n";
        temp.write("world/p/lockwright.toml", manifest);
        temp.write("world/home/letter", "dear\n");
        temp.write("world/here/notes", "n\n");
        temp.write("world/foreign/thesis.txt", "years of work\n");
        temp.write("world/history/pyvenv.cfg", "home = /usr/bin\n");
        temp.write("world/history/src/x/.git/HEAD", "ref: refs/heads/main\n");
        temp.write("world/lone/uv.lock", "version = 1\n");
        temp.write("world/work/first/notes", "n\n");
        symlink("p", temp.join("world/link")).unwrap();
        let world = Self { temp };
        let filled = world
            .run(&["sync", "world/p", "--offline", "--out", "env"])
            .run();
        filled.ok();
        for folder in [
            "world",
            "world/p",
            "world/p/packages",
            "world/p/packages/core",
        ] {
            world.dress(folder);
        }
        for folder in ["world/home", "world/here", "outer", "outer/store"] {
            world.dress(folder);
        }
        world
    }

    /// Makes a folder look like an environment of ours, by both kinds of records.
    fn dress(&self, folder: &str) {
        self.temp
            .write(&format!("{folder}/pyvenv.cfg"), "home = @python@/bin\n");
        self.temp
            .write(&format!("{folder}/.lockwright/provenance.json"), "{}");
        self.temp.write(&format!("{folder}.provenance.json"), "{}");
    }

    fn run(&self, args: &[&str]) -> std::process::Command {
        let mut command = lockwright(&self.temp);
        command
            .args(args)
            .current_dir(self.temp.path())
            .env("HOME", self.temp.join("world/home"))
            .env("LOCKWRIGHT_STORE", self.temp.join("outer/store"));
        command
    }

    fn hash(&self) -> String {
        self.run(&["hash", "world"]).run().ok().stdout
    }

    /// How many artifacts the store has.
    fn stored(&self) -> usize {
        let listed = self.run(&["store", "list"]).run().ok().stdout;
        listed.lines().count()
    }

    /// A command is refused and changes nothing.
    #[track_caller]
    fn refuses(&self, args: &[&str], says: &str) {
        let (before, stored) = (self.hash(), self.stored());
        let here = match args.contains(&"world/here") {
            true => self.temp.join("world/here"),
            false => self.temp.path().to_owned(),
        };
        let args: Vec<String> = args.iter().map(|arg| self.absolute(arg)).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let ran = self.run(&args).current_dir(here).run().exit(1);
        assert!(ran.stderr.contains(says), "{says} is not said by {ran}");
        assert_eq!(self.hash(), before, "{ran}");
        assert_eq!(self.stored(), stored, "{ran}");
    }

    fn absolute(&self, arg: &str) -> String {
        let is_ours = ["world", "outer"]
            .iter()
            .any(|top| Utf8Path::new(arg).starts_with(top));
        match is_ours {
            true => self.temp.join(arg).into_string(),
            false => arg.to_owned(),
        }
    }
}

/// Where nothing may be put, and what is said of it.
const DISASTERS: [(&str, &str); 14] = [
    ("world/p", "is not replaced, whatever the flags"),
    ("world/p/wheels/..", "is not replaced, whatever the flags"),
    ("world/p/./", "is not replaced, whatever the flags"),
    ("world/link", "is not replaced, whatever the flags"),
    ("world", "would be lost"),
    ("world/p/packages/core", "core"),
    ("world/p/packages", "would be lost"),
    ("outer/store", "it is the store"),
    ("outer", "the store"),
    ("world/home", "it is your home"),
    ("world/here", "it is the current folder"),
    ("world/history", "the history in"),
    ("/", "it is the root of the file system"),
    ("/proc", "it is a mount point"),
];

#[test]
fn no_tree_takes_the_place_of_what_must_not_be_lost() {
    let world = World::new();
    for (place, says) in DISASTERS {
        let python = ["sync", "world/p", "--offline", "--clear", "--out", place];
        world.refuses(&[&python[..], &FOREIGN[..]].concat(), says);
        let npm = [
            "sync",
            "world/p/package-lock.json",
            "--offline",
            "--clear",
            "--out",
            place,
        ];
        world.refuses(&npm, says);
        let vendor = [
            "fetch",
            "world/p",
            "--offline",
            "--clear",
            "--vendor",
            place,
        ];
        world.refuses(&[&vendor[..], &FOREIGN[..]].concat(), says);
        let manifest = "world/p/lockwright.toml";
        world.refuses(
            &["build", "--file", manifest, "c", "--clear", "--out", place],
            says,
        );
    }
    // Without --clear, too, what lockwright seems to have made is not its own.
    for (place, says) in DISASTERS
        .iter()
        .filter(|(place, _)| *place != "world/history")
    {
        let python = ["sync", "world/p", "--offline", "--out", place];
        world.refuses(&[&python[..], &FOREIGN[..]].concat(), says);
    }
    // What is no environment is nobody's to clear.
    let python = ["sync", "world/p", "--offline", "--clear", "--out"];
    for place in [
        "world/foreign",
        "world/foreign/thesis.txt",
        "world/p/wheels",
    ] {
        let args = [&python[..], &[place], &FOREIGN[..]].concat();
        world.refuses(&args, "is not an environment");
    }
}

#[test]
fn a_node_modules_that_leads_to_the_project_is_not_cleared() {
    let world = World::new();
    symlink("../p", world.temp.join("world/p/node_modules")).unwrap();
    let npm = ["sync", "world/p/package-lock.json", "--offline", "--clear"];
    world.refuses(&npm, "is not replaced, whatever the flags");
    let modules = world.temp.join("world/p/node_modules");
    fs::remove_file(&modules).unwrap();
    world.temp.write("world/p/node_modules/mine/.git/HEAD", "");
    world.refuses(&npm, "the history in");
    // A workspace's, which would only be removed.
    fs::remove_dir_all(&modules).unwrap();
    world
        .temp
        .write("world/p/packages/core/node_modules/mine/.git/HEAD", "");
    let mine = world
        .temp
        .join("world/p/packages/core/node_modules/mine/.git/HEAD");
    world
        .run(&["sync", "world/p/package-lock.json", "--offline"])
        .run()
        .exit(1);
    assert!(mine.is_file());
}

#[test]
fn what_is_changed_in_place_is_guarded_alike() {
    let world = World::new();
    for (place, says) in [
        ("outer/store", "it is the store"),
        ("outer", "the store"),
        ("world/home", "it is your home"),
        ("world/here", "it is the current folder"),
        ("world/history", "the history in"),
        ("/", "it is the root of the file system"),
        ("/proc", "it is a mount point"),
    ] {
        world.refuses(&["seal", place], says);
        world.refuses(&["seal", "--fixed-output", place], says);
        world.refuses(&["restore", place, "--python", "/usr/bin/python3"], says);
    }
}

#[test]
fn what_is_only_added_to_is_nothing_else() {
    let world = World::new();
    for place in [
        "world/p",
        "world/link",
        "world",
        "world/home",
        "world/foreign",
        "world/foreign/thesis.txt",
    ] {
        world.refuses(
            &["store", "export", place],
            "a store has a folder to itself",
        );
    }
    for place in ["world/p", "world/link", "world/p/wheels/..", "world/lone"] {
        let args = ["build-lock", "world/p", "--offline", "--out", place];
        world.refuses(&args, "was not written by lockwright build-lock");
    }
    world.refuses(&["init", "world/p"], "is there already");
    let repro = [
        "repro",
        "world/p",
        "--work",
        "world/work",
        "--",
        "--offline",
    ];
    world.refuses(&repro, "would be lost");
    world.run(&["store", "export", "other"]).run().ok();
    world.run(&["store", "export", "other"]).run().ok();
}

#[test]
fn a_report_replaces_reports_alone() {
    let world = World::new();
    symlink("p/uv.lock", world.temp.join("world/to-lock")).unwrap();
    let lock = "world/p/uv.lock";
    for (place, says) in [
        (lock, "is not replaced"),
        ("world/to-lock", "is not replaced"),
        ("world/p/pyproject.toml", "it belongs to a project"),
        ("world/history/src/x/.git/HEAD", "it belongs to a project"),
        ("world/p", "cannot write"),
    ] {
        world.refuses(&["diff", lock, lock, "--out", place], says);
        world.refuses(&["export", "sbom", lock, "--out", place], says);
        world.refuses(&["hash", "world/foreign", "--dump", place], says);
    }
    let thesis = "world/foreign/thesis.txt";
    world.refuses(
        &["hash", "world/foreign", "--dump", thesis],
        "it is what the report is about",
    );
    let trees = [
        "diff",
        "--tree",
        "world/foreign",
        "world/lone",
        "--out",
        thesis,
    ];
    world.refuses(&trees, "it is what the report is about");
    // A device is written to, and stays one; an older report is replaced.
    world
        .run(&["hash", "world/foreign", "--dump", "/dev/null"])
        .run()
        .ok();
    let kind = fs::metadata("/dev/null").unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind));
    for _ in 0..2 {
        world
            .run(&["export", "sbom", lock, "--out", "bill.json"])
            .run()
            .ok();
    }
}

#[test]
fn what_is_cleared_is_said() {
    let world = World::new();
    let env: Utf8PathBuf = world.temp.join("other");
    world.temp.write("other/pyvenv.cfg", "home = /usr/bin\n");
    world.temp.write(
        "other/lib/python3.14/site-packages/a-1.dist-info/RECORD",
        "",
    );
    let args = ["sync", "world/p", "--offline", "--out", env.as_str()];
    let said = world.run(&args).run().exit(1).stderr;
    assert!(said.contains("give --clear to have it replaced"), "{said}");
    let said = world
        .run(&[&args[..], &["--clear"]].concat())
        .run()
        .ok()
        .stderr;
    let line = format!("{env} is new, and replaces a virtual environment: 1 package, 2 files\n");
    assert!(said.contains(&line), "{said}");
}

#[test]
fn a_checkout_leads_nobody_to_a_device_or_a_pipe() {
    let plan: &[&str] = &["plan"];
    let diff: &[&str] = &["diff", "uv.lock", "HEAD:uv.lock"];
    let reviewed: &[&str] = &["diff", "package-lock.json", "package-lock.json"];
    let sync: &[&str] = &["sync", "--offline"];
    for (python, file, args) in [
        (true, "uv.lock", plan),
        (true, "uv.lock", diff),
        (true, "pyproject.toml", plan),
        (true, "x-1-py3-none-any.whl", sync),
        (false, "package-lock.json", plan),
        (false, "package-lock.json", reviewed),
        (false, "package.json", plan),
        (false, ".npmrc", plan),
    ] {
        for device in [true, false] {
            let temp = Temp::new();
            match python {
                true => {
                    temp.write(
                        "uv.lock",
                        format!(
                            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\n\
                             version = \"0\"\nsource = {{ virtual = \".\" }}\ndependencies = [{{ name = \"x\" }}]\n\n\
                             [[package]]\nname = \"x\"\nversion = \"1\"\nsource = {{ path = \"x-1-py3-none-any.whl\" }}\n\
                             wheels = [{{ filename = \"x-1-py3-none-any.whl\", hash = \"sha256:{}\" }}]\n",
                            "0".repeat(64)
                        ),
                    );
                    temp.write(
                        "pyproject.toml",
                        "[project]\nname = \"app\"\nversion = \"0\"\n",
                    );
                }
                false => {
                    let app = r#"{"name": "app", "version": "1.0.0"#;
                    temp.write("package.json", format!("{app}\"}}"));
                    let rest =
                        format!(r#"", "lockfileVersion": 3, "packages": {{"": {app}"}}}}}}"#);
                    temp.write("package-lock.json", format!("{app}{rest}"));
                }
            }
            let run = |args: &[&str]| {
                let program = lockwright(&temp);
                let mut command = Command::new("timeout");
                command.arg("20").arg(program.get_program()).args(args);
                command
                    .current_dir(temp.path())
                    .env("HOME", temp.join("home"))
                    .run()
            };
            run(plan).ok();
            let place = temp.join(file);
            let _ = fs::remove_file(&place);
            match device {
                true => symlink("/dev/zero", &place).unwrap(),
                false => {
                    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                    rustix::fs::mknodat(
                        rustix::fs::CWD,
                        place.as_str(),
                        rustix::fs::FileType::Fifo,
                        mode,
                        0,
                    )
                    .unwrap();
                }
            }
            let ran = run(args);
            assert_eq!(ran.code, 1, "{file}: {ran}");
            let mut lines = ran.stderr.lines();
            assert!(
                lines.any(|line| line.starts_with("error: ")),
                "{file}: {ran}"
            );
        }
    }
}

/// To learn what a Python is, it is run, and no sandbox is around it.
#[test]
fn no_file_of_a_checkout_has_its_own_program_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let temp = Temp::new();
    let app = temp.join("app");
    let evil = app.join(".venv/bin/python3");
    fs::create_dir_all(evil.parent().unwrap()).unwrap();
    fs::write(
        &evil,
        format!("#!/bin/sh\ntouch {}\n", temp.join("was-run")),
    )
    .unwrap();
    fs::set_permissions(&evil, fs::Permissions::from_mode(0o755)).unwrap();
    symlink("python3", app.join(".venv/bin/python")).unwrap();
    let text = "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\n\
        version = \"0\"\nsource = { virtual = \".\" }\n";
    fs::write(app.join("uv.lock"), text).unwrap();
    let plan = || {
        let mut command = lockwright(&temp);
        command.args(["plan", "app"]).run()
    };
    let absolute = evil.to_string();
    for pin in [
        "",
        ".venv",
        "./.venv/bin/python3",
        "app/.venv/bin/python3",
        "../app/.venv/bin/python3",
        &absolute,
        "touch",
        "/usr/bin/touch",
    ] {
        fs::write(app.join(".python-version"), pin).unwrap();
        let ran = plan().ok();
        assert!(ran.stdout.contains("0 packages for "), "{pin}: {ran}");
    }
    // Asked for by the user, it is run.
    let mut named = lockwright(&temp);
    named
        .args(["plan", "app", "--python", &absolute])
        .run()
        .exit(1);
    fs::remove_file(temp.join("was-run")).unwrap();

    let base = "name = \"x\"\n[component.a]\ncopy = [{ from = \"uv.lock\", to = \"a\" }]\n[component.a.smoke]\nimports = [\"os\"]\n";
    for more in [
        "[target]\npython = \"./.venv/bin/python3\"\n",
        "[target]\npython = \"touch\"\n",
        "[build]\nhook = \"touch was-run\"\n",
    ] {
        fs::write(app.join("lockwright.toml"), format!("{base}{more}")).unwrap();
        let mut build = lockwright(&temp);
        let ran = build
            .args(["build", "--file", "app/lockwright.toml"])
            .run()
            .exit(1);
        assert!(
            ran.stderr.contains("error: ") && ran.stderr.contains("lockwright.toml:"),
            "{ran}"
        );
    }
    assert!(!temp.join("was-run").exists() && !app.join("was-run").exists());

    // What the environment was made of is not of the checkout.
    fs::remove_file(app.join(".python-version")).unwrap();
    fs::remove_file(&evil).unwrap();
    symlink(common::python(), &evil).unwrap();
    let ran = plan().ok();
    assert!(ran.stdout.contains("0 packages for "), "{ran}");
}
