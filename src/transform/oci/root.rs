//! An image's file system as those see it who run it: the base's layers, and the trees on top.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::ops::Bound;
use std::os::unix::fs::FileExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::core::foreign;

/// How many links lead to one file at most, as in Linux.
const LINKS: usize = 40;

/// What is read of texts that are looked at, in bytes.
const TEXT: u64 = 1 << 20;

/// How much of a base's files is held at most before no more is than how they begin, in bytes.
const HELD: u64 = 512 << 20;

/// How many members a layer of a base has at most: a bomb has more.
const MEMBERS: usize = 5_000_000;

/// What is read of libraries that are looked at, in bytes.
const LIBRARY: u64 = 16 << 20;

/// What is at a path. A layer's own special files are of no interest to anybody here.
#[derive(Debug, Clone)]
pub enum Node {
    /// A folder.
    Folder,
    /// A symbolic link.
    Link(String),
    /// A regular file.
    File(Held),
    /// A device or a pipe.
    Other,
}

/// A regular file.
#[derive(Debug, Clone)]
pub struct Held {
    /// Permission bits.
    pub mode: u32,
    /// Where its bytes are.
    pub bytes: Bytes,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub enum Bytes {
    /// In this file of a tree.
    Here(Utf8PathBuf),
    /// In a layer of the base: how they begin, or all of them for the few texts that are looked at.
    Base(Vec<u8>),
}

impl Held {
    /// How it begins, up to so many bytes.
    pub fn head(&self, length: usize) -> Vec<u8> {
        match &self.bytes {
            Bytes::Base(bytes) => bytes.iter().copied().take(length).collect(),
            Bytes::Here(path) => {
                let mut head = vec![0; length];
                let read = foreign::open(path).and_then(|file| fill(&file, &mut head));
                head.truncate(read.unwrap_or(0));
                head
            }
        }
    }

    /// All bytes of a library, where they are at hand.
    pub fn library(&self) -> Option<Vec<u8>> {
        match &self.bytes {
            Bytes::Base(bytes) => (bytes.len() as u64 > HEAD).then(|| bytes.clone()),
            Bytes::Here(path) => foreign::read(path, LIBRARY).ok(),
        }
    }

    /// A text, as far as it is one.
    fn text(&self) -> String {
        let bytes = match &self.bytes {
            Bytes::Base(bytes) => bytes.clone(),
            Bytes::Here(path) => foreign::read(path, TEXT).unwrap_or_default(),
        };
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

fn fill(file: &File, to: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = to.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, done as u64)? {
            0 => break,
            read => done += read,
        }
    }
    Ok(done)
}

/// The file system. Paths are absolute without their first slash; the root's own is empty.
#[derive(Debug, Default)]
pub struct Root {
    nodes: BTreeMap<String, Node>,
    /// How much of files of the base is held, in bytes.
    held: u64,
}

impl Root {
    /// What is at a path, whose links are not followed.
    pub fn get(&self, path: &str) -> Option<&Node> {
        match path {
            "" => Some(&Node::Folder),
            path => self.nodes.get(path),
        }
    }

    /// Puts something there.
    pub fn put(&mut self, path: &str, node: Node) {
        self.nodes.insert(path.to_owned(), node);
    }

    /// Everything, in the order of paths.
    pub fn each(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (&**path, node))
    }

    /// Where an absolute path leads when links are followed, and what is there.
    pub fn follow(&self, path: &Utf8Path) -> Option<(String, &Node)> {
        let (real, rest) = self.walk(path)?;
        (rest.is_empty()).then_some(())?;
        let node = self.get(&real)?;
        Some((real, node))
    }

    /// Where a path that may not be there yet would be: with the links on the way followed, as far as
    /// it is there.
    pub fn real(&self, path: &Utf8Path) -> Option<String> {
        let (real, rest) = self.walk(path)?;
        let mut parts: Vec<String> = vec![real];
        parts.extend(rest);
        parts.retain(|part| !part.is_empty());
        Some(parts.join("/"))
    }

    /// Follows a path until it is not there any more: how far that is, and what is left of it.
    fn walk(&self, path: &Utf8Path) -> Option<(String, Vec<String>)> {
        let mut left: Vec<String> = parts(path.as_str()).rev().collect();
        let mut here: Vec<String> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop() {
            if part == ".." {
                here.pop();
                continue;
            }
            here.push(part);
            match self.nodes.get(&here.join("/")) {
                Some(Node::Link(target)) => {
                    links += 1;
                    if links > LINKS {
                        return None;
                    }
                    here.pop();
                    if target.starts_with('/') {
                        here.clear();
                    }
                    left.extend(parts(target).rev());
                }
                Some(_) => {}
                None => {
                    left.extend(here.pop());
                    left.reverse();
                    return Some((here.join("/"), left));
                }
            }
        }
        Some((here.join("/"), Vec::new()))
    }

    /// The file that a path leads to.
    pub fn file(&self, path: &Utf8Path) -> Option<&Held> {
        match self.follow(path)?.1 {
            Node::File(file) => Some(file),
            _ => None,
        }
    }

    /// The text of the file that a path leads to.
    pub fn text(&self, path: &str) -> Option<String> {
        self.file(path.into()).map(Held::text)
    }

    /// The names in a folder.
    pub fn names<'a>(&'a self, folder: &str) -> impl Iterator<Item = &'a str> {
        let start = format!("{folder}/");
        let from = (Bound::Included(start.clone()), Bound::Unbounded);
        let below = self.nodes.range::<String, _>(from);
        below
            .map_while(move |(path, _)| path.strip_prefix(&start))
            .filter(|name| !name.contains('/'))
    }

    /// Puts a layer on top: a tar archive, uncompressed. What is not understood in it, paths that
    /// lead upwards say, is passed over: whoever unpacks it does so, too.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn add_layer(&mut self, tar: impl Read) -> io::Result<()> {
        let mut archive = tar::Archive::new(tar);
        let mut own = BTreeSet::new();
        for (count, entry) in archive.entries()?.enumerate() {
            let mut entry = entry?;
            if count > MEMBERS {
                let why = format!("a layer of it has more than {MEMBERS} files");
                return Err(io::Error::other(why));
            }
            let Some(path) = name(&entry.path_bytes()) else {
                continue;
            };
            let link = entry.link_name_bytes();
            let link = link.map(|link| String::from_utf8_lossy(&link).into_owned());
            let (folder, last) = path.rsplit_once('/').unwrap_or(("", &path));
            if last == ".wh..wh..opq" {
                self.remove_below(folder, &own);
                continue;
            }
            if let Some(gone) = last.strip_prefix(".wh.") {
                let gone = match folder {
                    "" => gone.to_owned(),
                    folder => format!("{folder}/{gone}"),
                };
                self.nodes.remove(&gone);
                self.remove_below(&gone, &BTreeSet::new());
                continue;
            }
            let kind = entry.header().entry_type();
            let node = match kind {
                _ if kind.is_dir() => Node::Folder,
                _ if kind.is_symlink() => Node::Link(link.unwrap_or_default()),
                _ if kind.is_hard_link() => {
                    let target = link.and_then(|link| name(link.as_bytes()));
                    match target.and_then(|target| self.nodes.get(&target)) {
                        Some(node) => node.clone(),
                        None => continue,
                    }
                }
                _ if kind.is_file() || kind.is_contiguous() => {
                    let mode = entry.header().mode()?;
                    let limit = match () {
                        () if self.held > HELD => HEAD,
                        () if is_looked_at(&path) => TEXT,
                        () if is_versioned(last) => LIBRARY,
                        () => HEAD,
                    };
                    let mut bytes = Vec::new();
                    entry.by_ref().take(limit).read_to_end(&mut bytes)?;
                    self.held += bytes.len() as u64;
                    Node::File(Held {
                        mode: mode & 0o7777,
                        bytes: Bytes::Base(bytes),
                    })
                }
                _ if kind.is_pax_global_extensions() => continue,
                _ => Node::Other,
            };
            if !matches!(node, Node::Folder) {
                self.remove_below(&path, &BTreeSet::new());
            }
            // Folders that no member stands for are there all the same.
            for (end, _) in path.match_indices('/') {
                let above = path.get(..end).unwrap_or_default();
                if !self.nodes.contains_key(above) {
                    self.nodes.insert(above.to_owned(), Node::Folder);
                }
            }
            own.insert(path.clone());
            self.nodes.insert(path, node);
        }
        // What follows the end is part of the layer's digest all the same.
        io::copy(&mut archive.into_inner(), &mut io::sink())?;
        Ok(())
    }

    fn remove_below(&mut self, folder: &str, except: &BTreeSet<String>) {
        let start = format!("{folder}/");
        let from = (Bound::Included(start.clone()), Bound::Unbounded);
        let below = self.nodes.range::<String, _>(from);
        let below: Vec<String> = below
            .map(|(path, _)| path)
            .take_while(|path| path.starts_with(&start))
            .filter(|path| !except.contains(*path))
            .cloned()
            .collect();
        for path in below {
            self.nodes.remove(&path);
        }
    }
}

/// What tells an ELF file's machine, and a script's interpreter.
const HEAD: u64 = 256;

/// Texts of a base that decide what is found.
fn is_looked_at(path: &str) -> bool {
    path == "etc/passwd"
        || path == "etc/ld.so.conf"
        || (path.starts_with("etc/ld.so.conf.d/") && path.ends_with(".conf"))
        || (path.starts_with("etc/ld-musl-") && path.ends_with(".path"))
}

/// Libraries whose versions decide whether others work with them.
fn is_versioned(name: &str) -> bool {
    let names = [
        "libc.so.6",
        "libc-2.",
        "libm.so.6",
        "libm-2.",
        "libstdc++.so.6",
    ];
    names.iter().any(|start| name.starts_with(start))
}

/// A member's path, if it is one that stays inside.
fn name(bytes: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(bytes).ok()?;
    let parts: Vec<String> = parts(path).collect();
    let stays = !parts.is_empty() && parts.iter().all(|part| part != "..");
    stays.then(|| parts.join("/"))
}

fn parts(path: &str) -> impl DoubleEndedIterator<Item = String> {
    let parts = path.split('/');
    parts
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn layer(entries: &[(&str, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (path, text) in entries {
            let mut header = tar::Header::new_ustar();
            header.set_mode(0o755);
            header.set_size(0);
            match text.strip_prefix("-> ") {
                Some(target) => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    tar.append_link(&mut header, path, target).unwrap();
                }
                None => {
                    header.set_size(text.len() as u64);
                    tar.append_data(&mut header, path, text.as_bytes()).unwrap();
                }
            }
        }
        tar.into_inner().unwrap()
    }

    #[test]
    fn layers_hide_what_they_take_away_and_links_are_followed() {
        let mut root = Root::default();
        let first = layer(&[
            ("bin", "-> usr/bin"),
            ("usr/bin/sh", "1"),
            ("usr/lib/a", "2"),
            ("usr/lib/b", "3"),
            ("loop", "-> loop"),
            ("up", "-> ../../usr"),
        ]);
        root.add_layer(&*first).unwrap();
        assert!(root.file("/bin/sh".into()).is_some());
        assert!(root.file("/up/lib/../bin/sh".into()).is_some());
        assert!(root.file("/loop".into()).is_none());
        assert_eq!(root.real("/bin/new/x".into()).unwrap(), "usr/bin/new/x");
        let second = layer(&[
            ("usr/bin/.wh.sh", ""),
            ("usr/lib/c", "4"),
            ("usr/lib/.wh..wh..opq", ""),
        ]);
        root.add_layer(&*second).unwrap();
        assert!(root.file("/bin/sh".into()).is_none());
        assert_eq!(root.names("usr/lib").collect::<Vec<_>>(), ["c"]);
    }
}
