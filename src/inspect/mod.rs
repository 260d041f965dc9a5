//! Nothing is changed here: locks and trees are compared, verified and listed.

pub mod audit;
pub mod complete;
pub mod convert;
pub mod diff;
pub mod licence;
pub mod osv;
pub mod policy;
pub mod sbom;
pub mod verify;
