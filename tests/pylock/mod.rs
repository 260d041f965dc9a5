//! `pylock.toml` (PEP 751): planned and assembled as uv and `packaging` do it, and written so that both
//! take it.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use crate::common::{self, Ran, Run as _, Temp};
use crate::oracle::{self, Project, Python, same};

/// uv's export, ours, and what both tools make of them, beside the lock that they are made from.
#[test]
fn a_pylock_is_planned_as_the_lock_that_it_was_made_from() {
    let targets = [
        ("3.12.4", "x86_64-manylinux_2_28"),
        ("3.10.2", "aarch64-manylinux_2_34"),
        ("3.14.0", "x86_64-musllinux_1_2"),
        ("3.13.2", "x86_64-windows"),
    ]
    .map(|(version, platform)| Python::new(version, platform));
    let selections: [(&str, &[&[&str]]); 3] = [
        ("forks", &[&[]]),
        ("heavy", &[&[]]),
        (
            "conflicts",
            &[
                &[],
                &["--extra", "new", "--extra", "web"],
                &["--extra", "old", "--no-dev"],
                &["--group", "pinned", "--group", "lint-old"],
                &["--only-group", "lint-new"],
            ],
        ),
    ];
    let mut most = 0;
    for (fixture, selections) in selections {
        let project = Project::from_folder(&common::fixture(fixture));
        for args in selections {
            let first = &targets[0];
            project
                .pylock_by_uv(first, args, "pylock.theirs.toml")
                .unwrap();
            project.pylock_by_us(args, "pylock.ours.toml").unwrap();
            for target in &targets {
                let question = format!("{fixture} {args:?} {target:?}");
                // uv writes wheels' names in lower case, beside URLs that have them as they are.
                let of = |also: &[&str]| {
                    let files = project.files_by_us(&[also, &target.args()].concat())?;
                    Ok::<BTreeSet<String>, String>(
                        files.iter().map(|name| name.to_lowercase()).collect(),
                    )
                };
                let Ok(files) = of(args) else {
                    assert!(of(&["pylock.theirs.toml"]).is_err(), "{question}");
                    assert!(of(&["pylock.ours.toml"]).is_err(), "{question}");
                    continue;
                };
                same(Ok(files.clone()), of(&["pylock.theirs.toml"]), &question);
                same(Ok(files.clone()), of(&["pylock.ours.toml"]), &question);
                most = most.max(files.len());
            }
            let theirs = project.files_of_pylock_by_uv(first, "pylock.ours.toml");
            let ours = project.files_by_us(&[args, &*first.args()].concat());
            same(theirs, ours, &format!("{fixture} {args:?} by uv"));
        }
    }
    assert!(most > 10, "{most}");
}

#[test]
fn of_any_lock_the_export_says_the_same_for_every_target() {
    let (mut same_ones, mut asked) = (0, 0);
    for seed in 0..30 {
        let project = oracle::random::workspace(2 * seed, false);
        let mut rng = oracle::random::Rng(seed);
        let flags = oracle::random::flags(&mut rng);
        let exported = project.pylock_by_us(&flags, "pylock.toml");
        for python in &crate::pythons()[..6] {
            asked += 1;
            let args = python.args();
            let lock = project.packages_by_us(&[&flags[..], &args].concat());
            if let (Ok(()), Ok(lock)) = (&exported, lock) {
                let ours = project.packages_by_us(&[&["pylock.toml"], &args[..]].concat());
                same(Ok(lock), ours, &format!("{seed} {flags:?} {python:?}"));
                same_ones += 1;
            }
        }
    }
    assert!(same_ones * 2 > asked, "{same_ones} of {asked}");
}

/// A folder with the default fixture's wheels, and a lock.
struct Folder {
    temp: Temp,
}

fn folder(lock: &str) -> Folder {
    let temp = Temp::new();
    temp.copy_of_fixture("default");
    let wheels = temp.join("default/wheels");
    let mut text = lock.to_owned();
    for entry in wheels.read_dir_utf8().unwrap() {
        let path = entry.unwrap().into_path();
        if !path.is_file() {
            continue;
        }
        let name = path.file_name().unwrap();
        let digest = common::run("sha256sum", [path.as_str()]);
        let digest = digest.split(' ').next().unwrap();
        text = text.replace(
            &format!("<{name}>"),
            &format!("path = \"../default/wheels/{name}\", hashes = {{ sha256 = \"{digest}\" }}"),
        );
    }
    temp.write("p/pylock.toml", text);
    Folder { temp }
}

impl Folder {
    fn run(&self, args: &[&str]) -> Ran {
        common::lockwright(&self.temp)
            .args(args)
            .current_dir(self.temp.join("p"))
            .run()
    }

    /// The packages of a plan, in order.
    fn planned(&self, args: &[&str]) -> String {
        let python = common::python();
        let plan = self.run(&[&["plan", "--json", "--python", python.as_str()], args].concat());
        let plan: serde_json::Value = serde_json::from_str(&plan.ok().stdout).unwrap();
        let packages = plan["packages"].as_array().unwrap();
        let names = packages.iter().map(|one| one["name"].as_str().unwrap());
        names.collect::<Vec<_>>().join(" ")
    }

    fn uv(&self, args: &[&str]) -> Ran {
        Command::new(common::uv())
            .args(args)
            .args(["--offline", "--preview-features", "pylock", "--cache-dir"])
            .arg(self.temp.join("uv-cache"))
            .env("UV_PYTHON", common::python())
            .env("HOME", self.temp.path())
            .current_dir(self.temp.join("p"))
            .run()
    }
}

const CHOICES: &str = r#"
lock-version = "1.0"
created-by = "a person"
requires-python = ">=3.9"
environments = ["sys_platform == 'linux'", "sys_platform == 'darwin'"]
extras = ["loud"]
dependency-groups = ["dev", "docs"]
default-groups = ["dev"]

[[packages]]
name = "greeting"
version = "1.2.0"
dependencies = [{ name = "greeting-words" }]
wheels = [{ <greeting-1.2.0-py3-none-any.whl> }]
attestation-identities = [{ kind = "someone" }]
[packages.tool.someone]
anything = true

[[packages]]
name = "greeting-words"
version = "2.0.1"
marker = "'docs' in dependency_groups or 'loud' in extras"
archive = { <greeting_words-2.0.1-py3-none-any.whl> }

[[packages]]
name = "greeting-check"
version = "1.0.0"
marker = "'dev' in dependency_groups and python_full_version >= '3.9'"
wheels = [{ <greeting_check-1.0.0-py3-none-any.whl> }]

[[packages]]
name = "greeting-shout"
version = "0.3.0"
marker = "sys_platform == 'win32' or 'loud' in extras"
wheels = [
    { <greeting_shout-0.3.0-py3-none-any.whl> },
    { <greeting_shout-0.3.0-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl> },
    { <greeting_shout-0.3.0-py3-none-win_amd64.whl> },
]

[tool.someone]
anything = 1
"#;

/// Extras and groups, as `packaging` chooses them.
#[test]
fn extras_and_groups_are_chosen_as_packaging_chooses_them() {
    let project = folder(CHOICES);
    let ask = "import sys, tomllib; from packaging.pylock import Pylock\n\
               lock = Pylock.from_dict(tomllib.load(open('pylock.toml', 'rb')))\n\
               extras, groups = (s.split(',') if s else None for s in sys.argv[1:])\n\
               print(*sorted(p.name for p, _ in lock.select(extras=extras, dependency_groups=groups)))";
    for (args, extras, groups) in [
        (&[][..], "", ""),
        (&["--extra", "loud"], "loud", ""),
        (&["--all-extras"], "loud", ""),
        (&["--group", "docs"], "", "docs"),
        (&["--group", "docs", "--dev"], "", "docs,dev"),
        (&["--all-groups"], "", "docs,dev"),
        (&["--all-groups", "--no-group", "dev"], "", "docs"),
        (&["--no-dev"], "", "none"),
        (&["--no-default-groups"], "", "none"),
        (&["--extra", "loud", "--group", "dev"], "loud", "dev"),
    ] {
        let theirs = Command::new(common::python())
            .args(["-c", ask, extras, groups])
            .current_dir(project.temp.join("p"))
            .run();
        // `none` is no group of the lock, and stands for no group at all.
        let theirs = match groups {
            "none" => "greeting\n".to_owned(),
            _ => theirs.ok().stdout,
        };
        assert_eq!(project.planned(args), theirs.trim(), "{args:?}");
    }
    assert_eq!(
        project.planned(&["--no-dev", "--no-install-package", "greeting"]),
        ""
    );
}

/// Every entry that packages brought: its mode and its bytes. Who installed it is not compared, nor are a
/// RECORD's lines of that and their order, nor what uv's own back end says of itself beside the folder in
/// place (tests/build/plain.rs).
fn entries(venv: &Utf8Path) -> Vec<String> {
    let program = r"
import hashlib, os, re, sys
top = sys.argv[1]
for folder, folders, names in os.walk(top):
    folders[:] = [n for n in folders if n not in ('__pycache__', '.lockwright')]
    for name in names:
        path = os.path.join(folder, name); inner = os.path.relpath(path, top)
        if re.search(r'/(INSTALLER|uv_.*json|_virtualenv.*)$', inner) or '/' not in inner: continue
        if re.search(r'/in_place-1.dist-info/(WHEEL|RECORD)$', inner): continue
        if inner.startswith('bin/') and not inner.endswith('/greet'): continue
        if '/site-packages/' not in inner and not inner.startswith(('bin/', 'share/', 'include/')): continue
        data = open(path, 'rb').read()
        if name == 'RECORD':
            lines = [l for l in data.split(b'\n') if not re.search(rb'(INSTALLER|uv_.*json|__pycache__)', l)]
            data = b'\n'.join(sorted(lines))
        print(inner, oct(os.stat(path).st_mode), hashlib.sha256(data).hexdigest())
";
    let listed = Command::new(common::python())
        .args(["-c", program, venv.as_str()])
        .run();
    let mut all: Vec<String> = listed.ok().stdout.lines().map(str::to_owned).collect();
    all.sort();
    all
}

/// An archive that is a wheel, a folder in place, files listed and chosen among, and a source, as an
/// archive and as a folder: the tree is uv's.
#[test]
fn the_environment_is_the_one_that_uv_makes_of_it() {
    for source in [
        "archive = { <greeting_check-1.0.0.tar.gz> }",
        "directory = { path = \"./greeting_check-1.0.0\", editable = false }",
    ] {
        let lock = CHOICES.replace(
            "wheels = [{ <greeting_check-1.0.0-py3-none-any.whl> }]",
            source,
        ) + "\n[[packages]]\nname = \"in-place\"\n\
               directory = { path = \"in-place\", editable = true }\n";
        let project = folder(&lock);
        let temp = &project.temp;
        temp.write("p/in-place/src/in_place/__init__.py", "");
        temp.write(
            "p/in-place/pyproject.toml",
            "[project]\nname = 'in-place'\nversion = '1'\n[build-system]\n\
             requires = ['uv_build']\nbuild-backend = 'uv_build'\n",
        );
        let sdist = temp.join("default/wheels/greeting_check-1.0.0.tar.gz");
        common::run(
            "tar",
            ["-xzf", sdist.as_str(), "-C", temp.join("p").as_str()],
        );
        let selection = ["--extra", "loud", "--group", "dev"];
        let python = common::python();
        let sync = ["sync", "--offline", "--python", python.as_str()];
        let said = project.run(&[&sync[..], &selection].concat()).ok().stderr;
        assert!(said.contains("Placed 5 packages"), "{said}");
        let ours = entries(&temp.join("p/.venv"));
        assert!(ours.len() > 20, "{ours:#?}");
        // In the same place, which stands in the scripts.
        fs::rename(temp.join("p/.venv"), temp.join("p/ours")).unwrap();
        project.uv(&["venv", "--quiet", ".venv"]).ok();
        let theirs = ["pip", "sync", "--python", ".venv", "pylock.toml"];
        project.uv(&[&theirs[..], &selection].concat()).ok();
        let theirs = entries(&temp.join("p/.venv"));
        let differ: Vec<_> = (ours.iter().filter(|one| !theirs.contains(one)))
            .chain(theirs.iter().filter(|one| !ours.contains(one)))
            .collect();
        assert!(differ.is_empty(), "{source}: {differ:#?}");
        fs::remove_dir_all(temp.join("p/.venv")).unwrap();
        fs::rename(temp.join("p/ours"), temp.join("p/.venv")).unwrap();
        // From then on there is nothing to do, and the tree is what the lock has.
        let said = project.run(&[&sync[..], &selection].concat()).ok().stderr;
        assert!(said.contains("is up to date: 5 packages"), "{said}");
        let verify = ["verify", ".venv", "--lock", "pylock.toml", sync[2], sync[3]];
        project.run(&[&verify[..], &selection].concat()).ok();
        let other = project.run(&verify);
        assert_eq!(other.code, 1, "{other}");
        assert!(format!("{other}").contains("greeting-shout"), "{other}");
    }
}

/// What a uv.lock is taken by takes a pylock.toml.
#[test]
fn every_command_that_takes_a_lock_takes_a_pylock() {
    let project = folder(CHOICES);
    let python = common::python();
    let python = ["--python", python.as_str()];
    let out = |args: &[&str]| project.run(args).ok().stdout;
    assert!(
        out(&["fetch", "--offline", "--json", python[0], python[1]]).contains("greeting_check")
    );
    let vendored = [
        "fetch",
        "pylock.toml",
        "--offline",
        "--vendor",
        "all",
        "--quiet",
    ];
    out(&[&vendored[..], &python].concat());
    assert!(
        project
            .temp
            .join("p/all/greeting-1.2.0-py3-none-any.whl")
            .is_file()
    );
    let bill = out(&["export", "sbom", "pylock.toml", "--all"]);
    assert!(bill.contains("pkg:pypi/greeting-shout@0.3.0"), "{bill}");
    assert!(out(&["store", "key", "pylock.toml"]).starts_with("lockwright-v1-"));
    let diff = [
        "diff",
        "pylock.toml",
        "pylock.toml",
        "--target",
        "3.12@x86_64-manylinux_2_28",
    ];
    out(&diff);
    let newer = CHOICES.replace("lock-version = \"1.0\"", "lock-version = \"1.7\"");
    let newer = folder(&newer.replace(
        "2.0.1\"\nmarker",
        "2.0.1\"\nrequires-python = \">=3.8\"\nmarker",
    ));
    let said = newer
        .run(&["plan", python[0], python[1], "--extra", "loud"])
        .ok();
    assert!(
        said.stderr
            .contains("has lock-version 1.7, and 1.0 is known"),
        "{said}"
    );
    // Beside a uv.lock and a package-lock.json it is not meant.
    fs::write(project.temp.join("p/package-lock.json"), "{}").unwrap();
    let said = project.run(&["sync", "--dry-run"]);
    assert!(
        said.stderr
            .contains("two locks, and package-lock.json is used"),
        "{said}"
    );
    assert_eq!(project.planned(&["pylock.toml"]), "greeting greeting-check");
}

/// What is wrong is said in a sentence with its place.
#[test]
fn what_is_wrong_with_a_pylock_is_said_with_its_place() {
    let hex = "0".repeat(64);
    let source = format!(
        "wheels = [{{ url = \"https://pypi.example/a-1-py3-none-any.whl\", hashes = {{ sha256 = \"{hex}\" }} }}]"
    );
    let lock = |head: &str, body: &str| {
        format!(
            "lock-version = \"1.0\"\ncreated-by = \"x\"\n{head}\n[[packages]]\nname = \"a\"\nversion = \"1\"\n{body}\n"
        )
    };
    let temp = Temp::new();
    for (text, place, says) in [
        (
            lock("", &source).replace("\"1.0\"", "\"2.0\""),
            "",
            "has lock version 2.0",
        ),
        (
            lock("", &source).replace("\"1.0\"", "1"),
            ":1:16",
            "expected a string",
        ),
        (lock("extras = 1", &source), ":3:10", "expected a sequence"),
        (
            lock("", &source).replace("name = \"a\"", "x = 1"),
            ":4:1",
            "missing field `name`",
        ),
        (lock("", ""), ":5:8", "nothing says where it comes from"),
        (
            lock("", &format!("{source}\ndirectory = {{ path = \".\" }}")),
            ":5:8",
            "comes from several places at once",
        ),
        (
            lock("", &source.replace("a-1-py3", "b-1-py3")),
            ":5:8",
            "lists b-1-py3-none-any.whl, a wheel of b 1",
        ),
        (
            lock("", &source.replace("a-1-py3-none-any", "a")),
            ":5:8",
            "not the name of a wheel",
        ),
        (
            lock("", &source.replace(&hex, "00")),
            ":5:8",
            "is not a sha256 digest",
        ),
        (
            lock("", &source.replace("sha256", "blake3")),
            ":5:8",
            "no digest that can be checked",
        ),
        (
            lock(
                "",
                &source.replace(
                    "{ url = \"https://pypi.example/a",
                    "{ name = \"..\", url = \"https://pypi.example/a",
                ),
            ),
            ":5:8",
            "`..` cannot be a file's name",
        ),
        (
            lock("", &source.replace("url =", "uri =")),
            ":5:8",
            "neither `url` nor `path`",
        ),
        (
            lock(
                "",
                "vcs = { type = \"hg\", url = \"https://forge.example/a\", commit-id = \"1\" }",
            ),
            ":5:8",
            "only git is known",
        ),
        (
            lock(
                "",
                "vcs = { type = \"git\", url = \"https://forge.example/a\", commit-id = \"main\" }",
            ),
            ":5:8",
            "`main` is not a full git commit",
        ),
        (
            lock(
                "",
                "archive = { path = \"a.tar.gz\", subdirectory = \"../b\" }",
            ),
            ":5:8",
            "leads out of its source",
        ),
        (
            lock("", &format!("marker = \"os_name = 'x'\"\n{source}")),
            ":7:10",
            "os_name",
        ),
        (
            lock("environments = [\"sys_platform == 'darwin'\"]", &source),
            "",
            "resolved for other environments",
        ),
        (
            lock("requires-python = \">=3.15\"", &source),
            "",
            "requires Python >=3.15",
        ),
        (
            lock("", &format!("requires-python = \"<3\"\n{source}")),
            "",
            "has a for Python <3",
        ),
        (
            lock(
                "",
                &format!(
                    "{source}\n[[packages]]\nname = \"A\"\nversion = \"2\"\n{}",
                    source.replace("a-1", "a-2")
                ),
            ),
            "",
            "leads to both a 1 and a 2",
        ),
        (
            lock("", &source.replace("any.whl", "win_amd64.whl")),
            "",
            "nothing of a 1 can be installed",
        ),
        (
            "x = 1\n".to_owned(),
            ":1:1",
            "neither a uv.lock nor a pylock.toml",
        ),
    ] {
        let file = temp.write("pylock.toml", &text);
        let target = [
            "--python-version",
            "3.14",
            "--python-platform",
            "x86_64-manylinux_2_28",
        ];
        let said = common::lockwright(&temp)
            .args(["plan", file.as_str()])
            .args(target)
            .run()
            .exit(1);
        // Of a package nobody says which lock it is of.
        let is_placed = said.stderr.contains(&format!("{file}{place}"));
        let found = said.stderr.contains(says) && (is_placed || says.starts_with("nothing of"));
        assert!(found && said.stdout.is_empty(), "{says}: {said}");
    }
    let file = temp.write("pylock.toml", lock("extras = [\"x\"]", &source));
    for (flag, says) in [
        (&["--extra", "y"][..], "extra `y` is not defined by"),
        (&["--group", "y"], "there is none"),
        (&["--package", "a"], "--package is not for"),
        (&["--only-group", "a"], "--only-group is not for"),
        (&["--locked"], "leave --locked out"),
    ] {
        let said = common::lockwright(&temp)
            .args(["plan", file.as_str(), "--python-version", "3.14"])
            .args(flag)
            .run()
            .exit(1);
        assert!(said.stderr.contains(says), "{said}");
    }
}

/// What `export` writes of every kind of source is a pylock.toml by `packaging`, and says what uv's says.
#[test]
fn an_export_is_valid_and_says_what_uv_s_says() {
    let temp = Temp::new();
    temp.copy_of_fixture("default");
    let project = temp.copy_of_fixture("sources");
    let export = |args: &[&str]| {
        let mut ran = common::lockwright(&temp);
        ran.args(["export"]).args(args).current_dir(&project).run()
    };
    export(&["pylock", "--out", "pylock.ours.toml", "--no-dev"]).ok();
    // Again, in its place.
    export(&["pylock", "--out", "pylock.ours.toml"]).ok();
    Command::new(common::uv())
        .args([
            "export",
            "--frozen",
            "--offline",
            "--quiet",
            "--format",
            "pylock.toml",
        ])
        .args(["--output-file", "pylock.theirs.toml"])
        .env("UV_PYTHON", common::python())
        .env("HOME", temp.path())
        .current_dir(&project)
        .run()
        .ok();
    // uv says where a folder of files is by its absolute path.
    let compare = "import os, sys, tomllib; from packaging.pylock import Pylock\n\
        def read(name):\n\
        \x20   lock = tomllib.load(open(name, 'rb')); Pylock.from_dict(lock)\n\
        \x20   del lock['created-by']\n\
        \x20   for p in lock['packages']:\n\
        \x20       if p.get('index', '').startswith('file:'): del p['index']\n\
        \x20       for f in p.get('wheels', []) + [p.get('sdist', {})]:\n\
        \x20           if 'upload-time' in f: f['upload-time'] = f['upload-time'].replace(microsecond=0)\n\
        \x20           if f.get('url', '').startswith('file://'):\n\
        \x20               f['path'] = os.path.relpath(f.pop('url')[7:])\n\
        \x20           f.pop('size', None)\n\
        \x20   return lock\n\
        ours, theirs = read('pylock.ours.toml'), read('pylock.theirs.toml')\n\
        assert ours == theirs, (ours, theirs)\n\
        print(len(ours['packages']))";
    let ran = Command::new(common::python())
        .args(["-c", compare])
        .current_dir(&project)
        .run();
    assert_eq!(ran.ok().stdout, "11\n");
    let said = export(&["pylock", "--out", "lock.toml"]).exit(1);
    assert!(said.stderr.contains("pylock.NAME.toml"), "{said}");
    let said = export(&["requirements"]).ok();
    let note = "pip refuses these, which have no digest: directory-package, editable-package";
    assert!(said.stderr.contains(note), "{said}");
    assert!(
        said.stdout.contains("-e ./packages/editable-package\n"),
        "{said}"
    );
    assert!(
        said.stdout.contains("git-piece @ git+https://forge.example/greetings.git@a9807a7c3a74f113571e8a70831c5493bdec831d#subdirectory=pieces/piece\n"),
        "{said}"
    );
}

/// pip takes the requirements with `--require-hashes`, and installs what the lock does.
#[test]
fn pip_installs_the_exported_requirements() {
    let temp = Temp::new();
    let project: Utf8PathBuf = temp.copy_of_fixture("default");
    common::lockwright(&temp)
        .args([
            "export",
            "requirements",
            "--extra",
            "loud",
            "--out",
            "requirements.txt",
        ])
        .current_dir(&project)
        .run()
        .ok();
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
    ];
    let more = [
        "--find-links",
        "wheels",
        "--require-hashes",
        "-r",
        "requirements.txt",
    ];
    let install = || {
        Command::new(common::python())
            .args(pip)
            .args(more)
            .args(["--target", "there", "--upgrade", "--no-cache-dir"])
            .env("HOME", temp.path())
            .current_dir(&project)
            .run()
    };
    install().ok();
    let mut names: Vec<String> = project
        .join("there")
        .read_dir_utf8()
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .strip_suffix(".dist-info")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    assert_eq!(
        names,
        [
            "greeting-1.2.0",
            "greeting_check-1.0.0",
            "greeting_shout-0.3.0",
            "greeting_words-2.0.1"
        ]
    );
    // The digests count.
    let file = project.join("requirements.txt");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("sha256:0b77b6", "sha256:0b77b7")).unwrap();
    assert_ne!(install().code, 0);
}
