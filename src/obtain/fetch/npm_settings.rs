//! What npm's settings say about the network: logins, certificate authorities, proxies.

use std::io::ErrorKind;

use super::credentials::Credential;
use super::netrc::Login;
use super::{FetchError, FetchOptions};
use crate::core::foreign;
use crate::decide::lock::npmrc::{Auth, Npmrc};

impl FetchOptions {
    /// These, and what `.npmrc` and npm's variables say besides.
    ///
    /// # Errors
    /// When a setting cannot be followed.
    pub fn with_npmrc(mut self, npmrc: &Npmrc) -> Result<Self, FetchError> {
        for (url, auth) in npmrc.logins() {
            let credential = match auth {
                Auth::Token(token) => Credential::Bearer(token),
                Auth::Login { user, password } => Credential::Basic(Login {
                    user,
                    password: Some(password),
                }),
            };
            self.credentials.add(&url, credential);
        }
        self.offline |= npmrc.is_set("offline");
        let said = |key: &str| {
            let value = npmrc.value(key);
            value.filter(|value| !matches!(*value, "" | "null" | "false" | "undefined"))
        };
        let refuse = |key: &str, value: &str, why: String| FetchError::Setting {
            setting: format!("{key}={value}"),
            why,
        };
        if let Some(file) = said("cafile") {
            match foreign::text(file) {
                Ok(text) => self.route.authorities = Some(text),
                // npm does without it, too.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(refuse("cafile", file, format!("cannot be read: {error}")));
                }
            }
        } else if let Some(text) = said("ca") {
            self.route.authorities = Some(text.replace("\\n", "\n"));
        }
        if let Some(proxy) = said("https-proxy").or_else(|| said("proxy")) {
            self.route.proxy = Some(proxy.to_owned());
            self.route.direct = said("noproxy").map(str::to_owned);
        }
        if let Some(address) = said("local-address") {
            let parsed = address.parse();
            let parsed = parsed.map_err(|_| {
                let why = "is not an address of this machine: write it as 192.0.2.1".to_owned();
                refuse("local-address", address, why)
            })?;
            self.route.address = Some(parsed);
        }
        Ok(self)
    }
}
