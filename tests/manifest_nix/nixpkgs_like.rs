//! The flake, the overlay and the setup hooks, with a stand-in of nixpkgs: its stdenv has no compiler of its own, and
//! lockwright is compiled already.

use std::fs;
use std::process::Command;

use camino::Utf8PathBuf;

use super::{Nix, hash};
use crate::common::{self, Ran, Run as _, run};

/// This repository as a flake sees it, and nixpkgs' stand-in, in the folder of a test.
fn repository(nix: &Nix) -> [Utf8PathBuf; 2] {
    let ours = nix.temp.join("repository-of-lockwright");
    fs::create_dir(&ours).unwrap();
    for name in ["nix", "src", "benches", "examples", "schema"] {
        common::copy_tree(&common::project().join(name), &ours.join(name));
    }
    for name in ["flake.nix", "Cargo.toml", "Cargo.lock", "README.md"] {
        fs::copy(common::project().join(name), ours.join(name)).unwrap();
    }
    // Neither is part of the program.
    fs::create_dir(ours.join("tests")).unwrap();
    let nixpkgs = nix.temp.join("nixpkgs");
    let from = common::project().join("tests/manifest_nix/nixpkgs");
    common::copy_tree(&from, &nixpkgs);
    let program = format!("\"{}\"\n", env!("CARGO_BIN_EXE_lockwright"));
    fs::write(nixpkgs.join("program.nix"), program).unwrap();
    [ours, nixpkgs]
}

/// `nix COMMAND FLAKE…`, with the stand-in for nixpkgs.
fn flake(
    nix: &Nix,
    mut program: Command,
    [ours, nixpkgs]: &[Utf8PathBuf; 2],
    args: &[&str],
) -> Ran {
    program.args(["--extra-experimental-features", "nix-command flakes"]);
    program.args(
        args.iter()
            .map(|arg| arg.replace("FLAKE", &format!("path:{ours}"))),
    );
    program
        .args(["--override-input", "nixpkgs", &format!("path:{nixpkgs}")])
        .args(["--no-write-lock-file", "--no-use-registries"]);
    nix.as_store(program).run()
}

#[test]
fn the_flake_has_the_program_its_hooks_and_functions() {
    let nix = Nix::new();
    let both = repository(&nix);
    let old = || Command::new(common::on_path("nix"));
    let mut newer = Command::new(common::in_forky());
    newer.arg("/usr/bin/nix");
    for program in [old(), newer] {
        let args = [
            "eval",
            "FLAKE#packages",
            "--apply",
            "builtins.mapAttrs (_: builtins.attrNames)",
            "--json",
        ];
        let ran = flake(&nix, program, &both, &args).ok();
        let names = [
            "default",
            "lockwright",
            "lockwrightElfPatchHook",
            "lockwrightRefsStripHook",
        ];
        for system in ["x86_64-linux", "aarch64-linux"] {
            assert_eq!(ran.json()[system], serde_json::json!(names), "{ran}");
        }
    }
    let functions = [
        "eval",
        "FLAKE#lib.x86_64-linux",
        "--apply",
        "builtins.attrNames",
        "--json",
    ];
    let functions = flake(&nix, old(), &both, &functions).ok().json();
    let names = [
        "component",
        "fixedOutput",
        "loadWorkspace",
        "nodeModules",
        "vendor",
    ];
    assert_eq!(functions, serde_json::json!(names));

    let out = nix.temp.join("result");
    let args = ["build", "FLAKE#default", "--out-link", out.as_str()];
    flake(&nix, old(), &both, &args).ok();
    assert!(run(out.join("bin/lockwright"), ["--version"]).starts_with("lockwright "));
    for file in ["man/man1/lockwright.1", "completions/lockwright.fish"] {
        assert!(out.join("share").join(file).is_file(), "{file}");
    }
}

/// Builds an attribute of what stands in a file, in which `pkgs` is nixpkgs with the overlay.
fn build(nix: &Nix, [ours, nixpkgs]: &[Utf8PathBuf; 2], body: &str, attribute: &str) -> Ran {
    let text = format!(
        "let\n  inherit (import {nixpkgs} {{ system = builtins.currentSystem; }}) pkgs;\n  \
         final = pkgs.extend (import {ours}/nix/overlay.nix);\nin with final; rec {{\n{body}\n}}\n"
    );
    let file = nix.temp.write("nixpkgs-like.nix", text);
    let mut build = nix.nix("nix-build");
    build
        .args(["--no-out-link", "-A", attribute])
        .arg(file)
        .run()
}

const HOOKS: &str = r#"
base = stdenv.mkDerivation {
  name = "base";
  installPhase = ''
    mkdir -p $out/lib
    echo 'int answer(void) { return 42; }' > base.c
    cc -shared -fPIC -o $out/lib/libbase.so base.c
  '';
};
user = stdenv.mkDerivation {
  name = "user";
  nativeBuildInputs = [ lockwrightElfPatchHook ];
  buildInputs = [ base ];
  installPhase = ''
    mkdir -p $out/bin $out/lib
    echo 'int answer(void); int main(void) { return answer() - 42; }' > user.c
    cc -o $out/bin/user user.c -L${base}/lib -lbase
    if readelf -d $out/bin/user | grep RUNPATH; then exit 1; fi
  '';
};
missing = user.overrideAttrs (old: { name = "missing"; buildInputs = [ ]; });
ignored = missing.overrideAttrs (old: { name = "ignored"; lockwrightElfIgnoreMissing = "libbase.*"; });
off = missing.overrideAttrs (old: { name = "off"; dontLockwrightElfPatch = 1; });
noted = stdenv.mkDerivation {
  name = "noted";
  nativeBuildInputs = [ lockwrightRefsStripHook ];
  installPhase = "mkdir $out; echo ${base} ${user} > $out/note";
};
kept = noted.overrideAttrs (old: { name = "kept"; lockwrightRefsKeep = base; });
only = noted.overrideAttrs (old: { name = "only"; lockwrightRefsOnly = base; });
"#;

#[test]
fn hooks_do_what_autopatchelf_and_nuke_refs_do() {
    let nix = Nix::new();
    let both = repository(&nix);
    let made = |attribute: &str| {
        let ran = build(&nix, &both, HOOKS, attribute).ok();
        Utf8PathBuf::from(ran.stdout.trim())
    };
    // It finds its library, and ends well.
    run(made("user").join("bin/user"), [""; 0]);
    let missing = build(&nix, &both, HOOKS, "missing");
    assert!(
        missing.code != 0 && missing.stderr.contains("libbase.so"),
        "{missing}"
    );
    for attribute in ["ignored", "off"] {
        assert!(made(attribute).join("bin/user").is_file());
    }
    let refers = |attribute: &str| {
        let mut query = nix.nix("nix-store");
        query.args(["-q", "--references", made(attribute).as_str()]);
        let said = query.run().ok().stdout;
        let name = |line: &str| line.rsplit_once('-').unwrap().1.to_owned();
        said.lines().map(name).collect::<Vec<_>>()
    };
    assert_eq!(refers("noted"), [""; 0]);
    assert_eq!(refers("kept"), ["base"]);
    assert_eq!(refers("only"), ["user"]);
}

#[test]
fn what_stdenv_knows_may_be_said_of_what_the_functions_make() {
    let nix = Nix::new();
    let both = repository(&nix);
    let web = nix.temp.join("all/standin/web");
    let registry = nix.temp.join("all/standin/registry");
    let body = format!(
        "plain = lockwrightLib.nodeModules {{ src = {web}; mirrors.\"https://registry.npm.example/\" = \"{registry}\"; \
         attributes = {{ meta.description = \"tree\"; passthru.answer = \"42\"; }}; }};\n\
         changed = plain.overrideAttrs (old: {{ name = \"changed-${{plain.answer}}\"; \
         buildCommand = old.buildCommand + \"; touch $out/more\"; }});\n\
         told = stdenv.mkDerivation {{ name = \"told\"; installPhase = \"echo ${{plain.meta.description}} > $out\"; }};"
    );
    let made = |attribute: &str| build(&nix, &both, &body, attribute).ok().stdout;
    let out = nix.temp.join("outside");
    nix.outside(&["sync", "web", "--out", out.as_str()]);
    assert_eq!(hash(&made("plain")), hash(out.as_str()));
    let changed = made("changed");
    assert!(changed.trim().ends_with("-changed-42"), "{changed}");
    assert!(Utf8PathBuf::from(changed.trim()).join("more").is_file());
    assert_eq!(fs::read_to_string(made("told").trim()).unwrap(), "tree\n");
}
