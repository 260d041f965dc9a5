//! What is wanted of a `pylock.toml`: each package whose marker holds for the target, and for the extras
//! and dependency groups that are chosen (PEP 751, "Installing").

use pep508_rs::ExtraName;

use super::selection::{Dev, SelectError, Selection};
use crate::core::nearest::instead;
use crate::decide::lock::uv::{GroupName, Pylock, UvLock};
use crate::decide::target::PythonTarget;
use crate::decide::target::python::satisfies;

/// The packages, by their index.
///
/// # Errors
/// When a flag asks what such a lock does not say, or names what is not there, or a package is for
/// another Python.
pub(super) fn choose(
    lock: &UvLock,
    pylock: &Pylock,
    target: &PythonTarget,
    selection: &Selection,
) -> Result<Vec<usize>, SelectError> {
    let (extras, groups) = asked(lock, pylock, selection)?;
    let python = &target.markers.python_full_version().version;
    let mut chosen = Vec::new();
    for (index, package) in lock.packages.iter().enumerate() {
        let markers = &package.resolution_markers;
        let holds =
            (markers.iter()).all(|marker| marker.holds(Some(&target.markers), &extras, &groups));
        if !holds {
            continue;
        }
        let wanted = pylock.requires_python.get(&index);
        if let Some(wanted) = wanted.filter(|wanted| !satisfies(wanted, python)) {
            return Err(SelectError::PackagePython {
                lock: lock.file.clone(),
                name: package.name.clone(),
                wanted: wanted.to_string(),
                target: target.to_string(),
            });
        }
        chosen.push(index);
    }
    Ok(chosen)
}

/// The extras and groups that are chosen.
///
/// # Errors
/// When a flag asks what such a lock does not say, or names what is not there.
pub(super) fn asked(
    lock: &UvLock,
    pylock: &Pylock,
    selection: &Selection,
) -> Result<(Vec<ExtraName>, Vec<GroupName>), SelectError> {
    refuse(lock, selection)?;
    let extras = extras(lock, pylock, selection)?;
    let groups = groups(lock, pylock, selection)?;
    Ok((extras, groups))
}

/// Which package belongs to which project, and which a group brings alone, such a lock does not say.
fn refuse(lock: &UvLock, selection: &Selection) -> Result<(), SelectError> {
    let asked = [
        (!selection.packages.is_empty(), "--package"),
        (selection.all_packages, "--all-packages"),
        (!selection.only_groups.is_empty(), "--only-group"),
        (selection.dev == Some(Dev::Only), "--only-dev"),
        (selection.no_install_workspace, "--no-install-workspace"),
        (selection.only_install_workspace, "--only-install-workspace"),
    ];
    // Folders are told from all else, members from other folders are not.
    match asked.into_iter().find(|(is_asked, _)| *is_asked) {
        Some((_, flag)) => Err(SelectError::Flag {
            lock: lock.file.clone(),
            flag,
            remedy: match flag {
                "--no-install-workspace" => "say --no-install-local",
                "--only-install-workspace" => "say --only-install-local",
                _ => "leave it out",
            },
        }),
        None => Ok(()),
    }
}

fn extras(
    lock: &UvLock,
    pylock: &Pylock,
    selection: &Selection,
) -> Result<Vec<ExtraName>, SelectError> {
    for name in selection.extras.iter().chain(&selection.no_extras) {
        if !pylock.extras.contains(name) {
            return Err(SelectError::NoExtra {
                name: name.clone(),
                project: lock.file.to_string(),
                hint: instead(name, &pylock.extras),
            });
        }
    }
    let all = pylock.extras.iter().filter(|name| {
        !selection.no_extras.contains(name)
            && (selection.all_extras || selection.extras.contains(name))
    });
    Ok(all.cloned().collect())
}

fn groups(
    lock: &UvLock,
    pylock: &Pylock,
    selection: &Selection,
) -> Result<Vec<GroupName>, SelectError> {
    let mut known = pylock.groups.clone();
    known.extend(pylock.default_groups.iter().cloned());
    known.sort_unstable();
    known.dedup();
    for name in selection.groups.iter().chain(&selection.no_groups) {
        if !known.contains(name) {
            return Err(SelectError::NoGroup {
                name: name.clone(),
                project: lock.file.to_string(),
                hint: instead(name, &known),
            });
        }
    }
    // What is named stands in the place of the defaults, as in `uv pip sync` and `packaging`.
    let has_defaults = selection.groups.is_empty() && !selection.no_default_groups;
    known.retain(|name| {
        let dev = selection.dev.filter(|_| name.as_ref() == "dev");
        let is_default = has_defaults && pylock.default_groups.contains(name);
        let is_named = selection.groups.contains(name) || dev == Some(Dev::Include);
        !selection.no_groups.contains(name)
            && dev != Some(Dev::Exclude)
            && (selection.all_groups || is_named || is_default)
    });
    Ok(known)
}
