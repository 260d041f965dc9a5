//! What a reviewer must see.
//!
//! Each rule looks at one package that both locks have, or at one that is new, and says a sentence
//! that holds for the package it is about. Findings of the same words are told once, with all their
//! packages.

use std::collections::BTreeSet;

use super::facts::{
    Doubt, File, FileKind, LockFacts, Origin, OriginKind, Package, without_password,
};
use super::found::{Found, FromTo, NOTHING, label};
use super::lookalike::Known;
use super::model::{Finding, FindingKind, Severity};
use super::pair::Pair;
use crate::core::digest::Digest;
use crate::inspect::licence::Licence;

/// Looks at every pair.
pub(super) fn find(old: &LockFacts, new: &LockFacts, pairs: &[Pair<'_>]) -> Vec<Finding> {
    let mut found = Found::default();
    let hosts: BTreeSet<String> = old
        .each()
        .flat_map(|(_, package)| package.hosts())
        .collect();
    let rules = Rules {
        other_python: old.settings.get("requires-python") != new.settings.get("requires-python"),
        alike: Known::new(hosts.iter().map(String::as_str)),
        hosts: &hosts,
        names: Known::new(old.packages.keys().map(String::as_str)),
    };
    if rules.other_python {
        let side = |facts: &LockFacts| facts.settings.get("requires-python").cloned();
        found.say(
            "",
            Severity::Note,
            FindingKind::RequiresPython,
            "the lock requires another Python",
            (side(old), side(new)),
        );
    }
    for pair in pairs {
        let Some(new) = pair.new else { continue };
        let label = label(pair.name, new.version.as_deref());
        // Another version beside one that is there already is checked against that one: it is not new.
        let beside = || old.packages.get(pair.name)?.last();
        match pair.old.or_else(beside) {
            Some(old) => rules.both(&mut found, &label, old, new, pair.old.is_some()),
            None => rules.added(&mut found, &label, pair.name, new),
        }
    }
    found.into_findings()
}

struct Rules<'a> {
    /// Whether the lock asks for another Python: it then names other wheels of the same versions.
    other_python: bool,
    /// Where the old lock has things from.
    hosts: &'a BTreeSet<String>,
    alike: Known<'a>,
    names: Known<'a>,
}

impl Rules<'_> {
    /// `replaces`: the old one is not there any more.
    fn both(&self, found: &mut Found, label: &str, old: &Package, new: &Package, replaces: bool) {
        let same_version = old.number == new.number;
        if same_version {
            digests(found, label, old, new);
            checksums(found, label, old, new);
            self.other_files(found, label, old, new);
        }
        Self::source(found, label, old, new);
        if old.has(FileKind::Wheel) && !new.has(FileKind::Wheel) && new.has(FileKind::Sdist) {
            let says = "had a wheel and is now built from source: its code runs while it is \
                        installed";
            found.say(
                label,
                Severity::Alarm,
                FindingKind::WheelToSdist,
                says,
                NOTHING,
            );
        }
        doubts(found, label, Some(old), new);
        if !same_version && lacks_digest(new) && !lacks_digest(old) {
            let says = "had digests, and a file of the new version has none";
            found.say(
                label,
                Severity::Alarm,
                FindingKind::DigestRemoved,
                says,
                NOTHING,
            );
        }
        if replaces && old.number > new.number && old.number.step_to(&new.number).is_some() {
            let from_to = (old.version.clone(), new.version.clone());
            let says = "moved to a lower version";
            found.say(
                label,
                Severity::Warning,
                FindingKind::Downgrade,
                says,
                from_to,
            );
        }
        if new.install_script && !old.install_script {
            let severity = if same_version {
                Severity::Alarm
            } else {
                Severity::Warning
            };
            let says = "newly has a script that runs when it is installed";
            found.say(label, severity, FindingKind::InstallScript, says, NOTHING);
        }
        if new.native && !old.native && (!old.files.is_empty()) {
            let says = "newly brings compiled code";
            found.say(label, Severity::Warning, FindingKind::Native, says, NOTHING);
        }
        if let (Some(before), after) = (&old.license, &new.license)
            && let Some((says, from_to)) = license(before, after.as_deref())
        {
            let kind = FindingKind::LicenseChanged;
            found.say(label, Severity::Warning, kind, says, from_to);
        }
        if let Some(said) = new.deprecated.as_ref().filter(|_| old.deprecated.is_none()) {
            let says = format!("is now deprecated: {said}");
            found.say(
                label,
                Severity::Note,
                FindingKind::Deprecated,
                &says,
                NOTHING,
            );
        }
    }

    fn added(&self, found: &mut Found, label: &str, name: &str, new: &Package) {
        doubts(found, label, None, new);
        for host in new.hosts().difference(self.hosts) {
            match self.alike.alike(host, |_| true) {
                Some(known) => {
                    let from_to = (Some(known.to_owned()), Some(host.clone()));
                    let says = "is new, from a host that could be taken for one of the old lock's";
                    found.say(label, Severity::Alarm, FindingKind::HostNew, says, from_to);
                }
                None if self.hosts.is_empty() => {}
                None => {
                    let says = "is new, from a host that the old lock does not know";
                    let from_to = (None, Some(host.clone()));
                    found.say(
                        label,
                        Severity::Warning,
                        FindingKind::HostNew,
                        says,
                        from_to,
                    );
                }
            }
        }
        unencrypted(found, label, &BTreeSet::new(), &new.hosts());
        if lacks_digest(new) {
            let says = "is new, and the lock has no digest of it";
            found.say(
                label,
                Severity::Warning,
                FindingKind::DigestRemoved,
                says,
                NOTHING,
            );
        }
        if let Some(known) = self.names.package(name) {
            let from_to = (Some(known.to_owned()), Some(name.to_owned()));
            let says = "is new, and its name is nearly that of a package of the old lock";
            found.say(
                label,
                Severity::Warning,
                FindingKind::Lookalike,
                says,
                from_to,
            );
        }
        if new.install_script {
            let says = "is new, and has a script that runs when it is installed";
            found.say(
                label,
                Severity::Warning,
                FindingKind::InstallScript,
                says,
                NOTHING,
            );
        }
        if new.has(FileKind::Sdist) && !new.has(FileKind::Wheel) {
            let says = "is new and has no wheel: its code runs while it is installed";
            found.say(
                label,
                Severity::Warning,
                FindingKind::InstallScript,
                says,
                NOTHING,
            );
        }
        if new.native {
            let says = "is new, and brings compiled code";
            found.say(label, Severity::Note, FindingKind::Native, says, NOTHING);
        }
        if let Some(said) = &new.deprecated {
            let says = format!("is new and deprecated: {said}");
            found.say(
                label,
                Severity::Warning,
                FindingKind::Deprecated,
                &says,
                NOTHING,
            );
        }
    }

    /// Files that were added to a version, or are gone from it.
    fn other_files(&self, found: &mut Found, label: &str, old: &Package, new: &Package) {
        if old.files.is_empty() || new.files.is_empty() || old.origin.kind != new.origin.kind {
            return;
        }
        let names = |package: &Package| -> BTreeSet<String> {
            package.files.iter().map(|file| file.name.clone()).collect()
        };
        let (before, after) = (names(old), names(new));
        if before == after {
            return;
        }
        if self.other_python {
            let says =
                "has the same version and other wheels, since the lock requires another Python";
            found.say(
                label,
                Severity::Note,
                FindingKind::FilesAdded,
                says,
                NOTHING,
            );
            return;
        }
        if before.is_disjoint(&after) {
            let says = "has the same version and none of the files that it had";
            let name = |names: &BTreeSet<String>| names.first().cloned();
            let from_to = (name(&before), name(&after));
            found.say(
                label,
                Severity::Alarm,
                FindingKind::FilesReplaced,
                says,
                from_to,
            );
            return;
        }
        let listed = |names: Vec<&String>| match &names[..] {
            [] => None,
            [one] => Some((*one).clone()),
            [one, rest @ ..] => Some(format!("{one} and {} more", rest.len())),
        };
        if let Some(gone) = listed(before.difference(&after).collect()) {
            let says = "has the same version, and files of it were removed or yanked";
            let kind = FindingKind::FilesRemoved;
            found.say(label, Severity::Warning, kind, says, (Some(gone), None));
        }
        if let Some(added) = listed(after.difference(&before).collect()) {
            let says = "has the same version, and files were added to it";
            let kind = FindingKind::FilesAdded;
            found.say(label, Severity::Note, kind, says, (None, Some(added)));
        }
    }

    /// Where a package comes from.
    fn source(found: &mut Found, label: &str, old: &Package, new: &Package) {
        let (before, after) = (old.hosts(), new.hosts());
        unencrypted(found, label, &before, &after);
        if old.origin.kind != new.origin.kind {
            let says = "comes from another kind of place";
            let from_to = (Some(shown(&old.origin)), Some(shown(&new.origin)));
            found.say(
                label,
                Severity::Alarm,
                FindingKind::SourceChanged,
                says,
                from_to,
            );
            return;
        }
        let gone: Vec<&String> = before.difference(&after).collect();
        let come: Vec<&String> = after.difference(&before).collect();
        if !come.is_empty() && !before.is_empty() {
            let known = Known::new(before.iter().map(String::as_str));
            let alike = come.iter().any(|new| known.alike(new, |_| true).is_some());
            let says = if alike {
                "comes from a host whose name is nearly that of the old one"
            } else {
                "comes from another host"
            };
            let join = |all: &[&String]| {
                let all: Vec<&str> = all.iter().map(|one| one.as_str()).collect();
                (!all.is_empty()).then(|| all.join(", "))
            };
            let from_to = (join(&gone), join(&come));
            found.say(
                label,
                Severity::Alarm,
                FindingKind::HostChanged,
                says,
                from_to,
            );
        } else if old.origin.place != new.origin.place && old.origin.kind != OriginKind::Url {
            let says = match old.origin.kind {
                OriginKind::Registry => "comes from another index of the same host",
                OriginKind::Git => "comes from another repository of the same host",
                _ => "comes from another path",
            };
            let from_to = (Some(shown(&old.origin)), Some(shown(&new.origin)));
            found.say(
                label,
                Severity::Warning,
                FindingKind::SourceChanged,
                says,
                from_to,
            );
        }
        if old.origin.kind == OriginKind::Git && old.origin.commit != new.origin.commit {
            let is_same_name = old.origin.reference == new.origin.reference
                && (old.origin.reference.as_ref()).is_some_and(|name| name.starts_with("tag "));
            let from_to = (old.origin.commit.clone(), new.origin.commit.clone());
            if is_same_name {
                let says = "its tag is at another commit";
                found.say(
                    label,
                    Severity::Alarm,
                    FindingKind::CommitMoved,
                    says,
                    from_to,
                );
            } else {
                let says = "is another commit";
                found.say(
                    label,
                    Severity::Note,
                    FindingKind::CommitMoved,
                    says,
                    from_to,
                );
            }
        }
    }
}

fn shown(origin: &Origin) -> String {
    let kind = match origin.kind {
        OriginKind::Registry => "registry",
        OriginKind::Url => "URL",
        OriginKind::Git => "git",
        OriginKind::Local => "path",
        OriginKind::Bundle => "bundle",
    };
    let text = format!("{kind} {}", without_password(&origin.place));
    text.trim_end().to_owned()
}

/// The same file with other bytes: what no version may have.
fn digests(found: &mut Found, label: &str, old: &Package, new: &Package) {
    let pairs: Vec<(&File, &File)> = match (&old.files[..], &new.files[..]) {
        ([one], [other]) if one.kind == FileKind::Tarball => vec![(one, other)],
        (old, new) => (new.iter())
            .filter_map(|file| {
                // One name may stand there with several digests; any of them will do.
                let mut named = old.iter().filter(|one| one.name == file.name);
                let first = named.clone().next()?;
                Some((
                    named.find(|one| one.digest == file.digest).unwrap_or(first),
                    file,
                ))
            })
            .collect(),
    };
    let mut changed: Vec<(&File, &Digest, &Digest)> = Vec::new();
    for (one, other) in pairs {
        match (&one.digest, &other.digest) {
            (Some(before), None) => {
                let says = format!("{} has no digest any more", other.name);
                let from_to = (Some(before.to_string()), None);
                found.say(
                    label,
                    Severity::Alarm,
                    FindingKind::DigestRemoved,
                    &says,
                    from_to,
                );
            }
            (Some(before), Some(after)) if before.algorithm() != after.algorithm() => {
                let (before, after) = (before.algorithm(), after.algorithm());
                let from_to = (Some(before.to_string()), Some(after.to_string()));
                let (severity, how) = if after < before {
                    (Severity::Alarm, "a weaker")
                } else {
                    (Severity::Warning, "a stronger")
                };
                let says =
                    format!("{how} digest than before: whether the bytes are the same is not told");
                found.say(label, severity, FindingKind::DigestWeaker, &says, from_to);
            }
            (Some(before), Some(after)) if before != after => changed.push((other, before, after)),
            _ => {}
        }
    }
    if let Some((file, before, after)) = changed.first() {
        let more = match changed.len() - 1 {
            0 => String::new(),
            more => format!(", and so have {more} more of its files"),
        };
        let says = format!(
            "the same version, and {} has another digest{more}",
            file.name
        );
        let from_to = (Some(before.to_string()), Some(after.to_string()));
        found.say(
            label,
            Severity::Alarm,
            FindingKind::DigestChanged,
            &says,
            from_to,
        );
    }
}

/// The same of Yarn's checksums. Those of another form of its archives are of other bytes anyway.
fn checksums(found: &mut Found, label: &str, old: &Package, new: &Package) {
    let (Some(before), after) = (&old.checksum, &new.checksum) else {
        return;
    };
    let form = |text: &str| text.split_once('/').map(|(form, _)| form.to_owned());
    let (kind, says) = match after {
        None => (FindingKind::DigestRemoved, "has no checksum any more"),
        Some(after) if before != after && form(before) == form(after) => (
            FindingKind::DigestChanged,
            "the same version has another checksum",
        ),
        Some(_) => return,
    };
    let from_to = (Some(before.clone()), after.clone());
    found.say(label, Severity::Alarm, kind, says, from_to);
}

/// How a licence differs; nothing where other words state the same one.
pub(super) fn license(old: &str, new: Option<&str>) -> Option<(&'static str, FromTo)> {
    let old = Licence::read(old);
    match new.map(Licence::read) {
        None => Some(("states no licence any more", (Some(old.text()), None))),
        Some(new) if old.is_same(&new) => None,
        Some(new) => Some(("has another licence", (Some(old.text()), Some(new.text())))),
    }
}

fn lacks_digest(package: &Package) -> bool {
    if package.checksum.is_some() {
        return false;
    }
    let remote = |file: &&File| file.location.contains("://");
    (package.files.iter().filter(remote)).any(|file| file.digest.is_none())
}

fn unencrypted(found: &mut Found, label: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) {
    let plain = |host: &&String| host.starts_with("http://") && !is_loopback(host);
    if let Some(host) = new.difference(old).find(plain) {
        let says = "is fetched without encryption";
        let from_to = (None, Some(host.clone()));
        found.say(
            label,
            Severity::Alarm,
            FindingKind::Unencrypted,
            says,
            from_to,
        );
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_start_matches("http://");
    name.starts_with("localhost") || name.starts_with("127.") || name.starts_with("[::1]")
}

fn doubts(found: &mut Found, label: &str, old: Option<&Package>, new: &Package) {
    for doubt in &new.doubts {
        if old.is_some_and(|old| old.doubts.contains(doubt)) {
            continue;
        }
        let (kind, says) = match doubt {
            Doubt::TwoDigests(one, other) => (
                FindingKind::DigestTwofold,
                format!("is in the lock with two digests, at {one} and at {other}"),
            ),
            Doubt::AnotherName(url) => (
                FindingKind::UrlMismatch,
                format!("its URL is another package's: {}", without_password(url)),
            ),
        };
        found.say(label, Severity::Alarm, kind, &says, NOTHING);
    }
}
