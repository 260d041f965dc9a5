//! Assembling: fetch and place, for one environment, into a staged tree.
//!
//! Here the rooms come together. Placing begins with the first artifact that is there, while the
//! rest is still on its way.

pub mod bytecode;
pub mod go;
mod kept;
pub mod npm;
pub mod python;
