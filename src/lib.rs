//! Environments, assembled straight from lockfiles.
//!
//! A lockfile already names every artifact and its digest, so nothing is resolved here. What there
//! is to do is told by the flow, and every room of this crate is one step of it:
//!
//! ```text
//! lock ──▶ plan ──▶ fetch ──▶ build ──▶ place ──▶ patch ──▶ seal ──▶ report
//! pure     pure     store     hook      tree      tree      NAR      diff
//! ```
//!
//! A room imports only what stands before it. Network, processes and disk writes live at the
//! edges ([`cli`] drives them); everything else takes bytes or values and returns values.

pub mod amend;
pub mod archive;
pub mod artifact;
pub mod assemble;
pub mod build;
pub mod cli;
pub mod component;
pub mod diff;
pub mod digest;
pub mod elf;
pub mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod lock;
pub mod manifest;
pub mod nix;
pub mod npm;
pub mod owner;
pub mod patch;
pub mod place;
pub mod plan;
pub mod python;
pub mod sbom;
pub mod source;
pub mod store;
pub mod target;
pub mod tree;
pub mod ui;
pub mod verify;
pub mod walk;
