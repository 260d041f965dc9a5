//! Paths as text.

use camino::{Utf8Component, Utf8Path, Utf8PathBuf};

/// The path without `.` and `..`, as far as the text alone tells.
pub fn normal(path: &Utf8Path) -> Utf8PathBuf {
    let mut out = Utf8PathBuf::new();
    for component in path.components() {
        match component {
            Utf8Component::CurDir => {}
            Utf8Component::ParentDir => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

/// The path with its links followed as far as it is there.
pub fn real(path: &Utf8Path) -> Utf8PathBuf {
    let path = normal(path);
    let there = path.ancestors().find_map(|folder| {
        let real = folder.canonicalize_utf8().ok()?;
        Some(real.join(path.strip_prefix(folder).ok()?))
    });
    // What ends in nothing would end in a slash.
    there.map_or(path, |there| normal(&there))
}

/// The way from a folder to a path; empty from a folder to itself. Both begin at the same place.
pub fn way(from: &Utf8Path, to: &Utf8Path) -> Utf8PathBuf {
    let common = from.components().zip(to.components());
    let common = common.take_while(|(one, other)| one == other).count();
    let up = from.components().skip(common).map(|_| "..");
    let down = to.components().skip(common);
    up.chain(down.map(|part| part.as_str())).collect()
}
