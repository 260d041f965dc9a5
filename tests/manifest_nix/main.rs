//! The Nix functions of `nix/`, driven by Debian's nix-build: a manifest's components from a vendored folder, and as
//! fixed outputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;

mod nixpkgs_like;
mod remote_builder;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use camino::Utf8PathBuf;
use common::{Ran, Run as _, Temp, lockwright, run};

/// The fixture and its wheels in one folder, its repository beside them, and a Nix store of their own.
struct Nix {
    temp: Temp,
}

impl Nix {
    fn new() -> Self {
        Self::of(Temp::new())
    }

    fn of(temp: Temp) -> Self {
        fs::create_dir(temp.join("all")).unwrap();
        for name in ["default", "standin"] {
            let made = temp.copy_of_fixture(name);
            fs::rename(made, temp.join("all").join(name)).unwrap();
        }
        run(
            temp.join("all/standin/make-repository"),
            [temp.join("repository")],
        );
        fs::create_dir_all(temp.join("lockwright/bin")).unwrap();
        let program = temp.join("lockwright/bin/lockwright");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_lockwright"), program).unwrap();
        Self { temp }
    }

    fn mirrors(&self) -> [(&'static str, Utf8PathBuf); 2] {
        [
            (
                "https://forge.example/standin-git.git",
                self.temp.join("repository"),
            ),
            (
                "https://registry.npm.example/",
                self.temp.join("all/standin/registry"),
            ),
        ]
    }

    /// What lockwright itself prints, outside of Nix.
    fn outside(&self, args: &[&str]) -> String {
        let mut command = lockwright(&self.temp);
        command
            .current_dir(self.temp.join("all/standin"))
            .args(args);
        for (from, to) in self.mirrors() {
            command.arg("--mirror").arg(format!("{from}={to}"));
        }
        command.args(["--python", common::python().as_str()]);
        command.run().ok().stdout
    }

    /// Evaluates `body`, in which the functions are `lw`, and builds its attribute.
    fn build(&self, body: &str, attribute: &str) -> Ran {
        let mirrors: String = self
            .mirrors()
            .iter()
            .map(|(from, to)| format!("\"{from}\" = \"{to}\"; "))
            .collect();
        let file = self.temp.write(
            "test.nix",
            format!(
                "let\n  lw = import {functions} {{ lockwright = \"{temp}/lockwright\"; path = [ \"/usr\" \"\" ]; }};\n  \
                 all = {{ project = {temp}/all; manifest = \"standin/lockwright.toml\"; python = \"{python}\"; \
                 mirrors = {{ {mirrors}}}; }};\nin rec {{\n{body}\n}}\n",
                functions = common::project().join("nix"),
                temp = self.temp.path(),
                python = common::python(),
            ),
        );
        self.nix("nix-build")
            .args(["--no-out-link", "-A", attribute])
            .arg(file)
            .run()
    }

    /// One of Nix's programs, on a store of the test's own.
    fn nix(&self, program: &str) -> Command {
        self.as_store(Command::new(common::on_path(program)))
    }

    fn as_store(&self, mut command: Command) -> Command {
        let own = |name: &str| self.temp.join("nix").join(name);
        command
            .env("NIX_STORE_DIR", own("store"))
            .env("NIX_STATE_DIR", own("var"))
            .env("NIX_LOCALSTATE_DIR", own("var"))
            .env("NIX_LOG_DIR", own("log"))
            .env("HOME", self.temp.join("home"))
            .env_remove("NIX_REMOTE")
            .env_remove("NIX_PATH")
            .env(
                "NIX_CONFIG",
                "sandbox = false\nbuild-users-group =\nsubstitute = false",
            );
        command
    }

    /// Exports a lock or a manifest of the fixtures to a folder beside them, with these arguments too.
    fn export(&self, what: &str, args: &[&str]) -> Ran {
        let mut command = lockwright(&self.temp);
        command
            .args(["export", "nix", "--offline"])
            .arg(self.temp.join("all").join(what))
            .args(["--out", self.temp.join("all/export").as_str()])
            .args(args);
        for (from, to) in self.mirrors() {
            command.arg("--mirror").arg(format!("{from}={to}"));
        }
        command.run()
    }

    /// What a graph is evaluated with.
    fn graph(&self, program: &str, attribute: &str) -> Command {
        self.with_graph(self.nix(program), attribute)
    }

    fn with_graph(&self, mut command: Command, attribute: &str) -> Command {
        let mirrors: String = (self.mirrors().iter())
            .map(|(from, to)| format!("\"{from}\" = \"{to}\"; "))
            .collect();
        command
            .arg(self.temp.join("all/export"))
            .args(["-A", attribute])
            .args(["--arg", "lockwright", self.temp.join("lockwright").as_str()])
            .args(["--argstr", "python", common::python().as_str()])
            .args(["--arg", "path", "[ \"/usr\" \"\" ]"])
            .args(["--arg", "mirrors", &format!("{{ {mirrors}}}")]);
        command
    }

    /// The derivations of an output, and of all that it is made of, without their digests.
    fn derivations(&self, attribute: &str) -> BTreeMap<String, String> {
        let top = self.graph("nix-instantiate", attribute).run().ok().stdout;
        let mut query = self.nix("nix-store");
        let all = query
            .args(["-q", "--requisites", top.trim()])
            .run()
            .ok()
            .stdout;
        let last = |path: &str| path.rsplit('/').next().unwrap().to_owned();
        let named = |path: String| (path[33..].to_owned(), path);
        all.lines().map(last).map(named).collect()
    }
}

#[test]
fn components_are_made_offline_from_one_fixed_output_of_raw_artifacts() {
    let nix = Nix::new();
    let vendored = nix.temp.join("vendored");
    let hash = nix.outside(&["fetch", "lockwright.toml", "--vendor", vendored.as_str()]);
    let names: Vec<String> = vendored
        .read_dir_utf8()
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().to_owned())
        .collect();
    for wanted in ["greeting_check-1.0.0.tar.gz", "left-1.0.0.tgz"] {
        assert!(
            names.iter().any(|name| name == wanted),
            "{wanted} in {names:?}"
        );
    }
    assert!(
        names.iter().any(|name| name.starts_with("git-")),
        "{names:?}"
    );

    let body = format!(
        "vendor = lw.vendor (all // {{ hash = \"{}\"; }});\n\
         offline = builtins.removeAttrs all [ \"mirrors\" ] // {{ inherit vendor; sources.upstream = {}; }};\n\
         deps = lw.component (offline // {{ name = \"deps\"; }});\n\
         native = lw.component (offline // {{ name = \"native\"; }});\n\
         standin = lw.component (offline // {{ name = \"standin\"; components = {{ inherit deps native; }}; }});",
        hash.trim(),
        nix.temp.join("repository"),
    );
    let built = nix.build(&body, "standin").ok();
    let out = Utf8PathBuf::from(built.stdout.trim());
    assert!(out.starts_with(nix.temp.join("nix/store")), "{out}");
    let started = run(out.join("bin/start"), [""; 0]);
    assert_eq!(
        started,
        format!(
            "started in {out} with calm and steady\nstandin at {out} quiet\nhello from a build step\n"
        )
    );
    assert_eq!(run(out.join("native/bin/user"), [""; 0]), "42\n");
    // What lies beside a tree elsewhere is not left in the store.
    let store = nix.temp.join("nix/store").read_dir_utf8().unwrap();
    let beside: Vec<_> = store
        .flatten()
        .filter(|entry| entry.file_name().ends_with(".component.json"))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

#[test]
fn a_component_is_a_fixed_output_under_the_hash_that_was_printed_before() {
    let nix = Nix::new();
    let printed = nix.outside(&["build", "deps", "--out", "../../deps"]);
    let hash = printed.split(' ').nth(1).unwrap().to_owned();
    let body = |hash: &str| {
        format!("deps = lw.fixedOutput (all // {{ name = \"deps\"; hash = \"{hash}\"; }});")
    };
    let built = nix.build(&body(&hash), "deps").ok();
    let again = run(
        env!("CARGO_BIN_EXE_lockwright"),
        ["hash", built.stdout.trim()],
    );
    assert_eq!(again.trim(), hash);

    let other = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let refused = nix.build(&body(other), "deps");
    assert!(
        refused.code != 0 && refused.stderr.contains(&hash),
        "{refused}"
    );
}

/// The NAR hash of a path, as lockwright has it.
fn hash(path: &str) -> String {
    let program = env!("CARGO_BIN_EXE_lockwright");
    run(program, ["hash", path.trim()]).trim().to_owned()
}

#[test]
fn an_exported_environment_is_the_one_that_sync_makes_at_its_place() {
    let nix = Nix::new();
    let python = common::python();
    let args = ["--extra", "loud", "--python", python.as_str()];
    nix.export("default", &args).ok();
    let mut build = nix.graph("nix-build", "environment");
    let out = build.arg("--no-out-link").run().ok().stdout;
    let out = out.trim();
    assert!(run(format!("{out}/bin/greet"), [""; 0]).starts_with("HELLO FROM"));
    let in_nix = hash(out);
    // Nothing lies beside it in the store, and the same is made outside.
    nix.nix("nix-store").args(["--delete", out]).run().ok();
    let lock = nix.temp.join("all/default");
    let mut sync = lockwright(&nix.temp);
    sync.arg("sync")
        .arg(lock)
        .args(args)
        .args(["--offline", "--out", out]);
    sync.run().ok();
    assert_eq!(hash(out), in_nix);
}

#[test]
fn exported_components_are_those_that_build_makes() {
    let nix = Nix::new();
    let python = common::python();
    nix.export("standin/lockwright.toml", &["--python", python.as_str()])
        .ok();
    let mut build = nix.graph("nix-build", "standin");
    let out = build.arg("--no-out-link").run().ok().stdout;
    let out = Utf8PathBuf::from(out.trim());
    let started = run(out.join("bin/start"), [""; 0]);
    assert!(
        started.starts_with(&format!("started in {out} with calm and steady\n")),
        "{started}"
    );
    for component in ["deps", "modules", "native"] {
        let mut build = nix.graph("nix-build", component);
        let made = build.arg("--no-out-link").run().ok().stdout;
        let printed = nix.outside(&["build", component, "--out", "../../outside", "--clear"]);
        let printed = printed.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(hash(&made), printed, "{component}");
    }
    let store = nix.temp.join("nix/store").read_dir_utf8().unwrap();
    let beside = |name: &str| {
        name.ends_with(".json") && !name.ends_with("-order.json") && !name.ends_with("-list.json")
    };
    let beside: Vec<_> = store
        .flatten()
        .filter(|entry| beside(entry.file_name()))
        .collect();
    assert!(beside.is_empty(), "{beside:?}");
}

/// Nix's sandbox has folders of its own at /tmp and /dev/shm, and of this machine's only those that are named.
#[test]
fn exported_components_are_the_same_in_nixs_sandbox() {
    let nix = Nix::of(Temp::below(camino::Utf8Path::new("/var/tmp")));
    let python = "/usr/bin/python3";
    let contained = |mut command: Command| {
        let named = [
            "/lib /lib64 /usr /bin /etc/alternatives",
            nix.temp.join("lockwright").as_str(),
            env!("CARGO_BIN_EXE_lockwright"),
            nix.temp.join("repository").as_str(),
        ]
        .join(" ");
        let settings = format!(
            "sandbox = true\nsandbox-fallback = false\nbuild-users-group =\nsubstitute = false\nsandbox-paths = {named}"
        );
        command.env("NIX_CONFIG", settings);
        command
    };
    let probe = "derivation { name = \"probe\"; system = builtins.currentSystem; builder = \"/bin/sh\"; \
                 args = [ \"-c\" \"/bin/ls / > $out; test ! -e /var/tmp/lockwright-test-*/all\" ]; }";
    let mut command = contained(nix.nix("nix-build"));
    let ran = command.args(["--no-out-link", "-E", probe]).run();
    if ran.code != 0 {
        use std::io::Write as _;
        // Not by eprintln!, which the test harness keeps to itself.
        let why = ran.stderr.lines().last().unwrap_or_default();
        let _ = writeln!(
            std::io::stderr(),
            "skipped: Nix's sandbox, which this machine does not allow: {why}"
        );
        return;
    }
    nix.export("standin/lockwright.toml", &["--python", python])
        .ok();
    // A sandbox has a network for fixed outputs, and no folder of this machine's.
    let registry = common::Server::of_dir(&nix.temp.join("all/standin/registry"));
    let mirrors = format!(
        "{{ \"https://forge.example/standin-git.git\" = \"{}\"; \"https://registry.npm.example/\" = \"{}\"; }}",
        nix.temp.join("repository"),
        registry.url("/"),
    );
    let build = |attribute: &str| {
        let mut command = contained(nix.nix("nix-build"));
        command
            .arg(nix.temp.join("all/export"))
            .args(["-A", attribute, "--no-out-link"])
            .args(["--arg", "lockwright", nix.temp.join("lockwright").as_str()])
            .args(["--argstr", "python", python])
            .args(["--arg", "path", "[ \"/usr\" \"\" ]"])
            .args(["--arg", "mirrors", &mirrors]);
        command.run().ok().stdout
    };
    let out = Utf8PathBuf::from(build("standin").trim());
    let started = run(out.join("bin/start"), [""; 0]);
    assert!(
        started.starts_with(&format!("started in {out} ")),
        "{started}"
    );
    for component in ["modules", "native"] {
        let printed = nix.outside(&["build", component, "--out", "../../outside", "--clear"]);
        let printed = printed.split(' ').nth(1).unwrap().to_owned();
        assert_eq!(hash(&build(component)), printed, "{component}");
    }
}

#[test]
fn all_artifacts_of_a_lock_may_be_one_fixed_output() {
    let nix = Nix::new();
    let args = [
        "--python",
        common::python().as_str(),
        "--granularity",
        "lock",
    ]
    .map(str::to_owned);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    nix.export("standin/lockwright.toml", &args).ok();
    let mut build = nix.graph("nix-build", "modules");
    let made = build.arg("--no-out-link").run().ok().stdout;
    let made = Utf8PathBuf::from(made.trim());
    assert!(
        made.join("node_modules/left/package.json").is_file(),
        "{made}"
    );
    let all = nix.derivations("modules");
    let fixed: Vec<&String> = all
        .keys()
        .filter(|name| name.contains("left") || *name == "artifacts.drv")
        .collect();
    assert_eq!(fixed, ["artifacts.drv"]);
}

#[test]
fn a_node_modules_needs_its_folder_alone() {
    let nix = Nix::new();
    let web = nix.temp.join("all/standin/web");
    let body = format!(
        "tree = lw.nodeModules {{ src = {web}; mirrors = {{ \"https://registry.npm.example/\" = \"{}\"; }}; }};",
        nix.temp.join("all/standin/registry"),
    );
    let made = nix.build(&body, "tree").ok().stdout;
    let out = nix.temp.join("outside");
    nix.outside(&["sync", "web", "--out", out.as_str()]);
    assert_eq!(hash(&made), hash(out.as_str()));
}

#[test]
fn a_bump_changes_its_artifact_and_what_is_made_of_it_alone() {
    let nix = Nix::new();
    let export = || {
        let args = [
            "--python-version",
            "3.14",
            "--system",
            "x86_64-linux",
            "--system",
            "aarch64-linux",
        ];
        nix.export("bump", &args).ok();
        nix.derivations("environment")
    };
    let from = common::fixture("bump/new");
    common::copy_tree(&from, &nix.temp.join("all/bump"));
    let before = export();
    assert!(before.len() > 40, "{before:?}");
    let lock = nix.temp.join("all/bump/uv.lock");
    let text = fs::read_to_string(&lock).unwrap();
    // Another build of one wheel, as far as Nix can tell.
    let at = text.find("/idna-").unwrap();
    let at = text[..at].len() + text[at..].find(".whl\", hash = \"sha256:").unwrap() + 22;
    let mut bumped = text.clone();
    bumped.replace_range(
        at..at + 4,
        if &text[at..at + 4] == "0000" {
            "1111"
        } else {
            "0000"
        },
    );
    fs::write(&lock, bumped).unwrap();
    let after = export();
    let other = |name: &&String| before.get(*name) != after.get(*name);
    let changed: Vec<&String> = before.keys().chain(after.keys()).filter(other).collect();
    let changed: std::collections::BTreeSet<&str> = changed
        .into_iter()
        .map(|name| name.split('-').next().unwrap())
        .collect();
    assert_eq!(
        changed.into_iter().collect::<Vec<_>>(),
        ["environment.drv", "idna", "plan.json"]
    );
    // A wheel of the other machine is nobody's business here.
    let wheel = text.find("manylinux2014_aarch64").unwrap();
    let at = text[..wheel].len() + text[wheel..].find("hash = \"sha256:").unwrap() + 15;
    let mut bumped = text.clone();
    bumped.replace_range(
        at..at + 4,
        if &text[at..at + 4] == "0000" {
            "1111"
        } else {
            "0000"
        },
    );
    fs::write(&lock, bumped).unwrap();
    assert_eq!(export(), before);
}

#[test]
fn a_newer_nix_evaluates_the_same_derivations() {
    let nix = Nix::new();
    nix.export(
        "standin/lockwright.toml",
        &["--python", common::python().as_str()],
    )
    .ok();
    let old = nix.graph("nix-instantiate", "standin").run().ok().stdout;
    let mut newer = Command::new(common::in_forky());
    newer.arg("/usr/bin/nix-instantiate");
    let new = nix
        .with_graph(nix.as_store(newer), "standin")
        .run()
        .ok()
        .stdout;
    assert_eq!(old, new);
}

#[test]
fn what_cannot_be_exported_is_said_in_a_sentence() {
    let nix = Nix::new();
    let said = |what: &str, args: &[&str]| {
        let ran = nix.export(what, args);
        assert_eq!(ran.code, 1, "{ran}");
        assert!(!nix.temp.join("all/export").exists());
        ran.stderr
    };
    let two = [
        "--python-version",
        "3.14",
        "--system",
        "x86_64-linux",
        "--system",
        "x86_64-linux=x86_64-manylinux_2_34",
    ];
    assert!(said("default", &two).contains("one platform"));
    let git =
        "name = \"g\"\nversion = \"0\"\nrequires-python = \">=3.11\"\ndependencies = [\"dep\"]\n";
    nix.temp
        .write("all/git/pyproject.toml", format!("[project]\n{git}"));
    let commit = "https://forge.example/dep.git?rev=main#0123456789012345678901234567890123456789";
    nix.temp.write(
        "all/git/uv.lock",
        format!(
            "version = 1\nrequires-python = \">=3.11\"\n[[package]]\nname = \"dep\"\nversion = \"1\"\n\
             source = {{ git = \"{commit}\" }}\n[[package]]\nname = \"g\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"dep\" }}]\n"
        ),
    );
    // The hash of a commit's files is found when they are there.
    let unknown = said("git", &["--python-version", "3.14"]);
    assert!(
        unknown.contains("is not in the store, and this run is offline"),
        "{unknown}"
    );
    let lock = nix.temp.join("all/default/uv.lock");
    let text = fs::read_to_string(&lock).unwrap();
    let at = text.find(", hash = \"sha256:").unwrap();
    let end = at + text[at..].find(" }").unwrap();
    fs::write(&lock, format!("{}{}", &text[..at], &text[end..])).unwrap();
    let unhashed = said("default", &["--python-version", "3.14"]);
    assert!(unhashed.contains("no digest for `"), "{unhashed}");
    let manifest = nix.temp.join("all/standin/lockwright.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("hash ="))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&manifest, without).unwrap();
    let unhashed = said(
        "standin/lockwright.toml",
        &["--python", common::python().as_str()],
    );
    assert!(unhashed.contains("has no `hash`"), "{unhashed}");

    // A project's own default.nix.
    common::copy_tree(&common::fixture("bump/new"), &nix.temp.join("all/bump"));
    let own = nix.temp.write("all/export/default.nix", "{ }\n");
    let ran = nix.export("bump", &["--python-version", "3.14"]).exit(1);
    assert!(
        ran.stderr.contains("was not written by `export nix`"),
        "{ran}"
    );
    assert_eq!(fs::read_to_string(own).unwrap(), "{ }\n");
    assert!(!nix.temp.join("all/export/graph.json").exists());
}

#[test]
fn a_second_machine_has_everything_from_a_binary_cache() {
    let nix = Nix::new();
    nix.export("default", &["--python", common::python().as_str()])
        .ok();
    let mut build = nix.graph("nix-build", "environment");
    let out = build.arg("--no-out-link").run().ok().stdout;
    let out = out.trim();
    let cache = nix.temp.join("cache");
    let mut copy = nix.nix("nix");
    copy.args([
        "--extra-experimental-features",
        "nix-command",
        "copy",
        "--to",
    ]);
    copy.arg(format!("file://{cache}")).arg(out).run().ok();

    let server = common::Server::of_dir(&cache);
    for (machine, cache) in [("B", format!("file://{cache}")), ("C", server.url(""))] {
        let machine = nix.temp.join(machine);
        let mut build = nix.graph("nix-build", "environment");
        // No job may run there: neither a compiler nor lockwright.
        let settings = format!(
            "build-users-group =\nmax-jobs = 0\nrequire-sigs = false\nsubstituters = {cache}"
        );
        build
            .env("NIX_CONFIG", settings)
            .env_remove("NIX_STATE_DIR")
            .env_remove("NIX_LOCALSTATE_DIR")
            .env_remove("NIX_LOG_DIR")
            .args(["--no-out-link", "--store", &format!("local?root={machine}")]);
        let there = build.run().ok().stdout;
        assert_eq!(there.trim(), out);
        let there = machine.join(out.trim_start_matches('/'));
        let there = match there.exists() {
            true => there,
            // Some releases keep it as if it were in /nix/store.
            false => machine
                .join("nix/store")
                .join(out.rsplit('/').next().unwrap()),
        };
        assert_eq!(hash(there.as_str()), hash(out));
    }
}
