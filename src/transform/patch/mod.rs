//! Edits of text files that fail with a sentence rather than do nothing.
//!
//! - [`substitute`]: one text for another;
//! - [`unified`]: unified diffs, exact unless fuzz is asked for;
//! - [`migration`]: a Django migration's dependency, added by understanding the Python file, and
//!   [`apps`], the Django apps of a tree that it is checked against, by their [`migration_graph`];
//! - [`shebang`]: the first line of a script, made to name another interpreter.
//!
//! All of them take the old text and return the new one. Writing is [`write()`]'s: all files or none.

pub mod apps;
pub mod migration;
pub mod migration_graph;
pub mod python_source;
pub mod shebang;
pub mod substitute;
pub mod unified;
mod unified_parse;
mod write;

pub use write::{FileChange, WriteError, write};
