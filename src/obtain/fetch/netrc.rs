//! The netrc file: logins by host, as curl and pip read it.
//!
//! `machine HOST login USER password WORD`, in any number of lines; `default` stands for every
//! other host. A word may be quoted (`"…"`, with `\` before what would end it), `#` begins a
//! comment line, and a `macdef` lasts until the next empty line. The format is described in
//! <https://everything.curl.dev/usingcurl/netrc.html>.

/// A user and a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// The password, if there is one.
    pub password: Option<String>,
}

// Secrets never get into a log.
impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:****", self.user)
    }
}

/// Logins in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct Netrc {
    /// The host, or `None` for `default`.
    entries: Vec<(Option<String>, Login)>,
}

impl Netrc {
    /// Reads a file's text. Words that mean nothing here (`account`, mistakes) are passed over.
    pub fn parse(text: &str) -> Self {
        let words = words(text);
        let mut words = words.into_iter();
        let mut entries: Vec<(Option<String>, Login)> = Vec::new();
        while let Some(word) = words.next() {
            match (word.as_str(), entries.last_mut()) {
                ("machine", _) => {
                    if let Some(host) = words.next() {
                        entries.push((Some(host), Login::default()));
                    }
                }
                ("default", _) => entries.push((None, Login::default())),
                ("login", Some((_, login))) => login.user = words.next().unwrap_or_default(),
                ("password", Some((_, login))) => login.password = words.next(),
                ("account", _) => {
                    words.next();
                }
                _ => {}
            }
        }
        Self { entries }
    }

    /// The login for a host; with `user`, only one of that name.
    pub fn login(&self, host: &str, user: Option<&str>) -> Option<&Login> {
        let fits = |login: &Login| user.is_none_or(|user| user == login.user);
        let of = |wanted: Option<&str>| {
            self.entries
                .iter()
                .find(|(host, login)| host.as_deref() == wanted && fits(login))
        };
        of(Some(host)).or_else(|| of(None)).map(|(_, login)| login)
    }
}

fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        if line.trim_start().starts_with('#') {
            continue;
        }
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let (word, after) = next_word(rest);
            if word == "macdef" {
                in_macro = true;
                break;
            }
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

/// The first word of a text that does not begin with white space, and what follows it.
fn next_word(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        return (word.to_owned(), rest);
    };
    let mut word = String::new();
    let mut chars = quoted.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => word.extend(chars.next()),
            char => word.push(char),
        }
    }
    (word, chars.as_str())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, host: &str, expected: Option<(&str, Option<&str>)>) {
        let netrc = Netrc::parse(text);
        let found = netrc.login(host, None);
        let found = found.map(|login| (login.user.as_str(), login.password.as_deref()));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn entries_may_be_spread_over_lines_in_any_way() {
        let text = "# a comment\nmachine a.example login me\n\tpassword s3cret machine b.example\nlogin you account x\n";
        check(text, "a.example", Some(("me", Some("s3cret"))));
        check(text, "b.example", Some(("you", None)));
        check(text, "c.example", None);
    }

    #[test]
    fn default_stands_for_the_rest_and_the_first_of_a_host_wins() {
        let text = "machine a.example login one\nmachine a.example login two\ndefault login any";
        check(text, "a.example", Some(("one", None)));
        check(text, "b.example", Some(("any", None)));
        let netrc = Netrc::parse(text);
        assert_eq!(netrc.login("a.example", Some("two")).unwrap().user, "two");
        assert_eq!(netrc.login("a.example", Some("three")), None);
    }

    #[test]
    fn quotes_hashes_and_macros_are_read_as_curl_reads_them() {
        check(
            r#"machine a.example login "m e" password "x\"y\\z""#,
            "a.example",
            Some(("m e", Some(r#"x"y\z"#))),
        );
        check(
            "machine a.example login me password #1!",
            "a.example",
            Some(("me", Some("#1!"))),
        );
        let text = "macdef init\nmachine evil.example login x\n\nmachine a.example login me";
        check(text, "evil.example", None);
        check(text, "a.example", Some(("me", None)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_too_odd_to_be_read(text in r#"[a-z"\\ \n#]*(machine|login|macdef|default)?[a-z"\\ \n#]*"#) {
            Netrc::parse(&text);
        }
    }
}
