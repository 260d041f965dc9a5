//! Pairs the packages of two locks, and says what became of each.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::facts::{File, FileKind, LockFacts, Package, without_password};
use super::findings;
use super::found::label;
use super::model::{
    Change, ChangeKind, FileChange, FileFacts, Finding, LockDiff, Locked, PackageOrigin,
    Requirement, Setting, Severity, Side, Summary, VERSION,
};
use super::pair::{Pair, pairs};
use super::version::Step;

/// Compares two locks.
pub fn compare(old: &LockFacts, new: &LockFacts) -> LockDiff {
    let pairs = pairs(old, new);
    let findings = findings::find(old, new, &pairs);
    let mut changes: Vec<Change> = pairs.iter().filter_map(|pair| change(pair, new)).collect();
    changes.sort_by(|one, other| one.name.cmp(&other.name));
    let unchanged = pairs.len() - changes.len();
    let mut diff = LockDiff {
        version: VERSION,
        ecosystem: new.ecosystem,
        old: side(old),
        new: side(new),
        targets: Vec::new(),
        summary: Summary {
            unchanged,
            ..Summary::default()
        },
        findings,
        settings: settings(old, new),
        requirements: requirements(old, new),
        changes,
    };
    diff.count();
    diff
}

impl LockDiff {
    /// Counts anew what there is of what, and how much each change matters.
    pub(crate) fn count(&mut self) {
        let mut worst: HashMap<&str, Severity> = HashMap::new();
        for finding in &self.findings {
            for label in &finding.packages {
                let known = worst.entry(label).or_insert(finding.severity);
                *known = (*known).min(finding.severity);
            }
        }
        for change in &mut self.changes {
            change.worst = worst.get(change.label().as_str()).copied();
        }
        let severe = |severity| {
            let all = self.findings.iter();
            all.filter(|finding| finding.severity == severity).count()
        };
        let of = |kind| {
            self.changes
                .iter()
                .filter(|change| change.kind == kind)
                .count()
        };
        let ups = |step| {
            let all = self
                .changes
                .iter()
                .filter(|change| change.kind == ChangeKind::Up);
            all.filter(|change| change.step == Some(step)).count()
        };
        self.summary = Summary {
            alarms: severe(Severity::Alarm),
            warnings: severe(Severity::Warning),
            notes: severe(Severity::Note),
            added: of(ChangeKind::Added),
            removed: of(ChangeKind::Removed),
            up: of(ChangeKind::Up),
            major: ups(Step::Major),
            minor: ups(Step::Minor),
            patch: ups(Step::Patch),
            label: ups(Step::Label),
            down: of(ChangeKind::Down),
            moved: of(ChangeKind::Moved),
            altered: of(ChangeKind::Altered),
            relocated: of(ChangeKind::Relocated),
            unchanged: self.summary.unchanged,
        };
    }

    /// The findings of a severity.
    pub fn of_severity(&self, severity: Severity) -> impl Iterator<Item = &Finding> {
        self.findings
            .iter()
            .filter(move |finding| finding.severity == severity)
    }
}

impl Change {
    /// `name version`, as findings name it.
    pub fn label(&self) -> String {
        let locked = self.new.as_ref().or(self.old.as_ref());
        label(
            &self.name,
            locked.and_then(|locked| locked.version.as_deref()),
        )
    }
}

fn side(facts: &LockFacts) -> Side {
    Side {
        label: facts.label.clone(),
        packages: facts.each().count(),
        bytes: facts.each().filter_map(|(_, package)| package.size()).sum(),
    }
}

/// Every package of both locks, in order of name.
fn change(pair: &Pair<'_>, new_lock: &LockFacts) -> Option<Change> {
    let kind = match (pair.old, pair.new) {
        (None, None) => return None,
        (None, Some(_)) => ChangeKind::Added,
        (Some(_), None) => ChangeKind::Removed,
        (Some(old), Some(new)) => kind_of(old, new)?,
    };
    let step = match (pair.old, pair.new) {
        (Some(old), Some(new)) => old.number.step_to(&new.number),
        _ => None,
    };
    let (mut files, mut tags) = (Vec::new(), [Vec::new(), Vec::new()]);
    if let (Some(old), Some(new)) = (pair.old, pair.new) {
        let one_each = old.files.len() <= 1 && new.files.len() <= 1;
        if kind == ChangeKind::Altered || one_each && kind != ChangeKind::Relocated {
            files = file_changes(old, new);
        } else {
            tags = [tags_without(old, new), tags_without(new, old)];
        }
    }
    let [tags_gone, tags_new] = tags;
    Some(Change {
        name: pair.name.to_owned(),
        kind,
        step,
        old: pair.old.map(locked),
        new: pair.new.map(locked),
        why: pair
            .new
            .or(pair.old)
            .map(|one| one.why.clone())
            .unwrap_or_default(),
        beside: match kind {
            ChangeKind::Added | ChangeKind::Removed => others(pair, new_lock),
            _ => Vec::new(),
        },
        files,
        tags_gone,
        tags_new,
        links: BTreeMap::new(),
        contents: None,
        targets: Vec::new(),
        worst: None,
    })
}

/// The other versions of a package in the new lock.
fn others(pair: &Pair<'_>, new_lock: &LockFacts) -> Vec<String> {
    let all = new_lock.packages.get(pair.name).into_iter().flatten();
    let own = pair.new.map(|new| &new.number);
    all.filter(|other| Some(&other.number) != own)
        .filter_map(|other| other.version.clone())
        .collect()
}

/// What became of a package that both locks have; nothing where it is as it was.
fn kind_of(old: &Package, new: &Package) -> Option<ChangeKind> {
    if old.number != new.number {
        let comparable = old.number.step_to(&new.number).is_some();
        return Some(match old.number.cmp(&new.number) {
            _ if !comparable => ChangeKind::Moved,
            Ordering::Less => ChangeKind::Up,
            _ => ChangeKind::Down,
        });
    }
    let same = old.origin == new.origin
        && is_same(&old.files, &new.files)
        && old.checksum == new.checksum
        && old.license == new.license
        && old.install_script == new.install_script
        && old.native == new.native
        && old.deprecated == new.deprecated
        && old.engines == new.engines;
    if !same {
        return Some(ChangeKind::Altered);
    }
    (old.places != new.places).then_some(ChangeKind::Relocated)
}

/// Whether the files are the same ones; when one was published is of no account.
fn is_same(old: &[File], new: &[File]) -> bool {
    let key = |file: &File| {
        (
            file.name.clone(),
            file.location.clone(),
            file.digest.clone(),
        )
    };
    let set = |files: &[File]| files.iter().map(key).collect::<BTreeSet<_>>();
    old == new || set(old) == set(new)
}

fn file_changes(old: &Package, new: &Package) -> Vec<FileChange> {
    let named = |package: &'_ Package| -> BTreeMap<String, Vec<File>> {
        let mut all: BTreeMap<String, Vec<File>> = BTreeMap::new();
        for file in &package.files {
            all.entry(file.name.clone()).or_default().push(file.clone());
        }
        all
    };
    let (old, mut new) = (named(old), named(new));
    let mut changes = Vec::new();
    for (name, before) in old {
        let after = new.remove(&name).unwrap_or_default();
        let longest = before.len().max(after.len());
        for at in 0..longest {
            push(&mut changes, before.get(at), after.get(at));
        }
    }
    for after in new.values().flatten() {
        push(&mut changes, None, Some(after));
    }
    // Of another version the names differ: the one file belongs to the other.
    if let [one, other] = &changes[..]
        && one.new.is_none()
        && other.old.is_none()
    {
        return vec![FileChange {
            old: one.old.clone(),
            new: other.new.clone(),
        }];
    }
    changes
}

fn push(changes: &mut Vec<FileChange>, old: Option<&File>, new: Option<&File>) {
    let key = |file: &File| (file.location.clone(), file.digest.clone());
    if old.map(key) != new.map(key) {
        changes.push(FileChange {
            old: old.map(file_facts),
            new: new.map(file_facts),
        });
    }
}

fn file_facts(file: &File) -> FileFacts {
    FileFacts {
        name: file.name.clone(),
        kind: file.kind,
        tags: file.tags.clone(),
        location: without_password(&file.location),
        digest: file.digest.as_ref().map(ToString::to_string),
        size: file.size,
    }
}

fn tags_without(one: &Package, other: &Package) -> Vec<String> {
    let tags = |package: &Package| -> BTreeSet<String> {
        package
            .files
            .iter()
            .filter_map(|file| file.tags.clone())
            .collect()
    };
    tags(one).difference(&tags(other)).cloned().collect()
}

fn locked(package: &Package) -> Locked {
    let wheels = package
        .files
        .iter()
        .filter(|file| file.kind == FileKind::Wheel);
    Locked {
        version: package.version.clone(),
        source: PackageOrigin {
            kind: package.origin.kind,
            place: without_password(&package.origin.place),
            commit: package.origin.commit.clone(),
        },
        size: package.size(),
        published: package
            .files
            .iter()
            .filter_map(|file| file.uploaded.clone())
            .max(),
        publisher: None,
        license: package.license.clone(),
        native: package.native,
        install_script: package.install_script,
        wheels: wheels.count(),
        sdist: package.has(FileKind::Sdist),
        places: package.places.iter().cloned().collect(),
    }
}

fn settings(old: &LockFacts, new: &LockFacts) -> Vec<Setting> {
    differing(&old.settings, &new.settings)
        .map(|(name, old, new)| Setting {
            name: name.clone(),
            old: old.cloned(),
            new: new.cloned(),
        })
        .collect()
}

fn requirements(old: &LockFacts, new: &LockFacts) -> Vec<Requirement> {
    differing(&old.requirements, &new.requirements)
        .map(|((project, name), old, new)| Requirement {
            project: project.clone(),
            name: name.clone(),
            old: old.cloned(),
            new: new.cloned(),
        })
        .collect()
}

/// The keys whose values differ.
fn differing<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (&'a K, Option<&'a V>, Option<&'a V>)> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    keys.into_iter()
        .map(|key| (key, old.get(key), new.get(key)))
        .filter(|(_, old, new)| old != new)
}
