//! Artifacts become environments: what a Python environment, a `node_modules` and a module cache are made
//! of, how wheels are built, and the assembling of all three.

pub mod assemble;
pub mod build;
pub mod go;
pub mod npm;
pub mod owners;
pub mod python;
