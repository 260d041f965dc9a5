//! The HTTP client: TLS, proxies, timeouts.
//!
//! Certificate authorities are taken as curl takes them: `CURL_CA_BUNDLE`, or else `SSL_CERT_FILE`
//! and `SSL_CERT_DIR` (a `:`-separated list); where no file is named, the system's; and where the
//! system has none, as in a bare container or in Nix's sandbox, Mozilla's as they were when
//! lockwright was compiled. Proxies come from `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`,
//! in either case. HTTP/2 is spoken where the server offers it. Nothing is decoded on the way: the
//! digest is of the bytes as sent.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::NoProxy;
use reqwest::header::AUTHORIZATION;
use reqwest::redirect::Policy;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls_native_certs::CertificateResult;

use super::retry::RetryPolicy;
use super::{FetchError, Route};

/// A client, and what was wrong with the certificates it was to trust.
pub(super) struct Client {
    pub(super) http: reqwest::Client,
    /// Told when a certificate is refused; plain HTTP needs none.
    pub(super) trust_problem: Option<String>,
}

impl Client {
    /// Makes the client that all downloads of a run share.
    pub(super) fn new(retry: &RetryPolicy, route: &Route) -> Result<Self, FetchError> {
        let (roots, trust_problem) = match &route.authorities {
            Some(text) => trusted(in_text(text), true),
            None => trusted(authorities(), is_named()),
        };
        if let Some(problem) = &trust_problem {
            tracing::debug!("certificate authorities: {problem}");
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| FetchError::Client(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut builder = reqwest::Client::builder().local_address(route.address);
        if let Some(url) = &route.proxy {
            let proxy = reqwest::Proxy::all(url).map_err(|error| FetchError::Setting {
                setting: format!("proxy={url}"),
                why: super::error::causes(&error),
            })?;
            let direct = match &route.direct {
                Some(hosts) => NoProxy::from_string(hosts),
                None => NoProxy::from_env(),
            };
            builder = builder.proxy(proxy.no_proxy(direct));
        }
        let login = route.login.clone();
        let http = builder
            .default_headers(
                login
                    .map(|login| (AUTHORIZATION, login))
                    .into_iter()
                    .collect(),
            )
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("lockwright/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(retry.timeout)
            .read_timeout(retry.timeout)
            .redirect(Policy::limited(10))
            // A redirect's target has no business knowing a signed URL.
            .referer(false)
            // Enough in flight for a fast line with a long way to the server.
            .http2_initial_stream_window_size(4 << 20)
            .http2_initial_connection_window_size(16 << 20)
            // Retrying is done here, where what has arrived already can be kept.
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| FetchError::Client(super::error::causes(&error)))?;
        Ok(Self {
            http,
            trust_problem,
        })
    }
}

/// Where the distributions keep their bundle: Debian, Fedora, openSUSE, Alpine, FreeBSD.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/etc/ssl/cert.pem",
];

/// The certificates of a PEM text.
fn in_text(text: &str) -> CertificateResult {
    let mut all = CertificateResult::default();
    for found in CertificateDer::pem_slice_iter(text.as_bytes()) {
        match found {
            Ok(found) => all.certs.push(found),
            Err(error) => tracing::debug!("a certificate authority of npm's settings: {error}"),
        }
    }
    all
}

/// What Nix's sandbox sets so that nothing trusts anyone by accident. It does not exist.
const NO_BUNDLE: &str = "/no-cert-file.crt";

/// A variable that names certificates, if it is set.
fn set(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty() && value != NO_BUNDLE)
}

/// Whether someone has said whom to trust: then nobody else is.
fn is_named() -> bool {
    let names = ["CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"];
    names.into_iter().any(|name| set(name).is_some())
}

/// Whom to trust, and what is wrong with that. Mozilla's authorities are the last resort, and never
/// for one who `is_named` others.
fn trusted(found: CertificateResult, is_named: bool) -> (RootCertStore, Option<String>) {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    let mut problem = found.errors.first().map(ToString::to_string);
    if added == 0 && is_named {
        problem.get_or_insert_with(|| "there is no certificate authority to trust".to_owned());
    } else if added == 0 {
        tracing::debug!("this system has no certificate authorities: Mozilla's are trusted");
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    (roots, problem)
}

fn authorities() -> CertificateResult {
    let bundle = set("CURL_CA_BUNDLE").map(PathBuf::from);
    let dirs: Vec<PathBuf> = match &bundle {
        Some(_) => Vec::new(),
        None => set("SSL_CERT_DIR").map_or_else(Vec::new, |dirs| {
            env::split_paths(&dirs)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect()
        }),
    };
    let file = bundle
        .or_else(|| set("SSL_CERT_FILE").map(PathBuf::from))
        .or_else(|| {
            let found = BUNDLES.iter().map(Path::new).find(|path| path.is_file());
            found.map(Path::to_owned)
        });
    let mut all = match &file {
        Some(file) => rustls_native_certs::load_certs_from_paths(Some(file), None),
        None => rustls_native_certs::load_native_certs(),
    };
    for dir in dirs {
        let more = rustls_native_certs::load_certs_from_paths(None, Some(&dir));
        all.certs.extend(more.certs);
        all.errors.extend(more.errors);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_authorities_trusts_mozillas_unless_others_are_named() {
        let (roots, problem) = trusted(CertificateResult::default(), false);
        assert!(roots.len() > 50 && problem.is_none(), "{problem:?}");
        let (roots, problem) = trusted(CertificateResult::default(), true);
        assert!(roots.is_empty() && problem.is_some());
    }
}
