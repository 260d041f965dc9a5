//! All that shapes a component, by name: the key follows from it, and so does what changed.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::digest::{Algorithm, Digest};

/// What goes into a component: a name that people recognise, and a value or its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ingredients(BTreeMap<String, String>);

/// One ingredient that is not what it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its name.
    pub what: String,
    /// What it was; `None`: it is new.
    pub before: Option<String>,
    /// What it is; `None`: it is gone.
    pub after: Option<String>,
}

impl Ingredients {
    /// Adds one. Names are unique; a second of the same name is numbered.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        let name = name.into();
        let mut free = name.clone();
        for number in 2.. {
            if !self.0.contains_key(&free) {
                break;
            }
            free = format!("{name} ({number})");
        }
        self.0.insert(free, value.into());
    }

    /// The key: a digest of all of them.
    pub fn key(&self) -> Digest {
        let text = serde_json::to_string(&self.0).unwrap_or_default();
        Digest::of(Algorithm::Sha256, text.as_bytes())
    }

    /// What is different from `before`, by name.
    pub fn changes(&self, before: &Self) -> Vec<Change> {
        let mut changes: Vec<Change> = Vec::new();
        for (what, after) in &self.0 {
            let known = before.0.get(what);
            if known != Some(after) {
                changes.push(Change {
                    what: what.clone(),
                    before: known.cloned(),
                    after: Some(after.clone()),
                });
            }
        }
        for (what, before) in &before.0 {
            if !self.0.contains_key(what) {
                changes.push(Change {
                    what: what.clone(),
                    before: Some(before.clone()),
                    after: None,
                });
            }
        }
        changes.sort_by(|one, other| one.what.cmp(&other.what));
        changes
    }
}

/// `django 5.2.10 → 5.2.11`, `copy {source:app}/app`, `new: patch 3`.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Digests tell a person nothing but that they differ.
        let shown = |value: &Option<String>| {
            let words = value.as_deref().unwrap_or_default().split(' ');
            let is_digest = |word: &str| word.contains("sha256") || word.starts_with("h1:");
            let telling: Vec<&str> = words.filter(|word| !is_digest(word)).collect();
            let text = telling.join(" ");
            (text.len() <= 60 && !text.starts_with(['{', '['])).then_some(text)
        };
        match (&self.before, &self.after) {
            (None, _) => write!(f, "new: {}", self.what),
            (_, None) => write!(f, "gone: {}", self.what),
            _ => match (shown(&self.before), shown(&self.after)) {
                (Some(before), Some(after)) if before != after => {
                    write!(f, "{} {before} → {after}", self.what)
                }
                _ => f.write_str(&self.what),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Ingredients {
        let mut all = Ingredients::default();
        for (name, value) in pairs {
            all.add(*name, *value);
        }
        all
    }

    #[test]
    fn what_changed_is_said_by_name() {
        let before = of(&[
            ("django", "5.2.10"),
            ("copy a", "sha256-x"),
            ("patch 1", "p"),
        ]);
        let after = of(&[
            ("django", "5.2.11"),
            ("copy a", "sha256-y"),
            ("wrap ak", "w"),
        ]);
        let said: Vec<String> = after
            .changes(&before)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            said,
            [
                "copy a",
                "django 5.2.10 → 5.2.11",
                "gone: patch 1",
                "new: wrap ak"
            ]
        );
        assert!(after.changes(&after).is_empty());
        assert_ne!(before.key(), after.key());
    }

    #[test]
    fn the_key_knows_no_order_and_loses_nothing() {
        assert_eq!(
            of(&[("a", "1"), ("b", "2")]).key(),
            of(&[("b", "2"), ("a", "1")]).key()
        );
        assert_ne!(of(&[("a", "1"), ("a", "2")]).key(), of(&[("a", "1")]).key());
    }
}
