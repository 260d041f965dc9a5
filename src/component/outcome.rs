//! What becomes of components, and why.

use std::time::Duration;

use super::Made;
use super::ingredients::Change;

/// What becomes of a component, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A tree of the same key is there.
    Unchanged,
    /// It was named with `--component`.
    Given,
    /// It was taken as it was made elsewhere.
    Shared,
    /// There is none yet.
    New,
    /// There is one that was made from something else.
    Changed(Vec<Change>),
    /// There is one, and someone has changed it.
    Touched,
    /// A component that it needs is made again: it is too, if that one comes out different. With what
    /// has changed besides.
    After(Vec<String>, Vec<Change>),
}

/// A component that was seen to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What became of it.
    pub verdict: Verdict,
    /// Where it is; when it was only explained, and is not there, nothing.
    pub made: Option<Made>,
    /// The components that it needs.
    pub needs: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

/// Who hears of components: of each by its name, why it is made, and, once it is, how long that took.
pub type Hearing<'a> = &'a (dyn Fn(&str, &Verdict, Option<Duration>) + Sync);

impl Verdict {
    /// Whether it is made.
    pub fn is_made(&self) -> bool {
        !matches!(self, Self::Unchanged | Self::Given)
    }
}
