//! What a folder's build reads from around it: files of its workspace that it names, and what version
//! control has to say of it.
//!
//! A build is shown its own folder. What it names beside that in the files that say how it is built
//! (`../../VERSION`, `readme = "../../README.md"`), as long as it lies in the workspace, is shown too,
//! and its digest counts for the wheel. Where something is named that asks version control for a
//! version or for files, a repository is shown of what it asks for.

use std::collections::BTreeMap;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use serde_json::{Value, json};

use super::folder;
use crate::core::digest::Digest;
use crate::core::foreign;
use crate::core::paths::normal;
use crate::obtain::source::checkout::Checkout;

/// Files in which a project says how it is built.
const FILES: [&str; 4] = ["pyproject.toml", "setup.py", "setup.cfg", "hatch_build.py"];

/// Words of those that ask version control: setuptools-scm, flit-scm and pdm-backend; hatch-vcs;
/// versioningit; poetry's and uv's dynamic versioning; pbr; versioneer; setuptools-git-versioning.
const ASKING: [&str; 8] = [
    "scm",
    "vcs",
    "versioningit",
    "dynamic-versioning",
    "dynamic_versioning",
    "pbr",
    "versioneer",
    "git-versioning",
];

/// What is around a folder.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Files and folders beside it, with digests of what they are.
    pub(super) beside: BTreeMap<Utf8PathBuf, Digest>,
    /// Its commit.
    pub(super) checkout: Option<Checkout>,
    /// What `cache-keys` of `[tool.uv]` come to.
    keys: Vec<String>,
}

#[derive(Deserialize, Default)]
struct Pyproject {
    #[serde(default)]
    tool: Tool,
}

#[derive(Deserialize, Default)]
struct Tool {
    #[serde(default)]
    uv: Uv,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Uv {
    #[serde(default)]
    cache_keys: Vec<CacheKey>,
}

/// An entry of `cache-keys` (<https://docs.astral.sh/uv/reference/settings/#cache-keys>).
#[derive(Deserialize)]
#[serde(untagged)]
enum CacheKey {
    Path(String),
    File { file: String },
    Dir { dir: String },
    Env { env: String },
    Git { git: Git },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Git {
    Yes(bool),
    Parts {
        #[serde(default)]
        commit: bool,
        #[serde(default)]
        tags: bool,
    },
}

impl Surroundings {
    /// What is around a folder of a workspace.
    ///
    /// # Errors
    /// When something that is named is there and cannot be read.
    pub(super) fn of(own: &Utf8Path, root: &Utf8Path) -> io::Result<Self> {
        let texts = FILES.iter().filter_map(|name| {
            let bytes = foreign::read_inside("/", own.join(name), foreign::TEXT).ok()?;
            String::from_utf8(bytes).ok()
        });
        let texts: Vec<String> = texts.collect();
        let mut beside = BTreeMap::new();
        for path in texts.iter().flat_map(|text| leading_out(text)) {
            let path = normal(&own.join(path));
            let is_inside = path.starts_with(root) && !own.starts_with(&path);
            if is_inside && !path.starts_with(own) && real_is_inside(&path, root) {
                beside.insert(path.clone(), folder::digest_of(&path)?);
            }
        }
        let asks = |text: &String| ASKING.iter().any(|word| text.contains(word));
        let mut around = Self {
            beside,
            checkout: match texts.iter().any(asks) {
                true => Checkout::of(own),
                false => None,
            },
            keys: Vec::new(),
        };
        let pyproject = FILES.first().and_then(|name| {
            let bytes = foreign::read_inside("/", own.join(name), foreign::TEXT).ok()?;
            toml::from_slice::<Pyproject>(&bytes).ok()
        });
        for key in pyproject.unwrap_or_default().tool.uv.cache_keys {
            around.keys.push(around.key(&key, own)?);
        }
        Ok(around)
    }

    /// What a cache key comes to by now.
    fn key(&self, key: &CacheKey, own: &Utf8Path) -> io::Result<String> {
        Ok(match key {
            CacheKey::Path(pattern) | CacheKey::File { file: pattern } => {
                let all = format!("{}/{pattern}", glob::Pattern::escape(own.as_str()));
                let mut found = Vec::new();
                for path in glob::glob(&all).into_iter().flatten().flatten() {
                    let path = Utf8PathBuf::try_from(path).map_err(io::Error::other)?;
                    if path.symlink_metadata()?.is_file() {
                        found.push(format!("{path} {}", folder::digest_of(&path)?));
                    }
                }
                format!("{pattern} {}", found.join(" "))
            }
            CacheKey::Dir { dir } => format!("{dir} {}", own.join(dir).is_dir()),
            CacheKey::Env { env } => format!("{env} {:?}", std::env::var_os(env)),
            CacheKey::Git { git } => {
                let (commit, tags) = match git {
                    Git::Yes(yes) => (*yes, false),
                    Git::Parts { commit, tags } => (*commit, *tags),
                };
                let known = self.checkout.clone().or_else(|| Checkout::of(own));
                let commit = known.as_ref().filter(|_| commit).map(Checkout::commit);
                let tags = known.as_ref().filter(|_| tags).map(Checkout::id);
                format!("git {commit:?} {tags:?}")
            }
        })
    }

    /// What of it shapes a wheel; nothing where nothing is around.
    pub(super) fn id(&self) -> Option<Value> {
        let checkout = self.checkout.as_ref().map(Checkout::id);
        let beside: Vec<String> = self.beside.values().map(ToString::to_string).collect();
        let is_something = checkout.is_some() || !beside.is_empty() || !self.keys.is_empty();
        is_something.then(|| json!([checkout, beside, self.keys]))
    }

    /// The folder that holds all of it, and the build's own.
    pub(super) fn base<'a>(&'a self, own: &'a Utf8Path) -> &'a Utf8Path {
        let top = self.checkout.iter().map(Checkout::top);
        let parents = self.beside.keys().filter_map(|path| path.parent());
        let holds = |folder: &&Utf8Path| {
            let mut all = top.clone().chain(parents.clone());
            own.starts_with(folder) && all.all(|one| one.starts_with(folder))
        };
        own.ancestors().find(holds).unwrap_or(own)
    }
}

/// Paths that lead out of a folder, wherever they stand in a text.
fn leading_out(text: &str) -> impl Iterator<Item = &str> {
    let is_between = |c: char| c.is_whitespace() || "\"'`,;=:()[]{}<>#".contains(c);
    let words = text.split(is_between);
    words.filter(|word| word.starts_with("../") || word.starts_with("./../"))
}

/// Whether a path is there, and no link leads it out of a folder.
fn real_is_inside(path: &Utf8Path, root: &Utf8Path) -> bool {
    match (path.canonicalize_utf8(), root.canonicalize_utf8()) {
        (Ok(path), Ok(root)) => path.starts_with(root),
        _ => false,
    }
}
