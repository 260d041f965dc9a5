//! Licences as SPDX has them (<https://spdx.org/licenses/>, expressions by Annex D of the
//! specification), whatever words a package states them in.
//!
//! Packages of one project say `MIT License` in one release and `MIT` in the next; classifiers of
//! Python's name families (`BSD License`) of which an expression names one. Neither is a change.

use spdx::{Expression, LicenseReq};

/// What a package states.
#[derive(Debug, Clone)]
pub struct Licence {
    said: String,
    meant: Meant,
}

#[derive(Debug, Clone)]
enum Meant {
    Spdx(Expression),
    /// One of a family, and which is not said.
    Family(&'static Family),
    /// Words that name no licence that SPDX knows.
    Words,
}

/// Licences that are stated by a common name.
#[derive(Debug, PartialEq, Eq)]
struct Family {
    /// How their identifiers begin.
    prefixes: &'static [&'static str],
    /// The ones that are meant, as a rule.
    usual: &'static [&'static str],
}

const BSD: Family = Family {
    prefixes: &["BSD-", "0BSD"],
    usual: &["BSD-2-Clause", "BSD-3-Clause"],
};
const APACHE: Family = Family {
    prefixes: &["Apache-"],
    usual: &["Apache-2.0"],
};
const GPL: Family = Family {
    prefixes: &["GPL-"],
    usual: &["GPL-2.0-only", "GPL-3.0-only"],
};
const LGPL: Family = Family {
    prefixes: &["LGPL-"],
    usual: &["LGPL-2.1-only", "LGPL-3.0-only"],
};
const AGPL: Family = Family {
    prefixes: &["AGPL-"],
    usual: &["AGPL-3.0-only"],
};
const MPL: Family = Family {
    prefixes: &["MPL-"],
    usual: &["MPL-2.0"],
};
const PYTHON: Family = Family {
    prefixes: &["PSF-", "Python-", "CNRI-Python"],
    usual: &["PSF-2.0"],
};
const PUBLIC: Family = Family {
    prefixes: &[
        "CC0-1.0",
        "Unlicense",
        "CC-PDDC",
        "LicenseRef-Public-Domain",
    ],
    usual: &["CC0-1.0", "Unlicense"],
};

/// Common names of families, as [`plain`] has them.
const FAMILIES: &[(&str, &Family)] = &[
    ("bsd", &BSD),
    ("new bsd", &BSD),
    ("modified bsd", &BSD),
    ("bsd style", &BSD),
    ("apache", &APACHE),
    ("apache software", &APACHE),
    ("gpl", &GPL),
    ("gnu gpl", &GPL),
    ("gnu general public (gpl)", &GPL),
    ("gnu general public", &GPL),
    ("lgpl", &LGPL),
    ("gnu lgpl", &LGPL),
    ("gnu library or lesser general public (lgpl)", &LGPL),
    ("agpl", &AGPL),
    ("mpl", &MPL),
    ("psf", &PYTHON),
    ("python", &PYTHON),
    ("python software foundation", &PYTHON),
    ("public domain", &PUBLIC),
];

/// Common names of single licences, as [`plain`] has them: those of Python's trove classifiers (PEP 301),
/// and what stands beside them in METADATA.
const NAMES: &[(&str, &str)] = &[
    ("mit", "MIT"),
    ("expat", "MIT"),
    ("mit no attribution (mit-0)", "MIT-0"),
    ("isc", "ISC"),
    ("isc (iscl)", "ISC"),
    ("zlib", "Zlib"),
    ("zlib/libpng", "zlib-acknowledgement"),
    ("unlicense", "Unlicense"),
    ("unlicense (unlicense)", "Unlicense"),
    ("zero-clause bsd (0bsd)", "0BSD"),
    ("2-clause bsd", "BSD-2-Clause"),
    ("bsd 2-clause", "BSD-2-Clause"),
    ("bsd-2-clause", "BSD-2-Clause"),
    ("simplified bsd", "BSD-2-Clause"),
    ("3-clause bsd", "BSD-3-Clause"),
    ("bsd 3-clause", "BSD-3-Clause"),
    ("bsd-3-clause", "BSD-3-Clause"),
    ("bsd3", "BSD-3-Clause"),
    ("apache 2", "Apache-2.0"),
    ("apache 2.0", "Apache-2.0"),
    ("apache-2", "Apache-2.0"),
    ("apache2", "Apache-2.0"),
    ("apache, version 2.0", "Apache-2.0"),
    ("apache version 2.0", "Apache-2.0"),
    ("apache software 2.0", "Apache-2.0"),
    ("asl 2.0", "Apache-2.0"),
    ("mpl 2.0", "MPL-2.0"),
    ("mpl-2", "MPL-2.0"),
    ("mozilla public 1.1 (mpl 1.1)", "MPL-1.1"),
    ("mozilla public 2.0 (mpl 2.0)", "MPL-2.0"),
    ("mozilla public 2.0", "MPL-2.0"),
    ("gplv2", "GPL-2.0-only"),
    ("gplv2+", "GPL-2.0-or-later"),
    ("gplv3", "GPL-3.0-only"),
    ("gplv3+", "GPL-3.0-or-later"),
    ("gnu general public v2 (gplv2)", "GPL-2.0-only"),
    (
        "gnu general public v2 or later (gplv2+)",
        "GPL-2.0-or-later",
    ),
    ("gnu general public v3 (gplv3)", "GPL-3.0-only"),
    (
        "gnu general public v3 or later (gplv3+)",
        "GPL-3.0-or-later",
    ),
    ("lgplv3", "LGPL-3.0-only"),
    ("lgplv3+", "LGPL-3.0-or-later"),
    ("gnu lesser general public v2 (lgplv2)", "LGPL-2.0-only"),
    (
        "gnu lesser general public v2 or later (lgplv2+)",
        "LGPL-2.0-or-later",
    ),
    ("gnu lesser general public v3 (lgplv3)", "LGPL-3.0-only"),
    (
        "gnu lesser general public v3 or later (lgplv3+)",
        "LGPL-3.0-or-later",
    ),
    ("gnu affero general public v3", "AGPL-3.0-only"),
    (
        "gnu affero general public v3 or later (agplv3+)",
        "AGPL-3.0-or-later",
    ),
    ("eclipse public 1.0 (epl-1.0)", "EPL-1.0"),
    ("eclipse public 2.0 (epl-2.0)", "EPL-2.0"),
    ("european union public 1.2 (eupl 1.2)", "EUPL-1.2"),
    ("boost software 1.0 (bsl-1.0)", "BSL-1.0"),
    (
        "cc0 1.0 universal (cc0 1.0) public domain dedication",
        "CC0-1.0",
    ),
    ("zope public", "ZPL-2.1"),
    ("academic free (afl)", "AFL-3.0"),
    ("historical permission notice and disclaimer (hpnd)", "HPND"),
    ("cmu (mit-cmu)", "MIT-CMU"),
    ("universal permissive (upl)", "UPL-1.0"),
];

impl Licence {
    /// Reads what a package states.
    pub fn read(said: &str) -> Self {
        let plain = plain(said);
        let named = |id: &str| Expression::parse(id).ok().map(Meant::Spdx);
        let in_list = || NAMES.iter().find(|(name, _)| *name == plain);
        let family = || FAMILIES.iter().find(|(name, _)| *name == plain);
        let meant = expression(said)
            .map(Meant::Spdx)
            .or_else(|| in_list().and_then(|(_, id)| named(id)))
            .or_else(|| family().map(|(_, family)| Meant::Family(family)))
            .unwrap_or(Meant::Words);
        Self {
            said: said.trim().to_owned(),
            meant,
        }
    }

    /// As SPDX writes it; nothing where it is no expression, and none is meant.
    pub fn spdx(&self) -> Option<String> {
        match &self.meant {
            Meant::Spdx(expression) => Some(expression.to_string()),
            Meant::Family(_) | Meant::Words => None,
        }
    }

    /// As SPDX writes it, or as it was stated.
    pub fn text(&self) -> String {
        self.spdx().unwrap_or_else(|| self.said.clone())
    }

    /// Whether both state the same, as far as they can be compared.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.meant, &other.meant) {
            (Meant::Spdx(one), Meant::Spdx(other)) => is_equivalent(one, other),
            (Meant::Family(one), Meant::Family(other)) => one == other,
            (Meant::Family(family), Meant::Spdx(expression))
            | (Meant::Spdx(expression), Meant::Family(family)) => expression
                .requirements()
                .all(|one| family.has(&name_of(&one.req))),
            _ => plain(&self.said) == plain(&other.said),
        }
    }

    /// Whether what is stated can be met with licences of which each `is_taken`. Nothing where it is
    /// not said which licence it is.
    pub fn can_be_met(&self, is_taken: impl Fn(&str) -> bool) -> Option<bool> {
        match &self.meant {
            Meant::Spdx(expression) => {
                Some(expression.evaluate(|req| is_taken(&name_of(req)) || is_taken(&bare(req))))
            }
            Meant::Family(family) => Some(family.usual.iter().all(|id| is_taken(id))),
            Meant::Words => None,
        }
    }
}

impl Family {
    fn has(&self, id: &str) -> bool {
        self.prefixes.iter().any(|prefix| id.starts_with(prefix))
    }
}

/// An expression, in the form that the specification has or in the one that packages wrote for long:
/// lower-case operators, `/` for `OR`, `GPL-3.0` and `GPL-3.0+`.
fn expression(said: &str) -> Option<Expression> {
    // What is longer is the licence's text.
    const LONGEST: usize = 400;
    if said.len() > LONGEST {
        return None;
    }
    let said = said.trim();
    if let Ok(expression) = Expression::parse(said) {
        return Some(expression);
    }
    let words: Vec<String> = said
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ")
        .split_whitespace()
        .map(identifier)
        .collect();
    Expression::parse(&words.join(" ")).ok()
}

/// An identifier as the list spells it; anything else as it is.
fn identifier(word: &str) -> String {
    let upper = word.to_uppercase();
    if matches!(&upper[..], "AND" | "OR" | "WITH") {
        return upper;
    }
    let (base, is_later) = match word.strip_suffix('+') {
        Some(base) => (base, true),
        None => (word, false),
    };
    let is_gnu = ["GPL-", "LGPL-", "AGPL-", "GFDL-"]
        .iter()
        .any(|start| upper.starts_with(start));
    if is_gnu && !upper.ends_with("-ONLY") && !upper.ends_with("-OR-LATER") {
        let end = if is_later { "-or-later" } else { "-only" };
        return format!("{}{end}", base.to_uppercase());
    }
    let mut all = spdx::identifiers::LICENSES.iter();
    match all.find(|id| id.name.eq_ignore_ascii_case(base)) {
        Some(id) if is_later => format!("{}+", id.name),
        Some(id) => id.name.to_owned(),
        None => word.to_owned(),
    }
}

/// A licence's common name: small letters, without the words that all of them have.
fn plain(said: &str) -> String {
    let said = said.trim().to_lowercase();
    let words = said.split_whitespace();
    let kept: Vec<&str> = words
        .filter(|word| {
            !matches!(
                word.trim_end_matches(','),
                "the" | "license" | "licence" | "licensed"
            )
        })
        .collect();
    let text = kept.join(" ");
    let text = text.strip_prefix("osi approved :: ").unwrap_or(&text);
    text.trim_end_matches(['.', ',']).to_owned()
}

/// A requirement of an expression: `GPL-2.0-only WITH Classpath-exception-2.0`.
fn name_of(req: &LicenseReq) -> String {
    req.to_string()
}

/// That, without the exception.
fn bare(req: &LicenseReq) -> String {
    req.license.to_string()
}

/// Whether two expressions are met by the same licences.
fn is_equivalent(one: &Expression, other: &Expression) -> bool {
    // Beyond this many names the expressions are compared as they are written.
    const MOST: usize = 10;
    let mut names: Vec<String> = (one.requirements().chain(other.requirements()))
        .map(|one| name_of(&one.req))
        .collect();
    names.sort();
    names.dedup();
    if names.len() > MOST {
        return one.to_string() == other.to_string();
    }
    (0_u32..1 << names.len()).all(|chosen| {
        let is_chosen = |req: &LicenseReq| {
            let at = names.binary_search(&name_of(req));
            at.is_ok_and(|at| chosen >> at & 1 == 1)
        };
        one.evaluate(is_chosen) == other.evaluate(is_chosen)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_words_are_no_other_licence() {
        for (one, other, same) in [
            ("MIT License", "MIT", true),
            ("The MIT License", "MIT", true),
            ("BSD License", "BSD-3-Clause", true),
            ("BSD", "BSD License", true),
            ("Apache Software License", "Apache-2.0", true),
            ("Apache License 2.0", "Apache-2.0", true),
            ("Apache License, Version 2.0", "Apache-2.0", true),
            ("MIT OR Apache-2.0", "Apache-2.0 OR MIT", true),
            ("MIT or Apache-2.0", "(Apache-2.0 OR MIT)", true),
            ("MIT/Apache-2.0", "MIT OR Apache-2.0", true),
            ("Mozilla Public License 2.0 (MPL 2.0)", "MPL-2.0", true),
            ("GPL-3.0+", "GPL-3.0-or-later", true),
            ("GNU General Public License v3 (GPLv3)", "GPL-3.0", true),
            ("Some Words", "some words.", true),
            ("MIT", "BSD-3-Clause", false),
            ("BSD License", "MIT", false),
            ("BSD License", "BSD-3-Clause AND MIT", false),
            ("MIT OR Apache-2.0", "MIT AND Apache-2.0", false),
            ("GPL-3.0-only", "GPL-3.0-or-later", false),
            ("MIT", "AGPL-3.0-only", false),
            ("MIT", "Proprietary", false),
            ("Some Words", "Other Words", false),
        ] {
            let (one, other) = (Licence::read(one), Licence::read(other));
            assert_eq!(one.is_same(&other), same, "{one:?} {other:?}");
            assert_eq!(other.is_same(&one), same, "{other:?} {one:?}");
        }
    }

    #[test]
    fn every_name_in_the_lists_is_one_that_spdx_has() {
        let usual = FAMILIES.iter().flat_map(|(_, family)| family.usual);
        let named = NAMES.iter().map(|(_, id)| id);
        for id in usual.chain(named) {
            assert!(Expression::parse(id).is_ok(), "{id}");
        }
        for (name, _) in NAMES {
            assert!(Licence::read(name).spdx().is_some(), "{name}");
        }
    }

    #[test]
    fn what_may_be_met_is_told_of_the_whole_expression() {
        let met =
            |said: &str| Licence::read(said).can_be_met(|id| id == "MIT" || id == "GPL-2.0-only");
        assert_eq!(met("MIT OR AGPL-3.0-only"), Some(true));
        assert_eq!(met("MIT AND AGPL-3.0-only"), Some(false));
        assert_eq!(met("GPL-2.0-only WITH Classpath-exception-2.0"), Some(true));
        assert_eq!(met("BSD License"), Some(false));
        assert_eq!(met("see LICENSE"), None);
    }
}
