//! What is in one artifact.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Contents, Hook, Library, hooks};
use crate::files::archive::Limits;
use crate::files::archive::tar::{Kind, Tar, TarError};
use crate::files::archive::tarball::unpack;
use crate::files::archive::zip::{Zip, ZipError};
use crate::inspect::diff::facts::FileKind;
use crate::inspect::diff::links;
use crate::install::python::{about, is_run_at_start};
use crate::transform::elf;

/// Why an artifact cannot be looked into.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// It is a zip archive that is damaged or hostile.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// It is a tar archive that is damaged or hostile.
    #[error(transparent)]
    Tar(#[from] TarError),
}

/// Reads an artifact.
///
/// # Errors
/// When it is damaged, or made to deceive.
pub fn read(name: &str, kind: FileKind, bytes: &[u8]) -> Result<Contents, ContentsError> {
    let limits = Limits::default();
    if bytes.starts_with(b"PK") {
        let zip = Zip::new(bytes, name, &limits)?;
        let mut reader = Reader::new(kind);
        for member in zip.members().iter().filter(|member| !member.is_folder) {
            let content = zip.read(member)?;
            reader.file(member.path.as_str(), &content);
        }
        return Ok(reader.finish());
    }
    unpack(bytes, name, &limits, |bytes| {
        let mut reader = Reader::new(kind);
        for member in Tar::new(bytes, name, &limits) {
            let member = member?;
            if member.kind == Kind::File {
                reader.file(&member.path, member.bytes);
            }
        }
        Ok(reader.finish())
    })
}

struct Reader {
    kind: FileKind,
    contents: Contents,
    /// Texts that a hook may name.
    texts: BTreeMap<String, String>,
    /// Its home page, where that is a repository's.
    home: Option<String>,
}

/// Texts above this size are no scripts, in bytes.
const LONGEST_SCRIPT: usize = 1 << 20;

impl Reader {
    fn new(kind: FileKind) -> Self {
        Self {
            kind,
            contents: Contents::default(),
            texts: BTreeMap::new(),
            home: None,
        }
    }

    fn file(&mut self, path: &str, bytes: &[u8]) {
        let path = match self.kind {
            FileKind::Wheel => without_version(path),
            FileKind::Sdist | FileKind::Tarball => match path.split_once('/') {
                Some((_, rest)) => rest.to_owned(),
                None => return,
            },
        };
        if let Some(facts) = library(bytes) {
            self.contents.libraries.insert(path.clone(), facts);
        }
        let text = || {
            std::str::from_utf8(bytes)
                .ok()
                .filter(|text| text.len() < LONGEST_SCRIPT)
        };
        match self.kind {
            FileKind::Wheel => self.wheel_file(&path, bytes, text()),
            FileKind::Sdist => self.sdist_file(&path, text()),
            FileKind::Tarball => {
                if let Some(text) = text() {
                    self.texts.insert(path.clone(), text.to_owned());
                }
            }
        }
        let facts = (bytes.len() as u64, Sha256::digest(bytes).into());
        self.contents.files.insert(path, facts);
    }

    fn wheel_file(&mut self, path: &str, bytes: &[u8], text: Option<&str>) {
        let (top, rest) = path.split_once('/').unwrap_or((path, ""));
        let own = top.ends_with(".dist-info") || top.ends_with(".data");
        let end = |end: &str| path.rsplit_once('.').is_some_and(|(_, found)| found == end);
        if !own && rest.is_empty() && (end("py") || end("so") || end("pyd")) {
            let name = path.split('.').next().unwrap_or(path);
            self.contents.modules.insert(name.to_owned());
        } else if !own && !rest.is_empty() && (end("py") || end("so") || end("pyd")) {
            self.contents.modules.insert(top.to_owned());
        }
        if is_run_at_start(path) {
            self.at_start(path, bytes, text);
        }
        let Some(text) = text else { return };
        match (own, rest) {
            (true, "METADATA") => self.metadata(text),
            (true, "entry_points.txt") => self.entry_points(text),
            _ => {}
        }
    }

    /// What Python runs whenever it starts: of a `.pth` the lines that begin with `import` (site.py).
    fn at_start(&mut self, path: &str, bytes: &[u8], text: Option<&str>) {
        let mut what = format!("sha256:{:.12}…", hex(bytes));
        if let Some(text) = text.filter(|_| path.ends_with(".pth")) {
            let lines = text.lines().filter(|line| line.starts_with("import"));
            let runs: Vec<&str> = lines.collect();
            what = runs.join("; ").chars().take(200).collect();
        }
        if !what.is_empty() {
            let reaches = text.map(hooks::reaches).unwrap_or_default();
            let hook = Hook { what, reaches };
            self.contents.hooks.insert(path.to_owned(), hook);
        }
    }

    fn sdist_file(&mut self, path: &str, text: Option<&str>) {
        let Some(text) = text else { return };
        match path {
            "PKG-INFO" => self.metadata(text),
            "setup.py" | "pyproject.toml" => {
                let what = format!("sha256:{:.12}…", hex(text.as_bytes()));
                let reaches = match path {
                    "setup.py" => hooks::reaches(text),
                    _ => BTreeSet::new(),
                };
                self.contents
                    .hooks
                    .insert(path.to_owned(), Hook { what, reaches });
            }
            _ => {}
        }
    }

    fn metadata(&mut self, text: &str) {
        const FIELDS: [&str; 5] = [
            "Requires-Dist",
            "Requires-Python",
            "Provides-Extra",
            "Requires-External",
            "Maintainer-Email",
        ];
        let fields = text.lines().take_while(|line| !line.trim().is_empty());
        for (name, value) in fields.filter_map(|line| line.split_once(": ")) {
            if FIELDS.contains(&name) {
                self.note(name, value.trim());
            }
            match (name, value.split_once(',')) {
                ("Project-URL", Some((label, url))) if is_home(label) => self.home(url),
                ("Project-URL", Some((label, url))) => self.link(label, url),
                ("Home-page", _) => self.home(value),
                _ => {}
            }
        }
        if let Some(license) = about::license(text) {
            self.note("License", &license);
        }
    }

    fn note(&mut self, field: &str, value: &str) {
        let values = self.contents.metadata.entry(field.to_owned()).or_default();
        values.insert(value.to_owned());
    }

    /// A home page on a code host is where the source is, if nothing else is said to be.
    fn home(&mut self, url: &str) {
        self.home = self.home.take().or_else(|| links::repository_page(url));
    }

    /// Keeps a link whose label says what it is to a reviewer.
    fn link(&mut self, label: &str, url: &str) {
        let label = label.to_lowercase().replace(['-', '_'], " ");
        let kind = match label.trim() {
            "source" | "source code" | "repository" | "code" | "github" | "gitlab" | "sources" => {
                "source"
            }
            "changelog" | "change log" | "changes" | "release notes" | "releases" | "history"
            | "whatsnew" | "what's new" => "changelog",
            _ => return,
        };
        if let Some(url) = links::link(url).or_else(|| links::repository_page(url)) {
            self.contents.links.entry(kind.to_owned()).or_insert(url);
        }
    }

    fn entry_points(&mut self, text: &str) {
        let mut section = "";
        for line in text.lines().map(str::trim) {
            match line
                .strip_prefix('[')
                .and_then(|line| line.strip_suffix(']'))
            {
                Some(name) => section = name,
                None if line.is_empty() || line.starts_with(['#', ';']) => {}
                None => {
                    self.contents
                        .entry_points
                        .insert(format!("{section}: {line}"));
                }
            }
        }
    }

    /// What a package.json says, once everything that it may name has been seen.
    fn finish(mut self) -> Contents {
        if let Some(page) = self.home.take() {
            let links = &mut self.contents.links;
            links.entry("source".to_owned()).or_insert(page);
        }
        let about = (self.texts.get("package.json")).and_then(|text| {
            serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).ok()
        });
        let Some(about) = about else {
            return self.contents;
        };
        for field in [
            "dependencies",
            "optionalDependencies",
            "peerDependencies",
            "engines",
        ] {
            let values = about.get(field).and_then(Value::as_object);
            for (name, range) in values.into_iter().flatten() {
                self.note(
                    field,
                    &format!("{name} {}", range.as_str().unwrap_or_default()),
                );
            }
        }
        if let Some(license) = about.get("license").and_then(Value::as_str) {
            self.note("license", license);
        }
        let repository = about.get("repository");
        let place = repository.and_then(|one| one.get("url").or(Some(one)));
        if let Some(place) = place.and_then(Value::as_str) {
            self.link("repository", place);
        }
        match about.get("bin") {
            Some(Value::Object(programs)) => {
                let programs = programs.keys().map(|name| format!("bin: {name}"));
                self.contents.entry_points.extend(programs);
            }
            Some(Value::String(file)) => {
                self.contents.entry_points.insert(format!("bin: {file}"));
            }
            _ => {}
        }
        let scripts = about.get("scripts").and_then(Value::as_object);
        for name in ["preinstall", "install", "postinstall"] {
            let Some(command) = scripts
                .and_then(|all| all.get(name))
                .and_then(Value::as_str)
            else {
                continue;
            };
            let mut reaches = hooks::reaches(command);
            let mut what = command.to_owned();
            for file in hooks::files_of(command) {
                if let Some(text) = self.texts.get(&file) {
                    reaches.extend(hooks::reaches(text));
                    what.push_str(&format!(" ({file} {:.12}…)", hex(text.as_bytes())));
                }
            }
            self.contents
                .hooks
                .insert(name.to_owned(), Hook { what, reaches });
        }
        // npm builds what has a binding.gyp and no install script of its own.
        let has_own = self.contents.hooks.contains_key("install")
            || self.contents.hooks.contains_key("preinstall");
        if self.contents.files.contains_key("binding.gyp") && !has_own {
            let hook = Hook {
                what: String::from("node-gyp rebuild"),
                reaches: BTreeSet::new(),
            };
            self.contents.hooks.insert("install".to_owned(), hook);
        }
        self.contents
    }
}

fn is_home(label: &str) -> bool {
    label.trim().to_lowercase().replace(['-', '_', ' '], "") == "homepage"
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}

/// `foo-1.0.dist-info/METADATA` becomes `foo.dist-info/METADATA`.
fn without_version(path: &str) -> String {
    let (top, rest) = path.split_once('/').unwrap_or((path, ""));
    for end in [".dist-info", ".data"] {
        if let Some((name, _)) = top.strip_suffix(end).and_then(|stem| stem.split_once('-')) {
            return format!("{name}{end}/{rest}");
        }
    }
    path.to_owned()
}

/// Names that a linker puts into every library, or leaves out, and nobody links to.
const LINKERS: [&str; 8] = [
    "_init",
    "_fini",
    "__bss_start",
    "_edata",
    "_end",
    "_bss_end__",
    "__bss_end__",
    "__end__",
];

fn library(bytes: &[u8]) -> Option<Library> {
    if !elf::ElfFacts::applies_to(bytes) {
        return None;
    }
    // One that is damaged is a file like any other.
    let facts = elf::ElfFacts::read(bytes).ok()?;
    let mut exported = elf::exported(bytes).unwrap_or_default();
    exported.retain(|name| !LINKERS.contains(&name.as_str()));
    Some(Library {
        glibc: facts.glibc_floor(),
        needed: facts.needed.into_iter().collect(),
        exported,
    })
}
