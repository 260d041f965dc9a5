//! Nothing is changed here: locks and trees are compared, verified and listed.

pub mod diff;
pub mod licence;
pub mod sbom;
pub mod verify;
