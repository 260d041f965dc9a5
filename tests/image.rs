//! `lockwright image`, and components that are images: checked against umoci, which unpacks them, and
//! skopeo, which copies them; and two are started: of a lock, and of a whole application.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use common::{Ran, Run as _, Temp, lockwright, lockwright_in_forky, run};
use serde_json::Value;

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

#[test]
fn an_image_of_a_lock_starts_and_answers() {
    let temp = Temp::new();
    let root = python_root(&temp);
    temp.write(
        "server/serve.py",
        "import http.server, sys\nimport greeting\n\n\n\
         class Hello(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        \
         self.send_response(200)\n        self.end_headers()\n        \
         self.wfile.write(greeting.__file__.encode())\n\n\n\
         http.server.HTTPServer((\"127.0.0.1\", int(sys.argv[1])), Hello).serve_forever()\n",
    );
    let port = free_port();
    let entry = format!("[\"python\", \"/srv/serve.py\", \"{port}\"]");
    let server = format!("{}=/srv", temp.join("server"));
    let made = of_default(
        &temp,
        &["--base", root.as_str(), "--out", "app", "--tree", &server],
    );
    let mut made = { made };
    let ran = made
        .args(["--entrypoint", &entry, "--expose", &port.to_string()])
        .run()
        .ok();
    assert!(ran.stderr.contains("with its bill of materials"), "{ran}");
    let (rootfs, config) = unpack(&temp, &temp.join("app"), "latest");
    assert_eq!(config["process"]["cwd"], "/app");
    let answer = started(&rootfs, &config, port);
    assert!(
        answer.ends_with("/app/.venv/lib/python3.14/site-packages/greeting/__init__.py"),
        "{answer}"
    );

    let (_, bill) = bill_of(&temp.join("app")).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert!(bill.to_string().contains("pkg:pypi/greeting@"), "{bill}");
}

/// The bill of materials in a layout, which refers to the image beside it; and its file.
fn bill_of(layout: &Utf8Path) -> Option<(Utf8PathBuf, Value)> {
    let json =
        |path: &Utf8Path| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let place = |digest: &Value| {
        let name = digest.as_str().unwrap().replace(':', "/");
        layout.join("blobs").join(name)
    };
    let index = json(&layout.join("index.json"));
    let manifests = index["manifests"].as_array().unwrap();
    let referrer = json(&place(&manifests.get(1)?["digest"]));
    assert_eq!(referrer["subject"]["digest"], manifests[0]["digest"]);
    let file = place(&referrer["layers"][0]["digest"]);
    let bill = json(&file);
    Some((file, bill))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts what an unpacked image starts, as a runtime does: in its root file system, with nothing of this machine but
/// devices, /proc and the loopback interface. What it answers to a request.
fn started(rootfs: &Utf8Path, config: &Value, port: u16) -> String {
    let process = &config["process"];
    let word = |word: &Value| word.as_str().unwrap().to_owned();
    let mut start = Command::new(common::on_path("bwrap"));
    start.args(["--bind", rootfs.as_str(), "/", "--proc", "/proc"]);
    start.args(["--dev", "/dev", "--die-with-parent", "--clearenv"]);
    start.args(["--chdir", &word(&process["cwd"])]);
    for variable in process["env"].as_array().unwrap() {
        let variable = word(variable);
        let (name, value) = variable.split_once('=').unwrap();
        start.args(["--setenv", name, value]);
    }
    // The program is looked for on the image's PATH.
    start.args(["--", "/usr/bin/env"]);
    start.args(process["args"].as_array().unwrap().iter().map(word));
    let mut running = start
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = ask(port);
    running.kill().unwrap();
    running.wait().unwrap();
    answer
}

fn ask(port: u16) -> String {
    let start = Instant::now();
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            stream.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            return answer;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nobody answers");
        std::thread::sleep(Duration::from_millis(50));
    }
}

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
    sync.arg("sync").arg(common::fixture("default"));
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
    assert!(common::rot(&temp.join("store")) > 3);
    let ran = of_lock("rotten.tar").ok();
    assert!(ran.stderr.contains("is put aside as"), "{ran}");
    assert_eq!(ran.json()["digest"], first["digest"]);
}

#[test]
fn node_modules_of_a_lock_are_where_node_looks_for_them() {
    let temp = Temp::new();
    let root = small_root(&temp);
    let standin = temp.copy_of_fixture("standin");
    let mut command = lockwright(&temp);
    command
        .arg("image")
        .arg(standin.join("web/package-lock.json"));
    command.arg("--mirror");
    command.arg(format!(
        "https://registry.npm.example/={}",
        standin.join("registry")
    ));
    command.args([
        "--base",
        root.as_str(),
        "--out",
        "web",
        "--cmd",
        "[\"node\", \"-v\"]",
    ]);
    command.run().ok();
    let (rootfs, config) = unpack(&temp, &temp.join("web"), "latest");
    assert!(rootfs.join("app/node_modules/left/package.json").is_file());
    assert_eq!(config["process"]["cwd"], "/app");
    assert!(
        config["process"]["env"]
            .to_string()
            .contains("PATH=/app/node_modules/.bin:")
    );
}

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
    common::copy_tree(&temp.join("base"), &temp.join("rotten"));
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
    let wheels = common::wheels("x86_64");
    let module = common::elf::elf_files(&wheels.join("PIL"))
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
    let program = common::forky_root().join("usr/bin/python3.14");
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

#[test]
fn the_image_of_a_whole_application_starts_and_answers() {
    let temp = Temp::new();
    let root = python_root(&temp);
    temp.copy_of_fixture("default");
    let app = temp.copy_of_fixture("standin");
    run(app.join("make-repository"), [temp.join("repository")]);
    let port = free_port();
    let manifest = app.join("lockwright.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    let image = format!(
        "\n[component.image.image]\nbase = \"{root}\"\n\
         tree = {{ \"/srv/standin\" = \"{{component:standin}}\" }}\n\
         entrypoint = [\"{{component:standin}}/bin/start\", \"serve\"]\ncmd = [\"{port}\"]\n\
         path = [\"{{component:standin}}/bin\"]\nworkdir = \"{{component:standin}}\"\n\
         env = {{ HOW = \"{{python}}\" }}\nexpose = [\"{port}\"]\n"
    );
    fs::write(&manifest, format!("{text}{image}")).unwrap();
    let build = |more: &[&str]| {
        let mut command = lockwright_in_forky(&temp);
        command
            .current_dir(&app)
            .args(["build", "--python", "/usr/bin/python3.14"]);
        let mirrors = [
            (
                "https://forge.example/standin-git.git",
                temp.join("repository"),
            ),
            ("https://registry.npm.example/", app.join("registry")),
        ];
        for (from, to) in mirrors {
            command.arg("--mirror").arg(format!("{from}={to}"));
        }
        command.args(more);
        command.run()
    };
    let one = temp.join("one");
    let first = build(&["image", "--out", one.as_str()]).ok();
    let hash = first.stdout.split(' ').nth(1).unwrap().to_owned();
    let (rootfs, config) = unpack(&temp, &one, "1.0.0");
    let start = fs::read_to_string(rootfs.join("srv/standin/bin/start")).unwrap();
    assert!(start.contains("/srv/standin/lifecycle/start"), "{start}");
    assert_eq!(
        config["process"]["args"],
        serde_json::json!(["/srv/standin/bin/start", "serve", port.to_string()])
    );
    let env = config["process"]["env"].to_string();
    assert!(env.contains("HOW=/usr/bin/python3.14"), "{env}");
    let answer = started(&rootfs, &config, port);
    let said = "\r\n\r\nstandin at /srv/standin quiet\nhello from a build step\n";
    assert!(answer.ends_with(said), "{answer}");

    // Its bill has what is named by every lock that its components are made of.
    assert!(
        first.stderr.contains("with its bill of materials"),
        "{first}"
    );
    let (file, bill) = bill_of(&one).unwrap();
    assert_eq!(bill["metadata"]["component"]["type"], "container");
    let all = bill["components"].to_string();
    for purl in [
        "pkg:pypi/greeting-check@",
        "pkg:npm/left@",
        "root:pkg:pypi/standin@",
    ] {
        assert!(all.contains(purl), "{purl}: {all}");
    }
    let validate = "import sys\n\
                    from cyclonedx.schema import SchemaVersion\n\
                    from cyclonedx.validation.json import JsonStrictValidator\n\
                    validator = JsonStrictValidator(SchemaVersion.V1_6)\n\
                    sys.exit(validator.validate_str(open(sys.argv[1]).read()))";
    run(common::validators(), ["-c", validate, file.as_str()]);

    // Nothing to do; the same bytes elsewhere; and what changed is one layer.
    let again = build(&["image", "--out", one.as_str()]).ok();
    assert!(again.stderr.contains("image: unchanged"), "{again}");
    let two = temp.join("elsewhere/two");
    let other = build(&["image", "--out", two.as_str()]).ok();
    assert_eq!(other.stdout.split(' ').nth(1).unwrap(), hash);
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace("calm and steady", "loud");
    fs::write(&manifest, &text).unwrap();
    let changed = build(&["image", "--out", one.as_str()]).ok();
    assert!(
        changed.stderr.contains("layers, 1 of them new"),
        "{changed}"
    );

    fs::write(&manifest, format!("{text}sbom = false\n")).unwrap();
    let without = build(&["image", "--out", temp.join("without").as_str()]).ok();
    assert!(
        without.stderr.contains("without a bill of materials"),
        "{without}"
    );
    assert!(bill_of(&temp.join("without")).is_none());

    // One archive, and what an image cannot be besides.
    fs::write(&manifest, format!("{text}archive = \"standin.tar\"\n")).unwrap();
    build(&["image", "--out", temp.join("archive").as_str()]).ok();
    let archive = format!("docker-archive:{}", temp.join("archive/standin.tar"));
    run(common::on_path("skopeo"), ["inspect", &archive]);
    fs::write(
        &manifest,
        format!("{text}\n[component.image]\nkeep = [\"blobs\"]\n"),
    )
    .unwrap();
    let ran = build(&["image", "--out", temp.join("no").as_str()]).exit(1);
    assert!(
        ran.stderr
            .contains("make the tree in a component of its own"),
        "{ran}"
    );
    assert!(!temp.join("no").exists());
}
