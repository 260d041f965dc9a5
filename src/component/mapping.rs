//! Which folders of a Python project are its packages, by its own build configuration: hatchling,
//! setuptools, flit, uv's back end or poetry, with their defaults.
//!
//! This reads configuration and looks which names are there; nothing is run. What cannot be told so
//! is refused, and can be copied by hand.

use camino::{Utf8Path, Utf8PathBuf};
use toml::{Table, Value};

use crate::transform::elf::Glob;

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
    fn new(from: impl Into<Utf8PathBuf>, to: impl Into<Utf8PathBuf>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            exclude: Vec::new(),
        }
    }
}

/// The pieces of the project in a folder, sorted by name.
///
/// # Errors
/// With a sentence, when its configuration cannot be read or does not tell.
pub fn mapping(folder: &Utf8Path) -> Result<Vec<Piece>, String> {
    let project = Project::read(folder)?;
    let mut pieces = match project.backend.as_str() {
        "hatchling" | "hatch" => project.hatch()?,
        "setuptools" => project.setuptools()?,
        "flit_core" | "flit" | "flit_scm" => project.flit()?,
        "uv_build" => project.uv()?,
        "poetry" => project.poetry()?,
        other => {
            return Err(format!(
                "its back end is {other}, whose configuration is not read here: copy its packages \
                 with `copy`"
            ));
        }
    };
    pieces.sort_by(|one, other| (&one.to, &one.from).cmp(&(&other.to, &other.from)));
    pieces.dedup();
    match pieces.is_empty() {
        true => Err("it has no packages, by its configuration: copy its files with `copy`".into()),
        false => Ok(pieces),
    }
}

struct Project<'a> {
    folder: &'a Utf8Path,
    table: Table,
    /// The first part of its back end's module.
    backend: String,
    name: String,
    /// The text of its setup.cfg; empty where there is none.
    cfg: String,
}

impl<'a> Project<'a> {
    fn read(folder: &'a Utf8Path) -> Result<Self, String> {
        let file = folder.join("pyproject.toml");
        let table: Table = if file.is_file() {
            let text =
                std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            text.parse()
                .map_err(|error: toml::de::Error| format!("{file}: {}", error.message()))?
        } else if folder.join("setup.cfg").is_file() || folder.join("setup.py").is_file() {
            Table::new()
        } else {
            return Err(format!("{folder} has no pyproject.toml"));
        };
        let file = folder.join("setup.cfg");
        let cfg = match std::fs::read_to_string(&file) {
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

    fn get(&self, path: &str) -> Option<&Value> {
        get(&self.table, path)
    }

    fn has(&self, path: impl AsRef<Utf8Path>) -> bool {
        self.folder.join(path.as_ref()).exists()
    }

    /// The name as a module: runs of `-`, `_` and `.` are one `_` (PEP 503, then an identifier).
    fn module_name(&self) -> String {
        let parts = self
            .name
            .split(['-', '_', '.'])
            .filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join("_")
    }

    /// <https://hatch.pypa.io/latest/plugins/builder/wheel/#default-file-selection>
    fn hatch(&self) -> Result<Vec<Piece>, String> {
        let option = |key: &str| {
            let own = self.get(&format!("tool.hatch.build.targets.wheel.{key}"));
            own.or_else(|| self.get(&format!("tool.hatch.build.{key}")))
        };
        let mut pieces = Vec::new();
        if let Some(forced) = option("force-include").and_then(Value::as_table) {
            for (from, to) in forced {
                let to = to.as_str().unwrap_or_default().trim_matches('/');
                pieces.push(Piece::new(from.as_str(), to));
            }
        }
        let sources = option("sources");
        let renamed = |path: &str| -> String {
            match sources {
                Some(Value::Array(prefixes)) => {
                    let rest = prefixes
                        .iter()
                        .filter_map(Value::as_str)
                        .find_map(|prefix| {
                            path.strip_prefix(prefix.trim_matches('/'))?
                                .strip_prefix('/')
                        });
                    rest.unwrap_or(path).to_owned()
                }
                Some(Value::Table(table)) => {
                    let named = table.iter().find_map(|(from, to)| {
                        let rest = path.strip_prefix(from.trim_matches('/'))?;
                        let to = to.as_str()?.trim_matches('/');
                        Some(format!("{to}{rest}").trim_matches('/').to_owned())
                    });
                    named.unwrap_or_else(|| path.to_owned())
                }
                _ => path.to_owned(),
            }
        };
        if let Some(packages) = option("packages") {
            // Of `src/foo` the last part is the package; what is not there is passed over.
            for path in strings(packages).filter(|path| self.has(path.trim_matches('/'))) {
                let path = path.trim_matches('/');
                let name = path.rsplit('/').next().unwrap_or(path);
                pieces.push(Piece::new(path, name));
            }
        } else if let Some(paths) = option("only-include").or_else(|| option("include")) {
            for path in strings(paths) {
                let path = path.trim_start_matches("./").trim_matches('/');
                let path = path.trim_end_matches("/**").trim_end_matches("/*");
                if path.contains(['*', '?', '[', '!']) {
                    let key = "tool.hatch.build.targets.wheel.include";
                    return Err(format!(
                        "{key} has the pattern `{path}`, which is not read here: copy its packages \
                         with `copy`"
                    ));
                }
                if self.has(path) {
                    pieces.push(Piece::new(path, renamed(path)));
                }
            }
        } else if pieces.is_empty() {
            pieces.extend(self.by_name(&["", "src"])?);
        }
        let exclude: Vec<String> = option("exclude")
            .map(|e| strings(e).map(str::to_owned).collect())
            .unwrap_or_default();
        for piece in &mut pieces {
            let own = format!("{}/", piece.from);
            let globs = exclude.iter().map(|glob| glob.trim_start_matches('/'));
            piece.exclude = globs
                .map(|glob| {
                    glob.strip_prefix(&own)
                        .unwrap_or(glob)
                        .trim_end_matches('/')
                        .to_owned()
                })
                .collect();
        }
        Ok(pieces)
    }

    /// The package or module that is called like the project, in the first of the folders that has it.
    fn by_name(&self, folders: &[&str]) -> Result<Vec<Piece>, String> {
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
    fn folders(&self, inside: &str) -> Vec<String> {
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

    /// <https://setuptools.pypa.io/en/latest/userguide/package_discovery.html>
    fn setuptools(&self) -> Result<Vec<Piece>, String> {
        let cfg = |section: &str, key: &str| setup_cfg(&self.cfg, section, key);
        let base = self
            .get("tool.setuptools.package-dir")
            .and_then(|dirs| dirs.get(""));
        let base = base.and_then(Value::as_str).map(str::to_owned);
        let base = base.or_else(|| {
            let lines = cfg("options", "package_dir")?;
            let root = lines.lines().find_map(|line| line.trim().strip_prefix('='));
            root.map(|root| root.trim().to_owned())
        });
        let base = base.unwrap_or_default();
        let mut modules: Vec<String> = self
            .get("tool.setuptools.py-modules")
            .map(|list| strings(list).map(str::to_owned).collect())
            .unwrap_or_default();
        modules.extend(words(cfg("options", "py_modules")));
        let mut pieces: Vec<Piece> = modules
            .iter()
            .map(|module| {
                let file = format!("{}.py", module.replace('.', "/"));
                Piece::new(Utf8Path::new(&base).join(&file), file)
            })
            .collect();
        let packages = self.get("tool.setuptools.packages");
        let listed: Vec<String> = match packages {
            Some(list @ Value::Array(_)) => strings(list).map(str::to_owned).collect(),
            Some(_) => Vec::new(),
            None => words(cfg("options", "packages")),
        };
        let find = self
            .get("tool.setuptools.packages.find")
            .and_then(Value::as_table);
        let is_cfg_find = listed
            .first()
            .is_some_and(|first| first.starts_with("find"));
        if find.is_some() || is_cfg_find {
            let option = |key: &str, default: &str| -> Vec<String> {
                let said = match find {
                    Some(table) => table
                        .get(key)
                        .map(|list| strings(list).map(str::to_owned).collect()),
                    None => {
                        let said = words(cfg("options.packages.find", key));
                        (!said.is_empty()).then_some(said)
                    }
                };
                said.unwrap_or_else(|| match default {
                    "" => Vec::new(),
                    default => vec![default.to_owned()],
                })
            };
            let namespaces = find.is_some_and(|table| {
                table
                    .get("namespaces")
                    .and_then(Value::as_bool)
                    .unwrap_or(true)
            });
            let (include, exclude) = (option("include", "*"), option("exclude", ""));
            for place in option("where", if base.is_empty() { "." } else { &base }) {
                pieces.extend(self.found(
                    place.trim_start_matches("./"),
                    &include,
                    &exclude,
                    namespaces,
                ));
            }
            return Ok(pieces);
        }
        if !listed.is_empty() {
            for package in listed.iter().filter(|package| !package.contains('.')) {
                let own = self.get(&format!("tool.setuptools.package-dir.{package}"));
                let from = own.and_then(Value::as_str).map(Utf8PathBuf::from);
                let from = from.unwrap_or_else(|| Utf8Path::new(&base).join(package));
                pieces.push(Piece::new(from, package.as_str()));
            }
            return Ok(pieces);
        }
        if !pieces.is_empty() {
            return Ok(pieces);
        }
        if self.has("src") {
            return Ok(self.found("src", &["*".into()], &[], true));
        }
        let flat = self.found("", &["*".into()], &FLAT_EXCLUDE.map(str::to_owned), true);
        match flat.as_slice() {
            [] => self.by_name(&[""]),
            [_] => Ok(flat),
            several => Err(format!(
                "setuptools would refuse to choose between its folders {}: it must say which are \
                 packages",
                several
                    .iter()
                    .map(|piece| piece.to.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }

    /// Top-level packages of a folder, by setuptools' patterns of dotted names.
    fn found(
        &self,
        place: &str,
        include: &[String],
        exclude: &[String],
        namespaces: bool,
    ) -> Vec<Piece> {
        let place = place.trim_matches('/').trim_start_matches('.');
        let fits =
            |globs: &[String], name: &str| globs.iter().any(|glob| Glob::new(glob).matches(name));
        let names = self.folders(place).into_iter().filter(|name| {
            let is_package = self.has(Utf8Path::new(place).join(name).join("__init__.py"));
            // A pattern such as `foo.bar*` includes the folder `foo` for what is in it.
            let included = fits(include, name)
                || include
                    .iter()
                    .any(|glob| glob.starts_with(&format!("{name}.")));
            (is_package || namespaces) && included && !fits(exclude, name)
        });
        names
            .map(|name| {
                let inner = exclude.iter().filter_map(|glob| {
                    let rest = glob
                        .strip_prefix(&format!("{name}."))
                        .or_else(|| glob.strip_prefix("*."))?;
                    Some(rest.replace('.', "/"))
                });
                Piece {
                    from: Utf8Path::new(place).join(&name),
                    exclude: inner.collect(),
                    to: name.into(),
                }
            })
            .collect()
    }

    /// <https://flit.pypa.io/en/stable/pyproject_toml.html#module-section>
    fn flit(&self) -> Result<Vec<Piece>, String> {
        let name = self
            .get("tool.flit.module.name")
            .or_else(|| self.get("tool.flit.metadata.module"));
        let name = name
            .and_then(Value::as_str)
            .map_or_else(|| self.name.replace('-', "_"), str::to_owned);
        self.module(&name, &["", "src"])
    }

    /// <https://docs.astral.sh/uv/concepts/build-backend/#modules>
    fn uv(&self) -> Result<Vec<Piece>, String> {
        let root = self
            .get("tool.uv.build-backend.module-root")
            .and_then(Value::as_str);
        let root = root.unwrap_or("src");
        let names: Vec<String> = match self.get("tool.uv.build-backend.module-name") {
            Some(Value::String(name)) => vec![name.clone()],
            Some(list) => strings(list).map(str::to_owned).collect(),
            None => vec![self.module_name()],
        };
        let mut pieces = Vec::new();
        for name in names {
            pieces.extend(self.module(&name, &[root])?);
        }
        Ok(pieces)
    }

    /// <https://python-poetry.org/docs/pyproject/#packages>
    fn poetry(&self) -> Result<Vec<Piece>, String> {
        let Some(Value::Array(packages)) = self.get("tool.poetry.packages") else {
            return self.module(&self.module_name(), &["", "src"]);
        };
        let mut pieces = Vec::new();
        for package in packages {
            let part = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
            let include = part("include")
                .trim_end_matches("/**/*")
                .trim_end_matches("/**");
            if include.contains('*') {
                return Err(format!(
                    "tool.poetry.packages has the pattern `{include}`, which is not read here: copy \
                     its packages with `copy`"
                ));
            }
            let from = Utf8Path::new(part("from")).join(include);
            pieces.push(Piece::new(from, Utf8Path::new(part("to")).join(include)));
        }
        Ok(pieces)
    }

    /// A module or package of a dotted name, in the first of the folders that has it.
    fn module(&self, name: &str, folders: &[&str]) -> Result<Vec<Piece>, String> {
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

/// What setuptools does not take for a package where all lies at the top.
const FLAT_EXCLUDE: [&str; 22] = [
    "ci",
    "bin",
    "debian",
    "doc",
    "docs",
    "documentation",
    "manpages",
    "news",
    "newsfragments",
    "changelog",
    "test",
    "tests",
    "example",
    "examples",
    "scripts",
    "tools",
    "util",
    "utils",
    "build",
    "benchmark",
    "benchmarks",
    "dist",
];

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

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

/// A value of setup.cfg, which may go on over indented lines.
fn setup_cfg(text: &str, section: &str, key: &str) -> Option<String> {
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

fn words(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    let all = value.split([',', '\n']).map(str::trim);
    all.filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "mapping_tests.rs"]
mod tests;
