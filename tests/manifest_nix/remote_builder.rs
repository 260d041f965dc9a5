//! A remote builder over ssh: the same machine with another store, by an sshd of the test's own on the loopback.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use camino::Utf8Path;

use super::{Nix, hash};
use crate::common::{self, Run as _, run};

/// An sshd that runs what it is asked for where the folder `builder` is the store.
struct Builder {
    sshd: Child,
    options: String,
}

impl Builder {
    fn new(nix: &Nix) -> Self {
        let at = |name: &str| nix.temp.join("ssh").join(name);
        fs::create_dir_all(at("")).unwrap();
        for name in ["host", "user"] {
            let key = at(name);
            let args = ["-q", "-t", "ed25519", "-N", "", "-f", key.as_str()];
            run("ssh-keygen", args);
        }
        let own = nix.temp.join("nix");
        let builder = nix.temp.join("builder");
        fs::create_dir_all(&builder).unwrap();
        fs::create_dir_all(&own).unwrap();
        let served = nix.temp.write(
            "ssh/serve",
            format!(
                "#!/bin/sh\nexec unshare --mount sh -ec 'mount --bind {builder} {own}\n\
                 export NIX_STORE_DIR={own}/store NIX_STATE_DIR={own}/var NIX_LOCALSTATE_DIR={own}/var\n\
                 export NIX_LOG_DIR={own}/log HOME={home}\n\
                 export NIX_CONFIG=\"sandbox = false\nbuild-users-group =\nsubstitute = false\"\n\
                 exec {serve} --serve --write'\n",
                home = nix.temp.join("home"),
                serve = common::on_path("nix-store"),
            ),
        );
        run("chmod", ["755", served.as_str()]);
        let port = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = port.local_addr().unwrap().port();
        let config = nix.temp.write(
            "ssh/config",
            format!(
                "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}.pub\nPidFile none\n\
                 StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
                 ForceCommand {served}\n",
                at("host"),
                at("user"),
            ),
        );
        // The folder that it gives up its rights in.
        fs::create_dir_all("/run/sshd").unwrap();
        let mut sshd = Command::new(common::on_path("sshd"));
        sshd.args(["-D", "-f", config.as_str(), "-E", at("log").as_str()]);
        let sshd = sshd.spawn().unwrap();
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "no sshd");
            std::thread::sleep(Duration::from_millis(50));
        }
        let options = format!(
            "-F none -p {port} -i {} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            at("user")
        );
        Self { sshd, options }
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        let _ = self.sshd.kill();
        let _ = self.sshd.wait();
    }
}

#[test]
fn a_remote_builder_makes_what_an_export_says() {
    let nix = Nix::new();
    let builder = Builder::new(&nix);
    let python = common::python();
    let args = ["--python", python.as_str()];
    nix.export(
        "default",
        &[&args[..], &["--no-binary-package", "greeting-check"]].concat(),
    )
    .ok();
    let user = run("id", ["-un"]);
    let host = format!("ssh://{}@127.0.0.1 x86_64-linux - 2", user.trim());
    let mut build = nix.graph("nix-build", "environment");
    // Nothing is built here but what Nix itself fetches.
    build.args(["--no-out-link", "--max-jobs", "0", "--builders", &host]);
    build.env("NIX_SSHOPTS", &builder.options);
    let built = build.run().ok();
    for name in ["greeting-check-1.0.0-wheel", "environment"] {
        let line = |line: &str| line.contains(&format!("{name}.drv' on 'ssh://"));
        assert!(built.stderr.lines().any(line), "{built}");
    }
    let out = Utf8Path::new(built.stdout.trim());
    let there = nix.temp.join("builder/store");
    let there = there.join(out.file_name().unwrap());
    assert_eq!(hash(there.as_str()), hash(out.as_str()));
}
