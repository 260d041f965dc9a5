//! `.npmrc`: which registry a package's tarball comes from where the lock does not say, and which
//! login it gets (<https://docs.npmjs.com/cli/v11/configuring-npm/npmrc>).
//!
//! No registry is built in. The first of these that says one counts: the command line,
//! `npm_config_registry`, the project's `.npmrc`, the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use url::Url;

use super::LockError;
use crate::core::foreign;

/// npm's settings, as far as they matter here.
#[derive(Debug, Clone, Default)]
pub struct Npmrc {
    values: BTreeMap<String, String>,
}

/// Who we say we are at a registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Auth {
    /// `_authToken`.
    Token(String),
    /// `_auth`, or `username` and `_password`.
    Login {
        /// The user's name.
        user: String,
        /// The password.
        password: String,
    },
}

// Secrets never get into a log.
impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(****)",
            Self::Login { .. } => "Login(****)",
        })
    }
}

/// What npm takes several values of one variable apart by.
const BETWEEN: &str = "\n\n";

impl Npmrc {
    /// Reads the user's and the project's files, and npm's variables.
    ///
    /// # Errors
    /// When a file is there and cannot be read: it may hold what guards this machine.
    pub fn read(project: &Utf8Path) -> Result<Self, LockError> {
        Self::of_user(Some(project))
    }

    /// Reads the project's file alone, which may be a stranger's: nothing of this machine gets into it.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn of_project(project: &Utf8Path) -> Result<Self, LockError> {
        let mut all = Self::default();
        all.add_file(project.join(".npmrc"), |_| None)?;
        Ok(all)
    }

    /// Reads the user's files and npm's variables, and the file of a project between them.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_user(project: Option<&Utf8Path>) -> Result<Self, LockError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let mut all = Self::default();
        let mut variables: Vec<(String, String)> = Vec::new();
        for (name, value) in std::env::vars_os() {
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string())
                && let Some(key) = key_of_variable(&name)
                && !value.is_empty()
            {
                variables.push((key, value));
            }
        }
        let said = |key: &str| {
            let found = variables.iter().find(|(own, _)| own == key);
            found.map(|(_, value)| value.clone())
        };
        let user =
            said("userconfig").or_else(|| variable("HOME").map(|home| format!("{home}/.npmrc")));
        let global = said("globalconfig").or_else(|| {
            let prefix = variable("PREFIX").or_else(prefix_of_node)?;
            Some(format!("{prefix}/etc/npmrc"))
        });
        let project = project.map(|project| project.join(".npmrc").into_string());
        for file in [global, user, project].into_iter().flatten() {
            all.add_file(file.into(), variable)?;
        }
        variables.sort();
        all.values.extend(variables);
        Ok(all)
    }

    fn add_file(
        &mut self,
        file: Utf8PathBuf,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<(), LockError> {
        match foreign::text(&file) {
            Ok(text) => self.add(&text, variable),
            Err(error) if is_not_there(&error) => {}
            Err(source) => return Err(LockError::Read { file, source }),
        }
        Ok(())
    }

    /// These settings, with what another's say of what may be obtained at all: `allow-git` and its like.
    #[must_use]
    pub fn guarded_by(mut self, other: &Self) -> Self {
        let guards = other.values.iter();
        let guards = guards.filter(|(key, _)| key.starts_with("allow-"));
        self.values
            .extend(guards.map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// What the command line says stands above all.
    #[must_use]
    pub fn with_registry(mut self, registry: Option<&Url>) -> Self {
        if let Some(registry) = registry {
            self.values.insert("registry".into(), registry.to_string());
        }
        self
    }

    /// Settings of the command line, which stand above all.
    #[must_use]
    pub fn with(mut self, settings: Vec<(&str, String)>) -> Self {
        let settings = settings.into_iter();
        self.values
            .extend(settings.map(|(key, value)| (key.to_owned(), value)));
        self
    }

    pub(crate) fn add(&mut self, text: &str, variable: impl Fn(&str) -> Option<String>) {
        // `omit[]=dev` and `omit[]=optional`, one below the other, are a list.
        let mut lists = BTreeSet::new();
        for line in text.lines() {
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';', '[']) {
                continue;
            }
            let (key, value) = line.split_once('=').unwrap_or((line, "true"));
            let value = value.trim();
            let quoted = |mark| value.strip_prefix(mark).and_then(|v| v.strip_suffix(mark));
            let value = match quoted('"').or_else(|| quoted('\'')) {
                Some(value) => value.to_owned(),
                None => without_comment(value),
            };
            let key = substituted(key.trim(), &variable);
            let mut value = substituted(&value, &variable);
            let key = match key.strip_suffix("[]").map(str::to_owned) {
                None => key,
                Some(key) => {
                    if !lists.insert(key.clone())
                        && let Some(before) = self.values.get(&key)
                    {
                        value = format!("{before}{BETWEEN}{value}");
                    }
                    key
                }
            };
            self.values.insert(key, value);
        }
    }

    /// Whether a setting that is `true` or `false` is set: every word that is no `false` sets it, as
    /// npm has it (nopt).
    pub fn is_set(&self, key: &str) -> bool {
        match self.value(key) {
            None | Some("" | "false" | "null") => false,
            Some(word) => word.parse() != Ok(0.0),
        }
    }

    /// What a setting says.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The words of a setting that may have several.
    pub fn list(&self, key: &str) -> Vec<&str> {
        let value = self.value(key);
        value
            .into_iter()
            .flat_map(|value| value.split(BETWEEN))
            .collect()
    }

    /// The registry of a package; `None` where no registry is known.
    pub fn registry(&self, name: &str) -> Option<&str> {
        let scope = name.split_once('/').map(|(scope, _)| scope);
        let own = scope.and_then(|scope| self.value(&format!("{scope}:registry")));
        own.or_else(|| self.value("registry"))
    }

    /// Where a package's tarball is, in its registry; `None` where no registry is known.
    pub fn tarball(&self, name: &str, version: &str) -> Option<Url> {
        let registry = self.registry(name)?;
        let last = name.rsplit('/').next().unwrap_or(name);
        let base = registry.trim_end_matches('/');
        Url::parse(&format!("{base}/{name}/-/{last}-{version}.tgz")).ok()
    }

    /// A tarball's URL of a lock, at the registry that takes the place of its host: where
    /// `replace-registry-host` says `always`, or this host's name. (What it says without being set is
    /// the name of a registry, and none is built in.)
    #[must_use]
    pub fn replaced(&self, mut url: Url) -> Url {
        let host = self.values.get("replace-registry-host").map(String::as_str);
        let registry = self.values.get("registry");
        let registry = registry.and_then(|registry| Url::parse(registry).ok());
        let Some(registry) = registry
            .filter(|_| host.is_some_and(|host| host == "always" || Some(host) == url.host_str()))
        else {
            return url;
        };
        let base = registry.path().trim_end_matches('/');
        let path = match url.path().strip_prefix(base) {
            Some(rest) if rest.starts_with('/') => url.path().to_owned(),
            _ => format!("{base}{}", url.path()),
        };
        // Each fails for URLs that have no host alone, and both have one.
        let _ = url.set_scheme(registry.scheme());
        let _ = url.set_host(registry.host_str());
        let _ = url.set_port(registry.port());
        url.set_path(&path);
        url
    }

    /// Who we are, by the URLs that it is said to.
    pub fn logins(&self) -> Vec<(Url, Auth)> {
        let mut logins = Vec::new();
        let decoded = |text: &String| {
            let text = text.trim_end_matches('=').as_bytes();
            let bytes = data_encoding::BASE64_NOPAD.decode(text).ok()?;
            String::from_utf8(bytes).ok()
        };
        for (key, value) in &self.values {
            let Some((place, kind)) = key
                .rsplit_once(':')
                .filter(|(place, _)| place.starts_with("//"))
            else {
                continue;
            };
            let other = |kind: &str| self.values.get(&format!("{place}:{kind}"));
            let auth =
                match kind {
                    "_authToken" => Some(Auth::Token(value.clone())),
                    // npm takes a token before any of these.
                    _ if other("_authToken").is_some() => None,
                    "_auth" => decoded(value).and_then(|both| {
                        let (user, password) = both.split_once(':')?;
                        Some(Auth::Login {
                            user: user.to_owned(),
                            password: password.to_owned(),
                        })
                    }),
                    "username" if other("_auth").is_none() => other("_password")
                        .and_then(decoded)
                        .map(|password| Auth::Login {
                            user: value.clone(),
                            password,
                        }),
                    _ => None,
                };
            let Some(auth) = auth else { continue };
            for scheme in ["https:", "http:"] {
                if let Ok(url) = Url::parse(&format!("{scheme}{place}")) {
                    logins.push((url, auth.clone()));
                }
            }
        }
        logins
    }
}

/// Whether a file cannot be opened because there is none.
fn is_not_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// The folder that Node is installed in, whose `etc/npmrc` holds for all its users.
fn prefix_of_node() -> Option<String> {
    let path = std::env::var("PATH").ok()?;
    let mut nodes = path
        .split(':')
        .map(|folder| Utf8Path::new(folder).join("node"));
    let node = nodes.find_map(|node| node.canonicalize_utf8().ok())?;
    Some(node.parent()?.parent()?.to_string())
}

/// A value up to where a comment begins; `\;` and `\#` begin none (the `ini` package).
fn without_comment(value: &str) -> String {
    let mut text = String::new();
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            ';' | '#' => break,
            '\\' => match chars.next() {
                Some(next @ ('\\' | ';' | '#')) => text.push(next),
                Some(next) => text.extend(['\\', next]),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text.trim().to_owned()
}

/// `npm_config_fetch_retries` sets `fetch-retries`; what begins with `//` stays as it is.
fn key_of_variable(name: &str) -> Option<String> {
    let start = name.get(.."npm_config_".len())?;
    let key = name.get(start.len()..).filter(|key| !key.is_empty())?;
    if !start.eq_ignore_ascii_case("npm_config_") {
        return None;
    }
    if key.starts_with("//") {
        return Some(key.to_owned());
    }
    let (first, rest) = key.split_at(key.chars().next()?.len_utf8());
    Some(format!("{first}{}", rest.replace('_', "-")).to_lowercase())
}

/// `${NAME}` is replaced by the variable; `${NAME?}` by nothing where there is none.
fn substituted(value: &str, variable: &impl Fn(&str) -> Option<String>) -> String {
    let mut text = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, behind)) = after.split_once('}') else {
            break;
        };
        text.push_str(before);
        match (variable(name.trim_end_matches('?')), name.ends_with('?')) {
            (Some(found), _) => text.push_str(&found),
            (None, true) => {}
            (None, false) => text.push_str(&format!("${{{name}}}")),
        }
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_tokens_are_read_as_npm_reads_them() {
        let mut npmrc = Npmrc::default();
        npmrc.add(
            "; a comment\nregistry = https://registry.npm.example/\n@s:registry=\"https://s.example/npm\"\n\
             //s.example/npm/:_authToken=${TOKEN}\nx=${NONE?}y${NONE}\n",
            |name| (name == "TOKEN").then(|| "secret".to_owned()),
        );
        let url = |name, version| npmrc.tarball(name, version).unwrap().to_string();
        assert_eq!(
            url("a", "1.0.0"),
            "https://registry.npm.example/a/-/a-1.0.0.tgz"
        );
        assert_eq!(
            url("@s/a", "1.0.0"),
            "https://s.example/npm/@s/a/-/a-1.0.0.tgz"
        );
        assert_eq!(npmrc.values["x"], "y${NONE}");
        let logins = npmrc.logins();
        assert_eq!(logins[0].0.as_str(), "https://s.example/npm/");
        assert_eq!(logins[0].1, Auth::Token("secret".into()));
        assert!(Npmrc::default().tarball("a", "1.0.0").is_none());
    }
    #[test]
    fn every_word_but_no_sets() {
        let mut npmrc = Npmrc::default();
        npmrc.add(
            "a\nb=true\nc=1\nd=yes\ne=false\nf=0\ng=\nh=null\ni=0.0\n",
            |_| None,
        );
        let set = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let set: String = set.into_iter().filter(|key| npmrc.is_set(key)).collect();
        assert_eq!(set, "abcd");
    }

    #[test]
    fn values_end_where_a_comment_begins() {
        let mut npmrc = Npmrc::default();
        npmrc.add(
            "registry=https://registry.npm.example/npm/ ; ours\nomit-lockfile-registry-resolved\n\
             //${HOST}/:_authToken=a\\#b\\xc#d\nreplace-registry-host=old.example\n",
            |name| (name == "HOST").then(|| "h.example".to_owned()),
        );
        npmrc.add("omit[] = dev\nomit[]=optional\ninclude=peer", |_| None);
        assert_eq!(npmrc.list("omit"), ["dev", "optional"]);
        npmrc.add("omit[]=peer", |_| None);
        assert_eq!(
            (npmrc.list("omit"), npmrc.list("include")),
            (vec!["peer"], vec!["peer"])
        );
        assert!(npmrc.is_set("omit-lockfile-registry-resolved"));
        let (url, auth) = npmrc.logins().remove(0);
        assert_eq!(url.host_str(), Some("h.example"));
        assert!(auth == Auth::Token("a#b\\xc".into()));
        for (from, to) in [
            (
                "http://old.example:81/a/-/a.tgz",
                "https://registry.npm.example/npm/a/-/a.tgz",
            ),
            (
                "https://old.example/npm/a.tgz",
                "https://registry.npm.example/npm/a.tgz",
            ),
            (
                "https://old.example/npm-run/a.tgz",
                "https://registry.npm.example/npm/npm-run/a.tgz",
            ),
            ("https://other.example/a.tgz", "https://other.example/a.tgz"),
        ] {
            let url = npmrc.replaced(Url::parse(from).unwrap());
            assert_eq!(url.as_str(), to);
        }
    }
    #[test]
    fn logins_come_in_three_forms() {
        let mut npmrc = Npmrc::default();
        npmrc.add(
            "//a.example/:_auth=dXNlcjpwYXNzOndvcmQ=\n\
             //b.example/x/:username='me'\n//b.example/x/:_password=c2VjcmV0\n\
             //c.example/:_auth=dXNlcjpw\n//c.example/:_authToken=t\n//d.example/:_auth=%%\n",
            |_| None,
        );
        let login = |user: &str, password: &str| Auth::Login {
            user: user.into(),
            password: password.into(),
        };
        let https: Vec<_> = npmrc
            .logins()
            .into_iter()
            .filter(|(url, _)| url.scheme() == "https")
            .map(|(url, auth)| (url.to_string(), auth))
            .collect();
        assert_eq!(
            https,
            [
                ("https://a.example/".to_owned(), login("user", "pass:word")),
                ("https://b.example/x/".to_owned(), login("me", "secret")),
                ("https://c.example/".to_owned(), Auth::Token("t".into())),
            ]
        );
        assert_eq!(
            key_of_variable("NPM_CONFIG_FETCH_RETRIES").as_deref(),
            Some("fetch-retries")
        );
        let token = "npm_config_//a.example/:_authToken";
        assert_eq!(
            key_of_variable(token).as_deref(),
            Some("//a.example/:_authToken")
        );
        assert_eq!(key_of_variable("npm_confi"), None);
    }
}
