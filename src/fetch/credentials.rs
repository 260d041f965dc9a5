//! Credentials: who we say we are, and to whom.
//!
//! A URL's own user and password come first, then those of an index whose URL the asked one begins
//! with (`UV_INDEX_<NAME>_USERNAME`/`_PASSWORD` for a `[[tool.uv.index]]` of that name;
//! `UV_DEFAULT_INDEX`, `UV_INDEX_URL`, `UV_EXTRA_INDEX_URL` and `UV_INDEX` with user and password in
//! them), then those of the host in a netrc file (`NETRC`, or `~/.netrc`). They never follow a
//! redirect to another host.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use url::Url;

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password, if there is one.
    pub password: Option<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login({}:****)", self.user)
    }
}

/// All logins that are known.
#[derive(Debug, Clone, Default)]
pub struct Credentials {
    indexes: Vec<(Url, Login)>,
    hosts: BTreeMap<String, Login>,
    default: Option<Login>,
}

impl Credentials {
    /// Reads the environment and the netrc file. `indexes` are names and URLs of indexes that the
    /// project knows.
    pub fn from_environment(indexes: &[(String, Url)]) -> Self {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut all = Self::default();
        for (name, url) in indexes {
            let key: String = name
                .chars()
                .map(|c| {
                    if c.is_ascii_alphanumeric() {
                        c.to_ascii_uppercase()
                    } else {
                        '_'
                    }
                })
                .collect();
            let user = env(&format!("UV_INDEX_{key}_USERNAME"));
            let password = env(&format!("UV_INDEX_{key}_PASSWORD"));
            if user.is_some() || password.is_some() {
                all.add(
                    url,
                    Login {
                        user: user.unwrap_or_default(),
                        password,
                    },
                );
            }
        }
        for name in [
            "UV_DEFAULT_INDEX",
            "UV_INDEX_URL",
            "UV_EXTRA_INDEX_URL",
            "UV_INDEX",
        ] {
            for word in env(name).unwrap_or_default().split_whitespace() {
                // An index may be given as NAME=URL.
                let url = word.split_once('=').map_or(word, |(name, url)| {
                    if name.contains("://") { word } else { url }
                });
                if let Ok(url) = Url::parse(url)
                    && let Some(login) = login_of(&url)
                {
                    all.add(&url, login);
                }
            }
        }
        let netrc = env("NETRC")
            .map(Utf8PathBuf::from)
            .or_else(|| env("HOME").map(|home| Utf8PathBuf::from(home).join(".netrc")));
        if let Some(text) = netrc.and_then(|path| std::fs::read_to_string(path).ok()) {
            all.read_netrc(&text);
        }
        all
    }

    /// Adds the login of everything below a URL.
    pub fn add(&mut self, url: &Url, login: Login) {
        self.indexes.push((url.clone(), login));
    }

    /// Reads the text of a netrc file: `machine HOST login USER password WORD`, in any lines.
    /// `macdef` bodies and unknown words are passed over, as curl does.
    pub fn read_netrc(&mut self, text: &str) {
        let mut words = text.lines().flat_map(|line| {
            let line = if line.trim_start().starts_with('#') {
                ""
            } else {
                line
            };
            line.split_whitespace()
        });
        let mut host: Option<Option<String>> = None;
        let mut login = Login {
            user: String::new(),
            password: None,
        };
        loop {
            let word = words.next();
            if matches!(word, None | Some("machine" | "default")) {
                match host.take() {
                    Some(Some(host)) => {
                        self.hosts.entry(host).or_insert_with(|| login.clone());
                    }
                    Some(None) => self.default = Some(login.clone()),
                    None => {}
                }
                login = Login {
                    user: String::new(),
                    password: None,
                };
            }
            match word {
                None => return,
                Some("machine") => host = words.next().map(|host| Some(host.to_owned())),
                Some("default") => host = Some(None),
                Some("login") => login.user = words.next().unwrap_or_default().to_owned(),
                Some("password") => login.password = words.next().map(str::to_owned),
                Some(_) => {}
            }
        }
    }

    /// The login for a URL.
    pub fn login(&self, url: &Url) -> Option<Login> {
        login_of(url)
            .or_else(|| {
                let index = self
                    .indexes
                    .iter()
                    .find(|(index, _)| same_realm(index, url));
                index.map(|(_, login)| login.clone())
            })
            .or_else(|| {
                self.hosts
                    .get(url.host_str()?)
                    .or(self.default.as_ref())
                    .cloned()
            })
    }
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

/// Same scheme, host and port: where uv sends an index's credentials.
fn same_realm(index: &Url, url: &Url) -> bool {
    index.scheme() == url.scheme()
        && index.host_str() == url.host_str()
        && index.port_or_known_default() == url.port_or_known_default()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_netrc_is_read_as_curl_reads_it() {
        let mut all = Credentials::default();
        all.read_netrc(
            "# comment\nmachine a.example login me\n  password s3cret\nmachine b.example\nlogin you account x\n",
        );
        let login = all.login(&url("https://a.example/x")).unwrap();
        assert_eq!(
            (login.user.as_str(), login.password.as_deref()),
            ("me", Some("s3cret"))
        );
        assert_eq!(
            all.login(&url("https://b.example/x")).unwrap().password,
            None
        );
        assert_eq!(all.login(&url("https://c.example/x")), None);
        all.read_netrc("default login anon password a");
        assert_eq!(all.login(&url("https://c.example/x")).unwrap().user, "anon");
    }

    #[test]
    fn the_url_s_own_login_comes_first_and_an_index_s_stays_with_its_host() {
        let mut all = Credentials::default();
        let login = Login {
            user: "index".into(),
            password: Some("p".into()),
        };
        all.add(&url("https://a.example/simple"), login);
        assert_eq!(
            all.login(&url("https://me:x%40y@a.example/f"))
                .unwrap()
                .password
                .unwrap(),
            "x@y"
        );
        assert_eq!(
            all.login(&url("https://a.example/files/f")).unwrap().user,
            "index"
        );
        assert_eq!(all.login(&url("https://a.example:444/f")), None);
        assert_eq!(all.login(&url("http://a.example/f")), None);
        assert_eq!(format!("{all:?}").contains("\"p\""), false);
    }
}
