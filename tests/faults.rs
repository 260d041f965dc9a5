//! Disks that are full, cannot be read or may not be written to; few descriptors, a clock that jumps, eight runs at once:
//! each ends in a sentence or in the right tree, and the next run finds nothing to clean. `scripts/chaos` adds runs that
//! are ended at random moments.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::process::{Command, Stdio};

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run as _, Temp, lockwright, project, python, run};

/// Two revisions of a project of each ecosystem, as `scripts/chaos` makes them, with a store of their own.
struct World {
    temp: Temp,
}

/// An ecosystem: its folder, and how it is synced.
type Kind = (&'static str, &'static [&'static str]);

const KINDS: [Kind; 4] = [
    ("python", &[]),
    ("python", &["--link-mode=hardlink"]),
    ("node", &[]),
    ("node", &["--link-mode=hardlink"]),
];

/// One of each, copied and linked.
const BOTH: [Kind; 2] = [KINDS[0], KINDS[3]];

impl World {
    fn new() -> Self {
        let temp = Temp::new();
        run(
            project().join("scripts/chaos"),
            ["--make", temp.join("made").as_str()],
        );
        for name in ["tmp", "home", "work/python", "work/node"] {
            fs::create_dir_all(temp.join(name)).unwrap();
        }
        let world = Self { temp };
        world.become_revision("old");
        world
    }

    fn become_revision(&self, revision: &str) {
        // Beside `work`, as the locks say.
        if !self.temp.join("artifacts").exists() {
            let artifacts = self.temp.join("made/artifacts");
            common::copy_tree(&artifacts, &self.temp.join("artifacts"));
        }
        for kind in ["python", "node"] {
            let from = self.temp.join("made").join(revision).join(kind);
            common::copy_tree(&from, &self.temp.join("work").join(kind));
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = lockwright(&self.temp);
        let artifacts = self.temp.join("artifacts");
        command
            .args(args) // What cargo sets has the loader look in many folders.
            .env_remove("LD_LIBRARY_PATH")
            .env("TMPDIR", self.temp.join("tmp"))
            .env(
                "LOCKWRIGHT_MIRROR",
                format!("https://registry.npm.example/={artifacts}/"),
            );
        command
    }

    fn sync(&self, (kind, how): Kind) -> Command {
        let folder = format!("work/{kind}");
        let mut command = self.command(&["sync", &folder]);
        if kind == "python" {
            command.args(["--python", python().as_str()]);
        }
        command.args(how);
        command
    }

    fn tree(&self, (kind, _): Kind) -> Utf8PathBuf {
        let name = match kind {
            "python" => ".venv",
            _ => "node_modules",
        };
        self.temp.join("work").join(kind).join(name)
    }

    fn hash(&self, kind: Kind) -> Option<String> {
        let tree = self.tree(kind);
        let hash = || self.command(&["hash", tree.as_str()]).run().ok().stdout;
        tree.exists().then(hash)
    }

    /// Nothing is left where temporary things are made.
    #[track_caller]
    fn assert_clean(&self, what: &str) {
        let ours = |name: &str| name.starts_with(".lockwright-") || name.starts_with(".tmp");
        for _ in 0..500 {
            let mut left: Vec<Utf8PathBuf> = Vec::new();
            for folder in ["tmp", "work", "work/python", "work/node"] {
                let entries = self.temp.join(folder).read_dir_utf8().unwrap();
                let entries = entries.map(|entry| entry.unwrap().into_path());
                left.extend(
                    entries.filter(|path| folder == "tmp" || ours(path.file_name().unwrap())),
                );
            }
            if left.is_empty() {
                return;
            }
            // What removes it may still be at work.
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("{what}: something is left");
    }

    /// The next run comes to the tree that it should, and nothing was to be cleaned for it.
    #[track_caller]
    fn assert_heals(&self, kind: Kind, expected: &str, what: &str) {
        self.sync(kind).run().ok();
        assert_eq!(self.hash(kind).as_deref(), Some(expected), "{what}");
        self.command(&["store", "verify"]).run().ok();
        self.assert_clean(what);
    }
}

/// Adds a command's program, arguments, variables and folder to another that runs it.
fn like(within: &mut Command, command: &Command) {
    within.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => within.env(name, value),
            None => within.env_remove(name),
        };
    }
    within.current_dir(command.get_current_dir().unwrap());
}

/// It failed, and what it said is whole sentences, one a line.
#[track_caller]
fn says_why(ran: Ran, why: &str, what: &str) {
    let ran = ran.exit(1);
    let lines = ran.stderr.lines();
    let errors: Vec<&str> = lines.filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{what}: {ran}");
    assert!(ran.stderr.contains(why), "{what}: {ran}");
    for word in ["ZipError", "I/O error", "panicked", "invalid Zip"] {
        assert!(!ran.stderr.contains(word), "{what}: {word}: {ran}");
    }
}

/// The command in a shell that has done something before, with mounts of its own.
fn after(first: &str, command: &Command) -> Ran {
    let script = format!("{first} && exec \"$@\"");
    let mut within = Command::new("unshare");
    within
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .args([script.as_str(), "sh"]);
    like(&mut within, command);
    within.run()
}

#[test]
fn a_full_disk_is_a_sentence_wherever_it_fills_up() {
    let world = World::new();
    let store = world.temp.join("store");
    fs::create_dir_all(&store).unwrap();
    for kind in KINDS {
        world.sync(kind).run().ok();
        let expected = world.hash(kind).unwrap();
        fs::remove_dir_all(world.tree(kind)).unwrap();
        // For artifacts, for what is kept of them, for files in general; and where the tree is made.
        for (at, how) in [
            ("store", "size=60k"),
            ("store", "size=500k"),
            ("store", "nr_inodes=40"),
            ("tree", "size=200k"),
            ("tree", "nr_inodes=300"),
        ] {
            let what = format!("{kind:?}, {at} of {how}");
            let mut command = world.sync(kind);
            let place = match at {
                "store" => store.clone(),
                _ => {
                    command.args(["--out", world.temp.join("out/tree").as_str()]);
                    world.temp.join("out")
                }
            };
            fs::create_dir_all(&place).unwrap();
            let mount = format!("mount -t tmpfs -o {how} none {place}");
            let ran = after(&mount, &command);
            // What is kept beside artifacts is a matter of time alone.
            if ran.code == 0 && at == "store" && how != "size=60k" {
                assert_eq!(world.hash(kind).as_deref(), Some(&*expected), "{what}");
                fs::remove_dir_all(world.tree(kind)).unwrap();
                continue;
            }
            says_why(ran, "is full", &what);
            assert!(!world.tree(kind).exists(), "{what}");
            world.assert_clean(&what);
        }
        world.assert_heals(kind, &expected, "after full disks");
        fs::remove_dir_all(world.tree(kind)).unwrap();
    }
}

#[test]
fn what_may_not_be_written_to_is_read_or_a_sentence() {
    let world = World::new();
    let store = world.temp.join("store");
    for kind in BOTH {
        fs::create_dir_all(&store).unwrap();
        let bound = |place: &Utf8Path| {
            format!("mount --bind {place} {place} && mount -o remount,bind,ro {place}")
        };
        let empty = after(&bound(&store), &world.sync(kind));
        says_why(empty, "ead-only", &format!("{kind:?}, an empty store"));
        world.sync(kind).run().ok();
        let expected = world.hash(kind).unwrap();
        let tree = world.tree(kind);
        fs::remove_dir_all(&tree).unwrap();
        after(&bound(&store), &world.sync(kind)).ok();
        assert_eq!(world.hash(kind).as_deref(), Some(&*expected), "{kind:?}");

        world.become_revision("new");
        let ran = after(&bound(tree.parent().unwrap()), &world.sync(kind));
        says_why(
            ran,
            "that is not permitted",
            &format!("{kind:?}, where the tree is"),
        );
        assert_eq!(world.hash(kind).as_deref(), Some(&*expected), "{kind:?}");
        world.become_revision("old");
        world.assert_heals(kind, &expected, "after disks that were read-only");
        fs::remove_dir_all(&tree).unwrap();
        fs::remove_dir_all(&store).unwrap();
    }
}

#[test]
fn a_disk_that_fails_leaves_the_old_tree_or_the_new_one() {
    let world = World::new();
    // Of each thread the call of that number, and all after it where it is marked so.
    let calls = [
        ("openat", "40+"),
        ("read", "30+"),
        ("write", "3"),
        ("write", "40"),
        ("rename,renameat,renameat2", "2+"),
        ("mkdirat,mkdir", "5+"),
        ("getdents64", "2+"),
        ("fchmod,fchmodat", "3+"),
        ("linkat,link,symlinkat,symlink", "1+"),
        ("copy_file_range,sendfile", "1+"),
        ("statx,newfstatat,fstat", "60+"),
        ("unlinkat,unlink,rmdir", "1+"),
    ];
    for (number, (call, nth)) in calls.into_iter().enumerate() {
        let kind = KINDS[number % KINDS.len()];
        world.become_revision("new");
        world.sync(kind).run().ok();
        let new = world.hash(kind).unwrap();
        world.become_revision("old");
        world.sync(kind).run().ok();
        let old = world.hash(kind).unwrap();
        world.become_revision("new");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-o", "/dev/null", "-e", "signal=none"])
            .args(["-e", &format!("trace={call}")])
            .args(["-e", &format!("inject={call}:error=EIO:when={nth}")]);
        like(&mut command, &world.sync(kind));
        let ran = command.run();
        let what = format!("{kind:?}, {call} {nth}: {ran}");
        assert!(matches!(ran.code, 0 | 1), "{what}");
        assert!(!ran.stderr.contains("panicked"), "{what}");
        assert_eq!(ran.code == 1, ran.stderr.contains("error:"), "{what}");
        let now = world.hash(kind);
        let expected = if ran.code == 0 {
            [&new; 2]
        } else {
            [&old, &new]
        };
        assert!(
            expected.iter().any(|hash| now.as_ref() == Some(hash)),
            "{what}"
        );
        world.assert_heals(kind, &new, &what);
    }
}

#[test]
fn an_artifact_that_cannot_be_read_in_memory_is_a_sentence() {
    let world = World::new();
    let store = world.temp.join("store");
    fs::create_dir_all(&store).unwrap();
    for kind in [KINDS[0], KINDS[2]] {
        let command = world.sync(kind);
        // A hole in a file of a disk that is full has no room to be read into.
        let fill = format!(
            "mount -t tmpfs -o size=16m none {store} && \"$@\" >/dev/null 2>&1 && rm -rf {tree} {store}/v1/contents; \
             for file in $(find {store}/v1/files -type f ! -name '*.json'); do \
               size=$(stat -c %s $file); rm $file; truncate -s $size $file; done; \
             cat /dev/zero >{store}/full 2>/dev/null; true",
            tree = world.tree(kind),
        );
        let ran = after(&fill, &command);
        says_why(
            ran,
            "a file could not be read any further",
            &format!("{kind:?}"),
        );
        assert!(!world.tree(kind).exists());
        world.sync(kind).run().ok();
        world.assert_clean("after a disk that failed");
    }
}

#[test]
fn few_descriptors_are_enough() {
    let world = World::new();
    for kind in BOTH {
        world.sync(kind).run().ok();
        let expected = world.hash(kind).unwrap();
        for threads in ["8"] {
            for store in ["store", "fresh"] {
                fs::remove_dir_all(world.tree(kind)).unwrap();
                let mut command = Command::new("prlimit");
                command.arg("--nofile=64:64");
                like(&mut command, &world.sync(kind));
                command
                    .env("RAYON_NUM_THREADS", threads)
                    .env("LOCKWRIGHT_STORE", world.temp.join(store));
                command.run().ok();
                assert_eq!(world.hash(kind).as_deref(), Some(&*expected), "{kind:?}");
            }
            fs::remove_dir_all(world.temp.join("fresh")).unwrap();
        }
    }
    world.assert_clean("after few descriptors");
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    let world = World::new();
    // Each time that it is asked: now, ten years ago, in ten years.
    let source = "#define _GNU_SOURCE\n#include <time.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
        int clock_gettime(clockid_t clock, struct timespec *at) {\n\
        static int asked; int failed = syscall(SYS_clock_gettime, clock, at);\n\
        if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)\n\
        at->tv_sec += (__atomic_fetch_add(&asked, 1, __ATOMIC_RELAXED) % 3 - 1) * 315360000L;\n\
        return failed; }\n";
    let (source, shim) = (
        world.temp.write("clock.c", source),
        world.temp.join("clock.so"),
    );
    run(
        "cc",
        [
            "-shared",
            "-fPIC",
            "-O",
            "-o",
            shim.as_str(),
            source.as_str(),
        ],
    );
    let jumping = |mut command: Command| command.env("LD_PRELOAD", &shim).run();
    let date = |shim: Option<&Utf8Path>| {
        let mut python = Command::new("python3");
        python.args(["-c", "import time; print(time.gmtime(time.time()).tm_year)"]);
        python
            .envs(shim.map(|shim| ("LD_PRELOAD", shim)))
            .run()
            .ok()
            .stdout
    };
    assert_ne!(date(None), date(Some(&shim)), "the clock does not jump");
    for kind in BOTH {
        world.become_revision("new");
        world.sync(kind).run().ok();
        let new = world.hash(kind).unwrap();
        for revision in ["old", "new", "new"] {
            world.become_revision(revision);
            jumping(world.sync(kind)).ok();
            jumping(world.command(&["store", "gc", "--older-than", "1d"])).ok();
            jumping(world.command(&["store", "verify"])).ok();
        }
        world.assert_heals(kind, &new, "after a clock that jumped");
    }
}

#[test]
fn eight_runs_share_a_store_and_an_output() {
    let world = World::new();
    for kind in BOTH {
        world.become_revision("new");
        world.sync(kind).run().ok();
        let new = world.hash(kind).unwrap();
        world.become_revision("old");
        world.sync(kind).run().ok();
        let old = world.hash(kind).unwrap();
        for store in ["full", "empty"] {
            if store == "empty" {
                fs::remove_dir_all(world.temp.join("store")).unwrap();
            }
            world.become_revision("old");
            world.sync(kind).run().ok();
            // Half of them begin before the lock changes.
            let start = |_| {
                let mut command = world.sync(kind);
                command.stdout(Stdio::null()).stderr(Stdio::piped());
                command.spawn().unwrap()
            };
            let mut all: Vec<_> = (0..4).map(start).collect();
            world.become_revision("new");
            all.extend((0..4).map(start));
            for one in all {
                let output = one.wait_with_output().unwrap();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(
                    matches!(output.status.code(), Some(0)) || said.contains("error: "),
                    "{kind:?}, {store}: {said}"
                );
                let said: String = said.chars().take(2000).collect();
                assert!(!said.contains("panicked"), "{kind:?}, {store}: {said}");
            }
            let now = world.hash(kind).unwrap();
            assert!(now == old || now == new, "{kind:?}, {store}");
            world.assert_heals(kind, &new, "after eight at once");
        }
    }
}
