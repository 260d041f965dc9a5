//! Which scripts of a package.json npm runs when it installs, and in what order.

use std::collections::BTreeSet;

/// Of a package in `node_modules`.
pub const INSTALL: &[&str] = &["preinstall", "install", "postinstall"];

/// Of a workspace or another linked folder, before its programs are linked: `prepare` may make them.
pub const LINKED_FIRST: &[&str] = &["preinstall", "prepare"];

/// Of a linked folder, after its programs are.
pub const LINKED_THEN: &[&str] = &["install", "postinstall"];

/// Of the project itself, when all else is done; and of a git dependency's own folder, before it is
/// packed.
pub const PROJECT: &[&str] = &[
    "predependencies",
    "dependencies",
    "postdependencies",
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "preprepare",
    "prepare",
    "postprepare",
];

/// Those of which one is enough for npm to install what a git dependency needs before it packs it
/// (pacote's `git.js`). Neither `build` nor `prepack` is run then: something else may call it.
pub const PREPARED_FOR: &[&str] = &[
    "postinstall",
    "build",
    "preinstall",
    "install",
    "prepack",
    "prepare",
];

/// Whether scripts of these names make something of a git dependency before it is packed.
pub fn is_made(scripts: &BTreeSet<String>) -> bool {
    let has = |all: &[&str]| all.iter().any(|event| scripts.contains(*event));
    has(PREPARED_FOR) && has(PROJECT)
}
