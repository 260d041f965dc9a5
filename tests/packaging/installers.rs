//! The wheel in the hands of pip, uv and pipx, from a folder.

use std::fs;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};

use super::common::{self, Run as _, Temp};
use super::{VERSION, released, said_version, wheel};

/// A command without this machine's settings and with a home of its own; it sees nothing of the network.
fn offline(temp: &Temp, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(common::on_path("bwrap"));
    command.args(["--dev-bind", "/", "/", "--unshare-net"]);
    command.arg(program);
    for (name, _) in std::env::vars_os() {
        let upper = name.to_string_lossy().to_uppercase();
        if ["UV_", "PIP", "XDG_", "VIRTUAL_ENV"]
            .iter()
            .any(|start| upper.starts_with(start))
        {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", temp.join("home"))
        .env("PIP_CONFIG_FILE", "/dev/null")
        .env("UV_NO_CONFIG", "1")
        .current_dir(temp.path());
    command
}

/// A program, manual pages and completions below a prefix.
fn is_installed(prefix: &Utf8Path) {
    let program = prefix.join("bin/lockwright");
    assert_eq!(common::run(&program, ["--version"]), said_version());
    let page = fs::read_to_string(prefix.join("share/man/man1/lockwright-sync.1")).unwrap();
    assert!(page.contains(".TH lockwright-sync 1"), "{page}");
    for file in [
        "bash-completion/completions/lockwright",
        "zsh/site-functions/_lockwright",
        "fish/vendor_completions.d/lockwright.fish",
    ] {
        assert!(prefix.join("share").join(file).is_file(), "{file}");
    }
}

fn venv(temp: &Temp) -> Utf8PathBuf {
    let venv = temp.join("venv");
    common::run(common::python(), ["-m", "venv", venv.as_str()]);
    venv
}

#[test]
fn pip_installs_the_wheel_whole_and_takes_it_away() {
    let temp = Temp::new();
    let venv = venv(&temp);
    let pip = |args: &[&str]| {
        let mut pip = offline(&temp, venv.join("bin/python"));
        pip.args(["-m", "pip", "--disable-pip-version-check"]);
        pip.args(args).run().ok().stdout
    };
    let from = ["--no-index", "--find-links", released().as_str()];
    pip(&[&["install", "lockwright"], &from[..]].concat());
    is_installed(&venv);
    pip(&["check"]);
    let packages = venv
        .join("lib")
        .read_dir_utf8()
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    let info = packages.path().join("site-packages");
    let info = info.join(format!("lockwright-{VERSION}.dist-info"));
    let metadata = fs::read_to_string(info.join("METADATA")).unwrap();
    for line in [
        &format!("Version: {VERSION}\n"),
        "License-Expression: MIT OR Apache-2.0\n",
        "License-File: THIRD-PARTY-LICENSES\n",
    ] {
        assert!(metadata.contains(line), "{line} in {metadata}");
    }
    assert!(info.join("licenses/THIRD-PARTY-LICENSES").is_file());
    assert!(info.join("sboms/lockwright.cdx.json").is_file());
    // PyPA's own reader holds every file against RECORD.
    let to = temp.join("unpacked");
    let unpack = [
        "-m",
        "wheel",
        "unpack",
        "--dest",
        to.as_str(),
        wheel().as_str(),
    ]
    .map(str::to_owned);
    common::run(common::packagers(), unpack);
    assert!(to.join(format!("lockwright-{VERSION}")).is_dir());

    pip(&["uninstall", "--yes", "lockwright"]);
    let left: Vec<_> = venv
        .join("share/man/man1")
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .collect();
    assert!(
        left.is_empty() && !venv.join("bin/lockwright").exists(),
        "{left:?}"
    );
}

#[test]
fn uv_installs_it_as_a_tool_and_uvx_runs_it() {
    let temp = Temp::new();
    let uv = |args: &[&str]| {
        let mut uv = offline(&temp, common::uv());
        uv.args(args)
            .args(["--no-index", "--find-links", released().as_str()]);
        uv.args(["--python", common::python().as_str()]);
        uv
    };
    uv(&["tool", "install", "lockwright"]).run().ok();
    let linked = temp.join("home/.local/bin/lockwright");
    assert_eq!(common::run(&linked, ["--version"]), said_version());
    is_installed(&temp.join("home/.local/share/uv/tools/lockwright"));

    let uvx = uv(&["tool", "run"])
        .args(["lockwright", "--version"])
        .run()
        .ok();
    assert_eq!(uvx.stdout, said_version());
    common::run(
        common::uv(),
        ["venv", "--quiet", temp.join("of-uv").as_str()],
    );
    let mut into = uv(&["pip", "install", "lockwright"]);
    into.env("VIRTUAL_ENV", temp.join("of-uv"));
    into.run().ok();
}

#[test]
fn pipx_installs_it_with_its_manual_pages() {
    let temp = Temp::new();
    let pipx = |args: &[&str]| {
        let mut pipx = offline(&temp, common::packagers());
        pipx.args(["-m", "pipx"]).args(args);
        // pipx wants a pip of its own, too.
        let folders = format!("{} {}", released(), common::packagers_wheels());
        pipx.envs([("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", folders.as_str())]);
        pipx.env("PIPX_DEFAULT_BACKEND", "pip").run().ok()
    };
    pipx(&["install", "lockwright"]);
    let local = temp.join("home/.local");
    assert_eq!(
        common::run(local.join("bin/lockwright"), ["--version"]),
        said_version()
    );
    let page = local.join("share/man/man1/lockwright-sync.1");
    assert!(
        fs::read_to_string(page)
            .unwrap()
            .contains(".TH lockwright-sync 1")
    );
    let ran = pipx(&["run", "lockwright", "--version"]);
    assert_eq!(ran.stdout, said_version());
}
