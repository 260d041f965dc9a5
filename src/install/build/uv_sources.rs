//! Where build requirements come from: what `[tool.uv.sources]` says of them, for a project in
//! another folder.
//!
//! As in uv (`uv-distribution/src/metadata/build_requires.rs` and `lowering.rs`): a project's own
//! table counts first, then that of its workspace's root; what is for an extra or a group is not for
//! a build; and a member of the workspace has to be named as one. Git checkouts and archives have
//! such tables, too. What cannot be said in another folder is an error: left out, an index would be
//! asked for the name, and whoever has it there would be believed.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use pep508_rs::PackageName;
use serde::Deserialize;
use toml::{Table, Value};

use crate::core::foreign;
use crate::core::paths::{normal, real, way};
use crate::decide::lock::uv::GitSource;

/// No pyproject.toml is longer, in bytes.
const LARGEST: u64 = 16 << 20;

/// An entry of `[tool.uv.sources]`, for a project in another folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceEntry {
    /// The entry.
    pub entry: Table,
    /// The `[[tool.uv.index]]` that it names.
    pub index: Option<Table>,
}

/// Whose files a pyproject.toml is among.
pub(super) enum Ground<'a> {
    /// The user's own.
    Machine,
    /// Those of a commit, checked out into this folder.
    Commit(Utf8PathBuf, &'a GitSource),
    /// Those of an archive, unpacked into this folder.
    Archive(Utf8PathBuf),
}

/// What a project and its workspace say.
pub(super) struct UvSources<'a> {
    ground: Ground<'a>,
    own: Pyproject,
    workspace: Option<Workspace>,
}

/// A workspace's root, and its members' folders.
struct Workspace {
    root: Pyproject,
    members: BTreeMap<PackageName, Utf8PathBuf>,
}

/// The parts of a pyproject.toml that matter here.
struct Pyproject {
    folder: Utf8PathBuf,
    name: Option<PackageName>,
    uv: Uv,
}

#[derive(Deserialize)]
struct Raw {
    project: Option<Project>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize)]
struct Project {
    name: Option<PackageName>,
}

#[derive(Deserialize, Default)]
struct Tool {
    #[serde(default)]
    uv: Uv,
}

#[derive(Deserialize, Default)]
struct Uv {
    #[serde(default)]
    sources: BTreeMap<PackageName, Entries>,
    #[serde(default)]
    index: Vec<Table>,
    workspace: Option<Members>,
    managed: Option<bool>,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entries {
    One(Table),
    Several(Vec<Table>),
}

impl Entries {
    fn list(&self) -> &[Table] {
        match self {
            Self::One(entry) => std::slice::from_ref(entry),
            Self::Several(entries) => entries,
        }
    }
}

impl<'a> UvSources<'a> {
    /// Reads the pyproject.toml of a folder, and finds its workspace.
    ///
    /// # Errors
    /// When it, or its workspace's, cannot be read.
    pub(super) fn read(folder: &Utf8Path, ground: Ground<'a>) -> Result<Self, String> {
        let folder = real(folder);
        let nothing = || Pyproject {
            folder: folder.clone(),
            name: None,
            uv: Uv::default(),
        };
        let own = Pyproject::read(&folder, &ground)?.unwrap_or_else(nothing);
        let workspace = Workspace::of(&folder, own.uv.workspace.is_some(), &ground)?;
        Ok(Self {
            ground,
            own,
            workspace,
        })
    }

    /// [`Self::of`], as it is said there itself.
    pub(super) fn at_home(&self, name: &PackageName) -> Result<Vec<SourceEntry>, String> {
        self.of(name, &self.own.folder)
    }

    /// Where a requirement comes from, said for a project in the folder `out`. Nothing: from an
    /// index.
    ///
    /// # Errors
    /// When that cannot be said there.
    pub(super) fn of(
        &self,
        name: &PackageName,
        out: &Utf8Path,
    ) -> Result<Vec<SourceEntry>, String> {
        let root = self.workspace.as_ref().map(|workspace| &workspace.root);
        let told = [Some(&self.own), root].into_iter().flatten();
        let told = told.filter_map(|by| Some((by, by.uv.sources.get(name)?.list())));
        let (by, entries) = told.into_iter().next().unwrap_or((&self.own, &[]));
        let is_ours = |entry: &&Table| !entry.contains_key("extra") && !entry.contains_key("group");
        let entries: Vec<SourceEntry> = entries
            .iter()
            .filter(is_ours)
            .map(|entry| self.carried(by, name, entry, out))
            .collect::<Result<_, _>>()?;
        let is_member = self.member(name).is_some() && self.own.name.as_ref() != Some(name);
        match entries.is_empty() && is_member {
            true => Err(format!(
                "its workspace has a member {name}, and no source says that it is meant: add \
                 `{name} = {{ workspace = true }}` to [tool.uv.sources] of {}/pyproject.toml",
                self.own.folder
            )),
            false => Ok(entries),
        }
    }

    fn member(&self, name: &PackageName) -> Option<&Utf8PathBuf> {
        self.workspace.as_ref()?.members.get(name)
    }

    /// One entry of `by`.
    fn carried(
        &self,
        by: &Pyproject,
        name: &PackageName,
        entry: &Table,
        out: &Utf8Path,
    ) -> Result<SourceEntry, String> {
        let (mut entry, mut index) = (entry.clone(), None);
        // What a build needs is built for it alone, never used in place.
        entry.remove("editable");
        if let Some(workspace) = entry.remove("workspace") {
            let member = match &workspace {
                Value::Boolean(true) => self.member(name).cloned(),
                Value::String(path) => {
                    let root = normal(&by.folder.join(path));
                    let other = Workspace::of(&root, true, &self.ground)?;
                    other.and_then(|mut other| other.members.remove(name))
                }
                _ => None,
            };
            let Some(folder) = member else {
                return Err(format!(
                    "its source is `workspace = {workspace}`, which has no member of that name"
                ));
            };
            entry.extend(self.local(&folder, out)?);
        } else if let Some(Value::String(path)) = entry.get("path").cloned() {
            if !(path.starts_with('/') && matches!(self.ground, Ground::Machine)) {
                entry.remove("path");
                entry.extend(self.local(&by.folder.join(path), out)?);
            }
        } else if let Some(Value::String(wanted)) = entry.get("index") {
            let root = self.workspace.as_ref().map(|workspace| &workspace.root);
            let mut all = [Some(&self.own), root].into_iter().flatten();
            let found = all.find_map(|by| {
                let is_it =
                    |index: &&Table| index.get("name").and_then(Value::as_str) == Some(wanted);
                Some((by, by.uv.index.iter().find(is_it)?))
            });
            let Some((by, found)) = found else {
                return Err(format!(
                    "its source is the index `{wanted}`, which no [[tool.uv.index]] defines"
                ));
            };
            index = Some(self.index(by, found, out)?);
        } else if !entry.contains_key("git") && !entry.contains_key("url") {
            return Err(format!("its source is of an unknown kind: {entry:?}"));
        }
        Ok(SourceEntry { entry, index })
    }

    /// An index for what names it, and for nothing else.
    fn index(&self, by: &Pyproject, index: &Table, out: &Utf8Path) -> Result<Table, String> {
        let mut index = index.clone();
        index.remove("default");
        index.insert("explicit".into(), Value::Boolean(true));
        if let Some(Value::String(url)) = index.get("url")
            && is_relative(url)
        {
            let folder = self.local(&by.folder.join(url), out)?.remove("path");
            let Some(folder) = folder else {
                return Err(format!(
                    "its source is an index in {url}, a folder of the repository that it comes \
                     from, which no lock can name"
                ));
            };
            index.insert("url".into(), folder);
        }
        Ok(index)
    }

    /// The keys that lead to a file or folder of the ground.
    fn local(&self, path: &Utf8Path, out: &Utf8Path) -> Result<Table, String> {
        let path = normal(path);
        let inside = |top: &Utf8Path| {
            let (path, top) = (real(&path), real(top));
            let inside = path.strip_prefix(top).map(Utf8Path::to_owned);
            inside.map_err(|_| "its source leads out of what it comes from".to_owned())
        };
        let mut keys = Table::new();
        let mut say = |key: &str, value: &str| keys.insert(key.into(), value.into());
        match &self.ground {
            Ground::Machine => {
                say("path", moved(&path, out).as_str());
            }
            Ground::Commit(top, git) => {
                let inside = inside(top)?;
                if !path.is_dir() {
                    return Err(format!(
                        "its source is {inside}, which is not a folder of the repository that \
                         it comes from"
                    ));
                }
                say("git", git.url.as_str());
                say("rev", &git.commit);
                if inside != "" {
                    say("subdirectory", inside.as_str());
                }
                if git.lfs {
                    keys.insert("lfs".into(), true.into());
                }
            }
            Ground::Archive(top) => {
                return Err(format!(
                    "its source is {} in the archive that it comes from, which no lock can name: \
                     build it from a folder or a repository",
                    inside(top)?
                ));
            }
        }
        Ok(keys)
    }
}

impl Workspace {
    /// The workspace that a folder is the root of, or a member.
    fn of(folder: &Utf8Path, is_root: bool, ground: &Ground<'_>) -> Result<Option<Self>, String> {
        let root = match is_root {
            true => Pyproject::read(folder, ground)?,
            false => root_above(folder, ground)?,
        };
        let Some((root, members)) = root.and_then(|mut root| {
            let members = root.uv.workspace.take()?;
            Some((root, members))
        }) else {
            return Ok(None);
        };
        let mut found = BTreeMap::new();
        let mut folders = vec![root.folder.clone()];
        for pattern in &members.members {
            let pattern = pattern_below(&root.folder, pattern);
            let paths = glob::glob(&pattern).map_err(|error| format!("{pattern}: {error}"))?;
            folders.extend(paths.filter_map(|path| Utf8PathBuf::try_from(path.ok()?).ok()));
        }
        for folder in folders {
            if matches_any(&folder, &root.folder, &members.exclude) || !ground.holds(&folder) {
                continue;
            }
            let Some(member) = Pyproject::read(&folder, ground)? else {
                continue;
            };
            if let Some(name) = member.name.filter(|_| member.uv.managed != Some(false)) {
                found.insert(name, member.folder);
            }
        }
        Ok(Some(Self {
            root,
            members: found,
        }))
    }
}

/// The root of the workspace that a folder is a member of, or would be with a pyproject.toml. A
/// project that is none and stands between them keeps them apart.
fn root_above(folder: &Utf8Path, ground: &Ground<'_>) -> Result<Option<Pyproject>, String> {
    for above in folder.ancestors().skip(1) {
        if !ground.holds(above) {
            break;
        }
        let Some(project) = Pyproject::read(above, ground)? else {
            continue;
        };
        let is_member = project.uv.workspace.as_ref().is_some_and(|workspace| {
            matches_any(folder, above, &workspace.members)
                && !matches_any(folder, above, &workspace.exclude)
        });
        return Ok(is_member.then_some(project));
    }
    Ok(None)
}

/// The folder of the workspace whose member a project in `folder` would be.
///
/// # Errors
/// When a pyproject.toml above it cannot be read.
pub fn workspace_around(folder: &Utf8Path) -> Result<Option<Utf8PathBuf>, String> {
    let root = root_above(&real(folder), &Ground::Machine)?;
    Ok(root.map(|root| root.folder))
}

impl Ground<'_> {
    /// Whether a path is part of it, its links followed.
    fn holds(&self, path: &Utf8Path) -> bool {
        match self {
            Ground::Machine => true,
            Ground::Commit(top, _) | Ground::Archive(top) => real(path).starts_with(real(top)),
        }
    }
}

impl Pyproject {
    /// Reads that of a folder, where there is one.
    fn read(folder: &Utf8Path, ground: &Ground<'_>) -> Result<Option<Self>, String> {
        let file = folder.join("pyproject.toml");
        if file.symlink_metadata().is_err() {
            return Ok(None);
        }
        let bytes = match ground {
            Ground::Machine => foreign::text(&file).map(String::into_bytes),
            Ground::Commit(..) | Ground::Archive(_) => foreign::read(&file, LARGEST),
        };
        let told = bytes.map_err(|error| error.to_string()).and_then(|bytes| {
            let raw: Raw = toml::from_slice(&bytes).map_err(|error| error.message().to_owned())?;
            Ok(raw)
        });
        let raw = told.map_err(|error| format!("{file} cannot be read: {error}"))?;
        Ok(Some(Self {
            folder: folder.to_owned(),
            name: raw.project.and_then(|project| project.name),
            uv: raw.tool.uv,
        }))
    }
}

fn pattern_below(root: &Utf8Path, pattern: &str) -> String {
    let root = glob::Pattern::escape(root.as_str());
    normal(&Utf8Path::new(&root).join(pattern)).into_string()
}

fn matches_any(folder: &Utf8Path, root: &Utf8Path, patterns: &[String]) -> bool {
    patterns.iter().any(|pattern| {
        let pattern = glob::Pattern::new(&pattern_below(root, pattern));
        pattern.is_ok_and(|pattern| pattern.matches(folder.as_str()))
    })
}

/// Whether what stands for a URL is a path, relative to the file that says it.
pub(super) fn is_relative(text: &str) -> bool {
    !text.starts_with('/') && url::Url::parse(text).is_err()
}

/// The way to a path from the folder `out`.
pub(super) fn moved(path: &Utf8Path, out: &Utf8Path) -> Utf8PathBuf {
    let way = way(out, &normal(path));
    match way.starts_with("..") {
        true => way,
        // So that it cannot be taken for a name.
        false => Utf8Path::new(".").join(way),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_builds_is_said_for_another_folder() {
        let temp = tempfile::tempdir().unwrap();
        let top = real(Utf8Path::from_path(temp.path()).unwrap());
        let put = |path: &str, text: &str| {
            let file = top.join(path).join("pyproject.toml");
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let project = |name: &str| format!("[project]\nname = '{name}'\nversion = '1'\n");
        put(
            "app",
            "[tool.uv.workspace]\nmembers = ['packages/*', '../aside']\nexclude = ['packages/out']\n\
             [tool.uv.sources]\nb = { git = 'https://forge.example/b', tag = 'v1' }\nd = { path = '/d' }\n",
        );
        put(
            "app/packages/a",
            &(project("a")
                + "[tool.uv.sources]\n\
                   b = [{ url = 'https://b.example/b.zip', extra = 'x' }, { path = '../b', marker = \"os_name == 'nt'\" }]\n\
                   C_c = { workspace = true, editable = true }\n\
                   e = { workspace = '../../../other' }\n\
                   f = { index = 'own', group = 'dev' }\n\
                   g = { path = '../../..' }\n"),
        );
        put("app/packages/out", &project("f"));
        put("aside", &project("c-c"));
        put("other", "[tool.uv.workspace]\nmembers = ['*']\n");
        put("other/e", &project("e"));
        let of = |folder: &str, name: &str| {
            let said = UvSources::read(&top.join(folder), Ground::Machine).unwrap();
            let said = said.of(&name.parse().unwrap(), &top.join("made"));
            let said = said.map(|all| all.into_iter().map(|said| Value::Table(said.entry)));
            said.map(|all| {
                all.map(|said| said.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            })
        };
        let of_a = |name: &str| of("app/packages/a", name).unwrap();
        assert_eq!(
            of_a("b"),
            "{ marker = \"os_name == 'nt'\", path = \"../app/packages/b\" }"
        );
        assert_eq!(of_a("c-c"), "{ path = \"../aside\" }");
        assert_eq!(of_a("d"), "{ path = \"/d\" }");
        assert_eq!(of_a("e"), "{ path = \"../other/e\" }");
        // What is excluded is no member, and what is for a group is not for a build.
        assert_eq!(of_a("f"), "");
        assert_eq!(of_a("g"), "{ path = \"..\" }");
        assert_eq!(of_a("setuptools"), "");
        assert_eq!(of("app/packages/out", "b").unwrap(), "");
        assert_eq!(
            of("aside", "b").unwrap(),
            "",
            "the root of a workspace is above its members"
        );
        assert!(
            of("app", "a")
                .unwrap_err()
                .contains("its workspace has a member a")
        );
        assert_eq!(
            workspace_around(&top.join("app/packages/new")).unwrap(),
            Some(top.join("app"))
        );
        assert_eq!(workspace_around(&top.join("app/made")).unwrap(), None);
    }
}
