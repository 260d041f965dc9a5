//! Whether a lock is honest: what it says of each artifact, checked against what its index says today.
//!
//! ```text
//! lock ─▶ LockFacts ─▶ questions ─▶ obtain/fetch/document ─▶ pages ─▶ python, npm ─▶ findings
//!                       │                                  │
//!                       └──────── attestations ◀───────────┘
//! ```
//!
//! A lock in a pull request is a stranger's text, and nobody reads its digests. Its own project may
//! resolve again and compare, which is slow and changes with the day; this only asks whether each file
//! is one that its index has, with the digest, size and time that the lock says.
//!
//! [`simple`] and [`packument`] read what indexes answer, [`python`] and [`npm`] compare,
//! [`attestation`] reads who published a file, [`identity`] whether that was another before,
//! [`signature`] verifies npm's registry signatures, [`sigstore`] those of attestations.

mod attestation;
pub mod identity;
mod npm;
pub mod packument;
mod python;
pub mod report;
mod signature;
mod sigstore;
pub mod simple;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use crate::core::progress::Progress;
use crate::inspect::diff::facts::{Ecosystem, LockFacts, OriginKind, Package, host};
use crate::inspect::diff::found::{Found, label};
use crate::inspect::diff::model::{Finding, FindingKind, Severity};
use crate::inspect::osv::Advisory;
use crate::obtain::fetch::FetchError;
use crate::obtain::fetch::document::{Answer, Library, Question};
use crate::obtain::fetch::mirrors::Mirrors;
use identity::{Claim, Identity};
use packument::Packument;
use signature::Keys;
use simple::Project;

/// The version of the JSON report; raised as that of a diff is.
pub const VERSION: u32 = 1;

/// What an audit found.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Audit {
    /// The version of this format: 1.
    pub version: u32,
    /// Whose lock.
    pub ecosystem: Ecosystem,
    /// The lock, as it was given.
    pub lock: String,
    /// For which target; nothing where the whole lock was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Counts.
    pub summary: Summary,
    /// What a reviewer must see, alarms first.
    pub findings: Vec<Finding>,
    /// Known vulnerabilities, where advisories were given.
    pub advisories: Vec<Advisory>,
    /// Who published what, as far as indexes say it.
    pub identities: Vec<Identity>,
}

/// Counts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    /// Findings that no honest lock has.
    pub alarms: usize,
    /// Findings that deserve a look.
    pub warnings: usize,
    /// Findings that are good to know.
    pub notes: usize,
    /// Packages of the lock.
    pub packages: usize,
    /// Of these, packages that no index has: git, URLs, folders.
    pub elsewhere: usize,
    /// Files that the lock names of an index.
    pub files: usize,
    /// Of these, those that the index's answer was checked against.
    pub held: usize,
    /// Files with a signature of the registry that was verified (npm).
    pub signed: usize,
}

/// What is asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ask<'a> {
    /// When npm's versions were published, which makes the documents much larger.
    pub times: bool,
    /// Of a bump, what is looked at and what that was before; else everything is, and checked against
    /// the version below it on the index.
    pub bump: Option<&'a Bump>,
}

/// The packages of a bump by name and version, and what each was before.
pub type Bump = BTreeMap<(String, String), Option<Package>>;

impl Ask<'_> {
    fn is_meant(&self, name: &str, package: &Package) -> bool {
        self.bump
            .is_none_or(|bump| bump.contains_key(&key(name, package)))
    }
}

fn key(name: &str, package: &Package) -> (String, String) {
    let version = package.version.clone().unwrap_or_default();
    (name.to_owned(), version)
}

/// An index's page of a package.
enum Page {
    Project(Project),
    Packument(Packument),
}

/// What was asked of whom.
struct Asked<'a> {
    pages: BTreeMap<(String, String), Result<Option<Page>, String>>,
    keys: BTreeMap<String, Keys>,
    mirrors: &'a Mirrors,
    bump: Option<&'a Bump>,
    states_scripts: bool,
}

/// What came of holding one package.
#[derive(Default)]
struct Held {
    files: usize,
    signed: usize,
    /// What is said of its publisher.
    claim: Option<Claim>,
}

/// Asks the indexes of a lock's packages, and holds the lock against their answers. Times that the lock
/// does not say are taken from there.
///
/// # Errors
/// When no connection can be made at all. What single indexes do not answer is a finding.
pub fn audit(
    facts: &mut LockFacts,
    library: &Library<'_>,
    ask: Ask<'_>,
    progress: &Progress,
) -> Result<(Found, Summary, Vec<Identity>), FetchError> {
    let mut found = Found::default();
    let asked = asked(facts, library, ask, progress)?;
    let mut sum = Summary::default();
    let mut claims = Vec::new();
    for (name, packages) in &mut facts.packages {
        for package in packages.iter_mut().filter(|one| ask.is_meant(name, one)) {
            sum.packages += 1;
            if package.origin.kind != OriginKind::Registry || package.files.is_empty() {
                sum.elsewhere += 1;
                continue;
            }
            sum.files += package.files.len();
            let label = label(name, package.version.as_deref());
            let key = (name.clone(), package.origin.place.clone());
            let page = match asked.pages.get(&key) {
                Some(Ok(Some(page))) => page,
                Some(Ok(None)) => {
                    let says = "is not known to its index";
                    let place = Some(package.origin.place.clone());
                    let kind = FindingKind::NotOnIndex;
                    found.say(&label, Severity::Alarm, kind, says, (None, place));
                    continue;
                }
                Some(Err(why)) => {
                    let says = format!("could not be compared with its index: {why}");
                    let place = Some(package.origin.place.clone());
                    let kind = FindingKind::NotHeld;
                    found.say(&label, Severity::Warning, kind, &says, (None, place));
                    continue;
                }
                None => {
                    let says = match facts.ecosystem {
                        Ecosystem::Python => {
                            "could not be compared with its index: nothing says which that is; name \
                             it with --default-index"
                        }
                        Ecosystem::Npm => {
                            "could not be compared with its registry: nothing says which that is; \
                             name it with --registry"
                        }
                    };
                    let kind = FindingKind::NotHeld;
                    found.say(&label, Severity::Warning, kind, says, (None, None));
                    continue;
                }
            };
            let held = match page {
                Page::Project(project) => asked.python(&mut found, &label, name, package, project),
                Page::Packument(packument) => {
                    asked.npm(&mut found, &label, name, package, packument)
                }
            };
            sum.held += held.files;
            sum.signed += held.signed;
            claims.extend(held.claim);
        }
    }
    let identities = identity::ask(claims, library, &mut found, progress)?;
    Ok((found, sum, identities))
}

/// Asks for every page, and for the registries' keys.
fn asked<'a>(
    facts: &LockFacts,
    library: &'a Library<'_>,
    ask: Ask<'a>,
    progress: &Progress,
) -> Result<Asked<'a>, FetchError> {
    let (mut pages, mut keys) = (BTreeMap::new(), BTreeMap::new());
    let mut subjects: BTreeSet<(String, String)> = BTreeSet::new();
    let mut registries: BTreeSet<String> = BTreeSet::new();
    for (name, package) in facts.each().filter(|(name, one)| ask.is_meant(name, one)) {
        if package.origin.kind == OriginKind::Registry && !package.origin.place.is_empty() {
            subjects.insert((name.to_owned(), package.origin.place.clone()));
            registries.insert(package.origin.place.clone());
        }
    }
    let mut questions = Vec::new();
    let mut asking = Vec::new();
    for (name, place) in subjects {
        match question(facts.ecosystem, &name, &place, ask) {
            Ok(question) => {
                questions.push(question);
                asking.push((name, place));
            }
            Err(why) => {
                pages.insert((name, place), Err(why));
            }
        }
    }
    let registries: Vec<String> = registries
        .into_iter()
        .filter(|_| facts.ecosystem == Ecosystem::Npm)
        .collect();
    for place in &registries {
        let url = format!("{}/-/npm/v1/keys", place.trim_end_matches('/'));
        if let Ok(url) = Url::parse(&url) {
            questions.push(Question::of(url, packument::FULL));
        }
    }
    let mut answers = library.ask(&questions, progress)?.into_iter();
    for (subject, answer) in asking.into_iter().zip(answers.by_ref()) {
        let page = match answer {
            Answer::Absent => Ok(None),
            Answer::Failed(why) => Err(why),
            Answer::Here { bytes, url } => match facts.ecosystem {
                Ecosystem::Python => Project::read(&bytes, &url).map(Page::Project),
                Ecosystem::Npm => Packument::read(&bytes).map(Page::Packument),
            }
            .map(Some),
        };
        pages.insert(subject, page);
    }
    for (place, answer) in registries.into_iter().zip(answers) {
        if let Answer::Here { bytes, .. } = answer
            && let Ok(read) = Keys::read(&bytes)
        {
            keys.insert(place, read);
        }
    }
    Ok(Asked {
        pages,
        keys,
        mirrors: &library.options.mirrors,
        bump: ask.bump,
        states_scripts: facts.states_scripts,
    })
}

/// What an index is asked of a package.
///
/// # Errors
/// With the reason, where the index cannot be asked.
pub fn question(
    ecosystem: Ecosystem,
    name: &str,
    place: &str,
    ask: Ask<'_>,
) -> Result<Question, String> {
    let base = place.trim_end_matches('/');
    let (text, accept) = match ecosystem {
        Ecosystem::Python => (format!("{base}/{name}/"), simple::ACCEPT),
        Ecosystem::Npm => (
            format!("{base}/{}", name.replace('/', "%2f")),
            if ask.times {
                packument::FULL
            } else {
                packument::SHORT
            },
        ),
    };
    let url = Url::parse(&text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    match url.scheme() {
        "http" | "https" | "file" => Ok(Question::of(url, accept)),
        scheme => Err(format!("nothing can be asked by {scheme}:")),
    }
}

impl Asked<'_> {
    /// What a package was before, where there is a bump and it was there.
    fn before(&self, name: &str, package: &Package) -> Option<&Package> {
        self.bump?.get(&key(name, package))?.as_ref()
    }

    /// Says where a file comes from other than its index says. `listed` is the index's URL of it,
    /// `hosts` are those of all files that the index names.
    fn place(
        &self,
        found: &mut Found,
        label: &str,
        package: &Package,
        location: &str,
        listed: &str,
        hosts: &BTreeSet<String>,
    ) {
        let mirrored = |text: &str| {
            let url = Url::parse(text).ok();
            let url = url.and_then(|url| self.mirrors.apply(&url).ok());
            url.map_or_else(|| text.to_owned(), String::from)
        };
        if location == listed || mirrored(location) == listed || location.is_empty() {
            return;
        }
        // A mirror names itself, or the files of the index that it mirrors.
        let index = &package.origin.place;
        let is_mirrored = mirrored(index) != *index;
        let own = host(index);
        let known = |host: &Option<String>| {
            host.as_ref().is_some_and(|host| hosts.contains(host)) || *host == own
        };
        let is_known = known(&host(location)) || known(&host(&mirrored(location)));
        if !is_known && !is_mirrored {
            let says = "comes from a host that is not its index's";
            let from_to = (host(listed), host(location));
            found.say(
                label,
                Severity::Alarm,
                FindingKind::HostChanged,
                says,
                from_to,
            );
        } else if is_known && !is_mirrored {
            let says = "comes from another URL than its index says";
            let from_to = (Some(listed.to_owned()), Some(location.to_owned()));
            found.say(
                label,
                Severity::Note,
                FindingKind::UrlMismatch,
                says,
                from_to,
            );
        }
    }
}

/// The same moment, however it is written.
fn is_same_moment(one: &str, other: &str) -> bool {
    let moment = |text: &str| text.parse::<jiff::Timestamp>().ok();
    match (moment(one), moment(other)) {
        // Some indexes cut off what is below a second.
        (Some(one), Some(other)) => one.as_second() == other.as_second(),
        _ => one == other,
    }
}
