//! Artifacts become environments: what a Python environment and a `node_modules` are made of, how
//! wheels are built, and the assembling of both.

pub mod assemble;
pub mod build;
pub mod npm;
pub mod owners;
pub mod python;
