//! Runs that are ended from outside, and what they leave: nothing, or what the next one takes away.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::containment::sleeps;
use super::*;

/// A build that starts something, makes a folder that nobody may look into, and does not end.
fn endless(temp: &Temp, seconds: &str) -> Command {
    let setup = format!(
        "import os, subprocess\n\
         os.makedirs('/build/locked/in')\n\
         open('/build/locked/in/file', 'w').close()\n\
         os.chmod('/build/locked', 0)\n\
         subprocess.Popen(['/bin/sleep', '{seconds}'], start_new_session=True)\n\
         subprocess.run(['/bin/sleep', '{seconds}'])\n"
    );
    pure_sdist(temp, &setup);
    let lock = build_lock(temp, "pure = ['setuptools']", "");
    fs::create_dir_all(temp.join("tmp")).unwrap();
    let mut command = common::lockwright(temp);
    command
        .args(["sync", "app", "--python", common::python().as_str()])
        .args(["--build-lock", lock.as_str()])
        .env("TMPDIR", temp.join("tmp"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// Starts it and waits until its build is under way.
fn started(command: &mut Command, seconds: &str) -> Child {
    common::signals::be_heeded();
    let child = command.spawn().unwrap();
    within(Duration::from_secs(120), || sleeps(seconds));
    child
}

fn within(time: Duration, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + time;
    while !holds() {
        assert!(Instant::now() < end, "it did not come to that in {time:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Its end, which is to come soon.
fn ended(child: &mut Child) -> ExitStatus {
    within(Duration::from_secs(20), || {
        child.try_wait().unwrap().is_some()
    });
    child.wait().unwrap()
}

fn send(child: &Child, signal: &str) {
    let id = child.id().to_string();
    Command::new("kill").args([signal, &id]).run().ok();
}

#[test]
fn a_signal_ends_a_run_at_once_and_nothing_stays() {
    for (number, (signal, code, sandbox)) in [
        ("-INT", 130, "--sandbox=auto"),
        ("-TERM", 143, "--sandbox=off"),
    ]
    .into_iter()
    .enumerate()
    {
        let temp = Temp::new();
        let seconds = format!("{}.{number}", 200_000 + std::process::id());
        let mut command = endless(&temp, &seconds);
        // Not contained, the build would make its folder in the machine's root.
        let mut child = match sandbox {
            "--sandbox=off" => {
                let setup =
                    format!("import os\nos.execv('/bin/sleep', ['/bin/sleep', '{seconds}'])");
                pure_sdist(&temp, &setup);
                started(command.arg(sandbox), &seconds)
            }
            _ => started(&mut command, &seconds),
        };
        let asked = Instant::now();
        send(&child, signal);
        let status = ended(&mut child);
        let took = asked.elapsed();
        assert_eq!((status.code(), status.signal()), (Some(code), None));
        // Not at the end of what it does, which has none.
        assert!(took < Duration::from_secs(5), "it took {took:?}");
        // What it had is removed by a process of its own.
        let hidden = || {
            let names = fs::read_dir(temp.join("app")).unwrap().flatten();
            names
                .filter(|entry| entry.file_name().as_encoded_bytes().starts_with(b"."))
                .count()
        };
        within(Duration::from_secs(20), || {
            is_empty(&temp.join("tmp")) && hidden() == 0 && !sleeps(&seconds)
        });
    }
}

#[test]
fn a_signal_that_is_ignored_from_the_start_stays_ignored() {
    let temp = Temp::new();
    let seconds = format!("{}.8", 200_000 + std::process::id());
    let usual = endless(&temp, &seconds);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]);
    command.arg(usual.get_program()).args(usual.get_args());
    take_environment(&mut command, &usual);
    command.current_dir(temp.path());
    let mut child = started(&mut command, &seconds);
    send(&child, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none() && sleeps(&seconds));
    send(&child, "-TERM");
    assert_eq!(ended(&mut child).code(), Some(143));
    within(Duration::from_secs(20), || !sleeps(&seconds));
}

#[test]
fn a_signal_is_heeded_where_the_session_began_outside() {
    // As in a container: no process that can be seen leads the session.
    let unshare = [
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--mount-proc",
    ];
    let tried = Command::new("unshare").args(unshare).arg("true").output();
    if !tried.unwrap().status.success() {
        eprintln!("skipped: this machine gives no process namespaces");
        return;
    }
    let temp = Temp::new();
    let seconds = format!("{}.7", 200_000 + std::process::id());
    let usual = endless(&temp, &seconds);
    let mut command = Command::new("unshare");
    let shell = r#""$0" "$@" & read line; kill -TERM $!; wait $!"#;
    command.args(unshare).args(["sh", "-c", shell]);
    command.arg(usual.get_program()).args(usual.get_args());
    take_environment(&mut command, &usual);
    command.current_dir(temp.path()).stdin(Stdio::piped());
    let mut child = started(&mut command, &seconds);
    writeln!(child.stdin.take().unwrap()).unwrap();
    assert_eq!(ended(&mut child).code(), Some(143));
    within(Duration::from_secs(20), || !sleeps(&seconds));
}

/// Gives a command the environment of another.
fn take_environment(command: &mut Command, other: &Command) {
    for (name, value) in other.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
}

#[test]
fn the_next_run_takes_away_what_killed_ones_left() {
    let temp = Temp::new();
    let seconds = format!("{}.9", 200_000 + std::process::id());
    let mut child = started(&mut endless(&temp, &seconds), &seconds);
    send(&child, "-KILL");
    ended(&mut child);
    within(Duration::from_secs(20), || !sleeps(&seconds));
    assert!(!is_empty(&temp.join("tmp")), "a killed run removes nothing");
    for kind in ["git", "prepare", "probe", "repro", "run", "scripts"] {
        let left = temp.join(format!("tmp/lockwright-{kind}-left"));
        fs::create_dir_all(left.join("in")).unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o000)).unwrap();
    }
    temp.write("tmp/lockwright-kept-build/log", "the user's");
    temp.write("tmp/lockwright-scripts-file", "not ours");
    pure_sdist(&temp, "");
    sync(
        &temp,
        &["--build-lock", temp.join("builds/uv.lock").as_str()],
    )
    .ok();
    let names = fs::read_dir(temp.join("tmp")).unwrap().flatten();
    let mut names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["lockwright-kept-build", "lockwright-scripts-file"]);
}
