//! The manifest's only interpolations.
//!
//! `{source:NAME}`, `{component:NAME}`, `{out}`, `{prefix}`, `{site}` and `{python}` stand for
//! paths that are known when a component is built. Nothing else between braces means anything: in
//! a [`Path`](Kind::Path) it is an error, with the name that was meant; in [`Text`](Kind::Text),
//! which may be program code, it is left as it stands.

use std::borrow::Cow;

use camino::Utf8Path;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::core::nearest::nearest;

/// What a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Placeholder {
    /// `{source:NAME}`: the folder a source was brought to.
    Source(String),
    /// `{component:NAME}`: another component's output.
    Component(String),
    /// `{out}`: where the tree is being written.
    Out,
    /// `{prefix}`: where the tree will live.
    Prefix,
    /// `{site}`: its site-packages.
    Site,
    /// `{python}`: the target's interpreter.
    Python,
}

const NAMES: [&str; 6] = ["source:", "component:", "out", "prefix", "site", "python"];

impl Placeholder {
    fn parse(inner: &str) -> Option<Self> {
        match inner {
            "out" => Some(Self::Out),
            "prefix" => Some(Self::Prefix),
            "site" => Some(Self::Site),
            "python" => Some(Self::Python),
            _ => match inner.split_once(':') {
                Some(("source", name)) if is_name(name) => Some(Self::Source(name.to_owned())),
                Some(("component", name)) if is_name(name) => {
                    Some(Self::Component(name.to_owned()))
                }
                _ => None,
            },
        }
    }
}

impl std::fmt::Display for Placeholder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Source(name) => write!(f, "{{source:{name}}}"),
            Self::Component(name) => write!(f, "{{component:{name}}}"),
            Self::Out => f.write_str("{out}"),
            Self::Prefix => f.write_str("{prefix}"),
            Self::Site => f.write_str("{site}"),
            Self::Python => f.write_str("{python}"),
        }
    }
}

/// Names of sources and components: letters, digits, `.`, `_` and `-`.
pub fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(['.', '-'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}

/// How braces that are no placeholder are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A path or an argument: an unknown placeholder is an error.
    Path,
    /// Program text: an unknown placeholder is text.
    Text,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Hole(Placeholder),
}

/// A string with placeholders, parsed when the manifest is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    source: String,
    parts: Vec<Part>,
}

impl Parsed {
    fn parse(source: &str, kind: Kind) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = source;
        while let Some(open) = rest.find('{') {
            let (before, from_brace) = rest.split_at(open);
            literal.push_str(before);
            let inner = from_brace.strip_prefix('{').and_then(|s| s.split_once('}'));
            match inner.and_then(|(inner, after)| Some((Placeholder::parse(inner)?, after))) {
                Some((hole, after)) => {
                    if !literal.is_empty() {
                        parts.push(Part::Literal(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Hole(hole));
                    rest = after;
                }
                None if kind == Kind::Path => return Err(unknown(source, inner.map(|p| p.0))),
                None => {
                    literal.push('{');
                    rest = from_brace.get(1..).unwrap_or_default();
                }
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }

    /// Every placeholder in it, in order.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.parts.iter().filter_map(|part| match part {
            Part::Hole(hole) => Some(hole),
            Part::Literal(_) => None,
        })
    }

    /// Every placeholder in it, with the text behind it up to the next.
    pub fn followed(&self) -> impl Iterator<Item = (&Placeholder, &str)> {
        let next = self.parts.iter().skip(1).map(Some).chain([None]);
        let both = self.parts.iter().zip(next);
        both.filter_map(|both| match both {
            (Part::Hole(hole), Some(Part::Literal(text))) => Some((hole, text.as_str())),
            (Part::Hole(hole), _) => Some((hole, "")),
            _ => None,
        })
    }

    /// Puts values in the placeholders' places.
    ///
    /// # Errors
    /// What `value` says of a placeholder that has none here.
    pub fn fill<E>(
        &self,
        mut value: impl FnMut(&Placeholder) -> Result<String, E>,
    ) -> Result<String, E> {
        let mut text = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Hole(hole) => text.push_str(&value(hole)?),
            }
        }
        Ok(text)
    }

    /// The component that it begins with, as in `{component:deps}/lib`.
    pub fn component(&self) -> Option<&str> {
        match self.parts.first() {
            Some(Part::Hole(Placeholder::Component(name))) => Some(name),
            _ => None,
        }
    }

    /// As it was written.
    pub fn as_written(&self) -> &str {
        &self.source
    }
}

fn unknown(source: &str, inner: Option<&str>) -> String {
    let Some(inner) = inner else {
        return format!("`{source}` opens a placeholder with `{{` and never closes it");
    };
    let word = inner.split_inclusive(':').next().unwrap_or(inner);
    let meant = nearest(word, NAMES)
        .map(|name| match inner.split_once(':') {
            Some((_, rest)) if name.ends_with(':') => format!("{{{name}{rest}}}"),
            _ if name.ends_with(':') => format!("{{{name}NAME}}"),
            _ => format!("{{{name}}}"),
        })
        .map(|name| format!("; did you mean `{name}`?"));
    format!(
        "`{{{inner}}}` in `{source}` is not a placeholder: there are {{source:NAME}}, \
         {{component:NAME}}, {{out}}, {{prefix}}, {{site}} and {{python}}{}",
        meant.unwrap_or_default()
    )
}

macro_rules! template {
    ($(#[$doc:meta])* $name:ident, $kind:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Parsed);

        impl TryFrom<String> for $name {
            type Error = String;
            fn try_from(text: String) -> Result<Self, String> {
                Parsed::parse(&text, $kind).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(template: $name) -> Self {
                template.0.source
            }
        }

        impl std::ops::Deref for $name {
            type Target = Parsed;
            fn deref(&self) -> &Parsed {
                &self.0
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string",
                    "description": "May hold {source:NAME}, {component:NAME}, {out}, {prefix}, {site}, {python}.",
                })
            }
        }
    };
}

template!(
    /// A path or an argument with placeholders; an unknown one is an error.
    PathTemplate,
    Kind::Path
);
template!(
    /// Text with placeholders; any other brace is text.
    TextTemplate,
    Kind::Text
);

impl PathTemplate {
    /// Makes a path beside the manifest be found from another folder, from which `folder` leads to that.
    pub(super) fn read_from(&mut self, folder: &Utf8Path) {
        let is_beside = self.placeholders().next().is_none()
            && !self.source.starts_with('/')
            && !self.source.is_empty();
        if is_beside {
            let path = folder.join(&self.source).into_string();
            self.0 = Parsed {
                source: path.clone(),
                parts: vec![Part::Literal(path)],
            };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn fill(text: &str, kind: Kind) -> Result<String, String> {
        Parsed::parse(text, kind)?.fill(|hole| Ok(format!("<{hole}>")))
    }

    #[test]
    fn placeholders_are_filled_and_text_is_kept() {
        assert_eq!(fill("{source:a}/b", Kind::Path).unwrap(), "<{source:a}>/b");
        assert_eq!(
            fill("x{out}y{component:c-1}", Kind::Path).unwrap(),
            "x<{out}>y<{component:c-1}>"
        );
        assert_eq!(fill("plain", Kind::Path).unwrap(), "plain");
        assert_eq!(
            fill("f\"{x}\" {} {{ {prefix} }", Kind::Text).unwrap(),
            "f\"{x}\" {} {{ <{prefix}> }"
        );
    }

    #[test]
    fn a_misspelt_placeholder_names_the_one_that_was_meant() {
        let error = fill("{sorce:a}/b", Kind::Path).unwrap_err();
        assert!(error.contains("did you mean `{source:a}`?"), "{error}");
        let error = fill("{prefx}/b", Kind::Path).unwrap_err();
        assert!(error.contains("did you mean `{prefix}`?"), "{error}");
        let error = fill("{out", Kind::Path).unwrap_err();
        assert!(error.contains("never closes it"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn text_without_placeholders_is_itself(text in "[^{]*") {
            proptest::prop_assert_eq!(fill(&text, Kind::Path).unwrap(), text);
        }

        #[test]
        fn any_text_is_read(text in ".*") {
            proptest::prop_assert!(fill(&text, Kind::Text).is_ok());
        }
    }
}
