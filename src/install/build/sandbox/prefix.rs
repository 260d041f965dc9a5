//! What a command may read of the folder that its interpreter lies in.

use camino::{Utf8Path, Utf8PathBuf};

use crate::files::tree::holds_a_home;

/// What an interpreter has in the folders of its prefix, by how it begins.
const OF_INTERPRETERS: [(&str, &[&str]); 4] = [
    ("bin", &["python", "pypy", "node", "npm", "npx", "corepack"]),
    (
        "lib",
        &["python", "pypy", "libpython", "libpypy", "node_modules"],
    ),
    ("lib64", &["python", "pypy", "libpython", "libpypy"]),
    ("include", &["python", "pypy", "node"]),
];

/// The same, but of a folder that is a home, or has one in it, the interpreter's own files alone: whoever installs
/// Python or Node with their home as prefix keeps their keys there as well.
pub(super) fn without_homes(readable: &[Utf8PathBuf]) -> Vec<Utf8PathBuf> {
    let narrowed = readable.iter().flat_map(|path| {
        if holds_a_home(path) {
            let inner = OF_INTERPRETERS.iter();
            return inner
                .flat_map(|(folder, begins)| own(&path.join(folder), begins))
                .collect();
        }
        let of_home = path.parent().is_some_and(holds_a_home);
        let folder = OF_INTERPRETERS
            .iter()
            .find(|(folder, _)| path.file_name() == Some(folder));
        match folder.filter(|_| of_home) {
            Some((_, begins)) => own(path, begins),
            None => vec![path.clone()],
        }
    });
    narrowed.collect()
}

/// What is in a folder and begins as an interpreter's own does.
fn own(folder: &Utf8Path, begins: &[&str]) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let is_own = |name: &str| begins.iter().any(|begin| name.starts_with(begin));
    let own = entries.filter(|entry| is_own(entry.file_name()));
    let mut own: Vec<Utf8PathBuf> = own.map(|entry| entry.path().to_owned()).collect();
    own.sort();
    own
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_home_is_not_shown_for_the_interpreter_in_it() {
        let all =
            ["/root", "/", "/opt/python", "/root/bin", "/root/.pyenv/bin"].map(Utf8PathBuf::from);
        let shown = without_homes(&all);
        for path in ["/opt/python", "/root/.pyenv/bin"] {
            assert!(shown.contains(&path.into()), "{path}: {shown:?}");
        }
        for path in ["/root", "/", "/root/bin"] {
            assert!(!shown.contains(&path.into()), "{path}: {shown:?}");
        }
    }

    #[test]
    fn an_interpreters_own_files_are_told_by_their_names() {
        let held = tempfile::tempdir().unwrap();
        let folder = Utf8Path::from_path(held.path()).unwrap();
        for name in ["python3.14", "python3", "id_ed25519", "notes"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let own = own(folder, &["python"]);
        assert_eq!(own, [folder.join("python3"), folder.join("python3.14")]);
    }
}
