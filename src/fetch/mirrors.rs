//! Mirrors: what is asked instead of what the lock names.
//!
//! A lock holds absolute URLs, and stays as it is: the digest decides whether what a mirror sends
//! is right. `--mirror FROM=TO` replaces a URL's beginning; of several that fit, the longest wins.

use std::str::FromStr;

use url::Url;

/// Prefixes and their replacements, the longest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

/// One `FROM=TO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    from: String,
    to: String,
}

/// Why a mirror cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MirrorError {
    /// Not `FROM=TO`.
    #[error(
        "`{0}` is not of the form FROM=TO, as https://files.pypi.example/=https://mirror.local/files/"
    )]
    Form(String),
    /// What a mirror leads to is no URL.
    #[error("the mirror of {from} leads to `{to}`, which is no URL: {reason}")]
    Url {
        /// The prefix.
        from: String,
        /// Its replacement.
        to: String,
        /// Why.
        reason: String,
    },
}

impl FromStr for Mirror {
    type Err = MirrorError;

    fn from_str(text: &str) -> Result<Self, MirrorError> {
        // A URL may hold `=`, in its query: the one before the second URL's scheme is meant.
        let split = text
            .match_indices('=')
            .find(|(at, _)| text.get(at + 1..).is_some_and(is_location))
            .or_else(|| text.match_indices('=').next());
        match split.map(|(at, _)| text.split_at(at)) {
            Some((from, to)) if !from.is_empty() && to.len() > 1 => {
                Self::new(from, to.trim_start_matches('='))
            }
            _ => Err(MirrorError::Form(text.to_owned())),
        }
    }
}

fn is_location(text: &str) -> bool {
    text.starts_with('/')
        || text
            .split_once("://")
            .is_some_and(|(scheme, _)| !scheme.contains('='))
}

impl Mirror {
    /// A mirror of everything that begins with `from`.
    ///
    /// # Errors
    /// When `to` is neither a URL nor an absolute path.
    pub fn new(from: &str, to: &str) -> Result<Self, MirrorError> {
        let to = if to.starts_with('/') {
            format!("file://{to}")
        } else {
            to.to_owned()
        };
        if let Err(error) = Url::parse(&to) {
            return Err(MirrorError::Url {
                from: from.into(),
                to,
                reason: error.to_string(),
            });
        }
        Ok(Self {
            from: from.to_owned(),
            to,
        })
    }

    /// Whether a URL begins with the prefix, at the end of a part of it: `https://a.example` is no
    /// prefix of `https://a.example.evil/`.
    fn rest<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(&self.from)?;
        (self.from.ends_with('/') || rest.is_empty() || rest.starts_with(['/', '?', '#']))
            .then_some(rest)
    }
}

impl Mirrors {
    /// Of several for one URL the longest wins, whatever their order.
    pub fn new(mirrors: impl IntoIterator<Item = Mirror>) -> Self {
        let mut all: Vec<Mirror> = mirrors.into_iter().collect();
        all.sort_by_key(|mirror| std::cmp::Reverse(mirror.from.len()));
        Self(all)
    }

    /// What is asked instead of `url`.
    ///
    /// # Errors
    /// When the result is no URL.
    pub fn apply(&self, url: &Url) -> Result<Url, MirrorError> {
        self.apply_str(url.as_str()).map_or_else(
            || Ok(url.clone()),
            |(mirror, replaced)| {
                Url::parse(&replaced).map_err(|error| MirrorError::Url {
                    from: mirror.from.clone(),
                    to: replaced.clone(),
                    reason: error.to_string(),
                })
            },
        )
    }

    /// [`Self::apply`] for what need not be a URL, as git's `host:path`.
    pub fn apply_text(&self, url: &str) -> String {
        self.apply_str(url)
            .map_or_else(|| url.to_owned(), |(_, replaced)| replaced)
    }

    fn apply_str(&self, url: &str) -> Option<(&Mirror, String)> {
        self.0.iter().find_map(|mirror| {
            let rest = mirror.rest(url)?;
            Some((mirror, format!("{}{rest}", mirror.to)))
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn apply(mirrors: &[&str], url: &str) -> String {
        let mirrors = Mirrors::new(mirrors.iter().map(|m| m.parse().unwrap()));
        mirrors
            .apply(&Url::parse(url).unwrap())
            .unwrap()
            .to_string()
    }

    #[test]
    fn the_longest_prefix_wins() {
        let mirrors = [
            "https://files.example/=http://a.test/",
            "https://files.example/packages/=http://b.test/p/",
        ];
        assert_eq!(
            apply(&mirrors, "https://files.example/packages/x.whl"),
            "http://b.test/p/x.whl"
        );
        assert_eq!(
            apply(&mirrors, "https://files.example/other/x.whl"),
            "http://a.test/other/x.whl"
        );
        assert_eq!(
            apply(&mirrors, "https://elsewhere.example/x"),
            "https://elsewhere.example/x"
        );
    }

    #[test]
    fn a_prefix_ends_where_a_part_ends() {
        let mirrors = ["https://a.example=http://m.test"];
        assert_eq!(apply(&mirrors, "https://a.example/x"), "http://m.test/x");
        assert_eq!(
            apply(&mirrors, "https://a.example.evil/x"),
            "https://a.example.evil/x"
        );
    }

    #[test]
    fn a_folder_and_a_query_are_understood() {
        assert_eq!(
            apply(&["https://a.example/=/srv/mirror/"], "https://a.example/x"),
            "file:///srv/mirror/x"
        );
        assert_eq!(
            apply(
                &["https://a.example/?k=v&x==http://m.test/"],
                "https://a.example/?k=v&x="
            ),
            "http://m.test/"
        );
        for text in ["", "=", "a", "a=", "=b", "https://a.example/=not a url"] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
