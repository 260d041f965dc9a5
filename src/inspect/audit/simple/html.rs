//! The simple API's page of a project as HTML (PEP 503), with the digests and the marks that PEPs 592,
//! 740 and 792 put into it. It says neither sizes nor times.

use html5gum::{StartTag, Token, Tokenizer};
use percent_encoding::percent_decode_str;
use url::Url;

use super::{Listed, Project};

/// Whether a page is HTML rather than JSON.
pub(super) fn is_html(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"<")
}

/// Reads a page. `url` is where it came from.
///
/// # Errors
/// With the reason, where it is none.
pub(super) fn read(bytes: &[u8], url: &Url) -> Result<Project, String> {
    let mut project = Project::default();
    let mut base = url.clone();
    let (mut status, mut reason) = (None, None);
    for Ok(token) in Tokenizer::new(bytes) {
        let Token::StartTag(tag) = token else {
            continue;
        };
        match tag.name.as_slice() {
            b"base" => {
                base = attribute(&tag, "href")
                    .and_then(|to| url.join(&to).ok())
                    .unwrap_or(base);
            }
            b"meta" => {
                let said = attribute(&tag, "content");
                match attribute(&tag, "name").unwrap_or_default().as_str() {
                    "pypi:repository-version" if !said.iter().all(|one| one.starts_with("1.")) => {
                        let version = said.unwrap_or_default();
                        return Err(format!("its page is of version {version} of the API"));
                    }
                    "pypi:project-status" => status = said,
                    "pypi:project-status-reason" => reason = said,
                    _ => {}
                }
            }
            b"a" => {
                if let Some((name, listed)) = file(&tag, &base) {
                    project.files.insert(name, listed);
                }
            }
            _ => {}
        }
    }
    // The page of a login, or of a proxy, is HTML too.
    if project.files.is_empty() {
        return Err(String::from("its page is HTML in which no file is named"));
    }
    project.status = status
        .filter(|status| status != "active")
        .map(|status| (status, reason));
    Ok(project)
}

fn attribute(tag: &StartTag<()>, name: &str) -> Option<String> {
    let value = tag.attributes.get(name.as_bytes())?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// A link to a file, with its digest behind the `#`.
fn file(tag: &StartTag<()>, base: &Url) -> Option<(String, Listed)> {
    let mut url = base.join(&attribute(tag, "href")?).ok()?;
    let fragment = url.fragment().unwrap_or_default();
    let digest = fragment.split_once('=');
    let digest = digest.and_then(|(name, hex)| format!("{name}:{hex}").parse().ok());
    url.set_fragment(None);
    let name = percent_decode_str(url.path_segments()?.next_back()?);
    let name = name.decode_utf8().ok()?.into_owned();
    let ends = [".whl", ".tar.gz", ".zip", ".tar.bz2", ".egg"];
    if !ends.iter().any(|end| name.ends_with(end)) {
        return None;
    }
    let listed = Listed {
        digests: digest.into_iter().collect(),
        size: None,
        uploaded: None,
        yanked: attribute(tag, "data-yanked").map(|why| Some(why).filter(|why| !why.is_empty())),
        provenance: attribute(tag, "data-provenance").and_then(|to| base.join(&to).ok()),
        url,
    };
    Some((name, listed))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_as_browsers_do_or_it_is_said_why_not() {
        let url = Url::parse("https://pypi.example/simple/a/").unwrap();
        let digest = "a".repeat(64);
        let page = format!(
            "<!DOCTYPE html><html><head><base href='/files/'>\
             <meta name=\"pypi:repository-version\" content=\"1.4\">\
             <meta name='pypi:project-status' content='archived'></head><body>\
             <!-- <a href=\"a-0.tar.gz\">a-0.tar.gz</a> --><A HREF=a-1.tar.gz#sha256={digest}>a</A>\
             <a href=\"../x/a-2%2Bl.zip\" data-yanked=\"bro&lt;ken\">x</a><a href='..'>up</a>\
             <a href=\"a-3-py3-none-any.whl#md5=1\" data-yanked data-provenance=\"/p\">x"
        );
        let project = read(page.as_bytes(), &url).unwrap();
        assert_eq!(project.status, Some(("archived".into(), None)));
        let names: Vec<&str> = project.files.keys().map(String::as_str).collect();
        assert_eq!(names, ["a-1.tar.gz", "a-2+l.zip", "a-3-py3-none-any.whl"]);
        let first = &project.files["a-1.tar.gz"];
        assert_eq!(first.url.as_str(), "https://pypi.example/files/a-1.tar.gz");
        assert_eq!(first.digests.len(), 1);
        assert_eq!(
            project.files["a-2+l.zip"].yanked,
            Some(Some("bro<ken".into()))
        );
        let third = &project.files["a-3-py3-none-any.whl"];
        assert_eq!((third.digests.len(), &third.yanked), (0, &Some(None)));
        assert_eq!(third.provenance.as_ref().unwrap().path(), "/p");
        for (page, why) in [
            ("<html><form action=/login>", "no file is named"),
            (
                "<meta name='pypi:repository-version' content='2.0'>",
                "version 2.0",
            ),
        ] {
            let said = read(page.as_bytes(), &url).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
