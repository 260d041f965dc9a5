//! `[review]`: what a project asks of its locks, for `diff` and `audit`.

use std::fmt;
use std::str::FromStr;

use indexmap::IndexMap;
use jiff::{SignedDuration, Span, SpanRelativeTo, civil};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The rules for reviews of locks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Review {
    /// The least time since a file was published, as `7d`.
    #[schemars(with = "Option<String>")]
    pub min_age: Option<Age>,
    /// The same for single packages; `0d` exempts one.
    #[schemars(with = "IndexMap<String, String>")]
    pub min_age_of: IndexMap<String, Age>,
    /// The licences that packages may have.
    pub licenses: Licenses,
    /// Known vulnerabilities that are accepted.
    pub ignore: Vec<Ignore>,
}

/// The licences that packages may have, by SPDX identifiers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Licenses {
    /// Allowed licences; with an empty list, any.
    pub allow: Vec<String>,
    /// Forbidden licences.
    pub deny: Vec<String>,
    /// The licence expression of packages that do not state it, or state it badly.
    pub packages: IndexMap<String, String>,
}

/// An accepted vulnerability.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Ignore {
    /// Its identifier, or one of its aliases.
    pub id: String,
    /// The package; any by default.
    pub package: Option<String>,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it is accepted, as `2026-12-31`; without end by default.
    #[schemars(with = "Option<String>")]
    pub until: Option<civil::Date>,
}

/// A span of time: `7d`, `36h`, `2 weeks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age(pub SignedDuration);

/// Why a text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time: write it as 7d, 36h or 2 weeks")]
pub struct AgeError(String);

impl FromStr for Age {
    type Err = AgeError;

    fn from_str(text: &str) -> Result<Self, AgeError> {
        let error = || AgeError(text.to_owned());
        let span: Span = text.parse().map_err(|_| error())?;
        let length = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| error())?;
        match length.is_negative() {
            true => Err(error()),
            false => Ok(Self(length)),
        }
    }
}

impl fmt::Display for Age {
    /// In the largest unit that makes sense: days from two on, else hours or minutes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.0.as_mins();
        let (number, unit) = match minutes {
            _ if minutes >= 48 * 60 => (minutes / (24 * 60), "day"),
            _ if minutes >= 120 => (minutes / 60, "hour"),
            _ => (minutes, "minute"),
        };
        let s = if number == 1 { "" } else { "s" };
        write!(f, "{number} {unit}{s}")
    }
}

impl Serialize for Age {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{}s", self.0.as_secs()))
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, hours) in [
            ("7d", Some(168)),
            ("36h", Some(36)),
            ("2 weeks", Some(336)),
            ("P1D", Some(24)),
            ("0d", Some(0)),
            ("7", None),
            ("-1d", None),
            ("a week", None),
        ] {
            let read = text.parse::<Age>().ok().map(|age| age.0.as_hours());
            assert_eq!(read, hours, "{text}");
        }
    }
}
