//! What a build can reach, wherever lockwright itself is run: as root, as somebody in a namespace, in a bubblewrap
//! that covers parts of `/proc`, and where the kernel gives no namespaces at all.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::process::Command;

use super::*;

/// What a build tries, and none of which may succeed: `(what, how)` in Python.
const REACHES: &str = r#"
import ctypes, errno, fcntl, mmap, os, socket, stat, sys, threading
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
for family in ("AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET", "AF_VSOCK", "AF_ALG"):
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
}

impl Setting {
    /// A command that is run there, with an open file that is nobody's business.
    fn command(self, temp: &Temp, program: &Command) -> Command {
        let within: &[&str] = match self {
            Self::Root => &[],
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

    /// What is reached there all the same, and is not promised: names of this machine, and what root may do
    /// with files that are root's.
    fn is_known(self, reached: &str) -> bool {
        let known = ["another name for the machine", "mode of ", "times of "];
        self == Self::Bare && known.iter().any(|known| reached.starts_with(known))
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
    ]
    .into_iter()
    .enumerate()
    {
        let mut asked = common::lockwright(&temp);
        asked.args(["sandbox", "--json"]);
        let found = setting.command(&temp, &asked).run();
        let found = found.exit(i32::from(setting == Setting::Bare)).json();
        let level = if setting == Setting::Bare {
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
        program.args((setting != Setting::Bare).then_some("--sandbox=require"));
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
