//! What goes into which layer, and which of them come from a base, or from the store.

use std::fs;

use serde_json::Value;

use super::{digest, of_default, of_index, of_trees, python_root, small_root, unpack};
use crate::common::{Run as _, Temp, lockwright};

#[test]
fn an_image_on_an_image_takes_over_what_it_does_not_say() {
    let temp = Temp::new();
    let root = small_root(&temp);
    temp.write("one/a", "1");
    temp.write("two/b", "2");
    let base = [
        "--base",
        root.as_str(),
        "--tree",
        "one=/data",
        "--out",
        "base.tar",
    ];
    let mut base = of_trees(&temp, &base);
    base.args(["--entrypoint", "/bin/sh", "--cmd", "[\"-c\", \"true\"]"]);
    base.args([
        "--env", "A=1", "--env", "B=2", "--label", "of=base", "--user", "root",
    ]);
    let base = digest(&base.run().ok());

    let mut on_top = of_trees(&temp, &["--base", &format!("base.tar@{base}"), "--json"]);
    on_top.args(["--tree", "two=/data", "--env", "B=3", "--workdir", "/data"]);
    on_top.args([
        "--name",
        "registry.example/team/top:7",
        "--annotation",
        "x.y=z",
    ]);
    on_top.args(["--out", "top"]);
    let report = on_top.run().ok().json();
    assert_eq!(report["base"], base);
    assert_eq!(report["base_layers"], 2);
    let (rootfs, config) = unpack(&temp, &temp.join("top"), "7");
    assert_eq!(fs::read_to_string(rootfs.join("data/a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(rootfs.join("data/b")).unwrap(), "2");
    assert_eq!(
        config["process"]["args"],
        serde_json::json!(["/bin/sh", "-c", "true"])
    );
    let env = config["process"]["env"].to_string();
    assert!(env.contains("\"A=1\"") && env.contains("\"B=3\""), "{env}");
    assert_eq!(config["process"]["cwd"], "/data");
    let manifest = of_index(&temp.join("top"));
    assert_eq!(manifest["annotations"]["x.y"], "z");
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.base.digest"],
        base
    );
}

#[test]
fn a_bump_of_one_package_changes_its_layer_and_no_other() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let package = |name: &str, version: &str, size: usize| {
        let about = format!("{{\"name\": \"{name}\", \"version\": \"{version}\"}}");
        temp.write(&format!("app/node_modules/{name}/package.json"), about);
        let text = version.repeat(size / version.len());
        temp.write(&format!("app/node_modules/{name}/index.js"), text);
    };
    for name in ["big-one", "big-two"] {
        package(name, "1.0.0", 5 << 20);
    }
    for number in 0..40 {
        package(&format!("small-{number}"), "1.0.0", 300 << 10);
    }
    temp.write("app/main.js", "start()");
    let make = || {
        let more = [
            "--base",
            root.as_str(),
            "--tree",
            "app=/app",
            "--cmd",
            "node",
        ];
        let mut command = of_trees(&temp, &more);
        command.args(["--out", "app.tar", "--json"]);
        command.run().ok().json()
    };
    let new = |report: &Value| -> Vec<String> {
        let layers = report["layers"].as_array().unwrap().iter();
        let new = layers.filter(|layer| layer["kept"] == false);
        new.map(|layer| layer["contents"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = make();
    assert_eq!(first["replaced"], false);
    let layers = first["layers"].as_array().unwrap().len();
    assert!((5..=32).contains(&layers), "{first}");
    assert_eq!(new(&make()), [""; 0]);
    package("big-one", "1.0.1", (5 << 20) + 1000);
    let bumped = make();
    assert_eq!(new(&bumped), ["big-one"]);
    assert_eq!(made(&bumped), ["big-one"]);
    package("small-7", "2.0.0", 310 << 10);
    let changed = new(&make());
    assert!(
        changed.len() == 1 && changed[0].contains("small-"),
        "{changed:?}"
    );
    temp.write("app/main.js", "start(2)");
    let last = make();
    assert_eq!(new(&last), ["/app"]);
    // What was taken over is what would have been made.
    let mut fresh = of_trees(&temp, &["--base", root.as_str(), "--tree", "app=/app"]);
    let fresh = digest(
        &fresh
            .args(["--cmd", "node", "--out", "fresh.tar"])
            .run()
            .ok(),
    );
    assert_eq!(last["digest"], fresh);
}

/// What is in the layers that were not in the store.
fn made(report: &Value) -> Vec<&str> {
    let layers = report["layers"].as_array().unwrap().iter();
    let made = layers.filter(|layer| layer["stored"] == false);
    made.map(|layer| layer["contents"].as_str().unwrap())
        .collect()
}

#[test]
fn layers_come_from_the_store_unless_something_in_them_changed() {
    let temp = Temp::new();
    let root = python_root(&temp);
    let of_lock = |out: &str| {
        let more = ["--base", root.as_str(), "--cmd", "greet", "--json", "--out"];
        let mut command = of_default(&temp, &more);
        command.arg(out).run()
    };
    let first = of_lock("first.tar").ok().json();
    assert_eq!(
        made(&first).len(),
        first["layers"].as_array().unwrap().len()
    );
    let again = of_lock("again.tar").ok().json();
    assert_eq!(made(&again), [""; 0]);
    assert_eq!(again["digest"], first["digest"]);

    // A tree that lockwright made is believed for its records, until it is touched: an edit that keeps a
    // file's length and time shows.
    let mut sync = lockwright(&temp);
    sync.arg("sync").arg(crate::common::fixture("default"));
    sync.args(["--offline", "--python-version", "3.14", "--out", "env"]);
    sync.run().ok();
    // It lives where it was made: its scripts say so.
    let at = temp.join("env");
    let of_tree = |out: &str| {
        let (tree, path) = (format!("env={at}"), format!("PATH={at}/bin"));
        let args = ["--base", root.as_str(), "--tree", &tree, "--env", &path];
        let mut command = of_trees(&temp, &args);
        command.args(["--cmd", "greet", "--json", "--out", out]);
        command.run().ok().json()
    };
    of_tree("tree-1");
    assert_eq!(made(&of_tree("tree-2")), [""; 0]);
    let file = at.join("lib/python3.14/site-packages/greeting/__init__.py");
    let (text, time) = (
        fs::read_to_string(&file).unwrap(),
        fs::metadata(&file).unwrap().modified().unwrap(),
    );
    fs::write(&file, text.replace('e', "E")).unwrap();
    fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let edited = of_tree("tree-3");
    assert!(made(&edited).len() == 1, "{edited}");
    let (rootfs, _) = unpack(&temp, &temp.join("tree-3"), "latest");
    let inside = rootfs.join(file.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(inside).unwrap(), text.replace('e', "E"));

    // What rotted there is found, put aside and made anew.
    assert!(crate::common::rot(&temp.join("store")) > 3);
    let ran = of_lock("rotten.tar").ok();
    assert!(ran.stderr.contains("is put aside as"), "{ran}");
    assert_eq!(ran.json()["digest"], first["digest"]);
}
