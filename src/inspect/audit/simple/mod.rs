//! The simple API's page of a project, as JSON (PEP 691, with the sizes and times of PEP 700, the
//! status of PEP 792 and the provenance of PEP 740).

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::core::digest::{Algorithm, Digest};

/// The kind of document, as `Accept` names it.
pub const ACCEPT: &str = "application/vnd.pypi.simple.v1+json";

/// What an index says of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Project {
    /// `archived`, `quarantined` or `deprecated`, with the reason; nothing where it is active.
    pub status: Option<(String, Option<String>)>,
    /// Its files, by name.
    pub files: BTreeMap<String, Listed>,
}

/// What an index says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is.
    pub url: Url,
    /// What it must hash to, one for each algorithm.
    pub digests: Vec<Digest>,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was uploaded.
    pub uploaded: Option<String>,
    /// Whether it is yanked (PEP 592), and why.
    pub yanked: Option<Option<String>>,
    /// Where its attestations are.
    pub provenance: Option<Url>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawProject {
    meta: RawMeta,
    project_status: Option<RawStatus>,
    files: Vec<RawFile>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawMeta {
    api_version: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawStatus {
    Plain(String),
    Full {
        status: String,
        reason: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct RawFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
    upload_time: Option<String>,
    yanked: Option<RawYanked>,
    provenance: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawYanked {
    Is(bool),
    Why(String),
}

impl Project {
    /// Reads a page. `url` is where it was had from, which relative URLs start at.
    ///
    /// # Errors
    /// With the reason, where it is none.
    pub fn read(bytes: &[u8], url: &Url) -> Result<Self, String> {
        if bytes.trim_ascii_start().starts_with(b"<") {
            return Err(String::from(
                "it answers with HTML alone, which says neither sizes nor times: the JSON of PEP 691 \
                 is asked for",
            ));
        }
        let raw: RawProject = serde_json::from_slice(bytes)
            .map_err(|error| format!("its page is not the JSON of PEP 691: {error}"))?;
        if !raw.meta.api_version.starts_with("1.") {
            let version = raw.meta.api_version;
            return Err(format!("its page is of version {version} of the API"));
        }
        let status = raw.project_status.map(|status| match status {
            RawStatus::Plain(status) => (status, None),
            RawStatus::Full { status, reason } => (status, reason),
        });
        let mut files = BTreeMap::new();
        for file in raw.files {
            let resolved = url
                .join(&file.url)
                .map_err(|error| format!("`{}` is no URL: {error}", file.url))?;
            let digest = |(name, hex): (String, String)| format!("{name}:{hex}").parse().ok();
            let listed = Listed {
                url: resolved,
                digests: file.hashes.into_iter().filter_map(digest).collect(),
                size: file.size,
                uploaded: file.upload_time,
                yanked: match file.yanked {
                    None | Some(RawYanked::Is(false)) => None,
                    Some(RawYanked::Is(true)) => Some(None),
                    Some(RawYanked::Why(why)) => Some(Some(why).filter(|why| !why.is_empty())),
                },
                provenance: file.provenance.and_then(|text| url.join(&text).ok()),
            };
            files.insert(file.filename, listed);
        }
        Ok(Self {
            status: status.filter(|(status, _)| status != "active"),
            files,
        })
    }
}

impl Listed {
    /// The digest of an algorithm, where it is given.
    pub fn digest(&self, algorithm: Algorithm) -> Option<&Digest> {
        let mut all = self.digests.iter();
        all.find(|digest| digest.algorithm() == algorithm)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_or_it_is_said_why_not() {
        let url = Url::parse("https://pypi.example/simple/a/").unwrap();
        let page = r#"{"meta": {"api-version": "1.4"}, "name": "a",
            "project-status": {"status": "quarantined", "reason": "malware"},
            "files": [
              {"filename": "a-1.tar.gz", "url": "../../files/a-1.tar.gz", "hashes": {"md5": "x"}, "yanked": "broken"},
              {"filename": "a-2.tar.gz", "url": "https://f.example/a-2.tar.gz", "hashes": {}, "yanked": false, "size": 3}
            ]}"#;
        let project = Project::read(page.as_bytes(), &url).unwrap();
        assert_eq!(
            project.status,
            Some(("quarantined".into(), Some("malware".into())))
        );
        let first = &project.files["a-1.tar.gz"];
        assert_eq!(first.url.as_str(), "https://pypi.example/files/a-1.tar.gz");
        assert_eq!(first.yanked, Some(Some("broken".into())));
        assert_eq!(first.digests, []);
        assert_eq!(project.files["a-2.tar.gz"].yanked, None);
        for (page, why) in [
            ("<!doctype html>", "HTML"),
            ("{}", "PEP 691"),
            (
                r#"{"meta": {"api-version": "2.0"}, "files": []}"#,
                "version 2.0",
            ),
        ] {
            let said = Project::read(page.as_bytes(), &url).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
