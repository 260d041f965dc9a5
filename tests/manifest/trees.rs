//! What is left out, replaced, moved and rewritten in a tree.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::common::{Run as _, run};
use super::{Standin, refusal, site};
use lockwright::core::digest::{Algorithm, Digest};

/// Fails where a RECORD names a file that is not there, or is another.
const CHECK: &str = "import base64, csv, hashlib, pathlib, sys\n\
    site = pathlib.Path(sys.argv[1])\n\
    for record in site.glob('*.dist-info/RECORD'):\n\
    \x20 for path, hash, size in csv.reader(record.open()):\n\
    \x20   data = (site / path).read_bytes()\n\
    \x20   if hash:\n\
    \x20     digest = hashlib.sha256(data).digest()\n\
    \x20     assert hash == 'sha256=' + base64.urlsafe_b64encode(digest).decode().rstrip('='), path\n";

fn script(standin: &Standin, path: &str, text: &str) {
    let file = standin.temp.write(path, text);
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_folder_takes_another_s_place_and_what_is_kept_may_go_elsewhere() {
    let standin = Standin::new();
    for (path, text) in [
        ("old/pkg/a.js", "old"),
        ("old/pkg/deep/b.js", "old"),
        ("old/pkg/deep/c.map", "old"),
        ("old/stay.js", "stay"),
        ("new/a.js", "new"),
    ] {
        standin.temp.write(&format!("standin/{path}"), text);
    }
    let manifest = "[sources.app]\npath = '.'\n\
        [component.whole]\ncopy = [{ from = '{source:app}/old', to = 'lib' }]\n\
        [component.x]\nbase = { from = '{component:whole}', exclude = ['*.map'] }\n\
        copy = [{ from = '{source:app}/new', to = 'lib/pkg', replace = true }]\n\
        run = [{ command = ['sh', '-c', 'mkdir -p web/dist junk; cp -r lib web/dist/js; ln -s js/stay.js web/dist/link'] }]\n\
        keep = [{ from = 'web/dist', to = 'web' }, { from = 'lib/pkg', to = 'lib' }]\n\
        [component.y]\nbase = '{component:whole}'\nkeep = [{ from = 'lib/pkg', to = '.' }]\n";
    standin.temp.write("standin/m.toml", manifest);
    let ran = standin.build(&["--file", "m.toml"]).run().ok();
    assert!(!ran.stderr.contains("warning"), "{ran}");
    let listed = |component: &str| {
        run(
            "sh",
            [
                "-c",
                &format!(
                    "cd {} && find . ! -type d | sort",
                    standin.app().join("out").join(component)
                ),
            ],
        )
    };
    assert_eq!(
        listed("x"),
        "./lib/a.js\n./web/js/pkg/a.js\n./web/js/stay.js\n./web/link\n"
    );
    assert_eq!(standin.read("out/x/lib/a.js"), "new");
    assert_eq!(standin.read("out/x/web/link"), "stay");
    assert_eq!(listed("y"), "./a.js\n./deep/b.js\n./deep/c.map\n");

    fs::remove_dir_all(standin.app().join("out")).unwrap();
    let said = |from: &str, to: &str| refusal(&standin, &manifest.replace(from, to), &["x"]);
    for (from, to, why) in [
        (
            "to = 'lib/pkg', replace",
            "to = 'lib/none', replace",
            "nothing at lib/none whose place it could take",
        ),
        (
            "['*.map']",
            "['*.mop']",
            "is called `*.mop`, to be left out",
        ),
        (
            "from = 'lib/pkg', to = 'lib'",
            "from = 'lib/pkg', to = 'web/js'",
            "cannot go to web/js",
        ),
        (
            "from = 'lib/pkg', to = 'lib'",
            "from = 'lib/pk*', to = 'lib'",
            "not a path in the tree",
        ),
        (
            "from = 'lib/pkg', to = 'lib'",
            "from = 'lib/pkg', to = '../lib'",
            "`../lib`",
        ),
    ] {
        let said = said(from, to);
        assert!(said.contains(why), "{to}: {said}");
    }
}

#[test]
fn records_stay_true_when_parts_of_an_environment_are_left_out_or_replaced() {
    let standin = Standin::new();
    standin
        .temp
        .write("standin/words/__init__.py", "WORDS = ['other']\n");
    standin.temp.write(
        "standin/m.toml",
        "[sources.app]\npath = '.'\n[component.env]\n\
         python = { lock = '{source:app}/uv.lock', groups = [], install = 'dependencies', exclude = ['standin-git'] }\n\
         [component.x]\nbase = { from = '{component:env}', exclude = ['greeting'] }\n\
         copy = [{ from = '{source:app}/words', to = '{site}/greeting_words', replace = true }]\n",
    );
    standin.build(&["x", "--file", "m.toml"]).run().ok();
    let site = site(&standin.app().join("out/x"));
    assert!(!site.join("greeting").exists());
    let words: Vec<String> = fs::read_dir(site.join("greeting_words"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(words, ["__init__.py"]);
    run(super::common::python(), ["-c", CHECK, site.as_str()]);
}

#[test]
fn first_lines_name_what_the_finished_tree_will_find() {
    let standin = Standin::new();
    let lines = [
        ("env", "#!/usr/bin/env sh\necho env\n"),
        ("own", "#!/usr/bin/env -S tool -x\n"),
        ("split", "#!/usr/bin/env -S sh -e -u\necho split\n"),
        ("foreign", "#!/opt/local/bin/sh -e\necho foreign\n"),
        ("right", "#!/bin/sh\necho right\n"),
        ("nowhere", "#!/usr/bin/env no-such-thing\n"),
        ("odd", "#!/usr/bin/env -i sh\n"),
        ("skipped", "#!/usr/bin/env sh\n"),
    ];
    for (name, text) in lines {
        script(&standin, &format!("standin/scripts/{name}"), text);
    }
    standin
        .temp
        .write("standin/scripts/text", "#!/usr/bin/env sh\n");
    script(&standin, "standin/tool", "#!/bin/sh\necho tool \"$1\"\n");
    standin.temp.write(
        "standin/m.toml",
        "[sources.app]\npath = '.'\n[component.x]\n\
         copy = [{ from = '{source:app}/scripts', to = 's' }, { from = '{source:app}/tool', to = 'bin/tool' }]\n\
         shebangs = { exclude = ['skipped'] }\nsmoke = { commands = [['{out}/s/own']] }\n",
    );
    let ran = standin
        .build(&["x", "--file", "m.toml", "--prefix", "/srv/x"])
        .run()
        .ok();
    let first = |name: &str| {
        standin
            .read(&format!("out/x/s/{name}"))
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    let all: Vec<String> = lines.iter().map(|(name, _)| first(name)).collect();
    assert_eq!(
        all,
        [
            "#!/usr/bin/sh",
            "#!/srv/x/bin/tool -x",
            "#!/usr/bin/env -S /usr/bin/sh -e -u",
            "#!/usr/bin/sh -e",
            "#!/bin/sh",
            "#!/usr/bin/env no-such-thing",
            "#!/usr/bin/env -i sh",
            "#!/usr/bin/env sh",
        ]
    );
    assert_eq!(first("text"), "#!/usr/bin/env sh");
    assert!(
        ran.stderr.contains("note: x: left as it was, started by `no-such-thing`, which `search` of shebangs does not have: s/nowhere\n")
            && ran.stderr.contains("sets options or variables by `env`: s/odd\n"),
        "{ran}"
    );
    for name in ["env", "split", "foreign"] {
        let said = Command::new(standin.app().join("out/x/s").join(name))
            .run()
            .ok()
            .stdout;
        assert_eq!(said, format!("{name}\n"));
    }
}

/// A lock with a package that has an install script, and one that needs it.
fn scripted(standin: &Standin) {
    let pack = |name: &str, about: &str| {
        let file = standin
            .temp
            .write(&format!("pack/{name}/package/package.json"), about);
        let tarball = standin.app().join(format!("ui/{name}.tgz"));
        fs::create_dir_all(standin.app().join("ui")).unwrap();
        let top = file.parent().unwrap().parent().unwrap();
        run(
            "tar",
            ["-czf", tarball.as_str(), "-C", top.as_str(), "package"],
        );
        Digest::of(Algorithm::Sha512, &fs::read(tarball).unwrap()).sri()
    };
    let made = pack(
        "made",
        r#"{"name":"made","version":"1.0.0","scripts":{"install":"node -p 1+1 >sum; pwd >where; node -p process.execPath >>where"}}"#,
    );
    let user = pack(
        "user",
        r#"{"name":"user","version":"1.0.0","dependencies":{"made":"1.0.0"}}"#,
    );
    let tool = pack("tool", r#"{"name":"tool","version":"1.0.0"}"#);
    standin.temp.write(
        "standin/ui/package.json",
        r#"{"name":"ui","dependencies":{"user":"file:user.tgz"},"devDependencies":{"tool":"file:tool.tgz"}}"#,
    );
    standin.temp.write(
        "standin/ui/package-lock.json",
        format!(
            r#"{{"name":"ui","lockfileVersion":3,"requires":true,"packages":{{
            "":{{"name":"ui","dependencies":{{"user":"file:user.tgz"}},"devDependencies":{{"tool":"file:tool.tgz"}}}},
            "node_modules/made":{{"version":"1.0.0","resolved":"file:made.tgz","integrity":"{made}","hasInstallScript":true}},
            "node_modules/tool":{{"version":"1.0.0","resolved":"file:tool.tgz","integrity":"{tool}","dev":true}},
            "node_modules/user":{{"version":"1.0.0","resolved":"file:user.tgz","integrity":"{user}","dependencies":{{"made":"1.0.0"}}}}}}}}"#
        ),
    );
}

#[test]
fn install_scripts_run_by_an_allow_list_and_packages_are_left_out() {
    let standin = Standin::new();
    scripted(&standin);
    let node = super::common::node();
    let manifest = format!(
        "[sources.app]\npath = 'ui'\n[tools.node]\nfound = '{node}'\n\
         [component.x]\ntools = ['node']\n\
         node = {{ lock = '{{source:app}}/package-lock.json', collect = 'web', allow-scripts = ['made'] }}\n"
    );
    standin.temp.write("standin/m.toml", &manifest);
    standin.build(&["--file", "m.toml"]).run().ok();
    assert_eq!(standin.read("out/x/web/node_modules/made/sum"), "2\n");
    let place = standin.read("out/x/web/node_modules/made/where");
    assert!(
        place.starts_with("/build/project/node_modules/made\n"),
        "{place}"
    );
    assert!(standin.app().join("out/x/web/node_modules/tool").exists());

    let listed = |node: &str| {
        standin.temp.write(
            "standin/m.toml",
            manifest.replace("allow-scripts = ['made']", node),
        );
        standin.build(&["--file", "m.toml"]).run().ok();
        let modules = standin.app().join("out/x/web/node_modules");
        let names = modules.read_dir_utf8().unwrap().flatten();
        let mut names: Vec<String> = names.map(|one| one.file_name().to_owned()).collect();
        names.retain(|name| !name.starts_with(".package"));
        names.sort();
        names.join(" ")
    };
    assert_eq!(listed("omit = ['dev']"), "made user");
    assert_eq!(listed("exclude = ['made']"), "tool user");
    assert!(
        !standin
            .read("out/x/web/node_modules/.package-lock.json")
            .contains("made@")
    );
    standin.temp.write("standin/ui/.npmrc", "omit=dev\n");
    assert_eq!(listed("omit = []"), "made tool user");
    assert_eq!(listed(""), "made user");
    assert_eq!(listed("include = ['dev']"), "made tool user");

    fs::remove_dir_all(standin.app().join("out")).unwrap();
    for (from, to, why) in [
        (
            "['made']",
            "['mode']",
            "no package `mode`; with install scripts there are: made",
        ),
        ("['made']", "['.']", "its scripts are for `run`"),
        (
            "tools = ['node']\n",
            "",
            "name it in `tools` of the component",
        ),
        (
            "allow-scripts = ['made']",
            "exclude = ['mode']",
            "no package `mode` to be left out",
        ),
    ] {
        let said = refusal(&standin, &manifest.replace(from, to), &[]);
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_dependency_s_source_is_edited_and_its_build_sees_what_it_is_given() {
    let standin = Standin::new();
    standin.temp.write("standin/given/words/list", "hi");
    standin.temp.write(
        "standin/more.diff",
        "--- a/greeting_check.py\n+++ b/greeting_check.py\n@@ -1,2 +1,3 @@\n+MORE = True\n \"\"\"Checks that a greeting greets.\"\"\"\n \n",
    );
    let manifest = "[sources.app]\npath = '.'\n[build]\nlock = 'build/uv.lock'\n\
        [component.words]\ncopy = [{ from = '{source:app}/given/words', to = '.' }]\n\
        [component.deps]\nseal = 'fixed-output'\n\
        python = { lock = '{source:app}/uv.lock', groups = [], install = 'dependencies', no-binary = ['greeting-check'] }\n\
        [component.deps.build.greeting-check]\ninputs = ['{component:words}', 'patches']\nenv = { WORDS = '{component:words}/list' }\n\
        patch = [{ file = 'greeting_check.py', replace = '\"hello\"', with = '\"howdy\"', count = 1 }, { diff = 'more.diff' },\n\
        { file = 'back_end.py', replace = 'import zipfile', with = \"import os; assert open(os.environ['WORDS']).read() == 'hi' and os.listdir('/build/input/patches')\\nimport zipfile\", count = 1 }]\n";
    standin.temp.write("standin/m.toml", manifest);
    let build = |args: &[&str]| {
        let all = [&["deps", "--file", "m.toml"], args].concat();
        standin.build(&all).run()
    };
    build(&[]).ok();
    let text = standin.app().join("out/deps");
    let text = fs::read_to_string(site(&text).join("greeting_check.py")).unwrap();
    assert!(
        text.starts_with("MORE = True\n") && text.contains("howdy"),
        "{text}"
    );
    assert!(build(&[]).ok().stderr.contains("deps: unchanged"));

    // All of it is in the wheel's key.
    for (file, from, to, what) in [
        ("m.toml", "howdy", "heyho", "build of greeting-check"),
        (
            "more.diff",
            "MORE = True",
            "MORE = None",
            "build of greeting-check",
        ),
        ("given/words/list", "hi", "ho", "component words"),
    ] {
        standin.edit(file, from, to);
        let said = build(&["--explain"]).ok().stdout;
        assert!(
            said.contains(what) || said.contains("words: made again"),
            "{what}: {said}"
        );
        standin.edit(file, to, from);
    }
    assert!(
        build(&["--explain"])
            .ok()
            .stdout
            .contains("deps (needs words): unchanged")
    );
    standin.edit("m.toml", "'\"hello\"'", "'\"hullo\"'");
    let failed = build(&[]).exit(1);
    assert!(failed.stderr.contains("greeting_check.py: "), "{failed}");
    standin.edit("m.toml", "'\"hullo\"'", "'\"hello\"'");
    standin.edit("m.toml", "\"howdy\"", "{prefix}");
    let failed = build(&[]).exit(1);
    assert!(
        failed
            .stderr
            .contains("{prefix} means nothing where a package is built"),
        "{failed}"
    );
}

#[test]
fn what_a_base_says_of_its_place_is_true_where_the_tree_lives_that_starts_from_it() {
    let standin = Standin::new();
    standin.temp.write(
        "standin/m.toml",
        "[component.low]\ncopy = [{ from = 'lifecycle', to = '.', executable = ['start'] }]\n\
         patch = [{ file = 'start', replace = 'exec standin', with = 'exec {prefix}/standin' }]\n\
         [component.high]\nbase = '{component:low}'\ncopy = [{ from = 'assets', to = 'assets' }]\n\
         run = [{ command = ['cp', '{component:low}/start', '{out}/again'] }]\n",
    );
    let built = |args: &[&str]| {
        let args = [&["--file", "m.toml"], args].concat();
        standin.build(&args).run().ok()
    };
    built(&["high", "--out", "here"]);
    let here = standin.app().join("here");
    for name in ["start", "again"] {
        let said = standin.read(&format!("here/{name}"));
        assert!(said.contains(&format!("exec {here}/standin")), "{said}");
    }
    built(&["high", "--out", "there", "--prefix", "/srv/high"]);
    let said = standin.read("there/start");
    assert!(said.contains("exec /srv/high/standin"), "{said}");
    // Asked for by itself it lives where it is put.
    built(&["low", "--out", "low"]);
    let said = standin.read("low/start");
    let low = standin.app().join("low");
    assert!(said.contains(&format!("exec {low}/standin")), "{said}");
    // With an image that has the other, both live there, whoever asks for all of them at once.
    let text = standin.read("m.toml");
    standin.temp.write(
        "standin/m.toml",
        format!(
            "{text}[component.image.image]\ntree = {{ '/srv/high' = '{{component:high}}' }}\n\
             entrypoint = ['/srv/high/start']\nallow-missing = ['*']\n"
        ),
    );
    built(&["--out", "all"]);
    for name in ["low/start", "high/start", "high/again"] {
        let said = standin.read(&format!("all/{name}"));
        assert!(said.contains("exec /srv/high/standin"), "{name}: {said}");
    }
}
