//! Names that are made to be taken for others.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Longer names than any registry has, or any host, are not looked at: nobody reads them.
const LONGEST: usize = 255;

/// Names or hosts among which others are looked for that could be taken for them. To hold each against each would take
/// minutes for a large lock: they are found by what is left of them.
#[derive(Default)]
pub struct Known<'a> {
    /// By each, whole, and without one of its letters: two that differ in a letter, or by two that are exchanged, have
    /// one of these in common.
    by_rest: HashMap<u64, Vec<&'a str>>,
    by_skeleton: HashMap<String, Vec<&'a str>>,
}

impl<'a> Known<'a> {
    /// Of these names.
    pub fn new(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut all = Self::default();
        for name in names.into_iter().filter(|name| name.len() <= LONGEST) {
            for rest in rests(name) {
                all.by_rest.entry(rest).or_default().push(name);
            }
            all.by_skeleton
                .entry(skeleton(name))
                .or_default()
                .push(name);
        }
        all
    }

    /// The shortest, and of these the first, that differs so little that an eye passes over it: by one letter more,
    /// less, other, or by two that are exchanged; or only in characters that look alike. It must be one that `counts`.
    pub fn alike(&self, name: &str, counts: impl Fn(&str) -> bool) -> Option<&'a str> {
        if name.len() > LONGEST {
            return None;
        }
        let by_rest = rests(name).filter_map(|rest| self.by_rest.get(&rest));
        let by_skeleton = self.by_skeleton.get(&skeleton(name));
        by_rest
            .flatten()
            .filter(|other| is_one_off(name, other))
            .chain(by_skeleton.into_iter().flatten())
            .copied()
            .filter(|other| *other != name && counts(other))
            .min_by_key(|other| (other.len(), *other))
    }

    /// The first package that a new one's name could be taken for. Short names differ by a letter without anybody meaning
    /// it, and families (`@esbuild/linux-x64`, `types-*`) do in their numbers.
    pub fn package(&self, name: &str) -> Option<&'a str> {
        let is_of_family = |other: &str| {
            let digits = |c: char| c.is_ascii_digit();
            name.replace(digits, "") == other.replace(digits, "")
                || name.split('/').next() == other.split('/').next() && name.contains('/')
        };
        let counts = |other: &str| other.len() > 4 && !is_of_family(other);
        (name.len() > 4).then(|| self.alike(name, counts))?
    }
}

/// What stands for a name, whole and without each of its letters.
fn rests(name: &str) -> impl Iterator<Item = u64> {
    let hash = |rest: &str| {
        let mut hasher = DefaultHasher::new();
        rest.hash(&mut hasher);
        hasher.finish()
    };
    let mut buffer = String::with_capacity(name.len());
    let without = name.char_indices().map(move |(at, c)| {
        buffer.clear();
        buffer.push_str(name.get(..at).unwrap_or_default());
        buffer.push_str(name.get(at + c.len_utf8()..).unwrap_or_default());
        hash(&buffer)
    });
    std::iter::once(hash(name)).chain(without)
}

/// Whether two differ in one letter more, less or other, or by two neighbours that are exchanged.
fn is_one_off(one: &str, other: &str) -> bool {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let from: usize = same.map(|(a, _)| a.len_utf8()).sum();
    let rest = |name: &str, from: usize| name.get(from..).unwrap_or_default().to_owned();
    let (one, other) = (rest(one, from), rest(other, from));
    let first = |name: &str| name.chars().next().map_or(0, char::len_utf8);
    let (one_less, other_less) = (rest(&one, first(&one)), rest(&other, first(&other)));
    let exchanged = || {
        let mut letters: Vec<char> = one.chars().collect();
        letters.len() > 1 && {
            letters.swap(0, 1);
            letters.into_iter().eq(other.chars())
        }
    };
    one != other
        && (one_less == other_less || one_less == other || one == other_less || exchanged())
}

/// What is left of a name when signs that look alike are made one.
fn skeleton(name: &str) -> String {
    let plain: String = name
        .chars()
        .filter(|c| !matches!(c, '-' | '_' | '.'))
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            '0' => 'o',
            '1' | 'i' => 'l',
            '5' => 's',
            c => c,
        })
        .collect();
    plain.replace("rn", "m").replace("vv", "w")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_letter_makes_a_lookalike() {
        for (one, other, alike) in [
            ("files.pypi.example", "files.pypl.example", true),
            ("files.pypi.example", "flies.pypi.example", true),
            ("registry.npm.example", "registry.nprn.example", true),
            ("requests", "requests", false),
            ("requests", "urllib3", false),
        ] {
            let found = Known::new([one]).alike(other, |_| true);
            assert_eq!(found.is_some(), alike, "{one} {other}");
        }
        let known = Known::new(["requests", "boto3", "@esbuild/linux-x64"]);
        assert_eq!(known.package("reqeusts"), Some("requests"));
        assert_eq!(known.package("boto4"), None);
        assert_eq!(known.package("@esbuild/linux-x65"), None);
        assert_eq!(Known::new(["abcd"]).package("abce"), None);
    }

    proptest! {
        /// strsim counts the letters; each against each, the first of the shortest.
        #[test]
        fn they_are_those_that_each_against_each_finds(
            names in proptest::collection::btree_set("[abé0o-]{0,5}", 0..12),
            name in "[abé0o-]{0,5}",
        ) {
            let is_alike = |other: &&str| {
                *other != name
                    && (strsim::osa_distance(&name, other) == 1 || skeleton(&name) == skeleton(other))
            };
            let mut each: Vec<&str> = names.iter().map(String::as_str).filter(is_alike).collect();
            each.sort_by_key(|other| (other.len(), *other));
            let found = Known::new(names.iter().map(String::as_str)).alike(&name, |_| true);
            prop_assert_eq!(found, each.first().copied());
        }
    }
}
