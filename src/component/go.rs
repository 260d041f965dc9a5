//! The inputs of a Go program: the modules that its go.sum names, as a module cache in the tree.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use url::Url;

use super::context::Context;
use super::copy::{self, Filter};
use super::error::ComponentError;
use super::ingredients::Ingredients;
use super::inputs::{digest_of, lock_file, with_digests};
use crate::core::foreign;
use crate::core::nearest::instead;
use crate::decide::lock::go::{GoLock, GoModule};
use crate::decide::manifest::Go;
use crate::files::archive::Limits;
use crate::files::tree::{Tree, TreePath};
use crate::install::assemble::go::{self as assemble, GoError, Obtained, Proxy, Request};
use crate::install::go::folder;
use crate::obtain::fetch::{FetchOptions, Summary};
use crate::obtain::store::Store;

const PHASE: &str = "go";

const DIRECT: &str = "behind the proxies comes `direct`, version control of each module, which lockwright does not use: name \
                      a proxy that has it, or a folder as `go mod download` fills it (file://…/cache/download)";
const OFF: &str = "the proxies end with `off`, so that nothing else is asked";

/// A lock that was read, and what is asked for its modules.
#[derive(Debug, PartialEq, Eq)]
pub struct PreparedGo {
    lock: GoLock,
    proxies: Vec<Proxy>,
    /// What comes behind them and is not done here.
    left: Option<&'static str>,
}

/// Reads the lock, and writes down what shapes the cache.
///
/// # Errors
/// When the lock cannot be read, or lacks what is to be replaced.
pub fn prepare(
    context: &Context<'_>,
    all: &mut Ingredients,
) -> Result<Option<PreparedGo>, ComponentError> {
    let Some(go) = &context.component.go else {
        return Ok(None);
    };
    let said = go.lock.as_written();
    let file = lock_file(context, &go.lock)?;
    let lock = GoLock::load(&file).map_err(context.failed(said, PHASE))?;
    let mut go_mods = String::new();
    for (module, hashes) in &lock.modules {
        if let Some(hash) = &hashes.files {
            all.add(&module.path, format!("{} {hash}", module.version));
        }
        if let Some(hash) = &hashes.go_mod {
            go_mods.push_str(&format!("{module} {hash}\n"));
        }
    }
    all.add("go.mod of modules", digest_of(&go_mods));
    all.add("module cache", go.to.as_deref().unwrap_or("."));
    for (path, with) in &go.replace {
        if versions(&lock, path).next().is_none() {
            let known = lock.modules.iter().filter(|(_, one)| one.files.is_some());
            let known = known.map(|(module, _)| module.path.as_str());
            let what = format!(
                "{said} names no files of a module `{path}`, which could be replaced{}",
                instead(path, known)
            );
            return Err(context.refuse(path, what));
        }
        let value = with_digests(context, with, &[with])?;
        all.add(format!("in the place of {path}"), value);
    }
    let (proxies, left) = proxies(context, go)?;
    Ok(Some(PreparedGo {
        lock,
        proxies,
        left,
    }))
}

/// The versions of a module of which there are files.
fn versions<'l>(lock: &'l GoLock, path: &str) -> impl Iterator<Item = &'l GoModule> {
    let all = lock.modules.iter();
    let own = all.filter(move |(module, hashes)| module.path == path && hashes.files.is_some());
    own.map(|(module, _)| module)
}

/// What is asked: as the manifest says, or else GOPROXY
/// (<https://go.dev/ref/mod#environment-variables>), and what of that is not done. The hashes hold whatever
/// comes, so that it does not count where it came from.
fn proxies(
    context: &Context<'_>,
    go: &Go,
) -> Result<(Vec<Proxy>, Option<&'static str>), ComponentError> {
    let of_environment = std::env::var("GOPROXY").unwrap_or_default();
    let is_own = !go.proxy.is_empty();
    let said: Vec<(&str, bool)> = match is_own {
        true => go.proxy.iter().map(|word| (word.as_str(), false)).collect(),
        false => {
            let parts = of_environment.split_inclusive([',', '|']);
            parts
                .map(|part| {
                    (
                        part.trim_end_matches([',', '|']).trim(),
                        part.ends_with('|'),
                    )
                })
                .collect()
        }
    };
    let mut all: Vec<Proxy> = Vec::new();
    for (word, is_optional) in said {
        match word {
            "" => {}
            "direct" => return Ok((all, Some(DIRECT))),
            "off" => return Ok((all, Some(OFF))),
            word => {
                let url = Url::parse(word).map_err(|error| match is_own {
                    true => context.refuse(
                        word,
                        format!("`{word}` is not the URL of a proxy ({error}): https://…, or file:///… of a folder"),
                    ),
                    false => {
                        let word = foreign::shown(word);
                        let what = format!("`{word}` in GOPROXY is not a URL ({error}); `proxy` here names others");
                        context.refuse(go.lock.as_written(), what)
                    }
                })?;
                all.push(Proxy { url, is_optional });
            }
        }
    }
    Ok((all, None))
}

impl PreparedGo {
    /// The files that the lock was read from.
    pub fn files(&self) -> &[Utf8PathBuf] {
        &self.lock.files
    }

    fn request<'a>(&'a self, store: &'a Store, fetch: &'a FetchOptions) -> Request<'a> {
        Request {
            lock: &self.lock,
            proxies: &self.proxies,
            left: self.left,
            store,
            fetch,
            limits: Limits::default(),
        }
    }

    /// Brings all modules into the store.
    ///
    /// # Errors
    /// When one cannot be obtained, or is not what the lock names.
    pub fn obtain<'a>(
        &'a self,
        store: &'a Store,
        fetch: &'a FetchOptions,
    ) -> Result<(Summary, Vec<Obtained<'a>>), GoError> {
        assemble::obtain(&self.request(store, fetch))
    }
}

/// The folder of the tree that is the cache.
fn below(context: &Context<'_>, go: &Go) -> Result<Option<TreePath>, ComponentError> {
    let to = go.to.as_deref().unwrap_or(".");
    match to.trim_start_matches("./").trim_end_matches('/') {
        "" | "." => Ok(None),
        path => TreePath::new(path)
            .map(Some)
            .map_err(context.failed(to, PHASE)),
    }
}

/// Puts it in the tree.
///
/// # Errors
/// When a module cannot be obtained or placed.
pub fn place(
    context: &Context<'_>,
    prepared: &PreparedGo,
    tree: &Tree,
) -> Result<(), ComponentError> {
    let Some(go) = &context.component.go else {
        return Ok(());
    };
    let said = go.lock.as_written();
    let below = below(context, go)?;
    let below = below.as_ref();
    let replaced: BTreeSet<&str> = go.replace.keys().map(String::as_str).collect();
    let request = prepared.request(context.settings.store, context.settings.fetch);
    let placed = assemble::obtain(&request)
        .and_then(|(_, obtained)| assemble::place(&request, &obtained, tree, below, &replaced));
    placed.map_err(context.failed(said, PHASE))?;
    for (path, with) in &go.replace {
        let said = with.as_written();
        let from = context.reading(with, None)?;
        if !from.is_dir() {
            let what = format!("there is no folder {from} to take the place of {path}");
            return Err(context.refuse(said, what));
        }
        for module in versions(&prepared.lock, path) {
            let to = folder(module, below).map_err(context.failed(said, PHASE))?;
            let owner = tree.owner(&format!("{module}, replaced"), 0);
            copy::folder(tree, owner, &from, Some(&to), &Filter::default())
                .map_err(context.failed(said, PHASE))?;
        }
    }
    Ok(())
}

/// What the go command is told where a component has its modules: to look there and nowhere else, and to
/// change nothing.
pub fn environment(context: &Context<'_>, seen: &Utf8Path) -> BTreeMap<String, String> {
    let Some(go) = &context.component.go else {
        return BTreeMap::new();
    };
    let to = go.to.as_deref().unwrap_or(".").trim_start_matches("./");
    let cache = match to.trim_end_matches('/') {
        "" | "." => seen.to_string(),
        to => seen.join(to).into_string(),
    };
    [
        ("GOMODCACHE", cache.as_str()),
        ("GOPROXY", "off"),
        ("GOSUMDB", "off"),
        ("GOFLAGS", "-mod=readonly"),
        ("GOTOOLCHAIN", "local"),
        ("GOENV", "off"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}
