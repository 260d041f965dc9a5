//! What a file in a tree is that no record lists.

use std::collections::BTreeSet;
use std::path::Path;

use super::Found;
use crate::files::tree::{CACHES, module_of_bytecode};

/// What is known of it.
pub(super) enum Known {
    /// Bytecode beside its source.
    Bytecode,
    /// In a folder that a tool keeps its cache in.
    Cache,
    /// What makes the tree an environment, or our own record.
    Own,
}

/// What something is that nothing speaks of. `whole`: a provenance record speaks of everything else.
pub(super) fn known(path: &Path, found: &Found<'_>, whole: bool) -> Option<Known> {
    let parts: BTreeSet<&str> = path.iter().filter_map(std::ffi::OsStr::to_str).collect();
    if path.starts_with(".lockwright") {
        return Some(Known::Own);
    }
    if CACHES.iter().any(|name| parts.contains(name)) {
        return Some(Known::Cache);
    }
    if path.extension().is_some_and(|extension| extension == "pyc") {
        return has_source(path, found).then_some(Known::Bytecode);
    }
    (!whole && is_environment(path)).then_some(Known::Own)
}

fn has_source(pyc: &Path, found: &Found<'_>) -> bool {
    let source = || {
        let cache = pyc
            .parent()
            .filter(|folder| folder.ends_with("__pycache__"))?;
        let module = module_of_bytecode(pyc.file_name()?.to_str()?)?;
        Some(cache.parent()?.join(format!("{module}.py")))
    };
    source().is_some_and(|source| found.contains_key(source.as_os_str()))
}

/// What makes a folder an environment, whoever made it: no RECORD speaks of it.
fn is_environment(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let folder = path.parent().and_then(Path::to_str).unwrap_or_default();
    match folder {
        "" => matches!(
            name,
            "pyvenv.cfg" | ".gitignore" | ".lock" | "CACHEDIR.TAG" | "lib64" | ".package-lock.json"
        ),
        "bin" => {
            name.starts_with("activate")
                || name.starts_with("python")
                || matches!(name, "Activate.ps1" | "deactivate.bat" | "pydoc.bat")
        }
        "node_modules" if name == ".package-lock.json" => true,
        folder => {
            folder == ".bin"
                || folder.ends_with("node_modules/.bin")
                || folder.ends_with("site-packages") && name.starts_with("_virtualenv")
        }
    }
}
