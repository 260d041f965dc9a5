//! What can go wrong while fetching, reported all at once: a lock names hundreds of artifacts,
//! and nobody wants to learn of their faults one run at a time.

use std::fmt;

use camino::Utf8PathBuf;
use rustls::CertificateError;
use url::Url;

use super::mirrors::MirrorError;
use crate::core::digest::{Algorithm, Digest};
use crate::core::progress::few;
use crate::obtain::store::StoreError;

/// How many failures are told in full.
const SHOWN: usize = 10;

/// Why not everything is here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A mirror leads nowhere.
    #[error(transparent)]
    Mirror(#[from] MirrorError),
    /// A `--find-links` folder is not there.
    #[error("the folder `{folder}` of --find-links cannot be read")]
    FindLinks {
        /// The folder.
        folder: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The lock gives no digest, and the user has not allowed it.
    #[error(
        "{} cannot be verified, since the lock gives no digest: {}\n\
         hint: `lockwright complete LOCK` asks the index for what the lock lacks and writes it there, and \
         {} takes whatever comes",
        artifacts(.0.len()), few(&named(.0)), allowing(.0)
    )]
    Unhashed(Vec<Named>),
    /// The lock gives only a digest that can be forged, and the user has not allowed it.
    #[error(
        "{} cannot be verified, since the lock gives only a digest that can be forged:{}\n\
         hint: lock again with a registry that gives sha256 or sha512, or allow it with \
         --allow-weak-integrity",
        artifacts(.0.len()), lines(.0)
    )]
    Weak(Vec<Named>),
    /// Offline, and not everything is in the store.
    #[error(
        "--offline is set, and {} neither in the store nor in a --find-links folder:{}\n\
         hint: bring {} in with `lockwright fetch` where there is a network, or name a folder that \
         holds {} with --find-links",
        are(.0.len()), lines(.0), them(.0.len()), them(.0.len())
    )]
    Offline(Vec<Named>),
    /// A setting of npm's that cannot be followed.
    #[error("{setting}, of .npmrc or npm_config_*, {why}")]
    Setting {
        /// The setting.
        setting: String,
        /// Why not.
        why: String,
    },
    /// What indexes answered cannot be kept.
    #[error("the snapshot `{folder}` cannot be written")]
    Snapshot {
        /// The folder.
        folder: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// No connection can be made at all.
    #[error("the network cannot be used: {0}")]
    Client(String),
    /// Some artifacts could not be obtained.
    #[error("{}", failures(.failed, *.untried))]
    Failed {
        /// Which, and why.
        failed: Vec<Failure>,
        /// How many were not tried any more.
        untried: usize,
    },
}

/// An artifact, and something to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Whose it is.
    pub package: String,
    /// Its file name.
    pub file_name: String,
    /// What is to be said: its digest's algorithm, where it would come from.
    pub note: String,
}

/// An artifact that could not be obtained.
#[derive(Debug)]
pub struct Failure {
    /// Whose it is.
    pub package: String,
    /// The URL that was asked, mirrors applied and without a login, or the path.
    pub source: String,
    /// Why.
    pub problem: Problem,
}

/// Why one artifact could not be obtained.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Its bytes are others.
    #[error(
        "its bytes are not what the lock names: expected {expected}, got {got} ({size} \
         bytes{encoded}); nothing was kept"
    )]
    Mismatch {
        /// The lock's digest.
        expected: Digest,
        /// The digest of what came.
        got: Digest,
        /// How much came.
        size: u64,
        /// Said where the server encoded it.
        encoded: String,
    },
    /// Its length is another.
    #[error("it has {} bytes, and the lock says {locked}; nothing was kept", Offered(*.offered))]
    Size {
        /// What the server says, or `None` where it sent more than the lock says.
        offered: Option<u64>,
        /// What the lock says.
        locked: u64,
    },
    /// It does not end, and the lock does not say where it should.
    #[error(
        "it has more than {0} bytes, and the lock does not say how many it has; nothing was kept"
    )]
    Endless(u64),
    /// The server answered, and it was no.
    #[error("the server answered {status}{via}")]
    Status {
        /// The answer.
        status: reqwest::StatusCode,
        /// Said where the answer came from elsewhere.
        via: String,
    },
    /// Tried until it was no use.
    #[error("{why}{}", times(*.attempts))]
    Unreachable {
        /// What happened the last time.
        why: String,
        /// How often it was tried.
        attempts: u32,
    },
    /// A server that asks to wait for longer than anybody wants to.
    #[error("the server answered {status} and asks to come back in {seconds} seconds")]
    Later {
        /// The answer.
        status: reqwest::StatusCode,
        /// When.
        seconds: u64,
    },
    /// The server is not who it claims to be, or its authority is unknown here.
    #[error("the server's certificate was refused: {why}")]
    Certificate {
        /// Why.
        why: String,
        /// What can be done about it.
        remedy: &'static str,
    },
    /// It cannot be asked for: a scheme that is not HTTP, too many redirects.
    #[error("it cannot be requested: {why}")]
    Request {
        /// Why.
        why: String,
    },
    /// A file of this machine is not there.
    #[error("there is no such file")]
    Absent,
    /// It cannot be read or kept.
    #[error("{}", causes(.0))]
    Store(StoreError),
}

impl Problem {
    /// What the user can do about it.
    fn hint(&self, source: &str) -> Option<String> {
        let host = Url::parse(source)
            .ok()
            .and_then(|url| Some(url.host_str()?.to_owned()));
        if let Some(host) = &host
            && is_reserved(host)
        {
            return Some(format!(
                "`{host}` is a reserved name that no server has: name the real one with \
                 `--mirror https://{host}/=URL`"
            ));
        }
        match self {
            Self::Status { status, .. } => match status.as_u16() {
                404 | 410 => Some(
                    "the lock names it, so the index has dropped it or a mirror lacks it: try \
                     another --mirror, or lock again"
                        .to_owned(),
                ),
                401 | 403 => Some(
                    "give a login in a netrc file, in the URL, for Python's packages in \
                     UV_INDEX_<NAME>_USERNAME and _PASSWORD, for npm's in .npmrc"
                        .to_owned(),
                ),
                407 => Some("give the proxy's login in its URL".to_owned()),
                _ => None,
            },
            Self::Certificate { remedy, .. } => Some((*remedy).to_owned()),
            Self::Mismatch { .. } | Self::Size { .. } | Self::Endless(_) => Some(
                "what is served is not what was locked: do not trust it before you know why"
                    .to_owned(),
            ),
            Self::Unreachable { .. } => Some(
                "what has arrived is kept: the same command goes on from there, and --mirror asks \
                 another server"
                    .to_owned(),
            ),
            _ => None,
        }
    }
}

/// Names that stand for no server (RFC 2606), as in locks whose registry was taken out.
pub(super) fn is_reserved(host: &str) -> bool {
    [".example", ".invalid"]
        .iter()
        .any(|name| host.ends_with(name) || host == name.trim_start_matches('.'))
}

/// An error with its causes, since those that wrap others say little themselves.
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

/// What rustls has against the server, if that is why there is no answer, and what can be done about it.
pub(super) fn certificate_problem(error: &reqwest::Error) -> Option<(String, &'static str)> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(rustls::Error::InvalidCertificate(why)) = rustls_error(error) {
            return Some(certificate_in_words(why));
        }
        cause = error.source();
    }
    None
}

fn certificate_in_words(why: &CertificateError) -> (String, &'static str) {
    use CertificateError as Not;
    let when = "check this machine's clock; if it is right, tell whoever runs the server";
    let (why, remedy) = match why {
        Not::Expired | Not::ExpiredContext { .. } => ("it has expired", when),
        Not::NotValidYet | Not::NotValidYetContext { .. } => ("it is not valid yet", when),
        Not::UnknownIssuer => (
            "it was not issued by an authority that is trusted here",
            "name the authority's certificate (PEM) with SSL_CERT_FILE",
        ),
        Not::NotValidForName | Not::NotValidForNameContext { .. } => (
            "it is for another host",
            "another server answered, or this one is misconfigured: tell whoever runs it",
        ),
        other => {
            return (
                other.to_string(),
                "ask whoever runs the server for another one",
            );
        }
    };
    (why.to_owned(), remedy)
}

/// An `io::Error` is not among the causes of what it wraps, and may be wrapped in another.
fn rustls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(error) = error.downcast_ref() {
        return Some(error);
    }
    let wrapped = error.downcast_ref::<std::io::Error>()?.get_ref()?;
    rustls_error(wrapped)
}

/// What went wrong, without the sentence around it that repeats the URL.
pub(super) fn why(error: &reqwest::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), causes)
}

struct Offered(Option<u64>);

impl fmt::Display for Offered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{bytes}"),
            None => f.write_str("more"),
        }
    }
}

impl Named {
    pub(super) fn algorithm(package: &str, file_name: &str, algorithm: Option<Algorithm>) -> Self {
        Self {
            package: package.to_owned(),
            file_name: file_name.to_owned(),
            note: algorithm.map_or_else(String::new, |algorithm| format!("{algorithm} alone")),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.file_name, self.package)?;
        match self.note.as_str() {
            "" => Ok(()),
            note => write!(f, ": {note}"),
        }
    }
}

fn lines(all: &[Named]) -> String {
    let lines: Vec<String> = all.iter().map(|named| format!("\n  {named}")).collect();
    lines.concat()
}

fn named(all: &[Named]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

/// The flag that takes them unverified.
fn allowing(all: &[Named]) -> String {
    let mut packages: Vec<&str> = all.iter().map(|named| named.package.as_str()).collect();
    packages.sort_unstable();
    packages.dedup();
    match packages.len() {
        ..=3 => format!("--allow-unhashed {}", packages.join(",")),
        _ => "--allow-unhashed all".to_owned(),
    }
}

fn artifacts(count: usize) -> String {
    match count {
        1 => "one artifact".to_owned(),
        count => format!("{count} artifacts"),
    }
}

fn are(count: usize) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", artifacts(count))
}

fn them(count: usize) -> &'static str {
    if count == 1 { "it" } else { "them" }
}

fn times(attempts: u32) -> String {
    match attempts {
        0 | 1 => String::new(),
        attempts => format!(" (tried {attempts} times)"),
    }
}

fn failures(failed: &[Failure], untried: usize) -> String {
    let mut lines = Vec::new();
    if let [only] = failed {
        lines.push(format!(
            "{} could not be fetched from {}: {}",
            only.package, only.source, only.problem
        ));
    } else {
        lines.push(format!("{} could not be fetched:", artifacts(failed.len())));
        lines.extend(failed.iter().take(SHOWN).map(|failure| {
            let Failure {
                package,
                source,
                problem,
            } = failure;
            format!("  {package} from {source}: {problem}")
        }));
        if failed.len() > SHOWN {
            lines.push(format!("  … and {} more", failed.len() - SHOWN));
        }
    }
    if untried > 0 {
        lines.push(format!("  ({} not tried any more)", are(untried)));
    }
    for failure in failed {
        if let Some(hint) = failure.problem.hint(&failure.source) {
            let hint = format!("hint: {hint}");
            if !lines.contains(&hint) {
                lines.push(hint);
            }
        }
    }
    lines.join("\n")
}
