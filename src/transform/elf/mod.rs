//! ELF files as models: read with every claim checked, edited, laid out anew; and a tree of them
//! patched at once.
//!
//! [`autopatch()`] gives every file of a tree the RUNPATH that its NEEDED entries ask for, [`edit`] the
//! same edit to each, and [`show()`] tells what they are. Below that, on bytes alone:
//!
//! [`ElfFacts::read`] tells what a file is and what it needs. [`patch`] takes a file's bytes and an
//! [`Edit`] (another RUNPATH, another interpreter, NEEDED entries under other names) and returns the
//! file's differences, or an [`ElfError`] that names the offset of what is wrong with it.
//!
//! ```no_run
//! use lockwright::transform::elf::{Edit, Rpath, patch};
//!
//! let library = std::fs::read("libexample.so")?;
//! let edit = Edit {
//!     rpath: Rpath::Set("$ORIGIN/../lib".to_owned()),
//!     ..Edit::default()
//! };
//! let patched = patch(&library, &edit)?;
//! std::fs::write("libexample.so", patched.apply(&library))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! How the writer keeps files loadable: what fits is written in place; what does not moves to a new
//! segment at the end of the file, and nothing that code may refer to ever moves. See `layout.rs`.

mod autopatch;
mod codec;
mod contents;
mod draft;
mod error;
mod facts;
mod files;
mod glob;
mod headers;
mod layout;
mod libraries;
mod machine;
mod overlap;
mod parts;
mod paths;
mod read;
mod report;
mod resolve;
mod room;
#[cfg(any(test, fuzzing))]
#[cfg_attr(fuzzing, allow(dead_code))]
pub(crate) mod sample;
mod show;
mod strings;
mod tables;
mod versions;
mod walk;
mod write;
#[cfg(test)]
mod write_tests;

pub use autopatch::{AddRpath, AutopatchOptions, ByHand, PathEdit, autopatch, edit};
pub use codec::{Class, Endian};
pub use contents::{exported, sections};
pub use error::ElfError;
pub use facts::{ElfFacts, Kind, VersionNeed};
pub use files::{ElfFile, Files};
pub use glob::Glob;
pub use machine::{Abi, Machine};
pub(crate) use paths::expand;
pub use report::{Action, Missing, Outcome, Report};
pub use resolve::{FoundLibrary, Resolved};
pub use show::{Lookup, Need, Shown, What, show};
pub use tables::MAGIC;
pub use write::{Edit, How, Patched, Rpath, patch};
