//! Of a first manifest: an application that is no package, and a web UI that Vite builds.

use std::fmt::Write as _;

use camino::Utf8Path;
use toml::Value;

use crate::core::foreign;
use crate::decide::lock::npm::NpmLock;

/// Modules by which applications are started, the likeliest first.
const STARTED: [&str; 5] = ["main", "app", "run", "server", "manage"];

/// Modules and folders that an application has beside itself.
const ASIDE: [&str; 9] = [
    "conftest",
    "docs",
    "examples",
    "migrations",
    "noxfile",
    "scripts",
    "setup",
    "tasks",
    "tests",
];

/// Where Vite's settings stand, without their ends.
const VITE: &str = "vite.config";

/// The phases of a component that copy an application's modules and start it: those at the top of its
/// folder, or in `src`. Nothing where there are none.
pub(super) fn application(folder: &Utf8Path, source: &str, name: &str) -> String {
    let (below, modules) = match modules(&folder.join("src")) {
        found if found.is_empty() => ("", modules(folder)),
        found => ("src/", found),
    };
    if modules.is_empty() {
        return String::new();
    }
    let mut text = String::from("# The application itself, which is not a package.\ncopy = [\n");
    for module in &modules {
        let from = quoted(&format!("{source}/{below}{module}"));
        let to = quoted(&format!("{{site}}/{module}"));
        let _ = writeln!(text, "  {{ from = {from}, to = {to} }},");
    }
    text.push_str("]\n");
    let module = |file: &String| file.strip_suffix(".py").map(str::to_owned);
    let has_main = |package: &&String| {
        let main = folder.join(below).join(package).join("__main__.py");
        main.is_file()
    };
    let at_top: Vec<String> = modules.iter().filter_map(module).collect();
    let started = STARTED
        .iter()
        .find(|name| at_top.iter().any(|one| one == *name));
    let started = started.map(|name| (*name).to_owned());
    let started = started.or_else(|| modules.iter().find(has_main).cloned());
    if let Some(started) = started {
        let started = quoted(&started);
        let _ = writeln!(
            text,
            "wrap.{} = {{ exec = [\"{{prefix}}/bin/python\", \"-m\", {started}] }}",
            quoted(name)
        );
    }
    text
}

/// Modules and packages in a folder, by their names there.
fn modules(folder: &Utf8Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let module = name.strip_suffix(".py").unwrap_or(name);
        let is_test = module.starts_with("test_") || module.ends_with("_test");
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file()) && module != name;
        let is_package = entry.path().join("__init__.py").is_file();
        if (is_file || is_package) && !is_test && !ASIDE.contains(&module) {
            found.push(name.to_owned());
        }
    }
    found.sort();
    found
}

/// The component that builds a web UI from the folder of its lock, `deps` being the one with its
/// `node_modules`; nothing where Vite does not build it.
pub(super) fn web(lock: &NpmLock, source: &str, deps: &str, name: &str) -> String {
    let config = lock
        .folder()
        .read_dir_utf8()
        .into_iter()
        .flatten()
        .flatten();
    let mut config = config.filter(|entry| entry.file_name().starts_with(VITE));
    let config = config.next().map(camino::Utf8DirEntry::into_path);
    let (Some(config), true) = (config, lock.entries.contains_key("node_modules/vite")) else {
        return String::new();
    };
    let out = out_dir(&foreign::text(config).unwrap_or_default());
    let from = quoted(source.trim_end_matches('/'));
    format!(
        "\n# What `vite build` makes of it. Commands see neither a network nor what is not named here.\n\
         [component.{name}]\ntools = [\"node\"]\nbase = \"{{component:{deps}}}\"\n\
         copy = [{{ from = {from}, to = \".\", exclude = [\"node_modules\", {out}] }}]\n\
         run = [{{ command = [\"node\", \"node_modules/vite/bin/vite.js\", \"build\"], env = {{ NODE_ENV = \"production\" }} }}]\n\
         keep = [{{ from = {out}, to = \".\" }}]\n",
        out = quoted(&out),
    )
}

/// `build.outDir` of Vite's settings, where it is a plain word there, or its default
/// (<https://vite.dev/config/build-options#build-outdir>).
fn out_dir(config: &str) -> String {
    let said = config
        .split_once("outDir")
        .map(|(_, rest)| rest.trim_start());
    let said = said
        .and_then(|rest| rest.strip_prefix(':'))
        .map(str::trim_start);
    let said = said.and_then(|rest| {
        let mark = rest
            .chars()
            .next()
            .filter(|mark| ['\'', '"', '`'].contains(mark))?;
        rest.split(mark).nth(1)
    });
    let is_inside = |path: &&str| !path.is_empty() && !path.contains("..") && !path.contains('$');
    said.map(|path| path.trim_start_matches("./"))
        .filter(is_inside)
        .filter(|path| !path.starts_with('/'))
        .unwrap_or("dist")
        .to_owned()
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vite_says_where_it_writes_or_does_not() {
        for (config, out) in [
            (
                "export default defineConfig({ plugins: [react()] })",
                "dist",
            ),
            ("build: { outDir: './build/web' }", "build/web"),
            ("build: { outDir: '../static' }", "dist"),
            ("build: { outDir: path.join(x) }", "dist"),
            ("build: { outDir: `${x}` }", "dist"),
        ] {
            assert_eq!(out_dir(config), out, "{config}");
        }
    }
}
