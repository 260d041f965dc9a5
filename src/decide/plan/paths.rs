//! Who first asked for what: each step is kept once, and the path of requirements that leads to something is put
//! together when it is shown.

use std::collections::BTreeMap;

/// Longer paths are shown with their beginning and their end.
const LONGEST: usize = 24;

/// The steps, by what they lead to.
#[derive(Debug)]
pub struct Paths<K>(BTreeMap<K, Step<K>>);

#[derive(Debug)]
struct Step<K> {
    from: Option<K>,
    /// Where the path begins, and how many steps before this one.
    root: K,
    before: usize,
    shown: String,
}

impl<K> Default for Paths<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy> Paths<K> {
    /// Notes who asks for something, and how that is shown; whether it is the first who does.
    pub fn enter(&mut self, what: K, from: Option<K>, shown: impl FnOnce() -> String) -> bool {
        if self.0.contains_key(&what) {
            return false;
        }
        let above = from.and_then(|from| self.0.get(&from));
        let (root, before) = above.map_or((what, 0), |above| (above.root, above.before + 1));
        let from = from.filter(|_| before > 0);
        let step = Step {
            from,
            root,
            before,
            shown: shown(),
        };
        self.0.insert(what, step);
        true
    }

    /// All that was asked for, in order.
    pub fn all(&self) -> impl Iterator<Item = K> {
        self.0.keys().copied()
    }

    /// The path to something, the root first, itself last.
    pub fn to(&self, what: K) -> Vec<String> {
        let Some(last) = self.0.get(&what) else {
            return Vec::new();
        };
        let is_cut = last.before >= LONGEST;
        let count = if is_cut { LONGEST - 2 } else { last.before + 1 };
        let mut path: Vec<String> =
            std::iter::successors(Some(last), |step| self.0.get(&step.from?))
                .take(count)
                .map(|step| step.shown.clone())
                .collect();
        if is_cut {
            path.push(format!("… {} more …", last.before - count));
            path.extend(self.0.get(&last.root).map(|root| root.shown.clone()));
        }
        path.reverse();
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_paths_keep_their_ends() {
        let mut paths = Paths::default();
        for number in 0..100_usize {
            assert!(paths.enter(number, number.checked_sub(1), || format!("p{number}")));
        }
        assert!(!paths.enter(7, Some(99), String::new));
        assert_eq!(paths.to(2), ["p0", "p1", "p2"]);
        assert_eq!(paths.to(23).len(), 24);
        let long = paths.to(99);
        assert_eq!(long.len(), 24);
        assert_eq!(long.first().map(String::as_str), Some("p0"));
        assert_eq!(long.get(1).map(String::as_str), Some("… 77 more …"));
        assert_eq!(long.get(2).map(String::as_str), Some("p78"));
        assert_eq!(long.last().map(String::as_str), Some("p99"));
    }
}
