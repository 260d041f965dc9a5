//! Environments, assembled straight from lockfiles.
//!
//! A lockfile already names every artifact and its digest, so nothing is resolved here. The flow
//! shows what there is to do:
//!
//! ```text
//! lock ──▶ plan ──▶ fetch ──▶ build ──▶ place ──▶ patch ──▶ seal ──▶ report
//! pure     pure     store     hook      tree      tree      NAR      diff
//! ```
//!
//! The crate has nine layers, in the order of that flow. A layer imports only those before it
//! (`tests/architecture.rs` checks it). Network, processes and disk writes live at the
//! edges ([`cli`] drives them); everything else takes bytes or values and returns values.

// Namespaces, Landlock, statx: elsewhere there is nothing but the program, which says so.
#![cfg(target_os = "linux")]
// What the tests index is their own.
#![cfg_attr(not(test), warn(clippy::indexing_slicing))]

// The floors, from the ground up; the blank lines keep rustfmt from sorting them.

pub mod core;

pub mod files;

pub mod decide;

pub mod obtain;

pub mod install;

pub mod transform;

pub mod inspect;

pub mod component;

pub mod cli;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
