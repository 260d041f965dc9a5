//! One download: streamed into the store, resumed after a break, tried again after a refusal.
//!
//! What has arrived is kept over a break, even over the end of the process, and the rest is asked
//! for with `Range` (and `If-Range`, where the server gave a strong validator). Whether the parts
//! belong together is decided by the digest: when a resumed file turns out wrong, it is fetched once
//! more from its beginning. Without a digest nothing is ever resumed.
//!
//! Hashing and writing happen on a thread of their own (see [`Sink`]), so that a slow disk does not
//! hold up the network.

use std::time::{Duration, SystemTime};

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, IF_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::task::spawn_blocking;
use url::Url;

use super::client::Client;
use super::credentials::{Credential, Credentials};
use super::error::{Problem, certificate_problem, is_reserved, why};
use super::headers::{content_range, length, text, validator};
use super::mirrors::without_login;
use super::retry::{Gates, Pace, RetryPolicy, is_passing, retry_after};
use super::sink::{Sink, join};
use crate::core::artifact::Artifact;
use crate::core::digest::Algorithm;
use crate::core::progress::Progress;
use crate::obtain::store::{Blob, Claim, Origin, Store, StoreError, Writer};

/// An attempt that brought this much more than those before is no failure, however it ended.
const PROGRESS: u64 = 64 * 1024;

/// How many bytes an artifact may have whose size no lock says.
pub(super) const LARGEST: u64 = 16 << 30;

/// How often another process's download is looked at, and how often it may stand still.
const LOOK: Duration = Duration::from_millis(100);
const STILL: u32 = 100;

/// What all downloads of a run share.
pub(super) struct Downloader<'a> {
    pub(super) client: Client,
    pub(super) store: &'a Store,
    pub(super) credentials: &'a Credentials,
    pub(super) retry: RetryPolicy,
    pub(super) gates: Gates,
    pub(super) progress: &'a Progress,
}

/// Why an attempt ended early, and what may be done about it.
enum Ended {
    /// Try again, after this long if the server said so.
    Again {
        why: String,
        after: Option<Duration>,
    },
    /// Start over at once: what we have is not a part of what is served now.
    Over,
    /// No use.
    ForGood(Problem),
}

/// What is known of the bytes that are here already.
#[derive(Default)]
struct Resume {
    /// What goes into `If-Range`.
    validator: Option<String>,
    /// Whether the bytes came in more than one answer.
    pieced: bool,
    /// How the last answer was encoded, if it was.
    encoding: Option<String>,
}

impl Downloader<'_> {
    /// Fetches one artifact; `url` is what is asked, mirrors applied.
    pub(super) async fn download(&self, artifact: &Artifact, url: &Url) -> Result<Blob, Problem> {
        let mut writer = match self.claim(artifact).await.map_err(Problem::Store)? {
            Claimed::Here(blob) => return Ok(blob),
            Claimed::Ours(writer) => writer,
        };
        let mut resume = Resume {
            pieced: writer.size() > 0,
            ..Resume::default()
        };
        self.progress.advance(writer.size());
        let mut attempts = 0;
        // What comes a second time is no progress: a server could send it again and again.
        let mut furthest = writer.size();
        loop {
            let ended = if is_complete(artifact, &writer) {
                Ok(())
            } else {
                let (kept, ended) = self.attempt(artifact, url, writer, &mut resume).await;
                writer = kept;
                ended
            };
            match ended {
                Ok(()) => {
                    let expected = match &artifact.digest {
                        Some(digest) => digest.clone(),
                        None => writer.digest(),
                    };
                    if resume.pieced && writer.digest() != expected {
                        tracing::info!("{}: its parts do not fit; fetched anew", shown(url));
                        self.start_over(&mut writer, &mut resume)?;
                        continue;
                    }
                    let origin = Origin {
                        file_name: artifact.file_name.clone(),
                        source: shown(url),
                    };
                    return join(spawn_blocking(move || writer.commit(&expected, &origin)).await)
                        .map_err(|error| problem(error, &resume));
                }
                Err(Ended::ForGood(problem)) => {
                    if !matches!(problem, Problem::Unreachable { .. }) {
                        writer.discard();
                    }
                    return Err(problem);
                }
                Err(Ended::Over) => self.start_over(&mut writer, &mut resume)?,
                Err(Ended::Again { why, after }) => {
                    attempts = if writer.size() >= furthest.saturating_add(PROGRESS) {
                        furthest = writer.size();
                        1
                    } else {
                        attempts + 1
                    };
                    if attempts > self.retry.retries {
                        return Err(Problem::Unreachable { why, attempts });
                    }
                    let pause = self.retry.pause(attempts).max(after.unwrap_or_default());
                    tracing::info!("{}: {why}; tried again in {pause:.1?}", shown(url));
                    if let Some(after) = after {
                        self.gates.close(url, after);
                    }
                    tokio::time::sleep(pause).await;
                }
            }
            if artifact.digest.is_none() && writer.size() > 0 {
                self.start_over(&mut writer, &mut resume)?;
            }
        }
    }

    /// A writer for the artifact that no other process has, or the artifact, if another one was
    /// faster.
    async fn claim(&self, artifact: &Artifact) -> Result<Claimed, StoreError> {
        let Some(digest) = &artifact.digest else {
            return self.store.writer(Algorithm::Sha256).map(Claimed::Ours);
        };
        let (mut seen, mut still) = (0, 0);
        loop {
            let (store, wanted) = (self.store.clone(), digest.clone());
            match join(spawn_blocking(move || store.resume(&wanted)).await)? {
                // Its former owner may just have finished.
                Claim::Ours(writer) => match self.store.get(digest) {
                    Some(blob) => {
                        writer.discard();
                        return Ok(Claimed::Here(blob));
                    }
                    None => return Ok(Claimed::Ours(writer)),
                },
                Claim::Theirs(size) => {
                    still = if size == seen { still + 1 } else { 0 };
                    seen = size;
                    if still == 1 {
                        tracing::info!("{}: another process is fetching it", artifact.file_name);
                    }
                    if still > STILL {
                        // Stopped, or on a dead line: not worth waiting for.
                        return self.store.writer(digest.algorithm()).map(Claimed::Ours);
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn start_over(&self, writer: &mut Writer, resume: &mut Resume) -> Result<(), Problem> {
        self.progress.retreat(writer.size());
        *resume = Resume::default();
        writer.restart().map_err(Problem::Store)
    }

    /// Asks once. The writer comes back with what arrived.
    async fn attempt(
        &self,
        artifact: &Artifact,
        url: &Url,
        mut writer: Writer,
        resume: &mut Resume,
    ) -> (Writer, Result<(), Ended>) {
        self.gates.pass(url).await;
        let have = writer.size();
        let response = match self.ask(url, have, resume).await {
            Ok(response) => response,
            Err(ended) => return (writer, Err(ended)),
        };
        let is_whole = match judge(artifact, have, &response, resume) {
            Ok(is_whole) => is_whole,
            Err(ended) => return (writer, Err(ended)),
        };
        if is_whole
            && have > 0
            && let Err(problem) = self.start_over(&mut writer, resume)
        {
            return (writer, Err(Ended::ForGood(problem)));
        }
        let headers = response.headers();
        resume.pieced = !is_whole;
        resume.validator = validator(headers);
        resume.encoding = text(headers, &CONTENT_ENCODING).filter(|name| name != "identity");
        if artifact.size.is_none() {
            self.progress.grow(length(headers).unwrap_or_default());
        }
        let mut sink = Sink::open(writer);
        let streamed = self.stream(artifact, response, &mut sink).await;
        let (writer, written) = sink.close().await;
        if let Err(error) = written {
            return (writer, Err(Ended::ForGood(Problem::Store(error))));
        }
        let ended = streamed.and_then(|()| match artifact.size {
            Some(size) if writer.size() < size => Err(Ended::Again {
                why: format!("the answer ended after {} of {size} bytes", writer.size()),
                after: None,
            }),
            _ => Ok(()),
        });
        (writer, ended)
    }

    async fn ask(&self, url: &Url, have: u64, resume: &Resume) -> Result<Response, Ended> {
        let mut request = (self.client.http)
            .get(without_login(url))
            .header(ACCEPT_ENCODING, "identity");
        request = match self.credentials.get(url) {
            None => request,
            Some(Credential::Basic(login)) => request.basic_auth(login.user, login.password),
            Some(Credential::Bearer(token)) => request.bearer_auth(token),
        };
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
            if let Some(validator) = &resume.validator {
                request = request.header(IF_RANGE, validator);
            }
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.broken(url, &error))?;
        let status = response.status();
        if status.is_success() || (status == StatusCode::RANGE_NOT_SATISFIABLE && have > 0) {
            Ok(response)
        } else {
            Err(self.refused(url, &response))
        }
    }

    async fn stream(
        &self,
        artifact: &Artifact,
        mut response: Response,
        sink: &mut Sink,
    ) -> Result<(), Ended> {
        let mut pace = Pace::new(&self.retry, sink.size());
        // A lock that says no size still means no disk full of bytes.
        let most = artifact.size.unwrap_or(LARGEST);
        while let Some(chunk) = response.chunk().await.map_err(|error| Ended::Again {
            why: why(&error),
            after: None,
        })? {
            let size = chunk.len() as u64;
            if sink.size() + size > most {
                return Err(Ended::ForGood(match artifact.size {
                    Some(locked) => Problem::Size {
                        offered: None,
                        locked,
                    },
                    None => Problem::Endless(most),
                }));
            }
            let check = pace.check(sink.size() + size);
            check.map_err(|why| Ended::Again { why, after: None })?;
            self.progress.advance(size);
            if !sink.push(chunk).await {
                break;
            }
        }
        Ok(())
    }

    /// An answer that is no success.
    fn refused(&self, url: &Url, response: &Response) -> Ended {
        let status = response.status();
        if is_passing(status) {
            let after = retry_after(response.headers(), SystemTime::now());
            return match after {
                Some(after) if after > self.retry.longest => Ended::ForGood(Problem::Later {
                    status,
                    seconds: after.as_secs(),
                }),
                after => Ended::Again {
                    why: format!("the server answered {status}"),
                    after,
                },
            };
        }
        // Only the host: a redirect's URL is often signed, and so a secret.
        let host = response.url().host_str().unwrap_or_default();
        let via = if url.host_str() == Some(host) {
            String::new()
        } else {
            format!(" (redirected to {host})")
        };
        Ended::ForGood(Problem::Status { status, via })
    }

    /// No answer.
    fn broken(&self, url: &Url, error: &reqwest::Error) -> Ended {
        if error.is_builder() || error.is_redirect() {
            return Ended::ForGood(Problem::Request { why: why(error) });
        }
        if let Some((why, remedy)) = certificate_problem(error) {
            let trust = self.client.trust_problem.as_deref();
            let why = match trust {
                Some(trust) => format!("{why} ({trust})"),
                None => why,
            };
            return Ended::ForGood(Problem::Certificate { why, remedy });
        }
        let why = why(error);
        if error.is_connect() && url.host_str().is_some_and(is_reserved) {
            return Ended::ForGood(Problem::Unreachable { why, attempts: 1 });
        }
        Ended::Again { why, after: None }
    }
}

#[allow(clippy::large_enum_variant, reason = "one of them lives at a time")]
enum Claimed {
    Ours(Writer),
    Here(Blob),
}

/// Whether nothing needs to be asked for: an earlier process ended just before its last step.
fn is_complete(artifact: &Artifact, writer: &Writer) -> bool {
    writer.size() > 0
        && artifact.digest.as_ref() == Some(&writer.digest())
        && artifact.size.is_none_or(|size| size == writer.size())
}

/// Whether a good answer brings the whole file (`true`) or the rest of what we have.
fn judge(
    artifact: &Artifact,
    have: u64,
    response: &Response,
    resume: &Resume,
) -> Result<bool, Ended> {
    let headers = response.headers();
    let (is_whole, total) = match response.status() {
        StatusCode::PARTIAL_CONTENT => match content_range(headers) {
            Some((start, total)) if start == have && have > 0 => (false, total),
            _ if have > 0 => return Err(Ended::Over),
            _ => {
                return Err(Ended::Again {
                    why: String::from(
                        "the server answered with a part of the file, although it was asked for all of it",
                    ),
                    after: None,
                });
            }
        },
        StatusCode::RANGE_NOT_SATISFIABLE => return Err(Ended::Over),
        _ => (true, length(headers)),
    };
    if !is_whole && resume.validator.is_some() && resume.validator != validator(headers) {
        return Err(Ended::Over);
    }
    match (artifact.size, total) {
        (Some(locked), Some(total)) if locked != total => Err(Ended::ForGood(Problem::Size {
            offered: Some(total),
            locked,
        })),
        _ => Ok(is_whole),
    }
}

fn problem(error: StoreError, resume: &Resume) -> Problem {
    match error {
        StoreError::Mismatch {
            expected,
            got,
            size,
        } => Problem::Mismatch {
            expected,
            got,
            size,
            encoded: resume.encoding.as_ref().map_or_else(String::new, |name| {
                format!(", sent with Content-Encoding: {name}")
            }),
        },
        error => Problem::Store(error),
    }
}

/// A URL as it may be shown: without its login.
pub(super) fn shown(url: &Url) -> String {
    without_login(url).into()
}
