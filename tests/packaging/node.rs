//! The packages for npm: from their files, and from a registry of the test's own.

use std::fs;
use std::process::Command;

use camino::Utf8PathBuf;
use data_encoding::BASE64;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::common::{self, Run as _, Server, Temp};
use super::{VERSION, released, said_version};

const CPUS: [&str; 2] = ["x64", "arm64"];

fn own_cpu() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    }
}

fn tarball(name: &str) -> Utf8PathBuf {
    released().join(format!("npm/{name}-{VERSION}.tgz"))
}

/// npm or npx in `project`, without this machine's settings.
fn node(temp: &Temp, program: Utf8PathBuf, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args);
    for (name, _) in std::env::vars_os() {
        if name
            .to_string_lossy()
            .to_lowercase()
            .starts_with("npm_config_")
        {
            command.env_remove(name);
        }
    }
    fs::create_dir_all(temp.join("project")).unwrap();
    command
        .env("HOME", temp.join("home"))
        .env("npm_config_update_notifier", "false")
        .current_dir(temp.join("project"));
    command
}

fn npm(temp: &Temp, args: &[&str]) -> Command {
    let mut npm = node(temp, common::npm(), args);
    npm.args(["--no-audit", "--no-fund"]);
    npm
}

#[test]
fn npx_runs_the_program_of_this_machine_and_says_when_there_is_none() {
    let temp = Temp::new();
    temp.write("project/package.json", "{}");
    let cpu = own_cpu();
    let files = [
        tarball(&format!("lockwright-linux-{cpu}")),
        tarball("lockwright"),
    ];
    npm(
        &temp,
        &[
            "install",
            "--offline",
            "--ignore-scripts",
            files[0].as_str(),
            files[1].as_str(),
        ],
    )
    .run()
    .ok();
    let npx = |args: &[&str]| {
        let all = [&["--offline", "--no-install", "lockwright"], args].concat();
        node(&temp, common::npx(), &all).run()
    };
    assert_eq!(npx(&["--version"]).ok().stdout, said_version());
    // Its exit code is the program's.
    npx(&["plan", "nowhere"]).exit(1);
    npx(&["--no-such-flag"]).exit(2);

    fs::remove_dir_all(temp.join("project/node_modules/@lockwright")).unwrap();
    let said = npx(&["--version"]).exit(1).stderr;
    assert!(
        said.contains(&format!("@lockwright/linux-{cpu} is not installed")),
        "{said}"
    );
}

/// The packages as a registry has them, and npm told to ask it.
fn registry(temp: &Temp) -> Server {
    let server = Server::new();
    let mut packages = vec![("lockwright".to_owned(), "lockwright".to_owned())];
    packages.extend(CPUS.map(|cpu| {
        (
            format!("@lockwright/linux-{cpu}"),
            format!("lockwright-linux-{cpu}"),
        )
    }));
    for (name, file) in packages {
        let bytes = fs::read(tarball(&file)).unwrap();
        let unpacked = common::run(
            "tar",
            ["-xzOf", tarball(&file).as_str(), "package/package.json"],
        );
        let mut package: Value = serde_json::from_str(&unpacked).unwrap();
        assert_eq!(package["name"], *name);
        assert!(package.get("scripts").is_none(), "{package}");
        let integrity = format!("sha512-{}", BASE64.encode(&Sha512::digest(&bytes)));
        let path = format!("/{file}.tgz");
        package["dist"] = json!({ "tarball": server.url(&path), "integrity": integrity });
        let all = json!({ "name": name, "dist-tags": { "latest": VERSION }, "versions": { VERSION: package } });
        server.put(&path, bytes);
        server.put(&format!("/{}", name.replace('/', "%2f")), all.to_string());
    }
    temp.write("home/.npmrc", format!("registry={}\n", server.url("/")));
    server
}

#[test]
fn a_registry_gives_each_machine_its_own_program() {
    let temp = Temp::new();
    let server = registry(&temp);
    // With nothing there: it is fetched, and run.
    let ran = node(&temp, common::npx(), &["--yes", "lockwright", "--version"])
        .run()
        .ok();
    assert_eq!(ran.stdout, said_version());
    for (cpu, other) in [("x64", "arm64"), ("arm64", "x64")] {
        temp.write("project/package.json", "{}");
        let _ = fs::remove_dir_all(temp.join("project/node_modules"));
        let _ = fs::remove_file(temp.join("project/package-lock.json"));
        let cpu_flag = format!("--cpu={cpu}");
        npm(&temp, &["install", "lockwright", "--os=linux", &cpu_flag])
            .run()
            .ok();
        let modules = temp.join("project/node_modules/@lockwright");
        assert!(
            modules
                .join(format!("linux-{cpu}/bin/lockwright"))
                .is_file()
        );
        assert!(
            modules
                .join(format!("linux-{cpu}/man/lockwright.1"))
                .is_file()
        );
        assert!(!modules.join(format!("linux-{other}")).exists());
    }
    // Its lock has both, so that one `npm ci` fits every machine; lockwright's own does, too.
    let lock = fs::read_to_string(temp.join("project/package-lock.json")).unwrap();
    for cpu in CPUS {
        assert!(
            lock.contains(&format!("node_modules/@lockwright/linux-{cpu}")),
            "{lock}"
        );
    }
    let mut sync = common::lockwright(&temp);
    let out = temp.join("by-lockwright");
    sync.args([
        "sync",
        "project",
        "--out",
        out.as_str(),
        "--os",
        "linux",
        "--cpu",
        own_cpu(),
    ]);
    sync.run().ok();
    let run = out.join("node_modules/.bin/lockwright");
    let run = if run.exists() {
        run
    } else {
        out.join(".bin/lockwright")
    };
    let ran = Command::new(run)
        .arg("--version")
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", common::node().parent().unwrap()),
        )
        .run()
        .ok();
    assert_eq!(ran.stdout, said_version());
    assert!(
        server
            .requests_of("/lockwright.tgz")
            .iter()
            .any(|request| request.status == 200)
    );

    // Left out by the person who installs: a sentence says so.
    let _ = fs::remove_dir_all(temp.join("project/node_modules"));
    npm(&temp, &["ci", "--omit=optional"]).run().ok();
    let said = node(&temp, common::npx(), &["--no-install", "lockwright"])
        .run()
        .exit(1)
        .stderr;
    assert!(said.contains("install without --omit=optional"), "{said}");
}
