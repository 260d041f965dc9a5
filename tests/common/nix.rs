//! Both Nix, each with a store of its own in a temporary folder and no daemon.

use std::fs;
use std::process::Command;

use camino::Utf8Path;

use super::{Ran, Run as _, Temp, in_forky, on_path};

/// A program of Nix, with a store of its own and no daemon.
pub fn nix(program: &str, temp: &Temp) -> Command {
    settled(Command::new(on_path(program)), temp)
}

/// The same of Debian forky's Nix, which is newer.
pub fn newer_nix(program: &str, temp: &Temp) -> Command {
    let [in_forky, _] = super::newer_nix();
    let mut command = Command::new(in_forky);
    command.arg(program);
    settled(command, temp)
}

fn settled(mut command: Command, temp: &Temp) -> Command {
    let own = |name: &str| temp.join("nix").join(name);
    command
        .env("NIX_STORE_DIR", own("store"))
        .env("NIX_STATE_DIR", own("var"))
        .env("NIX_LOCALSTATE_DIR", own("var"))
        .env("NIX_LOG_DIR", own("log"))
        .env("HOME", temp.join("home"))
        .env_remove("NIX_REMOTE")
        .env(
            "NIX_CONFIG",
            "sandbox = false\nbuild-users-group =\nsubstitute = false\nexperimental-features = nix-command",
        );
    command
}

/// A derivation whose output is fixed, and has another store path among its inputs.
const FIXED_OUTPUT: &str = r#"{ tree, hash }:
let dep = builtins.toFile "dep" "x"; in
derivation {
  name = "sealed"; system = builtins.currentSystem; builder = "/bin/sh";
  args = [ "-c" "/bin/cp -R ${tree} $out; : ${dep}" ];
  outputHashMode = "recursive"; outputHashAlgo = "sha256"; outputHash = hash;
}"#;

/// Builds what copies the tree, with that hash promised.
pub fn build(mut nix_build: Command, temp: &Temp, tree: &Utf8Path, hash: &str) -> Ran {
    fs::write(temp.join("fixed.nix"), FIXED_OUTPUT).unwrap();
    nix_build
        .args([
            "--no-out-link",
            "--argstr",
            "tree",
            tree.as_str(),
            "--argstr",
            "hash",
            hash.trim(),
        ])
        .arg(temp.join("fixed.nix"))
        .run()
}
