//! What cannot be an image, and what an image would lack.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use camino::Utf8Path;

use super::{odd_tree, of_default, of_index, of_trees, small_root};
use crate::common::{Run as _, Temp};

#[test]
fn what_cannot_be_an_image_is_refused_with_a_sentence() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let root = root.as_str();
    let tree = odd_tree(&temp);
    let at = format!("{tree}=/opt/odd");
    of_trees(
        &temp,
        &[
            "--base", root, "--tree", &at, "--cmd", "sh", "--out", "base",
        ],
    )
    .run()
    .ok();
    crate::common::copy_tree(&temp.join("base"), &temp.join("rotten"));
    let layer = of_index(&temp.join("rotten"))["layers"][0]["digest"].clone();
    let blob = temp
        .join("rotten/blobs")
        .join(layer.as_str().unwrap().replace(':', "/"));
    let mut bytes = fs::read(&blob).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&blob, bytes).unwrap();
    temp.write("note.tar/file", "");
    temp.write("mine/file", "");
    temp.write("over/usr/bin/sh/file", "");
    temp.write("link/bin/file", "");
    temp.write("plain.tar", vec![0; 1024]);
    let zeros = format!("base@sha256:{}", "0".repeat(64));

    let cases: &[(&[&str], &str)] = &[
        (
            &["--tree", &at, "--out", "x"],
            "nothing says what the image starts",
        ),
        (
            &[
                "--base", "base", "--arch", "arm64", "--tree", &at, "--out", "x",
            ],
            "is an image for linux/amd64, and one for arm64 is wanted",
        ),
        (&["--base", "rotten", "--tree", &at, "--out", "x"], "rotten"),
        (
            &["--base", &zeros, "--tree", &at, "--out", "x"],
            "and sha256:000",
        ),
        (
            &["--base", "plain.tar", "--tree", &at, "--out", "x"],
            "it has no index.json",
        ),
        (
            &["--base", "nowhere", "--tree", &at, "--out", "x"],
            "there is no",
        ),
        (
            &["--base", root, "--tree", &at, "--cmd", "bash", "--out", "x"],
            "the image would start bash, which is not on its PATH; in it are /opt/odd/bin/start",
        ),
        (
            &[
                "--base",
                root,
                "--tree",
                &at,
                "--cmd",
                "/etc/passwd",
                "--out",
                "x",
            ],
            "which may not be run",
        ),
        (
            &["--tree", &at, "--cmd", "/opt/odd/bin/start", "--out", "x"],
            "/bin/sh, by which /opt/odd/bin/start is run",
        ),
        (
            &[
                "--base", "base", "--tree", "mine=/x", "--user", "nobody", "--out", "x",
            ],
            "the user `nobody` is none",
        ),
        (
            &[
                "--base", "base", "--tree", "mine=/x", "--expose", "http", "--out", "x",
            ],
            "the port `http` is none",
        ),
        (
            &[
                "--base", "base", "--tree", "mine=/x", "--name", "Mine", "--out", "x",
            ],
            "the name `Mine` is none",
        ),
        (
            &["--base", "base", "--tree", "over=/", "--out", "x"],
            "/usr/bin/sh is a folder in it, and a link to busybox in the image",
        ),
        (
            &["--base", "base", "--tree", "link=/", "--out", "x"],
            "/bin is a folder in it, and a link to usr/bin in the image",
        ),
        (
            &[
                "--base", "base", "--tree", "mine=/x", "--tree", "mine=/x", "--out", "x",
            ],
            "/x/file comes from",
        ),
        (
            &["--base", "base", "--tree", "mine=/x", "--out", "mine"],
            "it is the tree",
        ),
        (
            &["--base", "base", "--tree", "mine=/x", "--out", "over"],
            "exists and is not an image",
        ),
        (
            &["--base", "base", "--tree", "mine=/x", "--out", "note.tar"],
            "exists and is not an image",
        ),
        (
            &["--base", "base", "--tree", "mine=/x", "--out", "base"],
            "it is the base",
        ),
        (
            &["--base", "base", "--tree", "mine/file=/x", "--out", "x"],
            "it is not a folder",
        ),
    ];
    let before: Vec<String> = names(temp.path());
    for (args, said) in cases {
        let ran = of_trees(&temp, args).run().exit(1);
        assert!(ran.stderr.starts_with("error: "), "{ran}");
        assert!(ran.stderr.contains(said), "wanted {said}\n{ran}");
        assert_eq!(names(temp.path()), before, "something was left by\n{ran}");
    }
    // For another machine than the base's.
    let arm = [
        "--base",
        "base",
        "--python-platform",
        "aarch64-unknown-linux-gnu",
        "--out",
        "x",
    ];
    let ran = of_default(&temp, &arm).run().exit(1);
    assert!(ran.stderr.contains("one for arm64 is wanted"), "{ran}");
}

fn names(folder: &Utf8Path) -> Vec<String> {
    let entries = folder.read_dir_utf8().unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().to_owned())
        .collect();
    names.sort();
    names.retain(|name| name != "store");
    names
}

#[test]
fn what_no_layer_has_is_listed_and_may_be_left_out_by_name() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let wheels = crate::common::wheels("x86_64");
    let module = crate::common::elf::elf_files(&wheels.join("PIL"))
        .into_iter()
        .find(|path| path.as_str().contains("_imagingft."))
        .expect("Pillow has its FreeType module");
    fs::create_dir_all(temp.join("tree/PIL")).unwrap();
    fs::copy(&module, temp.join("tree/PIL/_imagingft.so")).unwrap();
    temp.write("tree/bin/run", "#!/usr/bin/env -S ruby -w\n");
    temp.write("tree/bin/odd", "#!/opt/perl/bin/perl\n");
    for name in ["run", "odd"] {
        let path = temp.join(format!("tree/bin/{name}"));
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    symlink("/opt/nothing", temp.join("tree/dangling")).unwrap();
    symlink("../../outside", temp.join("tree/outside")).unwrap();
    symlink("not-there", temp.join("tree/own")).unwrap();
    let make = |more: &[&str]| {
        let args = [
            "--base",
            root.as_str(),
            "--tree",
            "tree=/app/t",
            "--cmd",
            "sh",
            "--out",
            "x",
        ];
        let mut command = of_trees(&temp, &args);
        command.args(more);
        command.run()
    };
    let ran = make(&[]).exit(1);
    for said in [
        "/opt/perl/bin/perl, by which /app/t/bin/odd is run",
        "ruby on the PATH, by which /app/t/bin/run is run",
        "/opt/nothing, where the link /app/t/dangling leads",
        "../../outside, where the link /app/t/outside leads",
        ", a library that /app/t/PIL/_imagingft.so needs",
    ] {
        assert!(ran.stderr.contains(said), "wanted {said}\n{ran}");
    }
    assert!(!ran.stderr.contains("not-there"), "{ran}");
    assert!(!ran.stderr.contains("libc.so.6"), "{ran}");

    let allow = ["lib*", "ruby", "/app/t/bin/odd", "/opt/*", "*outside"];
    let allow: Vec<&str> = allow
        .iter()
        .flat_map(|one| ["--allow-missing", one])
        .collect();
    make(&allow).ok();
}

#[test]
fn a_base_with_an_older_glibc_is_told() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let old = "/lib/x86_64-linux-gnu/libc.so.6";
    fs::copy(old, root.join("usr/lib/x86_64-linux-gnu/libc.so.6")).unwrap();
    let program = crate::common::forky_root().join("usr/bin/python3.14");
    fs::create_dir(temp.join("tree")).unwrap();
    fs::copy(program, temp.join("tree/program")).unwrap();
    let base = [
        "--base",
        root.as_str(),
        "--tree",
        "tree=/empty",
        "--cmd",
        "sh",
        "--out",
        "base",
    ];
    let base = [&base[..], &["--allow-missing", "*"]].concat();
    of_trees(&temp, &base).run().ok();
    for base in [root.as_str(), "base"] {
        let args = [
            "--base", base, "--tree", "tree=/t", "--cmd", "sh", "--out", "x",
        ];
        let ran = of_trees(&temp, &args).run().exit(1);
        let said = " of libc.so.6, which /t/program needs of it";
        assert!(ran.stderr.contains(said), "{ran}");
    }
}
