//! What a wheel has of its project's folder, where that is not used in place: modules and what lies
//! among them, as each back end picks it by its defaults. What two readers could pick differently – a
//! link, a hidden file, one that a `.gitignore` may mean – is for a build to tell.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FileType;

use super::Backend;
use crate::core::foreign;

/// How much is picked, in bytes, and how many files.
const LARGEST: (u64, usize) = (64 << 20, 10_000);

/// A folder that becomes part of a wheel.
pub(super) struct Module {
    /// Below the project's folder.
    pub(super) from: String,
    /// In the wheel.
    pub(super) to: String,
}

/// The files of the modules, by their paths in the wheel.
pub(super) fn pick(
    backend: Backend,
    own: &Utf8Path,
    modules: &[Module],
) -> Option<BTreeMap<String, Vec<u8>>> {
    let folder = foreign::Folder::open(own).ok()?;
    let ignored = match backend {
        Backend::Hatchling | Backend::Poetry => Ignored::around(own)?,
        Backend::Flit | Backend::Setuptools | Backend::Uv => Ignored::default(),
    };
    let mut picker = Picker {
        backend,
        own,
        ignored,
        files: BTreeMap::new(),
        size: 0,
    };
    for Module { from, to } in modules {
        let inside = folder.folder(from).ok()?;
        picker.folder(&inside, Utf8Path::new(from), Utf8Path::new(to))?;
    }
    Some(picker.files)
}

struct Picker<'a> {
    backend: Backend,
    own: &'a Utf8Path,
    ignored: Ignored,
    files: BTreeMap<String, Vec<u8>>,
    size: u64,
}

impl Picker<'_> {
    fn folder(&mut self, folder: &foreign::Folder, from: &Utf8Path, to: &Utf8Path) -> Option<()> {
        for entry in folder.entries().ok()? {
            let name = entry.name.to_str()?;
            let is_bytecode = name.ends_with(".pyc") || name.ends_with(".pyo");
            if name == "__pycache__" || is_bytecode {
                continue;
            }
            // The list of what setuptools built is nobody's module.
            if self.backend == Backend::Setuptools && name.ends_with(".egg-info") {
                continue;
            }
            let (from, to) = (from.join(name), to.join(name));
            if name.starts_with('.') || self.ignored.may_be(&self.own.join(&from)) {
                return None;
            }
            match entry.kind {
                FileType::Directory => self.folder(&folder.folder(name).ok()?, &from, &to)?,
                FileType::RegularFile => {
                    let is_code = to.extension() == Some("py");
                    let is_known = self.backend != Backend::Setuptools || is_code;
                    let is_native = matches!(to.extension(), Some("so" | "pyd" | "dll" | "dylib"));
                    self.size += entry.size;
                    let is_small = self.size <= LARGEST.0 && self.files.len() < LARGEST.1;
                    if !is_known || is_native || entry.mode & 0o111 != 0 || !is_small {
                        return None;
                    }
                    let bytes = folder.read(name, entry.size).ok()?;
                    self.files.insert(to.into_string(), bytes);
                }
                _ => return None,
            }
        }
        Some(())
    }
}

/// What version control is told to leave alone, from the folder up to its repository's top.
#[derive(Default)]
struct Ignored(Vec<(Utf8PathBuf, glob::Pattern)>);

impl Ignored {
    /// `None` where that cannot be told.
    fn around(own: &Utf8Path) -> Option<Self> {
        let mut all = Vec::new();
        for folder in own.ancestors() {
            if folder.join(".hgignore").exists() {
                return None;
            }
            let files = [folder.join(".gitignore"), folder.join(".git/info/exclude")];
            for file in files.iter().filter(|file| file.symlink_metadata().is_ok()) {
                let text = String::from_utf8(foreign::read(file, foreign::TEXT).ok()?).ok()?;
                for line in text.lines() {
                    let line = line.trim().trim_end_matches('/').trim_end_matches("/**");
                    // A path is meant where its last part is; what is taken back is not looked at.
                    let last = line.rsplit('/').next().unwrap_or(line);
                    if line.is_empty() || line.starts_with(['#', '!']) {
                        continue;
                    }
                    let pattern = glob::Pattern::new(&last.replace("[^", "[!")).ok()?;
                    all.push((folder.to_owned(), pattern));
                }
            }
            if folder.join(".git").exists() {
                break;
            }
        }
        Some(Self(all))
    }

    /// Whether a path may be meant: not one that no part of is.
    fn may_be(&self, path: &Utf8Path) -> bool {
        self.0.iter().any(|(folder, pattern)| {
            let below = path.strip_prefix(folder);
            below.is_ok_and(|below| below.iter().any(|part| pattern.matches(part)))
        })
    }
}
