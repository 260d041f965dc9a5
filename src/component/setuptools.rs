//! Which packages setuptools would find.

use camino::{Utf8Path, Utf8PathBuf};
use toml::Value;

use super::project::{Piece, Project, setup_cfg, strings};
use crate::transform::elf::Glob;

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

impl Project<'_> {
    /// <https://setuptools.pypa.io/en/latest/userguide/package_discovery.html>
    pub(super) fn setuptools(&self) -> Result<Vec<Piece>, String> {
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
    pub(super) fn found(
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
}

fn words(value: Option<String>) -> Vec<String> {
    let value = value.unwrap_or_default();
    let all = value.split([',', '\n']).map(str::trim);
    all.filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
