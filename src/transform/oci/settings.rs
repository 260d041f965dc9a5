//! What is said of an image: what it starts, as whom, with which variables; and what it is called.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::json;

use super::OciError;
use super::root::Root;
use super::spec::{Config, History, Names, Platform, Process, RootFs};
use super::tar::TIME_TEXT;
use crate::decide::target::Arch;

/// How the history of a layer begins that this version made: another may compress otherwise.
pub const CREATED_BY: &str = concat!("lockwright ", env!("CARGO_PKG_VERSION"), " image: ");

/// Where programs are looked for where a base says nothing.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an image starts, and what is said of it. What is not given is the base's.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What is started; the base's command goes with its entry point.
    pub entrypoint: Option<Vec<String>>,
    /// What it is given, or what is started where there is no entry point.
    pub cmd: Option<Vec<String>>,
    /// Variables, added to the base's.
    pub env: Vec<(String, String)>,
    /// Folders of programs that come before those of the PATH.
    pub path: Vec<String>,
    /// `USER` or `USER:GROUP`, by name or number.
    pub user: Option<String>,
    /// Ports that it listens to: `8000` or `8000/udp`.
    pub expose: Vec<String>,
    /// Where it is started.
    pub workdir: Option<String>,
    /// What is said of it in its configuration.
    pub labels: Names,
    /// What is said of it in its manifest.
    pub annotations: Names,
}

/// What an image is called: `registry.example/team/app:1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    repository: String,
    /// What stands behind the colon; `latest` where nothing does.
    pub tag: String,
}

impl FromStr for Name {
    type Err = OciError;

    /// By the grammar of the distribution specification 1.1 (“Pulling manifests”).
    fn from_str(text: &str) -> Result<Self, OciError> {
        let bad = |why: &str| OciError::Setting {
            what: "the name",
            text: text.to_owned(),
            why: why.to_owned(),
        };
        let (repository, tag) = match text.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, tag),
            _ => (text, "latest"),
        };
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = tag.bytes().next().is_some_and(is_word)
            && tag.len() <= 128
            && tag
                .bytes()
                .all(|byte| is_word(byte) || b".-".contains(&byte));
        if !is_tag {
            return Err(bad(
                "a tag is letters, digits and _.- behind a colon, as in app:1.0",
            ));
        }
        let mut parts = repository.split('/').peekable();
        let mut is_right = true;
        let mut is_first = true;
        while let Some(part) = parts.next() {
            let is_host = is_first && parts.peek().is_some();
            is_first = false;
            let edge = |byte: Option<u8>| {
                byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            };
            is_right &= edge(part.bytes().next()) && edge(part.bytes().last());
            is_right &= part.bytes().all(|byte| {
                edge(Some(byte)) || b"._-".contains(&byte) || (is_host && byte == b':')
            });
        }
        match is_right {
            true => Ok(Self {
                repository: repository.to_owned(),
                tag: tag.to_owned(),
            }),
            false => Err(bad(
                "it is small letters, digits and ._- between slashes, as in registry.example/app:1.0",
            )),
        }
    }
}

impl Name {
    /// A name made of a project's, whatever characters that has.
    pub fn of_project(name: &str) -> Self {
        let lower = name.to_lowercase();
        let words = lower.split(|c: char| !c.is_ascii_alphanumeric());
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        Self {
            repository: match words.is_empty() {
                true => "image".to_owned(),
                false => words.join("-"),
            },
            tag: "latest".to_owned(),
        }
    }

    /// What stands before the tag.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Repository and tag.
    pub fn full(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

/// How images call a machine: `GOARCH`, and its variant where it has several.
pub fn machine(arch: Arch) -> (&'static str, Option<&'static str>) {
    match arch {
        Arch::X86_64 => ("amd64", None),
        Arch::Aarch64 => ("arm64", Some("v8")),
        Arch::X86 => ("386", None),
        Arch::Armv7l => ("arm", Some("v7")),
        Arch::Armv6l => ("arm", Some("v6")),
        Arch::Ppc64 => ("ppc64", None),
        Arch::Ppc64le => ("ppc64le", None),
        Arch::S390x => ("s390x", None),
        Arch::Riscv64 => ("riscv64", None),
        Arch::Loongarch64 => ("loong64", None),
    }
}

/// A processor by its name in images, in wheels or in `uname`.
pub fn arch_of(name: &str) -> Option<Arch> {
    match name {
        "386" => Some(Arch::X86),
        "arm" => Some(Arch::Armv7l),
        "loong64" => Some(Arch::Loongarch64),
        name => Arch::from_name(name),
    }
}

/// What an image for a machine runs on.
pub fn platform(arch: Arch) -> Platform {
    let (architecture, variant) = machine(arch);
    Platform {
        architecture: architecture.to_owned(),
        os: "linux".to_owned(),
        variant: variant.map(str::to_owned),
        other: serde_json::Map::new(),
    }
}

impl Settings {
    /// The configuration of an image on a base, without layers of its own.
    ///
    /// # Errors
    /// When a setting is not what it should be.
    pub fn configuration(&self, base: Option<&Config>, arch: Arch) -> Result<Config, OciError> {
        let (architecture, variant) = machine(arch);
        let mut config = base.cloned().unwrap_or_else(|| Config {
            created: None,
            architecture: architecture.to_owned(),
            os: "linux".to_owned(),
            variant: variant.map(str::to_owned),
            config: Process::default(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: Vec::new(),
            },
            history: Vec::new(),
            other: serde_json::Map::new(),
        });
        config.created = Some(TIME_TEXT.to_owned());
        let process = &mut config.config;
        if let Some(entrypoint) = &self.entrypoint {
            process.entrypoint = Some(entrypoint.clone());
            process.cmd = None;
        }
        if let Some(cmd) = &self.cmd {
            process.cmd = Some(cmd.clone());
        }
        process.env = Some(self.variables(process.env.as_deref().unwrap_or_default())?);
        if let Some(user) = &self.user {
            process.user.clone_from(user);
        }
        for port in &self.expose {
            let ports = process.exposed_ports.get_or_insert_default();
            ports.insert(exposed(port)?, json!({}));
        }
        if let Some(workdir) = &self.workdir {
            if !workdir.starts_with('/') {
                return Err(OciError::Setting {
                    what: "the working directory",
                    text: workdir.clone(),
                    why: "it begins with /".to_owned(),
                });
            }
            process.working_dir.clone_from(workdir);
        }
        if !self.labels.is_empty() {
            let labels = process.labels.get_or_insert_default();
            labels.extend(self.labels.clone());
        }
        Ok(config)
    }

    /// The base's variables, in their order, with what is given in their place or behind them.
    fn variables(&self, base: &[String]) -> Result<Vec<String>, OciError> {
        let split = |one: &String| {
            let (name, value) = one.split_once('=').unwrap_or((one, ""));
            (name.to_owned(), value.to_owned())
        };
        let mut all: Vec<(String, String)> = base.iter().map(split).collect();
        let mut set =
            |name: &str, value: String| match all.iter_mut().find(|(known, _)| known == name) {
                Some((_, old)) => *old = value,
                None => all.push((name.to_owned(), value)),
            };
        for (name, value) in &self.env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(OciError::Setting {
                    what: "the variable",
                    text: name.clone(),
                    why: "it is of the form NAME=VALUE".to_owned(),
                });
            }
            set(name, value.clone());
        }
        let path = all.iter().find(|(name, _)| name == "PATH");
        let path = path.map_or(PATH.to_owned(), |(_, path)| path.clone());
        let mut folders: Vec<&str> = self.path.iter().map(String::as_str).collect();
        folders.push(&path);
        let path = folders.join(":");
        match all.iter_mut().find(|(known, _)| known == "PATH") {
            Some((_, old)) => *old = path,
            None => all.insert(0, ("PATH".to_owned(), path)),
        }
        Ok(all
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect())
    }

    /// Refuses a user by name that the image does not know.
    ///
    /// # Errors
    /// When it has none of that name.
    pub fn check_user(config: &Config, root: &Root) -> Result<(), OciError> {
        let user = config.config.user.split(':').next().unwrap_or_default();
        if user.is_empty() || user.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(());
        }
        let known = root.text("/etc/passwd").unwrap_or_default();
        let mut lines = known.lines();
        match lines.any(|line| line.split(':').next() == Some(user)) {
            true => Ok(()),
            false => Err(OciError::Setting {
                what: "the user",
                text: user.to_owned(),
                why: "the image has no such line in /etc/passwd; a number needs none".to_owned(),
            }),
        }
    }
}

/// `8000/tcp` of `8000`.
fn exposed(port: &str) -> Result<String, OciError> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let is_number = number.parse::<u16>().is_ok_and(|number| number > 0);
    match is_number && ["tcp", "udp", "sctp"].contains(&protocol) {
        true => Ok(format!("{number}/{protocol}")),
        false => Err(OciError::Setting {
            what: "the port",
            text: port.to_owned(),
            why: "it is a number, or a number and its protocol, as in 8000/udp".to_owned(),
        }),
    }
}

/// The variables of a configuration, by name.
pub fn variables(config: &Config) -> BTreeMap<String, String> {
    let all = config.config.env.iter().flatten();
    all.filter_map(|one| one.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// How a layer came about.
pub fn history(what: &str) -> History {
    History {
        created: Some(TIME_TEXT.to_owned()),
        created_by: Some(format!("{CREATED_BY}{what}")),
        empty_layer: false,
        other: serde_json::Map::new(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_registries_take() {
        for (text, full) in [
            ("app", "app:latest"),
            (
                "registry.example:5000/team/app:1.0",
                "registry.example:5000/team/app:1.0",
            ),
            ("localhost:5000/app", "localhost:5000/app:latest"),
        ] {
            assert_eq!(text.parse::<Name>().unwrap().full(), full);
        }
        for text in [
            "",
            "App",
            "a//b",
            "a:",
            "a:b c",
            "-a",
            "a:5000/b:c:d",
            "a/b:5/c",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
        assert_eq!(Name::of_project("My_App.Web").full(), "my-app-web:latest");
    }

    #[test]
    fn variables_take_the_place_of_the_bases_and_programs_come_first() {
        let settings = Settings {
            env: vec![("A".into(), "2".into()), ("B".into(), "=".into())],
            path: vec!["/app/bin".into()],
            ..Settings::default()
        };
        let base = ["A=1".to_owned(), "PATH=/bin".to_owned()];
        assert_eq!(
            settings.variables(&base).unwrap(),
            ["A=2", "PATH=/app/bin:/bin", "B=="]
        );
        let alone = settings.variables(&[]).unwrap();
        assert_eq!(alone.first().unwrap(), &format!("PATH=/app/bin:{PATH}"));
    }
}
