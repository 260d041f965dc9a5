//! `node_modules` beside the real npm's: entry by entry and by NAR hash, on the fixtures, on crafted packages, and on
//! everything that npm lets pass and lockwright does not.

// Helpers are not tests to clippy.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod circumstances;
mod commands;
mod complete;
mod crafted;
mod git;
mod incomplete;
mod large;
mod peers;
mod prepare;
mod refusals;
mod registry;
mod scripts;
mod settings;
