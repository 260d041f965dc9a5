//! Small documents: what an index says of its packages.
//!
//! They are asked for as artifacts are – mirrors, logins, retries, pauses – and held in memory, as
//! nobody knows their digest. A snapshot is a folder that keeps what was answered, each under the
//! digest of its question, so that the same can be asked again where there is no network.

use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use futures_util::StreamExt as _;
use reqwest::StatusCode;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};
use url::Url;

use super::client::Client;
use super::credentials::Credential;
use super::error::{is_reserved, why};
use super::mirrors::without_login;
use super::retry::{Gates, Pace, is_passing, retry_after};
use super::{FetchError, FetchOptions, download};
use crate::core::digest::{Algorithm, Digest};
use crate::core::foreign;
use crate::core::progress::Progress;
use crate::core::temp_file;

/// A document that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Where it is, before mirrors.
    pub url: Url,
    /// The kind that is wanted, as `Accept` has it.
    pub accept: &'static str,
    /// What is sent, as JSON; where there is none it is only asked for.
    pub body: Option<Vec<u8>>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The document, and where it came from: relative URLs in it start there.
    Here {
        /// Its bytes.
        bytes: Vec<u8>,
        /// What was asked, mirrors applied.
        url: Url,
    },
    /// There is none.
    Absent,
    /// It could not be obtained: why.
    Failed(String),
}

/// How documents are obtained.
pub struct Library<'a> {
    /// As for artifacts.
    pub options: &'a FetchOptions,
    /// Where answers are kept, and looked for offline.
    pub snapshot: Option<&'a Utf8Path>,
}

/// No document is larger, in bytes.
const LARGEST: u64 = 128 << 20;

impl Question {
    /// What is asked for by its address alone.
    pub fn of(url: Url, accept: &'static str) -> Self {
        Self {
            url,
            accept,
            body: None,
        }
    }

    /// Where a snapshot has the answer.
    fn file(&self, snapshot: &Utf8Path) -> Utf8PathBuf {
        let body = self.body.as_deref().unwrap_or_default();
        let mut text = format!("{}\n{}\n", without_login(&self.url), self.accept).into_bytes();
        text.extend_from_slice(body);
        let name = Digest::of(Algorithm::Sha256, &text).hex();
        snapshot.join(format!("{name}.json"))
    }
}

impl Library<'_> {
    /// Asks for all of them; the answers are in the questions' order.
    ///
    /// # Errors
    /// When no connection can be made at all, a mirror leads nowhere, or the snapshot cannot be
    /// written.
    pub fn ask(
        &self,
        questions: &[Question],
        progress: &Progress,
    ) -> Result<Vec<Answer>, FetchError> {
        let mut answers = Vec::with_capacity(questions.len());
        let mut remote = Vec::new();
        for question in questions {
            let url = self.options.mirrors.apply(&question.url)?;
            let answer = match url.scheme() {
                "file" => Some(of_folder(&url)),
                _ if self.options.offline => Some(self.kept(question, url)),
                _ => {
                    remote.push((answers.len(), question, url));
                    None
                }
            };
            answers.push(answer);
        }
        progress.grow(remote.len() as u64);
        if !remote.is_empty() {
            self.over_network(&remote, &mut answers, progress)?;
        }
        let missing = || Answer::Failed(String::from("it was not asked for"));
        Ok(answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(missing))
            .collect())
    }

    fn kept(&self, question: &Question, url: Url) -> Answer {
        let Some(snapshot) = self.snapshot else {
            return Answer::Failed(String::from("no socket is opened with --offline"));
        };
        match foreign::read(question.file(snapshot), LARGEST) {
            Ok(bytes) => Answer::Here { bytes, url },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Answer::Failed(format!("the snapshot {snapshot} does not have it"))
            }
            Err(error) => Answer::Failed(format!("cannot be read from {snapshot}: {error}")),
        }
    }

    fn over_network(
        &self,
        remote: &[(usize, &Question, Url)],
        answers: &mut [Option<Answer>],
        progress: &Progress,
    ) -> Result<(), FetchError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| FetchError::Client(error.to_string()))?;
        let asker = Asker {
            client: Client::new(&self.options.retry, &self.options.route)?,
            options: self.options,
            gates: Gates::default(),
        };
        let asker = &asker;
        let asked = remote.iter().map(|(at, question, url)| async move {
            progress.working_on(download::shown(url));
            (*at, *question, asker.document(question, url).await)
        });
        runtime.block_on(async {
            let mut done = futures_util::stream::iter(asked)
                .buffer_unordered(self.options.concurrency.clamp(1, 64));
            while let Some((at, question, answer)) = done.next().await {
                progress.advance(1);
                if let (Some(snapshot), Answer::Here { bytes, .. }) = (self.snapshot, &answer) {
                    keep(&question.file(snapshot), bytes)?;
                }
                if let Some(place) = answers.get_mut(at) {
                    *place = Some(answer);
                }
            }
            Ok(())
        })
    }
}

/// Keeps an answer: all of it or nothing.
fn keep(file: &Utf8Path, bytes: &[u8]) -> Result<(), FetchError> {
    let folder = file.parent().unwrap_or(Utf8Path::new("."));
    let write = || {
        std::fs::create_dir_all(folder)?;
        temp_file::write(file, None, bytes)
    };
    write().map_err(|source| FetchError::Snapshot {
        folder: folder.to_owned(),
        source,
    })
}

/// A mirror on this machine, laid out as the server is: a folder has its page in `index.json`, or in
/// `index.html`.
fn of_folder(url: &Url) -> Answer {
    let Ok(mut path) = url.to_file_path() else {
        return Answer::Failed(format!("{url} is not a path on this machine"));
    };
    if path.is_dir() {
        path.push("index.json");
        if !path.exists() {
            path.set_extension("html");
        }
    }
    match foreign::read(&path, LARGEST) {
        Ok(bytes) => Answer::Here {
            bytes,
            url: url.clone(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Answer::Absent,
        Err(error) => Answer::Failed(format!("cannot read {}: {error}", path.display())),
    }
}

/// Asks servers.
struct Asker<'a> {
    client: Client,
    options: &'a FetchOptions,
    gates: Gates,
}

/// Why one attempt brought nothing.
enum Ended {
    Again(String, Option<std::time::Duration>),
    Over(Answer),
}

impl Asker<'_> {
    async fn document(&self, question: &Question, url: &Url) -> Answer {
        let retry = self.options.retry;
        let mut attempts = 0;
        loop {
            self.gates.pass(url).await;
            let (why, after) = match self.attempt(question, url).await {
                Err(Ended::Over(answer)) => return answer,
                Err(Ended::Again(why, after)) => (why, after),
                Ok(bytes) => {
                    let url = url.clone();
                    return Answer::Here { bytes, url };
                }
            };
            attempts += 1;
            if attempts > retry.retries || after.is_some_and(|after| after > retry.longest) {
                return Answer::Failed(why);
            }
            let pause = retry.pause(attempts).max(after.unwrap_or_default());
            if let Some(after) = after {
                self.gates.close(url, after);
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self, question: &Question, url: &Url) -> Result<Vec<u8>, Ended> {
        let bare = without_login(url);
        let mut request = match &question.body {
            None => self.client.http.get(bare),
            Some(body) => (self.client.http.post(bare))
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone()),
        };
        request = request
            .header(ACCEPT, question.accept)
            .header(ACCEPT_ENCODING, "identity");
        request = match self.options.credentials.get(url) {
            None => request,
            Some(Credential::Basic(login)) => request.basic_auth(login.user, login.password),
            Some(Credential::Bearer(token)) => request.bearer_auth(token),
        };
        let broken = |error: &reqwest::Error| {
            let why = why(error);
            let is_final = error.is_builder()
                || error.is_redirect()
                || error.is_connect() && url.host_str().is_some_and(is_reserved);
            match is_final {
                true => Ended::Over(Answer::Failed(why)),
                false => Ended::Again(why, None),
            }
        };
        let mut response = request.send().await.map_err(|error| broken(&error))?;
        let status = response.status();
        if !status.is_success() {
            return Err(match status {
                StatusCode::NOT_FOUND | StatusCode::GONE => Ended::Over(Answer::Absent),
                status if is_passing(status) => Ended::Again(
                    format!("the server answered {status}"),
                    retry_after(response.headers(), SystemTime::now()),
                ),
                status => Ended::Over(Answer::Failed(format!("the server answered {status}"))),
            });
        }
        let mut bytes = Vec::new();
        let mut pace = Pace::new(&self.options.retry, 0);
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if (bytes.len() + chunk.len()) as u64 > LARGEST {
                let why = format!("the answer is larger than {LARGEST} bytes");
                return Err(Ended::Over(Answer::Failed(why)));
            }
            bytes.extend_from_slice(&chunk);
            let check = pace.check(bytes.len() as u64);
            check.map_err(|why| Ended::Again(why, None))?;
        }
        Ok(bytes)
    }
}
