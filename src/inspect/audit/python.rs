//! A package of a `uv.lock`, checked against its index's page.

use std::collections::BTreeSet;

use super::identity::Claim;
use super::simple::{Listed, Project};
use super::{Asked, Held, is_same_moment};
use crate::inspect::diff::facts::{File, Package, host};
use crate::inspect::diff::found::{Found, NOTHING};
use crate::inspect::diff::model::{FindingKind, Severity};

impl Asked<'_> {
    pub(super) fn python(
        &self,
        found: &mut Found,
        label: &str,
        name: &str,
        package: &mut Package,
        project: &Project,
    ) -> Held {
        status(found, label, project);
        let hosts: BTreeSet<String> = project
            .files
            .values()
            .filter_map(|file| host(file.url.as_str()))
            .collect();
        let mut held = Held::default();
        let mut yanked = BTreeSet::new();
        let (mut gone, mut bare) = (Vec::new(), 0);
        let mut now = None;
        let mut files = std::mem::take(&mut package.files);
        for file in &mut files {
            let Some(listed) = project.listed(file) else {
                gone.push(file.name.clone());
                continue;
            };
            held.files += 1;
            Self::bytes(found, label, file, listed);
            self.place(
                found,
                label,
                package,
                &file.location,
                listed.url.as_str(),
                &hosts,
            );
            match (&file.uploaded, &listed.uploaded) {
                (Some(locked), Some(now)) if !is_same_moment(locked, now) => {
                    let says = "was uploaded at another time than the lock says";
                    let from_to = (Some(locked.clone()), Some(now.clone()));
                    let kind = FindingKind::UploadTime;
                    found.say(label, Severity::Alarm, kind, says, from_to);
                }
                (None, Some(now)) => file.uploaded = Some(now.clone()),
                _ => {}
            }
            if let Some(why) = &listed.yanked {
                yanked.insert(
                    why.clone()
                        .unwrap_or_else(|| "no reason is given".to_owned()),
                );
            }
            match &listed.provenance {
                None => bare += 1,
                Some(url) if now.is_none() => now = Some((url.clone(), file.digest.clone())),
                Some(_) => {}
            }
        }
        package.files = files;
        for why in yanked {
            let says = format!("is yanked: {why}");
            found.say(
                label,
                Severity::Warning,
                FindingKind::Yanked,
                &says,
                NOTHING,
            );
        }
        if let Some(first) = gone.first() {
            let says = match (held.files == 0, gone.len()) {
                (true, _) => "is a version that its index does not have: removed, or never there",
                (false, 1) => "has a file that its index does not have: removed, or never there",
                (false, _) => "has files that its index does not have: removed, or never there",
            };
            let more = match gone.len() - 1 {
                0 => first.clone(),
                more => format!("{first} and {more} more"),
            };
            let kind = FindingKind::NotOnIndex;
            found.say(label, Severity::Alarm, kind, says, (Some(more), None));
        }
        if now.is_some() && bare > 0 {
            let says = "has files that are not attested, beside ones that are";
            let kind = FindingKind::Attestation;
            found.say(label, Severity::Warning, kind, says, NOTHING);
        }
        let before = match self.before(name, package) {
            Some(old) => {
                let mut files = (old.files.iter()).filter_map(|one| project.listed(one));
                let version = old.version.clone().unwrap_or_default();
                files.find_map(|one| Some((version.clone(), one.provenance.clone()?)))
            }
            None => project.below(&package.number),
        };
        // Of files that the index does not have nothing can be said.
        if held.files > 0 && (now.is_some() || before.is_some()) {
            let (now, digest) = now.unzip();
            let (label, digest) = (label.to_owned(), digest.flatten());
            held.claim = Some(Claim {
                label,
                now,
                digest,
                before,
            });
        }
        held
    }

    /// Digest and size.
    fn bytes(found: &mut Found, label: &str, file: &File, listed: &Listed) {
        match &file.digest {
            None => {
                let says = "has no digest in the lock: whatever its index sends is taken";
                let kind = FindingKind::DigestRemoved;
                found.say(label, Severity::Warning, kind, says, NOTHING);
            }
            Some(locked) => match listed.digest(locked.algorithm()) {
                Some(now) if now != locked => {
                    let says = format!("{} has another digest on its index", file.name);
                    let from_to = (Some(locked.to_string()), Some(now.to_string()));
                    let kind = FindingKind::DigestChanged;
                    found.say(label, Severity::Alarm, kind, &says, from_to);
                }
                Some(_) => {}
                None => {
                    let says = format!(
                        "its digest could not be compared: its index gives no {}",
                        locked.algorithm()
                    );
                    found.say(label, Severity::Note, FindingKind::NotHeld, &says, NOTHING);
                }
            },
        }
        if let (Some(locked), Some(now)) = (file.size, listed.size)
            && locked != now
        {
            let says = format!("{} has another size on its index", file.name);
            let from_to = (
                Some(format!("{locked} bytes")),
                Some(format!("{now} bytes")),
            );
            found.say(
                label,
                Severity::Alarm,
                FindingKind::SizeChanged,
                &says,
                from_to,
            );
        }
    }
}

fn status(found: &mut Found, label: &str, project: &Project) {
    let Some((status, reason)) = &project.status else {
        return;
    };
    let reason = reason
        .as_ref()
        .map(|why| format!(": {why}"))
        .unwrap_or_default();
    let (severity, kind) = match status.as_str() {
        "quarantined" => (Severity::Alarm, FindingKind::Quarantined),
        _ => (Severity::Warning, FindingKind::Deprecated),
    };
    let says = format!("is {status} on its index{reason}");
    found.say(label, severity, kind, &says, NOTHING);
}
