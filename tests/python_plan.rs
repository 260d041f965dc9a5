//! The plan of a Python environment beside uv's: the same packages, the same file of each; and what is
//! made of a pylock.toml.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;
mod oracle;
mod pylock;

use std::fmt::Write as _;
use std::process::Command;

use common::{Run, Temp};
use oracle::{Project, Python};

/// What cannot be obtained as a wheel, or is not one by the project's wish.
const BUILT: [&str; 5] = ["lxml", "xmlsec", "gssapi", "psycopg-c", "opencontainers"];

#[test]
fn the_wheels_of_real_locks_and_the_flagship_s_are_those_that_uv_takes() {
    let mut projects = vec![
        (common::fixture("heavy"), "3.13", 14),
        (common::fixture("forks"), "3.12", 8),
    ];
    if let Some(locks) = common::flagship_locks() {
        let releases = [
            ("2025.12.4", "3.13"),
            ("2026.2.0", "3.14"),
            ("2026.2.2", "3.14"),
        ];
        projects.extend(releases.map(|(release, minor)| (locks.join(release), minor, 165)));
    }
    for (folder, minor, at_least) in projects {
        let project = Project::from_folder(&folder);
        let mut args = vec!["--no-dev", "--no-install-project", "--no-install-workspace"];
        args.extend(BUILT.iter().flat_map(|name| ["--no-install-package", name]));
        for (patch, platform) in [
            ("2", "x86_64-manylinux_2_41"),
            ("0", "x86_64-manylinux_2_28"),
            ("2", "aarch64-manylinux_2_34"),
        ] {
            let python = &format!("{minor}.{patch}");
            let files = project.same_files(&Python::new(python, platform), &args);
            assert!(files.len() >= at_least, "{folder}: {}", files.len());
        }
    }
}

/// Targets of all kinds that uv knows.
fn pythons() -> Vec<Python> {
    [
        ("3.14.2", "x86_64-manylinux_2_41"),
        ("3.14.2t", "x86_64-manylinux_2_28"),
        ("3.13.9", "x86_64-manylinux_2_17"),
        ("3.13.1t", "aarch64-manylinux_2_35"),
        ("3.12.4", "aarch64-manylinux_2_17"),
        ("3.12.0", "i686-manylinux_2_12"),
        ("3.14.0", "riscv64-manylinux_2_39"),
        ("3.13.0", "armv7l-manylinux_2_31"),
        ("3.14.2", "x86_64-musllinux_1_2"),
        ("3.13.3t", "aarch64-musllinux_1_3"),
        ("3.14.2", "aarch64-macos_14_0"),
        ("3.12.2", "x86_64-macos_13_0"),
        ("3.11.2", "x86_64-macos_10_15"),
        ("3.14.2", "x86_64-windows"),
        ("3.13.2", "aarch64-windows"),
    ]
    .map(|(version, platform)| Python::new(version, platform))
    .to_vec()
}

#[test]
fn of_any_wheels_the_one_that_uv_takes_is_taken() {
    let project = oracle::random::many_wheels(1, 150);
    for python in pythons() {
        project.same_files(&python, &[]);
    }
}

#[test]
fn any_flags_choose_the_packages_that_uv_chooses() {
    // More for a longer look: LOCKWRIGHT_TEST_SEEDS=1000.
    let seeds = std::env::var("LOCKWRIGHT_TEST_SEEDS");
    let seeds = seeds.map_or(60, |text| text.parse().unwrap());
    let (mut installed, mut asked) = (0, 0);
    for seed in 0..seeds {
        let project = oracle::random::workspace(seed, seed % 2 == 1);
        let mut rng = oracle::random::Rng(seed);
        for _ in 0..4 {
            let flags = oracle::random::flags(&mut rng);
            let all = pythons();
            let python = &all[rng.below(all.len())];
            installed += usize::from(project.agree(python, &flags));
            asked += 1;
        }
    }
    // Most questions must have an answer, or nothing was compared.
    assert!(installed * 2 > asked, "{installed} of {asked}");
}

/// `lockwright plan` of a lock with no more than 1 GiB of addresses and a minute of a processor's time: its exit code
/// and what it says.
fn plan_within_bounds(lock: &str, args: &[&str]) -> (Option<i32>, String) {
    let target = [
        "--python-version",
        "3.14",
        "--python-platform",
        "x86_64-manylinux_2_28",
    ];
    within_bounds(lock, &["plan"], &[&target, args].concat())
}

/// The same of any command that takes a lock.
fn within_bounds(lock: &str, command: &[&str], args: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("uv.lock"), lock).unwrap();
    let ran = Command::new("prlimit")
        .args([
            "--as=1073741824",
            "--cpu=60",
            env!("CARGO_BIN_EXE_lockwright"),
        ])
        .args(command)
        .arg(folder.path().join("uv.lock"))
        .args(args)
        .output()
        .unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    (ran.status.code(), String::from_utf8(said).unwrap())
}

const HEAD: &str = "version = 1\nrevision = 3\nrequires-python = \">=3.12\"\n";

fn package(name: &str, needs: &str) -> String {
    let hash = "0".repeat(64);
    format!(
        "[[package]]\nname = \"{name}\"\nversion = \"1\"\nsource = {{ registry = \"https://pypi.example/simple\" }}\n\
         dependencies = [{needs}]\n\
         wheels = [{{ url = \"https://pypi.example/{name}-1-py3-none-any.whl\", hash = \"sha256:{hash}\" }}]\n"
    )
}

/// A project that needs `p0`, with this said of it besides.
fn root(rest: &str) -> String {
    format!(
        "[[package]]\nname = \"root\"\nversion = \"1\"\nsource = {{ virtual = \".\" }}\n{rest}\n"
    )
}

#[test]
fn a_chain_of_packages_costs_what_its_lock_does() {
    let count = 20_000;
    let mut lock = HEAD.to_owned() + &root("dependencies = [{ name = \"p0\" }]");
    for number in 0..count {
        let next = number + 1;
        let needs = if next < count {
            format!("{{ name = \"p{next}\" }}")
        } else {
            String::new()
        };
        lock += &package(&format!("p{number}"), &needs);
    }
    for args in [&[][..], &["--json"]] {
        let (code, said) = plan_within_bounds(&lock, args);
        assert_eq!(code, Some(0), "{}", said.get(..2000).unwrap_or(&said));
        assert!(said.contains("… 19978 more …") && said.contains("p19999"));
        // A path is shown in so many steps, however long it is.
        assert!(said.len() < 2_000 * count, "{}", said.len());
    }
}

#[test]
fn a_marker_costs_what_its_text_does() {
    let pairs = |one: &str, other: &str| {
        let clauses = (0..2_000).map(|n| format!("({one} == 'a{n}' and {other} == 'b{n}')"));
        clauses.collect::<Vec<_>>().join(" or ")
    };
    let with = |marker: &str, head: &str| {
        let needs = format!("dependencies = [{{ name = \"p0\", marker = \"{marker}\" }}]");
        format!("{HEAD}{head}{}{}", root(&needs), package("p0", ""))
    };
    for (one, other) in [
        ("sys_platform", "os_name"),
        ("extra", "extra"),
        ("python_full_version", "extra"),
    ] {
        let marker =
            pairs(one, other).replace("python_full_version == 'a", "python_full_version == '4.");
        let (code, said) = plan_within_bounds(&with(&marker, ""), &[]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("0 packages"), "{said}");
        let (code, said) =
            plan_within_bounds(&with(&format!("{marker} or os_name == 'posix'"), ""), &[]);
        assert!(code == Some(0) && said.contains("1 package "), "{said}");
    }
    // For all targets at once markers are brought into a normal form, as far as that is no larger.
    let one_in_other = pairs("sys_platform", "os_name").replace("sys_platform == 'a", "'a");
    let one_in_other = one_in_other
        .replace("' and", "' in os_name and")
        .replace("os_name == 'b", "'b");
    let one_in_other = one_in_other.replace("')", "' in sys_platform)");
    for (marker, works) in [
        (pairs("sys_platform", "os_name"), true),
        (one_in_other, false),
    ] {
        let (code, said) = within_bounds(&with(&marker, ""), &["export", "pylock"], &[]);
        assert_eq!(
            code,
            Some(i32::from(!works)),
            "{}",
            said.get(..2000).unwrap_or(&said)
        );
        assert!(said.contains(if works {
            "name = \"p0\""
        } else {
            "larger markers than uv"
        }));
    }
    // Where extras conflict, their conditions are weighed against each other.
    let conflicts = "conflicts = [[{ package = \"root\", extra = \"x\" }, { package = \"root\", extra = \"y\" }]]\n";
    let (code, said) = plan_within_bounds(&with(&pairs("extra", "extra"), conflicts), &[]);
    assert!(
        code == Some(1) && said.contains("regenerate it with `uv lock`"),
        "{code:?} {said}"
    );
    let (code, said) = plan_within_bounds(&with(&pairs("sys_platform", "os_name"), conflicts), &[]);
    assert!(code == Some(0) && said.contains("0 packages"), "{said}");
}

#[test]
fn what_is_written_at_length_or_deep_is_shown_or_refused() {
    let url = format!("https://forge.example/{}", "a".repeat(200_000));
    let commit = "0".repeat(40);
    let mut lock =
        HEAD.to_owned() + &root("dependencies = [{ name = \"long\" }, { name = \"p0\" }]");
    write!(
        lock,
        "[[package]]\nname = \"long\"\nversion = \"1\"\nsource = {{ git = \"{url}#{commit}\" }}\n{}",
        package("p0", "")
    )
    .unwrap();
    let (code, said) = plan_within_bounds(&lock, &[]);
    assert_eq!(code, Some(0), "{}", said.get(..2000).unwrap_or(&said));
    assert!(
        said.contains(&url)
            && said
                .lines()
                .all(|line| line.contains(&url) || line.len() < 400)
    );
    let deep = format!("{HEAD}x = {}{}\n", "[".repeat(200_000), "]".repeat(200_000));
    let (code, said) = plan_within_bounds(&deep, &[]);
    assert!(
        code == Some(1) && said.contains("uv.lock:4"),
        "{code:?} {}",
        said.get(..300).unwrap_or(&said)
    );
}

/// Folders of this machine with `no-build`: the project and its members are built all the same, path
/// dependencies are not. uv is asked the same.
#[test]
fn what_may_not_be_built_is_what_uv_does_not_build() {
    let temp = Temp::new();
    let project = |folder: &str, name: &str, more: &str| {
        temp.write(&format!("{folder}/src/{name}/__init__.py"), "");
        temp.write(
            &format!("{folder}/pyproject.toml"),
            format!(
                "[project]\nname = '{name}'\nversion = '1'\nrequires-python = '>=3.11'\n{more}\n\
                 [build-system]\nrequires = ['uv_build']\nbuild-backend = 'uv_build'\n"
            ),
        );
    };
    project(
        "app",
        "app",
        "dependencies = ['member', 'copied', 'path', 'folder']\n[tool.uv.workspace]\n\
         members = ['member', 'copied']\n[tool.uv.sources]\nmember = { workspace = true }\n\
         copied = { workspace = true, editable = false }\nfolder = { path = '../folder' }\n\
         path = { path = '../path', editable = true }",
    );
    project("app/member", "member", "");
    project("app/copied", "copied", "");
    project("path", "path", "");
    project("folder", "folder", "");
    let uv = |args: &[&str]| {
        Command::new(common::uv())
            .args(args)
            .args(["--offline", "--quiet", "--cache-dir"])
            .arg(temp.join("uv-cache"))
            .env("UV_PYTHON", common::python())
            .current_dir(temp.join("app"))
            .run()
    };
    uv(&["lock"]).ok();
    let without = ["--no-install-package=path", "--no-install-package=folder"];
    for (flags, works) in [
        (&["--no-build"][..], false),
        (&["--no-build", without[0]], false),
        (&["--no-build", without[0], without[1]], true),
        (
            &["--no-build", "--no-editable", without[0], without[1]],
            true,
        ),
        (
            &["--no-build-package=app", "--no-build-package=member"],
            true,
        ),
        (&["--no-build-package=copied", "--no-editable"], true),
        (&["--no-build-package=path"], false),
        (&["--no-build-package=folder"], false),
        (&["--no-build", "--no-binary-package=folder"], false),
        (
            &["--no-build", "--no-binary-package=folder", without[0]],
            true,
        ),
    ] {
        let theirs = uv(&[&["sync", "--dry-run"], flags].concat());
        let ours = common::lockwright(&temp)
            .args(["plan", "app", "--python"])
            .arg(common::python())
            .args(flags)
            .run();
        assert_eq!(theirs.code == 0, works, "{theirs}");
        assert_eq!(ours.code == 0, works, "{ours}");
        if !works {
            assert!(
                ours.stderr.contains("--build and --no-build-package NAME"),
                "{ours}"
            );
            assert!(
                !ours.stderr.contains("another Python or platform"),
                "{ours}"
            );
        }
    }
}
