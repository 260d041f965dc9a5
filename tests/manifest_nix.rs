//! The Nix functions of `nix/`, driven by Debian's nix-build: a manifest's components from a vendored folder, and as
//! fixed outputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

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
        let temp = Temp::new();
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
        let own = |name: &str| self.temp.join("nix").join(name);
        Command::new(common::on_path("nix-build"))
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
            )
            .args(["--no-out-link", "-A", attribute])
            .arg(file)
            .run()
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
