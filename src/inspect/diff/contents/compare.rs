//! What differs between two artifacts, and what of it must be seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Contents, ContentsDiff, FieldDiff, HookDiff, Library, LibraryDiff};
use crate::inspect::diff::findings::license;
use crate::inspect::diff::model::{Finding, FindingKind, Severity};
use crate::install::python::is_run_at_start;

/// Compares the artifacts of two versions; one of them may be missing.
pub fn compare(old: Option<&Contents>, new: Option<&Contents>) -> ContentsDiff {
    let nothing = Contents::default();
    let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
    let size = |contents: &Contents| -> i64 {
        let all: u64 = contents.files.values().map(|(size, _)| size).sum();
        i64::try_from(all).unwrap_or(i64::MAX)
    };
    let names = |contents: &Contents| contents.files.keys().cloned().collect::<BTreeSet<_>>();
    let (before, after) = (names(old), names(new));
    // What a package that is gone says of itself is no loss.
    let is_gone = new.files.is_empty();
    ContentsDiff {
        files_added: without(&after, &before),
        files_removed: without(&before, &after),
        files_changed: (old.files.iter())
            .filter(|(path, facts)| new.files.get(*path).is_some_and(|other| other != *facts))
            .map(|(path, _)| path.clone())
            .collect(),
        growth: size(new) - size(old),
        glibc_old: old.glibc(),
        glibc_new: new.glibc(),
        modules_added: without(&new.modules, &old.modules),
        modules_removed: without(&old.modules, &new.modules),
        entry_points_added: without(&new.entry_points, &old.entry_points),
        entry_points_removed: without(&old.entry_points, &new.entry_points),
        libraries: libraries(&old.libraries, &new.libraries),
        metadata: match is_gone {
            true => Vec::new(),
            false => metadata(&old.metadata, &new.metadata),
        },
        hooks: hooks(old, new),
    }
}

impl Contents {
    /// The lowest glibc that all of its libraries can be loaded with.
    fn glibc(&self) -> Option<String> {
        let all = self.libraries.values();
        let highest = all
            .filter_map(|library| library.glibc.as_deref())
            .max_by_key(|version| numbers(version));
        highest.map(str::to_owned)
    }
}

fn without(all: &BTreeSet<String>, others: &BTreeSet<String>) -> Vec<String> {
    all.difference(others).cloned().collect()
}

/// Libraries by their names without the tag of an interpreter or a digest: `x.cpython-313-….so` is
/// the one that was `x.cpython-312-….so`.
fn libraries(old: &BTreeMap<String, Library>, new: &BTreeMap<String, Library>) -> Vec<LibraryDiff> {
    let by_stem = |all: &'_ BTreeMap<String, Library>| -> BTreeMap<String, (String, Library)> {
        let entry =
            |(path, library): (&String, &Library)| (stem(path), (path.clone(), library.clone()));
        all.iter().map(entry).collect()
    };
    let (before, after) = (by_stem(old), by_stem(new));
    let stems: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut all = Vec::new();
    for stem in stems {
        let (one, other) = (before.get(stem), after.get(stem));
        let empty = Library {
            needed: BTreeSet::new(),
            glibc: None,
            exported: BTreeSet::new(),
        };
        let path = other
            .or(one)
            .map(|(path, _)| path.clone())
            .unwrap_or_default();
        let change = match (one, other) {
            (None, _) => "added",
            (_, None) => "removed",
            _ => "changed",
        };
        let (one, other) = (
            one.map_or(&empty, |(_, l)| l),
            other.map_or(&empty, |(_, l)| l),
        );
        let whole = change != "changed";
        let difference = LibraryDiff {
            path,
            change: change.to_owned(),
            needed_added: without(&other.needed, &one.needed),
            needed_removed: without(&one.needed, &other.needed),
            glibc_old: one.glibc.clone(),
            glibc_new: other.glibc.clone(),
            // Of one that is new all names are, which says nothing.
            exported_added: if whole {
                Vec::new()
            } else {
                without(&other.exported, &one.exported)
            },
            exported_removed: if whole {
                Vec::new()
            } else {
                without(&one.exported, &other.exported)
            },
        };
        let same = LibraryDiff {
            path: difference.path.clone(),
            change: difference.change.clone(),
            glibc_old: difference.glibc_old.clone(),
            glibc_new: difference.glibc_old.clone(),
            ..LibraryDiff::default()
        };
        if whole || difference != same {
            all.push(difference);
        }
    }
    all
}

fn stem(path: &str) -> String {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    // auditwheel names a bundled library by a digest: libz-1a2b3c4d.so.1
    let name = name.split('.').next().unwrap_or(name);
    let name = match name.rsplit_once('-') {
        Some((stem, digest))
            if digest.len() == 8 && digest.bytes().all(|b| b.is_ascii_hexdigit()) =>
        {
            stem
        }
        _ => name,
    };
    format!("{folder}/{name}")
}

fn metadata(
    old: &BTreeMap<String, BTreeSet<String>>,
    new: &BTreeMap<String, BTreeSet<String>>,
) -> Vec<FieldDiff> {
    let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let nothing = BTreeSet::new();
    let field = |field: &String| {
        let (one, other) = (
            old.get(field).unwrap_or(&nothing),
            new.get(field).unwrap_or(&nothing),
        );
        let difference = FieldDiff {
            field: field.clone(),
            removed: without(one, other),
            added: without(other, one),
        };
        let same_license = match (&difference.removed[..], &difference.added[..]) {
            ([old], [new]) if is_license(field) => license(old, Some(new)).is_none(),
            _ => false,
        };
        (one != other && !same_license).then_some(difference)
    };
    fields.into_iter().filter_map(field).collect()
}

fn hooks(old: &Contents, new: &Contents) -> Vec<HookDiff> {
    let names: BTreeSet<&String> = old.hooks.keys().chain(new.hooks.keys()).collect();
    let mut all = Vec::new();
    for name in names {
        let (one, other) = (old.hooks.get(name), new.hooks.get(name));
        if one == other {
            continue;
        }
        let nothing = BTreeSet::new();
        let before = one.map_or(&nothing, |hook| &hook.reaches);
        let after = other.map_or(&nothing, |hook| &hook.reaches);
        all.push(HookDiff {
            hook: name.clone(),
            old: one.map(|hook| hook.what.clone()),
            new: other.map(|hook| hook.what.clone()),
            reaches: without(after, before),
        });
    }
    all
}

/// What is known of a package besides what is in its files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seen {
    /// It was not there before, in no version.
    pub is_new: bool,
    /// It has the version that it had.
    pub same_version: bool,
    /// The glibc that there is wherever it is used.
    pub glibc: Option<(u16, u16)>,
}

/// What of it a reviewer must see.
pub fn findings(label: &str, diff: &ContentsDiff, seen: Seen) -> Vec<Finding> {
    let Seen {
        is_new,
        same_version,
        glibc,
    } = seen;
    let mut all = Vec::new();
    let mut say = |severity, kind, says| all.push(finding(label, severity, kind, says));
    for hook in diff.hooks.iter().filter(|hook| hook.new.is_some()) {
        let name = &hook.hook;
        let at_start = is_run_at_start(name);
        if !hook.reaches.is_empty() || at_start && hook.old.is_none() {
            let severity = match is_new && !at_start {
                true => Severity::Warning,
                false => Severity::Alarm,
            };
            let with = match hook.reaches.is_empty() {
                true => String::new(),
                false => format!(", with {}", hook.reaches.join(", ")),
            };
            let when = if at_start {
                "whenever Python starts"
            } else {
                "when it is installed"
            };
            say(
                severity,
                FindingKind::HookReaches,
                format!("newly runs {name} {when}{with}"),
            );
        } else if hook.old.is_none() && !is_new {
            say(
                Severity::Warning,
                FindingKind::InstallScript,
                format!("newly runs {name} when it is installed"),
            );
        }
    }
    let native = diff
        .libraries
        .iter()
        .filter(|library| library.change == "added")
        .count();
    if native > 0 && !is_new {
        say(
            Severity::Note,
            FindingKind::Native,
            format!("brings {native} more compiled files"),
        );
    }
    if let (Some(old), Some(new)) = (&diff.glibc_old, &diff.glibc_new)
        && numbers(new) > numbers(old)
    {
        let there = glibc.map(|(major, minor)| vec![u32::from(major), u32::from(minor)]);
        let severity = match there.is_some_and(|there| there >= numbers(new)) {
            true => Severity::Note,
            false => Severity::Warning,
        };
        let says = format!("needs a newer glibc: {old} → {new}");
        say(severity, FindingKind::GlibcFloor, says);
    }
    let mut fields = diff.metadata.iter();
    if let Some(field) = fields.find(|field| is_license(&field.field))
        && !is_new
        && let ([old, ..], new) = (&field.removed[..], field.added.first())
        && let Some((says, (old, new))) = license(old, new.map(String::as_str))
    {
        all.push(Finding {
            old,
            new,
            ..finding(
                label,
                Severity::Warning,
                FindingKind::LicenseChanged,
                says.to_owned(),
            )
        });
    }
    let mut say = |severity, kind, says| all.push(finding(label, severity, kind, says));
    if same_version {
        let changed = diff.files_changed.len() + diff.files_added.len() + diff.files_removed.len();
        if changed > 0 {
            say(
                Severity::Warning,
                FindingKind::FilesReplaced,
                format!("has the same version, and {changed} files in it differ"),
            );
        }
    }
    all
}

fn finding(label: &str, severity: Severity, kind: FindingKind, says: String) -> Finding {
    Finding {
        severity,
        kind,
        packages: vec![label.to_owned()],
        says,
        old: None,
        new: None,
        targets: Vec::new(),
    }
}

fn is_license(field: &str) -> bool {
    field.eq_ignore_ascii_case("license")
}

fn numbers(version: &str) -> Vec<u32> {
    version
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect()
}
