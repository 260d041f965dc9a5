//! Images that are started: of a lock, of a `node_modules`, of a whole application.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::Value;

use super::{of_default, python_root, small_root, unpack};
use crate::common::{Run as _, Temp, lockwright, lockwright_in_forky, run};

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
    let mut start = Command::new(crate::common::on_path("bwrap"));
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
    run(crate::common::validators(), ["-c", validate, file.as_str()]);

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
    run(crate::common::on_path("skopeo"), ["inspect", &archive]);
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
