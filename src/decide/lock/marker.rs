//! Markers (PEP 508), kept and evaluated as they are written. pep508_rs brings whole markers into a normal form, a
//! decision diagram, which may be exponentially larger than the text of a stranger; here it is asked for single
//! comparisons alone.

use std::borrow::Cow;
use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use pep508_rs::{
    ExtraName, ExtraOperator, MarkerEnvironment, MarkerExpression, MarkerTree, MarkerTreeKind,
    MarkerValueExtra,
};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// Longer or deeper ones than any that uv writes could make the reader take for ever, or fall.
const LENGTH: usize = 256 * 1024;
const DEPTH: usize = 64;

/// A marker; without one, what always holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marker(Option<Arc<Written>>);

#[derive(Debug, PartialEq, Eq)]
struct Written {
    text: String,
    /// Nothing where nothing of it can be compared: it always holds then.
    expression: Option<Expression>,
}

/// What a marker says.
#[derive(Debug, PartialEq, Eq)]
pub enum Expression {
    /// One comparison.
    Is(MarkerTree),
    /// Whether an extra is chosen, or is not.
    Extra(ExtraName, bool),
    /// Whether a dependency group is chosen, or is not: of a `pylock.toml` alone.
    Group(ExtraName, bool),
    /// All of these.
    All(Vec<Expression>),
    /// One of these.
    Any(Vec<Expression>),
}

impl Marker {
    /// Whether it holds, where no dependency group is chosen.
    pub fn evaluate(&self, environment: &MarkerEnvironment, extras: &[ExtraName]) -> bool {
        self.holds(Some(environment), extras, &[])
    }

    /// Whether it holds; without an environment, whether it could in any.
    pub fn holds(
        &self,
        environment: Option<&MarkerEnvironment>,
        extras: &[ExtraName],
        groups: &[ExtraName],
    ) -> bool {
        let expression = self.expression();
        expression.is_none_or(|expression| expression.holds(environment, extras, groups))
    }

    /// What it says; nothing where it always holds.
    pub fn expression(&self) -> Option<&Expression> {
        self.0.as_ref()?.expression.as_ref()
    }

    /// Its text as it is written; empty where there is none.
    pub fn as_written(&self) -> &str {
        self.0.as_ref().map_or("", |written| &written.text)
    }

    /// Its normal form, in which two that say the same are one; as long as `effort` lasts, which is what making all of
    /// a lock's may cost. One that asks for groups has none.
    pub fn normal(&self, effort: &mut u64) -> Option<MarkerTree> {
        let comparisons = self.expression().map_or(0, Expression::comparisons);
        let cost = 1_u64.checked_shl(comparisons).unwrap_or(u64::MAX);
        *effort = effort.checked_sub(cost)?;
        self.answered(&|asked| match asked {
            Asked::Extra(extra) => Some(MarkerTree::expression(MarkerExpression::Extra {
                operator: ExtraOperator::Equal,
                name: MarkerValueExtra::Extra(extra.clone()),
            })),
            Asked::Group(_) => None,
        })
    }

    /// Its normal form, where something else says when extras and groups are chosen. None where that does not, or it
    /// would be larger than any that uv writes.
    pub fn answered(&self, answer: &dyn Fn(Asked<'_>) -> Option<MarkerTree>) -> Option<MarkerTree> {
        self.expression()
            .map_or(Some(MarkerTree::TRUE), |all| all.answered(answer))
    }
}

/// What a marker asks that no environment answers.
#[derive(Debug, Clone, Copy)]
pub enum Asked<'a> {
    /// Whether an extra is chosen.
    Extra(&'a ExtraName),
    /// Whether a dependency group is.
    Group(&'a ExtraName),
}

/// Where both hold, unless that is larger than any that uv writes.
pub fn both(mut one: MarkerTree, other: MarkerTree) -> Option<MarkerTree> {
    one.and(other);
    is_small(&one).then_some(one)
}

/// Where either holds, unless that is larger than any that uv writes.
pub fn either(mut one: MarkerTree, other: MarkerTree) -> Option<MarkerTree> {
    one.or(other);
    is_small(&one).then_some(one)
}

/// Joins expressions by halves: one after the other they would make as many trees, each larger than the last.
fn joined(
    all: &[Expression],
    answer: &dyn Fn(Asked<'_>) -> Option<MarkerTree>,
    join: fn(MarkerTree, MarkerTree) -> Option<MarkerTree>,
) -> Option<MarkerTree> {
    match all {
        [] => None,
        [one] => one.answered(answer),
        all => {
            let (one, other) = all.split_at(all.len() / 2);
            join(joined(one, answer, join)?, joined(other, answer, join)?)
        }
    }
}

/// More ways in which a marker may hold than uv ever writes down.
const WAYS: u64 = 1 << 11;

/// Whether a normal form can be worked with and written down.
fn is_small(tree: &MarkerTree) -> bool {
    fn ways(tree: &MarkerTree, known: &mut HashMap<MarkerTree, u64>) -> u64 {
        if let Some(known) = known.get(tree) {
            return *known;
        }
        let mut sum = |all: &mut dyn Iterator<Item = MarkerTree>| {
            all.map(|one| ways(&one, known))
                .fold(0, u64::saturating_add)
        };
        let all = match tree.kind() {
            MarkerTreeKind::True => 1,
            MarkerTreeKind::False => 0,
            MarkerTreeKind::Version(of) => sum(&mut of.edges().map(|(_, one)| one)),
            MarkerTreeKind::String(of) => sum(&mut of.children().map(|(_, one)| one)),
            MarkerTreeKind::In(of) => sum(&mut of.children().map(|(_, one)| one)),
            MarkerTreeKind::Contains(of) => sum(&mut of.children().map(|(_, one)| one)),
            MarkerTreeKind::Extra(of) => sum(&mut of.children().map(|(_, one)| one)),
        };
        known.insert(tree.clone(), all);
        all
    }
    ways(tree, &mut HashMap::new()) <= WAYS
}

/// What is spent on the normal forms of one lock's markers; more than any that uv writes needs.
pub const EFFORT: u64 = 1 << 20;

impl Expression {
    fn holds(
        &self,
        environment: Option<&MarkerEnvironment>,
        extras: &[ExtraName],
        groups: &[ExtraName],
    ) -> bool {
        let holds = |one: &Self| one.holds(environment, extras, groups);
        match self {
            Self::Is(one) => environment.is_none_or(|known| one.evaluate(known, &[])),
            Self::Extra(extra, chosen) => extras.contains(extra) == *chosen,
            Self::Group(group, chosen) => groups.contains(group) == *chosen,
            Self::All(all) => all.iter().all(holds),
            Self::Any(all) => all.iter().any(holds),
        }
    }

    fn comparisons(&self) -> u32 {
        match self {
            Self::Is(_) | Self::Extra(..) | Self::Group(..) => 1,
            Self::All(all) | Self::Any(all) => {
                let counts = all.iter().map(Self::comparisons);
                counts.fold(0, u32::saturating_add)
            }
        }
    }

    fn answered(&self, answer: &dyn Fn(Asked<'_>) -> Option<MarkerTree>) -> Option<MarkerTree> {
        let asked = |asked, chosen: bool| {
            let tree = answer(asked)?;
            Some(if chosen { tree } else { tree.negate() })
        };
        match self {
            Self::Is(one) => Some(one.clone()),
            Self::Extra(extra, chosen) => asked(Asked::Extra(extra), *chosen),
            Self::Group(group, chosen) => asked(Asked::Group(group), *chosen),
            Self::All(all) => joined(all, answer, both),
            Self::Any(all) => joined(all, answer, either),
        }
    }

    fn of(comparison: MarkerExpression) -> Self {
        match comparison {
            MarkerExpression::Extra {
                operator,
                name: MarkerValueExtra::Extra(extra),
            } => Self::Extra(extra, operator == ExtraOperator::Equal),
            other => Self::Is(MarkerTree::expression(other)),
        }
    }
}

impl FromStr for Marker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > LENGTH {
            return Err("a marker that is longer than uv ever writes".into());
        }
        let mut reader = Reader { text, at: 0 };
        let expression = reader.any(0)?;
        match reader.rest() {
            "" => Ok(Self(Some(Arc::new(Written {
                text: text.to_owned(),
                expression,
            })))),
            rest => Err(format!(
                "`{}` where a marker goes on with `and` or `or`, or ends",
                first(rest)
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Marker {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<str>::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

/// A marker's text, and how far it has been read. Comparisons that pep508_rs has no use for are passed over, as it does.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn any(&mut self, depth: usize) -> Result<Option<Expression>, String> {
        let all = self.joined("or", |reader| {
            let all = reader.joined("and", |reader| reader.one(depth))?;
            Ok(one_of(all, Expression::All))
        })?;
        Ok(one_of(all, Expression::Any))
    }

    fn joined(
        &mut self,
        word: &str,
        mut read: impl FnMut(&mut Self) -> Result<Option<Expression>, String>,
    ) -> Result<Vec<Expression>, String> {
        let mut all = Vec::new();
        loop {
            all.extend(read(self)?);
            let rest = self.rest();
            let next = rest.split(char::is_whitespace).next().unwrap_or_default();
            if next != word {
                return Ok(all);
            }
            self.at += word.len();
        }
    }

    fn one(&mut self, depth: usize) -> Result<Option<Expression>, String> {
        if !self.rest().starts_with('(') {
            let comparison = self.comparison();
            if let Some(membership) = membership(comparison) {
                return membership.map(Some);
            }
            let read = MarkerExpression::from_str(comparison).map_err(|error| error.to_string())?;
            return Ok(read.map(Expression::of));
        }
        if depth == DEPTH {
            return Err("a marker that is deeper than uv ever writes".into());
        }
        self.at += 1;
        let inner = self.any(depth + 1)?;
        match self.rest() {
            rest if rest.starts_with(')') => self.at += 1,
            rest => {
                return Err(format!(
                    "`{}` where a parenthesis is to be closed",
                    first(rest)
                ));
            }
        }
        Ok(inner)
    }

    /// `sys_platform == 'linux'`: a value, what compares it, and another value.
    fn comparison(&mut self) -> &'a str {
        self.rest();
        let from = self.at;
        self.value();
        let operator = self.rest();
        let is_mark = |c: char| matches!(c, '<' | '=' | '>' | '~' | '!');
        if operator.starts_with(is_mark) {
            self.at += operator.find(|c| !is_mark(c)).unwrap_or(operator.len());
        } else {
            for word in ["not", "in"] {
                if self.rest().starts_with(word) {
                    self.at += word.len();
                }
            }
        }
        self.value();
        self.text.get(from..self.at).unwrap_or_default()
    }

    fn value(&mut self) {
        let rest = self.rest();
        let quoted = rest.strip_prefix(['\'', '"']);
        self.at += match (quoted, rest.chars().next()) {
            (Some(inside), Some(mark)) => inside.find(mark).map_or(rest.len(), |end| end + 2),
            _ => {
                let is_end = |c: char| c.is_whitespace() || "><=!~)".contains(c);
                rest.find(is_end).unwrap_or(rest.len())
            }
        };
    }

    /// What is still to be read, from where something stands.
    fn rest(&mut self) -> &'a str {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed
    }
}

/// `'x' in extras` and `'x' not in dependency_groups`, which PEP 751 has and PEP 508 has not.
fn membership(comparison: &str) -> Option<Result<Expression, String>> {
    let (rest, set) = comparison.trim_end().rsplit_once(char::is_whitespace)?;
    let of = match set {
        "extras" => Expression::Extra,
        "dependency_groups" => Expression::Group,
        _ => return None,
    };
    let rest = rest.trim_end().strip_suffix("in")?.trim_end();
    let (name, chosen) = match rest.strip_suffix("not") {
        Some(name) => (name.trim_end(), false),
        None => (rest, true),
    };
    let name = name.strip_prefix(['\'', '"'])?.strip_suffix(['\'', '"'])?;
    let name = ExtraName::from_str(name).map_err(|error| error.to_string());
    Some(name.map(|name| of(name, chosen)))
}

fn one_of(mut all: Vec<Expression>, join: fn(Vec<Expression>) -> Expression) -> Option<Expression> {
    match all.len() {
        0 | 1 => all.pop(),
        _ => Some(join(all)),
    }
}

/// The beginning of a text, in messages.
fn first(text: &str) -> String {
    let word = text.split(char::is_whitespace).next().unwrap_or_default();
    word.chars().take(40).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::target::PythonTarget;

    /// Comparisons that hold or not on the target below, and some that pep508_rs passes over or refuses.
    const COMPARISONS: [&str; 14] = [
        "sys_platform == 'linux'",
        "'linux' != sys_platform",
        "python_full_version >= '3.12'",
        "python_version in '3.11 3.14'",
        "platform_machine not in 'x86_64 arm64'",
        "'86' in platform_machine",
        "extra == 'one'",
        "extra != 'two'",
        "'three' == extra",
        "os_name=='posix'",
        "os_name == sys_platform",
        "python_version ~= 'word'",
        "implementation_name > 'a or b) and \"c'",
        "platform_version is 'x'",
    ];

    fn marker() -> impl Strategy<Value = String> {
        let one = prop::sample::select(COMPARISONS.to_vec()).prop_map(str::to_owned);
        one.prop_recursive(4, 24, 4, |inner| {
            let words = prop::sample::select(vec![" and ", " or ", "  and\t", " or", " nor "]);
            (prop::collection::vec(inner, 1..4), words, any::<bool>()).prop_map(
                |(all, word, closed)| match closed {
                    true => format!("({})", all.join(word)),
                    false => all.join(word),
                },
            )
        })
    }

    proptest! {
        #[test]
        fn it_is_read_and_evaluated_as_pep508_rs_does(text in marker()) {
            let target = PythonTarget::named("3.14", "x86_64-manylinux_2_28".parse().unwrap()).unwrap();
            let theirs = MarkerTree::from_str(&text);
            let ours = Marker::from_str(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", text, ours, theirs);
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                for extras in [&[][..], &["one"], &["two", "three"]] {
                    let extras: Vec<ExtraName> = extras.iter().map(|name| name.parse().unwrap()).collect();
                    prop_assert_eq!(
                        ours.evaluate(&target.markers, &extras),
                        theirs.evaluate(&target.markers, &extras),
                        "{}", text
                    );
                }
                prop_assert_eq!(ours.normal(&mut { u64::MAX }), Some(theirs));
            }
        }
    }

    #[test]
    fn it_asks_for_extras_and_groups_as_a_pylock_does() {
        let names = |names: &[&str]| -> Vec<ExtraName> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        for (text, extras, groups, holds) in [
            ("'a' in extras", &["a"][..], &[][..], true),
            ("\"A\"  in extras", &["a"], &[], true),
            ("'a' in extras", &[], &["a"], false),
            ("'a' not in extras", &[], &["a"], true),
            ("'dev'in dependency_groups", &[], &["dev"], true),
            (
                "'dev' not in dependency_groups or 'b' in extras",
                &["a"],
                &["dev"],
                false,
            ),
            (
                "sys_platform == 'win32' and 'a' in extras",
                &["a"],
                &[],
                true,
            ),
        ] {
            let marker = Marker::from_str(text).unwrap();
            assert_eq!(
                marker.holds(None, &names(extras), &names(groups)),
                holds,
                "{text}"
            );
        }
        for text in ["a in extras", "'a' == extras", "extras in 'a'"] {
            assert!(Marker::from_str(text).is_err(), "{text}");
        }
        let group = Marker::from_str("'dev' in dependency_groups").unwrap();
        assert_eq!(group.normal(&mut { u64::MAX }), None);
    }

    #[test]
    fn what_has_no_end_is_refused() {
        for text in [
            "",
            "(",
            "os_name == 'x",
            "os_name ==",
            "os_name == 'x')",
            "os_name == 'x' and",
            "and",
            "not",
        ] {
            assert!(Marker::from_str(text).is_err(), "{text}");
            assert!(MarkerTree::from_str(text).is_err(), "{text}");
        }
        let deep = format!(
            "{}os_name == 'x'{}",
            "(".repeat(100_000),
            ")".repeat(100_000)
        );
        assert!(Marker::from_str(&deep).unwrap_err().contains("deeper"));
    }
}
