//! JSON as npm writes it, read more strictly than npm does.

use std::fmt;

use camino::Utf8Path;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::core::place::Place;
use crate::decide::lock::LockError;

/// The indentation and line end that npm infers from a file (json-parse-even-better-errors).
pub(super) fn format_of(text: &str) -> (String, &'static str) {
    // What does not go on to the next line right after its first bracket says nothing.
    let inside = text
        .trim_start()
        .strip_prefix(['{', '['])
        .unwrap_or_default();
    let rest = inside.trim_start_matches(['\r', '\n']);
    if rest.len() == inside.len() {
        return (String::new(), "\n");
    }
    let newline = match inside.starts_with('\r') {
        true => "\r\n",
        false => "\n",
    };
    let is_blank = |c: &char| matches!(c, ' ' | '\t');
    let indent = rest.chars().take_while(is_blank).collect();
    (indent, newline)
}

pub(super) fn refuse(file: &Utf8Path, text: &str, at: usize, message: String) -> LockError {
    LockError::Syntax {
        place: Place::at(file, text, at),
        message,
    }
}

/// Reads JSON in which no key appears twice.
pub(super) fn json(file: &Utf8Path, text: &str) -> Result<Value, LockError> {
    if text.starts_with('\u{feff}') {
        let why = "the file begins with a byte-order mark: save it without";
        return Err(refuse(file, text, 0, why.into()));
    }
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if ["<<<<<<< ", "=======\n", ">>>>>>> "]
            .iter()
            .any(|mark| line.starts_with(mark))
        {
            let why = "the file has merge conflict markers: finish the merge, and have npm \
                       regenerate the lock";
            return Err(refuse(file, text, at, why.into()));
        }
        at += line.len();
    }
    serde_json::from_str::<Unique>(text)
        .map(|unique| unique.0)
        .map_err(|error| {
            let line_start: usize = text
                .split_inclusive('\n')
                .take(error.line().saturating_sub(1))
                .map(str::len)
                .sum();
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            let at = line_start + error.column().saturating_sub(1);
            refuse(file, text, at, message.to_owned())
        })
}

/// A value in which no object has a key twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_str<E>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut all = Vec::new();
                while let Some(Unique(value)) = seq.next_element()? {
                    all.push(value);
                }
                Ok(Value::Array(all))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
                let mut all = Map::new();
                while let Some(key) = map.next_key::<String>()? {
                    if all.contains_key(&key) {
                        return Err(A::Error::custom(format!(
                            "`{}` appears twice: have npm regenerate the file",
                            key.escape_debug()
                        )));
                    }
                    let Unique(value) = map.next_value()?;
                    all.insert(key, value);
                }
                Ok(Value::Object(all))
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}
