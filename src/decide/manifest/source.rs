//! Sources: the trees and files of a manifest that come from outside.

use camino::Utf8PathBuf;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use crate::core::digest::Digest;

/// A tree or a file that comes from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawSource", rename_all = "kebab-case")]
pub struct Source {
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
    /// The tree's NAR hash; the same that Nix's fetchers have.
    pub hash: Option<Digest>,
}

/// Where a source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Origin {
    /// A git repository.
    Git {
        /// Its URL.
        git: String,
        /// The commit, tag or branch.
        rev: String,
        /// Whether its submodules are brought as well.
        submodules: bool,
    },
    /// A folder or file on this machine, relative to the manifest.
    Path {
        /// Where it is.
        path: Utf8PathBuf,
    },
    /// A file that is downloaded.
    Artifact(UrlSource),
}

/// A file that is downloaded, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct UrlSource {
    /// Its URL.
    pub url: Url,
    /// The file's own digest.
    pub digest: Option<Digest>,
    /// What it becomes.
    pub form: Form,
}

/// What a downloaded file becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// What is in the one folder at the archive's top.
    Stripped,
    /// What is in the archive, whatever is at its top.
    Whole,
    /// The file itself.
    File {
        /// Whether it may be run.
        executable: bool,
    },
}

/// A tree or file that comes from outside: exactly one of `git` (with `rev`), `path` and `url`.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "Source")]
struct RawSource {
    /// A git repository's URL.
    git: Option<String>,
    /// The commit, tag or branch of `git`.
    rev: Option<String>,
    /// Whether `git`'s submodules are fetched, too.
    submodules: Option<bool>,
    /// A folder or file on this machine, relative to the manifest.
    #[schemars(with = "Option<String>")]
    path: Option<Utf8PathBuf>,
    /// The URL of an archive (`.tar.gz`, `.tar`, `.zip`), or of a single file.
    url: Option<Url>,
    /// The digest of the file at `url`, as `sha256:<hex>` or `sha256-<base64>`.
    #[schemars(with = "Option<String>")]
    digest: Option<Digest>,
    /// Whether the archive at `url` is unpacked; with `false` the source is the file itself.
    unpack: Option<bool>,
    /// How many leading folders are removed from the archive's paths: 1 (its one top folder, the
    /// default) or 0.
    strip: Option<u8>,
    /// Whether the single file at `url` is executable.
    executable: Option<bool>,
    /// The NAR hash of the tree or file, as `sha256-…`, the same as in Nix's fetchers.
    #[schemars(with = "Option<String>")]
    hash: Option<Digest>,
}

impl TryFrom<RawSource> for Source {
    type Error = &'static str;

    fn try_from(raw: RawSource) -> Result<Self, Self::Error> {
        const ONE: &str = "a source has exactly one of `git` (with `rev`), `path` and `url`";
        let hash = raw.hash;
        if raw.url.is_none()
            && (raw.digest.is_some()
                || raw.unpack.is_some()
                || raw.strip.is_some()
                || raw.executable.is_some())
        {
            return Err("`digest`, `unpack`, `strip` and `executable` are only for a `url`");
        }
        if raw.git.is_none() && (raw.rev.is_some() || raw.submodules.is_some()) {
            return Err("`rev` and `submodules` are only for a `git` repository");
        }
        let origin = match (raw.git, raw.path, raw.url) {
            (Some(git), None, None) => Origin::Git {
                git,
                rev: raw
                    .rev
                    .ok_or("a git source needs `rev`: a commit, a tag or a branch")?,
                submodules: raw.submodules.unwrap_or(false),
            },
            (None, Some(path), None) => Origin::Path { path },
            (None, None, Some(url)) => Origin::Artifact(UrlSource {
                url,
                digest: raw.digest,
                form: match (raw.unpack.unwrap_or(true), raw.strip, raw.executable) {
                    (true, None | Some(1), None) => Form::Stripped,
                    (true, Some(0), None) => Form::Whole,
                    (true, Some(_), None) => return Err("`strip` of a source is 0 or 1"),
                    (false, None, executable) => Form::File {
                        executable: executable.unwrap_or(false),
                    },
                    (true, _, Some(_)) => {
                        return Err("`executable` is for a single file: `unpack = false`");
                    }
                    (false, Some(_), _) => {
                        return Err("`strip` is for an archive, and this one is not unpacked");
                    }
                },
            }),
            _ => return Err(ONE),
        };
        Ok(Self { origin, hash })
    }
}

impl JsonSchema for Source {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        RawSource::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        RawSource::json_schema(generator)
    }
}
