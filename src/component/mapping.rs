//! Which folders of a Python project are its packages, by its own build configuration: hatchling,
//! setuptools, flit, uv's back end or poetry, with their defaults.
//!
//! This reads configuration and looks which names are there; nothing is run. What cannot be determined
//! that way is refused, and can be copied by hand.

use camino::Utf8Path;
use toml::Value;

pub use super::project::Piece;
use super::project::{Project, strings};

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

impl Project<'_> {
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
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "mapping_tests.rs"]
mod tests;
