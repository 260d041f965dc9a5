//! Patterns of `files` and ignore files, as npm reads them: minimatch 10 with `matchBase`, `dot`,
//! `nocase` and `flipNegate` (<https://github.com/isaacs/minimatch>).
//!
//! Extended globs, numeric ranges in braces and POSIX classes, which hardly anybody writes in these
//! places, are not read but refused.

use std::collections::HashSet;

/// How long a pattern may be, in bytes: braces lie in one another, and each step down is one on the stack.
const LONGEST: usize = 1024;

/// How many patterns one with braces may stand for: each is tried on every path.
const MOST: usize = 200;

/// One pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// Whether it takes back what others say.
    pub negated: bool,
    /// Its alternatives, each in parts.
    alternatives: Vec<Vec<Part>>,
    /// Whether one of the alternatives is but one name, perhaps with a slash behind.
    pub is_one_name: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `**`
    Any,
    /// A name without magic, in lower case.
    Name(String),
    /// One with.
    Magic(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    /// Ranges, and whether they are those that do not match.
    Class(Vec<(char, char)>, bool),
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// With what is not understood in it.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("it is longer than any pattern needs to be");
        }
        let marks = text.chars().take_while(|c| *c == '!').count();
        let body = text.get(marks..).unwrap_or_default();
        if ["?(", "*(", "+(", "@(", "!("]
            .iter()
            .any(|mark| body.contains(mark))
        {
            return Err("it has an extended glob");
        }
        let mut alternatives = Vec::new();
        let mut is_one_name = false;
        for one in braces(body)? {
            let mut parts: Vec<&str> = Vec::new();
            for part in split(&one) {
                match (part, parts.last()) {
                    ("**", Some(&"**")) => {}
                    ("..", Some(above)) if !matches!(*above, "" | "." | ".." | "**") => {
                        parts.pop();
                    }
                    _ => parts.push(part),
                }
            }
            is_one_name |= match parts.last() {
                Some(&"") => parts.len() <= 2,
                _ => parts.len() <= 1,
            };
            let parts = parts.into_iter().map(part).collect::<Result<_, _>>()?;
            alternatives.push(parts);
        }
        Ok(Self {
            negated: marks % 2 == 1,
            alternatives,
            is_one_name,
        })
    }

    /// Whether a path is one of those that are meant; with `partial`, whether something below it may
    /// be.
    pub fn matches(&self, path: &str, partial: bool) -> bool {
        if path == "/" && partial {
            return true;
        }
        let path = path.to_lowercase();
        let parts = split(&path);
        let last = parts.iter().rev().find(|part| !part.is_empty());
        self.alternatives
            .iter()
            .any(|pattern| match (pattern.as_slice(), last) {
                ([_], Some(last)) => Matching::new(partial).matches(&[last], pattern),
                _ => Matching::new(partial).matches(&parts, pattern),
            })
    }
}

/// At slashes, of which several are one.
fn split(path: &str) -> Vec<&str> {
    let mut parts: Vec<&str> = Vec::new();
    let mut pieces = path.split('/').peekable();
    let mut is_first = true;
    while let Some(piece) = pieces.next() {
        if is_first || !piece.is_empty() || pieces.peek().is_none() {
            parts.push(piece);
        }
        is_first = false;
    }
    parts
}

/// A path against the parts of a pattern.
struct Matching {
    partial: bool,
    /// How much was left of the path and of the pattern where nothing came of it: `**` leads there on many ways.
    in_vain: HashSet<(usize, usize)>,
}

impl Matching {
    fn new(partial: bool) -> Self {
        Self {
            partial,
            in_vain: HashSet::new(),
        }
    }

    fn matches(&mut self, path: &[&str], pattern: &[Part]) -> bool {
        let left = (path.len(), pattern.len());
        if self.in_vain.contains(&left) {
            return false;
        }
        let found = self.try_all(path, pattern);
        if !found {
            self.in_vain.insert(left);
        }
        found
    }

    fn try_all(&mut self, path: &[&str], pattern: &[Part]) -> bool {
        match (path, pattern) {
            ([] | [""], []) => true,
            ([], _) => self.partial,
            (_, []) => false,
            (_, [Part::Any]) => path.iter().all(|name| !matches!(*name, "." | "..")),
            (_, [Part::Any, rest @ ..]) => {
                let mut path = path;
                loop {
                    if !path.is_empty() && self.matches(path, rest) {
                        return true;
                    }
                    match path {
                        [] => return self.partial,
                        ["." | "..", ..] => return false,
                        [_, below @ ..] => path = below,
                    }
                }
            }
            ([name, path @ ..], [first, rest @ ..]) => {
                let hit = match first {
                    Part::Name(own) => own == name,
                    Part::Magic(tokens) => {
                        let name: Vec<char> = name.chars().collect();
                        !matches!(name.as_slice(), [] | ['.'] | ['.', '.'])
                            && is_like(&name, tokens)
                    }
                    Part::Any => false,
                };
                hit && self.matches(path, rest)
            }
        }
    }
}

/// One name against one part of a pattern, in time that the product of their lengths bounds.
fn is_like(name: &[char], tokens: &[Token]) -> bool {
    let mut reached = vec![false; name.len() + 1];
    if let Some(start) = reached.first_mut() {
        *start = true;
    }
    for token in tokens {
        let mut next = vec![false; name.len() + 1];
        let mut seen = false;
        for at in 0..=name.len() {
            let here = reached.get(at).copied().unwrap_or(false);
            seen |= here;
            let takes = match (token, at.checked_sub(1).and_then(|at| name.get(at))) {
                (Token::Many, _) => seen,
                (_, None) => false,
                (token, Some(char)) => {
                    let before = at > 0 && reached.get(at - 1).copied().unwrap_or(false);
                    before
                        && match token {
                            Token::Char(own) => own == char,
                            Token::Class(ranges, is_negated) => {
                                let inside =
                                    ranges.iter().any(|(low, high)| low <= char && char <= high);
                                inside != *is_negated
                            }
                            Token::One | Token::Many => true,
                        }
                }
            };
            if let Some(place) = next.get_mut(at) {
                *place = takes;
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

fn part(text: &str) -> Result<Part, &'static str> {
    if text == "**" {
        return Ok(Part::Any);
    }
    let mut tokens = Vec::new();
    let mut is_magic = false;
    let lower: Vec<char> = text.to_lowercase().chars().collect();
    let mut at = 0;
    while let Some(char) = lower.get(at) {
        at += 1;
        match char {
            '\\' => {
                tokens.push(Token::Char(lower.get(at).copied().unwrap_or('\\')));
                at += 1;
            }
            '?' => tokens.push(Token::One),
            // Several in one name are as good as one.
            '*' if tokens.last() == Some(&Token::Many) => {}
            '*' => tokens.push(Token::Many),
            '[' => match class(lower.get(at..).unwrap_or_default())? {
                Some((token, length)) => {
                    tokens.push(token);
                    at += length;
                }
                None => tokens.push(Token::Char('[')),
            },
            char => tokens.push(Token::Char(*char)),
        }
        is_magic |= !matches!(tokens.last(), Some(Token::Char(_)));
    }
    if is_magic {
        return Ok(Part::Magic(tokens));
    }
    let name = tokens.iter().map(|token| match token {
        Token::Char(char) => *char,
        _ => '?',
    });
    Ok(Part::Name(name.collect()))
}

/// A class behind its `[`, and how long it is; `None` where it has no end.
fn class(rest: &[char]) -> Result<Option<(Token, usize)>, &'static str> {
    let mut at = 0;
    let is_negated = matches!(rest.first(), Some('!' | '^'));
    at += usize::from(is_negated);
    let first = at;
    let mut ranges = Vec::new();
    loop {
        let Some(&char) = rest.get(at) else {
            return Ok(None);
        };
        at += 1;
        let low = match char {
            ']' if at - 1 > first => return Ok(Some((Token::Class(ranges, is_negated), at))),
            '[' if rest.get(at) == Some(&':') => return Err("it has a POSIX class"),
            '\\' => {
                at += 1;
                rest.get(at - 1).copied().unwrap_or('\\')
            }
            char => char,
        };
        match (rest.get(at), rest.get(at + 1)) {
            (Some('-'), Some(high)) if *high != ']' => {
                ranges.push((low, *high));
                at += 2;
            }
            _ => ranges.push((low, low)),
        }
    }
}

/// `a{b,c}` is `ab` and `ac`.
fn braces(text: &str) -> Result<Vec<String>, &'static str> {
    let mut depth = 0_usize;
    let (mut open, mut commas) = (0, Vec::new());
    let mut escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '{' => {
                if depth == 0 {
                    open = at;
                    commas.clear();
                }
                depth += 1;
            }
            ',' if depth == 1 => commas.push(at),
            '}' if depth > 0 => {
                depth -= 1;
                let inside = text.get(open + 1..at).unwrap_or_default();
                if depth > 0 {
                    continue;
                }
                if commas.is_empty() {
                    if inside.contains("..") {
                        return Err("it has a range in braces");
                    }
                    continue;
                }
                let before = text.get(..open).unwrap_or_default();
                let after = braces(text.get(at + 1..).unwrap_or_default())?;
                let ends = commas.iter().copied().chain([at]);
                let mut start = open + 1;
                let mut all = Vec::new();
                for end in ends {
                    for middle in braces(text.get(start..end).unwrap_or_default())? {
                        if all.len() + after.len() > MOST {
                            return Err("it stands for too many patterns");
                        }
                        all.extend(after.iter().map(|after| format!("{before}{middle}{after}")));
                    }
                    start = end + 1;
                }
                return Ok(all);
            }
            _ => {}
        }
    }
    Ok(vec![text.to_owned()])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_minimatch_has_them() {
        // `new Minimatch(pattern, { matchBase, dot, nocase, flipNegate: true }).match(path)`
        for (pattern, path, expected) in [
            ("*.js", "a/b.js", true),
            ("*.js", "a/b.JS", true),
            ("/*.js", "a/b.js", false),
            ("/*.js", "/b.js", true),
            ("a/**", "a/b/c", true),
            ("a/**", "a", false),
            ("**/.git/**", "x/.git/y/z", true),
            ("!lib/**", "lib/x", true),
            ("._*", "._", true),
            ("._*", "a/._b", true),
            ("/readme{,.*[^~$]}", "/README", true),
            ("/readme{,.*[^~$]}", "/readme.md", true),
            ("/readme{,.*[^~$]}", "/readme.md~", false),
            ("a?c", "abc", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("build/", "build/", true),
            ("build/", "build", false),
            ("a/../b", "b", true),
            ("\\*x", "*x", true),
            ("a//b", "a/b", true),
            ("{a,b{c,d}}", "bd", true),
            ("{a}", "{a}", true),
            ("[a", "[a", true),
        ] {
            let read = Pattern::new(pattern).unwrap();
            assert_eq!(read.matches(path, false), expected, "{pattern} {path}");
        }
        assert!(Pattern::new("a/b/c").unwrap().matches("a", true));
        assert!(Pattern::new("!!a").is_ok_and(|pattern| !pattern.negated));
        for odd in ["+(a|b)", "{1..3}", "[[:alpha:]]", &"a".repeat(2000)] {
            assert!(Pattern::new(odd).is_err(), "{odd}");
        }
        for (pattern, is_read) in [("{a,b}".repeat(7), true), ("{a,b}".repeat(8), false)] {
            assert_eq!(Pattern::new(&pattern).is_ok(), is_read, "{pattern}");
        }
        // As many ways as there are, each is gone once.
        let (pattern, path) = ("**/a/".repeat(25) + "b", "a/".repeat(60) + "a");
        assert!(!Pattern::new(&pattern).unwrap().matches(&path, false));
    }
}
