//! The statements that indexes keep beside a file: PEP 740's provenance object, and npm's list of
//! attestations. Each is an in-toto statement (<https://in-toto.io/Statement/v1>) in an envelope.

use std::collections::BTreeMap;

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::core::digest::Digest;
use crate::inspect::diff::publisher::Publisher;

/// What is said of a file, and in which envelope.
#[derive(Debug, PartialEq)]
pub(super) struct Statement {
    /// Who published it; npm's registry says only that it did.
    pub publisher: Option<Publisher>,
    /// What it is about.
    pub subjects: Vec<Digest>,
    /// The same with its signature, as Sigstore's bundle has it; nothing where a key of the registry
    /// signed it.
    pub bundle: Option<Value>,
}

/// All that is said of a file.
#[derive(Debug, PartialEq)]
pub(super) struct Statements(pub Vec<Statement>);

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

/// PEP 740's form of a statement.
#[derive(Deserialize)]
struct Attestation {
    envelope: Envelope,
    #[serde(default)]
    verification_material: Value,
}

#[derive(Deserialize)]
struct Envelope {
    statement: String,
    #[serde(default)]
    signature: String,
}

#[derive(Deserialize)]
struct NpmAttestation {
    bundle: Value,
}

impl Attestation {
    /// The same as Sigstore writes it (<https://docs.sigstore.dev/about/bundle/>).
    fn bundle(&self) -> Value {
        let material = &self.verification_material;
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": material.get("certificate")},
                "tlogEntries": material.get("transparency_entries"),
            },
            "dsseEnvelope": {
                "payload": self.envelope.statement,
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": self.envelope.signature}],
            },
        })
    }
}

impl Statements {
    /// Reads an index's answer.
    ///
    /// # Errors
    /// With the reason, where it is none, or there is no statement in it.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut all = Vec::new();
        for bundle in raw.attestation_bundles {
            for one in bundle.attestations {
                all.push(Statement {
                    publisher: Some(of_index(&bundle.publisher)),
                    subjects: statement(&one.envelope.statement)?.1,
                    bundle: Some(one.bundle()),
                });
            }
        }
        for one in raw.attestations {
            let payload = one.bundle.pointer("/dsseEnvelope/payload");
            let payload = payload.and_then(Value::as_str);
            let (value, subjects) = statement(payload.ok_or("a bundle has no statement")?)?;
            let publisher = value.get("predicate").and_then(of_predicate);
            all.push(Statement {
                bundle: publisher.is_some().then_some(one.bundle),
                publisher,
                subjects,
            });
        }
        match all.is_empty() {
            true => Err(String::from("there is none among them")),
            false => Ok(Self(all)),
        }
    }

    /// Who published the file, by the first of them that says it.
    pub fn publisher(&self) -> Option<&Publisher> {
        self.0.iter().find_map(|one| one.publisher.as_ref())
    }

    /// Whether one of them is of other bytes than these.
    pub fn are_of_others(&self, digest: &Digest) -> bool {
        self.0.iter().any(|statement| {
            let alike = |one: &&Digest| one.algorithm() == digest.algorithm();
            let mut alike = statement.subjects.iter().filter(alike).peekable();
            alike.peek().is_some() && !alike.any(|one| one == digest)
        })
    }

    /// Whether none of them names a digest of this kind, so that nothing can be compared.
    pub fn cannot_tell(&self, digest: &Digest) -> bool {
        let mut all = self.0.iter().flat_map(|one| &one.subjects);
        !all.any(|one| one.algorithm() == digest.algorithm())
    }
}

/// The publisher of PEP 740, whose `kind` says what else there is.
fn of_index(said: &BTreeMap<String, Value>) -> Publisher {
    let word = |key: &str| said.get(key).and_then(Value::as_str).map(str::to_owned);
    let who = [
        "repository",
        "vcs_origin",
        "email",
        "project_id",
        "project",
        "organization",
    ];
    Publisher {
        kind: word("kind").unwrap_or_else(|| String::from("an unknown kind of publisher")),
        repository: who
            .iter()
            .find_map(|key| word(key))
            .unwrap_or_else(|| String::from("(not said)")),
        workflow: word("workflow").or_else(|| word("workflow_filepath")),
        environment: word("environment").filter(|name| !name.is_empty()),
        reference: None,
    }
}

/// The builder's word, as SLSA has it: of version 1
/// (<https://slsa.dev/spec/v1.0/provenance>) or 0.2.
fn of_predicate(predicate: &Value) -> Option<Publisher> {
    let word = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_str);
    let workflow = "/buildDefinition/externalParameters/workflow";
    let of = |key: &str| word(&format!("{workflow}/{key}"));
    let (place, path, reference) = match of("repository") {
        Some(place) => (place, of("path"), of("ref")),
        None => {
            let place = word("/invocation/configSource/uri")?;
            let place = place.trim_start_matches("git+");
            // The revision follows an `@` behind the host.
            let (place, reference) = match place.rsplit_once('@') {
                Some((place, reference)) if place.contains("://") => (place, Some(reference)),
                _ => (place, None),
            };
            (
                place,
                word("/invocation/configSource/entryPoint"),
                reference,
            )
        }
    };
    let url = Url::parse(place).ok()?;
    let host = url.host_str()?;
    Some(Publisher {
        kind: match host {
            "github.com" => "GitHub",
            "gitlab.com" => "GitLab",
            other => other,
        }
        .to_owned(),
        repository: url
            .path()
            .trim_matches('/')
            .trim_end_matches(".git")
            .to_owned(),
        workflow: path.map(str::to_owned),
        environment: None,
        reference: reference.map(str::to_owned),
    })
}

/// A statement, and the digests of what it is about.
fn statement(encoded: &str) -> Result<(Value, Vec<Digest>), String> {
    let bytes = BASE64
        .decode(encoded.as_bytes())
        .map_err(|error| format!("a statement is not base64: {error}"))?;
    let value: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("a statement is not JSON: {error}"))?;
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
