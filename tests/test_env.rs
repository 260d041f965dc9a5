//! The test environment itself: the tools are there and are what the tests take them for, and the server misbehaves as
//! it is told to.

// Helpers are not tests to clippy.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use common::{Fault, Run, Server, Temp};

#[test]
fn the_peers_are_of_the_versions_that_we_claim_parity_with() {
    assert!(common::run(common::uv(), ["--version"]).starts_with("uv 0.13."));
    assert!(common::run(common::node(), ["--version"]).starts_with("v24."));
    let npm = common::run(common::npm(), ["--version"]);
    assert!(
        node_semver::Version::parse(npm.trim()).unwrap() >= (11, 17, 0).into(),
        "npm is {npm}"
    );
    assert!(common::run(common::patchelf(), ["--version"]).starts_with("patchelf 0.1"));
    assert!(common::run(common::nix(), ["--version"]).starts_with("nix (Nix) 2."));
    let [in_forky, nix] = common::newer_nix();
    let newer = common::run(in_forky, [nix.as_str(), "--version"]);
    assert!(newer.starts_with("nix (Nix) 2.3"), "{newer}");
    common::run(common::bun(), ["--version"]);
    common::run(common::python(), ["-c", "import packaging.tags, pip"]);
    assert!(common::django().join("django/db/migrations").is_dir());
    common::on_path("readelf");
    common::postgres();
}

#[test]
fn cpython_3_14_runs_from_outside_and_lockwright_runs_beside_it() {
    let version = common::run(common::python314(), ["--version"]);
    assert!(version.starts_with("Python 3.14."), "{version}");
    let temp = Temp::new();
    let ran = common::lockwright_in_forky(&temp)
        .arg("--version")
        .run()
        .ok();
    assert_eq!(
        ran.stdout,
        format!("lockwright {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn every_reserved_name_has_a_mirror() {
    let mirrors = common::mirrors();
    for name in [
        "https://pypi.example/simple=",
        "https://files.pypi.example/=",
        "https://registry.npm.example/=",
    ] {
        assert!(
            mirrors.iter().any(|pair| pair.starts_with(name)),
            "{name} is not in {mirrors:?}"
        );
    }
}

/// One request on a connection of its own; the raw answer, or what came before the connection broke.
fn ask(server: &Server, path: &str, headers: &str) -> (String, bool) {
    let mut stream = TcpStream::connect((server.host(), server.port())).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\n{headers}\r\n").unwrap();
    // Half-closed: the server ends the connection after its answer.
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    let broken = stream.read_to_end(&mut bytes).is_err();
    (String::from_utf8(bytes).unwrap(), broken)
}

#[test]
fn the_server_serves_files_ranges_and_faults() {
    let temp = Temp::new();
    temp.write("files/a b.txt", "0123456789");
    let server = Server::of_dir(&temp.join("files"));
    let body = |(text, broken): (String, bool)| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        (
            head.get(9..12).unwrap_or("none").to_owned(),
            body.to_owned(),
            broken,
        )
    };
    let path = "/a%20b.txt";
    let of = |status: &str, text: &str, broken| (status.to_owned(), text.to_owned(), broken);

    assert_eq!(body(ask(&server, path, "")), of("200", "0123456789", false));
    assert_eq!(
        body(ask(&server, path, "Range: bytes=4-\r\n")),
        of("206", "456789", false)
    );
    assert_eq!(
        body(ask(&server, path, "Range: bytes=2-3\r\n")),
        of("206", "23", false)
    );
    assert_eq!(
        body(ask(&server, path, "Range: bytes=-2\r\n")),
        of("206", "89", false)
    );
    assert_eq!(
        body(ask(&server, path, "Range: bytes=10-\r\n")),
        of("416", "", false)
    );
    assert_eq!(body(ask(&server, "/../x", "")), of("404", "", false));

    server.set_etag(path, "\"one\"");
    let resume = "Range: bytes=4-\r\nIf-Range: \"one\"\r\n";
    assert_eq!(body(ask(&server, path, resume)), of("206", "456789", false));
    server.set_etag(path, "\"two\"");
    assert_eq!(
        body(ask(&server, path, resume)),
        of("200", "0123456789", false)
    );

    server.fault(path, Fault::Status(429, vec![("Retry-After", "7".into())]));
    server.fault(path, Fault::ResetAfter(3));
    server.fault(path, Fault::TruncateAfter(4));
    server.fault(path, Fault::Redirect("http://127.0.0.1:1/x".into()));
    server.fault(path, Fault::IgnoreRange);
    server.fault(path, Fault::Body(b"other".to_vec()));
    server.fault(path, Fault::Drop);
    let (limited, _) = ask(&server, path, "");
    assert!(
        limited.contains(" 429 ") && limited.contains("Retry-After: 7\r\n"),
        "{limited}"
    );
    assert_eq!(body(ask(&server, path, "")), of("200", "012", true));
    assert_eq!(body(ask(&server, path, "")), of("200", "0123", false));
    let (moved, _) = ask(&server, path, "");
    assert!(
        moved.contains(" 302 ") && moved.contains("Location: http://127.0.0.1:1/x\r\n"),
        "{moved}"
    );
    assert_eq!(
        body(ask(&server, path, "Range: bytes=4-\r\n")),
        of("200", "0123456789", false)
    );
    assert_eq!(body(ask(&server, path, "")), of("200", "other", false));
    assert_eq!(body(ask(&server, path, "")), of("none", "", false));
    assert_eq!(body(ask(&server, path, "")), of("200", "0123456789", false));

    server.require_auth("me", "secret");
    assert_eq!(body(ask(&server, path, "")), of("401", "", false));
    let right = "Authorization: Basic bWU6c2VjcmV0\r\n";
    assert_eq!(
        body(ask(&server, path, right)),
        of("200", "0123456789", false)
    );

    let statuses: Vec<u16> = server
        .requests_of(path)
        .iter()
        .map(|request| request.status)
        .collect();
    assert_eq!(
        statuses,
        [
            200, 206, 206, 206, 416, 206, 200, 429, 200, 200, 302, 200, 200, 0, 200, 401, 200
        ]
    );
}

#[test]
fn the_default_lock_syncs_without_a_network() {
    let temp = Temp::new();
    let project = temp.copy_of_fixture("default");
    common::lockwright(&temp)
        .args(["sync", "--offline", "--extra", "loud", "--python"])
        .args([common::python(), project.clone()])
        .run()
        .ok();
    let said = Command::new(project.join(".venv/bin/greet"))
        .run()
        .ok()
        .stdout;
    assert!(
        said.starts_with("HELLO FROM ") && said.contains("IN 4 LANGUAGES"),
        "{said}"
    );
    assert_eq!(
        common::run(project.join(".venv/bin/greeting-words"), [""; 0]),
        "4\n"
    );
}
