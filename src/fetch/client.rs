//! The HTTP client: TLS, proxies, timeouts.
//!
//! Certificates are taken as curl takes them: `SSL_CERT_FILE` and `SSL_CERT_DIR` (a `:`-separated
//! list) in the system's place where they are set. Proxies come from `HTTP_PROXY`, `HTTPS_PROXY`,
//! `ALL_PROXY` and `NO_PROXY`. Nothing is decoded on the way: the digest is of the bytes as sent.

use std::sync::Arc;
use std::time::Duration;

use super::FetchError;

/// Makes the client that all fetches of a run share.
pub(super) fn client() -> Result<reqwest::Client, FetchError> {
    let fail = |what: String| FetchError::Client(what);
    let found = rustls_native_certs::load_native_certs();
    let mut roots = rustls::RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found
            .errors
            .first()
            .map(|error| format!(": {error}"))
            .unwrap_or_default();
        return Err(fail(format!(
            "there is no certificate authority to trust{why}; set SSL_CERT_FILE or SSL_CERT_DIR"
        )));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fail(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let seconds = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let timeout = seconds("UV_HTTP_TIMEOUT").unwrap_or(30);
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("lockwright/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(timeout))
        .read_timeout(Duration::from_secs(timeout))
        .redirect(reqwest::redirect::Policy::limited(10))
        // Retrying is done here, where what has arrived already can be kept.
        .retry(reqwest::retry::never())
        .build()
        .map_err(|error| fail(super::download::causes(&error)))
}
