//! A registry's document of a package, in full or abbreviated
//! (<https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md>).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::inspect::diff::version::Number;

/// The kinds of document, as `Accept` names them: without the times of versions, which make the other
/// one many times larger.
pub const SHORT: &str = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
/// With everything.
pub const FULL: &str = "application/json";

/// What a registry says of a package.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Packument {
    /// Its versions.
    #[serde(default)]
    pub versions: BTreeMap<String, Version>,
    /// When each was published; with `created` and `modified`.
    #[serde(default)]
    pub time: BTreeMap<String, Value>,
}

/// What a registry says of a version.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its tarball.
    #[serde(default)]
    pub dist: Dist,
    /// What its maintainers say instead of maintaining it.
    deprecated: Option<Value>,
    has_install_script: Option<bool>,
    #[serde(default)]
    scripts: BTreeMap<String, Value>,
}

/// What a registry says of a tarball.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dist {
    /// Where it is.
    pub tarball: Option<String>,
    /// What it must hash to: several digests, separated by spaces.
    pub integrity: Option<String>,
    /// The same by SHA-1, in hex.
    pub shasum: Option<String>,
    /// The registry's own.
    #[serde(default)]
    pub signatures: Vec<Signature>,
    /// Where it was built.
    pub attestations: Option<Attestations>,
}

/// A signature of the registry over `NAME@VERSION:INTEGRITY`.
#[derive(Debug, Clone, Deserialize)]
pub struct Signature {
    /// Which key.
    pub keyid: String,
    /// The signature, as base64.
    pub sig: String,
}

/// Statements about where a tarball was built.
#[derive(Debug, Clone, Deserialize)]
pub struct Attestations {
    /// Where they are.
    pub url: String,
}

impl Packument {
    /// Reads a document.
    ///
    /// # Errors
    /// With the reason, where it is none.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes)
            .map_err(|error| format!("its answer is not a packument: {error}"))
    }

    /// The release before a version.
    pub fn below(&self, number: &Number) -> Option<(&str, &Version)> {
        let all = self.versions.iter();
        let all = all.map(|(text, version)| (Number::npm(Some(text)), text.as_str(), version));
        let below = all.filter(|(other, ..)| other.may_precede(number));
        let highest = below.max_by(|(one, ..), (other, ..)| one.cmp(other));
        highest.map(|(_, text, version)| (text, version))
    }

    /// When a version was published.
    pub fn published(&self, version: &str) -> Option<&str> {
        self.time.get(version).and_then(Value::as_str)
    }
}

impl Version {
    /// What is said instead of maintaining it.
    pub fn deprecated(&self) -> Option<String> {
        match self.deprecated.as_ref()? {
            Value::String(said) if said.is_empty() => None,
            Value::String(said) => Some(said.clone()),
            Value::Bool(true) => Some(String::from("no reason is given")),
            _ => None,
        }
    }

    /// Whether it runs something when it is installed; nothing where that is not said.
    pub fn runs_script(&self) -> bool {
        let events = ["preinstall", "install", "postinstall"];
        self.has_install_script == Some(true)
            || events.iter().any(|event| self.scripts.contains_key(*event))
    }
}
