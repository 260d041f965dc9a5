//! What a project asks of its locks (`[review]` of its lockwright.toml): how old a file must be, which
//! licences packages may have, which vulnerabilities it accepts.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::diff::facts::{LockFacts, Package};
use super::diff::found::{Found, label};
use super::diff::model::{FindingKind, Severity};
use super::licence::Licence;
use crate::decide::manifest::{Age, Review};

/// What is asked, and the moment that ages are told for.
#[derive(Debug, Clone)]
pub struct Policy {
    review: Review,
    now: Timestamp,
}

/// The licences that the lock does not say, by package and version.
pub type Known = BTreeMap<(String, String), String>;

impl Policy {
    /// With everything checked that is written in it.
    ///
    /// # Errors
    /// When a licence is none that SPDX has.
    pub fn new(review: Review, now: Timestamp) -> Result<Self, String> {
        let lists = [&review.licenses.allow, &review.licenses.deny];
        for name in lists.into_iter().flatten() {
            if Licence::read(name).spdx().as_deref() != Some(name) {
                let meant = Licence::read(name).spdx();
                let hint = meant.map(|id| format!("; write {id}")).unwrap_or_default();
                return Err(format!(
                    "[review.licenses] names `{name}`, which is not an SPDX identifier{hint}"
                ));
            }
        }
        Ok(Self { review, now })
    }

    /// Whether ages matter at all.
    pub fn has_ages(&self) -> bool {
        self.review.min_age.is_some() || !self.review.min_age_of.is_empty()
    }

    /// Whether licences matter at all.
    pub fn has_licenses(&self) -> bool {
        let licenses = &self.review.licenses;
        !licenses.allow.is_empty() || !licenses.deny.is_empty()
    }

    /// Says which packages are younger than they must be. `is_meant` tells which are looked at.
    pub fn ages(
        &self,
        facts: &LockFacts,
        found: &mut Found,
        is_meant: impl Fn(&str, &Package) -> bool,
    ) {
        for (name, package) in facts.each() {
            let of = self.review.min_age_of.get(name);
            let Some(least) = of.or(self.review.min_age.as_ref()) else {
                continue;
            };
            if least.0.is_zero() || package.files.is_empty() || !is_meant(name, package) {
                continue;
            }
            let label = label(name, package.version.as_deref());
            let times = package.files.iter().map(|file| {
                let text = file.uploaded.as_deref()?;
                text.parse::<Timestamp>().ok()
            });
            // A version is as old as the youngest of its files.
            let newest: Option<Vec<Timestamp>> = times.collect();
            let Some(newest) = newest.and_then(|all| all.into_iter().max()) else {
                let says = "its age is not known: nothing says when it was published";
                found.say(
                    &label,
                    Severity::Note,
                    FindingKind::AgeUnknown,
                    says,
                    (None, None),
                );
                continue;
            };
            let age = self.now.duration_since(newest);
            if age < least.0 {
                let says = match age.is_negative() {
                    true => "is said to be published in the future".to_owned(),
                    false => format!("is younger than {least}"),
                };
                let shown = match age.is_negative() {
                    true => newest.to_string(),
                    false => format!("{newest}, {} ago", Age(age)),
                };
                let kind = FindingKind::TooYoung;
                found.say(&label, Severity::Alarm, kind, &says, (None, Some(shown)));
            }
        }
    }

    /// Says which packages have licences that they must not have.
    pub fn licenses(
        &self,
        facts: &LockFacts,
        known: &Known,
        found: &mut Found,
        is_meant: impl Fn(&str, &Package) -> bool,
    ) {
        let policy = &self.review.licenses;
        if !self.has_licenses() {
            return;
        }
        for (name, package) in facts.each() {
            if package.files.is_empty() || !is_meant(name, package) {
                continue;
            }
            let key = (name.to_owned(), package.version.clone().unwrap_or_default());
            let label = label(name, package.version.as_deref());
            let stated = policy.packages.get(name);
            let stated = stated.or(package.license.as_ref()).or(known.get(&key));
            let kind = FindingKind::LicenseDenied;
            let Some(stated) = stated else {
                let says = "its licence is not known, so nothing says that it may be used";
                found.say(&label, Severity::Note, kind, says, (None, None));
                continue;
            };
            let licence = Licence::read(stated);
            let has = |all: &[String], id: &str| all.iter().any(|one| one == id);
            let is_taken = |id: &str| {
                (policy.allow.is_empty() || has(&policy.allow, id)) && !has(&policy.deny, id)
            };
            let says = match licence.can_be_met(is_taken) {
                Some(true) => continue,
                Some(false) => "its licence is not one that the project accepts",
                None if policy.allow.is_empty() => continue,
                None => "its licence is not an SPDX licence, so it is not among the allowed ones",
            };
            let said = Some(licence.text());
            found.say(&label, Severity::Warning, kind, says, (None, said));
        }
    }

    /// Why a vulnerability of a package is borne, if it is; that one is no longer is said.
    pub fn ignores<'a>(
        &self,
        package: &str,
        mut ids: impl Iterator<Item = &'a str> + Clone,
        found: &mut Found,
    ) -> Option<String> {
        let all = self.review.ignore.iter();
        let mut fitting = all.filter(|one| {
            let fits = one.package.as_deref().is_none_or(|name| name == package);
            fits && ids.clone().any(|id| id == one.id)
        });
        let ignored = fitting.next()?;
        let today = jiff::tz::TimeZone::UTC.to_datetime(self.now).date();
        match ignored.until {
            Some(until) if until < today => {
                let says = format!(
                    "the project accepted {} until {until}, which has passed: {}",
                    ids.next().unwrap_or_default(),
                    ignored.reason
                );
                let kind = FindingKind::IgnoreOver;
                found.say(package, Severity::Warning, kind, &says, (None, None));
                None
            }
            _ => Some(ignored.reason.clone()),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
