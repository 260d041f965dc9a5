//! A lock with what it lacks of its artifacts put in: where they are, their digests and sizes, as
//! their index says.
//!
//! ```text
//! lock's text ─▶ gaps ─▶ questions ─▶ obtain/fetch/document ─▶ pages ─▶ edits ─▶ text
//! ```
//!
//! Nothing is resolved: name and version stand in the lock. Nothing that stands there is changed
//! either, not even a space: each edit puts text between what there is, as the tool that wrote the
//! lock would have put it. What the lock knows already is checked against the same answer.
//!
//! [`npm`] and [`python`] know where in a text what is missing would stand.

pub mod npm;
pub mod python;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::core::digest::Digest;
use crate::core::progress::{Progress, few};
use crate::inspect::audit::packument::Packument;
use crate::inspect::audit::simple::Project;
use crate::inspect::audit::{Ask, question};
use crate::inspect::diff::facts::Ecosystem;
use crate::obtain::fetch::FetchError;
use crate::obtain::fetch::document::{Answer, Library};
use crate::obtain::fetch::mirrors::Mirrors;

/// An artifact of which the lock lacks something.
#[derive(Debug, Clone)]
pub struct Gap {
    /// What the lock calls it: a place in the tree, a file's name.
    pub label: String,
    /// Whose it is.
    pub name: String,
    /// The index that has it.
    pub index: String,
    /// Which of the index's files it is: an npm package's version, a Python file's name.
    pub which: String,
    /// The digest that the lock has already.
    pub known: Option<Digest>,
    /// Where what is missing goes.
    pub spots: Vec<Spot>,
}

/// Where something goes that is missing.
#[derive(Debug, Clone)]
pub struct Spot {
    /// What the lock calls it.
    pub field: &'static str,
    /// The byte in the lock's text that it goes before.
    pub at: usize,
    /// What stands between the text before it and its value.
    pub before: String,
}

/// What a lock lacks.
#[derive(Debug, Clone, Default)]
pub struct Gaps {
    /// What its indexes are asked of.
    pub all: Vec<Gap>,
    /// What no index can be asked of.
    pub left: Vec<Left>,
}

/// What was put into a lock of one artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// What the lock calls it.
    pub artifact: String,
    /// What it lacked.
    pub fields: BTreeSet<&'static str>,
}

/// An artifact of which the lock still lacks something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// What the lock calls it.
    pub artifact: String,
    /// Why.
    pub why: String,
}

/// A completed lock.
#[derive(Debug, Clone)]
pub struct Completed {
    /// Its text.
    pub text: String,
    /// What was added, in the lock's order.
    pub added: Vec<Added>,
    /// What is missing still.
    pub left: Vec<Left>,
}

/// Why a lock is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// Nothing can be asked.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It says other than its index does.
    #[error(
        "the lock gives other digests than the index does: {}; nothing is written, and `lockwright \
         audit` says more", few(.0)
    )]
    Differs(Vec<String>),
}

/// What an index says of one artifact: the values of a lock's fields, as a lock writes them.
type Fields = BTreeMap<&'static str, String>;

/// An index's page of a package.
enum Page {
    Project(Project),
    Packument(Packument),
}

/// Asks for what is missing, and puts it in.
///
/// # Errors
/// When nothing can be asked, or the lock has another digest than its index.
pub fn complete(
    text: &str,
    ecosystem: Ecosystem,
    gaps: Gaps,
    library: &Library<'_>,
    progress: &Progress,
) -> Result<Completed, CompleteError> {
    let pages = ask(ecosystem, &gaps.all, library, progress)?;
    let (mut edits, mut added, mut left) = (Vec::new(), Vec::new(), gaps.left);
    let mut differs = Vec::new();
    for gap in gaps.all {
        let page = pages.get(&(gap.name.clone(), gap.index.clone()));
        let found = match page {
            Some(Ok(page)) => page.fields(&gap, &library.options.mirrors),
            Some(Err(why)) => Err(why.clone()),
            None => Err(String::from("its index was not asked")),
        };
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => {
                differs.push(gap.label);
                continue;
            }
            Err(why) => {
                let artifact = gap.label;
                left.push(Left { artifact, why });
                continue;
            }
        };
        let mut fields = BTreeSet::new();
        for spot in gap.spots {
            match found.get(spot.field) {
                Some(value) => {
                    fields.insert(spot.field);
                    edits.push((spot.at, spot.before + value));
                }
                None => left.push(Left {
                    artifact: gap.label.clone(),
                    why: format!("{} does not say its {}", gap.index, spot.field),
                }),
            }
        }
        if !fields.is_empty() {
            let artifact = gap.label;
            added.push(Added { artifact, fields });
        }
    }
    if !differs.is_empty() {
        return Err(CompleteError::Differs(differs));
    }
    left.dedup();
    Ok(Completed {
        text: edited(text, edits),
        added,
        left,
    })
}

/// What an index says of a package, by its name and the index, or why that is not known.
type Pages = BTreeMap<(String, String), Result<Page, String>>;

fn ask(
    ecosystem: Ecosystem,
    gaps: &[Gap],
    library: &Library<'_>,
    progress: &Progress,
) -> Result<Pages, FetchError> {
    let subjects: BTreeSet<(String, String)> = (gaps.iter())
        .map(|gap| (gap.name.clone(), gap.index.clone()))
        .collect();
    let (mut pages, mut questions, mut asking) = (BTreeMap::new(), Vec::new(), Vec::new());
    for (name, index) in subjects {
        match question(ecosystem, &name, &index, Ask::default()) {
            Ok(question) => {
                questions.push(question);
                asking.push((name, index));
            }
            Err(why) => {
                pages.insert((name, index), Err(why));
            }
        }
    }
    let answers = library.ask(&questions, progress)?;
    for (subject, answer) in asking.into_iter().zip(answers) {
        let page = match answer {
            Answer::Absent => Err(format!("{} does not know it", subject.1)),
            Answer::Failed(why) => Err(format!("{} could not be asked: {why}", subject.1)),
            Answer::Here { bytes, url } => match ecosystem {
                Ecosystem::Python => Project::read(&bytes, &url).map(Page::Project),
                Ecosystem::Npm => Packument::read(&bytes).map(Page::Packument),
            },
        };
        pages.insert(subject, page);
    }
    Ok(pages)
}

impl Page {
    /// What it says of an artifact; nothing where it names another digest than the lock.
    fn fields(&self, gap: &Gap, mirrors: &Mirrors) -> Result<Option<Fields>, String> {
        match self {
            Self::Project(project) => python::fields(project, gap),
            Self::Packument(packument) => npm::fields(packument, gap, mirrors),
        }
    }
}

/// A text with others put in, each before a byte of it; those for the same byte in their order.
fn edited(text: &str, mut edits: Vec<(usize, String)>) -> String {
    edits.sort_by_key(|(at, _)| *at);
    let mut done = String::with_capacity(text.len());
    let mut from = 0;
    for (at, new) in edits {
        done.push_str(text.get(from..at).unwrap_or_default());
        done.push_str(&new);
        from = at;
    }
    done + text.get(from..).unwrap_or_default()
}
