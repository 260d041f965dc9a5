//! Credentials: which login is sent to which server.
//!
//! The first of these that knows the URL is used:
//!
//! 1. the URL's own user and password (a user alone is completed from netrc, as curl does);
//! 2. what is known for a URL prefix: an index's login from `UV_INDEX_<NAME>_USERNAME` and
//!    `_PASSWORD`, or from a URL in `UV_DEFAULT_INDEX`, `UV_INDEX`, `UV_INDEX_URL` or
//!    `UV_EXTRA_INDEX_URL`; a token from an `.npmrc`. The longest prefix wins. Where none fits but
//!    one is on the same server, that one is used, since indexes keep their files beside them;
//! 3. the netrc file (`$NETRC`, or `~/.netrc`).
//!
//! They are looked up for the URL that is asked, mirrors applied, and are never sent on to
//! another host by a redirect.

use camino::Utf8PathBuf;
use url::Url;

pub use super::netrc::Login;
use super::netrc::Netrc;

/// What is shown to a server.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// `Authorization: Basic`.
    Basic(Login),
    /// `Authorization: Bearer`, as npm's `_authToken`.
    Bearer(String),
}

// Secrets never get into a log.
impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Basic(login) => write!(f, "Basic({login:?})"),
            Self::Bearer(_) => f.write_str("Bearer(****)"),
        }
    }
}

/// All credentials that are known.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    prefixes: Vec<(Url, Credential)>,
    netrc: Netrc,
}

impl Credentials {
    /// Reads uv's variables and the netrc file. `indexes` are the names and URLs of the indexes
    /// that the project knows (`[[tool.uv.index]]`).
    pub fn from_environment(indexes: &[(String, Url)]) -> Self {
        Self::read(
            indexes,
            |name| std::env::var(name).ok(),
            |path| std::fs::read_to_string(path).ok(),
        )
    }

    fn read(
        indexes: &[(String, Url)],
        variable: impl Fn(&str) -> Option<String>,
        file: impl Fn(Utf8PathBuf) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let mut all = Self::default();
        let mut named = indexes.to_vec();
        for variable in [
            "UV_DEFAULT_INDEX",
            "UV_INDEX",
            "UV_INDEX_URL",
            "UV_EXTRA_INDEX_URL",
        ] {
            for word in set(variable).unwrap_or_default().split_whitespace() {
                // An index may be given as NAME=URL.
                let (name, url) = match word.split_once('=') {
                    Some((name, url)) if !name.contains("://") => (Some(name), url),
                    _ => (None, word),
                };
                let Ok(url) = Url::parse(url) else { continue };
                if let Some(login) = login_of(&url) {
                    all.add(&url, Credential::Basic(login));
                }
                named.extend(name.map(|name| (name.to_owned(), url)));
            }
        }
        for (name, url) in &named {
            let key = variable_part(name);
            let user = set(&format!("UV_INDEX_{key}_USERNAME"));
            let password = set(&format!("UV_INDEX_{key}_PASSWORD"));
            if user.is_some() || password.is_some() {
                let login = Login {
                    user: user.unwrap_or_default(),
                    password,
                };
                all.add(url, Credential::Basic(login));
            }
        }
        let netrc = set("NETRC")
            .map(Utf8PathBuf::from)
            .or_else(|| set("HOME").map(|home| Utf8PathBuf::from(home).join(".netrc")));
        if let Some(text) = netrc.and_then(file) {
            all.netrc = Netrc::parse(&text);
        }
        all
    }

    /// Adds the credential for everything below a URL.
    pub fn add(&mut self, prefix: &Url, credential: Credential) {
        self.prefixes
            .push((super::mirrors::without_login(prefix), credential));
    }

    /// What to show for a URL.
    pub fn get(&self, url: &Url) -> Option<Credential> {
        let in_netrc = |user| self.netrc.login(url.host_str()?, user).cloned();
        if let Some(login) = login_of(url) {
            let completed = (login.password.is_none())
                .then(|| in_netrc(Some(&login.user)))
                .flatten();
            return Some(Credential::Basic(completed.unwrap_or(login)));
        }
        self.prefixes
            .iter()
            .filter(|(prefix, _)| same_server(prefix, url))
            // The last of the greatest: what is added later is more particular.
            .max_by_key(|(prefix, _)| {
                if below(prefix, url) {
                    1 + prefix.path().len()
                } else {
                    0
                }
            })
            .map(|(_, credential)| credential.clone())
            .or_else(|| in_netrc(None).map(Credential::Basic))
    }
}

/// `My-Index` as it stands in `UV_INDEX_MY_INDEX_USERNAME`.
fn variable_part(name: &str) -> String {
    let part = |char: char| match char {
        char if char.is_ascii_alphanumeric() => char.to_ascii_uppercase(),
        _ => '_',
    };
    name.chars().map(part).collect()
}

/// The user and password that stand in a URL.
fn login_of(url: &Url) -> Option<Login> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    (!url.username().is_empty() || url.password().is_some()).then(|| Login {
        user: decode(url.username()),
        password: url.password().map(decode),
    })
}

fn same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str() == other.host_str()
        && one.port_or_known_default() == other.port_or_known_default()
}

fn below(prefix: &Url, url: &Url) -> bool {
    let prefix = prefix.path().trim_end_matches('/');
    url.path()
        .strip_prefix(prefix)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn basic(user: &str, password: &str) -> Credential {
        Credential::Basic(Login {
            user: user.into(),
            password: Some(password.into()),
        })
    }

    #[test]
    fn the_most_particular_credential_wins() {
        let mut all = Credentials::default();
        all.add(&url("https://a.example/simple"), basic("index", "i"));
        all.add(&url("https://a.example/private/"), basic("private", "p"));
        all.add(
            &url("https://npm.example/"),
            Credential::Bearer("token".into()),
        );
        all.netrc = Netrc::parse("machine a.example login netrc password n\ndefault login d");
        for (asked, expected) in [
            ("https://me:x%40y@a.example/simple/f", basic("me", "x@y")),
            ("https://netrc@a.example/simple/f", basic("netrc", "n")),
            ("https://a.example/simple/f", basic("index", "i")),
            ("https://a.example/private/f", basic("private", "p")),
            ("http://a.example/private/f", basic("netrc", "n")),
            ("https://a.example:444/private/f", basic("netrc", "n")),
            (
                "https://npm.example/p/-/p.tgz",
                Credential::Bearer("token".into()),
            ),
        ] {
            assert_eq!(all.get(&url(asked)), Some(expected), "{asked}");
        }
        // Beside the index, not below it.
        let files = all.get(&url("https://a.example/files/f")).unwrap();
        assert!(matches!(files, Credential::Basic(login) if login.user != "netrc"));
        let default = all.get(&url("https://c.example/f")).unwrap();
        assert!(matches!(default, Credential::Basic(login) if login.user == "d"));
    }

    #[test]
    fn uv_s_variables_are_read_as_uv_reads_them() {
        let environment = [
            ("UV_INDEX", "work=https://w.example/simple"),
            ("UV_INDEX_WORK_USERNAME", "worker"),
            ("UV_INDEX_WORK_PASSWORD", "w"),
            ("UV_INDEX_MY_INDEX_PASSWORD", "m"),
            ("UV_INDEX_URL", "https://u:p@plain.example/simple"),
            ("HOME", "/home/u"),
        ];
        let all = Credentials::read(
            &[("my-index".into(), url("https://mine.example/simple"))],
            |name| {
                let found = environment.iter().find(|(key, _)| *key == name);
                found.map(|(_, value)| (*value).to_owned())
            },
            |path| (path == "/home/u/.netrc").then(|| "machine n.example login nn".to_owned()),
        );
        for (asked, expected) in [
            ("https://w.example/files/f", basic("worker", "w")),
            ("https://mine.example/simple/f", basic("", "m")),
            ("https://plain.example/f", basic("u", "p")),
        ] {
            assert_eq!(all.get(&url(asked)), Some(expected), "{asked}");
        }
        assert!(all.get(&url("https://n.example/f")).is_some());
        assert!(all.get(&url("https://other.example/f")).is_none());
    }

    #[test]
    fn secrets_are_not_shown() {
        let mut all = Credentials::default();
        all.add(&url("https://u:secret@a.example/"), basic("u", "secret"));
        all.add(
            &url("https://b.example/"),
            Credential::Bearer("secret".into()),
        );
        all.netrc = Netrc::parse("machine a.example login u password secret");
        assert!(!format!("{all:?}").contains("secret"));
    }
}
