//! A bill as CycloneDX 1.6 JSON (<https://cyclonedx.org/docs/1.6/json/>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Bill, Component, encoded, purl};
use crate::core::digest::{Algorithm, Digest};
use crate::decide::lock::go::GoLock;
use crate::inspect::diff::facts::{FileKind, OriginKind, Scope, without_password};

/// Writes the bill.
pub fn render(bill: &Bill<'_>) -> Value {
    let (name, version) = bill.root;
    let root_ref = format!("root:{}", purl(bill.ecosystem, name, version));
    let mut root = json!({"type": "application", "bom-ref": root_ref, "name": name});
    if !version.is_empty() {
        put(&mut root, "version", json!(version));
    }
    let components: Vec<Value> = (bill.components.iter())
        .map(|(id, one)| component(id, one))
        .collect();
    let dependencies: Vec<Value> = (bill.needs.iter())
        .map(|(from, to)| {
            let from = if from.is_empty() { &root_ref } else { from };
            json!({"ref": from, "dependsOn": to})
        })
        .collect();
    document(&root, bill.target, &components, &dependencies)
}

/// Several bills as the one of a container image that has all of it: what each of them is of is a component,
/// with what that needs.
pub fn merged(name: &str, version: &str, bills: &[Value]) -> Value {
    let own = format!("image:{name}:{version}");
    let root = json!({"type": "container", "bom-ref": own, "name": name, "version": version});
    let mut components: BTreeMap<String, Value> = BTreeMap::new();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let list = |bill: &Value, key: &str| {
        let list = bill.get(key).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    let text = |value: &Value, key: &str| {
        let text = value.get(key).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    for bill in bills {
        let of = bill.pointer("/metadata/component").cloned();
        let of = of.unwrap_or_default();
        needs
            .entry(own.clone())
            .or_default()
            .insert(text(&of, "bom-ref"));
        for component in list(bill, "components").into_iter().chain([of]) {
            components
                .entry(text(&component, "bom-ref"))
                .or_insert(component);
        }
        for dependency in list(bill, "dependencies") {
            let to = list(&dependency, "dependsOn").into_iter();
            let to = to.filter_map(|to| Some(to.as_str()?.to_owned()));
            needs
                .entry(text(&dependency, "ref"))
                .or_default()
                .extend(to);
        }
    }
    let components: Vec<Value> = components.into_values().collect();
    let dependencies: Vec<Value> = needs
        .iter()
        .map(|(from, to)| json!({"ref": from, "dependsOn": to}))
        .collect();
    document(&root, None, &components, &dependencies)
}

/// The bill of the modules that a go.sum names the files of. Which needs which it does not say.
pub fn of_modules(lock: &GoLock) -> Value {
    let url = |path: &str, version: &str| {
        let parts: Vec<String> = path.to_lowercase().split('/').map(encoded).collect();
        let version = match version {
            "" => String::new(),
            version => format!("@{}", encoded(version)),
        };
        format!("pkg:golang/{}{version}", parts.join("/"))
    };
    let own = format!("root:{}", url(&lock.name, ""));
    let root = json!({"type": "application", "bom-ref": own, "name": lock.name});
    let built = lock.modules.iter();
    let built = built.filter_map(|(module, hashes)| Some((module, hashes.files.as_ref()?)));
    let components: Vec<Value> = built
        .map(|(module, hash)| {
            let id = url(&module.path, &module.version);
            json!({
                "type": "library",
                "bom-ref": id,
                "name": module.path,
                "version": module.version,
                // Over the module's files, as cyclonedx-gomod has it; and as go.sum has it.
                "hashes": [{"alg": "SHA-256", "content": hash.hex()}],
                "properties": [{"name": "lockwright:go.sum", "value": hash.to_string()}],
                "purl": id,
            })
        })
        .collect();
    let all: Vec<&Value> = components
        .iter()
        .filter_map(|one| one.get("bom-ref"))
        .collect();
    let dependencies = [json!({"ref": own, "dependsOn": all})];
    document(&root, None, &components, &dependencies)
}

/// A bill of a component, and what else it knows.
fn document(
    root: &Value,
    target: Option<&str>,
    components: &[Value],
    dependencies: &[Value],
) -> Value {
    let mut metadata = json!({
        "lifecycles": [{"phase": "pre-build"}],
        "tools": {"components": [{
            "type": "application",
            "name": "lockwright",
            "version": env!("CARGO_PKG_VERSION"),
        }]},
        "component": root,
    });
    if let Some(target) = target {
        let property = json!([{"name": "lockwright:target", "value": target}]);
        put(&mut metadata, "properties", property);
    }
    let digest = Digest::of(
        Algorithm::Sha256,
        format!("{metadata}\n{components:?}\n{dependencies:?}").as_bytes(),
    );
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": serial(&digest),
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": dependencies,
    })
}

fn put(value: &mut Value, key: &str, what: Value) {
    if let Value::Object(map) = value {
        map.insert(key.to_owned(), what);
    }
}

/// A UUID made of a digest: version 8, which is for that (RFC 9562).
fn serial(digest: &Digest) -> String {
    let hex = digest.hex();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!(
        "urn:uuid:{}-{}-8{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    )
}

fn component(id: &str, component: &Component<'_>) -> Value {
    let Component {
        key: (name, version),
        package,
        licence,
    } = component;
    let mut value = json!({"type": "library", "bom-ref": id});
    match name.strip_prefix('@').and_then(|name| name.split_once('/')) {
        Some((group, name)) => {
            put(&mut value, "group", json!(format!("@{group}")));
            put(&mut value, "name", json!(name));
        }
        None => put(&mut value, "name", json!(name)),
    }
    if !version.is_empty() {
        put(&mut value, "version", json!(version));
    }
    let scope = match package.scope {
        Scope::Required => "required",
        Scope::Optional => "optional",
        Scope::Development => "excluded",
    };
    put(&mut value, "scope", json!(scope));
    let files: Vec<_> = package
        .files
        .iter()
        .filter(|file| file.digest.is_some())
        .collect();
    // A component's own hashes are those of what is installed, where that is one file.
    if let [file] = &files[..] {
        put(&mut value, "hashes", hashes(file.digest.as_ref()));
    }
    if let Some(licence) = licence {
        let said = match licence.spdx() {
            Some(expression) => json!([{"expression": expression}]),
            None => json!([{"license": {"name": licence.text()}}]),
        };
        put(&mut value, "licenses", said);
    }
    put(&mut value, "purl", json!(id));
    let mut places: Vec<Value> = (package.files.iter())
        .filter(|file| file.location.contains("://"))
        .map(|file| {
            let mut place = json!({
                "type": if file.kind == FileKind::Sdist { "source-distribution" } else { "distribution" },
                "url": without_password(&file.location),
            });
            if file.digest.is_some() {
                put(&mut place, "hashes", hashes(file.digest.as_ref()));
            }
            place
        })
        .collect();
    if package.origin.kind == OriginKind::Git {
        let commit = package.origin.commit.as_deref().unwrap_or_default();
        let url = format!("{}#{commit}", without_password(&package.origin.place));
        places.push(json!({"type": "vcs", "url": url}));
    }
    if !places.is_empty() {
        put(&mut value, "externalReferences", Value::Array(places));
    }
    value
}

fn hashes(digest: Option<&Digest>) -> Value {
    let all = digest.into_iter().map(|digest| {
        let name = match digest.algorithm() {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha1 => "SHA-1",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha384 => "SHA-384",
            Algorithm::Sha512 => "SHA-512",
        };
        let mut map = Map::new();
        map.insert("alg".to_owned(), json!(name));
        map.insert("content".to_owned(), json!(digest.hex()));
        Value::Object(map)
    });
    Value::Array(all.collect())
}
