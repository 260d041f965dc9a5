//! Git dependencies: a pinned commit, packed as `npm pack` packs it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::json;

use crate::common::{self, Run as _, Temp};
use crate::registry::{Project, assert_same};

fn git(folder: &Utf8Path, args: &[&str]) -> String {
    let ran = Command::new("git")
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@x.example",
            "-c",
            "init.defaultBranch=main",
        ])
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_AUTHOR_DATE", "2026-01-01T00:00:00Z")
        .env("GIT_COMMITTER_DATE", "2026-01-01T00:00:00Z")
        .run();
    ran.ok().stdout.trim().to_owned()
}

/// A repository with these files, some of them executable; and its commit.
pub fn repository(temp: &Temp, name: &str, files: &[(&str, u32, &str)]) -> (Utf8PathBuf, String) {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = temp.join(format!("forge/{name}"));
    fs::create_dir_all(&folder).unwrap();
    git(&folder, &["init", "--quiet"]);
    for (path, mode, text) in files {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(*mode)).unwrap();
    }
    git(&folder, &["add", "--all", "--force"]);
    git(&folder, &["commit", "--quiet", "-m", "all"]);
    let commit = git(&folder, &["rev-parse", "HEAD"]);
    (folder, commit)
}

#[test]
fn a_commit_is_packed_as_npm_packs_it() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "g": "git+ssh://git@forge.example/t/g.git", "h": "git+https://forge.example/t/h.git" },
    }));
    let about = json!({
        "name": "g", "version": "1.2.3", "main": "lib/main.js", "bin": { "g": "cli.js" },
        "files": ["lib", "types/*.d.ts", "!lib/secret.js"]
    });
    let (g, g_commit) = repository(
        &project.temp,
        "g.git",
        &[
            ("package.json", 0o644, &about.to_string()),
            ("README.md", 0o644, "read me"),
            ("LICENSE", 0o644, "may"),
            ("cli.js", 0o644, "#!/usr/bin/env node\r\n"),
            ("lib/main.js", 0o644, "main"),
            ("lib/run.sh", 0o755, "#!/bin/sh"),
            ("lib/secret.js", 0o644, "no"),
            ("lib/.gitignore", 0o644, "deep.js"),
            ("lib/deep.js", 0o644, "deep"),
            ("lib/x/y/z.js", 0o644, "z"),
            ("types/a.d.ts", 0o644, "a"),
            ("types/b.ts", 0o644, "b"),
            ("test/t.js", 0o644, "not packed"),
            ("package-lock.json", 0o644, "{}"),
            (".npmrc", 0o644, "no"),
        ],
    );
    // No `files`: ignore files decide.
    let about = json!({ "name": "h", "version": "0.0.1" }).to_string();
    let (h, h_commit) = repository(
        &project.temp,
        "h.git",
        &[
            ("package.json", 0o644, &about),
            (
                ".gitignore",
                0o644,
                "*.log\n/dist\n!keep.log\n# no rule\ncoverage/\n",
            ),
            ("keep.log", 0o644, "k"),
            ("drop.log", 0o644, "d"),
            ("dist/x.js", 0o644, "x"),
            ("sub/dist/x.js", 0o644, "x"),
            ("sub/.npmignore", 0o644, "y.js"),
            ("sub/.gitignore", 0o644, "z.js"),
            ("sub/y.js", 0o644, "y"),
            ("sub/z.js", 0o644, "z"),
            ("coverage/index.html", 0o644, "c"),
            ("node_modules/committed/index.js", 0o644, "n"),
            ("Makefile", 0o755, "all:"),
            (".DS_Store", 0o644, ""),
            ("x.orig", 0o644, ""),
        ],
    );
    project
        .entry("node_modules/g", json!({
            "version": "1.2.3", "resolved": format!("git+ssh://git@forge.example/t/g.git#{g_commit}"),
            "integrity": "sha512-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
            "bin": { "g": "cli.js" }
        }))
        .entry("node_modules/h", json!({
            "version": "0.0.1", "resolved": format!("git+https://forge.example/t/h.git#{h_commit}"),
        }));
    let (ours, theirs) = (project.write("ours"), project.write("theirs"));
    let config = format!(
        "[safe]\n\tdirectory = *\n[url \"{g}\"]\n\tinsteadOf = ssh://git@forge.example/t/g.git\n\
         [url \"{h}\"]\n\tinsteadOf = https://forge.example/t/h.git\n"
    );
    project.temp.write("npm-home/.gitconfig", config);
    // Else npm takes the registry's host for git's, too.
    project
        .npm(&theirs, &["--replace-registry-host", "never"])
        .ok();
    let mirrors = [
        format!("ssh://git@forge.example/t/g.git={g}"),
        format!("https://forge.example/t/h.git={h}"),
    ];
    let args = ["--mirror", &mirrors[0], "--mirror", &mirrors[1]];
    project.lockwright(&ours, &args).ok();
    assert_same(&project.temp, &ours, &theirs);
    assert!(ours.join("node_modules/h/keep.log").is_file());

    // From the store alone, the repositories being gone.
    fs::remove_dir_all(project.temp.join("forge")).unwrap();
    fs::remove_dir_all(ours.join("node_modules")).unwrap();
    project.lockwright(&ours, &["--offline"]).ok();
    assert_same(&project.temp, &ours, &theirs);
}

#[test]
fn offline_a_commit_that_is_not_here_is_named() {
    let mut project = Project::new(json!({
        "name": "project", "version": "1.0.0", "dependencies": { "g": "git+https://forge.example/g.git" },
    }));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    let resolved = format!("git+https://forge.example/g.git#{commit}");
    project.entry(
        "node_modules/g",
        json!({ "version": "1.0.0", "resolved": resolved }),
    );
    let said = project
        .lockwright(&project.write("ours"), &["--offline"])
        .exit(1)
        .stderr;
    assert!(
        said.contains("g: ") && said.contains("--mirror https://forge.example/g.git="),
        "{said}"
    );
}

/// npm's own packlist, asked about many small folders at once.
#[test]
fn patterns_choose_the_files_that_npm_packlist_chooses() {
    use lockwright::install::npm::packlist::{Kind, PackSource, select};
    let rules: &[&str] = &[
        "",
        "lib",
        "lib/",
        "./lib",
        "/lib",
        "lib/*",
        "lib/**",
        "lib/*.js",
        "**/*.js",
        "*.js",
        "!lib/a.js",
        "!lib",
        "*",
        "**",
        "a.{js,ts}",
        "[ab].js",
        "?.js",
        ".hidden",
        "lib/.hidden",
        "sub/dir",
        "dir",
        "dir/",
        "/dir",
        "sub/**/a.js",
        "!*.ts",
        "README.md",
        "lib/a.js",
        "node_modules",
        "/a.js",
        "**/dir/**",
        "#a",
        "  a.js  ",
        "LIB",
        "sub/../lib",
        "!/lib/a.js",
        "lib/sub",
        ".",
        "./",
        "*.d.ts",
        "!**/*.ts",
        "sub/",
        "sub/dir/a.js",
    ];
    let tree = [
        "a.js",
        "b.js",
        "a.ts",
        "x.d.ts",
        "README.md",
        "readme",
        "LICENSE.txt",
        "license~",
        ".hidden",
        "main.js",
        "lib/a.js",
        "lib/b.ts",
        "lib/.hidden",
        "lib/sub/a.js",
        "lib/sub/dir/a.js",
        "sub/a.js",
        "sub/dir/a.js",
        "sub/dir/b.ts",
        "sub/dir/README.md",
        "dir/a.js",
        "node_modules/x/index.js",
        "lib/node_modules/y/index.js",
        ".npmrc",
        "lib/.npmrc",
        "._x",
        "x.orig",
        "package-lock.json",
        "lib/package.json",
        "archived-packages/x",
        "bin/cli.js",
        ".github/x.yml",
    ];
    let temp = Temp::new();
    let mut cases = Vec::new();
    let mut number = 0_usize;
    let mut next = || {
        // A fixed sequence: the same cases each time.
        number += 1;
        number.wrapping_mul(7919) % rules.len()
    };
    for case in 0..160 {
        let mut about = json!({ "name": "p", "version": "1.0.0" });
        let mut files: Vec<(String, String)> = tree
            .iter()
            .map(|path| ((*path).to_owned(), String::new()))
            .collect();
        if case % 2 == 0 {
            about["files"] = json!([rules[next()], rules[next()]]);
        }
        if case % 3 == 0 {
            files.push((
                ".npmignore".into(),
                format!("{}\n{}\n", rules[next()], rules[next()]),
            ));
        }
        if case % 4 == 1 {
            files.push((
                ".gitignore".into(),
                format!("{}\r\n{}\n", rules[next()], rules[next()]),
            ));
        }
        if case % 5 == 0 {
            files.push(("lib/.npmignore".into(), rules[next()].to_owned()));
            files.push(("sub/.gitignore".into(), rules[next()].to_owned()));
        }
        if case % 7 == 0 {
            about["main"] = "main.js".into();
            about["bin"] = json!({ "p": "bin/cli.js" });
        }
        files.push(("package.json".into(), about.to_string()));
        for (path, text) in &files {
            temp.write(&format!("{case}/{path}"), text);
        }
        cases.push((about, files));
    }
    let npm = common::npm().with_file_name("../lib/node_modules/npm");
    let script = temp.write(
        "ask.js",
        "const [,, npm, root, count] = process.argv;
const Arborist = require(npm + '/node_modules/@npmcli/arborist');
const packlist = require(npm + '/node_modules/npm-packlist');
(async () => {
  const all = [];
  for (let i = 0; i < count; i++) {
    const tree = await new Arborist({ path: root + '/' + i }).loadActual();
    all.push(await packlist(tree));
  }
  console.log(JSON.stringify(all));
})();",
    );
    let count = cases.len().to_string();
    let asked = [script.as_str(), npm.as_str(), temp.path().as_str(), &count];
    let theirs = common::run(common::node(), asked);
    let theirs: Vec<Vec<String>> = serde_json::from_str(&theirs).unwrap();
    let mut wrong = String::new();
    for ((about, files), theirs) in cases.iter().zip(theirs) {
        let find = |path: &str| files.iter().find(|(own, _)| own == path);
        let source = PackSource {
            entries: files
                .iter()
                .map(|(path, _)| (path.clone(), Kind::File))
                .collect(),
            read: &|path| find(path).map(|(_, text)| text.as_bytes()),
            about,
            programs: about["bin"]["p"]
                .as_str()
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        let ours = select(&source).unwrap();
        let (mut a, mut b) = (ours.clone(), theirs.clone());
        a.sort();
        b.sort();
        if a != b {
            let ignores: Vec<_> = files
                .iter()
                .filter(|(path, _)| path.ends_with("ignore"))
                .collect();
            let more: Vec<_> = a.iter().filter(|path| !b.contains(path)).collect();
            let less: Vec<_> = b.iter().filter(|path| !a.contains(path)).collect();
            writeln!(
                wrong,
                "{about} {ignores:?}\n  ours alone {more:?}\n  npm alone {less:?}"
            )
            .unwrap();
        } else if ours != theirs {
            writeln!(wrong, "{about}: order\n  ours {ours:?}\n  npm  {theirs:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
