//! Source archives from strangers. Each is refused by name, and leaves nothing.

use std::io::Write;

use super::*;
use lockwright::core::digest::{Algorithm, Digest};
use tar::{Builder, EntryType, Header};

/// An archive of these members: path, kind, target or contents.
fn tar_of(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, kind, text) in members {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        header.set_size(0);
        // As a hostile tool writes it: nothing is checked.
        let name = &mut header.as_gnu_mut().unwrap().name;
        name[..path.len()].copy_from_slice(path.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_gnu_mut().unwrap().linkname[..text.len()].copy_from_slice(text.as_bytes());
        } else {
            header.set_size(text.len() as u64);
        }
        header.set_cksum();
        tar.append(&header, if is_link { &b""[..] } else { text.as_bytes() })
            .unwrap();
    }
    tar.into_inner().unwrap()
}

/// What is said of a project whose sdist has these bytes.
fn refused(file: &str, bytes: &[u8]) -> String {
    let temp = Temp::new();
    temp.write(&format!("dist/{file}"), bytes);
    let digest = Digest::of(Algorithm::Sha256, bytes).hex();
    temp.write(
        "app/uv.lock",
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"pure\" }}]\n\n[[package]]\nname = \"pure\"\n\
             version = \"1.0\"\nsource = {{ registry = \"../dist\" }}\nsdist = {{ path = \"{file}\", hash = \"sha256:{digest}\" }}\n"
        ),
    );
    let ran = sync(&temp, &[]).exit(1);
    assert!(is_empty(&temp.join("tmp")), "something was left");
    assert!(!temp.join("app/.venv").exists());
    assert!(!temp.join("planted").exists() && !Utf8Path::new("/tmp/planted").exists());
    let said = ran
        .stderr
        .lines()
        .filter(|line| !line.starts_with("Building"));
    said.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_leads_outside_is_refused_by_name() {
    let file = EntryType::Regular;
    let mut all = String::new();
    for (what, members) in [
        (
            "above",
            vec![("pure-1.0/../../../../tmp/planted", file, "x")],
        ),
        ("absolute", vec![("/tmp/planted", file, "x")]),
        (
            "link out",
            vec![
                ("pure-1.0/out", EntryType::Symlink, "../../../../tmp"),
                ("pure-1.0/out/planted", file, "x"),
            ],
        ),
        (
            "absolute link",
            vec![("pure-1.0/out", EntryType::Symlink, "/tmp")],
        ),
        (
            "through a link",
            vec![
                ("pure-1.0/in", EntryType::Symlink, "."),
                ("pure-1.0/in/planted", file, "x"),
            ],
        ),
        (
            "hard link out",
            vec![("pure-1.0/passwd", EntryType::Link, "/etc/passwd")],
        ),
        ("device", vec![("pure-1.0/null", EntryType::Char, "")]),
        ("pipe", vec![("pure-1.0/pipe", EntryType::Fifo, "")]),
        (
            "two tops",
            vec![
                ("pure-1.0/setup.py", file, "x"),
                ("other/setup.py", file, "x"),
            ],
        ),
        ("no top", vec![("setup.py", file, "x")]),
        (
            "twice",
            vec![
                ("pure-1.0/setup.py", file, "x"),
                ("pure-1.0/setup.py", file, "y"),
            ],
        ),
        ("nothing", vec![]),
    ] {
        let bytes = common::sources::gzip(&tar_of(&members));
        all.push_str(&format!("{what}: {}\n", refused("pure-1.0.tar.gz", &bytes)));
    }
    insta::assert_snapshot!(all);
}

#[test]
fn absurd_sizes_and_unknown_kinds_are_refused() {
    let mut all = String::new();
    // 256 MiB of nothing in 256 KiB.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut header = Header::new_gnu();
    header.set_path("pure-1.0/zeros").unwrap();
    header.set_size(256 << 20);
    header.set_mode(0o644);
    header.set_cksum();
    bomb.write_all(header.as_bytes()).unwrap();
    for _ in 0..256 {
        bomb.write_all(&vec![0; 1 << 20]).unwrap();
    }
    bomb.write_all(&[0; 1024]).unwrap();
    let bomb = bomb.finish().unwrap();
    let said = refused("pure-1.0.tar.gz", &bomb).replace(&bomb.len().to_string(), "[PACKED]");
    all.push_str(&format!("bomb: {said}\n"));
    let plain = tar_of(&[("pure-1.0/setup.py", EntryType::Regular, "x")]);
    for (what, file, bytes) in [
        (
            "damaged",
            "pure-1.0.tar.gz",
            common::sources::gzip(&plain)[..60].to_vec(),
        ),
        ("text", "pure-1.0.tar.gz", b"not an archive".to_vec()),
        ("empty", "pure-1.0.zip", Vec::new()),
        ("compress", "pure-1.0.tar.gz", vec![0x1f, 0x9d, 0x90, 0]),
    ] {
        all.push_str(&format!("{what}: {}\n", refused(file, &bytes)));
    }
    insta::assert_snapshot!(all);
}

/// What a build tries, and none of which may succeed: `(what, how)` in Python.
const REACHES: &str = r#"
import ctypes, errno, fcntl, json, os, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
reached = []
def tries(what, do):
    try:
        found = do()
    except (OSError, ValueError):
        return
    if found is not False and found != b"" and found != "":
        reached.append(f"{what}: {found!r}"[:200])
def changes(path, mode):
    before = os.stat(path).st_mode
    os.chmod(path, mode)
    os.chmod(path, stat.S_IMODE(before))
    return True
def writes(path):
    with open(path, "w") as file:
        return file.fileno() > 0
def system(number, *words):
    return libc.syscall(number, *words) >= 0

for process in ("1", "self", str(os.getppid())):
    tries(f"environ of {process}", lambda: b"SECRET" in open(f"/proc/{process}/environ", "rb").read() and "secret")
for what in ("exe", "maps", "mem", "environ", "fd/0", "fd/1", "fd/2"):
    tries(f"{what} of process 1", lambda: open(f"/proc/1/{what}", "rb").read(1))
for what in ("exe", "root", "cwd", "fd/0", "fd/1", "fd/2"):
    tries(f"where {what} of process 1 leads", lambda: os.readlink(f"/proc/1/{what}"))
for what in ("root", "cwd"):
    tries(f"{what} of process 1", lambda: os.listdir(f"/proc/1/{what}"))
tries("mode of process 1's program", lambda: changes("/proc/1/exe", 0o700))
tries("mode of its own program", lambda: changes("/proc/self/exe", 0o700))
tries("tracing process 1", lambda: system(101, 16, 1, 0, 0))
for device in ("null", "zero", "full", "random", "urandom"):
    tries(f"mode of {device}", lambda: changes(f"/dev/{device}", 0o600))
    tries(f"times of {device}", lambda: os.utime(f"/dev/{device}") is None)
for folder, _, files in os.walk("/proc"):
    parts = folder.split("/")
    if len(parts) > 2 and (parts[2].isdigit() or parts[2] in ("self", "thread-self")):
        continue
    for file in files:
        path = os.path.join(folder, file)
        if not os.path.islink(path) and len(parts) < 5:
            tries("opening for writing " + path, lambda: os.open(path, os.O_WRONLY) >= 0)
            tries("mode of " + path, lambda: changes(path, 0o777))
tries("a new file at the top", lambda: writes("/planted"))
tries("a new file in /etc", lambda: writes("/etc/planted"))
tries("a new file in /dev", lambda: writes("/dev/planted"))
for file in ("/etc/passwd", "/usr/bin/env", "/bin/sh"):
    tries("writing " + file, lambda: writes(file))
tries("inherited files", lambda: [os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd") if int(n) > 2 and "/proc/" not in os.readlink(f"/proc/self/fd/{n}")] or False)
for number in (0, 1, 2):
    tries(f"the file behind {number}", lambda: os.readlink(f"/proc/self/fd/{number}") if os.readlink(f"/proc/self/fd/{number}").startswith("/") and os.readlink(f"/proc/self/fd/{number}") != "/dev/null" else False)
tries("a terminal", lambda: os.open("/dev/tty", os.O_RDWR) >= 0)
tries("typing into one", lambda: fcntl.ioctl(0, 0x5412, b"x") == 0)
tries("being root", lambda: os.getuid() == 0 or os.geteuid() == 0 or os.getgid() == 0)
tries("becoming root", lambda: os.setuid(0) is None)
status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    tries(name, lambda: int(status[name], 16) != 0 and status[name])
tries("new privileges", lambda: status["NoNewPrivs"].strip() != "1" and "may be had")
tries("mounting", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
tries("unmounting", lambda: libc.umount2(b"/usr", 2) == 0)
tries("remounting", lambda: libc.mount(b"none", b"/usr", None, 32 | 4096, None) == 0)
tries("making a device", lambda: os.mknod("/tmp/device", 0o600 | stat.S_IFBLK, os.makedev(254, 0)) is None)
tries("another name for the machine", lambda: os.uname().nodename != "localhost" and os.uname().nodename)
tries("setting it", lambda: libc.sethostname(b"x", 1) == 0)
"#;

#[test]
fn a_build_reaches_neither_secrets_nor_the_machine() {
    let temp = Temp::new();
    let check = format!("{REACHES}\nif reached: sys.exit('\\n'.join(reached))\n");
    pure_sdist(&temp, &check);
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    temp.write("secret", "a file that is left open");
    // As root and as nobody in particular, in a namespace where that is no other user's business.
    for user in ["root", "nobody"] {
        let store = temp.join(format!("store-of-{user}"));
        let out = temp.join(format!("out-of-{user}"));
        let mut program = common::lockwright(&temp);
        program
            .args(["sync", "app", "--python", common::python().as_str()])
            .args(["--sandbox=require", "--build-lock", lock.as_str()])
            .args(["--store", store.as_str(), "--out", out.as_str()])
            .env("NODE_AUTH_TOKEN", "SECRET");
        let ran = inheriting(&temp, &program, user);
        ran.ok();
    }
}

/// Runs a command with an open file that is nobody's business, and as a user of its own.
fn inheriting(temp: &Temp, program: &std::process::Command, user: &str) -> Ran {
    let script = match user {
        "root" => "exec 9<secret; exec \"$@\"",
        _ => "exec 9<secret; exec unshare --user --map-user=1234 --map-group=1234 -- \"$@\"",
    };
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, "sh"]);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(temp.path()).run()
}

#[test]
fn what_a_build_leaves_is_not_followed() {
    let temp = Temp::new();
    temp.write("secret", "SECRET OF THE MACHINE");
    let secret = temp.join("secret");
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    for (what, leave) in [
        (
            "log",
            format!(
                "os.symlink('{secret}', '/build/log'); os.symlink('{secret}', '/build/job.json'); sys.exit('failed')"
            ),
        ),
        (
            "answer",
            "sys.stdout.flush(); os.mkfifo('/build/answer.json'); os._exit(0)".to_owned(),
        ),
        (
            "endless answer",
            "os.symlink('/dev/zero', '/build/answer.json'); os._exit(0)".to_owned(),
        ),
        (
            "out",
            format!(
                "os.rmdir('/build/out'); os.symlink('{}', '/build/out'); open('/build/answer.json', 'w').write('{{\"requires\": [], \"wheel\": \"secret\"}}'); os._exit(0)",
                temp.path()
            ),
        ),
    ] {
        pure_sdist(&temp, &format!("import os, sys\n{leave}"));
        let ran = sync(&temp, &["--build-lock", lock.as_str(), "--sandbox=require"]).exit(1);
        assert!(!ran.stderr.contains("SECRET"), "{what}: {ran}");
        assert!(is_empty(&temp.join("tmp")), "{what}");
    }
}

#[test]
fn endless_words_of_a_build_are_bounded_and_harmless() {
    let temp = Temp::new();
    let said = "import sys\nfor _ in range(3000): sys.stdout.write('x' * 100000 + '\\n')\nsys.exit('\\033]0;title\\007\\033[31mred' + 'y' * 5000)";
    pure_sdist(&temp, said);
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    let ran = sync(&temp, &["--build-lock", lock.as_str()]).exit(1);
    assert!(
        ran.stderr.len() < 20_000 && !ran.stderr.contains('\u{1b}'),
        "{}",
        ran.stderr.len()
    );
    assert!(ran.stderr.contains("red"), "{}", ran.stderr.len());
    let kept = temp.join("store/logs/pure-1.0.log");
    let kept = std::fs::read(kept).unwrap();
    let text = String::from_utf8_lossy(&kept);
    assert!(
        kept.len() < 8 << 20 && text.contains("bytes are left out here"),
        "{}",
        kept.len()
    );
}
