//! `lockwright fetch` and `lockwright store` as they are typed: what the environment decides, what
//! killed and concurrent processes leave, and what users see.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "fetch_command/lines.rs"]
mod lines;
#[path = "common/scripted.rs"]
mod scripted;
#[path = "common/signals.rs"]
mod signals;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use lockwright::core::digest::{Algorithm, Digest};
use scripted::{Reply, Server};

/// A project with a lock of three wheels, and a store of its own.
struct Project {
    dir: tempfile::TempDir,
    wheels: Vec<(String, Vec<u8>)>,
}

impl Project {
    fn new() -> Self {
        let wheel = |name: &str, size: usize| {
            let bytes: Vec<u8> = name.bytes().cycle().take(size).collect();
            (format!("/{name}-1.0-py3-none-any.whl"), bytes)
        };
        let wheels = vec![
            wheel("alpha", 1000),
            wheel("beta", 200_000),
            wheel("gamma", 0),
        ];
        let names = ["alpha", "beta", "gamma"];
        let needs: Vec<String> = names
            .iter()
            .map(|name| format!("{{ name = \"{name}\" }}"))
            .collect();
        let mut lock = format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.12\"\n\n[[package]]\nname = \"project\"\n\
             version = \"0.1.0\"\nsource = {{ virtual = \".\" }}\ndependencies = [{}]\n",
            needs.join(", ")
        );
        for (name, (path, bytes)) in names.iter().zip(&wheels) {
            let digest = Digest::of(Algorithm::Sha256, bytes);
            lock += &[
                "\n[[package]]\n",
                &format!("name = \"{name}\"\nversion = \"1.0\"\n"),
                "source = { registry = \"https://pypi.example/simple\" }\n",
                &format!("wheels = [{{ url = \"https://files.pypi.example{path}\", "),
                &format!("hash = \"{digest}\", size = {} }}]\n", bytes.len()),
            ]
            .concat();
        }
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("project")).unwrap();
        std::fs::write(dir.path().join("project/uv.lock"), lock).unwrap();
        Self { dir, wheels }
    }

    fn path(&self, below: &str) -> String {
        self.dir.path().join(below).to_str().unwrap().to_owned()
    }

    fn server(&self) -> Server {
        Server::of(self.wheels.clone())
    }

    /// A command that sees nothing of the machine's own settings.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockwright"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.dir.path())
            .env("LOCKWRIGHT_STORE", self.path("store"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// `lockwright fetch project` for a target that needs no interpreter.
    fn fetch(&self, arguments: &[&str]) -> Command {
        let mut all = vec!["fetch", "project", "--python-version", "3.14"];
        all.extend(["--python-platform", "x86_64-unknown-linux-gnu"]);
        all.extend(arguments);
        self.command(&all)
    }

    fn mirror(server: &str) -> String {
        format!("https://files.pypi.example/={server}/")
    }

    fn store(&self, arguments: &[&str]) -> Output {
        let mut all = vec!["store"];
        all.extend(arguments);
        run(&mut self.command(&all))
    }

    /// What was said, with what changes from run to run taken out.
    fn said(&self, text: &[u8]) -> String {
        let text = String::from_utf8_lossy(text).replace(&self.path(""), "[DIR]/");
        let mut lines = String::new();
        for line in text.lines() {
            lines.push_str(line.split(" in 0.").next().unwrap_or(line));
            lines.push('\n');
        }
        lines
    }

    #[track_caller]
    fn assert_whole(&self) {
        let output = self.store(&["verify"]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.starts_with("3 artifacts, "), "{said}");
        assert!(output.status.success(), "{said}");
        for folder in ["partial", "tmp"] {
            let folder = self.path(&format!("store/v1/{folder}"));
            let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
            assert_eq!(left, 0);
        }
    }
}

fn run(command: &mut Command) -> Output {
    command.output().unwrap()
}

#[track_caller]
fn succeed(command: &mut Command) -> Output {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    output
}

#[track_caller]
fn fail(command: &mut Command) -> Vec<u8> {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    output.stderr
}

#[test]
fn offline_names_everything_that_is_missing() {
    let project = Project::new();
    insta::assert_snapshot!(project.said(&fail(&mut project.fetch(&["--offline"]))), @r"
    error: --offline is set, and 3 artifacts are neither in the store nor in a --find-links folder:
      alpha-1.0-py3-none-any.whl (alpha): from https://files.pypi.example/alpha-1.0-py3-none-any.whl
      beta-1.0-py3-none-any.whl (beta): from https://files.pypi.example/beta-1.0-py3-none-any.whl
      gamma-1.0-py3-none-any.whl (gamma): from https://files.pypi.example/gamma-1.0-py3-none-any.whl
    hint: bring them in with `lockwright fetch` where there is a network, or name a folder that holds them with --find-links
    ");
}

#[test]
fn a_vendored_folder_serves_where_there_is_no_network() {
    let project = Project::new();
    let server = project.server();
    let mirror = Project::mirror(&server.url());
    let output = succeed(&mut project.fetch(&["--mirror", &mirror, "--vendor", "wheels"]));
    insta::assert_snapshot!(project.said(&output.stderr), @r"
    Fetched 3 artifacts: 3 from the network (196.29 KiB)
    Vendored in [DIR]/wheels: use it with --find-links [DIR]/wheels --offline
    ");
    let mut names: Vec<String> = std::fs::read_dir(project.path("wheels"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected: Vec<&str> = project.wheels.iter().map(|(path, _)| &path[1..]).collect();
    assert_eq!(names, expected);
    // The hash that is printed is the folder's, and the same from any store at any time.
    let hash = succeed(&mut project.command(&["hash", "wheels"])).stdout;
    assert_eq!(output.stdout, hash);
    let again = ["--offline", "--vendor", "again"];
    assert_eq!(succeed(&mut project.fetch(&again)).stdout, hash);
    drop(server);

    let offline = ["--store", "other", "--offline", "--find-links", "wheels"];
    let output = succeed(&mut project.fetch(&offline));
    insta::assert_snapshot!(project.said(&output.stderr), @"Fetched 3 artifacts: 3 from this machine");

    // A folder that is not ours is never replaced.
    std::fs::create_dir(project.path("mine")).unwrap();
    std::fs::write(project.path("mine/letter"), "dear").unwrap();
    fail(&mut project.fetch(&["--offline", "--vendor", "mine"]));
    assert!(Path::new(&project.path("mine/letter")).is_file());
    fail(&mut project.fetch(&["--offline", "--vendor", "mine", "--clear"]));
    std::fs::rename(project.path("mine/letter"), project.path("mine/old-1.whl")).unwrap();
    fail(&mut project.fetch(&["--offline", "--vendor", "mine"]));
    succeed(&mut project.fetch(&["--offline", "--vendor", "mine", "--clear"]));
    assert!(!Path::new(&project.path("mine/old-1.whl")).exists());
}

#[test]
fn a_private_authority_is_trusted_where_it_is_named() {
    let project = Project::new();
    let tls = scripted::private_authority(project.dir.path());
    let wheels: HashMap<_, _> = project.wheels.clone().into_iter().collect();
    let server = Server::start_tls(tls, move |request| {
        Reply::file(request, &wheels[&request.path], "\"1\"")
    });
    let mirror = Project::mirror(&server.url());
    let fetch = || project.fetch(&["--mirror", &mirror, "--store", "fresh"]);
    let said = fail(&mut fetch());
    let said = String::from_utf8_lossy(&said);
    assert!(
        said.contains("the server's certificate was refused"),
        "{said}"
    );
    assert!(said.contains("SSL_CERT_FILE"), "{said}");

    let (ca, nowhere) = (project.path("ca.pem"), project.path("nowhere.pem"));
    let dir = project.path("certs");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(&ca, format!("{dir}/ca.pem")).unwrap();
    let dirs = format!("{}:{dir}", project.path("project"));
    for (name, value) in [
        ("SSL_CERT_FILE", &ca),
        ("SSL_CERT_DIR", &dirs),
        ("CURL_CA_BUNDLE", &ca),
    ] {
        let _ = std::fs::remove_dir_all(project.path("fresh"));
        succeed(fetch().env(name, value));
    }
    let _ = std::fs::remove_dir_all(project.path("fresh"));
    let said = fail(fetch().env("SSL_CERT_FILE", &nowhere));
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("nowhere.pem"), "{said}");
    // A file that is not there is no reason to refuse plain HTTP.
    let plain = project.server();
    let mirror = Project::mirror(&plain.url());
    succeed(
        project
            .fetch(&["--mirror", &mirror])
            .env("SSL_CERT_FILE", &nowhere),
    );
}

/// Serves files over HTTP/2 and nothing else; returns its address.
fn serve_http2(mut tls: rustls::ServerConfig, files: HashMap<String, Vec<u8>>) -> String {
    use tokio::net::TcpListener;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let files = Arc::new(files);
    let (sender, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, files) = (acceptor.clone(), Arc::clone(&files));
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((request, mut respond))) = connection.accept().await {
                        let body = files[request.uri().path()].clone();
                        let head = http::Response::new(());
                        let mut send = respond.send_response(head, false).unwrap();
                        send.send_data(body.into(), true).unwrap();
                    }
                });
            }
        });
    });
    format!("https://{}", address.recv().unwrap())
}

#[test]
fn http_2_is_spoken_where_it_is_offered() {
    let project = Project::new();
    let tls = scripted::private_authority(project.dir.path());
    let server = serve_http2(tls, project.wheels.clone().into_iter().collect());
    succeed(
        project
            .fetch(&["--mirror", &Project::mirror(&server)])
            .env("SSL_CERT_FILE", project.path("ca.pem")),
    );
    project.assert_whole();
}

#[test]
fn a_proxy_is_asked_unless_the_host_is_excepted() {
    let project = Project::new();
    let wheels: HashMap<_, _> = project.wheels.clone().into_iter().collect();
    let proxy = Server::start(move |request| {
        let path = request
            .path
            .strip_prefix("http://files.test")
            .unwrap_or_default();
        match wheels.get(path) {
            Some(bytes) => Reply::file(request, bytes, "\"1\""),
            None => Reply::status(502),
        }
    });
    let mirror = Project::mirror("http://files.test");
    succeed(
        project
            .fetch(&["--mirror", &mirror])
            .env("http_proxy", proxy.url()),
    );
    assert_eq!(proxy.requests().len(), 3);

    let direct = project.server();
    let mirror = Project::mirror(&direct.url());
    succeed(
        project
            .fetch(&["--mirror", &mirror, "--store", "other"])
            .env("ALL_PROXY", proxy.url())
            .env("NO_PROXY", "127.0.0.1"),
    );
    assert_eq!((proxy.requests().len(), direct.requests().len()), (3, 3));
}

#[test]
fn logins_come_from_netrc_and_from_uv_s_variables() {
    let project = Project::new();
    let wheels: HashMap<_, _> = project.wheels.clone().into_iter().collect();
    let server = Server::start(move |request| match request.header("authorization") {
        // me:secret
        Some("Basic bWU6c2VjcmV0") => Reply::file(request, &wheels[&request.path], "\"1\""),
        _ => Reply::status(401),
    });
    let mirror = Project::mirror(&server.url());
    let fetch = |store: &str| project.fetch(&["--mirror", &mirror, "--store", store]);
    let said = fail(&mut fetch("none"));
    assert!(String::from_utf8_lossy(&said).contains("401 Unauthorized"));

    succeed(
        fetch("named")
            .env("UV_INDEX", format!("work={}/simple", server.url()))
            .env("UV_INDEX_WORK_USERNAME", "me")
            .env("UV_INDEX_WORK_PASSWORD", "secret"),
    );
    let netrc = "machine 127.0.0.1 login me password secret\n";
    std::fs::write(project.path("netrc"), netrc).unwrap();
    succeed(fetch("by-netrc").env("NETRC", project.path("netrc")));
    std::fs::write(project.path(".netrc"), netrc).unwrap();
    succeed(&mut fetch("home"));
}

#[test]
fn several_processes_fill_one_store_and_fetch_each_artifact_once() {
    let project = Project::new();
    let server = project.server();
    let mirror = Project::mirror(&server.url());
    let all: Vec<_> = (0..4)
        .map(|_| project.fetch(&["--mirror", &mirror]).spawn().unwrap())
        .collect();
    for process in all {
        let output = process.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
    }
    project.assert_whole();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_killed_process_leaves_what_the_next_goes_on_from() {
    signals::be_heeded();
    for signal in ["KILL", "INT"] {
        let project = Project::new();
        let wheels: HashMap<_, _> = project.wheels.clone().into_iter().collect();
        let server = Server::start(move |request| {
            let reply = Reply::file(request, &wheels[&request.path], "\"1\"");
            let is_beta = request.path.contains("beta");
            if is_beta && request.nth == 1 {
                reply.hang(100_000)
            } else {
                reply
            }
        });
        let mirror = Project::mirror(&server.url());
        let mut process = project.fetch(&["--mirror", &mirror]).spawn().unwrap();
        let partial = project.path("store/v1/partial");
        let has_all = |entry: std::io::Result<std::fs::DirEntry>| {
            entry
                .unwrap()
                .metadata()
                .is_ok_and(|file| file.len() == 100_000)
        };
        // The two others are in their place: killed in between, it may leave a small file for `store gc` to sweep.
        let others = ["alpha", "gamma"].map(|name| {
            let (_, bytes) = project
                .wheels
                .iter()
                .find(|(path, _)| path.contains(name))
                .unwrap();
            let hex = Digest::of(Algorithm::Sha256, bytes).hex();
            project.path(&format!("store/v1/files/sha256/{}/{hex}", &hex[..2]))
        });
        while !std::fs::read_dir(&partial).is_ok_and(|mut files| files.any(has_all))
            || !others.iter().all(|path| Path::new(path).exists())
        {
            assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let id = process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-s", signal, &id])
                .status()
                .unwrap()
                .success()
        );
        assert!(!process.wait().unwrap().success());

        succeed(&mut project.fetch(&["--mirror", &mirror]));
        let requests = server.requests();
        let last = requests
            .iter()
            .rfind(|request| request.path.contains("beta"))
            .unwrap();
        assert_eq!(last.header("range"), Some("bytes=100000-"));
        project.assert_whole();
    }
}

#[test]
fn a_full_disk_is_a_sentence_and_leaves_nothing_half_written() {
    let project = Project::new();
    let server = project.server();
    let small = project.path("small");
    std::fs::create_dir(&small).unwrap();
    // A disk of our own, as small as wanted, in a namespace that ends with the process.
    let script = format!(
        "mount -t tmpfs -o size=100k none {small} && \"$@\"; code=$?; find {small} -type f -size +0; exit $code"
    );
    let fetch = project.fetch(&[
        "--mirror",
        &Project::mirror(&server.url()),
        "--store",
        "small",
    ]);
    let mut command = Command::new("unshare");
    command
        .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
        .args([script.as_str(), "sh"])
        .arg(fetch.get_program())
        .args(fetch.get_args())
        .current_dir(project.dir.path())
        .env("HOME", project.dir.path());
    let output = command
        .output()
        .expect("unshare (util-linux) is needed to make a small disk");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains("unshare:"),
        "user namespaces are needed: {said}"
    );
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("the disk is full, and nothing of"), "{said}");
    assert!(said.contains("lockwright store gc"), "{said}");
    let left = String::from_utf8_lossy(&output.stdout);
    assert!(
        !left.contains("v1/partial/") && !left.contains("v1/tmp/"),
        "{left}"
    );
}

#[test]
fn the_store_is_listed_checked_and_cleaned() {
    let project = Project::new();
    let server = project.server();
    succeed(&mut project.fetch(&["--mirror", &Project::mirror(&server.url())]));
    insta::assert_snapshot!(project.said(&project.store(&["list"]).stdout), @r"
         1000 B      today  alpha-1.0-py3-none-any.whl  sha256:1a150ba907fd2245984738df16e28cd415053a7a06238d0423179c9625c0681f
     195.31 KiB      today  beta-1.0-py3-none-any.whl  sha256:21a7662d80e89b4a18332c6986bc2fd09ff5c14270f07ffeee1b9bc25ac1c98f
            0 B      today  gamma-1.0-py3-none-any.whl  sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    3 artifacts, 196.29 KiB, in [DIR]/store
    ");

    let digest = Digest::of(Algorithm::Sha256, &project.wheels[0].1).to_string();
    let path = project.store(&["path", &digest]).stdout;
    let path = String::from_utf8(path).unwrap();
    std::fs::remove_file(path.trim()).unwrap();
    std::fs::write(path.trim(), "damaged").unwrap();
    let output = project.store(&["verify"]);
    assert_eq!(output.status.code(), Some(1));
    insta::assert_snapshot!(project.said(&[output.stdout, output.stderr].concat()), @r"
    sha256:1a150ba907fd2245984738df16e28cd415053a7a06238d0423179c9625c0681f of alpha-1.0-py3-none-any.whl is now sha256:41f0c27c00e8018f7715b5f50f67b5b54c229c1b843a014152785d9005f58fde
    3 artifacts, 195.32 KiB: 1 damaged; --remove has them fetched again
    ");
    project.store(&["verify", "--remove"]);
    assert_eq!(project.store(&["path", &digest]).status.code(), Some(1));
    succeed(&mut project.fetch(&["--mirror", &Project::mirror(&server.url())]));
    project.assert_whole();

    let told = project.store(&["gc", "--max-size", "100K", "--dry-run"]);
    insta::assert_snapshot!(project.said(&told.stderr), @"Would remove 1 artifact (195.31 KiB); 2 artifacts (1000 B) kept");
    project.assert_whole();
    project.store(&["gc", "--older-than", "0s"]);
    insta::assert_snapshot!(project.said(&project.store(&["list"]).stdout), @"0 artifacts, 0 B, in [DIR]/store");
}

#[test]
fn artifacts_are_carried_to_another_machine() {
    let project = Project::new();
    let server = project.server();
    succeed(&mut project.fetch(&["--mirror", &Project::mirror(&server.url())]));
    let other = Project::new();
    let disk = project.path("disk");
    // Something that no lock names stays at home.
    std::fs::write(project.path("extra.whl"), "extra").unwrap();
    project.store(&["import", "extra.whl"]);
    assert!(
        project
            .store(&["export", &disk, "project"])
            .status
            .success()
    );
    let said = other.store(&["import", &disk]).stderr;
    insta::assert_snapshot!(other.said(&said), @"3 of 3 artifacts (196.29 KiB) new in [DIR]/store");
    succeed(&mut other.fetch(&["--offline"]));
    let listed = other.store(&["list", "--json"]).stdout;
    let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
    assert_eq!(listed["artifacts"].as_array().unwrap().len(), 3);
    assert_eq!(
        listed["artifacts"][0]["source"],
        format!("{}/alpha-1.0-py3-none-any.whl", server.url())
    );
}
