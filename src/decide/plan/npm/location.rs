//! Places in the tree, as a lock writes them: `packages/a/node_modules/@b/c`.

use crate::decide::lock::npm::name_of;

/// Whether a place is one in a `node_modules`.
pub(super) fn is_package(location: &str) -> bool {
    let name = name_of(location).unwrap_or_default();
    location
        .strip_suffix(name)
        .is_some_and(|modules| modules == "node_modules/" || modules.ends_with("/node_modules/"))
}

/// Whether a place is the project's, a workspace's or another folder's own.
pub(super) fn is_top(location: &str) -> bool {
    !is_package(location)
}

/// Whether a place is in the project's own `node_modules`.
pub(super) fn is_direct(location: &str) -> bool {
    is_package(location) && above(location).is_empty()
}

/// The place that has the `node_modules` a package is in, or the folder that a folder is in.
pub(super) fn above(location: &str) -> &str {
    if is_package(location) {
        let name = name_of(location).unwrap_or_default();
        let modules = location.strip_suffix(name).unwrap_or_default();
        let base = modules.strip_suffix("node_modules/").unwrap_or_default();
        base.trim_end_matches('/')
    } else {
        location.rsplit_once('/').map_or("", |(above, _)| above)
    }
}

/// How many `node_modules` a package is in.
pub(super) fn depth(location: &str) -> usize {
    location
        .split('/')
        .filter(|part| *part == "node_modules")
        .count()
}
