//! Findings for code hosts: SARIF 2.1.0
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::clean;
use crate::inspect::diff::model::{Finding, FindingKind, Severity};

/// Writes findings. `file` is the lock as the
/// repository has it, `lines` says where in it a package begins.
pub fn render(findings: &[Finding], file: &str, lines: &BTreeMap<String, usize>) -> Value {
    let kinds: BTreeSet<FindingKind> = findings.iter().map(|one| one.kind).collect();
    let id = |kind: &FindingKind| {
        let name = serde_json::to_value(kind).unwrap_or_default();
        name.as_str().unwrap_or_default().to_owned()
    };
    let rules: Vec<Value> = kinds
        .iter()
        .map(|kind| {
            let name = id(kind);
            json!({"id": name, "shortDescription": {"text": name.replace('-', " ")}})
        })
        .collect();
    let mut results = Vec::new();
    for finding in findings {
        let level = match finding.severity {
            Severity::Alarm => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let sides: Vec<&str> = [&finding.old, &finding.new]
            .into_iter()
            .filter_map(|side| side.as_deref())
            .collect();
        let sides = match sides.is_empty() {
            true => String::new(),
            false => format!(" ({})", sides.join(" → ")),
        };
        let whole = [String::new()];
        let packages = match finding.packages.is_empty() {
            true => &whole[..],
            false => &finding.packages[..],
        };
        for package in packages {
            let name = package.split(' ').next().unwrap_or_default();
            let line = lines.get(name).copied().unwrap_or(1);
            let text = format!("{package}: {}{sides}", finding.says);
            let text = clean(text.trim_start_matches(": "));
            results.push(json!({
                "ruleId": id(&finding.kind),
                "level": level,
                "message": {"text": text},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": file},
                    "region": {"startLine": line},
                }}],
                "partialFingerprints": {"package": format!("{package} {}", id(&finding.kind))},
            }));
        }
    }
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "lockwright",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "results": results,
        }],
    })
}
