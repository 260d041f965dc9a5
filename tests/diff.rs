//! `lockwright diff` as it is typed: against a script that counts by itself, from revisions, in every format.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run, Temp};
use serde_json::Value;

fn diff(temp: &Temp, old: &Utf8Path, new: &Utf8Path, more: &[&str]) -> Ran {
    common::lockwright(temp)
        .arg("diff")
        .args([old, new])
        .args(more)
        .run()
}

/// Pairs of locks: our own, and those of real releases where they are at hand.
fn bumps() -> Vec<(Utf8PathBuf, Utf8PathBuf)> {
    let mut all = vec![
        (
            common::fixture("bump/old/uv.lock"),
            common::fixture("bump/new/uv.lock"),
        ),
        (
            common::fixture("bump-npm/old/package-lock.json"),
            common::fixture("bump-npm/new/package-lock.json"),
        ),
        (
            common::fixture("forks/uv.lock"),
            common::fixture("heavy/uv.lock"),
        ),
        (
            common::fixture("sources/uv.lock"),
            common::fixture("bump/new/uv.lock"),
        ),
        (
            common::fixture("npm-aliases-bundled/package-lock.json"),
            common::fixture("bump-npm/new/package-lock.json"),
        ),
    ];
    let Some(releases) = common::flagship_locks() else {
        return all;
    };
    for (old, new) in [
        ("2025.12.4", "2026.2.0"),
        ("2026.2.0", "2026.2.2"),
        ("2025.12.4", "2026.2.2"),
    ] {
        for lock in ["uv.lock", "package-lock.json", "web/package-lock.json"] {
            all.push((releases.join(old).join(lock), releases.join(new).join(lock)));
        }
    }
    all
}

#[test]
fn every_change_is_the_one_that_a_plain_script_finds_the_flagship_s_too() {
    let temp = Temp::new();
    let script = common::project().join("tests/oracle/lock_changes.py");
    for (old, new) in bumps()
        .into_iter()
        .flat_map(|(a, b)| [(a.clone(), b.clone()), (b, a)])
    {
        let plain = common::run(
            common::python(),
            [script.as_str(), old.as_str(), new.as_str()],
        );
        let plain: Value = serde_json::from_str(&plain).unwrap();
        let ours = diff(&temp, &old, &new, &["--json"]).ok().json();
        let word = |change: &Value| match change["kind"].as_str().unwrap() {
            "up" => change["step"].as_str().unwrap().to_owned(),
            other => other.to_owned(),
        };
        let version = |side: &Value| side["version"].as_str().unwrap_or("-").to_owned();
        let mut changes: Vec<String> = (ours["changes"].as_array().unwrap().iter())
            .map(|change| {
                let name = change["name"].as_str().unwrap();
                let (old, new) = (version(&change["old"]), version(&change["new"]));
                format!("{} {name} {old} {new}", word(change))
            })
            .collect();
        changes.sort();
        let theirs: Vec<&str> = plain["changes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line.as_str().unwrap())
            .collect();
        assert_eq!(changes, theirs, "{old} → {new}");
        for kind in [
            "added",
            "removed",
            "major",
            "minor",
            "patch",
            "label",
            "down",
            "altered",
            "relocated",
            "unchanged",
        ] {
            let count = plain["counts"][kind].as_u64().unwrap_or(0);
            assert_eq!(ours["summary"][kind], count, "{kind} of {old} → {new}");
        }
    }
}

/// A lock of our own with one thing changed in it that nobody should change.
fn swapped(temp: &Temp, lock: &Utf8Path, from: &str, to: &str) -> Utf8PathBuf {
    let text = std::fs::read_to_string(lock).unwrap();
    assert!(text.contains(from), "{lock} has no {from}");
    temp.write(lock.file_name().unwrap(), text.replacen(from, to, 1))
}

#[test]
fn a_planted_swap_is_the_first_thing_that_every_report_says() {
    let temp = Temp::new();
    let uv = common::fixture("bump/new/uv.lock");
    let npm = common::fixture("bump-npm/new/package-lock.json");
    let text = std::fs::read_to_string(&uv).unwrap();
    let of_requests = text
        .split("[[package]]\nname = \"requests\"")
        .nth(1)
        .unwrap();
    let of_requests = of_requests.split("[[package]]").next().unwrap();
    let between = |text: &str, from: &str, to: &str| {
        let (_, rest) = text.split_once(from).unwrap();
        rest.split_once(to).unwrap().0.to_owned()
    };
    let digest = between(of_requests, "sha256:", "\"");
    let url = between(of_requests, "url = \"", "\"");
    let wheels = format!("wheels = [{}]\n", between(of_requests, "wheels = [", "]\n"));
    let express = between(
        &std::fs::read_to_string(&npm).unwrap(),
        "\"node_modules/express\": {",
        "}",
    );
    let integrity = between(&express, "\"integrity\": \"sha512-", "\"");
    let resolved = between(&express, "\"resolved\": \"", "\"");
    let altered = |text: &str| {
        let first = if text.starts_with('0') { "1" } else { "0" };
        format!("{first}{}", text.get(1..).unwrap())
    };
    for (lock, package, from, to) in [
        (&uv, "requests", digest.clone(), altered(&digest)),
        (&uv, "requests", url.clone(), url.replace("pypi", "pypl")),
        (&uv, "requests", wheels, String::new()),
        (&npm, "express", integrity.clone(), altered(&integrity)),
        (
            &npm,
            "express",
            resolved.clone(),
            resolved.replace("npm.example", "npn.example"),
        ),
    ] {
        let new = swapped(&temp, lock, &from, &to);
        let label = format!("{package} ");
        let said = diff(&temp, lock, &new, &["--fail-on", "alarm"])
            .exit(1)
            .stdout;
        assert!(said.starts_with(&format!("ALARM   {label}")), "{said}");
        let said = diff(&temp, lock, &new, &["--format", "markdown"])
            .ok()
            .stdout;
        let first = said.lines().find(|line| line.starts_with("- ")).unwrap();
        assert!(
            first.starts_with(&format!("- 🚨 **ALARM** `{label}")),
            "{said}"
        );
        let said = diff(&temp, lock, &new, &["--json"]).ok().json();
        assert_eq!(said["findings"][0]["severity"], "alarm");
        assert!(
            said["findings"][0]["packages"][0]
                .as_str()
                .unwrap()
                .starts_with(&label),
            "{said}"
        );
        let page = diff(&temp, lock, &new, &["--format", "html"]).ok().stdout;
        let alarm = page.find("<li class=\"alarm\">").unwrap();
        assert!(
            page[alarm..].starts_with(&format!("<li class=\"alarm\"><b>alarm</b><code>{label}"))
        );
        assert!(alarm < page.find("<table>").unwrap());
        // One package is no picture.
        assert!(!page.contains("<svg"), "{page}");
        // And it says nothing of the kind of the lock itself.
        diff(&temp, lock, lock, &["--fail-on", "change"]).ok();
    }
}

#[test]
fn the_schema_is_the_one_that_is_published_and_reports_follow_it() {
    let temp = Temp::new();
    let printed = common::lockwright(&temp)
        .args(["diff", "--schema"])
        .run()
        .ok()
        .stdout;
    let published = common::project().join("docs/schema/diff.schema.json");
    let text = std::fs::read_to_string(&published).unwrap();
    assert_eq!(
        printed, text,
        "write it anew: lockwright diff --schema > {published}"
    );
    let check = "import json, sys, jsonschema\n\
                 schema = json.load(open(sys.argv[1]))\n\
                 jsonschema.Draft202012Validator.check_schema(schema)\n\
                 for line in sys.argv[2:]: jsonschema.validate(json.load(open(line)), schema)\n";
    let mut reports = Vec::new();
    for (at, (old, new)) in bumps().into_iter().enumerate() {
        let report = diff(&temp, &old, &new, &["--json"]).ok().stdout;
        reports.push(temp.write(&format!("{at}.json"), report).into_string());
    }
    let mut args = vec!["-c".to_owned(), check.to_owned(), published.into_string()];
    args.extend(reports);
    common::run(common::validators(), args);
}

#[test]
fn targets_are_compared_beside_each_other() {
    let temp = Temp::new();
    let (old, new) = (common::fixture("bump/old"), common::fixture("bump/new"));
    let targets = [
        "--target",
        "3.13@x86_64-manylinux_2_28",
        "--target",
        "3.13@windows",
        "--no-dev",
    ];
    let said = diff(&temp, &old, &new, &targets).ok().stdout;
    assert!(
        said.contains("for 3.13@x86_64-manylinux_2_28, 3.13@windows"),
        "{said}"
    );
    // uvicorn[standard] needs uvloop everywhere but there.
    let line = said.lines().find(|line| line.contains("uvloop"));
    assert!(!said.contains("pytest"), "development is left out: {said}");
    assert!(line.is_some(), "{said}");
    let json = diff(&temp, &old, &new, &[&targets[..], &["--json"]].concat())
        .ok()
        .json();
    let changes = json["changes"].as_array().unwrap();
    let of = |name: &str| {
        changes
            .iter()
            .find(|change| change["name"] == name)
            .unwrap()
    };
    assert_eq!(
        of("uvloop")["targets"],
        serde_json::json!(["3.13@x86_64-manylinux_2_28"])
    );
    // Of another version, the one file of each target.
    assert_eq!(of("cryptography")["files"].as_array().unwrap().len(), 2);
    let (old, new) = (
        common::fixture("bump-npm/old"),
        common::fixture("bump-npm/new"),
    );
    let targets = [
        "--target",
        "linux-x64",
        "--target",
        "darwin-arm64",
        "--json",
        "--omit",
        "dev",
    ];
    let json = diff(&temp, &old, &new, &targets).ok().json();
    let changes = json["changes"].as_array().unwrap();
    let of = |name: &str| {
        changes
            .iter()
            .find(|change| change["name"] == name)
            .unwrap()
    };
    assert_eq!(
        of("@esbuild/linux-x64")["targets"],
        serde_json::json!(["linux-x64"])
    );
    assert!(of("express")["targets"].is_null());
    assert!(!changes.iter().any(|change| change["name"] == "eslint"));
}

#[test]
fn locks_are_taken_from_revisions_and_shown_by_git() {
    let temp = Temp::new();
    let repo = temp.join("repo");
    std::fs::create_dir(&repo).unwrap();
    let git = |args: &[&str]| {
        std::process::Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example"])
            .args(args)
            .current_dir(&repo)
            .env(
                "PATH",
                format!(
                    "{}:{}",
                    Utf8Path::new(env!("CARGO_BIN_EXE_lockwright"))
                        .parent()
                        .unwrap(),
                    std::env::var("PATH").unwrap()
                ),
            )
            .run()
            .ok()
            .stdout
    };
    git(&["init", "--quiet"]);
    for (side, tag) in [("old", "v1"), ("new", "v2")] {
        for name in ["uv.lock", "pyproject.toml"] {
            std::fs::copy(
                common::fixture(&format!("bump/{side}")).join(name),
                repo.join(name),
            )
            .unwrap();
        }
        std::fs::create_dir_all(repo.join("web")).unwrap();
        std::fs::copy(
            common::fixture(&format!("bump-npm/{side}/package-lock.json")),
            repo.join("web/package-lock.json"),
        )
        .unwrap();
        git(&["add", "."]);
        git(&["commit", "--quiet", "-m", side]);
        git(&["tag", tag]);
    }
    let ran = |args: &[&str]| {
        common::lockwright(&temp)
            .arg("diff")
            .args(args)
            .current_dir(&repo)
            .run()
    };
    let by_file = diff(
        &temp,
        &common::fixture("bump/old"),
        &common::fixture("bump/new"),
        &["--json"],
    )
    .ok()
    .json();
    for (old, new) in [
        ("v1:uv.lock", "v2:uv.lock"),
        ("v1:", "v2:"),
        ("HEAD~1:./uv.lock", "."),
        ("v1:", "uv.lock"),
    ] {
        let by_revision = ran(&[old, new, "--json"]).ok().json();
        assert_eq!(by_revision["changes"], by_file["changes"], "{old} {new}");
    }
    let with_groups = ran(&["v1:", "v2:", "--target", "3.13@linux", "--json"])
        .ok()
        .json();
    assert!(
        with_groups["changes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|change| change["name"] == "ruff")
    );
    let web = ran(&["v1:web", "v2:web"]).ok().stdout;
    assert!(web.starts_with("warning sharp"), "{web}");
    let said = ran(&["v1:uv.lock", "v1:web"]).exit(1).stderr;
    assert!(said.contains("locks of different tools"), "{said}");
    let said = ran(&["v3:uv.lock", "v1:uv.lock"]).exit(1).stderr;
    assert!(said.contains("git cat-file failed"), "{said}");
    ran(&["--output=x:uv.lock", "v1:uv.lock"]).exit(2);

    // As the documentation has it.
    std::fs::write(
        repo.join(".gitattributes"),
        "uv.lock diff=lockwright\npackage-lock.json diff=lockwright\n",
    )
    .unwrap();
    let settings = ["-c", "diff.lockwright.textconv=lockwright diff --textconv"];
    let shown = git(&[&settings[..], &["diff", "v1", "v2", "--", "uv.lock"]].concat());
    assert!(
        shown.contains("\n-requests 2.32.3") && shown.contains("\n+requests "),
        "{shown}"
    );
    assert!(shown.lines().count() < 400, "{shown}");
    let settings = ["-c", "diff.lockwright.command=lockwright diff --git"];
    let shown = git(&[&settings[..], &["diff", "v1", "v2", "--ext-diff"]].concat());
    assert!(shown.contains("Up, major"), "{shown}");
    // Each file's name comes before what was found in it.
    let (first, rest) = shown.split_once("\nweb/package-lock.json\n\n").unwrap();
    assert!(first.contains("\nuv.lock\n\nwarning ruff"), "{shown}");
    assert!(rest.starts_with("warning sharp"), "{shown}");
}

#[test]
fn what_is_no_lock_is_told_in_a_sentence() {
    let temp = Temp::new();
    let lock = common::fixture("bump/old");
    for (name, text, sentence) in [
        ("uv.lock", "version = 2\n", "lock version 2"),
        (
            "uv.lock",
            "version = 1\n[[package]]\nname = 1\n",
            "uv.lock:3:8",
        ),
        ("package-lock.json", "{\"lockfileVersion\": 1}", "version 1"),
    ] {
        let file = temp.write(name, text);
        let said = diff(&temp, &lock, &file, &[]).exit(1).stderr;
        assert!(said.contains(sentence), "{said}");
    }
    let said = diff(&temp, &lock, Utf8Path::new("nowhere"), &[])
        .exit(1)
        .stderr;
    assert!(said.contains("there is no nowhere"), "{said}");
    let said = diff(&temp, &lock, &lock, &["--target", "nonsense"])
        .exit(1)
        .stderr;
    assert!(said.contains("is not a known platform"), "{said}");
}

#[test]
fn a_report_is_the_same_each_time() {
    let temp = Temp::new();
    for (old, new) in bumps() {
        for format in ["text", "markdown", "json", "html"] {
            let one = diff(&temp, &old, &new, &["--format", format]).ok().stdout;
            let other = diff(&temp, &old, &new, &["--format", format]).ok().stdout;
            assert!(one == other, "{format} of {old} → {new}");
        }
    }
}

#[test]
fn what_is_in_the_files_is_compared_without_a_network() {
    let temp = Temp::new();
    let old = temp.copy_of_fixture("default");
    // A newer release of one of the packages, with a file that Python runs whenever it starts.
    let new = temp.join("new");
    common::copy_tree(&old, &new);
    let make = "import sys, zipfile, hashlib, base64\n\
        old, new = sys.argv[1:]\n\
        a, b = zipfile.ZipFile(old), zipfile.ZipFile(new, 'w')\n\
        files = {n.replace('2.0.1', '2.0.2'): a.read(n).replace(b'2.0.1', b'2.0.2') for n in a.namelist()}\n\
        files['greeting_words.pth'] = b'import os; os.system(\"true\")\\n'\n\
        files['shouting.py'] = b''\n\
        about = next(n for n in files if n.endswith('METADATA'))\n\
        urls = b'Project-URL: Source, javascript:alert(1)\\nProject-URL: Homepage, https://github.com/o/r\\n'\n\
        urls += b'Project-URL: Changelog, https://h.example/a|b<img src=x>/blob/r-2.0.2/C@me\\n'\n\
        files[about] = files[about].replace(b'Name:', urls + b'Name:', 1)\n\
        record = next(n for n in files if n.endswith('RECORD'))\n\
        sha = lambda d: base64.urlsafe_b64encode(hashlib.sha256(d).digest()).rstrip(b'=').decode()\n\
        files[record] = ''.join(f'{n},,\\n' if n == record else f'{n},sha256={sha(d)},{len(d)}\\n' for n, d in files.items()).encode()\n\
        [b.writestr(n, d) for n, d in files.items()]\n\
        b.close()\n\
        print(hashlib.sha256(open(new, 'rb').read()).hexdigest())\n";
    let wheel =
        |version: &str| new.join(format!("wheels/greeting_words-{version}-py3-none-any.whl"));
    let (before, after) = (wheel("2.0.1"), wheel("2.0.2"));
    let digest = common::run(
        common::python(),
        ["-c", make, before.as_str(), after.as_str()],
    );
    let lock = std::fs::read_to_string(new.join("uv.lock")).unwrap();
    let entry = lock
        .split("\n[[package]]\n")
        .find(|entry| entry.starts_with("name = \"greeting-words\""))
        .unwrap();
    let digested = entry.split("sha256:").nth(1).unwrap().get(..64).unwrap();
    let changed = entry
        .replace("2.0.1", "2.0.2")
        .replace(digested, digest.trim());
    std::fs::write(new.join("uv.lock"), lock.replace(entry, &changed)).unwrap();

    let python = common::python();
    let args = ["--contents", "--offline", "--python", python.as_str()];
    let json = diff(&temp, &old, &new, &[&args[..], &["--json"]].concat())
        .ok()
        .json();
    let change = &json["changes"][0];
    assert_eq!(change["name"], "greeting-words", "{json}");
    let inside = &change["contents"];
    assert_eq!(
        inside["modules-added"],
        serde_json::json!(["shouting"]),
        "{json}"
    );
    assert_eq!(inside["hooks"][0]["hook"], "greeting_words.pth");
    // A script is no link, and what is one ends nothing that stands around it.
    let links = &change["links"];
    assert_eq!(links["source"], "https://github.com/o/r", "{json}");
    let compare = "https://github.com/o/r/compare/r-2.0.1...r-2.0.2";
    assert_eq!(links["compare"], compare, "{json}");
    assert_eq!(json["findings"][0]["kind"], "hook-reaches");
    assert_eq!(json["findings"][0]["severity"], "alarm");
    let said = diff(
        &temp,
        &old,
        &new,
        &[&args[..], &["--fail-on", "alarm"]].concat(),
    )
    .exit(1)
    .stdout;
    assert!(
        said.starts_with("ALARM   greeting-words 2.0.2: newly runs greeting_words.pth"),
        "{said}"
    );
    assert!(said.contains("new modules: shouting"), "{said}");
    for format in ["markdown", "html"] {
        let said = diff(
            &temp,
            &old,
            &new,
            &[&args[..], &["--format", format]].concat(),
        )
        .ok()
        .stdout;
        assert!(said.contains("new modules: shouting"), "{said}");
        assert!(said.contains(compare), "{said}");
        assert!(
            said.contains("https://h.example/a%7Cb%3Cimg%20src=x%3E/blob/"),
            "{said}"
        );
        assert!(
            !said.contains("<img") && !said.contains("javascript:alert"),
            "{said}"
        );
    }
    // A file that is gone is no reason to say nothing, nor to say that all is well.
    std::fs::remove_file(&after).unwrap();
    let empty = temp.join("empty");
    let gone = ["--store", empty.as_str(), "--fail-on", "warning"];
    let ran = diff(&temp, &old, &new, &[&args[..], &gone].concat()).exit(1);
    assert!(ran.stderr.contains("greeting_words-2.0.2"), "{ran}");
    assert!(
        ran.stdout
            .contains("greeting-words 2.0.2: could not be looked into"),
        "{ran}"
    );
}

/// An npm tarball of one package.
fn tarball(files: &[(&str, &str)]) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let mut tar = tar::Builder::new(gzip);
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("package/{path}"), text.as_bytes())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_lock_that_names_no_registry_is_looked_into_through_the_one_that_npm_would_ask() {
    let temp = Temp::new();
    let server = common::Server::new();
    let side = |side: &str, version: &str, text: &str| {
        let about =
            format!("{{\"name\": \"a\", \"version\": \"{version}\", \"repository\": \"o/r\"}}");
        let bytes = tarball(&[("package.json", &about), ("index.js", text)]);
        let digest = lockwright::core::digest::Digest::of(
            lockwright::core::digest::Algorithm::Sha512,
            &bytes,
        );
        server.put(&format!("/registry/a/-/a-{version}.tgz"), bytes);
        temp.write(
            &format!("{side}/package-lock.json"),
            format!(
                "{{\"lockfileVersion\": 3, \"packages\": {{\"\": {{\"dependencies\": {{\"a\": \"*\"}}}}, \
                 \"node_modules/a\": {{\"version\": \"{version}\", \"integrity\": \"{}\"}}}}}}",
                digest.sri()
            ),
        )
    };
    let (old, new) = (
        side("old", "1.0.0", "1"),
        side("new", "1.1.0", &"2".repeat(9000)),
    );
    let registry = server.url("/registry/");
    let ran = diff(
        &temp,
        &old,
        &new,
        &["--contents", "--json", "--registry", &registry],
    )
    .ok();
    let json = ran.json();
    let change = &json["changes"][0];
    let changed = &change["contents"]["files-changed"];
    assert_eq!(
        *changed,
        serde_json::json!(["index.js", "package.json"]),
        "{ran}"
    );
    let compare = &change["links"]["compare"];
    assert_eq!(compare, "https://github.com/o/r/compare/v1.0.0...v1.1.0");
    // The lock gives no sizes, but now they are known.
    assert!(change["new"]["size"].as_u64().unwrap() > 0, "{ran}");
    let page = [
        "--contents",
        "--format",
        "html",
        "--offline",
        "--registry",
        &registry,
    ];
    let page = diff(&temp, &old, &new, &page).ok().stdout;
    assert!(!page.contains("gives no sizes"), "{page}");
    // Without one it is said what to do, and nothing else is taken for the tarball.
    let ran = diff(&temp, &old, &new, &["--contents"]).ok();
    assert!(ran.stderr.contains("name one with --registry"), "{ran}");
    assert!(
        ran.stdout
            .contains("warning a 1.1.0: could not be looked into"),
        "{ran}"
    );
}

#[test]
fn names_that_only_linkers_know_are_no_symbols() {
    let temp = Temp::new();
    let read = |source: &str| -> Vec<u8> {
        let (c, so) = (temp.write("x.c", source), temp.join("x.so"));
        let args = ["-shared", "-nostartfiles", "-o", so.as_str(), c.as_str()];
        common::run(common::on_path("cc"), args);
        let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        zip.start_file("x.so", zip::write::SimpleFileOptions::default())
            .unwrap();
        std::io::Write::write_all(&mut zip, &std::fs::read(so).unwrap()).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let contents = |bytes: &[u8]| {
        use lockwright::inspect::diff::{contents, facts::FileKind};
        contents::read("x.whl", FileKind::Wheel, bytes).unwrap()
    };
    let old = contents(&read(
        "void _init(void) {} void _fini(void) {} int kept, gone;",
    ));
    let new = contents(&read("int kept;"));
    let lines = lockwright::inspect::diff::contents::compare(Some(&old), Some(&new)).lines();
    assert!(
        lines.contains(&"library changed x.so: −1 symbol: gone".to_owned()),
        "{lines:?}"
    );
}

#[test]
fn the_comment_for_a_pull_request_is_one_command() {
    let temp = Temp::new();
    let repo = temp.join("repo");
    let git = |args: &[&str]| {
        std::process::Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@example"])
            .args(args)
            .current_dir(&repo)
            .run()
            .ok()
    };
    std::fs::create_dir_all(repo.join("web")).unwrap();
    let copy = |from: &str, to: &str| {
        std::fs::copy(common::fixture(from), repo.join(to)).unwrap();
    };
    git(&["init", "--quiet"]);
    copy("bump/old/uv.lock", "uv.lock");
    copy("bump-npm/old/package-lock.json", "web/package-lock.json");
    std::fs::write(repo.join("requirements.txt"), "a==1.0\n").unwrap();
    std::fs::write(repo.join("README"), "1").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "base"]);
    let comment = |more: &[&str]| {
        common::lockwright(&temp)
            .args(["diff", "HEAD", "--comment"])
            .args(more)
            .current_dir(&repo)
            .run()
    };
    let quiet = comment(&["--fail-on", "change"]).ok().stdout;
    assert!(quiet.starts_with("<!-- lockwright -->\n"), "{quiet}");
    assert!(quiet.contains("No lock differs"), "{quiet}");
    let lock = std::fs::read_to_string(common::fixture("bump/new/uv.lock")).unwrap();
    let forged = lock.replace(
        "files.pypi.example/packages/",
        "files.pypl.example/packages/",
    );
    let forged = if forged == lock {
        lock.replace("files.pypi.example", "files.pypl.example")
    } else {
        forged
    };
    std::fs::write(repo.join("uv.lock"), forged).unwrap();
    copy("bump-npm/new/package-lock.json", "web/package-lock.json");
    std::fs::write(repo.join("requirements.txt"), "a==2.0\nb==1.0\n").unwrap();
    std::fs::write(repo.join("README"), "2").unwrap();
    let ran = comment(&["--fail-on", "alarm"]).exit(1);
    let said = &ran.stdout;
    assert!(said.starts_with("<!-- lockwright -->\n"), "{said}");
    assert!(said.len() < 65_536, "{}", said.len());
    for part in [
        "`HEAD:uv.lock`",
        "`web/package-lock.json`",
        "`requirements.txt`",
        "🚨 **ALARM**",
        "</details>",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(said.matches("<!-- lockwright -->").count(), 1);
    // What is gone, and what is new, is told in a sentence.
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "next"]);
    std::fs::remove_file(repo.join("requirements.txt")).unwrap();
    let said = comment(&[]).ok().stdout;
    assert!(said.contains("`requirements.txt` is gone"), "{said}");
    comment(&["--json"]).exit(2);
    let said = common::lockwright(&temp)
        .args(["diff", "--comment", "--", "-x"])
        .current_dir(&repo)
        .run()
        .exit(1);
    assert!(said.stderr.contains("begins with a dash"), "{said}");
}
