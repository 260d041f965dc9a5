//! A package of a `package-lock.json`, checked against its registry's document.

use std::collections::BTreeSet;

use url::Url;

use super::identity::Claim;
use super::packument::{Dist, Packument};
use super::signature::Verdict;
use super::{Asked, Held, is_same_moment};
use crate::core::digest::{Algorithm, Digest};
use crate::inspect::diff::facts::{Package, host};
use crate::inspect::diff::found::{Found, NOTHING};
use crate::inspect::diff::model::{FindingKind, Severity};

impl Asked<'_> {
    pub(super) fn npm(
        &self,
        found: &mut Found,
        label: &str,
        name: &str,
        package: &mut Package,
        packument: &Packument,
    ) -> Held {
        let mut held = Held::default();
        let version = package.version.clone().unwrap_or_default();
        let Some(listed) = packument.versions.get(&version) else {
            let says = "is a version that its registry does not have: removed, or never there";
            found.say(
                label,
                Severity::Alarm,
                FindingKind::NotOnIndex,
                says,
                NOTHING,
            );
            return held;
        };
        let dist = &listed.dist;
        let all = packument.versions.values();
        let hosts: BTreeSet<String> = all
            .filter_map(|one| host(one.dist.tarball.as_deref()?))
            .collect();
        let published = packument.published(&version);
        let mut files = std::mem::take(&mut package.files);
        for file in &mut files {
            held.files += 1;
            if let (None, Some(_)) = (&file.digest, &package.checksum) {
                let says =
                    "its digest could not be compared: Yarn's checksum is of an archive of its own";
                found.say(label, Severity::Note, FindingKind::NotHeld, says, NOTHING);
            } else {
                digest(found, label, file.digest.as_ref(), dist);
            }
            let tarball = dist.tarball.as_deref().unwrap_or(&file.location);
            self.place(found, label, package, &file.location, tarball, &hosts);
            match (&file.uploaded, published) {
                (Some(locked), Some(now)) if !is_same_moment(locked, now) => {
                    let says = "was published at another time than the lock says";
                    let from_to = (Some(locked.clone()), Some(now.to_owned()));
                    found.say(
                        label,
                        Severity::Alarm,
                        FindingKind::UploadTime,
                        says,
                        from_to,
                    );
                }
                (None, Some(now)) => file.uploaded = Some(now.to_owned()),
                _ => {}
            }
        }
        package.files = files;
        if let Some(said) = listed.deprecated() {
            // One that the lock says too was seen when it was locked.
            let severity = match package.deprecated {
                Some(_) => Severity::Note,
                None => Severity::Warning,
            };
            let says = format!("is deprecated: {said}");
            found.say(label, severity, FindingKind::Deprecated, &says, NOTHING);
        }
        if listed.runs_script() && !package.install_script {
            let (severity, says) = match self.states_scripts {
                true => (
                    Severity::Alarm,
                    "has a script that runs when it is installed, and the lock does not say so",
                ),
                false => (
                    Severity::Note,
                    "has a script that runs when it is installed",
                ),
            };
            found.say(label, severity, FindingKind::InstallScript, says, NOTHING);
        }
        held.signed = usize::from(self.signature(found, label, name, package, dist, published));
        let place = |dist: &Dist| Url::parse(&dist.attestations.as_ref()?.url).ok();
        let now = place(dist);
        let before = match self.before(name, package) {
            Some(old) => {
                let version = old.version.clone().unwrap_or_default();
                let known = packument.versions.get(&version);
                known.map(|known| (version, place(&known.dist)))
            }
            None => (packument.below(&package.number))
                .map(|(version, known)| (version.to_owned(), place(&known.dist))),
        };
        let before = before.and_then(|(version, url)| Some((version, url?)));
        if now.is_some() || before.is_some() {
            held.claim = Some(Claim {
                label: label.to_owned(),
                now,
                digest: package.files.first().and_then(|file| file.digest.clone()),
                before,
            });
        }
        held
    }

    /// Verifies what the registry signed; `true` where it is good.
    fn signature(
        &self,
        found: &mut Found,
        label: &str,
        name: &str,
        package: &Package,
        dist: &Dist,
        published: Option<&str>,
    ) -> bool {
        let Some(keys) = self.keys.get(&package.origin.place) else {
            return false;
        };
        let kind = FindingKind::Signature;
        if dist.signatures.is_empty() {
            let says = "has no signature of its registry, which signs";
            found.say(label, Severity::Warning, kind, says, NOTHING);
            return false;
        }
        let version = package.version.as_deref().unwrap_or_default();
        let integrity = dist.integrity.as_deref().unwrap_or_default();
        let said = format!("{name}@{version}:{integrity}");
        let all = dist.signatures.iter();
        let verdicts: Vec<Verdict> = all
            .map(|signature| keys.verdict(&said, signature, published))
            .collect();
        let says = match () {
            () if verdicts.contains(&Verdict::Wrong) => {
                "has a signature that is not its registry's"
            }
            () if verdicts.contains(&Verdict::Good) => return true,
            () if verdicts.contains(&Verdict::Expired) => {
                "is signed with a key of its registry that was no longer good"
            }
            () => "is signed with a key that is not its registry's",
        };
        found.say(label, Severity::Alarm, kind, says, NOTHING);
        false
    }
}

/// The lock's digest beside the registry's.
fn digest(found: &mut Found, label: &str, locked: Option<&Digest>, dist: &Dist) {
    let parts = dist.integrity.as_deref().unwrap_or_default();
    let mut listed: Vec<Digest> = parts
        .split_whitespace()
        .filter_map(|one| one.parse().ok())
        .collect();
    let shasum = dist.shasum.as_ref().map(|hex| format!("sha1:{hex}"));
    listed.extend(shasum.and_then(|text| text.parse().ok()));
    let Some(locked) = locked else {
        let says = "has no digest in the lock: whatever its registry sends is taken";
        let kind = FindingKind::DigestRemoved;
        found.say(label, Severity::Warning, kind, says, NOTHING);
        return;
    };
    let same_kind = |one: &&Digest| one.algorithm() == locked.algorithm();
    let mut alike = listed.iter().filter(same_kind).peekable();
    if alike.peek().is_none() {
        let says = format!(
            "its digest could not be compared: its registry gives no {}",
            locked.algorithm()
        );
        found.say(label, Severity::Note, FindingKind::NotHeld, &says, NOTHING);
    } else if !alike.any(|one| one == locked) {
        let now = listed.iter().find(same_kind).map(ToString::to_string);
        let says = "has another digest on its registry";
        let from_to = (Some(locked.to_string()), now);
        found.say(
            label,
            Severity::Alarm,
            FindingKind::DigestChanged,
            says,
            from_to,
        );
    } else if locked.algorithm() == Algorithm::Sha1 && listed.len() > 1 {
        let says = "is locked by SHA-1 alone, and its registry gives a stronger digest";
        found.say(
            label,
            Severity::Warning,
            FindingKind::DigestWeaker,
            says,
            NOTHING,
        );
    }
}
