//! Requirements as a stranger writes them (PEP 508).
//!
//! pep508_rs reads what is asked for, and [`Marker`] when: a marker's normal form may be exponentially larger than its
//! text, so it is made only where it is asked for, and only up to a size.

use pep508_rs::{
    ExtraName, ExtraOperator, MarkerExpression, MarkerTree, MarkerValueExtra, PackageName,
    Requirement, VerbatimUrl, VersionOrUrl,
};

use super::marker::{Marker, both};

/// A requirement, and when it counts.
#[derive(Debug, Clone)]
pub struct Needed {
    /// The package.
    pub name: PackageName,
    /// The extras that are wanted of it.
    pub extras: Vec<ExtraName>,
    /// Which versions of it, or where it comes from; nothing where any will do.
    pub what: Option<VersionOrUrl<VerbatimUrl>>,
    /// When it counts.
    pub marker: Marker,
}

/// A requirement; nothing where the text is none.
pub fn requirement(text: &str) -> Option<Needed> {
    let (what, marker) = match marker_at(text) {
        None => (text, Marker::default()),
        Some(at) => {
            let (what, marker) = text.split_at(at);
            (what, marker.strip_prefix(';')?.parse().ok()?)
        }
    };
    if !has_names(what) {
        return None;
    }
    let Requirement {
        name,
        extras,
        version_or_url,
        ..
    } = what.parse().ok()?;
    Some(Needed {
        name,
        extras,
        what: version_or_url,
        marker,
    })
}

/// Whether what should be names are: pep508_rs would end the program for those of another end, as `a_>=1`.
fn has_names(what: &str) -> bool {
    let what = what.trim_start();
    let end = what.find(|c: char| !(c.is_ascii_alphanumeric() || "._-".contains(c)));
    let (name, rest) = what.split_at(end.unwrap_or(what.len()));
    let extras = rest.trim_start().strip_prefix('[');
    let extras = extras.map_or("", |rest| rest.split(']').next().unwrap_or(rest));
    let mut extras = extras
        .split(',')
        .map(str::trim)
        .filter(|extra| !extra.is_empty());
    name.parse::<PackageName>().is_ok() && extras.all(|extra| extra.parse::<ExtraName>().is_ok())
}

/// Where the semicolon before the marker is: the first; behind an URL, which may have some of its own, the first behind
/// a space.
fn marker_at(text: &str) -> Option<usize> {
    let first = text.find(';')?;
    if !text.get(..first)?.contains('@') {
        return Some(first);
    }
    let mut all = text.match_indices(';').map(|(at, _)| at);
    all.find(|at| (text.get(..*at)).is_some_and(|before| before.ends_with(char::is_whitespace)))
}

impl Needed {
    /// When it counts, in normal form: `extra` is the one that it is stated below. Nothing where that is larger than any
    /// that uv writes, or takes more than is left of `effort`.
    pub fn normal_marker(&self, extra: Option<&ExtraName>, effort: &mut u64) -> Option<MarkerTree> {
        let marker = self.marker.normal(effort)?;
        match extra {
            None => Some(marker),
            Some(extra) => both(
                marker,
                MarkerTree::expression(MarkerExpression::Extra {
                    operator: ExtraOperator::Equal,
                    name: MarkerValueExtra::Extra(extra.clone()),
                }),
            ),
        }
    }

    /// The requirement in normal form; nothing where its marker has none, as above.
    pub fn normal(
        self,
        extra: Option<&ExtraName>,
        effort: &mut u64,
    ) -> Option<Requirement<VerbatimUrl>> {
        Some(Requirement {
            marker: self.normal_marker(extra, effort)?,
            name: self.name,
            extras: self.extras,
            version_or_url: self.what,
            origin: None,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::decide::lock::marker::EFFORT;

    #[test]
    fn letters_of_other_kinds_end_nothing() {
        let odd = "os_name == 'posix' \u{696}\u{696} os_name == 'nt'";
        assert!(requirement(&format!("a>=1; {odd}")).is_none());
        assert!(requirement("a @ file:///\u{e4}/a.whl").is_some());
        for odd in [
            "a_>=1",
            "a-",
            "a. ; os_name == 'posix'",
            "a[b_]",
            "a[b, c-]>=1",
            "_a",
            "a[_b]",
        ] {
            assert!(requirement(odd).is_none(), "{odd}");
        }
        let found = requirement("a[b]>=1 ; os_name == 'posix'").unwrap();
        assert_eq!(found.name.to_string(), "a");
        assert_eq!(found.marker.as_written(), " os_name == 'posix'");
    }

    /// Each pair asks for two extras that the first part has put far from each other: the normal form has a way for
    /// each choice among all of the first ones.
    #[test]
    fn a_marker_with_an_enormous_normal_form_is_read_and_has_none() {
        let each =
            |what: &dyn Fn(u32) -> String, by| (0..30).map(what).collect::<Vec<_>>().join(by);
        let first = each(&|number| format!("extra == 'a{number}'"), " and ");
        let pair = |number| format!("(extra == 'a{number}' and extra == 'b{number}')");
        let pairs = each(&pair, " or ");
        let found = requirement(&format!("x; {first} or {pairs}")).unwrap();
        let chosen: Vec<ExtraName> = ["a7", "b7"]
            .iter()
            .map(|one| one.parse().unwrap())
            .collect();
        assert!(found.marker.holds(None, &chosen, &[]));
        assert!(!found.marker.holds(None, &chosen[..1], &[]));
        assert_eq!(found.normal(None, &mut { EFFORT }), None);
    }

    fn piece() -> impl Strategy<Value = &'static str> {
        proptest::sample::select(vec![
            "a",
            "A.b_c",
            "[b]",
            "[]",
            "[b,c]",
            "@",
            " @ ",
            "https://h.example/a;b",
            "file:///a",
            "#c=d",
            ">=1",
            "==1.*",
            "~=2",
            "===1",
            "(<3)",
            "(",
            ")",
            ",",
            ";",
            " ;",
            "; ",
            " ; ",
            "\n",
            " ",
            "#",
            " # ",
            "os_name=='posix'",
            "extra == 'x'",
            " and ",
            " or ",
            "python_version",
            "'",
            "\"",
        ])
    }

    proptest! {
        /// What pep508_rs takes is taken, and what it refuses is refused.
        #[test]
        fn it_is_read_as_pep508_rs_does(pieces in proptest::collection::vec(piece(), 1..9)) {
            let text = format!("a{}", pieces.concat());
            let theirs = text.parse::<Requirement<VerbatimUrl>>().ok();
            let ours = requirement(&text).map(|ours| ours.normal(None, &mut { EFFORT }).unwrap());
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
