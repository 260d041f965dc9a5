//! Interpreters that do not exist: scripts that answer uv's questions.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};

/// A Python on a platform, and how lockwright is told of the same.
#[derive(Debug, Clone)]
pub struct Python {
    /// As `3.14.2`.
    pub version: String,
    pub free_threaded: bool,
    /// In lockwright's words, e.g. `x86_64-manylinux_2_28`.
    pub platform: String,
}

impl Python {
    /// `3.14.2` or `3.14.2t`, on a platform such as `x86_64-manylinux_2_36`.
    pub fn new(version: &str, platform: &str) -> Self {
        Self {
            version: version.trim_end_matches('t').to_owned(),
            free_threaded: version.ends_with('t'),
            platform: platform.to_owned(),
        }
    }

    /// How lockwright is told of it.
    pub fn args(&self) -> Vec<&'static str> {
        let suffix = if self.free_threaded { "t" } else { "" };
        [
            "--python-version",
            &format!("{}{suffix}", self.version),
            "--python-platform",
            &self.platform,
        ]
        .map(|arg| &*String::from(arg).leak())
        .to_vec()
    }

    fn os(&self) -> (Value, &str) {
        let (arch, os) = self.platform.split_once('-').unwrap();
        let mut parts = os.split('_');
        let name = parts.next().unwrap();
        let mut number = || parts.next().map(|part| part.parse::<u16>().unwrap());
        let os = match name {
            "windows" => json!({ "name": name }),
            _ => json!({ "name": name, "major": number(), "minor": number() }),
        };
        (os, arch)
    }

    /// Puts the script in a folder, unless it is there.
    pub fn install(&self, root: &Utf8Path) -> Utf8PathBuf {
        let suffix = if self.free_threaded { "t" } else { "" };
        let base = root.join(format!("{}{suffix}-{}", self.version, self.platform));
        let script = base.join("bin/python");
        if script.exists() {
            return script;
        }
        let minor = self.version.rsplit_once('.').unwrap().0;
        let library = format!("lib/python{minor}{suffix}");
        let scheme = |prefix: &str| {
            json!({
                "purelib": format!("{prefix}{library}/site-packages"),
                "platlib": format!("{prefix}{library}/site-packages"),
                "include": format!("{prefix}include/site/python{minor}{suffix}"),
                "scripts": format!("{prefix}bin"),
                "data": prefix.trim_end_matches('/'),
            })
        };
        let (os, arch) = self.os();
        let (os_name, system, sys_platform) = match os["name"].as_str() {
            Some("windows") => ("nt", "Windows", "win32"),
            Some("macos") => ("posix", "Darwin", "darwin"),
            _ => ("posix", "Linux", "linux"),
        };
        let machine = match (system, arch) {
            ("Darwin", "aarch64") => "arm64",
            ("Windows", "x86_64") => "AMD64",
            ("Windows", "aarch64") => "ARM64",
            _ => arch,
        };
        let answer = json!({
            "result": "success",
            "markers": {
                "implementation_name": "cpython",
                "implementation_version": self.version,
                "os_name": os_name,
                "platform_machine": machine,
                "platform_python_implementation": "CPython",
                "platform_release": "",
                "platform_system": system,
                "platform_version": "",
                "python_full_version": self.version,
                "python_version": minor,
                "sys_platform": sys_platform,
            },
            "sys_base_prefix": base,
            "sys_base_exec_prefix": base,
            "sys_prefix": "@PREFIX@",
            "sys_base_executable": script,
            "sys_executable": "@PREFIX@/bin/python",
            "sys_path": [base.join(&library)],
            "site_packages": [format!("@PREFIX@/{library}/site-packages")],
            "stdlib": base.join(&library),
            "extension_suffixes": [".so"],
            "standalone": false,
            "scheme": scheme("@PREFIX@/"),
            "virtualenv": scheme(""),
            "os": os,
            "arch": arch,
            "cpu_info": { "detected": { "kind": "flags", "flags": "" } },
            "manylinux_compatible": true,
            "gil_disabled": self.free_threaded,
            "debug_enabled": false,
            "pointer_size": if arch == "i686" { "32" } else { "64" },
        });
        fs::create_dir_all(base.join("bin")).unwrap();
        fs::create_dir_all(base.join(&library)).unwrap();
        fs::write(base.join("answer.json"), answer.to_string()).unwrap();
        let text = format!(
            "#!/bin/sh\nprefix=$(dirname \"$(dirname \"$0\")\")\nsed \"s|@PREFIX@|$prefix|g\" '{base}/answer.json'\n"
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        script
    }
}
