//! Where a reviewer reads on: source, changelog, the comparison of two tags, the index's page.
//!
//! Packages, locks and indexes say where that is, and all of them are strangers. A link is one only over
//! `https`, without a login, and every report shows where it leads.

use std::collections::BTreeMap;

use url::Url;

use super::facts::{Ecosystem, OriginKind};
use super::model::{Change, LockDiff, Locked};
use super::publisher::Publisher;

/// Code hosts whose pages are known: how each writes a comparison.
const HOSTS: [(&str, &str); 3] = [
    ("github.com", "compare"),
    ("gitlab.com", "-/compare"),
    ("codeberg.org", "compare"),
];

impl LockDiff {
    /// Adds the links that follow from what is known; those that packages state are there already.
    pub fn link(&mut self) {
        for change in &mut self.changes {
            let more = [
                ("source", source(change)),
                ("compare", compare(change)),
                ("index", index(change, self.ecosystem)),
            ];
            for (kind, url) in more {
                if let Some(url) = url {
                    change.links.entry(kind.to_owned()).or_insert(url);
                }
            }
        }
    }
}

/// A stranger's URL, if a link may be made of it.
pub fn link(text: &str) -> Option<String> {
    let url = Url::parse(text.trim().trim_start_matches("git+")).ok()?;
    let is_fine = url.scheme() == "https"
        && url.username().is_empty()
        && url.password().is_none()
        && url.as_str().len() <= 500;
    // What a URL may have and Markdown or a table could be ended by.
    let quoted = |url: Url| url.as_str().replace('|', "%7C").replace('\'', "%27");
    is_fine.then(|| quoted(url).trim_end_matches(".git").to_owned())
}

/// The prefix of a version in a link: `v` of `…/blob/v1.0/CHANGES`. Tags are named alike.
pub fn tag_prefix(links: &BTreeMap<String, String>, version: &str) -> Option<String> {
    let urls = links.values().filter_map(|link| Url::parse(link).ok());
    let segments = urls.flat_map(|url| {
        let segments = url.path_segments();
        segments
            .into_iter()
            .flatten()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    let prefix = |segment: String| segment.strip_suffix(version).map(str::to_owned);
    let is_prefix = |prefix: &String| {
        prefix.len() <= 32 && !prefix.ends_with(|last: char| last.is_ascii_digit() || last == '.')
    };
    segments.filter_map(prefix).find(is_prefix)
}

/// A repository on a code host that is known: its page, and how it writes a comparison.
fn repository(text: &str) -> Option<(String, &'static str)> {
    let url = Url::parse(text.trim_start_matches("git+")).ok()?;
    let (host, compare) = HOSTS
        .iter()
        .find(|(host, _)| url.host_str() == Some(host))?;
    let path = url.path().trim_matches('/');
    let path = path.split("/-/").next().unwrap_or(path);
    let mut parts = path.split('/');
    let path = match *host {
        // Groups of GitLab's have groups.
        "gitlab.com" => path.to_owned(),
        _ => format!("{}/{}", parts.next()?, parts.next()?),
    };
    let page = format!("https://{host}/{}", path.trim_end_matches(".git"));
    Some((link(&page)?, compare))
}

/// The page of a repository, in any of the words that package.json and METADATA have for one
/// (<https://docs.npmjs.com/cli/v11/configuring-npm/package-json#repository>).
pub fn repository_page(text: &str) -> Option<String> {
    let text = text.trim();
    let (page, _) = match text.split_once([':', '/']) {
        Some(("github", path)) if !path.starts_with('/') => {
            repository(&format!("https://github.com/{path}"))
        }
        Some(("gitlab", path)) if !path.starts_with('/') => {
            repository(&format!("https://gitlab.com/{path}"))
        }
        Some(("git@github.com", path)) => repository(&format!("https://github.com/{path}")),
        Some(("git@gitlab.com", path)) => repository(&format!("https://gitlab.com/{path}")),
        // `owner/name` is GitHub's.
        Some((owner, name))
            if !text.contains([':', '.']) && !owner.is_empty() && !name.contains('/') =>
        {
            repository(&format!("https://github.com/{text}"))
        }
        _ => repository(text),
    }?;
    Some(page)
}

fn sides(change: &Change) -> [Option<&Locked>; 2] {
    [change.new.as_ref(), change.old.as_ref()]
}

/// Where it was built from by its publisher, or where git has it.
fn source(change: &Change) -> Option<String> {
    let pages = sides(change).into_iter().flatten().filter_map(|side| {
        let page = side.publisher.as_ref().and_then(Publisher::page);
        let page = page.as_deref().and_then(link);
        let git = (side.source.kind == OriginKind::Git)
            .then(|| repository(&side.source.place).map(|(page, _)| page));
        page.or_else(|| git.flatten())
    });
    pages.into_iter().next()
}

/// The comparison of two commits, or of two tags: those that the publisher built, or of the form that is
/// usual.
fn compare(change: &Change) -> Option<String> {
    let (old, new) = (change.old.as_ref()?, change.new.as_ref()?);
    if let (Some(from), Some(to)) = (&old.source.commit, &new.source.commit) {
        let (page, compare) = repository(&new.source.place)?;
        return (from != to).then(|| link(&format!("{page}/{compare}/{from}...{to}")))?;
    }
    let (from, to) = (old.version.as_deref()?, new.version.as_deref()?);
    if from == to {
        return None;
    }
    let stated = change
        .links
        .get("source")
        .cloned()
        .or_else(|| source(change))?;
    let (page, compare) = repository(&stated)?;
    let built = |side: &Locked| {
        let reference = side.publisher.as_ref()?.reference.as_deref()?;
        reference.strip_prefix("refs/tags/").map(str::to_owned)
    };
    let (from, to) = match (built(old), built(new)) {
        (Some(from), Some(to)) => (from, to),
        _ => {
            let prefix = tag_prefix(&change.links, to);
            let prefix = prefix.unwrap_or_else(|| "v".to_owned());
            (format!("{prefix}{from}"), format!("{prefix}{to}"))
        }
    };
    link(&format!("{page}/{compare}/{from}...{to}"))
}

/// The page of the simple API (PEP 503), which people can read too. A registry of npm's has none.
fn index(change: &Change, ecosystem: Ecosystem) -> Option<String> {
    let source = &sides(change).into_iter().flatten().next()?.source;
    let is_index = ecosystem == Ecosystem::Python && source.kind == OriginKind::Registry;
    let page = || format!("{}/{}/", source.place.trim_end_matches('/'), change.name);
    link(&is_index.then(page)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_https_is_a_link() {
        for (text, url) in [
            (
                "git+https://github.com/o/r.git",
                Some("https://github.com/o/r"),
            ),
            (
                "https://a.example/x\"><script>",
                Some("https://a.example/x%22%3E%3Cscript%3E"),
            ),
            (
                "https://a.example/a|b'c",
                Some("https://a.example/a%7Cb%27c"),
            ),
            ("http://a.example/", None),
            ("javascript:alert(1)", None),
            ("https://me:secret@a.example/", None),
            ("https://a.example@evil.example/", None),
            ("nothing", None),
        ] {
            assert_eq!(link(text).as_deref(), url, "{text}");
        }
    }

    #[test]
    fn tags_are_named_as_in_the_links_of_a_package() {
        let of = |url: &str| {
            let links = BTreeMap::from([("changelog".to_owned(), url.to_owned())]);
            tag_prefix(&links, "2.1")
        };
        assert_eq!(
            of("https://h.example/o/r/blob/2.1/C.md").as_deref(),
            Some("")
        );
        assert_eq!(
            of("https://h.example/r/tag/rel-2.1").as_deref(),
            Some("rel-")
        );
        assert_eq!(of("https://h.example/r/tag/v12.1"), None);
        assert_eq!(of("https://h.example/r/"), None);
    }

    #[test]
    fn repositories_are_told_from_pages_in_them() {
        let page = |text: &str| repository(text).map(|(page, _)| page);
        assert_eq!(
            page("https://github.com/o/r/tree/main").as_deref(),
            Some("https://github.com/o/r")
        );
        assert_eq!(
            page("https://gitlab.com/a/b/c/-/tree/x").as_deref(),
            Some("https://gitlab.com/a/b/c")
        );
        assert_eq!(
            page("ssh://git@github.com/o/r.git").as_deref(),
            Some("https://github.com/o/r")
        );
        assert_eq!(page("https://github.com/o"), None);
        for text in [
            "o/r",
            "github:o/r",
            "git@github.com:o/r.git",
            "git://github.com/o/r.git",
        ] {
            let page = repository_page(text);
            assert_eq!(page.as_deref(), Some("https://github.com/o/r"), "{text}");
        }
        assert_eq!(repository_page("./o/r"), None);
        assert_eq!(page("https://github.com.evil.example/o/r"), None);
    }
}
