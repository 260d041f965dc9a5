//! Where the editable wheels of five back ends lead, for projects that leave it to their defaults.

use camino::Utf8Path;
use toml::{Table, Value};

use super::contents::Module;
use super::stated::Facts;
use super::{Backend, real};
use crate::decide::lock::requirement::Needed;

/// What an editable wheel has of its own.
pub(super) struct Laid {
    /// The file that Python reads when it starts.
    pub(super) pth: String,
    /// What it says: which folder is searched.
    pub(super) line: String,
    /// setuptools' list of modules.
    pub(super) top_level: Option<String>,
    /// What an ordinary wheel has instead; `None` where the project says more of that than is read here.
    pub(super) modules: Option<Vec<Module>>,
}

fn one_module(from: &str, to: &str) -> Vec<Module> {
    let from = from.trim_start_matches('/').to_owned();
    let to = to.to_owned();
    vec![Module { from, to }]
}

impl Backend {
    /// By what a project calls it.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "flit_core.buildapi" => Self::Flit,
            "hatchling.build" => Self::Hatchling,
            "poetry.core.masonry.api" => Self::Poetry,
            "setuptools.build_meta" => Self::Setuptools,
            "uv_build" => Self::Uv,
            _ => return None,
        })
    }

    /// Whether a project is built with nothing besides, plugins above all.
    pub(super) fn is_all_of(self, needs: &[Needed]) -> bool {
        let own = match self {
            Self::Flit => "flit-core",
            Self::Hatchling => "hatchling",
            Self::Poetry => "poetry-core",
            Self::Setuptools => "setuptools",
            Self::Uv => "uv-build",
        };
        let is_known = |need: &Needed| match need.name.as_ref() {
            "wheel" => self == Self::Setuptools,
            name => name == own,
        };
        needs.iter().all(is_known) && needs.iter().any(|need| need.name.as_ref() == own)
    }

    /// The wheel of a project in a folder; `None` where it is not by the back end's defaults.
    pub(super) fn layout(self, folder: &Utf8Path, facts: &Facts<'_>, tool: &Table) -> Option<Laid> {
        let module = facts.module();
        let has = |path: &str| folder.join(path).is_file();
        let is_package = |path: &str| has(&format!("{path}/__init__.py"));
        let leads_to = |pth: String, below: &str, end: &str| {
            Some(Laid {
                pth,
                line: format!("{}{end}", real(folder, below)?),
                top_level: None,
                modules: None,
            })
        };
        let with = |laid: Option<Laid>, modules: Option<Vec<Module>>| {
            laid.map(|laid| Laid { modules, ..laid })
        };
        match self {
            Self::Hatchling => {
                let pth = format!("_editable_impl_{module}.pth");
                let packages = hatch_packages(tool.get("hatch"))?;
                let (roots, folders) = match packages.clone() {
                    None if is_package(&module) => (vec![""], vec![""]),
                    None if is_package(&format!("src/{module}")) => (vec!["src"], vec!["src"]),
                    None => return None,
                    Some(packages) => {
                        let parents = packages.iter().map(|path| match path.rsplit_once('/') {
                            Some((parent, _)) => parent,
                            None => "",
                        });
                        (parents.collect(), packages)
                    }
                };
                // Each package has a line, in an order that only its file system knows.
                let [root] = roots.as_slice() else {
                    return None;
                };
                let is_there = |path: &&str| folder.join(path).is_dir();
                let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
                let modules: Vec<Module> = match &packages {
                    None => one_module(&format!("{root}/{module}"), &module),
                    Some(packages) => (packages.iter())
                        .map(|path| Module {
                            from: (*path).to_owned(),
                            to: name(path),
                        })
                        .collect(),
                };
                let leaves_out = tool.get("hatch").is_some_and(|hatch| {
                    let mut keys = ["build", "targets", "wheel", "exclude"].into_iter();
                    keys.try_fold(hatch, |at, key| at.get(key)).is_some()
                });
                let modules = (!leaves_out).then_some(modules);
                match folders.iter().all(is_there) {
                    true => with(leads_to(pth, root, ""), modules),
                    false => None,
                }
            }
            Self::Flit => {
                let own = only(tool.get("flit"), &["module", "sdist"])?;
                let own = match own.and_then(|own| own.get("module")) {
                    Some(module) => only(Some(module), &["name"])?,
                    None => None,
                };
                let name = match own.and_then(|own| own.get("name")) {
                    Some(name) => name.as_str().filter(|name| is_name(name))?,
                    None => &facts.name.replace('-', "_"),
                };
                let root = one_of(folder, name)?;
                let modules = Some(one_module(&format!("{root}/{name}"), name));
                with(leads_to(format!("{name}.pth"), root, ""), modules)
            }
            Self::Poetry => {
                let own = only(
                    tool.get("poetry"),
                    &["packages", "requires-poetry", "requires-plugins", "group"],
                )?;
                let (root, name) = match own.and_then(|own| own.get("packages")) {
                    None => (one_of(folder, &module)?, module.as_str()),
                    Some(packages) => {
                        let [package] = packages.as_array()?.as_slice() else {
                            return None;
                        };
                        let entry = only(Some(package), &["include", "from"])??;
                        let name = entry.get("include")?.as_str()?;
                        let from = match entry.get("from") {
                            Some(from) => from.as_str().filter(|from| is_name(from))?,
                            None => "",
                        };
                        let path = Utf8Path::new(from).join(name);
                        if !is_name(name) || !is_package(path.as_str()) {
                            return None;
                        }
                        (from, name)
                    }
                };
                let modules = Some(one_module(&format!("{root}/{name}"), name));
                with(leads_to(format!("{module}.pth"), root, "\n"), modules)
            }
            Self::Setuptools => {
                let own = only(
                    tool.get("setuptools"),
                    &["include-package-data", "package-data", "zip-safe"],
                );
                let says_more = own?.is_some_and(|own| own.keys().any(|key| key != "zip-safe"));
                if has("setup.py") || has("setup.cfg") || has("MANIFEST.in") {
                    return None;
                }
                // Any other layout needs code that finds modules one by one.
                let pth = format!("__editable__.{module}-{}.pth", facts.version);
                let laid = leads_to(pth, "src", "\n")?;
                Some(Laid {
                    top_level: Some(modules(&folder.join("src"))?),
                    modules: (!says_more).then(|| one_module("src", "")),
                    ..laid
                })
            }
            Self::Uv => {
                let uv = tool.get("uv").and_then(Value::as_table);
                let own = uv.and_then(|uv| uv.get("build-backend"));
                let known = [
                    "module-root",
                    "module-name",
                    "source-include",
                    "source-exclude",
                    "wheel-exclude",
                    "default-excludes",
                ];
                let own = only(own, &known)?;
                let text = |key: &str, default: &str| match own.and_then(|own| own.get(key)) {
                    Some(value) => value.as_str().map(str::to_owned),
                    None => Some(default.to_owned()),
                };
                let (root, name) = (text("module-root", "src")?, text("module-name", &module)?);
                let is_below = root.is_empty() || is_name(&root);
                if !is_below
                    || !is_name(&name)
                    || !is_package(Utf8Path::new(&root).join(&name).as_str())
                {
                    return None;
                }
                let known = ["module-root", "module-name", "source-include"];
                let says_more =
                    own.is_some_and(|own| own.keys().any(|key| !known.contains(&key.as_str())));
                // As it is, links and all.
                Some(Laid {
                    pth: format!("{module}.pth"),
                    modules: (!says_more).then(|| one_module(&format!("{root}/{name}"), &name)),
                    line: folder.join(root).into_string(),
                    top_level: None,
                })
            }
        }
    }
}

/// A table, if it has these keys alone: `None` where it has others, nothing inside where there is none.
#[allow(clippy::option_option)]
fn only<'t>(value: Option<&'t Value>, known: &[&str]) -> Option<Option<&'t Table>> {
    let Some(value) = value else {
        return Some(None);
    };
    let table = value.as_table()?;
    let is_known = |key: &String| known.contains(&key.as_str());
    table.keys().all(is_known).then_some(Some(table))
}

/// hatchling's `packages`, where nothing else is said that shapes an editable wheel: inside, nothing
/// where they are not said.
#[allow(clippy::option_option)]
fn hatch_packages(hatch: Option<&Value>) -> Option<Option<Vec<&str>>> {
    let others = ["build", "envs", "metadata", "publish"];
    let Some(hatch) = only(hatch, &others)? else {
        return Some(None);
    };
    only(hatch.get("metadata"), &["allow-direct-references"])?;
    let Some(build) = only(hatch.get("build"), &["targets"])? else {
        return Some(None);
    };
    let Some(targets) = only(build.get("targets"), &["wheel", "sdist"])? else {
        return Some(None);
    };
    let Some(wheel) = only(targets.get("wheel"), &["packages", "exclude"])? else {
        return Some(None);
    };
    let Some(packages) = wheel.get("packages") else {
        return Some(None);
    };
    let all = packages.as_array()?.iter();
    let path = |value: &'_ Value| -> bool {
        let parts = value.as_str().map(|path| path.split('/').all(is_name));
        parts.unwrap_or(false)
    };
    match all.clone().all(path) {
        true => Some(Some(all.filter_map(Value::as_str).collect())),
        false => None,
    }
}

/// A folder's or a module's name, and no path.
fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    !name.is_empty() && name.chars().all(letters)
}

/// The one place in which a module of this name is: at the top, or in `src`.
fn one_of(folder: &Utf8Path, name: &str) -> Option<&'static str> {
    let places = [("", ""), ("src", "src/")].into_iter();
    let mut found = places.flat_map(|(root, prefix)| {
        let package = folder.join(format!("{prefix}{name}"));
        let module = folder.join(format!("{prefix}{name}.py"));
        let is_package = package.join("__init__.py").is_file();
        let there = [(is_package || package.exists()), module.exists()];
        there
            .into_iter()
            .filter(|is_there| *is_there)
            .map(move |_| (root, is_package))
    });
    match (found.next(), found.next()) {
        (Some((root, true)), None) => Some(root),
        _ => None,
    }
}

/// The names of packages and modules in a folder, as setuptools lists them.
fn modules(src: &Utf8Path) -> Option<String> {
    let mut names = Vec::new();
    for entry in src.read_dir_utf8().ok()? {
        let entry = entry.ok()?;
        let (name, kind) = (entry.file_name(), entry.file_type().ok()?);
        let is_aside = name == "__pycache__" || name.ends_with(".egg-info");
        match name.strip_suffix(".py") {
            Some(module) if kind.is_file() => names.push(module.to_owned()),
            _ if kind.is_dir() && is_name(name) && !is_aside => names.push(name.to_owned()),
            _ if is_aside || kind.is_file() => {}
            _ => return None,
        }
    }
    names.sort();
    match names.is_empty() {
        true => None,
        false => Some(names.join("\n") + "\n"),
    }
}
