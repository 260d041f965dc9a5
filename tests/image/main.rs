//! `lockwright image`, and components that are images: checked against umoci, which unpacks them, and
//! skopeo, which copies them; and two are started: of a lock, and of a whole application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../common/mod.rs"]
mod common;
mod layers;
mod refusals;
mod starts;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use common::{Ran, Run as _, Temp, lockwright, run};

/// A small root: a shell, `env`, glibc, and a program in the place of each interpreter.
fn small_root(temp: &Temp) -> Utf8PathBuf {
    let root = temp.join("root");
    let lib = root.join("usr/lib/x86_64-linux-gnu");
    for folder in ["usr/bin", "lib64", "etc"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    fs::create_dir_all(&lib).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    fs::copy(common::on_path("busybox"), root.join("usr/bin/busybox")).unwrap();
    symlink("busybox", root.join("usr/bin/sh")).unwrap();
    symlink("busybox", root.join("usr/bin/env")).unwrap();
    let forky = common::forky_root().join("usr/lib/x86_64-linux-gnu");
    fs::copy(forky.join("libc.so.6"), lib.join("libc.so.6")).unwrap();
    fs::copy(
        forky.join("ld-linux-x86-64.so.2"),
        root.join("lib64/ld-linux-x86-64.so.2"),
    )
    .unwrap();
    temp.write("root/etc/passwd", "root:x:0:0::/:/bin/sh\n");
    for name in ["python3.14", "node"] {
        stand_in(&root, &format!("/usr/bin/{name}"));
    }
    root
}

/// A program that is there, and no more.
fn stand_in(root: &Utf8Path, path: &str) {
    let path = root.join(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, "#!/bin/sh\necho stand-in\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A root with Debian's CPython 3.14, without what a container seldom wants.
fn python_root(temp: &Temp) -> Utf8PathBuf {
    let root = small_root(temp);
    let forky = common::forky_root().join("usr");
    let libraries = ["libm.so.6", "libz.so.1", "libexpat.so.1"];
    for library in libraries {
        let path = Utf8Path::new("lib/x86_64-linux-gnu").join(library);
        fs::copy(forky.join(&path), root.join("usr").join(&path)).unwrap();
    }
    fs::copy(
        forky.join("bin/python3.14"),
        root.join("usr/bin/python3.14"),
    )
    .unwrap();
    let lib = root.join("usr/lib/python3.14");
    common::copy_tree(&forky.join("lib/python3.14"), &lib);
    for folder in ["test", "idlelib", "tkinter", "ensurepip", "pydoc_data"] {
        let _ = fs::remove_dir_all(lib.join(folder));
    }
    root
}

/// `lockwright image` for the fixture, with Debian's Python and no network.
fn of_default(temp: &Temp, more: &[&str]) -> Command {
    let mut command = lockwright(temp);
    command.arg("image").arg(common::fixture("default"));
    command.args(["--offline", "--python-version", "3.14"]);
    command.args(more);
    command
}

/// `lockwright image` for trees.
fn of_trees(temp: &Temp, more: &[&str]) -> Command {
    let mut command = lockwright(temp);
    command.arg("image").args(more);
    command
}

/// A tree with what an archive can stumble over: long names, other scripts, links, modes, an empty folder.
fn odd_tree(temp: &Temp) -> Utf8PathBuf {
    let deep = vec!["a-folder-with-a-long-name"; 14].join("/");
    temp.write("odd/bin/start", "#!/bin/sh\necho started\n");
    temp.write(&format!("odd/{deep}/file"), "deep");
    temp.write(&format!("odd/{}", "n".repeat(180)), "long");
    temp.write("odd/été/日本", "names");
    temp.write("odd/empty", "");
    temp.write("odd/large", vec![b'x'; (3 << 20) + 17]);
    let tree = temp.join("odd");
    fs::create_dir_all(tree.join("nothing/in/here")).unwrap();
    symlink("bin/start", tree.join("link")).unwrap();
    symlink(format!("{deep}/{deep}"), tree.join("far")).unwrap();
    fs::set_permissions(tree.join("bin/start"), fs::Permissions::from_mode(0o755)).unwrap();
    // Two names of one file are two files.
    fs::hard_link(tree.join("large"), tree.join("again")).unwrap();
    tree
}

/// Unpacks an image by umoci: its root file system, and the bundle's config.
fn unpack(temp: &Temp, layout: &Utf8Path, tag: &str) -> (Utf8PathBuf, Value) {
    let bundle = temp.join(format!("bundle-{}", layout.file_name().unwrap()));
    let _ = fs::remove_dir_all(&bundle);
    let image = format!("{layout}:{tag}");
    run(
        common::on_path("umoci"),
        ["unpack", "--image", &image, bundle.as_str()],
    );
    let config = fs::read(bundle.join("config.json")).unwrap();
    (
        bundle.join("rootfs"),
        serde_json::from_slice(&config).unwrap(),
    )
}

fn nar_hash(temp: &Temp, tree: &Utf8Path) -> String {
    lockwright(temp).arg("hash").arg(tree).run().ok().stdout
}

fn digest(ran: &Ran) -> String {
    ran.stdout.trim().to_owned()
}

#[test]
fn a_tree_comes_back_as_it_was_and_the_same_twice_however_it_is_packed() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let tree = odd_tree(&temp);
    let at = format!("{tree}=/opt/odd");
    let hash = nar_hash(&temp, &tree);
    for how in ["gzip", "zstd", "none"] {
        let make = |out: &str| {
            let more = [
                "--base",
                root.as_str(),
                "--tree",
                &at,
                "--cmd",
                "/opt/odd/bin/start",
            ];
            let mut command = of_trees(&temp, &more);
            command.args(["--compression", how, "--out", out]);
            command
        };
        let first = digest(&make(&format!("{how}-1")).run().ok());
        // Another folder, another form, one processor.
        let made = make(&format!("elsewhere/{how}.tar"));
        let mut alone = Command::new(common::on_path("taskset"));
        alone
            .args(["-c", "0"])
            .arg(made.get_program())
            .args(made.get_args());
        for (name, value) in made.get_envs() {
            match value {
                Some(value) => alone.env(name, value),
                None => alone.env_remove(name),
            };
        }
        alone.current_dir(temp.path());
        assert_eq!(digest(&alone.run().ok()), first, "{how}");

        // Debian 12's umoci knows no zstd; skopeo brings it into another form.
        let layout = match how {
            "zstd" => {
                let (from, to) = ("oci:zstd-1:latest", "oci:zstd-gzip:latest");
                let skopeo = common::on_path("skopeo");
                let mut copy = Command::new(skopeo);
                copy.args(["copy", "--dest-compress-format", "gzip", "--dest-compress"]);
                copy.args([from, to]).current_dir(temp.path()).run().ok();
                temp.join("zstd-gzip")
            }
            how => temp.join(format!("{how}-1")),
        };
        let (rootfs, config) = unpack(&temp, &layout, "latest");
        let inside = rootfs.join("opt/odd");
        assert_eq!(nar_hash(&temp, &inside), hash, "{how}");
        assert_eq!(
            nar_hash(&temp, &rootfs.join("usr")),
            nar_hash(&temp, &root.join("usr"))
        );
        assert_eq!(config["process"]["args"][0], "/opt/odd/bin/start");

        // What Docker and podman read, and what OCI's tools read, is one image.
        for form in ["docker-archive", "oci-archive"] {
            let tag = if form == "oci-archive" { ":latest" } else { "" };
            let from = format!("{form}:elsewhere/{how}.tar{tag}");
            let to = temp.join(format!("{how}-{form}"));
            let mut copy = Command::new(common::on_path("skopeo"));
            copy.args(["copy", &from, &format!("dir:{to}")]);
            copy.current_dir(temp.path()).run().ok();
            let manifest: Value =
                serde_json::from_slice(&fs::read(to.join("manifest.json")).unwrap()).unwrap();
            let own = of_index(&temp.join(format!("{how}-1")));
            assert_eq!(
                manifest["config"]["digest"], own["config"]["digest"],
                "{form}"
            );
        }
    }
}

/// The manifest that a layout begins with.
fn of_index(layout: &Utf8Path) -> Value {
    let read = |path: Utf8PathBuf| -> Value {
        serde_json::from_slice(&fs::read(&path).unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
    };
    let index = read(layout.join("index.json"));
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    read(layout.join("blobs").join(digest.replace(':', "/")))
}
