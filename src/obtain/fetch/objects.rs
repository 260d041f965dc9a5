//! A folder or a server that keeps bytes by path.

use std::io;

use bytes::Bytes;
use camino::Utf8PathBuf;
use reqwest::StatusCode;
use url::Url;

use super::error::causes;
use crate::core::foreign;
use crate::core::temp_file;

/// Where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A folder, as of a network's file system.
    Folder(Utf8PathBuf),
    /// An HTTP server.
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
                _ => Err("it is no path of this machine".to_owned()),
            },
            "http" | "https" => Ok(Self::Server(url)),
            other => Err(format!(
                "`{other}` is no kind of shared store: there are folders, http and https"
            )),
        }
    }
}

impl std::fmt::Display for Place {
    /// Without a login.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{path}"),
            Self::Server(url) => {
                let mut url = url.clone();
                // Fails only for those that cannot have one.
                let _ = url.set_password(None);
                let _ = url.set_username("");
                write!(f, "{url}")
            }
        }
    }
}

/// Where the bytes are.
pub(super) enum Objects {
    Folder(Utf8PathBuf),
    Server(reqwest::Client, Url),
}

impl Objects {
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
            Self::Server(http, base) => {
                let answer = http.get(at(base, path)).send().await;
                let mut answer = answer.map_err(|error| said(&error))?;
                match answer.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(false),
                    status => return Err(format!("it answers {status}")),
                }
                while let Some(piece) = answer.chunk().await.map_err(|error| said(&error))? {
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
            Self::Server(http, base) => {
                let answer = http.head(at(base, path)).send().await.ok()?;
                let length = answer.headers().get(reqwest::header::CONTENT_LENGTH);
                let is_there = answer.status() == StatusCode::OK;
                length.filter(|_| is_there)?.to_str().ok()?.parse().ok()
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
            Self::Server(http, base) => {
                let answer = http.put(at(base, path)).body(bytes).send().await;
                match answer.map_err(|error| said(&error))?.status() {
                    status if status.is_success() => Ok(()),
                    status => Err(format!("it answers {status}")),
                }
            }
        }
    }
}

/// A path below a server's own.
fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let whole = format!("{}/{path}", base.path().trim_end_matches('/'));
    url.set_path(&whole);
    url
}

/// An error with all that it says of what caused it, on one line and harmless to print.
fn said(error: &dyn std::error::Error) -> String {
    let text: String = causes(error).chars().take(500).collect();
    foreign::shown(&text)
}
