//! Servers as they are used: one of S3's kind, which checks signatures, and nginx.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use camino::Utf8PathBuf;

use crate::common::{self, Fault, Ran, Run as _, Server, Temp};
use crate::{files, hash, machine, modules, nowhere, scripted};

/// A program that serves until it is dropped.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that has the bucket `shared`, and the variables by which it is used.
fn bucket() -> (Serving, Vec<(String, String)>) {
    let mut serving = Command::new(common::s3())
        .arg(common::project().join("tests/common/bucket.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(serving.stdout.take().unwrap()).lines();
    let variable = |line: std::io::Result<String>| {
        let (name, value) = line.unwrap().split_once('=').map(own).unwrap();
        (name, value)
    };
    let variables = lines.take(4).map(variable).collect();
    (Serving(serving), variables)
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// `node_modules` of the fixture, on a machine that has these variables.
fn with(
    temp: &Temp,
    name: &str,
    origin: &str,
    remote: &[&str],
    variables: &[(String, String)],
) -> Ran {
    let web = common::fixture("standin/web");
    let mirror = format!("https://registry.npm.example/={origin}");
    machine(temp, name)
        .args(["sync", web.as_str(), "--json", "--mirror", &mirror])
        .args(["--out", temp.join(name).join("tree").as_str()])
        .arg("--remote")
        .args(remote)
        .env_remove("CURL_CA_BUNDLE")
        .envs(variables.iter().cloned())
        .run()
}

#[test]
fn a_bucket_is_read_and_written_with_its_usual_variables() {
    let temp = Temp::new();
    let origin = Server::of_dir(&common::fixture("standin/registry"));
    let origin = origin.url("/");
    let (_serving, variables) = bucket();
    let shared = "s3://shared/ci/cache/";
    with(&temp, "a", &origin, &[shared, "--remote-push"], &variables).ok();
    let second = with(&temp, "b", &nowhere(), &[shared], &variables).ok();
    assert_eq!(second.json()["from_shared"], 1, "{second}");
    assert_eq!(second.stderr.matches("warning").count(), 0, "{second}");
    assert_eq!(hash(&temp, "a"), hash(&temp, "b"));
    // Beside the prefix there is nothing.
    let other = ["s3://shared/elsewhere"];
    let other = with(&temp, "c", &origin, &other, &variables).ok();
    assert_eq!(other.json()["from_network"], 1, "{other}");
    assert_eq!(other.stderr.matches("warning").count(), 0, "{other}");

    let without = |name: &str| {
        let all = variables.iter().filter(|(one, _)| !one.contains(name));
        all.cloned().collect::<Vec<_>>()
    };
    let mut wrong = without("SECRET");
    wrong.push(("AWS_SECRET_ACCESS_KEY".into(), "wrong".into()));
    let half = without("SECRET");
    let mut none = without("_KEY");
    // The service that gives a machine of the cloud its credentials.
    none.push(("AWS_METADATA_ENDPOINT".into(), nowhere()));
    let mut down = without("ENDPOINT");
    down.push(("AWS_ENDPOINT_URL".into(), nowhere()));
    for (name, shared, variables, why) in [
        (
            "wrong",
            shared,
            &wrong,
            "403 Forbidden (SignatureDoesNotMatch)",
        ),
        ("half", shared, &half, "SecretAccessKey"),
        ("none", shared, &none, "AWS_ACCESS_KEY_ID is not set"),
        ("down", shared, &down, "Connection refused"),
        ("absent", "s3://absent/", &variables, "NoSuchBucket"),
    ] {
        let args = [shared, "--remote-push", "--retries", "0"];
        let ran = with(&temp, name, &origin, &args, variables).ok();
        assert!(ran.stderr.contains(why), "{name}: {ran}");
        assert!(
            ran.stderr.contains("is not used any more in this run"),
            "{ran}"
        );
        assert_eq!(ran.stderr.matches("warning").count(), 1, "{name}: {ran}");
        assert!(!ran.stderr.contains("wrong\n"), "{ran}");
        assert_eq!(hash(&temp, name), hash(&temp, "a"), "{name}");
    }
    // No server is asked, and nobody for credentials.
    let args = [shared, "--offline"];
    let ran = with(&temp, "offline", &origin, &args, &none).exit(1);
    assert!(!ran.stderr.contains("shared store"), "{ran}");
}

#[test]
fn a_bucket_without_a_name_is_refused() {
    let temp = Temp::new();
    for (remote, why) in [
        ("s3://", "it names no bucket"),
        ("ftp://cache.example/", "use a folder, http, https or s3"),
    ] {
        let ran = with(&temp, "a", &nowhere(), &[remote], &[]).exit(2);
        assert!(ran.stderr.contains(why), "{ran}");
    }
}

/// nginx as docs/ci.md has it: whoever knows the password may write.
fn nginx(temp: &Temp) -> (Serving, String) {
    let folder = temp.join("nginx");
    fs::create_dir_all(folder.join("cache")).unwrap();
    scripted::private_authority(folder.as_std_path());
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = port.local_addr().unwrap().port();
    fs::write(folder.join("users"), "ci:{PLAIN}a secret/\n").unwrap();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {folder}/{name};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n\
         \x20 access_log off;\n{temporary}\
         \x20 server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_certificate leaf.pem;\n\
         \x20   ssl_certificate_key leaf.key;\n    root {folder};\n    client_max_body_size 0;\n\
         \x20   location /cache/ {{\n      dav_methods PUT;\n      create_full_put_path on;\n\
         \x20     limit_except GET {{ auth_basic shared; auth_basic_user_file users; }}\n    }}\n  }}\n}}\n"
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let serving = Command::new(common::on_path("nginx"))
        .args([
            "-p",
            folder.as_str(),
            "-c",
            folder.join("nginx.conf").as_str(),
        ])
        .args(["-e", "stderr"])
        .stderr(fs::File::create(folder.join("log")).unwrap())
        .spawn()
        .unwrap();
    let serving = Serving(serving);
    let start = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "nginx is not there: {log}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    (serving, format!("127.0.0.1:{port}/cache"))
}

#[test]
fn nginx_takes_what_a_login_gives_and_shows_it_to_all() {
    let temp = Temp::new();
    let origin = Server::of_dir(&common::fixture("standin/registry"));
    let origin = origin.url("/");
    let (_serving, at) = nginx(&temp);
    let trust = [(
        "SSL_CERT_FILE".to_owned(),
        temp.join("nginx/ca.pem").into_string(),
    )];
    let remote = format!("https://ci:a%20secret%2f@{at}");
    with(&temp, "a", &origin, &[&remote, "--remote-push"], &trust).ok();
    let given = files(&temp.join("nginx/cache"));
    assert_eq!(given.len(), 1, "{given:?}");
    let anyone = format!("https://{at}/");
    let second = with(&temp, "b", &nowhere(), &[&anyone], &trust).ok();
    assert_eq!(second.json()["from_shared"], 1, "{second}");
    assert_eq!(hash(&temp, "a"), hash(&temp, "b"));

    fs::remove_file(&given[0]).unwrap();
    let wrong = format!("https://ci:a%20secret@{at}");
    for (name, remote, trust, why) in [
        ("anyone", &anyone, &trust[..], "it answers 401 Unauthorized"),
        ("wrong", &wrong, &trust[..], "it answers 401 Unauthorized"),
        ("untrusted", &remote, &[], "invalid peer certificate"),
    ] {
        let args = [remote.as_str(), "--remote-push", "--retries", "0"];
        let ran = with(&temp, name, &origin, &args, trust).ok();
        assert!(ran.stderr.contains(why), "{name}: {ran}");
        assert!(!ran.stderr.contains("secret"), "{ran}");
        assert_eq!(ran.stderr.matches("warning").count(), 1, "{name}: {ran}");
        assert_eq!(hash(&temp, name), hash(&temp, "a"), "{name}");
    }
}

/// Where the fixture's one tarball is in a shared store.
fn path_of_the_tarball(temp: &Temp, origin: &str) -> Utf8PathBuf {
    let shared = temp.join("shared");
    let push = ["--remote", shared.as_str(), "--remote-push"];
    modules(temp, "a", origin, &push).ok();
    let given = files(&shared).pop().unwrap();
    given.strip_prefix(&shared).unwrap().to_owned()
}

#[test]
fn a_server_that_is_slow_is_left_and_one_that_breaks_off_is_asked_again() {
    let temp = Temp::new();
    let origin = Server::of_dir(&common::fixture("standin/registry"));
    let origin = origin.url("/");
    let path = path_of_the_tarball(&temp, &origin);
    let bytes = fs::read(temp.join("shared").join(&path)).unwrap();
    let path = format!("/{path}");

    let slow = Server::of_dir(&temp.join("shared"));
    slow.fault(&path, Fault::Delay(Duration::from_secs(5)));
    let args = ["--remote", &slow.url("/"), "--timeout", "1"];
    let start = Instant::now();
    let ran = modules(&temp, "slow", &origin, &args).ok();
    assert!(start.elapsed() < Duration::from_secs(5), "{ran}");
    assert!(
        ran.stderr.contains("is not used any more in this run"),
        "{ran}"
    );
    assert_eq!(hash(&temp, "slow"), hash(&temp, "a"));

    let cut = Server::of_dir(&temp.join("shared"));
    for fault in [
        Fault::Status(503, Vec::new()),
        Fault::TruncateAfter(bytes.len() / 2),
    ] {
        cut.fault(&path, fault);
    }
    let ran = with(&temp, "cut", &nowhere(), &[&cut.url("/")], &[]).ok();
    assert_eq!(ran.json()["from_shared"], 1, "{ran}");
    assert_eq!(hash(&temp, "cut"), hash(&temp, "a"));

    // What is broken off for good is told, and fetched from where the lock says.
    for _ in 0..9 {
        cut.fault(&path, Fault::TruncateAfter(bytes.len() / 2));
    }
    let args = ["--remote", &cut.url("/")];
    let ran = modules(&temp, "broken", &origin, &args).ok();
    assert_eq!(ran.stderr.matches("warning").count(), 1, "{ran}");
    assert_eq!(hash(&temp, "broken"), hash(&temp, "a"));
}
