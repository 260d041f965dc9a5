//! Placing a wheel by the binary distribution format
//! (<https://packaging.python.org/en/latest/specifications/binary-distribution-format/>): its
//! members go straight from the compressed archive to their places, written once.
//!
//! A wheel is held to what it says of itself: its name and version are those of the plan, its
//! RECORD names every member and each of them once, and the hashes in it are right.

use std::borrow::Cow;
use std::collections::HashMap;

use pep440_rs::Version;
use pep508_rs::PackageName;
use rayon::prelude::*;

use super::layout::Layout;
use super::record::{self, Entry};
use super::{metadata, scripts};
use crate::core::digest::{Algorithm, Hasher};
use crate::files::archive::Limits;
use crate::files::archive::zip::{self, Member, Zip, ZipError};
use crate::files::tree::{Owner, Tree, TreeError, TreePath};
use crate::obtain::store::StoreError;

/// A wheel that is to be placed.
#[derive(Debug, Clone)]
pub struct WheelSource<'a> {
    /// The archive, verified, or its loose form.
    pub bytes: &'a [u8],
    /// The archive's own length in bytes.
    pub packed: u64,
    /// What it is called, in messages.
    pub file_name: &'a str,
    /// The package that it must be.
    pub name: &'a PackageName,
    /// The version that it must be, where the plan knows one.
    pub version: Option<&'a Version>,
    /// Whether a run before has held all of its members against its RECORD, which then is taken at
    /// its word: the file is what it was, or the store would not have it under its digest.
    pub checked: bool,
    /// `direct_url.json`, for what does not come from an index.
    pub direct_url: Option<String>,
}

/// What was placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The version that the wheel turned out to be.
    pub version: Version,
    /// Its `.dist-info` folder's name.
    pub dist_info: String,
}

/// Why a wheel is not placed.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// The archive is refused.
    #[error(transparent)]
    Zip(#[from] ZipError),
    /// The tree does not take it.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not what the format asks for.
    #[error("{wheel} is not a wheel that can be installed: {reason}")]
    Format {
        /// The wheel.
        wheel: String,
        /// What is wrong.
        reason: String,
    },
}

/// What this installer writes into INSTALLER (PEP 376).
const INSTALLER: &[u8] = b"lockwright";

/// Places a wheel into a tree.
///
/// # Errors
/// When the archive, the wheel's own statements, or the tree refuse it.
pub fn place_wheel(
    tree: &Tree,
    layout: &Layout,
    owner: Owner,
    source: &WheelSource<'_>,
    limits: &Limits,
) -> Result<Installed, WheelError> {
    let zip = Zip::loose(source.bytes, source.packed, source.file_name, limits)?;
    let about = About::new(&zip, source)?;
    let record = about.text("RECORD")?;
    let wheel = Wheel::read(&about, record.as_deref())?;
    Placing {
        tree,
        layout,
        owner,
        source,
        zip: &zip,
        wheel: &wheel,
    }
    .place()
}

/// A wheel's `.dist-info` folder.
struct About<'a> {
    zip: &'a Zip<'a>,
    source: &'a WheelSource<'a>,
    folder: String,
}

impl<'a> About<'a> {
    fn new(zip: &'a Zip<'a>, source: &'a WheelSource<'a>) -> Result<Self, WheelError> {
        let folder = dist_info(zip, source).map_err(|reason| refused(source, reason))?;
        Ok(Self {
            zip,
            source,
            folder,
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>, WheelError> {
        let Some(member) = self.zip.find(&format!("{}/{name}", self.folder)) else {
            return Ok(None);
        };
        String::from_utf8(self.zip.read(member)?)
            .map(Some)
            .map_err(|_| refused(self.source, format!("its {name} is not UTF-8")))
    }

    fn required(&self, name: &str) -> Result<String, WheelError> {
        self.text(name)?
            .ok_or_else(|| refused(self.source, format!("it has no {name}")))
    }
}

fn refused(source: &WheelSource<'_>, reason: String) -> WheelError {
    WheelError::Format {
        wheel: source.file_name.into(),
        reason,
    }
}

/// What a wheel says of itself.
struct Wheel<'a> {
    version: Version,
    dist_info: &'a str,
    data: String,
    record: HashMap<Cow<'a, str>, Entry<'a>>,
    scripts: Vec<metadata::EntryPoint>,
}

impl<'a> Wheel<'a> {
    fn read(dist_info: &'a About<'a>, record: Option<&'a str>) -> Result<Self, WheelError> {
        let source = dist_info.source;
        let refuse = |reason: String| refused(source, reason);
        let required = |name: &str| dist_info.required(name);

        let about = required("WHEEL")?;
        let format = metadata::field(&about, "Wheel-Version").unwrap_or_default();
        if format.split('.').next() != Some("1") {
            return Err(refuse(format!(
                "it is of wheel format `{format}`, and this lockwright knows format 1"
            )));
        }
        // Root-Is-Purelib need not be asked: purelib and platlib are one folder in every
        // environment made here.

        let about = required("METADATA")?;
        let said =
            metadata::field(&about, "Name").and_then(|name| name.parse::<PackageName>().ok());
        if said.as_ref() != Some(source.name) {
            return Err(refuse(format!(
                "its METADATA says it is {}, and the lock says {}",
                said.map_or_else(|| String::from("nothing"), |name| name.to_string()),
                source.name
            )));
        }
        let version: Version = metadata::field(&about, "Version")
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| refuse(String::from("its METADATA gives no version")))?;
        if let Some(wanted) = source.version.filter(|wanted| **wanted != version) {
            return Err(refuse(format!(
                "its METADATA says it is version {version}, and the lock says {wanted}"
            )));
        }
        let record = record.ok_or_else(|| refuse(String::from("it has no RECORD")))?;
        let record = record::parse(record)
            .map_err(|line| refuse(format!("line {line} of its RECORD has not three fields")))?;
        let scripts = match dist_info.text("entry_points.txt")? {
            Some(text) => metadata::scripts(&text).map_err(|line| {
                refuse(format!("its entry point `{line}` cannot be made a script"))
            })?,
            None => Vec::new(),
        };
        let folder = dist_info.folder.as_str();
        let data = format!("{}.data", folder.trim_end_matches(".dist-info"));
        let record = listed(dist_info.zip, folder, record).map_err(refuse)?;
        Ok(Self {
            version,
            dist_info: folder,
            data,
            record,
            scripts,
        })
    }
}

/// The one `.dist-info` folder, whose name must be the wheel's.
fn dist_info(zip: &Zip<'_>, source: &WheelSource<'_>) -> Result<String, String> {
    let mut found: Option<&str> = None;
    for member in zip.members() {
        let top = member.path.as_str().split('/').next().unwrap_or_default();
        if !top.ends_with(".dist-info") || found == Some(top) {
            continue;
        }
        if let Some(other) = found {
            return Err(format!("it has two .dist-info folders, {other} and {top}"));
        }
        found = Some(top);
    }
    let found = found.ok_or("it has no .dist-info folder")?;
    let stem = found.trim_end_matches(".dist-info");
    let named = stem.rsplit_once('-').and_then(|(name, version)| {
        Some((
            name.parse::<PackageName>().ok()?,
            version.replace('_', "-").parse::<Version>().ok()?,
        ))
    });
    match named {
        Some((name, version))
            if name == *source.name && source.version.is_none_or(|wanted| *wanted == version) =>
        {
            Ok(found.to_owned())
        }
        _ => Err(format!("its {found} is not named after {}", source.name)),
    }
}

/// RECORD by path, once it is known that it names every file of the archive and no other.
fn listed<'a>(
    zip: &Zip<'_>,
    dist_info: &str,
    record: Vec<Entry<'a>>,
) -> Result<HashMap<Cow<'a, str>, Entry<'a>>, String> {
    let mut by_path = HashMap::with_capacity(record.len());
    for entry in record {
        if let Some(twice) = by_path.insert(entry.path.clone(), entry) {
            return Err(format!("its RECORD names {} twice", twice.path));
        }
    }
    // RECORD's own lines and signatures need not be there (and are not placed).
    let own = |path: &str| {
        path.strip_prefix(dist_info)
            .is_some_and(|rest| matches!(rest, "/RECORD" | "/RECORD.jws" | "/RECORD.p7s"))
    };
    let mut files = 0;
    for member in zip.members().iter().filter(|member| !member.is_folder) {
        let path = member.path.as_str();
        if own(path) {
            continue;
        }
        files += 1;
        match by_path.get(path) {
            None => return Err(format!("it holds {path}, which its RECORD does not name")),
            Some(entry)
                if !entry.size.is_empty() && entry.size.parse::<u64>() != Ok(member.size) =>
            {
                return Err(format!(
                    "its RECORD says that {path} has {} bytes, and it has {}",
                    entry.size, member.size
                ));
            }
            Some(_) => {}
        }
    }
    if by_path.keys().filter(|path| !own(path)).count() > files {
        let absent = by_path
            .keys()
            .filter(|path| !own(path) && zip.find(path).is_none())
            .min();
        if let Some(absent) = absent {
            return Err(format!("its RECORD names {absent}, which it does not hold"));
        }
    }
    Ok(by_path)
}

struct Placing<'a> {
    tree: &'a Tree,
    layout: &'a Layout,
    owner: Owner,
    source: &'a WheelSource<'a>,
    zip: &'a Zip<'a>,
    wheel: &'a Wheel<'a>,
}

impl<'a> Placing<'a> {
    fn place(&self) -> Result<Installed, WheelError> {
        let mut entries = self
            .zip
            .members()
            .par_iter()
            .with_min_len(32)
            .map(|member| self.member(member))
            .collect::<Result<Vec<Option<Entry<'a>>>, WheelError>>()?
            .into_iter()
            .flatten()
            .collect::<Vec<_>>();
        for entry in &self.wheel.scripts {
            let text = scripts::launcher(self.layout, entry);
            let path = tree_path(format!("{}/{}", self.layout.scripts, entry.name))?;
            let recorded = format!("{}/{path}", self.layout.site_to_top());
            // A script file of the same name, which some wheels also bring, gives way.
            if entries.iter().any(|entry| entry.path == recorded) {
                continue;
            }
            self.tree.file(self.owner, &path, 0o755, text.as_bytes())?;
            entries.push(Entry::of(recorded, text.as_bytes()));
        }
        let dist_info = &self.wheel.dist_info;
        let mut add = |name: &str, bytes: &[u8]| -> Result<(), WheelError> {
            let path = format!("{dist_info}/{name}");
            entries.retain(|entry| entry.path != path);
            let place = tree_path(format!("{}/{path}", self.layout.site))?;
            self.tree.file(self.owner, &place, 0o644, bytes)?;
            entries.push(Entry::of(path, bytes));
            Ok(())
        };
        add("INSTALLER", INSTALLER)?;
        // Whatever a lock names is asked for, so all of it is marked so, as uv sync does (PEP 376).
        add("REQUESTED", b"")?;
        if let Some(json) = &self.source.direct_url {
            add("direct_url.json", json.as_bytes())?;
        }
        entries.push(Entry {
            path: format!("{dist_info}/RECORD").into(),
            hash: Cow::default(),
            size: Cow::default(),
        });
        let inner = format!("{dist_info}/RECORD");
        let place = tree_path(format!("{}/{inner}", self.layout.site))?;
        // Some wheels mark RECORD executable (geoip2 does); rewriting it changes no mode.
        let executable = self
            .zip
            .find(&inner)
            .is_some_and(|member| member.executable);
        let mode = if executable { 0o755 } else { 0o644 };
        self.tree
            .file(self.owner, &place, mode, record::write(entries).as_bytes())?;
        Ok(Installed {
            version: self.wheel.version.clone(),
            dist_info: (*dist_info).to_owned(),
        })
    }

    fn member(&self, member: &'a Member) -> Result<Option<Entry<'a>>, WheelError> {
        let path = member.path.as_str();
        let Some((place, recorded, is_script)) = self.scheme(path)? else {
            return Ok(None);
        };
        if member.is_folder {
            self.tree.folder(self.owner, &tree_path(place)?)?;
            return Ok(None);
        }
        let own = path.strip_prefix(self.wheel.dist_info);
        // What says how it was installed is ours to write.
        if matches!(
            own,
            Some(
                "/RECORD"
                    | "/RECORD.jws"
                    | "/RECORD.p7s"
                    | "/INSTALLER"
                    | "/REQUESTED"
                    | "/direct_url.json"
            )
        ) {
            return Ok(None);
        }
        let entry = self
            .wheel
            .record
            .get(path)
            .cloned()
            .unwrap_or_else(|| Entry {
                path: path.into(),
                hash: Cow::default(),
                size: Cow::default(),
            });
        let place = tree_path(place)?;
        if is_script {
            let bytes = self.zip.read(member)?;
            self.check(&entry, &mut hasher(&entry), &bytes)?;
            let rewritten = scripts::rewritten(self.layout, &bytes);
            let bytes = rewritten.as_deref().unwrap_or(&bytes);
            self.tree.file(self.owner, &place, 0o755, bytes)?;
            return Ok(Some(if rewritten.is_some() {
                Entry::of(recorded.into_owned(), bytes)
            } else {
                Entry {
                    path: recorded,
                    ..entry
                }
            }));
        }
        let mode = if member.executable { 0o755 } else { 0o644 };
        let said = record::sha256(&entry.hash);
        let known = said.filter(|_| self.source.checked);
        // The tree hashes what it writes, with what RECORD most often has: once is enough.
        let facts = if member.size <= zip::WHOLE {
            let mut facts = None;
            self.zip
                .unpack(member, &mut |bytes| -> Result<(), WheelError> {
                    if said.is_none() {
                        self.check(&entry, &mut hasher(&entry), bytes)?;
                    }
                    let (tree, owner) = (self.tree, self.owner);
                    facts = Some(match known {
                        Some(sha256) => tree.file_of_digest(owner, &place, mode, bytes, sha256)?,
                        None => tree.file(owner, &place, mode, bytes)?,
                    });
                    Ok(())
                })?;
            facts
        } else {
            let mut open = match known {
                Some(sha256) => self.tree.open_of_digest(self.owner, &place, mode, sha256)?,
                None => self.tree.open(self.owner, &place, mode)?,
            };
            let mut hash = hasher(&entry).filter(|_| said.is_none());
            self.zip
                .unpack(member, &mut |piece| -> Result<(), WheelError> {
                    if let Some(hash) = &mut hash {
                        hash.update(piece);
                    }
                    Ok(open.write(piece)?)
                })?;
            self.check(&entry, &mut hash, &[])?;
            Some(open.finish()?)
        };
        if said.is_some() && said != facts.map(|facts| facts.sha256) {
            return Err(self.lies(&entry));
        }
        Ok(Some(Entry {
            path: recorded,
            ..entry
        }))
    }

    /// Where a member goes, how RECORD names it there, and whether it is a script.
    fn scheme(&self, path: &'a str) -> Result<Option<(String, Cow<'a, str>, bool)>, WheelError> {
        let layout = self.layout;
        let site = |rest: &'a str| ([&layout.site, "/", rest].concat(), rest.into(), false);
        let Some(rest) = path.strip_prefix(self.wheel.data.as_str()) else {
            return Ok(Some(site(path)));
        };
        // The folder itself, or another that merely begins alike.
        let Some(rest) = rest.strip_prefix('/') else {
            return Ok(if rest.is_empty() {
                None
            } else {
                Some(site(path))
            });
        };
        let Some((scheme, rest)) = rest.split_once('/') else {
            return Ok(None);
        };
        let outside = |place: String, is_script| {
            let recorded = format!("{}/{place}", layout.site_to_top());
            Some((place, recorded.into(), is_script))
        };
        match scheme {
            "purelib" | "platlib" => Ok(Some(site(rest))),
            "scripts" if metadata::is_reserved(rest) => Err(WheelError::Format {
                wheel: self.source.file_name.to_owned(),
                reason: format!("its script {rest} would replace the environment's own"),
            }),
            "scripts" => Ok(outside(format!("{}/{rest}", layout.scripts), true)),
            "headers" => Ok(outside(
                format!("{}/{}/{rest}", layout.headers, self.source.name),
                false,
            )),
            "data" => Ok(outside(rest.to_owned(), false)),
            other => Err(WheelError::Format {
                wheel: self.source.file_name.to_owned(),
                reason: format!("its .data folder has a scheme `{other}` that is not known"),
            }),
        }
    }

    /// Refuses a member whose bytes are not what RECORD says.
    fn check(
        &self,
        entry: &Entry<'_>,
        hash: &mut Option<Hasher>,
        bytes: &[u8],
    ) -> Result<(), WheelError> {
        let Some(mut hash) = hash.take() else {
            return Ok(());
        };
        hash.update(bytes);
        if record::is_hash(&entry.hash, &hash.finish()) {
            return Ok(());
        }
        Err(self.lies(entry))
    }

    fn lies(&self, entry: &Entry<'_>) -> WheelError {
        WheelError::Format {
            wheel: self.source.file_name.to_owned(),
            reason: format!(
                "its RECORD has another hash for {} than its bytes have",
                entry.path
            ),
        }
    }
}

fn tree_path(path: String) -> Result<TreePath, WheelError> {
    Ok(TreePath::new(path).map_err(TreeError::from)?)
}

/// What a line's hash is checked with; nothing where it has none, or of an unknown algorithm.
fn hasher(entry: &Entry<'_>) -> Option<Hasher> {
    let algorithm: Algorithm = record::algorithm(&entry.hash)?;
    Some(Hasher::new(algorithm))
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
