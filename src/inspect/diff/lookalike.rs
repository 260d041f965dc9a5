//! Names that are made to be taken for others.

use std::collections::BTreeMap;

/// Whether two names or hosts differ so little that an eye passes over it: one letter more, less,
/// other, or two exchanged; or only in characters that look alike.
pub fn is_lookalike(one: &str, other: &str) -> bool {
    one != other && (strsim::osa_distance(one, other) == 1 || skeleton(one) == skeleton(other))
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

/// The names among `known` that a new one could be taken for. Short names differ by a letter without
/// anybody meaning it, and families (`@esbuild/linux-x64`, `types-*`) do in their numbers.
pub struct Known<'a> {
    by_length: BTreeMap<usize, Vec<&'a str>>,
}

impl<'a> Known<'a> {
    /// Of these names.
    pub fn new(names: impl Iterator<Item = &'a str>) -> Self {
        let mut by_length: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for name in names.filter(|name| name.len() > 4) {
            by_length.entry(name.len()).or_default().push(name);
        }
        Self { by_length }
    }

    /// The first that a name could be taken for.
    pub fn nearest(&self, name: &str) -> Option<&'a str> {
        let near = name.len().saturating_sub(1)..=name.len() + 1;
        let same_family = |other: &str| {
            let digits = |c: char| c.is_ascii_digit();
            name.replace(digits, "") == other.replace(digits, "")
                || name.split('/').next() == other.split('/').next() && name.contains('/')
        };
        self.by_length
            .range(near)
            .flat_map(|(_, names)| names)
            .copied()
            .filter(|_| name.len() > 4)
            .find(|other| is_lookalike(name, other) && !same_family(other))
    }
}

#[cfg(test)]
mod tests {
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
            assert_eq!(is_lookalike(one, other), alike, "{one} {other}");
        }
        let known = Known::new(["requests", "boto3", "@esbuild/linux-x64"].into_iter());
        assert_eq!(known.nearest("reqeusts"), Some("requests"));
        assert_eq!(known.nearest("boto4"), None);
        assert_eq!(known.nearest("@esbuild/linux-x65"), None);
    }
}
