//! The machine that a `node_modules` is for: what npm's `--os`, `--cpu` and `--libc` say, and the
//! versions that `engines` are checked against.

use std::process::Command;

use node_semver::{Range, Version};
use serde::Serialize;

use super::platform::Arch;
use super::{Os, Platform};

/// The npm whose trees ours are equal to, for `engines.npm`.
const NPM: &str = "11.17.0";

/// A machine, in npm's words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NodeTarget {
    /// `process.platform`: `linux`, `darwin`, `win32`, …
    pub os: String,
    /// `process.arch`: `x64`, `arm64`, …
    pub cpu: String,
    /// `glibc` or `musl`, on Linux.
    pub libc: Option<String>,
    /// Node's version, where one is known.
    pub node: Option<String>,
}

impl NodeTarget {
    /// The same on another platform.
    #[must_use]
    pub fn on(self, platform: Platform) -> Self {
        let (os, libc) = match platform.os {
            Os::Manylinux(..) => ("linux", Some("glibc")),
            Os::Musllinux(..) => ("linux", Some("musl")),
            Os::Macos(..) => ("darwin", None),
            Os::Windows => ("win32", None),
        };
        let cpu = match platform.arch {
            Arch::X86_64 => "x64",
            Arch::Aarch64 => "arm64",
            Arch::X86 => "ia32",
            Arch::Armv6l | Arch::Armv7l => "arm",
            Arch::Ppc64 | Arch::Ppc64le => "ppc64",
            Arch::S390x => "s390x",
            Arch::Riscv64 => "riscv64",
            Arch::Loongarch64 => "loong64",
        };
        Self {
            os: os.to_owned(),
            cpu: cpu.to_owned(),
            libc: libc.map(str::to_owned),
            node: self.node,
        }
    }

    /// This machine, with the node on PATH.
    pub fn host() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            "windows" => "win32",
            other => other,
        };
        let cpu = match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            "x86" => "ia32",
            "powerpc64" => "ppc64",
            other => other,
        };
        // As npm-install-checks tells them apart.
        let libc = (os == "linux").then(|| {
            let ldd = std::fs::read("/usr/bin/ldd").unwrap_or_default();
            match memchr::memmem::find(&ldd, b"musl") {
                Some(_) => "musl".to_owned(),
                None => "glibc".to_owned(),
            }
        });
        Self {
            os: os.to_owned(),
            cpu: cpu.to_owned(),
            libc,
            node: node_on_path(),
        }
    }

    /// Why a package cannot be used there, by its `os`, `cpu` and `libc`.
    pub fn rules_out(&self, os: &[String], cpu: &[String], libc: &[String]) -> Option<String> {
        let fails = |list: &[String], value: &str| !list.is_empty() && !admits(list, value);
        if fails(os, &self.os) {
            return Some(format!("is for os {}, not {}", os.join(", "), self.os));
        }
        if fails(cpu, &self.cpu) {
            return Some(format!("is for cpu {}, not {}", cpu.join(", "), self.cpu));
        }
        let own = self.libc.as_deref();
        if !libc.is_empty() && own.is_none_or(|own| !admits(libc, own)) {
            let own = own.unwrap_or("none");
            return Some(format!("is for libc {}, not {own}", libc.join(", ")));
        }
        None
    }

    /// Why a package does not want to run there, by its `engines`.
    pub fn engines_fail(&self, node: Option<&str>, npm: Option<&str>) -> Option<String> {
        let fails = |range: Option<&str>, own: Option<&str>| match (range, own) {
            (Some(range), Some(own)) => !satisfies(own, range),
            _ => false,
        };
        if fails(node, self.node.as_deref()) {
            let own = self.node.as_deref().unwrap_or_default();
            return Some(format!(
                "wants node {}, not {own}",
                node.unwrap_or_default()
            ));
        }
        fails(npm, Some(NPM)).then(|| format!("wants npm {}", npm.unwrap_or_default()))
    }
}

/// `linux-x64-glibc, node 24.1.0`.
impl std::fmt::Display for NodeTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.os, self.cpu)?;
        if let Some(libc) = &self.libc {
            write!(f, "-{libc}")?;
        }
        if let Some(node) = &self.node {
            write!(f, ", node {node}")?;
        }
        Ok(())
    }
}

/// Whether a version is in a range, as npm's semver has it; what cannot be read never is.
pub fn satisfies(version: &str, range: &str) -> bool {
    let range = range.trim();
    if range.is_empty() || range == "*" {
        return true;
    }
    match (
        version.trim_start_matches(['v', '=']).parse::<Version>(),
        range.parse::<Range>(),
    ) {
        (Ok(version), Ok(range)) => range.satisfies(&version),
        _ => false,
    }
}

/// `checkList` of npm-install-checks: none of the names with `!`, and one of the others if any.
fn admits(list: &[String], value: &str) -> bool {
    if matches!(list, [one] if one == "any") {
        return true;
    }
    if list
        .iter()
        .any(|name| name.strip_prefix('!') == Some(value))
    {
        return false;
    }
    list.iter().all(|name| name.starts_with('!')) || list.iter().any(|name| name == value)
}

fn node_on_path() -> Option<String> {
    let output = Command::new("node").arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.trim().strip_prefix('v')?;
    version.parse::<Version>().ok().map(|_| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn lists_are_read_as_npm_reads_them() {
        for (names, value, expected) in [
            (&["linux"][..], "linux", true),
            (&["any"], "linux", true),
            (&["!win32"], "linux", true),
            (&["!win32"], "win32", false),
            (&["darwin", "!win32"], "linux", false),
            (&["darwin", "linux"], "linux", true),
        ] {
            assert_eq!(admits(&list(names), value), expected, "{names:?}");
        }
    }

    #[test]
    fn a_target_rules_packages_out() {
        let target = NodeTarget {
            os: "darwin".into(),
            cpu: "arm64".into(),
            libc: None,
            node: Some("24.1.0".into()),
        };
        assert!(target.rules_out(&[], &[], &[]).is_none());
        assert!(target.rules_out(&list(&["linux"]), &[], &[]).is_some());
        assert!(target.rules_out(&[], &list(&["x64"]), &[]).is_some());
        assert!(target.rules_out(&[], &[], &list(&["glibc"])).is_some());
        assert!(target.engines_fail(Some(">=20 <23 || ^24"), None).is_none());
        assert!(target.engines_fail(Some("^18"), None).is_some());
        assert!(target.engines_fail(None, Some(">=12")).is_some());
    }
}
