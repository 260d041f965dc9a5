//! Whether a lock still fits the `pyproject.toml` beside it.
//!
//! A lock keeps what the project stated when it was made (`[package.metadata]`). Where the two
//! differ the lock is out of date, and what is installed from it is not what the project asks for.
//! uv finds out by resolving again; this finds out by comparing, which needs no network and misses
//! only what the metadata does not show.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use pep440_rs::{Version, VersionSpecifiers, release_specifiers_to_ranges};
use pep508_rs::{ExtraName, MarkerTree, PackageName, VersionOrUrl};

use super::marker::EFFORT;
use super::pyproject::{GroupEntry, Pyproject, Stated};
use super::requirement::requirement;
use super::uv::{Constraint, GroupName, Requirement, UvLock};

/// One statement, in a form in which those of the project and those of the lock compare.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Fact {
    name: PackageName,
    /// Nothing but the name counts where it comes from a place of its own: how the project and
    /// the lock spell that differs.
    rest: Option<(BTreeSet<ExtraName>, String, String)>,
}

impl UvLock {
    /// What the project states and the lock does not know of, or the other way round, each in a
    /// sentence. Nothing where the lock fits, or does not say what it was made for.
    ///
    /// Only the root is looked at, not the other members of its workspace.
    pub fn differences(&self, pyproject: &Pyproject) -> Vec<String> {
        let stated = &pyproject.stated;
        let mut found = Vec::new();
        // A pylock.toml does not say what it was made for.
        if self.pylock.is_some() {
            return found;
        }
        if let Some(project) = &stated.project {
            let wanted = project.requires_python.as_deref();
            let wanted = wanted.and_then(|text| VersionSpecifiers::from_str(text).ok());
            // A workspace's is the narrowest of all its members'.
            if self.manifest.members.is_empty()
                && let (Some(wanted), Some(locked)) = (&wanted, &self.requires_python)
                && wanted.len().max(locked.len()) <= SPECIFIERS
                && bounds(wanted) != bounds(locked)
            {
                found.push(format!(
                    "the project requires Python {wanted}, and the lock was made for {locked}"
                ));
            }
        }
        let Some(root) = self.root().and_then(|root| self.packages.get(root)) else {
            return found;
        };
        let metadata = &root.metadata;
        // Metadata may be absent altogether from revision 4 on.
        let says_nothing = metadata.requires_dist.is_empty() && metadata.requires_dev.is_empty();
        if says_nothing && self.revision >= 4 {
            return found;
        }
        let reader = Reader {
            stated,
            python: self.requires_python.as_ref(),
            own: &root.name,
            effort: Cell::new(EFFORT),
            untold: RefCell::default(),
        };
        if let Some(theirs) = reader.requires_dist() {
            let ours = reader.facts(&metadata.requires_dist);
            compare("", &theirs, &ours, &reader.untold.borrow(), &mut found);
        }
        if let Some(groups) = reader.dependency_groups() {
            let ours: BTreeMap<&GroupName, BTreeSet<Fact>> = (metadata.requires_dev.iter())
                .map(|(name, group)| (name, reader.facts(group)))
                .collect();
            let nothing = BTreeSet::new();
            for name in groups
                .keys()
                .chain(ours.keys().copied())
                .collect::<BTreeSet<_>>()
            {
                let place = format!(" (group `{name}`)");
                let theirs = groups.get(name).unwrap_or(&nothing);
                let ours = ours.get(name).unwrap_or(&nothing);
                compare(&place, theirs, ours, &reader.untold.borrow(), &mut found);
            }
        }
        found
    }
}

fn compare(
    place: &str,
    theirs: &BTreeSet<Fact>,
    ours: &BTreeSet<Fact>,
    untold: &BTreeSet<PackageName>,
    found: &mut Vec<String>,
) {
    let names = |facts: &BTreeSet<Fact>| -> BTreeSet<PackageName> {
        facts.iter().map(|fact| fact.name.clone()).collect()
    };
    let (stated, locked) = (names(theirs), names(ours));
    let changed: BTreeSet<PackageName> = theirs
        .symmetric_difference(ours)
        .map(|fact| fact.name.clone())
        .collect();
    for name in changed {
        found.push(match (stated.contains(&name), locked.contains(&name)) {
            (true, false) => {
                format!("the project requires {name}{place}, and the lock does not know of it")
            }
            (false, _) => {
                format!("the lock was made with {name}{place}, which the project does not require")
            }
            (true, true) if untold.contains(&name) => continue,
            (true, true) => {
                format!(
                    "the project requires {name}{place} in another way than when the lock was made"
                )
            }
        });
    }
}

/// Brings statements of both sides into the same form.
struct Reader<'a> {
    stated: &'a Stated,
    python: Option<&'a VersionSpecifiers>,
    /// The project's own name: `project[extra]` comes from itself.
    own: &'a PackageName,
    /// What may still be spent on the normal forms of markers.
    effort: Cell<u64>,
    /// What is asked for by markers without a normal form: nobody can tell whether both sides say the same.
    untold: RefCell<BTreeSet<PackageName>>,
}

impl Reader<'_> {
    /// The lock's statements.
    fn facts(&self, requirements: &[Requirement]) -> BTreeSet<Fact> {
        requirements
            .iter()
            .map(|requirement| {
                let versions = match &requirement.what {
                    Constraint::From { .. } => None,
                    Constraint::Any => Some(String::new()),
                    Constraint::Versions(versions) => Some(sorted(versions)),
                };
                self.fact(
                    &requirement.name,
                    versions,
                    requirement.extras.iter().cloned().collect(),
                    &|effort| requirement.marker.normal(effort),
                )
            })
            .collect()
    }

    /// `project.dependencies` and `project.optional-dependencies`; `None` where they cannot be
    /// told from the file.
    fn requires_dist(&self) -> Option<BTreeSet<Fact>> {
        let project = self.stated.project.as_ref()?;
        let is_dynamic = |name: &str| project.dynamic.iter().any(|dynamic| dynamic == name);
        if is_dynamic("dependencies") || is_dynamic("optional-dependencies") {
            return None;
        }
        let mut facts = BTreeSet::new();
        for text in &project.dependencies {
            facts.insert(self.stated_fact(text, None)?);
        }
        for (extra, texts) in &project.optional_dependencies {
            for text in texts {
                facts.insert(self.stated_fact(text, Some(extra))?);
            }
        }
        // With a dynamic version the lock has what such extras come to, in their place.
        let has_own = facts.iter().any(|fact| fact.name == *self.own);
        (!(has_own && is_dynamic("version"))).then_some(facts)
    }

    /// `[dependency-groups]`, inclusions followed, and `tool.uv.dev-dependencies`.
    fn dependency_groups(&self) -> Option<BTreeMap<GroupName, BTreeSet<Fact>>> {
        // A group's own requires-python is put into its markers.
        if self.stated.group_requires_python().next().is_some() {
            return None;
        }
        let mut groups = BTreeMap::new();
        for name in self.stated.dependency_groups.keys() {
            let mut facts = BTreeSet::new();
            let mut pending = vec![name];
            let mut seen = BTreeSet::from([name]);
            while let Some(name) = pending.pop() {
                for entry in self.stated.dependency_groups.get(name)? {
                    match entry {
                        GroupEntry::Requirement(text) => {
                            facts.insert(self.stated_fact(text, None)?);
                        }
                        GroupEntry::Include { group } if seen.insert(group) => pending.push(group),
                        GroupEntry::Include { .. } => {}
                        GroupEntry::Other(_) => return None,
                    }
                }
            }
            groups.insert(name.clone(), facts);
        }
        if let Some(legacy) = self.stated.dev_dependencies() {
            let dev: &mut BTreeSet<Fact> = groups.entry("dev".parse().ok()?).or_default();
            for text in legacy {
                dev.insert(self.stated_fact(text, None)?);
            }
        }
        Some(groups)
    }

    fn stated_fact(&self, text: &str, extra: Option<&ExtraName>) -> Option<Fact> {
        let needed = requirement(text)?;
        let versions = match &needed.what {
            Some(VersionOrUrl::Url(_)) => None,
            None => Some(String::new()),
            Some(VersionOrUrl::VersionSpecifier(versions)) => Some(sorted(versions)),
        };
        let extras = needed.extras.iter().cloned().collect();
        let marker = |effort: &mut u64| needed.normal_marker(extra, effort);
        Some(self.fact(&needed.name, versions, extras, &marker))
    }

    fn fact(
        &self,
        name: &PackageName,
        versions: Option<String>,
        extras: BTreeSet<ExtraName>,
        marker: &dyn Fn(&mut u64) -> Option<MarkerTree>,
    ) -> Fact {
        let is_sourced = name == self.own || self.stated.has_source(name);
        let rest = versions.filter(|_| !is_sourced).and_then(|versions| {
            let mut effort = self.effort.get();
            let marker = marker(&mut effort);
            self.effort.set(effort);
            if marker.is_none() {
                self.untold.borrow_mut().insert(name.clone());
            }
            Some((extras, versions, plain(&marker?, self.python)))
        });
        Fact {
            name: name.clone(),
            rest,
        }
    }
}

fn sorted(versions: &VersionSpecifiers) -> String {
    let all: BTreeSet<String> = versions.iter().map(ToString::to_string).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// A marker as the lock writes it: without what its `requires-python` says already.
fn plain(marker: &MarkerTree, python: Option<&VersionSpecifiers>) -> String {
    let Some(python) = python.filter(|python| python.len() <= SPECIFIERS) else {
        return marker.try_to_string().unwrap_or_default();
    };
    let ranges = release_specifiers_to_ranges(python.clone());
    let Some((lower, upper)) = ranges.bounding_range() else {
        return marker.try_to_string().unwrap_or_default();
    };
    let simple = marker.clone().simplify_python_versions(lower, upper);
    simple.try_to_string().unwrap_or_default()
}

/// More of them than anybody writes take for ever to compare.
const SPECIFIERS: usize = 1000;

/// What a specifier allows, so that two spellings of the same compare equal.
fn bounds(versions: &VersionSpecifiers) -> impl PartialEq + use<> {
    release_specifiers_to_ranges(versions.clone())
        .iter()
        .map(|(lower, upper)| (lower.clone(), upper.clone()))
        .collect::<Vec<(std::ops::Bound<Version>, std::ops::Bound<Version>)>>()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What the lock says of its project, beside what the project says.
    fn differences(project: &str, lock: &str) -> Vec<String> {
        let file = camino::Utf8Path::new("pyproject.toml");
        let project =
            format!("[project]\nname = \"p\"\nversion = \"1\"\ndependencies = [{project}]\n");
        let pyproject = Pyproject::parse(&project, file).unwrap();
        let lock = format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.12\"\n[[package]]\nname = \"p\"\nversion = \"1\"\n\
             source = {{ virtual = \".\" }}\n[package.metadata]\nrequires-dist = [{lock}]\n"
        );
        let lock = UvLock::parse(&lock, file).unwrap();
        lock.differences(&pyproject)
    }

    #[test]
    fn a_requirement_fits_in_whatever_words() {
        let lock = r#"{ name = "x", marker = "sys_platform == 'linux'", specifier = ">=1,<2" }"#;
        let fits = differences(
            r#""x <2, >=1; python_version > '3' and 'linux' == sys_platform""#,
            lock,
        );
        assert_eq!(fits, [""; 0]);
        let other = differences(r#""x <2, >=1; sys_platform == 'win32'""#, lock);
        assert_eq!(
            other,
            ["the project requires x in another way than when the lock was made"]
        );
        assert_eq!(
            differences(r#""y""#, lock),
            [
                "the lock was made with x, which the project does not require",
                "the project requires y, and the lock does not know of it"
            ]
        );
    }

    #[test]
    fn thousands_of_specifiers_are_not_compared() {
        let many: Vec<String> = (0..100_000)
            .map(|number| format!("!=3.{number}.1"))
            .collect();
        let many = many.join(",");
        let lock = format!("{{ name = \"x\", specifier = \"{many}\" }}");
        assert_eq!(differences(&format!("\"x{many}\""), &lock), [""; 0]);
        let python: VersionSpecifiers = many.parse().unwrap();
        assert_eq!(plain(&MarkerTree::TRUE, Some(&python)), "");
    }

    /// Nobody can tell whether two such markers say the same, so nobody says that they do not.
    #[test]
    fn a_marker_without_a_normal_form_is_not_said_to_differ() {
        let all: Vec<String> = (0..30)
            .map(|number| format!("extra == 'a{number}'"))
            .collect();
        let marker = all.join(" or ");
        let lock = format!("{{ name = \"x\", marker = \"{marker}\" }}");
        let stated = |marker: &str| format!("\"x ; {marker}\"");
        assert_eq!(differences(&stated(&all.join(" and ")), &lock), [""; 0]);
        assert_eq!(
            differences(&stated("sys_platform == 'linux'"), &lock),
            [""; 0]
        );
    }
}
