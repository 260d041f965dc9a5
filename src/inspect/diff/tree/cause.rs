//! Why two files of one path differ, as far down as it can be told.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;

use similar::{ChangeTag, TextDiff};

use super::model::{Cause, CauseKind};
use crate::core::foreign;
use crate::install::python::record::{path_of, within};
use crate::transform::elf;

/// Where two files are.
pub(super) struct Sides<'a> {
    pub(super) roots: [&'a Path; 2],
    pub(super) path: &'a Path,
}

/// Texts longer than this are told apart by their first difference alone, in bytes.
const LONG: usize = 2 << 20;

impl Sides<'_> {
    /// Whether both are the same once each tree's own path is taken out.
    pub(super) fn same_but_roots(&self, old: &[u8], new: &[u8]) -> bool {
        let [one, other] = self.roots.map(|root| root.as_os_str().as_encoded_bytes());
        // A root of a letter or two is found everywhere.
        if one == other || one.len() < 4 || other.len() < 4 {
            return false;
        }
        without(old, one) == without(new, other)
    }
}

/// Bytes with every occurrence of a path replaced by a byte that no path has.
fn without(bytes: &[u8], path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(bytes, path) {
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        out.push(0);
        from = at + path.len();
    }
    out.extend_from_slice(bytes.get(from..).unwrap_or_default());
    out
}

/// The causes; at least one.
pub(super) fn find(sides: &Sides<'_>, old: &[u8], new: &[u8]) -> Vec<Cause> {
    if sides.same_but_roots(old, new) {
        return vec![Cause::new(
            CauseKind::OwnPath,
            "holds the path of its own tree",
        )];
    }
    let name = sides
        .path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let found = match name {
        "RECORD" => record(sides, old, new),
        name if name.ends_with(".pyc") => pyc(old, new),
        _ if old.starts_with(b"PK") && new.starts_with(b"PK") => zip(old, new),
        _ if old.starts_with(b"\x1f\x8b") && new.starts_with(b"\x1f\x8b") => gzip(old, new),
        _ if elf::ElfFacts::applies_to(old) && elf::ElfFacts::applies_to(new) => sections(old, new),
        _ => None,
    };
    found
        .filter(|causes| !causes.is_empty())
        .or_else(|| lines(old, new))
        .unwrap_or_else(|| vec![bytes(old, new)])
}

fn record(sides: &Sides<'_>, old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    let sorted = |bytes: &[u8]| -> Option<Vec<String>> {
        let mut lines: Vec<String> = std::str::from_utf8(bytes)
            .ok()?
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        Some(lines)
    };
    let (before, after) = (sorted(old)?, sorted(new)?);
    if before == after {
        return Some(vec![Cause::new(
            CauseKind::RecordOrder,
            "the same lines in another order",
        )]);
    }
    let by_path = |lines: &[String]| -> BTreeMap<String, String> {
        let path = |line: &String| path_of(line).map(std::borrow::Cow::into_owned);
        lines
            .iter()
            .filter_map(|line| Some((path(line)?, line.clone())))
            .collect()
    };
    let (before, after) = (by_path(&before), by_path(&after));
    let mut causes = Vec::new();
    for path in before
        .keys()
        .chain(after.keys().filter(|path| !before.contains_key(*path)))
    {
        let (one, other) = (before.get(path), after.get(path));
        if one == other {
            continue;
        }
        let says = match (one, other) {
            (Some(_), None) => format!("no longer lists {path}"),
            (None, _) => format!("newly lists {path}"),
            (Some(_), Some(_)) => format!("has another hash of {path}"),
        };
        let both = one.is_some() && other.is_some();
        let kind = match both && holds_own_path(sides, path) {
            true => CauseKind::RecordOfOwnPath,
            false => CauseKind::Record,
        };
        causes.push(Cause::new(kind, says));
    }
    Some(causes)
}

/// Whether a recorded file differs between the trees in nothing but their own paths.
fn holds_own_path(sides: &Sides<'_>, recorded: &str) -> bool {
    let Some(site) = sides.path.parent().and_then(Path::parent) else {
        return false;
    };
    let [old, new] = sides.roots.map(|root| {
        let file = within(root, site, recorded)?;
        foreign::read(root.join(file), foreign::WHOLE).ok()
    });
    matches!((old, new), (Some(old), Some(new)) if sides.same_but_roots(&old, &new))
}

/// A pyc is a magic number, flags, and then either the source's time and length or its hash
/// (PEP 552); the code follows.
fn pyc(old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    let part = |bytes: &'_ [u8], from, to| bytes.get(from..to).map(<[u8]>::to_vec);
    let both = |from, to| Some((part(old, from, to)?, part(new, from, to)?));
    let mut causes = Vec::new();
    let (one, other) = both(0, 4)?;
    if one != other {
        causes.push(Cause::new(
            CauseKind::PycHeader,
            "made by another version of Python",
        ));
    }
    let (one, other) = both(4, 8)?;
    if one != other {
        causes.push(Cause::new(
            CauseKind::PycHeader,
            "is checked against its source in another way",
        ));
    } else if one == [0; 4] {
        let (one, other) = both(8, 12)?;
        if one != other {
            let time =
                |bytes: Vec<u8>| bytes.try_into().map(u32::from_le_bytes).unwrap_or_default();
            let says = format!("its source's time is {}, then {}", time(one), time(other));
            causes.push(Cause::new(CauseKind::PycTime, says));
        }
        let (one, other) = both(12, 16)?;
        if one != other {
            causes.push(Cause::new(
                CauseKind::PycHeader,
                "its source has another length",
            ));
        }
    } else {
        let (one, other) = both(8, 16)?;
        if one != other {
            causes.push(Cause::new(
                CauseKind::PycHeader,
                "its source has another hash",
            ));
        }
    }
    let (one, other) = (old.get(16..)?, new.get(16..)?);
    if one != other {
        let at = 16 + first_difference(one, other);
        let says = format!("its code differs, first at byte {at}");
        causes.push(Cause::new(CauseKind::PycCode, says));
    }
    Some(causes)
}

fn zip(old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    struct ArchivePart {
        name: String,
        crc: u32,
        size: u64,
        time: Option<String>,
    }
    let read = |bytes: &[u8]| -> Option<Vec<ArchivePart>> {
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).ok()?;
        (0..archive.len())
            .map(|index| {
                let member = archive.by_index_raw(index).ok()?;
                Some(ArchivePart {
                    name: member.name().ok()?.into_owned(),
                    crc: member.crc32(),
                    size: member.size(),
                    time: member.last_modified().map(|time| time.to_string()),
                })
            })
            .collect()
    };
    let (before, after) = (read(old)?, read(new)?);
    let named = |members: &'_ [ArchivePart]| -> BTreeMap<String, (u32, u64, Option<String>)> {
        let entry = |member: &ArchivePart| {
            (
                member.name.clone(),
                (member.crc, member.size, member.time.clone()),
            )
        };
        members.iter().map(entry).collect()
    };
    let (one, other) = (named(&before), named(&after));
    let mut causes = Vec::new();
    let mut times = Vec::new();
    for (name, (crc, size, time)) in &one {
        match other.get(name) {
            None => causes.push(Cause::new(
                CauseKind::ZipMember,
                format!("member {name} is gone"),
            )),
            Some((crc_after, size_after, _)) if (crc, size) != (crc_after, size_after) => {
                causes.push(Cause::new(
                    CauseKind::ZipMember,
                    format!("member {name} has other bytes"),
                ));
            }
            Some((.., after)) if time != after => times.push(name),
            Some(_) => {}
        }
    }
    for name in other.keys().filter(|name| !one.contains_key(*name)) {
        causes.push(Cause::new(
            CauseKind::ZipMember,
            format!("member {name} is new"),
        ));
    }
    if let Some(first) = times.first() {
        let says = format!("{} members have other times, as {first}", times.len());
        causes.push(Cause::new(CauseKind::ZipTime, says));
    }
    let order =
        |members: &[ArchivePart]| members.iter().map(|m| m.name.clone()).collect::<Vec<_>>();
    if causes.iter().all(|cause| cause.kind == CauseKind::ZipTime)
        && order(&before) != order(&after)
    {
        causes.push(Cause::new(
            CauseKind::ZipOrder,
            "its members are in another order",
        ));
    }
    if causes.is_empty() {
        let says = "holds the same members, packed or described otherwise";
        causes.push(Cause::new(CauseKind::ZipForm, says));
    }
    Some(causes)
}

fn gzip(old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    let rest = |bytes: &'_ [u8]| Some((bytes.get(..4)?.to_vec(), bytes.get(8..)?.to_vec()));
    let same = rest(old)? == rest(new)?;
    same.then(|| vec![Cause::new(CauseKind::GzipTime, "the time in its header")])
}

fn sections(old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    let (before, after) = (elf::sections(old).ok()?, elf::sections(new).ok()?);
    let mut causes = Vec::new();
    for (name, bytes) in &before {
        let kind = match name.as_str() {
            ".note.gnu.build-id" => CauseKind::BuildId,
            _ => CauseKind::Section,
        };
        match after.get(name) {
            None => causes.push(Cause::new(kind, format!("section {name} is gone"))),
            Some(other) if other != bytes => {
                let says = match (kind, bytes.len() == other.len()) {
                    (CauseKind::BuildId, _) => String::from("its build id"),
                    (_, true) => {
                        let at = first_difference(bytes, other);
                        format!("section {name}, first at its byte {at}")
                    }
                    (_, false) => format!(
                        "section {name}, {} bytes, then {}",
                        bytes.len(),
                        other.len()
                    ),
                };
                causes.push(Cause::new(kind, says));
            }
            Some(_) => {}
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        causes.push(Cause::new(
            CauseKind::Section,
            format!("section {name} is new"),
        ));
    }
    if causes.is_empty() {
        causes.push(Cause::new(
            CauseKind::Section,
            "its headers, or what lies between its sections",
        ));
    }
    Some(causes)
}

fn lines(old: &[u8], new: &[u8]) -> Option<Vec<Cause>> {
    let text = |bytes: &'_ [u8]| -> Option<String> {
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.contains('\0')).then(|| text.to_owned())
    };
    let (before, after) = (text(old)?, text(new)?);
    if before.replace("\r\n", "\n") == after.replace("\r\n", "\n") {
        return Some(vec![Cause::new(
            CauseKind::LineEnd,
            "only in how its lines end",
        )]);
    }
    if old.len().max(new.len()) > LONG {
        let at = first_difference(old, new);
        let line = memchr::memchr_iter(b'\n', old.get(..at)?).count() + 1;
        return Some(vec![Cause::new(
            CauseKind::Line,
            format!("first in line {line}"),
        )]);
    }
    let diff = TextDiff::from_lines(before.as_str(), after.as_str());
    let (mut added, mut removed, mut first) = (0_usize, 0_usize, None);
    for change in diff.iter_all_changes() {
        let (sign, count) = match change.tag() {
            ChangeTag::Insert => ("+", &mut added),
            ChangeTag::Delete => ("−", &mut removed),
            ChangeTag::Equal => continue,
        };
        *count += 1;
        let at = change.old_index().or(change.new_index()).unwrap_or(0) + 1;
        let line: String = change.value().trim_end().chars().take(80).collect();
        first.get_or_insert_with(|| format!("line {at}: {sign}{line}"));
    }
    let says = format!("{} (+{added} −{removed} lines)", first.unwrap_or_default());
    Some(vec![Cause::new(CauseKind::Line, says)])
}

fn bytes(old: &[u8], new: &[u8]) -> Cause {
    let at = first_difference(old, new);
    let says = match old.len() == new.len() {
        true => {
            let count = old
                .iter()
                .zip(new)
                .filter(|(one, other)| one != other)
                .count();
            format!("{count} of {} bytes, first at {at}", old.len())
        }
        false => format!("{} bytes, then {}, first at {at}", old.len(), new.len()),
    };
    Cause::new(CauseKind::Bytes, says)
}

fn first_difference(one: &[u8], other: &[u8]) -> usize {
    let same = one
        .iter()
        .zip(other)
        .take_while(|(one, other)| one == other);
    same.count()
}
