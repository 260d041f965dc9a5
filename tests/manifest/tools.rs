//! Tools as inputs, and what commands are given besides: time, cores, caches, a log.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Standin;
use super::common::{Run as _, lockwright};

const TOOLS: &str = "
[sources.kit]
path = 'kit'

[component.parts]
copy = [{ from = '{source:kit}/parts', to = 'bin' }]

[tools.first]
exec = ['{component:parts}/bin/speak', 'one']
version = '2.1'

[tools.second]
path = '{source:kit}/second'

[tools.third]
exec = ['first', 'two']

[tools.mine]
found = 'mine'

[component.x]
tools = ['third', 'second', 'mine']
run = [{ command = ['sh', '-c', 'echo $PATH >said; third 3 >>said; second >>said; mine >>said; ls /build/source/kit >>said'] }]
";

fn program(standin: &Standin, path: &str, text: &str) {
    let file = standin.temp.write(path, format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

fn with_tools() -> Standin {
    let standin = Standin::new();
    let speak = "case $2 in --version) echo speak v2.1.7 ;; *) echo \"$@\" ;; esac";
    program(&standin, "standin/kit/parts/speak", speak);
    program(&standin, "standin/kit/second/second", "echo second");
    program(&standin, "own/mine", "echo mine");
    standin.temp.write("standin/m.toml", TOOLS);
    standin
}

fn build(standin: &Standin, args: &[&str]) -> std::process::Command {
    let mut build = standin.build(&["x", "--file", "m.toml"]);
    let path = std::env::var("PATH").unwrap();
    build
        .args(args)
        .env("PATH", format!("{}:{path}", standin.temp.join("own")));
    build
}

#[test]
fn commands_find_the_tools_that_are_named_in_their_order_and_no_others() {
    let standin = with_tools();
    let first = build(&standin, &[]).run().ok();
    let said = standin.read("out/x/said");
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        [
            "/build/tree/bin:/build/tool/third:/build/tool/first:/build/source/kit/second:\
             /build/tool/mine:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "one two 3",
            "second",
            "mine",
            "parts",
            "second",
        ]
    );
    let again = build(&standin, &[]).run().ok();
    assert!(again.stderr.contains("x: unchanged"), "{again}");

    // What a tool is counts, not where it is; what is in a tool that is not named does not.
    let explained = || build(&standin, &["--explain"]).run().ok().stdout;
    program(&standin, "own/mine", "echo other");
    assert!(
        explained().contains("x (needs parts): made again: tool mine\n"),
        "{}",
        explained()
    );
    program(&standin, "own/mine", "echo mine");
    program(&standin, "standin/kit/second/second", "echo other");
    assert!(explained().contains("tool second"), "{}", explained());
    standin.edit(
        "m.toml",
        "tools = ['third', 'second', 'mine']",
        "tools = ['third', 'mine']",
    );
    standin.edit("m.toml", "second >>said;", "");
    standin.edit("m.toml", "ls /build/source/kit >>said", "true");
    build(&standin, &[]).run().ok();
    program(&standin, "standin/kit/second/second", "echo nothing");
    assert!(
        explained().contains("x (needs parts): unchanged"),
        "{}",
        explained()
    );

    // The finished tree must work without them.
    standin.edit(
        "m.toml",
        "[component.x]",
        "[component.x]\nsmoke = { commands = [['third']] }",
    );
    let failed = build(&standin, &[]).run().exit(1);
    assert!(
        failed
            .stderr
            .contains("there is no program `third` for commands"),
        "{failed}"
    );

    // The same bytes without containment, but for where things are.
    standin.edit("m.toml", "smoke = { commands = [['third']] }", "");
    standin.edit("m.toml", "echo $PATH >said;", "");
    let contained = build(&standin, &[]).run().ok();
    let free = build(&standin, &["--sandbox", "off"]).run().ok();
    assert_eq!(Standin::hash(&contained, "x"), Standin::hash(&free, "x"));
    assert_ne!(Standin::hash(&contained, "x"), Standin::hash(&first, "x"));
}

#[test]
fn a_missing_or_other_tool_is_a_sentence() {
    let standin = with_tools();
    let told = |from: &str, to: &str| {
        standin.temp.write("standin/m.toml", TOOLS);
        standin.edit("m.toml", from, to);
        let failed = build(&standin, &["--quiet"]).run().exit(1);
        standin.said(&failed)
    };
    let all = [
        told("found = 'mine'", "found = 'no-such-tool'"),
        told("found = 'mine'", "found = '/nowhere/cmake'"),
        told("found = 'mine'", "found = 'mine'\nversion = '3'"),
        told("version = '2.1'", "version = '3'"),
        told("/second'\n", "/nothing'\n"),
        told("'third', 'second', 'mine'", "'thirt'"),
        told(
            "tools = ['third', 'second', 'mine']\nrun = [{ command = ['sh',",
            "run = [{ command = ['first',",
        ),
        told("['sh', '-c',", "['rustc-of-no-one', '-c',"),
        told(
            "tools = ['third', 'second', 'mine']\nrun = [{ command = ['sh',",
            "run = [{ command = ['mine',",
        ),
        told("path = '{source:kit}/second'", "path = '/usr/bin'"),
        told("path = '{source:kit}/second'", "exec = ['{out}/second']"),
        told(
            "path = '{source:kit}/second'",
            "path = '{source:kit}/second'\nfound = 'x'",
        ),
    ];
    insta::assert_snapshot!("tools_refused", all.join("\n"));
}

#[test]
fn a_command_that_lacks_something_is_told_what_would_bring_it() {
    let standin = Standin::new();
    let hint = |command: &str| {
        let text = format!("[component.x]\n[[component.x.run]]\ncommand = {command}\n");
        standin.temp.write("standin/m.toml", text);
        let failed = build(&standin, &["--quiet"]).run().exit(1);
        let hint = failed.stderr.lines().last().unwrap().to_owned();
        assert!(hint.starts_with("hint: "), "{failed}");
        assert!(!standin.app().join("out/x").exists(), "{failed}");
        hint
    };
    let asks = "import urllib.request; urllib.request.urlopen('http://files.example/x')";
    assert_eq!(
        hint(&format!("['python3', '-c', \"{asks}\"]")),
        "hint: it asked the network, and commands have none: what it wants can be a source ([sources.NAME] with \
         `url` and `digest`) that it names, or come by a lock"
    );
    assert_eq!(
        hint("['sh', '-c', 'echo \"sh: 1: cmake: not found\"; exit 1']"),
        "hint: cmake is missing on this machine; on Debian it may be in cmake"
    );
}

#[test]
fn the_log_is_kept_time_and_cores_are_held_and_caches_stay_outside() {
    let standin = Standin::new();
    standin.temp.write(
        "standin/m.toml",
        "[component.x]\n[[component.x.run]]\n\
         command = ['sh', '-c', 'nproc >cores; echo loud; echo more >>$KEPT/list; wc -l <$KEPT/list >count']\n\
         cores = 1\ncache = { KEPT = 'kept' }\n",
    );
    let first = build(&standin, &["-v"]).run().ok();
    assert!(first.stderr.contains("  loud"), "{first}");
    let log = fs::read_to_string(standin.temp.join("store/logs/component-x.log")).unwrap();
    assert!(
        log.starts_with("$ `sh -c nproc") && log.ends_with("loud\n"),
        "{log}"
    );
    assert_eq!(
        (standin.read("out/x/cores"), standin.read("out/x/count")),
        ("1\n".into(), "1\n".into())
    );
    assert!(!standin.app().join("out/x/kept").exists());

    // Neither what is in a cache nor how long a command may take makes anything again.
    standin.edit("m.toml", "cores = 1", "cores = 1\ntimeout = 60");
    let again = build(&standin, &[]).run().ok();
    assert!(again.stderr.contains("x: unchanged"), "{again}");
    let other = build(&standin, &["--out", "elsewhere"]).run().ok();
    assert!(!other.stderr.contains("loud"), "{other}");
    assert_eq!(standin.read("elsewhere/count"), "2\n");

    // It goes with the store's other things that nobody has used for so long.
    let gc = |age: &str| {
        let mut gc = lockwright(&standin.temp);
        let ran = gc.args(["store", "gc", "--older-than", age]).run().ok();
        (ran, standin.temp.join("store/caches/kept").exists())
    };
    assert!(gc("1d").1);
    let (ran, is_there) = gc("0s");
    assert!(
        !is_there && ran.stdout.contains("store/caches/kept"),
        "{ran}"
    );

    standin.edit("m.toml", "'sh', '-c', '", "'sh', '-c', 'sleep 30; ");
    standin.edit("m.toml", "timeout = 60", "timeout = 1");
    let late = build(&standin, &[]).run().exit(1);
    assert!(late.stderr.contains("took longer than 1 s"), "{late}");
    assert!(!late.stderr.contains("x: made in"), "{late}");
}
