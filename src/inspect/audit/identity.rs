//! Who published what a lock names, and whether that was another before.
//!
//! What an index says is checked against the bytes that the lock names, and against the signature, which
//! names its signer too ([`super::sigstore`]).

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use url::Url;

use super::attestation::Statements;
use super::packument::FULL;
use super::sigstore::{Notary, Signer, Verdict};
use crate::core::digest::Digest;
use crate::core::progress::Progress;
use crate::inspect::diff::found::{Found, NOTHING};
use crate::inspect::diff::model::{FindingKind, Severity};
use crate::inspect::diff::publisher::Publisher;
use crate::obtain::fetch::FetchError;
use crate::obtain::fetch::document::{Answer, Library, Question};

/// Who published a package, as its index says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// The package, as `name version`.
    pub package: String,
    /// Who, as `GitHub owner/repository, release.yml`; nothing where only the version before says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publisher: Option<String>,
    /// The same, apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Publisher>,
    /// Who published the version before: the old lock's, or else the one below it on the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Publisher>,
    /// Whether the signature for it was verified, and is of the same repository or account.
    pub verified: bool,
    /// Why it could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unverified: Option<String>,
}

/// A package whose index says something of its publisher, or did of the version before.
pub(super) struct Claim {
    /// The package, as `name version`.
    pub label: String,
    /// Where its statements are; nothing where it has none.
    pub now: Option<Url>,
    /// The file that they are of, as the lock has it.
    pub digest: Option<Digest>,
    /// The version before, and where its statements are.
    pub before: Option<(String, Url)>,
}

type Told = HashMap<Url, Result<Statements, String>>;

/// Has the statements, and says which are of other bytes, which are of others than before, and which
/// are not there any more.
pub(super) fn ask(
    claims: Vec<Claim>,
    library: &Library<'_>,
    found: &mut Found,
    progress: &Progress,
) -> Result<Vec<Identity>, FetchError> {
    let told = told(&claims, library, progress)?;
    let notary = Notary::new();
    let mut identities: Vec<Identity> = claims
        .into_iter()
        .filter_map(|claim| {
            let before = before(&claim, &told, found);
            let (by, verified) = now(&claim, &told, &notary, found);
            if claim.now.is_none() {
                let (version, _) = claim.before.as_ref()?;
                let who = before.as_ref();
                let who = who.map_or_else(String::new, |who| format!(", by {who}"));
                let says = "was attested before, and is not any more";
                let from_to = (Some(format!("{version}{who}")), None);
                let kind = FindingKind::AttestationGone;
                found.say(&claim.label, Severity::Alarm, kind, says, from_to);
            }
            if let (Some(old), Some(new)) = (&before, &by) {
                compare(found, &claim.label, old, new);
            }
            (by.is_some() || before.is_some()).then(|| Identity {
                package: claim.label,
                publisher: by.as_ref().map(ToString::to_string),
                by,
                before,
                verified: verified.is_ok(),
                unverified: verified.err(),
            })
        })
        .collect();
    identities.sort_by(|one, other| one.package.cmp(&other.package));
    Ok(identities)
}

/// Each place is asked once.
fn told(claims: &[Claim], library: &Library<'_>, progress: &Progress) -> Result<Told, FetchError> {
    let places = claims.iter().flat_map(|claim| {
        let before = claim.before.as_ref().map(|(_, url)| url);
        claim.now.iter().chain(before)
    });
    let mut places: Vec<&Url> = places.collect();
    places.sort();
    places.dedup();
    let question = |url: &&Url| Question::of(Url::clone(url), FULL);
    let questions: Vec<Question> = places.iter().map(question).collect();
    let answers = library.ask(&questions, progress)?;
    let read = |(url, answer): (&Url, Answer)| {
        let statements = match answer {
            Answer::Here { bytes, .. } => Statements::read(&bytes),
            Answer::Absent => Err(String::from("they are not there")),
            Answer::Failed(why) => Err(why),
        };
        (url.clone(), statements)
    };
    Ok(places.into_iter().zip(answers).map(read).collect())
}

/// Who published it, and why that could not be verified; with what is wrong about its statements told.
fn now(
    claim: &Claim,
    told: &Told,
    notary: &Notary,
    found: &mut Found,
) -> (Option<Publisher>, Result<(), String>) {
    let kind = FindingKind::Attestation;
    let none = (None, Err(String::from("there is nothing to verify")));
    let statements = match claim.now.as_ref().and_then(|url| told.get(url)) {
        None => return none,
        Some(Ok(statements)) => statements,
        Some(Err(why)) => {
            let says = format!("its attestations could not be read: {why}");
            found.say(&claim.label, Severity::Warning, kind, &says, NOTHING);
            return none;
        }
    };
    let mut publisher = statements.publisher().cloned();
    let Some(digest) = &claim.digest else {
        let why = String::from("the lock has no digest");
        return (publisher, Err(why));
    };
    if statements.are_of_others(digest) {
        let says = "its attestations are of other bytes than the lock names";
        found.say(&claim.label, Severity::Alarm, kind, says, NOTHING);
        return (publisher, Err(says.to_owned()));
    }
    if statements.cannot_tell(digest) {
        let algorithm = digest.algorithm();
        let says =
            format!("its attestations could not be compared: none of them has a {algorithm}");
        found.say(&claim.label, Severity::Note, kind, &says, NOTHING);
        return (publisher, Err(says));
    }
    let mut verified = Err(String::from("there is nothing to verify"));
    for statement in &statements.0 {
        let (Some(said), Some(bundle)) = (&statement.publisher, &statement.bundle) else {
            continue;
        };
        verified = match notary.verify(bundle, digest) {
            Verdict::Good(signer) => match is_of(&signer, said) {
                true => {
                    // The certificate says what was built, which PEP 740's publisher does not.
                    if let Some(publisher) = &mut publisher {
                        publisher.reference = publisher.reference.take().or(signer.reference);
                    }
                    Ok(())
                }
                false => {
                    let says = "its index names another publisher than the one who signed it";
                    let from_to = (Some(said.to_string()), Some(signer.name));
                    found.say(&claim.label, Severity::Alarm, kind, says, from_to);
                    Err(says.to_owned())
                }
            },
            Verdict::Forged(why) => {
                let says = format!("its attestation is forged: {why}");
                found.say(&claim.label, Severity::Alarm, kind, &says, NOTHING);
                Err(says)
            }
            Verdict::Unknown(why) => Err(why),
        };
        if verified.is_err() {
            break;
        }
    }
    (publisher, verified)
}

/// Whether the certificate names the one that the index names.
fn is_of(signer: &Signer, said: &Publisher) -> bool {
    match (said.page(), &signer.repository) {
        (Some(page), Some(repository)) => page.eq_ignore_ascii_case(repository),
        (Some(_), None) => false,
        // An account's address of mail; or a repository without a page that is known.
        (None, repository) => {
            let bare = |text: &str| text.trim_start_matches("https://").to_ascii_lowercase();
            let said = bare(&said.repository);
            signer.name.eq_ignore_ascii_case(&said)
                || repository.as_ref().is_some_and(|url| bare(url) == said)
        }
    }
}

fn before(claim: &Claim, told: &Told, found: &mut Found) -> Option<Publisher> {
    let (version, url) = claim.before.as_ref()?;
    match told.get(url)? {
        Ok(statements) => statements.publisher().cloned(),
        Err(why) => {
            let says = format!(
                "whether somebody else published it before is not known: the attestations of \
                 {version} could not be read: {why}"
            );
            let kind = FindingKind::Attestation;
            found.say(&claim.label, Severity::Warning, kind, &says, NOTHING);
            None
        }
    }
}

fn compare(found: &mut Found, label: &str, old: &Publisher, new: &Publisher) {
    let (severity, says) = match () {
        () if !old.is_of_same(new) => (
            Severity::Alarm,
            "was published by another identity than before",
        ),
        () if !old.is_same_workflow(new) => (
            Severity::Warning,
            "was published by another workflow of the same repository than before",
        ),
        () => return,
    };
    let from_to = (Some(old.to_string()), Some(new.to_string()));
    let kind = FindingKind::PublisherChanged;
    found.say(label, severity, kind, says, from_to);
}
