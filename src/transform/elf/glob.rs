//! Globs as Python's `fnmatch` has them, for names of libraries and files: `*` is anything, slashes
//! included, `?` one character, `[a-z]` and `[!a-z]` one of, or none of, these.

/// A pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    pattern: Vec<char>,
}

impl Glob {
    /// Every text is a pattern; a bracket that is not closed stands for itself.
    pub fn new(pattern: &str) -> Self {
        Self {
            pattern: pattern.chars().collect(),
        }
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut in_text) = (0, 0);
        // After the last star: where the pattern goes on, and what it has swallowed.
        let mut star: Option<(usize, usize)> = None;
        while let Some(character) = text.get(in_text) {
            match self.one(at, *character) {
                One::Star => {
                    at += 1;
                    star = Some((at, in_text));
                }
                One::Fits(next) => {
                    at = next;
                    in_text += 1;
                }
                One::Differs => match star {
                    Some((after, swallowed)) => {
                        at = after;
                        in_text = swallowed + 1;
                        star = Some((after, in_text));
                    }
                    None => return false,
                },
            }
        }
        self.pattern.iter().skip(at).all(|rest| *rest == '*')
    }

    fn one(&self, at: usize, character: char) -> One {
        let fits = |fits: bool, next: usize| if fits { One::Fits(next) } else { One::Differs };
        match self.pattern.get(at) {
            None => One::Differs,
            Some('*') => One::Star,
            Some('?') => One::Fits(at + 1),
            Some('[') => match self.bracket(at + 1) {
                Some((set, next)) => fits(is_in(set, character), next),
                None => fits(character == '[', at + 1),
            },
            Some(own) => fits(*own == character, at + 1),
        }
    }

    /// What stands between brackets, and where the pattern goes on behind them.
    fn bracket(&self, start: usize) -> Option<(&[char], usize)> {
        let rest = self.pattern.get(start..)?;
        let first = usize::from(rest.first() == Some(&'!')) + 1;
        let len = first + rest.get(first..)?.iter().position(|c| *c == ']')?;
        Some((rest.get(..len)?, start + len + 1))
    }
}

enum One {
    Star,
    Fits(usize),
    Differs,
}

fn is_in(set: &[char], character: char) -> bool {
    let (negated, mut set) = match set {
        ['!', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let mut found = false;
    while !set.is_empty() {
        match set {
            [low, '-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&character);
                set = rest;
            }
            [own, rest @ ..] => {
                found |= *own == character;
                set = rest;
            }
            [] => {}
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_in_pythons_fnmatch() {
        for (pattern, text, fits) in [
            ("libcuda.so.*", "libcuda.so.1", true),
            ("libcuda.so.*", "libcudart.so.1", false),
            ("*", "", true),
            ("*.so", "a/b.so", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
            ("lib?.so", "libz.so", true),
            ("lib?.so", "lib.so", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]]", "]", true),
            ("[!]]", "]", false),
            ("[", "[", true),
            ("a[b", "a[b", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(Glob::new(pattern).matches(text), fits, "{pattern} {text}");
        }
    }
}
