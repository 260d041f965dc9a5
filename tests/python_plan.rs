//! The plan of a Python environment beside uv's: the same packages, the same file of each.

#![allow(clippy::unwrap_used, clippy::panic)]

mod oracle;

use camino::Utf8Path;
use oracle::{Project, Python};

/// What cannot be had as a wheel, or is not one by the project's wish.
const BUILT: [&str; 5] = ["lxml", "xmlsec", "gssapi", "psycopg-c", "opencontainers"];

#[test]
fn authentik_s_wheels_are_those_that_uv_takes() {
    let shared = Utf8Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/authentik");
    if !shared.exists() {
        return; // The workshop's own copy of a real lock; ours are tested below.
    }
    for release in ["2025.12.4", "2026.2.0", "2026.2.2"] {
        let project = Project::from_folder(&shared.join(release));
        let mut args = vec!["--no-dev", "--no-install-project", "--no-install-workspace"];
        args.extend(BUILT.iter().flat_map(|name| ["--no-install-package", name]));
        let minor = if release == "2025.12.4" {
            "3.13"
        } else {
            "3.14"
        };
        for (patch, platform) in [
            ("2", "x86_64-manylinux_2_41"),
            ("0", "x86_64-manylinux_2_28"),
            ("2", "aarch64-manylinux_2_34"),
        ] {
            let python = &format!("{minor}.{patch}");
            let files = project.same_files(&Python::new(python, platform), &args);
            assert!(files.len() >= 165, "{release}: {}", files.len());
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
