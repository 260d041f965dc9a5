//! The reference of lockwright.toml, made from its schema.

use std::collections::VecDeque;
use std::fmt::Write as _;

use lockwright::decide::manifest::Manifest;
use serde_json::{Map, Value};

use crate::commands::text;
use crate::pages;

type Object = Map<String, Value>;

#[test]
fn the_manifests_reference_is_its_schemas() {
    let schema = serde_json::to_value(Manifest::schema()).unwrap();
    let schema = schema.as_object().unwrap();
    let mut page = String::from(
        "# Every key of lockwright.toml\n\nMade from the [schema](../schema/lockwright.json) that `lockwright init --schema` \
         prints. [lockwright.toml](manifest.md) says what the parts are for.\n\n\
         *Text* may hold placeholders (`{source:NAME}`, `{out}`, …) where that is said.\n\n## The file\n\n",
    );
    let mut tables = Tables {
        schema,
        queue: VecDeque::new(),
        seen: Vec::new(),
    };
    tables.write_keys(&mut page, schema, "");
    while let Some((path, name)) = tables.queue.pop_front() {
        let table = tables.definition(&name);
        writeln!(page, "## {path}\n").unwrap();
        if let Some(about) = table.get("description").and_then(Value::as_str) {
            writeln!(page, "{}\n", text(&about.replace('\n', " "))).unwrap();
        }
        tables.write_keys(&mut page, table, &path);
        // Keys of any other name: `[build.NAME]`.
        if let Some(name) = table.get("additionalProperties").and_then(reference) {
            tables.reach(&format!("{path}.NAME"), name);
            let link = tables.link(name);
            writeln!(page, "Any other key NAME is a table: {link}\n").unwrap();
        }
    }
    let end = page.trim_end().len();
    page.truncate(end);
    page.push('\n');
    pages::is_written("docs/manifest-reference.md", &page);
}

struct Tables<'a> {
    schema: &'a Object,
    /// Tables that are still to be written: where each stands in the file, and what it is called in the schema.
    queue: VecDeque<(String, String)>,
    /// Where each table that was reached stands, the first time.
    seen: Vec<(String, String)>,
}

fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.strip_prefix("#/$defs/")
}

impl<'a> Tables<'a> {
    fn definition(&self, name: &str) -> &'a Object {
        let all = self.schema["$defs"].as_object().unwrap();
        all[name].as_object().unwrap()
    }

    /// Whether a definition is a table, and so has a heading of its own.
    fn is_table(&self, name: &str) -> bool {
        self.definition(name).contains_key("properties")
    }

    fn reach(&mut self, path: &str, name: &str) {
        if !self.seen.iter().any(|(_, known)| known == name) {
            self.seen.push((path.to_owned(), name.to_owned()));
            self.queue.push_back((path.to_owned(), name.to_owned()));
        }
    }

    fn link(&self, name: &str) -> String {
        let (path, _) = self.seen.iter().find(|(_, known)| known == name).unwrap();
        let anchor = path.to_lowercase();
        let anchor: String = anchor
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == '-')
            .collect();
        format!("[{path}](#{anchor})")
    }

    fn write_keys(&mut self, page: &mut String, table: &'a Object, path: &str) {
        let Some(keys) = table.get("properties").and_then(Value::as_object) else {
            return;
        };
        let required: Vec<&str> = table
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        page.push_str("| key | value | |\n| --- | --- | --- |\n");
        for (key, value) in keys {
            let here = match path {
                "" => key.clone(),
                path => format!("{path}.{key}"),
            };
            let kind = self.kind(&here, value);
            let about = value.get("description").and_then(Value::as_str);
            let mut about = text(&about.unwrap_or_default().replace('\n', " "));
            if required.contains(&key.as_str()) {
                about.push_str(" **Required.**");
            }
            if let Some(default) = value.get("default").and_then(default) {
                write!(about, " Default: `{default}`.").unwrap();
            }
            let row = format!("| `{key}` | {kind} | {} |", about.replace('|', "\\|"));
            writeln!(page, "{row}").unwrap();
        }
        page.push('\n');
    }

    /// What a value is, in a few words.
    fn kind(&mut self, path: &str, value: &'a Value) -> String {
        if let Some(name) = reference(value) {
            return self.named(path, name);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(all) = value.get(choice).and_then(Value::as_array) {
                let all = all.iter().filter(|one| one["type"] != "null");
                let kinds: Vec<String> = all.map(|one| self.kind(path, one)).collect();
                return match value.get("oneOf") {
                    Some(_) => format!("one of {}", kinds.join(", ")),
                    None => kinds.join(" or "),
                };
            }
        }
        if let Some(value) = value.get("const") {
            return format!("`{value}`");
        }
        let kind = match &value["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null").unwrap(),
            kind => kind,
        };
        match kind.as_str().unwrap_or_default() {
            "boolean" => "`true` or `false`".to_owned(),
            "integer" => "number".to_owned(),
            "array" => match value.get("items") {
                Some(items) => {
                    let kind = self.kind(path, items);
                    match kind.starts_with("list of ") {
                        true => format!("list of lists of {}", &kind["list of ".len()..]),
                        false => format!("list of {kind}"),
                    }
                }
                None => format!("list of {}", value["prefixItems"].as_array().unwrap().len()),
            },
            "object" => match value.get("additionalProperties") {
                Some(inner) if inner.is_object() => {
                    let kind = self.kind(&format!("{path}.NAME"), inner);
                    match kind.starts_with('[') {
                        true => format!("tables: {kind}"),
                        false => format!("table of {kind}"),
                    }
                }
                _ => {
                    let keys = value["properties"].as_object().unwrap();
                    let keys: Vec<String> = keys.keys().map(|key| format!("`{key}`")).collect();
                    format!("a table with {}", keys.join(" and "))
                }
            },
            _ => "text".to_owned(),
        }
    }

    fn named(&mut self, path: &str, name: &str) -> String {
        if self.is_table(name) {
            self.reach(path, name);
            return self.link(name);
        }
        let definition = self.schema["$defs"].get(name).unwrap();
        match name.ends_with("Template") {
            true => "text with placeholders".to_owned(),
            false => self.kind(path, definition),
        }
    }
}

/// A default worth saying: not an empty one, nor a table's.
fn default(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) | Value::Bool(false) => None,
        Value::Array(all) if all.is_empty() => None,
        value => Some(value.to_string()),
    }
}
