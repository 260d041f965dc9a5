//! What repositories and commits are called: where they are looked for, what git is let open, what is shown.

use super::git_error::GitError;
use crate::obtain::fetch::mirrors::Mirrors;

/// A submodule's URL; one that begins with `./` or `../` is relative to its superproject's.
pub(super) fn absolute(parent: &str, url: &str) -> String {
    if !(url.starts_with("./") || url.starts_with("../")) {
        return url.to_owned();
    }
    let mut base = parent.trim_end_matches('/');
    let mut rest = url;
    loop {
        if let Some(after) = rest.strip_prefix("./") {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("../") {
            rest = after;
            base = match (base.rfind('/'), base.rfind(':')) {
                (Some(slash), _) => base.get(..slash).unwrap_or_default(),
                (None, Some(colon)) => base.get(..colon).unwrap_or_default(),
                (None, None) => base,
            };
        } else {
            return format!("{base}/{rest}");
        }
    }
}

/// Mirrors apply to URLs with and without their `.git`.
pub(super) fn apply(mirrors: &Mirrors, url: &str) -> String {
    match url::Url::parse(url) {
        // A login is for the server that the URL names.
        Ok(parsed) => mirrors.apply(&parsed).map_or_else(
            |_| url.to_owned(),
            |asked| {
                if asked == parsed {
                    url.to_owned()
                } else {
                    asked.to_string()
                }
            },
        ),
        Err(_) => mirrors.apply_text(url),
    }
}

/// Whether git would open a file rather than a connection.
pub(super) fn is_local(url: &str) -> bool {
    url.starts_with("file:") || url.starts_with('/') || url.starts_with('.')
}

pub(super) fn check_url(url: &str) -> Result<(), GitError> {
    let refuse = |why| {
        Err(GitError::Refused {
            what: "the repository",
            text: shown(url),
            why,
        })
    };
    if url.starts_with('-') {
        return refuse("git would take it for an option");
    }
    if url.chars().any(char::is_control) {
        return refuse("it has a control character");
    }
    match url.split_once("://") {
        Some(("http" | "https" | "ssh" | "git" | "file", _)) => Ok(()),
        Some(_) => refuse("git may use only https, http, ssh, git and file"),
        None if url.starts_with('/') => Ok(()),
        // `user@host:path`; two colons call a program.
        None if url.contains(':') && !url.contains("::") => Ok(()),
        None => refuse("it is not a URL"),
    }
}

pub(super) fn check_rev(rev: &str) -> Result<(), GitError> {
    let odd = |c: char| c.is_control() || " :^~?*[\\+".contains(c);
    if rev.is_empty() || rev.starts_with('-') || rev.contains(odd) || rev.contains("..") {
        return Err(GitError::Refused {
            what: "the revision",
            text: rev.to_owned(),
            why: "give a full commit, or the name of a tag or branch",
        });
    }
    Ok(())
}

/// A URL as it may be shown: without its password.
pub(super) fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let host = rest.split('/').next().unwrap_or_default();
    match host.rsplit_once('@') {
        Some((login, _)) if login.contains(':') => {
            let user = login.split(':').next().unwrap_or_default();
            let after = rest.get(login.len()..).unwrap_or_default();
            format!("{scheme}://{user}:****{after}")
        }
        _ => url.to_owned(),
    }
}

/// The last part of a URL, for the archive's name.
pub(super) fn stem(url: &str) -> String {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next();
    let last = last.unwrap_or_default().trim_end_matches(".git");
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match last.chars().filter(|c| plain(*c)).collect::<String>() {
        name if name.is_empty() => "source".into(),
        name => name,
    }
}

pub(super) fn short(commit: &str) -> &str {
    commit.get(..12).unwrap_or(commit)
}

/// A revision that is a whole object name.
pub(super) fn full_commit(rev: &str) -> Option<String> {
    let is_full = matches!(rev.len(), 40 | 64) && rev.bytes().all(|b| b.is_ascii_hexdigit());
    is_full.then(|| rev.to_ascii_lowercase())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn relative_submodules_are_beside_their_superproject() {
        for (parent, url, expected) in [
            ("https://h.example/o/r", "../s", "https://h.example/o/s"),
            ("https://h.example/o/r/", "./s", "https://h.example/o/r/s"),
            (
                "https://h.example/o/r",
                "../../p/s",
                "https://h.example/p/s",
            ),
            ("git@h.example:o/r", "../s", "git@h.example:o/s"),
            (
                "https://h.example/o/r",
                "https://x.example/s",
                "https://x.example/s",
            ),
        ] {
            assert_eq!(absolute(parent, url), expected);
        }
    }

    #[test]
    fn what_git_would_run_is_refused() {
        for url in [
            "ext::sh -c id",
            "--upload-pack=id",
            "ftp://h.example/r",
            "relative/path",
            "https://h.example/\nr",
        ] {
            assert!(check_url(url).is_err(), "{url}");
        }
        for url in [
            "https://h.example/r",
            "ssh://git@h.example/r",
            "git@h.example:o/r",
            "/srv/r",
        ] {
            assert!(check_url(url).is_ok(), "{url}");
        }
        for rev in ["", "-x", "a b", "a:b", "+a", "a^", "a..b", "*"] {
            assert!(check_rev(rev).is_err(), "{rev}");
        }
        for rev in ["version/2026.2.0", "v3.2026.2.0", "refs/pull/1/head"] {
            assert!(check_rev(rev).is_ok(), "{rev}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(
            shown("https://me:secret@h.example/r"),
            "https://me:****@h.example/r"
        );
        assert_eq!(shown("ssh://git@h.example/r"), "ssh://git@h.example/r");
        assert_eq!(shown("git@h.example:o/r"), "git@h.example:o/r");
    }

    #[test]
    fn names_of_archives_are_plain() {
        assert_eq!(stem("https://h.example/o/oci-python.git"), "oci-python");
        assert_eq!(stem("git@h.example:r"), "r");
        assert_eq!(stem("https://h.example/%20/"), "20");
        assert_eq!(stem("///"), "source");
    }
}
