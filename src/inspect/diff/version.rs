//! How far a version moved.

use std::cmp::Ordering;
use std::str::FromStr as _;

use schemars::JsonSchema;
use serde::Serialize;

/// How far a version moved: the first part that differs, counted from the first that is not zero. So
/// `0.3 → 0.17` is a major step, as it is for the caret of npm and Cargo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// The first number, or the epoch; before 1.0, the first that is not zero.
    Major,
    /// The second.
    Minor,
    /// The third, or one after it.
    Patch,
    /// Only what follows the numbers: a pre- or post-release, a local label.
    Label,
}

/// A version as it is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// PEP 440.
    Python(pep440_rs::Version),
    /// Semantic versioning.
    Npm(node_semver::Version),
    /// Neither; compared as text, after all that are.
    Text(String),
}

impl Number {
    /// A Python version.
    pub fn python(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        match pep440_rs::Version::from_str(text) {
            Ok(version) => Self::Python(version),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// An npm version.
    pub fn npm(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default();
        match node_semver::Version::parse(text) {
            Ok(version) => Self::Npm(version),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    /// Where it stands among versions of other kinds.
    fn kind(&self) -> u8 {
        match self {
            Self::Python(_) => 0,
            Self::Npm(_) => 1,
            Self::Text(_) => 2,
        }
    }

    /// Whether it comes before a release.
    pub fn is_prerelease(&self) -> bool {
        match self {
            Self::Python(version) => version.any_prerelease(),
            Self::Npm(version) => version.is_prerelease(),
            Self::Text(_) => false,
        }
    }

    /// Whether this may be the release before another one: lower, and a pre-release only of those.
    pub fn may_precede(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && self < other
            && (other.is_prerelease() || !self.is_prerelease())
    }

    /// What two versions of one major have in common.
    pub fn major(&self) -> (u64, u64) {
        match self {
            Self::Python(version) => (
                version.epoch(),
                version.release().first().copied().unwrap_or(0),
            ),
            Self::Npm(version) => (0, version.major),
            Self::Text(_) => (u64::MAX, 0),
        }
    }

    /// How far it is to another one; nothing where one of them is not a version, or both are equal.
    pub fn step_to(&self, other: &Self) -> Option<Step> {
        if self == other {
            return None;
        }
        let at = |one: &[u64], other: &[u64]| {
            let part = |parts: &[u64], at: usize| parts.get(at).copied().unwrap_or(0);
            let first =
                (0..one.len().max(other.len())).find(|&i| part(one, i) != part(other, i))?;
            // What stands before is the same in both.
            let all_zero = one.iter().take(first).all(|&number| number == 0);
            Some(if all_zero { 0 } else { first })
        };
        let first = match (self, other) {
            (Self::Python(one), Self::Python(other)) if one.epoch() != other.epoch() => Some(0),
            (Self::Python(one), Self::Python(other)) => at(one.release(), other.release()),
            (Self::Npm(one), Self::Npm(other)) => at(
                &[one.major, one.minor, one.patch],
                &[other.major, other.minor, other.patch],
            ),
            _ => return None,
        };
        Some(match first {
            Some(0) => Step::Major,
            Some(1) => Step::Minor,
            Some(_) => Step::Patch,
            None => Step::Label,
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Python(one), Self::Python(other)) => one.cmp(other),
            (Self::Npm(one), Self::Npm(other)) => one.cmp(other),
            (Self::Text(one), Self::Text(other)) => one.cmp(other),
            (one, other) => one.kind().cmp(&other.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_first_part_that_differs_from_the_first_that_is_not_zero() {
        let python = |one, other| Number::python(Some(one)).step_to(&Number::python(Some(other)));
        let npm = |one, other| Number::npm(Some(one)).step_to(&Number::npm(Some(other)));
        for (one, other, step) in [
            ("1.9", "2.0", Some(Step::Major)),
            ("0.3", "0.17", Some(Step::Major)),
            ("0.3.1", "0.3.2", Some(Step::Patch)),
            ("0.0.1", "0.0.2", Some(Step::Major)),
            ("1!1.0", "2.0", Some(Step::Major)),
            ("2025.12.4", "2026.2.0", Some(Step::Major)),
            ("1.2", "1.3.0", Some(Step::Minor)),
            ("1.2", "1.2.1", Some(Step::Patch)),
            ("1.2.3.4", "1.2.3.5", Some(Step::Patch)),
            ("1.0", "1.0.post1", Some(Step::Label)),
            ("1.0rc1", "1.0", Some(Step::Label)),
            ("1.0", "1.0.0", None),
            ("1.0", "main", None),
        ] {
            assert_eq!(python(one, other), step, "{one} → {other}");
        }
        for (one, other, step) in [
            ("1.9.0", "2.0.0", Some(Step::Major)),
            ("0.27.3", "0.28.0", Some(Step::Major)),
            ("1.27.3", "1.28.0", Some(Step::Minor)),
            ("1.0.0-rc.1", "1.0.0", Some(Step::Label)),
            ("1.0.1", "1.0.0", Some(Step::Patch)),
        ] {
            assert_eq!(npm(one, other), step, "{one} → {other}");
        }
        assert!(Number::npm(Some("1.0.0-rc.1")) < Number::npm(Some("1.0.0")));
    }
}
