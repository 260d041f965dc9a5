//! `.npmrc`: which registry a package's tarball comes from where the lock does not say, and who we
//! say we are there (<https://docs.npmjs.com/cli/v11/configuring-npm/npmrc>).
//!
//! No registry is built in. The first of these that says one counts: the command line,
//! `npm_config_registry`, the project's `.npmrc`, the user's.

use std::collections::BTreeMap;

use camino::Utf8Path;
use url::Url;

/// npm's settings, as far as they matter here.
#[derive(Debug, Clone, Default)]
pub struct Npmrc {
    values: BTreeMap<String, String>,
}

impl Npmrc {
    /// Reads the user's and the project's files, and npm's variables.
    pub fn read(project: &Utf8Path) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let mut all = Self::default();
        let user = variable("npm_config_userconfig")
            .or_else(|| variable("HOME").map(|home| format!("{home}/.npmrc")));
        let project = project.join(".npmrc");
        for file in user.iter().map(String::as_str).chain([project.as_str()]) {
            if let Ok(text) = std::fs::read_to_string(file) {
                all.add(&text, variable);
            }
        }
        for name in ["npm_config_registry", "NPM_CONFIG_REGISTRY"] {
            if let Some(registry) = variable(name) {
                all.values.insert("registry".into(), registry);
            }
        }
        all
    }

    /// What the command line says stands above all.
    #[must_use]
    pub fn with_registry(mut self, registry: Option<&Url>) -> Self {
        if let Some(registry) = registry {
            self.values.insert("registry".into(), registry.to_string());
        }
        self
    }

    fn add(&mut self, text: &str, variable: impl Fn(&str) -> Option<String>) {
        for line in text.lines() {
            let line = line.trim();
            if line.starts_with(['#', ';']) {
                continue;
            }
            if let Some((key, value)) = line.split_once('=') {
                let value = value.trim().trim_matches('"');
                self.values
                    .insert(key.trim().to_owned(), substituted(value, &variable));
            }
        }
    }

    /// Whether a setting is `true`.
    pub fn is_set(&self, key: &str) -> bool {
        self.values.get(key).is_some_and(|value| value == "true")
    }

    /// Where a package's tarball is, in its registry; `None` where no registry is known.
    pub fn tarball(&self, name: &str, version: &str) -> Option<Url> {
        let scope = name.split_once('/').map(|(scope, _)| scope);
        let registry = scope
            .and_then(|scope| self.values.get(&format!("{scope}:registry")))
            .or_else(|| self.values.get("registry"))?;
        let last = name.rsplit('/').next().unwrap_or(name);
        let base = registry.trim_end_matches('/');
        Url::parse(&format!("{base}/{name}/-/{last}-{version}.tgz")).ok()
    }

    /// The tokens, by the URLs that they are for.
    pub fn tokens(&self) -> Vec<(Url, String)> {
        let mut tokens = Vec::new();
        for (key, token) in &self.values {
            let Some(place) = key.strip_suffix(":_authToken") else {
                continue;
            };
            for scheme in ["https:", "http:"] {
                if let Ok(url) = Url::parse(&format!("{scheme}{place}")) {
                    tokens.push((url, token.clone()));
                }
            }
        }
        tokens
    }
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
        let tokens = npmrc.tokens();
        assert_eq!(tokens[0].0.as_str(), "https://s.example/npm/");
        assert_eq!(tokens[0].1, "secret");
        assert!(Npmrc::default().tarball("a", "1.0.0").is_none());
    }
}
