//! A folder, a server or a bucket that keeps bytes by path.
//!
//! Servers (HTTP with PUT, WebDAV) and S3 buckets are reached through the crate `object_store`, with the
//! client that all fetching uses: its certificate authorities, proxies and timeouts. A folder that
//! others write to is read by [`foreign`], which follows no links.

use std::error::Error;
use std::io;

use bytes::Bytes;
use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use object_store::aws::AmazonS3Builder;
use object_store::client::{HttpClient, HttpConnector};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig};
use percent_encoding::percent_decode_str;
use reqwest::header::HeaderValue;
use url::Url;

use super::Route;
use super::client::Client;
use super::retry::{Pace, RetryPolicy};
use crate::core::foreign;
use crate::core::temp_file;

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder, as of a network's file system.
    Folder(Utf8PathBuf),
    /// An HTTP server, or, by `s3://BUCKET/PREFIX`, a bucket.
    Server(Url),
}

impl std::str::FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Ok(url) = text.parse::<Url>() else {
            return match camino::absolute_utf8(text) {
                Ok(path) if !text.is_empty() => Ok(Self::Folder(path)),
                _ => Err("it is neither a URL nor a folder".to_owned()),
            };
        };
        match url.scheme() {
            "file" => match url.to_file_path().map(Utf8PathBuf::try_from) {
                Ok(Ok(path)) => Ok(Self::Folder(path)),
                _ => Err("it is not a path on this machine".to_owned()),
            },
            "s3" if url.host_str().is_none_or(str::is_empty) => {
                Err("it names no bucket: write s3://BUCKET/PREFIX".to_owned())
            }
            "http" | "https" | "s3" => Ok(Self::Server(url)),
            other => Err(format!(
                "`{other}` is not a kind of shared store: use a folder, http, https or s3"
            )),
        }
    }
}

impl std::fmt::Display for Place {
    /// Without a login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{path}"),
            Self::Server(url) => write!(f, "{}", without_login(url)),
        }
    }
}

/// Where the bytes are.
pub(super) enum Objects {
    Folder(Utf8PathBuf),
    Server {
        store: Box<dyn ObjectStore>,
        /// What stands before each path.
        prefix: Path,
        retry: RetryPolicy,
    },
}

impl Objects {
    /// A folder, which is made where it is to be written to.
    pub(super) fn folder(folder: &Utf8Path, push: bool) -> Result<Self, String> {
        let open = || {
            if push {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::read_dir(folder).map(drop)
        };
        open().map_err(|error: io::Error| error.to_string())?;
        Ok(Self::Folder(folder.to_owned()))
    }

    /// A server or a bucket; whoever is to be asked for a bucket's credentials has been.
    pub(super) async fn server(url: &Url, retry: RetryPolicy) -> Result<Self, String> {
        let route = Route {
            login: login(url),
            ..Route::default()
        };
        let client = Client::new(&retry, &route).map_err(|error| error.to_string())?;
        let connector = OurClient(client.http);
        let again = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: retry.first_pause,
                max_backoff: retry.timeout,
                ..BackoffConfig::default()
            },
            max_retries: retry.retries as usize,
            retry_timeout: retry.timeout,
        };
        let said = |error| said(&error);
        if url.scheme() != "s3" {
            let url = without_login(url);
            let builder = HttpBuilder::new().with_url(url.as_str().trim_end_matches('/'));
            let builder = builder.with_retry(again).with_http_connector(connector);
            return Ok(Self::Server {
                store: Box::new(builder.build().map_err(said)?),
                prefix: Path::default(),
                retry,
            });
        }
        let bucket = url.host_str().unwrap_or_default();
        let builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        let builder = builder.with_retry(again).with_http_connector(connector);
        let is_anonymous =
            builder.get_config_value(&object_store::aws::AmazonS3ConfigKey::SkipSignature);
        let store = builder.build().map_err(said)?;
        // Each of many requests would ask in vain.
        if is_anonymous.as_deref() != Some("true") {
            let asked = store.credentials().get_credential().await;
            asked.map_err(|error| {
                let why = said(error);
                format!("there are no credentials: AWS_ACCESS_KEY_ID is not set, and asking for some failed: {why}")
            })?;
        }
        Ok(Self::Server {
            store: Box::new(store),
            prefix: Path::from_url_path(url.path()).map_err(|error| error.to_string())?,
            retry,
        })
    }

    /// Hands on what is at a path, piece by piece; whether anything is there.
    pub(super) async fn get(
        &self,
        path: &str,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<bool, String> {
        match self {
            Self::Folder(folder) => {
                let opened = foreign::Folder::open(folder).and_then(|folder| folder.file(path));
                let mut file = match opened {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    other => other.map_err(|error| error.to_string())?,
                };
                let mut piece = vec![0; 1 << 18];
                loop {
                    match io::Read::read(&mut file, &mut piece) {
                        Ok(0) => return Ok(true),
                        Ok(read) => take(piece.get(..read).unwrap_or_default()),
                        Err(error) => Err(error),
                    }
                    .map_err(|error| error.to_string())?;
                }
            }
            Self::Server {
                store,
                prefix,
                retry,
            } => {
                let answer = match store.get(&below(prefix, path)).await {
                    Err(error) if is_absent(&error) => return Ok(false),
                    other => other.map_err(|error| said(&error))?,
                };
                let (mut pieces, mut size) = (answer.into_stream(), 0);
                let mut pace = Pace::new(retry, size);
                while let Some(piece) = pieces.next().await {
                    let piece = piece.map_err(|error| said(&error))?;
                    size += piece.len() as u64;
                    pace.check(size)?;
                    take(&piece).map_err(|error| error.to_string())?;
                }
                Ok(true)
            }
        }
    }

    /// How long what is at a path is, if it is there.
    pub(super) async fn size(&self, path: &str) -> Option<u64> {
        match self {
            Self::Folder(folder) => {
                let folder = foreign::Folder::open(folder).ok()?;
                Some(folder.file(path).ok()?.metadata().ok()?.len())
            }
            Self::Server { store, prefix, .. } => {
                let answer = store.head(&below(prefix, path)).await;
                answer.ok().map(|meta| meta.size)
            }
        }
    }

    /// Puts bytes at a path, all of them or none where that can be obtained.
    pub(super) async fn put(&self, path: &str, bytes: Bytes) -> Result<(), String> {
        match self {
            Self::Folder(folder) => {
                let place = folder.join(path);
                let parent = place.parent().unwrap_or(folder);
                let write = || {
                    std::fs::create_dir_all(parent)?;
                    temp_file::write(&place, Some(0o644), &bytes)
                };
                write().map_err(|error: io::Error| error.to_string())
            }
            Self::Server { store, prefix, .. } => {
                let answer = store.put(&below(prefix, path), bytes.into()).await;
                answer.map(drop).map_err(|error| said(&error))
            }
        }
    }
}

/// The client that all fetching has, in the place of one that `object_store` would make.
#[derive(Debug)]
struct OurClient(reqwest::Client);

impl HttpConnector for OurClient {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

fn below(prefix: &Path, path: &str) -> Path {
    prefix.parts().chain(Path::from(path).parts()).collect()
}

fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Fails only for those that cannot have one.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url
}

/// The login of a URL, as it is sent (RFC 7617).
fn login(url: &Url) -> Option<HeaderValue> {
    let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let password = url.password().map(plain);
    if url.username().is_empty() && password.is_none() {
        return None;
    }
    let both = format!("{}:{}", plain(url.username()), password.unwrap_or_default());
    let mut value =
        HeaderValue::try_from(format!("Basic {}", BASE64.encode(both.as_bytes()))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// Whether nothing is at a path; a bucket that is not there is another matter.
fn is_absent(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::NotFound { .. }) && !said(error).contains("NoSuchBucket")
}

/// What an error comes down to, on one line and harmless to print.
fn said(error: &object_store::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    let text = innermost.to_string();
    let text = match text.strip_prefix("Server returned non-2xx status code: ") {
        None => text,
        Some(answer) => {
            // S3 says in XML what it has against a request.
            let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
            let code = body.split_once("<Code>");
            let code = code.and_then(|(_, rest)| rest.split_once("</Code>"));
            match code {
                Some((code, _)) => format!("it answers {status} ({code})"),
                None => format!("it answers {status}"),
            }
        }
    };
    let text: String = text.chars().take(500).collect();
    foreign::shown(&text)
}
