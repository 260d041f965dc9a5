//! A bill as SPDX 2.3 JSON (<https://spdx.github.io/spdx-spec/v2.3/>).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Bill, Component};
use crate::core::digest::{Algorithm, Digest};
use crate::inspect::diff::facts::{OriginKind, Scope, without_password};

/// What the specification asks for where nothing is known.
const UNKNOWN: &str = "NOASSERTION";

/// Writes the bill. `created` is the moment that the specification asks for, as `YYYY-MM-DDThh:mm:ssZ`:
/// one that is the same each time, or the bill is not.
pub fn render(bill: &Bill<'_>, created: &str) -> Value {
    let (name, version) = bill.root;
    let mut root = json!({
        "SPDXID": "SPDXRef-project",
        "name": name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": false,
        "primaryPackagePurpose": "APPLICATION",
    });
    if let (Value::Object(root), false) = (&mut root, version.is_empty()) {
        root.insert("versionInfo".to_owned(), json!(version));
    }
    let mut ids = BTreeMap::from([("", "SPDXRef-project".to_owned())]);
    let mut packages = vec![root];
    for (at, (purl, component)) in bill.components.iter().enumerate() {
        let id = format!("SPDXRef-{}-{at}", plain(&component.key.0));
        packages.push(package(&id, purl, component));
        ids.insert(purl, id);
    }
    let mut relationships = vec![json!({
        "spdxElementId": "SPDXRef-DOCUMENT",
        "relationshipType": "DESCRIBES",
        "relatedSpdxElement": "SPDXRef-project",
    })];
    for (from, to) in &bill.needs {
        for to in to {
            let scope = bill.components.get(to).map(|one| one.package.scope);
            let (Some(from), Some(to)) = (ids.get(from.as_str()), ids.get(to.as_str())) else {
                continue;
            };
            let (one, kind, other) = match scope {
                Some(Scope::Optional) => (to, "OPTIONAL_DEPENDENCY_OF", from),
                Some(Scope::Development) => (to, "DEV_DEPENDENCY_OF", from),
                _ => (from, "DEPENDS_ON", to),
            };
            relationships.push(json!({
                "spdxElementId": one,
                "relationshipType": kind,
                "relatedSpdxElement": other,
            }));
        }
    }
    let digest = Digest::of(
        Algorithm::Sha256,
        format!("{packages:?}\n{relationships:?}").as_bytes(),
    );
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        // A name in a space of its own, which leads nowhere.
        "documentNamespace": format!("urn:lockwright:sbom:{}", digest.hex()),
        "creationInfo": {
            "created": created,
            "creators": [concat!("Tool: lockwright-", env!("CARGO_PKG_VERSION"))],
        },
        "packages": packages,
        "relationships": relationships,
    })
}

/// What may stand in an identifier.
fn plain(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    name.trim_start_matches('@').chars().map(kept).collect()
}

fn package(id: &str, purl: &str, component: &Component<'_>) -> Value {
    let Component {
        key: (name, version),
        package,
        licence,
    } = component;
    // One place can be named: the file's where there is one alone.
    let place = match (&package.files[..], package.origin.kind) {
        ([file], _) if file.location.contains("://") => without_password(&file.location),
        (_, OriginKind::Git) => {
            let place = without_password(&package.origin.place);
            let place = place.strip_prefix("git+").unwrap_or(&place);
            format!(
                "git+{place}@{}",
                package.origin.commit.as_deref().unwrap_or_default()
            )
        }
        _ => UNKNOWN.to_owned(),
    };
    let declared = licence
        .as_ref()
        .and_then(crate::inspect::licence::Licence::spdx);
    let mut value = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": place,
        "filesAnalyzed": false,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": declared.as_deref().unwrap_or(UNKNOWN),
        "copyrightText": UNKNOWN,
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": purl,
        }],
    });
    let Value::Object(map) = &mut value else {
        return value;
    };
    if !version.is_empty() {
        map.insert("versionInfo".to_owned(), json!(version));
    }
    if let (Some(licence), None) = (licence, declared) {
        let said = format!("stated as: {}", licence.text());
        map.insert("licenseComments".to_owned(), json!(said));
    }
    if let [file] = &package.files[..]
        && let Some(digest) = &file.digest
    {
        let algorithm = match digest.algorithm() {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha1 => "SHA1",
            Algorithm::Sha256 => "SHA256",
            Algorithm::Sha384 => "SHA384",
            Algorithm::Sha512 => "SHA512",
        };
        let checksum = json!([{"algorithm": algorithm, "checksumValue": digest.hex()}]);
        map.insert("checksums".to_owned(), checksum);
    }
    value
}
