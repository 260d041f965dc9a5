//! What a build can reach, wherever lockwright itself is run: as root, as somebody in a namespace, in a bubblewrap
//! that covers parts of `/proc`, and where the kernel gives no namespaces at all.

use std::io::Write as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use lockwright::core::digest::{Algorithm, Digest};
use serde_json::{Value, json};

use super::*;

/// What a build tries, and none of which may succeed: `(what, how)` in Python.
const REACHES: &str = r#"
import ctypes, errno, fcntl, mmap, os, socket, stat, struct, sys, threading
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

told = os.environ
def reads(path):
    return open(path, "rb").read(1) if os.path.isfile(path) else os.listdir(path)
def processes():
    """Those that are not the build's own: all but the first, where there is a /proc of its own."""
    if os.readlink("/proc/self") == str(os.getpid()):
        return ["1"]
    own = int(os.readlink("/proc/self"))
    return ["1"] + [str(number) for number in range(max(2, own - 200), own)]
for process in processes() + ["self"]:
    tries(f"environ of {process}", lambda: b"SECRET" in open(f"/proc/{process}/environ", "rb").read() and "secret")
for process in processes():
    tries(f"memory of {process}", lambda: open(f"/proc/{process}/mem", "rb") and "open")
    tries(f"tracing {process}", lambda: system(101, 16, int(process), 0, 0))
    tries(f"files of {process}", lambda: [os.readlink(f"/proc/{process}/fd/{n}") for n in os.listdir(f"/proc/{process}/fd")] or False)
tries("the memory of its parent", lambda: system(310, os.getppid(), 0, 0, 0, 0, 0))
def changes_interface():
    line = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    line.send(struct.pack("=IHHIIBBHiII", 32, 16, 5, 1, 0, 0, 0, 0, 1, 1, 1))
    return struct.unpack_from("=i", line.recv(4096), 16)[0] == 0
tries("interfaces of this machine", lambda: [name for _, name in socket.if_nameindex() if name != "lo"] or False)
tries("starting an interface", changes_interface)
for protocol in range(1, 23):
    tries(f"netlink {protocol}", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol).fileno() >= 0)
for family in ("AF_INET", "AF_INET6", "AF_PACKET", "AF_VSOCK", "AF_ALG"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        tries(f"a socket of {family}", lambda: socket.socket(getattr(socket, family), kind).fileno() >= 0)
for name in ("\0" + told["PROBE_SOCKET"], told["PROBE_FOLDER"] + "/socket"):
    tries("a UNIX socket of this machine", lambda: socket.socket(socket.AF_UNIX).connect(name) is None)
for path in ("home", "home/.ssh", "home/.ssh/id_ed25519", "store", "app", "app/uv.lock", "secret"):
    tries("reading " + path, lambda: reads(told["PROBE_FOLDER"] + "/" + path))
for path in ("home/planted", "home/.ssh/id_ed25519", "store/planted", "app/planted", "app/uv.lock", "secret"):
    tries("writing " + path, lambda: writes(told["PROBE_FOLDER"] + "/" + path))
    tries("removing " + path, lambda: os.unlink(told["PROBE_FOLDER"] + "/" + path) is None)
    tries("cutting " + path, lambda: os.truncate(told["PROBE_FOLDER"] + "/" + path, 0) is None)
tries("writing the interpreter", lambda: os.open(os.path.realpath(sys.executable), os.O_WRONLY) >= 0)
tries("writing beside its library", lambda: writes(os.path.dirname(os.__file__) + "/planted.py"))
for what, number, words in (
    ("keys", 250, (0, -3, 0)), ("a new key", 248, (b"user", b"x", b"x", 1, -3)), ("BPF", 321, (0, 0, 0)),
    ("performance events", 298, (0, 0, -1, -1, 0)), ("io_uring", 425, (1, b"\0" * 120)), ("a new mount", 430, (b"tmpfs", 0)),
    ("page faults", 323, (1,)), ("other namespaces", 308, (0, 0)),
):
    ctypes.set_errno(0)
    tries(what, lambda: (system(number, *words) or ctypes.get_errno() != errno.EPERM) and ctypes.get_errno())
for what in ("exe", "maps", "mem", "environ", "fd/0", "fd/1", "fd/2"):
    tries(f"{what} of process 1", lambda: open(f"/proc/1/{what}", "rb").read(1))
for what in ("exe", "root", "cwd", "fd/0", "fd/1", "fd/2"):
    tries(f"where {what} of process 1 leads", lambda: os.readlink(f"/proc/1/{what}"))
for what in ("root", "cwd"):
    tries(f"{what} of process 1", lambda: os.listdir(f"/proc/1/{what}"))
for process in ("1", "self"):
    tries(f"mode of the program of process {process}", lambda: changes(f"/proc/{process}/exe", 0o700))
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
tries("new privileges", lambda: libc.prctl(39, 0, 0, 0, 0) != 1)
tries("rights that could be obtained", lambda: [n for n in range(64) if libc.prctl(23, n, 0, 0, 0) == 1] or False)
sets = (ctypes.c_uint32 * 6)()
tries("rights", lambda: libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), sets) == 0 and any(sets) and list(sets))
tries("mounting", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
tries("unmounting", lambda: libc.umount2(b"/usr", 2) == 0)
tries("remounting", lambda: libc.mount(b"none", b"/usr", None, 32 | 4096, None) == 0)
tries("making a device", lambda: os.mknod("/tmp/device", 0o600 | stat.S_IFBLK, os.makedev(254, 0)) is None)
tries("another name for the machine", lambda: os.uname().nodename != "localhost" and os.uname().nodename)
tries("setting it", lambda: libc.sethostname(b"x", 1) == 0)

def takes():
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    held = []
    while len(held) << 30 <= total + (1 << 30):
        held.append(mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    return "more than there is"
tries("memory without end", takes)
def fills():
    with open("/dev/shm/full", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4)
    return "a quarter of it"
tries("memory that is shared", fills)
def leaves():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 3)
            os.execv("/bin/sleep", ["/bin/sleep", told["PROBE_SLEEP"]])
        os._exit(0)
    os.wait()
leaves()
def forks():
    threading.stack_size(1 << 16)
    end, started = threading.Event(), 0
    try:
        while started < 3000:
            threading.Thread(target=end.wait, daemon=True).start()
            started += 1
    except RuntimeError:
        return os.fork() >= 0
    finally:
        end.set()
    return started
if told["PROBE_FORKS"] == "yes":
    tries("processes without end", forks)
"#;

/// Where lockwright is run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Setting {
    Root,
    /// As nobody in particular, in a namespace where that is no other user's business.
    Somebody,
    /// In a container that covers parts of `/proc`, so that no other can be mounted.
    Covered,
    /// In a container that gives no namespaces.
    Bare,
    /// In one that crun runs as Docker would have it: as root, with few rights, and no call for namespaces or mounts.
    Crun,
}

/// A container of crun's, in which all folders of this machine are where they are: the command that runs a program there.
fn crun(temp: &Temp, program: &Command) -> Command {
    let bundle = temp.join("bundle");
    let _ = fs::remove_dir_all(&bundle);
    fs::create_dir_all(bundle.join("rootfs")).unwrap();
    Command::new("crun")
        .arg("spec")
        .current_dir(&bundle)
        .run()
        .ok();
    let config = bundle.join("config.json");
    let mut about: Value = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
    let words = [program.get_program()]
        .into_iter()
        .chain(program.get_args());
    let mut environment: Vec<String> = std::env::vars()
        .filter(|(name, _)| name == "PATH")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    environment.extend(
        program
            .get_envs()
            .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, value?.to_str()?))),
    );
    about["process"]["terminal"] = false.into();
    about["process"]["cwd"] = temp.path().as_str().into();
    about["process"]["args"] = words.map(|word| word.to_str().unwrap()).collect();
    about["process"]["env"] = environment.into();
    about["root"] = json!({ "path": "rootfs", "readonly": false });
    let mounts = about["mounts"].as_array_mut().unwrap();
    let mut bind = |path: &str| {
        let how = json!(["rbind", "rw"]);
        mounts.push(json!({ "destination": path, "source": path, "type": "bind", "options": how }));
    };
    for entry in Utf8Path::new("/").read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        match path.symlink_metadata().unwrap() {
            _ if matches!(path.as_str(), "/proc" | "/sys" | "/dev") => {}
            about if about.is_symlink() => {
                let place = bundle.join("rootfs").join(path.file_name().unwrap());
                std::os::unix::fs::symlink(fs::read_link(&path).unwrap(), place).unwrap();
            }
            about if about.is_dir() => bind(path.as_str()),
            _ => {}
        }
    }
    bind(temp.path().as_str());
    about["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "action": "SCMP_ACT_ERRNO", "errnoRet": 1,
            "names": ["unshare", "setns", "mount", "umount2", "pivot_root", "keyctl", "bpf", "perf_event_open"] }],
    });
    about["linux"].as_object_mut().unwrap().remove("resources");
    fs::write(&config, about.to_string()).unwrap();
    // It knows no machine whose cgroups are partly of the first version.
    let groups = "umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", groups, "sh"]);
    command.args([
        "crun",
        "--cgroup-manager=disabled",
        "run",
        "--bundle",
        bundle.as_str(),
    ]);
    command.arg(format!("lockwright-{}", std::process::id()));
    command
}

impl Setting {
    /// A command that is run there, with an open file that is nobody's business.
    fn command(self, temp: &Temp, program: &Command) -> Command {
        if self == Self::Crun {
            return crun(temp, program);
        }
        let within: &[&str] = match self {
            Self::Root | Self::Crun => &[],
            Self::Somebody => &[
                "unshare",
                "--user",
                "--map-user=1234",
                "--map-group=1234",
                "--",
            ],
            Self::Covered => &[
                "bwrap",
                "--unshare-user",
                "--dev-bind",
                "/",
                "/",
                "--proc",
                "/proc",
                "--ro-bind",
                "/proc/sys",
                "/proc/sys",
                "--",
            ],
            Self::Bare => &[
                "bwrap",
                "--unshare-user",
                "--disable-userns",
                "--uid",
                "1000",
                "--gid",
                "1000",
                "--cap-drop",
                "ALL",
                "--dev-bind",
                "/",
                "/",
                "--",
            ],
        };
        let mut command = Command::new("sh");
        command.args(["-c", "exec 9<secret; exec \"$@\"", "sh"]);
        command
            .args(within)
            .arg(program.get_program())
            .args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.current_dir(temp.path());
        command
    }

    /// Whether there are no namespaces available.
    fn is_guarded(self) -> bool {
        matches!(self, Self::Bare | Self::Crun)
    }

    /// What is reached there all the same, and is not promised: names of this machine, and what root may do
    /// with files that are root's.
    fn is_known(self, reached: &str) -> bool {
        let known = ["another name for the machine", "mode of ", "times of "];
        // It stays who it is, with no right of root's that it could use.
        let as_root = [
            "being root",
            "becoming root",
            "rights that could be obtained",
        ];
        let is_one = |of: &[&str]| of.iter().any(|known| reached.starts_with(known));
        self.is_guarded() && is_one(&known) || self == Self::Crun && is_one(&as_root)
    }
}

/// Whether a process runs `sleep` for that long.
pub fn sleeps(seconds: &str) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut said = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    said.any(|said| String::from_utf8_lossy(&said) == format!("/bin/sleep\0{seconds}\0"))
}

#[test]
fn a_build_reaches_neither_secrets_nor_the_machine() {
    let temp = Temp::new();
    let end = "import sys\nif reached: sys.exit('REACHED ' + '\\nREACHED '.join(reached))\n";
    pure_sdist(&temp, &format!("{REACHES}\n{end}"));
    let lock = build_lock(&temp, "pure = ['setuptools']", "");
    temp.write("secret", "a file that is left open");
    temp.write("home/.ssh/id_ed25519", "SECRET");
    let name = format!("lockwright-probe-{}", std::process::id());
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    let _listeners = [
        UnixListener::bind_addr(&abstract_name).unwrap(),
        UnixListener::bind(temp.join("socket")).unwrap(),
    ];
    for (number, setting) in [
        Setting::Root,
        Setting::Somebody,
        Setting::Covered,
        Setting::Bare,
        Setting::Crun,
    ]
    .into_iter()
    .enumerate()
    {
        // Where this is a container itself, crun may not be able to make another.
        let tried = setting.command(&temp, &Command::new("/bin/true")).output();
        if setting == Setting::Crun && !tried.is_ok_and(|tried| tried.status.success()) {
            eprintln!("skipped: crun makes no containers here");
            continue;
        }
        let mut asked = common::lockwright(&temp);
        asked.args(["sandbox", "--json"]);
        let found = setting.command(&temp, &asked).run();
        let found = found.exit(i32::from(setting.is_guarded())).json();
        let level = if setting.is_guarded() {
            "guarded"
        } else {
            "whole"
        };
        assert_eq!(found["level"], level, "{setting:?}: {found:#}");
        let mut lines = found["lines"].as_array().unwrap().iter();
        let counts = lines.any(|line| line["name"] == "processes" && line["holds"] == true);

        let seconds = format!("{}.{number}", 100_000 + std::process::id());
        let store = temp.join(format!("store-{number}"));
        let out = temp.join(format!("out-{number}"));
        let mut program = common::lockwright(&temp);
        program
            .args(["sync", "app", "--python", common::python().as_str()])
            .args(["--build-lock", lock.as_str()])
            .args(["--store", store.as_str(), "--out", out.as_str()])
            .env("NODE_AUTH_TOKEN", "SECRET");
        program.args((!setting.is_guarded()).then_some("--sandbox=require"));
        for (name, value) in [
            ("PROBE_SOCKET", name.as_str()),
            ("PROBE_FOLDER", temp.path().as_str()),
            ("PROBE_SLEEP", &seconds),
            ("PROBE_FORKS", if counts { "yes" } else { "no" }),
        ] {
            program.args(["--build-env", &format!("pure:{name}={value}")]);
        }
        let ran = setting.command(&temp, &program).run();
        let reached = ran.stderr.lines().map(str::trim);
        let reached = reached.filter_map(|line| line.strip_prefix("REACHED "));
        let reached: Vec<&str> = reached.filter(|one| !setting.is_known(one)).collect();
        assert!(reached.is_empty(), "{setting:?}: {ran}");
        assert!(
            ran.code == 0 || ran.stderr.contains("REACHED"),
            "{setting:?}: {ran}"
        );
        assert!(!sleeps(&seconds), "{setting:?}: a process was left behind");
    }
    let limit = fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    assert!(
        limit.trim().parse::<u32>().unwrap() > 2000,
        "the machine's own is changed"
    );
}

/// A project of npm's whose one package runs the same when it is installed.
fn npm_project(temp: &Temp, told: &Value) {
    let probe = REACHES.replace("told = os.environ", &format!("told = {told}"));
    let end = "import sys\nif reached: sys.exit('REACHED ' + '\\nREACHED '.join(reached))\n";
    let about = json!({ "name": "a", "version": "1.0.0", "scripts": { "install": "/usr/bin/python3 probe.py" } });
    let mut tar = tar::Builder::new(Vec::new());
    for (path, text) in [
        ("package/package.json", about.to_string()),
        ("package/probe.py", format!("{probe}\n{end}")),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(text.len() as u64);
        tar.append_data(&mut header, path, text.as_bytes()).unwrap();
    }
    let tarball = common::sources::gzip(&tar.into_inner().unwrap());
    let integrity = Digest::of(Algorithm::Sha512, &tarball).sri();
    temp.write("registry/a-1.0.0.tgz", tarball);
    let root = json!({ "name": "web", "version": "1.0.0", "dependencies": { "a": "^1.0.0" } });
    let packages = json!({ "": root, "node_modules/a": { "version": "1.0.0", "hasInstallScript": true,
        "resolved": "https://registry.npm.example/a-1.0.0.tgz", "integrity": integrity } });
    let lock =
        json!({ "name": "web", "version": "1.0.0", "lockfileVersion": 3, "packages": packages });
    temp.write("web/package.json", root.to_string());
    temp.write("web/package-lock.json", lock.to_string());
}

#[test]
fn an_install_script_reaches_no_more_or_is_not_run() {
    let temp = Temp::new();
    temp.write("secret", "a file that is left open");
    temp.write("home/.ssh/id_ed25519", "SECRET");
    temp.write("app/uv.lock", "another project's");
    let name = format!("lockwright-script-{}", std::process::id());
    let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
    let _listeners = [
        UnixListener::bind_addr(&abstract_name).unwrap(),
        UnixListener::bind(temp.join("socket")).unwrap(),
    ];
    let registry = format!("https://registry.npm.example/={}/", temp.join("registry"));
    let node = common::node();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", node.parent().unwrap());
    for (number, setting) in [
        Setting::Root,
        Setting::Somebody,
        Setting::Covered,
        Setting::Bare,
    ]
    .into_iter()
    .enumerate()
    {
        let seconds = format!("{}.{number}", 300_000 + std::process::id());
        npm_project(
            &temp,
            &json!({ "PROBE_SOCKET": name, "PROBE_FOLDER": temp.path(), "PROBE_SLEEP": seconds, "PROBE_FORKS": "no" }),
        );
        let mut program = common::lockwright(&temp);
        program
            .args(["sync", "web", "--allow-scripts", "a", "--mirror", &registry])
            .env("PATH", &path)
            .env("NODE_AUTH_TOKEN", "SECRET");
        let ran = setting.command(&temp, &program).run();
        assert!(!ran.stderr.contains("REACHED"), "{setting:?}: {ran}");
        assert!(!sleeps(&seconds), "{setting:?}: a process was left behind");
        if setting.is_guarded() {
            let ran = ran.exit(1);
            assert!(
                ran.stderr.contains("contained by Landlock"),
                "{setting:?}: {ran}"
            );
            assert!(
                !temp.join("web/node_modules").exists(),
                "{setting:?}: {ran}"
            );
            continue;
        }
        ran.ok();
        fs::remove_dir_all(temp.join("web/node_modules")).unwrap();
    }
}

/// A cgroup of this test's own, in which others can be made; the memory and the processes of each are counted where
/// those are the second version's business.
struct Groups {
    top: Utf8PathBuf,
    counts: bool,
}

impl Groups {
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts
            .lines()
            .find(|line| line.split(' ').nth(2) == Some("cgroup2"))?;
        let top = Utf8Path::new(mount.split(' ').nth(1)?);
        let group = top.join(format!("lockwright-test-{}", std::process::id()));
        fs::create_dir(&group).ok()?;
        let has = |file: &Utf8Path| {
            let said = fs::read_to_string(file).unwrap_or_default();
            ["memory", "pids"]
                .iter()
                .all(|one| said.split_whitespace().any(|word| word == *one))
        };
        let counts = has(&top.join("cgroup.controllers"));
        if counts {
            let _ = fs::write(top.join("cgroup.subtree_control"), "+memory +pids");
            fs::write(group.join("cgroup.subtree_control"), "+memory +pids").ok()?;
        }
        fs::create_dir(group.join("own")).ok()?;
        Some(Self { top: group, counts })
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.top.join("own"));
        let _ = fs::remove_dir(&self.top);
    }
}

#[test]
fn where_a_cgroup_is_delegated_all_of_a_build_is_counted_and_ended_together() {
    let Some(groups) = Groups::new() else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: no cgroup2 can be made on this machine"
        );
        return;
    };
    let temp = Temp::new();
    let mut asked = common::lockwright(&temp);
    asked.args(["sandbox", "--json"]);
    let join = format!("echo 0 >{}/own/cgroup.procs && exec \"$@\"", groups.top);
    let found = Command::new("sh")
        .args(["-c", &join, "sh"])
        .arg(asked.get_program())
        .args(asked.get_args())
        .current_dir(temp.path())
        .run()
        .ok()
        .json();
    let lines = found["lines"].as_array().unwrap();
    let line = lines.iter().find(|line| line["name"] == "cgroup").unwrap();
    assert_eq!(line["holds"], true, "{found:#}");
    let said = match groups.counts {
        true => "counts memory and processes of all together, and ends all together",
        false => {
            let _ = writeln!(
                std::io::stderr(),
                "skipped: that memory and processes are counted, for those are not cgroup2's here"
            );
            "ends all together; memory and processes are not counted in it"
        }
    };
    assert_eq!(line["about"], said);
    let left = groups.top.read_dir_utf8().unwrap().flatten();
    let left: Vec<String> = left
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| name.starts_with("lockwright-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn an_ordinary_user_is_as_well_contained() {
    let temp = Temp::new();
    let program = temp.join("lockwright");
    fs::copy(env!("CARGO_BIN_EXE_lockwright"), &program).unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(temp.path(), open).unwrap();
    let ran = Command::new("setpriv")
        .args([
            "--reuid=4242",
            "--regid=4242",
            "--clear-groups",
            program.as_str(),
            "sandbox",
        ])
        .env("TMPDIR", "/tmp")
        .run()
        .ok();
    assert!(
        ran.stdout
            .starts_with("builds, scripts and commands are contained here"),
        "{ran}"
    );
    assert!(
        ran.stdout.contains("yes  processes") && ran.stdout.contains("rlimit"),
        "{ran}"
    );
}
