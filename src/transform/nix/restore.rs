//! Undoes the fixed-output form, for an interpreter: `bin`, entry points, kept scripts, and
//! `pyvenv.cfg`, which comes last, so that a restoring that was interrupted can be done again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use camino::Utf8Path;

use super::seal::{self, KEPT, PLACEHOLDER, SealError};
use crate::core::foreign;
use crate::core::io_error::{IoError, cannot};
use crate::core::walk::Node;
use crate::install::python::Layout;
use crate::install::python::installed::{self, Line};
use crate::install::python::scripts::shebang;
use crate::install::python::venv::{self, Venv};

/// What was restored.
#[derive(Debug)]
pub struct Restored {
    /// The scripts that were made, by name.
    pub scripts: Vec<String>,
    /// The paths, from the root, of what was changed, made or removed, be it a folder with all in it.
    pub touched: Vec<PathBuf>,
}

/// Restores the environment at `root`, in which is what `tree` says. `python` is the interpreter, as it is found where
/// the environment will live, and `prefix` is that place.
///
/// # Errors
/// When the tree is not sealed, or something in it cannot be changed.
pub fn restore(
    root: &Path,
    tree: &Node,
    python: &Utf8Path,
    prefix: &Utf8Path,
) -> Result<Restored, SealError> {
    let config = root.join("pyvenv.cfg");
    let text = foreign::read(&config, foreign::TEXT).and_then(foreign::utf8);
    let text = text.map_err(|_| SealError::NoEnvironment(root.to_owned()))?;
    if !text.contains(PLACEHOLDER) {
        return Err(SealError::NotSealed(root.to_owned()));
    }
    let wrong = || SealError::Interpreter(python.to_string());
    let home = python
        .parent()
        .filter(|_| python.is_absolute())
        .ok_or_else(wrong)?;
    seal::writable(root, tree)?;
    let records = installed::records(tree);
    let layout = layout(prefix, &text, &records);
    let bin = root.join("bin");
    seal::remove(&bin)?;
    fs::create_dir(&bin).map_err(cannot("make the folder", &bin))?;
    interpreter(&bin, python, &text)?;
    let venv = Venv {
        interpreter: python.to_owned(),
        version: seal::value(&text, "version_info")
            .unwrap_or_default()
            .to_owned(),
        prompt: seal::value(&text, "prompt").map(str::to_owned),
        system_site_packages: false,
    };
    for (name, text) in venv::activation(&layout, &venv) {
        write(&bin.join(name), text.as_bytes(), 0o644)?;
    }

    let first_lines = shebang(&layout);
    let mut made: BTreeSet<String> = BTreeSet::new();
    let mut more: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for record in &records {
        let mut put = |name: &str, bytes: &[u8]| -> Result<(), SealError> {
            write(&bin.join(name), bytes, 0o755)?;
            more.entry(record.clone())
                .or_default()
                .push(Path::new("bin").join(name));
            made.insert(name.to_owned());
            Ok(())
        };
        let launchers = installed::launchers(root, record, &layout)
            .map_err(|(path, line)| SealError::EntryPoint { path, line })?;
        for (name, text) in launchers {
            put(&name, text.as_bytes())?;
        }
        for script in installed::recorded(root, record)? {
            let (Ok(name), from) = (script.strip_prefix(KEPT), root.join(&script)) else {
                continue;
            };
            let Some(name) = name
                .to_str()
                .filter(|name| !name.contains('/') && !name.is_empty())
            else {
                continue;
            };
            let bytes = foreign::read(&from, foreign::WHOLE).map_err(cannot("read", &from))?;
            let first = [b"#!", PLACEHOLDER.as_bytes()].concat();
            let bytes = match bytes.strip_prefix(first.as_slice()) {
                Some(rest) => {
                    [first_lines.as_bytes(), without_options(&first_lines, rest)].concat()
                }
                None => bytes,
            };
            put(name, &bytes)?;
        }
    }
    let decide = |path: &Path| {
        if path.starts_with(KEPT) {
            Line::Drop
        } else {
            Line::Keep
        }
    };
    let mut touched = installed::update(root, &records, decide, &more)?;
    seal::remove(&root.join(KEPT))?;
    touched.extend(["bin", "pyvenv.cfg", KEPT].map(PathBuf::from));
    for folder in ["share/lockwright", "share"] {
        // Only where nothing else is in it.
        if fs::remove_dir(root.join(folder)).is_ok() {
            touched.push(folder.into());
        }
    }
    let base = home.as_str().strip_suffix("/bin").unwrap_or(home.as_str());
    let restored = text
        .replace(&format!("{PLACEHOLDER}/bin"), home.as_str())
        .replace(PLACEHOLDER, base);
    seal::replace(&config, restored.as_bytes())?;
    Ok(Restored {
        scripts: made.into_iter().collect(),
        touched,
    })
}

/// What follows a script's interpreter; its options cannot follow one that `/bin/sh` hands over to.
fn without_options<'a>(first_lines: &str, rest: &'a [u8]) -> &'a [u8] {
    let end = rest.iter().position(|&byte| byte == b'\n');
    match end {
        Some(end) if first_lines.contains('\n') => rest.get(end..).unwrap_or_default(),
        _ => rest,
    }
}

/// The environment's layout, from where its packages are.
fn layout(prefix: &Utf8Path, config: &str, records: &[PathBuf]) -> Layout {
    let site = records
        .first()
        .and_then(|record| Utf8Path::from_path(record.parent()?.parent()?))
        .map_or_else(|| String::from("lib"), ToString::to_string);
    Layout {
        prefix: prefix.to_owned(),
        site,
        scripts: "bin".into(),
        headers: "include/site".into(),
        relocatable: seal::value(config, "relocatable") == Some("true"),
        windows: None,
    }
}

/// Links: `python` to the interpreter, `python3` and `python3.14` to `python`.
fn interpreter(bin: &Path, python: &Utf8Path, config: &str) -> Result<(), IoError> {
    let link = |name: &str, to: &str| {
        let place = bin.join(name);
        symlink(to, &place).map_err(cannot("make the link", &place))
    };
    link("python", python.as_str())?;
    link("python3", "python")?;
    let version = seal::value(config, "version_info").or_else(|| seal::value(config, "version"));
    if let Some((major, rest)) = version.and_then(|version| version.split_once('.')) {
        let minor = rest.split('.').next().unwrap_or(rest);
        link(&format!("python{major}.{minor}"), "python")?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), IoError> {
    fs::write(path, bytes)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(cannot("write", path))
}
