//! A registry of crafted packages, a project that needs them, and npm and lockwright on copies of it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::core::digest::{Algorithm, Digest};
use serde_json::{Map, Value, json};

use crate::common::{self, Ran, Run as _, Server, Temp};

/// The registry that locks name.
pub const REGISTRY: &str = "https://registry.npm.example/";

/// One member of a tarball: its name, type (`0` a file, `5` a folder, `2` a link, …), mode and bytes or target.
pub struct Member {
    pub name: String,
    pub kind: u8,
    pub mode: u32,
    pub bytes: Vec<u8>,
}

pub fn file(name: &str, mode: u32, bytes: impl AsRef<[u8]>) -> Member {
    member(name, b'0', mode, bytes)
}

pub fn member(name: &str, kind: u8, mode: u32, bytes: impl AsRef<[u8]>) -> Member {
    Member {
        name: name.to_owned(),
        kind,
        mode,
        bytes: bytes.as_ref().to_vec(),
    }
}

/// A `package.json` as a tarball's member.
pub fn about(text: &Value) -> Member {
    file("package/package.json", 0o644, text.to_string())
}

/// A `.tgz` with names that no library would write.
pub fn tarball(members: &[Member]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let mut header = tar::Header::new_ustar();
        let name = member.name.as_bytes();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(tar::EntryType::new(member.kind));
        header.set_mode(member.mode);
        let is_link = matches!(member.kind, b'1' | b'2');
        if is_link {
            header.set_link_name_literal(&member.bytes).unwrap();
        }
        let bytes: &[u8] = if is_link { &[] } else { &member.bytes };
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(bytes);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&tar).unwrap();
    gzip.finish().unwrap()
}

/// A project, its lock and the registry that its packages are in.
pub struct Project {
    pub temp: Temp,
    pub server: Server,
    pub root: Value,
    pub packages: Map<String, Value>,
    /// Files of the project besides its lock and package.json.
    pub files: Vec<(String, String)>,
}

impl Project {
    /// One whose package.json is this.
    pub fn new(root: Value) -> Self {
        Self {
            temp: Temp::new(),
            server: Server::new(),
            root,
            packages: Map::new(),
            files: Vec::new(),
        }
    }

    /// Publishes a package and puts it into the lock at `node_modules/PLACE`, with what else is said of it there.
    pub fn package(&mut self, place: &str, members: &[Member], entry: Value) -> &mut Self {
        let name = place.rsplit("node_modules/").next().unwrap();
        self.publish(name, place, &tarball(members), entry)
    }

    /// A package whose tarball has but a package.json and an index.js.
    pub fn simple(&mut self, place: &str, entry: Value) -> &mut Self {
        let name = place.rsplit("node_modules/").next().unwrap();
        let mut said = json!({ "name": name, "version": "1.0.0" });
        merge(&mut said, &entry);
        let members = [about(&said), file("package/index.js", 0o644, place)];
        self.package(place, &members, entry)
    }

    #[allow(clippy::needless_pass_by_value)] // as its callers have it
    pub fn publish(&mut self, name: &str, place: &str, bytes: &[u8], entry: Value) -> &mut Self {
        let path = format!("{}/-/{}-1.0.0.tgz", name, place.replace('/', "-"));
        self.server.put(&format!("/{path}"), bytes);
        let mut said = json!({
            "version": "1.0.0",
            "resolved": format!("{REGISTRY}{path}"),
            "integrity": Digest::of(Algorithm::Sha512, bytes).sri(),
        });
        merge(&mut said, &entry);
        self.packages.insert(format!("node_modules/{place}"), said);
        self
    }

    /// Takes a package out of the lock, which the registry has all the same.
    pub fn lose(&mut self, place: &str) -> &mut Self {
        let mut about = self.packages.shift_remove(place).unwrap();
        let name = place.rsplit("node_modules/").next().unwrap();
        let tarball = about["resolved"].as_str().unwrap();
        let tarball = tarball.replace(REGISTRY, &self.server.url("/"));
        let integrity = about["integrity"].clone();
        about["name"] = name.into();
        about["dist"] = json!({ "tarball": tarball, "integrity": integrity });
        let all = json!({ "name": name, "dist-tags": { "latest": "1.0.0" }, "versions": { "1.0.0": about } });
        self.server
            .put(&format!("/{}", name.replace('/', "%2f")), all.to_string());
        self
    }

    pub fn entry(&mut self, place: &str, entry: Value) -> &mut Self {
        self.packages.insert(place.to_owned(), entry);
        self
    }

    pub fn file(&mut self, name: &str, text: &str) -> &mut Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The lock's text.
    pub fn lock(&self) -> String {
        let mut packages = Map::from_iter([(String::new(), self.root.clone())]);
        packages.extend(self.packages.clone());
        let lock = json!({
            "name": "project",
            "lockfileVersion": 3,
            "requires": true,
            "packages": packages,
        });
        serde_json::to_string_pretty(&lock).unwrap() + "\n"
    }

    /// A copy of the project in a folder of its own.
    pub fn write(&self, name: &str) -> Utf8PathBuf {
        self.write_with(name, &self.lock())
    }

    pub fn write_with(&self, name: &str, lock: &str) -> Utf8PathBuf {
        let at = |file: &str| format!("{name}/project/{file}");
        let root = serde_json::to_string_pretty(&self.root).unwrap();
        self.temp.write(&at("package.json"), root);
        self.temp.write(&at("package-lock.json"), lock);
        for (file, text) in &self.files {
            self.temp.write(&at(file), text);
        }
        self.temp.join(format!("{name}/project"))
    }

    /// `lockwright sync` of a copy.
    pub fn lockwright(&self, folder: &Utf8Path, args: &[&str]) -> Ran {
        lockwright(&self.temp, folder, &self.server.url("/"), args)
    }

    /// `npm ci` of a copy.
    pub fn npm(&self, folder: &Utf8Path, args: &[&str]) -> Ran {
        npm(&self.temp, folder, &self.server.url("/"), args)
    }

    /// `npm ci` of a copy, with scripts.
    pub fn npm_with_scripts(&self, folder: &Utf8Path, args: &[&str]) -> Ran {
        let args = [&["--no-ignore-scripts"], args].concat();
        self.npm(folder, &args)
    }

    /// Both, each on its own copy, come to the same.
    #[track_caller]
    pub fn is_as_npm_has_it(&self, args: &[&str]) -> Utf8PathBuf {
        let (ours, theirs) = (self.write("ours"), self.write("theirs"));
        self.npm(&theirs, args).ok();
        self.lockwright(&ours, args).ok();
        assert_same(&self.temp, &ours, &theirs);
        ours
    }
}

pub fn merge(into: &mut Value, from: &Value) {
    for (key, value) in from.as_object().unwrap() {
        if value.is_null() {
            into.as_object_mut().unwrap().shift_remove(key);
        } else {
            into[key] = value.clone();
        }
    }
}

/// `lockwright sync`, the lock's registry being at `registry`, on the Node that npm runs on.
pub fn lockwright(temp: &Temp, folder: &Utf8Path, registry: &str, args: &[&str]) -> Ran {
    let mirror = format!("{REGISTRY}={registry}");
    common::lockwright(temp)
        .args(["sync", folder.as_str(), "--mirror", &mirror])
        .args(args)
        .env("PATH", path())
        .run()
}

/// `npm ci` without scripts, with no settings but these.
pub fn npm(temp: &Temp, folder: &Utf8Path, registry: &str, args: &[&str]) -> Ran {
    let mut npm = Command::new(common::npm());
    for (name, _) in std::env::vars_os() {
        if name
            .to_string_lossy()
            .to_lowercase()
            .starts_with("npm_config_")
        {
            npm.env_remove(name);
        }
    }
    let home = temp.join("npm-home");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .args(["--replace-registry-host", "always", "--registry", registry])
        .args(["--fetch-retries", "0"])
        .args(args)
        .env("HOME", &home)
        .env("npm_config_cache", home.join("cache"))
        .env("npm_config_userconfig", home.join("npmrc"))
        .env("npm_config_update_notifier", "false")
        .env("PATH", path())
        .current_dir(folder)
        .run()
}

/// The search path, the peers' Node first.
pub fn path() -> String {
    let node = common::node();
    let rest = std::env::var("PATH").unwrap_or_default();
    format!("{}:{rest}", node.parent().unwrap())
}

/// Every entry of a tree: its type, mode, and contents or target.
pub fn entries(root: &Utf8Path) -> BTreeMap<String, String> {
    fn walk(root: &Utf8Path, folder: &Utf8Path, all: &mut BTreeMap<String, String>) {
        for entry in folder.read_dir_utf8().unwrap() {
            let entry = entry.unwrap();
            let path = entry.path();
            let meta = fs::symlink_metadata(path).unwrap();
            let mode = meta.permissions().mode() & 0o7777;
            let said = if meta.is_symlink() {
                format!("link to {}", fs::read_link(path).unwrap().display())
            } else if meta.is_dir() {
                walk(root, path, all);
                format!("folder {mode:o}")
            } else {
                let bytes = fs::read(path).unwrap();
                match std::str::from_utf8(&bytes)
                    .ok()
                    .filter(|text| text.len() < 20_000)
                {
                    Some(text) => format!("file {mode:o} {text:?}"),
                    None => format!("file {mode:o} {}", Digest::of(Algorithm::Sha256, &bytes)),
                }
            };
            all.insert(path.strip_prefix(root).unwrap().to_string(), said);
        }
    }
    let mut all = BTreeMap::new();
    walk(root, root, &mut all);
    all
}

/// Two projects have the same in them: every entry, and `node_modules` the same NAR hash.
#[track_caller]
pub fn assert_same(temp: &Temp, ours: &Utf8Path, theirs: &Utf8Path) {
    let (a, b) = (entries(ours), entries(theirs));
    let differences: Vec<String> = a
        .keys()
        .chain(b.keys().filter(|path| !a.contains_key(*path)))
        .filter(|path| a.get(*path) != b.get(*path))
        .map(|path| {
            format!(
                "{path}\n  ours: {:?}\n  npm:  {:?}",
                a.get(path),
                b.get(path)
            )
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(
        a.keys().any(|path| path.starts_with("node_modules/")),
        "nothing was placed"
    );
    let hash = |folder: &Utf8Path| {
        let modules = folder.join("node_modules");
        let hashed = common::lockwright(temp)
            .args(["hash", modules.as_str()])
            .run();
        hashed.ok().stdout
    };
    assert_eq!(hash(ours), hash(theirs));
}
