//! Placing a wheel by the binary distribution format
//! (<https://packaging.python.org/en/latest/specifications/binary-distribution-format/>): which of
//! its files go where, and what the installer adds. That is decided here ([`arrange`], pure) and
//! written by [`crate::files::contents`].
//!
//! A wheel is held to what it says of itself: its name and version are those of the plan, its
//! RECORD names every member and each of them once, and the hashes in it are right.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use pep440_rs::Version;
use pep508_rs::PackageName;

use super::layout::Layout;
use super::record::{self, Entry};
use super::{installer, metadata, scripts};
use crate::core::digest::Digest;
use crate::files::contents::{
    self, Contents, Digests, From, Member, PlaceError, PlacedFile, Placement,
};
use crate::files::tree::{LinkMode, Owner, Tree, TreeError, TreePath};
use crate::obtain::store::StoreError;

/// What the store calls a wheel's files.
pub const FORM: &str = "wheel";

/// A wheel that is to be placed.
#[derive(Debug, Clone)]
pub struct WheelSource<'a> {
    /// What it is called, in messages.
    pub file_name: &'a str,
    /// The package that it must be.
    pub name: &'a PackageName,
    /// The version that it must be, where the plan knows one.
    pub version: Option<&'a Version>,
    /// `direct_url.json`, for what does not come from an index.
    pub direct_url: Option<String>,
}

/// Why a wheel is not placed.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// A file of it cannot be read or written.
    #[error(transparent)]
    Place(#[from] PlaceError),
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

/// Decides where a wheel's files go, and what is added to them.
///
/// # Errors
/// When the wheel's own statements do not hold, or a file has no place in a tree.
pub fn arrange(
    contents: &dyn Contents,
    layout: &Layout,
    source: &WheelSource<'_>,
) -> Result<Placement, WheelError> {
    let about = About::new(contents, source)?;
    let record = about.text("RECORD")?;
    let wheel = Wheel::read(&about, record.as_deref())?;
    let arranging = Arranging {
        layout,
        contents,
        source,
        wheel: &wheel,
    };
    arranging.placement()
}

/// Arranges a wheel's files, and writes them. Returns the digests that were computed on the way,
/// by member.
///
/// # Errors
/// When the archive, the wheel's own statements, or the tree refuse it.
pub fn place_wheel(
    tree: &Tree,
    layout: &Layout,
    owner: Owner,
    contents: &dyn Contents,
    source: &WheelSource<'_>,
    how: LinkMode,
) -> Result<Digests, WheelError> {
    let placement = arrange(contents, layout, source)?;
    match contents::place(tree, owner, contents, &placement, how) {
        Ok(digests) => Ok(digests),
        Err(PlaceError::Mismatch(path)) => Err(refused(source, lie(&path))),
        Err(other) => Err(other.into()),
    }
}

fn lie(path: &str) -> String {
    format!("its RECORD has another hash for {path} than its bytes have")
}

/// A wheel's `.dist-info` folder.
struct About<'a> {
    contents: &'a dyn Contents,
    source: &'a WheelSource<'a>,
    folder: String,
}

impl<'a> About<'a> {
    fn new(contents: &'a dyn Contents, source: &'a WheelSource<'a>) -> Result<Self, WheelError> {
        let folder = dist_info(contents, source).map_err(|reason| refused(source, reason))?;
        Ok(Self {
            contents,
            source,
            folder,
        })
    }

    fn text(&self, name: &str) -> Result<Option<String>, WheelError> {
        let path = format!("{}/{name}", self.folder);
        let mut members = self.contents.members().iter();
        let Some(number) = members.position(|member| member.path == path && !member.is_folder)
        else {
            return Ok(None);
        };
        String::from_utf8(self.contents.whole(number)?)
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
        let record = record::parse(record).map_err(|line| {
            refuse(format!(
                "line {line} of its RECORD does not have three fields"
            ))
        })?;
        let scripts = match dist_info.text("entry_points.txt")? {
            Some(text) => metadata::scripts(&text).map_err(|line| {
                refuse(format!("its entry point `{line}` cannot be made a script"))
            })?,
            None => Vec::new(),
        };
        let folder = dist_info.folder.as_str();
        let data = format!("{}.data", folder.trim_end_matches(".dist-info"));
        let record = listed(dist_info.contents, folder, record).map_err(refuse)?;
        Ok(Self {
            dist_info: folder,
            data,
            record,
            scripts,
        })
    }
}

/// The one `.dist-info` folder, whose name must be the wheel's.
fn dist_info(contents: &dyn Contents, source: &WheelSource<'_>) -> Result<String, String> {
    let mut found: Option<&str> = None;
    for member in contents.members() {
        let top = member.path.split('/').next().unwrap_or_default();
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
    contents: &dyn Contents,
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
    let members = contents.members().iter();
    for member in members.filter(|member| !member.is_folder) {
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
        let paths: HashSet<&str> = contents
            .members()
            .iter()
            .map(|member| member.path.as_str())
            .collect();
        let absent = by_path
            .keys()
            .filter(|path| !own(path) && !paths.contains(&***path))
            .min();
        if let Some(absent) = absent {
            return Err(format!("its RECORD names {absent}, which it does not hold"));
        }
    }
    Ok(by_path)
}

struct Arranging<'a> {
    layout: &'a Layout,
    contents: &'a dyn Contents,
    source: &'a WheelSource<'a>,
    wheel: &'a Wheel<'a>,
}

impl<'a> Arranging<'a> {
    fn placement(&self) -> Result<Placement, WheelError> {
        let mut placement = Placement::default();
        let mut entries: Vec<Entry<'a>> = Vec::new();
        for (number, member) in self.contents.members().iter().enumerate() {
            entries.extend(self.member(number, member, &mut placement)?);
        }
        let recorded: HashSet<Cow<'_, str>> =
            entries.iter().map(|entry| entry.path.clone()).collect();
        let mut own: Vec<(String, u16, Vec<u8>, String)> = Vec::new();
        for entry in &self.wheel.scripts {
            if is_own_script(self.layout, &entry.name) {
                return Err(self.replaces(&entry.name));
            }
            let (path, text) = scripts::script(self.layout, entry)
                .map_err(|error| refused(self.source, error.to_string()))?;
            let name = format!("{}/{path}", self.layout.site_to_top());
            // A launcher gives way to a script file of the same name, which some wheels also bring.
            let is_taken = own.iter().any(|(other, ..)| *other == path);
            if !recorded.contains(name.as_str()) && !is_taken {
                own.push((path, 0o755, text, name));
            }
        }
        let (site, dist_info) = (&self.layout.site, self.wheel.dist_info);
        for (name, bytes) in installer::files(self.source.direct_url.as_deref()) {
            let path = format!("{dist_info}/{name}");
            own.push((format!("{site}/{path}"), 0o644, bytes, path));
        }
        for (path, mode, bytes, recorded) in own {
            entries.push(Entry::of(recorded, &bytes));
            placement
                .files
                .push(placed(path, mode, From::Bytes(bytes))?);
        }
        let record = format!("{dist_info}/RECORD");
        // Some wheels mark RECORD executable (geoip2 does); rewriting it changes no mode.
        let mut members = self.contents.members().iter();
        let mode = members.find(|member| member.path == record);
        let mode = mode.map_or(0o644, |member| member.mode);
        let place = format!("{site}/{record}");
        let text = installer::record(dist_info, entries).into_bytes();
        placement
            .files
            .push(placed(place, mode, From::Bytes(text))?);
        Ok(placement)
    }

    fn replaces(&self, script: &str) -> WheelError {
        let reason = format!("its script {script} would replace the environment's own");
        refused(self.source, reason)
    }

    /// Gives a member its place, and returns its line of RECORD.
    fn member(
        &self,
        number: usize,
        member: &'a Member,
        placement: &mut Placement,
    ) -> Result<Option<Entry<'a>>, WheelError> {
        let path = member.path.as_str();
        let Some((place, recorded, is_script)) = self.scheme(path)? else {
            return Ok(None);
        };
        if member.is_folder {
            placement.folders.push(tree_path(place)?);
            return Ok(None);
        }
        let own = path.strip_prefix(self.wheel.dist_info);
        let own = own.and_then(|own| own.strip_prefix('/'));
        if own.is_some_and(|own| installer::OWN.contains(&own)) {
            return Ok(None);
        }
        let entry = self.wheel.record.get(path).cloned();
        let entry = entry.unwrap_or_else(|| Entry {
            path: path.into(),
            hash: Cow::default(),
            size: Cow::default(),
        });
        let expected =
            record::digest(&entry.hash).map_err(|()| refused(self.source, lie(&entry.path)))?;
        if is_script {
            let bytes = self.contents.whole(number)?;
            if let Some((place, rewritten)) = scripts::rewritten(self.layout, &place, &bytes) {
                if let Some(expected) = expected
                    && Digest::of(expected.algorithm(), &bytes) != expected
                {
                    return Err(refused(self.source, lie(&entry.path)));
                }
                let recorded = format!("{}/{place}", self.layout.site_to_top());
                let entry = Entry::of(recorded, &rewritten);
                placement
                    .files
                    .push(placed(place, 0o755, From::Bytes(rewritten))?);
                return Ok(Some(entry));
            }
        }
        let mode = if is_script { 0o755 } else { member.mode };
        let mut file = placed(place, mode, From::Member(number))?;
        file.expected = expected;
        placement.files.push(file);
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
            "scripts" if is_own_script(layout, rest) => Err(self.replaces(rest)),
            "scripts" => Ok(outside(format!("{}/{rest}", layout.scripts), true)),
            "headers" => Ok(outside(
                format!("{}/{}/{rest}", layout.headers, self.source.name),
                false,
            )),
            "data" if is_own(layout, rest) => Err(WheelError::Format {
                wheel: self.source.file_name.to_owned(),
                reason: format!("its .data contains {rest}, which is the environment's own"),
            }),
            "data" => Ok(outside(rest.to_owned(), false)),
            other => Err(WheelError::Format {
                wheel: self.source.file_name.to_owned(),
                reason: format!("its .data folder has a scheme `{other}` that is not known"),
            }),
        }
    }
}

/// Whether a path of an environment is what it is made of, or what is noted of it.
fn is_own(layout: &Layout, path: &str) -> bool {
    let first = path.split('/').next().unwrap_or_default();
    let is_top = matches!(
        path,
        "pyvenv.cfg" | ".gitignore" | "CACHEDIR.TAG" | "lib64" | ".lockwright"
    ) || first.starts_with(".lockwright");
    let script = path.strip_prefix(layout.scripts.as_str());
    let script = script.and_then(|rest| rest.strip_prefix('/'));
    is_top || script.is_some_and(|name| is_own_script(layout, name))
}

/// Whether a script's name is one of the environment's own, which Windows knows without its case and `.exe`, too.
fn is_own_script(layout: &Layout, name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let bare = lower.strip_suffix(".exe").unwrap_or(&lower);
    match layout.windows {
        Some(_) => metadata::is_reserved(bare) || ["pythonw", "deactivate.bat"].contains(&bare),
        None => metadata::is_reserved(name),
    }
}

fn placed(path: String, mode: u16, from: From) -> Result<PlacedFile, WheelError> {
    Ok(PlacedFile {
        path: tree_path(path)?,
        mode,
        from,
        expected: None,
    })
}

fn tree_path(path: String) -> Result<TreePath, WheelError> {
    Ok(TreePath::new(path).map_err(TreeError::from)?)
}

#[cfg(test)]
#[path = "wheel_tests.rs"]
mod tests;
