//! What a bump changed: two locks in, one change model out, and reports of it.
//!
//! ```text
//! uv.lock ───────────▶ python ─┐                       ┌─▶ report/text
//!                              ├▶ LockFacts ×2 ─▶ LockDiff ┼─▶ report/markdown
//! package-lock.json ─▶ npm ────┘   compare, findings   ├─▶ report/json, with a schema
//!                                                      └─▶ report/html
//! ```
//!
//! - [`facts`]: what a lock says, the same for both ecosystems; of the whole lock, or of what a plan
//!   chooses of it for one target.
//! - [`others`]: locks of other tools, to be read alone.
//! - [`compare`]: pairs the packages of two locks. Of a name that is there in several versions,
//!   equal versions belong together, then those of one major version, then the rest, the highest
//!   first.
//! - `findings`: what a reviewer must see, in three severities. An *alarm* is what no honest bump
//!   does: other bytes for the same file, another host, a wheel that became source.
//! - [`targets`]: diffs for several targets as one, each change knowing where it applies.
//!
//! - [`contents`]: what is in the files behind the changes.
//! - [`links`], [`publisher`]: where a reviewer reads on, and who published it.
//! - [`tree`]: two trees in place of two locks, and why their files differ.
//!
//! Everything about locks is pure, `cli/` reads the files; `tree` reads the trees.

pub mod compare;
pub mod contents;
pub mod facts;
mod findings;
pub mod found;
pub mod links;
pub mod lookalike;
pub mod model;
pub mod npm;
pub mod others;
mod pair;
pub mod publisher;
pub mod python;
pub mod report;
pub mod targets;
pub mod tree;
pub mod version;

#[cfg(test)]
mod tests;
