//! Trees that lie in the store's own folder: components that others need, in `components/`, sources that
//! were unpacked, in `sources/`, and what commands keep from one run to the next, in `caches/`. What is known of
//! their use, so that they can be cleaned away.
//!
//! A component to which a finished tree leads (by a link, a launcher, a RUNPATH) stays as long as that tree
//! is there: `components/needed/` says which leads to which.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use super::record::{self, Record};
use super::{Outcome, Settings};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::walk::walk;
use crate::files::tree::Provenance;
use crate::obtain::store::{KeptTree, Store};

/// How stale the time of last use may be, so that use seldom writes.
const OFTEN: Duration = Duration::from_secs(24 * 60 * 60);

/// A finished tree, and the components that it leads to.
#[derive(Serialize, Deserialize)]
struct Needed {
    tree: Utf8PathBuf,
    components: Vec<Utf8PathBuf>,
}

/// Something was used just now.
pub fn used(path: &Utf8Path) {
    let time = fs::metadata(path).and_then(|meta| meta.modified());
    let is_stale = time.is_ok_and(|time| time.elapsed().unwrap_or_default() > OFTEN);
    if is_stale && let Ok(file) = File::open(path) {
        // Of no consequence where it is not allowed: nor may anything be cleaned then.
        let _ = file.set_modified(SystemTime::now());
    }
}

/// Notes which of the store's components the trees that were asked for lead to. Where it cannot be
/// written down they are only cleaned away sooner, and the next build makes them again.
pub fn note(settings: &Settings<'_>, outcomes: &[Outcome], led_to: &BTreeSet<String>) {
    let kept = outcomes.iter().filter(|one| led_to.contains(&one.name));
    let kept = kept.filter_map(|one| Some(one.made.as_ref()?.path.clone()));
    let components: Vec<Utf8PathBuf> = kept
        .filter(|path| path.starts_with(settings.kept()))
        .collect();
    let folder = settings.kept().join("needed");
    for wanted in &settings.wanted {
        let tree = wanted.out.clone();
        let name = Digest::of(Algorithm::Sha256, tree.as_str().as_bytes()).hex();
        let file = folder.join(format!("{name}.json"));
        if components.is_empty() {
            let _ = fs::remove_file(&file);
            continue;
        }
        let needed = Needed {
            tree,
            components: components.clone(),
        };
        if fs::create_dir_all(&folder).is_ok()
            && let Ok(text) = serde_json::to_vec(&needed)
        {
            let _ = fs::write(&file, text);
        }
    }
}

/// The trees of a store, for its cleaning.
pub fn trees(store: &Store) -> Vec<KeptTree> {
    let components = store.root().join("components");
    let needed = needed(&components.join("needed"));
    let mut all = Vec::new();
    for path in folders(&components) {
        let record = Record::place(&path);
        let size = match Record::of(&path) {
            Some(record) => record.bytes,
            None => size(&path),
        };
        let beside = [
            Some(record.clone()),
            Some(format!("{path}.lock").into()),
            Provenance::place(&path).filter(|place| !place.starts_with(&path)),
        ];
        if path.file_name() != Some("needed") {
            all.push(KeptTree {
                last_used: time(&record)
                    .or_else(|| time(&path))
                    .unwrap_or(SystemTime::UNIX_EPOCH),
                is_needed: needed.contains(&path),
                beside: beside.into_iter().flatten().collect(),
                size,
                path,
            });
        }
    }
    let root = store.root();
    let others = ["sources", "caches"].map(|name| folders(&root.join(name)));
    for path in others.into_iter().flatten() {
        all.push(KeptTree {
            last_used: time(&path).unwrap_or(SystemTime::UNIX_EPOCH),
            is_needed: false,
            beside: Vec::new(),
            size: size(&path),
            path,
        });
    }
    all
}

/// What finished trees that are still there lead to.
fn needed(folder: &Utf8Path) -> BTreeSet<Utf8PathBuf> {
    let mut all = BTreeSet::new();
    for entry in folder.read_dir_utf8().into_iter().flatten().flatten() {
        let text = foreign::read(entry.path(), foreign::TEXT).unwrap_or_default();
        if let Ok(needed) = serde_json::from_slice::<Needed>(&text)
            && needed.tree.is_dir()
        {
            all.extend(needed.components);
        }
    }
    all
}

fn folders(folder: &Utf8Path) -> Vec<Utf8PathBuf> {
    let entries = folder.read_dir_utf8().into_iter().flatten().flatten();
    let is_tree = |path: &Utf8PathBuf| {
        let meta = fs::symlink_metadata(path);
        meta.is_ok_and(|meta| meta.is_dir())
    };
    entries
        .map(|entry| entry.path().to_owned())
        .filter(is_tree)
        .collect()
}

fn size(tree: &Utf8Path) -> u64 {
    walk(tree.as_std_path()).map_or(0, |node| record::count(&node).1)
}

fn time(path: &Utf8Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}
