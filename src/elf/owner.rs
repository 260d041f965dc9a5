//! Which package a file came from, by the RECORD of the wheels in its tree (see "Recording
//! installed projects" of the packaging specifications). Read only when someone asks.

use std::collections::HashMap;

use camino::{Utf8Path, Utf8PathBuf};

use super::paths::normal;

/// Owners of files, read from the `.dist-info` folders above them.
#[derive(Debug, Default)]
pub(super) struct Owners {
    /// By folder: the files that the RECORDs in it name, and whose they are.
    by_folder: HashMap<Utf8PathBuf, HashMap<Utf8PathBuf, String>>,
}

impl Owners {
    /// The package a file came from, as `numpy 2.2.6`.
    pub(super) fn of(&mut self, path: &Utf8Path) -> Option<String> {
        path.ancestors().skip(1).find_map(|folder| {
            let records = self
                .by_folder
                .entry(folder.to_owned())
                .or_insert_with(|| read_records(folder));
            records.get(path).cloned()
        })
    }
}

/// What the RECORDs say that lie in a folder, or in the site-packages of an environment there: they
/// also name its scripts. What cannot be read names nobody.
fn read_records(folder: &Utf8Path) -> HashMap<Utf8PathBuf, String> {
    let mut owners = HashMap::new();
    let lib = folder.join("lib");
    let pythons = lib.read_dir_utf8().into_iter().flatten().flatten();
    let environments = pythons
        .filter(|entry| entry.file_name().starts_with("python"))
        .map(|entry| entry.path().join("site-packages"));
    for site in std::iter::once(folder.to_owned()).chain(environments) {
        for entry in site.read_dir_utf8().into_iter().flatten().flatten() {
            let Some(distribution) = entry.file_name().strip_suffix(".dist-info") else {
                continue;
            };
            let Ok(record) = std::fs::read_to_string(entry.path().join("RECORD")) else {
                continue;
            };
            let owner = distribution.replacen('-', " ", 1);
            for line in record.lines() {
                owners.insert(normal(&site.join(first_field(line))), owner.clone());
            }
        }
    }
    owners
}

/// The first field of a line of comma-separated values.
fn first_field(line: &str) -> String {
    let Some(quoted) = line.strip_prefix('"') else {
        return line.split(',').next().unwrap_or_default().to_owned();
    };
    let mut field = String::new();
    let mut rest = quoted;
    while let Some((part, after)) = rest.split_once('"') {
        field.push_str(part);
        let Some(more) = after.strip_prefix('"') else {
            break;
        };
        field.push('"');
        rest = more;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_owned_by_whose_record_names_them() {
        let folder = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(folder.path()).unwrap();
        let site = root.join("lib/python3.14/site-packages");
        let info = site.join("a_package-1.0.dist-info");
        std::fs::create_dir_all(&info).unwrap();
        let record = "pkg/x.so,sha256=abc,1\n\"pkg/a,\"\"b\"\".so\",,\n../../../bin/tool,,\n";
        std::fs::write(info.join("RECORD"), record).unwrap();
        let mut owners = Owners::default();
        let owner = Some("a_package 1.0".to_owned());
        assert_eq!(owners.of(&site.join("pkg/x.so")), owner);
        assert_eq!(owners.of(&site.join("pkg/a,\"b\".so")), owner);
        assert_eq!(owners.of(&site.join("pkg/y.so")), None);
        assert_eq!(owners.of(&root.join("bin/tool")), owner);
    }
}
