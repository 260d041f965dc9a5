//! `node_modules/.package-lock.json`: npm's own record of what it has placed, which it reads
//! instead of looking at every folder.

use serde_json::{Map, Value};

use crate::decide::lock::npm::NpmLock;
use crate::decide::lock::npm_order::compare;
use crate::decide::plan::npm::NpmPlan;

/// Keys that come first, wherever they are.
const FIRST: [&str; 8] = [
    "name",
    "version",
    "lockfileVersion",
    "resolved",
    "integrity",
    "requires",
    "packages",
    "dependencies",
];

/// The hidden lockfile of a plan: the lock's header, and the entries of what is placed.
pub fn lockfile(lock: &NpmLock, plan: &NpmPlan) -> String {
    let mut all = lock.header.clone();
    all.insert("lockfileVersion".into(), 3.into());
    all.insert("requires".into(), true.into());
    let packages: Map<String, Value> = plan
        .packages
        .iter()
        .map(|package| {
            let recorded = Value::Object(package.recorded.clone());
            (package.location.to_string(), recorded)
        })
        .chain(
            plan.outside
                .iter()
                .map(|(place, recorded)| (place.clone(), Value::Object(recorded.clone()))),
        )
        .collect();
    all.insert("packages".into(), Value::Object(packages));
    let indent = if lock.indent.is_empty() {
        "  "
    } else {
        &lock.indent
    };
    let mut text = String::new();
    write(&mut text, &Value::Object(all), indent, 0);
    text.push('\n');
    match lock.newline {
        "\n" => text,
        newline => text.replace('\n', newline),
    }
}

/// As json-stringify-nice writes it: what are no objects first, then by name.
fn write(text: &mut String, value: &Value, indent: &str, depth: usize) {
    let line = |text: &mut String, depth: usize| {
        text.push('\n');
        text.push_str(&indent.repeat(depth));
    };
    match value {
        Value::Object(map) if !map.is_empty() => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|(a, av), (b, bv)| {
                let first = |key: &str| FIRST.iter().position(|f| *f == key).unwrap_or(FIRST.len());
                av.is_object()
                    .cmp(&bv.is_object())
                    .then(first(a).cmp(&first(b)))
                    .then_with(|| compare(a, b))
            });
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                text.push_str(&Value::String(key.clone()).to_string());
                text.push_str(": ");
                write(text, value, indent, depth + 1);
            }
            line(text, depth);
            text.push('}');
        }
        Value::Array(all) if !all.is_empty() => {
            text.push('[');
            for (index, value) in all.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(text, depth + 1);
                write(text, value, indent, depth + 1);
            }
            line(text, depth);
            text.push(']');
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_come_last_and_known_keys_first() {
        let value =
            serde_json::json!({"b": {"z": 1}, "A": [], "a": ["x"], "version": "1", "c": {}});
        let mut text = String::new();
        write(&mut text, &value, "  ", 0);
        let expected = "{\n  \"version\": \"1\",\n  \"a\": [\n    \"x\"\n  ],\n  \"A\": [],\n  \"b\": {\n    \"z\": 1\n  },\n  \"c\": {}\n}";
        assert_eq!(text, expected);
    }
}
