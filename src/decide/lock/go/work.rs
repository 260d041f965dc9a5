//! `go.work` (<https://go.dev/ref/mod#workspaces>): several modules that are built together. Each has a go.sum
//! of its own; what none of them names stands in the go.work.sum.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};

use super::{GO_MOD, GoLock, Modules, Text, read_sum};
use crate::core::foreign;
use crate::core::paths::normal;
use crate::decide::lock::LockError;

/// What it is called.
pub const NAME: &str = "go.work";

/// What the go command adds beside it.
const SUM: &str = "go.work.sum";

/// Reads a go.work, and the go.mod and go.sum of each module that it uses. A module that requires nothing has
/// no go.sum.
///
/// # Errors
/// When one cannot be read or is none, a module lies outside of the workspace's folder, or requires what no
/// go.sum names.
pub fn load(file: &Utf8Path) -> Result<GoLock, LockError> {
    let top = file.parent().unwrap_or(Utf8Path::new("."));
    let text = read(top, Utf8Path::new(NAME))?;
    let work = Text::new(file, &text);
    let mut modules = Modules::new();
    let mut files = vec![file.to_owned()];
    let mut go_mods: Vec<(Utf8PathBuf, String)> = Vec::new();
    let mut sums = vec![Utf8PathBuf::from(SUM)];
    for one in work.directives.iter().filter(|one| one.verb == "use") {
        let [folder] = one.words.as_slice() else {
            return Err(work.refuse(one, "a workspace uses a folder".to_owned()));
        };
        let folder = Utf8Path::new(folder);
        let climbs = folder.components().any(|part| part.as_str() == "..");
        if folder.is_absolute() || climbs {
            let folder = foreign::shown(folder.as_str());
            let message = format!(
                "{folder} is not in the folder of the go.work: only what is below it goes into a component"
            );
            return Err(work.refuse(one, message));
        }
        let folder = normal(folder);
        let path = folder.join(GO_MOD);
        go_mods.push((top.join(&path), read(top, &path)?));
        sums.push(folder.join("go.sum"));
    }
    files.extend(go_mods.iter().map(|(file, _)| file.clone()));
    for path in sums {
        let sum = top.join(&path);
        if sum.symlink_metadata().is_ok() {
            read_sum(&sum, &read(top, &path)?, &mut modules)?;
            files.push(sum);
        }
    }
    let go_mods: Vec<Text<'_>> = go_mods
        .iter()
        .map(|(file, text)| Text::new(file, text))
        .collect();
    let own: BTreeSet<&str> = go_mods.iter().filter_map(Text::name).collect();
    let lock = GoLock {
        file: file.to_owned(),
        files,
        name: own.first().map_or("main", |name| name).to_owned(),
        modules,
    };
    for go_mod in &go_mods {
        lock.check(go_mod, &work.directives, &own)?;
    }
    Ok(lock)
}

/// A text in the workspace's folder, out of which no link leads.
fn read(top: &Utf8Path, path: &Utf8Path) -> Result<String, LockError> {
    let bytes = foreign::read_inside(top, path, foreign::TEXT);
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
    text.map_err(|source| LockError::Read {
        file: top.join(path),
        source,
    })
}
