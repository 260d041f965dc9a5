//! The simple API's page of a project: as JSON (PEP 691, with the sizes and times of PEP 700, the
//! status of PEP 792 and the provenance of PEP 740), or as HTML by [`html`].

mod html;

use std::collections::BTreeMap;

use serde::Deserialize;
use url::Url;

use crate::core::digest::{Algorithm, Digest};
use crate::decide::lock::wheel_name::WheelName;
use crate::inspect::diff::facts::{File, FileKind};
use crate::inspect::diff::version::Number;

/// The kinds of document, as `Accept` names them: HTML only where there is nothing else.
pub const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, \
                          text/html;q=0.1";

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
    /// Reads a page. `url` is where it came from, which relative URLs start at.
    ///
    /// # Errors
    /// With the reason, where it is none.
    pub fn read(bytes: &[u8], url: &Url) -> Result<Self, String> {
        if html::is_html(bytes) {
            return html::read(bytes, url);
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
                .map_err(|error| format!("`{}` is not a URL: {error}", file.url))?;
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

impl Project {
    /// What it says of a file of a lock. requirements.txt names digests, not files.
    pub fn listed(&self, file: &File) -> Option<&Listed> {
        let is_it = |listed: &&Listed| {
            let digest = file.digest.as_ref();
            digest.is_some_and(|own| listed.digests.contains(own))
        };
        let by_digest = || self.files.values().find(is_it);
        let named = self.files.get(&file.name);
        named.or_else(|| by_digest().filter(|_| file.kind == FileKind::Tarball))
    }

    /// The release before a version, and where attestations of it are; nothing where it has none.
    pub fn below(&self, number: &Number) -> Option<(String, Url)> {
        let mut below: Option<(Number, String, Option<&Url>)> = None;
        for (name, file) in &self.files {
            let Some(version) = version_of(name).filter(|_| file.yanked.is_none()) else {
                continue;
            };
            let other = Number::python(Some(&version));
            if !other.may_precede(number) {
                continue;
            }
            let url = file.provenance.as_ref();
            match &mut below {
                Some((known, ..)) if *known > other => {}
                Some((known, _, place)) if *known == other => *place = place.or(url),
                below => *below = Some((other, version, url)),
            }
        }
        let (_, version, url) = below?;
        Some((version, url?.clone()))
    }
}

/// The version that a file's name has in it.
fn version_of(name: &str) -> Option<String> {
    if name.ends_with(".whl") {
        let wheel: WheelName = name.parse().ok()?;
        return Some(wheel.version.to_string());
    }
    let ends = [".tar.gz", ".zip", ".tar.bz2"];
    let stem = ends.iter().find_map(|end| name.strip_suffix(end))?;
    Some(stem.rsplit_once('-')?.1.to_owned())
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
            ("<!doctype html>", "HTML in which no file"),
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
