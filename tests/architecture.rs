//! Holds the house to its plan: a floor imports only the floors before it, and so does a room of
//! the rooms that [`ORDER`] puts on its own floor.
//!
//! Test modules may look anywhere, so what stands behind a file's `#[cfg(test)]` is not read.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The floors from the ground up, each with its rooms in their order.
const ORDER: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("files", &["archive", "tree", "contents"]),
    ("decide", &["lock", "target", "plan", "manifest"]),
    ("obtain", &["store", "fetch", "source"]),
    (
        "install",
        &["python", "owners", "npm", "go", "build", "assemble"],
    ),
    ("transform", &["patch", "elf", "nix", "oci", "records"]),
    (
        "inspect",
        &[
            "licence", "diff", "sbom", "convert", "policy", "osv", "audit", "complete", "verify",
        ],
    ),
    ("component", &[]),
    ("cli", &[]),
];

#[test]
fn floors_and_rooms_import_only_what_stands_before_them() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = BTreeSet::new();
    let mut seen = 0;
    for (path, text) in files(&source) {
        let Some(from) = place(&path) else { continue };
        for line in text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
        {
            for import in imports(line) {
                let Some(to) = place(&import) else { continue };
                seen += 1;
                let is_before = match to.0.cmp(&from.0) {
                    std::cmp::Ordering::Less => true,
                    std::cmp::Ordering::Equal => {
                        to.1.is_none() || from.1.is_none() || to.1 <= from.1
                    }
                    std::cmp::Ordering::Greater => false,
                };
                if !is_before {
                    wrong.insert(format!("{path} imports {import}"));
                }
            }
        }
    }
    assert!(seen > 300, "the imports were not found: {seen}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_import_one_another_one_way() {
    let files = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let name = |path: &str| {
        let path = path.trim_end_matches(".rs");
        path.strip_suffix("/mod").unwrap_or(path).to_owned()
    };
    let names: BTreeSet<String> = files.iter().map(|(path, _)| name(path)).collect();
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut exports: Exports = BTreeMap::new();
    for (path, text) in &files {
        let own = name(path);
        for start in ["pub use ", "pub(super) use ", "pub(crate) use "] {
            for path in paths(text, start, &own) {
                if let Some(length) = file_part(&path, &names) {
                    let item = path.last().unwrap().clone();
                    exports.insert((own.clone(), item), path[..length].join("/"));
                }
            }
        }
    }
    for (path, text) in &files {
        let own = name(path);
        let above = own.rsplit_once('/').map_or("", |(above, _)| above);
        let mut to = BTreeSet::new();
        for (start, base) in [("crate::", ""), ("super::", above), ("self::", &own)] {
            let all = paths(text, start, base);
            to.extend(all.iter().filter_map(|path| target(path, &names, &exports)));
        }
        // A folder's mod.rs and its files are one.
        let is_kin = |other: &String| {
            *other == own
                || other.starts_with(&format!("{own}/"))
                || own.starts_with(&format!("{other}/"))
        };
        to.retain(|other| !is_kin(other));
        edges.insert(own, to);
    }
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges
        .keys()
        .map(|from| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(file) = next.pop() {
                next.extend(edges[file].iter().filter(|to| seen.insert(*to)));
            }
            (from, seen)
        })
        .collect();
    let circles: BTreeSet<String> = edges
        .keys()
        .filter(|file| reached[file].contains(file))
        .map(|file| {
            let all = edges
                .keys()
                .filter(|other| reached[file].contains(other) && reached[other].contains(file));
            all.map(String::as_str).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert!(edges.len() > 300, "the files were not found");
    assert!(
        circles.is_empty(),
        "files import one another in circles: {circles:#?}"
    );
}

/// What a file hands on of others: its name and an item's, and the file that has that.
type Exports = BTreeMap<(String, String), String>;

/// The paths behind each `start` of a text, from `base`.
fn paths(text: &str, start: &str, base: &str) -> Vec<Vec<String>> {
    let code = text.lines();
    let code: Vec<&str> = code
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let mut all = Vec::new();
    for rest in code.join("\n").split(start).skip(1) {
        let mut paths = Vec::new();
        let base = base.split('/').filter(|part| !part.is_empty()).collect();
        read_tree(rest, base, &mut paths);
        let owned = |path: Vec<&str>| path.into_iter().map(str::to_owned).collect();
        all.extend(paths.into_iter().map(owned));
    }
    all
}

/// How much of a path is a file's.
fn file_part(path: &[String], names: &BTreeSet<String>) -> Option<usize> {
    (1..=path.len())
        .rev()
        .find(|length| names.contains(&path[..*length].join("/")))
}

/// The file that has what a path names, through those that hand it on.
fn target(path: &[String], names: &BTreeSet<String>, exports: &Exports) -> Option<String> {
    let length = file_part(path, names)?;
    let mut file = path[..length].join("/");
    if let Some(item) = path.get(length) {
        for _ in 0..8 {
            let next = exports.get(&(file.clone(), item.clone()));
            file = next.cloned().unwrap_or(file);
        }
    }
    Some(file)
}

/// Reads what follows `crate::` or `super::`: a path, or several in braces.
fn read_tree<'t>(text: &'t str, base: Vec<&'t str>, paths: &mut Vec<Vec<&'t str>>) -> &'t str {
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = rest.trim_start_matches([' ', '\n', ',']);
            if let Some(rest) = rest.strip_prefix('}') {
                return rest;
            }
            let before = rest.len();
            rest = read_tree(rest, base.clone(), paths);
            if rest.len() == before {
                return rest;
            }
        }
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    let mut path = base;
    match word {
        "super" => drop(path.pop()),
        "crate" => path.clear(),
        "self" => {}
        word => path.push(word),
    }
    match rest.strip_prefix("::") {
        Some(rest) => read_tree(rest, path, paths),
        None => {
            if end > 0 {
                paths.push(path);
            }
            rest
        }
    }
}

#[test]
fn every_floor_and_room_is_on_the_plan() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (path, _) in files(&source) {
        let floor = path.split('/').next().unwrap();
        if floor.ends_with(".rs") {
            continue;
        }
        let (_, rooms) = ORDER.iter().find(|(name, _)| *name == floor).expect(floor);
        let room = path.split('/').nth(1).unwrap().trim_end_matches(".rs");
        assert!(
            rooms.is_empty() || room == "mod" || rooms.contains(&room),
            "{path} is in no room of the plan"
        );
    }
}

#[test]
fn what_begins_with_an_interpreter_can_be_run() {
    use std::os::unix::fs::PermissionsExt as _;
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for folder in ["benches", "scripts", ".ci"] {
        for entry in fs::read_dir(project.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && fs::read(&path).unwrap().starts_with(b"#!") {
                seen += 1;
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                assert_eq!(mode & 0o111, 0o111, "{}", path.display());
            }
        }
    }
    assert!(seen > 8, "the scripts were not found: {seen}");
}

/// Who may open a file as the system does, through links, waiting for pipes, without an end: what they open is the
/// kernel's, the user's or ours, or was just seen to be a regular file. All else goes through `core/foreign`.
const OPENERS: &[(&str, &str)] = &[
    ("cli/signals.rs", "/proc"),
    ("component/kept.rs", "a record of the store's"),
    (
        "component/tools.rs",
        "what this machine's package manager says",
    ),
    ("core/foreign.rs", "itself"),
    ("core/mounts.rs", "/proc"),
    ("core/pieces.rs", "seen by a walk"),
    ("core/scratch.rs", "/proc"),
    ("core/temp_file.rs", "a file that is being replaced"),
    ("decide/target/node.rs", "/usr/bin/ldd"),
    ("decide/target/probe.rs", "the store's"),
    ("files/tree/guard.rs", "/etc/passwd"),
    ("install/build/sandbox/limits.rs", "/proc"),
    ("install/build/sandbox/run.rs", "our own program"),
    ("install/build/sandbox/stages.rs", "/proc"),
    ("obtain/fetch/credentials.rs", "the user's netrc file"),
    ("transform/nix/seal.rs", "seen by a walk"),
    ("transform/nix/strip.rs", "seen by a walk"),
    ("transform/patch/write.rs", "read as a regular file before"),
];

#[test]
fn what_a_stranger_may_have_written_is_opened_as_such() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let plain = [
        "fs::read(",
        "fs::read_to_string(",
        "File::open(",
        "fs::copy(",
    ];
    let mut found = BTreeSet::new();
    for (path, text) in files(&source) {
        let mut code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        if code.any(|line| plain.iter().any(|plain| line.contains(plain))) {
            found.insert(path);
        }
    }
    let known: BTreeSet<String> = OPENERS.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(found, known);
}

/// The number of a path's floor, and of its room there where the floor has an order.
fn place(path: &str) -> Option<(usize, Option<usize>)> {
    let mut parts = path.split('/');
    let (floor, room) = (parts.next()?, parts.next());
    let number = ORDER.iter().position(|(name, _)| *name == floor)?;
    let (_, rooms) = ORDER.get(number)?;
    let room = room.map(|room| room.trim_end_matches(".rs"));
    Some((number, rooms.iter().position(|name| Some(*name) == room)))
}

/// What a line names of this crate, as paths: `core/digest`.
fn imports(line: &str) -> Vec<String> {
    line.split("crate::")
        .skip(1)
        .map(|rest| {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
            rest[..end.unwrap_or(rest.len())].replace("::", "/")
        })
        .collect()
}

/// Every source file, from `src/`, up to its tests.
fn files(source: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![source.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let name = path
                    .strip_prefix(source)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                if name.contains("tests") || name.starts_with("fuzz") {
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]").next().unwrap().to_owned();
                found.push((name, text));
            }
        }
    }
    found
}
