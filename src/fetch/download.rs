//! One download: streamed into the store, resumed after a break, tried again after a refusal.
//!
//! What has arrived is kept over a break, and the rest is asked for with `Range` (and `If-Range`,
//! where the server gave a strong validator). Whether the parts belong together is decided by the
//! digest: when a resumed file turns out wrong, it is fetched once more from its beginning.

use std::time::{Duration, SystemTime};

use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::credentials::Credentials;
use super::{FetchError, Patience};
use crate::artifact::Artifact;
use crate::digest::{Algorithm, Digest};
use crate::store::{Blob, Store, StoreError, Writer};
use crate::ui::Progress;

/// What all downloads of a run share.
pub(super) struct Downloader<'a> {
    pub(super) client: Client,
    pub(super) store: &'a Store,
    pub(super) credentials: &'a Credentials,
    pub(super) patience: Patience,
    pub(super) progress: &'a Progress,
}

/// Why one attempt ended, and what may be done about it.
enum Ended {
    /// Try again, after this long if the server said so.
    Again {
        why: String,
        after: Option<Duration>,
    },
    /// No use.
    ForGood(FetchError),
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::ForGood(error.into())
    }
}

impl Downloader<'_> {
    /// Fetches one artifact; `url` is what is asked, mirrors applied.
    pub(super) async fn download(
        &self,
        artifact: &Artifact,
        url: &Url,
    ) -> Result<Blob, FetchError> {
        let unhashed;
        let digest = match &artifact.digest {
            Some(digest) => digest,
            None => {
                unhashed = Digest::of(Algorithm::Sha256, b"");
                &unhashed
            }
        };
        let mut writer = self.store.writer(digest)?;
        let mut validator = None;
        let mut resumed = false;
        let mut attempt = 0;
        loop {
            let before = writer.size();
            match self
                .attempt(artifact, url, &mut writer, &mut validator, &mut resumed)
                .await
            {
                Ok(()) if artifact.digest.is_none() => {
                    return Ok(writer.commit_unchecked()?);
                }
                Ok(()) => {
                    if resumed && !writer.is_right() {
                        tracing::info!(
                            "{url}: the resumed file is not the right one; fetched anew"
                        );
                        writer.restart()?;
                        (validator, resumed) = (None, false);
                        continue;
                    }
                    return Ok(writer.commit(url.as_str())?);
                }
                Err(Ended::ForGood(error)) => return Err(error),
                Err(Ended::Again { why, after }) => {
                    // A break after progress is no sign that trying again is no use.
                    attempt = if writer.size() > before {
                        1
                    } else {
                        attempt + 1
                    };
                    if attempt > self.patience.retries {
                        return Err(FetchError::GaveUp {
                            url: shown(url),
                            attempts: attempt,
                            why,
                        });
                    }
                    let pause = after.unwrap_or_else(|| self.patience.pause(attempt, url));
                    tracing::info!("{url}: {why}; trying again in {pause:?}");
                    tokio::time::sleep(pause.min(self.patience.longest)).await;
                }
            }
        }
    }

    async fn attempt(
        &self,
        artifact: &Artifact,
        url: &Url,
        writer: &mut Writer<'_>,
        validator: &mut Option<String>,
        resumed: &mut bool,
    ) -> Result<(), Ended> {
        let mut bare = url.clone();
        // Fails only for URLs that cannot have a user, which have none.
        let _ = bare.set_username("").and_then(|()| bare.set_password(None));
        let mut request = self.client.get(bare).header(ACCEPT_ENCODING, "identity");
        if let Some(login) = self.credentials.login(url) {
            request = request.basic_auth(login.user, login.password);
        }
        let have = writer.size();
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = validator.as_ref() {
                request = request.header(IF_RANGE, validator);
            }
        }
        let again = |error: &reqwest::Error| Ended::Again {
            why: causes(error),
            after: None,
        };
        let mut response = request.send().await.map_err(|error| {
            if error.is_builder() || error.is_redirect() {
                Ended::ForGood(FetchError::Request {
                    url: shown(url),
                    why: causes(&error),
                })
            } else {
                again(&error)
            }
        })?;
        match response.status() {
            StatusCode::OK => {
                if have > 0 {
                    writer.restart()?;
                    *resumed = false;
                }
            }
            StatusCode::PARTIAL_CONTENT if have > 0 && starts_at(response.headers(), have) => {
                *resumed = true;
            }
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                writer.restart()?;
                *validator = None;
                let why = String::from("the server sent another part than was asked for");
                return Err(Ended::Again { why, after: None });
            }
            status => return Err(self.refused(url, status, &response)),
        }
        *validator = strong_validator(response.headers());
        while let Some(chunk) = response.chunk().await.map_err(|error| again(&error))? {
            writer.write(&chunk)?;
            self.progress.advance(chunk.len() as u64);
            if let Some(size) = artifact.size.filter(|size| writer.size() > *size) {
                return Err(Ended::ForGood(FetchError::TooLong {
                    url: shown(url),
                    size,
                }));
            }
        }
        match artifact.size {
            Some(size) if writer.size() < size => Err(Ended::Again {
                why: format!("the answer ended after {} of {size} bytes", writer.size()),
                after: None,
            }),
            _ => Ok(()),
        }
    }

    fn refused(&self, url: &Url, status: StatusCode, response: &Response) -> Ended {
        let passing = status.is_server_error()
            || matches!(
                status,
                StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
            );
        if passing && status != StatusCode::NOT_IMPLEMENTED {
            let after = retry_after(response.headers(), SystemTime::now());
            return Ended::Again {
                why: format!("the server answered {status}"),
                after,
            };
        }
        let final_url = response.url();
        Ended::ForGood(FetchError::Refused {
            url: shown(url),
            status: status.to_string(),
            hint: match status {
                StatusCode::NOT_FOUND | StatusCode::GONE => {
                    "; the lock names it, so the index has dropped it or a mirror lacks it: try \
                     another --mirror, or lock again"
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    "; give a user and password in the URL, in a netrc file or in \
                     UV_INDEX_<NAME>_USERNAME and _PASSWORD"
                }
                _ => "",
            },
            via: if final_url.host_str() == url.host_str() {
                String::new()
            } else {
                format!(" (redirected to {})", shown(final_url))
            },
        })
    }
}

/// Whether `Content-Range: bytes START-…` starts where we asked.
fn starts_at(headers: &HeaderMap, have: u64) -> bool {
    headers
        .get(CONTENT_RANGE)
        .and_then(|value| {
            value
                .to_str()
                .ok()?
                .strip_prefix("bytes ")?
                .split('-')
                .next()?
                .parse()
                .ok()
        })
        .is_some_and(|start: u64| start == have)
}

/// What may stand in `If-Range`: a strong ETag or a date (RFC 9110, 13.1.5).
fn strong_validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
    };
    text(ETAG)
        .filter(|etag| !etag.starts_with("W/"))
        .or_else(|| text(LAST_MODIFIED))
}

/// `Retry-After`: seconds, or a date (RFC 9110, 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    httpdate::parse_http_date(text)
        .ok()?
        .duration_since(now)
        .ok()
}

/// A URL without its password.
pub(super) fn shown(url: &Url) -> String {
    crate::artifact::Location::Url(url.clone()).to_string()
}

/// An error with its causes, since reqwest's own sentence says little.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let wait = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            wait("Sun, 06 Nov 1994 08:49:47 GMT"),
            Some(Duration::from_secs(10))
        );
        assert_eq!(wait("soon"), None);
    }

    #[test]
    fn only_strong_validators_make_parts_of_one_file() {
        let mut headers = HeaderMap::new();
        headers.insert(ETAG, HeaderValue::from_static("W/\"x\""));
        assert_eq!(strong_validator(&headers), None);
        headers.insert(ETAG, HeaderValue::from_static("\"x\""));
        assert_eq!(strong_validator(&headers).as_deref(), Some("\"x\""));
    }
}
