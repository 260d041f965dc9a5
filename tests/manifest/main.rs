//! `lockwright build` on an application of the flagship's shape: workspace members, a git dependency, an sdist, patches,
//! a migration's dependency, a `node_modules`, C code, launchers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod go;
mod init;
mod sources;
mod tools;
mod trees;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::Utf8PathBuf;
use common::{Ran, Run as _, Temp, lockwright, run};

/// The fixture in a folder of its own, with its repository made and its registry beside it.
struct Standin {
    temp: Temp,
}

impl Standin {
    fn new() -> Self {
        let temp = Temp::new();
        temp.copy_of_fixture("default");
        let app = temp.copy_of_fixture("standin");
        run(app.join("make-repository"), [temp.join("repository")]);
        fs::create_dir(temp.join("tmp")).unwrap();
        Self { temp }
    }

    fn app(&self) -> Utf8PathBuf {
        self.temp.join("standin")
    }

    /// `lockwright build` with these arguments, in the application's folder.
    fn build(&self, args: &[&str]) -> Command {
        let mut command = lockwright(&self.temp);
        let repository = self.temp.join("repository");
        let registry = self.app().join("registry");
        command
            .current_dir(self.app())
            .env("TMPDIR", self.temp.join("tmp"))
            .args(["build", "--python", common::python().as_str()])
            .arg("--mirror")
            .arg(format!(
                "https://forge.example/standin-git.git={repository}"
            ))
            .arg("--mirror")
            .arg(format!("https://registry.npm.example/={registry}"))
            .args(args);
        command
    }

    /// The NAR hash that a run printed for a component.
    fn hash(ran: &Ran, component: &str) -> String {
        let line = ran
            .stdout
            .lines()
            .find(|line| line.starts_with(&format!("{component} ")));
        let hash = line.and_then(|line| line.split(' ').nth(1));
        hash.unwrap_or_else(|| panic!("no {component} in\n{ran}"))
            .to_owned()
    }

    fn read(&self, path: &str) -> String {
        let path = self.app().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = self.read(path);
        assert!(text.contains(from), "{from} is not in {path}");
        fs::write(self.app().join(path), text.replace(from, to)).unwrap();
    }

    /// What is said on standard error, without this run's paths.
    fn said(&self, ran: &Ran) -> String {
        let python = common::python();
        ran.redacted(&self.temp)
            .replace(python.as_str(), "[PYTHON]")
            .replace(env!("CARGO_PKG_VERSION"), "[VERSION]")
    }
}

fn site(tree: &camino::Utf8Path) -> Utf8PathBuf {
    let lib = tree.join("lib").read_dir_utf8().unwrap().next().unwrap();
    lib.unwrap().path().join("site-packages")
}

#[test]
fn every_phase_does_what_it_says() {
    let standin = Standin::new();
    standin.build(&[]).run().ok();
    let out = standin.app().join("out/standin");
    let site_packages = site(&out);
    let inside = |path: &str| site_packages.join(path);

    // The base is restored for this place, the members installed as their wheels would be.
    assert!(run(out.join("bin/greet"), [""; 0]).contains(out.as_str().to_uppercase().as_str()));
    for package in [
        "standin",
        "standin_core",
        "standin_more",
        "standin_git.py",
        "greeting_check.py",
    ] {
        assert!(inside(package).exists(), "{package}");
    }
    let info = fs::read_to_string(inside("standin_more-0.1.0.dist-info/METADATA")).unwrap();
    assert!(
        info.contains("Requires-Dist: greeting-shout ; extra == 'loud'"),
        "{info}"
    );
    for name in ["INSTALLER", "REQUESTED"] {
        let packages = ["standin_more-0.1.0", "greeting_words-2.0.1"];
        let [member, wheel] = packages.map(|package| {
            let path = inside(&format!("{package}.dist-info/{name}"));
            fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
        });
        assert_eq!(member, wheel, "{name}");
    }
    let code = "import importlib.metadata as m; print(m.version('standin'), \
                [e.value for e in m.entry_points(group='standin.plugins')])";
    let told = run(out.join("bin/python"), ["-c", code]);
    assert_eq!(told, "1.0.0 ['standin_more:NAME']\n");

    // Copies, their filters and modes; links that hold wherever the tree lives.
    assert!(!inside("lifecycle/tests").exists());
    let mode = fs::metadata(inside("lifecycle/start"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o755);
    let link = out.join("manual/words").read_link_utf8().unwrap();
    assert_eq!(link, "../UPSTREAM");
    assert!(out.join("web/node_modules/left/index.js").is_file());
    assert_eq!(
        standin.read("out/standin/web/dist/app.js"),
        "// production\nconsole.log(\"hello\");\n"
    );
    assert!(
        !standin.app().join("out/assets/scratch.txt").exists(),
        "only dist is kept"
    );

    // Patches, and RECORDs that know of them.
    let migration =
        fs::read_to_string(inside("standin/shop/migrations/0002_remove_role.py")).unwrap();
    assert!(
        migration.contains("(\"core\", \"0002_roles\"),"),
        "{migration}"
    );
    let check = "import base64, csv, hashlib, pathlib, sys\n\
                 site = pathlib.Path(sys.argv[1])\n\
                 for record in site.glob('*.dist-info/RECORD'):\n\
                 \x20 for path, hash, size in csv.reader(record.open()):\n\
                 \x20   if hash:\n\
                 \x20     digest = hashlib.sha256((site / path).read_bytes()).digest()\n\
                 \x20     assert hash == 'sha256=' + base64.urlsafe_b64encode(digest).decode().rstrip('='), path\n";
    run(common::python(), ["-c", check, site_packages.as_str()]);

    // The launcher, the application it starts, and what the build step wrote for it.
    let started = run(out.join("bin/start"), [""; 0]);
    assert_eq!(
        started,
        format!(
            "started in {out} with calm and steady\nstandin at {out} quiet\nhello from a build step\n"
        )
    );
    // The library is found beside the program, wherever both are.
    let moved = standin.temp.join("moved");
    fs::rename(out.join("native"), &moved).unwrap();
    assert_eq!(run(moved.join("bin/user"), [""; 0]), "42\n");
}

#[test]
fn the_same_bytes_come_out_in_another_folder_and_without_a_network() {
    let here = Standin::new();
    let prefix = ["--prefix", "/srv/standin"];
    let first = here.build(&prefix).run().ok();

    // All that was fetched is gone, but for the store.
    for gone in ["repository", "default/wheels", "standin/registry"] {
        fs::remove_dir_all(here.temp.join(gone)).unwrap();
    }
    let mut offline = lockwright(&here.temp);
    let offline = offline
        .current_dir(here.app())
        .args([
            "build",
            "--offline",
            "--out",
            "again",
            "--prefix",
            "/srv/standin",
        ])
        .args(["--python", common::python().as_str()])
        .run()
        .ok();

    let there = Standin::new();
    let second = there.build(&prefix).env("TZ", "Asia/Kolkata").run().ok();
    for component in ["deps", "assets", "modules", "native", "standin"] {
        let hash = Standin::hash(&first, component);
        assert_eq!(hash, Standin::hash(&second, component), "{component}");
        assert_eq!(hash, Standin::hash(&offline, component), "{component}");
    }
    let hash = run(
        env!("CARGO_BIN_EXE_lockwright"),
        ["hash", there.app().join("out/standin").as_str()],
    );
    assert_eq!(hash.trim(), Standin::hash(&second, "standin"));
}

#[test]
fn nothing_is_made_twice_and_what_changed_is_said() {
    let standin = Standin::new();
    standin.build(&["native", "assets"]).run().ok();
    let again = standin.build(&["native", "assets"]).run().ok();
    insta::assert_snapshot!("nothing", standin.said(&again));

    standin.edit("assets/app.js", "hello", "good day");
    standin.edit(
        "lockwright.toml",
        "MODE = \"production\"",
        "MODE = \"development\"",
    );
    let explained = standin.build(&["native", "assets", "--explain"]).run().ok();
    insta::assert_snapshot!("explained", explained.stdout);
    let again = standin.build(&["native", "assets"]).run().ok();
    insta::assert_snapshot!("changed", standin.said(&again));

    // Someone has been at a tree; another component that reads it hears of what is different alone.
    fs::remove_file(standin.app().join("out/native/lib/libbase.so")).unwrap();
    let again = standin.build(&["native"]).run().ok();
    insta::assert_snapshot!("touched", standin.said(&again));
}

#[test]
fn a_component_that_is_needed_lies_in_the_store_and_others_may_be_given() {
    let standin = Standin::new();
    let ran = standin.build(&["standin", "--out", "../s"]).run().ok();
    assert_eq!(ran.stdout.lines().count(), 1, "{ran}");
    let kept = standin.temp.join("store/components");
    let names = kept.read_dir_utf8().unwrap().flatten();
    let mut names: Vec<String> = names
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().rsplit_once('-').unwrap().0.to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["assets", "deps", "modules", "native"]);

    let made = standin.temp.join("assets");
    fs::create_dir_all(made.join("dist")).unwrap();
    fs::write(made.join("dist/app.js"), "given\n").unwrap();
    let report = standin
        .build(&["standin", "--out", "../s", "--json", "--component"])
        .arg(format!("assets={made}"))
        .run()
        .ok()
        .json();
    let verdict = |name: &str| {
        let all = report.as_array().unwrap();
        let one = all.iter().find(|one| one["component"] == name).unwrap();
        one["verdict"].as_str().unwrap().to_owned()
    };
    assert_eq!(verdict("assets"), "given");
    assert_eq!(verdict("deps"), "unchanged");
    assert_eq!(verdict("standin"), "changed");
    let text = fs::read_to_string(standin.temp.join("s/web/dist/app.js")).unwrap();
    assert_eq!(text, "given\n");
}

#[test]
fn a_local_folder_takes_a_source_s_place() {
    let standin = Standin::new();
    let other = standin.temp.write(
        "other/assets/make.sh",
        "mkdir dist; echo other >dist/app.js\n",
    );
    standin.temp.write("other/assets/app.js", "");
    let other = other.parent().unwrap().parent().unwrap();
    let source = format!("app={other}");
    standin.build(&["assets", "--source", &source]).run().ok();
    assert_eq!(standin.read("out/assets/dist/app.js"), "other\n");
}

/// Runs a build that must fail with exit code 1, and gives what it says.
fn refusal(standin: &Standin, manifest: &str, args: &[&str]) -> String {
    let file = standin.app().join("bad.toml");
    fs::write(&file, manifest).unwrap();
    let all = [&["--file", "bad.toml", "--quiet"], args].concat();
    let ran = standin.build(&all).run().exit(1);
    assert_eq!(ran.stdout, "", "a refusal belongs on standard error");
    let left: Vec<String> = standin
        .app()
        .read_dir_utf8()
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_owned())
        .filter(|name| name.starts_with(".lockwright") || name == "out")
        .collect();
    for name in left {
        let inside = standin.app().join(&name).read_dir_utf8().unwrap().count();
        assert_eq!(inside, 0, "{name} was left by a build that failed");
    }
    standin.said(&ran)
}

#[test]
fn refusals_tell_where_and_what_to_do() {
    let standin = Standin::new();
    let app = "[sources.app]\npath = '.'\n";
    let component = |rest: &str| format!("{app}[component.x]\n{rest}");
    let python =
        "python = { lock = '{source:app}/uv.lock', groups = [], install = 'dependencies' }\n";
    let bad = [
        component("copy = [{ from = '{source:app}/lifecycl', to = 'x' }]\n"),
        component("copy = [{ from = '{source:app}/standin', to = '/etc' }]\n"),
        component("copy = [{ from = '{source:app}/standin', to = 'a', executable = ['strat'] }]\n"),
        component("copy = [{ from = '{source:app}/uv.lock', to = '.' }]\n"),
        component(
            "copy = [{ from = '{source:app}/standin', to = 's' }]\n\
             patch = [{ file = 's/settings.py', replace = 'DEBUG = Yes', with = 'x' }]\n",
        ),
        // What should stand there does, by chance: nothing was made of it before.
        component(
            "copy = [{ from = '{source:app}/standin', to = 's' }]\n\
             patch = [{ file = 's/settings.py', replace = 'zzz', with = 'import' }]\n",
        ),
        component("patch = [{ file = 's/settings.py', replace = 'x', with = 'y' }]\n"),
        component(
            "copy = [{ from = '{source:app}/standin', to = 'standin' }]\n\
             patch = [{ migration = 'standin/shop/migrations/0002_remove_role.py', depends-on = ['core', '0002_roles'] }]\n",
        ),
        component(
            "copy = [{ from = '{source:app}/standin', to = 'standin' }]\n\
             patch = [{ migration = 'standin/shop/migrations/0002_remove_role.py', depends-on = ['shop', '0001_initial'] }]\n",
        ),
        component(
            "copy = [{ from = '{source:app}/standin', to = 'other' }]\n\
             patch = [{ diff = 'patches/quiet.diff' }]\n",
        ),
        component("link = { 'a' = '{out}/nothing' }\n"),
        component(
            "run = [{ command = ['sh', '-c', 'echo first; echo no such thing >&2; exit 3'] }]\n",
        ),
        component("run = [{ command = ['no-such-program'] }]\n"),
        component("copy = [{ from = '{source:app}/assets', to = '.' }]\nkeep = ['dist']\n"),
        component("wrap.go = { exec = ['{source:app}/lifecycle/start'] }\n"),
        component(&format!("{python}workspace = ['standin-cor']\n")),
        component("workspace = ['standin']\n"),
        component(&format!("{python}extras = ['x']\n")),
        component("python = { lock = '{source:app}/build.lock' }\n"),
        component("node = { lock = '{source:app}/web/package-lock.json', omit = ['dve'] }\n"),
        format!(
            "{}hash = 'sha256-pVQ34cZYX3hlk6hF1aZ/n32xMqTF4Jmp0G0VGDU7iXc='\n{}",
            "[sources.app]\npath = 'assets'\n",
            "[component.x]\ncopy = [{ from = '{source:app}', to = '.' }]\n"
        ),
        format!(
            "[sources.app]\npath = 'nowhere'\n{}",
            "[component.x]\ncopy = [{ from = '{source:app}', to = '.' }]\n"
        ),
    ];
    let all: Vec<String> = bad
        .iter()
        .map(|text| refusal(&standin, text, &[]))
        .collect();
    insta::assert_snapshot!("refusals", all.join("\n"));

    let fine = component("copy = [{ from = '{source:app}/assets', to = '.' }]\n");
    let typed = [
        refusal(&standin, &fine, &["y"]),
        refusal(&standin, &fine, &["--source", "ap=standin"]),
        refusal(&standin, &fine, &["--source", "app=nowhere"]),
        refusal(&standin, &fine, &["--component", "z=standin"]),
    ];
    insta::assert_snapshot!("typed", typed.join("\n"));
}

#[test]
fn a_link_that_leads_out_of_a_source_is_refused() {
    let standin = Standin::new();
    std::os::unix::fs::symlink("../../../etc/passwd", standin.app().join("assets/out")).unwrap();
    let text = "[sources.app]\npath = '.'\n[component.x]\ncopy = [{ from = '{source:app}/assets', to = 'a' }]\n";
    let said = refusal(&standin, text, &[]);
    assert!(
        said.contains("leads out of the tree, to `../../../etc/passwd`"),
        "{said}"
    );
}

#[test]
fn a_stranger_s_source_names_nothing_of_this_machine() {
    let standin = Standin::new();
    standin.temp.write("secret/__init__.py", "SECRET");
    let secret = standin.temp.join("secret");
    let repository = standin.temp.join("evil");
    let package = |name: &str, source: &str| {
        format!("\n[[package]]\nname = \"{name}\"\nversion = \"1\"\nsource = {{ {source} }}\n")
    };
    let lock = [
        "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n".to_owned(),
        package("app", "virtual = \".\""),
        package("listed", "editable = \"listed\""),
        package("forced", "editable = \"forced\""),
        package("linked", "editable = \"linked\""),
        package("outside", &format!("editable = \"{secret}\"")),
    ];
    let write = |path: &str, text: &str| standin.temp.write(&format!("evil/{path}"), text);
    write("uv.lock", &lock.concat());
    write("pyproject.toml", "[project]\nname = 'app'\nversion = '1'\n");
    let project = |name: &str, backend: &str, more: &str| {
        let text = format!(
            "[build-system]\nrequires = []\nbuild-backend = '{backend}'\n\
             [project]\nname = '{name}'\nversion = '1'\n{more}\n"
        );
        write(&format!("{name}/pyproject.toml"), &text);
    };
    let dir = format!(
        "[tool.setuptools]\npackages = ['listed']\npackage-dir = {{ listed = '{secret}' }}"
    );
    project("listed", "setuptools.build_meta", &dir);
    let force =
        format!("[tool.hatch.build.targets.wheel]\nforce-include = {{ '{secret}' = 'forced' }}");
    project("forced", "hatchling.build", &force);
    project("linked", "flit_core.buildapi", "");
    std::os::unix::fs::symlink(&secret, repository.join("linked/linked")).unwrap();
    std::os::unix::fs::symlink(&secret, repository.join("web")).unwrap();
    let git = |args: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@t.example"];
        let mut git = Command::new("git");
        git.args(identity).args(args).current_dir(&repository);
        git.run().ok().stdout.trim().to_owned()
    };
    git(&["init", "--quiet"]);
    git(&["add", "-A"]);
    git(&["commit", "--quiet", "-m", "x"]);
    let commit = git(&["rev-parse", "HEAD"]);
    let source = format!("[sources.evil]\ngit = 'https://forge.example/evil'\nrev = '{commit}'\n");
    let mirror = format!("https://forge.example/evil={repository}");
    let mut phases =
        vec!["copy = [{ from = '{source:evil}/web/__init__.py', to = 'a' }]".to_owned()];
    for name in ["listed", "forced", "linked", "outside"] {
        phases.push(format!(
            "python = {{ lock = '{{source:evil}}/uv.lock' }}\nworkspace = ['{name}']"
        ));
    }
    for phase in phases {
        let text = format!("{source}[component.x]\n{phase}\n");
        let said = refusal(&standin, &text, &["--mirror", &mirror]);
        assert!(said.contains("leads out of it"), "{phase}: {said}");
    }
}

#[test]
fn a_build_that_fails_leaves_the_old_tree_and_shows_the_traceback() {
    let standin = Standin::new();
    let first = standin.build(&["standin", "--out", "../s"]).run().ok();
    standin.edit(
        "standin/settings.py",
        "from pathlib import Path",
        "from pathlib import Path, Trail",
    );
    standin.edit(
        "patches/quiet.diff",
        " from pathlib import Path",
        " from pathlib import Path, Trail",
    );
    let failed = standin.build(&["standin", "--out", "../s"]).run().exit(1);
    let said = standin.said(&failed);
    assert!(
        said.contains("bad.toml") || said.contains("lockwright.toml:"),
        "{said}"
    );
    assert!(
        said.contains("Traceback (most recent call last):"),
        "{said}"
    );
    assert!(
        said.contains("ImportError: cannot import name 'Trail' from 'pathlib'"),
        "{said}"
    );
    let hash = run(
        env!("CARGO_BIN_EXE_lockwright"),
        ["hash", standin.temp.join("s").as_str()],
    );
    assert_eq!(hash.trim(), Standin::hash(&first, "standin"));
}

#[test]
fn what_is_missing_is_named_by_the_library() {
    let standin = Standin::new();
    // The library is not kept, and so nowhere.
    standin.edit(
        "lockwright.toml",
        "keep = [\"bin\", \"lib\"]",
        "keep = [\"bin\"]",
    );
    let failed = standin.build(&["native"]).run().exit(1);
    let said = standin.said(&failed);
    assert!(
        said.contains("libbase.so: no folder has it; needed by")
            && said.contains("\n    bin/user\n"),
        "{said}"
    );
}

#[test]
fn a_base_that_is_in_use_elsewhere_is_made_anew_for_its_new_place() {
    let standin = Standin::new();
    standin.temp.write(
        "standin/based.toml",
        "[sources.app]\npath = '.'\n[component.env]\n\
         python = { lock = '{source:app}/uv.lock', groups = [], install = 'dependencies', exclude = ['standin-git'] }\n\
         [component.app]\nbase = '{component:env}'\nsmoke = { commands = [['greet'], ['greeting-words']] }\n",
    );
    standin.build(&["--file", "based.toml"]).run().ok();
    for name in ["env", "app"] {
        let out = standin.app().join("out").join(name);
        let said = run(out.join("bin/greet"), [""; 0]);
        let loud = out.as_str().to_uppercase();
        assert!(said.contains(&loud), "{said} is not of {out}");
        let config = fs::read_to_string(out.join("pyvenv.cfg")).unwrap();
        assert!(!config.contains('@'), "{config}");
    }
}

#[test]
fn a_first_manifest_is_drafted_from_what_is_there() {
    let standin = Standin::new();
    let init = |args: &[&str]| lockwright(&standin.temp).arg("init").args(args).run();
    let drafted = init(&["standin", "--print"]).ok().stdout;
    let platform = format!("{}-linux-gnu", std::env::consts::ARCH);
    insta::assert_snapshot!("drafted", drafted.replace(&platform, "[ARCH]-linux-gnu"));

    let said = init(&["standin"]).exit(1).stderr;
    assert!(said.contains("lockwright.toml is there already"), "{said}");
    fs::remove_file(standin.app().join("lockwright.toml")).unwrap();
    init(&["standin"]).ok();
    // The draft holds for the Python that is here; what it describes can be made as it stands.
    let version = run(
        common::python(),
        ["-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
    );
    standin.edit(
        "lockwright.toml",
        "python = \"3.9\"",
        &format!("python = \"{}\"", version.trim()),
    );
    let made = standin.build(&["python"]).run().ok();
    assert!(made.stdout.contains("python sha256-"), "{made}");

    fs::create_dir(standin.temp.join("empty")).unwrap();
    let said = init(&["empty"]).exit(1).stderr;
    assert!(
        said.contains("has no uv.lock, pylock.toml, package-lock.json or go.sum"),
        "{said}"
    );
}

#[test]
fn the_schema_in_the_repository_is_the_types_own() {
    let temp = Temp::new();
    let printed = lockwright(&temp)
        .args(["init", "--schema"])
        .run()
        .ok()
        .stdout;
    let file = common::project().join("schema/lockwright.json");
    let kept = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        printed == kept,
        "{file} is out of date: lockwright init --schema >schema/lockwright.json"
    );
}

#[test]
fn nothing_of_the_user_or_the_machine_s_folders_shapes_a_component() {
    let plain = Standin::new();
    let first = plain.build(&["--prefix", "/srv/standin"]).run().ok();
    let record = |standin: &Standin, component: &str| {
        standin.read(&format!("out/{component}.component.json"))
    };

    // Another user, another store, another folder, and npm's settings that change a `node_modules`.
    let standin = Standin::new();
    standin.temp.write(
        "home/.npmrc",
        "omit-lockfile-registry-resolved=true\nbin-links=false\nomit=dev\nlegacy-peer-deps=true\n",
    );
    let path = std::env::var("PATH").unwrap();
    let second = standin
        .build(&["--prefix", "/srv/standin", "--store", "another/store"])
        .env("npm_config_omit_lockfile_registry_resolved", "true")
        .env("npm_config_bin_links", "false")
        .env("PATH", format!("{}:{path}", standin.temp.join("home")))
        .run()
        .ok();
    for component in ["deps", "assets", "modules", "native", "standin"] {
        assert_eq!(
            Standin::hash(&first, component),
            Standin::hash(&second, component),
            "{component}"
        );
        assert_eq!(record(&plain, component), record(&standin, component));
    }

    // What the project itself says counts.
    standin.temp.write(
        "standin/web/.npmrc",
        "omit-lockfile-registry-resolved=true\n",
    );
    let third = standin.build(&["modules", "--explain"]).run().ok();
    assert!(third.stdout.contains("node records"), "{third}");
}

#[test]
fn commands_find_everything_where_it_is_on_every_machine() {
    let text = "[sources.app]\npath = '.'\n\
        [component.given]\ncopy = [{ from = '{source:app}/lifecycle', to = '.' }]\n\
        [component.one]\nrun = [{ command = ['sh', '-c', '''\n\
        (pwd; echo $PATH; echo {out} {component:given}; ls /build/source/app {component:given} /build/input/patches\n\
        cat {source:app}/assets/app.js) >told'''], inputs = ['patches'] }]\n\
        [component.two]\ncopy = [{ from = '{component:one}', to = '.' }]\n";
    let told = || {
        let standin = Standin::new();
        standin.temp.write("standin/m.toml", text);
        let ran = standin.build(&["two", "--file", "m.toml"]).run().ok();
        (
            standin.read("out/two/told"),
            standin.read("out/two.component.json"),
            Standin::hash(&ran, "two"),
        )
    };
    let (one, two) = (told(), told());
    insta::assert_snapshot!("found", one.0);
    assert_eq!(one, two);
}

#[test]
fn tools_and_the_system_count_by_what_they_are() {
    let standin = Standin::new();
    let tool = |text: &str| {
        let tool = standin
            .temp
            .write("tools/bin/tool", format!("#!/bin/sh\n{text} >made\n"));
        fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).unwrap();
        tool
    };
    let path = tool("echo one");
    let folder = path.parent().unwrap().parent().unwrap();
    standin.temp.write("standin/extra/text", "first");
    standin.temp.write(
        "standin/m.toml",
        format!(
            "[component.named]\nrun = [{{ command = ['{path}'], inputs = ['{folder}'] }}]\n\
             [component.within]\nrun = [{{ command = ['sh', '-c', '{path}'], inputs = ['{folder}'] }}]\n\
             [component.beside]\nrun = [{{ command = ['cp', '/build/input/extra/text', 'made'], inputs = ['extra'] }}]\n\
             [component.copied]\ncopy = [{{ from = '{folder}/bin', to = '.' }}]\n"
        ),
    );
    let made = |name: &str| standin.read(&format!("out/{name}/made"));
    standin.build(&["--file", "m.toml"]).run().ok();
    assert_eq!(
        (made("named"), made("within"), made("beside")),
        ("one\n".into(), "one\n".into(), "first".into())
    );

    tool("echo two");
    standin.temp.write("standin/extra/text", "second");
    standin.build(&["--file", "m.toml"]).run().ok();
    assert_eq!(
        (made("named"), made("within"), made("beside")),
        ("two\n".into(), "two\n".into(), "second".into())
    );
    assert!(standin.read("out/copied/tool").contains("two"));

    // A program of the system that was exchanged, and a package that was upgraded.
    let explained = |bound: &[(&str, &str)]| {
        let build = standin.build(&["beside", "--explain", "--file", "m.toml"]);
        let mut inside = Command::new(common::on_path("bwrap"));
        inside.args(["--dev-bind", "/", "/"]);
        for (from, to) in bound {
            inside.args(["--bind", from, to]);
        }
        inside.arg(build.get_program()).args(build.get_args());
        for (name, value) in build.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside.current_dir(standin.app()).run().ok().stdout
    };
    let said = explained(&[]);
    assert!(said.contains("unchanged"), "{said}");
    let status = fs::read_to_string("/var/lib/dpkg/status").unwrap();
    let upgraded = status.replacen("\nVersion: ", "\nVersion: 9", 1);
    let status = standin.temp.write("status", upgraded);
    let said = explained(&[(status.as_str(), "/var/lib/dpkg/status")]);
    assert!(
        said.contains("system") && !said.contains("unchanged"),
        "{said}"
    );
    let said = explained(&[("/bin/sh", "/usr/bin/cp")]);
    assert!(said.contains("program cp"), "{said}");
    // One that no command names, of the same length.
    let real = fs::canonicalize("/usr/bin/as").unwrap();
    let mut exchanged = fs::read(&real).unwrap();
    *exchanged.last_mut().unwrap() ^= 1;
    let exchanged = standin.temp.write("as", exchanged);
    let said = explained(&[(exchanged.as_str(), real.to_str().unwrap())]);
    assert!(
        said.contains("system") && !said.contains("unchanged"),
        "{said}"
    );
}
