//! The book in docs/, and the other texts that people read: what is generated is what the program says, links lead
//! somewhere, commands parse, and what can be run is run. `UPDATE_DOCS=1` writes the generated pages anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

#[path = "../common/mod.rs"]
mod common;

mod commands;
mod errors;
mod links;
mod pages;
mod schema;
mod shell;
mod terminal;
