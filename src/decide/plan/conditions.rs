//! Conditions on which extras are chosen, in a form in which equal ones are equal: an ordered decision diagram, whose
//! size is bounded, since a stranger's markers can make it exponential.

use std::collections::HashMap;

use pep508_rs::{ExtraName, MarkerEnvironment};

use crate::decide::lock::marker::{Expression, Marker};

/// More than any lock of uv's comes near.
const LARGEST: usize = 1 << 19;
const MOST_EXTRAS: usize = 1 << 10;

/// A condition, which belongs to one [`Conditions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Condition(usize);

/// Never.
pub(super) const NEVER: Condition = Condition(0);
/// Always.
pub(super) const ALWAYS: Condition = Condition(1);

/// The conditions are larger than any that uv writes.
#[derive(Debug)]
pub(super) struct TooLarge;

/// The conditions of one lock on one target.
pub(super) struct Conditions<'a> {
    environment: &'a MarkerEnvironment,
    /// The extras that are asked for, in the order in which they are asked.
    extras: HashMap<&'a ExtraName, usize>,
    names: Vec<&'a ExtraName>,
    /// Which extra decides, and what holds without and with it.
    nodes: Vec<(usize, Condition, Condition)>,
    known: HashMap<(usize, Condition, Condition), Condition>,
    joined: HashMap<(bool, Condition, Condition), Condition>,
}

impl<'a> Conditions<'a> {
    pub(super) fn new(environment: &'a MarkerEnvironment) -> Self {
        let end = (usize::MAX, NEVER, NEVER);
        Self {
            environment,
            extras: HashMap::new(),
            names: Vec::new(),
            nodes: vec![end, end],
            known: HashMap::new(),
            joined: HashMap::new(),
        }
    }

    /// What a marker comes to in this environment.
    pub(super) fn of(&mut self, marker: &'a Marker) -> Result<Condition, TooLarge> {
        marker
            .expression()
            .map_or(Ok(ALWAYS), |expression| self.read(expression))
    }

    fn read(&mut self, expression: &'a Expression) -> Result<Condition, TooLarge> {
        match expression {
            Expression::Is(one) => Ok(match one.evaluate(self.environment, &[]) {
                true => ALWAYS,
                false => NEVER,
            }),
            Expression::Extra(extra, chosen) => {
                let next = self.names.len();
                let decides = *self.extras.entry(extra).or_insert(next);
                if decides == next {
                    self.names.push(extra);
                }
                match (next < MOST_EXTRAS, chosen) {
                    (false, _) => Err(TooLarge),
                    (_, true) => self.node(decides, NEVER, ALWAYS),
                    (_, false) => self.node(decides, ALWAYS, NEVER),
                }
            }
            // A uv.lock has none.
            Expression::Group(_, chosen) => Ok(match chosen {
                true => NEVER,
                false => ALWAYS,
            }),
            Expression::All(all) => all.iter().try_fold(ALWAYS, |known, one| {
                let one = self.read(one)?;
                self.all(known, one)
            }),
            Expression::Any(all) => all.iter().try_fold(NEVER, |known, one| {
                let one = self.read(one)?;
                self.any(known, one)
            }),
        }
    }

    fn node(
        &mut self,
        decides: usize,
        without: Condition,
        with: Condition,
    ) -> Result<Condition, TooLarge> {
        if without == with {
            return Ok(with);
        }
        let node = (decides, without, with);
        if let Some(known) = self.known.get(&node) {
            return Ok(*known);
        }
        let new = Condition(self.nodes.len());
        self.nodes.push(node);
        self.known.insert(node, new);
        match self.nodes.len() + self.joined.len() > LARGEST {
            true => Err(TooLarge),
            false => Ok(new),
        }
    }

    pub(super) fn all(&mut self, one: Condition, other: Condition) -> Result<Condition, TooLarge> {
        self.join(true, one, other)
    }

    pub(super) fn any(&mut self, one: Condition, other: Condition) -> Result<Condition, TooLarge> {
        self.join(false, one, other)
    }

    fn join(
        &mut self,
        is_all: bool,
        one: Condition,
        other: Condition,
    ) -> Result<Condition, TooLarge> {
        let (decided, passed) = match is_all {
            true => (NEVER, ALWAYS),
            false => (ALWAYS, NEVER),
        };
        if one == decided || other == decided {
            return Ok(decided);
        }
        if one == passed || one == other {
            return Ok(other);
        }
        if other == passed {
            return Ok(one);
        }
        let key = (is_all, one.min(other), one.max(other));
        if let Some(known) = self.joined.get(&key) {
            return Ok(*known);
        }
        let end = (usize::MAX, one, other);
        let at = |condition: Condition| self.nodes.get(condition.0).copied().unwrap_or(end);
        let (first, second) = (at(one), at(other));
        let decides = first.0.min(second.0);
        let halves = |node: (usize, Condition, Condition), whole| match node.0 == decides {
            true => (node.1, node.2),
            false => (whole, whole),
        };
        let (first, second) = (halves(first, one), halves(second, other));
        let without = self.join(is_all, first.0, second.0)?;
        let with = self.join(is_all, first.1, second.1)?;
        let joined = self.node(decides, without, with)?;
        self.joined.insert(key, joined);
        Ok(joined)
    }

    /// Whether a condition holds with these extras.
    pub(super) fn holds(
        &self,
        mut condition: Condition,
        is_chosen: impl Fn(&ExtraName) -> bool,
    ) -> bool {
        while let Some(&(decides, without, with)) = self.nodes.get(condition.0)
            && let Some(extra) = self.names.get(decides)
        {
            condition = match is_chosen(extra) {
                true => with,
                false => without,
            };
        }
        condition == ALWAYS
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::decide::target::PythonTarget;

    #[test]
    fn equal_conditions_are_one_and_exploding_ones_are_refused() {
        let platform = "x86_64-manylinux_2_28".parse().unwrap();
        let target = PythonTarget::named("3.14", platform).unwrap();
        let read = |text: &str| text.parse::<Marker>().unwrap();
        let (one, same, other) = (
            read("(extra == 'a' or extra == 'b') and sys_platform == 'linux'"),
            read("extra == 'b' or (extra == 'a' and os_name == 'posix')"),
            read("extra == 'a' and extra != 'b'"),
        );
        let mut all = Conditions::new(&target.markers);
        let (one, same, other) = (
            all.of(&one).unwrap(),
            all.of(&same).unwrap(),
            all.of(&other).unwrap(),
        );
        assert!(one == same && one != other);
        let chosen =
            |names: &'static [&str]| move |extra: &ExtraName| names.contains(&extra.as_ref());
        assert!(
            all.holds(one, chosen(&["b"]))
                && !all.holds(other, chosen(&["a", "b"]))
                && all.holds(other, chosen(&["a"]))
        );
        let both = all.all(one, other).unwrap();
        assert_eq!(both, other);
        let pairs = (0..40).map(|i| format!("(extra == 'a{i}' and extra == 'b{i}')"));
        let first = (0..40).map(|i| format!("extra != 'a{i}'"));
        let first = read(&first.collect::<Vec<_>>().join(" or "));
        let pairs = read(&pairs.collect::<Vec<_>>().join(" or "));
        all.of(&first).unwrap();
        assert!(all.of(&pairs).is_err());
    }
}
