//! A Python project's build configuration, and which names are there.

use camino::{Utf8Path, Utf8PathBuf};
use toml::{Table, Value};

use crate::core::foreign;

/// A package folder or module file, and what it is called below site-packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Relative to the project's folder.
    pub from: Utf8PathBuf,
    /// Relative to site-packages.
    pub to: Utf8PathBuf,
    /// Globs of what is left out, relative to `from`.
    pub exclude: Vec<String>,
}

impl Piece {
    pub(super) fn new(from: impl Into<Utf8PathBuf>, to: impl Into<Utf8PathBuf>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            exclude: Vec::new(),
        }
    }
}

/// A project's configuration, as it is written.
pub(super) struct Project<'a> {
    pub(super) folder: &'a Utf8Path,
    pub(super) table: Table,
    /// The first part of its back end's module.
    pub(super) backend: String,
    pub(super) name: String,
    /// The text of its setup.cfg; empty where there is none.
    pub(super) cfg: String,
}

impl<'a> Project<'a> {
    pub(super) fn read(folder: &'a Utf8Path) -> Result<Self, String> {
        let file = folder.join("pyproject.toml");
        let table: Table = if file.is_file() {
            let text = foreign::text(&file).map_err(|error| format!("{file}: {error}"))?;
            text.parse()
                .map_err(|error: toml::de::Error| format!("{file}: {}", error.message()))?
        } else if folder.join("setup.cfg").is_file() || folder.join("setup.py").is_file() {
            Table::new()
        } else {
            return Err(format!("{folder} has no pyproject.toml"));
        };
        let file = folder.join("setup.cfg");
        let cfg = match foreign::text(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(format!("{file}: {error}")),
        };
        let backend = get(&table, "build-system.build-backend").and_then(Value::as_str);
        let backend = backend.unwrap_or("setuptools.build_meta");
        let first = backend.split(['.', ':']).next().unwrap_or(backend);
        let name = get(&table, "project.name").or_else(|| get(&table, "tool.poetry.name"));
        let name = name.and_then(Value::as_str).map(str::to_owned);
        Ok(Self {
            folder,
            backend: first.to_owned(),
            name: name
                .or_else(|| setup_cfg(&cfg, "metadata", "name"))
                .unwrap_or_default(),
            table,
            cfg,
        })
    }

    pub(super) fn get(&self, path: &str) -> Option<&Value> {
        get(&self.table, path)
    }

    pub(super) fn has(&self, path: impl AsRef<Utf8Path>) -> bool {
        self.folder.join(path.as_ref()).exists()
    }

    /// The name as a module: runs of `-`, `_` and `.` are one `_` (PEP 503, then an identifier).
    pub(super) fn module_name(&self) -> String {
        let parts = self
            .name
            .split(['-', '_', '.'])
            .filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("_")
    }

    /// The package or module that is called like the project, in the first of the folders that has it.
    pub(super) fn by_name(&self, folders: &[&str]) -> Result<Vec<Piece>, String> {
        let name = self.module_name();
        for folder in folders {
            let folder = Utf8Path::new(folder);
            if self.has(folder.join(&name).join("__init__.py")) {
                return Ok(vec![Piece::new(folder.join(&name), name)]);
            }
            let file = format!("{name}.py");
            if self.has(folder.join(&file)) {
                return Ok(vec![Piece::new(folder.join(&file), file)]);
            }
        }
        // One namespace package: `*/name/__init__.py`.
        let spaces: Vec<String> = self
            .folders("")
            .into_iter()
            .filter(|space| self.has(Utf8Path::new(space).join(&name).join("__init__.py")))
            .collect();
        match spaces.as_slice() {
            [space] => Ok(vec![Piece::new(space.as_str(), space.as_str())]),
            _ => Err(format!(
                "it says nothing of its packages, and has none that is called {name}, as the \
                 project is"
            )),
        }
    }

    /// Folders in a folder of the project, sorted.
    pub(super) fn folders(&self, inside: &str) -> Vec<String> {
        let entries = self.folder.join(inside).read_dir_utf8();
        let mut names: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.file_name().to_owned())
            .filter(|name| is_identifier(name))
            .collect();
        names.sort_unstable();
        names
    }

    /// A module or package of a dotted name, in the first of the folders that has it.
    pub(super) fn module(&self, name: &str, folders: &[&str]) -> Result<Vec<Piece>, String> {
        let path = name.replace('.', "/");
        for folder in folders {
            let folder = Utf8Path::new(folder);
            for path in [path.clone(), format!("{path}.py")] {
                if self.has(folder.join(&path)) {
                    return Ok(vec![Piece::new(folder.join(&path), path)]);
                }
            }
        }
        Err(format!("its module is called {name}, and is not there"))
    }
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
        && name != "__pycache__"
}

fn get<'t>(table: &'t Table, path: &str) -> Option<&'t Value> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let value = table.get(first)?;
    match rest {
        "" => Some(value),
        rest => get(value.as_table()?, rest),
    }
}

pub(super) fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// A value of setup.cfg, which may go on over indented lines.
pub(super) fn setup_cfg(text: &str, section: &str, key: &str) -> Option<String> {
    let mut is_here = false;
    let mut value: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) || line.trim().is_empty() {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            is_here = name.trim() == section;
            continue;
        }
        if line.starts_with([' ', '\t']) {
            if let Some(value) = &mut value {
                value.push('\n');
                value.push_str(line.trim());
            }
            continue;
        }
        if value.is_some() {
            break;
        }
        let Some((name, first)) = line.split_once('=').filter(|_| is_here) else {
            continue;
        };
        if name.trim().replace('-', "_") == key {
            value = Some(first.trim().to_owned());
        }
    }
    value
}
