//! The plan: target × selection × lock → an ordered list of packages, each with the one artifact
//! to use and how it is placed. Pure, and the only place where choices are made.

mod conditions;
pub mod npm;
pub mod paths;
mod pylock;
pub mod python;
mod roots;
pub mod select;
mod selection;
pub mod universal;
mod walk;

pub use python::{BuildReason, DirectUrl, Install, PlanError, PlannedPackage, PythonPlan};
pub use selection::{Dev, SelectError, Selection};
