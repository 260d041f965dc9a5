//! What an environment is made for, as data.
//!
//! A target comes from an interpreter that is asked once ([`probe`]), or, where there is none for
//! that machine, from a Python version and a platform's name alone. Nothing later asks the machine
//! that lockwright itself runs on.

pub mod find;
pub mod implementation;
pub mod node;
pub mod platform;
pub mod probe;
pub mod python;
pub mod registry;
pub mod tags;

pub use implementation::Implementation;
pub use platform::{Arch, Os, Platform, PlatformError};
pub use python::PythonTarget;
pub use tags::Tags;
