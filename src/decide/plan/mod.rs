//! The plan: target × selection × lock → an ordered list of packages, each with the one artifact
//! to use and how it is placed. Pure, and the only place where choices are made.

mod choose;
mod conditions;
pub mod npm;
pub mod paths;
mod planned;
mod pylock;
pub mod python;
mod roots;
pub mod select;
mod selection;
pub mod universal;
mod walk;

pub use planned::{BuildReason, DirectUrl, Install, PlannedPackage};
pub use python::{PlanError, PythonPlan};
pub use selection::{Dev, SelectError, Selection};
