//! Mirrors: what is asked instead of what the lock names.
//!
//! A lock holds absolute URLs, and stays as it is: the digest decides whether what a mirror sends
//! is right. `--mirror FROM=TO` replaces a URL's beginning; of several that fit, the longest wins.
//!
//! A beginning ends where a part of the URL ends, so `https://a.example` says nothing about
//! `https://a.example.evil/`, and whether FROM and TO are typed with a final `/` makes no
//! difference. TO may be an absolute path or a `file:` URL: a folder laid out as the server is.

use std::str::FromStr;

use url::Url;

/// Prefixes and their replacements, the longest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

/// One `FROM=TO`, neither of them with a final `/`.
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
        "`{0}` is not of the form FROM=TO, as in https://files.pypi.example/=https://mirror.local/files/"
    )]
    Form(String),
    /// What a mirror leads to is no URL.
    #[error("the mirror of {from} leads to `{to}`, which is not a URL ({reason})")]
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
        // A URL may hold `=` in its query: the one before the second location is meant.
        let split = text
            .match_indices('=')
            .find(|(at, _)| text.get(at + 1..).is_some_and(is_location))
            .or_else(|| text.match_indices('=').next());
        match split.map(|(at, _)| (text.get(..at), text.get(at + 1..))) {
            Some((Some(from), Some(to))) if !from.is_empty() && !to.is_empty() => {
                Self::new(from, to)
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
        let to = Url::parse(&to).map_err(|error| MirrorError::Url {
            from: from.to_owned(),
            to,
            reason: error.to_string(),
        })?;
        // As `Url` spells it where it is one: the host in lower case, no default port; a user in it
        // decides nothing.
        let spelt = |url: Url| without_login(&url).to_string();
        let from = Url::parse(from).map_or_else(|_| from.to_owned(), spelt);
        let bare = |text: &str| text.trim_end_matches('/').to_owned();
        Ok(Self {
            from: bare(&from),
            to: bare(to.as_str()),
        })
    }

    /// What follows the prefix, if `url` begins with it and a part of `url` ends there.
    fn rest<'a>(&self, url: &'a str) -> Option<&'a str> {
        let rest = url.strip_prefix(&self.from)?;
        (rest.is_empty() || rest.starts_with(['/', '?', '#']) || self.from.ends_with([':', '=']))
            .then_some(rest)
    }
}

impl Mirrors {
    /// Of several for one URL the longest wins; of two for one prefix, the later.
    pub fn new(mirrors: impl IntoIterator<Item = Mirror>) -> Self {
        let mut all: Vec<Mirror> = mirrors.into_iter().collect();
        all.reverse();
        all.sort_by_key(|mirror| std::cmp::Reverse(mirror.from.len()));
        Self(all)
    }

    /// What is asked instead of `url`. A user and password in `url` are for the server it names:
    /// they do not decide whether a mirror fits, and are not carried over to one.
    ///
    /// # Errors
    /// When the result is no URL.
    pub fn apply(&self, url: &Url) -> Result<Url, MirrorError> {
        match self.replace(without_login(url).as_str()) {
            None => Ok(url.clone()),
            Some((mirror, replaced)) => Url::parse(&replaced).map_err(|error| MirrorError::Url {
                from: mirror.from.clone(),
                to: replaced.clone(),
                reason: error.to_string(),
            }),
        }
    }

    /// [`Self::apply`] for what need not be a URL, as git's `host:path`.
    pub fn apply_text(&self, url: &str) -> String {
        self.replace(url)
            .map_or_else(|| url.to_owned(), |(_, replaced)| replaced)
    }

    fn replace(&self, url: &str) -> Option<(&Mirror, String)> {
        self.0.iter().find_map(|mirror| {
            let rest = mirror.rest(url)?;
            Some((mirror, format!("{}{rest}", mirror.to)))
        })
    }
}

/// A URL without its user and password.
pub(super) fn without_login(url: &Url) -> Url {
    let mut bare = url.clone();
    // Fails only for URLs that cannot have a user, which have none.
    let _ = bare.set_username("").and_then(|()| bare.set_password(None));
    bare
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
    fn the_longest_prefix_wins_and_then_the_later() {
        let mirrors = [
            "https://files.example/=http://a.test/",
            "https://files.example/packages/=http://b.test/p/",
            "https://twice.example/=http://first.test/",
            "https://twice.example=http://second.test",
        ];
        for (url, expected) in [
            (
                "https://files.example/packages/x.whl",
                "http://b.test/p/x.whl",
            ),
            (
                "https://files.example/other/x.whl",
                "http://a.test/other/x.whl",
            ),
            (
                "https://files.example/packages-2/x.whl",
                "http://a.test/packages-2/x.whl",
            ),
            ("https://elsewhere.example/x", "https://elsewhere.example/x"),
            ("https://twice.example/x", "http://second.test/x"),
        ] {
            assert_eq!(apply(&mirrors, url), expected);
        }
    }

    #[test]
    fn a_final_slash_makes_no_difference() {
        for from in [
            "https://a.example",
            "https://a.example/",
            "https://A.example:443/",
        ] {
            for to in ["http://m.test:8/d", "http://m.test:8/d/"] {
                let mirror = format!("{from}={to}");
                assert_eq!(
                    apply(&[&mirror], "https://a.example/x"),
                    "http://m.test:8/d/x"
                );
                assert_eq!(
                    apply(&[&mirror], "https://a.example.evil/x"),
                    "https://a.example.evil/x"
                );
            }
        }
    }

    #[test]
    fn a_login_neither_hinders_a_mirror_nor_is_carried_over_to_it() {
        let url = "https://me:secret@a.example/x";
        assert_eq!(
            apply(&["https://a.example/=http://m.test/"], url),
            "http://m.test/x"
        );
        assert_eq!(apply(&["https://b.example/=http://m.test/"], url), url);
    }

    #[test]
    fn folders_queries_and_what_git_writes_are_understood() {
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
        let git = Mirrors::new(["git@forge.example:=/srv/git/".parse().unwrap()]);
        assert_eq!(
            git.apply_text("git@forge.example:/o/r"),
            "file:///srv/git/o/r"
        );
        for text in ["", "=", "a", "a=", "=b", "https://a.example/=not a url"] {
            assert!(text.parse::<Mirror>().is_err(), "{text}");
        }
    }
}
