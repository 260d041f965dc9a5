//! Who published a file: the statements that indexes keep beside it, by PEP 740 and by npm's
//! provenance. They are signed by way of Sigstore, which is not verified here: what is shown is what
//! the index says, and whether it speaks of the bytes that the lock names.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::packument::FULL;
use crate::core::digest::Digest;
use crate::core::progress::Progress;
use crate::inspect::diff::found::Found;
use crate::inspect::diff::model::{FindingKind, Severity};
use crate::obtain::fetch::FetchError;
use crate::obtain::fetch::document::{Answer, Library, Question};

/// Who published a package, as its index says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// The package, as `name version`.
    pub package: String,
    /// Who, as `GitHub owner/repository, release.yml`.
    pub publisher: String,
    /// Whether somebody's signature for it was verified here.
    pub verified: bool,
}

/// Where statements about a file are.
pub(super) struct Claim {
    /// The package, as `name version`.
    pub label: String,
    pub url: Url,
    /// The file, as the lock has it.
    pub digest: Option<Digest>,
}

/// Has the statements, and says which are of other bytes.
pub(super) fn ask(
    claims: Vec<Claim>,
    library: &Library<'_>,
    found: &mut Found,
    progress: &Progress,
) -> Result<Vec<Identity>, FetchError> {
    let questions: Vec<Question> = claims
        .iter()
        .map(|claim| Question::of(claim.url.clone(), FULL))
        .collect();
    let mut identities = Vec::new();
    for (claim, answer) in claims.into_iter().zip(library.ask(&questions, progress)?) {
        let read = match answer {
            Answer::Here { bytes, .. } => read(&bytes),
            Answer::Absent => Err(String::from("they are not there")),
            Answer::Failed(why) => Err(why),
        };
        let statements = match read {
            Ok(statements) => statements,
            Err(why) => {
                let says = format!("its attestations could not be read: {why}");
                let kind = FindingKind::Attestation;
                found.say(&claim.label, Severity::Warning, kind, &says, (None, None));
                continue;
            }
        };
        let of_others = claim.digest.as_ref().is_some_and(|digest| {
            let mut same = statements.subjects.iter();
            let same_kind = |one: &&Digest| one.algorithm() == digest.algorithm();
            same.clone().any(|one| same_kind(&one)) && !same.any(|one| one == digest)
        });
        if of_others {
            let says = "its attestations are of other bytes than the lock names";
            let kind = FindingKind::Attestation;
            found.say(&claim.label, Severity::Alarm, kind, says, (None, None));
        }
        identities.extend(statements.publisher.map(|publisher| Identity {
            package: claim.label,
            publisher,
            verified: false,
        }));
    }
    identities.sort_by(|one, other| one.package.cmp(&other.package));
    Ok(identities)
}

/// What statements say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Statements {
    publisher: Option<String>,
    subjects: Vec<Digest>,
}

/// PEP 740's provenance object, or npm's list of attestations.
#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    attestation_bundles: Vec<Bundle>,
    #[serde(default)]
    attestations: Vec<NpmAttestation>,
}

#[derive(Deserialize)]
struct Bundle {
    publisher: BTreeMap<String, Value>,
    #[serde(default)]
    attestations: Vec<Attestation>,
}

#[derive(Deserialize)]
struct Attestation {
    envelope: Envelope,
}

#[derive(Deserialize)]
struct Envelope {
    statement: String,
}

#[derive(Deserialize)]
struct NpmAttestation {
    bundle: NpmBundle,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NpmBundle {
    dsse_envelope: Dsse,
}

#[derive(Deserialize)]
struct Dsse {
    payload: String,
}

fn read(bytes: &[u8]) -> Result<Statements, String> {
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut all = Statements::default();
    for bundle in raw.attestation_bundles {
        let word = |key: &str| bundle.publisher.get(key).and_then(Value::as_str);
        let kind = word("kind").unwrap_or("an unknown kind of publisher");
        let parts = ["repository", "workflow", "workflow_filepath", "email"];
        let parts: Vec<&str> = parts.iter().filter_map(|key| word(key)).collect();
        all.publisher
            .get_or_insert_with(|| format!("{kind} {}", parts.join(", ")));
        for one in bundle.attestations {
            all.subjects.extend(statement(&one.envelope.statement)?.1);
        }
    }
    for one in raw.attestations {
        let (value, subjects) = statement(&one.bundle.dsse_envelope.payload)?;
        all.subjects.extend(subjects);
        let workflow = value.pointer("/predicate/buildDefinition/externalParameters/workflow");
        let word = |key: &str| workflow?.get(key)?.as_str();
        if let Some(repository) = word("repository") {
            let repository = repository.trim_start_matches("https://");
            let path = word("path")
                .map(|path| format!(", {path}"))
                .unwrap_or_default();
            all.publisher = Some(format!("{repository}{path}"));
        }
    }
    Ok(all)
}

/// An in-toto statement (<https://in-toto.io/Statement/v1>), and the digests of what it is about.
fn statement(encoded: &str) -> Result<(Value, Vec<Digest>), String> {
    let bytes = BASE64
        .decode(encoded.as_bytes())
        .map_err(|error| format!("a statement is no base64: {error}"))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("a statement is no JSON: {error}"))?;
    let subjects = value.get("subject").and_then(Value::as_array);
    let digests = subjects
        .into_iter()
        .flatten()
        .filter_map(|subject| subject.get("digest").and_then(Value::as_object))
        .flatten()
        .filter_map(|(name, hex)| {
            let hex = hex.as_str()?;
            HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok()?;
            format!("{name}:{hex}").parse().ok()
        })
        .collect();
    Ok((value, digests))
}
